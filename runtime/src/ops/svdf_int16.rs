//! SVDF with a state and weights over time of int16; all else as [`svdf`](super::svdf).

use core::cell::Cell;

use ferrolite_schema::OpCode;

use super::svdf::{Remembered, Time, check_as, eval_as};
use super::{Operator, no_overlap};
use crate::kernels::Kernels;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::SvdfInt16 as u16,
        check: check_as::<i16>,
        eval: eval_as::<i16, K>,
        lead: no_overlap,
    }
}

impl Remembered for i16 {
    #[inline(always)]
    fn of(sum: i16, zero_point: i32) -> i16 {
        i32::from(sum).wrapping_add(zero_point) as i16
    }

    #[inline(never)]
    fn advance(layer: &Time<'_, i16>, sums: &[Cell<i16>], state: &[Cell<i16>], out: &[Cell<i8>]) {
        layer.advance(sums, state, out);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    super::svdf::case_as::<i16>(random, OpCode::SvdfInt16)
}
