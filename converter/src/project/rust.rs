//! The files of a project in Rust.

use super::kits::Start;
use super::runtime::Runtime;
use super::sample::{self, elements, lines};
use super::template::Context;
use crate::bindings;
use crate::model_file::PortFacts;

const CARGO: &str = include_str!("templates/rust/Cargo.toml.in");
const CONFIG: &str = include_str!("templates/rust/config.toml.in");
const BUILD: &str = include_str!("templates/rust/build.rs.in");
const MAIN: &str = include_str!("templates/rust/main.rs.in");
const EMULATED: &str = include_str!("templates/rust/emulated.rs.in");
const PROBED: &str = include_str!("templates/rust/probed.rs.in");
const ESP: &str = include_str!("templates/rust/esp.rs.in");
const ESP_BUILD: &str = include_str!("templates/rust/esp_build.rs.in");
const README: &str = include_str!("templates/rust/README.md.in");

/// All files of the project, by their paths.
pub(super) fn files(context: &Context<'_>) -> Vec<(String, Vec<u8>)> {
    let text = |path: &str, text: String| (path.to_string(), text.into_bytes());
    let mut files = vec![
        text("Cargo.toml", cargo(context)),
        text(".cargo/config.toml", config(context)),
        text("build.rs", build(context)),
        text("src/main.rs", main(context)),
        text("src/board.rs", board(context)),
        text("src/model.rs", bindings::rust(context.model)),
        text("src/sample.rs", sample_module(context)),
        text("README.md", readme(context)),
        ("src/model.ferro".into(), context.model.bytes().to_vec()),
    ];
    if esp(context).is_none() {
        files.push(text("memory.x", memory(context)));
    }
    files
}

/// esp-hal's name of the chip, where it starts the program.
fn esp(context: &Context<'_>) -> Option<&'static str> {
    match context.kit.start {
        Start::Esp(chip) => Some(chip),
        _ => None,
    }
}

fn riscv(context: &Context<'_>) -> bool {
    context.kit.core().target.starts_with("riscv")
}

fn probed(context: &Context<'_>) -> bool {
    !matches!(context.kit.start, Start::Qemu(_) | Start::Esp(_))
}

fn cargo(context: &Context<'_>) -> String {
    let runtime = match context.runtime {
        Runtime::Tree(tree) => format!("path = {:?}", tree.join("runtime").display().to_string()),
        Runtime::Repository => format!("git = {:?}", env!("CARGO_PKG_REPOSITORY")),
    };
    let features = if probed(context) { ", features = [\"defmt\"]" } else { "" };
    let runtime = format!("ferrolite-runtime = {{ {runtime}{features} }}\n");
    let start = match (riscv(context), context.kit.start) {
        (_, Start::Esp(chip)) => {
            let of = |name: &str, version: &str| {
                format!("{name} = {{ version = {version:?}, features = [{chip:?}] }}\n")
            };
            of("esp-bootloader-esp-idf", "0.6") + &of("esp-hal", "1.2") + &of("esp-println", "0.18")
        }
        (true, _) => {
            "riscv = { version = \"0.16\", features = [\"critical-section-single-hart\"] }\nriscv-rt = \"0.18\"\nsemihosting = { version = \"0.1\", features = [\"stdio\"] }\n".to_string()
        }
        (false, Start::Qemu(_)) => {
            "cortex-m = { version = \"0.7\", features = [\"critical-section-single-core\"] }\ncortex-m-rt = \"0.7\"\nsemihosting = { version = \"0.1\", features = [\"stdio\"] }\n".to_string()
        }
        (false, _) => {
            "cortex-m = { version = \"0.7\", features = [\"critical-section-single-core\"] }\ncortex-m-rt = \"0.7\"\ndefmt = \"1\"\ndefmt-rtt = \"1\"\npanic-probe = { version = \"1\", features = [\"print-defmt\"] }\n".to_string()
        }
    };
    let boot = if context.kit.start == Start::Rp2040 { "rp2040-boot2 = \"0.3\"\n" } else { "" };
    let atomics = match context.kit.core().target {
        // This core has no instruction for what static_cell asks.
        "thumbv6m-none-eabi" => {
            "# Cortex-M0 has no compare-and-swap; static_cell takes a critical section for it.\nportable-atomic = { version = \"1\", features = [\"critical-section\"] }\n"
        }
        _ => "",
    };
    let dependencies = format!("{start}{runtime}{atomics}{boot}static_cell = \"2.1\"\n");
    context.fill(CARGO, &[("dependencies", &dependencies)])
}

fn config(context: &Context<'_>) -> String {
    let core = context.kit.core();
    let runner = match context.kit.start {
        Start::Qemu(machine) => {
            let mut words = vec![core.qemu, "-machine", machine];
            words.extend(core.arguments);
            words.extend(["-display", "none", "-serial", "none", "-monitor", "none"]);
            words.extend(["-semihosting-config", "enable=on,target=native", "-kernel"]);
            words.iter().map(|word| format!("    {word:?},\n")).collect()
        }
        Start::Probe(chip) => probe_runner(chip),
        Start::Rp2040 => probe_runner("RP2040"),
        Start::Rp2350 => probe_runner("RP235x"),
        Start::Esp(chip) => format!("    \"espflash\", \"flash\", \"--monitor\", \"--chip\", {chip:?},\n"),
    };
    let flags = match core.rustflags {
        "" => String::new(),
        flags => format!("rustflags = [{flags:?}]\n"),
    };
    let log = match probed(context) {
        true => "\n[env]\n# Without it defmt leaves out everything but errors.\nDEFMT_LOG = \"info\"\n",
        false => "",
    };
    context.fill(CONFIG, &[("runner", &runner), ("rustflags", &flags), ("log", log)])
}

fn probe_runner(chip: &str) -> String {
    format!("    \"probe-rs\", \"run\", \"--chip\", {chip:?},\n")
}

fn build(context: &Context<'_>) -> String {
    if esp(context).is_some() {
        return ESP_BUILD.to_string();
    }
    let mut scripts = String::new();
    if riscv(context) {
        scripts += "    println!(\"cargo:rustc-link-arg-bins=-Tmemory.x\");\n";
    }
    scripts += "    println!(\"cargo:rustc-link-arg-bins=-Tlink.x\");\n";
    if probed(context) {
        scripts += "    println!(\"cargo:rustc-link-arg-bins=-Tdefmt.x\");\n";
    }
    context.fill(BUILD, &[("scripts", &scripts)])
}

fn memory(context: &Context<'_>) -> String {
    let boot = match context.kit.start {
        Start::Rp2040 => "  BOOT2 : ORIGIN = 0x10000000, LENGTH = 0x100\n",
        _ => "",
    };
    let more = match (riscv(context), context.kit.start) {
        (true, _) => {
            "REGION_ALIAS(\"REGION_TEXT\", FLASH);\nREGION_ALIAS(\"REGION_RODATA\", FLASH);\nREGION_ALIAS(\"REGION_DATA\", RAM);\nREGION_ALIAS(\"REGION_BSS\", RAM);\nREGION_ALIAS(\"REGION_HEAP\", RAM);\nREGION_ALIAS(\"REGION_STACK\", RAM);\n"
        }
        (false, Start::Rp2040) => {
            "EXTERN(BOOT2_FIRMWARE)\nSECTIONS {\n  .boot2 ORIGIN(BOOT2) : { KEEP(*(.boot2)); } > BOOT2\n} INSERT BEFORE .text;\n"
        }
        (false, Start::Rp2350) => {
            "/* The boot ROM looks for this block in the first 4 KiB. */\nSECTIONS {\n  .start_block : ALIGN(4) { KEEP(*(.start_block)); } > FLASH\n} INSERT AFTER .vector_table;\n_stext = ADDR(.start_block) + SIZEOF(.start_block);\n"
        }
        _ => "",
    };
    context.fill(
        "/* {{chip}} ({{board}}). */\nMEMORY\n{\n{{boot}}  FLASH : ORIGIN = {{flash_start}}, LENGTH = {{flash_size}}\n  RAM   : ORIGIN = {{ram_start}}, LENGTH = {{ram_size}}\n}\n{{more}}",
        &[("boot", boot), ("more", more)],
    )
}

fn main(context: &Context<'_>) -> String {
    let ports = sample::ports(context.model, context.sample);
    let (inputs, outputs): (Vec<_>, Vec<_>) = ports.iter().partition(|(name, ..)| name.starts_with("input"));
    let arguments: Vec<String> =
        inputs.iter().map(|(name, ..)| format!("&sample::{}", name.to_uppercase())).collect();
    let fields = bindings::rust_outputs(context.model);
    let single = outputs.len() == 1;
    let place = |index: usize| match single {
        true => "answer".to_string(),
        false => format!("answer.{}", fields[index]),
    };
    let checks: Vec<String> = outputs
        .iter()
        .enumerate()
        .map(|(index, (name, ..))| format!("*{} == sample::{}", place(index), name.to_uppercase()))
        .collect();
    let prints: String = outputs
        .iter()
        .enumerate()
        .map(|(index, (name, facts, _))| print(name, facts, &place(index)))
        .collect();
    let same = checks.join(" && ");
    let verdict = match context.model.state_bytes() {
        0 => format!("    {same}\n"),
        _ => format!(
            "    let same = {same};\n    // A stream begins without the sample's state.\n    net.reset();\n    same\n"
        ),
    };
    context.fill(
        MAIN,
        &[
            ("begin", if esp(context).is_some() { "    let _peripherals = board::begin();\n" } else { "" }),
            ("arguments", &arguments.join(", ")),
            ("verdict", &verdict),
            ("prints", &prints),
            ("sample", context.sample_words()),
        ],
    )
}

/// Lines that print an output: its reals where its integers stand for some.
fn print(name: &str, facts: &PortFacts, place: &str) -> String {
    let value = match sample::stands_for_reals(facts) {
        true => format!("model::{name}::dequantize(*value)"),
        false => "*value".to_string(),
    };
    let words = format!("{name}[{{}}] = {{}}");
    format!(
        "    for (index, value) in {place}.iter().enumerate().take(SHOWN) {{\n        say!(\"{words}\", index, {value});\n    }}\n"
    )
}

fn board(context: &Context<'_>) -> String {
    let (entry, keep) = match riscv(context) {
        true => ("riscv_rt::entry", "use riscv as _;"),
        false => ("cortex_m_rt::entry", "use cortex_m as _;"),
    };
    let more = match context.kit.start {
        Start::Rp2040 => {
            "\n/// Sets up the flash's interface before everything else: the boot ROM runs it.\n#[unsafe(link_section = \".boot2\")]\n#[unsafe(no_mangle)]\n#[used]\npub static BOOT2_FIRMWARE: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;\n"
        }
        Start::Rp2350 => {
            "\n/// Tells the boot ROM that a program for the Arm core follows (RP2350 data sheet, 5.9.5: a minimum Arm IMAGE_DEF).\n#[unsafe(link_section = \".start_block\")]\n#[used]\npub static IMAGE_DEF: [u32; 5] = [0xffff_ded3, 0x1021_0142, 0x0000_01ff, 0x0000_0000, 0xab12_3579];\n"
        }
        _ => "",
    };
    let template = match context.kit.start {
        Start::Qemu(_) => EMULATED,
        Start::Esp(_) => ESP,
        _ => PROBED,
    };
    context.fill(template, &[("entry", entry), ("keep", keep), ("more", more)])
}

fn sample_module(context: &Context<'_>) -> String {
    let mut out = format!(
        "//! A sample and the answer to it, by the computer that converted the model: {}.\n\nuse crate::model::*;\n",
        context.sample_words()
    );
    for (name, facts, bytes) in sample::ports(context.model, context.sample) {
        let kind = if name.starts_with("input") { "The input" } else { "The answer" };
        let elements = elements(&facts, bytes, |real| match real.is_finite() {
            true => format!("{real:?}"),
            false => format!("f32::from_bits({:#x})", real.to_bits()),
        });
        out += &format!(
            "\n/// {kind}.\n#[rustfmt::skip]\npub static {}: {name}::Array = [\n{}];\n",
            name.to_uppercase(),
            lines(&elements)
        );
    }
    out
}

fn readme(context: &Context<'_>) -> String {
    let needs = match context.kit.start {
        Start::Qemu(_) => format!(
            "`rustup target add {}` and QEMU (`{}`; Debian, Ubuntu: `apt install qemu-system-arm qemu-system-misc`)",
            context.kit.rust_target(),
            context.kit.core().qemu
        ),
        Start::Esp(_) => format!(
            "`rustup target add {}` and `cargo install espflash`; the board is on a USB cable",
            context.kit.rust_target()
        ),
        _ => format!(
            "`rustup target add {}`, [probe-rs](https://probe.rs) and a debug probe, which most boards have on them",
            context.kit.rust_target()
        ),
    };
    let runs = match context.kit.start {
        Start::Qemu(_) => "builds, runs in QEMU and prints the answers",
        _ => "builds, flashes the board and shows its log",
    };
    let runtime = match context.runtime {
        Runtime::Tree(tree) => {
            format!("by path, from `{}`: it is not published yet", tree.join("runtime").display())
        }
        Runtime::Repository => "from its git repository: it is not published yet".to_string(),
    };
    let clock = match context.kit.start {
        Start::Qemu(_) => "",
        Start::Esp(_) => {
            "\nesp-hal starts the chip, at its highest clock, and has its drivers. `ferrolite bench src/model.ferro --board\n{{board}}` estimates milliseconds. The program was built and its image checked where Ferrolite is made; it was not\nrun on this chip there. Its kernels were, on an emulated RV32 core.\n"
        }
        _ => {
            "\nThe core runs with the clock that it has after reset, a few megahertz on some chips: add your HAL and set the\nclock in `main` before you measure time. `ferrolite bench src/model.ferro --board {{board}}` estimates milliseconds\nand microjoules at full clock.\n"
        }
    };
    let clock = clock.replace("{{board}}", context.kit.name);
    let map = if esp(context).is_some() { "" } else { "`memory.x`, " };
    context.fill(
        README,
        &[("map", map), ("needs", &needs), ("runs", runs), ("runtime", &runtime), ("clock", &clock)],
    )
}
