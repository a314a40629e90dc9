//! TFRecord: records one behind the other, each with its length and checksums.
//!
//! ```text
//! length (64 bits) | its CRC-32C (32 bits) | contents | their CRC-32C      little-endian, repeated to the end of the file
//! ```
//! A checksum `c` is stored as `((c >> 15) | (c << 17)) + 0xA282EAD8`. A file may be compressed by gzip, or by Snappy in blocks
//! with their sizes in front (32 bits, big-endian), as `tf.data.Dataset.save` can have it; such a file is decompressed into a
//! temporary one, since samples are read in any order. Memory is bounded by the largest record.
//! Source followed: TensorFlow's `record_writer.cc`, `record_reader.cc`, `snappy_outputbuffer.cc`; Snappy's `format_description.txt`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crc::{CRC_32_ISCSI, Crc, Table};
use flate2::read::MultiGzDecoder;
use tempfile::TempPath;

use super::argument::cannot_read;
use crate::error::{Error, Result};

const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Bytes of a block of Snappy at most; TensorFlow writes 256 KB.
const LARGEST_BLOCK: usize = 64 << 20;

/// A file of records.
#[derive(Debug)]
pub struct Records {
    /// The file, for messages.
    shown: PathBuf,
    /// Where the records are.
    pub plain: PathBuf,
    /// The same, if it is ours.
    temporary: Option<TempPath>,
}

impl Records {
    /// Finds out how a file is compressed, and decompresses it.
    ///
    /// # Errors
    /// When it cannot be read, or is no TFRecord.
    pub fn open(path: &Path) -> Result<Records> {
        let mut file = crate::files::open(path).map_err(|e| cannot_read(path, e))?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(12).read_to_end(&mut start).map_err(|e| cannot_read(path, e))?;
        file.rewind().map_err(|e| cannot_read(path, e))?;
        let reader = BufReader::with_capacity(1 << 18, file);
        let whole = start.first_chunk::<12>();
        let temporary = if start.starts_with(&[0x1F, 0x8B]) {
            Some(spooled(path, |out| std::io::copy(&mut MultiGzDecoder::new(reader), out).map(|_| ()))?)
        } else if start.is_empty() || whole.is_some_and(|start| length(start).is_some()) {
            None
        } else if whole.is_some_and(|start| (1..LARGEST_BLOCK as u32).contains(&big(start))) {
            Some(spooled(path, |out| inflate_snappy(reader, out))?)
        } else {
            return Err(Error::input(format!(
                "{}: no TFRecord: its first record has a wrong checksum",
                path.display()
            ))
            .help("write it with tf.io.TFRecordWriter, plain or by gzip"));
        };
        let plain = temporary.as_deref().unwrap_or(path).to_path_buf();
        Ok(Records { shown: path.to_path_buf(), plain, temporary })
    }

    /// A temporary file of the records that are made of a file of another kind.
    ///
    /// # Errors
    /// When one of them cannot be made, or there is no room.
    #[cfg(feature = "parquet")]
    pub fn made(path: &Path, mut records: impl Iterator<Item = Result<Vec<u8>>>) -> Result<Records> {
        let mut refused = Ok(());
        let made = spooled(path, |out| {
            for record in records.by_ref() {
                match record {
                    Ok(record) => framed(&record, out)?,
                    Err(why) => {
                        refused = Err(why);
                        break;
                    }
                }
            }
            Ok(())
        })?;
        refused?;
        Ok(Records { shown: path.to_path_buf(), plain: made.to_path_buf(), temporary: Some(made) })
    }

    /// Calls `f` with each record and where it begins, until it says that there is enough.
    ///
    /// # Errors
    /// When a record is damaged, cut off, or `f` refuses it.
    pub fn each(&self, mut f: impl FnMut(u64, &[u8]) -> Result<bool>) -> Result<()> {
        let failed = |e| cannot_read(&self.shown, e);
        let file = File::open(&self.plain).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let (mut at, mut number, mut record) = (0, 0usize, Vec::new());
        while at < size {
            let broken = |what: &str| {
                Error::input(format!("{}: record {number} {what}", self.shown.display()))
                    .help("copy the file again, or write it again with tf.io.TFRecordWriter")
            };
            let mut header = [0; 12];
            if size - at < 12 {
                return Err(broken("is cut off"));
            }
            reader.read_exact(&mut header).map_err(failed)?;
            let length = length(&header).ok_or_else(|| broken("has a length with a wrong checksum"))?;
            let start = at + 12;
            // Nothing is reserved for a length that the file does not have.
            let end = start.checked_add(length).and_then(|end| end.checked_add(4)).filter(|&end| end <= size);
            at = end.ok_or_else(|| {
                broken(&format!("is cut off: it has {length} bytes, the file {size} in all"))
            })?;
            record.resize(length as usize, 0);
            reader.read_exact(&mut record).map_err(failed)?;
            let mut sum = [0; 4];
            reader.read_exact(&mut sum).map_err(failed)?;
            if masked(&record) != u32::from_le_bytes(sum) {
                return Err(broken("is damaged: its checksum is wrong"));
            }
            if !f(start, &record)? {
                break;
            }
            number += 1;
        }
        Ok(())
    }

    /// The temporary file, which is deleted with what this returns.
    pub fn into_temporary(self) -> Option<TempPath> {
        self.temporary
    }
}

/// The checksum of contents, as it is stored.
fn masked(contents: &[u8]) -> u32 {
    CRC.checksum(contents).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// The length of a record, if its checksum is right.
fn length(header: &[u8; 12]) -> Option<u64> {
    let [a, b, c, d, e, f, g, h, sum @ ..] = *header;
    let length = [a, b, c, d, e, f, g, h];
    (masked(&length) == u32::from_le_bytes(sum)).then_some(u64::from_le_bytes(length))
}

fn big(start: &[u8; 12]) -> u32 {
    u32::from_be_bytes([start[0], start[1], start[2], start[3]])
}

/// A temporary file with what `write` makes of a file.
fn spooled(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<TempPath> {
    let mut file = tempfile::NamedTempFile::new().map_err(|e| {
        Error::input(format!("a temporary file cannot be made: {e}")).help("set TMPDIR to a folder with room")
    })?;
    let mut out = BufWriter::with_capacity(1 << 18, file.as_file_mut());
    write(&mut out).and_then(|()| out.flush()).map_err(|e| {
        Error::input(format!("{}: it cannot be decompressed: {e}", path.display())).help(
            "the file is damaged, or TMPDIR has no room for it; write it again with tf.io.TFRecordWriter",
        )
    })?;
    drop(out);
    Ok(file.into_temp_path())
}

/// Decompresses blocks with their sizes in front.
fn inflate_snappy(mut reader: impl Read, out: &mut impl Write) -> std::io::Result<()> {
    let damaged = || std::io::Error::other("a block of Snappy is damaged");
    let mut block = Vec::new();
    loop {
        let mut size = Vec::new();
        reader.by_ref().take(4).read_to_end(&mut size)?;
        if size.is_empty() {
            return Ok(());
        }
        let size = u32::from_be_bytes(*size.first_chunk().ok_or_else(damaged)?) as usize;
        if size > LARGEST_BLOCK {
            return Err(damaged());
        }
        block.clear();
        reader.by_ref().take(size as u64).read_to_end(&mut block)?;
        if block.len() < size {
            return Err(damaged());
        }
        out.write_all(&snappy(&block).ok_or_else(damaged)?)?;
    }
}

/// The contents of a block: literals, and copies of what stands before them.
fn snappy(mut block: &[u8]) -> Option<Vec<u8>> {
    let size =
        usize::try_from(super::wire::varint(&mut block)?).ok().filter(|&size| size <= LARGEST_BLOCK)?;
    let mut out = Vec::with_capacity(size.min(1 << 20));
    while let Some((&tag, rest)) = block.split_first() {
        block = rest;
        let upper = usize::from(tag >> 2);
        let mut number = |bytes: usize| {
            let (own, rest) = block.split_at_checked(bytes)?;
            block = rest;
            Some(own.iter().rev().fold(0usize, |number, &byte| number << 8 | usize::from(byte)))
        };
        let (length, distance) = match tag & 3 {
            0 => {
                let length = 1 + if upper < 60 { upper } else { number(upper - 59)? };
                let (literal, rest) = block.split_at_checked(length)?;
                block = rest;
                out.extend_from_slice(literal);
                (0, 1)
            }
            1 => (4 + (upper & 7), (upper >> 3) << 8 | number(1)?),
            2 => (1 + upper, number(2)?),
            _ => (1 + upper, number(4)?),
        };
        // A copy may reach into itself.
        let start = out.len().checked_sub(distance).filter(|_| distance != 0)?;
        if out.len() + length > size {
            return None;
        }
        for at in start..start + length {
            out.push(*out.get(at)?);
        }
    }
    (out.len() == size).then_some(out)
}

/// Writes a record as TensorFlow does.
#[cfg(any(test, feature = "parquet"))]
fn framed(record: &[u8], out: &mut impl Write) -> std::io::Result<()> {
    let length = (record.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(&length).to_le_bytes())?;
    out.write_all(record)?;
    out.write_all(&masked(record).to_le_bytes())
}

/// A file of records, for tests.
#[cfg(test)]
pub fn written(records: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    records.iter().for_each(|record| framed(record, &mut file).expect("memory has room"));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_snappy_are_literals_and_copies() {
        // abcd, then eight from four before: a copy that reaches into itself.
        assert_eq!(
            snappy(&[12, 3 << 2, b'a', b'b', b'c', b'd', 1 | 4 << 2, 4]),
            Some(b"abcdabcdabcd".to_vec())
        );
        // A distance of two bytes, and a long literal.
        let long = [[200, 1].as_slice(), &[60 << 2, 199], &[7; 200]].concat();
        assert_eq!(snappy(&long), Some(vec![7; 200]));
        assert_eq!(snappy(&[4, 0, b'x', 2 | 2 << 2, 1, 0]), Some(b"xxxx".to_vec()));
        for damaged in
            [&[5, 3 << 2, 1, 2, 3, 4][..], &[8, 0, 1, 1 | 3 << 2, 2], &[4, 0, 1, 1, 0], &[3, 3 << 2, 1]]
        {
            assert_eq!(snappy(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn damaged_files_are_refused_with_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tfrecord");
        let whole = written(&[b"first".to_vec(), Vec::new(), b"third".to_vec()]);
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut seen = Vec::new();
            let each = |_, record: &[u8]| {
                seen.push(record.to_vec());
                Ok(true)
            };
            Records::open(&path).and_then(|records| records.each(each)).map(|()| seen)
        };
        assert_eq!(read(&whole).unwrap(), [b"first".to_vec(), Vec::new(), b"third".to_vec()]);
        assert!(read(&[]).unwrap().is_empty());
        for cut in [13, 20, 22, whole.len() - 1] {
            let error = read(&whole[..cut]).unwrap_err();
            assert!(error.message.contains("is cut off"), "{cut}: {error}");
        }
        for (at, what) in [(0, "no TFRecord"), (14, "record 0 is damaged"), (21, "record 1 has a length")] {
            let mut bytes = whole.clone();
            bytes[at] ^= 64;
            let error = read(&bytes).unwrap_err();
            assert!(error.message.contains(what), "{at}: {error}");
        }
    }
}
