//! A variable of real numbers that is made of several tensors, and only read in these parts, becomes one for each: hidden and
//! cell states that an author has stacked are of different sizes, and get a scale of their own each.
//!
//! Where elements come from and go to is found by running the nodes that only move elements on the elements' numbers, from 1
//! on: 0 is what none of them was.

use std::collections::HashMap;

use crate::graph::{Constant, DType, Graph, Node, State, Value, ValueId};
use crate::ops;
use crate::reference::execute_node;

/// Elements of a variable whose numbers are exact in float32.
const MOST: usize = 1 << 24;

/// Takes variables apart; returns how many.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    let mut number = 0;
    while number < graph.states.len() && graph.shared_states.is_empty() {
        match parts(graph, number) {
            Some(parts) => {
                let taken = parts.len();
                take(graph, number, parts);
                (count, number) = (count + 1, number + taken);
            }
            None => number += 1,
        }
    }
    if count > 0 {
        super::dead::run(graph);
    }
    count
}

/// A part of a variable: what it becomes, who reads it, and its first elements.
struct Part {
    next: ValueId,
    read: ValueId,
    initial: Vec<f32>,
}

/// The parts of a variable, if it has several, and all that is read of it is parts.
fn parts(graph: &Graph, number: usize) -> Option<Vec<Part>> {
    let state = &graph.states[number];
    let value = graph.value(state.value);
    let Constant::F32(initial) = &state.initial else { return None };
    let elements = value.elements();
    let whole = state.from == 0 && graph.value(state.next).elements() == elements;
    if !whole || value.dtype != DType::Float32 || elements > MOST {
        return None;
    }
    let (sources, made) = sources(graph, state.next)?;
    if sources.len() < 2 || sources.contains(&state.value) {
        return None;
    }
    let leaves = leaves(graph, state.value)?;
    let mut parts: Vec<Part> = Vec::new();
    for (read, places) in leaves {
        // Which source, and which element of it, each element of the leaf was.
        let mut first = None;
        for (index, &place) in places.iter().enumerate() {
            let (source, element) = made[place];
            if element != index || *first.get_or_insert(source) != source {
                return None;
            }
        }
        let next = sources[first?];
        let complete = graph.value(next).elements() == places.len();
        if !complete || parts.iter().any(|part| part.next == next) {
            return None;
        }
        parts.push(Part { next, read, initial: places.iter().map(|&place| initial[place]).collect() });
    }
    (!parts.is_empty()).then_some(parts)
}

/// Whether a node only moves elements of real numbers.
fn moves(graph: &Graph, node: &Node) -> bool {
    let float = |id: &ValueId| graph.value(*id).dtype == DType::Float32;
    ops::of(&node.op).copies() && node.inputs.iter().flatten().all(float) && node.outputs.iter().all(float)
}

/// The number of a source, and of an element of it.
type Place = (usize, usize);

/// What a value is made of by nodes that move elements, and for each of its elements the source and the element there.
fn sources(graph: &Graph, made: ValueId) -> Option<(Vec<ValueId>, Vec<Place>)> {
    let producers = graph.producers();
    let (mut sources, mut starts): (Vec<ValueId>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut numbers: HashMap<ValueId, Vec<f32>> = HashMap::new();
    let mut total = 1;
    let mut cone = vec![made];
    let mut nodes = Vec::new();
    while let Some(id) = cone.pop() {
        if numbers.contains_key(&id) {
            continue;
        }
        let mover = producers.get(&id).copied().filter(|&at| moves(graph, &graph.nodes[at]));
        if let Some(at) = mover {
            nodes.push(at);
            cone.extend(graph.nodes[at].inputs.iter().flatten());
            numbers.insert(id, Vec::new());
            continue;
        }
        let value = graph.value(id);
        if value.constant.is_some() || total + value.elements() > MOST {
            return None;
        }
        numbers.insert(id, (total..total + value.elements()).map(|number| number as f32).collect());
        sources.push(id);
        starts.push(total);
        total += value.elements();
    }
    nodes.sort_unstable();
    nodes.dedup();
    for at in nodes {
        move_numbers(graph, &graph.nodes[at], &mut numbers)?;
    }
    let place = |&number: &f32| {
        let source = starts.partition_point(|&start| start <= number as usize).checked_sub(1)?;
        Some((source, number as usize - starts[source]))
    };
    let places = numbers.get(&made)?.iter().map(place).collect::<Option<Vec<_>>>()?;
    Some((sources, places))
}

/// What is read of a value behind nodes that move elements, with the place of each element.
fn leaves(graph: &Graph, value: ValueId) -> Option<Vec<(ValueId, Vec<usize>)>> {
    let mut numbers: HashMap<ValueId, Vec<f32>> = HashMap::new();
    numbers.insert(value, (1..=graph.value(value).elements()).map(|number| number as f32).collect());
    let mut leaves = Vec::new();
    for node in &graph.nodes {
        let read: Vec<ValueId> =
            node.inputs.iter().flatten().copied().filter(|id| numbers.contains_key(id)).collect();
        if read.is_empty() {
            continue;
        }
        if moves(graph, node) && node.inputs.iter().flatten().all(|id| numbers.contains_key(id)) {
            move_numbers(graph, node, &mut numbers)?;
        } else {
            leaves.extend(read);
        }
    }
    if graph.results().any(|id| numbers.contains_key(&id)) {
        return None;
    }
    leaves.sort_unstable_by_key(|id| id.0);
    leaves.dedup();
    let places = |id: &ValueId| -> Option<Vec<usize>> {
        numbers[id].iter().map(|&number| (number as usize).checked_sub(1)).collect()
    };
    leaves.iter().map(|id| Some((*id, places(id)?))).collect()
}

/// Moves the numbers of a node's operands to its results.
fn move_numbers(graph: &Graph, node: &Node, numbers: &mut HashMap<ValueId, Vec<f32>>) -> Option<()> {
    let operands: Vec<&[f32]> = node
        .inputs
        .iter()
        .map(|id| id.and_then(|id| numbers.get(&id)).map_or(&[][..], Vec::as_slice))
        .collect();
    let results = execute_node(graph, node, &operands).ok()?;
    numbers.extend(node.outputs.iter().copied().zip(results));
    Some(())
}

/// Puts parts in the place of a variable.
fn take(graph: &mut Graph, number: usize, parts: Vec<Part>) {
    let state = graph.states.remove(number);
    for (at, part) in parts.into_iter().enumerate() {
        let name = format!("{}/{at}", state.name);
        let shape = graph.value(part.read).shape.clone();
        let value = graph.add_value(Value {
            name: name.clone(),
            shape,
            dtype: DType::Float32,
            quantization: None,
            constant: None,
        });
        for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if *input == Some(part.read) {
                *input = Some(value);
            }
        }
        let own = State { name, value, initial: Constant::F32(part.initial), next: part.next, from: 0 };
        graph.states.insert(number + at, own);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::{Activation, Binary, BinaryKind, Concat, Op, Slice, UnaryKind};
    use crate::reference::Executor;

    #[test]
    fn stacked_states_become_one_each() {
        let mut b = Build::new(&[1, 3]);
        let value = |name: &str, shape: &[usize]| Value {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
            constant: None,
        };
        let old = b.graph.add_value(value("both", &[2, 1, 3]));
        let x = b.input();
        let mut halves = Vec::new();
        for half in 0..2 {
            let slice = Slice { begin: vec![half, 0, 0], size: vec![1, 1, 3], stride: vec![1; 3] };
            let part = b.node(Op::Slice(slice), &[old], &[1, 1, 3]);
            halves.push(b.node(Op::Reshape, &[part], &[1, 3]));
        }
        let add = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
        let sum = b.node(add, &[x, halves[1]], &[1, 3]);
        let tanh = b.node(Op::Unary(UnaryKind::Tanh), &[halves[0]], &[1, 3]);
        let wide: Vec<ValueId> =
            [tanh, sum].into_iter().map(|id| b.node(Op::Reshape, &[id], &[1, 1, 3])).collect();
        let next = b.node(Op::Concat(Concat { axis: 0, activation: Activation::None }), &wide, &[2, 1, 3]);
        let initial = Constant::F32((0..6).map(|i| i as f32).collect());
        b.graph.states.push(State { name: "both".into(), value: old, initial, next, from: 0 });
        let mut graph = b.finish(sum);
        let before = graph.clone();
        assert_eq!((run(&mut graph), graph.states.len(), graph.nodes.len()), (1, 2, 2));
        assert_eq!(run(&mut graph), 0);
        let answers = |graph: &Graph| {
            let executor = Executor::new(graph).unwrap();
            let mut states = executor.start();
            (0..4)
                .map(|round| {
                    let x = [round as f32, 0.5, -1.0];
                    executor.run_next(&mut states, &[&x], &mut |_, _| ()).unwrap().concat()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(answers(&graph), answers(&before));
        assert!(graph.states.iter().any(|state| state.initial == Constant::F32(vec![3.0, 4.0, 5.0])));
    }

    #[test]
    fn what_is_read_as_a_whole_stays() {
        let mut b = Build::new(&[1, 3]);
        let value = Value {
            name: "both".into(),
            shape: vec![1, 6],
            dtype: DType::Float32,
            quantization: None,
            constant: None,
        };
        let (old, x) = (b.graph.add_value(value), b.input());
        let tanh = b.node(Op::Unary(UnaryKind::Tanh), &[old], &[1, 6]);
        let next = b.node(Op::Concat(Concat { axis: 1, activation: Activation::None }), &[x, x], &[1, 6]);
        let initial = Constant::F32(vec![0.0; 6]);
        b.graph.states.push(State { name: "both".into(), value: old, initial, next, from: 0 });
        let mut graph = b.finish(tanh);
        assert_eq!((run(&mut graph), graph.states.len()), (0, 1));
    }
}
