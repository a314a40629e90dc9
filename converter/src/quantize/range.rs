//! Ranges of real numbers, and the affine int8 parameters that cover them.

use crate::graph::Quantization;
use crate::graph::{DType, Graph, ValueId};

/// A range whose scale would be smaller is dead: it contains only rounding noise around zero.
const SMALLEST_SCALE: f32 = 1e-18;

/// Larger bounds are refused, because products of scales would leave the range of f32.
pub const LARGEST_BOUND: f32 = 1e18;

/// Largest magnitude of a quantized bias: half of what int32 holds, so that the sum of products, and the
/// input's zero point times the weights, can still be added.
pub const BIAS_LIMIT: f64 = (1u32 << 30) as f64;

/// The smallest and the largest number of a value. A range always includes zero, so that zero has an exact
/// integer, as padding and the rectifiers need.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// Smallest number, at most zero.
    pub min: f32,
    /// Largest number, at least zero.
    pub max: f32,
}

impl Range {
    /// The range of some numbers; `None` if one of them is NaN, infinite or beyond 1e18.
    pub fn of(data: &[f32]) -> Option<Range> {
        // Maps floats to integers of the same order. The minimum of integers vectorises, and NaN lies beyond
        // infinity, so it is found.
        let key = |bits: i32| bits ^ ((bits >> 31) & i32::MAX);
        let (mut min, mut max) = (0, 0);
        for x in data {
            let key = key(x.to_bits() as i32);
            min = min.min(key);
            max = max.max(key);
        }
        // Adding zero turns -0 into 0.
        let [min, max] = [min, max].map(|k| f32::from_bits(key(k) as u32) + 0.0);
        (min >= -LARGEST_BOUND && max <= LARGEST_BOUND).then_some(Range { min, max })
    }

    /// The smallest range that contains both.
    #[must_use]
    pub fn union(self, other: Range) -> Range {
        Range {
            min: if other.min < self.min { other.min } else { self.min },
            max: if other.max > self.max { other.max } else { self.max },
        }
    }

    /// Scale and zero point of asymmetric int8. The zero point is the integer nearest to the position of
    /// zero, computed from the end at which the rounding error is smaller (gemmlowp's "nudging", as TFLite's
    /// quantizer does it). A range of zero alone gets scale 1.
    pub fn asymmetric(self) -> (f32, i32) {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        // Subtracting in f32 reproduces more of the scales in TensorFlow's files than f64 does.
        let scale = f64::from(self.max - self.min) / 255.0;
        if scale < f64::from(SMALLEST_SCALE) {
            return (1.0, 0);
        }
        let from_min = -128.0 - min / scale;
        let from_max = 127.0 - max / scale;
        let error_min = 128.0 + (min / scale).abs();
        let error_max = 127.0 + (max / scale).abs();
        let zero_point = if error_min < error_max { from_min } else { from_max };
        (scale as f32, zero_point.round().clamp(-128.0, 127.0) as i32)
    }

    /// Scale of symmetric int8 in -127..=127; zero if the range is dead.
    pub fn symmetric(self) -> f32 {
        let scale = self.max.max(-self.min) / 127.0;
        if scale < SMALLEST_SCALE { 0.0 } else { scale }
    }

    /// The real numbers that int8 with these parameters can represent.
    pub fn representable(scale: f32, zero_point: i32) -> Range {
        Range { min: scale * (-128 - zero_point) as f32, max: scale * (127 - zero_point) as f32 }
    }

    /// Whether `other` lies inside, give or take a step of `scale`.
    pub fn holds(self, other: Range, scale: f32) -> bool {
        self.min - scale <= other.min && other.max <= self.max + scale
    }
}

/// The int8 for a real number: rounded half away from zero, clamped.
pub fn to_int8(x: f32, scale: f32, zero_point: i32) -> i8 {
    let q = (f64::from(x) / f64::from(scale)).round() + f64::from(zero_point);
    q.clamp(-128.0, 127.0) as i8
}

/// Per-tensor quantization with these parameters.
pub fn per_tensor((scale, zero_point): (f32, i32)) -> Quantization {
    Quantization::per_tensor(scale, zero_point)
}

/// Scale and zero point.
pub type Params = (f32, i32);

/// The share of its range that int8 may lose so that the zero point is an integer.
const MOST_LOST: f64 = 1.0 / 32.0;

/// The largest number of steps of a term for which single precision distinguishes neighbours of a grid.
pub const MOST_STEPS: f64 = (1u32 << 18) as f64;

/// Whether a value is real numbers now and becomes int8.
pub fn is_real(graph: &Graph, id: ValueId) -> bool {
    graph.value(id).dtype == DType::Float32 && !graph.reals.contains(&id)
}

/// The scale nearest to the one of least error for which `term` is a whole number of steps, and its zero
/// point. `None` if that costs too much of the range.
pub fn params_for(range: Range, term: f64) -> Option<Params> {
    let (min, max) = (f64::from(range.min), f64::from(range.max));
    let (least, zero_point) = range.asymmetric();
    if term == 0.0 {
        return Some((least, zero_point));
    }
    let least = f64::from(least);
    // If the range ends at a whole number of steps, up to rounding in single precision, that number counts.
    let steps = (term.abs() / least + 1e-3).floor();
    let scale = term.abs() / steps;
    if !(1.0..=MOST_STEPS).contains(&steps) || scale > least * (1.0 + MOST_LOST) {
        return None;
    }
    let scale = scale as f32;
    let (low, high) = (-128.0 - min / f64::from(scale), 127.0 - max / f64::from(scale));
    let zero_point = if low.ceil() <= high { low.ceil() } else { low.round() };
    Some((scale, zero_point.clamp(-128.0, 127.0) as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_zero_and_refuse_what_is_not_finite() {
        assert_eq!(Range::of(&[2.0, 5.0]), Some(Range { min: 0.0, max: 5.0 }));
        assert_eq!(Range::of(&[-2.0, -1.0]), Some(Range { min: -2.0, max: 0.0 }));
        assert_eq!(Range::of(&[]), Some(Range::default()));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e19] {
            assert_eq!(Range::of(&[1.0, bad, 2.0]), None);
        }
    }

    #[test]
    fn parameters_of_tensorflow() {
        // TensorFlow's own conversion wrote this for the input of a model over 0..2π.
        assert_eq!(Range { min: 0.0, max: 6.245_908_7 }.asymmetric(), (0.024_493_76, -128));
        assert_eq!(Range { min: 0.0, max: 1.0 }.asymmetric(), (1.0 / 255.0, -128));
        assert_eq!(Range { min: -1.0, max: 0.0 }.asymmetric(), (1.0 / 255.0, 127));
        // Zero falls between two integers; the tie is rounded away from zero.
        assert_eq!(Range { min: -127.5, max: 127.5 }.asymmetric(), (1.0, -1));
    }

    #[test]
    fn dead_ranges_have_sane_scales() {
        assert_eq!(Range::default().asymmetric(), (1.0, 0));
        assert_eq!(Range { min: -1e-30, max: 1e-38 }.asymmetric(), (1.0, 0));
        assert_eq!(Range { min: 0.0, max: 1e-30 }.symmetric(), 0.0);
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        assert_eq!([2.5, -2.5, 1e9, -1e9].map(|x| to_int8(x, 1.0, 0)), [3, -3, 127, -128]);
        assert_eq!(to_int8(0.0, 0.1, -5), -5);
    }
}
