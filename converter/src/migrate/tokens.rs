//! C and C++ as tokens, as far as a migration reads them.
//!
//! Comments and the insides of initialisers are gone: `= {…}` becomes one token, with the bytes that it lists where it
//! lists bytes. Nothing is refused; what is no C at all gives tokens that mean nothing.
//!
//! ```text
//! alignas(16) const uint8_t g_model[] = { 0x1c, /* a */ 0 };
//!   Word   (   …      Word      Word   [ ]  Body(Ok([28, 0]))  ;
//! ```

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

/// The tokens of a text; `include` finds the files that initialisers include.
pub(super) fn tokens(text: &str, include: Include<'_>) -> Vec<Token> {
    let mut reader = Reader { text: text.as_bytes(), at: 0, line: 1 };
    let mut out = Vec::new();
    let mut fresh = true;
    loop {
        let before = reader.line;
        reader.skip_blank();
        fresh |= reader.line > before || out.is_empty();
        let line = reader.line;
        let Some(byte) = reader.peek(0) else { return out };
        let kind = match byte {
            b'#' if fresh => Kind::Directive(reader.directive()),
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

/// Tokens of a piece of text without initialisers, such as the value of a `#define`.
pub(super) fn plain(text: &str) -> Vec<Token> {
    tokens(text, &|_| None)
}

/// The integer that a number stands for: `0x1C`, `10'240`, `64u`, `010`, `0b1`.
pub(super) fn integer(number: &str) -> Option<u64> {
    let plain: String = number.chars().filter(|&c| c != '\'').collect::<String>().to_ascii_lowercase();
    let digits = plain.trim_end_matches(['u', 'l', 'z']);
    match digits.as_bytes() {
        [b'0', b'x', ..] => u64::from_str_radix(&digits[2..], 16).ok(),
        [b'0', b'b', ..] => u64::from_str_radix(&digits[2..], 2).ok(),
        [b'0', _, ..] => u64::from_str_radix(&digits[1..], 8).ok(),
        _ => digits.parse().ok(),
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
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
        let mut ahead = Reader { text: self.text, at: self.at + 1, line: 0 };
        ahead.skip_blank();
        ahead.peek(0) == Some(b'{')
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
        let directive = self.directive();
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
        let text = String::from_utf8_lossy(&file);
        let mut reader = Reader { text: text.as_bytes(), at: 0, line: 1 };
        reader.list(include, bytes, depth - 1)?;
        match reader.peek(0) {
            None => Ok(()),
            Some(_) => Err(format!("includes `{name}`, which closes a brace")),
        }
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
    fn integers_have_bases_separators_and_suffixes() {
        for (text, value) in
            [("10'240", Some(10240)), ("0x1FUL", Some(31)), ("010", Some(8)), ("0", Some(0)), ("1.5", None)]
        {
            assert_eq!(integer(text), value, "{text}");
        }
        assert_eq!((integer("08"), integer("99999999999999999999")), (None, None));
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
