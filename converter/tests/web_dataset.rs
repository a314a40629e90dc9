//! WebDataset's archives as samples: pictures, arrays and classes by the names of the members.

use std::fs;
use std::path::Path;

use ferrolite::data::{Dataset, InputSpec, Labels, load_labels};
use ferrolite::graph::DType;

/// A header of a tape archive, and a member's bytes in whole blocks.
fn member(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[156] = kind;
    header[257..263].copy_from_slice(b"ustar\0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut block = header.to_vec();
    block.extend_from_slice(bytes);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn archive(path: &Path, members: &[(&str, Vec<u8>)]) {
    let mut bytes: Vec<u8> = members.iter().flat_map(|(name, bytes)| member(name, b'0', bytes)).collect();
    bytes.extend([0; 1024]);
    fs::write(path, bytes).unwrap();
}

/// NumPy's format, version 1.0.
fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    bytes
}

fn spec(name: &str, shape: &[usize]) -> InputSpec {
    InputSpec { name: name.into(), shape: shape.to_vec(), dtype: DType::Float32, quantization: None }
}

#[test]
fn members_of_a_name_are_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let argument = path.display().to_string();
    archive(
        &path,
        &[
            ("train/7.npy", npy("(2,)", &[1.0, 2.0])),
            ("train/7.cls", b"3\n".to_vec()),
            ("train/7.json", b"{}".to_vec()),
            ("train/8.cls", b"0".to_vec()),
            ("train/8.NPY", npy("(2,)", &[-1.0, 0.5])),
            ("._junk", vec![0; 700]),
        ],
    );
    let data = Dataset::load(&argument, &[spec("x", &[1, 2])]).unwrap();
    assert_eq!(
        (data.len(), data.real(0).unwrap(), data.real(1).unwrap()),
        (2, vec![vec![1.0, 2.0]], vec![vec![-1.0, 0.5]])
    );
    assert_eq!(data.labels(), Some(&Labels::Classes(vec![3, 0])));
    assert_eq!(load_labels(&argument, &argument).unwrap(), Labels::Classes(vec![3, 0]));
    // Two inputs, by name and by position; classes may be missing.
    archive(&path, &[("0.a.npy", npy("(1,)", &[1.0])), ("0.in1.npy", npy("(1, 2)", &[2.0, 3.0]))]);
    let data = Dataset::load(&argument, &[spec("A", &[1, 1]), spec("b", &[1, 2])]).unwrap();
    assert_eq!((data.real(0).unwrap(), data.labels()), (vec![vec![1.0], vec![2.0, 3.0]], None));
}

#[test]
fn pictures_and_long_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let mut png = std::io::Cursor::new(Vec::new());
    let picture = image::GrayImage::from_fn(2, 2, |x, y| image::Luma([if x == y { 255 } else { 0 }]));
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let long = format!("{}/0001.png", "folder".repeat(30));
    let other = long.replace("png", "PNG.png");
    let pax = format!("path={other}\n");
    let pax = format!("{} {pax}", pax.len() + 4);
    let mut bytes = member("0000.png", b'0', &png);
    bytes.extend(member("././@LongLink", b'L', format!("{long}\0").as_bytes()));
    bytes.extend(member("cut off", b'0', &png));
    bytes.extend(member("PaxHeader", b'x', pax.as_bytes()));
    bytes.extend(member("cut off", b'0', &png));
    bytes.extend([0; 1024]);
    fs::write(&path, &bytes).unwrap();
    let argument = path.display().to_string();
    // Both long members have one key, and so are one sample.
    let data = Dataset::load(&argument, &[spec("x", &[1, 2, 2, 1])]).unwrap();
    assert_eq!(data.len(), 2);
    let scaled = data.real(1).unwrap().concat();
    assert!(scaled[0] > scaled[1] && scaled[0] == scaled[3], "{scaled:?}");
}

#[test]
fn wrong_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let argument = path.display().to_string();
    let refused = |words: &str| {
        let error = Dataset::load(&argument, &[spec("x", &[1, 2])]).unwrap_err();
        assert!(error.message.contains(words) && !error.help.is_empty(), "{words}: {error:?}");
    };
    archive(&path, &[("0.npy", npy("(2,)", &[1.0, 2.0])), ("1.txt", Vec::new())]);
    refused("sample `1` has no `.x.npy`, `.in0.npy`, `.npy`, but `.txt`");
    archive(&path, &[("0.npy", npy("(2,)", &[1.0, 2.0])), ("1.npy", npy("(3,)", &[1.0; 3]))]);
    refused("where the first sample has");
    archive(&path, &[("0.npy", npy("(2,)", &[1.0, 2.0])), ("0.cls", b"cat".to_vec())]);
    refused("`cat` is no class");
    archive(&path, &[]);
    refused("holds no files");
    fs::write(&path, vec![7; 2000]).unwrap();
    refused("no .tar archive");
    let mut cut = member("0.npy", b'0', &[0; 3000]);
    cut.truncate(1024);
    fs::write(&path, cut).unwrap();
    refused("cut off");
    // Between two members, within a header, and where nothing follows the last member.
    let whole =
        [member("0.npy", b'0', &npy("(2,)", &[1.0; 2])), member("1.npy", b'0', &npy("(2,)", &[2.0; 2]))];
    let whole = whole.concat();
    for length in [whole.len() / 2, whole.len() / 2 + 100, whole.len()] {
        fs::write(&path, &whole[..length]).unwrap();
        refused("the empty blocks that end a .tar are missing");
    }
    fs::write(&path, [whole, vec![0; 512]].concat()).unwrap();
    assert_eq!(Dataset::load(&argument, &[spec("x", &[1, 2])]).unwrap().len(), 2);
}

#[test]
fn two_members_of_a_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let argument = path.display().to_string();
    let [one, two] = [1.0, 2.0].map(|x| npy("(2,)", &[x; 2]));
    let cases: [&[&str]; 4] = [
        &["a/1.npy", "a/1.npy"],
        &["a/1.npy", "a/2.npy", "a/1.npy"],
        &["a/1.npy", "a/1.NPY"],
        &["./a/1.npy", "a/1.npy"],
    ];
    for names in cases {
        let members: Vec<(&str, Vec<u8>)> =
            names.iter().zip([&one, &two, &two]).map(|(&name, bytes)| (name, bytes.clone())).collect();
        archive(&path, &members);
        let error = Dataset::load(&argument, &[spec("x", &[1, 2])]).unwrap_err();
        let last = names[names.len() - 1];
        assert!(
            error.message.contains(&format!("two members of the archive are called `{last}`")),
            "{error:?}"
        );
        assert!(error.message.contains("set.tar") && !error.help.is_empty(), "{error:?}");
    }
    archive(&path, &[("a/1.npy", one), ("b/1.npy", two)]);
    assert_eq!(Dataset::load(&argument, &[spec("x", &[1, 2])]).unwrap().len(), 2);
}

#[test]
fn what_is_left_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let argument = path.display().to_string();
    let load = |members: &[Vec<u8>]| {
        fs::write(&path, members.concat()).unwrap();
        Dataset::load(&argument, &[spec("x", &[1, 2])])
    };
    let [array, end] = [member("1.npy", b'0', &npy("(2,)", &[1.0; 2])), vec![0; 1024]];
    let facts = [member("a", b'5', &[]), member("pax", b'g', b"12 a=b\n"), member("._1.npy", b'0', &[])];
    let data = load(&[facts.concat(), array.clone(), end.clone()]).unwrap();
    assert!(data.notes().is_empty(), "{:?}", data.notes());
    let links =
        [member("2.npy", b'2', &[]), member("README", b'0', b"x"), member("3.npy", b'1', &[])].concat();
    let data = load(&[array.clone(), links.clone(), links, end.clone(), array]).unwrap();
    assert_eq!(data.len(), 1);
    let words = "6 members are no samples and were left out: `2.npy` (a link), `3.npy` (a link), `2.npy` (a link), \
                 `3.npy` (a link), 2 more";
    assert!(data.notes()[0].ends_with(words), "{:?}", data.notes());
    assert!(data.notes()[1].contains("behind the archive's end"), "{:?}", data.notes());
    let error = load(&[member("2.npy", b'2', &[]), end]).unwrap_err();
    assert!(error.message.ends_with("holds no files that are read, but `2.npy` (a link)"), "{error:?}");
}
