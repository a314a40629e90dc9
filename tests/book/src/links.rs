//! Whether links lead somewhere: to pages, headings, pictures, and files of the repository.

use std::path::Path;

use crate::pages::Page;

/// Where the book's links to files of the repository begin: readers have the book without it.
const REPOSITORY: &str = "https://github.com/ferrolite/ferrolite/";

/// Links that lead nowhere. Those to other people's pages are not followed: tests need no network.
pub fn check(root: &Path, book: &Path, pages: &[Page]) -> Vec<String> {
    let mut wrong = Vec::new();
    for page in pages {
        for link in page.links.iter().filter(|link| !leads_somewhere(root, book, pages, page, link)) {
            wrong.push(format!("{}: the link `{link}` leads nowhere", page.path));
        }
    }
    wrong
}

fn leads_somewhere(root: &Path, book: &Path, pages: &[Page], page: &Page, link: &str) -> bool {
    if let Some(path) = link.strip_prefix(REPOSITORY) {
        let path = path.strip_prefix("blob/main/").or(path.strip_prefix("tree/main/"));
        return path.is_none_or(|path| root.join(path.split('#').next().unwrap_or(path)).exists());
    }
    if link.starts_with("https://") {
        return true;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let to = if path.is_empty() { Some(page) } else { pages.iter().find(|page| page.path == path) };
    match to {
        Some(page) => anchor.is_empty() || page.anchors.contains(anchor),
        None => anchor.is_empty() && !path.ends_with(".md") && book.join(path).is_file(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::parse;

    #[test]
    fn what_leads_nowhere_is_found() {
        let text = "# Top\n[a](#top) [b](b.md) [c](b.md#low) [d](b.md#high) [e](c.md) [f](none.svg) [g](https://x.y)\n\
                    [h](https://github.com/ferrolite/ferrolite/blob/main/README.md#x)\n\
                    [i](https://github.com/ferrolite/ferrolite/blob/main/README.txt)\n";
        let pages = [parse("a.md", text), parse("b.md", "# Low\n")];
        let root = crate::root();
        let wrong = check(&root, &root.join("boards/book/src"), &pages);
        let links: Vec<&str> = wrong.iter().filter_map(|line| line.split('`').nth(1)).collect();
        let expected =
            ["b.md#high", "c.md", "none.svg", "https://github.com/ferrolite/ferrolite/blob/main/README.txt"];
        assert_eq!(links, expected);
    }
}
