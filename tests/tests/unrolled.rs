//! An unrolled recurrent network: hundreds of ops, in which more than a hundred tensors hold data at the same
//! time.

mod common;

use common::gru::{FEATURES, STATE, UNITS, WEIGHT, bias, gru, weights};
use common::{Net, compile_for, root};
use ferrolite::aligned::AlignedBuf;
use ferrolite::board::{self, BatchItem, RunOptions};
use ferrolite::data::npz::Npz;
use ferrolite::emit::{self, Emitted, Options};
use ferrolite_runtime::{Model, Target};

/// Steps of the network.
const STEPS: usize = 40;

/// The same in real numbers.
fn real(x: &[i8], hidden: &[i8]) -> Vec<f32> {
    let reals =
        |elements: &[i8], scale: f32| elements.iter().map(|&q| f32::from(q) * scale).collect::<Vec<f32>>();
    let dense = |input: &[f32], seed: usize| -> Vec<f32> {
        let weights = reals(&weights(3 * UNITS * input.len(), seed), WEIGHT);
        let rows = weights.chunks(input.len()).zip(bias(seed));
        let row = |(row, bias): (&[f32], i32)| {
            row.iter().zip(input).map(|(w, x)| w * x).sum::<f32>() + bias as f32 * STATE * WEIGHT
        };
        rows.map(row).collect()
    };
    let logistic = |x: f32| 1.0 / (1.0 + (-x).exp());
    let mut hidden = reals(hidden, STATE);
    let mut all = Vec::new();
    for step in reals(x, STATE).chunks(FEATURES) {
        let (gx, gh) = (dense(step, 1), dense(&hidden, 2));
        hidden = (0..UNITS)
            .map(|unit| {
                let [z, r, n] = [0, 1, 2].map(|gate| gate * UNITS + unit);
                let (update, reset) = (logistic(gx[z] + gh[z]), logistic(gx[r] + gh[r]));
                (1.0 - update) * (gx[n] + reset * gh[n]).tanh() + update * hidden[unit]
            })
            .collect();
        all.extend(&hidden);
    }
    all
}

fn inputs(seed: usize) -> [Vec<u8>; 2] {
    let bytes = |count: usize, seed: usize| (0..count).map(|at| ((at + seed) * 101 % 253) as u8).collect();
    [bytes(STEPS * FEATURES, seed), bytes(UNITS, seed + 7)]
}

/// The largest number of tensors that hold data at the same time.
fn most_live(model: &Model<'_>) -> usize {
    let mut writers = vec![0; model.inputs().len()];
    for (index, op) in model.ops().iter().enumerate() {
        writers.extend(vec![index; op.outputs.into()]);
    }
    let live = |index: usize| {
        let tensors = model.tensors().iter().zip(&writers);
        tensors.filter(|(tensor, writer)| **writer <= index && usize::from(tensor.last_use) >= index).count()
    };
    (0..model.ops().len()).map(live).max().unwrap_or(0)
}

fn answers(file: &[u8], seed: usize) -> Vec<Vec<u8>> {
    let file = AlignedBuf::from_bytes(file);
    Net::new(&file).run(&inputs(seed).each_ref().map(Vec::as_slice), &mut ())
}

#[test]
fn an_unrolled_gru_runs() {
    for target in [Target::Portable, Target::CortexM4] {
        let Emitted { bytes, apart, arena_bytes, ops, .. } =
            emit::compile(&gru(STEPS), &Options { target, ..Options::default() }).expect("a supported model");
        let file = AlignedBuf::from_bytes(&bytes);
        let model = Model::from_bytes(&file).expect("a sound file");
        let live = most_live(&model);
        println!("{} ops, {live} tensors hold data at once, arena of {arena_bytes} bytes", ops.len());
        assert!(ops.len() > 500 && live > 100, "{} ops, {live} tensors", ops.len());
        for seed in 0..8 {
            let found = answers(&bytes, seed);
            assert_eq!(found, answers(&apart, seed), "tensors overwrite one another");
            let [x, hidden] = inputs(seed);
            let wanted = real(bytemuck::cast_slice(&x), bytemuck::cast_slice(&hidden));
            assert_eq!(found[0].len(), wanted.len());
            let error = |(&q, wanted): (&u8, &f32)| (f32::from(q as i8) * STATE - wanted).abs();
            let errors: Vec<f32> = found[0].iter().zip(&wanted).map(error).collect();
            let mean = errors.iter().sum::<f32>() / errors.len() as f32;
            assert!(mean < 0.02, "sample {seed}: off by {mean} on average");
            assert_eq!(found[1], found[0][(STEPS - 1) * UNITS..], "sample {seed}: the last state");
        }
    }
}

/// A network that Keras unrolled and TFLiteConverter wrote gives TFLM's bytes, on a board as well.
#[test]
fn what_keras_unrolls_runs_as_in_tflm() {
    let mut arrays = Npz::open(&root().join("tests/import/unrolled/gru.npz")).expect("an archive");
    let mut rows = |name: &str| -> Vec<Vec<u8>> {
        let array = arrays.read(name).expect("an array");
        (0..array.rows()).map(|row| array.row_bytes(row).to_vec()).collect()
    };
    let (model, inputs, wanted) = (rows("model").concat(), rows("in"), rows("out"));
    assert!(inputs.len() == wanted.len() && inputs.len() > 4);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gru.tflite");
    std::fs::write(&path, model).expect("is writable");
    for target in [Target::Portable, Target::CortexM4] {
        let Emitted { bytes, ops, .. } = compile_for(&path, true, target).expect("a supported model");
        assert!(ops.len() > 500, "{} ops", ops.len());
        let file = AlignedBuf::from_bytes(&bytes);
        for (input, wanted) in inputs.iter().zip(&wanted) {
            assert_eq!(Net::new(&file).run(&[input], &mut ()), [wanted.as_slice()], "{}", target.name());
        }
        if target != Target::CortexM4 {
            continue;
        }
        let name = "qemu-cortex-m4";
        let status = board::list().into_iter().find(|status| status.board.name == name).expect("a board");
        if !(status.qemu_installed && status.target_installed) {
            let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
            assert!(!required, "{name} is not installed, but all boards are required");
            println!("skipped: {name} is not installed");
            continue;
        }
        let item = BatchItem { model: &bytes, inputs: &inputs, options: RunOptions::default() };
        let runs = board::run_batch(status.board, &[item]).expect("a board");
        let run = runs.into_iter().next().expect("a run").expect("it runs");
        assert_eq!(run.outputs, wanted);
    }
}
