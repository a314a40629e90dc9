//! Makes the `.ferro` files of the repository again. `tests/tests/committed.rs` has the list of these files
//! and their models, and checks in CI that they are up to date; `tests/tests/custom.rs` has those with a
//! custom operator.

use anyhow::Result;

use crate::run::{command, exec};

/// Makes all files in place.
pub fn run() -> Result<()> {
    let mut test = command(
        "cargo",
        &[
            &["test", "-q", "-p", "ferrolite-conformance", "--test", "committed", "--test", "custom"][..],
            &["fresh", "--", "--nocapture"],
        ]
        .concat(),
    );
    test.env("FERROLITE_RENEW", "1");
    exec(test)
}
