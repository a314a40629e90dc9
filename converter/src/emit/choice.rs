//! Which convolutions are made by Winograd's algorithm: those that save the most cycles for a byte of flash come
//! first, as long as flash allows.

use std::collections::HashSet;

use super::options::Winograd;
use crate::graph::ValueId;
use crate::ops::lowering::Candidate;

/// The candidates that are worth it, best first, within what flash allows.
pub fn choose(candidates: &[Candidate], winograd: Winograd) -> HashSet<ValueId> {
    let mut left = match winograd {
        Winograd::Never => return HashSet::new(),
        Winograd::Always => return candidates.iter().map(|candidate| candidate.output).collect(),
        Winograd::Within(bytes) => bytes,
    };
    let mut order: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.saved > 0).collect();
    let worth = |candidate: &Candidate| candidate.saved as f64 / candidate.bytes.max(1) as f64;
    order.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    order.retain(|candidate| {
        let fits = candidate.bytes <= left;
        if fits {
            left -= candidate.bytes;
        }
        fits
    });
    order.into_iter().map(|candidate| candidate.output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_per_byte_come_first() {
        let candidate = |id, saved, bytes| Candidate { output: ValueId(id), saved, bytes };
        let all =
            [candidate(0, 900, 300), candidate(1, 800, 100), candidate(2, -5, 1), candidate(3, 500, 100)];
        let chosen = |winograd| {
            let mut ids: Vec<usize> = choose(&all, winograd).into_iter().map(|id| id.0).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(chosen(Winograd::Within(200)), [1, 3]);
        assert_eq!(chosen(Winograd::Within(400)), [1, 3]);
        assert_eq!(chosen(Winograd::Within(500)), [0, 1, 3]);
        assert!(chosen(Winograd::Within(0)).is_empty());
        assert!(chosen(Winograd::Never).is_empty());
        assert_eq!(chosen(Winograd::Always), [0, 1, 2, 3]);
    }
}
