//! Random graphs keep their function, and graphs as exporters write them lose their TRANSPOSEs.

use super::super::testing::{Build, Random, random_inputs};
use super::*;
use crate::graph::{
    Activation, Binary, BinaryKind, Concat, FullyConnected, Op, Pad, Reduce, ReduceKind, Slice, Softmax,
    Transpose, UnaryKind, ValueId,
};
use crate::reference::Executor;

fn transposes(graph: &Graph) -> usize {
    graph.nodes.iter().filter(|n| matches!(n.op, Op::Transpose(_))).count()
}

/// Runs the pass, and compares before and after on random data.
#[track_caller]
fn check(before: Graph) -> Graph {
    let mut after = before.clone();
    run(&mut after);
    let inputs = random_inputs(&before, 5);
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let run = |g: &Graph| Executor::new(g).unwrap().run(&inputs).unwrap().concat();
    for (x, y) in run(&before).into_iter().zip(run(&after)) {
        assert!((x - y).abs() <= 1e-5 * x.abs().max(1.0), "{x} became {y}");
    }
    for (a, b) in before.outputs.iter().zip(&after.outputs) {
        let (a, b) = (before.value(*a), after.value(*b));
        assert_eq!((&a.name, &a.shape), (&b.name, &b.shape));
    }
    assert!(transposes(&after) <= transposes(&before));
    after
}

fn shape(b: &Build, x: ValueId) -> Vec<usize> {
    b.graph.value(x).shape.clone()
}

fn permuted(b: &mut Build, x: ValueId, permutation: &[usize]) -> ValueId {
    let old = shape(b, x);
    let new: Vec<usize> = permutation.iter().map(|&d| old[d]).collect();
    b.node(Op::Transpose(Transpose { permutation: permutation.to_vec() }), &[x], &new)
}

#[test]
fn transposes_around_a_region_vanish() {
    let mut b = Build::new(&[1, 4, 5, 3]);
    let x = permuted(&mut b, ValueId(0), &[0, 3, 1, 2]);
    let scale = b.constant(&[1, 3, 1, 1], |i| i as f32 + 0.5);
    let image = b.constant(&[4, 5], |i| i as f32 * 0.1);
    let binary = |kind| Op::Binary(Binary { kind, activation: Activation::None });
    let y = b.node(binary(BinaryKind::Mul), &[x, scale], &[1, 3, 4, 5]);
    let y = b.node(binary(BinaryKind::Add), &[y, image], &[1, 3, 4, 5]);
    let pad = Op::Pad(Pad { amounts: vec![(0, 0), (0, 1), (1, 0), (0, 0)], value: None });
    let y = b.node(pad, &[y], &[1, 4, 5, 5]);
    let mean = Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep_dims: true });
    let m = b.node(mean, &[y], &[1, 4, 1, 1]);
    let y = b.node(binary(BinaryKind::Sub), &[y, m], &[1, 4, 5, 5]);
    let y = permuted(&mut b, y, &[0, 2, 3, 1]);
    let after = check(b.finish(y));
    assert_eq!(transposes(&after), 0);
}

#[test]
fn a_flattened_image_permutes_the_weights() {
    let mut b = Build::new(&[1, 4, 5, 3]);
    let x = b.node(Op::Unary(UnaryKind::Abs), &[ValueId(0)], &[1, 4, 5, 3]);
    let x = permuted(&mut b, x, &[0, 3, 1, 2]);
    let x = b.node(Op::Unary(UnaryKind::Tanh), &[x], &[1, 3, 4, 5]);
    let x = b.node(Op::Reshape, &[x], &[1, 60]);
    let weights = b.constant(&[2, 60], |i| (i as f32).sin());
    let y = b.dense(x, weights, 2);
    let after = check(b.finish(y));
    assert_eq!(transposes(&after), 0);
}

#[test]
fn what_would_cost_more_stays() {
    // The region has an output of its own, and another layer needs the order: turning would cost two for one.
    let mut b = Build::new(&[2, 3, 4]);
    let x = permuted(&mut b, ValueId(0), &[0, 2, 1]);
    let y = b.node(Op::Unary(UnaryKind::Abs), &[x], &[2, 4, 3]);
    let s = b.node(Op::Softmax(Softmax { beta: 1.0 }), &[y], &[2, 4, 3]);
    let mut graph = b.finish(s);
    graph.outputs.push(y);
    let after = check(graph);
    assert_eq!((transposes(&after), after.nodes.len()), (1, 3));
}

#[test]
fn random_graphs_keep_their_function() {
    for seed in 0..1000 {
        let mut random = Random(seed);
        let mut b = Build::new(&[1, 2, 3, 4]);
        let mut values = vec![ValueId(0)];
        for _ in 0..3 + random.below(12) {
            let x = values[values.len() - 1 - random.below(values.len().min(4))];
            let old = shape(&b, x);
            let rank = old.len();
            let new = match random.below(11) {
                0..=2 => {
                    let mut permutation: Vec<usize> = (0..rank).collect();
                    for d in (1..rank).rev() {
                        permutation.swap(d, random.below(d + 1));
                    }
                    permuted(&mut b, x, &permutation)
                }
                3 => {
                    let mut wide = old.clone();
                    match old.iter().position(|&d| d == 1).filter(|_| random.below(2) == 0) {
                        Some(d) => drop(wide.remove(d)),
                        None => wide.insert(random.below(rank + 1), 1),
                    }
                    if wide.is_empty() || wide.len() > 5 {
                        continue;
                    }
                    b.node(Op::Reshape, &[x], &wide)
                }
                4 => b.node(Op::Unary(UnaryKind::Tanh), &[x], &old),
                5 => {
                    let own: Vec<usize> =
                        old.iter().map(|&d| if random.below(2) == 0 { d } else { 1 }).collect();
                    let c = b.constant(&own, |i| (i as f32 * 0.7).cos());
                    let op = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
                    b.node(op, &[x, c], &old)
                }
                6 => {
                    let same: Vec<ValueId> =
                        values.iter().copied().filter(|&v| shape(&b, v) == old).collect();
                    let other = same[random.below(same.len())];
                    let op = Op::Binary(Binary { kind: BinaryKind::Mul, activation: Activation::None });
                    b.node(op, &[x, other], &old)
                }
                7 => {
                    let axis = random.below(rank);
                    let mut wide = old.clone();
                    wide[axis] *= 2;
                    b.node(Op::Concat(Concat { axis, activation: Activation::None }), &[x, x], &wide)
                }
                8 => {
                    let (axis, keep_dims) = (random.below(rank), random.below(2) == 0);
                    let mut left = old.clone();
                    left[axis] = 1;
                    if !keep_dims {
                        left.remove(axis);
                    }
                    if left.is_empty() {
                        continue;
                    }
                    b.node(
                        Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![axis], keep_dims }),
                        &[x],
                        &left,
                    )
                }
                9 => {
                    let axis = random.below(rank);
                    let mut size = old.clone();
                    size[axis] = 1 + random.below(old[axis]);
                    let mut begin = vec![0; rank];
                    begin[axis] = random.below(old[axis] - size[axis] + 1);
                    b.node(Op::Slice(Slice { begin, size: size.clone(), stride: vec![1; rank] }), &[x], &size)
                }
                _ => {
                    let flat = old.iter().product::<usize>() / old[0];
                    if rank < 3 || flat > 200 {
                        continue;
                    }
                    let rows = b.node(Op::Reshape, &[x], &[old[0], flat]);
                    let weights = b.constant(&[3, flat], |i| (i as f32).sin());
                    let op = Op::FullyConnected(FullyConnected { activation: Activation::None });
                    b.node(op, &[rows, weights], &[old[0], 3])
                }
            };
            if shape(&b, new).iter().product::<usize>() > 4000 {
                break;
            }
            values.push(new);
        }
        let last = values[values.len() - 1];
        let mut graph = b.finish(last);
        let other = values[random.below(values.len())];
        if other != last && other != ValueId(0) {
            graph.outputs.push(other);
        }
        check(graph);
    }
}
