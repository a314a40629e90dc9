//! The errors of the device: every variant of its enums has a row on the page of errors, and no row names another.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use syn::Item;

use crate::pages::Page;

/// The page.
pub const PAGE: &str = "errors-device.md";

/// The enums: heading of the page, file, name.
const ENUMS: [(&str, &str, &str); 5] = [
    ("ferrolite_runtime::Error", "runtime/src/error.rs", "Error"),
    ("ferrolite_runtime::Fault", "runtime/src/error.rs", "Fault"),
    ("ferrolite_schema::Error", "schema/src/error.rs", "Error"),
    ("ferrolite_slots::Error", "boards/slots/src/error.rs", "Error"),
    ("ferrolite_error", "boards/c/src/error.rs", "ferrolite_error"),
];

/// Fewest characters of a cure: a row without one is no help.
const CURE: usize = 12;

/// What is missing on the page, or too much.
pub fn check(root: &Path, page: &Page) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (heading, file, name) in ENUMS {
        let text = fs::read_to_string(root.join(file)).with_context(|| file.to_string())?;
        let variants = variants(&text, name).with_context(|| format!("{file}: no enum {name}"))?;
        let rows: Vec<&Vec<String>> =
            page.rows.iter().filter(|(under, _)| under == heading).map(|(_, row)| row).collect();
        let named = |row: &&Vec<String>| row.first().cloned().unwrap_or_default();
        for variant in variants.iter().filter(|variant| variant.as_str() != "FERROLITE_OK") {
            let row = rows.iter().find(|row| named(row) == *variant);
            let cure = row.and_then(|row| row.get(2)).map_or(0, |cure| cure.chars().count());
            if cure < CURE {
                wrong.push(format!("{PAGE}: `{heading}`: no row, or no cure, for {variant}"));
            }
        }
        for row in rows.iter().filter(|row| !variants.contains(&named(row))) {
            wrong.push(format!("{PAGE}: `{heading}`: there is no {}", named(row)));
        }
    }
    Ok(wrong)
}

/// The variants of an enum of a file.
fn variants(text: &str, name: &str) -> Option<Vec<String>> {
    let file = syn::parse_file(text).ok()?;
    file.items.iter().find_map(|item| match item {
        Item::Enum(item) if item.ident == name => {
            Some(item.variants.iter().map(|variant| variant.ident.to_string()).collect())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::parse;

    #[test]
    fn an_error_without_a_cure_is_found() {
        let root = crate::root();
        let empty = check(&root, &parse(PAGE, "")).unwrap();
        assert!(empty.iter().any(|line| line.contains("ArenaTooSmall")) && empty.len() > 60, "{empty:?}");
        let text = "## `ferrolite_runtime::Error`\n\n| a | b | c |\n|---|---|---|\n| `ArenaTooSmall` | x | take a larger one |\n\
                    | `NoOutput` | x | |\n| `Gone` | x | take a larger one |\n";
        let some = check(&root, &parse(PAGE, text)).unwrap();
        assert!(!some.iter().any(|line| line.contains("for ArenaTooSmall")));
        assert!(some.iter().any(|line| line.contains("for NoOutput")));
        assert!(some.iter().any(|line| line.contains("no Gone")));
    }
}
