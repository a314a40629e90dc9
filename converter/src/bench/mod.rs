//! Measures a model on the host and on boards, and estimates times from modelled cycles.
//!
//! ```
//! use ferrolite::{bench, board::HOST, model_file::ModelFile};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let measured = bench::measure(&file.model()?, HOST, None, &())?; // or "qemu-cortex-m4"
//! assert!(measured.wall_us > Some(0.0));
//! assert_eq!(measured.layers.len(), 3);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod figures;
pub mod lock;
mod measure;

use std::time::{Duration, Instant};

use ferrolite_runtime::{Eval, Model, Node, Observer, ops};

pub use measure::{Latency, LayerMeasured, Measured, measure, of_run};

use crate::aligned::AlignedBuf;
use crate::board::{Board, Modelled};
use crate::error::Result;
use crate::execute::{infer, interpreter};
use crate::model_file;

/// Time after which repetitions stop, provided that there are [`LEAST`].
const TIME: Duration = Duration::from_millis(500);
/// Fewest repetitions.
const LEAST: usize = 5;
/// Most repetitions.
const MOST: usize = 10_000;

/// A core's clock and its flash, which together with cycles give a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chip {
    /// Clock of the core, in Hz.
    pub clock_hz: f64,
    /// Cycles that each 32-bit word of data read from flash waits. Flash buffers and prefetch make this
    /// less than the part's wait states; 3 fits weights that stream through an STM32L4R5 at 120 MHz.
    pub flash_wait: u32,
}

impl Chip {
    /// The estimated time of what was modelled, in milliseconds.
    pub fn milliseconds(&self, modelled: Modelled) -> f64 {
        let waits = modelled.flash_words as f64 * f64::from(self.flash_wait);
        (modelled.cycles as f64 + waits) / self.clock_hz * 1e3
    }
}

/// How far off an estimate for this board's core may be, in words.
pub fn estimate_error(board: &Board) -> &'static str {
    match board.timing {
        Some("m4") => {
            "cycles are +0.5 to -4 % off silicon at zero wait states (ratios 5 %); times on a board may be up to 25 % too low"
        }
        _ => "times on a board may be up to 25 % too low (ratios are within 5 %)",
    }
}

/// Times of one inference on the host: medians over many runs.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTimes {
    /// The whole inference, in microseconds.
    pub wall_us: f64,
    /// Each op, in microseconds, in the order of the program.
    pub layers_us: Vec<f64>,
}

/// Input bytes to measure with: those of the recorded self-test, else zeroes.
pub fn inputs(model: &Model<'_>) -> Vec<Vec<u8>> {
    let ports = model_file::inputs(model);
    let sizes = ports.iter().map(|port| port.shape.iter().product::<usize>() * port.dtype.size());
    let mut recorded = model.self_test().map_or(&[][..], |(input, _)| input);
    let mut take = |size: usize| match recorded.split_at_checked(size) {
        Some((bytes, rest)) => {
            recorded = rest;
            bytes.to_vec()
        }
        None => vec![0; size],
    };
    sizes.map(&mut take).collect()
}

/// Runs a model repeatedly and takes the medians.
pub fn host(model: &Model<'_>) -> Result<HostTimes> {
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(model, ops::ALL, &mut memory)?;
    let inputs = inputs(model);
    let (mut whole, mut layers) = (Vec::new(), vec![Vec::new(); model.ops().len()]);
    let start = Instant::now();
    while whole.len() < MOST && (whole.len() < LEAST || start.elapsed() < TIME) {
        let begin = Instant::now();
        infer(&mut net, &inputs, &mut ())?;
        whole.push(micros(begin.elapsed()));
        let mut clock = Clock { begin: Instant::now(), layers: &mut layers };
        infer(&mut net, &inputs, &mut clock)?;
    }
    Ok(HostTimes { wall_us: median(whole), layers_us: layers.into_iter().map(median).collect() })
}

/// Measures the time of each op.
struct Clock<'a> {
    begin: Instant,
    layers: &'a mut [Vec<f64>],
}

impl Observer for Clock<'_> {
    fn before(&mut self, _index: u16, _node: &Node<'_>) {
        self.begin = Instant::now();
    }

    fn after(&mut self, index: u16, _eval: &Eval<'_>) {
        if let Some(times) = self.layers.get_mut(usize::from(index)) {
            times.push(micros(self.begin.elapsed()));
        }
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flash_waits_add_to_the_time() {
        let modelled = Modelled { instructions: 1, cycles: 1_200_000, flash_words: 400_000 };
        let ms = |flash_wait| Chip { clock_hz: 120e6, flash_wait }.milliseconds(modelled);
        assert!((ms(0) - 10.0).abs() < 1e-9 && (ms(3) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn medians_ignore_outliers() {
        assert_eq!(median(vec![3.0, 1e9, 1.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
