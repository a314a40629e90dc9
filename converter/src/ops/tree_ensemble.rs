//! Trees, forests and boosted trees: votes of the leaves that a row of features reaches, as integers of one scale.
//!
//! The device compares by `<=` and `==` only. The other comparisons are these two with their sides exchanged, or with the
//! next smaller number: that is the importer's work (`import/onnx/comparisons.rs`). Features that are real numbers are compared as the
//! integers of the same order, so that no row goes another way than in float32; of features that are quantized the largest
//! integer is found whose real number is not above the threshold.

use std::collections::HashMap;

use ferrolite_runtime::ops::tree_ensemble::{
    self as device, MOST_FEATURES, MOST_OUTPUTS, MOST_SKIP, Root, TreeNode as DeviceNode, key,
};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::TreeEnsembleParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::types;
use crate::error::Result;
use crate::graph::{Aggregate, DType, Node, Quantization, Tree, TreeEnsemble, TreeNode, Value};

/// No operator of TensorFlow Lite becomes it.
pub(super) const RUN_AS: RunAs = &[];

/// The votes of the leaf that a row reaches.
fn votes<'t>(tree: &'t Tree, row: &[f32]) -> &'t [f64] {
    let mut at = 0;
    loop {
        match &tree.nodes[at] {
            TreeNode::Leaf(votes) => return votes,
            &TreeNode::Split { feature, equal, threshold, missing, otherwise } => {
                let holds = match key(row[feature].to_bits()) {
                    None => missing,
                    Some(key) if equal => key == threshold,
                    Some(key) => key <= threshold,
                };
                at = if holds { at + 1 } else { otherwise };
            }
        }
    }
}

impl Operator for TreeEnsemble {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let input = check.input(0)?;
        let Some((&features, lead)) = input.split_last() else {
            return Err(check.error("a scalar operand"));
        };
        let outputs = self.base.len();
        let sound = !self.trees.is_empty()
            && (1..=MOST_OUTPUTS as usize).contains(&outputs)
            && (!self.mirrored || outputs == 2);
        check.ensure(sound, || format!("{} trees that vote on {outputs} outputs", self.trees.len()))?;
        for (number, tree) in self.trees.iter().enumerate() {
            let last = tree.first.checked_add(tree.count).filter(|&last| tree.count > 0 && last <= outputs);
            check.ensure(last.is_some() && !tree.nodes.is_empty(), || {
                format!("tree {number} votes on {} outputs from {} on of {outputs}", tree.count, tree.first)
            })?;
            for (at, node) in tree.nodes.iter().enumerate() {
                let (sound, what) = match node {
                    TreeNode::Leaf(votes) => {
                        (votes.len() == tree.count, "a leaf without a vote for each output")
                    }
                    TreeNode::Split { feature, otherwise, .. } => (
                        *feature < features && *otherwise > at && *otherwise < tree.nodes.len(),
                        "a split of a feature, or to a node, that is not there",
                    ),
                };
                check.ensure(sound, || {
                    format!("node {at} of tree {number} is {what} ({features} features)")
                })?;
            }
        }
        check.output(&[lead, &[outputs]].concat())
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        let input = check.inputs.first().copied().flatten().ok_or_else(|| check.unknown())?;
        let Some((_, lead)) = input.split_last() else { return Err(check.unknown()) };
        Ok([lead, &[self.base.len()]].concat())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        if outputs[0].dtype != DType::Int32 {
            return Err(format!("scores of type {}", outputs[0].dtype.name()));
        }
        types::per_tensor(outputs[0])?;
        match inputs[0].dtype {
            DType::Int8 | DType::Int16 => types::per_tensor(inputs[0]),
            DType::Float32 | DType::Int32 => Ok(()),
            other => Err(format!("features of type {}", other.name())),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let features = x.get(0);
        let mut scores = Vec::new();
        for row in features.data.chunks_exact(features.depth()) {
            let mut found = vec![None; self.base.len()];
            for tree in &self.trees {
                for (score, &vote) in found[tree.first..].iter_mut().zip(votes(tree, row)) {
                    let before: &mut f64 = score.get_or_insert(match self.aggregate {
                        Aggregate::Sum => 0.0,
                        Aggregate::Min | Aggregate::Max => vote,
                    });
                    *before = match self.aggregate {
                        Aggregate::Sum => *before + vote,
                        Aggregate::Min => before.min(vote),
                        Aggregate::Max => before.max(vote),
                    };
                }
            }
            let mut found: Vec<f64> =
                found.iter().zip(&self.base).map(|(votes, base)| votes.unwrap_or(0.0) + base).collect();
            if let (true, [first, second]) = (self.mirrored, &mut found[..]) {
                *first = self.base[0] - *second;
            }
            scores.extend(found.into_iter().map(|score| score as f32));
        }
        vec![scores]
    }

    fn selects(&self) -> bool {
        true
    }

    fn scores(&self) -> Scores {
        if self.base.len() > 1 { Scores::Own } else { Scores::None }
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
        let (scale, _) = cx.quantization(node, output)?;
        let features = input.shape.last().copied().unwrap_or(1);
        if features > MOST_FEATURES as usize {
            return Err(
                cx.unsupported(node, format!("{features} features; up to {MOST_FEATURES} are supported"))
            );
        }
        let integer = |vote: f64| (vote / scale).round() as i32;
        let mut tables = Tables::default();
        for tree in &self.trees {
            let begin = tables.nodes.len();
            let (first, count) = (cx.word(node, tree.first)?, cx.word(node, tree.count)?);
            tables.roots.push(Root { node: cx.word(node, begin)?, outputs: first | (count << 16) });
            for (at, part) in tree.nodes.iter().enumerate() {
                let device = match part {
                    TreeNode::Leaf(votes) => {
                        tables.leaf(&votes.iter().map(|&vote| integer(vote)).collect::<Vec<_>>())
                    }
                    &TreeNode::Split { feature, equal, threshold, missing, otherwise } => {
                        let skip = u32::try_from(otherwise - at).unwrap_or(u32::MAX);
                        if skip > MOST_SKIP {
                            return Err(cx.unsupported(
                                node,
                                format!(
                                    "a tree with a side of {skip} nodes; up to {MOST_SKIP} are supported"
                                ),
                            ));
                        }
                        let threshold = threshold_of(input, threshold, equal);
                        DeviceNode::split(feature as u32, equal, missing, skip, threshold)
                    }
                };
                tables.nodes.push(device);
            }
        }
        let base: Vec<i32> = self.base.iter().map(|&x| integer(x)).collect();
        let params = TreeEnsembleParams {
            rows: cx.word(node, input.elements() / features)?,
            features: cx.word(node, features)?,
            outputs: cx.word(node, base.len())?,
            trees: cx.word(node, tables.roots.len())?,
            nodes: cx.word(node, tables.nodes.len())?,
            values: cx.word(node, tables.values.len())?,
            aggregate: match self.aggregate {
                Aggregate::Sum => device::aggregate::SUM,
                Aggregate::Min => device::aggregate::MIN,
                Aggregate::Max => device::aggregate::MAX,
            },
            mirrored: self.mirrored.into(),
            base: cx.constants.add(&base, 4)?,
            roots: cx.constants.add(&tables.roots, 4)?,
            nodes_at: cx.constants.add(&tables.nodes, 4)?,
            values_at: cx.constants.add(&tables.values, 4)?,
        };
        Ok(vec![Lowered::new(OpCode::TreeEnsemble, vec![input_id], vec![output_id], &params)])
    }
}

/// What stands among the constants.
#[derive(Default)]
struct Tables {
    roots: Vec<Root>,
    nodes: Vec<DeviceNode>,
    values: Vec<i32>,
    /// Where votes lie that were stored before: most leaves of a forest vote for one class.
    known: HashMap<Vec<i32>, i32>,
}

impl Tables {
    fn leaf(&mut self, votes: &[i32]) -> DeviceNode {
        if let [vote] = votes {
            return DeviceNode::leaf(*vote);
        }
        if let Some(&place) = self.known.get(votes) {
            return DeviceNode::leaf(place);
        }
        // A file has less than 2^30 bytes of constants.
        let place = self.values.len() as i32;
        self.values.extend_from_slice(votes);
        self.known.insert(votes.to_vec(), place);
        DeviceNode::leaf(place)
    }
}

/// What a feature of this type is compared with: the threshold for real numbers is the integer of the same order.
fn threshold_of(input: &Value, threshold: i32, equal: bool) -> i32 {
    let (scale, zero_point) = match (input.dtype, input.quantization.as_ref().and_then(Quantization::tensor))
    {
        (DType::Float32, _) => return threshold,
        (_, found) => found.unwrap_or((1.0, 0)),
    };
    // Real numbers of integers are compared as the float reference compares them.
    let real = |q: i64| key((scale * (q - i64::from(zero_point)) as f32).to_bits()).unwrap_or(i32::MAX);
    let (mut low, mut high) = match input.dtype {
        DType::Int8 => (i64::from(i8::MIN) - 1, i64::from(i8::MAX)),
        DType::Int16 => (i64::from(i16::MIN) - 1, i64::from(i16::MAX)),
        _ => (i64::from(i32::MIN), i64::from(i32::MAX)),
    };
    // The largest integer that holds; the one before all where none does.
    while low < high {
        let middle = (low + high + 1).div_euclid(2);
        if real(middle) <= threshold { low = middle } else { high = middle - 1 }
    }
    // No feature is equal to a number between two steps. Int8 and int16 have integers that are none of theirs.
    if equal && real(low) != threshold { i32::MAX } else { low as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_of_integers_are_the_last_that_hold() {
        let value = |dtype, scale, zero_point| Value {
            name: "x".into(),
            shape: vec![1, 1],
            dtype,
            quantization: Some(Quantization::per_tensor(scale, zero_point)),
            constant: None,
        };
        for (dtype, low, high) in [(DType::Int8, -128, 127), (DType::Int16, -32768, 32767)] {
            let x = value(dtype, 0.037, 11);
            for number in [-1e9f32, -4.9, -0.037, 0.0, 0.037, 0.0371, 3.0, 1e9] {
                let threshold = key(number.to_bits()).unwrap();
                let found = threshold_of(&x, threshold, false);
                for q in low..=high {
                    assert_eq!(q <= found, 0.037 * (q - 11) as f32 <= number, "{dtype:?} {q} {number}");
                }
                let equal = threshold_of(&x, threshold, true);
                assert!(
                    (low..=high).all(|q| (q == equal) == (0.037 * (q - 11) as f32 == number)),
                    "{number}"
                );
            }
        }
    }
}
