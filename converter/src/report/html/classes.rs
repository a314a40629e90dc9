//! Shows which classes are confused, and the samples with the largest errors.

use maud::{Markup, html};

use super::{Facts, boxed};
use crate::compare::{Answer, WorstSample};
use crate::text;

/// Most classes that are shown as a matrix. For more, only the pairs that are confused most are listed.
const MATRIX: usize = 60;

/// Pairs of classes that are listed.
const PAIRS: usize = 12;

pub fn confusion(facts: &Facts<'_>) -> Option<Markup> {
    let comparison = facts.study.comparison?;
    let counts = comparison.confusion.as_ref()?;
    let float = comparison.confusion_float.as_ref()?;
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    for (right, row) in counts.iter().enumerate() {
        pairs.extend(
            row.iter().enumerate().filter(|&(a, &n)| a != right && n > 0).map(|(a, &n)| (n, right, a)),
        );
    }
    pairs.sort_by_key(|&(count, right, answer)| (std::cmp::Reverse(count), right, answer));
    pairs.truncate(PAIRS);
    let label = |class: usize| label(facts, class);
    let of_float = |right: usize, answer: usize| float.get(right).and_then(|row| row.get(answer)).copied();
    Some(html! {
        @if counts.len() <= MATRIX {
            p.soft {
                "Samples by right class (rows) and answer of the int8 model (columns). "
                "A cell's shade is its share of the row; right answers are framed."
            }
            (boxed(html! {
                table.confusion {
                    thead {
                        tr {
                            th scope="col" { "right \\ answer" }
                            @for class in 0..counts.len() { th scope="col" title=(label(class)) { (class) } }
                            th scope="col" { "share right" }
                        }
                    }
                    tbody {
                        @for (right, row) in counts.iter().enumerate() {
                            @let all: usize = row.iter().sum();
                            tr {
                                th scope="row" title=(label(right)) { (label(right)) }
                                @for (answer, &count) in row.iter().enumerate() {
                                    @let share = count as f64 / all.max(1) as f64;
                                    td.right[answer == right].zero[count == 0]
                                        style=[(count > 0).then(|| format!("--h:{share:.3}"))] { (count) }
                                }
                                td { (if all == 0 { "-".into() } else { text::percent(Some(row[right] as f64 / all as f64)) }) }
                            }
                        }
                    }
                }
            }))
        }
        @if !pairs.is_empty() {
            (boxed(html! {
                table {
                    caption { "Confused most" }
                    thead {
                        tr {
                            th scope="col" { "right class" } th scope="col" { "taken for" }
                            th.n scope="col" { "int8 (samples)" } th.n scope="col" { "float (samples)" }
                        }
                    }
                    tbody {
                        @for &(count, right, answer) in &pairs {
                            tr {
                                td { (label(right)) } td { (label(answer)) } td.n { (text::count(count)) }
                                td.n { (of_float(right, answer).map_or("-".into(), text::count)) }
                            }
                        }
                    }
                }
            }))
        }
    })
}

pub fn worst(facts: &Facts<'_>) -> Option<Markup> {
    let worst = &facts.study.comparison?.worst;
    if worst.is_empty() {
        return None;
    }
    let answer = |answer: Answer| match answer {
        Answer::Class(class) => label(facts, class),
        Answer::Value(value) => format!("{value:.4}"),
    };
    let labelled = worst.iter().any(|sample| sample.expected.is_some());
    // A model that answers with a number has that number as its score.
    let scored = worst.iter().any(|sample| matches!(sample.quantized, Answer::Class(_)));
    let changed = |sample: &WorstSample| {
        sample.float != sample.quantized && matches!(sample.quantized, Answer::Class(_))
    };
    Some(html! {
        p.soft {
            @if scored {
                "First those whose class changed for the worse, then those whose class changed, then by the largest error of an output. "
                "Scores are of the int8 model's answer."
            } @else {
                "By the largest error of an output; the numbers are those of the element that differs most."
            }
        }
        (boxed(html! {
            table {
                thead {
                    tr {
                        th.n scope="col" { "sample" }
                        @if labelled { th scope="col" { "expected" } }
                        th scope="col" { "float" } th scope="col" { "int8" }
                        @if scored { th.n scope="col" { "float score" } th.n scope="col" { "int8 score" } }
                        th.n scope="col" { "largest error" }
                    }
                }
                tbody {
                    @for sample in worst {
                        tr {
                            td.n { (sample.sample) }
                            @if labelled { td { (sample.expected.map_or("-".into(), answer)) } }
                            td { (answer(sample.float)) }
                            td.bad[changed(sample)] { (answer(sample.quantized)) }
                            @if scored {
                                td.n { (format!("{:.4}", sample.score_float)) }
                                td.n { (format!("{:.4}", sample.score_quantized)) }
                            }
                            td.n { (format!("{:.4}", sample.error)) }
                        }
                    }
                }
            }
        }))
    })
}

/// A class by number and, if the file has one, name.
fn label(facts: &Facts<'_>, class: usize) -> String {
    match facts.model.names().label(class).filter(|name| !name.is_empty()) {
        Some(name) => format!("{class} {name}"),
        None => class.to_string(),
    }
}
