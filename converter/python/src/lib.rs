//! The part of the Python package that is Rust: command lines, whose words and answers are those of the program, and
//! single inferences in bytes. What Python programs see is `ferrolite/__init__.py`, over this.

mod ops;

use std::path::Path;

use ferrolite::data::Dataset;
use ferrolite::data::npy::Array;
use ferrolite::data::npz::NamedArray;
use ferrolite::eager::{Layer, Memory, Session, Tensor};
use ferrolite::error::{Error, Fault};
use ferrolite::model_file::{self, ModelFile};
use ferrolite::{cli, run};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A name, NumPy's name of an element type, a shape and the elements.
type PyArray<'py> = (String, &'static str, Vec<usize>, Bound<'py, PyBytes>);

/// A layer's name, its operator, and a shape and the float32 elements of each output.
type PyLayer<'py> = (String, String, Vec<(Vec<usize>, Bound<'py, PyBytes>)>);

/// A name, an element type, a shape, and scale and zero point where integers stand for real numbers.
type PyPort = (String, &'static str, Vec<usize>, Option<(f32, i32)>);

/// An error as an exception: its message, with what to do, and both of them, the layer and the exit code as arguments.
fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let raised = || -> PyResult<PyErr> {
        let name = match error.fault {
            Fault::Input => "InputError",
            Fault::Usage => "UsageError",
            Fault::Budget => "BudgetError",
            Fault::Internal => "InternalError",
        };
        let class = py.import("ferrolite._errors")?.getattr(name)?;
        let (message, help) = (error.message.as_str(), error.help.as_str());
        Ok(PyErr::from_value(class.call1((message, help, error.named_layer()))?))
    };
    raised().unwrap_or_else(|failed| failed)
}

/// Runs one command line, without the program's name, and returns what it would print on stdout.
#[pyfunction]
fn command(py: Python<'_>, words: Vec<String>) -> PyResult<String> {
    let line = std::iter::once("ferrolite".to_string()).chain(words);
    py.detach(|| cli::answer(line)).map_err(|error| raise(py, &error))
}

/// Runs one command line as the program does: prints, and returns the exit code.
#[pyfunction]
fn main(py: Python<'_>, words: Vec<String>) -> u8 {
    let line = std::iter::once("ferrolite".to_string()).chain(words);
    py.detach(|| cli::run(line))
}

/// A `.ferro` file that has been verified.
#[pyclass(frozen)]
struct File {
    file: ModelFile,
}

#[pymethods]
impl File {
    /// Reads a file.
    #[staticmethod]
    fn read(py: Python<'_>, path: &str) -> PyResult<File> {
        let file = ModelFile::read(Path::new(path)).map_err(|error| raise(py, &error))?;
        File::verified(py, file)
    }

    /// The file's bytes; `name` is for messages.
    #[new]
    fn new(py: Python<'_>, name: &str, bytes: &[u8]) -> PyResult<File> {
        File::verified(py, ModelFile::from_bytes(name, bytes))
    }

    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.file.bytes())
    }

    /// The inputs.
    fn inputs(&self, py: Python<'_>) -> PyResult<Vec<PyPort>> {
        self.ports(py, model_file::inputs)
    }

    /// The outputs.
    fn outputs(&self, py: Python<'_>) -> PyResult<Vec<PyPort>> {
        self.ports(py, model_file::outputs)
    }

    /// What outlives an inference.
    fn variables(&self, py: Python<'_>) -> PyResult<Vec<PyPort>> {
        self.ports(py, model_file::variables)
    }

    /// The state before the first inference.
    fn initial_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let model = self.file.model().map_err(|error| raise(py, &error))?;
        Ok(PyBytes::new(py, &model_file::initial_state(&model)))
    }

    /// What each variable holds in a state.
    fn contents<'py>(&self, py: Python<'py>, state: &[u8]) -> PyResult<Vec<PyArray<'py>>> {
        let model = self.file.model().map_err(|error| raise(py, &error))?;
        let array =
            |array: NamedArray| (array.name, array.dtype.name(), array.shape, PyBytes::new(py, &array.bytes));
        Ok(model_file::contents(&model, state).into_iter().map(array).collect())
    }

    /// A state in which a variable holds what is in a `.npy` file.
    fn replaced<'py>(
        &self,
        py: Python<'py>,
        state: Vec<u8>,
        name: &str,
        npy: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut state = state;
        let mut replace = || {
            let model = self.file.model()?;
            model_file::replace(&model, &mut state, name, &Array::read(npy)?)
        };
        replace().map_err(|error| raise(py, &error))?;
        Ok(PyBytes::new(py, &state))
    }

    /// Samples in the model's own types, for each of them the bytes of all inputs. `arrays` are `.npy` files, one for each
    /// input, samples along the first axis: real numbers, or the integers of the input's own type.
    fn stored<'py>(&self, py: Python<'py>, arrays: Vec<Vec<u8>>) -> PyResult<Vec<Vec<Bound<'py, PyBytes>>>> {
        let stored = || {
            let specs = model_file::input_specs(&self.file.model()?);
            let array = |(index, npy): (usize, &Vec<u8>)| {
                let origin = specs.get(index).map_or(String::new(), |spec| format!("input `{}`", spec.name));
                Ok((origin, Array::read(&npy[..])?))
            };
            let arrays = arrays.iter().enumerate().map(array).collect::<Result<Vec<_>, Error>>()?;
            let data = Dataset::of_arrays(arrays, &specs)?;
            (0..data.len()).map(|sample| data.raw(sample)).collect::<Result<Vec<_>, Error>>()
        };
        let samples = py.detach(stored).map_err(|error| raise(py, &error))?;
        let bytes = |sample: &Vec<Vec<u8>>| sample.iter().map(|bytes| PyBytes::new(py, bytes)).collect();
        Ok(samples.iter().map(bytes).collect())
    }

    /// What each op writes in one inference of inputs in the model's own types: the layer's name, the operator and an
    /// array of real numbers for each output.
    fn layers<'py>(&self, py: Python<'py>, inputs: Vec<Vec<u8>>) -> PyResult<Vec<PyLayer<'py>>> {
        let layers = || {
            let model = self.file.model()?;
            run::check_indices(&model, &inputs)?;
            let mut memory = Memory::for_model(&model);
            let mut session = Session::with_operators(&model, self.file.operators(), &mut memory)?;
            for (index, bytes) in inputs.iter().enumerate() {
                session.set_input_raw(index, bytes)?;
            }
            let mut layers = Vec::new();
            while let Some(layer) = session.step()? {
                layers.push(layer);
            }
            Ok::<_, Error>(layers)
        };
        let layers = py.detach(layers).map_err(|error| raise(py, &error))?;
        let real = |tensor: &Tensor| {
            let bytes: Vec<u8> = tensor.real().iter().flat_map(|real| real.to_le_bytes()).collect();
            (tensor.shape.clone(), PyBytes::new(py, &bytes))
        };
        let layer = |layer: &Layer| {
            (layer.name.clone(), layer.op.clone(), layer.outputs.iter().map(real).collect::<Vec<_>>())
        };
        Ok(layers.iter().map(layer).collect())
    }

    /// One inference in the model's own types, from a state; the outputs, and the state after it.
    fn infer<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Vec<u8>>,
        state: &[u8],
    ) -> PyResult<(Vec<Bound<'py, PyBytes>>, Bound<'py, PyBytes>)> {
        let once = || run::once(&self.file.model()?, self.file.operators(), &inputs, Some(state));
        let (outputs, state) = py.detach(once).map_err(|error| raise(py, &error))?;
        let outputs = outputs.iter().map(|bytes| PyBytes::new(py, bytes)).collect();
        Ok((outputs, PyBytes::new(py, &state)))
    }
}

impl File {
    fn verified(py: Python<'_>, file: ModelFile) -> PyResult<File> {
        file.model().map_err(|error| raise(py, &error))?;
        Ok(File { file })
    }

    fn ports(
        &self,
        py: Python<'_>,
        of: impl Fn(&ferrolite_runtime::Model<'_>) -> Vec<model_file::PortFacts>,
    ) -> PyResult<Vec<PyPort>> {
        let model = self.file.model().map_err(|error| raise(py, &error))?;
        let port =
            |port: model_file::PortFacts| (port.name, port.dtype.name(), port.shape, port.quantization);
        Ok(of(&model).into_iter().map(port).collect())
    }
}

/// The module.
#[pymodule]
fn _ferrolite(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<File>()?;
    module.add_function(wrap_pyfunction!(command, module)?)?;
    module.add_function(wrap_pyfunction!(ops::op, module)?)?;
    module.add_function(wrap_pyfunction!(main, module)?)
}
