//! Gives the linker the memory map of the board whose feature is on.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let boards: Vec<String> = env::vars()
        .filter_map(|(name, _)| name.strip_prefix("CARGO_FEATURE_QEMU_").map(str::to_lowercase))
        .collect();
    let [board] = boards.as_slice() else {
        panic!("name one board: --features qemu-cortex-m4 (boards/runner/memory lists them)");
    };
    let file = format!("memory/qemu-{}.x", board.replace('_', "-"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy(&file, out.join("memory.x")).expect("the board has a memory map");
    println!("cargo:rerun-if-changed={file}");
    println!("cargo:rustc-link-search={}", out.display());
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "riscv32") {
        println!("cargo:rustc-link-arg=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=--nmagic");
}
