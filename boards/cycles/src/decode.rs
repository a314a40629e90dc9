//! What the timing models have to know of a Thumb-2 instruction: its class, its registers, how it leaves
//! its block. Encodings: Armv7-M Architecture Reference Manual, A5.

/// Registers, bit n for Rn.
pub type Registers = u32;

const SP: u32 = 13;
const LR: u32 = 14;
const PC: u32 = 15;

/// Kinds of instructions with timings of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Data processing, shifts, extensions, saturation, packing, parallel additions.
    #[default]
    Alu,
    /// All multiplications, with and without accumulation.
    Multiply,
    /// SDIV, UDIV.
    Divide,
    /// Load of one register.
    Load,
    /// Store of one register.
    Store,
    /// LDRD.
    LoadPair,
    /// STRD.
    StorePair,
    /// LDM, POP.
    LoadMany,
    /// STM, PUSH.
    StoreMany,
    /// All branches.
    Branch,
    /// IT.
    If,
    /// Float arithmetic.
    Float,
    /// VMLA, VFMA and their kin.
    FloatMultiplyAdd,
    /// VDIV, VSQRT.
    FloatDivide,
    /// Moves between the core and the floating-point unit.
    FloatMove,
    /// VLDR, VLDM.
    FloatLoad,
    /// VSTR, VSTM.
    FloatStore,
    /// MRS, MSR, CPS, NOP, BKPT, SVC, hints.
    System,
    /// DSB, DMB, ISB.
    Barrier,
    /// Arithmetic on vectors (MVE).
    Vector,
    /// Loads and stores of vectors.
    VectorMemory,
}

/// How a block is left when the instruction is executed and the branch is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// It is not.
    #[default]
    None,
    /// B, Bcc, BL.
    Direct,
    /// BX LR.
    Return,
    /// CBZ, BX, BLX, a move or an addition to PC: the target is known late.
    Late,
    /// PC is loaded from memory.
    Loaded,
    /// TBB, TBH.
    Table,
    /// LE, which the loop's branch cache foresees.
    Loop,
}

/// An instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Kind.
    pub class: Class,
    /// Whether it has 32 bits.
    pub wide: bool,
    /// Registers that it reads.
    pub reads: Registers,
    /// Registers that it writes.
    pub writes: Registers,
    /// Those that it reads to make an address.
    pub address: Registers,
    /// Those that a multiplication adds to.
    pub accumulator: Registers,
    /// The one that a store of one register stores.
    pub data: Registers,
    /// Words that a load or store of several moves, registers that a move to or from the
    /// floating-point unit moves; else 1.
    pub count: u32,
    /// Whether the address has a register for an offset.
    pub register_offset: bool,
    /// Whether a load or store of one or two registers writes its base.
    pub write_back: bool,
    /// Whether the result comes out of a shifter or a unit for bit fields, bytes and lanes.
    pub late: bool,
    /// How it leaves the block.
    pub exit: Exit,
}

impl Instruction {
    /// Decodes an instruction: 16 bits in the lower half, or the first halfword in the upper.
    pub fn decode(code: u32, wide: bool) -> Instruction {
        let table = if wide { WIDE } else { NARROW };
        let form = table.iter().find(|row| code & row.mask == row.bits).map_or(Form::Hint, |row| row.form);
        let instruction = form.instruction(code);
        let address = instruction.address & !bit(PC);
        Instruction { wide, address, count: instruction.count.max(1), ..instruction }
    }

    /// Whether data come from memory.
    pub fn loads(&self) -> bool {
        use Class::*;
        matches!(self.class, Load | LoadPair | LoadMany | FloatLoad | VectorMemory)
            || self.exit == Exit::Table
    }

    /// Whether data go to memory.
    pub fn stores(&self) -> bool {
        use Class::*;
        matches!(self.class, Store | StorePair | StoreMany | FloatStore)
    }

    /// Whether the integer unit makes a result.
    pub fn computes(&self) -> bool {
        matches!(self.class, Class::Alu | Class::Multiply | Class::Divide)
    }
}

/// Whether this is the first halfword of two.
pub fn is_wide(halfword: u32) -> bool {
    halfword >= 0xe800
}

/// An encoding: instructions that have `bits` where `mask` has ones. The first one that fits counts.
struct Row {
    mask: u32,
    bits: u32,
    form: Form,
}

const fn row(mask: u32, bits: u32, form: Form) -> Row {
    Row { mask, bits, form }
}

const NARROW: &[Row] = &[
    row(0xf800, 0x1800, Form::AddSubtract),
    row(0xe000, 0x0000, Form::ShiftImmediate),
    row(0xf800, 0x2000, Form::MoveImmediate),
    row(0xf800, 0x2800, Form::CompareImmediate),
    row(0xf000, 0x3000, Form::AddImmediate),
    row(0xfc00, 0x4000, Form::DataProcessing),
    row(0xff00, 0x4700, Form::BranchRegister),
    row(0xfc00, 0x4400, Form::HighRegisters),
    row(0xf800, 0x4800, Form::LoadLiteral),
    row(0xf000, 0x5000, Form::RegisterOffset),
    row(0xf000, 0x6000, Form::ImmediateOffset),
    row(0xf000, 0x7000, Form::ImmediateOffset),
    row(0xf000, 0x8000, Form::ImmediateOffset),
    row(0xf000, 0x9000, Form::StackOffset),
    row(0xf000, 0xa000, Form::AddressOf),
    row(0xff00, 0xb000, Form::AdjustStack),
    row(0xf500, 0xb100, Form::CompareBranch),
    row(0xff00, 0xb200, Form::Extend),
    row(0xff00, 0xba00, Form::Extend),
    row(0xfe00, 0xb400, Form::Push),
    row(0xfe00, 0xbc00, Form::Pop),
    row(0xff0f, 0xbf00, Form::System),
    row(0xff00, 0xbf00, Form::If),
    row(0xf000, 0xb000, Form::System),
    row(0xf000, 0xc000, Form::Many),
    row(0xfe00, 0xde00, Form::System),
    row(0xf000, 0xd000, Form::Branch),
    row(0xe000, 0xe000, Form::Branch),
];

const WIDE: &[Row] = &[
    // Loads and stores of several registers, of pairs, and tables of branches.
    row(0xfff0_ffe0, 0xe8d0_f000, Form::TableBranch),
    row(0xfe40_0000, 0xe800_0000, Form::ManyWide),
    row(0xff60_0000, 0xe840_0000, Form::Exclusive),
    row(0xfe40_0000, 0xe840_0000, Form::Pair),
    // Data processing with a register.
    row(0xffe0_0000, 0xeac0_0000, Form::Pack),
    row(0xfe00_0000, 0xea00_0000, Form::ShiftedRegister),
    // Data processing with an immediate, branches.
    row(0xfa00_8000, 0xf000_0000, Form::ModifiedImmediate),
    row(0xfa00_8000, 0xf200_0000, Form::PlainImmediate),
    row(0xfff0_d000, 0xf3b0_8000, Form::Barrier),
    row(0xffe0_d000, 0xf3e0_8000, Form::ReadSpecial),
    row(0xfb80_d000, 0xf380_8000, Form::System),
    row(0xf800_c000, 0xf000_c000, Form::Call),
    row(0xf800_8000, 0xf000_8000, Form::Branch),
    // Loads and stores of one register; a byte or halfword loaded to PC is a preload.
    row(0xff10_0000, 0xf800_0000, Form::Single),
    row(0xfe70_f000, 0xf810_f000, Form::Hint),
    row(0xfe70_f000, 0xf830_f000, Form::Hint),
    row(0xfe70_0000, 0xf870_0000, Form::Hint),
    row(0xfe10_0000, 0xf810_0000, Form::Single),
    // Data processing with registers, multiplications.
    row(0xff00_0000, 0xfa00_0000, Form::Registers),
    row(0xff80_0000, 0xfb00_0000, Form::Multiply),
    row(0xff80_0000, 0xfb80_0000, Form::LongMultiply),
    // Floating point: loads and stores, moves of two registers; then moves of one and arithmetic.
    row(0xffe0_0000, 0xec40_0000, Form::FloatMoveTwo),
    row(0xfe00_0000, 0xec00_0000, Form::FloatMemory),
    row(0xee00_0010, 0xee00_0010, Form::FloatMoveOne),
    row(0xee00_0000, 0xee00_0000, Form::FloatArithmetic),
    row(0xec00_0000, 0xec00_0000, Form::FloatArithmetic),
];

/// Where the operands are.
#[derive(Clone, Copy)]
enum Form {
    AddSubtract,
    ShiftImmediate,
    MoveImmediate,
    CompareImmediate,
    AddImmediate,
    DataProcessing,
    BranchRegister,
    HighRegisters,
    LoadLiteral,
    RegisterOffset,
    ImmediateOffset,
    StackOffset,
    AddressOf,
    AdjustStack,
    CompareBranch,
    Extend,
    Push,
    Pop,
    If,
    Many,
    Branch,
    System,
    TableBranch,
    ManyWide,
    Exclusive,
    Pair,
    Pack,
    ShiftedRegister,
    ModifiedImmediate,
    PlainImmediate,
    Barrier,
    ReadSpecial,
    Call,
    Single,
    Hint,
    Registers,
    Multiply,
    LongMultiply,
    FloatMoveTwo,
    FloatMemory,
    FloatMoveOne,
    FloatArithmetic,
}

const fn bit(register: u32) -> Registers {
    1 << (register & 15)
}

/// The register of this number where PC stands for none.
const fn unless_pc(register: u32) -> Registers {
    bit(register) & !bit(PC)
}

fn new(class: Class) -> Instruction {
    Instruction { class, ..Instruction::default() }
}

fn alu(writes: Registers, reads: Registers) -> Instruction {
    Instruction { writes, reads, ..new(Class::Alu) }
}

fn branch(exit: Exit) -> Instruction {
    Instruction { exit, ..new(Class::Branch) }
}

/// A load or store of one register.
fn single(load: bool, register: u32, address: Registers) -> Instruction {
    let address = address & !bit(PC);
    if load {
        let exit = if register == PC { Exit::Loaded } else { Exit::None };
        Instruction { reads: address, writes: bit(register), address, exit, ..new(Class::Load) }
    } else {
        let data = bit(register);
        Instruction { reads: address | data, address, data, ..new(Class::Store) }
    }
}

/// A load or store of several registers.
fn many(load: bool, base: u32, registers: Registers, write_back: bool) -> Instruction {
    let base = bit(base);
    let written = if write_back { base } else { 0 };
    let count = registers.count_ones();
    if load {
        let exit = if registers & bit(PC) != 0 { Exit::Loaded } else { Exit::None };
        let writes = registers | written;
        Instruction { reads: base, writes, address: base, count, exit, ..new(Class::LoadMany) }
    } else {
        let reads = base | registers;
        Instruction { reads, writes: written, address: base, count, ..new(Class::StoreMany) }
    }
}

impl Form {
    fn instruction(self, code: u32) -> Instruction {
        match self {
            Form::Branch => branch(Exit::Direct),
            Form::System => new(Class::System),
            Form::Barrier => new(Class::Barrier),
            Form::If => new(Class::If),
            Form::Hint => new(Class::Alu),
            Form::TableBranch
            | Form::ManyWide
            | Form::Exclusive
            | Form::Pair
            | Form::Single
            | Form::Pack
            | Form::ShiftedRegister
            | Form::ModifiedImmediate
            | Form::PlainImmediate
            | Form::ReadSpecial
            | Form::Call
            | Form::Registers
            | Form::Multiply
            | Form::LongMultiply => self.wide(code),
            Form::FloatMoveTwo | Form::FloatMemory | Form::FloatMoveOne | Form::FloatArithmetic => {
                self.float(code)
            }
            _ => self.narrow(code),
        }
    }

    fn narrow(self, code: u32) -> Instruction {
        let low = |at: u32| code >> at & 7;
        let (d, m) = (low(0), low(3));
        match self {
            Form::AddSubtract => {
                let third = if code & 0x400 != 0 { 0 } else { bit(low(6)) };
                alu(bit(d), bit(m) | third)
            }
            // A shift by nothing is a move.
            Form::ShiftImmediate => Instruction { late: code & 0xffc0 != 0, ..alu(bit(d), bit(m)) },
            Form::MoveImmediate => alu(bit(low(8)), 0),
            Form::CompareImmediate => alu(0, bit(low(8))),
            Form::AddImmediate => alu(bit(low(8)), bit(low(8))),
            Form::DataProcessing => {
                let operation = code >> 6 & 15;
                let tests = matches!(operation, 8 | 10 | 11);
                let instruction = alu(if tests { 0 } else { bit(d) }, bit(d) | bit(m));
                match operation {
                    2 | 3 | 4 | 7 => Instruction { late: true, ..instruction },
                    13 => Instruction { class: Class::Multiply, ..instruction },
                    _ => instruction,
                }
            }
            Form::BranchRegister => {
                let target = code >> 3 & 15;
                let exit = if target == LR { Exit::Return } else { Exit::Late };
                let writes = if code & 0x80 != 0 { bit(LR) } else { 0 };
                Instruction { reads: bit(target), writes, ..branch(exit) }
            }
            Form::HighRegisters => {
                let (destination, source) = (code & 7 | code >> 4 & 8, code >> 3 & 15);
                let (compares, moves) = (code >> 8 & 3 == 1, code >> 8 & 3 == 2);
                let reads = bit(source) | if moves { 0 } else { bit(destination) };
                if compares {
                    alu(0, reads)
                } else if destination == PC {
                    Instruction { reads, writes: bit(PC), ..branch(Exit::Late) }
                } else {
                    alu(bit(destination), reads)
                }
            }
            Form::LoadLiteral => single(true, low(8), 0),
            Form::RegisterOffset => {
                Instruction { register_offset: true, ..single(low(9) >= 3, d, bit(m) | bit(low(6))) }
            }
            Form::ImmediateOffset => single(code & 0x800 != 0, d, bit(m)),
            Form::StackOffset => single(code & 0x800 != 0, low(8), bit(SP)),
            Form::AddressOf => alu(bit(low(8)), if code & 0x800 != 0 { bit(SP) } else { 0 }),
            Form::AdjustStack => alu(bit(SP), bit(SP)),
            Form::CompareBranch => Instruction { reads: bit(d), ..branch(Exit::Late) },
            Form::Extend => Instruction { late: true, ..alu(bit(d), bit(m)) },
            Form::Push => many(false, SP, code & 0xff | (code & 0x100) << 6, true),
            Form::Pop => many(true, SP, code & 0xff | (code & 0x100) << 7, true),
            Form::Many => {
                let (load, base, registers) = (code & 0x800 != 0, low(8), code & 0xff);
                many(load, base, registers, !(load && registers & bit(base) != 0))
            }
            _ => new(Class::System),
        }
    }

    fn wide(self, code: u32) -> Instruction {
        let (n, m) = (code >> 16 & 15, code & 15);
        // Destination, and the register above it: third operand, second half or the one moved.
        let (d, a) = (code >> 8 & 15, code >> 12 & 15);
        let flag = |at: u32| code >> at & 1 != 0;
        let load = flag(20);
        match self {
            Form::TableBranch => {
                let address = (bit(n) | bit(m)) & !bit(PC);
                Instruction { reads: bit(n) | bit(m), address, ..branch(Exit::Table) }
            }
            Form::ManyWide => many(load, n, code & 0xffff, flag(21)),
            Form::Exclusive => single(load, a, bit(n)),
            Form::Pair => {
                let base = unless_pc(n);
                let write_back = flag(21);
                let written = if write_back { bit(n) } else { 0 };
                let pair = bit(a) | bit(d);
                let (class, reads, writes) = if load {
                    (Class::LoadPair, base, pair | written)
                } else {
                    (Class::StorePair, base | pair, written)
                };
                Instruction { reads, writes, address: base, count: 2, write_back, ..new(class) }
            }
            Form::Single => {
                if flag(23) || n == PC {
                    single(load, a, bit(n))
                } else if flag(11) {
                    let instruction = single(load, a, bit(n));
                    let writes = instruction.writes | if flag(8) { bit(n) } else { 0 };
                    Instruction { writes, write_back: flag(8), ..instruction }
                } else {
                    Instruction { register_offset: true, ..single(load, a, bit(n) | bit(m)) }
                }
            }
            Form::Pack => Instruction { late: true, ..alu(unless_pc(d), unless_pc(n) | bit(m)) },
            Form::ShiftedRegister => {
                Instruction { late: code & 0x70f0 != 0, ..alu(unless_pc(d), unless_pc(n) | bit(m)) }
            }
            Form::ModifiedImmediate => {
                Instruction { late: code & 0x7000 > 0x3000 || flag(26), ..alu(unless_pc(d), unless_pc(n)) }
            }
            Form::PlainImmediate => {
                let operation = code >> 20 & 0x1f;
                let reads = match operation {
                    // MOVT keeps the lower half of what it writes to.
                    0x0c => bit(d),
                    // BFI keeps the other bits.
                    0x16 => unless_pc(n) | bit(d),
                    _ => unless_pc(n),
                };
                Instruction { late: operation >= 0x10, ..alu(bit(d), reads) }
            }
            Form::ReadSpecial => Instruction { writes: bit(d), ..new(Class::System) },
            Form::Call if code & 0xff8f_f001 == 0xf00f_c001 => branch(Exit::Loop),
            Form::Call => Instruction { writes: bit(LR), ..branch(Exit::Direct) },
            Form::Registers => Instruction { late: true, ..alu(bit(d), unless_pc(n) | bit(m)) },
            Form::Multiply => {
                let accumulator = unless_pc(a);
                let reads = bit(n) | bit(m) | accumulator;
                Instruction { reads, writes: bit(d), accumulator, ..new(Class::Multiply) }
            }
            Form::LongMultiply => {
                let operation = code >> 20 & 7;
                let (both, reads) = (bit(d) | bit(a), bit(n) | bit(m));
                match operation {
                    1 | 3 | 7 => Instruction { reads, writes: bit(d), ..new(Class::Divide) },
                    0 | 2 => Instruction { reads, writes: both, ..new(Class::Multiply) },
                    _ => Instruction {
                        reads: reads | both,
                        writes: both,
                        accumulator: both,
                        ..new(Class::Multiply)
                    },
                }
            }
            _ => new(Class::Alu),
        }
    }

    fn float(self, code: u32) -> Instruction {
        let (n, t) = (code >> 16 & 15, code >> 12 & 15);
        let flag = |at: u32| code >> at & 1 != 0;
        let to_core = flag(20);
        match self {
            Form::FloatMoveTwo => {
                let both = bit(t) | bit(n);
                let (writes, reads) = if to_core { (both, 0) } else { (0, both) };
                Instruction { reads, writes, count: 2, ..new(Class::FloatMove) }
            }
            Form::FloatMoveOne => {
                let (writes, reads) = if to_core { (unless_pc(t), 0) } else { (0, bit(t)) };
                Instruction { reads, writes, ..new(Class::FloatMove) }
            }
            // Coprocessors 14 and 15 stand for vectors.
            Form::FloatMemory if code >> 9 & 7 == 7 => {
                let writes = if flag(21) { bit(n) } else { 0 };
                Instruction { reads: bit(n), writes, address: bit(n), ..new(Class::VectorMemory) }
            }
            Form::FloatArithmetic if code >> 24 & 15 == 15 || code >> 9 & 7 == 7 => new(Class::Vector),
            Form::FloatMemory => {
                let one = flag(24) && !flag(21);
                let count = if one { 1 + (code >> 8 & 1) } else { code & 0xff };
                let class = if to_core { Class::FloatLoad } else { Class::FloatStore };
                let writes = if flag(21) { bit(n) } else { 0 };
                Instruction { reads: bit(n), writes, address: bit(n), count, ..new(class) }
            }
            _ => match code >> 20 & 0xb {
                0 | 1 | 9 | 10 => new(Class::FloatMultiplyAdd),
                8 => new(Class::FloatDivide),
                // VSQRT among VCMP, VCVT and their kin.
                11 if n == 1 && code >> 6 & 3 == 3 => new(Class::FloatDivide),
                _ => new(Class::Float),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(code: u32) -> Instruction {
        Instruction::decode(code, is_wide(if code > 0xffff { code >> 16 } else { code }))
    }

    #[test]
    fn every_row_can_be_reached() {
        for (table, wide) in [(NARROW, false), (WIDE, true)] {
            for (index, row) in table.iter().enumerate() {
                assert_eq!(row.bits & !row.mask, 0, "{:#x}", row.bits);
                let hidden = table[..index]
                    .iter()
                    .any(|other| other.mask & row.mask == other.mask && row.bits & other.mask == other.bits);
                assert!(!hidden, "wide {wide}: {:#x}", row.bits);
            }
        }
    }

    #[test]
    fn registers() {
        let registers = |list: &[u32]| list.iter().map(|&register| bit(register)).sum::<u32>();
        for (name, code, writes, reads, address) in [
            ("adds r1, r2, r3", 0x18d1, &[1][..], &[2, 3][..], &[][..]),
            ("cmp r3, #0", 0x2b00, &[], &[3], &[]),
            ("mov r8, r9", 0x46c8, &[8], &[9], &[]),
            ("ldr r2, [r1, r3]", 0x58ca, &[2], &[1, 3], &[1, 3]),
            ("ldr r2, [pc, #4]", 0x4a01, &[2], &[], &[]),
            ("str r2, [sp, #4]", 0x9201, &[], &[2, 13], &[13]),
            ("push {r4, lr}", 0xb510, &[13], &[4, 13, 14], &[13]),
            ("pop {r4, pc}", 0xbd10, &[4, 13, 15], &[13], &[13]),
            ("ldm r0!, {r1, r2}", 0xc806, &[0, 1, 2], &[0], &[0]),
            ("ldm r1, {r1, r2}", 0xc906, &[1, 2], &[1], &[1]),
            ("ldr r8, [r1], #4", 0xf851_8b04, &[1, 8], &[1], &[1]),
            ("ldrsb.w r8, [r1, r2]", 0xf911_8002, &[8], &[1, 2], &[1, 2]),
            ("ldrd r4, r5, [r6, #8]!", 0xe9f6_4502, &[4, 5, 6], &[6], &[6]),
            ("strd r4, r5, [r6]", 0xe9c6_4500, &[], &[4, 5, 6], &[6]),
            ("smlad r0, r1, r2, r3", 0xfb21_3002, &[0], &[1, 2, 3], &[]),
            ("smuad r0, r1, r2", 0xfb21_f002, &[0], &[1, 2], &[]),
            ("smlal r0, r1, r2, r3", 0xfbc2_0103, &[0, 1], &[0, 1, 2, 3], &[]),
            ("sdiv r0, r1, r2", 0xfb91_f0f2, &[0], &[1, 2], &[]),
            ("sxtb16 r0, r1, ror #8", 0xfa2f_f091, &[0], &[1], &[]),
            ("pkhbt r0, r1, r2", 0xeac1_0002, &[0], &[1, 2], &[]),
            ("ssat r0, #8, r1", 0xf301_0007, &[0], &[1], &[]),
            ("movt r0, #1", 0xf2c0_0001, &[0], &[0], &[]),
            ("bfi r0, r1, #0, #8", 0xf361_0007, &[0], &[0, 1], &[]),
            ("cmp.w r0, #256", 0xf5b0_7f80, &[], &[0], &[]),
            ("bl", 0xf000_f800, &[14], &[], &[]),
            ("vldr s0, [r1]", 0xed91_0a00, &[], &[1], &[1]),
            ("vmov r0, s0", 0xee10_0a10, &[0], &[], &[]),
        ] {
            let found = decode(code);
            let want = (registers(writes), registers(reads), registers(address));
            assert_eq!((found.writes, found.reads, found.address), want, "{name}: {found:?}");
        }
    }

    #[test]
    fn ways_out_of_a_block() {
        for (name, code, exit) in [
            ("b", 0xe7fe, Exit::Direct),
            ("bne", 0xd1fe, Exit::Direct),
            ("bne.w", 0xf47f_affe, Exit::Direct),
            ("bl", 0xf000_f800, Exit::Direct),
            ("bx lr", 0x4770, Exit::Return),
            ("bx r3", 0x4718, Exit::Late),
            ("blx r3", 0x4798, Exit::Late),
            ("cbz r0", 0xb100, Exit::Late),
            ("mov pc, r1", 0x468f, Exit::Late),
            ("pop {pc}", 0xbd00, Exit::Loaded),
            ("pop.w {r4-r11, pc}", 0xe8bd_8ff0, Exit::Loaded),
            ("ldr.w pc, [r0]", 0xf8d0_f000, Exit::Loaded),
            ("tbb [pc, r0]", 0xe8df_f000, Exit::Table),
            ("tbh [pc, r0, lsl #1]", 0xe8df_f010, Exit::Table),
            ("svc", 0xdf00, Exit::None),
            ("pld [r0]", 0xf890_f000, Exit::None),
        ] {
            assert_eq!(decode(code).exit, exit, "{name}");
        }
    }

    #[test]
    fn memory() {
        assert!(decode(0xe8df_f000).loads() && !decode(0xe8df_f000).stores());
        assert!(decode(0xb510).stores() && !decode(0xb510).loads());
        assert!(decode(0x6808).loads() && decode(0xed90_0a00).loads() && decode(0xed80_0a00).stores());
        assert!(!decode(0xf890_f000).loads(), "a preload");
        assert_eq!((decode(0xb5f0).count, decode(0xe890_0ff0).count, decode(0xecb0_0a08).count), (5, 8, 8));
        assert!(decode(0x5088).register_offset && decode(0xf841_0002).register_offset);
        assert!(!decode(0x6008).register_offset && !decode(0xf8c1_0004).register_offset);
    }
}
