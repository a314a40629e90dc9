//! The schema of TensorFlow Lite's files, which the importer reads and the emitter writes.
//!
//! `schema.fbs` is the part of the format that Ferrolite knows, and `generated.rs` is generated from it by
//! `flatc --rust` (`cargo xtask schema`).

// Unsafe like all generated flatbuffers readers, and sound behind the verifier, which `verified` runs.
#[allow(unsafe_code, missing_docs, unused, deprecated, mismatched_lifetime_syntaxes)]
#[allow(clippy::all, clippy::undocumented_unsafe_blocks)]
#[rustfmt::skip]
mod generated;

use flatbuffers::{InvalidFlatbuffer, VerifierOptions};

pub(crate) use generated::tflite::*;

/// The text of the schema, which lists the fields of each table.
pub(crate) const SCHEMA: &str = include_str!("schema.fbs");

/// Limits for the verifier's work, far above what real models need.
const VERIFIER: VerifierOptions = VerifierOptions {
    max_depth: 64,
    max_tables: 1_000_000,
    max_apparent_size: 1 << 31,
    ignore_missing_null_terminator: false,
};

/// The model in a file, after every offset was proved to stay inside the file.
///
/// # Errors
/// The verifier's error, at the first fault.
pub(crate) fn verified(file: &[u8]) -> Result<Model<'_>, InvalidFlatbuffer> {
    root_as_model_with_opts(&VERIFIER, file)
}

/// The description in a file; `None` if it has none or is not a valid model.
pub(crate) fn description(file: &[u8]) -> Option<&str> {
    verified(file).ok()?.description()
}

impl OperatorCode<'_> {
    /// The operator's number. Files before schema 3a only have the one-byte field.
    pub(crate) fn number(&self) -> BuiltinOperator {
        BuiltinOperator(self.builtin_code().0.max(self.deprecated_builtin_code().into()))
    }

    /// The operator's name in the schema, `custom NAME` for custom operators.
    pub(crate) fn name(&self) -> String {
        let number = self.number();
        if number == BuiltinOperator::CUSTOM {
            let name = self.custom_code().unwrap_or("without a name");
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            return format!("custom {name}");
        }
        number.variant_name().map_or_else(|| format!("operator {}", number.0), str::to_string)
    }
}
