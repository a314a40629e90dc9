//! Plain recurrent layer: all steps, from int8 to int8.
//!
//! ```text
//! h = f(clamp(W x) + clamp(R h))
//! ```
//! The function is the hyperbolic tangent or the logistic function of a sum with 12 bits behind the point, or the larger
//! of the sum and zero, or the sum itself, in any scale, or any function, as a curve. TensorFlow Lite has no such operator in integers: the arithmetic
//! is Ferrolite's own, with the functions of its LSTM; the equation is that of Keras and ONNX. The hidden state begins
//! at zero, or with what one more operand says. A last operand of truth values is a mask: which steps are computed.

use core::cell::Cell;

use ferrolite_schema::params::{RnnParams, Sequence};
use ferrolite_schema::{OpCode, Rounding};

use super::recurrent::{
    Curve, ENTRIES, LAST, Mask, POINTS, Product, STEPS, Steps, Table, check_gates, check_sequence, curve,
    curve_at, expect_initial, logistic, place_of, row, sum, tanh, to_int8, walk,
};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_int8, check_multiplier};
use crate::tensor::{TensorView, cells_of, fill};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Rnn as u16, check, eval: eval::<K>, lead: no_overlap }
}

/// Bytes of scratch memory that an op needs: both parts of the sums, and the hidden state of one sequence.
pub fn scratch_bytes(p: &Sequence) -> Option<u32> {
    p.units.checked_mul(2 * 2 + 1)
}

/// [`RnnParams::function`]: hyperbolic tangent.
pub const TANH: u32 = 0;
/// The logistic function.
pub const LOGISTIC: u32 = 1;
/// The larger of the sum and 0.
pub const RELU: u32 = 2;
/// The sum itself.
pub const LINEAR: u32 = 3;
/// Any function: `table` is a [curve](crate::gates::Curve).
pub const CURVE: u32 = 4;

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &RnnParams = node.params()?;
    let sizes = check_sequence(node, &p.sequence, STEPS | LAST)?;
    match p.function {
        TANH..=LINEAR => node.expect_constants::<u16>(p.table, ENTRIES)?,
        CURVE => node.expect_constants::<i16>(p.table, POINTS)?,
        _ => return Err(Fault::Parameters),
    }
    check_gates(node, &p.input, p.sequence.units, p.sequence.features)?;
    check_gates(node, &p.recurrent, p.sequence.units, p.sequence.units)?;
    check_multiplier(&p.multiplier)?;
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
    let Ok(p) = node.params::<RnnParams>() else { return };
    let units = p.sequence.units;
    let Some(input) = Product::of(node, &p.input, units, p.sequence.features) else { return };
    let Some(recurrent) = Product::of(node, &p.recurrent, units, units) else { return };
    let function = match p.function {
        CURVE => curve(node, p.table).map(Function::Curve),
        _ => node.constants(p.table, ENTRIES).ok().and_then(<[u16]>::first_chunk).map(Function::Table),
    };
    let Some(function) = function else { return };
    let (mask, inputs) = Mask::of(eval, &p.sequence);
    let initial = (inputs > 1).then(|| eval.view(1));
    let out = |result| place_of(&p.sequence, result).map_or(&[][..], |position| eval.output(position));
    let layer = Rnn { p, rounding: node.rounding(), input, recurrent, function, mask };
    layer.run::<K>(eval.input(0), initial, eval.scratch(), [out(STEPS), out(LAST)]);
}

/// What a function is looked up in.
#[derive(Clone, Copy, Debug)]
pub enum Function<'a> {
    /// The logistic function's table, or nothing, as the parameters say.
    Table(&'a Table),
    /// The function itself.
    Curve(&'a Curve),
}

/// A layer with its constants.
#[derive(Clone, Copy, Debug)]
pub struct Rnn<'a> {
    /// Its numbers.
    pub p: &'a RnnParams,
    /// How it scales.
    pub rounding: Rounding,
    /// From the input to the sums.
    pub input: Product<'a>,
    /// From the hidden state to the sums.
    pub recurrent: Product<'a>,
    /// What its function is looked up in.
    pub function: Function<'a>,
    /// Which steps it computes.
    pub mask: Mask<'a>,
}

impl Rnn<'_> {
    /// Computes all steps. `initial` has the hidden states `[batches, units]`, `scratch` [`scratch_bytes`]; `out` has the
    /// hidden states of all steps and the last ones, empty where they are no results.
    pub fn run<K: Kernels>(
        &self,
        input: &[Cell<i8>],
        initial: Option<TensorView<'_, i8>>,
        scratch: &[Cell<u8>],
        [steps, last]: [&[Cell<i8>]; 2],
    ) {
        let (units, features) = (self.p.sequence.units as usize, self.p.sequence.features as usize);
        let Some((a, rest)) = scratch.split_at_checked(units.wrapping_mul(2)) else { return };
        let Some((b, rest)) = rest.split_at_checked(units.wrapping_mul(2)) else { return };
        let (Some(a), Some(b)) = (cells_of(a), cells_of(b)) else { return };
        let Some(hidden) = rest.get(..units).and_then(cells_of) else { return };
        let begin = |batch: usize| match initial {
            Some(initial) => initial.range(batch.wrapping_mul(units), units).copy_to(hidden),
            None => fill(hidden, self.p.zero_point as i8),
        };
        let mut way = Steps::new(&self.p.sequence, self.mask, self.p.zero_point);
        walk(&self.p.sequence, begin, |batch, at| {
            if way.enter(at) {
                self.input.apply::<K>(row(input, at, features), a);
                self.recurrent.apply::<K>(hidden, b);
                self.update(a, b, hidden);
            }
            way.leave(batch, at, hidden, steps, last);
        });
    }

    #[inline(never)]
    fn update(&self, a: &[Cell<i16>], b: &[Cell<i16>], hidden: &[Cell<i8>]) {
        for ((a, b), h) in a.iter().zip(b).zip(hidden) {
            let s = sum(a, b);
            let y = match (self.function, self.p.function) {
                (Function::Curve(curve), _) => curve_at(curve, s),
                (Function::Table(table), TANH) => tanh(table, s),
                (Function::Table(table), LOGISTIC) => logistic(table, s),
                (_, RELU) => s.max(0),
                _ => s,
            };
            h.set(to_int8(y, self.p.multiplier, self.p.zero_point, self.rounding));
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, factor, zero_point};
    use crate::ops::recurrent::{
        any_rounding, curve_case, gates_case, sequence_case, table, with_mask, with_results,
    };
    use ferrolite_schema::{DType, Storage};

    let sequence = sequence_case(random, STEPS | LAST);
    let mut constants = Constants::default();
    let function = random.below(5) as u32;
    let p = RnnParams {
        sequence,
        input: gates_case(random, &mut constants, sequence.units, sequence.features),
        recurrent: gates_case(random, &mut constants, sequence.units, sequence.units),
        table: if function == CURVE { curve_case(random, &mut constants) } else { constants.push(&table()) },
        function,
        multiplier: factor(random, -7),
        zero_point: zero_point(random),
    };
    let mut case = any_rounding(Case::of(OpCode::Rnn, &p, constants), random, &[p.input, p.recurrent]);
    case = case.input(random, DType::Int8, sequence.batches * sequence.steps * sequence.features);
    if random.below(2) == 0 {
        case = case.input(random, DType::Int8, sequence.batches * sequence.units);
        if random.below(3) == 0 {
            case.inputs[1].storage = Storage::Constant;
        }
    }
    case = with_mask(case, random, &sequence);
    with_results(case, &sequence).scratch(scratch_bytes(&sequence))
}
