//! Operators that copy elements: PAD, slices, TRANSPOSE, CONCATENATION, SPLIT.

use super::Tensor;
use super::strided::{gather, row_major, walk};

/// PAD, PADV2: the input surrounded by `value`.
pub fn pad(input: Tensor, amounts: &[(usize, usize)], value: f32, out_shape: &[usize]) -> Vec<f32> {
    let mut out = vec![value; out_shape.iter().product()];
    let strides = row_major(out_shape);
    let start = amounts.iter().zip(&strides).map(|(&(before, _), &s)| before as isize * s).sum();
    let Some((&count, outer)) = input.shape.split_last() else {
        return input.data.to_vec();
    };
    let mut rows = input.data.chunks_exact(count);
    walk(outer, [start], [&strides[..outer.len()]], |[offset]| {
        if let Some(row) = rows.next() {
            out[offset as usize..][..count].copy_from_slice(row);
        }
    });
    out
}

/// SLICE and STRIDED_SLICE: element `i` of a dimension is element `begin + i * stride`.
pub fn slice(input: Tensor, begin: &[usize], size: &[usize], stride: &[isize]) -> Vec<f32> {
    let strides = row_major(input.shape);
    let start = begin.iter().zip(&strides).map(|(&b, &s)| b as isize * s).sum();
    let steps: Vec<isize> = strides.iter().zip(stride).map(|(a, b)| a * b).collect();
    gather(input.data, size, start, &steps)
}

/// TRANSPOSE: dimension `i` of the output is dimension `permutation[i]` of the input.
pub fn transpose(input: Tensor, permutation: &[usize]) -> Vec<f32> {
    let strides = row_major(input.shape);
    let dims: Vec<usize> = permutation.iter().map(|&p| input.shape[p]).collect();
    let steps: Vec<isize> = permutation.iter().map(|&p| strides[p]).collect();
    gather(input.data, &dims, 0, &steps)
}

/// CONCATENATION along `axis`, and PACK, whose inputs have size 1 along the new dimension:
/// `outer` is the product of the output's dimensions before `axis`.
pub fn concat(inputs: &[&[f32]], outer: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(inputs.iter().map(|input| input.len()).sum());
    for i in 0..outer {
        for input in inputs {
            let len = input.len() / outer;
            out.extend_from_slice(&input[i * len..][..len]);
        }
    }
    out
}

/// SPLIT and UNPACK, the inverse of [`concat()`]: cuts the input into parts of `lengths` elements.
pub fn split(input: &[f32], outer: usize, lengths: &[usize]) -> Vec<Vec<f32>> {
    let total = input.len() / outer;
    let mut from = 0;
    lengths
        .iter()
        .map(|&length| {
            let len = length / outer;
            let part = input.chunks_exact(total).flat_map(|row| &row[from..from + len]);
            let part = part.copied().collect();
            from += len;
            part
        })
        .collect()
}

/// GATHER: the blocks of `data` along `axis` that the indices name. An index out of range reads the nearest
/// block, because no number could say "no such element".
pub fn look_up(data: Tensor, axis: usize, batch_dims: usize, indices: Tensor) -> Vec<f32> {
    let size = data.shape[axis];
    let inner: usize = data.shape[axis + 1..].iter().product();
    let outer: usize = data.shape[batch_dims..axis].iter().product();
    let places: usize = indices.shape[batch_dims..].iter().product();
    let mut out = Vec::new();
    let batches = indices.data.chunks_exact(places);
    for (data, indices) in data.data.chunks_exact(outer * size * inner).zip(batches) {
        for block in data.chunks_exact(size * inner) {
            for &index in indices {
                let index = (index.max(0.0) as usize).min(size - 1);
                out.extend_from_slice(&block[index * inner..][..inner]);
            }
        }
    }
    out
}
