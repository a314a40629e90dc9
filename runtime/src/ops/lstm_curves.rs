//! LSTM with any functions, and with peepholes: as [`lstm`](super::lstm), with tables of its functions.
//!
//! ```text
//! s = clamp(clamp(W x) + clamp(R h) + P c)      of input and forget gate with the old c, of the output gate with the new
//! c = clamp(G(s_forget) * c) + clamp(G(s_input) * A(s_candidate))
//! h = G(s_output) * B(c)
//! ```
//! `G`, `A` and `B` are [curves](crate::gates::Curve) of int16 numbers: what scale sums and results have is the
//! converter's choice. Gates have 15 bits behind the point. The arithmetic is Ferrolite's own; the equations are those of
//! ONNX and Keras.

use core::cell::Cell;

use ferrolite_schema::params::LstmCurvesParams;
use ferrolite_schema::{OpCode, Rounding};

use super::lstm::{bounds, check_all, eval_all};
use super::recurrent::{Curve, POINTS, by_power, curve, curve_at, sum, to_int8, to_int16};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::requantize;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::LstmCurves as u16, check, eval: eval::<K>, lead: no_overlap }
}

/// Gates of a unit that have a peephole.
const PEEPHOLES: u32 = 3;

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &LstmCurvesParams = node.params()?;
    for offset in [p.lstm.table, p.activation, p.output] {
        node.expect_constants::<i16>(offset, POINTS)?;
    }
    let units = p.lstm.sequence.units;
    if p.peephole_count != 0 && p.peephole_count != units {
        return Err(Fault::Parameters);
    }
    let weights = p.peephole_count.checked_mul(PEEPHOLES).ok_or(Fault::Parameters)?;
    node.expect_constants::<i16>(p.peepholes, weights)?;
    check_multiplier(&p.peephole)?;
    check_all(node, &p.lstm)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<LstmCurvesParams>() else { return };
    let (Some(gate), Some(activation), Some(output)) =
        (curve(node, p.lstm.table), curve(node, p.activation), curve(node, p.output))
    else {
        return;
    };
    let weights = p.peephole_count.wrapping_mul(PEEPHOLES);
    let Ok(peepholes) = node.constants(p.peepholes, weights) else { return };
    let step = Step { p, rounding: node.rounding(), gate, activation, output, peepholes };
    eval_all::<K>(eval, &p.lstm, |a, b, cell, hidden| step.run(a, b, cell, hidden));
}

/// What a step needs beside its sums.
struct Step<'a> {
    p: &'a LstmCurvesParams,
    rounding: Rounding,
    gate: &'a Curve,
    activation: &'a Curve,
    output: &'a Curve,
    /// Of the gates input, forget, output of each unit; empty for none.
    peepholes: &'a [i16],
}

impl Step<'_> {
    /// Makes the new cell and hidden states. Not inlined, so that it is compiled for speed.
    #[inline(never)]
    fn run(&self, a: &[Cell<i16>], b: &[Cell<i16>], cell: &[Cell<i16>], hidden: &[Cell<i8>]) {
        let p = &self.p.lstm;
        let (low, high) = bounds(p);
        let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
        let mut peepholes = self.peepholes.as_chunks::<3>().0.iter();
        for ((([a0, a1, a2, a3], [b0, b1, b2, b3]), c), h) in a.iter().zip(b).zip(cell).zip(hidden) {
            let weights = peepholes.next().copied().unwrap_or_default();
            let old = i32::from(c.get());
            let input = self.look(sum(a0, b0), weights[0], old);
            let forget = self.look(sum(a1, b1), weights[1], old);
            let new = curve_at(self.gate, input).wrapping_mul(curve_at(self.activation, sum(a2, b2)));
            let new = to_int16(by_power(new, p.candidate_shift, self.rounding));
            let kept = curve_at(self.gate, forget).wrapping_mul(old);
            let kept = to_int16(by_power(kept, -15, self.rounding));
            let state = kept.wrapping_add(new).max(low).min(high);
            c.set(state as i16);
            let output = self.look(sum(a3, b3), weights[2], state);
            let y = curve_at(self.gate, output).wrapping_mul(curve_at(self.output, state));
            h.set(to_int8(y, p.multiplier, p.zero_point, self.rounding));
        }
    }

    /// A gate's sum with what its peephole sees of the cell state.
    #[inline(always)]
    fn look(&self, sum: i32, weight: i16, cell: i32) -> i32 {
        if self.peepholes.is_empty() {
            return sum;
        }
        let seen = requantize(i32::from(weight).wrapping_mul(cell), self.p.peephole, self.rounding);
        to_int16(sum.saturating_add(seen))
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, factor};
    use crate::ops::recurrent::curve_case;

    let mut constants = Constants::default();
    let [gate, activation, output] = [(); 3].map(|()| curve_case(random, &mut constants));
    let lstm = super::lstm::params_case(random, &mut constants, gate);
    let peephole_count = [0, lstm.sequence.units][random.below(2)];
    let weights: std::vec::Vec<i16> = (0..peephole_count * PEEPHOLES).map(|_| random.next() as i16).collect();
    let p = LstmCurvesParams {
        lstm,
        activation,
        output,
        peepholes: constants.push(&weights),
        peephole_count,
        peephole: factor(random, -14),
    };
    let case = Case::of(OpCode::LstmCurves, &p, constants);
    super::lstm::operands_case(random, case, &lstm)
}
