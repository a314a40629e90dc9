//! Makes an update of a model file: its signed manifest, and the file behind it.
//!
//! ```text
//! cargo run -p ferrolite-slots --features host --example sign -- kws.ferro kws.update --version 7 --key key.bin
//! ```
//! The key is a file of 32 random bytes (`head -c 32 /dev/urandom > key.bin`), which stays secret. Prints the public key,
//! which the firmware holds.

use std::error::Error;
use std::{env, fs};

use ed25519_dalek::SigningKey;
use ferrolite_slots::Manifest;

/// Inferences of the self-test.
const INFERENCES: u32 = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [model, output, v, version, k, key] = words.as_slice() else {
        return Err("sign MODEL.ferro OUTPUT --version N --key FILE".into());
    };
    if (v.as_str(), k.as_str()) != ("--version", "--key") {
        return Err("sign MODEL.ferro OUTPUT --version N --key FILE".into());
    }
    let key: [u8; 32] = fs::read(key)?.try_into().map_err(|_| "the key's file has 32 bytes")?;
    let key = SigningKey::from_bytes(&key);
    let file = fs::read(model)?;
    // A model file begins at a multiple of 16.
    let mut aligned = vec![0u8; file.len() + 16];
    let at = aligned.as_ptr().align_offset(16);
    aligned[at..at + file.len()].copy_from_slice(&file);
    let manifest = Manifest::of(&aligned[at..at + file.len()], version.parse()?, INFERENCES)?;
    let mut update = manifest.sign(&key).to_vec();
    update.extend_from_slice(&file);
    fs::write(output, update)?;
    println!("public key: {:?}", key.verifying_key().to_bytes());
    Ok(())
}
