//! Compiles the module that `convert --rust` writes as firmware does: it must give no warning, and it must
//! not compile if the kernels are those of another core than the model is packed for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A crate that contains the module of one model.
struct Firmware(PathBuf);

impl Firmware {
    /// Converts a model for a target.
    fn new(target: &str) -> Firmware {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("module-{target}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("src")).unwrap();
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime");
        let manifest = format!(
            "[package]\nname = \"firmware\"\nedition = \"2024\"\n\n[workspace]\n\n[features]\n\
             foreign = [\"ferrolite-runtime/foreign-kernels\"]\n\n[dependencies]\n\
             ferrolite-runtime = {{ path = '{}' }}\n",
            runtime.display()
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        // A private module of which nothing is used gives every possible warning.
        fs::write(folder.join("src/lib.rs"), "#![no_std]\n#![deny(warnings)]\nmod model;\n").unwrap();
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite");
        let converted = Command::new(env!("CARGO_BIN_EXE_ferrolite"))
            .current_dir(&folder)
            .args(["convert", "-o", "model.ferro", "--rust", "src/model.rs", "--target", target])
            .arg(source)
            .output()
            .unwrap();
        assert!(converted.status.success(), "{}", text(&converted));
        Firmware(folder)
    }

    /// Compiles it for a Rust target with compiler flags and features. All crates share one target folder.
    fn check(&self, target: &str, rustflags: &str, features: &str) -> Output {
        let mut cargo = Command::new("cargo");
        for outer in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(outer);
        }
        cargo.current_dir(&self.0).env("RUSTFLAGS", rustflags);
        cargo.args(["check", "--offline", "--quiet", "--target", target, "--features", features]);
        cargo.arg("--target-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules"));
        cargo.output().unwrap()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn good(output: &Output, case: &str) {
    assert!(output.status.success() && output.stderr.is_empty(), "{case}: {}", text(output));
}

const V8: &str = "thumbv8m.main-none-eabihf";
const M33: &str = "-Ctarget-cpu=cortex-m33";

#[test]
fn it_compiles_for_its_own_core_and_for_hosts_only() {
    let firmware = Firmware::new("cortex-m33");
    good(&firmware.check("host-tuple", "", ""), "a host simulates firmware");
    good(&Firmware::new("portable").check("host-tuple", "", ""), "packed for no core");
    if !ferrolite::board::list().iter().any(|status| status.board.target == V8 && status.target_installed) {
        println!("skipped: {V8} is not installed");
        return;
    }
    good(&firmware.check(V8, M33, ""), "its own core");
    let refused = firmware.check(V8, "", "");
    assert!(!refused.status.success(), "no flag says that the core has SMLAD");
    for word in ["packed for cortex-m33", "-C target-cpu=cortex-m33", "foreign-kernels"] {
        assert!(text(&refused).contains(word), "{word}: {}", text(&refused));
    }
    good(&firmware.check(V8, "", "foreign"), "the feature allows it");
    assert!(!Firmware::new("cortex-m55").check(V8, M33, "").status.success(), "M33 has no MVE");
    good(&Firmware::new("portable").check(V8, M33, ""), "packed for no core, on a core");
}
