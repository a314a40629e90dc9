//! MUL: `(a - zero_point of a) * (b - zero_point of b)`, scaled to the output.
//! Source followed: TFLM `kernels/mul_common.cc`, `reference/integer_ops/mul.h`.

use core::cell::Cell;

use ferrolite_schema::params::{MulParams, Product};
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_clamp, check_int8, check_multiplier};
use crate::tensor::TensorView;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Mul as u16, check, eval: eval::<K>, lead: broadcast::lead }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &MulParams = node.params()?;
    broadcast::check(node, &p.shape)?;
    check_product(&p.product)
}

/// Checks the numbers of a product: zero points and clamp are int8, the multiplier is in range.
pub(super) fn check_product(p: &Product) -> Result<(), Fault> {
    for zero_point in [p.a_zero_point, p.b_zero_point, p.zero_point] {
        check_int8(zero_point)?;
    }
    check_multiplier(&p.multiplier)?;
    check_clamp(p.min, p.max)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    mul::<K>(p, eval.node().rounding(), eval.view(0), eval.view(1), eval.output(0));
}

/// Multiplies two tensors, whose shapes and that of `out` are those of `p.shape`.
pub fn mul<K: Kernels>(
    p: &MulParams,
    rounding: Rounding,
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    out: &[Cell<i8>],
) {
    broadcast::runs(&p.shape, a, b, out, |a, b, out| K::mul(a, b, &p.product, rounding, out));
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, product, two_operands};

    let (shape, output, operands) = broadcast(random);
    let p = MulParams { shape, product: product(random, -7) };
    let case = Case::of(OpCode::Mul, &p, Constants::default()).rounding(random);
    two_operands(case, random, operands, output)
}
