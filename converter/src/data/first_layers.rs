//! Finds out from a model's first layers which pixel values the model expects. Keras's `Rescaling` and
//! `Normalization`, a batch normalization and subtracted means are multiplications and additions of constants
//! right after the input. TensorFlow's converter folds them into the weights of the first layer, which are
//! tiny then.

use super::Scale;
use crate::graph::{Activation, Binary, BinaryKind, Graph, Node, Op, ValueId};
use crate::ops::weights_of;

/// Only pixels of 0..255 have a normal size after a slope as small as this; pixels of 0..1 would vanish.
const SMALL: f64 = 1.0 / 16.0;

/// A first layer with a gain as small as this has a small slope folded into its weights. Trained weights for
/// numbers of normal size have a gain near one (0.3 to 3), those for 0..255 at most a hundredth of that.
const TINY: f64 = 1.0 / 32.0;

/// A constant larger than this is a mean of pixels.
const LARGE: f64 = 8.0;

/// For each input, the scale that its first layers need; `None` if they do not tell.
pub fn wants(graph: &Graph) -> Vec<Option<Scale>> {
    let consumers = graph.consumers();
    let consumer = |id: ValueId| match consumers.get(&id).map(Vec::as_slice) {
        Some(&[node]) => Some(&graph.nodes[node]),
        _ => None,
    };
    let want = |&input: &ValueId| {
        let (slope, constant, end) = affine(graph, consumer, input);
        let gain = consumer(end).and_then(|node| gain(graph, node, consumer));
        let near = |x: f64, low: f64, high: f64| (low..=high).contains(&x);
        let pixels = slope.abs() <= SMALL || constant.abs() > LARGE || gain.is_some_and(|gain| gain <= TINY);
        let unit = near(slope, 1.95, 2.05) && near(constant, -1.05, -0.95);
        let imagenet = near(slope, 3.5, 5.5) && near(constant, -2.5, -1.5);
        match pixels {
            true => Some(Scale::ZeroTo255),
            false => (unit || imagenet).then_some(Scale::ZeroToOne),
        }
    };
    graph.inputs.iter().map(want).collect()
}

/// The slope and the constant that the first layers apply to an input, averaged over its channels, and the
/// value after these layers.
fn affine<'g>(
    graph: &'g Graph,
    consumer: impl Fn(ValueId) -> Option<&'g Node>,
    input: ValueId,
) -> (f64, f64, ValueId) {
    let (mut id, mut slope, mut constant) = (input, 1.0, 0.0);
    while let Some(node) = consumer(id) {
        match node.op {
            Op::Reshape | Op::Transpose(_) | Op::Quantize | Op::Dequantize => {}
            Op::Binary(Binary { kind, activation: Activation::None }) => {
                let first = node.input(0) == Some(id);
                let Some(by) = mean(graph, node.input(usize::from(first))) else { break };
                match (kind, first) {
                    (BinaryKind::Mul, _) => (slope, constant) = (slope * by, constant * by),
                    (BinaryKind::Div, true) if by != 0.0 => (slope, constant) = (slope / by, constant / by),
                    (BinaryKind::Add, _) => constant += by,
                    (BinaryKind::Sub, true) => constant -= by,
                    (BinaryKind::Sub, false) => (slope, constant) = (-slope, by - constant),
                    _ => break,
                }
            }
            _ => break,
        }
        let Some(&output) = node.outputs.first() else { break };
        id = output;
    }
    (slope, constant, id)
}

fn mean(graph: &Graph, id: Option<ValueId>) -> Option<f64> {
    let numbers = graph.constant(id)?.as_f32()?;
    let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / numbers.len() as f64;
    Some(mean).filter(|mean| mean.is_finite())
}

/// About how large the results of a layer with weights are, relative to its input. `None` if a normalization
/// follows, which makes the gain meaningless.
fn gain<'g>(graph: &'g Graph, node: &Node, consumer: impl Fn(ValueId) -> Option<&'g Node>) -> Option<f64> {
    let (weights, axis) = weights_of(graph, node)?;
    let channels = weights.shape.get(axis).copied()?;
    let numbers = weights.constant.as_ref()?.as_f32()?;
    let mut id = *node.outputs.first()?;
    while let Some(next) = consumer(id) {
        let Op::Binary(Binary { kind, .. }) = next.op else { break };
        if !matches!(kind, BinaryKind::Add) {
            return None;
        }
        id = *next.outputs.first()?;
    }
    let squares: f64 = numbers.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let gain = (squares / channels.max(1) as f64).sqrt();
    (gain > 0.0 && gain.is_finite()).then_some(gain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Softmax;
    use crate::passes::testing::Build;

    #[test]
    fn scaling_inside_tells_what_is_wanted() {
        use BinaryKind::{Add, Div, Mul, Sub};
        type Layers<'a> = &'a [(BinaryKind, f32)];
        let cases: [(Layers<'_>, Option<Scale>); 9] = [
            (&[(Mul, 1.0 / 255.0)], Some(Scale::ZeroTo255)),
            (&[(Div, 255.0)], Some(Scale::ZeroTo255)),
            (&[(Mul, 1.0 / 127.5), (Add, -1.0)], Some(Scale::ZeroTo255)),
            (&[(Sub, 127.5), (Div, 127.5)], Some(Scale::ZeroTo255)),
            (&[(Sub, 103.9)], Some(Scale::ZeroTo255)),
            (&[(Mul, 2.0), (Sub, 1.0)], Some(Scale::ZeroToOne)),
            (&[(Sub, 0.456), (Div, 0.224)], Some(Scale::ZeroToOne)),
            (&[(Add, 0.25)], None),
            (&[], None),
        ];
        for (layers, want) in cases {
            let mut b = Build::new(&[1, 4, 4, 1]);
            let mut x = b.input();
            for &(kind, by) in layers {
                let by = b.constant(&[1], |_| by);
                x = b.node(
                    Op::Binary(Binary { kind, activation: Activation::None }),
                    &[x, by],
                    &[1, 4, 4, 1],
                );
            }
            let x = b.node(Op::Softmax(Softmax { beta: 1.0 }), &[x], &[1, 4, 4, 1]);
            assert_eq!(wants(&b.finish(x)), [want], "{layers:?}");
        }
    }

    #[test]
    fn tiny_weights_tell_it_but_not_before_a_normalization() {
        let multiply = Op::Binary(Binary { kind: BinaryKind::Mul, activation: Activation::None });
        let cases =
            [(0.5, false, None), (0.5 / 255.0, false, Some(Scale::ZeroTo255)), (0.5 / 255.0, true, None)];
        for (weight, normalized, want) in cases {
            let mut b = Build::new(&[1, 16]);
            let weights = b.constant(&[4, 16], |i| if i % 2 == 0 { weight } else { -weight });
            let mut y = b.dense(b.input(), weights, 4);
            if normalized {
                let by = b.constant(&[4], |_| 300.0);
                y = b.node(multiply.clone(), &[y, by], &[1, 4]);
            }
            assert_eq!(wants(&b.finish(y)), [want], "{weight} {normalized}");
        }
    }
}
