//! Named numbers of a project's sources, and sums over them: `constexpr int kTensorArenaSize = 10 * 1024;`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::numbers::integer;
use super::tokens::{Kind, Token, plain};

/// How many names may stand for one another.
const DEPTH: usize = 16;
/// How many names are looked up for one expression.
const STEPS: usize = 1000;

/// Names with the expressions that the sources give them. One that is defined for several chips has several.
#[derive(Debug, Default)]
pub(super) struct Constants {
    names: BTreeMap<String, Vec<Vec<Token>>>,
    /// Names that were looked up for the present question: expressions that name one another many times have no end.
    steps: Cell<usize>,
}

impl Constants {
    /// Adds what a file defines: `#define NAME 1`, `NAME = 1;`, `NAME = 1,` (of an enum), `int NAME{1};`.
    pub(super) fn add(&mut self, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            if let Kind::Directive(text) = &token.kind {
                self.define(text);
            }
            let Some(name) = token.word() else { continue };
            let typed = at > 0 && tokens[at - 1].word().is_some_and(is_type);
            let end: fn(&Token) -> bool = match tokens.get(at + 1).map(|token| &token.kind) {
                Some(Kind::Mark('=')) => |t| t.is(';') || t.is(',') || t.is('}') || t.is(')'),
                Some(Kind::Mark('{')) if typed => |t| t.is('}') || t.is(';'),
                _ => continue,
            };
            let rest = &tokens[at + 2..];
            let mut depth = 0usize;
            let length = rest.iter().take(64).position(|token| {
                let ends = depth == 0 && end(token);
                match token.kind {
                    Kind::Mark('(') => depth += 1,
                    Kind::Mark(')') => depth = depth.saturating_sub(1),
                    _ => {}
                }
                ends
            });
            if let Some(length) = length.filter(|&length| length > 0) {
                self.insert(name, rest[..length].to_vec());
            }
        }
    }

    fn define(&mut self, text: &str) {
        let Some(rest) = text.strip_prefix("define") else { return };
        let rest = rest.trim_start();
        let (name, value) =
            rest.split_at(rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()));
        // A parenthesis without a space begins the arguments of a macro.
        if !name.is_empty() && value.starts_with([' ', '\t']) {
            self.insert(name, plain(value.trim()));
        }
    }

    fn insert(&mut self, name: &str, expression: Vec<Token>) {
        let all = self.names.entry(name.to_string()).or_default();
        let same = |a: &[Token], b: &[Token]| a.iter().map(|t| &t.kind).eq(b.iter().map(|t| &t.kind));
        if !all.iter().any(|other| same(other, &expression)) {
            all.push(expression);
        }
    }

    /// What an expression comes to. Of several definitions of a name it takes the largest.
    ///
    /// # Errors
    /// The part that it does not understand.
    pub(super) fn value(&self, expression: &[Token]) -> Result<u64, String> {
        self.steps.set(0);
        self.value_within(expression, DEPTH)
    }

    /// All values that a name has, by its several definitions.
    pub(super) fn values(&self, name: &str) -> BTreeSet<u64> {
        self.steps.set(0);
        let all = self.names.get(name).into_iter().flatten();
        all.filter_map(|expression| self.value_within(expression, DEPTH).ok()).collect()
    }

    /// The words of all expressions that a name stands for.
    pub(super) fn words_of(&self, name: &str) -> Vec<String> {
        let all = self.names.get(name).into_iter().flatten().flatten();
        all.filter_map(Token::word).map(str::to_string).collect()
    }

    fn value_within(&self, expression: &[Token], depth: usize) -> Result<u64, String> {
        let mut sum = Sum { constants: self, tokens: expression, depth };
        let value = sum.shifts()?;
        match sum.tokens.first() {
            None => u64::try_from(value).map_err(|_| "it is below zero".to_string()),
            Some(token) => Err(format!("`{}`", spell(std::slice::from_ref(token)))),
        }
    }

    fn named(&self, name: &str, depth: usize) -> Result<u64, String> {
        self.steps.set(self.steps.get() + 1);
        let looked_up = depth > 0 && self.steps.get() <= STEPS;
        let all = self.names.get(name).filter(|_| looked_up).ok_or_else(|| format!("`{name}`"))?;
        let mut values = all.iter().map(|expression| self.value_within(expression, depth - 1));
        let mut largest = values.next().unwrap_or_else(|| Err(format!("`{name}`")));
        for value in values {
            largest = match (largest, value) {
                (Ok(a), Ok(b)) => Ok(a.max(b)),
                (Ok(a), Err(_)) => Ok(a),
                (Err(_), other) => other,
            };
        }
        largest
    }

    /// Whether a name in an expression, or one that stands behind it, has different values in different places.
    pub(super) fn is_ambiguous(&self, expression: &[Token]) -> bool {
        self.steps.set(0);
        self.is_ambiguous_within(expression, DEPTH)
    }

    fn is_ambiguous_within(&self, expression: &[Token], depth: usize) -> bool {
        self.steps.set(self.steps.get() + 1);
        depth > 0
            && self.steps.get() <= STEPS
            && expression.iter().filter_map(|token| self.names.get(token.word()?)).any(|all| {
                let values =
                    all.iter().filter_map(|expression| self.value_within(expression, depth - 1).ok());
                values.collect::<BTreeSet<_>>().len() > 1
                    || all.iter().any(|expression| self.is_ambiguous_within(expression, depth - 1))
            })
    }
}

fn is_type(word: &str) -> bool {
    ["int", "unsigned", "long", "short", "char", "auto"].contains(&word) || word.ends_with("_t")
}

/// Tokens as text.
pub(super) fn spell(tokens: &[Token]) -> String {
    let words = tokens.iter().map(|token| match &token.kind {
        Kind::Word(text) | Kind::Number(text) => text.clone(),
        Kind::Text(text) => format!("\"{text}\""),
        Kind::Mark(mark) => mark.to_string(),
        Kind::Body(_) => "= {…}".into(),
        Kind::Directive(text) => format!("#{text}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// An expression that is being added up.
struct Sum<'t> {
    constants: &'t Constants,
    tokens: &'t [Token],
    depth: usize,
}

impl Sum<'_> {
    fn take(&mut self, mark: char) -> bool {
        let found = self.tokens.first().is_some_and(|token| token.is(mark));
        self.tokens = &self.tokens[usize::from(found)..];
        found
    }

    fn shifts(&mut self) -> Result<i128, String> {
        let mut left = self.sums()?;
        while let [a, b, ..] = self.tokens {
            let Some(mark) = ['<', '>'].into_iter().find(|&mark| a.is(mark) && b.is(mark)) else { break };
            self.tokens = &self.tokens[2..];
            let by = u32::try_from(self.sums()?).ok().filter(|&by| by < 64).ok_or("a shift")?;
            left = if mark == '<' {
                left.checked_mul(1 << by).ok_or("a number that is too large")?
            } else {
                left >> by
            };
        }
        Ok(left)
    }

    fn sums(&mut self) -> Result<i128, String> {
        let mut left = self.products()?;
        loop {
            let right = match (self.take('+'), self.take('-')) {
                (true, _) => self.products()?,
                (_, true) => -self.products()?,
                _ => return Ok(left),
            };
            left = left.checked_add(right).ok_or("a number that is too large")?;
        }
    }

    fn products(&mut self) -> Result<i128, String> {
        let mut left = self.single()?;
        loop {
            left = if self.take('*') {
                left.checked_mul(self.single()?)
            } else if self.take('/') {
                left.checked_div(self.single()?)
            } else if self.take('%') {
                left.checked_rem(self.single()?)
            } else {
                return Ok(left);
            }
            .ok_or("a product that has no value")?;
        }
    }

    fn single(&mut self) -> Result<i128, String> {
        let Some((token, rest)) = self.tokens.split_first() else { return Err("its end".into()) };
        match &token.kind {
            Kind::Number(number) => {
                self.tokens = rest;
                integer(number).map(i128::from).ok_or_else(|| format!("`{number}`"))
            }
            Kind::Mark('-') => {
                self.tokens = rest;
                self.deeper(Self::single).map(|value| -value)
            }
            Kind::Mark('(') => {
                // `(size_t)10`: a cast.
                let cast = rest.iter().take_while(|token| token.word().is_some_and(is_type_part)).count();
                if cast > 0 && rest.get(cast).is_some_and(|token| token.is(')')) {
                    self.tokens = &rest[cast + 1..];
                    return self.deeper(Self::single);
                }
                self.tokens = rest;
                let value = self.deeper(Self::shifts)?;
                if self.take(')') { Ok(value) } else { Err("a parenthesis that is not closed".into()) }
            }
            Kind::Word(word) if word == "static_cast" => {
                let end = rest.iter().position(|token| token.is('>')).ok_or("`static_cast`")?;
                self.tokens = &rest[end + 1..];
                self.deeper(Self::single)
            }
            Kind::Word(word) => {
                // `ns::kSize` is `kSize`.
                self.tokens = rest;
                if self.take(':') && self.take(':') {
                    return self.deeper(Self::single);
                }
                self.constants.named(word, self.depth).map(i128::from)
            }
            _ => Err(format!("`{}`", spell(std::slice::from_ref(token)))),
        }
    }

    /// One level further in, as long as there are levels.
    fn deeper(&mut self, then: fn(&mut Self) -> Result<i128, String>) -> Result<i128, String> {
        if self.depth == 0 {
            return Err("an expression that is too deep".into());
        }
        self.depth -= 1;
        let value = then(self);
        self.depth += 1;
        value
    }
}

fn is_type_part(word: &str) -> bool {
    is_type(word) || word == "const" || word == "std"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(sources: &str, expression: &str) -> Result<u64, String> {
        let mut constants = Constants::default();
        constants.add(&plain(sources));
        constants.value(&plain(expression))
    }

    #[test]
    fn expressions_come_to_what_c_says() {
        for (sources, expression, expected) in [
            ("constexpr int kTensorArenaSize = 10 * 1024;", "kTensorArenaSize", 10240),
            ("static const size_t kSize{2u << 10};", "ns::kSize + 1", 2049),
            ("#define ARENA (70 * 1024) // bytes\n", "ARENA", 71680),
            ("enum { kA = 3, kB = kA * 2 };", "kB", 6),
            ("const int k = static_cast<size_t>(1'000);", "(size_t)k % 7 - (1 - 2)", 7),
            ("#ifdef X\nconst int k = 1;\n#else\nconst int k = 20;\n#endif\n", "k / 2", 10),
        ] {
            assert_eq!(value(sources, expression), Ok(expected), "{sources} {expression}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (sources, expression, word) in [
            ("", "kSize", "kSize"),
            ("int a = b; int b = a;", "a", "`"),
            ("", "sizeof(x)", "sizeof"),
            ("", "1 / 0", "no value"),
            ("", "1 - 2", "below zero"),
            ("", "(1", "not closed"),
            ("", "1 << 99", "shift"),
            ("", "", "end"),
        ] {
            let found = value(sources, expression).unwrap_err();
            assert!(found.contains(word), "{expression}: {found}");
        }
        // Names that stand for one another many times come to an end.
        let chain: String =
            (0..20).map(|n| format!("int a{n} = {};", vec![format!("a{}", n + 1); 20].join(" + "))).collect();
        assert!(value(&format!("{chain} int a20 = 1;"), "a0").is_err());
        let mut constants = Constants::default();
        constants.add(&plain(&chain));
        assert!(!constants.is_ambiguous(&plain("a0")));
        let deep = "(".repeat(5000);
        assert!(value("", &deep).is_err() && value("", &"-".repeat(5000)).is_err());
        let mut constants = Constants::default();
        constants.add(&plain(
            "int k = 1; int k = 2; int sum = k + 1; int one = 1; int one = 1; int x = y; int y = x;",
        ));
        for (expression, ambiguous) in
            [("k", true), ("3 * sum", true), ("one", false), ("x", false), ("5", false)]
        {
            assert_eq!(constants.is_ambiguous(&plain(expression)), ambiguous, "{expression}");
        }
    }
}
