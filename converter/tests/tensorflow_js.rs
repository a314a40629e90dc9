//! Models of TensorFlow.js against its own answers (`tests/models/tfjs/make.js`).

use std::path::{Path, PathBuf};

use ferrolite::import::{ImportOptions, load, load_bytes, load_with, refuse_unsupported};
use ferrolite::reference::Executor;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/tfjs")
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

/// Holds the answers of all models of a file of answers against TensorFlow.js's; returns their number.
fn check(name: &str) -> usize {
    let text = std::fs::read_to_string(folder().join(format!("{name}.answers.json"))).unwrap();
    let oracle: Value = serde_json::from_str(&text).unwrap();
    let inputs = numbers(&oracle["inputs"]);
    let samples = oracle["shape"][0].as_u64().unwrap() as usize;
    let answers = oracle["answers"].as_object().unwrap();
    for (file, wanted) in answers {
        let imported = load(&folder().join(format!("{file}.json"))).unwrap();
        assert_eq!(imported.format, "TensorFlow.js");
        refuse_unsupported(&imported.graph).unwrap();
        let executor = Executor::new(&imported.graph).unwrap();
        let wanted = numbers(wanted);
        let size = wanted.len() / samples;
        for (sample, wanted) in inputs.chunks(inputs.len() / samples).zip(wanted.chunks(size)) {
            let found = executor.run(&[sample]).unwrap();
            assert_eq!(found[0].len(), size, "{file}");
            for (found, wanted) in found[0].iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-5, "{file}: {found} {wanted}");
            }
        }
    }
    answers.len()
}

#[test]
fn models_answer_as_in_the_browser() {
    assert_eq!((check("picture"), check("sound"), check("graph")), (4, 1, 1));
    let imported = load(&folder().join("graph.json")).unwrap();
    let name = |id| imported.graph.value(id).name.as_str();
    assert_eq!((name(imported.graph.inputs[0]), name(imported.graph.outputs[0])), ("image", "scores"));
}

#[test]
fn another_format_is_told() {
    let home = tempfile::tempdir().unwrap();
    for file in ["sound-0.bin", "sound-1.bin"] {
        std::fs::copy(folder().join(file), home.path().join(file)).unwrap();
    }
    let mut model: Value =
        serde_json::from_slice(&std::fs::read(folder().join("sound.json")).unwrap()).unwrap();
    let path = home.path().join("model.json");
    let mut warnings = |format: Value| {
        model["format"] = format;
        std::fs::write(&path, model.to_string()).unwrap();
        load(&path).unwrap().warnings
    };
    assert!(warnings("layers-model".into()).is_empty() && warnings(Value::Null).is_empty());
    for format in ["bogus", "graph-model"] {
        let found = warnings(format.into());
        let words = format!("`format` is \"{format}\", but it holds a layers-model");
        assert!(found.len() == 1 && found[0].contains(&words), "{found:?}");
    }
}

#[test]
fn what_is_missing_or_damaged_is_told() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.json");
    let whole: Value = serde_json::from_slice(&std::fs::read(folder().join("sound.json")).unwrap()).unwrap();
    let refused = |model: &Value, words: &str| {
        std::fs::write(&path, model.to_string()).unwrap();
        let error = load_with(&path, &ImportOptions::default()).unwrap_err();
        assert!(error.message.contains(words) && !error.help.is_empty(), "{words}: {error:?}");
        assert!(error.message.contains("model.json"), "{error:?}");
    };
    refused(&whole, "`sound-0.bin` cannot be read");
    for file in ["sound-0.bin", "sound-1.bin"] {
        std::fs::copy(folder().join(file), home.path().join(file)).unwrap();
    }
    std::fs::write(&path, whole.to_string()).unwrap();
    load(&path).unwrap();
    let mut model = whole.clone();
    model["weightsManifest"][0]["paths"][0] = "../secret".into();
    refused(&model, "no file beside the model");
    model["weightsManifest"][0]["paths"] = serde_json::json!(["sound-0.bin"]);
    refused(&model, "bytes are left");
    model["weightsManifest"][0]["paths"] = serde_json::json!(["sound-0.bin", "sound-1.bin", "sound-1.bin"]);
    refused(&model, "belong to no array");
    let mut model = whole.clone();
    model["weightsManifest"][0]["weights"][0]["shape"] = serde_json::json!([4, 2, 1, 4]);
    refused(&model, "follows from the layer");
    model["weightsManifest"][0]["weights"][0]["dtype"] = "string".into();
    refused(&model, "elements of string");
    model.as_object_mut().unwrap().remove("weightsManifest");
    refused(&model, "without its weights");
    let mut model = whole.clone();
    model["modelTopology"] = Value::Null;
    refused(&model, "no `modelTopology`");
    let bytes = std::fs::read(folder().join("sound.json")).unwrap();
    let said = |text: &[u8], words: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let error = load(&path).unwrap_err();
        assert!(words.iter().all(|word| error.message.contains(word)), "{words:?}: {error:?}");
        assert!(error.message.contains("model.json") && !error.help.is_empty(), "{error:?}");
    };
    said(&vec![b'['; 100_000], &["is not readable JSON", "line 1"]);
    said(&bytes[..bytes.len() / 2], &["is not readable JSON", "line"]);
    said(b"{\n  \"a\": ?}", &["is not readable JSON", "line 2 column"]);
    for text in ["{}", "[]", "7", r#"{"labels": ["a", "b"]}"#] {
        said(text.as_bytes(), &["no model of TensorFlow.js", "`modelTopology`"]);
    }
    said(br#"{"class_name": "Sequential", "config": {}}"#, &["Keras without its weights"]);
    said(b"", &["the file is empty"]);
    for length in (0..bytes.len()).step_by(7) {
        assert!(load_bytes("model.json", &bytes[..length]).is_err());
    }
}
