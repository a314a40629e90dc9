//! Decision trees, forests and boosted trees: each row of features walks down every tree, and the leaves that it reaches
//! vote.
//!
//! ```text
//! score[o] = base[o] + sum over trees t that vote on o of vote(leaf of t that the row reaches)[o]
//! ```
//! or the least or the largest vote in place of the sum. Votes and scores are int32 of one scale. A split compares one
//! feature with a number: `key(x) <= threshold`, or `==`. The key of an integer is itself; that of a float32 is the integer
//! of the same order, so that float32 features are compared exactly and without float arithmetic:
//!
//! ```text
//! key(bits) = bits ^ ((bits >> 31) & 0x7FFFFFFF)       -inf < … < -0 = -1 < 0 = 0 < … < inf < NaN
//! ```
//! A NaN goes where the split says. Nodes of a tree are in preorder, 8 bytes each: where the comparison holds, the walk goes
//! on with the next node, else with one further on. So every walk ends, whatever the features are.
//!
//! Source followed: ONNX `ai.onnx.ml` TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble; the reduction of all
//! comparisons to two is the converter's (`ferrolite::ops::tree_ensemble`).

use core::cell::Cell;

use ferrolite_schema::params::TreeEnsembleParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{Element, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::TreeEnsemble as u16, check, eval, lead: no_overlap }
}

/// Most features: a split has 13 bits for the number of one.
pub const MOST_FEATURES: u32 = 1 << 13;

/// Most nodes from a split to the one where its comparison does not hold.
pub const MOST_SKIP: u32 = 0xFFFF;

/// Most outputs: a tree has 16 bits for the number of one.
pub const MOST_OUTPUTS: u32 = 0xFFFF;

const LEAF: u32 = 1 << 31;
const EQUAL: u32 = 1 << 30;
const MISSING: u32 = 1 << 29;
const FEATURE: u32 = 16;

/// What scores are made of votes by.
pub mod aggregate {
    /// All are added up.
    pub const SUM: u32 = 0;
    /// The least counts.
    pub const MIN: u32 = 1;
    /// The largest counts.
    pub const MAX: u32 = 2;
}

/// Where a tree begins, and what it votes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Root {
    /// Its first node. Its nodes are those up to the next tree's.
    pub node: u32,
    /// The first output, and in the upper 16 bits the number of outputs, that its leaves vote on.
    pub outputs: u32,
}

impl Root {
    fn first(&self) -> u32 {
        self.outputs & 0xFFFF
    }

    fn count(&self) -> u32 {
        self.outputs >> 16
    }
}

/// A split or a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct TreeNode {
    /// Of a split: the distance to the node where its comparison does not hold, in the lower 16 bits, then the feature, 13
    /// bits, then a bit each for: a NaN counts as holding; the comparison is `==`. The highest bit is set for a leaf.
    pub meta: u32,
    /// Of a split: the key that is compared with. Of a leaf: its vote where the tree votes on one output, else the place of
    /// its votes among the values.
    pub value: i32,
}

impl TreeNode {
    /// A leaf with this vote, or with votes from this place on.
    pub const fn leaf(value: i32) -> TreeNode {
        TreeNode { meta: LEAF, value }
    }

    /// A split; `feature` is below [`MOST_FEATURES`], `skip` is 1 to [`MOST_SKIP`].
    pub const fn split(feature: u32, equal: bool, missing: bool, skip: u32, threshold: i32) -> TreeNode {
        let flags = if equal { EQUAL } else { 0 } | if missing { MISSING } else { 0 };
        TreeNode { meta: flags | (feature << FEATURE) | skip, value: threshold }
    }

    fn is_leaf(self) -> bool {
        self.meta & LEAF != 0
    }

    fn feature(self) -> u32 {
        (self.meta >> FEATURE) & (MOST_FEATURES - 1)
    }

    fn skip(self) -> u32 {
        self.meta & MOST_SKIP
    }

    fn holds(self, key: Option<i32>) -> bool {
        match key {
            None => self.meta & MISSING != 0,
            Some(key) if self.meta & EQUAL != 0 => key == self.value,
            Some(key) => key <= self.value,
        }
    }
}

/// The integer whose order is that of float32 with these bits; `None` for NaN. -0 is just below 0.
#[inline(always)]
pub const fn key(bits: u32) -> Option<i32> {
    if bits & 0x7FFF_FFFF > 0x7F80_0000 {
        return None;
    }
    let bits = bits as i32;
    Some(bits ^ ((bits >> 31) & 0x7FFF_FFFF))
}

/// A type of features.
pub trait Feature: Element {
    /// What is compared; `None` where the number is missing.
    fn key(self) -> Option<i32>;
}

impl Feature for f32 {
    #[inline(always)]
    fn key(self) -> Option<i32> {
        key(self.to_bits())
    }
}

impl Feature for i32 {
    #[inline(always)]
    fn key(self) -> Option<i32> {
        Some(self)
    }
}

impl Feature for i16 {
    #[inline(always)]
    fn key(self) -> Option<i32> {
        Some(self.into())
    }
}

impl Feature for i8 {
    #[inline(always)]
    fn key(self) -> Option<i32> {
        Some(self.into())
    }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &TreeEnsembleParams = node.params()?;
    node.expect_operands(1, 1)?;
    let counts = [p.rows, p.features, p.outputs, p.trees];
    let bounded = p.features <= MOST_FEATURES && p.outputs <= MOST_OUTPUTS;
    if counts.contains(&0) || !bounded || p.aggregate > aggregate::MAX || p.mirrored > 1 {
        return Err(Fault::Parameters);
    }
    if p.mirrored == 1 && p.outputs != 2 {
        return Err(Fault::Parameters);
    }
    let elements = |columns| p.rows.checked_mul(columns).ok_or(Fault::Parameters);
    let input = node.input(0)?;
    match input.dtype() {
        Some(dtype @ (DType::Int8 | DType::Int16 | DType::Int32 | DType::Float32)) => {
            node.expect_tensor(input, dtype, elements(p.features)?)?;
        }
        _ => return Err(Fault::Operands),
    }
    node.expect_tensor(node.output(0)?, DType::Int32, elements(p.outputs)?)?;
    node.expect_constants::<i32>(p.base, p.outputs)?;
    node.expect_constants::<i32>(p.values_at, p.values)?;
    let roots = node.constants::<Root>(p.roots, p.trees)?;
    let nodes = node.constants::<TreeNode>(p.nodes_at, p.nodes)?;
    let mut rest = nodes;
    let mut begin = 0u32;
    for (position, root) in roots.iter().enumerate() {
        let end = roots.get(position.wrapping_add(1)).map_or(p.nodes, |next| next.node);
        let last = root.first().checked_add(root.count()).filter(|&last| last <= p.outputs);
        if root.node != begin || root.count() == 0 || last.is_none() {
            return Err(Fault::Constants);
        }
        let size = end.checked_sub(begin).ok_or(Fault::Constants)?;
        let (tree, behind) = rest.split_at_checked(size as usize).ok_or(Fault::Constants)?;
        check_tree(p, tree, root.count())?;
        (rest, begin) = (behind, end);
    }
    Ok(())
}

/// Checks that every walk through the nodes of a tree ends at a leaf with votes.
fn check_tree(p: &TreeEnsembleParams, tree: &[TreeNode], votes: u32) -> Result<(), Fault> {
    // The number of nodes from this one on.
    let mut left = tree.len() as u32;
    for node in tree {
        let sound = if node.is_leaf() {
            votes == 1 || p.values.checked_sub(votes).is_some_and(|most| node.value as u32 <= most)
        } else {
            // The next node is there if the one behind the skip is.
            node.feature() < p.features && node.skip() != 0 && node.skip() < left
        };
        if !sound {
            return Err(Fault::Constants);
        }
        left = left.wrapping_sub(1);
    }
    if tree.is_empty() { Err(Fault::Constants) } else { Ok(()) }
}

fn eval(eval: &Eval<'_>) {
    let node = eval.node();
    let (Ok(p), Ok(input)) = (node.params::<TreeEnsembleParams>(), node.input(0)) else { return };
    let Ok(ensemble) = Ensemble::of(node, p) else { return };
    let scores = eval.output(0);
    match input.dtype() {
        Some(DType::Float32) => ensemble.run::<f32>(eval.input(0), scores),
        Some(DType::Int32) => ensemble.run::<i32>(eval.input(0), scores),
        Some(DType::Int16) => ensemble.run::<i16>(eval.input(0), scores),
        _ => ensemble.run::<i8>(eval.input(0), scores),
    }
}

/// An op with its constants.
#[derive(Clone, Copy, Debug)]
pub struct Ensemble<'a> {
    /// Its numbers.
    pub p: &'a TreeEnsembleParams,
    /// What is added to the votes on each output.
    pub base: &'a [i32],
    /// The trees.
    pub roots: &'a [Root],
    /// Their nodes.
    pub nodes: &'a [TreeNode],
    /// Votes of leaves on several outputs.
    pub values: &'a [i32],
}

impl<'a> Ensemble<'a> {
    fn of(node: &Node<'a>, p: &'a TreeEnsembleParams) -> Result<Ensemble<'a>, Fault> {
        Ok(Ensemble {
            p,
            base: node.constants(p.base, p.outputs)?,
            roots: node.constants(p.roots, p.trees)?,
            nodes: node.constants(p.nodes_at, p.nodes)?,
            values: node.constants(p.values_at, p.values)?,
        })
    }

    /// Scores of all rows: `x` is `[rows, features]`, `scores` `[rows, outputs]`.
    pub fn run<T: Feature>(&self, x: &[Cell<T>], scores: &[Cell<i32>]) {
        let (features, outputs) = (self.p.features as usize, self.p.outputs as usize);
        let start = match self.p.aggregate {
            aggregate::MIN => i32::MAX,
            aggregate::MAX => i32::MIN,
            _ => 0,
        };
        for (row, scores) in runs(x, features).zip(runs(scores, outputs)) {
            scores.iter().for_each(|score| score.set(start));
            for root in self.roots {
                let Some(leaf) = self.leaf(root.node, row) else { continue };
                let Some(scores) = scores.get(root.first() as usize..) else { continue };
                if root.count() == 1 {
                    self.vote(scores, &[leaf]);
                } else {
                    let votes = self.values.get(leaf as u32 as usize..).unwrap_or(&[]);
                    self.vote(scores, votes.get(..root.count() as usize).unwrap_or(&[]));
                }
            }
            for (score, &base) in scores.iter().zip(self.base) {
                score.set(score.get().wrapping_add(base));
            }
            if let (1, [first, second]) = (self.p.mirrored, scores) {
                let base = self.base.first().copied().unwrap_or(0);
                first.set(base.wrapping_sub(second.get()));
            }
        }
    }

    /// What the leaf says that a row reaches from a node on.
    #[inline(always)]
    fn leaf<T: Feature>(&self, root: u32, row: &[Cell<T>]) -> Option<i32> {
        let mut at = root as usize;
        loop {
            let node = *self.nodes.get(at)?;
            if node.is_leaf() {
                return Some(node.value);
            }
            let x = row.get(node.feature() as usize)?.get();
            // The check has found that no skip is 0.
            at = at.wrapping_add(if node.holds(x.key()) { 1 } else { node.skip() as usize });
        }
    }

    #[inline(always)]
    fn vote(&self, scores: &[Cell<i32>], votes: &[i32]) {
        for (score, &vote) in scores.iter().zip(votes) {
            let before = score.get();
            score.set(match self.p.aggregate {
                aggregate::MIN => before.min(vote),
                aggregate::MAX => before.max(vote),
                _ => before.wrapping_add(vote),
            });
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use std::vec::Vec;

    let (rows, features, trees) = (dim(random, 3), dim(random, 6), dim(random, 4));
    let outputs = dim(random, 3);
    let dtype = [DType::Int8, DType::Int16, DType::Int32, DType::Float32][random.below(4)];
    let values: Vec<i32> = (0..outputs + 5).map(|_| random.next() as i32 >> 8).collect();
    let (mut roots, mut nodes) = (Vec::new(), Vec::new());
    for tree in 0..trees {
        // All outputs are voted on by the first tree, so that each depends on the features.
        let first = if tree == 0 { 0 } else { random.below(outputs as usize) as u32 };
        let count = if tree == 0 { outputs } else { 1 + random.below((outputs - first) as usize) as u32 };
        roots.push(Root { node: nodes.len() as u32, outputs: first | (count << 16) });
        // A chain of splits with leaves where they hold, and a leaf at the end.
        for feature in 0..features {
            let threshold = match dtype {
                DType::Int8 => i32::from(random.element()) / 2,
                DType::Int16 => i32::from(random.element()) * 100,
                _ => random.next() as i32,
            };
            let (equal, missing) = (random.below(8) == 0, random.below(2) == 0);
            nodes.push(TreeNode::split(feature, equal, missing, 2, threshold));
            let place = random.below((values.len() as u32 - count + 1) as usize) as i32;
            nodes.push(TreeNode::leaf(if count == 1 { random.next() as i32 >> 8 } else { place }));
        }
        nodes.push(TreeNode::leaf(if count == 1 { random.next() as i32 >> 8 } else { 0 }));
    }
    let mut constants = Constants::default();
    let base: Vec<i32> = (0..outputs).map(|_| random.next() as i32 >> 8).collect();
    let p = TreeEnsembleParams {
        rows,
        features,
        outputs,
        trees,
        nodes: nodes.len() as u32,
        values: values.len() as u32,
        aggregate: random.below(3) as u32,
        mirrored: u32::from(outputs == 2 && random.below(2) == 0),
        base: constants.push(&base),
        roots: constants.push(&roots),
        nodes_at: constants.push(&nodes),
        values_at: constants.push(&values),
    };
    let case = Case::of(OpCode::TreeEnsemble, &p, constants);
    case.input(random, dtype, rows * features * dtype.size() as u32).output(DType::Int32, rows * outputs * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_the_numbers() {
        let sorted = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.5,
            -1.0,
            -f32::MIN_POSITIVE,
            -f32::from_bits(1),
            -0.0,
            0.0,
            f32::from_bits(1),
            1.0,
            1.5,
            f32::MAX,
            f32::INFINITY,
        ];
        let keys = sorted.map(|x| key(x.to_bits()).unwrap());
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!((key((-0.0f32).to_bits()), key(0)), (Some(-1), Some(0)));
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001), f32::from_bits(0xFFFF_FFFF)] {
            assert_eq!(key(nan.to_bits()), None);
        }
    }

    #[test]
    fn rows_walk_down_and_votes_are_gathered() {
        // x0 <= 1 ? (x1 == 5 ? 10 : 20) : 40, and a tree of one leaf that votes on both outputs.
        let nodes = [
            TreeNode::split(0, false, true, 4, 1),
            TreeNode::split(1, true, false, 2, 5),
            TreeNode::leaf(10),
            TreeNode::leaf(20),
            TreeNode::leaf(40),
            TreeNode::leaf(1),
        ];
        let roots = [Root { node: 0, outputs: (1 << 16) | 1 }, Root { node: 5, outputs: 2 << 16 }];
        let run = |aggregate, mirrored, x: &mut [i16]| {
            let p = TreeEnsembleParams {
                rows: x.len() as u32 / 2,
                features: 2,
                outputs: 2,
                trees: 2,
                nodes: 6,
                values: 3,
                aggregate,
                mirrored,
                ..bytemuck::Zeroable::zeroed()
            };
            let ensemble =
                Ensemble { p: &p, base: &[100, 0], roots: &roots, nodes: &nodes, values: &[0, -3, 15] };
            let mut scores = [7; 6];
            let cells = Cell::from_mut(&mut scores[..]).as_slice_of_cells();
            ensemble.run(Cell::from_mut(x).as_slice_of_cells(), cells);
            scores
        };
        let x = &mut [1, 5, -300, 6, 2, 5];
        assert_eq!(run(aggregate::SUM, 0, x), [97, 25, 97, 35, 97, 55]);
        assert_eq!(run(aggregate::SUM, 1, x), [75, 25, 65, 35, 45, 55]);
        assert_eq!(run(aggregate::MIN, 0, x), [97, 10, 97, 15, 97, 15]);
        assert_eq!(run(aggregate::MAX, 0, x), [97, 15, 97, 20, 97, 40]);
    }
}
