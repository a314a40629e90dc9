//! What layers cost: accuracy, flash, work.

use ferrolite_runtime::Target;
use maud::{Markup, html};

use super::{Facts, boxed, shorten};
use crate::data::npy::shape_text;
use crate::ops::path::paths;
use crate::text;

/// Layers whose cost is listed.
const LISTED: usize = 20;

/// Characters of a name that a table shows. The cell's title has all of it.
const NAME: usize = 48;

/// One line of costs: name, operator, alone, share, here.
struct Cost<'a> {
    name: &'a str,
    op: &'a str,
    alone: Option<f64>,
    share: Option<f64>,
    here: Option<f64>,
}

/// The layers whose quantization costs most, and the noise at each layer.
pub fn costs(facts: &Facts<'_>) -> Option<Markup> {
    let comparison = facts.study.comparison.filter(|comparison| !comparison.layers.is_empty())?;
    let inputs = comparison.inputs.iter().map(|input| Cost {
        name: &input.name,
        op: "input",
        alone: input.alone_sqnr_db,
        share: input.alone_share,
        here: None,
    });
    let layers = comparison.layers.iter().map(|layer| Cost {
        name: &layer.name,
        op: &layer.op,
        alone: layer.alone_sqnr_db,
        share: layer.alone_share,
        here: layer.sqnr_db,
    });
    let mut costs: Vec<Cost<'_>> = inputs.chain(layers).filter(|cost| cost.alone.is_some()).collect();
    let key = |cost: &Cost<'_>| cost.alone.unwrap_or(f64::INFINITY);
    costs.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let more = costs.len().saturating_sub(LISTED);
    let most = costs.iter().filter_map(|cost| cost.share).fold(f64::MIN_POSITIVE, f64::max);
    costs.truncate(LISTED);
    Some(html! {
        p.soft {
            "Alone: signal to noise of the model's outputs when this layer alone is rounded to int8 and the rest stays float; the lower, the more it costs. "
            "Share: its part of the noise of all of them. Here: signal to noise of the layer's own output after all quantized layers before it."
        }
        (boxed(html! {
            table {
                thead {
                    tr {
                        th.name scope="col" { "layer" } th.n scope="col" { "alone" }
                        th.n scope="col" { "share" } th.n scope="col" { "here" }
                    }
                }
                tbody {
                    @for cost in &costs {
                        tr {
                            (named(facts, cost.name, cost.op))
                            td.n { (text::decibels(cost.alone)) }
                            (bar(text::share(cost.share), cost.share.unwrap_or(0.0) / most))
                            td.n { (text::decibels(cost.here)) }
                        }
                    }
                }
            }
        }))
        @if more > 0 { p.soft { (more) " layers that cost less are in the table below." } }
    })
}

/// All layers with their flash and work.
pub fn sizes(facts: &Facts<'_>) -> Markup {
    let flash = |layer: &crate::model_file::Layer| layer.constant_bytes + layer.program_bytes;
    let most_flash = facts.layers.iter().map(flash).max().unwrap_or(0).max(1);
    let most_macs = facts.layers.iter().map(|layer| layer.macs).max().unwrap_or(0).max(1);
    let total_flash: u64 = facts.layers.iter().map(flash).sum();
    let total_macs = facts.layers.iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    let file = facts.model.bytes().len() as u64;
    let core = facts.model.target().unwrap_or(Target::Portable);
    let paths = paths(facts.model, core);
    let compared = facts.study.comparison.map(|comparison| &comparison.layers);
    let here = |index: usize| {
        let layer = compared?.iter().find(|layer| layer.index == index)?;
        Some((layer.sqnr_db, layer.alone_sqnr_db))
    };
    html! {
        p.soft {
            "Flash is what a layer takes of the file: weights, biases, multipliers, tables and its place in the program. "
            "The file's other " (text::thousands(file.saturating_sub(total_flash))) " bytes are tensors, names and structure. "
            "MACs are multiply-accumulate operations of one inference. "
            "The path is the way through the layer on the target, " (core.name()) "."
        }
        (boxed(html! {
            table {
                thead {
                    tr {
                        th.n scope="col" { "#" } th.name scope="col" { "layer" } th.n scope="col" { "flash (bytes)" } th.n scope="col" { "MACs" }
                        th.n scope="col" { "scratch (bytes)" } th.name scope="col" { "path" }
                        @if compared.is_some() { th.n scope="col" { "here" } th.n scope="col" { "alone" } }
                    }
                }
                tbody {
                    @for (layer, path) in facts.layers.iter().zip(&paths) {
                        @let shapes: Vec<String> = layer.outputs.iter().map(|shape| shape_text(shape)).collect();
                        tr {
                            td.n { (layer.index) }
                            (named(facts, &layer.name, &format!("{} → {}", layer.op, shapes.join(", "))))
                            (bar(text::thousands(flash(layer)), flash(layer) as f64 / most_flash as f64))
                            (bar(text::thousands(layer.macs), layer.macs as f64 / most_macs as f64))
                            td.n { (text::thousands(layer.scratch_bytes)) }
                            td.name { (path.name) @if let Some(slow) = &path.slow { small { (slow) } } }
                            @if compared.is_some() {
                                @let (here, alone) = here(layer.index).unwrap_or_default();
                                td.n { (text::decibels(here)) }
                                td.n { (text::decibels(alone)) }
                            }
                        }
                    }
                }
                tfoot {
                    tr {
                        td {} th scope="row" { "all layers" }
                        td.n { (text::thousands(total_flash)) } td.n { (text::thousands(total_macs)) } td {} td {}
                        @if compared.is_some() { td {} td {} }
                    }
                }
            }
        }))
    }
}

/// A layer's name, above what the layer does.
fn named(facts: &Facts<'_>, name: &str, what: &str) -> Markup {
    html! { td.name title=(name) { (shorten(facts.short(name), NAME)) small { (what) } } }
}

/// A number, and below it a bar that shows its size.
fn bar(number: String, part: f64) -> Markup {
    html! {
        td.bar {
            (number)
            @if part > 0.0 { i style={ "width:" (format!("{:.1}", part.min(1.0) * 100.0)) "%" } {} }
        }
    }
}
