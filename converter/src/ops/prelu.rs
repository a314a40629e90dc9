//! PRELU, in float; a pass takes it apart for the device.

use ferrolite_graph::float::elementwise;
use ferrolite_graph::float::strided::broadcast_shape;

use super::check::Check;
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use crate::error::Result;
use crate::graph::{Graph, Node};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[];

/// Negative elements times a slope of their own.
pub(super) struct Prelu;

impl Operator for Prelu {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (x, slope) = (check.input(0)?, check.input(1)?);
        check.ensure(broadcast_shape(x, slope).as_deref() == Some(x), || {
            format!("a slope of shape {slope:?} for an input of {x:?}")
        })?;
        check.output(x)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::prelu(x.get(0), x.get(1))]
    }

    fn is_float_only(&self) -> bool {
        true
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn broadcasts(&self) -> bool {
        true
    }
}
