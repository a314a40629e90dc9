//! Makes tables of the measurements, and BENCHMARKS.md from them.

use std::fmt::Write;
use std::process::Command;

use ferrolite::board::Board;

use crate::goals::Goals;
use crate::measure::Measured;
use crate::models::NAMED;

const METHOD: &str = "\
# Benchmarks

Written by `cargo xtask bench`, which measures everything below anew in a few minutes; the same words with `--board` and
`--model` print one table: `cargo xtask bench --board qemu-cortex-m4 --model kws`. A model's layers, one by one:
`ferrolite bench FILE.ferro --on qemu-cortex-m4`.

## Method

Each int8 model is converted with the board's `--target` and runs on the board's emulator with the firmware
`boards/runner`, compiled for that core. The figures are those of one inference, `Interpreter::invoke` as a whole, without its
initialisation, which has a column of its own. Outputs are the same on all boards, byte for byte, and equal to TensorFlow
Lite Micro's.

- **Counted: instructions.** QEMU runs under `-icount`, where each instruction takes the same time, and a timer of the board is
  read before and after. The number is the same on every run.
- **Modelled: cycles** of Cortex-M4 and Cortex-M33. A plugin of QEMU, `boards/cycles`, prices every executed instruction by
  Arm's tables and by rules that were measured on silicon: chains of loads, addresses computed just before, alignment of fetched
  code and of data, taken branches, flash and RAM as two memories. Flash has no wait states. The rules met 26 published cycle counts
  of Cortex-M4 programs within -3.8 and +0.5 %, median -0.3 %; ratios of two programs on a core are right within 5 %; the times
  that cycles and a clock give may be up to 25 % too low for a board. Where code happens to lie moves cycles by 1 to 9 %. The model of the
  M33 is held against published latencies only.
- **Memory.** The arena is what the file asks for; runtime flash is what linking the model's operators adds to an
  empty firmware, code and constants, without the model. Models lie in flash, but on Cortex-M55 and RISC-V in other memory.
- **The peer** is TensorFlow Lite Micro with CMSIS-NN, both of 2026, measured in the same way on the same emulated boards, with the
  same model of cycles, and weights in flash. Of its builds (gcc 12.2 and 14.2, release flags, -Ofast, -Os) the best one
  counts, for each figure. RISC-V, which CMSIS-NN does not serve, is held against TFLM's own kernels on a Cortex-M4.
  Its figures are in `tests/examples/bench/goals.txt`, together with the ratios asked.
";

/// The unit of a board's figures.
fn unit(board: &Board) -> &'static str {
    if board.timing.is_some() { "modelled cycles" } else { "instructions" }
}

/// The figure that a board is compared by.
fn figure(board: &Board, measured: &Measured) -> Option<u64> {
    match board.timing {
        Some(_) => measured.modelled.as_ref().ok().map(|modelled| modelled.cycles),
        None => Some(measured.instructions),
    }
}

fn thousands(number: u64) -> String {
    ferrolite::text::thousands(number)
}

fn or_dash(word: Option<String>) -> String {
    word.unwrap_or_else(|| "-".into())
}

/// The table of a board.
pub fn table(board: &Board, measured: &[Measured], goals: &Goals) -> String {
    let mut out = format!("### {} (`{}`): {}\n\n", board.core, board.name, unit(board));
    let modelled = board.timing.is_some();
    let mut rows = vec![heading(board)];
    for measured in measured {
        let goal = |what: &str| goals.figure(board.name, what, &measured.name);
        let found = figure(board, measured);
        let ratio = found.zip(goal("peer")).map(|(found, peer)| format!("{:.3}", found as f64 / peer));
        let asked = match (goal("asked"), goal("at-most")) {
            (Some(asked), _) => Some(format!("{asked:.2}")),
            (_, Some(most)) => Some(format!("at most {}", thousands(most as u64))),
            _ => None,
        };
        let aim = match (goal("aim"), goal("aim-at-most")) {
            (Some(aim), _) => Some(format!("{aim:.2}")),
            (_, Some(most)) => Some(thousands(most as u64)),
            _ => None,
        };
        let mut row = vec![
            measured.name.clone(),
            or_dash(found.map(thousands)),
            or_dash(goal("peer").map(|peer| thousands(peer as u64))),
            or_dash(ratio),
            or_dash(asked),
            or_dash(aim),
        ];
        if modelled {
            row.push(thousands(measured.instructions));
            row.push(or_dash(
                measured.modelled.as_ref().ok().map(|modelled| thousands(modelled.flash_words)),
            ));
        }
        row.extend([
            thousands(measured.init_instructions),
            thousands(measured.arena_bytes.into()),
            thousands(measured.stack_bytes.into()),
            or_dash(measured.runtime_flash_bytes.map(thousands)),
            thousands(measured.model_bytes as u64),
        ]);
        rows.push(row);
    }
    out += &align(&rows);
    if let Some(Err(reason)) = measured.first().map(|measured| &measured.modelled).filter(|_| modelled) {
        let _ = writeln!(out, "\nno modelled cycles: {reason}");
    }
    out
}

fn heading(board: &Board) -> Vec<String> {
    let mut words = vec!["model", unit(board), "peer", "ratio", "asked", "aim"];
    if board.timing.is_some() {
        words.extend(["instructions", "flash words"]);
    }
    words.extend(["init", "arena", "stack", "runtime flash", "model file"]);
    words.into_iter().map(String::from).collect()
}

/// A Markdown table that is also readable as text: names are left-aligned, numbers right-aligned.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|word| word.chars().count())
            .max()
            .unwrap_or(0)
            .max(3)
    };
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, word) in row.iter().enumerate() {
            let width = width(column);
            let _ =
                if column == 0 { write!(out, "| {word:<width$} ") } else { write!(out, "| {word:>width$} ") };
        }
        out += "|\n";
        if index == 0 {
            for column in 0..columns {
                let line = "-".repeat(width(column));
                let _ =
                    if column == 0 { write!(out, "| {line} ") } else { write!(out, "| {}: ", &line[1..]) };
            }
            out += "|\n";
        }
    }
    out
}

/// The figures that exceed their goals, one line each.
pub fn shortfalls(board: &Board, measured: &[Measured], goals: &Goals) -> Vec<String> {
    let mut lines = Vec::new();
    for measured in measured {
        let goal = |what: &str| goals.figure(board.name, what, &measured.name);
        let found = figure(board, measured);
        let name = format!("{}, {}", board.core, measured.name);
        if let (Some(found), Some(peer), Some(asked)) = (found, goal("peer"), goal("asked")) {
            let ratio = found as f64 / peer;
            if ratio > asked {
                let over = (ratio / asked - 1.0) * 100.0;
                lines.push(format!("{name}: ratio {ratio:.3}, asked {asked:.2} ({over:+.0} %)"));
            }
        }
        let limits = [
            ("at-most", unit(board), found),
            ("asked-arena", "bytes of arena", Some(measured.arena_bytes.into())),
            ("asked-flash", "bytes of runtime flash", measured.runtime_flash_bytes),
            ("asked-init", "instructions of initialisation", Some(measured.init_instructions)),
        ];
        for (what, unit, found) in limits {
            if let (Some(most), Some(found)) = (goal(what), found)
                && found as f64 > most
            {
                let (found, most) = (thousands(found), thousands(most as u64));
                lines.push(format!("{name}: {found} {unit}, asked at most {most}"));
            }
        }
    }
    lines
}

/// BENCHMARKS.md, with a part about the cost of an element.
pub fn page(tables: &[(&Board, Vec<Measured>)], goals: &Goals, elements: &str) -> String {
    let mut out = METHOD.to_string();
    let _ = writeln!(out, "\nMeasured with {}, {}.\n", version("qemu-system-arm"), version("rustc"));
    out += "## Figures\n\nBytes of memory, instructions of initialisation (`init`); the ratio is ours to the peer's, and what is asked of it\ncomes before what is aimed for then.\n";
    for (board, measured) in tables {
        let named: Vec<Measured> = measured.iter().filter(|one| is_named(one)).cloned().collect();
        let _ =
            writeln!(out, "\n{}\n`cargo xtask bench --board {}`", table(board, &named, goals), board.name);
    }
    if let Some((board, measured)) = tables.iter().find(|(board, _)| board.name == "qemu-cortex-m4") {
        let _ = writeln!(
            out,
            "\n### {}: memory and initialisation, ours and the peer's\n\n{}",
            board.core,
            footprint(board, measured, goals)
        );
    }
    let _ = writeln!(out, "### Other models: instructions of one inference\n\n{}", others(tables));
    let _ = writeln!(out, "{elements}");
    out += "## What falls short\n\n";
    let short: Vec<String> =
        tables.iter().flat_map(|(board, measured)| shortfalls(board, measured, goals)).collect();
    if short.is_empty() {
        out += "Every figure of a model reaches what is asked; operators that do not have their exclamation mark.\n";
    }
    for line in short {
        let _ = writeln!(out, "- {line}");
    }
    out
}

fn is_named(measured: &Measured) -> bool {
    NAMED.iter().any(|(name, _)| *name == measured.name)
}

/// Our memory, and the peer's.
fn footprint(board: &Board, measured: &[Measured], goals: &Goals) -> String {
    let heading =
        ["model", "arena", "peer", "asked", "runtime flash", "peer", "asked", "init", "peer", "asked"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    for one in measured.iter().filter(|one| is_named(one)) {
        let goal =
            |what: &str| or_dash(goals.figure(board.name, what, &one.name).map(|n| thousands(n as u64)));
        rows.push(vec![
            one.name.clone(),
            thousands(one.arena_bytes.into()),
            goal("peer-arena"),
            goal("asked-arena"),
            or_dash(one.runtime_flash_bytes.map(thousands)),
            goal("peer-flash"),
            goal("asked-flash"),
            thousands(one.init_instructions),
            goal("peer-init"),
            goal("asked-init"),
        ]);
    }
    align(&rows)
}

/// Models without a peer, on all boards.
fn others(tables: &[(&Board, Vec<Measured>)]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for measured in tables.iter().flat_map(|(_, measured)| measured).filter(|one| !is_named(one)) {
        if !names.contains(&measured.name.as_str()) {
            names.push(&measured.name);
        }
    }
    let boards = tables.iter().map(|(board, _)| board.name.trim_start_matches("qemu-").to_string());
    let mut rows = vec![std::iter::once("model".to_string()).chain(boards).collect::<Vec<_>>()];
    for name in names {
        let cells = tables.iter().map(|(_, measured)| {
            or_dash(measured.iter().find(|one| one.name == name).map(|one| thousands(one.instructions)))
        });
        rows.push(std::iter::once(name.to_string()).chain(cells).collect());
    }
    align(&rows)
}

/// The first line that a program prints about its version.
fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" (").next().unwrap_or_default();
    if line.is_empty() { format!("an unknown {program}") } else { line.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolite::board::{Modelled, find};

    fn kws(cycles: u64) -> Measured {
        Measured {
            name: "kws".into(),
            instructions: 4_000_000,
            modelled: Ok(Modelled { instructions: 4_000_000, cycles, flash_words: 9 }),
            init_instructions: 4_000,
            stack_bytes: 800,
            arena_bytes: 9_000,
            model_bytes: 30_000,
            runtime_flash_bytes: Some(17_000),
        }
    }

    #[test]
    fn what_is_above_what_is_asked_is_told() {
        let goals = Goals::read().unwrap();
        let board = find("qemu-cortex-m4").unwrap();
        // The goal is 0.56 of 9,658,183 cycles, and at most 16,384 bytes.
        let lines = shortfalls(board, &[kws(5_500_000)], &goals);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("ratio 0.569, asked 0.56 (+2 %)"), "{lines:?}");
        assert!(lines[1].contains("17,000 bytes of runtime flash, asked at most 16,384"), "{lines:?}");
        assert_eq!(shortfalls(board, &[kws(5_400_000)], &goals).len(), 1);
        let text = table(board, &[kws(5_400_000)], &goals);
        assert!(text.contains("| kws   |       5,400,000 | 9,658,183 | 0.559 |  0.56 | 0.50 |"), "{text}");
    }

    #[test]
    fn a_table_without_cycles_says_why() {
        let board = find("qemu-cortex-m4").unwrap();
        let measured = Measured { modelled: Err("no plugin".into()), ..kws(0) };
        let goals = Goals::read().unwrap();
        assert!(
            table(board, std::slice::from_ref(&measured), &goals).contains("no modelled cycles: no plugin")
        );
        // Without cycles, the figures that are known are still compared with their goals.
        assert_eq!(shortfalls(board, &[measured], &goals).len(), 1);
    }
}
