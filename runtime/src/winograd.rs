//! Winograd's F(2x2, 3x3), exact in integers: the filters of [`Order::Winograd`](crate::packing::Order).
//!
//! Four outputs of a 3x3 convolution, a 2x2 tile, take 36 multiplications; of transformed filters and
//! pixels they take 16:
//!
//! ```text
//! U = G w G'        G  = | 2  0  0 |     V = B d B'    B = | 1  0 -1  0 |    4 y = A (sum of U V) A'
//! (4x4, filter)          | 1  1  1 |     (4x4, pixels)     | 0  1  1  0 |    A = | 1  1  1  0 |
//!                        | 1 -1  1 |                       | 0 -1  1  0 |        | 0  1 -1 -1 |
//!                        | 0  0  2 |                       | 0  1  0 -1 |
//! ```
//! `U V` is element by element, and summed over the input channels. Winograd's own `G` is half of this
//! one; doubled it is integer, and the outputs come out four times too large. Nothing is rounded:
//!
//! - a row of `G` adds up to at most 3 in magnitude, so `|U| <= 9 * 128`; of `B` to 2, so `|V| <= 4 * 128`:
//!   both fit 16 bits, the halves of `V` that exist on the way (`|B d| <= 256`) too;
//! - sums wrap modulo 2^32, as sums of products always do here, and `A` only adds: `4 y` is right modulo
//!   2^32. It is right as an i32, and `y` a quarter of it, where `|y| < 2^29`, which the converter proves.
//!
//! Padding is the zero point as a pixel like any other, and the bias holds the zero point's part, as in
//! every convolution. Source: Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, 2015.
//!
//! In a file, `U` of two output channels at a time: for each of the 16 *slots* the pairs of input channels,
//! a word of the first output channel and one of the second. A pair is what SXTB16 makes of four bytes:
//! channels 0 and 2, then 1 and 3. Input channels are filled up to a multiple of 16 with zeroes. Slots
//! go column by column, rows in the order 1, 0, 2, 3: `A` needs `row 0 + row 1` and `row 2 + row 3`, so
//! that each second sum may go on from the one before.

/// Elements of a transformed filter.
pub const SLOTS: usize = 16;

/// Input channels that filters are filled up to a multiple of.
const INPUTS: u32 = 16;

/// The slot of row `y` and column `x` of a transformed filter or tile, both below 4.
pub const fn slot(y: usize, x: usize) -> usize {
    x.wrapping_mul(4).wrapping_add(match y {
        0 => 1,
        1 => 0,
        _ => y,
    })
}

/// Input channels with what they are filled up with; `None` where that overflows.
pub const fn padded_inputs(inputs: u32) -> Option<u32> {
    inputs.checked_next_multiple_of(INPUTS)
}

/// Where the halfword of a slot is, counted in halfwords.
pub fn place(inputs: u32, output: u32, slot: usize, input: u32) -> usize {
    let pairs = padded_inputs(inputs).unwrap_or(0) as usize / 2;
    let pair = (input >> 2).wrapping_mul(2).wrapping_add(input & 1) as usize;
    let row = (output as usize >> 1).wrapping_mul(SLOTS).wrapping_add(slot);
    let word = row.wrapping_mul(pairs).wrapping_add(pair).wrapping_mul(2);
    word.wrapping_add(output as usize & 1).wrapping_mul(2).wrapping_add((input as usize >> 1) & 1)
}

/// `U` of a filter, by slots. `filter` is row-major.
pub fn transform(filter: &[i8; 9]) -> [i16; SLOTS] {
    let [a, b, c, d, e, f, g, h, i] = filter.map(i16::from);
    let apply = |[a, b, c]: [i16; 3]| [2 * a, a + b + c, a - b + c, 2 * c];
    let columns = [apply([a, d, g]), apply([b, e, h]), apply([c, f, i])];
    let mut slots = [0; SLOTS];
    let [first, second, third] = columns;
    for (y, ((a, b), c)) in first.into_iter().zip(second).zip(third).enumerate() {
        for (x, u) in apply([a, b, c]).into_iter().enumerate() {
            if let Some(place) = slots.get_mut(slot(y, x)) {
                *place = u;
            }
        }
    }
    slots
}

/// The transformed filters of a convolution, in the constants of a file.
#[derive(Clone, Copy, Debug)]
pub struct Filters<'a> {
    /// Output channels, an even number.
    pub outputs: u32,
    /// Input channels.
    pub inputs: u32,
    /// `U`, [`Filters::words`] words.
    pub words: &'a [u32],
    /// Whether multipliers and biases may be any: see [`Packing::general`](crate::packing::Packing::general).
    pub general: bool,
}

impl Filters<'_> {
    /// Words of all filters; `None` where that overflows or is zero.
    pub fn words(outputs: u32, inputs: u32) -> Option<u32> {
        let per_pair = padded_inputs(inputs)?.checked_mul(SLOTS as u32)?;
        per_pair.checked_mul(outputs.checked_next_multiple_of(2)? / 2).filter(|&words| words != 0)
    }

    /// The weight in row `ky` and column `kx` of a filter, back from `U`; 0 for one that is not there.
    ///
    /// Row 0 of `G w` is twice row 0 of `w`, row 3 twice row 2, and row 1 less row 2 twice row 1.
    pub fn weight(&self, output: u32, ky: usize, kx: usize, input: u32) -> i8 {
        let u = |y: usize, x: usize| {
            let at = place(self.inputs, output, slot(y, x), input);
            let word = self.words.get(at >> 1).copied().unwrap_or(0);
            (word >> (16 * (at & 1))) as i16
        };
        let row = |y: usize| match kx {
            0 => u(y, 0),
            1 => u(y, 1).wrapping_sub(u(y, 2)),
            _ => u(y, 3),
        };
        let four = match ky {
            0 => row(0),
            1 => row(1).wrapping_sub(row(2)),
            _ => row(3),
        };
        (four >> 2) as i8
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    /// `B d B'` of a tile, by the definition.
    fn pixels(tile: &[[i8; 4]; 4]) -> [[i32; 4]; 4] {
        let apply = |[a, b, c, d]: [i32; 4]| [a - c, b + c, c - b, b - d];
        let columns: [[i32; 4]; 4] = core::array::from_fn(|x| apply(tile.map(|row| i32::from(row[x]))));
        core::array::from_fn(|y| apply(columns.map(|column| column[y])))
    }

    fn extreme() -> impl Strategy<Value = i8> {
        prop_oneof![Just(-128i8), Just(127), any::<i8>()]
    }

    proptest! {
        #[test]
        fn tiles_equal_the_direct_convolution(
            tile in proptest::array::uniform4(proptest::array::uniform4(extreme())),
            filter in proptest::array::uniform9(extreme()),
        ) {
            let (u, v) = (transform(&filter), pixels(&tile));
            prop_assert!(u.iter().all(|u| u.abs() <= 9 * 128));
            prop_assert!(v.as_flattened().iter().all(|v| v.abs() <= 4 * 128));
            let product = |y: usize, x: usize| i32::from(u[slot(y, x)]) * v[y][x];
            let apply = |[a, b, c, d]: [i32; 4]| [a + b + c, b - c - d];
            let columns: [[i32; 2]; 4] =
                core::array::from_fn(|x| apply(core::array::from_fn(|y| product(y, x))));
            for y in 0..2 {
                for (x, found) in apply(columns.map(|column| column[y])).into_iter().enumerate() {
                    let taps = (0..9).map(|t| i32::from(tile[y + t / 3][x + t % 3]) * i32::from(filter[t]));
                    prop_assert_eq!(found, 4 * taps.sum::<i32>());
                }
            }
        }

        /// Each filter has a place of its own, and weights are found again.
        #[test]
        fn filters_are_recovered(outputs in 1u32..4, inputs in 1u32..9, seed: u64) {
            let outputs = 2 * outputs;
            let inputs = 4 * inputs;
            let mut state = seed;
            let filters: Vec<[i8; 9]> = (0..outputs * inputs)
                .map(|_| core::array::from_fn(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as i8
                }))
                .collect();
            let mut words = std::vec![0u32; Filters::words(outputs, inputs).unwrap() as usize];
            for (at, filter) in (0..).zip(&filters) {
                for (slot, u) in transform(filter).into_iter().enumerate() {
                    let place = place(inputs, at / inputs, slot, at % inputs);
                    prop_assert_eq!(words[place / 2] >> (16 * (place % 2)) & 0xFFFF, 0);
                    words[place / 2] |= u32::from(u as u16) << (16 * (place % 2));
                }
            }
            let found = Filters { outputs, inputs, words: &words, general: false };
            for (at, filter) in (0..).zip(&filters) {
                for (tap, &w) in filter.iter().enumerate() {
                    prop_assert_eq!(found.weight(at / inputs, tap / 3, tap % 3, at % inputs), w);
                }
            }
        }
    }
}
