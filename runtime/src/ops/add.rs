//! ADD and SUB: both operands are brought to a common scale with 20 more bits, combined, and scaled
//! to the output. Source followed: TFLM `kernels/add_common.cc`, `reference/integer_ops/add.h`,
//! `reference/sub.h`.

use core::cell::Cell;

use ferrolite_schema::params::{AddParams, Term};
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_clamp, check_multiplier};
use crate::tensor::TensorView;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Add, check, eval: eval::<K>, lead: broadcast::lead }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &AddParams = node.params()?;
    broadcast::check(node, &p.shape)?;
    let sum = &p.sum;
    for Term { zero_point, multiplier } in [&sum.a, &sum.b] {
        check_clamp(*zero_point, *zero_point)?;
        check_multiplier(multiplier)?;
    }
    if sum.sign != 1 && sum.sign != -1 {
        return Err(Fault::Parameters);
    }
    check_multiplier(&sum.multiplier)?;
    check_clamp(sum.zero_point, sum.zero_point)?;
    check_clamp(sum.min, sum.max)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    add::<K>(p, eval.node().rounding(), eval.view(0), eval.view(1), eval.output(0));
}

/// Adds or subtracts two tensors, whose shapes and that of `out` are those of `p.shape`.
pub fn add<K: Kernels>(
    p: &AddParams,
    rounding: Rounding,
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    out: &[Cell<i8>],
) {
    broadcast::runs(&p.shape, a, b, out, |a, b, out| K::add(a, b, &p.sum, rounding, out));
}
