//! Samples like those that the models were trained on, from the shared data sets, if the collection has any.

use std::fs::File;
use std::path::Path;

use ferrolite::data::npz::{self, NamedArray, Npz};
use ferrolite::data::{Labels, load_labels};
use ferrolite::graph::DType;
use ferrolite::{Error, Result};

/// Rows for calibration, as many as TensorFlow used for its models.
const CALIBRATION: usize = 256;

/// Samples for a model with one input.
pub struct Samples {
    shape: Vec<usize>,
    calibration: Vec<f32>,
    test: Vec<f32>,
    /// The classes or values of the test samples.
    pub labels: Option<Labels>,
}

/// The samples in a file, which exists as long as this value.
pub struct Files(tempfile::TempDir);

impl Files {
    fn array(&self, name: &str) -> String {
        format!("{}:{name}", self.0.path().join("samples.npz").display())
    }

    /// DATA argument of the typical samples.
    pub fn calibration(&self) -> String {
        self.array("calibration")
    }

    /// DATA argument of the samples for judging.
    pub fn test(&self) -> String {
        self.array("test")
    }
}

impl Samples {
    /// Writes the samples where `--calibrate` and `compare` can read them.
    pub fn store(&self) -> Result<Files> {
        let failed = |e: std::io::Error| Error::input(format!("the samples cannot be stored: {e}"));
        let folder = tempfile::tempdir().map_err(failed)?;
        let file = File::create(folder.path().join("samples.npz")).map_err(failed)?;
        let array = |name: &str, values: &[f32]| {
            let rows = values.len() / self.shape.iter().product::<usize>();
            NamedArray {
                name: name.into(),
                dtype: DType::Float32,
                shape: [&[rows], self.shape.as_slice()].concat(),
                bytes: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            }
        };
        npz::write(&[array("calibration", &self.calibration), array("test", &self.test)], file)
            .map_err(failed)?;
        Ok(Files(folder))
    }

    /// The same samples with each value changed.
    fn map(mut self, f: impl Fn(f32) -> f32) -> Samples {
        self.calibration.iter_mut().chain(&mut self.test).for_each(|x| *x = f(*x));
        self
    }
}

/// All rows of an array as real numbers, and the shape of one.
fn read(path: &Path, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
    let array = Npz::open(path)?.read(name)?;
    let values = (0..array.rows()).flat_map(|row| array.row_f32(row)).collect();
    Ok((values, array.shape().iter().skip(1).copied().collect()))
}

/// The calibration rows that TensorFlow used, and the whole test set, divided by `one`.
pub fn trained(folder: &Path, model: &str, set: &str, one: f32) -> Result<Samples> {
    let (calibration, _) = read(&folder.join("trained").join(model).join("test_and_cal.npz"), "cal_x")?;
    let set = folder.join("datasets").join(format!("{set}.npz"));
    let (test, shape) = read(&set, "x_test")?;
    let labels = Some(load_labels(&format!("{}:y_test", set.display()), "")?);
    Ok(Samples { shape, calibration, test: test.iter().map(|x| x / one).collect(), labels })
}

/// Angles and their sines: the rows beside the model.
pub fn sine(folder: &Path) -> Result<Samples> {
    let path = folder.join("trained/sine/test_and_cal.npz");
    let (calibration, _) = read(&path, "cal_x")?;
    let (test, shape) = read(&path, "test_x")?;
    let labels = Some(load_labels(&format!("{}:test_y", path.display()), "")?);
    Ok(Samples { shape, calibration, test, labels })
}

/// Digits of 0 to 255, as the ONNX model zoo uses them.
pub fn mnist_pixels(folder: &Path) -> Result<Samples> {
    Ok(trained(folder, "mnist_cnn", "mnist", 255.0)?.map(|x| x * 255.0))
}

/// Digits of half the size; four pixels become one.
pub fn mnist_halved(folder: &Path) -> Result<Samples> {
    let mut digits = mnist_pixels(folder)?;
    let halved = |pixels: &[f32]| -> Vec<f32> {
        let pair = |row: &[f32]| row.chunks(2).map(|pair| pair.iter().sum::<f32>()).collect::<Vec<_>>();
        let rows = pixels.chunks(2 * 28).map(|rows| rows.split_at(28));
        rows.flat_map(|(a, b)| pair(a).into_iter().zip(pair(b)).map(|(a, b)| (a + b) / 4.0)).collect()
    };
    digits.calibration = halved(&digits.calibration);
    digits.test = halved(&digits.test);
    digits.shape = vec![14, 14];
    Ok(digits)
}

/// Random numbers in [-1, 1), the same on every run.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    // Knuth's MMIX generator; its upper bits are good.
    let step = |state: &u64| Some(state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
    std::iter::successors(step(&seed), step).map(|state| (state >> 40) as f32 / (1 << 23) as f32 - 1.0)
}

/// Noise, because nothing is known about the model's training data.
pub fn noise_5x5(_: &Path) -> Result<Samples> {
    let some = |seed, rows: usize| noise(seed).take(rows * 25).collect();
    Ok(Samples { shape: vec![5, 5], calibration: some(1, CALIBRATION), test: some(2, 1000), labels: None })
}

/// Pictures of clothes as grey pictures of 32x32, since the collection has no CIFAR-10: the network gives
/// some results, and int8 should give the same.
pub fn grey_pictures(folder: &Path) -> Result<Samples> {
    let path = folder.join("datasets/fashion.npz");
    let grey = |name, rows: usize| -> Result<Vec<f32>> {
        let (pixels, _) = read(&path, name)?;
        let mut pictures = vec![0.0; rows * 32 * 32 * 3];
        for (picture, pixels) in pictures.chunks_exact_mut(32 * 32 * 3).zip(pixels.chunks_exact(28 * 28)) {
            let lines = picture.chunks_exact_mut(32 * 3).skip(2);
            for (line, pixels) in lines.zip(pixels.chunks_exact(28)) {
                for (cell, &pixel) in line.chunks_exact_mut(3).skip(2).zip(pixels) {
                    cell.fill(pixel);
                }
            }
        }
        Ok(pictures)
    };
    let (calibration, test) = (grey("x_train", CALIBRATION)?, grey("x_test", 2000)?);
    Ok(Samples { shape: vec![32, 32, 3], calibration, test, labels: None })
}

/// The only real recording of the collection for keyword spotting, shifted in time, each copy with other
/// noise: the features of one second as 49 rows of 10.
pub fn recording(folder: &Path) -> Result<Samples> {
    let path = folder.join("real/kws_ref_model.oracle.npz");
    let array = Npz::open(&path)?.read("real_in0")?;
    // The int8 model's input quantizes it: scale and zero point are those in the manifest.
    let real = |q: f32| 0.584703 * (q - 83.0);
    let features: Vec<f32> = array.row_f32(0).into_iter().map(real).collect();
    let rolled = |seed, rows: usize| -> Vec<f32> {
        let all = (0..rows).flat_map(|row| {
            let (late, early) = features.split_at(row * 7 % 49 * 10);
            early.iter().chain(late)
        });
        all.zip(noise(seed)).map(|(x, noise)| x + 8.0 * noise).collect()
    };
    Ok(Samples {
        shape: vec![49, 10],
        calibration: rolled(3, CALIBRATION),
        test: rolled(4, 1000),
        labels: None,
    })
}
