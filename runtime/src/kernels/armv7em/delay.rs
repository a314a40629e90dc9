//! Lines of numbers that move on by one and are weighed: a word at a time, from the end of each line, so that a word is
//! read before the one behind it is needed.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(kernels = "armv7em")]
use crate::kernels::fields::in_order;
use crate::kernels::{Delays, portable};
use crate::tensor::Element;

/// See [`Kernels::delays`](crate::kernels::Kernels::delays). Not inlined, so that it is compiled for speed.
#[inline(never)]
pub(super) fn delays(delays: &Delays<'_, i8>, newest: &[Cell<i8>], state: &[Cell<i8>], out: &[Cell<i8>]) {
    match words(delays, newest, state, out) {
        #[cfg(kernels = "armv7em")]
        Some(words) => by_words(delays, words, newest, state, out, weigh),
        #[cfg(not(kernels = "armv7em"))]
        Some(_) => emulated::delays(delays, newest, state, out),
        None => portable::delays(delays, newest, state, out),
    }
}

/// See [`Kernels::delays_int16`](crate::kernels::Kernels::delays_int16).
#[inline(never)]
pub(super) fn delays_int16(
    delays: &Delays<'_, i16>,
    newest: &[Cell<i16>],
    state: &[Cell<i16>],
    out: &[Cell<i8>],
) {
    match words(delays, newest, state, out) {
        #[cfg(kernels = "armv7em")]
        Some(words) => by_words(delays, words, newest, state, out, weigh_int16),
        #[cfg(not(kernels = "armv7em"))]
        Some(_) => emulated::delays_int16(delays, newest, state, out),
        None => portable::delays_int16(delays, newest, state, out),
    }
}

/// Words of a line, if lines are whole words and sizes agree.
#[inline(always)]
fn words<T: Element>(
    delays: &Delays<'_, T>,
    newest: &[Cell<T>],
    state: &[Cell<T>],
    out: &[Cell<i8>],
) -> Option<usize> {
    let lines = out.len().checked_mul(delays.rank)?;
    let elements = lines.checked_mul(delays.memory)?;
    let bytes = delays.memory.checked_mul(size_of::<T>())?;
    let fits = elements != 0
        && newest.len() >= lines
        && state.len() >= elements
        && delays.weights.len() >= elements
        && delays.stage.bias.len() >= out.len();
    (fits && bytes & 3 == 0).then_some(bytes >> 2)
}

/// Makes all outputs. `weigh` takes a unit's lines, and moves the addresses behind them.
#[cfg(kernels = "armv7em")]
#[inline(always)]
fn by_words<T: Element>(
    delays: &Delays<'_, T>,
    words: usize,
    newest: &[Cell<T>],
    state: &[Cell<T>],
    out: &[Cell<i8>],
    weigh: unsafe extern "C" fn(*mut Work) -> i32,
) {
    let mut work = Work {
        line: state.as_ptr().cast_mut().cast(),
        weights: delays.weights.as_ptr().cast(),
        newest: newest.as_ptr().cast(),
        words,
        rank: delays.rank,
        zero_point: delays.zero_point,
        acc: 0,
    };
    for (unit, out) in out.iter().enumerate() {
        let (bias, multiplier) = delays.stage.channel(unit);
        work.acc = bias;
        // SAFETY: `words` has found that there are lines, weights and newest numbers for all units; words may be read
        // from any address. Cells may be written through a shared reference; no unique reference to them exists.
        let acc = unsafe { weigh(&raw mut work) };
        out.set(delays.stage.apply(acc, multiplier));
    }
}

/// Where the next lines lie, and what they are added to.
#[cfg(kernels = "armv7em")]
#[repr(C)]
struct Work {
    line: *mut u32,
    weights: *const u32,
    newest: *const u8,
    words: usize,
    rank: usize,
    zero_point: i32,
    acc: i32,
}

#[cfg(kernels = "armv7em")]
in_order!(first 7 words of Work: line, weights, newest, words, rank, zero_point, acc);

/// A loop over the lines of a unit: `load` reads what is new into r8, `bits` is what it has; `products` adds those of r8
/// and lr to r7.
#[cfg(kernels = "armv7em")]
macro_rules! weigh {
    ($name:ident, $load:literal, $left:literal, $right:literal, $($products:literal),*) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(work: *mut Work) -> i32 {
            core::arch::naked_asm!(
                concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
                "push.w {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                // r1 line, r2 weights, r3 newest, r4 words, r5 rank, r6 zero point, r7 sum
                "ldm.w r0, {{r1, r2, r3, r4, r5, r6, r7}}",
                "1:",
                $load,
                "add.w r9, r1, r4, lsl #2",
                "add.w r10, r2, r4, lsl #2",
                "mov r2, r10",
                "add.w r8, r8, r6",
                ".p2align 2",
                "2:",
                "ldr.w r11, [r9, #-4]!",
                "ldr.w lr, [r10, #-4]!",
                $left,
                $right,
                "str.w r8, [r9]",
                $($products,)*
                "mov r8, r11",
                "cmp r9, r1",
                "bne.w 2b",
                "add.w r1, r1, r4, lsl #2",
                "subs r5, #1",
                "bne.w 1b",
                "mov r0, r7",
                "ldr.w r12, [sp], #4",
                "stm.w r12, {{r1, r2, r3}}",
                "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            )
        }
    };
}

#[cfg(kernels = "armv7em")]
weigh!(
    weigh,
    "ldrb.w r8, [r3], #1",
    "lsl.w r8, r8, #24",
    "orr.w r8, r8, r11, lsr #8",
    "sxtb16 r0, r8",
    "sxtb16 r12, lr",
    "smlad r7, r0, r12, r7",
    "sxtb16 r0, r8, ror #8",
    "sxtb16 lr, lr, ror #8",
    "smlad r7, r0, lr, r7"
);

#[cfg(kernels = "armv7em")]
weigh!(
    weigh_int16,
    "ldrh.w r8, [r3], #2",
    "lsl.w r8, r8, #16",
    "orr.w r8, r8, r11, lsr #16",
    "smlad r7, r8, lr, r7"
);

/// The same on a host.
#[cfg(not(kernels = "armv7em"))]
mod emulated {
    use core::cell::Cell;

    use crate::kernels::Delays;
    use crate::kernels::armv7em::intrinsics::{smlad, sxtb16, sxtb16_ror8};

    pub(super) fn delays(delays: &Delays<'_, i8>, newest: &[Cell<i8>], state: &[Cell<i8>], out: &[Cell<i8>]) {
        delays.advance(newest, state, out, |line, weights, newest, zero_point| {
            let mut behind = i32::from(newest).wrapping_add(zero_point);
            let mut acc = 0;
            let places = line.as_chunks::<4>().0.iter().rev();
            for (place, weights) in places.zip(weights.as_chunks::<4>().0.iter().rev()) {
                let [a, b, c, d] = place;
                let word = i32::from_le_bytes([a, b, c, d].map(|x| x.get() as u8));
                let moved = (behind << 24) | ((word as u32) >> 8) as i32;
                place.iter().zip(moved.to_le_bytes()).for_each(|(place, x)| place.set(x as i8));
                let weights = i32::from_le_bytes(weights.map(|w| w as u8));
                acc = smlad(sxtb16(moved), sxtb16(weights), acc);
                acc = smlad(sxtb16_ror8(moved), sxtb16_ror8(weights), acc);
                behind = word;
            }
            acc
        });
    }

    pub(super) fn delays_int16(
        delays: &Delays<'_, i16>,
        newest: &[Cell<i16>],
        state: &[Cell<i16>],
        out: &[Cell<i8>],
    ) {
        let pair = |a: i16, b: i16| (u32::from(a as u16) | u32::from(b as u16) << 16) as i32;
        delays.advance(newest, state, out, |line, weights, newest, zero_point| {
            let mut behind = i32::from(newest).wrapping_add(zero_point);
            let mut acc = 0;
            let places = line.as_chunks::<2>().0.iter().rev();
            for ([a, b], [v, w]) in places.zip(weights.as_chunks::<2>().0.iter().rev()) {
                let word = pair(a.get(), b.get());
                let moved = (behind << 16) | ((word as u32) >> 16) as i32;
                a.set(moved as i16);
                b.set((moved >> 16) as i16);
                acc = smlad(moved, pair(*v, *w), acc);
                behind = word;
            }
            acc
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Random;
    use crate::kernels::Stage;
    use ferrolite_schema::Rounding;
    use ferrolite_schema::params::Multiplier;
    use std::vec;
    use std::vec::Vec;

    /// Lines of all lengths, with numbers of all sizes.
    #[test]
    fn lines_move_as_portable_ones() {
        let mut random = Random(1);
        for round in 0..400 {
            let (units, rank, memory) = (random.below(4), 1 + random.below(3), 1 + round % 20);
            let count = units * rank * memory;
            let mut numbers =
                |count: usize| -> Vec<i16> { (0..count).map(|_| random.below(1 << 16) as i16).collect() };
            let (wide, weights, newest) = (numbers(count), numbers(count), numbers(units * rank));
            let zero_point = i32::from(numbers(1)[0]);
            let bias: Vec<i32> = numbers(units).into_iter().map(|x| i32::from(x) << 8).collect();
            let stage = Stage {
                bias: &bias,
                multipliers: &[Multiplier { mantissa: 1 << 30, shift: -9 }],
                rounding: Rounding::Double,
                zero_point: 3,
                min: -128,
                max: 127,
            };
            let narrow = |wide: &[i16]| -> Vec<i8> { wide.iter().map(|&x| x as i8).collect() };
            let mut results = Vec::new();
            for own in [true, false] {
                let (mut state, mut out) = (wide.clone(), vec![0; units]);
                let (mut newest, weights) = (newest.clone(), &weights);
                let lines = Delays { rank, memory, zero_point, weights, stage };
                let [a, b] = [&mut newest[..], &mut state[..]].map(|x| Cell::from_mut(x).as_slice_of_cells());
                let c = Cell::from_mut(&mut out[..]).as_slice_of_cells();
                if own {
                    delays_int16(&lines, a, b, c)
                } else {
                    portable::delays_int16(&lines, a, b, c)
                }
                let (mut narrow_state, mut narrow_out) = (narrow(&wide), vec![0; units]);
                let (mut newest, weights) = (narrow(&newest), &narrow(weights)[..]);
                let lines = Delays { rank, memory, zero_point: zero_point >> 8, weights, stage };
                let [a, b, c] = [&mut newest[..], &mut narrow_state[..], &mut narrow_out[..]]
                    .map(|x| Cell::from_mut(x).as_slice_of_cells());
                if own {
                    delays(&lines, a, b, c)
                } else {
                    portable::delays(&lines, a, b, c)
                }
                results.push((state, out, narrow_state, narrow_out));
            }
            assert_eq!(results[0], results[1], "{units} units of {rank} lines of {memory}");
        }
    }
}
