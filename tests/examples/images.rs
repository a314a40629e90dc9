//! Makes the images of the boards' runners that are embedded in the command: `cargo xtask images`.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use ferrolite::board::{BOARDS, MOST_IMAGE_BYTES, pack_runner};

fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../converter/images");
    fs::create_dir_all(&folder)?;
    let mut all = 0;
    for board in BOARDS {
        let image = pack_runner(board)?;
        println!("{:<16} {:>7} bytes", board.name, image.len());
        all += image.len();
        let path = folder.join(format!("{}.elf.z", board.name));
        // An image that stays what it is makes no new build.
        if fs::read(&path).ok().as_deref() != Some(&image[..]) {
            fs::write(path, image)?;
        }
    }
    println!("{:<16} {all:>7} bytes of {MOST_IMAGE_BYTES}", "all");
    ensure!(all <= MOST_IMAGE_BYTES, "the images have {all} bytes, more than {MOST_IMAGE_BYTES}");
    Ok(())
}
