//! The `.ferro` files of the repository are equal to what the converter makes now from their models. With
//! `FERROLITE_RENEW=1` they are made again (`cargo xtask models`).

mod common;

use std::path::PathBuf;

use common::{files, root};
use ferrolite::bindings;
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite_runtime::Target;

/// A file in the repository.
struct Committed {
    /// Its path, and the path of the model that it is made from.
    file: &'static str,
    source: &'static str,
    target: Target,
    /// The Rust module that belongs to it.
    module: Option<&'static str>,
}

const COMMITTED: &[Committed] = &[
    Committed {
        file: "tests/models/sine/sine.ferro",
        source: "tests/models/sine/sine_int8_tf.tflite",
        target: Target::Portable,
        module: Some("tests/models/sine/sine.rs"),
    },
    Committed {
        file: "boards/apps/gesture/model/watch.ferro",
        source: "tests/models/watch_conv1d/watch_conv1d_int8_tf.tflite",
        target: Target::CortexM4,
        module: Some("boards/apps/gesture/model/watch.rs"),
    },
    Committed {
        file: "boards/apps/digits/model/digits.ferro",
        source: "tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite",
        target: Target::CortexM4,
        module: Some("boards/apps/digits/model/digits.rs"),
    },
];

/// Made by `tests/custom.rs`, which has the operator that it needs.
const CUSTOM: &str = "boards/apps/contrast/model/contrast.ferro";

/// A file of an earlier version of the format, which must be refused.
const OUTDATED: &str = "tests/models/sine/version_1.ferro";

#[test]
fn committed_files_are_fresh() {
    let renew = std::env::var("FERROLITE_RENEW").is_ok_and(|value| value == "1");
    let mut stale = Vec::new();
    let mut compare = |path: &str, made: &[u8]| {
        let path = root().join(path);
        if std::fs::read(&path).is_ok_and(|found| found == made) {
            return;
        }
        if renew {
            std::fs::write(&path, made).expect("is writable");
            println!("{} made anew", path.display());
        } else {
            stale.push(format!("{}", path.display()));
        }
    };
    for &Committed { file, source, target, module } in COMMITTED {
        let options = ConvertOptions { target, ..ConvertOptions::default() };
        let converted = convert(&root().join(source), &options, &()).expect("a supported model");
        compare(file, converted.file.bytes());
        if let Some(module) = module {
            compare(module, bindings::rust(&converted.file.model().expect("a sound file")).as_bytes());
        }
    }
    assert!(stale.is_empty(), "`cargo xtask models` makes them anew:\n{}", stale.join("\n"));
}

#[test]
fn every_file_is_made_by_one_command() {
    let mut found: Vec<PathBuf> =
        [files(&root().join("tests/models"), ".ferro"), files(&root().join("boards/apps"), ".ferro")]
            .concat();
    // Made of other people's models, and not in the repository.
    found.retain(|file| !file.starts_with(root().join("boards/apps/keywords/model/made")));
    let known = COMMITTED.iter().map(|committed| committed.file).chain([CUSTOM, OUTDATED]);
    let mut known: Vec<PathBuf> = known.map(|file| root().join(file)).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}
