//! Which layers of a model over a window can go on with a stream.
//!
//! A window moves on by `hop` frames with each inference. Of a value that goes frame by frame all but the last frames are
//! those of the inference before, some frames further on: only those have to be computed. That holds for frames that no
//! padding at the window's beginning has gone into, which are *clean*; what padding at its end goes into would change
//! with what comes later, so a layer with such padding does not go frame by frame.

use std::collections::{HashMap, HashSet};

use super::frames::{Frames, frames, is_still};
use crate::graph::{Graph, ValueId};
use crate::ops;

/// A value that goes on with the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// The dimension that counts time.
    pub axis: usize,
    /// Frames in the window.
    pub frames: usize,
    /// Frames of the input for each.
    pub rate: usize,
    /// The first clean frame.
    pub clean: usize,
}

/// What goes on with the stream.
pub(super) struct Courses {
    /// Frames of the input that an inference takes.
    pub hop: usize,
    pub of: HashMap<ValueId, Course>,
    /// Of each layer that goes on, how it reads its operands, in their order.
    pub layers: HashMap<usize, Vec<Option<Frames>>>,
}

impl Courses {
    /// The courses along a dimension of the inputs, as far as they lead.
    pub(super) fn along(graph: &Graph, axis: usize) -> Courses {
        let mut whole = HashSet::new();
        loop {
            let courses = Courses::without(graph, axis, &whole);
            match courses.broken(graph) {
                // Each round takes one layer away.
                Some(layer) => whole.insert(layer),
                None => return courses,
            };
        }
    }

    /// New frames of a value in each inference.
    pub(super) fn new_frames(&self, course: &Course) -> usize {
        self.hop / course.rate
    }

    /// Multiply-accumulates that an inference saves.
    pub(super) fn saved(&self, graph: &Graph) -> u64 {
        let saved = |(&layer, _): (&usize, &Vec<Option<Frames>>)| {
            let node = &graph.nodes[layer];
            let course = &self.of[&node.outputs[0]];
            let old = course.frames - self.new_frames(course);
            (u128::from(ops::macs(graph, node)) * old as u128 / course.frames as u128) as u64
        };
        self.layers.iter().map(saved).sum()
    }

    fn without(graph: &Graph, axis: usize, whole: &HashSet<usize>) -> Courses {
        let mut of = HashMap::new();
        let length = graph.inputs.iter().find_map(|&id| graph.value(id).shape.get(axis).copied());
        for &id in &graph.inputs {
            let frames = graph.value(id).shape.get(axis).copied();
            if let Some(frames) = frames.filter(|_| frames == length) {
                of.insert(id, Course { axis, frames, rate: 1, clean: 0 });
            }
        }
        let mut layers = HashMap::new();
        for index in (0..graph.nodes.len()).filter(|index| !whole.contains(index)) {
            if let Some((reads, courses)) = go_on(graph, index, &of) {
                of.extend(courses);
                layers.insert(index, reads);
            }
        }
        let hop = of.values().map(|course: &Course| course.rate).fold(1, least_common_multiple);
        Courses { hop, of, layers }
    }

    /// A layer that cannot go on as it was thought.
    fn broken(&self, graph: &Graph) -> Option<usize> {
        let mut whole: HashSet<ValueId> = graph.outputs.iter().copied().collect();
        let others = graph.nodes.iter().enumerate().filter(|(index, _)| !self.layers.contains_key(index));
        whole.extend(others.flat_map(|(_, node)| node.inputs.iter().flatten()));
        let mut layers: Vec<usize> = self.layers.keys().copied().collect();
        layers.sort_unstable();
        let fastest = self.of.values().any(|course| self.new_frames(course) > course.frames);
        if fastest {
            // The hop is too large for a window.
            let slowest = |layer: &usize| (self.of[&graph.nodes[*layer].outputs[0]].rate, *layer);
            return layers.into_iter().max_by_key(slowest);
        }
        layers.into_iter().find(|layer| {
            graph.nodes[*layer].outputs.iter().any(|id| {
                let course = &self.of[id];
                let unclean = course.clean + self.new_frames(course) > course.frames;
                unclean || course.clean > 0 && whole.contains(id)
            })
        })
    }
}

/// How a layer reads its operands, in their order, and its results.
type GoesOn = (Vec<Option<Frames>>, Vec<(ValueId, Course)>);

/// How a layer reads its operands and what its results are, if it goes frame by frame.
fn go_on(graph: &Graph, index: usize, of: &HashMap<ValueId, Course>) -> Option<GoesOn> {
    let node = &graph.nodes[index];
    let mut reads = Vec::new();
    let mut result: Option<(Frames, Course)> = None;
    for (position, operand) in node.inputs.iter().enumerate() {
        let Some(course) = operand.and_then(|id| of.get(&id)) else {
            reads.push(None);
            continue;
        };
        let read = frames(graph, node, position, course.axis)?;
        let clean = (course.clean as isize - read.first).max(0) as usize;
        let next = Course {
            axis: read.axis,
            frames: *graph.value(node.outputs[0]).shape.get(read.axis)?,
            rate: course.rate * read.stride,
            clean: clean.div_ceil(read.stride),
        };
        // No padding at the end.
        if next.frames == 0 || read.read(0, next.frames).1 > course.frames as isize {
            return None;
        }
        result = match result {
            None => Some((read, next)),
            Some((other, before)) => {
                let same = other == read && before.rate == next.rate;
                let clean = before.clean.max(next.clean);
                Some((read, Course { clean, ..next })).filter(|_| same)
            }
        };
        result?;
        reads.push(Some(read));
    }
    let (_, course) = result?;
    for (position, read) in reads.iter().enumerate() {
        if read.is_none() && !is_still(graph, node, position, course.axis) {
            return None;
        }
    }
    let results = node.outputs.iter().map(|&id| (id, course)).collect::<Vec<_>>();
    let agree = results.iter().all(|(id, _)| graph.value(*id).shape.get(course.axis) == Some(&course.frames));
    agree.then_some((reads, results))
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}
