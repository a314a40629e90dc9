//! The leaves in assembly. `leaf.rs` calls them after it has checked all sizes.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

/// Elements that one iteration of the loops of [`products`] and [`dense`] processes.
pub(super) const UNROLLED: usize = 8;

in_order!(first 2 words of Multiplier: mantissa, shift);

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

/// Arguments of [`products`].
#[repr(C)]
pub(super) struct Products {
    pub tile: *const i32,
    pub weights: *const i8,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub out: [*mut i8; 4],
    /// Pairs of channels, at least 1.
    pub pairs: usize,
    /// End of the words of the tile that make whole blocks of [`UNROLLED`] elements.
    pub blocks_end: *const i32,
    /// End of the words of the tile.
    pub end: *const i32,
    pub half: i32,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
}

// The function reserves 13 words of stack for it.
const _: () = assert!(size_of::<Products>() == 52);
in_order!(4 words of Products: out);

/// Arguments of [`planes`].
#[repr(C)]
pub(super) struct Planes {
    pub source: *const i8,
    pub target: *mut i8,
    /// Bytes from one pixel to the next.
    pub channels: usize,
    /// Groups of four channels, at least 1.
    pub groups: usize,
    pub left: usize,
    pub count: usize,
    pub right: usize,
    pub padding: i32,
    /// Bytes of a plane.
    pub plane: usize,
}

in_order!(
    first 9 words of Planes: source, target, channels, groups, left, count, right, padding, plane
);

/// Arguments of [`depthwise_stride_1`] and [`depthwise_stride_2`].
#[repr(C)]
pub(super) struct Depthwise {
    /// The first channel's plane under each kernel row.
    pub rows: [*const i8; 3],
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

/// Loads lines of elements into a tile. The instructions in the list load each element from `r0`, and a
/// second pixel's from `r6`, to the word at `r1`.
macro_rules! enter {
    ($name:ident, $doc:literal, [$($element:literal),*]) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *const Enter) {
            naked_asm!(
                ".cpu cortex-m3",
                ".macro FERROLITE_ENTER at",
                $($element,)*
                ".endm",
                "push {{r4, r5, r6, r7, r8, lr}}",
                // r0 source, r1 target, r2 elements, r3 lines, r4 distance to the next line, r5 distance to
                // the second pixel
                "ldm r0, {{r0, r1, r2, r3, r4, r5}}",
                "subs r4, r4, r2",
                "1:",
                "adds r6, r0, r5",
                "subs r12, r2, #4",
                "blt 3f",
                "2:",
                "FERROLITE_ENTER 0",
                "FERROLITE_ENTER 1",
                "FERROLITE_ENTER 2",
                "FERROLITE_ENTER 3",
                "adds r0, #4",
                "adds r6, #4",
                "adds r1, #32",
                "subs r12, #4",
                "bge 2b",
                "3:",
                "adds r12, #4",
                "beq 5f",
                "4:",
                "FERROLITE_ENTER 0",
                "adds r0, #1",
                "adds r6, #1",
                "adds r1, #8",
                "subs r12, #1",
                "bne 4b",
                "5:",
                "add r0, r0, r4",
                "subs r3, #1",
                "bne 1b",
                "pop {{r4, r5, r6, r7, r8, pc}}",
                ".purgem FERROLITE_ENTER",
            )
        }
    };
}

enter!(enter_first, "Elements become words.", ["ldrsb r7, [r0, #\\at]", "str r7, [r1, #8 * \\at]"]);
enter!(
    enter_second,
    "Elements, times 2^23, are added to words.",
    [
        "ldrsb r7, [r0, #\\at]",
        "ldr r8, [r1, #8 * \\at]",
        "add r7, r8, r7, lsl #23",
        "str r7, [r1, #8 * \\at]"
    ]
);
enter!(
    enter_both,
    "Elements and those of a second pixel, times 2^23, become words.",
    ["ldrsb r7, [r0, #\\at]", "ldrsb r8, [r6, #\\at]", "add r7, r7, r8, lsl #23", "str r7, [r1, #8 * \\at]"]
);

/// What turns sums into outputs.
///
/// `FERROLITE_SPLIT` splits `lo:hi` into its two sums, doubled: the first one into `first`, the second one into `lo`. The
/// last bit that is shifted out is the first sum's sign, and so the borrow that must be added back to the second.
///
/// `FERROLITE_FINISH` turns a doubled accumulator into int8: r10 is the mantissa, r11 the right shift minus one, r12 the
/// rounding term.
macro_rules! outputs {
    () => {
        ".macro FERROLITE_SPLIT lo, hi, first
         lsl \\first, \\lo, #9
         lsrs \\lo, \\lo, #23
         adc \\lo, \\lo, \\hi, lsl #9
         asr \\first, \\first, #8
         lsl \\lo, \\lo, #1
         .endm
         .macro FERROLITE_FINISH a
         smull lr, \\a, \\a, r10
         add \\a, \\a, lr, lsr #31
         add \\a, \\a, \\a, asr #31
         add \\a, \\a, r12
         asr \\a, \\a, r11
         ssat \\a, #8, \\a, asr #1
         .endm"
    };
}

/// Two pairs of pixels by all pairs of channels. In the loop, `r2:r3` and `r4:r5` hold the pixels' sums of
/// the first channel, `r6:r7` and `r8:r9` those of the second one.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn products(work: *const Products) {
    leaf!(
        [Products: tile, weights, bias, multipliers, out, pairs, blocks_end, end, half, step;
         Multiplier: mantissa],
        ".cpu cortex-m3",
        // Eight products: an element of four pixels, and two weights.
        ".macro FERROLITE_STEP w",
        "ldmia r0!, {{r10, r11}}",
        "ldrsb r12, [r1, #\\w]",
        "ldrsb lr, [r1, #\\w + 1]",
        "smlal r2, r3, r10, r12",
        "smlal r4, r5, r11, r12",
        "smlal r6, r7, r10, lr",
        "smlal r8, r9, r11, lr",
        ".endm",
        outputs!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #52",
        "mov r12, sp",
        "ldmia r0!, {{r1, r2, r3, r4, r5, r6, r7}}",
        "stmia r12!, {{r1, r2, r3, r4, r5, r6, r7}}",
        "ldmia r0, {{r1, r2, r3, r4, r5, r6}}",
        "stmia r12, {{r1, r2, r3, r4, r5, r6}}",
        "ldr r1, [sp, #{weights}]",
        "1:",
        "ldr r12, [sp, #{bias}]",
        "movw lr, #1",
        "ldr r0, [sp, #{tile}]",
        "movt lr, #0x80",
        "ldmia r12!, {{r4, r8}}",
        "str r12, [sp, #{bias}]",
        "smull r2, r3, r4, lr",
        "smull r6, r7, r8, lr",
        "ldr r12, [sp, #{blocks_end}]",
        "mov r4, r2",
        "mov r5, r3",
        "mov r8, r6",
        "mov r9, r7",
        "cmp r0, r12",
        "beq 3f",
        ".p2align 2",
        "2:",
        "FERROLITE_STEP 0",
        "FERROLITE_STEP 2",
        "FERROLITE_STEP 4",
        "FERROLITE_STEP 6",
        "FERROLITE_STEP 8",
        "FERROLITE_STEP 10",
        "FERROLITE_STEP 12",
        "FERROLITE_STEP 14",
        "ldr r12, [sp, #{blocks_end}]",
        "adds r1, #16",
        "cmp r0, r12",
        "bne.w 2b",
        "3:",
        "ldr r12, [sp, #{end}]",
        "cmp r0, r12",
        "beq 5f",
        "4:",
        "FERROLITE_STEP 0",
        "ldr r12, [sp, #{end}]",
        "adds r1, #2",
        "cmp r0, r12",
        "bne 4b",
        "5:",
        "FERROLITE_SPLIT r2, r3, r0",
        "FERROLITE_SPLIT r4, r5, r3",
        "FERROLITE_SPLIT r6, r7, r5",
        "FERROLITE_SPLIT r8, r9, r7",
        "ldr r9, [sp, #{multipliers}]",
        "ldr r12, [sp, #{half}]",
        "ldr lr, [sp, #{step}]",
        "ldrd r10, r11, [r9, #{mantissa}]",
        "add r9, r9, lr",
        "mvn r11, r11",
        "lsl r12, r12, r11",
        "FERROLITE_FINISH r0",
        "FERROLITE_FINISH r2",
        "FERROLITE_FINISH r3",
        "FERROLITE_FINISH r4",
        "ldr r12, [sp, #{half}]",
        "ldr lr, [sp, #{step}]",
        "ldrd r10, r11, [r9, #{mantissa}]",
        "add r9, r9, lr",
        "mvn r11, r11",
        "str r9, [sp, #{multipliers}]",
        "lsl r12, r12, r11",
        "FERROLITE_FINISH r5",
        "FERROLITE_FINISH r6",
        "FERROLITE_FINISH r7",
        "FERROLITE_FINISH r8",
        "bfi r0, r5, #8, #8",
        "bfi r2, r6, #8, #8",
        "bfi r3, r7, #8, #8",
        "bfi r4, r8, #8, #8",
        "add r12, sp, #{out}",
        "ldm r12, {{r5, r6, r7, r8}}",
        // Missing pixels have the address of the last one, so the last one is written last.
        "strh r4, [r8], #2",
        "strh r3, [r7], #2",
        "strh r2, [r6], #2",
        "strh r0, [r5], #2",
        "stm r12, {{r5, r6, r7, r8}}",
        "ldr r12, [sp, #{pairs}]",
        "subs r12, r12, #1",
        "str r12, [sp, #{pairs}]",
        "bne.w 1b",
        "add sp, sp, #52",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_STEP",
        ".purgem FERROLITE_SPLIT",
        ".purgem FERROLITE_FINISH",
    )
}

/// The last channel of an odd number, whose weights lie side by side: two pairs of pixels, in `r2:r3` and `r4:r5`. The
/// arguments are those of one channel; r6 is their place.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn last(work: *const Products) {
    leaf!(
        [Products: tile, weights, bias, multipliers, out, blocks_end, end, half;
         Multiplier: mantissa],
        ".cpu cortex-m3",
        ".macro FERROLITE_STEP w",
        "ldmia r0!, {{r10, r11}}",
        "ldrsb r12, [r1, #\\w]",
        "smlal r2, r3, r10, r12",
        "smlal r4, r5, r11, r12",
        ".endm",
        outputs!(),
        "push {{r4, r5, r6, r7, r8, r10, r11, lr}}",
        "mov r6, r0",
        "ldr r4, [r6, #{bias}]",
        "ldr r0, [r6, #{tile}]",
        "ldr r1, [r6, #{weights}]",
        "ldr r7, [r6, #{blocks_end}]",
        "ldr r4, [r4]",
        "movw lr, #1",
        "movt lr, #0x80",
        "smull r2, r3, r4, lr",
        "mov r4, r2",
        "mov r5, r3",
        "cmp r0, r7",
        "beq 3f",
        ".p2align 2",
        "2:",
        "FERROLITE_STEP 0",
        "FERROLITE_STEP 1",
        "FERROLITE_STEP 2",
        "FERROLITE_STEP 3",
        "FERROLITE_STEP 4",
        "FERROLITE_STEP 5",
        "FERROLITE_STEP 6",
        "FERROLITE_STEP 7",
        "adds r1, #8",
        "cmp r0, r7",
        "bne 2b",
        "3:",
        "ldr r7, [r6, #{end}]",
        "cmp r0, r7",
        "beq 5f",
        "4:",
        "FERROLITE_STEP 0",
        "adds r1, #1",
        "cmp r0, r7",
        "bne 4b",
        "5:",
        "FERROLITE_SPLIT r2, r3, r0",
        "FERROLITE_SPLIT r4, r5, r3",
        "ldr r7, [r6, #{multipliers}]",
        "ldr r12, [r6, #{half}]",
        "ldrd r10, r11, [r7, #{mantissa}]",
        "mvn r11, r11",
        "lsl r12, r12, r11",
        "FERROLITE_FINISH r0",
        "FERROLITE_FINISH r2",
        "FERROLITE_FINISH r3",
        "FERROLITE_FINISH r4",
        "add r12, r6, #{out}",
        "ldm r12, {{r5, r6, r7, r8}}",
        // Missing pixels have the address of the last one, so the last one is written last.
        "strb r4, [r8]",
        "strb r3, [r7]",
        "strb r2, [r6]",
        "strb r0, [r5]",
        "pop {{r4, r5, r6, r7, r8, r10, r11, pc}}",
        ".purgem FERROLITE_STEP",
        ".purgem FERROLITE_SPLIT",
        ".purgem FERROLITE_FINISH",
    )
}

/// One row of `inputs` elements by `outputs` channels, four to a word. Both numbers are at least 1.
/// Multipliers are `step` bytes apart.
///
/// In the loop, `r2:r3` hold the sums of channels 0 and 1, `r4:r5` those of channels 2 and 3, `r6` is the
/// mask of a pair.
/// The words say how many bits an output has, by which instruction it is stored, and how many bytes it takes.
macro_rules! dense {
    ($name:ident, $Output:ty, $bits:literal, $store:literal, $size:literal) => {
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(
            input: *const i8,
            weights: *const u32,
            bias: *const i32,
            out: *mut $Output,
            multipliers: *const Multiplier,
            step: usize,
            half: i32,
            inputs: usize,
            outputs: usize,
        ) {
            leaf!(
                [Multiplier: mantissa],
                ".cpu cortex-m3",
                // Four products: the element in r11, and a word of weights.
                ".macro FERROLITE_WORD w",
                "and r12, r6, \\w",
                "and \\w, r6, \\w, ror #16",
                "smlal r2, r3, r12, r11",
                "smlal r4, r5, \\w, r11",
                ".endm",
                ".macro FERROLITE_FOUR x",
                "ldmia r1!, {{r7, r8, r9, r10}}",
                "ldrsb r11, [r0, #\\x]",
                "FERROLITE_WORD r7",
                "ldrsb r11, [r0, #\\x + 1]",
                "FERROLITE_WORD r8",
                "ldrsb r11, [r0, #\\x + 2]",
                "FERROLITE_WORD r9",
                "ldrsb r11, [r0, #\\x + 3]",
                "FERROLITE_WORD r10",
                ".endm",
                ".macro FERROLITE_SPLIT lo, hi, first",
                "lsl \\first, \\lo, #8",
                "lsrs \\lo, \\lo, #24",
                "adc \\lo, \\lo, \\hi, lsl #8",
                "asr \\first, \\first, #7",
                "lsl \\lo, \\lo, #1",
                ".endm",
                // Loads the multiplier at r9 for the next output; r3 is `half`.
                ".macro FERROLITE_MULTIPLIER",
                "ldrd r10, r11, [r9, #{mantissa}]",
                "mvn r11, r11",
                "lsl lr, r3, r11",
                ".endm",
                // Turns a doubled accumulator into the next output, at r0. The flags say whether it is the last one.
                ".macro FERROLITE_FINISH a",
                "smull r5, \\a, \\a, r10",
                "subs r6, #1",
                "add \\a, \\a, r5, lsr #31",
                "add \\a, \\a, \\a, asr #31",
                "add \\a, \\a, lr",
                "asr \\a, \\a, r11",
                concat!("ssat \\a, #", $bits, ", \\a, asr #1"),
                concat!($store, " \\a, [r0], #", $size),
                ".endm",
                // The same, with the output's own multiplier.
                ".macro FERROLITE_OWN a",
                "FERROLITE_MULTIPLIER",
                "adds r9, #{multiplier}",
                "FERROLITE_FINISH \\a",
                ".endm",
                "push {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "sub sp, sp, #8",
                // On the stack: 0 end of the input's blocks of 8, 4 correction for the 128 that is added to the
                // weights of even channels, 8 input, 12 its end, 16 biases, 20 output; 60 multipliers, 64 step, 68
                // half, 72 elements, 76 remaining channels
                "ldr r2, [sp, #72]",
                "movs r5, #0",
                "add r4, r0, r2",
                "bic r3, r2, #7",
                "bic r6, r2, #3",
                "add r3, r0",
                "add r6, r0",
                "str r3, [sp, #0]",
                "str r4, [sp, #12]",
                "cmp r0, r6",
                "beq 11f",
                "10:",
                "ldrsb r7, [r0]",
                "ldrsb r8, [r0, #1]",
                "ldrsb r9, [r0, #2]",
                "ldrsb r10, [r0, #3]",
                "adds r0, #4",
                "add r5, r7",
                "add r5, r8",
                "add r5, r9",
                "add r5, r10",
                "cmp r0, r6",
                "bne 10b",
                "11:",
                "cmp r0, r4",
                "beq 13f",
                "12:",
                "ldrsb r7, [r0], #1",
                "add r5, r7",
                "cmp r0, r4",
                "bne 12b",
                "13:",
                "rsbs r5, r5, #0",
                "lsls r5, r5, #7",
                "str r5, [sp, #4]",
                "1:",
                "ldr r0, [sp, #76]",
                "ldr r12, [sp, #16]",
                "ldr r11, [sp, #4]",
                "movw r6, #0x00FF",
                "movt r6, #0xFF00",
                "cmp r0, #4",
                "blt.w 6f",
                "ldmia r12!, {{r7, r8, r9, r10}}",
                "str r12, [sp, #16]",
                "0:",
                "add r7, r7, r11",
                "add r9, r9, r11",
                "adds r2, r7, r8, lsl #24",
                "asr r3, r7, #31",
                "adc r3, r3, r8, asr #8",
                "adds r4, r9, r10, lsl #24",
                "asr r5, r9, #31",
                "adc r5, r5, r10, asr #8",
                "ldr r0, [sp, #8]",
                "ldr lr, [sp, #0]",
                "cmp r0, lr",
                "beq 3f",
                ".p2align 2",
                "2:",
                "FERROLITE_FOUR 0",
                "FERROLITE_FOUR 4",
                "adds r0, #8",
                "cmp r0, lr",
                "bne 2b",
                "3:",
                "ldr lr, [sp, #12]",
                "subs r11, lr, r0",
                "cmp r11, #4",
                "blt 8f",
                "FERROLITE_FOUR 0",
                "adds r0, #4",
                "8:",
                "cmp r0, lr",
                "beq 5f",
                "4:",
                "ldr r7, [r1], #4",
                "ldrsb r11, [r0], #1",
                "FERROLITE_WORD r7",
                "cmp r0, lr",
                "bne 4b",
                "5:",
                "FERROLITE_SPLIT r2, r3, r7",
                "FERROLITE_SPLIT r4, r5, r8",
                "ldr r0, [sp, #20]",
                "ldr r3, [sp, #68]",
                "ldr r9, [sp, #60]",
                "ldr r12, [sp, #64]",
                "ldr r6, [sp, #76]",
                "cmp r12, #0",
                "bne 9f",
                "FERROLITE_MULTIPLIER",
                "FERROLITE_FINISH r7",
                "beq 7f",
                "FERROLITE_FINISH r2",
                "beq 7f",
                "FERROLITE_FINISH r8",
                "beq 7f",
                "FERROLITE_FINISH r4",
                "str r0, [sp, #20]",
                "str r6, [sp, #76]",
                "bne.w 1b",
                "b 7f",
                "9:",
                "FERROLITE_OWN r7",
                "beq 7f",
                "FERROLITE_OWN r2",
                "beq 7f",
                "FERROLITE_OWN r8",
                "beq 7f",
                "FERROLITE_OWN r4",
                "str r0, [sp, #20]",
                "str r9, [sp, #60]",
                "str r6, [sp, #76]",
                "bne.w 1b",
                "7:",
                "add sp, sp, #24",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
                // Loads the biases of the last one to three channels.
                "6:",
                "ldr r7, [r12]",
                "mov r8, #0",
                "mov r9, #0",
                "mov r10, #0",
                "cmp r0, #1",
                "beq.w 0b",
                "ldr r8, [r12, #4]",
                "cmp r0, #2",
                "beq.w 0b",
                "ldr r9, [r12, #8]",
                "b.w 0b",
                ".purgem FERROLITE_WORD",
                ".purgem FERROLITE_FOUR",
                ".purgem FERROLITE_SPLIT",
                ".purgem FERROLITE_FINISH",
                ".purgem FERROLITE_OWN",
                ".purgem FERROLITE_MULTIPLIER",
                multiplier = const size_of::<Multiplier>(),
            )
        }
    };
}

dense!(dense, i8, "8", "strb", "1");
dense!(dense_int16, i16, "16", "strh", "2");

/// Copies an image row into a ring row: a plane of bytes for each channel, four planes at a time.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn planes(work: *const Planes) {
    naked_asm!(
        ".cpu cortex-m3",
        ".macro FERROLITE_PAD",
        "strb r7, [r1], #1",
        "strb r7, [r9], #1",
        "strb r7, [r10], #1",
        "strb r7, [r11], #1",
        "subs r12, #1",
        ".endm",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // r0 source, r1 target, r2 channels, r3 groups, r4 left, r5 count, r6 right, r7 padding, r8 plane
        "ldm r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}",
        "1:",
        "add r9, r1, r8",
        "add r10, r9, r8",
        "add r11, r10, r8",
        "movs r12, r4",
        "beq 3f",
        "2:",
        "FERROLITE_PAD",
        "bne 2b",
        "3:",
        "movs r12, r5",
        "beq 5f",
        "4:",
        "ldr lr, [r0]",
        "add r0, r0, r2",
        "strb lr, [r1], #1",
        "lsr lr, lr, #8",
        "strb lr, [r9], #1",
        "lsr lr, lr, #8",
        "strb lr, [r10], #1",
        "lsr lr, lr, #8",
        "strb lr, [r11], #1",
        "subs r12, #1",
        "bne 4b",
        "mls r0, r5, r2, r0",
        "5:",
        "movs r12, r6",
        "beq 7f",
        "6:",
        "FERROLITE_PAD",
        "bne 6b",
        "7:",
        "mov r1, r11",
        "adds r0, #4",
        "subs r3, #1",
        "bne 1b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_PAD",
    )
}

/// A row of a 3x3 depthwise convolution, plane by plane: four pixels at a time in `r2..r5`, while at least
/// three remain, then pixel by pixel. `lr` is the offset in the planes, `r1` points to the weights.
macro_rules! depthwise_3x3 {
    ($name:ident, $stride:literal, [$($products:literal),*]) => {
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *const Depthwise) {
            leaf!(
                [Depthwise: rows, bias, multipliers, out, channels, left, pixels, half, step, weights;
                 Multiplier: mantissa, shift],
                ".cpu cortex-m3",
                // Stack: 0 arguments, 52 remaining pixels, 56 address of the output, 60 mantissa, right shift
                // minus one, rounding term and bias of the channel.
                ".macro FERROLITE_WEIGHTS row",
                "ldr r0, [sp, #{rows} + 4 * \\row]",
                "ldrsb r6, [r1, #3 * \\row]",
                "ldrsb r7, [r1, #3 * \\row + 1]",
                "ldrsb r8, [r1, #3 * \\row + 2]",
                "add r0, r0, lr",
                ".endm",
                ".macro FERROLITE_ROW row",
                "FERROLITE_WEIGHTS \\row",
                $($products,)*
                ".endm",
                ".macro FERROLITE_SINGLE row",
                "FERROLITE_WEIGHTS \\row",
                "ldrsb r9, [r0]",
                "ldrsb r10, [r0, #1]",
                "ldrsb r11, [r0, #2]",
                "mla r2, r9, r6, r2",
                "mla r2, r10, r7, r2",
                "mla r2, r11, r8, r2",
                ".endm",
                ".macro FERROLITE_FINISH a",
                "lsl \\a, \\a, #1",
                "smull r12, \\a, \\a, r6",
                "add \\a, \\a, r12, lsr #31",
                "add \\a, \\a, \\a, asr #31",
                "add \\a, \\a, r8",
                "asr \\a, \\a, r7",
                "ssat \\a, #8, \\a, asr #1",
                ".endm",
                "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "sub sp, sp, #76",
                "mov r12, sp",
                "ldmia r0!, {{r1, r2, r3, r4, r5, r6, r7}}",
                "stmia r12!, {{r1, r2, r3, r4, r5, r6, r7}}",
                "ldmia r0, {{r1, r2, r3, r4, r5, r6}}",
                "stmia r12, {{r1, r2, r3, r4, r5, r6}}",
                "ldr r1, [sp, #{weights}]",
                "1:",
                // Bias and multiplier of the channel.
                "ldr r0, [sp, #{bias}]",
                "ldr r2, [sp, #{multipliers}]",
                "ldr r3, [sp, #{step}]",
                "ldr r4, [r0], #4",
                "ldr r5, [r2, #{mantissa}]",
                "ldr r6, [r2, #{shift}]",
                "add r2, r2, r3",
                "str r0, [sp, #{bias}]",
                "str r2, [sp, #{multipliers}]",
                "ldr r0, [sp, #{half}]",
                "ldr r2, [sp, #{out}]",
                "mvn r6, r6",
                "lsl r0, r0, r6",
                "str r2, [sp, #56]",
                "ldr r12, [sp, #{pixels}]",
                "strd r5, r6, [sp, #60]",
                "strd r0, r4, [sp, #68]",
                "mov lr, #0",
                "str r12, [sp, #52]",
                "cmp r12, #3",
                "blt.w 6f",
                ".p2align 2",
                "5:",
                "ldr r2, [sp, #72]",
                "mov r3, r2",
                "mov r4, r2",
                "mov r5, r2",
                "FERROLITE_ROW 0",
                "FERROLITE_ROW 1",
                "FERROLITE_ROW 2",
                "add r8, sp, #60",
                "ldm r8, {{r6, r7, r8}}",
                "FERROLITE_FINISH r2",
                "FERROLITE_FINISH r3",
                "FERROLITE_FINISH r4",
                "FERROLITE_FINISH r5",
                "ldr r0, [sp, #56]",
                "ldr r9, [sp, #{channels}]",
                "ldr r12, [sp, #52]",
                "add lr, lr, #4 * {stride}",
                "strb r2, [r0]",
                "strb r3, [r0, r9]",
                "add r10, r0, r9, lsl #1",
                "subs r12, r12, #4",
                "strb r4, [r10]",
                "it ge",
                "strbge r5, [r10, r9]",
                "add r0, r10, r9, lsl #1",
                "str r0, [sp, #56]",
                "str r12, [sp, #52]",
                "cmp r12, #3",
                "bge.w 5b",
                "6:",
                "cmp r12, #0",
                "ble.w 8f",
                "7:",
                "ldr r2, [sp, #72]",
                "FERROLITE_SINGLE 0",
                "FERROLITE_SINGLE 1",
                "FERROLITE_SINGLE 2",
                "add r8, sp, #60",
                "ldm r8, {{r6, r7, r8}}",
                "FERROLITE_FINISH r2",
                "ldr r0, [sp, #56]",
                "ldr r9, [sp, #{channels}]",
                "ldr r12, [sp, #52]",
                "add lr, lr, #{stride}",
                "strb r2, [r0]",
                "add r0, r0, r9",
                "str r0, [sp, #56]",
                "subs r12, r12, #1",
                "str r12, [sp, #52]",
                "bne.w 7b",
                "8:",
                "ldm sp, {{r2, r3, r4, r5}}",
                "ldr r6, [sp, #{out}]",
                "ldr r7, [sp, #{left}]",
                "add r2, r2, r5",
                "add r3, r3, r5",
                "add r4, r4, r5",
                "stm sp, {{r2, r3, r4}}",
                "adds r6, #1",
                "str r6, [sp, #{out}]",
                "adds r1, #9",
                "subs r7, #1",
                "str r7, [sp, #{left}]",
                "bne.w 1b",
                "add sp, sp, #76",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
                ".purgem FERROLITE_WEIGHTS",
                ".purgem FERROLITE_ROW",
                ".purgem FERROLITE_SINGLE",
                ".purgem FERROLITE_FINISH",
                stride = const $stride,
            )
        }
    };
}

depthwise_3x3!(
    depthwise_stride_1,
    1,
    [
        "ldrsb r9, [r0]",
        "ldrsb r10, [r0, #1]",
        "ldrsb r11, [r0, #2]",
        "mla r2, r9, r6, r2",
        "mla r2, r10, r7, r2",
        "mla r3, r10, r6, r3",
        "ldrsb r9, [r0, #3]",
        "ldrsb r10, [r0, #4]",
        "mla r2, r11, r8, r2",
        "mla r3, r11, r7, r3",
        "mla r4, r11, r6, r4",
        "ldrsb r11, [r0, #5]",
        "mla r3, r9, r8, r3",
        "mla r4, r9, r7, r4",
        "mla r5, r9, r6, r5",
        "mla r4, r10, r8, r4",
        "mla r5, r10, r7, r5",
        "mla r5, r11, r8, r5"
    ]
);

depthwise_3x3!(
    depthwise_stride_2,
    2,
    [
        "ldrsb r9, [r0]",
        "ldrsb r10, [r0, #1]",
        "ldrsb r11, [r0, #2]",
        "mla r2, r9, r6, r2",
        "mla r2, r10, r7, r2",
        "ldrsb r9, [r0, #3]",
        "ldrsb r10, [r0, #4]",
        "mla r2, r11, r8, r2",
        "mla r3, r11, r6, r3",
        "ldrsb r11, [r0, #5]",
        "mla r3, r9, r7, r3",
        "ldrsb r9, [r0, #6]",
        "mla r3, r10, r8, r3",
        "mla r4, r10, r6, r4",
        "ldrsb r10, [r0, #7]",
        "mla r4, r11, r7, r4",
        "ldrsb r11, [r0, #8]",
        "mla r4, r9, r8, r4",
        "mla r5, r9, r6, r5",
        "mla r5, r10, r7, r5",
        "mla r5, r11, r8, r5"
    ]
);
