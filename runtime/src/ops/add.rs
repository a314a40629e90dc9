//! ADD and SUB: both operands are brought to a common scale with 20 more bits, combined, and scaled
//! to the output. Source followed: TFLM `kernels/add_common.cc`, `reference/integer_ops/add.h`,
//! `reference/sub.h`.

use core::cell::Cell;

use ferrolite_schema::params::{AddParams, Term};
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node, check_clamp, check_int8, check_multiplier};
use crate::tensor::TensorView;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Add as u16, check, eval: eval::<K>, lead: broadcast::lead }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &AddParams = node.params()?;
    broadcast::check(node, &p.shape)?;
    let sum = &p.sum;
    for Term { zero_point, multiplier } in [&sum.a, &sum.b] {
        check_int8(*zero_point)?;
        check_multiplier(multiplier)?;
    }
    if sum.sign != 1 && sum.sign != -1 {
        return Err(Fault::Parameters);
    }
    check_multiplier(&sum.multiplier)?;
    check_int8(sum.zero_point)?;
    check_clamp(sum.min, sum.max)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    add::<K>(p, eval.node().rounding(), eval.view(0), eval.view(1), eval.output(0));
}

/// Adds or subtracts two tensors, whose shapes and that of `out` are those of `p.shape`.
pub fn add<K: Kernels>(
    p: &AddParams,
    rounding: Rounding,
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    out: &[Cell<i8>],
) {
    broadcast::runs(&p.shape, a, b, out, |a, b, out| K::add(a, b, &p.sum, rounding, out));
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, factor, two_operands, zero_point};
    use ferrolite_schema::params::{Multiplier, Sum};

    let (shape, output, operands) = broadcast(random);
    let one = Multiplier { mantissa: 1 << 30, shift: 0 };
    let mut term = || {
        let multiplier = if random.below(2) == 0 { one } else { factor(random, 0) };
        Term { zero_point: zero_point(random), multiplier }
    };
    let (a, b) = (term(), term());
    let sign = [1, -1][random.below(2)];
    let (multiplier, zero_point) = (factor(random, -19), zero_point(random));
    let p = AddParams { shape, sum: Sum { a, b, sign, multiplier, zero_point, min: -128, max: 127 } };
    let case = Case::of(OpCode::Add, &p, Constants::default()).rounding(random);
    two_operands(case, random, operands, output)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::kernels::Portable;
    use crate::quant::multiplier;
    use ferrolite_schema::params::{Broadcast, Sum};
    use proptest::prelude::*;
    use std::vec;

    fn params(count: usize, scales: [f64; 3], zero_points: [i32; 3], sign: i32) -> AddParams {
        let twice = 2.0 * scales[0].max(scales[1]);
        let term = |i: usize| Term { zero_point: zero_points[i], multiplier: multiplier(scales[i] / twice) };
        AddParams {
            shape: Broadcast { dims: [1, 1, 1, 1, 1, count as u32], repeat_a: 0, repeat_b: 0 },
            sum: Sum {
                a: term(0),
                b: term(1),
                sign,
                multiplier: multiplier(twice / (f64::from(1 << 20) * scales[2])),
                zero_point: zero_points[2],
                min: -120,
                max: 127,
            },
        }
    }

    proptest! {
        #[test]
        fn sums_are_near_the_real_ones(
            pairs in prop::collection::vec(any::<(i8, i8)>(), 1..50),
            scales in prop::array::uniform3(0.01f64..1.0),
            zero_points in prop::array::uniform3(-128i32..128),
            subtract: bool,
        ) {
            let sign = if subtract { -1 } else { 1 };
            let p = params(pairs.len(), scales, zero_points, sign);
            let (mut a, mut b): (std::vec::Vec<i8>, std::vec::Vec<i8>) = pairs.iter().copied().unzip();
            let cells = Cell::from_mut(&mut a[..]).as_slice_of_cells();
            let mut out = vec![0i8; pairs.len()];
            for rounding in [Rounding::Double, Rounding::Single] {
                add::<Portable>(
                    &p,
                    rounding,
                    TensorView::from_cells(cells),
                    TensorView::from_slice(&b),
                    Cell::from_mut(&mut out[..]).as_slice_of_cells(),
                );
                for ((a, b), out) in pairs.iter().zip(&out) {
                    let real = |x: i8, i: usize| scales[i] * f64::from(i32::from(x) - zero_points[i]);
                    let sum = real(*a, 0) + f64::from(sign) * real(*b, 1);
                    let exact = (sum / scales[2] + f64::from(zero_points[2])).clamp(-120.0, 127.0);
                    prop_assert!((f64::from(*out) - exact).abs() < 0.51, "{out} for {exact}");
                }
            }
            // In place over either operand.
            let over_b = Cell::from_mut(&mut b[..]).as_slice_of_cells();
            let (view_a, view_b) = (TensorView::from_cells(cells), TensorView::from_cells(over_b));
            add::<Portable>(&p, Rounding::Single, view_a, view_b, over_b);
            prop_assert_eq!(&b, &out);
        }
    }

    #[test]
    fn ties_round_as_in_tflm() {
        // Equal scales and an output of twice the scale: halves.
        let p = params(4, [0.5, 0.5, 1.0], [0; 3], 1);
        let (a, b) = ([1i8, -1, 3, -3], [0i8; 4]);
        let mut out = [0i8; 4];
        add::<Portable>(
            &p,
            Rounding::Double,
            TensorView::from_slice(&a),
            TensorView::from_slice(&b),
            Cell::from_mut(&mut out[..]).as_slice_of_cells(),
        );
        assert_eq!(out, [1, -1, 2, -2]);
    }
}
