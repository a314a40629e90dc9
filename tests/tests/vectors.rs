//! Op vectors: every small model in `tests/vectors` gives TFLM's results, byte for byte, with every kernel
//! set that the host can run; with the portable set, also without the passes. One run reports all failures.
//! Those in `uint8` have the answers of LiteRT.

mod common;

use std::path::Path;

use common::{SETS, compare, files, files_for, root};
use ferrolite_runtime::Target;
use rayon::prelude::*;

/// `FERROLITE_VECTORS=FOLDER` takes the vectors of one folder.
#[test]
fn every_vector_equals_tflm() {
    let folder = root().join("tests/vectors");
    let part = folder.join(std::env::var("FERROLITE_VECTORS").unwrap_or_default());
    let answers: Vec<_> =
        files(&part, ".npz").par_iter().flat_map_iter(|npz| answers(&folder, npz)).collect();
    let failures: Vec<&str> =
        answers.iter().filter_map(|answer| answer.as_ref().err()).map(String::as_str).collect();
    println!("{} vectors equal", answers.len() - failures.len());
    assert!(failures.len() < answers.len(), "no vectors found");
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.join("\n"));
}

/// Runs one vector in all sets and returns the differences.
fn answers(folder: &Path, npz: &Path) -> Vec<Result<(), String>> {
    let model = npz.with_extension("tflite");
    let case = npz.strip_prefix(folder).expect("below the folder").with_extension("");
    let case = case.to_string_lossy().replace('\\', "/");
    let mut answers = Vec::new();
    for set in SETS {
        let plain = set.target == Target::Portable && set.name == "portable";
        for (optimised, how) in [(false, ", no passes"), (true, "")] {
            if !optimised && !plain {
                continue;
            }
            for (tiles, file) in files_for(&model, optimised, set.target) {
                let answer = file.and_then(|file| compare(&file.bytes, set.ops, npz, "in", "out"));
                let told = |error| format!("{case} ({}{how}{tiles}): {error}", set.name);
                answers.push(answer.map(|_| ()).map_err(told));
            }
        }
    }
    answers
}
