//! The Python package (`converter/python`): its tests with NumPy alone, and, slowly, as a user installs it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::run::{command, exec, output, output_of, root};

/// Largest size of the wheel in bytes.
const MOST_BYTES: u64 = 15 << 20;

/// Why the package cannot be tested, if it cannot. What is missing is installed where that is possible.
pub fn needs_python() -> Option<&'static str> {
    let works = || output("python3", &["-c", "import venv, ensurepip"]).is_some();
    if !works() && output("apt-get", &["--version"]).is_some() {
        println!("Python is missing; trying the system's package manager");
        apt::install(&["python3", "python3-venv"]);
    }
    if !works() {
        return Some("there is no python3 with venv");
    }
    let old = output("python3", &["-c", "import sys; assert sys.version_info >= (3, 10)"]).is_none();
    if old {
        return Some("python3 is older than 3.10");
    }
    // Asked once, since without a network nothing below can be had.
    environment("python", &["numpy>=1.24", "pytest>=8"]).err().map(|error| {
        println!("{error:#}");
        "numpy and pytest cannot be installed"
    })
}

/// Why images of ESP32s cannot be looked at, if they cannot: `esptool` is Espressif's own program for them.
pub fn needs_esptool() -> Option<&'static str> {
    if output("python3", &["-c", "import venv, ensurepip"]).is_none() {
        return Some("there is no python3 with venv");
    }
    environment("esptool", &["esptool>=5,<6"]).err().map(|error| {
        println!("{error:#}");
        "esptool cannot be installed"
    })
}

/// The tests with NumPy alone, with the module as the tests of the workspace have just built it.
pub fn tests() -> Result<()> {
    // Libraries alone, of the whole workspace: its features are then those of `cargo test`, and little is left to build.
    exec(command("cargo", &["build", "-q", "--workspace", "--lib"]))?;
    let python = environment("python", &["numpy>=1.24", "pytest>=8"])?;
    let package = root().join("converter/python");
    let built = root().join("target/debug").join(if cfg!(target_os = "macos") {
        "lib_ferrolite.dylib"
    } else {
        "lib_ferrolite.so"
    });
    fs::copy(&built, package.join("ferrolite/_ferrolite.abi3.so"))
        .with_context(|| format!("{} was not built", built.display()))?;
    pytest(&python, &[], &package)
}

/// Builds the wheel and installs it in an environment of its own, as `pip install converter/python` does, and tests it
/// there, with the real Keras too, where that can be had.
pub fn package() -> Result<()> {
    let python = environment("python-package", &["numpy>=1.24", "pytest>=8"])?;
    let wheels = root().join("target/wheels");
    if wheels.is_dir() {
        fs::remove_dir_all(&wheels)?;
    }
    let (program, folder) = (python.to_string_lossy(), wheels.to_string_lossy());
    // The module of the quick tests is in the folder that the package is made of.
    let module = root().join("converter/python/ferrolite/_ferrolite.abi3.so");
    if module.is_file() {
        fs::remove_file(module)?;
    }
    exec(command(
        &program,
        &["-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", &folder, "./converter/python"],
    ))?;
    let wheel = fs::read_dir(&wheels)?.next().context("no wheel was built")??;
    let bytes = wheel.metadata()?.len();
    println!("{}: {bytes} bytes", wheel.file_name().to_string_lossy());
    if bytes > MOST_BYTES {
        bail!("the wheel has {bytes} bytes, at most {MOST_BYTES} were meant");
    }
    let path = wheel.path();
    exec(command(
        &program,
        &["-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", &path.to_string_lossy()],
    ))?;
    let keras =
        command(&program, &["-m", "pip", "install", "-q", "tensorflow-cpu>=2.21,<3", "onnx", "jax"]).status();
    if !keras.is_ok_and(|status| status.success()) {
        println!("skipped: tests with Keras: it cannot be installed");
    }
    for (what, package) in [("Dask", "dask[distributed]"), ("Ray", "ray")] {
        let got = command(&program, &["-m", "pip", "install", "-q", package]).status();
        if !got.is_ok_and(|status| status.success()) {
            println!("skipped: the test of ferrolite.distributed with {what}: it cannot be installed");
        }
    }
    // Away from the sources, so that what is imported is the installed package.
    let elsewhere = root().join("target/python-elsewhere");
    if elsewhere.is_dir() {
        fs::remove_dir_all(&elsewhere)?;
    }
    fs::create_dir_all(&elsewhere)?;
    pytest(&python, &[("FERROLITE_INSTALLED", "1")], &elsewhere)?;
    with_torch(&wheel.path())
}

/// The tests with the real torch, in the interpreter that FERROLITE_TORCH_PYTHON names: 5 GB, which nobody wants installed
/// unasked. `python3 -m venv V && V/bin/pip install torch onnx onnxscript keras jax numpy pytest` makes one.
fn with_torch(wheel: &Path) -> Result<()> {
    let Some(python) = std::env::var_os("FERROLITE_TORCH_PYTHON").map(PathBuf::from) else {
        println!("skipped: tests with torch: FERROLITE_TORCH_PYTHON names no interpreter that has it");
        return Ok(());
    };
    let unpacked = root().join("target/python-torch");
    if unpacked.is_dir() {
        fs::remove_dir_all(&unpacked)?;
    }
    let (to, wheel) = (unpacked.to_string_lossy(), wheel.to_string_lossy());
    exec(command("python3", &["-m", "zipfile", "-e", &wheel, &to]))?;
    pytest(&python, &[], &unpacked)
}

/// The clients of other people against `ferrolite serve`: curl, and tritonclient while models come and go.
pub fn serving() -> Result<()> {
    let python = environment("python-serving", &["tritonclient[http]>=2.50"])?;
    let built = root().join("target/debug/ferrolite");
    exec(command(&python.to_string_lossy(), &["tests/serving/clients.py", &built.to_string_lossy()]))
}

fn pytest(python: &Path, variables: &[(&str, &str)], path: &Path) -> Result<()> {
    let tests = root().join("converter/python/tests");
    let mut test = command(
        &python.to_string_lossy(),
        &["-m", "pytest", "-q", "-p", "no:cacheprovider", &tests.to_string_lossy()],
    );
    test.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1").envs(variables.iter().copied());
    exec(test)
}

/// The interpreter of a virtual environment in the build folder that has these packages.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = root().join("target").join(name);
    let python = folder.join("bin/python");
    if output_of(command(&python.to_string_lossy(), &["-m", "pip", "--version"])).is_none() {
        exec(command("python3", &["-m", "venv", "--clear", &folder.to_string_lossy()]))?;
    }
    let install = [&["-m", "pip", "install", "-q", "--disable-pip-version-check"][..], packages].concat();
    let mut pip = command(&python.to_string_lossy(), &install);
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    exec(pip)?;
    Ok(python)
}
