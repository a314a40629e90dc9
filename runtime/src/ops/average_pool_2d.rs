//! AVERAGE_POOL_2D: the mean of each channel over the cells of a window. `pool_2d.rs` has what both kinds of
//! pooling share.

use ferrolite_schema::OpCode;

use super::Operator;
use super::pool_2d::{average_pool_2d, average_pool_2d_of_many, check, lead};
use crate::kernels::Kernels;
use crate::node::Eval;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::AveragePool2d as u16, check, eval: eval::<K>, lead }
}

/// The same for windows of many cells, with less code.
pub const fn of_many_operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::AveragePool2d as u16, check, eval: eval_of_many::<K>, lead }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    let Some((input, out)) = eval.pair() else { return };
    average_pool_2d::<K>(p, input, out);
}

fn eval_of_many<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    let Some((input, out)) = eval.pair() else { return };
    average_pool_2d_of_many::<K>(p, input, out);
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    super::pool_2d::case(OpCode::AveragePool2d, random)
}
