//! `ferrolite convert`: from a trained model to a file.

use std::sync::Mutex;

use serde_json::json;

use super::Answer;
use super::args::ConvertArgs;
use super::files::Outputs;
use super::inspect::facts;
use super::progress::Progress;
use crate::bindings;
use crate::convert::{ConvertOptions, Converted, Follow, convert};
use crate::error::{Error, Result};
use crate::quantize::{Io, Trial};
use crate::report::{html, text};

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
    let converted = convert(&args.model, &options, &Bar { quiet: args.json, bar: Mutex::new(None) })?;
    let model = converted.file.model()?;

    files.stage(&args.output, converted.file.bytes())?;
    if let Some(path) = &args.rust {
        files.stage(path, bindings::rust(&model).as_bytes())?;
    }
    if let Some(path) = &args.c {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        files.stage(path, bindings::c(&model, &stem).as_bytes())?;
    }
    if let Some(path) = &args.report {
        files.stage(path, html::page(&model, None).as_bytes())?;
    }
    files.commit()?;

    let facts = facts(&model);
    if args.json {
        let mut object = serde_json::to_value(&facts)
            .map_err(|e| Error::input(format!("the result cannot be written as JSON: {e}")))?;
        object["output"] = json!(args.output.display().to_string());
        object["format"] = json!(converted.format);
        object["calibration_samples"] = json!(converted.samples);
        object["calibration"] = json!(converted.calibration);
        let trial = |trial: &Trial| json!({"method": trial.options.to_string(), "error": trial.error, "agreement": trial.agreement});
        object["trials"] = converted.trials.iter().map(trial).collect();
        object["notes"] = json!(converted.notes);
        return Ok(Answer::Json(object));
    }
    Ok(Answer::Text(describe(args, &converted)?))
}

fn describe(args: &ConvertArgs, converted: &Converted) -> Result<String> {
    let model = converted.file.model()?;
    let macs =
        crate::model_file::layers(&model).iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    let mut out = format!("{} ({}) → {}\n", args.model.display(), converted.format, args.output.display());
    let mut lines = vec![
        ("file", format!("{} bytes", text::count(model.bytes().len()))),
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
    for path in [&args.rust, &args.c, &args.report].into_iter().flatten() {
        out += &format!("wrote {}\n", path.display());
    }
    Ok(out)
}

/// Shows the parts of a conversion as progress bars.
struct Bar {
    quiet: bool,
    bar: Mutex<Option<Progress>>,
}

impl Bar {
    /// The bar; a thread that panicked while it held the lock has not harmed it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Follow for Bar {
    fn begin(&self, what: &'static str, steps: usize) {
        *self.lock() = Some(Progress::new(what, steps, self.quiet));
    }

    fn step(&self) {
        if let Some(bar) = self.lock().as_ref() {
            bar.step();
        }
    }

    fn end(&self) {
        *self.lock() = None;
    }
}
