//! The trained float models of the shared collection: compares the accuracy after quantization with that of
//! TensorFlow's own conversion, and the parameters where both must be equal.

use std::path::Path;

use ferrolite_runtime::{Interpreter, ops};
use ferrolite_schema::Model;
use rayon::prelude::*;

use super::*;
use crate::aligned::AlignedBuf;
use crate::data::npz::Npz;
use crate::graph::{Constant, Value};
use crate::shared_models::rows;
use crate::{emit, import, passes};

/// Samples in memory, for models with one input.
pub(super) struct Rows(pub Vec<Vec<f32>>);

impl Samples for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.0[index].clone()])
    }
}

/// A trained model: the float graph after the passes and its data.
struct Trained {
    graph: Graph,
    quantized: Graph,
    data: Npz,
}

fn load(folder: &Path, name: &str) -> Trained {
    let folder = folder.join("trained").join(name);
    let mut graph = import::load(&folder.join(format!("{name}_float.tflite"))).expect("imports").graph;
    passes::optimise(&mut graph);
    let mut data = Npz::open(&folder.join("test_and_cal.npz")).expect("data lies beside");
    let samples = Rows(rows(&mut data, "cal_x"));
    let (quantized, report) = quantize(&graph, &samples, &Options::default()).expect("quantizes");
    for trial in &report.trials {
        println!(
            "{name}: {:.2} dB, agreement {:?}, {}",
            -10.0 * trial.error.log10(),
            trial.agreement,
            trial.options
        );
    }
    println!("{name}: {:?}", report.notes);
    Trained { graph, quantized, data }
}

/// The outputs of the quantized model and of the float model for the test rows.
fn answers(trained: &mut Trained) -> [Vec<Vec<f32>>; 2] {
    let inputs = rows(&mut trained.data, "test_x");
    let quantized = Executor::new(&trained.quantized).expect("executes");
    let float = Executor::new(&trained.graph).expect("executes");
    let one = |input: &Vec<f32>| {
        let found = run_fake_quantized(&quantized, &[input]).expect("runs").remove(0);
        (found, float.run(&[input]).expect("runs").remove(0))
    };
    let (quantized, float) = inputs.par_iter().map(one).unzip();
    [quantized, float]
}

/// The figures of `accuracy.json` for the 512 test rows.
fn figure(folder: &Path, name: &str, what: &str) -> f64 {
    let text = std::fs::read_to_string(folder.join("accuracy.json")).expect("readable");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json[name]["rows_512"][what].as_f64().expect("the figure is there")
}

fn accuracy(outputs: &[Vec<f32>], labels: &[Vec<f32>]) -> f64 {
    let hit = |(output, label): (&Vec<f32>, &Vec<f32>)| {
        let best = (1..output.len()).fold(0, |best, i| if output[i] > output[best] { i } else { best });
        best as f32 == label[0]
    };
    outputs.iter().zip(labels).filter(|&pair| hit(pair)).count() as f64 / labels.len() as f64
}

/// The accuracy of the interpreter is within two of 512 rows of TensorFlow's.
#[test]
fn classifiers_are_as_good_as_tensorflows() {
    let Some(folder) = ferrolite_shared::models() else { return };
    for name in ["digits_mlp", "watch_conv1d", "mnist_cnn", "fashion_dsres"] {
        let mut trained = load(&folder, name);
        let labels = rows(&mut trained.data, "test_y");
        let inputs = rows(&mut trained.data, "test_x");
        let [simulated, float] = answers(&mut trained);
        let int8 = interpreted(&trained.quantized, &inputs);
        let [int8, simulated, float] = [int8, simulated, float].map(|answers| accuracy(&answers, &labels));
        let figure = |what: &str| figure(&folder, name, what);
        let (tf, tf_float) = (figure("tf_int8_accuracy"), figure("float_accuracy"));
        println!("{name}: int8 {int8:.4} (TensorFlow {tf:.4}), simulated {simulated:.4}, float {float:.4}");
        assert!(int8 >= tf - 0.004, "{name}");
        // The simulation rounds less often, so it misclassifies other rows.
        assert!((simulated - int8).abs() < 0.01, "{name}: the simulation is off");
        assert!((float - tf_float).abs() < 1e-9, "{name}: the float reference is off");
    }
}

#[test]
fn the_sine_is_as_good_as_tensorflows() {
    let Some(folder) = ferrolite_shared::models() else { return };
    let mut trained = load(&folder, "sine");
    let expected = rows(&mut trained.data, "test_y");
    let inputs = rows(&mut trained.data, "test_x");
    let [simulated, float] = answers(&mut trained);
    let mse = [interpreted(&trained.quantized, &inputs), simulated, float].map(|outputs| {
        let squares = outputs.iter().zip(&expected).map(|(x, y)| f64::from(x[0] - y[0]).powi(2));
        squares.sum::<f64>() / expected.len() as f64
    });
    let tf = figure(&folder, "sine", "tf_int8_mse");
    println!("sine: int8 {:.9} (TensorFlow {tf:.9}), simulated {:.9}, float {:.9}", mse[0], mse[1], mse[2]);
    assert!(mse[0] <= tf);
}

/// The interpreter's outputs as real numbers, for a model with one input and one output.
fn interpreted(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let params = |id| graph.value(id).quantization.as_ref().and_then(|q| q.tensor()).expect("int8");
    let ((in_scale, in_zero), (out_scale, out_zero)) = (params(graph.inputs[0]), params(graph.outputs[0]));
    let emitted = emit::compile(graph, &emit::Options::default()).expect("compiles");
    let file = AlignedBuf::from_bytes(&emitted.bytes);
    let model = Model::from_bytes(&file).expect("is valid");
    let mut arena = AlignedBuf::zeroed(emitted.arena_bytes);
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).expect("fits");
    inputs
        .iter()
        .map(|input| {
            let quantized = net.input_mut::<i8>(0).expect("int8");
            for (q, &x) in quantized.iter_mut().zip(input) {
                *q = range::to_int8(x, in_scale, in_zero);
            }
            net.invoke().expect("runs");
            let output = net.output::<i8>(0).expect("int8");
            output.iter().map(|&q| out_scale * (i32::from(q) - out_zero) as f32).collect()
        })
        .collect()
}

/// Calibration on the same rows finds the parameters that TensorFlow wrote, so that the integers and the
/// outputs are the same. (This does not hold for `fashion_dsres`: TensorFlow took the range of a sum for that
/// of one of its operands.)
#[test]
fn the_integers_are_tensorflows() {
    let Some(folder) = ferrolite_shared::models() else { return };
    for name in ["sine", "digits_mlp", "watch_conv1d", "mnist_cnn"] {
        // The passes are left out, because they find more to remove in the integer graph than in the float
        // graph.
        let folder = folder.join("trained").join(name);
        let imported =
            |what: &str| import::load(&folder.join(format!("{name}_{what}.tflite"))).expect("imports").graph;
        let mut data = Npz::open(&folder.join("test_and_cal.npz")).expect("data lies beside");
        let samples = Rows(rows(&mut data, "cal_x"));
        let options = Options { calibration: Calibration::MinMax, ..Options::default() };
        let (ours, _) = quantize(&imported("float"), &samples, &options).expect("quantizes");
        let theirs = imported("int8_tf");
        assert_eq!(ours.nodes.len(), theirs.nodes.len());
        for (our, their) in ours.nodes.iter().zip(&theirs.nodes) {
            assert_eq!(our.op, their.op);
            let operands = our.inputs.iter().zip(&their.inputs).filter_map(|(&a, &b)| a.zip(b));
            for (a, b) in operands.chain([(our.outputs[0], their.outputs[0])]) {
                same_integers(ours.value(a), theirs.value(b));
            }
        }
    }
}

fn same_integers(a: &Value, b: &Value) {
    let quantization = |value: &Value| value.quantization.clone().expect("quantized");
    let (qa, qb) = (quantization(a), quantization(b));
    assert_eq!(qa.zero_point, qb.zero_point, "{}", b.name);
    for (x, y) in qa.scale.iter().zip(&qb.scale) {
        assert!((x / y - 1.0).abs() < 1e-6, "{}: scale {x}, TensorFlow has {y}", b.name);
    }
    let integers = |value: &Value| value.constant.as_ref().and_then(Constant::to_i64);
    assert_eq!(integers(a), integers(b), "{}", b.name);
}
