//! An arena in several memories: whatever their sizes, the planner keeps to them, the verifier proves that nothing lies
//! across a border, and a model answers as in one memory, on the host and in QEMU, where the memories are far apart.

mod common;

use std::path::PathBuf;

use common::{Net, files, root, stem};
use ferrolite::aligned::AlignedBuf;
use ferrolite::board;
use ferrolite::emit::{self, Memory, Options};
use ferrolite::graph::Graph;
use ferrolite::model_file::{ModelFile, memories};
use ferrolite::{import, passes};
use ferrolite_conformance::{Outcome, divided, exercise};
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::{Error, Interpreter, Memories, Model, Target, ops};
use ferrolite_schema::Error as Refusal;

/// Divisions of each model.
const DIVISIONS: usize = 12;

fn graphs() -> Vec<(String, Graph)> {
    let models: Vec<PathBuf> = files(&root().join("tests/models"), "_int8_tf.tflite");
    assert!(models.len() >= 5);
    let read = |path: &PathBuf| {
        let mut graph = import::load(path).expect("a valid model").graph;
        passes::optimise(&mut graph);
        (stem(path).to_string(), graph)
    };
    models.iter().map(read).collect()
}

fn sizes(bytes: &[u32]) -> Vec<Memory> {
    let memory = |(index, &bytes): (usize, &u32)| Memory { name: format!("m{index}"), bytes };
    bytes.iter().enumerate().map(memory).collect()
}

fn compile(graph: &Graph, target: Target, memories: &[u32]) -> Result<AlignedBuf, ferrolite::Error> {
    let options = Options { target, memories: sizes(memories), ..Options::default() };
    Ok(AlignedBuf::from_bytes(&emit::compile(graph, &options)?.bytes))
}

fn inputs(model: &Model<'_>, random: &mut Random) -> Vec<Vec<u8>> {
    let size = |port: &ferrolite_runtime::Port| model.tensors()[port.tensor as usize].bytes;
    model.inputs().iter().map(|port| (0..size(port)).map(|_| random.below(256) as u8).collect()).collect()
}

/// The outputs of a model in memories of its own, each larger than it needs, with other contents before.
fn apart(model: &Model<'_>, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    // A file that needs one only has no sizes.
    let whole = [model.arena_bytes() as u32];
    let sizes = if model.memories().is_empty() { &whole } else { model.memories() };
    let mut buffers: Vec<AlignedBuf> =
        sizes.iter().map(|&size| AlignedBuf::zeroed(size as usize + 48)).collect();
    buffers.iter_mut().for_each(|buffer| buffer.fill(0xC3));
    let mut parts = buffers.iter_mut().map(|buffer| &mut buffer[..]);
    let mut all = Memories::new([(); 4].map(|()| parts.next().unwrap_or_default()));
    let mut net = Interpreter::with_memories(model, ops::ALL, &mut all).expect("the model is sound");
    for (index, bytes) in inputs.iter().enumerate() {
        net.input_bytes_mut(index).expect("an input").copy_from_slice(bytes);
    }
    net.invoke().expect("it runs");
    (0..model.outputs().len()).map(|index| net.output_bytes(index).expect("an output").to_vec()).collect()
}

#[test]
fn answers_do_not_depend_on_where_the_arena_lies() {
    let mut random = Random(41);
    let mut several = 0;
    for (name, graph) in graphs() {
        for target in [Target::Portable, Target::CortexM4, Target::CortexM55] {
            let one = compile(&graph, target, &[]).expect("a supported model");
            let whole = Model::from_bytes(&one).expect("a sound file").arena_bytes() as u32;
            for division in 0..DIVISIONS {
                // From next to nothing to all of it, in up to four memories.
                let count = 1 + random.below(3);
                let mut given: Vec<u32> =
                    (0..count).map(|_| 16 + random.below(whole as usize) as u32).collect();
                given.push(2 * whole);
                let how = format!("{name} for {}, {given:?}, division {division}", target.name());
                let file = compile(&graph, target, &given).unwrap_or_else(|error| panic!("{how}: {error}"));
                let model = Model::from_bytes(&file).expect("a sound file");
                assert_eq!(model.check_memories(), Ok(()), "{how}");
                let told = memories(&model);
                for memory in &told {
                    let limit = memory.limit.expect("is told");
                    assert!(
                        memory.used <= limit && memory.used > 0 && given.contains(&limit),
                        "{how}: {told:?}"
                    );
                }
                let inputs = inputs(&model, &mut random);
                let rows: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
                let wanted = Net::new(&one).run(&rows, &mut ());
                // In one slice for all, too.
                assert_eq!(Net::new(&file).run(&rows, &mut ()), wanted, "{how}");
                assert_eq!(apart(&model, &inputs), wanted, "{how}");
                several += usize::from(told.len() > 1);
            }
        }
    }
    assert!(several > 100, "{several} files have several memories");
}

/// What is touched most is in the first memory: there, a byte is read and written more often.
#[test]
fn the_first_memory_has_the_most_traffic() {
    // Of smaller models the hottest tensor alone may be too large.
    let large = |name: &str| ["mnist_cnn", "fashion", "watch"].iter().any(|large| name.contains(large));
    for (name, graph) in graphs().iter().filter(|(name, _)| large(name)) {
        let whole = {
            let one = compile(graph, Target::CortexM4, &[]).expect("a supported model");
            Model::from_bytes(&one).expect("a sound file").arena_bytes() as u32
        };
        let file = compile(graph, Target::CortexM4, &[(whole / 2) & !15, 2 * whole]).expect("it fits");
        let model = Model::from_bytes(&file).expect("a sound file");
        let &[border, _] = model.memories() else { panic!("{name}: {:?}", model.memories()) };
        let (mut traffic, mut held) = ([0u64; 2], [0u64; 2]);
        for op in model.ops() {
            if op.scratch_bytes != 0 {
                let memory = usize::from(op.scratch >= border);
                traffic[memory] += model.op_work(op);
                held[memory] += u64::from(op.scratch_bytes);
            }
            for &id in model.operands(op) {
                let tensor = &model.tensors()[usize::from(id)];
                if tensor.in_arena() {
                    let memory = usize::from(tensor.offset >= border);
                    let direct = if op.scratch_bytes == 0 { model.op_work(op) } else { 0 };
                    traffic[memory] += direct.max(tensor.bytes.into());
                    held[memory] += u64::from(tensor.bytes);
                }
            }
        }
        println!("{name}: {traffic:?} for {held:?} bytes");
        assert!(traffic[0] * held[1] >= traffic[1] * held[0], "{name}: {traffic:?} for {held:?} bytes");
    }
}

#[test]
fn memories_that_are_too_small_are_told_by_how_much() {
    let (_, graph) = graphs().into_iter().find(|(name, _)| name.contains("mnist_cnn")).expect("is there");
    let one = compile(&graph, Target::Portable, &[]).unwrap();
    let whole = Model::from_bytes(&one).unwrap().arena_bytes() as u32;
    let error = compile(&graph, Target::Portable, &[64, whole / 4]).unwrap_err();
    assert!(
        error.message.contains("`m0` 64") && error.message.contains("`m1` would have to have"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3, "{error}");
    // What it says is enough.
    let words = error.help.split_whitespace().map(|word| word.replace(',', ""));
    let needed: u32 = words.filter_map(|word| word.parse().ok()).next().expect("a number");
    assert!(compile(&graph, Target::Portable, &[64, needed]).is_ok());
    assert!(compile(&graph, Target::Portable, &[64, needed - 1]).is_err());
}

#[test]
fn a_device_refuses_memories_that_do_not_fit() {
    let (_, graph) = graphs().into_iter().find(|(name, _)| name.contains("watch")).expect("is there");
    let one = compile(&graph, Target::Portable, &[]).unwrap();
    let whole = Model::from_bytes(&one).unwrap().arena_bytes() as u32;
    let file = compile(&graph, Target::Portable, &[whole / 2, 2 * whole]).unwrap();
    let model = Model::from_bytes(&file).unwrap();
    let &[first, second] = model.memories() else { panic!("{:?}", model.memories()) };
    let (mut a, mut b) = (AlignedBuf::zeroed(first as usize), AlignedBuf::zeroed(second as usize + 16));
    let error = |memory, needed, found| Some(Error::MemoryTooSmall { memory, needed, found });
    {
        let mut memories = Memories::new([&mut a[..first as usize - 1], &mut b]);
        let found = Interpreter::with_memories(&model, ops::ALL, &mut memories).err();
        assert_eq!(found, error(0, first, first - 1));
    }
    {
        let mut memories = Memories::new([&mut a]);
        let found = Interpreter::with_memories(&model, ops::ALL, &mut memories).err();
        assert_eq!(found, error(1, second, 0));
    }
    {
        let mut memories = Memories::new([&mut a, &mut b[4..second as usize + 4]]);
        let found = Interpreter::with_memories(&model, ops::ALL, &mut memories).err();
        assert_eq!(found, Some(Error::ArenaMisaligned));
    }
    let mut memories = Memories::new([&mut a, &mut b]);
    assert!(Interpreter::with_memories(&model, ops::ALL, &mut memories).is_ok());
    // A file of one memory has all of it in the first.
    let model = Model::from_bytes(&one).unwrap();
    let mut all = AlignedBuf::zeroed(model.arena_bytes());
    let mut memories = Memories::new([&mut all]);
    assert!(Interpreter::with_memories(&model, ops::ALL, &mut memories).is_ok());
}

/// Where the sizes of memories lie in a file.
fn place(file: &[u8]) -> usize {
    let model = Model::from_bytes(file).expect("a sound file");
    model.memories().as_ptr() as usize - file.as_ptr() as usize
}

#[test]
fn hostile_sizes_are_refused() {
    let (_, graph) = graphs().into_iter().find(|(name, _)| name.contains("mnist_cnn")).expect("is there");
    let one = compile(&graph, Target::Portable, &[]).unwrap();
    let whole = Model::from_bytes(&one).unwrap().arena_bytes() as u32;
    let file = compile(&graph, Target::Portable, &[whole / 2, 2 * whole]).unwrap();
    let at = place(&file);
    let arena = Model::from_bytes(&file).unwrap().arena_bytes() as u32;
    let with = |sizes: [u32; 2]| {
        let mut copy = AlignedBuf::from_bytes(&file);
        sizes
            .iter()
            .enumerate()
            .for_each(|(i, size)| copy[at + 4 * i..at + 4 * i + 4].copy_from_slice(&size.to_le_bytes()));
        // One slice for all takes them as they are; several are refused, or give the same answers.
        assert_eq!(exercise(&copy), Outcome::Ran, "{sizes:?}");
        let found = Model::from_bytes(&copy).unwrap().check_memories();
        let named = ModelFile::from_bytes("m.ferro", &copy).model().err().map(|error| error.message);
        assert!(found.is_ok() || named.is_some(), "{sizes:?}: the host accepts it");
        found
    };
    let border = Model::from_bytes(&file).unwrap().memories()[0];
    assert_eq!(with([border, arena - border]), Ok(()));
    for sizes in [
        [0, arena],
        [arena, 0],
        [border + 16, arena - border],
        [border, arena - border - 1],
        [border + 4, arena - border - 4],
        [border + 1, arena - border - 1],
        [u32::MAX, arena.wrapping_add(1)],
        [0u32.wrapping_sub(16), arena + 16],
        [1 << 31, (1 << 31) + arena],
    ] {
        assert_eq!(with(sizes), Err(Refusal::Memories), "{sizes:?}");
    }
    // Every other border: most cut something in two.
    let (mut cut, mut sound) = (0, 0);
    for border in (16..arena).step_by(16) {
        match with([border, arena - border]) {
            Ok(()) => sound += 1,
            Err(Refusal::TensorAcross { .. } | Refusal::ScratchAcross { .. }) => cut += 1,
            Err(other) => panic!("{border}: {other}"),
        }
    }
    assert!(cut > 50 && sound >= 1, "{cut} cut something, {sound} do not");
    let mut long = AlignedBuf::from_bytes(&file);
    long[at - 4..at].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Model::from_bytes(&long).unwrap().check_memories(), Err(Refusal::Memories));
    divided(&Model::from_bytes(&long).unwrap());
}

/// Random damage of a file with memories is refused or runs in bounds.
#[test]
fn mutated_files_are_refused_or_run_in_bounds() {
    let (_, graph) = graphs().into_iter().find(|(name, _)| name.contains("watch")).expect("is there");
    let one = compile(&graph, Target::Portable, &[]).unwrap();
    let whole = Model::from_bytes(&one).unwrap().arena_bytes() as u32;
    let file = compile(&graph, Target::Portable, &[whole / 3, whole / 3, 2 * whole]).unwrap();
    let (start, constants) = {
        let model = Model::from_bytes(&file).unwrap();
        (place(&file), model.constants().as_ptr() as usize - file.as_ptr() as usize)
    };
    let mut random = Random(42);
    for _ in 0..3_000 {
        let mut copy = file.to_vec();
        for _ in 0..1 + random.below(3) {
            let at = if random.below(2) == 0 { start + random.below(12) } else { random.below(constants) };
            copy[at] = match random.below(3) {
                0 => random.below(256) as u8,
                1 => copy[at] ^ 1 << random.below(8),
                _ => copy[at].wrapping_add(16),
            };
        }
        exercise(&copy);
    }
}

/// The runner has the first memory in the board's RAM, the other one in its PSRAM or its tightly coupled memory.
#[test]
fn boards_with_two_memories_answer_as_the_host() {
    let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
    let kws = ferrolite_shared::models().map(|folder| folder.join("real/kws_ref_model.tflite"));
    let path = kws.unwrap_or_else(|| root().join("tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite"));
    println!("{}", path.display());
    let mut graph = import::load(&path).expect("a valid model").graph;
    passes::optimise(&mut graph);
    let mut random = Random(43);
    for name in ["qemu-cortex-m4", "qemu-cortex-m55"] {
        let status = board::list().into_iter().find(|status| status.board.name == name).expect("a board");
        if !(status.qemu_installed && status.target_installed) {
            assert!(!required, "{name} is not installed, but all boards are required");
            println!("skipped: {name} is not installed");
            continue;
        }
        let target = status.board.core_target();
        let one = compile(&graph, target, &[]).expect("a supported model");
        let whole = Model::from_bytes(&one).expect("a sound file").arena_bytes() as u32;
        let file = compile(&graph, target, &[(whole / 2) & !15, 2 * whole]).expect("it fits");
        let model = Model::from_bytes(&file).expect("a sound file");
        assert_eq!(model.memories().len(), 2, "{name}");
        let samples: Vec<Vec<u8>> = (0..3).map(|_| inputs(&model, &mut random).concat()).collect();
        let answer = |file: &[u8], layers| {
            let options = board::RunOptions { layers, ..board::RunOptions::default() };
            board::run(status.board, file, &samples, options).expect("it runs")
        };
        let (found, wanted) = (answer(&file, true), answer(&one, true));
        assert_eq!(found.outputs, wanted.outputs, "{name}");
        let layers =
            |run: &board::BoardRun| run.layers.iter().map(|layer| layer.output.clone()).collect::<Vec<_>>();
        assert_eq!(layers(&found), layers(&wanted), "{name}");
        println!(
            "{name}: {} instructions in two memories, {} in one; start {} and {}",
            found.instructions, wanted.instructions, found.init_instructions, wanted.init_instructions
        );
    }
}
