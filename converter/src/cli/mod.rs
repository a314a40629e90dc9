//! The command line: parses arguments, calls the library, prints text or JSON.
//!
//! Each command has a file of its own, thin over the library. Results go to stdout: text for people, or with
//! `--json` one object and nothing else. Errors go to stderr: a line `error: …` that says what is wrong, and
//! a line `help: …` that says what to do. The exit code is 0 when the command succeeded, 1 when the input is
//! at fault, 2 for wrong arguments, 3 for an exceeded budget, and 70 for a mistake of Ferrolite's.
//!
//! ```
//! use ferrolite::cli::args::{Command, Request, parse};
//!
//! let Request::Run(cli) = parse(["ferrolite", "inspect", "kws.ferro", "--json"])? else { unreachable!() };
//! assert!(matches!(cli.command, Command::Inspect(args) if args.json));
//! # Ok::<(), ferrolite::Error>(())
//! ```

pub mod args;
mod bars;
mod bench;
mod boards;
mod compare;
mod convert;
mod files;
mod fits;
mod hub;
mod inspect;
mod migrate;
mod new;
mod reads;
mod run;
mod serve;
mod shell;
mod sign;
mod statistics;
mod upgrade;

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use serde::Serialize;

use self::args::{Command, Request};
use crate::error::{Error, Fault, Result};
use crate::text;

/// What a command prints on stdout.
enum Printed {
    /// Text for people.
    Text(String),
    /// One JSON object.
    Json(serde_json::Value),
}

impl Printed {
    fn json(object: &impl Serialize) -> Result<Printed> {
        serde_json::to_value(object)
            .map(Printed::Json)
            .map_err(|e| Error::internal(format!("the result cannot be written as JSON: {e}")).caused_by(e))
    }
}

/// The program `ferrolite`: parses its command line, runs the command and returns the exit code.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()))
}

/// Runs one command line, the program's name first, and returns what it would print on stdout, without the line's end:
/// one JSON object where it has `--json`.
///
/// # Errors
/// Those that the program would report, wrong arguments included.
///
/// ```
/// let answer = ferrolite::cli::answer(["ferrolite", "boards", "--json"])?;
/// assert!(answer.contains("qemu-cortex-m4"));
/// let error = ferrolite::cli::answer(["ferrolite", "inspect", "absent.ferro"]).unwrap_err();
/// assert_eq!(error.exit_code(), 1);
/// # Ok::<(), ferrolite::Error>(())
/// ```
pub fn answer(line: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<String> {
    Ok(match guarded(|| carry_out(line))? {
        Printed::Text(text) => text,
        Printed::Json(object) => object.to_string(),
    })
}

/// Runs one command line as the program does: prints its answer or its error, and returns the exit code.
pub fn run(line: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    match guarded(|| print(carry_out(line)?)) {
        Ok(()) => 0,
        Err(error) => {
            report(&error);
            error.exit_code()
        }
    }
}

/// Runs `work` and turns a panic in it into an error, like any other mistake of Ferrolite's. The panic hook
/// has already printed where it happened.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().copied();
        let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(Error::internal(format!("stopped by a panic: {}", words.unwrap_or("without words"))))
    })
}

/// The boards of `--on`, of which each may be named once.
fn distinct(boards: &[String]) -> Result<Vec<&str>> {
    let names: Vec<&str> = boards.iter().map(String::as_str).collect();
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        None => Ok(names),
        Some((_, name)) => Err(Error::usage(format!("--on names {name} twice")).help("name each board once")),
    }
}

fn carry_out(line: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Printed> {
    match args::parse(line)? {
        Request::Print(text) => Ok(Printed::Text(text)),
        Request::Run(cli) => execute(&cli.command),
    }
}

fn execute(command: &Command) -> Result<Printed> {
    match command {
        Command::Convert(args) => convert::execute(args),
        Command::Statistics(args) => statistics::execute(args),
        Command::Inspect(args) => inspect::execute(args),
        Command::Run(args) => run::execute(args),
        Command::Compare(args) => compare::execute(args),
        Command::Bench(args) => bench::execute(args),
        Command::Boards(args) => boards::execute(args),
        Command::New(args) => new::execute(args),
        Command::Migrate(args) => migrate::execute(args),
        Command::Fits(args) => fits::execute(args),
        Command::Upgrade(args) => upgrade::execute(args),
        Command::Sign(args) => sign::execute(args),
        Command::Serve(args) => serve::execute(args),
        Command::Hub(args) => hub::execute(args),
        Command::Completions(args) => Ok(shell::completions(args)),
        Command::Man(args) => shell::man(args),
    }
}

/// Warnings as text, each on one line whatever it contains.
fn warnings(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("warning: {}\n", one_line(warning))).collect()
}

/// Notes and warnings as text, a line each.
fn remarks(notes: &[String], list: &[String]) -> String {
    let notes: String = notes.iter().map(|note| format!("  - {}\n", one_line(note))).collect();
    notes + &warnings(list)
}

/// The layers that are not on the fastest path, a line for each reason.
fn slow_layers<'a>(layers: impl Iterator<Item = (usize, &'a str, Option<&'a str>)>) -> String {
    let mut reasons: Vec<(&str, Vec<(usize, &str)>)> = Vec::new();
    for (index, name, because) in layers {
        let Some(because) = because else { continue };
        match reasons.iter_mut().find(|(reason, _)| *reason == because) {
            Some((_, layers)) => layers.push((index, name)),
            None => reasons.push((because, vec![(index, name)])),
        }
    }
    let line = |(because, layers): (&str, Vec<(usize, &str)>)| match &layers[..] {
        [(index, name)] => format!("slow: layer {index}, `{}`: {because}\n", text::layer(name)),
        several => {
            let numbers: Vec<String> = several.iter().map(|(index, _)| index.to_string()).collect();
            format!("slow: layers {}: {because}\n", numbers.join(", "))
        }
    };
    reasons.into_iter().map(line).collect()
}

/// With `--strict` a warning is an error, and nothing is written.
fn refuse_if_strict(strict: bool, warnings: &[String]) -> Result<()> {
    if !strict || warnings.is_empty() {
        return Ok(());
    }
    Err(Error::input(warnings.join("; ")).help("fix the causes of these warnings, or leave out --strict"))
}

fn print(printed: Printed) -> Result<()> {
    let mut text = match printed {
        Printed::Text(text) => text,
        Printed::Json(object) => object.to_string(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // A server has printed where it is, and has nothing to add when it stops.
    if text == "\n" {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // It is no error if the reader closes the pipe early (`| head`).
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::input(format!("the result cannot be printed: {e}")))
        }
        _ => Ok(()),
    }
}

/// Most characters of an error, and of its help. Both fit on one page, however long the names in a model are.
const MESSAGE: usize = 2200;
const HELP: usize = 700;

fn limited(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_string(),
        Some((end, _)) => format!("{} … ({} characters more)", &text[..end], text[end..].chars().count()),
    }
}

/// Prints an error and its help, one line each.
fn report(error: &Error) {
    let help = match (error.help.as_str(), error.fault) {
        ("", Fault::Input) => "check the files and the data that are named above",
        ("", _) => "`ferrolite --help` lists the arguments",
        (help, _) => help,
    };
    let (message, help) = (limited(&one_line(&error.message), MESSAGE), limited(&one_line(help), HELP));
    let text = format!("error: {message}\nhelp: {help}\n");
    // If stderr is closed, nobody reads the message.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Puts a list on one line. Names from files may contain control characters, which a terminal must not obey.
fn one_line(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match out.chars().last() {
            None => {}
            Some(':' | ';' | ',') => out.push(' '),
            Some(_) => out.push_str("; "),
        }
        out.extend(line.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_errors_of_their_own() {
        let error = guarded(|| -> Result<()> { panic!("{} things", 3) }).unwrap_err();
        assert_eq!((error.fault, error.exit_code()), (Fault::Internal, 70));
        assert!(error.message.contains("3 things") && error.help.contains("report"), "{error:?}");
        let error = guarded(|| -> Result<()> { Err(Error::input("x")) }).unwrap_err();
        assert_eq!(error, Error::input("x"));
    }

    #[test]
    fn layers_are_slow_together() {
        let layers = [(0, "a", None), (1, "b", Some("x")), (2, "c;d", Some("y")), (3, "e", Some("x"))];
        assert_eq!(slow_layers(layers.into_iter()), "slow: layers 1, 3: x\nslow: layer 2, `c;…`: y\n");
        assert_eq!(slow_layers([(0, "a", None)].into_iter()), "");
    }

    #[test]
    fn errors_stay_on_their_line() {
        assert_eq!(one_line("two:\n  a\n  b\u{1b}[31m\r\n"), "two: a; b [31m");
        assert_eq!(limited("äöü", 3), "äöü");
        assert_eq!(limited("äöüxy", 3), "äöü … (2 characters more)");
    }
}
