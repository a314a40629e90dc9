//! Inference beside other work: one task classifies windows of a recording and lets others run after each op, and
//! another one blinks a LED. Its period does not slip: a blink is late by two steps at most, since embassy takes its tasks
//! in the other order from round to round, and the next one is not later for it. At the end the log says how late, and
//! how long the longest step was.
//!
//! The model is bound once and lives in a `static`; the task owns it as a `&'static mut`. While ops run, nothing can
//! write its input or read its output: the types of `watch` pass the inference on from `Filling` over `Running` to
//! `Done`. `cargo run --release` runs it on QEMU's Cortex-M4 board.
#![no_std]
#![no_main]

mod clock;

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m as _;
use defmt::{error, info};
use defmt_semihosting as _;
use embassy_executor::{Executor, Spawner};
use embassy_futures::yield_now;
use embedded_hal::digital::StatefulOutputPin;
use gesture_app::imu::ImuSensor;
use gesture_app::led::CountingLed;
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

/// Ticks from one change of the LED to the next.
const PERIOD: u32 = 2_000;

/// How often the LED's task had its turn.
static TURNS: AtomicU32 = AtomicU32::new(0);
/// How often the LED has changed.
static CHANGES: AtomicU32 = AtomicU32::new(0);
/// How many ticks too late, at most.
static LATE: AtomicU32 = AtomicU32::new(0);

#[cortex_m_rt::entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let net = match watch::bind(&MODEL, MEMORY.take()) {
        Ok(net) => NET.init(net),
        Err(error) => end(Err(Stop::Model(error))),
    };
    if let Some(core) = cortex_m::Peripherals::take() {
        clock::start(core.SYST);
    }
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
    spawner.spawn(blink(CountingLed::default())?);
    Ok(())
}

/// Why the firmware ended.
#[derive(defmt::Format)]
enum Stop {
    Model(ferrolite_runtime::Error),
    Sensor,
    Led,
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
    let (mut longest, mut line) = (0, 0);
    for index in 0..SAMPLES / STEPS {
        let mut filling = net.begin();
        for _ in 0..STEPS {
            window.push(sensor.read().map_err(|_| Stop::Sensor)?);
            yield_now().await;
        }
        window.copy_to(filling.keras_tensor_9());
        let mut running = filling.start().map_err(Stop::Model)?;
        yield_now().await;
        let done = loop {
            let before = clock::now();
            let step = running.step();
            longest = longest.max(clock::now().wrapping_sub(before));
            match step {
                Step::More(rest) => running = rest,
                Step::Done(done) => break done,
            }
            yield_now().await;
        };
        yield_now().await;
        let before = clock::now();
        info!("window {=usize}: scores {}", index, done.output_0());
        line = line.max(clock::now().wrapping_sub(before));
    }
    let [turns, changes, late] = [&TURNS, &CHANGES, &LATE].map(|count| count.load(Ordering::Relaxed));
    info!("the other task had {=u32} turns", turns);
    info!(
        "the LED changed {=u32} times in {=u32} ticks, each {=u32}; late by {=u32} at most; the longest step took {=u32}, the longest line of this log {=u32}",
        changes,
        clock::now(),
        PERIOD,
        late,
        longest,
        line
    );
    Ok(())
}

/// The LED's task.
#[embassy_executor::task]
async fn blink(led: CountingLed) {
    if changes(led).await.is_err() {
        end(Err(Stop::Led));
    }
}

/// Changes the LED at each multiple of the period.
async fn changes<L: StatefulOutputPin>(mut led: L) -> Result<(), L::Error> {
    let mut next = PERIOD;
    loop {
        TURNS.fetch_add(1, Ordering::Relaxed);
        // Also where the time has wrapped.
        let late = clock::now().wrapping_sub(next) as i32;
        if late >= 0 {
            led.toggle()?;
            CHANGES.fetch_add(1, Ordering::Relaxed);
            LATE.fetch_max(late as u32, Ordering::Relaxed);
            next = next.wrapping_add(PERIOD);
        }
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
