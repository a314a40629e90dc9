//! ADD and SUB as a sum of both operands with a factor each, rounded once.
//!
//! ```text
//! out = clamp((a * factor_a / 2^8 + b * factor_b / 2^8 + term) / 2^20)        all divisions round down
//! ```
//! TFLM rounds each operand, and then their sum, with 20 more bits. That seldom shows in the eight bits of an output: the
//! converter tries all 65,536 pairs of elements, and writes this op where its factors and term give TFLM's answer to each,
//! the op `add` where they do not. So no rounding of the model's is used here.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::WeightedSumParams;

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_clamp};
use crate::tensor::TensorView;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::WeightedSum as u16, check, eval: eval::<K>, lead: broadcast::lead }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &WeightedSumParams = node.params()?;
    broadcast::check(node, &p.shape)?;
    check_clamp(p.sum.min, p.sum.max)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    weighted_sum::<K>(p, eval.view(0), eval.view(1), eval.output(0));
}

/// Adds two tensors, whose shapes and that of `out` are those of `p.shape`.
pub fn weighted_sum<K: Kernels>(
    p: &WeightedSumParams,
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    out: &[Cell<i8>],
) {
    broadcast::runs(&p.shape, a, b, out, |a, b, out| K::weighted_sum(a, b, &p.sum, out));
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, two_operands};
    use ferrolite_schema::params::Weighted;

    let (shape, output, operands) = broadcast(random);
    // Factors of up to 1, and any now and then.
    let mut factor = || random.next() as i32 >> [1, 1, 2, 0][random.below(4)];
    let (factor_a, factor_b) = (factor(), factor());
    let term = random.next() as i32 >> 4;
    let p = WeightedSumParams { shape, sum: Weighted { factor_a, factor_b, term, min: -128, max: 127 } };
    two_operands(Case::of(OpCode::WeightedSum, &p, Constants::default()), random, operands, output)
}
