//! Gated recurrent unit with any functions: as [`gru`](super::gru), with tables of the functions of gates and candidate.
//!
//! ```text
//! z = G(clamp(W x)_z + clamp(R h)_z)                r likewise
//! n = A(clamp(W x)_n + r * clamp(R h)_n)            or as the reset gate acts before the product
//! h = n + z * (h - n)
//! ```
//! `G` and `A` are [curves](crate::gates::Curve) of int16 numbers: what scale sums and results have is the converter's
//! choice. Gates have 15 bits behind the point, `A` gives the hidden state's scale. The arithmetic is Ferrolite's own.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::GruCurvesParams;

use super::gru::{Cells, Memory, check_all, eval_all};
use super::recurrent::{Curve, POINTS, curve, curve_at};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::gates::{Functions, GruStep};
use crate::kernels::Kernels;
use crate::node::{Eval, Node};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::GruCurves as u16, check, eval: eval::<K>, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &GruCurvesParams = node.params()?;
    node.expect_constants::<i16>(p.gru.table, POINTS)?;
    node.expect_constants::<i16>(p.activation, POINTS)?;
    check_all(node, &p.gru)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<GruCurvesParams>() else { return };
    let (Some(gate), Some(activation)) = (curve(node, p.gru.table), curve(node, p.activation)) else {
        return;
    };
    eval_all::<K, _>(eval, &p.gru, Curves { gate, activation });
}

/// Functions of a layer.
struct Curves<'a> {
    gate: &'a Curve,
    activation: &'a Curve,
}

impl Functions for Curves<'_> {
    #[inline(always)]
    fn gate(&self, sum: i32) -> i32 {
        curve_at(self.gate, sum)
    }

    #[inline(always)]
    fn candidate(&self, sum: i32) -> i32 {
        curve_at(self.activation, sum)
    }
}

impl Cells for Curves<'_> {
    #[inline(always)]
    fn after<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>) {
        step.after(self, memory.a, memory.b, memory.wide, memory.hidden);
    }

    #[inline(always)]
    fn reset<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>) {
        step.reset(self, memory.a, memory.b, memory.wide, memory.reset);
    }

    #[inline(always)]
    fn before<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>) {
        step.before(self, [memory.a, memory.b, memory.c], memory.wide, memory.hidden);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants};
    use crate::ops::recurrent::curve_case;

    let mut constants = Constants::default();
    let gate = curve_case(random, &mut constants);
    let activation = curve_case(random, &mut constants);
    let gru = super::gru::params_case(random, &mut constants, gate);
    let case = Case::of(OpCode::GruCurves, &GruCurvesParams { gru, activation }, constants);
    super::gru::operands_case(random, case, &gru)
}
