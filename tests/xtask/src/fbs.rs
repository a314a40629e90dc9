//! Parses a FlatBuffers schema, as far as `schema/model.fbs` needs it: enumerations and structs with their
//! comments and attributes. Tables are left to `flatc`; only the types of their fields are kept.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

/// A schema.
#[derive(Debug, Default)]
pub struct Schema {
    pub enums: Vec<Enum>,
    pub structs: Vec<Struct>,
    /// Types that the fields of tables have.
    pub in_tables: BTreeSet<String>,
}

/// The lines of a comment, without its slashes.
pub type Docs = Vec<String>;

#[derive(Debug)]
pub struct Enum {
    pub docs: Docs,
    pub name: String,
    /// The scalar type in which its members are stored.
    pub scalar: String,
    pub members: Vec<Member>,
}

#[derive(Debug)]
pub struct Member {
    pub docs: Docs,
    pub name: String,
    pub number: u32,
    pub attributes: Attributes,
}

#[derive(Debug)]
pub struct Struct {
    pub docs: Docs,
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Debug)]
pub struct Field {
    pub docs: Docs,
    pub name: String,
    /// A scalar, an enumeration or a struct.
    pub kind: String,
    /// The length, if it is an array.
    pub count: Option<usize>,
    pub attributes: Attributes,
}

/// Attributes in parentheses after a member or a field: `name` or `name: "text"`.
#[derive(Debug, Default)]
pub struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// The text of an attribute, empty if it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, text)| text.as_str())
    }
}

impl Schema {
    pub fn parse(text: &str) -> Result<Schema> {
        let mut reader = Reader { tokens: tokens(text)?, at: 0 };
        let mut schema = Schema::default();
        loop {
            let docs = reader.docs();
            match reader.next().as_deref() {
                Some("enum") => schema.enums.push(reader.enumeration(docs)?),
                Some("struct") => schema.structs.push(reader.structure(docs)?),
                Some("table") => {
                    let table = reader.structure(docs)?;
                    schema.in_tables.extend(table.fields.into_iter().map(|field| field.kind));
                }
                Some(_) => reader.skip_statement()?,
                None => return Ok(schema),
            }
        }
    }

    pub fn structure(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|found| found.name == name)
    }

    pub fn enumeration(&self, name: &str) -> Option<&Enum> {
        self.enums.iter().find(|found| found.name == name)
    }
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Option<String> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn word(&mut self) -> Result<String> {
        self.next().context("the schema ends too early")
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &str) -> Result<()> {
        let found = self.word()?;
        ensure!(found == wanted, "`{wanted}` expected, `{found}` found, behind `{}`", self.before());
        Ok(())
    }

    fn before(&self) -> String {
        self.tokens[self.at.saturating_sub(6)..self.at].join(" ")
    }

    fn docs(&mut self) -> Docs {
        let mut docs = Docs::new();
        while let Some(line) = self.peek().and_then(|token| token.strip_prefix("///")) {
            docs.push(line.trim().to_string());
            self.at += 1;
        }
        docs
    }

    fn skip_statement(&mut self) -> Result<()> {
        while self.word()? != ";" {}
        Ok(())
    }

    fn attributes(&mut self) -> Result<Attributes> {
        let mut attributes = Attributes::default();
        if !self.take("(") {
            return Ok(attributes);
        }
        while !self.take(")") {
            let name = self.word()?;
            let text = if self.take(":") { self.word()? } else { String::new() };
            attributes.0.push((name, text.trim_matches('"').to_string()));
            self.take(",");
        }
        Ok(attributes)
    }

    fn enumeration(&mut self, docs: Docs) -> Result<Enum> {
        let name = self.word()?;
        self.expect(":")?;
        let scalar = self.word()?;
        self.expect("{")?;
        let mut members = Vec::new();
        while !self.take("}") {
            let docs = self.docs();
            let name = self.word()?;
            self.expect("=")?;
            let number = self.word()?;
            let parsed = match number.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            let number = parsed.with_context(|| format!("{name}: {number} is no number"))?;
            members.push(Member { docs, name, number, attributes: self.attributes()? });
            self.take(",");
        }
        Ok(Enum { docs, name, scalar, members })
    }

    fn structure(&mut self, docs: Docs) -> Result<Struct> {
        let name = self.word()?;
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.take("}") {
            let docs = self.docs();
            let name = self.word()?;
            self.expect(":")?;
            let array = self.take("[");
            let kind = self.word()?;
            let count = if array && self.take(":") { Some(self.word()?.parse()?) } else { None };
            if array {
                self.expect("]")?;
            }
            let attributes = self.attributes()?;
            self.expect(";")?;
            fields.push(Field { docs, name, kind, count, attributes });
        }
        Ok(Struct { docs, name, fields })
    }
}

/// Splits a text into words, strings in their quotes, single signs, and comments with three slashes, one line
/// each.
fn tokens(text: &str) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    for line in text.lines() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '/' if rest.starts_with("///") => rest.len(),
                '/' if rest.starts_with("//") => break,
                '"' => rest[1..].find('"').context("a text without its end")? + 2,
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => {
                    rest.find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').unwrap_or(rest.len())
                }
                sign if sign.is_ascii_punctuation() => 1,
                sign => bail!("`{sign}` in `{line}`"),
            };
            tokens.push(rest[..length].to_string());
            rest = rest[length..].trim_start();
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_arrays_and_attributes_are_read() {
        let schema = Schema::parse(
            "namespace n; // not this\nattribute \"mark\";\n/// Of letters.\n/// Two lines.\nenum E : ushort { A = 0,\n\
             /// The other.\nB = 0x101 (mark: \"x y\", own), }\n struct S { a:uint; b:[int:3] (mark); }\n\
             table T { s:[S]; name:string (required); }\nroot_type T;",
        )
        .unwrap();
        let letters = schema.enumeration("E").unwrap();
        assert_eq!((letters.docs.len(), letters.scalar.as_str(), letters.members.len()), (2, "ushort", 2));
        let member = &letters.members[1];
        assert_eq!((member.number, member.docs[0].as_str()), (257, "The other."));
        assert_eq!((member.attributes.get("mark"), member.attributes.get("own")), (Some("x y"), Some("")));
        let fields = &schema.structure("S").unwrap().fields;
        assert_eq!((fields[1].kind.as_str(), fields[1].count), ("int", Some(3)));
        assert!(fields[0].attributes.get("mark").is_none() && fields[1].attributes.get("mark").is_some());
        assert!(schema.in_tables.contains("S") && schema.structure("T").is_none());
    }

    #[test]
    fn what_is_broken_is_an_error() {
        for text in
            ["enum E : uint { A = x }", "struct S { a uint; }", "struct S {", "namespace n", "enum E \"x"]
        {
            assert!(Schema::parse(text).is_err(), "{text}");
        }
    }
}
