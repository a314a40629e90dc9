//! Functions of one number. On the device each is a table; `lookup` makes it.

use ferrolite_graph::float::elementwise;

use super::check::Check;
use super::lookup;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::Operator;
use crate::error::Result;
use crate::graph::{Node, UnaryKind};

impl Operator for UnaryKind {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::map(*self, x.get(0).data)]
    }

    fn commutes_with_clamps(&self) -> bool {
        self.selects()
    }

    fn selects(&self) -> bool {
        matches!(self, UnaryKind::Relu | UnaryKind::Relu6 | UnaryKind::ReluN1To1 | UnaryKind::Clip { .. })
    }

    fn prescribed(&self) -> Option<(f32, i32)> {
        match self {
            UnaryKind::Logistic => Some((1.0 / 256.0, -128)),
            UnaryKind::Tanh => Some((1.0 / 128.0, 0)),
            _ => None,
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lookup::lower(cx, node, *self)
    }
}
