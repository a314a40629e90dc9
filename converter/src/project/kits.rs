//! The boards that a project can be made for: memory map, start and runner of each.

use ferrolite_runtime::{Model, Target};

use crate::board::{self, BOARDS, Board, PARTS};
use crate::error::{Error, Result};
use crate::text;

/// Flash and RAM as a program sees them: first address and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// Where the program lies.
    pub flash: (u32, u32),
    /// Where its data and its stack lie.
    pub ram: (u32, u32),
}

/// How a program starts on the board, and what runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// QEMU, by this name of the machine: the program prints and ends through semihosting.
    Qemu(&'static str),
    /// A debug probe, by probe-rs's name of the chip: the program logs by defmt.
    Probe(&'static str),
    /// The same on an RP2040, whose flash begins with 256 bytes that set up its interface.
    Rp2040,
    /// The same on an RP2350, whose flash has a block that says what is in it.
    Rp2350,
    /// esp-hal and Espressif's boot loader on this chip, by esp-hal's name of it: the program prints over the serial line
    /// or USB, where espflash shows it.
    Esp(&'static str),
}

/// A board that a project can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kit {
    /// Its name, as `ferrolite boards` lists it.
    pub name: &'static str,
    /// The emulated board with its core.
    pub emulated: &'static str,
    /// Its memory.
    pub map: Map,
    /// How its programs start.
    pub start: Start,
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

const fn qemu(name: &'static str, machine: &'static str, flash: (u32, u32), ram: (u32, u32)) -> Kit {
    Kit { name, emulated: name, map: Map { flash, ram }, start: Start::Qemu(machine) }
}

const fn probe(
    name: &'static str,
    emulated: &'static str,
    chip: &'static str,
    flash: (u32, u32),
    ram: (u32, u32),
) -> Kit {
    Kit { name, emulated, map: Map { flash, ram }, start: Start::Probe(chip) }
}

/// A chip of Espressif's with a RISC-V core. Its flash is mapped by the boot loader, 32 bytes behind the page's start, and
/// esp-hal has the linker's script; what is left of the RAM is behind the caches and the boot loader.
const fn esp(name: &'static str, chip: &'static str, flash_start: u32, ram: (u32, u32)) -> Kit {
    let flash = (flash_start + 0x20, 4 * MIB - 0x20);
    Kit { name, emulated: "qemu-riscv32", map: Map { flash, ram }, start: Start::Esp(chip) }
}

/// Where flash begins on an STM32.
const STM32: u32 = 0x0800_0000;
/// Where RAM begins on most Cortex-M.
const SRAM: u32 = 0x2000_0000;

/// All of them, in the order of `ferrolite boards`. Memory maps: of emulated machines QEMU's, of others the reference
/// manuals'; of several memories that do not follow one another, the largest that programs and DMA both reach.
pub const KITS: &[Kit] = &[
    qemu("qemu-cortex-m0", "microbit", (0, 256 * KIB), (SRAM, 16 * KIB)),
    qemu("qemu-cortex-m3", "mps2-an385", (0, 4 * MIB), (SRAM, 4 * MIB)),
    qemu("qemu-cortex-m4", "mps2-an386", (0, 4 * MIB), (SRAM, 4 * MIB)),
    qemu("qemu-cortex-m7", "mps2-an500", (0, 4 * MIB), (SRAM, 4 * MIB)),
    qemu("qemu-cortex-m33", "mps2-an505", (0x1000_0000, 4 * MIB), (0x3800_0000, 4 * MIB)),
    qemu("qemu-cortex-m55", "mps3-an547", (0, 512 * KIB), (0x2100_0000, 4 * MIB)),
    qemu("qemu-riscv32", "virt", (0x8000_0000, 4 * MIB), (0x8040_0000, 4 * MIB)),
    Kit {
        emulated: "qemu-cortex-m4",
        ..qemu("netduinoplus2", "netduinoplus2", (STM32, MIB), (SRAM, 128 * KIB))
    },
    Kit {
        emulated: "qemu-cortex-m4",
        ..qemu("b-l475e-iot01a", "b-l475e-iot01a", (STM32, MIB), (SRAM, 96 * KIB))
    },
    probe("nucleo-g0b1re", "qemu-cortex-m0", "STM32G0B1RETx", (STM32, 512 * KIB), (SRAM, 144 * KIB)),
    Kit {
        name: "pico",
        emulated: "qemu-cortex-m0",
        map: Map { flash: (0x1000_0100, 2 * MIB - 256), ram: (SRAM, 264 * KIB) },
        start: Start::Rp2040,
    },
    probe("nucleo-l4r5zi", "qemu-cortex-m4", "STM32L4R5ZITx", (STM32, 2 * MIB), (SRAM, 640 * KIB)),
    probe("nucleo-f446re", "qemu-cortex-m4", "STM32F446RETx", (STM32, 512 * KIB), (SRAM, 128 * KIB)),
    probe("nrf52840dk", "qemu-cortex-m4", "nRF52840_xxAA", (0, MIB), (SRAM, 256 * KIB)),
    probe("nucleo-h7a3zi-q", "qemu-cortex-m7", "STM32H7A3ZITxQ", (STM32, 2 * MIB), (0x2400_0000, MIB)),
    probe("nucleo-u575zi-q", "qemu-cortex-m33", "STM32U575ZITxQ", (STM32, 2 * MIB), (SRAM, 768 * KIB)),
    probe("nrf5340dk", "qemu-cortex-m33", "nRF5340_xxAA", (0, MIB), (SRAM, 512 * KIB)),
    Kit {
        name: "pico2",
        emulated: "qemu-cortex-m33",
        map: Map { flash: (0x1000_0000, 4 * MIB), ram: (SRAM, 512 * KIB) },
        start: Start::Rp2350,
    },
    esp("esp32-c3", "esp32c3", 0x3c00_0000, (0x3fc8_0000, 313 * KIB)),
    esp("esp32-c6", "esp32c6", 0x4200_0000, (0x4080_0000, 0x6_e610)),
    esp("esp32-h2", "esp32h2", 0x4200_0000, (0x4080_0000, 0x3_efd0)),
];

/// Stack that a project keeps beside the model: the deepest kernel takes about 1 KB, printing as much again.
const STACK: usize = 3 * 1024;
/// Flash that the smallest program takes beside its model.
const PROGRAM: usize = 8 * 1024;

/// The kit of this name, or a usage error that says which there are.
pub fn kit(name: &str) -> Result<&'static Kit> {
    KITS.iter().find(|kit| kit.name == name).ok_or_else(|| {
        let names: Vec<&str> = KITS.iter().map(|kit| kit.name).collect();
        let known = BOARDS.iter().map(|board| board.name).chain(PARTS.iter().map(|part| part.name));
        let what = match known.into_iter().any(|known| known == name) {
            true => format!("there are no projects for the board `{name}` yet"),
            false => format!("there is no board `{name}`"),
        };
        Error::usage(what).help(format!(
            "projects are for: {}; for others take `ferrolite convert --rust` or `--c`, which need no board",
            names.join(", ")
        ))
    })
}

impl Kit {
    /// The emulated board with its core: its compiler flags are this board's, too.
    pub fn core(&self) -> &'static Board {
        // A test looks all of them up.
        board::find(self.emulated).unwrap_or(&BOARDS[0])
    }

    /// The Rust target of its programs: that of its core, or of a smaller one with the same kernels.
    pub fn rust_target(&self) -> &'static str {
        match self.start {
            // It has no instructions for atomics, which the kernels do not use.
            Start::Esp("esp32c3") => "riscv32imc-unknown-none-elf",
            _ => self.core().target,
        }
    }

    /// What models are packed for.
    pub fn target(&self) -> Target {
        self.core().core_target()
    }

    /// The chip and its core, for people.
    pub fn describe(&self) -> &'static str {
        match PARTS.iter().find(|part| part.name == self.name) {
            Some(part) => part.chip,
            None => self.core().core,
        }
    }

    /// Refuses a model that the board has no room for, with both sizes.
    pub(crate) fn check_room(&self, model: &Model<'_>) -> Result<()> {
        let (flash, ram) = (self.map.flash.1 as usize, self.map.ram.1 as usize);
        let wants = [
            ("flash", model.bytes().len(), "the model file", PROGRAM, "the program takes", flash),
            ("RAM", model.arena_bytes(), "the arena", STACK, "stack and data take", ram),
        ];
        for (memory, takes, what, rest, others, has) in wants {
            if takes + rest > has {
                return Err(Error::input(format!(
                    "the model does not fit {}: {what} takes {} bytes, {} has {} bytes of {memory}, of which {others} at least {}",
                    self.name,
                    text::count(takes),
                    self.name,
                    text::count(has),
                    text::count(rest),
                ))
                .help("take a larger board, or a smaller model: `ferrolite inspect` shows what takes memory"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kit_is_a_board_with_its_memory() {
        for kit in KITS {
            assert_eq!(kit.core().name, kit.emulated);
            let facts = BOARDS
                .iter()
                .map(|board| (board.name, board.flash_bytes, board.ram_bytes))
                .chain(PARTS.iter().map(|part| (part.name, part.flash_bytes, part.ram_bytes)))
                .find(|(name, ..)| *name == kit.name);
            let (_, flash, ram) = facts.unwrap_or_else(|| panic!("{} is in no list of boards", kit.name));
            assert!(kit.map.flash.1 <= flash && kit.map.ram.1 <= ram, "{}", kit.name);
        }
        assert!(kit("ek-ra6m4").unwrap_err().message.contains("yet"));
        assert!(kit("x").unwrap_err().message.contains("there is no board"));
    }
}
