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

use ferrolite_schema::Rounding;
use ferrolite_schema::params::{Multiplier, Product, Sum};

use super::{Band, Cells, Kernels, Lines, Policy, Stage, TILE, portable};
use crate::packing::{Matrix, Shape};
use crate::tensor::TensorView;

/// The set for cores with MVE.
#[derive(Debug)]
pub struct Mve;

/// Channels of a block of weights, and lanes of a vector of 32-bit numbers.
const QUAD: usize = 4;

/// Bytes of a vector.
const VECTOR: usize = 16;

impl Kernels for Mve {
    const POLICY: Policy = Policy::MVE;
    const CLEARED_TILES: bool = true;

    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        leaf::load(tile, shape.line as usize, lines);
    }

    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        let tile = Tile { bytes: tile, pixels };
        let channels = weights.shape.channels as usize;
        if channels & (QUAD - 1) == 0 && stage.multipliers.len() == channels {
            leaf::quads(&tile, weights.bytes, &Channels::of(stage, 0, channels), out, out_stride);
        } else {
            quads_and_rest(&tile, weights, stage, out, out_stride);
        }
        if is_narrow(stage) {
            for out in out.chunks(out_stride.max(1)).take(pixels) {
                clamp(stage, out.get(..channels).unwrap_or(out));
            }
        }
    }

    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let shared = shared(stage);
        let channels = whole(stage, out.len(), &shared);
        if channels.count != 0 {
            leaf::dense(input, weights.bytes, &channels, out);
        }
        if channels.count != out.len() {
            dense_rest(input, weights, stage, out);
        }
        if is_narrow(stage) {
            clamp(stage, out);
        }
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
        let taps = band.rows.wrapping_mul(band.columns);
        let is_3x3 = (band.rows, band.columns) == (3, 3) && (1..=2).contains(&band.stride);
        let whole = band.channels & !(QUAD - 1);
        let shared = shared(stage);
        let one = stage.multipliers.len() == 1;
        // Where the last quad is not whole, the one that ends with the last channel makes some anew.
        for (first, count) in [(0, whole), (band.channels.wrapping_sub(QUAD), QUAD)] {
            let each = Channels::of(stage, first, count);
            let channels = if one { each.share(&shared) } else { each };
            let weights = weights.bytes.get(first.wrapping_mul(taps)..).unwrap_or(&[]);
            let out = out.get(first..).unwrap_or(&[]);
            if is_3x3 {
                leaf::depthwise_3x3(band, first, weights, &channels, out);
            } else {
                leaf::depthwise(band, first, weights, &channels, out);
            }
            if whole == band.channels {
                break;
            }
        }
        if is_narrow(stage) {
            clamp(stage, out);
        }
    }

    fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
        leaf::lookup(input, table, out);
    }

    fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        if !leaf::average_pool(cells, min, max, out) {
            portable::average_pool(cells, min, max, out);
        }
    }

    fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        leaf::max_pool(cells, min, max, out);
    }

    fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, rounding: Rounding, out: &[Cell<i8>]) {
        if rounding == Rounding::Single || !leaf::add(a, b, sum, out) {
            portable::add(a, b, sum, rounding, out);
        }
    }

    fn mul(
        a: TensorView<'_, i8>,
        b: TensorView<'_, i8>,
        product: &Product,
        rounding: Rounding,
        out: &[Cell<i8>],
    ) {
        if rounding == Rounding::Single || !leaf::mul(a, b, product, out) {
            portable::mul(a, b, product, rounding, out);
        }
    }
}

/// Whether a band lies in planes of a channel, column after column with a byte for each ring row: then a
/// window is so many bytes on end. Others lie as in the portable set.
fn is_planar(band: &Band<'_>) -> bool {
    // Taps are numbered with 8 bits, and planes of eight channels are reached by offsets of 16 bits.
    band.channels >= QUAD
        && band.rows.wrapping_mul(band.columns) <= MAX_TAPS
        && band.width.wrapping_mul(band.rows) <= u16::MAX as usize / 7
}

/// Most taps of a kernel over a planar band.
const MAX_TAPS: usize = 255;

/// A tile of patches, one behind the other, as long as the rows of the weights.
#[derive(Clone, Copy)]
struct Tile<'a> {
    bytes: &'a [Cell<u8>],
    /// Pixels that count, `1 ..= TILE`.
    pixels: usize,
}

/// What the leaves want to know of a multiple of four channels.
#[derive(Clone, Copy)]
struct Channels<'a> {
    /// How many there are.
    count: usize,
    bias: &'a [i32],
    multipliers: &'a [Multiplier],
    /// Whether four multipliers serve all channels, four at a time.
    shared: bool,
    zero_point: i32,
}

impl<'a> Channels<'a> {
    /// `count` channels from `first` on, with multipliers of their own.
    fn of(stage: &Stage<'a>, first: usize, count: usize) -> Channels<'a> {
        Channels {
            count,
            bias: stage.bias.get(first..).unwrap_or(&[]),
            multipliers: stage.multipliers.get(first..).unwrap_or(&[]),
            shared: false,
            zero_point: stage.zero_point,
        }
    }

    /// With other multipliers, which serve all channels.
    fn share(self, multipliers: &'a [Multiplier; QUAD]) -> Channels<'a> {
        Channels { multipliers, shared: true, ..self }
    }

    /// Whether there are whole quads, and something for each of their channels.
    fn are_there(&self) -> bool {
        let multipliers = if self.shared { QUAD } else { self.count };
        self.count != 0
            && self.count & (QUAD - 1) == 0
            && self.bias.len() >= self.count
            && self.multipliers.len() >= multipliers
    }
}

/// Four times the multiplier of all channels.
fn shared(stage: &Stage<'_>) -> [Multiplier; QUAD] {
    [stage.multipliers.first().copied().unwrap_or_default(); QUAD]
}

/// A quad that is filled up: biases and multipliers of the channels from some one on, and outputs.
struct Last {
    bias: [i32; QUAD],
    multipliers: [Multiplier; QUAD],
    zero_point: i32,
}

impl Last {
    fn of(stage: &Stage<'_>, first: usize) -> Last {
        let mut last = Last { bias: [0; QUAD], multipliers: shared(stage), zero_point: stage.zero_point };
        let channels = last.bias.iter_mut().zip(&mut last.multipliers);
        for (lane, (bias, multiplier)) in channels.enumerate() {
            (*bias, *multiplier) = stage.channel(first.wrapping_add(lane));
        }
        last
    }

    fn channels(&self) -> Channels<'_> {
        let (bias, multipliers) = (&self.bias, &self.multipliers);
        Channels { count: QUAD, bias, multipliers, shared: true, zero_point: self.zero_point }
    }
}

/// Whole quads of channels, or those with one multiplier.
fn whole<'a>(stage: &Stage<'a>, count: usize, shared: &'a [Multiplier; QUAD]) -> Channels<'a> {
    let channels = Channels::of(stage, 0, count & !(QUAD - 1));
    if stage.multipliers.len() == 1 { channels.share(shared) } else { channels }
}

/// A matrix product of any number of channels.
#[inline(never)]
fn quads_and_rest(
    tile: &Tile<'_>,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = weights.shape.channels as usize;
    let shared = shared(stage);
    let channels = whole(stage, count, &shared);
    let first = channels.count;
    leaf::quads(tile, weights.bytes, &channels, out, out_stride);
    if first == count {
        return;
    }
    let weights = weights.bytes.get(first.wrapping_mul(tile.bytes.len() / TILE)..).unwrap_or(&[]);
    let mut quad = [0i8; TILE * QUAD];
    let quad = Cell::from_mut(&mut quad[..]).as_slice_of_cells();
    leaf::quads(tile, weights, &Last::of(stage, first).channels(), quad, QUAD);
    let outs = out.chunks(out_stride.max(1)).take(tile.pixels);
    for (quad, out) in quad.chunks_exact(QUAD).zip(outs) {
        for (y, place) in quad.iter().zip(out.get(first..count).unwrap_or(&[])) {
            place.set(y.get());
        }
    }
}

/// The last channels of a dense layer, fewer than four.
#[inline(never)]
fn dense_rest(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
    let first = out.len() & !(QUAD - 1);
    let depth = input.len().next_multiple_of(VECTOR);
    let weights = weights.bytes.get(first.wrapping_mul(depth)..).unwrap_or(&[]);
    let mut quad = [0i8; QUAD];
    let quad = Cell::from_mut(&mut quad[..]).as_slice_of_cells();
    leaf::dense(input, weights, &Last::of(stage, first).channels(), quad);
    for (y, place) in quad.iter().zip(out.get(first..).unwrap_or(&[])) {
        place.set(y.get());
    }
}

/// Whether a stage clamps to less than int8, which the leaves saturate to.
fn is_narrow(stage: &Stage<'_>) -> bool {
    stage.min > -128 || stage.max < 127
}

/// A narrower clamp is rare enough for a pass of its own.
#[inline(never)]
fn clamp(stage: &Stage<'_>, out: &[Cell<i8>]) {
    for y in out {
        y.set(i32::from(y.get()).max(stage.min).min(stage.max) as i8);
    }
}
