//! Placement in the arena: a simulation that knows nothing of the planner follows every byte, and
//! models whose tensors share memory answer as those in which nothing does.

mod common;

use common::{Net, compile, files, root, shared_models};
use ferrolite::emit::{self, AlignedBuf};
use ferrolite::graph::{
    Activation, BinaryKind, Constant, DType, Graph, Node, Op, Quantization, UnaryKind, Value, ValueId, Window,
};
use ferrolite_runtime::{Model, ops};
use proptest::prelude::*;

/// Follows who wrote each byte of the arena last. An op's outputs may take bytes of its own inputs as
/// far as the operator allows; every other byte that an op reads must be its tensor's.
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
        let operator = ops::ALL.iter().find(|operator| operator.code as u8 == op.code).expect("known");
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
    if let Some(folder) = shared_models() {
        models.extend(files(&folder, ".tflite"));
    }
    let mut followed = 0;
    for model in models {
        for optimised in [false, true] {
            // Models that are float or hold unsupported operators are the business of other tests.
            if let Ok(file) = compile(&model, optimised) {
                follow_every_byte(&file.bytes).unwrap_or_else(|error| panic!("{}: {error}", model.display()));
                followed += 1;
            }
        }
    }
    assert!(followed > 10, "only {followed} models were followed");
}

/// What a random graph is made of: the kind of each layer and where it finds its operands.
#[derive(Clone, Debug)]
struct Layer {
    kind: u8,
    operands: (usize, usize),
    channels: usize,
}

const HEIGHT: usize = 5;
const WIDTH: usize = 4;

fn image(graph: &mut Graph, channels: usize) -> ValueId {
    let number = graph.values.len();
    graph.add_value(Value {
        name: format!("t{number}"),
        shape: vec![1, HEIGHT, WIDTH, channels],
        dtype: DType::Int8,
        quantization: Some(Quantization::per_tensor(0.05, (number % 11) as i32 - 5)),
        constant: None,
    })
}

fn filter(graph: &mut Graph, shape: [usize; 4]) -> ValueId {
    let count: usize = shape.iter().product();
    let elements = (0..count).map(|i| (i * 73 % 251) as u8 as i8).collect();
    graph.add_value(Value {
        name: format!("w{}", graph.values.len()),
        shape: shape.into(),
        dtype: DType::Int8,
        quantization: Some(Quantization::per_tensor(0.004, 0)),
        constant: Some(Constant::I8(elements)),
    })
}

fn window(size: usize, stride: usize) -> Window {
    let pad = size / 2;
    Window {
        kernel: [size; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad_before: [pad; 2],
        // The output keeps the input's size, whatever the stride.
        pad_after: [(HEIGHT - 1) * (stride - 1) + pad, (WIDTH - 1) * (stride - 1) + pad],
    }
}

fn random_graph(layers: &[Layer], outputs: &[usize]) -> Graph {
    let mut graph = Graph { name: "random".into(), ..Graph::default() };
    let first = image(&mut graph, 3);
    let mut images = vec![first];
    let activation = Activation::None;
    for layer in layers {
        let a = images[layer.operands.0 % images.len()];
        let channels = graph.value(a).shape[3];
        let (op, inputs, out_channels) = match layer.kind {
            0 | 1 => {
                let (size, stride) = if layer.kind == 0 { (1, 1) } else { (3, 1 + layer.operands.1 % 2) };
                let weights = filter(&mut graph, [layer.channels, size, size, channels]);
                (Op::Conv2d { window: window(size, stride), activation }, vec![a, weights], layer.channels)
            }
            2 => {
                let weights = filter(&mut graph, [1, 3, 3, channels]);
                let op = Op::DepthwiseConv2d { window: window(3, 1), multiplier: 1, activation };
                (op, vec![a, weights], channels)
            }
            3 => {
                let same: Vec<ValueId> =
                    images.iter().copied().filter(|&b| graph.value(b).shape[3] == channels).collect();
                let b = same[layer.operands.1 % same.len()];
                (Op::Binary { kind: BinaryKind::Add, activation }, vec![a, b], channels)
            }
            4 => (Op::Unary(UnaryKind::Tanh), vec![a], channels),
            _ => (Op::Reshape, vec![a], channels),
        };
        let output = image(&mut graph, out_channels);
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

fn answers(file: &[u8]) -> Vec<Vec<u8>> {
    let file = AlignedBuf::from_bytes(file);
    let input: Vec<u8> = (0..HEIGHT * WIDTH * 3).map(|i| (i * 37 % 256) as u8).collect();
    Net::new(&file).run(&[&input], &mut ())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn shared_memory_changes_no_answer(
        layers in prop::collection::vec(
            (0u8..6, (any::<usize>(), any::<usize>()), 1usize..9)
                .prop_map(|(kind, operands, channels)| Layer { kind, operands, channels }),
            1..14,
        ),
        outputs in prop::collection::vec(any::<usize>(), 1..3),
    ) {
        let graph = random_graph(&layers, &outputs);
        let file = emit::compile(&graph, &emit::Options::default()).unwrap();
        follow_every_byte(&file.bytes).unwrap();
        // Where every value is an output, none ever gives its memory to another.
        let mut apart = graph.clone();
        let values = (0..graph.values.len()).map(ValueId);
        apart.outputs.extend(values.filter(|&id| graph.value(id).constant.is_none()));
        let apart_file = emit::compile(&apart, &emit::Options::default()).unwrap();
        let found = answers(&file.bytes);
        prop_assert_eq!(&found[..], &answers(&apart_file.bytes)[..found.len()]);
        prop_assert!(file.arena_bytes <= apart_file.arena_bytes);
    }
}
