//! Arrays that stay in their file and are read one block of rows at a time, so that data sets may be larger
//! than memory.
//!
//! ```text
//! .npy, member of a .npz that is stored     header | row 0 | row 1 | …       read where a row lies
//! member of a .npz that is deflated         ~~~~~~ inflated from the front ~~~~~~>
//! ```
//! A few blocks are kept in memory, because threads ask for rows that are near one another. To read a row of
//! a deflated array that lies before them, the array is inflated from its start again, so code that reads
//! many rows asks for them in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::npy::{Element, Header, elements, shape_text};
use crate::error::{Error, Result};

/// Least bytes of a block, unless the whole array is smaller.
const BLOCK: usize = 256 << 10;

/// Least number of blocks that are kept; more if there are more threads.
const KEPT: usize = 16;

/// An array in a file. Several threads may read rows at the same time.
pub struct Stream {
    header: Header,
    element: Element,
    /// Bytes of a row, and rows of a block.
    row: usize,
    per_block: usize,
    state: Mutex<State>,
}

/// The place of an array's bytes in a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Offset in the file of NumPy's magic word, or of its deflated form.
    pub start: u64,
    /// How the bytes are compressed.
    pub packing: Packing,
}

/// How the bytes of an array are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Stored,
    /// By Deflate.
    Deflated {
        /// Bytes in the file.
        size: u64,
        /// Bytes after inflation, header included.
        inflated: u64,
        /// CRC-32 of the inflated bytes.
        crc: u32,
    },
}

struct State {
    reader: Reader,
    blocks: VecDeque<(usize, Arc<Vec<u8>>)>,
}

enum Reader {
    /// The rows begin at the offset `start`.
    Stored { file: File, start: u64 },
    /// The decoder is at the first row of block `next`.
    Deflated { place: Place, inflater: Box<Inflater>, next: usize },
}

impl Stream {
    /// Opens an array whose header was read before. `None` for arrays that cannot be read in parts: the rows
    /// of an array in Fortran's order are not contiguous.
    pub fn open(place: &Place, header: &Header) -> Result<Option<Stream>> {
        let rows = header.shape.first().copied().unwrap_or(0);
        let (Some(element), true) = (header.element, rows > 0) else { return Ok(None) };
        if header.is_fortran() {
            return Ok(None);
        }
        let too_large = || Error::input(format!("its shape {} is too large", shape_text(&header.shape)));
        let size =
            elements(&header.shape).and_then(|n| n.checked_mul(element.size())).ok_or_else(too_large)?;
        let row = size / rows;
        let per_block = BLOCK.div_ceil(row.max(1)).min(rows);
        let reader = match place.packing {
            Packing::Stored => {
                let mut file = open(&place.path, place.start)?;
                Header::read(&mut file)?;
                let start = file.stream_position().map_err(unreadable)?;
                let there = file.metadata().map_err(unreadable)?.len().saturating_sub(start);
                if there < size as u64 {
                    return Err(cut_off(format!("{there} of {size} bytes of elements are there")));
                }
                Reader::Stored { file, start }
            }
            Packing::Deflated { size: deflated, inflated, crc } => {
                if inflated < size as u64 {
                    return Err(cut_off(format!("{size} bytes of elements in {inflated} bytes")));
                }
                let inflater = Box::new(Inflater::open(place, deflated, crc)?);
                Reader::Deflated { place: place.clone(), inflater, next: 0 }
            }
        };
        let state = Mutex::new(State { reader, blocks: VecDeque::new() });
        Ok(Some(Stream { header: header.clone(), element, row, per_block, state }))
    }

    /// Rows that lie one after the other in a file of their own, as many as the first dimension says.
    pub fn of_rows(file: File, element: Element, shape: Vec<usize>) -> Stream {
        let rows = shape.first().copied().unwrap_or(0);
        let row = elements(&shape[1..]).unwrap_or(0).saturating_mul(element.size());
        let per_block = BLOCK.div_ceil(row.max(1)).min(rows.max(1));
        let state = Mutex::new(State { reader: Reader::Stored { file, start: 0 }, blocks: VecDeque::new() });
        Stream { header: Header::of(element, shape), element, row, per_block, state }
    }

    /// Element type.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Length of the first dimension, which counts samples.
    fn rows(&self) -> usize {
        self.header.shape.first().copied().unwrap_or(0)
    }

    /// The bytes of one sample, elements little-endian.
    pub fn row_bytes(&self, row: usize) -> Result<Vec<u8>> {
        let block = self.block(row / self.per_block)?;
        let start = row % self.per_block * self.row;
        let bytes = block.get(start..start + self.row);
        bytes.map(<[u8]>::to_vec).ok_or_else(|| Error::input(format!("there is no row {row}")))
    }

    fn block(&self, index: usize) -> Result<Arc<Vec<u8>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = state.blocks.iter().find(|(number, _)| *number == index) {
            return Ok(Arc::clone(block));
        }
        let State { reader, blocks } = &mut *state;
        let mut keep = |number: usize, bytes: Vec<u8>| {
            let block = Arc::new(bytes);
            blocks.push_back((number, Arc::clone(&block)));
            if blocks.len() > KEPT.max(2 * rayon::current_num_threads()) {
                blocks.pop_front();
            }
            block
        };
        match reader {
            Reader::Stored { file, start } => {
                let at = (index * self.per_block * self.row) as u64;
                file.seek(SeekFrom::Start(*start + at)).map_err(unreadable)?;
                Ok(keep(index, self.read_block(index, file)?))
            }
            Reader::Deflated { place, inflater, next } => {
                if *next > index {
                    (**inflater, *next) = (Inflater::open(place, inflater.size, inflater.wanted)?, 0);
                }
                loop {
                    let number = *next;
                    // After an error, the decoder is at no block that can be named.
                    *next = usize::MAX;
                    let bytes = self.read_block(number, inflater)?;
                    if (number + 1) * self.per_block >= self.rows() {
                        inflater.finish()?;
                    }
                    *next = number + 1;
                    let block = keep(number, bytes);
                    if number == index {
                        return Ok(block);
                    }
                }
            }
        }
    }

    /// Reads the rows of a block from the reader's position.
    fn read_block(&self, index: usize, reader: &mut impl Read) -> Result<Vec<u8>> {
        let first = index * self.per_block;
        let mut bytes = vec![0; self.rows().saturating_sub(first).min(self.per_block) * self.row];
        reader.read_exact(&mut bytes).map_err(|e| {
            Error::input(format!("it is cut off or damaged after row {first}: {e}")).caused_by(e)
        })?;
        if self.header.is_big_endian() {
            bytes.chunks_exact_mut(self.element.size()).for_each(<[u8]>::reverse);
        }
        Ok(bytes)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} {})", shape_text(self.shape()), self.element.name())
    }
}

/// Inflates data and computes its checksum.
struct Inflater {
    decoder: DeflateDecoder<Take<BufReader<File>>>,
    seen: Crc,
    /// Bytes of the deflated data.
    size: u64,
    /// The checksum that the archive states.
    wanted: u32,
}

impl Inflater {
    /// Opens an inflater and skips the array's header.
    fn open(place: &Place, size: u64, wanted: u32) -> Result<Inflater> {
        let file = BufReader::with_capacity(BLOCK, open(&place.path, place.start)?);
        let mut inflater =
            Inflater { decoder: DeflateDecoder::new(file.take(size)), seen: Crc::new(), size, wanted };
        Header::read(&mut inflater)?;
        Ok(inflater)
    }

    /// Checks, after the last row, that nothing follows and that the checksum is the archive's.
    fn finish(&mut self) -> Result<()> {
        let more = self.read(&mut [0]).map_err(unreadable)?;
        match more == 0 && self.seen.sum() == self.wanted {
            true => Ok(()),
            false => Err(Error::input("its checksum is wrong: it is damaged")),
        }
    }
}

impl Read for Inflater {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.seen.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn open(path: &Path, start: u64) -> Result<File> {
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
    Ok(file)
}

fn cut_off(what: String) -> Error {
    Error::input(format!("it is cut off: {what}"))
}

fn unreadable(error: std::io::Error) -> Error {
    Error::input(format!("its elements cannot be read: {error}")).caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io::Write;

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::super::npy::Array;
    use super::super::npz::Npz;
    use super::*;

    /// 5000 rows of 100 numbers that do not compress well, as NumPy writes them.
    fn npy(descr: &str) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (5000, 4, 25), }}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        for i in 0..500_000u32 {
            let x = i.wrapping_mul(2_654_435_761) >> 16;
            bytes.extend(if descr.starts_with('>') { x.to_be_bytes() } else { x.to_le_bytes() });
        }
        bytes
    }

    fn zipped(folder: &Path, npy: &[u8], method: CompressionMethod) -> PathBuf {
        let path = folder.join("x.npz");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        zip.start_file("first.npy", SimpleFileOptions::default()).unwrap();
        zip.write_all(&npy[..500]).unwrap();
        zip.start_file("x.npy", SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(npy).unwrap();
        zip.finish().unwrap();
        path
    }

    #[test]
    fn rows_are_those_of_the_array_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        for descr in ["<u4", ">u4"] {
            let npy = npy(descr);
            let array = Array::read(&npy[..]).unwrap();
            let plain = folder.path().join("x.npy");
            std::fs::write(&plain, &npy).unwrap();
            let place = Place { path: plain, start: 0, packing: Packing::Stored };
            let mut places = vec![(place, Header::read(&mut &npy[..]).unwrap())];
            for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
                let mut npz = Npz::open(&zipped(folder.path(), &npy, method)).unwrap();
                places.push((npz.place("x").unwrap().unwrap(), npz.header("x").unwrap().clone()));
                // Each case needs a file of its own.
                let own = folder.path().join(format!("{method}{}.npz", &descr[1..]));
                std::fs::rename(folder.path().join("x.npz"), &own).unwrap();
                places.last_mut().unwrap().0.path = own;
            }
            assert!(matches!(places[2].0.packing, Packing::Deflated { .. }));
            for (place, header) in &places {
                let stream = Stream::open(place, header).unwrap().unwrap();
                assert_eq!(stream.shape(), [5000, 4, 25]);
                let near = (0..5000).step_by(7);
                for row in near.chain([4999, 0, 3000, 1, 2999, 4999]) {
                    assert_eq!(stream.row_bytes(row).unwrap(), array.row_bytes(row), "{row} of {place:?}");
                }
                assert!(stream.row_bytes(5000).is_err());
            }
        }
    }

    #[test]
    fn damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let npy = npy("<u4");
        let header = Header::read(&mut &npy[..]).unwrap();
        let path = folder.path().join("short.npy");
        std::fs::write(&path, &npy[..npy.len() - 1]).unwrap();
        let place = Place { path, start: 0, packing: Packing::Stored };
        assert!(Stream::open(&place, &header).unwrap_err().message.contains("cut off"));

        let path = zipped(folder.path(), &npy, CompressionMethod::Deflated);
        let place = Npz::open(&path).unwrap().place("x").unwrap().unwrap();
        let Packing::Deflated { size, inflated, crc } = place.packing else { panic!("{place:?}") };
        let read = |packing: Packing| {
            let place = Place { packing, ..place.clone() };
            let stream = Stream::open(&place, &header).unwrap().unwrap();
            // Reads twice, since an error must leave nothing behind that looks like data.
            stream.row_bytes(4999).and_then(|_| stream.row_bytes(0)).and_then(|_| stream.row_bytes(4999))
        };
        assert!(read(place.packing).is_ok());
        let error = read(Packing::Deflated { size: size / 2, inflated, crc }).unwrap_err();
        assert!(error.message.contains("cut off or damaged"), "{error}");
        assert!(error.source().is_some_and(|cause| cause.is::<std::io::Error>()), "{error:?}");
        let error = read(Packing::Deflated { size, inflated, crc: !crc }).unwrap_err();
        assert!(error.message.contains("checksum"), "{error}");
        let claims = Place { packing: Packing::Deflated { size, inflated: 1 << 20, crc }, ..place.clone() };
        assert!(Stream::open(&claims, &header).unwrap_err().message.contains("cut off"));
    }

    #[test]
    fn scattered_rows_are_not_streamed() {
        let text = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        let header = Header::read(&mut &bytes[..]).unwrap();
        let place = Place { path: "absent.npy".into(), start: 0, packing: Packing::Stored };
        assert!(Stream::open(&place, &header).unwrap().is_none());
    }
}
