//! ADD and SUB.
//!
//! Both operands are brought to twice the larger of their scales, with 20 more bits, those of int16 with 15. The factors of
//! both operators are computed in double precision: older versions of TFLM computed those of SUB in
//! single precision, and answered otherwise on a tie now and then.
//! Source followed: TFLM `kernels/add_common.cc`, `kernels/sub_common.cc`.

use std::cell::Cell;

use ferrolite_runtime::Target;
use ferrolite_runtime::kernels::{Kernels, Portable, policy};
use ferrolite_runtime::quant::multiplier;
use ferrolite_runtime::tensor::TensorView;
use ferrolite_schema::params::{AddParams, Multiplier, Sum, Term, Weighted, WeightedSumParams};
use ferrolite_schema::{OpCode, Rounding};

use super::broadcast::broadcast;
use super::lowering::{Lowered, Lowering};
use super::stage;
use crate::error::Result;
use crate::graph::{Activation, DType, Node};

/// Lowers ADD, or SUB where `subtract` is set. The type of the result says which operator of the device it is.
pub(super) fn lower(
    cx: &Lowering<'_>,
    node: &Node,
    subtract: bool,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let ((a_id, a), (b_id, b)) = (cx.input(node, 0)?, cx.input(node, 1)?);
    let (out_id, out) = cx.output(node, 0)?;
    // Bits that operands gain before they are scaled.
    let (dtype, code, bits) = match out.dtype {
        DType::Int16 => (DType::Int16, OpCode::AddInt16, 15),
        _ => (DType::Int8, OpCode::Add, 20),
    };
    let of = |id, value| stage::quantized(cx, node, id, value, dtype);
    let (a, b, out) = (of(a_id, a)?, of(b_id, b)?, of(out_id, out)?);
    let twice = 2.0 * a.scale.max(b.scale);
    let factors = [a.scale / twice, b.scale / twice, twice / (f64::from(1 << bits) * out.scale)];
    let [of_a, of_b, of_out] = factors.map(multiplier);
    if of_out.shift > 0 {
        return Err(cx.unsupported(
            node,
            format_args!(
                "the output's scale {} is less than 1/{} of its operands' scales",
                out.scale,
                1 << (bits - 1)
            ),
        ));
    }
    let (min, max) = stage::activation_range(activation, &out);
    let shape = broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?;
    let sum = Sum {
        a: Term { zero_point: a.zero_point, multiplier: of_a },
        b: Term { zero_point: b.zero_point, multiplier: of_b },
        sign: if subtract { -1 } else { 1 },
        multiplier: of_out,
        zero_point: out.zero_point,
        min,
        max,
    };
    let (inputs, outputs) = (vec![a.id, b.id], vec![out.id]);
    // A host's vector kernels add faster as they are.
    let is_wanted = code == OpCode::Add && cx.policy != policy(Target::Host);
    if let Some(sum) = is_wanted.then(|| weighted(&sum, cx.rounding)).flatten() {
        let params = WeightedSumParams { shape, sum };
        return Ok(vec![Lowered::new(OpCode::WeightedSum, inputs, outputs, &params)]);
    }
    Ok(vec![Lowered::new(code, inputs, outputs, &AddParams { shape, sum })])
}

/// Bits of the output's numbers behind the point, before they are rounded.
const FRACTION: u32 = 20;

/// Steps by which factors are moved where those nearest to the real ones do not give the same numbers.
const STEPS: [i64; 9] = [0, 1, -1, 2, -2, 5, -5, 11, -11];

/// Factors that give what a sum gives, for all pairs of int8 numbers, if there are some: each pair allows terms between
/// two numbers, or on one side of a number where the output is at a limit.
fn weighted(sum: &Sum, rounding: Rounding) -> Option<Weighted> {
    let Sum { min, max, .. } = *sum;
    let wanted = all_sums(sum, rounding);
    let real =
        |multiplier: Multiplier| f64::from(multiplier.mantissa) * f64::from(multiplier.shift - 31).exp2();
    let of = |multiplier| {
        (real(multiplier) * real(sum.multiplier) * f64::from(1 << 20) * f64::from(1 << (FRACTION + 8)))
            .round() as i64
    };
    let (near_a, near_b) = (of(sum.a.multiplier), of(sum.b.multiplier) * i64::from(sum.sign));
    for (step_a, step_b) in STEPS.iter().flat_map(|a| STEPS.iter().map(move |b| (a, b))) {
        let (factor_a, factor_b) =
            (i32::try_from(near_a + step_a).ok()?, i32::try_from(near_b + step_b).ok()?);
        let parts =
            |factor: i32| -> Vec<i64> { (-128i64..128).map(|x| (x * i64::from(factor)) >> 8).collect() };
        let (parts_a, parts_b) = (parts(factor_a), parts(factor_b));
        let (mut least, mut most) = (i64::MIN, i64::MAX);
        for (&part_a, wanted) in parts_a.iter().zip(wanted.chunks_exact(256)) {
            for (&part_b, &y) in parts_b.iter().zip(wanted) {
                let (y, part) = (i64::from(y), part_a + part_b);
                if y > min.into() {
                    least = least.max((y << FRACTION) - part);
                }
                if y < max.into() {
                    most = most.min(((y + 1) << FRACTION) - 1 - part);
                }
            }
            if least > most {
                break;
            }
        }
        if least > most {
            continue;
        }
        // In the middle of what is allowed; where only one side is, at its end.
        let term = if least == i64::MIN {
            most
        } else if most == i64::MAX {
            least
        } else {
            (least + most).div_euclid(2)
        };
        let reach = |parts: &[i64]| (parts[0].min(parts[255]), parts[0].max(parts[255]));
        let ((low_a, high_a), (low_b, high_b)) = (reach(&parts_a), reach(&parts_b));
        // Sums wrap beyond 32 bits.
        i32::try_from(low_a + low_b + term.min(0)).ok()?;
        i32::try_from(high_a + high_b + term.max(0)).ok()?;
        return Some(Weighted { factor_a, factor_b, term: i32::try_from(term).ok()?, min, max });
    }
    None
}

/// The outputs for all pairs of int8 numbers, all of the second operand for the smallest of the first one, and so on.
fn all_sums(sum: &Sum, rounding: Rounding) -> Vec<i8> {
    let mut out = vec![0i8; 1 << 16];
    let all: Vec<i8> = (-128i8..=127).collect();
    let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
    for (a, out) in all.iter().zip(cells.chunks_exact(256)) {
        let a = TensorView::from_slice(std::slice::from_ref(a));
        Portable::add(a, TensorView::from_slice(&all), sum, rounding, out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sum of operands of the first two scales, in the third.
    fn sum(scales: [f64; 3], zero_points: [i32; 3], subtract: bool, min: i32) -> Sum {
        let twice = 2.0 * scales[0].max(scales[1]);
        let term = |i: usize| Term { zero_point: zero_points[i], multiplier: multiplier(scales[i] / twice) };
        let sign = if subtract { -1 } else { 1 };
        let multiplier = multiplier(twice / (f64::from(1 << 20) * scales[2]));
        Sum { a: term(0), b: term(1), sign, multiplier, zero_point: zero_points[2], min, max: 127 }
    }

    /// Of sums with scales that nothing relates, nearly all have factors, which give the same for all pairs in the
    /// device's arithmetic.
    #[test]
    fn factors_give_the_same_sums() {
        let mut state = 3u64;
        let mut below = |limit: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % limit
        };
        let all: Vec<i8> = (-128i8..=127).collect();
        let (mut out, mut count) = (vec![0i8; 256], 0);
        for _ in 0..100 {
            let scales =
                [0.02, 0.02, 0.05].map(|least| least + 0.05 * f64::from(below(1 << 20)) / f64::from(1 << 20));
            let zero_points = [(); 3].map(|()| below(256) as i32 - 128);
            let min = if below(2) == 0 { -128 } else { zero_points[2] };
            let sum = sum(scales, zero_points, below(2) == 0, min);
            let rounding = [Rounding::Double, Rounding::Single][below(2) as usize];
            let Some(found) = weighted(&sum, rounding) else { continue };
            count += 1;
            for (a, wanted) in all.iter().zip(all_sums(&sum, rounding).chunks_exact(256)) {
                let (a, b) = (TensorView::from_slice(std::slice::from_ref(a)), TensorView::from_slice(&all));
                Portable::weighted_sum(a, b, &found, Cell::from_mut(&mut out[..]).as_slice_of_cells());
                assert_eq!(out, wanted, "{sum:?} {found:?}");
            }
        }
        assert!(count > 80, "{count} of 100");
    }

    /// Halves round away from zero, to either side: no term does.
    #[test]
    fn sums_that_tie_have_none() {
        assert!(weighted(&sum([0.5, 0.5, 1.0], [0; 3], false, -128), Rounding::Double).is_none());
        assert!(weighted(&sum([0.5, 0.5, 1.0], [0; 3], false, -128), Rounding::Single).is_some());
    }
}
