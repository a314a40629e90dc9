//! Everything that belongs together exists: for each supported operator its vectors, its code, its runtime
//! operator and a lowering that uses it; and the layout of the file's structs is the same in `model.fbs`, in
//! the generated code and in the device's reader. Each test names everything that is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ferrolite::{emit, import};
use ferrolite_runtime::ops;
use ferrolite_schema::{DType, OpCode, Rounding, Storage, Target, generated};

/// Operators of the TFLite schema, and the codes that the device runs for them, by the converter's files.
fn operators() -> impl Iterator<Item = (&'static str, &'static [OpCode])> {
    ferrolite::ops::LIST.iter().flat_map(|(_, operators)| operators.iter().copied())
}

/// Operators of the device that no operator of TensorFlow Lite becomes; `state.rs`, `recurrent.rs`, `variables.rs` and the
/// converter's `sklearn.rs` test them.
const NOT_IMPORTED: &[OpCode] = &[
    OpCode::DelayLine,
    OpCode::Gru,
    OpCode::Rnn,
    OpCode::Assign,
    OpCode::LstmCurves,
    OpCode::GruCurves,
    OpCode::TreeEnsemble,
    OpCode::LinearFeatures,
];

/// Folders of vectors that belong to no operator.
const OTHER_FOLDERS: &[&str] = &["bad", "graphs", "uint8", "variables", "generator", "__pycache__"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace").into()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("can be read").path()).collect();
    paths.sort();
    paths
}

fn report(missing: &[String]) {
    assert!(missing.is_empty(), "{} missing:\n{}", missing.len(), missing.join("\n"));
}

/// Codes of all ops that the models of a folder are lowered to.
fn codes_in(folder: &Path) -> BTreeSet<OpCode> {
    let models = entries(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "tflite"));
    let mut options = vec![emit::Options::default()];
    options.push(emit::Options {
        target: Target::CortexM4,
        winograd: emit::Winograd::Always,
        ..emit::Options::default()
    });
    let files = models.flat_map(|model| {
        let graph = import::load(&model).ok().map(|imported| imported.graph);
        let compile = |options| emit::compile(graph.as_ref()?, options).ok();
        options.iter().filter_map(compile).flat_map(|file| file.op_codes).collect::<Vec<_>>()
    });
    files.collect()
}

#[test]
fn every_operator_has_vectors_a_lowering_and_a_runtime_operator() {
    let vectors = root().join("tests/vectors");
    let mut missing = Vec::new();
    // What TensorFlow 1's operators become besides.
    let uint8 = codes_in(&vectors.join("uint8"));
    for (name, codes) in operators() {
        let folder = vectors.join(name.to_lowercase());
        let answers = entries(&folder).iter().filter(|p| p.extension().is_some_and(|e| e == "npz")).count();
        if answers == 0 {
            missing.push(format!("{name}: no vectors in {}", folder.display()));
        }
        let mut found = codes_in(&folder);
        found.extend(&uint8);
        for code in codes.iter().filter(|code| !found.contains(code)) {
            missing.push(format!("{name}: no vector is lowered to {}", code.name()));
        }
    }
    for folder in entries(&vectors).iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().expect("an entry has a name").to_string_lossy().to_string();
        let known = operators().any(|(operator, _)| operator.to_lowercase() == name);
        if !known && !OTHER_FOLDERS.contains(&name.as_str()) {
            missing
                .push(format!("the operator of the vectors in `{name}`, in a file of the converter's list"));
        }
    }
    report(&missing);
}

#[test]
fn every_code_has_a_runtime_operator_and_an_origin() {
    let mut missing = Vec::new();
    for &code in OpCode::ALL {
        match ops::ALL.iter().filter(|operator| operator.code == code as u16).count() {
            1 => {}
            0 => missing.push(format!("{}: not in ops::ALL", code.name())),
            count => missing.push(format!("{}: {count} times in ops::ALL", code.name())),
        }
        if !operators().any(|(_, codes)| codes.contains(&code)) && !NOT_IMPORTED.contains(&code) {
            missing.push(format!("{}: no operator becomes it", code.name()));
        }
    }
    report(&missing);
}

#[test]
fn enumerations_have_the_numbers_of_the_schema() {
    let mut missing = Vec::new();
    let mut compare = |kind: &str, number: u32, ours: String, schema: Option<&'static str>| {
        if schema != Some(&ours) {
            missing.push(format!("{kind} {number} is {ours} in Rust and {schema:?} in model.fbs"));
        }
    };
    for &code in OpCode::ALL {
        let number = code as u16;
        compare("OpCode", number.into(), format!("{code:?}"), generated::OpCode(number).variant_name());
    }
    for dtype in DType::ALL {
        let number = dtype as u8;
        compare("DType", number.into(), format!("{dtype:?}"), generated::DType(number).variant_name());
    }
    for &rounding in Rounding::ALL {
        let number = rounding as u32;
        compare("Rounding", number, format!("{rounding:?}"), generated::Rounding(number).variant_name());
    }
    for &storage in Storage::ALL {
        let number = storage as u8;
        compare("Storage", number.into(), format!("{storage:?}"), generated::Storage(number).variant_name());
    }
    for (kind, ours, schema) in [
        // The schema's OpCode has `None` for 0, which the reader refuses.
        ("OpCode", OpCode::ALL.len() + 1, generated::OpCode::ENUM_VALUES.len()),
        ("DType", DType::ALL.len(), generated::DType::ENUM_VALUES.len()),
        ("Rounding", Rounding::ALL.len(), generated::Rounding::ENUM_VALUES.len()),
        ("Storage", Storage::ALL.len(), generated::Storage::ENUM_VALUES.len()),
    ] {
        if ours != schema {
            missing.push(format!("{kind} has {ours} members in Rust and {schema} in model.fbs"));
        }
    }
    report(&missing);
}

/// Fields of a struct, in order: name and type, in the schema's terms.
type Fields = Vec<(String, String)>;

/// Structs of `model.fbs`.
fn schema_structs() -> BTreeMap<String, Fields> {
    let text = text("schema/model.fbs");
    let code: String =
        text.lines().map(|line| format!("{}\n", line.split("//").next().unwrap_or(""))).collect();
    let blocks = code.split("struct ").skip(1).filter_map(|block| block.split_once('{'));
    let structs = blocks.map(|(name, rest)| {
        let body = rest.split('}').next().unwrap_or("");
        let fields = body.split(';').filter_map(|field| field.split_once(':'));
        let fields = fields.map(|(name, kind)| (name.trim().to_owned(), schema_type(kind.trim()))).collect();
        (name.trim().to_owned(), fields)
    });
    structs.collect()
}

/// A type without its attributes. Enumerations of the schema are numbers in the records.
fn schema_type(kind: &str) -> String {
    let kind = kind.split(' ').next().unwrap_or_default();
    let numbers = [("DType", "ubyte"), ("Storage", "ubyte"), ("OpCode", "ushort"), ("Rounding", "uint")];
    numbers.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, number)| number).into()
}

/// Public structs of a Rust file, with types in the schema's terms.
fn rust_structs(path: &str) -> BTreeMap<String, Fields> {
    let text = text(path);
    let blocks = text.split("pub struct ").skip(1).filter_map(|block| block.split_once(" {\n"));
    let structs = blocks.map(|(name, rest)| {
        let lines = rest.lines().map(str::trim).take_while(|line| *line != "}");
        let lines = lines.filter_map(|line| line.strip_prefix("pub "));
        let fields = lines.filter_map(|line| line.trim_end_matches(',').split_once(": "));
        (name.to_owned(), fields.map(|(name, kind)| (name.to_owned(), rust_type(kind))).collect())
    });
    structs.collect()
}

fn rust_type(kind: &str) -> String {
    if let Some((element, count)) = kind.trim_matches(['[', ']']).split_once("; ") {
        return format!("[{}:{count}]", rust_type(element));
    }
    let names = [("u32", "uint"), ("i32", "int"), ("f32", "float"), ("u16", "ushort"), ("u8", "ubyte")];
    names.iter().find(|(rust, _)| *rust == kind).map_or(kind, |(_, schema)| schema).to_owned()
}

/// Size of a type. The structs of the file have no gaps.
fn size(structs: &BTreeMap<String, Fields>, kind: &str) -> usize {
    if let Some((element, count)) = kind.trim_matches(['[', ']']).split_once(':') {
        return size(structs, element) * count.parse::<usize>().expect("a count");
    }
    match kind {
        "uint" | "int" | "float" => 4,
        "ushort" => 2,
        "ubyte" => 1,
        _ => structs.get(kind).map_or(0, |fields| fields.iter().map(|(_, kind)| size(structs, kind)).sum()),
    }
}

#[test]
fn structs_have_one_layout_everywhere() {
    let schema = schema_structs();
    let rust = rust_structs("schema/src/layout.rs");
    let generated = text("schema/src/generated.rs");
    let mut missing = Vec::new();
    for (name, fields) in &rust {
        match schema.get(name) {
            Some(found) if found == fields => {}
            Some(found) => missing.push(format!("{name}: {fields:?} in Rust, {found:?} in model.fbs")),
            None => missing.push(format!("{name}: not in model.fbs")),
        }
    }
    for name in schema.keys() {
        // The reader finds the checksum by its position, so it has no struct for it.
        if !rust.contains_key(name) && name != "Checksum" {
            missing.push(format!("{name}: in model.fbs, but not in layout.rs"));
        }
        let bytes = size(&schema, name);
        if !generated.contains(&format!("pub struct {name}(pub [u8; {bytes}]);")) {
            missing.push(format!("{name}: not {bytes} bytes in generated.rs; make it anew from model.fbs"));
        }
    }
    assert!(schema.len() > 20, "model.fbs was read");
    report(&missing);
}
