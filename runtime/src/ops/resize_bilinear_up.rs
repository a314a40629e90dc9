//! RESIZE_BILINEAR that rounds half steps up, as TensorFlow 1's uint8 does: `floor(sum / 2^20 + 1/2)`, the rest as in
//! [RESIZE_BILINEAR](super::resize_bilinear). Where all positions are multiples of 1/1024 of a pixel, that is what its
//! float32 arithmetic gives.

use ferrolite_schema::params::ResizeBilinearParams;
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, no_overlap, resize_bilinear};
use crate::kernels::Portable;
use crate::node::Eval;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::ResizeBilinearUp as u16, check: resize_bilinear::check, eval, lead: no_overlap }
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<ResizeBilinearParams>() {
        // A single rounding is one upwards; no set has a kernel of its own for it.
        resize_bilinear::resize_bilinear::<Portable>(p, Rounding::Single, eval.input(0), eval.output(0));
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    crate::cases::Case { code: OpCode::ResizeBilinearUp, ..resize_bilinear::case(random) }
}
