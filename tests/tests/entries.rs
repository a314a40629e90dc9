//! Entry points: several signatures of one SavedModel or one .tflite in one file, called in any order on one state, against
//! TensorFlow's and LiteRT's answers to the same calls; and files that are damaged.

mod common;

use std::path::PathBuf;

use common::root;
use ferrolite::aligned::AlignedBuf;
use ferrolite::board;
use ferrolite::convert::{ConvertOptions, Converted, convert};
use ferrolite::data::npz::Npz;
use ferrolite::import::{self, ImportOptions};
use ferrolite::model_file;
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::{Error, Interpreter, Model, Target, ops};
use ferrolite_schema::Error as Refusal;

/// A SavedModel, or `gauge`, a .tflite.
fn folder(model: &str) -> PathBuf {
    match model {
        "gauge" => root().join("tests/import/signatures/gauge.tflite"),
        _ => root().join("tests/import/saved_model/entries").join(model),
    }
}

fn answers(model: &str) -> Npz {
    let path = match model {
        "gauge" => "tests/import/signatures/gauge.npz",
        _ => "tests/import/saved_model/entries.npz",
    };
    Npz::open(&root().join(path)).expect("answers")
}

/// The samples of a model as a file of their own, under the names of its inputs.
fn samples(model: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    if model == "gauge" {
        let samples = root().join("tests/import/signatures/samples.npz");
        std::fs::copy(samples, folder.path().join("samples.npz")).expect("is copied");
        return folder;
    }
    let mut npz = answers(model);
    let names: Vec<String> = npz.arrays().iter().map(|(name, _)| name.clone()).collect();
    let mut arrays = Vec::new();
    for name in names {
        let inner = name.strip_prefix(model).and_then(|rest| rest.strip_prefix('/'));
        let Some(input) = inner.filter(|rest| !rest.contains('/') && *rest != "order") else { continue };
        let array = npz.read(&name).expect("an array");
        arrays.push(ferrolite::data::npz::NamedArray {
            name: input.to_string(),
            dtype: ferrolite::graph::DType::Float32,
            shape: array.shape().to_vec(),
            bytes: (0..array.rows()).flat_map(|row| array.row_f32(row)).flat_map(f32::to_le_bytes).collect(),
        });
    }
    let file = std::fs::File::create(folder.path().join("samples.npz")).expect("a file");
    ferrolite::data::npz::write(&arrays, file).expect("is written");
    folder
}

fn converted(model: &str, signature: Option<&str>, target: Target) -> Converted {
    let data = samples(model);
    let options = ConvertOptions {
        import: ImportOptions { signature: signature.map(String::from), ..ImportOptions::default() },
        calibrate: Some(data.path().join("samples.npz").display().to_string()),
        target,
        ..ConvertOptions::default()
    };
    convert(&folder(model), &options, &()).unwrap_or_else(|error| panic!("{model}: {error}"))
}

/// Rows of an array.
fn rows(npz: &mut Npz, name: &str) -> Option<Vec<Vec<f32>>> {
    npz.header(name)?;
    let array = npz.read(name).expect("an array");
    Some((0..array.rows()).map(|row| array.row_f32(row)).collect())
}

/// Calls the entries of a file as TensorFlow's were called, and returns for each entry's `y` the signal to noise; `reset` is
/// checked to make the state what it is at first.
fn called(file: &Converted, model: &str, reset: &str) -> Vec<(String, f64)> {
    let bytes = AlignedBuf::from_bytes(file.file.bytes());
    let first = Model::from_bytes(&bytes).expect("a sound file");
    let mut names: Vec<&str> = (0..first.entries()).filter_map(|index| first.entry_name(index)).collect();
    names.sort();
    let mut arena = AlignedBuf::zeroed(first.arena_bytes());
    let mut net = Interpreter::new(&first, ops::ALL, &mut arena).expect("runs");
    let fresh = net.state().expect("state").to_vec();
    let entries: Vec<_> = names.iter().map(|name| net.entry(name).expect("an entry")).collect();
    let mut npz = answers(model);
    let order = npz.read(&format!("{model}/order")).expect("an order");
    let order = (0..order.rows()).map(|row| order.row_f32(row)[0]);
    let mut at = vec![0; names.len()];
    let mut sums = vec![(0.0f64, 0.0f64); names.len()];
    let mut resets = 0;
    for number in order.map(|number| number as usize) {
        let (name, entry) = (names[number], &entries[number]);
        net.enter(entry).expect("enters");
        let program = entry.model();
        for (index, facts) in model_file::inputs(program).into_iter().enumerate() {
            let row =
                &rows(&mut npz, &format!("{model}/in/{name}/{}", facts.name)).expect("inputs")[at[number]];
            let (scale, zero_point) = facts.quantization.expect("int8");
            let quantized: Vec<i8> = row
                .iter()
                .map(|x| ((x / scale).round() as i32 + zero_point).clamp(-128, 127) as i8)
                .collect();
            net.set_input(index, &quantized).expect("an input");
        }
        net.invoke().expect("runs");
        for (index, facts) in model_file::outputs(program).into_iter().enumerate() {
            let wanted =
                &rows(&mut npz, &format!("{model}/out/{name}/{}", facts.name)).expect("outputs")[at[number]];
            let Some((scale, zero_point)) = facts.quantization else {
                // A constant, which a graph without layers keeps as it is.
                assert_eq!(net.output::<f32>(index).expect("an output"), wanted);
                continue;
            };
            for (&wanted, &found) in wanted.iter().zip(net.output::<i8>(index).expect("an output")) {
                let found = scale * (i32::from(found) - zero_point) as f32;
                sums[number].0 += f64::from(wanted).powi(2);
                sums[number].1 += f64::from(wanted - found).powi(2);
            }
        }
        at[number] += 1;
        if name == reset {
            assert_eq!(net.state().expect("state"), fresh, "{model}: a reset state is the first one");
            resets += 1;
        }
    }
    assert!(resets > 5, "{model}: {resets} resets");
    let decibels = |(signal, noise): (f64, f64)| 10.0 * (signal / noise).log10();
    names
        .iter()
        .zip(sums)
        .filter(|(_, sums)| sums.0 > 0.0)
        .map(|(n, sums)| (n.to_string(), decibels(sums)))
        .collect()
}

#[test]
fn signatures_with_the_same_variables_are_entries_of_one_file() {
    let names = |model: &str| -> Vec<String> {
        let entries = import::entries(&folder(model), &ImportOptions::default()).expect("entries");
        entries.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("voice"), ["step", "nudge", "peek", "reset"]);
    assert_eq!(names("listener"), ["serving_default", "forget"]);
    assert_eq!(names("gauge"), ["step", "peek", "push", "reset"]);
    // One that is asked for stands alone, and one that is not there is told.
    let alone = |name: &str| {
        import::load_with(
            &folder("gauge"),
            &ImportOptions { signature: Some(name.into()), ..ImportOptions::default() },
        )
    };
    assert_eq!(alone("push").expect("a signature").graph.inputs.len(), 1);
    let error = alone("pull").expect_err("no signature");
    assert!(error.message.contains("`pull`: the file has `peek`, `push`, `reset`, `step`"), "{error}");
    let chosen = ImportOptions { signature: Some("step".into()), ..ImportOptions::default() };
    assert!(import::entries(&folder("voice"), &chosen).expect("none").is_empty());
    // A model with one signature has none.
    let single = root().join("tests/import/saved_model/saved/sequential");
    assert!(import::entries(&single, &ImportOptions::default()).expect("none").is_empty());
}

#[test]
fn calls_in_any_order_answer_as_tensorflow_does() {
    for target in [Target::Portable, Target::Host] {
        // The pushes of `gauge` make its state small, which keeps its scale.
        for (model, reset, least) in
            [("voice", "reset", 20.0), ("listener", "forget", 25.0), ("gauge", "reset", 15.0)]
        {
            let found = called(&converted(model, None, target), model, reset);
            assert!(found.len() >= if model == "listener" { 1 } else { 3 }, "{found:?}");
            for (name, decibels) in found {
                println!("{model}/{name}: {decibels:.1} dB");
                assert!(decibels > least, "{model}/{name}: {decibels:.1} dB");
            }
        }
    }
}

#[test]
fn entries_share_weights_and_state() {
    let together = converted("voice", None, Target::Portable);
    let model = together.file.model().expect("a model");
    let alone: Vec<Converted> =
        ["step", "nudge"].iter().map(|name| converted("voice", Some(name), Target::Portable)).collect();
    let apart: usize = alone.iter().map(|one| one.file.model().expect("a model").constants().len()).sum();
    // `c` is read by three of them, the weights of `step` by one.
    assert!(model.constants().len() < apart, "{} bytes, apart {apart}", model.constants().len());
    for index in 0..model.entries() {
        let entry = model.entry_at(index).expect("an entry");
        assert!(core::ptr::eq(entry.constants(), model.constants()));
        assert_eq!((entry.arena_bytes(), entry.state_bytes()), (model.arena_bytes(), model.state_bytes()));
        let names: Vec<&str> = (0..entry.variables().len()).filter_map(|i| entry.variable_name(i)).collect();
        assert_eq!(names, ["level", "sum"], "each entry has all variables");
    }
    // An LSTM keeps its cell state as int16, though a reset assigns it.
    let listener = converted("listener", None, Target::Portable);
    let model = listener.file.model().expect("a model");
    let types: Vec<_> =
        model_file::variables(&model).into_iter().map(|facts| (facts.name, facts.dtype)).collect();
    assert!(types.contains(&("cell".into(), ferrolite_runtime::DType::Int16)), "{types:?}");
}

#[test]
fn an_entry_is_entered_between_inferences_of_its_own_file() {
    let (voice, listener) =
        (converted("voice", None, Target::Portable), converted("listener", None, Target::Portable));
    let files = [AlignedBuf::from_bytes(voice.file.bytes()), AlignedBuf::from_bytes(listener.file.bytes())];
    let models = files.each_ref().map(|file| Model::from_bytes(file).expect("a sound file"));
    let mut arenas = models.each_ref().map(|model| AlignedBuf::zeroed(model.arena_bytes()));
    let [first, second] = &mut arenas;
    let mut net = Interpreter::new(&models[0], ops::ALL, first).expect("runs");
    let other = Interpreter::new(&models[1], ops::ALL, second).expect("runs");
    assert_eq!(net.entry("absent").err(), Some(Error::NoSuchName));
    assert_eq!(net.enter(&other.entry("forget").expect("an entry")), Err(Error::OtherEntry));
    let peek = net.entry("peek").expect("an entry");
    let step = net.entry("step").expect("the file's own program");
    net.set_input(0, &[1i8, 2, 3, 4]).expect("an input");
    net.step().expect("runs");
    assert!(matches!(net.enter(&peek), Err(Error::Running { .. })));
    while net.step().expect("runs") != ferrolite_runtime::Step::Done {}
    let level = net.state().expect("state").to_vec();
    net.enter(&peek).expect("between inferences");
    assert_eq!(net.output::<i8>(0).err(), Some(Error::NoOutput));
    assert_eq!((net.model().inputs().len(), net.input_index("x")), (0, Err(Error::NoSuchName)));
    net.invoke().expect("an entry without inputs");
    net.invoke().expect("and again");
    assert_eq!((net.state().expect("state"), net.output_index("y")), (&level[..], Ok(0)));
    net.enter(&step).expect("back");
    assert_eq!((net.invoke(), net.input_index("x")), (Err(Error::InputMissing { index: 0 }), Ok(0)));
    // Operators that the set lacks are missed before anything runs.
    let mut arena = AlignedBuf::zeroed(models[0].arena_bytes());
    let needed: Vec<u16> = models[0].ops().iter().map(|op| op.code).collect();
    let set: Vec<_> = ops::ALL.iter().filter(|operator| needed.contains(&operator.code)).copied().collect();
    let set: &'static [_] = Box::leak(set.into_boxed_slice());
    let net = Interpreter::new(&models[0], set, &mut arena).expect("the first program has its operators");
    for name in ["nudge", "peek", "reset"] {
        let entry = models[0].entry(name).expect("sound").expect("an entry");
        let missing = entry.ops().iter().any(|op| !needed.contains(&op.code));
        assert_eq!(matches!(net.entry(name), Err(Error::UnsupportedOp { .. })), missing, "{name}");
    }
}

#[test]
fn boards_call_entries_as_the_host_does() {
    for (board, target) in [("qemu-cortex-m4", Target::CortexM4), ("qemu-riscv32", Target::RiscV32)] {
        let file = converted("voice", None, target);
        let bytes = AlignedBuf::from_bytes(file.file.bytes());
        let model = Model::from_bytes(&bytes).expect("a sound file");
        let mut arena = AlignedBuf::zeroed(model.arena_bytes());
        let mut net = Interpreter::new(&model, ops::ALL, &mut arena).expect("runs");
        let (mut random, mut inputs, mut wanted) = (Random(3), Vec::new(), Vec::new());
        for call in 0..24 {
            let name = model.entry_name(call % model.entries()).expect("a name");
            let entry = net.entry(name).expect("an entry");
            net.enter(&entry).expect("enters");
            let mut sample = Vec::new();
            for index in 0..entry.model().inputs().len() {
                let input = net.input_bytes_mut(index).expect("an input");
                input.fill_with(|| random.below(256) as u8);
                sample.extend_from_slice(input);
            }
            net.invoke().expect("runs");
            let outputs = 0..entry.model().outputs().len();
            wanted.push(
                outputs
                    .flat_map(|index| net.output_bytes(index).expect("bytes").to_vec())
                    .collect::<Vec<u8>>(),
            );
            inputs.push(sample);
        }
        let options = board::RunOptions { entries: true, ..board::RunOptions::default() };
        let found = board::run(board::find(board).expect("a board"), file.file.bytes(), &inputs, options);
        let found = found.unwrap_or_else(|error| panic!("{board}: {error}"));
        assert_eq!(found.outputs, wanted, "{board}");
        // One entry by its number, each sample from fresh state and as a sequence.
        let number = (1..model.entries()).find(|&n| !model.entry_at(n).expect("sound").inputs().is_empty());
        let number = number.expect("an entry with inputs");
        let entry = net.entry(model.entry_name(number).expect("a name")).expect("an entry");
        assert_eq!(model_file::entry_number(entry.model()), number);
        let samples: Vec<Vec<u8>> = inputs.iter().skip(number).step_by(model.entries()).cloned().collect();
        for sequence in [false, true] {
            net.reset();
            let mut wanted = Vec::new();
            for sample in &samples {
                if !sequence {
                    net.reset();
                }
                net.enter(&entry).expect("enters");
                net.input_bytes_mut(0).expect("an input").copy_from_slice(sample);
                net.invoke().expect("runs");
                wanted.push(net.output_bytes(0).expect("bytes").to_vec());
            }
            let options = board::RunOptions { entry: number, sequence, ..board::RunOptions::default() };
            let board = board::find(board).expect("a board");
            let found = board::run(board, file.file.bytes(), &samples, options).expect("runs");
            assert_eq!(found.outputs, wanted, "{}, sequence: {sequence}", board.name);
        }
        // Entries with outputs answer other things from call to call.
        assert!(
            wanted.iter().filter(|bytes| !bytes.is_empty()).collect::<std::collections::HashSet<_>>().len()
                > 6
        );
    }
}

#[test]
fn a_board_without_room_for_entries_says_so() {
    let file = converted("gauge", None, Target::CortexM0);
    let board = board::find("qemu-cortex-m0").expect("a board");
    for options in [
        board::RunOptions { entry: 2, ..board::RunOptions::default() },
        board::RunOptions { entries: true, ..board::RunOptions::default() },
    ] {
        let error = board::run(board, file.file.bytes(), &[vec![0; 4]], options).expect_err("refused");
        assert!(error.message.contains("runs only the first program"), "{error}");
    }
}

#[test]
fn damaged_entries_are_refused_or_harmless() {
    let file = converted("voice", None, Target::Portable);
    let bytes = file.file.bytes();
    let (mut refused, mut ran) = (0, 0);
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80] {
            let mut damaged = AlignedBuf::from_bytes(bytes);
            damaged[at] ^= flip;
            let Ok(model) = Model::from_bytes(&damaged) else { continue };
            if model.arena_bytes() > 1 << 20 || model.work() > 1 << 20 {
                continue;
            }
            let mut arena = AlignedBuf::zeroed(model.arena_bytes());
            let Ok(mut net) = Interpreter::new(&model, ops::ALL, &mut arena) else { continue };
            for name in ["step", "nudge", "peek", "reset"] {
                let entry = match net.entry(name) {
                    Ok(entry) if entry.model().work() <= 1 << 20 => entry,
                    Ok(_) => continue,
                    Err(_) => {
                        refused += 1;
                        continue;
                    }
                };
                net.enter(&entry).expect("of this file");
                let inputs = entry.model().inputs().len();
                (0..inputs).for_each(|index| net.input_bytes_mut(index).expect("an input").fill(3));
                net.invoke().expect("has its inputs");
                ran += 1;
            }
        }
    }
    assert!(refused > 1000 && ran > 10_000, "{refused} refused, {ran} ran");
    let cut = Model::from_bytes(bytes).expect("sound").entry_at(4).err();
    assert_eq!(cut, Some(Refusal::Entry { entry: 4 }));
}
