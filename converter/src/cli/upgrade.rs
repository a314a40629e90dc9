//! `ferrolite upgrade`: a file of an earlier Ferrolite, written anew.

use serde_json::json;

use super::Printed;
use super::args::UpgradeArgs;
use super::files::Outputs;
use super::reads::Reads;
use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::text;
use crate::upgrade::{Change, Upgraded, upgrade};

pub fn execute(args: &UpgradeArgs) -> Result<Printed> {
    let mut files = Outputs::check([args.output.as_path()], Reads::default().file(&args.file), args.force)?;
    let upgraded = upgrade(&ModelFile::read(&args.file)?)?;
    let left: Vec<String> = upgraded.for_a_person().map(line).collect();
    if !left.is_empty() {
        return Err(Error::input(format!(
            "{}: {} of {} changes need a person: {}",
            args.file.display(),
            left.len(),
            upgraded.changes.len(),
            left.join("; ")
        ))
        .help("convert the source again: `ferrolite convert MODEL -o FILE.ferro`"));
    }
    let Upgraded { bytes, ops, changes } = upgraded;
    files.stage(&args.output, &bytes)?;
    files.commit()?;
    let (old, new) = (args.file.display().to_string(), args.output.display().to_string());
    if args.json {
        return Ok(Printed::Json(json!({
            "input": old,
            "output": new,
            "model_bytes": bytes.len(),
            "changes": changes,
            "notes": [],
            "warnings": [],
        })));
    }
    let mut changed: Vec<usize> = changes.iter().map(|change| change.op).collect();
    changed.dedup();
    let lines: String = changes.iter().map(|change| format!("  changed    {}\n", line(change))).collect();
    let kept = format!(
        "  as it was  {} of {} ops, and all else\n",
        text::count(ops - changed.len()),
        text::count(ops)
    );
    Ok(Printed::Text(format!("{old} → {new}\n{lines}{kept}")))
}

/// A line of the report.
fn line(change: &Change) -> String {
    let layer =
        if change.layer.is_empty() { String::new() } else { format!(" `{}`", text::layer(&change.layer)) };
    format!("op {}{layer}: {}", change.op, change.what)
}
