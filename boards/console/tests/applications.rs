//! The applications answer in QEMU what the interpreter answers on the host, for all recorded windows.

use std::path::Path;
use std::process::Command;

use ferrolite_runtime::{AlignedBytes, Interpreter, Model, include_model, ops};
use object::{Object, ObjectSection, ObjectSymbol};

static MODEL: AlignedBytes = include_model!("../../apps/gesture/model/watch.ferro");
static RECORDING: &[u8] = include_bytes!("../../apps/gesture/model/recording.bin");

/// Where the second application has its model.
const QSPI: u64 = 0x2100_0000;

/// Bytes of a window of 128 samples of 6 axes.
const WINDOW: usize = 128 * 6 * 2;

/// Scores of a window, computed here.
fn host_scores(window: &[u8]) -> Vec<i8> {
    let model = Model::from_bytes(&MODEL).unwrap();
    let port = model.inputs()[0];
    // As the firmware does it: steps per sensor unit in 1/65536, rounded half up.
    let step = (65_536.0 / (1024.0 * port.scale) + 0.5) as i32;
    let quantize = |bytes: &[u8]| {
        let measurement = i32::from(i16::from_be_bytes([bytes[0], bytes[1]]));
        (((measurement * step + (1 << 15)) >> 16) + port.zero_point).clamp(-128, 127) as i8
    };
    let input: Vec<i8> = window.chunks_exact(2).map(quantize).collect();
    let mut arena = ferrolite_runtime::Arena::<4096>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    net.input_mut::<i8>(0).unwrap().copy_from_slice(&input);
    net.invoke().unwrap();
    net.output::<i8>(0).unwrap().to_vec()
}

/// Runs a firmware; its log.
fn run(application: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps").join(application);
    let mut command = Command::new("cargo");
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    let output = command.args(["run", "--release"]).args(arguments).current_dir(folder).output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{log}");
    log
}

/// The ELF file of an application for the MPS2.
fn elf(application: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/thumbv7em-none-eabihf/release");
    std::fs::read(folder.join(application)).unwrap()
}

/// Runs a firmware, and compares the scores in its log with those of the host; the log.
fn check(application: &str, arguments: &[&str]) -> String {
    let log = run(application, arguments);
    let windows: Vec<&[u8]> = RECORDING.chunks_exact(WINDOW).collect();
    assert_eq!(log.lines().filter(|line| line.contains("scores")).count(), windows.len(), "{log}");
    for (index, window) in windows.into_iter().enumerate() {
        let line = log.lines().find(|line| line.contains(&format!("window {index}:"))).unwrap();
        let scores = format!("scores {:?}", host_scores(window));
        assert!(line.ends_with(&scores), "{line}\nhost: {scores}");
    }
    log
}

/// The number behind these words of a log.
fn number(log: &str, words: &str) -> u32 {
    let rest = log.split(words).nth(1).unwrap_or_else(|| panic!("no `{words}` in {log}"));
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number behind `{words}` in {log}"))
}

/// Also in 64 KB of flash and 16 KB of RAM, which is all that its memory map has.
#[test]
fn the_cortex_m4_board_answers_as_the_host() {
    let log = check("gesture", &[]);
    check_memory("gesture", &log);
}

/// The painted stack is within the stated bound, and with that the RAM within 16 KB; flash of 64 KB is all that the
/// memory map has.
fn check_memory(application: &str, log: &str) {
    let used = number(log, "stack: ");
    let stack = number(log, &format!("stack: {used} of "));
    assert!(used > 100 && used <= stack, "{log}");
    let elf = elf(application);
    let elf = object::File::parse(&elf[..]).unwrap();
    let bytes = |range: std::ops::Range<u64>| -> u64 {
        elf.sections()
            .filter(|section| range.contains(&section.address()))
            .map(|section| section.size())
            .sum()
    };
    let ram = bytes(0x2000_0000..0x2100_0000) + u64::from(stack);
    assert!(ram <= 16 << 10, "{ram} bytes of RAM");
    println!("{application}: {ram} bytes of RAM with {stack} of stack, of which {used} were used");
}

static DIGITS: AlignedBytes = include_model!("../../apps/digits/model/digits.ferro");
static FRAMES: &[u8] = include_bytes!("../../apps/digits/model/frames.bin");

/// Digits from a camera's frame buffer, over an asynchronous bus.
#[test]
fn digits_are_read_as_on_the_host() {
    let log = run("digits", &[]);
    let model = Model::from_bytes(&DIGITS).unwrap();
    let mut arena = ferrolite_runtime::Arena::<8192>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    let frames = FRAMES.chunks_exact(28 * 28);
    assert_eq!(log.lines().filter(|line| line.contains("scores")).count(), frames.len(), "{log}");
    for (index, frame) in frames.enumerate() {
        let pixels: Vec<i8> = frame.iter().map(|&pixel| (i32::from(pixel) - 128) as i8).collect();
        net.input_mut::<i8>(0).unwrap().copy_from_slice(&pixels);
        net.invoke().unwrap();
        let line = log.lines().find(|line| line.contains(&format!("frame {index}:"))).unwrap();
        let scores = format!("scores {:?}", net.output::<i8>(0).unwrap());
        assert!(line.ends_with(&scores), "{line}\nhost: {scores}");
    }
    check_memory("digits", &log);
}

/// What the application `keywords` is built with, which the repository does not contain: the model's file and the
/// features. If they are missing, reports that the test is skipped and returns `None`.
fn made_for_keywords() -> Option<[Vec<u8>; 2]> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/keywords/model/made");
    if !made.exists() {
        let why =
            "boards/apps/keywords/model/made is not there (model/README.md beside it says how it is made)";
        let required = std::env::var("FERROLITE_REQUIRE_KEYWORDS").is_ok_and(|value| value == "1");
        assert!(!required, "FERROLITE_REQUIRE_KEYWORDS=1: {why}");
        println!("skipped: {why}");
        return None;
    }
    Some(["keywords.ferro", "features.bin"].map(|name| std::fs::read(made.join(name)).expect(name)))
}

/// Keywords in a stream of features: each window's scores are the host's, and each word is heard once.
#[test]
fn keywords_are_heard_as_on_the_host() {
    let Some([file, features]) = made_for_keywords() else { return };
    let log = run("keywords", &[]);
    // A model starts at a multiple of 16.
    let mut memory = vec![0; file.len() + 15];
    let start = memory.as_ptr().align_offset(16);
    let aligned = &mut memory[start..][..file.len()];
    aligned.copy_from_slice(&file);
    let model = Model::from_bytes(aligned).unwrap();
    let mut arena = ferrolite_runtime::Arena::<8192>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    let rows: Vec<&[u8]> = features.chunks_exact(40).collect();
    let ends: Vec<usize> = (49..=rows.len()).step_by(5).collect();
    assert_eq!(log.lines().filter(|line| line.contains("scores")).count(), ends.len(), "{log}");
    for end in ends {
        let window: Vec<i8> = rows[end - 49..end].concat().into_iter().map(|byte| byte as i8).collect();
        net.input_mut::<i8>(0).unwrap().copy_from_slice(&window);
        net.invoke().unwrap();
        let line = log.lines().find(|line| line.contains(&format!("row {end}:"))).unwrap();
        let scores = format!("scores {:?}", net.output::<i8>(0).unwrap());
        assert!(line.ends_with(&scores), "{line}\nhost: {scores}");
    }
    // Where they were said: in the second, fourth, sixth and seventh second, of 50 rows each; known a second later at most.
    let heard: Vec<&str> = log.lines().filter(|line| line.contains("heard")).collect();
    assert_eq!(heard.len(), 4, "{log}");
    for (line, (word, second)) in heard.iter().zip([("yes", 1), ("no", 3), ("yes", 5), ("no", 6)]) {
        let row = number(line, "at row") as usize;
        assert!(line.contains(word) && (second * 50..second * 50 + 100).contains(&row), "{line}");
    }
    check_memory("keywords", &log);
}

#[test]
fn the_stm32f405_answers_as_the_host() {
    check("gesture", &["--no-default-features", "--features", "stm32f405"]);
}

/// Under an executor, with another task between any two ops.
#[test]
fn a_model_among_tasks_answers_as_the_host() {
    let log = check("tasks", &[]);
    let turns = log.lines().find_map(|line| line.split("had ").nth(1)?.split(' ').next()?.parse().ok());
    let turns: usize = turns.expect("the log says how many turns the other task had");
    let gaps = Model::from_bytes(&MODEL).unwrap().ops().len() - 1;
    // Behind each measurement of a window, too, before the first op, and before its line of the log.
    let gaps = RECORDING.len() / WINDOW * (gaps + 128 + 2);
    // The other task may begin.
    assert!(turns == gaps || turns == gaps + 1, "{gaps} gaps\n{log}");

    // The LED's period does not slip: it has changed once in each, and is late by two steps at most.
    let changes = number(&log, "the LED changed");
    let (ticks, period) = (number(&log, "times in"), number(&log, "ticks, each"));
    let (late, longest) = (number(&log, "late by"), number(&log, "the longest step took"));
    let line = number(&log, "the longest line of this log");
    assert!(changes > 50 && changes.abs_diff(ticks / period) <= 1, "{log}");
    // Two steps, since embassy turns the order of tasks around from round to round; its own turns take some hundred
    // instructions.
    assert!(longest > 100 && late <= 2 * longest.max(line) + 50, "{log}");
    // The same on every run.
    assert_eq!(check("tasks", &[]), log);

    // The model itself lies where the attribute of its `static` says, and not a reference to it.
    let elf = elf("tasks");
    let elf = object::File::parse(&elf[..]).unwrap();
    let model = elf.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains("5MODEL"))).unwrap();
    assert_eq!((model.address() >> 24, model.size()), (QSPI >> 24, MODEL.len() as u64));
    let section = elf.section_by_index(model.section_index().unwrap()).unwrap();
    let start = (model.address() - section.address()) as usize;
    assert_eq!(section.data().unwrap()[start..][..MODEL.len()], MODEL[..]);
}
