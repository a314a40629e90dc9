//! What layers that are off the fastest path cost a model, for its author.

use ferrolite_runtime::{Model, Target};

use crate::model_file::layers;
use crate::ops::path::paths;
use crate::text;

/// Layers that a sentence names.
const NAMED: usize = 3;

/// A share of an inference that its author should know of.
const NOTED: f64 = 0.02;

/// A share of an inference that its author should act on.
const ACTED: f64 = 0.20;

/// A layer that is not on the fastest path of the model's target.
struct Slow {
    name: String,
    because: String,
    /// The share of the inference that the fastest path would save, as far as is known.
    lost: f64,
}

/// Notes and warnings about layers off the fastest path. Shares are estimates of the layers' multiplications.
pub(super) fn remarks(model: &Model<'_>) -> (Vec<String>, Vec<String>) {
    let all: Vec<_> =
        layers(model).into_iter().zip(paths(model, model.target().unwrap_or(Target::Portable))).collect();
    let cost = |macs: u64, per_mac: Option<f64>| macs as f64 * per_mac.unwrap_or(1.0);
    let total: f64 = all.iter().map(|(layer, path)| cost(layer.macs, path.per_mac)).sum();
    let slow = all.into_iter().filter_map(|(layer, path)| {
        let cost = cost(layer.macs, path.per_mac);
        let slow = path.slow.filter(|slow| !slow.chosen)?;
        let lost = cost * (1.0 - 1.0 / slow.factor.unwrap_or(1.0)) / total.max(1.0);
        Some(Slow { name: layer.name, because: slow.to_string(), lost })
    });
    tell(slow.collect())
}

fn tell(mut slow: Vec<Slow>) -> (Vec<String>, Vec<String>) {
    slow.sort_by(|a, b| b.lost.total_cmp(&a.lost));
    let warned = slow.iter().take_while(|slow| slow.lost >= ACTED);
    let mut warnings: Vec<String> = warned
        .map(|Slow { name, because, lost }| {
            let share = text::share(Some(*lost));
            format!(
                "layer `{}` is off the fast path, about {share} of the time: {because}",
                text::layer(name)
            )
        })
        .collect();
    let rest = &slow[warnings.len()..];
    let lost: f64 = rest.iter().map(|slow| slow.lost).sum();
    let mut named: Vec<String> = rest
        .iter()
        .take(NAMED)
        .map(|Slow { name, because, .. }| format!("`{}` ({because})", text::layer(name)))
        .collect();
    if rest.len() > NAMED {
        named.push(format!("{} more, which inspect lists", rest.len() - NAMED));
    }
    let told =
        format!("off the fast path, about {} of the time: {}", text::share(Some(lost)), named.join(", "));
    let mut notes = Vec::new();
    match lost {
        ACTED.. => warnings.push(told),
        NOTED.. => notes.push(told),
        _ => {}
    }
    (notes, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_much_is_a_warning_and_little_is_a_note() {
        let slow = |name: &str, lost| Slow { name: name.into(), because: "of its shape".into(), lost };
        let (notes, warnings) =
            tell(vec![slow("a", 0.01), slow("b", 0.5), slow("c", 0.03), slow("d", 0.02), slow("e", 0.0)]);
        assert_eq!(warnings, ["layer `b` is off the fast path, about 50 % of the time: of its shape"]);
        assert_eq!(
            notes,
            [
                "off the fast path, about 6.0 % of the time: `c` (of its shape), `d` (of its shape), `a` (of its shape), \
              1 more, which inspect lists"
            ]
        );
        let (notes, warnings) = tell(vec![slow("a", 0.15), slow("b", 0.16)]);
        assert_eq!((notes.len(), warnings.len()), (0, 1));
        assert_eq!(tell(vec![slow("a", 0.001)]), (Vec::new(), Vec::new()));
        assert_eq!(tell(Vec::new()), (Vec::new(), Vec::new()));
    }
}
