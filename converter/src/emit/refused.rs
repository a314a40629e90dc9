//! The layers of a quantized graph that cannot be lowered, for a look at a model before its conversion.

use ferrolite_runtime::kernels::Policy;
use ferrolite_schema::Rounding;

use crate::error::Error;
use crate::graph::Graph;
use crate::ops;
use crate::ops::lowering::{Constants, Lowering, States, Tiled};

/// The nodes, by index, that lowering refuses, each with the reason.
pub(crate) fn refused(graph: &Graph) -> Vec<(usize, Error)> {
    let (mut constants, mut temporaries, mut tiled) = (Constants::default(), Vec::new(), Tiled::default());
    let mut cx = Lowering {
        graph,
        constants: &mut constants,
        temporaries: &mut temporaries,
        states: &mut States::default(),
        rounding: Rounding::Double,
        policy: Policy::PLAIN,
        winograd: &mut tiled,
    };
    let nodes = graph.nodes.iter().enumerate();
    nodes.filter_map(|(index, node)| Some((index, ops::lower(&mut cx, node).err()?))).collect()
}
