//! Cycles of a simple RV32IMC core: four stages, one instruction a cycle, in order, without prediction of branches, as
//! the ESP32-C3 has it.
//!
//! A loaded value is a cycle late, a taken branch and a jump lose two cycles, a division takes 33 at most and 20 as a
//! rule. Sources: The RISC-V Instruction Set Manual (encodings), Espressif's ESP32-C3 Technical Reference Manual
//! (stages). Held against no program whose cycles are known: an estimate.

use crate::decode::{Class, Exit, Instruction, Registers};

/// What a taken branch costs beyond its price.
pub const TAKEN: u32 = 2;

/// Whether these are the lower 16 bits of an instruction of 32.
pub fn is_wide(halfword: u32) -> bool {
    halfword & 3 == 3
}

/// Cycles of a block.
pub fn cycles(block: &[(u32, Instruction)]) -> u32 {
    let mut loaded: Registers = 0;
    let mut clock = 0;
    for (_, this) in block {
        let price = if this.class == Class::Divide { 20 } else { 1 };
        clock += price + u32::from(this.reads & loaded != 0);
        loaded = if this.class == Class::Load { this.writes } else { 0 };
    }
    clock
}

/// Decodes an instruction: 16 bits, or 32.
pub fn decode(code: u32, wide: bool) -> Instruction {
    let instruction = if wide { word(code) } else { compressed(code) };
    // Register 0 is none.
    Instruction { wide, reads: instruction.reads & !1, writes: instruction.writes & !1, ..instruction }
}

fn new(class: Class, writes: Registers, reads: Registers) -> Instruction {
    let exit = if class == Class::Branch { Exit::Direct } else { Exit::None };
    Instruction { class, writes, reads, exit, count: 1, ..Instruction::default() }
}

fn word(code: u32) -> Instruction {
    let register = |at: u32| 1u32 << (code >> at & 31);
    let (d, a, b) = (register(7), register(15), register(20));
    match code & 0x7f {
        0x03 => Instruction { address: a, ..new(Class::Load, d, a) },
        0x23 => Instruction { address: a, data: b, ..new(Class::Store, 0, a | b) },
        0x63 => new(Class::Branch, 0, a | b),
        0x67 => new(Class::Branch, d, a),
        0x6f => new(Class::Branch, d, 0),
        0x33 if code >> 25 == 1 => {
            new(if code >> 14 & 1 == 0 { Class::Multiply } else { Class::Divide }, d, a | b)
        }
        0x33 => new(Class::Alu, d, a | b),
        0x13 => new(Class::Alu, d, a),
        0x17 | 0x37 => new(Class::Alu, d, 0),
        0x0f => new(Class::Barrier, 0, 0),
        _ => new(Class::System, d, a),
    }
}

fn compressed(code: u32) -> Instruction {
    let full = |at: u32| 1u32 << (code >> at & 31);
    let short = |at: u32| 1u32 << (8 + (code >> at & 7));
    let (d, b) = (full(7), full(2));
    let (dp, bp) = (short(7), short(2));
    match (code & 3, code >> 13 & 7) {
        (0, 0) => new(Class::Alu, bp, 1 << 2),
        (0, 1..=3) => Instruction { address: dp, ..new(Class::Load, bp, dp) },
        (0, _) => Instruction { address: dp, data: bp, ..new(Class::Store, 0, dp | bp) },
        (1, 0) => new(Class::Alu, d, d),
        (1, 1) => new(Class::Branch, 1 << 1, 0),
        (1, 2 | 3) => new(Class::Alu, d, if code >> 13 & 7 == 3 { d } else { 0 }),
        (1, 4) => new(Class::Alu, dp, dp | if code >> 10 & 3 == 3 { bp } else { 0 }),
        (1, 5) => new(Class::Branch, 0, 0),
        (1, _) => new(Class::Branch, 0, dp),
        (2, 0) => new(Class::Alu, d, d),
        (2, 1..=3) => new(Class::Load, d, 1 << 2),
        // A jump to a register where the second one is 0.
        (2, 4) if code >> 2 & 31 == 0 => new(Class::Branch, code >> 12 & 1, d),
        (2, 4) => new(Class::Alu, d, b | if code >> 12 & 1 == 1 { d } else { 0 }),
        (_, _) => new(Class::Store, 0, b | 1 << 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(codes: &[u32]) -> u32 {
        let place = |&code: &u32| (0, decode(code, is_wide(code)));
        cycles(&codes.iter().map(place).collect::<Vec<_>>())
    }

    #[test]
    fn classes_of_instructions() {
        for (name, code, class) in [
            ("lw a0, 0(a1)", 0x0005_a503, Class::Load),
            ("lb a0, 0(a1)", 0x0005_8503, Class::Load),
            ("sw a0, 0(a1)", 0x00a5_a023, Class::Store),
            ("mul a0, a1, a2", 0x02c5_8533, Class::Multiply),
            ("div a0, a1, a2", 0x02c5_c533, Class::Divide),
            ("add a0, a1, a2", 0x00c5_8533, Class::Alu),
            ("beq a0, a1, .", 0x00b5_0063, Class::Branch),
            ("c.lw a0, 0(a1)", 0x4188, Class::Load),
            ("c.sw a0, 0(a1)", 0xc188, Class::Store),
            ("c.addi a0, 1", 0x0505, Class::Alu),
            ("c.bnez a0, .", 0xe101, Class::Branch),
            ("c.jr ra", 0x8082, Class::Branch),
            ("c.mv a0, a1", 0x852e, Class::Alu),
            ("c.lwsp a0, 0", 0x4502, Class::Load),
            ("c.swsp a0, 0", 0xc02a, Class::Store),
        ] {
            assert_eq!(decode(code, is_wide(code)).class, class, "{name}");
        }
    }

    #[test]
    fn a_loaded_value_is_a_cycle_late() {
        let (lw, add) = (0x0005_a503, 0x00a5_8533);
        assert_eq!(block(&[lw, add]), 3);
        assert_eq!(block(&[lw, 0x0001, add]), 3);
    }
}
