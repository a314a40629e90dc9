//! Inputs that are constants in practice, such as the sampling rate of a network for speech: the user says their values.
//!
//! A value is written as one number, which all elements of the input have, or as one number for each element, with commas
//! between them. What it has to be is known when the input's type and shape are, so it stays a text until then. Formats whose
//! shapes or branches may depend on it ask for it while they read the model; in the others an input becomes a constant behind
//! that, and constants are folded as they are everywhere.

use super::importer::{ImportOptions, Imported};
use crate::error::{Error, Result};

/// Makes the inputs with values constants.
///
/// # Errors
/// If a value does not fit its input, and if no input is left.
pub(super) fn run(mut imported: Imported, options: &ImportOptions) -> Result<Imported> {
    let graph = &mut imported.graph;
    for (name, _) in &options.input_values {
        // Those that are no input any more became a constant while the model was read.
        let position = graph.inputs.iter().position(|&id| graph.value(id).name == *name);
        if let Some(position) = position {
            let id = graph.inputs[position];
            let value = graph.value_mut(id);
            value.constant = options.value(name, &value.shape, value.dtype, value.quantization.as_ref())?;
            graph.inputs.remove(position);
        }
        imported.notes.push(format!("`{name}` is a constant: it is no input of the converted model"));
    }
    if graph.inputs.is_empty() && !options.input_values.is_empty() {
        return Err(Error::input("with these values the model has no input left")
            .help("give values only for inputs that are the same in each inference"));
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use crate::graph::Constant;
    use crate::import::{ImportOptions, load, load_with};

    /// A quantized model: its values are real numbers, and the nearest integers are taken.
    #[test]
    fn an_input_of_any_format_may_be_a_constant() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/add");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "tflite"));
        paths.sort();
        let mut tried = 0;
        for path in paths {
            let graph = load(&path).unwrap().graph;
            let &[_, second] = graph.inputs.as_slice() else { continue };
            let value = graph.value(second);
            let Some((scale, zero_point)) = value.quantization.as_ref().and_then(|q| q.tensor()) else {
                continue;
            };
            let given = (value.name.clone(), (scale * 3.0).to_string());
            let options = ImportOptions { input_values: vec![given], ..ImportOptions::default() };
            let fixed = load_with(&path, &options).unwrap().graph;
            assert_eq!(fixed.inputs, graph.inputs[..1]);
            if let Some(Constant::I8(elements)) = &fixed.value(second).constant {
                let wanted = (zero_point + 3).clamp(-128, 127);
                assert!(elements.iter().all(|&x| i32::from(x) == wanted), "{}", path.display());
                tried += 1;
            }
        }
        assert!(tried > 0);
    }
}
