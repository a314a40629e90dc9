//! The report of a migration, in Markdown.

use super::{Migrated, Migration, New, Request};
use crate::facts::PortJson;
use crate::project::Language;
use crate::text;

/// The report.
pub(super) fn markdown(request: &Request<'_>, migration: &Migration) -> String {
    let mut out = String::from("# From TensorFlow Lite Micro to Ferrolite\n\n");
    out += &format!(
        "Written by `ferrolite migrate` from {}, for {} ({}).\n\n",
        cell(&request.path.display().to_string()),
        request.kit.name,
        request.kit.describe()
    );
    out += "| model | layers | `.tflite` | `.ferro` | arena there | arena here | project |\n|---|--:|--:|--:|--:|--:|---|\n";
    for model in &migration.models {
        let layers: usize = model.operators.iter().map(|(_, count)| count).sum();
        let new = |value: fn(&New) -> usize| {
            model.project.as_ref().map_or("-".into(), |new| text::count(value(new)))
        };
        out += &format!(
            "| {} | {layers} | {} | {} | {} | {} | {} |\n",
            model.name,
            text::count(model.tflite_bytes),
            new(|new| new.model_bytes),
            model.arena_asked.map_or("not found".into(), text::thousands),
            new(|new| new.arena_bytes),
            model.project.as_ref().map_or("refused".into(), |new| format!("`{}`", new.folder)),
        );
    }
    out += "\nSizes are in bytes. The arena here is exact, known before anything runs, and holds no interpreter.\n";
    for model in &migration.models {
        out += &section(request, model);
    }
    for word in &migration.wake_words {
        out += &wake_word(request, word);
    }
    out += &calls(request, migration);
    out += &list("What to look at", &migration.warnings);
    out += &list("Notes", &migration.notes);
    out
}

fn section(request: &Request<'_>, model: &Migrated) -> String {
    let mut out = format!("\n## {}\n\n", model.name);
    for source in &model.sources {
        out += &format!("- found: {}\n", cell(source));
    }
    if let Some(why) = &model.refused {
        out += &format!("- **refused**: {}\n", cell(why));
    } else {
        out += match model.float {
            true => {
                "- numbers: the model is float there; here it is quantized to int8 with the samples of `--calibrate`. Compare them with `ferrolite compare`\n"
            }
            false => "- numbers: kept as they are. The outputs equal TFLM's byte for byte\n",
        };
    }
    out += &format!("- operators: {}\n", operators(&model.operators));
    out += &match &model.linked {
        None => "- linked there: not found in the sources\n".to_string(),
        Some(all) if all == &["*"] => {
            "- linked there: all of TFLM's (AllOpsResolver); here only the model's\n".into()
        }
        Some(names) => format!("- linked there: {}\n", names.join(", ")),
    };
    if !model.missing.is_empty() {
        out += &format!(
            "- **not linked there, though the model has it**: {}. TFLM refuses the model with these sources\n",
            model.missing.join(", ")
        );
    }
    if !model.unused.is_empty() {
        out += &format!("- linked there for nothing: {}\n", model.unused.join(", "));
    }
    if let (Some(asked), Some(words)) = (model.arena_asked, &model.arena_words) {
        let here = model.project.as_ref().map_or(String::new(), |new| {
            let here = new.arena_bytes as u64;
            let share = 100.0 * here as f64 / asked as f64;
            format!("; here {} bytes ({share:.0} %)", text::thousands(here))
        });
        out += &format!("- arena: {} bytes there, `{}`{here}\n", text::thousands(asked), cell(words));
    }
    let Some(new) = &model.project else { return out };
    if new.state_bytes > 0 {
        out += &format!(
            "- state: {} bytes of the arena go from one inference to the next\n",
            text::count(new.state_bytes)
        );
    }
    out += "\n| port | name | shape | type | scale | zero point |\n|---|---|---|---|--:|--:|\n";
    for (name, port) in ports(new) {
        let shape: Vec<String> = port.shape.iter().map(usize::to_string).collect();
        let real = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        out += &format!(
            "| {name} | {} | {} | {} | {} | {} |\n",
            cell(&port.name),
            shape.join(" x "),
            port.dtype,
            real(port.scale.map(|scale| scale.to_string())),
            real(port.zero_point.map(|zero| zero.to_string())),
        );
    }
    out + &snippet(request, new)
}

/// Operators with how often each is there.
fn operators(operators: &[(String, usize)]) -> String {
    let name = |(name, count): &(String, usize)| match count {
        1 => cell(name),
        _ => format!("{} ({count})", cell(name)),
    };
    operators.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Ports by their names in the project.
fn ports(new: &New) -> impl Iterator<Item = (String, &PortJson)> {
    let inputs = new.inputs.iter().enumerate().map(|(index, port)| (format!("input{index}"), port));
    inputs.chain(new.outputs.iter().enumerate().map(|(index, port)| (format!("output{index}"), port)))
}

/// How the new program fills inputs and reads outputs, beside what it was.
fn snippet(request: &Request<'_>, new: &New) -> String {
    let there: String = ports(new)
        .map(|(name, port)| {
            let index: &str = name.trim_start_matches(char::is_alphabetic);
            match name.starts_with("input") {
                true => format!("interpreter.input({index})->data.{}[i] = x;\n", member(port.dtype)),
                false => format!("y = interpreter.output({index})->data.{}[i];\n", member(port.dtype)),
            }
        })
        .collect();
    let there = there.replacen("y = ", "interpreter.Invoke();\ny = ", 1);
    let (language, here) = match request.language {
        Language::Rust => ("rust", rust(new)),
        Language::C => ("c", c(new)),
    };
    format!("\nThere:\n\n```cpp\n{there}```\n\nHere:\n\n```{language}\n{here}```\n")
}

/// The member of TFLM's `data` with elements of a type.
fn member(dtype: &str) -> &str {
    match dtype {
        "int8" | "uint8" | "int16" => dtype,
        "int32" => "i32",
        "int64" => "i64",
        "float32" => "f",
        "bool" => "b",
        other => other,
    }
}

fn rust(new: &New) -> String {
    let mut out = String::new();
    for (name, port) in ports(new).take(new.inputs.len()) {
        out += &format!("let mut {name}: model::{name}::Array = [Default::default(); model::{name}::LEN];\n");
        out += &match port.scale {
            Some(_) => format!("{name}[i] = x; // or, of a real number: model::{name}::quantize(real)\n"),
            None => format!("{name}[i] = x;\n"),
        };
    }
    let inputs: Vec<String> = (0..new.inputs.len()).map(|index| format!("&input{index}")).collect();
    out += &format!("let answer = net.run({});\n", inputs.join(", "));
    match &new.outputs[..] {
        [port] => {
            out += "let y = answer[i];";
            out += if port.scale.is_some() {
                " // its real number: model::output0::dequantize(y)\n"
            } else {
                "\n"
            };
        }
        _ => out += "// `answer` has a field for each output, by its name: see `Outputs` in src/model.rs\n",
    }
    out
}

fn c(new: &New) -> String {
    let mut out = String::new();
    for (name, _) in ports(new) {
        out += &format!("static model_{name} {name};\n");
    }
    for (name, port) in ports(new).take(new.inputs.len()) {
        out += &match port.scale {
            Some(_) => {
                format!("{name}.data[i] = x; /* or, of a real number: model_{name}_quantize(real) */\n")
            }
            None => format!("{name}.data[i] = x;\n"),
        };
    }
    let names: Vec<String> = ports(new).map(|(name, _)| format!("&{name}")).collect();
    out += &format!("ferrolite_error error = model_run(&net, {});\n", names.join(", "));
    for (name, port) in ports(new).skip(new.inputs.len()) {
        out += &match port.scale {
            Some(_) => format!("y = {name}.data[i]; /* its real number: model_{name}_dequantize(y) */\n"),
            None => format!("y = {name}.data[i];\n"),
        };
    }
    out
}

/// ESPHome's decision over the model's outputs.
fn wake_word(request: &Request<'_>, word: &super::WakeWord) -> String {
    let mut out = format!("\n## The decision for \"{}\"\n\n", cell(&word.wake_word));
    if let Some(step) = word.feature_step_size {
        out += &format!(
            "A row of features each {step} ms, by the same audio frontend as before; the model takes as many rows as the shape of its input says.\n"
        );
    }
    let (Some(cutoff), Some(window)) = (word.probability_cutoff, word.sliding_window_size) else {
        return out
            + "The manifest does not say from which probability on, or over how many, the words count as said.\n";
    };
    // ESPHome: sum / (255 * window) > cutoff. The sum is an integer.
    let threshold = (cutoff * 255.0 * window as f64).floor() as u64;
    out += &format!(
        "ESPHome takes the words as said where the mean of the last {window} outputs of uint8, divided by 255, is above {cutoff}: their sum is above {threshold}.\n\n"
    );
    out + &match request.language {
        Language::Rust => format!(
            "```rust\nlet mut last = [0u8; {window}];\nlet mut at = 0;\n// after each inference:\nlast[at] = answer[0];\nat = (at + 1) % last.len();\nlet said = last.iter().map(|&output| u32::from(output)).sum::<u32>() > {threshold};\n```\n"
        ),
        Language::C => format!(
            "```c\nstatic uint8_t last[{window}];\nstatic unsigned at;\n/* after each inference: */\nuint32_t sum = 0;\nlast[at] = output0.data[0];\nat = (at + 1) % {window};\nfor (unsigned i = 0; i < {window}; i++)\n    sum += last[i];\nint said = sum > {threshold};\n```\n"
        ),
    }
}

/// What stands in the place of the calls that the old sources make.
fn calls(request: &Request<'_>, migration: &Migration) -> String {
    if migration.uses.is_empty() {
        return String::new();
    }
    let rust = request.language == Language::Rust;
    let pick = |in_rust: &'static str, in_c: &'static str| if rust { in_rust } else { in_c };
    let mut out = String::from("\n## What was called there\n\n| there | first at | here |\n|---|---|---|\n");
    for (word, place) in &migration.uses {
        let here = match *word {
            "GetModel" | "TFLITE_SCHEMA_VERSION" => pick(
                "`model::File::new(include_bytes!(…))`: another file does not compile; the bytes are verified by `bind`",
                "`model_bind`: the bytes are verified, once",
            ),
            "AllocateTensors" | "MicroAllocator" => pick(
                "`model::bind(&MODEL, MEMORY.take())`: the converter has placed all tensors",
                "`model_bind(&net, &memory)`: the converter has placed all tensors",
            ),
            "Invoke" => pick(
                "`net.run(…)`; op by op: `net.begin()`, `step`",
                "`model_run(&net, …)`; op by op: `ferrolite_step`",
            ),
            "arena_used_bytes" => pick("`model::ARENA`, a constant", "`MODEL_ARENA_BYTES`, a constant"),
            "MicroResourceVariables" => "nothing: variables lie in the arena",
            "Reset" => pick(
                "`net.reset()`, where the model has state",
                "`model_reset(&net)`, where the model has state",
            ),
            "MicroProfiler" | "RecordingMicroInterpreter" => {
                "`ferrolite bench FILE.ferro --on BOARD`; on the device, an `Observer` sees each op's start and end"
            }
            "MicroPrintf" | "TF_LITE_REPORT_ERROR" | "ErrorReporter" => pick(
                "errors are values that say what is wrong: `say!(\"{}\", error)`",
                "errors are values: `ferrolite_error_message(error)`",
            ),
            "InitializeTarget" => "nothing: start and clock are the board's",
            "FrontendProcessSamples" => "it stays: features are made before the model, by the same code",
            _ => "-",
        };
        out += &format!("| `{word}` | {} | {here} |\n", cell(place));
    }
    out
}

fn list(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("- {}\n", cell(line))).collect();
    format!("\n## {title}\n\n{lines}")
}

/// A text on one line, that breaks no table and no code.
fn cell(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '|' => '/',
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}
