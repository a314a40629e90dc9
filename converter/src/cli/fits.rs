//! `ferrolite fits`: whether an update of a model fits a firmware.

use serde_json::json;

use super::args::FitsArgs;
use super::{Printed, warnings};
use crate::error::{Error, Result};
use crate::fits::{Firmware, check};
use crate::model_file::ModelFile;
use crate::text::{self, Column};
use crate::update;

pub fn execute(args: &FitsArgs) -> Result<Printed> {
    let (file, version) = read(&args.update)?;
    let of = args.of.as_deref().map(read).transpose()?.map(|(file, _)| file);
    let mut firmware = match (&args.firmware, of) {
        (Some(elf), of) => Firmware::of_elf(elf, of)?,
        (None, Some(of)) => Firmware::of_model(of)?,
        (None, None) => {
            return Err(Error::usage("missing: --firmware or --of")
                .help("give the firmware's ELF file, or its model"));
        }
    };
    firmware.slot_bytes = args.slot;
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
        let columns = [Column::Left(""), Column::Left("fits"), Column::Left("")];
        let rows = checks.iter().map(|check| {
            let fits = match check.fits {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "?",
            };
            vec![check.what.to_string(), fits.to_string(), check.because.clone()]
        });
        let notes: String = firmware.notes.iter().map(|note| format!("  - {note}\n")).collect();
        let end = if wrong.is_empty() { format!("{shown} fits\n") } else { String::new() };
        Printed::Text(text::table(&columns, rows) + "\n" + &notes + &warnings(&[]) + &end)
    };
    if wrong.is_empty() {
        return Ok(printed);
    }
    // The answer is printed all the same.
    super::print(printed)?;
    Err(Error::input(format!("{shown}: does not fit: {}", wrong.join(", ")))
        .help("the reasons are above; what does not fit needs another update, or new firmware"))
}

/// A model file, or the one in a signed update, whose version it has then.
fn read(path: &std::path::Path) -> Result<(ModelFile, Option<u32>)> {
    let file = ModelFile::read(path)?;
    let Some((manifest, model)) = update::split(file.bytes()) else { return Ok((file, None)) };
    if model.len() as u64 != u64::from(manifest.length) {
        return Err(Error::input(format!(
            "{}: has a model of {} bytes, its manifest says {}",
            path.display(),
            model.len(),
            manifest.length
        ))
        .help("sign it again with `ferrolite sign`"));
    }
    Ok((ModelFile::from_bytes(path.display().to_string(), model), Some(manifest.version)))
}
