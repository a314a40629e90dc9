//! Layers of a quantized graph that compute with constants only: what the device would compute at each
//! inference is computed here, by its own kernels and in the rounding of the file.

use super::{Options, compile};
use crate::aligned::AlignedBuf;
use crate::error::Result;
use crate::execute::{infer, interpreter};
use crate::graph::{Constant, DType, Graph, Node, Op};
use crate::model_file::ModelFile;
use crate::ops;

/// Results larger than this are left to run time: a constant takes flash.
const LARGEST: usize = 1 << 16;

/// The graph with such layers computed; `None` where it has none.
pub(super) fn computed(graph: &Graph, options: &Options) -> Option<Graph> {
    // Moving constants is what a device can do.
    let needs = |graph: &Graph, node: &Node| is_known(graph, node) && !ops::of(&node.op).only_moves_data();
    if !graph.nodes.iter().any(|node| needs(graph, node)) {
        return None;
    }
    let mut graph = graph.clone();
    for node in std::mem::take(&mut graph.nodes) {
        let results = if is_known(&graph, &node) { results(&graph, &node, options).ok() } else { None };
        match results {
            Some(results) => {
                for (&id, constant) in node.outputs.iter().zip(results) {
                    graph.value_mut(id).constant = Some(constant);
                }
            }
            // What cannot be computed is refused where it is lowered, by name.
            None => graph.nodes.push(node),
        }
    }
    Some(graph)
}

/// Whether all operands are constants and the results small enough.
fn is_known(graph: &Graph, node: &Node) -> bool {
    node.input(0).is_some()
        && node.inputs.iter().flatten().all(|&id| graph.constant(Some(id)).is_some())
        && !matches!(node.op, Op::Unsupported(_))
        && node.outputs.iter().all(|&id| graph.value(id).bytes() <= LARGEST)
}

/// The results of a node whose first operand is given to a model of this node alone.
fn results(graph: &Graph, node: &Node, options: &Options) -> Result<Vec<Constant>> {
    let mut alone = Graph { name: node.name.clone(), nodes: vec![node.clone()], ..Graph::default() };
    let mut inputs = Vec::new();
    for (position, id) in node.inputs.iter().enumerate() {
        let Some(id) = *id else { continue };
        let mut value = graph.value(id).clone();
        if position == 0 {
            inputs.push(value.constant.take().map(|constant| constant.to_le_bytes()).unwrap_or_default());
        }
        let own = alone.add_value(value);
        alone.nodes[0].inputs[position] = Some(own);
        if position == 0 {
            alone.inputs.push(own);
        }
    }
    for (position, &id) in node.outputs.iter().enumerate() {
        let own = alone.add_value(graph.value(id).clone());
        alone.nodes[0].outputs[position] = own;
        alone.outputs.push(own);
    }
    let emitted = compile(&alone, &Options { rounding: options.rounding, ..Options::default() })?;
    let file = ModelFile::from_bytes(node.name.as_str(), &emitted.bytes);
    let model = file.model()?;
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let found = infer(&mut interpreter(&model, alone.op_set(), &mut memory)?, &inputs, &mut ())?;
    let typed = node.outputs.iter().zip(&found).map(|(&id, bytes)| decoded(graph.value(id).dtype, bytes));
    Ok(typed.collect())
}

/// Elements as a device stores them.
fn decoded(dtype: DType, bytes: &[u8]) -> Constant {
    fn each<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|&bytes| convert(bytes)).collect()
    }
    match dtype {
        DType::Float32 => Constant::F32(each(bytes, f32::from_le_bytes)),
        DType::Int8 => Constant::I8(each(bytes, i8::from_le_bytes)),
        DType::UInt8 => Constant::U8(bytes.to_vec()),
        DType::Int16 => Constant::I16(each(bytes, i16::from_le_bytes)),
        DType::Int32 => Constant::I32(each(bytes, i32::from_le_bytes)),
        DType::Int64 => Constant::I64(each(bytes, i64::from_le_bytes)),
        DType::Bool => Constant::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Concat, Quantization, Value};

    /// A constant that is quantized anew, turned and joined to what is computed.
    fn joined() -> Graph {
        let mut graph = Graph::default();
        let mut value = |name: &str, shape: &[usize], q: (f32, i32), constant: Option<Constant>| {
            graph.add_value(Value {
                name: name.into(),
                shape: shape.to_vec(),
                dtype: DType::Int8,
                quantization: Some(Quantization::per_tensor(q.0, q.1)),
                constant,
            })
        };
        let x = value("x", &[1, 2], (0.5, 3), None);
        let c = value("c", &[2, 1], (0.25, -5), Some(Constant::I8(vec![-5, 95])));
        let q = value("q", &[2, 1], (0.5, 3), None);
        let r = value("r", &[1, 2], (0.5, 3), None);
        let y = value("y", &[1, 4], (0.5, 3), None);
        let mut node = |op: Op, inputs: &[crate::graph::ValueId], output| {
            let (name, inputs) = (op.name().to_lowercase(), inputs.iter().copied().map(Some).collect());
            graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        };
        node(Op::Quantize, &[c], q);
        node(Op::Reshape, &[q], r);
        node(Op::Concat(Concat { axis: 1, activation: Activation::None }), &[x, r], y);
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        graph
    }

    #[test]
    fn constants_are_quantized_anew_before_the_device_sees_them() {
        let graph = joined();
        let known = computed(&graph, &Options::default()).unwrap();
        assert_eq!(known.nodes.len(), 1);
        // (95 + 5) / 4 = 25 halves, 3 is zero; and zero is zero.
        let r = known.nodes[0].input(1);
        assert_eq!(known.constant(r), Some(&Constant::I8(vec![3, 53])));
        let emitted = compile(&graph, &Options::default()).unwrap();
        assert_eq!(emitted.ops.len(), 1);
        assert!(computed(&known, &Options::default()).is_none());
    }
}
