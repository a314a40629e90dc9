//! `.npz` archives: several named arrays in one zip file. Read for samples and labels, written for
//! outputs.

use std::fs::File;
use std::io::{self, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use npyz::npz::{NpzArchive, NpzWriter};
use npyz::zip::CompressionMethod;
use npyz::zip::write::FileOptions;
use npyz::{AutoSerialize, WriterBuilder};

use super::npy::{Array, Header, shape_text};
use super::stream::{Packing, Place};
use crate::error::{Error, Result};
use crate::graph::DType;

/// An archive that is open for reading. Opening reads the headers of the arrays, not the arrays.
pub struct Npz {
    path: PathBuf,
    archive: NpzArchive<BufReader<File>>,
    arrays: Vec<(String, Header)>,
}

impl Npz {
    /// Opens an archive and reads the header of each of its arrays.
    pub fn open(path: &Path) -> Result<Npz> {
        let shown = path.display();
        let mut archive = NpzArchive::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => Error::input(format!("{shown}: not a .npz file ({e})"))
                .help("write the arrays with numpy.savez(\"data.npz\", x=...)"),
            _ => super::cannot_read(path, &e),
        })?;
        let mut names: Vec<String> = archive.array_names().map(str::to_string).collect();
        names.sort();
        names.dedup();
        let mut arrays = Vec::with_capacity(names.len());
        for name in names {
            let mut member = archive
                .zip_archive()
                .by_name(&format!("{name}.npy"))
                .map_err(|e| broken(path, &name, &e.to_string()))?;
            let header = Header::read(&mut member).map_err(|e| broken(path, &name, &e))?;
            arrays.push((name, header));
        }
        Ok(Npz { path: path.to_path_buf(), archive, arrays })
    }

    /// Names and headers of the arrays, in the order of their names.
    pub fn arrays(&self) -> &[(String, Header)] {
        &self.arrays
    }

    /// The header of an array, if it is there.
    pub fn header(&self, name: &str) -> Option<&Header> {
        self.arrays.iter().find(|(n, _)| n == name).map(|(_, header)| header)
    }

    /// Reads an array.
    pub fn read(&mut self, name: &str) -> Result<Array> {
        if self.header(name).is_none() {
            return Err(Error::input(format!("{}: there is no array `{name}`", self.path.display()))
                .help(format!("arrays in the file: {}", self.list())));
        }
        let mut member = self
            .archive
            .zip_archive()
            .by_name(&format!("{name}.npy"))
            .map_err(|e| broken(&self.path, name, &e.to_string()))?;
        Array::read(&mut member).map_err(|e| broken(&self.path, name, &e))
    }

    /// Where the bytes of an array are, if they can be read without the archive: stored or deflated.
    pub fn place(&mut self, name: &str) -> Result<Option<Place>> {
        let member = self
            .archive
            .zip_archive()
            .by_name(&format!("{name}.npy"))
            .map_err(|e| broken(&self.path, name, &e.to_string()))?;
        let packing = match member.compression() {
            CompressionMethod::Stored => Packing::Stored,
            CompressionMethod::Deflated => Packing::Deflated {
                size: member.compressed_size(),
                inflated: member.size(),
                crc: member.crc32(),
            },
            _ => return Ok(None),
        };
        Ok(Some(Place { path: self.path.clone(), start: member.data_start(), packing }))
    }

    /// The arrays in one line, for messages.
    pub fn list(&self) -> String {
        if self.arrays.is_empty() {
            return "none".into();
        }
        let mut shown: Vec<String> = self
            .arrays
            .iter()
            .take(12)
            .map(|(name, h)| format!("`{name}` {} {}", shape_text(&h.shape), h.type_name()))
            .collect();
        if self.arrays.len() > shown.len() {
            shown.push(format!("and {} more", self.arrays.len() - shown.len()));
        }
        shown.join(", ")
    }
}

fn broken(path: &Path, name: &str, why: &str) -> Error {
    Error::input(format!("{}: array `{name}` cannot be read: {why}", path.display()))
        .help("write the file again with numpy.savez; arrays must hold numbers")
}

/// An array to be written: elements in little-endian bytes, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArray {
    /// Name in the archive.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The elements.
    pub bytes: Vec<u8>,
}

/// Writes arrays as a `.npz` archive, compressed, whose comment says who wrote it.
pub fn write(arrays: &[NamedArray], out: impl Write + Seek) -> io::Result<()> {
    let mut npz = NpzWriter::new(out);
    for array in arrays {
        match array.dtype {
            DType::Int8 => put(&mut npz, array, |[b]: [u8; 1]| b as i8),
            DType::UInt8 => put(&mut npz, array, |[b]: [u8; 1]| b),
            DType::Bool => put(&mut npz, array, |[b]: [u8; 1]| b != 0),
            DType::Int16 => put(&mut npz, array, i16::from_le_bytes),
            DType::Int32 => put(&mut npz, array, i32::from_le_bytes),
            DType::Int64 => put(&mut npz, array, i64::from_le_bytes),
            DType::Float32 => put(&mut npz, array, f32::from_le_bytes),
        }?;
    }
    npz.zip_writer().set_comment(crate::written::MARK);
    npz.zip_writer().finish()?.flush()
}

fn put<const N: usize, T: AutoSerialize>(
    npz: &mut NpzWriter<impl Write + Seek>,
    array: &NamedArray,
    element: impl Fn([u8; N]) -> T,
) -> io::Result<()> {
    let shape: Vec<u64> = array.shape.iter().map(|&d| d as u64).collect();
    let large = array.bytes.len() > u32::MAX as usize / 2;
    let mut writer = npz
        .array::<T>(&array.name, FileOptions::default().large_file(large))?
        .default_dtype()
        .shape(&shape)
        .begin_nd()?;
    let (elements, _) = array.bytes.as_chunks::<N>();
    writer.extend(elements.iter().map(|&b| element(b)))?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_types_come_back() {
        let mut arrays = Vec::new();
        for dtype in DType::ALL {
            let count = 6 * dtype.size();
            let bytes =
                (0..count).map(|i| if dtype == DType::Bool { i as u8 % 2 } else { i as u8 }).collect();
            arrays.push(NamedArray {
                name: format!("a/{}", dtype.name()),
                dtype,
                shape: vec![2, 1, 3],
                bytes,
            });
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.npz");
        write(&arrays, File::create(&path).unwrap()).unwrap();
        let mut npz = Npz::open(&path).unwrap();
        for array in &arrays {
            let read = npz.read(&array.name).unwrap();
            assert_eq!(read.shape(), [2, 1, 3]);
            assert_eq!(read.element().name(), array.dtype.name());
            assert_eq!([read.row_bytes(0), read.row_bytes(1)].concat(), array.bytes);
        }
        let error = npz.read("nothing").unwrap_err();
        assert!(error.help.contains("`a/int8` 2x1x3 int8"), "{}", error.help);
    }

    /// A kilobyte whose array claims two gigabytes, in its header and in its shape.
    #[test]
    fn claims_are_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [(&str, Vec<u8>); 2] = [
            ("header", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{'descr': '<f4'".to_vec()),
            ("shape", {
                let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (500000000, 1), }";
                let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
                bytes.extend((text.len() as u16).to_le_bytes());
                bytes.extend(text.as_bytes());
                bytes
            }),
        ];
        for (name, member) in cases {
            let path = folder.path().join(format!("{name}.npz"));
            let mut zip = npyz::zip::ZipWriter::new(File::create(&path).unwrap());
            zip.start_file("x.npy", FileOptions::default()).unwrap();
            zip.write_all(&member).unwrap();
            zip.finish().unwrap();
            drop(zip);
            let result = Npz::open(&path).and_then(|mut npz| npz.read("x"));
            let error = result.unwrap_err();
            assert!(error.message.contains("array `x` cannot be read"), "{error}");
        }
    }

    #[test]
    fn text_is_not_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.npz");
        std::fs::write(&path, "no zip at all").unwrap();
        assert!(Npz::open(&path).err().unwrap().message.contains("not a .npz file"));
        assert!(Npz::open(&folder.path().join("absent.npz")).is_err());
    }
}
