//! Cycles of the Cortex-M33 at zero wait states: in order, one instruction a cycle at most, each when its
//! operands are there. Nothing carries over from one block to the next.
//!
//! Source: "pipeline cycle test" of jnk0le, measured on an RP2350; Arm publishes no timings.

use crate::decode::{Class, Exit, Instruction, Registers};

/// What a taken branch costs beyond its price.
pub const TAKEN: u32 = 1;

/// Cycles of a block.
pub fn cycles(block: &[(u32, Instruction)]) -> u32 {
    let mut clock = 0;
    let mut board = Scoreboard::default();
    let mut before: Option<&Instruction> = None;
    for (_, this) in block {
        let start = board.ready(this).max(clock);
        // A narrow branch may issue together with a narrow instruction before it.
        let paired = this.class == Class::Branch
            && this.exit == Exit::Direct
            && !this.wide
            && start == clock
            && before.is_some_and(|before| !before.wide && before.class != Class::Branch);
        let busy = if paired { 0 } else { issue(this) };
        board.write(this, (start + busy).saturating_sub(1));
        clock = start + busy;
        before = Some(this);
    }
    clock
}

/// Cycles that an instruction keeps the pipeline.
fn issue(instruction: &Instruction) -> u32 {
    match instruction.class {
        Class::LoadMany | Class::StoreMany | Class::FloatLoad | Class::FloatStore => instruction.count,
        Class::LoadPair | Class::StorePair => 2,
        Class::Divide => 6,
        Class::FloatDivide => 14,
        Class::Barrier => 3,
        Class::If => 0,
        _ => 1,
    }
}

/// Who wrote each register last, and when it was issued.
#[derive(Default)]
struct Scoreboard<'a> {
    writers: [Option<(&'a Instruction, u32)>; 15],
}

impl<'a> Scoreboard<'a> {
    /// The first cycle in which the operands of an instruction are there.
    fn ready(&self, this: &Instruction) -> u32 {
        let ready = |(register, writer): (usize, &Option<(&Instruction, u32)>)| {
            let (writer, issued) = writer.as_ref()?;
            let register = 1 << register;
            (this.reads & register != 0).then(|| issued + latency(writer, this, register))
        };
        self.writers.iter().enumerate().filter_map(ready).max().unwrap_or(0)
    }

    fn write(&mut self, this: &'a Instruction, issued: u32) {
        for (register, writer) in self.writers.iter_mut().enumerate() {
            if this.writes >> register & 1 != 0 {
                *writer = Some((this, issued));
            }
        }
    }
}

/// Cycles from the issue of the writer of a register to that of its reader.
fn latency(writer: &Instruction, reader: &Instruction, register: Registers) -> u32 {
    let accumulates = reader.accumulator & register != 0;
    if writer.loads() {
        let base = writer.write_back && register & writer.address != 0;
        let forwarded = accumulates || reader.data & register != 0;
        if base || forwarded { 1 } else { 2 }
    } else if writer.class == Class::Multiply {
        if accumulates { 1 } else { 2 }
    } else if writer.late {
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
    const ADDS_R0_R0_R2: u32 = 0x1880;
    const NOP: u32 = 0xbf00;

    #[test]
    fn a_loaded_value_is_there_a_cycle_later() {
        assert_eq!(block(&[LDR_R0_R1]), 1);
        assert_eq!(block(&[LDR_R0_R1, ADDS_R0_R0_R2]), 3);
        assert_eq!(block(&[LDR_R0_R1, NOP, ADDS_R0_R0_R2]), 3);
        // Not for what stores it or adds a product to it: str r0, [r2]; mla r0, r2, r3, r0.
        assert_eq!(block(&[LDR_R0_R1, 0x6010]), 2);
        assert_eq!(block(&[LDR_R0_R1, 0xfb02_0003]), 2);
    }

    #[test]
    fn products_are_late_except_for_sums_of_products() {
        const SMLAD_R0: u32 = 0xfb21_0002;
        assert_eq!(block(&[SMLAD_R0, SMLAD_R0]), 2);
        assert_eq!(block(&[SMLAD_R0, ADDS_R0_R0_R2]), 3);
    }

    #[test]
    fn shifted_results_are_late() {
        // sxtb16 r0, r1; then adds r0, r0, r2, or one that does not need it.
        assert_eq!(block(&[0xfa2f_f081, ADDS_R0_R0_R2]), 3);
        assert_eq!(block(&[0xfa2f_f081, 0x1d09]), 2);
        // lsls r0, r1, #1
        assert_eq!(block(&[0x0048, ADDS_R0_R0_R2]), 3);
    }

    #[test]
    fn several_words_keep_the_pipeline() {
        assert_eq!(block(&[0xe9d2_0100]), 2);
        assert_eq!(block(&[0xc80e]), 3);
    }

    #[test]
    fn narrow_branches_pair_and_it_is_free() {
        const BNE: u32 = 0xd1fe;
        assert_eq!(block(&[NOP, BNE]), 1);
        assert_eq!(block(&[0xeb00_0001, BNE]), 2);
        assert_eq!(block(&[NOP, 0xf47f_affe]), 2);
        assert_eq!(block(&[NOP, 0xbf08]), 1);
    }
}
