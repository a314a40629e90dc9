//! QEMU's mps2-an386: the sensor replays a recording, the LED counts.

use gesture_app::app::{App, Stop};
use gesture_app::led::CountingLed;
use gesture_app::recording::{RecordedImu, SAMPLES};
use gesture_app::watch::Memory;
use gesture_app::window::STEPS;

pub fn run(memory: &mut Memory) -> Result<(), Stop> {
    let mut app = App::new(RecordedImu::new(), CountingLed::default())?;
    app.run(memory, SAMPLES / STEPS)?;
    defmt::info!("the led was lit {=u32} times", app.into_led().lit);
    Ok(())
}
