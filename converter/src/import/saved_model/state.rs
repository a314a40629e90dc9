//! Variables that a signature assigns: state that one inference leaves to the next.
//!
//! In the functions that a signature calls, TensorFlow runs every node with an effect, whether or not a
//! result depends on it; in the outer graph, only those that an output waits for. A variable that is assigned
//! there is not constant. If an output reads it, it is state (`kept`). If no output reads it, as with a
//! count of calls, it changes no result, and a note reports it. If its new value depends on the model's
//! inputs, as a batch norm's moving mean does, the model is probably in training mode, which is a warning.
//!
//! Source: `PruneFunctionGraph` in `tensorflow/core/common_runtime/function_utils.cc`.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::evaluate::{Evaluator, Taken};
use super::library::{Attributes, Body, DEEPEST, Library, reference};
use super::proto::{Attr, NodeDef, Signature};

/// What an operand is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source<'m> {
    /// The handle of a variable, by its node in the outer graph.
    Handle(&'m str),
    /// It depends on the model's inputs.
    Input,
    Other,
}

/// The variables that are assigned and that the outputs read, by their handles; of TensorFlow 1's none, whose order of
/// reads and assignments is not in the file.
pub(super) fn kept(e: &Evaluator<'_>, signature: &Signature) -> Vec<String> {
    let assigned = assigned(e, signature).into_iter();
    assigned.filter(|handle| e.variables.was_read(handle)).collect()
}

/// The variables that are assigned, by their handles, but for TensorFlow 1's.
pub(super) fn assigned(e: &Evaluator<'_>, signature: &Signature) -> Vec<String> {
    let is_resource = |handle: &str| {
        let node = e.library.graph.nodes.get(handle);
        node.is_some_and(|node| node.op == "VarHandleOp")
    };
    let found = found(e, signature).into_keys();
    found.filter(|handle| is_resource(handle)).map(String::from).collect()
}

fn found<'m>(e: &Evaluator<'m>, signature: &Signature) -> BTreeMap<&'m str, (&'m str, bool)> {
    let mut scan = Scan { library: e.library, taken: &e.taken, seen: HashSet::new(), found: BTreeMap::new() };
    scan.outer(signature);
    scan.found
}

/// Adds a layer that cannot be converted for each variable that is assigned and that the outputs read, but is no state
/// of the graph, and notes for the others. Returns a warning if the model seems to be in training mode.
pub(super) fn refuse(e: &mut Evaluator<'_>, signature: &Signature) -> Vec<String> {
    let mut tracked = Vec::new();
    for (handle, (op, follows)) in found(e, signature) {
        if e.kept.has(handle) {
            continue;
        }
        if e.variables.was_read(handle) {
            let reason = "a variable of TensorFlow 1 that every inference changes: make it an input and an output of the \
                          model, and tie them with `--state IN=OUT`";
            e.builder.unsupported(handle, op, reason, &[], vec![vec![1]]);
        } else if follows {
            tracked.push(format!("`{handle}`"));
        } else {
            let note = "is assigned at every call, but no output reads it: it was left out";
            e.notes.push(format!("variable `{handle}` {note}"));
        }
    }
    if tracked.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "the signature assigns {} from its inputs at every call, as layers in training mode do; no output reads them, \
         so they were left out: if the model is for inference, export it with training=False",
        tracked.join(", ")
    )]
}

/// Whether an operator changes the variable whose handle is among its operands. Few operators read a resource
/// without changing it; for variables of TensorFlow 1, all operators read except these.
fn assigns(op: &str, resource: bool) -> bool {
    const READERS: &[&str] = &[
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "VariableShape",
        "VarIsInitializedOp",
        "_ReadVariablesOp",
        "Identity",
        "IdentityN",
        "NoOp",
    ];
    const WRITERS: &[&str] =
        &["Assign", "Scatter", "Apply", "SparseApply", "StridedSliceAssign", "CountUpTo"];
    match resource {
        true => !READERS.contains(&op),
        false => WRITERS.iter().any(|word| op.starts_with(word)) && op != "ScatterNd",
    }
}

struct Scan<'m, 't> {
    library: &'m Library<'m>,
    taken: &'t Taken,
    /// Functions with the sources of their arguments; each is visited once.
    seen: HashSet<(&'m str, Vec<Source<'m>>)>,
    /// For each variable, by its handle: the operator, and whether the new value depends on the inputs.
    found: BTreeMap<&'m str, (&'m str, bool)>,
}

impl<'m> Scan<'m, '_> {
    /// Visits the outer graph: the nodes that the outputs wait for.
    fn outer(&mut self, signature: &Signature) {
        let body = &self.library.graph;
        let name = |text: &str| reference(text).and_then(|(name, ..)| body.nodes.get_key_value(name));
        let mut reached: HashMap<&'m str, &'m NodeDef> = HashMap::new();
        let mut open: Vec<(&'m str, &'m NodeDef)> =
            signature.outputs.values().filter_map(|info| name(&info.name)).map(|(k, v)| (*k, *v)).collect();
        while let Some((name, node)) = open.pop() {
            if reached.insert(name, node).is_none() {
                let names =
                    node.inputs.iter().map(|i| i.trim_start_matches('^').split(':').next().unwrap_or(""));
                open.extend(names.filter_map(|name| body.nodes.get_key_value(name)).map(|(k, v)| (*k, *v)));
            }
        }
        let inputs = signature.inputs.values().filter_map(|info| name(&info.name));
        let given = inputs.map(|(&name, _)| (name, Source::Input)).collect();
        self.body(body, reached.into_values().collect(), given, 0);
    }

    fn function(&mut self, name: &str, operands: Vec<Source<'m>>, depth: usize) {
        let Some((&name, body)) = self.library.functions.get_key_value(name) else { return };
        if depth < DEEPEST && self.seen.insert((name, operands.clone())) {
            let given = body.parameters.iter().copied().zip(operands).collect();
            self.body(body, body.nodes.values().copied().collect(), given, depth + 1);
        }
    }

    fn body(
        &mut self,
        body: &'m Body<'m>,
        mut nodes: Vec<&'m NodeDef>,
        given: HashMap<&'m str, Source<'m>>,
        depth: usize,
    ) {
        // The order must be the same in all runs.
        nodes.sort_by_key(|node| node.name.as_str());
        let following = following(body, &given);
        for node in nodes {
            let operands: Vec<Source<'m>> = node
                .inputs
                .iter()
                .filter_map(|input| reference(input))
                .map(|(name, ..)| match handle(body, &given, name) {
                    Some(handle) => Source::Handle(handle),
                    None if following.contains(name) => Source::Input,
                    None => Source::Other,
                })
                .collect();
            let called = called(self.library, node, self.taken);
            if called.is_empty() {
                let follows = operands.contains(&Source::Input);
                for operand in &operands {
                    let Source::Handle(handle) = *operand else { continue };
                    let is_resource = |node: &&NodeDef| !node.op.starts_with("Variable");
                    let resource = self.library.graph.nodes.get(handle).is_none_or(is_resource);
                    if assigns(&node.op, resource) {
                        let entry = self.found.entry(handle).or_insert((&node.op, false));
                        entry.1 |= follows;
                    }
                }
            }
            for (function, skipped) in called {
                self.function(function, operands.get(skipped..).unwrap_or_default().to_vec(), depth);
            }
        }
    }
}

/// The functions that a node calls, and how many operands come before their arguments.
fn called<'m>(library: &Library<'m>, node: &'m NodeDef, taken: &Taken) -> Vec<(&'m str, usize)> {
    match node.op.as_str() {
        "While" | "StatelessWhile" => {
            ["cond", "body"].iter().filter_map(|name| Some((node.function(name)?, 0))).collect()
        }
        "If" | "StatelessIf" => {
            let taken = taken.get(&std::ptr::from_ref(node)).copied().unwrap_or([true; 2]);
            let branches = ["then_branch", "else_branch"].into_iter().zip(taken).filter(|(_, taken)| *taken);
            branches.filter_map(|(name, _)| Some((node.function(name)?, 1))).collect()
        }
        "Case" | "StatelessCase" => match node.attribute("branches") {
            Some(Attr::List(list)) => list.functions.iter().map(|f| (f.name.as_str(), 1)).collect(),
            _ => Vec::new(),
        },
        op if library.functions.contains_key(op) => vec![(op, 0)],
        _ => node.function("f").map(|function| (function, 0)).into_iter().collect(),
    }
}

/// The variable that a node passes on.
fn handle<'m>(body: &Body<'m>, given: &HashMap<&'m str, Source<'m>>, name: &'m str) -> Option<&'m str> {
    let mut name = name;
    // Chains of copies are short; the bound guards against a cycle.
    for _ in 0..16 {
        match given.get(name) {
            Some(Source::Handle(handle)) => return Some(handle),
            Some(_) => return None,
            None => (),
        }
        let node: &'m NodeDef = body.nodes.get(name)?;
        match node.op.as_str() {
            "VarHandleOp" | "VariableV2" | "Variable" => return Some(&node.name),
            "Identity" => name = reference(node.inputs.first()?)?.0,
            _ => return None,
        }
    }
    None
}

/// The nodes that depend on the model's inputs.
fn following<'m>(body: &Body<'m>, given: &HashMap<&'m str, Source<'m>>) -> HashSet<&'m str> {
    let mut readers: HashMap<&'m str, Vec<&'m str>> = HashMap::new();
    for node in body.nodes.values().copied() {
        for (name, ..) in node.inputs.iter().filter_map(|input| reference(input)) {
            readers.entry(name).or_default().push(&node.name);
        }
    }
    let from = given.iter().filter(|(_, source)| **source == Source::Input).map(|(name, _)| *name);
    let mut following: HashSet<&'m str> = from.collect();
    let mut open: Vec<&'m str> = following.iter().copied().collect();
    while let Some(name) = open.pop() {
        for &reader in readers.get(name).into_iter().flatten() {
            if following.insert(reader) {
                open.push(reader);
            }
        }
    }
    following
}
