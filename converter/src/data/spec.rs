//! The shape and type of a model's input, and conversion between real numbers and the input's own bytes.

use ferrolite_runtime::quant;

use super::npy::{Element, elements, shape_text};
use crate::graph::{DType, Graph, Value};

/// One sample for one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// Real numbers.
    Real(Vec<f32>),
    /// Elements in the input's own type, little-endian.
    Raw(Vec<u8>),
}

/// An input of a model, as far as its data is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// The author's name for the input.
    pub name: String,
    /// Dimensions, outermost first, including a batch dimension.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Scale and zero point, `real = scale * (q - zero_point)`, if integers stand for real numbers.
    pub quantization: Option<(f32, i32)>,
}

impl InputSpec {
    /// The specification of the data for a value of a graph.
    pub fn of(value: &Value) -> InputSpec {
        InputSpec {
            name: value.name.clone(),
            shape: value.shape.clone(),
            dtype: value.dtype,
            quantization: value.quantization.as_ref().and_then(|q| q.tensor()),
        }
    }

    /// Smallest and largest real number that the input's integers represent.
    pub fn real_range(&self) -> Option<(f32, f32)> {
        let ((low, high), (scale, zero_point)) = self.range().zip(self.quantization)?;
        let real = |q: i64| scale * (q - i64::from(zero_point)) as f32;
        Some((real(low), real(high)))
    }

    /// Number of elements of one sample.
    pub fn elements(&self) -> usize {
        elements(&self.shape).unwrap_or(usize::MAX)
    }

    /// Whether samples of this shape fit. Dimensions of 1, such as a batch axis, may be present or left out.
    pub fn fits(&self, sample: &[usize]) -> bool {
        let wide = |shape: &[usize]| shape.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
        wide(sample) == wide(&self.shape)
    }

    /// Describes the input: `input `x` wants 1x28x28x1 int8`.
    pub fn wants(&self) -> String {
        format!("input `{}` wants {} {}", self.name, shape_text(&self.shape), self.dtype.name())
    }

    /// Smallest and largest integer of the input's type; `None` for float32.
    pub fn range(&self) -> Option<(i64, i64)> {
        Some(match self.dtype {
            DType::Int8 => (i8::MIN.into(), i8::MAX.into()),
            DType::UInt8 => (0, u8::MAX.into()),
            DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
            DType::Int32 => (i32::MIN.into(), i32::MAX.into()),
            DType::Int64 => (i64::MIN, i64::MAX),
            DType::Bool => (0, 1),
            DType::Float32 => return None,
        })
    }

    /// The NumPy type with the same elements as the input.
    pub fn own_element(&self) -> Element {
        match self.dtype {
            DType::Int8 => Element::Int8,
            DType::UInt8 => Element::UInt8,
            DType::Int16 => Element::Int16,
            DType::Int32 => Element::Int32,
            DType::Int64 => Element::Int64,
            DType::Bool => Element::Bool,
            DType::Float32 => Element::Float32,
        }
    }

    /// Quantizes as TFLite does: divides in float32, rounds half away from zero, clamps. Integer inputs
    /// without a scale (indices) take whole numbers only; `Err` is a number that is not whole or out of
    /// range.
    pub fn quantize(&self, real: &[f32]) -> Result<Vec<u8>, f32> {
        let Some((low, high)) = self.range() else {
            return Ok(real.iter().flat_map(|v| v.to_le_bytes()).collect());
        };
        let mut bytes = Vec::with_capacity(real.len() * self.dtype.size());
        for &value in real {
            let q = match self.quantization {
                Some((scale, zero_point)) => {
                    let clamp = |bound: i64| bound.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                    quant::quantize(value, scale, zero_point, clamp(low), clamp(high)).into()
                }
                None => {
                    let whole = value as i64;
                    if whole as f32 != value || whole < low || whole > high {
                        return Err(value);
                    }
                    whole
                }
            };
            self.push(&mut bytes, q);
        }
        Ok(bytes)
    }

    /// Stores integers in the input's own type; `Err` is one that is out of range.
    pub fn store(&self, integers: &[i64]) -> Result<Vec<u8>, i64> {
        let (low, high) = self.range().unwrap_or((i64::MIN, i64::MAX));
        let mut bytes = Vec::with_capacity(integers.len() * self.dtype.size());
        for &q in integers {
            if q < low || q > high {
                return Err(q);
            }
            self.push(&mut bytes, q);
        }
        Ok(bytes)
    }

    /// Real numbers of raw bytes in the input's own type.
    pub fn dequantize(&self, raw: &[u8]) -> Vec<f32> {
        dequantize(self.dtype, self.quantization, raw)
    }

    fn push(&self, bytes: &mut Vec<u8>, q: i64) {
        if self.dtype == DType::Float32 {
            bytes.extend_from_slice(&(q as f32).to_le_bytes());
        } else {
            // The number is within the range of the type, so its low bytes are the whole number.
            bytes.extend_from_slice(&q.to_le_bytes()[..self.dtype.size()]);
        }
    }
}

/// Real numbers of little-endian elements: `scale * (q - zero_point)` if a quantization is given, the plain
/// numbers otherwise.
pub fn dequantize(dtype: DType, quantization: Option<(f32, i32)>, raw: &[u8]) -> Vec<f32> {
    if dtype == DType::Float32 {
        let (elements, _) = raw.as_chunks::<4>();
        return elements.iter().map(|&b| f32::from_le_bytes(b)).collect();
    }
    let integers = integers(dtype, raw);
    match quantization {
        Some((scale, zero)) => integers.iter().map(|&q| scale * q.wrapping_sub(zero.into()) as f32).collect(),
        None => integers.iter().map(|&q| q as f32).collect(),
    }
}

/// Little-endian integer elements as `i64`; floats are truncated to integers.
pub fn integers(dtype: DType, raw: &[u8]) -> Vec<i64> {
    raw.chunks_exact(dtype.size())
        .map(|b| match (dtype, b) {
            (DType::Int8, &[a]) => i64::from(a as i8),
            (DType::UInt8 | DType::Bool, &[a]) => a.into(),
            (DType::Int16, &[a, b]) => i16::from_le_bytes([a, b]).into(),
            (DType::Int32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]).into(),
            (DType::Float32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]) as i64,
            (_, bytes) => bytes.iter().rev().fold(0i64, |q, &b| q << 8 | i64::from(b)),
        })
        .collect()
}

/// The inputs of a graph, as specifications that a data set has to fit.
pub fn input_specs(graph: &Graph) -> Vec<InputSpec> {
    graph.inputs.iter().map(|&id| InputSpec::of(graph.value(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dtype: DType, quantization: Option<(f32, i32)>) -> InputSpec {
        InputSpec { name: "x".into(), shape: vec![1, 3], dtype, quantization }
    }

    #[test]
    fn rounds_half_away_from_zero_and_clamps() {
        let spec = spec(DType::Int8, Some((0.5, -3)));
        let real = [0.0, 0.25, -0.25, 0.75, -0.75, 1e30, -1e30, f32::MAX];
        let want: Vec<u8> = [-3i8, -2, -4, -1, -5, 127, -128, 127].iter().map(|&q| q as u8).collect();
        assert_eq!(spec.quantize(&real).unwrap(), want);
        assert_eq!(spec.dequantize(&[0xfd, 0xfe, 127]), [0.0, 0.5, 65.0]);
    }

    #[test]
    fn every_integer_type_survives() {
        for dtype in DType::ALL.into_iter().filter(|d| *d != DType::Float32) {
            let spec = spec(dtype, None);
            let (low, high) = spec.range().unwrap();
            let bytes = spec.store(&[low, 0, high]).unwrap();
            assert_eq!(integers(dtype, &bytes), [low, 0, high], "{}", dtype.name());
            if dtype != DType::Int64 {
                assert_eq!(spec.store(&[high + 1]), Err(high + 1), "{}", dtype.name());
            }
        }
    }

    #[test]
    fn indices_are_whole_numbers() {
        assert_eq!(spec(DType::Int32, None).quantize(&[3.0]).unwrap(), [3, 0, 0, 0]);
        assert_eq!(spec(DType::Int32, None).quantize(&[3.5]), Err(3.5));
        assert_eq!(spec(DType::Int32, None).quantize(&[3e12]), Err(3e12));
    }

    #[test]
    fn ones_do_not_matter_for_the_shape() {
        let image = InputSpec { shape: vec![1, 28, 28, 1], ..spec(DType::Int8, None) };
        for shape in [&[28, 28][..], &[28, 28, 1], &[1, 28, 28, 1]] {
            assert!(image.fits(shape), "{shape:?}");
        }
        for shape in [&[784][..], &[28], &[2, 28, 28], &[]] {
            assert!(!image.fits(shape), "{shape:?}");
        }
        assert!(InputSpec { shape: vec![1, 1], ..image }.fits(&[]));
    }
}
