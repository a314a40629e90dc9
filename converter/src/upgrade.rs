//! Files of an earlier Ferrolite with today's numbers and orders, where that is exact, and a report of what was done.
//!
//! Version 2 of the format has had three numbers that changed their meaning, and one order of weights, before it was
//! released. A file with them is refused by today's reader, or an operator's check; this writes it anew:
//!
//! | found | becomes |
//! |---|---|
//! | operator 70 | 39, convolutions in segments |
//! | operator 90 | 30, LSTMs with curves |
//! | operator 30 with the parameters of a convolution | 39; the weights of groups lie in another order where a tap of a group is no whole packing unit |
//!
//! Everything else stays byte for byte, and the result is verified as a whole. What cannot be said in today's format is
//! reported, and a person has to convert the source again.

use crc::{CRC_32_ISO_HDLC, Crc};
use ferrolite_runtime::{Model, OpCode};
use ferrolite_schema::generated as fb;
use ferrolite_schema::params::Conv2dParams;
use ferrolite_schema::{self as schema, FORMAT_VERSION};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::ops::repack::regrouped;

/// What to do where a file cannot be written anew.
const AGAIN: &str = "convert the source again: `ferrolite convert MODEL -o FILE.ferro`";

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Index of the op.
    pub op: usize,
    /// The author's name of the layer; empty where the file has none.
    pub layer: String,
    /// Whether this was left to a person.
    pub needs_person: bool,
    /// What was changed, or what a person has to do.
    pub what: String,
}

/// A file written anew.
#[derive(Clone, Debug)]
pub struct Upgraded {
    /// The bytes; those of a current file are as they were.
    pub bytes: Vec<u8>,
    /// Ops of the file.
    pub ops: usize,
    /// What was changed, and what is left to a person.
    pub changes: Vec<Change>,
}

impl Upgraded {
    /// What is left to a person.
    pub fn for_a_person(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.needs_person)
    }
}

/// Writes a file of an earlier Ferrolite anew.
///
/// # Errors
/// When it is no `.ferro` file, damaged, of another version of the format, or refused for a reason that is not known to come
/// from its age.
pub fn upgrade(file: &ModelFile) -> Result<Upgraded> {
    let (name, old) = (file.name(), file.bytes());
    let refused = |what: &str| Error::input(format!("{name}: {what}"));
    if let Err(schema::Error::Version { found }) = Model::from_bytes(old) {
        return Err(match found < FORMAT_VERSION {
            true => refused(&format!(
                "a file of version {found}, whose numbers version {FORMAT_VERSION} cannot say"
            ))
            .help(AGAIN),
            false => refused(&format!("a newer ferrolite wrote this file, of version {found}"))
                .help("update ferrolite"),
        });
    }
    if let Err(error @ schema::Error::NotAModel) = Model::from_bytes(old) {
        return Err(refused(&error.to_string()).help("give a .ferro file, as `ferrolite convert` writes it"));
    }
    let damaged = || refused("the file is damaged").help(AGAIN);
    let tables = fb::root_as_model(old).map_err(|e| damaged().caused_by(e))?;
    // Where a part of the file stands in it.
    let place = |part: *const u8| (part as usize).checked_sub(old.as_ptr() as usize).ok_or_else(damaged);
    let checksum = tables.checksum().ok_or_else(damaged)?;
    let at = place(checksum.0.as_ptr())?;
    let (Some(ops), Some(params), Some(constants)) = (tables.ops(), tables.params(), tables.constants())
    else {
        return Err(damaged());
    };
    let mut new = old.to_vec();
    if crc_without(&mut new, at) != u32::from_le_bytes(checksum.0) {
        return Err(refused("the checksum does not fit the contents").help("copy the file again"));
    }
    let (ops_at, constants_at) = (place(ops.bytes().as_ptr())?, place(constants.bytes().as_ptr())?);
    let names = tables.debug().and_then(|debug| debug.op_names());
    let mut changes = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        let layer = names.and_then(|names| (index < names.len()).then(|| names.get(index).to_string()));
        let mut report = |needs_person, what: String| {
            changes.push(Change { op: index, layer: layer.clone().unwrap_or_default(), needs_person, what });
        };
        let words = params.bytes().get(op.params() as usize * 4..);
        let words = words.and_then(|words| words.get(..op.params_words() as usize * 4)).unwrap_or_default();
        let found = op.code().0;
        let code = match found {
            70 => OpCode::Conv2dSegments,
            90 => OpCode::LstmCurves,
            30 if op.inputs() == 1 && op.outputs() == 1 && words.len() == size_of::<Conv2dParams>() => {
                OpCode::Conv2dSegments
            }
            _ => continue,
        };
        new[ops_at + index * size_of::<fb::Op>()..][..2].copy_from_slice(&(code as u16).to_le_bytes());
        report(false, format!("operator {} is {} now: {}", found, code as u16, code.name()));
        if found != 30 {
            continue;
        }
        let p: Conv2dParams = bytemuck::pod_read_unaligned(words);
        match regrouped(&p, constants.bytes()) {
            None => report(true, format!("the weights of {} groups do not fit their parameters", p.groups)),
            Some((_, weights)) if weights.is_empty() => {}
            Some((start, weights)) => {
                let room = new.get_mut(constants_at + start..).and_then(|rest| rest.get_mut(..weights.len()));
                room.ok_or_else(damaged)?.copy_from_slice(&weights);
                report(false, format!("the weights of {} groups lie by kernel rows now", p.groups));
            }
        }
    }
    let crc = crc_without(&mut new, at);
    new[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    let upgraded = Upgraded { ops: ops.len(), bytes: new, changes };
    if upgraded.for_a_person().next().is_none() {
        ModelFile::from_bytes(name, &upgraded.bytes).with_operators(file.operators()).model().map_err(
            |mut error| {
                error.message += match upgraded.changes.is_empty() {
                    true => "; nothing in it is known to be of an earlier form",
                    false => "; what is known to be of an earlier form was changed",
                };
                error.help = AGAIN.into();
                error
            },
        )?;
    }
    Ok(upgraded)
}

/// The CRC of a file whose field for it is set to zero.
fn crc_without(bytes: &mut [u8], at: usize) -> u32 {
    bytes[at..at + 4].fill(0);
    Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes)
}
