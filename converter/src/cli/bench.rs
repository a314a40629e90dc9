//! `ferrolite bench`: what an inference costs.

use serde::Serialize;

use super::Answer;
use super::args::BenchArgs;
use super::progress::Progress;
use crate::bench;
use crate::board::{self, HOST};
use crate::error::Result;
use crate::model_file::{self, ModelFile};
use crate::report::text::{self, Column};

/// The JSON object of `bench`; the keys are fixed words of the design.
#[derive(Debug, Default, Serialize)]
struct Facts {
    board: String,
    instructions: Option<u64>,
    cycles: Option<u64>,
    init_instructions: Option<u64>,
    stack_bytes: Option<u64>,
    arena_bytes: usize,
    model_bytes: usize,
    runtime_flash_bytes: Option<u64>,
    wall_us: Option<f64>,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
struct Layer {
    index: usize,
    name: String,
    op: String,
    instructions: Option<u64>,
    macs: u64,
    wall_us: Option<f64>,
}

pub fn execute(args: &BenchArgs) -> Result<Answer> {
    let file = ModelFile::read(&args.file)?;
    let model = file.model()?;
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
        macs: layer.macs,
        wall_us: None,
    };
    facts.layers = model_file::layers(&model).into_iter().map(layer).collect();
    if args.board == HOST {
        let times = bench::host(&model)?;
        facts.wall_us = Some(times.wall_us);
        for (layer, time) in facts.layers.iter_mut().zip(times.layers_us) {
            layer.wall_us = Some(time);
        }
    } else {
        let board = board::find(&args.board)?;
        let progress = Progress::endless(format!("running on {}", board.name), args.json);
        let run = board::bench(board, model.bytes(), Some(bench::inputs(&model).concat()))?;
        drop(progress);
        facts.instructions = Some(run.instructions);
        facts.init_instructions = Some(run.init_instructions);
        facts.stack_bytes = Some(run.stack_bytes.into());
        facts.runtime_flash_bytes = Some(board::runtime_flash_bytes(board, &model_file::op_codes(&model))?);
        for layer in run.layers {
            if let Some(fact) = facts.layers.get_mut(layer.index) {
                fact.instructions = Some(layer.instructions);
            }
        }
    }
    if args.json {
        return Answer::json(&facts);
    }
    Ok(Answer::Text(describe(&facts)))
}

fn describe(facts: &Facts) -> String {
    let number = |n: Option<u64>| n.map_or("-".into(), text::thousands);
    let micros = |t: Option<f64>| t.map_or("-".into(), |t| format!("{t:.1}"));
    let mut out = format!("One inference on {}\n", facts.board);
    let lines = [
        ("instructions", number(facts.instructions)),
        ("cycles (modelled)", number(facts.cycles)),
        ("start instructions", number(facts.init_instructions)),
        ("time", facts.wall_us.map_or("-".into(), |t| format!("{t:.1} µs"))),
        ("stack", number(facts.stack_bytes)),
        ("arena", text::count(facts.arena_bytes)),
        ("model", text::count(facts.model_bytes)),
        ("runtime flash", number(facts.runtime_flash_bytes)),
    ];
    for (name, value) in lines.into_iter().filter(|(_, value)| value != "-") {
        out += &format!("  {name:<20} {value:>16}\n");
    }
    let columns = [
        Column::Right("#"),
        Column::Left("layer"),
        Column::Left("operator"),
        Column::Right("MACs"),
        Column::Right("instructions"),
        Column::Right("µs"),
    ];
    let rows = facts.layers.iter().map(|layer| {
        vec![
            layer.index.to_string(),
            text::layer(&layer.name),
            layer.op.clone(),
            text::thousands(layer.macs),
            number(layer.instructions),
            micros(layer.wall_us),
        ]
    });
    out + "\n" + &text::table(&columns, rows) + "\n"
}
