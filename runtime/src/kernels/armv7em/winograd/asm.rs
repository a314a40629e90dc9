//! The leaves in assembly. `mod.rs` calls them after it has checked all sizes. The rules are those of
//! `armv7em/asm.rs`: loops start at multiples of 4 and consist of 32-bit instructions, and loads are grouped
//! in chains that do not mix flash and RAM.

use core::mem::offset_of;

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

/// Arguments of [`load`].
#[repr(C)]
pub(super) struct Load {
    pub rows: [*const i8; 4],
    /// Bytes from one pixel to the next, a multiple of 4.
    pub channels: usize,
    /// Groups of four channels, at least 1.
    pub groups: usize,
    pub left: usize,
    pub count: usize,
    pub right: usize,
    /// Twice the zero point in both halfwords.
    pub padding: i32,
    /// Ten columns of eight words.
    pub columns: *mut i32,
    /// `V`.
    pub target: *mut i32,
}

in_order!(first 4 words of Load: rows);

/// Addresses of a tile's outputs.
#[repr(C)]
pub(super) struct Place {
    pub first: *mut i8,
    /// Bytes to the second column; 0 if there is none.
    pub column: usize,
}

// `multiply` writes this field while it advances the pointer to the next `Place`.
const _: () = assert!(offset_of!(Place, first) == 0);

/// Arguments of [`multiply`].
#[repr(C)]
pub(super) struct Multiply {
    /// Aligned to 32 bytes.
    pub v: *const i32,
    pub filters: *const u32,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    pub half: i32,
    /// Pairs of output channels, at least 1.
    pub pairs: usize,
    /// Bytes of `V`, a multiple of 2048.
    pub span: usize,
    pub sums: *mut i32,
    /// Eight bytes for each tile that counts; at least one tile does.
    pub tiles_end: usize,
    /// Bytes to the second row; 0 if there is none.
    pub pitch: usize,
    pub places: [Place; 4],
}

/// For each group of four channels, columns of pixels become columns of `B d`, and these become `V`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn load(work: *mut Load) {
    leaf!(
        [Load: channels, groups, left, count, right, padding, columns, target],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        // Columns of padding: r6 is their number, r7 the word that is not 0.
        ".macro FERROLITE_PADDING",
        "cmp r6, #0",
        "beq.w 12f",
        "mov.w r8, #0",
        "11:",
        "str.w r7, [r5, #0]",
        "str.w r7, [r5, #4]",
        "str.w r8, [r5, #8]",
        "str.w r8, [r5, #12]",
        "str.w r8, [r5, #16]",
        "str.w r8, [r5, #20]",
        "str.w r8, [r5, #24]",
        "str.w r8, [r5, #28]",
        "add.w r5, r5, #32",
        "subs.w r6, r6, #1",
        "bne.w 11b",
        "12:",
        ".endm",
        // Computes the rows 1, 0, 2, 3 of B d from the pixels in r10, r11, r12, lr.
        ".macro FERROLITE_COLUMN at",
        "ssub16 r10, r10, r12",
        "ssub16 lr, r11, lr",
        "str.w r10, [r5, #\\at + 8]",
        "str.w lr, [r5, #\\at + 24]",
        "sadd16 r10, r11, r12",
        "ssub16 r11, r12, r11",
        "str.w r10, [r5, #\\at]",
        "str.w r11, [r5, #\\at + 16]",
        ".endm",
        // Computes a row of V of one tile from four columns.
        ".macro FERROLITE_TILE a, b, c, d, at",
        "ssub16 r12, \\a, \\c",
        "sadd16 lr, \\b, \\c",
        "str.w r12, [r1, #\\at]",
        "str.w lr, [r1, #\\at + 64]",
        "ssub16 r12, \\c, \\b",
        "ssub16 lr, \\b, \\d",
        "str.w r12, [r1, #\\at + 128]",
        "str.w lr, [r1, #\\at + 192]",
        ".endm",
        // Stack: 0 arguments, 4 channels, 8 end of the columns of pixels.
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #12",
        "str r0, [sp, #0]",
        "ldr r1, [r0, #{channels}]",
        "str r1, [sp, #4]",
        "1:",
        "ldr.w r12, [sp, #0]",
        "ldr.w r5, [r12, #{columns}]",
        "ldr.w r6, [r12, #{left}]",
        "ldr.w r7, [r12, #{padding}]",
        "FERROLITE_PADDING",
        "ldr.w r6, [r12, #{count}]",
        "ldm.w r12, {{r0, r1, r2, r3}}",
        "add.w r6, r5, r6, lsl #5",
        "str.w r6, [sp, #8]",
        "mov.w r4, #0",
        "cmp r5, r6",
        "beq.w 3f",
        ".p2align 2",
        "2:",
        "ldr.w r6, [r0, r4]",
        "ldr.w r7, [r1, r4]",
        "ldr.w r8, [r2, r4]",
        "ldr.w r9, [r3, r4]",
        "sxtb16 r10, r6",
        "sxtb16 r11, r7",
        "sxtb16 r12, r8",
        "sxtb16 lr, r9",
        "FERROLITE_COLUMN 0",
        "sxtb16 r10, r6, ror #8",
        "sxtb16 r11, r7, ror #8",
        "sxtb16 r12, r8, ror #8",
        "sxtb16 lr, r9, ror #8",
        "FERROLITE_COLUMN 4",
        "ldr.w r10, [sp, #4]",
        "ldr.w r11, [sp, #8]",
        "add.w r5, r5, #32",
        "add.w r4, r4, r10",
        "cmp.w r5, r11",
        "bne.w 2b",
        "3:",
        "ldr.w r12, [sp, #0]",
        "ldr.w r6, [r12, #{right}]",
        "ldr.w r7, [r12, #{padding}]",
        "FERROLITE_PADDING",
        "ldr.w r0, [r12, #{columns}]",
        "ldr.w r1, [r12, #{target}]",
        // The four rows of the first pair of channels, then those of the second.
        "mov.w r11, #2",
        "4:",
        "add.w r10, r0, #32",
        ".p2align 2",
        "5:",
        "ldr.w r2, [r0, #0]",
        "ldr.w r3, [r0, #32]",
        "ldr.w r4, [r0, #64]",
        "ldr.w r5, [r0, #96]",
        "ldr.w r6, [r0, #128]",
        "ldr.w r7, [r0, #160]",
        "ldr.w r8, [r0, #192]",
        "ldr.w r9, [r0, #224]",
        "FERROLITE_TILE r2, r3, r4, r5, 0",
        "FERROLITE_TILE r4, r5, r6, r7, 4",
        "ldr.w r2, [r0, #256]",
        "ldr.w r3, [r0, #288]",
        "FERROLITE_TILE r6, r7, r8, r9, 8",
        "FERROLITE_TILE r8, r9, r2, r3, 12",
        "add.w r0, r0, #8",
        "add.w r1, r1, #16",
        "cmp.w r0, r10",
        "bne.w 5b",
        "sub.w r0, r0, #28",
        "add.w r1, r1, #192",
        "subs.w r11, r11, #1",
        "bne.w 4b",
        // The next group of channels.
        "ldr.w r12, [sp, #0]",
        "ldm.w r12, {{r2, r3, r4, r5}}",
        "str.w r1, [r12, #{target}]",
        "add.w r2, r2, #4",
        "add.w r3, r3, #4",
        "add.w r4, r4, #4",
        "add.w r5, r5, #4",
        "stm.w r12, {{r2, r3, r4, r5}}",
        "ldr.w r2, [r12, #{groups}]",
        "subs.w r2, r2, #1",
        "str.w r2, [r12, #{groups}]",
        "bne.w 1b",
        "add sp, sp, #12",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_PADDING",
        ".purgem FERROLITE_COLUMN",
        ".purgem FERROLITE_TILE",
    )
}

/// Four tiles by all pairs of output channels. `r2..r9` hold the sums of both channels for each tile.
///
/// The second list makes of a channel's bias in `r7`, its mantissa in `r8`, its shift in `r9` and `half` in `r6` four
/// numbers in `r7` to `r10`, of which the first one is added to four times each sum. The third list finishes these,
/// with the others in `r11`, `r12` and `lr`; `r6` to `r10` are free, and the arguments are at 16 on the stack.
/// The first list and the last one define what these need, and undo it.
macro_rules! multiply {
    (
        $name:ident, $doc:literal, [$($define:literal),* $(,)?], [$($channel:literal),* $(,)?],
        [$($finish:literal),* $(,)?], [$($purge:literal),* $(,)?]
    ) => {
        #[doc = $doc]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(work: *mut Multiply) {
            leaf!(
                [Multiply: v, filters, bias, multipliers, step, half, pairs, span, sums, tiles_end, pitch, places;
                 Place: first, column;
                 Multiplier: mantissa, shift],
                concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
                // 16 products: two words of filters, and a word of each tile. `x` and `w` are in bytes.
                ".macro FERROLITE_STEP x, w",
                "ldr.w r10, [r1, #\\w]",
                "ldr.w r11, [r1, #\\w + 4]",
                "ldr.w r12, [r0, #\\x]",
                "ldr.w lr, [r0, #\\x + 4]",
                "smlad r2, r10, r12, r2",
                "smlad r3, r11, r12, r3",
                "smlad r4, r10, lr, r4",
                "smlad r5, r11, lr, r5",
                "ldr.w r12, [r0, #\\x + 8]",
                "ldr.w lr, [r0, #\\x + 12]",
                "smlad r6, r10, r12, r6",
                "smlad r7, r11, r12, r7",
                "smlad r8, r10, lr, r8",
                "smlad r9, r11, lr, r9",
                ".endm",
                $($define,)*
                // Finishes the outputs of a tile.
                ".macro FERROLITE_FINISH a, b, c, d",
                $($finish,)*
                ".endm",
                // Applies the rows of A to column `x` of a tile's sums. Slots are 32 bytes apart.
                ".macro FERROLITE_SUMS x, a, b",
                "ldr.w r10, [r0, #128 * \\x]",
                "ldr.w r11, [r0, #128 * \\x + 32]",
                "ldr.w r12, [r0, #128 * \\x + 64]",
                "ldr.w lr, [r0, #128 * \\x + 96]",
                "add.w \\a, r11, r12",
                "sub.w \\b, r10, lr",
                ".endm",
                // Stack: 0 end of V for this slot, 4 address of its sums, 8 span, 12 end of the sums, 16 arguments,
                // 20 filters, 24 four numbers of the channel, 40 pitch, 44
                // end of the tiles' sums, 48 remaining channels of the pair.
                "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "sub sp, sp, #52",
                "ldr r1, [r0, #{filters}]",
                "ldr r2, [r0, #{span}]",
                "ldr r3, [r0, #{sums}]",
                "ldr r4, [r0, #{pitch}]",
                "str r0, [sp, #16]",
                "str r1, [sp, #20]",
                "str r2, [sp, #8]",
                "add.w r3, r3, #512",
                "str r3, [sp, #12]",
                "str r4, [sp, #40]",
                "1:",
                "ldr.w r12, [sp, #16]",
                "ldr.w r1, [sp, #20]",
                "ldr.w r0, [r12, #{v}]",
                "ldr.w r2, [r12, #{span}]",
                "ldr.w r3, [r12, #{sums}]",
                "add.w r2, r2, r0",
                "str.w r2, [sp, #0]",
                "str.w r3, [sp, #4]",
                ".p2align 2",
                // The first step of a sum, which does not add to earlier values.
                "2:",
                "ldr.w r10, [r1, #0]",
                "ldr.w r11, [r1, #4]",
                "ldr.w r12, [r0, #0]",
                "ldr.w lr, [r0, #4]",
                "smuad r2, r10, r12",
                "smuad r3, r11, r12",
                "smuad r4, r10, lr",
                "smuad r5, r11, lr",
                "ldr.w r12, [r0, #8]",
                "ldr.w lr, [r0, #12]",
                "smuad r6, r10, r12",
                "smuad r7, r11, r12",
                "smuad r8, r10, lr",
                "smuad r9, r11, lr",
                "b.w 4f",
                ".p2align 2",
                "3:",
                "FERROLITE_STEP 0, 0",
                "4:",
                "FERROLITE_STEP 256, 8",
                "FERROLITE_STEP 512, 16",
                "FERROLITE_STEP 768, 24",
                "FERROLITE_STEP 1024, 32",
                "FERROLITE_STEP 1280, 40",
                "FERROLITE_STEP 1536, 48",
                "FERROLITE_STEP 1792, 56",
                "ldr.w r10, [sp, #0]",
                "ldr.w r12, [sp, #4]",
                "ldr.w r11, [sp, #8]",
                "ldr.w lr, [sp, #12]",
                "add.w r0, r0, #2048",
                "add.w r1, r1, #64",
                "cmp.w r0, r10",
                "bne.w 3b",
                "stmia.w r12!, {{r2, r3, r4, r5, r6, r7, r8, r9}}",
                "add.w r10, r10, #16",
                "sub.w r0, r10, r11",
                "str.w r10, [sp, #0]",
                "str.w r12, [sp, #4]",
                // After an even slot, the sum continues.
                "tst.w r0, #16",
                "bne.w 3b",
                "cmp.w r12, lr",
                "bne.w 2b",
                // Computes the outputs of both channels.
                "str.w r1, [sp, #20]",
                "ldr.w r1, [sp, #16]",
                "ldr.w r0, [r1, #{sums}]",
                "mov.w r2, #2",
                "str.w r2, [sp, #48]",
                "5:",
                "ldr.w r3, [r1, #{bias}]",
                "ldr.w r4, [r1, #{multipliers}]",
                "ldr.w r5, [r1, #{step}]",
                "ldr.w r6, [r1, #{half}]",
                "ldr.w r7, [r3], #4",
                "ldr.w r8, [r4, #{mantissa}]",
                "ldr.w r9, [r4, #{shift}]",
                "add.w r4, r4, r5",
                "str.w r3, [r1, #{bias}]",
                "str.w r4, [r1, #{multipliers}]",
                $($channel,)*
                "add.w r3, sp, #24",
                "stm.w r3, {{r7, r8, r9, r10}}",
                "ldr.w r3, [r1, #{tiles_end}]",
                "add.w r3, r3, r0",
                "str.w r3, [sp, #44]",
                "add.w r1, r1, #{places}",
                ".p2align 2",
                "6:",
                "FERROLITE_SUMS 0, r2, r3",
                "FERROLITE_SUMS 1, r4, r5",
                "FERROLITE_SUMS 2, r6, r7",
                "FERROLITE_SUMS 3, r8, r9",
                "ldr.w r10, [sp, #24]",
                "ldr.w r11, [sp, #28]",
                "ldr.w r12, [sp, #32]",
                "ldr.w lr, [sp, #36]",
                "add.w r4, r4, r10",
                "add.w r5, r5, r10",
                "add.w r2, r2, r4",
                "add.w r3, r3, r5",
                "sub.w r4, r4, r6",
                "sub.w r5, r5, r7",
                "add.w r2, r2, r6",
                "add.w r3, r3, r7",
                "sub.w r4, r4, r8",
                "sub.w r5, r5, r9",
                "FERROLITE_FINISH r2, r3, r4, r5",
                "ldr.w r6, [r1, #{first}]",
                "ldr.w r7, [r1, #{column}]",
                "ldr.w r8, [sp, #40]",
                "ldr.w r9, [sp, #44]",
                // Writes from the last output to the first: a missing one has the address of one that exists.
                "add.w r8, r8, r6",
                "add.w r0, r0, #8",
                "strb.w r5, [r8, r7]",
                "strb.w r3, [r8]",
                "strb.w r4, [r6, r7]",
                "strb.w r2, [r6], #1",
                "str.w r6, [r1], #{place}",
                "cmp.w r0, r9",
                "bne.w 6b",
                "ldr.w r1, [sp, #16]",
                "ldr.w r0, [r1, #{sums}]",
                "ldr.w r2, [sp, #48]",
                "add.w r0, r0, #4",
                "subs.w r2, r2, #1",
                "str.w r2, [sp, #48]",
                "bne.w 5b",
                "ldr.w r2, [r1, #{pairs}]",
                "subs.w r2, r2, #1",
                "str.w r2, [r1, #{pairs}]",
                "bne.w 1b",
                "add sp, sp, #52",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
                ".purgem FERROLITE_STEP",
                ".purgem FERROLITE_FINISH",
                ".purgem FERROLITE_SUMS",
                $($purge,)*
                place = const size_of::<Place>(),
            )
        }
    };
}

// Four times the bias, mantissa, right shift minus one, rounding term.
multiply!(
    multiply,
    "For multipliers that shift to the right, and sums below 2^29 with their bias.",
    [],
    ["lsl.w r7, r7, #2", "mvn.w r9, r9", "lsl.w r10, r6, r9",],
    [
        "asr.w \\a, \\a, #1",
        "asr.w \\b, \\b, #1",
        "asr.w \\c, \\c, #1",
        "asr.w \\d, \\d, #1",
        // One term stands for both roundings: see `../conv/asm.rs`.
        "add.w r6, lr, \\a, asr #31",
        "add.w r7, lr, \\b, asr #31",
        "add.w r8, lr, \\c, asr #31",
        "add.w r9, lr, \\d, asr #31",
        "smmlar \\a, \\a, r11, r6",
        "smmlar \\b, \\b, r11, r7",
        "smmlar \\c, \\c, r11, r8",
        "smmlar \\d, \\d, r11, r9",
        "asr.w \\a, \\a, r12",
        "asr.w \\b, \\b, r12",
        "asr.w \\c, \\c, r12",
        "asr.w \\d, \\d, r12",
        "ssat \\a, #8, \\a, asr #1",
        "ssat \\b, #8, \\b, asr #1",
        "ssat \\c, #8, \\c, asr #1",
        "ssat \\d, #8, \\d, asr #1",
    ],
    []
);

// 0, mantissa, shift, bias.
multiply!(
    multiply_general,
    "For any multipliers and biases, and sums below 2^29 without their bias.",
    [
        // All 32 bits of an accumulator times the mantissa, doubled, upper word, rounded.
        ".macro FERROLITE_SCALE x",
        "smull r6, \\x, \\x, r11",
        "adds.w r6, r6, r6",
        "adc.w \\x, \\x, \\x",
        "add.w \\x, \\x, r6, lsr #31",
        ".endm",
        // To the right by r7 plus one; r10 is `half`.
        ".macro FERROLITE_RIGHT x",
        "FERROLITE_SCALE \\x",
        "add.w \\x, \\x, \\x, asr #31",
        "asr.w \\x, \\x, r7",
        "qadd \\x, \\x, r10",
        "ssat \\x, #8, \\x, asr #1",
        ".endm",
        // To the left by r12; r10 is the zero point.
        ".macro FERROLITE_LEFT x",
        "lsl.w \\x, \\x, r12",
        "FERROLITE_SCALE \\x",
        "add.w \\x, \\x, r10",
        "ssat \\x, #8, \\x",
        ".endm",
    ],
    ["mov.w r10, r7", "mov.w r7, #0"],
    [
        "ldr.w r10, [sp, #16]",
        "add.w \\a, lr, \\a, asr #2",
        "add.w \\b, lr, \\b, asr #2",
        "add.w \\c, lr, \\c, asr #2",
        "add.w \\d, lr, \\d, asr #2",
        "ldr.w r10, [r10, #{half}]",
        "mvns.w r7, r12",
        "bmi.w 91f",
        "FERROLITE_RIGHT \\a",
        "FERROLITE_RIGHT \\b",
        "FERROLITE_RIGHT \\c",
        "FERROLITE_RIGHT \\d",
        "b.w 92f",
        "91:",
        "asr.w r10, r10, #1",
        "FERROLITE_LEFT \\a",
        "FERROLITE_LEFT \\b",
        "FERROLITE_LEFT \\c",
        "FERROLITE_LEFT \\d",
        "92:",
    ],
    [".purgem FERROLITE_SCALE", ".purgem FERROLITE_RIGHT", ".purgem FERROLITE_LEFT"]
);
