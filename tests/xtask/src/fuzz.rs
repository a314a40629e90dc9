//! Coverage-guided fuzzing of the verifier and interpreter, and of the importers, for a limited time. What the targets
//! do is in `tests/fuzz`.

use std::fs;

use anyhow::{Result, bail};

use crate::run::{command, exec, output, root};

/// Seconds for each target.
const SECONDS: u32 = 60;

/// Targets, and the folder whose files they start from; the device's seeds are made.
const TARGETS: [(&str, &str); 5] = [
    ("model", ""),
    ("import_onnx", "tests/import/onnx"),
    ("import_keras", "tests/import/keras"),
    ("import_tflite", "tests/vectors"),
    ("import_saved_model", "tests/import/saved_model"),
];

/// Compiles code so that libFuzzer sees which branches a run takes, and which comparisons fail.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions=yes -Coverflow-checks=yes \
    -Ccodegen-units=1";

const HOST: &str = "x86_64-unknown-linux-gnu";

/// Why there is no fuzzing here, if there is none.
pub fn needs_fuzzing() -> Option<&'static str> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Some("fuzzing is set up for Linux on x86-64 alone");
    }
    if output("cargo", &["+nightly", "--version"]).is_none() {
        return Some("there is no nightly toolchain (rustup toolchain install nightly)");
    }
    output("c++", &["--version"]).is_none().then_some("there is no C++ compiler, which libFuzzer needs")
}

/// Runs each target for a minute. What makes one fail is kept in `target/fuzz/found`.
pub fn run() -> Result<()> {
    let (build, found) = (root().join("target/fuzz"), root().join("target/fuzz/found"));
    fs::create_dir_all(&found)?;
    let seeds = build.join("seeds");
    let made = seeds.to_string_lossy().into_owned();
    exec(command(
        "cargo",
        &["run", "-q", "-p", "ferrolite-conformance", "--example", "seed_corpus", "--", &made],
    ))?;
    fs::copy(root().join("Cargo.lock"), root().join("tests/fuzz/Cargo.lock"))?;
    // With a target named, build scripts are compiled without these flags.
    let mut cargo = command(
        "cargo",
        &[
            "+nightly",
            "build",
            "-q",
            "--release",
            "--manifest-path",
            "tests/fuzz/Cargo.toml",
            "--target",
            HOST,
        ],
    );
    cargo.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &build);
    exec(cargo)?;
    let mut failed = Vec::new();
    for (target, folder) in TARGETS {
        let corpus = build.join("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        let seeds = if folder.is_empty() { seeds.clone() } else { root().join(folder) };
        let program = build.join(HOST).join("release").join(target);
        let mut fuzz = command(&program.to_string_lossy(), &[]);
        fuzz.arg(corpus).arg(seeds).args([
            &format!("-max_total_time={SECONDS}"),
            &format!("-artifact_prefix={}/{target}-", found.display()),
            "-rss_limit_mb=4096",
            "-timeout=60",
            "-max_len=65536",
            "-print_final_stats=1",
            "-verbosity=0",
        ]);
        if let Err(error) = exec(fuzz) {
            failed.push(format!("{error:#}"));
        }
    }
    if !failed.is_empty() {
        bail!("{}\nwhat failed is in {}", failed.join("\n"), found.display());
    }
    Ok(())
}
