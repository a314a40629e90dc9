//! Convolutions with packed weights, tile by tile: what a set finds out about a layer once, before its first tile.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Range;

use super::{Kernels, Lines, Stage};
use crate::packing::Matrix;

/// A layer whose patches are gathered into tiles and multiplied with packed weights.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Scratch memory for [`TILE`](super::TILE) patches: see [`Kernels::load_lines`].
    pub tile: &'a [Cell<u8>],
    /// The weights of all channels.
    pub weights: &'a Matrix<'a>,
    /// Their output stage.
    pub stage: &'a Stage<'a>,
    /// Elements of the source from one pixel to the next.
    pub step: usize,
    /// Elements of the source from one line to the next.
    pub pitch: usize,
    /// Elements of the output from one pixel to the next.
    pub out_stride: usize,
}

/// Distances between pixels, lines and outputs are below this where they count, so that no sum of a few overflows.
#[cfg(any(kernels = "mve", kernels = "rv32im"))]
const FAR: usize = 1 << 27;

#[cfg(any(kernels = "mve", kernels = "rv32im"))]
impl Job<'_> {
    /// Whether the lines of `count` patches are inside their source. No distance from one line to another overflows then.
    #[inline]
    pub(super) fn holds(&self, patches: &Patches<'_>, count: usize) -> bool {
        let shape = &self.weights.shape;
        let (lines, line) = (shape.lines as usize, shape.line as usize);
        let &Patches { cells, start, until_end, again } = patches;
        let last = count.wrapping_sub(1).checked_mul(self.step).filter(|&last| last < FAR);
        let (Some(last), Some(behind)) = (last, lines.checked_sub(until_end)) else { return false };
        // The end of the last patch, a line further.
        let end = |first: usize, lines: usize| first.wrapping_add(lines.wrapping_mul(self.pitch));
        let end = end(start, until_end).max(end(again, behind)).wrapping_add(line).wrapping_add(last);
        behind < lines
            && start.max(again) < FAR
            && line.wrapping_sub(1) < FAR
            && lines.checked_mul(self.pitch.max(line)).is_some_and(|all| all < FAR)
            && end <= cells.len().wrapping_add(self.pitch)
    }

    /// Whether there is room for the outputs of `count` pixels, at least one.
    #[inline(always)]
    pub(super) fn has_room(&self, count: usize, out: &[Cell<i8>]) -> bool {
        let place = count.wrapping_sub(1).checked_mul(self.out_stride).filter(|&place| place < FAR);
        let channels = self.weights.shape.channels as usize;
        channels < FAR && place.is_some_and(|place| place.wrapping_add(channels) <= out.len())
    }
}

/// Patches of adjacent pixels in memory: lines of the first `until_end` kernel rows from element `start` on, and those of
/// the others from element `again` on, where a ring of rows begins.
#[derive(Clone, Copy, Debug)]
pub struct Patches<'a> {
    /// Elements, those of all patches among them.
    pub cells: &'a [Cell<i8>],
    /// Where the first pixel's first line starts.
    pub start: usize,
    /// Lines from there on, at least one.
    pub until_end: usize,
    /// Where the first pixel's line behind these starts.
    pub again: usize,
}

impl<'a> Patches<'a> {
    /// The patches of the pixels behind those in the first `elements` elements.
    #[inline(always)]
    #[must_use]
    pub fn skip(&self, elements: usize) -> Patches<'a> {
        let (start, again) = (self.start.wrapping_add(elements), self.again.wrapping_add(elements));
        Patches { start, again, ..*self }
    }
}

/// A kernel set's way through a [`Job`].
pub trait ByTiles<'a> {
    /// Prepares the layer.
    fn new(job: &Job<'a>) -> Self;

    /// Loads the patches of some pixels into the tile, as [`Kernels::load_lines`] does.
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>);

    /// Makes all channels of the first `pixels` pixels of the tile, as [`Kernels::matmul_packed`] does; they may be
    /// unclamped. `out` starts with the first pixel's.
    fn multiply(&mut self, pixels: usize, out: &[Cell<i8>]);

    /// Loads and multiplies up to `count` whole tiles of pixels, and returns how many: less where this is no faster
    /// than [`load`](ByTiles::load) and [`multiply`](ByTiles::multiply) are.
    #[inline(always)]
    fn tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        let _ = (patches, count, out);
        0
    }

    /// The same for weights in the set's [general](crate::packing::Packing::general) packing; what it makes is clamped.
    #[inline(always)]
    fn general_tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        let _ = (patches, count, out);
        0
    }

    /// Clamps all that was made.
    fn finish(&self, out: &[Cell<i8>]);
}

/// The way of sets that prepare nothing.
#[derive(Debug)]
pub struct Unprepared<'a, K> {
    pub(super) job: Job<'a>,
    kernels: PhantomData<K>,
}

impl<'a, K: Kernels> ByTiles<'a> for Unprepared<'a, K> {
    #[inline(always)]
    fn new(job: &Job<'a>) -> Self {
        Unprepared { job: *job, kernels: PhantomData }
    }

    #[inline(always)]
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>) {
        let Job { tile, weights, step, pitch, .. } = self.job;
        let shape = &weights.shape;
        let &Patches { cells, start, until_end, again } = patches;
        let (mut first, mut lines) = (start, 0..until_end);
        loop {
            let source = cells.get(first..).unwrap_or(&[]);
            let end = lines.end;
            K::load_lines(tile, shape, &Lines { source, lanes: lanes.clone(), step, lines, pitch });
            if end >= shape.lines as usize {
                return;
            }
            (first, lines) = (again, end..shape.lines as usize);
        }
    }

    #[inline(always)]
    fn multiply(&mut self, pixels: usize, out: &[Cell<i8>]) {
        let Job { tile, weights, stage, out_stride, .. } = self.job;
        K::matmul_packed(tile, pixels, weights, stage, out, out_stride);
    }

    #[inline(always)]
    fn finish(&self, _: &[Cell<i8>]) {}
}

/// The way of the set `K` for its own packings, general ones among them.
#[derive(Debug)]
pub struct OfBothKinds<'a, K: Kernels> {
    bounded: K::Tiled<'a>,
    job: Job<'a>,
}

impl<'a, K: Kernels> ByTiles<'a> for OfBothKinds<'a, K> {
    #[inline(always)]
    fn new(job: &Job<'a>) -> Self {
        OfBothKinds { bounded: K::Tiled::new(job), job: *job }
    }

    #[inline(always)]
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>) {
        self.bounded.load(patches, lanes);
    }

    #[inline(always)]
    fn multiply(&mut self, pixels: usize, out: &[Cell<i8>]) {
        let Job { tile, weights, stage, out_stride, .. } = self.job;
        if weights.shape.packing.general {
            K::matmul_general(tile, pixels, weights, stage, out, out_stride);
        } else {
            self.bounded.multiply(pixels, out);
        }
    }

    #[inline(always)]
    fn tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        if self.job.weights.shape.packing.general {
            self.bounded.general_tiles(patches, count, out)
        } else {
            self.bounded.tiles(patches, count, out)
        }
    }

    #[inline(always)]
    fn finish(&self, out: &[Cell<i8>]) {
        if !self.job.weights.shape.packing.general {
            self.bounded.finish(out);
        }
    }
}
