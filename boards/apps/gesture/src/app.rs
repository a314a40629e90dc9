//! The application: fills a window from the sensor, classifies it, tells what it saw.

use defmt::{Format, error, info};
use embedded_hal::digital::OutputPin;
use embedded_hal::i2c::I2c;
use ferrolite_runtime::Error;

use crate::imu::ImuSensor;
use crate::watch::{self, Memory};
use crate::window::{STEPS, Window};

/// The model, in flash.
pub static MODEL: watch::File = watch::File::new(include_bytes!("../model/watch.ferro"));

/// What the classes mean.
pub const EXERCISES: [&str; watch::output0::LEN] = [
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "upright row",
];

/// A probability above which the LED is lit, as a score.
const SURE: i8 = watch::output0::quantize(0.9);

/// Why the application ended.
#[derive(Format)]
pub enum Stop {
    /// The sensor does not answer any more.
    Sensor,
    /// The LED's pin failed.
    Led,
    /// The model cannot run.
    Model(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Model(error)
    }
}

/// The application over a sensor bus and a LED.
pub struct App<I, L> {
    sensor: ImuSensor<I>,
    led: L,
    window: Window,
}

impl<I: I2c, L: OutputPin> App<I, L> {
    /// Wakes the sensor.
    pub fn new(bus: I, led: L) -> Result<App<I, L>, Stop> {
        let sensor = ImuSensor::new(bus).map_err(|_| Stop::Sensor)?;
        Ok(App { sensor, led, window: Window::new() })
    }

    /// Classifies one window after the other until the sensor falls silent or `windows` are done.
    pub fn run(&mut self, memory: &mut Memory, windows: usize) -> Result<(), Stop> {
        let mut net = watch::bind(&MODEL, memory)?;
        info!("model of {=usize} bytes, arena of {=usize} bytes", watch::MODEL_BYTES, watch::ARENA);
        for window in 0..windows {
            for _ in 0..STEPS {
                self.window.push(self.sensor.read().map_err(|_| Stop::Sensor)?);
            }
            let mut filling = net.begin();
            self.window.copy_to(filling.keras_tensor_9());
            let done = filling.start()?.finish();
            self.tell(window, done.output_0())?;
        }
        Ok(())
    }

    /// Logs the scores, and lights the LED when the answer is sure.
    fn tell(&mut self, window: usize, scores: &watch::output0::Array) -> Result<(), Stop> {
        let best = scores.iter().enumerate().max_by_key(|(_, score)| **score);
        let Some((class, &score)) = best else { return Ok(()) };
        let exercise = EXERCISES.get(class).copied().unwrap_or("?");
        info!("window {=usize}: {=str}, scores {}", window, exercise, scores);
        let lit = if score >= SURE { self.led.set_high() } else { self.led.set_low() };
        lit.map_err(|_| Stop::Led)
    }

    /// The LED, when the application has ended.
    pub fn into_led(self) -> L {
        self.led
    }
}

/// Logs how a run ended and returns the exit code.
pub fn end(result: Result<(), Stop>) -> i32 {
    match result {
        Ok(()) => {
            info!("done");
            0
        }
        Err(stop) => {
            error!("stopped: {}", stop);
            1
        }
    }
}
