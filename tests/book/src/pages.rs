//! The pages of the book, as far as they are checked: headings, links, blocks and tables.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page.
pub struct Page {
    /// Its path in the book's folder `src`.
    pub path: String,
    /// Names of its headings, as mdBook makes them.
    pub anchors: HashSet<String>,
    /// Where its links and pictures lead.
    pub links: Vec<String>,
    /// Its blocks: the words behind the three backticks, and the lines.
    pub blocks: Vec<(String, String)>,
    /// Rows of its tables, each with the last heading before it.
    pub rows: Vec<(String, Vec<String>)>,
}

/// The pages that SUMMARY.md lists, and itself.
pub fn read(book: &Path) -> Result<Vec<Page>> {
    let summary = page(book, "SUMMARY.md")?;
    let mut pages = Vec::new();
    for link in &summary.links {
        pages.push(page(book, link)?);
    }
    pages.push(summary);
    Ok(pages)
}

/// Files that no line of SUMMARY.md names: no reader would find them.
pub fn unlisted(book: &Path, pages: &[Page]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(book)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && !pages.iter().any(|page| page.path == name) {
            wrong.push(format!("{name}: SUMMARY.md does not list it"));
        }
    }
    Ok(wrong)
}

fn page(book: &Path, path: &str) -> Result<Page> {
    let text = fs::read_to_string(book.join(path)).with_context(|| format!("boards/book/src/{path}"))?;
    Ok(parse(path, &text))
}

/// Parses the text of a page.
pub fn parse(path: &str, text: &str) -> Page {
    let mut page = Page {
        path: path.to_string(),
        anchors: HashSet::new(),
        links: Vec::new(),
        blocks: Vec::new(),
        rows: Vec::new(),
    };
    let mut words = String::new();
    let mut heading = String::new();
    let mut block: Option<String> = None;
    let mut row: Vec<String> = Vec::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES) {
        match event {
            Event::Start(Tag::Heading { .. } | Tag::TableCell) => words.clear(),
            Event::End(TagEnd::Heading(_)) => {
                let name = anchor(&words);
                // mdBook numbers headings of the same words.
                let taken = (0..).map(|n| if n == 0 { name.clone() } else { format!("{name}-{n}") });
                let free = taken.into_iter().find(|name| !page.anchors.contains(name));
                page.anchors.extend(free);
                heading.clone_from(&words);
            }
            Event::End(TagEnd::TableCell) => row.push(std::mem::take(&mut words)),
            Event::End(TagEnd::TableRow) => page.rows.push((heading.clone(), std::mem::take(&mut row))),
            Event::End(TagEnd::TableHead) => row.clear(),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.to_string());
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                block = Some(info.to_string());
                words.clear();
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some(info) = block.take() {
                    page.blocks.push((info, std::mem::take(&mut words)));
                }
            }
            Event::Text(text) | Event::Code(text) => words += &text,
            Event::SoftBreak | Event::HardBreak => words.push(' '),
            _ => {}
        }
    }
    page
}

/// The name that mdBook gives a heading: letters and digits in lower case, and dashes for spaces.
pub fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_ascii_lowercase()),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let text = "# A `Big` one!\n\n## Same\n\n## Same\n\n[to](x.md#y) ![p](p.svg)\n\n```console,tested\n$ a\n```\n\n\
                    | a | b |\n|---|---|\n| `X` | do it |\n";
        let page = parse("a.md", text);
        assert_eq!(page.anchors, ["a-big-one", "same", "same-1"].map(String::from).into());
        assert_eq!(page.links, ["x.md#y", "p.svg"]);
        assert_eq!(page.blocks, [("console,tested".to_string(), "$ a\n".to_string())]);
        assert_eq!(page.rows, [("Same".to_string(), vec!["X".to_string(), "do it".to_string()])]);
    }
}
