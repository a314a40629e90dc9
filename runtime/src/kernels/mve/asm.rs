//! The leaves in assembly. `leaf.rs` calls them after it has checked all sizes.
//!
//! VMLADAVA needs its sum in an even register, so sums are in `r0, r2 … lr` and pointers in `r1, r3 … r11`.
//! With link-time optimisation, the assembler does not know `-C target-cpu`, so each function states it
//! again.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

// Those of a quad of channels are loaded by one instruction.
in_order!(first 2 words of Multiplier: mantissa, shift);
const _: () = assert!(size_of::<Multiplier>() == 8);

/// Arguments of [`load`].
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Load {
    pub source: *const i8,
    pub target: *mut u8,
    /// Patches, at least 1.
    pub lanes: usize,
    /// Bytes from one patch to the next in the source.
    pub step: usize,
    /// Lines, at least 1.
    pub lines: usize,
    /// Bytes from one line to the next in the source.
    pub pitch: usize,
    /// Bytes of a line, at least 1.
    pub line: usize,
    /// Bytes of a patch in the tile.
    pub depth: usize,
}

in_order!(first 8 words of Load: source, target, lanes, step, lines, pitch, line, depth);

/// Arguments of [`quads`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct Quads {
    pub patches: [*const u8; 4],
    /// Vectors of a patch after the first one.
    pub more: usize,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    /// Bytes from the multipliers of a quad to those of the next.
    pub step: usize,
    pub zero_point: i32,
    /// Not 0 if the addresses are not multiples of 4.
    pub unaligned: usize,
    /// Quads of channels, at least 1.
    pub quads: usize,
    pub out: *mut i8,
    /// Bytes from the first pixel's address to each pixel's.
    pub offsets: [usize; 4],
    /// Pixels that count.
    pub pixels: usize,
    pub weights: *const u8,
    /// Bytes from the end of a quad's first two channels to the start of its other two.
    pub back: usize,
}

// The function reserves 20 words of stack and copies 19.
const _: () = assert!(size_of::<Quads>() == 76);
in_order!(first 4 words of Quads: patches);
in_order!(2 words of Quads: bias, multipliers);
in_order!(4 words of Quads: zero_point, unaligned, quads, out);
in_order!(4 words of Quads: offsets);
in_order!(2 words of Quads: pixels, weights);

/// Arguments of [`dense`], in the order of its registers.
#[repr(C)]
pub(super) struct Dense {
    pub weights: *const u8,
    pub input: *const i8,
    pub out: *mut i8,
    pub bias: *const i32,
    pub zero_point: i32,
    pub multipliers: *const Multiplier,
    /// Elements of the input, at least 1.
    pub inputs: usize,
    /// Bytes from the multipliers of a quad to those of the next.
    pub step: usize,
    /// End of the biases; there is at least one quad.
    pub bias_end: *const i32,
}

in_order!(first 8 words of Dense: weights, input, out, bias, zero_point, multipliers, inputs, step);

/// Arguments of [`spread`], in the order of its registers.
#[repr(C)]
pub(super) struct Spread {
    pub source: *const i8,
    /// The first channel's byte of the first column.
    pub target: *mut u8,
    /// Elements of a pixel, at least 1.
    pub channels: usize,
    /// Bytes of a plane, at most 65535 / 7.
    pub plane: usize,
    /// Bytes of a column.
    pub column: usize,
    pub left: usize,
    pub pixels: usize,
    pub right: usize,
    pub padding: i32,
}

in_order!(
    first 9 words of Spread: source, target, channels, plane, column, left, pixels, right, padding
);

/// Arguments of [`depthwise_3x3`]; the first seven are in the order of its registers.
#[repr(C)]
pub(super) struct Depthwise {
    pub weights: *const u8,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub plane: *const u8,
    pub out: *mut i8,
    /// Bytes of a plane.
    pub pitch: usize,
    /// Bytes from the multipliers of a quad to those of the next.
    pub step: usize,
    /// Quads of channels, at least 1.
    pub quads: usize,
    /// Bytes from one pixel of the output to the next.
    pub channels: usize,
    pub zero_point: i32,
    /// Pixels, at least 1.
    pub pixels: usize,
    /// Not 0 for a stride of 2.
    pub two: usize,
    /// For each byte of a window, the index of its weight among the channel's.
    pub offsets: [u8; 16],
}

in_order!(first 7 words of Depthwise: weights, bias, multipliers, plane, out, pitch, step);
in_order!(2 words of Depthwise: channels, zero_point);
in_order!(2 words of Depthwise: pixels, two);
in_order!(4 words of Depthwise: offsets);

/// Arguments of [`depthwise`].
#[repr(C)]
pub(super) struct AnyDepthwise {
    pub plane: *const u8,
    /// Bytes of a plane.
    pub pitch: usize,
    pub weights: *const u8,
    /// Bytes of a window and of a channel's weights, at least 1.
    pub taps: usize,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    /// Bytes from the multipliers of a quad to those of the next.
    pub step: usize,
    pub out: *mut i8,
    /// Bytes from one pixel of the output to the next.
    pub channels: usize,
    pub zero_point: i32,
    /// Bytes from the end of the vectors of a window back to the next window; negative for large strides.
    pub back: usize,
    /// For each byte of a window, the index of its weight among the channel's.
    pub offsets: *const u8,
    /// Pixels, at least 1.
    pub pixels: usize,
    /// Quads of channels, at least 1.
    pub quads: usize,
    /// Remaining pixels, for the function's own use.
    pub left: usize,
    /// Address of the next pixel, for the function's own use.
    pub place: *mut i8,
}

in_order!(2 words of AnyDepthwise: plane, pitch);
in_order!(2 words of AnyDepthwise: weights, taps);
in_order!(2 words of AnyDepthwise: multipliers, step);
in_order!(2 words of AnyDepthwise: zero_point, back);
in_order!(2 words of AnyDepthwise: left, place);

/// Arguments of [`add`]; the first thirteen words are in the order of its registers.
#[repr(C)]
pub(super) struct Add {
    pub a: *const i8,
    pub b: *const i8,
    pub out: *mut i8,
    /// `- zero_point * 2^20` of both operands.
    pub zeroes: [i32; 2],
    pub mantissas: [i32; 2],
    /// 1 if there is a second rounding.
    pub roundings: [i32; 2],
    pub shift_a: i32,
    /// Factor of the second operand.
    pub sign: i32,
    pub rounding: i32,
    pub zero_point: i32,
    /// Elements, at least 1.
    pub len: usize,
    pub shift_b: i32,
    pub multiplier: Multiplier,
    pub min: i32,
    pub max: i32,
}

in_order!(
    first 13 words of Add: a, b, out, zeroes, mantissas, roundings, shift_a, sign, rounding, zero_point
);
in_order!(6 words of Add: len, shift_b, multiplier, min, max);

/// Arguments of [`mul`], in the order of its registers.
#[repr(C)]
pub(super) struct Mul {
    pub a: *const i8,
    pub b: *const i8,
    pub out: *mut i8,
    pub zero_points: [i32; 2],
    pub multiplier: Multiplier,
    pub rounding: i32,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
    /// Elements, at least 1.
    pub len: usize,
}

in_order!(
    first 12 words of Mul: a, b, out, zero_points, multiplier, rounding, zero_point, min, max, len
);

/// Arguments of [`average_pool`], in the order of its registers. All sizes are at least 1.
#[repr(C)]
pub(super) struct Average {
    pub out: *mut i8,
    pub width: usize,
    pub channels: usize,
    pub max: i32,
    pub height: usize,
    pub stride: usize,
    pub half: i32,
    /// 2^32 divided by the number of cells, rounded up.
    pub reciprocal: u32,
    pub min: i32,
    pub image: *const i8,
}

in_order!(
    first 10 words of Average: out, width, channels, max, height, stride, half, reciprocal, min, image
);

/// Arguments of [`max_pool`], in the order of its registers. All sizes are at least 1.
#[repr(C)]
pub(super) struct Largest {
    pub out: *mut i8,
    pub width: usize,
    pub channels: usize,
    pub height: usize,
    pub stride: usize,
    pub min: i32,
    pub max: i32,
    pub image: *const i8,
}

in_order!(first 8 words of Largest: out, width, channels, height, stride, min, max, image);

/// Loads lines of patches into a tile.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn load(work: *const Load) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // r0 source, r1 target, r2 lanes, r3 step, r4 lines, r5 pitch, r6 line, r7 depth
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
        "cmp r6, #16",
        "bhi 4f",
        "vctp.8 r6",
        "1:",
        "mov r8, r0",
        "mov r9, r1",
        "dls lr, r4",
        "2:",
        "vpstt",
        "vldrbt.u8 q0, [r8]",
        "vstrbt.8 q0, [r9]",
        "add r8, r8, r5",
        "add r9, r9, r6",
        "le lr, 2b",
        "add r0, r0, r3",
        "add r1, r1, r7",
        "subs r2, r2, #1",
        "bne 1b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        "4:",
        "mov r8, r0",
        "mov r9, r1",
        "mov r10, r4",
        "5:",
        "mov r11, r8",
        "mov r12, r9",
        "dlstp.8 lr, r6",
        "6:",
        "vldrb.u8 q0, [r11], #16",
        "vstrb.8 q0, [r12], #16",
        "letp lr, 6b",
        "add r8, r8, r5",
        "add r9, r9, r6",
        "subs r10, r10, #1",
        "bne 5b",
        "add r0, r0, r3",
        "add r1, r1, r7",
        "subs r2, r2, #1",
        "bne 4b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Four pixels by quads of channels, as two passes of four pixels by two channels. In a pass, `r0, r2, r4,
/// r6` hold the first channel's sums and `r8, r10, r12, lr` the second one's. The list scales sums down: those of the
/// channels are in `q6, q7, q0, q1`, their mantissas in `r0, r4, r8, r12` and their shifts in `r2, r6, r10, lr`. It
/// leaves 16 bits of channels 0 and 2 in `q2`, of 1 and 3 in `q3`, and four arguments from the zero point on in `r3,
/// r5, r7, r11`.
macro_rules! quads {
    ($name:ident, $doc:literal, [$($scale:literal),* $(,)?]) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *const Quads) {
            leaf!(
                [Quads: more, bias, step, zero_point, quads, offsets, pixels, back],
                ".cpu cortex-m55",
                // 128 products; `a` is empty for the first ones, which do not add to earlier sums.
                ".macro FERROLITE_STEP a",
                "vldrw.u32 q4, [r1], #64",
                "vldrw.u32 q0, [r3], #16",
                "vmladav\\a\\().s8 r0, q0, q4",
                "vldrw.u32 q1, [r5], #16",
                "vmladav\\a\\().s8 r2, q1, q4",
                "vldrw.u32 q2, [r7], #16",
                "vmladav\\a\\().s8 r4, q2, q4",
                "vldrw.u32 q3, [r9], #16",
                "vmladav\\a\\().s8 r6, q3, q4",
                "vldrw.u32 q5, [r1, #-48]",
                "vmladav\\a\\().s8 r8, q0, q5",
                "vmladav\\a\\().s8 r10, q1, q5",
                "vmladav\\a\\().s8 r12, q2, q5",
                "vmladav\\a\\().s8 lr, q3, q5",
                ".endm",
                // Computes two channels of four pixels into two vectors.
                ".macro FERROLITE_PASS x, y",
                "ldm.w sp, {{r3, r5, r7, r9}}",
                "ldr.w r11, [sp, #{more}]",
                "FERROLITE_STEP",
                // The remaining steps: one if their number is odd, then two at a time. Vector instructions do not
                // change the flags.
                "lsrs.w r11, r11, #1",
                "bcc 2f",
                "FERROLITE_STEP a",
                "2:",
                "beq 4f",
                "3:",
                "FERROLITE_STEP a",
                "FERROLITE_STEP a",
                "subs.w r11, r11, #1",
                "bne 3b",
                "4:",
                "vmov \\x[2], \\x[0], r0, r4",
                "vmov \\x[3], \\x[1], r2, r6",
                "vmov \\y[2], \\y[0], r8, r12",
                "vmov \\y[3], \\y[1], r10, lr",
                ".endm",
                "push {{r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
                // The arguments are on the stack, in their own order.
                "sub sp, sp, #80",
                "mov r12, sp",
                "ldmia.w r0!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                "stmia.w r12!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                "ldmia.w r0, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10}}",
                "stmia.w r12, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10}}",
                "ldrd r2, r1, [sp, #{pixels}]",
                "vctp.32 r2",
                "1:",
                "FERROLITE_PASS q6, q7",
                "ldr r3, [sp, #{back}]",
                "subs r1, r1, r3",
                "FERROLITE_PASS q0, q1",
                "subs r1, #32",
                // Each vector holds a channel's four pixels, so scalars scale it down.
                "ldrd r3, r5, [sp, #{bias}]",
                "ldr r7, [sp, #{step}]",
                "ldm r3!, {{r0, r2, r4, r6}}",
                "vadd.i32 q6, q6, r0",
                "vadd.i32 q7, q7, r2",
                "vadd.i32 q0, q0, r4",
                "vadd.i32 q1, q1, r6",
                "ldm.w r5, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
                "add r5, r5, r7",
                "strd r3, r5, [sp, #{bias}]",
                $($scale,)*
                "vqmovnb.s16 q2, q2",
                "vqmovnt.s16 q2, q3",
                "vldrw.u32 q0, [sp, #{offsets}]",
                "cbnz r5, 6f",
                "vpst",
                "vstrwt.32 q2, [r11, q0]",
                "add.w r11, r11, #4",
                "5:",
                "subs r7, r7, #1",
                "strd r7, r11, [sp, #{quads}]",
                "bne 1b",
                "add sp, sp, #80",
                "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
                "pop {{r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
                "6:",
                "movs r5, #4",
                "7:",
                "vpst",
                "vstrbt.32 q2, [r11, q0]",
                "vshr.u32 q2, q2, #8",
                "add.w r11, r11, #1",
                "subs r5, r5, #1",
                "bne 7b",
                "b 5b",
                ".purgem FERROLITE_STEP",
                ".purgem FERROLITE_PASS",
            )
        }
    };
}

quads!(
    quads,
    "For multipliers that shift to the right.",
    [
        "movs r7, #1",
        "vqrdmulh.s32 q6, q6, r0",
        "vqrdmulh.s32 q7, q7, r4",
        "vqrdmulh.s32 q0, q0, r8",
        "vqrdmulh.s32 q1, q1, r12",
        "vqdmlah.s32 q6, q6, r7",
        "vqdmlah.s32 q7, q7, r7",
        "vqdmlah.s32 q0, q0, r7",
        "vqdmlah.s32 q1, q1, r7",
        "vrshl.s32 q6, r2",
        "vrshl.s32 q7, r6",
        "vrshl.s32 q0, r10",
        "vrshl.s32 q1, lr",
        "add r0, sp, #{zero_point}",
        "ldm.w r0, {{r3, r5, r7, r11}}",
        // Narrows them so that each word holds the four channels of a pixel.
        "vqmovnb.s32 q2, q6",
        "vqmovnt.s32 q2, q0",
        "vqmovnb.s32 q3, q7",
        "vqmovnt.s32 q3, q1",
        "vqadd.s16 q2, q2, r3",
        "vqadd.s16 q3, q3, r3",
    ]
);

quads!(
    quads_general,
    "For any multipliers.",
    [
        // To the left by `r5`, and to the right by `s`; negative numbers lose 1 where that is not 0.
        ".macro FERROLITE_SCALE x, m, s",
        "asr.w r3, \\s, #31",
        "bic.w r5, \\s, r3",
        "and.w \\s, \\s, r3",
        "lsr.w r3, r3, #31",
        "vshl.s32 \\x, r5",
        "vqrdmulh.s32 \\x, \\x, \\m",
        "vqdmlah.s32 \\x, \\x, r3",
        "vrshl.s32 \\x, \\s",
        ".endm",
        "FERROLITE_SCALE q6, r0, r2",
        "FERROLITE_SCALE q7, r4, r6",
        "FERROLITE_SCALE q0, r8, r10",
        "FERROLITE_SCALE q1, r12, lr",
        ".purgem FERROLITE_SCALE",
        "add r0, sp, #{zero_point}",
        "ldm.w r0, {{r3, r5, r7, r11}}",
        "vadd.i32 q6, q6, r3",
        "vadd.i32 q7, q7, r3",
        "vadd.i32 q0, q0, r3",
        "vadd.i32 q1, q1, r3",
        "vqmovnb.s32 q2, q6",
        "vqmovnt.s32 q2, q0",
        "vqmovnb.s32 q3, q7",
        "vqmovnt.s32 q3, q1",
    ]
);

/// One row of input by quads of channels. The list scales the sums in `q0` down by the mantissas in `q1` and the
/// shifts in `q2`, moves `r9` on by `r11`, and loads `r0` from the stack.
/// The other list stores `q0`, within int16, and keeps the flags.
macro_rules! dense {
    ($name:ident, $doc:literal, [$($scale:literal),* $(,)?], [$($store:literal),* $(,)?]) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *const Dense) {
            leaf!(
                [Dense: bias_end],
                ".cpu cortex-m55",
                "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "ldr r2, [r0, #{bias_end}]",
                "push {{r2}}",
                // r1 weights, r3 input, r5 out, r7 bias, r8 zero point, r9 multipliers, r10 inputs, r11 step
                "ldm.w r0, {{r1, r3, r5, r7, r8, r9, r10, r11}}",
                "1:",
                "ldm r7!, {{r0, r2, r4, r6}}",
                "mov r12, r3",
                "dlstp.8 lr, r10",
                "2:",
                "vldrb.u8 q0, [r12], #16",
                "vldrb.u8 q1, [r1], #64",
                "vmladava.s8 r0, q0, q1",
                "vldrb.u8 q2, [r1, #-48]",
                "vmladava.s8 r2, q0, q2",
                "vldrb.u8 q3, [r1, #-32]",
                "vmladava.s8 r4, q0, q3",
                "vldrb.u8 q1, [r1, #-16]",
                "vmladava.s8 r6, q0, q1",
                "letp lr, 2b",
                "vld20.32 {{q1, q2}}, [r9]",
                "vmov q0[2], q0[0], r0, r4",
                "vld21.32 {{q1, q2}}, [r9]",
                "vmov q0[3], q0[1], r2, r6",
                $($scale,)*
                "vadd.i32 q0, q0, r8",
                "vqmovnb.s32 q0, q0",
                "cmp r7, r0",
                $($store,)*
                "bne 1b",
                "pop {{r2}}",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            )
        }
    };
}

dense!(
    dense,
    "For multipliers that shift to the right.",
    [
        "mov.w lr, #1",
        "vqrdmulh.s32 q0, q0, q1",
        "add r9, r9, r11",
        "vqdmlah.s32 q0, q0, lr",
        "ldr r0, [sp]",
        "vrshl.s32 q0, q0, q2",
    ],
    ["vqmovnb.s16 q0, q0", "vstrb.32 q0, [r5], #4"]
);

dense!(
    dense_int16,
    "For multipliers that shift to the right, with outputs of int16.",
    [
        "mov.w lr, #1",
        "vqrdmulh.s32 q0, q0, q1",
        "add r9, r9, r11",
        "vqdmlah.s32 q0, q0, lr",
        "ldr r0, [sp]",
        "vrshl.s32 q0, q0, q2",
    ],
    ["vstrh.32 q0, [r5], #8"]
);

dense!(
    dense_general,
    "For any multipliers.",
    [
        "vmov.i32 q3, #0",
        "vmax.s32 q3, q2, q3",
        "vshl.s32 q0, q0, q3",
        "add r9, r9, r11",
        "vqrdmulh.s32 q0, q0, q1",
        "vmov.i32 q3, #0",
        "vmin.s32 q2, q2, q3",
        "ldr r0, [sp]",
        // Negative numbers lose 1 where the shift to the right is not 0.
        "vand q1, q0, q2",
        "vshr.s32 q1, q1, #31",
        "vadd.i32 q0, q0, q1",
        "vrshl.s32 q0, q0, q2",
    ],
    ["vqmovnb.s16 q0, q0", "vstrb.32 q0, [r5], #4"]
);

/// Copies an image row into a band, eight channels at a time, each to its plane.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn spread(work: *const Spread) {
    naked_asm!(
        ".cpu cortex-m55",
        // `count` columns of padding.
        ".macro FERROLITE_PAD count",
        "2:",
        "subs.w \\count, \\count, #1",
        "bmi 4f",
        "mov r9, r1",
        "dlstp.16 lr, r2",
        "3:",
        "vstrb.16 q2, [r9, q1]",
        "add r9, r9, r3",
        "letp lr, 3b",
        "add r1, r1, r4",
        "b 2b",
        "4:",
        ".endm",
        "push {{r4, r5, r6, r7, r8, r9, r10, lr}}",
        // r1 target, r2 channels, r3 plane, r4 column, r5 left, r6 pixels, r7 right, r8 padding
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}",
        "mov.w r10, #0",
        "vdup.16 q2, r8",
        "vidup.u16 q1, r10, #1",
        "vmul.i16 q1, q1, r3",
        "lsls r3, r3, #3",
        "FERROLITE_PAD r5",
        "2:",
        "subs r6, r6, #1",
        "bmi 4f",
        "mov r9, r1",
        "mov r5, r0",
        "dlstp.16 lr, r2",
        "3:",
        "vldrb.u16 q0, [r5], #8",
        "vstrb.16 q0, [r9, q1]",
        "add r9, r9, r3",
        "letp lr, 3b",
        "add r0, r0, r2",
        "add r1, r1, r4",
        "b 2b",
        "4:",
        "FERROLITE_PAD r7",
        "pop {{r4, r5, r6, r7, r8, r9, r10, pc}}",
        ".purgem FERROLITE_PAD",
    )
}

/// A row of a 3x3 depthwise convolution, four channels at a time: `q1..q4` hold their weights, `q5` biases,
/// `q6` mantissas and `q7` shifts. A window is loaded with the 7 bytes after it, whose weights are 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise_3x3(work: *mut Depthwise) {
    leaf!(
        [Depthwise: quads, channels, pixels, offsets],
        ".cpu cortex-m55",
        // `stride` is in bytes.
        ".macro FERROLITE_ROW stride",
        "2:",
        "vldrb.u8 q0, [r1], #\\stride",
        "vmladav.s8 r0, q0, q1",
        "vldrb.u8 q0, [r3], #\\stride",
        "vmladav.s8 r2, q0, q2",
        "vldrb.u8 q0, [r5], #\\stride",
        "vmladav.s8 r4, q0, q3",
        "vldrb.u8 q0, [r12], #\\stride",
        "vmladav.s8 r6, q0, q4",
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "vadd.i32 q0, q0, q5",
        "vqrdmulh.s32 q0, q0, q6",
        "vqdmlah.s32 q0, q0, r8",
        "vrshl.s32 q0, q0, q7",
        "vadd.i32 q0, q0, r9",
        "vqmovnb.s32 q0, q0",
        "vqmovnb.s16 q0, q0",
        "vstrb.32 q0, [r7]",
        "add r7, r7, r11",
        "le lr, 2b",
        ".endm",
        "push {{r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "mov r10, r0",
        "ldrd r11, r9, [r10, #{channels}]",
        "mov.w r8, #1",
        "movs r0, #9",
        "vctp.8 r0",
        "1:",
        // r0 weights, r2 bias, r4 multipliers, r6 plane, r7 out, r12 pitch, lr step
        "ldm.w r10, {{r0, r2, r4, r6, r7, r12, lr}}",
        "vldrb.u8 q0, [r10, #{offsets}]",
        "vldrw.u32 q5, [r2], #16",
        "vld20.32 {{q6, q7}}, [r4]",
        "vld21.32 {{q6, q7}}, [r4]",
        "add r4, r4, lr",
        "add.w r1, r0, #9",
        "add.w r3, r0, #18",
        "add.w r5, r0, #27",
        "vpstttt",
        "vldrbt.u8 q1, [r0, q0]",
        "vldrbt.u8 q2, [r1, q0]",
        "vldrbt.u8 q3, [r3, q0]",
        "vldrbt.u8 q4, [r5, q0]",
        "adds r0, #36",
        "mov r1, r6",
        "add.w r3, r6, r12",
        "add.w r5, r3, r12",
        "add.w r6, r6, r12, lsl #2",
        "add r12, r5",
        "add.w lr, r7, #4",
        "stm.w r10, {{r0, r2, r4, r6, lr}}",
        "ldrd r0, r2, [r10, #{pixels}]",
        "dls lr, r0",
        "cbnz r2, 3f",
        "FERROLITE_ROW 3",
        "b 4f",
        "3:",
        "FERROLITE_ROW 6",
        "4:",
        "ldr.w r0, [r10, #{quads}]",
        "subs r0, r0, #1",
        "str.w r0, [r10, #{quads}]",
        "bne 1b",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "pop {{r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_ROW",
    )
}

/// A row of a depthwise convolution, four channels at a time. Its weights are gathered again for each pixel.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise(work: *mut AnyDepthwise) {
    leaf!(
        [AnyDepthwise: plane, weights, taps, bias, multipliers, out, channels, zero_point, offsets, pixels,
             quads, left, place],
        ".cpu cortex-m55",
        ".macro FERROLITE_CHANNEL x, w, sum",
        "vldrb.u8 q0, [\\x], #16",
        "vldrb.u8 q4, [\\w, q1]",
        "vmladava.s8 \\sum, q0, q4",
        ".endm",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "vpush {{d8, d9}}",
        "push {{r0}}",
        "1:",
        "ldr r0, [sp]",
        // r1, r3, r5, r7 windows, r8, r9, r10, r11 weights
        "ldrd r1, r2, [r0, #{plane}]",
        "ldrd r8, r4, [r0, #{weights}]",
        "add r9, r8, r4",
        "add r10, r9, r4",
        "add r11, r10, r4",
        "add r4, r11",
        "str r4, [r0, #{weights}]",
        "adds r3, r1, r2",
        "adds r5, r3, r2",
        "adds r7, r5, r2",
        "add r2, r7",
        "str r2, [r0, #{plane}]",
        "ldrd r2, r4, [r0, #{multipliers}]",
        "vld20.32 {{q2, q3}}, [r2]",
        "vld21.32 {{q2, q3}}, [r2]",
        "add r2, r4",
        "str r2, [r0, #{multipliers}]",
        "ldr r2, [r0, #{out}]",
        "str r2, [r0, #{place}]",
        "adds r2, #4",
        "str r2, [r0, #{out}]",
        "ldr r2, [r0, #{pixels}]",
        "str r2, [r0, #{left}]",
        "2:",
        "ldr.w r12, [sp]",
        "ldr.w r0, [r12, #{bias}]",
        "ldr.w lr, [r12, #{taps}]",
        "ldr.w r12, [r12, #{offsets}]",
        "ldm.w r0, {{r0, r2, r4, r6}}",
        "dlstp.8 lr, lr",
        "3:",
        "vldrb.u8 q1, [r12], #16",
        "FERROLITE_CHANNEL r1, r8, r0",
        "FERROLITE_CHANNEL r3, r9, r2",
        "FERROLITE_CHANNEL r5, r10, r4",
        "FERROLITE_CHANNEL r7, r11, r6",
        "letp lr, 3b",
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "ldr.w r12, [sp]",
        "movs r6, #1",
        "ldrd r2, r4, [r12, #{zero_point}]",
        "vqrdmulh.s32 q0, q0, q2",
        "vqdmlah.s32 q0, q0, r6",
        "vrshl.s32 q0, q0, q3",
        "vadd.i32 q0, q0, r2",
        "vqmovnb.s32 q0, q0",
        "vqmovnb.s16 q0, q0",
        "subs r1, r1, r4",
        "subs r3, r3, r4",
        "subs r5, r5, r4",
        "subs r7, r7, r4",
        "ldr.w r2, [r12, #{channels}]",
        "ldrd r4, r0, [r12, #{left}]",
        "vstrb.32 q0, [r0]",
        "add r0, r2",
        "subs r4, r4, #1",
        "strd r4, r0, [r12, #{left}]",
        "bne 2b",
        "ldr.w r0, [r12, #{bias}]",
        "ldr.w r2, [r12, #{quads}]",
        "adds r0, #16",
        "subs r2, r2, #1",
        "str.w r0, [r12, #{bias}]",
        "str.w r2, [r12, #{quads}]",
        "bne 1b",
        "pop {{r0}}",
        "vpop {{d8, d9}}",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_CHANNEL",
    )
}

/// Sums of elements, four at a time.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn add(work: *const Add) {
    leaf!(
        [Add: len],
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "add.w r12, r0, #{len}",
        // r2 shift of b, r3 mantissa and r4 shift of the sum, r5 smallest and r6 largest output
        "ldm.w r12, {{r1, r2, r3, r4, r5, r6}}",
        "mov lr, r1",
        "vdup.32 q6, r2",
        "vdup.32 q7, r3",
        "vdup.32 q5, r4",
        "vdup.32 q3, r5",
        "vdup.32 q4, r6",
        "mov.w r1, #0x100000",
        "vdup.32 q2, r1",
        // r3, r4 zeroes, r5, r6 mantissas, r7, r8 roundings, r9 shift of a, r10 sign, r11 rounding, r12 zero point
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12}}",
        "dlstp.32 lr, lr",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "vldrb.s32 q1, [r1], #4",
        "vmlas.s32 q0, q2, r3",
        "vmlas.s32 q1, q2, r4",
        "vqrdmulh.s32 q0, q0, r5",
        "vqrdmulh.s32 q1, q1, r6",
        "vqdmlah.s32 q0, q0, r7",
        "vqdmlah.s32 q1, q1, r8",
        "vrshl.s32 q0, r9",
        "vrshl.s32 q1, q1, q6",
        "vmla.s32 q0, q1, r10",
        "vqrdmulh.s32 q0, q0, q7",
        "vqdmlah.s32 q0, q0, r11",
        "vrshl.s32 q0, q0, q5",
        "vadd.i32 q0, q0, r12",
        "vmax.s32 q0, q0, q3",
        "vmin.s32 q0, q0, q4",
        "vstrb.32 q0, [r2], #4",
        "letp lr, 2b",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Arguments of [`weighted_sum`], in the order of its registers.
#[repr(C)]
pub(super) struct WeightedSum {
    pub a: *const i8,
    pub b: *const i8,
    pub out: *mut i8,
    /// Elements, at least 1.
    pub len: usize,
    pub factor_a: i32,
    pub factor_b: i32,
    pub term: i32,
    pub min: i32,
    pub max: i32,
}

in_order!(first 9 words of WeightedSum: a, b, out, len, factor_a, factor_b, term, min, max);

/// Sums of elements with factors, four at a time.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn weighted_sum(work: *const WeightedSum) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, lr}}",
        "vpush {{d8, d9, d10, d11}}",
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}",
        "vdup.32 q2, r4",
        "vdup.32 q3, r5",
        "vdup.32 q4, r7",
        "vdup.32 q5, r8",
        "dlstp.32 lr, r3",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "vldrb.s32 q1, [r1], #4",
        "vshl.i32 q0, q0, #24",
        "vshl.i32 q1, q1, #24",
        "vmulh.s32 q0, q0, q2",
        "vmulh.s32 q1, q1, q3",
        "vadd.i32 q0, q0, q1",
        "vadd.i32 q0, q0, r6",
        "vshr.s32 q0, q0, #20",
        "vmax.s32 q0, q0, q4",
        "vmin.s32 q0, q0, q5",
        "vstrb.32 q0, [r2], #4",
        "letp lr, 2b",
        "vpop {{d8, d9, d10, d11}}",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// Products of elements, four at a time.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn mul(work: *const Mul) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // r3, r4 zero points, r5 mantissa, r6 shift, r7 rounding, r8 zero point, r9 smallest and r10 largest
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "vdup.32 q2, r9",
        "vdup.32 q3, r10",
        "dlstp.32 lr, r11",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "vldrb.s32 q1, [r1], #4",
        "vsub.i32 q0, q0, r3",
        "vsub.i32 q1, q1, r4",
        "vmul.i32 q0, q0, q1",
        "vqrdmulh.s32 q0, q0, r5",
        "vqdmlah.s32 q0, q0, r7",
        "vrshl.s32 q0, r6",
        "vadd.i32 q0, q0, r8",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r2], #4",
        "letp lr, 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Means of channels, four at a time. A product with the reciprocal replaces the division.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn average_pool(work: *const Average) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // r1 out, r3 width, r4 channels, r5 largest, r6 height, r8 stride, r9 half, r10 reciprocal, r11 smallest,
        // r12 image
        "ldm.w r0, {{r1, r3, r4, r5, r6, r8, r9, r10, r11, r12}}",
        "vdup.32 q2, r10",
        "vdup.32 q3, r11",
        "mov r10, r4",
        "1:",
        "vctp.32 r4",
        "vmov.i32 q0, #0",
        "mov r11, r12",
        "mov r2, r6",
        "2:",
        "mov r0, r11",
        "dls lr, r3",
        "3:",
        "vpst",
        "vldrbt.s32 q1, [r0]",
        "vadd.i32 q0, q0, q1",
        "add r0, r10",
        "le lr, 3b",
        "add r11, r8",
        "subs r2, r2, #1",
        "bne 2b",
        "vabs.s32 q1, q0",
        "vadd.i32 q1, q1, r9",
        "vmulh.u32 q1, q1, q2",
        "vshr.s32 q0, q0, #31",
        "veor q1, q1, q0",
        "vsub.i32 q1, q1, q0",
        "vdup.32 q0, r5",
        "vmax.s32 q1, q1, q3",
        "vmin.s32 q1, q1, q0",
        "vpst",
        "vstrbt.32 q1, [r1], #4",
        "add.w r12, r12, #4",
        "subs r4, r4, #4",
        "bhi 1b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Largest elements of channels, sixteen at a time.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn max_pool(work: *const Largest) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // r1 out, r3 width, r4 channels, r6 height, r8 stride, r9 smallest, r10 largest, r12 image
        "ldm.w r0, {{r1, r3, r4, r6, r8, r9, r10, r12}}",
        "vdup.8 q2, r9",
        "vdup.8 q3, r10",
        "mov r10, r4",
        "1:",
        "vctp.8 r4",
        "vmov q0, q2",
        "mov r11, r12",
        "mov r2, r6",
        "2:",
        "mov r0, r11",
        "dls lr, r3",
        "3:",
        "vpst",
        "vldrbt.u8 q1, [r0]",
        "vmax.s8 q0, q0, q1",
        "add r0, r10",
        "le lr, 3b",
        "add r11, r8",
        "subs r2, r2, #1",
        "bne 2b",
        "vmin.s8 q0, q0, q3",
        "vpst",
        "vstrbt.8 q0, [r1], #16",
        "add.w r12, r12, #16",
        "subs r4, r4, #16",
        "bhi 1b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// `out[i] = table[input[i]]` for `len` elements, at least one.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn lookup(input: *const i8, table: *const u8, out: *mut i8, len: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "dlstp.8 lr, r3",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vldrb.u8 q1, [r1, q0]",
        "vstrb.8 q1, [r2], #16",
        "letp lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// The larger elements of two operands, of `len` each, at least one; the smaller ones where `turn` is -1, not 0: those
/// whose complements are larger.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn largest(a: *const i8, b: *const i8, out: *mut i8, len: usize, turn: i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "ldr r12, [sp]",
        "push {{r7, lr}}",
        "vdup.32 q2, r12",
        "dlstp.8 lr, r3",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vldrb.u8 q1, [r1], #16",
        "veor q0, q0, q2",
        "veor q1, q1, q2",
        "vmax.s8 q0, q0, q1",
        "veor q0, q0, q2",
        "vstrb.8 q0, [r2], #16",
        "letp lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// The largest of `len` elements, at least one; the smallest where `turn` is -1, not 0: that whose complement is largest.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn extreme(run: *const i8, len: usize, turn: i32) -> i32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vdup.32 q1, r2",
        "mvn r3, #127",
        "dlstp.8 lr, r1",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "veor q0, q0, q1",
        "vmaxv.s8 r3, q0",
        "letp lr, 2b",
        "eor r0, r3, r2",
        "pop {{r7, pc}}",
    )
}

/// The sum of `len` elements, at least one.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn sum(run: *const i8, len: usize) -> i32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "mov r2, #0",
        "dlstp.8 lr, r1",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vaddva.s8 r2, q0",
        "letp lr, 2b",
        "mov r0, r2",
        "pop {{r7, pc}}",
    )
}
