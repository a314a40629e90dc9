//! Cycles of the Cortex-M7 with caches that always hit, or with tightly coupled memory: two instructions a cycle at
//! most, in order, each when its operands are there. Nothing carries over from one block to the next.
//!
//! Source: "pipeline cycle test" of jnk0le, measured on an STM32H743; Arm publishes no timings. Held against no program
//! whose cycles are known: an estimate.

use crate::decode::{Class, Instruction, Registers};

/// What a branch costs whose target was foreseen wrongly.
pub const MISSED: u32 = 8;

/// Cycles of a block.
pub fn cycles(block: &[(u32, Instruction)]) -> u32 {
    let mut writers: [Option<(&Instruction, u32)>; 15] = [None; 15];
    let mut before: Option<&Instruction> = None;
    // The cycle behind the last issue, and whether its second slot is free.
    let (mut next, mut free) = (0u32, false);
    for (_, this) in block {
        let pairs = free && before.is_some_and(|before| may_pair(before, this));
        let earliest = if pairs { next - 1 } else { next };
        let ready = |(register, writer): (usize, &Option<(&Instruction, u32)>)| {
            let (writer, issued) = writer.as_ref()?;
            let register = 1 << register;
            (this.reads & register != 0).then(|| issued + latency(writer, this, register))
        };
        let start = writers.iter().enumerate().filter_map(ready).max().unwrap_or(0).max(earliest);
        let busy = busy(this);
        for (register, writer) in writers.iter_mut().enumerate() {
            if this.writes >> register & 1 != 0 {
                *writer = Some((this, start + busy - 1));
            }
        }
        free = busy == 1 && start >= next;
        next = start + busy;
        before = Some(this);
    }
    next
}

/// Cycles that an instruction keeps the pipeline.
fn busy(instruction: &Instruction) -> u32 {
    match instruction.class {
        Class::LoadMany
        | Class::StoreMany
        | Class::LoadPair
        | Class::StorePair
        | Class::FloatLoad
        | Class::FloatStore => instruction.count.div_ceil(2).max(1),
        Class::Divide => 6,
        Class::FloatDivide => 14,
        Class::Barrier => 5,
        _ => 1,
    }
}

/// Whether two instructions can be issued together.
fn may_pair(a: &Instruction, b: &Instruction) -> bool {
    let alone = |this: &Instruction| {
        use Class::*;
        matches!(
            this.class,
            LoadMany | StoreMany | LoadPair | StorePair | Barrier | Divide | FloatLoad | FloatStore
        )
    };
    let product = |this: &Instruction| this.class == Class::Multiply;
    let lanes = |this: &Instruction| this.class == Class::Alu && this.late;
    !(alone(a)
        || alone(b)
        || a.class == Class::Branch
        || product(a) && (product(b) || b.stores())
        || a.stores() && (product(b) || b.stores())
        || lanes(a) && lanes(b))
}

/// Cycles from the issue of the writer of a register to that of its reader.
fn latency(writer: &Instruction, reader: &Instruction, register: Registers) -> u32 {
    let accumulates = reader.accumulator & register != 0;
    let address = reader.address & register != 0;
    let early = address || reader.late || reader.class == Class::Multiply;
    if reader.data & register != 0 {
        // Stores take their data late.
        0
    } else if writer.loads() {
        let base = writer.write_back && register & writer.address != 0;
        if base || accumulates { 1 } else { 1 + u32::from(early) }
    } else if writer.class == Class::Multiply {
        if accumulates { 1 } else { 2 + u32::from(address) }
    } else if writer.late && address {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(codes: &[u32]) -> u32 {
        let place = |&code: &u32| (0, Instruction::decode(code, code > 0xffff));
        cycles(&codes.iter().map(place).collect::<Vec<_>>())
    }

    const LDR_R0_R1: u32 = 0x6808;
    const LDR_R2_R1_4: u32 = 0x684a;
    const ADDS_R1_R1_4: u32 = 0x1d09;
    const ADDS_R0_R0_R2: u32 = 0x1880;
    const SMLAD_R0: u32 = 0xfb21_0002;
    const NOP: u32 = 0xbf00;

    #[test]
    fn independent_instructions_go_in_pairs() {
        assert_eq!(block(&[NOP; 4]), 2);
        assert_eq!(block(&[LDR_R0_R1, LDR_R2_R1_4]), 1);
        assert_eq!(block(&[ADDS_R1_R1_4, ADDS_R1_R1_4]), 2);
    }

    #[test]
    fn products_and_pairs_of_words_do_not() {
        assert_eq!(block(&[SMLAD_R0, SMLAD_R0]), 2);
        assert_eq!(block(&[SMLAD_R0, NOP]), 1);
        // ldrd r0, r1, [r2]
        assert_eq!(block(&[0xe9d2_0100, NOP]), 2);
        assert_eq!(block(&[0xe890_0ff0]), 4);
    }

    #[test]
    fn results_are_waited_for() {
        assert_eq!(block(&[LDR_R0_R1, ADDS_R0_R0_R2]), 2);
        assert_eq!(block(&[SMLAD_R0, ADDS_R0_R0_R2]), 3);
        // str r0, [r2] takes what was loaded in the same cycle.
        assert_eq!(block(&[LDR_R0_R1, 0x6010]), 1);
    }
}
