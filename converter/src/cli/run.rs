//! `ferrolite run`: runs a model on samples.

use std::io::Cursor;
use std::path::Path;

use ferrolite_runtime::Model;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::RunArgs;
use super::bars::Bars;
use super::files::Outputs;
use super::reads::Reads;
use super::{Printed, refuse_if_strict, remarks};
use crate::board::{HOST, foreign_packing};
use crate::data::npz::{self, NamedArray, Npz};
use crate::data::{self, Dataset, integers};
use crate::error::{Error, Result};
use crate::facts::PortJson;
use crate::graph::DType;
use crate::model_file::{self, ModelFile};
use crate::run::{self, RunOptions, RunOutput};
use crate::text::{self, Column};

/// Samples that the text shows.
const SHOWN: usize = 20;

/// The JSON object of `run`.
#[derive(Debug, Serialize)]
struct Facts {
    board: String,
    samples: usize,
    /// Each output with its facts, and `values`: one flat list for each sample, in the output's type.
    outputs: Vec<Value>,
    /// Remarks, one sentence each.
    notes: Vec<String>,
    /// What the user should act on before relying on the answers, one sentence each.
    warnings: Vec<String>,
}

pub fn execute(args: &RunArgs) -> Result<Printed> {
    let outputs = args.output.iter().chain(&args.layers).chain(&args.state_output).map(|p| p.as_path());
    let mut reads = Reads::default().file(&args.file).data(&args.input);
    if let Some(path) = &args.state {
        reads = reads.file(path);
    }
    let mut files = Outputs::check(outputs, reads, args.force)?;
    let file = ModelFile::read(&args.file)?.with_entry(args.entry.clone());
    let model = file.model()?;
    let once = args.input.is_none() && model.inputs().is_empty();
    if once && args.boards.iter().any(|board| board != HOST) {
        return Err(Error::usage("a program without inputs runs on the host").help("leave out --on"));
    }
    let Some(input) = &args.input else { return run_once(args, &model, files) };
    if model.inputs().is_empty() {
        let which = args.entry.as_ref().map_or("the model".into(), |name| format!("entry `{name}`"));
        return Err(Error::usage(format!("{}: {which} has no inputs", args.file.display()))
            .help("leave out --input, and it is run once"));
    }
    let settings = data::Options {
        scale: args.scale,
        ranges: model_file::input_ranges(&model),
        ..data::Options::default()
    };
    let data = Dataset::load_with(input, &model_file::input_specs(&model), &settings)?;
    let mut notes = data.notes().to_vec();
    let boards = super::distinct(&args.boards)?;
    let mut warnings: Vec<String> = boards
        .iter()
        .filter_map(|board| foreign_packing(board, model.target(), model.target_name()))
        .collect();
    for outside in data.outside(&settings.ranges)? {
        outside.tell(&mut notes, &mut warnings);
    }
    refuse_if_strict(args.strict, &warnings)?;

    let layers = args.layers.is_some();
    let first = boards.first().map_or(HOST, |board| board);
    let options = RunOptions { board: first, sequence: args.sequence, layers, ..RunOptions::default() };
    let (result, layers) = match args.state.is_some() || args.state_output.is_some() {
        true => (run_with_state(args, &model, &data, &options, &mut files)?, Vec::new()),
        false => run::run(&model, &data, &options, &Bars::new(args.json))?,
    };
    for board in boards.iter().skip(1) {
        let options = RunOptions { board, sequence: args.sequence, ..RunOptions::default() };
        let (other, _) = run::run(&model, &data, &options, &Bars::new(args.json))?;
        same_answers((first, &result), (board, &other))?;
    }
    if let Some(path) = &args.output {
        stage(&mut files, path, &result.arrays())?;
    }
    if let Some(path) = &args.layers {
        stage(&mut files, path, &layers)?;
    }
    files.commit()?;

    if args.json {
        let facts = |board: &&str| {
            let (board, samples) = (board.to_string(), result.samples.len());
            Ok(Facts {
                board,
                samples,
                outputs: outputs_json(&result)?,
                notes: notes.clone(),
                warnings: warnings.clone(),
            })
        };
        let mut facts = boards.iter().map(facts).collect::<Result<Vec<_>>>()?;
        return match facts.len() {
            1 => Printed::json(&facts.remove(0)),
            _ => Printed::json(&json!({ "boards": facts, "notes": notes, "warnings": warnings })),
        };
    }
    let mut out = match boards.len() {
        1 => String::new(),
        _ => on_boards(&boards, &result) + "\n\n",
    };
    out += &answers(&result, |class| model.names().label(class).map(str::to_string));
    out += &meanings(&result);
    out += &remarks(&notes, &warnings);
    for path in args.output.iter().chain(&args.layers).chain(&args.state_output) {
        out += &format!("wrote {}\n", path.display());
    }
    Ok(Printed::Text(out))
}

/// Runs a program without inputs, once.
fn run_once(args: &RunArgs, model: &Model<'_>, mut files: Outputs) -> Result<Printed> {
    if !model.inputs().is_empty() {
        return Err(
            Error::usage("missing: --input <DATA>").help("`ferrolite run --help` lists the arguments")
        );
    }
    if args.layers.is_some() {
        return Err(Error::usage(
            "--layers shows the layers of a sample, and a program without inputs has none",
        )
        .help("leave out --layers"));
    }
    let before = state_before(args, model)?;
    let (outputs, after) = run::once(model, ferrolite_runtime::ops::ALL, &[], Some(&before))?;
    let result = RunOutput { ports: model_file::outputs(model), samples: vec![outputs] };
    if let Some(path) = &args.output {
        stage(&mut files, path, &result.arrays())?;
    }
    if let Some(path) = &args.state_output {
        stage(&mut files, path, &model_file::contents(model, &after))?;
    }
    files.commit()?;
    if args.json {
        let (outputs, notes) = (outputs_json(&result)?, Vec::new());
        return Printed::json(&Facts {
            board: HOST.into(),
            samples: 1,
            outputs,
            notes,
            warnings: Vec::new(),
        });
    }
    let mut out = answers(&result, |class| model.names().label(class).map(str::to_string));
    out += &meanings(&result);
    for path in args.output.iter().chain(&args.state_output) {
        out += &format!("wrote {}\n", path.display());
    }
    Ok(Printed::Text(out))
}

/// What the variables hold at first.
fn state_before(args: &RunArgs, model: &Model<'_>) -> Result<Vec<u8>> {
    let mut state = model_file::initial_state(model);
    if let Some(path) = &args.state {
        let mut npz = Npz::open(path)?;
        let names: Vec<String> = npz.arrays().iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            let array = npz.read(&name)?;
            model_file::replace(model, &mut state, &name, &array).map_err(|e| e.context(path.display()))?;
        }
    }
    Ok(state)
}

/// Runs the samples from the given contents of variables, and stages what they hold then.
fn run_with_state(
    args: &RunArgs,
    model: &Model<'_>,
    data: &Dataset,
    options: &RunOptions<'_>,
    files: &mut Outputs,
) -> Result<RunOutput> {
    if args.boards.iter().any(|board| board != HOST) || args.layers.is_some() {
        return Err(Error::usage("--state and --state-output work on the host, and without --layers")
            .help("leave out --on, or --layers"));
    }
    if model_file::variables(model).is_empty() {
        return Err(Error::input(format!("{}: the model has no variables", args.file.display()))
            .help("`ferrolite inspect` lists the variables of a model that keeps state"));
    }
    let state = state_before(args, model)?;
    let (result, after) = run::run_from(model, data, options, &state)?;
    if let Some(path) = &args.state_output {
        stage(files, path, &model_file::contents(model, &after))?;
    }
    Ok(result)
}

/// Refuses answers of two boards that differ in a byte.
fn same_answers((first, wanted): (&str, &RunOutput), (board, found): (&str, &RunOutput)) -> Result<()> {
    let mut differing = 0;
    let mut shown = None;
    for (sample, (wanted_outputs, found_outputs)) in wanted.samples.iter().zip(&found.samples).enumerate() {
        for (index, (a, b)) in
            wanted_outputs.iter().zip(found_outputs).enumerate().filter(|(_, (a, b))| a != b)
        {
            differing += 1;
            let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
            let name = wanted.ports.get(index).map_or("", |port| port.name.as_str());
            shown.get_or_insert_with(|| format!("output `{name}` of sample {sample}, from byte {at} on"));
        }
    }
    match shown {
        None => Ok(()),
        Some(place) => Err(Error::internal(format!(
            "{board} answers otherwise than {first}: {place}; {differing} of {} answers differ",
            wanted.samples.len() * wanted.ports.len()
        ))),
    }
}

/// The boards that gave these answers, as a table.
fn on_boards(boards: &[&str], result: &RunOutput) -> String {
    let columns = [Column::Left("board"), Column::Right("samples"), Column::Left("answers")];
    let row = |(index, board): (usize, &&str)| {
        let answers = if index == 0 { "these".to_string() } else { "the same bytes".into() };
        vec![board.to_string(), text::count(result.samples.len()), answers]
    };
    text::table(&columns, boards.iter().enumerate().map(row))
}

/// Stages arrays as an archive.
fn stage(files: &mut Outputs, path: &Path, arrays: &[NamedArray]) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    npz::write(arrays, &mut bytes)
        .map_err(|e| Error::input(format!("{}: cannot be written: {e}", path.display())).caused_by(e))?;
    files.stage(path, bytes.get_ref())
}

fn outputs_json(result: &RunOutput) -> Result<Vec<Value>> {
    let one = |(index, port): (usize, &model_file::PortFacts)| {
        let values: Vec<Value> = result
            .samples
            .iter()
            .map(|outputs| match port.dtype {
                DType::Float32 => json!(crate::data::dequantize(port.dtype, None, &outputs[index])),
                dtype => json!(integers(dtype, &outputs[index])),
            })
            .collect();
        let mut object = serde_json::to_value(PortJson::from(port.clone())).map_err(|e| {
            Error::internal(format!("the result cannot be written as JSON: {e}")).caused_by(e)
        })?;
        object["values"] = Value::Array(values);
        Ok(object)
    };
    result.ports.iter().enumerate().map(one).collect()
}

/// What the stored integers of each output mean.
fn meanings(result: &RunOutput) -> String {
    let line = |port: &model_file::PortFacts| {
        let meaning = match port.quantization {
            Some((scale, zero_point)) => {
                format!(", scale {scale}, zero point {zero_point}: value = scale * (stored - zero point)")
            }
            None => ", stored as they are".into(),
        };
        format!("output `{}`: {}{meaning}\n", port.name, port.dtype.name())
    };
    result.ports.iter().map(line).collect()
}

/// The first samples' answers as a table: the best class of each output, or its only number.
fn answers(result: &RunOutput, label: impl Fn(usize) -> Option<String>) -> String {
    let columns = [
        Column::Right("sample"),
        Column::Left("output"),
        Column::Left("class"),
        Column::Right("value"),
        Column::Right("stored"),
    ];
    let mut rows = Vec::new();
    for sample in 0..result.samples.len().min(SHOWN) {
        for (index, port) in result.ports.iter().enumerate() {
            let real = result.real(sample, index);
            let best = crate::noise::argmax(&real).unwrap_or(0);
            let class = match (real.len(), label(best)) {
                (1, _) => "-".to_string(),
                (_, Some(label)) => format!("{best} {label}"),
                (_, None) => best.to_string(),
            };
            let stored = match port.dtype {
                DType::Float32 => "-".to_string(),
                dtype => {
                    let stored = integers(dtype, &result.samples[sample][index]);
                    stored.get(best).map_or_else(String::new, ToString::to_string)
                }
            };
            let value = real.get(best).map_or_else(String::new, |v| format!("{v:.4}"));
            rows.push(vec![sample.to_string(), port.name.clone(), class, value, stored]);
        }
    }
    let mut out = text::table(&columns, rows) + "\n";
    if result.samples.len() > SHOWN {
        let more = text::count(result.samples.len() - SHOWN);
        out += &format!("and {more} samples more; --output OUT.npz writes all\n");
    }
    out
}
