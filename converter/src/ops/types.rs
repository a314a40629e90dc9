//! Element types across a layer.

use crate::graph::{DType, Value};

/// Passes where all operands and results have one type, float32, or int8 with one scale and zero point.
pub(super) fn one_type(inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
    same_type(inputs, outputs)?;
    if !is_data(inputs[0]) {
        return Err(format!("it computes with {}", inputs[0].dtype.name()));
    }
    inputs.iter().chain(outputs).try_for_each(|value| per_tensor(value))
}

/// The same of an operator that has a kernel for int16, too: int16 tensors with one scale and zero point each.
pub(super) fn one_type_or_int16(inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
    if inputs[0].dtype != DType::Int16 {
        return one_type(inputs, outputs);
    }
    same_type(inputs, outputs)?;
    inputs.iter().chain(outputs).try_for_each(|value| per_tensor(value))
}

/// Whether a tensor has a type that layers compute with.
pub(super) fn is_data(value: &Value) -> bool {
    matches!(value.dtype, DType::Float32 | DType::Int8)
}

/// Fails for values of different types.
pub(super) fn same_type(inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
    let wanted = inputs[0].dtype;
    match inputs.iter().chain(outputs).find(|value| value.dtype != wanted) {
        None => Ok(()),
        Some(other) => Err(format!("types {} and {} mixed", wanted.name(), other.dtype.name())),
    }
}

/// Fails for integers of which one has another scale or zero point than the others.
pub(super) fn same_quantization(inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
    let wanted = &inputs[0].quantization;
    match inputs.iter().chain(outputs).find(|value| value.quantization != *wanted) {
        Some(other) if other.dtype != DType::Float32 => Err(format!(
            "`{}` and `{}` have other scales or zero points; one of both is supported",
            inputs[0].name, other.name
        )),
        _ => Ok(()),
    }
}

/// Passes where all are plain integers of one type, which stand for themselves.
pub(super) fn plain_integers(inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
    same_type(inputs, outputs)?;
    match inputs.iter().chain(outputs).find(|value| value.quantization.is_some()) {
        None => Ok(()),
        Some(value) => Err(format!("`{}` is {} with a scale", value.name, value.dtype.name())),
    }
}

/// Fails for an integer tensor without one scale and zero point.
pub(super) fn per_tensor(value: &Value) -> Result<(), String> {
    match (&value.quantization, value.dtype) {
        (_, DType::Float32) => Ok(()),
        (Some(q), _) if q.is_per_tensor() => Ok(()),
        (Some(_), _) => Err(format!("tensor `{}` has several scales", value.name)),
        (None, dtype) => Err(format!("tensor `{}` is {} without quantization", value.name, dtype.name())),
    }
}

/// Input, weights and bias of convolutions and dense layers; `axis` counts the output channels of the weights.
pub(super) fn weighted(inputs: &[&Value], outputs: &[&Value], axis: usize) -> Result<(), String> {
    let (&[input, weights, ref bias @ ..], &[result, ..]) = (inputs, outputs) else {
        return Err("its input or weights are missing".into());
    };
    let int16 = input.dtype == DType::Int16;
    let kind = if int16 { DType::Int8 } else { input.dtype };
    if input.dtype != result.dtype || weights.dtype != kind {
        let names = [input, weights, result].map(|v| v.dtype.name());
        return Err(format!("input {}, weights {}, result {}", names[0], names[1], names[2]));
    }
    let bias_types: &[DType] = match input.dtype {
        DType::Float32 => &[DType::Float32],
        DType::Int8 => &[DType::Int32],
        DType::Int16 => &[DType::Int64, DType::Int32, DType::Int16],
        other => return Err(format!("it computes with {}", other.name())),
    };
    if let Some(bias) = bias.first().filter(|bias| !bias_types.contains(&bias.dtype)) {
        return Err(format!("a bias of type {}", bias.dtype.name()));
    }
    if input.dtype == DType::Float32 {
        return Ok(());
    }
    per_tensor(input)?;
    per_tensor(result)?;
    match &weights.quantization {
        None => Err("int8 weights without quantization".into()),
        Some(q) if !q.is_per_tensor() && q.axis != axis => {
            Err(format!("weights quantized along dimension {}", q.axis))
        }
        Some(_) => Ok(()),
    }
}
