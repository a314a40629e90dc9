//! The manifest of weights: groups of arrays that stand behind one another in a group's files.
//!
//! ```text
//! weightsManifest: [{ paths: ["group1-shard1of2.bin", …],
//!                     weights: [{ name, shape, dtype, quantization: { dtype, min, scale } }, …] }, …]
//! ```
//! An array that was quantized is `min + scale * stored` for uint8 and uint16, and its own number for float16. Source:
//! TensorFlow.js, `tfjs-core/src/io/types.ts` and `io_utils.ts`.

use half::f16;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::graph::Constant;
use crate::import::listed::Listed;

const DAMAGED: &str = "the file is damaged: save the model again, or check that it was copied completely";

/// Most elements of an array that is believed.
const MOST: usize = 1 << 30;

/// The names of all files with weights.
pub fn paths(model: &Json) -> Vec<String> {
    let groups = model.get("weightsManifest").and_then(Json::as_array).into_iter().flatten();
    let paths = groups.filter_map(|group| group.get("paths").and_then(Json::as_array)).flatten();
    paths.filter_map(|path| path.as_str().map(str::to_string)).collect()
}

/// Reads all arrays, in their order.
pub fn read(model: &Json, file: &mut dyn FnMut(&str) -> Result<Vec<u8>>) -> Result<Vec<Listed>> {
    let groups = model.get("weightsManifest").and_then(Json::as_array).ok_or_else(|| {
        Error::input("holds no `weightsManifest`: a network without its weights")
            .help("save the model with its weights: `model.save(\"downloads://name\")`")
    })?;
    let mut arrays = Vec::new();
    for group in groups {
        let mut bytes = Vec::new();
        for path in group.get("paths").and_then(Json::as_array).into_iter().flatten() {
            let path = path.as_str().unwrap_or_default();
            // A path is beside the model; nothing else is read.
            let plain =
                !path.is_empty() && !path.starts_with('/') && !path.contains("..") && !path.contains(':');
            if !plain {
                return Err(Error::input(format!(
                    "the weights are said to be in `{path}`, which is no file beside the model"
                ))
                .help(DAMAGED));
            }
            bytes.extend(file(path)?);
        }
        let mut rest = bytes.as_slice();
        for weight in group.get("weights").and_then(Json::as_array).into_iter().flatten() {
            arrays.push(array(weight, &mut rest)?);
        }
        if !rest.is_empty() {
            return Err(
                Error::input(format!("{} bytes of weights belong to no array", rest.len())).help(DAMAGED)
            );
        }
    }
    Ok(arrays)
}

/// One array, at the front of what is left.
fn array(weight: &Json, rest: &mut &[u8]) -> Result<Listed> {
    let name = weight.get("name").and_then(Json::as_str).unwrap_or_default().to_string();
    let wrong = |what: String| Error::input(format!("weight `{name}`: {what}")).help(DAMAGED);
    let shape: Option<Vec<usize>> = weight.get("shape").and_then(Json::as_array).and_then(|shape| {
        shape.iter().map(|size| size.as_u64().and_then(|size| usize::try_from(size).ok())).collect()
    });
    let shape = shape.ok_or_else(|| wrong("has no shape".into()))?;
    let elements = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size)).filter(|&n| n <= MOST);
    let elements = elements.ok_or_else(|| wrong(format!("has the shape {shape:?}")))?;
    let dtype = weight.get("dtype").and_then(Json::as_str).unwrap_or("float32");
    let quantization = weight.get("quantization").filter(|quantization| quantization.is_object());
    let stored = quantization.and_then(|q| q.get("dtype")).and_then(Json::as_str).unwrap_or(dtype);
    let size = match stored {
        "bool" | "uint8" | "int8" => 1,
        "uint16" | "float16" => 2,
        "float32" | "int32" => 4,
        other => {
            return Err(Error::input(format!("weight `{name}`: elements of {other} are not read"))
                .help("cut the model before the layer that reads text or complex numbers"));
        }
    };
    let bytes = elements.checked_mul(size).and_then(|size| rest.split_at_checked(size));
    let (bytes, behind) = bytes.ok_or_else(|| {
        wrong(format!("needs {elements} elements of {stored}, and {} bytes are left", rest.len()))
    })?;
    *rest = behind;
    let number = |key: &str| quantization.and_then(|q| q.get(key)).and_then(Json::as_f64);
    let real: Vec<f32> = match stored {
        "uint8" => bytes.iter().map(|&byte| f32::from(byte)).collect(),
        "uint16" => words(bytes).map(|word| f32::from(u16::from_le_bytes(word))).collect(),
        "float16" => words(bytes).map(|word| f16::from_le_bytes(word).to_f32()).collect(),
        "float32" => words(bytes).map(f32::from_le_bytes).collect(),
        _ => Vec::new(),
    };
    let data = match (stored, dtype) {
        ("bool", _) => Constant::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
        ("int32", _) => Constant::I32(words(bytes).map(i32::from_le_bytes).collect()),
        ("int8", _) => Constant::I8(bytes.iter().map(|&byte| byte as i8).collect()),
        ("uint8", "uint8") if quantization.is_none() => Constant::U8(bytes.to_vec()),
        ("uint8" | "uint16", _) => {
            let (Some(scale), Some(min)) = (number("scale"), number("min")) else {
                return Err(wrong(format!("is stored as {stored} without a scale")));
            };
            // In double precision, as numbers are in JavaScript, and rounded once.
            let real = real.iter().map(|&x| (f64::from(x) * scale + min) as f32);
            match dtype {
                "int32" => Constant::I32(real.map(|x| x.round() as i32).collect()),
                _ => Constant::F32(real.collect()),
            }
        }
        _ => Constant::F32(real),
    };
    if let Constant::F32(real) = &data
        && let Some(place) = real.iter().position(|x| !x.is_finite())
    {
        return Err(wrong(format!("element {place} is {}", real[place])));
    }
    Ok(Listed { name, shape, data })
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).filter_map(|word| word.try_into().ok())
}
