//! What is signed of an update: facts of the model file, and the hash of its bytes.
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
//!
//! Numbers are little-endian.

use ed25519_dalek::{Signature, VerifyingKey};
use ferrolite_runtime::{Interpreter, Model, OpSet, self_test};

/// Bytes that are signed.
pub const MANIFEST_BYTES: usize = 56;
/// The same with their signature.
pub const SIGNED_BYTES: usize = MANIFEST_BYTES + Signature::BYTE_SIZE;

const MAGIC: [u8; 4] = *b"FSU1";

/// A manifest with its signature, as it is sent and stored.
pub type Signed = [u8; SIGNED_BYTES];

/// Facts of a model file.
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
    /// Reads a manifest without looking at its signature; `None` where it is none of this version.
    pub fn parse(signed: &Signed) -> Option<Manifest> {
        let (magic, rest) = signed.split_first_chunk::<4>()?;
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
        (*magic == MAGIC && manifest.length > 0).then_some(manifest)
    }

    /// Whether the signature is by the owner of this key.
    pub fn is_signed_by(signed: &Signed, key: &VerifyingKey) -> bool {
        let (manifest, signature) = signed.split_at(MANIFEST_BYTES);
        Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_strict(manifest, &signature).is_ok())
    }

    /// Whether the model of `file` runs with these operators in this memory, and gives the answers that it gave where
    /// it was signed.
    pub fn passes(&self, file: &[u8], ops: OpSet, arena: &mut [u8]) -> bool {
        let Ok(model) = Model::from_bytes(file) else { return false };
        let Ok(mut net) = Interpreter::new(&model, ops, arena) else { return false };
        self_test::sum(&mut net, self.inferences) == Ok(self.sum)
    }
}

#[cfg(feature = "host")]
mod host {
    use std::vec;

    use ed25519_dalek::{Signer, SigningKey};
    use ferrolite_runtime::{Interpreter, Model, ops, self_test};
    use sha2::{Digest, Sha256};

    use super::{MAGIC, MANIFEST_BYTES, Manifest, Signed};

    impl Manifest {
        /// The manifest of a model file, which begins at a multiple of 16 in memory.
        ///
        /// # Errors
        /// When the runtime refuses the file.
        pub fn of(file: &[u8], version: u32, inferences: u32) -> Result<Manifest, ferrolite_runtime::Error> {
            let model = Model::from_bytes(file)?;
            // u128 for its alignment.
            let mut memory = vec![0u128; model.arena_bytes().div_ceil(16)];
            // SAFETY: a vector's elements are initialised, and any bytes are a u128.
            let memory = unsafe {
                core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<u8>(), memory.len() * 16)
            };
            let mut net = Interpreter::new(&model, ops::ALL, memory)?;
            Ok(Manifest {
                version,
                length: file.len() as u32,
                arena: model.arena_bytes() as u32,
                inferences,
                sum: self_test::sum(&mut net, inferences)?,
                hash: Sha256::digest(file).into(),
            })
        }

        /// The manifest as bytes, with its signature.
        pub fn sign(&self, key: &SigningKey) -> Signed {
            let numbers = [self.version, self.length, self.arena, self.inferences, self.sum];
            let mut signed = [0; super::SIGNED_BYTES];
            let bytes =
                MAGIC.into_iter().chain(numbers.into_iter().flat_map(u32::to_le_bytes)).chain(self.hash);
            signed.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            let signature = key.sign(&signed[..MANIFEST_BYTES]).to_bytes();
            signed[MANIFEST_BYTES..].copy_from_slice(&signature);
            signed
        }
    }
}
