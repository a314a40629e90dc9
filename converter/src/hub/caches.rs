//! What kagglehub and huggingface_hub have downloaded, as a hub: each model file in their caches is an entry.
//!
//! ```text
//! $KAGGLEHUB_CACHE or ~/.cache/kagglehub        /models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION/…
//! $HF_HUB_CACHE or ~/.cache/huggingface/hub     /models--OWNER--MODEL/snapshots/COMMIT/…
//! ```
//! These entries have no vectors; their licence is what the model's page says, where it was downloaded, too.

use std::fs;
use std::path::{Path, PathBuf};

use super::entry::{Entry, Source};
use super::place::hash_of;
use crate::error::{Error, Result};

/// Deepest folder that is looked at.
const DEPTH: usize = 10;

/// Formats that `convert` takes, and its own.
const ENDINGS: [&str; 5] = ["tflite", "onnx", "keras", "h5", "ferro"];

/// A cache of other programs.
pub enum Cache {
    /// kagglehub's.
    Kaggle,
    /// huggingface_hub's.
    HuggingFace,
}

impl Cache {
    /// The cache that `--index` calls by this name.
    pub fn named(name: &str) -> Option<Cache> {
        match name {
            "kagglehub" => Some(Cache::Kaggle),
            "huggingface" => Some(Cache::HuggingFace),
            _ => None,
        }
    }

    /// Its folder.
    fn folder(&self) -> Option<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".cache"));
        match self {
            Cache::Kaggle => {
                Some(set("KAGGLEHUB_CACHE").or_else(|| Some(home()?.join("kagglehub")))?.join("models"))
            }
            Cache::HuggingFace => set("HF_HUB_CACHE")
                .or_else(|| Some(set("HF_HOME")?.join("hub")))
                .or_else(|| Some(home()?.join("huggingface/hub"))),
        }
    }

    /// The cache's folder, and an entry for each model in it.
    pub fn entries(&self) -> Result<(PathBuf, Vec<Entry>)> {
        let help = match self {
            Cache::Kaggle => {
                "`kagglehub.model_download(\"OWNER/MODEL/FRAMEWORK/VARIATION\")` fills it; KAGGLEHUB_CACHE names another folder"
            }
            Cache::HuggingFace => "`hf download OWNER/MODEL` fills it; HF_HUB_CACHE names another folder",
        };
        let folder = self.folder().ok_or_else(|| Error::input("there is no home folder").help(help))?;
        if !folder.is_dir() {
            return Err(Error::input(format!("{}: there is no such cache", folder.display())).help(help));
        }
        let mut paths = Vec::new();
        find(&folder, DEPTH, &mut paths);
        paths.sort();
        let entries = paths.iter().filter_map(|path| self.entry(&folder, path)).collect();
        Ok((folder, entries))
    }

    /// The entry of a model's file.
    fn entry(&self, folder: &Path, path: &Path) -> Option<Entry> {
        let file = path.strip_prefix(folder).ok()?;
        let parts: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let (name, root) = match self {
            Cache::Kaggle => (parts.join("/"), 5),
            Cache::HuggingFace => {
                let repository = parts.first()?.strip_prefix("models--")?.replace("--", "/");
                if parts.get(1)? != "snapshots" {
                    return None;
                }
                (format!("{repository}/{}", parts.get(3..)?.join("/")), 3)
            }
        };
        let model: PathBuf = parts.iter().take(root).collect();
        let page = crate::files::read_text(&folder.join(model).join("README.md")).unwrap_or_default();
        let bytes = crate::files::read(path).ok()?;
        Some(Entry {
            name,
            summary: title(&page).unwrap_or("a model without a description here").to_string(),
            licence: licence(&page).unwrap_or("not said here; see the model's page").to_string(),
            provenance: match self {
                Cache::Kaggle => {
                    format!("https://www.kaggle.com/models/{}", parts[..parts.len().min(4)].join("/"))
                }
                Cache::HuggingFace => {
                    format!(
                        "https://huggingface.co/{}",
                        parts[0].trim_start_matches("models--").replace("--", "/")
                    )
                }
            },
            source: Source {
                file: file.to_string_lossy().into_owned(),
                sha256: hash_of(&bytes),
                bytes: bytes.len() as u64,
            },
            ..Entry::default()
        })
    }
}

/// All files below a folder that could be models.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(list) = fs::read_dir(folder) else { return };
    for entry in list.flatten() {
        let path = entry.path();
        // Snapshots are links to files; links to folders could lead in circles.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            find(&path, depth - 1, found);
        } else if !is_folder
            && path
                .extension()
                .is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
            && path.is_file()
        {
            found.push(path);
        }
    }
}

/// The first heading of a model's page.
fn title(page: &str) -> Option<&str> {
    page.lines().find_map(|line| line.strip_prefix("# ")).map(str::trim)
}

/// The licence in the head of a model's page (`license: mit` between two lines of dashes).
fn licence(page: &str) -> Option<&str> {
    let head = page.strip_prefix("---")?.split("\n---").next()?;
    head.lines().find_map(|line| line.strip_prefix("license:")).map(str::trim).filter(|text| !text.is_empty())
}
