//! Options of custom operators: a FlexBuffers map of numbers. Source followed: `flatbuffers/flexbuffers.h`.
//!
//! A buffer ends with its root: the value, its type, and the bytes of the value. A map is a vector of values, with the
//! bytes of types behind them; before them are where the keys are, the bytes of an offset there, and the count.

/// Types of values, of which the lower two bits of a type's byte are the width.
mod kind {
    pub const INT: u8 = 1;
    pub const UINT: u8 = 2;
    pub const FLOAT: u8 = 3;
    pub const INDIRECT_INT: u8 = 6;
    pub const INDIRECT_UINT: u8 = 7;
    pub const INDIRECT_FLOAT: u8 = 8;
    pub const MAP: u8 = 9;
    pub const BOOL: u8 = 26;
}

/// A key has fewer bytes: a damaged file may have very many keys, and no end of a text.
const LONGEST: usize = 256;

/// The numbers of a map by their keys, truth values as 0 and 1; `None` if the bytes are no map. Entries that are no
/// numbers are left out.
pub(super) fn map(bytes: &[u8]) -> Option<Vec<(String, f64)>> {
    let (&root_width, rest) = bytes.split_last()?;
    let (&root_type, rest) = rest.split_last()?;
    if root_type >> 2 != kind::MAP {
        return None;
    }
    let root = rest.len().checked_sub(root_width.into())?;
    let values = behind(bytes, root, root_width.into())?;
    let width = 1usize << (root_type & 3);
    let field = |back: usize| values.checked_sub(back * width);
    let count = usize::try_from(unsigned(bytes, field(1)?, width)?).ok()?;
    let key_width = usize::try_from(unsigned(bytes, field(2)?, width)?).ok()?;
    let keys = behind(bytes, field(3)?, width)?;
    let types = bytes.get(values.checked_add(count.checked_mul(width)?)?..)?.get(..count)?;
    let mut found = Vec::new();
    for (number, &packed) in types.iter().enumerate() {
        let key = behind(bytes, keys.checked_add(number.checked_mul(key_width)?)?, key_width)?;
        let text = bytes.get(key..)?;
        let length = text.iter().take(LONGEST).position(|&byte| byte == 0)?;
        let key = text.get(..length)?;
        let at = values.checked_add(number.checked_mul(width)?)?;
        if let Some(value) = value(bytes, packed, at, width) {
            found.push((String::from_utf8_lossy(key).into_owned(), value));
        }
    }
    Some(found)
}

fn value(bytes: &[u8], packed: u8, at: usize, width: usize) -> Option<f64> {
    let there = || Some((behind(bytes, at, width)?, 1usize << (packed & 3)));
    match packed >> 2 {
        kind::INT => signed(bytes, at, width).map(|n| n as f64),
        kind::UINT | kind::BOOL => unsigned(bytes, at, width).map(|n| n as f64),
        kind::FLOAT => real(bytes, at, width),
        kind::INDIRECT_INT => there().and_then(|(at, width)| signed(bytes, at, width)).map(|n| n as f64),
        kind::INDIRECT_UINT => there().and_then(|(at, width)| unsigned(bytes, at, width)).map(|n| n as f64),
        kind::INDIRECT_FLOAT => there().and_then(|(at, width)| real(bytes, at, width)),
        _ => None,
    }
}

/// Where the offset at a place leads: so many bytes back.
fn behind(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    at.checked_sub(usize::try_from(unsigned(bytes, at, width)?).ok()?)
}

fn unsigned(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..)?.get(..width)?;
    let mut whole = [0; 8];
    whole.get_mut(..width)?.copy_from_slice(field);
    matches!(width, 1 | 2 | 4 | 8).then(|| u64::from_le_bytes(whole))
}

fn signed(bytes: &[u8], at: usize, width: usize) -> Option<i64> {
    let shift = 64 - 8 * width as u32;
    unsigned(bytes, at, width).map(|n| ((n << shift) as i64) >> shift)
}

fn real(bytes: &[u8], at: usize, width: usize) -> Option<f64> {
    let field = bytes.get(at..)?;
    match width {
        4 => field.first_chunk().map(|&bytes| f32::from_le_bytes(bytes).into()),
        8 => field.first_chunk().map(|&bytes| f64::from_le_bytes(bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": 3, "b": 0.5, "c": true}`, as flatbuffers writes it, with values of four bytes: keys from 0 on, at 6 their number
    /// and how far back each is, at 12 how far back that is, the bytes of an offset there and the number of values,
    /// values from 24 on, their types, and the root, 15 bytes back.
    const MAP: &[u8] = b"a\0b\0c\0\
        \x03\x07\x06\x05\
        \0\0\
        \x05\0\0\0\x01\0\0\0\x03\0\0\0\
        \x03\0\0\0\0\0\0\x3F\x01\0\0\0\
        \x06\x0E\x6A\
        \x0F\x26\x01";

    #[test]
    fn numbers_have_their_keys() {
        let wanted = [("a", 3.0), ("b", 0.5), ("c", 1.0)].map(|(key, number)| (key.to_string(), number));
        assert_eq!(map(MAP), Some(wanted.to_vec()));
    }

    #[test]
    fn no_bytes_lead_outside() {
        for length in 0..MAP.len() {
            assert!(map(&MAP[..length]).is_none_or(|found| found.len() < 3), "{length} bytes");
        }
        for place in 0..MAP.len() {
            for byte in 0..=255 {
                let mut bytes = MAP.to_vec();
                bytes[place] = byte;
                let _ = map(&bytes);
            }
        }
    }
}
