//! MAX_POOL_2D: the maximum of each channel over the cells of a window. `pool_2d.rs` has what both kinds of
//! pooling share.

use ferrolite_schema::OpCode;

use super::Operator;
use super::pool_2d::{check, lead, max_pool_2d};
use crate::kernels::Kernels;
use crate::node::Eval;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::MaxPool2d as u16, check, eval: eval::<K>, lead }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    let Some((input, out)) = eval.pair() else { return };
    max_pool_2d::<K>(p, input, out);
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    super::pool_2d::case(OpCode::MaxPool2d, random)
}
