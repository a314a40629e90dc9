//! Turns the tensors of the file into [`Known`] ones. Every encoding of ONNX is supported, including external
//! files.
//!
//! The elements of a tensor may be in `raw_data`, in a list of their type, or in a file beside the model.
//! Sizes are compared with the available bytes before anything is allocated.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use half::{bf16, f16};
use sha2::{Digest, Sha256};

use super::known::Known;
use super::proto::TensorProto;
use crate::error::{Error, Result};
use crate::graph::{Constant, DType};
use crate::import::damaged::damaged;

/// Element types, by their number in `onnx.proto`.
pub(super) mod types {
    pub const FLOAT: i64 = 1;
    pub const UINT8: i64 = 2;
    pub const INT8: i64 = 3;
    pub const UINT16: i64 = 4;
    pub const INT16: i64 = 5;
    pub const INT32: i64 = 6;
    pub const INT64: i64 = 7;
    pub const STRING: i64 = 8;
    pub const BOOL: i64 = 9;
    pub const FLOAT16: i64 = 10;
    pub const DOUBLE: i64 = 11;
    pub const UINT32: i64 = 12;
    pub const UINT64: i64 = 13;
    pub const BFLOAT16: i64 = 16;
    pub const UINT4: i64 = 21;
    pub const INT4: i64 = 22;

    const NAMES: [&str; 24] = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
        "float8e4m3fn",
        "float8e4m3fnuz",
        "float8e5m2",
        "float8e5m2fnuz",
        "uint4",
        "int4",
        "float4e2m1",
    ];

    /// The name in `onnx.proto`.
    pub fn name(number: i64) -> String {
        let name = usize::try_from(number).ok().and_then(|n| NAMES.get(n));
        name.map_or_else(|| format!("type {number}"), |name| (*name).into())
    }

    /// The number of a type by its name, in any case.
    pub fn number(text: &str) -> Option<i64> {
        let text = text.to_lowercase();
        (0..i64::from(u8::MAX)).take(NAMES.len()).find(|&number| name(number) == text)
    }
}

/// The graph's type for values of an ONNX type. Wider floats become float32, other integers int64.
pub(super) fn dtype(number: i64) -> Option<DType> {
    Some(match number {
        types::FLOAT | types::FLOAT16 | types::DOUBLE | types::BFLOAT16 => DType::Float32,
        types::UINT8 | types::UINT4 => DType::UInt8,
        types::INT8 | types::INT4 => DType::Int8,
        types::INT16 => DType::Int16,
        types::INT32 => DType::Int32,
        types::INT64 | types::UINT16 | types::UINT32 | types::UINT64 => DType::Int64,
        types::BOOL => DType::Bool,
        _ => return None,
    })
}

/// Access to tensors outside of the model's file.
pub(super) struct Outside<'a> {
    /// The model's folder; `None` for a model that was given as bytes.
    pub folder: Option<&'a Path>,
    /// Everything that is read is added to this hash.
    pub hash: &'a mut Sha256,
}

/// Decodes a tensor.
pub(super) fn read(tensor: &TensorProto, outside: &mut Outside<'_>) -> Result<Known> {
    let name = &tensor.name;
    let context = |e: Error| e.context(format!("tensor `{name}`"));
    let shape: Option<Vec<usize>> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let count = shape.as_ref().and_then(|s| s.iter().try_fold(1usize, |n, &d| n.checked_mul(d)));
    let (Some(shape), Some(count)) = (shape, count) else {
        return Err(context(damaged(format!("has shape {:?}", tensor.dims))));
    };
    let raw;
    let elements = if tensor.data_location == 1 {
        let bits = bits(tensor.data_type.into()).map_err(context)?;
        let wanted = count.checked_mul(bits).map(|b| b.div_ceil(8));
        raw = external(tensor, wanted, outside).map_err(context)?;
        from_bytes(tensor.data_type.into(), &raw, count)
    } else if tensor.raw_data.is_empty() {
        from_lists(tensor, count)
    } else {
        from_bytes(tensor.data_type.into(), &tensor.raw_data, count)
    };
    let elements = elements.map_err(context)?;
    if elements.len() != count {
        let text = format!("of shape {shape:?} has {} elements", elements.len());
        return Err(context(damaged(text)));
    }
    Ok(Known { stored: Some(tensor.data_type.into()), ..Known::new(name.clone(), shape, elements) })
}

/// Size of an element.
fn bits(number: i64) -> Result<usize> {
    Ok(match number {
        types::INT4 | types::UINT4 => 4,
        types::UINT8 | types::INT8 | types::BOOL => 8,
        types::UINT16 | types::INT16 | types::FLOAT16 | types::BFLOAT16 => 16,
        types::FLOAT | types::INT32 | types::UINT32 => 32,
        types::DOUBLE | types::INT64 | types::UINT64 => 64,
        _ => return Err(foreign(number)),
    })
}

fn foreign(number: i64) -> Error {
    Error::input(format!("has elements of {}, which are not supported", types::name(number)))
        .help("supported are float, float16, bfloat16, double, bool and integers of 4 to 64 bits")
}

/// Elements from little-endian bytes.
fn from_bytes(number: i64, bytes: &[u8], count: usize) -> Result<Constant> {
    let wanted = count.checked_mul(bits(number)?).map(|b| b.div_ceil(8));
    if wanted != Some(bytes.len()) {
        return Err(damaged(format!(
            "has {} bytes for {count} elements of {}",
            bytes.len(),
            types::name(number)
        )));
    }
    fn each<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        let chunks = bytes.chunks_exact(N);
        chunks.map(|c| f(c.try_into().unwrap_or([0; N]))).collect()
    }
    let nibbles = || bytes.iter().flat_map(|b| [b & 15, b >> 4]).take(count);
    Ok(match number {
        types::FLOAT => Constant::F32(each(bytes, f32::from_le_bytes)),
        types::DOUBLE => Constant::F32(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        types::FLOAT16 => Constant::F32(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
        types::BFLOAT16 => Constant::F32(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        types::UINT8 => Constant::U8(bytes.to_vec()),
        types::INT8 => Constant::I8(each(bytes, i8::from_le_bytes)),
        types::UINT4 => Constant::U8(nibbles().collect()),
        types::INT4 => Constant::I8(nibbles().map(|n| (n << 4) as i8 >> 4).collect()),
        types::BOOL => Constant::Bool(bytes.iter().map(|&b| b != 0).collect()),
        types::INT16 => Constant::I16(each(bytes, i16::from_le_bytes)),
        types::INT32 => Constant::I32(each(bytes, i32::from_le_bytes)),
        types::INT64 => Constant::I64(each(bytes, i64::from_le_bytes)),
        types::UINT16 => Constant::I64(each(bytes, |b| u16::from_le_bytes(b).into())),
        types::UINT32 => Constant::I64(each(bytes, |b| u32::from_le_bytes(b).into())),
        types::UINT64 => Constant::I64(each(bytes, |b| u64::from_le_bytes(b) as i64)),
        _ => return Err(foreign(number)),
    })
}

/// Elements from the list of their type. Small types are in `int32_data`.
fn from_lists(tensor: &TensorProto, count: usize) -> Result<Constant> {
    let small = &tensor.int32_data;
    let nibbles = || small.iter().flat_map(|&b| [b as u8 & 15, b as u8 >> 4]).take(count);
    Ok(match i64::from(tensor.data_type) {
        types::FLOAT => Constant::F32(tensor.float_data.clone()),
        types::DOUBLE => Constant::F32(tensor.double_data.iter().map(|&x| x as f32).collect()),
        types::FLOAT16 => Constant::F32(small.iter().map(|&x| f16::from_bits(x as u16).to_f32()).collect()),
        types::BFLOAT16 => Constant::F32(small.iter().map(|&x| bf16::from_bits(x as u16).to_f32()).collect()),
        types::UINT8 => Constant::U8(small.iter().map(|&x| x as u8).collect()),
        types::INT8 => Constant::I8(small.iter().map(|&x| x as i8).collect()),
        types::UINT4 => Constant::U8(nibbles().collect()),
        types::INT4 => Constant::I8(nibbles().map(|n| (n << 4) as i8 >> 4).collect()),
        types::BOOL => Constant::Bool(small.iter().map(|&x| x != 0).collect()),
        types::INT16 => Constant::I16(small.iter().map(|&x| x as i16).collect()),
        types::UINT16 => Constant::I64(small.iter().map(|&x| i64::from(x as u16)).collect()),
        types::INT32 => Constant::I32(small.clone()),
        types::INT64 => Constant::I64(tensor.int64_data.clone()),
        types::UINT32 | types::UINT64 => {
            Constant::I64(tensor.uint64_data.iter().map(|&x| x as i64).collect())
        }
        number => return Err(foreign(number)),
    })
}

/// The bytes of a tensor in another file. There must be `wanted` of them.
fn external(tensor: &TensorProto, wanted: Option<usize>, outside: &mut Outside<'_>) -> Result<Vec<u8>> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let location = entry("location").unwrap_or_default();
    let Some(folder) = outside.folder else {
        return Err(Error::input(format!("lies in the file `{location}`, but the model was given as bytes"))
            .help("give the path of the model, with its data beside it"));
    };
    let inside = !location.is_empty()
        && Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(Error::input(format!("lies in `{location}`, which is outside of the model's folder"))
            .help("external data must lie in the model's folder or below"));
    }
    let path = folder.join(location);
    let missing = |e: std::io::Error| {
        Error::input(format!("lies in the file `{location}`, which cannot be read: {e}"))
            .help("copy the data file that belongs to the model into the model's folder")
    };
    let real = path.canonicalize().map_err(missing)?;
    let home = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !home.canonicalize().is_ok_and(|home| real.starts_with(home)) {
        return Err(Error::input(format!("lies in `{location}`, a link out of the model's folder"))
            .help("external data must lie in the model's folder or below"));
    }
    let number = |key: &str| entry(key).map_or(Ok(None), |text| text.parse::<u64>().map(Some));
    let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
        return Err(damaged("gives its position in another file as something that is not a number"));
    };
    let wanted = wanted.and_then(|n| u64::try_from(n).ok());
    let (offset, length) = (offset.unwrap_or(0), length.or(wanted).unwrap_or(0));
    // Opening a pipe or a device may block forever.
    let metadata = std::fs::metadata(&real).map_err(missing)?;
    if !metadata.is_file() {
        return Err(Error::input(format!("lies in `{location}`, which is not a regular file"))
            .help("external data must lie in a file in the model's folder or below"));
    }
    let size = metadata.len();
    if let Some(wanted) = wanted.filter(|&wanted| wanted != length) {
        return Err(damaged(format!(
            "needs {wanted} bytes, and the model says that `{location}` holds {length} for it"
        )));
    }
    if wanted.is_none() || offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(Error::input(format!(
            "lies at the bytes from {offset} on of the file `{location}`, {length} of them, but the file ends after \
             {size}: it was not copied completely"
        ))
        .help(format!("copy `{location}` again, or export the model again")));
    }
    let mut file = std::fs::File::open(&real).map_err(missing)?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset)).map_err(missing)?;
    file.take(length).read_to_end(&mut bytes).map_err(missing)?;
    outside.hash.update(&bytes);
    Ok(bytes)
}
