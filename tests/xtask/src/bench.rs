//! Measuring: starts `tests/examples/bench`, which can use the converter and the boards.

use anyhow::Result;

use crate::run::{command, exec};
use crate::setup;

/// Measures models on boards, or renews the golden figures.
pub fn run(boards: &[String], models: &[String], golden: bool) -> Result<()> {
    let tools = setup::run_quietly()?;
    if !tools.targets || !tools.qemu {
        println!("boards whose target or QEMU is missing are skipped");
    }
    let mut words = Vec::new();
    words.extend(boards.iter().flat_map(|board| ["--board", board]));
    words.extend(models.iter().flat_map(|model| ["--model", model]));
    words.extend(golden.then_some("--golden"));
    start(&["--release"], &words)
}

/// Prices single layers on boards.
pub fn layers(boards: &[String], layers: &[String]) -> Result<()> {
    setup::run_quietly()?;
    let boards = boards.iter().flat_map(|board| ["--board", board]);
    let words: Vec<&str> = boards.chain(["--layers"]).chain(layers.iter().map(String::as_str)).collect();
    start(&["--release"], &words)
}

/// Prices operators without multiplications on boards.
pub fn elements(boards: &[String], cases: &[String]) -> Result<()> {
    setup::run_quietly()?;
    let boards = boards.iter().flat_map(|board| ["--board", board]);
    let words: Vec<&str> = boards.chain(["--elements"]).chain(cases.iter().map(String::as_str)).collect();
    start(&["--release"], &words)
}

/// Renews the prices of the ways through operators.
pub fn prices(boards: &[String]) -> Result<()> {
    setup::run_quietly()?;
    let boards = boards.iter().flat_map(|board| ["--board", board]);
    start(&["--release"], &boards.chain(["--prices"]).collect::<Vec<_>>())
}

/// Checks the golden figures, with the build that the tests have.
pub fn check_golden() -> Result<()> {
    start(&[], &["--golden", "--check"])
}

/// Starts the program that measures.
pub fn start(profile: &[&str], words: &[&str]) -> Result<()> {
    let cargo = ["run", "-q", "-p", "ferrolite-conformance", "--example", "bench"];
    exec(command("cargo", &[&cargo, profile, &["--"], words].concat()))
}
