//! Source code that goes with a file: a Rust module and a C header.
//!
//! ```
//! use ferrolite::bindings;
//! use ferrolite::model_file::ModelFile;
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let module = bindings::rust(&file.model()?);
//! assert!(module.contains("pub const ARENA: usize ="));
//! let header = bindings::c(&file.model()?, "sine");
//! assert!(header.contains("SINE_MODEL_BYTES"));
//! # Ok::<(), ferrolite::Error>(())
//! ```

use std::fmt::Write;

use ferrolite_runtime::{Model, Target};
use ferrolite_schema::is_custom;

use crate::model_file::{self, PortFacts};

/// A Rust module with the arena size, the operators that the model needs and no others, and the
/// facts of its inputs and outputs. It refers to `ferrolite_runtime` only.
///
/// A build whose kernels are not those that the model is packed for does not compile, and says which flag it lacks.
///
/// ```text
/// pub const ARENA: usize = 16_384;
/// #[rustfmt::skip]
/// pub const OPS: OpSet = &[ops::CONV_2D, ops::SOFTMAX];
/// pub mod input0 { … SHAPE, LEN, SCALE, ZERO_POINT }
/// ```
pub fn rust(model: &Model<'_>) -> String {
    let mut out = String::new();
    // Of a core that is not known here, no kernels are.
    let target = model.target().unwrap_or(Target::Portable);
    let ops: Vec<String> =
        model_file::operators(model, target).iter().map(|linked| format!("ops::{linked}")).collect();
    let name = model.names().model().filter(|n| !n.is_empty()).unwrap_or("a model");
    // Without operators nothing would use the name.
    let import = if ops.is_empty() { "OpSet" } else { "{OpSet, ops}" };
    let macs = model_file::layers(model).iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "\
// Written by `ferrolite convert --rust`; convert the model again instead of editing.
// Facts of the model {name}.

use ferrolite_runtime::{import};

{check}/// Bytes of arena that the model needs: `Arena::<ARENA>::new()`.
#[allow(dead_code)]
pub const ARENA: usize = {arena};

/// The operators that the model uses, for `Interpreter::new`; only these are linked.
{custom}#[allow(dead_code)]
#[rustfmt::skip]
pub const OPS: OpSet = &[{ops}];

/// Bytes of the model file.
#[allow(dead_code)]
pub const MODEL_BYTES: usize = {bytes};

/// Multiply-accumulate operations of one inference.
#[allow(dead_code)]
pub const MACS: u64 = {macs};
",
        name = comment(name),
        check = kernel_check(target),
        arena = digits(model.arena_bytes()),
        ops = ops.join(", "),
        custom = custom_operators(model),
        bytes = digits(model.bytes().len()),
        macs = macs,
    );
    for (kind, ports) in [("input", model_file::inputs(model)), ("output", model_file::outputs(model))] {
        for (index, port) in ports.iter().enumerate() {
            let _ = write!(out, "\n{}", rust_port(kind, index, port));
        }
    }
    out
}

/// A line that names the operators of the user's own, which the module cannot list; none where there are none.
fn custom_operators(model: &Model<'_>) -> String {
    let layers = model_file::layers(model).into_iter().zip(model.ops());
    let mut names: Vec<String> =
        layers.filter(|(_, op)| is_custom(op.code)).map(|(layer, _)| comment(&layer.op)).collect();
    names.dedup();
    match names.len() {
        0 => String::new(),
        _ => format!("/// A firmware lists operators of its own beside them: {}.\n", names.join(", ")),
    }
}

/// Lines that refuse a build whose kernels are not the target's; none for a model that is packed for no core.
fn kernel_check(target: Target) -> String {
    let cpu = |core: &str| {
        format!(
            "build for `--target thumbv8m.main-none-eabihf` (or `-eabi`) and add `-C target-cpu={core}` to the compiler's flags"
        )
    };
    let build_for = |target: &str| format!("build for `--target {target}`");
    let cure = match target {
        Target::Portable => return String::new(),
        Target::CortexM0 => build_for("thumbv6m-none-eabi"),
        Target::CortexM3 => build_for("thumbv7m-none-eabi"),
        Target::CortexM4 | Target::CortexM7 => {
            "build for `--target thumbv7em-none-eabihf` (or `-eabi`)".into()
        }
        Target::CortexM33 => cpu("cortex-m33"),
        Target::CortexM55 => cpu("cortex-m55"),
        Target::RiscV32 => build_for("riscv32imac-unknown-none-elf"),
        Target::Host => "run it on a PC".into(),
    };
    format!(
        "// Other kernels would give the same bytes, several times slower.\n\
         const _: () = assert!(\n\
         \x20   ferrolite_runtime::accepts(ferrolite_runtime::Target::{target:?}),\n\
         \x20   \"the model is packed for {name}, and this build has the kernels of another core: {cure}; or convert \\\n\
         \x20    it with `--target` for this core; the feature `foreign-kernels` of ferrolite-runtime allows it, slow as it is\"\n\
         );\n\n",
        name = target.name(),
    )
}

fn rust_port(kind: &str, index: usize, port: &PortFacts) -> String {
    let shape: Vec<String> = port.shape.iter().map(ToString::to_string).collect();
    let quantization = port.quantization.map_or(String::new(), |(scale, zero_point)| {
        format!(
            "    /// Real number per integer step.\n    pub const SCALE: f32 = {scale:?};\n\
             \x20   /// The integer that stands for zero.\n    pub const ZERO_POINT: i32 = {zero_point};\n"
        )
    });
    format!(
        "/// The {kind} `{name}`, {dtype}.\n\
         #[allow(dead_code, clippy::approx_constant)]\n\
         pub mod {kind}{index} {{\n\
         \x20   /// Dimensions, outermost first.\n    pub const SHAPE: [usize; {rank}] = [{shape}];\n\
         \x20   /// Number of elements.\n    pub const LEN: usize = {len};\n{quantization}}}\n",
        name = comment(&port.name),
        dtype = port.dtype.name(),
        rank = shape.len(),
        shape = shape.join(", "),
        len = port.shape.iter().product::<usize>(),
    )
}

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

/// A number with separators between thousands, as Rust writes it.
fn digits(number: usize) -> String {
    crate::text::count(number).replace(',', "_")
}

/// Names come from files: nothing in them may end the comment that they stand in.
fn comment(name: &str) -> String {
    // Nor may it turn the direction of reading: rustc refuses such comments.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    name.chars().map(|c| if c.is_control() || c == '*' || turns(c) { ' ' } else { c }).collect()
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
    use crate::graph::DType;

    #[test]
    fn names_become_harmless() {
        assert_eq!(identifier("kws-Ref.1"), "kws_ref_1");
        assert_eq!(identifier("1d"), "model_1d");
        assert_eq!(identifier(""), "model_");
        assert_eq!(comment("a*/\nb"), "a / b");
        assert_eq!(comment("a\u{202e}b"), "a b");
    }

    #[test]
    fn a_build_with_other_kernels_is_told_the_flag() {
        assert_eq!(kernel_check(Target::Portable), "");
        for target in Target::ALL.iter().filter(|&&target| target != Target::Portable) {
            let text = kernel_check(*target);
            assert!(text.contains(&format!("accepts(ferrolite_runtime::Target::{target:?})")), "{text}");
            assert_eq!(text.matches('`').count() % 2, 0, "{text}");
        }
        assert!(kernel_check(Target::CortexM33).contains("-C target-cpu=cortex-m33"));
        assert!(kernel_check(Target::CortexM55).contains("-C target-cpu=cortex-m55"));
    }

    #[test]
    fn ports_become_modules() {
        let port = PortFacts {
            name: "x".into(),
            shape: vec![1, 49, 10, 1],
            dtype: DType::Int8,
            quantization: Some((0.5, 83)),
        };
        let text = rust_port("input", 0, &port);
        for want in [
            "pub mod input0 {",
            "SHAPE: [usize; 4] = [1, 49, 10, 1];",
            "LEN: usize = 490;",
            "f32 = 0.5;",
            "i32 = 83;",
        ] {
            assert!(text.contains(want), "{text} should contain {want}");
        }
    }
}
