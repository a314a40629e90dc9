//! `ferrolite statistics`: what one part of a data set says about a model.

use serde_json::json;

use super::args::StatisticsArgs;
use super::bars::Bars;
use super::files::Outputs;
use super::reads::Reads;
use super::{Printed, refuse_if_strict, remarks};
use crate::convert::{ConvertOptions, Gathered, Shard, statistics};
use crate::error::Result;
use crate::quantize::Io;
use crate::text;

pub fn execute(args: &StatisticsArgs) -> Result<Printed> {
    // Other machines may still need the parts of the round before.
    let reads = Reads::default().model(&args.model).data([&args.calibrate]);
    let reads = args.statistics.iter().fold(reads, |reads, part| reads.file(part));
    let mut files = Outputs::check([args.output.as_path()], reads, args.force)?;
    let options = ConvertOptions {
        import: args.source.options(),
        scale: args.scale,
        calibration: args.calibration,
        io: if args.io == "float" { Io::Float } else { Io::Int8 },
        ..ConvertOptions::default()
    };
    let (data, before) = (args.calibrate.clone(), args.statistics.clone());
    let shard = Shard { data, before, number: args.shard, ..Shard::default() };
    let gathered = statistics(&args.model, &shard, &options, &Bars::new(args.json))?;
    let Gathered { bytes, samples, round, complete, notes, warnings } = gathered;
    refuse_if_strict(args.strict, &warnings)?;
    files.stage(&args.output, &bytes)?;
    files.commit()?;
    let output = args.output.display().to_string();
    if args.json {
        return Ok(Printed::Json(json!({
            "output": output,
            "samples": samples,
            "round": round,
            "complete": complete,
            "statistics_bytes": bytes.len(),
            "notes": notes,
            "warnings": warnings,
        })));
    }
    let next = match complete {
        true => "nothing is left to ask: ferrolite convert MODEL --statistics PART… -o OUT.ferro",
        false => {
            "when all parts are there: ferrolite convert MODEL --statistics PART… -o OUT.ferro, which says whether it \
             needs another round"
        }
    };
    let facts = [
        ("samples", text::count(samples)),
        ("round", round.to_string()),
        ("file", format!("{} bytes", text::count(bytes.len()))),
        ("next", next.to_string()),
    ];
    let lines = facts.iter().map(|(name, value)| format!("  {name:<10} {value}\n")).collect::<String>();
    Ok(Printed::Text(format!("{} → {output}\n{lines}{}", args.calibrate, remarks(&notes, &warnings))))
}
