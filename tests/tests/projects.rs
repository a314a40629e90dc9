//! Projects that `ferrolite new` writes: they build as they are, and where an emulator has the board they run and give
//! the converter's answers. What cannot become one is refused, and leaves nothing behind.
//!
//! The builds need network, targets and QEMU, so `cargo xtask test` runs them in steps of their own, "projects". By hand:
//! `cargo test -p ferrolite-conformance --test projects -- --ignored`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::root;
use ferrolite::fits::{self, Firmware};
use ferrolite::migrate;
use ferrolite::model_file::ModelFile;
use ferrolite::project::{self, KITS, Kit, Language, Map, Request, Start};
use ferrolite_runtime::Target;

/// A new folder for the projects of a test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn request<'a>(folder: &'a Path, kit: &'static Kit, model: &'a Path) -> Request<'a> {
    Request { folder, kit, model, calibrate: None, language: Language::Rust, runtime: None, strict: false }
}

fn sine() -> PathBuf {
    root().join("tests/models/sine/sine_int8_tf.tflite")
}

/// A program of the toolchain, without what an outer cargo has set for its own build.
fn tool(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    for outer in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CARGO_INCREMENTAL",
    ] {
        command.env_remove(outer);
    }
    command.current_dir(folder);
    command
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

/// Every place of the templates is filled.
fn check_filled(project: &Path) {
    for path in common::files(project, "") {
        let own = ["model.rs", "model.h", "model.c", "sample.h"].iter().any(|name| path.ends_with(name));
        if let (false, Ok(text)) = (own, fs::read_to_string(&path)) {
            assert!(!text.contains("{{"), "{}: {text}", path.display());
        }
    }
}

/// Builds a project in Rust, runs it where an emulator has its board, and returns what it prints.
fn build(project: &Path, kit: &Kit) -> String {
    let mut cargo = tool("cargo", project);
    // Projects for one core have the same dependencies.
    cargo.env(
        "CARGO_TARGET_DIR",
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects/target").join(kit.emulated),
    );
    let runs = matches!(kit.start, Start::Qemu(_));
    cargo.args([if runs { "run" } else { "build" }, "--quiet", "--release"]);
    let ran = cargo.output().expect("cargo runs");
    assert!(ran.status.success(), "{}: {}", kit.name, text(&ran));
    assert!(!text(&ran).contains("warning"), "{}: {}", kit.name, text(&ran));
    text(&ran)
}

#[test]
fn what_cannot_become_a_project_is_refused() {
    let place = folder("refused");
    let model = sine();
    let kit = project::kit("qemu-cortex-m4").unwrap();
    let refused = |request: &Request<'_>| project::create(request, &()).unwrap_err();

    let path = place.join("1digit");
    assert!(refused(&request(&path, kit, &model)).message.contains("`1digit`"));
    // There is something in it.
    assert!(refused(&request(&place.join(".."), kit, &model)).exit_code() != 0);
    fs::create_dir(place.join("full")).unwrap();
    fs::write(place.join("full/mine"), "mine").unwrap();
    let path = place.join("full");
    assert!(refused(&request(&path, kit, &model)).message.contains("something already"));
    assert_eq!(fs::read(place.join("full/mine")).unwrap(), b"mine");

    // A file for another core.
    let path = place.join("app");
    let packed = place.join("packed.ferro");
    let emitted = common::compile_for(&model, true, Target::CortexM0).unwrap();
    fs::write(&packed, &emitted.bytes).unwrap();
    let error = refused(&request(&path, kit, &packed));
    assert!(
        error.message.contains("cortex-m0") && error.help.contains("--target cortex-m4"),
        "{}",
        error.message
    );

    // A board without room.
    static SMALL: Kit = Kit { map: Map { flash: (0, 64 << 10), ram: (0x2000_0000, 4 << 10) }, ..KITS[0] };
    let error =
        refused(&request(&path, &SMALL, &root().join("tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite")));
    assert!(error.message.contains("does not fit") && error.message.contains("4,096"), "{}", error.message);

    // A language that the board has no template for, and a runtime that is not there.
    let other = project::kit("nrf52840dk").unwrap();
    let error = refused(&Request { language: Language::C, ..request(&path, other, &model) });
    assert!(error.help.contains("--c"), "{}", error.message);
    let error = refused(&Request { runtime: Some(&place), ..request(&path, kit, &model) });
    assert!(error.message.contains("--runtime"), "{}", error.message);

    let mut left: Vec<_> = fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["full", "packed.ferro"]);
}

/// Models with state, with several inputs and outputs of other types than int8, and with reals at the borders.
fn unusual_models() -> [PathBuf; 3] {
    ["variables/before_and_after.tflite", "tflite_detection_postprocess/fast.tflite", "dequantize/i8.tflite"]
        .map(|name| root().join("tests/vectors").join(name))
}

#[test]
#[ignore = "builds firmware"]
fn a_project_runs_that_was_one_of_tflm() {
    let place = folder("migrated");
    let old = place.join("old");
    fs::create_dir(&old).unwrap();
    let bytes: Vec<String> = fs::read(sine()).unwrap().iter().map(|byte| format!("{byte:#04x}")).collect();
    fs::write(old.join("model.cc"), format!("const unsigned char g_model[] = {{ {} }};", bytes.join(",")))
        .unwrap();
    let kit = project::kit("qemu-cortex-m4").unwrap();
    let path = place.join("new");
    let request = migrate::Request {
        path: &old,
        output: Some(&path),
        kit,
        language: Language::Rust,
        calibrate: None,
        runtime: None,
        strict: true,
    };
    migrate::migrate(&request, &()).unwrap();
    check_filled(&path);
    let said = build(&path, kit);
    assert!(said.contains("self-test: passed") && said.contains("output0[0] = "), "{said}");
}

#[test]
#[ignore = "builds firmware"]
fn a_project_runs_and_its_elf_says_what_fits() {
    let place = folder("fits");
    let kit = project::kit("qemu-cortex-m4").unwrap();
    let path = place.join("fitting");
    project::create(&request(&path, kit, &sine()), &()).unwrap();
    build(&path, kit);
    let elf = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("projects/target/qemu-cortex-m4/thumbv7em-none-eabihf/release/fitting");
    let firmware = Firmware::of_elf(&elf, None).unwrap();
    let own = fs::read(path.join("src/model.ferro")).unwrap();
    assert_eq!(firmware.model.bytes(), own);
    assert!(!firmware.notes.iter().any(|note| note.contains("no list")), "{:?}", firmware.notes);
    let answers = |update: &[u8]| {
        let file = ModelFile::from_bytes("update", update);
        let checks = fits::check(&file.model().unwrap(), &firmware).unwrap();
        checks.into_iter().map(|check| (check.what, check.fits)).collect::<Vec<_>>()
    };
    assert!(answers(&own).iter().all(|(what, fits)| *fits == Some(true) || *what == "slot"));
    let other = root().join("tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite");
    let other = common::compile_for(&other, true, Target::CortexM4).unwrap();
    for what in ["operators", "arena", "inputs", "outputs"] {
        assert!(answers(&other.bytes).contains(&(what, Some(false))), "{what}");
    }
    assert!(!firmware.notes.iter().any(|note| note.contains("room!")), "{:?}", firmware.notes);

    // A program that has more room than its model takes, and says so.
    let main = path.join("src/main.rs");
    let source = fs::read_to_string(&main).unwrap();
    let more = source.replace("arena: model::ARENA", "arena: 64 * 1024, slot: 1000");
    assert_ne!(source, more);
    fs::write(&main, more).unwrap();
    build(&path, kit);
    let firmware = Firmware::of_elf(&elf, None).unwrap();
    assert_eq!((firmware.arena_bytes, firmware.slot_bytes), (65_536, Some(1000)));
    let file = ModelFile::from_bytes("update", &other.bytes);
    let checks = fits::check(&file.model().unwrap(), &firmware).unwrap();
    for check in checks {
        match check.what {
            "arena" => assert_eq!(check.fits, Some(true), "{check:?}"),
            "slot" => assert_eq!(check.fits, Some(false), "{check:?}"),
            _ => {}
        }
    }
}

/// A C program says its room by the same symbols, and Ferrolite's tree may lie where a path has spaces and quotes.
#[test]
#[cfg(unix)]
#[ignore = "builds firmware, and needs gcc"]
fn a_project_in_c_says_its_room_and_takes_any_path() {
    let place = folder("paths");
    let tree = place.join("my 'own' # $HOME tree");
    std::os::unix::fs::symlink(root(), &tree).unwrap();
    let kit = project::kit("qemu-cortex-m4").unwrap();
    let path = place.join("app");
    project::create(&Request { language: Language::C, ..request(&path, kit, &sine()) }, &()).unwrap();
    // As if the tree had been there when the project was written.
    let makefile = fs::read_to_string(path.join("Makefile")).unwrap();
    let own = root().canonicalize().unwrap().display().to_string();
    let quoted = tree.display().to_string().replace('$', "$$").replace('#', "\\#").replace('\'', "'\\''");
    assert!(makefile.contains(&own), "{makefile}");
    fs::write(path.join("Makefile"), makefile.replace(&own, &quoted)).unwrap();
    let ran = tool("make", &path).arg("run").output().expect("make runs");
    assert!(ran.status.success() && text(&ran).contains("self-test: passed"), "{}", text(&ran));
    let elf = path.join("build/app.elf");
    let firmware = Firmware::of_elf(&elf, None).unwrap();
    let file = ModelFile::read(&path.join("model.ferro")).unwrap();
    assert_eq!(firmware.arena_bytes, file.model().unwrap().arena_bytes() as u64);
    assert!(!firmware.notes.iter().any(|note| note.contains("room!")), "{:?}", firmware.notes);
}

#[test]
#[ignore = "builds firmware"]
fn a_project_runs_and_gives_the_converters_answers() {
    let place = folder("one");
    let kit = project::kit("qemu-cortex-m4").unwrap();
    for (index, model) in [sine()].into_iter().chain(unusual_models()).enumerate() {
        let path = place.join(format!("app{index}"));
        project::create(&request(&path, kit, &model), &()).unwrap();
        check_filled(&path);
        let said = build(&path, kit);
        assert!(said.contains("self-test: passed") && said.contains("output0[0] = "), "{said}");
    }
    // The self-test notices another answer.
    let sample = place.join("app0/src/sample.rs");
    let text = fs::read_to_string(&sample).unwrap();
    let (head, answer) = text.split_once("OUTPUT0").unwrap();
    let (declaration, numbers) = answer.split_once("= [\n").unwrap();
    fs::write(&sample, format!("{head}OUTPUT0{declaration}= [\n    17 ^ {}", numbers.trim_start())).unwrap();
    let mut cargo = tool("cargo", &place.join("app0"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects/target").join(kit.emulated);
    let ran = cargo.env("CARGO_TARGET_DIR", target).args(["run", "--quiet", "--release"]).output().unwrap();
    assert!(!ran.status.success() && self::text(&ran).contains("another than"), "{}", self::text(&ran));
}

/// What Espressif's own tool says of the image that it makes of each program: the chip, a checksum that is right, and the
/// description without which the boot loader does not start it.
#[test]
#[ignore = "builds firmware, and needs Python's esptool in target/esptool"]
fn esp32_images_are_what_their_boot_loader_takes() {
    let place = folder("esp32");
    let tool_path = root().join("target/esptool/bin/esptool");
    for (name, chip) in [("esp32-c3", "ESP32-C3"), ("esp32-c6", "ESP32-C6"), ("esp32-h2", "ESP32-H2")] {
        let kit = project::kit(name).unwrap();
        let Start::Esp(family) = kit.start else { panic!("{name} is started by esp-hal") };
        let path = place.join(name);
        let model = root().join("tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite");
        project::create(&request(&path, kit, &model), &()).unwrap();
        check_filled(&path);
        build(&path, kit);
        let elf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects/target").join(kit.emulated);
        let elf = elf.join(kit.rust_target()).join("release").join(name);
        let image = place.join(format!("{name}.bin"));
        let esptool = |arguments: &[&str]| {
            let tool_program = tool_path.display().to_string();
            let said = tool(&tool_program, &path).args(["--chip", family]).args(arguments).output();
            let said = said.expect("esptool runs: python3 -m venv target/esptool, pip install esptool");
            assert!(said.status.success(), "{name}: {}", text(&said));
            text(&said)
        };
        let (elf, image) = (elf.display().to_string(), image.display().to_string());
        esptool(&["elf2image", "-o", &image, &elf]);
        let said = esptool(&["image-info", &image]);
        let app = format!("Project name: {name}");
        for words in [chip, "Checksum:", "(valid)", "Validation hash:", "Application Information", &app] {
            assert!(said.contains(words), "{name}: {words}: {said}");
        }
        assert!(!said.contains("invalid"), "{name}: {said}");
        // The model is in it, where the image is mapped into memory.
        let bytes = fs::read(&image).unwrap();
        let own = fs::read(path.join("src/model.ferro")).unwrap();
        assert!(bytes.windows(own.len()).any(|window| window == own), "{name}");
    }
}

/// Runs a firmware of an RP2040 in rp2040js, as `boards/console` does.
fn on_rp2040(elf: &Path) -> Output {
    let mut console = tool("cargo", &root().join("boards"));
    console.args([
        "run",
        "--quiet",
        "-p",
        "console",
        "--target",
        "host-tuple",
        "--target-dir",
        "target/console",
    ]);
    console.arg("--").arg(elf).output().expect("cargo runs")
}

#[test]
#[ignore = "builds firmware, and needs Node.js with rp2040js"]
fn an_rp2040_gives_the_converters_answers() {
    let place = folder("rp2040");
    let kit = project::kit("pico").unwrap();
    let path = place.join("app");
    let model = root().join("tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite");
    project::create(&request(&path, kit, &model), &()).unwrap();
    build(&path, kit);
    let elf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects/target").join(kit.emulated);
    let elf = elf.join(kit.core().target).join("release/app");
    let ran = on_rp2040(&elf);
    let said = text(&ran);
    assert!(ran.status.success() && said.contains("self-test: passed"), "{said}");
    assert_eq!(said.matches("output0[").count(), 10, "{said}");
    // The self-test notices another answer, and the emulator that the program has stopped.
    let sample = path.join("src/sample.rs");
    let source = fs::read_to_string(&sample).unwrap();
    let (head, answer) = source.split_once("OUTPUT0").unwrap();
    let (declaration, numbers) = answer.split_once("= [\n").unwrap();
    fs::write(&sample, format!("{head}OUTPUT0{declaration}= [\n    17 ^ {}", numbers.trim_start())).unwrap();
    build(&path, kit);
    let ran = on_rp2040(&elf);
    assert!(!ran.status.success() && text(&ran).contains("another than"), "{}", text(&ran));
}

#[test]
#[ignore = "builds firmware, and needs gcc and Node.js with rp2040js"]
fn a_c_program_on_an_rp2040_gives_the_converters_answers() {
    let place = folder("rp2040_c");
    let path = place.join("app");
    let model = root().join("tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite");
    let kit = project::kit("pico").unwrap();
    project::create(&Request { language: Language::C, ..request(&path, kit, &model) }, &()).unwrap();
    let emulate = || tool("make", &path).arg("emulate").output().expect("make runs");
    let ran = emulate();
    let said = text(&ran);
    assert!(ran.status.success() && said.contains("self-test: passed"), "{said}");
    assert_eq!(said.matches("output0[").count(), 10, "{said}");
    // The answer of another sample.
    let sample = path.join("sample.h");
    let source = fs::read_to_string(&sample).unwrap();
    let (head, answer) = source.split_once("sample_output0 = {{\n").unwrap();
    fs::write(&sample, format!("{head}sample_output0 = {{{{\n    17 ^ {}", answer.trim_start())).unwrap();
    let ran = emulate();
    assert!(!ran.status.success() && text(&ran).contains("another than"), "{}", text(&ran));
}

#[test]
#[ignore = "builds firmware"]
fn a_project_in_c_runs_and_gives_the_converters_answers() {
    in_c(&["qemu-cortex-m4"]);
}

#[test]
#[ignore = "builds firmware for all boards"]
fn every_board_builds() {
    let place = folder("every");
    for kit in KITS {
        let path = place.join(kit.name);
        let model = sine();
        project::create(&request(&path, kit, &model), &()).unwrap();
        let said = build(&path, kit);
        if let Start::Qemu(_) = kit.start {
            assert!(said.contains("self-test: passed"), "{}: {said}", kit.name);
        }
    }
}

#[test]
#[ignore = "builds firmware for all boards"]
fn every_board_with_a_start_in_c_runs() {
    let names: Vec<&str> = KITS.iter().map(|kit| kit.name).collect();
    assert!(in_c(&names) >= 8);
}

/// Makes projects in C for those of the boards that have a start in C, runs them, and returns how many there were.
fn in_c(boards: &[&str]) -> usize {
    let place = folder(&format!("c{}", boards.len()));
    let mut ran = 0;
    for name in boards {
        let kit = project::kit(name).unwrap();
        let path = place.join(name);
        let model = root().join("tests/models/digits_mlp/digits_mlp_int8_tf.tflite");
        let made = project::create(&Request { language: Language::C, ..request(&path, kit, &model) }, &());
        let Err(error) = made.map(drop) else {
            check_filled(&path);
            if kit.start == Start::Rp2040 {
                let made = tool("make", &path).output().expect("make runs");
                assert!(made.status.success() && !text(&made).contains("warning"), "{}", text(&made));
                continue;
            }
            let said = tool("make", &path).arg("run").output().expect("make runs");
            let words = text(&said);
            assert!(said.status.success() && words.contains("self-test: passed"), "{name}: {words}");
            assert!(words.contains("output0[0] = ") && !words.contains("warning"), "{name}: {words}");
            ran += 1;
            continue;
        };
        assert!(error.message.contains("no start in C"), "{}", error.message);
    }
    ran
}
