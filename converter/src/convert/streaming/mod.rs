//! A model over a window of a signal becomes one over the signal: `--streaming`.
//!
//! Each inference takes the frames that are new since the one before, and answers what the model would for the window
//! that ends with them. Layers that go frame by frame compute their new frames only (`course`); what the next layer reads
//! of older frames is state. Before the first inference the signal is zeros.
//!
//! ```text
//! window:  input [1, 49, 40] ─ CONV_2D 3 over time ─ [1, 47, 16] ─ … ─ FULLY_CONNECTED over all frames
//! stream:  input [1, 1, 40] ─ CONCATENATION with the 2 frames before ─ CONV_2D ─ [1, 1, 16]
//!          ─ CONCATENATION with the 46 frames before ─ … ─ FULLY_CONNECTED
//! ```
//! The finished graph is run beside the one that it was made of, on a signal of random numbers: answers are equal, byte
//! by byte, or there is no file.

mod course;
mod frames;
mod proof;

use std::collections::HashMap;

use self::course::{Course, Courses};
use self::frames::{Frames, shortened};
use crate::emit;
use crate::error::{Error, Result};
use crate::graph::{Activation, Concat, Graph, Node, Op, Slice, State, Value, ValueId};
use crate::model_file::ModelFile;
use crate::{ops, passes, text};

/// The streaming form of a quantized graph over windows, and what it takes, in words.
///
/// # Errors
/// If the model keeps state already, and if no layer with weights goes on with a stream.
pub fn streaming(graph: &Graph) -> Result<(Graph, String)> {
    if let Some(state) = graph.states.first() {
        return Err(Error::input(format!("the model has state (`{}`) already", state.name))
            .help("leave --streaming out: the model takes a stream as it is"));
    }
    let ranks = graph.inputs.iter().map(|&id| graph.value(id).shape.len()).max().unwrap_or(0);
    let courses = (1..ranks).map(|axis| (axis, Courses::along(graph, axis)));
    // Of dimensions that save the same the first.
    let best = courses.rev().max_by_key(|(_, courses)| courses.saved(graph));
    let (axis, courses) =
        best.filter(|(_, courses)| courses.saved(graph) > 0).ok_or_else(|| refusal(graph))?;
    let mut turn = Turn { graph: graph.clone(), windows: graph, courses: &courses, parts: HashMap::new() };
    turn.run(&proof::before(graph, &courses)?)?;
    let mut stream = turn.graph;
    passes::optimise(&mut stream);
    let inferences = proof::equal(graph, &stream, axis, courses.hop)?;

    let all: u64 = graph.nodes.iter().map(|node| ops::macs(graph, node)).fold(0, u64::saturating_add);
    let share = 100.0 * (all - courses.saved(graph).min(all)) as f64 / all.max(1) as f64;
    let length = graph.inputs.iter().find_map(|id| courses.of.get(id)).map_or(0, |course| course.frames);
    let note = format!(
        "streaming: an inference takes {} of {length} frames along dimension {axis} and {share:.1} % of the \
         multiplications; it answered as over windows in {inferences} inferences in a row",
        courses.hop
    );
    Ok((stream, note))
}

/// Why no layer goes on with a stream: the first one that does not.
fn refusal(graph: &Graph) -> Error {
    let weighted = graph.nodes.iter().find(|node| ops::macs(graph, node) > 0);
    let error = match weighted {
        Some(node) => Error::layer(
            &node.name,
            graph.kind(node),
            "does not go frame by frame along any dimension of the inputs, so that nothing can be kept of a window",
        ),
        None => Error::input("no layer has weights, so that nothing would be saved"),
    };
    error.help(
        "streaming needs layers that see a part of the window only, and no padding at the window's end: train with \
         padding `valid`, or `causal` where only the last frames are read; or leave --streaming out",
    )
}

/// The frames `from..` of a value, up to its last one.
#[derive(Clone, Copy)]
struct Part {
    value: ValueId,
    from: usize,
}

struct Turn<'g> {
    graph: Graph,
    /// The graph over windows.
    windows: &'g Graph,
    courses: &'g Courses,
    /// What is there of each value that goes on.
    parts: HashMap<ValueId, Part>,
}

impl Turn<'_> {
    /// Replaces all values that go on by their new frames, and what is read of older ones by state.
    fn run(&mut self, before: &HashMap<ValueId, proof::Past>) -> Result<()> {
        self.graph.nodes.clear();
        for position in 0..self.windows.inputs.len() {
            let id = self.windows.inputs[position];
            if self.courses.of.contains_key(&id) {
                let new = self.new_frames(id);
                self.graph.inputs[position] = new;
                self.keep(id, new, before)?;
            }
        }
        for (index, node) in self.windows.nodes.iter().enumerate() {
            let Some(reads) = self.courses.layers.get(&index) else {
                self.graph.nodes.push(node.clone());
                continue;
            };
            let mut shorter = node.clone();
            for (operand, read) in shorter.inputs.iter_mut().zip(reads) {
                if let (Some(id), Some(read)) = (*operand, read) {
                    let course = self.courses.of[&id];
                    let (from, to) = self.read(*read, &self.courses.of[&node.outputs[0]]);
                    *operand = Some(self.cut(id, (from, to), &node.name));
                    let count = self.courses.new_frames(&self.courses.of[&node.outputs[0]]);
                    shorter.op = shortened(&node.op, course.axis, count);
                }
            }
            let new: Vec<ValueId> = node.outputs.iter().map(|&id| self.new_frames(id)).collect();
            shorter.outputs = new.clone();
            self.graph.nodes.push(shorter);
            for (&id, new) in node.outputs.iter().zip(new) {
                self.keep(id, new, before)?;
            }
        }
        Ok(())
    }

    /// The frames of an operand that the new frames of a result read.
    fn read(&self, read: Frames, result: &Course) -> (usize, usize) {
        read_of(self.courses, read, result)
    }

    /// The value of the new frames of another.
    fn new_frames(&mut self, id: ValueId) -> ValueId {
        let course = self.courses.of[&id];
        let count = self.courses.new_frames(&course);
        if count == course.frames {
            return id;
        }
        let new = self.part_of(id, count, "");
        // The author's name is that of the new frames, but for an output, which is all of the window.
        let renamed = if self.windows.is_output(id) { new } else { id };
        let word = if renamed == new { "new" } else { "window" };
        let name = format!("{}/{word}", self.windows.value(id).name);
        self.graph.value_mut(renamed).name = name;
        new
    }

    /// A value like another, with this many frames.
    fn part_of(&mut self, id: ValueId, count: usize, word: &str) -> ValueId {
        let like = self.windows.value(id);
        let mut shape = like.shape.clone();
        shape[self.courses.of[&id].axis] = count;
        let new = Value { name: format!("{}{word}", like.name), shape, ..like.clone() };
        let new = self.graph.add_value(new);
        if self.windows.from_uint8.contains(&id) {
            self.graph.from_uint8.insert(new);
        }
        if let Some(kind) = self.windows.authored.get(&id).filter(|_| word.is_empty()) {
            self.graph.authored.insert(new, kind.clone());
        }
        new
    }

    /// Puts what was kept of a value before its new frames.
    fn keep(&mut self, id: ValueId, new: ValueId, before: &HashMap<ValueId, proof::Past>) -> Result<()> {
        let course = self.courses.of[&id];
        let count = self.courses.new_frames(&course);
        let Some(past) = before.get(&id) else {
            self.parts.insert(id, Part { value: new, from: course.frames - count });
            return Ok(());
        };
        let (from, kept) = (past.from, course.frames - count - past.from);
        let old = self.part_of(id, kept, "/before");
        let all = if from == 0 { id } else { self.part_of(id, course.frames - from, "/since") };
        let next = self.part_of(id, kept, "/kept");
        let name = self.windows.value(id).name.clone();
        let op = Op::Concat(Concat { axis: course.axis, activation: Activation::None });
        self.graph.nodes.push(Node {
            name: format!("{name}/since"),
            op,
            inputs: vec![Some(old), Some(new)],
            outputs: vec![all],
        });
        self.slice((all, next), course.axis, count, format!("{name}/kept"));
        let initial = past.elements.clone();
        self.graph.states.push(State { name, value: old, initial, next, from: 0 });
        self.parts.insert(id, Part { value: all, from });
        Ok(())
    }

    /// Some frames of a value.
    fn cut(&mut self, id: ValueId, (from, to): (usize, usize), reader: &str) -> ValueId {
        let (course, part) = (self.courses.of[&id], self.parts[&id]);
        if (from, to) == (part.from, course.frames) {
            return part.value;
        }
        let cut = self.part_of(id, to - from, &format!("/for/{reader}"));
        let name = self.graph.value(cut).name.clone();
        self.slice((part.value, cut), course.axis, from - part.from, name);
        cut
    }

    fn slice(&mut self, (from, to): (ValueId, ValueId), axis: usize, first: usize, name: String) {
        let size = self.graph.value(to).shape.clone();
        let mut begin = vec![0; size.len()];
        begin[axis] = first;
        let op = Op::Slice(Slice { begin, stride: vec![1; size.len()], size });
        self.graph.nodes.push(Node { name, op, inputs: vec![Some(from)], outputs: vec![to] });
    }
}

/// The frames of an operand that the new frames of a result read.
fn read_of(courses: &Courses, read: Frames, result: &Course) -> (usize, usize) {
    let first_new = result.frames - courses.new_frames(result);
    let (from, to) = read.read(first_new, result.frames);
    // Clean results read no padding.
    (from.max(0) as usize, to.max(0) as usize)
}

/// The first frame of each value that is read, of those that go on.
fn first_read(graph: &Graph, courses: &Courses) -> HashMap<ValueId, usize> {
    let mut first: HashMap<ValueId, usize> = HashMap::new();
    let mut read = |id: ValueId, from: usize| {
        if courses.of.contains_key(&id) {
            first.entry(id).and_modify(|first| *first = from.min(*first)).or_insert(from);
        }
    };
    graph.outputs.iter().for_each(|&id| read(id, 0));
    for (index, node) in graph.nodes.iter().enumerate() {
        let reads = courses.layers.get(&index);
        for (position, &operand) in node.inputs.iter().enumerate() {
            let Some(id) = operand else { continue };
            match reads.map(|reads| reads[position]) {
                Some(Some(frames)) => read(id, read_of(courses, frames, &courses.of[&node.outputs[0]]).0),
                Some(None) => {}
                None => read(id, 0),
            }
        }
    }
    first
}

/// A finished file of a graph.
fn file(graph: &Graph) -> Result<ModelFile> {
    let emitted = emit::compile(graph, &emit::Options::default())?;
    Ok(ModelFile::from_bytes(text::layer(&graph.name), &emitted.bytes).with_operators(graph.op_set()))
}
