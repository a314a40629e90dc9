//! Renews the prices of the ways through operators (`converter/src/ops/prices.txt`): on each board, layers of usual
//! shapes with weights packed for its core, for no core and for another one, and the median of each way.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use ferrolite::aligned::AlignedBuf;
use ferrolite::board::{self, BatchItem, Board, RunOptions};
use ferrolite::emit::{self, Options};
use ferrolite::ops::path::paths;
use ferrolite_runtime::{Model, Target};

use crate::layers::{Layer, input};
use crate::{measure, root};

const FILE: &str = "converter/src/ops/prices.txt";

/// Usual shapes, and those that are off the fastest way of some core.
const LAYERS: &str = "\
conv_2d 16x16x64 1x1/1 64
conv_2d 16x16x16 3x3/1 16
conv_2d 16x16x32 3x3/2 32
conv_2d 6x6x128 1x1/1 128
conv_2d 16x16x16 3x3/1 16 dilation=2
conv_2d 16x16x64 1x1/1 64 some=multiplier
conv_2d 16x16x16 3x3/1 16 some=multiplier
conv_2d 6x6x128 1x1/1 128 some=multiplier
depthwise_conv_2d 16x16x24 3x3/1
depthwise_conv_2d 24x24x16 3x3/1
depthwise_conv_2d 16x16x24 3x3/2
depthwise_conv_2d 16x16x21 3x3/1
depthwise_conv_2d 16x16x24 3x3/1 valid
depthwise_conv_2d 16x16x24 3x3/1 batch=2
depthwise_conv_2d 16x16x24 5x5/1
depthwise_conv_2d 16x16x16 7x7/1
depthwise_conv_2d 49x1x16 9x1/1
depthwise_conv_2d 49x1x16 3x3/1
depthwise_conv_2d 16x16x24 3x3/1 dilation=2
conv_2d 16x16x64 1x1/1 64 some=multiplier
conv_2d 8x8x64 3x3/1 64 some=multiplier
depthwise_conv_2d 16x16x24 3x3/1 some=multiplier
fully_connected 256 64 some=multiplier
fully_connected 256 64
fully_connected 640 128
fully_connected 128 10
fully_connected 256 64 some=multiplier
fully_connected 640 128 some=multiplier
";

const HEADING: &str = "\
# What a multiply-accumulate takes on each way through an operator, the median of a few layers: modelled cycles, or
# instructions where cycles are not modelled. `cargo xtask bench --prices` renews it.
# core operator price way
";

/// Measures on the boards that are there, and writes the file; lines of other cores stay.
pub fn run(boards: &[&'static Board]) -> Result<()> {
    let path = root().join(FILE);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let cores: Vec<&str> =
        boards.iter().map(|board| measure::target(board).map(Target::name)).collect::<Result<_>>()?;
    let kept = before.lines().filter(|line| {
        !line.starts_with('#') && !line.split(' ').next().is_some_and(|core| cores.contains(&core))
    });
    let mut lines: Vec<String> = kept.map(str::to_string).collect();
    for board in boards {
        lines.extend(prices(board)?);
    }
    let place = |line: &String| {
        let core = line.split(' ').next().unwrap_or_default();
        Target::ALL.iter().position(|target| target.name() == core)
    };
    lines.sort_by_key(place);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    print!("{text}");
    std::fs::write(&path, format!("{HEADING}{text}")).context(FILE)?;
    println!("wrote {FILE}");
    Ok(())
}

fn prices(board: &'static Board) -> Result<Vec<String>> {
    let core = measure::target(board)?;
    let other = if core == Target::CortexM3 { Target::CortexM4 } else { Target::CortexM3 };
    let mut files: Vec<(Layer, AlignedBuf)> = Vec::new();
    for line in LAYERS.lines() {
        let layer = Layer::parse(line)?;
        let mut graph = layer.graph()?;
        ferrolite::passes::optimise(&mut graph);
        for target in [core, Target::Portable, other] {
            let emitted = emit::compile(&graph, &Options { target, ..Options::default() });
            let bytes = emitted.map_err(measure::message)?.bytes;
            files.push((layer.clone(), AlignedBuf::from_bytes(&bytes)));
        }
    }
    let inputs: Vec<Vec<Vec<u8>>> = files.iter().map(|(layer, _)| input(layer)).collect();
    let options = RunOptions { cycles: board.timing.is_some(), layers: true, ..RunOptions::default() };
    let items: Vec<BatchItem<'_>> = files
        .iter()
        .zip(&inputs)
        .map(|((_, file), inputs)| BatchItem { model: file, inputs, options })
        .collect();
    let runs = board::run_batch(board, &items).map_err(measure::message)?;
    let mut found: BTreeMap<(&str, String), Vec<f64>> = BTreeMap::new();
    for ((layer, file), run) in files.iter().zip(runs) {
        // Boards with little memory take fewer of the layers.
        let Ok(run) = run else { continue };
        let model = Model::from_bytes(file).map_err(|error| anyhow!("{error}"))?;
        // Passes may have added ops around the layer.
        let cost = |layer: &board::LayerRun| layer.modelled.map_or(layer.instructions, |cost| cost.cycles);
        let Some((path, run)) =
            paths(&model, core).into_iter().zip(&run.layers).max_by_key(|(_, run)| cost(run))
        else {
            continue;
        };
        found
            .entry((layer.op(), path.priced))
            .or_default()
            .push(cost(run) as f64 / layer.macs().max(1) as f64);
    }
    let line = |((op, path), mut prices): ((&str, String), Vec<f64>)| {
        prices.sort_by(f64::total_cmp);
        format!("{} {op} {:.2} {path}", core.name(), prices[prices.len() / 2])
    };
    Ok(found.into_iter().map(line).collect())
}
