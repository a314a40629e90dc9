//! The leaves in plain Rust, word for word as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::super::emulated::{high, low, sadd16, set, smlad, sxtb16, word};
use super::{COLUMN, COLUMNS, Channels, PAIR, SLOTS, TILE};
use crate::kernels::Outputs;
use crate::winograd::Filters;

fn halves(a: i32, b: i32, f: impl Fn(i32, i32) -> i32) -> i32 {
    f(low(a), low(b)) & 0xFFFF | f(high(a), high(b)) << 16
}

fn ssub16(a: i32, b: i32) -> i32 {
    halves(a, b, |a, b| a - b)
}

fn get(cells: &[Cell<i32>], at: usize) -> i32 {
    cells.get(at).map_or(0, Cell::get)
}

pub(super) fn load(
    v: &[Cell<i32>],
    columns: &[Cell<i32>],
    rows: [&[Cell<i8>]; 4],
    channels: usize,
    left: usize,
    padding: i32,
) {
    for group in 0..channels / 4 {
        for (x, column) in columns.chunks_exact(COLUMN).enumerate() {
            for pair in 0..2 {
                let pixel = x.checked_sub(left).map(|x| x * channels + 4 * group);
                let pixel = pixel.filter(|&at| at < rows[0].len());
                let d = |row: usize| {
                    let word = word(pixel.and_then(|at| rows[row].get(at..)).unwrap_or(&[]));
                    sxtb16(word.rotate_right(8 * pair as u32))
                };
                let rows = match pixel {
                    Some(_) => {
                        [sadd16(d(1), d(2)), ssub16(d(0), d(2)), ssub16(d(2), d(1)), ssub16(d(1), d(3))]
                    }
                    None => [padding, 0, 0, 0],
                };
                for (row, word) in rows.into_iter().enumerate() {
                    set(column, 2 * row + pair, word);
                }
            }
        }
        for pair in 0..2 {
            let v = v.get((2 * group + pair) * PAIR..).unwrap_or(&[]);
            for (row, tile) in (0..4 * TILE).map(|at| (at / TILE, at % TILE)) {
                let c = |x: usize| get(columns, (2 * tile + x) * COLUMN + 2 * row + pair);
                let words = [ssub16(c(0), c(2)), sadd16(c(1), c(2)), ssub16(c(2), c(1)), ssub16(c(1), c(3))];
                for (x, word) in words.into_iter().enumerate() {
                    set(v, (4 * x + row) * TILE + tile, word);
                }
            }
        }
    }
    debug_assert_eq!(columns.len(), COLUMNS * COLUMN);
}

pub(super) fn multiply<const GENERAL: bool>(
    v: &[Cell<i32>],
    sums: &[Cell<i32>],
    filters: &Filters<'_>,
    channels: &Channels<'_>,
    out: &Outputs<'_>,
) {
    let pairs = v.len() / PAIR;
    for (number, filters) in filters.words.chunks_exact(SLOTS * pairs * 2).enumerate() {
        let mut acc = [0i32; 2 * TILE];
        for (slot, filters) in filters.chunks_exact(pairs * 2).enumerate() {
            if slot % 2 == 0 {
                acc = [0; 2 * TILE];
            }
            for (pair, filters) in filters.chunks_exact(2).enumerate() {
                for (at, acc) in acc.iter_mut().enumerate() {
                    let v = get(v, pair * PAIR + slot * TILE + at / 2);
                    *acc = smlad(filters[at % 2] as i32, v, *acc);
                }
            }
            for (at, acc) in acc.iter().enumerate() {
                set(sums, slot * 2 * TILE + at, *acc);
            }
        }
        for (tile, half) in (0..2 * TILE).map(|at| (at / 2, at % 2)) {
            let channel = 2 * number + half;
            let m = |slot: usize| get(sums, slot * 2 * TILE + 2 * tile + half);
            let bias = if GENERAL { 0 } else { channels.bias(channel) << 2 };
            let add = i32::wrapping_add;
            let sub = i32::wrapping_sub;
            let a: [i32; 4] = core::array::from_fn(|x| add(m(4 * x + 1), m(4 * x + 2)));
            let b: [i32; 4] = core::array::from_fn(|x| sub(m(4 * x), m(4 * x + 3)));
            for (y, [first, second, third, fourth]) in [a, b].into_iter().enumerate() {
                let second = add(second, bias);
                let results = [add(add(first, second), third), sub(sub(second, third), fourth)];
                for (x, result) in results.into_iter().enumerate() {
                    if 2 * tile + x < out.width && y < out.height {
                        let at = y * out.row + (2 * tile + x) * out.pixel + channel;
                        out.cells[at].set(match GENERAL {
                            true => {
                                channels.finish_general(channel, add(channels.bias(channel), result >> 2))
                            }
                            false => channels.finish(channel, result >> 1),
                        });
                    }
                }
            }
        }
    }
}
