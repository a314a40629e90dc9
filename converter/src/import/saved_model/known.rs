//! Arrays that are known at import: constants, variables, and shapes computed from them.

use std::rc::Rc;

use super::proto::{TensorProto, TensorShape};
use crate::graph::{Constant, DType};

/// Most elements of an array that the file describes without containing them (a splat, a fill, a range).
pub(super) const MOST: usize = 1 << 22;

/// Elements with their shape, and the name of their source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// The author's name of the variable or constant.
    pub name: String,
    pub shape: Vec<usize>,
    pub data: Constant,
}

impl Known {
    pub(super) fn new(name: &str, shape: Vec<usize>, data: Constant) -> Rc<Known> {
        Rc::new(Known { name: name.into(), shape, data })
    }

    /// Integers, stored as the type `dtype`.
    pub(super) fn integers(name: &str, shape: Vec<usize>, values: &[i64], dtype: DType) -> Rc<Known> {
        let data = match dtype {
            DType::Int64 => Constant::I64(values.to_vec()),
            DType::Bool => Constant::Bool(values.iter().map(|&v| v != 0).collect()),
            DType::Float32 => Constant::F32(values.iter().map(|&v| v as f32).collect()),
            // Conversions wrap, as TensorFlow's casts do.
            DType::Int8 => Constant::I8(values.iter().map(|&v| v as i8).collect()),
            DType::UInt8 => Constant::U8(values.iter().map(|&v| v as u8).collect()),
            DType::Int16 => Constant::I16(values.iter().map(|&v| v as i16).collect()),
            DType::Int32 => Constant::I32(values.iter().map(|&v| v as i32).collect()),
        };
        Known::new(name, shape, data)
    }

    pub(super) fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The elements at these indices, in another shape.
    pub(super) fn pick(&self, name: &str, places: &[usize], shape: Vec<usize>) -> Rc<Known> {
        fn at<T: Copy + Default>(data: &[T], places: &[usize]) -> Vec<T> {
            places.iter().map(|&i| data.get(i).copied().unwrap_or_default()).collect()
        }
        let data = match &self.data {
            Constant::F32(v) => Constant::F32(at(v, places)),
            Constant::I8(v) => Constant::I8(at(v, places)),
            Constant::U8(v) => Constant::U8(at(v, places)),
            Constant::I16(v) => Constant::I16(at(v, places)),
            Constant::I32(v) => Constant::I32(at(v, places)),
            Constant::I64(v) => Constant::I64(at(v, places)),
            Constant::Bool(v) => Constant::Bool(at(v, places)),
        };
        Known::new(name, shape, data)
    }

    /// The same elements in another shape with the same number of elements.
    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Rc<Known> {
        Known::new(&self.name, shape, self.data.clone())
    }

    /// The dimensions in another order.
    pub(super) fn transposed(&self, permutation: &[usize]) -> Rc<Known> {
        let shape: Vec<usize> = permutation.iter().map(|&p| self.shape[p]).collect();
        let own = strides(&self.shape);
        let steps: Vec<isize> = permutation.iter().map(|&p| own[p] as isize).collect();
        self.pick(&self.name, &places(0, &shape, &steps), shape)
    }
}

/// Distance in elements between neighbours along each dimension.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The indices of the elements of a view, in row-major order: `start` plus the view's index times the steps.
pub(super) fn places(start: usize, shape: &[usize], steps: &[isize]) -> Vec<usize> {
    let mut all = vec![start];
    for (&size, &step) in shape.iter().zip(steps) {
        all = all
            .iter()
            .flat_map(|&base| (0..size).map(move |i| base.wrapping_add_signed(step * i as isize)))
            .collect();
    }
    all
}

/// Number of elements, if it is below a plausible limit.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= 1 << 31)
}

/// The graph's type for a type of TensorFlow; wider floats become float32.
pub(super) fn dtype(number: i32) -> Option<DType> {
    Some(match number {
        1 | 2 | 14 | 19 => DType::Float32,
        3 => DType::Int32,
        4 => DType::UInt8,
        5 => DType::Int16,
        6 => DType::Int8,
        9 => DType::Int64,
        10 => DType::Bool,
        _ => return None,
    })
}

/// Whether TensorFlow's type is one of complex numbers.
pub(super) fn is_complex(number: i32) -> bool {
    matches!(number, 8 | 18)
}

/// TensorFlow's name of a type, for people.
pub(super) fn dtype_name(number: i32) -> String {
    let name = match number {
        7 => "string",
        8 => "complex64",
        18 => "complex128",
        17 => "uint16",
        20 => "resource",
        21 => "variant",
        22 => "uint32",
        23 => "uint64",
        _ => return format!("type {number}"),
    };
    name.into()
}

/// The sizes of all dimensions, if all are known.
pub(super) fn static_shape(shape: Option<&TensorShape>) -> Option<Vec<usize>> {
    let shape = shape.filter(|s| !s.unknown_rank)?;
    shape.dims.iter().map(|d| usize::try_from(d.size).ok()).collect()
}

/// Decodes little-endian bytes of TensorFlow's type `number`.
pub(super) fn decode(number: i32, bytes: &[u8]) -> Option<Constant> {
    fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        rest.is_empty().then(|| chunks.iter().map(|&c| read(c)).collect())
    }
    Some(match number {
        1 => Constant::F32(each(bytes, f32::from_le_bytes)?),
        2 => Constant::F32(each(bytes, |b| f64::from_le_bytes(b) as f32)?),
        14 => Constant::F32(each(bytes, |b| half::bf16::from_le_bytes(b).to_f32())?),
        19 => Constant::F32(each(bytes, |b| half::f16::from_le_bytes(b).to_f32())?),
        3 => Constant::I32(each(bytes, i32::from_le_bytes)?),
        4 => Constant::U8(bytes.to_vec()),
        5 => Constant::I16(each(bytes, i16::from_le_bytes)?),
        6 => Constant::I8(each(bytes, i8::from_le_bytes)?),
        9 => Constant::I64(each(bytes, i64::from_le_bytes)?),
        10 => Constant::Bool(bytes.iter().map(|&b| b != 0).collect()),
        _ => return None,
    })
}

/// A constant of the file, or why it cannot be used.
pub(super) fn from_proto(name: &str, tensor: &TensorProto) -> Result<Rc<Known>, String> {
    let number = tensor.dtype;
    let Some(dtype) = dtype(number) else { return Err(format!("elements of {}", dtype_name(number))) };
    let shape = static_shape(tensor.shape.as_ref()).ok_or("an open shape")?;
    let elements = count(&shape).ok_or_else(|| format!("the absurd shape {shape:?}"))?;
    let wrong = |n: usize| format!("{n} elements for the shape {shape:?}");
    if !tensor.content.is_empty() {
        let data = decode(number, &tensor.content).ok_or("bytes that are not whole elements")?;
        if data.len() != elements {
            return Err(wrong(data.len()));
        }
        return Ok(Known::new(name, shape, data));
    }
    // The last element is repeated for all that are missing; without any, all are zero.
    fn spread<T: Copy, U: Copy + Default>(list: &[T], n: usize, f: impl Fn(T) -> U) -> Option<Vec<U>> {
        (list.len() <= n && n <= MOST.max(list.len())).then(|| {
            let mut all: Vec<U> = list.iter().map(|&x| f(x)).collect();
            let last = all.last().copied().unwrap_or_default();
            all.resize(n, last);
            all
        })
    }
    let ints = &tensor.ints;
    let data = match dtype {
        DType::Float32 => match number {
            2 => spread(&tensor.doubles, elements, |x| x as f32),
            14 => spread(&tensor.halves, elements, |x| half::bf16::from_bits(x as u16).to_f32()),
            19 => spread(&tensor.halves, elements, |x| half::f16::from_bits(x as u16).to_f32()),
            _ => spread(&tensor.floats, elements, |x| x),
        }
        .map(Constant::F32),
        DType::Int32 => spread(ints, elements, |x| x).map(Constant::I32),
        DType::Int16 => spread(ints, elements, |x| x as i16).map(Constant::I16),
        DType::Int8 => spread(ints, elements, |x| x as i8).map(Constant::I8),
        DType::UInt8 => spread(ints, elements, |x| x as u8).map(Constant::U8),
        DType::Int64 => spread(&tensor.longs, elements, |x| x).map(Constant::I64),
        DType::Bool => spread(&tensor.bools, elements, |x| x).map(Constant::Bool),
    };
    let listed = tensor.floats.len().max(ints.len()).max(tensor.longs.len());
    data.map(|data| Known::new(name, shape.clone(), data)).ok_or_else(|| wrong(listed))
}

#[cfg(test)]
mod tests {
    use super::super::proto::Dim;
    use super::*;

    fn tensor(dtype: i32, shape: &[i64]) -> TensorProto {
        let dims = shape.iter().map(|&size| Dim { size }).collect();
        TensorProto { dtype, shape: Some(TensorShape { dims, unknown_rank: false }), ..Default::default() }
    }

    #[test]
    fn the_last_element_fills_the_rest() {
        let splat = TensorProto { floats: vec![1.0, 2.5], ..tensor(1, &[4]) };
        assert_eq!(from_proto("c", &splat).unwrap().data, Constant::F32(vec![1.0, 2.5, 2.5, 2.5]));
        assert_eq!(from_proto("c", &tensor(3, &[2])).unwrap().data, Constant::I32(vec![0, 0]));
        let half = TensorProto { halves: vec![0x3c00], ..tensor(19, &[]) };
        assert_eq!(from_proto("c", &half).unwrap().data, Constant::F32(vec![1.0]));
    }

    #[test]
    fn claims_of_size_are_held_against_the_bytes() {
        let bomb = TensorProto { floats: vec![1.0], ..tensor(1, &[1 << 15, 1 << 15]) };
        assert!(from_proto("c", &bomb).is_err());
        let short = TensorProto { content: vec![0; 8], ..tensor(1, &[1 << 20]) };
        assert!(from_proto("c", &short).unwrap_err().contains("2 elements"));
        assert!(from_proto("c", &tensor(1, &[-1])).is_err());
        assert!(from_proto("c", &tensor(7, &[])).unwrap_err().contains("string"));
    }

    #[test]
    fn views_walk_in_any_direction() {
        let k = Known::integers("k", vec![2, 3], &[0, 1, 2, 3, 4, 5], DType::Int32);
        assert_eq!(k.transposed(&[1, 0]).data, Constant::I32(vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(places(5, &[3], &[-2]), [5, 3, 1]);
    }
}
