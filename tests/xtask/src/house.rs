//! `cargo xtask bench --house`: checks whether anything became slower or larger than before the
//! reorganisation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{command, exec, output_of, root};
use crate::{bench, recipe, setup};

/// The commit whose figures are in `tests/examples/bench/before.txt`.
const BEFORE: &str = "388041a";

/// Largest accepted ratio of the median model's time on this machine to that of the earlier program, in one
/// run.
const NOISE: f64 = 1.05;

/// Rounds of both programs, alternating; the fastest of each counts.
const ROUNDS: usize = 3;

/// Measures everything, and fails with a list of all figures beyond their limits.
pub fn run() -> Result<()> {
    setup::run_quietly()?;
    let mut beyond = Vec::new();
    if let Err(error) = bench::start(&["--release"], &["--house"]) {
        beyond.push(format!("{error:#}"));
    }
    if let Err(error) = recipe::check() {
        beyond.push(format!("{error:#}"));
    }
    beyond.extend(host_speed()?);
    if !beyond.is_empty() {
        bail!("{}", beyond.join("\n"));
    }
    println!("nothing is beyond its limit");
    Ok(())
}

/// Microseconds by kernel set and target, then by model.
type Times = BTreeMap<String, BTreeMap<String, f64>>;

/// Compares the interpreter's time on this machine with that of the earlier commit, which is built beside it.
fn host_speed() -> Result<Vec<String>> {
    let models = models();
    if models.is_empty() {
        println!("skipped: host speed: none of its models is there");
        return Ok(Vec::new());
    }
    let old = root().join("target/before");
    if !old.join("Cargo.toml").is_file() {
        let path = old.to_string_lossy();
        // By force, since a folder that was deleted is still on git's list.
        let checked_out =
            output_of(command("git", &["worktree", "add", "--force", "--detach", &path, BEFORE]));
        if checked_out.is_none() {
            println!("skipped: host speed: this clone does not hold commit {BEFORE}");
            return Ok(Vec::new());
        }
    }
    let programs = [build(&old, "before-build")?, build(&root(), "")?];
    let mut times = [Times::new(), Times::new()];
    for _ in 0..ROUNDS {
        for (program, times) in programs.iter().zip(&mut times) {
            let mut run = Command::new(program);
            run.args(&models);
            let printed = output_of(run).with_context(|| format!("{} failed", program.display()))?;
            read(&printed, times);
        }
    }
    let [before, now] = times;
    let mut beyond = Vec::new();
    println!("host speed, now to before, fastest of {ROUNDS} rounds in turn");
    for (set, before) in &before {
        let Some(now) = now.get(set) else { continue };
        let mut ratios: Vec<f64> =
            before.iter().filter_map(|(model, before)| Some(now.get(model)? / before)).collect();
        ratios.sort_by(f64::total_cmp);
        let Some(&median) = ratios.get(ratios.len() / 2) else { continue };
        println!("{set}: median {median:.3} of {} models", ratios.len());
        if median > NOISE {
            beyond.push(format!("host speed, {set}: {median:.3} of the time before, at most {NOISE}"));
        }
    }
    Ok(beyond)
}

/// The models of BENCHMARKS.md that are there.
fn models() -> Vec<PathBuf> {
    let names = ["kws_ref_model", "pretrainedResnet_quant", "ad01_int8", "person_detect", "hello_world_int8"];
    let collection = std::env::var_os("FERROLITE_SHARED").map_or(root().join("../shared"), PathBuf::from);
    let folder = collection.join("models/real");
    let paths = names.iter().map(|name| folder.join(format!("{name}.tflite")));
    paths.filter(|path| path.is_file()).collect()
}

/// Builds `tests/examples/host_speed.rs` of a checkout. Each checkout has a folder of its own for its build.
fn build(checkout: &Path, folder: &str) -> Result<PathBuf> {
    let target = if folder.is_empty() { checkout.join("target") } else { root().join("target").join(folder) };
    let mut cargo = command(
        "cargo",
        &["build", "-q", "--release", "-p", "ferrolite-conformance", "--example", "host_speed"],
    );
    cargo.current_dir(checkout).env("CARGO_TARGET_DIR", &target);
    exec(cargo)?;
    Ok(target.join("release/examples/host_speed"))
}

/// Reads lines `model set target microseconds`, and keeps the fastest of each.
fn read(printed: &str, times: &mut Times) {
    for line in printed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [model, set, target, micros] = words[..] else { continue };
        let Ok(micros) = micros.parse::<f64>() else { continue };
        let models = times.entry(format!("{set} kernels, packed for {target}")).or_default();
        let fastest = models.entry(model.to_string()).or_insert(micros);
        *fastest = fastest.min(micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_time_of_each_model_counts() {
        let mut times = Times::new();
        read("kws avx2 host 12.5\nkws host host 3.0\n", &mut times);
        read("kws avx2 host 11.5\nerror: what is not a time\nkws host host 4.0\n", &mut times);
        assert_eq!(times["avx2 kernels, packed for host"]["kws"], 11.5);
        assert_eq!(times["host kernels, packed for host"]["kws"], 3.0);
        assert_eq!(times.len(), 2);
    }
}
