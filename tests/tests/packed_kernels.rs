//! Kernels with packed weights: each set equals the portable one on the packings that it names, on odd shapes,
//! extreme values and every number of pixels. On the host the sets of other cores are emulated.

use std::cell::Cell;

use ferrolite_runtime::kernels::{Armv6m, Armv7m, BAND_SLACK, Band, Kernels, Lines, Portable, Stage, TILE};
use ferrolite_runtime::packing::{Matrix, Order, Packing, Shape};
use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

/// What a kernel must leave alone.
const MARK: i8 = 0x5A;

/// Largest weight of chunks of any lengths: `16 * 15 * 128` is below `2^15`.
const LARGEST_IN_CHUNKS: i8 = 15;

/// Random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// Elements of which a third are extremes.
    fn element(&mut self) -> i8 {
        match self.below(3) {
            0 => [i8::MIN, i8::MAX, -127][self.below(3)],
            _ => self.next() as i8,
        }
    }

    fn elements(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.element()).collect()
    }

    /// A packed matrix, with chunks of any lengths, also of such as lead beyond the end.
    fn matrix(&mut self, shape: Shape) -> Packed {
        let mut words = vec![0u32; shape.bytes().expect("it is small") as usize / 4];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let chunks = shape.packing.order == Order::Chunks;
        for channel in 0..shape.channels {
            for number in 0..u32::from(if chunks { shape.packing.group } else { 0 }) {
                bytes[shape.chunk_place(channel, number) as usize] = self.next() as u8;
            }
            for k in 0..shape.depth().expect("it is small") {
                let mut w = self.element();
                if chunks {
                    w = w.clamp(-LARGEST_IN_CHUNKS, LARGEST_IN_CHUNKS);
                }
                let offset = shape.packing.order == Order::Quads && channel % 2 == 0;
                bytes[shape.place(channel, k) as usize] = w as u8 ^ if offset { 0x80 } else { 0 };
            }
        }
        Packed { shape, words }
    }

    /// Numbers for which packed weights are allowed.
    fn channels(&mut self, count: usize) -> Channels {
        let multipliers = if self.below(3) == 0 { 1 } else { count };
        let mut multiplier = || Multiplier {
            mantissa: (1 << 30) + self.below(1 << 30) as i32,
            shift: -1 - [self.below(8), self.below(22)][self.below(2)] as i32,
        };
        let multipliers = (0..multipliers).map(|_| multiplier()).collect();
        let bias = (0..count).map(|_| self.next() as i32 >> 14).collect();
        let (a, b) = (i32::from(self.element()), i32::from(self.element()));
        let bounds = if self.below(2) == 0 { (-128, 127) } else { (a.min(b), a.max(b)) };
        Channels { bias, multipliers, zero_point: self.element().into(), bounds }
    }
}

struct Packed {
    shape: Shape,
    words: Vec<u32>,
}

impl Packed {
    fn matrix(&self) -> Matrix<'_> {
        Matrix { shape: self.shape, bytes: bytemuck::cast_slice(&self.words) }
    }
}

struct Channels {
    bias: Vec<i32>,
    multipliers: Vec<Multiplier>,
    zero_point: i32,
    bounds: (i32, i32),
}

impl Channels {
    fn stage(&self) -> Stage<'_> {
        Stage {
            bias: &self.bias,
            multipliers: &self.multipliers,
            rounding: Rounding::Double,
            zero_point: self.zero_point,
            min: self.bounds.0,
            max: self.bounds.1,
        }
    }
}

fn cells<T>(elements: &mut [T]) -> &[Cell<T>] {
    Cell::from_mut(elements).as_slice_of_cells()
}

/// What a kernel leaves in `len` marked elements.
fn marked(len: usize, kernel: impl FnOnce(&[Cell<i8>])) -> Vec<i8> {
    let mut out = vec![MARK; len];
    kernel(cells(&mut out));
    out
}

/// Scratch memory of some bytes, filled with what an earlier op left behind.
fn scratch(bytes: usize) -> Vec<u32> {
    vec![0xA5C3_5A3C; bytes.div_ceil(4)]
}

/// Gathers `pixels` patches and multiplies them; the tile is filled in two steps where `split` is inside.
fn convolve<K: Kernels>(
    source: &[i8],
    (step, pitch): (usize, usize),
    (pixels, split): (usize, usize),
    weights: &Packed,
    stage: &Stage<'_>,
    stride: usize,
) -> Vec<i8> {
    let shape = &weights.shape;
    let depth = shape.padded_depth().expect("it is small") as usize;
    let mut words = scratch(TILE * usize::from(shape.packing.element) * depth);
    let tile = cells(bytemuck::cast_slice_mut::<u32, u8>(&mut words));
    let mut source = source.to_vec();
    let source = cells(&mut source);
    for lanes in [0..split.min(pixels), split.min(pixels)..pixels] {
        let source = source.get(lanes.start * step..).unwrap_or(&[]);
        K::load_lines(tile, shape, &Lines { source, lanes, step, lines: 0..shape.lines as usize, pitch });
    }
    marked(pixels * stride + 3, |out| {
        K::matmul_packed(tile, pixels, &weights.matrix(), stage, out, stride);
    })
}

fn convolutions_equal_portable<K: Kernels>() {
    let mut random = Random(1);
    for pixels in 1..=TILE {
        for (lines, line) in [(1, 1), (1, 7), (1, 64), (3, 3), (2, 8), (3, 12), (1, 33), (5, 4)] {
            for count in [1, 2, 3, 7, 8, 9, 16, 17] {
                let mut packing = K::POLICY.conv;
                if packing.order == Order::Chunks {
                    packing = Packing::chunks(1 + random.below(20) as u8);
                }
                let shape = Shape { packing, channels: count, lines, line };
                let (step, pitch) = (1 + random.below(5), line as usize + random.below(4));
                let needed = (TILE - 1) * step + (lines as usize - 1) * pitch + line as usize;
                let behind = random.below(3);
                let source = random.elements(needed + behind);
                let weights = random.matrix(shape);
                let channels = random.channels(count as usize);
                let stage = channels.stage();
                let lanes = (pixels, random.below(pixels + 1));
                let stride = count as usize + random.below(3);
                let run = [convolve::<K>, convolve::<Portable>];
                let [found, wanted] =
                    run.map(|run| run(&source, (step, pitch), lanes, &weights, &stage, stride));
                assert_eq!(found, wanted, "{pixels} pixels, {lines} x {line}, {count} channels");
            }
        }
    }
}

type Dense = fn(&[Cell<i8>], &Matrix<'_>, &Stage<'_>, &[Cell<i8>]);

fn dense_layers_equal_portable<K: Kernels>() {
    if K::POLICY.dense == Packing::PLAIN {
        return;
    }
    let mut random = Random(2);
    for inputs in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 130] {
        for count in [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17] {
            let shape = Shape { packing: K::POLICY.dense, channels: count, lines: 1, line: inputs };
            let weights = random.matrix(shape);
            let mut input = random.elements(inputs as usize);
            let channels = random.channels(count as usize);
            let mut run = |dense: Dense| {
                marked(count as usize, |out| {
                    dense(cells(&mut input), &weights.matrix(), &channels.stage(), out);
                })
            };
            assert_eq!(run(K::dense_packed), run(Portable::dense_packed), "{inputs} x {count}");
        }
    }
}

/// An image that a depthwise convolution walks.
struct Image {
    rows: Vec<Vec<i8>>,
    zero_point: i8,
    left: usize,
    width: usize,
    kernel: (usize, usize),
    stride: usize,
    channels: usize,
    pixels: usize,
}

impl Image {
    /// Two rows of outputs, so that the ring turns.
    fn run<K: Kernels>(&self, weights: &Packed, stage: &Stage<'_>) -> Vec<i8> {
        let packing = weights.shape.packing;
        let row_bytes = Band::row_bytes(packing, self.width as u32, self.channels as u32);
        let row_bytes = row_bytes.expect("it is small") as usize;
        let mut words = scratch(row_bytes * self.kernel.0 + BAND_SLACK);
        let mut band = Band {
            cells: cells(bytemuck::cast_slice_mut::<u32, u8>(&mut words)),
            width: self.width,
            rows: self.kernel.0,
            first: 0,
            columns: self.kernel.1,
            stride: self.stride,
            channels: self.channels,
            row_bytes,
        };
        let mut outputs = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut row = row.clone();
            K::load_band(&band, number % self.kernel.0, self.left, cells(&mut row), self.zero_point);
            if number + 1 >= self.kernel.0 {
                band.first = (number + 1) % self.kernel.0;
                outputs.extend(marked(self.pixels * self.channels, |out| {
                    K::depthwise_band(&band, &weights.matrix(), stage, out);
                }));
            }
        }
        outputs
    }
}

fn depthwise_layers_equal_portable<K: Kernels>() {
    let mut random = Random(3);
    for kernel in [(3, 3), (1, 1), (1, 4), (5, 3), (3, 2), (2, 5)] {
        for stride in 1..4 {
            for pixels in [1, 2, 3, 4, 5, 7, 8, 11] {
                for channels in [1, 2, 3, 4, 5, 8, 12] {
                    let width = (pixels - 1) * stride + kernel.1;
                    let left = random.below(kernel.1);
                    let inside = (width - left).saturating_sub(random.below(2)).max(1);
                    let image = Image {
                        // A row of padding comes empty.
                        rows: (0..=kernel.0)
                            .map(|y| if y == 0 { vec![] } else { random.elements(inside * channels) })
                            .collect(),
                        zero_point: random.element(),
                        left,
                        width,
                        kernel,
                        stride,
                        channels,
                        pixels,
                    };
                    let shape = Shape {
                        packing: K::POLICY.depthwise,
                        channels: channels as u32,
                        lines: 1,
                        line: (kernel.0 * kernel.1) as u32,
                    };
                    let weights = random.matrix(shape);
                    let numbers = random.channels(channels);
                    let stage = numbers.stage();
                    assert_eq!(
                        image.run::<K>(&weights, &stage),
                        image.run::<Portable>(&weights, &stage),
                        "{kernel:?} stride {stride}, {pixels} pixels of {channels} channels"
                    );
                }
            }
        }
    }
}

fn equals_portable<K: Kernels>() {
    convolutions_equal_portable::<K>();
    dense_layers_equal_portable::<K>();
    depthwise_layers_equal_portable::<K>();
}

#[test]
fn armv7m_equals_the_portable_set() {
    equals_portable::<Armv7m>();
}

#[test]
fn armv6m_equals_the_portable_set() {
    equals_portable::<Armv6m>();
}
