//! Gives the linker a memory map, and the firmware its operators: the variable FERROLITE_OPS holds
//! names of constants in `ferrolite_runtime::ops` with commas between them; without it, all.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let riscv = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "riscv32");
    let memory = if riscv { "memory/riscv32.x" } else { "memory/cortex-m.x" };
    fs::copy(memory, out.join("memory.x")).expect("the memory map can be copied");

    let names = env::var("FERROLITE_OPS").unwrap_or_default();
    let ops: Vec<String> =
        names.split(',').filter(|name| !name.is_empty()).map(|name| format!("ops::{name}")).collect();
    let ops = if ops.is_empty() { "ops::ALL".to_string() } else { format!("&[{}]", ops.join(", ")) };
    fs::write(out.join("ops.rs"), format!("const OPS: OpSet = {ops};\n"))
        .expect("the operators can be written");

    println!("cargo:rerun-if-env-changed=FERROLITE_OPS");
    println!("cargo:rerun-if-changed=memory");
    println!("cargo:rustc-link-search={}", out.display());
    if riscv {
        println!("cargo:rustc-link-arg=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=--nmagic");
}
