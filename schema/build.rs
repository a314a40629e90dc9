//! Finds out which kernel set suits the core: a set is chosen when the instructions that it is made of
//! assemble for this target with these flags. So the target and `-C target-cpu` say it all; there is
//! no feature to set. Where nothing assembles, as the standard library is built along (`-Zbuild-std`), names decide.
//!
//! It is told here, since [`Model`](../src/model.rs) compares it with what a file is packed for; the runtime's build
//! script takes it over.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// Only cores of the M profile have this register. Those of the A profile know SMLAD, too, and not our Thumb code.
const M_PROFILE: &str = "mrs r0, primask";

/// Kernel sets of an architecture in order of preference, each with an instruction that it needs and that only cores
/// of its own kind have.
const ARM: &[(&str, &str)] = &[
    ("mve", "vmladava.s8 r0, q0, q0"),
    ("armv7em", "smlad r0, r1, r2, r3"),
    ("armv7m", "smlal r0, r1, r2, r3"),
    ("armv6m", "muls r0, r1, r0"),
];
const RISCV32: &[(&str, &str)] = &[("rv32im", "mulhsu a0, a1, a2")];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let (arch, target) = (variable("CARGO_CFG_TARGET_ARCH"), variable("TARGET"));
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let bare = variable("CARGO_CFG_TARGET_OS") == "none";
    let found = match arch.as_str() {
        "arm" | "riscv32" if !assembles("nop") => by_name(&target, &flags),
        "arm" if assembles(M_PROFILE) => first(ARM),
        "riscv32" => first(RISCV32),
        "x86_64" if !bare && env::var_os("CARGO_CFG_MIRI").is_none() => Some("x86_64"),
        _ => None,
    };
    // Elsewhere programs are tests and simulations of what devices do.
    let device = bare || arch == "riscv32" || (arch == "arm" && found.is_some());
    println!("cargo:rustc-env=FERROLITE_KERNELS={}", found.unwrap_or("portable"));
    println!("cargo:kernels={}", found.unwrap_or("portable"));
    println!("cargo:device={device}");
}

fn first(sets: &[(&'static str, &str)]) -> Option<&'static str> {
    sets.iter().find(|(_, instruction)| assembles(instruction)).map(|(name, _)| *name)
}

/// The set for a target of this name, compiled with these flags, one after each separator of cargo's. Cores of
/// Armv8-M have SMLAD and MVE where `target-cpu` or `target-feature` says so.
pub fn by_name(target: &str, flags: &str) -> Option<&'static str> {
    let (core, _) = target.split_once('-')?;
    let says = |words: &[&str]| words.iter().any(|word| flags.contains(word));
    Some(match core {
        "thumbv6m" | "thumbv8m.base" => "armv6m",
        "thumbv7m" => "armv7m",
        "thumbv7em" => "armv7em",
        "thumbv8m.main" if says(&["cortex-m55", "cortex-m85", "cortex-m52", "+mve"]) => "mve",
        "thumbv8m.main" if says(&["cortex-m33", "cortex-m35p", "+dsp"]) => "armv7em",
        "thumbv8m.main" => "armv7m",
        _ if core.strip_prefix("riscv32").is_some_and(|set| set.contains(['g', 'm'])) => "rv32im",
        _ => return None,
    })
}

/// Whether the instruction assembles for the target with the flags of this build.
fn assembles(instruction: &str) -> bool {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let source = Path::new(&out).join("probe.rs");
    let code = format!("#![no_std]\ncore::arch::global_asm!(\"{instruction}\");\n");
    fs::write(&source, code).expect("OUT_DIR can be written");
    let mut rustc = Command::new(env::var("RUSTC").expect("cargo sets RUSTC"));
    rustc.arg(&source).args(["--crate-type=lib", "--emit=obj", "--edition=2024"]);
    rustc.args(["--target", &env::var("TARGET").expect("cargo sets TARGET")]);
    rustc.arg("-o").arg(Path::new(&out).join("probe.o"));
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    rustc.stdout(Stdio::null()).stderr(Stdio::null());
    rustc.status().is_ok_and(|status| status.success())
}
