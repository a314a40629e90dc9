//! Convolutions by tiles, prepared once per layer: the safe interface of the leaves for whole quads of channels with
//! multipliers of their own, and once per row of tiles for general weights, of any number of channels. Other layers have
//! their sizes checked anew for each tile, as segments do.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ops::Range;

#[cfg(kernels = "mve")]
use super::asm;
#[cfg(kernels = "mve")]
use super::{Channels, Last, QUAD, TILE, VECTOR, put, shared, whole};
use super::{Mve, clamp, is_narrow};
use crate::kernels::{ByTiles, Job, Kernels, Patches};

/// A layer.
#[derive(Debug)]
pub struct Tiled<'a> {
    job: Job<'a>,
    /// The product, if the leaf makes all channels.
    #[cfg(kernels = "mve")]
    product: Option<asm::Quads>,
}

impl<'a> ByTiles<'a> for Tiled<'a> {
    #[inline(always)]
    fn new(job: &Job<'a>) -> Self {
        Tiled {
            job: *job,
            #[cfg(kernels = "mve")]
            product: product(job),
        }
    }

    #[cfg(kernels = "mve")]
    #[inline(never)]
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>) {
        let count = lanes.end.wrapping_sub(lanes.start);
        let Some(loads) = self.loads(patches, count).filter(|_| lanes.end <= TILE) else { return };
        for mut load in loads.into_iter().filter(|load| load.lines != 0) {
            load.lanes = count;
            load.target = load.target.wrapping_add(load.depth.wrapping_mul(lanes.start));
            // SAFETY: `loads` has checked the source and the lines of a patch; the lanes are in the tile.
            unsafe { asm::load(&raw const load) };
        }
    }

    #[cfg(not(kernels = "mve"))]
    fn load(&mut self, patches: &Patches<'_>, lanes: Range<usize>) {
        crate::kernels::Unprepared::<Mve>::new(&self.job).load(patches, lanes);
    }

    #[inline(never)]
    fn multiply(&mut self, pixels: usize, out: &[Cell<i8>]) {
        let Job { tile, weights, stage, out_stride, .. } = self.job;
        Mve::matmul_packed(tile, pixels, weights, stage, out, out_stride);
    }

    #[cfg(kernels = "mve")]
    #[inline(never)]
    fn tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        self.whole_quads::<false>(patches, count, out)
    }

    #[cfg(kernels = "mve")]
    #[inline(never)]
    fn general_tiles(&mut self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        let Job { weights, stage, out_stride, .. } = self.job;
        // What is around the leaf takes less stack where there are no other channels.
        let made = if self.product.is_some() {
            self.whole_quads::<true>(patches, count, out)
        } else {
            self.any_channels(patches, count, out)
        };
        if is_narrow(stage) {
            for out in out.chunks(out_stride.max(1)).take(made.wrapping_mul(TILE)) {
                clamp(stage, out.get(..weights.shape.channels as usize).unwrap_or(out));
            }
        }
        made
    }

    #[inline(always)]
    fn finish(&self, out: &[Cell<i8>]) {
        if is_narrow(self.job.stage) {
            clamp(self.job.stage, out);
        }
    }
}

/// Copies elements to a target of the same length that does not overlap them.
#[cfg(kernels = "mve")]
pub(super) fn copy(source: &[Cell<i8>], target: &[Cell<i8>]) {
    let line = source.len().min(target.len());
    if line == 0 {
        return;
    }
    let (source, target) = (source.as_ptr().cast(), target.as_ptr().cast_mut().cast());
    let load = asm::Load { source, target, lanes: 1, step: 0, lines: 1, pitch: 0, line, depth: 0 };
    // SAFETY: there are `line` elements on both sides. Cells may be written through a shared reference; no unique
    // reference to them exists.
    unsafe { asm::load(&raw const load) };
}

#[cfg(kernels = "mve")]
impl Tiled<'_> {
    /// Makes whole tiles of a layer that has a product.
    #[inline(always)]
    fn whole_quads<const GENERAL: bool>(
        &mut self,
        patches: &Patches<'_>,
        count: usize,
        out: &[Cell<i8>],
    ) -> usize {
        let Job { step, out_stride, .. } = self.job;
        let pixels = count.wrapping_mul(TILE);
        let Some([mut load, mut rest]) = self.loads(patches, pixels) else { return 0 };
        let (Some(product), true) = (&mut self.product, self.job.has_room(pixels, out)) else { return 0 };
        if load.line == load.depth && step == load.line {
            // Patches that are as contiguous in the source as in the tile are one line.
            (load.line, load.lanes) = (step.wrapping_mul(TILE), 1);
        }
        product.out = out.as_ptr().cast_mut().cast();
        product.unaligned = (product.out as usize | out_stride) & 3;
        for _ in 0..count {
            // SAFETY: `loads` has checked the sources of all tiles, there are outputs of as many pixels, and `product` has
            // checked the rest. Cells may be written through a shared reference; no unique reference to them exists.
            unsafe {
                asm::load(&raw const load);
                if rest.lines != 0 {
                    asm::load(&raw const rest);
                }
                if GENERAL {
                    asm::quads_general(&raw const *product)
                } else {
                    asm::quads(&raw const *product)
                }
            }
            load.source = load.source.wrapping_add(step.wrapping_mul(TILE));
            rest.source = rest.source.wrapping_add(step.wrapping_mul(TILE));
            product.out = product.out.wrapping_add(out_stride.wrapping_mul(TILE));
        }
        count
    }

    /// The same of any layer with general weights, whose channels behind the last whole quad have one of their own.
    #[inline(never)]
    fn any_channels(&self, patches: &Patches<'_>, count: usize, out: &[Cell<i8>]) -> usize {
        let Job { weights, stage, step, out_stride, .. } = self.job;
        let channels = weights.shape.channels as usize;
        let pixels = count.wrapping_mul(TILE);
        let Some([mut load, mut rest]) = self.loads(patches, pixels) else { return 0 };
        if count == 0 || !self.job.has_room(pixels, out) {
            return 0;
        }
        if load.line == load.depth && step == load.line {
            (load.line, load.lanes) = (step.wrapping_mul(TILE), 1);
        }
        // Whole quads, and the channels behind them, whose outputs are copied from a quad.
        let shared = shared(stage);
        let quads = whole(stage, channels, &shared);
        let first = quads.count;
        let last = Last::of(stage, first);
        let quad = [const { Cell::new(0i8) }; TILE * QUAD];
        let channels_behind = last.channels();
        if first != 0 && !fits(&self.job, 0, &quads)
            || first != channels && !fits(&self.job, first, &channels_behind)
        {
            return 0;
        }
        let mut product = product_of(&self.job, 0, &quads, out_stride);
        let mut behind = product_of(&self.job, first, &channels_behind, QUAD);
        behind.out = quad.as_ptr().cast_mut().cast();
        behind.unaligned = quad.as_ptr() as usize & 3;
        let mut rows = out;
        for _ in 0..count {
            // SAFETY: `loads` has checked the sources of all tiles, there are outputs of as many pixels, and `fits`
            // has checked the rest. Cells may be written through a shared reference; no unique reference to them exists.
            unsafe {
                asm::load(&raw const load);
                if rest.lines != 0 {
                    asm::load(&raw const rest);
                }
                if first != 0 {
                    product.out = rows.as_ptr().cast_mut().cast();
                    product.unaligned = (product.out as usize | out_stride) & 3;
                    asm::quads_general(&raw const product);
                }
                if first != channels {
                    asm::quads_general(&raw const behind);
                }
            }
            if first != channels {
                let (quads, _) = quad.as_chunks::<QUAD>();
                let mut place = first;
                for quad in quads {
                    put(
                        quad,
                        rows.get(place..place.wrapping_add(channels.wrapping_sub(first))).unwrap_or(&[]),
                    );
                    place = place.wrapping_add(out_stride);
                }
            }
            load.source = load.source.wrapping_add(step.wrapping_mul(TILE));
            rest.source = rest.source.wrapping_add(step.wrapping_mul(TILE));
            rows = rows.get(out_stride.wrapping_mul(TILE)..).unwrap_or(&[]);
        }
        count
    }

    /// How the lines before the ring's end and those behind it are loaded, for a tile. `None` where the lines of `count`
    /// pixels are not all inside the source, or not inside a patch of the tile.
    #[inline(never)]
    fn loads(&self, patches: &Patches<'_>, count: usize) -> Option<[asm::Load; 2]> {
        let Job { tile, weights, step, pitch, .. } = self.job;
        let (lines, line) = (weights.shape.lines as usize, weights.shape.line as usize);
        let depth = tile.len() / TILE;
        let &Patches { cells, start, until_end, again } = patches;
        let fits = self.job.holds(patches, count) && lines.wrapping_mul(line) <= depth;
        let behind = lines.wrapping_sub(until_end);
        let load = |start: usize, lines: usize, before: usize| asm::Load {
            source: cells.as_ptr().cast::<i8>().wrapping_add(start),
            target: tile.as_ptr().cast_mut().cast::<u8>().wrapping_add(before.wrapping_mul(line)),
            lanes: TILE,
            step,
            lines,
            pitch,
            line,
            depth,
        };
        fits.then(|| [load(start, until_end, 0), load(again, behind, until_end)])
    }
}

/// The product of whole tiles, where all channels are in whole quads and have multipliers of their own, and all fits.
#[cfg(kernels = "mve")]
#[inline(never)]
fn product(job: &Job<'_>) -> Option<asm::Quads> {
    let count = job.weights.shape.channels as usize;
    let channels = Channels::of(job.stage, 0, count);
    let fits = job.stage.multipliers.len() == count && fits(job, 0, &channels);
    fits.then(|| product_of(job, 0, &channels, job.out_stride))
}

/// Whether a tile, and the weights from channel `first` on, have the size and the place that the leaf asks for.
#[cfg(kernels = "mve")]
#[inline(always)]
fn fits(job: &Job<'_>, first: usize, channels: &Channels<'_>) -> bool {
    let &Job { tile, weights, .. } = job;
    let depth = tile.len() / TILE;
    channels.are_there()
        && depth != 0
        && depth & (VECTOR - 1) == 0
        && depth
            .checked_mul(first.wrapping_add(channels.count))
            .is_some_and(|bytes| bytes <= weights.bytes.len())
        && (tile.as_ptr() as usize | weights.bytes.as_ptr() as usize) & 3 == 0
}

/// The product of whole tiles with the weights from channel `first` on, which [`fits`]; its place is still to be told.
#[cfg(kernels = "mve")]
#[inline(always)]
fn product_of(job: &Job<'_>, first: usize, channels: &Channels<'_>, out_stride: usize) -> asm::Quads {
    let &Job { tile, weights, .. } = job;
    let depth = tile.len() / TILE;
    let patch = |lane: usize| tile.as_ptr().cast::<u8>().wrapping_add(depth.wrapping_mul(lane));
    asm::Quads {
        patches: [patch(0), patch(1), patch(2), patch(3)],
        more: (depth / VECTOR).wrapping_sub(1),
        back: (depth * QUAD).wrapping_sub(2 * VECTOR),
        out: tile.as_ptr().cast_mut().cast(),
        bias: channels.bias.as_ptr(),
        multipliers: channels.multipliers.as_ptr(),
        step: if channels.shared { 0 } else { QUAD * size_of::<ferrolite_schema::params::Multiplier>() },
        zero_point: channels.zero_point,
        quads: channels.count / QUAD,
        pixels: TILE,
        offsets: [0, 1, 2, 3].map(|lane| out_stride.wrapping_mul(lane)),
        unaligned: 0,
        weights: weights.bytes.as_ptr().wrapping_add(depth.wrapping_mul(first)),
    }
}
