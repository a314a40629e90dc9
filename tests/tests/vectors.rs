//! Op vectors: every small model in `tests/vectors` answers as TFLM does, byte for byte, with every kernel
//! set that the host can run; with the portable one as it was imported, too. One run reports all that fail.

mod common;

use common::{SETS, compare, files, files_for, root};
use ferrolite_runtime::Target;

#[test]
fn every_vector_equals_tflm() {
    let folder = root().join("tests/vectors");
    let mut failures = Vec::new();
    let mut passed = 0;
    for npz in files(&folder, ".npz") {
        let model = npz.with_extension("tflite");
        let case = npz.strip_prefix(&folder).expect("below the folder").with_extension("");
        let case = case.to_string_lossy().replace('\\', "/");
        for set in SETS {
            let plain = set.target == Target::Portable && set.name == "portable";
            for (optimised, how) in [(false, ", no passes"), (true, "")] {
                if !optimised && !plain {
                    continue;
                }
                for (tiles, file) in files_for(&model, optimised, set.target) {
                    let answer = file.and_then(|file| compare(&file.bytes, set.ops, &npz, "in", "out"));
                    match answer {
                        Ok(_) => passed += 1,
                        Err(error) => failures.push(format!("{case} ({}{how}{tiles}): {error}", set.name)),
                    }
                }
            }
        }
    }
    println!("{passed} vectors equal");
    assert!(passed != 0, "no vectors found");
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.join("\n"));
}
