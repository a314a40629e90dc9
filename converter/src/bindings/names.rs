//! Names of inputs and outputs as identifiers of Rust.

/// Words that are no names: keywords of all editions, with those that are kept for later ones.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// Longer names are cut by nobody: they get a number instead.
const LONGEST: usize = 40;

/// An identifier for each port, all different: the author's name in lower case with `_` for everything else, or, where
/// that would not be one, or another port's, or `reserved`, `kind` and the port's number.
pub(super) fn identifiers(kind: &str, names: &[&str], reserved: &[&str]) -> Vec<String> {
    let wanted: Vec<Option<String>> = names
        .iter()
        .map(|name| identifier(name).filter(|found| !reserved.contains(&found.as_str())))
        .collect();
    let unique = |name: &String| wanted.iter().flatten().filter(|other| *other == name).count() == 1;
    let numbered = |name: &String| {
        name.strip_prefix(kind).is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
    };
    wanted
        .iter()
        .enumerate()
        .map(|(index, name)| match name {
            // Another port may have to be called so.
            Some(name) if unique(name) && !numbered(name) => name.clone(),
            _ => format!("{kind}{index}"),
        })
        .collect()
}

/// `serving_default_x:0` is `serving_default_x_0`; `None` where too little of the name would be left.
fn identifier(name: &str) -> Option<String> {
    if !name.is_ascii() {
        return None;
    }
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let name = words.join("_");
    let good = name.starts_with(|c: char| c.is_ascii_lowercase());
    (good && name.len() <= LONGEST && !KEYWORDS.contains(&name.as_str())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_stay() {
        let names = ["serving_default_x:0", "Images", "a/b//c-", "x1"];
        assert_eq!(identifiers("input", &names, &[]), ["serving_default_x_0", "images", "a_b_c", "x1"]);
    }

    #[test]
    fn hostile_names_become_numbers() {
        let long = "x".repeat(41);
        let names = ["", "self", "Self", "größe", "1st", "*/ pub fn", "__", "start", "fn", &long, "crate::x"];
        let mut wanted: Vec<String> = (0..names.len()).map(|index| format!("input{index}")).collect();
        wanted[5] = "pub_fn".into();
        wanted[10] = "crate_x".into();
        assert_eq!(identifiers("input", &names, &["start"]), wanted);
    }

    #[test]
    fn no_two_are_the_same() {
        assert_eq!(identifiers("input", &["x:0", "x_0", "y"], &[]), ["input0", "input1", "y"]);
        // The second has no name, and gets the one that the first would have.
        assert_eq!(identifiers("input", &["input1", ""], &[]), ["input0", "input1"]);
        assert_eq!(identifiers("output", &["input", "output"], &[]), ["input", "output1"]);
    }
}
