//! Runs the main use case once: a float digit classifier is converted and runs on a Cortex-M4.

use anyhow::{Result, bail};

use crate::run::{command, exec};
use crate::setup;

/// Sets up what is missing and runs the example `digits` of the library.
pub fn run_demo() -> Result<()> {
    let tools = setup::run_quietly()?;
    if !tools.targets || !tools.qemu {
        bail!("the demo runs on an emulated Cortex-M4: it needs the targets and QEMU named above");
    }
    // Builds the command as well, so that the README's next lines find it. Cargo shows its progress.
    let package = ["-p", "ferrolite", "--example", "digits"];
    exec(command("cargo", &[&["build", "--bins"], &package[..]].concat()))?;
    exec(command("cargo", &[&["run", "--quiet"], &package[..]].concat()))
}
