//! The basic changes that passes make: remove a node, merge two nodes, add a constant.

use crate::graph::{Constant, Graph, Node, Op, Quantization, Value, ValueId};

/// The only node that reads a value. `None` if the value has several reading operands or is an output of the
/// model.
pub(super) fn only_reader(graph: &Graph, id: ValueId) -> Option<usize> {
    if graph.is_output(id) {
        return None;
    }
    let mut readers = graph.nodes.iter().enumerate().flat_map(|(index, node)| {
        node.inputs.iter().flatten().filter(move |&&input| input == id).map(move |_| index)
    });
    let first = readers.next()?;
    readers.next().is_none().then_some(first)
}

/// The writer and the readers of each value, so that no pass has to search all nodes for them. While it
/// exists, nodes keep their indices; removed nodes stay without operands and results until [`Links::sweep`].
pub(super) struct Links {
    writers: Vec<Option<usize>>,
    /// One entry for each reading operand.
    readers: Vec<Vec<usize>>,
    removed: Vec<bool>,
}

impl Links {
    pub(super) fn of(graph: &Graph) -> Links {
        let (mut writers, mut readers) =
            (vec![None; graph.values.len()], vec![Vec::new(); graph.values.len()]);
        for (index, node) in graph.nodes.iter().enumerate() {
            node.outputs.iter().for_each(|id| writers[id.0] = Some(index));
            node.inputs.iter().flatten().for_each(|id| readers[id.0].push(index));
        }
        Links { writers, readers, removed: vec![false; graph.nodes.len()] }
    }

    /// The node that writes a value.
    pub(super) fn writer(&self, id: ValueId) -> Option<usize> {
        self.writers.get(id.0).copied().flatten()
    }

    /// The nodes that read a value, once for each operand that does.
    pub(super) fn readers(&self, id: ValueId) -> &[usize] {
        self.readers.get(id.0).map_or(&[], Vec::as_slice)
    }

    /// Like [`only_reader`].
    pub(super) fn only_reader(&self, graph: &Graph, id: ValueId) -> Option<usize> {
        match self.readers(id) {
            &[reader] if !graph.is_output(id) => Some(reader),
            _ => None,
        }
    }

    /// Makes a node read another value. If the node has no operand at this position yet, it gets one.
    pub(super) fn set_input(&mut self, graph: &mut Graph, node: usize, position: usize, id: ValueId) {
        self.readers.resize(graph.values.len(), Vec::new());
        let inputs = &mut graph.nodes[node].inputs;
        inputs.resize(inputs.len().max(position + 1), None);
        if let Some(old) = inputs[position].replace(id) {
            self.forget(old, node);
        }
        self.readers[id.0].push(node);
    }

    /// Makes a node read exactly these values.
    pub(super) fn set_inputs(&mut self, graph: &mut Graph, node: usize, ids: &[ValueId]) {
        for id in std::mem::take(&mut graph.nodes[node].inputs).into_iter().flatten() {
            self.forget(id, node);
        }
        for (position, &id) in ids.iter().enumerate() {
            self.set_input(graph, node, position, id);
        }
    }

    /// Removes a node, and leaves an empty one in its place.
    pub(super) fn remove(&mut self, graph: &mut Graph, index: usize) -> Node {
        let empty = Node { name: String::new(), op: Op::Reshape, inputs: Vec::new(), outputs: Vec::new() };
        let node = std::mem::replace(&mut graph.nodes[index], empty);
        node.inputs.iter().flatten().for_each(|&id| self.forget(id, index));
        for id in &node.outputs {
            if self.writers[id.0] == Some(index) {
                self.writers[id.0] = None;
            }
        }
        self.removed[index] = true;
        node
    }

    /// Records that one operand fewer reads a value.
    fn forget(&mut self, id: ValueId, reader: usize) {
        let readers = &mut self.readers[id.0];
        if let Some(place) = readers.iter().position(|&r| r == reader) {
            readers.remove(place);
        }
    }

    /// Removes the node at `index`, whose only result has the same elements as `source`. Returns false if the
    /// result is an output of the model and cannot be written in place of `source`.
    pub(super) fn bypass(&mut self, graph: &mut Graph, index: usize, source: ValueId) -> bool {
        let result = graph.nodes[index].outputs[0];
        if !graph.is_output(result) {
            self.redirect(graph, result, source);
            self.remove(graph, index);
            return true;
        }
        let Some(writer) = self.writer(source) else { return false };
        let same = graph.value(source).shape == graph.value(result).shape;
        if graph.is_output(source) || !same {
            return false;
        }
        self.remove(graph, index);
        // The model's output keeps its name: the writer of `source` now writes it.
        for output in &mut graph.nodes[writer].outputs {
            if *output == source {
                *output = result;
            }
        }
        self.writers[source.0] = None;
        self.writers[result.0] = Some(writer);
        if let Some(kind) = graph.authored.remove(&source) {
            graph.authored.insert(result, kind);
        }
        self.redirect(graph, source, result);
        true
    }

    /// Makes all readers of `from` read `to`.
    fn redirect(&mut self, graph: &mut Graph, from: ValueId, to: ValueId) {
        let readers = std::mem::take(&mut self.readers[from.0]);
        for &reader in &readers {
            for input in graph.nodes[reader].inputs.iter_mut().flatten() {
                if *input == from {
                    *input = to;
                }
            }
        }
        self.readers[to.0].extend(readers);
    }

    /// Like [`merge`].
    pub(super) fn merge(&mut self, graph: &mut Graph, first: usize, second: usize) {
        let node = self.remove(graph, second);
        for id in &node.outputs {
            self.writers[id.0] = Some(first);
        }
        take_over(graph, first, node);
    }

    /// Drops the removed nodes.
    pub(super) fn sweep(self, graph: &mut Graph) {
        let mut removed = self.removed.into_iter();
        graph.nodes.retain(|_| !removed.next().unwrap_or(false));
    }
}

/// Makes the node at `first` write what the one at `second`, its only reader, wrote, under the second one's
/// name.
pub(super) fn merge(graph: &mut Graph, first: usize, second: usize) {
    let node = graph.nodes.remove(second);
    // A reader comes after what it reads, so `first` has not moved.
    take_over(graph, first, node);
}

/// Makes a node write what `node` wrote, under its name.
fn take_over(graph: &mut Graph, first: usize, node: Node) {
    let old = std::mem::replace(&mut graph.nodes[first].outputs, node.outputs);
    let kind = old.first().and_then(|old| graph.authored.remove(old));
    if let Some((kind, &new)) = kind.zip(graph.nodes[first].outputs.first()) {
        graph.authored.insert(new, kind);
    }
    graph.nodes[first].name = node.name;
}

/// Adds a constant.
pub(super) fn add_constant(
    graph: &mut Graph,
    name: String,
    shape: Vec<usize>,
    constant: Constant,
    quantization: Option<Quantization>,
) -> ValueId {
    let dtype = constant.dtype();
    graph.add_value(Value { name, shape, dtype, quantization, constant: Some(constant) })
}
