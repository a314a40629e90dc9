//! Sums of elements, four at a time in halves of words.

use crate::tensor::TensorView;

/// Words that halves of words can add up: 257 times 255 fits.
pub(crate) const MOST_WORDS: usize = 257;

/// The even and the odd bytes of words in halves of two words, each of them 128 more than the element.
#[inline(always)]
pub(crate) fn halves(words: impl Iterator<Item = u32>) -> [u32; 2] {
    const HALVES: u32 = 0x00FF_00FF;
    let (mut even, mut odd) = (0u32, 0u32);
    for word in words {
        // Without a sign, bytes do not borrow from one another.
        let word = word ^ 0x8080_8080;
        even = even.wrapping_add(word & HALVES);
        odd = odd.wrapping_add((word >> 8) & HALVES);
    }
    [even, odd]
}

/// See [`Kernels::sum`](super::Kernels::sum).
#[inline(never)]
pub(crate) fn sum(run: TensorView<'_, i8>) -> i32 {
    let (mut sum, mut rest) = (0i32, run);
    while rest.len() >= 4 {
        let count = (rest.len() / 4).min(MOST_WORDS);
        let (now, behind) = rest.split_at(count.wrapping_mul(4));
        let [even, odd] = halves(now.whole_words());
        let all = (even & 0xFFFF).wrapping_add(even >> 16).wrapping_add(odd & 0xFFFF).wrapping_add(odd >> 16);
        sum = sum.wrapping_add(all as i32).wrapping_sub((count as i32).wrapping_mul(512));
        rest = behind;
    }
    rest.iter().fold(sum, |sum, x| sum.wrapping_add(x.into()))
}
