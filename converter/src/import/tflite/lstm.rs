//! UNIDIRECTIONAL_SEQUENCE_LSTM without peepholes, projection and layer norm: in float, from fresh states, and in int8
//! or int16, where it keeps its states from one inference to the next as TFLM does. BIDIRECTIONAL_SEQUENCE_LSTM in float,
//! with peepholes, from fresh states: LiteRT's kernel has no other type, and TFLM none at all.
//!
//! Operands: input; four matrices for the input and four for the state, four peepholes, four biases, in
//! the order of the gates (input, forget, cell, output); two of the projection; the two states; four of
//! the layer norm. The graph's layer has the gates' matrices one below the other.

use super::layer::{Layer, Place, Reason, Stacked, Step, Translated, options};
use crate::graph::{
    Activation, Cell, Concat, Constant, DType, IntegerCell, Op, Quantization, Recurrent, Split, UnaryKind,
    Value,
};
use crate::tflite as schema;

/// The operands that hold the layer's state: zero before each inference.
pub(super) const STATES: [usize; 2] = [18, 19];

pub(super) fn sequence_lstm(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_unidirectional_sequence_lstmoptions())?;
    let input = layer.input(0)?;
    if !matches!(input.dtype, DType::Float32 | DType::Int8 | DType::Int16) {
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
    let (lstm, [first, second, features]) =
        lstm(input, o.fused_activation_function(), o.cell_clip(), o.time_major())?;
    let units = layer.input(5)?.shape.first().copied().unwrap_or(0);
    layer.expect_output(&[first, second, units])?;
    let integer = if input.dtype == DType::Float32 { None } else { Some(integer(layer, input.dtype)?) };
    let weights = stacked(layer, 1..5, &[units, features], "weights", integer.is_some())?;
    let recurrent = stacked(layer, 5..9, &[units, units], "recurrent_weights", integer.is_some())?;
    let mut translated =
        Translated::new(Op::Recurrent(Recurrent { integer, ..lstm }), &[layer.id(0), None, None, None]);
    translated.stacked = vec![weights, recurrent];
    if present(12..16) {
        translated.stacked.push(stacked(layer, 12..16, &[units], "bias", integer.is_some())?);
    }
    Ok(translated)
}

/// The layer that both operators' options tell of, and the dimensions of its input.
fn lstm(
    input: &Value,
    activation: schema::ActivationFunctionType,
    cell_clip: f32,
    time_major: bool,
) -> Result<(Recurrent, [usize; 3]), Reason> {
    if activation != schema::ActivationFunctionType::TANH {
        return Err(format!("activation {activation:?}"));
    }
    if !(cell_clip >= 0.0 && cell_clip.is_finite()) {
        return Err(format!("a bound of {cell_clip} of its state"));
    }
    let &[first, second, features] = input.shape.as_slice() else {
        return Err(format!("an input of shape {:?} instead of 3 dimensions", input.shape));
    };
    let lstm = Recurrent {
        cell: Cell::Lstm,
        activation: UnaryKind::Tanh,
        gate_activation: UnaryKind::Logistic,
        output_activation: UnaryKind::Tanh,
        reverse: false,
        cell_clip,
        sum_clip: 0.0,
        zero_masked: false,
        time_major,
        integer: None,
    };
    Ok((lstm, [first, second, features]))
}

/// The states of BIDIRECTIONAL_SEQUENCE_LSTM.
pub(super) const BOTH_STATES: std::ops::Range<usize> = 35..39;

/// One direction of BIDIRECTIONAL_SEQUENCE_LSTM: the operands where its parts begin.
struct Direction {
    weights: usize,
    projection: usize,
    reverse: bool,
    words: [&'static str; 4],
}

const DIRECTIONS: [Direction; 2] = [
    Direction {
        weights: 1,
        projection: 16,
        reverse: false,
        words: ["forward/weights", "forward/recurrent_weights", "forward/peepholes", "forward/bias"],
    },
    Direction {
        weights: 18,
        projection: 33,
        reverse: true,
        words: ["backward/weights", "backward/recurrent_weights", "backward/peepholes", "backward/bias"],
    },
];

/// Operands of a direction, from its weights on: four matrices for the input and four for the state, three peepholes, four
/// biases. Source: `tensorflow/lite/kernels/bidirectional_sequence_lstm.cc`.
pub(super) fn both_directions(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_bidirectional_sequence_lstmoptions())?;
    let input = layer.input(0)?;
    if input.dtype != DType::Float32 {
        return Err(format!("in {}, which no kernel of TensorFlow Lite computes", input.dtype.name()));
    }
    if (39..48).any(|position| layer.id(position).is_some()) {
        return Err("with an input for each direction".into());
    }
    let (lstm, [first, second, features]) =
        lstm(input, o.fused_activation_function(), o.cell_clip(), o.time_major())?;
    let (mut steps, mut made, mut widths) = (Vec::new(), Vec::new(), Vec::new());
    for direction in &DIRECTIONS {
        let at = direction.weights;
        if [0, 1].iter().any(|more| layer.id(direction.projection + more).is_some()) {
            return Err("with a projection".into());
        }
        if layer.id(at).is_none() {
            return Err("without an input gate".into());
        }
        let units = layer.input(at + 4)?.shape.first().copied().unwrap_or(0);
        let [weights, recurrent, peepholes, bias] = direction.words;
        let mut inputs = vec![Place::Operand(layer.id(0))];
        inputs.resize(9, Place::Operand(None));
        let mut add = |position: usize, part: Stacked| {
            inputs[position] = Place::Made(made.len());
            made.push(part);
        };
        add(1, stacked(layer, at..at + 4, &[units, features], weights, false)?);
        add(2, stacked(layer, at + 4..at + 8, &[units, units], recurrent, false)?);
        if layer.id(at + 11).is_some() {
            add(3, stacked(layer, at + 11..at + 15, &[units], bias, false)?);
        }
        if layer.id(at + 8).is_some() || layer.id(at + 9).is_some() {
            add(8, stacked(layer, at + 8..at + 11, &[units], peepholes, false)?);
        }
        let op = Op::Recurrent(Recurrent { reverse: direction.reverse, ..lstm });
        steps.push(Step { op, inputs, shape: vec![first, second, units] });
        widths.push(units);
    }
    let joined = vec![first, second, widths[0] + widths[1]];
    let join = Op::Concat(Concat { axis: 2, activation: Activation::None });
    let parts = vec![Place::Step(0), Place::Step(1)];
    steps.push(Step { op: join, inputs: parts, shape: joined.clone() });
    if o.merge_outputs() {
        layer.expect_output(&joined)?;
    } else {
        let found: Vec<&[usize]> = layer.results().map(|result| result.shape.as_slice()).collect();
        let wanted = [first, second, widths[0]];
        if widths[0] != widths[1] || found != [wanted, wanted] {
            return Err(format!("results of shapes {found:?} for {widths:?} units"));
        }
        // A layer of several nodes has its results from one of them: they are joined and taken apart again.
        let split = Op::Split(Split { axis: 2 });
        steps.push(Step { op: split, inputs: vec![Place::Step(2)], shape: wanted.to_vec() });
    }
    let mut translated = Translated::several(steps, layer.inputs);
    translated.stacked = made;
    Ok(translated)
}

/// What a layer of int8 or int16 has inside.
fn integer(layer: &Layer<'_>, dtype: DType) -> Result<IntegerCell, Reason> {
    let (hidden, cell) = (layer.input(STATES[0])?, layer.input(STATES[1])?);
    if hidden.dtype != dtype || cell.dtype != DType::Int16 {
        return Err(format!("with states of {} and {}", hidden.dtype.name(), cell.dtype.name()));
    }
    let tensor = |quantization: &Option<Quantization>| quantization.as_ref().and_then(Quantization::tensor);
    if tensor(&hidden.quantization) != tensor(&layer.output()?.quantization) {
        return Err("whose state and result have different scales".into());
    }
    let scale = tensor(&cell.quantization).map_or(0.0, |(scale, _)| scale);
    let exponent = scale.log2().round();
    if !(scale > 0.0 && (scale.log2() - exponent).abs() < 1e-3) {
        return Err(format!("with a cell state of scale {scale}, which is no power of two"));
    }
    Ok(IntegerCell { exponent: exponent as i32, sums: -12, keeps_states: true })
}

/// Constants, one below the other.
fn stacked(
    layer: &Layer<'_>,
    positions: std::ops::Range<usize>,
    shape: &[usize],
    word: &'static str,
    integer: bool,
) -> Result<Stacked, Reason> {
    let (mut real, mut bytes, mut words, mut long) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut scale = Vec::new();
    let count = positions.len();
    for position in positions {
        let part = layer.input(position)?;
        let Some(constant) = &part.constant else { return Err(format!("its {word} are no constants")) };
        if part.shape != shape {
            return Err(format!("{word} of shape {:?} instead of {shape:?}", part.shape));
        }
        match (integer, constant, &part.quantization) {
            (true, Constant::I8(part), Some(q)) if q.is_per_tensor() && q.zero_point == [0] => {
                bytes.extend(part);
                scale.extend(vec![q.scale[0]; shape[0]]);
            }
            (true, Constant::I32(part), q) => {
                words.extend(part);
                scale.extend(vec![q.as_ref().map_or(1.0, |q| q.scale[0]); shape[0]]);
            }
            (true, Constant::I64(part), q) => {
                long.extend(part);
                scale.extend(vec![q.as_ref().map_or(1.0, |q| q.scale[0]); shape[0]]);
            }
            (true, ..) => return Err(format!("{word} of type {}, or not of one scale", part.dtype.name())),
            // 8-bit weights of a float layer mean the real numbers that they stand for.
            (false, Constant::F32(_), _) | (false, _, Some(_)) => {
                real.extend(constant.to_real(part.quantization.as_ref(), &part.shape));
            }
            (false, _, None) => return Err(format!("{word} of type {}", part.dtype.name())),
        }
    }
    let mut whole = shape.to_vec();
    whole[0] *= count;
    let constant = match integer {
        true if !long.is_empty() => Constant::I64(long),
        true if bytes.is_empty() => Constant::I32(words),
        true => Constant::I8(bytes),
        false => Constant::F32(real),
    };
    if constant.len() != whole.iter().product::<usize>() {
        return Err(format!("{word} of several types"));
    }
    Ok(Stacked {
        word,
        shape: whole,
        constant,
        quantization: integer.then(|| Quantization::per_channel(scale, 0)),
    })
}
