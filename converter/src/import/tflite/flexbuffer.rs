//! Numbers in FlexBuffers, which custom operators of TensorFlow Lite have as their options.
//!
//! ```text
//! … keys   number of keys, offsets back to their texts
//! … map    offset back to the keys, width of those, number of values, values, their types
//! root: offset back to the map, its type, its width
//! ```
//! Numbers have 1, 2, 4 or 8 bytes, little-endian; an offset is how far something lies before the offset itself.
//! Source: FlexBuffers' page of the FlatBuffers documentation.

/// The type of a map, and of integers in it, with the width in the lower two bits.
const MAP: u8 = 9;
const SIGNED: u8 = 1;
const UNSIGNED: u8 = 2;
const BOOL: u8 = 26;

/// The integer of this name in a map.
pub(super) fn integer(bytes: &[u8], name: &str) -> Option<i64> {
    let (&[kind, width], before) = bytes.split_last_chunk::<2>().map(|(before, last)| (last, before))?;
    let root = before.len().checked_sub(width.into())?;
    if kind >> 2 != MAP {
        return None;
    }
    let map = back(bytes, root, width.into())?;
    let width = 1usize << (kind & 3);
    let count = unsigned(bytes, map.checked_sub(width)?, width)? as usize;
    let keys = back(bytes, map.checked_sub(3 * width)?, width)?;
    let keys_width = unsigned(bytes, map.checked_sub(2 * width)?, width)? as usize;
    for index in 0..count.min(bytes.len()) {
        let key = back(bytes, keys.checked_add(index.checked_mul(keys_width)?)?, keys_width)?;
        let text = bytes.get(key..)?;
        if text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)) {
            let kind = *bytes.get(map.checked_add(count.checked_mul(width)?)?.checked_add(index)?)?;
            let number = unsigned(bytes, map.checked_add(index * width)?, width)?;
            let shift = 64 - 8 * width as u32;
            return match kind >> 2 {
                SIGNED => Some((number << shift) as i64 >> shift),
                UNSIGNED | BOOL => i64::try_from(number).ok(),
                _ => None,
            };
        }
    }
    None
}

/// Where an offset leads.
fn back(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    at.checked_sub(usize::try_from(unsigned(bytes, at, width)?).ok()?)
}

fn unsigned(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    if ![1, 2, 4, 8].contains(&width) {
        return None;
    }
    let number = bytes.get(at..at.checked_add(width)?)?;
    Some(number.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of two numbers of one byte: `a` is 5, `cycles` is `value`, of this type.
    fn map(value: u8, kind: u8) -> Vec<u8> {
        let mut bytes = b"a\0cycles\0".to_vec();
        // Keys: their number, and offsets back to 0 and 2.
        bytes.extend([2, 10, 9]);
        // The offset back to the first key's, their width; the number of values, the values, their types.
        bytes.extend([2, 1, 2, 5, value, 4, kind << 2]);
        // The map, from its first value on.
        bytes.extend([4, MAP << 2, 1]);
        bytes
    }

    #[test]
    fn numbers_are_found_by_name() {
        assert_eq!(integer(&map(7, SIGNED), "cycles"), Some(7));
        assert_eq!(integer(&map(0xFF, SIGNED), "cycles"), Some(-1));
        assert_eq!(integer(&map(0xFF, UNSIGNED), "cycles"), Some(255));
        assert_eq!(integer(&map(7, SIGNED), "a"), Some(5));
        assert_eq!(integer(&map(7, SIGNED), "cycle"), None);
        assert_eq!(integer(&map(7, 3), "cycles"), None);
    }

    #[test]
    fn damaged_maps_are_no_numbers() {
        let whole = map(7, SIGNED);
        for end in 0..whole.len() {
            assert_eq!(integer(&whole[..end], "cycles"), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _ = integer(&damaged, "cycles");
            }
        }
    }
}
