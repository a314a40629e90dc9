//! Tests of the built command, used as a person or a script would: exit codes, one line of error and one of
//! help, JSON on stdout and nothing else there, and no file left behind by a command that failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ferrolite::data::npz::{NamedArray, Npz, write};
use ferrolite::graph::DType;
use serde_json::Value;

/// A folder for one test, in which the command runs.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolite"));
        command.current_dir(self.0.path()).args(words.split_whitespace());
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its stdout.
    fn good(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must succeed and print one JSON object.
    fn json(&self, words: &str) -> Value {
        let value: Value = serde_json::from_str(&self.good(words)).unwrap();
        assert!(value.is_object(), "{words}: {value}");
        value
    }

    /// Checks that a command fails as it should, and changes nothing in the folder.
    fn bad(&self, words: &str, code: i32, message: &str) {
        let before = self.files();
        let output = self.run(words);
        check_refusal(words, &output, code, message);
        assert_eq!(self.files(), before, "{words}: files were left behind");
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        files
    }

    fn npz(&self, name: &str, array: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let array = NamedArray { name: array.into(), dtype: DType::Float32, shape: shape.to_vec(), bytes };
        write(&[array], fs::File::create(self.path(name)).unwrap()).unwrap();
    }

    /// Copies a model of the repository into the folder.
    fn take(&self, model: &str, name: &str) {
        fs::copy(repository().join("tests/models").join(model), self.path(name)).unwrap();
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn check_refusal(words: &str, output: &Output, code: i32, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(output.status.code(), Some(code), "{words}: {stderr}");
    assert_eq!(lines.len(), 2, "{words}: {stderr}");
    assert!(lines[0].starts_with("error: ") && lines[0].contains(message), "{words}: {stderr}");
    assert!(lines[1].starts_with("help: ") && lines[1].len() > 10, "{words}: {stderr}");
    assert!(output.stdout.is_empty(), "{words}: {}", String::from_utf8_lossy(&output.stdout));
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn bad_models_are_refused_in_two_lines() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_int8_tf.tflite", "good.tflite");
    let good = fs::read(desk.path("good.tflite")).unwrap();
    fs::write(desk.path("empty.tflite"), "").unwrap();
    fs::write(desk.path("text.tflite"), "this is no model\n").unwrap();
    fs::write(desk.path("short.tflite"), &good[..good.len() / 2]).unwrap();
    fs::write(desk.path("empty.ferro"), "").unwrap();
    fs::write(desk.path("text.ferro"), "this is no model either, but it is longer than a header\n").unwrap();
    desk.bad("convert empty.tflite -o out.ferro", 1, "empty.tflite: the file is empty");
    desk.bad("convert text.tflite -o out.ferro", 1, "text.tflite");
    desk.bad("convert short.tflite -o out.ferro --rust out.rs --json", 1, "short.tflite");
    desk.bad("convert absent.tflite -o out.ferro", 1, "absent.tflite");
    desk.bad("convert good.tflite -o absent/out.ferro", 1, "absent/out.ferro: cannot be written");
    desk.bad("convert good.tflite -o .", 1, "is a folder");
    desk.bad("convert good.tflite -o out --rust out", 2, "two outputs");
    desk.bad("convert good.tflite -o out.ferro --flash-budget 1K", 3, "the flash budget is 1024");
    desk.bad("convert good.tflite -o out.ferro --ram-budget 1000 --json", 3, "the RAM budget is 1000");
    desk.bad("inspect text.tflite", 1, "text.tflite");
    desk.bad("inspect short.tflite --json", 1, "short.tflite");
    for command in ["inspect", "bench", "run --input x.npz"] {
        desk.bad(&format!("{command} empty.ferro"), 1, "empty.ferro: the file is empty");
        desk.bad(&format!("{command} text.ferro"), 1, "text.ferro");
    }
    for command in ["bench", "run --input x.npz"] {
        desk.bad(&format!("{command} good.tflite --json"), 1, "good.tflite: this is not a Ferrolite model");
    }
}

#[test]
fn layers_without_an_operator_are_all_named() {
    let Some(path) = ferrolite_shared::found("models/real/audio_preprocessor_int8.tflite") else { return };
    let desk = Desk::new();
    let words = format!("convert {} -o out.ferro", path.display());
    desk.bad(&words, 1, "SignalWindow");
    desk.bad(&words, 1, "SignalPCAN");
    // `inspect` says which layers prevent the conversion.
    let facts = desk.json(&format!("inspect {} --json", path.display()));
    let unsupported = facts["unsupported"].as_array().unwrap();
    assert!(unsupported.len() > 10, "{unsupported:?}");
    assert!(unsupported.iter().all(|layer| layer["reason"].as_str().is_some_and(|why| !why.is_empty())));
    assert!(desk.good(&format!("inspect {}", path.display())).contains("SignalPCAN"));
}

#[test]
fn trained_models_are_looked_at_with_the_same_keys() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_float.tflite", "float.tflite");
    desk.take("mnist_cnn/mnist_cnn_int8_tf.tflite", "int8.tflite");
    desk.good("convert int8.tflite -o int8.ferro");
    let finished = desk.json("inspect int8.ferro --json");
    for (model, dtype) in [("float.tflite", "float32"), ("int8.tflite", "int8")] {
        let facts = desk.json(&format!("inspect {model} --json"));
        assert_eq!(keys(&facts), keys(&finished), "{model}");
        assert_eq!(keys(&facts["ops"][0]), keys(&finished["ops"][0]), "{model}");
        assert!(facts["arena_bytes"].is_null() && facts["target"].is_null(), "{facts}");
        assert_eq!((&facts["macs"], &facts["inputs"][0]["dtype"]), (&finished["macs"], &dtype.into()));
        assert_eq!(facts["parameters"], 20_042, "{facts}");
        assert_eq!(facts["unsupported"], Value::Array(Vec::new()), "{facts}");
        assert_eq!(facts["model_bytes"], fs::metadata(desk.path(model)).unwrap().len());
    }
    let bytes: u64 =
        finished["ops"].as_array().unwrap().iter().map(|op| op["constant_bytes"].as_u64().unwrap()).sum();
    assert_eq!(bytes, finished["weight_bytes"].as_u64().unwrap());
    assert!(desk.good("inspect float.tflite").contains("all layers can be converted"));
}

#[test]
fn files_of_other_versions_are_refused() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.good("convert sine.tflite -o sine.ferro");
    let mut bytes = fs::read(desk.path("sine.ferro")).unwrap();
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    // FlatBuffers: the root table begins with the distance back to its vtable, whose third entry is
    // the place of the first field, `format_version`.
    let root = word(&bytes, 0) as usize;
    let vtable = root.wrapping_add_signed(-(word(&bytes, root) as i32) as isize);
    let field = root + usize::from(u16::from_le_bytes([bytes[vtable + 4], bytes[vtable + 5]]));
    assert_eq!(word(&bytes, field), 2);
    bytes[field] = 1;
    fs::write(desk.path("past.ferro"), &bytes).unwrap();
    desk.bad(
        "inspect past.ferro",
        1,
        "past.ferro: format version 1; this build reads version 2: make the file anew",
    );
    bytes[field] = 9;
    fs::write(desk.path("future.ferro"), &bytes).unwrap();
    desk.bad("inspect future.ferro", 1, "future.ferro: format version 9");
    bytes[field] = 2;
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(desk.path("damaged.ferro"), &bytes).unwrap();
    desk.bad("inspect damaged.ferro", 1, "damaged.ferro: the checksum");
}

/// `--memory` divides the arena; what does not fit is a budget that is exceeded.
#[test]
fn an_arena_is_divided_among_memories() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_int8_tf.tflite", "m.tflite");
    let whole = desk.json("convert m.tflite -o one.ferro --json")["arena_bytes"].as_u64().unwrap();
    let words = "convert m.tflite -o two.ferro --memory dtcm=4K --memory sram=1M --rust m.rs";
    assert!(desk.good(words).contains("dtcm"));
    let facts = desk.json("inspect two.ferro --json");
    let memories = facts["memories"].as_array().unwrap();
    assert_eq!((&memories[0]["name"], &memories[0]["bytes"]), (&"dtcm".into(), &4096.into()));
    let used: Vec<u64> = memories.iter().map(|memory| memory["used"].as_u64().unwrap()).collect();
    assert!(used.len() == 2 && used[0] <= 4096 && used[0] > 2048 && used[1] < whole, "{used:?} of {whole}");
    assert_eq!(used.iter().sum::<u64>(), facts["arena_bytes"].as_u64().unwrap());
    assert!(desk.good("inspect two.ferro").contains("dtcm: "));
    let module = fs::read_to_string(desk.path("m.rs")).unwrap();
    assert!(module.contains("pub const MEMORIES: [usize; 2]") && module.contains("dtcm, sram"), "{module}");
    assert!(desk.json("inspect one.ferro --json")["memories"].as_array().unwrap().is_empty());
    desk.bad("convert m.tflite -o three.ferro --memory a=64 --memory b=1K", 3, "`b` would have to have");
    for memory in ["a", "a=", "=64", "a=big", "a=8", "a b=64"] {
        let output = desk.command("convert m.tflite -o four.ferro --memory").arg(memory).output().unwrap();
        check_refusal(memory, &output, 2, "--memory");
    }
    desk.bad("convert m.tflite -o m2.tflite --memory a=1M", 2, "--memory does not apply to a .tflite file");
    let five = "convert m.tflite -o five.ferro --memory a=64 --memory b=64 --memory c=64 --memory d=64 --memory e=1M";
    desk.bad(five, 2, "up to 4 memories");
}

/// A file with an operator of the user's own can be looked at; what would run it names the layer, the operator and the way.
#[test]
fn operators_of_ones_own_are_described_and_not_run() {
    let desk = Desk::new();
    let firmware = repository().join("boards/apps/contrast/model");
    fs::copy(firmware.join("contrast.ferro"), desk.path("contrast.ferro")).unwrap();
    desk.npz("in.npz", "in0", &[1, 4, 32], &[0.5; 128]);
    let facts = desk.json("inspect contrast.ferro --json");
    assert_eq!(
        (&facts["ops"][0]["op"], &facts["ops"][0]["name"]),
        (&"example.Contrast".into(), &"contrast".into())
    );
    assert!(desk.good("inspect contrast.ferro").contains("example.Contrast"));
    for words in [
        "run contrast.ferro --input in.npz",
        "run contrast.ferro --input in.npz --on qemu-cortex-m3",
        "bench contrast.ferro",
        "bench contrast.ferro --on qemu-cortex-m3",
    ] {
        let output = desk.run(words);
        check_refusal(words, &output, 1, "layer `contrast` (example.Contrast): it is a custom operator");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("converter/examples/custom_operator"),
            "{words}"
        );
    }
}

#[test]
fn bad_data_is_refused_in_two_lines() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_float.tflite", "float.tflite");
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.good("convert sine.tflite -o sine.ferro");
    desk.npz("wrong.npz", "x", &[4, 10], &[0.0; 40]);
    desk.npz("nan.npz", "in0", &[2, 1], &[0.0, f32::NAN]);
    desk.npz("nan_image.npz", "in0", &[1, 28, 28], &[f32::NAN; 784]);
    desk.bad("convert float.tflite -o out.ferro", 1, "a float model");
    desk.bad("convert float.tflite -o out.ferro --calibrate wrong.npz:x", 1, "4 samples of shape 10");
    desk.bad("convert float.tflite -o out.ferro --calibrate nan_image.npz", 1, "sample 0 holds NaN");
    desk.bad("convert float.tflite -o out.ferro --calibrate absent.npz", 1, "absent.npz");
    desk.bad("run sine.ferro --input wrong.npz --output out.npz", 1, "no array for input");
    desk.bad("run sine.ferro --input nan.npz --output out.npz --json", 1, "sample 1 holds NaN");
    desk.bad("compare sine.ferro sine.tflite --data nan.npz --report out.html", 1, "sample 1 holds NaN");
    desk.bad("compare sine.ferro sine.tflite --data wrong.npz:x --labels y", 1, "wrong.npz");
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.good("convert sine.tflite -o sine.ferro --rust sine.rs --c sine.h --report sine.html");
    // Ferrolite wrote these files, too, but the commands read them.
    desk.npz("in.npz", "in0", &[2, 1], &[0.5, 1.0]);
    desk.npz("y.npz", "y", &[2, 1], &[0.5, 1.0]);
    fs::hard_link(desk.path("in.npz"), desk.path("twin.npz")).unwrap();
    let contents = || desk.files().iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    let before = contents();
    let home = desk.0.path().display();
    for words in [
        "convert sine.tflite -o sine.tflite".to_string(),
        "convert sine.tflite -o ./sine.tflite --force".into(),
        "convert sine.tflite -o other.ferro --c sine.tflite".into(),
        "run sine.ferro --input in.npz --output in.npz".into(),
        format!("run sine.ferro --input in.npz:in0 --output {home}/in.npz --force"),
        "run sine.ferro --input in.npz --output twin.npz".into(),
        "run sine.ferro --input in.npz --output out.npz --layers ./sine.ferro".into(),
        "compare sine.ferro sine.tflite --data in.npz --report sine.ferro".into(),
        "compare sine.ferro sine.tflite --data in.npz --report sine.tflite --force".into(),
        "compare sine.ferro sine.tflite --data in.npz --labels y.npz:y --report y.npz".into(),
    ] {
        desk.bad(&words, 2, "is read by the same command");
    }
    desk.bad(&format!("convert sine.tflite -o k.ferro --rust {home}/k.ferro"), 2, "two outputs");
    assert_eq!(contents(), before);

    // A file that Ferrolite wrote and does not read is replaced; a file that others wrote is not.
    desk.good("convert sine.tflite -o sine.ferro --rust sine.rs --c sine.h --report sine.html");
    desk.good("convert sine.tflite -o copy.tflite");
    desk.good("convert sine.tflite -o copy.tflite");
    // The data of a header are a file beside it.
    assert!(fs::read_to_string(desk.path("sine.c")).unwrap().contains("#include \"sine.h\""));
    desk.good("convert sine.tflite -o sine.ferro --c /dev/null");
    desk.bad("convert sine.tflite -o sine.ferro --c sine.c", 2, "the name of the data's file");
    fs::write(desk.path("mine.c"), "int main(void) { return 0; }").unwrap();
    desk.bad("convert sine.tflite -o sine.ferro --c mine.h", 1, "Ferrolite did not write it");
    fs::write(desk.path("mine.npz"), "years of work").unwrap();
    fs::write(desk.path("empty.npz"), "").unwrap();
    let run = |output: &str| format!("run sine.ferro --input in.npz --output {output}");
    desk.bad(&run("mine.npz"), 1, "Ferrolite did not write it");
    assert_eq!(fs::read(desk.path("mine.npz")).unwrap(), b"years of work");
    desk.good(&run("empty.npz"));
    desk.good(&run("mine.npz --force"));
    desk.good(&run("mine.npz"));
    desk.bad(&run(". --force"), 1, "is a folder");
}

#[test]
fn samples_on_another_scale_are_warned_of() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_float.tflite", "digits.tflite");
    desk.take("mnist_cnn/data.npz", "data.npz");
    desk.good("convert digits.tflite -o digits.ferro --calibrate data.npz:cal_x --io float");
    let data = Npz::open(&desk.path("data.npz")).unwrap().read("test_x").unwrap();
    let rows: Vec<f32> = (0..20).flat_map(|row| data.row_f32(row)).collect();
    desk.npz("unit.npz", "x", &[20, 28, 28, 1], &rows);
    desk.npz("bytes.npz", "x", &[20, 28, 28, 1], &rows.iter().map(|x| x * 255.0).collect::<Vec<_>>());
    for command in ["run digits.ferro --input", "compare digits.ferro digits.tflite --data"] {
        let sound = desk.json(&format!("{command} unit.npz --json --strict"));
        assert_eq!(sound["warnings"], Value::Array(Vec::new()), "{command}");
        let warned = desk.json(&format!("{command} bytes.npz --json"));
        let warning = warned["warnings"].to_string();
        assert!(warning.contains("lie outside of the range") && warning.contains("255"), "{warning}");
        let text = desk.good(&format!("{command} bytes.npz"));
        assert!(text.lines().any(|line| line.starts_with("warning: ") && line.contains("outside")), "{text}");
    }
    desk.bad("run digits.ferro --input bytes.npz --strict --output out.npz", 1, "outside");
    desk.bad("run digits.ferro --input unit.npz --scale 0..1", 2, "--scale 0..1 says how pictures");
    let text = desk.good("run digits.ferro --input unit.npz");
    assert!(text.contains("float32, stored as they are"), "{text}");
}

#[test]
fn each_output_has_its_own_figures() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_float.tflite", "digits.tflite");
    desk.take("mnist_cnn/mnist_cnn_int8_tf.tflite", "theirs.tflite");
    desk.take("mnist_cnn/data.npz", "data.npz");
    desk.good("convert theirs.tflite -o theirs.ferro");
    let result = desk.json("compare theirs.ferro digits.tflite --data data.npz:test_x --json");
    let output = &result["outputs"][0];
    for key in ["sqnr_db", "max_abs_error", "agreement"] {
        assert!(output[key].is_number() && output[key] == result[key], "{key}: {result}");
    }
    assert!(output["name"].is_string() && output["accuracy_float"].is_null(), "{result}");
    let notes = result["notes"].to_string();
    assert!(notes.contains("digits.tflite is not the file that theirs.ferro was made from"), "{notes}");
    let own = desk.json("compare theirs.ferro theirs.tflite --data data.npz:test_x --json");
    assert!(!own["notes"].to_string().contains("is not the file"), "{own}");
}

#[test]
fn pictures_in_folders_of_classes_need_no_labels() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_float.tflite", "digits.tflite");
    desk.take("mnist_cnn/data.npz", "data.npz");
    let mut data = Npz::open(&desk.path("data.npz")).unwrap();
    let (images, labels) = (data.read("test_x").unwrap(), data.read("test_y").unwrap());
    for class in 0..10 {
        fs::create_dir_all(desk.path(&format!("pictures/{class}"))).unwrap();
    }
    for row in 0..40 {
        let pixels = images.row_f32(row).iter().map(|x| (x * 255.0).round() as u8).collect();
        let path = desk.path(&format!("pictures/{}/{row:03}.png", labels.row_i64(row).unwrap()[0]));
        image::GrayImage::from_raw(28, 28, pixels).unwrap().save(path).unwrap();
    }
    let words = "convert digits.tflite -o digits.ferro --calibrate pictures";
    assert!(desk.good(words).contains("pixels become 0..1"));
    let words = "compare digits.ferro digits.tflite --data pictures";
    let found = desk.json(&format!("{words} --json"));
    assert!(found["accuracy_quantized"].as_f64().unwrap() > 0.9, "{found}");
    assert_eq!(
        desk.json(&format!("{words} --labels pictures --json"))["accuracy_quantized"],
        found["accuracy_quantized"]
    );
    let wrong = desk.json(&format!("{words} --scale -1..1 --json"));
    assert!(wrong["warnings"].to_string().contains("outside"), "{wrong}");
    desk.bad("run digits.ferro --input pictures --output pictures/3", 1, "is a folder");
}

/// Each layer's path, why it is not the fastest, and what that costs: from a finished file alone, for its target or for
/// the core that runs it.
#[test]
fn layers_say_which_path_they_take() {
    let desk = Desk::new();
    desk.take("fashion_dsres/fashion_dsres_int8_tf.tflite", "m.tflite");
    let converted = desk.json("convert m.tflite -o m.ferro --target cortex-m4 --json");
    let facts = desk.json("inspect m.ferro --json");
    let keys = |value: &Value| {
        let ops = value["ops"].as_array().or(value["layers"].as_array()).unwrap();
        ops.iter().map(|op| (op["path"].clone(), op["slow_because"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(keys(&converted), keys(&facts));
    let (paths, reasons): (Vec<Value>, Vec<Value>) = keys(&facts).into_iter().unzip();
    assert!(paths.iter().all(Value::is_string) && paths.contains(&"packed".into()), "{paths:?}");
    assert!(reasons.contains(&Value::Null), "{reasons:?}");
    let here = desk.json("bench m.ferro --json");
    let foreign = "weights are packed for cortex-m4, not for this core";
    assert!(keys(&here).contains(&("foreign".into(), foreign.into())), "{here}");
    let text = desk.good("bench m.ferro");
    assert_eq!(text.matches(foreign).count(), 1, "{text}");
    // Of a model that is no file yet, nothing is known.
    assert!(keys(&desk.json("inspect m.tflite --json")).iter().all(|(path, _)| path.is_null()));
}

#[test]
fn flash_and_ram_in_all() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    let text = desk.good("convert sine.tflite -o sine.ferro --report sine.html");
    assert!(text.contains("the runtime's code: not known without a board"), "{text}");
    let facts = desk.json("convert sine.tflite -o sine.ferro --json");
    assert!(facts["total_flash_bytes"].is_null() && facts["warnings"].is_array(), "{facts}");
    let (model, arena) = (facts["model_bytes"].as_u64().unwrap(), facts["arena_bytes"].as_u64().unwrap());
    let bench = |model: u64| {
        let facts = serde_json::json!({
            "board": "qemu-cortex-m4", "runtime_flash_bytes": 5000, "stack_bytes": 300,
            "model_bytes": model, "arena_bytes": arena,
        });
        fs::write(desk.path("bench.json"), facts.to_string()).unwrap();
    };
    bench(model);
    let facts = desk.json("convert sine.tflite -o sine.ferro --bench bench.json --json");
    assert_eq!(facts["total_flash_bytes"], model + 5000);
    assert_eq!(facts["total_ram_bytes"], arena + 300);
    desk.good("convert sine.tflite -o sine.ferro --bench bench.json --report sine.html");
    assert!(fs::read_to_string(desk.path("sine.html")).unwrap().contains("Flash in all"));
    desk.bad("convert sine.tflite -o sine.ferro --bench bench.json --report bench.json", 2, "is read by");
    bench(model + 1);
    desk.bad("convert sine.tflite -o sine.ferro --bench bench.json", 1, "measures a model of");
    desk.bad("convert sine.tflite -o sine.ferro --bench z80", 2, "no such board");
}

#[test]
fn an_update_is_signed_and_fits_or_does_not() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.take("mnist_cnn/mnist_cnn_int8_tf.tflite", "mnist.tflite");
    desk.good("convert sine.tflite -o sine.ferro");
    desk.good("convert mnist.tflite -o mnist.ferro");
    let key: Vec<u8> = (0..32).collect();
    fs::write(desk.path("key.bin"), &key).unwrap();
    fs::write(desk.path("short.bin"), &key[1..]).unwrap();
    fs::write(desk.path("zero.bin"), [0; 32]).unwrap();
    let signed = desk.json("sign sine.ferro -o sine.update --version 3 --key key.bin --json");
    let bytes = fs::metadata(desk.path("sine.ferro")).unwrap().len();
    assert_eq!((signed["version"].as_u64(), signed["model_bytes"].as_u64()), (Some(3), Some(bytes)));
    assert_eq!(fs::metadata(desk.path("sine.update")).unwrap().len(), 120 + bytes);
    // Ferrolite wrote it, so it may replace it; the key it may not.
    desk.good("sign sine.ferro -o sine.update --version 4 --key key.bin");
    desk.bad("sign sine.ferro -o key.bin --version 4 --key key.bin", 2, "is read by");
    desk.bad("sign sine.ferro -o x.update --version 4 --key short.bin", 1, "a key has 32 bytes");
    desk.bad("sign sine.ferro -o x.update --version 4 --key zero.bin", 1, "are alike");
    desk.bad("sign sine.ferro -o - --version 4 --key key.bin", 2, "an update is a file");
    desk.bad("sign sine.tflite -o x.update --version 4 --key key.bin", 1, "sine.tflite");

    let facts = desk.json("fits sine.update --of sine.ferro --slot 64K --json");
    assert_eq!((facts["fits"].as_bool(), facts["version"].as_u64()), (Some(true), Some(4)));
    assert_eq!(facts["checks"].as_array().unwrap().len(), 8);
    assert!(desk.good("fits sine.ferro --of sine.ferro").contains("sine.ferro fits"));
    let no = desk.run("fits mnist.ferro --of sine.ferro --slot 1K --json");
    let facts: Value = serde_json::from_slice(&no.stdout).unwrap();
    assert_eq!((no.status.code(), facts["fits"].as_bool()), (Some(1), Some(false)));
    let stderr = String::from_utf8_lossy(&no.stderr);
    assert!(stderr.contains("does not fit: operators, arena, slot, inputs, outputs"), "{stderr}");
    desk.bad("fits sine.ferro --firmware sine.ferro", 1, "is no ELF file");
    fs::write(desk.path("bad.elf"), b"\x7fELF and nothing more").unwrap();
    desk.bad("fits sine.ferro --firmware bad.elf", 1, "bad.elf");
    let whole = fs::read(desk.path("sine.update")).unwrap();
    for (length, why) in [(400, "its manifest says"), (100, "not whole")] {
        fs::write(desk.path("cut.update"), &whole[..length]).unwrap();
        desk.bad("fits cut.update --of sine.ferro", 1, why);
    }
    let public = signed["public_key"].as_str().unwrap();
    assert!(desk.good("fits sine.update --of sine.ferro").contains("--public-key HEX"));
    let said = desk.good(&format!("fits sine.update --of sine.ferro --public-key {public}"));
    assert!(!said.contains("--public-key"), "{said}");
    let narrow = |line: &str| line.starts_with("  - ") || line.chars().count() <= 100;
    assert!(said.lines().all(|line| narrow(line) && line.trim_end() == line), "{said}");
    let mut damaged = whole.clone();
    damaged[4] ^= 1;
    fs::write(desk.path("damaged.update"), &damaged).unwrap();
    let words = format!("damaged.update --of sine.ferro --public-key {public}");
    desk.bad(&format!("fits {words}"), 1, "was not signed by this key");
    desk.bad(&format!("fits sine.ferro --of sine.ferro --public-key {public}"), 1, "is not signed");
    desk.bad("fits sine.update --of sine.ferro --public-key 12", 2, "64 hexadecimal digits");
}

/// Away from the sources, the runners come from the command itself, if it was built with them.
#[test]
fn an_installed_command_runs_on_boards() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.good("convert sine.tflite -o sine.ferro --target cortex-m4");
    desk.npz("in.npz", "in0", &[3, 1], &[0.5, 1.5, 6.0]);
    let installed = |words: &str| desk.command(words).env("FERROLITE_BOARDS", "").output().unwrap();
    let boards: Value = serde_json::from_slice(&installed("boards --json").stdout).unwrap();
    let m4 = boards["boards"].as_array().unwrap().iter().find(|board| board["name"] == "qemu-cortex-m4");
    let m4 = m4.unwrap().clone();
    let words = "run sine.ferro --input in.npz --on qemu-cortex-m4 --json";
    if m4["qemu_installed"] != true {
        println!("skipped: qemu-cortex-m4 is not installed");
        return;
    }
    if m4["has_runner"] != true {
        assert!(std::env::var_os("FERROLITE_REQUIRE_IMAGES").is_none(), "this command has no images");
        check_refusal(words, &installed(words), 1, "sources are not at");
        println!("skipped: this command was built without images (`cargo xtask images`)");
        return;
    }
    let output = installed(&format!("{words} --output there.npz"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    desk.good("run sine.ferro --input in.npz --output here.npz");
    let array = |name: &str| Npz::open(&desk.path(name)).unwrap().read("out0").unwrap();
    assert_eq!(array("there.npz"), array("here.npz"));
    let output = installed("bench sine.ferro --on qemu-cortex-m4 --json");
    let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        measured["instructions"].as_u64().unwrap() > 100 && measured["stack_bytes"].as_u64().unwrap() > 100
    );
    assert!(
        measured["runtime_flash_bytes"].is_null() && measured["notes"][0].as_str().unwrap().contains("flash")
    );
    // A folder that is not there is a mistake, not the lack of sources.
    let output = desk.command(words).env("FERROLITE_BOARDS", "/absent").output().unwrap();
    check_refusal(words, &output, 1, "/absent");
}

#[test]
fn boards_that_are_not_there() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.good("convert sine.tflite -o sine.ferro");
    desk.bad("bench sine.ferro --on qemu-z80", 2, "qemu-z80");
    desk.bad("run sine.ferro --input x.npz --on m4 --json", 2, "m4");
    let words = "bench sine.ferro --on qemu-cortex-m4";
    let output = desk.command(words).env("PATH", desk.0.path()).output().unwrap();
    check_refusal(words, &output, 1, "not installed");
    let boards = desk.json("boards --json");
    let list = boards["boards"].as_array().unwrap();
    let can = |what: &str| list.iter().filter(|board| board["can"][0] == what).count();
    assert_eq!((can("run"), can("time")), (8, list.len() - 8));
    desk.bad("bench sine.ferro --board qemu-z80", 2, "qemu-z80");
    desk.bad("bench sine.ferro --board pico --on host", 2, "--on");
}

/// A board that one can buy: its core runs the model in QEMU, and its clock, flash and energy make a time of that.
#[test]
fn a_board_that_one_can_buy_has_a_time() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.good("convert sine.tflite -o sine.ferro --target cortex-m4");
    let boards = desk.json("boards --json");
    let list = boards["boards"].as_array().unwrap();
    let ready = list.iter().find(|board| board["name"] == "nucleo-l4r5zi").unwrap();
    if ready["qemu_installed"] != true || ready["target_installed"] != true {
        println!("skipped: qemu-cortex-m4 is not installed");
        return;
    }
    let measured = desk.json("bench sine.ferro --board nucleo-l4r5zi --json");
    assert_eq!(measured["board"], "nucleo-l4r5zi");
    let latency = &measured["latency"];
    let (ms, cycles) = (latency["ms"].as_f64().unwrap(), measured["cycles"].as_f64().unwrap());
    let waits = 3.0 * measured["flash_words"].as_f64().unwrap();
    assert!((ms - (cycles + waits) / 120e3).abs() < 1e-9, "{measured}");
    assert!((latency["microjoules"].as_f64().unwrap() - ms * 120e3 * 279e-6).abs() < 1e-6, "{measured}");
    assert!(latency["error"].as_str().unwrap().contains("published"), "{measured}");
    let text = desk.good("bench sine.ferro --board nucleo-l4r5zi");
    assert!(text.contains("energy, estimated"), "{text}");
    // The report has it, too.
    desk.good("convert sine.tflite -o again.ferro --target cortex-m4 --bench nucleo-l4r5zi --report r.html");
    assert!(fs::read_to_string(desk.path("r.html")).unwrap().contains("on nucleo-l4r5zi"), "no time");
}

#[test]
fn a_lock_holds_what_an_inference_costs() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    desk.good("convert sine.tflite -o sine.ferro --target cortex-m4");
    // A lock needs a board that counts instructions, and there is no lock to compare with yet.
    desk.bad("bench sine.ferro --lock sine.lock", 2, "a board that counts");
    desk.bad("bench sine.ferro --on host --lock sine.lock", 2, "a board that counts");
    desk.bad("bench sine.ferro --on qemu-cortex-m4 --lock sine.lock --check", 1, "cannot be read");
    desk.bad("bench sine.ferro --on qemu-cortex-m4 --check", 2, "--lock");
    desk.bad("bench sine.ferro --lock sine.lock --check --tolerance=-1", 2, "tolerance");
    fs::write(desk.path("mine.txt"), "cycles: few").unwrap();
    desk.bad("bench sine.ferro --on qemu-cortex-m4 --lock mine.txt", 1, "did not write it");
    desk.bad("bench sine.ferro --lock mine.txt --check", 1, "line 1");
    let boards = desk.json("boards --json");
    let m4 = boards["boards"].as_array().unwrap().iter().find(|board| board["name"] == "qemu-cortex-m4");
    if m4.is_none_or(|board| board["qemu_installed"] != true || board["target_installed"] != true) {
        let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
        assert!(!required, "qemu-cortex-m4 is not installed, but all boards are required");
        println!("skipped: qemu-cortex-m4 is not installed");
        return;
    }
    let written = desk.json("bench sine.ferro --on qemu-cortex-m4 --lock sine.lock --json");
    assert_eq!(written["lock"]["file"], "sine.lock");
    let instructions = written["instructions"].as_u64().unwrap();
    let text = fs::read_to_string(desk.path("sine.lock")).unwrap();
    assert!(
        text.contains(&format!("\ninstructions {instructions}\n")) && text.contains("\nlayer 0 "),
        "{text}"
    );
    assert!(desk.good("bench sine.ferro --lock sine.lock --check").contains("nothing has grown"));
    // In a lock with smaller figures, the check names the figure and the layer, and writes nothing.
    let cheaper = text.replace(&format!("\ninstructions {instructions}\n"), "\ninstructions 100\n");
    let kept: Vec<&str> = cheaper.lines().filter(|line| !line.starts_with("layer")).collect();
    fs::write(desk.path("sine.lock"), kept.join("\n")).unwrap();
    desk.bad("bench sine.ferro --lock sine.lock --check", 3, "instructions, 100 in the lock");
    desk.bad("bench sine.ferro --lock sine.lock --check --json", 3, "(not in the lock)");
    desk.bad(
        "bench sine.ferro --on qemu-cortex-m3 --lock sine.lock --check",
        1,
        "no figures of qemu-cortex-m3",
    );
    desk.good("bench sine.ferro --lock sine.lock --check --tolerance 100000");
    desk.good("bench sine.ferro --lock sine.lock");
    assert_eq!(fs::read_to_string(desk.path("sine.lock")).unwrap(), text);
}

#[test]
fn an_int8_model_answers_as_tflm_does() {
    let desk = Desk::new();
    desk.take("sine/sine_int8_tf.tflite", "sine.tflite");
    let oracle = repository().join("tests/models/sine/sine_int8_tf.oracle.npz");
    desk.good("convert sine.tflite -o sine.ferro --rust sine.rs --c sine.h --report sine.html");
    let facts = desk.json("inspect sine.ferro --json");
    for key in [
        "arena_bytes",
        "model_bytes",
        "weight_bytes",
        "macs",
        "target",
        "rounding",
        "inputs",
        "outputs",
        "ops",
    ] {
        assert!(keys(&facts).contains(&key), "{key}");
    }
    assert_eq!(keys(&facts["inputs"][0]), ["dtype", "name", "scale", "shape", "zero_point"]);
    let size = fs::metadata(desk.path("sine.ferro")).unwrap().len();
    assert_eq!(facts["model_bytes"], size);
    let rust = fs::read_to_string(desk.path("sine.rs")).unwrap();
    assert!(rust.contains(&format!("pub const ARENA: usize = {};", facts["arena_bytes"])), "{rust}");
    assert!(rust.contains("&[ops::plain::FULLY_CONNECTED]"), "{rust}");
    assert!(fs::read_to_string(desk.path("sine.h")).unwrap().contains(&format!("SINE_MODEL_BYTES {size}")));
    assert!(fs::read_to_string(desk.path("sine.html")).unwrap().contains("FULLY_CONNECTED"));
    assert!(desk.good("inspect sine.ferro").contains("Arena of"));

    let words = format!("run sine.ferro --input {} --output out.npz --layers layers.npz", oracle.display());
    assert!(desk.json(&format!("{words} --json"))["outputs"][0]["values"].is_array());
    assert!(desk.good(&words).contains("wrote out.npz"));
    let found = Npz::open(&desk.path("out.npz")).unwrap().read("out0").unwrap();
    let want = Npz::open(&oracle).unwrap().read("tflm_out0").unwrap();
    assert_eq!(found, want);
    assert_eq!(Npz::open(&desk.path("layers.npz")).unwrap().arrays().len(), 3);

    let facts = desk.json("bench sine.ferro --json");
    assert!(facts["wall_us"].as_f64().unwrap() > 0.0 && facts["instructions"].is_null());
    assert_eq!(
        keys(&facts["layers"][0]),
        [
            "cycles",
            "flash_words",
            "index",
            "instructions",
            "macs",
            "name",
            "op",
            "path",
            "slow_because",
            "slow_factor",
            "wall_us"
        ]
    );
}

/// Activations of int16: raw numbers and reals go in, TFLM's numbers come out, and the source agrees.
#[test]
fn models_of_int16_are_converted_inspected_run_and_compared() {
    let desk = Desk::new();
    let vector = repository().join("tests/vectors/graphs/int16_sums.npz");
    fs::copy(vector.with_extension("tflite"), desk.path("sums.tflite")).unwrap();
    desk.good("convert sums.tflite -o sums.ferro --rust sums.rs");
    let rust = fs::read_to_string(desk.path("sums.rs")).unwrap();
    assert!(rust.contains("ops::ADD_INT16") && !rust.contains("ops::ADD,"), "{rust}");
    let facts = desk.json("inspect sums.ferro --json");
    let sums = facts["ops"].as_array().unwrap().iter().filter(|op| op["kernel"] == "add_int16").count();
    assert_eq!((sums, &facts["inputs"][1]["dtype"]), (3, &"int16".into()), "{facts}");

    desk.good(&format!("run sums.ferro --input {} --output raw.npz", vector.display()));
    let open = |path: &Path, name: &str| Npz::open(path).unwrap().read(name).unwrap();
    for output in ["out0", "out1"] {
        assert_eq!(open(&desk.path("raw.npz"), output), open(&vector, output), "{output}");
    }
    // The same numbers as reals, the scales of the inputs being 0.05 and 0.0004.
    let reals = |name: &str, scale: f32, zero_point: f32| {
        let numbers = open(&vector, name);
        let bytes = (0..5).flat_map(|row| numbers.row_f32(row));
        let bytes = bytes.flat_map(|q| (scale * (q - zero_point)).to_le_bytes()).collect();
        NamedArray { name: name.into(), dtype: DType::Float32, shape: vec![5, 1, 3, 5], bytes }
    };
    let port = |index: usize, key: &str| facts["inputs"][index][key].as_f64().unwrap() as f32;
    let arrays = [0, 1].map(|i| reals(&format!("in{i}"), port(i, "scale"), port(i, "zero_point")));
    write(&arrays, fs::File::create(desk.path("reals.npz")).unwrap()).unwrap();
    desk.good("run sums.ferro --input reals.npz --output real.npz");
    assert_eq!(open(&desk.path("real.npz"), "out0"), open(&vector, "out0"));

    // Within what the layers' scales can say, int16 is nearly float.
    let small = |name: &str, step: f32| {
        let bytes = (0..30).flat_map(|i| (step * (i * 7 % 30 - 15) as f32).to_le_bytes()).collect();
        NamedArray { name: name.into(), dtype: DType::Float32, shape: vec![2, 1, 3, 5], bytes }
    };
    write(&[small("in0", 0.1), small("in1", 0.3)], fs::File::create(desk.path("small.npz")).unwrap())
        .unwrap();
    let result = desk.json("compare sums.ferro sums.tflite --data small.npz --json");
    let noise = result["outputs"][0]["sqnr_db"].as_f64().unwrap();
    assert!(noise > 60.0, "{result}");
    // What has no kernel for int16 is named.
    fs::copy(repository().join("tests/vectors/bad/int16_comparison.tflite"), desk.path("more.tflite"))
        .unwrap();
    desk.bad("convert more.tflite -o out.ferro", 1, "(GREATER: it compares int16)");
}

#[test]
fn a_float_model_keeps_its_accuracy() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_float.tflite", "digits.tflite");
    desk.take("mnist_cnn/data.npz", "data.npz");
    let facts = desk.json("convert digits.tflite -o digits.ferro --calibrate data.npz:cal_x --json");
    assert_eq!((&facts["calibration_samples"], &facts["inputs"][0]["dtype"]), (&256.into(), &"int8".into()));
    let words = "compare digits.ferro digits.tflite --data data.npz:test_x --labels test_y";
    let result = desk.json(&format!("{words} --json"));
    for key in ["mse_float", "mse_quantized", "sqnr_db", "max_abs_error", "layers"] {
        assert!(keys(&result).contains(&key), "{key}");
    }
    let number = |key: &str| result[key].as_f64().unwrap();
    assert_eq!(number("samples"), 200.0);
    assert!(number("accuracy_float") > 0.97, "{result}");
    assert!(number("accuracy_quantized") >= number("accuracy_float") - 0.01, "{result}");
    assert!(number("agreement") > 0.98 && number("sqnr_db") > 30.0, "{result}");
    assert!(!result["layers"].as_array().unwrap().is_empty(), "{result}");
    let text = desk.good(&format!("{words} --report report.html"));
    assert!(text.contains("accuracy, quantized") && text.contains("top-5 accuracy, quantized"), "{text}");
    let (first, dearest) =
        (text.lines().position(|line| line.contains("most costly first")).unwrap(), "dense_8");
    assert!(text.lines().nth(first + 2).unwrap().contains(dearest), "{text}");
    let layers = result["layers"].as_array().unwrap();
    assert!(
        layers.iter().any(|layer| layer["alone_sqnr_db"].as_f64().is_some_and(|db| db > 20.0)),
        "{result}"
    );
    let confusion: u64 = result["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!((confusion, result["confusion"].as_array().unwrap().len()), (200, 10));
    assert!(number("top5_quantized") > 0.99 && number("top5_float") > 0.99, "{result}");
    for key in ["sample", "expected", "float", "quantized", "score_float", "score_quantized", "error"] {
        assert!(keys(&result["worst"][0]).contains(&key), "{key}");
    }
    assert!(fs::read_to_string(desk.path("report.html")).unwrap().contains("<section id=\"confusion\">"));
    let words = "convert digits.tflite -o again.ferro --calibrate data.npz:cal_x --report converted.html";
    assert!(desk.good(words).contains("wrote converted.html"));
    let page = fs::read_to_string(desk.path("converted.html")).unwrap();
    for section in ["costs", "numbers", "memory", "graph"] {
        assert!(page.contains(&format!("<section id=\"{section}\">")), "{section}");
    }

    desk.good("convert digits.tflite -o float.ferro --calibrate data.npz:cal_x --io float");
    let facts = desk.json("inspect float.ferro --json");
    assert_eq!(
        (&facts["inputs"][0]["dtype"], &facts["outputs"][0]["dtype"]),
        (&"float32".into(), &"float32".into())
    );
    assert!(facts["inputs"][0]["scale"].is_null());
    let io = desk.json("compare float.ferro digits.tflite --data data.npz:test_x --labels test_y --json");
    assert_eq!(io["accuracy_quantized"], result["accuracy_quantized"]);
}

#[test]
fn the_same_model_as_tflite() {
    let desk = Desk::new();
    desk.take("mnist_cnn/mnist_cnn_float.tflite", "digits.tflite");
    desk.take("mnist_cnn/data.npz", "data.npz");
    let facts = desk.json("convert digits.tflite -o int8.tflite --calibrate data.npz:cal_x --json");
    assert_eq!(facts["model_bytes"], fs::metadata(desk.path("int8.tflite")).unwrap().len());
    desk.good("convert digits.tflite -o a.ferro --calibrate data.npz:cal_x");
    // The file that was written is a quantized model, which keeps its numbers.
    assert!(desk.good("convert int8.tflite -o b.ferro").contains("TensorFlow Lite"));
    for name in ["a", "b"] {
        desk.good(&format!("run {name}.ferro --input data.npz:test_x --output {name}.npz"));
    }
    let out = |name: &str| Npz::open(&desk.path(name)).unwrap().read("out0").unwrap();
    assert_eq!(out("a.npz"), out("b.npz"));
    desk.bad("convert int8.tflite -o c.tflite --target cortex-m4", 2, "--target");
}

#[test]
fn numbers_of_words_are_int32_and_name_rows() {
    let desk = Desk::new();
    let model = repository().join("tests/vectors/graphs/words.tflite");
    fs::copy(model, desk.path("words.tflite")).unwrap();
    desk.good("convert words.tflite -o words.ferro");
    assert_eq!(desk.json("inspect words.ferro --json")["inputs"][0]["dtype"], "int32");
    desk.npz("good.npz", "in0", &[1, 7], &[0.0, 29.0, 3.0, 3.0, 1.0, 20.0, 11.0]);
    // With this many samples, weights are packed again for the host; the layer keeps its name.
    let mut rows = [3.0; 10 * 7];
    rows[5 * 7 + 1] = 30.0;
    desk.npz("beyond.npz", "in0", &[10, 7], &rows);
    desk.good("run words.ferro --input good.npz");
    for command in
        ["run words.ferro --input beyond.npz", "compare words.ferro words.tflite --data beyond.npz"]
    {
        desk.bad(command, 1, "layer `t1` (GATHER) is asked for index 30");
    }
}

#[test]
fn parts_of_a_data_set_make_the_same_file() {
    let desk = Desk::new();
    desk.take("digits_mlp/digits_mlp_float.tflite", "net.tflite");
    let mut npz = Npz::open(&repository().join("tests/models/digits_mlp/data.npz")).unwrap();
    let rows = npz.read("cal_x").unwrap();
    let reals: Vec<f32> = (0..rows.rows()).flat_map(|row| rows.row_f32(row)).collect();
    let samples = |name: &str, from: usize, to: usize| {
        desk.npz(name, "x", &[to - from, 64], &reals[from * 64..to * 64]);
    };
    samples("all.npz", 0, 100);
    samples("a.npz", 70, 100);
    samples("b.npz", 0, 70);
    desk.good("convert net.tflite --calibrate all.npz --calibration mse -o whole.ferro");
    let part =
        desk.json("statistics net.tflite --calibrate a.npz --calibration mse -o a.part --shard 1/2 --json");
    assert_eq!((part["samples"].as_u64(), part["round"].as_u64()), (Some(30), Some(1)));
    desk.bad("convert net.tflite --statistics a.part --calibration mse -o merged.ferro", 1, "missing: 2");
    desk.good("statistics net.tflite --calibrate b.npz --calibration mse -o b.part --shard 2/2");
    desk.bad(
        "convert net.tflite --statistics a.part b.part --calibration mse -o merged.ferro",
        1,
        "another question",
    );
    desk.bad(
        "convert net.tflite --statistics a.part b.part -o merged.ferro",
        1,
        "gathered with --calibration mse",
    );
    for name in ["a", "b"] {
        // The parts are replaced when all have been read.
        desk.good(&format!(
            "statistics net.tflite --calibrate {name}.npz --calibration mse --statistics a.part b.part -o {name}.new"
        ));
    }
    let facts =
        desk.json("convert net.tflite --statistics b.new a.new --calibration mse -o merged.ferro --json");
    assert_eq!(facts["calibration_samples"].as_u64(), Some(100));
    assert_eq!(fs::read(desk.path("merged.ferro")).unwrap(), fs::read(desk.path("whole.ferro")).unwrap());
    desk.bad("statistics whole.ferro --calibrate a.npz -o c.part", 1, "already a Ferrolite model");
    desk.bad("statistics net.tflite --calibrate a.npz -o c.part --shard 3/2", 2, "3/8");
}

#[test]
fn a_file_is_upgraded_and_boards_are_named_once() {
    let desk = Desk::new();
    desk.take("sine/sine.ferro", "sine.ferro");
    desk.take("sine/version_1.ferro", "one.ferro");
    let facts = desk.json("upgrade sine.ferro -o new.ferro --json");
    assert_eq!(keys(&facts), ["changes", "input", "model_bytes", "notes", "output", "warnings"]);
    assert_eq!(fs::read(desk.path("new.ferro")).unwrap(), fs::read(desk.path("sine.ferro")).unwrap());
    assert!(desk.good("upgrade sine.ferro -o new.ferro").contains("as it was"));
    desk.bad("upgrade one.ferro -o two.ferro", 1, "version 1");
    desk.npz("x.npz", "in0", &[2, 1], &[0.0, 1.0]);
    desk.bad("run sine.ferro --input x.npz --on host,host", 2, "twice");
    desk.bad("bench sine.ferro --on host,host", 2, "twice");
}

/// A model whose signatures share variables: a step, a nudge, a look and a reset.
#[test]
fn entry_points_are_looked_at_compared_and_missed() {
    let desk = Desk::new();
    let folder = repository().join("tests/import/saved_model/entries");
    let mut npz = Npz::open(&folder.with_extension("npz")).unwrap();
    let mut array = |name: &str| {
        let array = npz.read(&format!("voice/{name}")).unwrap();
        let reals = (0..array.rows()).flat_map(|row| array.row_f32(row));
        let (shape, bytes) = (array.shape().to_vec(), reals.flat_map(f32::to_le_bytes).collect());
        NamedArray { name: name.into(), dtype: DType::Float32, shape, bytes }
    };
    let arrays = [array("x"), array("z")];
    write(&arrays, fs::File::create(desk.path("both.npz")).unwrap()).unwrap();
    let voice = folder.join("voice");
    let voice = voice.display();
    let converted = desk.json(&format!("convert {voice} -o all.ferro --calibrate both.npz --json"));
    // Each held-back sample begins with the variables that all functions together have left.
    assert!(converted["outputs"][0]["sqnr_db"].as_f64().unwrap() > 20.0, "{converted}");
    desk.good(&format!("convert {voice} -o one.ferro --calibrate both.npz --signature step"));

    let names = |facts: &Value| {
        let entries = facts["entries"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["name"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let (source, file) =
        (desk.json(&format!("inspect {voice} --json")), desk.json("inspect all.ferro --json"));
    assert_eq!(names(&source), names(&file));
    assert_eq!(names(&file).len(), 4);
    assert_eq!(source["inputs"][0]["name"], file["inputs"][0]["name"]);
    let compared = desk.json(&format!("compare all.ferro {voice} --data both.npz --json"));
    assert!(compared["outputs"][0]["sqnr_db"].as_f64().unwrap() > 20.0, "{compared}");

    let fits = desk.json("fits all.ferro --of all.ferro --json");
    let entries = |facts: &Value| {
        facts["checks"].as_array().unwrap().iter().find(|check| check["what"] == "entries").unwrap().clone()
    };
    assert_eq!(entries(&fits)["fits"], true);
    let output = desk.run("fits one.ferro --of all.ferro --json");
    assert_eq!(output.status.code(), Some(1));
    let missed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(entries(&missed)["fits"], false);
    let because = entries(&missed)["because"].as_str().unwrap().to_string();
    assert!(because.contains("`reset`") && because.contains("missing"), "{because}");

    desk.bad(
        &format!("convert {voice} -o x.ferro --calibrate both.npz --inputs x"),
        2,
        "--inputs and --outputs are for",
    );

    desk.good("run all.ferro --entry reset");
    desk.bad("run all.ferro --entry reset --input both.npz", 2, "entry `reset` has no inputs");
}
