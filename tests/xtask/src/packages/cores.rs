//! The C library for each core that packages have it for.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run::{command, exec, output, root};

/// A core, and how its library is built.
pub struct Core {
    /// Name of its folder.
    pub name: &'static str,
    /// Rust's target.
    target: &'static str,
    /// Rust's flags.
    flags: &'static str,
    /// The folder of `boards/target` where it is built: those of the emulated boards serve tests, too.
    place: &'static str,
    /// Folders of Arduino's precompiled libraries: `build.mcu`, and the FPU with its ABI where the compiler has flags for
    /// both.
    pub arduino: &'static [&'static str],
}

const fn core(
    name: &'static str,
    target: &'static str,
    place: &'static str,
    arduino: &'static [&'static str],
) -> Core {
    Core { name, target, flags: "", place, arduino }
}

pub const CORES: [Core; 8] = [
    core("cortex-m0plus", "thumbv6m-none-eabi", "qemu-cortex-m0", &["cortex-m0plus", "cortex-m0"]),
    core("cortex-m3", "thumbv7m-none-eabi", "qemu-cortex-m3", &["cortex-m3"]),
    core(
        "cortex-m4",
        "thumbv7em-none-eabihf",
        "qemu-cortex-m4",
        &["cortex-m4/fpv4-sp-d16-hard", "cortex-m7/fpv5-d16-hard", "cortex-m7/fpv5-sp-d16-hard"],
    ),
    core(
        "cortex-m4-soft",
        "thumbv7em-none-eabi",
        "packages",
        &["cortex-m4", "cortex-m4/fpv4-sp-d16-softfp", "cortex-m7", "cortex-m7/fpv5-d16-softfp"],
    ),
    Core {
        flags: "-Ctarget-cpu=cortex-m33",
        ..core("cortex-m33", "thumbv8m.main-none-eabihf", "qemu-cortex-m33", &["cortex-m33/fpv5-sp-d16-hard"])
    },
    Core {
        flags: "-Ctarget-cpu=cortex-m55",
        ..core("cortex-m55", "thumbv8m.main-none-eabihf", "qemu-cortex-m55", &[])
    },
    core("riscv32imac", "riscv32imac-unknown-none-elf", "qemu-riscv32", &["esp32c6", "esp32h2"]),
    core("riscv32imc", "riscv32imc-unknown-none-elf", "packages", &["esp32c3", "esp32c2"]),
];

impl Core {
    /// Builds the library, without debug tables; `None`, and a line that says so, where rustup cannot get the target.
    pub fn library(&self) -> Result<Option<PathBuf>> {
        let installed = || {
            let list = output("rustup", &["target", "list", "--installed"]).unwrap_or_default();
            list.lines().any(|line| line == self.target)
        };
        if !installed() {
            let _ = exec(command("rustup", &["target", "add", self.target]));
        }
        if !installed() {
            println!("skipped: the library of {}: rustup cannot get {}", self.name, self.target);
            return Ok(None);
        }
        let place = root().join("boards/target").join(self.place);
        let mut cargo = command("cargo", &["build", "--quiet", "--release", "-p", "ferrolite-c"]);
        // With the feature, a path to a panic would be an undefined symbol.
        cargo.args(["--features", "no-panic", "--target", self.target, "--target-dir"]).arg(&place);
        cargo.current_dir(root().join("boards"));
        for outer in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTFLAGS"] {
            cargo.env_remove(outer);
        }
        if !self.flags.is_empty() {
            cargo.env("RUSTFLAGS", self.flags);
        }
        exec(cargo)?;
        let built = place.join(self.target).join("release/libferrolite.a");
        let panic = b"ferrolite_a_panic_can_be_reached";
        if fs::read(&built)?.windows(panic.len()).any(|bytes| bytes == panic) {
            bail!("{}: a function of the library can panic", self.name);
        }
        let stripped = root().join("target/packages/libraries").join(self.name).join("libferrolite.a");
        fs::create_dir_all(stripped.parent().context("a folder")?)?;
        let mut strip = command(&objcopy()?.display().to_string(), &["--strip-debug"]);
        strip.arg(&built).arg(&stripped);
        super::exec_quietly(strip)?;
        Ok(Some(stripped))
    }
}

/// The toolchain's own objcopy, of the component llvm-tools or of rustc.
fn objcopy() -> Result<PathBuf> {
    let sysroot = output("rustc", &["--print", "sysroot"]).context("rustc does not run")?;
    let host = output("rustc", &["-vV"]).context("rustc does not run")?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let tools = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(host).join("bin");
    let found =
        ["llvm-objcopy", "rust-objcopy"].map(|name| tools.join(name)).into_iter().find(|path| path.is_file());
    found.with_context(|| format!("{} has no objcopy: rustup component add llvm-tools", tools.display()))
}
