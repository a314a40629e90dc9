//! Golden figures: what models of all kinds cost on four cores, in the lock files of `tests/models/locks`
//! ([`ferrolite::bench::lock`]), so that a review shows every change of speed and size, and in which layers.
//!
//! ```text
//! bench --golden            renews the locks
//! bench --golden --check    fails where a figure differs by more than Tolerance::RENEWED
//! ```

use anyhow::{Context, Result, anyhow, bail};
use ferrolite::bench::lock::{Comparison, Lock, Tolerance};
use ferrolite::bench::{inputs, of_run};
use ferrolite::board::{self, BatchItem, Board, RunOptions};
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::emit::{self, Options};
use ferrolite::graph::{Graph, ValueId};
use ferrolite::model_file::ModelFile;
use ferrolite_runtime::{Model, Target};

use crate::common::{gru::gru, stream};
use crate::layers::Layer;
use crate::measure::{self, message};
use crate::root;

const FOLDER: &str = "tests/models/locks";

const BOARDS: [&str; 4] = ["qemu-cortex-m3", "qemu-cortex-m4", "qemu-cortex-m55", "qemu-riscv32"];

/// Where a model is from.
enum Source {
    /// A file below `tests`.
    File(&'static str),
    /// Layers of random numbers, each on what the one before makes (`layers.rs`).
    Layers(&'static [&'static str]),
    /// An unrolled recurrent network of so many steps.
    Gru(usize),
    /// A window over a stream, kept as state, and a dense layer.
    Stream,
}

/// The models, by the names of their locks.
const MODELS: [(&str, Source); 14] = [
    ("sine", Source::File("models/sine/sine_int8_tf.tflite")),
    ("digits_mlp", Source::File("models/digits_mlp/digits_mlp_int8_tf.tflite")),
    ("watch_conv1d", Source::File("models/watch_conv1d/watch_conv1d_int8_tf.tflite")),
    ("mnist_cnn", Source::File("models/mnist_cnn/mnist_cnn_int8_tf.tflite")),
    ("fashion_dsres", Source::File("models/fashion_dsres/fashion_dsres_int8_tf.tflite")),
    ("int4_dense", Source::File("vectors/fully_connected/int4_wide.tflite")),
    ("int16_sums", Source::File("vectors/graphs/int16_sums.tflite")),
    ("attention", Source::File("vectors/graphs/attention.tflite")),
    ("squeeze_and_excite", Source::File("vectors/graphs/squeeze_and_excite.tflite")),
    ("if_threshold", Source::File("vectors/if/threshold.tflite")),
    ("gru", Source::Gru(4)),
    ("stream", Source::Stream),
    (
        "mobile",
        Source::Layers(&[
            "conv_2d 32x32x3 3x3/2 8",
            "depthwise_conv_2d 16x16x8 5x5/2",
            "conv_2d 8x8x8 1x1/1 24",
            "depthwise_conv_2d 8x8x24 3x3/1",
            "conv_2d 8x8x24 1x1/1 20",
            "fully_connected 1280 10",
        ]),
    ),
    (
        "unusual",
        Source::Layers(&[
            "conv_2d 12x12x8 3x3/1 16 some=multiplier",
            "depthwise_conv_2d 12x12x16 7x1/1 some=multiplier",
            "conv_2d 12x12x16 3x3/1 12 dilation=2",
            "conv_2d 12x12x12 1x1/2 24 groups=2",
            "fully_connected 864 9 some=weight",
        ]),
    ),
];

impl Source {
    fn compile(&self, name: &str, target: Target) -> Result<ModelFile> {
        let graph = match *self {
            Source::File(path) => {
                let options = ConvertOptions { target, ..ConvertOptions::default() };
                return Ok(convert(&root().join("tests").join(path), &options, &()).map_err(message)?.file);
            }
            Source::Stream => {
                return Ok(ModelFile::from_bytes(name, stream::program().file().bytes()));
            }
            Source::Layers(lines) => chain(lines)?,
            Source::Gru(steps) => gru(steps),
        };
        let emitted = emit::compile(&graph, &Options { target, ..Options::default() }).map_err(message)?;
        Ok(ModelFile::from_bytes(name, &emitted.bytes))
    }
}

/// Layers one behind the other.
fn chain(lines: &[&str]) -> Result<Graph> {
    let mut all = Graph::default();
    for (number, line) in lines.iter().enumerate() {
        let graph = Layer::parse(line)?.graph()?;
        let base = all.values.len();
        let (first, last) = (graph.inputs[0], all.outputs.first().copied());
        let place = |id: ValueId| match last {
            Some(last) if id == first => last,
            _ => ValueId(id.0 + base),
        };
        for mut node in graph.nodes {
            node.name = format!("{number} {line}");
            node.inputs = node.inputs.into_iter().map(|id| id.map(place)).collect();
            node.outputs = node.outputs.into_iter().map(place).collect();
            all.nodes.push(node);
        }
        if number == 0 {
            all.inputs = graph.inputs;
        }
        all.outputs = graph.outputs.into_iter().map(place).collect();
        all.values.extend(graph.values);
    }
    ferrolite::passes::optimise(&mut all);
    Ok(all)
}

/// Renews the locks, or checks that they are up to date.
pub fn run(check: bool) -> Result<()> {
    let mut locks = MODELS.iter().map(|(name, _)| read(name)).collect::<Result<Vec<Lock>>>()?;
    let mut changed = Comparison::default();
    for board in crate::boards(|board| BOARDS.contains(&board.name)) {
        let target = measure::target(board)?;
        let compiled = MODELS.iter().map(|(name, source)| source.compile(name, target).context(*name));
        let files: Vec<ModelFile> = compiled.collect::<Result<_>>()?;
        measured(board, &files, &mut locks, check, &mut changed)?;
    }
    for line in changed.grown.iter().chain(&changed.shrunk) {
        println!("{line}");
    }
    let count = changed.grown.len() + changed.shrunk.len();
    if !check {
        std::fs::create_dir_all(root().join(FOLDER)).context(FOLDER)?;
        for ((name, _), lock) in MODELS.iter().zip(&locks) {
            std::fs::write(path(name), lock.text()).context(*name)?;
        }
        println!("wrote {FOLDER}");
    } else if count > 0 {
        bail!("{count} figures differ from {FOLDER}; `cargo xtask bench --golden` renews them");
    } else {
        println!("the figures of {} models are as {FOLDER} says", MODELS.len());
    }
    Ok(())
}

/// Runs the models on a board; takes the figures into the locks, or compares them.
fn measured(
    board: &'static Board,
    files: &[ModelFile],
    locks: &mut [Lock],
    check: bool,
    changed: &mut Comparison,
) -> Result<()> {
    let inputs: Vec<Vec<Vec<u8>>> =
        files.iter().map(|file| Ok(vec![inputs(&model(file)?).concat()])).collect::<Result<_>>()?;
    let options = RunOptions { layers: true, cycles: board.timing.is_some(), ..RunOptions::default() };
    let items: Vec<BatchItem<'_>> = files
        .iter()
        .zip(&inputs)
        .map(|(file, inputs)| BatchItem { model: file.bytes(), inputs, options })
        .collect();
    let runs = board::run_batch(board, &items).map_err(message)?;
    for (((file, run), lock), (name, _)) in files.iter().zip(runs).zip(locks).zip(&MODELS) {
        let run = run.map_err(|error| anyhow!("{name} on {}: {}", board.name, error.message))?;
        let now = of_run(&model(file)?, board, &run).map_err(message)?;
        match lock.compare(&now, Tolerance::RENEWED) {
            Ok(found) => {
                let told = |line: String| format!("{name}: {line}");
                changed.grown.extend(found.grown.into_iter().map(told));
                changed.shrunk.extend(found.shrunk.into_iter().map(told));
            }
            Err(error) if check => bail!("{name}: {}", error.message),
            Err(_) => {}
        }
        lock.set(&now);
    }
    Ok(())
}

/// A file as the device reads it; not all of them have a checksum.
fn model(file: &ModelFile) -> Result<Model<'_>> {
    Model::from_bytes(file.bytes()).map_err(|error| anyhow!("{}: {error}", file.name()))
}

fn path(name: &str) -> std::path::PathBuf {
    root().join(FOLDER).join(format!("{name}.lock"))
}

/// A lock; an empty one where there is none.
fn read(name: &'static str) -> Result<Lock> {
    match std::fs::read_to_string(path(name)) {
        Ok(text) => Lock::parse(&text).map_err(message).context(name),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Lock::default()),
        Err(error) => Err(error).context(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each model is one for every core, and each lock has every board.
    #[test]
    fn locks_are_of_all_models_and_boards() {
        for (name, source) in &MODELS {
            assert_eq!(read(name).unwrap().boards(), BOARDS, "{name}");
            let file = source.compile(name, Target::CortexM4).unwrap();
            assert!(!model(&file).unwrap().ops().is_empty(), "{name}");
        }
        let files = std::fs::read_dir(root().join(FOLDER)).unwrap().count();
        assert_eq!(files, MODELS.len());
    }
}
