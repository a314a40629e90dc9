//! The C header.

use std::fmt::Write;

use ferrolite_runtime::Model;

use super::comment::comment;
use crate::model_file;

/// A C header with the file's bytes, its sizes, and the facts of its inputs and outputs. `name` is
/// what identifiers begin with, such as the stem of the output file.
pub fn c(model: &Model<'_>, name: &str) -> String {
    let name = identifier(name);
    let upper = name.to_uppercase();
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "\
/* Written by `ferrolite convert --c`; convert the model again instead of editing. */
#ifndef {upper}_H
#define {upper}_H

/* Bytes of memory that the model needs for its activations, aligned to 16. */
#define {upper}_ARENA_BYTES {arena}
/* Bytes of the model file. */
#define {upper}_MODEL_BYTES {bytes}
",
        arena = model.arena_bytes(),
        bytes = model.bytes().len(),
    );
    for (kind, ports) in [("INPUT", model_file::inputs(model)), ("OUTPUT", model_file::outputs(model))] {
        for (index, port) in ports.iter().enumerate() {
            let elements: usize = port.shape.iter().product();
            let shape: Vec<String> = port.shape.iter().map(ToString::to_string).collect();
            let _ = write!(
                out,
                "\n/* {kind} {index}: {}, {} [{}] */\n#define {upper}_{kind}{index}_ELEMENTS {elements}\n",
                comment(&port.name),
                port.dtype.name(),
                shape.join(", ")
            );
            if let Some((scale, zero_point)) = port.quantization {
                let _ = write!(
                    out,
                    "#define {upper}_{kind}{index}_SCALE {scale:e}f\n#define {upper}_{kind}{index}_ZERO_POINT ({zero_point})\n"
                );
            }
        }
    }
    let _ = write!(
        out,
        "\n/* The model file. It has to start at a multiple of 16 bytes. */\n\
         #if defined(__GNUC__)\n__attribute__((aligned(16)))\n#endif\n\
         static const unsigned char {name}_model[{upper}_MODEL_BYTES] = {{\n"
    );
    for line in model.bytes().chunks(20) {
        let bytes: Vec<String> = line.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "{},", bytes.join(","));
    }
    let _ = write!(out, "}};\n\n#endif\n");
    out
}

/// A name that C accepts.
fn identifier(name: &str) -> String {
    let mut out: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(0, "model_");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_harmless() {
        assert_eq!(identifier("kws-Ref.1"), "kws_ref_1");
        assert_eq!(identifier("1d"), "model_1d");
        assert_eq!(identifier(""), "model_");
    }
}
