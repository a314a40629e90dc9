//! Installs what is missing: the toolchain's bare-metal targets with rustup, and QEMU with the system's
//! package manager. It does nothing twice, and reports what it could not get.

use std::fs;

use anyhow::Result;

use crate::apt;
use crate::run::{command, exec, output, root};

/// The tools that are available.
pub struct Tools {
    /// Both QEMU system emulators run.
    pub qemu: bool,
    /// All bare-metal targets are installed.
    pub targets: bool,
}

/// The emulators that the boards need, with the Debian packages that hold them.
const EMULATORS: [(&str, &str); 2] =
    [("qemu-system-arm", "qemu-system-arm"), ("qemu-system-riscv32", "qemu-system-misc")];

/// Installs what is missing, and reports what is available.
pub fn run_quietly() -> Result<Tools> {
    let targets = install_targets()?;
    let qemu = install_qemu();
    Ok(Tools { qemu, targets })
}

/// Like [`run_quietly`], with a closing line for people.
pub fn run() -> Result<Tools> {
    let tools = run_quietly()?;
    println!("bare-metal targets: {}", if tools.targets { "ready" } else { "MISSING" });
    println!("QEMU:               {}", if tools.qemu { "ready" } else { "MISSING" });
    Ok(tools)
}

/// The targets that `rust-toolchain.toml` lists and that are not installed.
fn missing_targets() -> Result<Vec<String>> {
    let listed = fs::read_to_string(root().join("rust-toolchain.toml"))?;
    let installed = output("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    let installed: Vec<&str> = installed.lines().collect();
    Ok(listed
        .split_once("targets")
        .map(|(_, targets)| targets)
        .unwrap_or_default()
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|target| !installed.contains(target))
        .map(String::from)
        .collect())
}

fn install_targets() -> Result<bool> {
    if missing_targets()?.is_empty() {
        return Ok(true);
    }
    // Installs what rust-toolchain.toml lists, even if rustup's automatic installation is off. rustup only
    // warns about a target that it cannot get, so the targets are checked again.
    let _ = exec(command("rustup", &["toolchain", "install"]));
    for target in missing_targets()? {
        let _ = exec(command("rustup", &["target", "add", &target]));
    }
    let missing = missing_targets()?;
    if !missing.is_empty() {
        println!("could not get these targets from rustup: {}", missing.join(", "));
    }
    Ok(missing.is_empty())
}

/// Debian packages of the emulators that do not run.
pub fn missing_emulators() -> Vec<&'static str> {
    EMULATORS
        .iter()
        .filter(|(program, _)| output(program, &["--version"]).is_none())
        .map(|(_, package)| *package)
        .collect()
}

fn install_qemu() -> bool {
    let packages = missing_emulators();
    if packages.is_empty() {
        return true;
    }
    println!("QEMU is missing ({}); trying the system's package manager", packages.join(", "));
    if output("apt-get", &["--version"]).is_some() {
        apt::install(&packages);
    } else if output("brew", &["--version"]).is_some() {
        let _ = exec(command("brew", &["install", "qemu"]));
    } else if output("dnf", &["--version"]).is_some() {
        let _ =
            exec(command("sudo", &["-n", "dnf", "install", "-y", "qemu-system-arm", "qemu-system-riscv"]));
    }
    let missing = missing_emulators();
    if !missing.is_empty() {
        println!(
            "could not install QEMU. Install {} yourself (version 7.2 or newer); until then everything \
             that needs a board is skipped.",
            missing.join(" and ")
        );
    }
    missing.is_empty()
}

/// The emulator of an RP2040, in the version that tests were run with.
const RP2040JS: &str = "rp2040js@1.4.1";

/// Compilers for the tests of the C library, with the Debian packages that hold them.
const COMPILERS: [(&str, &[&str]); 5] = [
    ("gcc", &["gcc", "libc6-dev"]),
    ("g++", &["g++"]),
    ("clang", &["clang"]),
    ("clang++", &["clang"]),
    ("arm-none-eabi-gcc", &["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"]),
];

/// Why the C library cannot be tested, if it cannot. Compilers that are missing are installed where that is possible; the
/// tests say which are still missing, and one is enough for them.
pub fn needs_c() -> Option<&'static str> {
    let runs = |program: &str| output(program, &["--version"]).is_some();
    let missing = COMPILERS.iter().filter(|(program, _)| !runs(program));
    let mut packages: Vec<&str> = missing.flat_map(|(_, packages)| *packages).copied().collect();
    packages.dedup();
    if !packages.is_empty() && output("apt-get", &["--version"]).is_some() {
        println!("C compilers are missing ({}); trying the system's package manager", packages.join(", "));
        apt::install(&packages);
    }
    let none = COMPILERS.iter().all(|(program, _)| !runs(program));
    none.then_some("there is no C compiler: install gcc, clang or gcc-arm-none-eabi")
}

/// Why a firmware of an RP2040 cannot be run, if it cannot: that takes Node.js and the npm package rp2040js, which is
/// installed into `target`.
pub fn needs_rp2040() -> Option<&'static str> {
    if output("node", &["--version"]).is_none() {
        return Some("Node.js is not installed, in which rp2040js emulates an RP2040");
    }
    let folder = root().join("target/rp2040js");
    let there = || folder.join("node_modules/rp2040js/package.json").is_file();
    if !there() && fs::create_dir_all(&folder).is_ok() {
        let place = folder.display().to_string();
        let _ = exec(command("npm", &["install", "--silent", "--prefix", &place, RP2040JS]));
    }
    (!there()).then_some("npm could not install rp2040js")
}
