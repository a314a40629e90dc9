//! Writes `schema/src/layout.rs`: the part of `schema/model.fbs` that a device needs, as Rust code that does
//! not allocate.
//!
//! Structs become `repr(C)` structs with the same fields, enumerations become enumerations, and comments
//! become documentation. Attributes in the schema state facts about an operator in addition to its
//! parameters:
//!
//! | mark | of | says |
//! |---|---|---|
//! | `name: "x"` | an op code | its name on the command line, and its file in the runtime; by default, the
//! words of its name |
//! | `params: "X"` | an op code | the struct of its parameters, if that is not `…Params` |
//! | `work: "x"` | an op code | what bounds its work: `bytes` of its operands, a product of parameters, or `own`, which `work.rs` computes |
//! | `constant` | a parameter | it is the offset of constants |

use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};

use crate::fbs::{Enum, Member, Schema, Struct};

/// The reader finds it by its position.
const NOT_READ: &str = "Checksum";

/// Enumerations that are written by hand, because most of their code is about other facts.
const BY_HAND: &str = "DType";

/// The file's text.
pub fn write(schema: &Schema) -> Result<String> {
    let mut out = String::from(
        "//! The numbers and structs of the file: made from `model.fbs` by `cargo xtask schema`, not by hand.\n\
         // @generated\n\n\
         use bytemuck::{Pod, Zeroable};\n\n",
    );
    for found in schema.enums.iter().filter(|found| found.name != BY_HAND) {
        enumeration(&mut out, found);
    }
    op_codes(&mut out, schema)?;
    let (records, params): (Vec<&Struct>, Vec<&Struct>) =
        schema.structs.iter().partition(|found| schema.in_tables.contains(&found.name));
    for record in records.into_iter().filter(|record| record.name != NOT_READ) {
        structure(&mut out, schema, record, "")?;
    }
    out.push_str(
        "/// Parameters of ops: the words that an [`Op`](crate::Op) finds in the file, as structs.\n\
         ///\n\
         /// Every field is 32 bits wide, so a struct is its words. Offsets count bytes from the start of the\n\
         /// constants. The converter has folded what it could: biases hold the input's zero point\n\
         /// (`bias - zero_point * sum(weights)`), multipliers are finished, clamps are int8 values.\n\
         pub mod params {\n    use bytemuck::{Pod, Zeroable};\n\n",
    );
    for found in params {
        structure(&mut out, schema, found, "    ")?;
    }
    // No empty line before the brace.
    out.pop();
    out.push_str("}\n");
    Ok(out)
}

/// The codes of all operators, without the one that means none.
pub fn codes(schema: &Schema) -> Result<impl Iterator<Item = &Member>> {
    let codes = schema.enumeration("OpCode").context("model.fbs has no OpCode")?;
    Ok(codes.members.iter().filter(|member| member.number != 0))
}

/// The name of a member on the command line: the words of its name, `conv_2d` for `Conv2d`.
pub fn text(member: &Member) -> String {
    if let Some(name) = member.attributes.get("name") {
        return name.into();
    }
    let mut text = String::new();
    for sign in member.name.chars() {
        let mut last = text.chars().rev();
        let behind_letter = last.next().is_some_and(|last| last.is_ascii_lowercase());
        // `3x3` is one word.
        let size = sign.is_ascii_digit() && last.next().is_some_and(|before| before.is_ascii_digit());
        if behind_letter && !size && (sign.is_ascii_uppercase() || sign.is_ascii_digit()) {
            text.push('_');
        }
        text.push(sign.to_ascii_lowercase());
    }
    text
}

fn docs(out: &mut String, docs: &[String], indent: &str) {
    for line in docs {
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(out, "{indent}///{space}{line}");
    }
}

fn enumeration(out: &mut String, found: &Enum) {
    out.push_str("enumeration! {\n");
    docs(out, &found.docs, "    ");
    let _ = writeln!(out, "    {}: {} {{", found.name, scalar(&found.scalar).unwrap_or("u32"));
    // A number without a comment has no meaning.
    for member in found.members.iter().filter(|member| !member.docs.is_empty()) {
        docs(out, &member.docs, "        ");
        let _ = writeln!(out, "        {} = {} \"{}\",", member.name, member.number, text(member));
    }
    out.push_str("    }\n}\n\n");
}

/// Rust's name of a scalar type; each type is as wide as its name says.
fn scalar(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "ubyte" => "u8",
        "ushort" => "u16",
        "uint" => "u32",
        "int" => "i32",
        "float" => "f32",
        _ => return None,
    })
}

/// Rust's name of a type; for an enumeration, that of its scalar type.
fn rust_type<'a>(schema: &'a Schema, kind: &'a str) -> Result<&'a str> {
    if let Some(name) = scalar(kind) {
        return Ok(name);
    }
    if let Some(found) = schema.enumeration(kind) {
        return scalar(&found.scalar).with_context(|| format!("{kind} is of type {}", found.scalar));
    }
    ensure!(schema.structure(kind).is_some(), "{kind} is no type that structs of model.fbs may have");
    Ok(kind)
}

fn size(schema: &Schema, kind: &str) -> Result<usize> {
    Ok(match rust_type(schema, kind)? {
        "u8" => 1,
        "u16" => 2,
        "u32" | "i32" | "f32" => 4,
        name => bytes(schema, schema.structure(name).context("a struct")?)?,
    })
}

/// Size of a struct. The structs of the file have no gaps, which the derived `Pod` proves.
fn bytes(schema: &Schema, found: &Struct) -> Result<usize> {
    found
        .fields
        .iter()
        .try_fold(0, |sum, field| Ok(sum + size(schema, &field.kind)? * field.count.unwrap_or(1)))
}

fn has_floats(schema: &Schema, found: &Struct) -> bool {
    found.fields.iter().any(|field| {
        field.kind == "float" || schema.structure(&field.kind).is_some_and(|inner| has_floats(schema, inner))
    })
}

fn structure(out: &mut String, schema: &Schema, found: &Struct, indent: &str) -> Result<()> {
    ensure!(!found.docs.is_empty(), "the struct {} has no comment", found.name);
    docs(out, &found.docs, indent);
    let eq = if has_floats(schema, found) { "" } else { " Eq," };
    let _ = writeln!(out, "{indent}#[derive(Clone, Copy, Debug, Default, PartialEq,{eq} Pod, Zeroable)]");
    let _ = writeln!(out, "{indent}#[cfg_attr(feature = \"defmt\", derive(defmt::Format))]");
    let _ = writeln!(out, "{indent}#[repr(C)]\n{indent}pub struct {} {{", found.name);
    for field in &found.fields {
        ensure!(!field.docs.is_empty(), "{}.{} has no comment", found.name, field.name);
        docs(out, &field.docs, &format!("{indent}    "));
        let kind = rust_type(schema, &field.kind)?;
        let kind = field.count.map_or(kind.to_string(), |count| format!("[{kind}; {count}]"));
        let _ = writeln!(out, "{indent}    pub {}: {kind},", field.name);
    }
    let _ = writeln!(out, "{indent}}}\n");
    let bytes = bytes(schema, found)?;
    let _ = writeln!(out, "{indent}const _: () = assert!(size_of::<{}>() == {bytes});\n", found.name);
    Ok(())
}

/// Positions of the words of a struct, either those that a path names or all, and whether each is marked as a
/// constant's offset.
fn words(schema: &Schema, found: &Struct, path: Option<&str>) -> Result<Vec<(usize, bool)>> {
    let (wanted, inside) =
        path.map(|path| path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)))).unzip();
    let (mut at, mut words, mut known) = (0, Vec::new(), false);
    for field in &found.fields {
        let size = size(schema, &field.kind)?;
        ensure!(size % 4 == 0, "{}.{} is no number of 32-bit words", found.name, field.name);
        let named = wanted.is_none_or(|wanted| wanted == field.name);
        known |= named;
        for _ in 0..field.count.unwrap_or(1) {
            match schema.structure(&field.kind) {
                Some(inner) if named => {
                    let inner = self::words(schema, inner, inside.flatten())?;
                    words.extend(inner.into_iter().map(|(word, constant)| (at + word, constant)));
                }
                None if named => words.push((at, field.attributes.get("constant").is_some())),
                _ => {}
            }
            at += size / 4;
        }
    }
    ensure!(known, "{} has no field `{}`", found.name, path.unwrap_or_default());
    Ok(words)
}

fn params<'a>(schema: &'a Schema, code: &Member) -> Result<&'a Struct> {
    let name = code.attributes.get("params").map_or(format!("{}Params", code.name), str::to_string);
    schema.structure(&name).with_context(|| format!("{}: model.fbs has no struct {name}", code.name))
}

fn list(words: &[usize]) -> String {
    format!("&[{}]", words.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
}

fn op_codes(out: &mut String, schema: &Schema) -> Result<()> {
    let (mut constants, mut work) = (String::new(), String::new());
    for code in codes(schema)? {
        ensure!(!code.docs.is_empty(), "OpCode.{} has no comment", code.name);
        let params = params(schema, code)?;
        let marked: Vec<usize> = words(schema, params, None)?
            .into_iter()
            .filter(|(_, marked)| *marked)
            .map(|(at, _)| at)
            .collect();
        if !marked.is_empty() {
            let _ = writeln!(constants, "            OpCode::{} => {},", code.name, list(&marked));
        }
        let bound = match code.attributes.get("work") {
            Some("bytes") => "Work::Bytes".into(),
            Some("own") => "Work::Own".into(),
            Some(product) if !product.is_empty() => {
                let mut factors = Vec::new();
                for path in product.split_whitespace() {
                    factors.extend(words(schema, params, Some(path))?.into_iter().map(|(word, _)| word));
                }
                format!("Work::Product({})", list(&factors))
            }
            _ => bail!(
                "OpCode.{} does not say what bounds its work: (work: \"bytes\") if that grows with the bytes of its \
                 operands, (work: \"a b\") if with the product of these parameters, (work: \"own\") for an arm of \
                 schema/src/work.rs",
                code.name
            ),
        };
        let _ = writeln!(work, "            OpCode::{} => {bound},", code.name);
    }
    let _ = write!(
        out,
        "/// What bounds the work of an op.\n\
         pub(crate) enum Work {{\n    \
         /// The bytes of its operands.\n    Bytes,\n    \
         /// The product of these parameter words.\n    Product(&'static [usize]),\n    \
         /// An arm of `work.rs`.\n    Own,\n}}\n\n\
         impl OpCode {{\n    \
         /// Which of an op's parameter words are offsets of constants.\n    \
         pub const fn constants(self) -> &'static [usize] {{\n        match self {{\n{constants}            \
         _ => &[],\n        }}\n    }}\n\n    \
         /// What bounds the work of an op.\n    \
         pub(crate) const fn work(self) -> Work {{\n        match self {{\n{work}        }}\n    }}\n}}\n\n",
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &str = "enum OpCode : ushort { None = 0,
        /// One.
        Conv2dOf3x3 = 1 (params: \"P\", work: \"inner.dims n\"),
        /// Two.
        Two = 2 (name: \"zwei\", params: \"P\", work: \"own\") }
        /// Inner.
        struct Inner {
          /// Where.
          weights:uint (constant);
          /// Sizes.
          dims:[uint:2];
        }
        /// Outer.
        struct P {
          /// First.
          n:uint;
          /// Then.
          inner:Inner;
          /// Last.
          table:uint (constant);
        }";

    #[test]
    fn words_of_parameters_are_found_by_their_marks() {
        let text = write(&Schema::parse(CODES).unwrap()).unwrap();
        assert!(text.contains("OpCode::Conv2dOf3x3 => &[1, 4],"), "{text}");
        assert!(text.contains("OpCode::Conv2dOf3x3 => Work::Product(&[2, 3, 0]),"), "{text}");
        assert!(text.contains("OpCode::Two => Work::Own,"), "{text}");
        assert!(text.contains("Conv2dOf3x3 = 1 \"conv_2d_of_3x3\","), "{text}");
        assert!(text.contains("Two = 2 \"zwei\","), "{text}");
        assert!(text.contains("assert!(size_of::<P>() == 20)"), "{text}");
    }

    #[test]
    fn what_is_left_out_is_named() {
        for (from, to, missing) in [
            ("work: \"own\"", "own", "OpCode.Two does not say what bounds its work"),
            ("work: \"inner.dims n\"", "work: \"inner.dims m\"", "P has no field `m`"),
            ("/// First.", "", "P.n has no comment"),
            ("/// Two.", "", "OpCode.Two has no comment"),
            ("params: \"P\", work: \"own\"", "work: \"own\"", "Two: model.fbs has no struct TwoParams"),
        ] {
            let error = write(&Schema::parse(&CODES.replace(from, to)).unwrap()).unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
