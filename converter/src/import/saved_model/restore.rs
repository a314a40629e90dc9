//! Which variable of the checkpoint each handle of the graph stands for.
//!
//! A SavedModel says so in the graph that restores it, which TensorFlow's own loaders run: `RestoreV2`
//! lists names of the checkpoint, and each of its results is assigned to a handle. Handles that this does
//! not reach are looked for under their `shared_name`, as version 1 named variables.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::bundle::Bundle;
use super::known::Known;
use super::library::{Attributes, Body, Library, reference};
use super::proto::NodeDef;

/// The variables by the names of their handles.
pub(super) struct Variables<'m> {
    bundle: Bundle,
    /// Name in the checkpoint by name of the handle's node.
    keys: HashMap<&'m str, String>,
    library: &'m Library<'m>,
    read: RefCell<HashMap<String, Rc<Known>>>,
}

impl<'m> Variables<'m> {
    /// Finds the names through the node `restore` of the outer graph.
    pub(super) fn new(bundle: Bundle, library: &'m Library<'m>, restore: &str) -> Variables<'m> {
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
        Variables { bundle, keys, library, read: RefCell::default() }
    }

    /// The elements of the variable with that handle.
    pub(super) fn read(&self, handle: &str) -> Result<Rc<Known>, String> {
        if let Some(known) = self.read.borrow().get(handle) {
            return Ok(known.clone());
        }
        let shared = self.library.graph.nodes.get(handle).and_then(|node| node.text("shared_name"));
        let fallbacks = shared.into_iter().chain([handle]).map(str::to_string);
        let mut candidates = self.keys.get(handle).cloned().into_iter().chain(fallbacks);
        let key = candidates.clone().find(|key| self.bundle.contains(key)).or_else(|| candidates.next());
        let key = key.unwrap_or_default();
        let known = self
            .bundle
            .read(&key, handle)
            .map_err(|what| format!("variable `{handle}` (`{key}` in the checkpoint): {what}"))?;
        self.read.borrow_mut().insert(handle.into(), known.clone());
        Ok(known)
    }
}

/// Collects what `RestoreV2` nodes of a graph assign to which handles.
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

/// The name in the checkpoint of a tensor that was restored, through copies.
fn restored<'m>(body: &Body<'m>, mut value: (&'m str, &'m str, usize)) -> Option<String> {
    // Chains are one or two nodes long; a circle must not hold us.
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
