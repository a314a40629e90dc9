//! Writes `runtime/src/ops/mod.rs`: the list of the device's operators, which is that of `OpCode` in
//! `schema/model.fbs`. Each operator is in a file with the code's name, and shared files are beside them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::fbs::Schema;
use crate::layout::{codes, text};

/// Files that are not operators, and that the list itself needs.
const OWN: [&str; 2] = ["operator", "sets"];

const HEAD: &str = "\
//! Operators, one file each: parameters, checks, shapes and borders, written once for every core.
//!
//! An [`Operator`] is four functions. `check` doubts the file, once, when an interpreter is made;
//! `eval` trusts it, at each inference; `lead` says how far the output may lie over an input;
//! `scratch` functions, which the converter calls too, say how much scratch memory an op needs.
//! What is not generic and runs at start is `#[inline]`, so that it is compiled with the firmware, for size;
//! what is rare there is `#[cold]`, too, so that it has one copy.
//! An [`OpSet`] lists the operators that a program links: the converter writes the list that a model
//! needs, [`ALL`] serves any model.
//!
//! This file is made of `OpCode` in `schema/model.fbs` by `cargo xtask schema`, not by hand.
// @generated
";

/// The file's text. `folder` holds the operators.
pub fn write(schema: &Schema, folder: &Path) -> Result<String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "rs") && stem != "mod" {
            files.insert(stem, fs::read_to_string(&path)?);
        }
    }
    list(schema, &files)
}

fn list(schema: &Schema, files: &BTreeMap<String, String>) -> Result<String> {
    let mut out = format!("{HEAD}\n");
    for name in files.keys() {
        // What is public for the converter promises no stability.
        let word = match name.as_str() {
            // The way to operators of the user's own.
            "custom" => "pub mod",
            name if OWN.contains(&name) => "mod",
            _ => "#[doc(hidden)]\npub mod",
        };
        let _ = writeln!(out, "{word} {name};");
    }
    out.push_str(
        "\n#[cfg(feature = \"cases\")]\nuse ferrolite_schema::OpCode;\n\n\
         #[cfg(feature = \"cases\")]\nuse crate::cases::{Case, Random};\n\
         use crate::kernels::{Kernels, Native};\n\npub use operator::{OpSet, Operator, in_place, no_overlap};\n\
         pub use sets::{general, nibbles, plain, small, tuned};\n\n",
    );
    let (mut all, mut cases, mut count) = (String::new(), String::new(), 0);
    for code in codes(schema)? {
        let name = text(code);
        let file = files.get(&name).with_context(|| {
            format!("OpCode.{} has no runtime/src/ops/{name}.rs; write that file first", code.name)
        })?;
        let has_kernels = file.contains("pub const fn operator<K: Kernels>() -> Operator {");
        ensure!(
            has_kernels || file.contains("pub const fn operator() -> Operator {"),
            "runtime/src/ops/{name}.rs has no `pub const fn operator() -> Operator`"
        );
        for line in &code.docs {
            let _ = writeln!(out, "/// {line}");
        }
        let (native, any) = if has_kernels { ("::<Native>", "::<K>") } else { ("", "") };
        let _ = writeln!(out, "pub const {}: Operator = {name}::operator{native}();", name.to_uppercase());
        let _ = writeln!(all, "        {name}::operator{any}(),");
        ensure!(
            file.contains("pub(super) fn case("),
            "runtime/src/ops/{name}.rs has no `pub(super) fn case(random: &mut Random) -> Case` for tests"
        );
        let _ = writeln!(cases, "        OpCode::{} => {name}::case(random),", code.name);
        count += 1;
    }
    let _ = write!(
        out,
        "\n/// Number of operators.\nconst COUNT: usize = {count};\n\n\
         /// Every operator in the order of codes, with the kernels `K`: for tests of kernel sets. A program wants\n\
         /// [`ALL`].\npub const fn all<K: Kernels>() -> [Operator; COUNT] {{\n    [\n{all}    ]\n}}\n\n\
         /// Every operator, in the order of codes: serves any model, links all of them.\n\
         pub const ALL: OpSet = &all::<Native>();\n\n\
         /// Any op of an operator, for tests.\n\
         #[cfg(feature = \"cases\")]\n#[doc(hidden)]\n\
         pub fn case(code: OpCode, random: &mut Random) -> Case {{\n    match code {{\n{cases}    }}\n}}\n"
    );
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &str = "enum OpCode : ushort { None = 0,
        /// A sum.
        Add = 1,
        /// A function.
        Softmax = 2 }";

    #[test]
    fn operators_are_listed_with_their_kernels() {
        let file = |name: &str, text: &str| (name.to_string(), text.to_string());
        let mut files: BTreeMap<String, String> = [
            file("add", "pub const fn operator<K: Kernels>() -> Operator {\npub(super) fn case("),
            file("operator", ""),
            file("window", ""),
        ]
        .into();
        let schema = Schema::parse(CODES).unwrap();
        assert!(list(&schema, &files).unwrap_err().to_string().contains("runtime/src/ops/softmax.rs"));
        files.extend([file("softmax", "pub const fn operator() -> Operator {")]);
        assert!(list(&schema, &files).unwrap_err().to_string().contains("fn case"));
        files.extend([file("softmax", "pub const fn operator() -> Operator {\npub(super) fn case(")]);
        let text = list(&schema, &files).unwrap();
        for line in [
            "pub mod window;",
            "\nmod operator;",
            "/// A sum.\npub const ADD: Operator = add::operator::<Native>();",
            "pub const SOFTMAX: Operator = softmax::operator();",
            "const COUNT: usize = 2;",
            "        OpCode::Softmax => softmax::case(random),",
            "        add::operator::<K>(),\n        softmax::operator(),\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
