//! Takes over from the schema's build script which kernel set suits the core, and whether this is firmware.

use std::env;

/// Sets that are chosen when firmware is compiled. The host's is found at run time.
const SETS: [&str; 5] = ["mve", "armv7em", "armv7m", "armv6m", "rv32im"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let names: Vec<String> = SETS.iter().map(|name| format!("\"{name}\"")).collect();
    println!("cargo:rustc-check-cfg=cfg(kernels, values({}))", names.join(", "));
    println!("cargo:rustc-check-cfg=cfg(device)");
    let told = |key: &str| env::var(format!("DEP_FERROLITE_KERNELS_{key}")).unwrap_or_default();
    if told("DEVICE") != "true" {
        return;
    }
    println!("cargo:rustc-cfg=device");
    let kernels = told("KERNELS");
    if SETS.contains(&kernels.as_str()) {
        println!("cargo:rustc-cfg=kernels=\"{kernels}\"");
    }
    // With link-time optimisation the assembler forgets `-C target-cpu`, so functions in assembly repeat it.
    let v8 = env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m"));
    println!("cargo:rustc-env=FERROLITE_DSP_CPU={}", if v8 { "cortex-m33" } else { "cortex-m4" });
}
