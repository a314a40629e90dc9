//! Tensor bundles: the variables of a SavedModel, `variables.index` and `variables.data-…`.
//!
//! The index is a sorted string table of `BundleEntry` messages by name. An entry states the shard and the
//! position of the elements. Data is read only when it is needed, and no more than the file has. Source:
//! `tensorflow/core/util/tensor_bundle/tensor_bundle.h`.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use prost::Message;

use super::known::{self, Known};
use super::proto::{BundleEntry, BundleHeader, StoredObjects};
use super::table;
use crate::error::Result;
use crate::import::damaged::damaged;

/// The key of the list of objects.
const OBJECTS: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The variables of a model by their names in the checkpoint.
#[derive(Default)]
pub(super) struct Bundle {
    /// The path without `.data-00000-of-00001`.
    prefix: PathBuf,
    shards: i32,
    entries: HashMap<String, BundleEntry>,
}

impl Bundle {
    /// Reads the index of the model in `folder`. A model without variables may have none.
    pub(super) fn open(folder: &Path) -> Result<Bundle> {
        let prefix = folder.join("variables").join("variables");
        if !prefix.with_extension("index").exists() {
            return Ok(Bundle::default());
        }
        Bundle::with_prefix(&prefix)
    }

    /// The files of a checkpoint that are there: its index, and its data.
    pub(super) fn files(prefix: &Path) -> Vec<PathBuf> {
        let name = prefix.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder =
            prefix.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let part = |path: &PathBuf| {
            let rest = path.file_name().and_then(|own| own.to_str()?.strip_prefix(&name).map(str::to_string));
            rest.is_some_and(|rest| rest == ".index" || rest.starts_with(".data-"))
        };
        let mut files: Vec<PathBuf> = entries.filter(part).collect();
        files.sort();
        files
    }

    /// Reads the index of a checkpoint, by its path without `.index`.
    pub(super) fn with_prefix(prefix: &Path) -> Result<Bundle> {
        let mut path = prefix.as_os_str().to_owned();
        path.push(".index");
        let path = PathBuf::from(path);
        let prefix = prefix.to_path_buf();
        let file = crate::files::read(&path)
            .map_err(|e| damaged(format!("{} cannot be read: {e}", file_name(&path))).caused_by(e))?;
        Bundle::parse(prefix, &file).map_err(|e| e.context(format!("{} is damaged", file_name(&path))))
    }

    fn parse(prefix: PathBuf, index: &[u8]) -> Result<Bundle> {
        let mut bundle = Bundle { prefix, ..Bundle::default() };
        for (position, (key, value)) in table::entries(index).map_err(damaged)?.into_iter().enumerate() {
            if position == 0 && key.is_empty() {
                let header = BundleHeader::decode(value)
                    .map_err(|e| damaged(format!("its header: {e}")).caused_by(e))?;
                if header.endianness != 0 {
                    return Err(damaged("its variables are stored big-endian"));
                }
                bundle.shards = header.num_shards;
                continue;
            }
            let key =
                String::from_utf8(key).map_err(|e| damaged("it has a name that is not text").caused_by(e))?;
            let entry = BundleEntry::decode(value)
                .map_err(|e| damaged(format!("its entry `{key}`: {e}")).caused_by(e))?;
            bundle.entries.insert(key, entry);
        }
        Ok(bundle)
    }

    /// Whether a variable exists.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The list of the model's objects, which TensorFlow 2 stores beside the variables; `None` if there is
    /// none, as in files of TensorFlow 1.
    pub(super) fn objects(&self) -> Result<Option<StoredObjects>> {
        let Some(entry) = self.entries.get(OBJECTS) else { return Ok(None) };
        let bytes = self.bytes(entry)?;
        // A scalar string: its length, a checksum of the length, and the text.
        let mut rest = bytes.as_slice();
        let length = prost::encoding::decode_varint(&mut rest).ok().and_then(|n| usize::try_from(n).ok());
        let text = length.zip(rest.get(4..)).filter(|(length, text)| *length == text.len());
        let (_, text) =
            text.ok_or_else(|| damaged("the list of its objects has another length than it says"))?;
        StoredObjects::decode(text)
            .map(Some)
            .map_err(|e| damaged(format!("the list of its objects: {e}")).caused_by(e))
    }

    /// Why a variable cannot be used although the file is valid.
    pub(super) fn unsupported(&self, key: &str) -> Option<String> {
        let entry = self.entries.get(key)?;
        if !entry.slices.is_empty() {
            return Some("it is stored in parts (a partitioned variable)".into());
        }
        let name = || format!("its elements are of type {}", known::dtype_name(entry.dtype));
        known::dtype(entry.dtype).is_none().then(name)
    }

    /// The variable with this key. It gets the name `name`.
    pub(super) fn read(&self, key: &str, name: &str) -> Result<Rc<Known>> {
        let entry = self.entries.get(key).ok_or_else(|| match self.entries.is_empty() {
            true => damaged("the model has no variables/variables.index"),
            false => damaged("it is not in variables.index"),
        })?;
        let shape = known::static_shape(entry.shape.as_ref()).ok_or_else(|| damaged("its shape is open"))?;
        let bytes = self.bytes(entry)?;
        let data =
            known::decode(entry.dtype, &bytes).ok_or_else(|| damaged("its bytes are not whole elements"))?;
        if known::count(&shape) != Some(data.len()) {
            return Err(damaged(format!("it has {} elements for the shape {shape:?}", data.len())));
        }
        if table::masked_crc(&bytes) != entry.crc {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(Known::new(name, shape, data))
    }

    fn bytes(&self, entry: &BundleEntry) -> Result<Vec<u8>> {
        let (Ok(offset), Ok(size)) = (u64::try_from(entry.offset), usize::try_from(entry.size)) else {
            return Err(damaged("its place in the file is negative"));
        };
        let name = format!("data-{:05}-of-{:05}", entry.shard, self.shards);
        let mut path = self.prefix.as_os_str().to_owned();
        path.push(format!(".{name}"));
        let path = PathBuf::from(path);
        let name = file_name(&path);
        let missing = |e: std::io::Error| damaged(format!("{name} cannot be read: {e}")).caused_by(e);
        let mut file = crate::files::open(&path).map_err(missing)?;
        let length = file.metadata().map_err(missing)?.len();
        if offset.checked_add(size as u64).is_none_or(|end| end > length) {
            let message = format!("it lies at byte {offset} of {name}, which has {length} bytes");
            return Err(damaged(message));
        }
        let mut bytes = vec![0; size];
        file.seek(SeekFrom::Start(offset)).map_err(missing)?;
        file.read_exact(&mut bytes).map_err(missing)?;
        Ok(bytes)
    }
}
