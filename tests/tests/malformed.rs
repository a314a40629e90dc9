//! Hostile files: each is refused with an error of its own, or runs in bounds.
//!
//! [`exercise`] does what a device would do, and panics if a byte outside the arena was written or if a
//! result depends on the previous contents of the arena. Rust's own checks, which are on in tests, catch
//! overflow and indexing.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Net, SETS};
use ferrolite::graph::{DType, Graph, Node, Op, Transpose, Value};
use ferrolite_conformance::{AlignedBuf, Outcome, exercise};
use ferrolite_runtime::ops::conv_2d_segments;
use ferrolite_runtime::packing::{Packing, Shape};
use ferrolite_runtime::params::{Conv2dParams, DepthwiseConv2dParams, FullyConnectedParams};
use ferrolite_runtime::{Error, Fault, Model, OpCode};
use ferrolite_schema::Error as Refusal;

/// The models that are damaged: their folders in `tests/models`, a classifier of words, and sums of int16.
const MODELS: [&str; 7] = ["sine", "digits_mlp", "watch_conv1d", "mnist_cnn", "fashion_dsres", WORDS, INT16];

/// A graph among the vectors, which looks up rows of a table.
const WORDS: &str = "words";

/// A graph among the vectors, whose activations are of int16.
const INT16: &str = "int16_sums";

/// A real model as a `.ferro` file.
fn real_file(name: &str, options: &ferrolite::emit::Options) -> Vec<u8> {
    let path = match name {
        WORDS | INT16 => format!("vectors/graphs/{name}.tflite"),
        _ => format!("models/{name}/{name}_int8_tf.tflite"),
    };
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let mut graph = ferrolite::import::load(path.as_ref()).expect("a valid model").graph;
    ferrolite::passes::optimise(&mut graph);
    ferrolite::emit::compile(&graph, options).expect("a supported model").bytes
}

/// Positions of records in a file, so that their fields can be overwritten.
struct Target {
    file: AlignedBuf,
}

impl Target {
    fn new(name: &str) -> Target {
        Target::with_options(name, &ferrolite::emit::Options::default())
    }

    fn with_options(name: &str, options: &ferrolite::emit::Options) -> Target {
        Target::of_file(name, &real_file(name, options))
    }

    fn of_file(name: &str, file: &[u8]) -> Target {
        let file = AlignedBuf::copy_of(file);
        assert_eq!(exercise(file.bytes()), Outcome::Ran, "{name} is sound before it is damaged");
        Target { file }
    }

    fn model(&self) -> Model<'_> {
        Model::from_bytes(self.file.bytes()).expect("a sound file")
    }

    /// Where a record lies in the file.
    fn position<T>(&self, record: &T) -> usize {
        std::ptr::from_ref(record) as usize - self.file.bytes().as_ptr() as usize
    }

    /// The file with `bytes` written at `position`.
    fn with(&self, position: usize, bytes: &[u8]) -> Outcome {
        let mut copy = self.file.bytes().to_vec();
        copy[position..position + bytes.len()].copy_from_slice(bytes);
        exercise(&copy)
    }

    /// The file with a word written at `offset` bytes into a record.
    fn field<T>(&self, record: &T, offset: usize, value: u32) -> Outcome {
        self.with(self.position(record) + offset, &value.to_le_bytes())
    }

    /// The bytes that are not weights: all bytes that control what the runtime does.
    fn steering(&self) -> Vec<usize> {
        let model = self.model();
        let start = model.constants().as_ptr() as usize - self.file.bytes().as_ptr() as usize;
        let weights = start..start + model.constants().len();
        (0..self.file.bytes().len()).filter(|position| !weights.contains(position)).collect()
    }
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(Error::Model(refusal))
}

#[test]
fn containers() {
    let t = Target::new("sine");
    let file = t.file.bytes();
    assert_eq!(exercise(&[]), refused(Refusal::Truncated { needed: 8 }));
    assert_eq!(exercise(b"a text file, not a model"), refused(Refusal::NotAModel));
    for len in 8..file.len().min(4000) {
        assert!(matches!(exercise(&file[..len]), Outcome::Refused(_) | Outcome::Ran), "cut at {len}");
    }
    assert!(matches!(
        exercise(&file[..file.len() / 2]),
        Outcome::Refused(Error::Model(Refusal::Offset { .. }))
    ));
    assert!(matches!(
        t.with(0, &u32::MAX.to_le_bytes()),
        Outcome::Refused(Error::Model(Refusal::Offset { at: u32::MAX }))
    ));
    assert!(matches!(t.with(0, &2u32.to_le_bytes()), Outcome::Refused(_)));
    // The farthest root that is aligned.
    assert!(matches!(t.with(0, &(u32::MAX - 3).to_le_bytes()), Outcome::Refused(_)));

    let shifted = AlignedBuf::copy_of(&[&[0], file].concat());
    assert_eq!(Model::from_bytes(&shifted.bytes()[1..]).err(), Some(Refusal::Misaligned));
}

#[test]
fn versions() {
    // Options that differ from the defaults, so that their fields are in the file.
    let options = ferrolite::emit::Options {
        target: ferrolite_runtime::Target::CortexM4,
        rounding: ferrolite_runtime::Rounding::Single,
        ..Default::default()
    };
    let t = Target::with_options("sine", &options);
    // Fields of the root table, found through its vtable.
    let word = |at: usize| i32::from_le_bytes(t.file.bytes()[at..at + 4].try_into().unwrap());
    let root = word(0);
    let vtable = root - word(root as usize);
    let field = |number: i32| {
        let place = word((vtable + 4 + 2 * number) as usize) & 0xFFFF;
        assert_ne!(place, 0, "field {number} is in the file");
        (root + place) as usize
    };
    for found in [0u32, 1, 3, u32::MAX] {
        assert_eq!(t.with(field(0), &found.to_le_bytes()), refused(Refusal::Version { found }));
    }
    let header = |word: usize, value: u32| t.with(field(1) + 4 * word, &value.to_le_bytes());
    assert_eq!(header(0, 99), refused(Refusal::RuntimeTooOld { needed: 99 }));
    // Tensors have to fit into the arena; a smaller one leaves some of them outside.
    assert!(matches!(header(1, 1), Outcome::Refused(_)));
    assert_eq!(header(1, u32::MAX), refused(Refusal::Counts));
    // A state that is larger than the arena, and initial contents for a state that does not exist.
    assert_eq!(header(2, u32::MAX), refused(Refusal::State));
    assert_eq!(header(3, 1), refused(Refusal::State));
    assert_eq!(header(5, 2), refused(Refusal::Rounding { found: 2 }));
    // A file without a header.
    assert!(matches!(
        t.with((vtable + 4 + 2) as usize, &[0, 0]),
        Outcome::Refused(Error::Model(Refusal::Offset { .. }))
    ));
    // Ports are inputs and outputs; there must be at least one of each.
    for inputs in [0u16, 2, u16::MAX] {
        assert_eq!(t.with(field(1) + 18, &inputs.to_le_bytes()), refused(Refusal::Counts));
    }
}

/// A core that the runtime does not know is no reason to refuse a file: its weights are read one by one.
#[test]
fn targets_are_open() {
    let options =
        ferrolite::emit::Options { target: ferrolite_runtime::Target::CortexM4, ..Default::default() };
    let sound = Target::with_options("mnist_cnn", &options);
    let model = sound.model();
    assert_eq!((model.target(), model.target_name()), (Some(options.target), "cortex-m4"));
    assert!(!model.suits());
    let mut file = sound.file.bytes().to_vec();
    let root = u32::from_le_bytes(file[..4].try_into().unwrap()) as usize;
    let vtable = root - u32::from_le_bytes(file[root..root + 4].try_into().unwrap()) as usize;
    let header = root + usize::from(u16::from_le_bytes(file[vtable + 6..vtable + 8].try_into().unwrap()));
    file[header + 16..header + 18].copy_from_slice(&1000u16.to_le_bytes());
    let name = file.windows(9).position(|bytes| bytes == b"cortex-m4").expect("the name is in the file");
    file[name..name + 9].copy_from_slice(b"cortex-z9");
    assert_eq!(exercise(&file), Outcome::Ran);
    let (file, inputs) = (ferrolite::aligned::AlignedBuf::from_bytes(&file), [7u8; 784]);
    let open = Model::from_bytes(&file).expect("a sound file");
    assert_eq!((open.target(), open.target_name(), open.suits()), (None, "cortex-z9", false));
    let sound = ferrolite::aligned::AlignedBuf::from_bytes(sound.file.bytes());
    let [wanted, found] = [&sound, &file].map(|file| Net::with(file, SETS[0].ops).run(&[&inputs], &mut ()));
    assert_eq!(found, wanted);
}

/// A file of version 1 is recognised, and the error says how to make a new one.
#[test]
fn version_1() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/sine/version_1.ferro");
    let file = ferrolite::model_file::ModelFile::read(path.as_ref()).expect("a file");
    assert_eq!(exercise(file.bytes()), refused(Refusal::Version { found: 1 }));
    let error = file.model().expect_err("another version");
    assert!(
        error.message.ends_with(
            "format version 1; this build reads version 2: make the file anew with `ferrolite convert`"
        ),
        "{}",
        error.message
    );
    assert!(error.help.contains("`ferrolite convert MODEL -o FILE.ferro`"), "{}", error.help);
}

#[test]
fn tensors() {
    let t = Target::new("mnist_cnn");
    let model = t.model();
    let first = &model.tensors()[0];
    assert_eq!(t.field(first, 0, u32::MAX), refused(Refusal::TensorRange { tensor: 0 }));
    assert_eq!(t.field(first, 0, model.arena_bytes() as u32), refused(Refusal::TensorRange { tensor: 0 }));
    assert_eq!(t.field(first, 4, u32::MAX), refused(Refusal::TensorRange { tensor: 0 }));
    assert_eq!(t.field(first, 4, 0), refused(Refusal::TensorType { tensor: 0 }));
    assert_eq!(t.with(t.position(first) + 10, &[99]), refused(Refusal::TensorType { tensor: 0 }));
    assert_eq!(t.with(t.position(first) + 11, &[2]), refused(Refusal::TensorRange { tensor: 0 }));
    assert_eq!(t.with(t.position(first) + 11, &[3]), refused(Refusal::TensorType { tensor: 0 }));
    // A size that differs from the shape's.
    assert!(matches!(t.field(first, 4, first.bytes - 1), Outcome::Refused(_)));
}

/// Also if each op reads what the one before has written, which a faster path checks.
#[test]
fn tensors_of_wide_elements_are_aligned() {
    let mut graph = Graph::default();
    let tensors = ["x", "y", "z"].map(|name| {
        let (shape, dtype) = (vec![2, 2], DType::Int32);
        graph.add_value(Value { name: name.into(), shape, dtype, quantization: None, constant: None })
    });
    (graph.inputs, graph.outputs) = (vec![tensors[0]], vec![tensors[2]]);
    graph.nodes = tensors
        .windows(2)
        .map(|pair| Node {
            name: "turn".into(),
            op: Op::Transpose(Transpose { permutation: vec![1, 0] }),
            inputs: vec![Some(pair[0])],
            outputs: vec![pair[1]],
        })
        .collect();
    let file = ferrolite::emit::compile(&graph, &ferrolite::emit::Options::default()).expect("moves data");
    let t = Target::of_file("turns", &file.bytes);
    for (number, tensor) in t.model().tensors().iter().enumerate() {
        let tensor_number = number as u16;
        for wrong in [1, 2, 3] {
            let offset = if tensor.offset == 0 { wrong } else { tensor.offset - wrong };
            let refusal = Refusal::TensorRange { tensor: tensor_number };
            assert_eq!(t.field(tensor, 0, offset), refused(refusal), "tensor {number} at {offset}");
        }
        let refusal = Refusal::TensorType { tensor: tensor_number };
        assert_eq!(t.field(tensor, 4, tensor.bytes - 1), refused(refusal), "tensor {number}");
    }
}

#[test]
fn live_tensors_are_not_overwritten() {
    // The residual connection of this model keeps a tensor in use over several ops.
    let t = Target::new("fashion_dsres");
    let model = t.model();
    let mut caught = 0;
    for (index, op) in model.ops().iter().enumerate() {
        let operands = model.operands(op);
        let output = operands[usize::from(op.inputs)];
        for (id, tensor) in model.tensors().iter().enumerate() {
            let alive = usize::from(tensor.last_use) > index && id < usize::from(output);
            if alive && tensor.in_arena() && usize::from(output) != id {
                let moved = t.field(&model.tensors()[usize::from(output)], 0, tensor.offset);
                if let Outcome::Refused(Error::Model(Refusal::Overlap { .. })) = moved {
                    caught += 1;
                }
            }
        }
    }
    assert!(caught > 0, "no write over a live tensor was tried");
}

#[test]
fn tensors_are_written_in_the_order_of_their_numbers() {
    let t = Target::new("fashion_dsres");
    let model = t.model();
    let position = |op: usize, operand: usize| t.position(&model.operands(&model.ops()[op])[operand]);
    // The second op names the first one's output as its own, so it would be written twice.
    let [_, output] = model.operands(&model.ops()[0]) else { panic!("a convolution has one input") };
    let order = |op, tensor| refused(Refusal::WriteOrder { op, tensor });
    assert_eq!(t.with(position(1, 1), &output.to_le_bytes()), order(1, *output));
    assert_eq!(t.with(position(0, 1), &(output + 1).to_le_bytes()), order(0, output + 1));
    assert_eq!(t.with(position(0, 1), &[0xFF, 0xFF]), order(0, 0xFFFF));
    // An output that no later op can read, and an output among the constants.
    let record = t.position(&model.tensors()[usize::from(*output)]);
    let in_constants = [&0u32.to_le_bytes()[..], &4u32.to_le_bytes(), &[1, 0, 0, 1]].concat();
    assert_eq!(t.with(record, &in_constants), order(0, *output));
    let last = model.operands(&model.ops()[3]).last().copied().expect("an output");
    let record = t.position(&model.tensors()[usize::from(last)]);
    assert_eq!(t.with(record + 8, &[0, 0]), order(3, last));
    // The number of the input.
    let port = t.position(&model.inputs()[0]);
    assert_eq!(t.with(port, &1u32.to_le_bytes()), refused(Refusal::Port { port: 0 }));
}

#[test]
fn operands_and_scratch() {
    let t = Target::new("fashion_dsres");
    let model = t.model();
    let op = &model.ops()[0];
    assert_eq!(t.with(t.position(op), &[0]), Outcome::Refused(Error::UnsupportedOp { op: 0, code: 0 }));
    assert_eq!(t.with(t.position(op), &[250]), Outcome::Refused(Error::UnsupportedOp { op: 0, code: 250 }));
    for (offset, name) in
        [(4, "operands"), (8, "parameters"), (12, "words"), (16, "scratch"), (20, "scratch size")]
    {
        let outcome = t.field(op, offset, u32::MAX);
        assert!(matches!(outcome, Outcome::Refused(_)), "{name}: {outcome:?}");
    }
    assert_eq!(t.field(op, 16, op.scratch | 2), refused(Refusal::OpRange { op: 0 }));
    assert_eq!(t.field(op, 20, 0), Outcome::Refused(Error::Op { op: 0, fault: Fault::Scratch }));
    // An input that no op has written.
    let operands = model.operands(op);
    let outcome = t.with(t.position(&operands[0]), &operands[usize::from(op.inputs)].to_le_bytes());
    assert!(
        matches!(outcome, Outcome::Refused(Error::Model(Refusal::ReadBeforeWrite { op: 0, .. }))),
        "{outcome:?}"
    );
}

#[test]
fn parameters() {
    let t = Target::new("mnist_cnn");
    let model = t.model();
    let op = &model.ops()[0];
    assert_eq!(op.code, OpCode::Conv2d as u16);
    let params = model.params(op);
    let fault = |word: usize, value: u32| match t.field(&params[word], 0, value) {
        Outcome::Refused(Error::Op { op: 0, fault }) => fault,
        other => panic!("word {word} = {value}: {other:?}"),
    };
    // Words 0 to 11 are the window: absurd and zero dimensions, and overflowing products.
    for word in 0..12 {
        assert!(matches!(fault(word, u32::MAX), Fault::Parameters), "window word {word}");
    }
    for word in 0..10 {
        assert!(matches!(fault(word, 0), Fault::Parameters), "window word {word}");
    }
    assert_eq!(fault(12, 0xFFFF_FFFF), Fault::Parameters); // batches
    assert_eq!(fault(13, params[13] + 1), Fault::Sizes); // channels
    assert_eq!(fault(15, 0), Fault::Parameters); // groups
    assert_eq!(fault(16, 200), Fault::Parameters); // zero point
    assert_eq!(fault(17, 77), Fault::Packing);
    assert_eq!(fault(18, u32::MAX), Fault::Constants); // weights
    assert_eq!(fault(19, u32::MAX - 3), Fault::Constants); // bias
    assert_eq!(fault(19, params[19] + 1), Fault::Constants); // misaligned bias
    assert_eq!(fault(21, 3), Fault::Parameters); // number of multipliers
    assert_eq!(fault(24, 300), Fault::Parameters); // clamp
}

#[test]
fn ports() {
    let t = Target::new("mnist_cnn");
    let model = t.model();
    let input = &model.inputs()[0];
    let output = &model.outputs()[0];
    for (offset, value) in [(0, u32::MAX), (4, 7), (8, 0), (12, u32::MAX), (12, 1)] {
        assert_eq!(t.field(input, offset, value), refused(Refusal::Port { port: 0 }), "at {offset}");
    }
    assert_eq!(t.field(output, 12, 1000), refused(Refusal::Port { port: 0x8000 }));
}

#[test]
fn parameters_of_look_ups() {
    let t = Target::new(WORDS);
    let model = t.model();
    let op = &model.ops()[0];
    assert_eq!(op.code, OpCode::Gather as u16);
    let params = model.params(op);
    let fault = |word: usize, value: u32| match t.field(&params[word], 0, value) {
        Outcome::Refused(Error::Op { op: 0, fault }) => fault,
        other => panic!("word {word} = {value}: {other:?}"),
    };
    // Batch, outer, count, run, indices.
    for (word, &own) in params.iter().enumerate() {
        assert_eq!(fault(word, 0), Fault::Parameters, "word {word}");
        assert_eq!(fault(word, u32::MAX), Fault::Parameters, "word {word}");
        assert_eq!(fault(word, own + 1), Fault::Sizes, "word {word}");
    }
}

/// The packed weights of a model: the offset of their first byte in the constants, and their shape.
fn packed_weights(model: &Model<'_>) -> Vec<(usize, Shape)> {
    let shape = |tag: u32, channels, lines, line| {
        let packing = Packing::from_tag(tag).filter(|&packing| packing != Packing::PLAIN)?;
        Some(Shape { packing, channels, lines, line })
    };
    let of = |op| {
        let params = bytemuck::cast_slice(model.params(op));
        let (at, shape) = match OpCode::from_code(op.code)? {
            OpCode::Conv2d => {
                let p: &Conv2dParams = bytemuck::from_bytes(params);
                let line = p.window.kernel_w * p.in_channels;
                (p.weights, shape(p.packing, p.out_channels, p.window.kernel_h, line)?)
            }
            OpCode::Conv2dSegments => {
                let p: &Conv2dParams = bytemuck::from_bytes(params);
                let packing = Packing::from_tag(p.packing)?;
                // Of the first group.
                (p.weights, conv_2d_segments::shape(p, packing)?)
            }
            OpCode::DepthwiseConv2d | OpCode::Depthwise3x3 => {
                let p: &DepthwiseConv2dParams = bytemuck::from_bytes(params);
                (p.weights, shape(p.packing, p.in_channels, 1, p.window.kernel_h * p.window.kernel_w)?)
            }
            OpCode::DepthwiseTaps => {
                let p: &DepthwiseConv2dParams = bytemuck::from_bytes(params);
                let channels = p.in_channels * p.multiplier;
                (p.weights, shape(p.packing, channels, 1, p.window.kernel_h * p.window.kernel_w)?)
            }
            OpCode::FullyConnected => {
                let p: &FullyConnectedParams = bytemuck::from_bytes(params);
                (p.weights, shape(p.packing, p.outputs, 1, p.inputs)?)
            }
            _ => return None,
        };
        Some((at as usize, shape))
    };
    model.ops().iter().filter_map(of).collect()
}

/// The padding of packed weights has no effect, in any kernel set.
#[test]
fn padding_of_packed_weights() {
    let mut random = Random(5);
    let mut changed = std::collections::BTreeMap::new();
    for set in SETS {
        for name in MODELS {
            let options = ferrolite::emit::Options { target: set.target, ..Default::default() };
            let sound = ferrolite::aligned::AlignedBuf::from_bytes(&real_file(name, &options));
            let model = Model::from_bytes(&sound).expect("a sound file");
            let constants = model.constants().as_ptr() as usize - sound.as_ptr() as usize;
            let mut hostile = ferrolite::aligned::AlignedBuf::from_bytes(&sound);
            for (at, shape) in packed_weights(&model) {
                let weights = ferrolite_runtime::cases::packed::weight_bytes(&shape);
                let padding =
                    (0..shape.bytes().expect("it is sound") as usize).filter(|k| !weights.contains(k));
                for k in padding {
                    hostile[constants + at + k] = random.next() as u8;
                    *changed.entry(set.name).or_insert(0) += 1;
                }
            }
            let inputs: Vec<Vec<u8>> = (model.inputs().iter())
                .map(|port| {
                    (0..model.tensors()[port.tensor as usize].bytes).map(|_| random.next() as u8).collect()
                })
                .collect();
            let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            let [wanted, found] =
                [&sound, &hostile].map(|file| Net::with(file, set.ops).run(&inputs, &mut ()));
            assert_eq!(found, wanted, "{name}, {}", set.name);
            assert_eq!(exercise(&hostile), Outcome::Ran, "{name}, {}", set.name);
        }
    }
    println!("bytes changed: {changed:?}");
    for set in ["armv7em", "mve", "armv7m", "host", "avx2"] {
        assert!(changed.contains_key(set) || !SETS.iter().any(|s| s.name == set), "{set} has padding");
    }
}

/// The values that a field is set to.
const HOSTILE: [u32; 12] =
    [0, 1, 2, 3, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF];

#[test]
fn every_field_set_to_hostile_values() {
    for name in ["watch_conv1d", WORDS, INT16] {
        set_every_field(name, Target::new(name));
    }
    set_every_field("stream", Target::of_file("stream", common::stream::program().file().bytes()));
}

fn set_every_field(name: &str, t: Target) {
    let mut copy = t.file.bytes().to_vec();
    for position in t.steering() {
        // 32-bit fields are at multiples of 4, 16-bit ones at multiples of 2.
        let widths: &[usize] = if position % 4 == 0 {
            &[4, 2, 1]
        } else if position % 2 == 0 {
            &[2, 1]
        } else {
            &[1]
        };
        for &width in widths {
            let Some(old) = copy.get(position..position + width).map(<[u8]>::to_vec) else { continue };
            let own = old.iter().rev().fold(0u32, |value, &byte| value << 8 | u32::from(byte));
            let near = [own.wrapping_add(1), own.wrapping_sub(1), own.wrapping_mul(2), own ^ 0x8000_0000];
            for value in HOSTILE.iter().chain(&near) {
                copy[position..position + width].copy_from_slice(&value.to_le_bytes()[..width]);
                survive(&copy, || format!("{name}: {width} bytes at {position} set to {value:#x}"));
            }
            copy[position..position + width].copy_from_slice(&old);
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 32) as u32
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

/// Fails the test, and names the damage, if the file makes the runtime panic.
fn survive(file: &[u8], damage: impl Fn() -> String) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| exercise(file))).unwrap_or_else(|_| panic!("{}", damage()))
}

#[test]
fn random_mutations() {
    const MUTATIONS: usize = 60_000;
    let share = MUTATIONS / MODELS.len() / CORES.len();
    std::thread::scope(|scope| {
        for name in MODELS {
            scope.spawn(move || CORES.iter().for_each(|&target| mutate(name, target, share)));
        }
    });
}

/// One core of each kernel set that files are packed for. On the host, the sets are emulated.
const CORES: [ferrolite_runtime::Target; 6] = [
    ferrolite_runtime::Target::Portable,
    ferrolite_runtime::Target::CortexM4,
    ferrolite_runtime::Target::CortexM55,
    ferrolite_runtime::Target::CortexM3,
    ferrolite_runtime::Target::CortexM0,
    ferrolite_runtime::Target::RiscV32,
];

fn mutate(name: &str, target: ferrolite_runtime::Target, mutations: usize) {
    let options = ferrolite::emit::Options { target, ..Default::default() };
    let t = Target::with_options(name, &options);
    let steering = t.steering();
    // A fixed seed: a failure can be repeated by running the test again.
    let words = name.bytes().chain(target.name().bytes());
    let mut random = Random(words.fold(0x5EED, |seed: u64, byte| seed.wrapping_mul(131) + u64::from(byte)));
    let (mut refused, mut ran) = (0, 0);
    for round in 0..mutations {
        let mut copy = t.file.bytes().to_vec();
        for _ in 0..1 + random.next() % 4 {
            let any = random.next() as usize;
            let position = if random.next().is_multiple_of(8) {
                any % copy.len()
            } else {
                steering[any % steering.len()]
            };
            // An earlier damage may have shortened the file.
            let Some(rest) = copy.len().checked_sub(position).filter(|&rest| rest != 0) else { continue };
            match random.next() % 6 {
                0 => copy[position] ^= 1 << (random.next() % 8),
                1 => copy[position] = random.next() as u8,
                2 => copy[position] = copy[position].wrapping_add(random.next() as u8 % 5).wrapping_sub(2),
                3 => {
                    let value = HOSTILE[random.below(HOSTILE.len())].to_le_bytes();
                    let width = rest.min(4);
                    copy[position..position + width].copy_from_slice(&value[..width]);
                }
                4 => {
                    // Copies a run of bytes from elsewhere: valid records in the wrong place.
                    let from = steering[random.below(steering.len())];
                    let width = (4 << (random.next() % 4)).min(rest).min(copy.len().saturating_sub(from));
                    let from = from.min(copy.len());
                    copy.copy_within(from..from + width, position);
                }
                _ if random.next().is_multiple_of(16) => copy.truncate(position.max(8)),
                _ => copy[position] = copy[position].wrapping_neg(),
            }
        }
        match survive(&copy, || format!("{name} for {}: mutation {round}", target.name())) {
            Outcome::Refused(_) => refused += 1,
            Outcome::Ran | Outcome::TooLarge => ran += 1,
        }
    }
    println!("{name} for {}: {refused} refused, {ran} ran in bounds", target.name());
    assert!(refused > mutations / 20 && ran > mutations / 100, "{name}: the mutations are one-sided");
}
