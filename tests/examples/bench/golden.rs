//! Golden instruction counts: `tests/models/counts.txt` holds the instructions of two small models on four
//! cores, so that a review shows every change of speed.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use crate::measure::{self, Measured};
use crate::{models, root};

const FILE: &str = "tests/models/counts.txt";

/// One model has convolutions and poolings, the other depthwise convolutions and additions.
const MODELS: [&str; 2] = ["mnist_cnn_int8_tf", "fashion_dsres_int8_tf"];

const BOARDS: [&str; 4] = ["qemu-cortex-m3", "qemu-cortex-m4", "qemu-cortex-m55", "qemu-riscv32"];

/// The address of code changes counts by less than this share of them.
const TOLERANCE: f64 = 0.001;

const HEADING: &str = "\
# Instructions of one inference and of initialisation, each model converted for its board.
# `cargo xtask bench --golden` renews them; a change of more than 0.1 % fails `cargo xtask test`.
";

/// A line of the file.
#[derive(Clone, Debug, PartialEq)]
struct Count {
    board: String,
    model: String,
    instructions: u64,
    init: u64,
}

/// Renews the file, or checks that it is up to date.
pub fn run(check: bool) -> Result<()> {
    let path = root().join(FILE);
    let golden = read(&std::fs::read_to_string(&path).unwrap_or_default())?;
    let sources: Vec<_> = MODELS.iter().map(|name| models::own(name)).collect();
    let mut counts = Vec::new();
    let mut skipped = Vec::new();
    let ready = crate::boards(|board| BOARDS.contains(&board.name));
    for name in BOARDS {
        let Some(board) = ready.iter().find(|board| board.name == name) else {
            skipped.push(name);
            continue;
        };
        let measured = measure::board(board, &sources)?;
        if measured.len() != MODELS.len() {
            bail!("not every model runs on {name}");
        }
        counts.extend(measured.into_iter().map(|measured| count(name, measured)));
    }
    for line in changes(&golden, &counts) {
        println!("{line}");
    }
    if check {
        let failed = counts.iter().filter(|count| !golden.iter().any(|golden| close(golden, count))).count();
        if failed > 0 {
            bail!(
                "{failed} of {} counts differ from {FILE}; `cargo xtask bench --golden` renews them",
                counts.len()
            );
        }
        println!("{} counts are as {FILE} says", counts.len());
        return Ok(());
    }
    // Counts that cannot be measured here stay.
    counts.extend(golden.into_iter().filter(|golden| skipped.contains(&golden.board.as_str())));
    counts.sort_by_key(|count| BOARDS.iter().position(|board| *board == count.board));
    std::fs::write(&path, write(&counts)).context(FILE)?;
    println!("wrote {FILE}");
    Ok(())
}

fn count(board: &str, measured: Measured) -> Count {
    Count {
        board: board.into(),
        model: measured.name,
        instructions: measured.instructions,
        init: measured.init_instructions,
    }
}

fn same_place(a: &Count, b: &Count) -> bool {
    a.board == b.board && a.model == b.model
}

fn close(a: &Count, b: &Count) -> bool {
    let close = |a: u64, b: u64| a.abs_diff(b) as f64 <= TOLERANCE * a as f64;
    same_place(a, b) && close(a.instructions, b.instructions) && close(a.init, b.init)
}

/// The changes, in words.
fn changes(golden: &[Count], counts: &[Count]) -> Vec<String> {
    let changed = counts.iter().filter_map(|count| {
        let Some(before) = golden.iter().find(|golden| same_place(golden, count)) else {
            return Some(format!(
                "{} {}: new: {} + {}",
                count.board, count.model, count.instructions, count.init
            ));
        };
        (before != count).then(|| {
            format!(
                "{} {}: inference {}, init {}",
                count.board,
                count.model,
                change(before.instructions, count.instructions),
                change(before.init, count.init)
            )
        })
    });
    changed.collect()
}

fn change(before: u64, now: u64) -> String {
    let percent = (now as f64 / before as f64 - 1.0) * 100.0;
    if before == now { format!("{now}") } else { format!("{before} -> {now} ({percent:+.2} %)") }
}

fn read(text: &str) -> Result<Vec<Count>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let &[board, model, instructions, init] = words.as_slice() else {
                bail!("{FILE}: four words are needed: {line}");
            };
            let number = |word: &str| word.parse().with_context(|| format!("{FILE}: {word}"));
            let (instructions, init) = (number(instructions)?, number(init)?);
            Ok(Count { board: board.into(), model: model.into(), instructions, init })
        })
        .collect()
}

fn write(counts: &[Count]) -> String {
    let mut text =
        format!("{HEADING}# {:<16}  {:<24}  {:>10}  {:>8}\n", "board", "model", "inference", "init");
    for Count { board, model, instructions, init } in counts {
        let _ = writeln!(text, "{board:<18}  {model:<24}  {instructions:>10}  {init:>8}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(instructions: u64, init: u64) -> Count {
        Count { board: "qemu-cortex-m4".into(), model: "sine".into(), instructions, init }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let counts = [count(1_000_000, 5_000), count(7, 0)];
        assert_eq!(read(&write(&counts)).unwrap(), counts);
        assert!(read("qemu-cortex-m4 sine 12\n").is_err());
        assert!(read("qemu-cortex-m4 sine 12 x\n").is_err());
    }

    #[test]
    fn changes_are_told_and_large_ones_count() {
        let golden = [count(1_000_000, 5_000)];
        assert!(close(&golden[0], &count(1_000_999, 5_004)));
        assert!(!close(&golden[0], &count(1_001_001, 5_000)));
        assert!(!close(&golden[0], &count(998_000, 5_000)));
        assert!(!close(&golden[0], &count(1_000_000, 5_006)));
        assert!(changes(&golden, &golden).is_empty());
        let told = changes(&golden, &[count(1_100_000, 5_000)]).concat();
        assert!(told.contains("1000000 -> 1100000 (+10.00 %)"), "{told}");
    }
}
