//! Writes models as `.ferro` files for every core into a folder, as seeds for the fuzzer: those of
//! `tests/models`, the first vectors of each operator, and one model with state.
//!
//! ```text
//! cargo run -p ferrolite-conformance --example seed_corpus -- tests/fuzz/corpus/model
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferrolite::emit::{self, Options, Winograd};
use ferrolite::{import, passes};
use ferrolite_runtime::Target;

#[allow(dead_code)]
#[path = "../tests/common/program.rs"]
mod program;
#[path = "../tests/common/stream.rs"]
mod stream;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seed_corpus FOLDER");
        return ExitCode::from(2);
    };
    match write_seeds(&folder) {
        Ok(count) => {
            println!("{count} seeds in {}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Vectors of an operator that become seeds. The fuzzer needs each branch once.
const VECTORS: usize = 3;

/// Writes each int8 model as it was imported and, for each core, after the passes.
fn write_seeds(folder: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let mut count = 0;
    for (group, most) in [("models", usize::MAX), ("vectors", VECTORS)] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(group))? {
            let entry = entry?.path();
            // Broken files have tests of their own.
            if !entry.is_dir() || entry.ends_with("bad") {
                continue;
            }
            let models = std::fs::read_dir(entry)?.map(|model| Ok(model?.path()));
            let mut models: Vec<PathBuf> = models.collect::<std::io::Result<_>>()?;
            models.sort();
            models.retain(|model| model.extension().is_some_and(|ending| ending == "tflite"));
            for model in models.iter().take(most) {
                count += write_model(model, folder)?;
            }
        }
    }
    std::fs::write(folder.join("stream.ferro"), stream::program().file().bytes())?;
    Ok(count + 1)
}

/// The seeds of one model. A float model has none: it would have to be quantized first, and adds nothing.
fn write_model(model: &Path, folder: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let name = model.strip_prefix(env!("CARGO_MANIFEST_DIR"))?.with_extension("");
    let name = name.to_string_lossy().replace(['/', '\\'], "_");
    if name.contains("float") {
        return Ok(0);
    }
    let mut graph = import::load(model)?.graph;
    std::fs::write(folder.join(&name), emit::compile(&graph, &Options::default())?.bytes)?;
    passes::optimise(&mut graph);
    for target in TARGETS {
        // Winograd's algorithm is used wherever there are kernels for it.
        let options = Options { target, winograd: Winograd::Always, ..Options::default() };
        std::fs::write(
            folder.join(format!("{name}_{}", target.name())),
            emit::compile(&graph, &options)?.bytes,
        )?;
    }
    Ok(1 + TARGETS.len())
}

/// One core of each kernel set.
const TARGETS: [Target; 7] = [
    Target::Portable,
    Target::CortexM0,
    Target::CortexM3,
    Target::CortexM4,
    Target::CortexM55,
    Target::RiscV32,
    Target::Host,
];
