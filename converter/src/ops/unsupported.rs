//! What an importer recognised and Ferrolite cannot compute.

use super::check::Check;
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use crate::error::Result;
use crate::graph::{Unsupported, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[];

impl Operator for Unsupported {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        Err(check.error("the operator is not supported"))
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn has_several_results(&self) -> bool {
        true
    }

    fn check_types(&self, _: &[&Value], _: &[&Value]) -> Result<(), String> {
        Ok(())
    }

    fn eval(&self, _: &Operands<'_>) -> Vec<Vec<f32>> {
        unreachable!("the check refuses unsupported operators")
    }
}
