//! The arena over time as text: a row for each op, a column for each slice of the arena.
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

use super::text;
use crate::model_file::layers;

/// Columns of the map.
const WIDTH: usize = 56;

/// When and where a tensor of the arena holds data.
struct Life {
    bytes: Range<u64>,
    /// Index of the op that writes it; `None` for a model input.
    written: Option<usize>,
    last_use: usize,
}

/// Draws the arena of a verified model.
pub fn draw(model: &Model<'_>) -> String {
    let arena = model.arena_bytes().max(1) as u64;
    let lives = lives(model);
    let layers = layers(model);
    let label = |index: usize| format!("{index:>3} {}", layers[index].code);
    let wide = (0..layers.len()).map(|i| label(i).chars().count()).max().unwrap_or(0);

    let mut out = format!(
        "Arena of {} bytes, {} bytes a column: ▓ read, █ written, ░ scratch, ▒ kept\n",
        text::thousands(arena),
        text::thousands(arena.div_ceil(WIDTH as u64))
    );
    for (index, op) in model.ops().iter().enumerate() {
        let mut row = [' '; WIDTH];
        let mut used = 0;
        let live = |life: &&Life| life.written.is_none_or(|w| w <= index) && life.last_use >= index;
        for life in lives.iter().filter(live) {
            paint(&mut row, &life.bytes, arena, '▒');
            used = used.max(life.bytes.end);
        }
        let operands = model.operands(op);
        let (inputs, outputs) = operands.split_at(usize::from(op.inputs).min(operands.len()));
        let scratch = u64::from(op.scratch)..u64::from(op.scratch) + u64::from(op.scratch_bytes);
        for (tensors, mark) in [(inputs, '▓'), (outputs, '█')] {
            for &tensor in tensors {
                if let Some(tensor) = model.tensors().get(usize::from(tensor)).filter(|t| t.in_arena()) {
                    paint(&mut row, &(tensor.offset.into()..tensor.end().into()), arena, mark);
                }
            }
        }
        if !scratch.is_empty() {
            paint(&mut row, &scratch, arena, '░');
            used = used.max(scratch.end);
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
