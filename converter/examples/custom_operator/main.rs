//! A custom operator, from a model file to a microcontroller. The network of `models.rs` has a layer that
//! Ferrolite does not know, `example.Contrast`. `contrast.rs` is the code that a device runs for it, and
//! `host.rs` is what the converter needs; the firmware in `boards/apps/contrast` links the former. Run it
//! with `cargo run --release -p ferrolite --example custom_operator`.

mod contrast;
mod host;
mod models;

use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::data::Dataset;
use ferrolite::import::{self, ImportOptions};
use ferrolite::model_file::{input_specs, layers};
use ferrolite::run::{RunOptions, run_host};
use ferrolite::{Error, Result, compare};

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}\nhelp: {}", error.help);
        std::process::exit(error.exit_code().into());
    }
}

fn run() -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::input(e.to_string()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).map(|()| path).map_err(|e| Error::input(e.to_string()))
    };
    let rows = models::samples(64)
        .into_iter()
        .map(|sample| sample.iter().map(f32::to_string).collect::<Vec<String>>().join(",") + "\n");
    let data = write("samples.csv", rows.collect::<String>().as_bytes())?.display().to_string();

    for (name, bytes) in [("net.tflite", models::tflite()), ("net.onnx", models::onnx())] {
        let source = write(name, &bytes)?;
        let import = ImportOptions { custom: host::registry(), ..ImportOptions::default() };
        let options = ConvertOptions {
            import: import.clone(),
            calibrate: Some(data.clone()),
            ..ConvertOptions::default()
        };
        let converted = convert(&source, &options, &())?;
        let model = converted.file.model()?;
        println!("{name}: {} bytes, an arena of {}", converted.file.bytes().len(), model.arena_bytes());
        for layer in layers(&model) {
            println!("   {} ({}) runs {}", layer.name, layer.op, layer.code);
        }

        let samples = Dataset::load(&data, &input_specs(&model))?;
        let options = RunOptions { ops: converted.file.operators(), ..RunOptions::default() };
        let outputs = run_host(&model, &samples, &options, &|| ())?;
        println!("   scores of the first spectrum: {:?}", &outputs.real(0, 0)[..models::SCORES]);
        let graph = import::load_with(&source, &import)?.graph;
        let compared = compare::compare(&graph, &model, &samples, &compare::Options::default(), &())?;
        println!("   signal to noise: {:.1} dB", compared.outputs[0].sqnr_db.unwrap_or(f64::INFINITY));
    }
    println!("A firmware lists it beside what the model needs else: Operator::custom::<Contrast>()");
    Ok(())
}
