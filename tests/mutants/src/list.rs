//! The committed files: the list of all mutants with the result for each, and the reasons why some change
//! nothing.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, bail};

/// The result for a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// This test fails.
    Killed(String),
    /// It changes nothing that can be observed, for this reason.
    Equivalent(String),
    /// No test fails, and no reason is given.
    Open,
    /// Neither this run nor earlier ones have tried it.
    Untried,
}

/// States by the mutants' names.
pub type States = BTreeMap<String, State>;

/// Reads the reasons: paragraphs, each followed by the names of its mutants.
pub fn read_reasons(text: &str) -> Result<BTreeMap<String, String>> {
    let mut reasons = BTreeMap::new();
    for block in text.split("\n\n") {
        let lines = || block.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let is_name = |line: &&str| line.contains(".rs | ");
        let reason = lines().filter(|line| !is_name(line)).collect::<Vec<_>>().join(" ");
        for name in lines().filter(is_name) {
            if reason.is_empty() {
                bail!("no reason for the mutant\n{name}");
            }
            if reasons.insert(name.to_string(), reason.clone()).is_some() {
                bail!("two reasons for the mutant\n{name}");
            }
        }
    }
    Ok(reasons)
}

const HEAD: &str = "\
# Small faults in the code that doubts files, lays tensors over one another, and packs and scales numbers;
# each ⟦before → after⟧ by file and function, with the test that notices it, or why none can.
# Written by `cargo xtask mutants`; the reasons come from `equivalent.txt`.
";

/// The list as text. `order` has all mutants, file by file.
pub fn write(order: &[String], states: &States) -> String {
    let mut out = HEAD.to_string();
    let _ = writeln!(out, "\nall: {}", Counts::of(order, states));
    let mut start = 0;
    while let Some(name) = order.get(start) {
        let file = part(name, 0);
        let count = order[start..].iter().take_while(|name| part(name, 0) == file).count();
        let names = &order[start..start + count];
        let _ = writeln!(out, "\n{file}: {}", Counts::of(names, states));
        let mut function = "";
        for name in names {
            if part(name, 1) != function {
                function = part(name, 1);
                let _ = writeln!(out, "  {function}");
            }
            let (word, why) = match states.get(name) {
                Some(State::Killed(test)) => ("killed", test.as_str()),
                Some(State::Equivalent(reason)) => ("equivalent", reason.as_str()),
                Some(State::Open) => ("open", ""),
                Some(State::Untried) | None => ("untried", ""),
            };
            let _ = writeln!(
                out,
                "    {word:10}  {}{}{why}",
                part(name, 2),
                if why.is_empty() { "" } else { "  ← " }
            );
        }
        start += count;
    }
    out
}

/// Reads the text that [`write`] has written.
pub fn read(text: &str) -> States {
    let mut states = States::new();
    let (mut file, mut function) = ("", "");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(entry) = line.strip_prefix("    ") {
            let (word, rest) = entry.split_once("  ").unwrap_or((entry, ""));
            let (shown, why) = rest.trim_start().split_once("  ← ").unwrap_or((rest.trim_start(), ""));
            let state = match word.trim() {
                "killed" => State::Killed(why.into()),
                "equivalent" => State::Equivalent(why.into()),
                "open" => State::Open,
                _ => State::Untried,
            };
            states.insert(format!("{file} | {function} | {shown}"), state);
        } else if let Some(name) = line.strip_prefix("  ") {
            function = name;
        } else if let Some((path, _)) = line.split_once(": ") {
            file = path;
        }
    }
    states
}

fn part(name: &str, number: usize) -> &str {
    name.splitn(3, " | ").nth(number).unwrap_or_default()
}

/// How many mutants have each state.
#[derive(Default)]
pub struct Counts {
    all: usize,
    killed: usize,
    equivalent: usize,
    /// Survivors without a reason.
    pub open: usize,
}

impl Counts {
    /// Counts the states of `names`.
    pub fn of(names: &[String], states: &States) -> Counts {
        let mut counts = Counts { all: names.len(), ..Counts::default() };
        for name in names {
            match states.get(name) {
                Some(State::Killed(_)) => counts.killed += 1,
                Some(State::Equivalent(_)) => counts.equivalent += 1,
                Some(State::Open) => counts.open += 1,
                Some(State::Untried) | None => {}
            }
        }
        counts
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { all, killed, equivalent, open } = self;
        write!(out, "{all} mutants, {killed} killed, {equivalent} equivalent, {open} open")?;
        match all - killed - equivalent - open {
            0 => Ok(()),
            untried => write!(out, ", {untried} untried"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_back() {
        let names = ["a.rs | f | x ⟦< → <=⟧ y", "a.rs | T::g | ⟦1 → 2⟧", "b.rs | f | !x"].map(String::from);
        let states = [State::Killed("tests::of_f".into()), State::Open, State::Equivalent("x, y".into())];
        let states: States = names.iter().cloned().zip(states).collect();
        assert_eq!(read(&write(&names, &states)), states);
    }

    #[test]
    fn reasons_are_for_the_names_behind_them() {
        let text = "# head\n\nNever\nseen.\na.rs | f | 1\na.rs | f | 2\n\nLate.\nb.rs | f | 1\n";
        let reasons = read_reasons(text).unwrap();
        assert_eq!(reasons["a.rs | f | 2"], "Never seen.");
        assert_eq!(reasons["b.rs | f | 1"], "Late.");
        assert!(read_reasons("a.rs | f | 1").is_err());
    }
}
