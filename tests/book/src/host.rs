//! The page of the command's errors, made of the sources: each message with its cure. The cure is the help that the
//! error brings; where it brings none, or its words are not at the place where it is made, `boards/book/cures.txt` has
//! them. An error with neither is a finding.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::sources::{self, Constants, Made};

/// The page.
pub const PAGE: &str = "errors-host.md";

/// The cures that are written by hand: a line with what it is for, an indented one with the words.
const CURES: &str = "boards/book/cures.txt";

/// Where the errors of the command are made.
const SOURCES: [&str; 2] = ["converter/src", "converter/graph/src"];

/// Parts of the page: the beginnings of paths, the first that fits counts.
const PARTS: [(&str, &[&str]); 10] = [
    ("The command's words", &["converter/src/cli"]),
    ("Keras files", &["converter/src/import/keras"]),
    ("ONNX files", &["converter/src/import/onnx"]),
    ("TensorFlow Lite files", &["converter/src/import/tflite"]),
    ("SavedModels", &["converter/src/import/saved_model"]),
    (
        "Models of any format",
        &["converter/src/import", "converter/src/passes", "converter/src/ops", "converter/graph"],
    ),
    ("Samples and labels", &["converter/src/data"]),
    ("Quantizing and writing", &["converter/src/quantize", "converter/src/emit", "converter/src/convert"]),
    ("Boards and projects", &["converter/src/board", "converter/src/project", "converter/src/bench"]),
    ("Running and comparing", &["converter/src"]),
];

const HEAD: &str = "<!-- Made by `cargo xtask book --errors` from the sources. -->\n\n# Errors of the command\n\n\
    Every error that `ferrolite` prints, by where it comes from, with its cure. `…` stands for what differs: a file, a\n\
    layer, a number. The message is printed behind `error:`, the cure behind `help:` where the command has one of its\n\
    own.\n\n\
    The exit code says whose turn it is: 1, the model, the data or the machine; 2, the words of the command line; 3, a\n\
    budget of flash or RAM that the model does not meet; 70, Ferrolite itself, which is a bug whatever the input was.\n\n\
    **Layers that cannot be converted** are named all together, with their operators: replace them, or cut the model\n\
    before the first of them (`convert --cut TENSOR`, see `ferrolite convert --help`). `ferrolite inspect MODEL` lists\n\
    them beforehand; what a format of models can say and Ferrolite cannot compute is in the message.\n";

/// The cure of a mistake of Ferrolite's.
const REPORT: &str = "this is a mistake in Ferrolite, not in the model: please report it with the model";

/// The text of the page.
///
/// # Errors
/// When errors have no cure, or cures no error: all of them, a line each.
pub fn page(root: &Path) -> Result<String> {
    let cures = cures(&fs::read_to_string(root.join(CURES)).with_context(|| CURES.to_string())?);
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut parts: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
    for (file, made) in all(root)? {
        let place = format!("{file}::{}", made.function);
        let message = made.message.as_deref().map(flat).filter(|words| says_something(words));
        let own = match made.maker.as_str() {
            "internal" => Some(REPORT.to_string()),
            _ => made.help.as_deref().map(flat).filter(|words| says_something(words)),
        };
        let by_hand = cures.get_key_value(message.as_ref().unwrap_or(&place));
        // The file's is for what has no cure of its own.
        let by_hand = by_hand.or_else(|| cures.get_key_value(&file).filter(|_| own.is_none()));
        used.extend(by_hand.map(|(key, _)| key.clone()));
        let (told, cure) = match by_hand.map(|(_, cure)| cure.split_once("=>").unwrap_or(("", cure))) {
            Some((told, cure)) => {
                (told.trim(), Some(cure.trim().to_string()).filter(|cure| !cure.is_empty()).or(own))
            }
            None => ("", own),
        };
        let words = match (message, told) {
            // The words come from elsewhere.
            (None, "") => None,
            (None, told) => Some(told.to_string()),
            (Some(words), _) if made.maker == "layer" => Some(quoted(&format!("layer `…` (…): {words}"))),
            (Some(words), _) => Some(quoted(&words)),
        };
        match (words, cure) {
            (Some(words), Some(cure)) => _ = parts.entry(part(&file)).or_default().insert(words, cure),
            (Some(words), None) => wrong.push(format!("{file}: no cure for: {words}")),
            (None, _) => wrong
                .push(format!("{CURES}: no `words => cure` for {place}, whose words come from elsewhere")),
        }
    }
    wrong.extend(
        cures.keys().filter(|key| !used.contains(*key)).map(|key| format!("{CURES}: for no error: {key}")),
    );
    if !wrong.is_empty() {
        wrong.sort();
        wrong.dedup();
        bail!("{}", wrong.join("\n"));
    }
    let mut text = HEAD.to_string();
    for (part, errors) in parts {
        text += &format!("\n## {}\n\n", PARTS[part].0);
        for (words, cure) in errors {
            text += &format!("- {words}\n  <br>**Cure**: {cure}.\n", cure = cure.trim_end_matches('.'));
        }
    }
    Ok(text)
}

/// The part of the page for errors of a file.
fn part(file: &str) -> usize {
    PARTS
        .iter()
        .position(|(_, paths)| paths.iter().any(|path| file.starts_with(path)))
        .unwrap_or(PARTS.len() - 1)
}

/// All errors that the sources make, with their files, in the order of the files.
fn all(root: &Path) -> Result<Vec<(String, Made)>> {
    let mut files = Vec::new();
    for folder in SOURCES {
        rust_files(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut parsed = Vec::new();
    let mut constants = Constants::new();
    for path in files {
        let text = fs::read_to_string(&path)?;
        let file = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        constants.extend(sources::constants(&file));
        parsed.push((path.strip_prefix(root).unwrap_or(&path).display().to_string(), file));
    }
    let mut found = Vec::new();
    for (path, file) in parsed {
        let mut known = constants.clone();
        // Its own come first: several files may have one of the same name.
        known.extend(sources::constants(&file));
        found.extend(sources::errors(&file, &known).into_iter().map(|made| (path.clone(), made)));
    }
    Ok(found)
}

/// Rust files of a folder, but for those of tests and the one that makes the type.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" {
                rust_files(&path, files)?;
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && !path.ends_with("graph/src/error.rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// One line of one or more.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether there are words beside what comes from elsewhere.
fn says_something(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphabetic()).count() > 3
}

/// Words as code: they have backticks of their own.
fn quoted(words: &str) -> String {
    if words.contains('`') { format!("`` {words} ``") } else { format!("`{words}`") }
}

/// The cures of the file, by what they are for.
fn cures(text: &str) -> BTreeMap<String, String> {
    let mut cures: BTreeMap<String, String> = BTreeMap::new();
    let mut key = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        if !line.starts_with(' ') {
            key = line.trim().to_string();
            continue;
        }
        let cure = cures.entry(key.clone()).or_default();
        if !cure.is_empty() {
            cure.push(' ');
        }
        cure.push_str(line.trim());
    }
    cures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cures_are_read_by_what_they_are_for() {
        let read =
            cures("# a\nthe file `…` is odd\n    copy it\n    again\n\na.rs::f\n    it is odd => mend it\n");
        assert_eq!(read["the file `…` is odd"], "copy it again");
        assert_eq!(read["a.rs::f"], "it is odd => mend it");
    }

    #[test]
    fn the_sources_have_hundreds_of_errors_with_words() {
        let all = all(&crate::root()).unwrap();
        let with_words = all.iter().filter(|(_, made)| made.message.is_some()).count();
        assert!(all.len() > 200 && with_words * 10 > all.len() * 8, "{with_words} of {}", all.len());
        assert!(!all.iter().any(|(_, made)| made.function.is_empty()));
    }

    #[test]
    fn words_with_backticks_are_code_all_the_same() {
        assert_eq!(quoted("a `b`"), "`` a `b` ``");
        assert_eq!(quoted("a"), "`a`");
        assert!(!says_something("…: …") && says_something("… is odd"));
    }
}
