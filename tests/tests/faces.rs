//! The module that `convert --rust` writes, in a program that runs: a model with state and two outputs, and one with
//! two inputs, beside the untyped interpreter.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::apart::Apart;
use common::stream;
use ferrolite::aligned::AlignedBuf;
use ferrolite::bindings;
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::{Model, OpCode, ops};
use ferrolite_schema::Storage;

/// Runs a program that has the module of a file, and the file, beside it.
fn run(name: &str, file: &[u8], program: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faces-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         ferrolite-runtime = {{ path = '{}' }}\n",
        runtime.display()
    );
    let bytes = AlignedBuf::from_bytes(file);
    let module = bindings::rust(&Model::from_bytes(&bytes).expect("a sound file"));
    let head = "#![deny(warnings)]\nmod model;\n\
        static MODEL: model::File = model::File::new(include_bytes!(\"model.ferro\"));\n";
    for (path, contents) in [
        ("Cargo.toml", manifest.as_bytes()),
        ("src/model.ferro", file),
        ("src/model.rs", module.as_bytes()),
        ("src/main.rs", [head, program].concat().as_bytes()),
    ] {
        fs::write(folder.join(path), contents).expect("is writable");
    }
    let mut cargo = Command::new("cargo");
    for outer in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(outer);
    }
    cargo.current_dir(&folder).args(["run", "--offline", "--quiet", "--target-dir"]);
    cargo.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules"));
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{module}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn state_and_several_outputs() {
    run("stream", stream::program().file().bytes(), include_str!("faces/stream.rs"));
}

#[test]
fn entry_points() {
    let folder = common::root().join("tests/import/signatures");
    let options = ConvertOptions {
        calibrate: Some(folder.join("samples.npz").display().to_string()),
        ..ConvertOptions::default()
    };
    let converted = convert(&folder.join("gauge.tflite"), &options, &()).expect("converts");
    run("gauge", converted.file.bytes(), include_str!("faces/gauge.rs"));
}

#[test]
fn several_inputs() {
    // One with two inputs of its own, whatever their sizes.
    let mut random = Random(5);
    let case = std::iter::repeat_with(|| ops::case(OpCode::MinMax, &mut random))
        .find(|case| !case.twice && case.inputs.iter().all(|input| input.storage == Storage::Arena))
        .expect("there are more");
    run("larger", &Apart::new(case).file, include_str!("faces/larger.rs"));
}

/// Names come from files: they end no comment, make no item, and become identifiers or a number.
#[test]
fn hostile_names() {
    let mut file = fs::read(common::root().join("tests/models/sine/sine.ferro")).expect("is committed");
    for (name, hostile) in [("keras_tensor_5", "*/ }\n fn x() {"), ("output_0", "größe!")] {
        assert_eq!(name.len(), hostile.len());
        let at = file.windows(name.len()).position(|bytes| bytes == name.as_bytes()).expect("has the name");
        file[at..][..name.len()].copy_from_slice(hostile.as_bytes());
    }
    let program = "fn main() {
        let mut memory = model::Memory::new();
        let mut net = model::bind(&MODEL, &mut memory).unwrap();
        let wanted = *net.run(&[3]);
        let mut filling = net.begin();
        *filling.fn_x() = [3];
        assert_eq!(*filling.start().unwrap().finish().output0(), wanted);
    }";
    run("hostile", &file, program);
}
