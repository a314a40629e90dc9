//! Draws the arena over time: one row for each op, addresses from left to right.

use maud::{Markup, html};

use super::{Facts, boxed};
use crate::report::memory_map::{Use, rows};
use crate::text;

pub fn section(facts: &Facts<'_>) -> Markup {
    let arena = facts.model.arena_bytes().max(1) as u64;
    let rows = rows(facts.model);
    let peak = rows.iter().map(|row| row.used).max().unwrap_or(0);
    let percent = |bytes: u64| format!("{:.2}", bytes as f64 * 100.0 / arena as f64);
    let class = |kind: Use| match kind {
        Use::Kept => "kept",
        Use::Read => "read",
        Use::Written => "written",
        Use::Scratch => "scratch",
    };
    html! {
        p.soft {
            "The arena of " (text::thousands(arena)) " bytes from its first byte (left) to its last (right) while each layer runs, "
            "from the first layer (top) to the last. Where an output lies over an input, the output is shown. "
            "Layers that need all of it are bold: they set the model's RAM."
        }
        p {
            span.key { i.read {} "read" } span.key { i.written {} "written" }
            span.key { i.kept {} "kept for later" } span.key { i.scratch {} "scratch" }
        }
        (boxed(html! {
            table.memory {
                thead {
                    tr {
                        th scope="col" { "layer" }
                        th scope="col" { "0 to " (text::thousands(arena)) " bytes" }
                        th.n scope="col" { "bytes" }
                    }
                }
                tbody {
                    @for (layer, row) in facts.layers.iter().zip(&rows) {
                        tr.peak[row.used == peak] {
                            th scope="row" title=(layer.name) { (layer.index) " " (layer.code) }
                            td.track {
                                div {
                                    @for (bytes, kind) in &row.runs {
                                        i class=(class(*kind))
                                            title=(format!(
                                                "{}: bytes {} to {}",
                                                class(*kind),
                                                text::thousands(bytes.start),
                                                text::thousands(bytes.end)
                                            ))
                                            style={ "left:" (percent(bytes.start)) "%;width:" (percent(bytes.end - bytes.start)) "%" } {}
                                    }
                                }
                            }
                            td.n { (text::thousands(row.used)) }
                        }
                    }
                }
            }
        }))
    }
}
