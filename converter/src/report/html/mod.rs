//! One self-contained page about a model. It shows sizes, accuracy, what each layer costs, memory, the graph,
//! how weights and activations are distributed, confusion and the worst samples. It has no scripts, loads
//! nothing, and can be read on a phone and in dark mode.

mod classes;
mod graph;
mod layers;
mod layout;
mod memory;
mod numbers;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use ferrolite_runtime::Model;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::distribution::{Distribution, distributions};
use super::footprint::{Code, Footprint};
use crate::compare::Comparison;
use crate::data::Dataset;
use crate::data::npy::shape_text;
use crate::error::Result;
use crate::graph::Graph;
use crate::model_file::{self, Layer, PortFacts};
use crate::text;

const STYLE: &str = include_str!("style.css");

/// Forbids loading anything, even by accident. The only style sheet is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// What is known about a model besides its file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Study<'a> {
    /// The trained model that it was made from.
    pub source: Option<&'a Graph>,
    /// Samples that activations are collected from.
    pub data: Option<&'a Dataset>,
    /// How it compares with its source.
    pub comparison: Option<&'a Comparison>,
    /// What the samples of the comparison are: `test`, `calibration`.
    pub samples: &'a str,
    /// What the conversion did, one sentence each.
    pub notes: &'a [String],
    /// What the user should act on, one sentence each.
    pub warnings: &'a [String],
    /// What the runtime takes on a board, if one was asked.
    pub code: Option<&'a Code>,
}

/// The data for all sections.
struct Facts<'a> {
    model: &'a Model<'a>,
    study: &'a Study<'a>,
    layers: Vec<Layer>,
    distributions: Vec<Distribution>,
    /// The prefix that most layers' names share.
    prefix: String,
}

impl Facts<'_> {
    /// A name without the shared prefix.
    fn short<'n>(&self, name: &'n str) -> &'n str {
        name.strip_prefix(&self.prefix).filter(|rest| !rest.is_empty()).unwrap_or(name)
    }
}

/// The first parts of a path (`model/block/`) that more than half of the layers share.
fn prefix(layers: &[Layer]) -> String {
    let mut prefix = String::new();
    loop {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let rests = layers.iter().filter_map(|layer| layer.name.strip_prefix(&prefix));
        for (first, _) in rests.filter_map(|rest| rest.split_once('/')) {
            *counts.entry(first).or_default() += 1;
        }
        let most = counts.into_iter().find(|&(_, count)| 2 * count > layers.len() && count > 1);
        let Some((first, _)) = most else { return prefix };
        let first = first.to_string();
        prefix += &first;
        prefix.push('/');
    }
}

/// The page as HTML.
///
/// # Errors
/// When the source cannot be executed or the samples do not fit it.
pub fn page(model: &Model<'_>, study: &Study<'_>) -> Result<String> {
    let distributions = match study.source {
        Some(source) => distributions(source, model, study.data)?,
        None => Vec::new(),
    };
    let layers = model_file::layers(model);
    let prefix = prefix(&layers);
    let facts = Facts { model, study, layers, distributions, prefix };
    let name = model.names().model().filter(|name| !name.is_empty()).unwrap_or("Model");
    let sections: Vec<(&str, &str, Markup)> = [
        ("accuracy", "Accuracy", accuracy(&facts)),
        ("costs", "Most costly layers", layers::costs(&facts)),
        ("layers", "Flash and work per layer", Some(layers::sizes(&facts))),
        ("memory", "Memory over time", Some(memory::section(&facts))),
        ("graph", "Graph", Some(graph::section(&facts))),
        ("numbers", "Weights and activations", numbers::section(&facts)),
        ("confusion", "Confusion", classes::confusion(&facts)),
        ("worst", "Worst samples", classes::worst(&facts)),
        ("ports", "Inputs and outputs", Some(ports(&facts))),
        ("notes", "What the converter did", notes(&facts)),
    ]
    .into_iter()
    .filter_map(|(id, title, content)| Some((id, title, content?)))
    .collect();
    let page = html! {
        (DOCTYPE)
        (PreEscaped(format!("<!-- {} -->", crate::text::MARK)))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                link rel="icon" href="data:,";
                title { (name) " – Ferrolite report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (name) }
                    p.soft { (subtitle(model)) }
                    (overview(&facts))
                    nav aria-label="Sections" {
                        @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } }
                    }
                }
                main {
                    @for (id, title, content) in &sections {
                        section id=(id) { h2 { (title) } (content) }
                    }
                }
                footer { (footer(model)) }
            }
        }
    };
    Ok(page.into_string() + "\n")
}

fn subtitle(model: &Model<'_>) -> String {
    let ops = model.ops().len();
    format!(
        "int8 model of {} layers for target {}, {} rounding",
        text::count(ops),
        model.target_name(),
        model.rounding().name()
    )
}

fn footer(model: &Model<'_>) -> String {
    let writer = model.names().writer().filter(|writer| !writer.is_empty()).unwrap_or("Ferrolite");
    let hash: String = model.source_hash().iter().map(|byte| format!("{byte:02x}")).collect();
    match hash.as_str() {
        "" => format!("Written by {writer}."),
        hash => format!("Written by {writer}. SHA-256 of the trained model: {hash}."),
    }
}

/// What an engineer asks first: does it fit, is it fast, is it still accurate.
fn overview(facts: &Facts<'_>) -> Markup {
    let model = facts.model;
    let macs = facts.layers.iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    let footprint = Footprint::new(model, facts.study.code);
    let ((flash, flash_parts), (ram, ram_parts)) = (footprint.flash(), footprint.ram());
    let title = |total: Option<u64>, all, known| if total.is_some() { all } else { known };
    let flash_title = title(footprint.total_flash_bytes, "Flash in all", "Flash without code");
    let ram_title = title(footprint.total_ram_bytes, "RAM in all", "RAM without stack");
    let comparison = facts.study.comparison;
    let dearest = comparison.and_then(|comparison| comparison.most_costly().next());
    html! {
        dl.tiles {
            (tile(flash_title, &text::size(flash), &flash_parts))
            (tile(ram_title, &text::size(ram), &ram_parts))
            (tile("Work", &format!("{} MACs", text::scaled(macs)), &format!(
                "{} multiply-accumulates per inference", text::thousands(macs)
            )))
            @if let Some((code, time)) = facts.study.code.and_then(|code| Some((code, code.latency.as_ref()?))) {
                @let energy = time.microjoules.map_or(String::new(), |energy| format!(", {energy:.0} µJ"));
                (tile("Time, estimated", &format!("{:.3} ms", time.ms), &format!(
                    "on {}{energy}; {}", code.board, time.error
                )))
            }
            @if let Some(comparison) = comparison {
                @if let Some(accuracy) = comparison.accuracy_quantized {
                    (tile("Accuracy, int8", &text::percent(Some(accuracy)), &format!(
                        "float: {}; {} {} samples",
                        text::percent(comparison.accuracy_float),
                        text::count(comparison.samples),
                        facts.study.samples
                    )))
                }
                (tile("Signal to noise", &text::decibels(comparison.sqnr_db), &format!(
                    "of the outputs against float; {} {} samples",
                    text::count(comparison.samples),
                    facts.study.samples
                )))
            }
            @if let Some(layer) = dearest {
                (tile("Most costly layer", &text::share(layer.alone_share), &format!(
                    "of the layers' noise: {}", shorten(facts.short(&layer.name), 40)
                )))
            }
        }
    }
}

fn tile(name: &str, value: &str, more: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) small { (more) } } } }
}

fn accuracy(facts: &Facts<'_>) -> Option<Markup> {
    let comparison = facts.study.comparison?;
    let number = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.6}"));
    let both = [
        ("Accuracy", text::percent(comparison.accuracy_float), text::percent(comparison.accuracy_quantized)),
        ("Top-5 accuracy", text::percent(comparison.top5_float), text::percent(comparison.top5_quantized)),
        ("Mean squared error", number(comparison.mse_float), number(comparison.mse_quantized)),
    ];
    let shown: Vec<_> = both.iter().filter(|(_, float, _)| float != "-").collect();
    let labels = !shown.is_empty();
    Some(html! {
        p.soft {
            (text::count(comparison.samples)) " " (facts.study.samples) " samples, the quantized model against the float reference of its source."
            @if !labels { " Without labels, accuracy is not known." }
        }
        @if labels {
            (boxed(html! {
                table {
                    thead { tr { th scope="col" { "measure" } th.n scope="col" { "float" } th.n scope="col" { "int8" } } }
                    tbody {
                        @for (name, float, integer) in shown {
                            tr { th scope="row" { (name) } td.n { (float) } td.n { (integer) } }
                        }
                    }
                }
            }))
        }
        (boxed(html! {
            table {
                tbody {
                    @if let Some(agreement) = comparison.agreement {
                        tr { th scope="row" { "Same class as float" } td.n { (text::percent(Some(agreement))) } }
                    }
                    tr { th scope="row" { "Signal to quantization noise" } td.n { (text::decibels(comparison.sqnr_db)) } }
                    @if comparison.outputs.len() > 1 {
                        @for output in &comparison.outputs {
                            tr { th scope="row" { "… of output " (output.name) } td.n { (text::decibels(output.sqnr_db)) } }
                        }
                    }
                    tr { th scope="row" { "Largest error of an output" } td.n { (format!("{:.6}", comparison.max_abs_error)) } }
                }
            }
        }))
    })
}

fn ports(facts: &Facts<'_>) -> Markup {
    let inputs = model_file::inputs(facts.model).into_iter().map(|port| ("input", port));
    let outputs = model_file::outputs(facts.model).into_iter().map(|port| ("output", port));
    let quantization = |port: &PortFacts| match port.quantization {
        Some((scale, zero)) => (scale.to_string(), zero.to_string()),
        None => ("-".into(), "-".into()),
    };
    boxed(html! {
        table {
            thead {
                tr {
                    th scope="col" { "port" } th.name scope="col" { "name" } th scope="col" { "shape" }
                    th scope="col" { "type" } th.n scope="col" { "scale" } th.n scope="col" { "zero point" }
                }
            }
            tbody {
                @for (kind, port) in inputs.chain(outputs) {
                    @let (scale, zero) = quantization(&port);
                    tr {
                        td { (kind) } td.name { (port.name) } td { (shape_text(&port.shape)) }
                        td { (port.dtype.name()) } td.n { (scale) } td.n { (zero) }
                    }
                }
            }
        }
    })
}

fn notes(facts: &Facts<'_>) -> Option<Markup> {
    let Study { notes, warnings, .. } = facts.study;
    (notes.len() + warnings.len() > 0).then(|| {
        html! {
            ul {
                @for warning in *warnings { li { strong { "Warning: " } (warning) } }
                @for note in *notes { li { (note) } }
            }
        }
    })
}

/// Puts content that may be wider than the page into a box that scrolls by itself.
fn boxed(content: Markup) -> Markup {
    html! { div.box tabindex="0" { (content) } }
}

/// Shortens a name to so many characters. Its end is kept, because it tells more than its start.
fn shorten(name: &str, most: usize) -> String {
    let name = text::layer(name);
    let name = name.strip_suffix(";…").unwrap_or(&name);
    let count = name.chars().count();
    if count <= most {
        return name.to_string();
    }
    std::iter::once('…').chain(name.chars().skip(count + 1 - most)).collect()
}
