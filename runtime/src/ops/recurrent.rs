//! What layers over time share: their shape, the products of their gates, and the functions of gates.
//!
//! Sums of a gate are int16 with 12 bits behind the point, its results have 15. Logistic and hyperbolic tangent come
//! from one table of `2^16 * logistic(i / 24)`, with a straight line between its entries; the tangent is
//! `2 * logistic(2 x) - 1`. Source followed: TFLM `kernels/lstm_eval.h`, `reference/integer_ops/logistic.h` and
//! `tanh.h` of TensorFlow Lite for int16.

use core::cell::Cell;

use ferrolite_schema::params::{Gates, Multiplier, Sequence};
use ferrolite_schema::{DType, Rounding};

use super::broadcast;
use crate::error::Fault;
use crate::kernels::{Kernels, Portable, Stage};
use crate::node::Node;
use crate::packing::{Matrix, Packing, Shape};
use crate::quant::requantize;

/// Bits of [`Sequence::results`].
pub const STEPS: u32 = 1;
/// The last hidden state is a result.
pub const LAST: u32 = 2;
/// The last cell state is a result.
pub const LAST_CELL: u32 = 4;

/// Entries of the table.
pub const ENTRIES: u32 = 256;

/// Elements of a sequence's operands.
pub(super) struct Sizes {
    /// Of the input.
    pub input: u32,
    /// Of all hidden states.
    pub steps: u32,
    /// Of one state of all sequences.
    pub state: u32,
}

/// Checks the shape of a layer with so many kinds of states, and its input and results.
pub(super) fn check_sequence(node: &Node<'_>, p: &Sequence, results: u32) -> Result<Sizes, Fault> {
    if p.time_major > 1 || p.reverse > 1 || p.results == 0 || p.results > results {
        return Err(Fault::Parameters);
    }
    let product = |a: u32, b: u32| a.checked_mul(b).filter(|&n| n != 0).ok_or(Fault::Parameters);
    let rows = product(p.batches, p.steps)?;
    let sizes = Sizes {
        input: product(rows, p.features)?,
        steps: product(rows, p.units)?,
        state: product(p.batches, p.units)?,
    };
    node.expect_tensor(node.input(0)?, DType::Int8, sizes.input)?;
    let mut position = 0;
    for result in [STEPS, LAST, LAST_CELL] {
        if p.results & result != 0 {
            let elements = if result == STEPS { sizes.steps } else { sizes.state };
            node.expect_tensor(node.output(position)?, DType::Int8, elements)?;
            position += 1;
        }
    }
    if node.outputs() == position { Ok(sizes) } else { Err(Fault::Operands) }
}

/// The position of a result among the outputs, if there is such a result.
pub(super) fn place_of(p: &Sequence, result: u32) -> Option<usize> {
    (p.results & result != 0).then(|| (p.results & result.wrapping_sub(1)).count_ones() as usize)
}

/// Checks a matrix of `rows` rows of `columns` weights, and what belongs to its rows.
pub(super) fn check_gates(node: &Node<'_>, p: &Gates, rows: u32, columns: u32) -> Result<(), Fault> {
    let packing = Packing::from_tag(p.packing).ok_or(Fault::Packing)?;
    let shape = Shape { packing, channels: rows, lines: 1, line: columns };
    let bytes = shape.bytes().ok_or(Fault::Parameters)?;
    match packing {
        Packing::PLAIN => node.expect_constants::<u8>(p.weights, bytes)?,
        _ => node.expect_matrix(bytes, p.weights)?,
    }
    node.expect_constants::<i32>(p.bias, rows)?;
    node.expect_constants::<Multiplier>(p.multipliers, p.multiplier_count)?;
    if p.multiplier_count == 1 || p.multiplier_count == rows { Ok(()) } else { Err(Fault::Parameters) }
}

/// Checks an initial state of int8, which may be a constant.
pub(super) fn expect_initial(node: &Node<'_>, position: usize, elements: u32) -> Result<(), Fault> {
    let tensor = node.input(position)?;
    broadcast::expect_operand(tensor, Some(elements))?;
    node.expect_known::<i8>(tensor)
}

/// A matrix with what belongs to its rows.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// The weights.
    pub weights: Matrix<'a>,
    /// From sums to int16.
    pub stage: Stage<'a>,
}

impl<'a> Product<'a> {
    /// That of the parameters, which have been checked.
    pub(super) fn of(node: &Node<'a>, p: &Gates, rows: u32, columns: u32) -> Option<Product<'a>> {
        let packing = Packing::from_tag(p.packing)?;
        let shape = Shape { packing, channels: rows, lines: 1, line: columns };
        let weights = match packing {
            Packing::PLAIN => Matrix { shape, bytes: node.constants(p.weights, shape.bytes()?).ok()? },
            _ => node.checked_matrix(shape, p.weights).ok()?,
        };
        let stage = Stage {
            bias: node.constants(p.bias, rows).ok()?,
            multipliers: node.constants(p.multipliers, p.multiplier_count).ok()?,
            rounding: node.rounding(),
            zero_point: 0,
            min: i16::MIN.into(),
            max: i16::MAX.into(),
        };
        Some(Product { weights, stage })
    }

    /// Makes all rows of a vector: by the kernels `K` if the weights are packed for them.
    pub(super) fn apply<K: Kernels>(&self, input: &[Cell<i8>], out: &[Cell<i16>]) {
        if self.weights.shape.packing == K::POLICY.dense {
            K::dense_int16(input, &self.weights, &self.stage, out);
        } else {
            apply_foreign(self, input, out);
        }
    }
}

/// Weights that are packed for another core, or have numbers beyond a bound.
#[inline(never)]
fn apply_foreign(product: &Product<'_>, input: &[Cell<i8>], out: &[Cell<i16>]) {
    Portable::dense_int16(input, &product.weights, &product.stage, out);
}

/// Walks all steps of all sequences: calls `begin` before the first step of each with its number, and `step` with the
/// number of the sequence and the place of the step among the rows of input and results.
#[inline(always)]
pub(super) fn walk(p: &Sequence, mut begin: impl FnMut(usize), mut step: impl FnMut(usize, usize)) {
    let (batches, steps) = (p.batches as usize, p.steps as usize);
    for batch in 0..batches {
        begin(batch);
        for count in 0..steps {
            let at = if p.reverse == 1 { steps.wrapping_sub(1).wrapping_sub(count) } else { count };
            let row = match p.time_major {
                0 => batch.wrapping_mul(steps).wrapping_add(at),
                _ => at.wrapping_mul(batches).wrapping_add(batch),
            };
            step(batch, row);
        }
    }
}

/// Row `index` of rows of `len` elements.
#[inline(always)]
pub(super) fn row<T>(elements: &[Cell<T>], index: usize, len: usize) -> &[Cell<T>] {
    let start = index.wrapping_mul(len);
    elements.get(start..start.wrapping_add(len)).unwrap_or(&[])
}

/// The table of [`logistic`] and [`tanh`].
pub type Table = [u16; ENTRIES as usize];

/// Entries that are one above the nearest integer: lines between entries lie below a curve that bends down.
const RAISED: [u8; 44] = [
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45,
    46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
];

/// The table as TensorFlow Lite has it (`lut.h`), for the converter: a device finds it in the file.
pub fn table() -> Table {
    let entry = |i: usize| libm::round(65536.0 / (1.0 + libm::exp(-(i as f64) / 24.0))) as u16;
    let mut table = core::array::from_fn(entry);
    for entry in RAISED {
        table[usize::from(entry)] += 1;
    }
    table
}

/// Logistic function of a sum with 12 bits behind the point, with 15.
#[inline(always)]
pub fn logistic(table: &Table, x: i32) -> i32 {
    // 24 entries for each 1.0, of 4,096 steps.
    let x = x.wrapping_mul(3);
    let magnitude = x.unsigned_abs();
    let entry = magnitude >> 9;
    let y = if entry >= 255 {
        0x7FFF << 10
    } else {
        let (a, b) = neighbours(table, entry);
        (a << 9).wrapping_add((magnitude & 0x1FF).wrapping_mul(b.wrapping_sub(a)))
    };
    let y = if x < 0 { (1u32 << 25).wrapping_sub(1).wrapping_sub(y) } else { y };
    (y.wrapping_add(1 << 9) >> 10) as i32
}

/// Hyperbolic tangent, with 15 bits behind the point, of a number that is 6,144 for 1.0 already.
#[inline(always)]
pub fn tanh_of(table: &Table, x: i32) -> i32 {
    let magnitude = x.unsigned_abs();
    let entry = magnitude >> 8;
    let y = if entry >= 255 {
        0xFFFF << 8
    } else {
        let (a, b) = neighbours(table, entry);
        (a << 8).wrapping_add((magnitude & 0xFF).wrapping_mul(b.wrapping_sub(a)))
    };
    let y = (y as i32).wrapping_sub(1 << 23);
    let y = if x < 0 { y.wrapping_neg().wrapping_sub(1) } else { y };
    y.wrapping_add(1 << 7) >> 8
}

/// The same of a sum with 12 bits behind the point.
#[inline(always)]
pub fn tanh(table: &Table, x: i32) -> i32 {
    tanh_of(table, x.wrapping_mul(3))
}

/// Entry number `entry`, below 255, and the next one.
#[inline(always)]
fn neighbours(table: &Table, entry: u32) -> (u32, u32) {
    let at = |entry: u32| u32::from(table[usize::from(entry as u8)]);
    (at(entry), at(entry.wrapping_add(1)))
}

/// The sum of both parts of a gate, within int16.
#[inline(always)]
pub(super) fn sum(a: &Cell<i16>, b: &Cell<i16>) -> i32 {
    (i32::from(a.get()) + i32::from(b.get())).clamp(i16::MIN.into(), i16::MAX.into())
}

/// Scales to int8 and adds a zero point.
#[inline(always)]
pub(super) fn to_int8(x: i32, multiplier: Multiplier, zero_point: i32, rounding: Rounding) -> i8 {
    requantize(x, multiplier, rounding).wrapping_add(zero_point).clamp(-128, 127) as i8
}

/// `x * 2^shift` for a shift of -31 to -2, rounded as the multiplier of that factor does.
#[inline(always)]
pub(super) fn by_power(x: i32, shift: i32, rounding: Rounding) -> i32 {
    // The multiplier's mantissa is one half.
    if rounding != Rounding::Double {
        let multiplier = Multiplier { mantissa: 1 << 30, shift: shift.wrapping_add(1) };
        return requantize(x, multiplier, rounding);
    }
    let half = x.wrapping_add(1) >> 1;
    let half = half.wrapping_add(half >> 31);
    half.wrapping_shr((-2i32).wrapping_sub(shift) as u32).wrapping_add(1) >> 1
}

/// A number within int16.
#[inline(always)]
pub(super) fn to_int16(x: i32) -> i32 {
    x.clamp(i16::MIN.into(), i16::MAX.into())
}

/// Any small shape, for tests.
#[cfg(feature = "cases")]
pub(super) fn sequence_case(random: &mut crate::cases::Random, results: u32) -> Sequence {
    use crate::cases::dim;

    Sequence {
        batches: crate::cases::batches(random),
        steps: dim(random, 4),
        features: dim(random, 9),
        units: dim(random, 7),
        time_major: random.below(2) as u32,
        reverse: random.below(2) as u32,
        results: dim(random, results as usize),
    }
}

/// A case with the results of its shape, for tests.
#[cfg(feature = "cases")]
pub(super) fn with_results(mut case: crate::cases::Case, p: &Sequence) -> crate::cases::Case {
    for result in [STEPS, LAST, LAST_CELL] {
        if p.results & result != 0 {
            let steps = if result == STEPS { p.steps } else { 1 };
            case = case.output(DType::Int8, p.batches * steps * p.units);
        }
    }
    case
}

/// Parameters of a matrix for tests: packed for any core, with numbers that suit that.
#[cfg(feature = "cases")]
pub(super) fn gates_case(
    random: &mut crate::cases::Random,
    constants: &mut crate::cases::Constants,
    rows: u32,
    columns: u32,
) -> Gates {
    use crate::cases::packing;
    use crate::kernels::policy;

    let packing = packing(random, |target| policy(target).dense);
    let weights = constants.weights(random, Shape { packing, channels: rows, lines: 1, line: columns });
    let stage = constants.stage(random, columns, rows);
    // Twelve bits more than the output stage makes, and one less, so that few are beyond the ends.
    let count = stage.multiplier_count;
    let factors: std::vec::Vec<Multiplier> =
        (0..count).map(|_| crate::cases::factor(random, -1 - columns.ilog2() as i32 / 2)).collect();
    Gates {
        packing: packing.tag(),
        weights,
        bias: stage.bias,
        multipliers: constants.push(&factors),
        multiplier_count: count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_the_real_ones() {
        let table = table();
        for x in i16::MIN..=i16::MAX {
            let real = f64::from(x) / 4096.0;
            let found = f64::from(logistic(&table, x.into())) / 32768.0;
            assert!((found - 1.0 / (1.0 + libm::exp(-real))).abs() < 1e-4, "{x}: {found}");
            let found = f64::from(tanh(&table, x.into())) / 32768.0;
            assert!((found - libm::tanh(real)).abs() < 2e-4, "{x}: {found}");
        }
    }
}
