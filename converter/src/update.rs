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

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use ferrolite_runtime::self_test;
use ferrolite_schema::{MANIFEST_BYTES, MANIFEST_IDENTIFIER, Manifest, SIGNED_BYTES};
use sha2::{Digest, Sha256};

use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
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
    let manifest = manifest(file, version)?;
    let key = SigningKey::from_bytes(key);
    let mut bytes = manifest.to_bytes().to_vec();
    let signature = key.sign(&bytes).to_bytes();
    bytes.extend(signature);
    bytes.extend(file.bytes());
    Ok(Signed { manifest, bytes, public_key: key.verifying_key().to_bytes() })
}

/// What the manifest of a model file says.
fn manifest(file: &ModelFile, version: u32) -> Result<Manifest> {
    let model = file.model()?;
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(&model, file.operators(), &mut memory)?;
    Ok(Manifest {
        version,
        length: file.bytes().len() as u32,
        arena: model.arena_bytes() as u32,
        inferences: INFERENCES,
        sum: self_test::sum(&mut net, INFERENCES).map_err(failed)?,
        hash: Sha256::digest(file.bytes()).into(),
    })
}

/// Reads an update as a device would take it: its manifest, and the model file behind it; `None` for what is no update.
/// The signature is checked where the public key is given. Without it, everything but the version is.
///
/// # Errors
/// When the update is cut off or damaged, or was signed by another key.
pub fn open(
    name: &str,
    bytes: &[u8],
    public_key: Option<&[u8; 32]>,
) -> Result<Option<(Manifest, ModelFile)>> {
    const CURE: &str = "copy it again, or sign the model again with `ferrolite sign`";
    if !bytes.starts_with(&MANIFEST_IDENTIFIER) {
        return Ok(None);
    }
    let wrong = |what: String| Error::input(format!("{name}: {what}")).help(CURE);
    let Some((found, model)) = split(bytes) else {
        return Err(wrong(format!("is an update whose first {SIGNED_BYTES} bytes are not whole")));
    };
    if model.len() as u64 != u64::from(found.length) {
        let (has, says) = (model.len(), found.length);
        return Err(wrong(format!("has a model of {has} bytes, its manifest says {says}")));
    }
    if <[u8; 32]>::from(Sha256::digest(model)) != found.hash {
        return Err(wrong(
            "its model has another SHA-256 than its manifest says: one of them is damaged".into(),
        ));
    }
    if let Some(key) = public_key {
        let (signed, rest) = bytes.split_at(MANIFEST_BYTES);
        let signature =
            rest.get(..SIGNED_BYTES - MANIFEST_BYTES).and_then(|bytes| Signature::from_slice(bytes).ok());
        let verified = VerifyingKey::from_bytes(key).is_ok_and(|key| {
            signature.is_some_and(|signature| key.verify_strict(signed, &signature).is_ok())
        });
        if !verified {
            return Err(wrong("was not signed by this key, or is damaged".into()));
        }
    }
    let file = ModelFile::from_bytes(name, model);
    let expected = manifest(&file, found.version)?;
    if found != expected {
        return Err(wrong(format!(
            "its manifest says {} bytes of arena and {:#010x} from {} inferences, its model has {} and gives {:#010x} from {}: devices refuse it",
            found.arena, found.sum, found.inferences, expected.arena, expected.sum, expected.inferences
        )));
    }
    Ok(Some((found, file)))
}

/// The manifest of an update, and the model file behind it; `None` for anything else. The signature is not looked at.
pub fn split(bytes: &[u8]) -> Option<(Manifest, &[u8])> {
    bytes.starts_with(&MANIFEST_IDENTIFIER).then_some(())?;
    Some((Manifest::parse(bytes)?, bytes.get(SIGNED_BYTES..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One flipped bit anywhere is found with the key; without it, what only the signature protects is not.
    #[test]
    fn damaged_updates_are_refused() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
        let file = ModelFile::read(path.as_ref()).unwrap();
        let signed = sign(&file, 3, &[7; 32]).unwrap();
        let key = &signed.public_key;
        let (manifest, model) = open("a", &signed.bytes, Some(key)).unwrap().unwrap();
        assert_eq!((manifest, model.bytes()), (signed.manifest, file.bytes()));
        for at in 4..SIGNED_BYTES + 200 {
            let mut bytes = signed.bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(open("a", &bytes, Some(key)).is_err(), "{at}");
            let version_or_signature = (4..8).contains(&at) || (MANIFEST_BYTES..SIGNED_BYTES).contains(&at);
            assert_eq!(open("a", &bytes, None).is_ok(), version_or_signature, "{at}");
        }
        for length in [4, 60, SIGNED_BYTES - 1, SIGNED_BYTES, signed.bytes.len() - 1] {
            let error = open("a", &signed.bytes[..length], None).unwrap_err();
            assert!(
                error.message.contains("not whole") || error.message.contains("its manifest says"),
                "{error}"
            );
        }
        assert!(open("a", &signed.bytes, Some(&sign(&file, 3, &[8; 32]).unwrap().public_key)).is_err());
        assert!(open("a", file.bytes(), Some(key)).unwrap().is_none());
    }

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
