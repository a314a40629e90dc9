//! LOG_SOFTMAX, in float; a pass takes it apart for the device.

use ferrolite_graph::float::elementwise;

use super::check::Check;
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use crate::error::Result;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[];

/// `x - max - ln(sum(exp(x - max)))` over the last dimension.
pub(super) struct LogSoftmax;

impl Operator for LogSoftmax {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::log_softmax(x.get(0).data, x.get(0).depth())]
    }

    fn prescribed(&self) -> Option<(f32, i32)> {
        Some((16.0 / 256.0, 127))
    }

    fn is_float_only(&self) -> bool {
        true
    }

    fn scores(&self) -> Scores {
        Scores::Own
    }
}
