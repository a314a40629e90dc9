//! Masks in front of SOFTMAX: constants such as -1e9, added to the scores that are to have no weight.
//!
//! int8 that reaches -1e9 has one step for all scores. A score need only be as far below the largest of its
//! row as weighs nothing in SOFTMAX's int8 result, so the sum's range ends there, and what is masked
//! saturates at its lower end.

use super::range::Range;
use crate::graph::{Activation, BinaryKind, Constant, Graph, Node, Op, ValueId};

/// A sum of scores and a constant.
struct Masked {
    scores: ValueId,
    constant: ValueId,
    /// The sum and its copies, up to SOFTMAX.
    sums: Vec<ValueId>,
    /// SOFTMAX's factor.
    beta: f32,
}

/// Raises the masks of a float graph to what weighs nothing, with `ranges` of its values by value, and gives
/// the sums the ranges that follow.
pub fn raise(graph: &mut Graph, ranges: &mut [Range]) {
    let masked: Vec<Masked> = graph.nodes.iter().filter_map(|node| masked(graph, node)).collect();
    for mask in masked {
        let scores = ranges[mask.scores.0];
        let keys = graph.value(mask.constant).shape.last().copied().unwrap_or(1);
        let Some(Constant::F32(elements)) = &mut graph.value_mut(mask.constant).constant else { continue };
        let Some(sum) = raise_rows(elements, keys, scores, mask.beta) else { continue };
        ranges[mask.constant.0] = Range::of(elements).unwrap_or_default();
        mask.sums.iter().for_each(|id| ranges[id.0] = sum);
    }
}

/// Whether a node adds a constant, whose rows are SOFTMAX's, to scores that only SOFTMAX reads.
fn masked(graph: &Graph, node: &Node) -> Option<Masked> {
    let Op::Binary { kind: BinaryKind::Add, activation: Activation::None } = node.op else { return None };
    let (a, b) = (node.input(0)?, node.input(1)?);
    let constant = |id| graph.constant(Some(id)).and_then(Constant::as_f32).is_some();
    let (scores, constant) = match (constant(a), constant(b)) {
        (false, true) => (a, b),
        (true, false) => (b, a),
        _ => return None,
    };
    let mut sums = vec![*node.outputs.first()?];
    let last = |id: ValueId| graph.value(id).shape.last();
    loop {
        let sum = *sums.last()?;
        if last(sum) != last(constant) || graph.is_output(sum) {
            return None;
        }
        let mut readers = graph.nodes.iter().filter(|node| node.inputs.contains(&Some(sum)));
        let (reader, None) = (readers.next()?, readers.next()) else { return None };
        match reader.op {
            Op::Softmax { beta } => return Some(Masked { scores, constant, sums, beta }),
            Op::Reshape => sums.push(*reader.outputs.first()?),
            _ => return None,
        }
    }
}

/// Raises what is masked in rows of `keys` elements; the range of the sum of them and `scores`, if
/// anything is.
fn raise_rows(elements: &mut [f32], keys: usize, scores: Range, beta: f32) -> Option<Range> {
    let span = scores.max - scores.min;
    if keys == 0 || span <= 0.0 || beta.is_nan() || beta <= 0.0 {
        return None;
    }
    // All masked scores of a row together weigh less than half a step of SOFTMAX's result, 1/512.
    let margin = (512.0 * keys as f32).ln() / beta;
    let largest = |row: &[f32]| row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let is_masked = |x: f32, largest: f32| x < largest - span - margin;
    let mut kept: Option<Range> = None;
    let mut found = false;
    let mut lowest = f32::INFINITY;
    for row in elements.chunks(keys) {
        let largest = largest(row);
        for &x in row {
            if is_masked(x, largest) {
                found = true;
            } else {
                let one = Range { min: x.min(0.0), max: x.max(0.0) };
                kept = Some(kept.map_or(one, |kept| kept.union(one)));
                lowest = lowest.min(x);
            }
        }
    }
    let (true, Some(kept)) = (found, kept) else { return None };
    let sum = Range { min: (scores.min + lowest - margin).min(0.0), max: (scores.max + kept.max).max(0.0) };
    // Even the largest score ends at or below the lower end.
    let raised = sum.min - scores.max;
    for row in elements.chunks_mut(keys) {
        let largest = largest(row);
        row.iter_mut().filter(|x| is_masked(**x, largest)).for_each(|x| *x = raised);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_masked_saturates_where_it_weighs_nothing() {
        let scores = Range { min: -2.0, max: 3.0 };
        let mut mask = [0.0, -1e9, -1e9, 0.0, 0.0, -1e9, -0.5, 0.0, 0.25];
        let sum = raise_rows(&mut mask, 3, scores, 1.0).unwrap();
        let margin = (512.0f32 * 3.0).ln();
        assert_eq!(sum, Range { min: -2.5 - margin, max: 3.25 });
        let raised = sum.min - 3.0;
        assert_eq!(mask, [0.0, raised, raised, 0.0, 0.0, raised, -0.5, 0.0, 0.25]);
        // Raised masks are masks no more than before.
        let again = raise_rows(&mut mask, 3, scores, 1.0);
        assert!(again.is_none_or(|again| again == sum), "{again:?}");
    }

    #[test]
    fn biases_stay() {
        let scores = Range { min: -2.0, max: 3.0 };
        for mask in [[0.0, -3.0, 1.0], [-1e9, -1e9, -1e9], [5.0, 5.0, 5.0]] {
            let mut same = mask;
            assert_eq!(raise_rows(&mut same, 3, scores, 1.0), None);
            assert_eq!(same, mask);
        }
        assert_eq!(raise_rows(&mut [0.0, -1e9], 2, Range::default(), 1.0), None, "nothing is known of it");
    }
}
