//! Arithmetic, comparisons and logic of plain integers: tensors without a scale, whose numbers stand for themselves.
//! Sources followed: those of the device's operator, `runtime/src/ops/integers.rs`.

use ferrolite_schema::params::IntegersParams;
use ferrolite_schema::{DType, OpCode};

use super::broadcast::broadcast;
use super::lowering::{Lowered, Lowering};
use crate::error::Result;
use crate::graph::{BinaryKind, CompareKind, LogicKind, Node};

/// The first of the device's functions whose results are truth values; they compare real numbers, too.
const FIRST_TRUTH: u32 = 9;

/// The device's number of a function, and whether its operands change places.
pub(super) trait Function {
    fn number(self) -> (u32, bool);
}

impl Function for BinaryKind {
    fn number(self) -> (u32, bool) {
        let number = match self {
            BinaryKind::Add => 0,
            BinaryKind::Sub => 1,
            BinaryKind::Mul => 2,
            BinaryKind::Div => 3,
            BinaryKind::FloorDiv => 4,
            BinaryKind::FloorMod => 5,
            BinaryKind::Maximum => 6,
            BinaryKind::Minimum => 7,
            BinaryKind::SquaredDifference => 8,
        };
        (number, false)
    }
}

impl Function for CompareKind {
    fn number(self) -> (u32, bool) {
        match self {
            CompareKind::Less => (9, false),
            CompareKind::LessEqual => (10, false),
            CompareKind::Greater => (9, true),
            CompareKind::GreaterEqual => (10, true),
            CompareKind::Equal => (11, false),
            CompareKind::NotEqual => (12, false),
        }
    }
}

/// Of functions of two truth values.
impl Function for LogicKind {
    fn number(self) -> (u32, bool) {
        match self {
            LogicKind::Or => (6, false),
            LogicKind::And => (7, false),
            LogicKind::Xor | LogicKind::Not => (12, false),
        }
    }
}

/// The op of a function of the first two operands.
pub(super) fn lower(cx: &Lowering<'_>, node: &Node, function: impl Function) -> Result<Vec<Lowered>> {
    let (number, swapped) = function.number();
    let (mut a, mut b) = (cx.input(node, 0)?, cx.input(node, 1)?);
    let (output_id, output) = cx.output(node, 0)?;
    let compares = number >= FIRST_TRUTH;
    if let Some((_, value)) = [a, b].into_iter().find(|(_, value)| value.dtype == DType::Float32 && !compares)
    {
        return Err(
            cx.unsupported(node, format_args!("`{}` is float32; integers are supported here", value.name))
        );
    }
    if swapped {
        std::mem::swap(&mut a, &mut b);
    }
    let shape = broadcast(cx, node, &a.1.shape, &b.1.shape, &output.shape)?;
    let params = IntegersParams { shape, function: number };
    Ok(vec![Lowered::new(OpCode::Integers, vec![a.0, b.0], vec![output_id], &params)])
}
