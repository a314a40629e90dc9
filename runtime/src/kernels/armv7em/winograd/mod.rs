//! Winograd's F(2x2, 3x3). Transformed pixels and filters are 16-bit numbers, with two input channels in a
//! word.
//!
//! ```text
//! scratch   V: for each pair of input channels, each slot, each tile a word     | work
//! work      while pixels are loaded: columns of B d, then a line of padding
//!           while outputs are computed: sums of two output channels, for each slot and tile
//! ```
//! This is the safe interface of the leaves, which are in `asm.rs` and, for the host, in `emulated.rs`. It
//! checks sizes once per call; if they do not fit, nothing is computed.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7em")]
mod asm;
#[cfg(not(kernels = "armv7em"))]
mod emulated;

use core::cell::Cell;

use super::{Channels, words};
use crate::kernels::{COLUMNS, Outputs, Stage, TILE, Tiles};
use crate::tensor::{cells_of, fill_short};
use crate::winograd::{Filters, SLOTS, padded_inputs};

/// Words of `V` of a pair of input channels.
const PAIR: usize = SLOTS * TILE;

/// Words of a column of `B d` for four channels: two pairs of channels, four rows.
const COLUMN: usize = 8;

/// Words of the sums of two output channels.
const SUMS: usize = SLOTS * TILE * 2;

/// Input channels in a step of the inner loop.
const BLOCK: usize = 16;

/// The parts of scratch memory.
struct Parts<'a> {
    /// Aligned to [`Tiles::ALIGNMENT`].
    v: &'a [Cell<i32>],
    work: &'a [Cell<u8>],
}

fn split<'a>(tiles: &Tiles<'a>) -> Option<Parts<'a>> {
    let misplaced = (tiles.cells.as_ptr() as usize).wrapping_neg() % Tiles::ALIGNMENT;
    let pairs = padded_inputs(tiles.channels as u32)? as usize / 2;
    let (v, work) = tiles.cells.get(misplaced..)?.split_at_checked(pairs * PAIR * 4)?;
    Some(Parts { v: cells_of(v)?, work })
}

/// See [`Kernels::load_tiles`](crate::kernels::Kernels::load_tiles).
pub(super) fn load(tiles: &Tiles<'_>, rows: [&[Cell<i8>]; 4], left: usize, zero_point: i8) {
    let channels = tiles.channels;
    let Some(Parts { v, work }) = split(tiles) else { return };
    let Some((columns, line)) = work.split_at_checked(COLUMNS * COLUMN * 4) else { return };
    let columns = words(columns);
    let size = rows.iter().fold(0, |size, row| size.max(row.len()));
    let count = size.checked_div(channels).unwrap_or(0);
    let line: &[Cell<i8>] = line.get(..size).and_then(cells_of).unwrap_or(&[]);
    if rows.iter().any(|row| row.is_empty()) {
        fill_short(line, zero_point);
    }
    let rows = rows.map(|row| if row.is_empty() { line } else { row });
    let fits = channels & 3 == 0
        && channels != 0
        && columns.len() == COLUMNS * COLUMN
        && v.len() >= channels / 2 * PAIR
        && rows.iter().all(|row| row.len() == count.wrapping_mul(channels))
        && left.wrapping_add(count) <= COLUMNS;
    if !fits {
        return;
    }
    // The value of `B d` in a column of padding, where it is not 0.
    let double = i32::from(zero_point) * 2;
    let padding = double & 0xFFFF | double << 16;
    // SAFETY: the sizes were checked above: four rows of `count * channels` elements, `COLUMNS` columns of
    // work memory, which is the sum `left + count + right`, and `V` of `channels / 2` pairs. Cells may be
    // written through a shared reference; no unique reference to them exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let mut load = asm::Load {
            rows: rows.map(|row| row.as_ptr().cast()),
            channels,
            groups: channels / 4,
            left,
            count,
            right: COLUMNS - left - count,
            padding,
            columns: columns.as_ptr().cast_mut().cast(),
            target: v.as_ptr().cast_mut().cast(),
        };
        asm::load(&raw mut load);
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::load(v, columns, rows, channels, left, padding);
}

/// See [`Kernels::matmul_tiles`](crate::kernels::Kernels::matmul_tiles), and if `GENERAL`
/// [`Kernels::matmul_tiles_general`](crate::kernels::Kernels::matmul_tiles_general). The outputs are not clamped yet.
pub(super) fn multiply<const GENERAL: bool>(
    tiles: &Tiles<'_>,
    filters: &Filters<'_>,
    stage: &Stage<'_>,
    out: &Outputs<'_>,
) {
    let outputs = filters.outputs as usize;
    let channels = Channels::of(stage, 0, outputs);
    let Some(Parts { v, work }) = split(tiles) else { return };
    let sums = words(work);
    let pairs = v.len() / PAIR;
    let fits = sums.len() >= SUMS
        && pairs != 0
        && (pairs * 2).is_multiple_of(BLOCK)
        && outputs >= 2
        && outputs & 1 == 0
        && filters.words.len() >= pairs.wrapping_mul(SLOTS).wrapping_mul(outputs)
        && channels.cover(outputs)
        && (1..=2 * TILE).contains(&out.width)
        && (1..=2).contains(&out.height)
        && out.cells.len()
            >= out
                .row
                .wrapping_mul(out.height - 1)
                .wrapping_add(out.pixel.wrapping_mul(out.width - 1))
                .wrapping_add(outputs);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: `pairs` pairs of `V`, `SLOTS` words for each of them and each
    // output channel of filters, `SUMS` words of work memory, a bias and a multiplier for each output
    // channel; in `out`, `outputs` elements for each pixel, where missing pixels have the address of one that
    // exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let first: *mut i8 = out.cells.as_ptr().cast_mut().cast();
        let count = out.width.div_ceil(2);
        let place = |tile: usize| {
            let x = tile.min(count - 1) * 2;
            let column = if x + 1 < out.width { out.pixel } else { 0 };
            asm::Place { first: first.add(x.wrapping_mul(out.pixel)), column }
        };
        let mut work = asm::Multiply {
            v: v.as_ptr().cast(),
            filters: filters.words.as_ptr(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: channels.step(),
            half: channels.half,
            pairs: outputs / 2,
            span: pairs * PAIR * 4,
            sums: sums.as_ptr().cast_mut().cast(),
            tiles_end: count * 8,
            pitch: if out.height == 2 { out.row } else { 0 },
            places: [place(0), place(1), place(2), place(3)],
        };
        if GENERAL { asm::multiply_general(&raw mut work) } else { asm::multiply(&raw mut work) }
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::multiply::<GENERAL>(v, sums, filters, &channels, out);
}
