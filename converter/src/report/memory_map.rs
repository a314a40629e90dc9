//! The arena over time as text: one row for each op, one column for each slice of the arena.
//!
//! ```text
//!   0 conv_2d  |▓▓▓▓████████      |
//!   1 max_pool |    ▓▓▓▓▓▓▓▓██ ░  |
//! ```
//!
//! `▓` is read by the op, `█` written, `░` scratch memory, `▒` kept for later ops. Where an output
//! lies over an input, the output is shown.

use std::ops::Range;

use ferrolite_runtime::Model;

use crate::model_file::layers;
use crate::text;

/// Columns of the map.
const WIDTH: usize = 56;

/// When and where a tensor of the arena holds data.
struct Life {
    bytes: Range<u64>,
    /// Index of the op that writes it; `None` for a model input.
    written: Option<usize>,
    last_use: usize,
}

/// What an op does to a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Kept for later ops.
    Kept,
    /// Read.
    Read,
    /// Written.
    Written,
    /// Scratch memory.
    Scratch,
}

/// The arena while one op runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Runs of bytes that hold data. Where they overlap, the last one is shown.
    pub runs: Vec<(Range<u64>, Use)>,
    /// End of the last byte in use.
    pub used: u64,
}

/// The arena of a verified model, a row for each op.
pub fn rows(model: &Model<'_>) -> Vec<Row> {
    let lives = lives(model);
    let row = |(index, op)| {
        let live = |life: &&Life| life.written.is_none_or(|w| w <= index) && life.last_use >= index;
        let mut runs: Vec<(Range<u64>, Use)> =
            lives.iter().filter(live).map(|life| (life.bytes.clone(), Use::Kept)).collect();
        let operands = model.operands(op);
        let (inputs, outputs) = operands.split_at(usize::from(op.inputs).min(operands.len()));
        for (tensors, kind) in [(inputs, Use::Read), (outputs, Use::Written)] {
            let tensors = tensors.iter().filter_map(|&tensor| model.tensors().get(usize::from(tensor)));
            let tensors = tensors.filter(|tensor| tensor.in_arena());
            runs.extend(tensors.map(|tensor| (tensor.offset.into()..tensor.end().into(), kind)));
        }
        let scratch = u64::from(op.scratch)..u64::from(op.scratch) + u64::from(op.scratch_bytes);
        runs.push((scratch, Use::Scratch));
        runs.retain(|(bytes, _)| !bytes.is_empty());
        Row { used: runs.iter().map(|(bytes, _)| bytes.end).max().unwrap_or(0), runs }
    };
    model.ops().iter().enumerate().map(row).collect()
}

/// Draws the arena of a verified model.
pub fn draw(model: &Model<'_>) -> String {
    let arena = model.arena_bytes().max(1) as u64;
    let layers = layers(model);
    let label = |index: usize| format!("{index:>3} {}", layers[index].code);
    let wide = (0..layers.len()).map(|i| label(i).chars().count()).max().unwrap_or(0);

    let mut out = format!(
        "Arena of {} bytes, {} bytes a column: ▓ read, █ written, ░ scratch, ▒ kept\n",
        text::thousands(arena),
        text::thousands(arena.div_ceil(WIDTH as u64))
    );
    for (index, Row { runs, used }) in rows(model).into_iter().enumerate() {
        let mut row = [' '; WIDTH];
        for (bytes, kind) in runs {
            let mark = match kind {
                Use::Kept => '▒',
                Use::Read => '▓',
                Use::Written => '█',
                Use::Scratch => '░',
            };
            paint(&mut row, &bytes, arena, mark);
        }
        let row: String = row.iter().collect();
        out += &format!("{:<wide$} |{row}| {:>9}\n", label(index), text::thousands(used));
    }
    out
}

fn lives(model: &Model<'_>) -> Vec<Life> {
    let mut written = vec![None; model.tensors().len()];
    for (index, op) in model.ops().iter().enumerate() {
        for &tensor in model.operands(op).iter().skip(op.inputs.into()) {
            if let Some(slot) = written.get_mut(usize::from(tensor)) {
                slot.get_or_insert(index);
            }
        }
    }
    let tensors = model.tensors().iter().zip(written).filter(|(tensor, _)| tensor.in_arena());
    tensors
        .map(|(tensor, written)| Life {
            bytes: tensor.offset.into()..tensor.end().into(),
            written,
            last_use: tensor.last_use.into(),
        })
        .collect()
}

/// Marks the columns that a run of bytes touches.
fn paint(row: &mut [char], bytes: &Range<u64>, arena: u64, mark: char) {
    if bytes.is_empty() {
        return;
    }
    let width = row.len() as u64;
    let first = bytes.start * width / arena;
    let last = ((bytes.end - 1) * width / arena).min(width - 1);
    for column in first..=last {
        row[column as usize] = mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_column() {
        let draw = |bytes: Range<u64>| {
            let mut row = [' '; 8];
            paint(&mut row, &bytes, 80, '#');
            row.iter().collect::<String>()
        };
        assert_eq!(draw(0..80), "########");
        assert_eq!(draw(0..1), "#       ");
        assert_eq!(draw(79..80), "       #");
        assert_eq!(draw(10..30), " ##     ");
        assert_eq!(draw(5..5), "        ");
    }
}
