//! Statistics of the parts of a data set give the file that one machine with all samples writes, byte for byte, however
//! the samples are cut and shuffled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrolite::convert::{ConvertOptions, Shard, convert, statistics};
use ferrolite::data::Scale;
use ferrolite::data::npz::{NamedArray, Npz, write};
use ferrolite::graph::DType;
use ferrolite::quantize::{Calibration, Io};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A model, the samples for it as bytes of float32, and a folder to work in.
struct Desk {
    folder: tempfile::TempDir,
    model: PathBuf,
    shape: Vec<usize>,
    rows: Vec<Vec<u8>>,
}

impl Desk {
    /// The samples of a model of the repository, each several times with other noise. The first element of some is `far`.
    fn new(model: &str, copies: usize, (far, some): (f32, usize)) -> Desk {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
        let model = models.join(model);
        let mut npz = Npz::open(&model.with_file_name("data.npz")).unwrap();
        let array = npz.read("cal_x").unwrap();
        let shape = array.shape().to_vec();
        let mut random = Random(7);
        let mut rows = Vec::new();
        for copy in 0..copies {
            for row in 0..shape[0] {
                let noise = |bytes: &[u8]| {
                    let x = f32::from_le_bytes(bytes.try_into().unwrap());
                    (x + (random.below(1000) as f32 - 500.0) * 4e-5 * copy as f32).to_le_bytes()
                };
                rows.push(array.row_bytes(row).chunks_exact(4).flat_map(noise).collect::<Vec<u8>>());
            }
        }
        for index in 0..some {
            rows[(index * 97 + 13) % (copies * shape[0])][..4].copy_from_slice(&far.to_le_bytes());
        }
        Desk { folder: tempfile::tempdir().unwrap(), model, shape, rows }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes samples, by their numbers, and returns the DATA argument.
    fn data(&self, name: &str, numbers: &[usize]) -> String {
        let bytes: Vec<u8> = numbers.iter().flat_map(|&number| self.rows[number].clone()).collect();
        let shape = [&[numbers.len()], &self.shape[1..]].concat();
        let path = self.path(name);
        let array = NamedArray { name: "x".into(), dtype: DType::Float32, shape, bytes };
        write(&[array], fs::File::create(&path).unwrap()).unwrap();
        format!("{}:x", path.display())
    }

    /// The file that one machine writes, with the way that it chose.
    fn whole(&self, options: &ConvertOptions, numbers: &[usize]) -> (Vec<u8>, String) {
        let calibrate = Some(self.data("all.npz", numbers));
        let converted = convert(&self.model, &ConvertOptions { calibrate, ..options.clone() }, &()).unwrap();
        (converted.file.bytes().to_vec(), converted.calibration.unwrap())
    }

    /// Gathers each part until nothing is left to ask; the file, and the rounds that it took.
    fn merged(&self, options: &ConvertOptions, parts: &[Vec<usize>], early_bytes: usize) -> (Vec<u8>, usize) {
        let data: Vec<String> =
            parts.iter().enumerate().map(|(k, numbers)| self.data(&format!("{k}.npz"), numbers)).collect();
        let mut before: Vec<PathBuf> = Vec::new();
        for round in 1..=9 {
            let mut gathered = Vec::new();
            for (k, data) in data.iter().enumerate() {
                let shard =
                    Shard { data: data.clone(), before: before.clone(), early_bytes, ..Shard::default() };
                let bytes = statistics(&self.model, &shard, options, &()).unwrap().bytes;
                gathered.push(self.path(&format!("{round}-{k}.part")));
                fs::write(&gathered[k], bytes).unwrap();
            }
            // Their order does not matter either.
            gathered.reverse();
            let options = ConvertOptions { statistics: gathered.clone(), ..options.clone() };
            match convert(&self.model, &options, &()) {
                Ok(converted) => {
                    assert_eq!(converted.samples, parts.iter().map(Vec::len).sum::<usize>());
                    return (converted.file.bytes().to_vec(), round);
                }
                Err(error) => assert!(error.message.contains("another question"), "{error:?}"),
            }
            before = gathered;
        }
        panic!("there is no end of rounds");
    }
}

/// A random order, cut at random places.
fn cut(random: &mut Random, count: usize, parts: usize) -> Vec<Vec<usize>> {
    let mut numbers: Vec<usize> = (0..count).collect();
    (1..count).rev().for_each(|i| numbers.swap(i, random.below(i + 1)));
    let mut places: Vec<usize> = (1..count).collect();
    (1..places.len()).rev().for_each(|i| places.swap(i, random.below(i + 1)));
    places.truncate(parts - 1);
    places.extend([0, count]);
    places.sort_unstable();
    places.windows(2).map(|ends| numbers[ends[0]..ends[1]].to_vec()).collect()
}

fn holds(desk: &Desk, options: &ConvertOptions, parts: &[usize], early_bytes: usize) -> Vec<(String, usize)> {
    let mut random = Random(parts.len() as u64 + 11);
    let all: Vec<usize> = (0..desk.rows.len()).collect();
    let (wanted, way) = desk.whole(options, &all);
    let shuffled = cut(&mut random, all.len(), 1);
    assert!(desk.whole(options, &shuffled[0]).0 == wanted, "{}: shuffled", options.calibration);
    let mut took = Vec::new();
    for &parts in parts {
        let cuts = cut(&mut random, all.len(), parts);
        let (found, rounds) = desk.merged(options, &cuts, early_bytes);
        assert!(found == wanted, "{}: {parts} parts", options.calibration);
        took.push((way.clone(), rounds));
    }
    took
}

fn by(calibration: Calibration) -> ConvertOptions {
    ConvertOptions { calibration, ..ConvertOptions::default() }
}

#[test]
fn any_cut_gives_the_same_file() {
    let desk = Desk::new("digits_mlp/digits_mlp_float.tflite", 1, (0.0, 0));
    for calibration in Calibration::METHODS {
        let rounds = match calibration {
            Calibration::MinMax | Calibration::MovingAverage => 1,
            _ => 2,
        };
        let parts: &[usize] = if rounds == 1 { &[1, 2, 7, 64] } else { &[2, 7] };
        for (_, took) in holds(&desk, &by(calibration), parts, 16 << 20) {
            assert_eq!(took, rounds, "{calibration}");
        }
    }
}

#[test]
fn trials_choose_the_same() {
    let mut ways = Vec::new();
    // Samples that are too large for the first round are drawn in the second.
    for (far, parts, early_bytes) in [((3.0, 1), 3, 16 << 20), ((4.0, 2), 2, 0), ((0.0, 0), 7, 16 << 20)] {
        let desk = Desk::new("digits_mlp/digits_mlp_float.tflite", 2, far);
        ways.extend(holds(&desk, &by(Calibration::Auto), &[parts], early_bytes));
    }
    println!("{ways:?}");
    // The samples are made so that histograms, and more than them, are chosen.
    assert!(ways.iter().any(|(way, rounds)| way == "minmax" && *rounds == 1), "{ways:?}");
    assert!(ways.iter().any(|(way, rounds)| way.contains("corrected biases") && *rounds > 2), "{ways:?}");
}

#[test]
#[ignore = "takes minutes: each of 64 parts makes all trials in each round"]
fn trials_choose_the_same_in_64_parts() {
    let desk = Desk::new("digits_mlp/digits_mlp_float.tflite", 2, (3.0, 1));
    println!("{:?}", holds(&desk, &by(Calibration::Auto), &[64], 16 << 20));
}

#[test]
fn a_convolution_with_float_borders_too() {
    let desk = Desk::new("mnist_cnn/mnist_cnn_float.tflite", 1, (0.0, 0));
    let options = ConvertOptions { io: Io::Float, ..by(Calibration::Percentile(99.9)) };
    holds(&desk, &options, &[3], 16 << 20);
}

#[test]
fn wrong_parts_are_refused() {
    let desk = Desk::new("digits_mlp/digits_mlp_float.tflite", 1, (0.0, 0));
    let options = by(Calibration::Mse);
    let count = desk.rows.len();
    let part = |name: &str, numbers: &[usize], before: &[PathBuf], number, options: &ConvertOptions| {
        let shard = Shard {
            data: desk.data(&format!("{name}.npz"), numbers),
            before: before.to_vec(),
            number,
            ..Shard::default()
        };
        let gathered = statistics(&desk.model, &shard, options, &());
        gathered.map(|gathered| {
            let path = desk.path(name);
            fs::write(&path, gathered.bytes).unwrap();
            path
        })
    };
    let (first, second): (Vec<usize>, Vec<usize>) = (0..count).partition(|i| i % 3 == 0);
    let a = part("a", &first, &[], None, &options).unwrap();
    let b = part("b", &second, &[], None, &options).unwrap();
    let refused = |parts: &[&PathBuf], options: &ConvertOptions, words: &str| {
        let statistics = parts.iter().map(|&path| path.clone()).collect();
        let error = convert(&desk.model, &ConvertOptions { statistics, ..options.clone() }, &()).unwrap_err();
        assert!(error.message.contains(words) && !error.help.is_empty(), "{words}: {error:?}");
    };
    refused(&[&a, &b], &options, "another question");
    refused(&[&a, &b, &a], &options, "from the same samples");
    let words = "gathered with --calibration mse, where this command has --calibration minmax";
    refused(&[&a, &b], &by(Calibration::MinMax), words);
    refused(&[&a, &b], &ConvertOptions { io: Io::Float, ..options.clone() }, "with --io int8, where");
    let scaled = ConvertOptions { scale: Some(Scale::ZeroToOne), ..options.clone() };
    refused(&[&a, &b], &scaled, "gathered without --scale 0..1, which this command has");
    // Samples of no part, and a part that is left out in the second round, and at the end.
    let error = part("c", &first[1..], &[a.clone(), b.clone()], None, &options).unwrap_err();
    assert!(error.message.contains("none of the parts"), "{error:?}");
    let both = [a.clone(), b.clone()];
    let (a2, b2) = (part("a2", &first, &both, None, &options), part("b2", &second, &both, None, &options));
    let (a2, b2) = (a2.unwrap(), b2.unwrap());
    refused(&[&a2], &options, "with other parts");
    refused(&[&a2, &b], &options, "of round 1");
    let statistics = vec![a2.clone(), b2.clone()];
    convert(&desk.model, &ConvertOptions { statistics, ..options.clone() }, &()).unwrap();
    // Numbered parts.
    let minmax = by(Calibration::MinMax);
    let numbered = part("n1", &first, &[], Some((1, 3)), &minmax).unwrap();
    let other = part("n2", &second, &[], Some((2, 3)), &minmax).unwrap();
    refused(&[&numbered, &other], &minmax, "missing: 3");
    let plain = part("n3", &second, &[], None, &minmax).unwrap();
    refused(&[&plain, &numbered], &minmax, "n3: gathered without --shard, where");
    let four = part("n4", &second, &[], Some((2, 4)), &minmax).unwrap();
    refused(&[&numbered, &four], &minmax, "n4: gathered as part 2 of 4, where");
    // Samples that are in two parts are warned of.
    let overlapping = part("o", &second, &[], None, &minmax).unwrap();
    let more: Vec<usize> = first.iter().copied().chain(second[..5].iter().copied()).collect();
    let more = part("m", &more, &[], None, &minmax).unwrap();
    let statistics = vec![overlapping, more];
    let converted = convert(&desk.model, &ConvertOptions { statistics, ..minmax }, &()).unwrap();
    assert!(
        converted.warnings.iter().any(|text| text.contains("5 samples in common")),
        "{:?}",
        converted.warnings
    );
    // Another model, and no statistics at all.
    let other =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/mnist_cnn/mnist_cnn_float.tflite");
    let statistics = vec![a2];
    let error = convert(&other, &ConvertOptions { statistics, ..options.clone() }, &()).unwrap_err();
    assert!(error.message.contains("another model"), "{error:?}");
    refused(&[&desk.path("a.npz")], &options, "not a file of statistics");
}

#[test]
fn a_part_that_is_read_is_not_overwritten() {
    let desk = Desk::new("digits_mlp/digits_mlp_float.tflite", 1, (0.0, 0));
    let numbers: Vec<usize> = (0..desk.rows.len()).collect();
    let data = desk.data("all.npz", &numbers);
    let gather = |words: &[&str], output: &str| {
        Command::new(env!("CARGO_BIN_EXE_ferrolite"))
            .current_dir(desk.folder.path())
            .arg("statistics")
            .arg(&desk.model)
            .args(["--calibrate", &data, "--calibration", "mse", "-o", output])
            .args(words)
            .output()
            .unwrap()
    };
    let first = gather(&[], "1.part");
    assert!(first.status.success(), "{first:?}");
    let before = fs::read(desk.path("1.part")).unwrap();
    for force in [&["--statistics", "1.part"][..], &["--statistics", "1.part", "--force"]] {
        let refused = gather(force, "./1.part");
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(words.contains("1.part") && words.contains("is read by the same command"), "{words}");
        assert!(fs::read(desk.path("1.part")).unwrap() == before);
    }
    assert!(gather(&["--statistics", "1.part"], "2.part").status.success());
}
