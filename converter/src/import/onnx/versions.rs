//! The versions of operators that the importer knows, and the attributes of each version.
//!
//! An operator set is a number in the file, and the meaning of an operator depends on it. `schemas.txt`
//! lists, for each supported operator, the sets in which it changed and its attributes from then on. An
//! attribute that is not listed may change the result in an unknown way, so a warning reports it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::proto::{ModelProto, NodeProto};
use crate::error::Result;
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// Domains of the standard operators.
pub(super) const STANDARD: [&str; 2] = ["", "ai.onnx"];

/// The domains of supported operators, and the newest operator set of each that the importer knows.
const NEWEST: [(&str, i64); 3] = [("ai.onnx", 28), ("ai.onnx.ml", 5), ("com.microsoft", 1)];

/// Lines `domain name version attribute:type ...`, with ascending versions.
const SCHEMAS: &str = include_str!("schemas.txt");

/// Types of attributes: the letter in the list, the number in `onnx.proto`, and the name for people.
const KINDS: [(&str, i32, &str); 7] = [
    ("f", 1, "a number"),
    ("i", 2, "an integer"),
    ("s", 3, "a text"),
    ("t", 4, "a tensor"),
    ("F", 6, "a list of numbers"),
    ("I", 7, "a list of integers"),
    ("S", 8, "a list of texts"),
];

/// One version of an operator: the first set that has it, and its attributes with the letters of their types.
struct Version {
    since: i64,
    attributes: Vec<(&'static str, &'static str)>,
}

/// Versions by domain and name.
static VERSIONS: LazyLock<HashMap<(&str, &str), Vec<Version>>> = LazyLock::new(|| {
    let mut all: HashMap<_, Vec<Version>> = HashMap::new();
    for line in SCHEMAS.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (Some(domain), Some(name), Some(since)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let attributes = words.filter_map(|word| word.split_once(':')).collect();
        let version = Version { since: since.parse().unwrap_or(1), attributes };
        all.entry((domain, name)).or_default().push(version);
    }
    all
});

/// The operator sets of a model.
pub(super) struct OperatorSets(HashMap<&'static str, i64>);

/// The name in the list of a domain.
fn domain(name: &str) -> Option<&'static str> {
    let name = if STANDARD.contains(&name) { "ai.onnx" } else { name };
    NEWEST.iter().map(|(known, _)| *known).find(|known| *known == name)
}

impl OperatorSets {
    /// The operator sets that a model names. If it does not name the standard one, that is set 1.
    pub(super) fn of(model: &ModelProto) -> Result<OperatorSets> {
        let mut sets = HashMap::from([("ai.onnx", 1)]);
        for set in &model.opset_import {
            let Some(domain) = domain(&set.domain) else { continue };
            if set.version < 1 {
                return Err(damaged(format!("has operator set {} of {domain}", set.version)));
            }
            sets.insert(domain, set.version);
        }
        Ok(OperatorSets(sets))
    }

    /// The standard operator set.
    pub(super) fn standard(&self) -> i64 {
        self.0.get("ai.onnx").copied().unwrap_or(1)
    }

    /// Warnings about operator sets that are newer than those that the importer knows.
    pub(super) fn newer(&self) -> Vec<String> {
        let newer = NEWEST.iter().filter_map(|&(domain, newest)| {
            let &found = self.0.get(domain).filter(|&&found| found > newest)?;
            let of = if domain == "ai.onnx" { String::new() } else { format!(" of {domain}") };
            Some(format!(
                "the model has operator set {found}{of}, the newest that is known is {newest}: operators that have \
                 changed since are read by their old rules; export the model with operator set {newest} or \
                 earlier, or compare its answers with those of its framework"
            ))
        });
        newer.collect()
    }

    /// Checks a node's attributes. An attribute of the wrong type is an error. An attribute that its operator
    /// does not have is a warning, and so is an operator that the model's operator set does not have.
    pub(super) fn attributes(&self, name: &str, node: &NodeProto) -> Result<Vec<String>, Refusal> {
        let Some(domain) = domain(&node.domain) else { return Ok(Vec::new()) };
        let Some(versions) = VERSIONS.get(&(domain, node.op_type.as_str())) else { return Ok(Vec::new()) };
        let set = self.0.get(domain).copied().unwrap_or(1);
        // If the set does not have the operator yet, its first version counts.
        let Some(first) = versions.first() else { return Ok(Vec::new()) };
        let version = versions.iter().rev().find(|v| v.since <= set).unwrap_or(first);
        let mut told = Vec::new();
        if set < first.since {
            told.push(format!(
                "layer `{name}` ({}) is an operator since operator set {}, and the model has operator set {set}: it \
                 is read by the rules of set {}; other tools may refuse it: export it with operator set {} or \
                 later",
                node.op_type, first.since, first.since, first.since
            ));
        }
        // Attributes whose names begin like this are for tools.
        for attribute in node.attribute.iter().filter(|a| !a.name.starts_with("__")) {
            let Some((_, letter)) = version.attributes.iter().find(|(known, _)| *known == attribute.name)
            else {
                told.push(format!(
                    "layer `{name}` ({}) has the attribute `{}`, which this operator does not have in operator set \
                     {set}: what it asks for may be missing from the result; export the model again, or remove it",
                    node.op_type, attribute.name
                ));
                continue;
            };
            let wanted = KINDS.iter().find(|(known, ..)| known == letter);
            if let Some(&(_, number, kind)) = wanted
                && ![0, number].contains(&attribute.kind)
            {
                let found = KINDS.iter().find(|(_, number, _)| *number == attribute.kind);
                let found = found.map_or("something else", |(.., kind)| kind);
                let text = format!("its attribute `{}` is {found}, expected {kind}", attribute.name);
                return Err(Refusal::Broken(damaged(text)));
            }
        }
        Ok(told)
    }
}
