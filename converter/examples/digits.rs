//! The main use case, through the library: a float digit classifier becomes int8, runs on an emulated
//! Cortex-M4, and is compared with its float reference. `cargo xtask demo` runs this.

use std::path::{Path, PathBuf};

use ferrolite::board;
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::data::{Dataset, Labels, load_labels};
use ferrolite::model_file::{input_specs, operators, outputs};
use ferrolite::reference::Executor;
use ferrolite::{Error, Result, import, noise::argmax};
use ferrolite_runtime::quant::dequantize;

const BOARD: &str = "qemu-cortex-m4";

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}\nhelp: {}", error.help);
        std::process::exit(error.exit_code().into());
    }
}

fn run() -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models/mnist_cnn");
    let source = folder.join("mnist_cnn_float.tflite");
    let data = |array: &str| format!("{}:{array}", folder.join("data.npz").display());

    println!("1. Convert: a float TFLite model and 256 calibration images become an int8 .ferro file");
    let board = board::find(BOARD)?;
    let target = board.core_target();
    let options = ConvertOptions { calibrate: Some(data("cal_x")), target, ..ConvertOptions::default() };
    let converted = convert(&source, &options, &())?;
    for note in &converted.notes {
        println!("   {note}");
    }
    let file = &converted.file;
    let model = file.model()?;
    let size = |path: &Path| std::fs::metadata(path).map(|m| m.len()).unwrap_or(0);
    println!("   {} bytes float -> {} bytes int8", size(&source), file.bytes().len());

    let images = Dataset::load(&data("test_x"), &input_specs(&model))?;
    let Labels::Classes(labels) = load_labels(&data("test_y"), "")? else {
        return Err(Error::input("the labels are not class numbers"));
    };
    println!("2. Run: {} test images on {BOARD}", images.len());
    let inputs: Vec<Vec<u8>> =
        (0..images.len()).map(|i| Ok(images.raw(i)?.concat())).collect::<Result<_>>()?;
    let answers = board::run(board, file.bytes(), &inputs, board::RunOptions::default())?;

    println!("3. Compare with the float reference");
    let graph = import::load(&source)?.graph;
    let reference = Executor::new(&graph)?;
    let (scale, zero_point) = outputs(&model)
        .first()
        .and_then(|output| output.quantization)
        .ok_or_else(|| Error::input("the output is not quantized"))?;
    let (mut float_right, mut int8_right, mut agree) = (0, 0, 0);
    let mut shown = None;
    for (index, answer) in answers.outputs.iter().enumerate() {
        let image = images.real(index)?;
        let views: Vec<&[f32]> = image.iter().map(Vec::as_slice).collect();
        let float = argmax(&reference.run(&views)?[0]);
        let scores: Vec<f32> =
            answer.iter().map(|&q| dequantize(i32::from(q as i8), scale, zero_point)).collect();
        let int8 = argmax(&scores);
        let label = labels.get(index).copied();
        float_right += usize::from(float == label);
        int8_right += usize::from(int8 == label);
        agree += usize::from(float == int8);
        shown.get_or_insert((image[0].clone(), scores, label));
    }
    let percent = |n: usize| 100.0 * n as f64 / images.len() as f64;
    println!("   accuracy, float           {:6.2} %", percent(float_right));
    println!("   accuracy, int8 on board   {:6.2} %", percent(int8_right));
    println!("   agreement                 {:6.2} %", percent(agree));

    println!("4. What it takes on {}", board.core);
    println!("   instructions / inference  {}", answers.instructions);
    println!("   instructions to start     {}", answers.init_instructions);
    println!("   arena (RAM)               {} bytes", answers.arena_bytes);
    println!("   stack                     {} bytes", answers.stack_bytes);
    println!("   model (flash)             {} bytes", file.bytes().len());
    println!(
        "   runtime code (flash)      {} bytes",
        board::runtime_flash_bytes(board, &operators(&model, board.core_target()))?
    );

    if let Some((image, scores, label)) = shown {
        println!("\nThe first image, labelled {}:", label.map_or("?".into(), |l| l.to_string()));
        for row in image.chunks(28).collect::<Vec<_>>().chunks(2) {
            // Two rows of pixels make one line of text, because characters are twice as high as wide.
            let pixel = |x: usize| row.iter().map(|r| r[x]).sum::<f32>() / row.len() as f32;
            let line: String =
                (0..28).map(|x| [' ', '.', ':', 'o', '#', '@'][(pixel(x) * 5.0) as usize]).collect();
            println!("   {}", line.trim_end());
        }
        for (class, score) in scores.iter().enumerate() {
            let bar = "#".repeat((score * 40.0).round() as usize);
            println!("   {class}  {score:.3}  {bar}");
        }
    }
    Ok(())
}
