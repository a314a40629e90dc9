//! Writes `boards/c/src/operators.rs`: the symbols of the C library by which C programs list operators, three for each
//! operator of `OpCode` in `schema/model.fbs` and for each of `runtime/src/ops/sets.rs`.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use crate::fbs::Schema;
use crate::layout::{codes, text};

const HEAD: &str = "\
//! The functions of each operator as symbols. C programs list operators by them, so that a linker finds those that a list
//! names and drops all others.
//!
//! They have Rust's calling convention: a list hands them on, and only the interpreter calls them.
//!
//! This file is made of `OpCode` in `schema/model.fbs` and of `runtime/src/ops/sets.rs` by `cargo xtask schema`, not by hand.
// @generated

use ferrolite_runtime::{Eval, Fault, Node, Operator, ops};

macro_rules! operators {
    ($($operator:path: $check:ident $eval:ident $lead:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            fn $check(node: &Node<'_>) -> Result<(), Fault> {
                const OPERATOR: Operator = $operator;
                (OPERATOR.check)(node)
            }

            #[unsafe(no_mangle)]
            fn $eval(eval: &Eval<'_>) {
                const OPERATOR: Operator = $operator;
                (OPERATOR.eval)(eval);
            }

            #[unsafe(no_mangle)]
            fn $lead(node: &Node<'_>, position: usize) -> Option<u32> {
                const OPERATOR: Operator = $operator;
                (OPERATOR.lead)(node, position)
            }
        )*
    };
}

operators! {
";

/// The file's text.
pub fn write(schema: &Schema, sets: &str) -> Result<String> {
    let mut out = HEAD.to_string();
    for code in codes(schema)? {
        line(&mut out, "", &text(code).to_uppercase());
    }
    let mut set = None;
    let mut count = 0;
    for words in sets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        match words[..] {
            ["pub", "mod", name, "{"] => set = Some(name),
            ["pub", "const", name, "Operator", ..] => {
                line(&mut out, set.context("an operator outside of a set")?, name.trim_end_matches(':'));
                count += 1;
            }
            _ => {}
        }
    }
    ensure!(count > 0, "runtime/src/ops/sets.rs has no `pub const NAME: Operator` in a `pub mod NAME {{`");
    out.push_str("}\n");
    Ok(out)
}

fn line(out: &mut String, set: &str, name: &str) {
    let (path, prefix) = match set {
        "" => (String::new(), String::new()),
        set => (format!("{set}::"), format!("{set}_")),
    };
    let symbol = format!("ferrolite_{prefix}{}", name.to_lowercase());
    // Writing to a string does not fail.
    let _ = writeln!(out, "    ops::{path}{name}: {symbol}_check {symbol}_eval {symbol}_lead");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_of_sets_have_symbols_of_their_own() {
        let schema = Schema::parse("enum OpCode : ushort { None = 0,\n/// A sum.\nAdd = 1 }").unwrap();
        let sets = "pub mod tuned {\n    /// CONV_2D.\n    pub const CONV_2D: Operator =\n        x;\n}\n";
        let text = write(&schema, sets).unwrap();
        for line in [
            "    ops::ADD: ferrolite_add_check ferrolite_add_eval ferrolite_add_lead\n",
            "    ops::tuned::CONV_2D: ferrolite_tuned_conv_2d_check ferrolite_tuned_conv_2d_eval",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(write(&schema, "").is_err());
    }
}
