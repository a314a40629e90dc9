//! Measures models on boards; `cargo xtask bench` runs it.
//!
//! ```text
//! bench                          everything, into BENCHMARKS.md
//! bench --board B --model M      the table of a board or a model, printed (each word may be repeated)
//! bench --golden                 renews the golden figures of models of all kinds
//! bench --golden --check         fails if they have changed
//! bench --layers [LAYER]…         prices single layers of random numbers; `layers.rs` explains the words
//! bench --elements [CASE]…        prices operators without multiplications; `elements.rs` explains the words
//! bench --fit                    the boards of `bench --board` against published latencies
//! bench --prices                 renews the prices of the ways through operators
//! bench --house                  compares everything with the earlier figures; fails beyond the limits
//! ```

mod before;
#[path = "../../tests/common/mod.rs"]
mod common;
mod elements;
mod fit;
mod goals;
mod golden;
mod house;
mod layers;
mod markdown;
mod measure;
mod models;
mod prices;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ferrolite::board::{self, Board};

use goals::Goals;
use measure::Measured;
use models::Source;

fn main() -> ExitCode {
    match Words::parse(std::env::args().skip(1)).and_then(|words| run(&words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The arguments of the command line.
#[derive(Default)]
struct Words {
    boards: Vec<String>,
    models: Vec<String>,
    golden: bool,
    check: bool,
    house: bool,
    prices: bool,
    fit: bool,
    /// The layers to price, where they are.
    layers: Option<Vec<String>>,
    /// The operators without multiplications to price.
    elements: Option<Vec<String>>,
}

impl Words {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Words> {
        let mut parsed = Words::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a name"));
            match word.as_str() {
                "--board" => parsed.boards.push(value()?),
                "--model" => parsed.models.push(value()?),
                "--golden" => parsed.golden = true,
                "--check" => parsed.check = true,
                "--house" => parsed.house = true,
                "--prices" => parsed.prices = true,
                "--fit" => parsed.fit = true,
                "--layers" => parsed.layers = Some(Vec::new()),
                "--elements" => parsed.elements = Some(Vec::new()),
                layer if !layer.starts_with('-') && parsed.layers.is_some() => {
                    parsed.layers.get_or_insert_default().push(layer.into());
                }
                case if !case.starts_with('-') && parsed.elements.is_some() => {
                    parsed.elements.get_or_insert_default().push(case.into());
                }
                other => bail!("there is no option {other}"),
            }
        }
        Ok(parsed)
    }
}

fn run(words: &Words) -> Result<()> {
    if words.golden {
        return golden::run(words.check);
    }
    if words.fit {
        return fit::run();
    }
    if words.prices {
        return prices::run(&boards(|board| wanted(&words.boards, board.name)));
    }
    if let Some(layers) = &words.layers {
        return layers::run(&boards(|board| wanted(&words.boards, board.name)), layers);
    }
    if let Some(cases) = &words.elements {
        return elements::run(&boards(|board| wanted(&words.boards, board.name)), cases);
    }
    let sources = models::all().into_iter().filter(|source| wanted(&words.models, &source.name));
    let sources: Vec<Source> = sources.collect();
    if sources.is_empty() {
        bail!("no model has one of these names: {}", words.models.join(", "));
    }
    for name in &words.boards {
        board::find(name).map_err(|error| anyhow::anyhow!("{}; {}", error.message, error.help))?;
    }
    let boards = boards(|board| wanted(&words.boards, board.name));
    let goals = Goals::read()?;
    let mut tables: Vec<(&'static Board, Vec<Measured>)> = Vec::new();
    for board in boards {
        let measured = measure::board(board, &sources)?;
        if !words.house {
            println!("{}", markdown::table(board, &measured, &goals));
        }
        tables.push((board, measured));
    }
    if words.house {
        let (report, beyond) = house::report(&tables, &goals)?;
        println!("{report}");
        for line in &beyond {
            println!("beyond its limit: {line}");
        }
        if !beyond.is_empty() {
            bail!("{} figures are beyond their limits", beyond.len());
        }
        return Ok(());
    }
    for (board, measured) in &tables {
        for line in markdown::shortfalls(board, measured, &goals) {
            println!("{line}");
        }
    }
    if !words.boards.is_empty() || !words.models.is_empty() {
        return Ok(());
    }
    let missing: Vec<&str> = models::NAMED
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !sources.iter().any(|source| source.name == *name && source.path.is_file()))
        .collect();
    let absent: Vec<&str> = board::BOARDS
        .iter()
        .map(|board| board.name)
        .filter(|name| !tables.iter().any(|(board, _)| board.name == *name))
        .collect();
    if !missing.is_empty() || !absent.is_empty() {
        println!("BENCHMARKS.md stays as it is: {} not measured", [missing, absent].concat().join(", "));
        return Ok(());
    }
    let page = root().join("BENCHMARKS.md");
    let elements = elements::page(&tables.iter().map(|&(board, _)| board).collect::<Vec<_>>())?;
    std::fs::write(&page, markdown::page(&tables, &goals, &elements)).context("BENCHMARKS.md")?;
    println!("wrote BENCHMARKS.md");
    Ok(())
}

fn wanted(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| wanted == name)
}

/// The boards that this machine can run. Others are reported.
fn boards(wanted: impl Fn(&Board) -> bool) -> Vec<&'static Board> {
    let all = board::list().into_iter().filter(|status| wanted(status.board));
    all.filter_map(|status| {
        let missing = match (status.qemu_installed, status.target_installed) {
            (true, true) => return Some(status.board),
            (false, _) => status.board.qemu,
            _ => status.board.target,
        };
        println!("skipped: {}: {missing} is not installed", status.board.name);
        None
    })
    .collect()
}

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).into()
}
