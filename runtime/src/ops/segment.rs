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
//! All of them are copied before any of these outputs is written, which may therefore lie over them. The channels of each
//! group of a grouped convolution are copied to a place of their own, so that taps lie side by side in all groups.

use core::cell::Cell;

use ferrolite_schema::params::{Multiplier, Window};

use crate::kernels::{ByTiles, General, Job, Kernels, Lines, Patches, Portable, Stage, TILE};
use crate::packing::{Matrix, Packing, Shape};
use crate::tensor::{Runs, TensorView, cells_of, copy_runs, copy_short, fill_short};

/// Outputs of a segment: whole tiles. Long pixels are worth more memory than the copies that it saves.
const OUTPUTS: u32 = 4 * TILE as u32;
const LONG: u32 = 32;

/// Bytes behind the pixels that a kernel may read: whole words.
const SLACK: u32 = 4;

type Load = fn(&[Cell<u8>], &Shape, &Lines<'_>);
type Multiply = fn(&[Cell<u8>], usize, &Matrix<'_>, &Stage<'_>, &[Cell<i8>], usize);
type Run = fn(&Work<'_>, &Part<'_>) -> usize;
type Finish = fn(&Work<'_>, &Stage<'_>, &[Cell<i8>]);

/// What a kernel set does with tiles, as values: what walks segments is long, and has one copy for all sets.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    load: Load,
    /// See [`Kernels::matmul_packed`].
    pub multiply: Multiply,
    run: Run,
    finish: Finish,
    /// See [`Kernels::CLEARED_TILES`].
    pub cleared: bool,
}

impl Tiles {
    /// Those of the kernels `K`, for their own packing with bounds.
    pub const fn of<K: Kernels>() -> Tiles {
        Tiles {
            load: K::load_lines,
            multiply: K::matmul_packed,
            run: run::<K>,
            finish: finish::<K>,
            cleared: K::CLEARED_TILES,
        }
    }

    /// The same for their own packings of both kinds.
    pub const fn of_both<K: Kernels>() -> Tiles {
        Tiles { multiply: General::<K>::matmul_packed, run: run::<General<K>>, ..Tiles::of::<K>() }
    }

    /// Enters lines of patches into a tile: [`Kernels::load_lines`].
    #[inline(always)]
    pub fn enter(&self, tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        (self.load)(tile, shape, lines);
    }

    /// Those of the kernels `K` for their own packings, and for any other the portable ones.
    pub fn for_packing<K: Kernels>(packing: Packing) -> &'static Tiles {
        let own = packing.is_a(K::POLICY.conv) || packing.is_a(K::POLICY.conv.general());
        if own { const { &Tiles::of_both::<K>() } } else { const { &Tiles::of::<Portable>() } }
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
    /// Shape of the weights, which are several matrices.
    pub shape: &'a Shape,
}

/// What is made of a segment: the channels of a group for its first outputs.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The group's weights, and what may lie behind them.
    pub weights: &'a [u8],
    /// Biases and multipliers of its channels.
    pub bias: &'a [i32],
    pub multipliers: &'a [Multiplier],
    /// What they share with others.
    pub stage: &'a Stage<'a>,
    /// Number of the group.
    pub group: usize,
    /// Outputs.
    pub count: usize,
    /// Starts with the first one's.
    pub out: &'a [Cell<i8>],
    /// Elements from one to the next.
    pub out_stride: usize,
}

impl<'a> Part<'a> {
    #[inline(always)]
    fn stage(&self) -> Stage<'a> {
        Stage { bias: self.bias, multipliers: self.multipliers, ..*self.stage }
    }
}

/// Makes whole tiles, as [`ByTiles::tiles`] does, and returns how many outputs: they are not clamped yet.
#[inline(never)]
fn run<K: Kernels>(work: &Work<'_>, part: &Part<'_>) -> usize {
    let &Work { segment, tile, shape, .. } = work;
    let &Part { weights, group, count, out, out_stride, .. } = part;
    let stage = part.stage();
    let way = segment.way(shape, group);
    // Lines in more than two rows are not patches.
    if way.all > way.lines.wrapping_mul(2) {
        return 0;
    }
    let again = way.start.wrapping_add(segment.row);
    let patches = Patches { cells: segment.cells(), start: way.start, until_end: way.lines, again };
    let weights = Matrix { shape: *shape, bytes: weights };
    let job = Job { tile, weights: &weights, stage: &stage, step: way.step, pitch: way.pitch, out_stride };
    K::Tiled::new(&job).tiles(&patches, count / TILE, out).wrapping_mul(TILE)
}

/// Clamps all outputs that [`run`] has made.
#[inline(never)]
fn finish<K: Kernels>(work: &Work<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
    let &Work { tile, shape, .. } = work;
    let weights = Matrix { shape: *shape, bytes: &[] };
    K::Tiled::new(&Job { tile, weights: &weights, stage, step: 0, pitch: 0, out_stride: 0 }).finish(out);
}

impl Work<'_> {
    /// Makes a part; [`finish`](Work::finish) has to follow when all are made.
    #[inline(never)]
    pub fn make(&self, part: &Part<'_>) {
        let made = (self.tiles.run)(self, part);
        if made < part.count {
            self.make_rest(part, made);
        }
    }

    #[inline(never)]
    fn make_rest(&self, part: &Part<'_>, made: usize) {
        let &Work { tiles, segment, tile, shape } = self;
        let weights = Matrix { shape: *shape, bytes: part.weights };
        let stage = part.stage();
        let way = segment.way(shape, part.group);
        let mut at = made;
        while at < part.count {
            let lanes = part.count.wrapping_sub(at).min(TILE);
            segment.load(tiles, tile, shape, lanes, at.wrapping_mul(way.step), &way);
            let out = part.out.get(at.wrapping_mul(part.out_stride)..).unwrap_or(&[]);
            (tiles.multiply)(tile, lanes, &weights, &stage, out, part.out_stride);
            at = at.wrapping_add(TILE);
        }
    }

    /// Clamps outputs that were made.
    pub fn finish(&self, stage: &Stage<'_>, out: &[Cell<i8>]) {
        if !self.shape.packing.general {
            (self.tiles.finish)(self, stage, out);
        }
    }
}

/// Where the lines of a patch lie. All sizes are elements.
struct Way {
    /// First line of the patch.
    start: usize,
    /// From one pixel to the next.
    step: usize,
    /// Lines that are `pitch` apart; those behind them are as far apart and begin a row below.
    lines: usize,
    pitch: usize,
    /// Lines of a patch.
    all: usize,
}

/// The pixels under a segment.
#[derive(Debug)]
pub struct Segment<'a> {
    window: &'a Window,
    /// The image.
    pub image: &'a [Cell<i8>],
    channels: usize,
    groups: usize,
    zero_point: i8,
    bytes: &'a [Cell<u8>],
    /// Elements of a row of one group.
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
    /// A segment of an image whose channels are so many groups, in [`bytes`] bytes of memory.
    pub fn new(
        window: &'a Window,
        (channels, groups): (u32, u32),
        zero_point: i32,
        image: &'a [Cell<i8>],
        bytes: &'a [Cell<u8>],
    ) -> Segment<'a> {
        let row = row(window, channels).and_then(|row| row.checked_div(groups)).unwrap_or(0) as usize;
        let (channels, groups, zero_point) = (channels as usize, groups as usize, zero_point as i8);
        Segment { window, image, channels, groups, zero_point, bytes, row }
    }

    #[inline(always)]
    fn cells(&self) -> &'a [Cell<i8>] {
        cells_of(self.bytes).unwrap_or(&[])
    }

    /// Elements of an image.
    pub fn elements(&self) -> usize {
        (self.window.in_h as usize).wrapping_mul(self.window.in_w as usize).wrapping_mul(self.channels)
    }

    /// Its outputs.
    pub fn outputs(&self) -> u32 {
        outputs(self.window, self.channels as u32)
    }

    /// Channels of a group.
    #[inline(always)]
    fn part(&self) -> usize {
        if self.groups == 1 { self.channels } else { self.channels.checked_div(self.groups).unwrap_or(0) }
    }

    /// Copies the pixels under the outputs from column `ox` of row `oy` on: for each group, the rows of the kernel.
    #[inline(never)]
    pub fn fill(&self, oy: u32, ox: u32) {
        let w = self.window;
        let part = self.part();
        let x = (ox.wrapping_mul(w.stride_w) as i32).wrapping_sub(w.pad_left as i32);
        let top = (oy.wrapping_mul(w.stride_h) as i32).wrapping_sub(w.pad_top as i32);
        let left = (x.min(0).unsigned_abs() as usize).saturating_mul(part);
        let first = (x.max(0).min(w.in_w as i32) as usize).wrapping_mul(self.channels);
        let image_row = (w.in_w as usize).wrapping_mul(self.channels);
        let mut start = 0usize;
        for group in 0..self.groups {
            let mut y = top;
            for _ in 0..w.kernel_h {
                let end = start.wrapping_add(self.row);
                let Some(line) = self.cells().get(start..end) else { return };
                let inside = if y >= 0 && y < w.in_h as i32 {
                    let start = (y as usize).wrapping_mul(image_row);
                    let row = self.image.get(start..start.wrapping_add(image_row)).unwrap_or(&[]);
                    row.get(first..).unwrap_or(&[])
                } else {
                    &[]
                };
                let (before, behind) = line.split_at(left.min(line.len()));
                fill_short(before, self.zero_point);
                let copied = if self.groups == 1 {
                    copy_short(inside, behind);
                    inside.len().min(behind.len())
                } else {
                    let room = behind.len().checked_div(part).unwrap_or(0);
                    let count = inside.len().checked_div(self.channels).unwrap_or(0).min(room);
                    let target = self.bytes.get(end.wrapping_sub(behind.len())..end).unwrap_or(&[]);
                    let from = group.wrapping_mul(part);
                    let step = (self.channels as isize, part as isize);
                    let runs = Runs { count, bytes: part, first: (from, 0), step };
                    copy_runs(TensorView::from_cells(inside).bytes(), target, &runs);
                    count.wrapping_mul(part)
                };
                fill_short(behind.get(copied..).unwrap_or(&[]), self.zero_point);
                y = y.wrapping_add(w.dilation_h as i32);
                start = end;
            }
        }
    }

    /// The way through the patch of the first output in a group. Where the shape has a line for each kernel row, a line is
    /// its taps side by side; else it is one tap.
    #[inline(always)]
    fn way(&self, shape: &Shape, group: usize) -> Way {
        let w = self.window;
        let part = self.part();
        let (lines, pitch) = if shape.lines == w.kernel_h {
            (w.kernel_h, self.row)
        } else {
            (w.kernel_w, (w.dilation_w as usize).wrapping_mul(part))
        };
        Way {
            start: self.row.wrapping_mul(w.kernel_h as usize).wrapping_mul(group),
            step: (w.stride_w as usize).wrapping_mul(part),
            lines: lines as usize,
            pitch,
            all: shape.lines as usize,
        }
    }

    /// Enters the patches of so many outputs into a tile, from the one so many elements further on.
    #[inline(never)]
    fn load(&self, tiles: &Tiles, tile: &[Cell<u8>], shape: &Shape, lanes: usize, at: usize, way: &Way) {
        let &Way { start, step, lines, pitch, all } = way;
        let mut start = start.wrapping_add(at);
        let mut line = 0;
        while line < all {
            let source = self.cells().get(start..).unwrap_or(&[]);
            let end = line.wrapping_add(lines.max(1));
            (tiles.load)(tile, shape, &Lines { source, lanes: 0..lanes, step, lines: line..end, pitch });
            line = end;
            start = start.wrapping_add(self.row);
        }
    }
}
