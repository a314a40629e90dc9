//! TRANSPOSE, and RESHAPE by dimensions of size 1, are pushed out of the layers between which they
//! stand. Float graphs only; these come from formats whose images are `[n, c, h, w]`, or whose layers
//! over one dimension are images of height 1 for a moment.
//!
//! Both are a [`View`](crate::ops::view::View): the same elements under other dimensions. Layers that compute with
//! single elements, and those to which dimensions are only a number (an axis, an amount of padding),
//! work under any view. Such layers, as far as they hang together, are a *region*. When all values of
//! a region are seen under the view that the TRANSPOSEs around it undo, those vanish, and others may
//! have to come; the region is turned when the sum of moved elements gets less. So every change
//! makes the graph cheaper, and the pass ends.
//!
//! A region also ends well in layers that have dimensions no more: a reduction that drops its axes, and
//! the flattening in front of a dense layer, whose weights' columns are put into the new order.
//!
//! | file | what it holds |
//! |---|---|
//! | `region` | which layers hang together, and which view is best for them |
//! | `turn` | turns a region |
//! | `chains` | makes as few nodes as possible of views of views |

mod chains;
mod region;
mod turn;

#[cfg(test)]
mod tests;

use crate::graph::Graph;
use crate::ops;

/// Pushes views out; returns how often.
pub(super) fn run(graph: &mut Graph) -> usize {
    if !ops::is_float(graph) {
        return 0;
    }
    let mut count = chains::run(graph);
    // Each turn makes the graph cheaper; the bound is for graphs that nobody has thought of.
    for _ in 0..4 * graph.nodes.len() + 4 {
        let Some((region, view)) = region::best(graph) else { break };
        turn::turn(graph, &region, &view);
        super::dead::run(graph);
        count += 1 + chains::run(graph);
    }
    count
}
