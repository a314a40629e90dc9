//! Builds the book in the folder that is given, as `mdbook build` does, which needs no installing this way, and looks
//! whether the links of the pages that it made lead to anchors of pages that it made.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use mdbook_driver::MDBook;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("give the folder of the book")?;
    let book = MDBook::load(folder)?;
    book.build()?;
    check(&book.build_dir_for("html"))
}

/// The values of an attribute in a page.
fn values<'p>(page: &'p str, attribute: &str) -> Vec<&'p str> {
    let start = format!(" {attribute}=\"");
    page.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

fn check(built: &Path) -> anyhow::Result<()> {
    let mut pages = HashMap::new();
    for entry in fs::read_dir(built)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".html") {
            pages.insert(name.clone(), fs::read_to_string(built.join(&name))?);
        }
    }
    let mut wrong = Vec::new();
    let mut links = 0;
    for (name, page) in &pages {
        for link in values(page, "href").into_iter().filter(|link| !link.contains("://")) {
            links += 1;
            let (to, anchor) = link.split_once('#').unwrap_or((link, ""));
            let there = match pages.get(if to.is_empty() { name.as_str() } else { to }) {
                Some(page) => anchor.is_empty() || values(page, "id").contains(&anchor),
                None => built.join(to).exists(),
            };
            if !there {
                wrong.push(format!("{name}: {link} leads nowhere"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{} pages with {links} links within the book, all of which lead somewhere", pages.len());
    Ok(())
}
