//! UNIDIRECTIONAL_SEQUENCE_LSTM: all steps of a layer, from int8 to int8, with a cell state of int16.
//!
//! ```text
//! s = clamp(W x) + clamp(R h)                  for each gate; sums of int16
//! c = clamp(logistic(s_forget) * c) + clamp(logistic(s_input) * tanh(s_candidate))
//! h = logistic(s_output) * tanh(c)
//! ```
//! States begin at zero, or with what two more operands say: as tensors of state they are kept from one inference to
//! the next (hidden state int8, cell state int16), as others they are read (both int8). A last operand of truth values is
//! a mask: which steps are computed.
//! Source followed: TFLM `kernels/lstm_eval.h`.

use core::cell::Cell;

use ferrolite_schema::params::{LstmParams, Sequence};
use ferrolite_schema::{DType, OpCode, Rounding};

use super::recurrent::{
    ENTRIES, Inputs, LAST, LAST_CELL, Mask, Product, STEPS, Steps, Table, check_gates, check_sequence,
    expect_initial, place_of, row, to_int8, to_int16, walk,
};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::gates::LstmStep;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_int8, check_multiplier};
use crate::quant::requantize;
use crate::tensor::{TensorView, cells_of, fill};

/// Gates of a unit.
const GATES: u32 = 4;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Lstm as u16, check, eval: eval::<K>, lead: no_overlap }
}

/// Bytes of scratch memory that an op needs: both parts of all gates, and the states of one sequence.
pub fn scratch_bytes(p: &Sequence) -> Option<u32> {
    p.units.checked_mul(2 * 2 * GATES + 2 + 1)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &LstmParams = node.params()?;
    node.expect_constants::<u16>(p.table, ENTRIES)?;
    check_all(node, p)
}

/// Checks all but the functions.
pub(super) fn check_all(node: &Node<'_>, p: &LstmParams) -> Result<(), Fault> {
    let sizes = check_sequence(node, &p.sequence, STEPS | LAST | LAST_CELL)?;
    let rows = p.sequence.units.checked_mul(GATES).ok_or(Fault::Parameters)?;
    check_gates(node, &p.input, rows, p.sequence.features)?;
    check_gates(node, &p.recurrent, rows, p.sequence.units)?;
    check_step(p)?;
    match sizes.inputs {
        1 => {}
        3 if node.input(1)?.is_state() => {
            node.expect_state(1, sizes.state)?;
            node.expect_state(2, sizes.state.checked_mul(2).ok_or(Fault::Sizes)?)?;
            if node.input(1)?.dtype != DType::Int8 as u8 || node.input(2)?.dtype != DType::Int16 as u8 {
                return Err(Fault::Operands);
            }
        }
        3 => {
            expect_initial(node, 1, sizes.state)?;
            expect_initial(node, 2, sizes.state)?;
        }
        _ => return Err(Fault::Operands),
    }
    node.expect_scratch(scratch_bytes(&p.sequence).ok_or(Fault::Parameters)?)
}

/// Checks the numbers of a step.
pub(super) fn check_step(p: &LstmParams) -> Result<(), Fault> {
    if p.tanh_shift > 30 || p.candidate_shift > -2 || p.candidate_shift < -31 || p.clip > 0x7FFF {
        return Err(Fault::Parameters);
    }
    for multiplier in [&p.multiplier, &p.initial_cell.multiplier, &p.last_cell.multiplier] {
        check_multiplier(multiplier)?;
    }
    for zero_point in [p.zero_point, p.initial_cell.zero_point, p.last_cell.zero_point] {
        check_int8(zero_point)?;
    }
    Ok(())
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<LstmParams>() else { return };
    let table = node.constants(p.table, ENTRIES).ok().and_then(|table: &[u16]| table.first_chunk());
    let Some(table) = table else { return };
    let step = step(p, table, node.rounding());
    eval_all::<K>(eval, p, |a, b, cell, hidden| K::lstm(&step, a, b, cell, hidden));
}

/// What a step needs beside its sums.
pub(super) fn step<'a>(p: &LstmParams, table: &'a Table, rounding: Rounding) -> LstmStep<'a> {
    let (low, high) = bounds(p);
    LstmStep {
        table,
        rounding,
        candidate_shift: p.candidate_shift,
        tanh_multiplier: p.tanh_multiplier,
        tanh_shift: p.tanh_shift,
        low,
        high,
        multiplier: p.multiplier,
        zero_point: p.zero_point,
    }
}

/// Smallest and largest cell state.
pub(super) fn bounds(p: &LstmParams) -> (i32, i32) {
    match p.clip as i32 {
        0 => (i16::MIN.into(), i16::MAX.into()),
        clip => (clip.wrapping_neg(), clip),
    }
}

/// Computes a checked op, whose step makes cell and hidden states of both parts of the gates.
#[inline(always)]
pub(super) fn eval_all<K: Kernels>(
    eval: &Eval<'_>,
    p: &LstmParams,
    step: impl Fn(&[Cell<i16>], &[Cell<i16>], &[Cell<i16>], &[Cell<i8>]),
) {
    let node = eval.node();
    let rows = p.sequence.units.wrapping_mul(GATES);
    let Some(input) = Product::of(node, &p.input, rows, p.sequence.features) else { return };
    let Some(recurrent) = Product::of(node, &p.recurrent, rows, p.sequence.units) else { return };
    let (mask, inputs) = Mask::of(eval, &p.sequence);
    let states = match node.input(1) {
        _ if inputs == 1 => States::Fresh,
        Ok(tensor) if tensor.is_state() => States::Kept(eval.input(1), eval.input(2)),
        _ => States::Given(eval.view(1), eval.view(2)),
    };
    let out = |result| place_of(&p.sequence, result).map_or(&[][..], |position| eval.output(position));
    let layer = Lstm { p, rounding: node.rounding(), input, recurrent, mask };
    layer.run::<K>(eval.input(0), states, eval.scratch(), [out(STEPS), out(LAST), out(LAST_CELL)], step);
}

/// Where the states of a layer begin.
#[derive(Clone, Copy, Debug)]
pub enum States<'a> {
    /// At zero.
    Fresh,
    /// Where the last inference left them: hidden and cell states `[batches, units]`.
    Kept(&'a [Cell<i8>], &'a [Cell<i16>]),
    /// At these hidden and cell states, `[batches, units]`.
    Given(TensorView<'a, i8>, TensorView<'a, i8>),
}

/// A layer with its constants.
#[derive(Clone, Copy, Debug)]
pub struct Lstm<'a> {
    /// Its numbers.
    pub p: &'a LstmParams,
    /// How it scales.
    pub rounding: Rounding,
    /// From the input to the gates.
    pub input: Product<'a>,
    /// From the hidden state to the gates.
    pub recurrent: Product<'a>,
    /// Which steps it computes.
    pub mask: Mask<'a>,
}

impl Lstm<'_> {
    /// Computes all steps. `scratch` has [`scratch_bytes`]; `out` has the hidden states of all steps, the last ones, and
    /// the last cell states, empty where they are no results. `step` makes cell and hidden states of both parts of the gates.
    #[inline(always)]
    pub fn run<K: Kernels>(
        &self,
        input: &[Cell<i8>],
        states: States<'_>,
        scratch: &[Cell<u8>],
        [steps, last, last_cell]: [&[Cell<i8>]; 3],
        step: impl Fn(&[Cell<i16>], &[Cell<i16>], &[Cell<i16>], &[Cell<i8>]),
    ) {
        let units = self.p.sequence.units as usize;
        let own = scratch_bytes(&self.p.sequence);
        let mut inputs = Inputs::new::<K>(&self.p.sequence, GATES, scratch, own, &self.input, &self.mask);
        let gates = units.wrapping_mul(2 * GATES as usize);
        let Some((a, rest)) = scratch.split_at_checked(gates) else { return };
        let Some((b, rest)) = rest.split_at_checked(gates) else { return };
        let Some((own_cell, rest)) = rest.split_at_checked(units.wrapping_mul(2)) else { return };
        let Some(own_hidden) = rest.get(..units) else { return };
        let (Some(a), Some(b), Some(own_cell)) = (cells_of(a), cells_of(b), cells_of(own_cell)) else {
            return;
        };
        let Some(own_hidden) = cells_of(own_hidden) else { return };
        let of = |batch| match states {
            States::Kept(hidden, cell) => (row(hidden, batch, units), row(cell, batch, units)),
            _ => (own_hidden, own_cell),
        };
        let begin = |batch: usize| {
            let (hidden, cell) = of(batch);
            match states {
                States::Kept(..) => {}
                States::Fresh => {
                    fill(hidden, self.p.zero_point as i8);
                    fill(cell, 0);
                }
                States::Given(given, given_cell) => {
                    let start = batch.wrapping_mul(units);
                    given.range(start, units).copy_to(hidden);
                    for (place, x) in cell.iter().zip(given_cell.range(start, units).iter()) {
                        place.set(self.initial_cell(x));
                    }
                }
            }
        };
        let p = self.p;
        let mut way = Steps::new(&p.sequence, self.mask, p.zero_point);
        walk(&self.p.sequence, begin, |batch, at| {
            let (hidden, cell) = of(batch);
            if way.enter(at) {
                let a = inputs.step::<K>(&self.input, input, at, a);
                self.recurrent.apply::<K>(hidden, b);
                step(a, b, cell, hidden);
            }
            if way.leave(batch, at, hidden, steps, last) {
                for (place, c) in row(last_cell, batch, units).iter().zip(cell) {
                    let term = &self.p.last_cell;
                    place.set(to_int8(c.get().into(), term.multiplier, term.zero_point, self.rounding));
                }
            }
        });
    }

    fn initial_cell(&self, x: i8) -> i16 {
        let term = &self.p.initial_cell;
        let x = i32::from(x).wrapping_sub(term.zero_point);
        to_int16(requantize(x.wrapping_mul(1 << 20), term.multiplier, self.rounding)) as i16
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    let mut constants = crate::cases::Constants::default();
    let table = constants.push(&crate::ops::recurrent::table());
    let p = params_case(random, &mut constants, table);
    let case = crate::cases::Case::of(OpCode::Lstm, &p, constants);
    operands_case(random, case, &p)
}

/// Any parameters, for tests.
#[cfg(feature = "cases")]
pub(super) fn params_case(
    random: &mut crate::cases::Random,
    constants: &mut crate::cases::Constants,
    table: u32,
) -> LstmParams {
    use crate::cases::{factor, zero_point};
    use crate::ops::recurrent::{gates_case, sequence_case};
    use ferrolite_schema::params::Term;

    let sequence = sequence_case(random, STEPS | LAST | LAST_CELL);
    let rows = sequence.units * GATES;
    LstmParams {
        sequence,
        input: gates_case(random, constants, rows, sequence.features),
        recurrent: gates_case(random, constants, rows, sequence.units),
        table,
        tanh_multiplier: [3, 3 << random.below(3)][random.below(2)],
        tanh_shift: random.below(3) as u32,
        candidate_shift: -1 - random.up_to(20).cast_signed() as i32,
        clip: if random.below(2) == 0 { 0 } else { 1 + random.next() % 0x7FFF },
        multiplier: factor(random, -22),
        zero_point: zero_point(random),
        initial_cell: Term { zero_point: zero_point(random), multiplier: factor(random, -14) },
        last_cell: Term { zero_point: zero_point(random), multiplier: factor(random, -7) },
    }
}

/// An op with these parameters and any operands, for tests.
#[cfg(feature = "cases")]
pub(super) fn operands_case(
    random: &mut crate::cases::Random,
    case: crate::cases::Case,
    p: &LstmParams,
) -> crate::cases::Case {
    use crate::ops::recurrent::{any_rounding, with_mask, with_results, with_two_steps};
    use ferrolite_schema::Storage;

    let sequence = p.sequence;
    let state = sequence.batches * sequence.units;
    let input = sequence.batches * sequence.steps * sequence.features;
    let mut case = any_rounding(case, random, &[p.input, p.recurrent]).input(random, DType::Int8, input);
    match random.below(3) {
        0 => {}
        1 => case = case.input(random, DType::Int8, state).input(random, DType::Int8, state),
        _ => {
            case = case.input(random, DType::Int8, state).input(random, DType::Int16, 2 * state);
            case.inputs[1].storage = Storage::State;
            case.inputs[2].storage = Storage::State;
        }
    }
    case = with_mask(case, random, &sequence);
    // Some have room for two steps at once.
    let own = scratch_bytes(&sequence);
    let two = own.and_then(|own| with_two_steps(own, &sequence, GATES));
    with_results(case, &sequence).scratch([own, two][random.below(2)])
}
