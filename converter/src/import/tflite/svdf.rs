//! SVDF: a layer that keeps what it made of the latest inputs, from one inference to the next as TFLM does.
//!
//! Operands: input, weights over features, weights over time, bias, and the state, a variable.
//!
//! In int8 it is one layer, with TFLM's bytes; in float32 it is [written out](super::float_svdf).

use super::layer::{Layer, Reason, Translated, options};
use crate::graph::{DType, Op, Quantization, Svdf};

/// The operand that holds the layer's state: what stands for zero before the first inference.
pub(super) const STATE: usize = 4;

pub(super) fn svdf(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_svdfoptions())?;
    let input = layer.input(0)?;
    if input.dtype != DType::Int8 {
        return Err(format!(
            "in {}: the device has kernels for int8, with a state of int8 or int16; export the model in float32 or full int8",
            input.dtype.name()
        ));
    }
    let state = layer.input(STATE)?;
    let tensor = state.quantization.as_ref().and_then(Quantization::tensor);
    let (scale, zero_point) = tensor
        .filter(|(scale, _)| scale.is_finite() && *scale > 0.0)
        .ok_or("with a state without one scale")?;
    let sound = match state.dtype {
        DType::Int8 => (-128..=127).contains(&zero_point),
        DType::Int16 => zero_point == 0,
        _ => false,
    };
    if !sound {
        return Err(format!("with a state of {} and zero point {zero_point}", state.dtype.name()));
    }
    let rank = usize::try_from(o.rank()).ok().filter(|&rank| rank != 0);
    let rank = rank.ok_or_else(|| format!("of rank {}", o.rank()))?;
    let (feature, time) = (layer.input(1)?, layer.input(2)?);
    let (&[filters, _], &[_, memory]) = (feature.shape.as_slice(), time.shape.as_slice()) else {
        return Err(format!("with weights of shapes {:?} and {:?}", feature.shape, time.shape));
    };
    let &[batches, _] = input.shape.as_slice() else {
        return Err(format!("an input of shape {:?} instead of 2 dimensions", input.shape));
    };
    let kept = filters.checked_mul(memory);
    if kept.is_none() || state.shape != [batches, kept.unwrap_or(0)] {
        return Err(format!(
            "with a state of shape {:?} for {filters} filters of {memory} numbers",
            state.shape
        ));
    }
    if !filters.is_multiple_of(rank) {
        return Err(format!("of rank {rank} with {filters} filters"));
    }
    layer.expect_output(&[batches, filters / rank])?;
    let op = Op::Svdf(Svdf { rank, state: state.dtype, scale, zero_point });
    Ok(Translated::new(op, &[layer.id(0), layer.id(1), layer.id(2), layer.id(3)]))
}
