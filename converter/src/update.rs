//! Updates for devices with model slots (`boards/slots`): a manifest, its signature, and the model file.
//!
//! The layout is [`Manifest`]'s; the signature is Ed25519 (RFC 8032), by ed25519-dalek.
//!
//! ```
//! use ferrolite::model_file::ModelFile;
//! use ferrolite::update;
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let signed = update::sign(&file, 7, &[1; 32])?;
//! let (manifest, model) = update::split(&signed.bytes).unwrap();
//! assert_eq!((manifest.version, model), (7, file.bytes()));
//! # Ok::<(), ferrolite::Error>(())
//! ```

use ed25519_dalek::{Signer, SigningKey};
use ferrolite_runtime::self_test;
use ferrolite_schema::{MANIFEST_IDENTIFIER, Manifest, SIGNED_BYTES};
use sha2::{Digest, Sha256};

use crate::aligned::AlignedBuf;
use crate::error::Result;
use crate::execute::{failed, interpreter};
use crate::model_file::ModelFile;

/// Inferences of the self-test that a device makes before it runs a new model.
pub const INFERENCES: u32 = 2;

/// A signed update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What was signed.
    pub manifest: Manifest,
    /// The manifest, its signature, and the model file.
    pub bytes: Vec<u8>,
    /// The key that the firmware holds.
    pub public_key: [u8; 32],
}

/// Makes an update of a model file. The key is 32 random bytes, which stay secret.
///
/// # Errors
/// When the file is damaged or cannot run.
pub fn sign(file: &ModelFile, version: u32, key: &[u8; 32]) -> Result<Signed> {
    let model = file.model()?;
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(&model, file.operators(), &mut memory)?;
    let manifest = Manifest {
        version,
        length: file.bytes().len() as u32,
        arena: model.arena_bytes() as u32,
        inferences: INFERENCES,
        sum: self_test::sum(&mut net, INFERENCES).map_err(failed)?,
        hash: Sha256::digest(file.bytes()).into(),
    };
    let key = SigningKey::from_bytes(key);
    let mut bytes = manifest.to_bytes().to_vec();
    let signature = key.sign(&bytes).to_bytes();
    bytes.extend(signature);
    bytes.extend(file.bytes());
    Ok(Signed { manifest, bytes, public_key: key.verifying_key().to_bytes() })
}

/// The manifest of an update, and the model file behind it; `None` for anything else. The signature is not looked at.
pub fn split(bytes: &[u8]) -> Option<(Manifest, &[u8])> {
    bytes.starts_with(&MANIFEST_IDENTIFIER).then_some(())?;
    Some((Manifest::parse(bytes)?, bytes.get(SIGNED_BYTES..)?))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};
    use ferrolite_schema::MANIFEST_BYTES;

    use super::*;

    #[test]
    fn an_update_is_signed_by_its_key_and_by_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
        let file = ModelFile::read(path.as_ref()).unwrap();
        let signed = sign(&file, 3, &[7; 32]).unwrap();
        let (manifest, rest) = signed.bytes.split_at(MANIFEST_BYTES);
        let signature = Signature::from_slice(&rest[..64]).unwrap();
        let verified = |key: &[u8; 32], bytes: &[u8]| {
            VerifyingKey::from_bytes(key).unwrap().verify_strict(bytes, &signature).is_ok()
        };
        assert!(verified(&signed.public_key, manifest));
        let other = sign(&file, 3, &[8; 32]).unwrap().public_key;
        assert!(!verified(&other, manifest));
        let mut changed = manifest.to_vec();
        changed[4] ^= 1;
        assert!(!verified(&signed.public_key, &changed));
        assert_eq!(split(&signed.bytes), Some((signed.manifest, file.bytes())));
        assert_eq!(signed.manifest.hash, <[u8; 32]>::from(Sha256::digest(file.bytes())));
        assert!(split(file.bytes()).is_none() && split(b"FSU1").is_none());
    }
}
