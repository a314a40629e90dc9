//! `ferrolite bench`: what an inference costs.

use std::path::Path;

use serde_json::{Value, json};

use super::args::BenchArgs;
use super::bars::Bars;
use super::files::Outputs;
use super::reads::Reads;
use super::{Printed, one_line, slow_layers, warnings};
use crate::bench::lock::{Comparison, Lock, Tolerance};
use crate::bench::{self, Chip, Latency, Measured};
use crate::board::HOST;
use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::text::{self, Column};

pub fn execute(args: &BenchArgs) -> Result<Printed> {
    if let Some(lock) = &args.lock {
        return locked(args, lock);
    }
    let mut boards = super::distinct(&args.boards)?;
    boards.extend(args.part.as_deref());
    if boards.is_empty() {
        boards.push(HOST);
    }
    let file = ModelFile::read(&args.file)?.with_entry(args.entry.clone());
    let measured = boards.iter().map(|board| measure(args, &file, board)).collect::<Result<Vec<_>>>()?;
    match measured.as_slice() {
        [one] if args.json => Printed::json(one),
        [one] => Ok(Printed::Text(describe(one))),
        several if args.json => Printed::json(&json!({ "boards": several })),
        several => Ok(Printed::Text(beside_one_another(several))),
    }
}

/// What an inference costs on several boards, as a table, and then each with its layers.
fn beside_one_another(measured: &[Measured]) -> String {
    let number = |n: Option<u64>| n.map_or("-".into(), text::thousands);
    let columns = [
        Column::Left("board"),
        Column::Right("instructions"),
        Column::Right("cycles"),
        Column::Right("µs here"),
        Column::Right("stack"),
        Column::Right("runtime flash"),
    ];
    let row = |measured: &Measured| {
        vec![
            measured.board.clone(),
            number(measured.instructions),
            number(measured.cycles),
            measured.wall_us.map_or("-".into(), |t| format!("{t:.1}")),
            number(measured.stack_bytes),
            number(measured.runtime_flash_bytes),
        ]
    };
    let table = text::table(&columns, measured.iter().map(row));
    let each = measured.iter().map(|measured| format!("\n\n{}", describe(measured).trim_end()));
    format!("{table}{}\n", each.collect::<String>())
}

fn measure(args: &BenchArgs, file: &ModelFile, board: &str) -> Result<Measured> {
    let chip = args.clock.map(|clock_hz| Chip { clock_hz, flash_wait: args.flash_wait });
    let measured = bench::measure(&file.model()?, board, chip, &Bars::new(args.json))?;
    if let (Some(reason), true) = (&measured.no_cycles, args.json) {
        eprintln!("no modelled cycles: {reason}");
    }
    Ok(measured)
}

/// Measures on the given board, else on all boards of the lock, and renews the lock or compares with it.
fn locked(args: &BenchArgs, path: &Path) -> Result<Printed> {
    let shown = path.display();
    let reads = Reads::default().file(&args.file);
    let files = match args.check {
        true => None,
        false => Some(Outputs::check([path], reads, args.force)?),
    };
    let mut lock = match crate::files::read_text(path) {
        Ok(text) => match Lock::parse(&text) {
            // The existing file may be anything, and is replaced.
            Err(_) if args.force => Lock::default(),
            lock => lock.map_err(|error| error.context(&shown))?,
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !args.check => Lock::default(),
        Err(error) => {
            return Err(Error::input(format!("{shown}: cannot be read: {error}"))
                .help("without `--check` the lock is written: `--on BOARD --lock FILE`")
                .caused_by(error));
        }
    };
    let boards: Vec<String> = match super::distinct(&args.boards)?.is_empty() {
        false => args.boards.clone(),
        true => lock.boards().into_iter().map(String::from).collect(),
    };
    if boards.is_empty() || boards.iter().any(|board| board == HOST) {
        return Err(Error::usage(
            "a lock holds counts of instructions, so it needs a board that counts them",
        )
        .help("name one, such as `--on qemu-cortex-m4`; `ferrolite boards` lists them"));
    }
    if args.check {
        boards.iter().try_for_each(|board| lock.expect(board)).map_err(|error| error.context(&shown))?;
    }
    let file = ModelFile::read(&args.file)?.with_entry(args.entry.clone());
    let tolerance = args.tolerance.map_or_else(Tolerance::default, Tolerance::all);
    let mut found = Comparison::default();
    let mut measured = Vec::new();
    for board in &boards {
        let now = measure(args, &file, board)?;
        if args.check {
            let Comparison { grown, shrunk } =
                lock.compare(&now, tolerance).map_err(|error| error.context(&shown))?;
            found.grown.extend(grown);
            found.shrunk.extend(shrunk);
        } else {
            lock.set(&now);
        }
        measured.push(now);
    }
    if let Some(mut files) = files {
        files.stage(path, lock.text().as_bytes())?;
        files.commit()?;
    }
    if !found.grown.is_empty() {
        return Err(Error::budget(format!("{shown}: {}", found.grown.join("\n")))
            .help("make the model cheaper again, or renew the lock: the same command without `--check`"));
    }
    if args.json {
        return json_of(&measured, path, args.check, &found);
    }
    let mut out: String = measured.iter().map(|measured| describe(measured) + "\n").collect();
    for sentence in &found.shrunk {
        out += &format!("note: {}; without `--check` the lock is renewed\n", one_line(sentence));
    }
    out += &match args.check {
        true => format!("{shown}: nothing has grown\n"),
        false => format!("wrote {shown}\n"),
    };
    Ok(Printed::Text(out))
}

/// One board's object, or with several boards one object with all of theirs; `lock` is the result for the
/// lock.
fn json_of(measured: &[Measured], path: &Path, check: bool, found: &Comparison) -> Result<Printed> {
    let of = |measured: &Measured| match Printed::json(measured)? {
        Printed::Json(object) => Ok(object),
        Printed::Text(text) => Ok(Value::String(text)),
    };
    let mut objects: Vec<Value> = measured.iter().map(of).collect::<Result<_>>()?;
    let mut object = match objects.len() {
        1 => objects.remove(0),
        _ => json!({ "boards": objects }),
    };
    if let Value::Object(keys) = &mut object {
        let lock = json!({ "file": path.to_string_lossy(), "checked": check, "shrunk": found.shrunk });
        keys.insert("lock".into(), lock);
    }
    Ok(Printed::Json(object))
}

fn describe(measured: &Measured) -> String {
    let number = |n: Option<u64>| n.map_or("-".into(), text::thousands);
    let micros = |t: Option<f64>| t.map_or("-".into(), |t| format!("{t:.1}"));
    let per_mac = |n: Option<u64>, macs: u64| match n {
        Some(n) if macs > 0 => format!("{:.2}", n as f64 / macs as f64),
        _ => "-".into(),
    };
    let macs: u64 = measured.layers.iter().map(|layer| layer.macs).sum();
    let columns = [
        Column::Right("#"),
        Column::Left("layer"),
        Column::Left("operator"),
        Column::Left("path"),
        Column::Right("MACs"),
        Column::Right("instructions"),
        Column::Right("per MAC"),
        Column::Right("cycles"),
        Column::Right("per MAC"),
        Column::Right("µs"),
    ];
    let mut rows: Vec<Vec<String>> = measured
        .layers
        .iter()
        .map(|layer| {
            vec![
                layer.index.to_string(),
                text::layer(&layer.name),
                layer.op.clone(),
                layer.path.clone(),
                if layer.macs == 0 { "-".into() } else { text::thousands(layer.macs) },
                number(layer.instructions),
                per_mac(layer.instructions, layer.macs),
                number(layer.cycles),
                per_mac(layer.cycles, layer.macs),
                micros(layer.wall_us),
            ]
        })
        .collect();
    rows.push(vec![
        String::new(),
        "whole inference".into(),
        String::new(),
        String::new(),
        text::thousands(macs),
        number(measured.instructions),
        per_mac(measured.instructions, macs),
        number(measured.cycles),
        per_mac(measured.cycles, macs),
        micros(measured.wall_us),
    ]);
    let mut out = format!("One inference on {}\n\n{}\n\n", measured.board, text::table(&columns, rows));
    let lines = [
        ("initialisation", number(measured.init_instructions), "instructions"),
        ("stack", number(measured.stack_bytes), "bytes"),
        ("arena", text::count(measured.arena_bytes), "bytes"),
        ("model", text::count(measured.model_bytes), "bytes"),
        ("runtime flash", number(measured.runtime_flash_bytes), "bytes"),
        ("read from flash", number(measured.flash_words), "words of data"),
    ];
    for (name, value, unit) in lines.into_iter().filter(|(_, value, _)| value != "-") {
        out += &format!("  {name:<16} {value:>12} {unit}\n");
    }
    if let Some(Latency { clock_hz, flash_wait, ms, microjoules, error }) = &measured.latency {
        let mhz = clock_hz / 1e6;
        out += &format!("  {:<16} {ms:>12.3} ms at {mhz} MHz", "latency, estimated");
        if *flash_wait > 0 {
            out += &format!(", {flash_wait} cycles for each word of data from flash");
        }
        out += "\n";
        if let Some(microjoules) = microjoules {
            out += &format!("  {:<16} {microjoules:>12.1} µJ\n", "energy, estimated");
        }
        out += &format!("  {error}\n");
    }
    if let Some(reason) = &measured.no_cycles {
        out += &format!("  no modelled cycles: {reason}\n");
    }
    let layers = measured.layers.iter();
    out +=
        &slow_layers(layers.map(|layer| (layer.index, layer.name.as_str(), layer.slow_because.as_deref())));
    for note in &measured.notes {
        out += &format!("note: {note}\n");
    }
    out + &warnings(&measured.warnings)
}
