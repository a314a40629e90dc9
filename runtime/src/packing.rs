//! Weights in the order that a kernel reads them: a matrix of `channels` rows of `lines * line` weights.
//!
//! A convolution has one line per kernel row, of `kernel_w * in_channels` weights; a dense layer has one
//! line; a depthwise layer one line of its taps. Every [`Packing`] is a bijection of the plain order
//! that [`Matrix::weight`] inverts, so that each kernel set can run each file.
//!
//! ```text
//! plain    c0: k0 k1 k2 …   c1: k0 k1 k2 …
//! blocks   of 2 channels in groups of 4:  c0: k0..k3  c1: k0..k3  c0: k4..k7  c1: k4..k7 …
//! pairs    of 2 channels: halfwords a + 256 b (a of c0, b of c1) for k0 k2, k1 k3, k4 k6, k5 k7 …
//!          each line is padded to a multiple of 4 weights with zeroes
//! filled   as blocks, the last block filled up with channels of zeroes
//! shared   as blocks with groups of 1:  c0: k0  c1: k0  c0: k1  c1: k1 …
//! quads    words of four channels: c0 + 128, c3, c2 + 128, c1 of k0, then of k1 …; channels are padded
//! chunks   of 8 channels: lengths of c0's chunks, of c1's … c7's, then k0 of c0 … c7, k1 of c0 … c7 …;
//!          channels are padded
//! ```
//! The halfwords of a pair suit SMLAD: with pixels as 16-bit numbers, a product with the raw word adds
//! `P + 256 Q` (`P` of the even channel, `Q` of the odd one), one with its SXTB16 adds `P`. The last block
//! may be narrower: as many channels as are left, in pairs an even number of them.
//!
//! Filters in the order [`Order::Winograd`] are no matrix and have no [`Shape::bytes`]: see
//! [`crate::winograd`].
//!
//! Shared and quads suit SMLAL: a word `a + b * 2^23` of two pixels, or `a + b * 2^24` of two channels, adds
//! both products to one sum of 64 bits. The lower sum has 23 bits of it, or 24, which says of every channel
//! (of quads: of every even one) that the sum of `|w| * 128` and `|bias|` is below 2^22, or 2^23.
//!
//! Chunks suit a product of 32 bits: the word `a + b * 2^16` of two pixels adds both products to one sum,
//! whose lower half holds the first one while `|w| * 128` adds up to less than 2^15. Each channel is cut into
//! chunks for which that is so, of at most [`LONGEST_CHUNK`] weights. A byte holds a chunk's length less one; its
//! upper four bits say nothing, and what leads beyond the last weight ends there.
//!
//! A [general](Packing::general) packing says nothing of the numbers. Its kernels add up by parts that fit, and scale
//! down by any multiplier. In pairs the halfword is then `(a mod 256) + 256 (b mod 256)`, since only weights above
//! -128 leave room to borrow; of chunks there are [`lengths`](Packing::lengths) per channel.

pub use ferrolite_schema::{Order, Packing};

/// Weights of a chunk at most.
pub const LONGEST_CHUNK: usize = 16;

/// Shape of a packed matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Order of the weights.
    pub packing: Packing,
    /// Rows: output channels.
    pub channels: u32,
    /// Lines of a row.
    pub lines: u32,
    /// Weights of a line.
    pub line: u32,
}

impl Shape {
    /// Weights of a row; `None` where that overflows or is zero.
    #[inline(always)]
    pub fn depth(&self) -> Option<u32> {
        self.lines.checked_mul(self.line).filter(|&depth| depth != 0)
    }

    /// Weights of a line with its padding.
    #[inline(always)]
    pub fn padded_line(&self) -> Option<u32> {
        match self.packing.order {
            Order::Pairs => round_up::<4>(self.line),
            Order::Plain | Order::Blocks | Order::Shared | Order::Quads | Order::Filled | Order::Chunks => {
                Some(self.line)
            }
            Order::Winograd => None,
        }
    }

    /// Weights of a row with all padding.
    #[inline(always)]
    pub fn padded_depth(&self) -> Option<u32> {
        let depth = self.lines.checked_mul(self.padded_line()?)?;
        match self.packing.order {
            Order::Blocks | Order::Filled => depth.checked_next_multiple_of(self.packing.group.into()),
            Order::Plain | Order::Pairs | Order::Shared | Order::Quads | Order::Chunks | Order::Winograd => {
                Some(depth)
            }
        }
    }

    /// Bytes of a channel of `depth` weights, with the lengths of its chunks.
    #[inline(always)]
    fn row_bytes(&self, depth: u32) -> Option<u32> {
        match self.packing.order {
            Order::Chunks => depth.checked_add(self.packing.lengths()),
            _ => Some(depth),
        }
    }

    /// Where the length of chunk `number` of `channel` lies, in bytes, if there are chunks.
    pub fn chunk_place(&self, channel: u32, number: u32) -> u32 {
        let width = u32::from(self.packing.channels).max(1);
        let lane = channel.wrapping_rem(width);
        let start = channel
            .wrapping_sub(lane)
            .wrapping_mul(self.padded_depth().and_then(|depth| self.row_bytes(depth)).unwrap_or(0));
        start.wrapping_add(lane.wrapping_mul(self.packing.lengths())).wrapping_add(number)
    }

    /// Size in bytes, a multiple of 4 where it is packed; `None` where that overflows or is zero.
    #[inline(always)]
    pub fn bytes(&self) -> Option<u32> {
        self.depth()?;
        self.sizes().map(|(bytes, _)| bytes).filter(|&bytes| bytes != 0)
    }

    /// [`bytes`](Shape::bytes) and [`padded_depth`](Shape::padded_depth) of a shape without zeroes.
    #[inline(always)]
    pub fn sizes(&self) -> Option<(u32, u32)> {
        let (bytes, depth) = self.used_sizes()?;
        let bytes = match self.packing.order {
            Order::Blocks | Order::Shared | Order::Filled => round_up::<4>(bytes)?,
            // A multiple of 4 already, unless it is plain.
            _ => bytes,
        };
        Some((bytes, depth))
    }

    /// The same with the bytes that are used of the last word, for checks, which round up themselves.
    #[inline(always)]
    pub fn used_sizes(&self) -> Option<(u32, u32)> {
        let channels = match self.packing.order {
            Order::Plain | Order::Blocks | Order::Shared => self.channels,
            Order::Pairs => round_up::<2>(self.channels)?,
            Order::Quads => round_up::<4>(self.channels)?,
            Order::Chunks => round_up::<8>(self.channels)?,
            Order::Filled => self.channels.checked_next_multiple_of(self.packing.channels.into())?,
            Order::Winograd => return None,
        };
        let depth = self.padded_depth()?;
        Some((channels.checked_mul(self.row_bytes(depth)?)?, depth))
    }

    /// Where weight `k` of `channel` lies, in bytes: its own byte, or the halfword of its pair.
    #[inline]
    pub fn place(&self, channel: u32, k: u32) -> u32 {
        let width = u32::from(self.packing.channels).max(1);
        let depth = self.padded_depth().unwrap_or(0);
        let block = channel.wrapping_div(width).wrapping_mul(width);
        let lane = channel.wrapping_sub(block);
        let start = block.wrapping_mul(depth);
        // The last block has fewer channels, unless it is filled up.
        let filled = self.packing.order == Order::Filled;
        let left = if filled { width } else { self.channels.wrapping_sub(block) };
        match self.packing.order {
            Order::Plain | Order::Winograd => channel.wrapping_mul(depth).wrapping_add(k),
            Order::Chunks => {
                let weights = self.chunk_place(block, width.wrapping_mul(self.packing.lengths()));
                weights.wrapping_add(k.wrapping_mul(width)).wrapping_add(lane)
            }
            Order::Quads => start.wrapping_add(k.wrapping_mul(4)).wrapping_add(lane.wrapping_neg() & 3),
            Order::Blocks | Order::Filled | Order::Shared => {
                let group = u32::from(self.packing.group).max(1);
                let (number, at) = (k.wrapping_div(group), k.wrapping_rem(group));
                let row = number.wrapping_mul(width.min(left)).wrapping_add(lane);
                start.wrapping_add(row.wrapping_mul(group)).wrapping_add(at)
            }
            Order::Pairs => {
                let pairs = width.min(left).wrapping_add(1) >> 1;
                let line = self.line.max(1);
                let padded = self.padded_line().unwrap_or(0);
                let k = k.wrapping_div(line).wrapping_mul(padded).wrapping_add(k.wrapping_rem(line));
                // Words of a group of four: k0 and k2, then k1 and k3, one word for each pair.
                let words = (k >> 2).wrapping_mul(2).wrapping_add(k & 1).wrapping_mul(pairs);
                let word = words.wrapping_add(lane >> 1);
                start.wrapping_add(word.wrapping_mul(4)).wrapping_add(k & 2)
            }
        }
    }
}

/// The next multiple of `UNIT`, a power of two.
#[inline(always)]
pub(crate) fn round_up<const UNIT: u32>(number: u32) -> Option<u32> {
    Some(number.checked_add(UNIT - 1)? & UNIT.wrapping_neg())
}

/// A packed matrix in the constants of a file.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Its shape.
    pub shape: Shape,
    /// Its weights, [`Shape::bytes`] of them at least.
    pub bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// The weights of a channel, in the plain order of a row. To walk a row takes additions, where
    /// [`weight`](Matrix::weight) divides for each.
    pub fn row(&self, channel: u32) -> Row<'a> {
        let shape = &self.shape;
        let width = u32::from(shape.packing.channels).max(1);
        let left = shape.channels.wrapping_sub(channel.wrapping_sub(channel.wrapping_rem(width)));
        let group = u32::from(shape.packing.group).max(1);
        let (group, jump) = match shape.packing.order {
            Order::Plain | Order::Winograd => (u32::MAX, 1),
            Order::Blocks | Order::Shared => (group, width.min(left).wrapping_sub(1).wrapping_mul(group)),
            Order::Filled => (group, width.wrapping_sub(1).wrapping_mul(group)),
            Order::Quads => (1, 3),
            Order::Chunks => (1, width.wrapping_sub(1)),
            // Words of the other pairs, of this group of four and of the next.
            Order::Pairs => (1, (width.min(left).wrapping_add(1) >> 1).wrapping_mul(4)),
        };
        Row {
            bytes: self.bytes,
            code: Code::new(shape.packing, channel),
            in_pairs: shape.packing.order == Order::Pairs,
            at: shape.place(channel, 0),
            group,
            jump,
            in_group: group,
            k: 0,
            in_line: 0,
            line: shape.line,
            padding: shape.padded_line().unwrap_or(0).wrapping_sub(shape.line),
            left: shape.depth().unwrap_or(0),
        }
    }

    /// Weight `k` of `channel`, in the plain order of a row; 0 for one that is not there.
    #[inline]
    pub fn weight(&self, channel: u32, k: u32) -> i8 {
        Code::new(self.shape.packing, channel).read(self.bytes, self.shape.place(channel, k))
    }
}

/// How a weight is read, the same for all of a channel. It is decided once for a row, since rows are walked weight
/// by weight.
#[derive(Clone, Copy, Debug)]
enum Code {
    /// A byte, some of its bits turned over.
    Byte { turned: u8 },
    /// The upper byte of a halfword, which may have lent one to the lower byte's sign.
    Upper { lent: bool },
}

impl Code {
    fn new(packing: Packing, channel: u32) -> Code {
        let even = channel & 1 == 0;
        match packing.order {
            Order::Pairs if !even => Code::Upper { lent: !packing.general },
            // Even channels are kept with 128 added.
            Order::Quads if even => Code::Byte { turned: 0x80 },
            _ => Code::Byte { turned: 0 },
        }
    }

    /// The weight that lies at byte `at`; 0 where there is none.
    #[inline]
    fn read(self, bytes: &[u8], at: u32) -> i8 {
        let at = at as usize;
        match self {
            Code::Byte { turned } => bytes.get(at).map_or(0, |&w| (w ^ turned) as i8),
            Code::Upper { lent } => match bytes.get(at..) {
                Some([low, high, ..]) => (*high as i8).wrapping_add(i8::from(lent && (*low as i8) < 0)),
                _ => 0,
            },
        }
    }
}

/// The weights of a channel, see [`Matrix::row`].
#[derive(Clone, Debug)]
pub struct Row<'a> {
    bytes: &'a [u8],
    code: Code,
    in_pairs: bool,
    /// Where the next weight lies; in pairs, where the first one does.
    at: u32,
    /// Weights that lie side by side, and bytes from behind them to the next ones.
    group: u32,
    jump: u32,
    /// Weights of the group that are left.
    in_group: u32,
    /// Number of the next weight in pairs, padding included, and its number in its line.
    k: u32,
    in_line: u32,
    line: u32,
    padding: u32,
    /// Weights that are left.
    left: u32,
}

impl Iterator for Row<'_> {
    type Item = i8;

    #[inline]
    fn next(&mut self) -> Option<i8> {
        self.left = self.left.checked_sub(1)?;
        let mut at = self.at;
        if self.in_pairs {
            let k = self.k;
            let words = (k >> 2).wrapping_mul(2).wrapping_add(k & 1);
            at = at.wrapping_add(words.wrapping_mul(self.jump)).wrapping_add(k & 2);
            self.k = k.wrapping_add(1);
            self.in_line = self.in_line.wrapping_add(1);
            if self.in_line == self.line {
                self.k = self.k.wrapping_add(self.padding);
                self.in_line = 0;
            }
        } else {
            self.at = at.wrapping_add(1);
            self.in_group = self.in_group.wrapping_sub(1);
            if self.in_group == 0 {
                self.at = self.at.wrapping_add(self.jump);
                self.in_group = self.group;
            }
        }
        Some(self.code.read(self.bytes, at))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn packings() -> impl Strategy<Value = Packing> {
        let bounded = prop_oneof![
            Just(Packing::PLAIN),
            (1u8..9, 1u8..17).prop_map(|(channels, group)| Packing::blocks(channels, group, 1)),
            (1u8..9, 1u8..17).prop_map(|(channels, group)| Packing::filled(channels, group, 1)),
            (1u8..5).prop_map(|pairs| Packing::pairs(2 * pairs, 2)),
            (1u8..9).prop_map(|channels| Packing::shared(channels, 2)),
            Just(Packing::QUADS),
            (1u8..20).prop_map(Packing::chunks),
        ];
        (bounded, any::<bool>()).prop_map(|(packing, any)| if any { packing.general() } else { packing })
    }

    /// The bytes of a matrix, one after another as the head of this file tells; `length` is of a chunk.
    fn by_definition(
        shape: &Shape,
        weight: impl Fn(u32, u32) -> i8,
        length: impl Fn(u32, u32) -> u8,
    ) -> Vec<u8> {
        let depth = shape.lines * shape.line;
        let (width, group) =
            (u32::from(shape.packing.channels).max(1), u32::from(shape.packing.group).max(1));
        // Padding is zero.
        let weight = |channel: u32, k: u32| {
            if channel < shape.channels && k < depth { weight(channel, k) } else { 0 }
        };
        let mut bytes = Vec::new();
        let mut block = 0;
        while block < shape.channels {
            let filled = matches!(shape.packing.order, Order::Filled | Order::Quads | Order::Chunks);
            let left = if filled { width } else { width.min(shape.channels - block) };
            let channels = block..block + left;
            match shape.packing.order {
                Order::Plain => bytes.extend((0..depth).map(|k| weight(block, k) as u8)),
                Order::Blocks | Order::Filled | Order::Shared => {
                    for first in (0..depth).step_by(group as usize) {
                        for channel in channels.clone() {
                            bytes.extend((first..first + group).map(|k| weight(channel, k) as u8));
                        }
                    }
                }
                Order::Pairs => {
                    for line in 0..shape.lines {
                        for first in (0..shape.line).step_by(4) {
                            for first in [first, first + 1] {
                                for channel in channels.clone().step_by(2) {
                                    for k in [first, first + 2] {
                                        let inside = k < shape.line;
                                        let w = |channel| {
                                            let w = weight(channel, line * shape.line + k);
                                            if inside { i32::from(w) } else { 0 }
                                        };
                                        let [a, b] = [w(channel), w(channel + 1)];
                                        let low = if shape.packing.general { a & 0xFF } else { a };
                                        bytes.extend(((low + 256 * b) as i16).to_le_bytes());
                                    }
                                }
                            }
                        }
                    }
                }
                Order::Quads => {
                    for k in 0..depth {
                        for (lane, offset) in [(0, 128), (3, 0), (2, 128), (1, 0)] {
                            bytes.push(weight(block + lane, k) as u8 ^ offset);
                        }
                    }
                }
                Order::Chunks => {
                    for channel in channels.clone() {
                        bytes.extend((0..shape.packing.lengths()).map(|number| length(channel, number)));
                    }
                    for k in 0..depth {
                        bytes.extend(channels.clone().map(|channel| weight(channel, k) as u8));
                    }
                }
                Order::Winograd => {}
            }
            block += width;
        }
        if shape.packing != Packing::PLAIN {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    proptest! {
        /// Sizes and places, of single weights and of rows.
        #[test]
        fn packings_are_as_the_format_tells(
            packing in packings(),
            (channels, lines, line) in (1u32..20, 1u32..4, 1u32..20),
            seed: u32,
        ) {
            let shape = Shape { packing, channels, lines, line };
            let depth = lines * line;
            let number = |channel: u32, k: u32| {
                let mixed = (channel * 977 + k * 131).wrapping_add(seed).wrapping_mul(2_654_435_761);
                ((mixed >> 24) as u8 as i8).max(-127)
            };
            let length = |channel: u32, number: u32| (channel * 31 + number * 7) as u8;
            let bytes = by_definition(&shape, number, length);
            prop_assert_eq!(shape.depth(), Some(depth));
            prop_assert_eq!(shape.bytes(), Some(bytes.len() as u32));
            prop_assert_eq!(shape.sizes().map(|(_, padded)| Some(padded)), Some(shape.padded_depth()));
            let matrix = Matrix { shape, bytes: &bytes };
            for channel in 0..channels {
                let row: Vec<i8> = (0..depth).map(|k| number(channel, k)).collect();
                let single: Vec<i8> = (0..depth).map(|k| matrix.weight(channel, k)).collect();
                prop_assert_eq!(&single, &row);
                prop_assert_eq!(matrix.row(channel).collect::<Vec<i8>>(), row);
                if packing.order == Order::Chunks {
                    for number in 0..packing.lengths() {
                        let place = shape.chunk_place(channel, number) as usize;
                        prop_assert_eq!(bytes[place], length(channel, number));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_zero() {
        let shape = Shape { packing: Packing::PLAIN, channels: 2, lines: 1, line: 3 };
        let matrix = Matrix { shape, bytes: &[1, 2, 3, 4] };
        assert_eq!(matrix.row(1).collect::<Vec<i8>>(), [4, 0, 0]);
        let pairs = Shape { packing: Packing::pairs(2, 2), ..shape };
        assert_eq!(Matrix { shape: pairs, bytes: &[1] }.weight(1, 0), 0);
        let quads = Shape { packing: Packing::QUADS, ..shape };
        assert_eq!(Matrix { shape: quads, bytes: &[] }.weight(0, 0), 0);
    }

    #[test]
    fn sizes_that_overflow_or_vanish_are_none() {
        let shape = |packing, channels, lines, line| Shape { packing, channels, lines, line };
        let plain = Packing::PLAIN;
        for (lines, line) in [(0, 1), (1, 0), (1 << 16, 1 << 16)] {
            assert_eq!(shape(plain, 1, lines, line).depth(), None);
            assert_eq!(shape(plain, 1, lines, line).bytes(), None);
        }
        assert_eq!(shape(plain, 0, 1, 1).bytes(), None);
        assert_eq!(shape(plain, 1, 3, (1 << 31) + 1).depth(), None);
        // There would be lengths of chunks.
        assert_eq!(shape(Packing::chunks(2), 8, 1, 0).bytes(), None);
        assert_eq!(shape(plain, 1 << 16, 1, 1 << 16).bytes(), None);
        assert_eq!(shape(plain, 1, 1 << 16, (1 << 16) + 1).sizes(), None);
        assert_eq!(shape(plain, u32::MAX, 1, 1).sizes(), Some((u32::MAX, 1)));
        assert_eq!(shape(Packing::chunks(2), 8, 1, u32::MAX - 1).sizes(), None);
        assert_eq!(shape(Packing::blocks(1, 1, 1), 1, 1, u32::MAX).sizes(), None);
        assert_eq!(shape(Packing::QUADS, u32::MAX, 1, 1).sizes(), None);
        assert_eq!(shape(Packing::WINOGRAD, 2, 1, 2).bytes(), None);
        assert_eq!(round_up::<4>(u32::MAX - 3), Some(u32::MAX - 3));
        assert_eq!(round_up::<4>(u32::MAX - 2), None);
        assert_eq!([0, 1, 4, 5].map(round_up::<4>), [0, 4, 4, 8].map(Some));
    }
}
