//! QUANTIZE of integers: `out[i] = clamp(requantize(in[i] - input_zero_point, multiplier) + zero_point)`,
//! between int8, uint8, int16 and int32. From 8 bits to 8 bits the converter makes a table instead.
//! Source followed: TFLM `kernels/quantize_common.cc`, `reference/requantize.h`.

use core::cell::Cell;

use ferrolite_schema::params::RequantizeParams;
use ferrolite_schema::{DType, OpCode, Rounding, Tensor};

use super::Operator;
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant;
use crate::tensor::{Element, TensorView};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Requantize as u16, check, eval, lead: growth }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &RequantizeParams = node.params()?;
    check_multiplier(&p.multiplier)?;
    node.expect_operands(1, 1)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    if !is_integer(input) || !is_integer(output) {
        return Err(Fault::Operands);
    }
    expect_same_count(input, output)
}

/// Whether a tensor lies in the arena and holds integers of at most 32 bits.
pub(super) fn is_integer(tensor: &Tensor) -> bool {
    let types = [DType::Int8, DType::UInt8, DType::Int16, DType::Int32];
    tensor.in_arena() && types.iter().any(|&dtype| tensor.dtype == dtype as u8)
}

/// Checks that two tensors have equally many elements.
pub(super) fn expect_same_count(input: &Tensor, output: &Tensor) -> Result<(), Fault> {
    let size = |tensor: &Tensor| tensor.dtype().map_or(1, DType::size) as u64;
    let same = u64::from(input.bytes) * size(output) == u64::from(output.bytes) * size(input);
    if same { Ok(()) } else { Err(Fault::Sizes) }
}

/// The lead of operators that read element `i` and then write element `i`, which may be wider: before
/// the last element is read, all others have grown.
pub(super) fn growth(node: &Node<'_>, _: usize) -> Option<u32> {
    let (input, output) = (node.input(0).ok()?, node.output(0).ok()?);
    let per_element = output.dtype()?.size().saturating_sub(input.dtype()?.size()) as u32;
    Some(output.bytes.saturating_sub(input.bytes).saturating_sub(per_element))
}

fn eval(eval: &Eval<'_>) {
    let node = eval.node();
    let (Ok(p), Ok(input), Ok(output)) = (node.params(), node.input(0), node.output(0)) else { return };
    let (Some(from), Some(to)) = (input.dtype(), output.dtype()) else { return };
    // What most networks ask for. A Cortex-M0 has little flash.
    let rounding = node.rounding();
    if !cfg!(kernels = "armv6m") {
        match (from, to) {
            (DType::Int16, DType::Int8) => {
                let narrow = |y: i32| y.clamp(-128, 127) as i8;
                return requantize_all::<i16, i8>(p, rounding, eval.view(0), eval.output(0), narrow);
            }
            (DType::Int8, DType::Int16) => {
                return requantize_all::<i8, i16>(p, rounding, eval.view(0), eval.output(0), to_int16);
            }
            (DType::Int16, DType::Int16) => {
                return requantize_all::<i16, i16>(p, rounding, eval.view(0), eval.output(0), to_int16);
            }
            _ => {}
        }
    }
    let elements = input.bytes / from.size().max(1) as u32;
    let reader = Reader::new(from, eval.view(0));
    requantize(p, rounding, elements, &reader, &Writer::new(to, eval.output(0)));
}

fn to_int16(y: i32) -> i16 {
    y.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Requantizes all elements of a type to those of another one. `narrow` saturates.
#[inline(never)]
pub fn requantize_all<I: Element + Into<i32>, O: Element>(
    p: &RequantizeParams,
    rounding: Rounding,
    input: TensorView<'_, I>,
    out: &[Cell<O>],
    narrow: impl Fn(i32) -> O,
) {
    let from = |x: I| -> i32 { x.into().wrapping_sub(p.input_zero_point) };
    // So far from the largest numbers, nothing overflows.
    let is_usual = |zero_point: i32| zero_point.unsigned_abs() <= 1 << 16;
    if rounding == Rounding::Double
        && is_usual(p.input_zero_point)
        && is_usual(p.zero_point)
        && let Some(right) = quant::Right::new(p.multiplier, p.zero_point)
    {
        for (x, out) in input.iter().zip(out) {
            out.set(narrow(right.scale(from(x))));
        }
        return;
    }
    for (x, out) in input.iter().zip(out) {
        let scaled = quant::requantize(from(x), p.multiplier, rounding);
        out.set(narrow(scaled.wrapping_add(p.zero_point)));
    }
}

/// Requantizes the first `elements` elements.
pub fn requantize(
    p: &RequantizeParams,
    rounding: Rounding,
    elements: u32,
    input: &Reader<'_>,
    out: &Writer<'_>,
) {
    for i in 0..elements as usize {
        let x = input.at(i).wrapping_sub(p.input_zero_point);
        let scaled = quant::requantize(x, p.multiplier, rounding).wrapping_add(p.zero_point);
        out.set(i, scaled.max(out.min).min(out.max));
    }
}

/// Reads integers of a type that is known at run time. One loop serves all types: borders are small.
#[derive(Debug)]
pub struct Reader<'a> {
    dtype: DType,
    bytes: TensorView<'a, u8>,
}

impl<'a> Reader<'a> {
    /// A reader of little-endian integers; types that are no integers of at most 32 bits read as int8.
    pub fn new(dtype: DType, bytes: TensorView<'a, u8>) -> Reader<'a> {
        Reader { dtype, bytes }
    }

    /// The element at `index`, or zero behind the end.
    #[inline(always)]
    pub fn at(&self, index: usize) -> i32 {
        let byte = |k: usize| self.bytes.at(index.wrapping_mul(self.dtype.size()).wrapping_add(k));
        match self.dtype {
            DType::UInt8 => byte(0).into(),
            DType::Int16 => i16::from_le_bytes([byte(0), byte(1)]).into(),
            DType::Int32 => i32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]),
            _ => i32::from(byte(0) as i8),
        }
    }
}

/// Writes integers of a type that is known at run time.
#[derive(Debug)]
pub struct Writer<'a> {
    size: usize,
    bytes: &'a [Cell<u8>],
    /// Smallest number of the type.
    pub min: i32,
    /// Largest number of the type.
    pub max: i32,
}

impl<'a> Writer<'a> {
    /// A writer of little-endian integers; types that are no integers of at most 32 bits count as
    /// int8.
    pub fn new(dtype: DType, bytes: &'a [Cell<u8>]) -> Writer<'a> {
        let (size, min, max) = match dtype {
            DType::UInt8 => (1, 0, 255),
            DType::Int16 => (2, i16::MIN.into(), i16::MAX.into()),
            DType::Int32 => (4, i32::MIN, i32::MAX),
            _ => (1, -128, 127),
        };
        Writer { size, bytes, min, max }
    }

    /// Bytes of an element.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Writes the low bytes of `value` to the element at `index`.
    #[inline(always)]
    pub fn set(&self, index: usize, value: i32) {
        let element = self.bytes.get(index.wrapping_mul(self.size)..).unwrap_or(&[]);
        for (cell, byte) in element.iter().take(self.size).zip(value.to_le_bytes()) {
            cell.set(byte);
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, INTEGERS, dim, factor, zero_point};

    let p = RequantizeParams {
        input_zero_point: zero_point(random),
        multiplier: factor(random, 0),
        zero_point: zero_point(random) / 8,
    };
    let mut integer = || INTEGERS[random.below(4)];
    let (from, to, elements) = (integer(), integer(), dim(random, 20));
    let case = Case::of(OpCode::Requantize, &p, Constants::default()).rounding(random);
    case.input(random, from, elements * from.size() as u32).output(to, elements * to.size() as u32)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// What the loop for any types writes.
    fn by_any<I: Element>(p: &RequantizeParams, rounding: Rounding, x: &[I], to: DType) -> Vec<u8> {
        let mut out = vec![0u8; x.len() * to.size()];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let dtype = DType::ALL.into_iter().find(|&dtype| I::is_of(dtype as u8)).unwrap();
        let reader = Reader::new(dtype, TensorView::from_slice(bytemuck::cast_slice(x)));
        requantize(p, rounding, x.len() as u32, &reader, &Writer::new(to, cells));
        out
    }

    /// What a loop for two types writes.
    fn by_types<I: Element + Into<i32>, O: Element>(
        p: &RequantizeParams,
        rounding: Rounding,
        x: &[I],
        narrow: impl Fn(i32) -> O,
    ) -> Vec<u8> {
        let mut out = vec![O::zeroed(); x.len()];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        requantize_all(p, rounding, TensorView::from_slice(x), cells, narrow);
        bytemuck::cast_slice(&out).to_vec()
    }

    proptest! {
        #[test]
        fn loops_of_types_answer_as_that_of_any(
            x in prop::collection::vec(any::<i16>(), 0..40),
            mantissa in 0..=i32::MAX,
            shift in prop_oneof![-31i32..=30, -12i32..4],
            (input_zero_point, zero_point) in prop_oneof![
                (-32768i32..32768, -32768i32..32768),
                (any::<i32>(), any::<i32>()),
                (-70_000i32..70_000, -70_000i32..70_000),
            ],
            rounding in prop::sample::select(vec![Rounding::Double, Rounding::Single]),
        ) {
            let p = RequantizeParams { input_zero_point, multiplier: Multiplier { mantissa, shift }, zero_point };
            let small: Vec<i8> = x.iter().map(|&x| x as i8).collect();
            let to_int8 = |y: i32| y.clamp(-128, 127) as i8;
            prop_assert_eq!(by_types(&p, rounding, &x, to_int8), by_any(&p, rounding, &x, DType::Int8));
            prop_assert_eq!(by_types(&p, rounding, &x, to_int16), by_any(&p, rounding, &x, DType::Int16));
            prop_assert_eq!(by_types(&p, rounding, &small, to_int16), by_any(&p, rounding, &small, DType::Int16));
        }
    }

    #[test]
    fn widens_and_narrows() {
        let p = RequantizeParams { input_zero_point: 2, multiplier: multiplier(300.0), zero_point: -5 };
        let mut out = [0u8; 4];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let input = Reader::new(DType::Int8, TensorView::from_slice(&[4, 0x80]));
        requantize(&p, Rounding::Double, 2, &input, &Writer::new(DType::Int16, cells));
        assert_eq!(
            [i16::from_le_bytes([out[0], out[1]]), i16::from_le_bytes([out[2], out[3]])],
            [595, -32768]
        );

        let p = RequantizeParams { input_zero_point: 0, multiplier: multiplier(0.5), zero_point: 0 };
        let mut out = [0u8; 2];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let input = Reader::new(DType::Int32, TensorView::from_slice(&[7, 0, 0, 0, 0, 0, 0, 0x80]));
        requantize(&p, Rounding::Double, 2, &input, &Writer::new(DType::UInt8, cells));
        assert_eq!(out, [4, 0]);
    }
}
