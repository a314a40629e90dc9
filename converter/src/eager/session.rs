//! Runs a finished model, one op at a time.

use std::cell::Cell;

use ferrolite_runtime::{Eval, Interpreter, Model, Observer, OpSet, Step, ops};

use super::Tensor;
use crate::aligned::AlignedBuf;
use crate::data::dequantize;
use crate::error::{Error, Result};
use crate::execute::{failed, interpreter};
use crate::graph::Quantization;
use crate::model_file::{self, PortFacts};

/// The memory that a [`Session`] works in: the device's arena.
#[derive(Clone)]
pub struct Memory(AlignedBuf);

impl Memory {
    /// Memory of the size that a model needs.
    pub fn for_model(model: &Model<'_>) -> Memory {
        Memory(AlignedBuf::zeroed(model.arena_bytes()))
    }
}

/// What one op read and wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Index of the op in the program.
    pub index: usize,
    /// The author's name of the layer.
    pub name: String,
    /// The operator: TFLite's name if the file has it, else the runtime's.
    pub op: String,
    /// What it read, including constant operands. Weights are not operands, and so not included.
    pub inputs: Vec<Tensor>,
    /// What it wrote.
    pub outputs: Vec<Tensor>,
}

/// A model that runs op by op on the host, with the device's kernels. Ops overwrite tensors that are no
/// longer needed, so a session keeps a copy of what each op wrote.
pub struct Session<'a> {
    model: &'a Model<'a>,
    net: Interpreter<'a>,
    layers: Vec<model_file::Layer>,
    /// The contents of each tensor, as far as they are known, by its index.
    tensors: Vec<Option<Tensor>>,
    next: usize,
}

impl<'a> Session<'a> {
    /// A session before the first op, with all inputs zero.
    ///
    /// # Errors
    /// When the memory has another size than the model needs.
    pub fn new(model: &'a Model<'a>, memory: &'a mut Memory) -> Result<Session<'a>> {
        Session::with_operators(model, ops::ALL, memory)
    }

    /// As [`new`](Session::new), with operators beside the runtime's: those of a
    /// [`Registry`](crate::graph::custom::Registry).
    ///
    /// # Errors
    /// As [`new`](Session::new), and when the model needs another operator.
    pub fn with_operators(model: &'a Model<'a>, ops: OpSet, memory: &'a mut Memory) -> Result<Session<'a>> {
        memory.0.fill(0);
        let net = interpreter(model, ops, &mut memory.0)?;
        let mut session = Session {
            model,
            net,
            layers: model_file::layers(model),
            tensors: vec![None; model.tensors().len()],
            next: 0,
        };
        for (index, tensor) in model.tensors().iter().enumerate().filter(|(_, tensor)| tensor.is_constant()) {
            let bytes = model.constants().get(tensor.offset as usize..tensor.end() as usize);
            session.tensors[index] = Some(session.describe(index, bytes.unwrap_or_default()).constant());
        }
        for index in 0..model.inputs().len() {
            let size = session.net.input_bytes_mut(index).map_err(failed)?.len();
            session.set_input_raw(index, &vec![0; size])?;
        }
        Ok(session)
    }

    /// Sets an input to real numbers, rounded to its integers. Call it before the first step.
    ///
    /// # Errors
    /// When there is no such input, or it has another number of elements.
    pub fn set_input(&mut self, index: usize, real: &[f32]) -> Result<()> {
        let spec =
            model_file::input_specs(self.model).into_iter().nth(index).ok_or_else(|| no_port(index))?;
        let bytes = spec.quantize(real).map_err(|value| {
            Error::input(format!("{value} was given, but {}", spec.wants())).help("give whole numbers")
        })?;
        self.set_input_raw(index, &bytes)
    }

    /// Sets an input to elements of its own type, little-endian. Call it before the first step.
    ///
    /// # Errors
    /// When there is no such input, or it has another number of bytes.
    pub fn set_input_raw(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        let facts = model_file::inputs(self.model).into_iter().nth(index).ok_or_else(|| no_port(index))?;
        let input = self.net.input_bytes_mut(index).map_err(failed)?;
        if input.len() != bytes.len() {
            let (name, size) = (&facts.name, facts.dtype.size());
            return Err(Error::input(format!(
                "input `{name}` takes {} elements, {} were given",
                input.len() / size,
                bytes.len() / size
            )));
        }
        input.copy_from_slice(bytes);
        if let Some(port) = self.model.inputs().get(index) {
            let tensor = port.tensor as usize;
            self.tensors[tensor] = Some(named(facts, bytes));
        }
        Ok(())
    }

    /// Runs the next op and returns what it read and wrote; `None` when all have run. The next step after
    /// that starts again from the first op. Set the inputs again before it, since ops may have overwritten
    /// them.
    ///
    /// # Errors
    /// The errors of the interpreter, which a verified model does not cause.
    pub fn step(&mut self) -> Result<Option<Layer>> {
        let Some(layer) = self.layers.get(self.next).cloned() else {
            self.next = 0;
            return Ok(None);
        };
        let mut written = Written(Vec::new());
        let done = self.net.step_observed(&mut written).map_err(failed)?;
        self.next = if done == Step::Done { self.layers.len() } else { self.next + 1 };
        let op = &self.model.ops()[layer.index];
        let operands = self.model.operands(op);
        let (inputs, outputs) = operands.split_at(usize::from(op.inputs).min(operands.len()));
        let read = inputs.iter().filter_map(|&id| self.tensors.get(usize::from(id))?.clone()).collect();
        for (&id, bytes) in outputs.iter().zip(&written.0) {
            let tensor = self.describe(id.into(), bytes);
            self.tensors[usize::from(id)] = Some(tensor);
        }
        let wrote = outputs.iter().filter_map(|&id| self.tensors.get(usize::from(id))?.clone()).collect();
        Ok(Some(Layer { index: layer.index, name: layer.name, op: layer.op, inputs: read, outputs: wrote }))
    }

    /// An output of the model, once all ops have run.
    ///
    /// # Errors
    /// When there is no such output, or its layer has not run yet.
    pub fn output(&self, index: usize) -> Result<Tensor> {
        let port = self.model.outputs().get(index).ok_or_else(|| no_port(index))?;
        let facts = model_file::outputs(self.model).into_iter().nth(index).ok_or_else(|| no_port(index))?;
        match self.tensors.get(port.tensor as usize) {
            Some(Some(tensor)) => Ok(named(facts, &tensor.bytes)),
            _ => Err(Error::input(format!("output `{}` is not computed yet", facts.name))
                .help("call `step` until it returns `None`")),
        }
    }

    /// Real numbers of a tensor that has been written, by the tensor's name in the model.
    pub fn value(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.tensors.iter().flatten().find(|tensor| tensor.name == name)?;
        let quantization = tensor.quantization.as_ref().and_then(Quantization::tensor);
        Some(dequantize(tensor.dtype, quantization, &tensor.bytes))
    }

    fn describe(&self, index: usize, bytes: &[u8]) -> Tensor {
        let names = self.model.names();
        let facts = PortFacts {
            name: names.tensor(index).map_or_else(|| format!("tensor {index}"), str::to_string),
            shape: model_file::tensor_shape(self.model, index),
            dtype: model_file::tensor_dtype(self.model, index),
            quantization: names.tensor_port(index).and_then(model_file::quantization),
        };
        named(facts, bytes)
    }
}

fn named(facts: PortFacts, bytes: &[u8]) -> Tensor {
    Tensor {
        name: facts.name,
        shape: facts.shape,
        dtype: facts.dtype,
        quantization: facts.quantization.map(|(scale, zero)| Quantization::per_tensor(scale, zero)),
        bytes: bytes.to_vec(),
        is_constant: false,
    }
}

fn no_port(index: usize) -> Error {
    Error::input(format!("the model has no input or output {index}")).help("they are counted from 0")
}

/// Records what one op wrote.
struct Written(Vec<Vec<u8>>);

impl Observer for Written {
    fn after(&mut self, _: u16, eval: &Eval<'_>) {
        let outputs = 0..eval.node().outputs();
        self.0 = outputs.map(|o| eval.output::<u8>(o).iter().map(Cell::get).collect()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::ModelFile;
    use crate::run::layers_of;

    #[test]
    fn steps_see_what_a_whole_run_writes() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/models/fashion_dsres/fashion_dsres_int8_tf.tflite"
        );
        let converted = crate::convert::convert(path.as_ref(), &Default::default(), &()).unwrap();
        let model = converted.file.model().unwrap();
        let input: Vec<u8> = (0..28 * 28).map(|i| (i * 7) as u8).collect();
        let mut memory = Memory::for_model(&model);
        let mut session = Session::new(&model, &mut memory).unwrap();
        for _ in 0..2 {
            session.set_input_raw(0, &input).unwrap();
            let mut seen = Vec::new();
            let mut steps = 0;
            while let Some(layer) = session.step().unwrap() {
                assert_eq!((layer.index, layer.inputs.is_empty()), (steps, false));
                seen.extend(layer.outputs.into_iter().map(|tensor| tensor.bytes));
                steps += 1;
            }
            let whole = layers_of(&model, ops::ALL, std::slice::from_ref(&input)).unwrap();
            assert_eq!(seen, whole.into_iter().flatten().map(|array| array.bytes).collect::<Vec<_>>());
            assert_eq!(steps, model.ops().len());
        }
        let sum: f32 = session.output(0).unwrap().real().iter().sum();
        assert!((sum - 1.0).abs() < 0.05, "{sum}");
    }

    #[test]
    fn inputs_are_checked_by_name() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
        let file = ModelFile::read(path.as_ref()).unwrap();
        let model = file.model().unwrap();
        let mut memory = Memory::for_model(&model);
        let mut session = Session::new(&model, &mut memory).unwrap();
        let error = session.set_input(0, &[1.0, 2.0]).unwrap_err();
        assert!(error.message.contains("takes 1 elements, 2 were given"), "{error}");
        assert!(session.set_input(1, &[1.0]).is_err());
        assert!(session.output(0).unwrap_err().message.contains("not computed yet"));
    }
}
