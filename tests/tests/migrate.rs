//! `ferrolite migrate` on projects of TensorFlow Lite Micro as they are written in the wild: small trees that each test
//! makes. That the new projects build and run is tested in `projects.rs`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::root;
use ferrolite::Error;
use ferrolite::migrate::{Migrated, Migration, Request, migrate};
use ferrolite::project::{self, Language};

/// Files of a project, and the request to migrate it.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &[u8])]) -> Tree {
        let home = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = home.path().join("old").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Tree(home)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn migrate(&self, path: &str, output: Option<&str>, language: Language) -> Result<Migration, Error> {
        let (path, output) = (self.at(path), output.map(|name| self.at(name)));
        let request = Request {
            path: &path,
            output: output.as_deref(),
            kit: project::kit("qemu-cortex-m4").unwrap(),
            language,
            calibrate: None,
            runtime: None,
            strict: false,
        };
        migrate(&request, &())
    }

    fn looked_at(&self) -> Migration {
        self.migrate("old", None, Language::Rust).unwrap()
    }
}

fn model(name: &str) -> Vec<u8> {
    fs::read(root().join("tests").join(name)).unwrap()
}

fn sine() -> Vec<u8> {
    model("models/sine/sine_int8_tf.tflite")
}

/// An array as `xxd -i` writes it.
fn xxd(name: &str, bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes
        .chunks(12)
        .map(|line| line.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(", "))
        .collect();
    format!(
        "unsigned char {name}[] = {{\n  {}\n}};\nunsigned int {name}_len = {};\n",
        lines.join(",\n  "),
        bytes.len()
    )
}

const MAIN: &str = r#"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "model.h"
namespace {
// One op too many, and none too few: tflite::AllOpsResolver would be larger.
using Resolver = tflite::MicroMutableOpResolver<2>;
constexpr int kTensorArenaSize = 3 * 1024;
alignas(16) uint8_t tensor_arena[kTensorArenaSize];
}
void setup() {
  const tflite::Model* model = ::tflite::GetModel(g_sine_model_data);
  if (model->version() != TFLITE_SCHEMA_VERSION) { MicroPrintf("schema %d", 1); }
  static tflite::MicroMutableOpResolver<2> resolver;
  resolver.AddFullyConnected(tflite::Register_FULLY_CONNECTED_INT8());
  resolver.AddSoftmax();
  static tflite::MicroInterpreter static_interpreter(model, resolver, tensor_arena, kTensorArenaSize);
  static_interpreter.AllocateTensors();
}
"#;

fn only(migration: &Migration) -> &Migrated {
    assert_eq!(migration.models.len(), 1, "{:?}", migration.models);
    &migration.models[0]
}

#[test]
fn a_project_is_read_and_its_differences_are_told() {
    let data = xxd("g_sine_model_data", &sine()).replace("unsigned char", "alignas(16) const unsigned char");
    let tree = Tree::new(&[
        ("src/model.h", b"#pragma once\nextern const unsigned char g_sine_model_data[];\n"),
        ("src/model.cc", data.as_bytes()),
        ("src/main.cc", MAIN.as_bytes()),
        ("float.tflite", &model("models/mnist_cnn/mnist_cnn_float.tflite")),
        ("lib/tensorflow/other.cc", xxd("g_other", &sine()).as_bytes()),
    ]);
    let migration = tree.looked_at();
    let found = only(&migration);
    assert_eq!(found.name, "sine");
    assert_eq!(found.sources, ["src/model.cc:1 g_sine_model_data"]);
    assert_eq!(found.operators, [("FULLY_CONNECTED".to_string(), 3)]);
    assert_eq!(found.linked.as_deref(), Some(&["FULLY_CONNECTED".to_string(), "SOFTMAX".to_string()][..]));
    assert_eq!((found.missing.len(), &found.unused[..]), (0, &["SOFTMAX".to_string()][..]));
    assert_eq!((found.arena_asked, found.float), (Some(3072), false));
    let new = found.project.as_ref().unwrap();
    assert!(new.arena_bytes < 3072 && new.inputs[0].dtype == "int8", "{new:?}");
    assert!(migration.warnings.is_empty(), "{:?}", migration.warnings);
    let told = |word: &str| migration.notes.iter().any(|note| note.contains(word));
    assert!(told("lib/tensorflow") && told("float.tflite"), "{:?}", migration.notes);
    for word in ["3,072 bytes there", "SOFTMAX", "model::input0::quantize", "byte for byte", "MicroPrintf"] {
        assert!(migration.report.contains(word), "{word}: {}", migration.report);
    }
    assert!(!tree.at("new").exists());
}

#[test]
fn the_new_project_is_the_one_that_new_writes() {
    let tree = Tree::new(&[("m.h", xxd("sine_tflite", &sine()).as_bytes())]);
    let migration = tree.migrate("old", Some("new"), Language::Rust).unwrap();
    let found = only(&migration);
    assert_eq!((found.linked.as_ref(), found.arena_asked), (None, None));
    let report = fs::read_to_string(tree.at("new/MIGRATION.md")).unwrap();
    assert_eq!(report, migration.report);
    let made = tree.at("made");
    let given = tree.at("sine.tflite");
    fs::write(&given, sine()).unwrap();
    let request = project::Request {
        folder: &made,
        kit: project::kit("qemu-cortex-m4").unwrap(),
        model: &given,
        calibrate: None,
        language: Language::Rust,
        runtime: None,
        strict: false,
    };
    for file in project::create(&request, &()).unwrap().files {
        let both = [&made, &tree.at("new")].map(|folder| fs::read_to_string(folder.join(&file)));
        let [Ok(made), Ok(new)] = both else { continue };
        assert_eq!(made.replace("made", "new"), new.replace("made", "new"), "{}", file.display());
    }
    // A second time, it is in the way.
    let error = tree.migrate("old", Some("new"), Language::Rust).unwrap_err();
    assert!(error.message.contains("something already"), "{error}");
}

#[test]
fn several_models_have_a_project_each() {
    let (a, b) = (sine(), model("vectors/variables/before_and_after.tflite"));
    let arrays = format!("{}{}{}", xxd("g_a_model", &a), xxd("copy_of_a", &a), xxd("b_tflite", &b));
    let tree = Tree::new(&[
        ("models.c", arrays.as_bytes()),
        ("b.tflite", &b),
        ("main.cc", b"tflite::AllOpsResolver r; void f() { tflite::GetModel(g_a_model); tflite::GetModel(b_tflite); }"),
    ]);
    let migration = tree.migrate("old", Some("both"), Language::C).unwrap();
    let names: Vec<&str> = migration.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(migration.models[1].sources.len(), 2, "{:?}", migration.models[1].sources);
    assert_eq!(migration.models[0].linked.as_deref(), Some(&["*".to_string()][..]));
    assert!(migration.models[1].project.as_ref().unwrap().state_bytes > 0);
    for file in ["MIGRATION.md", "a/main.c", "a/model.h", "b/Makefile", "b/model.ferro"] {
        assert!(tree.at("both").join(file).is_file(), "{file}");
    }
    assert!(migration.report.contains("model_run(&net, &input0, &output0"), "{}", migration.report);
}

#[test]
fn a_wake_word_brings_its_decision() {
    let manifest = br#"{"type": "micro", "wake_word": "hey you", "model": "word.tflite", "version": 2, "micro":
        {"probability_cutoff": 0.97, "sliding_window_size": 5, "feature_step_size": 10, "tensor_arena_size": 26080}}"#;
    let word = model("vectors/variables/before_and_after.tflite");
    let tree = Tree::new(&[("word.json", manifest), ("word.tflite", &word), ("package.json", b"{}")]);
    for path in ["old", "old/word.json"] {
        let migration = tree.migrate(path, None, Language::Rust).unwrap();
        let found = only(&migration);
        assert_eq!((found.name.as_str(), found.arena_asked), ("word", Some(26080)));
        // 0.97 * 255 * 5 = 1236.75
        assert!(migration.report.contains("> 1236"), "{}", migration.report);
        assert_eq!(migration.wake_words[0].sliding_window_size, Some(5));
    }
    let far = manifest.to_vec();
    let far = String::from_utf8(far).unwrap().replace("word.tflite", "https://example.org/word.tflite");
    let error = Tree::new(&[("a.json", far.as_bytes())]).migrate("old", None, Language::C).unwrap_err();
    assert!(error.message.contains("download it"), "{error}");
}

/// What is never compiled is not the program's, and a program may know its model by other names.
#[test]
fn programs_are_read_as_they_are_compiled() {
    let other = model("vectors/relu/usual.tflite");
    let arrays = format!("{}{}", xxd("g_sine_model_data", &sine()), xxd("g_other", &other));
    let dead = format!(
        "#if 0\n{}constexpr int kTensorArenaSize = 99 * 1024;\n#endif\n",
        MAIN.replace("g_sine", "g_other")
    );
    let alias = MAIN.replace("GetModel(g_sine_model_data)", "GetModel(MODEL_DATA)");
    let pointer = MAIN
        .replace("const tflite::Model*", "const uint8_t* data = &g_sine_model_data[0]; const tflite::Model*");
    let pointer = pointer.replace("GetModel(g_sine_model_data)", "GetModel(data)");
    for main in [
        format!("{dead}{MAIN}"),
        format!("#define MODEL_DATA g_sine_model_data\n{alias}"),
        pointer,
        MAIN.replace('\n', "\r"),
    ] {
        let utf16: Vec<u8> =
            "\u{feff}".encode_utf16().chain(arrays.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for arrays in [arrays.clone().into_bytes(), utf16] {
            let tree = Tree::new(&[("main.cc", main.as_bytes()), ("model.h", &arrays)]);
            let migration = tree.looked_at();
            let found = only(&migration);
            assert_eq!((found.name.as_str(), found.arena_asked), ("sine", Some(3072)), "{main}");
            assert_eq!(found.unused, ["SOFTMAX"]);
            assert!(migration.warnings.is_empty(), "{:?}", migration.warnings);
        }
    }
}

/// A string of C, and an array of casts.
#[test]
fn arrays_are_read_however_they_list_their_bytes() {
    let hex = |before: &str, between: &str| {
        sine().iter().map(|byte| format!("{before}{byte:02x}")).collect::<Vec<_>>().join(between)
    };
    for text in [
        format!("const char g_sine[] = \"{}\";", hex("\\x", "\" \"")),
        format!("const uint8_t g_sine[] = {{ {} }};", hex("(uint8_t)0x", ", ")),
    ] {
        let tree = Tree::new(&[("m.c", text.as_bytes())]);
        let migration = tree.looked_at();
        assert_eq!(only(&migration).tflite_bytes, sine().len());
    }
}

#[test]
fn manifests_name_models_only() {
    let manifest = |model: &str| format!(r#"{{"wake_word": "x", "model": "{model}", "micro": {{}}}}"#);
    for (model, why) in
        [("/dev/zero", "not a regular file"), ("a.json", "`a.json` is no .tflite file"), ("b", "`b`: ")]
    {
        let tree = Tree::new(&[("a.json", manifest(model).as_bytes())]);
        let error = tree.migrate("old", None, Language::Rust).unwrap_err();
        // Only Unix has devices among its files.
        assert!(error.message.contains(why) || cfg!(not(unix)), "{error}");
    }
}

#[test]
fn a_folder_in_none_is_refused() {
    let tree = Tree::new(&[("m.h", xxd("sine_tflite", &sine()).as_bytes())]);
    let error = tree.migrate("old", Some("a/b/new"), Language::Rust).unwrap_err();
    assert!(
        error.message.contains("a/b/new: cannot be written") && !error.message.contains(".ferrolite-"),
        "{error}"
    );
    assert!(!tree.at("a").exists());
}

#[test]
fn what_does_not_convert_is_left_out_or_refused() {
    let float = model("models/mnist_cnn/mnist_cnn_float.tflite");
    let two = format!("{}{}", xxd("g_float", &float), xxd("g_int", &sine()));
    let tree = Tree::new(&[("m.cc", two.as_bytes())]);
    let migration = tree.migrate("old", Some("new"), Language::Rust).unwrap();
    let refused = &migration.models[0];
    assert!(refused.project.is_none() && refused.float);
    assert!(refused.refused.as_ref().unwrap().contains("m.cc:1 g_float"), "{:?}", refused.refused);
    assert!(migration.warnings[0].contains("float was left out"), "{:?}", migration.warnings);
    assert!(tree.at("new/int/src/main.rs").is_file() && !tree.at("new/float").exists());

    let error =
        Tree::new(&[("m.cc", xxd("g_float", &float).as_bytes())]).migrate("old", Some("new"), Language::Rust);
    assert!(error.unwrap_err().message.contains("g_float"));
    let error =
        Tree::new(&[("eon/tflite-model/net_compiled.cpp", b"int x;")]).migrate("old", None, Language::Rust);
    let error = error.unwrap_err();
    assert!(error.message.contains("no model") && error.help.contains("EON"), "{error}");
}

/// Sources with parts cut out, doubled and exchanged: each is migrated or refused with a sentence.
#[test]
fn odd_sources_never_stop_the_program() {
    let model = model("vectors/relu/usual.tflite");
    let whole = format!("{MAIN}{}", xxd("g_sine_model_data", &model));
    let mut state = 7u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let tree = Tree::new(&[]);
    fs::create_dir_all(tree.at("old")).unwrap();
    for _ in 0..60 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=below(3) {
            let (from, length) = (below(bytes.len()), below(200));
            let to = (from + length).min(bytes.len());
            let part: Vec<u8> = bytes.drain(from..to).collect();
            if below(2) == 0 {
                let at = below(bytes.len().max(1));
                bytes.splice(at..at, part);
            }
        }
        fs::write(tree.at("old/m.cc"), &bytes).unwrap();
        if let Err(error) = tree.migrate("old", None, Language::Rust) {
            assert!(error.exit_code() == 1 && !error.message.is_empty(), "{error}");
        }
    }
}

#[test]
fn shared_models_migrate_as_arrays() {
    let Some(folder) = ferrolite_shared::models() else { return };
    for name in ["okay_nabu", "micro_speech_quantized", "person_detect"] {
        let bytes = fs::read(Path::new(&folder).join("real").join(format!("{name}.tflite"))).unwrap();
        let tree = Tree::new(&[("m.cc", xxd(&format!("g_{name}_model_data"), &bytes).as_bytes())]);
        let migration = tree.looked_at();
        let found = only(&migration);
        assert_eq!((found.name.as_str(), found.tflite_bytes), (name, bytes.len()));
        assert!(found.project.is_some() && !found.float, "{name}");
    }
}
