//! Finds the layers of a trained model that cannot be converted, by trying to convert them.

use super::Refused;
use crate::emit;
use crate::error::Result;
use crate::graph::{DType, Graph};
use crate::import::unsupported_layers;
use crate::ops;
use crate::ops::macs;
use crate::passes;
use crate::quantize::{Options, Samples, quantize};

/// Larger models are not tried, because their float reference would take too long.
const WORK: u64 = 4_000_000_000;

/// The layers that prevent conversion, and a remark if the trial found out nothing.
pub fn refused(graph: &Graph) -> (Vec<Refused>, Option<String>) {
    let unknown = unsupported_layers(graph);
    if !unknown.is_empty() {
        return (unknown.into_iter().map(Refused::from).collect(), None);
    }
    let mut graph = passes::for_quantization(graph);
    let float_only = graph.nodes.iter().filter(|node| ops::is_float_only(&node.op));
    let float_only: Vec<Refused> = float_only
        .map(|node| Refused {
            name: node.name.clone(),
            op: graph.kind(node).to_string(),
            reason: ops::FLOAT_ONLY.to_string(),
        })
        .collect();
    if !float_only.is_empty() {
        return (float_only, None);
    }
    if ops::is_float(&graph) {
        if graph.nodes.iter().fold(0u64, |sum, node| sum.saturating_add(macs(&graph, node))) > WORK {
            return (
                Vec::new(),
                Some(
                    "the model is too large to find out here whether all of its layers can be converted"
                        .into(),
                ),
            );
        }
        match quantize(&graph, &MadeUp::of(&graph), &Options::default()) {
            Ok((quantized, _)) => graph = quantized,
            Err(error) => return (Vec::new(), Some(format!("cannot be quantized: {error}"))),
        }
        passes::optimise(&mut graph);
    }
    let refused = emit::refused(&graph);
    let named = refused.into_iter().map(|(node, error)| {
        let node = &graph.nodes[node];
        // The layer and the operator are fields of their own.
        Refused {
            name: node.name.clone(),
            op: graph.kind(node).to_string(),
            reason: error.reason().to_string(),
        }
    });
    (named.collect(), None)
}

/// One made-up sample that exercises a model.
struct MadeUp(Vec<Vec<f32>>);

impl MadeUp {
    fn of(graph: &Graph) -> MadeUp {
        let mut state = 12345u32;
        let mut next = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            f32::from((state >> 16) as u8 as i8) / 128.0
        };
        let input = |&id| {
            let value = graph.value(id);
            match value.dtype {
                DType::Float32 => (0..value.elements()).map(|_| next()).collect(),
                // Integers are indices, and index 0 always exists.
                _ => vec![0.0; value.elements()],
            }
        };
        MadeUp(graph.inputs.iter().map(input).collect())
    }
}

impl Samples for MadeUp {
    fn len(&self) -> usize {
        1
    }

    fn sample(&self, _: usize) -> Result<Vec<Vec<f32>>> {
        Ok(self.0.clone())
    }
}
