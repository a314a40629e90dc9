//! One inference on the host, in bytes. Every part of the host side that runs a model uses it.

use ferrolite_runtime::{Interpreter, Model, Observer, OpSet};

use crate::error::{Error, Result};
use crate::model_file;

/// An interpreter for a verified model.
pub(crate) fn interpreter<'a>(
    model: &'a Model<'a>,
    ops: OpSet,
    memory: &'a mut [u8],
) -> Result<Interpreter<'a>> {
    Interpreter::new(model, ops, memory).map_err(|error| match model_file::missing(model, error) {
        Some(custom) => custom,
        None => failed(error),
    })
}

/// One inference: input bytes in, output bytes out.
pub(crate) fn infer(
    net: &mut Interpreter<'_>,
    inputs: &[Vec<u8>],
    observer: &mut impl Observer,
) -> Result<Vec<Vec<u8>>> {
    for (index, bytes) in inputs.iter().enumerate() {
        let input = net.input_bytes_mut(index).map_err(failed)?;
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
    let outputs = 0..net.model().outputs().len();
    outputs.map(|index| net.output_bytes(index).map(<[u8]>::to_vec).map_err(failed)).collect()
}

pub(crate) fn failed(error: ferrolite_runtime::Error) -> Error {
    Error::input(format!("the model cannot run: {error}")).help("convert the model again").caused_by(error)
}
