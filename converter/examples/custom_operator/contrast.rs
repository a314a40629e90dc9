//! The device's side of a custom operator: `example.Contrast`. A firmware links it (`boards/apps/contrast`),
//! and the host runs it.
//!
//! ```text
//! y[i] = gain * (x[i] - mean of x[i - radius ..= i + radius])     along the last dimension; zero outside of it
//! ```
//! This makes spectra independent of a microphone's frequency response.
//!
//! In integers, with the zero points taken off, `n = 2 * radius + 1`, and one multiplier for gain, mean and scales:
//! `y[i] = clamp(scale(n * x[i] - sum, multiplier) + output_zero_point)`.

use core::cell::Cell;

use ferrolite_runtime::ops::custom::{Custom, check_int8, check_multiplier};
use ferrolite_runtime::params::Multiplier;
use ferrolite_runtime::quant::{Rounding, requantize};
use ferrolite_runtime::tensor::runs;
use ferrolite_runtime::{Eval, Fault, Node};

/// The operator.
pub struct Contrast;

/// Most elements on each side of a window: sums stay far below 2^31, and the time of an op is bounded.
pub const MOST_RADIUS: u32 = 64;

/// The parameter words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// Elements of a row.
    pub width: u32,
    /// Elements on each side of a window.
    pub radius: u32,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Scales sums to steps of the output.
    pub multiplier: Multiplier,
    /// Zero point of the output.
    pub output_zero_point: i32,
}

impl Params {
    /// Parses the file's words; `None` if their number is wrong.
    pub fn read(words: &[u32]) -> Option<Params> {
        let &[width, radius, input_zero_point, mantissa, shift, output_zero_point] = words else {
            return None;
        };
        Some(Params {
            width,
            radius,
            input_zero_point: input_zero_point as i32,
            multiplier: Multiplier { mantissa: mantissa as i32, shift: shift as i32 },
            output_zero_point: output_zero_point as i32,
        })
    }
}

impl Custom for Contrast {
    const NAME: &'static str = "example.Contrast";

    fn check(node: &Node<'_>, params: &[u32]) -> Result<(), Fault> {
        let p = Params::read(params).ok_or(Fault::Parameters)?;
        if p.width == 0 || p.radius > MOST_RADIUS {
            return Err(Fault::Parameters);
        }
        check_int8(p.input_zero_point)?;
        check_int8(p.output_zero_point)?;
        check_multiplier(&p.multiplier)?;
        node.expect_operands(1, 1)?;
        let elements = node.input(0)?.bytes;
        if !elements.is_multiple_of(p.width) {
            return Err(Fault::Sizes);
        }
        node.expect_int8(elements, elements)
    }

    fn eval(eval: &Eval<'_>, params: &[u32]) {
        let Some(p) = Params::read(params) else { return };
        let width = p.width as usize;
        let rows = runs(eval.input::<i8>(0), width).zip(runs(eval.output::<i8>(0), width));
        for (x, y) in rows {
            row(&p, eval.node().rounding(), x, y);
        }
    }
}

/// Computes one row. The sum of the window is updated as the window moves.
fn row(p: &Params, rounding: Rounding, x: &[Cell<i8>], y: &[Cell<i8>]) {
    let radius = p.radius as usize;
    let step = |at: Option<usize>| {
        let element = at.and_then(|at| x.get(at));
        element.map_or(0, |element| i32::from(element.get()) - p.input_zero_point)
    };
    let mut sum: i32 = (0..radius).map(|at| step(Some(at))).sum();
    for (at, out) in y.iter().enumerate() {
        sum += step(at.checked_add(radius));
        let steps = (2 * p.radius as i32 + 1) * step(Some(at)) - sum;
        let scaled = requantize(steps, p.multiplier, rounding).saturating_add(p.output_zero_point);
        out.set(scaled.clamp(-128, 127) as i8);
        sum -= step(at.checked_sub(radius));
    }
}
