//! Convolutions by tiles: the safe interface of their leaves. It checks sizes once per layer, and once per call what
//! each call brings along; if they do not fit, nothing is computed.
//!
//! A halfword of [general pairs](crate::packing::Packing::general) holds the bytes of two channels, which SXTB16 takes
//! apart: one instruction more for 16 products than with borrowed pairs, and both sums are exact modulo 2^32. Their
//! multipliers may be any.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7em")]
mod asm;
#[cfg(not(kernels = "armv7em"))]
mod emulated;

use core::cell::Cell;
use core::ops::Range;

#[cfg(not(kernels = "armv7em"))]
use super::Tile;
use super::{Channels, clamp_rows, groups, weight_words, words};
use crate::kernels::elementwise::clamp_to;
use crate::kernels::{ByTiles, Job, Patches, TILE};
use crate::packing::Matrix;

/// Distances between pixels, lines and outputs are below this, so that no sum of a few overflows.
const FAR: usize = 1 << 27;

/// A layer: how its patches are loaded, and how they are multiplied.
#[derive(Debug)]
pub struct Tiled<'a> {
    product: Product<'a>,
    #[cfg(not(kernels = "armv7em"))]
    tile: &'a [Cell<i32>],
    /// Bounds of outputs.
    min: i32,
    max: i32,
    /// Elements from one pixel to the next, and from one line to the next.
    step: usize,
    pitch: usize,
    /// Elements of a line.
    len: usize,
    /// Lines of a patch; none where something does not fit.
    lines: usize,
}

impl<'a> ByTiles<'a> for Tiled<'a> {
    #[inline(always)]
    fn new(job: &Job<'a>) -> Self {
        let &Job { weights, stage, step, pitch, out_stride, .. } = job;
        let tile = words(job.tile);
        let (lines, len) = (weights.shape.lines as usize, weights.shape.line as usize);
        let product = Product::new(tile, weights, &Channels::all(stage), out_stride);
        // The product's groups are those of all lines then.
        let fits = product.count() != 0
            && lines.checked_mul(len).is_some_and(|depth| depth != 0)
            && step < FAR
            && lines.checked_mul(pitch).is_some_and(|all| all < FAR);
        Tiled {
            product,
            #[cfg(not(kernels = "armv7em"))]
            tile,
            min: stage.min,
            max: stage.max,
            step,
            pitch,
            len,
            lines: if fits { lines } else { 0 },
        }
    }

    #[inline(never)]
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>) {
        let count = lanes.end.wrapping_sub(lanes.start);
        if lanes.end > TILE || !self.holds(patches, count, self.len) {
            return;
        }
        #[cfg(kernels = "armv7em")]
        let mut work = self.patches(patches);
        #[cfg(not(kernels = "armv7em"))]
        let first = lanes.start;
        for lane in lanes {
            // SAFETY: the lines of `count` pixels are inside the source, as was just found, and their words inside the
            // tile, as `new` has found.
            #[cfg(kernels = "armv7em")]
            unsafe {
                asm::lane(&raw const work, self.product.work.tile.add(lane));
                work.source = work.source.wrapping_add(self.step);
            }
            #[cfg(not(kernels = "armv7em"))]
            emulated::lane(self, patches, lane, lane.wrapping_sub(first));
        }
    }

    #[inline(always)]
    fn multiply(&mut self, pixels: usize, out: &[Cell<i8>]) {
        self.product.multiply::<false>(pixels, out);
    }

    #[inline(never)]
    fn tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        self.tiles_of::<false>(patches, count, out)
    }

    #[inline(never)]
    fn general_tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        let made = self.tiles_of::<true>(patches, count, out);
        let channels = self.product.count();
        clamp_rows(self.min, self.max, out, made.wrapping_mul(TILE), channels, self.product.out_stride);
        made
    }

    #[inline(always)]
    fn finish(&self, out: &[Cell<i8>]) {
        clamp_to(self.min, self.max, out);
    }
}

impl Tiled<'_> {
    /// Whole words are read at the ends of lines, so that the last tile of an image may not be among these.
    #[inline(always)]
    fn tiles_of<const GENERAL: bool>(
        &mut self,
        patches: &Patches<'_>,
        count: usize,
        out: &[Cell<i8>],
    ) -> usize {
        let whole = self.len.wrapping_add(3) & !3;
        let count = if self.holds(patches, count.wrapping_mul(TILE), whole) {
            count
        } else {
            count.saturating_sub(1)
        };
        let Some(last) = count.wrapping_mul(TILE).checked_sub(1) else { return 0 };
        if !self.holds(patches, last.wrapping_add(1), whole) || !self.product.has_room(last, out) {
            return 0;
        }
        // SAFETY: the lines of all pixels, filled up to whole words, are inside the source, and their words inside the
        // tile, as `new` has found; outputs of as many pixels are inside `out`.
        #[cfg(kernels = "armv7em")]
        unsafe {
            let mut patches = self.patches(patches);
            self.product.run::<GENERAL>(TILE - 1, count, &raw mut patches, out);
        }
        #[cfg(not(kernels = "armv7em"))]
        for number in 0..count {
            let pixel = number * TILE;
            self.load(&patches.skip(pixel * self.step), 0..TILE);
            self.product.multiply::<GENERAL>(TILE, &out[pixel * self.product.out_stride..]);
        }
        count
    }

    /// Whether `count` patches are inside their source, where `len` elements of each line count. No distance between two
    /// lines overflows then.
    #[inline(never)]
    fn holds(&self, patches: &Patches<'_>, count: usize, len: usize) -> bool {
        let &Patches { cells, start, until_end, again } = patches;
        let last = count.wrapping_sub(1).checked_mul(self.step).filter(|&last| last < FAR);
        let (Some(last), Some(behind)) = (last, self.lines.checked_sub(until_end)) else { return false };
        // The end of the patch, a line further.
        let end = |first: usize, lines: usize| first.wrapping_add(lines.wrapping_mul(self.pitch));
        let end = end(start, until_end).max(end(again, behind)).wrapping_add(len).wrapping_add(last);
        start.max(again) < FAR && behind < self.lines && end <= cells.len().wrapping_add(self.pitch)
    }

    #[cfg(kernels = "armv7em")]
    #[inline(never)]
    fn patches(&self, patches: &Patches<'_>) -> asm::Patches {
        let &Patches { cells, start, until_end, again } = patches;
        let pitch = self.pitch.wrapping_sub(self.len.wrapping_add(3) & !3);
        let behind = self.lines.wrapping_sub(until_end);
        asm::Patches {
            source: cells.as_ptr().cast::<i8>().wrapping_add(start),
            apart: self.step,
            lines: self.lines,
            behind,
            pitch,
            back: pitch
                .wrapping_add(again)
                .wrapping_sub(start)
                .wrapping_sub(until_end.wrapping_mul(self.pitch)),
            groups: self.len / 4,
            mask: !(u32::MAX << (8 * (self.len & 3))),
            rest: self.len & 3,
        }
    }
}

/// The product of a tile with all channels.
#[derive(Debug)]
pub(super) struct Product<'a> {
    #[cfg(not(kernels = "armv7em"))]
    tile: Tile<'a>,
    #[cfg(not(kernels = "armv7em"))]
    weights: &'a [u32],
    #[cfg(not(kernels = "armv7em"))]
    channels: Channels<'a>,
    #[cfg(kernels = "armv7em")]
    work: asm::Tiles,
    #[cfg(kernels = "armv7em")]
    lives: core::marker::PhantomData<&'a u32>,
    /// Channels; none where something does not fit.
    #[cfg(not(kernels = "armv7em"))]
    count: usize,
    out_stride: usize,
}

impl<'a> Product<'a> {
    #[inline(always)]
    pub(super) fn new(
        tile: &'a [Cell<i32>],
        weights: &Matrix<'a>,
        channels: &Channels<'a>,
        out_stride: usize,
    ) -> Product<'a> {
        let groups = groups(weights);
        let count = weights.shape.channels as usize;
        let weights = weight_words(weights);
        let even = count.wrapping_add(1) & !1;
        let fits = groups != 0
            && tile.len() / (2 * TILE) >= groups
            && even.checked_mul(groups).is_some_and(|words| words <= weights.len())
            && channels.cover(count)
            && count < FAR
            && out_stride < FAR;
        let count = if fits { count } else { 0 };
        #[cfg(kernels = "armv7em")]
        {
            let words: *mut i32 = tile.as_ptr().cast_mut().cast();
            let work = asm::Tiles {
                tile: words,
                weights: weights.as_ptr(),
                bias: channels.bias.as_ptr(),
                multipliers: channels.multipliers.as_ptr(),
                out: words.cast(),
                places: [out_stride; 3],
                channels: count,
                skipped: groups.wrapping_mul(6) & 6,
                end: words.wrapping_add(groups.wrapping_mul(2 * TILE)),
                half: channels.half,
                step: channels.step(),
                to_next: out_stride.wrapping_mul(TILE).wrapping_sub(count),
                count: 0,
                patches: core::ptr::null_mut(),
            };
            Product { work, lives: core::marker::PhantomData, out_stride }
        }
        #[cfg(not(kernels = "armv7em"))]
        Product {
            tile: Tile { words: tile, groups, pixels: TILE },
            weights,
            channels: *channels,
            count,
            out_stride,
        }
    }

    #[inline(always)]
    fn count(&self) -> usize {
        #[cfg(kernels = "armv7em")]
        return self.work.channels;
        #[cfg(not(kernels = "armv7em"))]
        self.count
    }

    /// Whether there is room for the outputs of the pixels up to the one with the number `last`.
    #[inline(always)]
    fn has_room(&self, last: usize, out: &[Cell<i8>]) -> bool {
        let end = last.checked_mul(self.out_stride).and_then(|place| place.checked_add(self.count()));
        self.count() != 0 && end.is_some_and(|end| end <= out.len())
    }

    /// Makes all channels of the first `pixels` pixels, without clamping them, with general weights or such that keep to
    /// the bounds.
    #[inline(never)]
    pub(super) fn multiply<const GENERAL: bool>(&mut self, pixels: usize, out: &[Cell<i8>]) {
        let last = pixels.wrapping_sub(1);
        if last >= TILE || !self.has_room(last, out) {
            return;
        }
        // SAFETY: the sizes were checked above and by `new`.
        #[cfg(kernels = "armv7em")]
        unsafe {
            self.run::<GENERAL>(last, 0, core::ptr::null_mut(), out);
        }
        #[cfg(not(kernels = "armv7em"))]
        {
            let pairs = if GENERAL { emulated::general_pairs } else { emulated::pairs };
            pairs(&Tile { pixels, ..self.tile }, self.weights, &self.channels, out, self.out_stride);
        }
    }

    /// Runs the leaf for a tile, whose last pixel has the number `last`, or for `count` that it loads.
    ///
    /// # Safety
    /// What `new` has checked fits: two words for each pixel and group are in the tile, two words of weights for each
    /// group and pair of channels, a bias for each channel, as many multipliers or one. Outputs and patches fit, too.
    /// Cells may be written through a shared reference; no unique reference to them exists.
    #[cfg(kernels = "armv7em")]
    #[inline(always)]
    unsafe fn run<const GENERAL: bool>(
        &mut self,
        last: usize,
        count: usize,
        patches: *mut asm::Patches,
        out: &[Cell<i8>],
    ) {
        let work = &mut self.work;
        work.places = [last.min(1), last.min(2), last].map(|lane| lane.wrapping_mul(self.out_stride));
        work.out = out.as_ptr().cast_mut().cast();
        work.count = count;
        work.patches = patches;
        // SAFETY: as promised.
        unsafe { if GENERAL { asm::general_tiles(work) } else { asm::tiles(work) } };
    }
}
