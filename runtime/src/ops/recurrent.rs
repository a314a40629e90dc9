//! What layers over time share: their shape and the products of their gates. Source followed: TFLM `kernels/lstm_eval.h`.

use core::cell::Cell;

use ferrolite_schema::params::{Gates, Multiplier, Sequence};
use ferrolite_schema::{DType, Tensor};

use super::broadcast;
use crate::error::Fault;
pub use crate::gates::{Curve, POINTS, Table, logistic, table, tanh};
pub(super) use crate::gates::{ENTRIES, by_power, curve_at, sum, to_int8, to_int16};
use crate::kernels::{Kernels, Portable, Stage, twice_bytes};
use crate::node::{Eval, Node};
use crate::packing::{Matrix, Packing, Shape, round_up};
use crate::tensor::{TensorView, cells_of, copy, fill};

/// Bits of [`Sequence::results`].
pub const STEPS: u32 = 1;
/// The last hidden state is a result.
pub const LAST: u32 = 2;
/// The last cell state is a result.
pub const LAST_CELL: u32 = 4;
/// Steps that the mask leaves out give zero, not the result before.
pub const ZERO_MASKED: u32 = 8;

/// Elements of a sequence's operands.
pub(super) struct Sizes {
    /// Of the input.
    pub input: u32,
    /// Of all hidden states.
    pub steps: u32,
    /// Of one state of all sequences.
    pub state: u32,
    /// Inputs of the op without its mask.
    pub inputs: usize,
}

/// Checks the shape of a layer with so many kinds of states, and its input and results.
pub(super) fn check_sequence(node: &Node<'_>, p: &Sequence, results: u32) -> Result<Sizes, Fault> {
    let (mask, inputs) = mask_of(node);
    let zeros = p.results & ZERO_MASKED;
    let kinds = p.results ^ zeros;
    if p.time_major > 1 || p.reverse > 1 || kinds == 0 || kinds > results || (zeros != 0 && mask.is_none()) {
        return Err(Fault::Parameters);
    }
    let product = |a: u32, b: u32| a.checked_mul(b).filter(|&n| n != 0).ok_or(Fault::Parameters);
    let rows = product(p.batches, p.steps)?;
    let sizes = Sizes {
        input: product(rows, p.features)?,
        steps: product(rows, p.units)?,
        state: product(p.batches, p.units)?,
        inputs,
    };
    node.expect_tensor(node.input(0)?, DType::Int8, sizes.input)?;
    if let Some(mask) = mask {
        if mask.bytes != rows {
            return Err(Fault::Sizes);
        }
        node.expect_known::<u8>(mask)?;
    }
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

/// The mask of a layer, which is its last input if that has truth values, and the number of its other inputs.
fn mask_of<'a>(node: &Node<'a>) -> (Option<&'a Tensor>, usize) {
    let others = node.inputs().saturating_sub(1);
    match node.input(others) {
        Ok(mask) if others != 0 && mask.dtype == DType::Bool as u8 => (Some(mask), others),
        _ => (None, node.inputs()),
    }
}

/// Which steps a layer computes. A step that is left out changes no state; its result is that of the step computed
/// before it, and zero where there is none. Source followed: `rnn` in `backend/tensorflow/rnn.py` of Keras.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// A truth value for each row of the input; all steps are computed without.
    pub truth: Option<TensorView<'a, u8>>,
    /// The result of each step that is left out is zero.
    pub zero: bool,
}

impl<'a> Mask<'a> {
    /// That of an op, and the number of its other inputs.
    pub(super) fn of(eval: &Eval<'a>, p: &Sequence) -> (Mask<'a>, usize) {
        let (mask, others) = mask_of(eval.node());
        let truth = mask.map(|_| eval.view(others));
        (Mask { truth, zero: p.results & ZERO_MASKED != 0 }, others)
    }
}

/// The way of a layer through its steps: which are computed, and what they give.
pub(super) struct Steps<'a> {
    p: &'a Sequence,
    mask: Mask<'a>,
    zero_point: i8,
    /// Steps that are left of the sequence.
    left: u32,
    /// A step of the sequence was computed.
    any: bool,
    /// The step gives zero.
    blank: bool,
}

impl<'a> Steps<'a> {
    /// Before the first step of a layer.
    pub fn new(p: &'a Sequence, mask: Mask<'a>, zero_point: i32) -> Steps<'a> {
        Steps { p, mask, zero_point: zero_point as i8, left: p.steps, any: false, blank: false }
    }

    /// Whether the step at this place is computed.
    #[inline(always)]
    pub fn enter(&mut self, at: usize) -> bool {
        let Some(truth) = self.mask.truth else { return true };
        let computed = truth.at(at) != 0;
        self.any = computed || (self.any && self.left != self.p.steps);
        self.blank = !computed && (self.mask.zero || !self.any);
        computed
    }

    /// Stores the result of the step at this place, and the last one; whether it was the last step of its sequence.
    #[inline(always)]
    pub fn leave(
        &mut self,
        batch: usize,
        at: usize,
        hidden: &[Cell<i8>],
        steps: &[Cell<i8>],
        last: &[Cell<i8>],
    ) -> bool {
        let units = self.p.units as usize;
        if self.blank {
            fill(row(steps, at, units), self.zero_point);
        } else {
            copy(hidden, row(steps, at, units));
        }
        self.left = self.left.wrapping_sub(1);
        let ends = self.left == 0;
        if ends {
            self.left = self.p.steps;
            copy(hidden, row(last, batch, units));
        }
        ends
    }
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

/// The curve at this offset of the constants.
pub(super) fn curve<'a>(node: &Node<'a>, offset: u32) -> Option<&'a Curve> {
    node.constants::<i16>(offset, POINTS).ok()?.first_chunk()
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

/// Scratch memory of a layer whose own is `own` bytes, with room to make the input's part of so many gates for two steps at
/// once: each word of weights is read once for both. Layers without that room make one step after the other.
pub fn with_two_steps(own: u32, p: &Sequence, gates: u32) -> Option<u32> {
    let sums = p.units.checked_mul(gates)?.checked_mul(2)?;
    round_up::<4>(own)?.checked_add(twice_bytes(p.features)?)?.checked_add(sums)
}

/// The input's part of the gates, step by step, or of two steps at once where there is room.
pub(super) struct Inputs<'a> {
    p: &'a Sequence,
    /// Scratch memory of a product of two rows, and the second step's part; empty for one step at a time.
    tile: &'a [Cell<u8>],
    second: &'a [Cell<i16>],
    /// Rows from one step to the next, modulo 2^32.
    distance: usize,
    /// Steps that are left of the sequence.
    left: u32,
    /// The second step's part is made.
    ahead: bool,
}

impl<'a> Inputs<'a> {
    /// Those of a layer with so many gates, of whose scratch memory it uses `own` bytes itself. Where a mask leaves out
    /// steps, none is made ahead.
    #[inline(always)]
    pub fn new<K: Kernels>(
        p: &'a Sequence,
        gates: u32,
        scratch: &'a [Cell<u8>],
        own: Option<u32>,
        product: &Product<'_>,
        mask: &Mask<'_>,
    ) -> Inputs<'a> {
        let mut inputs = Inputs { p, tile: &[], second: &[], distance: 0, left: p.steps, ahead: false };
        if !K::TWICE || mask.truth.is_some() || product.weights.shape.packing != K::POLICY.dense {
            return inputs;
        }
        let start = own.and_then(round_up::<4>).map_or(usize::MAX, |own| own as usize);
        let bytes = twice_bytes(p.features).map_or(usize::MAX, |bytes| bytes as usize);
        let room = scratch.get(start..).and_then(|room| room.split_at_checked(bytes));
        let sums = (p.units as usize).wrapping_mul(gates as usize);
        if let Some((tile, rest)) = room
            && let Some(second) = cells_of(rest).and_then(|rest: &[Cell<i16>]| rest.get(..sums))
        {
            let distance = if p.time_major == 0 { 1 } else { p.batches as usize };
            let distance = if p.reverse == 1 { distance.wrapping_neg() } else { distance };
            inputs = Inputs { tile, second, distance, ..inputs };
        }
        inputs
    }

    /// The part of the step at this place, which lies in `sums` or beside it.
    #[inline(always)]
    pub fn step<'b, K: Kernels>(
        &mut self,
        product: &Product<'_>,
        input: &[Cell<i8>],
        at: usize,
        sums: &'b [Cell<i16>],
    ) -> &'b [Cell<i16>]
    where
        'a: 'b,
    {
        let features = self.p.features as usize;
        let first = row(input, at, features);
        if K::TWICE && !self.second.is_empty() {
            let left = self.left;
            self.left = if left == 1 { self.p.steps } else { left.wrapping_sub(1) };
            if self.ahead {
                self.ahead = false;
                return self.second;
            }
            if left > 1 {
                self.ahead = true;
                let rows = [first, row(input, at.wrapping_add(self.distance), features)];
                K::dense_int16_twice(rows, self.tile, &product.weights, &product.stage, [sums, self.second]);
                return sums;
            }
        }
        product.apply::<K>(first, sums);
        sums
    }
}

/// As [`Product::apply`], with rows of int8: what is beyond that is clamped. Weights of any numbers may be packed for the
/// kernels `K`, too.
pub(super) fn apply_int8<K: Kernels>(product: &Product<'_>, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let (weights, own) = (&product.weights, K::POLICY.dense);
    let stage = Stage { min: i8::MIN.into(), max: i8::MAX.into(), ..product.stage };
    match weights.shape.packing {
        packing if packing == own => K::dense_packed(input, weights, &stage, out),
        packing if packing == own.general() => K::dense_general(input, weights, &stage, out),
        _ => apply_foreign_int8(weights, &stage, input, out),
    }
}

#[inline(never)]
fn apply_foreign_int8(weights: &Matrix<'_>, stage: &Stage<'_>, input: &[Cell<i8>], out: &[Cell<i8>]) {
    Portable::dense_packed(input, weights, stage, out);
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

/// Any small shape, for tests.
#[cfg(feature = "cases")]
pub(super) fn sequence_case(random: &mut crate::cases::Random, results: u32) -> Sequence {
    use crate::cases::dim;

    let zeros = if random.below(6) == 0 { ZERO_MASKED } else { 0 };

    Sequence {
        batches: crate::cases::batches(random),
        steps: dim(random, 4),
        features: dim(random, 9),
        units: dim(random, 7),
        time_major: random.below(2) as u32,
        reverse: random.below(2) as u32,
        results: dim(random, results as usize) | zeros,
    }
}

/// A case whose layer has a mask of its own, now and then, for tests.
#[cfg(feature = "cases")]
pub(super) fn with_mask(
    mut case: crate::cases::Case,
    random: &mut crate::cases::Random,
    p: &Sequence,
) -> crate::cases::Case {
    use ferrolite_schema::Storage;

    if p.results & ZERO_MASKED == 0 && random.below(3) != 0 {
        return case;
    }
    case = case.input(random, DType::Bool, p.batches * p.steps);
    if let Some(mask) = case.inputs.last_mut() {
        for byte in &mut mask.data {
            *byte = random.below(2) as u8;
        }
        if random.below(4) == 0 {
            mask.storage = Storage::Constant;
        }
    }
    case
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
    let packing = crate::cases::packing(random, |target| crate::kernels::policy(target).dense);
    gates_packed(random, constants, packing, rows, columns)
}

/// Parameters of a matrix for tests, in this packing.
#[cfg(feature = "cases")]
pub(super) fn gates_packed(
    random: &mut crate::cases::Random,
    constants: &mut crate::cases::Constants,
    packing: Packing,
    rows: u32,
    columns: u32,
) -> Gates {
    let weights = constants.weights(random, Shape { packing, channels: rows, lines: 1, line: columns });
    let stage = constants.stage(random, columns, rows);
    // Twelve bits more than the output stage makes, and two less, so that few are beyond the ends, and all as packings ask.
    let count = stage.multiplier_count;
    let factors: std::vec::Vec<Multiplier> =
        (0..count).map(|_| crate::cases::factor(random, -2 - columns.ilog2() as i32 / 2)).collect();
    Gates {
        packing: packing.tag(),
        weights,
        bias: stage.bias,
        multipliers: constants.push(&factors),
        multiplier_count: count,
    }
}

/// With any rounding, where weights are plain: packings are those of files that round twice.
#[cfg(feature = "cases")]
pub(super) fn any_rounding(
    case: crate::cases::Case,
    random: &mut crate::cases::Random,
    matrices: &[Gates],
) -> crate::cases::Case {
    let plain = |gates: &Gates| gates.packing == Packing::PLAIN.tag();
    if matrices.iter().all(plain) { case.rounding(random) } else { case }
}

/// A function without a pattern, for tests.
#[cfg(feature = "cases")]
pub(super) fn curve_case(random: &mut crate::cases::Random, constants: &mut crate::cases::Constants) -> u32 {
    let curve: std::vec::Vec<i16> = (0..POINTS).map(|_| random.next() as i16).collect();
    constants.push(&curve)
}
