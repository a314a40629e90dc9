//! `.npz` archives: several named arrays in one zip file. They are read for samples and labels, and written
//! for outputs.

use std::fs::File;
use std::io::{self, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use zip::read::ZipFile;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::argument::cannot_read;
use super::npy::{self, Array, Header, shape_text};
use super::stream::{Packing, Place};
use crate::error::{Error, Result};
use crate::graph::DType;

/// The extension that NumPy adds to an array's name.
const ENDING: &str = ".npy";

/// An archive that is open for reading. Opening reads the headers of the arrays, not the arrays.
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    arrays: Vec<(String, Header)>,
}

impl Npz {
    /// Opens an archive and reads the header of each of its arrays.
    pub fn open(path: &Path) -> Result<Npz> {
        let shown = path.display();
        let file = crate::files::open(path).map_err(|e| cannot_read(path, e))?;
        let not_npz = |e: &dyn std::fmt::Display| {
            Error::input(format!("{shown}: not a .npz file ({e})"))
                .help("write the arrays with numpy.savez(\"data.npz\", x=...)")
        };
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| match e {
            ZipError::Io(e) if e.kind() != io::ErrorKind::UnexpectedEof => cannot_read(path, e),
            e => not_npz(&e).caused_by(e),
        })?;
        let members =
            archive.file_names().collect::<Result<Vec<_>, _>>().map_err(|e| not_npz(&e).caused_by(e))?;
        let mut names: Vec<String> =
            members.iter().filter_map(|name| name.strip_suffix(ENDING)).map(str::to_string).collect();
        names.sort();
        names.dedup();
        let mut arrays = Vec::with_capacity(names.len());
        for name in names {
            let mut member = member(&mut archive, path, &name)?;
            let header = Header::read(&mut member).map_err(|e| broken(path, &name, e))?;
            arrays.push((name, header));
        }
        Ok(Npz { path: path.to_path_buf(), archive, arrays })
    }

    /// Names and headers of the arrays, in the order of their names.
    pub fn arrays(&self) -> &[(String, Header)] {
        &self.arrays
    }

    /// The header of an array, if the archive has it.
    pub fn header(&self, name: &str) -> Option<&Header> {
        self.arrays.iter().find(|(n, _)| n == name).map(|(_, header)| header)
    }

    /// Reads an array.
    pub fn read(&mut self, name: &str) -> Result<Array> {
        if self.header(name).is_none() {
            return Err(Error::input(format!("{}: there is no array `{name}`", self.path.display()))
                .help(format!("arrays in the file: {}", self.list())));
        }
        let mut member = member(&mut self.archive, &self.path, name)?;
        Array::read(&mut member).map_err(|e| broken(&self.path, name, e))
    }

    /// Where the bytes of an array are, if they can be read without the archive: they must be stored or
    /// deflated.
    pub fn place(&mut self, name: &str) -> Result<Option<Place>> {
        let member = member(&mut self.archive, &self.path, name)?;
        let Some(start) = member.data_start() else { return Ok(None) };
        let packing = match member.compression() {
            CompressionMethod::Stored => Packing::Stored,
            CompressionMethod::Deflated => Packing::Deflated {
                size: member.compressed_size(),
                inflated: member.size(),
                crc: member.crc32(),
            },
            _ => return Ok(None),
        };
        Ok(Some(Place { path: self.path.clone(), start, packing }))
    }

    /// The names of the arrays in one line, for messages.
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

fn member<'a>(
    archive: &'a mut ZipArchive<BufReader<File>>,
    path: &Path,
    name: &str,
) -> Result<ZipFile<'a, BufReader<File>>> {
    archive
        .by_name(&format!("{name}{ENDING}"))
        .map_err(|e| broken(path, name, Error::input(e.to_string()).caused_by(e)))
}

fn broken(path: &Path, name: &str, why: Error) -> Error {
    why.context(format!("{}: array `{name}` cannot be read", path.display()))
        .help("write the file again with numpy.savez; arrays must hold numbers")
}

/// An array to write: row-major elements in little-endian bytes.
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

/// Writes arrays as a compressed `.npz` archive. Its comment names the writer.
pub fn write(arrays: &[NamedArray], out: impl Write + Seek) -> io::Result<()> {
    let mut zip = ZipWriter::new(out);
    for array in arrays {
        let large = array.bytes.len() > u32::MAX as usize / 2;
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(large);
        zip.start_file(format!("{}{ENDING}", array.name), options)?;
        zip.write_all(&npy::start(array.dtype, &array.shape))?;
        zip.write_all(&array.bytes)?;
    }
    zip.set_comment(crate::text::MARK)?;
    zip.finish()?.flush()
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

    /// A file of one kilobyte whose array claims two gigabytes, in its header and in its shape.
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
            let mut zip = ZipWriter::new(File::create(&path).unwrap());
            zip.start_file("x.npy", SimpleFileOptions::default()).unwrap();
            zip.write_all(&member).unwrap();
            zip.finish().unwrap();
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
