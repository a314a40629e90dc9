//! See the crate's page.

#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/cases/*.rs");
    // With the same head, right: what is refused above is refused for the reason that it names.
    cases.pass("tests/right/*.rs");
}
