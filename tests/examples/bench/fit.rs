//! Holds the boards that `bench --board` prices ([`ferrolite::board::PARTS`]) against published latencies
//! (`fit.txt`): `cargo xtask bench --fit` prints the error of each, and fails beyond the limits.

use anyhow::{Context, Result, anyhow, bail};
use ferrolite::bench::Chip;
use ferrolite::board::{Modelled, PARTS, Part, part};

const LIST: &str = include_str!("fit.txt");

/// Largest error of the median row, and of any row, in percent.
const MEDIAN: f64 = 15.0;
const LARGEST: f64 = 30.0;

/// A published latency.
struct Row {
    part: &'static Part,
    network: &'static str,
    program: &'static str,
    stack: &'static str,
    modelled: Modelled,
    published_ms: f64,
}

impl Row {
    fn parse(line: &'static str) -> Result<Row> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [board, network, program, cycles, words, published, stack] = words[..] else {
            bail!("fit.txt: {line}");
        };
        let number = |word: &str| word.parse::<f64>().with_context(|| format!("fit.txt: {line}"));
        let count = |word: &str| Ok::<_, anyhow::Error>((number(word)? * 1e6) as u64);
        let modelled = Modelled { instructions: 0, cycles: count(cycles)?, flash_words: count(words)? };
        let part = part(board).map_err(|error| anyhow!("fit.txt: {}", error.message))?;
        Ok(Row { part, network, program, stack, modelled, published_ms: number(published)? })
    }

    /// Milliseconds of the model.
    fn ms(&self) -> f64 {
        let Part { clock_hz, flash_wait, .. } = *self.part;
        Chip { clock_hz, flash_wait }.milliseconds(self.modelled)
    }

    /// In percent of what was published.
    fn error(&self) -> f64 {
        (self.ms() / self.published_ms - 1.0) * 100.0
    }
}

fn rows() -> Result<Vec<Row>> {
    LIST.lines().filter(|line| !line.starts_with('#')).map(Row::parse).collect()
}

/// The median and the largest of the errors' magnitudes.
fn spread(errors: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sizes: Vec<f64> = errors.map(f64::abs).collect();
    sizes.sort_by(f64::total_cmp);
    (sizes.get(sizes.len() / 2).copied().unwrap_or(0.0), sizes.last().copied().unwrap_or(0.0))
}

/// Prints the fit.
pub fn run() -> Result<()> {
    let rows = rows()?;
    let mut table = vec![
        ["board", "network", "program", "modelled ms", "published ms", "stack", "error"]
            .map(String::from)
            .to_vec(),
    ];
    table.extend(rows.iter().map(|row| {
        vec![
            row.part.name.to_string(),
            row.network.into(),
            row.program.into(),
            format!("{:.2}", row.ms()),
            format!("{:.2}", row.published_ms),
            row.stack.into(),
            format!("{:+.1} %", row.error()),
        ]
    }));
    println!("{}", crate::markdown::align(&table));
    for part in PARTS {
        let errors = rows.iter().filter(|row| row.part == part).map(Row::error);
        let count = errors.clone().count();
        let (median, largest) = spread(errors);
        match count {
            0 => println!("{}: {}", part.name, part.evidence.error()),
            _ => println!("{}: median {median:.1} %, largest {largest:.1} % of {count}", part.name),
        }
    }
    let (median, largest) = spread(rows.iter().map(Row::error));
    println!("all: median {median:.1} % (at most {MEDIAN}), largest {largest:.1} % (at most {LARGEST})");
    if median > MEDIAN || largest > LARGEST {
        bail!("the boards' model is further from what was published than it may be");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolite::board::Evidence;

    #[test]
    fn boards_are_as_near_to_what_was_published_as_they_say() {
        run().unwrap();
        let rows = rows().unwrap();
        for part in PARTS {
            let (median, largest) = spread(rows.iter().filter(|row| row.part == part).map(Row::error));
            let stacks = || rows.iter().filter(|row| row.part == part).map(|row| row.stack);
            let evidence = match () {
                () if stacks().next().is_none() => None,
                () if stacks().all(|stack| stack == "closed") => Some(Evidence::Others),
                () => Some(Evidence::Published),
            };
            let measured = matches!(part.evidence, Evidence::Published | Evidence::Others);
            assert_eq!(evidence, measured.then_some(part.evidence), "{}", part.name);
            // What the evidence says in words.
            match evidence {
                Some(Evidence::Published) => assert!(largest <= 25.0 && median <= 10.0, "{}", part.name),
                _ => assert!(largest <= 20.0, "{}", part.name),
            }
        }
    }
}
