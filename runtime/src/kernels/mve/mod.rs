//! Cores with the vector extension MVE: Cortex-M55 (with `-C target-cpu=cortex-m55`).
//!
//! VMLADAVA adds 16 products to a scalar register, so everything lies in rows of 16 bytes: the patch of a
//! pixel in one piece, weights in blocks of four channels by 16
//! ([`Order::Filled`](crate::packing::Order::Filled)). Accumulators then stand in vectors of four and are scaled
//! down there: VQRDMULH is the doubled high product that rounds, VQDMLAH with 1 takes 1 from what is negative
//! (`x + (2 x >> 32)`), and VRSHL rounds half upwards.
//!
//! The leaves are assembly (`asm.rs`), so they keep their speed at every `opt-level`; on the host the same
//! contracts are plain Rust on the same bytes (`emulated.rs`). `leaf.rs` is the safe face of both.

#[cfg(kernels = "mve")]
mod asm;
#[cfg(not(kernels = "mve"))]
mod emulated;
mod leaf;

use core::cell::Cell;

use ferrolite_schema::params::Multiplier;

use super::{Band, Kernels, Lines, Policy, Stage, TILE, portable};
use crate::packing::{Matrix, Shape};

/// The set for cores with MVE.
pub struct Mve;

/// Channels of a block of weights, and lanes of a vector of 32-bit numbers.
const QUAD: usize = 4;

/// Bytes of a vector.
const VECTOR: usize = 16;

impl Kernels for Mve {
    const POLICY: Policy = Policy::MVE;

    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        leaf::load(tile, shape.line as usize, shape.padded_depth().unwrap_or(0) as usize, lines);
    }

    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        let channels = weights.shape.channels as usize;
        let tile = Tile { bytes: tile, depth: weights.shape.padded_depth().unwrap_or(0) as usize, pixels };
        let whole = channels & !(QUAD - 1);
        let (now, last) = weights.bytes.split_at_checked(whole.wrapping_mul(tile.depth)).unwrap_or_default();
        if whole != 0 {
            leaf::quads(&tile, now, &Channels::of(stage, 0, whole, &shared(stage)), out, out_stride);
        }
        if whole < channels {
            let mut quad = [0i8; TILE * QUAD];
            let quad = Cell::from_mut(&mut quad[..]).as_slice_of_cells();
            let (bias, multipliers) = last_quad(stage, whole);
            leaf::quads(&tile, last, &Channels::last(stage, &bias, &multipliers), quad, QUAD);
            let outs = out.chunks(out_stride.max(1)).take(pixels);
            for (quad, out) in quad.chunks_exact(QUAD).zip(outs) {
                for (y, place) in quad.iter().zip(out.get(whole..channels).unwrap_or(&[])) {
                    place.set(y.get());
                }
            }
        }
        for out in out.chunks(out_stride.max(1)).take(pixels) {
            clamp(stage, out.get(..channels).unwrap_or(out));
        }
    }

    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let depth = weights.shape.padded_depth().unwrap_or(0) as usize;
        let whole = out.len() & !(QUAD - 1);
        let (now, last) = weights.bytes.split_at_checked(whole.wrapping_mul(depth)).unwrap_or_default();
        let (outs, rest) = out.split_at_checked(whole).unwrap_or_default();
        if whole != 0 {
            leaf::dense(input, now, &Channels::of(stage, 0, whole, &shared(stage)), outs);
        }
        if !rest.is_empty() {
            let mut quad = [0i8; QUAD];
            let quad = Cell::from_mut(&mut quad[..]).as_slice_of_cells();
            let (bias, multipliers) = last_quad(stage, whole);
            leaf::dense(input, last, &Channels::last(stage, &bias, &multipliers), quad);
            for (y, place) in quad.iter().zip(rest) {
                place.set(y.get());
            }
        }
        clamp(stage, out);
    }

    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        if is_planar(band) {
            leaf::spread(band, slot, left, row, zero_point);
        } else {
            portable::load_band(band, slot, left, row, zero_point);
        }
    }

    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        if !is_planar(band) {
            portable::depthwise_band(band, weights, stage, out);
            return;
        }
        let whole = band.channels & !(QUAD - 1);
        // Where the last quad is not whole, the one that ends with the last channel makes some anew.
        let shared = shared(stage);
        for (first, count) in [(0, whole), (band.channels.wrapping_sub(QUAD), QUAD)] {
            let channels = Channels::of(stage, first, count, &shared);
            let weights = weights.bytes.get(first.wrapping_mul(TAPS)..).unwrap_or(&[]);
            leaf::depthwise_3x3(band, first, weights, &channels, out.get(first..).unwrap_or(&[]));
            if whole == band.channels {
                break;
            }
        }
        clamp(stage, out);
    }
}

/// Taps of a 3x3 kernel.
const TAPS: usize = 9;

/// Whether a band lies in planes of a channel, column after column with a byte for each ring row: then a 3x3
/// window is 9 bytes on end. Others lie as in the portable set.
fn is_planar(band: &Band<'_>) -> bool {
    // Planes of eight channels are reached by offsets of 16 bits.
    let reach = u16::MAX as usize / (7 * 3);
    (band.rows, band.columns) == (3, 3)
        && (1..=2).contains(&band.stride)
        && band.channels >= QUAD
        && band.width <= reach
}

/// A tile of patches, one behind the other.
#[derive(Clone, Copy)]
struct Tile<'a> {
    bytes: &'a [Cell<u8>],
    /// Bytes of a patch, a multiple of [`VECTOR`].
    depth: usize,
    /// Pixels that count, `1 ..= TILE`.
    pixels: usize,
}

/// What the leaves want to know of a multiple of four channels.
#[derive(Clone, Copy)]
struct Channels<'a> {
    bias: &'a [i32],
    /// One for each bias, or four for all.
    multipliers: &'a [Multiplier],
    zero_point: i32,
}

impl<'a> Channels<'a> {
    /// `count` channels from `first` on; `shared` is the multiplier of all if there is but one.
    fn of(stage: &Stage<'a>, first: usize, count: usize, shared: &'a [Multiplier; QUAD]) -> Channels<'a> {
        let channels = first..first.wrapping_add(count);
        let multipliers = match stage.multipliers {
            [_] => shared,
            all => all.get(channels.clone()).unwrap_or(&[]),
        };
        let bias = stage.bias.get(channels).unwrap_or(&[]);
        Channels { bias, multipliers, zero_point: stage.zero_point }
    }

    /// A last quad.
    fn last(stage: &Stage<'_>, bias: &'a [i32; QUAD], multipliers: &'a [Multiplier; QUAD]) -> Channels<'a> {
        Channels { bias, multipliers, zero_point: stage.zero_point }
    }

    /// Whether there is something for each of `count` channels, `count` a multiple of 4.
    fn cover(&self, count: usize) -> bool {
        let multipliers = self.multipliers.len();
        self.bias.len() == count && count & 3 == 0 && (multipliers == QUAD || multipliers == count)
    }
}

/// Four times the multiplier of all channels.
fn shared(stage: &Stage<'_>) -> [Multiplier; QUAD] {
    [stage.multipliers.first().copied().unwrap_or_default(); QUAD]
}

/// Biases and multipliers of the channels from `first` on, filled up to four.
fn last_quad(stage: &Stage<'_>, first: usize) -> ([i32; QUAD], [Multiplier; QUAD]) {
    let channel = |lane: usize| stage.channel(first.wrapping_add(lane));
    (core::array::from_fn(|lane| channel(lane).0), core::array::from_fn(|lane| channel(lane).1))
}

/// The leaves saturate to int8; a narrower clamp is rare enough for a pass of its own.
fn clamp(stage: &Stage<'_>, out: &[Cell<i8>]) {
    if stage.min > -128 || stage.max < 127 {
        for y in out {
            y.set(i32::from(y.get()).max(stage.min).min(stage.max) as i8);
        }
    }
}
