//! Loads and stores whose types keep them within bounds.
#![allow(unsafe_code)]

use core::arch::wasm32::*;
use core::cell::Cell;

/// Types of one byte for which every bit pattern is valid. A cell may be read through any reference.
pub(super) trait Byte {}
impl Byte for u8 {}
impl Byte for Cell<u8> {}
impl Byte for Cell<i8> {}

/// Eight signed bytes as 16 bits each.
#[inline(always)]
pub(super) fn widened<B: Byte>(bytes: &[B; 8]) -> v128 {
    // SAFETY: eight bytes are there; the pointer may have any alignment.
    unsafe { i16x8_load_extend_i8x8(bytes.as_ptr().cast()) }
}

/// Four signed bytes as 16 bits each, twice.
#[inline(always)]
pub(super) fn four_twice<B: Byte>(bytes: &[B; 4]) -> v128 {
    // SAFETY: four bytes are there; the pointer may have any alignment.
    i16x8_extend_low_i8x16(unsafe { v128_load32_splat(bytes.as_ptr().cast()) })
}

/// Eight bytes, twice.
#[inline(always)]
pub(super) fn twice<B: Byte>(bytes: &[B; 8]) -> v128 {
    // SAFETY: eight bytes are there; the pointer may have any alignment.
    unsafe { v128_load64_splat(bytes.as_ptr().cast()) }
}

/// Four numbers.
#[inline(always)]
pub(super) fn numbers(numbers: &[i32; 4]) -> v128 {
    // SAFETY: 16 bytes are there; the pointer may have any alignment.
    unsafe { v128_load(numbers.as_ptr().cast()) }
}

/// The same numbers, read again. LLVM takes the widening of an invariant factor out of a loop, and what is left is no
/// `i64x2.extmul` but an `i64x2.mul`, which takes machines three products.
#[inline(always)]
pub(super) fn again(numbers: &v128) -> v128 {
    // SAFETY: a reference is to what may be read.
    unsafe { core::ptr::read_volatile(numbers) }
}

#[inline(always)]
fn load_16(bytes: &[Cell<i8>; 16]) -> v128 {
    // SAFETY: 16 bytes are there; the pointer may have any alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

#[inline(always)]
pub(super) fn store_16<B: Byte>(target: &[Cell<B>; 16], bytes: v128) {
    // SAFETY: 16 bytes are there, in cells, which may be written through a shared reference.
    unsafe { v128_store(target.as_ptr().cast_mut().cast(), bytes) }
}

/// Writes the lower eight bytes, or the upper ones.
#[inline(always)]
pub(super) fn store_8<B: Byte, const HALF: usize>(target: &[Cell<B>; 8], bytes: v128) {
    // SAFETY: eight bytes are there, in cells, which may be written through a shared reference.
    unsafe { v128_store64_lane::<HALF>(bytes, target.as_ptr().cast_mut().cast()) }
}

impl Byte for i8 {}

/// Copies to where there is as much room, with the last bytes maybe twice. They do not overlap.
#[inline(always)]
pub(super) fn copy(source: &[Cell<i8>], target: &[Cell<i8>]) {
    let (from, to) = (source.as_chunks::<16>().0, target.as_chunks::<16>().0);
    for (from, to) in from.iter().zip(to) {
        store_16(to, load_16(from));
    }
    let count = source.len().min(target.len());
    let (source, target) = (source.get(..count).unwrap_or(&[]), target.get(..count).unwrap_or(&[]));
    match (source.last_chunk::<16>(), target.last_chunk::<16>()) {
        (Some(from), Some(to)) => store_16(to, load_16(from)),
        _ => source.iter().zip(target).for_each(|(from, to)| to.set(from.get())),
    }
}

/// Writes `value` to all of `target`.
#[inline(always)]
pub(super) fn fill(target: &[Cell<i8>], value: i8) {
    let (whole, rest) = target.as_chunks::<16>();
    whole.iter().for_each(|whole| store_16(whole, i8x16_splat(value)));
    rest.iter().for_each(|place| place.set(value));
}
