//! Cycles of the Cortex-M55 with tightly coupled memory: in order, one instruction a cycle, vectors of two beats.
//!
//! A vector instruction has four beats of 32 bits, of which this core does two in a cycle: two cycles, of which the
//! second overlaps with the next vector instruction where that needs another unit (a load beside arithmetic). Narrow
//! instructions that do not depend on one another may be issued together. The end of a loop (LE) is foreseen.
//! Sources: Arm's Cortex-M55 Technical Reference Manual and "Armv8-M Architecture Reference Manual", B5.4 on beats.
//! Held against no program whose cycles are known: an estimate.

use crate::decode::{Class, Exit, Instruction};

/// Cycles of a block.
pub fn cycles(block: &[(u32, Instruction)]) -> u32 {
    let mut before: Option<&Instruction> = None;
    let mut paired = false;
    let mut clock = 0;
    for (_, this) in block {
        let price = match before {
            Some(before) if vectors(before, this) && before.class != this.class => 1,
            Some(before) if !paired && together(before, this) => 0,
            // What was loaded just before is a cycle late.
            Some(before) if before.class == Class::Load && before.writes & this.reads != 0 => alone(this) + 1,
            _ => alone(this),
        };
        paired = price == 0;
        clock += price;
        before = Some(this);
    }
    clock
}

fn alone(instruction: &Instruction) -> u32 {
    match instruction.class {
        Class::Vector | Class::VectorMemory => 2,
        Class::LoadMany | Class::StoreMany | Class::FloatLoad | Class::FloatStore => {
            instruction.count.div_ceil(2).max(1)
        }
        Class::Divide => 6,
        Class::FloatDivide => 14,
        Class::Barrier => 3,
        _ if instruction.exit == Exit::Loop => 0,
        _ => 1,
    }
}

fn vectors(a: &Instruction, b: &Instruction) -> bool {
    let vector = |this: &Instruction| matches!(this.class, Class::Vector | Class::VectorMemory);
    vector(a) && vector(b)
}

/// Whether two narrow instructions are issued together.
fn together(a: &Instruction, b: &Instruction) -> bool {
    let simple = |this: &Instruction| !this.wide && this.class == Class::Alu;
    simple(a) && (simple(b) || !b.wide && b.class == Class::Branch) && a.writes & (b.reads | b.writes) == 0
}

/// What a taken branch costs beyond its price.
pub fn taken(exit: Exit) -> u32 {
    match exit {
        Exit::None | Exit::Loop => 0,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(codes: &[u32]) -> u32 {
        let place = |&code: &u32| (0, Instruction::decode(code, code > 0xffff));
        cycles(&codes.iter().map(place).collect::<Vec<_>>())
    }

    /// vldrb.u8 q0, [r0]; vmladava.s8 r2, q0, q1; le.
    const VLDRB: u32 = 0xed90_1e00;
    const VMLADAVA: u32 = 0xeef0_2e22;
    const LE: u32 = 0xf00f_c001;

    #[test]
    fn vectors_overlap_across_units() {
        assert_eq!(block(&[VLDRB]), 2);
        assert_eq!(block(&[VLDRB, VLDRB]), 4);
        assert_eq!(block(&[VLDRB, VMLADAVA, VLDRB, VMLADAVA]), 5);
    }

    #[test]
    fn loops_end_for_nothing() {
        assert_eq!(block(&[VMLADAVA, LE]), 2);
        assert_eq!(Instruction::decode(LE, true).exit, Exit::Loop);
        assert_eq!(taken(Exit::Loop), 0);
    }

    #[test]
    fn narrow_instructions_pair() {
        assert_eq!(block(&[0x1d09, 0x1d12]), 1);
        assert_eq!(block(&[0x1d09, 0x1d09]), 2);
        assert_eq!(block(&[0x6808, 0x1880]), 3);
    }
}
