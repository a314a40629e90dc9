//! Convolutions and dense layers: four pixels, or one row, by blocks of eight channels.

use core::arch::wasm32::*;
use core::cell::Cell;

use super::memory::{four_twice, store_8, store_16, twice, widened};
use super::scale::{BLOCK, Eight};
use crate::kernels::{Lines, Stage, TILE};
use crate::packing::{Matrix, Shape};

/// Adjacent weights of a channel.
const GROUP: usize = 4;

/// Bytes of a group of a whole block.
const WORDS: usize = BLOCK * GROUP;

/// See [`Kernels::load_lines`](crate::kernels::Kernels::load_lines). Patches are stored one after the other, two bytes an
/// element.
pub(super) fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
    let (line, depth) = (shape.line as usize, shape.padded_depth().unwrap_or(0) as usize);
    let elements = line.wrapping_mul(shape.lines as usize);
    let lanes = tile.chunks((depth * 2).max(1)).skip(lines.lanes.start).take(lines.lanes.len());
    for (lane, patch) in lanes.enumerate() {
        let mut start = lane.wrapping_mul(lines.step);
        let mut rows = patch.get(lines.lines.start.wrapping_mul(line * 2)..).unwrap_or(&[]);
        for number in lines.lines.clone() {
            let source = lines.source.get(start..).unwrap_or(&[]);
            let (row, behind) = rows.split_at_checked(line * 2).unwrap_or((rows, &[]));
            match (source.first_chunk::<4>(), rows.first_chunk::<8>()) {
                // What is beyond a short line will be the next one's. Padding keeps its zeroes: a file's weights there may be any.
                (Some(four), Some(place))
                    if line < 4 && number.wrapping_mul(line).wrapping_add(4) <= elements =>
                {
                    store_8::<u8, 0>(place, four_twice(four));
                }
                _ => widen(source.get(..line).unwrap_or(&[]), row),
            }
            (start, rows) = (start.wrapping_add(lines.pitch), behind);
        }
    }
}

/// Copies elements, two bytes each, to where there is room for as many; the last ones maybe twice.
#[inline(always)]
fn widen(source: &[Cell<i8>], target: &[Cell<u8>]) {
    let whole = source.as_chunks::<8>().0.iter().zip(target.as_chunks::<16>().0);
    whole.for_each(|(source, target)| store_16(target, widened(source)));
    if source.len() % 8 == 0 {
        return;
    }
    if let (Some(source), Some(target)) = (source.last_chunk::<8>(), target.last_chunk::<16>()) {
        return store_16(target, widened(source));
    }
    // Fewer than eight.
    let ends = [
        (source.first_chunk::<4>(), target.first_chunk::<8>()),
        (source.last_chunk::<4>(), target.last_chunk::<8>()),
    ];
    for end in ends {
        match end {
            (Some(source), Some(target)) => store_8::<u8, 0>(target, four_twice(source)),
            _ => {
                for (x, place) in source.iter().zip(target.as_chunks::<2>().0) {
                    let [low, high] = i16::from(x.get()).to_le_bytes();
                    place[0].set(low);
                    place[1].set(high);
                }
                return;
            }
        }
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
        let mut sums = [[i32x4_splat(0); 2]; TILE];
        if width == BLOCK {
            products(&mut sums, lanes, block.as_chunks::<WORDS>().0);
        } else {
            few_products(&mut sums, lanes, block, width * GROUP);
        }
        let eight = Eight::<GENERAL>::new(stage, first);
        let place = |pixel: usize| {
            let place = out.get(first.wrapping_add(pixel.wrapping_mul(out_stride))..);
            let place = place.filter(|_| pixel < pixels).unwrap_or(&[]);
            place.get(..width).unwrap_or(place)
        };
        let [a, b, c, d] = sums;
        eight.store_two([a, b], [place(0), place(1)]);
        if pixels > 2 {
            eight.store_two([c, d], [place(2), place(3)]);
        }
    }
}

/// Adds the products of four pixels with a block of eight channels: sums of channels 0 to 3 and of 4 to 7 for each pixel.
#[inline(always)]
fn products(sums: &mut [[v128; 2]; TILE], lanes: [&[[Cell<u8>; 8]]; TILE], weights: &[[u8; WORDS]]) {
    let [x0, x1, x2, x3] = lanes;
    // Half a block at a time: sums and weights then stay in the 16 registers of most machines. Four groups in a turn took
    // a tenth longer.
    for half in 0..2 {
        let mut pairs = [[i32x4_splat(0); 2]; TILE];
        for ((((words, x0), x1), x2), x3) in weights.iter().zip(x0).zip(x1).zip(x2).zip(x3) {
            group_products(&mut pairs, half, words, [x0, x1, x2, x3]);
        }
        for (sums, [low, high]) in sums.iter_mut().zip(pairs) {
            sums[half] = neighbours(low, high);
        }
    }
}

/// The same for fewer channels, whose groups have `step` bytes: they are read with what is behind them, and those copied
/// that have too little behind them.
#[inline(never)]
fn few_products(sums: &mut [[v128; 2]; TILE], lanes: [&[[Cell<u8>; 8]]; TILE], block: &[u8], step: usize) {
    let mut pairs = [[[i32x4_splat(0); 2]; TILE]; 2];
    for (group, bytes) in block.chunks_exact(step.max(1)).enumerate() {
        let mut copy = [0u8; WORDS];
        let words = match block.get(group * step..).and_then(|words| words.first_chunk()) {
            Some(words) => words,
            None => {
                copy.iter_mut().zip(bytes).for_each(|(word, byte)| *word = *byte);
                &copy
            }
        };
        let [Some(a), Some(b), Some(c), Some(d)] = lanes.map(|lane| lane.get(group)) else { break };
        for (half, pairs) in pairs.iter_mut().enumerate().take(step.div_ceil(WORDS / 2)) {
            group_products(pairs, half, words, [a, b, c, d]);
        }
    }
    for (half, pairs) in pairs.into_iter().enumerate() {
        for (sums, [low, high]) in sums.iter_mut().zip(pairs) {
            sums[half] = neighbours(low, high);
        }
    }
}

/// Adds the products of four pixels with half a group.
#[inline(always)]
fn group_products(
    pairs: &mut [[v128; 2]; TILE],
    half: usize,
    words: &[u8; WORDS],
    xs: [&[Cell<u8>; 8]; TILE],
) {
    let (eights, _) = words.as_chunks::<8>();
    let [low, high] = [0, 1].map(|part| widened(&eights[2 * half + part]));
    for (pairs, x) in pairs.iter_mut().zip(xs) {
        let x = twice(x);
        pairs[0] = i32x4_add(pairs[0], i32x4_dot_i16x8(low, x));
        pairs[1] = i32x4_add(pairs[1], i32x4_dot_i16x8(high, x));
    }
}

/// Adds neighbours.
#[inline(always)]
fn neighbours(low: v128, high: v128) -> v128 {
    i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(low, high), i32x4_shuffle::<1, 3, 5, 7>(low, high))
}

/// See [`Kernels::dense_packed`](crate::kernels::Kernels::dense_packed); `GENERAL` as for [`matmul`].
pub(super) fn dense<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let mut outs = out.chunks(BLOCK);
    row_products(input, weights, out.len(), |first, sums| {
        Eight::<GENERAL>::new(stage, first).store(sums, outs.next().unwrap_or(&[]));
    });
}

/// See [`Kernels::dense_int16`](crate::kernels::Kernels::dense_int16).
pub(super) fn dense_int16(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
    let mut outs = out.chunks(BLOCK);
    row_products(input, weights, out.len(), |first, sums| {
        Eight::<false>::new(stage, first).store_int16(sums, outs.next().unwrap_or(&[]));
    });
}

/// Products of a row with each block of the channels, of which there are `count`: for the number of its first channel,
/// the sums.
#[inline(always)]
fn row_products(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    count: usize,
    mut store: impl FnMut(usize, [v128; 2]),
) {
    let size = weights.shape.padded_depth().unwrap_or(0) as usize * BLOCK;
    let blocks = weights.bytes.chunks(size.max(1));
    let (whole, rest) = input.as_chunks::<GROUP>();
    // Less than a group, padded.
    let last: [u8; GROUP] = core::array::from_fn(|k| rest.get(k).map_or(0, |x| x.get() as u8));
    let rest = if rest.is_empty() { None } else { Some(four_twice(&last)) };
    for (first, block) in (0..count).step_by(BLOCK).zip(blocks) {
        let mut pairs = [i32x4_splat(0); 4];
        let mut add = |words: &[u8; WORDS], x: v128| {
            let (eights, _) = words.as_chunks::<8>();
            for (pairs, words) in pairs.iter_mut().zip(eights) {
                *pairs = i32x4_add(*pairs, i32x4_dot_i16x8(widened(words), x));
            }
        };
        let width = (count - first).min(BLOCK);
        if width == BLOCK {
            let groups = block.as_chunks::<WORDS>().0;
            for (words, x) in groups.iter().zip(whole) {
                add(words, four_twice(x));
            }
            if let (Some(words), Some(x)) = (groups.get(whole.len()), rest) {
                add(words, x);
            }
        } else {
            // As in `matmul`.
            let step = width * GROUP;
            let mut inputs = whole.iter().map(|x| four_twice(x)).chain(rest);
            let mut rest = block;
            while let Some(words) = rest.first_chunk() {
                let Some(x) = inputs.next() else { break };
                add(words, x);
                rest = rest.get(step..).unwrap_or(&[]);
            }
            for (bytes, x) in rest.chunks_exact(step).zip(inputs) {
                let mut words = [0u8; WORDS];
                words.iter_mut().zip(bytes).for_each(|(word, byte)| *word = *byte);
                add(&words, x);
            }
        }
        let [a, b, c, d] = pairs;
        store(first, [neighbours(a, b), neighbours(c, d)]);
    }
}
