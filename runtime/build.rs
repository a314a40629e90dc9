//! Finds out which kernel set suits the core: a set is chosen when the instructions that it is made of
//! assemble for this target with these flags. So the target and `-C target-cpu` say it all; there is
//! no feature to set, and no list of targets to keep.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// Kernel sets in order of preference, each with an instruction that it needs and that only cores of its own
/// kind have.
const SETS: &[(&str, &str)] = &[
    ("mve", "vmladava.s8 r0, q0, q0"),
    ("armv7em", "smlad r0, r1, r2, r3"),
    ("armv7m", "smlal r0, r1, r2, r3"),
    ("armv6m", "muls r0, r1, r0"),
    ("rv32im", "mulhsu a0, a1, a2"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let names: Vec<String> = SETS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    println!("cargo:rustc-check-cfg=cfg(kernels, values({}))", names.join(", "));
    let bare = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if !bare {
        return;
    }
    // The instruction is the same on 64 bits, where pointers are not what the set takes them for.
    let wide = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").is_ok_and(|width| width != "32");
    if wide {
        return;
    }
    if let Some((name, _)) = SETS.iter().find(|(_, instruction)| assembles(instruction)) {
        println!("cargo:rustc-cfg=kernels=\"{name}\"");
    }
    // With link-time optimisation the assembler forgets `-C target-cpu`, so functions in assembly repeat it.
    let v8 = env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m"));
    println!("cargo:rustc-env=FERROLITE_DSP_CPU={}", if v8 { "cortex-m33" } else { "cortex-m4" });
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
