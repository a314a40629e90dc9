//! UNIDIRECTIONAL_SEQUENCE_LSTM from int16 to int16, with int8 weights: as [`lstm`](super::lstm), with sums of 64 bits.
//!
//! ```text
//! s = clamp(scale(bias + sum of x * w)) + clamp(scale(sum of h * w))        for each gate; no zero points
//! ```
//! Both states are int16 and kept from one inference to the next. One plain kernel serves all cores.
//! Source followed: TFLM `kernels/lstm_eval_common.cc`, `lstm_eval.h`, `reference/integer_ops/fully_connected.h`.

use core::cell::Cell;

use ferrolite_schema::params::{Gates, LstmParams, Multiplier};
use ferrolite_schema::{DType, OpCode, Rounding};

use super::lstm::{check_step, step};
use super::recurrent::{ENTRIES, STEPS, Table, row, to_int16, walk};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::packing::Packing;
use crate::quant::{requantize, requantize_long};
use crate::tensor::cells_of;

/// Gates of a unit.
const GATES: u32 = 4;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::LstmInt16 as u16, check, eval, lead: no_overlap }
}

/// Bytes of scratch memory that an op needs: both parts of all gates.
pub fn scratch_bytes(units: u32) -> Option<u32> {
    units.checked_mul(2 * 2 * GATES)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &LstmParams = node.params()?;
    let s = &p.sequence;
    if s.time_major > 1 || s.reverse > 1 || s.results != STEPS || p.zero_point != 0 {
        return Err(Fault::Parameters);
    }
    check_step(p)?;
    node.expect_constants::<u16>(p.table, ENTRIES)?;
    node.expect_operands(3, 1)?;
    let product = |a: u32, b: u32| a.checked_mul(b).filter(|&n| n != 0).ok_or(Fault::Parameters);
    let rows = product(s.batches, s.steps)?;
    node.expect_tensor(node.input(0)?, DType::Int16, product(rows, s.features)?)?;
    node.expect_tensor(node.output(0)?, DType::Int16, product(rows, s.units)?)?;
    let state = product(s.batches, s.units)?.checked_mul(2).ok_or(Fault::Sizes)?;
    for position in [1, 2] {
        node.expect_state(position, state)?;
        if node.input(position)?.dtype != DType::Int16 as u8 {
            return Err(Fault::Operands);
        }
    }
    let gates = product(s.units, GATES)?;
    for (matrix, columns) in [(&p.input, s.features), (&p.recurrent, s.units)] {
        if matrix.packing != Packing::PLAIN.tag()
            || (matrix.multiplier_count != 1 && matrix.multiplier_count != gates)
        {
            return Err(Fault::Parameters);
        }
        node.expect_constants::<i8>(matrix.weights, product(gates, columns)?)?;
        node.expect_constants::<Multiplier>(matrix.multipliers, matrix.multiplier_count)?;
    }
    node.expect_constants::<i64>(p.input.bias, gates)?;
    node.expect_scratch(scratch_bytes(s.units).ok_or(Fault::Parameters)?)
}

fn eval(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<LstmParams>() else { return };
    let (units, features) = (p.sequence.units, p.sequence.features);
    let gates = units.wrapping_mul(GATES);
    let table = node.constants(p.table, ENTRIES).ok().and_then(|table: &[u16]| table.first_chunk());
    let Some(table) = table else { return };
    let (Some(input), Some(recurrent)) =
        (Matrix::of(node, &p.input, gates, features), Matrix::of(node, &p.recurrent, gates, units))
    else {
        return;
    };
    let bias = node.constants(p.input.bias, gates).unwrap_or(&[]);
    let layer = LstmInt16 { p, rounding: node.rounding(), input, recurrent, bias, table };
    layer.run(eval.input(0), [eval.input(1), eval.input(2)], eval.scratch(), eval.output(0));
}

/// A matrix whose products are sums of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Row by row.
    pub weights: &'a [i8],
    /// Weights of a row.
    pub columns: usize,
    /// One for all rows, or for each.
    pub multipliers: &'a [Multiplier],
}

impl<'a> Matrix<'a> {
    fn of(node: &Node<'a>, p: &Gates, rows: u32, columns: u32) -> Option<Matrix<'a>> {
        let weights = node.constants(p.weights, rows.checked_mul(columns)?).ok()?;
        let multipliers = node.constants(p.multipliers, p.multiplier_count).ok()?;
        Some(Matrix { weights, columns: columns as usize, multipliers })
    }

    /// Makes all rows of a vector. Rows beyond the end of `bias` have none.
    fn apply(&self, input: &[Cell<i16>], bias: &[i64], out: &[Cell<i16>]) {
        for (number, (weights, place)) in self.weights.chunks_exact(self.columns.max(1)).zip(out).enumerate()
        {
            let products = input.iter().zip(weights);
            let sum = products.fold(bias.get(number).copied().unwrap_or(0), |sum, (x, &w)| {
                sum.wrapping_add(i32::from(x.get()).wrapping_mul(w.into()).into())
            });
            let multiplier = self.multipliers.get(number).or(self.multipliers.first());
            place.set(to_int16(requantize_long(sum, multiplier.copied().unwrap_or_default())) as i16);
        }
    }
}

/// A layer with its constants.
#[derive(Clone, Copy, Debug)]
pub struct LstmInt16<'a> {
    /// Its numbers.
    pub p: &'a LstmParams,
    /// How a step scales.
    pub rounding: Rounding,
    /// From the input to the gates.
    pub input: Matrix<'a>,
    /// From the hidden state to the gates.
    pub recurrent: Matrix<'a>,
    /// Of the input's part of the gates.
    pub bias: &'a [i64],
    /// Of the logistic function.
    pub table: &'a Table,
}

impl LstmInt16<'_> {
    /// Computes all steps. The states are `[batches, units]`, hidden state first; `scratch` has [`scratch_bytes`], `out` gets
    /// the hidden states of all steps.
    pub fn run(
        &self,
        input: &[Cell<i16>],
        [hidden, cell]: [&[Cell<i16>]; 2],
        scratch: &[Cell<u8>],
        out: &[Cell<i16>],
    ) {
        let p = &self.p.sequence;
        let (units, features) = (p.units as usize, p.features as usize);
        let gates = units.wrapping_mul(2 * GATES as usize);
        let Some((a, rest)) = scratch.split_at_checked(gates) else { return };
        let (Some(a), Some(b)) = (cells_of(a), rest.get(..gates).and_then(cells_of)) else { return };
        let step = step(self.p, self.table, self.rounding);
        let to_hidden = |y| to_int16(requantize(y, self.p.multiplier, self.rounding)) as i16;
        walk(
            p,
            |_| {},
            |batch, at| {
                let (hidden, cell) = (row(hidden, batch, units), row(cell, batch, units));
                self.input.apply(row(input, at, features), self.bias, a);
                self.recurrent.apply(hidden, &[], b);
                step.run(a, b, cell, hidden, to_hidden);
                crate::tensor::copy(hidden, row(out, at, units));
            },
        );
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, factor};
    use ferrolite_schema::Storage;
    use ferrolite_schema::params::Sequence;
    use std::vec::Vec;

    let mut constants = Constants::default();
    let table = constants.push(&crate::ops::recurrent::table());
    let lstm = super::lstm::params_case(random, &mut constants, table);
    let sequence = Sequence { results: STEPS, ..lstm.sequence };
    let rows = sequence.units * GATES;
    let mut matrix = |columns: u32| {
        let biases: Vec<i64> = (0..rows).map(|_| i64::from(random.element()) << 20).collect();
        let count = [1, rows][random.below(2)];
        let multipliers: Vec<Multiplier> =
            (0..count).map(|_| factor(random, -9 - columns.ilog2() as i32 / 2)).collect();
        Gates {
            packing: Packing::PLAIN.tag(),
            weights: constants.push(&random.elements((rows * columns) as usize)),
            bias: constants.push(&biases),
            multipliers: constants.push(&multipliers),
            multiplier_count: count,
        }
    };
    let (input, recurrent) = (matrix(sequence.features), matrix(sequence.units));
    let p = LstmParams { sequence, input, recurrent, zero_point: 0, multiplier: factor(random, -14), ..lstm };
    let (steps, state) = (sequence.batches * sequence.steps, 2 * sequence.batches * sequence.units);
    let mut case = Case::of(OpCode::LstmInt16, &p, constants)
        .rounding(random)
        .input(random, DType::Int16, 2 * steps * sequence.features)
        .input(random, DType::Int16, state)
        .input(random, DType::Int16, state);
    case.inputs[1].storage = Storage::State;
    case.inputs[2].storage = Storage::State;
    case.output(DType::Int16, 2 * steps * sequence.units).scratch(scratch_bytes(sequence.units))
}
