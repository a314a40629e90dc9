//! `ferrolite bench`: what an inference costs.

use serde::Serialize;

use super::Answer;
use super::args::BenchArgs;
use super::progress::Progress;
use crate::bench::{self, Chip};
use crate::board::{self, HOST};
use crate::error::{Error, Result};
use crate::model_file::{self, ModelFile};
use crate::report::text::{self, Column};

/// The JSON object of `bench`; the keys are fixed words of the design.
#[derive(Debug, Default, Serialize)]
struct Facts {
    board: String,
    instructions: Option<u64>,
    cycles: Option<u64>,
    flash_words: Option<u64>,
    latency: Option<Latency>,
    init_instructions: Option<u64>,
    stack_bytes: Option<u64>,
    arena_bytes: usize,
    model_bytes: usize,
    runtime_flash_bytes: Option<u64>,
    wall_us: Option<f64>,
    layers: Vec<Layer>,
    /// Why a core that is modelled has no cycles.
    #[serde(skip)]
    no_cycles: Option<String>,
}

/// An estimated time on silicon.
#[derive(Debug, Serialize)]
struct Latency {
    clock_hz: f64,
    flash_wait: u32,
    ms: f64,
    error: &'static str,
}

#[derive(Debug, Serialize)]
struct Layer {
    index: usize,
    name: String,
    op: String,
    instructions: Option<u64>,
    cycles: Option<u64>,
    flash_words: Option<u64>,
    macs: u64,
    wall_us: Option<f64>,
}

pub fn execute(args: &BenchArgs) -> Result<Answer> {
    let file = ModelFile::read(&args.file)?;
    let model = file.model()?;
    let chip = args.clock.map(|clock_hz| Chip { clock_hz, flash_wait: args.flash_wait });
    let mut facts = Facts {
        board: args.board.clone(),
        arena_bytes: model.arena_bytes(),
        model_bytes: model.bytes().len(),
        ..Facts::default()
    };
    let layer = |layer: model_file::Layer| Layer {
        index: layer.index,
        name: layer.name,
        op: layer.op,
        instructions: None,
        cycles: None,
        flash_words: None,
        macs: layer.macs,
        wall_us: None,
    };
    facts.layers = model_file::layers(&model).into_iter().map(layer).collect();
    if args.board == HOST {
        check_clock(chip, None)?;
        let times = bench::host(&model)?;
        facts.wall_us = Some(times.wall_us);
        for (layer, time) in facts.layers.iter_mut().zip(times.layers_us) {
            layer.wall_us = Some(time);
        }
    } else {
        let board = board::find(&args.board)?;
        check_clock(chip, board.timing)?;
        let progress = Progress::endless(format!("running on {}", board.name), args.json);
        let run = board::bench(board, model.bytes(), Some(bench::inputs(&model).concat()))?;
        drop(progress);
        facts.instructions = Some(run.instructions);
        facts.init_instructions = Some(run.init_instructions);
        facts.stack_bytes = Some(run.stack_bytes.into());
        facts.runtime_flash_bytes =
            Some(board::runtime_flash_bytes(board, &model_file::operators(&model, board.core_target()))?);
        match run.modelled {
            Ok(modelled) => {
                facts.cycles = Some(modelled.cycles);
                facts.flash_words = Some(modelled.flash_words);
                facts.latency = chip.map(|chip| Latency {
                    clock_hz: chip.clock_hz,
                    flash_wait: chip.flash_wait,
                    ms: chip.milliseconds(modelled),
                    error: bench::estimate_error(board),
                });
            }
            Err(reason) => facts.no_cycles = board.timing.map(|_| reason),
        }
        for layer in run.layers {
            if let Some(fact) = facts.layers.get_mut(layer.index) {
                fact.instructions = Some(layer.instructions);
                fact.cycles = layer.modelled.map(|modelled| modelled.cycles);
                fact.flash_words = layer.modelled.map(|modelled| modelled.flash_words);
            }
        }
    }
    if args.json {
        if let Some(reason) = &facts.no_cycles {
            eprintln!("no modelled cycles: {reason}");
        }
        return Answer::json(&facts);
    }
    Ok(Answer::Text(describe(&facts)))
}

/// A clock makes a time of cycles, so there must be cycles.
fn check_clock(chip: Option<Chip>, timing: Option<&str>) -> Result<()> {
    if chip.is_none() || timing.is_some() {
        return Ok(());
    }
    let modelled: Vec<&str> =
        board::BOARDS.iter().filter(|board| board.timing.is_some()).map(|board| board.name).collect();
    Err(Error::usage("--clock needs modelled cycles, and there is no timing model for this board")
        .help(format!("use it with --on {}", modelled.join(" or --on "))))
}

fn describe(facts: &Facts) -> String {
    let number = |n: Option<u64>| n.map_or("-".into(), text::thousands);
    let micros = |t: Option<f64>| t.map_or("-".into(), |t| format!("{t:.1}"));
    let per_mac = |n: Option<u64>, macs: u64| match n {
        Some(n) if macs > 0 => format!("{:.2}", n as f64 / macs as f64),
        _ => "-".into(),
    };
    let macs: u64 = facts.layers.iter().map(|layer| layer.macs).sum();
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
    let mut rows: Vec<Vec<String>> = facts
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
        number(facts.instructions),
        per_mac(facts.instructions, macs),
        number(facts.cycles),
        per_mac(facts.cycles, macs),
        micros(facts.wall_us),
    ]);
    let mut out = format!("One inference on {}\n\n{}\n\n", facts.board, text::table(&columns, rows));
    let lines = [
        ("initialisation", number(facts.init_instructions), "instructions"),
        ("stack", number(facts.stack_bytes), "bytes"),
        ("arena", text::count(facts.arena_bytes), "bytes"),
        ("model", text::count(facts.model_bytes), "bytes"),
        ("runtime flash", number(facts.runtime_flash_bytes), "bytes"),
        ("read from flash", number(facts.flash_words), "words of data"),
    ];
    for (name, value, unit) in lines.into_iter().filter(|(_, value, _)| value != "-") {
        out += &format!("  {name:<16} {value:>12} {unit}\n");
    }
    if let Some(Latency { clock_hz, flash_wait, ms, error }) = &facts.latency {
        let mhz = clock_hz / 1e6;
        out += &format!("  {:<16} {ms:>12.3} ms at {mhz} MHz", "latency, estimated");
        if *flash_wait > 0 {
            out += &format!(", {flash_wait} cycles for each word of data from flash");
        }
        out += &format!("\n  {error}\n");
    }
    if let Some(reason) = &facts.no_cycles {
        out += &format!("  no modelled cycles: {reason}\n");
    }
    out
}
