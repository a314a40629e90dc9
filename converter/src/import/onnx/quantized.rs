//! Models that are already quantized: QuantizeLinear and DequantizeLinear, and ONNX Runtime's operators that
//! compute with integers (QLinearConv and others).
//!
//! The numbers are kept. An activation passes through QUANTIZE to int8 and DEQUANTIZE back, around operators
//! on reals. uint8 becomes int8 with a zero point that is 128 less. Known integers stay as they are, and keep
//! their quantization.

use std::rc::Rc;

use super::known::Known;
use super::layer::{Layer, Translation, axis, one};
use super::net::{Net, Slot};
use super::tensors::{dtype, types};
use super::{convolution, dense, functions, pooling};
use crate::graph::{BinaryKind, Constant, DType, Op, Quantization, ReduceKind, Softmax, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};
use crate::ops;

fn broken<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(damaged(what)))
}

/// Scales and zero points as in the file, and the type of the integers if the file states it.
struct Scales {
    scale: Vec<f32>,
    zero_point: Vec<i32>,
    dtype: Option<DType>,
    /// The type's name in ONNX.
    name: String,
}

/// A type's name.
fn in_words(dtype: DType) -> String {
    format!("{dtype:?}").to_lowercase()
}

/// The operands at `scale` and `zero_point`.
fn scales(l: &Layer<'_>, scale: usize, zero_point: usize) -> Result<Scales, Refusal> {
    let numbers = l.require(scale, "scale")?.to_floats();
    if numbers.is_empty() || numbers.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        return broken("a scale that is not above zero");
    }
    let (mut zeros, mut dtype, mut name) = (vec![0; numbers.len()], None, String::new());
    if l.is_given(zero_point) {
        let known = l.require(zero_point, "zero point")?;
        let Some(ints) = known.to_ints() else { return broken("a zero point that is not an integer") };
        if ints.len() != numbers.len() {
            return broken(format!("{} scales and {} zero points", numbers.len(), ints.len()));
        }
        zeros = ints.iter().map(|&z| i32::try_from(z).unwrap_or(0)).collect();
        dtype = Some(known.elements.dtype());
        name = known.stored.map_or_else(|| in_words(known.elements.dtype()), types::name);
    }
    Ok(Scales { scale: numbers, zero_point: zeros, dtype, name })
}

/// The quantization of a tensor of this shape. Several scales belong to the dimension of the node's axis.
fn quantization(
    l: &Layer<'_>,
    scales: &Scales,
    shape: &[usize],
    default_axis: i64,
) -> Result<Quantization, Refusal> {
    if l.int("block_size", 0) != 0 {
        return unsupported("a scale for each block");
    }
    let mut quantization =
        Quantization { scale: scales.scale.clone(), zero_point: scales.zero_point.clone(), axis: 0 };
    if scales.scale.len() > 1 {
        quantization.axis = axis(l.int("axis", default_axis), shape.len())?;
        if shape.get(quantization.axis) != Some(&scales.scale.len()) {
            return broken(format!("{} scales for a tensor of shape {shape:?}", scales.scale.len()));
        }
    }
    Ok(quantization)
}

/// Real numbers as integers: rounded to even and saturated.
fn round(x: &Known, q: &Quantization, low: f32, high: f32) -> Vec<i64> {
    let inner: usize = x.shape.iter().skip(q.axis + 1).product::<usize>().max(1);
    let integer = |(i, x): (usize, f32)| {
        let c = if q.is_per_tensor() { 0 } else { i / inner % q.scale.len() };
        ((x / q.scale[c]).round_ties_even() + q.zero_point[c] as f32).clamp(low, high) as i64
    };
    x.to_floats().into_iter().enumerate().map(integer).collect()
}

/// QuantizeLinear: turns reals into integers.
pub(super) fn quantize_linear(l: &mut Layer<'_>) -> Translation {
    let slot = l.slot(0)?;
    let mut scales = scales(l, 1, 2)?;
    let kind = match (scales.dtype, l.int("output_dtype", 0)) {
        (Some(dtype), _) => dtype,
        (None, 0) => DType::UInt8,
        (None, number) => {
            scales.name = types::name(number);
            match dtype(number) {
                Some(dtype) => dtype,
                None => return unsupported(format!("to {}", scales.name)),
            }
        }
    };
    if let Slot::Known(x) = &slot {
        let q = quantization(l, &scales, &x.shape, 1)?;
        let elements = match kind {
            DType::Int8 => Constant::I8(round(x, &q, -128.0, 127.0).into_iter().map(|x| x as i8).collect()),
            DType::UInt8 => Constant::U8(round(x, &q, 0.0, 255.0).into_iter().map(|x| x as u8).collect()),
            _ => return unsupported(format!("to {}; supported are int8 and uint8", scales.name)),
        };
        // The integers have no scale until DequantizeLinear gives them one.
        return Ok(vec![Slot::Known(Known::new(x.name.clone(), x.shape.clone(), elements).into())]);
    }
    let x = l.net.value(&slot)?;
    one(quantize(l, x, &scales, kind)?)
}

/// Passes a value through QUANTIZE; the node has the layer's name.
fn quantize(l: &mut Layer<'_>, x: ValueId, scales: &Scales, kind: DType) -> Result<ValueId, Refusal> {
    let (&[scale], &[zero_point]) = (scales.scale.as_slice(), scales.zero_point.as_slice()) else {
        return unsupported("an activation with a scale for each channel");
    };
    let zero_point = match kind {
        DType::Int8 => zero_point,
        DType::UInt8 => zero_point - 128,
        _ => return unsupported(format!("to {}; supported are int8 and uint8", scales.name)),
    };
    if l.net.b.graph().value(x).dtype != DType::Float32 {
        return unsupported("of numbers that are not real numbers");
    }
    let y = l.net.b.op(&l.name, Op::Quantize, &[x])?;
    let value = l.net.b.graph_mut().value_mut(y);
    value.dtype = DType::Int8;
    value.quantization = Some(Quantization::per_tensor(scale, zero_point));
    if kind == DType::UInt8 {
        l.net.unsigned.insert(y);
    }
    Ok(y)
}

/// DequantizeLinear: turns integers into reals.
pub(super) fn dequantize_linear(l: &mut Layer<'_>) -> Translation {
    let slot = l.slot(0)?;
    Ok(vec![dequantize(l, &slot, 1, 2)?])
}

/// A slot of integers as reals; the operands `scale` and `zero_point` hold the parameters.
fn dequantize(l: &mut Layer<'_>, slot: &Slot, scale: usize, zero_point: usize) -> Result<Slot, Refusal> {
    let scales = scales(l, scale, zero_point)?;
    match slot {
        Slot::Known(x) => {
            if !matches!(x.elements, Constant::I8(_) | Constant::U8(_) | Constant::I32(_)) {
                return Ok(Slot::Known(Rc::new(with_reals(l, x, &scales)?)));
            }
            let q = quantization(l, &scales, &x.shape, 1)?;
            Ok(Slot::Known(Rc::new(Net::with_quantization(x, q))))
        }
        _ => {
            let id = l.net.value(slot)?;
            let (&[scale], &[zero]) = (scales.scale.as_slice(), scales.zero_point.as_slice()) else {
                return unsupported("an activation with a scale for each channel");
            };
            let id = l.net.signed.get(&id).copied().unwrap_or(id);
            let value = l.net.b.graph().value(id);
            let kind = if l.net.unsigned.contains(&id) { DType::UInt8 } else { value.dtype };
            let unsigned = scales.dtype.unwrap_or(kind) == DType::UInt8;
            let real = Quantization::per_tensor(scale, if unsigned { zero - 128 } else { zero });
            let id = match (value.dtype, &value.quantization) {
                (DType::Int8, Some(q)) if *q == real => id,
                (DType::Int8, None) if !unsigned => {
                    l.net.stand_for(id, real);
                    id
                }
                (DType::UInt8, None) if unsigned => {
                    let name = format!("{}/int8", value.name);
                    l.net.stand_for(id, Quantization::per_tensor(scale, zero));
                    let y = l.net.b.op(&name, Op::Quantize, &[id])?;
                    let value = l.net.b.graph_mut().value_mut(y);
                    (value.dtype, value.quantization) = (DType::Int8, Some(real));
                    l.net.unsigned.insert(y);
                    l.net.signed.insert(id, y);
                    y
                }
                (dtype, found) => {
                    let offset = if unsigned && dtype == DType::Int8 { 128 } else { 0 };
                    let kind = l.net.kinds.get(&id).map_or_else(|| in_words(kind), |&kind| types::name(kind));
                    let wanted = format!("scale {scale} and zero point {zero}");
                    return unsupported(match found.as_ref().and_then(Quantization::tensor) {
                        Some((scale, zero)) => format!(
                            "{kind} numbers of scale {scale} and zero point {} read with {wanted}",
                            zero + offset
                        ),
                        None => format!("{kind} numbers read with {wanted}; supported are int8 and uint8"),
                    });
                }
            };
            let name = if l.node.op_type == "DequantizeLinear" {
                l.name.clone()
            } else {
                l.part(&format!("dequantize_{}", l.net.b.graph().nodes.len()))
            };
            Ok(Slot::Computed(l.net.b.op(&name, Op::Dequantize, &[id])?))
        }
    }
}

impl Net {
    /// Sets the quantization of integers that have none yet: of a value, and of the values from which it is
    /// made only by moving elements.
    fn stand_for(&mut self, id: ValueId, quantization: Quantization) {
        let mut next = Some(id);
        while let Some(id) = next {
            let graph = self.b.graph_mut();
            graph.value_mut(id).quantization = Some(quantization.clone());
            let writer = graph.nodes.iter().rev().find(|node| node.outputs.contains(&id));
            let source =
                writer.filter(|node| ops::of(&node.op).only_moves_data()).and_then(|node| node.input(0));
            next = source
                .filter(|&id| graph.value(id).quantization.is_none() && graph.value(id).constant.is_none());
        }
    }
}

/// Known integers of other types as reals.
fn with_reals(l: &Layer<'_>, x: &Known, scales: &Scales) -> Result<Known, Refusal> {
    let q = quantization(l, scales, &x.shape, 1)?;
    Ok(Known { quantization: Some(q), ..x.clone() }.real())
}

/// Quantizes a computed result to integers, with the parameters in these operands.
fn requantized(l: &mut Layer<'_>, y: ValueId, scale: usize, zero_point: usize) -> Translation {
    let scales = scales(l, scale, zero_point)?;
    let Some(kind) = scales.dtype else { return unsupported("its result has no zero point") };
    one(quantize(l, y, &scales, kind)?)
}

/// Translates the inner operator, which works on reals; its nodes are named as a part of the layer.
fn inner<T>(l: &mut Layer<'_>, f: impl FnOnce(&mut Layer<'_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
    let name = l.part("real");
    let outer = std::mem::replace(&mut l.name, name);
    let result = f(l);
    l.name = outer;
    result
}

/// The weights of a QLinear operator: known integers. Several scales belong to dimension `axis`.
fn weights(l: &Layer<'_>, position: usize, axis: usize) -> Result<Known, Refusal> {
    let known = l.require(position, "weights")?;
    let scales = scales(l, position + 1, position + 2)?;
    if scales.scale.len() > 1 && known.shape.get(axis) != Some(&scales.scale.len()) {
        return broken(format!("{} scales for weights of shape {:?}", scales.scale.len(), known.shape));
    }
    if !matches!(known.elements, Constant::I8(_) | Constant::U8(_)) {
        return broken("its weights are not integers of 8 bits");
    }
    let axis = if scales.scale.len() > 1 { axis } else { 0 };
    let q = Quantization { scale: scales.scale, zero_point: scales.zero_point, axis };
    Ok(Net::with_quantization(&known, q))
}

/// A bias of int32, whose scale is that of the input times that of the weights.
fn bias(l: &Layer<'_>, position: usize, input: usize, weights: &Known) -> Result<Option<Slot>, Refusal> {
    if !l.is_given(position) {
        return Ok(None);
    }
    let known = l.require(position, "bias")?;
    let (Constant::I32(_), Some(q)) = (&known.elements, &weights.quantization) else {
        return broken("its bias is not of int32");
    };
    let scale = scales(l, input, usize::MAX)?.scale[0];
    let scale: Vec<f32> = q.scale.iter().map(|s| s * scale).collect();
    let flat = known.reshaped(&[known.elements.len()]);
    if scale.len() > 1 && scale.len() != flat.elements.len() {
        return broken(format!("{} scales for a bias of {} elements", scale.len(), flat.elements.len()));
    }
    let zero_point = vec![0; scale.len()];
    let q = Quantization { scale, zero_point, axis: 0 };
    Ok(Some(Slot::Known(Rc::new(Known { quantization: Some(q), ..flat }))))
}

/// QLinearConv: x with scale and zero point, filter with scale and zero point, scale and zero point of the
/// result, optional bias.
pub(super) fn conv(l: &mut Layer<'_>) -> Translation {
    let slot = l.slot(0)?;
    let filter = weights(l, 3, 0)?;
    let bias = bias(l, 8, 1, &filter)?;
    let y = inner(l, |l| {
        let x = dequantize(l, &slot, 1, 2)?;
        let x = l.net.value(&x)?;
        convolution::conv_of(l, x, &Rc::new(filter), bias)
    })?;
    requantized(l, y, 6, 7)
}

/// QLinearMatMul: a with scale and zero point, b with scale and zero point, scale and zero point of the
/// result.
pub(super) fn matmul(l: &mut Layer<'_>) -> Translation {
    let (a, b) = (l.slot(0)?, l.slot(3)?);
    let y = inner(l, |l| {
        let a = dequantize(l, &a, 1, 2)?;
        let b = match &b {
            Slot::Known(known) => {
                let last = known.shape.len().saturating_sub(1);
                Slot::Known(Rc::new(weights(l, 3, last)?))
            }
            _ => dequantize(l, &b, 4, 5)?,
        };
        dense::matmul_of(l, &a, &b, true)
    })?;
    requantized(l, y, 6, 7)
}

/// QGemm: a with scale and zero point, b with scale and zero point, optional c, optional scale and zero point
/// of the result. Without the last two, the result is real.
pub(super) fn gemm(l: &mut Layer<'_>) -> Translation {
    let a = l.slot(0)?;
    let transposed = l.int("transB", 0) != 0;
    let b = weights(l, 3, usize::from(!transposed))?;
    let c = bias(l, 6, 1, &b)?;
    let whole = l.is_given(7);
    let y = inner(l, |l| {
        let a = dequantize(l, &a, 1, 2)?;
        dense::gemm_of(l, &a, &Slot::Known(Rc::new(b)), c)
    })?;
    if whole { requantized(l, y, 7, 8) } else { one(y) }
}

/// QLinearAdd and QLinearMul: a with scale and zero point, b with scale and zero point, scale and zero point
/// of the result.
pub(super) fn binary(l: &mut Layer<'_>, kind: BinaryKind) -> Translation {
    let (a, b) = (l.slot(0)?, l.slot(3)?);
    let y = inner(l, |l| {
        let a = dequantize(l, &a, 1, 2)?;
        let b = dequantize(l, &b, 4, 5)?;
        let (a, b) = (l.net.value(&a)?, l.net.value(&b)?);
        Ok(l.net.b.binary(&l.name, kind, a, b)?)
    })?;
    requantized(l, y, 6, 7)
}

/// QLinearGlobalAveragePool: x with scale and zero point, scale and zero point of the result.
pub(super) fn global_average_pool(l: &mut Layer<'_>) -> Translation {
    let last = l.int("channels_last", 0) != 0;
    unary(l, |l, x| {
        if last {
            let axes: Vec<usize> = (1..l.net.b.shape(x).len().saturating_sub(1)).collect();
            return Ok(l.net.b.reduce(&l.name, ReduceKind::Mean, x, &axes, true)?);
        }
        pooling::global_of(l, x, ReduceKind::Mean)
    })
}

/// QLinearAveragePool: x with scale and zero point, scale and zero point of the result.
pub(super) fn average_pool(l: &mut Layer<'_>) -> Translation {
    if l.int("channels_last", 0) != 0 {
        return unsupported("channels_last");
    }
    unary(l, |l, x| pooling::pool_of(l, x, crate::graph::PoolKind::Average))
}

/// QLinearSoftmax: x with scale and zero point, scale and zero point of the result. The rule of the attribute
/// `opset` applies.
pub(super) fn softmax(l: &mut Layer<'_>) -> Translation {
    let own = l.int("opset", 13);
    let opset = std::mem::replace(&mut l.net.opset, own);
    let result = unary(l, |l, x| functions::over_axis(l, x, Op::Softmax(Softmax { beta: 1.0 })));
    l.net.opset = opset;
    result
}

/// QLinearSigmoid and QLinearLeakyRelu: x with scale and zero point, scale and zero point of the result.
pub(super) fn function(l: &mut Layer<'_>) -> Translation {
    unary(l, |l, x| {
        let kind = functions::kind(l)?;
        Ok(l.net.b.unary(&l.name, kind, x)?)
    })
}

/// A function of one quantized tensor: x with scale and zero point, scale and zero point of the result.
fn unary(
    l: &mut Layer<'_>,
    f: impl FnOnce(&mut Layer<'_>, ValueId) -> Result<ValueId, Refusal>,
) -> Translation {
    let slot = l.slot(0)?;
    let y = inner(l, |l| {
        let x = dequantize(l, &slot, 1, 2)?;
        let x = l.net.value(&x)?;
        f(l, x)
    })?;
    requantized(l, y, 3, 4)
}

/// QLinearConcat: scale and zero point of the result, then each operand with scale and zero point.
pub(super) fn concat(l: &mut Layer<'_>) -> Translation {
    let count = l.inputs.len().saturating_sub(2) / 3;
    let y = inner(l, |l| {
        let mut parts = Vec::with_capacity(count);
        for i in 0..count {
            let slot = l.slot(2 + 3 * i)?;
            let part = dequantize(l, &slot, 3 + 3 * i, 4 + 3 * i)?;
            parts.push(l.net.value(&part)?);
        }
        let Some(&first) = parts.first() else { return broken("no operands") };
        let axis = axis(l.int("axis", 1), l.net.b.shape(first).len())?;
        Ok(l.net.b.concat(&l.name, &parts, axis)?)
    })?;
    requantized(l, y, 0, 1)
}
