//! Where a project's runtime comes from.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where a project's runtime comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Ferrolite's source tree on this machine.
    Tree(PathBuf),
    /// The repository, since it is published nowhere else yet.
    Repository,
}

impl Runtime {
    /// The source tree of `given`, of this program, or else the repository.
    pub(super) fn find(given: Option<&Path>) -> Result<Runtime> {
        let tree = |path: &Path| {
            let path = path.canonicalize().ok()?;
            let tree =
                if path.join("runtime/Cargo.toml").is_file() { path } else { path.parent()?.to_path_buf() };
            (tree.join("runtime/Cargo.toml").is_file() && tree.join("schema/Cargo.toml").is_file())
                .then_some(tree)
        };
        match given {
            Some(path) => tree(path).map(Runtime::Tree).ok_or_else(|| {
                Error::input(format!("--runtime {}: Ferrolite's runtime is not there", path.display()))
                    .help("give the folder of Ferrolite's source tree, or its folder `runtime`")
            }),
            None => Ok(tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
                .map_or(Runtime::Repository, Runtime::Tree)),
        }
    }
}
