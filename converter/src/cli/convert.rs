//! `ferrolite convert`: from a trained model to a file.

use ferrolite_runtime::Model;
use ferrolite_schema::{Rounding, Target};
use serde_json::json;

use super::args::ConvertArgs;
use super::files::Outputs;
use super::progress::Bars;
use super::{Answer, refuse_if_strict, warnings};
use crate::bindings;
use crate::compare::{Options, compare};
use crate::convert::{ConvertOptions, Converted, convert, convert_to_tflite};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::import;
use crate::model_file::input_specs;
use crate::quantize::{Io, Trial};
use crate::report::html::{self, Study};
use crate::report::text;

pub fn execute(args: &ConvertArgs) -> Result<Answer> {
    let paths = [Some(&args.output), args.rust.as_ref(), args.c.as_ref(), args.report.as_ref()];
    let mut files = Outputs::check(paths.into_iter().flatten().map(|p| p.as_path()))?;
    let options = ConvertOptions {
        import: args.source.options(),
        calibrate: args.calibrate.clone(),
        calibration: args.calibration,
        target: args.target,
        io: if args.io == "float" { Io::Float } else { Io::Int8 },
        rounding: args.rounding,
        flash_budget: args.flash_budget,
        ram_budget: args.ram_budget,
    };
    let bars = Bars::new(args.json);
    let tflite = args.output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tflite"));
    let (converted, written) = if tflite {
        refuse_with_tflite(args)?;
        convert_to_tflite(&args.model, &options, &bars)?
    } else {
        let converted = convert(&args.model, &options, &bars)?;
        let bytes = converted.file.bytes().to_vec();
        (converted, bytes)
    };
    refuse_if_strict(args.strict, &converted.warnings)?;
    let model = converted.file.model()?;

    files.stage(&args.output, &written)?;
    if let Some(path) = &args.rust {
        files.stage(path, bindings::rust(&model).as_bytes())?;
    }
    if let Some(path) = &args.c {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        files.stage(path, bindings::c(&model, &stem).as_bytes())?;
    }
    if let Some(path) = &args.report {
        let page = page(args, &converted, &model, &bars)?;
        files.stage(path, page.as_bytes())?;
    }
    files.commit()?;

    let facts = Facts::of_model(&model);
    if args.json {
        let mut object = serde_json::to_value(&facts)
            .map_err(|e| Error::input(format!("the result cannot be written as JSON: {e}")))?;
        if tflite {
            object["model_bytes"] = json!(written.len());
        }
        object["output"] = json!(args.output.display().to_string());
        object["format"] = json!(converted.format);
        object["calibration_samples"] = json!(converted.samples);
        object["calibration"] = json!(converted.calibration);
        let trial = |trial: &Trial| json!({"method": trial.options.to_string(), "error": trial.error, "agreement": trial.agreement});
        object["trials"] = converted.trials.iter().map(trial).collect();
        object["notes"] = json!(converted.notes);
        object["warnings"] = json!(converted.warnings);
        return Ok(Answer::Json(object));
    }
    Ok(Answer::Text(describe(args, &converted, written.len())?))
}

/// The page about a conversion: with calibration samples, it also says how they fare.
fn page(args: &ConvertArgs, converted: &Converted, model: &Model<'_>, bars: &Bars) -> Result<String> {
    let source = import::load_with(&args.model, &args.source.options())?.graph;
    let data = args.calibrate.as_deref().filter(|_| converted.samples > 0);
    let data = data.map(|data| Dataset::load(data, &input_specs(model))).transpose()?;
    let comparison = data.as_ref().map(|data| compare(&source, model, data, &Options::default(), bars));
    let comparison = comparison.transpose()?;
    let study = Study {
        source: Some(&source),
        data: data.as_ref(),
        comparison: comparison.as_ref(),
        samples: "calibration",
        notes: &converted.notes,
    };
    html::page(model, &study)
}

/// Words that say something of `.ferro` files only.
fn refuse_with_tflite(args: &ConvertArgs) -> Result<()> {
    let words = [
        (args.rust.is_some(), "--rust"),
        (args.c.is_some(), "--c"),
        (args.target != Target::Portable, "--target"),
        (args.rounding != Rounding::Double, "--rounding"),
        (args.ram_budget.is_some(), "--ram-budget"),
    ];
    match words.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, word)) => Err(Error::usage(format!("{word} cannot be said of a .tflite file"))
            .help("leave it out, or write a .ferro file")),
    }
}

fn describe(args: &ConvertArgs, converted: &Converted, bytes: usize) -> Result<String> {
    let model = converted.file.model()?;
    let macs =
        crate::model_file::layers(&model).iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    let mut out = format!("{} ({}) → {}\n", args.model.display(), converted.format, args.output.display());
    let mut lines = vec![
        ("file", format!("{} bytes", text::count(bytes))),
        ("arena", format!("{} bytes", text::count(model.arena_bytes()))),
        ("layers", text::count(model.ops().len())),
        ("work", format!("{} multiply-accumulates", text::thousands(macs))),
    ];
    if converted.samples > 0 {
        let by = converted.calibration.iter().map(|method| format!(", {method}")).collect::<String>();
        lines.push(("calibrated", format!("on {} samples{by}", text::count(converted.samples))));
    }
    for (name, value) in lines {
        out += &format!("  {name:<10} {value}\n");
    }
    for note in &converted.notes {
        out += &format!("  - {note}\n");
    }
    out += &warnings(&converted.warnings);
    for path in [&args.rust, &args.c, &args.report].into_iter().flatten() {
        out += &format!("wrote {}\n", path.display());
    }
    Ok(out)
}
