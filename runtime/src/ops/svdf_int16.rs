//! SVDF with a state and weights over time of int16; all else as [`svdf`](super::svdf).

use core::cell::Cell;

use ferrolite_schema::OpCode;

use super::recurrent::Product;
use super::svdf::{Remembered, check_as, eval_as};
use super::{Operator, no_overlap};
use crate::kernels::{Delays, Kernels};

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
    fn product<K: Kernels>(feature: &Product<'_>, input: &[Cell<i8>], out: &[Cell<i16>]) {
        feature.apply::<K>(input, out);
    }

    fn delays<K: Kernels>(
        delays: &Delays<'_, i16>,
        newest: &[Cell<i16>],
        state: &[Cell<i16>],
        out: &[Cell<i8>],
    ) {
        K::delays_int16(delays, newest, state, out);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    super::svdf::case_as::<i16>(random, OpCode::SvdfInt16)
}
