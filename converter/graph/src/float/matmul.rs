//! Matrix products: FULLY_CONNECTED and BATCH_MATMUL.

use ndarray::linalg::general_mat_mul;

use super::Tensor;
use super::strided::{broadcast, walk};
use super::window::{view, view_mut};

/// FULLY_CONNECTED: the input as rows of `inputs`, times the transposed weights, plus the bias.
pub fn fully_connected(input: Tensor, weights: Tensor, bias: Option<&[f32]>) -> Vec<f32> {
    let [outputs, inputs] = [weights.shape[0], weights.shape[1]];
    let rows = input.data.len() / inputs;
    let mut out = match bias {
        Some(bias) => bias.repeat(rows),
        None => vec![0.0; rows * outputs],
    };
    if rows == 1 {
        // A general matrix product would pack the weights, although a single row uses them only once.
        for (sum, weights) in out.iter_mut().zip(weights.data.chunks_exact(inputs)) {
            *sum += dot(input.data, weights);
        }
    } else {
        let (a, b) = (view(input.data, rows, inputs), view(weights.data, outputs, inputs));
        general_mat_mul(1.0, &a, &b.t(), 1.0, &mut view_mut(&mut out, rows, outputs));
    }
    out
}

/// Sum of products in 16 partial sums, which the compiler keeps in vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// BATCH_MATMUL: `[.., m, k]` times `[.., k, n]`, leading dimensions broadcast. A transposed
/// operand is stored with its last two dimensions exchanged.
pub fn batch_matmul(
    a: Tensor,
    b: Tensor,
    transpose_a: bool,
    transpose_b: bool,
    out_shape: &[usize],
) -> Vec<f32> {
    let (a_lead, a_tail) = a.shape.split_at(a.shape.len() - 2);
    let (b_lead, b_tail) = b.shape.split_at(b.shape.len() - 2);
    let (lead, tail) = out_shape.split_at(out_shape.len() - 2);
    let (a_size, b_size, size) = (a_tail[0] * a_tail[1], b_tail[0] * b_tail[1], tail[0] * tail[1]);
    let (a_strides, b_strides) = (broadcast(a_lead, lead), broadcast(b_lead, lead));
    let mut out = vec![0.0; out_shape.iter().product()];
    let mut matrices = out.chunks_exact_mut(size);
    walk(lead, [0, 0], [&a_strides, &b_strides], |[i, j]| {
        let Some(matrix) = matrices.next() else { return };
        let x = view(&a.data[i as usize * a_size..][..a_size], a_tail[0], a_tail[1]);
        let y = view(&b.data[j as usize * b_size..][..b_size], b_tail[0], b_tail[1]);
        let x = if transpose_a { x.reversed_axes() } else { x };
        let y = if transpose_b { y.reversed_axes() } else { y };
        general_mat_mul(1.0, &x, &y, 0.0, &mut view_mut(matrix, tail[0], tail[1]));
    });
    out
}
