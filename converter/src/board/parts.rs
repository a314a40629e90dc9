//! Boards that one can buy: what turns the cycles of their core into milliseconds and microjoules.
//!
//! A core is modelled at zero wait states. Weights that stream from flash wait for it beyond that, which a number of
//! cycles for each 32-bit word stands for; loops fit the caches of code that these parts have. How well that holds is
//! said with each estimate: `cargo xtask bench --fit` holds the parts against published latencies.

use super::table::{Board, find};
use crate::error::{Error, Result};

/// What an estimate for a part rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Latencies that were published of the same kernels on this part.
    Published,
    /// Latencies that were published of other engines on this part, whose loops are as tight.
    Others,
    /// A core whose cycles were held against silicon, with the flash of this part by its data sheet.
    Core,
    /// Manuals alone.
    Manuals,
}

impl Evidence {
    /// How far off an estimate may be, in words.
    pub const fn error(self) -> &'static str {
        match self {
            Evidence::Published => "within 25 % of published latencies on this board, as a rule within 10 %",
            Evidence::Others => {
                "the fastest published engines on this board are met within 20 %; none of their programs was measured"
            }
            Evidence::Core => {
                "cycles are within 10 % of silicon as a rule; this board's flash was not measured"
            }
            Evidence::Manuals => {
                "a rough estimate from manuals: neither core nor flash was held against silicon"
            }
        }
    }
}

/// A board that one can buy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Name on the command line.
    pub name: &'static str,
    /// Its microcontroller.
    pub chip: &'static str,
    /// The emulated board with its core, see [`BOARDS`](super::BOARDS).
    pub emulated: &'static str,
    /// Clock of the core, in Hz.
    pub clock_hz: f64,
    /// Cycles that each 32-bit word of data read from flash waits, on average.
    pub flash_wait: u32,
    /// Energy of a cycle in picojoules, where it was published.
    pub picojoules: Option<f64>,
    /// Flash that programs run from, in bytes.
    pub flash_bytes: u32,
    /// RAM, in bytes.
    pub ram_bytes: u32,
    /// What an estimate rests on.
    pub evidence: Evidence,
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// A part without a figure of its energy.
const fn part_of(
    name: &'static str,
    chip: &'static str,
    emulated: &'static str,
    (megahertz, flash_wait): (u32, u32),
    (flash_bytes, ram_bytes): (u32, u32),
    evidence: Evidence,
) -> Part {
    let clock_hz = megahertz as f64 * 1e6;
    Part { name, chip, emulated, clock_hz, flash_wait, picojoules: None, flash_bytes, ram_bytes, evidence }
}

const M0: &str = "qemu-cortex-m0";
const M4: &str = "qemu-cortex-m4";
const M7: &str = "qemu-cortex-m7";
const M33: &str = "qemu-cortex-m33";
const M55: &str = "qemu-cortex-m55";
const RV32: &str = "qemu-riscv32";

/// All of them, by core. Clocks and memories are those of the data sheets. Waits: of the L4R5, the U575, the H7A3 and
/// the RA6M4 what published latencies say; of the others what a line of their flash or cache takes, divided by its
/// words, where the lines of weights follow one another. Energy: MLPerf Tiny, four networks each.
pub const PARTS: &[Part] = &[
    part_of(
        "nucleo-g0b1re",
        "STM32G0B1RE, Cortex-M0+",
        M0,
        (64, 1),
        (512 * KIB, 144 * KIB),
        Evidence::Manuals,
    ),
    part_of("pico", "RP2040, Cortex-M0+", M0, (133, 24), (2 * MIB, 264 * KIB), Evidence::Manuals),
    Part {
        picojoules: Some(279.0),
        ..part_of(
            "nucleo-l4r5zi",
            "STM32L4R5ZI, Cortex-M4",
            M4,
            (120, 3),
            (2 * MIB, 640 * KIB),
            Evidence::Published,
        )
    },
    part_of("b-l475e-iot01a", "STM32L475VG, Cortex-M4", M4, (80, 3), (MIB, 128 * KIB), Evidence::Core),
    part_of("netduinoplus2", "STM32F405RG, Cortex-M4", M4, (168, 2), (MIB, 192 * KIB), Evidence::Core),
    part_of("nucleo-f446re", "STM32F446RE, Cortex-M4", M4, (180, 2), (512 * KIB, 128 * KIB), Evidence::Core),
    part_of("nrf52840dk", "nRF52840, Cortex-M4", M4, (64, 2), (MIB, 256 * KIB), Evidence::Core),
    part_of(
        "nucleo-h7a3zi-q",
        "STM32H7A3ZI, Cortex-M7",
        M7,
        (280, 1),
        (2 * MIB, 1376 * KIB),
        Evidence::Others,
    ),
    Part {
        picojoules: Some(147.0),
        ..part_of(
            "nucleo-u575zi-q",
            "STM32U575ZI, Cortex-M33",
            M33,
            (160, 2),
            (2 * MIB, 784 * KIB),
            Evidence::Others,
        )
    },
    part_of("ek-ra6m4", "RA6M4, Cortex-M33", M33, (200, 3), (MIB, 256 * KIB), Evidence::Published),
    part_of("nrf5340dk", "nRF5340, Cortex-M33", M33, (128, 2), (MIB, 512 * KIB), Evidence::Core),
    part_of("pico2", "RP2350, Cortex-M33", M33, (150, 24), (4 * MIB, 520 * KIB), Evidence::Core),
    part_of(
        "apollo510-evb",
        "Apollo510, Cortex-M55",
        M55,
        (250, 1),
        (4 * MIB, 3840 * KIB),
        Evidence::Manuals,
    ),
    part_of("esp32-c3", "ESP32-C3, RV32IMC", RV32, (160, 16), (4 * MIB, 400 * KIB), Evidence::Manuals),
    part_of("esp32-c6", "ESP32-C6, RV32IMAC", RV32, (160, 16), (4 * MIB, 512 * KIB), Evidence::Manuals),
    part_of("esp32-h2", "ESP32-H2, RV32IMAC", RV32, (96, 16), (4 * MIB, 320 * KIB), Evidence::Manuals),
];

/// The part of this name, or a usage error that lists the names.
pub fn part(name: &str) -> Result<&'static Part> {
    PARTS.iter().find(|part| part.name == name).ok_or_else(|| {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        Error::usage(format!("there is no board `{name}` whose time can be estimated"))
            .help(format!("known are {}; `ferrolite boards` describes them", names.join(", ")))
    })
}

impl Part {
    /// The emulated board that runs its programs.
    ///
    /// # Errors
    /// Never, as the tests see to.
    pub fn board(&self) -> Result<&'static Board> {
        find(self.emulated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::BOARDS;

    #[test]
    fn every_part_has_a_core_and_a_name_of_its_own() {
        for (index, part) in PARTS.iter().enumerate() {
            let board = part.board().unwrap();
            // Cortex-M4F, Cortex-M55 with MVE, RV32IMAC.
            let core = board.core.split(' ').next().unwrap().trim_end_matches('F').trim_end_matches("AC");
            assert!(part.chip.contains(core), "{}: {core}", part.name);
            assert!(PARTS[..index].iter().all(|other| other.name != part.name));
            assert!(BOARDS.iter().all(|board| board.name != part.name));
        }
        assert!(self::part("nucleo").unwrap_err().help.contains("nucleo-l4r5zi"));
    }
}
