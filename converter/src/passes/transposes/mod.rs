//! Moves TRANSPOSE, and RESHAPE by dimensions of size 1, out of the layers between which they stand. Float
//! graphs only. These nodes come from formats whose images are `[n, c, h, w]`, or that turn sequences into
//! images of height 1 for some layers.
//!
//! Both are a [`View`](crate::ops::view::View): the same elements under other dimensions. Layers that compute
//! with single elements, and layers to which a dimension is only a number (an axis, an amount of padding),
//! work under any view. A set of connected layers of this kind is a *region*. When all values of a region
//! change to the view that the TRANSPOSEs around it undo, those TRANSPOSEs disappear, and others may become
//! necessary. The region is turned if this reduces the sum of moved elements. So every change makes the graph
//! cheaper, and the pass ends.
//!
//! A region can also end, at no cost, in layers after which the dimensions no longer exist: a reduction that
//! drops its axes, and the flattening before a dense layer, whose weights' columns are put into the new
//! order.
//!
//! | file | what it holds |
//! |---|---|
//! | `region` | finds connected layers, and the best view for them |
//! | `turn` | turns a region |
//! | `chains` | merges views of views into as few nodes as possible |

mod chains;
mod region;
mod turn;

#[cfg(test)]
mod tests;

use crate::graph::Graph;
use crate::ops;

/// Moves views out; returns how often.
pub(super) fn run(graph: &mut Graph) -> usize {
    if !ops::is_float(graph) {
        return 0;
    }
    let mut count = chains::run(graph);
    // Each turn makes the graph cheaper; the bound guards against graphs that were not foreseen.
    for _ in 0..4 * graph.nodes.len() + 4 {
        let Some((region, view)) = region::best(graph) else { break };
        turn::turn(graph, &region, &view);
        super::dead::run(graph);
        count += 1 + chains::run(graph);
    }
    count
}
