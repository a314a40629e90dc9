//! What users of each language call, as a text that review sees: the public items of the crates that firmware depends on,
//! the C and C++ headers, the types of the npm package, and the stubs of the Python package. `FERROLITE_UPDATE_API=1 cargo
//! test -p ferrolite-conformance --test api` renews `tests/api`, and the difference is part of the commit. What goes away
//! or gets another name is deprecated first, with the new name in the message.
//!
//! Python's functions have a test of their own beside the package (`converter/python/tests/test_api.py`).

mod api {
    pub mod rust;
}

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Compares a text with the one of `tests/api`, or renews that.
fn check(name: &str, found: &str) {
    let path = root().join("tests/api").join(name);
    if std::env::var_os("FERROLITE_UPDATE_API").is_some() {
        fs::write(&path, found).expect("is writable");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    if known == found {
        return;
    }
    let differs = known.lines().zip(found.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| known.lines().count().min(found.lines().count()));
    panic!(
        "{} is not what the sources say, from line {}:\n  known: {}\n  found: {}\nrenew it with FERROLITE_UPDATE_API=1 cargo test -p ferrolite-conformance --test api, and look at the difference",
        path.display(),
        line + 1,
        known.lines().nth(line).unwrap_or("(its end)"),
        found.lines().nth(line).unwrap_or("(its end)"),
    );
}

/// Declarations without comments, of a language with `/* */` and `//`.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/*").into_iter().chain(rest.find("//")).min() {
        out.push_str(&rest[..at]);
        let (end, length) = match rest[at..].starts_with("/*") {
            true => ("*/", 2),
            false => ("\n", 0),
        };
        rest = rest[at..].find(end).map_or("", |found| &rest[at + found + length..]);
    }
    out.push_str(rest);
    let lines = out.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn of_the_runtime() {
    let listing = api::rust::listing(&root().join("runtime/src/lib.rs"));
    // The list of operators is made of the schema, and has tests of its own.
    let lines = listing.lines().filter(|line| !line.ends_with(": Operator = _;"));
    check("runtime.rs.txt", &lines.map(|line| format!("{line}\n")).collect::<String>());
}

#[test]
fn of_the_schema() {
    check("schema.rs.txt", &api::rust::listing(&root().join("schema/src/lib.rs")));
}

#[test]
fn of_model_slots() {
    check("slots.rs.txt", &api::rust::listing(&root().join("boards/slots/src/lib.rs")));
}

#[test]
fn of_c_and_cpp() {
    let both = ["boards/c/include/ferrolite.h", "boards/c/include/ferrolite.hpp"]
        .map(|path| without_comments(&source(path)));
    check("c.txt", &both.join("\n"));
}

#[test]
fn of_javascript() {
    check("javascript.txt", &without_comments(&source("boards/web/js/ferrolite.d.ts")));
}

#[test]
fn comments_are_no_promise() {
    assert_eq!(
        without_comments("/* a\n */\nint f(int x); // why\n\n/** b */ int g;\n"),
        "int f(int x);\n int g;\n"
    );
    assert_eq!(without_comments("a; /* open"), "a;\n");
}

#[test]
fn a_listing_has_what_users_see() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("lib.rs"),
        "
        mod inner;
        pub use inner::{Shape, helper as other};
        pub use core::fmt::Debug;
        #[doc(hidden)] pub mod secret { pub fn f() {} }
        pub mod open { /// Doc.
            pub fn f(x: u32) -> u32 { x + 1 } fn private() {} pub const N: usize = 3; }
        #[macro_export] macro_rules! twice { ($x:expr) => { $x + $x }; ($x:expr, $y:ty) => { 0 }; }
        #[cfg(test)] pub fn only_in_tests() {}
        ",
    )
    .unwrap();
    fs::write(
        folder.path().join("inner.rs"),
        "
        #[derive(Clone)] pub struct Shape { pub rows: u32, columns: u32 }
        impl Shape { pub fn area(&self) -> u32 { self.rows * self.columns } fn hidden(&self) {}
            #[doc(hidden)] pub fn internal(&self) {} }
        impl Drop for Shape { fn drop(&mut self) {} }
        pub fn helper() {}
        pub struct Unused;
        ",
    )
    .unwrap();
    let found = api::rust::listing(&folder.path().join("lib.rs"));
    for there in [
        "#[derive(Clone)]\npub struct Shape {\n    pub rows: u32,\n}",
        "pub fn area(&self) -> u32 {}",
        "impl Drop for Shape {}",
        "pub use inner::helper as other;",
        "pub use core::fmt::Debug;",
        "// crate::open",
        "pub fn f(x: u32) -> u32 {}",
        "pub const N: usize = _;",
        "macro twice!",
    ] {
        assert!(found.contains(there), "{there}: {found}");
    }
    for absent in
        ["columns", "hidden", "internal", "Unused", "secret", "private", "only_in_tests", "Doc", "$x + $x"]
    {
        assert!(!found.contains(absent), "{absent}: {found}");
    }
}
