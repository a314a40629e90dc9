//! The test programs of the copy: they are built once, and each test has its time and the mutants that it
//! reaches.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tree::{ALIVE, MET, Tree};

/// The packages with tests, their folders, and which integration tests belong to them. No firmware is built,
/// and nothing runs in QEMU.
const PACKAGES: [(&str, &str); 4] = [
    ("ferrolite-schema", "schema"),
    ("ferrolite-runtime", "runtime"),
    ("ferrolite", "converter"),
    ("ferrolite-conformance", "tests"),
];
const TESTS: [&str; 14] = [
    "interpreter",
    "checks",
    "malformed",
    "plans",
    "kernels",
    "packed_kernels",
    "vectors",
    "models",
    "lookups",
    "written",
    "channels",
    "leads",
    "verifier",
    "arena",
];

/// Prefixes of the names of tests for the mutated code. They are quick. Other tests are only run, each alone
/// to record what it reaches, if mutants survive these.
const NEAR: [&str; 6] = [
    "ferrolite_schema: ",
    "ferrolite_runtime: ",
    "runtime/",
    "tests/checks: ",
    "tests/verifier: ",
    "ferrolite: ops::pack::",
];

/// Tests that take longer than this are left out.
const SLOWEST: Duration = Duration::from_secs(60);

/// A test.
pub struct Test {
    /// Its name.
    pub name: String,
    /// How long it takes.
    pub seconds: f32,
    /// Numbers of the mutants that it reaches.
    pub met: HashSet<u32>,
}

/// A test program.
pub struct Program {
    /// Its crate, or the path of its file without the extension.
    pub name: String,
    path: PathBuf,
    /// The folder of its package.
    folder: PathBuf,
    /// The file with its results.
    pub results: PathBuf,
    /// Its tests that pass.
    pub tests: Vec<Test>,
}

/// How a run of some tests of a program ended.
pub enum Ending {
    /// All pass.
    Passed,
    /// This test failed first.
    Failed(String),
}

/// Builds the copy, and leaves out mutants until it compiles.
pub fn build(tree: &mut Tree, target: &Path, profile: &str, only: &[String]) -> Result<Vec<Program>> {
    for _ in 0..40 {
        let (programs, errors, text) = try_build(tree, target, profile, only)?;
        if errors.is_empty() && text.is_empty() {
            return Ok(programs);
        }
        let found = tree.leave_out(&errors)?;
        if found == 0 {
            bail!("the mutated copy does not build:\n{text}");
        }
        println!("{found} mutants do not compile and are left out; building again");
    }
    bail!("the mutated copy does not build, whatever is left out")
}

/// The built programs; the files and offsets of errors; and the compiler's messages.
type Built = (Vec<Program>, Vec<(String, usize)>, String);

fn try_build(tree: &Tree, target: &Path, profile: &str, only: &[String]) -> Result<Built> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--no-run", "--message-format=json", "--profile", profile, "--lib"]);
    for (package, folder) in PACKAGES {
        if !only.is_empty() && !only.iter().any(|only| only == package) {
            continue;
        }
        cargo.args(["-p", package]);
        let tests = TESTS.iter().filter(|name| tree.root.join(format!("{folder}/tests/{name}.rs")).is_file());
        tests.for_each(|name| {
            cargo.args(["--test", name]);
        });
    }
    cargo.current_dir(&tree.root).env("CARGO_TARGET_DIR", target).stdout(Stdio::piped());
    let mut child = cargo.spawn().context("cargo is needed")?;
    let (mut programs, mut errors, mut text) = (Vec::new(), Vec::new(), String::new());
    for line in BufReader::new(child.stdout.take().context("no output of cargo")?).lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let executable = message["executable"].as_str();
        if let Some(path) = executable.filter(|_| message["profile"]["test"] == true) {
            programs.push(program(&message, path.into(), target)?);
        }
        let message = &message["message"];
        if message["level"] == "error" {
            for span in message["spans"].as_array().into_iter().flatten() {
                if let (true, Some(file), Some(at)) =
                    (span["is_primary"] == true, span["file_name"].as_str(), span["byte_start"].as_u64())
                {
                    errors.push((file.replace('\\', "/"), at as usize));
                }
            }
            text.push_str(message["rendered"].as_str().unwrap_or_default());
        }
    }
    if !child.wait()?.success() && text.is_empty() {
        bail!("cargo cannot build the mutated copy");
    }
    Ok((programs, errors, text))
}

fn program(message: &Value, path: PathBuf, target: &Path) -> Result<Program> {
    let own = message["target"]["name"].as_str().context("a target has a name")?;
    let manifest = message["manifest_path"].as_str().context("a package has a manifest")?;
    let folder = Path::new(manifest).parent().unwrap_or(target).to_path_buf();
    // Files of two packages may have the same name.
    let name = match folder.file_name().and_then(|name| name.to_str()) {
        Some(package) if message["target"]["kind"][0] == "test" => format!("{package}/{own}"),
        _ => own.to_string(),
    };
    let mut hasher = DefaultHasher::new();
    fs::read(&path)?.hash(&mut hasher);
    let results = target.join(format!("mutants/results/{}-{:016x}", name.replace('/', "-"), hasher.finish()));
    fs::create_dir_all(&results)?;
    Ok(Program { name, path, folder, results, tests: Vec::new() })
}

impl Program {
    fn command(&self) -> Command {
        // A mutant may try to allocate any amount of memory.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v 4000000 2>/dev/null; exec \"$0\" \"$@\""]).arg(&self.path);
        command.current_dir(&self.folder).stdin(Stdio::null()).stderr(Stdio::null());
        command.env("CARGO_MANIFEST_DIR", &self.folder).env("INSTA_UPDATE", "no").env("RUST_BACKTRACE", "0");
        // Each run finds failures again, and one failure is enough.
        command.env("PROPTEST_RNG_SEED", "1").env("PROPTEST_MAX_SHRINK_ITERS", "0");
        command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
        command
    }

    /// Runs each test alone and records what it reaches: the tests near the mutants, or all. Earlier results
    /// of the same program are reused.
    pub fn survey(&mut self, jobs: usize, all: bool) -> Result<()> {
        let listed = self.command().args(["--list", "--format", "terse"]).output()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let wanted = |name: &str| {
            let full = format!("{}: {name}", self.name);
            all || NEAR.iter().any(|start| full.starts_with(start))
        };
        let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        let names: Vec<&str> = names.filter(|name| wanted(name)).collect();
        let notes = self.results.join("tests.txt");
        let known = fs::read_to_string(&notes).unwrap_or_default();
        let known: BTreeMap<&str, &str> = known.lines().filter_map(|line| line.split_once('\t')).collect();
        let file = Mutex::new(fs::OpenOptions::new().create(true).append(true).open(&notes)?);
        let next = AtomicUsize::new(0);
        let open: Vec<&str> = names.iter().copied().filter(|name| !known.contains_key(*name)).collect();
        let this = &*self;
        let work = || -> Result<()> {
            while let Some(name) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                let note = this.survey_one(name)?;
                let mut file = file.lock().map_err(|_| anyhow::anyhow!("a worker failed"))?;
                writeln!(file, "{name}\t{note}")?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
        })?;
        let mut tests = Vec::new();
        for line in fs::read_to_string(&notes)?.lines() {
            let mut words = line.split(['\t', ' ']);
            let (Some(name), Some(seconds)) = (words.next(), words.next()) else { continue };
            if !names.contains(&name) {
                continue;
            }
            let Ok(seconds) = seconds.parse() else {
                println!("left out: {} {line}", self.name);
                continue;
            };
            let met = words.filter_map(|word| word.parse().ok()).collect();
            tests.push(Test { name: name.into(), seconds, met });
        }
        self.tests = tests;
        Ok(())
    }

    /// The time of a test and its mutants, or the reason why it is left out.
    fn survey_one(&self, name: &str) -> Result<String> {
        let met = self.results.join(format!("met-{}", name.replace("::", "-")));
        let _ = fs::remove_file(&met);
        let start = Instant::now();
        let mut command = self.command();
        command.env(MET, &met);
        let ending = finish(command, &[name], SLOWEST)?;
        let seconds = start.elapsed().as_secs_f32();
        let numbers = fs::read(&met).unwrap_or_default();
        let _ = fs::remove_file(&met);
        Ok(match ending {
            Ending::Failed(why) => format!("fails without a mutant, or takes too long: {why}"),
            Ending::Passed => {
                let (words, _) = numbers.as_chunks::<4>();
                let words = words.iter().map(|&word| u32::from_le_bytes(word).to_string());
                std::iter::once(format!("{seconds:.3}")).chain(words).collect::<Vec<_>>().join(" ")
            }
        })
    }

    /// Whether a test, by its full name, belongs to this program.
    pub fn has(&self, test: &str) -> bool {
        test.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with(": "))
    }

    /// Runs some tests with an active mutant, until one fails.
    pub fn run(&self, mutant: u32, tests: &[&Test]) -> Result<Ending> {
        let mut command = self.command();
        command.env(ALIVE, mutant.to_string());
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        let seconds: f32 = tests.iter().map(|test| test.seconds).sum();
        finish(command, &names, Duration::from_secs_f32(10.0 + 20.0 * seconds))
    }
}

/// Runs tests one after another; stops at the first one that fails or when the time is up.
fn finish(mut command: Command, names: &[&str], limit: Duration) -> Result<Ending> {
    command.args(["--exact", "--test-threads=1"]).args(names).stdout(Stdio::piped());
    let mut child = command.spawn().context("a test program does not start")?;
    let output = child.stdout.take().context("no output of a test program")?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut word = Vec::new();
        // The name comes before the test, and the result after it in the same line.
        while output.read_until(b' ', &mut word).is_ok_and(|read| read != 0) {
            let sent = sender.send(String::from_utf8_lossy(&word).into_owned());
            word.clear();
            if sent.is_err() {
                break;
            }
        }
    });
    let end = Instant::now() + limit;
    let (mut text, mut timeout) = (String::new(), false);
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(word) => text.push_str(&word),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => timeout = true,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if timeout || text.contains("... FAILED\n") {
            child.kill()?;
            break;
        }
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(Ending::Passed);
    }
    let failed = text.lines().find(|line| line.ends_with("... FAILED"));
    // If the program itself ended, the last test that began counts.
    let last = failed.or(text.lines().rfind(|line| line.starts_with("test "))).unwrap_or_default();
    let name = last.trim_start_matches("test ").split(" ...").next().unwrap_or_default();
    let why = if timeout { " (time is out)" } else { "" };
    Ok(Ending::Failed(format!("{name}{why}")))
}
