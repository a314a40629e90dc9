//! Model files of every format and operator, changed at random: each is refused with an error, or imported to
//! a consistent graph. The functions are those of the fuzz targets, and the seeds are the committed vectors.

#[path = "../fuzz/importers.rs"]
mod importers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Number of changed copies of all seeds of a format together.
const COPIES: usize = 2000;

/// Seeds are small; larger files are trained models.
const LARGEST: u64 = 64 << 10;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The files below a folder with one of these extensions, by name.
fn seeds(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of seeds") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)) {
                found.push(path);
            }
        }
    }
    found.retain(|path| path.metadata().is_ok_and(|file| file.len() <= LARGEST));
    found.sort();
    found
}

/// A generator by Marsaglia, which gives the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end.max(1)
    }
}

/// Numbers for which programs often fail.
const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 0x10];

/// A copy with a few changes: changed bytes and bits, and parts that are doubled, moved or removed.
fn changed(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let length = random.below(24).min(bytes.len() - at);
        match random.below(7) {
            0 | 1 => bytes[at] = EDGES[random.below(EDGES.len())],
            2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = random.below(256) as u8,
            4 => bytes[at..at + length].fill(EDGES[random.below(EDGES.len())]),
            5 => {
                let part = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                bytes.drain(at..at + length);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Imports seeds and changed copies. Each may be refused, none may panic.
fn try_all(seeds: &[PathBuf], import: impl Fn(&Path, &[u8]) -> bool) {
    assert!(!seeds.is_empty(), "there are seeds");
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut read = 0;
    for (number, path) in seeds.iter().enumerate() {
        let seed = std::fs::read(path).expect("a seed");
        read += usize::from(import(path, &seed));
        let copies = (number + 1) * COPIES / seeds.len() - number * COPIES / seeds.len();
        for copy in 0..copies {
            let bytes = changed(&seed, &mut random);
            let done = catch_unwind(AssertUnwindSafe(|| import(path, &bytes)));
            assert!(done.is_ok(), "copy {copy} of {}", path.display());
        }
    }
    println!("{read} of {} seeds are read", seeds.len());
    assert!(read * 10 >= seeds.len() * 9, "{read} of {} seeds are read", seeds.len());
}

/// The name by which the importer is chosen.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[test]
fn onnx() {
    try_all(&seeds(&folder("import/onnx"), &["onnx"]), |path, bytes| {
        importers::import_file(&name(path), bytes)
    });
}

#[test]
fn keras() {
    let seeds = seeds(&folder("import/keras"), &["keras", "h5"]);
    try_all(&seeds, |path, bytes| importers::import_file(&name(path), bytes));
}

#[test]
fn tflite() {
    // One of each folder is enough: an operator's vectors differ in their sizes.
    let mut seeds = seeds(&folder("vectors"), &["tflite"]);
    seeds.retain(|path| !path.to_string_lossy().contains("bad"));
    seeds.dedup_by_key(|path| path.parent().map(Path::to_path_buf));
    try_all(&seeds, |path, bytes| importers::import_file(&name(path), bytes));
}

#[test]
fn saved_model() {
    let seeds = seeds(&folder("import/saved_model"), &["pb"]);
    try_all(&seeds, |path, bytes| {
        let work = tempfile::tempdir().expect("a folder");
        let variables = path.parent().expect("a folder").join("variables");
        std::fs::create_dir(work.path().join("variables")).expect("a folder");
        for file in std::fs::read_dir(variables).expect("variables") {
            let file = file.expect("a file").path();
            std::fs::copy(&file, work.path().join("variables").join(name(&file))).expect("a copy");
        }
        importers::import_saved_model(work.path(), bytes)
    });
}
