//! See the crate's page.

use std::path::Path;
use std::process::Command;

#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/cases/*.rs");
    // Where the standard library's sources are there, the compiler shows the line of `panic!`, too.
    if sources_are_there() {
        println!("skipped: tests/evaluated, whose words are those without the component rust-src");
    } else {
        cases.compile_fail("tests/evaluated/*.rs");
    }
    // With the same head, right: what is refused above is refused for the reason that it names.
    cases.pass("tests/right/*.rs");
}

fn sources_are_there() -> bool {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = String::from_utf8(rustc.stdout).expect("a path");
    Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library").exists()
}
