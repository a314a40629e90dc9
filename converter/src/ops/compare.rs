//! EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL: truth values of pairs of numbers.
//!
//! | operands | on the device |
//! |---|---|
//! | int8 and one int8 or real constant | a table of truth values: a function of one number |
//! | int8, of any scales | bounds for each number of the second operand, of any rounding |
//! | integers that stand for themselves, truth values, real numbers at the border | compared as they are |
//!
//! TFLM compares int8 operands after scaling both, with 8 more bits, by their own scales (`rounded`). In a model that
//! Ferrolite has quantized, the numbers that they stand for are compared, and what is nearest to a constant equals it.
//! Sources followed: TFLM `kernels/comparisons.cc`, TFLite `reference/comparisons.h`.

use ferrolite_graph::float::elementwise;
use ferrolite_graph::float::strided::broadcast_shape;
use ferrolite_runtime::quant::{multiplier, requantize_double};
use ferrolite_schema::params::CompareParams;
use ferrolite_schema::{DType, OpCode};

use super::broadcast::broadcast;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Writer};
use super::{integers, lookup, types};
use crate::error::Result;
use crate::graph::{Compare, CompareKind, Constant, Graph, Node, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("EQUAL", &[OpCode::Lookup, OpCode::Compare, OpCode::Integers]),
    ("GREATER", &[OpCode::Lookup, OpCode::Compare, OpCode::Integers]),
    ("GREATER_EQUAL", &[OpCode::Lookup, OpCode::Compare, OpCode::Integers]),
    ("LESS", &[OpCode::Lookup, OpCode::Compare, OpCode::Integers]),
    ("LESS_EQUAL", &[OpCode::Lookup, OpCode::Compare, OpCode::Integers]),
    ("NOT_EQUAL", &[OpCode::Lookup, OpCode::Compare, OpCode::Integers]),
];

/// Bits that operands gain before they are scaled, in TFLM.
const BITS: u32 = 8;

impl Operator for Compare {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (a, b) = (check.input(0)?, check.input(1)?);
        let shape = broadcast_shape(a, b)
            .ok_or_else(|| check.error(format!("shapes {a:?} and {b:?} do not broadcast")))?;
        check.output(&shape)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, &[])?;
        if let Some(value) = outputs.iter().find(|value| value.dtype != DType::Bool) {
            return Err(format!("a result of type {}", value.dtype.name()));
        }
        match inputs[0].dtype {
            DType::Int8 | DType::UInt8 => inputs.iter().try_for_each(|value| types::per_tensor(value)),
            DType::Int16 => Err("it compares int16".into()),
            _ => Ok(()),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let truth = |a: f32, b: f32| f32::from(u8::from(self.kind.holds(a, b)));
        vec![elementwise::zip(x.get(0), x.get(1), x.shape(), truth)]
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "truth values are not written"))
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((a_id, a), (b_id, b)) = (cx.input(node, 0)?, cx.input(node, 1)?);
        let (output_id, output) = cx.output(node, 0)?;
        if output.dtype != DType::Bool {
            return Err(cx.unsupported(node, format_args!("its result is {}", output.dtype.name())));
        }
        let byte = |value: &Value| value.dtype == DType::Int8 && value.quantization.is_some();
        if !byte(a) && !byte(b) {
            return integers::lower(cx, node, self.kind);
        }
        let (left, right) = (Side::of(cx, node, a, self.rounded)?, Side::of(cx, node, b, self.rounded)?);
        let whole = |value: &Value| value.elements() == output.elements();
        if let Some(one) = right.one(b).filter(|_| whole(a)) {
            let truth = |x: i8| holds(self.kind, &left, left.at(x), &right, one);
            return Ok(vec![lookup::table(cx, a_id, output_id, |x| truth(x).into())?]);
        }
        if let Some(one) = left.one(a).filter(|_| whole(b)) {
            let truth = |x: i8| holds(self.kind, &left, one, &right, right.at(x));
            return Ok(vec![lookup::table(cx, b_id, output_id, |x| truth(x).into())?]);
        }
        if !byte(a) || !byte(b) {
            return Err(
                cx.unsupported(node, format_args!("it compares {} with {}", a.dtype.name(), b.dtype.name()))
            );
        }
        // What NOT_EQUAL leaves out are neighbours, too.
        let negate = self.kind == CompareKind::NotEqual;
        let kind = if negate { CompareKind::Equal } else { self.kind };
        let range = |bits: u8| {
            let y = right.at(bits as i8);
            let inside = |&x: &i8| holds(kind, &left, left.at(x), &right, y);
            let (low, high) = ((i8::MIN..=i8::MAX).find(inside), (i8::MIN..=i8::MAX).rfind(inside));
            [low.unwrap_or(i8::MAX), high.unwrap_or(i8::MIN)]
        };
        let ranges: Vec<[i8; 2]> = (0..=u8::MAX).map(range).collect();
        let params = CompareParams {
            shape: broadcast(cx, node, &a.shape, &b.shape, &output.shape)?,
            ranges: cx.constants.add(&ranges, 1)?,
            negate: negate.into(),
        };
        Ok(vec![Lowered::new(OpCode::Compare, vec![a_id, b_id], vec![output_id], &params)])
    }
}

/// What an operand's integers are when they are compared.
struct Side {
    scale: f64,
    zero_point: i32,
    rounded: bool,
    known: bool,
}

impl Side {
    fn of(cx: &Lowering<'_>, node: &Node, value: &Value, rounded: bool) -> Result<Side> {
        let known = value.constant.is_some();
        if value.dtype == DType::Float32 {
            return Ok(Side { scale: 0.0, zero_point: 0, rounded: false, known });
        }
        let (scale, zero_point) = cx.quantization(node, value)?;
        Ok(Side { scale, zero_point, rounded, known })
    }

    fn at(&self, x: i8) -> f64 {
        let steps = i32::from(x).wrapping_sub(self.zero_point);
        match self.rounded {
            true => requantize_double(steps << BITS, multiplier(self.scale)).into(),
            false => (self.scale as f32 * steps as f32).into(),
        }
    }

    /// The only number of a constant of one element.
    fn one(&self, value: &Value) -> Option<f64> {
        match &value.constant {
            Some(Constant::F32(real)) if real.len() == 1 => Some(real[0].into()),
            Some(Constant::I8(integer)) if integer.len() == 1 => Some(self.at(integer[0])),
            _ => None,
        }
    }
}

/// Whether a comparison holds of two numbers of these operands. A constant is the nearest number of the other operand.
fn holds(kind: CompareKind, left: &Side, a: f64, right: &Side, b: f64) -> bool {
    let near = |grid: &Side| !grid.rounded && 2.0 * (a - b).abs() < grid.scale;
    let same = || a == b || (right.known && near(left)) || (left.known && near(right));
    match kind {
        CompareKind::Equal => same(),
        CompareKind::NotEqual => !same(),
        _ => kind.holds(a, b),
    }
}
