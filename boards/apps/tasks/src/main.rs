//! Inference beside other work: one task classifies windows of a recording and lets others run after each op, and
//! another one counts how often it got its turn.
//!
//! The model is bound once and lives in a `static`; the task owns it as a `&'static mut`. While ops run, nothing can
//! write its input or read its output: the types of `watch` pass the inference on from `Filling` over `Running` to
//! `Done`. `cargo run --release` runs it on QEMU's Cortex-M4 board.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m as _;
use defmt::{error, info};
use defmt_semihosting as _;
use embassy_executor::{Executor, Spawner};
use embassy_futures::yield_now;
use gesture_app::imu::ImuSensor;
use gesture_app::recording::{RecordedImu, SAMPLES};
use gesture_app::watch::{self, Step};
use gesture_app::window::{STEPS, Window};
use semihosting::process::exit;
use static_cell::{ConstStaticCell, StaticCell};

/// The model's file, in a flash chip of its own.
#[unsafe(link_section = ".qspi")]
static MODEL: watch::File = watch::File::new(include_bytes!("../../gesture/model/watch.ferro"));

/// The model's memory: zero at first, so it takes no flash.
static MEMORY: ConstStaticCell<watch::Memory> = ConstStaticCell::new(watch::Memory::new());

/// The model, bound to it.
static NET: StaticCell<watch::Net<'static>> = StaticCell::new();

/// How often the other task had its turn.
static TURNS: AtomicU32 = AtomicU32::new(0);

#[cortex_m_rt::entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let net = match watch::bind(&MODEL, MEMORY.take()) {
        Ok(net) => NET.init(net),
        Err(error) => end(Err(Stop::Model(error))),
    };
    EXECUTOR.init(Executor::new()).run(|spawner| {
        if start(spawner, net).is_err() {
            end(Err(Stop::Spawn));
        }
    })
}

fn start(
    spawner: Spawner,
    net: &'static mut watch::Net<'static>,
) -> Result<(), embassy_executor::SpawnError> {
    spawner.spawn(classify(net)?);
    spawner.spawn(count()?);
    Ok(())
}

/// Why the firmware ended.
#[derive(defmt::Format)]
enum Stop {
    Model(ferrolite_runtime::Error),
    Sensor,
    Spawn,
}

/// The model's task.
#[embassy_executor::task]
async fn classify(net: &'static mut watch::Net<'static>) {
    end(windows(net).await)
}

/// Classifies the recording, window by window.
async fn windows(net: &mut watch::Net<'static>) -> Result<(), Stop> {
    let mut sensor = ImuSensor::new(RecordedImu::new()).map_err(|_| Stop::Sensor)?;
    let mut window = Window::new();
    for index in 0..SAMPLES / STEPS {
        let mut filling = net.begin();
        for _ in 0..STEPS {
            window.push(sensor.read().map_err(|_| Stop::Sensor)?);
        }
        window.copy_to(filling.keras_tensor_9());
        let mut running = filling.start().map_err(Stop::Model)?;
        let done = loop {
            match running.step() {
                Step::More(rest) => running = rest,
                Step::Done(done) => break done,
            }
            yield_now().await;
        };
        info!("window {=usize}: scores {}", index, done.output_0());
    }
    info!("the other task had {=u32} turns", TURNS.load(Ordering::Relaxed));
    Ok(())
}

/// The other task.
#[embassy_executor::task]
async fn count() {
    loop {
        TURNS.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
    }
}

fn end(result: Result<(), Stop>) -> ! {
    if let Err(stop) = result {
        error!("stopped: {}", stop);
        exit(1)
    }
    exit(0)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    exit(2)
}
