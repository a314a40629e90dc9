//! Convolutions and dense layers some of whose channels have unusual numbers: every kernel set gives what plain weights
//! give, `convert --rust` names the operator that runs them, and no such layer is plain.

mod common;

use common::Net;
use ferrolite::aligned::AlignedBuf;
use ferrolite::emit::{self, Options, Winograd};
use ferrolite::graph::{
    Activation, Constant, Conv2d, DType, FullyConnected, Graph, Node as GraphNode, Op, Padding, Quantization,
    Value, ValueId, Window,
};
use ferrolite::model_file::{self, Weights};
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::kernels::{Armv6m, Armv7em, Armv7m, Mve, Portable, Rv32im, policy};
use ferrolite_runtime::packing::{Order, Packing};
use ferrolite_runtime::params::{Conv2dParams, FullyConnectedParams};
use ferrolite_runtime::{Error, Fault, Model, Node, OpCode, OpSet, Operator, Rounding, Target, check, ops};

/// Layers of each kind.
const LAYERS: usize = 60;

/// What is unusual about a channel's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    None,
    /// A factor of one half and more: it is not shifted to the right.
    Left,
    /// A factor below 2^-23, with a bias half a step from two results.
    Right,
    /// A bias above 2^30, half a step from two results.
    Bias,
    /// Weights of -128.
    Weight,
    /// Weights of the largest magnitude.
    Sum,
}

const KINDS: [Kind; 5] = [Kind::Left, Kind::Right, Kind::Bias, Kind::Weight, Kind::Sum];

/// A layer of `kernel` by `kernel` taps, or a dense one where that is 0.
#[derive(Debug)]
struct Layer {
    kernel: usize,
    /// Height and width of an image.
    size: usize,
    depth: usize,
    kinds: Vec<Kind>,
    zero_points: (i32, i32),
    activation: Activation,
}

impl Layer {
    fn any(random: &mut Random, kernel: usize) -> Layer {
        // Depths beyond what the kernels add up at a time.
        let depth = match kernel {
            0 => [random.up_to(40), random.up_to(1500)][random.below(2)],
            1 => [random.up_to(40), random.up_to(700)][random.below(2)],
            // Half of them suit Winograd's algorithm.
            _ => [4 * random.up_to(9), random.up_to(70)][random.below(2)],
        };
        let channels = [2 * random.up_to(10), random.up_to(20)][random.below(2)];
        // Of how many channels one is unusual: of one, of eight or of none.
        let share = [1, 8, usize::MAX][random.below(3)];
        let mut kind = || match random.below(share) {
            0 => KINDS[random.below(KINDS.len())],
            _ => Kind::None,
        };
        let kinds = (0..channels).map(|_| kind()).collect();
        let zero_points = (random.element().into(), i32::from(random.element()) / 8);
        let activation = [Activation::None, Activation::Relu][random.below(2)];
        // The larger image is made tile by tile.
        let size = [3, 5][random.below(2)];
        Layer { kernel, size, depth, kinds, zero_points, activation }
    }

    fn graph(&self, random: &mut Random) -> Graph {
        let mut graph = Graph { name: "layer".into(), ..Graph::default() };
        let (channels, size) = (self.kinds.len(), [self.size; 2]);
        let taps = self.kernel.max(1) * self.kernel.max(1) * self.depth;
        let (mut weights, mut scales, mut bias) = (Vec::new(), Vec::new(), Vec::new());
        for &kind in &self.kinds {
            weights.extend((0..taps).map(|_| match kind {
                Kind::Weight if random.below(2) == 0 => -128,
                Kind::Sum => [-127i8, 127][random.below(2)],
                _ => ((random.below(85) + random.below(85) + random.below(85)) as i32 - 126) as i8,
            }));
            let usual = 40.0 / (43.0 * 70.0 * (taps as f32).sqrt());
            let (scale, number) = match kind {
                Kind::Left => ((random.below(30) as f32 / 10.0 - 1.0).exp2(), random.below(200) as i32 - 100),
                Kind::Right => ((-24f32).exp2(), (60 << 24) + (1 << 23)),
                Kind::Bias => ((-23f32).exp2(), (128 << 23) + (1 << 22)),
                _ => (usual * (0.8 + random.below(40) as f32 / 100.0), random.below(2000) as i32 - 1000),
            };
            scales.push(scale);
            bias.push(number);
        }
        let activation = self.activation;
        let (op, input, filter, output) = match self.kernel {
            0 => (
                Op::FullyConnected(FullyConnected { activation }),
                vec![2, self.depth],
                vec![channels, self.depth],
                vec![2, channels],
            ),
            kernel => {
                let window = Window::over(size, [kernel; 2], [1; 2], [1; 2], [Padding::Same; 2]);
                (
                    Op::Conv2d(Conv2d { window, activation }),
                    vec![1, size[0], size[1], self.depth],
                    vec![channels, kernel, kernel, self.depth],
                    vec![1, size[0], size[1], channels],
                )
            }
        };
        let quantization = Some(Quantization::per_channel(scales, 0));
        let weights = add(&mut graph, "weights", filter, quantization, Some(Constant::I8(weights)));
        let bias = add(&mut graph, "bias", vec![channels], None, Some(Constant::I32(bias)));
        let (from, to) = self.zero_points;
        let x = add(&mut graph, "x", input, Some(Quantization::per_tensor(0.05, from)), None);
        let y = add(&mut graph, "y", output, Some(Quantization::per_tensor(0.05, to)), None);
        let inputs = vec![Some(x), Some(weights), Some(bias)];
        graph.nodes.push(GraphNode { name: "layer".into(), op, inputs, outputs: vec![y] });
        graph.inputs.push(x);
        graph.outputs.push(y);
        graph
    }
}

fn add(
    graph: &mut Graph,
    name: &str,
    shape: Vec<usize>,
    quantization: Option<Quantization>,
    constant: Option<Constant>,
) -> ValueId {
    let dtype = constant.as_ref().map_or(DType::Int8, Constant::dtype);
    graph.add_value(Value { name: name.into(), shape, dtype, quantization, constant })
}

fn compile(graph: &Graph, target: Target, rounding: Rounding) -> AlignedBuf {
    compile_with(graph, Options { target, rounding, winograd: Winograd::Never, ..Options::default() })
}

fn compile_with(graph: &Graph, options: Options) -> AlignedBuf {
    let emitted = emit::compile(graph, &options).map_err(|error| error.message).expect("it is lowered");
    AlignedBuf::from_bytes(&emitted.bytes)
}

/// How the weights of a file's only op are packed.
fn packing(file: &AlignedBuf) -> Packing {
    let model = Model::from_bytes(file).expect("a sound file");
    let node = Node::new(&model, &model.ops()[0]);
    let tag = match OpCode::from_code(model.ops()[0].code) {
        Some(OpCode::Conv2d | OpCode::Conv2dWinograd) => {
            node.params::<Conv2dParams>().expect("its own").packing
        }
        _ => node.params::<FullyConnectedParams>().expect("its own").packing,
    };
    Packing::from_tag(tag).expect("it was written")
}

fn run(file: &AlignedBuf, ops: OpSet, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut net = Net::with(file, ops);
    inputs.iter().map(|input| net.run(&[input], &mut ()).concat()).collect()
}

#[test]
fn every_kernel_set_gives_what_plain_weights_give() {
    let mut random = Random(41);
    const SETS: [(Target, OpSet); 7] = [
        (Target::CortexM4, &ops::all::<Armv7em>()),
        (Target::CortexM55, &ops::all::<Mve>()),
        (Target::CortexM3, &ops::all::<Armv7m>()),
        (Target::CortexM0, &ops::all::<Armv6m>()),
        (Target::RiscV32, &ops::all::<Rv32im>()),
        (Target::Host, ops::ALL),
        // A foreign packing.
        (Target::CortexM7, &ops::all::<Portable>()),
    ];
    let (mut general, mut by_tiles) = ([0; 7], 0);
    for number in 0..LAYERS * 3 {
        let layer = Layer::any(&mut random, [0, 1, 3][number % 3]);
        let graph = layer.graph(&mut random);
        let size = graph.value(graph.inputs[0]).elements();
        let mut inputs: Vec<Vec<u8>> = [0x80, 0x7F].map(|byte| vec![byte; size]).to_vec();
        inputs.push(random.elements(size).into_iter().map(|x| x as u8).collect());
        let plain = compile(&graph, Target::Portable, Rounding::Double);
        let wanted = run(&plain, ops::ALL, &inputs);
        for (at, (target, set)) in SETS.into_iter().enumerate() {
            let file = compile(&graph, target, Rounding::Double);
            let packing = packing(&file);
            let own = policy(target);
            let own = if layer.kernel == 0 { own.dense } else { own.conv };
            assert_eq!(packing == Packing::PLAIN, own == Packing::PLAIN, "{target:?}: {layer:?}");
            let shifts = layer.kinds.iter().any(|kind| matches!(kind, Kind::Left | Kind::Right | Kind::Bias));
            assert!(packing.general || !shifts || own == Packing::PLAIN, "{target:?}: {layer:?}");
            general[at] += usize::from(packing.general);
            assert_eq!(run(&file, set, &inputs), wanted, "{target:?}, {packing:?}: {layer:?}");
        }
        let options = Options { target: Target::CortexM4, winograd: Winograd::Always, ..Options::default() };
        let file = compile_with(&graph, options);
        if packing(&file).order == Order::Winograd {
            by_tiles += usize::from(packing(&file).general);
            for set in [SETS[0].1, ops::ALL] {
                assert_eq!(run(&file, set, &inputs), wanted, "by tiles: {layer:?}");
            }
        }
    }
    assert!(general.iter().all(|&count| count > LAYERS / 2), "{general:?}");
    assert!(by_tiles > LAYERS / 8, "{by_tiles}");
}

/// The operator that is named runs the layer and its friendly sister; the others for one packing refuse it.
#[test]
fn the_module_names_the_operator_for_general_weights() {
    let mut random = Random(42);
    let mut layer = |kernel, kind| {
        let layer = Layer {
            kernel,
            size: 3,
            depth: 16,
            kinds: vec![Kind::None, Kind::None, kind, Kind::None],
            zero_points: (3, -4),
            activation: Activation::None,
        };
        compile(&layer.graph(&mut random), Target::Host, Rounding::Double)
    };
    const GENERAL: &[Operator] = &[ops::general::CONV_2D, ops::general::FULLY_CONNECTED];
    const PLAIN: &[Operator] = &[ops::plain::CONV_2D, ops::plain::FULLY_CONNECTED];
    let refused = Err(Error::Op { op: 0, fault: Fault::Packing });
    for (kernel, name) in [(0, "FULLY_CONNECTED"), (1, "CONV_2D"), (3, "CONV_2D")] {
        for (kind, module, weights) in
            [(Kind::Left, "general", Weights::General), (Kind::None, "tuned", Weights::Tuned)]
        {
            let file = layer(kernel, kind);
            let model = Model::from_bytes(&file).expect("a sound file");
            let linked = model_file::operators(&model, Target::Host);
            let named: Vec<_> = linked.iter().map(|linked| (linked.to_string(), linked.weights)).collect();
            assert_eq!(named, [(format!("{module}::{name}"), weights)]);
            assert_eq!((check(&model, GENERAL), check(&model, PLAIN)), (Ok(()), refused));
        }
    }
}

/// Where the kernels for general weights are faster, and the image is large enough for them.
#[test]
fn convolutions_to_few_channels_are_general() {
    let mut random = Random(44);
    for (target, channels, few) in [
        (Target::CortexM4, 1, true),
        (Target::CortexM4, 3, false),
        (Target::CortexM33, 1, true),
        (Target::CortexM55, 3, true),
        (Target::CortexM55, 4, false),
        (Target::CortexM55, 10, true),
        (Target::CortexM55, 121, false),
        (Target::CortexM3, 1, false),
        (Target::RiscV32, 1, false),
    ] {
        for (kernel, size) in [(1, 3), (1, 5), (3, 3), (3, 5)] {
            let (kinds, zero_points) = (vec![Kind::None; channels], (3, -4));
            let layer = Layer { kernel, size, depth: 8, kinds, zero_points, activation: Activation::None };
            let packing = packing(&compile(&layer.graph(&mut random), target, Rounding::Double));
            assert_eq!(packing.general, few && size == 5, "{target:?}: {layer:?}");
        }
    }
}

/// What rounds once has no fast kernels yet, with friendly numbers or without.
#[test]
fn files_that_round_once_are_plain() {
    let mut random = Random(43);
    for kernel in [0, 1, 3] {
        let graph = Layer::any(&mut random, kernel).graph(&mut random);
        assert_eq!(packing(&compile(&graph, Target::CortexM4, Rounding::Single)), Packing::PLAIN);
    }
}
