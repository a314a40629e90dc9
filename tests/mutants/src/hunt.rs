//! Tries mutants: runs the tests that reach each one, the fastest first, until one fails.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions, read_to_string};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};

use crate::list::{State, States};
use crate::programs::{Ending, Program, Test};

/// Tests that together take less than this run in one process, in seconds.
const TOGETHER: f32 = 0.2;

/// The results for the mutants, by program: the tests that they survive, and the one that kills them.
#[derive(Default)]
struct Results {
    survived: HashSet<(u32, String)>,
    killed: HashMap<u32, String>,
}

/// Finds the test that kills each of the chosen mutants, if one does, by their names.
pub fn hunt(
    programs: &[Program],
    names: &[String],
    chosen: &[u32],
    old: &States,
    jobs: usize,
) -> Result<BTreeMap<String, Option<String>>> {
    let mut files = Vec::new();
    let mut known = Vec::new();
    for program in programs {
        let path = program.results.join("verdicts.txt");
        known.push(read(&read_to_string(&path).unwrap_or_default()));
        files.push(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?));
    }
    let found = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&mutant) = chosen.get(at) else { return Ok(()) };
            let name = &names[mutant as usize];
            let killer = match old.get(name) {
                Some(State::Killed(test)) => Some(test.as_str()),
                _ => None,
            };
            let verdict = try_one(programs, &known, &files, mutant, killer)?;
            match &verdict {
                Some(test) => println!("{}/{} killed by {test}: {name}", at + 1, chosen.len()),
                None => println!("{}/{} SURVIVES: {name}", at + 1, chosen.len()),
            }
            found.lock().map_err(|_| anyhow!("a worker failed"))?.insert(name.clone(), verdict);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
    })?;
    found.into_inner().map_err(|_| anyhow!("a worker failed"))
}

/// Lines of `mutant survived test` and `mutant killed test`.
fn read(text: &str) -> Results {
    let mut results = Results::default();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(Ok(mutant)), Some(word), Some(test)) =
            (words.next().map(str::parse), words.next(), words.next())
        else {
            continue;
        };
        if word == "killed" {
            results.killed.insert(mutant, test.into());
        } else {
            results.survived.insert((mutant, test.into()));
        }
    }
    results
}

fn try_one(
    programs: &[Program],
    known: &[Results],
    files: &[Mutex<File>],
    mutant: u32,
    killer: Option<&str>,
) -> Result<Option<String>> {
    let full = |program: &Program, test: &str| format!("{}: {test}", program.name);
    for (program, known) in programs.iter().zip(known) {
        if let Some(test) = known.killed.get(&mutant) {
            return Ok(Some(full(program, test)));
        }
    }
    let mut tests: Vec<(f32, usize, &Test)> = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        let survived = &known[number].survived;
        for test in program.tests.iter().filter(|test| test.met.contains(&mutant)) {
            if !survived.contains(&(mutant, test.name.clone())) {
                // Quick tests that reach few mutants are made for these.
                let again = killer.is_some_and(|killer| killer == full(program, &test.name));
                let cost = if again { 0.0 } else { test.seconds * test.met.len() as f32 };
                tests.push((cost, number, test));
            }
        }
    }
    tests.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut groups: Vec<(f32, usize, Vec<&Test>)> = Vec::new();
    for (_, number, test) in tests {
        match groups.last_mut() {
            Some((seconds, last, group)) if *last == number && *seconds + test.seconds < TOGETHER => {
                *seconds += test.seconds;
                group.push(test);
            }
            _ => groups.push((test.seconds, number, vec![test])),
        }
    }
    for (_, number, tests) in groups {
        let program = &programs[number];
        let ending = program.run(mutant, &tests)?;
        let mut file = files[number].lock().map_err(|_| anyhow!("a worker failed"))?;
        match ending {
            Ending::Failed(test) => {
                writeln!(file, "{mutant} killed {test}")?;
                return Ok(Some(full(program, &test)));
            }
            Ending::Passed => {
                let lines: String =
                    tests.iter().map(|test| format!("{mutant} survived {}\n", test.name)).collect();
                file.write_all(lines.as_bytes())?;
            }
        }
    }
    Ok(None)
}
