//! `ferrolite compare`: a file against the model that it was made from.

use std::path::Path;

use super::Answer;
use super::args::CompareArgs;
use super::files::Outputs;
use super::on_board::{self, Job};
use super::progress::Progress;
use crate::compare::{self, Comparison};
use crate::data::{Dataset, load_labels};
use crate::error::Result;
use crate::import;
use crate::report::text::{self, Column};

use crate::model_file::{self, ModelFile};

pub fn execute(args: &CompareArgs) -> Result<Answer> {
    let file = ModelFile::read(&args.file)?;
    let model = file.model()?;
    let source = import::load_with(&args.source, &args.source_options.options())?.graph;
    let data = Dataset::load(&args.data, &model_file::input_specs(&model))?;
    let labels = args.labels.as_deref().map(|labels| load_labels(labels, &args.data)).transpose()?;
    let mut files = Outputs::check(args.report.iter().map(|p| p.as_path()))?;

    let progress = Progress::new("reference", data.len(), args.json);
    let float = compare::run_float(&source, &data, &|| progress.step())?;
    drop(progress);
    let job = Job { board: &args.board, sequence: false, layers: false, quiet: args.json };
    let (quantized, _) = on_board::run(&model, &data, &job)?;
    let mut comparison = compare::compare_outputs(&float, &quantized, labels.as_ref())?;
    comparison.layers = compare::compare_layers(&source, &model, &data)?;

    if let Some(path) = &args.report {
        let page = crate::report::html::page(&model, Some(&comparison));
        files.stage(path, page.as_bytes())?;
    }
    files.commit()?;
    if args.json {
        return Answer::json(&comparison);
    }
    Ok(Answer::Text(describe(&comparison, &args.board, args.report.as_deref())))
}

fn describe(comparison: &Comparison, board: &str, report: Option<&Path>) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.6}"));
    let mut out = format!("{} samples, quantized model on {board}\n", text::count(comparison.samples));
    let lines = [
        ("accuracy, float", text::percent(comparison.accuracy_float)),
        ("accuracy, quantized", text::percent(comparison.accuracy_quantized)),
        ("agreement", text::percent(comparison.agreement)),
        ("mean squared error, float", number(comparison.mse_float)),
        ("mean squared error, quantized", number(comparison.mse_quantized)),
        ("signal to noise", text::decibels(comparison.sqnr_db)),
        ("largest error", number(Some(comparison.max_abs_error))),
    ];
    for (name, value) in lines.into_iter().filter(|(_, value)| value != "-") {
        out += &format!("  {name:<30} {value:>12}\n");
    }
    if !comparison.layers.is_empty() {
        let columns = [Column::Left("layer"), Column::Left("operator"), Column::Right("signal to noise")];
        let layers = comparison.layers.iter();
        let rows = layers.map(|l| vec![text::layer(&l.name), l.op.clone(), text::decibels(l.sqnr_db)]);
        out += &format!("\n{}\n", text::table(&columns, rows));
    }
    if let Some(path) = report {
        out += &format!("wrote {}\n", path.display());
    }
    out
}
