//! Inputs from the host's file, outputs into the report, whatever their element types.

use ferrolite_board_support::report::{Kind, Report, Tag, fail};
use ferrolite_runtime::tensor::Element;
use ferrolite_runtime::{DType, Error, Interpreter, Port};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom};

/// The host's file of inputs: for each job and each of its samples all inputs, one behind the other.
pub struct Inputs {
    file: File,
    start: u32,
}

impl Inputs {
    /// Opens the file at the samples of a job.
    pub fn open(start: u32) -> Inputs {
        let Ok(file) = File::open(c"inputs.bin") else {
            fail(Kind::Job, format_args!("inputs.bin is missing"))
        };
        let mut inputs = Inputs { file, start };
        inputs.rewind();
        inputs
    }

    /// Goes to the job's first sample.
    pub fn rewind(&mut self) {
        if self.file.seek(SeekFrom::Start(self.start.into())).is_err() {
            fail(Kind::Job, format_args!("inputs.bin has no samples for this job"))
        }
    }

    /// Reads the next sample into the interpreter.
    pub fn read(&mut self, net: &mut Interpreter<'_>) -> Result<(), Error> {
        for (index, port) in net.model().inputs().iter().enumerate() {
            match dtype(net, port) {
                Some(DType::Int8) => self.fill(net.input_mut::<i8>(index)?),
                Some(DType::UInt8) => self.fill(net.input_mut::<u8>(index)?),
                Some(DType::Int16) => self.fill(net.input_mut::<i16>(index)?),
                Some(DType::Int32) => self.fill(net.input_mut::<i32>(index)?),
                Some(DType::Float32) => self.fill(net.input_mut::<f32>(index)?),
                Some(DType::Int64) => self.fill(net.input_mut::<i64>(index)?),
                Some(DType::Bool) | None => return Err(Error::WrongType { index: index as u16 }),
            }
        }
        Ok(())
    }

    fn fill<T: Element>(&mut self, elements: &mut [T]) {
        if self.file.read_exact(bytemuck::cast_slice_mut(elements)).is_err() {
            fail(Kind::Job, format_args!("inputs.bin has fewer bytes than the samples need"))
        }
    }
}

/// Writes all outputs as one record.
pub fn write_outputs(sample: u32, net: &Interpreter<'_>, report: &mut Report) -> Result<(), Error> {
    let model = net.model();
    let tensors = model.outputs().iter().filter_map(|port| model.tensors().get(port.tensor as usize));
    report.start(Tag::Output, sample, tensors.map(|tensor| tensor.bytes as usize).sum());
    for (index, port) in model.outputs().iter().enumerate() {
        report.bytes(match dtype(net, port) {
            Some(DType::Int8) => bytemuck::cast_slice(net.output::<i8>(index)?),
            Some(DType::UInt8) => net.output::<u8>(index)?,
            Some(DType::Int16) => bytemuck::cast_slice(net.output::<i16>(index)?),
            Some(DType::Int32) => bytemuck::cast_slice(net.output::<i32>(index)?),
            Some(DType::Float32) => bytemuck::cast_slice(net.output::<f32>(index)?),
            Some(DType::Int64) => bytemuck::cast_slice(net.output::<i64>(index)?),
            Some(DType::Bool) | None => return Err(Error::WrongType { index: index as u16 }),
        });
    }
    Ok(())
}

fn dtype(net: &Interpreter<'_>, port: &Port) -> Option<DType> {
    net.model().tensors().get(port.tensor as usize)?.dtype()
}
