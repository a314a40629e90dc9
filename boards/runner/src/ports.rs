//! Inputs from the host's file, outputs into the report, whatever their element types.

use ferrolite_board_support::report::{Kind, Report, Tag, fail};
use ferrolite_runtime::{Error, Interpreter};
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
        for index in 0..net.model().inputs().len() {
            if self.file.read_exact(net.input_bytes_mut(index)?).is_err() {
                fail(Kind::Job, format_args!("inputs.bin has fewer bytes than the samples need"))
            }
        }
        Ok(())
    }
}

/// Writes all outputs as one record.
pub fn write_outputs(sample: u32, net: &Interpreter<'_>, report: &mut Report) -> Result<(), Error> {
    let model = net.model();
    let tensors = model.outputs().iter().filter_map(|port| model.tensors().get(port.tensor as usize));
    report.start(Tag::Output, sample, tensors.map(|tensor| tensor.bytes as usize).sum());
    for index in 0..model.outputs().len() {
        report.bytes(net.output_bytes(index)?);
    }
    Ok(())
}
