//! Writes the person model of `tests/common/person.rs`, to measure the effect of removing dead channels. With
//! 40 % of them dead, which is the default, half of the work remains.
//!
//! ```text
//! cargo run -p ferrolite-conformance --example person -- OUT.ferro [DEAD_PERCENT] [TARGET] [--whole]
//! ```

#[path = "../tests/common/person.rs"]
mod person;

use anyhow::{Context, Result};
use ferrolite::{emit, passes};
use ferrolite_schema::Target;

fn main() -> Result<()> {
    let (options, words): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let path = words.first().context("which file is to be written?")?;
    let dead = words.get(1).map_or(Ok(40), |word| word.parse()).context("a percentage is a number")?;
    let name = words.get(2).map_or("portable", String::as_str);
    let target = Target::ALL.iter().find(|target| target.name() == name).context("no such target")?;
    let mut graph = person::graph(dead);
    if !options.iter().any(|option| option == "--whole") {
        for line in passes::optimise(&mut graph).done {
            println!("{line}");
        }
    }
    let emitted = emit::compile(&graph, &emit::Options { target: *target, ..emit::Options::default() })?;
    std::fs::write(path, &emitted.bytes).with_context(|| format!("{path} cannot be written"))?;
    println!("{path}: {} MACs, {} bytes of arena", emitted.macs(), emitted.arena_bytes);
    Ok(())
}
