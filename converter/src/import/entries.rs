//! Signatures that work on the same variables: one takes a step, another resets what steps keep.
//!
//! A variable that some signature assigns and some signature reads is state of all of them, whether they touch it or not, so
//! that their graphs have the same states. Which these are is known when each signature has been read once as if it stood
//! alone. Signatures that touch none of them are models of their own.

use std::collections::BTreeSet;

use super::importer::Imported;
use crate::graph::{Graph, State, Value};

const DEFAULT: &str = "serving_default";

/// What a signature does with the model's variables, by their handles.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) assigned: BTreeSet<String>,
    pub(super) read: BTreeSet<String>,
}

impl Touched {
    fn touches(&self, shared: &BTreeSet<String>) -> bool {
        !self.assigned.is_disjoint(shared) || !self.read.is_disjoint(shared)
    }
}

/// What is known of a signature before it is read.
#[derive(Clone, Copy)]
pub(super) struct Face<'s> {
    pub(super) name: &'s str,
    /// Whether it has inputs and outputs.
    pub(super) is_whole: bool,
}

/// The variables that signatures share, and the names of the signatures that do. Nothing where they stand alone, and where
/// there is a `serving_default` that does.
pub(super) fn members(
    signatures: &[Face<'_>],
    touched: &[(&str, Touched)],
) -> Option<(BTreeSet<String>, Vec<String>)> {
    let all = |set: fn(&Touched) -> &BTreeSet<String>| -> BTreeSet<String> {
        touched.iter().flat_map(|(_, touched)| set(touched).iter().cloned()).collect()
    };
    let shared: BTreeSet<String> =
        all(|touched| &touched.assigned).intersection(&all(|touched| &touched.read)).cloned().collect();
    let members: Vec<&str> =
        touched.iter().filter(|(_, touched)| touched.touches(&shared)).map(|(name, _)| *name).collect();
    let is_whole = |name: &&str| signatures.iter().any(|face| face.name == *name && face.is_whole);
    let has_default = signatures.iter().any(|face| face.name == DEFAULT);
    let can_be_first = |name: &&str| is_whole(name) && (!has_default || *name == DEFAULT);
    (members.len() > 1 && members.iter().any(can_be_first))
        .then(|| (shared, members.into_iter().map(String::from).collect()))
}

/// Puts first what a program runs that asks for none: `serving_default`, or of those with inputs and outputs the one with the
/// most layers.
pub(super) fn largest_first(entries: &mut [(String, Imported)]) {
    let rank = |(name, imported): &(String, Imported)| {
        let graph = &imported.graph;
        let whole = !graph.inputs.is_empty() && !graph.outputs.is_empty();
        (name == DEFAULT, whole, graph.nodes.len())
    };
    // A stable order, so that of equal ones the first by name is taken.
    entries.sort_by_key(|entry| std::cmp::Reverse(rank(entry)));
    if let Some((_, others)) = entries.split_first_mut() {
        others.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
}

/// Leaves out signatures that are another name of one before them, as Keras writes `serve` beside `serving_default`.
pub(super) fn without_doubles(entries: &mut Vec<(String, Imported)>) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    entries.retain(|(_, imported)| seen.insert(shape_of(&imported.graph)));
}

/// What a graph computes, without names.
fn shape_of(graph: &Graph) -> String {
    let nodes: Vec<_> = graph.nodes.iter().map(|node| (&node.op, &node.inputs, &node.outputs)).collect();
    let values: Vec<_> =
        graph.values.iter().map(|value| (&value.shape, value.dtype, &value.constant)).collect();
    let states: Vec<_> = graph.states.iter().map(|state| (&state.name, state.value, state.next)).collect();
    format!("{nodes:?} {values:?} {states:?} {:?} {:?}", graph.inputs, graph.outputs)
}

/// Gives each graph the states of all: one that a graph lacks stays in it what it is. States of layers, which are no variables
/// of the author's, are one graph's own, and take its name where two have the same.
pub(super) fn complete(entries: &mut [(String, Imported)], variables: &BTreeSet<String>) {
    for at in 0..entries.len() {
        let elsewhere = |name: &String| {
            let others = entries.iter().enumerate().filter(|(other, _)| *other != at);
            let mut states = others.flat_map(|(_, (_, imported))| &imported.graph.states);
            states.any(|state| state.name == *name)
        };
        let own = entries[at].1.graph.states.iter().map(|state| state.name.clone());
        let twice: Vec<String> = own.filter(|name| !variables.contains(name)).filter(elsewhere).collect();
        let (signature, imported) = &mut entries[at];
        for state in &mut imported.graph.states {
            if twice.contains(&state.name) {
                state.name = format!("{signature}/{}", state.name);
            }
        }
    }
    let mut all: Vec<(State, Value)> = Vec::new();
    for (_, imported) in entries.iter() {
        for state in &imported.graph.states {
            if all.iter().all(|(other, _)| other.name != state.name) {
                all.push((state.clone(), imported.graph.value(state.value).clone()));
            }
        }
    }
    for (_, imported) in entries.iter_mut() {
        let graph = &mut imported.graph;
        for (state, value) in &all {
            if graph.states.iter().all(|own| own.name != state.name) {
                let value = graph.add_value(Value { constant: None, ..value.clone() });
                graph.states.push(State { value, next: value, from: 0, ..state.clone() });
            }
        }
    }
}
