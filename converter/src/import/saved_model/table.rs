//! Sorted string tables, LevelDB's format, in which TensorFlow stores the index of a checkpoint.
//!
//! ```text
//! block*  metaindex  index  footer(48)          block  = contents, type (0: as is), masked CRC-32C
//! footer  = handle of metaindex, handle of index, padding, magic
//! contents = entry*, restart offsets, their number
//! entry   = shared, unshared, value length (varints), the key's unshared tail, value
//! ```
//! Each entry of the index contains the handle (offset and size, varints) of a block.
//! Source: `tensorflow/core/lib/io/{table,block,format}.cc`.

use crc::{CRC_32_ISCSI, Crc};

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER: usize = 48;
/// Type byte and checksum after the contents of a block.
const TRAILER: usize = 5;

const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A CRC-32C as TensorFlow stores it. It is masked, because a checksum of data that contains checksums would
/// be weak.
pub(super) fn masked_crc(bytes: &[u8]) -> u32 {
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A key and its value.
pub(super) type Entry<'f> = (Vec<u8>, &'f [u8]);

/// All entries of a table in their order, or the reason why it is damaged.
pub(super) fn entries(file: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let footer = file.len().checked_sub(FOOTER).and_then(|at| file.get(at..)).ok_or("it is cut short")?;
    if footer.get(40..) != Some(MAGIC.to_le_bytes().as_slice()) {
        return Err("it does not end in the mark of a checkpoint index".into());
    }
    let mut handles = footer;
    let _metaindex = handle(&mut handles).ok_or("its footer is damaged")?;
    let index = handle(&mut handles).ok_or("its footer is damaged")?;
    let mut all = Vec::new();
    // Blocks do not overlap in a valid file, so together they have at most as many bytes as the file.
    let mut left = file.len();
    for (_, mut value) in block(file, index)? {
        let at = handle(&mut value).ok_or("an entry of its index is damaged")?;
        left = left.checked_sub(at.1.max(1)).ok_or("its blocks overlap")?;
        all.extend(block(file, at)?);
    }
    Ok(all)
}

/// Offset and size of a block.
fn handle(bytes: &mut &[u8]) -> Option<(usize, usize)> {
    Some((usize::try_from(varint(bytes)?).ok()?, usize::try_from(varint(bytes)?).ok()?))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}

/// The entries of one block.
fn block(file: &[u8], (offset, size): (usize, usize)) -> Result<Vec<Entry<'_>>, String> {
    let end = offset.checked_add(size).ok_or("a block lies outside of it")?;
    let contents = file.get(offset..end).ok_or("a block lies outside of it")?;
    let trailer = file.get(end..end.saturating_add(TRAILER)).ok_or("a block lies outside of it")?;
    let checked = file.get(offset..end + 1).unwrap_or_default();
    if trailer.get(1..) != Some(masked_crc(checked).to_le_bytes().as_slice()) {
        return Err("the checksum of a block is wrong".into());
    }
    if trailer.first() != Some(&0) {
        return Err("its blocks are compressed, which TensorFlow does not do by itself".into());
    }
    let count = contents.last_chunk::<4>().ok_or("a block is too short")?;
    let restarts = (u32::from_le_bytes(*count) as usize).checked_add(1).and_then(|n| n.checked_mul(4));
    let body = restarts.and_then(|n| contents.len().checked_sub(n)).ok_or("a block is too short")?;
    let mut rest = contents.get(..body).unwrap_or_default();
    let (mut found, mut key): (Vec<Entry<'_>>, Vec<u8>) = (Vec::new(), Vec::new());
    // Keys that share prefixes can grow faster than the file; no real key comes near this.
    let mut key_bytes = 0usize;
    while !rest.is_empty() {
        let entry = (|| {
            let shared = usize::try_from(varint(&mut rest)?).ok()?;
            let unshared = usize::try_from(varint(&mut rest)?).ok()?;
            let length = usize::try_from(varint(&mut rest)?).ok()?;
            let (tail, after) = rest.split_at_checked(unshared)?;
            let (value, after) = after.split_at_checked(length)?;
            rest = after;
            key.truncate(shared);
            (key.len() == shared).then(|| key.extend_from_slice(tail))?;
            Some((key.clone(), value))
        })();
        let entry = entry.ok_or("an entry of a block is damaged")?;
        key_bytes = key_bytes.saturating_add(entry.0.len());
        if key_bytes > 1 << 26 {
            return Err("its keys are absurdly long".into());
        }
        found.push(entry);
    }
    Ok(found)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn put(out: &mut Vec<u8>, value: usize) {
        prost::encoding::encode_varint(value as u64, out);
    }

    fn add_block(file: &mut Vec<u8>, entries: &[(Vec<u8>, Vec<u8>)]) -> (usize, usize) {
        let (offset, mut previous) = (file.len(), Vec::new());
        for (key, value) in entries {
            let shared = key.iter().zip(&previous).take_while(|(a, b)| a == b).count();
            put(file, shared);
            put(file, key.len() - shared);
            put(file, value.len());
            file.extend_from_slice(&key[shared..]);
            file.extend_from_slice(value);
            previous = key.clone();
        }
        file.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
        let size = file.len() - offset;
        file.push(0);
        let crc = masked_crc(&file[offset..]);
        file.extend_from_slice(&crc.to_le_bytes());
        (offset, size)
    }

    /// A table of these entries, in their order.
    pub fn write(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut file = Vec::new();
        let data = add_block(&mut file, entries);
        let meta = add_block(&mut file, &[]);
        let mut value = Vec::new();
        put(&mut value, data.0);
        put(&mut value, data.1);
        let index = add_block(&mut file, &[(b"~".to_vec(), value)]);
        let start = file.len();
        for part in [meta.0, meta.1, index.0, index.1] {
            put(&mut file, part);
        }
        file.resize(start + 40, 0);
        file.extend_from_slice(&MAGIC.to_le_bytes());
        file
    }

    fn two() -> Vec<u8> {
        write(&[(b"layer/bias".to_vec(), vec![1, 2]), (b"layer/kernel".to_vec(), vec![3])])
    }

    #[test]
    fn entries_come_back_with_their_shared_prefixes() {
        let file = two();
        let found = entries(&file).unwrap();
        assert_eq!(found, [(b"layer/bias".to_vec(), &[1, 2][..]), (b"layer/kernel".to_vec(), &[3][..])]);
    }

    #[test]
    fn every_damaged_byte_is_refused_or_harmless() {
        let file = two();
        let whole = entries(&file).unwrap();
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 0x5a;
            if let Ok(found) = entries(&bad) {
                assert_eq!(found, whole, "byte {at}: only padding and unread handles do no harm");
            }
            assert!(entries(&file[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_leveldb() {
        // 32 zeros have the CRC-32C 0x8a9136aa (RFC 3720, B.4).
        assert_eq!(CASTAGNOLI.checksum(&[0; 32]), 0x8a91_36aa);
    }
}
