//! Batch norm with the mean and variance of training.

use super::arithmetic::channels_first;
use super::evaluate::Evaluator;
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation};
use crate::import::build::BatchNorm;

/// FusedBatchNorm: x, scale, offset, mean, variance.
pub(super) fn batch_norm(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    if layer.node.flag("is_training", true) {
        return Err("batch norm in training mode: export the model for inference".into());
    }
    let parameter = |position, what: &str| -> Result<Vec<f32>, crate::import::refusal::Refusal> {
        let known = layer.known(position, what)?;
        Ok(known.data.to_real(None, &known.shape))
    };
    let norm = BatchNorm {
        gamma: parameter(1, "scale")?,
        beta: parameter(2, "offset")?,
        mean: parameter(3, "mean")?,
        variance: parameter(4, "variance")?,
        epsilon: layer.node.float("epsilon", 1e-4),
    };
    let x = e.value(layer.input(0)?)?;
    let y = if channels_first(layer) {
        let moved = e.builder.transpose(&format!("{}/to_nhwc", layer.name), x, &[0, 2, 3, 1])?;
        let y = e.builder.batch_norm(&format!("{}/nhwc", layer.name), moved, &norm)?;
        e.builder.transpose(&layer.name, y, &[0, 3, 1, 2])?
    } else {
        e.builder.batch_norm(&layer.name, x, &norm)?
    };
    Ok(vec![Tensor::Value(y)])
}
