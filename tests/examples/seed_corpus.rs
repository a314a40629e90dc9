//! Writes the models of `tests/models` as `.ferro` files into a folder: seeds for the fuzzer.
//!
//! ```text
//! cargo run -p ferrolite-conformance --example seed_corpus -- tests/fuzz/corpus/model
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferrolite::emit::{self, Options};
use ferrolite::{import, passes};

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

/// Writes each int8 model as it was imported and after the passes.
fn write_seeds(folder: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"))? {
        let entry = entry?.path();
        if !entry.is_dir() {
            continue;
        }
        for model in std::fs::read_dir(entry)? {
            let model = model?.path();
            let name = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // Float models have to be quantized first, which adds nothing to the seeds.
            if model.extension().is_none_or(|ending| ending != "tflite") || name.contains("float") {
                continue;
            }
            let mut graph = import::load(&model)?.graph;
            std::fs::write(folder.join(&name), emit::compile(&graph, &Options::default())?.bytes)?;
            passes::optimise(&mut graph);
            let optimised = folder.join(format!("{name}_optimised"));
            std::fs::write(optimised, emit::compile(&graph, &Options::default())?.bytes)?;
            count += 2;
        }
    }
    Ok(count)
}
