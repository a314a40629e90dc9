//! Draws the graph.

use std::collections::HashMap;
use std::fmt::Write;

use maud::{Markup, html};

use super::layout::layout;
use super::{Facts, shorten};
use crate::data::npy::shape_text;
use crate::model_file;
use crate::text;

/// Size of a node, and distance between layers, in pixels.
const WIDTH: f32 = 240.0;
const HEIGHT: f32 = 42.0;
const STEP: f32 = 70.0;
const MARGIN: f32 = 8.0;

/// Characters of a name that fit into a node.
const NAME: usize = 34;

/// A box of the drawing.
struct Shape {
    class: &'static str,
    title: String,
    left: String,
    right: String,
    below: String,
}

pub fn section(facts: &Facts<'_>) -> Markup {
    let (shapes, edges) = nodes(facts);
    let layout = layout(shapes.len(), &edges);
    let x = |column: f32| MARGIN + WIDTH / 2.0 + column * WIDTH;
    let y = |layer: usize| MARGIN + layer as f32 * STEP;
    let width = layout.width * WIDTH + WIDTH + 2.0 * MARGIN;
    let height = layout.layers.saturating_sub(1) as f32 * STEP + HEIGHT + 2.0 * MARGIN;
    let curve = |way: &Vec<(f32, usize)>| {
        let mut path = String::new();
        for (index, pair) in way.windows(2).enumerate() {
            let (from, to) = (pair[0], pair[1]);
            // A long edge is straight beside the nodes that it passes, and bends between the layers.
            let start = y(from.1) + HEIGHT;
            let end = y(to.1) - if index + 2 == way.len() { 5.0 } else { 0.0 };
            let (a, b, middle) = (x(from.0), x(to.0), (start + end) / 2.0);
            let command = if index == 0 { 'M' } else { 'L' };
            // Writing to a string does not fail.
            let _ = write!(
                path,
                "{command}{a:.1} {start:.1}C{a:.1} {middle:.1} {b:.1} {middle:.1} {b:.1} {end:.1}"
            );
        }
        path
    };
    let tip = |way: &Vec<(f32, usize)>| {
        let (column, layer) = way.last().copied().unwrap_or_default();
        let (x, y) = (x(column), y(layer));
        format!("M{:.1} {:.1}h8l-4 6z", x - 4.0, y - 6.0)
    };
    html! {
        p.soft {
            "What the device runs, from the inputs (top) to the outputs (bottom): operator, output shape, layer. "
            "Convolutions are blue, depthwise ones green, dense layers violet, layers of several inputs yellow."
        }
        div.box.tall tabindex="0" {
            svg role="img" aria-label=(format!("Graph of {} layers", facts.layers.len()))
                width=(format!("{width:.0}")) height=(format!("{height:.0}"))
                viewBox=(format!("0 0 {width:.0} {height:.0}")) {
                @for way in &layout.edges { path.edge d=(curve(way)) {} path.tip d=(tip(way)) {} }
                @for (shape, &(column, layer)) in shapes.iter().zip(&layout.nodes) {
                    g transform=(format!("translate({:.1} {:.1})", x(column) - WIDTH / 2.0, y(layer))) {
                        title { (shape.title) }
                        rect class={ "node " (shape.class) } width=(WIDTH) height=(HEIGHT) rx="6" {}
                        text.op x="8" y="17" { (shape.left) }
                        text.shape x=(WIDTH - 8.0) y="17" text-anchor="end" { (shape.right) }
                        text x="8" y="33" { (shape.below) }
                    }
                }
            }
        }
    }
}

/// The boxes of inputs, ops and outputs, and the edges between them as pairs of indices, upwards.
fn nodes(facts: &Facts<'_>) -> (Vec<Shape>, Vec<(usize, usize)>) {
    let model = facts.model;
    let mut shapes = Vec::new();
    let mut edges = Vec::new();
    let mut writers: HashMap<u32, usize> = HashMap::new();
    let port = |kind: &str, facts: &model_file::PortFacts| Shape {
        class: "port",
        title: format!("{kind} {}: {} {}", facts.name, shape_text(&facts.shape), facts.dtype.name()),
        left: kind.to_string(),
        right: fit(shape_text(&facts.shape)),
        below: shorten(&facts.name, NAME),
    };
    for (input, facts) in model.inputs().iter().zip(model_file::inputs(model)) {
        writers.insert(input.tensor, shapes.len());
        shapes.push(port("input", &facts));
    }
    for (layer, op) in facts.layers.iter().zip(model.ops()) {
        let operands = model.operands(op);
        let (inputs, outputs) = operands.split_at(usize::from(op.inputs).min(operands.len()));
        let mut from: Vec<usize> = inputs.iter().filter_map(|&id| writers.get(&id.into())).copied().collect();
        from.sort_unstable();
        from.dedup();
        let class = match layer.op.as_str() {
            "CONV_2D" | "TRANSPOSE_CONV" | "BATCH_MATMUL" => "heavy",
            "DEPTHWISE_CONV_2D" => "depthwise",
            "FULLY_CONNECTED" => "dense",
            _ if from.len() > 1 => "join",
            _ => "other",
        };
        let shape = layer.outputs.iter().map(|shape| shape_text(shape)).collect::<Vec<_>>().join(", ");
        let title = format!(
            "{} {}: {}, {} MACs, {} bytes of constants",
            layer.op,
            layer.name,
            shape,
            text::thousands(layer.macs),
            text::thousands(layer.constant_bytes)
        );
        edges.extend(from.into_iter().map(|from| (from, shapes.len())));
        writers.extend(outputs.iter().map(|&id| (id.into(), shapes.len())));
        let (left, below) = (layer.op.clone(), shorten(facts.short(&layer.name), NAME));
        shapes.push(Shape { class, title, left, right: fit(shape), below });
    }
    for (output, facts) in model.outputs().iter().zip(model_file::outputs(model)) {
        edges.extend(writers.get(&output.tensor).map(|&from| (from, shapes.len())));
        shapes.push(port("output", &facts));
    }
    (shapes, edges)
}

/// Shortens a shape so that it fits beside the operator's name.
fn fit(shape: String) -> String {
    const MOST: usize = 16;
    if shape.chars().count() <= MOST { shape } else { shape.chars().take(MOST - 1).chain(['…']).collect() }
}
