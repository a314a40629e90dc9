//! The leaves in assembly. `leaf.rs` calls them after it has checked all sizes.
//!
//! Registers that the ABI gives to no function (`gp`, `tp`) are not used. All others hold numbers, and the
//! return address is on the stack. Each function states again that the core has multiplications, because with
//! link-time optimisation the assembler may not know.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::leaf;

/// Arguments of [`blocks`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct Blocks {
    pub tile: *const i8,
    /// Bytes of a pixel's patch, at least 1.
    pub depth: usize,
    pub weights: *const i8,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub out: [*mut i8; 4],
    /// Blocks of four channels, and channels of the last block, if that has fewer; not both 0.
    pub blocks: usize,
    pub rest: usize,
    pub half: i32,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    pub min: i32,
    pub max: i32,
}

/// Arguments of [`single`], which moves `source` and `out` on. All distances are bytes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Single {
    pub source: *const i8,
    /// From one pixel to the next.
    pub apart: usize,
    /// Bytes of a line, at least 1, lines of a patch, at least 1, and how many of them lie behind the place where the source
    /// begins anew.
    pub line: usize,
    pub lines: usize,
    pub behind: usize,
    /// From the end of a line to the next one, and to the first one behind that place.
    pub pitch: usize,
    pub back: usize,
    pub weights: *const i8,
    pub bias: i32,
    /// The mantissa doubled, the right shift, the sum of rounding term and zero point, and the bounds.
    pub mantissa: u32,
    pub shift: u32,
    pub round: i32,
    pub min: i32,
    pub max: i32,
    pub out: *mut i8,
    pub out_stride: usize,
    /// Tiles of four pixels, at least 1.
    pub count: usize,
}

/// Arguments of [`depthwise_stride_1`] and [`depthwise_stride_2`].
#[repr(C)]
pub(super) struct Depthwise {
    pub rows: [*const i8; 3],
    /// Bytes of a pixel.
    pub channels: usize,
    /// Bytes back from the end of the last pixel to the next channel of the first one.
    pub rewind: usize,
    pub weights: *const i8,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub step: usize,
    pub out: *mut i8,
    /// Bytes of the row of outputs.
    pub row: usize,
    /// Channels, at least 1.
    pub left: usize,
    pub half: i32,
    pub min: i32,
    pub max: i32,
}

/// Saves the twelve registers that belong to the caller, the return address and `a0`.
macro_rules! enter {
    () => {
        "addi sp, sp, -64
         sw a0, 8(sp)
         sw s11, 12(sp)
         sw s10, 16(sp)
         sw s9, 20(sp)
         sw s8, 24(sp)
         sw s7, 28(sp)
         sw s6, 32(sp)
         sw s5, 36(sp)
         sw s4, 40(sp)
         sw s3, 44(sp)
         sw s2, 48(sp)
         sw s1, 52(sp)
         sw s0, 56(sp)
         sw ra, 60(sp)"
    };
}
pub(in crate::kernels) use enter;

/// Undoes `enter` and returns.
macro_rules! leave {
    () => {
        "lw s11, 12(sp)
         lw s10, 16(sp)
         lw s9, 20(sp)
         lw s8, 24(sp)
         lw s7, 28(sp)
         lw s6, 32(sp)
         lw s5, 36(sp)
         lw s4, 40(sp)
         lw s3, 44(sp)
         lw s2, 48(sp)
         lw s1, 52(sp)
         lw s0, 56(sp)
         lw ra, 60(sp)
         addi sp, sp, 64
         ret"
    };
}
pub(in crate::kernels) use leave;

/// Defines `FERROLITE_SCALE a, m, s, r, lo, hi, t`: it turns accumulator `a` into an output, with doubled
/// mantissa `m`, right shift `s`, the sum `r` of rounding term and zero point, and bounds `lo` and `hi`; it
/// overwrites `t`.
macro_rules! scale {
    () => {
        ".macro FERROLITE_SCALE a, m, s, r, lo, hi, t
         mul \\t, \\a, \\m
         mulhsu \\a, \\a, \\m
         srli \\t, \\t, 31
         add \\a, \\a, \\t
         srai \\t, \\a, 31
         add \\a, \\a, \\t
         add \\a, \\a, \\r
         sra \\a, \\a, \\s
         bge \\a, \\lo, 77f
         mv \\a, \\lo
         77:
         bge \\hi, \\a, 78f
         mv \\a, \\hi
         78:
         .endm"
    };
}
pub(in crate::kernels) use scale;

/// The same for any multiplier: `m` is the doubled mantissa, `s` the shift, to the left where it is not negative, and `r`
/// the zero point.
macro_rules! scale_general {
    () => {
        ".macro FERROLITE_SCALE a, m, s, r, lo, hi, t
         bltz \\s, 75f
         sll \\a, \\a, \\s
         mul \\t, \\a, \\m
         mulhsu \\a, \\a, \\m
         srli \\t, \\t, 31
         add \\a, \\a, \\t
         j 76f
         75:
         mul \\t, \\a, \\m
         mulhsu \\a, \\a, \\m
         srli \\t, \\t, 31
         add \\a, \\a, \\t
         srai \\t, \\a, 31
         add \\a, \\a, \\t
         not \\t, \\s
         sra \\a, \\a, \\t
         addi \\a, \\a, 1
         srai \\a, \\a, 1
         76:
         add \\a, \\a, \\r
         bge \\a, \\lo, 77f
         mv \\a, \\lo
         77:
         bge \\hi, \\a, 78f
         mv \\a, \\hi
         78:
         .endm"
    };
}

/// Copies `len` bytes, which may be 0; copies words if both sides are aligned for them.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy(source: *const i8, target: *mut i8, len: usize) {
    naked_asm!(
        "or a3, a0, a1",
        "andi a3, a3, 3",
        "andi a4, a2, -4",
        "add a2, a2, a0",
        "add a4, a4, a0",
        "bnez a3, 3f",
        "addi a5, a4, -12",
        "bgeu a0, a5, 2f",
        "1:",
        "lw a6, 0(a0)",
        "lw a7, 4(a0)",
        "lw t0, 8(a0)",
        "lw t1, 12(a0)",
        "sw a6, 0(a1)",
        "sw a7, 4(a1)",
        "sw t0, 8(a1)",
        "sw t1, 12(a1)",
        "addi a0, a0, 16",
        "addi a1, a1, 16",
        "bltu a0, a5, 1b",
        "2:",
        "beq a0, a4, 5f",
        "lw a6, 0(a0)",
        "addi a0, a0, 4",
        "sw a6, 0(a1)",
        "addi a1, a1, 4",
        "j 2b",
        "3:",
        "beq a0, a4, 5f",
        "4:",
        "lb a6, 0(a0)",
        "lb a7, 1(a0)",
        "lb t0, 2(a0)",
        "lb t1, 3(a0)",
        "sb a6, 0(a1)",
        "sb a7, 1(a1)",
        "sb t0, 2(a1)",
        "sb t1, 3(a1)",
        "addi a0, a0, 4",
        "addi a1, a1, 4",
        "bne a0, a4, 4b",
        "5:",
        "beq a0, a2, 7f",
        "6:",
        "lb a6, 0(a0)",
        "addi a0, a0, 1",
        "sb a6, 0(a1)",
        "addi a1, a1, 1",
        "bne a0, a2, 6b",
        "7:",
        "ret",
    )
}

/// Four pixels by all blocks of four channels. In the loop, `s0..s3` hold the pixels of channel 0, `s4..s7`
/// those of channel 1, `s8..s11` those of channel 2, `t3..t6` those of channel 3. The list loads the multiplier at `a4`
/// for `FERROLITE_SCALE`, as `$scale` defines it: `m` into `a1`, `s` into `a2`, `r` into `a3`, and moves `a4` on.
macro_rules! blocks {
    ($name:ident, $doc:literal, $scale:ident, [$($multiplier:literal),* $(,)?]) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *mut Blocks) {
            leaf!(
                [Blocks: tile, depth, weights, bias, multipliers, out, blocks, rest, half, step, min, max;
                 Multiplier: mantissa, shift],
                ".option push",
                ".option arch, +m",
                $scale!(),
                // A weight of a channel times an element of four pixels.
                ".macro FERROLITE_WEIGHT at, a, b, c, d",
                "lb t2, \\at(a4)",
                "mul ra, t2, a6",
                "add \\a, \\a, ra",
                "mul ra, t2, a7",
                "add \\b, \\b, ra",
                "mul ra, t2, t0",
                "add \\c, \\c, ra",
                "mul ra, t2, t1",
                "add \\d, \\d, ra",
                ".endm",
                ".macro FERROLITE_STEP k",
                "lb a6, \\k(a0)",
                "lb a7, \\k(a1)",
                "lb t0, \\k(a2)",
                "lb t1, \\k(a3)",
                "FERROLITE_WEIGHT (4 * \\k), s0, s1, s2, s3",
                "FERROLITE_WEIGHT (4 * \\k + 1), s4, s5, s6, s7",
                "FERROLITE_WEIGHT (4 * \\k + 2), s8, s9, s10, s11",
                "FERROLITE_WEIGHT (4 * \\k + 3), t3, t4, t5, t6",
                ".endm",
                // The next weight of a single channel, whose weights are s9 apart.
                ".macro FERROLITE_SINGLE k",
                "lb a6, \\k(a0)",
                "lb a7, \\k(a1)",
                "lb t0, \\k(a2)",
                "lb t1, \\k(a3)",
                "FERROLITE_WEIGHT 0, s0, s1, s2, s3",
                "add a4, a4, s9",
                ".endm",
                // The next weights of two such channels.
                ".macro FERROLITE_DOUBLE k",
                "lb a6, \\k(a0)",
                "lb a7, \\k(a1)",
                "lb t0, \\k(a2)",
                "lb t1, \\k(a3)",
                "FERROLITE_WEIGHT 0, s0, s1, s2, s3",
                "FERROLITE_WEIGHT 1, t3, t4, t5, t6",
                "add a4, a4, s9",
                ".endm",
                // Turns four pixels of a channel into outputs. Missing pixels have the address of the last one, which
                // is written after them.
                ".macro FERROLITE_FINISH at, a, b, c, d",
                $($multiplier,)*
                "FERROLITE_SCALE \\d, a1, a2, a3, a5, a6, ra",
                "sb \\d, \\at(t2)",
                "FERROLITE_SCALE \\c, a1, a2, a3, a5, a6, ra",
                "sb \\c, \\at(t1)",
                "FERROLITE_SCALE \\b, a1, a2, a3, a5, a6, ra",
                "sb \\b, \\at(t0)",
                "FERROLITE_SCALE \\a, a1, a2, a3, a5, a6, ra",
                "sb \\a, \\at(a7)",
                ".endm",
                enter!(),
                "lw t0, {blocks}(a0)",
                "beqz t0, 6f",
                "1:",
                "lw t0, {bias}(a0)",
                "lw s0, 0(t0)",
                "lw s4, 4(t0)",
                "lw s8, 8(t0)",
                "lw t3, 12(t0)",
                "addi t0, t0, 16",
                "sw t0, {bias}(a0)",
                "mv s1, s0",
                "mv s2, s0",
                "mv s3, s0",
                "mv s5, s4",
                "mv s6, s4",
                "mv s7, s4",
                "mv s9, s8",
                "mv s10, s8",
                "mv s11, s8",
                "mv t4, t3",
                "mv t5, t3",
                "mv t6, t3",
                "lw a4, {weights}(a0)",
                "lw a6, {depth}(a0)",
                "lw a0, {tile}(a0)",
                "add a1, a0, a6",
                "add a2, a1, a6",
                "add a3, a2, a6",
                "andi a5, a6, -4",
                "beqz a5, 3f",
                "slli a5, a5, 2",
                "add a5, a5, a4",
                "2:",
                "FERROLITE_STEP 0",
                "FERROLITE_STEP 1",
                "FERROLITE_STEP 2",
                "FERROLITE_STEP 3",
                "addi a4, a4, 16",
                "addi a0, a0, 4",
                "addi a1, a1, 4",
                "addi a2, a2, 4",
                "addi a3, a3, 4",
                "bne a4, a5, 2b",
                "3:",
                "lw t0, 8(sp)",
                "lw t0, {depth}(t0)",
                "andi t0, t0, 3",
                "beqz t0, 5f",
                "slli t0, t0, 2",
                "add a5, a4, t0",
                "4:",
                "FERROLITE_STEP 0",
                "addi a4, a4, 4",
                "addi a0, a0, 1",
                "addi a1, a1, 1",
                "addi a2, a2, 1",
                "addi a3, a3, 1",
                "bne a4, a5, 4b",
                "5:",
                "lw a0, 8(sp)",
                "sw a4, {weights}(a0)",
                "lw a4, {multipliers}(a0)",
                "lw a5, {min}(a0)",
                "lw a6, {max}(a0)",
                "lw a7, {out}(a0)",
                "lw t0, {out} + 4(a0)",
                "lw t1, {out} + 8(a0)",
                "lw t2, {out} + 12(a0)",
                "FERROLITE_FINISH 0, s0, s1, s2, s3",
                "FERROLITE_FINISH 1, s4, s5, s6, s7",
                "FERROLITE_FINISH 2, s8, s9, s10, s11",
                "FERROLITE_FINISH 3, t3, t4, t5, t6",
                "sw a4, {multipliers}(a0)",
                "addi a7, a7, 4",
                "addi t0, t0, 4",
                "addi t1, t1, 4",
                "addi t2, t2, 4",
                "sw a7, {out}(a0)",
                "sw t0, {out} + 4(a0)",
                "sw t1, {out} + 8(a0)",
                "sw t2, {out} + 12(a0)",
                "lw t0, {blocks}(a0)",
                "addi t0, t0, -1",
                "sw t0, {blocks}(a0)",
                "bnez t0, 1b",
                // The channels of the last block, two by two and one by one: s10 counts them, s11 is not 0 while two are made.
                "6:",
                "lw s9, {rest}(a0)",
                "beqz s9, 12f",
                "mv s10, s9",
                "7:",
                "lw t0, {bias}(a0)",
                "lw a4, {weights}(a0)",
                "lw a6, {depth}(a0)",
                "lw s0, 0(t0)",
                "addi t0, t0, 4",
                "addi t1, a4, 1",
                "addi s11, s10, -1",
                "beqz s11, 13f",
                "lw t3, 0(t0)",
                "addi t0, t0, 4",
                "addi t1, t1, 1",
                "mv t4, t3",
                "mv t5, t3",
                "mv t6, t3",
                "13:",
                "sw t0, {bias}(a0)",
                "sw t1, {weights}(a0)",
                "lw a0, {tile}(a0)",
                "mv s1, s0",
                "mv s2, s0",
                "mv s3, s0",
                "add a1, a0, a6",
                "add a2, a1, a6",
                "add a3, a2, a6",
                // s7 ends the elements by four, s8 all of them.
                "andi s7, a6, -4",
                "add s7, s7, a0",
                "add s8, a0, a6",
                "beqz s11, 14f",
                "beq a0, s7, 16f",
                "15:",
                "FERROLITE_DOUBLE 0",
                "FERROLITE_DOUBLE 1",
                "addi a0, a0, 2",
                "addi a1, a1, 2",
                "addi a2, a2, 2",
                "addi a3, a3, 2",
                "bne a0, s7, 15b",
                "16:",
                "beq a0, s8, 11f",
                "FERROLITE_DOUBLE 0",
                "addi a0, a0, 1",
                "addi a1, a1, 1",
                "addi a2, a2, 1",
                "addi a3, a3, 1",
                "j 16b",
                "14:",
                "beq a0, s7, 9f",
                "8:",
                "FERROLITE_SINGLE 0",
                "FERROLITE_SINGLE 1",
                "FERROLITE_SINGLE 2",
                "FERROLITE_SINGLE 3",
                "addi a0, a0, 4",
                "addi a1, a1, 4",
                "addi a2, a2, 4",
                "addi a3, a3, 4",
                "bne a0, s7, 8b",
                "9:",
                "beq a0, s8, 11f",
                "10:",
                "FERROLITE_SINGLE 0",
                "addi a0, a0, 1",
                "addi a1, a1, 1",
                "addi a2, a2, 1",
                "addi a3, a3, 1",
                "bne a0, s8, 10b",
                "11:",
                "lw a0, 8(sp)",
                "lw a4, {multipliers}(a0)",
                "lw a5, {min}(a0)",
                "lw a6, {max}(a0)",
                "lw a7, {out}(a0)",
                "lw t0, {out} + 4(a0)",
                "lw t1, {out} + 8(a0)",
                "lw t2, {out} + 12(a0)",
                "FERROLITE_FINISH 0, s0, s1, s2, s3",
                "addi s10, s10, -1",
                "beqz s10, 12f",
                "sw a4, {multipliers}(a0)",
                "addi a7, a7, 1",
                "addi t0, t0, 1",
                "addi t1, t1, 1",
                "addi t2, t2, 1",
                "sw a7, {out}(a0)",
                "sw t0, {out} + 4(a0)",
                "sw t1, {out} + 8(a0)",
                "sw t2, {out} + 12(a0)",
                "beqz s11, 7b",
                // The second of two.
                "mv s0, t3",
                "mv s1, t4",
                "mv s2, t5",
                "mv s3, t6",
                "li s11, 0",
                "j 11b",
                "12:",
                leave!(),
                ".purgem FERROLITE_SCALE",
                ".purgem FERROLITE_WEIGHT",
                ".purgem FERROLITE_SINGLE",
                ".purgem FERROLITE_DOUBLE",
                ".purgem FERROLITE_STEP",
                ".purgem FERROLITE_FINISH",
                ".option pop",
            )
        }
    };
}

blocks!(
    blocks,
    "For multipliers that shift to the right.",
    scale,
    [
        "lw a1, {mantissa}(a4)",
        "lw a2, {shift}(a4)",
        "lw ra, {step}(a0)",
        "lw a3, {half}(a0)",
        "slli a1, a1, 1",
        "not a2, a2",
        "add a4, a4, ra",
        "sll a3, a3, a2",
        "addi a2, a2, 1",
    ]
);

blocks!(
    blocks_general,
    "For any multipliers.",
    scale_general,
    [
        "lw a1, {mantissa}(a4)",
        "lw a2, {shift}(a4)",
        "lw ra, {step}(a0)",
        "lw a3, {half}(a0)",
        "slli a1, a1, 1",
        "add a4, a4, ra",
        "srai a3, a3, 1",
    ]
);

/// The only channel of tiles of four pixels, whose lines are read where they are: `a0..a3` are places in the lines of the
/// pixels, `s0..s3` sums, `s6` counts lines.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn single(work: *mut Single) {
    leaf!(
        [Single: source, apart, line, lines, behind, pitch, back, weights, bias, mantissa, shift, round, min, max, out,
            out_stride, count],
        ".option push",
        ".option arch, +m",
        scale!(),
        ".macro FERROLITE_STEP k",
        "lb a6, \\k(a0)",
        "lb a7, \\k(a1)",
        "lb t0, \\k(a2)",
        "lb t1, \\k(a3)",
        "lb t2, \\k(a4)",
        "mul a6, a6, t2",
        "mul a7, a7, t2",
        "mul t0, t0, t2",
        "mul t1, t1, t2",
        "add s0, s0, a6",
        "add s1, s1, a7",
        "add s2, s2, t0",
        "add s3, s3, t1",
        ".endm",
        ".macro FERROLITE_STORE a",
        "FERROLITE_SCALE \\a, t3, t4, t5, a1, a2, ra",
        "sb \\a, 0(a5)",
        "add a5, a5, a7",
        ".endm",
        enter!(),
        "mv s7, a0",
        "lw s8, {apart}(s7)",
        "lw s9, {pitch}(s7)",
        "lw s10, {line}(s7)",
        "lw s11, {behind}(s7)",
        "lw t3, {mantissa}(s7)",
        "lw t4, {shift}(s7)",
        "lw t5, {round}(s7)",
        "lw t6, {count}(s7)",
        "1:",
        "lw a0, {source}(s7)",
        "lw a4, {weights}(s7)",
        "lw s0, {bias}(s7)",
        "lw s6, {lines}(s7)",
        "add a1, a0, s8",
        "add a2, a1, s8",
        "add a3, a2, s8",
        "add t0, a3, s8",
        "sw t0, {source}(s7)",
        "mv s1, s0",
        "mv s2, s0",
        "mv s3, s0",
        // s4 ends the elements of the line by four, s5 all of them.
        "2:",
        "andi s4, s10, -4",
        "add s4, s4, a0",
        "add s5, a0, s10",
        "beq a0, s4, 4f",
        "3:",
        "FERROLITE_STEP 0",
        "FERROLITE_STEP 1",
        "FERROLITE_STEP 2",
        "FERROLITE_STEP 3",
        "addi a0, a0, 4",
        "addi a1, a1, 4",
        "addi a2, a2, 4",
        "addi a3, a3, 4",
        "addi a4, a4, 4",
        "bne a0, s4, 3b",
        "4:",
        "beq a0, s5, 6f",
        "5:",
        "FERROLITE_STEP 0",
        "addi a0, a0, 1",
        "addi a1, a1, 1",
        "addi a2, a2, 1",
        "addi a3, a3, 1",
        "addi a4, a4, 1",
        "bne a0, s5, 5b",
        "6:",
        "addi s6, s6, -1",
        "beqz s6, 8f",
        "mv t0, s9",
        "bne s6, s11, 7f",
        "lw t0, {back}(s7)",
        "7:",
        "add a0, a0, t0",
        "add a1, a1, t0",
        "add a2, a2, t0",
        "add a3, a3, t0",
        "j 2b",
        "8:",
        "lw a1, {min}(s7)",
        "lw a2, {max}(s7)",
        "lw a5, {out}(s7)",
        "lw a7, {out_stride}(s7)",
        "FERROLITE_STORE s0",
        "FERROLITE_STORE s1",
        "FERROLITE_STORE s2",
        "FERROLITE_STORE s3",
        "sw a5, {out}(s7)",
        "addi t6, t6, -1",
        "bnez t6, 1b",
        leave!(),
        ".purgem FERROLITE_SCALE",
        ".purgem FERROLITE_STEP",
        ".purgem FERROLITE_STORE",
        ".option pop",
    )
}

/// One row of `inputs` elements by `outputs` channels: blocks of eight channels, in `s0..s7`, then four and
/// single channels of the last block. Both numbers are at least 1. Multipliers are `step` bytes apart.
/// The list loads the multiplier at `t1` for `FERROLITE_SCALE`, as `$scale` defines it: `m` into `s9`, `s` into `s10`, `r`
/// into `s11`. Outputs of so many bytes are stored by the instruction `$store`.
macro_rules! dense {
    ($name:ident, $Output:ty, $doc:literal, $scale:ident, $store:literal, $bytes:literal, [$($multiplier:literal),* $(,)?]) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(
            input: *const i8,
            inputs: usize,
            weights: *const i8,
            bias: *const i32,
            multipliers: *const Multiplier,
            out: *mut $Output,
            outputs: usize,
            half: i32,
            step: usize,
            min: i32,
            max: i32,
        ) {
            leaf!(
                [Multiplier: mantissa, shift],
                ".option push",
                ".option arch, +m",
                $scale!(),
                ".macro FERROLITE_WEIGHT at, acc, from",
                "lb a4, \\at(\\from)",
                "mul a4, a4, a5",
                "add \\acc, \\acc, a4",
                ".endm",
                ".macro FERROLITE_STEP k",
                "lb a5, \\k(a1)",
                "FERROLITE_WEIGHT (8 * \\k), s0, a2",
                "FERROLITE_WEIGHT (8 * \\k + 1), s1, a2",
                "FERROLITE_WEIGHT (8 * \\k + 2), s2, a2",
                "FERROLITE_WEIGHT (8 * \\k + 3), s3, a2",
                "FERROLITE_WEIGHT (8 * \\k + 4), s4, a2",
                "FERROLITE_WEIGHT (8 * \\k + 5), s5, a2",
                "FERROLITE_WEIGHT (8 * \\k + 6), s6, a2",
                "FERROLITE_WEIGHT (8 * \\k + 7), s7, a2",
                ".endm",
                ".macro FERROLITE_FINISH at, acc",
                "mv a4, \\acc",
                "jalr t0, 0(a7)",
                concat!($store, " a4, (", $bytes, " * \\at)(t6)"),
                ".endm",
                // Loads the multiplier at t1 for FERROLITE_SCALE.
                ".macro FERROLITE_MULTIPLIER",
                $($multiplier,)*
                ".endm",
                enter!(),
                // a0 input, a2 weights, a3 end of the input minus three, a6 its end, ra biases, s8 remaining
                // channels, t1 multipliers, t2 step, t3 half, t4 and t5 bounds, t6 output, a7 the routine that makes
                // an output
                "lw t2, 64(sp)",
                "lw t4, 68(sp)",
                "lw t5, 72(sp)",
                "mv ra, a3",
                "mv t1, a4",
                "mv t6, a5",
                "addi s8, a6, -8",
                "mv t3, a7",
                "add a6, a0, a1",
                "addi a3, a6, -3",
                "lla a7, 9f",
                "bnez t2, 11f",
                "FERROLITE_MULTIPLIER",
                "lla a7, 10f",
                "11:",
                "bltz s8, 6f",
                "1:",
                "lw s0, 0(ra)",
                "lw s1, 4(ra)",
                "lw s2, 8(ra)",
                "lw s3, 12(ra)",
                "lw s4, 16(ra)",
                "lw s5, 20(ra)",
                "lw s6, 24(ra)",
                "lw s7, 28(ra)",
                "addi ra, ra, 32",
                "mv a1, a0",
                // A block of four elements begins below a3.
                "bgeu a1, a3, 3f",
                "2:",
                "FERROLITE_STEP 0",
                "FERROLITE_STEP 1",
                "FERROLITE_STEP 2",
                "FERROLITE_STEP 3",
                "addi a1, a1, 4",
                "addi a2, a2, 32",
                "bltu a1, a3, 2b",
                "3:",
                "beq a1, a6, 5f",
                "4:",
                "FERROLITE_STEP 0",
                "addi a1, a1, 1",
                "addi a2, a2, 8",
                "bne a1, a6, 4b",
                "5:",
                "FERROLITE_FINISH 0, s0",
                "FERROLITE_FINISH 1, s1",
                "FERROLITE_FINISH 2, s2",
                "FERROLITE_FINISH 3, s3",
                "FERROLITE_FINISH 4, s4",
                "FERROLITE_FINISH 5, s5",
                "FERROLITE_FINISH 6, s6",
                "FERROLITE_FINISH 7, s7",
                concat!("addi t6, t6, 8 * ", $bytes),
                "addi s8, s8, -8",
                "bgez s8, 1b",
                // Weights of the last block's channels are s7 apart; s6 points to them.
                "6:",
                "addi s7, s8, 8",
                "addi s8, s8, 4",
                "bltz s8, 8f",
                "lw s0, 0(ra)",
                "lw s1, 4(ra)",
                "lw s2, 8(ra)",
                "lw s3, 12(ra)",
                "addi ra, ra, 16",
                "mv a1, a0",
                "mv s6, a2",
                "7:",
                "lb a5, 0(a1)",
                "FERROLITE_WEIGHT 0, s0, s6",
                "FERROLITE_WEIGHT 1, s1, s6",
                "FERROLITE_WEIGHT 2, s2, s6",
                "FERROLITE_WEIGHT 3, s3, s6",
                "addi a1, a1, 1",
                "add s6, s6, s7",
                "bne a1, a6, 7b",
                "FERROLITE_FINISH 0, s0",
                "FERROLITE_FINISH 1, s1",
                "FERROLITE_FINISH 2, s2",
                "FERROLITE_FINISH 3, s3",
                concat!("addi t6, t6, 4 * ", $bytes),
                "addi a2, a2, 4",
                "addi s8, s8, -4",
                "8:",
                "addi s8, s8, 4",
                "beqz s8, 14f",
                "12:",
                "lw s0, 0(ra)",
                "addi ra, ra, 4",
                "mv a1, a0",
                "mv s6, a2",
                "bgeu a1, a3, 16f",
                "15:",
                "lb a5, 0(a1)",
                "FERROLITE_WEIGHT 0, s0, s6",
                "add s6, s6, s7",
                "lb a5, 1(a1)",
                "FERROLITE_WEIGHT 0, s0, s6",
                "add s6, s6, s7",
                "lb a5, 2(a1)",
                "FERROLITE_WEIGHT 0, s0, s6",
                "add s6, s6, s7",
                "lb a5, 3(a1)",
                "FERROLITE_WEIGHT 0, s0, s6",
                "add s6, s6, s7",
                "addi a1, a1, 4",
                "bltu a1, a3, 15b",
                "16:",
                "beq a1, a6, 17f",
                "13:",
                "lb a5, 0(a1)",
                "FERROLITE_WEIGHT 0, s0, s6",
                "addi a1, a1, 1",
                "add s6, s6, s7",
                "bne a1, a6, 13b",
                "17:",
                "FERROLITE_FINISH 0, s0",
                concat!("addi t6, t6, 1 * ", $bytes),
                "addi a2, a2, 1",
                "addi s8, s8, -1",
                "bnez s8, 12b",
                "14:",
                leave!(),
                // Turns the accumulator in a4 into an output, with the next multiplier or with the one that all
                // share.
                "9:",
                "FERROLITE_MULTIPLIER",
                "add t1, t1, t2",
                "10:",
                "FERROLITE_SCALE a4, s9, s10, s11, t4, t5, a5",
                "jr t0",
                ".purgem FERROLITE_SCALE",
                ".purgem FERROLITE_WEIGHT",
                ".purgem FERROLITE_STEP",
                ".purgem FERROLITE_FINISH",
                ".purgem FERROLITE_MULTIPLIER",
                ".option pop",
            )
        }
    };
}

dense!(
    dense,
    i8,
    "For multipliers that shift to the right.",
    scale,
    "sb",
    "1",
    [
        "lw s9, {mantissa}(t1)",
        "lw s10, {shift}(t1)",
        "slli s9, s9, 1",
        "not s10, s10",
        "sll s11, t3, s10",
        "addi s10, s10, 1",
    ]
);

dense!(
    dense_int16,
    i16,
    "For multipliers that shift to the right, with outputs of int16.",
    scale,
    "sh",
    "2",
    [
        "lw s9, {mantissa}(t1)",
        "lw s10, {shift}(t1)",
        "slli s9, s9, 1",
        "not s10, s10",
        "sll s11, t3, s10",
        "addi s10, s10, 1",
    ]
);

dense!(
    dense_general,
    i8,
    "For any multipliers.",
    scale_general,
    "sb",
    "1",
    ["lw s9, {mantissa}(t1)", "lw s10, {shift}(t1)", "slli s9, s9, 1", "srai s11, t3, 1"]
);

/// A row of a 3x3 depthwise convolution, channel by channel, column by column: `s0..s8` are the weights of
/// the channel, `s9..s11` are outputs to which two, one and no columns have been added so far.
macro_rules! depthwise_3x3 {
    ($name:ident, [$($body:literal),* $(,)?]) => {
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *mut Depthwise) {
            leaf!(
                [Depthwise: rows, channels, rewind, weights, bias, multipliers, step, out, row, left, half,
                     min, max;
                 Multiplier: mantissa, shift],
                ".option push",
                ".option arch, +m",
                scale!(),
                // An element times the weight `w` of an unfinished output.
                ".macro FERROLITE_ADD w, acc",
                "mul t1, t0, \\w",
                "add \\acc, \\acc, t1",
                ".endm",
                ".macro FERROLITE_NEXT",
                "add a1, a1, a4",
                "add a2, a2, a4",
                "add a3, a3, a4",
                ".endm",
                // The first column of a new output.
                ".macro FERROLITE_FIRST acc",
                "lb t0, 0(a1)",
                "mul \\acc, t0, s0",
                "add \\acc, \\acc, t6",
                "lb t0, 0(a2)",
                "FERROLITE_ADD s3, \\acc",
                "lb t0, 0(a3)",
                "FERROLITE_ADD s6, \\acc",
                "FERROLITE_NEXT",
                ".endm",
                // The column in the middle of one output and the first one of another.
                ".macro FERROLITE_SECOND middle, first",
                "lb t0, 0(a1)",
                "FERROLITE_ADD s1, \\middle",
                "mul \\first, t0, s0",
                "add \\first, \\first, t6",
                "lb t0, 0(a2)",
                "FERROLITE_ADD s4, \\middle",
                "FERROLITE_ADD s3, \\first",
                "lb t0, 0(a3)",
                "FERROLITE_ADD s7, \\middle",
                "FERROLITE_ADD s6, \\first",
                "FERROLITE_NEXT",
                ".endm",
                // The last column of one output, in the middle of another, the first one of a third.
                ".macro FERROLITE_THIRD last, middle, first",
                "lb t0, 0(a1)",
                "FERROLITE_ADD s2, \\last",
                "FERROLITE_ADD s1, \\middle",
                "mul \\first, t0, s0",
                "add \\first, \\first, t6",
                "lb t0, 0(a2)",
                "FERROLITE_ADD s5, \\last",
                "FERROLITE_ADD s4, \\middle",
                "FERROLITE_ADD s3, \\first",
                "lb t0, 0(a3)",
                "FERROLITE_ADD s8, \\last",
                "FERROLITE_ADD s7, \\middle",
                "FERROLITE_ADD s6, \\first",
                "FERROLITE_NEXT",
                ".endm",
                // A column that is only the middle of an output.
                ".macro FERROLITE_MIDDLE acc",
                "lb t0, 0(a1)",
                "FERROLITE_ADD s1, \\acc",
                "lb t0, 0(a2)",
                "FERROLITE_ADD s4, \\acc",
                "lb t0, 0(a3)",
                "FERROLITE_ADD s7, \\acc",
                "FERROLITE_NEXT",
                ".endm",
                // The last column of one output and the first one of another.
                ".macro FERROLITE_LAST last, first",
                "lb t0, 0(a1)",
                "FERROLITE_ADD s2, \\last",
                "mul \\first, t0, s0",
                "add \\first, \\first, t6",
                "lb t0, 0(a2)",
                "FERROLITE_ADD s5, \\last",
                "FERROLITE_ADD s3, \\first",
                "lb t0, 0(a3)",
                "FERROLITE_ADD s8, \\last",
                "FERROLITE_ADD s6, \\first",
                "FERROLITE_NEXT",
                ".endm",
                ".macro FERROLITE_FINISH acc",
                "FERROLITE_SCALE \\acc, a6, a7, t2, t3, t4, t1",
                "sb \\acc, 0(a5)",
                "add a5, a5, a4",
                ".endm",
                enter!(),
                "lw a1, {rows}(a0)",
                "lw a2, {rows} + 4(a0)",
                "lw a3, {rows} + 8(a0)",
                "lw a4, {channels}(a0)",
                "lw a5, {out}(a0)",
                "lw t3, {min}(a0)",
                "lw t4, {max}(a0)",
                "1:",
                "lw t0, {weights}(a0)",
                "lb s0, 0(t0)",
                "lb s1, 1(t0)",
                "lb s2, 2(t0)",
                "lb s3, 3(t0)",
                "lb s4, 4(t0)",
                "lb s5, 5(t0)",
                "lb s6, 6(t0)",
                "lb s7, 7(t0)",
                "lb s8, 8(t0)",
                "addi t0, t0, 9",
                "sw t0, {weights}(a0)",
                "lw t0, {bias}(a0)",
                "lw t6, 0(t0)",
                "addi t0, t0, 4",
                "sw t0, {bias}(a0)",
                "lw t0, {multipliers}(a0)",
                "lw t1, {step}(a0)",
                "lw a6, {mantissa}(t0)",
                "lw a7, {shift}(t0)",
                "lw t2, {half}(a0)",
                "add t0, t0, t1",
                "sw t0, {multipliers}(a0)",
                "slli a6, a6, 1",
                "not a7, a7",
                "sll t2, t2, a7",
                "addi a7, a7, 1",
                "lw t5, {row}(a0)",
                "add t5, t5, a5",
                $($body,)*
                "3:",
                // The next channel.
                "lw t0, {rewind}(a0)",
                "lw t1, {row}(a0)",
                "sub a1, a1, t0",
                "sub a2, a2, t0",
                "sub a3, a3, t0",
                "sub a5, a5, t1",
                "lw t0, {left}(a0)",
                "addi a5, a5, 1",
                "addi t0, t0, -1",
                "sw t0, {left}(a0)",
                "bnez t0, 1b",
                leave!(),
                ".purgem FERROLITE_SCALE",
                ".purgem FERROLITE_ADD",
                ".purgem FERROLITE_NEXT",
                ".purgem FERROLITE_FIRST",
                ".purgem FERROLITE_SECOND",
                ".purgem FERROLITE_THIRD",
                ".purgem FERROLITE_MIDDLE",
                ".purgem FERROLITE_LAST",
                ".purgem FERROLITE_FINISH",
                ".option pop",
            )
        }
    };
}

depthwise_3x3!(
    depthwise_stride_1,
    [
        "FERROLITE_FIRST s9",
        "FERROLITE_SECOND s9, s10",
        "2:",
        "FERROLITE_THIRD s9, s10, s11",
        "FERROLITE_FINISH s9",
        "beq a5, t5, 3f",
        "FERROLITE_THIRD s10, s11, s9",
        "FERROLITE_FINISH s10",
        "beq a5, t5, 3f",
        "FERROLITE_THIRD s11, s9, s10",
        "FERROLITE_FINISH s11",
        "bne a5, t5, 2b",
    ]
);

depthwise_3x3!(
    depthwise_stride_2,
    [
        "FERROLITE_FIRST s9",
        "2:",
        "FERROLITE_MIDDLE s9",
        "FERROLITE_LAST s9, s10",
        "FERROLITE_FINISH s9",
        "mv s9, s10",
        "bne a5, t5, 2b",
    ]
);
