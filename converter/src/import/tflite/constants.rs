//! The bytes of a constant tensor become elements. TFLite stores them little-endian and row-major;
//! int4 holds two elements per byte, the first in the low half.

use half::f16;

use crate::graph::{Constant, DType};
use crate::tflite::TensorType;

/// The element type that a TFLite type has in the graph: float16 is widened to float32, int4 to
/// int8. `None` for types that Ferrolite does not hold.
pub(super) fn graph_type(stored: TensorType) -> Option<DType> {
    Some(match stored {
        TensorType::FLOAT32 | TensorType::FLOAT16 => DType::Float32,
        TensorType::INT8 | TensorType::INT4 => DType::Int8,
        TensorType::UINT8 => DType::UInt8,
        TensorType::INT16 => DType::Int16,
        TensorType::INT32 => DType::Int32,
        TensorType::INT64 => DType::Int64,
        TensorType::BOOL => DType::Bool,
        _ => return None,
    })
}

/// The type's name, for messages.
pub(super) fn type_name(stored: TensorType) -> String {
    stored.variant_name().map_or_else(|| format!("type number {}", stored.0), str::to_lowercase)
}

/// Bytes that `elements` elements take in a file; `None` for types without a graph type or when
/// the number overflows.
pub(super) fn stored_bytes(stored: TensorType, elements: usize) -> Option<usize> {
    match stored {
        TensorType::INT4 => Some(elements.div_ceil(2)),
        TensorType::FLOAT16 => elements.checked_mul(2),
        _ => elements.checked_mul(graph_type(stored)?.size()),
    }
}

/// Decodes `data`, which holds exactly `stored_bytes(stored, elements)` bytes.
pub(super) fn decode(stored: TensorType, data: &[u8], elements: usize) -> Option<Constant> {
    Some(match stored {
        TensorType::FLOAT32 => Constant::F32(each(data, f32::from_le_bytes)),
        TensorType::FLOAT16 => Constant::F32(each(data, |b| f16::from_le_bytes(b).to_f32())),
        TensorType::INT8 => Constant::I8(each(data, i8::from_le_bytes)),
        TensorType::INT4 => {
            // Shifting up and arithmetically down again extends the sign.
            let halves = data.iter().flat_map(|&b| [(b << 4) as i8 >> 4, b as i8 >> 4]);
            Constant::I8(halves.take(elements).collect())
        }
        TensorType::UINT8 => Constant::U8(data.to_vec()),
        TensorType::INT16 => Constant::I16(each(data, i16::from_le_bytes)),
        TensorType::INT32 => Constant::I32(each(data, i32::from_le_bytes)),
        TensorType::INT64 => Constant::I64(each(data, i64::from_le_bytes)),
        TensorType::BOOL => Constant::Bool(data.iter().map(|&b| b != 0).collect()),
        _ => return None,
    })
}

/// Numbers of N little-endian bytes.
pub(super) fn each<const N: usize, T>(data: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = data.as_chunks::<N>();
    chunks.iter().map(|&bytes| convert(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int4_is_sign_extended_and_its_last_half_byte_dropped() {
        assert_eq!(stored_bytes(TensorType::INT4, 3), Some(2));
        let constant = decode(TensorType::INT4, &[0x8f, 0xf7], 3);
        assert_eq!(constant, Some(Constant::I8(vec![-1, -8, 7])));
    }

    #[test]
    fn float16_is_widened_exactly() {
        let data: Vec<u8> =
            [1.0f32, -0.5, 65504.0].iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        assert_eq!(decode(TensorType::FLOAT16, &data, 3), Some(Constant::F32(vec![1.0, -0.5, 65504.0])));
    }

    #[test]
    fn foreign_types_and_absurd_sizes_have_no_size() {
        assert_eq!(stored_bytes(TensorType::STRING, 1), None);
        assert_eq!(stored_bytes(TensorType::FLOAT32, usize::MAX / 2), None);
        assert_eq!(type_name(TensorType(99)), "type number 99");
    }
}
