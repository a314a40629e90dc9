//! Rows of images that become wider, of few channels: first what lies between the two rows, for some columns of pixels, then
//! what lies between those columns, which serve several pixels each.
#![allow(unsafe_code)]

#[cfg(device)]
use core::cell::Cell;
#[cfg(device)]
use core::mem::MaybeUninit;

use crate::kernels::Between;
use crate::kernels::resize::ONE;

/// Elements of columns that are held at once.
const HELD: usize = 80;

/// Channels of a pixel at most. Where there are more, what is done once for a pixel takes less than columns do.
pub(super) const CHANNELS: usize = if cfg!(kernels = "mve") { 8 } else { 6 };

/// The farthest from one pixel to the next. Beyond it, columns serve too few pixels.
pub(super) const STEP: i32 = ONE / 8 * 7;

/// The next pixels that are made together, and the columns of the image that they lie between.
#[derive(Debug)]
pub(super) struct Part {
    /// Number of the first column, and of the one behind the last.
    pub first: usize,
    pub end: usize,
    /// Pixels, at least one.
    pub pixels: usize,
}

/// Of so many pixels that are left, from `position` on, those that lie between columns that can be held, beside one
/// before the image and one behind it.
pub(super) fn part(between: &Between<'_>, position: i32, left: usize) -> Part {
    let width = between.width as usize;
    let first = (position.max(0) >> 10) as usize;
    let held = (HELD / between.channels.max(1)).saturating_sub(2);
    let end = first.wrapping_add(held).min(width);
    // Up to the last column. Behind the last of the image there are no others.
    let reach = ((end.wrapping_sub(1) << 10) as i32).wrapping_sub(1);
    let pixels = match reach.wrapping_sub(position).checked_div(between.step) {
        Some(steps) if end < width => left.min((steps as usize).wrapping_add(1)),
        _ => left,
    };
    Part { first, end, pixels }
}

/// The row, for which [`Row::of`](super::asm::Row::of) has found that all pixels are between those of the rows. The image goes on as it
/// begins and ends, so that each pixel lies between two columns.
#[cfg(device)]
#[inline(never)]
pub(super) fn resize_row(between: &Between<'_>, out: &[Cell<i8>]) {
    let &Between { rows: [upper, lower], dy, channels, start, step, .. } = between;
    let mut held = MaybeUninit::<[i32; HELD]>::uninit();
    let held: *mut i32 = held.as_mut_ptr().cast();
    let (mut position, mut out, mut left) =
        (start, out.as_ptr().cast_mut().cast::<i8>(), out.len().checked_div(channels).unwrap_or(0));
    while left != 0 {
        let Part { first, end, pixels } = part(between, position, left);
        let place = first.wrapping_mul(channels);
        let work = asm::Columns {
            held: held.wrapping_add(channels),
            out,
            channels,
            pixels,
            position: position.wrapping_sub((first as i32) << 10),
            step,
        };
        // SAFETY: `part` has found columns of the rows, of which no more are held than there is room for, with one
        // more at both ends, and pixels that lie between them; so many are still to come. Cells may be written through
        // a shared reference; no unique reference to them exists.
        unsafe {
            let (upper, lower) = (upper.as_ptr().cast::<i8>(), lower.as_ptr().cast::<i8>());
            let behind = work.held.wrapping_add(end.wrapping_sub(first).wrapping_mul(channels));
            asm::between_rows(
                upper.wrapping_add(place),
                lower.wrapping_add(place),
                work.held.cast_mut(),
                dy,
                behind,
            );
            for channel in 0..channels {
                held.add(channel).write(*work.held.add(channel));
                let last = behind.cast_mut().wrapping_add(channel);
                last.write(*last.wrapping_sub(channels));
            }
            asm::between_columns(&raw const work);
        }
        position = position.wrapping_add(step.wrapping_mul(pixels as i32));
        out = out.wrapping_add(pixels.wrapping_mul(channels));
        left = left.wrapping_sub(pixels);
    }
}

#[cfg(device)]
mod asm {
    use core::arch::naked_asm;

    use crate::kernels::fields::in_order;

    /// Arguments of `between_columns`.
    #[repr(C)]
    pub(super) struct Columns {
        /// The first column, channel by channel, before which there is another.
        pub held: *const i32,
        pub out: *mut i8,
        pub channels: usize,
        /// Pixels, at least one.
        pub pixels: usize,
        /// Of the first one, from the first column on.
        pub position: i32,
        pub step: i32,
    }

    in_order!(first 6 words of Columns: held, out, channels, pixels, position, step);

    /// What lies between elements of two rows, times 1024, for at least one: `upper * (1024 - dy) + lower * dy`.
    #[cfg(not(kernels = "mve"))]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn between_rows(
        upper: *const i8,
        lower: *const i8,
        held: *mut i32,
        dy: i32,
        end: *const i32,
    ) {
        naked_asm!(
            cpu!(),
            ".macro FERROLITE_BLEND
             ldrsb r5, [r0], #1
             ldrsb r6, [r1], #1
             mul r5, r5, r4
             mla r5, r6, r3, r5
             .endm",
            "push {{r4, r5, r6, r7, r8, lr}}",
            "ldr r7, [sp, #24]",
            "rsb r4, r3, #1024",
            "subs r8, r7, r2",
            "lsls r8, r8, #29",
            // An odd number: the sign has its lowest bit.
            "bmi 3f",
            ".p2align 2",
            "2:",
            "FERROLITE_BLEND",
            "str.w r5, [r2], #4",
            "3:",
            "FERROLITE_BLEND",
            "str.w r5, [r2], #4",
            "cmp.w r2, r7",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, pc}}",
            ".purgem FERROLITE_BLEND",
        )
    }

    /// What lies between columns, for some pixels: r7 and r8 are the places of both columns, r9 and r10 their weights.
    #[cfg(not(kernels = "mve"))]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn between_columns(work: *const Columns) {
        naked_asm!(
            cpu!(),
            ".macro FERROLITE_BLEND
             ldr.w r11, [r7], #4
             ldr.w r12, [r8], #4
             mul r11, r11, r10
             mla r11, r12, r9, r11
             add.w r11, r11, r11, asr #31
             add.w r11, r11, #0x80000
             asr.w r11, r11, #20
             strb r11, [r1], #1
             .endm",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "ldm.w r0, {{r0, r1, r2, r3, r4, r5}}",
            "lsl.w r6, r2, #2",
            ".p2align 2",
            "1:",
            "asr.w r7, r4, #10",
            "ubfx r9, r4, #0, #10",
            "mla r7, r7, r6, r0",
            "rsb.w r10, r9, #1024",
            "add.w r4, r4, r5",
            "add.w r8, r7, r6",
            "adds.w lr, r2, #1",
            "lsrs.w lr, lr, #1",
            "bcc.w 3f",
            "2:",
            "FERROLITE_BLEND",
            "3:",
            // Between a store and a load, which would wait for one another.
            "subs.w lr, lr, #1",
            "FERROLITE_BLEND",
            "bne.w 2b",
            "subs.w r3, r3, #1",
            "bne.w 1b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_BLEND",
        )
    }

    /// What lies between elements of two rows, four at a time.
    #[cfg(kernels = "mve")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn between_rows(
        upper: *const i8,
        lower: *const i8,
        held: *mut i32,
        dy: i32,
        end: *const i32,
    ) {
        naked_asm!(
            cpu!(),
            "push {{r4, r5, r6, lr}}",
            "ldr r4, [sp, #16]",
            "rsb r5, r3, #1024",
            "subs r4, r4, r2",
            "lsrs r4, r4, #2",
            "dlstp.32 lr, r4",
            "2:",
            "vldrb.s32 q0, [r0], #4",
            "vldrb.s32 q1, [r1], #4",
            "vmul.i32 q0, q0, r5",
            "vmla.s32 q0, q1, r3",
            "vstrw.32 q0, [r2], #16",
            "letp lr, 2b",
            "pop {{r4, r5, r6, pc}}",
        )
    }

    /// What lies between columns, four channels at a time: r8 and r9 are the places of both columns, r10 and r11 their
    /// weights, r7 that of the output, which only a lower register can be.
    #[cfg(kernels = "mve")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn between_columns(work: *const Columns) {
        naked_asm!(
            cpu!(),
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
            "ldm.w r0, {{r0, r1, r2, r3, r4, r5}}",
            "lsl.w r6, r2, #2",
            "1:",
            "asrs r7, r4, #10",
            "ubfx r11, r4, #0, #10",
            "mla r8, r7, r6, r0",
            "rsb.w r10, r11, #1024",
            "mov r7, r1",
            "add r4, r4, r5",
            "add r1, r1, r2",
            "add.w r9, r8, r6",
            "dlstp.32 lr, r2",
            "2:",
            "vldrw.u32 q0, [r8], #16",
            "vldrw.u32 q1, [r9], #16",
            "vmul.i32 q0, q0, r10",
            "vmla.s32 q0, q1, r11",
            "vshr.s32 q1, q0, #31",
            "vadd.i32 q0, q0, q1",
            "vrshr.s32 q0, q0, #20",
            "vstrb.32 q0, [r7], #4",
            "letp lr, 2b",
            "subs r3, r3, #1",
            "bne 1b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::resize::neighbours;
    use proptest::prelude::*;

    proptest! {
        /// All pixels are made, and their neighbours are held, or are the first or the last column again.
        #[test]
        fn parts_hold_the_neighbours_of_their_pixels(
            width in 1u32..200,
            channels in 1..=CHANNELS,
            start in -1023i32..2000,
            step in 0..=STEP,
            pixels in 1usize..300,
        ) {
            let last = width as i32 - 1;
            let between = Between { rows: [&[], &[]], dy: 0, channels, start, step, width };
            let fits = |pixels: &usize| start + (*pixels as i32 - 1) * step < (width << 10) as i32;
            let mut left = (1..=pixels).rev().find(fits).unwrap_or(0);
            let mut position = start;
            while left != 0 {
                let part = part(&between, position, left);
                let (first, end) = (part.first as i32, part.end as i32);
                prop_assert!(part.pixels != 0 && part.pixels <= left && first < end && end <= width as i32);
                prop_assert!((part.end - part.first + 2) * channels <= HELD);
                for _ in 0..part.pixels {
                    let (x0, x1, dx) = neighbours(position, last);
                    // What the assembly reads, and what it takes of the second.
                    let (x, weight) = (position >> 10, position & 1023);
                    prop_assert!(x >= first - 1 && x < end, "{} {:?}", position, part);
                    prop_assert!(x >= first || first == 0, "{} {:?}", position, part);
                    prop_assert!(x + 1 < end || end == last + 1 || weight == 0, "{} {:?}", position, part);
                    let there = |x: i32| x.clamp(first, end - 1) as usize;
                    prop_assert_eq!(there(x), x0);
                    prop_assert!(weight == 0 || there(x + 1) == x1);
                    prop_assert!(weight == dx || x0 == x1);
                    position += step;
                }
                left -= part.pixels;
            }
        }
    }
}
