//! One inference on the host, in bytes: what every part of the host side that runs a model goes through.

use ferrolite_runtime::{DType, Interpreter, Model, Observer, ops};

use crate::error::{Error, Result};
use crate::model_file;

/// An interpreter of a verified model.
pub(crate) fn interpreter<'a>(model: &'a Model<'a>, memory: &'a mut [u8]) -> Result<Interpreter<'a>> {
    Interpreter::new(model, ops::ALL, memory).map_err(failed)
}

/// One inference: input bytes in, output bytes out.
pub(crate) fn infer(
    net: &mut Interpreter<'_>,
    inputs: &[Vec<u8>],
    observer: &mut impl Observer,
) -> Result<Vec<Vec<u8>>> {
    for (index, bytes) in inputs.iter().enumerate() {
        let input = bytes_mut(net, index).map_err(failed)?;
        if input.len() != bytes.len() {
            return Err(Error::input(format!(
                "input {index} takes {} bytes, {} were given",
                input.len(),
                bytes.len()
            )));
        }
        input.copy_from_slice(bytes);
    }
    net.invoke_observed(observer).map_err(failed)?;
    (0..net.model().outputs().len()).map(|index| output_bytes(net, index).map_err(failed)).collect()
}

pub(crate) fn failed(error: ferrolite_runtime::Error) -> Error {
    Error::input(format!("the model cannot run: {error}")).help("convert the model again").caused_by(error)
}

/// The bytes of an input, whatever its type.
pub(crate) fn bytes_mut<'n>(
    net: &'n mut Interpreter<'_>,
    index: usize,
) -> Result<&'n mut [u8], ferrolite_runtime::Error> {
    let port = net.model().inputs().get(index);
    let dtype = port.map_or(DType::Int8, |port| model_file::tensor_dtype(net.model(), port.tensor as usize));
    Ok(match dtype {
        DType::Int8 => bytemuck::cast_slice_mut(net.input_mut::<i8>(index)?),
        DType::UInt8 | DType::Bool => net.input_mut::<u8>(index)?,
        DType::Int16 => bytemuck::cast_slice_mut(net.input_mut::<i16>(index)?),
        DType::Int32 => bytemuck::cast_slice_mut(net.input_mut::<i32>(index)?),
        DType::Int64 => bytemuck::cast_slice_mut(net.input_mut::<i64>(index)?),
        DType::Float32 => bytemuck::cast_slice_mut(net.input_mut::<f32>(index)?),
    })
}

/// The bytes of an output, whatever its type.
fn output_bytes(net: &Interpreter<'_>, index: usize) -> Result<Vec<u8>, ferrolite_runtime::Error> {
    let port = net.model().outputs().get(index);
    let dtype = port.map_or(DType::Int8, |port| model_file::tensor_dtype(net.model(), port.tensor as usize));
    Ok(match dtype {
        DType::Int8 => bytemuck::cast_slice(net.output::<i8>(index)?).to_vec(),
        DType::UInt8 | DType::Bool => net.output::<u8>(index)?.to_vec(),
        DType::Int16 => bytemuck::cast_slice(net.output::<i16>(index)?).to_vec(),
        DType::Int32 => bytemuck::cast_slice(net.output::<i32>(index)?).to_vec(),
        DType::Int64 => bytemuck::cast_slice(net.output::<i64>(index)?).to_vec(),
        DType::Float32 => bytemuck::cast_slice(net.output::<f32>(index)?).to_vec(),
    })
}
