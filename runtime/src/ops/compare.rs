//! Comparisons of two tensors of int8, element by element, whatever their scales.
//!
//! ```text
//! out = (low[b] <= a <= high[b]) != negate        low, high: a table of 256 pairs that the converter computes
//! ```
//! For one element of the second operand, those of the first one that are below it, or equal to it in the sense of the
//! model, are neighbours: scaling keeps the order of numbers. So a pair of bounds says all of a comparison, with any
//! rounding on the way. Source followed: TFLM `kernels/comparisons.cc`.

use core::cell::Cell;

use ferrolite_schema::params::CompareParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Compare as u16, check, eval, lead: broadcast::lead }
}

/// Elements of a table.
const ENTRIES: u32 = 256;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &CompareParams = node.params()?;
    node.expect_operands(2, 1)?;
    let [total, of_a, of_b] = broadcast::elements(&p.shape)?;
    broadcast::expect_operand(node.input(0)?, Some(of_a))?;
    broadcast::expect_operand(node.input(1)?, Some(of_b))?;
    node.expect_tensor(node.output(0)?, DType::Bool, total)?;
    if p.negate > 1 {
        return Err(Fault::Parameters);
    }
    node.expect_constants::<[i8; 2]>(p.ranges, ENTRIES)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<CompareParams>() else { return };
    if let Ok(ranges) = eval.node().constants(p.ranges, ENTRIES) {
        compare(p, ranges, eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Compares two tensors, whose shapes and that of `out` are those of `p.shape`; `ranges` are at the bits of the second
/// operand's elements. `out` may lie over an operand of its own size.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn compare(
    p: &CompareParams,
    ranges: &[[i8; 2]],
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    out: &[Cell<u8>],
) {
    let Some(ranges) = ranges.first_chunk::<{ ENTRIES as usize }>() else { return };
    let negate = p.negate as u8;
    broadcast::each(&p.shape, a, b, out, move |a: i8, b: i8| {
        let [low, high] = ranges[usize::from(b as u8)];
        u8::from((low..=high).contains(&a)) ^ negate
    });
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, two_operands};

    let (shape, output, operands) = broadcast(random);
    let mut constants = Constants::default();
    let ranges = random.elements(512);
    let p = CompareParams { shape, ranges: constants.push(&ranges), negate: random.below(2) as u32 };
    let mut case = two_operands(Case::of(OpCode::Compare, &p, constants), random, operands, output);
    case.outputs = std::vec![(DType::Bool, output)];
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolite_schema::params::Broadcast;

    #[test]
    fn bounds_belong_to_the_second_operand() {
        // Less than a number, of one scale.
        let ranges: [[i8; 2]; 256] = core::array::from_fn(|bits| match bits as u8 as i8 {
            i8::MIN => [127, -128],
            b => [-128, b - 1],
        });
        let compared = |negate| {
            let shape = Broadcast { dims: [1, 1, 1, 1, 2, 3], repeat_a: 0, repeat_b: 1 << 5 };
            let p = CompareParams { shape, ranges: 0, negate };
            let (a, b) = ([-128, 0, 5, -128, 4, 127], [-128, 5]);
            let mut out = [7u8; 6];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            compare(&p, &ranges, TensorView::from_slice(&a), TensorView::from_slice(&b), cells);
            out
        };
        assert_eq!(compared(0), [0, 0, 0, 1, 1, 0]);
        assert_eq!(compared(1), [1, 1, 1, 0, 0, 1]);
    }
}
