//! The files of a project in C.

use super::kits::{KITS, Kit, Start};
use super::runtime::Runtime;
use super::sample::{self, elements, lines};
use super::template::Context;
use crate::bindings;
use crate::error::{Error, Result};

const MAIN: &str = include_str!("templates/c/main.c.in");
const MAKEFILE: &str = include_str!("templates/c/Makefile.in");
const README: &str = include_str!("templates/c/README.md.in");
const START: &str = include_str!("templates/c/start.c");
const SAY: &str = include_str!("templates/c/say.h");
const BOARD: &str = include_str!("templates/c/board.ld");

/// Flags of gcc for the core of a board; none where there is no template for it.
fn flags(kit: &Kit) -> Option<&'static str> {
    if !matches!(kit.start, Start::Qemu(_)) {
        return None;
    }
    match kit.emulated {
        "qemu-cortex-m0" => Some("-mcpu=cortex-m0 -mthumb"),
        "qemu-cortex-m3" => Some("-mcpu=cortex-m3 -mthumb"),
        "qemu-cortex-m4" => Some("-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"),
        "qemu-cortex-m7" => Some("-mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16"),
        "qemu-cortex-m33" => Some("-mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16"),
        "qemu-cortex-m55" => Some("-mcpu=cortex-m55 -mthumb -mfloat-abi=hard"),
        _ => None,
    }
}

/// Refuses a board that there is no start in C for.
pub(super) fn supported(kit: &Kit) -> Result<()> {
    if flags(kit).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = KITS.iter().filter(|kit| flags(kit).is_some()).map(|kit| kit.name).collect();
    Err(Error::usage(format!("--lang c: there is no start in C for {} yet", kit.name)).help(format!(
        "projects in C are for {}; for others `ferrolite convert --c` writes the model for the project that your vendor's tool makes",
        names.join(", ")
    )))
}

/// All files of the project, by their paths.
pub(super) fn files(context: &Context<'_>) -> Result<Vec<(String, Vec<u8>)>> {
    let text = |path: &str, text: String| (path.to_string(), text.into_bytes());
    let Runtime::Tree(tree) = context.runtime else {
        return Err(Error::input(
            "a project in C builds the runtime's library from Ferrolite's source tree, which is not there",
        )
        .help("clone it and give its folder with --runtime"));
    };
    let model = bindings::c(context.model, "model.h");
    let main = main(context, model.header.contains("model_self_test("));
    Ok(vec![
        text("Makefile", makefile(context, &tree.display().to_string())),
        text("main.c", main),
        text("model.h", model.header),
        text("model.c", model.data),
        text("sample.h", sample_header(context)),
        text("start.c", START.to_string()),
        text("say.h", SAY.to_string()),
        text("board.ld", BOARD.to_string()),
        ("model.ferro".into(), context.model.bytes().to_vec()),
        text("README.md", context.fill(README, &[("qemu", context.kit.core().qemu)])),
    ])
}

fn makefile(context: &Context<'_>, tree: &str) -> String {
    let core = context.kit.core();
    let machine = match context.kit.start {
        Start::Qemu(machine) => machine,
        _ => "",
    };
    let flags = flags(context.kit).unwrap_or_default();
    let rustflags = match core.rustflags {
        "" => String::new(),
        flags => format!("RUSTFLAGS=\"{flags}\" "),
    };
    context.fill(
        MAKEFILE,
        &[
            ("tree", tree),
            ("flags", flags),
            ("rustflags", &rustflags),
            ("qemu", core.qemu),
            ("machine", machine),
        ],
    )
}

fn main(context: &Context<'_>, self_test: bool) -> String {
    let ports = sample::ports(context.model, context.sample);
    let (inputs, outputs): (Vec<_>, Vec<_>) = ports.iter().partition(|(name, ..)| name.starts_with("input"));
    let mut arguments: Vec<String> = inputs.iter().map(|(name, ..)| format!("&sample_{name}")).collect();
    arguments.extend(outputs.iter().map(|(name, ..)| format!("&{name}")));
    let declarations: String =
        outputs.iter().map(|(name, ..)| format!("static model_{name} {name};\n")).collect();
    let checks: Vec<String> = outputs
        .iter()
        .map(|(name, ..)| format!("memcmp(&{name}, &sample_{name}, sizeof {name}) == 0"))
        .collect();
    let prints: String = outputs
        .iter()
        .map(|(name, facts, _)| {
            // Thousandths as an integer: a float in printf is 10 KB of code.
            let real = match sample::stands_for_reals(facts) {
                true => format!("model_{name}_dequantize({name}.data[i])"),
                false => format!("(float){name}.data[i]"),
            };
            format!(
                "    for (unsigned long i = 0; i < MODEL_{}_ELEMENTS && i < SHOWN; i++)\n        print(\"{name}\", i, (long)({real} * 1000.0f));\n",
                name.to_uppercase()
            )
        })
        .collect();
    let test = match self_test {
        true => "    if (error == FERROLITE_OK)\n        error = model_self_test(&net);\n",
        false => "",
    };
    let reset = match context.model.state_bytes() {
        0 => "",
        _ => {
            "    /* The sample's state is not that of a new stream. */\n    if (error == FERROLITE_OK)\n        error = model_reset(&net);\n"
        }
    };
    context.fill(
        MAIN,
        &[
            ("declarations", &declarations),
            ("arguments", &arguments.join(", ")),
            ("checks", &checks.join(" && ")),
            ("prints", &prints),
            ("test", test),
            ("reset", reset),
            ("sample", context.sample_words()),
        ],
    )
}

fn sample_header(context: &Context<'_>) -> String {
    let mut out = format!(
        "/* A sample and the answer to it, by the computer that converted the model: {}. */\n#ifndef SAMPLE_H\n#define SAMPLE_H\n\n#include \"model.h\"\n",
        context.sample_words()
    );
    for (name, facts, bytes) in sample::ports(context.model, context.sample) {
        let elements = elements(&facts, bytes, |real| match real.is_finite() {
            true => format!("{real:e}f"),
            false if real.is_nan() => "(0.0f / 0.0f)".to_string(),
            false if real > 0.0 => "(1.0f / 0.0f)".to_string(),
            false => "(-1.0f / 0.0f)".to_string(),
        });
        out += &format!("\nstatic const model_{name} sample_{name} = {{{{\n{}}}}};\n", lines(&elements));
    }
    out + "\n#endif\n"
}
