//! From a finished file to one that is packed for another core, with the same results.
//!
//! A file for a microcontroller says on the host what it says there, but its weights lie in the order of
//! other kernels; samples by the thousand go faster with weights in the host's.

use ferrolite_runtime::OpSet;
use ferrolite_runtime::kernels::policy;
use ferrolite_schema::{DType, Model, Port, Storage, Target};

use super::program::{Border, DeviceOp, DeviceTensor, Home, Program};
use super::{Options, accepted, apart, ask, plan, write::write};
use crate::aligned::AlignedBuf;
use crate::error::Result;
use crate::graph::{Quantization, Value, ValueId};
use crate::ops::lowering::{Constants, Lowered};
use crate::ops::repack::Repacking;

/// The model with weights packed for `target`; `None` if all stay as they are. Ops and tensors keep their
/// numbers, ops their names.
///
/// # Errors
/// Where planning fails, see [`compile`](super::compile).
pub(crate) fn repack(model: &Model<'_>, ops: OpSet, target: Target) -> Result<Option<AlignedBuf>> {
    let mut program = Program { set: ops, ..read(model) };
    let mut repacking = Repacking {
        from: model.constants(),
        to: &mut program.constants,
        rounding: model.rounding(),
        policy: policy(target),
    };
    let mut renewed = false;
    for op in &mut program.ops {
        if let Some(lowered) = repacking.repack(&op.lowered) {
            op.lowered = lowered;
            renewed = true;
        }
    }
    if !renewed {
        return Ok(None);
    }
    let options = Options { target, rounding: model.rounding(), ..Options::default() };
    let (leads, _) = ask(&program, &apart(&program, &options)?)?;
    let file = AlignedBuf::from_bytes(&write(&program, &plan::plan(&program, &leads), &options, None)?);
    accepted(&file, &program)?;
    Ok(Some(file))
}

/// The program of a verified file.
fn read(model: &Model<'_>) -> Program {
    let mut tensors: Vec<DeviceTensor> = model
        .tensors()
        .iter()
        .map(|tensor| {
            let dtype = tensor.dtype().unwrap_or(DType::Int8);
            DeviceTensor {
                value: value(String::new(), vec![tensor.bytes as usize / dtype.size().max(1)], dtype, None),
                bytes: tensor.bytes,
                home: match tensor.storage() {
                    Some(Storage::Constant) => Home::Constants(tensor.offset),
                    Some(Storage::State) => Home::State(tensor.offset - model.state_start() as u32),
                    _ => Home::Arena,
                },
                writer: None,
                last_use: tensor.last_use.into(),
            }
        })
        .collect();
    let mut ops = Vec::new();
    for (index, op) in model.ops().iter().enumerate() {
        let ids: Vec<usize> = model.operands(op).iter().map(|&id| id.into()).collect();
        let (inputs, outputs) = ids.split_at(usize::from(op.inputs).min(ids.len()));
        for &output in outputs {
            if let Some(tensor) = tensors.get_mut(output) {
                tensor.writer = Some(index);
            }
        }
        let values = |ids: &[usize]| ids.iter().copied().map(ValueId).collect();
        let lowered = Lowered {
            code: op.code,
            inputs: values(inputs),
            outputs: values(outputs),
            params: model.params(op).to_vec(),
            scratch_bytes: op.scratch_bytes,
            macs: 0,
            keeps: false,
        };
        let name = model.names().op(index).unwrap_or_default().to_owned();
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        ops.push(DeviceOp { name, kind: String::new(), lowered, inputs, outputs });
    }
    let border = |port: &Port, name: Option<&str>| {
        let tensor = port.tensor as usize;
        let dtype = tensors.get(tensor).map_or(DType::Int8, |tensor| tensor.value.dtype);
        let quantization = (port.scale != 0.0).then(|| Quantization::per_tensor(port.scale, port.zero_point));
        let shape = port.shape().iter().map(|&dim| dim as usize).collect();
        Border { tensor, value: value(name.unwrap_or_default().to_owned(), shape, dtype, quantization) }
    };
    let inputs =
        (0..).zip(model.inputs()).map(|(index, port)| border(port, model.input_name(index))).collect();
    let outputs =
        (0..).zip(model.outputs()).map(|(index, port)| border(port, model.output_name(index))).collect();
    let variables =
        (0..).zip(model.variables()).map(|(index, port)| border(port, model.variable_name(index))).collect();
    let constants = Constants::from_bytes(model.constants());
    let (state_bytes, initial_bytes) = (model.state_bytes() as u32, model.initial_state().len() as u32);
    Program {
        tensors,
        ops,
        inputs,
        outputs,
        variables,
        constants,
        state_bytes,
        initial_bytes,
        ..Program::default()
    }
}

fn value(name: String, shape: Vec<usize>, dtype: DType, quantization: Option<Quantization>) -> Value {
    Value { name, shape, dtype, quantization, constant: None }
}
