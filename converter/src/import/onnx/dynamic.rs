//! Dynamic quantization: DynamicQuantizeLinear finds scales at run time, MatMulInteger and ConvInteger multiply integers,
//! and further layers multiply their sums by both scales.
//!
//! `(q - zero_point) * scale` is the real number that was quantized, but for its rounding. So these layers compute with the
//! reals themselves, in the scale 1 and with the zero point 0: what follows makes the result of the float network that
//! the model was made from, with the weights that it has now. It is quantized anew as a whole.

use std::rc::Rc;

use super::known::Known;
use super::layer::{Layer, Translation, one};
use super::net::{Net, Slot};
use super::{convolution, dense};
use crate::graph::{Constant, DType, Graph, Node, Op, Quantization, Unsupported, Value};
use crate::import::refusal::{Refusal, unsupported};

/// The layer that finds scales.
const CODE: &str = "DynamicQuantizeLinear";

/// What only these layers may read as integers.
const REASON: &str = "scales that are found at run time are supported before MatMulInteger and ConvInteger only; \
                      quantize the model statically, or convert the float model";

/// DynamicQuantizeLinear: integers, their scale, their zero point.
pub(super) fn quantize(l: &mut Layer<'_>) -> Translation {
    let x = l.value(0)?;
    let scale = Known::new(l.part("scale"), Vec::new(), Constant::F32(vec![1.0]));
    let zero_point = Known::new(l.part("zero_point"), Vec::new(), Constant::U8(vec![0]));
    let graph = l.net.b.graph_mut();
    let shape = graph.value(x).shape.clone();
    let name = l.name.clone();
    let integers =
        Value { name: name.clone(), shape, dtype: DType::UInt8, quantization: None, constant: None };
    let y = graph.add_value(integers);
    // Whoever else reads the integers finds that nothing makes them; without a reader this node goes.
    let op = Op::Unsupported(Unsupported { code: CODE.into(), reason: REASON.into() });
    graph.nodes.push(Node { name, op, inputs: vec![Some(x)], outputs: vec![y] });
    l.net.dynamic.insert(y, x);
    let known = [scale, zero_point].map(|known| Slot::Known(Rc::new(known)));
    Ok([vec![Slot::Computed(y)], known.to_vec()].concat())
}

/// Removes what makes integers that nobody reads.
pub(super) fn sweep(graph: &mut Graph) {
    let read = graph.consumers();
    let outputs = graph.outputs.clone();
    graph.nodes.retain(|node| {
        let dynamic = matches!(&node.op, Op::Unsupported(op) if op.code == CODE && op.reason == REASON);
        !dynamic || node.outputs.iter().any(|id| read.contains_key(id) || outputs.contains(id))
    });
}

/// The reals behind the integers at operand 0.
fn reals(l: &Layer<'_>) -> Result<Slot, Refusal> {
    match l.slot(0)? {
        Slot::Computed(id) => match l.net.dynamic.get(&id) {
            Some(&x) => Ok(Slot::Computed(x)),
            None => unsupported("of integers that DynamicQuantizeLinear does not make"),
        },
        _ => unsupported("of known integers"),
    }
}

/// The integers at operand 1 as distances from the zero point at operand 3, of which there may be one for each index along
/// `axis`.
fn weights(l: &Layer<'_>, axis: usize) -> Result<Known, Refusal> {
    let known = l.require(1, "weights")?;
    if !matches!(known.elements, Constant::I8(_) | Constant::U8(_)) {
        return unsupported("its weights are not integers of 8 bits");
    }
    let mut zero_point = vec![0];
    if l.is_given(3) {
        let given = l.require(3, "zero point")?;
        let Some(ints) = given.to_ints() else { return unsupported("a zero point that is no integer") };
        zero_point = ints.iter().map(|&z| i32::try_from(z).unwrap_or(0)).collect();
    }
    if zero_point.is_empty() || zero_point.len() > 1 && known.shape.get(axis) != Some(&zero_point.len()) {
        return unsupported(format!(
            "{} zero points for weights of shape {:?}",
            zero_point.len(),
            known.shape
        ));
    }
    let axis = if zero_point.len() > 1 { axis } else { 0 };
    let quantization = Quantization { scale: vec![1.0; zero_point.len()], zero_point, axis };
    Ok(Net::with_quantization(&known, quantization).real())
}

/// MatMulInteger: a, b, zero point of a, zero point of b.
pub(super) fn matmul(l: &mut Layer<'_>) -> Translation {
    let a = reals(l)?;
    let last = l.require(1, "weights")?.shape.len().saturating_sub(1);
    let b = weights(l, last)?;
    one(dense::matmul_of(l, &a, &Slot::Known(Rc::new(b)), true)?)
}

/// ConvInteger: x, filter, zero point of x, zero point of the filter.
pub(super) fn conv(l: &mut Layer<'_>) -> Translation {
    let x = reals(l)?;
    let filter = weights(l, 0)?;
    let x = l.net.value(&x)?;
    one(convolution::conv_of(l, x, &Rc::new(filter), None)?)
}
