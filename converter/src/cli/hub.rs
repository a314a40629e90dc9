//! `ferrolite hub`: models of an index, found, checked and taken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{
    HubArgs, HubCommand, HubGetArgs, HubIndexArgs, HubListArgs, HubRunArgs, HubShowArgs, RunArgs,
};
use super::bars::Bars;
use super::files::Outputs;
use super::reads::Reads;
use super::{Printed, remarks};
use crate::board::HOST;
use crate::error::{Error, Result};
use crate::hub::{self, Entry, Hub, Index, Taken, Wanted};
use crate::text::{self, Column};

pub fn execute(args: &HubArgs) -> Result<Printed> {
    match &args.command {
        HubCommand::List(args) => list(args),
        HubCommand::Show(args) => show(args),
        HubCommand::Get(args) => get(args),
        HubCommand::Run(args) => run(args),
        HubCommand::Index(args) => index(args),
    }
}

fn list(args: &HubListArgs) -> Result<Printed> {
    let hub = Hub::open(args.index.as_deref())?;
    if args.json {
        return Ok(Printed::Json(json!({ "models": hub.entries, "notes": [], "warnings": [] })));
    }
    let columns = [
        Column::Left("model"),
        Column::Right("flash"),
        Column::Right("RAM"),
        Column::Right("accuracy"),
        Column::Left("licence"),
        Column::Left("what it does"),
    ];
    let rows = hub.entries.iter().map(|entry| {
        let figures = entry.figures.as_ref();
        let size = |bytes: Option<u64>| bytes.map_or("-".into(), text::thousands);
        vec![
            shown(&entry.name),
            size(figures.map(|figures| figures.model_bytes)),
            size(figures.map(|figures| figures.arena_bytes)),
            figures.and_then(|f| f.accuracy.as_ref()).map_or("-".into(), |a| text::percent(Some(a.share))),
            shown(&entry.licence),
            shown(&entry.summary),
        ]
    });
    Ok(Printed::Text(text::table(&columns, rows)))
}

fn show(args: &HubShowArgs) -> Result<Printed> {
    let hub = Hub::open(args.index.as_deref())?;
    let entry = hub.find(&args.name)?;
    if args.json {
        return Printed::json(entry);
    }
    Ok(Printed::Text(describe(entry)))
}

/// A text of an index on one line, as a terminal may have it: what would steer it, or turn the direction of writing, is
/// escaped.
fn shown(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    text.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// All that is known of a model.
fn describe(entry: &Entry) -> String {
    let mut out = format!("{}: {}\n", shown(&entry.name), shown(&entry.summary));
    let mut line = |what: &str, text: String| {
        if !text.is_empty() {
            out += &format!("  {what:<14}{}\n", shown(&text));
        }
    };
    line("licence", entry.licence.clone());
    line("origin", entry.provenance.clone());
    line("source", format!("{} ({} bytes)", entry.source.file, text::thousands(entry.source.bytes)));
    line("SHA-256", entry.source.sha256.clone());
    line("before it", entry.preprocessing.clone());
    line("labels", entry.labels.join(", "));
    if let Some(figures) = &entry.figures {
        let ports = |list: &[hub::Port]| {
            let port = |port: &hub::Port| {
                let shape: Vec<String> = port.shape.iter().map(usize::to_string).collect();
                format!("`{}` {} {}", port.name, shape.join("x"), port.dtype)
            };
            list.iter().map(port).collect::<Vec<_>>().join(", ")
        };
        line("inputs", ports(&figures.inputs));
        line("outputs", ports(&figures.outputs));
        line(
            "flash, RAM",
            format!(
                "{} bytes of file, {} of arena",
                text::thousands(figures.model_bytes),
                text::thousands(figures.arena_bytes)
            ),
        );
        line("work", format!("{} multiply-accumulates", text::thousands(figures.macs)));
        if let Some(accuracy) = &figures.accuracy {
            let (share, set) = (text::percent(Some(accuracy.share)), &accuracy.data_set);
            line("accuracy", format!("{share} of {} samples: {set}", accuracy.samples));
        }
        if let Some(vectors) = figures.vectors {
            line("vectors", format!("{vectors}, whose answers are a device's byte for byte"));
        }
    }
    line("published", entry.published.clone().unwrap_or_default());
    let boards = entry.figures.iter().flat_map(|figures| &figures.boards);
    let columns = [
        Column::Left("board"),
        Column::Right("cycles"),
        Column::Right("ms"),
        Column::Right("microjoules"),
        Column::Right("flash"),
        Column::Right("RAM"),
    ];
    let whole = |number: Option<u64>| number.map_or("-".into(), text::thousands);
    let real = |number: Option<f64>| number.map_or("-".into(), |number| format!("{number:.2}"));
    let rows: Vec<Vec<String>> = boards
        .map(|(board, f)| {
            let cells = [
                whole(f.cycles),
                real(f.milliseconds),
                real(f.microjoules),
                whole(f.flash_bytes),
                whole(f.ram_bytes),
            ];
            std::iter::once(shown(board)).chain(cells).collect()
        })
        .collect();
    if !rows.is_empty() {
        out += &format!("{}\n", text::table(&columns, rows));
    }
    out
}

fn get(args: &HubGetArgs) -> Result<Printed> {
    let hub = Hub::open(args.index.as_deref())?;
    let entry = hub.find(&args.name)?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => PathBuf::from(args.name.rsplit('/').next().unwrap_or_default()).with_extension("ferro"),
    };
    let mut reads = Reads::default().data(&args.calibrate);
    if let Some(index) = args.index.as_deref().filter(|index| Path::new(index).exists()) {
        reads = reads.file(Path::new(index));
    }
    let paths = std::iter::once(output.as_path()).chain(args.labels.as_deref());
    let mut files = Outputs::check(paths, reads, args.force)?;
    if args.labels.is_some() && entry.labels.is_empty() {
        return Err(Error::input(format!("model `{}`: has no labels", entry.name)).help("leave out --labels"));
    }
    let wanted = Wanted { target: args.target, calibrate: args.calibrate.clone(), cut: args.cut.clone() };
    let Taken { file, format, vectors, notes } = hub.take(entry, &wanted, &Bars::new(args.json))?;
    files.stage(&output, file.bytes())?;
    if let Some(path) = &args.labels {
        files.stage(path, (entry.labels.join("\n") + "\n").as_bytes())?;
    }
    files.commit()?;
    let arena = file.model()?.arena_bytes();
    if args.json {
        return Ok(Printed::Json(json!({
            "name": entry.name,
            "output": output.display().to_string(),
            "labels": args.labels.as_ref().map(|path| path.display().to_string()),
            "licence": entry.licence,
            "source_sha256": entry.source.sha256,
            "format": format,
            "model_bytes": file.bytes().len(),
            "arena_bytes": arena,
            "vectors": vectors,
            "notes": notes,
            "warnings": [],
        })));
    }
    let checked = match vectors {
        Some(count) => format!(", {count} vectors gave the bytes that they should"),
        None => String::new(),
    };
    Ok(Printed::Text(format!(
        "{}: `{}` from {format}, {} bytes, {} of arena; SHA-256 as it should be{checked}\n  licence  {}\n{}",
        output.display(),
        shown(&entry.name),
        text::count(file.bytes().len()),
        text::count(arena),
        shown(&entry.licence),
        remarks(&notes, &[]),
    )))
}

fn run(args: &HubRunArgs) -> Result<Printed> {
    let hub = Hub::open(args.index.as_deref())?;
    let wanted = Wanted { calibrate: args.calibrate.clone(), ..Wanted::default() };
    let taken = hub.take(hub.find(&args.name)?, &wanted, &Bars::new(args.json))?;
    let folder = tempfile::tempdir().map_err(|e| {
        Error::input(format!("a folder for the model cannot be made: {e}"))
            .help("make room in the folder for temporary files (TMPDIR)")
            .caused_by(e)
    })?;
    let file = folder.path().join("model.ferro");
    fs::write(&file, taken.file.bytes()).map_err(|e| {
        Error::input(format!("{}: cannot be written: {e}", file.display()))
            .help("make room in the folder for temporary files (TMPDIR)")
            .caused_by(e)
    })?;
    super::run::execute(&RunArgs {
        file,
        input: Some(args.input.clone()),
        entry: None,
        output: args.output.clone(),
        layers: None,
        sequence: args.sequence,
        state: None,
        state_output: None,
        boards: vec![HOST.into()],
        scale: args.scale,
        strict: false,
        force: args.force,
        json: args.json,
    })
}

fn index(args: &HubIndexArgs) -> Result<Printed> {
    let path = args.folder.join("index.json");
    let shown = path.display().to_string();
    let text = crate::files::read_at_most(&path, crate::files::TEXT).unwrap_or_default();
    let before: Option<Index> = serde_json::from_slice(&text).ok();
    let bars = Bars::new(args.json);
    let boards: Vec<String> = match (&args.boards[..], args.no_boards) {
        (_, true) => Vec::new(),
        ([], _) => {
            let entries = before.iter().flat_map(|index| &index.entries);
            let names = entries.filter_map(|entry| entry.figures.as_ref()).flat_map(|f| f.boards.keys());
            names.cloned().collect::<BTreeSet<String>>().into_iter().collect()
        }
        (boards, _) => boards.to_vec(),
    };
    let made = hub::index(&args.folder, args.files.as_deref(), before.as_ref(), &boards, &bars)?;
    let mut new = serde_json::to_string_pretty(&made)
        .map_err(|e| Error::internal(format!("the index cannot be written as JSON: {e}")).caused_by(e))?;
    new.push('\n');
    let stale = new.as_bytes() != text;
    if args.check && stale {
        let differ = made
            .entries
            .iter()
            .filter(|&entry| before.as_ref().is_none_or(|index| !index.entries.contains(entry)));
        let names: Vec<&str> = differ.map(|entry| entry.name.as_str()).collect();
        return Err(Error::input(format!("{shown}: is not what its entries give: {}", names.join(", ")))
            .help(format!("renew it: `ferrolite hub index {}`", args.folder.display())));
    }
    if !args.check && stale {
        // An index is made anew whoever wrote it: it says what the files beside it are.
        let mut files = Outputs::check([path.as_path()], Reads::default(), before.is_some())?;
        files.stage(&path, new.as_bytes())?;
        files.commit()?;
    }
    let missing: Vec<&str> = made
        .entries
        .iter()
        .filter(|entry| entry.figures.is_none())
        .map(|entry| entry.name.as_str())
        .collect();
    let mut notes = Vec::new();
    if !missing.is_empty() {
        notes.push(format!(
            "without figures, since their files are not at hand (--files DIR): {}",
            missing.join(", ")
        ));
    }
    if args.json {
        return Ok(Printed::Json(json!({
            "output": shown,
            "models": made.entries.len(),
            "changed": stale,
            "notes": notes,
            "warnings": [],
        })));
    }
    let state = if stale { "written" } else { "as it should be" };
    Ok(Printed::Text(format!("{shown}: {} models, {state}\n{}", made.entries.len(), remarks(&notes, &[]))))
}
