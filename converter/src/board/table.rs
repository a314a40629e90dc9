//! The boards that QEMU emulates, and the memory that a model must fit.

use ferrolite_runtime::Target;

use crate::error::{Error, Result};

/// The name of the host, where a board's name is expected.
pub const HOST: &str = "host";

/// A board: a QEMU machine, the firmware's target and the memory map that the runner's linker script
/// (`boards/runner/memory/NAME.x`) gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name on the command line; also the runner's cargo feature.
    pub name: &'static str,
    /// Name of the core, for people.
    pub core: &'static str,
    /// Program that emulates it.
    pub qemu: &'static str,
    /// QEMU's name of the machine.
    pub machine: &'static str,
    /// Further arguments that the machine needs.
    pub arguments: &'static [&'static str],
    /// Rust target of its firmware.
    pub target: &'static str,
    /// Compiler flags of its firmware, in addition to those of the target.
    pub rustflags: &'static str,
    /// Flash, in bytes.
    pub flash_bytes: u32,
    /// RAM, in bytes.
    pub ram_bytes: u32,
    /// Memories for jobs, the smallest first: flash, where a product keeps its model, and other memory for
    /// models that are too large for it.
    pub jobs: &'static [JobMemory],
    /// Room for an arena in one memory; the rest of the RAM is stack and the runner's own data.
    pub arena_bytes: u32,
    /// Clock of the timer that counts instructions; `None` if the core counts them itself.
    pub timer_hz: Option<u32>,
    /// The plugin's name of the core, if it has a timing model that was held against silicon.
    pub timing: Option<&'static str>,
    /// The plugin's name of the core whose cycles are asked for as an estimate only.
    pub estimate: &'static str,
    /// The addresses that stand for a product's flash: first, and behind the last.
    pub flash: (u32, u32),
}

/// A memory for jobs: each is a header of 64 bytes and a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobMemory {
    /// Where the first job starts, a multiple of 16.
    pub address: u32,
    /// Bytes.
    pub bytes: u32,
}

/// Addresses of code on a Cortex-M: flash.
const CODE: (u32, u32) = (0, 0x2000_0000);

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;
const ARM: &str = "qemu-system-arm";

const fn jobs(address: u32, bytes: u32) -> JobMemory {
    JobMemory { address, bytes }
}

/// Flash of the MPS2 boards above the runner.
const MPS2_FLASH: JobMemory = jobs(0x0008_0000, 3584 * KIB);

/// MPS2 with a Cortex-M3, M4 or M7. They differ in the core and the address of PSRAM.
const fn mps2(
    name: &'static str,
    core: &'static str,
    machine: &'static str,
    target: &'static str,
    jobs: &'static [JobMemory],
) -> Board {
    Board {
        name,
        core,
        qemu: ARM,
        machine,
        arguments: &[],
        target,
        rustflags: "",
        flash_bytes: 4 * MIB,
        ram_bytes: 4 * MIB,
        jobs,
        arena_bytes: 3968 * KIB,
        timer_hz: Some(25_000_000),
        timing: None,
        // Nearest to the M3, whose products take longer.
        estimate: "m4",
        flash: CODE,
    }
}

/// All boards, in the order of their cores.
pub const BOARDS: &[Board] = &[
    Board {
        name: "qemu-cortex-m0",
        core: "Cortex-M0",
        qemu: ARM,
        machine: "microbit",
        // For the runner, which has all operators: the board itself has 256 KiB.
        arguments: &["-global", "nrf51-soc.flash-size=0x80000"],
        target: "thumbv6m-none-eabi",
        rustflags: "",
        flash_bytes: 256 * KIB,
        ram_bytes: 16 * KIB,
        jobs: &[jobs(0x0006_0000, 64 * KIB)],
        arena_bytes: 12 * KIB,
        timer_hz: Some(16_000_000),
        timing: None,
        estimate: "m0plus",
        flash: CODE,
    },
    mps2(
        "qemu-cortex-m3",
        "Cortex-M3",
        "mps2-an385",
        "thumbv7m-none-eabi",
        &[MPS2_FLASH, jobs(0x2100_0000, 12 * MIB)],
    ),
    Board {
        timing: Some("m4"),
        ..mps2(
            "qemu-cortex-m4",
            "Cortex-M4F",
            "mps2-an386",
            "thumbv7em-none-eabihf",
            &[MPS2_FLASH, jobs(0x2100_0000, 12 * MIB)],
        )
    },
    Board {
        estimate: "m7",
        ..mps2(
            "qemu-cortex-m7",
            "Cortex-M7",
            "mps2-an500",
            "thumbv7em-none-eabihf",
            &[MPS2_FLASH, jobs(0x6000_0000, 12 * MIB)],
        )
    },
    Board {
        rustflags: "-Ctarget-cpu=cortex-m33",
        timer_hz: Some(20_000_000),
        timing: Some("m33"),
        estimate: "m33",
        ..mps2(
            "qemu-cortex-m33",
            "Cortex-M33",
            "mps2-an505",
            "thumbv8m.main-none-eabihf",
            &[jobs(0x1008_0000, 3584 * KIB), jobs(0x8000_0000, 12 * MIB)],
        )
    },
    Board {
        name: "qemu-cortex-m55",
        core: "Cortex-M55 with MVE",
        qemu: ARM,
        machine: "mps3-an547",
        arguments: &[],
        target: "thumbv8m.main-none-eabihf",
        rustflags: "-Ctarget-cpu=cortex-m55",
        flash_bytes: 512 * KIB,
        ram_bytes: 4 * MIB + 512 * KIB,
        jobs: &[jobs(0x6000_0000, 64 * MIB)],
        arena_bytes: 4 * MIB,
        timer_hz: Some(32_000_000),
        timing: None,
        estimate: "m55",
        flash: (0x6000_0000, 0x6400_0000),
    },
    Board {
        name: "qemu-riscv32",
        core: "RV32IMAC",
        qemu: "qemu-system-riscv32",
        machine: "virt",
        arguments: &["-m", "32M", "-bios", "none"],
        target: "riscv32imac-unknown-none-elf",
        rustflags: "",
        flash_bytes: 4 * MIB,
        ram_bytes: 4 * MIB,
        jobs: &[jobs(0x8100_0000, 16 * MIB)],
        arena_bytes: 3968 * KIB,
        timer_hz: None,
        timing: None,
        estimate: "rv32",
        flash: (0x8100_0000, 0x8200_0000),
    },
];

/// The board of this name, or a usage error that lists the names.
pub fn find(name: &str) -> Result<&'static Board> {
    BOARDS.iter().find(|board| board.name == name).ok_or_else(|| {
        let names: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
        Error::usage(format!("there is no board `{name}`"))
            .help(format!("boards are: {HOST}, {}; `ferrolite boards` describes them", names.join(", ")))
    })
}

impl Board {
    /// The conversion target of the board's core.
    pub fn core_target(&self) -> Target {
        let core = self.name.strip_prefix("qemu-");
        let target = Target::ALL.iter().find(|target| Some(target.name()) == core);
        target.copied().unwrap_or(Target::Portable)
    }

    /// The first memory with room for a job of this many bytes, else the last one.
    pub(super) fn job_memory(&self, bytes: usize) -> JobMemory {
        let fits = self.jobs.iter().find(|memory| bytes <= memory.bytes as usize);
        fits.or(self.jobs.last()).copied().unwrap_or(JobMemory { address: 0, bytes: 0 })
    }

    /// Instructions from ticks of the board's counter, when each instruction takes `2^shift` ns.
    pub fn instructions(&self, ticks: u64, shift: u32) -> u64 {
        let Some(hz) = self.timer_hz else { return ticks };
        let nanoseconds = u128::from(ticks) * 1_000_000_000;
        let per_instruction = u128::from(hz) << shift;
        u64::try_from((nanoseconds + per_instruction / 2) / per_instruction).unwrap_or(u64::MAX)
    }
}
