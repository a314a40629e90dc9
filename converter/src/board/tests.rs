//! Tests that run on the boards. A board whose QEMU or target is missing is reported as skipped.

use std::time::Duration;

use ferrolite_schema::generated as fb;
use flatbuffers::FlatBufferBuilder;

use super::firmware::Firmware;
use super::job::Job;
use super::qemu::Start;
use super::*;
use crate::error::Fault;

/// A model of two lookups, `x -> x + 1` and then `x -> 255 - x`, over `len` bytes, in place. Some bytes
/// before the tensor stay free, so that the arena is `len + 16` bytes.
fn lookups(len: u32) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let tables: Vec<u8> =
        (0..=255u8).map(|x| x.wrapping_add(1)).chain((0..=255u8).map(|x| 255 - x)).collect();
    let constants = builder.create_vector(&tables);
    let tensor = |last_use| fb::Tensor::new(16, len, last_use, fb::DType::Int8, fb::Storage::Arena);
    let tensors = builder.create_vector(&[tensor(0), tensor(1), tensor(2)]);
    // An op of one input and one output has its operands in its record.
    let operands = builder.create_vector(&[0u16; 0]);
    let op = |input: u32, output: u32, params| {
        fb::Op::new(fb::OpCode::Lookup, 1, 1, input | output << 16, params, 1, 0, 0)
    };
    let ops = builder.create_vector(&[op(0, 1, 0), op(1, 2, 1)]);
    let params = builder.create_vector(&[0u32, 256]);
    let port = |tensor| fb::Port::new(tensor, 1, &[len, 1, 1, 1, 1, 1], 1.0, 0);
    let ports = builder.create_vector(&[port(0), port(2)]);
    let header = fb::Header::new(ferrolite_schema::RUNTIME_LEVEL, len + 16, 0, 0, 0, 1, fb::Rounding::Double);
    let args = fb::ModelArgs {
        format_version: ferrolite_schema::FORMAT_VERSION,
        header: Some(&header),
        tensors: Some(tensors),
        operands: Some(operands),
        ops: Some(ops),
        params: Some(params),
        constants: Some(constants),
        ports: Some(ports),
        ..fb::ModelArgs::default()
    };
    let model = fb::Model::create(&mut builder, &args);
    fb::finish_model_buffer(&mut builder, model);
    align_constants(builder.finished_data())
}

/// The file with as many bytes after its identifier as are needed to align the constants to a multiple of 16.
/// Only the offset of the root table depends on them.
fn align_constants(file: &[u8]) -> Vec<u8> {
    let with_padding = |padding: u32| {
        let root = u32::from_le_bytes(*file.first_chunk().unwrap()) + padding;
        let head = root.to_le_bytes().into_iter().chain(file[4..8].iter().copied());
        head.chain(vec![0; padding as usize]).chain(file[8..].iter().copied()).collect::<Vec<u8>>()
    };
    let files = (0..16).step_by(4).map(with_padding);
    files
        .into_iter()
        .find(|file| verified(&AlignedBuf::from_bytes(file)).is_ok())
        .expect("the test's model is valid")
}

/// What [`lookups`] computes.
fn expected(input: &[u8]) -> Vec<u8> {
    input.iter().map(|&x| 255 - x.wrapping_add(1)).collect()
}

/// One start of QEMU with one job.
fn one_job(start: &Start<'_>, job: &Job<'_>, inputs: &[Vec<u8>]) -> Result<Answers> {
    start.jobs(std::slice::from_ref(job), &inputs.concat())?.remove(0)
}

fn samples(count: u32, len: u32) -> Vec<Vec<u8>> {
    (0..count).map(|sample| (0..len).map(|at| (sample * 37 + at * 11) as u8).collect()).collect()
}

/// The boards that can be run on this machine, of those that the variable `FERROLITE_TEST_BOARDS`
/// names, if it is set.
fn ready() -> impl Iterator<Item = &'static Board> {
    let wanted = std::env::var("FERROLITE_TEST_BOARDS").ok();
    list().into_iter().filter_map(move |status| {
        let name = status.board.name;
        if wanted.as_ref().is_some_and(|wanted| !wanted.split(',').any(|wanted| wanted == name)) {
            return None;
        }
        if status.qemu_installed && status.target_installed {
            return Some(status.board);
        }
        println!("skipped: {name}: its QEMU or its Rust target is not installed");
        None
    })
}

#[test]
fn every_board_gives_the_expected_bytes() {
    let model = lookups(1000);
    let inputs = samples(5, 1000);
    for board in ready() {
        let options = RunOptions { layers: true, ..RunOptions::default() };
        let run =
            run(board, &model, &inputs, options).unwrap_or_else(|error| panic!("{error}: {}", error.help));
        let outputs: Vec<Vec<u8>> = inputs.iter().map(|input| expected(input)).collect();
        assert_eq!(run.outputs, outputs, "{}", board.name);
        assert_eq!(run.arena_bytes, 1016);
        assert_eq!(run.layers.len(), 2);
        let after_first: Vec<u8> = inputs[0].iter().map(|x| x.wrapping_add(1)).collect();
        assert_eq!(run.layers[0].output, after_first, "{}", board.name);
        assert_eq!(run.layers[1].output, run.outputs[0]);
        // A look-up takes at least two instructions per byte, or per vector of 16 bytes with MVE, and the
        // instructions of layers are part of the total.
        let least = if board.core.contains("MVE") { 1_000 / 16 * 2 } else { 2_000 };
        let layers: u64 = run.layers.iter().map(|layer| layer.instructions).sum();
        assert!(run.layers.iter().all(|layer| (least..20_000).contains(&layer.instructions)), "{run:?}");
        assert!(layers < run.instructions && run.instructions < layers + 1_000, "{run:?}");
        assert!((100..10_000).contains(&run.init_instructions), "{run:?}");
        assert!((64..1_024).contains(&run.stack_bytes), "{run:?}");
        println!(
            "{}: {} instructions, init {}, stack {}",
            board.name, run.instructions, run.init_instructions, run.stack_bytes
        );
    }
}

#[test]
fn counts_are_those_of_a_loop_of_known_length_and_the_same_each_time() {
    for board in ready() {
        let runner = Firmware::runner(board).build().unwrap();
        let count = |rounds, shift| {
            let start =
                Start { board, firmware: &runner, shift, limit: Duration::from_secs(60), plugin: None };
            let job = Job { calibration: rounds, ..Job::default() };
            let counts = one_job(&start, &job, &[]).unwrap().counts.unwrap();
            assert!(!counts.wrapped);
            board.instructions(counts.invoke, shift)
        };
        let (short, long) = (count(1_000, FINE), count(101_001, FINE));
        assert_eq!(long - short, 200_002, "{}", board.name);
        assert_eq!(count(1_000, FINE), short, "{}", board.name);
        // The coarse count is right to within one tick.
        let coarse = count(101_001, COARSE);
        assert!(coarse.abs_diff(long) <= 63, "{}: {coarse} and {long}", board.name);
    }
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_both_sizes() {
    let board = find("qemu-cortex-m0").unwrap();
    let error = run(board, &lookups(14_000), &samples(1, 14_000), RunOptions::default()).unwrap_err();
    assert!(error.message.contains("14016 bytes") && error.message.contains("12288"), "{}", error.message);
    let error = board.check_room(200_000, 100).unwrap_err();
    assert!(error.message.contains("200000") && error.message.contains("65472"), "{}", error.message);
}

#[test]
fn an_unknown_board_is_a_usage_error_that_lists_the_boards() {
    let error = find("qemu-z80").unwrap_err();
    assert_eq!(error.fault, Fault::Usage);
    assert!(error.message.contains("qemu-z80") && error.help.contains("qemu-riscv32"));
}

#[test]
fn samples_of_the_wrong_size_are_refused() {
    let board = find("qemu-cortex-m4").unwrap();
    let error = run(board, &lookups(100), &[vec![0; 100], vec![0; 99]], RunOptions::default()).unwrap_err();
    assert!(error.message.contains("sample 1 has 99 bytes"), "{}", error.message);
}

#[test]
fn a_hang_is_ended_and_told() {
    for board in ready().take(1) {
        let runner = Firmware::runner(board).build().unwrap();
        let start =
            Start { board, firmware: &runner, shift: FINE, limit: Duration::from_millis(300), plugin: None };
        let error = one_job(&start, &Job { calibration: u32::MAX, ..Job::default() }, &[]).unwrap_err();
        assert!(error.message.contains("no answer"), "{}", error.message);
    }
}

#[test]
fn a_job_that_the_board_refuses_is_told_in_its_words() {
    for board in ready() {
        let runner = Firmware::runner(board).build().unwrap();
        let start =
            Start { board, firmware: &runner, shift: FINE, limit: Duration::from_secs(60), plugin: None };
        let error = one_job(&start, &Job { model: b"not a model at all", samples: 1, ..Job::default() }, &[])
            .unwrap_err();
        assert!(error.message.starts_with(board.name) && error.message.len() > 30, "{}", error.message);
        let model = lookups(100);
        let job = Job { model: &model, arena_limit: 99, samples: 1, ..Job::default() };
        let error = one_job(&start, &job, &samples(1, 100)).unwrap_err();
        assert!(error.message.contains("99 bytes") && error.message.contains("116"), "{}", error.message);
    }
}

#[test]
fn no_model_of_a_batch_keeps_another_from_its_answer() {
    for board in ready() {
        let models: Vec<Vec<u8>> = [100, 1_000, 20_000_000, 37].map(lookups).into();
        let inputs: Vec<Vec<Vec<u8>>> =
            [samples(3, 100), samples(2, 1_000), vec![vec![]], samples(4, 37)].into();
        let options = RunOptions { layers: true, ..RunOptions::default() };
        let items = models.iter().zip(&inputs).map(|(model, inputs)| BatchItem { model, inputs, options });
        let results = run_batch(board, &items.collect::<Vec<_>>()).unwrap();
        for index in [0, 1, 3] {
            let run = results[index].as_ref().unwrap_or_else(|error| panic!("{error}"));
            let wanted: Vec<Vec<u8>> = inputs[index].iter().map(|input| expected(input)).collect();
            assert_eq!(run.outputs, wanted, "{}: model {index}", board.name);
            assert_eq!(run.layers.len(), 2);
        }
        let error = results[2].as_ref().unwrap_err();
        assert!(error.message.contains("arena of 20000016 bytes"), "{}", error.message);
    }
}

#[test]
fn jobs_behind_a_refused_one_and_after_a_hang() {
    for board in ready() {
        let runner = Firmware::runner(board).build().unwrap();
        let start =
            Start { board, firmware: &runner, shift: FINE, limit: Duration::from_secs(3), plugin: None };
        let model = lookups(100);
        let good = |inputs_start| Job { model: &model, samples: 1, inputs_start, ..Job::default() };
        let refused = Job { model: b"not a model", samples: 1, ..Job::default() };
        let endless = Job { calibration: u32::MAX, ..Job::default() };
        let inputs = samples(2, 100);
        let results = start.jobs(&[good(0), refused, good(100), endless, good(0)], &inputs.concat()).unwrap();
        assert_eq!(results.len(), 4, "{}", board.name);
        assert_eq!(results[0].as_ref().unwrap().outputs[&0], expected(&inputs[0]));
        assert!(results[1].is_err());
        assert_eq!(results[2].as_ref().unwrap().outputs[&0], expected(&inputs[1]));
        assert!(results[3].as_ref().unwrap_err().message.contains("no answer"), "{results:?}");
    }
}

#[test]
fn a_job_that_is_too_large_for_flash_lies_in_other_memory() {
    for board in ready().filter(|board| board.jobs.len() > 1) {
        assert_eq!(board.job_memory(1_000), board.jobs[0]);
        assert_eq!(board.job_memory(4 << 20), board.jobs[1]);
        let runner = Firmware::runner(board).build().unwrap();
        let limit = Duration::from_secs(60);
        let start = Start { board, firmware: &runner, shift: FINE, limit, plugin: None };
        let file = vec![7; 4 << 20];
        let job = Job { model: &file, samples: 1, ..Job::default() };
        let error = one_job(&start, &job, &[]).unwrap_err();
        let found = Model::from_bytes(&AlignedBuf::from_bytes(&file)).err().unwrap();
        assert!(error.message.contains(&found.to_string()), "{}: {}", board.name, error.message);
    }
}

#[test]
fn cycles_are_modelled_and_the_same_each_time() {
    for board in ready() {
        let measure = || {
            let options = RunOptions { layers: true, cycles: true, ..RunOptions::default() };
            run(board, &lookups(1000), &samples(2, 1000), options).unwrap()
        };
        let run = measure();
        let modelled = match &run.modelled {
            Ok(modelled) => modelled,
            Err(reason) if board.timing.is_none() => {
                assert!(reason.contains(board.core), "{reason}");
                continue;
            }
            Err(reason) => {
                let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
                assert!(!required, "{}: {reason}", board.name);
                println!("skipped: {}: {reason}", board.name);
                continue;
            }
        };
        // Both count the same instructions, one by a timer and one by the plugin.
        assert!(modelled.instructions.abs_diff(run.instructions) <= 4, "{run:?}");
        assert!((run.instructions..run.instructions * 3).contains(&modelled.cycles), "{run:?}");
        // Two tables of 256 bytes lie in flash. Each byte that is read counts as a word, unless it is in the
        // same word as the one before.
        assert!((500..10_000).contains(&modelled.flash_words), "{run:?}");
        let layers: u64 = run.layers.iter().map(|layer| layer.modelled.unwrap().cycles).sum();
        assert!(layers < modelled.cycles && modelled.cycles < layers + 1_500, "{run:?}");
        assert_eq!(measure(), run);
    }
}

/// Cycles of any core, where an estimate is enough.
#[test]
fn cycles_of_every_core_are_estimated() {
    for part in PARTS {
        let Some(board) = ready().find(|board| board.name == part.emulated) else { continue };
        let options = RunOptions { cycles: true, estimate: true, ..RunOptions::default() };
        let run = run(board, &lookups(1000), &samples(1, 1000), options).unwrap();
        let Ok(modelled) = run.modelled else { continue };
        assert!(modelled.instructions.abs_diff(run.instructions) <= 4, "{run:?}");
        // Two instructions a cycle at best.
        let cycles = run.instructions / 2..run.instructions * 3;
        assert!(cycles.contains(&modelled.cycles), "{}: {run:?}", part.name);
        // QEMU does not show plugins what MVE's gathers read, as from a table.
        let least = if board.name == "qemu-cortex-m55" { 10 } else { 500 };
        assert!((least..10_000).contains(&modelled.flash_words), "{}: {run:?}", part.name);
    }
}

#[test]
fn a_plugin_that_does_not_load_leaves_the_rest() {
    for board in ready().filter(|board| board.timing.is_some()) {
        let runner = Firmware::runner(board).build().unwrap();
        let Ok(plugin) = cycles::Plugin::prepare(board, &runner, false) else { continue };
        let broken = plugin.with_library("/nowhere/plugin.so");
        let limit = Duration::from_secs(60);
        let start = Start { board, firmware: &runner, shift: FINE, limit, plugin: Some(&broken) };
        let model = lookups(100);
        let answers = one_job(&start, &Job { model: &model, samples: 1, ..Job::default() }, &samples(1, 100));
        let answers = answers.unwrap();
        assert_eq!(answers.outputs[&0], expected(&samples(1, 100)[0]));
        let reason = answers.windows.unwrap().unwrap_err();
        assert!(reason.contains("does not load the plugin"), "{reason}");
    }
}
