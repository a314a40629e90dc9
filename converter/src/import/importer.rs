//! The interface of importers: what an importer is, its options, and its result.

use std::path::{Path, PathBuf};

use super::values;
use crate::error::{Error, Result};
use crate::graph::custom::Registry;
use crate::graph::{Constant, DType, Graph, Quantization};

/// The result of reading a model file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network. Layers and tensors keep the author's names.
    pub graph: Graph,
    /// Name of the format, for people: `TensorFlow Lite`, ….
    pub format: &'static str,
    /// SHA-256 of the file (of a directory: of its files in the order of their names).
    pub source_hash: [u8; 32],
    /// What the importer changed or ignored and the user should know, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on before relying on the result, one sentence each.
    pub warnings: Vec<String>,
}

/// What the user can specify about a model whose file leaves it open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The signature of a SavedModel; needed when there are several.
    pub signature: Option<String>,
    /// Shapes of inputs by name, batch included, for inputs with open dimensions. An open batch is 1 unless
    /// it is given here.
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// Values of inputs that are constants in practice, by name: one number for all elements or one for each, with commas
    /// between them.
    pub input_values: Vec<(String, String)>,
    /// Tensors that the model ends at, in place of its outputs; none where it stays as it is.
    pub cut: Vec<String>,
    /// An input and an output each that are one state: what the output is becomes the input of the next inference.
    pub states: Vec<(String, String)>,
    /// Tensors that a graph without a signature begins with; its placeholders, where none are given.
    pub inputs: Vec<String>,
    /// Tensors that such a graph ends at; those that no node reads, where none are given.
    pub outputs: Vec<String>,
    /// Operators of the user's own, which layers of TensorFlow Lite, ONNX and Keras files may be.
    pub custom: Registry,
}

impl ImportOptions {
    /// The shape of an input: the one given for its name, else the file's. An open (`None`) first dimension
    /// in the file is a batch of 1.
    ///
    /// # Errors
    /// If another dimension is open, or if the given shape contradicts the file's.
    pub fn input_shape(&self, name: &str, dimensions: &[Option<usize>]) -> Result<Vec<usize>> {
        let shown: Vec<String> =
            dimensions.iter().map(|d| d.map_or_else(|| "?".into(), |d| d.to_string())).collect();
        let shown = shown.join(",");
        let given = self.input_shapes.iter().find(|(input, _)| input == name).map(|(_, shape)| shape);
        if let Some(shape) = given {
            let fits = shape.len() == dimensions.len()
                && shape.iter().zip(dimensions).all(|(&a, b)| a > 0 && b.is_none_or(|b| a == b));
            return if fits {
                Ok(shape.clone())
            } else {
                Err(Error::input(format!(
                    "input `{name}` has shape {shown} in the file, but {shape:?} was given for it"
                ))
                .help("`--input-shape` fills in the dimensions that the file leaves open, and no others"))
            };
        }
        let mut shape = Vec::with_capacity(dimensions.len());
        for (position, dimension) in dimensions.iter().enumerate() {
            match (dimension, position) {
                (Some(size), _) => shape.push(*size),
                (None, 0) => shape.push(1),
                (None, _) => {
                    let example: Vec<String> = dimensions
                        .iter()
                        .enumerate()
                        .map(|(i, d)| d.unwrap_or(if i == 0 { 1 } else { 28 }).to_string())
                        .collect();
                    return Err(Error::input(format!(
                        "input `{name}` has shape {shown}, with open dimensions"
                    ))
                    .help(format!("give its size, as in `--input-shape {name}={}`", example.join(","))));
                }
            }
        }
        Ok(shape)
    }

    /// The elements of an input that the user makes a constant; `None` for other inputs. Of a quantized input, values are
    /// the real numbers, and the nearest integers are taken.
    ///
    /// # Errors
    /// If what was given is not of the input's type, or not one number for each element.
    pub fn value(
        &self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        quantization: Option<&Quantization>,
    ) -> Result<Option<Constant>> {
        let mut given = self.input_values.iter().filter(|(input, _)| input == name);
        let Some((_, text)) = given.next() else { return Ok(None) };
        if given.next().is_some() {
            return Err(Error::input(format!("two values were given for the input `{name}`"))
                .help("give `--input-value` once for each input"));
        }
        let constant = values::constant(text, shape.iter().product(), dtype, quantization);
        let found = constant.map_err(|what| {
            Error::input(format!(
                "`{text}` is no value of the input `{name}`, {} {shape:?}: {what}",
                dtype.name()
            ))
            .help("give one number for all elements, or one for each with commas between them")
        })?;
        Ok(Some(found))
    }

    /// Refuses shapes and values for inputs that the model does not have.
    ///
    /// # Errors
    /// Names the input that does not exist, and those that do.
    pub fn check_names(&self, inputs: &[&str]) -> Result<()> {
        if let Some((name, _)) = self.input_values.iter().find(|(name, _)| !inputs.contains(&name.as_str())) {
            return Err(Error::input(format!(
                "a value was given for the input `{name}`, but the model's inputs are {}",
                inputs.join(", ")
            ))
            .help("use one of these names with `--input-value NAME=V`"));
        }
        match self.input_shapes.iter().find(|(name, _)| !inputs.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(Error::input(format!(
                "a shape was given for the input `{name}`, but the model's inputs are {}",
                inputs.join(", ")
            ))
            .help("use one of these names with `--input-shape NAME=1,28,28,1`")),
        }
    }
}

/// Reads one model format.
pub trait Importer: Sync {
    /// Name of the format, for people.
    fn format(&self) -> &'static str;

    /// Whether the file looks like this format, by its first bytes and its name. A directory has no bytes.
    fn recognises(&self, path: &Path, head: &[u8]) -> bool;

    /// Reads the file. Operators that Ferrolite does not know become `Op::Unsupported`, so that the caller
    /// can report all of them together.
    fn import(&self, path: &Path, options: &ImportOptions) -> Result<Imported> {
        let name = path.display().to_string();
        let bytes = crate::files::read(path)
            .map_err(|e| Error::input(format!("{name}: cannot be read: {e}")).caused_by(e))?;
        self.import_bytes(&name, &bytes, options)
    }

    /// Whether a model of this format leaves open what goes in and out.
    fn takes_ports(&self) -> bool {
        false
    }

    /// The functions of a file that work on the same variables, by name, the one first that a program runs which asks for
    /// none. All have the same states. Empty where there are fewer than two.
    fn entries(&self, _path: &Path, _options: &ImportOptions) -> Result<Vec<(String, Imported)>> {
        Ok(Vec::new())
    }

    /// Further files that [`import`](Importer::import) reads.
    fn beside(&self, _path: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Reads the contents of a file called `name`. Formats that are directories return an error.
    fn import_bytes(&self, name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported>;
}

/// The model's name: the file's name without folders and extension.
pub(super) fn stem(name: &str) -> String {
    let stem = Path::new(name).file_stem().map(|s| s.to_string_lossy().into_owned());
    stem.filter(|s| !s.is_empty()).unwrap_or_else(|| "model".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_dimensions_ask_for_a_shape() {
        let mut options = ImportOptions::default();
        assert_eq!(options.input_shape("x", &[None, Some(28)]), Ok(vec![1, 28]));
        let error = options.input_shape("x", &[None, None, Some(3)]).unwrap_err();
        assert!(error.message.contains("`x` has shape ?,?,3"), "{error}");
        assert!(error.help.contains("--input-shape x=1,28,3"), "{}", error.help);
        options.input_shapes = vec![("x".into(), vec![2, 5, 3])];
        assert_eq!(options.input_shape("x", &[None, None, Some(3)]), Ok(vec![2, 5, 3]));
        assert!(options.input_shape("x", &[None, None, Some(4)]).is_err());
        assert!(options.check_names(&["x"]).is_ok());
        assert!(options.check_names(&["y", "z"]).unwrap_err().message.contains("y, z"));
    }
}
