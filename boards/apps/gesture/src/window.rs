//! The last measurements, quantized as the model wants them.

use heapless::HistoryBuf;

use crate::imu::AXES;
use crate::watch::input0::{self, SCALE, ZERO_POINT};

/// Samples of a window: 128 at 50 Hz are 2.56 s.
pub const STEPS: usize = 128;

const _: () = assert!(STEPS * AXES == input0::LEN);

/// Sensor units per standard deviation, the unit that the model was trained in.
const UNITS: f32 = 1024.0;

/// Quantization steps per sensor unit, as a fraction of 2^16: no float is left at run time.
const STEP: i32 = (65_536.0 / (UNITS * SCALE) + 0.5) as i32;

/// The int8 value of a measurement.
pub fn quantize(measurement: i16) -> i8 {
    let steps = (i32::from(measurement) * STEP + (1 << 15)) >> 16;
    (steps + ZERO_POINT).clamp(-128, 127) as i8
}

/// A sliding window of measurements.
#[derive(Default)]
pub struct Window {
    samples: HistoryBuf<[i8; AXES], STEPS>,
}

impl Window {
    /// An empty window.
    pub const fn new() -> Window {
        Window { samples: HistoryBuf::new() }
    }

    /// Adds a measurement; the oldest makes room for it.
    pub fn push(&mut self, measurement: [i16; AXES]) {
        self.samples.write(measurement.map(quantize));
    }

    /// Whether enough measurements are there.
    pub fn is_full(&self) -> bool {
        self.samples.len() == STEPS
    }

    /// Writes the window to the model's input, oldest first.
    pub fn copy_to(&self, input: &mut input0::Array) {
        for (place, sample) in input.chunks_exact_mut(AXES).zip(self.samples.oldest_ordered()) {
            place.copy_from_slice(sample);
        }
    }
}
