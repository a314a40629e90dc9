//! The Rust module: the model's types, with sizes and places that are checked when it is compiled.

use std::fmt::Write;

use ferrolite_runtime::{DType, Model, Target};
use ferrolite_schema::is_custom;

use super::comment::comment;
use super::kernels::kernel_check;
use super::names::identifiers;
use crate::model_file::{self, PortFacts};

/// What a module needs to know of an input or output.
struct Face {
    /// `input0`: the name of its module.
    module: String,
    /// The author's name as an identifier.
    name: String,
    facts: PortFacts,
    /// Its first byte in the arena.
    at: u32,
}

/// A Rust module with the model's own types: the memory that it needs, its inputs and outputs as arrays, and the way
/// from one to the other; the operators that it needs and no others; and the facts of its inputs and outputs. It refers
/// to `ferrolite_runtime` only, and fits the file of `model` and no other.
///
/// A build whose kernels are not those that the model is packed for does not compile, and says which flag it lacks.
///
/// ```text
/// pub const OPS: OpSet = &[ops::CONV_2D, ops::SOFTMAX];
/// pub mod input0 { … SHAPE, LEN, SCALE, ZERO_POINT, quantize, dequantize }
/// pub type Memory = Arena<ARENA>;
/// pub struct File(…);
/// pub fn bind<'a>(file: &'a File, memory: &'a mut Memory) -> Result<Net<'a>, Error>
/// impl Net<'_> { pub fn run(&mut self, features: &[i8; 490]) -> &[i8; 12] … begin, reset, save, restore }
/// ```
pub fn rust(model: &Model<'_>) -> String {
    let inputs = faces(model, "input", model_file::inputs(model), &["start"]);
    let outputs = faces(model, "output", model_file::outputs(model), &[]);
    let mut out = facts(model);
    for face in inputs.iter().chain(&outputs) {
        out += &port(face);
    }
    let programs = programs(model);
    out += &binding(model, &programs);
    out += &net(&inputs, &outputs, model.state_bytes() != 0, &programs);
    out += &turn(&inputs, &outputs);
    out += &modules(&programs);
    out
}

/// A program of a file that has several.
struct Program<'m> {
    /// Its name in the file.
    name: &'m str,
    /// The same as an identifier.
    word: String,
    /// `None` where it is not sound, which a file that was just written is.
    model: Option<Model<'m>>,
}

/// The programs of a file, the first one first; none where there is but one.
fn programs<'m>(model: &Model<'m>) -> Vec<Program<'m>> {
    let names: Vec<&str> = (0..model.entries()).filter_map(|index| model.entry_name(index)).collect();
    let words = identifiers("entry", &names, &[]);
    let programs = names.into_iter().zip(words).enumerate();
    programs.map(|(index, (name, word))| Program { name, word, model: model.entry_at(index).ok() }).collect()
}

/// The names that the module gives a model's outputs.
pub(crate) fn outputs(model: &Model<'_>) -> Vec<String> {
    faces(model, "output", model_file::outputs(model), &[]).into_iter().map(|face| face.name).collect()
}

fn faces(model: &Model<'_>, kind: &str, facts: Vec<PortFacts>, reserved: &[&str]) -> Vec<Face> {
    let ports = if kind == "input" { model.inputs() } else { model.outputs() };
    let names: Vec<&str> = facts.iter().map(|facts| facts.name.as_str()).collect();
    let names = identifiers(kind, &names, reserved);
    let place = |port: &ferrolite_runtime::Port| {
        model.tensors().get(port.tensor as usize).map_or(0, |tensor| tensor.offset)
    };
    let named = names.into_iter().zip(facts).zip(ports).enumerate();
    named
        .map(|(index, ((name, facts), port))| Face {
            module: format!("{kind}{index}"),
            name,
            facts,
            at: place(port),
        })
        .collect()
}

/// The head, and what is true of the model as a whole.
fn facts(model: &Model<'_>) -> String {
    // Of a core that is not known here, no kernels are.
    let target = model.target().unwrap_or(Target::Portable);
    let ops: Vec<String> =
        model_file::operators(model, target).iter().map(|linked| format!("ops::{linked}")).collect();
    let macs = model_file::layers(model).iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs));
    let state = match model.state_bytes() {
        0 => String::new(),
        bytes => format!(
            "\n/// Bytes that one inference leaves to the next.\n#[allow(dead_code)]\npub const STATE: usize = {};\n",
            digits(bytes)
        ),
    };
    format!(
        "\
// Written by `ferrolite convert --rust`; convert the model again instead of editing.
// The model {name}. With its file:
//
//     static MODEL: File = File::new(include_bytes!(\"….ferro\"));
//     let mut net = bind(&MODEL, memory)?;
//     let outputs = net.run(&inputs);
//
// A program need not use all of it, so what is left unused is allowed to be.

#[allow(unused_imports)]
use ferrolite_runtime::{{Arena, {entry}Error, Interpreter, ModelFile, OpSet, ops, typed}};

{check}/// Bytes of arena that the model needs.
#[allow(dead_code)]
pub const ARENA: usize = {arena};
{memories}{state}
/// The operators that the model uses; only these are linked.
{custom}#[allow(dead_code)]
#[rustfmt::skip]
pub const OPS: OpSet = &[{ops}];

/// Bytes of the model file.
#[allow(dead_code)]
pub const MODEL_BYTES: usize = {bytes};

/// Multiply-accumulate operations of one inference.
#[allow(dead_code)]
pub const MACS: u64 = {macs};
{entries}",
        name = comment(model.names().model().filter(|n| !n.is_empty()).unwrap_or("without a name")),
        check = kernel_check(target),
        arena = digits(model.arena_bytes()),
        ops = ops.join(", "),
        memories = memories(model),
        entries = entries(model),
        entry = if model.entries() > 0 { "Entry, " } else { "" },
        custom = custom_operators(model),
        bytes = digits(model.bytes().len()),
    )
}

/// The names of the entry points; nothing where there is one program.
fn entries(model: &Model<'_>) -> String {
    let names: Vec<String> = (0..model.entries())
        .filter_map(|index| model.entry_name(index))
        .map(|name| format!("{name:?}"))
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "\n/// The file's entry points, of which the first is what `Net::run` runs. `Net::run_NAME` runs any of them, with the\n\
         /// inputs and outputs of the module `entries::NAME`.\n#[allow(dead_code)]\npub const ENTRIES: [&str; {}] = [{}];\n",
        names.len(),
        names.join(", ")
    )
}

/// The memories that the arena is divided among; nothing where there is one.
fn memories(model: &Model<'_>) -> String {
    let memories = model_file::memories(model);
    if memories.is_empty() {
        return String::new();
    }
    let names: Vec<String> = memories.iter().map(|memory| comment(&memory.name)).collect();
    let sizes: Vec<String> = memories.iter().map(|memory| digits(memory.used as usize)).collect();
    format!(
        "\n/// Bytes of the arena in each memory, for `Interpreter::with_memories`: {}. `bind` and `Interpreter::new` take\n\
         /// one slice for all.\n#[allow(dead_code)]\npub const MEMORIES: [usize; {}] = [{}];\n",
        names.join(", "),
        sizes.len(),
        sizes.join(", ")
    )
}

/// A line that names the operators of the user's own, which the module cannot list; none where there are none.
fn custom_operators(model: &Model<'_>) -> String {
    let layers = model_file::layers(model).into_iter().zip(model.ops());
    let mut names: Vec<String> =
        layers.filter(|(_, op)| is_custom(op.code)).map(|(layer, _)| comment(&layer.op)).collect();
    names.dedup();
    match names.len() {
        0 => String::new(),
        _ => format!(
            "/// A firmware lists operators of its own beside them: {}. `bind` takes the list.\n",
            names.join(", ")
        ),
    }
}

/// The type of an element, and the least and largest integer of a quantized one.
fn element(dtype: DType) -> (&'static str, Option<(i64, i64)>) {
    match dtype {
        DType::Int8 => ("i8", Some((i8::MIN.into(), i8::MAX.into()))),
        DType::UInt8 => ("u8", Some((0, u8::MAX.into()))),
        DType::Int16 => ("i16", Some((i16::MIN.into(), i16::MAX.into()))),
        DType::Int32 => ("i32", Some((i32::MIN.into(), i32::MAX.into()))),
        DType::Int64 => ("i64", None),
        DType::Float32 => ("f32", None),
        DType::Bool => ("u8", None),
    }
}

/// The facts of an input or output.
fn port(face: &Face) -> String {
    let facts = &face.facts;
    let (element, range) = element(facts.dtype);
    let shape: Vec<String> = facts.shape.iter().map(ToString::to_string).collect();
    let mut out = format!(
        "
/// The {kind} `{name}`, {dtype}.
#[allow(dead_code, clippy::all)]
pub mod {module} {{
    /// Dimensions, outermost first.
    pub const SHAPE: [usize; {rank}] = [{shape}];
    /// Number of elements.
    pub const LEN: usize = {len};
    /// All elements.
    pub type Array = [{element}; LEN];
    pub(super) const AT: usize = {at};
",
        kind = face.module.trim_end_matches(|c: char| c.is_ascii_digit()),
        name = comment(&facts.name),
        dtype = facts.dtype.name(),
        module = face.module,
        rank = shape.len(),
        shape = shape.join(", "),
        len = facts.shape.iter().product::<usize>(),
        at = face.at,
    );
    if let Some((scale, zero_point)) = facts.quantization {
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "    /// Real number per integer step.
    pub const SCALE: f32 = {scale:?};
    /// The integer that stands for zero.
    pub const ZERO_POINT: i32 = {zero_point};
"
        );
        if let Some((min, max)) = range {
            let _ = write!(
                out,
                "    /// The integer for a real number; at compile time, too.
    pub const fn quantize(real: f32) -> {element} {{
        ferrolite_runtime::quant::quantize(real, SCALE, ZERO_POINT, {min}, {max}) as {element}
    }}
    /// The real number that an integer stands for.
    pub const fn dequantize(integer: {element}) -> f32 {{
        ferrolite_runtime::quant::dequantize(integer as i32, SCALE, ZERO_POINT)
    }}
"
            );
        }
    }
    out + "}\n"
}

/// Memory and file, and what binds them.
fn binding(model: &Model<'_>, programs: &[Program<'_>]) -> String {
    // A file without a checksum is known by its first word, and its size.
    let first = || Some((0, u32::from_le_bytes(*model.bytes().first_chunk()?)));
    let (checksum_at, checksum) = model.checksum().or_else(first).unwrap_or((0, 0));
    // Operators of the user's own are types that only the firmware knows.
    let (parameter, argument, ops) = match model.ops().iter().any(|op| is_custom(op.code)) {
        true => (", ops: OpSet", ", ops", "ops"),
        false => ("", "", "OPS"),
    };
    let made = match programs.len() {
        0 => "Ok(Net(net))".to_string(),
        _ => {
            let entries: Vec<String> =
                programs.iter().map(|program| format!("net.entry({:?})?", program.name)).collect();
            format!(
                "{{\n            let entries = [{}];\n            Ok(Net(net, entries))\n        }}",
                entries.join(", ")
            )
        }
    };
    format!(
        "
/// Memory that the model works in, of the exact size. As a `static` it is zero at first and takes no flash.
#[allow(dead_code)]
pub type Memory = Arena<ARENA>;

const FINGERPRINT: typed::Fingerprint =
    typed::Fingerprint {{ bytes: MODEL_BYTES, checksum_at: {checksum_at}, checksum: {checksum:#x} }};

/// The file that this module was written with. `static MODEL: File = File::new(include_bytes!(\"….ferro\"));` holds
/// its bytes, and is where attributes such as `link_section` say.
#[allow(dead_code)]
#[derive(Debug)]
pub struct File(ModelFile<MODEL_BYTES>);

#[allow(dead_code)]
impl File {{
    /// The file, in a `static` or `const`. Any other one does not compile there.
    pub const fn new<const N: usize>(bytes: &[u8; N]) -> File {{
        match bytes.first_chunk() {{
            Some(file) if FINGERPRINT.fits(bytes) => File(ModelFile::new(file)),
            _ => panic!(\"this is not the file that the module was written with: convert again\"),
        }}
    }}
}}

/// Verifies the file and binds the memory: once, before anything runs.
#[allow(dead_code)]
pub fn bind<'a>(file: &'a File, memory: &'a mut Memory{parameter}) -> Result<Net<'a>, Error> {{
    bind_bytes(file.0.bytes(), memory{argument})
}}

/// As [`bind`], for the file's bytes from elsewhere, such as another flash chip: refused unless the file is the one
/// that this module was written with. They start at a multiple of 16.
#[allow(dead_code)]
pub fn bind_bytes<'a>(file: &'a [u8], memory: &'a mut Memory{parameter}) -> Result<Net<'a>, Error> {{
    match typed::Net::bind(file, FINGERPRINT, {ops}, memory) {{
        Ok(net) => {made},
        Err(error) => Err(error),
    }}
}}
"
    )
}

/// The model bound to its memory.
fn net(inputs: &[Face], outputs: &[Face], has_state: bool, programs: &[Program<'_>]) -> String {
    let Call { outputs: type_of_outputs, parameters, answer, body } = call(inputs, outputs);
    let mut out = type_of_outputs;
    // What goes over to the first program, where there are several.
    let (field, enter) = match programs.len() {
        0 => (String::new(), ""),
        count => (format!(", [Entry<'a>; {count}]"), "        self.0.enter(&self.1[0]);\n"),
    };
    let _ = write!(
        out,
        "
/// The model, bound to its memory. It may be sent to another task and live in a `static`.
#[allow(dead_code)]
#[derive(Debug)]
pub struct Net<'a>(typed::Net<'a, ARENA>{field});

#[allow(dead_code, clippy::all)]
impl<'a> Net<'a> {{
    /// One inference, with copies of the inputs.
    pub fn run(&mut self{parameters}) -> {answer} {{
        self.0.settle();
{enter}{body}    }}

    /// Begins an inference whose inputs are written where they lie, and whose ops may run one by one. If it is given up
    /// while they run, {given_up}
    pub fn begin(&mut self) -> Filling<'_, 'a> {{
{enter}        Filling(self.0.begin())
    }}

    /// The untyped interpreter: ports by index, observers.
    pub fn into_interpreter(self) -> Interpreter<'a> {{
        self.0.into_interpreter()
    }}
",
        given_up = if has_state {
            "the state is reset: it would be half-written."
        } else {
            "nothing of it is left."
        },
    );
    if has_state {
        out += "
    /// Makes the state what it is before the first inference.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// Copies the state, which inferences leave to the next ones.
    pub fn save(&mut self, state: &mut [u8; STATE]) {
        self.0.settle();
        *state = *self.0.array::<_, { ARENA - STATE }, STATE>();
    }

    /// Makes the state what [`save`](Net::save) copied.
    pub fn restore(&mut self, state: &[u8; STATE]) {
        self.0.settle();
        *self.0.array_mut::<_, { ARENA - STATE }, STATE>() = *state;
    }
";
    }
    out + "}\n"
}

/// The parts of a function that runs a program with copies of its inputs.
struct Call {
    /// The type of its outputs, where it has not one.
    outputs: String,
    /// Behind `&mut self`.
    parameters: String,
    answer: String,
    /// From the copies on.
    body: String,
}

fn call(inputs: &[Face], outputs: &[Face]) -> Call {
    let parameters =
        inputs.iter().map(|face| format!(", {}: &{}::Array", face.name, face.module)).collect::<String>();
    let copies: String = inputs
        .iter()
        .map(|Face { name, module, .. }| {
            format!("        *self.0.array_mut::<_, {{ {module}::AT }}, {{ {module}::LEN }}>() = *{name};\n")
        })
        .collect();
    let array = |module: &str| format!("self.0.array::<_, {{ {module}::AT }}, {{ {module}::LEN }}>()");
    let mut text = String::new();
    let (answer, result) = match outputs {
        [] => ("()".to_string(), String::new()),
        [output] => (format!("&{}::Array", output.module), format!("        {}\n", array(&output.module))),
        _ => {
            let field = |Face { name, module, facts, .. }: &Face| {
                let text = comment(&facts.name);
                format!("    /// The output `{text}`.\n    pub {name}: &'n {module}::Array,\n")
            };
            let fields: String = outputs.iter().map(field).collect();
            let _ = write!(
                text,
                "
/// The outputs of an inference.
#[allow(dead_code)]
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'n> {{
{fields}}}
"
            );
            let value =
                |Face { name, module, .. }: &Face| format!("            {name}: {},\n", array(module));
            let values: Vec<String> = outputs.iter().map(value).collect();
            ("Outputs<'_>".to_string(), format!("        Outputs {{\n{}        }}\n", values.concat()))
        }
    };
    Call { outputs: text, parameters, answer, body: format!("{copies}        self.0.run();\n{result}") }
}

/// The functions that run entry points, and the inputs and outputs of all but the first.
fn modules(programs: &[Program<'_>]) -> String {
    let Some((first, others)) = programs.split_first() else { return String::new() };
    let named = |text: &str| comment(text);
    let mut out = String::new();
    if let Some(model) = &first.model {
        let inputs = faces(model, "input", model_file::inputs(model), &["start"]);
        let outputs = faces(model, "output", model_file::outputs(model), &[]);
        let Call { parameters, answer, .. } = call(&inputs, &outputs);
        let given: Vec<&str> = inputs.iter().map(|face| face.name.as_str()).collect();
        let _ = write!(
            out,
            "
#[allow(dead_code, clippy::all)]
impl<'a> Net<'a> {{
    /// One call of the entry point `{name}`: the same as [`run`](Net::run).
    pub fn run_{word}(&mut self{parameters}) -> {answer} {{
        self.run({given})
    }}
}}
",
            name = named(first.name),
            word = first.word,
            given = given.join(", "),
        );
    }
    out += "
/// The inputs and outputs of the other entry points, which [`Net`] has a function for each.
#[allow(dead_code, clippy::all)]
#[rustfmt::skip]
pub mod entries {
";
    for (index, program) in (1..).zip(others) {
        let Some(model) = &program.model else { continue };
        let inputs = faces(model, "input", model_file::inputs(model), &["start"]);
        let outputs = faces(model, "output", model_file::outputs(model), &[]);
        let Call { outputs: type_of_outputs, parameters, answer, body } = call(&inputs, &outputs);
        let mut inner: String = inputs.iter().chain(&outputs).map(port).collect();
        inner += &type_of_outputs;
        let _ = write!(
            inner,
            "
impl<'a> Net<'a> {{
    /// One call of the entry point `{name}`, on the state that the others have left.
    pub fn run_{word}(&mut self{parameters}) -> {answer} {{
        self.0.enter(&self.1[{index}]);
{body}    }}
}}
",
            name = named(program.name),
            word = program.word,
        );
        let _ = write!(
            out,
            "    /// The entry point `{name}`.\n    pub mod {word} {{\n        use super::super::Net;\n",
            name = named(program.name),
            word = program.word,
        );
        for line in inner.lines() {
            match line.is_empty() {
                true => out.push('\n'),
                false => out += &format!("        {line}\n"),
            }
        }
        out += "    }\n";
    }
    out + "}\n"
}

/// One inference, passed on by move.
fn turn(inputs: &[Face], outputs: &[Face]) -> String {
    let mut out = format!(
        "
/// An inference whose inputs are being written.
#[allow(dead_code)]
#[derive(Debug)]
#[must_use = \"`start` it when the inputs are written\"]
pub struct Filling<'n, 'a>(typed::Filling<'n, 'a, ARENA, {words}>);

#[allow(dead_code, clippy::all)]
impl<'n, 'a> Filling<'n, 'a> {{
",
        words = inputs.len().div_ceil(32),
    );
    for (index, Face { name, module, facts, .. }) in inputs.iter().enumerate() {
        let _ = write!(
            out,
            "    /// The input `{text}`, to be written from end to end: what it holds before is of no use.
    pub fn {name}(&mut self) -> &mut {module}::Array {{
        self.0.input::<_, {index}, {{ {module}::AT }}, {{ {module}::LEN }}>()
    }}

",
            text = comment(&facts.name),
        );
    }
    let _ = write!(
        out,
        "    /// Ends the writing. The error names an input that was not asked for.
    pub fn start(self) -> Result<Running<'n, 'a>, Error> {{
        match self.0.start({count}) {{
            Ok(running) => Ok(Running(running)),
            Err(error) => Err(error),
        }}
    }}
}}

/// An inference whose ops run: inputs are out of reach, and outputs are not there yet.
#[allow(dead_code)]
#[derive(Debug)]
#[must_use = \"`step` it until it is done\"]
pub struct Running<'n, 'a>(typed::Running<'n, 'a, ARENA>);

/// What a step leads to.
#[allow(dead_code)]
#[derive(Debug)]
pub enum Step<'n, 'a> {{
    /// There are more ops.
    More(Running<'n, 'a>),
    /// All have run.
    Done(Done<'n, 'a>),
}}

#[allow(dead_code)]
impl<'n, 'a> Running<'n, 'a> {{
    /// Runs the next op.
    pub fn step(self) -> Step<'n, 'a> {{
        match self.0.step() {{
            Ok(done) => Step::Done(Done(done)),
            Err(running) => Step::More(Running(running)),
        }}
    }}

    /// Runs all ops that are left.
    pub fn finish(self) -> Done<'n, 'a> {{
        Done(self.0.finish())
    }}
}}

/// An inference that has run.
#[allow(dead_code)]
#[derive(Debug)]
pub struct Done<'n, 'a>(typed::Done<'n, 'a, ARENA>);

#[allow(dead_code, clippy::all)]
impl Done<'_, '_> {{
",
        count = inputs.len(),
    );
    let accessors: Vec<String> = outputs
        .iter()
        .map(|Face { name, module, facts, .. }| {
            format!(
                "    /// The output `{text}`.
    pub fn {name}(&self) -> &{module}::Array {{
        self.0.output::<_, {{ {module}::AT }}, {{ {module}::LEN }}>()
    }}
",
                text = comment(&facts.name),
            )
        })
        .collect();
    out + &accessors.join("\n") + "}\n"
}

/// A number with separators between thousands, as Rust writes it.
fn digits(number: usize) -> String {
    crate::text::count(number).replace(',', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_become_modules() {
        let facts = PortFacts {
            name: "x".into(),
            shape: vec![1, 49, 10, 1],
            dtype: DType::Int8,
            quantization: Some((0.5, 83)),
        };
        let text = port(&Face { module: "input0".into(), name: "x".into(), facts, at: 16 });
        for want in [
            "pub mod input0 {",
            "The input `x`, int8",
            "SHAPE: [usize; 4] = [1, 49, 10, 1];",
            "LEN: usize = 490;",
            "AT: usize = 16;",
            "type Array = [i8; LEN];",
            "f32 = 0.5;",
            "i32 = 83;",
            "quantize(real: f32) -> i8",
        ] {
            assert!(text.contains(want), "{text} should contain {want}");
        }
    }
}
