//! Whether an update fits a firmware: each thing that differs is a no of its own, with its reason. Firmware as an ELF file
//! is in `projects.rs`, which builds some.

mod common;

use common::root;
use ferrolite::fits::{Check, Firmware, check};
use ferrolite::model_file::ModelFile;
use ferrolite_runtime::Target;

fn model(name: &str, target: Target) -> ModelFile {
    let emitted = common::compile_for(&root().join("tests").join(name), true, target).unwrap();
    ModelFile::from_bytes(name, &emitted.bytes)
}

fn sine(target: Target) -> ModelFile {
    model("models/sine/sine_int8_tf.tflite", target)
}

fn checks(update: &ModelFile, firmware: &Firmware) -> Vec<Check> {
    check(&update.model().unwrap(), firmware).unwrap()
}

/// What does not fit, with the reasons.
fn wrong(checks: &[Check]) -> Vec<(&str, &str)> {
    let wrong = checks.iter().filter(|check| check.fits == Some(false));
    wrong.map(|check| (check.what, check.because.as_str())).collect()
}

#[test]
fn a_model_fits_where_it_is() {
    for name in ["models/sine/sine_int8_tf.tflite", "vectors/variables/before_and_after.tflite"] {
        for target in [Target::Portable, Target::CortexM4, Target::CortexM0] {
            let file = model(name, target);
            let mut firmware = Firmware::of_model(file.clone()).unwrap();
            let found = checks(&file, &firmware);
            assert_eq!(wrong(&found), [], "{name}");
            assert_eq!(found.iter().find(|check| check.what == "slot").unwrap().fits, None);
            firmware.slot_bytes = Some(file.bytes().len() as u64);
            assert!(checks(&file, &firmware).iter().all(|check| check.fits == Some(true)));
        }
    }
}

#[test]
fn another_model_does_not_and_says_why() {
    let mnist = model("models/mnist_cnn/mnist_cnn_int8_tf.tflite", Target::CortexM4);
    let mut firmware = Firmware::of_model(sine(Target::CortexM4)).unwrap();
    firmware.slot_bytes = Some(4096);
    let found = checks(&mnist, &firmware);
    let wrong = wrong(&found);
    let what: Vec<&str> = wrong.iter().map(|(what, _)| *what).collect();
    assert_eq!(what, ["operators", "arena", "slot", "inputs", "outputs"]);
    for (reason, words) in wrong.iter().map(|(_, reason)| reason).zip([
        "CONV_2D is not linked",
        "bytes are needed",
        "a slot 4,096",
        "the shape is [1, 28, 28, 1]",
        "the firmware expects [1, 1]",
    ]) {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // With whole operators, memory and room, only what the program sees is left.
    firmware.operators = ferrolite_runtime::ops::ALL
        .iter()
        .filter_map(|operator| ferrolite_runtime::OpCode::from_code(operator.code))
        .map(Into::into)
        .collect();
    (firmware.arena_bytes, firmware.slot_bytes) = (1 << 20, Some(1 << 20));
    let found = checks(&mnist, &firmware);
    assert_eq!(found.iter().filter(|check| check.fits == Some(false)).count(), 2, "{found:?}");
}

#[test]
fn each_difference_is_one_of_its_own() {
    let firmware = Firmware::of_model(sine(Target::CortexM4)).unwrap();
    // The same network, packed for another core: other kernels, and others of the operators.
    let found = checks(&sine(Target::CortexM0), &firmware);
    let wrong = wrong(&found);
    assert!(
        wrong.iter().any(|(what, why)| *what == "target" && why.contains("--target cortex-m4")),
        "{wrong:?}"
    );
    assert!(wrong.iter().all(|(what, _)| ["target", "operators", "arena"].contains(what)), "{wrong:?}");
    // Other states.
    let with = model("vectors/variables/before_and_after.tflite", Target::CortexM4);
    let found = checks(&with, &firmware);
    assert!(found.iter().any(|check| check.what == "state" && check.fits == Some(false)), "{found:?}");
}
