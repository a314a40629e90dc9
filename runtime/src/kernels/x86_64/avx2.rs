//! Kernels with AVX2. Each function relies on the level of its caller: it is only called at a level that has
//! AVX2.
#![allow(unsafe_code)]

use core::arch::x86_64::*;
use core::cell::Cell;

use ferrolite_schema::params::{Sum, Term};

use super::simd::*;
use crate::kernels::{Band, Lines, Stage, TILE};
use crate::packing::{Matrix, Shape};
use crate::tensor::{TensorView, cells_of, copy as copy_cells, fill};

/// Channels of a block.
const BLOCK: usize = 8;

/// Adjacent weights of a channel.
const GROUP: usize = 4;

/// Bytes of a group of a whole block.
const WORDS: usize = BLOCK * GROUP;

/// See [`Kernels::load_lines`](crate::kernels::Kernels::load_lines). Patches are stored one after the other,
/// with `ELEMENT` bytes per element, 1 or 2. Lines are short, and calling `memcpy` would take longer than
/// copying most of them.
pub(super) fn load_lines<const ELEMENT: usize>(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
    // SAFETY: this level has AVX2.
    unsafe { load_lines_avx2::<ELEMENT>(tile, shape, lines) }
}

#[target_feature(enable = "avx2")]
fn load_lines_avx2<const ELEMENT: usize>(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
    let (line, depth) = (shape.line as usize, shape.padded_depth().unwrap_or(0) as usize);
    let lanes = tile.chunks((depth * ELEMENT).max(1)).skip(lines.lanes.start).take(lines.lanes.len());
    for (lane, patch) in lanes.enumerate() {
        for (number, row) in lines.lines.clone().enumerate() {
            let start = lane.wrapping_mul(lines.step).wrapping_add(number.wrapping_mul(lines.pitch));
            let source = lines.source.get(start..start.wrapping_add(line)).unwrap_or(&[]);
            let target = patch.get(row.wrapping_mul(line * ELEMENT)..).unwrap_or(&[]);
            if ELEMENT == 2 { widen(source, target) } else { copy(source, target) }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn copy(mut source: &[Cell<i8>], mut target: &[Cell<u8>]) {
    while let (Some((from, others)), Some((to, behind))) =
        (source.split_first_chunk::<32>(), target.split_first_chunk::<32>())
    {
        store_32(to, load_32(from));
        (source, target) = (others, behind);
    }
    if let (Some((from, others)), Some((to, behind))) =
        (source.split_first_chunk::<16>(), target.split_first_chunk::<16>())
    {
        store_16(to, load_16(from));
        (source, target) = (others, behind);
    }
    if let (Some((from, others)), Some((to, behind))) =
        (source.split_first_chunk::<8>(), target.split_first_chunk::<8>())
    {
        store_8(to, double_word(from));
        (source, target) = (others, behind);
    }
    for (from, to) in source.iter().zip(target) {
        to.set(from.get() as u8);
    }
}

/// Copies elements, two bytes each.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(source: &[Cell<i8>], target: &[Cell<u8>]) {
    let (whole, rest) = source.as_chunks::<16>();
    let (places, _) = target.as_chunks::<32>();
    for (source, target) in whole.iter().zip(places) {
        store_32(target, _mm256_cvtepi8_epi16(load_16(source)));
    }
    let mut behind = target.get(whole.len() * 32..).unwrap_or(&[]);
    let mut rest = rest;
    if let (Some((eight, others)), Some((place, target))) =
        (rest.split_first_chunk::<8>(), behind.split_first_chunk::<16>())
    {
        store_16(place, _mm_cvtepi8_epi16(load_8(eight)));
        (rest, behind) = (others, target);
    }
    for (x, place) in rest.iter().zip(behind.as_chunks::<2>().0) {
        let [low, high] = i16::from(x.get()).to_le_bytes();
        place[0].set(low);
        place[1].set(high);
    }
}

/// See [`Kernels::matmul_packed`](crate::kernels::Kernels::matmul_packed); with any multipliers and sums if `GENERAL`.
pub(super) fn matmul<const GENERAL: bool>(
    tile: &[Cell<u8>],
    pixels: usize,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    // SAFETY: this level has AVX2.
    unsafe { matmul_avx2::<GENERAL>(tile, pixels, weights, stage, out, out_stride) }
}

#[target_feature(enable = "avx2")]
fn matmul_avx2<const GENERAL: bool>(
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
    for (first, block) in (0..channels).step_by(BLOCK).zip(blocks) {
        let width = (channels - first).min(BLOCK);
        let sums = if width == BLOCK {
            products(lanes, block.as_chunks::<WORDS>().0.iter().map(|words| load_32(words)))
        } else {
            products(lanes, block.chunks_exact(width * GROUP).map(|words| load_words(words)))
        };
        Eight::<GENERAL>::new(stage, first).store(
            sums,
            pixels,
            width,
            out.get(first..).unwrap_or(&[]),
            out_stride,
        );
    }
}

/// Sums of products of four pixels with a block of eight channels.
#[inline]
#[target_feature(enable = "avx2")]
fn products(lanes: [&[[Cell<u8>; 8]]; TILE], weights: impl Iterator<Item = __m256i>) -> [__m256i; TILE] {
    let mut low = [_mm256_setzero_si256(); TILE];
    let mut high = [_mm256_setzero_si256(); TILE];
    let [x0, x1, x2, x3] = lanes;
    for ((((words, x0), x1), x2), x3) in weights.zip(x0).zip(x1).zip(x2).zip(x3) {
        let (w_low, w_high) = widened(words);
        for (pixel, x) in [x0, x1, x2, x3].into_iter().enumerate() {
            let x = _mm256_set1_epi64x(double_word(x));
            low[pixel] = _mm256_add_epi32(low[pixel], _mm256_madd_epi16(w_low, x));
            high[pixel] = _mm256_add_epi32(high[pixel], _mm256_madd_epi16(w_high, x));
        }
    }
    core::array::from_fn(|pixel| neighbours(low[pixel], high[pixel]))
}

/// Channels 0 to 3 and 4 to 7 of a group.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(words: __m256i) -> (__m256i, __m256i) {
    let low = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(words));
    (low, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(words, 1)))
}

/// Adds neighbours: of `c0 c0 c1 c1 | c2 c2 c3 c3` and the same of channels 4 to 7.
#[inline]
#[target_feature(enable = "avx2")]
fn neighbours(low: __m256i, high: __m256i) -> __m256i {
    _mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), 0b11_01_10_00)
}

/// See [`Kernels::dense_packed`](crate::kernels::Kernels::dense_packed); `GENERAL` as for [`matmul`].
pub(super) fn dense<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    // SAFETY: this level has AVX2.
    unsafe { dense_avx2::<GENERAL>(input, weights, stage, out) }
}

#[target_feature(enable = "avx2")]
fn dense_avx2<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let size = weights.shape.padded_depth().unwrap_or(0) as usize * BLOCK;
    let blocks = weights.bytes.chunks(size.max(1));
    for (first, (block, out)) in (0..).step_by(BLOCK).zip(blocks.zip(out.chunks(BLOCK))) {
        let sums = if out.len() == BLOCK {
            row_products(input, block.as_chunks::<WORDS>().0.iter().map(|words| load_32(words)))
        } else {
            row_products(input, block.chunks_exact(out.len() * GROUP).map(|words| load_words(words)))
        };
        store_outputs(out, Eight::<GENERAL>::new(stage, first).outputs(sums));
    }
}

/// Sums of products of a row with a block of eight channels.
#[inline]
#[target_feature(enable = "avx2")]
fn row_products(input: &[Cell<i8>], mut weights: impl Iterator<Item = __m256i>) -> __m256i {
    let (groups, rest) = input.as_chunks::<GROUP>();
    let mut sums = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let mut add = |x: i32, words: __m256i| {
        let x = _mm256_cvtepi8_epi16(_mm_set1_epi32(x));
        let (low, high) = widened(words);
        sums.0 = _mm256_add_epi32(sums.0, _mm256_madd_epi16(low, x));
        sums.1 = _mm256_add_epi32(sums.1, _mm256_madd_epi16(high, x));
    };
    // The groups come first: a zip asks its first iterator first, and no weights may be lost.
    for (x, words) in groups.iter().zip(&mut weights) {
        add(word(x), words);
    }
    if let (false, Some(words)) = (rest.is_empty(), weights.next()) {
        add(last_word(rest), words);
    }
    neighbours(sums.0, sums.1)
}

/// Fewer than four elements, padded with zeroes.
pub(super) fn last_word(rest: &[Cell<i8>]) -> i32 {
    let element = |k: usize| rest.get(k).map_or(0, |x| x.get() as u8);
    i32::from_le_bytes([element(0), element(1), element(2), element(3)])
}

/// See [`Kernels::load_band`](crate::kernels::Kernels::load_band). Pixels are adjacent, as in the image.
pub(super) fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
    let pixels = |count: usize| count.wrapping_mul(band.channels);
    let line: &[Cell<i8>] = cells_of(band.slot(slot)).unwrap_or(&[]);
    let line = line.get(..pixels(band.width)).unwrap_or(line);
    let (before, rest) = line.split_at_checked(pixels(left)).unwrap_or((line, &[]));
    let (inside, behind) = rest.split_at_checked(row.len()).unwrap_or((rest, &[]));
    fill(before, zero_point);
    copy_cells(row, inside);
    fill(behind, zero_point);
}

/// Taps of the largest kernel that [`depthwise`] runs; an even number.
const MOST_TAPS: usize = 64;

/// See [`Kernels::depthwise_band`](crate::kernels::Kernels::depthwise_band). Returns false if the kernel is
/// too large or sizes do not fit.
pub(super) fn depthwise(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) -> bool {
    let taps = band.rows.wrapping_mul(band.columns);
    let pixels = out.len().checked_div(band.channels).unwrap_or(0);
    if taps == 0 || taps > MOST_TAPS || pixels == 0 {
        return false;
    }
    // The index of the first channel of each tap of the first window. An odd last tap has a neighbour at the
    // first index, with a weight of zero.
    let mut places = [0usize; MOST_TAPS];
    for (tap, place) in places.iter_mut().enumerate().take(taps) {
        let row = band.first.wrapping_add(tap / band.columns);
        let row = if row >= band.rows { row.wrapping_sub(band.rows) } else { row };
        let column = (tap % band.columns).wrapping_mul(band.channels);
        *place = row.wrapping_mul(band.row_bytes).wrapping_add(column);
    }
    // SAFETY: this level has AVX2.
    unsafe {
        match taps {
            9 => depthwise_avx2::<5>(band, &places, weights, stage, out),
            _ => depthwise_avx2::<{ MOST_TAPS / 2 }>(band, &places, weights, stage, out),
        }
    }
}

/// For weights of at most `PAIRS` pairs of taps; exactly as many if `PAIRS` is not the maximum.
#[target_feature(enable = "avx2")]
fn depthwise_avx2<const PAIRS: usize>(
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
    let pixels = out.len() / channels;
    let last = places.iter().max().copied().unwrap_or(0);
    // The end of the last channels of the last window, which are read as a whole block.
    let end =
        (pixels - 1).wrapping_mul(step).wrapping_add(last).wrapping_add(channels - 1).wrapping_add(BLOCK);
    if pairs != all || pairs > PAIRS || end > band.cells.len() {
        return false;
    }
    let cells: *const i64 = band.cells.as_ptr().cast();
    let blocks = weights.bytes.chunks((pairs * 2 * BLOCK).max(1));
    for (first, block) in (0..channels).step_by(BLOCK).zip(blocks) {
        let width = (channels - first).min(BLOCK);
        let mut pair_weights = [_mm256_setzero_si256(); PAIRS];
        for (pair, bytes) in pair_weights.iter_mut().zip(block.chunks_exact(2 * width)) {
            let mut padded = [0u8; 2 * BLOCK];
            let whole = bytes.first_chunk().unwrap_or_else(|| {
                padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                &padded
            });
            *pair = _mm256_cvtepi8_epi16(load_16(whole));
        }
        // An odd last tap has no neighbour.
        if let (Some(last), true) = (pair_weights.get_mut(pairs.wrapping_sub(1)), odd) {
            *last = _mm256_and_si256(*last, _mm256_set1_epi32(0xFFFF));
        }
        let eight = Eight::<false>::new(stage, first);
        for pixel in 0..pixels {
            let start = pixel * step + first;
            // SAFETY: the last byte that is read is byte `end - 1` of the band, as checked above, or one
            // before it: the block's first channel is at most the last one.
            let load =
                |place: usize| unsafe { _mm_cvtsi64_si128(cells.byte_add(place + start).read_unaligned()) };
            let mut sums = _mm256_setzero_si256();
            for pair in 0..pairs {
                let x = _mm_unpacklo_epi8(load(places[2 * pair]), load(places[2 * pair + 1]));
                let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(x), pair_weights[pair]);
                sums = _mm256_add_epi32(sums, products);
            }
            let out = out.get(pixel * channels + first..).and_then(|out| out.get(..width)).unwrap_or(&[]);
            store_outputs(out, eight.outputs(sums));
        }
    }
    true
}

/// See [`Kernels::add`](crate::kernels::Kernels::add), with two roundings. Returns false if a multiplier
/// shifts left or an operand is repeated.
pub(super) fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, out: &[Cell<i8>]) -> bool {
    // SAFETY: this level has AVX2.
    a.len() == b.len() && a.len() == out.len() && unsafe { add_avx2(a, b, sum, out) }
}

#[target_feature(enable = "avx2")]
fn add_avx2(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, out: &[Cell<i8>]) -> bool {
    let small = |term: &Term| (-128..=127).contains(&term.zero_point);
    let scales = (Scale::new(sum.a.multiplier), Scale::new(sum.b.multiplier), Scale::new(sum.multiplier));
    let (Some(scale_a), Some(scale_b), Some(scale)) = scales else { return false };
    if !small(&sum.a) || !small(&sum.b) {
        return false;
    }
    let shifted = |x: i64, term: &Term| {
        let x = _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(x));
        _mm256_slli_epi32(_mm256_sub_epi32(x, _mm256_set1_epi32(term.zero_point)), 20)
    };
    let sign = _mm256_set1_epi32(sum.sign);
    let eight = |a: i64, b: i64| {
        let (a, b) = (scale_a.apply(shifted(a, &sum.a)), scale_b.apply(shifted(b, &sum.b)));
        let y = scale.apply(_mm256_add_epi32(a, _mm256_mullo_epi32(b, sign)));
        let y = _mm256_add_epi32(y, _mm256_set1_epi32(sum.zero_point));
        let y = _mm256_max_epi32(y, _mm256_set1_epi32(sum.min));
        low_bytes(_mm256_min_epi32(y, _mm256_set1_epi32(sum.max)))
    };
    let bytes = |x: TensorView<'_, u8>, first: usize, count: usize| {
        let mut bytes = [0u8; 8];
        for (lane, byte) in bytes.iter_mut().enumerate().take(count) {
            *byte = x.at(first + lane);
        }
        i64::from_le_bytes(bytes)
    };
    let (a, b) = (a.bytes(), b.bytes());
    let whole_bytes =
        |x: TensorView<'_, u8>, first: usize| i64::from_le_bytes(x.array(first).unwrap_or_default());
    let (whole, rest) = out.as_chunks::<BLOCK>();
    for (first, out) in (0..).step_by(BLOCK).zip(whole) {
        store_8(out, eight(whole_bytes(a, first), whole_bytes(b, first)));
    }
    let first = whole.len() * BLOCK;
    store_outputs(rest, eight(bytes(a, first, rest.len()), bytes(b, first, rest.len())));
    true
}
