//! Names from files, in comments of source code.

/// Names come from files: nothing in them may end the comment that they stand in.
pub(super) fn comment(name: &str) -> String {
    // Nor may it turn the direction of reading: rustc refuses such comments.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    name.chars().map(|c| if c.is_control() || c == '*' || turns(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_harmless() {
        assert_eq!(comment("a*/\nb"), "a / b");
        assert_eq!(comment("a\u{202e}b"), "a b");
    }
}
