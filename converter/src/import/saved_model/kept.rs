//! Variables that a signature assigns and reads: state of the graph.
//!
//! What an inference begins with is a value that no layer writes. A read gives what was assigned last, as far as the
//! function has gone; what was assigned last of all is what the state keeps. TensorFlow orders reads and assignments
//! of one variable by control dependencies, which are followed here. All nodes with effects of the functions that a
//! signature calls run, whether a result needs them or not.

use std::collections::{BTreeMap, HashMap};

use super::library::{Attributes, Body, DEEPEST, Library};
use super::proto::NodeDef;
use super::tensor::Tensor;
use crate::graph::ValueId;

/// The variables that are state, by their handles.
#[derive(Clone, Default)]
pub(super) struct Kept<'m> {
    pub(super) all: BTreeMap<String, Held>,
    /// Whether those that nothing reads or assigns are state, too.
    pub(super) complete: bool,
    /// Whether functions assign variables.
    effects: HashMap<&'m str, bool>,
}

/// A variable that is state.
#[derive(Clone, Default)]
pub(super) struct Held {
    /// Its value when an inference begins, if something reads that.
    pub(super) first: Option<ValueId>,
    /// What it was assigned last.
    pub(super) current: Option<Tensor>,
}

/// What the variables are at some place of a function.
pub(super) type Moment = BTreeMap<String, Option<Tensor>>;

impl<'m> Kept<'m> {
    pub(super) fn of(handles: Vec<String>) -> Kept<'m> {
        let all = handles.into_iter().map(|handle| (handle, Held::default())).collect();
        Kept { all, complete: false, effects: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn has(&self, handle: &str) -> bool {
        self.all.contains_key(handle)
    }

    /// Nodes of a function that assign variables, here or in a function that they call. None where no variable is state,
    /// and none of the outer graph, of which TensorFlow runs only what an output waits for.
    pub(super) fn effects(&mut self, library: &'m Library<'m>, body: &'m Body<'m>) -> Vec<&'m str> {
        if self.all.is_empty() || std::ptr::eq(body, &library.graph) {
            return Vec::new();
        }
        let nodes = body.nodes.values().filter(|node| self.has_effect(library, node, 0));
        let mut names: Vec<&'m str> = nodes.map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn has_effect(&mut self, library: &'m Library<'m>, node: &'m NodeDef, depth: usize) -> bool {
        if is_effect(&node.op) {
            return true;
        }
        let words = ["f", "body", "then_branch", "else_branch"].map(|word| node.function(word));
        let own = Some(node.op.as_str()).filter(|op| library.functions.contains_key(op));
        words.into_iter().flatten().chain(own).any(|name| self.assigns(library, name, depth))
    }

    /// Whether a function assigns variables.
    pub(super) fn assigns(&mut self, library: &'m Library<'m>, name: &str, depth: usize) -> bool {
        if self.all.is_empty() {
            return false;
        }
        let Some((&name, body)) = library.functions.get_key_value(name) else { return false };
        if let Some(&known) = self.effects.get(name) {
            return known;
        }
        // A function that calls itself is refused where it is called.
        self.effects.insert(name, false);
        let found =
            depth < DEEPEST && body.nodes.values().any(|node| self.has_effect(library, node, depth + 1));
        self.effects.insert(name, found);
        found
    }

    /// What the variables are now.
    pub(super) fn now(&self) -> Moment {
        self.all.iter().map(|(handle, held)| (handle.clone(), held.current.clone())).collect()
    }

    /// Goes back to what they were.
    pub(super) fn back(&mut self, moment: &Moment) {
        for (handle, held) in &mut self.all {
            held.current = moment.get(handle).cloned().flatten();
        }
    }

    /// After a layer that cannot be converted, which may assign any of them.
    pub(super) fn lose(&mut self, lost: &[Tensor]) {
        for held in self.all.values_mut() {
            held.current = lost.first().cloned().or(held.current.take());
        }
    }

    pub(super) fn set(&mut self, handle: &str, tensor: Tensor) {
        if let Some(held) = self.all.get_mut(handle) {
            held.current = Some(tensor);
        }
    }
}

/// Whether a node may be waited for because of what it does to variables; others only compute or check something.
pub(super) fn is_ordered(library: &Library<'_>, node: &NodeDef) -> bool {
    const OTHERS: &[&str] =
        &["ReadVariableOp", "ResourceGather", "Identity", "IdentityN", "NoOp", "If", "While"];
    is_effect(&node.op)
        || OTHERS.contains(&node.op.as_str())
        || node.op.ends_with("PartitionedCall")
        || library.functions.contains_key(node.op.as_str())
}

/// Whether an operator changes a variable.
pub(super) fn is_effect(op: &str) -> bool {
    op.starts_with("Assign") && op.ends_with("VariableOp")
        || op == "ResourceStridedSliceAssign"
        || op.starts_with("ResourceScatter")
        || op.starts_with("ResourceApply")
}
