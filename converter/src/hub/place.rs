//! Where a hub's files are: in the program, in a folder, or on a static server; and how they are had and checked.
//!
//! What is fetched goes into a cache by its SHA-256 (`$XDG_CACHE_HOME/ferrolite/hub`), so a model is fetched once, and works
//! offline then. A file is used only when its SHA-256 is what the index says.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::address::{is_address, is_hash, stays};
use super::entry::Source;
use super::shipped;
use crate::error::{Error, Result};
use crate::files;

/// The file of an index.
const INDEX: &str = "index.json";

/// Most bytes of an index.
const MOST_INDEX: u64 = 16 << 20;

/// Most bytes of a model, whatever the index says.
const MOST: u64 = 1 << 30;

/// Where the paths of an index begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this program.
    Shipped,
    /// A folder.
    Folder(PathBuf),
    /// A folder, with a file at hand that its index has elsewhere.
    With {
        /// The folder.
        folder: PathBuf,
        /// The file's address in the index.
        address: String,
        /// Where it is at hand.
        file: PathBuf,
    },
    /// An address, up to its last slash.
    Server(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Shipped => f.write_str("the hub of this program"),
            Place::Folder(folder) | Place::With { folder, .. } => write!(f, "{}", folder.display()),
            Place::Server(address) => f.write_str(address),
        }
    }
}

impl Place {
    /// The place of an index, its name, and what it says.
    pub fn open(index: Option<&str>) -> Result<(Place, String, Vec<u8>)> {
        let Some(index) = index else {
            return Ok((
                Place::Shipped,
                Place::Shipped.to_string(),
                shipped::file(INDEX).unwrap_or_default().to_vec(),
            ));
        };
        if is_address(index) {
            let address = match index.ends_with(".json") {
                true => index.to_string(),
                false => format!("{}/{INDEX}", index.trim_end_matches('/')),
            };
            let bytes = fetch(&address, MOST_INDEX)?;
            let base = address.rsplit_once('/').map_or("", |(base, _)| base).to_string();
            return Ok((Place::Server(base), address, bytes));
        }
        let path = Path::new(index);
        let path = if path.is_dir() { path.join(INDEX) } else { path.to_path_buf() };
        let name = path.display().to_string();
        let bytes = files::read(&path).map_err(|e| {
            Error::input(format!("{name}: cannot be read: {e}"))
                .help(
                    "give a folder with an index.json, which `ferrolite hub index DIR` writes, or an address",
                )
                .caused_by(e)
        })?;
        Ok((Place::Folder(path.parent().unwrap_or(Path::new("")).to_path_buf()), name, bytes))
    }

    /// The bytes of an entry's file, with the SHA-256 that the index says.
    pub fn read(&self, entry: &str, source: &Source) -> Result<Vec<u8>> {
        let Source { file, sha256, bytes } = source;
        if !is_address(file) && !stays(file) {
            return Err(Error::input(format!(
                "model `{entry}`: the index names the file {file:?}, which leads out of the hub's folder; paths of an index go down from it"
            ))
            .help("do not take this model: tell who keeps the index; in a hub of your own, copy the file into the entry's folder and make the index anew with `ferrolite hub index DIR`"));
        }
        if !is_hash(sha256) {
            let found = if sha256.is_empty() {
                "no SHA-256".into()
            } else {
                format!("the SHA-256 {sha256:?}, which is not 64 hexadecimal digits")
            };
            return Err(Error::input(format!("model `{entry}`: the index has {found} for {file}")).help(
                "tell who keeps the index: `ferrolite hub index DIR` writes it; for an address, entry.json has sha256 and bytes",
            ));
        }
        let most = if *bytes == 0 { MOST } else { (*bytes).min(MOST) };
        let found = match self {
            Place::With { address, file: at_hand, .. } if address == file => read(at_hand),
            _ if is_address(file) => cached(sha256, || fetch(file, most)),
            Place::Server(base) => cached(sha256, || fetch(&format!("{base}/{file}"), most)),
            Place::Shipped => shipped::file(file).map(<[u8]>::to_vec).ok_or_else(|| {
                Error::internal(format!("{file} is in the index of this program, and not in the program"))
            }),
            Place::Folder(folder) | Place::With { folder, .. } => read(&folder.join(file)),
        };
        let found = found.map_err(|error| error.context(format!("model `{entry}`")))?;
        let hash = hash_of(&found);
        if !hash.eq_ignore_ascii_case(sha256) {
            return Err(Error::input(format!(
                "model `{entry}`: {file} has the SHA-256 {hash}, its index says {sha256}: it is another file, or damaged"
            ))
            .help("fetch it again; where it was meant to change, make the index anew with `ferrolite hub index DIR`"));
        }
        if *bytes != 0 && *bytes != found.len() as u64 {
            return Err(Error::input(format!(
                "model `{entry}`: {file} has {} bytes, its index says {bytes}",
                found.len()
            ))
            .help("its SHA-256 is right, so the index is wrong: make it anew with `ferrolite hub index DIR`, or tell who keeps it"));
        }
        Ok(found)
    }
}

/// A file on this machine.
fn read(path: &Path) -> Result<Vec<u8>> {
    files::read(path).map_err(|e| {
        Error::input(format!("{}: cannot be read: {e}", path.display()))
            .help("the index names this file: copy it there, or make the index anew with `ferrolite hub index DIR`")
            .caused_by(e)
    })
}

/// SHA-256 in hexadecimal.
pub fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the cache has of this SHA-256, or else what is fetched, which it then has.
fn cached(sha256: &str, fetch: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let sha256 = sha256.to_ascii_lowercase();
    let path = cache().map(|folder| folder.join(&sha256));
    if let Some(bytes) = path.as_ref().and_then(|path| crate::files::read(path).ok())
        && hash_of(&bytes) == sha256
    {
        return Ok(bytes);
    }
    let bytes = fetch()?;
    if let Some(path) = path
        && hash_of(&bytes) == sha256
    {
        // Without a cache it is only fetched again.
        let _ = keep(&path, &bytes);
    }
    Ok(bytes)
}

/// Puts a file into the cache, whole or not at all.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), bytes)?;
    file.persist(path).map(|_| ()).map_err(|e| e.error)
}

fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = set("XDG_CACHE_HOME")
        .or_else(|| set("LOCALAPPDATA"))
        .or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(caches.join("ferrolite/hub"))
}

/// Fetches a file of at most this size.
#[cfg(feature = "fetch")]
fn fetch(address: &str, most: u64) -> Result<Vec<u8>> {
    let wrong = |e: ureq::Error| {
        let (why, help) = match &e {
            ureq::Error::StatusCode(404) => ("there is no such file (404)".to_string(), "check the address"),
            ureq::Error::BodyExceedsLimit(limit) => (
                format!("it has more than the {limit} bytes that the index says"),
                "the file has changed since the index was made: tell who keeps it",
            ),
            other => {
                (other.to_string(), "check the address and the network; a hub in a folder works without")
            }
        };
        Error::input(format!("{address}: cannot be fetched: {why}")).help(help)
    };
    let config = ureq::Agent::config_builder().timeout_global(Some(std::time::Duration::from_secs(600)));
    let agent = ureq::Agent::new_with_config(config.build());
    let response = agent.get(address).call().map_err(wrong)?;
    response.into_body().with_config().limit(most).read_to_vec().map_err(wrong)
}

#[cfg(not(feature = "fetch"))]
fn fetch(address: &str, _: u64) -> Result<Vec<u8>> {
    Err(Error::input(format!("{address}: this build of ferrolite fetches nothing")).help(
        "copy the hub into a folder, or build with the feature `fetch`, which is one of the default features",
    ))
}
