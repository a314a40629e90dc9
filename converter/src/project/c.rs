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
    match kit.start {
        Start::Qemu(_) => {}
        Start::Rp2040 => return Some("-mcpu=cortex-m0plus -mthumb"),
        Start::Probe(_) | Start::Rp2350 | Start::Esp(_) => return None,
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
        "projects in C are for {}; for others `ferrolite convert --c` writes the model for the project that your vendor's tool makes (ESP-IDF: boards/packages/esp-idf is the component)",
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
    let mut files = vec![
        text("Makefile", makefile(context, &quotable(&tree.display().to_string()))),
        text("main.c", main),
        text("model.h", model.header),
        text("model.c", model.data),
        text("sample.h", sample_header(context)),
        text("start.c", START.to_string()),
        text("say.h", SAY.to_string()),
        text("board.ld", board(context.kit)),
        ("model.ferro".into(), context.model.bytes().to_vec()),
        text("README.md", readme(context)),
    ];
    if context.kit.start == Start::Rp2040 {
        files.push(text("boot2.c", boot2()));
    }
    Ok(files)
}

/// The sections; a flash of an RP2040 begins with what sets up its interface.
fn board(kit: &Kit) -> String {
    if kit.start != Start::Rp2040 {
        return BOARD.to_string();
    }
    let region = "{\n  BOOT2 (rx)  : ORIGIN = 0x10000000, LENGTH = 0x100\n  FLASH";
    let section = "SECTIONS\n{\n  .boot2 : { KEEP(*(.boot2)) } > BOOT2\n";
    BOARD.replacen("{\n  FLASH", region, 1).replacen("SECTIONS\n{\n", section, 1)
}

/// The first 256 bytes of an RP2040's flash, which the boot ROM copies into RAM and runs.
fn boot2() -> String {
    let bytes: Vec<String> =
        rp2040_boot2::BOOT_LOADER_W25Q080.iter().map(|byte| format!("{byte:#04x}")).collect();
    format!(
        "/* Sets up the flash's interface before everything else: the boot ROM runs it. These are the bytes for W25Q080 and its\n \
         * like of the Pico SDK (BSD-3-Clause, Raspberry Pi), from the crate rp2040-boot2. */\n\
         __attribute__((section(\".boot2\"), used)) static const unsigned char boot2[256] = {{\n{}}};\n",
        lines(&bytes)
    )
}

fn readme(context: &Context<'_>) -> String {
    let (runs, needs) = match context.kit.start {
        Start::Qemu(_) => {
            ("builds, runs in QEMU and prints the answers", format!("QEMU (`{}`)", context.kit.core().qemu))
        }
        _ => (
            "builds, flashes the board and prints the answers; `make emulate` runs it in rp2040js",
            "[probe-rs](https://probe.rs) and a debug probe (or Node.js and the npm package rp2040js)"
                .to_string(),
        ),
    };
    let starts = match context.kit.start {
        Start::Rp2040 => "`start.c`, `boot2.c`, `board.ld`, `say.h`",
        _ => "`start.c`, `board.ld`, `say.h`",
    };
    context.fill(README, &[("runs", runs), ("runner", &needs), ("starts", starts)])
}

/// A path as the value of a variable of make that recipes use between single quotes.
fn quotable(path: &str) -> String {
    path.replace('$', "$$").replace('#', "\\#").replace('\'', "'\\''")
}

fn makefile(context: &Context<'_>, tree: &str) -> String {
    let core = context.kit.core();
    let (sources, run) = match context.kit.start {
        Start::Qemu(machine) => (
            "",
            format!(
                "{} -machine {machine} -display none -serial none -monitor none \\\n\t\t-semihosting-config enable=on,target=native -kernel $<",
                core.qemu
            ),
        ),
        _ => (
            " boot2.c",
            "probe-rs run --chip RP2040 $<\n\n# With Node.js, and `npm install --prefix '$(FERROLITE)/target/rp2040js' rp2040js`.\n\
             .PHONY: emulate\nNODE_PATH ?= $(FERROLITE)/target/rp2040js/node_modules\nemulate: build/{{name}}.elf\n\t\
             NODE_PATH='$(NODE_PATH)' node '$(FERROLITE)/boards/console/src/rp2040.cjs' $<"
                .replace("{{name}}", context.name),
        ),
    };
    let flags = flags(context.kit).unwrap_or_default();
    let rustflags = match core.rustflags {
        "" => String::new(),
        flags => format!("RUSTFLAGS=\"{flags}\" "),
    };
    context.fill(
        MAKEFILE,
        &[("tree", tree), ("flags", flags), ("rustflags", &rustflags), ("sources", sources), ("run", &run)],
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
