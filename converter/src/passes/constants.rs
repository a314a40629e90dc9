//! Nodes whose operands are all constant are computed by the float reference: float nodes of any kind,
//! integer nodes only if they just move elements.

use ferrolite_runtime::quant;

use crate::graph::{Constant, DType, Graph, Node, Op};
use crate::ops;
use crate::reference::execute_node;

/// Above this an integer is not exact in f32.
const EXACT: i64 = 1 << 24;

/// Larger results are left to run time, since a constant takes flash.
const LARGEST: usize = 1 << 16;

/// Computes constant nodes; returns how many.
pub(crate) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    for node in std::mem::take(&mut graph.nodes) {
        match evaluate(graph, &node) {
            Some(constants) => {
                for (&id, constant) in node.outputs.iter().zip(constants) {
                    graph.value_mut(id).constant = Some(constant);
                }
                count += 1;
            }
            None => graph.nodes.push(node),
        }
    }
    count
}

/// The results of a node, if they can be computed now.
pub(crate) fn evaluate(graph: &Graph, node: &Node) -> Option<Vec<Constant>> {
    if node.outputs.is_empty() || node.outputs.iter().any(|&id| graph.is_output(id)) {
        return None;
    }
    if node.outputs.iter().any(|&id| graph.value(id).elements() > LARGEST) {
        return None;
    }
    if node.op == Op::Quantize {
        return Some(vec![quantized(graph, node)?]);
    }
    let moves = ops::of(&node.op).copies();
    let mut operands = Vec::with_capacity(node.inputs.len());
    for id in &node.inputs {
        let Some(id) = id else {
            operands.push(Vec::new());
            continue;
        };
        operands.push(match graph.value(*id).constant.as_ref()? {
            Constant::F32(v) => v.clone(),
            integers if moves => {
                let integers = integers.to_i64()?;
                if integers.iter().any(|x| x.unsigned_abs() > EXACT as u64) {
                    return None;
                }
                integers.iter().map(|&x| x as f32).collect()
            }
            _ => return None,
        });
    }
    let slices: Vec<&[f32]> = operands.iter().map(Vec::as_slice).collect();
    let results = execute_node(graph, node, &slices).ok()?;
    let typed = node.outputs.iter().zip(results).map(|(&id, data)| typed(graph.value(id).dtype, data));
    typed.collect()
}

/// The int8 elements of known real numbers.
fn quantized(graph: &Graph, node: &Node) -> Option<Constant> {
    let real = graph.constant(node.input(0))?.as_f32()?;
    let target = graph.value(*node.outputs.first()?);
    let quantization = target.quantization.as_ref().filter(|_| target.dtype == DType::Int8)?;
    let inner: usize = target.shape.iter().skip(quantization.axis + 1).product::<usize>().max(1);
    let channels = quantization.scale.len();
    let integer = |(i, &x): (usize, &f32)| {
        let c = if channels == 1 { 0 } else { i / inner % channels };
        let (scale, zero_point) = (quantization.scale.get(c)?, quantization.zero_point.get(c)?);
        Some(quant::quantize(x, *scale, *zero_point, -128, 127) as i8)
    };
    Some(Constant::I8(real.iter().enumerate().map(integer).collect::<Option<_>>()?))
}

/// Numbers as a constant of type `dtype`. For an integer type, all of them are whole.
fn typed(dtype: DType, data: Vec<f32>) -> Option<Constant> {
    Some(match dtype {
        DType::Float32 => Constant::F32(data),
        // In range, because the elements came from a tensor of the same type.
        DType::Int8 => Constant::I8(data.iter().map(|&x| x as i8).collect()),
        DType::UInt8 => Constant::U8(data.iter().map(|&x| x as u8).collect()),
        DType::Int16 => Constant::I16(data.iter().map(|&x| x as i16).collect()),
        DType::Int32 => Constant::I32(data.iter().map(|&x| x as i32).collect()),
        DType::Int64 => Constant::I64(data.iter().map(|&x| x as i64).collect()),
        DType::Bool => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::rewrite;
    use super::super::testing::Build;
    use super::*;
    use crate::graph::{Activation, Binary, BinaryKind, Quantization, UnaryKind};

    #[test]
    fn a_chain_of_constants_collapses() {
        let mut b = Build::new(&[3]);
        let c = b.constant(&[3], |i| i as f32 - 1.0);
        let c = b.node(Op::Unary(UnaryKind::Square), &[c], &[3]);
        let c = b.node(Op::Reshape, &[c], &[1, 3]);
        let add = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
        let y = b.node(add, &[b.input(), c], &[1, 3]);
        let mut graph = b.finish(y);
        assert_eq!(run(&mut graph), 2);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.constant(graph.nodes[0].input(1)), Some(&Constant::F32(vec![1.0, 0.0, 1.0])));
    }

    #[test]
    fn constants_are_quantized_channel_by_channel() {
        let mut b = Build::new(&[2, 2]);
        let c = b.constant(&[2, 2], |i| i as f32 - 1.0);
        let q = b.node(Op::Quantize, &[c], &[2, 2]);
        let d = b.node(Op::Dequantize, &[q], &[2, 2]);
        let y = b.node(Op::Reshape, &[d], &[4]);
        let value = b.graph.value_mut(q);
        value.dtype = DType::Int8;
        value.quantization = Some(Quantization { scale: vec![0.5, 0.01], zero_point: vec![3, 0], axis: 0 });
        let mut graph = b.finish(y);
        assert_eq!(run(&mut graph), 1);
        assert_eq!(graph.constant(Some(q)), Some(&Constant::I8(vec![1, 3, 100, 127])));
    }

    #[test]
    fn integers_are_moved_but_not_computed_with() {
        let mut b = Build::new(&[2]);
        let c = rewrite::add_constant(&mut b.graph, "c".into(), vec![2], Constant::I8(vec![-128, 127]), None);
        let moved = b.node(Op::Reshape, &[c], &[2, 1]);
        let computed = b.node(Op::Unary(UnaryKind::Neg), &[c], &[2]);
        b.graph.value_mut(moved).dtype = DType::Int8;
        b.graph.value_mut(computed).dtype = DType::Int8;
        let mut graph = b.finish(computed);
        assert_eq!(run(&mut graph), 1);
        assert_eq!(graph.constant(Some(moved)), Some(&Constant::I8(vec![-128, 127])));
    }
}
