//! Constants of a graph, and how integers stand for real numbers.

use super::DType;

/// Affine quantization, `real = scale * (q - zero_point)`: one scale for the whole tensor, or one
/// for each index along `axis`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// One scale (per tensor) or one per index along `axis`; all finite and above zero.
    pub scale: Vec<f32>,
    /// As many zero points as scales.
    pub zero_point: Vec<i32>,
    /// The dimension that several scales belong to; without meaning when there is one scale.
    pub axis: usize,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Quantization {
        Quantization { scale: vec![scale], zero_point: vec![zero_point], axis: 0 }
    }

    /// One scale per index along `axis`, all zero points zero: the form of weights.
    pub fn per_channel(scale: Vec<f32>, axis: usize) -> Quantization {
        Quantization { zero_point: vec![0; scale.len()], scale, axis }
    }

    /// Whether one scale serves the whole tensor.
    pub fn is_per_tensor(&self) -> bool {
        self.scale.len() == 1
    }

    /// Scale and zero point of a per-tensor quantization.
    pub fn tensor(&self) -> Option<(f32, i32)> {
        self.is_per_tensor().then(|| (self.scale[0], self.zero_point[0]))
    }
}

/// The elements of a constant. Importers widen float16 to `F32` and int4 to `I8`.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// float32 elements.
    F32(Vec<f32>),
    /// int8 elements.
    I8(Vec<i8>),
    /// uint8 elements.
    U8(Vec<u8>),
    /// int16 elements.
    I16(Vec<i16>),
    /// int32 elements.
    I32(Vec<i32>),
    /// int64 elements.
    I64(Vec<i64>),
    /// Boolean elements.
    Bool(Vec<bool>),
}

impl Constant {
    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Constant::F32(_) => DType::Float32,
            Constant::I8(_) => DType::Int8,
            Constant::U8(_) => DType::UInt8,
            Constant::I16(_) => DType::Int16,
            Constant::I32(_) => DType::Int32,
            Constant::I64(_) => DType::Int64,
            Constant::Bool(_) => DType::Bool,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Constant::F32(v) => v.len(),
            Constant::I8(v) => v.len(),
            Constant::U8(v) => v.len(),
            Constant::I16(v) => v.len(),
            Constant::I32(v) => v.len(),
            Constant::I64(v) => v.len(),
            Constant::Bool(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The float elements, if this is a float32 constant.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if let Constant::F32(v) = self { Some(v) } else { None }
    }

    /// The elements as integers, for any integer or boolean constant.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        Some(match self {
            Constant::F32(_) => return None,
            Constant::I8(v) => v.iter().map(|&x| x.into()).collect(),
            Constant::U8(v) => v.iter().map(|&x| x.into()).collect(),
            Constant::I16(v) => v.iter().map(|&x| x.into()).collect(),
            Constant::I32(v) => v.iter().map(|&x| x.into()).collect(),
            Constant::I64(v) => v.clone(),
            Constant::Bool(v) => v.iter().map(|&x| x.into()).collect(),
        })
    }

    /// The real numbers that the elements stand for: `scale * (q - zero_point)` where a
    /// quantization is given, the plain values otherwise. `shape` is that of the tensor.
    pub fn to_real(&self, quantization: Option<&Quantization>, shape: &[usize]) -> Vec<f32> {
        if let Constant::F32(v) = self {
            return v.clone();
        }
        let integers = self.to_i64().unwrap_or_default();
        let Some(q) = quantization else {
            return integers.iter().map(|&x| x as f32).collect();
        };
        let inner: usize = shape.iter().skip(q.axis + 1).product::<usize>().max(1);
        let channels = q.scale.len().max(1);
        integers
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                let c = if channels == 1 { 0 } else { (i / inner) % channels };
                q.scale[c] * (x - i64::from(q.zero_point[c])) as f32
            })
            .collect()
    }

    /// The elements as little-endian bytes, as the file stores them.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Constant::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Constant::I8(v) => v.iter().map(|&x| x as u8).collect(),
            Constant::U8(v) => v.clone(),
            Constant::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Constant::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Constant::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Constant::Bool(v) => v.iter().map(|&x| x.into()).collect(),
        }
    }
}
