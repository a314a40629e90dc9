//! A custom operator, from a model file to a board: tests the example `custom_operator` of the converter and
//! the firmware `boards/apps/contrast`, which share the operator's device side.

#[path = "../../converter/examples/custom_operator/contrast.rs"]
mod contrast;
#[path = "../../converter/examples/custom_operator/host.rs"]
mod host;
#[allow(dead_code)]
#[path = "../../converter/examples/custom_operator/models.rs"]
mod models;

use std::path::{Path, PathBuf};
use std::process::Command;

use contrast::{Contrast, Params};
use ferrolite::aligned::AlignedBuf;
use ferrolite::convert::{ConvertOptions, Converted, convert, convert_to_tflite};
use ferrolite::data::Dataset;
use ferrolite::graph::custom::{Registry, is_called};
use ferrolite::import::{self, ImportOptions};
use ferrolite::model_file::{ModelFile, input_specs, layers};
use ferrolite::run::{RunOptions, run_host};
use ferrolite::{Error, compare};
use ferrolite_conformance::{OPERATORS, Outcome, exercise};
use ferrolite_runtime::ops::custom::Custom;
use ferrolite_runtime::{Error as Refusal, Fault, Interpreter, Model, OpSet, Operator, ops};
use ferrolite_schema::{custom_code, custom_words};

/// Samples for calibration, and for the firmware.
const SAMPLES: usize = 64;
const ANSWERED: usize = 8;

/// A folder with both models and samples.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().expect("a folder");
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("is written");
        write("net.tflite", &models::tflite());
        write("net.onnx", &models::onnx());
        let line = |sample: Vec<f32>| sample.iter().map(f32::to_string).collect::<Vec<_>>().join(",") + "\n";
        write("samples.csv", models::samples(SAMPLES).into_iter().map(line).collect::<String>().as_bytes());
        Files(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self, custom: Registry) -> ConvertOptions {
        ConvertOptions {
            import: ImportOptions { custom, ..ImportOptions::default() },
            calibrate: Some(self.path("samples.csv").display().to_string()),
            ..ConvertOptions::default()
        }
    }

    fn convert(&self, name: &str, custom: Registry) -> Result<Converted, Error> {
        convert(&self.path(name), &self.options(custom), &())
    }
}

/// The interpreter's outputs for some inputs, as integers.
fn answers(file: &ModelFile, ops: OpSet, inputs: &[Vec<u8>]) -> Vec<Vec<i8>> {
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops, &mut memory).expect("a sound model");
    let mut answer = |input: &Vec<u8>| {
        net.input_mut::<i8>(0).unwrap().iter_mut().zip(input).for_each(|(place, &byte)| *place = byte as i8);
        net.invoke().unwrap();
        net.output::<i8>(0).unwrap().to_vec()
    };
    inputs.iter().map(&mut answer).collect()
}

/// The firmware's inputs, as the model's integers.
fn inputs(file: &ModelFile) -> Vec<Vec<u8>> {
    let model = file.model().expect("a sound file");
    let spec = &input_specs(&model)[0];
    models::samples(ANSWERED).iter().map(|sample| spec.quantize(sample).expect("finite")).collect()
}

#[test]
fn both_formats_become_the_same_network() {
    let files = Files::new();
    let mut found = Vec::new();
    for name in ["net.tflite", "net.onnx"] {
        let converted =
            files.convert(name, host::registry()).unwrap_or_else(|e| panic!("{name}: {e}: {}", e.help));
        let model = converted.file.model().expect("a sound file");
        let described = layers(&model);
        assert_eq!((described[0].op.as_str(), described[0].code), (Contrast::NAME, "custom"), "{name}");
        assert!(is_called(&described[0].op, model.ops()[0].code, model.params(&model.ops()[0])), "{name}");

        let data =
            Dataset::load(&files.path("samples.csv").display().to_string(), &input_specs(&model)).unwrap();
        let options = files.options(host::registry()).import;
        let graph = import::load_with(&files.path(name), &options).unwrap().graph;
        let compared = compare::compare(&graph, &model, &data, &compare::Options::default(), &()).unwrap();
        // The result of a dense layer over 32 bands is as good as 8 bits allow.
        assert!(compared.outputs[0].sqnr_db > Some(25.0), "{name}: {:?}", compared.outputs[0].sqnr_db);
        assert_eq!(compared.layers[0].name, "contrast", "{name}");
        let inputs = inputs(&converted.file);
        let options = RunOptions { ops: converted.file.operators(), ..RunOptions::default() };
        let run = run_host(&model, &data, &options, &|| ()).unwrap();
        let answers = answers(&converted.file, OPERATORS, &inputs);
        let first: Vec<i8> = run.samples[0][0].iter().map(|&byte| byte as i8).collect();
        assert_eq!(answers[0], first, "{name}");
        assert!(answers.iter().any(|answer| *answer != answers[0]), "{name}");
        found.push((inputs, answers));
    }
    assert_eq!(found[0], found[1]);
}

/// Calibration chooses the scales, and the integers must be those of the formula: compares `contrast.rs` with
/// its float version.
#[test]
fn every_element_is_the_nearest_step() {
    let files = Files::new();
    let converted = files.convert("net.onnx", host::registry()).unwrap();
    let model = converted.file.model().unwrap();
    let node = model.ops()[0];
    let params = Params::read(&model.params(&node)[2..]).expect("six words");
    assert_eq!((params.width, params.radius), (models::BANDS as u32, models::RADIUS));
    let ports = [0, 1].map(|tensor| model.names().tensor_port(tensor).expect("names are there"));
    let input = &inputs(&converted.file)[3];
    let wide =
        ferrolite::run::layers_of(&model, converted.file.operators(), std::slice::from_ref(input)).unwrap();
    let real =
        |byte: u8| (f64::from(byte as i8) - f64::from(ports[0].zero_point)) * f64::from(ports[0].scale);
    for (at, &found) in wide[0][0].bytes.iter().enumerate() {
        let (row, band) = (at / models::BANDS * models::BANDS, at % models::BANDS);
        let radius = models::RADIUS as usize;
        let window = &input[row + band.saturating_sub(radius)..row + (band + radius + 1).min(models::BANDS)];
        let mean = window.iter().map(|&byte| real(byte)).sum::<f64>() / (2 * radius + 1) as f64;
        let wanted = f64::from(models::GAIN) * (real(input[at]) - mean) / f64::from(ports[1].scale);
        let wanted = (wanted + f64::from(ports[1].zero_point)).clamp(-128.0, 127.0);
        // Two roundings of at most half a step each; the first step is the finer one.
        assert!(
            (wanted - f64::from(found as i8)).abs() <= 0.76,
            "element {at}: {wanted} became {}",
            found as i8
        );
    }
}

/// Several conversions at the same time, with the operator and without.
#[test]
fn registries_are_apart() {
    let files = Files::new();
    std::thread::scope(|scope| {
        let files = &files;
        let with = [0, 1].map(|_| scope.spawn(|| files.convert("net.tflite", host::registry()).is_ok()));
        let without = scope.spawn(|| files.convert("net.tflite", Registry::new()).is_err());
        assert!(with.into_iter().all(|thread| thread.join().unwrap()) && without.join().unwrap());
    });
}

#[test]
fn who_does_not_register_it_is_told_the_way() {
    let files = Files::new();
    for name in ["net.tflite", "net.onnx"] {
        let error = files.convert(name, Registry::new()).unwrap_err();
        let text = format!("{}\n{}", error.message, error.help);
        for word in ["`contrast`", "custom example.Contrast", "library", "converter/examples/custom_operator"]
        {
            assert!(text.contains(word), "{name}: {text}");
        }
    }
    // Without the operator, an existing file can be described, but not run.
    let converted = files.convert("net.tflite", host::registry()).unwrap();
    let alone = ModelFile::from_bytes("net.ferro", converted.file.bytes());
    let model = alone.model().unwrap();
    assert_eq!(layers(&model)[0].op, Contrast::NAME);
    let data = Dataset::load(&files.path("samples.csv").display().to_string(), &input_specs(&model)).unwrap();
    let error = run_host(&model, &data, &RunOptions::default(), &|| ()).unwrap_err();
    assert!(error.message.contains("`contrast` (example.Contrast)"), "{error}");
    assert!(error.help.contains("converter/examples/custom_operator"), "{}", error.help);
    let error =
        convert_to_tflite(&files.path("net.tflite"), &files.options(host::registry()), &()).unwrap_err();
    assert!(error.message.contains("contrast") && error.message.contains("operator of your own"), "{error}");
}

/// Another operator.
struct Other;

impl Custom for Other {
    const NAME: &'static str = "example.Other";

    fn check(_: &ferrolite_runtime::Node<'_>, _: &[u32]) -> Result<(), Fault> {
        Ok(())
    }

    fn eval(_: &ferrolite_runtime::Eval<'_>, _: &[u32]) {}
}

#[test]
fn a_device_tells_operators_apart() {
    let converted = Files::new().convert("net.tflite", host::registry()).unwrap();
    let bytes = converted.file.bytes();
    let model = Model::from_bytes(bytes).unwrap();
    let code = custom_code(Contrast::NAME);
    assert_eq!(model.ops()[0].code, code);
    let missing = Refusal::UnsupportedOp { op: 0, code };
    assert_eq!(ferrolite_runtime::check(&model, ops::ALL), Err(missing));
    assert!(missing.to_string().contains("custom operator"), "{missing}");
    // The same code with another name: two names may have the same code.
    const SAME_CODE: OpSet = &[
        ops::FULLY_CONNECTED,
        Operator { code: custom_code(Contrast::NAME), ..Operator::custom::<Other>() },
    ];
    let name = Err(Refusal::Op { op: 0, fault: Fault::Name });
    assert_eq!(ferrolite_runtime::check(&model, SAME_CODE), name);

    let at = |record: *const u8| record as usize - bytes.as_ptr() as usize;
    let op = at(std::ptr::from_ref(&model.ops()[0]).cast());
    let words = at(model.params(&model.ops()[0]).as_ptr().cast());
    let with = |position: usize, value: &[u8]| {
        let mut copy = bytes.to_vec();
        copy[position..position + value.len()].copy_from_slice(value);
        exercise(&copy)
    };
    assert_eq!(exercise(bytes), Outcome::Ran);
    let refused = |fault| Outcome::Refused(Refusal::Op { op: 0, fault });
    let [low, high] = custom_words(Contrast::NAME);
    assert_eq!(with(words, &(low ^ 1 << 20).to_le_bytes()), refused(Fault::Name));
    assert_eq!(with(words + 4, &(high ^ 1).to_le_bytes()), refused(Fault::Name));
    // Fewer words than a hash has, those of the hash alone, and too few of the operator's own.
    for (count, fault) in
        [(0u32, Fault::Name), (1, Fault::Name), (2, Fault::Parameters), (7, Fault::Parameters)]
    {
        assert_eq!(with(op + 12, &count.to_le_bytes()), refused(fault), "{count} words");
    }
    // Codes that no operator has, below the custom ones and among them.
    for code in [0u16, 0x7FFF, 0x8000, 0xFFFF, custom_code(Contrast::NAME) ^ 1] {
        let found = with(op, &code.to_le_bytes());
        assert_eq!(found, Outcome::Refused(Refusal::UnsupportedOp { op: 0, code }));
    }
    // The operator checks its own parameters.
    for (word, value) in
        [(0, 0u32), (0, 7), (1, 65), (1, u32::MAX), (2, 128), (3, 1 << 31), (4, 31), (5, 1 << 20)]
    {
        let found = with(words + 8 + 4 * word, &value.to_le_bytes());
        assert!(
            matches!(found, Outcome::Refused(Refusal::Op { op: 0, .. })),
            "word {word}: {value}: {found:?}"
        );
    }
}

/// Damage of any kind is refused, or the file runs in bounds.
#[test]
fn mutated_files_are_refused_or_run_in_bounds() {
    let converted = Files::new().convert("net.tflite", host::registry()).unwrap();
    let bytes = converted.file.bytes();
    let (mut state, mut refused, mut ran) = (5u64, 0, 0);
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let mut copy = bytes.to_vec();
        for _ in 0..1 + next(3) {
            let position = next(copy.len());
            copy[position] = match next(3) {
                0 => next(256) as u8,
                1 => copy[position] ^ 1 << next(8),
                _ => [0, 1, 0x7F, 0x80, 0xFF][next(5)],
            };
        }
        match exercise(&copy) {
            Outcome::Refused(_) => refused += 1,
            Outcome::Ran | Outcome::TooLarge => ran += 1,
        }
    }
    assert!(refused > 1_000 && ran > 1_000, "{refused} refused, {ran} ran");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/apps/contrast")
}

/// The model and the inputs of the firmware are equal to what the converter makes now.
#[test]
fn the_firmwares_files_are_fresh() {
    let converted = Files::new().convert("net.tflite", host::registry()).unwrap();
    let made = [
        ("model/contrast.ferro", converted.file.bytes().to_vec()),
        ("model/contrast.rs", ferrolite::bindings::rust(&converted.file.model().unwrap()).into_bytes()),
        ("model/inputs.bin", inputs(&converted.file).concat()),
    ];
    for (name, bytes) in made {
        let path = folder().join(name);
        if std::fs::read(&path).is_ok_and(|found| found == bytes) {
            continue;
        }
        assert!(
            std::env::var("FERROLITE_RENEW").is_ok_and(|value| value == "1"),
            "`cargo xtask models` renews {name}"
        );
        std::fs::write(&path, bytes).expect("is writable");
        println!("{} made anew", path.display());
    }
}

#[test]
fn the_firmware_answers_as_the_host() {
    let board = ferrolite::board::find("qemu-cortex-m3").unwrap();
    let status = ferrolite::board::list().into_iter().find(|status| status.board == board).unwrap();
    if !(status.target_installed && status.qemu_installed) {
        assert!(std::env::var_os("FERROLITE_REQUIRE_BOARDS").is_none(), "qemu-cortex-m3 cannot be run");
        println!("skipped: the Rust target of {} or its QEMU is not installed", board.name);
        return;
    }
    let mut command = Command::new("cargo");
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    let output =
        command.args(["run", "--release", "--quiet"]).current_dir(folder()).output().expect("cargo runs");
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{log}", String::from_utf8_lossy(&output.stderr));
    let number = |word: &str| word.parse::<i8>().expect("a score");
    let found: Vec<Vec<i8>> = log.lines().map(|line| line.split_whitespace().map(number).collect()).collect();
    let file = ModelFile::read(&folder().join("model/contrast.ferro")).unwrap();
    let bytes = std::fs::read(folder().join("model/inputs.bin")).unwrap();
    let inputs: Vec<Vec<u8>> = bytes.chunks(models::FRAMES * models::BANDS).map(<[u8]>::to_vec).collect();
    assert_eq!(inputs.len(), ANSWERED);
    assert_eq!(found, answers(&file, OPERATORS, &inputs));
}

/// The module that `convert --rust` writes cannot list the operator, and says so.
#[test]
fn the_generated_module_names_it() {
    let converted = Files::new().convert("net.tflite", host::registry()).unwrap();
    let module = ferrolite::bindings::rust(&converted.file.model().unwrap());
    assert!(module.contains("operators of its own beside them: example.Contrast."), "{module}");
}
