//! `ferrolite inspect`: shows what is in a `.ferro` file or in a trained model.

use std::fmt::Write;

use super::args::InspectArgs;
use super::{Printed, slow_layers, warnings};
use crate::data::npy::shape_text;
use crate::error::Result;
use crate::facts::Facts;
use crate::model_file::ModelFile;
use crate::report::memory_map;
use crate::text::{self, Column};

pub fn execute(args: &InspectArgs) -> Result<Printed> {
    let facts = Facts::read(&args.file, &args.source.options())?;
    if args.json {
        return Printed::json(&facts);
    }
    let mut out = describe(&facts);
    if ModelFile::claims(&args.file) {
        let file = ModelFile::read(&args.file)?;
        out = out + "\n" + &memory_map::draw(&file.model()?);
    }
    Ok(Printed::Text(out))
}

/// The facts as text.
fn describe(facts: &Facts) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", if facts.name.is_empty() { "Model" } else { &facts.name });
    let source = match facts.source_hash.get(..16) {
        Some(start) => format!("SHA-256 {start}…"),
        None => "not recorded".into(),
    };
    let mut lines = Vec::new();
    if facts.arena_bytes.is_none() {
        lines.push(("format", facts.format.clone()));
    }
    let (file, constants) = (text::thousands(facts.model_bytes), text::thousands(facts.weight_bytes));
    if facts.arena_bytes.is_some() {
        lines.push(("file", format!("{file} bytes, {constants} of them constants")));
    } else {
        // Those of a checkpoint or of external data lie in other files, and a file may have them compressed.
        lines.push(("file", format!("{file} bytes")));
        lines.push(("constants", format!("{constants} bytes")));
    }
    lines.extend(facts.parameters.map(|count| ("parameters", text::thousands(count))));
    lines.extend(facts.arena_bytes.map(|bytes| ("arena", format!("{} bytes", text::count(bytes)))));
    for memory in &facts.memories {
        let of = memory.bytes.map_or(String::new(), |bytes| format!(" of {}", text::thousands(bytes)));
        let used = text::thousands(memory.used);
        lines.push(("memory", format!("{}: {used}{of} bytes", memory.name)));
    }
    lines.push(("work", format!("{} multiply-accumulates", text::thousands(facts.macs))));
    lines.extend(facts.target.clone().map(|target| ("target", target)));
    lines.extend(facts.rounding.map(|rounding| ("rounding", rounding.to_string())));
    lines.push(("source", source));
    if facts.arena_bytes.is_some() {
        lines.push(("self-test", if facts.self_test { "recorded" } else { "none" }.to_string()));
    } else {
        let verdict = match facts.unsupported.len() {
            0 => "all layers can be converted".into(),
            1 => "1 layer cannot be converted".into(),
            count => format!("{count} layers cannot be converted"),
        };
        lines.push(("convert", verdict));
    }
    for (name, value) in lines {
        let _ = writeln!(out, "  {name:<10} {value}");
    }
    for note in &facts.notes {
        let _ = writeln!(out, "  - {note}");
    }
    out += &warnings(&facts.warnings);
    if !facts.unsupported.is_empty() {
        let columns = [Column::Left("cannot be converted"), Column::Left("operator"), Column::Left("reason")];
        let rows = facts.unsupported.iter();
        let rows = rows.map(|l| vec![text::layer(&l.name), l.op.clone(), l.reason.clone()]);
        let _ = writeln!(out, "\n{}", text::table(&columns, rows));
    }

    let ports = facts.inputs.iter().map(|p| ("input", p)).chain(facts.outputs.iter().map(|p| ("output", p)));
    let ports = ports.chain(facts.variables.iter().map(|p| ("variable", p)));
    let columns = [
        Column::Left(""),
        Column::Left("name"),
        Column::Left("shape"),
        Column::Left("type"),
        Column::Right("scale"),
        Column::Right("zero point"),
    ];
    let rows = ports.map(|(kind, port)| {
        vec![
            kind.to_string(),
            port.name.clone(),
            shape_text(&port.shape),
            port.dtype.to_string(),
            port.scale.map_or("-".into(), |s| s.to_string()),
            port.zero_point.map_or("-".into(), |z| z.to_string()),
        ]
    });
    let _ = writeln!(out, "\n{}", text::table(&columns, rows));

    if !facts.entries.is_empty() {
        let names = |ports: &[crate::facts::PortJson]| {
            let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            if names.is_empty() { "-".to_string() } else { names.join(", ") }
        };
        let columns = [
            Column::Left("entry"),
            Column::Left("inputs"),
            Column::Left("outputs"),
            Column::Right("layers"),
            Column::Right("MACs"),
        ];
        let rows = facts.entries.iter().map(|entry| {
            let (inputs, outputs) = (names(&entry.inputs), names(&entry.outputs));
            vec![entry.name.clone(), inputs, outputs, entry.layers.to_string(), text::thousands(entry.macs)]
        });
        let _ = writeln!(out, "\n{}", text::table(&columns, rows));
    }

    let columns = [
        Column::Right("#"),
        Column::Left("layer"),
        Column::Left("operator"),
        Column::Left("output"),
        Column::Right("MACs"),
        Column::Right("constants"),
        Column::Right("scratch"),
        Column::Left("path"),
    ];
    let rows = facts.ops.iter().map(|op| {
        let shapes: Vec<String> = op.outputs.iter().map(|shape| shape_text(shape)).collect();
        vec![
            op.index.to_string(),
            text::layer(&op.name),
            op.op.clone(),
            shapes.join(", "),
            text::thousands(op.macs),
            text::thousands(op.constant_bytes),
            op.scratch_bytes.map_or("-".into(), text::thousands),
            op.path.clone().unwrap_or("-".into()),
        ]
    });
    let _ = writeln!(out, "\n{}", text::table(&columns, rows));
    out + &slow_layers(facts.ops.iter().map(|op| (op.index, op.name.as_str(), op.slow_because.as_deref())))
}
