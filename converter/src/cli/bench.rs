//! `ferrolite bench`: what an inference costs.

use super::args::BenchArgs;
use super::bars::Bars;
use super::{Answer, warnings};
use crate::bench::{self, Chip, Latency, Measured};
use crate::error::Result;
use crate::model_file::ModelFile;
use crate::text::{self, Column};

pub fn execute(args: &BenchArgs) -> Result<Answer> {
    let file = ModelFile::read(&args.file)?;
    let chip = args.clock.map(|clock_hz| Chip { clock_hz, flash_wait: args.flash_wait });
    let measured = bench::measure(&file.model()?, &args.board, chip, &Bars::new(args.json))?;
    if args.json {
        if let Some(reason) = &measured.no_cycles {
            eprintln!("no modelled cycles: {reason}");
        }
        return Answer::json(&measured);
    }
    Ok(Answer::Text(describe(&measured)))
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
    if let Some(Latency { clock_hz, flash_wait, ms, error }) = &measured.latency {
        let mhz = clock_hz / 1e6;
        out += &format!("  {:<16} {ms:>12.3} ms at {mhz} MHz", "latency, estimated");
        if *flash_wait > 0 {
            out += &format!(", {flash_wait} cycles for each word of data from flash");
        }
        out += &format!("\n  {error}\n");
    }
    if let Some(reason) = &measured.no_cycles {
        out += &format!("  no modelled cycles: {reason}\n");
    }
    for note in &measured.notes {
        out += &format!("note: {note}\n");
    }
    out + &warnings(&measured.warnings)
}
