//! Models of scikit-learn on its own test sets, in the integers of the device: trees give the class of each sample that
//! scikit-learn gives, and the values of regressors to six digits; the others the same class but for few samples.
//! `tests/import/sklearn/make.py` makes the models.

use std::path::{Path, PathBuf};

use ferrolite::convert::{ConvertOptions, Converted, convert};
use ferrolite::data::Dataset;
use ferrolite::data::npz::Npz;
use ferrolite::graph::DType;
use ferrolite::model_file;
use ferrolite::run::{RunOptions, RunOutput, run_host};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/import/sklearn")
}

/// The models whose names say that they are one of these.
fn models(kinds: &[&str]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let named = |path: &Path| kinds.iter().any(|kind| path.to_string_lossy().contains(kind));
    all.retain(|path| path.extension().is_some_and(|e| e == "onnx") && named(path));
    all.sort();
    assert!(all.len() >= kinds.len());
    all
}

/// Converts a model, with samples where `calibrate`, and runs its test set.
fn answers(path: &Path, calibrate: bool) -> (Converted, RunOutput) {
    let samples = path.with_extension("npz").display().to_string();
    let calibrate = calibrate.then(|| format!("{samples}:train"));
    let converted = convert(path, &ConvertOptions { calibrate, ..ConvertOptions::default() }, &()).unwrap();
    let model = converted.file.model().unwrap();
    let data = Dataset::load(&format!("{samples}:x"), &model_file::input_specs(&model)).unwrap();
    let outputs = run_host(&model, &data, &RunOptions::default(), &|| ()).unwrap();
    (converted, outputs)
}

fn column(path: &Path, name: &str) -> Option<Vec<f32>> {
    let mut arrays = Npz::open(&path.with_extension("npz")).unwrap();
    let array = arrays.read(name).ok()?;
    Some((0..array.rows()).flat_map(|row| array.row_f32(row)).collect())
}

/// The first of the largest.
fn largest(scores: &[f32]) -> usize {
    scores.iter().enumerate().fold(0, |best, (at, score)| if *score > scores[best] { at } else { best })
}

/// How many samples have another class than scikit-learn gives, and how many samples there are.
fn others(path: &Path, found: &RunOutput) -> (usize, usize) {
    let classes = column(path, "classes").unwrap();
    let other = |&(sample, class): &(usize, &f32)| largest(&found.real(sample, 0)) != *class as usize;
    (classes.iter().enumerate().filter(other).count(), classes.len())
}

#[test]
fn trees_answer_as_scikit_learn_does() {
    for path in models(&["tree", "forest", "boosting"]) {
        let (converted, found) = answers(&path, false);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (inputs, outputs) = {
            let model = converted.file.model().unwrap();
            (model_file::inputs(&model), model_file::outputs(&model))
        };
        assert_eq!(inputs[0].dtype, DType::Float32, "{name}: features are compared as they are");
        if let Some(values) = column(&path, "values") {
            let worst = values
                .iter()
                .enumerate()
                .map(|(sample, value)| (found.real(sample, 0)[0] - value).abs() / value.abs())
                .fold(0.0f32, f32::max);
            assert!(worst < 2e-6, "{name}: {worst}");
            continue;
        }
        let (others, all) = others(&path, &found);
        assert_eq!(others, 0, "{name}: {others} of {all} samples have another class");
        // Without a function behind them, scores are those of ONNX Runtime to the precision of float32.
        let scores = column(&path, "scores").unwrap();
        let width = scores.len() / all;
        let exact = outputs[0].dtype == DType::Int32;
        assert!(exact || name.contains("boosting"), "{name}");
        let bound = if exact { 2e-6 } else { 1.0 / 128.0 };
        for (sample, wanted) in scores.chunks_exact(width).enumerate() {
            for (x, y) in found.real(sample, 0).iter().zip(wanted) {
                assert!((x - y).abs() <= bound, "{name}: sample {sample} has {x}, ONNX Runtime {y}");
            }
        }
    }
}

#[test]
fn linear_models_answer_as_scikit_learn_does() {
    for path in models(&["logistic", "linear"]) {
        let (converted, found) = answers(&path, false);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let inputs = model_file::inputs(&converted.file.model().unwrap());
        assert_eq!(inputs[0].dtype, DType::Float32, "{name}: features are taken as they are");
        if let Some(values) = column(&path, "values") {
            for (sample, value) in values.iter().enumerate() {
                let x = found.real(sample, 0)[0];
                assert!(
                    (x - value).abs() < 1e-4 * value.abs(),
                    "{name}: sample {sample} has {x}, not {value}"
                );
            }
            continue;
        }
        let (others, all) = others(&path, &found);
        assert_eq!(others, 0, "{name}: {others} of {all} samples have another class");
        let scores = column(&path, "scores").unwrap();
        for (sample, wanted) in scores.chunks_exact(scores.len() / all).enumerate() {
            for (x, y) in found.real(sample, 0).iter().zip(wanted) {
                let bound = 1e-3 * y.abs().max(1.0);
                assert!((x - y).abs() <= bound, "{name}: sample {sample} has {x}, ONNX Runtime {y}");
            }
        }
    }
}

#[test]
fn names_of_classes_are_in_the_file() {
    let (converted, _) = answers(&folder().join("wine_forest.onnx"), false);
    let model = converted.file.model().unwrap();
    assert_eq!([0, 1, 2, 3].map(|class| model.names().label(class)), [Some("0"), Some("1"), Some("2"), None]);
}
