//! Lines of numbers that move on by one and are weighed: a word at a time, from the end of each line, so that a word is
//! read before the one behind it is needed.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(kernels = "armv7em")]
use ferrolite_schema::Rounding;

#[cfg(kernels = "armv7em")]
use crate::kernels::fields::in_order;
use crate::kernels::{Delays, portable};
#[cfg(kernels = "armv7em")]
use crate::quant::Right;
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

/// Units whose sums are held at once, where multipliers differ.
#[cfg(kernels = "armv7em")]
const HELD: usize = 16;

/// Makes all outputs. `weigh` takes the lines of some units, and moves the addresses behind them.
#[cfg(kernels = "armv7em")]
#[inline(always)]
fn by_words<T: Element>(
    delays: &Delays<'_, T>,
    words: usize,
    newest: &[Cell<T>],
    state: &[Cell<T>],
    out: &[Cell<i8>],
    weigh: unsafe extern "C" fn(*mut Work),
) {
    let stage = &delays.stage;
    let line: *mut u32 = state.as_ptr().cast_mut().cast();
    let mut work = Work {
        out: out.as_ptr().cast_mut().cast(),
        line,
        weights: delays.weights.as_ptr().addr().wrapping_sub(line.addr()),
        newest: newest.as_ptr().cast(),
        size: words.wrapping_mul(4),
        zero_point: delays.zero_point,
        rank: delays.rank,
        bias: stage.bias.as_ptr(),
        end: stage.bias.as_ptr().wrapping_add(out.len()),
        scale: Right::default(),
        shared: 0,
    };
    // A multiplier below a half leaves 31 bits of any sum, to which two zero points may be added.
    let shared = match *stage.multipliers {
        [one] if matches!(stage.rounding, Rounding::Double) && one.shift < -1 => {
            Right::new(one, stage.zero_point)
        }
        _ => None,
    };
    if let Some(scale) = shared {
        (work.scale, work.shared) = (scale, 1);
        // SAFETY: `words` has found that there are lines, weights, newest numbers and biases for all units, which are not
        // none; words may be read from any address. Cells may be written through a shared reference; no unique reference
        // to them exists.
        unsafe { weigh(&raw mut work) };
        super::clamp(stage, out);
        return;
    }
    let mut sums = [0i32; HELD];
    let mut channels = (0..out.len()).map(|unit| stage.channel(unit).1);
    for out in out.chunks(HELD) {
        work.out = sums.as_mut_ptr().cast();
        work.end = work.bias.wrapping_add(out.len());
        // SAFETY: the same for the units of a chunk, each of which has a place in `sums`.
        unsafe { weigh(&raw mut work) };
        for (out, (&sum, multiplier)) in out.iter().zip(sums.iter().zip(&mut channels)) {
            out.set(stage.apply(sum, multiplier));
        }
    }
}

/// Where the next lines lie, and what becomes of their sums.
#[cfg(kernels = "armv7em")]
#[repr(C)]
struct Work {
    /// Outputs if all units share a multiplier, else sums.
    out: *mut u8,
    line: *mut u32,
    /// From a number of a line to its weight.
    weights: usize,
    newest: *const u8,
    /// Bytes of a line.
    size: usize,
    zero_point: i32,
    rank: usize,
    bias: *const i32,
    /// Behind the last bias.
    end: *const i32,
    scale: Right,
    shared: usize,
}

#[cfg(kernels = "armv7em")]
in_order!(first 9 words of Work: out, line, weights, newest, size, zero_point, rank, bias, end);

#[cfg(kernels = "armv7em")]
const _: () = assert!(core::mem::offset_of!(Work, scale) == 36 && core::mem::offset_of!(Work, shared) == 48);

/// A loop over the lines of some units: `load` reads what is new into r8, which has `bits`; the macro `products` stores its
/// argument at r9, and adds its products with those of lr to r7.
#[cfg(kernels = "armv7em")]
macro_rules! weigh {
    ($name:ident, $load:literal, $bits:literal, $products:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(work: *mut Work) {
            core::arch::naked_asm!(
                concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
                $products,
                // A word of a line, which is read into `word`; `behind` is the word behind it as it was.
                concat!(
                    ".macro FERROLITE_WORD behind, word
                    ldr.w \\word, [r9, #-4]!
                    ldr.w lr, [r9, r2]
                    lsl.w \\behind, \\behind, #32 - ",
                    $bits,
                    "
                    orr.w \\behind, \\behind, \\word, lsr #",
                    $bits,
                    "
                    FERROLITE_PRODUCTS \\behind
                    .endm"
                ),
                "push.w {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                // On the stack: 0 rank, 4 biases, 8 their end, 12 twice the mantissa, 16 shift, 20 term, 24 whether units
                // share a multiplier.
                "add.w r12, r0, #24",
                "ldm.w r12, {{r4, r5, r6, r7, r8, r9, r10}}",
                "push.w {{r4, r5, r6, r7, r8, r9, r10}}",
                // r0 out, r1 line, r2 from it to its weights, r3 newest, r4 bytes, r6 zero point
                "ldm.w r0, {{r0, r1, r2, r3, r4, r6}}",
                ".p2align 2",
                "1:",
                "ldr.w r12, [sp, #4]",
                "ldr.w r5, [sp]",
                "ldr.w r7, [r12], #4",
                "str.w r12, [sp, #4]",
                "2:",
                $load,
                "add.w r9, r1, r4",
                "tst.w r4, #4",
                "add.w r8, r8, r6",
                "mov.w r11, r8",
                "bne.w 4f",
                "3:",
                "FERROLITE_WORD r8, r11",
                "4:",
                "FERROLITE_WORD r11, r8",
                "cmp.w r9, r1",
                "bne.w 3b",
                "add.w r1, r1, r4",
                "subs.w r5, r5, #1",
                "bne.w 2b",
                "ldrd r8, r10, [sp, #12]",
                "ldrd r11, r12, [sp, #20]",
                "cmp.w r12, #0",
                "beq.w 5f",
                // As `Right::scale`.
                "smmlar r8, r7, r8, r7",
                "add.w r8, r8, r8, asr #31",
                "asr.w r8, r8, r10",
                "add.w r8, r8, r11",
                "ssat r8, #8, r8, asr #1",
                "strb.w r8, [r0], #1",
                "b.w 6f",
                "5:",
                "str.w r7, [r0], #4",
                "6:",
                "ldr.w r12, [sp, #4]",
                "ldr.w r11, [sp, #8]",
                "cmp.w r12, r11",
                "bne.w 1b",
                "add sp, sp, #28",
                "pop.w {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                // Addresses for the next units.
                "str.w r1, [r0, #4]",
                "str.w r3, [r0, #12]",
                "str.w r12, [r0, #28]",
                "bx lr",
                ".purgem FERROLITE_WORD",
                ".purgem FERROLITE_PRODUCTS",
            )
        }
    };
}

#[cfg(kernels = "armv7em")]
weigh!(
    weigh,
    "ldrb.w r8, [r3], #1",
    "8",
    ".macro FERROLITE_PRODUCTS x
    sxtb16 r10, \\x
    sxtb16 r12, lr
    str.w \\x, [r9]
    smlad r7, r10, r12, r7
    sxtb16 r10, \\x, ror #8
    sxtb16 lr, lr, ror #8
    smlad r7, r10, lr, r7
    .endm"
);

#[cfg(kernels = "armv7em")]
weigh!(
    weigh_int16,
    "ldrh.w r8, [r3], #2",
    "16",
    ".macro FERROLITE_PRODUCTS x
    smlad r7, \\x, lr, r7
    str.w \\x, [r9]
    .endm"
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
