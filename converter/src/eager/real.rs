//! Computes one operator on real numbers with the device's kernels.

use super::{Memory, Session, Tensor};
use crate::emit;
use crate::error::{Error, Result};
use crate::graph::{DType, Graph, Node, Op, Quantization, Value, ValueId};
use crate::model_file::ModelFile;
use crate::passes;
use crate::quantize::{self, Calibration, Samples, quantize};
use crate::reference::infer_shape;

/// Computes one operator with one result on real numbers as a device would: the operator becomes a model of one layer,
/// which is quantized on just these numbers, and the result is the device's bytes as real numbers. Operands that are
/// [constants](Tensor::constant) are weights and such.
///
/// `given` are the scale and zero point of each operand and, last, of the result; where one is `None`, or the list is
/// shorter, they follow from the numbers. A float operand's own quantization is not looked at.
///
/// # Errors
/// When shapes or types do not fit the operator, an operand holds what is no finite number, or the operator is not
/// supported in that form. The error names the operator.
///
/// ```
/// use ferrolite::eager::{Tensor, run_real};
/// use ferrolite::graph::{BatchMatMul, Op};
///
/// let a = Tensor::float("a", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
/// let b = Tensor::float("b", &[2, 1], &[0.5, -1.0]);
/// let op = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false });
/// let y = run_real(&op, &[&a, &b], &[])?;
/// assert_eq!(y.shape, [2, 1]);
/// assert!((y.real()[0] + 1.5).abs() < 0.02 && (y.real()[1] + 2.5).abs() < 0.02);
/// let y = run_real(&op, &[&a, &b], &[None, None, Some((0.5, 0))])?;
/// assert_eq!(y.integers(), [-3, -5]); // halves
/// # Ok::<(), ferrolite::Error>(())
/// ```
pub fn run_real(op: &Op, operands: &[&Tensor], given: &[Option<(f32, i32)>]) -> Result<Tensor> {
    let name = op.name().to_lowercase();
    let layer = format!("layer `{name}` ({})", op.name());
    let in_layer = |error: Error| match error.named_layer() {
        Some(_) => error,
        None => error.context(&layer),
    };
    let mut graph = Graph { name: name.clone(), ..Graph::default() };
    let (mut inputs, mut samples) = (Vec::new(), Vec::new());
    for (index, operand) in operands.iter().enumerate() {
        let real = operand.real();
        if let (Some(wrong), DType::Float32) = (real.iter().find(|real| !real.is_finite()), operand.dtype) {
            let error = Error::input(format!("operand `{}` holds {wrong}", operand.name))
                .help("give finite numbers: int8 has no NaN and no infinity");
            return Err(in_layer(error));
        }
        let id = graph.add_value(operand.value().map_err(in_layer)?);
        if operand.is_constant {
            inputs.push(Some(id));
            continue;
        }
        graph.inputs.push(id);
        samples.push(real);
        let given = given.get(index).copied().flatten().filter(|_| operand.dtype == DType::Float32);
        inputs.push(Some(given.map_or(id, |given| rounded(&mut graph, id, given))));
    }
    if graph.inputs.is_empty() {
        return Err(in_layer(
            Error::input("all operands are constants")
                .help("at least one is known only when the operator runs"),
        ));
    }
    let shapes: Vec<Option<&[usize]>> = operands.iter().map(|operand| Some(&operand.shape[..])).collect();
    let node = Node { name: name.clone(), op: op.clone(), inputs, outputs: Vec::new() };
    let shape = infer_shape(&node, &shapes).map_err(in_layer)?;
    let value =
        Value { name: name.clone(), shape, dtype: DType::Float32, quantization: None, constant: None };
    let output = graph.add_value(value);
    graph.nodes.push(Node { outputs: vec![output], ..node });
    let output = match given.get(operands.len()).copied().flatten() {
        Some(given) => rounded(&mut graph, output, given),
        None => output,
    };
    graph.outputs.push(output);

    passes::optimise(&mut graph);
    if passes::decompose(&mut graph) > 0 {
        passes::optimise(&mut graph);
    }
    let options = quantize::Options { calibration: Calibration::MinMax, ..quantize::Options::default() };
    let samples = One(samples);
    let (mut integer, _) = quantize(&graph, &samples, &options).map_err(in_layer)?;
    passes::optimise(&mut integer);
    let emitted = emit::compile(&integer, &emit::Options::default()).map_err(in_layer)?;
    let file = ModelFile::from_bytes(name.as_str(), &emitted.bytes);
    let model = file.model()?;
    let mut memory = Memory::for_model(&model);
    let mut session = Session::new(&model, &mut memory)?;
    for (index, sample) in samples.0.iter().enumerate() {
        session.set_input(index, sample).map_err(in_layer)?;
    }
    while session.step()?.is_some() {}
    session.output(0)
}

/// One sample: the elements of each operand that is no constant.
struct One(Vec<Vec<f32>>);

impl Samples for One {
    fn len(&self) -> usize {
        1
    }

    fn sample(&self, _: usize) -> Result<Vec<Vec<f32>>> {
        Ok(self.0.clone())
    }
}

/// A value rounded to the integers of a quantization, as real numbers again.
fn rounded(graph: &mut Graph, id: ValueId, (scale, zero_point): (f32, i32)) -> ValueId {
    let Value { name, shape, .. } = graph.value(id).clone();
    let mut step = |op: Op, from: ValueId, suffix: &str, quantization: Option<Quantization>| {
        let dtype = if quantization.is_some() { DType::Int8 } else { DType::Float32 };
        let name = format!("{name}{suffix}");
        let to = graph.add_value(Value {
            name: name.clone(),
            shape: shape.clone(),
            dtype,
            quantization,
            constant: None,
        });
        graph.nodes.push(Node { name, op, inputs: vec![Some(from)], outputs: vec![to] });
        to
    };
    let stored = step(Op::Quantize, id, "/quantize", Some(Quantization::per_tensor(scale, zero_point)));
    step(Op::Dequantize, stored, "/dequantize", None)
}
