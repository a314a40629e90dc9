//! Every operator against TFLM's own bytes: `tests/vectors/<operator>/` at the workspace root.

use std::fs;
use std::path::{Path, PathBuf};

use ferrolite_runtime::{Interpreter, ops};
use ferrolite_schema::Model;

use crate::aligned::AlignedBuf;
use crate::data::npz::Npz;
use crate::emit::{Options, compile};
use crate::import;

#[test]
fn operators_answer_as_tflm_does() {
    let mut failures = Vec::new();
    let mut cases = 0;
    for (name, _) in super::LIST.iter().flat_map(|(_, operators)| *operators) {
        let operator = name.to_lowercase();
        for model in models(&operator) {
            cases += 1;
            if let Err(fault) = check(&model) {
                let name = model.file_stem().unwrap().to_string_lossy().into_owned();
                failures.push(format!("{operator}/{name}: {fault}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {cases} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn models(operator: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(operator);
    let mut models: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tflite"))
        .collect();
    models.sort();
    assert!(!models.is_empty(), "{} holds models", folder.display());
    models
}

/// Converts one model, runs all its samples one after the other in one arena, and compares.
fn check(path: &Path) -> Result<(), String> {
    let imported = import::load(path).map_err(|e| e.to_string())?;
    let file = compile(&imported.graph, &Options::default()).map_err(|e| e.to_string())?;
    let file = AlignedBuf::from_bytes(&file.bytes);
    let model = Model::from_bytes(&file).map_err(|e| e.to_string())?;
    let mut arena = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).map_err(|e| e.to_string())?;
    let mut answers = Npz::open(&path.with_extension("npz")).map_err(|e| e.to_string())?;
    let mut arrays = |kind: &str, count: usize| -> Result<Vec<_>, String> {
        (0..count).map(|i| answers.read(&format!("{kind}{i}")).map_err(|e| e.to_string())).collect()
    };
    let inputs = arrays("in", model.inputs().len())?;
    let outputs = arrays("out", model.outputs().len())?;
    for sample in 0..outputs[0].rows() {
        for (index, array) in inputs.iter().enumerate() {
            let input = net.input_bytes_mut(index).map_err(|e| e.to_string())?;
            input.copy_from_slice(array.row_bytes(sample));
        }
        net.invoke().map_err(|e| e.to_string())?;
        for (index, array) in outputs.iter().enumerate() {
            let (found, expected) =
                (net.output_bytes(index).map_err(|e| e.to_string())?, array.row_bytes(sample));
            if found != expected {
                let at = found.iter().zip(expected).position(|(a, b)| a != b);
                return Err(format!("sample {sample}, output {index} differs at byte {at:?}"));
            }
        }
    }
    Ok(())
}
