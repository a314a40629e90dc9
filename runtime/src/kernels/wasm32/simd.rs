//! The loops with vectors.
#![allow(unsafe_code)]

use core::arch::wasm32::*;
use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use crate::kernels::{Band, Lines, Stage, TILE};
use crate::packing::{Matrix, Shape};

/// Channels of a block.
const BLOCK: usize = 8;

/// Adjacent weights of a channel.
const GROUP: usize = 4;

/// Bytes of a group of a whole block.
const WORDS: usize = BLOCK * GROUP;

/// Taps of the largest kernel that [`depthwise`] runs; an even number.
const MOST_TAPS: usize = 64;

/// Types of one byte for which every bit pattern is valid. A cell may be read through any reference.
trait Byte {}
impl Byte for u8 {}
impl Byte for Cell<u8> {}
impl Byte for Cell<i8> {}

/// Eight signed bytes as 16 bits each.
#[inline(always)]
fn widened<B: Byte>(bytes: &[B; 8]) -> v128 {
    // SAFETY: eight bytes are there; the pointer may have any alignment.
    unsafe { i16x8_load_extend_i8x8(bytes.as_ptr().cast()) }
}

/// Eight bytes, twice.
#[inline(always)]
fn twice<B: Byte>(bytes: &[B; 8]) -> v128 {
    // SAFETY: eight bytes are there; the pointer may have any alignment.
    unsafe { v128_load64_splat(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn store_16(target: &[Cell<u8>; 16], bytes: v128) {
    // SAFETY: 16 bytes are there, in cells, which may be written through a shared reference.
    unsafe { v128_store(target.as_ptr().cast_mut().cast(), bytes) }
}

/// See [`Kernels::load_lines`](crate::kernels::Kernels::load_lines). Patches are stored one after the other, two bytes an
/// element.
pub(super) fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
    let (line, depth) = (shape.line as usize, shape.padded_depth().unwrap_or(0) as usize);
    let lanes = tile.chunks((depth * 2).max(1)).skip(lines.lanes.start).take(lines.lanes.len());
    for (lane, patch) in lanes.enumerate() {
        for (number, row) in lines.lines.clone().enumerate() {
            let start = lane.wrapping_mul(lines.step).wrapping_add(number.wrapping_mul(lines.pitch));
            let source = lines.source.get(start..start.wrapping_add(line)).unwrap_or(&[]);
            widen(source, patch.get(row.wrapping_mul(line * 2)..).unwrap_or(&[]));
        }
    }
}

/// Copies elements, two bytes each.
#[inline(always)]
fn widen(source: &[Cell<i8>], target: &[Cell<u8>]) {
    let (whole, rest) = source.as_chunks::<8>();
    let (places, _) = target.as_chunks::<16>();
    for (source, target) in whole.iter().zip(places) {
        store_16(target, widened(source));
    }
    let behind = target.get(whole.len() * 16..).unwrap_or(&[]);
    for (x, place) in rest.iter().zip(behind.as_chunks::<2>().0) {
        let [low, high] = i16::from(x.get()).to_le_bytes();
        place[0].set(low);
        place[1].set(high);
    }
}

/// See [`Kernels::matmul_packed`](crate::kernels::Kernels::matmul_packed).
pub(super) fn matmul(
    tile: &[Cell<u8>],
    pixels: usize,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let groups = weights.shape.padded_depth().unwrap_or(0) as usize / GROUP;
    let lane = |lane: usize| {
        let lanes = tile.as_chunks::<8>().0;
        lanes.get(lane * groups..).and_then(|lane| lane.get(..groups)).unwrap_or(&[])
    };
    let lanes: [&[[Cell<u8>; 8]]; TILE] = core::array::from_fn(lane);
    let channels = weights.shape.channels as usize;
    let blocks = weights.bytes.chunks((groups * WORDS).max(1));
    let mut narrow = [[0u8; WORDS]; 1];
    for (first, block) in (0..channels).step_by(BLOCK).zip(blocks) {
        let width = (channels - first).min(BLOCK);
        let mut sums = [[i32x4_splat(0); 2]; TILE];
        match width {
            BLOCK => products(&mut sums, lanes, block.as_chunks::<WORDS>().0),
            _ => {
                for (group, bytes) in block.chunks_exact(width * GROUP).enumerate() {
                    let [words] = &mut narrow;
                    words.iter_mut().zip(bytes).for_each(|(word, byte)| *word = *byte);
                    let lanes =
                        lanes.map(|lane| lane.get(group..).and_then(|rest| rest.get(..1)).unwrap_or(&[]));
                    products(&mut sums, lanes, &narrow);
                }
            }
        }
        let eight = Eight::new(stage, first);
        for (pixel, sums) in sums.into_iter().enumerate().take(pixels) {
            let place = out.get(first.wrapping_add(pixel.wrapping_mul(out_stride))..).unwrap_or(&[]);
            eight.store(sums, place.get(..width).unwrap_or(place));
        }
    }
}

/// Adds the products of four pixels with a block of eight channels: sums of channels 0 to 3 and of 4 to 7 for each pixel.
#[inline(always)]
fn products(sums: &mut [[v128; 2]; TILE], lanes: [&[[Cell<u8>; 8]]; TILE], weights: &[[u8; WORDS]]) {
    let [x0, x1, x2, x3] = lanes;
    // Half a block at a time: sums and weights then stay in the 16 registers of most machines.
    for half in 0..2 {
        let mut pairs = [[i32x4_splat(0); 2]; TILE];
        for ((((words, x0), x1), x2), x3) in weights.iter().zip(x0).zip(x1).zip(x2).zip(x3) {
            let (eights, _) = words.as_chunks::<8>();
            let [low, high] = [0, 1].map(|part| widened(&eights[2 * half + part]));
            for (pairs, x) in pairs.iter_mut().zip([x0, x1, x2, x3]) {
                let x = twice(x);
                pairs[0] = i32x4_add(pairs[0], i32x4_dot_i16x8(low, x));
                pairs[1] = i32x4_add(pairs[1], i32x4_dot_i16x8(high, x));
            }
        }
        for (sums, [low, high]) in sums.iter_mut().zip(pairs) {
            sums[half] = i32x4_add(sums[half], neighbours(low, high));
        }
    }
}

/// Adds neighbours.
#[inline(always)]
fn neighbours(low: v128, high: v128) -> v128 {
    i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(low, high), i32x4_shuffle::<1, 3, 5, 7>(low, high))
}

/// See [`Kernels::dense_packed`](crate::kernels::Kernels::dense_packed).
pub(super) fn dense(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
    let size = weights.shape.padded_depth().unwrap_or(0) as usize * BLOCK;
    let blocks = weights.bytes.chunks(size.max(1));
    for (first, (block, out)) in (0..).step_by(BLOCK).zip(blocks.zip(out.chunks(BLOCK))) {
        let mut pairs = [i32x4_splat(0); 4];
        let groups = block.chunks_exact((out.len() * GROUP).max(1));
        for (words, x) in groups.zip(input.chunks(GROUP)) {
            let element = |k: usize| x.get(k).map_or(0, |x| i16::from(x.get()));
            let [a, b, c, d] = [0, 1, 2, 3].map(element);
            let x = i16x8(a, b, c, d, a, b, c, d);
            let (eights, rest) = words.as_chunks::<8>();
            for (pairs, words) in pairs.iter_mut().zip(eights) {
                *pairs = i32x4_add(*pairs, i32x4_dot_i16x8(widened(words), x));
            }
            if let (false, Some(pairs)) = (rest.is_empty(), pairs.get_mut(eights.len())) {
                let last = core::array::from_fn(|k| rest.get(k).copied().unwrap_or(0));
                *pairs = i32x4_add(*pairs, i32x4_dot_i16x8(widened(&last), x));
            }
        }
        let [a, b, c, d] = pairs;
        Eight::new(stage, first).store([neighbours(a, b), neighbours(c, d)], out);
    }
}

/// See [`Kernels::depthwise_band`](crate::kernels::Kernels::depthwise_band). Returns false if the kernel is too large or
/// sizes do not fit.
pub(super) fn depthwise(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) -> bool {
    let (channels, taps) = (band.channels, band.rows.wrapping_mul(band.columns));
    let pixels = out.len().checked_div(channels).unwrap_or(0);
    let pairs = weights.shape.padded_depth().unwrap_or(0) as usize / 2;
    if taps == 0 || taps > MOST_TAPS || pixels == 0 || pairs != taps.div_ceil(2) {
        return false;
    }
    // The place of the first channel of each tap of the first window. An odd last tap has a neighbour at the first place,
    // with a weight of zero.
    let mut places = [0usize; MOST_TAPS];
    for (tap, place) in places.iter_mut().enumerate().take(taps) {
        let row = band.first.wrapping_add(tap / band.columns);
        let row = if row >= band.rows { row.wrapping_sub(band.rows) } else { row };
        *place = row.wrapping_mul(band.row_bytes).wrapping_add((tap % band.columns).wrapping_mul(channels));
    }
    let step = band.stride.wrapping_mul(channels);
    let blocks = weights.bytes.chunks((pairs * 2 * BLOCK).max(1));
    for (first, block) in (0..channels).step_by(BLOCK).zip(blocks) {
        let width = (channels - first).min(BLOCK);
        // (c0: t0 t1) (c1: t0 t1) …, channels 0 to 3 and 4 to 7.
        let mut words = [[i16x8_splat(0); 2]; MOST_TAPS / 2];
        for (pair, (words, bytes)) in words.iter_mut().zip(block.chunks_exact(2 * width)).enumerate() {
            let mut eights = [[0u8; 8]; 2];
            eights.as_flattened_mut().iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            *words = [widened(&eights[0]), widened(&eights[1])];
            if taps % 2 == 1 && pair == pairs - 1 {
                *words = words.map(|words| v128_and(words, i32x4_splat(0xFFFF)));
            }
        }
        let eight = Eight::new(stage, first);
        let outs = out.chunks_exact(channels.max(1));
        for (pixel, out) in outs.enumerate() {
            let start = pixel.wrapping_mul(step).wrapping_add(first);
            let load = |place: usize| match band.cells.get(place.wrapping_add(start)..) {
                Some(rest) => match rest.first_chunk() {
                    Some(eight) => widened(eight),
                    None => widened(&core::array::from_fn::<u8, 8, _>(|k| rest.get(k).map_or(0, Cell::get))),
                },
                None => i16x8_splat(0),
            };
            let mut sums = [i32x4_splat(0); 2];
            for (words, places) in words.iter().zip(places.as_chunks::<2>().0).take(pairs) {
                let (x, y) = (load(places[0]), load(places[1]));
                let low = i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(x, y);
                let high = i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(x, y);
                sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(low, words[0]));
                sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(high, words[1]));
            }
            let place = out.get(first..).unwrap_or(&[]);
            eight.store(sums, place.get(..width).unwrap_or(place));
        }
    }
    true
}

/// The output stage of eight channels, see [`Stage`].
struct Eight<'a> {
    stage: &'a Stage<'a>,
    first: usize,
    /// Numbers of the fast way, where it is exact for all eight.
    fast: Option<[Four; 2]>,
}

/// The numbers of four channels whose multipliers only shift right and round twice.
#[derive(Clone, Copy)]
struct Four {
    bias: v128,
    /// Mantissas of channels 0 and 1, and of 2 and 3, as 64 bits.
    mantissas: [v128; 2],
    /// Right shift of all four.
    shifts: [u32; 4],
    same: bool,
}

impl<'a> Eight<'a> {
    fn new(stage: &'a Stage<'a>, first: usize) -> Eight<'a> {
        let channel = |lane: usize| stage.channel(first.wrapping_add(lane));
        let all: [(i32, Multiplier); BLOCK] = core::array::from_fn(channel);
        let right = all.iter().all(|(_, multiplier)| (-31..=-1).contains(&multiplier.shift));
        let four = |at: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|lane| all[at + lane]);
            let wide = |low: i32, high: i32| i64x2(low.into(), high.into());
            let shifts = [a, b, c, d].map(|(_, multiplier)| multiplier.shift.unsigned_abs());
            Four {
                bias: i32x4(a.0, b.0, c.0, d.0),
                mantissas: [wide(a.1.mantissa, b.1.mantissa), wide(c.1.mantissa, d.1.mantissa)],
                shifts,
                same: shifts.iter().all(|shift| *shift == shifts[0]),
            }
        };
        let fast = (right && stage.rounding == Rounding::Double).then(|| [four(0), four(4)]);
        Eight { stage, first, fast }
    }

    /// Makes the outputs of eight sums, or of as many as there is room for.
    #[inline(always)]
    fn store(&self, sums: [v128; 2], out: &[Cell<i8>]) {
        let outputs = match &self.fast {
            Some(fours) => {
                let [low, high] = [0, 1].map(|half| self.scaled(&fours[half], sums[half]));
                i8x16_narrow_i16x8(i16x8_narrow_i32x4(low, high), i16x8_splat(0))
            }
            None => {
                let sums: [[i32; 4]; 2] = sums.map(|sums| {
                    let mut four = [0; 4];
                    // SAFETY: 16 bytes are there.
                    unsafe { v128_store(four.as_mut_ptr().cast(), sums) }
                    four
                });
                for (lane, (out, sum)) in out.iter().zip(sums.as_flattened()).enumerate() {
                    let (bias, multiplier) = self.stage.channel(self.first.wrapping_add(lane));
                    out.set(self.stage.apply_called(sum.wrapping_add(bias), multiplier));
                }
                return;
            }
        };
        let bytes = u64x2_extract_lane::<0>(outputs).to_le_bytes();
        for (out, byte) in out.iter().zip(bytes) {
            out.set(byte as i8);
        }
    }

    /// Four outputs, as 32 bits; see [`requantize_double`](crate::quant::requantize_double).
    #[inline(always)]
    fn scaled(&self, four: &Four, sums: v128) -> v128 {
        let sums = i32x4_add(sums, four.bias);
        let round = i64x2_splat(1 << 30);
        let product = |x: v128, mantissas: v128| i64x2_shr(i64x2_add(i64x2_mul(x, mantissas), round), 31);
        let low = product(i64x2_extend_low_i32x4(sums), four.mantissas[0]);
        let high = product(i64x2_extend_high_i32x4(sums), four.mantissas[1]);
        let scaled = i32x4_shuffle::<0, 2, 4, 6>(low, high);
        let below = i32x4_add(scaled, i32x4_shr(scaled, 31));
        let rounded =
            |shift: u32| i32x4_shr(i32x4_add(i32x4_shr(below, shift.wrapping_sub(1)), i32x4_splat(1)), 1);
        let scaled = match four.same {
            true => rounded(four.shifts[0]),
            false => {
                let [a, b, c, d] = four.shifts.map(rounded);
                i32x4_shuffle::<0, 1, 4, 5>(
                    i32x4_shuffle::<0, 5, 0, 5>(a, b),
                    i32x4_shuffle::<2, 7, 2, 7>(c, d),
                )
            }
        };
        let placed = i32x4_add(scaled, i32x4_splat(self.stage.zero_point));
        i32x4_min(i32x4_max(placed, i32x4_splat(self.stage.min)), i32x4_splat(self.stage.max))
    }
}
