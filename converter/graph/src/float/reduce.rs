//! Reductions over dimensions, running sums, and the search for the largest or smallest element.

use super::Tensor;
use super::strided::{row_major, walk};
use crate::graph::ReduceKind;

/// MEAN, SUM, REDUCE_MAX, REDUCE_MIN over `axes`. Sums are kept in f64.
pub fn reduce(input: Tensor, kind: ReduceKind, axes: &[usize]) -> Vec<f32> {
    let kept: Vec<usize> =
        input.shape.iter().enumerate().map(|(d, &n)| if axes.contains(&d) { 1 } else { n }).collect();
    let mut strides = row_major(&kept);
    for &axis in axes {
        strides[axis] = 0;
    }
    let start = match kind {
        ReduceKind::Mean | ReduceKind::Sum => 0.0,
        ReduceKind::Max => f64::NEG_INFINITY,
        ReduceKind::Min => f64::INFINITY,
    };
    let mut out = vec![start; kept.iter().product()];
    let mut elements = input.data.iter();
    walk(input.shape, [0], [&strides], |[offset]| {
        let (Some(&x), cell) = (elements.next(), &mut out[offset as usize]) else { return };
        let x = f64::from(x);
        match kind {
            ReduceKind::Mean | ReduceKind::Sum => *cell += x,
            ReduceKind::Max => *cell = cell.max(x),
            ReduceKind::Min => *cell = cell.min(x),
        }
    });
    let count = match kind {
        ReduceKind::Mean => (input.data.len() / out.len()) as f64,
        _ => 1.0,
    };
    out.into_iter().map(|x| (x / count) as f32).collect()
}

/// ARG_MAX (`largest`) and ARG_MIN along `axis`. Of several equal elements, the first one counts.
pub fn arg_extreme(input: Tensor, axis: usize, largest: bool) -> Vec<f32> {
    let size = input.shape[axis];
    let inner: usize = input.shape[axis + 1..].iter().product();
    let mut out = Vec::with_capacity(input.data.len() / size);
    for block in input.data.chunks_exact(size * inner) {
        for i in 0..inner {
            let mut best = 0;
            for candidate in 1..size {
                let (x, y) = (block[candidate * inner + i], block[best * inner + i]);
                if if largest { x > y } else { x < y } {
                    best = candidate;
                }
            }
            out.push(best as f32);
        }
    }
    out
}

/// Running sums along `axis` that begin with `start`. With `exclusive`, a sum does not include the element
/// itself; with `reverse`, sums run from the last element to the first. Sums are kept in f64.
pub fn running_sums(input: Tensor, axis: usize, exclusive: bool, reverse: bool, start: f64) -> Vec<f32> {
    let (count, inner) = (input.shape[axis], input.shape[axis + 1..].iter().product::<usize>());
    let mut out = input.data.to_vec();
    for block in out.chunks_exact_mut(count * inner) {
        for column in 0..inner {
            let mut sum = start;
            for step in 0..count {
                let place = &mut block[if reverse { count - 1 - step } else { step } * inner + column];
                let before = sum;
                sum += f64::from(*place);
                *place = if exclusive { before } else { sum } as f32;
            }
        }
    }
    out
}
