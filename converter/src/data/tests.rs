use std::fs::{self, File};
use std::path::Path;

use super::npz::NamedArray;
use super::*;
use crate::graph::DType;

fn spec(name: &str, shape: &[usize], dtype: DType, quantization: Option<(f32, i32)>) -> InputSpec {
    InputSpec { name: name.into(), shape: shape.to_vec(), dtype, quantization }
}

fn int8(shape: &[usize]) -> InputSpec {
    spec("x", shape, DType::Int8, Some((0.5, 1)))
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> NamedArray {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    NamedArray { name: name.into(), dtype: DType::Float32, shape: shape.to_vec(), bytes }
}

fn bytes(name: &str, shape: &[usize], dtype: DType, bytes: &[u8]) -> NamedArray {
    NamedArray { name: name.into(), dtype, shape: shape.to_vec(), bytes: bytes.to_vec() }
}

/// Writes an archive into a folder and returns the argument for it.
fn npz(folder: &Path, arrays: &[NamedArray]) -> String {
    let path = folder.join("data.npz");
    super::npz::write(arrays, File::create(&path).unwrap()).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn arrays_are_matched_by_name_position_and_fit() {
    let folder = tempfile::tempdir().unwrap();
    let a = floats("x", &[2, 2], &[0.0, 0.5, 1.0, -1.0]);
    let b = floats("in0", &[1, 1, 2], &[4.0, 4.0]);
    let c = floats("other", &[3, 2], &[5.0; 6]);
    let spec = [int8(&[1, 2])];
    let cases: [(&[NamedArray], &str, &str, f32, usize); 4] = [
        (&[a.clone(), b.clone(), c.clone()], "", "x", 0.0, 2),
        (&[b.clone(), c.clone()], "", "in0", 4.0, 1),
        (std::slice::from_ref(&c), "", "other", 5.0, 3),
        (&[a.clone(), b.clone(), c.clone()], ":other", "other", 5.0, 3),
    ];
    for (arrays, suffix, name, first, len) in cases {
        let data = Dataset::load(&(npz(folder.path(), arrays) + suffix), &spec).unwrap();
        assert_eq!((data.len(), data.real(0).unwrap()[0][0]), (len, first), "{name}");
    }
    let decorated = [InputSpec { name: "serving_default_x:0".into(), ..int8(&[1, 2]) }];
    let data = Dataset::load(&npz(folder.path(), &[a, b]), &decorated).unwrap();
    assert_eq!(data.raw(1).unwrap(), [[3, 255]]);
}

#[test]
fn several_inputs_take_an_array_each() {
    let folder = tempfile::tempdir().unwrap();
    let specs = [int8(&[1, 2]), spec("y", &[1], DType::Int32, None)];
    let y =
        bytes("in1", &[2], DType::Int64, &[7, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    let raw = bytes("x", &[2, 1, 2], DType::Int8, &[1, 2, 3, 4]);
    let data = Dataset::load(&npz(folder.path(), &[raw.clone(), y.clone()]), &specs).unwrap();
    assert_eq!(data.raw(1).unwrap(), [vec![3, 4], vec![255; 4]]);
    assert_eq!(data.real(1).unwrap(), [vec![1.0, 1.5], vec![-1.0]]);
    assert!(data.raw(2).is_err());

    let short = bytes("in1", &[1], DType::Int64, &[0; 8]);
    let error = Dataset::load(&npz(folder.path(), &[raw.clone(), short]), &specs).unwrap_err();
    assert!(error.message.contains("2 samples for input `x`, but 1 for input `y`"), "{error}");
    let error = Dataset::load(&npz(folder.path(), &[raw]), &specs).unwrap_err();
    assert!(error.message.contains("no array for input `y`"), "{error}");
    let error = Dataset::load(&(npz(folder.path(), &[y]) + ":in1"), &specs).unwrap_err();
    assert!(error.message.contains("the model has 2"), "{error}");
}

#[test]
fn what_numbers_mean_follows_from_their_type() {
    let folder = tempfile::tempdir().unwrap();
    let pixels = bytes("in0", &[1, 2], DType::UInt8, &[0, 255]);
    let argument = npz(folder.path(), &[pixels]);
    let data = Dataset::load(&argument, &[spec("x", &[1, 2], DType::Float32, None)]).unwrap();
    assert_eq!(data.real(0).unwrap(), [[0.0, 255.0]]);
    let error = Dataset::load(&argument, &[int8(&[1, 2])]).unwrap_err();
    assert!(error.message.contains("elements are uint8"), "{error}");
    let data = Dataset::load(&argument, &[spec("x", &[1, 2], DType::UInt8, Some((0.5, 0)))]).unwrap();
    assert_eq!(data.raw(0).unwrap(), [[0, 255]]);
    assert_eq!(data.real(0).unwrap(), [[0.0, 127.5]]);
    let data = Dataset::load(&argument, &[spec("x", &[1, 2], DType::Int16, None)]).unwrap();
    assert_eq!(data.raw(0).unwrap(), [[0, 0, 255, 0]]);
    let data = Dataset::load(&argument, &[spec("x", &[1, 2], DType::Int8, None)]).unwrap();
    assert!(data.raw(0).unwrap_err().message.contains("holds 255"));
}

#[test]
fn wrong_data_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let wide = floats("cal_x", &[2, 3], &[0.0; 6]);
    let scalar = floats("lone", &[], &[0.0]);
    let twice = [floats("a", &[1, 2], &[0.0; 2]), floats("b", &[1, 2], &[0.0; 2])];
    let nan = floats("in0", &[2, 2], &[0.0, 1.0, 2.0, f32::NAN]);
    let inf = floats("in0", &[1, 2], &[f32::NEG_INFINITY, 0.0]);
    let none = floats("in0", &[0, 2], &[]);
    let cases: [(&[NamedArray], &str, &str, &str); 8] = [
        (std::slice::from_ref(&wide), "", "no array for input `x` wants 1x2 int8", "`cal_x` 2x3 float32"),
        (std::slice::from_ref(&wide), ":cal_x", "array `cal_x`: 2 samples of shape 3", "`cal_x` 2x3"),
        (std::slice::from_ref(&wide), ":y", "no array `y`", "`cal_x` 2x3 float32"),
        (&[scalar], ":lone", "0 samples of shape scalar", "first axis"),
        (&twice, "", "several arrays fit: `a`, `b`", "data.npz:a"),
        (&[nan], "", "array `in0`: sample 1 holds NaN", "not finite"),
        (&[inf], "", "array `in0`: sample 0 holds -inf", "not finite"),
        (&[none], "", "there are no samples", "at least one"),
    ];
    for (arrays, suffix, message, help) in cases {
        let error = Dataset::load(&(npz(folder.path(), arrays) + suffix), &[int8(&[1, 2])]).unwrap_err();
        assert!(error.message.contains(message), "{}: should contain {message}", error.message);
        assert!(error.help.contains(help), "{}: should contain {help}", error.help);
    }
    for argument in ["absent.npz", "absent.npy", "absent.csv", "absent", "absent.npz:x", ""] {
        let error = Dataset::load(argument, &[int8(&[1, 2])]).unwrap_err();
        assert!(error.message.contains("no such file"), "{argument}: {error}");
    }
}

#[test]
fn tables_hold_one_sample_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let load = |text: &str, specs: &[InputSpec]| {
        fs::write(&path, text).unwrap();
        Dataset::load(path.to_str().unwrap(), specs)
    };
    let one = [int8(&[1, 2])];
    for text in ["a,b\n0.5,1\n2,3\n", "0.5;1\n2;3", "0.5\t1\r\n2\t3\r\n", "0.5, 1\n2, 3\n\n"] {
        let data = load(text, &one).unwrap();
        assert_eq!((data.len(), data.real(1).unwrap()), (2, vec![vec![2.0, 3.0]]), "{text}");
    }
    let two = [int8(&[1, 2]), spec("y", &[1], DType::Float32, None)];
    let data = load("1,2,3\n4,5,6\n", &two).unwrap();
    assert_eq!(data.real(1).unwrap(), [vec![4.0, 5.0], vec![6.0]]);

    let cases = [
        ("1,2,3\n", "rows of 3 values"),
        ("1,2\n3\n", "line 2 has 1 values"),
        ("1,2\n3,x\n", "line 2, column 2 holds `x`"),
        ("1,2\n3,nan\n", "line 2, column 2 holds nan"),
        ("", "rows of 0 values"),
        ("a,b\n", "rows of 0 values"),
    ];
    for (text, want) in cases {
        let error = load(text, &one).unwrap_err();
        assert!(error.message.contains(want), "{}: should contain {want}", error.message);
    }
}

#[test]
fn columns_are_taken_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let shown = path.display().to_string();
    fs::write(&path, "\u{feff}\"when, exactly\",x1,\"x 2\",label\nnoon,1,2,0\nlate,3,4,1\n").unwrap();
    let one = [int8(&[1, 2])];
    let load = |columns: &str| Dataset::load(&format!("{shown}:{columns}"), &one);
    for (columns, want) in [("x1,x 2", [3.0, 4.0]), ("\"x 2\",x1", [4.0, 3.0]), ("label,x1", [1.0, 3.0])] {
        assert_eq!(load(columns).unwrap().real(1).unwrap()[0], want, "{columns}");
    }
    let message = |columns: &str| load(columns).unwrap_err().message;
    let unknown = message("x1,x3");
    assert!(
        unknown.contains("no column `x3`") && unknown.contains("`when, exactly`, `x1`, `x 2`"),
        "{unknown}"
    );
    assert!(message("\"when, exactly\",x1").contains("holds `noon`"));
    assert_eq!(load_labels(&format!("{shown}:label"), "").unwrap(), Labels::Classes(vec![0, 1]));
    fs::write(&path, "1;2\n3;4\n").unwrap();
    assert!(message("a").contains("no header"));
    // Commas in quotes do not separate cells.
    fs::write(&path, "\"a,b,c\";d\n1;2\n").unwrap();
    assert_eq!(load("d,\"a,b,c\"").unwrap().real(0).unwrap()[0], [2.0, 1.0]);
}

#[test]
fn one_hot_rows_are_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("y.csv");
    let labels = |text: &str| {
        fs::write(&path, text).unwrap();
        load_labels(path.to_str().unwrap(), "").unwrap()
    };
    assert_eq!(labels("0,1,0\n1,0,0\n0,0,1\n"), Labels::Classes(vec![1, 0, 2]));
    for text in ["0,1,0\n1,0,1\n", "0,1,0\n0,0,0\n", "0,2\n1,0\n"] {
        assert!(matches!(labels(text), Labels::Values(_)), "{text}");
    }
    let integers = folder.path().join("y.npz");
    let array = npz::NamedArray {
        name: "y".into(),
        dtype: DType::UInt8,
        shape: vec![2, 3],
        bytes: vec![0, 0, 1, 1, 0, 0],
    };
    npz::write(&[array], fs::File::create(&integers).unwrap()).unwrap();
    assert_eq!(load_labels(integers.to_str().unwrap(), "").unwrap(), Labels::Classes(vec![2, 0]));
}

#[test]
fn folders_are_sorted_and_of_one_kind() {
    let folder = tempfile::tempdir().unwrap();
    let load = |spec: InputSpec| Dataset::load(folder.path().to_str().unwrap(), &[spec]);
    let image = || spec("x", &[1, 1, 1, 1], DType::Float32, None);
    assert!(load(image()).unwrap_err().message.contains("no samples"));
    for (name, level) in [("b.png", 255u8), ("a.png", 0), ("c.PNG", 51)] {
        image::GrayImage::from_pixel(1, 1, image::Luma([level])).save(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("notes.txt"), "not a sample").unwrap();
    let data = load(image()).unwrap();
    let values: Vec<f32> = (0..3).map(|i| data.real(i).unwrap()[0][0]).collect();
    assert_eq!(values, [0.0, 1.0, 0.2]);
    assert!(load(int8(&[1, 64])).unwrap_err().message.contains("pictures, but input `x` wants 1x64"));

    fs::write(folder.path().join("b.png"), "not a picture").unwrap();
    assert!(load(image()).unwrap().real(1).unwrap_err().message.contains("b.png: not a picture"));
    fs::write(folder.path().join("d.wav"), "").unwrap();
    assert!(load(image()).unwrap_err().message.contains("mixed"));
}

#[test]
fn labels_are_classes_or_values() {
    let folder = tempfile::tempdir().unwrap();
    let data = npz(
        folder.path(),
        &[
            bytes("y", &[3, 1], DType::UInt8, &[0, 9, 4]),
            floats("r", &[2, 1], &[0.5, -0.5]),
            bytes("minus", &[1], DType::Int8, &[255]),
            bytes("two_hot", &[1, 2], DType::UInt8, &[1, 1]),
            floats("nan", &[1], &[f32::NAN]),
        ],
    );
    let classes = Labels::Classes(vec![0, 9, 4]);
    assert_eq!(load_labels(&format!("{data}:y"), "").unwrap(), classes);
    assert_eq!(load_labels("y", &format!("{data}:x")).unwrap(), classes);
    assert_eq!(load_labels("r", &data).unwrap(), Labels::Values(vec![vec![0.5], vec![-0.5]]));
    for name in ["minus", "two_hot", "nan", "absent"] {
        assert!(load_labels(name, &data).is_err(), "{name}");
    }
    assert!(load_labels(&data, "").unwrap_err().help.contains("`y` 3x1 uint8"));
    assert!(load_labels("y", "folder").unwrap_err().message.contains("no such labels"));

    let table = folder.path().join("y.csv");
    fs::write(&table, "label\n0\n9\n4\n").unwrap();
    assert_eq!(load_labels(table.to_str().unwrap(), "").unwrap(), classes);
    fs::write(&table, "0.5\n-0.5\n").unwrap();
    assert_eq!(load_labels(table.to_str().unwrap(), "").unwrap().len(), 2);
}

#[test]
fn large_arrays_are_read_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: Vec<f32> = (0..6000).map(|i| (i as f32).sin()).collect();
    let integers: Vec<u8> = (0..6000u32).map(|i| (i * i) as u8).collect();
    let arrays = [floats("x", &[2000, 3], &numbers), bytes("y", &[2000, 3], DType::Int8, &integers)];
    let argument = npz(folder.path(), &arrays);
    let specs = [int8(&[3]), InputSpec { name: "y".into(), ..int8(&[3]) }];
    let held = Dataset::load(&argument, &specs).unwrap();
    let streamed = Dataset::load_within(0, &argument, &specs).unwrap();
    let is_streamed =
        |(_, source): &(InputSpec, Source)| matches!(source, Source::Array { array: Rows::Streamed(_), .. });
    assert!(streamed.inputs.iter().all(is_streamed) && !held.inputs.iter().any(is_streamed));
    assert_eq!((streamed.len(), held.len()), (2000, 2000));
    for sample in (0..2000).rev().step_by(37).chain(0..2000) {
        assert_eq!(streamed.real(sample).unwrap(), held.real(sample).unwrap());
        assert_eq!(streamed.raw(sample).unwrap(), held.raw(sample).unwrap());
    }

    // What is refused in memory is refused when it is read from a file.
    let mut numbers = numbers;
    numbers[3001] = f32::NAN;
    let argument = npz(folder.path(), &[floats("x", &[2000, 3], &numbers)]);
    let specs = [int8(&[3])];
    let at_once = Dataset::load(&argument, &specs).unwrap_err();
    let streamed = Dataset::load_within(0, &argument, &specs).unwrap();
    assert!(streamed.real(999).is_ok());
    assert_eq!(streamed.real(1000).unwrap_err().message, at_once.message);
    let wrong = Dataset::load_within(0, &argument, &[int8(&[4])]).unwrap_err();
    assert_eq!(wrong.message, Dataset::load(&argument, &[int8(&[4])]).unwrap_err().message);
}
