//! CAST: integers and truth values to those of another type. Wider ones keep their value, narrower ones their lower bits,
//! and a truth value is whether the number is not 0. Source followed: TFLM `kernels/cast.cc`.

use core::cell::Cell;

use ferrolite_schema::params::CastParams;
use ferrolite_schema::{DType, OpCode};

use super::Operator;
use super::number::{BLOCK, integer, load, load_block, store, store_block};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Cast as u16, check, eval, lead }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &CastParams = node.params()?;
    node.expect_operands(1, 1)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    node.expect_tensor(input, integer(input)?, p.elements)?;
    node.expect_tensor(output, integer(output)?, p.elements)
}

/// Elements are written in order, and may be larger than those that are still to be read.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &CastParams = node.params().ok()?;
    let size = |tensor| Some(integer(tensor).ok()?.size() as u32);
    let grown = size(node.output(0).ok()?)?.saturating_sub(size(node.input(0).ok()?)?);
    p.elements.checked_sub(1)?.checked_mul(grown)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    let types =
        eval.node().input(0).and_then(integer).and_then(|from| Ok((from, integer(eval.node().output(0)?)?)));
    if let Ok((from, to)) = types {
        cast(from, to, eval.view(0), eval.output(0));
    }
}

/// Casts all elements; both tensors are seen as bytes.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn cast(from: DType, to: DType, input: TensorView<'_, u8>, out: &[Cell<u8>]) {
    let truth = |number: i64| if to == DType::Bool { (number != 0).into() } else { number };
    // A Cortex-M0 has little flash.
    if from == DType::Int64 || to == DType::Int64 || cfg!(kernels = "armv6m") {
        for (index, place) in runs(out, to.size()).enumerate() {
            store(place, truth(load(input, from, index)));
        }
        return;
    }
    // Elements that become wider may lie under those that are written: some are read, then written.
    let mut block = [0; BLOCK];
    let (mut at, mut rest) = (0usize, out);
    while !rest.is_empty() {
        let some = rest.len().checked_div(to.size()).unwrap_or(0).clamp(1, BLOCK);
        let (now, behind) = rest.split_at_checked(some.wrapping_mul(to.size())).unwrap_or((rest, &[]));
        let numbers = block.get_mut(..some).unwrap_or(&mut []);
        load_block(input, from, at, 1, numbers);
        if to == DType::Bool {
            numbers.iter_mut().for_each(|number| *number = i32::from(*number != 0));
        }
        store_block(now, to.size(), numbers);
        (at, rest) = (at.wrapping_add(some), behind);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};

    let types = [DType::Int8, DType::UInt8, DType::Bool, DType::Int16, DType::Int32, DType::Int64];
    let [from, to] = [types[random.below(6)], types[random.below(6)]];
    let elements = dim(random, 20);
    let case = Case::of(OpCode::Cast, &CastParams { elements }, Constants::default());
    case.input(random, from, elements * from.size() as u32).output(to, elements * to.size() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast_to<const N: usize>(from: DType, to: DType, input: &[u8]) -> [u8; N] {
        let mut out = [99u8; N];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        cast(from, to, TensorView::from_slice(input), cells);
        out
    }

    #[test]
    fn numbers_widen_with_their_sign_and_narrow_to_their_lower_bits() {
        assert_eq!(cast_to(DType::Int8, DType::Int16, &[0xFE, 5]), [0xFE, 0xFF, 5, 0]);
        assert_eq!(cast_to(DType::UInt8, DType::Int16, &[0xFE, 5]), [0xFE, 0, 5, 0]);
        assert_eq!(cast_to(DType::Int16, DType::Int8, &[0x34, 0x12, 0xFF, 0xFF]), [0x34, 0xFF]);
        assert_eq!(cast_to(DType::Int8, DType::Int64, &[0x80]), [0x80, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(cast_to(DType::Int64, DType::Int32, &[1, 2, 3, 4, 5, 6, 7, 8]), [1, 2, 3, 4]);
    }

    #[test]
    fn truth_values() {
        assert_eq!(cast_to(DType::Int16, DType::Bool, &[0, 1, 0, 0]), [1, 0]);
        assert_eq!(cast_to(DType::Bool, DType::Int16, &[7, 0]), [1, 0, 0, 0]);
    }
}
