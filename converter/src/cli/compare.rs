//! `ferrolite compare`: compares a file with the model that it was made from.

use std::path::Path;

use super::args::CompareArgs;
use super::bars::Bars;
use super::files::Outputs;
use super::reads::Reads;
use super::{Printed, refuse_if_strict, remarks};
use crate::compare::pairs::input_names;
use crate::compare::{self, Answer as Class, Comparison, Options, WorstSample};
use crate::data::{self, Dataset, first_layers, load_labels};
use crate::error::{Error, Result};
use crate::import;
use crate::model_file::{self, ModelFile};
use crate::report::html::{self, Study};
use crate::text::{self, Column};

/// Samples that the text lists.
const WORST: usize = 5;

/// Layers that the text lists.
const LAYERS: usize = 12;

pub fn execute(args: &CompareArgs) -> Result<Printed> {
    let reads = Reads::default().file(&args.file).model(&args.source);
    let reads = reads.data(std::iter::once(&args.data).chain(&args.labels));
    let mut files = Outputs::check(args.report.iter().map(|p| p.as_path()), reads, args.force)?;
    let mut file = ModelFile::read(&args.file)?;
    let mut options = args.source_options.options();
    if let Some(name) = &args.entry {
        file = file.with_entry(Some(name.clone()));
        options.signature = Some(name.clone());
    }
    // The signature that is asked for is a program of the file, if it has several, else its first ones are compared.
    if let Some(name) =
        options.signature.as_ref().filter(|name| file.entries().is_ok_and(|all| all.contains(name)))
    {
        file = file.with_entry(Some(name.clone()));
    }
    let model = file.model()?;
    let imported = match import::entries(&args.source, &options)?.into_iter().next() {
        Some((_, first)) => first,
        None => import::load_with(&args.source, &options)?,
    };
    let source = imported.graph;
    let settings = data::Options {
        scale: args.scale,
        names: input_names(&source, &model),
        ranges: model_file::input_ranges(&model),
        wants: first_layers::wants(&source),
    };
    let data = Dataset::load_with(&args.data, &model_file::input_specs(&model), &settings)?;
    let labels = match &args.labels {
        Some(labels) => Some(load_labels(labels, &args.data)?),
        None => data.labels().cloned(),
    };

    let boards = super::distinct(&args.boards)?;
    let mut comparisons = Vec::new();
    for &board in &boards {
        let options = Options { labels: labels.as_ref(), board };
        comparisons.push(compare::compare(&source, &model, &data, &options, &Bars::new(args.json))?);
    }
    let mut comparison = comparisons.remove(0);
    for (board, other) in boards.iter().skip(1).zip(&comparisons) {
        same_figures((boards[0], &comparison), (board, other))?;
    }
    if !model.source_hash().is_empty() && *model.source_hash() != imported.source_hash {
        comparison.notes.push(format!(
            "{} is not the file that {} was made from: they are compared as if they were the same network",
            args.source.display(),
            args.file.display()
        ));
    }
    comparison.notes.extend(data.notes().iter().cloned());
    comparison.warnings.extend(imported.warnings);
    for outside in data.outside(&settings.ranges)? {
        outside.tell(&mut comparison.notes, &mut comparison.warnings);
    }
    refuse_if_strict(args.strict, &comparison.warnings)?;
    if let Some(path) = &args.report {
        let study = Study {
            source: Some(&source),
            data: Some(&data),
            comparison: Some(&comparison),
            samples: "test",
            notes: &comparison.notes,
            warnings: &comparison.warnings,
            ..Study::default()
        };
        files.stage(path, html::page(&model, &study)?.as_bytes())?;
    }
    files.commit()?;
    if args.json {
        if boards.len() == 1 {
            return Printed::json(&comparison);
        }
        let of = |board: &&str| -> Result<serde_json::Value> {
            let mut object = match Printed::json(&comparison)? {
                Printed::Json(object) => object,
                Printed::Text(text) => text.into(),
            };
            object["board"] = serde_json::json!(board);
            Ok(object)
        };
        let objects = boards.iter().map(of).collect::<Result<Vec<_>>>()?;
        let (notes, warnings) = (&comparison.notes, &comparison.warnings);
        return Ok(Printed::Json(
            serde_json::json!({ "boards": objects, "notes": notes, "warnings": warnings }),
        ));
    }
    let mut out = String::new();
    if boards.len() > 1 {
        let columns =
            [Column::Left("board"), Column::Right("signal to noise"), Column::Right("accuracy, quantized")];
        let row = |board: &&str| {
            vec![
                board.to_string(),
                text::decibels(comparison.sqnr_db),
                text::percent(comparison.accuracy_quantized),
            ]
        };
        out += &format!("{}\n\n", text::table(&columns, boards.iter().map(row)));
    }
    Ok(Printed::Text(out + &describe(&comparison, &boards.join(", "), args.report.as_deref())))
}

/// Refuses boards whose answers differ. What is compared with the float model differs where they do.
fn same_figures((first, wanted): (&str, &Comparison), (board, found): (&str, &Comparison)) -> Result<()> {
    let figures = |comparison: &Comparison| {
        let outputs = comparison
            .outputs
            .iter()
            .map(|output| (output.sqnr_db, output.max_abs_error, output.mse_quantized));
        (comparison.max_abs_error, comparison.mse_quantized, outputs.collect::<Vec<_>>())
    };
    let layers =
        |comparison: &Comparison| comparison.layers.iter().map(|layer| layer.sqnr_db).collect::<Vec<_>>();
    // A board without room for what the layers answer reports none.
    let both = !wanted.layers.is_empty() && !found.layers.is_empty();
    if figures(wanted) == figures(found) && !(both && layers(wanted) != layers(found)) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{board} answers otherwise than {first}: signal to noise {} there, {} here",
        text::decibels(found.sqnr_db),
        text::decibels(wanted.sqnr_db)
    )))
}

fn describe(comparison: &Comparison, board: &str, report: Option<&Path>) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.6}"));
    let mut out = format!("{} samples, quantized model on {board}\n", text::count(comparison.samples));
    let lines = [
        ("accuracy, float", text::percent(comparison.accuracy_float)),
        ("accuracy, quantized", text::percent(comparison.accuracy_quantized)),
        ("top-5 accuracy, float", text::percent(comparison.top5_float)),
        ("top-5 accuracy, quantized", text::percent(comparison.top5_quantized)),
        ("agreement", text::percent(comparison.agreement)),
        ("mean squared error, float", number(comparison.mse_float)),
        ("mean squared error, quantized", number(comparison.mse_quantized)),
        ("signal to noise", text::decibels(comparison.sqnr_db)),
        ("largest error", number(Some(comparison.max_abs_error))),
    ];
    for (name, value) in lines.into_iter().filter(|(_, value)| value != "-") {
        out += &format!("  {name:<30} {value:>12}\n");
    }
    if comparison.outputs.len() > 1 {
        out += &format!("\n{}\n", outputs(comparison));
    }
    if !comparison.layers.is_empty() {
        out += &format!("\n{}\n", layers(comparison));
    }
    out += &confusion(comparison).map_or(String::new(), |line| format!("\n{line}\n"));
    let changed: Vec<&WorstSample> = comparison.worst.iter().filter(|w| w.float != w.quantized).collect();
    if !changed.is_empty() {
        out += &format!("\n{}\n", worst(&changed));
    }
    out += &remarks(&comparison.notes, &comparison.warnings);
    if let Some(path) = report {
        out += &format!("wrote {}\n", path.display());
    }
    out
}

/// A table of the outputs.
fn outputs(comparison: &Comparison) -> String {
    let columns = [
        Column::Left("output"),
        Column::Right("signal to noise"),
        Column::Right("largest error"),
        Column::Right("agreement"),
        Column::Right("accuracy, float"),
        Column::Right("accuracy, quantized"),
        Column::Right("mean squared error, float"),
        Column::Right("mean squared error, quantized"),
    ];
    let number = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.6}"));
    let rows = comparison.outputs.iter().map(|output| {
        vec![
            text::layer(&output.name),
            text::decibels(output.sqnr_db),
            number(Some(output.max_abs_error)),
            text::percent(output.agreement),
            text::percent(output.accuracy_float),
            text::percent(output.accuracy_quantized),
            number(output.mse_float),
            number(output.mse_quantized),
        ]
    });
    text::table(&columns, rows)
}

/// A table of the layers that cost most; if there is room, layers that round nothing follow.
fn layers(comparison: &Comparison) -> String {
    let columns = [
        Column::Left("layer, most costly first"),
        Column::Left("operator"),
        Column::Right("alone"),
        Column::Right("share"),
        Column::Right("here"),
    ];
    let inputs = comparison.inputs.iter().map(|input| {
        let (alone, share) = (text::decibels(input.alone_sqnr_db), text::share(input.alone_share));
        (input.alone_sqnr_db, vec![text::layer(&input.name), "input".into(), alone, share, "-".into()])
    });
    let layers = comparison.layers.iter().map(|layer| {
        let row = vec![
            text::layer(&layer.name),
            layer.op.clone(),
            text::decibels(layer.alone_sqnr_db),
            text::share(layer.alone_share),
            text::decibels(layer.sqnr_db),
        ];
        (layer.alone_sqnr_db, row)
    });
    let mut rows: Vec<(Option<f64>, Vec<String>)> = inputs.chain(layers).collect();
    let key = |cost: &Option<f64>| cost.unwrap_or(f64::INFINITY);
    rows.sort_by(|(a, _), (b, _)| a.is_none().cmp(&b.is_none()).then(key(a).total_cmp(&key(b))));
    let more = match rows.len().saturating_sub(LAYERS) {
        0 => String::new(),
        more => format!("and {more} more; --json and --report OUT.html list all\n"),
    };
    rows.truncate(LAYERS);
    let table = text::table(&columns, rows.into_iter().map(|(_, row)| row));
    format!(
        "{table}\n{more}alone: signal to noise of the output when only this is quantized; here: of the layer itself"
    )
}

/// The classes that are confused most often, in one line.
fn confusion(comparison: &Comparison) -> Option<String> {
    let counts = comparison.confusion.as_ref()?;
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    for (right, row) in counts.iter().enumerate() {
        pairs.extend(
            row.iter().enumerate().filter(|&(answer, _)| answer != right).map(|(a, &n)| (n, right, a)),
        );
    }
    pairs.retain(|&(count, ..)| count > 0);
    pairs.sort_by_key(|&(count, right, answer)| (std::cmp::Reverse(count), right, answer));
    let most: Vec<String> =
        pairs.iter().take(WORST).map(|(n, right, answer)| format!("{right} as {answer} ({n})")).collect();
    (!most.is_empty()).then(|| format!("confused most: {}", most.join(", ")))
}

fn worst(samples: &[&WorstSample]) -> String {
    let columns = [
        Column::Right("sample"),
        Column::Right("expected"),
        Column::Right("float"),
        Column::Right("quantized"),
        Column::Right("float score"),
        Column::Right("quantized score"),
    ];
    let rows = samples.iter().take(WORST).map(|worst| {
        // A model that answers with a number has that number as its score.
        let score = |score: f32| match worst.quantized {
            Class::Class(_) => format!("{score:.4}"),
            Class::Value(_) => "-".into(),
        };
        vec![
            worst.sample.to_string(),
            worst.expected.map_or("-".into(), answer),
            answer(worst.float),
            answer(worst.quantized),
            score(worst.score_float),
            score(worst.score_quantized),
        ]
    });
    text::table(&columns, rows)
}

fn answer(answer: Class) -> String {
    match answer {
        Class::Class(class) => class.to_string(),
        Class::Value(value) => format!("{value:.4}"),
    }
}
