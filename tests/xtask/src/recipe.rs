//! How many files an operator takes: those written by hand that know its name, whatever its spelling. What is generated,
//! vectors and golden answers, the importers' entries (one for each format that can say it) and the prose of the root's pages
//! do not count.
//!
//! Old operators are named in many more places, by passes that rewrite them and tests that use them; the count is for
//! those that were added by the recipe of CONTRIBUTING.md alone.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::fbs::Schema;
use crate::layout::{codes, text};
use crate::run::{output, root};

/// Files that a new operator may take.
const MOST: usize = 6;

/// Operators that were added by the recipe, by the names of their codes.
const BY_RECIPE: [&str; 1] = ["DynamicUpdateSlice"];

/// Where names of operators do not count.
const ELSEWHERE: [&str; 8] = [
    "converter/src/import/",
    "converter/src/tflite/",
    "runtime/tests/checks/",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    // This list.
    "tests/xtask/src/recipe.rs",
];

/// Prints the files of these operators, and fails where they are too many.
pub fn check() -> Result<()> {
    for code in BY_RECIPE {
        let files = files(code)?;
        println!("{code}: {} files written by hand: {}", files.len(), files.join(", "));
        if files.len() > MOST {
            bail!("{code} is known to more than {MOST} files: an operator belongs in one place");
        }
    }
    Ok(())
}

/// Files written by hand that name an operator.
fn files(code: &str) -> Result<Vec<String>> {
    let schema = Schema::parse(&fs::read_to_string(root().join("schema/model.fbs"))?)?;
    let member = codes(&schema)?.find(|member| member.name == code);
    let snake = text(member.with_context(|| format!("model.fbs has no OpCode.{code}"))?);
    let spellings = [code.to_string(), snake.to_uppercase(), snake];
    let tracked = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"]);
    let tracked = tracked.context("git does not list the files of the repository")?;
    let mut found = Vec::new();
    for path in tracked.lines().filter(|path| counts(path)) {
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        let generated = text.lines().take(20).any(|line| line.starts_with("// @generated"));
        if !generated && spellings.iter().any(|name| text.contains(name.as_str())) {
            found.push(path.to_string());
        }
    }
    Ok(found)
}

fn counts(path: &str) -> bool {
    let vectors = path.starts_with("tests/vectors/") && !path.starts_with("tests/vectors/generator/");
    !vectors && !ELSEWHERE.iter().any(|elsewhere| path.starts_with(elsewhere))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_takes_six_files() {
        let files = files("DynamicUpdateSlice").unwrap();
        assert!((5..=MOST).contains(&files.len()), "{files:?}");
        assert!(files.contains(&"schema/model.fbs".to_string()), "{files:?}");
    }

    #[test]
    fn vectors_and_importers_do_not_count() {
        assert!(counts("tests/vectors/generator/movement.py") && counts("runtime/src/ops/add.rs"));
        assert!(!counts("tests/vectors/README.md") && !counts("converter/src/import/tflite/operators.rs"));
    }
}
