//! Convolutions whose weights are packed in another way than a set's own for bounded numbers.

use core::cell::Cell;
use core::ops::Range;

use super::{ByTiles, Job, Kernels, Patches, Portable, Unprepared};

/// The way of the set `K` for its own general packing, and of the portable set for any other.
#[derive(Debug)]
pub struct OfUnusual<'a, K: Kernels> {
    bounded: K::Tiled<'a>,
    foreign: Unprepared<'a, Portable>,
}

impl<K: Kernels> OfUnusual<'_, K> {
    #[inline(always)]
    fn is_own(&self) -> bool {
        self.foreign.job.weights.shape.packing.is_a(K::POLICY.conv.general())
    }
}

impl<'a, K: Kernels> ByTiles<'a> for OfUnusual<'a, K> {
    #[inline(always)]
    fn new(job: &Job<'a>) -> Self {
        OfUnusual { bounded: K::Tiled::new(job), foreign: Unprepared::new(job) }
    }

    #[inline(never)]
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>) {
        if self.is_own() {
            self.bounded.load(patches, lanes);
        } else {
            self.foreign.load(patches, lanes);
        }
    }

    #[inline(never)]
    fn multiply(&mut self, pixels: usize, out: &[Cell<i8>]) {
        let Job { tile, weights, stage, out_stride, .. } = self.foreign.job;
        let product = if self.is_own() { K::matmul_general } else { Portable::matmul_packed };
        product(tile, pixels, weights, stage, out, out_stride);
    }

    #[inline(never)]
    fn tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        if self.is_own() { self.bounded.general_tiles(patches, count, out) } else { 0 }
    }

    #[inline(always)]
    fn finish(&self, _: &[Cell<i8>]) {}
}
