//! C and C++ as tokens, as far as a migration reads them.
//!
//! Comments, what is never compiled, and the insides of initialisers are gone: `= {…}` becomes one token, with the bytes
//! that it lists where it lists bytes, and so does a string that is a model. Conditions that the sources do not decide
//! (`conditions` says which they do) stay open: all their branches are read. Nothing is refused; what is no C at all gives
//! tokens that mean nothing.
//!
//! ```text
//! alignas(16) const uint8_t g_model[] = { 0x1c, /* a */ 0 };
//!   Word   (   …      Word      Word   [ ]  Body(Ok([28, 0]))  ;
//! ```

use super::conditions::Names;
use super::numbers::integer;
use super::text::decoded;

/// Files that an initialiser includes, by the name that it gives.
pub(super) type Include<'i> = &'i dyn Fn(&str) -> Option<Vec<u8>>;

/// How deep files may include one another inside of an initialiser.
const DEPTH: usize = 4;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word(String),
    /// A number, as written.
    Number(String),
    /// The inside of a string.
    Text(String),
    /// Any other character.
    Mark(char),
    /// `= {…}`: the bytes that it lists, or why it is no list of bytes.
    Body(Result<Vec<u8>, String>),
    /// A line for the preprocessor, without its `#`.
    Directive(String),
}

/// A token and its line, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// What a text was read as.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) tokens: Vec<Token>,
    /// The names that are defined at its end, without its include guard.
    pub(super) names: Names,
    /// The files that it includes, by the names that it gives.
    pub(super) includes: Vec<String>,
    /// The conditions that stayed open, with their lines.
    pub(super) open: Vec<(usize, String)>,
}

/// Reads a text; `include` finds the files that initialisers include, and `names` are defined before it begins.
pub(super) fn read(text: &str, include: Include<'_>, names: Names) -> Read {
    let mut reader = Reader { names, ..Reader::new(text.as_bytes()) };
    let tokens = reader.all(include);
    if let Some(guard) = &reader.guard {
        reader.names.forget(guard);
    }
    Read { tokens, names: reader.names, includes: reader.includes, open: reader.open }
}

/// The tokens of a text that nothing is known of but itself.
#[cfg(test)]
fn tokens(text: &str, include: Include<'_>) -> Vec<Token> {
    read(text, include, Names::default()).tokens
}

impl Reader<'_> {
    fn all(&mut self, include: Include<'_>) -> Vec<Token> {
        let reader = self;
        let mut out = Vec::new();
        let mut fresh = true;
        loop {
            let before = reader.line;
            reader.skip_blank();
            fresh |= reader.line > before || out.is_empty();
            let line = reader.line;
            let Some(byte) = reader.peek(0) else { return out };
            let kind = match byte {
                b'#' if fresh => {
                    let directive = reader.directive();
                    reader.condition(&directive, line);
                    Kind::Directive(directive)
                }
                b'"' => Kind::Text(reader.string()),
                b'\'' => {
                    reader.character();
                    Kind::Mark('\'')
                }
                b'0'..=b'9' => Kind::Number(reader.number()),
                b'=' if reader.body_follows() => {
                    reader.at += 1;
                    reader.skip_blank();
                    Kind::Body(reader.body(include))
                }
                b'=' => match reader.model_string() {
                    Some(bytes) => Kind::Body(bytes),
                    None => {
                        reader.at += 1;
                        Kind::Mark('=')
                    }
                },
                _ if is_word(byte) => Kind::Word(reader.word()),
                _ => {
                    reader.at += 1;
                    Kind::Mark(char::from(byte))
                }
            };
            fresh = matches!(kind, Kind::Directive(_));
            out.push(Token { kind, line });
        }
    }
}

/// Tokens of a piece of text without initialisers, such as the value of a `#define`.
pub(super) fn plain(text: &str) -> Vec<Token> {
    read(text, &|_| None, Names::default()).tokens
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
    /// The `#if`s around this place.
    taken: Vec<Branch>,
    names: Names,
    /// The name of the file's include guard.
    guard: Option<String>,
    includes: Vec<String>,
    open: Vec<(usize, String)>,
}

/// The branches of an `#if`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Branch {
    /// This one is compiled, so the others are dead.
    Taken,
    /// Those before it are dead; what of this one and the next is compiled comes of their conditions.
    Untaken,
    /// Whether this one is compiled is not known.
    Open,
}

impl<'t> Reader<'t> {
    fn new(text: &'t [u8]) -> Reader<'t> {
        let (taken, includes, open) = (Vec::new(), Vec::new(), Vec::new());
        Reader { text, at: 0, line: 1, taken, names: Names::default(), guard: None, includes, open }
    }
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        self.line += usize::from(self.peek(0) == Some(b'\n'));
        self.at += 1;
    }

    /// Steps until `end` says so, or the text ends, and returns what was stepped over.
    fn until(&mut self, end: impl Fn(&Self) -> bool) -> String {
        let start = self.at;
        while self.at < self.text.len() && !end(self) {
            self.step();
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    fn skip_comment(&mut self) -> bool {
        match (self.peek(0), self.peek(1)) {
            (Some(b'/'), Some(b'/')) => {
                self.until(|r| r.peek(0) == Some(b'\n'));
            }
            (Some(b'/'), Some(b'*')) => {
                self.at += 2;
                self.until(|r| (r.peek(0), r.peek(1)) == (Some(b'*'), Some(b'/')));
                self.at = (self.at + 2).min(self.text.len());
            }
            _ => return false,
        }
        true
    }

    /// White space, comments, and line ends that are taken back.
    fn skip_blank(&mut self) {
        loop {
            match self.peek(0) {
                Some(byte) if byte.is_ascii_whitespace() => self.step(),
                Some(b'\\') if matches!(self.peek(1), Some(b'\n' | b'\r')) => self.at += 1,
                _ if self.skip_comment() => {}
                _ => return,
            }
        }
    }

    fn word(&mut self) -> String {
        self.until(|r| !r.peek(0).is_some_and(is_word))
    }

    /// A number with its separators, its point and its suffix.
    fn number(&mut self) -> String {
        self.until(|r| {
            let inside = |byte: u8| is_word(byte) || byte == b'.';
            let separator = r.peek(0) == Some(b'\'') && r.peek(1).is_some_and(|b| b.is_ascii_alphanumeric());
            !r.peek(0).is_some_and(inside) && !separator
        })
    }

    fn string(&mut self) -> String {
        self.quoted(b'"')
    }

    /// The inside of quotes. A line end closes them, too: the text is broken then.
    fn quoted(&mut self, quote: u8) -> String {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.peek(0).filter(|&byte| byte != quote && byte != b'\n') {
            self.at += 1 + usize::from(byte == b'\\' && self.peek(1).is_some_and(|next| next != b'\n'));
        }
        let end = self.at.min(self.text.len());
        self.at = end + usize::from(self.peek(0) == Some(quote));
        String::from_utf8_lossy(&self.text[start..end]).into_owned()
    }

    /// A character in single quotes, as a byte.
    fn character(&mut self) -> Option<u8> {
        match self.quoted(b'\'').as_bytes() {
            [byte] => Some(*byte),
            b"\\0" => Some(0),
            b"\\n" => Some(b'\n'),
            b"\\t" => Some(b'\t'),
            b"\\r" => Some(b'\r'),
            [b'\\', byte @ (b'\\' | b'\'' | b'"')] => Some(*byte),
            [b'\\', b'x', hex @ ..] => u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok(),
            _ => None,
        }
    }

    /// The rest of a line for the preprocessor, with lines that follow a backslash, without comments.
    fn directive(&mut self) -> String {
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.peek(0) {
                None | Some(b'\n') => return out.trim().to_string(),
                Some(b'\\') if self.peek(1) == Some(b'\n') => {
                    self.at += 1;
                    self.step();
                }
                Some(b'\\') if (self.peek(1), self.peek(2)) == (Some(b'\r'), Some(b'\n')) => {
                    self.at += 2;
                    self.step();
                }
                Some(b'"') => out += &format!("\"{}\"", self.string()),
                _ if self.skip_comment() => out.push(' '),
                Some(byte) => {
                    out.push(char::from(byte));
                    self.at += 1;
                }
            }
        }
    }

    /// Whether the `=` here is followed by an initialiser.
    fn body_follows(&self) -> bool {
        let mut ahead = Reader { at: self.at + 1, ..Reader::new(self.text) };
        ahead.skip_blank();
        ahead.peek(0) == Some(b'{')
    }

    /// The bytes of the strings behind the `=` here, where they are a model: `= "\x1c\0\0\0TFL3" "…";`. The zero that C puts
    /// behind them is no part of it. Otherwise nothing is taken. A reason, where it would be a model but for an escape.
    fn model_string(&mut self) -> Option<Result<Vec<u8>, String>> {
        let mut ahead = Reader { at: self.at + 1, line: self.line, ..Reader::new(self.text) };
        let mut bytes = Vec::new();
        let (mut named, mut wrong) = (false, None);
        ahead.skip_blank();
        while ahead.peek(0) == Some(b'"') {
            let text = ahead.string();
            named |= text.find(MODEL_NAME).is_some_and(|at| bytes.len() <= 8 && at <= ESCAPED_HEAD);
            if let Err(why) = unescape(text.as_bytes(), &mut bytes) {
                wrong = wrong.or(Some(why));
            }
            ahead.skip_blank();
        }
        let found = match wrong {
            None if bytes.get(4..8) == Some(MODEL_NAME.as_bytes()) => Ok(bytes),
            Some(why) if named => Err(format!("is a string with {MODEL_NAME} that {why}")),
            _ => return None,
        };
        (self.at, self.line) = (ahead.at, ahead.line);
        Some(found)
    }

    /// Follows a directive that is a condition: what is dead behind it is stepped over, to the directive that ends it,
    /// which stays where another branch may live.
    fn condition(&mut self, directive: &str, line: usize) {
        let mut condition = Condition::of(directive, &self.names);
        if matches!(condition, Some(Condition::If(None)))
            && let Some(guard) = self.guards(directive)
        {
            self.guard.get_or_insert(guard);
            condition = Some(Condition::If(Some(true)));
        }
        let dead = match condition {
            Some(Condition::If(value)) => {
                self.begin(value, directive, line);
                value == Some(false)
            }
            Some(Condition::Else(_)) if self.taken.last() == Some(&Branch::Taken) => true,
            Some(Condition::Else(_)) => false,
            Some(Condition::End) => {
                self.taken.pop();
                false
            }
            None => {
                self.names.take(directive, self.taken.contains(&Branch::Open));
                let included = directive.strip_prefix("include").map(str::trim);
                let name = included.and_then(|rest| rest.strip_prefix(['"', '<'])?.split(['"', '>']).next());
                let certain = !self.taken.contains(&Branch::Open);
                self.includes.extend(name.filter(|_| certain).map(str::to_string));
                false
            }
        };
        if dead {
            self.skip_dead();
        }
    }

    /// Begins a branch, whose condition has this value.
    fn begin(&mut self, value: Option<bool>, directive: &str, line: usize) {
        self.taken.push(match value {
            Some(true) => Branch::Taken,
            Some(false) => Branch::Untaken,
            None => Branch::Open,
        });
        if value.is_none() {
            self.open.push((line, directive.to_string()));
        }
    }

    /// The name of an `#ifndef` that is defined in the next line: a guard against a second inclusion.
    fn guards(&self, directive: &str) -> Option<String> {
        let name = directive.strip_prefix("ifndef")?.trim();
        let mut ahead = Reader { at: self.at, ..Reader::new(self.text) };
        ahead.skip_blank();
        (ahead.peek(0)? == b'#').then_some(())?;
        let next = ahead.directive();
        (next.strip_prefix("define")?.split_whitespace().next()? == name).then(|| name.to_string())
    }

    /// Over a branch that is never compiled, and those behind it that are not either.
    fn skip_dead(&mut self) {
        let mut depth = 0usize;
        let mut fresh = true;
        while let Some(byte) = self.peek(0) {
            let before = self.line;
            match byte {
                b'#' if fresh => {
                    if self.dead_directive(&mut depth, before) {
                        return;
                    }
                }
                b'"' => {
                    self.string();
                }
                _ if self.skip_comment() => {
                    fresh |= self.line > before;
                    continue;
                }
                _ => self.step(),
            }
            fresh = self.line > before || (fresh && byte.is_ascii_whitespace());
        }
    }

    /// A directive in a branch that is never compiled; whether what stands behind it is read again.
    fn dead_directive(&mut self, depth: &mut usize, line: usize) -> bool {
        let directive = self.directive();
        match Condition::of(&directive, &self.names) {
            Some(Condition::If(_)) => *depth += 1,
            Some(Condition::End) if *depth > 0 => *depth -= 1,
            Some(Condition::End) => {
                self.taken.pop();
                return true;
            }
            // `#if 0 … #else` lives, and so may an `#elif`; behind `#if 1` nothing does.
            Some(Condition::Else(value))
                if *depth == 0 && self.taken.last() == Some(&Branch::Untaken) && value != Some(false) =>
            {
                self.taken.pop();
                self.begin(value, &directive, line);
                return true;
            }
            _ => {}
        }
        false
    }

    /// An initialiser, to the end of its outermost brace.
    fn body(&mut self, include: Include<'_>) -> Result<Vec<u8>, String> {
        let start = (self.at, self.line);
        self.at += 1;
        let mut bytes = Vec::new();
        let listed = self.list(include, &mut bytes, DEPTH).and_then(|()| match self.peek(0) {
            Some(b'}') => Ok(bytes),
            _ => Err("has no end".to_string()),
        });
        match &listed {
            Ok(_) => self.at += 1,
            Err(_) => {
                (self.at, self.line) = start;
                self.skip_braces();
            }
        }
        listed
    }

    /// Bytes until the brace that ends them, which stays, or the end of the text.
    fn list(&mut self, include: Include<'_>, bytes: &mut Vec<u8>, depth: usize) -> Result<(), String> {
        // `std::array` has a second pair.
        let mut inner = false;
        let mut fresh = false;
        loop {
            let before = self.line;
            self.skip_blank();
            fresh |= self.line > before;
            let Some(byte) = self.peek(0) else { return Ok(()) };
            match byte {
                b'}' if inner => {
                    inner = false;
                    self.at += 1;
                }
                b'}' => return Ok(()),
                b'{' if bytes.is_empty() && !inner => {
                    inner = true;
                    self.at += 1;
                }
                b',' => self.at += 1,
                b'#' if fresh || bytes.is_empty() => self.included(include, bytes, depth)?,
                // `(uint8_t)0x1c`, of which the number counts.
                b'(' if self.skip_cast() => {}
                b'\'' => bytes.push(self.character().ok_or("has a character that is no byte")?),
                b'-' | b'0'..=b'9' => {
                    let negative = byte == b'-';
                    if negative {
                        self.at += 1;
                        self.skip_blank();
                    }
                    let number = self.number();
                    let value =
                        integer(&number).ok_or_else(|| format!("has `{number}`, which is no byte"))?;
                    bytes.push(match (negative, value) {
                        (false, 0..=255) => value as u8,
                        (true, 0..=128) => (value as u8).wrapping_neg(),
                        _ => return Err(format!("has the number {number}, which is no byte")),
                    });
                }
                _ => {
                    let what: String = match is_word(byte) {
                        true => self.word(),
                        false => char::from(byte).to_string(),
                    };
                    return Err(format!("has `{what}` among its numbers"));
                }
            }
            fresh = false;
        }
    }

    /// `#include "numbers.inc"` and C23's `#embed "model.tflite"` in the place of numbers.
    fn included(&mut self, include: Include<'_>, bytes: &mut Vec<u8>, depth: usize) -> Result<(), String> {
        let line = self.line;
        let directive = self.directive();
        let decided = match Condition::of(&directive, &self.names) {
            Some(Condition::If(value)) => value.is_some(),
            // What is behind a condition that is decided, but for an open `#elif`.
            Some(_) => !self.taken.is_empty(),
            None => false,
        };
        if decided {
            self.condition(&directive, line);
            return Ok(());
        }
        let (word, rest) = directive.trim_start().split_once(['"', '<']).unwrap_or((&directive, ""));
        let name = rest.split(['"', '>']).next().unwrap_or_default();
        let word = word.trim();
        if !["include", "embed"].contains(&word) || name.is_empty() || depth == 0 {
            return Err(format!("has `#{word}` among its numbers"));
        }
        let file = include(name).ok_or_else(|| format!("includes `{name}`, which is not there"))?;
        if word == "embed" {
            bytes.extend(file);
            return Ok(());
        }
        let text = decoded(&file);
        let mut reader = Reader::new(text.as_bytes());
        reader.list(include, bytes, depth - 1)?;
        match reader.peek(0) {
            None => Ok(()),
            Some(_) => Err(format!("includes `{name}`, which closes a brace")),
        }
    }

    /// Over the cast to a type that begins here, if one does.
    fn skip_cast(&mut self) -> bool {
        let mut ahead = Reader { at: self.at + 1, line: self.line, ..Reader::new(self.text) };
        let mut words = 0;
        loop {
            ahead.skip_blank();
            match ahead.peek(0) {
                Some(b')') if words > 0 => break,
                Some(b':') => ahead.at += 1,
                Some(byte) if is_word(byte) && !byte.is_ascii_digit() => {
                    ahead.word();
                    words += 1;
                }
                _ => return false,
            }
        }
        (self.at, self.line) = (ahead.at + 1, ahead.line);
        true
    }

    /// From an opening brace to behind the one that closes it.
    fn skip_braces(&mut self) {
        let mut depth = 0usize;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                b'"' => {
                    self.string();
                    continue;
                }
                b'\'' => {
                    self.character();
                    continue;
                }
                _ if self.skip_comment() => continue,
                _ => {}
            }
            self.step();
            if depth == 0 {
                return;
            }
        }
    }
}

/// A directive that begins, divides or ends what is compiled under a condition.
enum Condition {
    /// `#if`, `#ifdef` or `#ifndef`, with its value where the sources decide it.
    If(Option<bool>),
    /// `#else`, which is true, or `#elif` and its like.
    Else(Option<bool>),
    /// `#endif`.
    End,
}

impl Condition {
    fn of(directive: &str, names: &Names) -> Option<Condition> {
        let directive = directive.trim_start();
        let end = directive.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(directive.len());
        let (word, rest) = directive.split_at(end);
        Some(match word {
            "if" => Condition::If(names.value(rest)),
            "ifdef" => Condition::If(names.ifdef(rest)),
            "ifndef" => Condition::If(names.ifdef(rest).map(|defined| !defined)),
            "elif" => Condition::Else(names.value(rest)),
            "elifdef" => Condition::Else(names.ifdef(rest)),
            "elifndef" => Condition::Else(names.ifdef(rest).map(|defined| !defined)),
            "else" => Condition::Else(Some(true)),
            "endif" => Condition::End,
            _ => return None,
        })
    }
}

/// What stands at the fifth byte of a model.
const MODEL_NAME: &str = "TFL3";
/// Characters that the four bytes before it take at most, as escapes.
const ESCAPED_HEAD: usize = 32;

/// Adds the bytes of a string's inside.
///
/// # Errors
/// An escape that is none in C.
fn unescape(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
    let wrong = |rest: &[u8]| {
        let shown: String = String::from_utf8_lossy(rest).chars().take(4).collect();
        format!("has the escape `\\{shown}`, which is no byte")
    };
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let digits = |from: &[u8], most: usize, base: u32| {
            from.iter().take(most).take_while(|&&digit| char::from(digit).is_digit(base)).count()
        };
        let (skip, length, base) = match rest {
            // As many digits as there are; more than two leave a byte only where they begin with zeros.
            [b'x', tail @ ..] => (1, digits(tail, tail.len(), 16), 16),
            [b'0'..=b'7', ..] => (0, digits(rest, 3, 8), 8),
            [other, tail @ ..] => {
                bytes.push(match other {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'a' => 7,
                    b'b' => 8,
                    b'v' => 11,
                    b'f' => 12,
                    b'\\' | b'\'' | b'"' | b'?' => *other,
                    _ => return Err(wrong(rest)),
                });
                rest = tail;
                continue;
            }
            [] => return Err(wrong(rest)),
        };
        let number = rest.get(skip..skip + length).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = number.and_then(|number| u8::from_str_radix(number, base).ok());
        bytes.push(byte.ok_or_else(|| wrong(rest))?);
        rest = &rest[skip + length..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Result<Vec<u8>, String> {
        let include = |name: &str| match name {
            "a.inc" => Some(b"1, 2,\n".to_vec()),
            "m.tflite" => Some(vec![200, 0]),
            "round.inc" => Some(b"#include \"round.inc\"\n".to_vec()),
            _ => None,
        };
        let tokens = tokens(text, &include);
        let found = tokens.into_iter().find_map(|token| match token.kind {
            Kind::Body(body) => Some(body),
            _ => None,
        });
        found.unwrap_or_else(|| Err("no body".into()))
    }

    #[test]
    fn bytes_are_read_however_they_are_written() {
        for (text, bytes) in [
            (
                "const unsigned char m[] = {0x1c, 28, 034, '\\x1c', 'T', -1, };",
                &[28, 28, 28, 28, 84, 255][..],
            ),
            ("alignas(8) const uint8_t m[2] PROGMEM =\n{ /* } */ 1, // }\n 2 };", &[1, 2]),
            ("std::array<uint8_t, 2> m = {{ 0x01u, 0b10 }};", &[1, 2]),
            ("char m[] = {\n#include \"a.inc\"\n3};", &[1, 2, 3]),
            ("char m[] = {\n#embed \"m.tflite\"\n};", &[200, 0]),
            ("char m[] = {};", &[]),
            ("char m[] = {(uint8_t)0x1c, ( unsigned char ) 2, (std::uint8_t)-1};", &[28, 2, 255]),
            ("char m[] = {\n#if 0\n1, x\n#else\n2,\n#endif\n3};", &[2, 3]),
            ("char m[] = \"\\x1c\\0\\000\\0TFL\" /* a */\n  \"3\\n\\\"\\377\";", b"\x1c\0\0\0TFL3\n\"\xff"),
        ] {
            assert_eq!(body(text).as_deref(), Ok(bytes), "{text}");
        }
        for (text, why) in [
            ("int m[] = {1, 256};", "256"),
            ("float m[] = {1.5};", "1.5"),
            ("char m[] = {1, x};", "`x`"),
            ("char m[] = {\n#include \"absent\"\n};", "absent"),
            ("char m[] = {\n#include \"round.inc\"\n};", "#include"),
            ("char m[] = {\n#ifdef A\n1\n#endif\n};", "#ifdef"),
            ("char m[] = {1, 2", "no end"),
        ] {
            let found = body(text).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
    }

    #[test]
    fn a_body_that_is_no_bytes_is_one_token_all_the_same() {
        let found = tokens("int a[] = {f({1}), \"}\", '}', /* } */ 7}; int b = 5;", &|_| None);
        let words: Vec<&str> = found.iter().filter_map(Token::word).collect();
        assert_eq!(words, ["int", "a", "int", "b"]);
    }

    #[test]
    fn what_is_never_compiled_is_not_there() {
        let words = |text: &str| {
            let found = tokens(text, &|_| None);
            found.iter().filter_map(Token::word).collect::<Vec<_>>().join(" ")
        };
        for (text, left) in [
            ("a\n#if 0\nb\n#if 1\nc\n#endif\n#else\nd\n#endif\ne", "a d e"),
            ("#if 1\na\n#elif X\nb\n#else\nc\n#endif\nd", "a d"),
            ("#if 0\na\n#elif X\nb\n#else\nc\n#endif\nd", "b c d"),
            ("#if 0\na\n#elif 1\nb\n#else\nc\n#endif\nd", "b d"),
            ("#if 0\na\n#elif 0\nb\n#endif\nc", "c"),
            ("#ifdef X\na\n#else\nb\n#endif", "a b"),
            ("#define X\n#ifdef X\na\n#else\nb\n#endif", "a"),
            ("#define X 0\n#if X\na\n#elif defined(X)\nb\n#else\nc\n#endif", "b"),
            ("#define X\n#ifndef X\na\n#endif\nb", "b"),
            ("#ifdef Y\n#define X\n#endif\n#ifdef X\na\n#else\nb\n#endif", "a b"),
            ("#define X\n#undef X\n#ifdef X\na\n#else\nb\n#endif", "a b"),
            ("#ifndef G\n#define G\n#define X\n#ifdef X\na\n#else\nb\n#endif\n#endif", "a"),
            ("#if 0\na\n#elif Y\n#define X\n#endif\n#ifdef X\nb\n#else\nc\n#endif", "b c"),
            ("#if (0)\n/*\n#endif */ a\n  #  endif // x\nb", "b"),
            ("#if 0 // why\nit's a \"\n#endif\nb", "b"),
            ("#if 1\n#if 0\na\n#endif\nb\n#else\nc\n#endif\nd", "b d"),
            ("#if 0\na", ""),
            ("#else\n#endif\n#endif\na", "a"),
        ] {
            assert_eq!(words(text), left, "{text}");
        }
        let lines: Vec<usize> =
            tokens("#if 0\na\n/*\n*/\n#endif\nb", &|_| None).iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 6]);
    }

    #[test]
    fn strings_that_are_no_model_stay_strings() {
        for text in ["char m[] = \"TFL3\";", "char m[] = \"\\x1cc\";", "char m[] = \"a\\qb\";"] {
            assert_eq!(body(text), Err("no body".into()), "{text}");
        }
        for (text, why) in [
            ("char m[] = \"\\x1c\\q\\0\\0TFL3\";", "`\\q\\0\\`"),
            ("char m[] = \"\\x1c1\\0\\0\\0TFL3\";", "`\\x1c1`"),
            ("char m[] = \"\\x1c\\0\\0\\0TFL3\"\n\"\\400\";", "`\\400`"),
        ] {
            let found = body(text).unwrap_err();
            assert!(found.contains("TFL3") && found.contains(why), "{text}: {found}");
        }
    }

    #[test]
    fn directives_are_lines_of_their_own() {
        let found = tokens("#define A (1 + \\\n 2) // three\nx # y\n  #  include <z.h>\n", &|_| None);
        let directives: Vec<&Kind> =
            found.iter().map(|t| &t.kind).filter(|kind| matches!(kind, Kind::Directive(_))).collect();
        assert_eq!(
            directives,
            [&Kind::Directive("define A (1 +  2)".into()), &Kind::Directive("include <z.h>".into())]
        );
    }

    #[test]
    fn any_text_gives_tokens() {
        let mut state = 1u32;
        let alphabet = b"={}[]\"'\\#/*\n x1,-\xff";
        for _ in 0..3000 {
            let text: Vec<u8> = (0..24)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    alphabet[(state >> 16) as usize % alphabet.len()]
                })
                .collect();
            tokens(&String::from_utf8_lossy(&text), &|_| None);
        }
    }
}
