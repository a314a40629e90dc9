//! Cores with the vector extension MVE: Cortex-M55 (with `-C target-cpu=cortex-m55`).
//!
//! VMLADAVA adds 16 products to a scalar register, so everything is stored in rows of 16 bytes: a pixel's
//! patch is contiguous, and weights are in blocks of four channels by 16
//! ([`Order::Filled`](crate::packing::Order::Filled)). Accumulators are then moved to vectors of four and
//! scaled down there: VQRDMULH is the doubled high product with rounding, VQDMLAH with 1 subtracts 1 from
//! negative numbers (`x + (2 x >> 32)`), and VRSHL rounds half upwards.
//!
//! The leaves are assembly (`asm.rs`), so they keep their speed at every `opt-level`. On the host, the same
//! contracts are in plain Rust on the same bytes (`emulated.rs`). `leaf.rs` is the safe interface of both.

#[cfg(kernels = "mve")]
mod asm;
mod conv;
#[cfg(kernels = "mve")]
mod dots;
#[cfg(not(kernels = "mve"))]
mod emulated;
mod leaf;
#[cfg(all(kernels = "mve", target_abi = "eabihf"))]
mod near;
#[cfg(kernels = "mve")]
mod running;
mod softmax;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::{Multiplier, Product, Sum, Weighted};

use super::{Band, Between, Cells, Kernels, Lines, Planes, Policy, Stage, TILE, portable, taps, thumb2};
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
    const WIDE_POOLS: bool = true;
    const CLEARED_TILES: bool = true;

    type Tiled<'a> = conv::Tiled<'a>;

    #[cfg(kernels = "mve")]
    fn dot_rows(x: &[Cell<i16>], rows: &super::Rows<'_>, out: &[Cell<i8>]) {
        if !dots::dot_rows(x, rows, out) {
            super::dots::dot_rows(x, rows, out, portable::dots);
        }
    }

    #[cfg(kernels = "mve")]
    fn copy_row(source: &[Cell<i8>], target: &[Cell<i8>]) {
        conv::copy(source, target);
    }

    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        leaf::load(tile, shape.line as usize, lines);
    }

    #[inline(always)]
    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        matmul::<false>(tile, pixels, weights, stage, out, out_stride);
    }

    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        dense::<false>(input, weights, stage, out);
    }

    fn dense_int16(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
        let shared = shared(stage);
        let channels = whole(stage, out.len(), &shared);
        if channels.count != 0 {
            leaf::dense_int16(input, weights.bytes, &channels, out);
        }
        if channels.count != out.len() {
            dense_int16_rest(input, weights, stage, out);
        }
    }

    #[inline(never)]
    fn matmul_general(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        matmul::<true>(tile, pixels, weights, stage, out, out_stride);
    }

    #[inline(never)]
    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        dense::<true>(input, weights, stage, out);
    }

    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        if is_planar(band) {
            leaf::spread(band, slot, left, row, zero_point);
        } else {
            portable::load_band(band, slot, left, row, zero_point);
        }
    }

    fn load_planes(planes: &Planes<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        taps::load(planes, slot, left, row, zero_point);
    }

    fn depthwise_taps(planes: &Planes<'_>, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
        taps::row(planes, weights, stage, out);
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
        // If the number of channels is not a multiple of four, the last four are computed together, some of
        // them again.
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

    fn resize_row(between: &Between<'_>, rounding: Rounding, out: &[Cell<i8>]) {
        thumb2::resize_row(between, rounding, out);
    }

    fn sum(run: TensorView<'_, i8>) -> i32 {
        leaf::sum(run)
    }

    fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
        leaf::lookup(input, table, out);
    }

    #[cfg(all(kernels = "mve", target_abi = "eabihf"))]
    fn quantize(near: &super::Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
        near::quantize(near, input, out)
    }

    #[cfg(kernels = "mve")]
    fn running_sums(
        p: &ferrolite_schema::params::CumsumParams,
        rounding: Rounding,
        column: &super::Column<'_>,
    ) {
        running::running_sums(p, rounding, column);
    }

    fn extreme(run: TensorView<'_, i8>, largest: bool) -> i8 {
        leaf::extreme(run, largest)
    }

    fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
        softmax::softmax(depth, rows, table, out);
    }

    fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        if !leaf::average_pool(cells, min, max, out) {
            portable::average_pool(cells, min, max, out);
        }
    }

    #[inline(always)]
    fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        leaf::max_pool(cells, min, max, out);
    }

    fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, rounding: Rounding, out: &[Cell<i8>]) {
        if rounding == Rounding::Single || !leaf::adds(sum) {
            portable::add(a, b, sum, rounding, out);
        } else {
            portable::cycles(a, b, out, |a, b, out| leaf::add(a, b, sum, out));
        }
    }

    fn mul(
        a: TensorView<'_, i8>,
        b: TensorView<'_, i8>,
        product: &Product,
        rounding: Rounding,
        out: &[Cell<i8>],
    ) {
        if rounding == Rounding::Single || !leaf::is_right(&product.multiplier) {
            portable::mul(a, b, product, rounding, out);
        } else {
            portable::cycles(a, b, out, |a, b, out| leaf::mul(a, b, product, out));
        }
    }

    fn weighted_sum(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Weighted, out: &[Cell<i8>]) {
        portable::cycles(a, b, out, |a, b, out| leaf::weighted_sum(a, b, sum, out));
    }

    fn min_max(a: TensorView<'_, i8>, b: TensorView<'_, i8>, maximum: bool, out: &[Cell<i8>]) {
        portable::cycles(a, b, out, |a, b, out| leaf::min_max(a, b, maximum, out));
    }
}

/// A matrix product, with any multipliers if `GENERAL`.
#[inline(always)]
fn matmul<const GENERAL: bool>(
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
        leaf::quads::<GENERAL>(&tile, weights.bytes, &Channels::of(stage, 0, channels), out, out_stride);
    } else {
        quads_and_rest::<GENERAL>(&tile, weights, stage, out, out_stride);
    }
    if is_narrow(stage) {
        for out in out.chunks(out_stride.max(1)).take(pixels) {
            clamp(stage, out.get(..channels).unwrap_or(out));
        }
    }
}

/// A dense layer, with any multipliers if `GENERAL`. Small layers take little longer than what is around the leaf.
#[inline(always)]
fn dense<const GENERAL: bool>(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
    let count = out.len() & !(QUAD - 1);
    if count == 0 {
        // Fewer than four outputs are left to the rest.
    } else if stage.multipliers.len() == 1 {
        dense_shared::<GENERAL>(input, weights, stage, out);
    } else {
        leaf::dense::<GENERAL>(input, weights.bytes, &Channels::of(stage, 0, count), out);
    }
    if count != out.len() {
        dense_rest::<GENERAL>(input, weights, stage, out);
    }
    if is_narrow(stage) {
        clamp(stage, out);
    }
}

/// The whole quads of a dense layer with one multiplier.
#[inline(never)]
fn dense_shared<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let shared = shared(stage);
    let channels = whole(stage, out.len(), &shared);
    if channels.count != 0 {
        leaf::dense::<GENERAL>(input, weights.bytes, &channels, out);
    }
}

/// Whether a band consists of one plane for each channel, which has a byte for each ring row, column after
/// column: then a window is contiguous. Other bands have the layout of the portable set.
fn is_planar(band: &Band<'_>) -> bool {
    // Taps are numbered with 8 bits, and offsets of 16 bits must reach the planes of eight channels.
    band.channels >= QUAD
        && band.rows.wrapping_mul(band.columns) <= MAX_TAPS
        && band.width.wrapping_mul(band.rows) <= u16::MAX as usize / 7
}

/// Most taps of a kernel over a planar band.
const MAX_TAPS: usize = 255;

/// A tile of patches, one after the other, each as long as a row of the weights.
#[derive(Clone, Copy)]
struct Tile<'a> {
    bytes: &'a [Cell<u8>],
    /// Pixels that count, `1 ..= TILE`.
    pixels: usize,
}

/// The parameters of a multiple of four channels for a leaf.
#[derive(Clone, Copy)]
struct Channels<'a> {
    /// Number of channels.
    count: usize,
    bias: &'a [i32],
    multipliers: &'a [Multiplier],
    /// Whether four multipliers serve all channels.
    shared: bool,
    zero_point: i32,
}

impl<'a> Channels<'a> {
    /// `count` channels, starting with channel `first`, with multipliers of their own.
    fn of(stage: &Stage<'a>, first: usize, count: usize) -> Channels<'a> {
        Channels {
            count,
            bias: stage.bias.get(first..).unwrap_or(&[]),
            multipliers: stage.multipliers.get(first..).unwrap_or(&[]),
            shared: false,
            zero_point: stage.zero_point,
        }
    }

    /// The same channels with other multipliers, which serve all of them.
    fn share(self, multipliers: &'a [Multiplier; QUAD]) -> Channels<'a> {
        Channels { multipliers, shared: true, ..self }
    }

    /// Whether there are whole quads, and parameters for each of their channels.
    fn are_there(&self) -> bool {
        let multipliers = if self.shared { QUAD } else { self.count };
        self.count != 0
            && self.count & (QUAD - 1) == 0
            && self.bias.len() >= self.count
            && self.multipliers.len() >= multipliers
    }
}

/// Four copies of the multiplier that all channels share.
fn shared(stage: &Stage<'_>) -> [Multiplier; QUAD] {
    [stage.multipliers.first().copied().unwrap_or_default(); QUAD]
}

/// Parameters of a quad that is padded: biases and multipliers of the last channels.
struct Last {
    bias: [i32; QUAD],
    multipliers: [Multiplier; QUAD],
    zero_point: i32,
}

impl Last {
    fn of(stage: &Stage<'_>, first: usize) -> Last {
        // There are three at most.
        fn lanes<T: Copy + Default>(each: &[T], first: usize) -> [T; QUAD] {
            let each = each.get(first..).unwrap_or(&[]);
            let lane = |lane: usize| each.get(lane).copied().unwrap_or_default();
            [lane(0), lane(1), lane(2), T::default()]
        }
        let multipliers = match stage.multipliers {
            &[all] => [all; QUAD],
            each => lanes(each, first),
        };
        Last { bias: lanes(stage.bias, first), multipliers, zero_point: stage.zero_point }
    }

    fn channels(&self) -> Channels<'_> {
        let (bias, multipliers) = (&self.bias, &self.multipliers);
        Channels { count: QUAD, bias, multipliers, shared: true, zero_point: self.zero_point }
    }
}

/// The parameters of whole quads of channels; `shared` is used if the channels share a multiplier.
fn whole<'a>(stage: &Stage<'a>, count: usize, shared: &'a [Multiplier; QUAD]) -> Channels<'a> {
    let channels = Channels::of(stage, 0, count & !(QUAD - 1));
    if stage.multipliers.len() == 1 { channels.share(shared) } else { channels }
}

/// A matrix product with any number of channels.
#[inline(never)]
fn quads_and_rest<const GENERAL: bool>(
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
    leaf::quads::<GENERAL>(tile, weights.bytes, &channels, out, out_stride);
    if first == count {
        return;
    }
    let weights = weights.bytes.get(first.wrapping_mul(tile.bytes.len() / TILE)..).unwrap_or(&[]);
    let mut quad = [0i8; TILE * QUAD];
    let quad = Cell::from_mut(&mut quad[..]).as_slice_of_cells();
    leaf::quads::<GENERAL>(tile, weights, &Last::of(stage, first).channels(), quad, QUAD);
    let outs = out.chunks(out_stride.max(1)).take(tile.pixels);
    for (quad, out) in quad.chunks_exact(QUAD).zip(outs) {
        for (y, place) in quad.iter().zip(out.get(first..count).unwrap_or(&[])) {
            place.set(y.get());
        }
    }
}

/// Writes the first of four outputs to the up to three places that there are. A loop would become a call of `memcpy`, which
/// takes longer than the layer's last quad.
#[inline(always)]
fn put<T: Copy>(quad: &[Cell<T>; QUAD], places: &[Cell<T>]) {
    let [a, b, c, _] = quad;
    match places {
        [x] => x.set(a.get()),
        [x, y] => [(x, a), (y, b)].into_iter().for_each(|(place, y)| place.set(y.get())),
        [x, y, z, ..] => [(x, a), (y, b), (z, c)].into_iter().for_each(|(place, y)| place.set(y.get())),
        [] => {}
    }
}

/// The last channels of a dense layer, fewer than four of them.
#[inline(never)]
fn dense_rest<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let first = out.len() & !(QUAD - 1);
    let depth = input.len().next_multiple_of(VECTOR);
    let weights = weights.bytes.get(first.wrapping_mul(depth)..).unwrap_or(&[]);
    let quad = [const { Cell::new(0i8) }; QUAD];
    leaf::dense::<GENERAL>(input, weights, &Last::of(stage, first).channels(), &quad);
    put(&quad, out.get(first..).unwrap_or(&[]));
}

/// The same with outputs of int16.
#[inline(never)]
fn dense_int16_rest(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
    let first = out.len() & !(QUAD - 1);
    let depth = input.len().next_multiple_of(VECTOR);
    let weights = weights.bytes.get(first.wrapping_mul(depth)..).unwrap_or(&[]);
    let quad = [const { Cell::new(0i16) }; QUAD];
    leaf::dense_int16(input, weights, &Last::of(stage, first).channels(), &quad);
    put(&quad, out.get(first..).unwrap_or(&[]));
}

/// Whether a stage clamps to less than int8, to which the leaves already saturate.
fn is_narrow(stage: &Stage<'_>) -> bool {
    stage.min > -128 || stage.max < 127
}

/// Clamps to less than int8. This is rare enough for a separate pass.
#[inline(never)]
fn clamp(stage: &Stage<'_>, out: &[Cell<i8>]) {
    for y in out {
        y.set(i32::from(y.get()).max(stage.min).min(stage.max) as i8);
    }
}
