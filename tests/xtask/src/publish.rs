//! Checks what crates.io and docs.rs get: the packages of the crates that users depend on, and the lowest
//! version of Rust that each of them declares.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run::{command, exec, output, root};

/// The crates that are published, with their folders. Each comes after those that it depends on.
const CRATES: [(&str, &str); 4] = [
    ("ferrolite-schema", "schema"),
    ("ferrolite-runtime", "runtime"),
    ("ferrolite-graph", "converter/graph"),
    ("ferrolite", "converter"),
];

/// Number of these crates, from the first, that firmware builds with.
const FIRMWARE: usize = 2;

/// A target of firmware.
const TARGET: &str = "thumbv7em-none-eabihf";

/// Keys that every manifest must have, and files that every package must contain.
const KEYS: [&str; 7] =
    ["description", "license", "repository", "keywords", "categories", "rust-version", "readme"];
const FILES: [&str; 2] = ["LICENSE", "README.md"];

/// Most bytes of a compressed package: enough for the sources, too few for models or recordings of tests.
const MOST_BYTES: u64 = 1 << 20;

/// What the images of the boards' runners may add to the command's.
const IMAGES_BYTES: u64 = 1_500_000;

/// crates.io accepts at most so many keywords, of so many characters.
const KEYWORDS: usize = 5;
const KEYWORD: usize = 20;

fn flags(crates: &[(&'static str, &str)]) -> Vec<&'static str> {
    crates.iter().flat_map(|&(name, _)| ["-p", name]).collect()
}

/// Packages all crates without using the network, and checks their contents.
pub fn packages() -> Result<()> {
    let words = ["package", "-q", "--no-verify", "--allow-dirty", "--offline"];
    exec(command("cargo", &[&words[..], &flags(&CRATES)].concat()))?;
    let mut wrong = Vec::new();
    for (name, _) in CRATES {
        let id = output("cargo", &["pkgid", "--offline", "-p", name]).context("cargo pkgid")?;
        let version = id.trim().rsplit(['@', '#']).next().unwrap_or_default();
        let package = root().join(format!("target/package/{name}-{version}.crate"));
        let bytes = fs::metadata(&package).with_context(|| package.display().to_string())?.len();
        let most = MOST_BYTES + if name == "ferrolite" { IMAGES_BYTES } else { 0 };
        if bytes > most {
            wrong.push(format!("{name}: its package has {bytes} bytes, more than {most}"));
        }
        let words = ["package", "-q", "--list", "--allow-dirty", "--offline", "-p", name];
        let list = output("cargo", &words).context("cargo package --list")?;
        for file in FILES.iter().filter(|file| !list.lines().any(|line| line == **file)) {
            wrong.push(format!("{name}: its package has no {file}"));
        }
        // Cargo has copied the workspace's values into the manifest.
        let unpacked = ["-xOf", &package.display().to_string(), &format!("{name}-{version}/Cargo.toml")]
            .map(String::from);
        let manifest = output("tar", &unpacked.each_ref().map(String::as_str)).context("tar")?;
        wrong.extend(faults(&manifest).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// Values that crates.io or a reader would miss in a manifest.
fn faults(manifest: &str) -> Vec<String> {
    let missing = KEYS.iter().filter(|key| value(manifest, key).is_none());
    let mut faults: Vec<String> = missing.map(|key| format!("its manifest has no `{key}`")).collect();
    let keywords = value(manifest, "keywords").unwrap_or_default();
    let keywords: Vec<&str> = keywords.split('"').skip(1).step_by(2).collect();
    if keywords.len() > KEYWORDS || keywords.iter().any(|word| word.chars().count() > KEYWORD) {
        faults.push(format!("keywords {keywords:?}: at most {KEYWORDS}, of at most {KEYWORD} characters"));
    }
    faults
}

/// The value of a key in a manifest's `[package]`, as written.
fn value<'m>(manifest: &'m str, key: &str) -> Option<&'m str> {
    let (_, package) = manifest.split_once("[package]\n")?;
    let package = package.split("\n[").next()?;
    let mut rest = package;
    loop {
        let line = rest.lines().next()?;
        if let Some(("", behind)) = rest.split_once(key)
            && let Some(value) = behind.trim_start_matches(' ').strip_prefix('=')
        {
            let end = match value.trim_start().starts_with('[') {
                true => value.find(']').map(|at| at + 1),
                false => value.find('\n'),
            };
            return Some(value[..end.unwrap_or(value.len())].trim());
        }
        rest = rest[line.len()..].strip_prefix('\n')?;
    }
}

/// Does everything that publishing does except the upload: unpacks and compiles each package with the
/// packages of the others, and those of firmware also for a core.
pub fn dry_run() -> Result<()> {
    forget_earlier()?;
    let words = ["publish", "-q", "--dry-run", "--workspace", "--allow-dirty", "--target-dir", FOLDER];
    exec(command("cargo", &words))?;
    let words = ["package", "-q", "--allow-dirty", "--target", TARGET, "--target-dir", FOLDER];
    exec(command("cargo", &[&words[..], &flags(&CRATES[..FIRMWARE])].concat()))
}

/// Where packages are compiled, apart from all else: see [`forget_earlier`].
const FOLDER: &str = "target/publish";

/// Removes what Cargo unpacked and compiled of these crates in an earlier run: it would take that again, since the version
/// is the same. Cargo's folder of a registry that is no server, as that of a dry run, begins with a dash.
fn forget_earlier() -> Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    for kind in ["src", "cache"] {
        let Some(folder) = home.as_ref().map(|home| home.join("registry").join(kind)) else { return Ok(()) };
        let Ok(registries) = fs::read_dir(folder) else { continue };
        for registry in registries {
            let registry = registry?;
            if !registry.file_name().to_string_lossy().starts_with('-') {
                continue;
            }
            for entry in fs::read_dir(registry.path())? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let own = |(crate_, _): &(&str, &str)| {
                    let version = name.strip_prefix(crate_).and_then(|rest| rest.strip_prefix('-'));
                    version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
                };
                if !CRATES.iter().any(own) {
                    continue;
                }
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                    .with_context(|| path.display().to_string())?;
            }
        }
    }
    for folder in ["debug", &format!("{TARGET}/debug")] {
        let Ok(entries) = fs::read_dir(root().join(FOLDER).join(folder).join(".fingerprint")) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("ferrolite") {
                fs::remove_dir_all(entry.path())?;
            }
        }
    }
    Ok(())
}

/// The lowest version of Rust that a crate declares. The other crates must declare the same.
fn declared(crates: &[(&str, &str)]) -> Result<String> {
    let mut lowest: Option<String> = None;
    for (name, folder) in crates {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml"))?;
        let version = value(&manifest, "rust-version").with_context(|| format!("{name}: no rust-version"))?;
        let version = format!("{}.0", version.trim_matches('"'));
        if lowest.as_ref().is_some_and(|other| *other != version) {
            bail!("{name} declares Rust {version}, and a crate that is built with it another version");
        }
        lowest = Some(version);
    }
    lowest.context("no crate")
}

/// The lowest version for firmware, and for the host's command.
fn firmware_version() -> Result<String> {
    declared(&CRATES[..FIRMWARE])
}

fn host_version() -> Result<String> {
    declared(&CRATES[FIRMWARE..])
}

/// Whether a version of Rust is installed with a target; installs it if it is not.
fn installed(version: &str, target: Option<&str>) -> bool {
    let is_there = || {
        let list = output("rustup", &["target", "list", "--installed", "--toolchain", version]);
        list.is_some_and(|list| target.is_none_or(|target| list.lines().any(|line| line == target)))
    };
    if !is_there() {
        let words = ["toolchain", "install", version, "--profile", "minimal", "--no-self-update"];
        let target = target.map(|target| ["--target", target]);
        // If the installation fails, the check below finds out.
        let _ = exec(command("rustup", &[&words[..], target.as_ref().map_or(&[], |words| words)].concat()));
    }
    is_there()
}

/// The reason why firmware cannot be compiled with the lowest version, if there is one.
pub fn needs_firmware_rust() -> Option<&'static str> {
    let there = firmware_version().is_ok_and(|version| installed(&version, Some(TARGET)));
    (!there).then_some("rustup could not install the lowest Rust of firmware for thumbv7em-none-eabihf")
}

/// The reason why the host's command cannot be compiled with the lowest version, if there is one.
pub fn needs_host_rust() -> Option<&'static str> {
    let there = host_version().is_ok_and(|version| installed(&version, None));
    (!there).then_some("rustup could not install the lowest Rust of the host's command")
}

/// Compiles the runtime for a core with the lowest version that it declares, with all features.
pub fn firmware_rust() -> Result<()> {
    let version = format!("+{}", firmware_version()?);
    let words = [&version, "check", "-q", "-p", "ferrolite-runtime", "--features", "defmt,foreign-kernels"];
    exec(command(
        "cargo",
        &[&words[..], &["--target", TARGET, "--target-dir", "target/lowest-rust"]].concat(),
    ))
}

/// Compiles the host's command with the lowest version that it declares.
pub fn host_rust() -> Result<()> {
    let version = format!("+{}", host_version()?);
    exec(command(
        "cargo",
        &[&version, "check", "-q", "-p", "ferrolite", "--target-dir", "target/lowest-rust"],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"x\"\ndescription = \"d = e\"\nkeywords = [\n  \"a\",\n  \"b\",\n]\n\
                            \n[dependencies]\nlicense = \"none\"\n";

    #[test]
    fn keys_are_those_of_the_package() {
        assert_eq!(value(MANIFEST, "name"), Some("\"x\""));
        assert_eq!(value(MANIFEST, "description"), Some("\"d = e\""));
        assert_eq!(value(MANIFEST, "keywords"), Some("[\n  \"a\",\n  \"b\",\n]"));
        assert_eq!(value(MANIFEST, "license"), None);
        assert_eq!(faults(MANIFEST).len(), KEYS.len() - 2);
        let many = MANIFEST.replace("\"b\"", "\"a keyword that is much too long\"");
        assert_eq!(faults(&many).len(), KEYS.len() - 1);
    }
}
