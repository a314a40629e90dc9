//! `cargo xtask mutants`: puts small faults into the code that checks files, places tensors over one another,
//! and packs and scales numbers. A test must notice each fault, unless it changes nothing that can be
//! observed.
//!
//! The tool makes a copy of the repository in `target/mutants/tree`, in which each fault is a branch that is
//! taken if an environment variable has its number, so that one build serves all of them. First, each test
//! near the faults runs alone and records which mutants it reaches. Then each mutant is run with the tests
//! that reach it, the fastest first, until one fails. Mutants that survive without a reason are tried with
//! all other tests in the same way. Results are stored beside the copy by the contents of the test programs,
//! so that an interrupted run continues, and an added test costs only its own time.
//!
//! `tests/mutants/list.txt` holds the result for each mutant; `tests/mutants/equivalent.txt` holds reasons,
//! written by hand.

mod hunt;
mod list;
mod mutate;
mod programs;
mod scope;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use clap::Parser;

use list::{Counts, State};
use tree::Tree;

#[derive(Parser)]
#[command(name = "cargo xtask mutants", about = "Small faults put into the checks on purpose")]
struct Cli {
    /// Only mutants whose file, function or change contains this word
    #[arg(long)]
    only: Option<String>,
    /// Only mutants that the list calls neither killed nor equivalent
    #[arg(long)]
    open: bool,
    /// Mutants at a time [default: as many as there are cores]
    #[arg(long)]
    jobs: Option<usize>,
    /// Only tests of this package (repeat for more) [default: all that have any]
    #[arg(long)]
    package: Vec<String>,
    /// Profile of the build; it should check overflow, as dev does
    #[arg(long, default_value = "dev")]
    profile: String,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    let here = root.join("tests/mutants");
    let reasons = list::read_reasons(&fs::read_to_string(here.join("equivalent.txt")).unwrap_or_default())?;
    let old = list::read(&fs::read_to_string(here.join("list.txt")).unwrap_or_default());
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), Into::into);
    let jobs = cli.jobs.or(std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1).max(1);

    let mut tree = Tree::new(root, target.join("mutants/tree"), scope::chosen(root)?)?;
    println!("{} mutants; building their copy", tree.mutants.len());
    let mut programs = programs::build(&mut tree, &target, &cli.profile, &cli.package)?;
    println!("{} mutants; running each test near them alone", tree.mutants.len());
    programs.iter_mut().try_for_each(|program| program.survey(jobs, false))?;

    let names: Vec<String> = tree.mutants.iter().map(|mutant| mutant.name.clone()).collect();
    let chosen: Vec<u32> = (0..)
        .zip(&names)
        .filter(|(_, name)| cli.only.as_ref().is_none_or(|word| name.contains(word)))
        .filter(|(_, name)| !cli.open || matches!(old.get(*name), None | Some(State::Open | State::Untried)))
        .map(|(number, _)| number)
        .collect();
    println!("trying {} mutants", chosen.len());
    let mut found = hunt::hunt(&programs, &names, &chosen, &old, jobs)?;
    let survives = |&mutant: &u32| {
        let name = &names[mutant as usize];
        matches!(found.get(name), Some(None)) && !reasons.contains_key(name)
    };
    let chosen: Vec<u32> = chosen.into_iter().filter(survives).collect();
    if !chosen.is_empty() {
        println!("{} mutants survive; running each of the other tests alone", chosen.len());
        // This may take long, so intermediate results are stored.
        let killed = |(name, test): (&String, &Option<String>)| {
            Some((name.clone(), State::Killed(test.clone().filter(|_| !reasons.contains_key(name))?)))
        };
        let mut known = old.clone();
        known.extend(found.iter().filter_map(killed));
        fs::write(here.join("list.txt"), list::write(&names, &known))?;
        programs.iter_mut().try_for_each(|program| program.survey(jobs, true))?;
        found.extend(hunt::hunt(&programs, &names, &chosen, &old, jobs)?);
    }

    let mut states = old;
    let mut wrong = BTreeSet::new();
    for (name, killed) in found {
        let state = match (killed, reasons.get(&name)) {
            (Some(test), None) => State::Killed(test),
            (None, Some(reason)) => State::Equivalent(reason.clone()),
            (None, None) => {
                let other = |test: &&String| {
                    !cli.package.is_empty() && !programs.iter().any(|program| program.has(test))
                };
                match states.get(&name) {
                    // The test that kills it is not run now.
                    Some(State::Killed(test)) if other(&test) => State::Killed(test.clone()),
                    _ => {
                        wrong.insert(format!("survives: {name}"));
                        State::Open
                    }
                }
            }
            (Some(test), Some(_)) => {
                wrong.insert(format!("is called equivalent, but {test} kills it: {name}"));
                State::Killed(test)
            }
        };
        states.insert(name, state);
    }
    let known: BTreeSet<&String> = names.iter().collect();
    let gone = reasons.keys().filter(|name| !known.contains(name));
    wrong.extend(gone.map(|name| format!("is called equivalent, but is gone: {name}")));
    fs::write(here.join("list.txt"), list::write(&names, &states))?;
    wrong.iter().for_each(|line| println!("{line}"));
    println!("{} (tests/mutants/list.txt)", Counts::of(&names, &states));
    if !wrong.is_empty() {
        bail!(
            "{} mutants need a test that kills them, or a reason in tests/mutants/equivalent.txt",
            wrong.len()
        );
    }
    Ok(())
}
