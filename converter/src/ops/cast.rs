//! CAST: numbers of one type to those of another.
//!
//! | from, to | on the device |
//! |---|---|
//! | 8 bits to 8 bits, truth values included | a table |
//! | integers that stand for themselves | their lower bits, or themselves with their sign |
//! | int8 that stands for real numbers, to integers | a table of whole numbers, then as above |
//! | integers to int8 that stands for real numbers | requantized from scale 1 |
//! | integers to float32 at a border | dequantized with scale 1 |
//!
//! Real numbers lose what is behind the point; but a step of int8 that may stand for a whole number does.
//! Source followed: TFLM `kernels/cast.cc`.

use ferrolite_graph::float::elementwise;
use ferrolite_runtime::quant::{self, multiplier};
use ferrolite_schema::params::{CastParams, DequantizeParams, LookupParams, RequantizeParams};
use ferrolite_schema::{DType, OpCode};

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Writer};
use super::{stage, types};
use crate::error::Result;
use crate::graph::{Cast, Graph, Node, Value, ValueId};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("CAST", &[OpCode::Lookup, OpCode::Cast, OpCode::Dequantize])];

impl Operator for Cast {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        inputs
            .iter()
            .chain(outputs)
            .filter(|value| value.quantization.is_some())
            .try_for_each(|v| types::per_tensor(v))
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let params = |value: &Value| {
            let tensor = value.quantization.as_ref().and_then(|q| q.tensor());
            tensor.filter(|_| self.stored && value.dtype != DType::Float32)
        };
        let from = x.node.input(0).and_then(|id| params(x.graph.value(id)));
        let (result, to) = (x.result(), params(x.result()));
        let number = |&x: &f32| {
            let x = match from {
                Some((scale, zero_point)) => quant::quantize(x, scale, zero_point, i32::MIN, i32::MAX) as f32,
                None => x,
            };
            let x = elementwise::cast(x, result.dtype);
            to.map_or(x, |(scale, zero_point)| scale * (x - zero_point as f32))
        };
        vec![x.get(0).data.iter().map(number).collect()]
    }

    fn converts(&self) -> bool {
        true
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((input, from), (output, to)) = (cx.input(node, 0)?, cx.output(node, 0)?);
        let real = |value: &Value| value.quantization.is_some() && !self.stored;
        let mut ops = Vec::new();
        match (real(from), real(to)) {
            (true, false) => from_real(cx, node, &mut ops)?,
            (false, true) => to_real(cx, node, &mut ops)?,
            (true, true) => return Err(cx.unsupported(node, "between two quantized tensors")),
            (false, false) => plain(cx, node, (input, from), (output, to), &mut ops)?,
        }
        Ok(ops)
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "it is not written"))
    }
}

/// From int8 that stands for real numbers.
fn from_real(cx: &mut Lowering<'_>, node: &Node, ops: &mut Vec<Lowered>) -> Result<()> {
    let input = stage::int8_input(cx, node, 0)?;
    let (output, to) = cx.output(node, 0)?;
    let steps = |x: i8| i32::from(x) - input.zero_point;
    if to.dtype == DType::Bool {
        ops.push(bytes(cx, input.id, output, |byte| u8::from(steps(byte as i8) != 0))?);
        return Ok(());
    }
    let whole = |x: i8| {
        let real = input.scale * f64::from(steps(x));
        let near = real.round();
        if 2.0 * (real - near).abs() <= input.scale { near } else { real.trunc() }
    };
    let fits = |low: f64, high: f64| (i8::MIN..=i8::MAX).all(|x| (low..=high).contains(&whole(x)));
    let table = match () {
        () if fits(-128.0, 127.0) => Some(DType::Int8),
        () if fits(0.0, 255.0) => Some(DType::UInt8),
        () => None,
    };
    let mut between = |dtype: DType| {
        let name = format!("{}/whole", node.name);
        let value = Value { name, dtype, quantization: None, ..to.clone() };
        (cx.temporary(value.clone()), value)
    };
    let (id, value) = match table {
        Some(dtype) if dtype == to.dtype => (output, to.clone()),
        None if to.dtype == DType::Int32 => (output, to.clone()),
        table => between(table.unwrap_or(DType::Int32)),
    };
    ops.push(match table {
        Some(_) => bytes(cx, input.id, id, |byte| whole(byte as i8) as i32 as u8)?,
        None => {
            let params = RequantizeParams {
                input_zero_point: input.zero_point,
                multiplier: multiplier(input.scale),
                zero_point: 0,
            };
            Lowered::new(OpCode::Requantize, vec![input.id], vec![id], &params)
        }
    });
    if id != output {
        plain(cx, node, (id, &value), (output, to), ops)?;
    }
    Ok(())
}

/// To int8 that stands for real numbers.
fn to_real(cx: &mut Lowering<'_>, node: &Node, ops: &mut Vec<Lowered>) -> Result<()> {
    let output = stage::int8_output(cx, node, 0)?;
    let (mut input, from) = cx.input(node, 0)?;
    let integer = |x: i32| quant::quantize(x as f32, output.scale as f32, output.zero_point, -128, 127);
    match from.dtype {
        DType::Bool => ops.push(bytes(cx, input, output.id, |byte| integer((byte != 0).into()) as u8)?),
        DType::Int8 => ops.push(bytes(cx, input, output.id, |byte| integer((byte as i8).into()) as u8)?),
        DType::UInt8 => ops.push(bytes(cx, input, output.id, |byte| integer(byte.into()) as u8)?),
        DType::Float32 => return Err(cx.unsupported(node, "of float32 between integers")),
        DType::Int16 | DType::Int32 | DType::Int64 => {
            if from.dtype == DType::Int64 {
                let value =
                    Value { name: format!("{}/int32", node.name), dtype: DType::Int32, ..from.clone() };
                let id = cx.temporary(value.clone());
                plain(cx, node, (input, from), (id, &value), ops)?;
                input = id;
            }
            let params = RequantizeParams {
                input_zero_point: 0,
                multiplier: multiplier(1.0 / output.scale),
                zero_point: output.zero_point,
            };
            ops.push(Lowered::new(OpCode::Requantize, vec![input], vec![output.id], &params));
        }
    }
    Ok(())
}

/// A table from bytes to bytes.
fn bytes(cx: &mut Lowering<'_>, from: ValueId, to: ValueId, function: impl Fn(u8) -> u8) -> Result<Lowered> {
    let table: Vec<u8> = (0..=u8::MAX).map(function).collect();
    let params = LookupParams { table: cx.constants.add(&table, 1)? };
    Ok(Lowered::new(OpCode::Lookup, vec![from], vec![to], &params))
}

/// Between numbers that stand for themselves.
fn plain(
    cx: &mut Lowering<'_>,
    node: &Node,
    (input, from): (ValueId, &Value),
    (output, to): (ValueId, &Value),
    ops: &mut Vec<Lowered>,
) -> Result<()> {
    let dequantize = DequantizeParams { scale: 1.0, zero_point: 0 };
    let byte = |dtype: DType| dtype.size() == 1;
    match (from.dtype, to.dtype) {
        (DType::Float32, _) => {
            return Err(cx.unsupported(
                node,
                format_args!("from float32 to {}, which no layer of integers precedes", to.dtype.name()),
            ));
        }
        (DType::Bool | DType::Int64, DType::Float32) => {
            let dtype = if from.dtype == DType::Bool { DType::Int8 } else { DType::Int32 };
            let name = format!("{}/{}", node.name, dtype.name());
            let value = Value { name, dtype, quantization: None, ..from.clone() };
            let id = cx.temporary(value.clone());
            plain(cx, node, (input, from), (id, &value), ops)?;
            ops.push(Lowered::new(OpCode::Dequantize, vec![id], vec![output], &dequantize));
        }
        (_, DType::Float32) => {
            ops.push(Lowered::new(OpCode::Dequantize, vec![input], vec![output], &dequantize));
        }
        (one, other) if byte(one) && byte(other) => {
            let truth = one == DType::Bool || other == DType::Bool;
            ops.push(bytes(cx, input, output, |byte| if truth { (byte != 0).into() } else { byte })?);
        }
        _ => {
            let params = CastParams { elements: cx.word(node, from.elements())? };
            ops.push(Lowered::new(OpCode::Cast, vec![input], vec![output], &params));
        }
    }
    Ok(())
}
