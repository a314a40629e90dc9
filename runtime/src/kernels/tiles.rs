//! Tiles of 2x2 outputs of a 3x3 convolution, for Winograd's algorithm ([`crate::winograd`]).
//!
//! ```text
//!   4 rows of the image   + - - + - - +        tile t covers the columns 2 t .. 2 t + 4
//!   under TILE tiles:     |  0  |  1  |  …     (0 and 1 share two columns)
//!                         + - - + - - +
//! ```

use core::cell::Cell;

use super::TILE;
use crate::winograd::padded_inputs;

/// Columns of pixels under [`TILE`] tiles.
pub const COLUMNS: usize = 2 * TILE + 2;

/// The pixels under adjacent tiles, in scratch memory, in the kernel set's own form.
#[derive(Clone, Copy, Debug)]
pub struct Tiles<'a> {
    /// [`Tiles::bytes`] bytes.
    pub cells: &'a [Cell<u8>],
    /// Channels of a pixel, a multiple of 4.
    pub channels: usize,
}

impl Tiles<'_> {
    /// The largest alignment of a kernel set's words within the scratch memory.
    pub const ALIGNMENT: usize = 32;

    /// Bytes of scratch memory for pixels of `channels` channels in any kernel set; `None` on overflow. There
    /// is a word for two channels of each of 16 slots and each tile, and then either the sums of two output
    /// channels, or the columns of pixels before they are transformed and a line of padding.
    pub fn bytes(channels: u32) -> Option<u32> {
        let transformed = padded_inputs(channels)?.checked_mul(128)?;
        let line = channels.checked_mul(COLUMNS as u32)?;
        let work = line.checked_add(COLUMNS as u32 * 32)?.max(512);
        transformed.checked_add(work)?.checked_add(Tiles::ALIGNMENT as u32 - 4)
    }
}

/// The outputs of tiles.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// Elements, starting with the first tile's first output.
    pub cells: &'a [Cell<i8>],
    /// Elements of a pixel.
    pub pixel: usize,
    /// Elements of an image row.
    pub row: usize,
    /// Columns of outputs, `1 ..= 2 * TILE`. The number is odd if the last tile has only one.
    pub width: usize,
    /// Rows of outputs, 1 or 2.
    pub height: usize,
}
