//! Prices of the Cortex-M4, in cycles at zero wait states.
//!
//! Sources: Arm's Cortex-M4 Technical Reference Manual, table 3-1 and section 3.3.2 on pairing; "pipeline cycle test" of
//! jnk0le (load chains across memories); compendium.i-0.nl (alignment of fetches). Where they disagree, on
//! a store behind a load and on taken branches, totals of programs on silicon decide.

use crate::decode::{Class, Exit, Instruction};

/// Price of an instruction by its class, alone.
fn alone(instruction: &Instruction) -> u32 {
    let count = instruction.count;
    match instruction.class {
        Class::Alu | Class::Multiply | Class::Branch | Class::If | Class::System | Class::Float => 1,
        // From 2 to 12 by the operands' size.
        Class::Divide => 6,
        Class::Load => 2,
        // The write buffer hides the rest.
        Class::Store => 1 + u32::from(instruction.register_offset),
        Class::LoadPair | Class::StorePair => 3,
        Class::LoadMany | Class::StoreMany | Class::FloatLoad | Class::FloatStore => 1 + count,
        Class::FloatMultiplyAdd | Class::Barrier => 3,
        Class::FloatDivide => 14,
        Class::FloatMove => count,
        // This core has none.
        Class::Vector | Class::VectorMemory => 1,
    }
}

/// What a taken branch costs beyond its price.
pub fn taken(exit: Exit) -> u32 {
    match exit {
        Exit::None => 0,
        Exit::Direct | Exit::Return | Exit::Late | Exit::Loop => 2,
        Exit::Loaded => 3,
        Exit::Table => 5,
    }
}

/// A load of one register directly behind another that it does not depend on: their bus accesses
/// overlap.
pub fn is_chained(before: Option<&Instruction>, this: &Instruction) -> bool {
    this.class == Class::Load
        && before.is_some_and(|before| before.class == Class::Load && this.address & before.writes == 0)
}

/// Prices of the instructions of a block, each with its address.
pub fn prices(block: &[(u32, Instruction)]) -> impl Iterator<Item = u32> {
    let mut before: Option<&Instruction> = None;
    let mut fetch = Fetch::default();
    block.iter().map(move |(address, this)| {
        let price = alone(this) + fetch.stall(*address, this);
        let price = match before {
            Some(before) => beside(before, this, price),
            None => price,
        };
        before = Some(this);
        price
    })
}

/// The price with what the instruction before changes about it.
fn beside(before: &Instruction, this: &Instruction, price: u32) -> u32 {
    let address_late = before.computes() && before.writes & this.address != 0;
    let price = price + u32::from(address_late);
    match (before.class, this.class) {
        (_, Class::Load) if is_chained(Some(before), this) => price - 1,
        // The load waits for the store's data.
        (Class::Store, Class::Load) => price + 1,
        // Folded into a narrow instruction.
        (_, Class::If) if !before.wide => price - 1,
        _ => price,
    }
}

/// The prefetch buffer, which takes aligned words: it runs dry at the third of consecutive wide
/// instructions that straddle words, unless one of many cycles lets it catch up.
#[derive(Default)]
struct Fetch {
    run: u32,
}

impl Fetch {
    fn stall(&mut self, address: u32, this: &Instruction) -> u32 {
        if !this.wide || address & 2 == 0 {
            self.run = 0;
            return 0;
        }
        self.run += 1;
        let stall = u32::from(self.run == 3);
        let catches_up = this.loads()
            || matches!(this.class, Class::StoreMany | Class::StorePair | Class::Divide | Class::Branch)
            || (this.class == Class::Store && this.register_offset);
        if catches_up {
            self.run = 1;
        }
        stall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prices of instructions one behind the other, from an address on; wide ones are those above
    /// 0xffff.
    fn price(start: u32, codes: &[u32]) -> Vec<u32> {
        let mut address = start;
        let block: Vec<(u32, Instruction)> = codes
            .iter()
            .map(|&code| {
                let wide = code > 0xffff;
                let placed = (address, Instruction::decode(code, wide));
                address += if wide { 4 } else { 2 };
                placed
            })
            .collect();
        prices(&block).collect()
    }

    const LDR_R0_R1: u32 = 0x6808;
    const LDR_R2_R1_4: u32 = 0x684a;
    const LDR_R3_R0: u32 = 0x6803;
    const STR_R0_R1: u32 = 0x6008;
    const ADDS_R1_R1_4: u32 = 0x1d09;
    const ADD_W: u32 = 0xeb00_0001;
    const SMLAD: u32 = 0xfb21_0002;
    const IT_EQ: u32 = 0xbf08;

    #[test]
    fn single_instructions() {
        for (name, code, cycles) in [
            ("adds r1, r1, #4", ADDS_R1_R1_4, 1),
            ("smlad r0, r1, r2, r0", SMLAD, 1),
            ("smull r0, r1, r2, r3", 0xfb82_0103, 1),
            ("udiv r0, r1, r2", 0xfbb1_f0f2, 6),
            ("ldr r0, [r1]", LDR_R0_R1, 2),
            ("str r0, [r1]", STR_R0_R1, 1),
            ("str r0, [r1, r2]", 0x5088, 2),
            ("ldrd r0, r1, [r2]", 0xe9d2_0100, 3),
            ("strd r0, r1, [r2], #8", 0xe8e2_0102, 3),
            ("ldm r0!, {r1, r2, r3}", 0xc80e, 4),
            ("push {r4, r5, r6, r7, lr}", 0xb5f0, 6),
            ("ldmia.w r0, {r4-r11}", 0xe890_0ff0, 9),
            ("vldr s0, [r0]", 0xed90_0a00, 2),
            ("vldr d0, [r0]", 0xed90_0b00, 3),
            ("vldmia r0!, {s0-s7}", 0xecb0_0a08, 9),
            ("vadd.f32 s0, s0, s1", 0xee30_0a20, 1),
            ("vmla.f32 s0, s0, s1", 0xee00_0a20, 3),
            ("vfma.f32 s0, s0, s1", 0xeea0_0a20, 3),
            ("vdiv.f32 s0, s0, s1", 0xee80_0a20, 14),
            ("vsqrt.f32 s0, s0", 0xeeb1_0ac0, 14),
            ("vmov s0, r0", 0xee00_0a10, 1),
            ("vmov r0, r1, d0", 0xec51_0b10, 2),
            ("b .", 0xe7fe, 1),
            ("bl", 0xf000_f800, 1),
            ("it eq", IT_EQ, 1),
            ("nop", 0xbf00, 1),
            ("dsb", 0xf3bf_8f4f, 3),
        ] {
            assert_eq!(price(0, &[code]), [cycles], "{name}");
        }
    }

    #[test]
    fn chained_loads_overlap() {
        assert_eq!(price(0, &[LDR_R0_R1, LDR_R2_R1_4]), [2, 1]);
        // Neither a load whose address was loaded, nor one behind a pair or a store.
        assert_eq!(price(0, &[LDR_R0_R1, LDR_R3_R0]), [2, 2]);
        assert_eq!(price(0, &[0xe9d2_0400, LDR_R2_R1_4]), [3, 2]);
        assert_eq!(price(0, &[STR_R0_R1, LDR_R2_R1_4]), [1, 3]);
        // Nor one whose base was written back: ldr r0, [r1], #4.
        assert_eq!(price(0, &[0xf851_0b04, LDR_R2_R1_4]), [2, 2]);
        // A store behind a load has its price.
        assert_eq!(price(0, &[LDR_R2_R1_4, STR_R0_R1]), [2, 1]);
    }

    #[test]
    fn an_address_computed_just_before_is_late() {
        assert_eq!(price(0, &[ADDS_R1_R1_4, LDR_R0_R1]), [1, 3]);
        assert_eq!(price(0, &[ADDS_R1_R1_4, STR_R0_R1]), [1, 2]);
        assert_eq!(price(0, &[ADDS_R1_R1_4, LDR_R3_R0]), [1, 2]);
        assert_eq!(price(0, &[ADDS_R1_R1_4, 0xbf00, LDR_R0_R1]), [1, 1, 2]);
    }

    #[test]
    fn wide_instructions_across_words_stall_the_fetch() {
        assert_eq!(price(0, &[ADD_W; 5]), [1; 5]);
        assert_eq!(price(2, &[ADD_W; 5]), [1, 1, 2, 1, 1]);
        // A load lets it catch up: ldr.w r4, [r5].
        assert_eq!(price(2, &[ADD_W, 0xf8d5_4000, ADD_W, ADD_W]), [1, 2, 1, 2]);
        // A narrow one brings the words back into step.
        assert_eq!(price(2, &[ADD_W, ADD_W, 0xbf00, ADD_W]), [1, 1, 1, 1]);
    }

    #[test]
    fn it_is_folded_into_a_narrow_instruction() {
        assert_eq!(price(0, &[0xbf00, IT_EQ]), [1, 0]);
        assert_eq!(price(0, &[ADD_W, IT_EQ]), [1, 1]);
    }
}
