//! Kernels: inner loops over slices, below the operators that know shapes and borders.
//!
//! [`Kernels`] is a set of methods that work on tiles. The body of each default method is portable Rust and
//! *is the specification*, integer for integer, including wrapping and rounding. A set for one kind of core
//! overrides the methods that it makes faster, and must equal the default on every input.
//!
//! The choice of architecture is made only in this file and in the folders below it.

//! `build.rs` probes what the core understands; the emulated sets on the host are for tests.

#[cfg(any(kernels = "armv6m", not(device)))]
mod armv6m;
#[cfg(any(kernels = "armv7em", not(device)))]
mod armv7em;
#[cfg(any(kernels = "armv7m", not(device)))]
mod armv7m;
mod by_tiles;
#[cfg(any(kernels = "armv6m", kernels = "armv7em", kernels = "armv7m", not(device)))]
mod channels;
mod delays;
mod dots;
#[cfg(any(kernels = "armv7em", kernels = "armv7m", not(device)))]
mod elementwise;
#[cfg(any(kernels = "armv6m", kernels = "armv7em", kernels = "armv7m", kernels = "mve", kernels = "rv32im"))]
mod fields;
mod general;
#[cfg(any(kernels = "armv7em", not(device)))]
mod mean;
#[cfg(any(kernels = "mve", not(device)))]
mod mve;
mod near;
mod planes;
mod policy;
mod portable;
pub(crate) mod resize;
mod running;
#[cfg(any(kernels = "rv32im", not(device)))]
mod rv32im;
mod strips;
pub(crate) mod sums;
#[cfg(any(
    kernels = "armv6m",
    kernels = "armv7em",
    kernels = "armv7m",
    kernels = "mve",
    kernels = "rv32im",
    not(device)
))]
mod taps;
#[cfg(any(kernels = "armv7em", kernels = "armv7m", kernels = "mve", not(device)))]
mod thumb2;
mod tiles;
mod unusual;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm32;
#[cfg(all(target_arch = "x86_64", not(device), not(miri)))]
mod x86_64;

use core::cell::Cell;
use core::ops::Range;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::{CumsumParams, Multiplier, Product, Sum, Weighted};

use crate::gates::{GruStep, LstmStep, Table};
use crate::packing::{Matrix, Packing, Shape, round_up};
use crate::quant::requantize;
use crate::tensor::{TensorView, copy_short};
use crate::winograd::Filters;

#[cfg(any(kernels = "armv6m", not(device)))]
pub use armv6m::Armv6m;
#[cfg(any(kernels = "armv7em", not(device)))]
pub use armv7em::Armv7em;
#[cfg(any(kernels = "armv7m", not(device)))]
pub use armv7m::Armv7m;
pub use by_tiles::{ByTiles, Job, OfBothKinds, Patches, Unprepared};
pub use delays::Delays;
pub use dots::Rows;
pub use general::{General, Unusual};
#[cfg(any(kernels = "mve", not(device)))]
pub use mve::Mve;
pub(crate) use near::HARD_FLOAT;
pub use near::Near;
#[cfg(test)]
pub(crate) use near::quantize_by_integers;
pub use planes::{Planes, Size};
pub use policy::{Few, Policy, Windows, has_winograd, policy};
pub use portable::Portable;
pub(crate) use portable::{cycles, softmax_int16};
pub use resize::Between;
pub use running::Column;
#[cfg(any(kernels = "rv32im", not(device)))]
pub use rv32im::Rv32im;
pub use strips::Strips;
pub use tiles::{COLUMNS, Outputs, Tiles};
pub use unusual::OfUnusual;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm32::Wasm;
#[cfg(all(target_arch = "x86_64", not(device), not(miri)))]
pub use x86_64::{Avx2, Host};

/// The kernels for the core that this is compiled for.
#[cfg(kernels = "armv7em")]
pub type Native = Armv7em;
/// The kernels for the core that this is compiled for.
#[cfg(kernels = "mve")]
pub type Native = Mve;
/// The kernels for the core that this is compiled for.
#[cfg(kernels = "armv7m")]
pub type Native = Armv7m;
/// The kernels for the core that this is compiled for.
#[cfg(kernels = "armv6m")]
pub type Native = Armv6m;
/// The kernels for the core that this is compiled for.
#[cfg(kernels = "rv32im")]
pub type Native = Rv32im;
/// The kernels for the core that this is compiled for.
#[cfg(all(target_arch = "x86_64", not(device), not(miri)))]
pub type Native = Host;
/// The kernels for the core that this is compiled for.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub type Native = Wasm;
/// The kernels for the core that this is compiled for.
#[cfg(not(any(
    kernels = "armv6m",
    kernels = "armv7em",
    kernels = "armv7m",
    kernels = "mve",
    kernels = "rv32im",
    all(target_arch = "wasm32", target_feature = "simd128"),
    all(target_arch = "x86_64", not(device), not(miri))
)))]
pub type Native = Portable;

/// Pixels that a convolution gathers before it computes them. Its output may overlap its input only because
/// of this number: every kernel set reads a whole tile before it writes any of it.
pub const TILE: usize = 4;

/// Bytes that a short operand of an elementwise operator is repeated to where a run has at most 128 elements. Where kernels
/// make one element after the other, more copies take longer than the calls that they save.
pub(crate) const COPIES_OF_SHORT_RUNS: usize = if cfg!(kernels = "rv32im") { 32 } else { 128 };

/// Bytes after the ring of a [`Band`] that a kernel may read, since it reads whole words.
pub const BAND_SLACK: usize = 8;

/// Bytes of scratch memory that [`Kernels::dense_int16_twice`] needs for rows of so many elements: both rows in halfwords,
/// in whole groups of four. `None` on overflow.
pub const fn twice_bytes(inputs: u32) -> Option<u32> {
    inputs.div_ceil(4).checked_mul(16)
}

/// How accumulators become int8: `clamp(requantize(acc + bias[c], multiplier[c]) + zero_point)`.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// One bias per channel. It includes the contribution of the input's zero point.
    pub bias: &'a [i32],
    /// One multiplier per channel, or one for all.
    pub multipliers: &'a [Multiplier],
    /// How multipliers round.
    pub rounding: Rounding,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest output, at least -128.
    pub min: i32,
    /// Largest output, at most 127.
    pub max: i32,
}

impl Stage<'_> {
    /// Bias and multiplier of a channel; zeroes for a channel that does not exist.
    #[inline(always)]
    pub fn channel(&self, channel: usize) -> (i32, Multiplier) {
        let bias = self.bias.get(channel).copied().unwrap_or(0);
        let multiplier = match self.multipliers {
            [one] => Some(one),
            all => all.get(channel),
        };
        (bias, multiplier.copied().unwrap_or_default())
    }

    /// Biases and multipliers of four channels, starting with channel `first`. `None` if there are fewer than
    /// four, or if they share a multiplier.
    #[inline(always)]
    pub fn four_channels(&self, first: usize) -> Option<(&[i32; 4], &[Multiplier; 4])> {
        Some((self.bias.get(first..)?.first_chunk()?, self.multipliers.get(first..)?.first_chunk()?))
    }

    /// The int8 value of an accumulator that already includes the bias.
    #[inline(always)]
    pub fn apply(&self, acc: i32, multiplier: Multiplier) -> i8 {
        let scaled = requantize(acc, multiplier, self.rounding).wrapping_add(self.zero_point);
        // Not `clamp`, which panics if min > max.
        scaled.max(self.min).min(self.max) as i8
    }

    /// Like [`apply`](Stage::apply), but not inlined, for loops whose code size matters more than a call.
    #[inline(never)]
    pub fn apply_called(&self, acc: i32, multiplier: Multiplier) -> i8 {
        self.apply(acc, multiplier)
    }

    /// The stage for `count` channels from `first` on.
    #[must_use]
    pub fn part(&self, first: usize, count: usize) -> Self {
        let end = first.wrapping_add(count);
        let multipliers = match self.multipliers {
            [_] => self.multipliers,
            all => all.get(first..end).unwrap_or(&[]),
        };
        Stage { bias: self.bias.get(first..end).unwrap_or(&[]), multipliers, ..*self }
    }

    /// The stage for all channels from `first` on.
    pub fn skip(&self, first: usize) -> Self {
        let multipliers = match self.multipliers {
            [_] => self.multipliers,
            all => all.get(first..).unwrap_or(&[]),
        };
        Stage { bias: self.bias.get(first..).unwrap_or(&[]), multipliers, ..*self }
    }
}

/// The part of an image under a pooling window. A cell is a pixel inside the image.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    /// The image, starting with the first cell under the window.
    pub image: &'a [Cell<i8>],
    /// Rows of cells, at least 1.
    pub height: usize,
    /// Columns of cells, at least 1.
    pub width: usize,
    /// Elements of a cell.
    pub channels: usize,
    /// Elements of an image row.
    pub stride: usize,
}

impl<'a> Cells<'a> {
    /// The rows under the window, `width * channels` elements each.
    #[inline(always)]
    pub fn rows(&self) -> impl Iterator<Item = &'a [Cell<i8>]> + 'a {
        let (image, row) = (self.image, self.width.wrapping_mul(self.channels));
        image.chunks(self.stride.max(1)).take(self.height).map(move |line| line.get(..row).unwrap_or(line))
    }

    /// Number of cells; below 2^30, because an arena has no more bytes.
    pub fn count(&self) -> i32 {
        self.height.wrapping_mul(self.width) as i32
    }
}

/// The input rows under one row of outputs of a depthwise convolution, with their padding.
///
/// Padding is stored like the pixels of the image, so a kernel needs no special cases at borders. Rows are
/// kept in a ring: kernel row `ky` is ring row `(first + ky) % rows`. Each kernel set chooses its own order
/// within a row.
#[derive(Clone, Copy, Debug)]
pub struct Band<'a> {
    /// The ring: `rows` rows of [`Band::row_bytes`] bytes, followed by [`BAND_SLACK`] bytes.
    pub cells: &'a [Cell<u8>],
    /// Pixels in a row: all that windows read.
    pub width: usize,
    /// Rows of the ring: as many as the kernel has, at least 1.
    pub rows: usize,
    /// Ring row of the first kernel row.
    pub first: usize,
    /// Columns of the kernel, at least 1.
    pub columns: usize,
    /// Pixels from the window of one output to that of the next.
    pub stride: usize,
    /// Channels of a pixel.
    pub channels: usize,
    /// Bytes of a row.
    pub row_bytes: usize,
}

impl<'a> Band<'a> {
    /// Bytes that a row of `width` pixels of `channels` channels takes at most in any kernel set, which may
    /// use whole blocks of channels or whole words. `None` on overflow.
    #[inline(always)]
    pub fn row_bytes(packing: Packing, width: u32, channels: u32) -> Option<u32> {
        let elements = match packing.channels {
            4 => width.checked_mul(round_up::<4>(channels)?)?,
            block => {
                let channels = channels.checked_next_multiple_of(u32::from(block).max(1))?;
                round_up::<4>(width.checked_mul(channels)?)?
            }
        };
        elements.checked_mul(packing.element.max(1).into())
    }

    /// Ring row `slot`; empty if it does not exist.
    #[inline(always)]
    pub fn slot(&self, slot: usize) -> &'a [Cell<u8>] {
        let start = slot.wrapping_mul(self.row_bytes);
        self.cells.get(start..start.wrapping_add(self.row_bytes)).unwrap_or(&[])
    }

    /// The ring row under kernel row `ky`; empty if it does not exist.
    #[inline(always)]
    pub fn line(&self, ky: usize) -> &'a [Cell<u8>] {
        let at = self.first.wrapping_add(ky);
        self.slot(if at >= self.rows { at.wrapping_sub(self.rows) } else { at })
    }
}

/// Lines of the patches of adjacent pixels: the same kernel rows for each pixel.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    /// Elements, starting with the first pixel's first line; there may be more than the lines need.
    pub source: &'a [Cell<i8>],
    /// Indices of the pixels in the tile.
    pub lanes: Range<usize>,
    /// Elements from one pixel to the next.
    pub step: usize,
    /// Indices of the lines.
    pub lines: Range<usize>,
    /// Elements from one line to the next.
    pub pitch: usize,
}

/// A set of kernels for one kind of core. Accumulators wrap modulo 2^32.
///
/// Methods that take a [`Matrix`] get weights in the packing of the set's own [`POLICY`](Kernels::POLICY);
/// the portable set takes any packing. All packings except the plain one and the
/// [general](crate::packing::Packing::general) ones guarantee in addition, for each channel, that the sum of
/// `|w| * 128` and `|bias|` is below 2^30, and that the multiplier shifts right by 1 to 22 bits and rounds twice. The
/// converter chooses such a packing only if that holds. General ones guarantee that multipliers round twice and are as
/// [`multiplier`](crate::quant::multiplier) makes them.
pub trait Kernels: 'static {
    /// The packings that this set can read fast.
    const POLICY: Policy = Policy::PLAIN;

    /// Whether [`load_lines`](Kernels::load_lines) does not write the elements that pad a patch to whole
    /// groups of weights, although [`matmul_packed`](Kernels::matmul_packed) multiplies them with the padding
    /// of the weights. If so, the tile is cleared once, before all patches.
    const CLEARED_TILES: bool = false;

    /// Whether convolutions with plain weights have a function and a frame of their own beside those with packed ones: less
    /// stack, and on some cores more registers to save.
    const PLAIN_APART: bool = true;

    /// Whether [`max_pool`](Kernels::max_pool) compares several channels at once. If so, it serves reductions, too.
    const WIDE_POOLS: bool = false;

    /// Whether in each whole group of four elements of the vector that [`dot_rows`](Kernels::dot_rows) takes, the second
    /// and the third have changed places: two words for SMLAD.
    const SWAPPED: bool = false;

    /// Whether [`dense_int16_twice`](Kernels::dense_int16_twice) is faster than two calls of
    /// [`dense_int16`](Kernels::dense_int16).
    const TWICE: bool = false;

    /// How this set makes convolutions with the packings of its own.
    type Tiled<'a>: ByTiles<'a>;

    /// Copies a row of an image to where patches are gathered from. Both sides have the same length and do not overlap.
    fn copy_row(source: &[Cell<i8>], target: &[Cell<i8>]) {
        copy_short(source, target);
    }

    /// Loads lines of the patches of some pixels, `shape.line` elements each, into a tile of [`TILE`] pixels.
    /// Each set chooses its own order in the tile. The tile has `TILE * shape.packing.element *
    /// shape.padded_depth()` bytes. The pixels of a tile are loaded in the order of their lanes.
    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        for (lane, start) in lines.lanes.clone().zip((0usize..).step_by(lines.step.max(1))) {
            for (number, line) in lines.lines.clone().enumerate() {
                let start = start.wrapping_add(number.wrapping_mul(lines.pitch));
                let end = start.wrapping_add(shape.line as usize);
                Self::load_line(tile, lane, line, shape, lines.source.get(start..end).unwrap_or(&[]));
            }
        }
    }

    /// Loads one line of one pixel, for sets that do not override [`load_lines`](Kernels::load_lines).
    fn load_line(tile: &[Cell<u8>], lane: usize, line: usize, shape: &Shape, source: &[Cell<i8>]) {
        portable::load_line(tile, lane, line, shape, source);
    }

    /// Matrix product of a tile that [`load_lines`](Kernels::load_lines) has filled, and packed weights:
    /// `out[p * out_stride + c] = stage(sum over k of pixel[p][k] * weights[c][k])`.
    ///
    /// The first `pixels` pixels of the tile count. `tile` and `out` do not overlap.
    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        portable::matmul_packed(tile, pixels, weights, stage, out, out_stride);
    }

    /// Like [`dense`](Kernels::dense), with packed weights.
    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        portable::dense_packed(input, weights, stage, out);
    }

    /// Like [`dense_packed`](Kernels::dense_packed), with outputs of int16 that are clamped to that type alone; the
    /// zero point is 0.
    fn dense_int16(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
        portable::dense_int16(input, weights, stage, out);
    }

    /// The same for two rows of input, for sets that make them faster than one after the other. `tile` has
    /// [`twice_bytes`] bytes of scratch memory.
    fn dense_int16_twice(
        inputs: [&[Cell<i8>]; 2],
        tile: &[Cell<u8>],
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: [&[Cell<i16>]; 2],
    ) {
        let _ = tile;
        for (input, out) in inputs.into_iter().zip(out) {
            Self::dense_int16(input, weights, stage, out);
        }
    }

    /// One step of an LSTM, for as many units as there are in all of its operands: from both parts of the gates, four a
    /// unit, the next cell states and hidden states.
    fn lstm(step: &LstmStep<'_>, a: &[Cell<i16>], b: &[Cell<i16>], cell: &[Cell<i16>], hidden: &[Cell<i8>]) {
        portable::lstm(step, a, b, cell, hidden);
    }

    /// The hidden states that one step of a gated recurrent unit makes, whose reset gate acts after the product: see
    /// [`GruStep::after`].
    fn gru_after(
        step: &GruStep,
        table: &Table,
        a: &[Cell<i16>],
        b: &[Cell<i16>],
        wide: &[Cell<i16>],
        hidden: &[Cell<i8>],
    ) {
        step.after(&table, a, b, wide, hidden);
    }

    /// The hidden state after the reset gate: see [`GruStep::reset`].
    fn gru_reset(
        step: &GruStep,
        table: &Table,
        a: &[Cell<i16>],
        b: &[Cell<i16>],
        wide: &[Cell<i16>],
        reset: &[Cell<i8>],
    ) {
        step.reset(&table, a, b, wide, reset);
    }

    /// The hidden states that one step makes whose reset gate has acted before the product: see [`GruStep::before`].
    fn gru_before(
        step: &GruStep,
        table: &Table,
        sums: [&[Cell<i16>]; 3],
        wide: &[Cell<i16>],
        hidden: &[Cell<i8>],
    ) {
        step.before(&table, sums, wide, hidden);
    }

    /// Takes a new number into each line, which moves on by one, and makes the outputs: of each unit the stage of the sum
    /// of the products of its lines. Sums wrap.
    fn delays(delays: &Delays<'_, i8>, newest: &[Cell<i8>], state: &[Cell<i8>], out: &[Cell<i8>]) {
        portable::delays(delays, newest, state, out);
    }

    /// The same of int16.
    fn delays_int16(delays: &Delays<'_, i16>, newest: &[Cell<i16>], state: &[Cell<i16>], out: &[Cell<i8>]) {
        portable::delays_int16(delays, newest, state, out);
    }

    /// Like [`matmul_packed`](Kernels::matmul_packed), for the general packing of the set's own.
    fn matmul_general(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        portable::matmul_packed(tile, pixels, weights, stage, out, out_stride);
    }

    /// Like [`dense_packed`](Kernels::dense_packed), for the general packing of the set's own.
    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        portable::dense_packed(input, weights, stage, out);
    }

    /// Copies an image row, which must be whole pixels, into ring row `slot` of a band, after `left` pixels
    /// of padding. The rest of the ring row becomes `zero_point`; if the image row is empty, all of it does.
    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        portable::load_band(band, slot, left, row, zero_point);
    }

    /// One row of a depthwise convolution with one output channel per input channel:
    /// `out[x * channels + c] = stage(sum over ky, kx of pixel[ky][x * stride + kx][c] * w[c][ky, kx])`.
    ///
    /// `out` holds whole pixels, as many as the band has windows. `band` and `out` do not overlap.
    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        portable::depthwise_band(band, weights, stage, out);
    }

    /// A depthwise convolution with a 3x3 kernel and stride 1 that keeps the image's size, with packed weights:
    /// `out[y, x, c] = stage(sum over ky, kx of image[y + ky - top][x + kx - left][c] * w[c][ky, kx])`.
    ///
    /// `out` has as many elements as the image. It either lies exactly over the image or does not overlap it:
    /// four channels of all pixels are computed before the next four are written, and all rows under a row
    /// before that row.
    fn depthwise_3x3(strips: &Strips<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        portable::depthwise_3x3(strips, weights, stage, out);
    }

    /// Copies an image row, which must be whole pixels, into ring row `slot` of the planes, after `left` pixels of
    /// padding. The rest of the ring row becomes `zero_point`; if the image row is empty, all of it does. Each
    /// kernel set may store elements in its own way.
    fn load_planes(planes: &Planes<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        portable::load_planes(planes, slot, left, row, zero_point);
    }

    /// One row of a depthwise convolution of any window, with weights channel by channel:
    /// `out[x * outputs + c] = stage(sum over taps t of plane[c / multiplier][place(t) + x] * weights[c][t])`.
    ///
    /// `out` holds whole pixels, as many as the planes have windows. Numbers of the stage may be any; the planes
    /// have fewer than 2^15 taps. `planes` and `out` do not overlap.
    fn depthwise_taps(planes: &Planes<'_>, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
        portable::depthwise_taps(planes, weights, stage, out);
    }

    /// Loads the pixels under [`TILE`] tiles into scratch memory: four image rows, from the first of
    /// [`COLUMNS`] columns that is inside the image to the last one, after `left` columns of padding. The
    /// rest becomes `zero_point`. Rows in the padding are empty; the others all have the same length.
    fn load_tiles(tiles: &Tiles<'_>, rows: [&[Cell<i8>]; 4], left: usize, zero_point: i8) {
        portable::load_tiles(tiles, rows, left, zero_point);
    }

    /// The outputs of tiles that [`load_tiles`](Kernels::load_tiles) has filled:
    /// `out[y, x, c] = stage(sum over ky, kx, k of pixel[y + ky][x + kx][k] * weights[c][ky, kx, k])`.
    ///
    /// Filters guarantee the same as packed weights, but with sums below 2^29. `tiles` and `out` do not
    /// overlap.
    fn matmul_tiles(tiles: &Tiles<'_>, filters: &Filters<'_>, stage: &Stage<'_>, out: &Outputs<'_>) {
        portable::matmul_tiles(tiles, filters, stage, out);
    }

    /// The same for any multipliers and biases; without their bias, sums are below 2^29.
    fn matmul_tiles_general(tiles: &Tiles<'_>, filters: &Filters<'_>, stage: &Stage<'_>, out: &Outputs<'_>) {
        portable::matmul_tiles(tiles, filters, stage, out);
    }

    /// Matrix product of a tile of gathered pixels with the weights of some channels:
    /// `out[p * out_stride + c] = stage(sum over k of tile[k][p] * weights[c][k])`.
    ///
    /// For each `k`, `tile` holds the elements of [`TILE`] pixels next to each other. The first `pixels` of
    /// them count; the others may be anything. `weights` holds one row for each channel, as long as the tile
    /// is deep. `tile` and `out` do not overlap.
    fn matmul(
        tile: &[Cell<i8>],
        pixels: usize,
        weights: &[i8],
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        portable::matmul(tile, pixels, weights, stage, out, out_stride);
    }

    /// Matrix product of one row with the weights of all channels:
    /// `out[c] = stage(sum over k of input[k] * weights[c][k])`.
    ///
    /// `weights` holds one row for each channel, as long as `input`. `input` and `out` do not overlap.
    fn dense(input: &[Cell<i8>], weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
        portable::dense(input, weights, stage, out);
    }

    /// One pixel of a depthwise convolution:
    /// `out[c] = stage(sum over t of patch[t][c / multiplier] * weights[t][c])`.
    ///
    /// `patch` holds `channels` elements for each tap, `weights` `channels * multiplier`, and so does `out`.
    /// `patch` and `out` do not overlap.
    fn depthwise(
        patch: &[Cell<i8>],
        channels: usize,
        multiplier: usize,
        weights: &[i8],
        stage: &Stage<'_>,
        out: &[Cell<i8>],
    ) {
        portable::depthwise(patch, channels, multiplier, weights, stage, out);
    }

    /// Products of a vector with rows: `out[j * out_stride] = clamp(requantize(sum over k of x[k] * row[j][k] - less) +
    /// zero_point)`. An element of `x` is the difference of two bytes, and `less` keeps sums below `255 * 255 * x.len()`.
    /// See [`SWAPPED`](Kernels::SWAPPED).
    fn dot_rows(x: &[Cell<i16>], rows: &Rows<'_>, out: &[Cell<i8>]) {
        dots::dot_rows(x, rows, out, portable::dots);
    }

    /// `out[i] = table[input[i] as u8]`; `out` may lie over `input`.
    fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
        portable::lookup(input, table, out);
    }

    /// The sum of a run.
    fn sum(run: TensorView<'_, i8>) -> i32 {
        sums::sum(run)
    }

    /// The largest element of a run, or the smallest unless `largest`; -128, or 127, of none.
    fn extreme(run: TensorView<'_, i8>, largest: bool) -> i8 {
        portable::extreme(run, largest)
    }

    /// Rows of SOFTMAX, of `depth` elements each, at scale 1/256 and zero point -128: `out[i] = min(256 e[i] / sum of e, 255) - 128`, in the roundings
    /// of TensorFlow Lite Micro. `e[i] = table[largest of row - row[i]]`, Q0.31, not negative, and zero behind the end of the
    /// table. The sum is below 2^32 in Q12.19. `out` may lie over the rows.
    fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
        portable::softmax(depth, rows, table, out);
    }

    /// A row of RESIZE_BILINEAR. Pixel `i` is at `x = start + i * step`; with `x0 = max(x, 0) / 1024`, `x1 = min((x + 1023) / 1024,
    /// width - 1)` and `dx = x - 1024 * x0` its channels are those of four pixels,
    /// `((a * (1024 - dx) + c * dx) * (1024 - dy) + (b * (1024 - dx) + d * dx) * dy) / 2^20`: `a` and `c` of the upper row, `b`
    /// and `d` of the lower one, `c` and `d` at `x1`. Double rounding takes ties away from zero, single one upwards.
    /// `out` holds whole pixels and does not overlap the rows.
    fn resize_row(between: &Between<'_>, rounding: Rounding, out: &[Cell<i8>]) {
        resize::portable(between, rounding, out);
    }

    /// Reals as integers of 8 bits, four at a time: how many, before the first four of which one is doubtful. See [`Near`].
    /// `out` may lie over the input: four are read before they are written.
    fn quantize(near: &Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
        near::portable(near, input, out)
    }

    /// Lines of CUMSUM, one after the other; its params have the formula. `column.out` may lie over `column.input`, or behind it: each element
    /// is read before its sum is written.
    fn running_sums(p: &CumsumParams, rounding: Rounding, column: &Column<'_>) {
        running::portable(p, rounding, column);
    }

    /// Mean of each channel over some cells: `out[c] = clamp(round(sum / count))`, ties away from zero.
    ///
    /// `out` has one element for each channel and may lie over the cells: channels are computed in ascending
    /// order, and channel `c` is written after all cells of the channels up to `c` have been read.
    fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        portable::average_pool(cells, min, max, out);
    }

    /// The same for many cells, where what is done with a sum takes little time: with less code.
    #[inline(always)]
    fn average_pool_of_many(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        Self::average_pool(cells, min, max, out);
    }

    /// Largest element of each channel over some cells, clamped; `out` as for
    /// [`average_pool`](Kernels::average_pool).
    fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        portable::max_pool(cells, min, max, out);
    }

    /// `out[i] = clamp(requantize(a' + sign * b') + zero_point)`, where
    /// `x' = requantize((x[i] - zero_point of x) * 2^20)`.
    ///
    /// `a` and `b` have the length of `out`, or one of them is shorter and repeated, the last time maybe in part. `out`
    /// may lie over an operand of its own length: element `i` is read before it is written.
    fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, rounding: Rounding, out: &[Cell<i8>]) {
        portable::add(a, b, sum, rounding, out);
    }

    /// `out[i] = clamp((a[i] * factor_a / 2^8 + b[i] * factor_b / 2^8 + term) / 2^20)`, where divisions round down and sums
    /// wrap; lengths and overlap as for [`add`](Kernels::add).
    fn weighted_sum(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Weighted, out: &[Cell<i8>]) {
        portable::weighted_sum(a, b, sum, out);
    }

    /// `out[i] = clamp(requantize((a[i] - zero_point of a) * (b[i] - zero_point of b)) + zero_point)`;
    /// lengths and overlap as for [`add`](Kernels::add).
    fn mul(
        a: TensorView<'_, i8>,
        b: TensorView<'_, i8>,
        product: &Product,
        rounding: Rounding,
        out: &[Cell<i8>],
    ) {
        portable::mul(a, b, product, rounding, out);
    }

    /// The larger (`maximum`) or smaller of `a[i]` and `b[i]`; lengths and overlap as for
    /// [`add`](Kernels::add). Operands may also begin within the output: an element is read before any of those up to it
    /// is written.
    fn min_max(a: TensorView<'_, i8>, b: TensorView<'_, i8>, maximum: bool, out: &[Cell<i8>]) {
        portable::min_max(a, b, maximum, out);
    }
}
