//! Runs the commands of the pages' blocks that are marked `console,tested`: lines that begin with `$ `, in order, in
//! a new folder for each page which has the repository's models as a reader's clone has. Lines without `$ ` show what
//! is printed; such a line has to be printed, `…` in it standing for anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io};

use anyhow::{Context, Result, bail};

use crate::pages::Page;

/// Runs the blocks of the pages whose name contains a word that are marked as tested; with `slow` those, too, that build firmware.
pub fn run(root: &Path, pages: &[Page], slow: bool, only: &str) -> Result<()> {
    let wanted = |info: &str| info == "console,tested" || (slow && info == "console,tested-slow");
    let (mut passed, place) = (0, tempfile::tempdir()?);
    let path = path_with_ferrolite(root)?;
    for page in pages.iter().filter(|page| page.path.contains(only)) {
        let blocks: Vec<&str> =
            page.blocks.iter().filter(|(info, _)| wanted(info)).map(|(_, text)| text.as_str()).collect();
        if blocks.is_empty() {
            continue;
        }
        let folder = place.path().join(page.path.trim_end_matches(".md"));
        fs::create_dir_all(&folder)?;
        // As in a reader's clone.
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_name() != "target" && entry.file_name() != ".git" {
                link(&entry.path(), &folder.join(entry.file_name()))?;
            }
        }
        for (command, shown) in blocks.iter().flat_map(|block| commands(block)) {
            println!("{}: $ {command}", page.path);
            let said =
                bash(&command, &folder, &path).with_context(|| format!("{}: `{command}`", page.path))?;
            for line in shown {
                if !said.lines().any(|printed| fits(printed.trim_end(), &line)) {
                    bail!("{}: `{command}` does not print `{line}`, but:\n{said}", page.path);
                }
            }
            passed += 1;
        }
    }
    if passed == 0 {
        bail!("no block is marked as tested");
    }
    println!("the book's commands: {passed} passed");
    Ok(())
}

/// The commands of a block, each with the lines that it prints.
fn commands(block: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_string(), Vec::new())),
            (None, Some((command, _))) if command.ends_with('\\') => {
                command.pop();
                command.push_str(line.trim_start());
            }
            (None, Some((_, shown))) if !line.trim().is_empty() && line.trim() != "…" => {
                shown.push(line.trim_end().to_string());
            }
            _ => {}
        }
    }
    commands
}

/// Whether a printed line is as it is shown, which has `…` for anything.
fn fits(printed: &str, shown: &str) -> bool {
    let mut rest = printed;
    let parts: Vec<&str> = shown.split('…').collect();
    for (index, part) in parts.iter().enumerate() {
        let at = match index {
            0 => rest.starts_with(part).then_some(0),
            _ if index + 1 == parts.len() && !part.is_empty() => {
                rest.ends_with(part).then(|| rest.len() - part.len())
            }
            _ => rest.find(part),
        };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || shown.ends_with('…')
}

/// What a command prints; an error where it fails.
fn bash(command: &str, folder: &Path, path: &str) -> Result<String> {
    let mut bash = Command::new("bash");
    for outer in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        bash.env_remove(outer);
    }
    let output = bash
        .args(["-e", "-o", "pipefail", "-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .context("bash cannot be started")?;
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    if !output.status.success() {
        bail!("failed ({}):\n{said}", output.status);
    }
    Ok(said)
}

/// `PATH` with the folder of the command that was built first.
fn path_with_ferrolite(root: &Path) -> Result<String> {
    let built =
        env::var_os("FERROLITE").map(PathBuf::from).unwrap_or_else(|| root.join("target/debug/ferrolite"));
    let folder = built.parent().context("FERROLITE names no file")?;
    if !built.is_file() {
        bail!("{} is not there: `cargo build -p ferrolite` makes it", built.display());
    }
    Ok(format!("{}:{}", folder.display(), env::var("PATH").unwrap_or_default()))
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::other("the book's commands are run with bash, on Unix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_commands_and_what_they_print() {
        let block = "$ ferrolite convert \\\n    a -o b\n  file  …\n…\n$ ls\n";
        let expected =
            [("ferrolite convert a -o b".to_string(), vec!["  file  …".to_string()]), ("ls".into(), vec![])];
        assert_eq!(commands(block), expected);
    }

    #[test]
    fn dots_stand_for_anything() {
        assert!(fits("arena 5,496 bytes", "arena … bytes") && fits("a b", "a b") && fits("a b c", "a…"));
        assert!(!fits("arena 5 byte", "arena … bytes") && !fits("a b c", "a b") && !fits("b", "a…"));
    }

    #[test]
    fn a_command_that_fails_is_an_error_and_its_words_are_kept() {
        let here = tempfile::tempdir().unwrap();
        let path = env::var("PATH").unwrap();
        assert_eq!(bash("echo a; echo b >&2", here.path(), &path).unwrap(), "a\nb\n");
        assert!(bash("echo why; false", here.path(), &path).unwrap_err().to_string().contains("why"));
    }
}
