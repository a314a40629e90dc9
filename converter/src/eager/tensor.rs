//! Tensors outside of a model: elements with their shape, type and quantization.

use crate::data::{InputSpec, integers};
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Quantization, Value};

/// A tensor outside of any model.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name, for errors.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// How integers represent real numbers, if they do.
    pub quantization: Option<Quantization>,
    /// Elements, little-endian, row-major.
    pub bytes: Vec<u8>,
    /// Whether it is known before inference, as weights and biases are.
    pub is_constant: bool,
}

impl Tensor {
    /// int8 elements with a scale and a zero point.
    pub fn int8(name: &str, shape: &[usize], quantization: (f32, i32), elements: &[i8]) -> Tensor {
        Tensor {
            bytes: elements.iter().map(|&x| x as u8).collect(),
            ..Tensor::result(name, shape, quantization)
        }
    }

    /// int32 elements, such as a bias. Their scale is derived from the other operands.
    pub fn int32(name: &str, shape: &[usize], elements: &[i32]) -> Tensor {
        Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: DType::Int32,
            quantization: None,
            bytes: elements.iter().flat_map(|x| x.to_le_bytes()).collect(),
            is_constant: false,
        }
    }

    /// float32 elements.
    pub fn float(name: &str, shape: &[usize], elements: &[f32]) -> Tensor {
        let bytes = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
        Tensor { dtype: DType::Float32, bytes, ..Tensor::int32(name, shape, &[]) }
    }

    /// Real numbers rounded to int8 with a scale and a zero point, as inputs of models are.
    pub fn quantized(name: &str, shape: &[usize], quantization: (f32, i32), real: &[f32]) -> Tensor {
        let mut tensor = Tensor::result(name, shape, quantization);
        // Quantization refuses a number only for integers without a scale.
        tensor.bytes = tensor.spec().quantize(real).unwrap_or_default();
        tensor
    }

    /// Describes an int8 result; it has no elements yet. The shape `[]` means that the shape follows from the
    /// operands.
    pub fn result(name: &str, shape: &[usize], (scale, zero_point): (f32, i32)) -> Tensor {
        Tensor {
            dtype: DType::Int8,
            quantization: Some(Quantization::per_tensor(scale, zero_point)),
            ..Tensor::int32(name, shape, &[])
        }
    }

    /// The same tensor, marked as known before inference.
    #[must_use]
    pub fn constant(mut self) -> Tensor {
        self.is_constant = true;
        self
    }

    /// The same tensor with one scale for each index along a dimension, as weights have.
    #[must_use]
    pub fn per_channel(mut self, scales: &[f32], axis: usize) -> Tensor {
        self.quantization = Some(Quantization::per_channel(scales.to_vec(), axis));
        self
    }

    /// The real numbers that the elements represent.
    pub fn real(&self) -> Vec<f32> {
        match (self.dtype, &self.quantization) {
            (DType::Float32, _) | (_, None) => self.spec().dequantize(&self.bytes),
            (_, quantization) => Constant::I64(self.integers()).to_real(quantization.as_ref(), &self.shape),
        }
    }

    /// The elements as they are stored; floats are truncated to integers.
    pub fn integers(&self) -> Vec<i64> {
        integers(self.dtype, &self.bytes)
    }

    /// The specification of data that fits the tensor.
    pub(super) fn spec(&self) -> InputSpec {
        InputSpec {
            name: self.name.clone(),
            shape: self.shape.clone(),
            dtype: self.dtype,
            quantization: self.quantization.as_ref().and_then(Quantization::tensor),
        }
    }

    /// The tensor as a value of a graph.
    pub(super) fn value(&self) -> Result<Value> {
        let elements = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let wanted = elements.and_then(|n| n.checked_mul(self.dtype.size()));
        if self.is_constant && wanted != Some(self.bytes.len()) {
            return Err(self.misfit());
        }
        let constant = self.is_constant.then(|| {
            let whole = self.integers();
            match self.dtype {
                DType::Float32 => Constant::F32(self.real()),
                DType::Int8 => Constant::I8(whole.iter().map(|&x| x as i8).collect()),
                DType::UInt8 => Constant::U8(whole.iter().map(|&x| x as u8).collect()),
                DType::Int16 => Constant::I16(whole.iter().map(|&x| x as i16).collect()),
                DType::Int32 => Constant::I32(whole.iter().map(|&x| x as i32).collect()),
                DType::Int64 => Constant::I64(whole),
                DType::Bool => Constant::Bool(whole.iter().map(|&x| x != 0).collect()),
            }
        });
        Ok(Value {
            name: self.name.clone(),
            shape: self.shape.clone(),
            dtype: self.dtype,
            quantization: self.quantization.clone(),
            constant,
        })
    }

    /// The error when the number of elements does not match the shape.
    pub(super) fn misfit(&self) -> Error {
        Error::input(format!(
            "tensor `{}` of shape {:?} has {} bytes of {} elements",
            self.name,
            self.shape,
            self.bytes.len(),
            self.dtype.name()
        ))
        .help("give as many elements as the dimensions multiply to")
    }
}
