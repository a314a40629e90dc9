//! The browser: the runtime as WebAssembly, the npm package and the page (`boards/web`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::run::{command, exec, output, root};

/// The target of Rust, which a toolchain has to have.
const TARGET: &str = "wasm32-unknown-unknown";

/// Largest size of the module as it is sent, compressed.
const MOST_BYTES: usize = 150 << 10;

/// Why the module cannot be built and tested, if it cannot. What is missing is installed where that is possible.
pub fn needs_node() -> Option<&'static str> {
    let version = || output("node", &["--version"]);
    if version().is_none() && output("apt-get", &["--version"]).is_some() {
        println!("Node is missing; trying the system's package manager");
        apt::install(&["nodejs"]);
    }
    let major =
        version().and_then(|text| text.trim_start_matches('v').split('.').next()?.parse::<u32>().ok());
    match major {
        None => return Some("Node is not installed"),
        Some(..18) => return Some("Node is older than 18"),
        Some(_) => {}
    }
    let there =
        || output("rustup", &["target", "list", "--installed"]).is_some_and(|list| list.contains(TARGET));
    if !there() {
        // What cannot be installed is said below.
        let _ = command("rustup", &["target", "add", TARGET]).status();
    }
    (!there()).then_some("the Rust target wasm32-unknown-unknown is not installed")
}

/// Builds the module, the package in `target/npm/ferrolite`, and the page in `target/web`; returns the page's folder.
pub fn build() -> Result<PathBuf> {
    let boards = root().join("boards");
    let mut cargo =
        command("cargo", &["build", "-q", "-p", "ferrolite-web", "--profile", "web", "--target", TARGET]);
    cargo.current_dir(&boards).env("RUSTFLAGS", "-C target-feature=+simd128");
    exec(cargo)?;
    let module = boards.join(format!("target/{TARGET}/web/ferrolite_web.wasm"));
    let sources = boards.join("web");
    fs::copy(&module, sources.join("js/ferrolite.wasm")).context("the module was not built")?;

    let package = root().join("target/npm/ferrolite");
    let page = root().join("target/web");
    for folder in [&package, &page] {
        if folder.is_dir() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    copy_all(&sources.join("js"), &package)?;
    fs::copy(root().join("LICENSE"), package.join("LICENSE"))?;
    copy_all(&sources.join("page"), &page)?;
    for file in ["ferrolite.js", "ferrolite.wasm"] {
        fs::copy(package.join(file), page.join(file))?;
    }
    // All programs of the workspace: its features are then those of `cargo test`, and little is left to build.
    exec(command("cargo", &["build", "-q", "--workspace", "--bins"]))?;
    convert(
        &[
            "tests/models/mnist_cnn/mnist_cnn_float.tflite",
            "--calibrate",
            "tests/models/mnist_cnn/data.npz:cal_x",
        ],
        &page.join("digits.ferro"),
    )?;
    println!("the package is in {}, the page in {}", package.display(), page.display());
    Ok(page)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        fs::copy(&path, to.join(path.file_name().context("a file has a name")?))?;
    }
    Ok(())
}

/// Converts a model for the browser.
fn convert(words: &[&str], output: &Path) -> Result<()> {
    let program = root().join("target/debug/ferrolite");
    let output = output.to_string_lossy();
    exec(command(
        &program.to_string_lossy(),
        &[&["convert"], words, &["--target", "host", "-o", &output, "--force"]].concat(),
    ))
}

/// The library's functions, and all vectors, models and random operators in Node, byte by byte.
pub fn tests() -> Result<()> {
    let lint = [
        "clippy",
        "-q",
        "-p",
        "ferrolite-web",
        "--profile",
        "web",
        "--target",
        TARGET,
        "--",
        "-D",
        "warnings",
    ];
    let mut clippy = command("cargo", &lint);
    clippy.current_dir(root().join("boards")).env("RUSTFLAGS", "-C target-feature=+simd128");
    exec(clippy)?;
    let page = build()?;
    let size = compressed(&page.join("ferrolite.wasm"))?;
    println!("the module: {} bytes, {size} compressed", fs::metadata(page.join("ferrolite.wasm"))?.len());
    if size > MOST_BYTES {
        bail!("the module has {size} bytes compressed, at most {MOST_BYTES} were meant");
    }
    let models = root().join("target/web-tests");
    fs::create_dir_all(&models)?;
    fs::copy(page.join("digits.ferro"), models.join("digits.ferro"))?;
    let samples = models.join("stream.csv");
    // 100 samples of 4 steps of 3 numbers each.
    let row = |row: usize| {
        (0..12).map(|k| format!("{:.3}", ((row * 12 + k) as f64).sin())).collect::<Vec<_>>().join(",")
    };
    fs::write(&samples, (0..100).map(|index| row(index) + "\n").collect::<String>())?;
    convert(
        &["tests/import/keras/today/bad_stateful.keras", "--calibrate", &samples.to_string_lossy()],
        &models.join("stream.ferro"),
    )?;
    convert(&["tests/vectors/gather/embedding_rows_of_17.tflite"], &models.join("embedding.ferro"))?;
    let mut node = command("node", &["--test", "boards/web/test/api.test.js"]);
    node.env("FERROLITE_MODELS", &models);
    exec(node)?;
    exec(command(
        "cargo",
        &[
            "test",
            "-q",
            "-p",
            "ferrolite-conformance",
            "--test",
            "boards",
            "--",
            "--ignored",
            "--nocapture",
            "the_browser",
        ],
    ))
}

/// Bytes of a file as a server sends it. Node has the algorithm.
fn compressed(path: &Path) -> Result<usize> {
    let program =
        "console.log(require('node:zlib').gzipSync(require('node:fs').readFileSync(process.argv[1])).length)";
    let printed = output("node", &["-e", program, &path.to_string_lossy()]).context("Node failed")?;
    Ok(printed.trim().parse()?)
}

/// The page in Chromium, as a person uses it.
pub fn page() -> Result<()> {
    let chromium = ["chromium", "chromium-browser", "google-chrome"];
    let found = || chromium.iter().find(|name| output(name, &["--version"]).is_some());
    if found().is_none() && output("apt-get", &["--version"]).is_some() {
        apt::install(&["chromium", "npm"]);
    }
    let Some(browser) = found() else {
        println!("skipped: there is no Chromium");
        return Ok(());
    };
    let page = build()?;
    let tests = root().join("target/browser");
    fs::create_dir_all(&tests)?;
    fs::write(tests.join("package.json"), "{ \"type\": \"module\", \"private\": true }\n")?;
    fs::copy(root().join("boards/web/test/page.test.js"), tests.join("page.test.js"))?;
    let mut npm = command("npm", &["install", "--silent", "--no-save", "playwright-core@1"]);
    npm.current_dir(&tests);
    exec(npm)?;
    let mut node = command("node", &["--test", "page.test.js"]);
    node.current_dir(&tests)
        .env("FERROLITE_PAGE", &page)
        .env("FERROLITE_BROWSER", browser)
        .env("FERROLITE_MODELS", root().join("target/web-tests"));
    exec(node)
}
