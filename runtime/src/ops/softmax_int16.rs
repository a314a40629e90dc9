//! SOFTMAX from int8 to int16, at scale 1/65,536 and zero point -32,768; all else as [`softmax`](super::softmax).

use core::cell::Cell;

use ferrolite_schema::params::SoftmaxParams;
use ferrolite_schema::{DType, OpCode};

use super::softmax::MAX_DEPTH;
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::softmax_int16 as row;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::SoftmaxInt16 as u16, check, eval, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SoftmaxParams = node.params()?;
    if p.depth == 0 || p.depth > MAX_DEPTH || p.entries == 0 || p.entries > 256 {
        return Err(Fault::Parameters);
    }
    let elements = p.rows.checked_mul(p.depth).filter(|&n| n != 0).ok_or(Fault::Parameters)?;
    node.expect_operands(1, 1)?;
    node.expect_tensor(node.input(0)?, DType::Int8, elements)?;
    node.expect_tensor(node.output(0)?, DType::Int16, elements)?;
    node.constants::<i32>(p.table, p.entries).map(|_| ())
}

fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<SoftmaxParams>() else { return };
    let Ok(table) = eval.node().constants(p.table, p.entries) else { return };
    softmax(p.depth as usize, table, eval.input(0), eval.output(0));
}

/// Normalises rows of `depth` elements, as [`softmax`](super::softmax::softmax) does.
pub fn softmax(depth: usize, table: &[i32], input: &[Cell<i8>], out: &[Cell<i16>]) {
    for (input, out) in runs(input, depth).zip(runs(out, depth)) {
        row(TensorView::from_cells(input), table, out);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::Case;

    let Case { inputs, params, constants, what, .. } = super::softmax::case(random);
    let elements = inputs[0].data.len() as u32;
    let blank = Case::of(OpCode::SoftmaxInt16, &[0u32; 4], crate::cases::Constants(constants));
    Case { params, what, inputs, ..blank }.output(DType::Int16, 2 * elements)
}
