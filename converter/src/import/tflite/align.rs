//! Sound files whose numbers lie at unaligned places.
//!
//! FlatBuffers asks that a number of n bytes lies at a multiple of n, counted from the beginning of the
//! file. Some writers do not keep to it (vectors of int64 at multiples of 4, mostly), C++ readers do not
//! notice, and the verifier here does. Such a file is copied, table by table, into one whose numbers are
//! aligned, which is then verified like any other. Every read is checked against the end of the file.
//!
//! The tables are those of `schema.fbs`, which is read at run time, so that there is one list of fields. What
//! it does not know is left out.

use std::collections::HashMap;

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, VOffsetT, WIPOffset};

use super::constants::each;
use crate::tflite::{MODEL_IDENTIFIER, SCHEMA};

/// Tables within tables, as deep as the verifier follows them.
const MAX_DEPTH: usize = 64;

/// A copy whose numbers are aligned; `None` where the file is not sound.
pub(super) fn aligned(file: &[u8]) -> Option<Vec<u8>> {
    let schema = Schema::read(SCHEMA);
    // Tables may be shared; without a bound, a small file could unpack into any amount.
    let budget = file.len().saturating_mul(4).saturating_add(1 << 20);
    let mut copier = Copier { schema: &schema, file, budget, out: FlatBufferBuilder::new() };
    let root = copier.follow(0)?;
    let model = copier.table("Model", root, 0)?;
    copier.out.finish(model, Some(MODEL_IDENTIFIER));
    Some(copier.out.finished_data().to_vec())
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind<'s> {
    /// A number of this many bytes.
    Number(usize),
    Text,
    /// A vector of numbers of this many bytes.
    Numbers(usize),
    Table(&'s str),
    Tables(&'s str),
    /// A table whose kind the field before says.
    Union(&'s str),
    /// A field that nobody reads any more.
    Deprecated,
}

/// The tables and unions of a schema.
struct Schema<'s> {
    /// The fields of a table, by their number.
    tables: HashMap<&'s str, Vec<Kind<'s>>>,
    /// The members of a union, by their number.
    unions: HashMap<&'s str, HashMap<u8, &'s str>>,
}

impl<'s> Schema<'s> {
    fn read(text: &'s str) -> Schema<'s> {
        // Each declaration begins a line; its body ends with the next brace.
        let declarations = |word: &'s str| {
            text.split(word).skip(1).filter_map(|rest| {
                let (head, body) = rest.split_once('{')?;
                let head: Vec<&str> = head.split(':').map(str::trim).collect();
                Some((head, body.split('}').next().unwrap_or_default()))
            })
        };
        let items = |body: &'s str, end: char| {
            let lines = body.lines().map(|line| line.split("//").next().unwrap_or_default());
            lines.flat_map(move |line| line.split(end)).map(str::trim).filter(|item| !item.is_empty())
        };
        let mut numbers: HashMap<&str, usize> = [
            ("bool", 1),
            ("byte", 1),
            ("ubyte", 1),
            ("ushort", 2),
            ("int", 4),
            ("uint", 4),
            ("float", 4),
            ("long", 8),
            ("ulong", 8),
        ]
        .into();
        for (head, _) in declarations("\nenum ") {
            if let &[name, base] = head.as_slice() {
                numbers.insert(name, numbers.get(base).copied().unwrap_or(1));
            }
        }
        let mut unions = HashMap::new();
        for (head, body) in declarations("\nunion ") {
            let members = items(body, ',').filter_map(|item| {
                let (name, number) = item.split_once('=')?;
                Some((number.trim().parse().ok()?, name.trim()))
            });
            unions.insert(head[0], members.collect::<HashMap<u8, &str>>());
        }
        let mut tables = HashMap::new();
        for (head, body) in declarations("\ntable ") {
            let mut fields = Vec::new();
            for item in items(body, ';') {
                let Some((_, kind)) = item.split_once(':') else { continue };
                let name = kind.split(['=', '(']).next().unwrap_or_default().trim();
                let element = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
                let field = match (numbers.get(element.unwrap_or(name)), element) {
                    _ if item.ends_with("(deprecated)") => Kind::Deprecated,
                    (Some(&size), None) => Kind::Number(size),
                    (Some(&size), Some(_)) => Kind::Numbers(size),
                    (None, Some(element)) => Kind::Tables(element),
                    (None, None) if name == "string" => Kind::Text,
                    (None, None) if unions.contains_key(name) => {
                        // A union takes two fields: which table it is, and the table.
                        fields.push(Kind::Number(1));
                        Kind::Union(name)
                    }
                    (None, None) => Kind::Table(name),
                };
                fields.push(field);
            }
            tables.insert(head[0], fields);
        }
        Schema { tables, unions }
    }
}

/// The copy as it grows.
struct Copier<'f> {
    schema: &'f Schema<'f>,
    file: &'f [u8],
    /// Bytes that may still be read.
    budget: usize,
    out: FlatBufferBuilder<'static>,
}

/// A copied field, before its table is written.
enum Copied {
    Number(usize, u64),
    Offset(WIPOffset<TableFinishedWIPOffset>),
}

impl Copier<'_> {
    fn bytes(&mut self, at: usize, count: usize) -> Option<&[u8]> {
        self.budget = self.budget.checked_sub(count)?;
        self.file.get(at..at.checked_add(count)?)
    }

    /// A number of up to 8 bytes.
    fn number(&mut self, at: usize, size: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes.get_mut(..size)?.copy_from_slice(self.bytes(at, size)?);
        Some(u64::from_le_bytes(bytes))
    }

    /// Where the offset at a place leads.
    fn follow(&mut self, at: usize) -> Option<usize> {
        let offset = self.number(at, 4)?;
        at.checked_add(usize::try_from(offset).ok()?)
    }

    fn table(&mut self, name: &str, at: usize, depth: usize) -> Option<WIPOffset<TableFinishedWIPOffset>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let back = self.number(at, 4)? as u32 as i32;
        let fields_at = usize::try_from(i64::try_from(at).ok()? - i64::from(back)).ok()?;
        let length = self.number(fields_at, 2)? as usize;
        let fields = self.schema.tables.get(name)?;
        let mut copied = Vec::new();
        let mut member = 0;
        for (number, &kind) in fields.iter().enumerate() {
            let slot = 4 + 2 * number;
            if kind == Kind::Number(1) {
                member = 0;
            }
            if slot + 2 > length || kind == Kind::Deprecated {
                continue;
            }
            let offset = self.number(fields_at.checked_add(slot)?, 2)? as usize;
            if offset == 0 {
                continue;
            }
            let place = at.checked_add(offset)?;
            let field = match kind {
                Kind::Number(size) => {
                    let value = self.number(place, size)?;
                    member = value as u8;
                    Some(Copied::Number(size, value))
                }
                Kind::Union(union) => {
                    // A member that the schema does not have stays without its table.
                    match self.schema.unions.get(union)?.get(&member) {
                        Some(&table) => Some(Copied::Offset(self.child(table, place, depth)?)),
                        None => None,
                    }
                }
                Kind::Table(table) => Some(Copied::Offset(self.child(table, place, depth)?)),
                Kind::Text => Some(Copied::Offset(self.text(place)?)),
                Kind::Numbers(size) => Some(Copied::Offset(self.numbers(place, size)?)),
                Kind::Tables(table) => Some(Copied::Offset(self.tables(table, place, depth)?)),
                Kind::Deprecated => None,
            };
            match field {
                Some(field) => copied.push((slot as VOffsetT, field)),
                // Nor does the number of a member that is not there.
                None if matches!(kind, Kind::Union(_)) => {
                    copied.retain(|(before, _)| usize::from(*before) + 2 != slot);
                }
                None => {}
            }
        }
        let table = self.out.start_table();
        for (slot, field) in copied {
            match field {
                Copied::Number(1, value) => self.out.push_slot_always(slot, value as u8),
                Copied::Number(2, value) => self.out.push_slot_always(slot, value as u16),
                Copied::Number(4, value) => self.out.push_slot_always(slot, value as u32),
                Copied::Number(_, value) => self.out.push_slot_always(slot, value),
                Copied::Offset(offset) => self.out.push_slot_always(slot, offset),
            }
        }
        Some(self.out.end_table(table))
    }

    fn child(
        &mut self,
        table: &str,
        place: usize,
        depth: usize,
    ) -> Option<WIPOffset<TableFinishedWIPOffset>> {
        let at = self.follow(place)?;
        self.table(table, at, depth + 1)
    }

    fn text(&mut self, place: usize) -> Option<WIPOffset<TableFinishedWIPOffset>> {
        let at = self.follow(place)?;
        let length = self.number(at, 4)? as usize;
        let text = String::from_utf8(self.bytes(at.checked_add(4)?, length)?.to_vec()).ok()?;
        Some(WIPOffset::new(self.out.create_string(&text).value()))
    }

    fn numbers(&mut self, place: usize, size: usize) -> Option<WIPOffset<TableFinishedWIPOffset>> {
        let at = self.follow(place)?;
        let count = self.number(at, 4)? as usize;
        let data = self.bytes(at.checked_add(4)?, count.checked_mul(size)?)?.to_vec();
        let offset = match size {
            1 => self.out.create_vector(&data).value(),
            2 => self.out.create_vector(&each(&data, u16::from_le_bytes)).value(),
            4 => self.out.create_vector(&each(&data, u32::from_le_bytes)).value(),
            _ => self.out.create_vector(&each(&data, u64::from_le_bytes)).value(),
        };
        Some(WIPOffset::new(offset))
    }

    fn tables(
        &mut self,
        table: &str,
        place: usize,
        depth: usize,
    ) -> Option<WIPOffset<TableFinishedWIPOffset>> {
        let at = self.follow(place)?;
        let count = self.number(at, 4)? as usize;
        let mut offsets = Vec::new();
        for index in 0..count {
            offsets.push(self.child(table, at.checked_add(4 + 4 * index)?, depth)?);
        }
        Some(WIPOffset::new(self.out.create_vector(&offsets).value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_read_as_flatc_reads_it() {
        let schema = Schema::read(SCHEMA);
        assert_eq!(
            schema.tables["QuantizationParameters"],
            [
                Kind::Numbers(4),
                Kind::Numbers(4),
                Kind::Numbers(4),
                Kind::Numbers(8),
                Kind::Number(1),
                Kind::Union("QuantizationDetails"),
                Kind::Number(4)
            ]
        );
        assert_eq!(schema.tables["Buffer"], [Kind::Numbers(1), Kind::Number(8), Kind::Number(8)]);
        assert_eq!(schema.tables["Operator"].len(), 11);
        assert_eq!(schema.tables["SignatureDef"][3], Kind::Deprecated);
        assert_eq!(schema.tables["OperatorCode"][3], Kind::Number(4));
        assert_eq!(schema.tables["Tensor"][4], Kind::Table("QuantizationParameters"));
        assert_eq!(schema.unions["BuiltinOptions"][&49], "TransposeConvOptions");
        assert_eq!(schema.unions["SparseIndexVector"][&2], "Uint16Vector");
        // Every field names something that the schema declares.
        for (name, fields) in &schema.tables {
            for field in fields {
                if let Kind::Table(other) | Kind::Tables(other) = field {
                    assert!(schema.tables.contains_key(other), "{name}: {other}");
                }
            }
        }
        for member in schema.unions.values().flat_map(HashMap::values) {
            assert!(schema.tables.contains_key(member), "{member}");
        }
    }
}
