//! What the slots ask of a manifest: is it signed by the owner of the key, and does its model give the right answers here?
//! Its layout is `ferrolite_runtime::Manifest`'s.

use ed25519_dalek::{Signature, VerifyingKey};
use ferrolite_runtime::{Interpreter, MANIFEST_BYTES, Manifest, Model, OpSet, SIGNED_BYTES, self_test};

const _: () = assert!(SIGNED_BYTES == MANIFEST_BYTES + Signature::BYTE_SIZE);

/// A manifest with its signature, as it is sent and stored.
pub type Signed = [u8; SIGNED_BYTES];

/// Whether the signature is by the owner of this key.
pub(crate) fn is_signed_by(signed: &Signed, key: &VerifyingKey) -> bool {
    let (manifest, signature) = signed.split_at(MANIFEST_BYTES);
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(manifest, &signature).is_ok())
}

/// Whether the model of `file` runs with these operators in this memory, and gives the answers that it gave where its
/// manifest was made.
pub fn passes(manifest: &Manifest, file: &[u8], ops: OpSet, arena: &mut [u8]) -> bool {
    let Ok(model) = Model::from_bytes(file) else { return false };
    let Ok(mut net) = Interpreter::new(&model, ops, arena) else { return false };
    self_test::sum(&mut net, manifest.inferences) == Ok(manifest.sum)
}
