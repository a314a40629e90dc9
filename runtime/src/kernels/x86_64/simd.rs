//! Vectors of eight 32-bit numbers, one for each of eight channels: loads and stores whose types keep them
//! within bounds, and the computation of outputs from accumulators.
#![allow(unsafe_code)]

use core::arch::x86_64::*;
use core::cell::Cell;

use ferrolite_schema::params::Multiplier;

use crate::kernels::Stage;

/// Types of one byte for which every bit pattern is valid. A cell may be read through any reference.
pub(super) trait Byte {}
impl Byte for u8 {}
impl Byte for Cell<u8> {}
impl Byte for Cell<i8> {}

/// Four bytes as a number.
#[inline(always)]
pub(super) fn word<B: Byte>(bytes: &[B; 4]) -> i32 {
    // SAFETY: four bytes are there; the pointer may have any alignment.
    unsafe { bytes.as_ptr().cast::<i32>().read_unaligned() }
}

/// Eight bytes as a number.
#[inline(always)]
pub(super) fn double_word<B: Byte>(bytes: &[B; 8]) -> i64 {
    // SAFETY: eight bytes are there; the pointer may have any alignment.
    unsafe { bytes.as_ptr().cast::<i64>().read_unaligned() }
}

/// Eight bytes, followed by zeroes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_8<B: Byte>(bytes: &[B; 8]) -> __m128i {
    _mm_cvtsi64_si128(double_word(bytes))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_16<B: Byte>(bytes: &[B; 16]) -> __m128i {
    // SAFETY: 16 bytes are there.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_32<B: Byte>(bytes: &[B; 32]) -> __m256i {
    // SAFETY: 32 bytes are there.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Whole words, at most 8, followed by zeroes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_words<B: Byte>(bytes: &[B]) -> __m256i {
    let words = _mm256_set1_epi32((bytes.len() / 4) as i32);
    let mask = _mm256_cmpgt_epi32(words, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    // SAFETY: only existing words are read: those whose number is below their count.
    unsafe { _mm256_maskload_epi32(bytes.as_ptr().cast(), mask) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_numbers(numbers: &[i32; 8]) -> __m256i {
    // SAFETY: 32 bytes are there.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
}

#[inline(always)]
pub(super) fn store_8<B: Byte>(target: &[B; 8], bytes: i64) {
    // SAFETY: eight bytes are there, in cells, which may be written through a shared reference.
    unsafe { target.as_ptr().cast_mut().cast::<i64>().write_unaligned(bytes) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_16(target: &[Cell<u8>; 16], bytes: __m128i) {
    // SAFETY: 16 bytes are there, in cells, which may be written through a shared reference.
    unsafe { _mm_storeu_si128(target.as_ptr().cast_mut().cast(), bytes) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_32(target: &[Cell<u8>; 32], bytes: __m256i) {
    // SAFETY: 32 bytes are there, in cells, which may be written through a shared reference.
    unsafe { _mm256_storeu_si256(target.as_ptr().cast_mut().cast(), bytes) }
}

/// The total of eight numbers, in every lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn total(numbers: __m256i) -> __m256i {
    let halves = _mm256_add_epi32(numbers, _mm256_permute4x64_epi64(numbers, 0b01_00_11_10));
    let pairs = _mm256_add_epi32(halves, _mm256_shuffle_epi32(halves, 0b01_00_11_10));
    _mm256_add_epi32(pairs, _mm256_shuffle_epi32(pairs, 0b10_11_00_01))
}

/// Writes eight outputs, or as many as there is room for.
#[inline(always)]
pub(super) fn store_outputs(out: &[Cell<i8>], bytes: i64) {
    match out.first_chunk() {
        Some(out) => store_8(out, bytes),
        None => {
            for (out, byte) in out.iter().zip(bytes.to_le_bytes()) {
                out.set(byte as i8);
            }
        }
    }
}

/// Moves the odd numbers to the even lanes. This is not a shift, because the compiler would then take the
/// products that follow for products of 64 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn odd_numbers(numbers: __m256i) -> __m256i {
    _mm256_shuffle_epi32(numbers, 0b11_11_01_01)
}

/// `a * b / 2^31` of 32-bit numbers, rounded to nearest, ties upwards. `odd` holds the odd factors in the
/// even lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn high_product(a: __m256i, b: __m256i, odd: __m256i) -> __m256i {
    let round = _mm256_set1_epi64x(1 << 30);
    let even = _mm256_add_epi64(_mm256_mul_epi32(a, b), round);
    let odd = _mm256_add_epi64(_mm256_mul_epi32(odd_numbers(a), odd), round);
    _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0b1010_1010)
}

/// Rounds eight scaled numbers for the second time: a right shift to nearest, ties away from zero.
#[inline]
#[target_feature(enable = "avx2")]
fn away_from_zero(high: __m256i) -> __m256i {
    _mm256_add_epi32(high, _mm256_srai_epi32(high, 31))
}

/// The low bytes of eight numbers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn low_bytes(numbers: __m256i) -> i64 {
    let bytes = _mm256_setr_epi8(
        0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, //
        0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    );
    let halves = _mm256_shuffle_epi8(numbers, bytes);
    let (low, high) = (_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    _mm_cvtsi128_si64(_mm_unpacklo_epi32(low, high))
}

/// The parameters from which the outputs of eight channels of a packed layer are computed, see [`Stage`]; with any
/// multipliers and sums if `GENERAL`.
#[derive(Clone, Copy)]
pub(super) struct Eight<const GENERAL: bool> {
    bias: __m256i,
    mantissa: __m256i,
    odd_mantissa: __m256i,
    /// The right shift, of general ones less one if there is any.
    shift: __m256i,
    /// Rounding term and zero point, which are added before the shift; of general ones the zero point.
    round: __m256i,
    /// Of general ones the left shift, and all bits where there is a right shift.
    left: __m256i,
    rights: __m256i,
    min: __m256i,
    max: __m256i,
}

impl<const GENERAL: bool> Eight<GENERAL> {
    /// Eight channels, starting with channel `first`; there may be fewer.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(stage: &Stage<'_>, first: usize) -> Eight<GENERAL> {
        let bias = stage.bias.get(first..).and_then(|bias| bias.first_chunk::<8>());
        let bias = match bias {
            Some(bias) => load_numbers(bias),
            None => load_numbers(&core::array::from_fn(|lane| stage.channel(first.wrapping_add(lane)).0)),
        };
        let multipliers = stage.multipliers.get(first..).and_then(|all| all.first_chunk::<8>());
        let (mantissa, shift) = match (stage.multipliers, multipliers) {
            ([one], _) => (_mm256_set1_epi32(one.mantissa), _mm256_set1_epi32(one.shift)),
            (_, Some(eight)) => separate(eight),
            (_, None) => {
                let multiplier = |lane| stage.channel(first.wrapping_add(lane)).1;
                separate(&core::array::from_fn(multiplier))
            }
        };
        let (left, rights) = (_mm256_max_epi32(shift, _mm256_setzero_si256()), _mm256_srai_epi32(shift, 31));
        let half = _mm256_set1_epi32(stage.zero_point.wrapping_mul(2).wrapping_add(1));
        // A right shift by s is stored as -s, whose complement is s - 1.
        let less_one = _mm256_xor_si256(shift, _mm256_set1_epi32(-1));
        let zero = _mm256_setzero_si256();
        let (shift, round) = match GENERAL {
            true => (_mm256_max_epi32(less_one, zero), _mm256_set1_epi32(stage.zero_point)),
            false => (_mm256_sub_epi32(zero, shift), _mm256_sllv_epi32(half, less_one)),
        };
        Eight {
            bias,
            mantissa,
            odd_mantissa: odd_numbers(mantissa),
            shift,
            round,
            left,
            rights,
            min: _mm256_set1_epi32(stage.min),
            max: _mm256_set1_epi32(stage.max),
        }
    }

    /// The outputs of eight sums of products.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn outputs(&self, sums: __m256i) -> i64 {
        let sums = _mm256_add_epi32(sums, self.bias);
        let y = if GENERAL { self.scaled_either_way(sums) } else { self.scaled(sums) };
        low_bytes(_mm256_min_epi32(_mm256_max_epi32(y, self.min), self.max))
    }
}

impl<const GENERAL: bool> Eight<GENERAL> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scaled(&self, sums: __m256i) -> __m256i {
        let high = high_product(sums, self.mantissa, self.odd_mantissa);
        _mm256_srav_epi32(_mm256_add_epi32(away_from_zero(high), self.round), self.shift)
    }

    /// To the left before the product, or to the right behind it.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scaled_either_way(&self, sums: __m256i) -> __m256i {
        let sums = _mm256_sllv_epi32(sums, self.left);
        let high = high_product(sums, self.mantissa, self.odd_mantissa);
        let away = _mm256_and_si256(_mm256_srai_epi32(high, 31), self.rights);
        let halves = _mm256_srav_epi32(_mm256_add_epi32(high, away), self.shift);
        let one = _mm256_srli_epi32(self.rights, 31);
        let y = _mm256_srav_epi32(_mm256_add_epi32(halves, one), one);
        _mm256_add_epi32(y, self.round)
    }

    /// Writes the outputs of the first `pixels` sums, `width` channels each, to positions `stride` elements
    /// apart.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn store<const ROWS: usize>(
        &self,
        sums: [__m256i; ROWS],
        pixels: usize,
        width: usize,
        out: &[Cell<i8>],
        stride: usize,
    ) {
        for (pixel, sums) in sums.into_iter().enumerate() {
            if pixel < pixels {
                let start = pixel.wrapping_mul(stride);
                let out = out.get(start..start.wrapping_add(width)).unwrap_or(&[]);
                store_outputs(out, self.outputs(sums));
            }
        }
    }
}

/// Mantissas and shifts of eight multipliers.
#[inline]
#[target_feature(enable = "avx2")]
fn separate(multipliers: &[Multiplier; 8]) -> (__m256i, __m256i) {
    let at: *const __m256i = multipliers.as_ptr().cast();
    // SAFETY: a multiplier has eight bytes, mantissa and shift, so 64 bytes are there.
    let (low, high) = unsafe { (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))) };
    // m0 s0 m1 s1 | m2 s2 m3 s3 becomes m0 m1 s0 s1 | …, then both halves are put in order.
    let low = _mm256_shuffle_epi32(low, 0b11_01_10_00);
    let high = _mm256_shuffle_epi32(high, 0b11_01_10_00);
    let ordered = |mixed| _mm256_permute4x64_epi64(mixed, 0b11_01_10_00);
    (ordered(_mm256_unpacklo_epi64(low, high)), ordered(_mm256_unpackhi_epi64(low, high)))
}

/// One multiplier for eight numbers; it shifts right by 0 to 31 bits.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    mantissa: __m256i,
    /// The right shift, in the low half.
    shift: __m128i,
    round: __m256i,
    /// All bits if there is a second rounding, none if the shift is 0.
    rounds: __m256i,
}

impl Scale {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(multiplier: Multiplier) -> Option<Scale> {
        let shift = multiplier.shift.checked_neg().filter(|shift| (0..=30).contains(shift))?;
        let rounds = shift != 0;
        Some(Scale {
            mantissa: _mm256_set1_epi32(multiplier.mantissa),
            shift: _mm_cvtsi32_si128(shift),
            round: _mm256_set1_epi32(if rounds { 1 << (shift - 1) } else { 0 }),
            rounds: _mm256_set1_epi32(-i32::from(rounds)),
        })
    }

    /// Scales the numbers, with both roundings. Numbers are below 2^30, so that no sum overflows.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn apply(&self, x: __m256i) -> __m256i {
        let high = high_product(x, self.mantissa, self.mantissa);
        let away = _mm256_and_si256(_mm256_srai_epi32(high, 31), self.rounds);
        let y = _mm256_add_epi32(_mm256_add_epi32(high, away), self.round);
        _mm256_sra_epi32(y, self.shift)
    }
}
