//! Graph passes: they rewrite a network into the same network with less work at run time.
//!
//! A pass is a function that changes a [`Graph`] and returns how often. [`optimise`] runs all of them until
//! none finds anything more. Passes follow three rules:
//! - on quantized layers they are *exact*: every output byte stays what it was;
//! - on float layers, which are quantized afterwards, they keep the function up to rounding;
//! - where layers merge, the node keeps the name and the value of the last one, so that a user who compares
//!   layers still finds that tensor.
//!
//! | file | what it does | float | quantized |
//! |---|---|---|---|
//! | `constants` | computes nodes whose operands are all known | yes | data movement |
//! | `wide` | weights with a zero point | | yes |
//! | `identity` | removes nodes that change nothing, merges reshapes and transposes | yes | yes |
//! | `transposes` | pushes TRANSPOSE, and RESHAPE by dimensions of size 1, out of the layers between | yes | |
//! | `rows` | RESHAPE in front of a dense layer that keeps its rows | yes | |
//! | `batch_norm` | MUL, ADD, SUB, DIV by constants into weights and biases | yes | |
//! | `functions` | GELU, SiLU and other functions of one number, written in parts, into one layer | yes | |
//! | `activation` | clamps into the layer before | yes | where exact |
//! | `pad` | zero PAD into the windows that read it, PAD that loses into max pools | yes | yes |
//! | `taps` | taps of convolutions that see only padding | | yes |
//! | `equivalent` | single-channel depthwise into convolution, convolution of a whole image into dense | | yes |
//! | `channels` | output channels that are constant into the next layer's bias | | yes |
//! | `apart` | variables that several tensors make, which are only read in these parts | yes | |
//! | `kept` | SLICE and RESHAPE before what a variable keeps | yes | yes |
//! | `dead` | removes nodes that nobody reads | yes | yes |
//!
//! `decompose` is not among them; [`decompose()`] runs it before quantization.

mod activation;
mod apart;
mod batch_norm;
mod channels;
pub(crate) mod constants;
pub(crate) mod dead;
mod decompose;
mod equivalent;
pub(crate) mod functions;
mod identity;
mod kept;
mod pad;
mod rewrite;
mod rows;
mod taps;
mod transposes;
pub(crate) mod wide;

pub(crate) use pad::fold_pools;

#[cfg(test)]
pub(crate) mod testing;

use crate::graph::Graph;

/// One transformation of a graph.
pub struct Pass {
    /// What it did, for people, as in "folded 7 batch norms"; `{}` is the place of the number.
    pub did: &'static str,
    /// Applies the pass everywhere, and returns how often it changed something.
    pub run: fn(&mut Graph) -> usize,
}

/// All passes. In this order, each finds what the ones before it have exposed.
pub const PASSES: &[Pass] = &[
    Pass { did: "computed {} constant layers", run: constants::run },
    Pass { did: "made the weights of {} layers symmetric", run: wide::run },
    Pass { did: "removed {} layers that change nothing", run: identity::run },
    Pass { did: "pushed {} transposes and reshapes out", run: transposes::run },
    Pass { did: "passed {} reshapes by in front of dense layers", run: rows::run },
    Pass { did: "folded {} batch norm operations into weights", run: batch_norm::run },
    Pass { did: "recognised {} functions that were written in parts", run: functions::run },
    Pass { did: "fused {} activations", run: activation::run },
    Pass { did: "folded {} paddings into windows", run: pad::run },
    Pass { did: "cut {} kernels to the taps that see the image", run: taps::run },
    Pass { did: "turned {} layers into simpler ones of another operator", run: equivalent::run },
    Pass { did: "folded {} constant channels into biases", run: channels::run },
    Pass { did: "took {} variables apart, which were several tensors in one", run: apart::run },
    Pass { did: "took {} parts of variables where they lie", run: kept::run },
    Pass { did: "removed {} layers that nobody reads", run: dead::run },
];

/// What [`optimise`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One sentence for each pass that did something, such as `fused 3 activations`.
    pub done: Vec<String>,
}

/// Runs all passes until none of them changes the graph any more.
///
/// ```
/// let mut graph = ferrolite::graph::Graph::default();
/// assert!(ferrolite::passes::optimise(&mut graph).done.is_empty());
/// ```
pub fn optimise(graph: &mut Graph) -> Report {
    let mut counts = vec![0; PASSES.len()];
    // Every change removes a node, an attribute or a channel, or simplifies an operator, so this ends long
    // before the bound.
    for _ in 0..=2 * graph.nodes.len() {
        let before: usize = counts.iter().sum();
        for (pass, count) in PASSES.iter().zip(&mut counts) {
            *count += (pass.run)(graph);
        }
        if counts.iter().sum::<usize>() == before {
            break;
        }
    }
    let done = PASSES.iter().zip(counts).filter(|(_, count)| *count > 0);
    Report { done: done.map(|(pass, count)| pass.did.replace("{}", &count.to_string())).collect() }
}

/// Replaces the float layers that have no int8 kernel on the device (DIV, SQUARED_DIFFERENCE, PRELU,
/// LOG_SOFTMAX) by several that have one; returns how many layers. For use before quantization only: the
/// float reference runs the author's graph.
pub fn decompose(graph: &mut Graph) -> usize {
    decompose::run(graph)
}

/// The graph that quantization gets: optimised, with layers that have no int8 kernel decomposed.
pub fn for_quantization(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    optimise(&mut graph);
    if decompose(&mut graph) > 0 {
        optimise(&mut graph);
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::testing::{Build, random_inputs};
    use super::*;
    use crate::graph::{Op, UnaryKind};
    use crate::import::load;
    use crate::reference::Executor;

    #[test]
    fn passes_help_one_another_until_nothing_is_left() {
        // dense -> reshape (same shape) -> relu -> reshape twice
        let mut b = Build::new(&[1, 4]);
        let weights = b.constant(&[4, 4], |i| i as f32 - 7.5);
        let x = b.dense(b.input(), weights, 4);
        let x = b.node(Op::Reshape, &[x], &[1, 4]);
        let x = b.node(Op::Unary(UnaryKind::Relu), &[x], &[1, 4]);
        let x = b.node(Op::Reshape, &[x], &[2, 2]);
        let x = b.node(Op::Reshape, &[x], &[4]);
        let mut graph = b.finish(x);
        let before = graph.clone();
        let report = optimise(&mut graph);
        let ops: Vec<&str> = graph.nodes.iter().map(|n| n.op.name()).collect();
        assert_eq!(ops, ["FULLY_CONNECTED", "RESHAPE"], "{report:?}");
        assert_eq!(graph.nodes[0].name, "relu_2");
        let input = random_inputs(&before, 1);
        let input: Vec<&[f32]> = input.iter().map(Vec::as_slice).collect();
        let run = |g: &Graph| Executor::new(g).unwrap().run(&input).unwrap();
        assert_eq!(run(&before), run(&graph));
    }

    #[test]
    fn real_float_models_keep_their_function() {
        let Some(folder) = ferrolite_shared::models() else { return };
        let names = ["digits_mlp", "fashion_dsres", "mnist_cnn", "sine", "watch_conv1d"];
        let trained = names.map(|n| format!("trained/{n}/{n}_float.tflite"));
        let real = ["hello_world_float", "kws_ref_model_float32", "pretrainedResnet_float"];
        for path in trained.into_iter().chain(real.map(|n| format!("real/{n}.tflite"))) {
            let before = load(&folder.join(&path)).unwrap().graph;
            let mut after = before.clone();
            let report = optimise(&mut after);
            println!("{path}: {} -> {} layers, {report:?}", before.nodes.len(), after.nodes.len());
            let input = random_inputs(&before, 7);
            let input: Vec<&[f32]> = input.iter().map(Vec::as_slice).collect();
            let run = |g: &Graph| Executor::new(g).unwrap().run(&input).unwrap();
            for (x, y) in run(&before).concat().iter().zip(run(&after).concat()) {
                assert!((x - y).abs() < 1e-5, "{path}: {x} became {y}");
            }
        }
    }
}
