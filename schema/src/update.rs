//! The manifest of a model that is sent to devices: facts of the file, and the hash of its bytes. A signature of it comes
//! behind it; who makes and checks that is no matter of the format.
//!
//! | bytes | |
//! |---|---|
//! | 0 | `FSU1` |
//! | 4 | version: an update has a higher one than the model that it replaces |
//! | 8 | bytes of the model file |
//! | 12 | bytes of its arena |
//! | 16 | inferences of its self-test |
//! | 20 | what they add up to (`ferrolite_runtime::self_test`) |
//! | 24 | SHA-256 of the model file |
//! | 56 | Ed25519 signature (RFC 8032) of the bytes before it |
//! | 120 | the model file, where both are one file |
//!
//! Numbers are little-endian.

/// Bytes that are signed.
pub const MANIFEST_BYTES: usize = 56;
/// The same with their signature.
pub const SIGNED_BYTES: usize = MANIFEST_BYTES + 64;
/// The first bytes of a manifest.
pub const MANIFEST_IDENTIFIER: [u8; 4] = *b"FSU1";

/// Facts of a model file.
///
/// ```
/// use ferrolite_schema::Manifest;
///
/// let manifest = Manifest { version: 7, length: 2048, arena: 64, inferences: 2, sum: 0x1234_5678, hash: [9; 32] };
/// assert_eq!(Manifest::parse(&manifest.to_bytes()), Some(manifest));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Counts up with each release.
    pub version: u32,
    /// Bytes of the file.
    pub length: u32,
    /// Bytes of its arena.
    pub arena: u32,
    /// Inferences of its self-test.
    pub inferences: u32,
    /// What their answers add up to.
    pub sum: u32,
    /// SHA-256 of the file.
    pub hash: [u8; 32],
}

impl Manifest {
    /// Reads a manifest from the start of some bytes, without looking at its signature; `None` where it is none of this
    /// version.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Manifest> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (numbers, rest) = rest.split_first_chunk::<20>()?;
        let (hash, _) = rest.split_first_chunk::<32>()?;
        let mut words = numbers.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word));
        let mut next = || words.next();
        let manifest = Manifest {
            version: next()?,
            length: next()?,
            arena: next()?,
            inferences: next()?,
            sum: next()?,
            hash: *hash,
        };
        (*magic == MANIFEST_IDENTIFIER && manifest.length > 0).then_some(manifest)
    }

    /// The manifest as it is signed.
    #[inline]
    pub fn to_bytes(&self) -> [u8; MANIFEST_BYTES] {
        let numbers = [self.version, self.length, self.arena, self.inferences, self.sum];
        let words = numbers.into_iter().flat_map(u32::to_le_bytes);
        let mut bytes = [0; MANIFEST_BYTES];
        let all = MANIFEST_IDENTIFIER.into_iter().chain(words).chain(self.hash);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_table() {
        let manifest =
            Manifest { version: 1, length: 2, arena: 3, inferences: 4, sum: 0xA0B0_C0D0, hash: [5; 32] };
        let bytes = manifest.to_bytes();
        assert_eq!(&bytes[..8], b"FSU1\x01\0\0\0");
        assert_eq!(
            (bytes[8], bytes[12], bytes[16], &bytes[20..24]),
            (2, 3, 4, &[0xD0, 0xC0, 0xB0, 0xA0][..])
        );
        assert_eq!(&bytes[24..], [5; 32]);
        assert_eq!(Manifest::parse(&bytes), Some(manifest));
        for length in 0..MANIFEST_BYTES {
            assert_eq!(Manifest::parse(&bytes[..length]), None, "{length}");
        }
        assert_eq!(Manifest::parse(&[0; SIGNED_BYTES]), None);
        assert_eq!(Manifest::parse(&Manifest { length: 0, ..manifest }.to_bytes()), None);
    }
}
