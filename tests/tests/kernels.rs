//! Kernel sets: each equals the portable one in every method without a packing (`packed_kernels.rs` tests the
//! others), for odd shapes and extreme values. The portable set equals the definitions, which are written
//! here without regard for speed.
//!
//! A new set is tested by one more line in [`sets_equal_the_portable_one`].

use std::cell::Cell;

use ferrolite_runtime::kernels::{
    Armv6m, Armv7em, Armv7m, Cells, Kernels, Mve, Native, Portable, Rv32im, Stage, TILE,
};
use ferrolite_runtime::tensor::TensorView;
use ferrolite_schema::Rounding;
use ferrolite_schema::params::{Multiplier, Product, Sum, Term, Weighted};

const ROUNDINGS: [Rounding; 2] = [Rounding::Double, Rounding::Single];

/// Marks elements that a kernel must not change.
const MARK: i8 = 0x5A;

/// Random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn below(&mut self, end: u32) -> usize {
        (self.next() % end) as usize
    }

    /// Elements, one third of which are extreme values.
    fn elements(&mut self, len: usize) -> Vec<i8> {
        let extremes = [i8::MIN, i8::MAX, -127];
        let mut element = || match self.below(3) {
            0 => extremes[self.below(3)],
            _ => self.next() as i8,
        };
        (0..len).map(|_| element()).collect()
    }

    fn multiplier(&mut self) -> Multiplier {
        match self.below(16) {
            0 => Multiplier { mantissa: 0, shift: 0 },
            1 => Multiplier { mantissa: i32::MAX, shift: self.below(62) as i32 - 31 },
            _ => Multiplier {
                mantissa: (1 << 30) + self.below(1 << 30) as i32,
                shift: self.below(14) as i32 - 12,
            },
        }
    }

    fn bias(&mut self) -> i32 {
        match self.below(8) {
            0 => [i32::MIN, i32::MAX][self.below(2)],
            _ => self.next() as i32 >> 12,
        }
    }

    fn bounds(&mut self) -> (i32, i32) {
        let (a, b) = (i32::from(self.next() as i8), i32::from(self.next() as i8));
        if self.below(2) == 0 { (-128, 127) } else { (a.min(b), a.max(b)) }
    }
}

/// The data that a [`Stage`] borrows.
struct Channels {
    bias: Vec<i32>,
    multipliers: Vec<Multiplier>,
    rounding: Rounding,
    zero_point: i32,
    bounds: (i32, i32),
}

impl Channels {
    /// One multiplier per channel, or one for all.
    fn new(random: &mut Random, channels: usize) -> Channels {
        let multipliers = if random.below(3) == 0 { 1 } else { channels };
        Channels {
            bias: (0..channels).map(|_| random.bias()).collect(),
            multipliers: (0..multipliers).map(|_| random.multiplier()).collect(),
            rounding: ROUNDINGS[random.below(2)],
            zero_point: i32::from(random.next() as i8),
            bounds: random.bounds(),
        }
    }

    fn stage(&self) -> Stage<'_> {
        Stage {
            bias: &self.bias,
            multipliers: &self.multipliers,
            rounding: self.rounding,
            zero_point: self.zero_point,
            min: self.bounds.0,
            max: self.bounds.1,
        }
    }

    /// The definition of a stage: its output from the exact sum of products.
    fn output(&self, sum: i64, channel: usize) -> i8 {
        let multiplier = self.multipliers[if self.multipliers.len() == 1 { 0 } else { channel }];
        let acc = (sum + i64::from(self.bias[channel])) as i32;
        let scaled = scale(acc, multiplier, self.rounding).wrapping_add(self.zero_point);
        scaled.clamp(self.bounds.0, self.bounds.1) as i8
    }
}

/// The definition of requantization: divides exact products.
fn scale(x: i32, multiplier: Multiplier, rounding: Rounding) -> i32 {
    let mantissa = i128::from(multiplier.mantissa);
    match rounding {
        Rounding::Double => {
            // A left shift wraps as the accumulator does. The product rounds ties upwards.
            let left = (i64::from(x) << multiplier.shift.max(0)) as i32;
            let high = (i128::from(left) * mantissa + (1 << 30)).div_euclid(1 << 31);
            // The division rounds ties away from zero.
            let divisor = 1i128 << (-multiplier.shift).max(0);
            (high.signum() * ((high.abs() + divisor / 2) / divisor)) as i32
        }
        Rounding::Single => {
            let divisor = 1i128 << (31 - multiplier.shift);
            let nearest = (i128::from(x) * mantissa + divisor / 2).div_euclid(divisor);
            nearest.clamp(i32::MIN.into(), i32::MAX.into()) as i32
        }
    }
}

type View<'a> = TensorView<'a, i8>;

fn cells(elements: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(elements).as_slice_of_cells()
}

/// The contents of `len` marked elements after a kernel has run.
fn marked(len: usize, kernel: impl FnOnce(&[Cell<i8>])) -> Vec<i8> {
    let mut out = vec![MARK; len];
    kernel(cells(&mut out));
    out
}

/// The contents of a copy of some elements after a kernel has run, which may also read them.
fn in_place(elements: &[i8], kernel: impl FnOnce(&[Cell<i8>])) -> Vec<i8> {
    let mut copy = elements.to_vec();
    kernel(cells(&mut copy));
    copy
}

/// A shape and the data of a matrix product over a tile.
struct Matmul {
    pixels: usize,
    out_stride: usize,
    tile: Vec<i8>,
    weights: Vec<i8>,
    channels: Channels,
}

impl Matmul {
    fn all(mut check: impl FnMut(&Matmul)) {
        let mut random = Random(1);
        for pixels in 0..=TILE {
            for depth in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 64, 130] {
                for count in [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17] {
                    check(&Matmul {
                        pixels,
                        out_stride: count + random.below(3),
                        tile: random.elements(depth * TILE),
                        weights: random.elements(depth * count),
                        channels: Channels::new(&mut random, count),
                    });
                }
            }
        }
    }

    fn run<K: Kernels>(&self) -> Vec<i8> {
        let mut tile = self.tile.clone();
        marked((self.pixels * self.out_stride).max(1) + 3, |out| {
            let stage = self.channels.stage();
            K::matmul(cells(&mut tile), self.pixels, &self.weights, &stage, out, self.out_stride);
        })
    }
}

/// A shape and the data of a product of one row.
struct Dense {
    input: Vec<i8>,
    weights: Vec<i8>,
    channels: Channels,
}

impl Dense {
    fn all(mut check: impl FnMut(&Dense)) {
        let mut random = Random(2);
        for depth in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 64, 130, 1000] {
            for count in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 17] {
                for _ in 0..4 {
                    check(&Dense {
                        input: random.elements(depth),
                        weights: random.elements(depth * count),
                        channels: Channels::new(&mut random, count),
                    });
                }
            }
        }
    }

    fn run<K: Kernels>(&self) -> Vec<i8> {
        let mut input = self.input.clone();
        marked(self.channels.bias.len(), |out| {
            K::dense(cells(&mut input), &self.weights, &self.channels.stage(), out);
        })
    }
}

/// A shape and the data of a pixel of a depthwise convolution.
struct Depthwise {
    taps: usize,
    inputs: usize,
    multiplier: usize,
    patch: Vec<i8>,
    weights: Vec<i8>,
    channels: Channels,
}

impl Depthwise {
    fn all(mut check: impl FnMut(&Depthwise)) {
        let mut random = Random(3);
        for taps in [0, 1, 2, 3, 4, 9, 10, 25] {
            for inputs in [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33] {
                for multiplier in [1, 2, 3, 8] {
                    let outputs = inputs * multiplier;
                    check(&Depthwise {
                        taps,
                        inputs,
                        multiplier,
                        patch: random.elements(taps * inputs),
                        weights: random.elements(taps * outputs),
                        channels: Channels::new(&mut random, outputs),
                    });
                }
            }
        }
    }

    fn run<K: Kernels>(&self) -> Vec<i8> {
        let mut patch = self.patch.clone();
        marked(self.inputs * self.multiplier, |out| {
            let (patch, stage) = (cells(&mut patch), self.channels.stage());
            K::depthwise(patch, self.inputs, self.multiplier, &self.weights, &stage, out);
        })
    }
}

fn products_equal_portable<K: Kernels>() {
    Matmul::all(|case| {
        let (pixels, depth) = (case.pixels, case.tile.len() / TILE);
        assert_eq!(case.run::<K>(), case.run::<Portable>(), "matmul, {pixels} pixels, depth {depth}");
    });
    Dense::all(|case| {
        assert_eq!(case.run::<K>(), case.run::<Portable>(), "dense, depth {}", case.input.len());
    });
    Depthwise::all(|case| {
        let Depthwise { taps, inputs, multiplier, .. } = case;
        assert_eq!(case.run::<K>(), case.run::<Portable>(), "depthwise, {taps} x {inputs} x {multiplier}");
    });
}

fn pools_equal_portable<K: Kernels>() {
    let mut random = Random(4);
    for (height, width) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 25), (5, 7)] {
        for channels in [1, 2, 3, 4, 5, 7, 8, 9, 17] {
            for gap in [0, 1, channels * 2] {
                let stride = width * channels + gap;
                let image = random.elements(height * stride - gap);
                let (min, max) = random.bounds();
                let run = |pool: fn(&Cells<'_>, i32, i32, &[Cell<i8>])| {
                    let over = in_place(&image, |image| {
                        let cells = Cells { image, height, width, channels, stride };
                        pool(&cells, min, max, &image[..channels]);
                    });
                    let mut copy = image.clone();
                    let cells = Cells { image: cells(&mut copy), height, width, channels, stride };
                    let apart = marked(channels, |out| pool(&cells, min, max, out));
                    (apart, over)
                };
                let case = format!("{height} x {width} x {channels}, gap {gap}");
                assert_eq!(run(K::average_pool), run(Portable::average_pool), "average_pool, {case}");
                assert_eq!(run(K::max_pool), run(Portable::max_pool), "max_pool, {case}");
            }
        }
    }
}

/// Means over so many cells that sums or their reciprocals need more bits, for the largest sums and just
/// below a tie.
fn means_of_many_cells_equal_portable<K: Kernels>() {
    for (height, width) in [(15, 17), (16, 16), (1, 257), (17, 16), (64, 64), (17, 241), (91, 91)] {
        let count = (height * width) as i32;
        let below_tie = |mean: i32| mean.signum() * (mean.abs() * count - 1 - count / 2);
        for sum in [-128 * count, 127 * count, below_tie(127), below_tie(-128), below_tie(1)] {
            // As many cells as the sum needs are larger by one.
            let (least, larger) = (sum.div_euclid(count), sum.rem_euclid(count));
            for channels in [4, 5] {
                let cell = |at: i32| (least + i32::from(at < larger)) as i8;
                let mut image: Vec<i8> = (0..count).flat_map(|at| vec![cell(at); channels]).collect();
                let stride = width * channels;
                let image = cells(&mut image);
                let cells = Cells { image, height, width, channels, stride };
                let run = |pool: fn(&Cells<'_>, i32, i32, &[Cell<i8>])| {
                    marked(channels, |out| pool(&cells, -128, 127, out))
                };
                let case = format!("{height} x {width} x {channels}, sum {sum}");
                let mean = (f64::from(sum) / f64::from(count)).round() as i8;
                assert_eq!(run(Portable::average_pool), vec![mean; channels], "{case}");
                assert_eq!(run(K::average_pool), vec![mean; channels], "{case}");
            }
        }
    }
}

/// Runs a kernel of two operands in two sets: with a separate output, and with the output over the first and
/// over the second operand.
fn pairs_equal(
    name: &str,
    a: &[i8],
    b: &[i8],
    found: impl Fn(View<'_>, View<'_>, &[Cell<i8>]),
    wanted: impl Fn(View<'_>, View<'_>, &[Cell<i8>]),
) {
    type Kernel<'k> = &'k dyn Fn(View<'_>, View<'_>, &[Cell<i8>]);
    let len = if a.is_empty() || b.is_empty() { 0 } else { a.len().max(b.len()) };
    let (constant_a, constant_b) = (TensorView::from_slice(a), TensorView::from_slice(b));
    let results = |kernel: Kernel<'_>| {
        let mut results = vec![marked(len, |out| kernel(constant_a, constant_b, out))];
        if a.len() == len {
            results.push(in_place(a, |a| kernel(TensorView::from_cells(a), constant_b, a)));
        }
        if b.len() == len {
            results.push(in_place(b, |b| kernel(constant_a, TensorView::from_cells(b), b)));
        }
        results
    };
    assert_eq!(results(&found), results(&wanted), "{name}, {} and {} elements", a.len(), b.len());
}

/// A multiplier for which sets have a fast path, with a right shift of about `usual` bits, or any that a file
/// may contain.
fn scale_of_elements(random: &mut Random, usual: i32) -> Multiplier {
    match random.below(4) {
        0 => Multiplier {
            mantissa: [0, 1, 1 << 30, i32::MAX][random.below(4)],
            shift: random.below(62) as i32 - 31,
        },
        _ => Multiplier {
            mantissa: (1 << 30) + random.below(1 << 30) as i32,
            shift: (3 - usual - random.below(7) as i32).min(0),
        },
    }
}

/// An operand of a sum. In files of the converter, one of the two has the sum's scale, which is one half
/// here.
fn term(random: &mut Random, usual: i32) -> Term {
    let multiplier = match random.below(2) {
        0 => Multiplier { mantissa: 1 << 30, shift: 0 },
        _ => scale_of_elements(random, usual),
    };
    Term { zero_point: i32::from(random.next() as i8), multiplier }
}

fn pairs_equal_portable<K: Kernels>(random: &mut Random, (len_a, len_b): (usize, usize), rounding: Rounding) {
    let (a, b) = (random.elements(len_a), random.elements(len_b));
    let (min, max) = random.bounds();
    let zero_point = i32::from(random.next() as i8);
    for sign in [1, -1] {
        // Both shifts undo the 2^20. If the operands' own shift is large, that of the sum decides the last
        // bit.
        let usual = random.below(21) as i32;
        let (term_a, term_b) = (term(random, usual), term(random, usual));
        let multiplier = scale_of_elements(random, 21 - usual);
        let sum = Sum { a: term_a, b: term_b, sign, multiplier, zero_point, min, max };
        let add = |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| K::add(a, b, &sum, rounding, out);
        pairs_equal(&format!("add {sum:?}"), &a, &b, add, |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| {
            Portable::add(a, b, &sum, rounding, out)
        });
    }
    let product = Product {
        a_zero_point: i32::from(random.next() as i8),
        b_zero_point: i32::from(random.next() as i8),
        multiplier: scale_of_elements(random, 6),
        zero_point,
        min,
        max,
    };
    let mul = |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| K::mul(a, b, &product, rounding, out);
    pairs_equal(&format!("mul {product:?}"), &a, &b, mul, |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| {
        Portable::mul(a, b, &product, rounding, out)
    });
    // Of the usual size, and any.
    let factor = |random: &mut Random| random.next() as i32 >> [0, 3, 5][random.below(3)];
    let (factor_a, factor_b, term) = (factor(random), factor(random), factor(random));
    let weighted = Weighted { factor_a, factor_b, term, min, max };
    let add = |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| K::weighted_sum(a, b, &weighted, out);
    pairs_equal(&format!("{weighted:?}"), &a, &b, add, |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| {
        Portable::weighted_sum(a, b, &weighted, out)
    });
    for maximum in [true, false] {
        let min_max = |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| K::min_max(a, b, maximum, out);
        pairs_equal("min_max", &a, &b, min_max, |a: View<'_>, b: View<'_>, out: &[Cell<i8>]| {
            Portable::min_max(a, b, maximum, out)
        });
    }
}

fn elementwise_equal_portable<K: Kernels>() {
    /// Numbers for each length: there are separate paths depending on which operand is halved.
    const NUMBERS: usize = 40;
    let mut random = Random(5);
    for len in [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 100] {
        // A shorter operand is repeated, the last time in part.
        let (three, most) = (len.min(3), len - len / 3);
        for lens in [(len, len), (1, len), (len, 1), (three, len), (len, most)] {
            for rounding in ROUNDINGS {
                for _ in 0..NUMBERS {
                    pairs_equal_portable::<K>(&mut random, lens, rounding);
                }
            }
        }
        let table: [u8; 256] = std::array::from_fn(|_| random.next() as u8);
        let input = random.elements(len);
        let found = in_place(&input, |input| K::lookup(input, &table, input));
        assert_eq!(found, in_place(&input, |input| Portable::lookup(input, &table, input)), "lookup, {len}");
        let sum: i32 = input.iter().map(|&x| i32::from(x)).sum();
        assert_eq!(K::sum(View::from_slice(&input)), sum, "sum, {len}");
        for largest in [true, false] {
            let run = View::from_slice(&input);
            let wanted = if largest { input.iter().max() } else { input.iter().min() };
            let none = if largest { -128 } else { 127 };
            assert_eq!(K::extreme(run, largest), *wanted.unwrap_or(&none), "extreme, {len}");
        }
        let mut copy = input.clone();
        assert_eq!(found, marked(len, |out| K::lookup(cells(&mut copy), &table, out)), "lookup apart, {len}");
    }
}

/// Every method of a set.
fn equals_portable<K: Kernels>() {
    products_equal_portable::<K>();
    pools_equal_portable::<K>();
    means_of_many_cells_equal_portable::<K>();
    elementwise_equal_portable::<K>();
}

#[test]
fn sets_equal_the_portable_one() {
    equals_portable::<Native>();
    // Emulated on the host.
    equals_portable::<Armv7em>();
    equals_portable::<Armv7m>();
    equals_portable::<Armv6m>();
    equals_portable::<Mve>();
    equals_portable::<Rv32im>();
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    equals_portable::<ferrolite_runtime::kernels::Avx2>();
}

#[test]
fn matmul_is_its_definition() {
    Matmul::all(|case| {
        let Matmul { pixels, out_stride, tile, weights, channels } = case;
        let depth = tile.len() / TILE;
        let mut wanted = vec![MARK; (pixels * out_stride).max(1) + 3];
        for pixel in 0..*pixels {
            for channel in 0..channels.bias.len() {
                let product =
                    |k: usize| i64::from(tile[k * TILE + pixel]) * i64::from(weights[channel * depth + k]);
                wanted[pixel * out_stride + channel] =
                    channels.output((0..depth).map(product).sum(), channel);
            }
        }
        assert_eq!(case.run::<Portable>(), wanted, "{pixels} pixels, depth {depth}");
    });
}

#[test]
fn dense_is_its_definition() {
    Dense::all(|case| {
        let Dense { input, weights, channels } = case;
        let output = |channel: usize| {
            let row = &weights[channel * input.len()..];
            let sum = input.iter().zip(row).map(|(x, w)| i64::from(*x) * i64::from(*w)).sum();
            channels.output(sum, channel)
        };
        let wanted: Vec<i8> = (0..channels.bias.len()).map(output).collect();
        assert_eq!(case.run::<Portable>(), wanted, "depth {}", input.len());
    });
}

#[test]
fn depthwise_is_its_definition() {
    Depthwise::all(|case| {
        let Depthwise { taps, inputs, multiplier, patch, weights, channels } = case;
        let outputs = inputs * multiplier;
        let output = |channel: usize| {
            let product = |tap: usize| {
                let x = patch[tap * inputs + channel / multiplier];
                i64::from(x) * i64::from(weights[tap * outputs + channel])
            };
            channels.output((0..*taps).map(product).sum(), channel)
        };
        let wanted: Vec<i8> = (0..outputs).map(output).collect();
        assert_eq!(case.run::<Portable>(), wanted, "{taps} taps, {inputs} x {multiplier}");
    });
}
