//! SPLIT and SPLIT_V.

use ferrolite_graph::float::movement;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::Operator;
use super::{strided_copy, types};
use crate::error::Result;
use crate::graph::{Node, Split, Value};

impl Operator for Split {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, axis) = (check.input(0)?, self.axis);
        check.axis(axis, input.len())?;
        let mut rest = input[axis];
        for part in &check.outputs {
            let mut expected = input.to_vec();
            expected[axis] = part.get(axis).copied().unwrap_or(0);
            check.ensure(*part == expected && expected[axis] <= rest, || {
                format!("a part of shape {part:?} of {input:?}")
            })?;
            rest -= expected[axis];
        }
        check.ensure(rest == 0, || format!("its parts leave {rest} of {input:?} over"))
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn has_several_results(&self) -> bool {
        true
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let input = x.get(0);
        movement::split(input.data, input.shape[..self.axis].iter().product(), &x.lengths())
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let copies = strided_copy::parted(cx, node, self.axis, false)?;
        strided_copy::lower(cx, node, &copies, None)
    }
}
