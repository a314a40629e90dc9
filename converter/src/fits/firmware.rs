//! What a firmware holds, read from its ELF file: the model, and the list of operators that it links.
//!
//! A model file has no length in its head, but a checksum over all of its bytes: the length is the one at which the
//! checksum fits. A list of operators is a run of [`Operator`](ferrolite_runtime::ops::Operator)s, whose layout is C's:
//! a code, and three addresses of code.

use std::collections::BTreeSet;
use std::path::Path;

use ferrolite_runtime::OpCode;
use ferrolite_schema::{FILE_ALIGNMENT, FILE_IDENTIFIER, Model};
use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionFlags, elf};

use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
use crate::model_file::ModelFile;

/// What was found in an ELF file.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// The models, each once.
    pub(super) models: Vec<ModelFile>,
    /// The codes of all lists of operators.
    pub(super) codes: BTreeSet<u16>,
    /// Bytes of the arena, and of a slot, where the program says so (`room!`, FERROLITE_ARENA_ROOM).
    pub(super) arena_bytes: Option<u64>,
    pub(super) slot_bytes: Option<u64>,
}

/// Bytes that stand at an address of the firmware.
struct Part<'f> {
    address: u64,
    bytes: &'f [u8],
}

/// Whether a file is an ELF.
pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Looks through an ELF file.
///
/// # Errors
/// When it is damaged, or for a machine that lists of operators are not known on.
pub(super) fn contents(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let wrong = |what: String| {
        Error::input(format!("{}: {what}", path.display()))
            .help("give the ELF file that the linker wrote, or the .ferro file that the firmware was built with by --of")
    };
    let file = object::File::parse(bytes).map_err(|error| wrong(error.to_string()).caused_by(error))?;
    let pointer = match file.architecture() {
        Architecture::Arm | Architecture::Riscv32 => 4,
        other => return Err(wrong(format!("is for {other:?}, firmware is for Arm or RISC-V of 32 bits"))),
    };
    if !file.is_little_endian() {
        return Err(wrong("is big-endian, which no Ferrolite firmware is".into()));
    }
    let (mut data, mut code) = (Vec::new(), Vec::new());
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        let Ok(bytes) = section.data() else { continue };
        if sh_flags & u64::from(elf::SHF_ALLOC) == 0 || bytes.is_empty() {
            continue;
        }
        if sh_flags & u64::from(elf::SHF_EXECINSTR) != 0 {
            code.push(section.address()..section.address() + bytes.len() as u64);
        }
        // Some linker scripts put constants among the code.
        data.push(Part { address: section.address(), bytes });
    }
    let thumb = file.architecture() == Architecture::Arm;
    let is_code = |address: u32| {
        let address = u64::from(address);
        let even = address & !1;
        (address != even) == thumb && code.iter().any(|range| range.contains(&even))
    };
    let room = |name| file.symbol_by_name(name).map(|symbol| symbol.address());
    let mut found = Contents {
        arena_bytes: room("ferrolite_arena_bytes"),
        slot_bytes: room("ferrolite_slot_bytes"),
        ..Contents::default()
    };
    for part in &data {
        found.models.extend(models(path, part));
        found.codes.extend(codes(part, pointer, &is_code));
    }
    found.models.sort_by(|a, b| a.bytes().cmp(b.bytes()));
    found.models.dedup_by(|a, b| a.bytes() == b.bytes());
    Ok(found)
}

/// The models that lie in a part.
fn models(path: &Path, part: &Part<'_>) -> Vec<ModelFile> {
    let mut found = Vec::new();
    let mut at = (part.address.wrapping_neg() % FILE_ALIGNMENT as u64) as usize;
    while let Some(rest) = part.bytes.get(at..).filter(|rest| rest.len() >= 8) {
        let mut step = FILE_ALIGNMENT;
        if rest[4..8] == FILE_IDENTIFIER
            && let Some(length) = length(rest)
        {
            found.push(ModelFile::from_bytes(path.display().to_string(), &rest[..length]));
            step = length.next_multiple_of(FILE_ALIGNMENT);
        }
        at += step;
    }
    found
}

/// The length of the model file that some bytes begin with.
fn length(bytes: &[u8]) -> Option<usize> {
    let copy = AlignedBuf::from_bytes(bytes);
    let (at, stored) = Model::from_bytes(&copy).ok()?.checksum()?;
    let mut crc = flate2::Crc::new();
    let mut zeroed = bytes.to_vec();
    zeroed.get_mut(at..at + 4)?.fill(0);
    // The checksum may fit by chance, so the file has to be whole as well.
    let whole = |length: usize| {
        let file = ModelFile::from_bytes("", &bytes[..length]);
        file.model().is_ok()
    };
    for (index, byte) in zeroed.iter().enumerate() {
        crc.update(std::slice::from_ref(byte));
        if index >= at + 3 && crc.sum() == stored && whole(index + 1) {
            return Some(index + 1);
        }
    }
    None
}

/// The codes of the lists of operators that lie in a part.
fn codes(part: &Part<'_>, pointer: usize, is_code: &dyn Fn(u32) -> bool) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    let start = (part.address.wrapping_neg() % pointer as u64) as usize;
    let words: Vec<u32> = part
        .bytes
        .get(start..)
        .unwrap_or_default()
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    for record in words.windows(4) {
        let [code, check, eval, lead] = record else { continue };
        let known = u16::try_from(*code).ok().filter(|&code| OpCode::from_code(code).is_some());
        if let Some(code) = known.filter(|_| [check, eval, lead].into_iter().all(|&address| is_code(address)))
        {
            found.insert(code);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro")).unwrap()
    }

    #[test]
    fn models_are_found_among_other_bytes() {
        let file = sine();
        // An address that is no multiple of 16, other bytes on both sides, and what only looks like a model.
        let mut bytes = vec![0xA5; 12 + 32];
        bytes.extend(&file);
        bytes.resize(12 + 32 + file.len().next_multiple_of(16), 0);
        bytes.extend(b"\x20\0\0\0FERO and no more of it");
        let part = Part { address: 0x0800_0004, bytes: &bytes };
        let found = models(Path::new("a.elf"), &part);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].bytes(), &file[..]);
        let mut damaged = bytes.clone();
        damaged[12 + 32 + file.len() / 2] ^= 1;
        assert!(models(Path::new("a.elf"), &Part { bytes: &damaged, ..part }).is_empty());
    }

    #[test]
    fn lists_of_operators_are_codes_with_addresses_of_code() {
        let conv = OpCode::Conv2d as u32;
        let words =
            [7, conv, 0x101, 0x103, 0x1F1, conv + 1, 0x101, 0x104, 0x105, 0xFFFF, 0x101, 0x101, 0x101];
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        let is_code = |address: u32| address & 1 == 1 && (0x100..0x200).contains(&(address & !1));
        let found = codes(&Part { address: 0x1000, bytes: &bytes }, 4, &is_code);
        assert_eq!(found, BTreeSet::from([OpCode::Conv2d as u16]));
    }
}
