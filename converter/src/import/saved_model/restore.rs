//! Finds the variable of the checkpoint for each handle of the graph.
//!
//! Files of TensorFlow 2 number their objects: the `captures` of the function that a signature calls are the
//! objects of its last operands, and the checkpoint lists the same objects with the keys of their elements.
//! This holds for any names of the handles, and also if the restoring graph writes to copies, as in models of
//! Keras 3.
//!
//! Files of TensorFlow 1 contain the answer in the graph that restores them, which TensorFlow's own loaders
//! run: `RestoreV2` lists names of the checkpoint, and each of its results is assigned to a handle. Handles
//! that neither way finds are looked up by their `shared_name`, as version 1 named variables.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::bundle::Bundle;
use super::known::Known;
use super::library::{Attributes, Body, Library, reference};
use super::proto::{NodeDef, SavedObjects};
use crate::error::{Error, Result};
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// The variables, by the names of their handles.
pub(super) struct Variables<'m> {
    bundle: Bundle,
    /// Name in the checkpoint, by the name of the handle's node.
    keys: HashMap<&'m str, String>,
    /// The problem with the lists of objects, for the error when a variable is not found.
    problem: Option<Error>,
    library: &'m Library<'m>,
    read: RefCell<HashMap<String, Rc<Known>>>,
}

impl<'m> Variables<'m> {
    /// Finds the names by the `objects` of the file, and by the node `restore` of the outer graph.
    pub(super) fn new(
        bundle: Bundle,
        library: &'m Library<'m>,
        objects: Option<&SavedObjects>,
        restore: &str,
    ) -> Variables<'m> {
        let mut keys = HashMap::new();
        let node = library.graph.nodes.get(restore.split(':').next().unwrap_or_default()).copied();
        match node.and_then(|node| Some((node, library.functions.get(node.function("f")?)?))) {
            Some((node, body)) => {
                let passed: Vec<&'m str> = node.inputs.iter().filter_map(|i| Some(reference(i)?.0)).collect();
                let parameters: HashMap<&str, &'m str> =
                    body.parameters.iter().copied().zip(passed).collect();
                assignments(body, &|handle| parameters.get(handle).copied(), &mut keys);
            }
            None => assignments(&library.graph, &|handle| Some(handle), &mut keys),
        }
        let captured = objects.map(|objects| captures(&bundle, library, objects, &mut keys));
        let problem = captured.and_then(Result::err);
        Variables { bundle, keys, problem, library, read: RefCell::default() }
    }

    /// Whether the elements of the variable with that handle were read.
    pub(super) fn was_read(&self, handle: &str) -> bool {
        self.read.borrow().contains_key(handle)
    }

    /// The handles of all variables whose elements were read.
    pub(super) fn all_read(&self) -> BTreeSet<String> {
        self.read.borrow().keys().cloned().collect()
    }

    /// The elements of the variable with that handle.
    pub(super) fn read(&self, handle: &str) -> Result<Rc<Known>, Refusal> {
        if let Some(known) = self.read.borrow().get(handle) {
            return Ok(known.clone());
        }
        let shared = self.library.graph.nodes.get(handle).and_then(|node| node.text("shared_name"));
        let fallbacks = shared.into_iter().chain([handle]).map(str::to_string);
        let mut candidates = self.keys.get(handle).cloned().into_iter().chain(fallbacks);
        let key = candidates.clone().find(|key| self.bundle.contains(key)).or_else(|| candidates.next());
        let key = key.unwrap_or_default();
        if let Some(reason) = self.bundle.unsupported(&key) {
            return Err(Refusal::Unsupported(format!("variable `{handle}`: {reason}")));
        }
        let known = self.bundle.read(&key, handle).map_err(|error| {
            match self.problem.as_ref().filter(|_| !self.bundle.contains(&key)) {
                Some(problem) => problem.clone().context(format!("variable `{handle}`")),
                None => error.context(format!("variable `{handle}` (`{key}` in the checkpoint)")),
            }
        })?;
        self.read.borrow_mut().insert(handle.into(), known.clone());
        Ok(known)
    }
}

/// Collects the names of the variables that functions of the outer graph capture.
fn captures<'m>(
    bundle: &Bundle,
    library: &'m Library<'m>,
    objects: &SavedObjects,
    keys: &mut HashMap<&'m str, String>,
) -> Result<()> {
    let Some(stored) = bundle.objects()? else { return Ok(()) };
    for &node in library.graph.nodes.values() {
        let Some(function) = node.function("f") else { continue };
        let Some(captures) = objects.functions.get(function).map(|f| &f.captures) else { continue };
        let operands: Vec<&'m str> = node.inputs.iter().filter_map(|i| Some(reference(i)?.0)).collect();
        let Some(first) = operands.len().checked_sub(captures.len()) else {
            let (found, count) = (operands.len(), captures.len());
            let message = format!("function `{function}` captures {count} objects, but is given {found}");
            return Err(damaged(message));
        };
        for (&handle, &number) in operands[first..].iter().zip(captures) {
            let object = usize::try_from(number).ok().and_then(|number| stored.nodes.get(number));
            let object = object.ok_or_else(|| {
                let count = stored.nodes.len();
                damaged(format!(
                    "function `{function}` captures object {number}, but the file has {count} objects"
                ))
            })?;
            let value = object.attributes.iter().find(|attribute| attribute.name == "VARIABLE_VALUE");
            if let Some(value) = value.filter(|value| bundle.contains(&value.key)) {
                keys.insert(handle, value.key.clone());
            }
        }
    }
    Ok(())
}

/// Collects the handles to which a graph assigns results of `RestoreV2` nodes.
fn assignments<'m>(
    body: &Body<'m>,
    handle_of: &dyn Fn(&'m str) -> Option<&'m str>,
    keys: &mut HashMap<&'m str, String>,
) {
    for &node in body.nodes.values() {
        if !matches!(node.op.as_str(), "AssignVariableOp" | "Assign") {
            continue;
        }
        let [handle, value] = [0, 1].map(|i| node.inputs.get(i).and_then(|input| reference(input)));
        let (Some((handle, ..)), Some(value)) = (handle, value) else { continue };
        if let (Some(handle), Some(key)) = (handle_of(handle), restored(body, value)) {
            keys.insert(handle, key);
        }
    }
}

/// The name in the checkpoint of a restored tensor, possibly through copies.
fn restored<'m>(body: &Body<'m>, mut value: (&'m str, &'m str, usize)) -> Option<String> {
    // Chains are one or two nodes long; the bound guards against a cycle.
    for _ in 0..8 {
        let node: &'m NodeDef = body.nodes.get(value.0).copied()?;
        if node.op == "RestoreV2" {
            let names = body.nodes.get(reference(node.inputs.get(1)?)?.0)?;
            let name = names.tensor("value")?.strings.get(value.2)?;
            return String::from_utf8(name.clone()).ok();
        }
        if !matches!(node.op.as_str(), "Identity" | "Cast") {
            return None;
        }
        let input = node.inputs.first()?;
        value = reference(input)?;
    }
    None
}
