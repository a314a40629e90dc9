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
use crate::tensor::TensorView;

/// Whether the core multiplies reals: a target that passes them in registers, or a host.
pub(super) const HARD_FLOAT: bool = cfg!(any(not(device), target_abi = "eabihf"));

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
    if let (Some(from), Some(to)) = (input.dtype(), output.dtype()) {
        let elements = input.bytes / from.size().max(1) as u32;
        let reader = Reader::new(from, eval.view(0));
        requantize(p, node.rounding(), elements, &reader, &Writer::new(to, eval.output(0)));
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
    use super::*;
    use crate::quant::multiplier;

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
