//! Gated recurrent unit: all steps of a layer, from int8 to int8, with a hidden state of int16.
//!
//! ```text
//! z = logistic(clamp(W x)_z + clamp(R h)_z)          r likewise
//! n = tanh(clamp(W x)_n + r * clamp(R h)_n)          the reset gate acts after the product,
//! n = tanh(clamp(W x)_n + clamp(R (r * h)))          or before it
//! h = n + z * (h - n)
//! ```
//! Products read the hidden state as int8, which is the result, too; the step from h to h is made with 15 bits behind
//! the point, since what a gate near 1 changes is less than a step of int8. TensorFlow Lite has no such operator in
//! integers: the arithmetic is Ferrolite's own, with the functions of its LSTM; the equations are those of Keras and
//! ONNX. The hidden state begins at zero, or with what one more operand says. A last operand of truth values is a mask:
//! which steps are computed.

use core::cell::Cell;

use ferrolite_schema::params::{GruParams, Sequence};
use ferrolite_schema::{OpCode, Rounding};

use super::recurrent::{
    ENTRIES, Inputs, LAST, Mask, Product, STEPS, Steps, Table, check_gates, check_sequence, expect_initial,
    place_of, to_int16, walk,
};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::gates::GruStep;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_int8, check_multiplier};
use crate::quant::requantize;
use crate::tensor::{TensorView, cells_of, fill};

/// Gates of a unit.
const GATES: u32 = 3;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Gru as u16, check, eval: eval::<K>, lead: no_overlap }
}

/// Bytes of scratch memory that an op needs: both parts of all gates, the candidate's own product, and of one sequence
/// the hidden state of int16, that of int8, and that after the reset gate.
pub fn scratch_bytes(p: &Sequence) -> Option<u32> {
    p.units.checked_mul(2 * 2 * GATES + 2 + 2 + 1 + 1)
}

/// Gates that the hidden state's matrix makes.
fn recurrent_gates(p: &GruParams) -> u32 {
    if p.reset_after == 1 { GATES } else { GATES - 1 }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &GruParams = node.params()?;
    node.expect_constants::<u16>(p.table, ENTRIES)?;
    check_all(node, p)
}

/// Checks all but the functions.
pub(super) fn check_all(node: &Node<'_>, p: &GruParams) -> Result<(), Fault> {
    let sizes = check_sequence(node, &p.sequence, STEPS | LAST)?;
    if p.reset_after > 1 {
        return Err(Fault::Parameters);
    }
    let units = p.sequence.units;
    let rows = |gates: u32| units.checked_mul(gates).ok_or(Fault::Parameters);
    check_gates(node, &p.input, rows(GATES)?, p.sequence.features)?;
    check_gates(node, &p.recurrent, rows(recurrent_gates(p))?, units)?;
    check_gates(node, &p.candidate, if p.reset_after == 1 { rows(GATES)? } else { units }, units)?;
    check_multiplier(&p.multiplier)?;
    check_multiplier(&p.initial)?;
    check_int8(p.zero_point)?;
    match sizes.inputs {
        1 => {}
        2 => expect_initial(node, 1, sizes.state)?,
        _ => return Err(Fault::Operands),
    }
    node.expect_scratch(scratch_bytes(&p.sequence).ok_or(Fault::Parameters)?)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<GruParams>() else { return };
    let table = node.constants(p.table, ENTRIES).ok().and_then(|table: &[u16]| table.first_chunk());
    let Some(table) = table else { return };
    eval_all::<K, _>(eval, p, table);
}

/// Computes a checked op with these functions.
pub(super) fn eval_all<K: Kernels, F: Cells>(eval: &Eval<'_>, p: &GruParams, functions: F) {
    let node = eval.node();
    let units = p.sequence.units;
    let of = |gates, rows: u32, columns| Product::of(node, gates, units.wrapping_mul(rows), columns);
    let Some(input) = of(&p.input, GATES, p.sequence.features) else { return };
    let Some(recurrent) = of(&p.recurrent, recurrent_gates(p), units) else { return };
    let Some(candidate) = of(&p.candidate, if p.reset_after == 1 { GATES } else { 1 }, units) else { return };
    let (mask, inputs) = Mask::of(eval, &p.sequence);
    let initial = (inputs > 1).then(|| eval.view(1));
    let out = |result| place_of(&p.sequence, result).map_or(&[][..], |position| eval.output(position));
    let layer = Gru { p, rounding: node.rounding(), input, recurrent, candidate, functions, mask };
    layer.run::<K>(eval.input(0), initial, eval.scratch(), [out(STEPS), out(LAST)]);
}

/// A layer with its constants.
#[derive(Clone, Copy, Debug)]
pub struct Gru<'a, F = &'a Table> {
    /// Its numbers.
    pub p: &'a GruParams,
    /// How it scales.
    pub rounding: Rounding,
    /// From the input to the gates.
    pub input: Product<'a>,
    /// From the hidden state to the gates.
    pub recurrent: Product<'a>,
    /// From the hidden state after the reset gate to the candidate.
    pub candidate: Product<'a>,
    /// Its functions.
    pub functions: F,
    /// Which steps it computes.
    pub mask: Mask<'a>,
}

/// Scratch memory of one step.
#[derive(Clone, Copy)]
pub(super) struct Memory<'a> {
    /// The input's part of the gates.
    pub a: &'a [Cell<i16>],
    /// The hidden state's.
    pub b: &'a [Cell<i16>],
    /// The candidate's own product.
    pub c: &'a [Cell<i16>],
    /// The hidden state.
    pub wide: &'a [Cell<i16>],
    pub hidden: &'a [Cell<i8>],
    /// That after the reset gate.
    pub reset: &'a [Cell<i8>],
}

/// How a layer computes its steps, of sums that are made: with functions of its own.
pub(super) trait Cells {
    /// See [`GruStep::after`].
    fn after<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>);
    /// See [`GruStep::reset`].
    fn reset<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>);
    /// See [`GruStep::before`].
    fn before<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>);
}

/// Logistic function and hyperbolic tangent, which kernel sets make faster.
impl Cells for &Table {
    #[inline(always)]
    fn after<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>) {
        K::gru_after(step, self, memory.a, memory.b, memory.wide, memory.hidden);
    }

    #[inline(always)]
    fn reset<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>) {
        K::gru_reset(step, self, memory.a, memory.b, memory.wide, memory.reset);
    }

    #[inline(always)]
    fn before<K: Kernels>(&self, step: &GruStep, memory: &Memory<'_>) {
        K::gru_before(step, self, [memory.a, memory.b, memory.c], memory.wide, memory.hidden);
    }
}

impl<'a> Memory<'a> {
    fn of(scratch: &'a [Cell<u8>], units: usize) -> Option<Memory<'a>> {
        let gates = units.wrapping_mul(2 * GATES as usize);
        let (a, rest) = scratch.split_at_checked(gates)?;
        let (b, rest) = rest.split_at_checked(gates)?;
        let (c, rest) = rest.split_at_checked(units.wrapping_mul(2))?;
        let (wide, rest) = rest.split_at_checked(units.wrapping_mul(2))?;
        let (hidden, rest) = rest.split_at_checked(units)?;
        Some(Memory {
            a: cells_of(a)?,
            b: cells_of(b)?,
            c: cells_of(c)?,
            wide: cells_of(wide)?,
            hidden: cells_of(hidden)?,
            reset: cells_of(rest.get(..units)?)?,
        })
    }
}

#[allow(private_bounds)]
impl<F: Cells> Gru<'_, F> {
    /// Computes all steps. `initial` has the hidden states `[batches, units]`, `scratch` [`scratch_bytes`]; `out` has the
    /// hidden states of all steps and the last ones, empty where they are no results.
    pub fn run<K: Kernels>(
        &self,
        input: &[Cell<i8>],
        initial: Option<TensorView<'_, i8>>,
        scratch: &[Cell<u8>],
        [steps, last]: [&[Cell<i8>]; 2],
    ) {
        let (p, units) = (&self.p.sequence, self.p.sequence.units as usize);
        let mut inputs = Inputs::new::<K>(p, GATES, scratch, scratch_bytes(p), &self.input, &self.mask);
        let Some(memory) = Memory::of(scratch, units) else { return };
        let begin = |batch: usize| {
            fill(memory.hidden, self.p.zero_point as i8);
            fill(memory.wide, 0);
            if let Some(initial) = initial {
                let initial = initial.range(batch.wrapping_mul(units), units);
                initial.copy_to(memory.hidden);
                for (place, x) in memory.wide.iter().zip(initial.iter()) {
                    let x = i32::from(x).wrapping_sub(self.p.zero_point).wrapping_mul(1 << 20);
                    place.set(to_int16(requantize(x, self.p.initial, self.rounding)) as i16);
                }
            }
        };
        let mut way = Steps::new(&self.p.sequence, self.mask, self.p.zero_point);
        walk(&self.p.sequence, begin, |batch, at| {
            if way.enter(at) {
                let a = inputs.step::<K>(&self.input, input, at, memory.a);
                self.step::<K>(&Memory { a, ..memory });
            }
            way.leave(batch, at, memory.hidden, steps, last);
        });
    }

    fn step<K: Kernels>(&self, memory: &Memory<'_>) {
        let &GruParams { multiplier, zero_point, .. } = self.p;
        let step = GruStep { rounding: self.rounding, multiplier, zero_point };
        if self.p.reset_after == 1 {
            self.recurrent.apply::<K>(memory.hidden, memory.b);
            self.functions.after::<K>(&step, memory);
        } else {
            let gates = memory.b.get(..(self.p.sequence.units as usize).wrapping_mul(2)).unwrap_or(&[]);
            self.recurrent.apply::<K>(memory.hidden, gates);
            self.functions.reset::<K>(&step, memory);
            self.candidate.apply::<K>(memory.reset, memory.c);
            self.functions.before::<K>(&step, memory);
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    let mut constants = crate::cases::Constants::default();
    let table = constants.push(&crate::ops::recurrent::table());
    let p = params_case(random, &mut constants, table);
    let case = crate::cases::Case::of(OpCode::Gru, &p, constants);
    operands_case(random, case, &p)
}

/// Any parameters, for tests.
#[cfg(feature = "cases")]
pub(super) fn params_case(
    random: &mut crate::cases::Random,
    constants: &mut crate::cases::Constants,
    table: u32,
) -> GruParams {
    use crate::cases::{factor, zero_point};
    use crate::ops::recurrent::{gates_case, sequence_case};

    let sequence = sequence_case(random, STEPS | LAST);
    let units = sequence.units;
    let reset_after = random.below(2) as u32;
    let input = gates_case(random, constants, units * GATES, sequence.features);
    let recurrent = gates_case(random, constants, units * (GATES - 1 + reset_after), units);
    let candidate = match reset_after {
        1 => recurrent,
        _ => gates_case(random, constants, units, units),
    };
    GruParams {
        sequence,
        input,
        recurrent,
        candidate,
        reset_after,
        table,
        multiplier: factor(random, -8),
        zero_point: zero_point(random),
        initial: factor(random, -12),
    }
}

/// An op with these parameters and any operands, for tests.
#[cfg(feature = "cases")]
pub(super) fn operands_case(
    random: &mut crate::cases::Random,
    case: crate::cases::Case,
    p: &GruParams,
) -> crate::cases::Case {
    use crate::ops::recurrent::{any_rounding, with_mask, with_results, with_two_steps};
    use ferrolite_schema::{DType, Storage};

    let sequence = p.sequence;
    let mut case = any_rounding(case, random, &[p.input, p.recurrent, p.candidate]);
    case = case.input(random, DType::Int8, sequence.batches * sequence.steps * sequence.features);
    if random.below(2) == 0 {
        case = case.input(random, DType::Int8, sequence.batches * sequence.units);
        if random.below(3) == 0 {
            case.inputs[1].storage = Storage::Constant;
        }
    }
    case = with_mask(case, random, &sequence);
    // Some have room for two steps at once.
    let own = scratch_bytes(&sequence);
    let two = own.and_then(|own| with_two_steps(own, &sequence, GATES));
    with_results(case, &sequence).scratch([own, two][random.below(2)])
}
