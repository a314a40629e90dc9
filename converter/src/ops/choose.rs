//! The results of IF. The nodes of both branches are nodes of the graph like all others; one CHOOSE for each result
//! joins what the branches make of it, and which nodes are in a branch follows from where their results lead
//! (`branches`). So passes and quantization need not know of IF: a branch's values and the result share their scale.
//!
//! The device skips the ops of the branch that is not taken (`emit/schedule.rs`) and merges the other one's results.

use ferrolite_schema::params::MergeParams;
use ferrolite_schema::{DType, OpCode};

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::types;
use crate::error::Result;
use crate::graph::{Choose, Node, Value};

/// Operands: the condition, and the values by the truth value that takes them.
pub(crate) const CONDITION: usize = 0;
pub(crate) const TAKEN_BY: [usize; 2] = [2, 1];

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("IF", &[OpCode::SkipIf, OpCode::Merge])];

impl Operator for Choose {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let condition: usize = check.input(CONDITION)?.iter().product();
        check
            .ensure(condition == 1, || format!("its condition has {condition} elements; one is supported"))?;
        let [no, yes] = TAKEN_BY;
        let (no, yes) = (check.input(no)?, check.input(yes)?);
        check.ensure(no == yes, || {
            format!("its branches give shapes {yes:?} and {no:?}; one shape is supported")
        })?;
        check.output(yes)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        let (condition, values) = inputs.split_first().ok_or("its condition is missing")?;
        if condition.dtype != DType::Bool {
            return Err(format!("a condition of type {}", condition.dtype.name()));
        }
        types::same_type(values, outputs)?;
        types::same_quantization(values, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let holds = x.get(CONDITION).data.first().is_some_and(|&truth| truth != 0.0);
        // The other one may not have been computed.
        vec![x.get(TAKEN_BY[usize::from(holds)]).data.to_vec()]
    }

    fn is_index(&self, position: usize) -> bool {
        position == CONDITION
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "an IF is not written"))
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let operands = [cx.input(node, 0)?, cx.input(node, 1)?, cx.input(node, 2)?];
        let (output_id, output) = cx.output(node, 0)?;
        let [(_, condition), values @ ..] = operands;
        if condition.dtype != DType::Bool || condition.constant.is_some() {
            return Err(cx.unsupported(
                node,
                format_args!("its condition `{}` is no truth value that is computed", condition.name),
            ));
        }
        let same = |value: &Value| value.dtype == output.dtype && value.quantization == output.quantization;
        if let Some((_, value)) = values.iter().find(|(_, value)| !same(value)) {
            return Err(cx.unsupported(
                node,
                format_args!("`{}` of a branch and the result have other types or scales", value.name),
            ));
        }
        let inputs = operands.iter().map(|(id, _)| *id).collect();
        let params = MergeParams { bytes: cx.word(node, output.bytes())? };
        Ok(vec![Lowered::new(OpCode::Merge, inputs, vec![output_id], &params)])
    }
}
