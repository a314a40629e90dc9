//! Everything that CI runs, step by step. A step that cannot run here (no QEMU, no nightly for Miri) is
//! reported as skipped, with the reason. A step that fails stops the run.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::run::{IMAGES, command, exec, output, root};
use crate::setup::{self, Tools};
use crate::{book, fuzz, mutants, packages, publish, python, web};

struct Step {
    name: &'static str,
    /// The step takes long and finds little, so only `--all` runs it.
    slow: bool,
    /// Why the step cannot run here, if it cannot.
    skip: fn(&Tools) -> Option<&'static str>,
    run: fn() -> Result<()>,
}

fn cargo(args: &[&str]) -> Result<()> {
    exec(command("cargo", args))
}

fn in_boards(args: &[&str]) -> Result<()> {
    let mut command = command("cargo", args);
    command.current_dir(root().join("boards"));
    exec(command)
}

fn always(_: &Tools) -> Option<&'static str> {
    None
}

fn needs_targets(tools: &Tools) -> Option<&'static str> {
    (!tools.targets).then_some("the bare-metal targets are not installed")
}

fn needs_boards(tools: &Tools) -> Option<&'static str> {
    needs_targets(tools).or((!tools.qemu).then_some("QEMU is not installed"))
}

/// What the application `keywords` is built with is other people's, and not in the repository.
fn needs_keywords(tools: &Tools) -> Option<&'static str> {
    let required = std::env::var("FERROLITE_REQUIRE_KEYWORDS").is_ok_and(|value| value == "1");
    let missing = !required && !root().join("boards/apps/keywords/model/made").exists();
    needs_boards(tools)
        .or(missing.then_some("there is no boards/apps/keywords/model/made (make.py beside it makes it)"))
}

fn needs_miri(_: &Tools) -> Option<&'static str> {
    output("cargo", &["+nightly", "miri", "--version"])
        .is_none()
        .then_some("Miri is not installed (rustup +nightly component add miri rust-src)")
}

/// Miri interprets every instruction, so it runs only what is small: the leaf with the unsafe casts, and a
/// whole model through the interpreter. The schema has no unsafe code.
fn miri() -> Result<()> {
    for tests in [["--lib", "tensor"], ["--test", "interpreter"], ["--test", "typed"]] {
        let mut miri = command("cargo", &["+nightly", "miri", "test", "-q", "-p", "ferrolite-runtime"]);
        miri.args(tests).env("MIRIFLAGS", "-Zmiri-disable-isolation");
        exec(miri)?;
    }
    Ok(())
}

/// If the emulators are installed, a board that cannot be run is a failure and not a skipped test.
/// Data sets of a build with Parquet, which the others lack.
fn parquet() -> Result<()> {
    exec(command("cargo", &["test", "-q", "-p", "ferrolite", "--features", "parquet", "--lib", "data::"]))
}

fn host_tests() -> Result<()> {
    let mut test = command("cargo", &["test", "-q", "--workspace"]);
    test.env(SKIPPED, list_of_skipped());
    if setup::missing_emulators().is_empty() {
        test.env("FERROLITE_REQUIRE_BOARDS", "1");
    }
    exec(test)
}

/// The file to which tests add a line if they find no collection of models (`tests/shared`).
const SKIPPED: &str = "FERROLITE_SKIPPED";

fn list_of_skipped() -> PathBuf {
    root().join("target/skipped-tests.txt")
}

/// A sentence about the tests that found no collection of models; `None` if there were none.
fn skipped_for_models() -> Option<String> {
    let list = fs::read_to_string(list_of_skipped()).ok()?;
    Some(format!(
        "skipped: {} tests for want of the shared models (FERROLITE_SHARED names their folder; with \
         FERROLITE_REQUIRE_SHARED=1 that is an error)",
        list.lines().count()
    ))
}

fn firmware_clippy() -> Result<()> {
    let target = ["--release", "--target", "thumbv7em-none-eabihf"];
    let lint = |package: &[&str]| {
        in_boards(&[&["clippy", "-q"], package, &target, &["--", "-D", "warnings"]].concat())
    };
    lint(&["-p", "runner", "--features", "qemu-cortex-m4"])?;
    lint(&["-p", "ferrolite-c"])?;
    lint(&["-p", "ferrolite-slots"])?;
    lint(&["-p", "digits"])?;
    lint(&["-p", "gesture"])?;
    lint(&["-p", "contrast"])?;
    lint(&["-p", "tasks"])?;
    in_boards(&[
        "clippy",
        "-q",
        "-p",
        "ferrolite-cycles",
        "--all-targets",
        "--target-dir",
        "target/cycles",
        "--",
        "-D",
        "warnings",
    ])
}

/// The applications' tests that these words choose, built for the host, beside the firmware that it starts.
fn applications(words: &[&str]) -> Result<()> {
    let test =
        ["test", "-q", "-p", "console", "--target", "host-tuple", "--target-dir", "target/console", "--"];
    in_boards(&[&test[..], words].concat())
}

/// The application whose model is not in the repository.
fn keywords() -> Result<()> {
    let target = ["--release", "--target", "thumbv7em-none-eabihf"];
    in_boards(&[&["clippy", "-q", "-p", "keywords"], &target[..], &["--", "-D", "warnings"]].concat())?;
    applications(&["keywords", "--nocapture"])
}

/// The fuzz targets, as far as they need neither nightly nor a C++ compiler, with the host workspace's
/// versions and profiles, so that code that its lints have checked is not checked again.
fn fuzz_targets() -> Result<()> {
    let root = crate::run::root();
    std::fs::copy(root.join("Cargo.lock"), root.join("tests/fuzz/Cargo.lock"))?;
    let place =
        ["--manifest-path", "tests/fuzz/Cargo.toml", "--target-dir", "target", "--config", "Cargo.toml"];
    cargo(&[&["check", "-q", "--bins", "--no-default-features"], &place[..]].concat())
}

/// Formatting of all files of the host workspace. Cargo does not find the files in the list of operators,
/// because it does not expand macros.
fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    let mut arguments = vec!["--check".to_string(), "--edition=2024".into()];
    for entry in fs::read_dir(root().join("converter/src/ops"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            arguments.push(path.display().to_string());
        }
    }
    let mut rustfmt = command("rustfmt", &[]);
    rustfmt.args(arguments);
    exec(rustfmt)
}

/// The tests of written projects whose names contain one of these words.
fn projects(words: &[&str]) -> Result<()> {
    let test = ["test", "-q", "-p", "ferrolite-conformance", "--test", "projects", "--"];
    cargo(&[&test[..], words, &["--ignored", "--nocapture"]].concat())
}

/// The tests of the C library whose names contain one of these words.
fn c_library(words: &[&str]) -> Result<()> {
    let test = ["test", "-q", "-p", "ferrolite-conformance", "--test", "c_library", "--"];
    cargo(&[&test[..], words, &["--ignored", "--nocapture"]].concat())
}

const STEPS: &[Step] = &[
    Step { name: "lint: rustfmt", slow: false, skip: always, run: format },
    Step {
        name: "lint: firmware rustfmt",
        slow: false,
        skip: always,
        run: || in_boards(&["fmt", "--all", "--check"]),
    },
    Step { name: "lint: generated code", slow: false, skip: always, run: crate::schema::check },
    Step { name: "lint: files of an operator", slow: false, skip: always, run: crate::recipe::check },
    Step { name: "lint: layers", slow: false, skip: always, run: crate::layers::check },
    Step {
        name: "lint: clippy",
        slow: false,
        skip: always,
        run: || cargo(&["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step { name: "lint: packages", slow: false, skip: always, run: publish::packages },
    Step { name: "lint: firmware clippy", slow: false, skip: needs_targets, run: firmware_clippy },
    Step { name: "lint: fuzz targets", slow: false, skip: always, run: fuzz_targets },
    Step { name: "host and board tests", slow: false, skip: always, run: host_tests },
    Step { name: "Parquet", slow: true, skip: always, run: parquet },
    Step { name: "Python", slow: false, skip: |_| python::needs_python(), run: python::tests },
    Step { name: "browser", slow: false, skip: |_| web::needs_node(), run: web::tests },
    Step { name: "the page in a browser", slow: true, skip: |_| web::needs_node(), run: web::page },
    Step { name: "the Python package", slow: true, skip: |_| python::needs_python(), run: python::package },
    Step {
        name: "application on two boards",
        slow: false,
        skip: needs_boards,
        run: || applications(&["--skip", "keywords"]),
    },
    Step { name: "keywords on a board", slow: false, skip: needs_keywords, run: keywords },
    Step {
        name: "C library",
        slow: false,
        skip: |_| setup::needs_c(),
        run: || c_library(&["host_", "one_board"]),
    },
    Step {
        name: "C library on every core, and its size",
        slow: true,
        skip: |tools| setup::needs_c().or_else(|| needs_boards(tools)),
        run: || c_library(&["every_core", "flash_"]),
    },
    Step { name: "projects", slow: false, skip: needs_boards, run: || projects(&["a_project_runs"]) },
    Step {
        name: "project on an emulated RP2040",
        slow: false,
        skip: |tools| needs_targets(tools).or_else(setup::needs_rp2040),
        run: || projects(&["an_rp2040"]),
    },
    Step {
        name: "project in C on an emulated RP2040",
        slow: true,
        skip: |tools| needs_targets(tools).or_else(setup::needs_c).or_else(setup::needs_rp2040),
        run: || projects(&["a_c_program_on"]),
    },
    Step {
        name: "projects in C",
        slow: false,
        skip: |tools| setup::needs_c().or_else(|| needs_boards(tools)),
        run: || projects(&["a_project_in_c"]),
    },
    Step {
        name: "projects for every board",
        slow: true,
        skip: |tools| setup::needs_c().or_else(|| needs_boards(tools)),
        run: || projects(&["every_board"]),
    },
    Step {
        name: "projects for ESP32: their images",
        slow: true,
        skip: |tools| needs_targets(tools).or_else(python::needs_esptool),
        run: || projects(&["esp32_images"]),
    },
    Step {
        name: "packages",
        slow: false,
        skip: |tools| setup::needs_c().or_else(|| needs_boards(tools)),
        run: || ["arduino", "cmsis-pack"].into_iter().try_for_each(|name| packages::run(Some(name), false)),
    },
    Step {
        name: "packages of all kinds, for every core",
        slow: true,
        skip: |tools| setup::needs_c().or_else(|| needs_boards(tools)),
        run: || packages::run(None, true),
    },
    Step {
        name: "serving under load",
        slow: true,
        skip: |_| python::needs_python(),
        run: || {
            exec(command("cargo", &["build", "-q", "-p", "ferrolite"]))?;
            python::serving()
        },
    },
    Step { name: "book", slow: false, skip: always, run: book::check },
    Step { name: "book: its commands", slow: false, skip: always, run: || book::commands(false) },
    Step {
        name: "book: its firmware",
        slow: true,
        skip: |tools| setup::needs_c().or_else(|| needs_boards(tools)),
        run: || book::commands(true),
    },
    Step { name: "book: HTML", slow: true, skip: always, run: book::build },
    Step {
        name: "model slots",
        slow: false,
        skip: always,
        run: || {
            // With optimisations: tens of thousands of signatures are checked.
            let test = ["test", "-q", "--profile", "untuned", "-p", "ferrolite-slots"];
            in_boards(&[&test[..], &["--target-dir", "target/slots"]].concat())
        },
    },
    Step {
        name: "installed command",
        slow: true,
        skip: needs_boards,
        run: || {
            exec(command("cargo", &IMAGES))?;
            let mut test =
                command("cargo", &["test", "-q", "-p", "ferrolite", "--test", "cli", "installed_command"]);
            test.env("FERROLITE_REQUIRE_IMAGES", "1");
            exec(test)
        },
    },
    Step {
        name: "model of cycles",
        slow: false,
        skip: always,
        run: || in_boards(&["test", "-q", "-p", "ferrolite-cycles", "--target-dir", "target/cycles"]),
    },
    Step { name: "golden figures", slow: false, skip: needs_boards, run: crate::bench::check_golden },
    Step { name: "miri", slow: false, skip: needs_miri, run: miri },
    Step { name: "fuzzing", slow: true, skip: |_| fuzz::needs_fuzzing(), run: fuzz::run },
    Step { name: "mutants of packings", slow: true, skip: always, run: mutants::packings },
    Step {
        name: "lowest Rust of firmware",
        slow: true,
        skip: |_| publish::needs_firmware_rust(),
        run: publish::firmware_rust,
    },
    Step {
        name: "lowest Rust of the host",
        slow: true,
        skip: |_| publish::needs_host_rust(),
        run: publish::host_rust,
    },
    Step { name: "publishing, but for the upload", slow: true, skip: needs_targets, run: publish::dry_run },
];

/// Runs all steps, or those whose name contains `only`; slow ones only if they are asked for.
pub fn run_all(only: Option<&str>, slow: bool) -> Result<()> {
    let tools = setup::run_quietly()?;
    // Left by an earlier run.
    if let Err(error) = fs::remove_file(list_of_skipped())
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error.into());
    }
    let (mut passed, mut skipped) = (0, Vec::new());
    for step in STEPS {
        if only.is_some_and(|word| !step.name.contains(word)) || (step.slow && !slow) {
            continue;
        }
        println!("\n=== {}", step.name);
        if let Some(reason) = (step.skip)(&tools) {
            println!("skipped: {reason}");
            skipped.push((step.name, reason));
            continue;
        }
        let start = Instant::now();
        (step.run)()?;
        println!("=== {}: ok, {:.0} s", step.name, start.elapsed().as_secs_f32());
        passed += 1;
    }
    if passed == 0 {
        bail!("no step ran");
    }
    if let Some(words) = skipped_for_models() {
        println!("{words}");
    }
    for (name, reason) in &skipped {
        println!("skipped: {name}: {reason}");
    }
    println!("steps: {passed} passed, 0 failed, {} skipped", skipped.len());
    Ok(())
}
