//! One self-contained page about a model: facts, layers, memory map, and how it compares with its
//! source. No scripts, nothing loaded from elsewhere.

use ferrolite_runtime::Model;

use super::{memory_map, text};
use crate::compare::Comparison;
use crate::data::npy::shape_text;
use crate::model_file::{self, PortFacts};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .8rem;text-align:left;\
border-bottom:1px solid #ddd}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
pre{overflow-x:auto;font-size:13px;line-height:1.3}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}}";

/// The page as HTML.
pub fn page(model: &Model<'_>, comparison: Option<&Comparison>) -> String {
    let name = model.names().model().filter(|name| !name.is_empty()).unwrap_or("Model");
    let layers = model_file::layers(model);
    let macs = layers.iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    let facts = [
        ("File", format!("{} bytes", text::count(model.bytes().len()))),
        ("Constants", format!("{} bytes", text::count(model.constants().len()))),
        ("Arena", format!("{} bytes", text::count(model.arena_bytes()))),
        ("Multiply-accumulates", text::thousands(macs)),
        ("Target", model.target().name().to_string()),
        ("Rounding", model.rounding().name().to_string()),
    ];
    let mut body = format!("<h1>{}</h1>", escape(name));
    body += &pairs(&facts);

    body += "<h2>Inputs and outputs</h2>";
    let port = |kind: &str, port: PortFacts| {
        let (scale, zero) =
            port.quantization.map_or(("-".into(), "-".into()), |(s, z)| (s.to_string(), z.to_string()));
        [kind.into(), port.name, shape_text(&port.shape), port.dtype.name().into(), scale, zero]
    };
    let inputs = model_file::inputs(model).into_iter().map(|p| port("input", p));
    let outputs = model_file::outputs(model).into_iter().map(|p| port("output", p));
    let head = [
        ("", false),
        ("name", false),
        ("shape", false),
        ("type", false),
        ("scale", true),
        ("zero point", true),
    ];
    body += &table(head, inputs.chain(outputs));

    if let Some(comparison) = comparison {
        body += "<h2>Compared with the float model</h2>";
        body += &compared(comparison);
    }

    body += "<h2>Layers</h2>";
    let head = [
        ("#", true),
        ("layer", false),
        ("operator", false),
        ("output", false),
        ("MACs", true),
        ("scratch", true),
    ];
    let rows = layers.iter().map(|layer| {
        let shapes: Vec<String> = layer.outputs.iter().map(|shape| shape_text(shape)).collect();
        [
            layer.index.to_string(),
            layer.name.clone(),
            layer.op.clone(),
            shapes.join(", "),
            text::thousands(layer.macs),
            text::thousands(layer.scratch_bytes),
        ]
    });
    body += &table(head, rows);
    body += &format!("<h2>Memory</h2><pre>{}</pre>", escape(&memory_map::draw(model)));
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>{body}</body></html>\n",
        escape(name)
    )
}

fn compared(comparison: &Comparison) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.6}"));
    let facts = [
        ("Samples", text::count(comparison.samples)),
        ("Accuracy, float", text::percent(comparison.accuracy_float)),
        ("Accuracy, quantized", text::percent(comparison.accuracy_quantized)),
        ("Agreement", text::percent(comparison.agreement)),
        ("Mean squared error, float", number(comparison.mse_float)),
        ("Mean squared error, quantized", number(comparison.mse_quantized)),
        ("Signal to quantization noise", text::decibels(comparison.sqnr_db)),
        ("Largest error", number(Some(comparison.max_abs_error))),
    ];
    let head = [("layer", false), ("operator", false), ("signal to noise", true)];
    let rows = comparison.layers.iter().map(|l| [l.name.clone(), l.op.clone(), text::decibels(l.sqnr_db)]);
    pairs(&facts) + &table(head, rows)
}

fn pairs(facts: &[(&str, String)]) -> String {
    table([("", false), ("", true)], facts.iter().map(|(name, value)| [name.to_string(), value.clone()]))
}

/// A table; `true` beside a heading aligns its column to the right.
fn table<const N: usize>(head: [(&str, bool); N], rows: impl Iterator<Item = [String; N]>) -> String {
    let class = |right: bool| if right { " class=\"n\"" } else { "" };
    let mut out = "<table><tr>".to_string();
    for (name, right) in head {
        out += &format!("<th{}>{}</th>", class(right), escape(name));
    }
    out += "</tr>";
    for row in rows {
        out += "<tr>";
        for ((_, right), cell) in head.iter().zip(row) {
            out += &format!("<td{}>{}</td>", class(*right), escape(&cell));
        }
        out += "</tr>";
    }
    out + "</table>"
}

/// Names come from files: nothing in them may become markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_become_markup() {
        let row = ["<script>".to_string(), "a & \"b\"".to_string()];
        let html = table([("x", false), ("y", true)], std::iter::once(row));
        assert!(html.contains("<td>&lt;script&gt;</td><td class=\"n\">a &amp; &quot;b&quot;</td>"), "{html}");
    }
}
