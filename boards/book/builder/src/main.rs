//! Builds the book in the folder that is given, as `mdbook build` does, which needs no installing this way.

use anyhow::Context;
use mdbook_driver::MDBook;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("give the folder of the book")?;
    MDBook::load(folder)?.build()
}
