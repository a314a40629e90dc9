//! Histograms of weights and activations over the ranges that their integers reach.

use std::fmt::Write;

use maud::{Markup, html};

use super::{Facts, shorten};
use crate::report::distribution::Histogram;
use crate::text;

/// Size of a histogram in its own units; the page stretches it.
const WIDTH: f32 = 240.0;
const HEIGHT: f32 = 56.0;

pub fn section(facts: &Facts<'_>) -> Option<Markup> {
    let shown = facts.layers.iter().zip(&facts.distributions);
    let shown: Vec<_> =
        shown.filter(|(_, found)| found.weights.is_some() || found.activations.is_some()).collect();
    if shown.is_empty() {
        return None;
    }
    Some(html! {
        p.soft {
            "How often each value occurs in the float model; the height is the square root of the count, so that rare values are seen. "
            "Shaded is what int8 reaches; what lies beyond by more than half a step saturates. "
            "A narrow hill in a wide shade wastes bits: a step is then coarse for most values."
        }
        @if shown.iter().all(|(_, found)| found.activations.is_none()) {
            p.soft { "Activations need samples, and there were none." }
        }
        div.grid {
            @for (layer, found) in shown {
                article {
                    h3 title=(layer.name) { (layer.index) " " (layer.op) br; span.soft { (shorten(facts.short(&layer.name), 40)) } }
                    @if let Some(histogram) = &found.weights { (figure("Weights", histogram)) }
                    @if let Some(histogram) = &found.activations { (figure("Activations", histogram)) }
                }
            }
        }
    })
}

fn figure(what: &str, histogram: &Histogram) -> Markup {
    let (mut low, mut high) = (histogram.min, histogram.max);
    if let Some((a, b)) = histogram.range {
        // An end that is far away would flatten the histogram to a line, so it is cut, and the caption says
        // so.
        let width = (high - low).max(f32::MIN_POSITIVE);
        low = low.min(a.max(low - 2.0 * width));
        high = high.max(b.min(high + 2.0 * width));
    }
    let span = (high - low).max(f32::MIN_POSITIVE);
    let at = |x: f32| ((x - low) / span * WIDTH).clamp(0.0, WIDTH);
    let highest = histogram.counts.iter().max().map_or(1.0, |&count| (count.max(1) as f32).sqrt());
    let bin = (at(histogram.max) - at(histogram.min)) / histogram.counts.len().max(1) as f32;
    let mut path = String::new();
    for (index, &count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // Every value that occurs at all stays visible.
        let height = ((count as f32).sqrt() / highest * (HEIGHT - 2.0)).max(1.0);
        let x = at(histogram.min) + index as f32 * bin;
        // Writing to a string does not fail.
        let _ = write!(path, "M{x:.1} {HEIGHT}v-{height:.1}h{:.1}v{height:.1}z", bin.max(0.8));
    }
    let caption = caption(histogram);
    html! {
        figure {
            svg.histogram viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                aria-label=(format!("{what}: {caption}")) {
                @if let Some((a, b)) = histogram.range {
                    rect.reach x=(format!("{:.1}", at(a))) y="0"
                        width=(format!("{:.1}", at(b) - at(a))) height=(HEIGHT) {}
                }
                path.bars d=(path) {}
                @if low <= 0.0 && high >= 0.0 {
                    path.axis d=(format!("M{:.1} 0v{HEIGHT}", at(0.0))) stroke-dasharray="2 3" {}
                }
                path.axis d=(format!("M0 {HEIGHT}h{WIDTH}")) {}
            }
            figcaption { b { (what) } " " (caption) }
        }
    }
}

fn caption(histogram: &Histogram) -> String {
    let mut out = format!("{} to {}", number(histogram.min), number(histogram.max));
    if let Some((a, b)) = histogram.range {
        let _ = write!(out, "; int8 reaches {} to {}", number(a), number(b));
    }
    match histogram.steps {
        Some((a, b)) if a == b => out += &format!(" in steps of {}", number(a)),
        Some((a, b)) => out += &format!(" in steps of {} to {}, by channel", number(a), number(b)),
        None => {}
    }
    if histogram.saturated > 0.0 {
        out += &format!("; {} saturate", text::share(Some(histogram.saturated)));
    }
    out
}

/// A number with three significant digits.
fn number(x: f32) -> String {
    let magnitude = x.abs();
    if magnitude != 0.0 && !(1e-3..1e5).contains(&magnitude) {
        return format!("{x:.2e}").replace('-', "−");
    }
    let digits = match magnitude {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        m if m >= 0.1 || m == 0.0 => 3,
        m if m >= 0.01 => 4,
        _ => 5,
    };
    let text = format!("{x:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-12.345, "−12.3"),
            (0.012345, "0.0123"),
            (123.4, "123"),
            (0.5, "0.5"),
            (1e-5, "1.00e−5"),
            (2.5e6, "2.50e6"),
        ];
        for (x, want) in cases {
            assert_eq!(number(x), want);
        }
    }
}
