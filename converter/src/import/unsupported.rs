//! Layers that cannot be converted, gathered so that a person sees all of them at once.

use crate::error::{Error, Result};
use crate::graph::{Graph, Op};

/// A layer that Ferrolite cannot compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedLayer {
    /// The layer's name.
    pub name: String,
    /// The operator in the source format's words; `custom NAME` for custom operators.
    pub op: String,
    /// Why, when the operator as such is known but this form of it is not; else empty.
    pub reason: String,
}

/// All layers of a graph that cannot be converted, in execution order.
pub fn unsupported_layers(graph: &Graph) -> Vec<UnsupportedLayer> {
    graph
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Unsupported { code, reason } => {
                Some(UnsupportedLayer { name: node.name.clone(), op: code.clone(), reason: reason.clone() })
            }
            _ => None,
        })
        .collect()
}

/// Passes when every layer can be converted.
///
/// # Errors
/// One error that lists every offending layer by name, with its operator and the reason.
pub fn refuse_unsupported(graph: &Graph) -> Result<()> {
    let layers = unsupported_layers(graph);
    if layers.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = layers
        .iter()
        .map(|layer| match layer.reason.as_str() {
            "" => format!("`{}` ({})", layer.name, layer.op),
            reason => format!("`{}` ({}: {reason})", layer.name, layer.op),
        })
        .collect();
    let (count, noun) = (layers.len(), if layers.len() == 1 { "layer" } else { "layers" });
    Err(Error::input(format!("{}: {count} {noun} cannot be converted: {}", graph.name, list.join(", ")))
        .help("replace these layers in the model, or cut the model before them, and export it again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;

    #[test]
    fn all_layers_are_listed_at_once() {
        let node = |name: &str, code: &str, reason: &str| Node {
            name: name.into(),
            op: Op::Unsupported { code: code.into(), reason: reason.into() },
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
    }
}
