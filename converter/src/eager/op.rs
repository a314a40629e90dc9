//! Runs one operator: makes, writes and runs a model of one layer.

use super::Tensor;
use crate::aligned::AlignedBuf;
use crate::emit;
use crate::error::{Error, Result};
use crate::execute::{infer, interpreter};
use crate::graph::{Graph, Node, Op, Quantization};
use crate::model_file::ModelFile;
use crate::reference::infer_shape;

/// Computes one operator with the device's kernels. `inputs` are the operands by position; those that are
/// known before inference are marked with [`Tensor::constant`]. `results` describe name, shape, type and
/// quantization of the results, which are returned with their elements.
///
/// A result of shape `[]` gets its shape from the operands if that is possible (not for RESHAPE,
/// TRANSPOSE_CONV, SPLIT, UNPACK and resizing). An int32 bias without a quantization gets that of TFLite:
/// input scale times weight scale.
///
/// # Errors
/// When shapes, types or quantizations do not fit the operator, or the operator is not supported in that
/// form. The error names the operator.
pub fn run_op(op: &Op, inputs: &[&Tensor], results: &[Tensor]) -> Result<Vec<Tensor>> {
    let name = op.name().to_lowercase();
    let mut graph = Graph { name: name.clone(), ..Graph::default() };
    let layer = format!("layer `{name}` ({})", op.name());
    // Errors of the operator itself already name it.
    let named = |error: &Error| error.named_layer() == Some(&name);
    let in_layer = |error: Error| if named(&error) { error } else { error.context(&layer) };
    if inputs.iter().all(|tensor| tensor.is_constant) || results.is_empty() {
        return Err(in_layer(Error::input("it needs an operand that is not constant, and a result")));
    }
    let mut operands = Vec::new();
    for tensor in inputs {
        let id = graph.add_value(tensor.value().map_err(in_layer)?);
        operands.push(Some(id));
        if !tensor.is_constant {
            graph.inputs.push(id);
        }
    }
    let mut results = results.to_vec();
    for tensor in &mut results {
        if tensor.shape.is_empty() {
            let shapes: Vec<Option<&[usize]>> = inputs.iter().map(|input| Some(&input.shape[..])).collect();
            let node = Node { name: name.clone(), op: op.clone(), inputs: Vec::new(), outputs: Vec::new() };
            tensor.shape = infer_shape(&node, &shapes)?;
        }
        let id = graph.add_value(Tensor { is_constant: false, ..tensor.clone() }.value().map_err(in_layer)?);
        graph.outputs.push(id);
    }
    bias_by_convention(&mut graph, &operands);
    let outputs = graph.outputs.clone();
    graph.nodes.push(Node { name: name.clone(), op: op.clone(), inputs: operands, outputs });

    let emitted = emit::compile(&graph, &emit::Options::default()).map_err(in_layer)?;
    let file = ModelFile::from_bytes(name.as_str(), &emitted.bytes);
    let model = file.model()?;
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let bytes: Vec<Vec<u8>> =
        inputs.iter().filter(|tensor| !tensor.is_constant).map(|tensor| tensor.bytes.clone()).collect();
    let found =
        infer(&mut interpreter(&model, graph.op_set(), &mut memory)?, &bytes, &mut ()).map_err(in_layer)?;
    Ok(results.into_iter().zip(found).map(|(result, bytes)| Tensor { bytes, ..result }).collect())
}

/// Gives the bias of a layer with weights its scale, if it has none.
fn bias_by_convention(graph: &mut Graph, operands: &[Option<crate::graph::ValueId>]) {
    let &[Some(input), Some(weights), Some(bias)] = operands else { return };
    let quantization = |id| graph.value(id).quantization.as_ref();
    let (Some((scale, _)), Some(weights)) =
        (quantization(input).and_then(|q| q.tensor()), quantization(weights))
    else {
        return;
    };
    let scales: Vec<f32> = weights.scale.iter().map(|step| step * scale).collect();
    let value = graph.value_mut(bias);
    if value.quantization.is_none() && value.constant.is_some() {
        value.quantization = Some(Quantization::per_channel(scales, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Binary, BinaryKind, Conv2d, Gather, UnaryKind, Window};

    #[test]
    fn a_convolution_by_hand() {
        let x = Tensor::int8("x", &[1, 3, 3, 1], (1.0, 0), &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let w = Tensor::int8("w", &[2, 2, 2, 1], (1.0, 0), &[1, 0, 0, 1, 1, 1, 1, 1])
            .per_channel(&[1.0, 0.5], 0)
            .constant();
        let bias = Tensor::int32("b", &[2], &[10, 0]).constant();
        let window = Window {
            kernel: [2, 2],
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [0, 0],
            pad_after: [0, 0],
        };
        let op = Op::Conv2d(Conv2d { window, activation: Activation::None });
        let y = run_op(&op, &[&x, &w, &bias], &[Tensor::result("y", &[1, 2, 2, 2], (1.0, 0))]).unwrap();
        assert_eq!(y[0].integers(), [16, 6, 18, 8, 22, 12, 24, 14]);
    }

    #[test]
    fn rows_of_a_table() {
        let table = Tensor::int8("table", &[3, 2], (0.5, 1), &[1, 2, 3, 4, 5, 6]).constant();
        let ids = Tensor::int32("ids", &[1, 4], &[2, 0, 0, 1]);
        let op = Op::Gather(Gather { axis: 0, batch_dims: 0 });
        let y = run_op(&op, &[&table, &ids], &[Tensor::result("y", &[], (0.5, 1))]).unwrap();
        assert_eq!((&y[0].shape[..], y[0].integers()), (&[1, 4, 2][..], vec![5, 6, 1, 2, 1, 2, 3, 4]));
        let wide = Tensor::int32("ids", &[1, 1], &[1]);
        let data = Tensor::int8("data", &[2, 3], (1.0, 0), &[1, 2, 3, 4, 5, 6]);
        let op = Op::Gather(Gather { axis: 1, batch_dims: 1 });
        let error = run_op(&op, &[&data, &wide], &[Tensor::result("y", &[1, 1], (1.0, 0))]).unwrap_err();
        assert!(error.message.contains("(GATHER)") && error.message.contains("batch"), "{error}");
    }

    #[test]
    fn errors_name_the_operator() {
        let x = Tensor::int8("x", &[1, 4], (1.0, 0), &[1, 2, 3, 4]);
        let add = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
        let other = Tensor::int8("other", &[1, 3], (1.0, 0), &[1, 2, 3]);
        let error = run_op(&add, &[&x, &other], &[Tensor::result("y", &[1, 4], (1.0, 0))]).unwrap_err();
        assert!(error.message.contains("`add` (ADD)") && error.message.contains("[1, 3]"), "{error}");
        let short = Tensor { bytes: vec![1, 2], ..x.clone() };
        let relu = Op::Unary(UnaryKind::Relu);
        let error = run_op(&relu, &[&short], &[Tensor::result("y", &[1, 4], (1.0, 0))]).unwrap_err();
        assert!(error.message.contains("`relu` (RELU)") && error.message.contains("2 were given"), "{error}");
        let error = run_op(&relu, &[&x.clone().constant()], &[]).unwrap_err();
        assert!(error.message.contains("relu") || error.message.contains("RELU"), "{error}");
    }

    #[test]
    fn real_numbers_come_back() {
        let x = Tensor::quantized("x", &[1, 3], (0.1, 5), &[-1.0, 0.0, 1.0]);
        let y =
            run_op(&Op::Unary(UnaryKind::Relu), &[&x], &[Tensor::result("y", &[1, 3], (0.1, 5))]).unwrap();
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&y[0].real(), &[0.0, 0.0, 1.0]), "{:?}", y[0].real());
        assert_eq!(Tensor::float("f", &[2], &[1.5, -2.0]).real(), [1.5, -2.0]);
    }
}
