//! How fast the float reference is, layer kind by layer kind, on one thread:
//!
//! ```text
//! cargo bench -p ferrolite --bench reference [-- --layers] [MODEL …]
//! ```
//! Each model runs whole, so that a layer finds the caches as its predecessor left them, and what a layer takes is
//! the time from the end of the one before it: allocation of its output included. The figure is of the fastest of
//! many runs; a multiplication with its addition counts as two floating point operations. `--layers` prints each
//! layer of its own. Without arguments the shared collection's models are measured.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ferrolite::graph::Conv2d;
use ferrolite::graph::{Graph, Node, Op};
use ferrolite::ops::macs;
use ferrolite::reference::Executor;
use ferrolite::{import, passes};

/// How long a model is measured.
const TIME: Duration = Duration::from_millis(1500);

const MODELS: [&str; 4] = [
    "real/pretrainedResnet_float.tflite",
    "trained/fashion_dsres/fashion_dsres_float.tflite",
    "trained/mnist_cnn/mnist_cnn_float.tflite",
    "trained/watch_conv1d/watch_conv1d_float.tflite",
];

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let each = arguments.iter().any(|argument| argument == "--layers");
    let mut models: Vec<PathBuf> =
        arguments.iter().filter(|a| !a.starts_with('-')).map(PathBuf::from).collect();
    if models.is_empty() {
        let Some(folder) = ferrolite_shared::models() else { return };
        models = MODELS.iter().map(|model| folder.join(model)).collect();
    }
    println!("| model | layers | MACs | µs | GFLOP/s |");
    println!("|---|---|--:|--:|--:|");
    for path in models {
        if let Err(error) = measure(&path, each) {
            eprintln!("{}: {error}", path.display());
        }
    }
}

/// Prints one line for each kind of layer that multiplies, or for each such layer, and one for the rest.
fn measure(path: &Path, each: bool) -> ferrolite::Result<()> {
    let mut graph = import::load(path)?.graph;
    passes::optimise(&mut graph);
    let micros = fastest(&graph)?;
    let model = path.file_stem().unwrap_or_default().to_string_lossy();
    let print = |layers: &str, macs: u64, micros: f64| match macs {
        0 => println!("| {model} | {layers} | | {micros:.1} | |"),
        _ => println!(
            "| {model} | {layers} | {macs} | {micros:.1} | {:.2} |",
            2.0 * macs as f64 / micros / 1e3
        ),
    };
    let mut kinds: Vec<(&str, u64, f64)> = Vec::new();
    for (node, micros) in graph.nodes.iter().zip(micros) {
        let macs = macs(&graph, node);
        let kind = kind(&graph, node);
        if each {
            let output = node.outputs.first().map(|&id| &graph.value(id).shape);
            let filter = node.input(1).map(|id| &graph.value(id).shape);
            print(&format!("{kind} {filter:?} -> {output:?}"), macs, micros);
            continue;
        }
        match kinds.iter_mut().find(|(name, ..)| *name == kind) {
            Some(found) => (found.1, found.2) = (found.1 + macs, found.2 + micros),
            None => kinds.push((kind, macs, micros)),
        }
    }
    kinds.iter().for_each(|&(kind, macs, micros)| print(kind, macs, micros));
    Ok(())
}

fn kind(graph: &Graph, node: &Node) -> &'static str {
    match &node.op {
        Op::Conv2d(Conv2d { window, .. }) if window.kernel == [1, 1] => "convolution 1x1",
        Op::Conv2d(_) => "convolution",
        Op::DepthwiseConv2d(_) => "depthwise",
        Op::FullyConnected(_) => "dense",
        _ if macs(graph, node) > 0 => "other products",
        _ => "all others",
    }
}

/// The shortest time that each node took in many runs, in microseconds.
fn fastest(graph: &Graph) -> ferrolite::Result<Vec<f64>> {
    let executor = Executor::new(graph)?;
    // Values of both signs, none of them zero.
    let inputs: Vec<Vec<f32>> = graph
        .inputs
        .iter()
        .map(|&id| (0..graph.value(id).elements()).map(|i| (i % 17) as f32 / 8.0 - 1.03).collect())
        .collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut shortest = vec![f64::INFINITY; graph.nodes.len()];
    let start = Instant::now();
    let mut runs = 0;
    while runs < 20 || start.elapsed() < TIME {
        runs += 1;
        let mut ends = Vec::with_capacity(graph.nodes.len() + graph.inputs.len());
        // Shown are the inputs, then each node's outputs; of several outputs the first one ends the node.
        executor.run_observed(&inputs, &mut |id, _| ends.push((id, Instant::now())))?;
        let mut begin = ends[graph.inputs.len() - 1].1;
        for (node, shortest) in graph.nodes.iter().zip(&mut shortest) {
            let end = ends.iter().find(|(id, _)| node.outputs.first() == Some(id)).map_or(begin, |end| end.1);
            *shortest = shortest.min((end - begin).as_secs_f64() * 1e6);
            begin = end;
        }
    }
    Ok(shortest)
}
