//! `ferrolite convert`: converts a trained model to a file.

use std::path::{Path, PathBuf};

use ferrolite_runtime::Model;
use ferrolite_schema::{MAX_MEMORIES, Rounding, Target};
use serde_json::json;

use super::args::ConvertArgs;
use super::bars::Bars;
use super::files::Outputs;
use super::reads::Reads;
use super::{Printed, refuse_if_strict, remarks};
use crate::bindings;
use crate::board::{BOARDS, HOST, PARTS};
use crate::compare::{Options, compare};
use crate::convert::{ConvertOptions, Converted, convert, convert_to_tflite};
use crate::data::{self, Dataset, first_layers};
use crate::error::{Error, Result};
use crate::facts::{Facts, LongestStep};
use crate::import;
use crate::model_file::{input_ranges, input_specs};
use crate::quantize::{Io, OutputReport, Trial};
use crate::report::footprint::{Code, Footprint};
use crate::report::html::{self, Study};
use crate::text;

pub fn execute(args: &ConvertArgs) -> Result<Printed> {
    let data = args.c.as_deref().map(data_file).transpose()?.flatten();
    let paths =
        [Some(&args.output), args.rust.as_ref(), args.c.as_ref(), data.as_ref(), args.report.as_ref()];
    let mut reads = Reads::default().model(&args.model).data(&args.calibrate);
    if let Some(bench) = &args.bench {
        reads = reads.file(Path::new(bench));
    }
    reads = args.statistics.iter().fold(reads, |reads, part| reads.file(part));
    let mut files = Outputs::check(paths.into_iter().flatten().map(|p| p.as_path()), reads, args.force)?;
    let options = ConvertOptions {
        import: args.source.options(),
        calibrate: args.calibrate.clone(),
        statistics: args.statistics.clone(),
        scale: args.scale,
        calibration: args.calibration,
        target: args.target,
        io: if args.io == "float" { Io::Float } else { Io::Int8 },
        rounding: args.rounding,
        flash_budget: args.flash_budget,
        ram_budget: args.ram_budget,
        memories: args.memory.clone(),
        streaming: args.streaming,
    };
    if args.scale.is_some() && args.calibrate.is_none() && args.statistics.is_empty() {
        return Err(Error::usage(
            "--scale says how the pictures of --calibrate become numbers, but there are none",
        )
        .help("give pictures with --calibrate, or leave --scale out"));
    }
    if args.memory.len() > MAX_MEMORIES {
        return Err(Error::usage(format!("an arena is divided among up to {MAX_MEMORIES} memories"))
            .help("give fewer --memory"));
    }
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
    let model = converted.file.model()?;
    let code = args.bench.as_deref().map(|bench| code(bench, &model, &bars)).transpose()?;
    let footprint = Footprint::new(&model, code.as_ref());
    refuse_if_strict(args.strict, &converted.warnings)?;

    files.stage(&args.output, &written)?;
    if let Some(path) = &args.rust {
        files.stage(path, bindings::rust(&model).as_bytes())?;
    }
    if let Some(path) = &args.c {
        let header = path.file_name().unwrap_or_default().to_string_lossy();
        let written = bindings::c(&model, &header);
        files.stage(path, written.header.as_bytes())?;
        if let Some(path) = &data {
            files.stage(path, written.data.as_bytes())?;
        }
    }
    let bytes = written.len();
    if let Some(path) = &args.report {
        let page = page(args, &converted, &model, code.as_ref(), &bars)?;
        files.stage(path, page.as_bytes())?;
    }
    files.commit()?;

    let facts = Facts::of_model(&model);
    if args.json {
        let mut object = serde_json::to_value(&facts).map_err(|e| {
            Error::internal(format!("the result cannot be written as JSON: {e}")).caused_by(e)
        })?;
        if tflite {
            object["model_bytes"] = json!(bytes);
        }
        object["output"] = json!(args.output.display().to_string());
        object["format"] = json!(converted.format);
        object["calibration_samples"] = json!(converted.samples);
        object["calibration"] = json!(converted.calibration);
        let trial = |trial: &Trial| json!({"method": trial.options.to_string(), "error": trial.error, "agreement": trial.agreement});
        object["trials"] = converted.trials.iter().map(trial).collect();
        let footprint = serde_json::to_value(&footprint);
        let footprint = footprint.ok().and_then(|value| value.as_object().cloned()).unwrap_or_default();
        footprint.into_iter().for_each(|(key, value)| object[key] = value);
        for (port, output) in object["outputs"].as_array_mut().into_iter().flatten().zip(&converted.outputs) {
            // JSON has no infinity. An output that equals the reference gets null, as does one without a
            // signal.
            port["sqnr_db"] = json!(output.sqnr_db.filter(|decibels| decibels.is_finite()));
            port["agreement"] = json!(output.agreement);
        }
        object["longest_step"] = json!(facts.longest_step());
        object["notes"] = json!(converted.notes);
        object["warnings"] = json!(converted.warnings);
        return Ok(Printed::Json(object));
    }
    let written = [&args.rust, &args.c, &data, &args.report];
    let written = written.into_iter().flatten().map(|path| format!("wrote {}\n", path.display()));
    let facts = describe(args, &converted, &footprint, tflite.then_some(bytes), facts.longest_step())?;
    Ok(Printed::Text(facts + &written.collect::<String>()))
}

/// The C file for the data of a header: the one of its name beside it. A header that goes to no regular file, such as
/// `/dev/null`, has none.
fn data_file(header: &Path) -> Result<Option<PathBuf>> {
    let data = header.with_extension("c");
    if header.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("c")) {
        return Err(Error::usage(format!("--c {}: this is the name of the data's file", header.display()))
            .help(
                "give the name of the header, such as `--c model.h`: the data go into the `.c` beside it",
            ));
    }
    let special = std::fs::metadata(header).is_ok_and(|facts| !facts.is_file() && !facts.is_dir());
    Ok((!special).then_some(data))
}

/// Measures what the runtime takes on a board, or reads it from a file that `bench --json` wrote.
fn code(bench: &str, model: &Model<'_>, bars: &Bars) -> Result<Code> {
    let path = Path::new(bench);
    if !path.is_file() {
        let known = BOARDS.iter().map(|board| board.name).chain(PARTS.iter().map(|part| part.name));
        if bench != HOST && !known.into_iter().any(|name| name == bench) {
            return Err(Error::usage(format!("--bench {bench}: there is no such board, and no such file"))
                .help(
                    "`ferrolite boards` lists the boards; a file is what `ferrolite bench --json` prints",
                ));
        }
        return crate::bench::measure(model, bench, None, bars).map(Code::from);
    }
    let help = "give what `ferrolite bench FILE.ferro --on BOARD --json` printed for this model";
    let text = crate::files::read_text(path)
        .map_err(|e| Error::input(format!("{bench}: cannot be read: {e}")).help(help).caused_by(e))?;
    let code: Code = serde_json::from_str(&text).map_err(|e| {
        Error::input(format!("{bench}: is not what `bench --json` prints: {e}")).help(help).caused_by(e)
    })?;
    let (file, arena) = (model.bytes().len() as u64, model.arena_bytes() as u64);
    if (code.model_bytes, code.arena_bytes) != (file, arena) {
        return Err(Error::input(format!(
            "{bench}: measures a model of {} bytes with an arena of {}, this one has {file} and {arena}",
            code.model_bytes, code.arena_bytes
        ))
        .help(help));
    }
    Ok(code)
}

/// The page about a conversion. With calibration samples it also says how accurate the model is on them.
fn page(
    args: &ConvertArgs,
    converted: &Converted,
    model: &Model<'_>,
    code: Option<&Code>,
    bars: &Bars,
) -> Result<String> {
    let mut options = args.source.options();
    if model.entries() > 0 {
        options.signature = model.entry_name(0).map(str::to_string);
    }
    let source = import::load_with(&args.model, &options)?.graph;
    // Samples are windows, which a streaming form does not take.
    let data = args.calibrate.as_deref().filter(|_| converted.samples > 0 && !args.streaming);
    let settings = data::Options {
        scale: args.scale,
        wants: first_layers::wants(&source),
        ranges: input_ranges(model),
        names: Vec::new(),
    };
    let data = data.map(|data| Dataset::load_with(data, &input_specs(model), &settings)).transpose()?;
    let comparison = data.as_ref().map(|data| compare(&source, model, data, &Options::default(), bars));
    let comparison = comparison.transpose()?;
    let study = Study {
        source: Some(&source),
        data: data.as_ref(),
        comparison: comparison.as_ref(),
        samples: "calibration",
        notes: &converted.notes,
        warnings: &converted.warnings,
        code,
    };
    html::page(model, &study)
}

/// Refuses options that apply to `.ferro` files only.
fn refuse_with_tflite(args: &ConvertArgs) -> Result<()> {
    let words = [
        (args.rust.is_some(), "--rust"),
        (args.c.is_some(), "--c"),
        (args.target != Target::Portable, "--target"),
        (args.rounding != Rounding::Double, "--rounding"),
        (args.ram_budget.is_some(), "--ram-budget"),
        (!args.memory.is_empty(), "--memory"),
        (args.bench.is_some(), "--bench"),
        // A scaler that stays a layer there asks for other statistics.
        (!args.statistics.is_empty() && args.io == "float", "--statistics with --io float"),
    ];
    match words.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, word)) => Err(Error::usage(format!("{word} does not apply to a .tflite file"))
            .help("leave it out, or write a .ferro file")),
    }
}

fn describe(
    args: &ConvertArgs,
    converted: &Converted,
    footprint: &Footprint,
    tflite: Option<usize>,
    longest: Option<LongestStep>,
) -> Result<String> {
    let model = converted.file.model()?;
    let macs =
        crate::model_file::layers(&model).iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    let mut out = format!("{} ({}) → {}\n", args.model.display(), converted.format, args.output.display());
    let bytes = tflite.unwrap_or(model.bytes().len());
    let mut lines = vec![
        ("file", format!("{} bytes", text::count(bytes))),
        ("arena", format!("{} bytes", text::count(model.arena_bytes()))),
    ];
    let memories: Vec<String> = crate::model_file::memories(&model)
        .iter()
        .map(|memory| format!("{} {} bytes", memory.name, text::thousands(memory.used)))
        .collect();
    if !memories.is_empty() {
        lines.push(("memories", memories.join(", ")));
    }
    let variables = crate::model_file::variables(&model);
    if !variables.is_empty() {
        let names: Vec<String> = variables.iter().map(|variable| variable.name.clone()).collect();
        let bytes = text::thousands(model.state_bytes() as u64);
        lines.push(("state", format!("{bytes} bytes: {}", names.join(", "))));
    }
    if model.entries() > 0 {
        let names: Vec<&str> = (0..model.entries()).filter_map(|index| model.entry_name(index)).collect();
        lines.push(("entries", names.join(", ")));
    }
    if tflite.is_none() {
        for (name, (total, parts)) in [("flash", footprint.flash()), ("RAM", footprint.ram())] {
            lines.push((name, format!("{} bytes: {parts}", text::thousands(total))));
        }
    }
    lines.extend([
        ("layers", text::count(model.ops().len())),
        ("work", format!("{} multiply-accumulates", text::thousands(macs))),
    ]);
    if let Some(step) = longest {
        let (name, share) = (text::layer(&step.name), text::share(Some(step.share)));
        let macs = text::thousands(step.macs);
        let words =
            format!("{} `{name}` ({}), {macs} multiply-accumulates, {share} of all", step.index, step.op);
        lines.push(("long step", words));
    }
    if converted.samples > 0 {
        let by = converted.calibration.iter().map(|method| format!(", {method}")).collect::<String>();
        lines.push(("calibrated", format!("on {} samples{by}", text::count(converted.samples))));
    }
    for (name, value) in lines {
        out += &format!("  {name:<10} {value}\n");
    }
    for output in &converted.outputs {
        out += &format!("  {:<10} {}\n", "output", fares(output, converted.judged));
    }
    out += &remarks(&converted.notes, &converted.warnings);
    Ok(out)
}

/// How accurate an output is, in words.
fn fares(output: &OutputReport, (samples, held_back): (usize, bool)) -> String {
    let decibels = output.sqnr_db.map(|_| format!("signal to noise {}", text::decibels(output.sqnr_db)));
    let agreement = output.agreement.map(|share| format!("agreement {}", text::percent(Some(share))));
    let figures: Vec<String> = decibels.into_iter().chain(agreement).collect();
    let figures = if figures.is_empty() { "no signal".to_string() } else { figures.join(", ") };
    let which = if held_back { " held back" } else { "" };
    format!("{}: {figures} on {} samples{which}", text::layer(&output.name), text::count(samples))
}
