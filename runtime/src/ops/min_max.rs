//! MAXIMUM and MINIMUM: operands and output share their quantization, so stored integers compare as
//! the real numbers do. Source followed: TFLM `kernels/maximum_minimum.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::MinMaxParams;

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node};
use crate::tensor::TensorView;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::MinMax as u16, check, eval: eval::<K>, lead: broadcast::lead }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &MinMaxParams = node.params()?;
    if p.maximum > 1 {
        return Err(Fault::Parameters);
    }
    broadcast::check(node, &p.shape)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    min_max::<K>(p, eval.view(0), eval.view(1), eval.output(0));
}

/// The larger or smaller elements of two tensors, whose shapes and that of `out` are those of
/// `p.shape`.
pub fn min_max<K: Kernels>(p: &MinMaxParams, a: TensorView<'_, i8>, b: TensorView<'_, i8>, out: &[Cell<i8>]) {
    broadcast::runs(&p.shape, a, b, out, |a, b, out| K::min_max(a, b, p.maximum == 1, out));
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, two_operands};

    let (shape, output, operands) = broadcast(random);
    let p = MinMaxParams { shape, maximum: random.below(2) as u32 };
    two_operands(Case::of(OpCode::MinMax, &p, Constants::default()), random, operands, output)
}
