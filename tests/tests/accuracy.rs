//! The whole promise on one trained network, imported from each of its formats: int8 is as accurate as float,
//! as TensorFlow's int8, and as int8 from the other formats. `converter/examples/accuracy` tests the same for
//! all models of the shared collection.

mod common;

use std::path::Path;

use ferrolite::compare::{Comparison, Options, compare};
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::data::{Dataset, load_labels};
use ferrolite::facts::Facts;
use ferrolite::graph::Graph;
use ferrolite::import;
use ferrolite::model_file::{ModelFile, input_specs};
use ferrolite::quantize::Calibration;
use ferrolite_runtime::Target;

const FORMATS: [&str; 5] =
    ["digits_mlp_float.tflite", "digits_mlp.keras", "digits_mlp.h5", "digits_mlp.onnx", "saved_model"];

#[test]
fn int8_is_as_accurate_from_every_format() {
    let folder = common::root().join("tests/models/digits_mlp");
    let options = ConvertOptions { calibrate: Some(data(&folder, "cal_x")), ..ConvertOptions::default() };
    let source = |file: &str| import::load(&folder.join(file)).expect("imports").graph;
    let tensorflow = convert(&folder.join("digits_mlp_int8_tf.tflite"), &ConvertOptions::default(), &());
    let tensorflow = judge(&folder, &source(FORMATS[0]), &tensorflow.expect("converts").file);
    let peer = tensorflow.accuracy_quantized.expect("labels are classes");
    println!("TensorFlow's: int8 {peer:.4}");

    let mut found = Vec::new();
    for file in FORMATS {
        let converted = convert(&folder.join(file), &options, &()).expect("converts");
        assert_eq!(converted.samples, 256, "{file}: float models are calibrated");
        let comparison = judge(&folder, &source(file), &converted.file);
        let float = comparison.accuracy_float.expect("labels are classes");
        let int8 = comparison.accuracy_quantized.expect("labels are classes");
        println!("{file}: float {float:.4}, int8 {int8:.4}, {:?} dB", comparison.sqnr_db);
        // Keras reports 0.98611 for the float model.
        assert!((float - 355.0 / 360.0).abs() < 1e-9, "{file}: float {float}");
        assert!(int8 >= float - 0.005, "{file}: int8 {int8} is far below float, {float}");
        assert!(int8 >= peer - 0.001, "{file}: int8 {int8} is below TensorFlow's, {peer}");
        assert!(comparison.sqnr_db >= tensorflow.sqnr_db, "{file}: more noise than TensorFlow's int8");
        found.push(int8);
    }
    let (least, most) = found.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(most - least <= 0.002, "{found:?}");
}

fn data(folder: &Path, array: &str) -> String {
    format!("{}:{array}", folder.join("data.npz").display())
}

/// Compares a model with a float source on the whole test set.
fn judge(folder: &Path, source: &Graph, file: &ModelFile) -> Comparison {
    let model = file.model().expect("is valid");
    let rows = Dataset::load(&data(folder, "test_x"), &input_specs(&model)).expect("fits");
    let labels = load_labels(&data(folder, "test_y"), "").expect("labels");
    let options = Options { labels: Some(&labels), ..Options::default() };
    let comparison = compare(source, &model, &rows, &options, &()).expect("runs");
    assert_eq!(comparison.samples, 360);
    comparison
}

/// Networks of MLPerf Tiny as their authors saved them: after folding and fusing, they have the same layers,
/// work and arena as TensorFlow's int8 models.
#[test]
fn saved_networks_become_the_layers_of_tensorflows() {
    let Some(folder) = ferrolite_shared::models() else { return };
    let (resnet, kws) = ("real/pretrainedResnet_quant.tflite", "real/kws_ref_model.tflite");
    let pictures = "keras_legacy/pretrainedResnet.h5.oracle.npz";
    let sounds = "keras_legacy/kws_ref_model_savedmodel.oracle.npz";
    let networks = [
        ("keras_legacy/pretrainedResnet.h5", pictures, resnet),
        ("real/pretrainedResnet_float.tflite", pictures, resnet),
        ("keras_legacy/kws_ref_model_savedmodel", sounds, kws),
        ("real/kws_ref_model_float32.tflite", sounds, kws),
    ];
    for (float, samples, int8) in networks {
        let facts = |path: &str, calibrate| {
            let options = ConvertOptions {
                calibrate,
                calibration: Calibration::MinMax,
                target: Target::CortexM4,
                ..ConvertOptions::default()
            };
            let file = convert(&folder.join(path), &options, &()).expect("converts").file;
            let facts = Facts::of_model(&file.model().expect("is valid"));
            // Kernels are equal, too: Winograd's algorithm and packing follow from shapes, not from numbers.
            let layers: Vec<_> = facts
                .ops
                .into_iter()
                .map(|op| (op.op, op.kernel, op.macs, op.outputs, op.scratch_bytes))
                .collect();
            (layers, facts.arena_bytes)
        };
        // The authors' own rows are not available, but layers do not depend on them.
        let ours = facts(float, Some(format!("{}:in0", folder.join(samples).display())));
        assert_eq!(ours, facts(int8, None), "{float}");
        println!("{float}: {} layers, {:?} bytes of arena", ours.0.len(), ours.1);
    }
}
