//! The JSON manifest of an ESPHome wake word (`micro_wake_word`).
//!
//! ```json
//! {"type": "micro", "wake_word": "okay nabu", "model": "okay_nabu.tflite", "version": 2,
//!  "micro": {"probability_cutoff": 0.97, "sliding_window_size": 5, "feature_step_size": 10, "tensor_arena_size": 26080}}
//! ```
//! Version 1 has `sliding_window_average_size` and no arena.

use serde::Serialize;
use serde_json::Value;

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WakeWord {
    /// The words.
    pub wake_word: String,
    /// The model's file: a path from the manifest's folder, or an address.
    #[serde(skip)]
    pub model: String,
    /// The mean of the last probabilities, 0 to 1, above which the words were said.
    pub probability_cutoff: Option<f64>,
    /// Number of probabilities in that mean.
    pub sliding_window_size: Option<u64>,
    /// Milliseconds from one row of features to the next.
    pub feature_step_size: Option<u64>,
    /// Bytes of TFLM's arena.
    pub tensor_arena_size: Option<u64>,
}

/// Reads a manifest; nothing where the text is none. Sentences say what it has and should not.
pub(super) fn read(text: &str) -> Option<(WakeWord, Vec<String>)> {
    let json: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let micro = json.get("micro").filter(|micro| micro.is_object())?;
    let model = json.get("model")?.as_str()?.to_string();
    let mut unclear = Vec::new();
    let mut number = |keys: &[&str], least: f64, most: f64| {
        let (key, value) = keys.iter().find_map(|key| micro.get(*key).map(|value| (key, value)))?;
        let found = value.as_f64().filter(|number| (least..=most).contains(number));
        if found.is_none() {
            unclear.push(format!("`{key}` is {value}, expected is a number from {least} to {most}"));
        }
        found
    };
    let whole = f64::from(u32::MAX);
    let wake_word = WakeWord {
        probability_cutoff: number(&["probability_cutoff"], 0.0, 1.0),
        sliding_window_size: number(&["sliding_window_size", "sliding_window_average_size"], 1.0, 1000.0)
            .map(|number| number as u64),
        feature_step_size: number(&["feature_step_size"], 1.0, 1000.0).map(|number| number as u64),
        tensor_arena_size: number(&["tensor_arena_size"], 1.0, whole).map(|number| number as u64),
        wake_word: json.get("wake_word").and_then(Value::as_str).unwrap_or_default().to_string(),
        model,
    };
    Some((wake_word, unclear))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_of_both_versions_are_read() {
        let (v2, unclear) = read(
            r#"{"type": "micro", "wake_word": "okay nabu", "model": "okay_nabu.tflite", "version": 2,
                "micro": {"probability_cutoff": 0.97, "sliding_window_size": 5, "feature_step_size": 10,
                          "tensor_arena_size": 26080, "minimum_esphome_version": "2024.7.0"}}"#,
        )
        .unwrap();
        assert_eq!((v2.probability_cutoff, v2.sliding_window_size), (Some(0.97), Some(5)));
        assert_eq!((v2.feature_step_size, v2.tensor_arena_size), (Some(10), Some(26080)));
        assert!(unclear.is_empty());
        let (v1, unclear) = read(
            r#"{"model": "a.tflite", "micro": {"probability_cutoff": 5, "sliding_window_average_size": 10}}"#,
        )
        .unwrap();
        assert_eq!(
            (v1.sliding_window_size, v1.tensor_arena_size, v1.probability_cutoff),
            (Some(10), None, None)
        );
        assert!(unclear[0].contains("probability_cutoff") && unclear[0].contains('5'), "{unclear:?}");
        for other in ["", "[]", "{\"model\": \"x\"}", "{\"micro\": {}}", "{\"micro\": {}, \"model\": 3}", "{"]
        {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
