//! Numbers of recurrent layers for the device. The graph has the matrices of all gates one below the other; the
//! device has the rows of all gates of a unit side by side.

use ferrolite_runtime::ops::recurrent::{ZERO_MASKED, table};
use ferrolite_runtime::ops::{gru, lstm, rnn};
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::params::{Gates, GruParams, LstmParams, Multiplier, RnnParams, Sequence, Term};
use ferrolite_schema::{DType, OpCode};

use super::lowering::{Lowered, Lowering};
use super::stage::{self, Quantized, channel_multiplier};
use super::{pack, work};
use crate::error::Result;
use crate::graph::{Cell, Constant, IntegerCell, Node, Recurrent, UnaryKind, Value, ValueId};

/// Scale of the sums of gates.
const SUMS: f64 = 1.0 / 4096.0;

/// Scale of the results of gates.
const RESULTS: f64 = 1.0 / 32768.0;

/// The gates of each cell, by their place in the graph.
const LSTM: [usize; 4] = [0, 1, 2, 3];
const GRU: [usize; 3] = [0, 1, 2];

const TOO_MANY: &str = "more units than the file can hold";

/// Bits of [`Sequence::results`] in the order of the node's results.
const RESULT_BITS: [u32; 3] = [1, 2, 4];

/// What a layer has in common with others of its kind.
struct Layer<'a> {
    input: Quantized<'a>,
    hidden: Quantized<'a>,
    sequence: Sequence,
    /// Results that somebody reads, in their order.
    outputs: Vec<ValueId>,
    /// The truth values of its steps, if it has a mask.
    mask: Option<ValueId>,
    inside: IntegerCell,
}

/// Lowers the node.
pub(super) fn lower(cx: &mut Lowering<'_>, node: &Node, layer: &Recurrent) -> Result<Vec<Lowered>> {
    let Some(inside) = layer.integer else {
        return Err(cx.unsupported(node, super::FLOAT_ONLY));
    };
    let (input, hidden) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
    let [batches, steps] = match layer.time_major {
        false => [input.value.shape[0], input.value.shape[1]],
        true => [input.value.shape[1], input.value.shape[0]],
    };
    let is_read = |id: &ValueId| {
        cx.graph.is_output(*id) || cx.graph.nodes.iter().any(|node| node.inputs.contains(&Some(*id)))
    };
    let mut used: Vec<bool> = node.outputs.iter().map(is_read).collect();
    if !used.contains(&true) {
        used[0] = true;
    }
    let chosen = |numbers: &mut dyn Iterator<Item = u32>| numbers.sum();
    let bits = RESULT_BITS.iter().zip(&used).filter(|(_, used)| **used).map(|(bit, _)| *bit);
    let mut results = chosen(&mut bits.into_iter());
    let mask = node.input(7);
    if let Some(id) = mask {
        let value = cx.graph.value(id);
        if value.dtype != DType::Bool {
            return Err(cx.unsupported(node, format_args!("a mask of type {}", value.dtype.name())));
        }
        if layer.zero_masked {
            results |= ZERO_MASKED;
        }
    }
    let outputs = node.outputs.iter().zip(&used).filter(|(_, used)| **used).map(|(id, _)| *id).collect();
    let sequence = Sequence {
        batches: cx.word(node, batches)?,
        steps: cx.word(node, steps)?,
        features: cx.word(node, input.value.shape[2])?,
        units: cx.word(node, hidden.value.shape[2])?,
        time_major: layer.time_major.into(),
        reverse: layer.reverse.into(),
        results,
    };
    let common = Layer { input, hidden, sequence, outputs, mask, inside };
    if !has_functions(layer) {
        return Err(cx.unsupported(node, "its functions have no kernel of int8"));
    }
    match layer.cell {
        Cell::Lstm => lstm(cx, node, layer, common),
        Cell::Gru { reset_after } => gru(cx, node, reset_after, common),
        Cell::Simple => rnn(cx, node, layer, common),
    }
}

/// Whether the device computes the functions of a cell.
pub(super) fn has_functions(layer: &Recurrent) -> bool {
    let (gate, inner) = (UnaryKind::Logistic, UnaryKind::Tanh);
    match layer.cell {
        Cell::Lstm => {
            [layer.gate_activation, layer.activation, layer.output_activation] == [gate, inner, inner]
        }
        Cell::Gru { .. } => [layer.gate_activation, layer.activation] == [gate, inner],
        Cell::Simple => function(layer.activation).is_some(),
    }
}

/// The number of a plain layer's function.
fn function(activation: UnaryKind) -> Option<u32> {
    Some(match activation {
        UnaryKind::Tanh => rnn::TANH,
        UnaryKind::Logistic => rnn::LOGISTIC,
        UnaryKind::Relu => rnn::RELU,
        _ => return None,
    })
}

/// The power of two that is the scale of an int16 with numbers up to this magnitude, with a quarter to spare.
pub(crate) fn exponent_for(largest: f32) -> i32 {
    let exponent = (f64::from(largest) * 1.25 / 32767.0).log2().ceil();
    exponent.clamp(-15.0, 0.0) as i32
}

/// The exponent of a plain layer's sum: that of a function by table is prescribed.
pub(crate) fn exponent_of_sums(layer: &Recurrent, largest: f32) -> i32 {
    match layer.activation {
        UnaryKind::Relu => exponent_for(largest),
        _ => -12,
    }
}

/// Whether an operand is there and not zero from the start.
fn is_given(cx: &Lowering<'_>, node: &Node, position: usize) -> bool {
    let Some(id) = node.input(position) else { return false };
    let value = cx.graph.value(id);
    let real =
        value.constant.as_ref().map(|constant| constant.to_real(value.quantization.as_ref(), &value.shape));
    real.is_none_or(|real| real.iter().any(|&x| x != 0.0))
}

/// The initial hidden state, if there is one that is not zero.
fn initial<'a>(cx: &Lowering<'a>, node: &Node, hidden: &Quantized<'_>) -> Result<Option<Quantized<'a>>> {
    if !is_given(cx, node, 5) {
        return Ok(None);
    }
    let given = stage::int8_operand(cx, node, 5)?;
    if (given.scale, given.zero_point) != (hidden.scale, hidden.zero_point) {
        return Err(cx.unsupported(node, "an initial state of another scale than the layer's result"));
    }
    Ok(Some(given))
}

fn lstm(cx: &mut Lowering<'_>, node: &Node, layer: &Recurrent, common: Layer<'_>) -> Result<Vec<Lowered>> {
    let Layer { input, hidden, sequence, outputs, mask, inside } = common;
    let exponent = inside.exponent;
    if !(-28..=0).contains(&exponent) {
        return Err(cx.unsupported(node, format_args!("a cell state of scale 2^{exponent}")));
    }
    let cell = f64::from(exponent).exp2();
    let state = (sequence.batches as usize) * (sequence.units as usize);
    let mut inputs = vec![input.id];
    let mut initial_cell = Term { zero_point: 0, multiplier: Multiplier { mantissa: 0, shift: -1 } };
    let mut last_cell = initial_cell;
    if inside.keeps_states {
        let value = |name: &str, dtype| Value {
            name: format!("{}/{name}", node.name),
            shape: vec![sequence.batches as usize, sequence.units as usize],
            dtype,
            quantization: None,
            constant: None,
        };
        inputs.push(cx.state(value("hidden", DType::Int8), &vec![hidden.zero_point as i8; state])?);
        inputs.push(cx.state(value("cell", DType::Int16), &vec![0i16; state])?);
    }
    if let Some(&id) = node.outputs.get(2).filter(|id| outputs.contains(id)) {
        let (scale, zero_point) = cx.quantization(node, cx.graph.value(id))?;
        last_cell = Term { zero_point, multiplier: channel_multiplier(cell / scale) };
    }
    if is_given(cx, node, 5) || is_given(cx, node, 6) {
        let zeros = |quantized: &Quantized<'_>| Value {
            name: format!("{}/zeros", node.name),
            constant: Some(Constant::I8(vec![quantized.zero_point as i8; state])),
            shape: vec![state],
            ..quantized.value.clone()
        };
        let given = match initial(cx, node, &hidden)? {
            Some(given) => given.id,
            None => cx.temporary(zeros(&hidden)),
        };
        let (given_cell, scale, zero_point) = match is_given(cx, node, 6) {
            true => stage::int8_operand(cx, node, 6).map(|cell| (cell.id, cell.scale, cell.zero_point))?,
            false => (cx.temporary(zeros(&hidden)), 1.0, hidden.zero_point),
        };
        inputs.extend([given, given_cell]);
        // What is scaled has 20 bits behind it.
        let factor = scale / cell / f64::from(1 << 20);
        initial_cell = Term { zero_point, multiplier: channel_multiplier(factor) };
    }
    let clip =
        if layer.cell_clip > 0.0 { (f64::from(layer.cell_clip) / cell).min(32767.0) as u32 } else { 0 };
    // The tangent's argument is 6,144 for 1.0: three halves of twelve bits behind the point.
    let left = 12 + exponent;
    let params = LstmParams {
        sequence,
        input: gates(cx, node, &input, [1, 3], &LSTM, SUMS)?,
        recurrent: gates(cx, node, &hidden, [2, 4], &LSTM, SUMS)?,
        table: cx.constants.add(&table(), 4)?,
        tanh_multiplier: if left < 0 { 3 } else { 3 << left },
        tanh_shift: if left < 0 { left.unsigned_abs() } else { 0 },
        candidate_shift: -30 - exponent,
        clip,
        multiplier: multiplier(RESULTS * RESULTS / hidden.scale),
        zero_point: hidden.zero_point,
        initial_cell,
        last_cell,
    };
    inputs.extend(mask);
    let scratch = lstm::scratch_bytes(&params.sequence).ok_or_else(|| cx.unsupported(node, TOO_MANY))?;
    let macs = work::macs(cx.graph, node);
    Ok(vec![Lowered::new(OpCode::Lstm, inputs, outputs, &params).scratch(scratch).macs(macs)])
}

fn gru(cx: &mut Lowering<'_>, node: &Node, reset_after: bool, common: Layer<'_>) -> Result<Vec<Lowered>> {
    let Layer { input, hidden, sequence, outputs, mask, .. } = common;
    let given = initial(cx, node, &hidden)?;
    let recurrent = gates(cx, node, &hidden, [2, 4], if reset_after { &GRU } else { &GRU[..2] }, SUMS)?;
    let params = GruParams {
        sequence,
        input: gates(cx, node, &input, [1, 3], &GRU, SUMS)?,
        recurrent,
        candidate: if reset_after { recurrent } else { gates(cx, node, &hidden, [2, 4], &GRU[2..], SUMS)? },
        reset_after: reset_after.into(),
        table: cx.constants.add(&table(), 4)?,
        multiplier: multiplier(RESULTS / hidden.scale),
        zero_point: hidden.zero_point,
        initial: channel_multiplier(hidden.scale / RESULTS / f64::from(1 << 20)),
    };
    let scratch = gru::scratch_bytes(&params.sequence).ok_or_else(|| cx.unsupported(node, TOO_MANY))?;
    let macs = work::macs(cx.graph, node);
    let inputs = std::iter::once(input.id).chain(given.map(|given| given.id)).chain(mask).collect();
    Ok(vec![Lowered::new(OpCode::Gru, inputs, outputs, &params).scratch(scratch).macs(macs)])
}

fn rnn(cx: &mut Lowering<'_>, node: &Node, layer: &Recurrent, common: Layer<'_>) -> Result<Vec<Lowered>> {
    let Layer { input, hidden, sequence, outputs, mask, inside } = common;
    let given = initial(cx, node, &hidden)?;
    let sums = f64::from(inside.exponent).exp2();
    let function = function(layer.activation).unwrap_or(rnn::LINEAR);
    let results = if function < rnn::RELU { RESULTS } else { sums };
    let params = RnnParams {
        sequence,
        input: gates(cx, node, &input, [1, 3], &[0], sums)?,
        recurrent: gates(cx, node, &hidden, [2, 4], &[0], sums)?,
        table: cx.constants.add(&table(), 4)?,
        function,
        multiplier: multiplier(results / hidden.scale),
        zero_point: hidden.zero_point,
    };
    let scratch = rnn::scratch_bytes(&params.sequence).ok_or_else(|| cx.unsupported(node, TOO_MANY))?;
    let macs = work::macs(cx.graph, node);
    let inputs = std::iter::once(input.id).chain(given.map(|given| given.id)).chain(mask).collect();
    Ok(vec![Lowered::new(OpCode::Rnn, inputs, outputs, &params).scratch(scratch).macs(macs)])
}

/// The matrix and the biases of some gates at two positions, for operands like `x` and sums of this scale, with the rows
/// of a unit side by side.
fn gates(
    cx: &mut Lowering<'_>,
    node: &Node,
    x: &Quantized<'_>,
    [matrix, bias]: [usize; 2],
    gates: &[usize],
    sums: f64,
) -> Result<Gates> {
    let (value, weights, quantization) = stage::weights(cx, node, matrix)?;
    let (all, columns) = (value.shape[0], value.shape[1]);
    let units = cx.graph.value(node.outputs[0]).shape[2];
    let bias = stage::bias(cx, node, bias, all)?;
    let order = || (0..units).flat_map(|unit| gates.iter().map(move |gate| gate * units + unit));
    let rows: Vec<&[i8]> = order().map(|row| &weights[row * columns..][..columns]).collect();
    let scale = |row: usize| quantization.scale.get(row).unwrap_or(&quantization.scale[0]);
    let bias = order().map(|row| bias[row]).collect();
    // The scales of operands are multiplied in float32, as everywhere in fully connected layers of one scale.
    let factors = order().map(|row| f64::from(x.scale as f32 * scale(row)) / sums).collect();
    product(cx, node, x, &rows, (bias, factors), false)
}

/// A matrix of these rows, with a bias and a factor for each, for operands like `x`. Only where its results are int8 the
/// kernels take `general` packings.
pub(super) fn product(
    cx: &mut Lowering<'_>,
    node: &Node,
    x: &Quantized<'_>,
    rows: &[&[i8]],
    (bias, factors): (Vec<i32>, Vec<f64>),
    general: bool,
) -> Result<Gates> {
    let columns = rows.first().map_or(0, |row| row.len());
    let sums = rows.iter().map(|row| row.iter().map(|&w| i32::from(w)).sum()).collect();
    let mut numbers = stage::Channels { bias, sums, factors };
    let size = (cx.word(node, rows.len())?, 1, cx.word(node, columns)?);
    let rows = || rows.iter().copied();
    let shape = match general {
        true => pack::choose_general(cx, cx.policy.dense, size, &mut numbers, x, rows()),
        false => pack::choose(cx, cx.policy.dense, size, &mut numbers, x, rows()),
    };
    let weights = pack::store(cx, &shape, rows())?;
    let fold = |(bias, sum): (&i32, &i32)| bias.wrapping_sub(x.zero_point.wrapping_mul(*sum));
    let bias: Vec<i32> = numbers.bias.iter().zip(&numbers.sums).map(fold).collect();
    let mut multipliers: Vec<Multiplier> =
        numbers.factors.iter().map(|&factor| channel_multiplier(factor)).collect();
    if multipliers.iter().all(|m| *m == multipliers[0]) {
        multipliers.truncate(1);
    }
    Ok(Gates {
        packing: shape.packing.tag(),
        weights,
        bias: cx.constants.add(&bias, 4)?,
        multipliers: cx.constants.add(&multipliers, 4)?,
        multiplier_count: cx.word(node, multipliers.len())?,
    })
}
