//! UNIDIRECTIONAL_SEQUENCE_LSTM in float, without peepholes, projection and layer norm, from fresh states.
//!
//! Operands: input; four matrices for the input and four for the state, four peepholes, four biases, in
//! the order of the gates (input, forget, cell, output); two of the projection; the two states; four of
//! the layer norm. The graph's layer has the gates' matrices one below the other.

use super::layer::{Layer, Reason, Stacked, Translated, options};
use crate::graph::{Cell, Constant, DType, Op, Recurrent, UnaryKind};
use crate::tflite as schema;

/// The operands that hold the layer's state: zero before each inference.
pub(super) const STATES: [usize; 2] = [18, 19];

pub(super) fn sequence_lstm(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_unidirectional_sequence_lstmoptions())?;
    let input = layer.input(0)?;
    if input.dtype != DType::Float32 {
        return Err(format!("in {}: the device has no kernel for it yet", input.dtype.name()));
    }
    let present = |positions: std::ops::Range<usize>| positions.into_iter().any(|p| layer.id(p).is_some());
    for (positions, what) in [(9..12, "peepholes"), (16..18, "a projection"), (20..24, "layer norm")] {
        if present(positions) {
            return Err(format!("with {what}"));
        }
    }
    if layer.id(1).is_none() {
        return Err("without an input gate".into());
    }
    if o.time_major() {
        return Err("with time before batch".into());
    }
    if o.fused_activation_function() != schema::ActivationFunctionType::TANH {
        return Err(format!("activation {:?}", o.fused_activation_function()));
    }
    if !(o.cell_clip() >= 0.0 && o.cell_clip().is_finite()) {
        return Err(format!("a bound of {} of its state", o.cell_clip()));
    }
    let &[batch, steps, features] = input.shape.as_slice() else {
        return Err(format!("an input of shape {:?} instead of 3 dimensions", input.shape));
    };
    let units = layer.input(5)?.shape.first().copied().unwrap_or(0);
    layer.expect_output(&[batch, steps, units])?;
    let weights = stacked(layer, 1, &[units, features], "weights")?;
    let recurrent = stacked(layer, 5, &[units, units], "recurrent_weights")?;
    let mut translated = Translated::new(
        Op::Recurrent(Recurrent {
            cell: Cell::Lstm,
            activation: UnaryKind::Tanh,
            gate_activation: UnaryKind::Logistic,
            output_activation: UnaryKind::Tanh,
            reverse: false,
            cell_clip: o.cell_clip(),
        }),
        &[layer.id(0), None, None, None],
    );
    translated.stacked = vec![weights, recurrent];
    if present(12..16) {
        translated.stacked.push(stacked(layer, 12, &[units], "bias")?);
    }
    Ok(translated)
}

/// Four constants from `first` on, one below the other.
fn stacked(layer: &Layer<'_>, first: usize, shape: &[usize], word: &'static str) -> Result<Stacked, Reason> {
    let mut data = Vec::new();
    for position in first..first + 4 {
        let part = layer.input(position)?;
        let Some(constant) = &part.constant else { return Err(format!("its {word} are no constants")) };
        if part.shape != shape {
            return Err(format!("{word} of shape {:?} instead of {shape:?}", part.shape));
        }
        // 8-bit weights of a float layer mean the real numbers that they stand for.
        if !matches!(constant, Constant::F32(_)) && part.quantization.is_none() {
            return Err(format!("{word} of type {}", part.dtype.name()));
        }
        data.extend(constant.to_real(part.quantization.as_ref(), &part.shape));
    }
    let mut whole = shape.to_vec();
    whole[0] *= 4;
    Ok(Stacked { word, shape: whole, data })
}
