//! `ferrolite migrate`: a project of TensorFlow Lite Micro, or an ESPHome wake word, becomes one of Ferrolite.

use serde_json::json;

use super::args::MigrateArgs;
use super::bars::Bars;
use super::{Printed, remarks};
use crate::error::{Error, Result};
use crate::migrate::{self, Migrated, Request};
use crate::project::{self, Language};
use crate::text;

pub fn execute(args: &MigrateArgs) -> Result<Printed> {
    let request = Request {
        path: &args.path,
        output: args.output.as_deref(),
        kit: project::kit(&args.board)?,
        language: if args.lang == "c" { Language::C } else { Language::Rust },
        calibrate: args.calibrate.as_deref(),
        runtime: args.runtime.as_deref(),
        strict: args.strict,
    };
    let migration = migrate::migrate(&request, &Bars::new(args.json))?;
    let output = args.output.as_ref().map(|path| path.display().to_string());
    if args.json {
        let mut object = serde_json::to_value(&migration).map_err(|e| {
            Error::internal(format!("the result cannot be written as JSON: {e}")).caused_by(e)
        })?;
        object["output"] = json!(output);
        object["board"] = json!(request.kit.name);
        object["language"] = json!(args.lang);
        return Ok(Printed::Json(object));
    }
    let Some(output) = output else {
        return Ok(Printed::Text(format!("{}\nnothing is written without -o DIR\n", migration.report)));
    };
    let models: String = migration.models.iter().map(line).collect();
    let run = match request.language {
        Language::Rust => "cargo run --release",
        Language::C => "make run",
    };
    let first = migration.models.iter().find_map(|model| model.project.as_ref());
    let place = match first.map_or(".", |new| new.folder.as_str()) {
        "." => output.clone(),
        folder => format!("{output}/{folder}"),
    };
    Ok(Printed::Text(format!(
        "{output}: a project for {} ({})\n{models}{}what differs is in {output}/MIGRATION.md\nthen:\n  cd {place}\n  {run}\n",
        request.kit.name,
        request.kit.describe(),
        remarks(&migration.notes, &migration.warnings),
    )))
}

/// A model in a line or two.
fn line(model: &Migrated) -> String {
    let Some(new) = &model.project else { return format!("  {:<10} refused\n", model.name) };
    let there =
        model.arena_asked.map_or("not found".into(), |bytes| format!("{} bytes", text::thousands(bytes)));
    let mut out = format!(
        "  {:<10} {} bytes, arena {} bytes; there: {} bytes, arena {there}\n",
        model.name,
        text::count(new.model_bytes),
        text::count(new.arena_bytes),
        text::count(model.tflite_bytes),
    );
    for (what, names) in [("not linked there", &model.missing), ("linked there for nothing", &model.unused)] {
        if !names.is_empty() {
            out += &format!("  {:<10} {what}: {}\n", "", names.join(", "));
        }
    }
    out
}
