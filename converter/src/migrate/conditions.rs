//! What the preprocessor's conditions come to, as far as the sources decide it.
//!
//! A name counts as defined where a `#define` of it stands under no condition that is open, in the file itself or in one
//! that it includes, and no file takes it back by `#undef`. What no source defines may come from the build, so a condition
//! on it stays open.
//!
//! ```text
//! config.h:  #define BIG 1          main.cc:  #include "config.h"
//!                                             #if BIG  … #else …      the first branch alone
//!                                             #ifdef DEBUG … #endif   open: read, and named in the report
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::numbers::integer;

/// The names that are defined, each with its value where that is one and the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    defined: BTreeMap<String, Option<String>>,
    /// Names that are taken back, or defined under an open condition: nothing is decided by these.
    doubtful: BTreeSet<String>,
}

impl Names {
    /// Takes a `#define` or `#undef`, by its line without the `#`; `open` where it stands under an open condition.
    pub(super) fn take(&mut self, directive: &str, open: bool) {
        let (word, rest) = split(directive);
        let (name, value) = split(rest);
        match word {
            "define" if !name.is_empty() && !open => {
                // Arguments of a macro are no value.
                let value = (!value.starts_with('(')).then(|| value.trim().to_string());
                self.define(name, value);
            }
            "define" | "undef" if !name.is_empty() => {
                self.doubtful.insert(name.to_string());
            }
            _ => {}
        }
    }

    /// Adds what a file that is included defines.
    pub(super) fn include(&mut self, names: &Names) {
        for (name, value) in &names.defined {
            self.define(name, value.clone());
        }
    }

    /// Adds what a file doubts, whether it is included or not: the build may put it in front.
    pub(super) fn doubt(&mut self, names: &Names) {
        self.doubtful.extend(names.doubtful.iter().cloned());
    }

    fn define(&mut self, name: &str, value: Option<String>) {
        match self.defined.get_mut(name) {
            Some(known) if *known != value => *known = None,
            Some(_) => {}
            None => {
                self.defined.insert(name.to_string(), value);
            }
        }
    }

    /// Without a name, such as that of an include guard, which says nothing to other files.
    pub(super) fn forget(&mut self, name: &str) {
        self.defined.remove(name);
    }

    fn is_defined(&self, name: &str) -> Option<bool> {
        (self.defined.contains_key(name) && !self.doubtful.contains(name)).then_some(true)
    }

    /// What `#ifdef NAME` comes to.
    pub(super) fn ifdef(&self, rest: &str) -> Option<bool> {
        self.is_defined(split(rest).0)
    }

    /// What `#if EXPRESSION` comes to: a number, `defined(NAME)`, or a name that is a number, with or without `!`.
    pub(super) fn value(&self, expression: &str) -> Option<bool> {
        let expression = bare(expression);
        if let Some(inner) = expression.strip_prefix('!').filter(|inner| !inner.starts_with('=')) {
            // `!A && B` is more than a name.
            return single(inner).then(|| self.value(inner).map(|value| !value))?;
        }
        if let Some(rest) =
            expression.strip_prefix("defined").filter(|rest| rest.starts_with([' ', '(', '\t']))
        {
            return single(rest).then(|| self.ifdef(bare(rest)))?;
        }
        match expression {
            "false" => return Some(false),
            "true" => return Some(true),
            _ => {}
        }
        if let Some(number) = integer(expression) {
            return Some(number != 0);
        }
        let known = single(expression).then(|| self.is_defined(expression)).flatten().is_some();
        let value = self.defined.get(expression).filter(|_| known)?.as_deref()?;
        integer(bare(value)).map(|number| number != 0)
    }
}

/// The word that a text begins with, and the rest.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// Without spaces and parentheses around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) if !inner.contains([')', '(']) || single(inner) => bare(inner),
        _ => text,
    }
}

/// Whether an expression is one name or one call, and no more.
fn single(text: &str) -> bool {
    let text = text.trim();
    let inner = text.trim_start_matches("defined").trim_matches(['(', ')', ' ', '\t', '!']);
    !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_conditions_have_a_value_and_others_none() {
        let mut names = Names::default();
        for line in ["define ON 1", "define OFF (0)", "define BARE", "define CALL(x) 1", "define TWICE 1"] {
            names.take(line, false);
        }
        names.take("define TWICE 2", false);
        names.take("define MAYBE 1", true);
        names.take("define BACK 1", false);
        names.take("undef BACK", false);
        for (expression, value) in [
            ("0", Some(false)),
            ("(1)", Some(true)),
            ("ON", Some(true)),
            ("OFF", Some(false)),
            ("!OFF", Some(true)),
            ("! ( ON )", Some(false)),
            ("defined(BARE)", Some(true)),
            ("defined BARE", Some(true)),
            ("!defined(BARE)", Some(false)),
            ("(defined(TWICE))", Some(true)),
            ("defined(CALL)", Some(true)),
            ("BARE", None),
            ("CALL", None),
            ("TWICE", None),
            ("MAYBE", None),
            ("BACK", None),
            ("defined(BACK)", None),
            ("defined(NOWHERE)", None),
            ("!NOWHERE", None),
            ("ON && NOWHERE", None),
            ("!ON || NOWHERE", None),
            ("!defined(ON) || NOWHERE", None),
            ("(ON) || (OFF)", None),
            ("defined(ON) && defined(OFF)", None),
            ("ON == 2", None),
            ("!= 3", None),
            ("", None),
        ] {
            assert_eq!(names.value(expression), value, "{expression}");
        }
    }
}
