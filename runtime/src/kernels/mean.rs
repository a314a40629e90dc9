//! Means of some elements, rounded to nearest, ties away from zero, without a division each.
//!
//! ```text
//! mean = (sum + 128 n + (n - [sum < 0 and n even]) / 2) / n - 128        for n elements; the divisions round down
//! ```
//! With 128 more, elements have no sign, and neither has their sum. Rounded down, half of `n` is added whatever the sign
//! of an odd `n`; the ties of an even one want one less below zero. A reciprocal that is rounded up is off by less than
//! `n` in 2^32, its product by less than `257 n^2`: where that is less than 2^31, it does not reach the next integer.

/// Elements whose mean is a product, at most: 257 times the square is below 2^31.
#[cfg(test)]
const MOST: i32 = 2890;

/// Numbers that are the same for all means of so many elements.
#[derive(Clone, Copy)]
pub(super) struct Mean {
    count: u32,
    /// 2^31 divided by their number, rounded up.
    reciprocal: u32,
    /// 128 for each of them, and half of their number.
    more: i32,
    /// -1 if their number is even.
    even: i32,
}

impl Mean {
    /// Of `count` elements, at least 1 and below 2^23.
    #[inline(always)]
    pub(super) fn of(count: i32) -> Mean {
        let even = (count & 1).wrapping_sub(1);
        let count = count.max(1) as u32;
        let reciprocal = ((1 << 31) - 1) / count + 1;
        Mean { count, reciprocal, more: (count.wrapping_mul(128) + count / 2) as i32, even }
    }

    /// The mean of elements whose sum is this, of at most 2890.
    #[cfg(not(device))]
    #[inline(always)]
    pub(super) fn of_few(&self, sum: i32) -> i32 {
        let doubled = self.rounded(sum).wrapping_mul(2);
        ((u64::from(doubled) * u64::from(self.reciprocal)) >> 32) as i32 - 128
    }

    /// For means of few elements in assembly: -1 if their number is even, twice what is added to a sum, and the reciprocal.
    #[cfg(kernels = "armv7em")]
    #[inline(always)]
    pub(super) fn numbers(&self) -> (i32, i32, u32) {
        (self.even, self.more.wrapping_mul(2), self.reciprocal)
    }

    /// What is divided by the number of elements.
    #[inline(always)]
    fn rounded(&self, sum: i32) -> u32 {
        let less = sum >> 31 & self.even;
        (sum.wrapping_add(self.more).wrapping_add(less)) as u32
    }

    /// The mean of any number of elements whose sum is this.
    #[inline(always)]
    pub(super) fn of_sum(&self, sum: i32) -> i32 {
        self.rounded(sum).checked_div(self.count).unwrap_or(0) as i32 - 128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Around each tie, and at both ends.
    #[test]
    fn means_are_rounded_quotients() {
        for count in (1..600).chain([2889, 2890, 2891, 4096, 65536, 1 << 22]) {
            let mean = Mean::of(count);
            let ends = [-128 * count, 127 * count].into_iter();
            let ties = (-255i32..=254).map(|half| half * count / 2);
            for sum in ends.chain(ties.flat_map(|tie| [tie - 1, tie, tie + 1])) {
                if (-128 * count..=127 * count).contains(&sum) {
                    let wanted = (f64::from(sum) / f64::from(count)).round() as i32;
                    assert_eq!(mean.of_sum(sum), wanted, "{sum} of {count}");
                    assert!(count > MOST || mean.of_few(sum) == wanted, "{sum} of {count}");
                }
            }
        }
    }
}
