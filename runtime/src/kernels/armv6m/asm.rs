//! The leaves in assembly. `leaf.rs` calls them after it has checked all sizes.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

/// Arguments of [`enter_first`], [`enter_second`] and [`enter_both`].
#[repr(C)]
pub(super) struct Enter {
    pub source: *const i8,
    pub target: *mut i32,
    /// Elements of a line, at least 1.
    pub len: usize,
    /// At least 1.
    pub lines: usize,
    /// Elements from one line to the next.
    pub pitch: usize,
    /// Distance from the first pixel to the second, in elements.
    pub second: usize,
}

in_order!(first 6 words of Enter: source, target, len, lines, pitch, second);

/// Arguments of [`products`]. It copies them to the stack, in this order.
#[repr(C)]
pub(super) struct Products {
    pub tile: *const i32,
    /// Distance from an element of the tile to the first channel's weight for it.
    pub weights: usize,
    pub lengths: *const u8,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub out: [*mut i8; 4],
    /// At least 1.
    pub channels: usize,
    /// The last element of the tile.
    pub last: *const i32,
    /// Number of lengths of a channel.
    pub chunks: usize,
    /// Bytes from the end of a block's weights and lengths to those of the next block.
    pub next_weights: usize,
    pub next_lengths: usize,
    pub half: i32,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    /// Channels that remain of the block.
    pub lanes: usize,
    pub channel: usize,
}

// The function reserves 18 words of stack for it.
const _: () = assert!(size_of::<Products>() == 72);

/// Arguments of [`planes`].
#[repr(C)]
pub(super) struct Planes {
    pub source: *const u8,
    pub target: *mut u8,
    /// Bytes from one pixel to the next.
    pub channels: usize,
    /// At least 1.
    pub planes: usize,
    pub left: usize,
    pub count: usize,
    pub right: usize,
    pub padding: u32,
}

in_order!(first 8 words of Planes: source, target, channels, planes, left, count, right, padding);

/// Arguments of [`depthwise_stride_1`] and [`depthwise_stride_2`]. They copy them to the stack, in this
/// order.
#[repr(C)]
pub(super) struct Depthwise {
    /// The first channel's plane under each kernel row.
    pub rows: [*const u8; 3],
    /// Bytes of a plane.
    pub plane: usize,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub out: *mut i8,
    /// Bytes from one pixel of the output to the next.
    pub channels: usize,
    /// Channels that remain, at least 1.
    pub left: usize,
    /// At least 1.
    pub pixels: usize,
    pub half: i32,
    pub step: usize,
    pub weights: *const i8,
}

// The functions reserve 13 words of stack for it.
const _: () = assert!(size_of::<Depthwise>() == 52);
in_order!(first 4 words of Depthwise: rows, plane);

/// Loads lines of elements into a tile. The instructions in the list load each element from `r0 + r7`, and a
/// second pixel's from `r6 + r7`, to the word at `r1`.
macro_rules! enter {
    ($name:ident, $doc:literal, [$($element:literal),*]) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *const Enter) {
            naked_asm!(
                ".cpu cortex-m0",
                "push {{r4, r5, r6, r7, lr}}",
                // r0 end of the source, r1 target, lr elements, r12 lines, r4 pitch, r5 distance to the
                // second pixel
                "ldm r0, {{r0, r1, r2, r3, r4, r5}}",
                "mov lr, r2",
                "mov r12, r3",
                "adds r0, r0, r2",
                "1:",
                "adds r6, r0, r5",
                "mov r7, lr",
                "rsbs r7, r7, #0",
                "2:",
                $($element,)*
                "adds r1, #8",
                "adds r7, #1",
                "bne 2b",
                "adds r0, r0, r4",
                "mov r3, r12",
                "subs r3, #1",
                "mov r12, r3",
                "bne 1b",
                "pop {{r4, r5, r6, r7, pc}}",
            )
        }
    };
}

enter!(enter_first, "Elements become words.", ["ldrsb r2, [r0, r7]", "str r2, [r1]"]);
enter!(
    enter_second,
    "Elements, times 2^16, are added to words.",
    ["ldrsb r2, [r0, r7]", "ldr r3, [r1]", "lsls r2, r2, #16", "adds r2, r2, r3", "str r2, [r1]"]
);
enter!(
    enter_both,
    "Elements and those of a second pixel, times 2^16, become words.",
    ["ldrsb r2, [r6, r7]", "ldrsb r3, [r0, r7]", "lsls r2, r2, #16", "adds r2, r2, r3", "str r2, [r1]"]
);

/// Turns an accumulator in `r0` into int8. `r4` = 2^15, `r5` is the right shift minus one, `r6` and `r7` are
/// the halves of the mantissa, `\round` is the rounding term. Overwrites `r1` to `r3`.
///
/// ```text
/// 2a = h 2^16 + l, m = g 2^16 + k:   2a m = h g 2^32 + (h k + l g) 2^16 + l k
/// ```
macro_rules! finish {
    () => {
        ".macro FERROLITE_FINISH round
        lsls r0, r0, #1
        uxth r1, r0
        asrs r0, r0, #16
        movs r2, r1
        muls r2, r6, r2
        lsrs r2, r2, #16
        movs r3, r0
        muls r3, r6, r3
        adds r2, r2, r3
        muls r0, r7, r0
        muls r1, r7, r1
        asrs r3, r2, #16
        adds r0, r0, r3
        uxth r2, r2
        adds r1, r1, r2
        adds r1, r1, r4
        lsrs r1, r1, #16
        adds r0, r0, r1
        asrs r1, r0, #31
        adds r0, r0, r1
        add r0, \\round
        asrs r0, r5
        asrs r0, r0, #1
        sxtb r1, r0
        cmp r1, r0
        beq 90f
        asrs r1, r0, #31
        movs r0, #127
        eors r0, r1
        90:
        .endm"
    };
}
pub(in crate::kernels) use finish;

/// The same for any accumulator and any multiplier: `r4` = 2^14, `r5` is the right shift minus one, or the complement of the
/// left shift; `\round` is the zero point.
///
/// ```text
/// a = h 2^16 + l, m = g 2^16 + k:   a m = h g 2^32 + (h k + l g) 2^16 + l k
/// ```
macro_rules! finish_general {
    () => {
        ".macro FERROLITE_FINISH round
        cmp r5, #0
        bge 91f
        mvns r1, r5
        lsls r0, r1
        91:
        uxth r1, r0
        asrs r0, r0, #16
        movs r2, r1
        muls r2, r6, r2
        lsrs r2, r2, #16
        movs r3, r0
        muls r3, r6, r3
        adds r2, r2, r3
        muls r0, r7, r0
        muls r1, r7, r1
        asrs r3, r2, #16
        adds r0, r0, r3
        uxth r2, r2
        adds r1, r1, r2
        adds r1, r1, r4
        lsls r0, r0, #1
        lsrs r1, r1, #15
        adds r0, r0, r1
        cmp r5, #0
        blt 92f
        asrs r1, r0, #31
        adds r0, r0, r1
        asrs r0, r5
        adds r0, r0, #1
        asrs r0, r0, #1
        92:
        add r0, \\round
        sxtb r1, r0
        cmp r1, r0
        beq 90f
        asrs r1, r0, #31
        movs r0, #127
        eors r0, r1
        90:
        .endm"
    };
}

/// Two pairs of pixels by all channels. In the loop, `r0` points into the tile and, plus the distance in
/// `r1`, into the weights; `r2` points to the next length; `r3` and `r4` are the sums of a chunk. `r8` to
/// `r11` are the pixels' accumulators, `r12` is the last element of the tile.
/// The list makes of the mantissa in `r6` and the shift in `r5` what `$finish` takes, in `r4` to `r7` and `r12`; `r1` is free.
macro_rules! products {
    ($name:ident, $doc:literal, $finish:ident, [$($multiplier:literal),* $(,)?]) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *const Products) {
            leaf!(
                [Products: tile, weights, lengths, bias, multipliers, out, channels, last, chunks, next_weights,
                     next_lengths, half, step, lanes, channel;
                 Multiplier: mantissa, shift],
                ".cpu cortex-m0",
                // Four products: an element of four pixels, and a weight. It takes 12 bytes of code, which the
                // computed jump relies on.
                ".macro FERROLITE_STEP",
                "ldrsb r7, [r1, r0]",
                "ldmia r0!, {{r5, r6}}",
                "muls r5, r7, r5",
                "adds r3, r3, r5",
                "muls r6, r7, r6",
                "adds r4, r4, r6",
                ".endm",
                $finish!(),
                ".macro FERROLITE_OUT acc, at",
                "mov r0, \\acc",
                "FERROLITE_FINISH r12",
                "ldr r1, [sp, #\\at]",
                "ldr r2, [sp, #{channel}]",
                "strb r0, [r1, r2]",
                ".endm",
                "push {{r4, r5, r6, r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "mov r6, r10",
                "mov r7, r11",
                "push {{r4, r5, r6, r7}}",
                // Stack: the arguments, 72 bytes.
                "sub sp, #72",
                "mov r1, sp",
                "ldmia r0!, {{r2, r3, r4, r5, r6, r7}}",
                "stmia r1!, {{r2, r3, r4, r5, r6, r7}}",
                "ldmia r0!, {{r2, r3, r4, r5, r6, r7}}",
                "stmia r1!, {{r2, r3, r4, r5, r6, r7}}",
                "ldmia r0!, {{r2, r3, r4, r5, r6, r7}}",
                "stmia r1!, {{r2, r3, r4, r5, r6, r7}}",
                "1:",
                "ldr r0, [sp, #{bias}]",
                "ldmia r0!, {{r1}}",
                "str r0, [sp, #{bias}]",
                "mov r8, r1",
                "mov r9, r1",
                "mov r10, r1",
                "mov r11, r1",
                "ldr r5, [sp, #{last}]",
                "ldr r0, [sp, #{tile}]",
                "ldr r1, [sp, #{weights}]",
                "ldr r2, [sp, #{lengths}]",
                "mov r12, r5",
                "subs r5, r5, r0",
                // A chunk: at most as many elements as remain. r5 is eight times the number of elements after the
                // first.
                "2:",
                "ldrb r7, [r2]",
                "adds r2, #1",
                "lsls r7, r7, #28",
                "lsrs r7, r7, #25",
                "cmp r7, r5",
                "bls 3f",
                "mov r7, r5",
                "3:",
                "lsrs r6, r7, #1",
                "adds r6, r6, r7",
                "adr r5, 4f",
                "subs r5, r5, r6",
                "ldrsb r7, [r1, r0]",
                "ldmia r0!, {{r3, r4}}",
                "muls r3, r7, r3",
                "muls r4, r7, r4",
                "mov pc, r5",
                ".p2align 2",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "FERROLITE_STEP",
                "4:",
                "sxth r5, r3",
                "add r8, r5",
                "subs r3, r3, r5",
                "asrs r3, r3, #16",
                "add r9, r3",
                "sxth r5, r4",
                "add r10, r5",
                "subs r4, r4, r5",
                "asrs r4, r4, #16",
                "add r11, r4",
                "mov r5, r12",
                "subs r5, r5, r0",
                "bpl 2b",
                "ldr r0, [sp, #{multipliers}]",
                "ldr r1, [sp, #{step}]",
                "ldr r6, [r0, #{mantissa}]",
                "ldr r5, [r0, #{shift}]",
                "adds r0, r0, r1",
                "str r0, [sp, #{multipliers}]",
                $($multiplier,)*
                // Missing pixels have the address of the last one, so the last one is written last.
                "FERROLITE_OUT r11, {out} + 12",
                "FERROLITE_OUT r10, {out} + 8",
                "FERROLITE_OUT r9, {out} + 4",
                "FERROLITE_OUT r8, {out}",
                "adds r2, #1",
                "str r2, [sp, #{channel}]",
                "ldr r1, [sp, #{weights}]",
                "ldr r2, [sp, #{lengths}]",
                "ldr r3, [sp, #{chunks}]",
                "adds r1, #1",
                "adds r2, r2, r3",
                "ldr r3, [sp, #{lanes}]",
                "subs r3, #1",
                "bne 5f",
                "movs r3, #8",
                "ldr r4, [sp, #{next_weights}]",
                "adds r1, r1, r4",
                "ldr r4, [sp, #{next_lengths}]",
                "adds r2, r2, r4",
                "5:",
                "str r3, [sp, #{lanes}]",
                "str r1, [sp, #{weights}]",
                "str r2, [sp, #{lengths}]",
                "ldr r3, [sp, #{channels}]",
                "subs r3, #1",
                "str r3, [sp, #{channels}]",
                "beq 6f",
                "b 1b",
                "6:",
                "add sp, #72",
                "pop {{r4, r5, r6, r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "pop {{r4, r5, r6, r7, pc}}",
                ".purgem FERROLITE_STEP",
                ".purgem FERROLITE_FINISH",
                ".purgem FERROLITE_OUT",
            )
        }
    };
}

products!(
    products,
    "For multipliers that shift to the right.",
    finish,
    [
        "mvns r5, r5",
        "ldr r1, [sp, #{half}]",
        "lsls r1, r5",
        "mov r12, r1",
        "lsrs r7, r6, #16",
        "uxth r6, r6",
        "movs r4, #128",
        "lsls r4, r4, #8",
    ]
);

products!(
    products_general,
    "For any multipliers.",
    finish_general,
    [
        "mvns r5, r5",
        "ldr r1, [sp, #{half}]",
        "asrs r1, r1, #1",
        "mov r12, r1",
        "lsrs r7, r6, #16",
        "uxth r6, r6",
        "movs r4, #128",
        "lsls r4, r4, #7",
    ]
);

/// Copies an image row into a ring row: a plane of bytes for each channel, with 128 added to each byte.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn planes(work: *const Planes) {
    naked_asm!(
        ".cpu cortex-m0",
        "push {{r4, r5, r6, r7, lr}}",
        // r0 source, r1 target, r2 channels, r7 padding; on the stack: planes, left, count, right
        "ldm r0, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
        "push {{r3, r4, r5, r6}}",
        "movs r6, #128",
        "1:",
        "ldr r3, [sp, #4]",
        "cmp r3, #0",
        "beq 3f",
        "2:",
        "strb r7, [r1]",
        "adds r1, #1",
        "subs r3, #1",
        "bne 2b",
        "3:",
        "ldr r3, [sp, #8]",
        "cmp r3, #0",
        "beq 5f",
        "movs r5, r0",
        "4:",
        "ldrb r4, [r5]",
        "adds r5, r5, r2",
        "eors r4, r6",
        "strb r4, [r1]",
        "adds r1, #1",
        "subs r3, #1",
        "bne 4b",
        "5:",
        "ldr r3, [sp, #12]",
        "cmp r3, #0",
        "beq 7f",
        "6:",
        "strb r7, [r1]",
        "adds r1, #1",
        "subs r3, #1",
        "bne 6b",
        "7:",
        "adds r0, #1",
        "ldr r3, [sp, #0]",
        "subs r3, #1",
        "str r3, [sp, #0]",
        "bne 1b",
        "add sp, #16",
        "pop {{r4, r5, r6, r7, pc}}",
    )
}

/// A row of a 3x3 depthwise convolution, plane by plane: four pixels at a time, in `r3` to `r6`, then pixel
/// by pixel. `r8` to `r11` are the halves of the mantissa, the right shift minus one and the rounding term;
/// `r12` is the offset in the planes.
macro_rules! depthwise_3x3 {
    ($name:ident, $stride:literal) => {
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *const Depthwise) {
            leaf!(
                [Depthwise: rows, bias, multipliers, out, channels, left, pixels, half, step, weights;
                 Multiplier: mantissa, shift],
                ".cpu cortex-m0",
                finish!(),
                // Stack: 0 arguments, 52 remaining pixels, 56 address of the output, 60 weights, 96 bias, 100
                // four accumulators.
                ".macro FERROLITE_WEIGHT k",
                "movs r2, #\\k",
                "ldrsb r2, [r1, r2]",
                "str r2, [sp, #60 + 4 * \\k]",
                "adds r3, r3, r2",
                ".endm",
                ".macro FERROLITE_PIXEL acc, at",
                "ldrb r7, [r0, #\\at]",
                "muls r7, r2, r7",
                "adds \\acc, \\acc, r7",
                ".endm",
                ".macro FERROLITE_TAP row, column",
                "ldr r2, [sp, #60 + 12 * \\row + 4 * \\column]",
                "FERROLITE_PIXEL r3, \\column",
                "FERROLITE_PIXEL r4, {stride} + \\column",
                "FERROLITE_PIXEL r5, 2 * {stride} + \\column",
                "FERROLITE_PIXEL r6, 3 * {stride} + \\column",
                ".endm",
                ".macro FERROLITE_ROW row",
                "ldr r0, [sp, #{rows} + 4 * \\row]",
                "add r0, r12",
                "FERROLITE_TAP \\row, 0",
                "FERROLITE_TAP \\row, 1",
                "FERROLITE_TAP \\row, 2",
                ".endm",
                ".macro FERROLITE_SINGLE row",
                "ldr r0, [sp, #{rows} + 4 * \\row]",
                "add r0, r12",
                "ldr r2, [sp, #60 + 12 * \\row]",
                "FERROLITE_PIXEL r3, 0",
                "ldr r2, [sp, #64 + 12 * \\row]",
                "FERROLITE_PIXEL r3, 1",
                "ldr r2, [sp, #68 + 12 * \\row]",
                "FERROLITE_PIXEL r3, 2",
                ".endm",
                "push {{r4, r5, r6, r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "mov r6, r10",
                "mov r7, r11",
                "push {{r4, r5, r6, r7}}",
                "sub sp, #116",
                "mov r1, sp",
                "ldmia r0!, {{r2, r3, r4, r5, r6, r7}}",
                "stmia r1!, {{r2, r3, r4, r5, r6, r7}}",
                "ldmia r0!, {{r2, r3, r4, r5, r6, r7}}",
                "stmia r1!, {{r2, r3, r4, r5, r6, r7}}",
                "ldmia r0!, {{r2}}",
                "stmia r1!, {{r2}}",
                "1:",
                "ldr r1, [sp, #{weights}]",
                "movs r3, #0",
                "FERROLITE_WEIGHT 0",
                "FERROLITE_WEIGHT 1",
                "FERROLITE_WEIGHT 2",
                "FERROLITE_WEIGHT 3",
                "FERROLITE_WEIGHT 4",
                "FERROLITE_WEIGHT 5",
                "FERROLITE_WEIGHT 6",
                "FERROLITE_WEIGHT 7",
                "FERROLITE_WEIGHT 8",
                "adds r1, #9",
                "str r1, [sp, #{weights}]",
                // The bias, minus the amount that the added 128 in each pixel contribute.
                "ldr r0, [sp, #{bias}]",
                "ldmia r0!, {{r1}}",
                "str r0, [sp, #{bias}]",
                "lsls r3, r3, #7",
                "subs r1, r1, r3",
                "str r1, [sp, #96]",
                "ldr r0, [sp, #{multipliers}]",
                "ldr r1, [r0, #{mantissa}]",
                "ldr r2, [r0, #{shift}]",
                "ldr r3, [sp, #{step}]",
                "adds r0, r0, r3",
                "str r0, [sp, #{multipliers}]",
                "lsrs r3, r1, #16",
                "uxth r1, r1",
                "mov r8, r1",
                "mov r9, r3",
                "mvns r2, r2",
                "mov r10, r2",
                "ldr r0, [sp, #{half}]",
                "lsls r0, r2",
                "mov r11, r0",
                "movs r0, #0",
                "mov r12, r0",
                "ldr r1, [sp, #{out}]",
                "str r1, [sp, #56]",
                "ldr r0, [sp, #{pixels}]",
                "str r0, [sp, #52]",
                "cmp r0, #4",
                "bge 2f",
                "b 5f",
                "2:",
                "ldr r3, [sp, #96]",
                "movs r4, r3",
                "movs r5, r3",
                "movs r6, r3",
                "FERROLITE_ROW 0",
                "FERROLITE_ROW 1",
                "FERROLITE_ROW 2",
                "add r0, sp, #100",
                "stmia r0!, {{r3, r4, r5, r6}}",
                "ldr r0, [sp, #100]",
                "bl 9f",
                "ldr r0, [sp, #104]",
                "bl 8f",
                "ldr r0, [sp, #108]",
                "bl 8f",
                "ldr r0, [sp, #112]",
                "bl 8f",
                "movs r0, #4 * {stride}",
                "add r12, r0",
                "ldr r0, [sp, #52]",
                "subs r0, #4",
                "str r0, [sp, #52]",
                "cmp r0, #4",
                "blt 5f",
                "b 2b",
                "5:",
                "cmp r0, #0",
                "beq 7f",
                "6:",
                "ldr r3, [sp, #96]",
                "FERROLITE_SINGLE 0",
                "FERROLITE_SINGLE 1",
                "FERROLITE_SINGLE 2",
                "movs r0, r3",
                "bl 9f",
                "movs r0, #{stride}",
                "add r12, r0",
                "ldr r0, [sp, #52]",
                "subs r0, #1",
                "str r0, [sp, #52]",
                "bne 6b",
                "7:",
                "mov r1, sp",
                "ldmia r1!, {{r0, r2, r3, r4}}",
                "adds r0, r0, r4",
                "adds r2, r2, r4",
                "adds r3, r3, r4",
                "mov r1, sp",
                "stmia r1!, {{r0, r2, r3}}",
                "ldr r0, [sp, #{out}]",
                "adds r0, #1",
                "str r0, [sp, #{out}]",
                "ldr r0, [sp, #{left}]",
                "subs r0, #1",
                "str r0, [sp, #{left}]",
                "beq 4f",
                "b 1b",
                "4:",
                "add sp, #116",
                "pop {{r4, r5, r6, r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "pop {{r4, r5, r6, r7, pc}}",
                // Turns the accumulator in r0 into the next output. At label 8, the multiplier is already
                // loaded.
                "9:",
                "mov r6, r8",
                "mov r7, r9",
                "mov r5, r10",
                "movs r4, #128",
                "lsls r4, r4, #8",
                "8:",
                "FERROLITE_FINISH r11",
                "ldr r1, [sp, #56]",
                "ldr r2, [sp, #{channels}]",
                "strb r0, [r1]",
                "adds r1, r1, r2",
                "str r1, [sp, #56]",
                "bx lr",
                ".purgem FERROLITE_FINISH",
                ".purgem FERROLITE_WEIGHT",
                ".purgem FERROLITE_PIXEL",
                ".purgem FERROLITE_TAP",
                ".purgem FERROLITE_ROW",
                ".purgem FERROLITE_SINGLE",
                stride = const $stride,
            )
        }
    };
}

depthwise_3x3!(depthwise_stride_1, 1);
depthwise_3x3!(depthwise_stride_2, 2);
