//! The pictures of the book, from models of this repository: what int8 does to a function, to activations and to
//! weights. `cargo xtask book --pictures` writes them into `boards/book/src/pictures`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::data::Dataset;
use ferrolite::eager::{Memory, Session};
use ferrolite::graph::Constant;
use ferrolite::model_file::{self, ModelFile, input_specs};
use ferrolite::report::distribution::{Histogram, distributions};
use ferrolite::{Error, Result, import, ops, passes};

/// Width and height of a picture, and the room around what is drawn.
const WIDTH: f32 = 640.0;
const HEIGHT: f32 = 260.0;
const LEFT: f32 = 46.0;
const TOP: f32 = 30.0;
const RIGHT: f32 = 14.0;
const BOTTOM: f32 = 34.0;

fn main() {
    let folder = std::env::args().nth(1).map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../boards/book/src/pictures"),
        PathBuf::from,
    );
    if let Err(error) = draw_all(&folder) {
        eprintln!("error: {error}\nhelp: {}", error.help);
        std::process::exit(error.exit_code().into());
    }
}

fn models() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

fn draw_all(folder: &Path) -> Result<()> {
    let digits = Digits::read()?;
    let pictures = [
        ("sine.svg", sine()?),
        ("activations.svg", digits.activations()?),
        ("channels.svg", digits.channels()?),
    ];
    for (name, text) in pictures {
        let path = folder.join(name);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| Error::input(format!("{}: cannot be written: {error}", path.display())))?;
    }
    Ok(())
}

/// A picture with axes: `x` and `y` are the ends of what they show.
struct Picture {
    x: (f32, f32),
    y: (f32, f32),
    svg: String,
}

impl Picture {
    fn new(title: &str, x: (f32, f32), y: (f32, f32)) -> Picture {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<title>{title}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"19\" font-size=\"14\" fill=\"#222\">{title}</text>\n"
        );
        Picture { x, y, svg }
    }

    fn px(&self, x: f32) -> f32 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn py(&self, y: f32) -> f32 {
        HEIGHT - BOTTOM - (y - self.y.0) / (self.y.1 - self.y.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn rect(&mut self, from: (f32, f32), to: (f32, f32), fill: &str) {
        let (x, y) = (self.px(from.0), self.py(to.1));
        let (width, height) = (self.px(to.0) - x, self.py(from.1) - y);
        let _ = writeln!(
            self.svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        );
    }

    fn line(&mut self, points: &[(f32, f32)], stroke: &str, width: f32) {
        let places: Vec<String> =
            points.iter().map(|&(x, y)| format!("{:.1},{:.1}", self.px(x), self.py(y))).collect();
        let _ = writeln!(
            self.svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>",
            places.join(" ")
        );
    }

    fn words(&mut self, (x, y): (f32, f32), anchor: &str, fill: &str, words: &str) {
        let _ = writeln!(
            self.svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{words}</text>",
            self.px(x),
            self.py(y)
        );
    }

    /// Numbers below the picture, and words under all of it.
    fn below(&mut self, ticks: &[(f32, String)], words: &str) {
        let (bottom, floor) = (HEIGHT - BOTTOM, self.y.0);
        self.line(&[(self.x.0, floor), (self.x.1, floor)], "#666", 1.0);
        for (at, text) in ticks {
            let _ = writeln!(
                self.svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444\">{text}</text>",
                self.px(*at),
                bottom + 14.0
            );
        }
        let _ = writeln!(
            self.svg,
            "<text x=\"{WIDTH}\" dx=\"-14\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444\">{words}</text>",
            HEIGHT - 5.0
        );
    }

    fn finish(mut self) -> String {
        self.svg += "</svg>\n";
        self.svg
    }
}

/// The answers of the sine model around a peak, beside the sine that it has learnt.
fn sine() -> Result<String> {
    let file = ModelFile::read(&models().join("sine/sine.ferro"))?;
    let model = file.model()?;
    let step = |ports: Vec<model_file::PortFacts>| ports.first().and_then(|port| port.quantization);
    let (Some((input, _)), Some((output, _))) =
        (step(model_file::inputs(&model)), step(model_file::outputs(&model)))
    else {
        return Err(Error::input("the sine model has float borders"));
    };
    // A peak: over the whole period steps are finer than the line.
    let (from, to) = (0.8, 2.4);
    let mut answers = Vec::new();
    let mut memory = Memory::for_model(&model);
    let mut session = Session::new(&model, &mut memory)?;
    for index in 0..1024 {
        let x = from + index as f32 / 1023.0 * (to - from);
        session.set_input(0, &[x])?;
        while session.step()?.is_some() {}
        answers.push((x, session.output(0)?.real()[0]));
    }
    let title = "What int8 leaves of a function: the model sine";
    let mut picture = Picture::new(title, (from, to), (0.64, 1.06));
    let truth: Vec<(f32, f32)> =
        (0..=200).map(|i| from + i as f32 / 200.0 * (to - from)).map(|x| (x, x.sin())).collect();
    picture.line(&truth, "#bbb", 5.0);
    picture.line(&answers, "#c0392b", 1.2);
    picture.words((1.35, 0.76), "start", "#888", "grey: the sine");
    picture.words((1.35, 0.72), "start", "#c0392b", "red: the model's int8 answers");
    let ticks = [0.8, 1.2, 1.6, 2.0, 2.4].map(|x| (x, format!("{x}")));
    for y in [0.7, 0.8, 0.9, 1.0] {
        picture.words((from - 0.02, y), "end", "#444", &format!("{y}"));
    }
    picture.below(&ticks, &format!("a step of the input is {input:.4}, one of the answer {output:.4}"));
    Ok(picture.finish())
}

/// The digit classifier, converted from float.
struct Digits {
    source: ferrolite::graph::Graph,
    file: ModelFile,
    samples: String,
}

impl Digits {
    fn read() -> Result<Digits> {
        let folder = models().join("mnist_cnn");
        let path = folder.join("mnist_cnn_float.tflite");
        let samples = format!("{}:cal_x", folder.join("data.npz").display());
        let options = ConvertOptions { calibrate: Some(samples.clone()), ..ConvertOptions::default() };
        let converted = convert(&path, &options, &())?;
        Ok(Digits { source: import::load(&path)?.graph, file: converted.file, samples })
    }

    /// How the numbers behind the first layer are spread, and the range that 256 integers divide.
    fn activations(&self) -> Result<String> {
        let model = self.file.model()?;
        let data = Dataset::load(&self.samples, &input_specs(&model))?;
        let all = distributions(&self.source, &model, Some(&data))?;
        let names = model_file::layers(&model);
        // The last layer that adds up: its results are spread to both sides.
        let found = all.iter().zip(&names).rev().find(|(_, layer)| layer.op == "FULLY_CONNECTED");
        let Some((Histogram { min, max, counts, range: Some(range), steps: Some((step, _)), .. }, layer)) =
            found.and_then(|(distribution, layer)| Some((distribution.activations.as_ref()?, layer)))
        else {
            return Err(Error::input("the digit classifier has no scores"));
        };
        let most = counts.iter().copied().max().unwrap_or(1) as f32;
        let ends = (range.0.min(*min), range.1.max(*max));
        let room = (ends.1 - ends.0) * 0.04;
        let title = format!("Scores of the digit classifier (mnist_cnn, {})", layer.op);
        let mut picture = Picture::new(&title, (ends.0 - room, ends.1 + room), (0.0, most * 1.15));
        picture.rect((range.0, 0.0), (range.1, most * 1.08), "#eef4fb");
        // Every eighth of the 256 values that an int8 can have.
        for eighth in 0..=32 {
            let x = range.0 + step * 8.0 * eighth as f32;
            if x <= range.1 {
                picture.line(&[(x, 0.0), (x, most * 1.08)], "#c9dcf0", 0.6);
            }
        }
        let width = (max - min) / counts.len() as f32;
        for (index, &count) in counts.iter().enumerate() {
            let from = min + width * index as f32;
            picture.rect((from, 0.0), (from + width * 0.9, count as f32), "#2d6cb0");
        }
        let ticks = [range.0, 0.0, range.1].map(|x| (x, format!("{x:.1}")));
        picture.below(
            &ticks,
            &format!(
                "blue field: the range of int8, a line for every 8th of its 256 values, {step:.3} apart each"
            ),
        );
        Ok(picture.finish())
    }

    /// The largest weight of each output channel of the widest convolution.
    fn channels(&self) -> Result<String> {
        let graph = passes::for_quantization(&self.source);
        let layers = graph.nodes.iter().filter_map(|node| {
            let (weights, axis) = ops::weights_of(&graph, node)?;
            match weights.constant.as_ref()? {
                Constant::F32(data) => Some((node, weights.shape.clone(), axis, data.clone())),
                _ => None,
            }
        });
        let Some((node, shape, axis, data)) =
            layers.max_by_key(|(_, shape, axis, _)| (shape.len(), shape[*axis]))
        else {
            return Err(Error::input("the digit classifier has no float weights"));
        };
        let (channels, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>().max(1));
        let mut largest = vec![0f32; channels];
        for (index, weight) in data.iter().enumerate() {
            let channel = index / inner % channels;
            largest[channel] = largest[channel].max(weight.abs());
        }
        let most = largest.iter().copied().fold(0.0, f32::max);
        let least = largest.iter().copied().fold(most, f32::min);
        let title = format!("The largest weight of each channel (mnist_cnn, {})", node.op.name());
        let mut picture = Picture::new(&title, (0.0, channels as f32), (0.0, most * 1.15));
        for (channel, &weight) in largest.iter().enumerate() {
            picture.rect((channel as f32 + 0.1, 0.0), (channel as f32 + 0.9, weight), "#2d6cb0");
        }
        picture.line(&[(0.0, most), (channels as f32, most)], "#c0392b", 1.0);
        picture.words(
            (channels as f32, most * 1.04),
            "end",
            "#c0392b",
            "one scale for all would be this channel's",
        );
        picture.words((-0.1, most), "end", "#444", &format!("{most:.2}"));
        picture.words((-0.1, 0.0), "end", "#444", "0");
        picture.below(
            &[],
            &format!(
                "{channels} channels, each with a scale of its own: the smallest has steps {:.1} times finer",
                most / least
            ),
        );
        Ok(picture.finish())
    }
}
