//! Layers of int8 that are a table of 256 results, whatever they are called.
//!
//! - CAST to int32, ADD 128, GATHER from a constant: how [`crate::emit::tflite()`] writes a function of one
//!   number for which TensorFlow Lite has no int8 operator.
//! - RELU6 between tensors of different quantization: TFLM's kernel clamps the input's integers to zero and
//!   six on the *input's* grid and leaves them as they are (`activations.cc`, `Relu6Eval`).
//! - LOGISTIC and TANH whose result has another quantization than the one that their kernels compute in:
//!   TFLM ignores what the file says (`logistic_common.cc`, `tanh.cc`).

use ferrolite_runtime::quant;

use crate::graph::{
    Activation, Binary, BinaryKind, Constant, DType, Gather, Graph, Node, Op, UnaryKind, Value, ValueId,
};

/// Results of all functions of an int8 number.
const RESULTS: usize = 256;

/// Scales that differ by less mean the same numbers: 1/255 instead of 1/256 is one step at the end.
const NEARLY: f32 = 0.01;

/// Turns such layers into LOOKUP. CAST and ADD stay, for whoever else reads them. `warnings` says whose results
/// stand for other numbers than their scale says.
pub(super) fn run(graph: &mut Graph, warnings: &mut Vec<String>) {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let operands = match node.op {
            Op::Gather(Gather { axis: 0, batch_dims: 0 }) => cast_and_look_up(graph, node),
            Op::Unary(UnaryKind::Relu6) => {
                clamp(graph, node).map(|(input, table)| (input, graph.add_value(table)))
            }
            Op::Unary(kind @ (UnaryKind::Logistic | UnaryKind::Tanh)) => {
                let table = own_grid(graph, node, kind, warnings);
                table.map(|(input, table)| (input, graph.add_value(table)))
            }
            _ => None,
        };
        if let Some((input, table)) = operands {
            let node = &mut graph.nodes[index];
            if let (Op::Unary(_), Some(&result)) = (&node.op, node.outputs.first()) {
                graph.authored.entry(result).or_insert_with(|| node.op.name().to_string());
            }
            (node.op, node.inputs) = (Op::Lookup, vec![Some(input), Some(table)]);
        }
    }
}

/// Input and table of a GATHER whose indices are an int8 tensor plus 128.
fn cast_and_look_up(graph: &Graph, node: &Node) -> Option<(ValueId, ValueId)> {
    let table = node.input(0)?;
    let known = graph.value(table);
    if !matches!(&known.constant, Some(Constant::I8(results)) if results.len() == RESULTS) {
        return None;
    }
    let sum = producer(graph, node.input(1)?)?;
    let add = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
    let is_half = |id: &ValueId| graph.value(*id).constant.as_ref().is_some_and(is_half);
    let operands: Vec<ValueId> = sum.inputs.iter().flatten().copied().collect();
    let cast = match operands.as_slice() {
        [computed, half] | [half, computed] if sum.op == add && is_half(half) => producer(graph, *computed)?,
        _ => return None,
    };
    let input = cast.input(0)?;
    let (from, to) = (graph.value(input), graph.value(*cast.outputs.first()?));
    let is_cast = matches!(cast.op, Op::Cast(_));
    (is_cast && from.dtype == DType::Int8 && to.dtype == DType::Int32 && known.shape == [RESULTS])
        .then_some((input, table))
}

/// Whether a constant is the distance from the smallest int8 to zero.
fn is_half(constant: &Constant) -> bool {
    *constant == Constant::I32(vec![128])
}

fn producer(graph: &Graph, id: ValueId) -> Option<&Node> {
    graph.nodes.iter().find(|node| node.outputs.contains(&id))
}

/// Input and table of a RELU6 that does not rescale although its result has another quantization.
fn clamp(graph: &Graph, node: &Node) -> Option<(ValueId, Value)> {
    let input = node.input(0)?;
    let (from, to) = (graph.value(input), graph.value(*node.outputs.first()?));
    // LiteRT's kernel of uint8 rescales.
    let rescales = node.outputs.iter().any(|id| graph.from_uint8.contains(id));
    let int8 = from.dtype == DType::Int8 && to.dtype == DType::Int8;
    if !int8 || rescales || from.quantization == to.quantization {
        return None;
    }
    let (scale, zero_point) = from.quantization.as_ref()?.tensor()?;
    let [low, high] = [0.0, 6.0].map(|real| quant::quantize(real, scale, zero_point, -128, 127) as i8);
    Some((input, table(to, (i8::MIN..=i8::MAX).map(|x| x.min(high).max(low)).collect())))
}

/// Input and table of a LOGISTIC or TANH whose file gives the result another quantization than the kernel's
/// own, which TFLM computes in all the same. It refuses to run a LOGISTIC with another zero point.
fn own_grid(
    graph: &Graph,
    node: &Node,
    kind: UnaryKind,
    warnings: &mut Vec<String>,
) -> Option<(ValueId, Value)> {
    let input = node.input(0)?;
    let (from, to) = (graph.value(input), graph.value(*node.outputs.first()?));
    if from.dtype != DType::Int8 || to.dtype != DType::Int8 {
        return None;
    }
    let own = if kind == UnaryKind::Logistic { (1.0 / 256.0, -128) } else { (1.0 / 128.0, 0) };
    let said = to.quantization.as_ref()?.tensor()?;
    if said == own || (kind == UnaryKind::Logistic && said.1 != own.1) {
        return None;
    }
    let results = crate::ops::unary_results(kind, from, own)?;
    if (said.0 / own.0 - 1.0).abs() > NEARLY || said.1 != own.1 {
        warnings.push(format!(
            "layer `{}` ({}): its result has scale {} and zero point {}, but TFLM's kernel computes in scale {} and \
             zero point {}, whatever the file says; the integers are TFLM's, and stand for other numbers than \
             the scale says. Quantize the model again with a current TensorFlow",
            node.name,
            node.op.name(),
            said.0,
            said.1,
            own.0,
            own.1
        ));
    }
    Some((input, table(to, results)))
}

/// The table whose results have the quantization of `result`.
fn table(result: &Value, results: Vec<i8>) -> Value {
    Value {
        name: format!("{}/table", result.name),
        shape: vec![RESULTS],
        dtype: DType::Int8,
        quantization: result.quantization.clone(),
        constant: Some(Constant::I8(results)),
    }
}
