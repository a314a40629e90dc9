//! Numbers of recurrent layers for the device. The graph has the matrices of all gates one below the other; the
//! device has the rows of all gates of a unit side by side.

use ferrolite_runtime::ops::lstm;
use ferrolite_runtime::ops::recurrent::table;
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::params::{Gates, LstmParams, Multiplier, Sequence, Term};
use ferrolite_schema::{DType, OpCode};

use super::lowering::{Lowered, Lowering};
use super::stage::{self, Quantized, channel_multiplier};
use super::{pack, work};
use crate::error::Result;
use crate::graph::{Cell, IntegerCell, Node, Recurrent, UnaryKind, Value, ValueId};

/// Scale of the sums of gates.
const SUMS: f64 = 1.0 / 4096.0;

/// Scale of the results of gates.
const RESULTS: f64 = 1.0 / 32768.0;

/// Bits of [`Sequence::results`] in the order of the node's results.
const RESULT_BITS: [u32; 3] = [1, 2, 4];

/// What a layer has in common with others of its kind.
struct Layer<'a> {
    input: Quantized<'a>,
    hidden: Quantized<'a>,
    sequence: Sequence,
    /// Results that somebody reads, in their order.
    outputs: Vec<ValueId>,
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
    let results = chosen(&mut bits.into_iter());
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
    let common = Layer { input, hidden, sequence, outputs, inside };
    match layer.cell {
        Cell::Lstm => lstm(cx, node, layer, common),
        _ => Err(cx.unsupported(node, super::FLOAT_ONLY)),
    }
}

/// Whether the device computes the functions of a cell.
pub(super) fn has_functions(layer: &Recurrent) -> bool {
    let (gate, inner) = (UnaryKind::Logistic, UnaryKind::Tanh);
    match layer.cell {
        Cell::Lstm => {
            [layer.gate_activation, layer.activation, layer.output_activation] == [gate, inner, inner]
        }
        _ => false,
    }
}

fn lstm(cx: &mut Lowering<'_>, node: &Node, layer: &Recurrent, common: Layer<'_>) -> Result<Vec<Lowered>> {
    let Layer { input, hidden, sequence, outputs, inside } = common;
    if !has_functions(layer) {
        return Err(
            cx.unsupported(node, "with other functions than LOGISTIC for gates and TANH for the rest")
        );
    }
    let exponent = inside.cell_exponent;
    if !(-30..=0).contains(&exponent) {
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
    if node.input(5).is_some() || node.input(6).is_some() {
        let (given, given_cell) = (stage::int8_input(cx, node, 5)?, stage::int8_input(cx, node, 6)?);
        if (given.scale, given.zero_point) != (hidden.scale, hidden.zero_point) {
            return Err(cx.unsupported(node, "an initial state of another scale than the layer's result"));
        }
        inputs.extend([given.id, given_cell.id]);
        // What is scaled has 20 bits behind it.
        let factor = given_cell.scale / cell / f64::from(1 << 20);
        initial_cell = Term { zero_point: given_cell.zero_point, multiplier: channel_multiplier(factor) };
    }
    let clip =
        if layer.cell_clip > 0.0 { (f64::from(layer.cell_clip) / cell).min(32767.0) as u32 } else { 0 };
    // The tangent's argument is 6,144 for 1.0: three halves of twelve bits behind the point.
    let left = 12 + exponent;
    let params = LstmParams {
        sequence,
        input: gates(cx, node, &input, [1, 3], Cell::Lstm.gates())?,
        recurrent: gates(cx, node, &hidden, [2, 4], Cell::Lstm.gates())?,
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
    let scratch = lstm::scratch_bytes(&params.sequence)
        .ok_or_else(|| cx.unsupported(node, "more units than the file can hold"))?;
    let macs = work::macs(cx.graph, node);
    Ok(vec![Lowered::new(OpCode::Lstm, inputs, outputs, &params).scratch(scratch).macs(macs)])
}

/// The matrix and the biases at two positions, for operands like `x`, with the rows of a unit side by side.
fn gates(
    cx: &mut Lowering<'_>,
    node: &Node,
    x: &Quantized<'_>,
    [matrix, bias]: [usize; 2],
    count: usize,
) -> Result<Gates> {
    let (value, weights, quantization) = stage::weights(cx, node, matrix)?;
    let (rows, columns) = (value.shape[0], value.shape[1]);
    let units = rows / count;
    let bias = stage::bias(cx, node, bias, rows)?;
    let order = || (0..units).flat_map(|unit| (0..count).map(move |gate| gate * units + unit));
    let row = |row: usize| &weights[row * columns..][..columns];
    let scale = |row: usize| quantization.scale.get(row).unwrap_or(&quantization.scale[0]);
    let mut numbers = stage::Channels {
        bias: order().map(|row| bias[row]).collect(),
        sums: order().map(|at| row(at).iter().map(|&w| i32::from(w)).sum()).collect(),
        // The scales of operands are multiplied in float32, as everywhere in fully connected layers of one scale.
        factors: order().map(|row| f64::from(x.scale as f32 * scale(row)) / SUMS).collect(),
    };
    let size = (cx.word(node, rows)?, 1, cx.word(node, columns)?);
    let shape = pack::choose(cx, cx.policy.dense, size, &mut numbers, x, order().map(row));
    let weights = pack::store(cx, &shape, order().map(row))?;
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
