//! The accuracy of int8: converts each float model of the shared collection, in every format that exists of
//! it, and compares it on whole test sets, beside TensorFlow's own int8 model. Prints the table of
//! `ACCURACY.md`:
//!
//! ```text
//! cargo run --release -p ferrolite --example accuracy [-- NAME …]
//! ```
//! NAME is the beginning of a model's name. Figures that miss the goals are listed below the table, and make
//! the command fail.

mod cases;
mod samples;

use std::path::Path;

use ferrolite::compare::{Comparison, Options, compare};
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::data::{Dataset, Labels};
use ferrolite::graph::Graph;
use ferrolite::model_file::{ModelFile, input_specs};
use ferrolite::{Error, Result, import};

use cases::{CASES, Case};
use samples::Files;

/// Points of accuracy that int8 may lose to TensorFlow's int8, to float, and to the other formats.
const TO_TENSORFLOW: f64 = 0.1;
const TO_FLOAT: f64 = 0.5;
const TO_FORMATS: f64 = 0.2;

/// The operator whose int8 kernel does not exist yet.
const WITHOUT_KERNEL: &str = "UNIDIRECTIONAL_SEQUENCE_LSTM";

/// Facts that do not fit into the table.
#[derive(Default)]
struct Notes {
    /// Models with layers that have no int8 kernel yet, and which.
    refused: Vec<String>,
    /// Goals that were missed.
    short: Vec<String>,
}

fn main() {
    let Some(folder) = ferrolite_shared::models() else { return };
    let names: Vec<String> = std::env::args().skip(1).collect();
    println!(
        "| model | formats | samples | float | int8 | TF int8, LiteRT | TF int8, TFLM | agreement | TF's | S/N | TF's |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut notes = Notes::default();
    for case in CASES {
        if !names.is_empty() && !names.iter().any(|name| case.name.starts_with(name.as_str())) {
            continue;
        }
        if let Err(error) = table(&folder, case, &mut notes) {
            notes.short.push(format!("{}: {error}", case.name));
        }
    }
    for (what, list) in [("Refused", &notes.refused), ("Falls short", &notes.short)] {
        if !list.is_empty() {
            println!("\n{what}:\n\n- {}", list.join("\n- "));
        }
    }
    if !notes.short.is_empty() {
        std::process::exit(1);
    }
}

/// Prints the rows of one model: formats that give the same figures share one.
fn table(folder: &Path, case: &Case, notes: &mut Notes) -> Result<()> {
    let made = (case.samples)(folder)?;
    let files = made.store()?;
    let first = case.files.first().ok_or_else(|| Error::input("a case without a model"))?;
    let source = import::load(&folder.join(first.1))?.graph;
    let peer = case.tensorflow.map(|path| {
        let converted = convert(&folder.join(path), &ConvertOptions::default(), &())?;
        judge(&source, &converted.file, &files, made.labels.as_ref())
    });
    let published = published(folder, case)?;
    let mut rows: Vec<(Vec<&str>, String)> = Vec::new();
    let mut scores = Vec::new();
    for (format, path) in case.files {
        let row = match ours(&folder.join(path), &files, made.labels.as_ref()) {
            Err(error) => {
                let path = format!("{}: ", folder.join(path).display());
                let what = format!("{} from {format}: {}", case.name, error.to_string().replace(&path, ""));
                // A missing kernel is a valid result; any other error is a failure.
                if what.contains(WITHOUT_KERNEL) { &mut notes.refused } else { &mut notes.short }.push(what);
                "| - | refused | | | | | | | |".to_string()
            }
            Ok(found) => {
                let peer = match &peer {
                    Some(Ok(peer)) => Some(peer),
                    Some(Err(error)) => {
                        notes
                            .short
                            .push(format!("{}: TensorFlow's int8 model does not run: {error}", case.name));
                        None
                    }
                    None => None,
                };
                notes.short.extend(
                    shortcomings(&found, peer, published)
                        .map(|what| format!("{} from {format}: {what}", case.name)),
                );
                scores.extend(found.accuracy_quantized.or(found.agreement));
                row(&found, peer, published)
            }
        };
        match rows.iter_mut().find(|(_, known)| *known == row) {
            Some((formats, _)) => formats.push(format),
            None => rows.push((vec![format], row)),
        }
    }
    let spread =
        scores.iter().fold(f64::MIN, |a, &b| a.max(b)) - scores.iter().fold(f64::MAX, |a, &b| a.min(b));
    if 100.0 * spread > TO_FORMATS {
        notes.short.push(format!("{}: formats differ by {:.2} points", case.name, 100.0 * spread));
    }
    for (formats, row) in rows {
        println!("| {} | {} {row}", case.name, formats.join(", "));
    }
    Ok(())
}

/// Converts a float model as a user would, and compares it with itself.
fn ours(path: &Path, files: &Files, labels: Option<&Labels>) -> Result<Comparison> {
    let options = ConvertOptions { calibrate: Some(files.calibration()), ..ConvertOptions::default() };
    let converted = convert(path, &options, &())?;
    judge(&import::load(path)?.graph, &converted.file, files, labels)
}

fn judge(source: &Graph, file: &ModelFile, files: &Files, labels: Option<&Labels>) -> Result<Comparison> {
    let model = file.model()?;
    let data = Dataset::load(&files.test(), &input_specs(&model))?;
    compare(source, &model, &data, &Options { labels, ..Options::default() }, &())
}

/// The figure in `accuracy.json` for TensorFlow's int8 model, run by LiteRT: a share, or for a regression the
/// mean squared error on the rows beside the model.
fn published(folder: &Path, case: &Case) -> Result<Option<f64>> {
    let Some(name) = case.published else { return Ok(None) };
    let path = folder.join("accuracy.json");
    let text =
        std::fs::read_to_string(&path).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
    let of = |figure: &serde_json::Value| figure.as_f64();
    Ok(of(&json[name]["int8_tf"]["accuracy"]).or(of(&json[name]["rows_512"]["tf_int8_mse"])))
}

/// The cells of a row after the formats.
fn row(found: &Comparison, peer: Option<&Comparison>, published: Option<f64>) -> String {
    let percent = |share: Option<f64>| share.map(|share| format!("{:.2} %", 100.0 * share));
    let figure = |accuracy: Option<f64>, mse: Option<f64>| {
        percent(accuracy).or(mse.map(|mse| format!("mse {mse:.6}"))).unwrap_or("-".into())
    };
    let published = match found.accuracy_quantized {
        Some(_) => figure(published, None),
        None => figure(None, published),
    };
    let decibels = |of: Option<&Comparison>| {
        of.and_then(|c| c.sqnr_db).map_or("-".into(), |decibels| format!("{decibels:.1} dB"))
    };
    let agreement = |of: Option<&Comparison>| percent(of.and_then(|c| c.agreement)).unwrap_or("-".into());
    [
        format!("| {}", found.samples),
        figure(found.accuracy_float, found.mse_float),
        figure(found.accuracy_quantized, found.mse_quantized),
        published,
        peer.map_or("-".into(), |peer| figure(peer.accuracy_quantized, peer.mse_quantized)),
        agreement(Some(found)),
        agreement(peer),
        decibels(Some(found)),
        format!("{} |", decibels(peer)),
    ]
    .join(" | ")
}

/// The goals that the figures miss.
fn shortcomings(
    found: &Comparison,
    peer: Option<&Comparison>,
    published: Option<f64>,
) -> impl Iterator<Item = String> {
    let mut short = Vec::new();
    let mut at_least = |what: &str, found: f64, least: f64| {
        if 100.0 * found < 100.0 * least - 1e-9 {
            short.push(format!("{what} {:.2} %, asked at least {:.2} %", 100.0 * found, 100.0 * least));
        }
    };
    if let Some((float, int8)) = found.accuracy_float.zip(found.accuracy_quantized) {
        at_least("accuracy", int8, float - TO_FLOAT / 100.0);
        let peer = published.or(peer.and_then(|peer| peer.accuracy_quantized));
        at_least("accuracy", int8, peer.unwrap_or(0.0) - TO_TENSORFLOW / 100.0);
    } else if let (Some(int8), Some(peer)) = (found.agreement, peer.and_then(|peer| peer.agreement)) {
        at_least("agreement", int8, peer - TO_TENSORFLOW / 100.0);
    }
    let mse = published.or(peer.and_then(|peer| peer.mse_quantized));
    if let Some((found, peer)) = found.mse_quantized.zip(mse).filter(|(found, peer)| found > peer) {
        short.push(format!("mean squared error {found:.6}, asked at most {peer:.6}"));
    }
    short.into_iter()
}
