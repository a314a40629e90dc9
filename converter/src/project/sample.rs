//! A project's sample: inputs, and the answer that the converter's own kernels give to them.

use ferrolite_runtime::{DType, Model};

use crate::aligned::AlignedBuf;
use crate::error::Result;
use crate::execute::{infer, interpreter};
use crate::model_file::{self, ModelFile, PortFacts};
use crate::self_check;

/// Bytes of all inputs and outputs of one inference, the first after the start.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) inputs: Vec<Vec<u8>>,
    pub(super) outputs: Vec<Vec<u8>>,
    /// Whether the inputs are the user's, not made up.
    pub(super) real: bool,
}

/// The sample of a file: the given inputs, or made-up ones.
pub(super) fn take(file: &ModelFile, given: Option<Vec<Vec<u8>>>) -> Result<Sample> {
    let model = file.model()?;
    let real = given.is_some();
    let inputs = given.unwrap_or_else(|| self_check::made_up(&model));
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(&model, file.operators(), &mut memory)?;
    let outputs = infer(&mut net, &inputs, &mut ())?;
    Ok(Sample { inputs, outputs, real })
}

/// Whether the integers of a port stand for real numbers, which its module and header convert.
pub(super) fn stands_for_reals(facts: &PortFacts) -> bool {
    let converted = matches!(facts.dtype, DType::Int8 | DType::UInt8 | DType::Int16 | DType::Int32);
    converted && facts.quantization.is_some()
}

/// An array of a port's elements as a source text has it, and how one element is written.
pub(super) fn elements(facts: &PortFacts, bytes: &[u8], float: fn(f32) -> String) -> Vec<String> {
    let of = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let integer = u64::from_le_bytes(word);
        match facts.dtype {
            DType::Int8 => (integer as i8).to_string(),
            DType::UInt8 | DType::Bool => integer.to_string(),
            DType::Int16 => (integer as i16).to_string(),
            DType::Int32 => (integer as i32).to_string(),
            DType::Int64 => (integer as i64).to_string(),
            DType::Float32 => float(f32::from_bits(integer as u32)),
        }
    };
    bytes.chunks(facts.dtype.size()).map(of).collect()
}

/// Inputs and outputs with their facts, each as `input0`, `output1`.
pub(super) fn ports<'s>(model: &Model<'_>, sample: &'s Sample) -> Vec<(String, PortFacts, &'s [u8])> {
    let inputs = model_file::inputs(model).into_iter().zip(&sample.inputs).enumerate();
    let outputs = model_file::outputs(model).into_iter().zip(&sample.outputs).enumerate();
    let inputs = inputs.map(|(index, (facts, bytes))| (format!("input{index}"), facts, &bytes[..]));
    inputs
        .chain(outputs.map(|(index, (facts, bytes))| (format!("output{index}"), facts, &bytes[..])))
        .collect()
}

/// Elements in lines of source text.
pub(super) fn lines(elements: &[String]) -> String {
    elements.chunks(16).map(|line| format!("    {},\n", line.join(", "))).collect()
}
