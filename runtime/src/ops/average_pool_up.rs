//! AVERAGE_POOL_2D of TensorFlow 1's uint8: `clamp(floor(sum / count + 1/2))`.
//!
//! Where all numbers are 0 or above, half steps go up. Moved to int8 they still do, where int8's own
//! [average](super::average_pool_2d) rounds those below zero down. Only windows of an even number of cells have such
//! means. Source followed: TFLite `reference/pooling.h`, `AveragePool` of uint8.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::Pool2dParams;

use super::{Operator, pool_2d};
use crate::kernels::Cells;
use crate::node::Eval;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::AveragePoolUp as u16, check: pool_2d::check, eval, lead: pool_2d::lead }
}

fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<Pool2dParams>() else { return };
    average_pool_up(p, eval.input(0), eval.output(0));
}

/// Average pooling of a batch of images; shapes as for [`average_pool_2d`](pool_2d::average_pool_2d).
pub fn average_pool_up(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    pool_2d::pool(p, input, out, |cells, out| average(cells, p, out));
}

fn average(cells: &Cells<'_>, p: &Pool2dParams, out: &[Cell<i8>]) {
    let count = cells.count();
    for (channel, out) in out.iter().enumerate() {
        let mut sum = count >> 1;
        for row in cells.rows() {
            for cell in row.get(channel..).unwrap_or(&[]).iter().step_by(cells.channels.max(1)) {
                sum = sum.wrapping_add(cell.get().into());
            }
        }
        out.set(sum.checked_div_euclid(count).unwrap_or(0).max(p.min).min(p.max) as i8);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    pool_2d::case(OpCode::AveragePoolUp, random)
}
