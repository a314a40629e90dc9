//! Op vectors: every small model in `tests/vectors` answers as TFLM does, byte for byte, as it was
//! imported and after the passes. One run reports all that fail.

mod common;

use common::{compare, compile, files, root};

#[test]
fn every_vector_equals_tflm() {
    let folder = root().join("tests/vectors");
    let mut failures = Vec::new();
    let mut passed = 0;
    for npz in files(&folder, ".npz") {
        let model = npz.with_extension("tflite");
        let case = npz.strip_prefix(&folder).expect("below the folder").with_extension("");
        let case = case.to_string_lossy().replace('\\', "/");
        for (optimised, how) in [(false, ""), (true, " after passes")] {
            match compile(&model, optimised) {
                Err(error) => failures.push(format!("{case}{how}: {error}")),
                Ok(file) => match compare(&file.bytes, &npz, "in", "out") {
                    Ok(_) => passed += 1,
                    Err(error) => failures.push(format!("{case}{how}: {error}")),
                },
            }
        }
    }
    println!("{passed} vectors equal");
    assert!(passed != 0, "no vectors found");
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.join("\n"));
}
