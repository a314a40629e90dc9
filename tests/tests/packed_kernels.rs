//! Kernels with packed weights: each set equals the portable one for its own packings, for odd and random
//! shapes, extreme values and every number of pixels, up to the bounds that the converter proves, with any
//! values in the padding of the weights. On the host, the sets of other cores are emulated.

mod common;

use std::cell::Cell;
use std::ops::Range;

use ferrolite_runtime::cases::Random;
use ferrolite_runtime::cases::packed::{Channels, Packed};
use ferrolite_runtime::kernels::{
    Armv6m, Armv7em, Armv7m, BAND_SLACK, Band, ByTiles, COLUMNS, General, Job, Kernels, Lines, Mve, Outputs,
    Patches, Portable, Rv32im, Stage, Strips, TILE, Tiles,
};
#[cfg(all(target_arch = "x86_64", not(miri)))]
use ferrolite_runtime::kernels::{Avx2, Host};
use ferrolite_runtime::ops::depthwise_3x3;
use ferrolite_runtime::packing::{Matrix, Order, Packing, Shape};
use ferrolite_runtime::winograd::Filters;

/// Marks elements that a kernel must not change.
const MARK: i8 = 0x5A;

/// Most weights of a channel: `128 * 128` times as many are below the lowest bound, `2^22`.
const DEEPEST: usize = 255;

/// The same where there is no bound: larger than any part of a sum that a kernel adds up at a time.
const DEEPEST_OF_ALL: usize = 1000;

/// Random shapes in addition to the listed ones.
const SHAPES: usize = 1000;

fn cells<T>(elements: &mut [T]) -> &[Cell<T>] {
    Cell::from_mut(elements).as_slice_of_cells()
}

/// The contents of `len` marked elements after a kernel has run.
fn marked(len: usize, kernel: impl FnOnce(&[Cell<i8>])) -> Vec<i8> {
    let mut out = vec![MARK; len];
    kernel(cells(&mut out));
    out
}

/// Scratch memory of so many bytes, filled with bytes that an earlier op left behind.
fn with_scratch(bytes: usize, kernel: impl FnOnce(&[Cell<u8>])) {
    let mut words = vec![0xA5C3_5A3Cu32; bytes.div_ceil(4)];
    kernel(&cells(bytemuck::cast_slice_mut(&mut words))[..bytes]);
}

/// The patches of some pixels and the weights that they are multiplied with.
struct Convolution {
    source: Vec<i8>,
    /// Elements from one pixel to the next, and from one line to the next.
    step: usize,
    pitch: usize,
    pixels: usize,
    /// The pixel and the line at which loading is split: a tile is filled from two rows of outputs, a row
    /// from a ring.
    cut: (usize, usize),
    weights: Packed,
    numbers: Channels,
    out_stride: usize,
}

impl Convolution {
    fn new<K: Kernels>(
        random: &mut Random,
        (pixels, channels): (usize, usize),
        (lines, line): (usize, usize),
        general: bool,
    ) -> Convolution {
        let mut packing = K::POLICY.conv;
        if packing.order == Order::Chunks {
            packing = Packing::chunks(random.up_to(20) as u8);
        }
        if general {
            // Chunks: as many as there are weights, if need be.
            let group = (lines * line).div_ceil(16) as u8;
            packing = if packing.order == Order::Chunks { Packing::chunks(group) } else { packing }.general();
        }
        let shape = Shape { packing, channels: channels as u32, lines: lines as u32, line: line as u32 };
        let (step, pitch) = (random.up_to(2 * line + 3), line + random.below(4));
        let needed = (pixels - 1) * step + (lines - 1) * pitch + line;
        let behind = random.below(5);
        let weights = random.padded_matrix(shape);
        Convolution {
            source: random.elements(needed + behind),
            step,
            pitch,
            pixels,
            cut: (random.below(pixels + 1), random.below(lines + 1)),
            numbers: random.channels_of(&weights),
            weights,
            out_stride: channels + random.below(3),
        }
    }

    fn run<K: Kernels>(&self) -> Vec<i8> {
        let shape = &self.weights.shape;
        let depth = shape.padded_depth().expect("it is small") as usize;
        let mut source = self.source.clone();
        let source = cells(&mut source);
        let parts = |cut: usize, end: usize| {
            [0..cut, cut..end].into_iter().filter(|part: &Range<usize>| !part.is_empty())
        };
        let len = self.pixels * self.out_stride + 3;
        let mut outputs = Vec::new();
        with_scratch(TILE * usize::from(shape.packing.element) * depth, |tile| {
            if K::CLEARED_TILES && shape.padded_depth() != shape.depth() {
                tile.iter().for_each(|cell| cell.set(0));
            }
            for lanes in parts(self.cut.0, self.pixels) {
                for lines in parts(self.cut.1, shape.lines as usize) {
                    let start = lanes.start * self.step + lines.start * self.pitch;
                    let source = source.get(start..).unwrap_or(&[]);
                    let lanes = lanes.clone();
                    let lines = Lines { source, lanes, step: self.step, lines, pitch: self.pitch };
                    K::load_lines(tile, shape, &lines);
                }
            }
            outputs = marked(len, |out| {
                let (weights, stage) = (self.weights.matrix(), self.numbers.stage());
                K::matmul_packed(tile, self.pixels, &weights, &stage, out, self.out_stride);
            });
        });
        outputs
    }

    fn check<K: Kernels>(&self) {
        let Convolution { pixels, step, pitch, cut, weights, .. } = self;
        assert_eq!(
            self.run::<K>(),
            self.run::<Portable>(),
            "{pixels} pixels {step} apart, lines {pitch} apart, cut at {cut:?}, {:?}",
            weights.shape
        );
    }
}

fn convolutions_equal_portable<K: Kernels>() {
    rows_equal_portable::<K>(false);
    rows_equal_portable::<General<K>>(true);
    convolutions_equal::<K>(false);
    convolutions_equal::<General<K>>(true);
}

fn convolutions_equal<K: Kernels>(general: bool) {
    let mut random = Random(1);
    for pixels in 1..=TILE {
        for lines in [(1, 1), (1, 7), (1, 64), (3, 3), (2, 8), (3, 12), (1, 33), (5, 4)] {
            for channels in [1, 2, 3, 7, 8, 9, 16, 17] {
                Convolution::new::<K>(&mut random, (pixels, channels), lines, general).check::<K>();
            }
        }
    }
    for _ in 0..SHAPES {
        let lines = random.up_to(12);
        let deepest = if general { DEEPEST_OF_ALL } else { DEEPEST };
        let line = random.up_to(deepest / lines);
        let size = (random.up_to(TILE), random.up_to(40));
        Convolution::new::<K>(&mut random, size, (lines, line), general).check::<K>();
    }
}

/// The pixels of a row of outputs above a ring of rows, tile by tile as a set prepares them.
struct Row {
    ring: Vec<i8>,
    step: usize,
    pitch: usize,
    pixels: usize,
    /// Lines before the ring's end.
    until_end: usize,
    /// The lane at which loading is split.
    cut: usize,
    weights: Packed,
    numbers: Channels,
}

impl Row {
    fn new<K: Kernels>(
        random: &mut Random,
        (pixels, channels): (usize, usize),
        (lines, line): (usize, usize),
        general: bool,
    ) -> Row {
        let Convolution { weights, numbers, .. } =
            Convolution::new::<K>(random, (1, channels), (lines, line), general);
        let step = random.up_to(2 * line + 3);
        let pitch = (pixels - 1) * step + line + random.below(3);
        let behind = random.below(5);
        Row {
            ring: random.elements(lines * pitch + behind),
            step,
            pitch,
            pixels,
            until_end: random.up_to(lines),
            cut: random.below(TILE),
            weights,
            numbers,
        }
    }

    fn run<K: Kernels>(&self) -> Vec<i8> {
        let &Row { step, pitch, pixels, until_end, .. } = self;
        let shape = &self.weights.shape;
        let depth = shape.padded_depth().expect("it is small") as usize;
        let out_stride = shape.channels as usize;
        let mut ring = self.ring.clone();
        let start = (shape.lines as usize - until_end) * pitch;
        let patches = Patches { cells: cells(&mut ring), start, until_end, again: 0 };
        let mut outputs = Vec::new();
        with_scratch(TILE * usize::from(shape.packing.element) * depth, |tile| {
            if K::CLEARED_TILES && shape.padded_depth() != shape.depth() {
                tile.iter().for_each(|cell| cell.set(0));
            }
            outputs = marked(pixels * out_stride, |out| {
                let (weights, stage) = (&self.weights.matrix(), &self.numbers.stage());
                let mut conv = K::Tiled::new(&Job { tile, weights, stage, step, pitch, out_stride });
                let mut at = 0;
                while at < pixels {
                    let left = (pixels - at) / TILE;
                    at += TILE * conv.tiles(&patches.skip(at * step), left, &out[at * out_stride..]);
                    let here = TILE.min(pixels - at);
                    let cut = self.cut.min(here);
                    for lanes in [0..cut, cut..here].into_iter().filter(|lanes| !lanes.is_empty()) {
                        conv.load(&patches.skip((at + lanes.start) * step), lanes);
                    }
                    conv.multiply(here, &out[at * out_stride..]);
                    at += here;
                }
                conv.finish(out);
            });
        });
        outputs
    }
}

fn rows_equal_portable<K: Kernels>(general: bool) {
    let mut random = Random(7);
    for _ in 0..SHAPES {
        let lines = random.up_to(6);
        let line = random.up_to(DEEPEST.min(80) / lines);
        let size = (random.up_to(5 * TILE), random.up_to(20));
        let row = Row::new::<K>(&mut random, size, (lines, line), general);
        let Row { pixels, step, pitch, until_end, cut, .. } = row;
        assert_eq!(
            row.run::<K>(),
            row.run::<Portable>(),
            "{pixels} pixels {step} apart, lines {pitch} apart, {until_end} before the end, cut at {cut}, {:?}",
            row.weights.shape
        );
    }
}

type Dense = fn(&[Cell<i8>], &Matrix<'_>, &Stage<'_>, &[Cell<i8>]);

/// The same with outputs of int16.
type Wide = fn(&[Cell<i8>], &Matrix<'_>, &Stage<'_>, &[Cell<i16>]);

/// The same of two rows.
type Twice = fn([&[Cell<i8>]; 2], &[Cell<u8>], &Matrix<'_>, &Stage<'_>, [&[Cell<i16>]; 2]);

fn dense_layer_equals_portable<K: Kernels>(
    random: &mut Random,
    inputs: usize,
    channels: usize,
    general: bool,
) {
    let packing = if general { K::POLICY.dense.general() } else { K::POLICY.dense };
    let shape = Shape { packing, channels: channels as u32, lines: 1, line: inputs as u32 };
    let weights = random.padded_matrix(shape);
    let mut input = random.elements(inputs);
    let numbers = random.channels_of(&weights);
    let mut run = |dense: Dense| {
        marked(channels, |out| dense(cells(&mut input), &weights.matrix(), &numbers.stage(), out))
    };
    assert_eq!(run(K::dense_packed), run(Portable::dense_packed), "{inputs} x {channels}");
    if general {
        return;
    }
    let mut run = |dense: Wide| {
        let mut out = vec![i16::from(MARK); channels];
        let stage = Stage { zero_point: 0, min: i16::MIN.into(), max: i16::MAX.into(), ..numbers.stage() };
        dense(cells(&mut input), &weights.matrix(), &stage, cells(&mut out));
        out
    };
    assert_eq!(run(K::dense_int16), run(Portable::dense_int16), "{inputs} x {channels}, int16");
    let mut second = random.elements(inputs);
    let mut twice = |twice: Twice| {
        let mut out = [0, 1].map(|_| vec![i16::from(MARK); channels]);
        let mut tile = vec![0xAAAA_AAAAu32; 4 * inputs.div_ceil(4)];
        let tile = Cell::from_mut(bytemuck::cast_slice_mut::<u32, u8>(&mut tile)).as_slice_of_cells();
        let stage = Stage { zero_point: 0, min: i16::MIN.into(), max: i16::MAX.into(), ..numbers.stage() };
        let [first_out, second_out] = &mut out;
        let rows = [cells(&mut input), cells(&mut second)];
        twice(rows, tile, &weights.matrix(), &stage, [cells(first_out), cells(second_out)]);
        out
    };
    assert_eq!(
        twice(K::dense_int16_twice),
        twice(Portable::dense_int16_twice),
        "{inputs} x {channels}, two rows"
    );
}

fn dense_layers_equal_portable<K: Kernels>() {
    dense_layers_equal::<K>(false);
    dense_layers_equal::<General<K>>(true);
}

fn dense_layers_equal<K: Kernels>(general: bool) {
    if K::POLICY.dense == Packing::PLAIN {
        return;
    }
    let mut random = Random(2);
    for inputs in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 130] {
        for channels in [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17, 33] {
            dense_layer_equals_portable::<K>(&mut random, inputs, channels, general);
        }
    }
    for _ in 0..SHAPES {
        let deepest = if general { DEEPEST_OF_ALL } else { DEEPEST };
        let (inputs, channels) = (random.up_to(deepest), random.up_to(70));
        dense_layer_equals_portable::<K>(&mut random, inputs, channels, general);
    }
}

/// An image that a depthwise convolution processes row by row.
struct Image {
    rows: Vec<Vec<i8>>,
    zero_point: i8,
    left: usize,
    kernel: (usize, usize),
    stride: usize,
    channels: usize,
    pixels: usize,
    /// Ring row of the first image row.
    slot: usize,
    weights: Packed,
    numbers: Channels,
}

impl Image {
    /// Rows for several rows of outputs, so that the ring wraps around.
    fn new<K: Kernels>(
        random: &mut Random,
        kernel: (usize, usize),
        (stride, pixels, channels): (usize, usize, usize),
    ) -> Image {
        let shape = Shape {
            packing: K::POLICY.depthwise,
            channels: channels as u32,
            lines: 1,
            line: (kernel.0 * kernel.1) as u32,
        };
        let weights = random.padded_matrix(shape);
        let width = (pixels - 1) * stride + kernel.1;
        let left = [random.below(kernel.1), random.below(width + 2)][usize::from(random.below(8) == 0)];
        // Windows may leave out columns on the right, or extend beyond the image by any number.
        let inside = match random.below(3) {
            0 => random.up_to(width),
            _ => (width + 2).saturating_sub(left + random.below(4)).max(1),
        };
        let rows = kernel.0 + random.up_to(2);
        Image {
            // A row of padding is empty.
            rows: (0..rows)
                .map(|_| if random.below(5) == 0 { vec![] } else { random.elements(inside * channels) })
                .collect(),
            zero_point: random.element(),
            left,
            kernel,
            stride,
            channels,
            pixels,
            slot: random.below(kernel.0),
            numbers: random.channels_of(&weights),
            weights,
        }
    }

    fn run<K: Kernels>(&self) -> Vec<i8> {
        let width = (self.pixels - 1) * self.stride + self.kernel.1;
        let row_bytes = Band::row_bytes(self.weights.shape.packing, width as u32, self.channels as u32);
        let row_bytes = row_bytes.expect("it is small") as usize;
        let mut outputs = Vec::new();
        with_scratch(row_bytes * self.kernel.0 + BAND_SLACK, |cells_of_ring| {
            let mut band = Band {
                cells: cells_of_ring,
                width,
                rows: self.kernel.0,
                first: 0,
                columns: self.kernel.1,
                stride: self.stride,
                channels: self.channels,
                row_bytes,
            };
            let (weights, stage) = (self.weights.matrix(), self.numbers.stage());
            for (number, row) in self.rows.iter().enumerate() {
                let slot = (self.slot + number) % self.kernel.0;
                K::load_band(&band, slot, self.left, cells(&mut row.clone()), self.zero_point);
                if number + 1 >= self.kernel.0 {
                    band.first = (slot + 1) % self.kernel.0;
                    outputs.extend(marked(self.pixels * self.channels, |out| {
                        K::depthwise_band(&band, &weights, &stage, out);
                    }));
                }
            }
        });
        outputs
    }

    fn check<K: Kernels>(&self) {
        let Image { kernel, stride, pixels, channels, left, slot, .. } = self;
        let rows: Vec<usize> = self.rows.iter().map(|row| row.len() / channels).collect();
        assert_eq!(
            self.run::<K>(),
            self.run::<Portable>(),
            "{kernel:?} stride {stride}, {pixels} pixels of {channels} channels, rows {rows:?} from slot {slot} on \
             behind {left}"
        );
    }
}

fn depthwise_layers_equal_portable<K: Kernels>() {
    let mut random = Random(3);
    for kernel in [(3, 3), (1, 1), (1, 4), (5, 3), (3, 2), (2, 5)] {
        for stride in 1..4 {
            for pixels in [1, 2, 3, 4, 5, 7, 8, 11] {
                for channels in [1, 2, 3, 4, 5, 8, 12] {
                    Image::new::<K>(&mut random, kernel, (stride, pixels, channels)).check::<K>();
                }
            }
        }
    }
    // Kernels with more taps than some sets can number.
    for kernel in [(15, 17), (16, 16), (1, 65), (8, 8)] {
        for channels in [1, 4, 9] {
            Image::new::<K>(&mut random, kernel, (1, 3, channels)).check::<K>();
        }
    }
    for _ in 0..SHAPES {
        let kernel = match random.below(3) {
            0 => (3, 3),
            _ => (random.up_to(7), random.up_to(7)),
        };
        let size = (random.up_to(5), random.up_to(14), random.up_to(24));
        Image::new::<K>(&mut random, kernel, size).check::<K>();
    }
}

/// An image that a 3x3 depthwise convolution processes four channels at a time.
struct Whole {
    image: Vec<i8>,
    height: usize,
    width: usize,
    channels: usize,
    top: usize,
    left: usize,
    zero_point: i8,
    weights: Packed,
    numbers: Channels,
}

impl Whole {
    fn new(random: &mut Random, (height, width, channels): (usize, usize, usize)) -> Whole {
        let shape = Shape { packing: depthwise_3x3::PACKING, channels: channels as u32, lines: 1, line: 9 };
        let weights = random.padded_matrix(shape);
        Whole {
            image: random.elements(height * width * channels),
            height,
            width,
            channels,
            top: random.below(3),
            left: random.below(3),
            zero_point: random.element(),
            numbers: random.channels_of(&weights),
            weights,
        }
    }

    fn by_definition(&self) -> Vec<i8> {
        let (matrix, stage) = (self.weights.matrix(), self.numbers.stage());
        let inside = |at: usize, tap: usize, pad: usize, size: usize| {
            (at + tap).checked_sub(pad).filter(|&at| at < size)
        };
        let element = |index: usize| {
            let (c, x, y) = (
                index % self.channels,
                index / self.channels % self.width,
                index / self.channels / self.width,
            );
            let (mut sum, multiplier) = stage.channel(c);
            for k in 0..9 {
                let y = inside(y, k / 3, self.top, self.height);
                let x = inside(x, k % 3, self.left, self.width);
                let at = y.zip(x).map(|(y, x)| (y * self.width + x) * self.channels + c);
                let x = at.map_or(self.zero_point, |at| self.image[at]);
                sum += i32::from(x) * i32::from(matrix.weight(c as u32, k as u32));
            }
            stage.apply(sum, multiplier)
        };
        (0..self.image.len()).map(element).collect()
    }

    /// The results of a set, with the output apart from the image and over it.
    fn run<K: Kernels>(&self) -> [Vec<i8>; 2] {
        let mut image = self.image.clone();
        let mut apart = vec![MARK; image.len()];
        let bytes = Strips::ring_bytes(self.width as u32) as usize;
        // The memory after the ring belongs to other ops.
        with_scratch(bytes + 8, |scratch| {
            let (ring, behind) = scratch.split_at(bytes);
            let before: Vec<u8> = behind.iter().map(Cell::get).collect();
            let shared = cells(&mut image);
            let run = |out: &[Cell<i8>]| {
                let Whole { height, width, channels, top, left, zero_point, .. } = *self;
                let strips = Strips { image: shared, ring, height, width, channels, top, left, zero_point };
                K::depthwise_3x3(&strips, &self.weights.matrix(), &self.numbers.stage(), out);
            };
            run(cells(&mut apart));
            run(shared);
            assert_eq!(behind.iter().map(Cell::get).collect::<Vec<u8>>(), before);
        });
        [apart, image]
    }

    fn check<K: Kernels>(&self) {
        let Whole { height, width, channels, top, left, .. } = *self;
        let wanted = self.by_definition();
        for (found, how) in self.run::<K>().iter().zip(["apart", "in place"]) {
            assert!(
                *found == wanted,
                "{height} x {width} pixels of {channels} channels behind {top} rows and {left} columns, {how}"
            );
        }
    }
}

fn whole_images_are_as_defined<K: Kernels>() {
    let mut random = Random(5);
    for height in [1, 2, 3, 5] {
        for width in [2, 3, 4, 5, 7, 8] {
            for channels in [4, 8, 12] {
                for _ in 0..3 {
                    Whole::new(&mut random, (height, width, channels)).check::<K>();
                }
            }
        }
    }
    for _ in 0..SHAPES / 4 {
        let size = (random.up_to(9), 1 + random.up_to(17), 4 * random.up_to(5));
        Whole::new(&mut random, size).check::<K>();
    }
}

#[test]
fn depthwise_layers_by_blocks_are_as_defined() {
    whole_images_are_as_defined::<Portable>();
    whole_images_are_as_defined::<Armv7em>();
}

/// The pixels under adjacent tiles, of two rows of tiles one after the other.
struct TiledImage {
    channels: usize,
    rows: [[Vec<i8>; 4]; 2],
    left: usize,
    zero_point: i8,
    outputs: u32,
    filters: Vec<u32>,
    general: bool,
    numbers: Channels,
    /// Elements from one row of outputs to the next.
    row: usize,
    /// Columns and rows of outputs.
    size: (usize, usize),
    /// Words before the scratch memory.
    misplaced: usize,
}

impl TiledImage {
    fn new(random: &mut Random, general: bool) -> TiledImage {
        let (channels, outputs) = (4 * random.up_to(9), 2 * random.up_to(5) as u32);
        let (filters, rooms) = random.filters(channels as u32, outputs);
        let left = [random.below(3), random.below(COLUMNS + 1)][usize::from(random.below(4) == 0)];
        let inside = match random.below(2) {
            0 => COLUMNS - left,
            _ => random.below(COLUMNS - left + 1),
        };
        let mut row = || if random.below(4) == 0 { vec![] } else { random.elements(inside * channels) };
        let rows = std::array::from_fn(|_| std::array::from_fn(|_| row()));
        let width = random.up_to(2 * TILE);
        TiledImage {
            channels,
            rows,
            left,
            zero_point: random.element(),
            outputs,
            filters,
            general,
            numbers: if general { random.any_channels(rooms.len()) } else { random.channels(&rooms) },
            row: width * outputs as usize + random.below(9),
            size: (width, random.up_to(2)),
            misplaced: random.below(8),
        }
    }

    fn run<K: Kernels>(&self) -> Vec<i8> {
        let (outputs, inputs, general) = (self.outputs, self.channels as u32, self.general);
        let filters = Filters { outputs, inputs, words: &self.filters, general };
        let size = Tiles::bytes(self.channels as u32).expect("it is small") as usize;
        let (width, height) = self.size;
        let mut outputs = Vec::new();
        with_scratch(4 * self.misplaced + size, |memory| {
            let tiles = Tiles { cells: &memory[4 * self.misplaced..], channels: self.channels };
            for rows in &self.rows {
                let mut rows = rows.clone();
                let rows = rows.each_mut().map(|row| cells(&mut row[..]));
                K::load_tiles(&tiles, rows, self.left, self.zero_point);
                outputs.extend(marked(self.row * height + 3, |cells| {
                    let pixel = self.outputs as usize;
                    let out = Outputs { cells, pixel, row: self.row, width, height };
                    K::matmul_tiles(&tiles, &filters, &self.numbers.stage(), &out);
                }));
            }
        });
        outputs
    }
}

fn tiles_equal_portable<K: Kernels>() {
    tiles_equal::<K>(false);
    tiles_equal::<General<K>>(true);
}

fn tiles_equal<K: Kernels>(general: bool) {
    let mut random = Random(4);
    for _ in 0..SHAPES {
        let image = TiledImage::new(&mut random, general);
        let TiledImage { channels, left, outputs, size, rows, .. } = &image;
        let rows = rows.each_ref().map(|rows| rows.each_ref().map(|row| row.len() / channels));
        assert_eq!(
            image.run::<K>(),
            image.run::<Portable>(),
            "{channels} to {outputs} channels, {size:?} outputs, rows {rows:?} behind {left}"
        );
    }
}

fn equals_portable<K: Kernels>() {
    convolutions_equal_portable::<K>();
    dense_layers_equal_portable::<K>();
    depthwise_layers_equal_portable::<K>();
}

#[test]
fn armv7em_equals_the_portable_set() {
    equals_portable::<Armv7em>();
    tiles_equal_portable::<Armv7em>();
}

#[test]
fn mve_equals_the_portable_set() {
    equals_portable::<Mve>();
}

#[test]
fn armv7m_equals_the_portable_set() {
    equals_portable::<Armv7m>();
}

#[test]
fn armv6m_equals_the_portable_set() {
    equals_portable::<Armv6m>();
}

#[test]
fn rv32im_equals_the_portable_set() {
    equals_portable::<Rv32im>();
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[test]
fn avx2_equals_the_portable_set() {
    if !is_x86_feature_detected!("avx2") {
        println!("skipped: the processor has no AVX2");
    }
    equals_portable::<Avx2>();
}

/// The best level that this processor has.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[test]
fn host_equals_the_portable_set() {
    if !is_x86_feature_detected!("avxvnni") && !is_x86_feature_detected!("avx512vnni") {
        println!("skipped: the processor has no VNNI");
    }
    equals_portable::<Host>();
}
