//! Scores that a mask leaves out of a softmax, in the forms that exporters write.
//!
//! ```text
//! select(mask, x, -1e9)      x + (1 - mask) * -1e9      x - !mask * 1e9      select(!mask, x - 1e9, x)
//! ```
//! All become one, which can be quantized: a score that is left out is far below the others, and where a row leaves out all,
//! its scores are equal, as they are in float32, where so large a number swallows them.
//! ```text
//! select(any(mask), select(mask, x, -1e9), 0)
//! ```
//! A mask that is a constant stays as it is: what it adds is one, too, which quantizing knows.

use crate::graph::{
    BinaryKind, Constant, DType, Graph, LogicKind, Node, Op, Reduce, ReduceKind, Value, ValueId,
};

/// What is left out.
const LOW: f32 = -1e9;

/// The least number that is no score but a mask.
const LEAST: f32 = 1e4;

/// Scores of which a mask leaves some out.
struct Masked {
    scores: ValueId,
    mask: ValueId,
    /// Whether the mask holds for those that are left out.
    negated: bool,
}

/// Rewrites the masked scores of every softmax.
pub(super) fn run(graph: &mut Graph) {
    let mut position = 0;
    while position < graph.nodes.len() {
        let node = &graph.nodes[position];
        let scores = node.input(0).filter(|_| matches!(node.op, Op::Softmax(_)));
        if let Some(found) = scores.and_then(|scores| masked(graph, scores)) {
            position += rewrite(graph, position, found);
        }
        position += 1;
    }
}

fn masked(graph: &Graph, id: ValueId) -> Option<Masked> {
    if graph.value(id).dtype != DType::Float32 {
        return None;
    }
    let node = writer(graph, id)?;
    let operands: Vec<ValueId> = node.inputs.iter().copied().collect::<Option<_>>()?;
    let found = match (&node.op, &operands[..]) {
        (Op::Select, &[mask, a, b]) => {
            if below(graph, b) || lowered(graph, b) == Some(a) {
                Masked { scores: a, mask, negated: false }
            } else if below(graph, a) || lowered(graph, a) == Some(b) {
                Masked { scores: b, mask, negated: true }
            } else {
                return None;
            }
        }
        (Op::Binary(binary), &[a, b]) => match binary.kind {
            BinaryKind::Add => {
                penalty(graph, a, -1.0).map(|(mask, negated)| Masked { scores: b, mask, negated }).or_else(
                    || penalty(graph, b, -1.0).map(|(mask, negated)| Masked { scores: a, mask, negated }),
                )?
            }
            BinaryKind::Sub => {
                let (mask, negated) = penalty(graph, b, 1.0)?;
                Masked { scores: a, mask, negated }
            }
            _ => return None,
        },
        _ => return None,
    };
    let (mask, scores) = (graph.value(found.mask), graph.value(found.scores));
    // Scores are as large as what the softmax reads, or the mask would make more of them.
    let sound = mask.dtype == DType::Bool && mask.constant.is_none() && scores.shape == graph.value(id).shape;
    sound.then_some(found)
}

fn writer(graph: &Graph, id: ValueId) -> Option<&Node> {
    graph.nodes.iter().find(|node| node.outputs.contains(&id))
}

/// The elements of a constant, if all are the same.
fn uniform(graph: &Graph, id: ValueId) -> Option<f32> {
    let Some(Constant::F32(elements)) = graph.constant(Some(id)) else { return None };
    let (first, rest) = elements.split_first()?;
    rest.iter().all(|x| x == first).then_some(*first)
}

/// Whether a constant is far below any score.
fn below(graph: &Graph, id: ValueId) -> bool {
    uniform(graph, id).is_some_and(|x| x <= -LEAST)
}

/// What a value is that lies far below another one: `x - 1e9`, `x + -1e9`.
fn lowered(graph: &Graph, id: ValueId) -> Option<ValueId> {
    let node = writer(graph, id)?;
    let (a, b) = (node.input(0)?, node.input(1)?);
    let Op::Binary(binary) = &node.op else { return None };
    match binary.kind {
        BinaryKind::Sub => uniform(graph, b).filter(|x| *x >= LEAST).map(|_| a),
        BinaryKind::Add if below(graph, b) => Some(a),
        BinaryKind::Add if below(graph, a) => Some(b),
        _ => None,
    }
}

/// The mask of a term that is 0, or far below any score once it has this sign; and whether it holds where scores are left out.
fn penalty(graph: &Graph, id: ValueId, sign: f32) -> Option<(ValueId, bool)> {
    let node = writer(graph, id)?;
    let (a, b) = (node.input(0)?, node.input(1)?);
    let Op::Binary(binary) = &node.op else { return None };
    if binary.kind != BinaryKind::Mul {
        return None;
    }
    let large = |id: ValueId| uniform(graph, id).is_some_and(|x| x * sign >= LEAST);
    let truth = if large(a) {
        b
    } else if large(b) {
        a
    } else {
        return None;
    };
    if let Some(mask) = cast(graph, truth) {
        return Some((mask, true));
    }
    let node = writer(graph, truth)?;
    let Op::Binary(binary) = &node.op else { return None };
    let one = binary.kind == BinaryKind::Sub && uniform(graph, node.input(0)?) == Some(1.0);
    Some((cast(graph, node.input(1).filter(|_| one)?)?, false))
}

/// The truth values that a value is, as 0 and 1.
fn cast(graph: &Graph, id: ValueId) -> Option<ValueId> {
    let node = writer(graph, id)?;
    let input = node.input(0).filter(|_| matches!(node.op, Op::Cast(_)))?;
    (graph.value(input).dtype == DType::Bool).then_some(input)
}

/// Puts the form of all in front of the softmax at `position`; gives how many nodes that are.
fn rewrite(graph: &mut Graph, position: usize, found: Masked) -> usize {
    let softmax = graph.nodes[position].name.clone();
    let (shape, mut mask) = (graph.value(found.scores).shape.clone(), found.mask);
    let mut nodes = Vec::new();
    let mut add = |graph: &mut Graph,
                   word: &str,
                   op: Op,
                   inputs: &[ValueId],
                   shape: Vec<usize>,
                   dtype: DType| {
        let name = format!("{softmax}/{word}");
        let id =
            graph.add_value(Value { name: name.clone(), shape, dtype, quantization: None, constant: None });
        let inputs = inputs.iter().map(|&id| Some(id)).collect();
        nodes.push(Node { name, op, inputs, outputs: vec![id] });
        id
    };
    let of_mask = graph.value(mask).shape.clone();
    if found.negated {
        mask = add(graph, "mask", Op::Logic(LogicKind::Not), &[mask], of_mask.clone(), DType::Bool);
    }
    let number = |graph: &mut Graph, word: &str, x: f32| {
        graph.add_value(Value {
            name: format!("{}/{word}", graph.nodes[position].name),
            shape: vec![1],
            dtype: DType::Float32,
            quantization: None,
            constant: Some(Constant::F32(vec![x])),
        })
    };
    let (low, even) = (number(graph, "low", LOW), number(graph, "even", 0.0));
    let mut any = mask;
    if let Some((_, before)) = of_mask.split_last().filter(|(last, _)| **last > 1) {
        let reduce = Reduce { kind: ReduceKind::Max, axes: vec![before.len()], keep_dims: true };
        any = add(graph, "any", Op::Reduce(reduce), &[mask], [before, &[1]].concat(), DType::Bool);
    }
    let mut scores =
        add(graph, "masked", Op::Select, &[mask, found.scores, low], shape.clone(), DType::Float32);
    scores = add(graph, "rows", Op::Select, &[any, scores, even], shape, DType::Float32);
    graph.nodes[position].inputs[0] = Some(scores);
    let count = nodes.len();
    graph.nodes.splice(position..position, nodes);
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Softmax;
    use crate::import::build::Builder;
    use crate::reference::Executor;

    /// Numbers below a bound that look random.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    /// Softmax over scores `[1, 2, 3, 5]`, masked in one of the forms by `[1, 1, keys]` or `[3, 5]`.
    fn network(form: usize, pairs: bool) -> Graph {
        let mut b = Builder::new("masked");
        let x = b.input("x", &[1, 2, 3, 5], DType::Float32);
        let mask = b.input("mask", if pairs { &[3, 5] } else { &[1, 1, 5] }, DType::Bool);
        let softmax = Op::Softmax(Softmax { beta: 1.0 });
        let not = |b: &mut Builder| b.op("not", Op::Logic(LogicKind::Not), &[mask]).unwrap();
        let real = |b: &mut Builder, mask: ValueId| b.cast("real", mask, DType::Float32).unwrap();
        let low = b.float("low", &[1], vec![-3e38]).unwrap();
        let masked = match form {
            0 => b.select("select", mask, x, low).unwrap(),
            1 => {
                let left_out = not(&mut b);
                b.select("select", left_out, low, x).unwrap()
            }
            2 => {
                let (left_out, less) =
                    (not(&mut b), b.binary_scalar("less", BinaryKind::Sub, x, 1e9).unwrap());
                b.select("select", left_out, less, x).unwrap()
            }
            3 => {
                let less = b.binary_scalar("less", BinaryKind::Add, x, -1e9).unwrap();
                b.select("select", mask, x, less).unwrap()
            }
            4 => {
                let truth = real(&mut b, mask);
                let one = b.float("one", &[1], vec![1.0]).unwrap();
                let out = b.binary("out", BinaryKind::Sub, one, truth).unwrap();
                let penalty = b.binary_scalar("penalty", BinaryKind::Mul, out, -1e9).unwrap();
                b.binary("sum", BinaryKind::Add, penalty, x).unwrap()
            }
            _ => {
                let left_out = not(&mut b);
                let truth = real(&mut b, left_out);
                let penalty = b.binary_scalar("penalty", BinaryKind::Mul, truth, 1e9).unwrap();
                b.binary("difference", BinaryKind::Sub, x, penalty).unwrap()
            }
        };
        let y = b.op("softmax", softmax, &[masked]).unwrap();
        b.finish(vec![y])
    }

    #[test]
    fn every_form_is_found_and_keeps_its_answers() {
        let mut random = Random(11);
        for form in 0..6 {
            for pairs in [false, true] {
                let graph = network(form, pairs);
                let mut found = graph.clone();
                run(&mut found);
                crate::passes::dead::run(&mut found);
                let selects = found.nodes.iter().filter(|node| node.op == Op::Select).count();
                assert_eq!(selects, 2, "form {form}");
                let large = found.nodes.iter().any(|node| matches!(node.op, Op::Binary(_)));
                assert!(!large, "form {form}: nothing is left of the old one");
                let executors = [&graph, &found].map(|graph| Executor::new(graph).unwrap());
                for sample in 0..50 {
                    let x: Vec<f32> = (0..30).map(|_| random.below(800) as f32 / 100.0 - 4.0).collect();
                    let size = if pairs { 15 } else { 5 };
                    let mut mask: Vec<f32> = (0..size).map(|_| random.below(2) as f32).collect();
                    if sample % 10 == 0 {
                        mask.fill((sample % 20 == 0).into());
                    }
                    let [wanted, got] =
                        executors.each_ref().map(|executor| executor.run(&[&x, &mask]).unwrap().remove(0));
                    for (a, b) in wanted.iter().zip(&got) {
                        assert!((a - b).abs() < 1e-6, "form {form}, {mask:?}: {wanted:?} {got:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_sums_and_choices_stay() {
        for (form, number) in [(0, "low"), (3, "less/value"), (4, "penalty/value")] {
            let mut graph = network(form, true);
            for value in graph.values.iter_mut().filter(|value| value.name == number) {
                value.constant = Some(Constant::F32(vec![-3.0]));
            }
            let before = graph.nodes.len();
            run(&mut graph);
            assert_eq!(graph.nodes.len(), before, "form {form}: -3 is a score like others");
        }
    }
}
