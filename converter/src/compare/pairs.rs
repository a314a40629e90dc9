//! Finds which inputs and outputs of two models correspond.
//!
//! The same network in another format may have its inputs in another order and with decorated names:
//! TensorFlow's `serving_default_x:0` is the author's `x`. Names are compared as they are, and then without
//! decoration. Ports that remain are matched by size. Where sizes are equal too, they are matched by
//! position, and a warning says so.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ferrolite_runtime::Model;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Transpose, Value};
use crate::model_file::{self, PortFacts};
use crate::text::plain;

/// A source whose inputs and outputs are in the order of a model's.
pub struct Paired<'g> {
    /// The source.
    pub graph: Cow<'g, Graph>,
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// Reasons to doubt the figures.
    pub warnings: Vec<String>,
}

/// Puts a source's inputs and outputs into the order of a model's inputs and outputs.
///
/// # Errors
/// When they cannot be those of one network.
pub fn paired<'g>(source: &'g Graph, model: &Model<'_>) -> Result<Paired<'g>> {
    let (inputs, outputs) = (model_file::inputs(model), model_file::outputs(model));
    let mut paired = Paired { graph: Cow::Borrowed(source), notes: Vec::new(), warnings: Vec::new() };
    let theirs = ports(source, &source.inputs);
    let order = order("input", &inputs, &theirs, &mut paired)?;
    if !order.iter().copied().eq(0..source.inputs.len()) {
        paired.graph.to_mut().inputs = order.iter().map(|&i| source.inputs[i]).collect();
    }
    let theirs = ports(source, &source.outputs);
    let order = self::order("output", &outputs, &theirs, &mut paired)?;
    if !order.iter().copied().eq(0..source.outputs.len()) {
        paired.graph.to_mut().outputs = order.iter().map(|&i| source.outputs[i]).collect();
    }
    for (position, port) in inputs.iter().enumerate() {
        let id = paired.graph.inputs[position];
        if channels_first(&port.shape, &paired.graph.value(id).shape) {
            turn(paired.graph.to_mut(), position, &port.shape);
            paired.notes.push(format!(
                "input `{}`: the source wants channels first; samples are turned for it",
                port.name
            ));
        }
    }
    Ok(paired)
}

/// For each input of a model, the name of its counterpart in the source.
pub fn input_names(source: &Graph, model: &Model<'_>) -> Vec<String> {
    // `compare` refuses models that do not match, with a better message.
    let Ok(Paired { graph, .. }) = paired(source, model) else { return Vec::new() };
    graph.inputs.iter().map(|&id| graph.value(id).name.clone()).collect()
}

/// A name and a number of elements.
type Port = (String, usize);

fn ports(graph: &Graph, ids: &[crate::graph::ValueId]) -> Vec<Port> {
    ids.iter().map(|&id| (graph.value(id).name.clone(), graph.value(id).elements())).collect()
}

/// For each of a model's inputs or outputs, the index of its counterpart.
fn order(kind: &str, ours: &[PortFacts], theirs: &[Port], paired: &mut Paired<'_>) -> Result<Vec<usize>> {
    let ours: Vec<Port> = ours.iter().map(|port| (port.name.clone(), port.shape.iter().product())).collect();
    let (found, guessed) = pair(&ours, theirs).ok_or_else(|| {
        let list = |ports: &[Port]| {
            let ports = ports.iter().map(|(name, elements)| format!("`{name}` of {elements} elements"));
            ports.collect::<Vec<_>>().join(", ")
        };
        Error::input(format!(
            "the two models differ: {kind}s {} in the .ferro file, {} in the source",
            list(&ours),
            list(theirs)
        ))
        .help("give the model that the .ferro file was converted from")
    })?;
    if !guessed.is_empty() {
        let pairs = guessed.iter().map(|&i| format!("`{}` with `{}`", ours[i].0, theirs[found[i]].0));
        paired.warnings.push(format!(
            "{kind}s are paired by their positions alone, since their names are not alike: {}; where that is \
             wrong, so are all figures: compare with the file that the model was made from",
            pairs.collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(found)
}

/// For each of `ours` the index of its counterpart, and those that only their position matches.
fn pair(ours: &[Port], theirs: &[Port]) -> Option<(Vec<usize>, Vec<usize>)> {
    let mut found: Vec<Option<usize>> = vec![None; ours.len()];
    by_key(ours, theirs, &mut found, |(name, _)| name.clone());
    by_key(ours, theirs, &mut found, |(name, _)| plain(name).to_string());
    let mut guessed: Vec<usize> = (0..ours.len()).filter(|&i| found[i].is_none()).collect();
    if !guessed.is_empty() {
        if ours.len() != theirs.len() {
            return None;
        }
        by_key(ours, theirs, &mut found, |(_, elements)| elements.to_string());
        guessed.retain(|&i| found[i].is_none());
        let taken: HashSet<usize> = found.iter().copied().flatten().collect();
        let mut rest = (0..theirs.len()).filter(|j| !taken.contains(j));
        guessed.iter().for_each(|&i| found[i] = rest.next());
    }
    let found: Vec<usize> = found.into_iter().flatten().collect();
    let fits = found.iter().zip(ours).all(|(&j, port)| theirs[j].1 == port.1);
    fits.then_some((found, guessed))
}

/// Pairs remaining ports by a key that exactly one of them has on each side.
fn by_key(ours: &[Port], theirs: &[Port], found: &mut [Option<usize>], key: impl Fn(&Port) -> String) {
    let taken: HashSet<usize> = found.iter().copied().flatten().collect();
    let (mut mine, mut other): (HashMap<String, Vec<usize>>, HashMap<String, Vec<usize>>) =
        Default::default();
    for (i, port) in ours.iter().enumerate().filter(|(i, _)| found[*i].is_none()) {
        mine.entry(key(port)).or_default().push(i);
    }
    for (j, port) in theirs.iter().enumerate().filter(|(j, _)| !taken.contains(j)) {
        other.entry(key(port)).or_default().push(j);
    }
    for (key, places) in mine {
        if let (&[i], Some(&[j])) = (&places[..], other.get(&key).map(Vec::as_slice)) {
            found[i] = Some(j);
        }
    }
}

/// Whether the second shape is the first with its channels before height and width.
fn channels_first(last: &[usize], first: &[usize]) -> bool {
    let ([n, h, w, c], [m, d, i, j]) = (last, first) else { return false };
    (n, h, w, c) == (m, i, j, d) && last != first
}

/// Inserts a transposition after an input, so that it takes samples with their channels last.
fn turn(graph: &mut Graph, position: usize, shape: &[usize]) {
    let old = graph.inputs[position];
    let Value { name, dtype, quantization, .. } = graph.value(old).clone();
    let shape = shape.to_vec();
    let new = graph.add_value(Value { name: name.clone(), shape, dtype, quantization, constant: None });
    graph.value_mut(old).name = format!("{name}/channels_first");
    let op = Op::Transpose(Transpose { permutation: vec![0, 3, 1, 2] });
    let node = Node { name: format!("{name}/turn"), op, inputs: vec![Some(new)], outputs: vec![old] };
    graph.nodes.insert(0, node);
    graph.inputs[position] = new;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ports: &[(&str, usize)]) -> Vec<Port> {
        ports.iter().map(|&(name, size)| (name.to_string(), size)).collect()
    }

    #[test]
    fn names_lead_before_sizes_and_positions() {
        type Ports<'a> = &'a [(&'a str, usize)];
        type Order<'a> = Option<(&'a [usize], &'a [usize])>;
        let cases: [(Ports<'_>, Ports<'_>, Order<'_>); 9] = [
            (&[("a", 4), ("b", 4)], &[("b", 4), ("a", 4)], Some((&[1, 0], &[]))),
            (
                &[("a", 4), ("b", 4)],
                &[("serving_default_b:0", 4), ("serving_default_a:0", 4)],
                Some((&[1, 0], &[])),
            ),
            // One remains on each side.
            (&[("a", 4), ("b", 4)], &[("b", 4), ("input_2", 4)], Some((&[1, 0], &[]))),
            // Sizes distinguish them.
            (&[("a", 4), ("b", 8)], &[("output_0", 8), ("output_1", 4)], Some((&[1, 0], &[]))),
            (&[("a", 4), ("b", 4)], &[("x", 4), ("y", 4)], Some((&[0, 1], &[0, 1]))),
            // Without their numbers these are the same name.
            (&[("Call:0", 4), ("Call:1", 4)], &[("Call:1", 4), ("Call:0", 4)], Some((&[1, 0], &[]))),
            (&[("a", 4)], &[("b", 4), ("a", 4)], Some((&[1], &[]))),
            (&[("a", 4)], &[("b", 4), ("c", 4)], None),
            (&[("a", 4)], &[("a", 5)], None),
        ];
        for (ours, theirs, want) in cases {
            let want = want.map(|(order, guessed)| (order.to_vec(), guessed.to_vec()));
            assert_eq!(pair(&list(ours), &list(theirs)), want, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn decoration_is_no_name() {
        for (name, want) in
            [("serving_default_x:0", "x"), ("x:0", "x"), ("a:b", "a:b"), (":0", ":0"), ("x", "x")]
        {
            assert_eq!(plain(name), want);
        }
    }
}
