//! Placement in the arena. A simulation that does not use the planner tracks every byte, and models whose
//! tensors share memory must give the same results as those in which none do.

mod common;

use common::{Net, SETS, compile, files, root};
use ferrolite::aligned::AlignedBuf;
use ferrolite::emit::{self, Winograd};
use ferrolite::graph::{
    Activation, Binary, BinaryKind, Constant, Conv2d, DType, DepthwiseConv2d, Graph, Node, Op, Quantization,
    UnaryKind, Value, ValueId, Window,
};
use ferrolite_runtime::kernels::TILE;
use ferrolite_runtime::{Error, Fault, Model, OpSet, Target, ops};
use ferrolite_schema::OpCode;
use proptest::prelude::*;

/// Tracks which tensor each byte of the arena belongs to. An op's outputs may overwrite its own inputs as far
/// as the operator allows; every other byte that an op reads must belong to its tensor.
fn follow_every_byte(file: &[u8]) -> Result<(), String> {
    let file = AlignedBuf::from_bytes(file);
    let model = Model::from_bytes(&file).map_err(|error| error.to_string())?;
    let mut owner: Vec<Option<u16>> = vec![None; model.arena_bytes()];
    let range = |tensor: u16| {
        let tensor = &model.tensors()[usize::from(tensor)];
        tensor.offset as usize..tensor.end() as usize
    };
    let in_arena = |tensor: u16| model.tensors()[usize::from(tensor)].in_arena();
    for port in model.inputs() {
        owner[range(port.tensor as u16)].fill(Some(port.tensor as u16));
    }
    for (index, op) in model.ops().iter().enumerate() {
        let (inputs, outputs) = model.operands(op).split_at(op.inputs.into());
        owner[op.scratch as usize..][..op.scratch_bytes as usize].fill(None);
        for &input in inputs.iter().filter(|&&input| in_arena(input)) {
            if owner[range(input)].iter().any(|&byte| byte != Some(input)) {
                return Err(format!("op {index} reads tensor {input}, of which bytes are overwritten"));
            }
        }
        let operator = ops::ALL.iter().find(|operator| operator.code == op.code).expect("known");
        let node = ferrolite_runtime::Node::new(&model, op);
        for &output in outputs {
            let (out, end) = (range(output).start, range(output).end);
            for (position, &input) in inputs.iter().enumerate().filter(|(_, input)| in_arena(**input)) {
                let read = range(input);
                if read.start < end && out < read.end {
                    let lead = (operator.lead)(&node, position).map(|lead| lead as usize);
                    if lead.is_none_or(|lead| read.start < out + lead) {
                        return Err(format!("op {index} writes tensor {output} over its input {input}"));
                    }
                }
            }
            owner[out..end].fill(Some(output));
        }
        if outputs.iter().any(|&output| owner[range(output)].iter().any(|&byte| byte != Some(output))) {
            return Err(format!("outputs of op {index} overlap"));
        }
    }
    for port in model.outputs() {
        let tensor = port.tensor as u16;
        if owner[range(tensor)].iter().any(|&byte| byte != Some(tensor)) {
            return Err(format!("model output {tensor} is overwritten"));
        }
    }
    Ok(())
}

#[test]
fn no_byte_of_a_real_model_is_lost() {
    let mut models = files(&root().join("tests/vectors/graphs"), ".tflite");
    if let Some(folder) = ferrolite_shared::models() {
        models.extend(files(&folder, ".tflite"));
    }
    let mut followed = 0;
    for model in models {
        for optimised in [false, true] {
            // Other tests cover models that are float or contain unsupported operators.
            if let Ok(file) = compile(&model, optimised) {
                follow_every_byte(&file.bytes).unwrap_or_else(|error| panic!("{}: {error}", model.display()));
                followed += 1;
            }
        }
    }
    assert!(followed > 10, "only {followed} models were followed");
}

/// The choices that make a random graph: the kind of each layer, its operands, and its window.
#[derive(Clone, Debug)]
struct Layer {
    kind: u8,
    operands: (usize, usize),
    channels: usize,
    window: Window,
}

const HEIGHT: usize = 5;
const WIDTH: usize = 4;
const CHANNELS: usize = 3;

fn layers() -> impl Strategy<Value = Layer> {
    let pair = |low: usize, high: usize| prop::array::uniform2(low..=high);
    let windows =
        (pair(1, 4), pair(1, 3), pair(0, 3), pair(0, 3)).prop_map(|(kernel, stride, before, after)| Window {
            kernel,
            stride,
            dilation: [1; 2],
            pad_before: before,
            pad_after: after,
        });
    // Most windows of real models keep the image's size.
    let same = (0usize..3).prop_map(|pad| same_size([2 * pad + 1; 2]));
    (0u8..8, (any::<usize>(), any::<usize>()), 1usize..13, prop_oneof![windows, same])
        .prop_map(|(kind, operands, channels, window)| Layer { kind, operands, channels, window })
}

/// A window with stride 1 and an odd kernel that keeps an image's size.
fn same_size(kernel: [usize; 2]) -> Window {
    let pad = kernel.map(|size| size / 2);
    Window { kernel, stride: [1; 2], dilation: [1; 2], pad_before: pad, pad_after: pad }
}

fn image(graph: &mut Graph, [height, width, channels]: [usize; 3]) -> ValueId {
    let number = graph.values.len();
    graph.add_value(Value {
        name: format!("t{number}"),
        shape: vec![1, height, width, channels],
        dtype: DType::Int8,
        quantization: Some(Quantization::per_tensor(0.05, (number % 11) as i32 - 5)),
        constant: None,
    })
}

fn filter(graph: &mut Graph, shape: [usize; 4]) -> ValueId {
    let count: usize = shape.iter().product();
    // Weights are symmetric, as in TFLite; packings require this.
    let elements = (0..count).map(|i| ((i * 73 % 251) as u8 as i8).max(-127)).collect();
    graph.add_value(Value {
        name: format!("w{}", graph.values.len()),
        shape: shape.into(),
        dtype: DType::Int8,
        quantization: Some(Quantization::per_tensor(0.004, 0)),
        constant: Some(Constant::I8(elements)),
    })
}

/// The size of a window's output for an image; `None` if the window does not fit.
fn output_size(window: &Window, image: [usize; 2]) -> Option<[usize; 2]> {
    let size = |axis: usize| {
        let padded = image[axis] + window.pad_before[axis] + window.pad_after[axis];
        Some(padded.checked_sub(window.kernel[axis])? / window.stride[axis] + 1)
    };
    Some([size(0)?, size(1)?])
}

fn random_graph(layers: &[Layer], outputs: &[usize]) -> Graph {
    let mut graph = Graph { name: "random".into(), ..Graph::default() };
    let first = image(&mut graph, [HEIGHT, WIDTH, CHANNELS]);
    let mut images = vec![first];
    let activation = Activation::None;
    for layer in layers {
        let a = images[layer.operands.0 % images.len()];
        let shape = graph.value(a).shape.clone();
        let (size, channels) = ([shape[1], shape[2]], shape[3]);
        let (window, windowed) = match output_size(&layer.window, size) {
            Some(windowed) => (layer.window, windowed),
            None => (same_size([3; 2]), size),
        };
        let [kernel_h, kernel_w] = window.kernel;
        let (op, inputs, size, out_channels) = match layer.kind {
            0 => {
                let weights = filter(&mut graph, [layer.channels, 1, 1, channels]);
                let op = Op::Conv2d(Conv2d { window: same_size([1; 2]), activation });
                (op, vec![a, weights], size, layer.channels)
            }
            1 => {
                let weights = filter(&mut graph, [layer.channels, kernel_h, kernel_w, channels]);
                (Op::Conv2d(Conv2d { window, activation }), vec![a, weights], windowed, layer.channels)
            }
            2 => {
                let weights = filter(&mut graph, [1, kernel_h, kernel_w, channels]);
                let op = Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier: 1, activation });
                (op, vec![a, weights], windowed, channels)
            }
            3 => {
                let same: Vec<ValueId> =
                    images.iter().copied().filter(|&b| graph.value(b).shape == shape).collect();
                let b = same[layer.operands.1 % same.len()];
                (Op::Binary(Binary { kind: BinaryKind::Add, activation }), vec![a, b], size, channels)
            }
            4 => (Op::Unary(UnaryKind::Tanh), vec![a], size, channels),
            5 => {
                // A convolution for Winograd's algorithm.
                let weights = filter(&mut graph, [layer.channels.next_multiple_of(4), 3, 3, channels]);
                let op = Op::Conv2d(Conv2d { window: same_size([3; 2]), activation });
                (op, vec![a, weights], size, layer.channels.next_multiple_of(4))
            }
            6 => {
                // If an earlier layer made a multiple of four channels, this layer is computed four channels
                // at a time.
                let weights = filter(&mut graph, [1, 3, 3, channels]);
                let op = Op::DepthwiseConv2d(DepthwiseConv2d {
                    window: same_size([3; 2]),
                    multiplier: 1,
                    activation,
                });
                (op, vec![a, weights], size, channels)
            }
            _ => (Op::Reshape, vec![a], size, channels),
        };
        let output = image(&mut graph, [size[0], size[1], out_channels]);
        if op == Op::Reshape {
            let same = graph.value(a).quantization.clone();
            graph.value_mut(output).quantization = same;
        }
        let name = format!("layer{}", graph.nodes.len());
        let inputs = inputs.into_iter().map(Some).collect();
        graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        images.push(output);
    }
    graph.inputs = vec![first];
    graph.outputs = outputs.iter().map(|&output| images[output % images.len()]).collect();
    graph
}

fn answers(file: &[u8], ops: OpSet) -> Vec<Vec<u8>> {
    let file = AlignedBuf::from_bytes(file);
    let input: Vec<u8> = (0..HEIGHT * WIDTH * CHANNELS).map(|i| (i * 37 % 256) as u8).collect();
    Net::with(&file, ops).run(&[&input], &mut ())
}

/// Whether every byte of `images` of `pixels` pixels is read before it is overwritten, if a tile of pixels of
/// one image is read before its output is written, and the output starts `lead` bytes before the input.
/// Simulates each byte.
fn tiles_survive(
    (images, pixels): (usize, usize),
    in_channels: usize,
    out_channels: usize,
    lead: usize,
) -> bool {
    let all = images * pixels;
    let mut memory = vec![None; (all * out_channels).max(lead + all * in_channels)];
    for at in 0..all * in_channels {
        memory[lead + at] = Some(at);
    }
    for first in (0..all).step_by(pixels) {
        for start in (first..first + pixels).step_by(TILE) {
            let end = (start + TILE).min(first + pixels);
            if (start * in_channels..end * in_channels).any(|at| memory[lead + at] != Some(at)) {
                return false;
            }
            memory[start * out_channels..end * out_channels].fill(None);
        }
    }
    true
}

/// The output of a depthwise layer by blocks lies exactly over its input or apart from it. If the input is
/// put anywhere else, the operator refuses the file.
#[test]
fn depthwise_layers_by_blocks_overlap_exactly_or_not_at_all() {
    let mut graph = Graph { name: "blocks".into(), ..Graph::default() };
    let activation = Activation::None;
    let input = image(&mut graph, [HEIGHT, WIDTH, 8]);
    let weights = filter(&mut graph, [1, 3, 3, 8]);
    let middle = image(&mut graph, [HEIGHT, WIDTH, 8]);
    let op = Op::DepthwiseConv2d(DepthwiseConv2d { window: same_size([3; 2]), multiplier: 1, activation });
    let inputs = vec![Some(input), Some(weights)];
    graph.nodes.push(Node { name: "depthwise".into(), op, inputs, outputs: vec![middle] });
    // This layer leaves room in the arena.
    let weights = filter(&mut graph, [32, 1, 1, 8]);
    let output = image(&mut graph, [HEIGHT, WIDTH, 32]);
    let op = Op::Conv2d(Conv2d { window: same_size([1; 2]), activation });
    let inputs = vec![Some(middle), Some(weights)];
    graph.nodes.push(Node { name: "wide".into(), op, inputs, outputs: vec![output] });
    (graph.inputs, graph.outputs) = (vec![input], vec![output]);

    let options = emit::Options { target: Target::CortexM4, ..emit::Options::default() };
    let mut file = AlignedBuf::from_bytes(&emit::compile(&graph, &options).unwrap().bytes);
    let (record, bytes, arena, out) = {
        let model = Model::from_bytes(&file).unwrap();
        assert_eq!(model.ops()[0].code, OpCode::Depthwise3x3 as u16);
        let (tensor, out) = (&model.tensors()[0], &model.tensors()[1]);
        assert_eq!(tensor.offset, out.offset, "the planner puts both in one place");
        // The offset is the first word of a tensor's record.
        let record = std::ptr::from_ref(tensor).addr() - file.as_ptr().addr();
        (record, tensor.bytes, model.arena_bytes() as u32, out.offset)
    };
    let mut refused = 0;
    for offset in (0..=arena - bytes).step_by(4) {
        file[record..record + 4].copy_from_slice(&offset.to_le_bytes());
        // The verifier checks the position of the scratch memory.
        let Ok(model) = Model::from_bytes(&file) else { continue };
        let fits = offset == out || offset.abs_diff(out) >= bytes;
        match ferrolite_runtime::check(&model, ops::ALL) {
            Ok(()) => assert!(fits, "input at {offset}, output at {out}"),
            Err(error) => {
                assert_eq!(error, Error::Op { op: 0, fault: Fault::Overlap });
                assert!(!fits, "input at {offset}, output at {out}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    /// The same holds for the core that the file is packed for, with its own kernels and with the portable
    /// ones.
    #[test]
    fn shared_memory_changes_no_answer(
        layers in prop::collection::vec(layers(), 1..14),
        outputs in prop::collection::vec(any::<usize>(), 1..3),
    ) {
        let graph = random_graph(&layers, &outputs);
        // If every value is an output, no tensor takes the memory of another.
        let mut apart = graph.clone();
        let values = (0..graph.values.len()).map(ValueId);
        apart.outputs.extend(values.filter(|&id| graph.value(id).constant.is_none()));
        let apart = emit::compile(&apart, &emit::Options::default()).unwrap();
        let wanted = answers(&apart.bytes, ops::ALL);
        for set in SETS {
            let options =
                emit::Options { target: set.target, winograd: Winograd::Always, ..emit::Options::default() };
            let file = emit::compile(&graph, &options).unwrap();
            follow_every_byte(&file.bytes).unwrap();
            let found = answers(&file.bytes, set.ops);
            prop_assert_eq!(&found[..], &wanted[..found.len()], "{}", set.name);
            if set.target == Target::Portable {
                prop_assert!(file.arena_bytes <= apart.arena_bytes);
            }
        }
    }

    /// By definition, the lead is enough, and no larger than necessary.
    #[test]
    fn pointwise_convolutions_are_ahead_by_whole_tiles(
        (batches, size) in (1usize..4, prop::array::uniform2(1usize..8)),
        (in_channels, out_channels) in (1usize..9, 1usize..9),
    ) {
        let mut graph = Graph { name: "pointwise".into(), ..Graph::default() };
        let input = image(&mut graph, [size[0], size[1], in_channels]);
        let weights = filter(&mut graph, [out_channels, 1, 1, in_channels]);
        let output = image(&mut graph, [size[0], size[1], out_channels]);
        let op = Op::Conv2d(Conv2d { window: same_size([1; 2]), activation: Activation::None });
        let inputs = vec![Some(input), Some(weights)];
        graph.nodes.push(Node { name: "layer".into(), op, inputs, outputs: vec![output] });
        (graph.inputs, graph.outputs) = (vec![input], vec![output]);
        for id in [input, output] {
            graph.value_mut(id).shape[0] = batches;
        }
        for set in SETS {
            let options = emit::Options { target: set.target, ..emit::Options::default() };
            let file = AlignedBuf::from_bytes(&emit::compile(&graph, &options).unwrap().bytes);
            let model = Model::from_bytes(&file).unwrap();
            let op = &model.ops()[0];
            let operator = set.ops.iter().find(|operator| operator.code == op.code).unwrap();
            let lead = (operator.lead)(&ferrolite_runtime::Node::new(&model, op), 0).unwrap() as usize;
            let images = (batches, size[0] * size[1]);
            let survives = |lead| tiles_survive(images, in_channels, out_channels, lead);
            prop_assert!(survives(lead), "{}", set.name);
            prop_assert!(lead == 0 || !survives(lead - 1), "{}", set.name);
        }
    }
}
