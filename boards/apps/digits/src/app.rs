//! The application: waits for a frame, makes the model's input of it, runs the model, tells what it saw.

use defmt::{Format, info};
use embassy_futures::yield_now;
use embedded_hal_async::spi::SpiDevice;
use ferrolite_runtime::Error;

use crate::camera::{Camera, SIDE};
use crate::digits::{self, Step, input0};

/// The model, in flash.
pub static MODEL: digits::File = digits::File::new(include_bytes!("../model/digits.ferro"));

/// Pixels of the frame for one of the model's, in a row and in a column.
const BLOCK: usize = 4;
/// Pixels of the model's input in a row, and rows.
const SMALL: usize = SIDE / BLOCK;

const _: () = assert!(SMALL * SMALL == input0::LEN);
// Pixels are 0 to 1 in steps of 1/255 and zero is -128, so the integer is the pixel less 128.
const _: () = assert!(input0::quantize(0.0) == -128 && input0::quantize(1.0) == 127);

/// Times that the camera is asked for a frame before it counts as silent.
const PATIENCE: usize = 1000;

/// Why the application ended.
#[derive(Format)]
pub enum Stop {
    /// The camera does not answer, or has no more frames.
    Camera,
    /// The model cannot run.
    Model(Error),
}

/// The application over a camera's bus.
pub struct App<S> {
    camera: Camera<S>,
}

impl<S: SpiDevice> App<S> {
    /// The application with the camera on this bus.
    pub fn new(bus: S) -> App<S> {
        App { camera: Camera::new(bus) }
    }

    /// Tells the digit on each of so many frames.
    pub async fn run(&mut self, net: &mut digits::Net<'static>, frames: usize) -> Result<(), Stop> {
        for frame in 0..frames {
            self.wait().await?;
            let mut filling = net.begin();
            self.fill(filling.keras_tensor_23()).await?;
            let mut running = filling.start().map_err(Stop::Model)?;
            let done = loop {
                match running.step() {
                    Step::More(rest) => running = rest,
                    Step::Done(done) => break done,
                }
                yield_now().await;
            };
            let scores = done.output_0();
            let best = scores.iter().enumerate().max_by_key(|(_, score)| **score);
            info!("frame {=usize}: a {=usize}, scores {}", frame, best.map_or(0, |(digit, _)| digit), scores);
        }
        Ok(())
    }

    /// Waits for a frame.
    async fn wait(&mut self) -> Result<(), Stop> {
        self.camera.start().await.map_err(|_| Stop::Camera)?;
        for _ in 0..PATIENCE {
            if self.camera.is_ready().await.map_err(|_| Stop::Camera)? {
                return Ok(());
            }
            yield_now().await;
        }
        Err(Stop::Camera)
    }

    /// The means of the frame's blocks, as the model takes them, row by row.
    async fn fill(&mut self, input: &mut input0::Array) -> Result<(), Stop> {
        let mut rows = [0; BLOCK * SIDE];
        for line in input.chunks_exact_mut(SMALL) {
            self.camera.read(&mut rows).await.map_err(|_| Stop::Camera)?;
            let mut sums = [0u16; SMALL];
            for row in rows.chunks_exact(SIDE) {
                for (sum, block) in sums.iter_mut().zip(row.chunks_exact(BLOCK)) {
                    *sum += block.iter().map(|&pixel| u16::from(pixel)).sum::<u16>();
                }
            }
            const HALF: u16 = (BLOCK * BLOCK / 2) as u16;
            for (place, sum) in line.iter_mut().zip(sums) {
                *place = ((sum + HALF) / (2 * HALF)) as u8 as i8 ^ -128;
            }
            yield_now().await;
        }
        Ok(())
    }
}
