//! The pixels under a segment of a row of outputs, with their padding.
//!
//! A ring of rows serves taps that lie side by side, and lies ready for all columns. Where taps lie apart, or
//! a row is the whole signal, this takes less memory: the rows of the kernel under a few outputs, copied from
//! the image, each as wide as the windows of these outputs reach.
//!
//! ```text
//!  kernel 2x3, dilation 2, three outputs:     row 0   a . b . c . .       tap (0, kx) of output i is pixel
//!                                             row 1   d . e . f . .       i * stride_w + kx * dilation_w
//! ```
//! All of them are copied before any of these outputs is written, which may therefore lie over them.

use core::cell::Cell;

use ferrolite_schema::params::Window;

use crate::kernels::{General, Kernels, Lines, Portable, Stage, TILE};
use crate::packing::{Matrix, Packing, Shape};
use crate::tensor::{copy_short, fill_short};

/// Outputs of a segment: whole tiles. Long pixels are worth more memory than the copies that it saves.
const OUTPUTS: u32 = 4 * TILE as u32;
const LONG: u32 = 32;

/// Bytes behind the pixels that a kernel may read: whole words.
const SLACK: u32 = 4;

type Load = fn(&[Cell<u8>], &Shape, &Lines<'_>);
type Multiply = fn(&[Cell<u8>], usize, &Matrix<'_>, &Stage<'_>, &[Cell<i8>], usize);

/// What a kernel set does with tiles, as values: what walks segments is long, and has one copy for all sets.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    load: Load,
    /// See [`Kernels::matmul_packed`].
    pub multiply: Multiply,
    /// See [`Kernels::CLEARED_TILES`].
    pub cleared: bool,
}

impl Tiles {
    /// Those of the kernels `K`.
    pub const fn of<K: Kernels>() -> Tiles {
        Tiles { load: K::load_lines, multiply: K::matmul_packed, cleared: K::CLEARED_TILES }
    }

    /// Enters lines of patches into a tile: [`Kernels::load_lines`].
    #[inline(always)]
    pub fn enter(&self, tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        (self.load)(tile, shape, lines);
    }

    /// Those of the kernels `K` for their own packings, and for any other the portable ones.
    pub fn for_packing<K: Kernels>(packing: Packing) -> Tiles {
        let own = packing.is_a(K::POLICY.conv) || packing.is_a(K::POLICY.conv.general());
        if own { Tiles::of::<General<K>>() } else { Tiles::of::<Portable>() }
    }
}

/// A segment, the tile that its patches are entered into, and the weights that they are multiplied with.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Who does it.
    pub tiles: &'a Tiles,
    /// The pixels.
    pub segment: &'a Segment<'a>,
    /// Scratch memory.
    pub tile: &'a [Cell<u8>],
    /// One matrix; others may lie behind it.
    pub weights: Matrix<'a>,
}

/// The pixels under a segment.
#[derive(Debug)]
pub struct Segment<'a> {
    window: &'a Window,
    image: &'a [Cell<i8>],
    channels: usize,
    zero_point: i8,
    cells: &'a [Cell<i8>],
    /// Elements of a row.
    row: usize,
}

/// Outputs of a segment of images whose pixels have so many channels.
#[inline(always)]
pub fn outputs(w: &Window, channels: u32) -> u32 {
    let most = if channels > LONG { TILE as u32 } else { OUTPUTS };
    most.min(w.out_w)
}

/// Elements of a row. The columns fit 32 bits where [`window::check`](super::window::check) finds no fault.
#[inline(always)]
fn row(w: &Window, channels: u32) -> Option<u32> {
    let first = outputs(w, channels).wrapping_sub(1).wrapping_mul(w.stride_w);
    let columns = first.wrapping_add(w.kernel_w.wrapping_sub(1).wrapping_mul(w.dilation_w)).wrapping_add(1);
    columns.checked_mul(channels)
}

/// Bytes of a segment.
#[inline]
pub fn bytes(w: &Window, channels: u32) -> Option<u32> {
    row(w, channels)?.checked_mul(w.kernel_h)?.checked_add(SLACK)
}

impl<'a> Segment<'a> {
    /// A segment of an image, in [`bytes`] bytes of memory.
    pub fn new(
        window: &'a Window,
        channels: u32,
        zero_point: i32,
        image: &'a [Cell<i8>],
        cells: &'a [Cell<i8>],
    ) -> Segment<'a> {
        let row = row(window, channels).unwrap_or(0) as usize;
        Segment { window, image, channels: channels as usize, zero_point: zero_point as i8, cells, row }
    }

    /// Its outputs.
    pub fn outputs(&self) -> u32 {
        outputs(self.window, self.channels as u32)
    }

    /// Copies the pixels under the outputs from column `ox` of row `oy` on.
    #[inline(never)]
    pub fn fill(&self, oy: u32, ox: u32) {
        let w = self.window;
        let x = (ox.wrapping_mul(w.stride_w) as i32).wrapping_sub(w.pad_left as i32);
        let mut y = (oy.wrapping_mul(w.stride_h) as i32).wrapping_sub(w.pad_top as i32);
        let left = (x.min(0).unsigned_abs() as usize).saturating_mul(self.channels);
        let first = (x.max(0).min(w.in_w as i32) as usize).wrapping_mul(self.channels);
        let image_row = (w.in_w as usize).wrapping_mul(self.channels);
        let mut rest = self.cells;
        for _ in 0..w.kernel_h {
            let Some((line, behind)) = rest.split_at_checked(self.row) else { return };
            rest = behind;
            let inside = if y >= 0 && y < w.in_h as i32 {
                let start = (y as usize).wrapping_mul(image_row);
                let row = self.image.get(start..start.wrapping_add(image_row)).unwrap_or(&[]);
                row.get(first..).unwrap_or(&[])
            } else {
                &[]
            };
            let (before, line) = line.split_at(left.min(line.len()));
            let (pixels, after) = line.split_at(inside.len().min(line.len()));
            fill_short(before, self.zero_point);
            copy_short(inside.get(..pixels.len()).unwrap_or(inside), pixels);
            fill_short(after, self.zero_point);
            y = y.wrapping_add(w.dilation_h as i32);
        }
    }

    /// Enters the patches of so many outputs, from the output `at` of the segment on, into a tile. Of each
    /// pixel they have the channels from `first` on. Where the shape has a line for each kernel row, a line is
    /// its taps side by side; else it is one tap.
    #[inline(never)]
    pub fn load(
        &self,
        tiles: &Tiles,
        tile: &[Cell<u8>],
        shape: &Shape,
        lanes: usize,
        at: usize,
        first: usize,
    ) {
        let w = self.window;
        let step = (w.stride_w as usize).wrapping_mul(self.channels);
        let mut start = at.wrapping_mul(step).wrapping_add(first);
        let (lines, pitch) = if shape.lines == w.kernel_h {
            (w.kernel_h, self.row)
        } else {
            (w.kernel_w, (w.dilation_w as usize).wrapping_mul(self.channels))
        };
        let mut line = 0;
        while line < shape.lines as usize {
            let source = self.cells.get(start..).unwrap_or(&[]);
            let end = line.wrapping_add(lines as usize);
            (tiles.load)(tile, shape, &Lines { source, lanes: 0..lanes, step, lines: line..end, pitch });
            line = end;
            start = start.wrapping_add(self.row);
        }
    }
}
