//! Packages for Arduino, PlatformIO, ESP-IDF, Zephyr and CMSIS: `cargo xtask packages` puts them together in
//! `target/packages` from `boards/packages`, the C library and the model `sine`, and builds and runs the example of each.

mod cores;
mod examples;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{command, exec, root};
use cores::{CORES, Core};

/// A package.
struct Package {
    /// Its name: the folder of its files, and of the package.
    name: &'static str,
    /// Where its headers go.
    headers: &'static str,
    /// Where the example's model goes.
    model: &'static str,
    /// Where the library of a core goes: none of a core that it has no use for.
    library: fn(&Core) -> Vec<String>,
    /// Builds and runs its example.
    check: fn(&Path) -> Result<examples::Checked>,
}

fn in_lib(core: &Core) -> Vec<String> {
    vec![format!("lib/{}", core.name)]
}

const PACKAGES: [Package; 5] = [
    Package {
        name: "arduino",
        headers: "src",
        model: "examples/Sine",
        library: |core| core.arduino.iter().map(|folder| format!("src/{folder}")).collect(),
        check: examples::arduino,
    },
    Package {
        name: "platformio",
        headers: "include",
        model: "examples/sine/src",
        library: in_lib,
        check: examples::platformio,
    },
    Package {
        name: "esp-idf",
        headers: "include",
        model: "examples/sine/main",
        library: |core| if core.name.starts_with("riscv") { in_lib(core) } else { Vec::new() },
        check: examples::esp_idf,
    },
    Package {
        name: "zephyr",
        headers: "include",
        model: "samples/sine/src",
        library: in_lib,
        check: examples::zephyr,
    },
    Package {
        name: "cmsis-pack",
        headers: "include",
        model: "examples",
        library: |core| if core.name.starts_with("riscv") { Vec::new() } else { in_lib(core) },
        check: examples::cmsis_pack,
    },
];

/// Headers of the library.
const HEADERS: [&str; 2] = ["ferrolite.h", "ferrolite.hpp"];

/// Puts packages together and checks them: all, or the one that is named; for all cores, or for those of an emulated
/// Cortex-M4 alone.
pub fn run(only: Option<&str>, all_cores: bool) -> Result<()> {
    let wanted: Vec<&Package> =
        PACKAGES.iter().filter(|package| only.is_none_or(|name| package.name == name)).collect();
    if wanted.is_empty() {
        let names = PACKAGES.map(|package| package.name);
        bail!("there is no such package; there are {}", names.join(", "));
    }
    exec(command("cargo", &["build", "-q", "-p", "ferrolite"]))?;
    for package in wanted {
        let cores = CORES.iter().filter(|core| {
            let used = !(package.library)(core).is_empty();
            used && (all_cores || core.name == "cortex-m4" || package.name == "esp-idf")
        });
        let folder = assemble(package, &cores.collect::<Vec<_>>())?;
        match (package.check)(&folder)? {
            examples::Checked::Ran { sizes } => {
                fs::write(folder.join("SIZES.md"), table(&sizes))?;
                println!("{}: {}; its example gives the converter's answers", package.name, folder.display());
            }
            examples::Checked::Not { reason } => {
                println!("{}: {}; skipped: its example: {reason}", package.name, folder.display());
            }
        }
    }
    Ok(())
}

/// Makes the folder of a package.
fn assemble(package: &Package, cores: &[&Core]) -> Result<PathBuf> {
    let folder = root().join("target/packages").join(package.name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    copy_filled(&root().join("boards/packages").join(package.name), &folder)?;
    fs::copy(root().join("LICENSE"), folder.join("LICENSE"))?;
    fs::create_dir_all(folder.join(package.headers))?;
    for header in HEADERS {
        fs::copy(root().join("boards/c/include").join(header), folder.join(package.headers).join(header))?;
    }
    model(&folder.join(package.model))?;
    if package.name == "cmsis-pack" {
        let main = root().join("boards/packages/platformio/examples/sine/src/main.c");
        fs::copy(main, folder.join("examples/main.c"))?;
    }
    for core in cores {
        let Some(library) = core.library()? else { continue };
        for place in (package.library)(core) {
            let place = folder.join(place);
            fs::create_dir_all(&place)?;
            fs::copy(&library, place.join("libferrolite.a"))?;
        }
    }
    Ok(folder)
}

/// Copies a folder; `{{version}}` becomes the workspace's version.
fn copy_filled(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_filled(&entry.path(), &to)?;
        } else {
            let text = fs::read_to_string(entry.path())?;
            fs::write(to, text.replace("{{version}}", env!("CARGO_PKG_VERSION")))?;
        }
    }
    Ok(())
}

/// Writes the model of the examples, packed for no core, so that one file serves them all.
fn model(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let ferro = root().join("target/packages/sine.ferro").display().to_string();
    let header = folder.join("sine.h").display().to_string();
    let mut convert = command(&root().join("target/debug/ferrolite").display().to_string(), &["convert"]);
    convert.arg("tests/models/sine/sine_int8_tf.tflite").args(["-o", &ferro, "--c", &header, "--force"]);
    exec_quietly(convert)
}

/// Runs a program, and shows what it says only if it fails.
fn exec_quietly(mut command: std::process::Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?} could not be started"))?;
    if !output.status.success() {
        let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        bail!("{command:?} failed ({}):\n{said}", output.status);
    }
    Ok(())
}

fn table(sizes: &[(String, u64, u64)]) -> String {
    let mut text = "# Sizes\n\nThe example, linked with the section of every function that it uses: bytes of flash and of RAM \
                    (without the stack).\n\n| program | flash | RAM |\n|---|--:|--:|\n"
        .to_string();
    for (program, flash, ram) in sizes {
        text += &format!("| {program} | {flash} | {ram} |\n");
    }
    text
}
