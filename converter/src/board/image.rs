//! Runners that are part of this program, for where there are no sources to build them from: an installed command.
//!
//! ```text
//! runner --> what QEMU loads of it, and the two symbols that the model of cycles asks for --> deflated --> images/NAME.elf.z
//! ```
//! `cargo xtask images` makes them, and `build.rs` embeds those that are there.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use object::{Object, ObjectSymbol};
use tempfile::TempPath;

use super::cycles::MARKS;
use super::firmware::{Firmware, folder, has_sources, temporary};
use super::footprint::{parse, read};
use super::table::Board;
use crate::error::{Error, Result};

/// The images by the names of their boards.
const IMAGES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/images.rs"));

/// Most bytes of all images together.
pub const MOST_BYTES: usize = 1_500_000;

/// A board's runner as a file.
#[derive(Debug)]
pub(super) struct Runner {
    path: PathBuf,
    /// Unpacked images go with this value.
    _unpacked: Option<TempPath>,
}

impl Runner {
    /// Builds the runner where its sources are, else unpacks the image.
    pub(super) fn of(board: &Board) -> Result<Runner> {
        if has_sources() {
            return Ok(Runner { path: Firmware::runner(board).build()?, _unpacked: None });
        }
        let Some(image) = embedded(board) else {
            // Says where they were looked for.
            folder()?;
            return Err(Error::internal("the firmware's sources come and go"));
        };
        let mut file = tempfile::NamedTempFile::new().map_err(temporary)?;
        file.write_all(&unpack(image)?).map_err(temporary)?;
        let unpacked = file.into_temp_path();
        Ok(Runner { path: unpacked.to_path_buf(), _unpacked: Some(unpacked) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The image of a board's runner that is part of this program.
pub fn embedded(board: &Board) -> Option<&'static [u8]> {
    IMAGES.iter().find(|(name, _)| *name == board.name).map(|(_, image)| *image)
}

/// Builds a board's runner and makes an image of it, as `images/NAME.elf.z` holds it.
///
/// # Errors
/// When it does not build.
pub fn pack(board: &Board) -> Result<Vec<u8>> {
    let path = Firmware::runner(board).build()?;
    let bytes = read(&path)?;
    let file = parse(&path, &bytes)?;
    let marks = MARKS.map(|mark| {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(mark));
        symbol.map(|symbol| (mark, symbol.address() as u32))
    });
    let wrong =
        || Error::internal(format!("{}: is no ELF of 32 bits as the linker writes them", path.display()));
    let lean = lean(&bytes, &marks.into_iter().flatten().collect::<Vec<_>>()).ok_or_else(wrong)?;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&lean).and_then(|()| packed.finish()).map_err(temporary)
}

fn unpack(image: &[u8]) -> Result<Vec<u8>> {
    let mut elf = Vec::new();
    ZlibDecoder::new(image)
        .read_to_end(&mut elf)
        .map_err(|e| Error::internal(format!("the image of a runner is damaged: {e}")).caused_by(e))?;
    Ok(elf)
}

/// Sizes of ELF's records for 32 bits.
const HEADER: usize = 52;
const SEGMENT: usize = 32;
const SECTION: usize = 40;
const SYMBOL: usize = 16;

/// An ELF file with the segments that are loaded, these symbols, and nothing else; `None` where the given one is no ELF
/// of 32 bits and little-endian.
fn lean(elf: &[u8], symbols: &[(&str, u32)]) -> Option<Vec<u8>> {
    let half = |at: usize| Some(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    if !elf.starts_with(b"\x7fELF\x01\x01") {
        return None;
    }
    let first = word(28)? as usize;
    let segments =
        (0..half(44)?).map(|index| elf.get(first + usize::from(index) * SEGMENT..)?.get(..SEGMENT));
    let segments: Vec<&[u8]> = segments.collect::<Option<_>>()?;
    let loaded: Vec<&[u8]> =
        segments.into_iter().filter(|record| record.starts_with(&[1, 0, 0, 0])).collect();

    let mut out = elf.get(..HEADER)?.to_vec();
    let mut data = Vec::new();
    let data_at = HEADER + loaded.len() * SEGMENT;
    for record in &loaded {
        let field =
            |index: usize| Some(u32::from_le_bytes(*record.get(index * 4..)?.first_chunk()?) as usize);
        let (offset, bytes) = (field(1)?, field(4)?);
        let mut record = record.to_vec();
        record[4..8].copy_from_slice(&((data_at + data.len()) as u32).to_le_bytes());
        out.extend(record);
        data.extend(elf.get(offset..)?.get(..bytes)?);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    out.extend(data);

    let mut names = vec![0u8];
    let mut table = vec![0u8; SYMBOL];
    for (name, address) in symbols {
        // Name, value, size, a global function, visible, absolute.
        table.extend((names.len() as u32).to_le_bytes());
        table.extend(address.to_le_bytes());
        table.extend([0, 0, 0, 0, 0x12, 0, 0xF1, 0xFF]);
        names.extend(name.bytes().chain([0]));
    }
    // Names of sections: 1 `.symtab`, 9 `.strtab`, for both lists of names.
    let places = [out.len(), out.len() + table.len()];
    let sections = b"\0.symtab\0.strtab\0";
    let section_names = names.len() as u32;
    names.extend(sections);
    out.extend(&table);
    out.extend(&names);
    out.resize(out.len().next_multiple_of(4), 0);
    let sections_at = out.len() as u32;
    let section = |fields: [u32; 10]| fields.into_iter().flat_map(u32::to_le_bytes);
    let (at, name) = (|index: usize| places[index] as u32, |offset: u32| section_names + offset);
    out.extend([0; SECTION]);
    // Name, type, flags, address, offset, size, link, info, alignment, size of an entry.
    out.extend(section([name(1), 2, 0, 0, at(0), table.len() as u32, 2, 1, 4, SYMBOL as u32]));
    out.extend(section([name(9), 3, 0, 0, at(1), names.len() as u32, 0, 0, 1, 0]));
    out[28..32].copy_from_slice(&(HEADER as u32).to_le_bytes());
    out[32..36].copy_from_slice(&sections_at.to_le_bytes());
    let counts = [HEADER as u16, SEGMENT as u16, loaded.len() as u16, SECTION as u16, 3, 2];
    for (place, count) in out[40..52].chunks_exact_mut(2).zip(counts) {
        place.copy_from_slice(&count.to_le_bytes());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use object::{ObjectSegment, ObjectSymbol};

    use super::*;
    use crate::board::BOARDS;

    /// An ELF of two segments, one of which is loaded, and a section of debug data.
    fn elf() -> Vec<u8> {
        let mut out = vec![0u8; HEADER];
        out[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
        out[16..20].copy_from_slice(&[2, 0, 40, 0]);
        out[20..28].copy_from_slice(&[1, 0, 0, 0, 9, 0, 0, 0x10]);
        out[28] = HEADER as u8;
        out[40..46].copy_from_slice(&[HEADER as u8, 0, SEGMENT as u8, 0, 2, 0]);
        let at = (HEADER + 2 * SEGMENT) as u32;
        for record in [[4, at + 8, 0, 0, 4, 4, 0, 4], [1, at, 0x1000_0000, 0x2000_0000, 7, 12, 5, 4]] {
            out.extend(record.into_iter().flat_map(u32::to_le_bytes));
        }
        out.extend(b"program and much more that is not loaded");
        out
    }

    #[test]
    fn an_image_is_what_is_loaded_with_its_symbols() {
        let found = lean(&elf(), &[("open", 0x1000_0001), ("close", 0x1000_0003)]).unwrap();
        let file = object::File::parse(&found[..]).unwrap();
        let segments: Vec<_> =
            file.segments().map(|s| (s.address(), s.size(), s.data().unwrap().to_vec())).collect();
        assert_eq!(segments, [(0x1000_0000, 12, b"program".to_vec())]);
        let symbols: Vec<_> = file.symbols().map(|s| (s.name().unwrap().to_string(), s.address())).collect();
        assert_eq!(symbols, [("open".to_string(), 0x1000_0001), ("close".into(), 0x1000_0003)]);
        assert_eq!(file.entry(), 0x1000_0009);
        assert!(found.len() < elf().len() + 200);
        for length in 0..HEADER + 2 * SEGMENT {
            assert!(lean(&elf()[..length], &[]).is_none(), "{length}");
        }
        assert!(lean(b"no ELF at all", &[]).is_none());
    }

    #[test]
    fn embedded_images_are_whole_and_small() {
        if IMAGES.is_empty() {
            return;
        }
        assert!(IMAGES.iter().map(|(_, image)| image.len()).sum::<usize>() <= MOST_BYTES);
        for board in BOARDS {
            let elf =
                unpack(embedded(board).unwrap_or_else(|| panic!("{} has no image", board.name))).unwrap();
            let file = object::File::parse(&elf[..]).unwrap();
            for mark in MARKS {
                assert!(file.symbols().any(|symbol| symbol.name() == Ok(mark)), "{}: {mark}", board.name);
            }
        }
    }
}
