//! Adds up what runs between two addresses.

use std::collections::HashMap;
use std::ops::Range;

use crate::decode::{Exit, Instruction};
use crate::{cortex_m0plus, cortex_m4, cortex_m7, cortex_m33, cortex_m55, riscv};

/// A core that is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Cortex-M4.
    M4,
    /// Cortex-M33.
    M33,
    /// Cortex-M0+.
    M0Plus,
    /// Cortex-M7.
    M7,
    /// Cortex-M55.
    M55,
    /// RV32IMC.
    Rv32,
}

impl Core {
    /// Decodes an instruction of the core.
    pub fn decode(self, code: u32, wide: bool) -> Instruction {
        match self {
            Core::Rv32 => riscv::decode(code, wide),
            _ => Instruction::decode(code, wide),
        }
    }

    /// The cycles of a block, without what shows only when it runs.
    fn cycles(self, code: &[(u32, Instruction)]) -> u32 {
        match self {
            Core::M4 => cortex_m4::prices(code).sum(),
            Core::M33 => cortex_m33::cycles(code),
            Core::M0Plus => cortex_m0plus::cycles(code),
            Core::M7 => cortex_m7::cycles(code),
            Core::M55 => cortex_m55::cycles(code),
            Core::Rv32 => riscv::cycles(code),
        }
    }

    /// What a taken branch costs; on the core that foresees targets, one that it has not foreseen.
    fn taken(self, exit: Exit, foreseen: bool) -> u32 {
        match self {
            Core::M4 => cortex_m4::taken(exit),
            Core::M33 => cortex_m33::TAKEN,
            Core::M0Plus => cortex_m0plus::taken(exit),
            Core::M7 if foreseen => 0,
            Core::M7 => cortex_m7::MISSED,
            Core::M55 => cortex_m55::taken(exit),
            Core::Rv32 => riscv::TAKEN,
        }
    }
}

/// What a plugin is asked for: `core=m4,open=0x400,close=0x410,flash=0x0-0x20000000,out=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The core whose prices count.
    pub core: Core,
    /// Address of the function behind which a window starts.
    pub open: u32,
    /// Address of the function that ends it.
    pub close: u32,
    /// Data at these addresses are in flash.
    pub flash: Range<u32>,
    /// File that takes the windows.
    pub out: String,
}

impl Settings {
    /// Reads the plugin's arguments, or says which one is missing or wrong.
    pub fn parse<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<Settings, String> {
        let words: HashMap<&str, &str> = arguments.filter_map(|word| word.split_once('=')).collect();
        let word = |name: &str| words.get(name).copied().ok_or(format!("{name} is missing"));
        let number = |name: &str, word: &str| {
            let digits = word.strip_prefix("0x").unwrap_or(word);
            u32::from_str_radix(digits, 16).map_err(|_| format!("{name}={word} is not an address"))
        };
        let address = |name: &str| number(name, word(name)?);
        let core = match word("core")? {
            "m4" => Core::M4,
            "m33" => Core::M33,
            "m0plus" => Core::M0Plus,
            "m7" => Core::M7,
            "m55" => Core::M55,
            "rv32" => Core::Rv32,
            other => return Err(format!("core={other} is not modelled")),
        };
        // Symbols of Thumb functions are odd.
        let (open, close) = (address("open")? & !1, address("close")? & !1);
        let (start, end) = word("flash")?.split_once('-').ok_or("flash is no range of addresses")?;
        let flash = number("flash", start)?..number("flash", end)?;
        Ok(Settings { core, open, close, flash, out: word("out")?.to_string() })
    }
}

/// A block of code as QEMU translates it: entered at its start, left at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    start: u32,
    end: u32,
    instructions: u32,
    cycles: u32,
    exit: Exit,
    /// Starts with a wide instruction that straddles words.
    straddles: bool,
}

impl Block {
    /// Prices a block.
    pub fn new(core: Core, code: &[(u32, Instruction)]) -> Block {
        let start = code.first().map_or(0, |(address, _)| *address);
        let end = code.last().map_or(0, |(address, last)| address + if last.wide { 4 } else { 2 });
        let cycles = core.cycles(code);
        // A branch under IT may stand in front of instructions that QEMU has added to the block.
        let exit =
            code.iter().rev().map(|(_, instruction)| instruction.exit).find(|&exit| exit != Exit::None);
        Block {
            start,
            end,
            instructions: code.len() as u32,
            cycles,
            exit: exit.unwrap_or_default(),
            straddles: start & 2 != 0 && code.first().is_some_and(|(_, first)| first.wide),
        }
    }
}

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// First byte.
    pub address: u32,
    /// Bytes, as a power of two.
    pub size: u32,
    /// Whether it writes.
    pub store: bool,
    /// Whether it belongs to a load that was priced as one of a chain.
    pub chained: bool,
}

/// What ran in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Executed instructions.
    pub instructions: u64,
    /// Modelled cycles.
    pub cycles: u64,
    /// Words of 32 bits read from flash as data; bytes of the word that was read last are no new word.
    pub flash_words: u64,
}

/// The state of the measurement.
pub struct Meter {
    settings: Settings,
    window: Option<Window>,
    /// End and exit of the block that ran last.
    last: Option<(u32, Exit)>,
    last_address: u32,
    last_flash_word: u32,
    /// Where each branch led the last time, by the end of its block.
    targets: HashMap<u32, u32>,
}

impl Meter {
    /// A meter that waits for its first window.
    pub fn new(settings: Settings) -> Meter {
        Meter {
            settings,
            window: None,
            last: None,
            last_address: 0,
            last_flash_word: 0,
            targets: HashMap::new(),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A block starts to run; returns the window that it ends.
    pub fn enter(&mut self, block: &Block) -> Option<Window> {
        if let Some(window) = &mut self.window {
            if let Some((end, exit)) = self.last {
                // A target is foreseen that the same branch had the last time; a branch is told by its end.
                let core = self.settings.core;
                let foreseen = core == Core::M7 && self.targets.insert(end, block.start) == Some(block.start);
                if end != block.start {
                    window.cycles += u64::from(core.taken(exit, foreseen));
                    window.cycles += u64::from(block.straddles && matches!(core, Core::M4 | Core::M33));
                } else if core == Core::M7 && exit != Exit::None && !foreseen {
                    window.cycles += u64::from(cortex_m7::MISSED);
                }
            }
            if block.start == self.settings.close {
                return self.window.take();
            }
            window.instructions += u64::from(block.instructions);
            window.cycles += u64::from(block.cycles);
            self.last = Some((block.end, block.exit));
        }
        if block.start == self.settings.open {
            self.window = Some(Window::default());
            self.last = None;
            self.last_flash_word = u32::MAX;
        }
        None
    }

    /// The running block reads or writes.
    pub fn access(&mut self, access: Access) {
        let Some(window) = &mut self.window else { return };
        let Access { address, size, store, chained } = access;
        // Memories are told apart by the architecture's regions of 256 MiB.
        let elsewhere = (address ^ self.last_address) >> 28 != 0;
        if chained && elsewhere && self.settings.core == Core::M4 {
            window.cycles += 1;
        }
        self.last_address = address;
        // The others take whatever lies within a word or a line.
        let aligned = match self.settings.core {
            Core::M4 | Core::M33 => 1,
            Core::M7 => 2,
            Core::M0Plus | Core::M55 | Core::Rv32 => 0,
        };
        window.cycles += aligned
            * match size {
                1 => u64::from(address & 1),
                2 => [0, 2, 1, 2][address as usize & 3],
                _ => 0,
            };
        if !store && self.settings.flash.contains(&address) {
            for word in address >> 2..=(address + (1 << size) - 1) >> 2 {
                window.flash_words += u64::from(word != self.last_flash_word);
                self.last_flash_word = word;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let words = "core=m4,open=0x401,close=0x411,flash=0x0-0x20000000,out=/tmp/f";
        Settings::parse(words.split(',')).unwrap()
    }

    fn block(start: u32, codes: &[u32]) -> Block {
        let mut address = start;
        let place = |&code: &u32| {
            let placed = (address, Instruction::decode(code, code > 0xffff));
            address += if code > 0xffff { 4 } else { 2 };
            placed
        };
        Block::new(Core::M4, &codes.iter().map(place).collect::<Vec<_>>())
    }

    const NOP: u32 = 0xbf00;
    const BX_LR: u32 = 0x4770;
    const B: u32 = 0xe7fe;

    fn open() -> Block {
        block(0x400, &[NOP, BX_LR])
    }

    fn close() -> Block {
        block(0x410, &[BX_LR])
    }

    #[test]
    fn settings_say_what_is_wrong() {
        assert_eq!(settings().open, 0x400);
        let error = |words: &str| Settings::parse(words.split(',')).unwrap_err();
        assert_eq!(error("core=m4,open=0x400"), "close is missing");
        assert_eq!(error("core=m85"), "core=m85 is not modelled");
        assert_eq!(error("core=m4,open=z"), "open=z is not an address");
    }

    #[test]
    fn only_what_lies_between_the_marks_counts() {
        let mut meter = Meter::new(settings());
        let work = block(0x500, &[NOP, NOP, B]);
        assert_eq!(meter.enter(&work), None);
        meter.enter(&open());
        meter.enter(&work);
        let window = meter.enter(&close()).unwrap();
        // The branch to the end is taken, the one from the start is not part of it.
        assert_eq!(window, Window { instructions: 3, cycles: 3 + 2, flash_words: 0 });
        assert_eq!(meter.enter(&work), None);
        assert_eq!(meter.enter(&close()), None);
    }

    #[test]
    fn a_branch_that_is_not_taken_costs_its_price() {
        let mut meter = Meter::new(settings());
        meter.enter(&open());
        meter.enter(&block(0x40a, &[NOP, 0xd1fe]));
        meter.enter(&block(0x40e, &[NOP]));
        assert_eq!(meter.enter(&close()).unwrap().cycles, 3);
    }

    #[test]
    fn a_wide_target_across_words_costs_a_cycle() {
        let mut meter = Meter::new(settings());
        for (target, cycles) in [(0x604, 1 + 2 + 1 + 2), (0x602, 1 + 2 + 1 + 1 + 2)] {
            meter.enter(&open());
            meter.enter(&block(0x500, &[B]));
            meter.enter(&block(target, &[0xf000_f800]));
            assert_eq!(meter.enter(&close()).unwrap().cycles, cycles, "{target:#x}");
        }
    }

    fn accesses(accesses: &[(u32, u32, bool)]) -> Window {
        let mut meter = Meter::new(settings());
        meter.enter(&open());
        for &(address, size, chained) in accesses {
            meter.access(Access { address, size, chained, store: false });
        }
        meter.enter(&close()).unwrap()
    }

    #[test]
    fn unaligned_data_cost_accesses() {
        let ram = 0x2000_0000;
        for (offset, size, cycles) in
            [(0, 2, 0), (1, 2, 2), (2, 2, 1), (3, 2, 2), (0, 1, 0), (1, 1, 1), (2, 1, 0), (1, 0, 0)]
        {
            assert_eq!(accesses(&[(ram + offset, size, false)]).cycles, cycles, "{offset} {size}");
        }
    }

    #[test]
    fn chains_across_memories_are_none() {
        let (flash, ram) = (0x1000, 0x2000_0000);
        assert_eq!(accesses(&[(flash, 2, false), (ram, 2, true)]).cycles, 1);
        assert_eq!(accesses(&[(ram, 2, false), (ram + 64, 2, true)]).cycles, 0);
        assert_eq!(accesses(&[(flash, 2, false), (ram, 2, false)]).cycles, 0);
    }

    #[test]
    fn words_of_flash_count_once() {
        let bytes: Vec<_> = (0..8).map(|at| (0x1000 + at, 0, false)).collect();
        assert_eq!(accesses(&bytes).flash_words, 2);
        assert_eq!(accesses(&[(0x1000, 2, false), (0x1004, 2, false), (0x1000, 2, false)]).flash_words, 3);
        assert_eq!(accesses(&[(0x1002, 2, false)]).flash_words, 2);
        assert_eq!(accesses(&[(0x2000_0000, 2, false)]).flash_words, 0);
        let store = Access { address: 0x1000, size: 2, store: true, chained: false };
        let mut meter = Meter::new(settings());
        meter.enter(&open());
        meter.access(store);
        assert_eq!(meter.enter(&close()).unwrap().flash_words, 0);
    }

    #[test]
    fn a_branch_under_it_leaves_the_block() {
        assert_eq!(block(0, &[BX_LR, NOP]).exit, Exit::Return);
        assert_eq!(block(0, &[NOP]).exit, Exit::None);
    }
}
