//! The C files: a header with the model's types, and its data.

use std::fmt::Write;

use ferrolite_runtime::{DType, Interpreter, Model, Target, ops, self_test};
use ferrolite_schema::is_custom;

use super::comment::comment;
use crate::aligned::AlignedBuf;
use crate::model_file::{self, PortFacts};

/// What a C program needs of a model, beside the library (`boards/c`).
#[derive(Clone, Debug)]
pub struct CFiles {
    /// The header: sizes, and functions whose arguments have them.
    pub header: String,
    /// The data, to be compiled along: the file's bytes and the operators that run them.
    pub data: String,
}

/// Inferences of the self-test; one of a model with more multiply-accumulates than `LARGE`.
const INFERENCES: u32 = 2;
const LARGE: u64 = 50_000_000;

/// A C header and a C file for the model. The header is called `header`, such as `kws.h`; identifiers begin with its
/// name. Both include `ferrolite.h`, and a program that links the library finds only the operators that the model uses.
///
/// ```text
/// KWS_ARENA_BYTES, KWS_INPUT0_SCALE, …                sizes, and facts of inputs and outputs
/// kws_memory, kws_net, kws_input0, kws_output0        types of the exact sizes
/// kws_bind, kws_run, kws_reset, kws_save, kws_restore, kws_self_test
/// kws_input0_place, kws_output0_place                 in place, with ferrolite_step
/// kws_run_NAME, kws_NAME_input0                       the same of a file's other entry points
/// kws_input0_quantize, kws_output0_dequantize         real numbers
/// ```
pub fn c(model: &Model<'_>, header: &str) -> CFiles {
    let stem = header.rsplit_once('.').map_or(header, |(stem, _)| stem);
    let name = identifier(stem);
    let names: Vec<&str> = (0..model.entries()).filter_map(|index| model.entry_name(index)).collect();
    let words = super::names::identifiers("entry", &names, &[]).into_iter();
    let entries = names.iter().map(|name| name.to_string()).zip(words).collect();
    let writer = Writer { model, upper: name.to_uppercase(), name, entries };
    CFiles { header: writer.header(), data: writer.data(header) }
}

struct Writer<'m> {
    model: &'m Model<'m>,
    /// What identifiers begin with.
    name: String,
    /// What macros begin with.
    upper: String,
    /// The entry points and what they are called here, the first one first; none where there is one program.
    entries: Vec<(String, String)>,
}

/// An input or output.
struct Face {
    /// `input0`.
    name: String,
    index: usize,
    facts: PortFacts,
}

fn faces(kind: &str, facts: Vec<PortFacts>) -> Vec<Face> {
    let face = |(index, facts)| Face { name: format!("{kind}{index}"), index, facts };
    facts.into_iter().enumerate().map(face).collect()
}

/// The type of an element in C, and the least and largest integer of a quantized one.
fn element(dtype: DType) -> (&'static str, Option<(&'static str, &'static str)>) {
    match dtype {
        DType::Int8 => ("int8_t", Some(("INT8_MIN", "INT8_MAX"))),
        DType::UInt8 => ("uint8_t", Some(("0", "UINT8_MAX"))),
        DType::Int16 => ("int16_t", Some(("INT16_MIN", "INT16_MAX"))),
        DType::Int32 => ("int32_t", Some(("INT32_MIN", "INT32_MAX"))),
        DType::Int64 => ("int64_t", None),
        DType::Float32 => ("float", None),
        DType::Bool => ("uint8_t", None),
    }
}

impl Writer<'_> {
    fn header(&self) -> String {
        let inputs = faces("input", model_file::inputs(self.model));
        let outputs = faces("output", model_file::outputs(self.model));
        let mut out = self.facts();
        for face in inputs.iter().chain(&outputs) {
            out += &self.port(face, "");
        }
        out += &self.binding();
        out += &self.run(&inputs, &outputs, None);
        for index in 0..self.entries.len() {
            out += &self.entry(index);
        }
        for face in &inputs {
            out += &self.place(
                face,
                "",
                "ferrolite_input",
                "to be written from end to end before each inference",
            );
        }
        for face in &outputs {
            out += &self.place(face, "const ", "ferrolite_output", "until an input is asked for or set");
        }
        out += &self.state();
        out += &self.self_test();
        let _ = write!(out, "\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n");
        out
    }

    /// The head, and what is true of the model as a whole.
    fn facts(&self) -> String {
        let Writer { model, name, upper, .. } = self;
        let target = model.target().unwrap_or(Target::Portable);
        let core = match target {
            Target::Portable => "for no core in particular".to_string(),
            target => format!("for {}; use the library of that core", target.name()),
        };
        format!(
            "\
/* Written by `ferrolite convert --c`; convert the model again instead of editing.
 * The model {title}. Its weights are packed {core}.
 *
 *     static {name}_memory memory;
 *     static {name}_net net;
 *     ferrolite_error error = {name}_bind(&net, &memory);
 *     if (error == FERROLITE_OK) error = {name}_run(&net, …);
 *     if (error != FERROLITE_OK) puts(ferrolite_error_message(error));
 *
 * Compile the C file beside this header along, and link with `--gc-sections`. */
#ifndef {upper}_H
#define {upper}_H

#include \"ferrolite.h\"

#ifdef __cplusplus
extern \"C\" {{
#endif

/* Bytes of memory that the model works in, from a multiple of 16 on. */
#define {upper}_ARENA_BYTES {arena}
/* Bytes of the model file. */
#define {upper}_MODEL_BYTES {bytes}
/* Bytes that one inference leaves to the next. */
#define {upper}_STATE_BYTES {state}
/* Operators that the model uses; only these are linked. */
#define {upper}_OPERATORS {operators}
",
            title = comment(model.names().model().filter(|n| !n.is_empty()).unwrap_or("without a name")),
            arena = model.arena_bytes(),
            bytes = model.bytes().len(),
            state = model.state_bytes(),
            operators = model_file::operators(model, target).len(),
        )
    }

    /// The facts of an input or output, and its type.
    /// Those of an entry point have `word` before their names, with a `_` behind it.
    fn port(&self, face: &Face, word: &str) -> String {
        let Writer { name, upper, .. } = self;
        let (facts, port) = (&face.facts, format!("{word}{}", face.name));
        let (element, range) = element(facts.dtype);
        let shape: Vec<String> = facts.shape.iter().map(ToString::to_string).collect();
        let macros = format!("{upper}_{}", port.to_uppercase());
        let elements = facts.shape.iter().product::<usize>();
        let mut out = format!(
            "
/* The {kind} `{text}`, {dtype} [{shape}]. */
#define {macros}_ELEMENTS {elements}
typedef struct {name}_{port} {{
    {element} data[{macros}_ELEMENTS];
}} {name}_{port};
FERROLITE_STATIC_ASSERT(sizeof({name}_{port}) == {bytes}, \"{name}_{port} has other bytes than the model's\");
",
            kind = face.name.trim_end_matches(|c: char| c.is_ascii_digit()),
            text = comment(&facts.name),
            dtype = facts.dtype.name(),
            shape = shape.join(", "),
            bytes = elements * facts.dtype.size(),
        );
        let Some((scale, zero_point)) = facts.quantization else { return out };
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "/* The real number of one integer step, and the integer that stands for zero. */
#define {macros}_SCALE {scale:e}f
#define {macros}_ZERO_POINT ({zero_point})
"
        );
        if let Some((least, most)) = range {
            let _ = write!(
                out,
                "/* The integer for a real number, and the real number for an integer. */
static inline {element} {name}_{port}_quantize(float real)
{{
    return ({element})ferrolite_quantize(real, {macros}_SCALE, {macros}_ZERO_POINT, {least}, {most});
}}
static inline float {name}_{port}_dequantize({element} integer)
{{
    return ferrolite_dequantize(integer, {macros}_SCALE, {macros}_ZERO_POINT);
}}
"
            );
        }
        out
    }

    /// The data, the memory, and what binds them.
    fn binding(&self) -> String {
        let Writer { name, upper, entries, .. } = self;
        let member = match entries.len() {
            0 => String::new(),
            count => format!("\n    ferrolite_entry entries[{count}];"),
        };
        let bind =
            format!("ferrolite_bind(&net->net, &{name}_program, memory->bytes, sizeof memory->bytes);");
        let binding = match entries.is_empty() {
            true => format!("    return {bind}\n"),
            false => {
                let mut binding = format!("    ferrolite_error error = {bind}\n");
                for (index, (entry, _)) in entries.iter().enumerate() {
                    let _ = write!(
                        binding,
                        "    if (error == FERROLITE_OK)\n        error = ferrolite_find_entry(&net->net, {}, &net->entries[{index}]);\n",
                        quoted(entry)
                    );
                }
                binding + "    return error;\n"
            }
        };
        format!(
            "
/* The model's bytes, its operators, and both together, in the C file beside this header. */
extern const unsigned char {name}_model[{upper}_MODEL_BYTES];
extern const ferrolite_operator {name}_operators[{upper}_OPERATORS];
extern const ferrolite_program {name}_program;

/* Memory that the model works in. Several models may have one memory in turn: see ferrolite_net. */
typedef struct {name}_memory {{
    FERROLITE_ALIGNED unsigned char bytes[{upper}_ARENA_BYTES];
}} {name}_memory;
FERROLITE_STATIC_ASSERT(sizeof({name}_memory) >= {upper}_ARENA_BYTES, \"the memory is too small\");

/* The model, bound to its memory. `net.net` is what functions of ferrolite.h take. */
typedef struct {name}_net {{
    ferrolite_net net;{member}
}} {name}_net;

/* Checks the model and binds the memory: once, before anything runs. */
static inline ferrolite_error {name}_bind({name}_net *net, {name}_memory *memory)
{{
{binding}}}
"
        )
    }

    /// Types and functions of an entry point; the first has the model's own.
    fn entry(&self, index: usize) -> String {
        let Ok(model) = self.model.entry_at(index) else { return String::new() };
        let (name, (entry, word)) = (&self.name, &self.entries[index]);
        let enter = format!(
            "
/* Goes over to the entry point `{}`, which what works in place and ferrolite_step are about from then on. */
static inline ferrolite_error {name}_enter_{word}({name}_net *net)
{{
    return ferrolite_enter(&net->net, &net->entries[{index}]);
}}
",
            comment(entry)
        );
        if index == 0 {
            return enter;
        }
        let word = format!("{word}_");
        let inputs = faces("input", model_file::inputs(&model));
        let outputs = faces("output", model_file::outputs(&model));
        let mut out: String = inputs.iter().chain(&outputs).map(|face| self.port(face, &word)).collect();
        out += &self.run(&inputs, &outputs, Some(index));
        out + &enter
    }

    /// One inference, with copies of inputs and outputs; of an entry point, if it has a number.
    fn run(&self, inputs: &[Face], outputs: &[Face], entry: Option<usize>) -> String {
        let name = &self.name;
        let word = entry.map_or(String::new(), |index| format!("{}_", self.entries[index].1));
        let parameters: Vec<String> = std::iter::once(format!("{name}_net *net"))
            .chain(inputs.iter().map(|face| format!("const {name}_{word}{port} *{port}", port = face.name)))
            .chain(outputs.iter().map(|face| format!("{name}_{word}{port} *{port}", port = face.name)))
            .collect();
        let mut calls: Vec<String> = Vec::new();
        let call = |function: &str, face: &Face| {
            format!(
                "{function}(&net->net, {}, {port}->data, sizeof {port}->data)",
                face.index,
                port = face.name
            )
        };
        if !self.entries.is_empty() {
            calls.push(format!("ferrolite_enter(&net->net, &net->entries[{}])", entry.unwrap_or(0)));
        }
        calls.extend(inputs.iter().map(|face| call("ferrolite_set_input", face)));
        calls.push("ferrolite_run(&net->net)".into());
        calls.extend(outputs.iter().map(|face| call("ferrolite_get_output", face)));
        let (of, function) = match entry {
            None => (String::new(), "run".to_string()),
            Some(index) => {
                let (entry, word) = &self.entries[index];
                (format!(" of the entry point `{}`", comment(entry)), format!("run_{word}"))
            }
        };
        let mut out = format!(
            "
/* One inference{of}, with copies of inputs and outputs. */
static inline ferrolite_error {name}_{function}({})
{{
    ferrolite_error error = {};
",
            parameters.join(", "),
            calls[0]
        );
        for call in &calls[1..] {
            let _ = write!(out, "    if (error == FERROLITE_OK)\n        error = {call};\n");
        }
        out + "    return error;\n}\n"
    }

    /// An input or output where it lies.
    fn place(&self, face: &Face, qualifier: &str, function: &str, when: &str) -> String {
        let name = &self.name;
        let Face { name: port, index, .. } = face;
        format!(
            "
/* Where {port} lies, {when}; null where that cannot be: see {function}. */
static inline {qualifier}{name}_{port} *{name}_{port}_place({name}_net *net)
{{
    {qualifier}void *place = 0;
    return {function}(&net->net, {index}, &place, 0) == FERROLITE_OK ? ({qualifier}{name}_{port} *)place : 0;
}}
"
        )
    }

    /// What a model with state has besides.
    fn state(&self) -> String {
        let Writer { name, upper, model, .. } = self;
        if model.state_bytes() == 0 {
            return String::new();
        }
        format!(
            "
/* A copy of what one inference leaves to the next. */
typedef struct {name}_state {{
    unsigned char bytes[{upper}_STATE_BYTES];
}} {name}_state;

/* Makes the state what it is before the first inference. */
static inline ferrolite_error {name}_reset({name}_net *net)
{{
    return ferrolite_reset(&net->net);
}}

/* Copies the state. */
static inline ferrolite_error {name}_save({name}_net *net, {name}_state *state)
{{
    return ferrolite_save(&net->net, state->bytes, sizeof state->bytes);
}}

/* Makes the state what {name}_save copied. */
static inline ferrolite_error {name}_restore({name}_net *net, const {name}_state *state)
{{
    return ferrolite_restore(&net->net, state->bytes, sizeof state->bytes);
}}
"
        )
    }

    /// The self-test, where the model runs here: one with operators of the user's own does not.
    fn self_test(&self) -> String {
        let Writer { name, upper, model, .. } = self;
        let macs = model_file::layers(model).iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
        let inferences = if macs > LARGE { 1 } else { INFERENCES };
        let mut memory = AlignedBuf::zeroed(model.arena_bytes());
        let net = Interpreter::new(model, ops::ALL, &mut memory);
        let Ok(sum) = net.and_then(|mut net| self_test::sum(&mut net, inferences)) else {
            return String::new();
        };
        // One that is under way is given up.
        let entering = match self.entries.is_empty() {
            true => "",
            false => {
                "    ferrolite_error error = ferrolite_reset(&net->net);
    if (error == FERROLITE_OK)
        error = ferrolite_enter(&net->net, &net->entries[0]);
    if (error != FERROLITE_OK)
        return error;
"
            }
        };
        format!(
            "
/* Whether this build, on this core, gives the converter's answers to {inferences} made-up samples: ferrolite_self_test. */
#define {upper}_SELF_TEST_SUM {sum:#010x}u
static inline ferrolite_error {name}_self_test({name}_net *net)
{{
{entering}    return ferrolite_self_test(&net->net, {inferences}, {upper}_SELF_TEST_SUM);
}}
"
        )
    }

    fn data(&self, header: &str) -> String {
        let Writer { model, name, upper, .. } = self;
        let include: String = header.chars().filter(|c| !c.is_control() && *c != '"').collect();
        let mut out = format!(
            "\
/* Written by `ferrolite convert --c`; convert the model again instead of editing. */
#include \"{include}\"

/* Where the bytes lie, such as `__attribute__((section(\".qspi\")))`. */
#ifndef {upper}_MODEL_ATTRIBUTE
#define {upper}_MODEL_ATTRIBUTE
#endif
"
        );
        let custom =
            model_file::layers(model).into_iter().zip(model.ops()).find(|(_, op)| is_custom(op.code));
        if let Some((layer, _)) = custom {
            let op: String =
                layer.op.chars().filter(|c| c.is_ascii_alphanumeric() || " ._:-".contains(*c)).collect();
            let _ = writeln!(
                out,
                "\n#error \"{op} is an operator of your own: the C library has none; use --rust\""
            );
        }
        let operators = model_file::operators(model, model.target().unwrap_or(Target::Portable));
        let symbol = |linked: &model_file::Linked| linked.to_string().replace("::", "_").to_lowercase();
        out.push('\n');
        for linked in &operators {
            let _ = writeln!(out, "FERROLITE_DECLARE_OPERATOR({});", symbol(linked));
        }
        let _ = writeln!(out, "\nconst ferrolite_operator {name}_operators[] = {{");
        for linked in &operators {
            let _ = writeln!(out, "    FERROLITE_OPERATOR({}, {}),", linked.code as u16, symbol(linked));
        }
        let _ = write!(
            out,
            "}};

const ferrolite_program {name}_program = {{
    {name}_model,
    {upper}_MODEL_BYTES,
    {name}_operators,
    {upper}_OPERATORS,
}};

{upper}_MODEL_ATTRIBUTE FERROLITE_ALIGNED const unsigned char {name}_model[] = {{
"
        );
        for line in model.bytes().chunks(20) {
            let bytes: Vec<String> = line.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "{},", bytes.join(","));
        }
        out + "};\n"
    }
}

/// A text as C writes it.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| match byte {
        b' ' | b'#'..=b'>' | b'@'..=b'[' | b']'..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    format!("\"{}\"", text.bytes().map(plain).collect::<String>())
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
    fn texts_become_constants() {
        assert_eq!(quoted("step 2"), "\"step 2\"");
        assert_eq!(quoted("a\"?\\\n"), "\"a\\042\\077\\134\\012\"");
    }

    #[test]
    fn names_become_harmless() {
        assert_eq!(identifier("kws-Ref.1"), "kws_ref_1");
        assert_eq!(identifier("1d"), "model_1d");
        assert_eq!(identifier(""), "model_");
    }
}
