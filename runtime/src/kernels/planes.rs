//! The input of a depthwise convolution with any window: a plane for each channel.

use core::cell::Cell;

use ferrolite_schema::params::DepthwiseConv2dParams;

use crate::tensor::cells_of;

/// The input rows under one row of outputs, padding included: a plane for each input channel, one behind the
/// other. A plane is a ring of rows, each as long as all windows of a row of outputs reach.
///
/// Within a row, the pixels that are a stride apart lie side by side, so that a tap of adjacent outputs is in
/// adjacent bytes, whatever the stride:
///
/// ```text
///   stride 2     padded row   0 1 2 3 4 5 6      phases of the row   0 2 4 6 | 1 3 5 .
/// ```
/// A tap is then a place in a plane, and the way from one tap to the next is the same for all channels: a list
/// of [`Planes::steps`] says it, and kernels know nothing of kernel sizes, strides and dilations.
#[derive(Clone, Debug)]
pub struct Planes<'a> {
    /// The planes and [`SLACK`] bytes behind them.
    ring: &'a [Cell<i8>],
    /// From each tap to the next, in bytes; 0 behind the last one.
    steps: &'a [Cell<i16>],
    /// Ring row of the first kernel row.
    first: usize,
    size: Size,
    /// What a kernel set has found of all channels of the layer, once it has looked: its own notice.
    pub(super) notice: Cell<Option<bool>>,
}

/// Bytes behind the planes that kernels may read, since they make four outputs at a time.
pub const SLACK: usize = 8;

/// Largest plane: steps within it fit 16 bits.
const LARGEST: u32 = i16::MAX as u32;

/// The sizes of planes. None of them is 0.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Input channels.
    pub channels: usize,
    /// Output channels of each.
    pub multiplier: usize,
    /// Outputs of a row.
    pub pixels: usize,
    /// Rows of the kernel, and from one to the next.
    pub kernel_h: usize,
    pub dilation_h: usize,
    /// Columns of the kernel.
    pub kernel_w: usize,
    /// From one column of the kernel to the next: phases, and pixels of a phase.
    along: (usize, usize),
    /// From one output to the next.
    pub stride: usize,
    /// Rows of the ring: all under a row of outputs.
    pub rows: usize,
    /// Pixels of a phase.
    pub phase: usize,
    /// Phases of a row that taps read.
    pub phases: usize,
    /// Bytes of a plane.
    pub plane: usize,
    /// Taps that are there again, behind those of the kernel.
    pub repeats: usize,
}

impl Size {
    /// The sizes for an op whose window was checked; `None` where they are beyond what planes can be.
    #[inline(never)]
    pub fn of(p: &DepthwiseConv2dParams) -> Option<Size> {
        let w = &p.window;
        let reach = w.kernel_w.checked_sub(1)?.checked_mul(w.dilation_w)?;
        let rows = w.kernel_h.checked_sub(1)?.checked_mul(w.dilation_h)?.checked_add(1)?;
        let phase = w.out_w.checked_add(reach.checked_div(w.stride_w)?)?;
        let phases = w.stride_w.min(reach.checked_add(1)?);
        let plane = rows.checked_mul(phase.checked_mul(phases)?)?;
        if plane > LARGEST || plane == 0 || p.in_channels == 0 || p.multiplier == 0 {
            return None;
        }
        let across = w.dilation_w.checked_div(w.stride_w)?;
        let within = w.dilation_w.wrapping_sub(across.wrapping_mul(w.stride_w));
        Some(Size {
            channels: p.in_channels as usize,
            multiplier: p.multiplier as usize,
            pixels: w.out_w as usize,
            kernel_h: w.kernel_h as usize,
            dilation_h: w.dilation_h as usize,
            kernel_w: w.kernel_w as usize,
            along: (within as usize, across as usize),
            stride: w.stride_w as usize,
            rows: rows as usize,
            phase: phase as usize,
            phases: phases as usize,
            plane: plane as usize,
            repeats: 0,
        })
    }

    /// Taps of a channel: those of the kernel, and those that are there again.
    #[inline(always)]
    pub fn taps(&self) -> usize {
        self.kernel_h.wrapping_mul(self.kernel_w).wrapping_add(self.repeats)
    }

    /// Columns of the kernel if the taps of a kernel row lie side by side, otherwise 0.
    #[cfg(kernels = "armv7em")]
    #[inline(always)]
    pub fn side_by_side(&self) -> usize {
        let adjacent = self.stride == 1 && self.along.1 == 1 && self.repeats == 0;
        if adjacent { self.kernel_w } else { 0 }
    }

    /// Bytes of a row of a plane.
    #[inline(always)]
    pub fn row(&self) -> usize {
        self.phase.wrapping_mul(self.phases)
    }

    /// Bytes of scratch memory for planes: the list of steps, the planes, and [`SLACK`]. `None` on overflow.
    pub fn scratch_bytes(&self) -> Option<u32> {
        let planes = (self.channels as u32).checked_mul(self.plane as u32)?;
        (self.steps_bytes() as u32).checked_add(planes)?.checked_add(SLACK as u32)
    }

    /// Bytes of the list of steps, in whole words. Taps lie apart in a plane, so there are few of them.
    fn steps_bytes(&self) -> usize {
        self.taps().wrapping_mul(2).wrapping_add(3) & !3
    }
}

impl<'a> Planes<'a> {
    /// Planes in scratch memory; `None` where it is too small or not aligned.
    pub fn new(size: Size, scratch: &'a [Cell<u8>]) -> Option<Planes<'a>> {
        let (steps, rest) = scratch.split_at_checked(size.steps_bytes())?;
        let ring = rest.get(..size.channels.checked_mul(size.plane)?.checked_add(SLACK)?)?;
        let steps = cells_of::<i16>(steps)?.get(..size.taps())?;
        Some(Planes { ring: cells_of(ring)?, steps, first: 0, size, notice: Cell::new(None) })
    }

    /// The sizes.
    #[inline(always)]
    pub fn size(&self) -> &Size {
        &self.size
    }

    /// The planes, and [`SLACK`] bytes behind them.
    #[inline(always)]
    pub fn ring(&self) -> &'a [Cell<i8>] {
        self.ring
    }

    /// From each tap to the next, in bytes, in the order of the weights; 0 behind the last one.
    #[inline(always)]
    pub fn steps(&self) -> &'a [Cell<i16>] {
        self.steps
    }

    /// Sets the ring row of the first kernel row, and the steps that follow from it. Others stay as they are.
    #[inline(never)]
    pub fn turn_to(&mut self, first: usize) {
        let size = &self.size;
        self.first = if first < size.rows { first } else { 0 };
        let mut steps = self.steps.iter();
        let mut before = None;
        let mut slot = self.first;
        for _ in 0..size.kernel_h {
            let (mut phase, mut pixel) = (0usize, slot.wrapping_mul(size.row()));
            for _ in 0..size.kernel_w {
                let at = phase.wrapping_mul(size.phase).wrapping_add(pixel);
                if let Some(before) = before.replace(at) {
                    let Some(step) = steps.next() else { return };
                    step.set(at.wrapping_sub(before) as i16);
                }
                phase = phase.wrapping_add(size.along.0);
                pixel = pixel.wrapping_add(size.along.1);
                if phase >= size.stride {
                    (phase, pixel) = (phase.wrapping_sub(size.stride), pixel.wrapping_add(1));
                }
            }
            slot = slot.wrapping_add(size.dilation_h);
            slot = if slot >= size.rows { slot.wrapping_sub(size.rows) } else { slot };
        }
        if let Some(last) = steps.next() {
            last.set(0);
        }
    }

    /// Lets the steps lead on to taps that are there again, behind those of the kernel: for each its number among these.
    #[inline(never)]
    pub fn repeat(&self, taps: &[u32]) {
        let size = &self.size;
        let kernel = size.kernel_h.wrapping_mul(size.kernel_w);
        let dilation_w = size.along.1.wrapping_mul(size.stride).wrapping_add(size.along.0);
        // Where a tap lies, from the beginning of a plane.
        let place = |tap: usize| {
            let tap = if tap < kernel { tap } else { 0 };
            let y = tap.checked_div(size.kernel_w).unwrap_or(0);
            let column = tap.wrapping_sub(y.wrapping_mul(size.kernel_w)).wrapping_mul(dilation_w);
            let pixel = column.checked_div(size.stride).unwrap_or(0);
            let phase = column.wrapping_sub(pixel.wrapping_mul(size.stride));
            let slot = self.first.wrapping_add(y.wrapping_mul(size.dilation_h));
            let slot = if slot >= size.rows { slot.wrapping_sub(size.rows) } else { slot };
            slot.wrapping_mul(size.row()).wrapping_add(phase.wrapping_mul(size.phase)).wrapping_add(pixel)
        };
        let mut before = kernel.wrapping_sub(1);
        let steps = self.steps.get(before..).unwrap_or(&[]);
        for (step, &tap) in steps.iter().zip(taps) {
            step.set(place(tap as usize).wrapping_sub(place(before)) as i16);
            before = tap as usize;
        }
        if let Some(last) = steps.last() {
            last.set(0);
        }
    }

    /// The first tap of the first output, in bytes from the beginning of a plane.
    #[inline(always)]
    pub fn start(&self) -> usize {
        self.first.wrapping_mul(self.size.row())
    }

    /// How the pixels of an image row lie in each phase of ring row `slot`, behind `left` pixels of padding.
    #[inline(always)]
    pub fn parts(&self, slot: usize, left: usize, pixels: usize) -> impl Iterator<Item = Part> + use<> {
        let Size { phase, phases, stride, .. } = self.size;
        let row = slot.wrapping_mul(self.size.row());
        // Pixels of a phase that begin before a pixel of the padded row.
        let before = move |pixel: usize, number: usize| {
            let behind = pixel.saturating_sub(number).wrapping_add(stride.wrapping_sub(1));
            let count = if stride == 1 { behind } else { behind.checked_div(stride).unwrap_or(0) };
            count.min(phase)
        };
        (0..phases).map(move |number| {
            let start = before(left, number);
            let end = before(left.wrapping_add(pixels), number).max(start);
            let first = number.wrapping_add(start.wrapping_mul(stride)).wrapping_sub(left);
            let count = if pixels == 0 { 0 } else { end.wrapping_sub(start) };
            Part {
                place: row.wrapping_add(number.wrapping_mul(phase)),
                left: start,
                first,
                count,
                right: phase.wrapping_sub(start).wrapping_sub(count),
            }
        })
    }
}

/// The pixels of an image row in a phase of a ring row.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where the phase begins in a plane.
    pub place: usize,
    /// Bytes of padding, pixels, and bytes of padding.
    pub left: usize,
    pub count: usize,
    pub right: usize,
    /// The first pixel of the image row; the others are a stride apart.
    pub first: usize,
}
