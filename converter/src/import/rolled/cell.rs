//! A cell that was found.

use crate::graph::Recurrent;

/// A cell with its numbers, in the order of the graph's.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub attributes: Recurrent,
    pub features: usize,
    pub units: usize,
    pub weights: Vec<f32>,
    pub recurrent: Vec<f32>,
    pub bias: Vec<f32>,
    pub recurrent_bias: Option<Vec<f32>>,
}

impl Cell {
    /// The cell over what the rows are made of, by weights and a bias, if each of its sums reads one element of a row.
    pub(super) fn of_elements(&self, weights: &[f32], bias: &[f32], features: usize) -> Option<Cell> {
        let mut cell = Cell { features, weights: Vec::new(), ..self.clone() };
        for (sum, row) in self.weights.chunks(self.features).enumerate() {
            let mut used = row.iter().enumerate().filter(|(_, x)| **x != 0.0);
            let (at, factor) = match (used.next(), used.next()) {
                (Some((at, factor)), None) if factor.abs() == 1.0 => (at, *factor),
                _ => return None,
            };
            cell.weights.extend(weights.get(at * features..(at + 1) * features)?.iter().map(|w| factor * w));
            cell.bias[sum] += factor * bias.get(at)?;
        }
        Some(cell)
    }
}
