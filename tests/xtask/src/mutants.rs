//! Mutants: starts `tests/mutants`, which parses Rust and would make this crate slow to build.

use anyhow::Result;

use crate::run::{command, exec};

/// Tries all mutants, or those that the options choose.
pub fn run(options: &[String]) -> Result<()> {
    let mut cargo = command("cargo", &["run", "-q", "-p", "mutants", "--"]);
    cargo.args(options);
    exec(cargo)
}

/// A part of them that takes minutes: the weights' packings, with the runtime's own tests.
pub fn packings() -> Result<()> {
    run(&["--only", "runtime/src/packing.rs", "--package", "ferrolite-runtime"].map(String::from))
}
