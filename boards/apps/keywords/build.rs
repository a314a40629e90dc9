//! Gives the linker the memory map of QEMU's mps2-an386, and the program what `model/make.py` has made.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// In `model/made`, which the repository does not contain.
const MADE: [&str; 3] = ["keywords.ferro", "keywords.rs", "features.bin"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("memory/mps2-an386.x", out.join("memory.x")).expect("the memory map can be copied");
    for name in MADE {
        let file = Path::new("model/made").join(name);
        // Where it is missing, Cargo looks again in each build.
        println!("cargo::rerun-if-changed={}", file.display());
        if let Err(error) = fs::copy(&file, out.join(name)) {
            println!(
                "cargo::error=boards/apps/keywords/{}: {error}; the model and the recording are not in the repository, \
                 because they are other people's: `python boards/apps/keywords/model/make.py` makes them of the folder \
                 that FERROLITE_SHARED names (see model/README.md)",
                file.display()
            );
            return;
        }
    }
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
}
