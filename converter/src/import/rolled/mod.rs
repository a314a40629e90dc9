//! Cells that an author wrote by hand: steps that follow one another become one recurrent layer.
//!
//! A loop whose rounds are known at import, `tf.scan`, or a loop of Python leaves the same nodes once for each step.
//! Whatever the loop was written with, what is left of it is looked for here, in the graph:
//!
//! 1. a matrix that multiplies a value of each step before is a cell's; these values are its hidden states (`chain`);
//! 2. the nodes between two of them are one step. Each step has to be the same nodes with the same constants, and has
//!    to read one row of one sequence (`steps`, `rows`);
//! 3. what a step computes is found out by trial: its sums are affine functions of the row and the hidden state, whose
//!    numbers the float reference tells, and the layer made of them has to agree with the step on random numbers, with
//!    the author's weights and with others (`cell`).
//!
//! What does not pass stays as it is.

mod affine;
mod cell;
mod chain;
mod emit;
mod identify;
mod rows;
mod steps;
mod trial;

use std::collections::HashSet;

use crate::graph::{DType, Graph};
use crate::passes::dead;
use crate::unsupported::unsupported_layers;

/// Rolls up all cells that are found, and says so in `notes`.
pub(super) fn run(graph: &mut Graph, notes: &mut Vec<String>) {
    let is_float = |graph: &Graph| graph.values.iter().all(|value| value.quantization.is_none());
    if !unsupported_layers(graph).is_empty() || !is_float(graph) {
        return;
    }
    // What nobody reads is no part of a step, and would look as if somebody read what it is made of.
    if !chain::candidates(graph).is_empty() {
        dead::run(graph);
    }
    let mut tried = HashSet::new();
    while let Some(weights) = chain::candidates(graph).into_iter().find(|id| tried.insert(*id)) {
        let Some(found) = find(graph, weights) else { continue };
        notes.push(emit::emit(graph, &found));
        dead::run(graph);
        // What it reads may be the rows of a layer now.
        tried.clear();
    }
}

/// A layer that was found.
struct Found {
    steps: steps::Steps,
    rows: rows::Rows,
    cell: cell::Cell,
    /// The first of all hidden states that the steps have is made by a step of the layer that begins with zeros.
    from_zero: bool,
}

/// The cell whose hidden states these weights multiply.
fn find(graph: &Graph, weights: crate::graph::ValueId) -> Option<Found> {
    chain::marks(graph, weights).into_iter().find_map(|marks| {
        let links = chain::Links::of(graph);
        let steps = steps::find(graph, &links, &marks)?;
        let is_real = |id: &crate::graph::ValueId| graph.value(*id).dtype == DType::Float32;
        if !steps.hidden.iter().chain(steps.cells.iter().flatten()).all(is_real) {
            return None;
        }
        let (round, rows) = rows::round(graph, &links, &steps)?;
        let cell = identify::identify(&round)?;
        let (cell, rows) = rows::through_products(graph, &links, cell, rows)?;
        let mut found = Found { steps, rows, cell, from_zero: false };
        emit::take_first(graph, &links, &mut found);
        Some(found)
    })
}

#[cfg(test)]
mod tests;
