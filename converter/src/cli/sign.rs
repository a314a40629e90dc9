//! `ferrolite sign`: a model file becomes a signed update for devices with model slots.

use std::io::Read;

use serde_json::json;

use super::Printed;
use super::args::SignArgs;
use super::files::Outputs;
use super::reads::Reads;
use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::text;
use crate::update::{self, Signed};

pub fn execute(args: &SignArgs) -> Result<Printed> {
    if args.output.as_os_str() == "-" {
        return Err(Error::usage("-: an update is a file, and is not printed")
            .help("give a name for it: -o OUT.update"));
    }
    let reads = Reads::default().file(&args.file).file(&args.key);
    let mut files = Outputs::check([args.output.as_path()], reads, args.force)?;
    let key = key(&args.key)?;
    let Signed { manifest, bytes, public_key } =
        update::sign(&ModelFile::read(&args.file)?, args.version, &key)?;
    files.stage(&args.output, &bytes)?;
    files.commit()?;
    let output = args.output.display().to_string();
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if args.json {
        return Ok(Printed::Json(json!({
            "output": output,
            "version": manifest.version,
            "model_bytes": manifest.length,
            "arena_bytes": manifest.arena,
            "update_bytes": bytes.len(),
            "hash": hexadecimal(&manifest.hash),
            "public_key": hexadecimal(&public_key),
            "notes": [],
            "warnings": [],
        })));
    }
    Ok(Printed::Text(format!(
        "{output}: version {} of a model of {} bytes, {} bytes in all\n  SHA-256     {}\n  public key  {}\n  in firmware {public_key:?}\n",
        manifest.version,
        text::thousands(manifest.length),
        text::count(bytes.len()),
        hexadecimal(&manifest.hash),
        hexadecimal(&public_key),
    )))
}

const KEY: &str = "a key is a file of 32 random bytes, which stays secret: head -c 32 /dev/urandom > key.bin";

/// The secret key in a file.
fn key(path: &std::path::Path) -> Result<[u8; 32]> {
    let shown = path.display();
    let mut bytes = Vec::new();
    crate::files::open(path)
        .and_then(|file| file.take(33).read_to_end(&mut bytes))
        .map_err(|e| Error::input(format!("{shown}: cannot be read: {e}")).help(KEY).caused_by(e))?;
    let key: [u8; 32] = bytes.try_into().map_err(|found: Vec<u8>| {
        let count = if found.len() > 32 { "more than 32".to_string() } else { found.len().to_string() };
        Error::input(format!("{shown}: a key has 32 bytes, this file has {count}")).help(KEY)
    })?;
    if key.iter().all(|byte| *byte == key[0]) {
        return Err(Error::input(format!(
            "{shown}: all 32 bytes of this key are alike: anyone could sign with it"
        ))
        .help(KEY));
    }
    Ok(key)
}
