//! Weights in the order that the target's kernels read them, where the layer's numbers allow it.
//!
//! A packing says more than an order: the kernels that read it take a short way from accumulators to
//! outputs, which is exact only within bounds. They are proved here, channel by channel, from the weights
//! themselves; a layer that exceeds one has a general packing, which other kernels read that are exact for any numbers.

use ferrolite_runtime::Rounding;
use ferrolite_runtime::packing::{LONGEST_CHUNK, Order, Packing, Shape};
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::FILE_ALIGNMENT;
use ferrolite_schema::params::Multiplier;

use super::lowering::Lowering;
use super::stage::{Channels, Quantized, channel_multiplier};
use crate::error::Result;

/// Right shifts that the short way of scaling down can do.
pub(crate) const SHIFTS: std::ops::RangeInclusive<i32> = -22..=-1;

/// Largest accumulator of the short way, exclusive.
const ACCUMULATOR: i64 = 1 << 30;

/// Largest accumulator of Winograd's algorithm, exclusive: it comes out four times as large.
const WINOGRAD_ACCUMULATOR: i64 = 1 << 29;

/// Largest accumulator of the odd channel of a pair, exclusive: it is found in the upper 24 bits.
const ODD_ACCUMULATOR: i64 = 1 << 23;

/// Largest accumulators of two pixels or two channels that share a sum of 64 bits, exclusive: the lower one
/// has 23 or 24 bits of it.
pub(crate) const SHARED_ACCUMULATOR: i64 = 1 << 22;
const QUADS_ACCUMULATOR: i64 = 1 << 23;

/// The shape of a layer's weights in the packing `wanted`, or plain where a bound is exceeded. `rows` are
/// the weights of each channel.
pub(super) fn choose<'a>(
    cx: &Lowering<'_>,
    wanted: Packing,
    size: (u32, u32, u32),
    numbers: &mut Channels,
    input: &Quantized<'_>,
    rows: impl Iterator<Item = &'a [i8]> + Clone,
) -> Shape {
    choose_for(cx.rounding, wanted, size, numbers, input.zero_point, rows)
}

/// The same for operators that have kernels for any numbers: where a bound is exceeded, the packing is general. Files
/// that round once have plain weights.
pub(super) fn choose_general<'a>(
    cx: &Lowering<'_>,
    wanted: Packing,
    size: (u32, u32, u32),
    numbers: &mut Channels,
    input: &Quantized<'_>,
    rows: impl Iterator<Item = &'a [i8]> + Clone,
) -> Shape {
    general_for(cx.rounding, wanted, size, numbers, input.zero_point, rows)
}

/// Pixels from which on a convolution to few channels is made tile by tile for the most part.
pub(super) const PIXELS: u32 = 16;

/// The same for convolutions of so many pixels, where those to few channels may be faster in the general packing.
pub(super) fn choose_conv<'a>(
    cx: &Lowering<'_>,
    size: (u32, u32, u32),
    pixels: u32,
    numbers: &mut Channels,
    input: &Quantized<'_>,
    rows: impl Iterator<Item = &'a [i8]> + Clone,
) -> Shape {
    let shape = choose_general(cx, cx.policy.conv, size, numbers, input, rows.clone());
    let few = cx.policy.few.has(size.0) && pixels >= PIXELS;
    let packing = few.then(|| any(cx, cx.policy.conv, rows)).flatten();
    Shape { packing: packing.unwrap_or(shape.packing), ..shape }
}

fn general_for<'a>(
    rounding: Rounding,
    wanted: Packing,
    size: (u32, u32, u32),
    numbers: &mut Channels,
    zero_point: i32,
    rows: impl Iterator<Item = &'a [i8]> + Clone,
) -> Shape {
    let shape = choose_for(rounding, wanted, size, numbers, zero_point, rows.clone());
    match any_for(rounding, wanted, rows) {
        Some(packing) if shape.packing == Packing::PLAIN => Shape { packing, ..shape },
        _ => shape,
    }
}

/// The packing of a layer for Winograd's algorithm, with bounds or general; `None` where sums are too large for it, or the
/// file rounds once.
pub(super) fn choose_tiles<'a>(
    cx: &Lowering<'_>,
    size: (u32, u32, u32),
    numbers: &mut Channels,
    input: &Quantized<'_>,
    rows: impl Iterator<Item = &'a [i8]> + Clone,
) -> Option<Packing> {
    match choose(cx, Packing::WINOGRAD, size, numbers, input, rows.clone()).packing {
        Packing::PLAIN => {}
        packing => return Some(packing),
    }
    let small = rows.map(|row| largest_sum(row, 0)).all(|sum| sum < WINOGRAD_ACCUMULATOR);
    (small && cx.rounding == Rounding::Double).then_some(Packing::WINOGRAD.general())
}

/// The general packing for `wanted`, if there is one for these weights.
pub(super) fn any<'a>(
    cx: &Lowering<'_>,
    wanted: Packing,
    rows: impl Iterator<Item = &'a [i8]>,
) -> Option<Packing> {
    any_for(cx.rounding, wanted, rows)
}

fn any_for<'a>(rounding: Rounding, wanted: Packing, rows: impl Iterator<Item = &'a [i8]>) -> Option<Packing> {
    match wanted.general() {
        _ if rounding != Rounding::Double || wanted.order == Order::Plain => None,
        general if general.order == Order::Chunks => in_chunks(general, rows),
        general => Some(general),
    }
}

pub(super) fn choose_for<'a>(
    rounding: Rounding,
    wanted: Packing,
    (channels, lines, line): (u32, u32, u32),
    numbers: &mut Channels,
    zero_point: i32,
    rows: impl Iterator<Item = &'a [i8]> + Clone,
) -> Shape {
    if rounding == Rounding::Double {
        vanish(numbers, zero_point, rows.clone());
    }
    let suits = rounding == Rounding::Double
        && rows.clone().enumerate().all(|(c, row)| channel_suits(wanted, numbers, zero_point, c, row));
    let packing = match wanted.order {
        _ if !suits => Packing::PLAIN,
        Order::Chunks => in_chunks(wanted, rows).unwrap_or(Packing::PLAIN),
        _ => wanted,
    };
    Shape { packing, channels, lines, line }
}

/// The packing with as many lengths of chunks as the channel that has most needs; `None` where their number does not
/// fit.
fn in_chunks<'a>(wanted: Packing, rows: impl Iterator<Item = &'a [i8]>) -> Option<Packing> {
    let most = rows.map(|row| chunks(row).len()).max()?;
    let unit = Packing { group: 1, ..wanted }.lengths() as usize;
    u8::try_from(most.div_ceil(unit)).ok().map(|group| Packing { group, ..wanted })
}

/// Gives channels whose outputs are all zero, before the zero point, the factor zero: channels with hardly a
/// weight have scales beyond what the short way can shift, and would keep the whole layer from it.
fn vanish<'a>(numbers: &mut Channels, zero_point: i32, rows: impl Iterator<Item = &'a [i8]>) {
    if numbers.factors.len() != numbers.bias.len() {
        return;
    }
    for (channel, row) in rows.enumerate() {
        let shift = -multiplier(numbers.factors[channel]).shift;
        // An accumulator grows by no multiplier below one, and the second rounding takes what is below a half.
        if shift > -SHIFTS.start() && bound(numbers, zero_point, channel, row) < 1 << (shift - 1) {
            numbers.factors[channel] = 0.0;
        }
    }
}

/// The largest magnitude of a channel's accumulator.
fn bound(numbers: &Channels, zero_point: i32, channel: usize, row: &[i8]) -> i64 {
    let bias = i64::from(numbers.bias[channel]) - i64::from(zero_point) * i64::from(numbers.sums[channel]);
    largest_sum(row, bias)
}

/// The largest magnitude of an accumulator that begins with the bias of a file.
pub(super) fn largest_sum(row: &[i8], bias: i64) -> i64 {
    let magnitude: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
    magnitude * 128 + bias.abs()
}

/// Lengths of the chunks of a channel: as long as the first of two pixels has room below the second one.
fn chunks(row: &[i8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut room = i32::from(i16::MAX);
    for &w in row {
        let most = 128 * i32::from(w).abs();
        match lengths.last_mut() {
            Some(length) if most <= room && *length < LONGEST_CHUNK => *length += 1,
            _ => {
                lengths.push(1);
                room = i32::from(i16::MAX);
            }
        }
        room -= most;
    }
    lengths
}

fn channel_suits(packing: Packing, numbers: &Channels, zero_point: i32, channel: usize, row: &[i8]) -> bool {
    let factor = numbers.factors.get(channel).or(numbers.factors.first()).copied().unwrap_or(0.0);
    let bound = bound(numbers, zero_point, channel, row);
    row_suits(packing.order, &channel_multiplier(factor), bound, channel, row)
}

/// Whether a channel's numbers are within the bounds of an order, with `bound` the largest magnitude of its
/// accumulator.
pub(super) fn row_suits(order: Order, m: &Multiplier, bound: i64, channel: usize, row: &[i8]) -> bool {
    exceeded(order, m, bound, channel, row).is_none()
}

/// The bound of an order that a channel's numbers exceed, in words that go on from "2 of 48 channels"; `None` where
/// they are within all of them.
pub(super) fn exceeded(
    order: Order,
    m: &Multiplier,
    bound: i64,
    channel: usize,
    row: &[i8],
) -> Option<&'static str> {
    let even = channel.is_multiple_of(2);
    if m.shift > *SHIFTS.end() {
        return Some("scale by 0.5 or more");
    }
    if m.shift < *SHIFTS.start() {
        return Some("scale by less than 2^-23");
    }
    if bound >= ACCUMULATOR {
        return Some("have sums that may reach 2^30");
    }
    match order {
        Order::Plain | Order::Blocks | Order::Filled | Order::Chunks => None,
        Order::Pairs if even => None,
        Order::Pairs if bound >= ODD_ACCUMULATOR => {
            Some("have sums that may reach 2^23, where they share a product with another channel")
        }
        Order::Pairs => row
            .contains(&-128)
            .then_some("have a weight of -128 where they share a product with another channel"),
        Order::Shared => (bound >= SHARED_ACCUMULATOR)
            .then_some("have sums that may reach 2^22, where two pixels share a product"),
        Order::Winograd => (bound >= WINOGRAD_ACCUMULATOR)
            .then_some("have sums that may reach 2^29, which tiles multiply by four"),
        Order::Quads => (even && bound >= QUADS_ACCUMULATOR)
            .then_some("have sums that may reach 2^23, where they share a product with another channel"),
    }
}

/// Whether a channel takes more chunks than a byte can count, which only general packings may.
pub(super) fn too_many_chunks(row: &[i8]) -> bool {
    u8::try_from(chunks(row).len()).is_err()
}

/// Stores the weights, given row by row in the plain order, and returns their offset.
pub(super) fn store<'a>(
    cx: &mut Lowering<'_>,
    shape: &Shape,
    rows: impl Iterator<Item = &'a [i8]>,
) -> Result<u32> {
    cx.constants.add(&pack(shape, rows), FILE_ALIGNMENT)
}

/// The bytes of a packed matrix.
pub(super) fn pack<'a>(shape: &Shape, rows: impl Iterator<Item = &'a [i8]>) -> Vec<u8> {
    let mut bytes = vec![0u8; shape.bytes().unwrap_or(0) as usize];
    for (channel, row) in (0..).zip(rows) {
        if shape.packing.order == Order::Chunks {
            for (number, length) in (0..).zip(chunks(row)) {
                bytes[shape.chunk_place(channel, number) as usize] = (length - 1) as u8;
            }
        }
        for (k, &w) in (0..).zip(row) {
            let at = shape.place(channel, k) as usize;
            if shape.packing.order == Order::Pairs {
                let halfword = i16::from_le_bytes([bytes[at], bytes[at + 1]]);
                // A weight below zero borrows from the upper byte, unless the packing is general.
                let w = if shape.packing.general { i16::from(w as u8) } else { w.into() };
                let w = w << (8 * (channel & 1));
                bytes[at..at + 2].copy_from_slice(&halfword.wrapping_add(w).to_le_bytes());
            } else {
                let offset = shape.packing.order == Order::Quads && channel & 1 == 0;
                bytes[at] = if offset { w as u8 ^ 0x80 } else { w as u8 };
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolite_runtime::packing::Matrix;

    /// Every way of packing that the device reads: few enough for tests to try all.
    fn packings() -> Vec<Packing> {
        let sizes = || (1..9).flat_map(|channels| (1..17).map(move |group| (channels, group)));
        let blocks = sizes().map(|(channels, group)| Packing::blocks(channels, group, 1));
        let filled = sizes().map(|(channels, group)| Packing::filled(channels, group, 1));
        let pairs = (1..5).map(|pairs| Packing::pairs(2 * pairs, 2));
        let shared = (1..9).map(|channels| Packing::shared(channels, 2));
        let chunks = (20..=u8::MAX).map(Packing::chunks);
        let all = blocks.chain(filled).chain(pairs).chain(shared).chain(chunks).chain([Packing::QUADS]);
        all.flat_map(|packing| [packing, packing.general()]).chain([Packing::PLAIN]).collect()
    }

    /// What the runtime reads is what was packed, each weight in a place of its own.
    #[test]
    fn packings_are_bijections() {
        // Knuth's generator: the highest bits are the random ones.
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        for packing in packings() {
            for _ in 0..8 {
                let mut below = |limit| u32::from(random()) % limit;
                let shape =
                    Shape { packing, channels: 1 + below(19), lines: 1 + below(3), line: 1 + below(19) };
                let depth = (shape.lines * shape.line) as usize;
                let plain: Vec<i8> =
                    (0..shape.channels as usize * depth).map(|_| (random() as i8).max(-127)).collect();
                let bytes = pack(&shape, plain.chunks(depth));
                assert_eq!(Some(bytes.len() as u32), shape.bytes(), "{shape:?}");
                let matrix = Matrix { shape, bytes: &bytes };
                for (at, &w) in plain.iter().enumerate() {
                    let (channel, element) = (at / depth, at % depth);
                    assert_eq!(matrix.weight(channel as u32, element as u32), w, "{shape:?}: {at}");
                }
                for (channel, row) in plain.chunks(depth).enumerate() {
                    assert_eq!(matrix.row(channel as u32).collect::<Vec<i8>>(), row, "{shape:?}: {channel}");
                }
            }
        }
    }

    #[test]
    fn tags_are_read_back() {
        for packing in packings() {
            assert_eq!(Packing::from_tag(packing.tag()), Some(packing));
        }
    }

    /// What kernels rest on, at the last number that is allowed and the first that is not.
    #[test]
    fn bounds_are_exact() {
        let suits = |order, shift, bound, channel, w: i8| {
            row_suits(order, &Multiplier { mantissa: 1 << 30, shift }, bound, channel, &[w, 1])
        };
        for (order, channel, bits) in [
            (Order::Plain, 0, 30),
            (Order::Blocks, 1, 30),
            (Order::Filled, 0, 30),
            (Order::Chunks, 1, 30),
            (Order::Pairs, 0, 30),
            (Order::Pairs, 1, 23),
            (Order::Pairs, 2, 30),
            (Order::Pairs, 3, 23),
            (Order::Shared, 0, 22),
            (Order::Shared, 1, 22),
            (Order::Quads, 0, 23),
            (Order::Quads, 1, 30),
            (Order::Quads, 2, 23),
            (Order::Quads, 3, 30),
            (Order::Winograd, 0, 29),
            (Order::Winograd, 1, 29),
        ] {
            let limit = 1i64 << bits;
            assert!(suits(order, -1, limit - 1, channel, 5), "{order:?}, channel {channel}");
            assert!(!suits(order, -1, limit, channel, 5), "{order:?}, channel {channel}");
            for (shift, allowed) in [(0, false), (-1, true), (-22, true), (-23, false)] {
                assert_eq!(suits(order, shift, 1, channel, 5), allowed, "{order:?}, shift {shift}");
            }
            let odd_pair = order == Order::Pairs && channel % 2 == 1;
            assert_eq!(suits(order, -1, 1, channel, -128), !odd_pair, "{order:?}, channel {channel}");
            assert!(suits(order, -1, 1, channel, -127), "{order:?}, channel {channel}");
        }
        // Inputs are at most 128 in magnitude, and the bias adds to it from either side.
        assert_eq!(largest_sum(&[3, -4, 0], 5), 7 * 128 + 5);
        assert_eq!(largest_sum(&[3, -4, 0], -5), 7 * 128 + 5);
    }

    #[test]
    fn bounds_are_of_weights_bias_and_zero_point() {
        assert_eq!(largest_sum(&[3, -4], -5), 7 * 128 + 5);
        let numbers = Channels { bias: vec![10, -7], sums: vec![-1, 6], factors: vec![0.5] };
        assert_eq!(bound(&numbers, 100, 0, &[1, -2]), 3 * 128 + 110);
        assert_eq!(bound(&numbers, 100, 1, &[6]), 6 * 128 + 607);
    }

    /// As long as they may be: by the room of a lower half, and by the byte of their length.
    #[test]
    fn chunks_are_as_long_as_they_may_be() {
        assert_eq!(chunks(&[]), [0usize; 0]);
        assert_eq!(chunks(&[1; 33]), [16, 16, 1]);
        // 127 + 128 times 128 is 32,640, and 32,767 is the most.
        assert_eq!(chunks(&[127, -128, 1, 0]), [2, 2]);
        assert_eq!(chunks(&[127, -128, 0, 1]), [3, 1]);
        assert_eq!(chunks(&[-128, -128]), [1, 1]);
        assert_eq!(chunks(&[100, 100, 55, 1]), [3, 1]);
    }

    /// A byte for each chunk: its length less one, those of the eight channels of a block one behind the other.
    #[test]
    fn lengths_of_chunks_lead_their_weights() {
        let rows: [[i8; 4]; 2] = [[1, 2, 3, 4], [127, 127, 127, -1]];
        let shape = Shape { packing: Packing::chunks(3), channels: 2, lines: 1, line: 4 };
        let bytes = pack(&shape, rows.iter().map(|row| &row[..]));
        let (lengths, weights) = bytes.split_at(8 * 3);
        assert_eq!(lengths[..3], [3, 0, 0]);
        assert_eq!(lengths[3..6], [1, 1, 0]);
        assert_eq!(lengths[6..], [0; 18]);
        for (k, weights) in weights.chunks_exact(8).enumerate() {
            assert_eq!(weights[..2], rows.map(|row| row[k] as u8));
            assert_eq!(weights[2..], [0; 6]);
        }
        assert_eq!(weights.len(), 4 * 8);
    }

    /// Channels of small weights with scales that no shift of the short way reaches give zeroes anyway.
    #[test]
    fn channels_that_vanish_have_the_factor_zero() {
        // The bound is 128: with 2^-9 an accumulator of 128 is a quarter; with a shift of 23 and more it vanishes.
        for (exponent, weight, vanishes) in
            [(-23, 1, false), (-24, 1, true), (-24, 127, true), (-30, 1, true), (-10, 1, false)]
        {
            let factor = (exponent as f64).exp2();
            let mut numbers = Channels { bias: vec![0], sums: vec![weight], factors: vec![factor] };
            vanish(&mut numbers, 0, [&[weight as i8][..]].into_iter());
            assert_eq!(numbers.factors[0] == 0.0, vanishes, "2^{exponent} of {weight}");
        }
        // The multiplier of 2^-24 is 2^30 / 2^31 * 2^-23; the second rounding makes 2^22 one.
        for (bias, vanishes) in [((1 << 22) - 129, true), ((1 << 22) - 128, false)] {
            let mut numbers = Channels { bias: vec![bias], sums: vec![1], factors: vec![(-24f64).exp2()] };
            vanish(&mut numbers, 0, [&[1i8][..]].into_iter());
            assert_eq!(numbers.factors[0] == 0.0, vanishes, "bias {bias}");
        }
        // One factor for all channels stays.
        let mut numbers = Channels { bias: vec![0, 0], sums: vec![0, 0], factors: vec![1e-30] };
        vanish(&mut numbers, 0, [&[0i8][..]; 2].into_iter());
        assert_eq!(numbers.factors, [1e-30]);
    }

    /// Where nothing exceeds a bound, the packing is the usual one; plain where the file rounds once, and where there are
    /// too many chunks.
    #[test]
    fn layers_beyond_a_bound_are_general() {
        let chosen = |rounding, wanted, factor: f64, rows: &[&[i8]]| {
            let sums = rows.iter().map(|row| row.iter().map(|&w| i32::from(w)).sum()).collect();
            let mut numbers = Channels { bias: vec![0; rows.len()], sums, factors: vec![factor; rows.len()] };
            let size = (rows.len() as u32, 1, rows[0].len() as u32);
            general_for(rounding, wanted, size, &mut numbers, 0, rows.iter().copied()).packing
        };
        let (pairs, chunks) = (Packing::pairs(2, 2), Packing::chunks(0));
        let small: [&[i8]; 2] = [&[1, 2], &[3, -4]];
        for (wanted, found) in
            [(pairs, pairs), (Packing::QUADS, Packing::QUADS), (chunks, Packing::chunks(1))]
        {
            assert_eq!(chosen(Rounding::Double, wanted, 0.25, &small), found);
            assert_eq!(chosen(Rounding::Double, wanted, 0.75, &small), found.general());
            assert_eq!(chosen(Rounding::Single, wanted, 0.25, &small), Packing::PLAIN);
            assert_eq!(chosen(Rounding::Single, wanted, 0.75, &small), Packing::PLAIN);
        }
        assert_eq!(chosen(Rounding::Double, Packing::PLAIN, 0.75, &small), Packing::PLAIN);
        assert_eq!(chosen(Rounding::Double, pairs, 0.25, &[&[1, 2], &[3, -128]]), pairs.general());
        // 256 chunks are too many for a byte, and are 16 times 16.
        let long = [-128i8; 16 * 255 + 1];
        for (weights, lengths) in [(256, 16), (257, 17), (16 * 255, 255)] {
            let found = chosen(Rounding::Double, chunks, 0.25, &[&long[..weights]]);
            assert_eq!(found, Packing::chunks(lengths).general());
        }
        assert_eq!(chosen(Rounding::Double, chunks, 0.25, &[&long]), Packing::PLAIN);
    }

    #[test]
    fn layers_beyond_a_bound_stay_plain() {
        let chosen = |rounding, wanted, bias: i32, factor: f64, rows: &[&[i8]]| {
            let sums = rows.iter().map(|row| row.iter().map(|&w| i32::from(w)).sum()).collect();
            let mut numbers =
                Channels { bias: vec![bias; rows.len()], sums, factors: vec![factor; rows.len()] };
            let size = (rows.len() as u32, 1, rows[0].len() as u32);
            let shape = choose_for(rounding, wanted, size, &mut numbers, 3, rows.iter().copied());
            assert_eq!((shape.channels, shape.lines, shape.line), size);
            shape.packing
        };
        let pairs = Packing::pairs(2, 2);
        let rows: [&[i8]; 2] = [&[1, 2], &[3, -4]];
        assert_eq!(chosen(Rounding::Double, pairs, 0, 0.01, &rows), pairs);
        assert_eq!(chosen(Rounding::Single, pairs, 0, 0.01, &rows), Packing::PLAIN);
        assert_eq!(chosen(Rounding::Double, pairs, 1 << 23, 0.01, &rows), Packing::PLAIN);
        assert_eq!(chosen(Rounding::Double, pairs, 0, 2.0, &rows), Packing::PLAIN);
        // Channels whose results vanish keep no layer from its packing: those of sums below 2^22, with this factor.
        let small = (-24f64).exp2();
        assert_eq!(chosen(Rounding::Double, pairs, 0, small, &rows), pairs);
        assert_eq!(chosen(Rounding::Double, pairs, 1 << 22, small, &rows), Packing::PLAIN);
        // That is proved of double rounding alone.
        let mut numbers = Channels { bias: vec![0], sums: vec![1], factors: vec![small] };
        choose_for(Rounding::Single, pairs, (1, 1, 1), &mut numbers, 0, [&[1i8][..]].into_iter());
        assert_eq!(numbers.factors, [small]);
        // As many chunks as the channel that has most, up to what a byte counts.
        let long = [-128i8; 256];
        let wanted = Packing::chunks(0);
        assert_eq!(
            chosen(Rounding::Double, wanted, 0, 0.01, &[&[1, 1, 1], &[127, 127, 127]]),
            Packing::chunks(2)
        );
        assert_eq!(chosen(Rounding::Double, wanted, 0, 0.01, &[&long[..255]]), Packing::chunks(255));
        assert_eq!(chosen(Rounding::Double, wanted, 0, 0.01, &[&long]), Packing::PLAIN);
    }
}
