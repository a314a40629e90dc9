//! Gives the linker the memory map of the board whose feature is on.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let on = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let file = match (on("MPS2_AN386"), on("STM32F405")) {
        (true, false) => "memory/mps2-an386.x",
        (false, true) => "memory/stm32f405.x",
        _ => panic!("name one board: the default, or --no-default-features --features stm32f405"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy(file, out.join("memory.x")).expect("the memory map can be copied");
    println!("cargo:rerun-if-changed=memory");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
}
