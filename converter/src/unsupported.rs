//! What cannot be converted, in any format: layers, which are collected so that a user sees all of them
//! together.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::graph::{Graph, Op, Unsupported};

/// The help for models with the user's own operators.
pub(crate) const ROAD: &str = "run it through the library, with the operator registered (converter/examples/custom_operator), \
                               or by firmware that lists it; the command line can only inspect such a model";

/// A layer that Ferrolite cannot compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedLayer {
    /// The layer's name.
    pub name: String,
    /// The operator by the source format's name; `custom NAME` for custom operators.
    pub op: String,
    /// The reason, if the operator is known but this form of it cannot be converted; else empty.
    pub reason: String,
}

/// All layers of a graph that cannot be converted, in execution order.
pub fn unsupported_layers(graph: &Graph) -> Vec<UnsupportedLayer> {
    graph
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Unsupported(Unsupported { code, reason }) => {
                Some(UnsupportedLayer { name: node.name.clone(), op: code.clone(), reason: reason.clone() })
            }
            _ => None,
        })
        .collect()
}

/// Passes when every layer can be converted.
///
/// # Errors
/// One error that names every such layer, with its operator and the reason.
pub fn refuse_unsupported(graph: &Graph) -> Result<()> {
    match unsupported_layers(graph).as_slice() {
        [] => Ok(()),
        layers => Err(refusal(layers).context(&graph.name)),
    }
}

/// The most kinds of layers in a refusal, the most layers of each that it names, and the most further
/// operators.
const KINDS: usize = 8;
const NAMED: usize = 3;
const OTHERS: usize = 16;

/// Most characters of a name and of a reason.
const NAME: usize = 48;
const REASON: usize = 160;

/// The error for layers that cannot be converted: each operator and reason once, the most frequent first,
/// with the number of its layers and a few of their names, and then what to do. It fits on one page for any
/// model.
pub(crate) fn refusal(layers: &[UnsupportedLayer]) -> Error {
    let mut kinds: Vec<(&UnsupportedLayer, Vec<String>)> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for layer in layers {
        let place = *places.entry((&layer.op, &layer.reason)).or_insert(kinds.len());
        if place == kinds.len() {
            kinds.push((layer, Vec::new()));
        }
        kinds[place].1.push(format!("`{}`", last_part(&layer.name)));
    }
    let total = layers.len();
    let first = last_part(layers.first().map_or("", |layer| &layer.name));
    // The sort is stable: of equally frequent kinds, the first one in the model comes first.
    kinds.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    let hidden = kinds.iter().skip(KINDS).map(|(_, names)| names.len()).sum::<usize>();
    let mut list: Vec<String> =
        kinds.iter().take(KINDS).map(|(layer, names)| describe(layer, names)).collect();
    if hidden > 0 {
        let mut others: Vec<String> = Vec::new();
        for (layer, _) in &kinds[KINDS..] {
            let op = shorten(&layer.op, NAME);
            if others.len() < OTHERS && !others.contains(&op) {
                others.push(op);
            }
        }
        list.push(format!("and {hidden} more that `ferrolite inspect` lists ({})", others.join(", ")));
    }
    let noun = if total == 1 { "layer" } else { "layers" };
    let mut ways: Vec<&str> = Vec::new();
    for way in kinds.iter().filter_map(|(layer, _)| way(&layer.op)) {
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways.truncate(NAMED);
    let cut =
        format!("replace these layers in the model, or cut the model before `{first}`, and export it again");
    let help = ways.into_iter().map(str::to_string).chain([cut]).collect::<Vec<_>>().join("; or ");
    Error::input(format!("{total} {noun} cannot be converted: {}", list.join(", "))).help(help)
}

/// One kind of layer: `` `a` (SVDF: why) ``, or `` 40 layers SVDF (why): `a`, `b`, … ``.
fn describe(layer: &UnsupportedLayer, names: &[String]) -> String {
    let (op, reason) = (shorten(&layer.op, NAME), shorten(&layer.reason, REASON));
    if let [name] = names {
        let why = if reason.is_empty() { op } else { format!("{op}: {reason}") };
        return format!("{name} ({why})");
    }
    let mut shown: Vec<&str> = Vec::new();
    for name in names {
        if shown.len() < NAMED && !shown.contains(&name.as_str()) {
            shown.push(name);
        }
    }
    let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{} × {op}{why}: {}{more}", names.len(), shown.join(", "))
}

/// What to do about an operator, besides replacing it. Operators may have the names of any format.
fn way(op: &str) -> Option<&'static str> {
    /// Parts of names in lower case, and what to do about such layers.
    const WAYS: [(&[&str], &str); 6] = [
        (
            &["while", "loop", "scan", "tensorlist", "tensorarray"],
            "unroll the loop when the model is built (Keras: `unroll=True` of the recurrent layer)",
        ),
        (
            &["lambda", "python", "pyfunc", "py_func"],
            "export a SavedModel (`model.export(\"folder\")`), which holds what a Python function computes, and \
             convert that",
        ),
        (
            &["nonmaxsuppression", "non_max_suppression", "postprocess", "topk", "nms"],
            "cut the model before its post-processing, and do that in the program",
        ),
        (
            &["flex"],
            "convert the .h5, the .keras file or the SavedModel of the same network, where these layers are \
             ordinary ones",
        ),
        (
            &["custom"],
            "convert the .h5, the .keras file or the SavedModel of the same network, where these layers may be \
             ordinary ones; or register the operator through the library, which the command line cannot do \
             (converter/examples/custom_operator)",
        ),
        (
            &["stft", "fft", "spectrogram", "mfcc"],
            "cut the model behind its signal processing, and do that in the program",
        ),
    ];
    let op = op.to_lowercase();
    WAYS.iter().find(|(parts, _)| parts.iter().any(|part| op.contains(part))).map(|(_, way)| *way)
}

/// The part of a name that distinguishes layers. TensorFlow joins the names of fused layers by `;` and scopes
/// by `/`.
fn last_part(name: &str) -> String {
    let first = name.split(';').find(|part| !part.is_empty()).unwrap_or(name);
    let last = first.trim_end_matches('/').rsplit('/').next().unwrap_or(first);
    shorten(last, NAME)
}

fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_string(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;

    #[test]
    fn all_layers_are_listed_at_once() {
        let node = |name: &str, code: &str, reason: &str| Node {
            name: name.into(),
            op: Op::Unsupported(Unsupported { code: code.into(), reason: reason.into() }),
            inputs: vec![],
            outputs: vec![],
        };
        let mut graph = Graph { name: "net".into(), ..Graph::default() };
        assert!(refuse_unsupported(&graph).is_ok());
        graph.nodes = vec![node("a", "SVDF", ""), node("b", "custom Fft", ""), node("c", "CONV_2D", "why")];
        let message = refuse_unsupported(&graph).unwrap_err().message;
        assert_eq!(
            message,
            "net: 3 layers cannot be converted: `a` (SVDF), `b` (custom Fft), `c` (CONV_2D: why)"
        );
        let error = refuse_unsupported(&graph).unwrap_err();
        assert!(error.help.contains("before `a`") && error.help.contains("SavedModel"), "{}", error.help);
        graph.nodes.extend((0..5).map(|i| node(&format!("scope/of/{i};joined"), "CONV_2D", "why")));
        let message = refuse_unsupported(&graph).unwrap_err().message;
        assert!(message.contains(": 6 × CONV_2D (why): `c`, `0`, `1`, …, `a` (SVDF)"), "{message}");
    }

    #[test]
    fn a_page_is_enough_whatever_the_model() {
        let long = "scope/".repeat(40);
        let layer = |i: usize| UnsupportedLayer {
            name: format!("{long}{}{i}", "x".repeat(300)),
            op: format!("{}{}", "Operator".repeat(20), i % 60),
            reason: format!("{} {i}", "why ".repeat(100)),
        };
        let error = refusal(&(0..500).map(layer).collect::<Vec<_>>());
        assert!(error.message.chars().count() + error.help.chars().count() < 3000, "{error:?}");
        assert!(error.message.contains("492 more"), "{error}");
    }
}
