//! Tensors whose elements are known when the model is read: weights, and the shape arithmetic that exporters
//! write into the graph, which is computed here and then disappears.

use std::cell::Cell;

use crate::graph::{Constant, Quantization, ValueId};

/// Larger results are not computed at import, because a small file must not fill the memory.
pub(super) const LARGEST: usize = 1 << 22;

/// A known tensor. With a quantization, its elements are integers that represent reals.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub name: String,
    pub shape: Vec<usize>,
    pub elements: Constant,
    pub quantization: Option<Quantization>,
    /// The type of the elements in the file, as the file's number for it, if they come from the file.
    pub stored: Option<i64>,
    /// The graph's value for it, once it exists.
    pub value: Cell<Option<ValueId>>,
}

impl Known {
    /// The number of `elements` must match `shape`.
    pub(super) fn new(name: String, shape: Vec<usize>, elements: Constant) -> Known {
        Known { name, shape, elements, quantization: None, stored: None, value: Cell::new(None) }
    }

    /// A list of integers.
    pub(super) fn ints(name: &str, elements: Vec<i64>) -> Known {
        Known::new(name.into(), vec![elements.len()], Constant::I64(elements))
    }

    /// The same tensor with another shape and other elements.
    fn with(&self, shape: Vec<usize>, elements: Constant, quantization: Option<Quantization>) -> Known {
        Known { quantization, ..Known::new(self.name.clone(), shape, elements) }
    }

    /// The elements, if they are integers without a quantization.
    pub(super) fn to_ints(&self) -> Option<Vec<i64>> {
        if self.quantization.is_some() { None } else { self.elements.to_i64() }
    }

    /// The real numbers.
    pub(super) fn to_floats(&self) -> Vec<f32> {
        self.elements.to_real(self.quantization.as_ref(), &self.shape)
    }

    /// The same with real numbers as elements.
    pub(super) fn real(&self) -> Known {
        self.with(self.shape.clone(), Constant::F32(self.to_floats()), None)
    }

    /// The one element of a scalar or a tensor of one element.
    pub(super) fn scalar(&self) -> Option<f32> {
        if self.elements.len() == 1 { self.to_floats().first().copied() } else { None }
    }

    /// Whether its elements are reals, or 8-bit integers that share one scale, which any layer may read.
    pub(super) fn shared_scale(&self) -> bool {
        let bytes = matches!(self.elements, Constant::I8(_) | Constant::U8(_));
        self.quantization.as_ref().is_none_or(|q| q.is_per_tensor() && bytes)
    }

    /// Whether its scales belong to a dimension, and so move with it.
    fn per_channel(&self) -> bool {
        self.quantization.as_ref().is_some_and(|q| !q.is_per_tensor())
    }

    /// The same elements in another shape with the same number of elements.
    pub(super) fn reshaped(&self, shape: &[usize]) -> Known {
        if self.shape == shape {
            return self.clone();
        }
        // The dimension of the scales is found by the number of elements before it.
        let axis = self.quantization.as_ref().filter(|_| self.per_channel()).map(|q| {
            let before: usize = self.shape.iter().take(q.axis).product();
            (0..shape.len()).find(|&d| {
                shape[..d].iter().product::<usize>() == before && self.shape.get(q.axis) == shape.get(d)
            })
        });
        match axis {
            Some(None) => self.real().reshaped(shape),
            Some(Some(axis)) => {
                let quantization = self.quantization.clone().map(|q| Quantization { axis, ..q });
                self.with(shape.to_vec(), self.elements.clone(), quantization)
            }
            None => self.with(shape.to_vec(), self.elements.clone(), self.quantization.clone()),
        }
    }

    /// Dimension `i` of the result is dimension `permutation[i]`, a permutation of the dimensions.
    pub(super) fn transposed(&self, permutation: &[usize]) -> Known {
        let strides = row_major(&self.shape);
        let shape: Vec<usize> = permutation.iter().map(|&p| self.shape[p]).collect();
        let steps: Vec<isize> = permutation.iter().map(|&p| strides[p]).collect();
        let quantization = self.quantization.clone().map(|q| {
            let axis = permutation.iter().position(|&p| p == q.axis).unwrap_or(0);
            Quantization { axis, ..q }
        });
        let elements = pick(&self.elements, &offsets(&shape, 0, &steps));
        self.with(shape, elements, quantization)
    }

    /// Element `i` of a dimension is element `begin + i * stride`; all elements must exist.
    pub(super) fn sliced(&self, begin: &[usize], size: &[usize], stride: &[isize]) -> Known {
        if self.per_channel() {
            return self.real().sliced(begin, size, stride);
        }
        let strides = row_major(&self.shape);
        let start = begin.iter().zip(&strides).map(|(&b, &s)| b as isize * s).sum();
        let steps: Vec<isize> = strides.iter().zip(stride).map(|(a, b)| a * b).collect();
        let elements = pick(&self.elements, &offsets(size, start, &steps));
        self.with(size.to_vec(), elements, self.quantization.clone())
    }

    /// The blocks along `axis` at `indices`, all of which must exist. `shape` replaces that dimension.
    pub(super) fn gathered(&self, axis: usize, indices: &[usize], shape: &[usize]) -> Known {
        if self.per_channel() {
            return self.real().gathered(axis, indices, shape);
        }
        let inner: usize = self.shape[axis + 1..].iter().product();
        let outer: usize = self.shape[..axis].iter().product();
        let size = self.shape[axis];
        let mut places = Vec::new();
        for o in 0..outer {
            for &index in indices {
                places.extend((0..inner).map(|i| (o * size + index) * inner + i));
            }
        }
        let shape = [&self.shape[..axis], shape, &self.shape[axis + 1..]].concat();
        self.with(shape, pick(&self.elements, &places), self.quantization.clone())
    }

    /// Repeated along dimensions of size 1, so that the shape becomes `shape`.
    pub(super) fn broadcast(&self, shape: &[usize]) -> Known {
        if self.per_channel() {
            return self.real().broadcast(shape);
        }
        let lead = shape.len() - self.shape.len();
        let mut steps = vec![0; shape.len()];
        for (d, stride) in row_major(&self.shape).into_iter().enumerate() {
            steps[lead + d] = if self.shape[d] == 1 { 0 } else { stride };
        }
        let elements = pick(&self.elements, &offsets(shape, 0, &steps));
        self.with(shape.to_vec(), elements, self.quantization.clone())
    }

    /// Repeated as a whole `repeats` times along each dimension.
    pub(super) fn tiled(&self, repeats: &[usize]) -> Known {
        let mut result = if self.per_channel() { self.real() } else { self.clone() };
        for (axis, &count) in repeats.iter().enumerate() {
            let size = result.shape[axis];
            let indices: Vec<usize> = (0..size * count).map(|i| i % size.max(1)).collect();
            result = result.gathered(axis, &indices, &[indices.len()]);
        }
        result
    }

    /// Concatenates tensors of one type along `axis`; their other dimensions must be equal.
    pub(super) fn concatenated(parts: &[&Known], axis: usize) -> Option<Known> {
        let first = parts.first()?;
        let integers = parts.iter().all(|p| p.to_ints().is_some());
        let outer: usize = first.shape.iter().take(axis).product();
        let mut shape = first.shape.clone();
        *shape.get_mut(axis)? = parts.iter().map(|p| p.shape.get(axis)).sum::<Option<usize>>()?;
        fn join<T: Copy>(parts: &[Vec<T>], outer: usize) -> Vec<T> {
            let mut all = Vec::new();
            for o in 0..outer {
                for part in parts {
                    let length = part.len() / outer;
                    all.extend_from_slice(&part[o * length..][..length]);
                }
            }
            all
        }
        let elements = if integers {
            let parts: Vec<Vec<i64>> = parts.iter().filter_map(|p| p.to_ints()).collect();
            Constant::I64(join(&parts, outer))
        } else {
            let parts: Vec<Vec<f32>> = parts.iter().map(|p| p.to_floats()).collect();
            Constant::F32(join(&parts, outer))
        };
        Some(first.with(shape, elements, None))
    }
}

/// Row-major strides of a shape.
fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d] as isize;
    }
    strides
}

/// The offsets of all elements of `shape`, in row-major order, under these strides.
fn offsets(shape: &[usize], start: isize, strides: &[isize]) -> Vec<usize> {
    let mut places = vec![start];
    for (&size, &stride) in shape.iter().zip(strides) {
        places = places.iter().flat_map(|&p| (0..size as isize).map(move |i| p + i * stride)).collect();
    }
    places.into_iter().map(|p| usize::try_from(p).unwrap_or(0)).collect()
}

/// The elements at some offsets, which must exist.
fn pick(constant: &Constant, places: &[usize]) -> Constant {
    fn at<T: Copy>(all: &[T], places: &[usize]) -> Vec<T> {
        places.iter().filter_map(|&p| all.get(p).copied()).collect()
    }
    match constant {
        Constant::F32(v) => Constant::F32(at(v, places)),
        Constant::I8(v) => Constant::I8(at(v, places)),
        Constant::U8(v) => Constant::U8(at(v, places)),
        Constant::I16(v) => Constant::I16(at(v, places)),
        Constant::I32(v) => Constant::I32(at(v, places)),
        Constant::I64(v) => Constant::I64(at(v, places)),
        Constant::Bool(v) => Constant::Bool(at(v, places)),
    }
}
