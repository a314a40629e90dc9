//! Convolutions by tiles, prepared once per layer: the safe interface of the leaves for the tiles of a row. What is left of
//! a row has its sizes checked anew for each tile, as segments do.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ops::Range;

use super::Rv32im;
#[cfg(kernels = "rv32im")]
use super::{BLOCK, Channels, TILE, asm, leaf};
use crate::kernels::{ByTiles, Job, Patches, Unprepared};

/// A layer.
#[derive(Debug)]
pub struct Tiled<'a> {
    job: Job<'a>,
    /// The product, if all fits.
    #[cfg(kernels = "rv32im")]
    product: Option<asm::Blocks>,
}

impl<'a> ByTiles<'a> for Tiled<'a> {
    #[inline(always)]
    fn new(job: &Job<'a>) -> Self {
        Tiled {
            job: *job,
            #[cfg(kernels = "rv32im")]
            product: product(job),
        }
    }

    #[inline(always)]
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>) {
        Unprepared::<Rv32im>::new(&self.job).load(patches, lanes);
    }

    #[inline(always)]
    fn multiply(&mut self, pixels: usize, out: &[Cell<i8>]) {
        Unprepared::<Rv32im>::new(&self.job).multiply(pixels, out);
    }

    #[cfg(kernels = "rv32im")]
    #[inline]
    fn tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        let Job { tile, weights, stage, step, pitch, out_stride } = self.job;
        let (lines, line) = (weights.shape.lines as usize, weights.shape.line as usize);
        let pixels = count.wrapping_mul(TILE);
        let fits = self.job.holds(patches, pixels) && self.job.has_room(pixels, out);
        let (Some(product), true) = (&mut self.product, fits) else { return 0 };
        if weights.shape.channels == 1 && count != 0 {
            // SAFETY: the lines of all pixels are inside the source, and outputs of as many inside `out`; `product` has found
            // a weight for each of their elements, and a bias and a multiplier.
            unsafe { single(&self.job, product, patches, count, out) };
            return count;
        }
        let cells: *const i8 = patches.cells.as_ptr().cast();
        let tile: *mut i8 = tile.as_ptr().cast_mut().cast();
        let mut first: *mut i8 = out.as_ptr().cast_mut().cast();
        let (mut start, mut again) = (patches.start, patches.again);
        // Patches that are as contiguous in the source as in the tile are one line. Where all channels are made in one pass,
        // which reads the whole tile before it writes, the line is read where it is.
        let is_one = lines == 1 && step == line;
        let is_read_once = matches!(weights.shape.channels, 2 | 4);
        for _ in 0..count {
            // SAFETY: the lines of all pixels are inside the source, and outputs of as many inside `out`; `product` has
            // checked the rest. Cells may be written through a shared reference; no unique reference to them exists.
            unsafe {
                if is_one && is_read_once {
                    product.tile = cells.add(start);
                } else if is_one {
                    asm::copy(cells.add(start), tile, line.wrapping_mul(TILE));
                } else {
                    let mut target = tile;
                    for lane in 0..TILE {
                        let column = lane.wrapping_mul(step);
                        let mut place = start.wrapping_add(column);
                        for number in 0..lines {
                            if number == patches.until_end {
                                place = again.wrapping_add(column);
                            }
                            asm::copy(cells.add(place), target, line);
                            place = place.wrapping_add(pitch);
                            target = target.add(line);
                        }
                    }
                }
                // The leaf has moved all of these on.
                product.weights = weights.bytes.as_ptr().cast();
                product.bias = stage.bias.as_ptr();
                product.multipliers = stage.multipliers.as_ptr();
                product.blocks = weights.shape.channels as usize / BLOCK;
                for (lane, place) in product.out.iter_mut().enumerate() {
                    *place = first.wrapping_add(out_stride.wrapping_mul(lane));
                }
                asm::blocks(&raw mut *product);
            }
            start = start.wrapping_add(step.wrapping_mul(TILE));
            again = again.wrapping_add(step.wrapping_mul(TILE));
            first = first.wrapping_add(out_stride.wrapping_mul(TILE));
        }
        count
    }

    #[inline(always)]
    fn finish(&self, _: &[Cell<i8>]) {}
}

/// Makes the tiles of a layer with one channel, of which there is one at least. Not inlined, so that other layers need no
/// stack for it.
///
/// # Safety
/// All sizes that `tiles` checks fit. Cells may be written through a shared reference; no unique reference to them exists.
#[cfg(kernels = "rv32im")]
#[inline(never)]
unsafe fn single(
    job: &Job<'_>,
    product: &asm::Blocks,
    patches: &Patches<'_>,
    count: usize,
    out: &[Cell<i8>],
) {
    let &Job { weights, stage, step, pitch, out_stride, .. } = job;
    let &Patches { cells, start, until_end, again } = patches;
    let (lines, line) = (weights.shape.lines as usize, weights.shape.line as usize);
    let (bias, multiplier) = stage.channel(0);
    let right = !multiplier.shift as u32;
    let pitch = pitch.wrapping_sub(line);
    let behind = lines.wrapping_sub(until_end);
    let mut work = asm::Single {
        source: cells.as_ptr().cast::<i8>().wrapping_add(start),
        apart: step,
        line,
        lines,
        behind,
        pitch,
        back: again.wrapping_sub(start).wrapping_sub(until_end.wrapping_mul(job.pitch)).wrapping_add(pitch),
        weights: weights.bytes.as_ptr().cast(),
        bias,
        mantissa: (multiplier.mantissa as u32).wrapping_mul(2),
        shift: right.wrapping_add(1),
        round: product.half.wrapping_shl(right),
        min: product.min,
        max: product.max,
        out: out.as_ptr().cast_mut().cast(),
        out_stride,
        count,
    };
    // SAFETY: as promised.
    unsafe { asm::single(&raw mut work) };
}

/// The product of whole tiles, where all fits.
#[cfg(kernels = "rv32im")]
#[inline]
fn product(job: &Job<'_>) -> Option<asm::Blocks> {
    let &Job { tile, weights, stage, .. } = job;
    let count = weights.shape.channels as usize;
    let channels = Channels::of(stage, 0, count);
    let depth = weights.shape.depth()? as usize;
    let fits = count != 0
        && depth != 0
        && channels.cover(count)
        && tile.len() / TILE >= depth
        && depth.checked_mul(count).is_some_and(|bytes| bytes <= weights.bytes.len());
    fits.then(|| asm::Blocks {
        tile: tile.as_ptr().cast(),
        depth,
        weights: weights.bytes.as_ptr().cast(),
        bias: channels.bias.as_ptr(),
        multipliers: channels.multipliers.as_ptr(),
        out: [tile.as_ptr().cast_mut().cast(); TILE],
        blocks: count / BLOCK,
        rest: count % BLOCK,
        half: channels.half,
        step: leaf::step(&channels),
        min: channels.min,
        max: channels.max,
    })
}
