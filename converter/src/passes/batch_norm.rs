//! Batch norms, and all other products and sums with a constant for each channel, are folded into the weights
//! and biases of the layer before or after them. Float layers only.
//!
//! After a layer, `(W x + b) * s + t = (s W) x + (s b + t)`. Before a layer, `W (s x + t) + b = (W s) x + (W
//! t + b)`, where the second term only holds for layers without padding: the padding is added after the sum
//! and is zero, not `t`.

use super::rewrite::{Links, add_constant};
use crate::graph::{
    Activation, Binary, BinaryKind, Constant, Conv2d, DepthwiseConv2d, FullyConnected, Graph, Node, Op,
    TransposeConv, ValueId,
};

/// Larger factors and terms are not folded.
const LARGEST: f32 = 1e18;

/// Folds affine nodes; returns how many.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    let mut links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        let folded = affine(graph, &graph.nodes[index]).is_some_and(|affine| {
            fold_back(graph, &mut links, index, &affine) || fold_forward(graph, &mut links, index, &affine)
        });
        count += usize::from(folded);
    }
    links.sweep(graph);
    count
}

/// `x * scale + shift` for each channel, then a clamp.
struct Affine {
    data: ValueId,
    scale: Vec<f32>,
    shift: Vec<f32>,
    activation: Activation,
}

/// Reads the node as an affine function of one operand.
fn affine(graph: &Graph, node: &Node) -> Option<Affine> {
    let Op::Binary(Binary { kind, activation }) = node.op else { return None };
    let (a, b) = (node.input(0)?, node.input(1)?);
    let constant_first = graph.constant(Some(a)).is_some();
    let (data, constant) = if constant_first { (b, a) } else { (a, b) };
    let (shape, values) = (&graph.value(data).shape, graph.constant(Some(constant))?.as_f32()?);
    let channels = *shape.last()?;
    let per_channel = values.len() == 1 || (graph.value(constant).shape.last() == Some(&values.len()));
    if graph.value(data).constant.is_some()
        || !per_channel
        || ![1, channels].contains(&values.len())
        || graph.value(node.outputs[0]).shape != *shape
    {
        return None;
    }
    let each =
        |f: &dyn Fn(f32) -> f32| -> Vec<f32> { (0..channels).map(|c| f(values[c % values.len()])).collect() };
    let (scale, shift) = match (kind, constant_first) {
        (BinaryKind::Mul, _) => (each(&|v| v), each(&|_| 0.0)),
        (BinaryKind::Add, _) => (each(&|_| 1.0), each(&|v| v)),
        (BinaryKind::Sub, false) => (each(&|_| 1.0), each(&|v| -v)),
        (BinaryKind::Sub, true) => (each(&|_| -1.0), each(&|v| v)),
        (BinaryKind::Div, false) => (each(&|v| 1.0 / v), each(&|_| 0.0)),
        _ => return None,
    };
    // Larger numbers belong to a mask and must not become weights.
    let sane = scale.iter().chain(&shift).all(|x| x.abs() <= LARGEST);
    sane.then_some(Affine { data, scale, shift, activation })
}

/// Folds the node at `index` into the layer that computes its operand.
fn fold_back(graph: &mut Graph, links: &mut Links, index: usize, affine: &Affine) -> bool {
    let Some(layer) = links.writer(affine.data) else { return false };
    if links.only_reader(graph, affine.data) != Some(index)
        || clamp(&mut graph.nodes[layer].op) != Some(&mut Activation::None)
    {
        return false;
    }
    let Some((weights, bias)) = parameters(graph, layer) else { return false };
    let channels = affine.scale.len();
    let inner = match graph.nodes[layer].op {
        Op::DepthwiseConv2d(_) => 1,
        _ => weights.len() / channels.max(1),
    };
    let weights = weights.iter().enumerate().map(|(i, w)| w * affine.scale[i / inner % channels]).collect();
    let bias = (0..channels).map(|c| bias[c] * affine.scale[c] + affine.shift[c]).collect();
    set_parameters(graph, links, layer, weights, bias);
    if let Some(slot) = clamp(&mut graph.nodes[layer].op) {
        *slot = affine.activation;
    }
    links.merge(graph, layer, index);
    true
}

/// Folds the node at `index` into the layer that reads its result.
fn fold_forward(graph: &mut Graph, links: &mut Links, index: usize, affine: &Affine) -> bool {
    let result = graph.nodes[index].outputs[0];
    let Some(layer) = links.only_reader(graph, result) else { return false };
    let node = &graph.nodes[layer];
    let padded = match &node.op {
        Op::Conv2d(Conv2d { window, .. }) | Op::DepthwiseConv2d(DepthwiseConv2d { window, .. }) => {
            window.pad_before != [0, 0] || window.pad_after != [0, 0]
        }
        Op::FullyConnected(_) => false,
        _ => return false,
    };
    let shifted = affine.shift.iter().any(|&t| t != 0.0);
    if affine.activation != Activation::None || node.input(0) != Some(result) || (padded && shifted) {
        return false;
    }
    let Some((mut weights, mut bias)) = parameters(graph, layer) else { return false };
    let (channels, outputs) = (affine.scale.len(), bias.len());
    let depth = node.input(1).and_then(|id| graph.value(id).shape.last().copied()).unwrap_or(0);
    let op = node.op.clone();
    if matches!(op, Op::FullyConnected(_)) && !depth.is_multiple_of(channels) {
        return false;
    }
    let per_output = weights.len() / outputs.max(1);
    for (i, weight) in weights.iter_mut().enumerate() {
        let (output, channel) = match op {
            Op::DepthwiseConv2d(DepthwiseConv2d { multiplier, .. }) => {
                (i % outputs, i % outputs / multiplier)
            }
            // Each group of outputs reads its own `depth` channels.
            Op::Conv2d(_) => {
                let output = i / per_output;
                (output, output * (channels / depth) / outputs * depth + i % depth)
            }
            _ => (i / per_output, i % depth % channels),
        };
        bias[output] += *weight * affine.shift[channel];
        *weight *= affine.scale[channel];
    }
    set_parameters(graph, links, layer, weights, bias);
    links.set_input(graph, layer, 0, affine.data);
    links.remove(graph, index);
    true
}

/// The activation of layers with weights.
fn clamp(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d(Conv2d { activation, .. })
        | Op::DepthwiseConv2d(DepthwiseConv2d { activation, .. })
        | Op::FullyConnected(FullyConnected { activation })
        | Op::TransposeConv(TransposeConv { activation, .. }) => Some(activation),
        _ => None,
    }
}

/// Float weights and bias of a layer; the bias is zeros if there is none.
fn parameters(graph: &Graph, layer: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let node = &graph.nodes[layer];
    let weights = graph.constant(node.input(1))?.as_f32()?.to_vec();
    let outputs = *graph.value(node.outputs[0]).shape.last()?;
    let bias = match node.input(2) {
        Some(bias) => graph.constant(Some(bias))?.as_f32()?.to_vec(),
        None => vec![0.0; outputs],
    };
    (bias.len() == outputs && outputs > 0 && weights.len().is_multiple_of(outputs)).then_some((weights, bias))
}

/// Gives a layer new weights and a new bias. Tensors that other nodes read too are copied.
fn set_parameters(graph: &mut Graph, links: &mut Links, layer: usize, weights: Vec<f32>, bias: Vec<f32>) {
    let name = graph.nodes[layer].name.clone();
    for (position, data, what) in [(1, weights, "weights"), (2, bias, "bias")] {
        let constant = Constant::F32(data);
        match graph.nodes[layer].input(position) {
            Some(id) if links.only_reader(graph, id).is_some() => {
                graph.value_mut(id).constant = Some(constant)
            }
            old => {
                let shape = old.map_or(vec![constant.len()], |id| graph.value(id).shape.clone());
                let new = add_constant(graph, format!("{name}/{what}"), shape, constant, None);
                links.set_input(graph, layer, position, new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Build, random_inputs};
    use super::*;
    use crate::graph::Window;
    use crate::reference::Executor;

    /// `Build` makes the model's input first.
    const INPUT: ValueId = ValueId(0);

    fn window(pad: usize) -> Window {
        Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad_before: [pad; 2], pad_after: [pad; 2] }
    }

    /// Folds, and compares the results before and after on random data.
    #[track_caller]
    fn check(before: Graph, folds: usize) -> Graph {
        let mut after = before.clone();
        // The node next to the layer is folded first, then the one beside it.
        let rounds: usize = std::iter::from_fn(|| Some(run(&mut after)).filter(|&n| n > 0)).sum();
        assert_eq!(rounds, folds);
        let inputs = random_inputs(&before, 5);
        let run = |g: &Graph| Executor::new(g).unwrap().run(&[&inputs[0]]).unwrap().concat();
        for (x, y) in run(&before).into_iter().zip(run(&after)) {
            assert!((x - y).abs() <= 1e-5 * y.abs().max(1.0), "{x} became {y}");
        }
        after
    }

    fn binary(b: &mut Build, kind: BinaryKind, x: ValueId, c: ValueId, shape: &[usize]) -> ValueId {
        b.node(Op::Binary(Binary { kind, activation: Activation::None }), &[x, c], shape)
    }

    /// The four forms of a layer on a `[1, 5, 5, 4]` image.
    fn layer(b: &mut Build, form: usize, pad: usize, x: ValueId) -> (ValueId, Vec<usize>) {
        let (window, size) = (window(pad), 3 + 2 * pad);
        let wave = |i: usize| (i as f32 * 1.3).sin();
        let activation = Activation::None;
        let (op, weights, shape) = match form {
            0 => (Op::Conv2d(Conv2d { window, activation }), vec![6, 3, 3, 4], vec![1, size, size, 6]),
            1 => (Op::Conv2d(Conv2d { window, activation }), vec![6, 3, 3, 2], vec![1, size, size, 6]),
            2 => {
                let op = Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier: 2, activation });
                (op, vec![1, 3, 3, 8], vec![1, size, size, 8])
            }
            _ => (Op::FullyConnected(FullyConnected { activation }), vec![5, 100], vec![1, 5]),
        };
        let weights = b.constant(&weights, wave);
        let y = b.node(op, &[x, weights], &shape);
        (y, shape)
    }

    #[test]
    fn mul_and_add_behind_every_layer_fold() {
        for form in 0..4 {
            let mut b = Build::new(&[1, 5, 5, 4]);
            let (x, shape) = layer(&mut b, form, 1, INPUT);
            let channels = *shape.last().unwrap();
            let scale = b.constant(&[channels], |i| i as f32 - 1.5);
            let shift = b.constant(&[1, channels], |i| 0.3 * i as f32);
            let x = binary(&mut b, BinaryKind::Mul, x, scale, &shape);
            let x = binary(&mut b, BinaryKind::Add, x, shift, &shape);
            let x = binary(&mut b, BinaryKind::Sub, shift, x, &shape);
            let after = check(b.finish(x), 3);
            assert_eq!((after.nodes.len(), after.nodes[0].name.as_str()), (1, "sub_3"));
        }
    }

    #[test]
    fn mul_and_add_in_front_fold_where_no_padding_sees_them() {
        for (form, pad, folds) in
            [(0, 0, 2), (1, 0, 2), (2, 0, 2), (3, 0, 2), (0, 1, 0), (1, 1, 0), (2, 1, 0)]
        {
            let mut b = Build::new(&[1, 5, 5, 4]);
            let scale = b.constant(&[4], |i| i as f32 + 0.5);
            let shift = b.constant(&[4], |i| 0.2 * i as f32 - 0.7);
            let x = binary(&mut b, BinaryKind::Mul, INPUT, scale, &[1, 5, 5, 4]);
            let x = binary(&mut b, BinaryKind::Sub, x, shift, &[1, 5, 5, 4]);
            let (x, _) = layer(&mut b, form, pad, x);
            check(b.finish(x), folds);
        }
        // Padding does not prevent folding a product without a sum.
        let mut b = Build::new(&[1, 5, 5, 4]);
        let scale = b.constant(&[4], |i| i as f32 + 0.5);
        let x = binary(&mut b, BinaryKind::Div, INPUT, scale, &[1, 5, 5, 4]);
        let (x, _) = layer(&mut b, 1, 1, x);
        check(b.finish(x), 1);
    }

    #[test]
    fn what_is_not_per_channel_or_read_twice_stays() {
        let mut b = Build::new(&[1, 5, 5, 4]);
        let (x, shape) = layer(&mut b, 0, 1, INPUT);
        let image = b.constant(&[5, 1], |i| i as f32);
        let y = binary(&mut b, BinaryKind::Mul, x, image, &shape);
        check(b.finish(y), 0);
        let mut b = Build::new(&[1, 5, 5, 4]);
        let (x, shape) = layer(&mut b, 0, 1, INPUT);
        let scale = b.constant(&[6], |i| i as f32);
        let y = binary(&mut b, BinaryKind::Mul, x, scale, &shape);
        let y = binary(&mut b, BinaryKind::Maximum, x, y, &shape);
        check(b.finish(y), 0);
    }

    #[test]
    fn shared_weights_are_copied() {
        let mut b = Build::new(&[1, 4]);
        let weights = b.constant(&[4, 4], |i| i as f32);
        let scale = b.constant(&[4], |i| i as f32);
        let x = b.dense(b.input(), weights, 4);
        let x = binary(&mut b, BinaryKind::Mul, x, scale, &[1, 4]);
        let x = binary(&mut b, BinaryKind::Maximum, x, scale, &[1, 4]);
        let x = b.dense(x, weights, 4);
        check(b.finish(x), 1);
    }
}
