//! The `.tflite` files that Ferrolite writes: every op vector and every committed model is written and read
//! again, and gives the results of TFLM for the original. With `FERROLITE_WRITTEN=FOLDER` the files are kept
//! there for `tests/vectors/check_written.py`, which runs TFLM and LiteRT on them.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{SETS, compare, files, root};
use ferrolite::emit::{self, Options};
use ferrolite::{import, passes};

/// Beginnings of the names of cases that are not written: those with an IF, layers over time, those with truth values or
/// variables, and a choice among boxes.
const UNSAYABLE: &[&str] = &[
    "if",
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "not_equal",
    "svdf",
    "unidirectional_sequence_lstm",
    "logical_and",
    "logical_or",
    "logical_not",
    "select_v2",
    "cast",
    "reduce_all",
    "variables",
    "tflite_detection_postprocess",
    "uint8/detection",
    "squared_difference/int16",
];

/// Of them those whose condition is known, and whose variable never changes.
const SAYABLE: &[&str] = &["if/no_condition", "variables/constant"];

/// Folders of functions of which those of plain integers are not written.
const OF_INTEGERS: &[&str] = &["add", "sub", "mul", "div", "maximum", "minimum", "squared_difference"];

/// What is said of layers that were uint8, some of which are written.
const WAS_UINT8: &str = "it was uint8";

fn written(model: &Path) -> Result<Vec<u8>, String> {
    let mut graph = import::load(model).map_err(|e| e.message)?.graph;
    passes::optimise(&mut graph);
    emit::tflite(&graph).map_err(|e| e.message)
}

fn folder_of_vectors() -> PathBuf {
    root().join("tests/vectors")
}

/// The name of a case, with its folder.
fn name(npz: &Path) -> String {
    let case = npz.strip_prefix(folder_of_vectors()).expect("below the folder").with_extension("");
    case.to_string_lossy().replace('\\', "/")
}

fn ferro(tflite: &[u8]) -> Result<Vec<u8>, String> {
    let mut graph = import::load_bytes("written.tflite", tflite).map_err(|e| e.message)?.graph;
    passes::optimise(&mut graph);
    Ok(emit::compile(&graph, &Options::default()).map_err(|e| e.message)?.bytes.to_vec())
}

#[test]
fn every_vector_survives_being_written() {
    let folder = folder_of_vectors();
    let keep = std::env::var_os("FERROLITE_WRITTEN").map(PathBuf::from);
    let (mut failures, mut unsayable, mut passed) = (Vec::new(), Vec::new(), 0);
    for npz in files(&folder, ".npz") {
        let case = name(&npz);
        let bytes = match written(&npz.with_extension("tflite")) {
            Ok(bytes) => bytes,
            Err(error) => {
                unsayable.push(format!("{case}: {error}"));
                continue;
            }
        };
        if let Some(keep) = &keep {
            let path = keep.join(&case).with_extension("tflite");
            std::fs::create_dir_all(path.parent().expect("has a folder")).expect("is writable");
            std::fs::write(path, &bytes).expect("is writable");
        }
        match ferro(&bytes).and_then(|file| compare(&file, SETS[0].ops, &npz, "in", "out")) {
            Ok(_) => passed += 1,
            Err(error) => failures.push(format!("{case}: {error}")),
        }
    }
    println!("{passed} vectors equal; not sayable:\n{}", unsayable.join("\n"));
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.join("\n"));
    assert!(passed > 900, "only {passed} vectors");
    let (_, unsayable): (Vec<_>, Vec<_>) =
        unsayable.into_iter().partition(|case| case.starts_with("uint8/") && case.contains(WAS_UINT8));
    let listed = |case: &str| {
        let mut rests = UNSAYABLE.iter().filter_map(|beginning| case.strip_prefix(beginning));
        let (folder, name) = case.split_once('/').unwrap_or_default();
        let plain = ["i32", "i64"].into_iter().any(|dtype| name.starts_with(dtype));
        let unsayable =
            rests.any(|rest| rest.starts_with(['/', '_'])) || OF_INTEGERS.contains(&folder) && plain;
        unsayable && !SAYABLE.contains(&case)
    };
    let case = |line: &String| line.split(':').next().unwrap_or_default().to_string();
    let found: BTreeSet<String> = unsayable.iter().map(case).collect();
    let all = files(&folder_of_vectors(), ".npz").into_iter().map(|npz| name(&npz));
    let known: BTreeSet<String> = all.filter(|case| listed(case)).collect();
    let apart: Vec<&String> = found.symmetric_difference(&known).collect();
    assert!(apart.is_empty(), "written without being known to be, or the other way round: {apart:?}");
}
