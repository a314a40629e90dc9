//! Kernels with VNNI, for both kinds of processors that have it: the same code in two encodings.
#![allow(unsafe_code)]
// Firmware builds with Rust 1.88; these functions need 1.89, but only hosts have them.
#![allow(clippy::incompatible_msrv)]

use core::cell::Cell;

/// Rows of groups of four elements, one after the other.
struct Rows<'a> {
    cells: &'a [Cell<i8>],
    /// Groups of a row.
    groups: usize,
}

impl<'a> Rows<'a> {
    /// The groups of a row; empty if it does not exist.
    fn row(&self, row: usize) -> &'a [[Cell<i8>; 4]] {
        let groups = self.cells.as_chunks::<4>().0;
        groups.get(row * self.groups..).and_then(|row| row.get(..self.groups)).unwrap_or(&[])
    }
}

/// A module of kernels with the target features `$features` and the instruction `$dp`.
macro_rules! kernels {
    ($(#[$doc:meta])* $name:ident, $features:literal, $dp:ident) => {
        $(#[$doc])*
        pub(super) mod $name {
            use core::arch::x86_64::*;
            use core::cell::Cell;

            use super::Rows;
            use super::super::avx2::last_word;
            use super::super::simd::*;
            use crate::kernels::{Stage, TILE};
            use crate::packing::Matrix;
            use crate::tensor::cells_of;

            /// Channels of a block.
            const BLOCK: usize = 8;

            /// Adjacent weights of a channel.
            const GROUP: usize = 4;

            /// Bytes of a group of a whole block.
            const WORDS: usize = BLOCK * GROUP;

            /// See [`Kernels::matmul_packed`](crate::kernels::Kernels::matmul_packed); with any multipliers and sums
            /// if `GENERAL`.
            pub(in super::super) fn matmul<const GENERAL: bool>(
                tile: &[Cell<u8>],
                pixels: usize,
                weights: &Matrix<'_>,
                stage: &Stage<'_>,
                out: &[Cell<i8>],
                out_stride: usize,
            ) {
                let groups = weights.shape.padded_depth().unwrap_or(0) as usize / GROUP;
                let rows = Rows { cells: cells_of(tile).unwrap_or(&[]), groups };
                // SAFETY: this level has VNNI.
                unsafe { run::<TILE, GENERAL>(&rows, None, pixels, weights, stage, out, out_stride) }
            }

            /// See [`Kernels::dense_packed`](crate::kernels::Kernels::dense_packed); `GENERAL` as for [`matmul`].
            pub(in super::super) fn dense<const GENERAL: bool>(
                input: &[Cell<i8>],
                weights: &Matrix<'_>,
                stage: &Stage<'_>,
                out: &[Cell<i8>],
            ) {
                let (groups, rest) = input.as_chunks::<GROUP>();
                let last = if rest.is_empty() { None } else { Some(last_word(rest)) };
                let rows = Rows { cells: input, groups: groups.len() };
                // SAFETY: this level has VNNI.
                unsafe { run::<1, GENERAL>(&rows, last, 1, weights, stage, out, out.len()) }
            }

            /// Computes all channels for some rows of `groups` groups, which begin `pitch` bytes apart;
            /// `last` are the elements after each row that do not fill a group.
            #[target_feature(enable = $features)]
            fn run<const ROWS: usize, const GENERAL: bool>(
                rows: &Rows<'_>,
                last: Option<i32>,
                pixels: usize,
                weights: &Matrix<'_>,
                stage: &Stage<'_>,
                out: &[Cell<i8>],
                out_stride: usize,
            ) {
                let all = rows.groups + usize::from(last.is_some());
                let size = all * WORDS;
                let channels = weights.shape.channels as usize;
                let fits = rows.cells.len() >= rows.groups * GROUP * ROWS
                    && weights.shape.padded_depth().unwrap_or(0) as usize == all * GROUP
                    && weights.bytes.len() >= channels * all * GROUP;
                if !fits {
                    return;
                }
                let surplus = surplus::<ROWS>(rows, last);
                let store = |sums: [__m256i; ROWS], first: usize, width: usize| {
                    let sums: [__m256i; ROWS] = core::array::from_fn(|row| _mm256_sub_epi32(sums[row], surplus[row]));
                    let out = out.get(first..).unwrap_or(&[]);
                    Eight::<GENERAL>::new(stage, first).store(sums, pixels, width, out, out_stride);
                };
                let mut first = 0;
                // Four blocks for one row, two blocks for four rows: enough sums to hide the instruction's
                // latency.
                while ROWS == 1 && channels - first >= 4 * BLOCK {
                    // SAFETY: rows and whole blocks of weights are there, as checked above.
                    let sums = unsafe { products::<ROWS, 4>(rows, last, &weights.bytes[first * all * GROUP..], size) };
                    for (block, sums) in sums.into_iter().enumerate() {
                        store(sums, first + block * BLOCK, BLOCK);
                    }
                    first += 4 * BLOCK;
                }
                while channels - first >= 2 * BLOCK {
                    let rest = &weights.bytes[first * all * GROUP..];
                    // SAFETY: as above.
                    let sums = unsafe { products::<ROWS, 2>(rows, last, rest, size) };
                    let [low, high] = sums;
                    store(low, first, BLOCK);
                    store(high, first + BLOCK, BLOCK);
                    first += 2 * BLOCK;
                }
                let rest = &weights.bytes[first * all * GROUP..];
                if channels - first >= BLOCK {
                    // SAFETY: as above.
                    let [sums] = unsafe { products::<ROWS, 1>(rows, last, rest, size) };
                    store(sums, first, BLOCK);
                    first += BLOCK;
                }
                if first < channels {
                    let width = channels - first;
                    let rest = &weights.bytes[first * all * GROUP..];
                    let mut sums = [_mm256_setzero_si256(); ROWS];
                    for (group, words) in rest.chunks_exact(width * GROUP).enumerate() {
                        let words = unsigned(load_words(words));
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let x = rows.row(row).get(group).map(word).or(last).unwrap_or(0);
                            *sums = $dp(*sums, words, _mm256_set1_epi32(x));
                        }
                    }
                    store(sums, first, width);
                }
            }

            /// Subtracts -128 from the weights.
            #[inline]
            #[target_feature(enable = "avx2")]
            fn unsigned(words: __m256i) -> __m256i {
                _mm256_xor_si256(words, _mm256_set1_epi8(-128))
            }

            /// The excess of the sums of a row: 128 times the sum of the row's elements.
            #[inline]
            #[target_feature(enable = $features)]
            fn surplus<const ROWS: usize>(rows: &Rows<'_>, last: Option<i32>) -> [__m256i; ROWS] {
                let all = _mm256_set1_epi8(-128);
                core::array::from_fn(|row| {
                    let (whole, rest) = rows.row(row).as_flattened().as_chunks::<WORDS>();
                    let mut sums = _mm256_setzero_si256();
                    for groups in whole {
                        sums = $dp(sums, all, load_32(groups));
                    }
                    sums = $dp(sums, all, load_words(rest));
                    let last = _mm256_setr_epi32(last.unwrap_or(0), 0, 0, 0, 0, 0, 0, 0);
                    sums = $dp(sums, all, last);
                    total(sums)
                })
            }

            /// Adds the products of a group of each block with four elements of each row.
            #[inline]
            #[target_feature(enable = $features)]
            fn step<const ROWS: usize, const BLOCKS: usize>(
                sums: &mut [[__m256i; ROWS]; BLOCKS],
                words: [__m256i; BLOCKS],
                x: [i32; ROWS],
            ) {
                for row in 0..ROWS {
                    let x = _mm256_set1_epi32(x[row]);
                    for block in 0..BLOCKS {
                        sums[block][row] = $dp(sums[block][row], words[block], x);
                    }
                }
            }

            /// Sums of products of rows with blocks of eight channels, `size` bytes each.
            ///
            /// # Safety
            /// `ROWS` rows of `rows.groups` groups are there, and `BLOCKS * size` bytes of weights, a group of
            /// `WORDS` bytes for each group of a row and for `last`.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn products<const ROWS: usize, const BLOCKS: usize>(
                rows: &Rows<'_>,
                last: Option<i32>,
                weights: &[u8],
                size: usize,
            ) -> [[__m256i; ROWS]; BLOCKS] {
                let mut sums = [[_mm256_setzero_si256(); ROWS]; BLOCKS];
                let first: *const i32 = rows.cells.as_ptr().cast();
                let starts: [*const i32; ROWS] =
                    core::array::from_fn(|row| first.wrapping_add(row * rows.groups));
                let blocks: [*const __m256i; BLOCKS] =
                    core::array::from_fn(|block| weights.as_ptr().wrapping_add(block * size).cast());
                let words = |group: usize| -> [__m256i; BLOCKS] {
                    // SAFETY: the caller promises each group of each block.
                    let load = |block: usize| unsafe { _mm256_loadu_si256(blocks[block].add(group)) };
                    core::array::from_fn(|block| unsigned(load(block)))
                };
                for group in 0..rows.groups {
                    // SAFETY: the caller promises each group of each row.
                    let x = core::array::from_fn(|row| unsafe { starts[row].add(group).read_unaligned() });
                    step(&mut sums, words(group), x);
                }
                if let Some(last) = last {
                    step(&mut sums, words(rows.groups), [last; ROWS]);
                }
                sums
            }
        }
    };
}

kernels!(
    /// Processors with AVX-512.
    avx512,
    "avx2,avx512f,avx512vl,avx512vnni",
    _mm256_dpbusd_epi32
);

kernels!(
    /// Processors with AVX-VNNI.
    avx,
    "avx2,avxvnni",
    _mm256_dpbusd_avx_epi32
);

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use ferrolite_schema::Rounding;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::x86_64::avx2;
    use crate::kernels::{Lines, Policy, Stage, TILE, portable};
    use crate::packing::{Matrix, Packing, Shape};

    /// A packed layer over the patches of a tile, with numbers within the bounds of its packing.
    #[derive(Debug)]
    struct Layer {
        shape: Shape,
        pixels: usize,
        /// [`TILE`] patches, one after the other.
        source: Vec<i8>,
        bytes: Vec<u8>,
        bias: Vec<i32>,
        multipliers: Vec<Multiplier>,
        zero_point: i32,
        bounds: (i32, i32),
    }

    fn elements(len: usize) -> impl Strategy<Value = Vec<i8>> {
        prop::collection::vec(prop_oneof![Just(-128i8), Just(127), any::<i8>()], len)
    }

    fn layers(packing: Packing) -> impl Strategy<Value = Layer> {
        (1usize..=TILE, 1u32..80, 1u32..200, any::<bool>()).prop_flat_map(
            move |(pixels, channels, line, shared)| {
                let shape = Shape { packing, channels, lines: 1, line };
                let shifts = if packing.general { -31i32..=30 } else { -22i32..=-1 };
                let multiplier = (1i32 << 30..=i32::MAX, shifts)
                    .prop_map(|(mantissa, shift)| Multiplier { mantissa, shift });
                let count = channels as usize;
                (
                    elements(TILE * line as usize),
                    elements(count * line as usize),
                    prop::collection::vec(
                        if packing.general { i32::MIN..i32::MAX } else { -(1i32 << 19)..1 << 19 },
                        count,
                    ),
                    prop::collection::vec(multiplier, if shared { 1 } else { count }),
                    (any::<i8>(), any::<bool>()),
                )
                    .prop_map(
                        move |(source, weights, bias, multipliers, (zero_point, narrow))| {
                            let mut bytes = vec![0; shape.bytes().unwrap_or(0) as usize];
                            for (channel, row) in (0..).zip(weights.chunks_exact(line as usize)) {
                                for (k, &w) in (0..).zip(row) {
                                    bytes[shape.place(channel, k) as usize] = w as u8;
                                }
                            }
                            let bounds = if narrow { (-100, 90) } else { (-128, 127) };
                            let zero_point = zero_point.into();
                            Layer { shape, pixels, source, bytes, bias, multipliers, zero_point, bounds }
                        },
                    )
            },
        )
    }

    fn cells<T>(elements: &mut [T]) -> &[Cell<T>] {
        Cell::from_mut(elements).as_slice_of_cells()
    }

    impl Layer {
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

        fn matrix(&self) -> Matrix<'_> {
            Matrix { shape: self.shape, bytes: &self.bytes }
        }

        /// The outputs of the tile's pixels, after `load` has loaded its patches.
        fn tile(&self, load: impl Fn(&[Cell<u8>], &Lines<'_>), multiply: MatmulPacked) -> Vec<i8> {
            let (line, count) = (self.shape.line as usize, self.shape.channels as usize);
            let mut tile = vec![0x33u8; TILE * self.shape.padded_depth().unwrap_or(0) as usize];
            let mut out = vec![0x5Ai8; self.pixels * (count + 1)];
            let tile = cells(&mut tile);
            let mut source = self.source.clone();
            let source = cells(&mut source);
            load(tile, &Lines { source, lanes: 0..self.pixels, step: line, lines: 0..1, pitch: 0 });
            multiply(tile, self.pixels, &self.matrix(), &self.stage(), cells(&mut out), count + 1);
            out
        }

        fn dense(&self, dense: DensePacked) -> Vec<i8> {
            let mut out = vec![0x5Ai8; self.shape.channels as usize];
            let mut input = self.source[..self.shape.line as usize].to_vec();
            dense(cells(&mut input), &self.matrix(), &self.stage(), cells(&mut out));
            out
        }
    }

    type MatmulPacked = fn(&[Cell<u8>], usize, &Matrix<'_>, &Stage<'_>, &[Cell<i8>], usize);
    type DensePacked = fn(&[Cell<i8>], &Matrix<'_>, &Stage<'_>, &[Cell<i8>]);

    /// A processor that has both kinds runs AVX-VNNI, so the test calls the kernels by their names.
    fn equals_portable(general: bool, matmul: MatmulPacked, dense: DensePacked) {
        let packing = |packing: Packing| if general { packing.general() } else { packing };
        proptest!(|(conv in layers(packing(Policy::HOST.conv)), layer in layers(packing(Policy::HOST.dense)))| {
            let load = |tile: &[Cell<u8>], lines: &Lines<'_>| avx2::load_lines::<1>(tile, &conv.shape, lines);
            let load_portable = |tile: &[Cell<u8>], lines: &Lines<'_>| {
                for (lane, patch) in lines.source.chunks_exact(lines.step).enumerate().take(conv.pixels) {
                    portable::load_line(tile, lane, 0, &conv.shape, patch);
                }
            };
            prop_assert_eq!(conv.tile(load, matmul), conv.tile(load_portable, portable::matmul_packed));
            prop_assert_eq!(layer.dense(dense), layer.dense(portable::dense_packed));
        });
    }

    #[test]
    fn avx512_equals_the_portable_set() {
        if std::is_x86_feature_detected!("avx512vnni") && std::is_x86_feature_detected!("avx512vl") {
            equals_portable(false, avx512::matmul::<false>, avx512::dense::<false>);
            equals_portable(true, avx512::matmul::<true>, avx512::dense::<true>);
        } else {
            std::println!("skipped: the processor has no AVX-512 VNNI");
        }
    }

    #[test]
    fn avx_vnni_equals_the_portable_set() {
        if std::is_x86_feature_detected!("avxvnni") {
            equals_portable(false, avx::matmul::<false>, avx::dense::<false>);
            equals_portable(true, avx::matmul::<true>, avx::dense::<true>);
        } else {
            std::println!("skipped: the processor has no AVX-VNNI");
        }
    }
}
