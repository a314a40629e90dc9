//! Comparisons of trees, by the two that the device has: `<=` and `==` of integers that have the order of the real numbers.

use ferrolite_runtime::ops::tree_ensemble::key;

/// A comparison as a file says it, of a feature on its left with a number on its right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// `<=`
    AtMost,
    /// `<`
    Below,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `==`
    Equal,
    /// `!=`
    Other,
}

/// A comparison of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reduced {
    /// `==` instead of `<=`.
    pub equal: bool,
    /// What is compared with.
    pub threshold: i32,
    /// It holds where the file's does not.
    pub exchanged: bool,
}

/// The same comparison of real numbers by those that the device has; `None` where it is one with NaN. Of -0 and 0, which
/// are equal, the device has two integers: -1 and 0.
pub(super) fn reduced(comparison: Comparison, number: f32) -> Option<Reduced> {
    let number = key((number + 0.0).to_bits())?;
    // The largest integer of a number below: 0 has two of its own.
    let below = if number == 0 { -2 } else { number.saturating_sub(1) };
    let (equal, threshold, exchanged) = match comparison {
        Comparison::AtMost => (false, number, false),
        Comparison::Below => (false, below, false),
        Comparison::AtLeast => (false, below, true),
        Comparison::Above => (false, number, true),
        Comparison::Equal => (true, number, false),
        Comparison::Other => (true, number, true),
    };
    Some(Reduced { equal, threshold, exchanged })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [f32; 11] = [
        f32::NEG_INFINITY,
        f32::MIN,
        -2.5,
        -1e-45,
        -0.0,
        0.0,
        1e-45,
        1.0,
        1.000_000_1,
        f32::MAX,
        f32::INFINITY,
    ];

    #[test]
    fn comparisons_are_those_of_reals() {
        use Comparison::{Above, AtLeast, AtMost, Below, Equal, Other};
        for number in NUMBERS {
            for (comparison, holds) in [
                (AtMost, (|a, b| a <= b) as fn(f32, f32) -> bool),
                (Below, |a, b| a < b),
                (AtLeast, |a, b| a >= b),
                (Above, |a, b| a > b),
            ] {
                let reduced = reduced(comparison, number).unwrap();
                for x in NUMBERS {
                    let found = key(x.to_bits()).unwrap() <= reduced.threshold;
                    assert_eq!(found != reduced.exchanged, holds(x, number), "{x} {comparison:?} {number}");
                }
            }
            // -0 equals 0: the importer makes two splits of that.
            if number != 0.0 {
                let [same, other] = [Equal, Other].map(|kind| reduced(kind, number).unwrap());
                let equal = |x: f32| key(x.to_bits()).unwrap() == same.threshold;
                assert!(NUMBERS.iter().all(|&x| equal(x) == (x == number)), "{number}");
                assert!(same.equal && !same.exchanged && other == Reduced { exchanged: true, ..same });
            }
        }
        assert_eq!(reduced(AtMost, f32::NAN), None);
    }
}
