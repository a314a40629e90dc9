//! The mark in every file that Ferrolite writes, by which a command knows which files it may replace.
//!
//! | file | mark |
//! |---|---|
//! | `.ferro` | the identifier `FERO` of the flatbuffer, whatever the version |
//! | statistics of `statistics` | they begin with [`STATISTICS`] |
//! | updates of `sign` | they begin with the identifier of a manifest, `FSU1` |
//! | `.npz` | the comment of the zip file begins with [`MARK`] |
//! | `.rs`, `.h`, `.c`, `.html`, `.lock` | the first line is a comment, or ends with one, that begins with [`MARK`] or "Written by \`ferrolite" |
//! | `.tflite` | the model's description begins with "Ferrolite" |
//!
//! Only the contents count, not the name.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use ferrolite_schema::MANIFEST_IDENTIFIER;

use crate::text::MARK;

/// The start of a file of statistics: its format, and the version of that.
pub const STATISTICS: &[u8; 8] = b"FEROPT01";

/// The start of modules and headers, which also name the command that wrote them.
const COMMAND: &str = "Written by `ferrolite ";

/// The start of the description of a TensorFlow Lite model.
const DESCRIPTION: &str = "Ferrolite";

/// The first line is searched for in so many bytes.
const HEAD: u64 = 512;

/// Size of the record at the end of a zip file without its comment, and size of the longest comment.
const END: usize = 22;
const COMMENT: usize = u16::MAX as usize;

/// Whether Ferrolite wrote a file.
///
/// # Errors
/// When it cannot be read.
pub fn by_ferrolite(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    if head.starts_with(b"PK") {
        return Ok(comment(&mut file)?.starts_with(MARK.as_bytes()));
    }
    match head.get(4..8) {
        Some(b"FERO") => return Ok(true),
        _ if head.starts_with(&STATISTICS[..6]) => return Ok(true),
        _ if head.starts_with(&MANIFEST_IDENTIFIER) => return Ok(true),
        Some(b"TFL3") => {
            file.read_to_end(&mut head)?;
            let description = crate::tflite::description(&head);
            return Ok(description.is_some_and(|text| text.starts_with(DESCRIPTION)));
        }
        _ => {}
    }
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let text = line.trim_start_matches("<!DOCTYPE html>");
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || "/*#<!-".contains(c));
    Ok(text.starts_with(MARK) || text.starts_with(COMMAND))
}

/// The comment of a zip file; empty if there is none.
fn comment(file: &mut File) -> std::io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub((END + COMMENT) as u64)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    // The record is the one whose comment extends to the end of the file.
    let found = (0..tail.len().saturating_sub(END - 1)).rev().find(|&at| {
        let record = &tail[at..];
        let size = usize::from(record[END - 2]) | usize::from(record[END - 1]) << 8;
        record.starts_with(b"PK\x05\x06") && record.len() == END + size
    });
    Ok(found.map(|at| tail.split_off(at + END)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_by_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut zip = Vec::new();
        crate::data::npz::write(&[], std::io::Cursor::new(&mut zip)).unwrap();
        // Files of other programs end in an empty comment.
        let size = MARK.len();
        let mut foreign = zip[..zip.len() - size].to_vec();
        *foreign.iter_mut().nth_back(1).unwrap() = 0;
        let cases: [(&[u8], bool); 11] = [
            (b"\x10\0\0\0FERO, whatever follows", true),
            (b"\x10\0\0\0TFL3, cut off", false),
            (b"// Written by `ferrolite convert --rust`; edit nothing\n", true),
            (b"/* Written by `ferrolite convert --c`; edit nothing */", true),
            (b"<!DOCTYPE html><!-- Written by Ferrolite 1.2.3 -->", true),
            (b"<!DOCTYPE html>\n<!-- Written by Ferrolite -->", false),
            (b"# Notes\nWritten by Ferrolite\n", false),
            (b"let text = \"Written by Ferrolite\";", false),
            (&zip, true),
            (&foreign, false),
            (b"PK", false),
        ];
        for (bytes, ours) in cases {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(by_ferrolite(&path).unwrap(), ours, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
