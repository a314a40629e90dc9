//! Every board that QEMU emulates gives TFLM's results: op vectors and whole models, byte for byte, and every
//! layer of a model as on the host. Random ops with packed weights, whose padding has any values, give the
//! results of the portable kernels. One run reports all differences, board by board.
//!
//! A board without its QEMU or Rust target is reported as skipped; with `FERROLITE_REQUIRE_BOARDS=1` it is a
//! failure. `FERROLITE_TEST_BOARDS` names the boards to run, separated by commas; by default, all run.

mod common;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::apart::Apart;
use common::{
    Net, REFUSED, Sample, beside, compile_for, files, files_for, first_difference, quantized_models, root,
    samples, stem,
};
use ferrolite::aligned::AlignedBuf;
use ferrolite::board::{self, BatchItem, Board, RunOptions};
use ferrolite::data::npz::Npz;
use ferrolite::emit::Emitted;
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::kernels::{Portable, policy};
use ferrolite_runtime::packing::Packing;
use ferrolite_runtime::{Eval, Model, Observer, OpCode, OpSet, Target, ops};
use ferrolite_schema::Storage;

/// The board that runs all samples of all models. The others run only the first samples.
const THOROUGH: &str = "qemu-cortex-m4";

/// The one board that is too small for some models.
const SMALL: &str = "qemu-cortex-m0";

/// Samples of a model on the other boards.
const SAMPLES: usize = 4;

/// The same for models with more multiplications than [`MANY_MACS`] per inference.
const SAMPLES_OF_LARGE: usize = 2;
const MANY_MACS: u64 = 3_000_000;

/// Random ops of an operator with the packing of the board's core, and as many with those of other cores.
const OPS: usize = 40;

/// The portable kernels, which are the specification.
const PORTABLE: OpSet = &ops::all::<Portable>();

/// Starts of QEMU at a time.
const WORKERS: usize = 2;

/// A model, its samples and the results that every board should give.
struct Case {
    name: String,
    file: Vec<u8>,
    arena_bytes: usize,
    macs: u64,
    samples: Vec<Sample>,
    /// Output of each op for the first sample, from the host; empty where only outputs count.
    layers: Vec<Vec<u8>>,
    /// The samples are one sequence, as those of op vectors.
    sequence: bool,
}

/// The result of one kind of cases on one board.
struct Summary {
    board: &'static str,
    what: &'static str,
    equal: usize,
    samples: usize,
    layers: usize,
    too_large: Vec<String>,
    failures: Vec<String>,
    time: Duration,
}

/// Applies `f` to all items on some threads; the results are in the order of the items.
fn parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(0..items.len());
    let take = || next.lock().expect("no thread panicked").next();
    let work = || {
        let mut done = Vec::new();
        while let Some(index) = take() {
            done.push((index, f(&items[index])));
        }
        done
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no thread panicked")).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Collects the outputs of all ops in order.
struct Layers(Vec<Vec<u8>>);

impl Observer for Layers {
    fn after(&mut self, _: u16, eval: &Eval<'_>) {
        let outputs = (0..eval.node().outputs()).map(|position| eval.output::<u8>(position));
        self.0.push(outputs.flat_map(|cells| cells.iter().map(|cell| cell.get())).collect());
    }
}

/// The layers of a sample on the host.
fn host_layers(file: &AlignedBuf, input: &[u8]) -> Vec<Vec<u8>> {
    let mut net = Net::new(file);
    let mut rest = input;
    let mut ports = Vec::new();
    for port in net.model().inputs() {
        let (bytes, behind) = rest.split_at(net.model().tensors()[port.tensor as usize].bytes as usize);
        ports.push(bytes);
        rest = behind;
    }
    let mut layers = Layers(Vec::new());
    net.run(&ports, &mut layers);
    layers.0
}

/// A case from a model file and the arrays beside it.
fn case(
    name: String,
    npz: &Path,
    arrays: &[(&str, &str)],
    layers: bool,
    emitted: Result<Emitted, String>,
) -> Result<Case, String> {
    let emitted = emitted?;
    let file = AlignedBuf::from_bytes(&emitted.bytes);
    let sound = Model::from_bytes(&file).map_err(|error| error.to_string())?;
    let mut npz = Npz::open(npz).map_err(|error| error.message)?;
    let mut all = Vec::new();
    for (inputs, outputs) in arrays {
        all.extend(samples(&sound, &mut npz, inputs, outputs, usize::MAX)?);
    }
    let first = all.first().ok_or("there are no samples")?;
    let layers = if layers { host_layers(&file, &first.input) } else { Vec::new() };
    let names = sound.names();
    let macs = (0..sound.ops().len()).filter_map(|op| names.op_macs(op)).sum();
    let sequence = arrays.iter().all(|(_, outputs)| *outputs == "out");
    let (arena_bytes, file) = (emitted.arena_bytes, emitted.bytes);
    Ok(Case { name, arena_bytes, file, macs, samples: all, layers, sequence })
}

/// The target of a board's own core. Boards whose kernels read the same packings share one.
fn target(board: &Board) -> Target {
    let same = |target: &&Target| policy(**target) == policy(board.core_target());
    *Target::ALL.iter().find(same).expect("its own at least")
}

/// All op vectors: with direct convolutions, and with Winograd's algorithm wherever possible.
fn vectors(target: Target) -> Vec<Result<Case, String>> {
    let folder = root().join("tests/vectors");
    let cases = parallel(&files(&folder, ".npz"), |npz| {
        let name = npz.strip_prefix(&folder).expect("below the folder").with_extension("");
        let name = name.to_string_lossy().replace('\\', "/");
        let model = npz.with_extension("tflite");
        let files = files_for(&model, true, target).into_iter();
        let case = |(how, file): (&str, _)| {
            let name = format!("{name}{how}");
            case(name.clone(), npz, &[("in", "out")], false, file).map_err(|error| format!("{name}: {error}"))
        };
        files.map(case).collect::<Vec<_>>()
    });
    cases.into_iter().flatten().collect()
}

/// The models of this workspace, and the shared ones if they are there.
fn models(target: Target) -> Vec<Result<Case, String>> {
    let mut paths = files(&root().join("tests/models"), ".tflite");
    paths.extend(quantized_models());
    let mut seen = HashSet::new();
    paths.retain(|path| {
        let name = stem(path);
        let refused = REFUSED.iter().any(|(refused, _)| *refused == name);
        !name.contains("float") && !refused && seen.insert(name)
    });
    parallel(&paths, |path| {
        let arrays = [("in", "tflm_out"), ("real_in", "tflm_real_out")];
        let file = compile_for(path, true, target);
        case(stem(path), &beside(path, "oracle.npz"), &arrays, true, file)
            .map_err(|error| format!("{}: {error}", stem(path)))
    })
}

/// Random ops of the operators whose weights are packed, with any values in the padding.
fn packed_ops(target: Target) -> Vec<Result<Case, String>> {
    let own = policy(target);
    let operators = [
        (OpCode::Conv2d, own.conv),
        (OpCode::DepthwiseConv2d, own.depthwise),
        (OpCode::FullyConnected, own.dense),
        (OpCode::Depthwise3x3, ops::depthwise_3x3::PACKING),
        (OpCode::DepthwiseTaps, ops::depthwise_taps::PACKING),
        (OpCode::DepthwiseWide, ops::depthwise_taps::PACKING),
        (OpCode::Conv2dWide, own.conv),
        (OpCode::Conv2dWinograd, Packing::WINOGRAD),
        (OpCode::Conv2dSegments, own.conv),
        (OpCode::TransposeConv, own.conv),
        (OpCode::Lstm, own.dense),
        (OpCode::Gru, own.dense),
        (OpCode::Rnn, own.dense),
    ];
    let mut random = Random(31);
    let mut cases = Vec::new();
    for (code, packing) in operators {
        // Of the board's own packing, of its general one, of others; if all ops are of one kind, there are none of those.
        let mut left = [OPS; 3];
        for number in 0..OPS * 60 {
            let case = ferrolite_runtime::ops::case(code, &mut random);
            let tag =
                case.what.split("packing: ").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
            let tag = tag.expect("these have packed weights");
            let kind = match (packing.own(tag), packing.general().own(tag)) {
                (Some(_), _) => 0,
                (None, Some(_)) => 1,
                (None, None) => 2,
            };
            if left[kind] == 0 {
                continue;
            }
            left[kind] -= 1;
            cases.push(random_op(code, number, case));
        }
        assert_eq!(left[0], 0, "{code:?} is packed for {target:?} too seldom");
        let codes = [OpCode::Conv2d, OpCode::Conv2dSegments, OpCode::Conv2dWide, OpCode::FullyConnected];
        let general = codes.contains(&code) && packing != Packing::PLAIN;
        assert!(!general || left[1] == 0, "{code:?} is general for {target:?} too seldom");
    }
    cases
}

/// Random ops of the operators that have no weights.
fn plain_ops(_: Target) -> Vec<Result<Case, String>> {
    let mut random = Random(37);
    let plain = OpCode::ALL.iter().copied().filter(|&code| {
        ferrolite_runtime::cases::Case::is_alone(code)
            && !ferrolite_runtime::ops::case(code, &mut Random(1)).what.contains("packing: ")
    });
    let ops = plain.flat_map(|code| (0..OPS / 2).map(move |number| (code, number)));
    ops.map(|(code, number)| random_op(code, number, ferrolite_runtime::ops::case(code, &mut random)))
        .collect()
}

/// A case of one op with the answer of the portable kernels.
fn random_op(code: OpCode, number: usize, case: ferrolite_runtime::cases::Case) -> Result<Case, String> {
    let apart = Apart::new(case);
    let name = format!("{code:?} {number}: {}", apart.case.what);
    let arena =
        Model::from_bytes(AlignedBuf::from_bytes(&apart.file).as_ref()).map(|model| model.arena_bytes());
    let wanted = apart.run(PORTABLE, None, 0);
    match (arena, wanted) {
        (Ok(arena_bytes), Ok(wanted)) => {
            // Constants and states are in the file; where one tensor is both operands, the second is written last.
            let first = usize::from(apart.case.twice);
            let given = apart.case.inputs[first..].iter().filter(|input| input.storage == Storage::Arena);
            let input = given.flat_map(|input| input.data.clone()).collect();
            let samples = vec![Sample { input, wanted: wanted.concat() }];
            Ok(Case {
                name,
                file: apart.file,
                arena_bytes,
                macs: 0,
                samples,
                layers: Vec::new(),
                sequence: false,
            })
        }
        (arena, wanted) => Err(format!("{name}: {:?}, {:?}", arena.err(), wanted.err())),
    }
}

/// Runs all cases that fit on a board.
fn run(board: &'static Board, what: &'static str, cases: &[Case]) -> Summary {
    let start = Instant::now();
    let (mut too_large, mut failures) = (Vec::new(), Vec::new());
    let mut fitting = Vec::new();
    for case in cases {
        match board.check_room(case.file.len(), case.arena_bytes) {
            Ok(()) => fitting.push(case),
            Err(error) => too_large.push(format!("{}: {}", case.name, error.message)),
        }
    }
    let limit = |case: &Case| match case.macs {
        _ if board.name == THOROUGH || case.layers.is_empty() => usize::MAX,
        MANY_MACS.. => SAMPLES_OF_LARGE,
        _ => SAMPLES,
    };
    let inputs: Vec<Vec<Vec<u8>>> = fitting
        .iter()
        .map(|case| case.samples.iter().take(limit(case)).map(|sample| sample.input.clone()).collect())
        .collect();
    let items: Vec<BatchItem<'_>> = fitting
        .iter()
        .zip(&inputs)
        .map(|(case, inputs)| {
            let (layers, sequence) = (!case.layers.is_empty(), case.sequence);
            let options = RunOptions { layers, sequence, ..RunOptions::default() };
            BatchItem { model: &case.file, inputs, options }
        })
        .collect();
    let (mut equal, mut samples, mut layers) = (0, 0, 0);
    match board::run_batch(board, &items) {
        Err(error) => failures.push(error.message),
        Ok(runs) => {
            for ((case, inputs), run) in fitting.iter().zip(&inputs).zip(runs) {
                let before = failures.len();
                match run {
                    Err(error) => failures.push(format!("{}: {}", case.name, error.message)),
                    Ok(run) => differences(case, inputs.len(), &run, &mut failures),
                }
                if failures.len() == before {
                    equal += 1;
                    samples += inputs.len();
                    layers += case.layers.len();
                }
            }
        }
    }
    Summary { board: board.name, what, equal, samples, layers, too_large, failures, time: start.elapsed() }
}

/// Adds the differences between a case and the results of a board.
fn differences(case: &Case, samples: usize, run: &board::BoardRun, failures: &mut Vec<String>) {
    if run.outputs.len() != samples || run.layers.len() != case.layers.len() {
        failures.push(format!(
            "{}: {} of {samples} samples and {} of {} layers answered",
            case.name,
            run.outputs.len(),
            run.layers.len(),
            case.layers.len()
        ));
    }
    for (index, (sample, found)) in case.samples.iter().zip(&run.outputs).enumerate() {
        if let Some(difference) = first_difference(found, &sample.wanted) {
            failures.push(format!("{}: sample {index}: {difference}", case.name));
        }
    }
    for (index, (wanted, found)) in case.layers.iter().zip(&run.layers).enumerate() {
        if let Some(difference) = first_difference(&found.output, wanted) {
            failures.push(format!("{}: layer {index}: {difference}", case.name));
        }
    }
}

/// The boards to run, and failures for those that are required but missing.
fn boards() -> (Vec<&'static Board>, Vec<String>) {
    let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
    let wanted = std::env::var("FERROLITE_TEST_BOARDS").ok();
    let (mut ready, mut missing) = (Vec::new(), Vec::new());
    for status in board::list() {
        let name = status.board.name;
        if wanted.as_ref().is_some_and(|wanted| !wanted.split(',').any(|wanted| wanted == name)) {
            println!("skipped: {name}: FERROLITE_TEST_BOARDS does not name it");
            continue;
        }
        match (status.qemu_installed, status.target_installed) {
            (true, true) => ready.push(status.board),
            (qemu, _) => {
                let what = if qemu { status.board.target } else { status.board.qemu };
                println!("skipped: {name}: {what} is not installed");
                if required {
                    missing.push(format!("{name}: {what} is not installed, but all boards are required"));
                }
            }
        }
    }
    (ready, missing)
}

/// Cases of one kind, packed for a target.
type Kind = fn(Target) -> Vec<Result<Case, String>>;

#[test]
fn every_board_answers_as_tflm() {
    run_all(&[("models", models), ("vectors", vectors)]);
}

#[test]
fn every_board_answers_as_the_portable_kernels() {
    run_all(&[("ops", packed_ops), ("plain", plain_ops)]);
}

/// Runs cases of these kinds on all boards.
/// The runtime as WebAssembly gives the same answers in Node, whose engine is that of a browser. `cargo xtask test --only
/// browser` builds the module first.
#[test]
#[ignore = "needs the module and Node"]
fn the_browser_answers_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases: Vec<Case> = Vec::new();
    for kind in [vectors, models, packed_ops, plain_ops] {
        cases.extend(
            kind(Target::Host).into_iter().map(|case| case.unwrap_or_else(|error| panic!("{error}"))),
        );
    }
    // Plain weights, and those of a microcontroller.
    cases.extend([Target::Portable, Target::CortexM4].iter().flat_map(|&target| models(target)).map(
        |case| {
            let mut case = case.unwrap_or_else(|error| panic!("{error}"));
            case.samples.truncate(SAMPLES);
            case
        },
    ));
    let (mut list, mut bytes) = (Vec::new(), Vec::new());
    let mut put = |part: &[u8]| {
        bytes.extend(part);
        serde_json::json!([bytes.len() - part.len(), bytes.len()])
    };
    for case in &cases {
        let file = put(&case.file);
        let samples: Vec<_> =
            case.samples.iter().map(|sample| [put(&sample.input), put(&sample.wanted)]).collect();
        list.push(serde_json::json!({ "name": case.name, "file": file, "samples": samples, "sequence": case.sequence }));
    }
    std::fs::write(folder.path().join("cases.json"), serde_json::to_vec(&list).expect("it is JSON"))
        .expect("it is written");
    std::fs::write(folder.path().join("cases.bin"), bytes).expect("it is written");
    let program = root().join("boards/web/test/cases.js");
    let status =
        std::process::Command::new("node").arg(program).arg(folder.path()).status().expect("Node runs");
    assert!(status.success(), "Node's answers differ: see above");
}

fn run_all(kinds_of_cases: &[(&'static str, Kind)]) {
    let (boards, mut failures) = boards();
    if boards.is_empty() {
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        return;
    }
    let mut sound = |cases: Vec<Result<Case, String>>| -> Vec<Case> {
        cases.into_iter().filter_map(|case| case.map_err(|error| failures.push(error)).ok()).collect()
    };
    let start = Instant::now();
    let targets: BTreeSet<Target> = boards.iter().map(|board| target(board)).collect();
    let mut kinds = Vec::new();
    for target in targets {
        kinds.extend(kinds_of_cases.iter().map(|(what, cases)| (target, *what, sound(cases(target)))));
    }
    println!("cases made in {:.1} s", start.elapsed().as_secs_f32());
    assert!(kinds.iter().all(|(_, _, cases)| !cases.is_empty()), "there are cases of each kind");
    let units: Vec<_> = kinds
        .iter()
        .flat_map(|(of, what, cases)| {
            boards.iter().filter(|board| target(board) == *of).map(move |board| (*board, *what, cases))
        })
        .collect();
    let summaries = parallel(&units, |(board, what, cases)| run(board, what, cases));

    println!(
        "{:<16} {:<8} {:>6} {:>8} {:>7} {:>9} {:>7}",
        "board", "what", "equal", "samples", "layers", "too large", "time"
    );
    for summary in &summaries {
        let Summary { board, what, equal, samples, layers, too_large, time, .. } = summary;
        println!(
            "{board:<16} {what:<8} {equal:>6} {samples:>8} {layers:>7} {:>9} {:>5.1} s",
            too_large.len(),
            time.as_secs_f32()
        );
    }
    for Summary { board, what, equal, too_large, failures: found, .. } in &summaries {
        too_large.iter().for_each(|case| println!("{case}"));
        failures.extend(found.iter().map(|failure| format!("{board}: {failure}")));
        if *board != SMALL {
            failures.extend(too_large.iter().map(|case| format!("{board}: too large: {case}")));
        }
        if *equal <= too_large.len() / 4 {
            failures.push(format!("{board}: only {equal} {what} ran and were equal"));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
