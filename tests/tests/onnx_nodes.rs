//! Compares the node tests of the `onnx` package with the float reference. Each is a model of one node for an
//! operator and its options, with the result that its definition gives. A refusal is not a failure here, a
//! wrong result is.
//!
//! `tests/import/onnx/nodes.py` writes the tests into a folder, which `FERROLITE_ONNX_NODES` names. Without
//! it, they are skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ferrolite::data::npz::Npz;
use ferrolite::graph::{DType, Value};
use ferrolite::import;
use ferrolite::reference::Executor;

/// Tests for which the result here is that of ONNX Runtime, not that of the definition: if scales are given,
/// `align_corners` uses either the sizes of the result, or the sizes before they are rounded.
const ALIKE_ONNX_RUNTIME: [&str; 2] = [
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
];

/// Largest relative error: bfloat16 has 8 bits.
const TOLERANCE: f32 = 4e-3;

/// That of results which are computed in bfloat16 step by step.
const TOLERANCE_BF16: f32 = 1.2e-2;

/// The result of a test.
enum Outcome {
    Right,
    Wrong(String),
    Refused(String),
}

#[test]
fn no_node_test_is_answered_wrong() {
    let Some(folder) = std::env::var_os("FERROLITE_ONNX_NODES").map(PathBuf::from) else {
        println!("skipped: FERROLITE_ONNX_NODES names no folder");
        return;
    };
    let mut models: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    models.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    models.sort();
    let (mut right, mut refused, mut wrong) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    for path in &models {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // Runs the test as it is, and with all inputs but the first one known, since most of these operators
        // are used like that.
        let outcome = match run(path, path) {
            Outcome::Refused(_) => run(&path.with_extension("constant"), path),
            outcome => outcome,
        };
        match outcome {
            Outcome::Right => right += 1,
            Outcome::Refused(why) => *refused.entry(why).or_default() += 1,
            Outcome::Wrong(_) if ALIKE_ONNX_RUNTIME.contains(&name.as_str()) => right += 1,
            Outcome::Wrong(how) => wrong.push(format!("{name}: {how}")),
        }
    }
    for (why, count) in &refused {
        println!("refused {count}: {why}");
    }
    println!(
        "{right} right, {} wrong, {} refused of {}",
        wrong.len(),
        refused.values().sum::<usize>(),
        models.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Imports a model, and compares the float reference's results for the samples beside `path`.
fn run(model: &Path, path: &Path) -> Outcome {
    let bytes = match std::fs::read(model) {
        Ok(bytes) => bytes,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let imported = match import::load_bytes("net.onnx", &bytes) {
        Ok(imported) => imported,
        Err(error) => return Outcome::Refused(shortened(&error.message, path)),
    };
    if let Err(error) = import::refuse_unsupported(&imported.graph) {
        return Outcome::Refused(shortened(&error.message, path));
    }
    let graph = &imported.graph;
    let samples = path.with_extension("npz");
    if !samples.exists() {
        return Outcome::Refused("no tensors of numbers".into());
    }
    let Ok(mut samples) = Npz::open(&samples) else {
        return Outcome::Wrong("its samples cannot be read".into());
    };
    let mut tensor = |name: String| -> Option<Vec<f32>> {
        let array = samples.read(&name).ok()?;
        Some((0..array.rows()).flat_map(|row| array.row_f32(row)).collect())
    };
    let mut inputs = Vec::new();
    for (i, id) in graph.inputs.iter().enumerate() {
        let Some(data) = tensor(format!("in{i}")) else { return Outcome::Wrong(format!("no sample in{i}")) };
        inputs.push(reals(graph.value(*id), &data));
    }
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let found = match Executor::new(graph).and_then(|executor| executor.run(&inputs)) {
        Ok(found) => found,
        Err(error) => return Outcome::Refused(shortened(&error.message, path)),
    };
    for (i, (found, id)) in found.iter().zip(&graph.outputs).enumerate() {
        let Some(wanted) = tensor(format!("out{i}")) else {
            return Outcome::Wrong(format!("no sample out{i}"));
        };
        let value = graph.value(*id);
        let found = stored(value, found);
        if found.len() != wanted.len() {
            return Outcome::Wrong(format!(
                "output {i} of shape {:?}, not of {} elements",
                value.shape,
                wanted.len()
            ));
        }
        // An integer may be off by one if a real number lies between two integers.
        let step = if value.quantization.is_some() && value.dtype != DType::Int32 { 1.0 } else { 0.0 };
        let steps = path.to_string_lossy().contains("_bf16");
        let tolerance = if steps { TOLERANCE_BF16 } else { TOLERANCE };
        for (&x, &y) in found.iter().zip(&wanted) {
            let same =
                x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= step + 1e-5 + tolerance * y.abs();
            if !same {
                return Outcome::Wrong(format!("output {i} has {x}, right is {y}"));
            }
        }
    }
    Outcome::Right
}

/// The real numbers that stored numbers represent.
fn reals(value: &Value, stored: &[f32]) -> Vec<f32> {
    match value.quantization.as_ref().and_then(|q| q.tensor()) {
        Some((scale, zero)) => stored.iter().map(|x| scale * (x - zero as f32)).collect(),
        None => stored.to_vec(),
    }
}

/// The stored numbers that represent real numbers. Scores of trees are int32 here and real numbers in the tests.
fn stored(value: &Value, reals: &[f32]) -> Vec<f32> {
    if value.dtype == DType::Int32 {
        return reals.to_vec();
    }
    let (low, high) = if value.dtype == DType::UInt8 { (0.0, 255.0) } else { (-128.0, 127.0) };
    match value.quantization.as_ref().and_then(|q| q.tensor()) {
        Some((scale, zero)) => {
            reals.iter().map(|x| ((x / scale).round_ties_even() + zero as f32).clamp(low, high)).collect()
        }
        None => reals.to_vec(),
    }
}

/// A message without the file's path and the layers' names.
fn shortened(message: &str, path: &Path) -> String {
    let text = message.replace(&path.display().to_string(), "");
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = text.replace(&name, "").replace(|c: char| c.is_ascii_digit(), "");
    text.chars().take(160).collect()
}
