//! Whether a cell computes what a step does: both run on random numbers.

use ferrolite_graph::float::Tensor;
use ferrolite_graph::float::recurrent::{Operands, run};

use super::cell::Cell;
use crate::graph::{Constant, Graph};
use crate::reference::Executor;

/// Samples on which both have to agree in all units.
const SAMPLES: usize = 8;

/// Largest difference between two ways to compute the same sums of products of numbers around one.
const CLOSE: f32 = 2e-5;

/// Numbers from -1 to 1, always the same ones.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new() -> Random {
        Random(0x2545_f491_4f6c_dd1d)
    }

    /// The next one: xorshift64*.
    fn number(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// So many numbers, up to a magnitude.
    pub(super) fn numbers(&mut self, count: usize, largest: f32) -> Vec<f32> {
        (0..count).map(|_| largest * self.number()).collect()
    }
}

/// A step with random weights in place of the author's, so that no chance of theirs makes two cells look alike. Numbers
/// that are all the same, as the one of `1 - z`, belong to the cell's functions.
pub(super) fn with_other_numbers(step: &Graph) -> Graph {
    let mut other = step.clone();
    let mut random = Random::new();
    for value in &mut other.values {
        if let Some(Constant::F32(data)) = &mut value.constant
            && data.iter().any(|x| *x != data[0])
        {
            *data = random.numbers(data.len(), 1.0);
        }
    }
    other
}

/// Whether all numbers are nearly the same; no number is near NaN.
pub(super) fn is_close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= CLOSE * b.abs().max(1.0))
}

/// Hidden and, of an LSTM, cell state after a row.
pub(super) fn step(cell: &Cell, row: &[f32], hidden: Option<&[f32]>, state: Option<&[f32]>) -> [Vec<f32>; 2] {
    let rows = cell.bias.len();
    let x = Operands {
        input: Tensor { shape: &[1, 1, cell.features], data: row },
        weights: Tensor { shape: &[rows, cell.features], data: &cell.weights },
        recurrent: Tensor { shape: &[rows, cell.units], data: &cell.recurrent },
        bias: Some(&cell.bias),
        recurrent_bias: cell.recurrent_bias.as_deref(),
        hidden,
        cell: state,
        mask: None,
        peepholes: None,
    };
    let [_, hidden, state, ..] = run(&cell.attributes, &x);
    [hidden, state]
}

/// Whether a cell computes the same as a step.
pub(super) fn agrees(graph: &Graph, cell: &Cell) -> bool {
    let Ok(executor) = Executor::new(graph) else { return false };
    let mut random = Random::new();
    (0..SAMPLES).all(|sample| {
        // Small numbers, too, for which nothing saturates.
        let largest = [1.0, 3.0, 0.2][sample % 3];
        let inputs: Vec<Vec<f32>> =
            graph.inputs.iter().map(|&id| random.numbers(graph.value(id).elements(), largest)).collect();
        let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let Ok(expected) = executor.run(&slices) else { return false };
        let found = step(cell, slices[0], Some(slices[1]), slices.get(2).copied());
        expected.iter().zip(&found).all(|(expected, found)| is_close(found, expected))
    })
}
