//! Op vectors: every small model in `tests/vectors` answers as TFLM does, byte for byte, as it was
//! imported and after the passes. One run reports all that fail.

mod common;

use common::{compare, compile, files, root};

/// Operators, and single cases, that Ferrolite does not run. They must be refused with an error; one
/// that runs has to be taken off this list.
const REFUSED: &[&str] = &[
    "batch_matmul",
    "maximum",
    "minimum",
    "mul",
    "transpose_conv",
    "graphs/attention",
    "graphs/constant_operand",
    "graphs/squeeze_and_excite",
];

#[test]
fn every_vector_equals_tflm() {
    let folder = root().join("tests/vectors");
    let mut failures = Vec::new();
    let (mut passed, mut refused) = (0, 0);
    for npz in files(&folder, ".npz") {
        let model = npz.with_extension("tflite");
        let case = npz.strip_prefix(&folder).expect("below the folder").with_extension("");
        let case = case.to_string_lossy().replace('\\', "/");
        let expect_refusal =
            REFUSED.iter().any(|name| case == *name || case.starts_with(&format!("{name}/")));
        for (optimised, how) in [(false, ""), (true, " after passes")] {
            match compile(&model, optimised) {
                Err(_) if expect_refusal => refused += 1,
                Err(error) => failures.push(format!("{case}{how}: {error}")),
                Ok(_) if expect_refusal => {
                    failures.push(format!("{case}{how}: runs, so take it off the list"))
                }
                Ok(file) => match compare(&file.bytes, &npz, "in", "out") {
                    Ok(_) => passed += 1,
                    Err(error) => failures.push(format!("{case}{how}: {error}")),
                },
            }
        }
    }
    println!("{passed} vectors equal, {refused} refused as expected");
    assert!(passed != 0, "no vectors found");
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.join("\n"));
}
