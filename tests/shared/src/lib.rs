//! The collection of models that tests use and that the repository does not contain, because most of it
//! belongs to other people: the folder `shared` beside the workspace, or the one that `FERROLITE_SHARED`
//! names.
//!
//! A test that finds no such folder reports it and ends ([`models`] returns `None`). With
//! `FERROLITE_REQUIRE_SHARED=1` it fails instead. If `FERROLITE_SKIPPED` names a file, the test adds a line
//! to it, which `cargo xtask test` counts at its end.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of shared models. If it is missing, reports that the test is skipped and returns `None`.
///
/// # Panics
///
/// If it is missing and `FERROLITE_REQUIRE_SHARED` is `1`.
pub fn models() -> Option<PathBuf> {
    found("models")
}

/// A file or folder of the collection. If it is missing, reports that the test is skipped and returns `None`.
///
/// # Panics
///
/// If it is missing and `FERROLITE_REQUIRE_SHARED` is `1`.
pub fn found(path: &str) -> Option<PathBuf> {
    let whole = collection().join(path);
    if whole.exists() {
        return Some(whole);
    }
    skipped(&format!(
        "{} is not there (FERROLITE_SHARED names the folder of shared models)",
        whole.display()
    ));
    None
}

/// The collection's folder, whether or not it exists.
pub fn collection() -> PathBuf {
    match env::var_os("FERROLITE_SHARED") {
        Some(named) => named.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    }
}

fn skipped(why: &str) {
    let required = env::var("FERROLITE_REQUIRE_SHARED").is_ok_and(|value| value == "1");
    assert!(!required, "FERROLITE_REQUIRE_SHARED=1: {why}");
    println!("skipped: {why}");
    let Some(list) = env::var_os("FERROLITE_SKIPPED") else { return };
    // Test harnesses name a test's thread after the test.
    let thread = std::thread::current();
    let line = format!("{}\n", thread.name().unwrap_or("?"));
    let written = OpenOptions::new().create(true).append(true).open(&list);
    let written = written.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(written.is_ok(), "FERROLITE_SKIPPED: {} cannot be written", Path::new(&list).display());
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs the ignored test below with a collection that exists or does not.
    fn run(folder: &Path, vars: &[(&str, &str)]) -> bool {
        let mut test = Command::new(env::current_exe().unwrap());
        test.args(["--exact", "tests::needs_the_collection", "--ignored"]);
        test.env_remove("FERROLITE_REQUIRE_SHARED").env_remove("FERROLITE_SKIPPED");
        test.env("FERROLITE_SHARED", folder).envs(vars.iter().copied());
        test.output().unwrap().status.success()
    }

    #[test]
    #[ignore = "what it finds depends on the environment; `a_missing_collection_is_told` runs it"]
    fn needs_the_collection() {
        models();
    }

    #[test]
    fn a_missing_collection_is_told() {
        let here = env::temp_dir().join(format!("ferrolite-shared-{}", std::process::id()));
        std::fs::create_dir_all(here.join("there/models")).unwrap();
        let list = here.join("skipped");
        let noted = [("FERROLITE_SKIPPED", list.to_str().unwrap())];
        assert!(run(&here.join("there"), &noted) && !list.exists());
        assert!(run(&here.join("absent"), &noted) && run(&here.join("absent"), &noted));
        let test = "tests::needs_the_collection\n";
        assert_eq!(std::fs::read_to_string(&list).unwrap(), [test, test].concat());
        assert!(!run(&here.join("absent"), &[("FERROLITE_REQUIRE_SHARED", "1")]));
        assert!(run(&here.join("there"), &[("FERROLITE_REQUIRE_SHARED", "1")]));
        std::fs::remove_dir_all(here).unwrap();
    }
}
