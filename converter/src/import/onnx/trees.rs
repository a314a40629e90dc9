//! Trees of `ai.onnx.ml`, as scikit-learn's trees, forests and boosted trees are exported: TreeEnsembleClassifier and
//! TreeEnsembleRegressor, which list nodes by tree and number, and TreeEnsemble, which replaces both.
//!
//! Each becomes one layer whose trees are in preorder and compare by `<=` and `==` only. A scaler of single features before
//! it becomes part of the thresholds: it is monotone, also as float32 computes it, so for each threshold there is a last
//! feature that holds. Where ONNX is vague about two classes, ONNX Runtime's rules count.

use std::collections::HashMap;

use ferrolite_runtime::ops::tree_ensemble::key;

use super::comparisons::{Comparison, reduced};
use super::layer::{Layer, Translation, one};
use super::net::Slot;
use super::scalers::{self, Step};
use super::scores::{self, Behind};
use crate::graph::{Aggregate, DType, Op, Quantization, Tree, TreeEnsemble, TreeNode, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Scores have magnitudes up to this many steps, so that no sum of votes leaves int32.
const STEPS: f64 = (1u32 << 30) as f64;

/// More nodes fill any memory of a device.
const MOST_NODES: usize = 1 << 20;

/// A node as files list it.
struct Listed {
    branch: Option<Branch>,
    /// Votes by output.
    votes: Vec<(usize, f64)>,
}

/// A split.
struct Branch {
    feature: usize,
    /// The numbers that the feature is compared with, one but for a set that it may be in.
    numbers: Vec<f32>,
    comparison: Comparison,
    /// Where a NaN goes.
    missing: bool,
    /// Positions in the list: where the comparison holds, where not.
    sides: [usize; 2],
}

/// All nodes of a file, and where trees begin.
struct Listing {
    nodes: Vec<Listed>,
    roots: Vec<usize>,
}

fn broken<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(damaged(what.into())))
}

/// A list of real numbers that is an attribute, or a tensor in files of double precision.
/// Numbers that are added up.
fn finite(l: &mut Layer<'_>, name: &str) -> Result<Vec<f32>, Refusal> {
    let numbers = reals(l, name)?;
    match numbers.iter().find(|x| !x.is_finite()) {
        Some(x) => broken(format!("{name} with {x}")),
        None => Ok(numbers),
    }
}

fn reals(l: &mut Layer<'_>, name: &str) -> Result<Vec<f32>, Refusal> {
    if let Some(tensor) = l.tensor(&format!("{name}_as_tensor"))? {
        return Ok(tensor.to_floats());
    }
    Ok(l.float_list(name).unwrap_or_default())
}

fn number(x: i64, what: &str) -> Result<usize, Refusal> {
    match usize::try_from(x) {
        Ok(x) => Ok(x),
        Err(_) => broken(format!("{what} {x}")),
    }
}

fn comparison(mode: &str) -> Result<Option<Comparison>, Refusal> {
    Ok(Some(match mode {
        "LEAF" => return Ok(None),
        "BRANCH_LEQ" => Comparison::AtMost,
        "BRANCH_LT" => Comparison::Below,
        "BRANCH_GTE" => Comparison::AtLeast,
        "BRANCH_GT" => Comparison::Above,
        "BRANCH_EQ" => Comparison::Equal,
        "BRANCH_NEQ" => Comparison::Other,
        other => return broken(format!("a node of mode {other}")),
    }))
}

/// The nodes of the older operators; `votes` is how their attributes for votes begin.
fn listed(l: &mut Layer<'_>, votes: &str) -> Result<Listing, Refusal> {
    let ints = |l: &Layer<'_>, name: &str| l.int_list(&format!("nodes_{name}")).unwrap_or_default();
    let [trees, ids, features, yes, no] =
        ["treeids", "nodeids", "featureids", "truenodeids", "falsenodeids"].map(|name| ints(l, name));
    let (modes, values) = (l.texts("nodes_modes"), reals(l, "nodes_values")?);
    let missing = ints(l, "missing_value_tracks_true");
    let count = ids.len();
    let lists = [trees.len(), features.len(), yes.len(), no.len(), modes.len(), values.len()];
    if count == 0 || lists.iter().any(|&len| len != count) || ![0, count].contains(&missing.len()) {
        return broken(format!("lists of {lists:?} entries for {count} nodes"));
    }
    let mut places = HashMap::with_capacity(count);
    for (place, at) in trees.iter().zip(&ids).enumerate() {
        if places.insert(at, place).is_some() {
            return broken(format!("node {} of tree {} is listed twice", at.1, at.0));
        }
    }
    let mut nodes = Vec::with_capacity(count);
    let mut is_side = vec![false; count];
    for i in 0..count {
        let mut branch = None;
        if let Some(comparison) = comparison(&modes[i])? {
            let mut sides = [0; 2];
            for (side, id) in sides.iter_mut().zip([yes[i], no[i]]) {
                let Some(&place) = places.get(&(&trees[i], &id)) else {
                    return broken(format!(
                        "node {} of tree {} leads to node {id}, which is not there",
                        ids[i], trees[i]
                    ));
                };
                is_side[place] = true;
                *side = place;
            }
            branch = Some(Branch {
                feature: number(features[i], "feature")?,
                numbers: vec![values[i]],
                comparison,
                missing: missing.get(i).is_some_and(|&tracks| tracks != 0),
                sides,
            });
        }
        nodes.push(Listed { branch, votes: Vec::new() });
    }
    let roots: Vec<usize> = (0..count).filter(|&place| !is_side[place]).collect();
    let mut known: Vec<i64> = trees.clone();
    known.sort_unstable();
    known.dedup();
    let mut rooted: Vec<i64> = roots.iter().map(|&place| trees[place]).collect();
    rooted.sort_unstable();
    if rooted != known {
        return broken(format!("{} trees with {} roots, or not one for each", known.len(), roots.len()));
    }
    let mut is_reached = vec![false; count];
    let mut open = roots.clone();
    while let Some(place) = open.pop() {
        // A node that two lead to is judged where trees are laid out.
        if !std::mem::replace(&mut is_reached[place], true) {
            open.extend(nodes[place].branch.iter().flat_map(|branch| branch.sides));
        }
    }
    if let Some(place) = is_reached.iter().position(|&reached| !reached) {
        return broken(format!("node {} of tree {} is not reached from its root", ids[place], trees[place]));
    }
    let list = |l: &Layer<'_>, name: &str| l.int_list(&format!("{votes}_{name}")).unwrap_or_default();
    let [vote_trees, vote_nodes, targets] = ["treeids", "nodeids", "ids"].map(|name| list(l, name));
    let weights = finite(l, &format!("{votes}_weights"))?;
    let lists = [vote_trees.len(), vote_nodes.len(), targets.len()];
    if lists.iter().any(|&len| len != weights.len()) {
        return broken(format!("lists of {lists:?} entries for {} votes", weights.len()));
    }
    for (i, weight) in weights.into_iter().enumerate() {
        let place = places.get(&(&vote_trees[i], &vote_nodes[i])).copied();
        let Some(leaf) = place.map(|place| &mut nodes[place]).filter(|node| node.branch.is_none()) else {
            return broken(format!(
                "node {} of tree {} votes, but it is no leaf",
                vote_nodes[i], vote_trees[i]
            ));
        };
        leaf.votes.push((number(targets[i], "output")?, weight.into()));
    }
    Ok(Listing { nodes, roots })
}

/// The nodes of TreeEnsemble, of which leaves have a list of their own.
fn listed_apart(l: &mut Layer<'_>) -> Result<Listing, Refusal> {
    let ints = |l: &Layer<'_>, name: &str| l.int_list(name).unwrap_or_default();
    let [features, yes, no, yes_leaf, no_leaf, missing, roots, targets] = [
        "nodes_featureids",
        "nodes_truenodeids",
        "nodes_falsenodeids",
        "nodes_trueleafs",
        "nodes_falseleafs",
        "nodes_missing_value_tracks_true",
        "tree_roots",
        "leaf_targetids",
    ]
    .map(|name| ints(l, name));
    let [splits, weights, sets] = ["nodes_splits", "leaf_weights", "membership_values"]
        .map(|name| l.tensor(name).map(|tensor| tensor.map_or_else(Vec::new, |tensor| tensor.to_floats())));
    let (splits, weights, sets) = (splits?, weights?, sets?);
    let modes = l.tensor("nodes_modes")?.and_then(|tensor| tensor.to_ints()).unwrap_or_default();
    let count = features.len();
    let lists = [yes.len(), no.len(), yes_leaf.len(), no_leaf.len(), splits.len(), modes.len()];
    if lists.iter().any(|&len| len != count)
        || ![0, count].contains(&missing.len())
        || targets.len() != weights.len()
    {
        return broken(format!("lists of {lists:?} entries for {count} nodes"));
    }
    // Leaves stand behind the splits.
    let place = |id: i64, leaf: i64| {
        let (first, len) = if leaf != 0 { (count, weights.len()) } else { (0, count) };
        match usize::try_from(id).ok().filter(|&id| id < len) {
            Some(id) => Ok(first + id),
            None => broken(format!("node {id} is not there")),
        }
    };
    // Sets follow one another in the order of the nodes, a NaN behind each.
    let mut sets = sets.split(|number| number.is_nan());
    let mut nodes = Vec::with_capacity(count + weights.len());
    for i in 0..count {
        let (comparison, numbers) = match modes[i] {
            0 => (Comparison::AtMost, vec![splits[i]]),
            1 => (Comparison::Below, vec![splits[i]]),
            2 => (Comparison::AtLeast, vec![splits[i]]),
            3 => (Comparison::Above, vec![splits[i]]),
            4 => (Comparison::Equal, vec![splits[i]]),
            5 => (Comparison::Other, vec![splits[i]]),
            6 => (Comparison::Equal, sets.next().unwrap_or_default().to_vec()),
            other => return broken(format!("a node of mode {other}")),
        };
        nodes.push(Listed {
            branch: Some(Branch {
                feature: number(features[i], "feature")?,
                numbers,
                comparison,
                missing: missing.get(i).is_some_and(|&tracks| tracks != 0),
                sides: [place(yes[i], yes_leaf[i])?, place(no[i], no_leaf[i])?],
            }),
            votes: Vec::new(),
        });
    }
    for (&target, weight) in targets.iter().zip(&weights) {
        nodes.push(Listed { branch: None, votes: vec![(number(target, "output")?, (*weight).into())] });
    }
    let roots = roots.iter().map(|&root| place(root, 0)).collect::<Result<Vec<_>, _>>()?;
    Ok(Listing { nodes, roots })
}

/// The number with this key.
fn number_of(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32)
}

/// The features before scalers, and the scalers, as far as thresholds can follow them.
fn before_scalers(l: &Layer<'_>, x: ValueId, splits: &Listing) -> (ValueId, Vec<Step>) {
    let by_order = |branch: &Branch| !matches!(branch.comparison, Comparison::Equal | Comparison::Other);
    if !splits.nodes.iter().filter_map(|node| node.branch.as_ref()).all(by_order) {
        return (x, Vec::new());
    }
    let features = l.net.b.shape(x).last().copied().unwrap_or(1);
    scalers::before(l, x, |step| (0..features).all(|feature| step.falls(feature).is_some()))
}

/// `<=` of the scaled feature, as `<=` of the feature: with what, and whether it holds where the other does not.
fn unscaled(steps: &[Step], feature: usize, threshold: i32) -> (i32, bool) {
    let falls = steps.iter().filter(|step| step.falls(feature) == Some(true)).count() % 2 == 1;
    let holds = |at: i32| {
        let scaled = steps.iter().fold(number_of(at), |x, step| step.of(feature, x));
        key(scaled.to_bits()).is_some_and(|key| key <= threshold)
    };
    let [least, most] = [f32::NEG_INFINITY, f32::INFINITY].map(|x| key(x.to_bits()).unwrap_or(0));
    // The last integer on the lower side; the one before all where there is none.
    let (mut low, mut high) = (i64::from(least) - 1, i64::from(most));
    while low < high {
        let middle = (low + high + 1).div_euclid(2);
        if holds(middle as i32) != falls { low = middle } else { high = middle - 1 }
    }
    // -0 and 0 are one number: both have to be on one side.
    if low == -1 {
        low = -2;
    }
    (low as i32, falls)
}

/// What is still to be put into preorder: a node by its place, and of a node that compares with a set the number of it.
enum Task {
    /// It, and what is behind it.
    Visit(usize, usize),
    /// It as the other side of the split that stands there.
    Other(usize, usize, usize),
}

/// A branch by the comparisons of the device: where one holds, `hit` follows, where none does, `miss`.
struct Reduced {
    tries: Vec<(bool, i32)>,
    missing: bool,
    hit: usize,
    miss: usize,
}

impl Branch {
    fn reduced(&self, steps: &[Step]) -> Result<Reduced, Refusal> {
        let mut tries = Vec::new();
        let mut exchanged = false;
        for &number in &self.numbers {
            let Some(found) = reduced(self.comparison, number) else {
                return broken("a comparison with NaN");
            };
            exchanged = found.exchanged;
            let mut threshold = found.threshold;
            if !found.equal && !steps.is_empty() {
                let (scaled, falls) = unscaled(steps, self.feature, threshold);
                (threshold, exchanged) = (scaled, exchanged != falls);
            }
            if found.equal && threshold == 0 {
                // -0 is equal to 0.
                tries.push((true, -1));
            }
            tries.push((found.equal, threshold));
        }
        let [yes, no] = self.sides;
        let (hit, miss) = if exchanged { (no, yes) } else { (yes, no) };
        Ok(Reduced { tries, missing: self.missing != exchanged, hit, miss })
    }
}

impl Listing {
    /// The trees in preorder.
    fn trees(&self, features: usize, steps: &[Step]) -> Result<Vec<Tree>, Refusal> {
        // A set is several splits, each with a side of its own.
        let branches = || self.nodes.iter().filter_map(|node| node.branch.as_ref());
        let repeats = branches().any(|branch| {
            branch.numbers.len() != 1
                || (branch.numbers[0] == 0.0
                    && matches!(branch.comparison, Comparison::Equal | Comparison::Other))
        });
        let mut seen = vec![false; self.nodes.len()];
        let mut total = 0;
        let mut trees = Vec::with_capacity(self.roots.len());
        for &root in &self.roots {
            let mut nodes: Vec<TreeNode> = Vec::new();
            let mut leaves: Vec<(usize, usize)> = Vec::new();
            let mut tasks = vec![Task::Visit(root, 0)];
            while let Some(task) = tasks.pop() {
                total += 1;
                if total > MOST_NODES {
                    return unsupported(format!("more than {MOST_NODES} nodes"));
                }
                let (place, number) = match task {
                    Task::Visit(place, number) => (place, number),
                    Task::Other(split, place, number) => {
                        let behind = nodes.len();
                        if let TreeNode::Split { otherwise, .. } = &mut nodes[split] {
                            *otherwise = behind;
                        }
                        (place, number)
                    }
                };
                let node = &self.nodes[place];
                // A leaf of TreeEnsemble may serve several splits.
                let again = number == 0 && std::mem::replace(&mut seen[place], true);
                if again && !repeats && node.branch.is_some() {
                    return broken("it has a node with two parents, or one that leads to itself");
                }
                let Some(branch) = &node.branch else {
                    // Its votes follow when the range of their outputs is known.
                    leaves.push((nodes.len(), place));
                    nodes.push(TreeNode::Leaf(Vec::new()));
                    continue;
                };
                if branch.feature >= features {
                    return broken(format!("feature {} of {features}", branch.feature));
                }
                let Reduced { tries, missing, hit, miss } = branch.reduced(steps)?;
                let Some(&(equal, threshold)) = tries.get(number) else {
                    // In no set at all.
                    tasks.push(Task::Visit(if branch.missing { hit } else { miss }, 0));
                    continue;
                };
                let missing = missing && number == 0;
                nodes.push(TreeNode::Split {
                    feature: branch.feature,
                    equal,
                    threshold,
                    missing,
                    otherwise: 0,
                });
                let (other, next) = if number + 1 < tries.len() { (place, number + 1) } else { (miss, 0) };
                tasks.push(Task::Other(nodes.len() - 1, other, next));
                tasks.push(Task::Visit(hit, 0));
            }
            let votes: Vec<(usize, &[(usize, f64)])> =
                leaves.iter().map(|&(at, place)| (at, self.nodes[place].votes.as_slice())).collect();
            let outputs = || votes.iter().flat_map(|(_, votes)| votes.iter().map(|vote| vote.0));
            let (first, last) = (outputs().min().unwrap_or(0), outputs().max().unwrap_or(0));
            if last >= 1 << 16 {
                return broken(format!("output {last}"));
            }
            for (at, list) in votes {
                let mut sums = vec![0.0; last - first + 1];
                list.iter().for_each(|&(output, weight)| sums[output - first] += weight);
                nodes[at] = TreeNode::Leaf(sums);
            }
            trees.push(Tree { first, count: last - first + 1, nodes });
        }
        Ok(trees)
    }
}

/// TreeEnsembleClassifier: its label is cut, and its scores are the result.
pub(super) fn classifier(l: &mut Layer<'_>) -> Translation {
    let labels = scores::labels(l);
    if labels.len() < 2 {
        return broken(format!("{} classes", labels.len()));
    }
    let listing = listed(l, "class")?;
    let base: Vec<f64> = finite(l, "base_values")?.into_iter().map(f64::from).collect();
    let behind = scores::behind(l)?;
    let classes = || listing.nodes.iter().flat_map(|node| node.votes.iter().map(|vote| vote.0));
    let (least, most) = (classes().min().unwrap_or(0), classes().max().unwrap_or(0));
    if most >= labels.len() {
        return broken(format!("class {most} of {}", labels.len()));
    }
    let y = if labels.len() == 2 && least == most {
        // ONNX says little of this; these are ONNX Runtime's rules.
        if base.len() > 1 {
            return unsupported("a base value for each of two classes, of which one has votes");
        }
        if most == 1 {
            ensemble(l, &listing, Aggregate::Sum, (vec![0.0; 2], false), &behind)?
        } else {
            // One score says both classes; votes that are probabilities say that of the other one, too.
            let behind = if matches!(behind, Behind::Softmax) { Behind::None } else { behind };
            let positive = listing.nodes.iter().flat_map(|node| &node.votes).all(|vote| vote.1 >= 0.0);
            let first = if positive && matches!(behind, Behind::None) { 1.0 } else { 0.0 };
            let base = vec![first, base.first().copied().unwrap_or(0.0)];
            let moved = Listing {
                nodes: listing.nodes.into_iter().map(Listed::on_the_second).collect(),
                roots: listing.roots,
            };
            ensemble(l, &moved, Aggregate::Sum, (base, true), &behind)?
        }
    } else {
        let base = match base.len() {
            0 => vec![0.0; labels.len()],
            len if len == labels.len() => base,
            len => return broken(format!("{len} base values for {} classes", labels.len())),
        };
        ensemble(l, &listing, Aggregate::Sum, (base, false), &behind)?
    };
    l.net.b.graph_mut().labels = labels;
    Ok(vec![Slot::Cut, Slot::Computed(y)])
}

impl Listed {
    /// With all votes on the second output.
    fn on_the_second(mut self) -> Listed {
        self.votes.iter_mut().for_each(|vote| vote.0 = 1);
        self
    }
}

/// TreeEnsembleRegressor.
pub(super) fn regressor(l: &mut Layer<'_>) -> Translation {
    let aggregate = match l.text("aggregate_function", "SUM").as_str() {
        "AVERAGE" => None,
        "SUM" => Some(Aggregate::Sum),
        "MIN" => Some(Aggregate::Min),
        "MAX" => Some(Aggregate::Max),
        other => return broken(format!("aggregate_function {other}")),
    };
    let listing = listed(l, "target")?;
    let behind = scores::behind(l)?;
    targets(l, &listing, aggregate, &behind)
}

/// TreeEnsemble.
pub(super) fn tree_ensemble(l: &mut Layer<'_>) -> Translation {
    let aggregate = match l.int("aggregate_function", 1) {
        0 => None,
        1 => Some(Aggregate::Sum),
        2 => Some(Aggregate::Min),
        3 => Some(Aggregate::Max),
        other => return broken(format!("aggregate_function {other}")),
    };
    let behind = match l.int("post_transform", 0) {
        0 => Behind::None,
        1 => Behind::Softmax,
        2 => Behind::Logistic,
        other => return unsupported(format!("post_transform {other}")),
    };
    let listing = listed_apart(l)?;
    targets(l, &listing, aggregate, &behind)
}

/// The scores of as many targets as the file says; no aggregate is the mean.
fn targets(
    l: &mut Layer<'_>,
    listing: &Listing,
    aggregate: Option<Aggregate>,
    behind: &Behind,
) -> Translation {
    let count = number(l.int("n_targets", 1), "targets")?;
    let base: Vec<f64> = finite(l, "base_values")?.into_iter().map(f64::from).collect();
    let most = listing.nodes.iter().flat_map(|node| node.votes.iter().map(|vote| vote.0)).max().unwrap_or(0);
    if most >= count || count >= 1 << 16 {
        return broken(format!("output {most} of {count}"));
    }
    let base = match base.len() {
        0 => vec![0.0; count],
        len if len == count => base,
        len => return broken(format!("{len} base values for {count} outputs")),
    };
    let mean;
    let listing = match aggregate {
        Some(_) => listing,
        None => {
            let trees = listing.roots.len() as f64;
            mean = listing.divided(trees);
            &mean
        }
    };
    one(ensemble(l, listing, aggregate.unwrap_or(Aggregate::Sum), (base, false), behind)?)
}

impl Listing {
    /// With votes that are divided by a number.
    fn divided(&self, by: f64) -> Listing {
        let divided = |node: &Listed| Listed {
            branch: node.branch.as_ref().map(|branch| Branch { numbers: branch.numbers.clone(), ..*branch }),
            votes: node.votes.iter().map(|&(output, weight)| (output, weight / by)).collect(),
        };
        Listing { nodes: self.nodes.iter().map(divided).collect(), roots: self.roots.clone() }
    }
}

/// The layer, whose scores are integers of a scale, and what is behind it.
fn ensemble(
    l: &mut Layer<'_>,
    listing: &Listing,
    aggregate: Aggregate,
    (base, mirrored): (Vec<f64>, bool),
    behind: &Behind,
) -> Result<ValueId, Refusal> {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let features = shape.last().copied().unwrap_or(1);
    let (mut x, steps) = before_scalers(l, x, listing);
    if shape.len() == 1 {
        let name = l.part("row");
        x = l.net.b.reshape(&name, x, &[1, features])?;
    }
    if l.net.b.graph().value(x).dtype != DType::Float32 {
        return unsupported(format!(
            "features of {}; float features are supported",
            l.net.b.graph().value(x).dtype.name()
        ));
    }
    let trees = listing.trees(features, &steps)?;
    if aggregate != Aggregate::Sum {
        // The least of some votes is not that of these and zeros.
        let voted =
            |output: usize| trees.iter().any(|tree| (tree.first..tree.first + tree.count).contains(&output));
        let full = trees.iter().all(|tree| tree.count == 1)
            && listing.nodes.iter().all(|node| node.branch.is_some() || !node.votes.is_empty());
        if !full || !(0..base.len()).all(voted) {
            return unsupported("the least or largest vote, where a tree votes on several outputs or none");
        }
    }
    let op = TreeEnsemble { trees, aggregate, base, mirrored };
    let bound = bound(&op);
    let name = l.part("scores");
    let scores = l.net.b.op(&name, Op::TreeEnsemble(op), &[x])?;
    l.net.b.graph_mut().value_mut(scores).quantization = Some(quantization(bound));
    finish(l, scores, behind, bound)
}

/// What no score exceeds, positive or negative.
fn bound(op: &TreeEnsemble) -> f64 {
    let most = |tree: &Tree| {
        let votes = tree.nodes.iter().flat_map(|node| match node {
            TreeNode::Leaf(votes) => votes.as_slice(),
            TreeNode::Split { .. } => &[],
        });
        votes.fold(0.0f64, |most, vote| most.max(vote.abs()))
    };
    let base = op.base.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    // Twice the base: a mirrored score has it twice.
    op.trees.iter().map(most).sum::<f64>() + 2.0 * base
}

/// The quantization of scores up to a bound: the finest power of two with which no sum of votes leaves int32.
fn quantization(bound: f64) -> Quantization {
    let exponent = if bound > 0.0 { (bound / STEPS).log2().ceil().clamp(-126.0, 96.0) } else { -30.0 };
    Quantization::per_tensor(exponent.exp2() as f32, 0)
}

/// The function behind scores up to a bound, and all as reals.
fn finish(l: &mut Layer<'_>, scores: ValueId, behind: &Behind, bound: f64) -> Result<ValueId, Refusal> {
    let scale = match behind {
        Behind::None => return scores::reals(l, scores),
        // It is flat beyond.
        Behind::Logistic => bound.min(16.0) / 32767.0,
        Behind::Softmax => bound / 32767.0,
    };
    let x = scores::int16(l, "int16", Op::Quantize, scores, scale)?;
    scores::function(l, x, behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::BinaryKind;

    #[test]
    fn no_sum_of_votes_leaves_int32() {
        let leaf = |vote: f64| Tree { first: 0, count: 1, nodes: vec![TreeNode::Leaf(vec![vote])] };
        for votes in [vec![1.0; 300], vec![1e-30, 2e-30], vec![-5e8, 3.0], vec![0.0]] {
            let ensemble = TreeEnsemble {
                trees: votes.iter().map(|&vote| leaf(vote)).collect(),
                aggregate: Aggregate::Sum,
                base: vec![votes[0]],
                mirrored: false,
            };
            let (scale, zero_point) = quantization(bound(&ensemble)).tensor().unwrap();
            let sum: f64 = votes.iter().map(|vote| (vote / f64::from(scale)).round().abs()).sum();
            assert!(zero_point == 0 && sum <= STEPS, "{votes:?}: {sum}");
            assert!(sum == 0.0 || sum > STEPS / 8.0, "{votes:?}: {sum}");
        }
    }

    #[test]
    fn scalers_become_part_of_thresholds() {
        let step = |kind, by: f32| Step { kind, by: vec![by] };
        let chains = [
            vec![step(BinaryKind::Sub, 3.7), step(BinaryKind::Mul, 0.31)],
            vec![step(BinaryKind::Mul, -1e-3)],
            vec![step(BinaryKind::Add, 1e6), step(BinaryKind::Div, -7.0), step(BinaryKind::Mul, -3.0)],
        ];
        for steps in chains {
            let scaled = |x: f32| steps.iter().fold(x, |x, step| step.of(0, x));
            for number in [-1e9f32, -2.0, -0.001, 0.0, 0.1, 1.0, 400_000.0, 1e9] {
                let (threshold, falls) = unscaled(&steps, 0, key(number.to_bits()).unwrap());
                // Around the threshold, and anywhere.
                let near = number_of(threshold.clamp(-2_000_000_000, 2_000_000_000));
                let numbers = (-40..40).map(|i| number_of(key(near.to_bits()).unwrap() + i));
                for x in numbers.chain([-1e30, -5.5, -0.0, 0.0, 3.7, 1e30]) {
                    let holds = key(x.to_bits()).unwrap() <= threshold;
                    assert_eq!(holds != falls, scaled(x) <= number, "{x} {number} {threshold}");
                }
            }
        }
    }
}
