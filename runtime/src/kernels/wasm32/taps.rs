//! Depthwise convolutions: two taps of eight adjacent channels at a time, for two pixels.
#![allow(unsafe_code)]

use core::arch::wasm32::*;

use core::cell::Cell;

use super::memory::widened;
use super::scale::{BLOCK, Eight};
use crate::kernels::{Band, Stage};
use crate::packing::Matrix;

/// Taps of the largest kernel that [`depthwise`] runs; an even number.
const MOST_TAPS: usize = 64;

/// See [`Kernels::depthwise_band`](crate::kernels::Kernels::depthwise_band). Returns false if the kernel is too large or
/// sizes do not fit.
pub(super) fn depthwise(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) -> bool {
    let taps = band.rows.wrapping_mul(band.columns);
    let pixels = out.len().checked_div(band.channels).unwrap_or(0);
    if taps == 0 || taps > MOST_TAPS || pixels == 0 {
        return false;
    }
    // The place of the first channel of each tap of the first window. An odd last tap has a neighbour at the first place,
    // with a weight of zero.
    let mut places = [0usize; MOST_TAPS];
    let (mut row, mut column) = (band.first, 0usize);
    for place in places.iter_mut().take(taps) {
        *place = row.wrapping_mul(band.row_bytes).wrapping_add(column.wrapping_mul(band.channels));
        column += 1;
        if column == band.columns {
            (row, column) = (if row.wrapping_add(1) >= band.rows { 0 } else { row + 1 }, 0);
        }
    }
    match taps {
        9 => by_blocks::<5>(band, &places, weights, stage, out),
        _ => by_blocks::<{ MOST_TAPS / 2 }>(band, &places, weights, stage, out),
    }
}

/// For weights of at most `PAIRS` pairs of taps; exactly as many if `PAIRS` is not the maximum.
#[inline(always)]
fn by_blocks<const PAIRS: usize>(
    band: &Band<'_>,
    places: &[usize; MOST_TAPS],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) -> bool {
    let channels = band.channels;
    let all = weights.shape.padded_depth().unwrap_or(0) as usize / 2;
    let pairs = if PAIRS == MOST_TAPS / 2 { all } else { PAIRS };
    let odd = band.rows.wrapping_mul(band.columns) & 1 == 1;
    let step = band.stride.wrapping_mul(channels);
    let pixels = out.len() / channels.max(1);
    let last = places.iter().max().copied().unwrap_or(0);
    // The end of the last channels of the last window, which are read as a whole block.
    let end = pixels.wrapping_sub(1).checked_mul(step).and_then(|start| start.checked_add(last));
    let end = end.and_then(|start| start.checked_add(channels.wrapping_sub(1).wrapping_add(BLOCK)));
    if pairs != all || pairs > PAIRS || channels == 0 || end.is_none_or(|end| end > band.cells.len()) {
        return false;
    }
    let cells: *const i8 = band.cells.as_ptr().cast();
    let blocks = weights.bytes.chunks((pairs * 2 * BLOCK).max(1));
    // (c0: t0 t1) (c1: t0 t1) …, channels 0 to 3 and 4 to 7.
    let mut words = [[i16x8_splat(0); 2]; PAIRS];
    for (first, block) in (0..channels).step_by(BLOCK).zip(blocks) {
        let width = (channels - first).min(BLOCK);
        for (words, bytes) in words.iter_mut().zip(block.chunks_exact(2 * width)) {
            let mut padded = [[0u8; 8]; 2];
            let eights = match bytes.as_chunks::<8>().0 {
                [low, high] => [low, high],
                _ => {
                    padded.as_flattened_mut().iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                    [&padded[0], &padded[1]]
                }
            };
            *words = eights.map(widened);
        }
        // An odd last tap has no neighbour.
        if let (Some(last), true) = (words.get_mut(pairs.wrapping_sub(1)), odd) {
            *last = last.map(|words| v128_and(words, i32x4_splat(0xFFFF)));
        }
        let eight = Eight::<false>::new(stage, first);
        // SAFETY: the last byte that is read is byte `end - 1` of the band, as checked above, or one before it: the block's
        // first channel is at most the last one.
        let load = |place: usize| unsafe { i16x8_load_extend_i8x8(cells.add(place)) };
        let place = |pixel: usize| {
            let place = out.get(pixel * channels + first..).unwrap_or(&[]);
            place.get(..width).unwrap_or(place)
        };
        let mut pixel = 0;
        while pixel + 1 < pixels {
            let sums = products::<PAIRS, 2>(&words, pairs, |at, tap| {
                load(places[tap] + (pixel + at) * step + first)
            });
            eight.store_two(sums, [place(pixel), place(pixel + 1)]);
            pixel += 2;
        }
        if pixel < pixels {
            let [sums] =
                products::<PAIRS, 1>(&words, pairs, |_, tap| load(places[tap] + pixel * step + first));
            eight.store(sums, place(pixel));
        }
    }
    true
}

/// Sums of the products of `PIXELS` windows. `load` gives eight channels of a window's tap.
#[inline(always)]
fn products<const PAIRS: usize, const PIXELS: usize>(
    words: &[[v128; 2]; PAIRS],
    pairs: usize,
    load: impl Fn(usize, usize) -> v128,
) -> [[v128; 2]; PIXELS] {
    let mut sums = [[i32x4_splat(0); 2]; PIXELS];
    let mut add = |pair: usize| {
        for (pixel, sums) in sums.iter_mut().enumerate() {
            let (x, y) = (load(pixel, 2 * pair), load(pixel, 2 * pair + 1));
            let low = i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(x, y);
            let high = i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(x, y);
            sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(low, words[pair][0]));
            sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(high, words[pair][1]));
        }
    };
    // Most windows have nine taps; as a loop they take a third longer.
    if PAIRS == 5 {
        for pair in [0, 1, 2, 3, 4] {
            add(pair);
        }
    } else {
        (0..pairs).for_each(add);
    }
    sums
}
