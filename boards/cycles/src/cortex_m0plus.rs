//! Prices of the Cortex-M0+, in cycles at zero wait states.
//!
//! Source: Arm's Cortex-M0+ Technical Reference Manual, table 3-1, with the multiplier of one cycle that the STM32G0
//! and the RP2040 have. Not held against silicon. Two stages, so nothing depends on what stands before.

use crate::decode::{Class, Exit, Instruction};

/// Cycles of a block.
pub fn cycles(block: &[(u32, Instruction)]) -> u32 {
    block.iter().map(|(_, instruction)| price(instruction)).sum()
}

fn price(instruction: &Instruction) -> u32 {
    match instruction.class {
        Class::Load | Class::Store => 2,
        Class::LoadMany | Class::StoreMany => 1 + instruction.count,
        Class::Barrier => 3,
        // BL is one of two halfwords.
        Class::Branch if instruction.wide => 2,
        _ => 1,
    }
}

/// What a taken branch costs beyond its price.
pub fn taken(exit: Exit) -> u32 {
    match exit {
        Exit::None => 0,
        Exit::Loaded => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_those_of_the_manual() {
        for (name, code, wide, cycles) in [
            ("adds r1, r1, #4", 0x1d09, false, 1),
            ("muls r0, r1, r0", 0x4348, false, 1),
            ("ldr r0, [r1]", 0x6808, false, 2),
            ("str r0, [r1]", 0x6008, false, 2),
            ("ldm r0!, {r1, r2, r3}", 0xc80e, false, 4),
            ("push {r4, r5, r6, r7, lr}", 0xb5f0, false, 6),
            ("b .", 0xe7fe, false, 1),
            ("bl", 0xf000_f800, true, 2),
            ("dsb", 0xf3bf_8f4f, true, 3),
        ] {
            assert_eq!(super::cycles(&[(0, Instruction::decode(code, wide))]), cycles, "{name}");
        }
        // POP with PC takes 3 and its registers, BX and B 2.
        assert_eq!(taken(Exit::Loaded) + 2, 4);
        assert_eq!((taken(Exit::Direct), taken(Exit::Return), taken(Exit::None)), (1, 1, 0));
    }
}
