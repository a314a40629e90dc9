//! Recurrent layers: LSTM, GRU and plain ones, in one direction. `cells` has their numbers for the device.

use ferrolite_graph::float::recurrent::{self, Operands as Named};
use ferrolite_schema::OpCode;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::{cells, types, work};
use crate::error::Result;
use crate::graph::{DType, Graph, Node, Recurrent, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("UNIDIRECTIONAL_SEQUENCE_LSTM", &[OpCode::Lstm, OpCode::LstmInt16])];

/// Position of the truth values of steps.
const MASK: usize = 7;

/// Position of the weights of the cell state.
const PEEPHOLES: usize = 8;

impl Operator for Recurrent {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, weights, recurrent) = (check.input(0)?, check.input(1)?, check.input(2)?);
        let (&[first, second, features], &[_, units]) = (input, recurrent) else {
            return Err(check.error(format!("operands of shapes {input:?} and {recurrent:?}")));
        };
        let batch = if self.time_major { second } else { first };
        check.ensure(features != 0 && units != 0 && first != 0 && second != 0, || {
            format!("an input of shape {input:?} for {units} units")
        })?;
        let rows = self.cell.gates().saturating_mul(units);
        check.ensure(weights == [rows, features] && recurrent == [rows, units], || {
            format!("weights {weights:?} and {recurrent:?} for {features} features and {units} units")
        })?;
        for (position, wanted) in [
            (3, vec![rows]),
            (4, vec![rows]),
            (5, vec![batch, units]),
            (6, vec![batch, units]),
            (PEEPHOLES, vec![3 * units]),
        ] {
            let found = check.inputs.get(position).copied().flatten();
            check.ensure(found.is_none_or(|found| found == wanted), || {
                format!("operand {position} has shape {found:?}, expected {wanted:?}")
            })?;
        }
        let mask = check.inputs.get(MASK).copied().flatten();
        check.ensure(mask.is_none_or(|found| found == [first, second]), || {
            format!("its mask has shape {mask:?}, expected [{first}, {second}]")
        })?;
        let rest = check.outputs.get(1..).unwrap_or_default();
        check.ensure(rest.len() <= 4 && rest.iter().all(|&out| out == [batch, units]), || {
            format!("its states have shapes {rest:?}, expected [{batch}, {units}]")
        })?;
        check.output(&[first, second, units])
    }

    fn is_index(&self, position: usize) -> bool {
        position == MASK
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
            mask: x.optional(MASK),
            peepholes: x.optional(PEEPHOLES),
        };
        recurrent::run(self, &operands).into()
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        // Each step multiplies by all weights of the gates, those of the input and those of the state.
        let weights = [1, 2].map(|position| work::elements(graph, node, position, 0));
        let steps = work::shape(graph, node, 0).get(..2).map_or(0, work::count);
        steps.saturating_mul(weights[0].saturating_add(weights[1]))
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        let without = |dtype| move |value: &&&Value| value.dtype != dtype;
        // Masks are truth values.
        let inputs: Vec<&Value> = inputs.iter().filter(without(DType::Bool)).copied().collect();
        if self.integer.is_none() {
            return types::one_type(&inputs, outputs);
        }
        // The operands that are present: input, two matrices, and what follows.
        let [input, weights, recurrent, rest @ ..] = inputs.as_slice() else {
            return Err("its weights are missing".into());
        };
        for matrix in [weights, recurrent] {
            types::weighted(&[input, matrix], outputs, 0)?;
        }
        // Peepholes and cell states that are kept are int16.
        let is_known =
            |value: &&&Value| matches!(value.dtype, DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64);
        match rest.iter().find(|value| !is_known(value)) {
            Some(other) => Err(format!("tensor `{}` is {}", other.name, other.dtype.name())),
            None => Ok(()),
        }
    }

    fn is_float_only(&self) -> bool {
        !cells::has_kernel(self)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        cells::lower(cx, node, self)
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "recurrent layers are not written as .tflite"))
    }
}
