//! The C library, with its examples: compiled by gcc and clang without a warning, on the host and for boards that QEMU
//! emulates, they give the host's bytes; what does not fit a model's sizes does not compile; and a C program is as small
//! as one in Rust.
//!
//! These tests need C compilers, so `cargo xtask test` runs them in steps of their own, "C library", and says what is
//! missing. By hand: `cargo test -p ferrolite-conformance --test c_library -- --ignored`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::stream::{self, STEP};
use common::{compile_for, root};
use ferrolite::aligned::AlignedBuf;
use ferrolite::bindings;
use ferrolite::board::{self, Board};
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::model_file;
use ferrolite_runtime::{Interpreter, Model, Target, ops};

/// Samples of each example.
const SAMPLES: usize = 20;

/// Warnings are errors, in both languages.
const STRICT: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];

/// Compilers of C and of C++.
const HOST: [(&str, &str); 2] = [("gcc", "g++"), ("clang", "clang++")];

const ARM: &str = "arm-none-eabi-gcc";

/// How a board's programs are compiled by gcc, and its memory map: flash and RAM, start and bytes.
const BOARDS: [(&str, &[&str], [u32; 4]); 6] = [
    ("qemu-cortex-m0", &["-mcpu=cortex-m0"], [0, 0x4_0000, 0x2000_0000, 0x4000]),
    ("qemu-cortex-m3", &["-mcpu=cortex-m3"], [0, 0x8_0000, 0x2000_0000, 0x2_0000]),
    (
        "qemu-cortex-m4",
        &["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
        [0, 0x8_0000, 0x2000_0000, 0x2_0000],
    ),
    (
        "qemu-cortex-m7",
        &["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
        [0, 0x8_0000, 0x2000_0000, 0x2_0000],
    ),
    (
        "qemu-cortex-m33",
        &["-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
        [0x1000_0000, 0x8_0000, 0x3800_0000, 0x2_0000],
    ),
    ("qemu-cortex-m55", &["-mcpu=cortex-m55", "-mfloat-abi=hard"], [0, 0x8_0000, 0x2000_0000, 0x2_0000]),
];

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

fn exists(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// A new folder for one case.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Builds the library for a board, or for the host, as a user would, and returns its folder. No function of a board's
/// can reach a panic: there is a symbol for that.
fn library(board: Option<&Board>) -> PathBuf {
    let boards = root().join("boards");
    // A board's firmware has the same dependencies.
    let place = boards.join("target").join(board.map_or("host", |board| board.name));
    let mut cargo = Command::new("cargo");
    for outer in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CARGO_INCREMENTAL",
    ] {
        cargo.env_remove(outer);
    }
    cargo.current_dir(&boards).args(["build", "--quiet", "--release", "-p", "ferrolite-c"]);
    cargo.arg("--target-dir").arg(&place);
    if let Some(board) = board {
        cargo.args(["--features", "no-panic", "--target", board.target]);
        if !board.rustflags.is_empty() {
            cargo.env("RUSTFLAGS", board.rustflags);
        }
    }
    let built = cargo.output().expect("cargo runs");
    assert!(built.status.success(), "{}", text(&built));
    let release = place.join(board.map_or("", |board| board.target)).join("release");
    let archive = fs::read(release.join("libferrolite.a")).unwrap();
    let symbol = b"ferrolite_a_panic_can_be_reached";
    let panics = archive.windows(symbol.len()).any(|bytes| bytes == symbol);
    assert!(!panics, "{}: a panic can be reached", release.display());
    release
}

fn file(model: &str, target: Target) -> AlignedBuf {
    let path = root().join("tests/models").join(model).with_extension("tflite");
    AlignedBuf::from_bytes(&compile_for(&path, true, target).unwrap().bytes)
}

/// Writes the C files of a model, and `samples.h` with made-up inputs and the host's answers to them, in sequence.
fn write(folder: &Path, name: &str, file: &AlignedBuf) {
    let model = Model::from_bytes(file).unwrap();
    let files = bindings::c(&model, &format!("{name}.h"));
    fs::write(folder.join(format!("{name}.h")), files.header).unwrap();
    fs::write(folder.join(format!("{name}.c")), files.data).unwrap();

    let mut arena = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    let mut inputs = String::new();
    let mut outputs = vec![String::new(); model.outputs().len()];
    let list = |bytes: &[u8]| {
        let numbers: Vec<String> = bytes.iter().map(|&byte| (byte as i8).to_string()).collect();
        format!("    {{{{{}}}}},\n", numbers.join(", "))
    };
    for sample in 0..SAMPLES {
        let input = net.input_bytes_mut(0).unwrap();
        for (at, byte) in input.iter_mut().enumerate() {
            *byte = ((sample * STEP + at) * 73 % 256) as u8;
        }
        inputs += &list(input);
        net.invoke().unwrap();
        for (index, text) in outputs.iter_mut().enumerate() {
            *text += &list(net.output_bytes(index).unwrap());
        }
    }
    let mut text = format!(
        "#include \"{name}.h\"\n\n#define SAMPLES {SAMPLES}\n\nstatic const {name}_input0 inputs[SAMPLES] = {{\n{inputs}}};\n"
    );
    for (index, lists) in outputs.iter().enumerate() {
        let array = if index == 0 { "outputs".to_string() } else { format!("outputs{index}") };
        text += &format!("\nstatic const {name}_output{index} {array}[SAMPLES] = {{\n{lists}}};\n");
    }
    fs::write(folder.join("samples.h"), text).unwrap();
}

fn sine(folder: &Path, target: Target) {
    write(folder, "sine", &file("sine/sine_int8_tf", target));
}

fn a_stream(folder: &Path, name: &str) {
    write(folder, name, &AlignedBuf::from_bytes(stream::program().file().bytes()));
}

/// A model with several entry points.
fn a_gauge(folder: &Path) {
    let source = root().join("tests/import/signatures");
    let options = ConvertOptions {
        calibrate: Some(source.join("samples.npz").display().to_string()),
        ..ConvertOptions::default()
    };
    let converted = convert(&source.join("gauge.tflite"), &options, &()).unwrap();
    write(folder, "gauge", &AlignedBuf::from_bytes(converted.file.bytes()));
}

/// A compiler in a folder with a model's files, with the library's headers and the examples at hand.
fn compiler(program: &str, folder: &Path) -> Command {
    let mut compiler = Command::new(program);
    compiler.current_dir(folder).args(STRICT).args(["-I", "."]);
    for headers in ["boards/c/include", "boards/c/examples"] {
        compiler.arg("-I").arg(root().join(headers));
    }
    compiler
}

fn example(name: &str) -> PathBuf {
    root().join("boards/c/examples").join(name)
}

/// A file of the start that `ferrolite new --lang c` writes.
fn template(name: &str) -> PathBuf {
    root().join("converter/src/project/templates/c").join(name)
}

/// Compiles a program of some sources for the host, links it and returns what it prints.
fn on_host(program: &str, standard: &str, folder: &Path, sources: &[PathBuf], library: &Path) -> String {
    // The data are C, whatever the program is.
    let c = HOST.iter().find(|(_, cpp)| *cpp == program).map_or(program, |(c, _)| c);
    let mut objects = Vec::new();
    for source in sources {
        let cpp = source.extension().is_some_and(|extension| extension == "cpp");
        let object = folder.join(format!("{}.o", objects.len()));
        let mut compile = compiler(if cpp { program } else { c }, folder);
        compile.arg(if cpp { standard } else { "-std=c11" }).args([
            "-O1",
            "-ffunction-sections",
            "-fdata-sections",
            "-c",
        ]);
        let compiled = compile.arg(source).arg("-o").arg(&object).output().unwrap();
        assert!(compiled.status.success() && compiled.stderr.is_empty(), "{program}: {}", text(&compiled));
        objects.push(object);
    }
    let mut link = Command::new(program);
    link.current_dir(folder).args(&objects).arg(library.join("libferrolite.a"));
    let linked = link.args(["-Wl,--gc-sections", "-o", "program"]).output().unwrap();
    assert!(linked.status.success(), "{program}: {}", text(&linked));
    let ran = Command::new(folder.join("program")).output().unwrap();
    assert!(ran.status.success(), "{program}, {}: {}", folder.display(), text(&ran));
    text(&ran)
}

/// Compiles and links a program for a board.
fn for_board(board: &Board, folder: &Path, sources: &[PathBuf], library: &Path) -> PathBuf {
    let (_, flags, map) = BOARDS.iter().find(|(name, ..)| *name == board.name).expect("a board of the table");
    let mut link = compiler(ARM, folder);
    link.args(["-std=c11", "-mthumb", "-Os", "-ffunction-sections", "-fdata-sections"]).args(*flags);
    for (name, value) in ["FLASH_START", "FLASH_BYTES", "RAM_START", "RAM_BYTES"].iter().zip(map) {
        link.arg(format!("-Wl,--defsym={name}={value:#x}"));
    }
    link.args([
        "-nostartfiles",
        "--specs=nano.specs",
        "-Wl,--gc-sections",
        "-Wl,-z,noexecstack",
        "-Wl,--fatal-warnings",
    ]);
    link.arg("-T").arg(template("board.ld")).arg(template("start.c")).args(sources);
    let elf = folder.join("program.elf");
    let linked = link.arg(library.join("libferrolite.a")).arg("-o").arg(&elf).output().unwrap();
    assert!(linked.status.success() && linked.stderr.is_empty(), "{}: {}", board.name, text(&linked));
    elf
}

/// What a program prints on a board.
fn on_board(board: &Board, elf: &Path) -> String {
    on_board_with(board, elf, &[])
}

/// The same with further words for QEMU.
fn on_board_with(board: &Board, elf: &Path, words: &[&str]) -> String {
    let mut qemu = Command::new(board.qemu);
    qemu.args(words);
    qemu.args(["-M", board.machine]).args(board.arguments);
    qemu.args(["-display", "none", "-monitor", "none", "-serial", "none"]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(elf);
    let ran = qemu.output().expect("QEMU runs");
    assert!(ran.status.success(), "{}: {}", board.name, text(&ran));
    text(&ran)
}

/// Both examples in C on a board.
fn examples_on(board: &Board) {
    let library = library(Some(board));
    let folder = folder(board.name);
    sine(&folder, board.core_target());
    let elf = for_board(board, &folder, &[example("sine.c"), "sine.c".into()], &library);
    assert_eq!(on_board(board, &elf), "the sines are the host's\n", "{}", board.name);
    a_stream(&folder, "stream");
    let elf = for_board(board, &folder, &[example("stream.c"), "stream.c".into()], &library);
    assert_eq!(on_board(board, &elf), "the stream's answers are the host's\n", "{}", board.name);
}

/// Whether a board can run here.
fn runs(board: &Board) -> bool {
    let status = board::list().into_iter().find(|status| status.board == board);
    let runs = status.is_some_and(|status| status.target_installed) && exists(board.qemu);
    if !runs {
        println!("skipped: {}", board.name);
    }
    runs
}

#[test]
#[ignore = "needs C compilers"]
fn host_programs_give_the_hosts_bytes() {
    let library = library(None);
    let (sines, streams, api) = (folder("sine"), folder("stream"), folder("api"));
    let gauge = folder("gauge");
    a_gauge(&gauge);
    sine(&sines, Target::Host);
    a_stream(&streams, "stream");
    a_stream(&api, "model");
    let say = example("say.c");
    for (c, cpp) in HOST {
        if !exists(c) || !exists(cpp) {
            continue;
        }
        let c11 = |folder: &Path, sources: &[PathBuf]| on_host(c, "-std=c11", folder, sources, &library);
        assert_eq!(
            c11(&sines, &[example("sine.c"), "sine.c".into(), say.clone()]),
            "the sines are the host's\n"
        );
        let found = c11(&streams, &[example("stream.c"), "stream.c".into(), say.clone()]);
        assert_eq!(found, "the stream's answers are the host's\n");
        assert_eq!(c11(&api, &[root().join("tests/c/api.c"), "model.c".into()]), "all as it should be\n");
        let found = c11(&gauge, &[root().join("tests/c/entries.c"), "gauge.c".into()]);
        assert_eq!(found, "entries are as they should be\n");
        let sources = [example("sine.cpp"), "sine.c".into(), say.clone()];
        assert_eq!(on_host(cpp, "-std=c++17", &sines, &sources, &library), "the sines are the host's\n");
    }
}

/// Lines that must not compile, each with a word of the reason.
const WRONG: [(&str, &str); 5] = [
    ("sine_run(&net, &output, &output);", "sine_output0"),
    ("static stream_memory small; sine_bind(&net, &small);", "stream_memory"),
    ("input.data[0] = 1; sine_input0 both[2]; sine_run(&net, &both, &output);", "sine_input0"),
    ("FERROLITE_STATIC_ASSERT(SINE_ARENA_BYTES <= 16, \"no room for the arena\");", "no room for the arena"),
    ("sine_input0 more = {{1, 2}}; sine_run(&net, &more, &output);", "excess elements"),
];

#[test]
#[ignore = "needs C compilers"]
fn host_compilers_refuse_wrong_sizes() {
    let folder = folder("wrong");
    sine(&folder, Target::Portable);
    a_stream(&folder, "stream");
    for (compiler_of_c, compiler_of_cpp) in HOST {
        for (program, standard) in [(compiler_of_c, "-std=c11"), (compiler_of_cpp, "-std=c++17")] {
            if !exists(program) {
                continue;
            }
            let compile = |line: &str| {
                let source = format!(
                    "#include \"sine.h\"\n#include \"stream.h\"\nvoid f(void);\nvoid f(void)\n{{\n    static sine_net net;\n    \
                     static sine_input0 input;\n    static sine_output0 output;\n    sine_run(&net, &input, &output);\n    {line}\n}}\n"
                );
                let name = if standard == "-std=c11" { "wrong.c" } else { "wrong.cpp" };
                fs::write(folder.join(name), source).unwrap();
                compiler(program, &folder).args([standard, "-fsyntax-only", name]).output().unwrap()
            };
            let right = compile("");
            assert!(right.status.success() && right.stderr.is_empty(), "{program}: {}", text(&right));
            for (line, word) in WRONG {
                let refused = compile(line);
                assert!(!refused.status.success(), "{program} accepts {line}");
                let reason = text(&refused);
                assert!(
                    reason.contains(word) || reason.contains("initializers"),
                    "{program}: {line}: {reason}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs C compilers"]
fn one_board_gives_the_hosts_bytes() {
    let board = board::find("qemu-cortex-m4").unwrap();
    if exists(ARM) && runs(board) {
        examples_on(board);
    }
}

#[test]
#[ignore = "needs C compilers"]
fn every_core_gives_the_hosts_bytes() {
    for board in board::BOARDS {
        if !BOARDS.iter().any(|(name, ..)| *name == board.name) {
            // Debian's C library has none for it: the library itself must be there.
            library(Some(board));
        } else if exists(ARM) && runs(board) {
            examples_on(board);
        }
    }
}

/// Bytes of a program that a programmer would write to flash.
fn flash(elf: &Path) -> u64 {
    let sizes = Command::new("arm-none-eabi-size").arg(elf).output().unwrap();
    let text = text(&sizes);
    let numbers = text.lines().nth(1).unwrap_or_default().split_whitespace();
    numbers.take(2).map(|number| number.parse::<u64>().expect("a number of bytes")).sum()
}

#[test]
#[ignore = "needs C compilers"]
fn flash_is_that_of_rust() {
    let board = board::find("qemu-cortex-m4").unwrap();
    if !exists(ARM) || !runs(board) {
        return;
    }
    let library = library(Some(board));
    for model in ["watch_conv1d/watch_conv1d_int8_tf", "mnist_cnn/mnist_cnn_int8_tf"] {
        let folder = folder("flash");
        let file = file(model, board.core_target());
        write(&folder, "model", &file);
        let model_of = Model::from_bytes(&file).unwrap();
        let rust = board::runtime_flash_bytes(board, &model_file::operators(&model_of, board.core_target()))
            .unwrap();
        let source = |name: &str| root().join("tests/c").join(name);
        let whole = flash(&for_board(board, &folder, &[source("flash.c"), "model.c".into()], &library));
        let empty = flash(&for_board(board, &folder, &[source("empty.c")], &library));
        let bytes = file.len() as u64;
        let c = whole - empty - bytes;
        println!("{model}: the library takes {c} bytes, in Rust {rust}, and the model {bytes}");
        assert!(20 * (c + bytes) <= 21 * (rust + bytes), "{model}: {c} bytes, in Rust {rust}");
    }
}

/// Inferences of `tests/c/speed.c`, and instructions that a tick of its timer takes under `-icount shift=0`: 25 MHz.
const TIMES: u64 = 16;
const TICK: u64 = 40;
/// What the three calls of an inference, their checks and small copies take at most, which Rust's count leaves out (its
/// typed `run` takes some 45 for them on a model with one input and output): models of a few
/// thousand instructions notice it.
const CALLS: u64 = 600;

#[test]
#[ignore = "needs C compilers"]
fn one_board_takes_the_instructions_of_rust() {
    let board = board::find("qemu-cortex-m4").unwrap();
    if !exists(ARM) || !runs(board) {
        return;
    }
    let library = library(Some(board));
    let mut slower = Vec::new();
    for model in [
        "sine/sine_int8_tf",
        "digits_mlp/digits_mlp_int8_tf",
        "watch_conv1d/watch_conv1d_int8_tf",
        "mnist_cnn/mnist_cnn_int8_tf",
    ] {
        let folder = folder("speed");
        let file = file(model, board.core_target());
        write(&folder, "model", &file);
        let rust = board::bench(board, &file, None, false).unwrap().instructions;
        let sources = [root().join("tests/c/speed.c"), "model.c".into()];
        let elf = for_board(board, &folder, &sources, &library);
        let said = on_board_with(board, &elf, &["-icount", "shift=0"]);
        let ticks: u64 = said.trim().parse().unwrap_or_else(|_| panic!("{model}: {said}"));
        let c = ticks * TICK / TIMES;
        println!("{model}: {c} instructions an inference in C, with copies; in Rust {rust}, without");
        if 100 * c > 105 * rust + 100 * CALLS {
            slower.push(model);
        }
        if model == "watch_conv1d/watch_conv1d_int8_tf" || model == "mnist_cnn/mnist_cnn_int8_tf" {
            assert!(100 * c <= 105 * rust, "{model}: {c} instructions, in Rust {rust}");
        }
    }
    assert!(slower.is_empty(), "more than 5 % slower than in Rust: {slower:?}");
}
