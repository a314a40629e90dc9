//! `ferrolite fits`: whether an update of a model fits a firmware.

use std::path::Path;

use serde_json::json;

use super::args::FitsArgs;
use super::{Printed, warnings};
use crate::error::{Error, Result};
use crate::fits::{Check, Firmware, check};
use crate::model_file::ModelFile;
use crate::update;

pub fn execute(args: &FitsArgs) -> Result<Printed> {
    let (file, version) = read(&args.update, args.public_key.as_ref())?;
    let of = args.of.as_deref().map(|path| read(path, None)).transpose()?.map(|(file, _)| file);
    let mut firmware = match (&args.firmware, of) {
        (Some(elf), of) => Firmware::of_elf(elf, of)?,
        (None, Some(of)) => Firmware::of_model(of)?,
        (None, None) => {
            return Err(Error::usage("missing: --firmware or --of")
                .help("give the firmware's ELF file, or its model"));
        }
    };
    match (version, args.public_key) {
        (None, Some(_)) => {
            return Err(Error::input(format!("{}: is not signed", args.update.display()))
                .help("give the update that `ferrolite sign` wrote, or leave out --public-key"));
        }
        (Some(_), None) => firmware
            .notes
            .push("version and signature of the update were not checked: --public-key HEX does it".into()),
        _ => {}
    }
    firmware.slot_bytes = args.slot.or(firmware.slot_bytes);
    if let Some(arena) = args.arena {
        firmware.arena_bytes = arena;
    }
    let model = file.model()?;
    let checks = check(&model, &firmware)?;
    let wrong: Vec<&str> =
        checks.iter().filter(|check| check.fits == Some(false)).map(|check| check.what).collect();
    let shown = args.update.display();
    let printed = if args.json {
        Printed::Json(json!({
            "update": shown.to_string(),
            "firmware": args.firmware.as_ref().or(args.of.as_ref()).map(|path| path.display().to_string()),
            "version": version,
            "fits": wrong.is_empty(),
            "checks": checks,
            "notes": firmware.notes,
            "warnings": [],
        }))
    } else {
        let rows: String = checks.iter().map(row).collect();
        let notes: String = firmware.notes.iter().map(|note| format!("  - {note}\n")).collect();
        let end = if wrong.is_empty() { format!("{shown} fits\n") } else { String::new() };
        Printed::Text(rows + &notes + &warnings(&[]) + &end)
    };
    if wrong.is_empty() {
        return Ok(printed);
    }
    // The answer is printed all the same.
    super::print(printed)?;
    Err(Error::input(format!("{shown}: does not fit: {}", wrong.join(", ")))
        .help("the reasons are above; what does not fit needs another update, or new firmware"))
}

/// Columns that a line of reasons has at most.
const WIDTH: usize = 100;

/// A check as lines: what, whether it fits, and why, broken between words.
fn row(check: &Check) -> String {
    let fits = match check.fits {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "?",
    };
    let mut out = String::new();
    let mut line = format!("{:<10} {fits:<4}", check.what);
    for word in check.because.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            out += &format!("{}\n", line.trim_end());
            line = " ".repeat(15);
        }
        line += &format!(" {word}");
    }
    out + line.trim_end() + "\n"
}

/// A model file, or the one in a signed update, whose version it has then.
fn read(path: &Path, public_key: Option<&[u8; 32]>) -> Result<(ModelFile, Option<u32>)> {
    let file = ModelFile::read(path)?;
    Ok(match update::open(&path.display().to_string(), file.bytes(), public_key)? {
        Some((manifest, model)) => (model, Some(manifest.version)),
        None => (file, None),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_may_block_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        // Without the command there is no pipe to test with.
        let pipe = made.is_ok_and(|status| status.success()).then_some(pipe);
        for path in pipe.as_deref().into_iter().chain([Path::new("/dev/zero")]) {
            let errors = [Firmware::of_elf(path, None).unwrap_err(), read(path, None).unwrap_err()];
            for error in errors {
                let words = format!("{}: cannot be read: it is not a regular file", path.display());
                assert!(error.message.starts_with(&words) && !error.help.is_empty(), "{error:?}");
            }
        }
    }
}
