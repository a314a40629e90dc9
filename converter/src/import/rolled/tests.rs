use super::*;
use crate::graph::{Activation, BinaryKind, Cell, Concat, Op, Recurrent, Slice, UnaryKind, ValueId};
use crate::import::build::Builder;
use crate::reference::Executor;

const FEATURES: usize = 3;
const UNITS: usize = 5;
const STEPS: usize = 6;

/// Writes cells step by step, as an author would.
struct Hand {
    b: Builder,
    x: ValueId,
    count: usize,
}

impl Hand {
    fn new() -> Hand {
        let mut b = Builder::new("hand");
        let x = b.input("x", &[1, STEPS, FEATURES], DType::Float32);
        Hand { b, x, count: 0 }
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("block/node_{}", self.count)
    }

    fn weights(&mut self, shape: &[usize]) -> ValueId {
        let seed = self.count as f32;
        let name = self.name();
        let numbers = (0..shape.iter().product()).map(|i| ((i as f32 + 1.7 * seed) * 2.399).sin() * 0.7);
        self.b.float(&name, shape, numbers.collect()).unwrap()
    }

    fn zeros(&mut self) -> ValueId {
        let name = self.name();
        self.b.float(&name, &[1, UNITS], vec![0.0; UNITS]).unwrap()
    }

    /// Row `t` of the input.
    fn row(&mut self, t: usize) -> ValueId {
        let (name, x) = (self.name(), self.x);
        let slice = Slice { begin: vec![0, t, 0], size: vec![1, 1, FEATURES], stride: vec![1; 3] };
        self.b.op_shaped(&name, Op::Slice(slice), &[x], &[1, FEATURES]).unwrap()
    }

    fn dense(&mut self, x: ValueId, w: ValueId) -> ValueId {
        let name = self.name();
        self.b.dense(&name, x, w, None).unwrap()
    }

    fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> ValueId {
        let name = self.name();
        self.b.binary(&name, kind, a, b).unwrap()
    }

    fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryKind::Add, a, b)
    }

    fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryKind::Mul, a, b)
    }

    fn unary(&mut self, kind: UnaryKind, x: ValueId) -> ValueId {
        let name = self.name();
        self.b.unary(&name, kind, x).unwrap()
    }

    fn sigmoid(&mut self, x: ValueId) -> ValueId {
        self.unary(UnaryKind::Logistic, x)
    }

    fn tanh(&mut self, x: ValueId) -> ValueId {
        self.unary(UnaryKind::Tanh, x)
    }

    /// Columns of a row.
    fn columns(&mut self, x: ValueId, from: usize, count: usize) -> ValueId {
        let name = self.name();
        let slice = Slice { begin: vec![0, from], size: vec![1, count], stride: vec![1; 2] };
        self.b.op(&name, Op::Slice(slice), &[x]).unwrap()
    }

    /// One minus a gate.
    fn rest(&mut self, gate: ValueId) -> ValueId {
        let name = self.name();
        let one = self.b.float(&name, &[1, 1], vec![1.0]).unwrap();
        self.binary(BinaryKind::Sub, one, gate)
    }

    fn stack(&mut self, items: &[ValueId]) -> ValueId {
        let name = self.name();
        self.b.op(&name, Op::Pack(crate::graph::Pack { axis: 1 }), items).unwrap()
    }
}

/// An LSTM with one matrix for row and state, gates in the order input, candidate, forget, output. `coupled`: the
/// forget gate is one minus the input gate.
fn lstm(hand: &mut Hand, coupled: bool, steps: impl Iterator<Item = usize>) -> [Vec<ValueId>; 2] {
    let (w, b) = (hand.weights(&[4 * UNITS, FEATURES + UNITS]), hand.weights(&[1, 4 * UNITS]));
    let (mut h, mut c) = (hand.zeros(), hand.zeros());
    let mut all = [vec![], vec![]];
    for t in steps {
        let row = hand.row(t);
        let name = hand.name();
        let both = Op::Concat(Concat { axis: 1, activation: Activation::None });
        let both = hand.b.op(&name, both, &[row, h]).unwrap();
        let z = hand.dense(both, w);
        let z = hand.add(z, b);
        let [i, g, f, o] = [0, 1, 2, 3].map(|gate| hand.columns(z, gate * UNITS, UNITS));
        let (i, g, o) = (hand.sigmoid(i), hand.tanh(g), hand.sigmoid(o));
        let f = if coupled { hand.rest(i) } else { hand.sigmoid(f) };
        let (kept, new) = (hand.mul(f, c), hand.mul(i, g));
        c = hand.add(kept, new);
        let out = hand.tanh(c);
        h = hand.mul(o, out);
        all[0].push(h);
        all[1].push(c);
    }
    all
}

/// A GRU with matrices of their own. `after`: it resets after the product; `weighs`: the gate weighs the candidate.
/// With `simplified` the first step has no products with zeros.
fn gru(hand: &mut Hand, [after, weighs, simplified]: [bool; 3]) -> Vec<ValueId> {
    let w = [(); 3].map(|()| hand.weights(&[UNITS, FEATURES]));
    let u = [(); 3].map(|()| hand.weights(&[UNITS, UNITS]));
    let b = [(); 4].map(|()| hand.weights(&[1, UNITS]));
    let mut h = hand.zeros();
    let mut all = vec![];
    for t in 0..STEPS {
        let row = hand.row(t);
        let first = simplified && t == 0;
        let gate = |hand: &mut Hand, at: usize| {
            let x = hand.dense(row, w[at]);
            let x = hand.add(x, b[at]);
            if first {
                return hand.sigmoid(x);
            }
            let state = hand.dense(h, u[at]);
            let sum = hand.add(x, state);
            hand.sigmoid(sum)
        };
        let (z, r) = (gate(hand, 0), gate(hand, 1));
        let x = hand.dense(row, w[2]);
        let x = hand.add(x, b[2]);
        let state = match after {
            true if first => hand.mul(r, b[3]),
            true => {
                let state = hand.dense(h, u[2]);
                let state = hand.add(state, b[3]);
                hand.mul(r, state)
            }
            false => {
                let reset = hand.mul(r, h);
                hand.dense(reset, u[2])
            }
        };
        let n = hand.add(x, state);
        let n = hand.tanh(n);
        let (kept, new) = if weighs { (hand.rest(z), z) } else { (z, hand.rest(z)) };
        let new = hand.mul(new, n);
        h = if first {
            new
        } else {
            let kept = hand.mul(kept, h);
            hand.add(kept, new)
        };
        all.push(h);
    }
    all
}

/// Rolls up a graph, and checks that it computes what it did before.
fn rolled(graph: Graph) -> (Graph, Vec<String>) {
    let (mut new, mut notes) = (graph.clone(), vec![]);
    run(&mut new, &mut notes);
    let size = graph.value(graph.inputs[0]).elements();
    for sample in 0..3 {
        let input: Vec<f32> = (0..size).map(|i| ((i * 7 + sample * 11) as f32 * 1.37).sin() * 2.0).collect();
        let [before, after] =
            [&graph, &new].map(|graph| Executor::new(graph).unwrap().run(&[&input]).unwrap());
        for (a, b) in before.iter().flatten().zip(after.iter().flatten()) {
            assert!((a - b).abs() < 1e-5, "{a} became {b}: {notes:?}");
        }
    }
    (new, notes)
}

fn layers(graph: &Graph) -> Vec<Recurrent> {
    graph
        .nodes
        .iter()
        .filter_map(|node| if let Op::Recurrent(layer) = node.op { Some(layer) } else { None })
        .collect()
}

#[test]
fn an_lstm_of_one_matrix() {
    for coupled in [false, true] {
        let mut hand = Hand::new();
        let [h, c] = lstm(&mut hand, coupled, 0..STEPS);
        let all = hand.stack(&h);
        let (graph, notes) = rolled(hand.b.finish(vec![all, h[STEPS - 1], c[STEPS - 1]]));
        assert_eq!(notes, ["a loop became one layer `block/lstm`: LSTM of 5 units over 6 steps"]);
        let [layer] = layers(&graph)[..] else { panic!("{:?}", graph.nodes) };
        assert_eq!((layer.cell, layer.reverse), (Cell::Lstm, false));
        assert!(
            graph.nodes.iter().all(|node| matches!(node.op, Op::Recurrent(_) | Op::Reshape)),
            "{:?}",
            graph.nodes
        );
    }
}

#[test]
fn a_loop_that_walks_backwards_over_a_part_of_the_rows() {
    let mut hand = Hand::new();
    let [h, _] = lstm(&mut hand, false, (1..STEPS).rev());
    let (graph, notes) = rolled(hand.b.finish(vec![h[1], h[STEPS - 2]]));
    assert_eq!(notes.len(), 1);
    let [layer] = layers(&graph)[..] else { panic!("{:?}", graph.nodes) };
    assert!(layer.reverse);
}

#[test]
fn grus_in_all_forms() {
    for form in 0..8 {
        let [after, weighs, simplified] = [1, 2, 4].map(|bit| form & bit != 0);
        let mut hand = Hand::new();
        let h = gru(&mut hand, [after, weighs, simplified]);
        let (graph, notes) = rolled(hand.b.finish(vec![h[STEPS - 1]]));
        assert_eq!(notes, ["a loop became one layer `block/gru`: GRU of 5 units over 6 steps"], "{form}");
        let [layer] = layers(&graph)[..] else { panic!("{:?}", graph.nodes) };
        assert_eq!(layer.cell, Cell::Gru { reset_after: after });
        assert_eq!(graph.nodes.len(), 1, "{form}: {:?}", graph.nodes);
    }
}

/// Two layers in one loop, the second one over the states of the first.
#[test]
fn cells_upon_cells() {
    let mut hand = Hand::new();
    let (w, u) = (hand.weights(&[UNITS, FEATURES]), hand.weights(&[UNITS, UNITS]));
    let (w2, u2) = (hand.weights(&[UNITS, UNITS]), hand.weights(&[UNITS, UNITS]));
    let (mut h, mut g) = (hand.zeros(), hand.zeros());
    for t in 0..STEPS {
        let row = hand.row(t);
        let (x, state) = (hand.dense(row, w), hand.dense(h, u));
        let sum = hand.add(x, state);
        h = hand.tanh(sum);
        let (x, state) = (hand.dense(h, w2), hand.dense(g, u2));
        let sum = hand.add(x, state);
        g = hand.unary(UnaryKind::Relu, sum);
    }
    let (graph, notes) = rolled(hand.b.finish(vec![g]));
    assert_eq!(notes.len(), 2);
    let found: Vec<UnaryKind> = layers(&graph).iter().map(|layer| layer.activation).collect();
    assert_eq!(found, [UnaryKind::Tanh, UnaryKind::Relu]);
    assert_eq!(graph.nodes.len(), 2, "{:?}", graph.nodes);
}

/// What multiplies the whole sequence before the loop belongs to the layer.
#[test]
fn products_before_the_loop() {
    let mut hand = Hand::new();
    let (w, u, b) = (hand.weights(&[UNITS, FEATURES]), hand.weights(&[UNITS, UNITS]), hand.weights(&[UNITS]));
    let x = hand.x;
    let all = hand.dense(x, w);
    let all = hand.add(all, b);
    let mut h = hand.zeros();
    for t in 0..STEPS {
        let name = hand.name();
        let slice = Slice { begin: vec![0, t, 0], size: vec![1, 1, UNITS], stride: vec![1; 3] };
        let row = hand.b.op_shaped(&name, Op::Slice(slice), &[all], &[1, UNITS]).unwrap();
        let state = hand.dense(h, u);
        let sum = hand.add(row, state);
        h = hand.tanh(sum);
    }
    let (graph, _) = rolled(hand.b.finish(vec![h]));
    assert_eq!(layers(&graph).len(), 1);
    assert_eq!(graph.nodes.len(), 1, "{:?}", graph.nodes);
    assert_eq!(graph.nodes[0].input(0), Some(graph.inputs[0]));
}

/// What is nearly a cell stays as it is.
#[test]
fn other_loops_stay() {
    // A state that is halved; steps that read a row each, but not in order; a constant of its own in one step.
    for form in 0..3 {
        let mut hand = Hand::new();
        let (w, u, b) =
            (hand.weights(&[UNITS, FEATURES]), hand.weights(&[UNITS, UNITS]), hand.weights(&[1, UNITS]));
        let mut h = hand.zeros();
        for t in 0..STEPS {
            let row = hand.row(if form == 1 { t * 5 % STEPS } else { t });
            let (x, state) = (hand.dense(row, w), hand.dense(h, u));
            let mut sum = hand.add(x, state);
            if form == 2 {
                let own = if t == 3 { hand.weights(&[1, UNITS]) } else { b };
                sum = hand.add(sum, own);
            }
            let new = hand.tanh(sum);
            h = new;
            if form == 0 {
                let name = hand.name();
                let half = hand.b.float(&name, &[1, 1], vec![0.5]).unwrap();
                h = hand.mul(new, half);
            }
        }
        let (graph, notes) = rolled(hand.b.finish(vec![h]));
        assert!(notes.is_empty() && layers(&graph).is_empty(), "{form}: {notes:?}");
    }
}
