//! Checks whether a change made anything slower or larger: everything is measured again and compared with the
//! earlier figures ([`Before`]).
//!
//! A figure may grow as [`Tolerance::STATE`] says; and the keyword spotter has the limits below. A figure that became
//! smaller is always right.

use std::fmt::Write;

use anyhow::{Result, anyhow};
use ferrolite::bench::lock::{Figure, Tolerance};
use ferrolite::board::{self, Board, verifier_flash_bytes};
use ferrolite::model_file::{Linked, Weights};
use ferrolite_runtime::OpCode;

use crate::before::{Before, Row};
use crate::goals::Goals;
use crate::measure::Measured;

/// Most instructions of initialisation of the keyword spotter on a Cortex-M4.
const START: u64 = 5_000;
/// Most bytes of runtime code of the keyword spotter on a Cortex-M4.
const FLASH: u64 = 15_400;
/// Most bytes of the code that reads and checks the keyword spotter on a Cortex-M3.
const VERIFIER: u64 = 6_500;

/// One figure, before and now.
struct Compared {
    figure: Figure,
    before: Option<u64>,
    now: Option<u64>,
    /// The most that it may be, whatever it was before.
    limit: Option<u64>,
}

impl Compared {
    fn most(&self) -> u64 {
        self.limit.unwrap_or_else(|| Tolerance::STATE.most(self.figure, self.before.unwrap_or_default()))
    }

    /// Whether the figure exceeds its limit, or is no longer measured.
    fn fails(&self) -> bool {
        match (self.before, self.now) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(_), Some(now)) => now > self.most(),
        }
    }

    fn text(&self) -> String {
        match (self.before, self.now) {
            (None, _) => "-".into(),
            (Some(_), None) => "missing".into(),
            (Some(before), Some(now)) => {
                let mark = if self.fails() { " !" } else { "" };
                let change = now as i64 - before as i64;
                if self.limit.is_some() || self.figure.units().is_some() {
                    return format!("{change:+}{mark}");
                }
                format!("{:+.2} %{mark}", change as f64 / before.max(1) as f64 * 100.0)
            }
        }
    }
}

fn figures(board: &Board, model: &str, row: &Row, now: Option<&Measured>) -> [Compared; 7] {
    let spotter = model == "kws" && board.name == "qemu-cortex-m4";
    Figure::ALL.map(|figure| {
        let limit = match figure {
            Figure::Init if spotter => Some(START),
            Figure::Flash if spotter => Some(FLASH),
            // The code of other models is shown, and has no limit.
            Figure::Flash => Some(u64::MAX),
            _ => None,
        };
        Compared { figure, before: row.figure(figure), now: now.and_then(|now| now.figure(figure)), limit }
    })
}

/// A board's table, and the figures that exceed their limits.
pub fn table(board: &Board, measured: &[Measured], before: &Before) -> (String, Vec<String>) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut beyond = Vec::new();
    for model in before.models(board.name) {
        let Some(row) = before.row(board.name, model) else { continue };
        let now = measured.iter().find(|measured| measured.name == model);
        let figures = figures(board, model, row, now);
        if rows.is_empty() {
            let names = figures.iter().map(|compared| compared.figure.word().to_string());
            rows.push(std::iter::once("model".into()).chain(names).collect());
        }
        rows.push(std::iter::once(model.into()).chain(figures.iter().map(Compared::text)).collect());
        for figure in figures.iter().filter(|figure| figure.fails()) {
            let (before, what) = (figure.before.unwrap_or_default(), figure.figure.word());
            let most = figure.most();
            let now = figure.now.map_or("not measured".into(), |now| now.to_string());
            beyond.push(format!("{}, {model}: {what} {now}, was {before}, at most {most}", board.name));
        }
    }
    (crate::markdown::align(&rows), beyond)
}

/// Size of the verifier of the keyword spotter on a Cortex-M3.
fn verifier() -> Result<u64> {
    let board = board::find("qemu-cortex-m3").map_err(message)?;
    let tuned = [OpCode::Conv2d, OpCode::DepthwiseConv2d, OpCode::FullyConnected];
    let tuned = tuned.map(|code| Linked { code, weights: Weights::Tuned });
    let ops = [&tuned[..], &[OpCode::AveragePool2d.into(), OpCode::Softmax.into()]].concat();
    verifier_flash_bytes(board, &ops).map_err(message)
}

/// The whole report: the boards' tables, the verifier, and whether each model is still below its ratio to the
/// peer.
pub fn report(tables: &[(&Board, Vec<Measured>)], goals: &Goals) -> Result<(String, Vec<String>)> {
    let before = Before::read()?;
    let mut out = String::new();
    let mut beyond = Vec::new();
    for (board, measured) in tables {
        let (table, more) = table(board, measured, &before);
        let _ = writeln!(out, "{}\n\n{table}", board.name);
        beyond.extend(more);
        beyond.extend(crate::markdown::shortfalls(board, measured, goals));
    }
    let verifier = verifier()?;
    let _ = writeln!(out, "verifier of kws on Cortex-M3: {verifier} bytes, at most {VERIFIER}");
    if verifier > VERIFIER {
        beyond.push(format!("verifier of kws on Cortex-M3: {verifier} bytes, at most {VERIFIER}"));
    }
    Ok((out, beyond))
}

fn message(error: ferrolite::Error) -> anyhow::Error {
    anyhow!("{}; {}", error.message, error.help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolite::board::{Modelled, find};

    fn now(row: &Row) -> Measured {
        let instructions = row.instructions.unwrap();
        let cycles = row.cycles.unwrap();
        Measured {
            name: "kws".into(),
            instructions,
            modelled: Ok(Modelled { instructions, cycles, flash_words: 9 }),
            init_instructions: 4_900,
            stack_bytes: row.stack.unwrap() as u32,
            arena_bytes: row.arena.unwrap() as u32,
            model_bytes: row.file.unwrap() as usize,
            runtime_flash_bytes: row.flash,
        }
    }

    /// Each figure may grow to its limit, and not by one more.
    #[test]
    fn each_limit_is_where_it_is_said_to_be() {
        let board = find("qemu-cortex-m4").unwrap();
        let before = Before::read().unwrap();
        let row = before.row(board.name, "kws").unwrap();
        let beyond = |measured: Measured| {
            let (_, beyond) = table(board, &[measured], &before);
            beyond.into_iter().filter(|line| line.contains(", kws: ")).collect::<Vec<_>>()
        };
        let more = |by: u64| -> [Measured; 7] {
            let same = now(row);
            let cycles = row.cycles.unwrap() * 103 / 100 + by;
            [
                Measured { instructions: same.instructions * 101 / 100 + by, ..same.clone() },
                Measured {
                    modelled: Ok(Modelled { instructions: 1, cycles, flash_words: 9 }),
                    ..same.clone()
                },
                Measured { init_instructions: START + by, ..same.clone() },
                Measured { arena_bytes: same.arena_bytes * 101 / 100 + by as u32, ..same.clone() },
                Measured { stack_bytes: same.stack_bytes + 64 + by as u32, ..same.clone() },
                Measured { runtime_flash_bytes: Some(FLASH + by), ..same.clone() },
                Measured { model_bytes: same.model_bytes + 256 + by as usize, ..same },
            ]
        };
        for measured in more(0) {
            assert_eq!(beyond(measured), Vec::<String>::new());
        }
        for measured in more(1) {
            assert_eq!(beyond(measured).len(), 1);
        }
    }

    #[test]
    fn a_model_that_is_no_longer_measured_is_told() {
        let board = find("qemu-cortex-m0").unwrap();
        let (_, beyond) = table(board, &[], &Before::read().unwrap());
        assert!(beyond.iter().any(|line| line.contains("kws: instructions not measured")), "{beyond:?}");
    }
}
