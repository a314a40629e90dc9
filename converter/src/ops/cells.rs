//! Numbers of recurrent layers for the device. The graph has the matrices of all gates one below the other; the
//! device has the rows of all gates of a unit side by side.

use ferrolite_graph::float::elementwise::unary;
use ferrolite_runtime::ops::recurrent::{POINTS, ZERO_MASKED, table, with_two_steps};
use ferrolite_runtime::ops::{self, gru, lstm, rnn};
use ferrolite_runtime::packing::Packing;
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::params::{
    Gates, GruCurvesParams, GruParams, LstmCurvesParams, LstmParams, Multiplier, RnnParams, Sequence, Term,
};
use ferrolite_schema::{DType, OpCode};

use super::lowering::{Lowered, Lowering};
use super::stage::{self, Quantized, channel_multiplier};
use super::{int16, pack, work};
use crate::error::Result;
use crate::graph::{Cell, Constant, IntegerCell, Node, Recurrent, UnaryKind, Value, ValueId};

/// Scale of the sums of gates.
const SUMS: f64 = 1.0 / 4096.0;

/// Scale of the results of gates.
const RESULTS: f64 = 1.0 / 32768.0;

/// The gates of each cell, by their place in the graph.
const LSTM: [usize; 4] = [0, 1, 2, 3];
const GRU: [usize; 3] = [0, 1, 2];

/// The place of the candidate among the gates of LSTM and GRU.
const CANDIDATE: usize = 2;

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
    if cx.output(node, 0)?.1.dtype == DType::Int16 {
        return lstm_int16(cx, node, layer, inside);
    }
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
    if !has_kernel(layer) {
        return Err(cx.unsupported(node, "its gates have a function whose results are beyond -1..1"));
    }
    match layer.cell {
        Cell::Lstm => lstm(cx, node, layer, common),
        Cell::Gru { .. } => gru(cx, node, layer, common),
        Cell::Simple => rnn(cx, node, layer, common),
    }
}

/// Whether the device computes a cell: results of gates have 15 bits behind the point.
pub(super) fn has_kernel(layer: &Recurrent) -> bool {
    layer.cell == Cell::Simple || is_bounded(layer.gate_activation)
}

/// Whether a cell has the functions of `Lstm` and `Gru` and nothing beyond, or needs curves.
fn is_common(layer: &Recurrent, node: &Node) -> bool {
    let (gate, inner) = (UnaryKind::Logistic, UnaryKind::Tanh);
    // Within int16, sums are below 8.
    let clipped = layer.sum_clip > 0.0 && layer.sum_clip < 8.0;
    let peepholes = node.input(8).is_some();
    let functions = match layer.cell {
        Cell::Lstm => {
            [layer.gate_activation, layer.activation, layer.output_activation] == [gate, inner, inner]
        }
        Cell::Gru { .. } => [layer.gate_activation, layer.activation] == [gate, inner],
        Cell::Simple => function(layer.activation).is_some(),
    };
    functions && !clipped && !peepholes
}

/// Whether all results of a function are within -1..1.
pub(crate) fn is_bounded(kind: UnaryKind) -> bool {
    (-400..=400).all(|x| unary(kind, x as f32 / 4.0).abs() <= 1.0)
}

/// The largest magnitude of a function's results, for arguments of up to this magnitude.
fn largest_result(kind: UnaryKind, argument: f32) -> f32 {
    (-512..=512).map(|x| unary(kind, x as f32 / 512.0 * argument).abs()).fold(0.0, f32::max)
}

/// The exponent of the int16 that holds a function's results, for an int16 of another one as argument.
fn exponent_of_results(kind: UnaryKind, argument: i32) -> i32 {
    if is_bounded(kind) {
        return -15;
    }
    let largest = largest_result(kind, 32767.0 * (argument as f32).exp2());
    ((f64::from(largest) / 32767.0).log2().ceil() as i32).clamp(-15, 0)
}

/// Adds the curve of a function from an int16 to another one, each with two to this power as scale. Arguments are within
/// `clip`, if that is above 0.
fn curve(cx: &mut Lowering<'_>, kind: UnaryKind, [from, to]: [i32; 2], clip: f32) -> Result<u32> {
    let at = |point: i32| {
        let x = (point * 128 - (1 << 15)) as f32 * (from as f32).exp2();
        let x = if clip > 0.0 { x.clamp(-clip, clip) } else { x };
        let y = f64::from(unary(kind, x)) * f64::from(-to).exp2();
        y.round().clamp(-32768.0, 32767.0) as i16
    };
    let points: Vec<i16> = (0..POINTS as i32).map(at).collect();
    cx.constants.add(&points, 4)
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

/// The exponent of what a candidate's function takes: 12 bits behind the point, but for functions without end.
pub(crate) fn exponent_of_argument(layer: &Recurrent, largest: f32) -> i32 {
    if is_bounded(layer.activation) { -12 } else { exponent_for(largest) }
}

/// The exponent of the hidden state of a GRU, which is between results of its candidate.
pub(crate) fn exponent_of_candidate(layer: &Recurrent, sums: i32) -> i32 {
    exponent_of_results(layer.activation, sums)
}

/// The exponent of a plain layer's sum: that of a function by table is prescribed.
pub(crate) fn exponent_of_sums(layer: &Recurrent, largest: f32) -> i32 {
    match layer.activation {
        UnaryKind::Relu => exponent_for(largest),
        _ => exponent_of_argument(layer, largest),
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
    let common = is_common(layer, node);
    let sums = |gate: usize| if gate == CANDIDATE { f64::from(inside.sums).exp2() } else { SUMS };
    let of_candidate = exponent_of_results(layer.activation, inside.sums);
    // What an input gate lets through keeps two bits or more behind it.
    let exponent = if common { inside.exponent } else { inside.exponent.max(of_candidate - 13) };
    let of_output = exponent_of_results(layer.output_activation, exponent);
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
        match (node.input(5), node.input(6)) {
            // The author's variables.
            (Some(kept), Some(cell)) => inputs.extend([kept, cell]),
            _ => {
                inputs.push(cx.state(value("hidden", DType::Int8), &vec![hidden.zero_point as i8; state])?);
                inputs.push(cx.state(value("cell", DType::Int16), &vec![0i16; state])?);
            }
        }
    }
    if let Some(&id) = node.outputs.get(2).filter(|id| outputs.contains(id)) {
        let (scale, zero_point) = cx.quantization(node, cx.graph.value(id))?;
        last_cell = Term { zero_point, multiplier: channel_multiplier(cell / scale) };
    }
    if !inside.keeps_states && (is_given(cx, node, 5) || is_given(cx, node, 6)) {
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
    let clip = clip(layer, exponent);
    // The tangent's argument is 6,144 for 1.0: three halves of twelve bits behind the point.
    let left = 12 + exponent;
    let params = LstmParams {
        sequence,
        input: gates(cx, node, &input, [1, 3], &LSTM, &sums)?,
        recurrent: gates(cx, node, &hidden, [2, 4], &LSTM, &sums)?,
        table: if common { cx.constants.add(&table(), 4)? } else { 0 },
        tanh_multiplier: if left < 0 { 3 } else { 3 << left },
        tanh_shift: if left < 0 { left.unsigned_abs() } else { 0 },
        candidate_shift: -15 + of_candidate - exponent,
        clip,
        multiplier: multiplier(RESULTS * f64::from(of_output).exp2() / hidden.scale),
        zero_point: hidden.zero_point,
        initial_cell,
        last_cell,
    };
    inputs.extend(mask);
    let own = lstm::scratch_bytes(&params.sequence);
    let scratch = scratch(cx, node, own, &params.sequence, (&params.input, LSTM.len(), mask.is_some()))?;
    let macs = work::macs(cx.graph, node);
    if common {
        return Ok(vec![
            Lowered::new(OpCode::Lstm, inputs, outputs, &params)
                .scratch(scratch)
                .macs(macs)
                .keeping(inside.keeps_states),
        ]);
    }
    let table = curve(cx, layer.gate_activation, [-12, -15], layer.sum_clip)?;
    let activation = curve(cx, layer.activation, [inside.sums, of_candidate], layer.sum_clip)?;
    let output = curve(cx, layer.output_activation, [exponent, of_output], 0.0)?;
    let (weights, scale) = peepholes(cx, node)?;
    let params = LstmCurvesParams {
        lstm: LstmParams { table, ..params },
        activation,
        output,
        peepholes: cx.constants.add(&weights, 4)?,
        peephole_count: if weights.is_empty() { 0 } else { params.sequence.units },
        peephole: channel_multiplier(scale * cell / SUMS),
    };
    Ok(vec![
        Lowered::new(OpCode::LstmCurves, inputs, outputs, &params)
            .scratch(scratch)
            .macs(macs)
            .keeping(inside.keeps_states),
    ])
}

/// A layer of int16, which keeps its states: a `.tflite` file's.
fn lstm_int16(
    cx: &mut Lowering<'_>,
    node: &Node,
    layer: &Recurrent,
    inside: IntegerCell,
) -> Result<Vec<Lowered>> {
    let (input, hidden) = (int16::input(cx, node, 0)?, int16::output(cx, node)?);
    if input.zero_point != 0 || hidden.zero_point != 0 || !inside.keeps_states || node.input(4).is_some() {
        return Err(cx.unsupported(node, "int16 with zero points, or without the states of a .tflite file"));
    }
    let &[first, second, features] = input.value.shape.as_slice() else {
        return Err(cx.unsupported(node, "an input that is no sequence"));
    };
    let (batches, steps) = if layer.time_major { (second, first) } else { (first, second) };
    let units = hidden.value.shape[2];
    let sequence = Sequence {
        batches: cx.word(node, batches)?,
        steps: cx.word(node, steps)?,
        features: cx.word(node, features)?,
        units: cx.word(node, units)?,
        time_major: layer.time_major.into(),
        reverse: layer.reverse.into(),
        results: RESULT_BITS[0],
    };
    let bias = match node.input(3).map(|id| &cx.graph.value(id).constant) {
        None => Vec::new(),
        Some(Some(Constant::I64(bias))) => bias.clone(),
        Some(_) => return Err(cx.unsupported(node, "int16 with biases that are not int64")),
    };
    let mut matrix = |position: usize, scale: f64, bias: &[i64]| -> Result<Gates> {
        let (value, weights, quantization) = stage::weights(cx, node, position)?;
        let columns = value.shape[1];
        let order = || (0..units).flat_map(|unit| LSTM.iter().map(move |gate| gate * units + unit));
        let rows: Vec<i8> = order().flat_map(|row| &weights[row * columns..][..columns]).copied().collect();
        let scale_of = |row: usize| quantization.scale.get(row).unwrap_or(&quantization.scale[0]);
        // In float32, as in fully connected layers.
        let factor = |row: usize| f64::from(scale as f32 * scale_of(row)) / SUMS;
        let mut multipliers: Vec<Multiplier> = order().map(|row| channel_multiplier(factor(row))).collect();
        if multipliers.iter().all(|m| *m == multipliers[0]) {
            multipliers.truncate(1);
        }
        let bias: Vec<i64> = order().map(|row| bias.get(row).copied().unwrap_or(0)).collect();
        Ok(Gates {
            packing: Packing::PLAIN.tag(),
            weights: cx.constants.add(&rows, 4)?,
            // The hidden state's product has none.
            bias: if position == 1 { cx.constants.add(&bias, 8)? } else { 0 },
            multipliers: cx.constants.add(&multipliers, 4)?,
            multiplier_count: cx.word(node, multipliers.len())?,
        })
    };
    let (input_gates, recurrent) = (matrix(1, input.scale, &bias)?, matrix(2, hidden.scale, &[])?);
    let exponent = inside.exponent;
    if !(-28..=0).contains(&exponent) {
        return Err(cx.unsupported(node, format_args!("a cell state of scale 2^{exponent}")));
    }
    let left = 12 + exponent;
    let none = Term { zero_point: 0, multiplier: Multiplier { mantissa: 0, shift: -1 } };
    let params = LstmParams {
        sequence,
        input: input_gates,
        recurrent,
        table: cx.constants.add(&table(), 4)?,
        tanh_multiplier: if left < 0 { 3 } else { 3 << left },
        tanh_shift: if left < 0 { left.unsigned_abs() } else { 0 },
        candidate_shift: -30 - exponent,
        clip: clip(layer, exponent),
        multiplier: multiplier(RESULTS * RESULTS / hidden.scale),
        zero_point: 0,
        initial_cell: none,
        last_cell: none,
    };
    let value = |name: &str| Value {
        name: format!("{}/{name}", node.name),
        shape: vec![batches, units],
        dtype: DType::Int16,
        quantization: None,
        constant: None,
    };
    let zeros = vec![0i16; batches * units];
    let inputs = vec![input.id, cx.state(value("hidden"), &zeros)?, cx.state(value("cell"), &zeros)?];
    let scratch = ops::lstm_int16::scratch_bytes(params.sequence.units)
        .ok_or_else(|| cx.unsupported(node, TOO_MANY))?;
    let macs = work::macs(cx.graph, node);
    Ok(vec![Lowered::new(OpCode::LstmInt16, inputs, vec![hidden.id], &params).scratch(scratch).macs(macs)])
}

/// The bound of the cell state's int16; 0 for none.
fn clip(layer: &Recurrent, exponent: i32) -> u32 {
    let bound = f64::from(layer.cell_clip) / f64::from(exponent).exp2();
    if layer.cell_clip > 0.0 { bound.min(32767.0) as u32 } else { 0 }
}

/// The weights of the cell state, those of a unit side by side, and their scale.
fn peepholes(cx: &Lowering<'_>, node: &Node) -> Result<(Vec<i16>, f64)> {
    let Some(id) = node.input(8) else { return Ok((Vec::new(), 1.0)) };
    let value = cx.graph.value(id);
    let scale = value.quantization.as_ref().and_then(|quantization| quantization.tensor());
    let (Some(Constant::I16(weights)), Some((scale, _))) = (&value.constant, scale) else {
        return Err(cx.unsupported(node, "weights of its cell state that are computed"));
    };
    let units = weights.len() / 3;
    let weights = (0..units).flat_map(|unit| (0..3).map(move |gate| weights[gate * units + unit])).collect();
    Ok((weights, scale.into()))
}

fn gru(cx: &mut Lowering<'_>, node: &Node, layer: &Recurrent, common: Layer<'_>) -> Result<Vec<Lowered>> {
    let Layer { input, hidden, sequence, outputs, mask, inside } = common;
    let common = is_common(layer, node);
    let reset_after = layer.cell == Cell::Gru { reset_after: true };
    let sums = |gate: usize| if gate == CANDIDATE { f64::from(inside.sums).exp2() } else { SUMS };
    let state = f64::from(inside.exponent).exp2();
    let given = initial(cx, node, &hidden)?;
    let recurrent = gates(cx, node, &hidden, [2, 4], if reset_after { &GRU } else { &GRU[..2] }, &sums)?;
    let params = GruParams {
        sequence,
        input: gates(cx, node, &input, [1, 3], &GRU, &sums)?,
        recurrent,
        candidate: if reset_after { recurrent } else { gates(cx, node, &hidden, [2, 4], &GRU[2..], &sums)? },
        reset_after: reset_after.into(),
        table: if common { cx.constants.add(&table(), 4)? } else { 0 },
        multiplier: multiplier(state / hidden.scale),
        zero_point: hidden.zero_point,
        initial: channel_multiplier(hidden.scale / state / f64::from(1 << 20)),
    };
    let own = gru::scratch_bytes(&params.sequence);
    let scratch = scratch(cx, node, own, &params.sequence, (&params.input, GRU.len(), mask.is_some()))?;
    let macs = work::macs(cx.graph, node);
    let inputs = std::iter::once(input.id).chain(given.map(|given| given.id)).chain(mask).collect();
    if common {
        return Ok(vec![Lowered::new(OpCode::Gru, inputs, outputs, &params).scratch(scratch).macs(macs)]);
    }
    let table = curve(cx, layer.gate_activation, [-12, -15], layer.sum_clip)?;
    let activation = curve(cx, layer.activation, [inside.sums, inside.exponent], layer.sum_clip)?;
    let params = GruCurvesParams { gru: GruParams { table, ..params }, activation };
    Ok(vec![Lowered::new(OpCode::GruCurves, inputs, outputs, &params).scratch(scratch).macs(macs)])
}

/// Scratch memory of a layer that needs `own` bytes: some more where the target's kernels make the inputs' part of its gates
/// for two steps at once, and no mask leaves out steps.
fn scratch(
    cx: &Lowering<'_>,
    node: &Node,
    own: Option<u32>,
    sequence: &Sequence,
    (input, gates, masked): (&Gates, usize, bool),
) -> Result<u32> {
    let own = own.ok_or_else(|| cx.unsupported(node, TOO_MANY))?;
    let packed = cx.policy.takes_two_rows() && input.packing == cx.policy.dense.tag();
    if !packed || masked || sequence.steps < 2 {
        return Ok(own);
    }
    let two = with_two_steps(own, sequence, cx.word(node, gates)?);
    two.ok_or_else(|| cx.unsupported(node, TOO_MANY))
}

fn rnn(cx: &mut Lowering<'_>, node: &Node, layer: &Recurrent, common: Layer<'_>) -> Result<Vec<Lowered>> {
    let Layer { input, hidden, sequence, outputs, mask, inside } = common;
    let given = initial(cx, node, &hidden)?;
    let sums = f64::from(inside.exponent).exp2();
    let (function, table, results) = match function(layer.activation).filter(|_| is_common(layer, node)) {
        Some(function) => {
            let results = if function < rnn::RELU { RESULTS } else { sums };
            (function, cx.constants.add(&table(), 4)?, results)
        }
        None => {
            let results = exponent_of_results(layer.activation, inside.exponent);
            let points = curve(cx, layer.activation, [inside.exponent, results], layer.sum_clip)?;
            (rnn::CURVE, points, f64::from(results).exp2())
        }
    };
    let params = RnnParams {
        sequence,
        input: gates(cx, node, &input, [1, 3], &[0], &|_| sums)?,
        recurrent: gates(cx, node, &hidden, [2, 4], &[0], &|_| sums)?,
        table,
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
    sums: &dyn Fn(usize) -> f64,
) -> Result<Gates> {
    let (value, weights, quantization) = stage::weights(cx, node, matrix)?;
    let (all, columns) = (value.shape[0], value.shape[1]);
    let units = cx.graph.value(node.outputs[0]).shape[2];
    let bias = stage::bias(cx, node, bias, all)?;
    let order = || (0..units).flat_map(|unit| gates.iter().map(move |gate| gate * units + unit));
    let sums = |row: usize| sums(row / units);
    let rows: Vec<&[i8]> = order().map(|row| &weights[row * columns..][..columns]).collect();
    let scale = |row: usize| quantization.scale.get(row).unwrap_or(&quantization.scale[0]);
    let bias = order().map(|row| bias[row]).collect();
    // The scales of operands are multiplied in float32, as everywhere in fully connected layers of one scale.
    let factors = order().map(|row| f64::from(x.scale as f32 * scale(row)) / sums(row)).collect();
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
