//! Kernels of VNNI, for both kinds of processors that have it: the same code, encoded in two ways.
#![allow(unsafe_code)]

/// A module of kernels with the target features `$features` and the instruction `$dp`.
macro_rules! kernels {
    ($(#[$doc:meta])* $name:ident, $features:literal, $dp:ident) => {
        $(#[$doc])*
        pub(super) mod $name {
            use core::arch::x86_64::*;
            use core::cell::Cell;

            use super::super::avx2::last_word;
            use super::super::simd::*;
            use crate::kernels::{Stage, TILE};
            use crate::packing::Matrix;

            /// Channels of a block.
            const BLOCK: usize = 8;

            /// Weights of a channel that lie side by side.
            const GROUP: usize = 4;

            /// Bytes of a group of a whole block.
            const WORDS: usize = BLOCK * GROUP;

            /// See [`Kernels::matmul_packed`](crate::kernels::Kernels::matmul_packed).
            pub(in super::super) fn matmul(
                tile: &[Cell<u8>],
                pixels: usize,
                weights: &Matrix<'_>,
                stage: &Stage<'_>,
                out: &[Cell<i8>],
                out_stride: usize,
            ) {
                let groups = weights.shape.padded_depth().unwrap_or(0) as usize / GROUP;
                let lane = |lane: usize| {
                    let lanes = tile.as_chunks::<GROUP>().0;
                    lanes.get(lane * groups..).and_then(|lane| lane.get(..groups)).unwrap_or(&[])
                };
                // SAFETY: this level has VNNI.
                unsafe { run(core::array::from_fn::<_, TILE, _>(lane), None, pixels, weights, stage, out, out_stride) }
            }

            /// See [`Kernels::dense_packed`](crate::kernels::Kernels::dense_packed).
            pub(in super::super) fn dense(
                input: &[Cell<i8>],
                weights: &Matrix<'_>,
                stage: &Stage<'_>,
                out: &[Cell<i8>],
            ) {
                let (groups, rest) = input.as_chunks::<GROUP>();
                let last = if rest.is_empty() { None } else { Some(last_word(rest)) };
                // SAFETY: this level has VNNI.
                unsafe { run([groups], last, 1, weights, stage, out, out.len()) }
            }

            /// All channels for some rows; `last` are elements behind each row that do not fill a group.
            #[target_feature(enable = $features)]
            fn run<B: Byte, const ROWS: usize>(
                rows: [&[[B; GROUP]]; ROWS],
                last: Option<i32>,
                pixels: usize,
                weights: &Matrix<'_>,
                stage: &Stage<'_>,
                out: &[Cell<i8>],
                out_stride: usize,
            ) {
                let size = weights.shape.padded_depth().unwrap_or(0) as usize * BLOCK;
                let channels = weights.shape.channels as usize;
                let surplus = surplus(rows, last);
                let store = |sums: [__m256i; ROWS], first: usize| {
                    let width = channels.saturating_sub(first).min(BLOCK);
                    let eight = Eight::new(stage, first);
                    for (pixel, sums) in sums.into_iter().enumerate().take(pixels) {
                        let start = pixel.wrapping_mul(out_stride).wrapping_add(first);
                        let out = out.get(start..start.wrapping_add(width)).unwrap_or(&[]);
                        store_outputs(out, eight.outputs(_mm256_sub_epi32(sums, surplus[pixel])));
                    }
                };
                let mut rest = weights.bytes;
                let mut first = 0;
                // Four blocks of one row, two blocks of four: enough sums to hide the instruction's latency.
                if ROWS == 1 {
                    while channels - first >= 4 * BLOCK {
                        let Some((now, behind)) = rest.split_at_checked(4 * size) else { return };
                        let blocks: [_; 4] = core::array::from_fn(|block| whole(now, block, size));
                        for (block, sums) in products(rows, last, blocks).into_iter().enumerate() {
                            store(sums, first + block * BLOCK);
                        }
                        (rest, first) = (behind, first + 4 * BLOCK);
                    }
                }
                while channels - first >= 2 * BLOCK {
                    let Some((now, behind)) = rest.split_at_checked(2 * size) else { return };
                    let blocks: [_; 2] = core::array::from_fn(|block| whole(now, block, size));
                    for (block, sums) in products(rows, last, blocks).into_iter().enumerate() {
                        store(sums, first + block * BLOCK);
                    }
                    (rest, first) = (behind, first + 2 * BLOCK);
                }
                if channels - first >= BLOCK {
                    let Some((now, behind)) = rest.split_at_checked(size) else { return };
                    let [sums] = products(rows, last, [whole(now, 0, size)]);
                    store(sums, first);
                    (rest, first) = (behind, first + BLOCK);
                }
                if first < channels {
                    let width = (channels - first) * GROUP;
                    let mut sums = [_mm256_setzero_si256(); ROWS];
                    for (group, words) in rest.chunks_exact(width).enumerate() {
                        let words = unsigned(load_words(words));
                        for (sums, row) in sums.iter_mut().zip(rows) {
                            let x = row.get(group).map(word).or(last).unwrap_or(0);
                            *sums = $dp(*sums, words, _mm256_set1_epi32(x));
                        }
                    }
                    store(sums, first);
                }
            }

            /// Block `number` of whole blocks of `size` bytes.
            #[inline(always)]
            fn whole(blocks: &[u8], number: usize, size: usize) -> &[[u8; WORDS]] {
                blocks.get(number * size..).and_then(|block| block.get(..size)).unwrap_or(&[]).as_chunks().0
            }

            /// Weights less -128.
            #[inline]
            #[target_feature(enable = "avx2")]
            fn unsigned(words: __m256i) -> __m256i {
                _mm256_xor_si256(words, _mm256_set1_epi8(-128))
            }

            /// What the sums of a row have too much: 128 times the row's elements.
            #[inline]
            #[target_feature(enable = $features)]
            fn surplus<B: Byte, const ROWS: usize>(rows: [&[[B; GROUP]]; ROWS], last: Option<i32>) -> [__m256i; ROWS] {
                let all = _mm256_set1_epi8(-128);
                let mut sums = [_mm256_setzero_si256(); ROWS];
                for (sums, row) in sums.iter_mut().zip(rows) {
                    for x in row.iter().map(word).chain(last) {
                        *sums = $dp(*sums, all, _mm256_set1_epi32(x));
                    }
                }
                sums
            }

            /// Sums of products of rows with blocks of eight channels.
            #[inline]
            #[target_feature(enable = $features)]
            fn products<B: Byte, const ROWS: usize, const BLOCKS: usize>(
                rows: [&[[B; GROUP]]; ROWS],
                last: Option<i32>,
                blocks: [&[[u8; WORDS]]; BLOCKS],
            ) -> [[__m256i; ROWS]; BLOCKS] {
                let mut sums = [[_mm256_setzero_si256(); ROWS]; BLOCKS];
                // All have one length, which the compiler sees when they are cut to it.
                let len = rows.iter().map(|row| row.len()).min().unwrap_or(0);
                let len = blocks.iter().map(|block| block.len()).fold(len, usize::min);
                let rows_of = rows.map(|row| &row[..len]);
                let blocks_of = blocks.map(|block| &block[..len]);
                for group in 0..len {
                    let words: [__m256i; BLOCKS] =
                        core::array::from_fn(|block| unsigned(load_32(&blocks_of[block][group])));
                    for row in 0..ROWS {
                        let x = _mm256_set1_epi32(word(&rows_of[row][group]));
                        for block in 0..BLOCKS {
                            sums[block][row] = $dp(sums[block][row], words[block], x);
                        }
                    }
                }
                if let Some(x) = last {
                    for (sums, block) in sums.iter_mut().zip(blocks) {
                        let words = block.get(len).map_or(_mm256_setzero_si256(), |words| unsigned(load_32(words)));
                        for sums in sums {
                            *sums = $dp(*sums, words, _mm256_set1_epi32(x));
                        }
                    }
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
