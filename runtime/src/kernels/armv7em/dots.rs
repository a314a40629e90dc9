//! One vector of 16-bit elements times rows of bytes, four rows at a time and two products at a time. A word of four bytes
//! becomes the words `(y0, y2)` and `(y1, y3)`, and the elements of `x` lie in that order.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::kernels::{Rows, dots};

/// Longest vector whose sums are below 2^30: of products of two differences of bytes.
#[cfg(kernels = "armv7em")]
const LONGEST: usize = 1 << 14;

/// See [`Kernels::dot_rows`](crate::kernels::Kernels::dot_rows).
pub(super) fn dot_rows(x: &[Cell<i16>], rows: &Rows<'_>, out: &[Cell<i8>]) {
    #[cfg(kernels = "armv7em")]
    if asm::dot_rows(x, rows, out) {
        return;
    }
    #[cfg(kernels = "armv7em")]
    dots::dot_rows(x, rows, out, dots::swapped);
    #[cfg(not(kernels = "armv7em"))]
    dots::dot_rows(x, rows, out, emulated);
}

#[cfg(kernels = "armv7em")]
mod asm {
    use core::cell::Cell;

    use ferrolite_schema::Rounding;

    use super::{LONGEST, Rows};
    use crate::kernels::elementwise::is_narrow;
    use crate::kernels::fields::{in_order, leaf};

    /// Arguments of `rows`, the first three of which it moves on.
    #[repr(C)]
    struct Work {
        /// First row, output of the first row, and rows that are still to come, at least one.
        y: *const i8,
        out: *mut i8,
        left: usize,
        stride: usize,
        out_stride: usize,
        x: *const i16,
        /// Groups of four elements, and those behind them.
        groups: usize,
        rest: usize,
        /// What sums begin with.
        start: i32,
        mantissa: i32,
        /// Right shift minus one, and the rounding term.
        shift: u32,
        term: i32,
    }

    in_order!(3 words of Work: mantissa, shift, term);

    /// False, and nothing is done, where sizes or numbers are not those of the leaf.
    #[inline(always)]
    pub(super) fn dot_rows(x: &[Cell<i16>], rows: &Rows<'_>, out: &[Cell<i8>]) -> bool {
        let &Rows { cells, count, stride, less, product, rounding, out_stride } = rows;
        let multiplier = product.multiplier;
        let fits = rows.fit(x, out)
            && x.len() <= LONGEST
            && rounding == Rounding::Double
            && multiplier.mantissa >= 0
            && (-22..=-1).contains(&multiplier.shift);
        if !fits {
            return false;
        }
        let shift = !multiplier.shift as u32;
        let mut work = Work {
            y: cells.as_ptr().cast(),
            out: out.as_ptr().cast_mut().cast(),
            left: count,
            stride,
            out_stride,
            x: x.as_ptr().cast(),
            groups: x.len() / 4,
            rest: x.len() % 4,
            start: less.wrapping_neg(),
            mantissa: multiplier.mantissa,
            shift,
            term: product.zero_point.wrapping_mul(2).wrapping_add(1).wrapping_shl(shift),
        };
        // SAFETY: so many rows of as many elements as `x` has, `stride` apart, are in the matrix, and as many outputs,
        // `out_stride` apart, in `out`, as checked above; words may be read from any address. Cells may be written through
        // a shared reference; no unique reference to them exists.
        unsafe { multiply(&raw mut work) };
        if is_narrow(product.min, product.max) {
            for out in out.iter().step_by(out_stride.max(1)).take(count) {
                out.set(i32::from(out.get()).max(product.min).min(product.max) as i8);
            }
        }
        true
    }

    /// Four rows at a time: `r1..r4` are their places, `r5..r8` their sums, `r11` is the place in `x` and `r9` counts.
    /// Missing rows are the last one again, and are written to its place. Sums become outputs as those of
    /// `../conv/asm.rs` do.
    #[unsafe(naked)]
    unsafe extern "C" fn multiply(work: *mut Work) {
        leaf!(
            [Work: y, out, left, stride, out_stride, x, groups, rest, start, mantissa],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            ".macro FERROLITE_DOT y, sum",
            "ldr.w r12, [\\y], #4",
            "sxtb16 lr, r12",
            "sxtb16 r12, r12, ror #8",
            "smlad \\sum, r0, lr, \\sum",
            "smlad \\sum, r10, r12, \\sum",
            ".endm",
            // The place of the next row or output, if there are at least so many.
            ".macro FERROLITE_NEXT to, from, step, least",
            "cmp.w lr, #\\least",
            "mov.w \\to, \\from",
            "it hs",
            "addhs.w \\to, \\to, \\step",
            ".endm",
            ".macro FERROLITE_SCALE sum",
            "add.w r12, r11, \\sum, asr #31",
            "lsl.w \\sum, \\sum, #1",
            "smmlar \\sum, \\sum, r9, r12",
            "asr.w \\sum, \\sum, r10",
            "ssat \\sum, #8, \\sum, asr #1",
            ".endm",
            "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "1:",
            "ldr r1, [r0, #{y}]",
            "ldr.w r12, [r0, #{stride}]",
            "ldr.w lr, [r0, #{left}]",
            "ldr.w r11, [r0, #{x}]",
            "ldr.w r9, [r0, #{groups}]",
            "ldr r5, [r0, #{start}]",
            "FERROLITE_NEXT r2, r1, r12, 2",
            "FERROLITE_NEXT r3, r2, r12, 3",
            "FERROLITE_NEXT r4, r3, r12, 4",
            "mov r6, r5",
            "mov r7, r5",
            "mov r8, r5",
            "cmp.w r9, #0",
            "beq.w 3f",
            ".p2align 2",
            "2:",
            "ldr.w r0, [r11], #4",
            "ldr.w r10, [r11], #4",
            "FERROLITE_DOT r1, r5",
            "FERROLITE_DOT r2, r6",
            "FERROLITE_DOT r3, r7",
            "FERROLITE_DOT r4, r8",
            "subs.w r9, r9, #1",
            "bne.w 2b",
            // The elements behind the groups, which lie in their order.
            "3:",
            "ldr r0, [sp]",
            "ldr.w r9, [r0, #{rest}]",
            "cmp.w r9, #0",
            "beq.w 5f",
            "4:",
            "ldrsh.w lr, [r11], #2",
            "ldrsb.w r10, [r1], #1",
            "ldrsb.w r12, [r2], #1",
            "mla r5, r10, lr, r5",
            "mla r6, r12, lr, r6",
            "ldrsb.w r10, [r3], #1",
            "ldrsb.w r12, [r4], #1",
            "mla r7, r10, lr, r7",
            "mla r8, r12, lr, r8",
            "subs.w r9, r9, #1",
            "bne.w 4b",
            "5:",
            "add.w r12, r0, #{mantissa}",
            "ldm.w r12, {{r9, r10, r11}}",
            "FERROLITE_SCALE r5",
            "FERROLITE_SCALE r6",
            "FERROLITE_SCALE r7",
            "FERROLITE_SCALE r8",
            "ldr r1, [r0, #{out}]",
            "ldr.w r12, [r0, #{out_stride}]",
            "ldr.w lr, [r0, #{left}]",
            "ldr.w r9, [r0, #{y}]",
            "ldr.w r10, [r0, #{stride}]",
            "strb.w r5, [r1]",
            "FERROLITE_NEXT r2, r1, r12, 2",
            "strb.w r6, [r2]",
            "FERROLITE_NEXT r3, r2, r12, 3",
            "strb.w r7, [r3]",
            "FERROLITE_NEXT r4, r3, r12, 4",
            "strb.w r8, [r4]",
            "add.w r4, r4, r12",
            "add.w r9, r9, r10, lsl #2",
            "str r4, [r0, #{out}]",
            "str.w r9, [r0, #{y}]",
            "subs.w lr, lr, #4",
            "str.w lr, [r0, #{left}]",
            "bgt.w 1b",
            "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_DOT",
            ".purgem FERROLITE_NEXT",
            ".purgem FERROLITE_SCALE",
        )
    }
}

#[cfg(not(kernels = "armv7em"))]
fn emulated(x: &[Cell<i16>], y: [&[Cell<i8>]; 4]) -> [i32; 4] {
    let groups = x.len() / 4;
    let pairs = |low: i16, high: i16| i32::from(low) & 0xFFFF | i32::from(high) << 16;
    let sums = y.map(|y| {
        let mut sum = 0i32;
        for (x, y) in x.as_chunks::<4>().0.iter().zip(y.as_chunks::<4>().0) {
            let [x0, x2, x1, x3] = x.each_ref().map(Cell::get);
            let word = i32::from_le_bytes(y.each_ref().map(|y| y.get() as u8));
            sum = smlad(pairs(x0, x2), sxtb16(word), sum);
            sum = smlad(pairs(x1, x3), sxtb16(word >> 8), sum);
        }
        sum
    });
    // The elements behind the groups lie in their order.
    let rest = |row: usize| {
        let rest = x[groups * 4..].iter().zip(y[row].get(groups * 4..).unwrap_or(&[]));
        rest.fold(0i32, |sum, (x, y)| sum.wrapping_add(i32::from(x.get()) * i32::from(y.get())))
    };
    [0, 1, 2, 3].map(|row| sums[row].wrapping_add(rest(row)))
}

/// The sum of both products of halfwords and a number.
#[cfg(not(kernels = "armv7em"))]
fn smlad(a: i32, b: i32, sum: i32) -> i32 {
    let low = i32::from(a as i16).wrapping_mul(i32::from(b as i16));
    sum.wrapping_add(low).wrapping_add((a >> 16).wrapping_mul(b >> 16))
}

/// The bytes 0 and 2 as halfwords.
#[cfg(not(kernels = "armv7em"))]
fn sxtb16(a: i32) -> i32 {
    i32::from(a as i8) & 0xFFFF | i32::from((a >> 16) as i8) << 16
}
