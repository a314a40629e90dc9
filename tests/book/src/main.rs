//! What `cargo xtask book` checks before it builds the book of `boards/book`:
//!
//! ```text
//! book check            links and anchors; every error of the device and of the command has its cure
//! book errors           writes the page of the command's errors anew, from the sources
//! book commands [--slow] runs the commands of the pages, in a new folder
//! ```
//! The pages are parsed as mdBook parses them, the sources with `syn`.

mod commands;
mod device;
mod host;
mod links;
mod pages;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use pages::Page;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks links, anchors, and that every error has its cure
    Check,
    /// Writes the page of the command's errors anew
    Errors,
    /// Runs the commands of the pages that are marked as tested
    Commands {
        /// Those that build firmware, too
        #[arg(long)]
        slow: bool,
        /// Only of pages whose name contains this word
        #[arg(long, default_value = "")]
        page: String,
    },
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace: findings are about pages, not about this program.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let root = root();
    let book = root.join("boards/book/src");
    match Cli::parse().command {
        Command::Check => check(&root, &book),
        Command::Errors => {
            let page = host::page(&root)?;
            Ok(fs::write(book.join(host::PAGE), page)?)
        }
        Command::Commands { slow, page } => commands::run(&root, &pages::read(&book)?, slow, &page),
    }
}

/// All checks; each finding is a line.
fn check(root: &Path, book: &Path) -> Result<()> {
    let pages = pages::read(book)?;
    let mut wrong = pages::unlisted(book, &pages)?;
    wrong.extend(links::check(root, book, &pages));
    let device =
        pages.iter().find(|page| page.path == device::PAGE).context("no page of the device's errors")?;
    wrong.extend(device::check(root, device)?);
    match host::page(root) {
        Ok(text) => {
            let written = fs::read_to_string(book.join(host::PAGE)).unwrap_or_default();
            if text != written {
                wrong.push(format!("{}: stale: `cargo xtask book --errors` writes it anew", host::PAGE));
            }
        }
        Err(error) => wrong.push(format!("{error:#}")),
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let commands: usize = pages.iter().map(|page: &Page| page.blocks.len()).sum();
    println!(
        "the book: {} pages, {commands} blocks, every link leads somewhere, every error has its cure",
        pages.len()
    );
    Ok(())
}
