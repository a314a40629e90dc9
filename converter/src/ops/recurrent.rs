//! Recurrent layers, in float.

use ferrolite_graph::float::recurrent::{self, Operands as Named};

use super::check::Check;
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::work;
use crate::error::Result;
use crate::graph::{Graph, Node, Recurrent};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[];

impl Operator for Recurrent {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, weights, recurrent) = (check.input(0)?, check.input(1)?, check.input(2)?);
        let (&[batch, steps, features], &[_, units]) = (input, recurrent) else {
            return Err(check.error(format!("operands of shapes {input:?} and {recurrent:?}")));
        };
        let rows = self.cell.gates().saturating_mul(units);
        check.ensure(weights == [rows, features] && recurrent == [rows, units], || {
            format!("weights {weights:?} and {recurrent:?} for {features} features and {units} units")
        })?;
        for (position, wanted) in
            [(3, vec![rows]), (4, vec![rows]), (5, vec![batch, units]), (6, vec![batch, units])]
        {
            let found = check.inputs.get(position).copied().flatten();
            check.ensure(found.is_none_or(|found| found == wanted), || {
                format!("operand {position} has shape {found:?}, expected {wanted:?}")
            })?;
        }
        let rest = check.outputs.get(1..).unwrap_or_default();
        check.ensure(rest.len() <= 2 && rest.iter().all(|&out| out == [batch, units]), || {
            format!("its states have shapes {rest:?}, expected [{batch}, {units}]")
        })?;
        check.output(&[batch, steps, units])
    }

    fn has_several_results(&self) -> bool {
        true
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let operands = Named {
            input: x.get(0),
            weights: x.get(1),
            recurrent: x.get(2),
            bias: x.optional(3),
            recurrent_bias: x.optional(4),
            hidden: x.optional(5),
            cell: x.optional(6),
        };
        recurrent::run(self, &operands).into()
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        // Each step multiplies by all weights of the gates, those of the input and those of the state.
        let weights = [1, 2].map(|position| work::elements(graph, node, position, 0));
        let steps = work::shape(graph, node, 0).get(..2).map_or(0, work::count);
        steps.saturating_mul(weights[0].saturating_add(weights[1]))
    }

    fn is_float_only(&self) -> bool {
        true
    }
}
