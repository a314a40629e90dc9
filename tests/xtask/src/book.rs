//! The book of `boards/book`: checks it with `tests/book`, which parses pages and sources, and builds it with mdBook's
//! library, in a package of its own so that its hundred dependencies are nobody else's.

use anyhow::Result;

use crate::run::{command, exec, root};

fn book(words: &[&str]) -> Result<()> {
    exec(command("cargo", &[&["run", "-q", "-p", "book", "--"], words].concat()))
}

/// Whether links lead somewhere, and every error has its cure.
pub fn check() -> Result<()> {
    book(&["check"])
}

/// Runs what the pages tell to type: with `slow` what builds firmware, too.
pub fn commands(slow: bool) -> Result<()> {
    // All programs of the workspace: its features are then those of `cargo test`, and little is left to build.
    exec(command("cargo", &["build", "-q", "--workspace", "--bins"]))?;
    book(if slow { &["commands", "--slow"] } else { &["commands"] })
}

/// Writes the page of the command's errors anew.
pub fn errors() -> Result<()> {
    book(&["errors"])
}

/// Draws the pictures anew.
pub fn pictures() -> Result<()> {
    exec(command("cargo", &["run", "-q", "-p", "ferrolite", "--example", "book_pictures"]))
}

/// Checks the book and builds it into `target/book`.
pub fn build() -> Result<()> {
    check()?;
    let manifest = root().join("boards/book/builder/Cargo.toml").display().to_string();
    let target = root().join("target/book-builder").display().to_string();
    let words = ["run", "-q", "--manifest-path", &manifest, "--target-dir", &target, "--", "boards/book"];
    exec(command("cargo", &words))?;
    println!("the book: target/book/index.html");
    Ok(())
}
