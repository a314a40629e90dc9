//! `ferrolite new`: writes a project for a board.

use serde::Serialize;

use super::args::NewArgs;
use super::bars::Bars;
use super::{Printed, remarks};
use crate::error::Result;
use crate::project::{self, Language, Request, Runtime, Start};
use crate::text;

/// The JSON object of `new`.
#[derive(Debug, Serialize)]
struct Facts {
    project: String,
    board: &'static str,
    target: &'static str,
    language: String,
    files: Vec<String>,
    runtime: String,
    model_bytes: usize,
    arena_bytes: usize,
    run: &'static str,
    notes: Vec<String>,
    warnings: Vec<String>,
}

pub fn execute(args: &NewArgs) -> Result<Printed> {
    let kit = project::kit(&args.board)?;
    let language = if args.lang == "c" { Language::C } else { Language::Rust };
    let request = Request {
        folder: &args.app,
        kit,
        model: &args.model,
        calibrate: args.calibrate.as_deref(),
        language,
        runtime: args.runtime.as_deref(),
        strict: args.strict,
    };
    let project = project::create(&request, &Bars::new(args.json))?;
    let runtime = match &project.runtime {
        Runtime::Tree(tree) => format!("by path, from {}", tree.join("runtime").display()),
        Runtime::Repository => format!("from {}", env!("CARGO_PKG_REPOSITORY")),
    };
    let run = match language {
        Language::Rust => "cargo run --release",
        Language::C => "make run",
    };
    let facts = Facts {
        project: args.app.display().to_string(),
        board: kit.name,
        target: kit.target().name(),
        language: args.lang.clone(),
        files: project.files.iter().map(|file| file.display().to_string()).collect(),
        runtime,
        model_bytes: project.model_bytes,
        arena_bytes: project.arena_bytes,
        run,
        notes: project.notes,
        warnings: project.warnings,
    };
    if args.json {
        return Printed::json(&facts);
    }
    let what = match kit.start {
        Start::Qemu(_) => "builds it, runs it in QEMU and prints the answers",
        Start::Esp(_) => "builds it, flashes the board and shows what it prints; needs espflash",
        _ => "builds it, flashes the board and shows its log; needs probe-rs",
    };
    let place = |(start, bytes): (u32, u32)| format!("{} bytes at {start:#x}", text::thousands(bytes));
    Ok(Printed::Text(format!(
        "{}: a project for {} ({})\n  model      {} bytes, arena {} bytes\n  memory     flash {}, RAM {}\n  runtime    {}: it is not published yet\n{}then:\n  cd {}\n  {run:<22} # {what}\n",
        facts.project,
        kit.name,
        kit.describe(),
        text::count(facts.model_bytes),
        text::count(facts.arena_bytes),
        place(kit.map.flash),
        place(kit.map.ram),
        facts.runtime,
        remarks(&facts.notes, &facts.warnings),
        facts.project,
    )))
}
