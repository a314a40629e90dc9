//! Runs a firmware in QEMU, with a time limit.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::cycles::{Plugin, Windows};
use super::firmware::temporary;
use super::job::{self, Answers, Job};
use super::table::Board;
use crate::error::{Error, Result};

/// One start of QEMU.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The board.
    pub board: &'static Board,
    /// The firmware's ELF file.
    pub firmware: &'a Path,
    /// Guest time of one instruction: `2^shift` ns, if a timer counts instructions.
    pub shift: u32,
    /// Wall-clock time after which QEMU is killed.
    pub limit: Duration,
    /// The plugin that models cycles, if cycles are wanted.
    pub plugin: Option<&'a Plugin>,
}

/// File that the plugin writes.
const WINDOWS: &str = "cycles.txt";

impl Start<'_> {
    /// Gives the runner jobs that fit on the board together, and the bytes of all their samples, and returns
    /// an answer to each. If one job crashes the board, the jobs after it have no answer.
    pub fn jobs(&self, jobs: &[Job<'_>], inputs: &[u8]) -> Result<Vec<Result<Answers>>> {
        let folder = tempfile::tempdir().map_err(temporary)?;
        let path = |name: &str| folder.path().join(name);
        let job_bytes = job::bytes(jobs);
        let files = || -> io::Result<(File, File)> {
            fs::write(path("job.bin"), &job_bytes)?;
            fs::write(path("inputs.bin"), inputs)?;
            Ok((File::create(path("stdout"))?, File::create(path("stderr"))?))
        };
        let (stdout, stderr) = files().map_err(temporary)?;
        let mut command = self.command();
        let address = self.board.job_memory(job_bytes.len()).address;
        command.arg("-device").arg(format!("loader,file=job.bin,addr={address:#x},force-raw=on"));
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let status = self.wait(Running(command.spawn().map_err(|error| self.missing(error))?))?;

        let words = fs::read_to_string(path("stderr")).unwrap_or_default();
        let mut answers = Answers::parse(&fs::read(path("results.bin")).unwrap_or_default());
        if self.plugin.is_some() {
            // The plugin creates its file when it is loaded.
            let Ok(windows) = fs::read_to_string(path(WINDOWS)) else {
                let reason = format!("{} does not load the plugin: {}", self.board.qemu, last_words(&words));
                return self.jobs_without_plugin(jobs, inputs, &reason);
            };
            let windows = Windows::parse(&windows);
            answers.iter_mut().for_each(|answers| answers.windows = Some(Ok(windows.clone())));
        }
        Ok(self.judge(answers, status, &words, jobs))
    }

    fn jobs_without_plugin(
        &self,
        jobs: &[Job<'_>],
        inputs: &[u8],
        reason: &str,
    ) -> Result<Vec<Result<Answers>>> {
        let mut results = Start { plugin: None, ..*self }.jobs(jobs, inputs)?;
        results.iter_mut().flatten().for_each(|answers| answers.windows = Some(Err(reason.to_string())));
        Ok(results)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.board.qemu);
        command.args(["-machine", self.board.machine]).args(self.board.arguments);
        command.args(["-display", "none", "-serial", "none", "-monitor", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
        // RISC-V boards count instructions themselves, but up to QEMU 7 they report nanoseconds of guest
        // time.
        let shift = self.board.timer_hz.map_or(0, |_| self.shift);
        command.arg("-icount").arg(format!("shift={shift}"));
        command.arg("-kernel").arg(self.firmware);
        if let Some(plugin) = self.plugin {
            command.args(plugin.arguments(WINDOWS));
        }
        command
    }

    fn missing(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::NotFound {
            not_installed(self.board)
        } else {
            Error::input(format!("{} does not start: {error}", self.board.qemu)).caused_by(error)
        }
    }

    /// The exit status, or `None` if the time limit has passed.
    fn wait(&self, mut running: Running) -> Result<Option<ExitStatus>> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match running.0.try_wait() {
                Ok(Some(status)) => return Ok(Some(status)),
                Ok(None) if start.elapsed() > self.limit => return Ok(None),
                Ok(None) => std::thread::sleep(pause),
                Err(error) => return Err(Error::input(format!("{}: {error}", self.board.qemu))),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// The answers to jobs that succeeded, and errors for the others. The last error may contain the board's
    /// last output.
    fn judge(
        &self,
        answers: Vec<Answers>,
        status: Option<ExitStatus>,
        words: &str,
        jobs: &[Job<'_>],
    ) -> Vec<Result<Answers>> {
        let name = self.board.name;
        let (ended, begun): (Vec<Answers>, Vec<Answers>) = answers.into_iter().partition(Answers::ended);
        let well = status.is_some_and(|status| status.success());
        // A firmware that could still report why it ends has done so.
        let told = !well && status.is_some() && ended.last().is_some_and(|last| last.error.is_some());
        let mut results: Vec<Result<Answers>> = ended
            .into_iter()
            .map(|answers| match &answers.error {
                Some(error) => Err(Error::input(format!("{name}: {error}"))),
                None => Ok(answers),
            })
            .collect();
        if told {
            return results;
        }
        let Some(job) = jobs.get(results.len()) else { return results };
        let outputs = begun.first().map_or(0, |answers| answers.outputs.len());
        let progress = format!("{outputs} of {} samples were done", job.samples);
        let words = last_words(words);
        results.push(Err(match status {
            Some(status) => Error::input(format!(
                "{name} stopped before its end ({status}); {progress}; its last words: {words}"
            ))
            .help("if the same model runs on the host, this is a bug of Ferrolite: please report it"),
            None => Error::input(format!(
                "{name} gave no answer within {} s and was stopped; {progress}; its last words: {words}",
                self.limit.as_secs()
            ))
            .help("try fewer samples; if one sample alone hangs, please report it with the model"),
        }));
        results
    }
}

/// The most useful lines of QEMU's messages: the first one, and the one with the program counter.
fn last_words(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return "none".to_string() };
    let counter = lines.find_map(|line| line.split_whitespace().find(|word| word.starts_with("R15=")));
    match counter {
        Some(counter) => format!("{first} ({counter})"),
        None => first.to_string(),
    }
}

/// A process that is killed when this value is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Checks that the board's QEMU is installed, before firmware is built for it.
///
/// # Errors
/// Names the program that is missing.
pub fn require(board: &Board) -> Result<()> {
    installed(board.qemu).map(drop).ok_or_else(|| not_installed(board))
}

fn not_installed(board: &Board) -> Error {
    Error::input(format!("{} needs {}, which is not installed", board.name, board.qemu)).help(
        "run `cargo xtask setup`, or install QEMU (Debian, Ubuntu: apt install qemu-system-arm qemu-system-misc)",
    )
}

/// The program of this name on the search path.
pub fn installed(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
