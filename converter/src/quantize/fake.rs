//! Simulated quantization: runs a quantized graph in f32, with every activation rounded to the grid of its
//! integers. The result is close to that of the integer interpreter, which also rounds multipliers. It serves
//! reports, and shows what quantization costs layer by layer.

use crate::error::Result;
use crate::reference::{Executor, integers};

/// Runs a quantized graph on real numbers. Every value that it stores is rounded to its scale and saturates
/// at the ends of its integer type. Arguments and results are those of [`Executor::run`].
///
/// # Errors
/// Those of [`Executor::run`].
pub fn run_fake_quantized(executor: &Executor, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
    let graph = executor.graph();
    executor.run_transformed(inputs, &mut |id, data| {
        let value = graph.value(id);
        let Some((scale, zero_point)) = value.quantization.as_ref().and_then(|q| q.tensor()) else {
            return;
        };
        let Some((low, high)) = integers(value.dtype) else { return };
        let zero_point = zero_point as f32;
        for x in data {
            *x = ((*x / scale).round() + zero_point).clamp(low, high);
            *x = (*x - zero_point) * scale;
        }
    })
}
