//! Makes the `.ferro` files of the repository anew. Which they are, and of what they are made, is a list in
//! `tests/tests/committed.rs`, which checks in CI that they are fresh; `tests/tests/custom.rs` has those with an operator of
//! the user's own.

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
