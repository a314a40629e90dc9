//! A model that ends earlier: at tensors that the user names (`--cut`). What only leads further is left out.

use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::passes;

/// How many names a message lists.
const LISTED: usize = 6;

/// Makes the named tensors the outputs, in their order, and says so in a note. A name is that of a tensor, or that of
/// the layer that makes it.
pub(super) fn run(graph: &mut Graph, names: &[String], notes: &mut Vec<String>) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut outputs = Vec::new();
    for name in names {
        let id = find(graph, name)?;
        if graph.value(id).constant.is_some() || graph.is_source(id) {
            return Err(Error::input(format!("`{name}` is an input or a constant, no end of a model"))
                .help("give `--cut` a tensor that a layer computes"));
        }
        if !outputs.contains(&id) {
            outputs.push(id);
        }
    }
    graph.outputs = outputs;
    passes::dead::run(graph);
    let ends = list(names.iter().map(String::as_str));
    notes.push(format!("the model ends at {ends}: what is behind is left out"));
    Ok(())
}

fn find(graph: &Graph, name: &str) -> Result<ValueId> {
    let value = (0..graph.values.len()).map(ValueId).find(|&id| graph.value(id).name == name);
    let layer = || graph.nodes.iter().find(|node| node.name == name)?.outputs.first().copied();
    value.or_else(layer).ok_or_else(|| unknown(name, graph.nodes.iter().map(|node| node.name.as_str())))
}

/// The error for a name that the model does not have, with names that resemble it.
pub(super) fn unknown<'a>(name: &str, there: impl Iterator<Item = &'a str> + Clone) -> Error {
    let last = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let similar = there.clone().filter(|other| !last.is_empty() && other.to_lowercase().contains(&last));
    let mut shown: Vec<&str> = similar.take(LISTED).collect();
    if shown.is_empty() {
        shown = there.collect::<Vec<_>>().into_iter().rev().take(LISTED).collect();
    }
    Error::input(format!("the model has no tensor `{name}` to be cut at"))
        .help(format!("`ferrolite inspect` lists the layers; among them are {}", list(shown.into_iter())))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Op, UnaryKind};
    use crate::passes::testing::Build;

    #[test]
    fn a_model_ends_where_it_is_cut() {
        let mut b = Build::new(&[1, 3]);
        let x = b.node(Op::Unary(UnaryKind::Relu), &[b.input()], &[1, 3]);
        let y = b.node(Op::Unary(UnaryKind::Neg), &[x], &[1, 3]);
        let mut graph = b.finish(y);
        let (name, mut notes) = (graph.nodes[0].name.clone(), Vec::new());
        run(&mut graph, std::slice::from_ref(&name), &mut notes).unwrap();
        assert_eq!((graph.nodes.len(), graph.outputs.len(), notes.len()), (1, 1, 1));
        assert!(notes[0].contains(&name) && notes[0].contains("left out"), "{notes:?}");
        let error = run(&mut graph, &["nothing".into()], &mut notes).unwrap_err();
        assert!(error.message.contains("`nothing`") && error.help.contains(&name), "{error}");
        let input = graph.value(graph.inputs[0]).name.clone();
        assert!(run(&mut graph, &[input], &mut notes).is_err());
    }
}
