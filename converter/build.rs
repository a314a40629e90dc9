//! Embeds the images of the boards' runners that `cargo xtask images` has put into `images/`. A published crate has them;
//! a clone builds its runners from `boards/` and need not.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("images");
    println!("cargo::rerun-if-changed=build.rs");
    // A folder that is missing would be new each time, and the crate compiled again with every build: the repository has
    // a file in it, and a package without images gets none later.
    if folder.is_dir() {
        println!("cargo::rerun-if-changed=images");
    }
    let mut list = Vec::new();
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(board) = name.strip_suffix(".elf.z") {
            list.push(format!("    ({board:?}, include_bytes!({:?})),\n", path.display().to_string()));
        }
    }
    list.sort();
    let text = format!("&[\n{}]\n", list.concat());
    fs::write(Path::new(&env::var("OUT_DIR")?).join("images.rs"), text)?;
    Ok(())
}
