//! Mutants: starts `tests/mutants`, which parses Rust and would make this crate slow to build.

use anyhow::Result;

use crate::run::{command, exec};

/// Tries all mutants, or those whose name contains a word; `more` is handed on.
pub fn run(only: Option<&str>, more: &[String]) -> Result<()> {
    let mut cargo = command("cargo", &["run", "-q", "-p", "mutants", "--"]);
    if let Some(word) = only {
        cargo.args(["--only", word]);
    }
    cargo.args(more);
    exec(cargo)
}
