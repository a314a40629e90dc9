//! Walks over tensors with strides, for broadcasting, slices, transposes and reductions.

/// Row-major strides of a shape, in elements.
pub fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d] as isize;
    }
    strides
}

/// Strides that read a tensor of `shape` as if it had the shape `target`: aligned at the last
/// dimension, 0 where a dimension of size 1 is repeated. `shape` must broadcast to `target`.
pub fn broadcast(shape: &[usize], target: &[usize]) -> Vec<isize> {
    let lead = target.len() - shape.len();
    let mut strides = vec![0; target.len()];
    for (d, stride) in row_major(shape).into_iter().enumerate() {
        strides[lead + d] = if shape[d] == 1 { 0 } else { stride };
    }
    strides
}

/// The shape to which two shapes broadcast; `None` if they do not.
pub fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], d: usize| {
        let lead = rank - shape.len();
        if d < lead { 1 } else { shape[d - lead] }
    };
    (0..rank)
        .map(|d| match (dim(a, d), dim(b, d)) {
            (x, y) if x == y || y == 1 => Some(x),
            (1, y) => Some(y),
            _ => None,
        })
        .collect()
}

/// Visits every index of `dims` in row-major order, with its offset under each of the `N` lists of strides.
/// Without dimensions, there is one visit.
pub fn walk<const N: usize>(
    dims: &[usize],
    start: [isize; N],
    strides: [&[isize]; N],
    mut visit: impl FnMut([isize; N]),
) {
    if dims.contains(&0) {
        return;
    }
    let mut index = vec![0; dims.len()];
    let mut offsets = start;
    loop {
        visit(offsets);
        let mut d = dims.len();
        loop {
            if d == 0 {
                return;
            }
            d -= 1;
            index[d] += 1;
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset += strides[d];
            }
            if index[d] < dims[d] {
                break;
            }
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset -= strides[d] * dims[d] as isize;
            }
            index[d] = 0;
        }
    }
}

/// Copies the elements at `start + Σ index·stride` for every index of `dims`, in row-major order.
pub fn gather(data: &[f32], dims: &[usize], start: isize, strides: &[isize]) -> Vec<f32> {
    let Some((&count, outer)) = dims.split_last() else {
        return vec![data[start as usize]];
    };
    let step = strides[outer.len()];
    let mut result = Vec::with_capacity(dims.iter().product());
    walk(outer, [start], [&strides[..outer.len()]], |[offset]| {
        if step == 1 {
            let offset = offset as usize;
            result.extend_from_slice(&data[offset..offset + count]);
        } else {
            result.extend((0..count).map(|i| data[(offset + i as isize * step) as usize]));
        }
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_shapes_follow_numpy() {
        assert_eq!(broadcast_shape(&[2, 1, 4], &[3, 1]), Some(vec![2, 3, 4]));
        assert_eq!(broadcast_shape(&[], &[3]), Some(vec![3]));
        assert_eq!(broadcast_shape(&[2], &[3]), None);
    }

    #[test]
    fn gather_walks_backwards() {
        assert_eq!(gather(&[0., 1., 2., 3., 4., 5.], &[2, 2], 5, &[-3, -2]), [5., 3., 2., 0.]);
        assert_eq!(gather(&[7.], &[], 0, &[]), [7.]);
    }
}
