//! An image that a depthwise convolution processes four channels at a time.

use core::cell::Cell;

/// An image under a 3x3 kernel with stride 1 that keeps its size: `height` rows of `width` pixels of
/// `channels` elements, a multiple of four.
///
/// The whole image is processed for four channels before the next four, so the outputs may lie exactly over
/// it. The rows under a row of outputs are kept in a ring, padding included, while they are needed; each
/// kernel set chooses its own order there.
#[derive(Clone, Copy, Debug)]
pub struct Strips<'a> {
    /// The image.
    pub image: &'a [Cell<i8>],
    /// Scratch memory of [`Strips::ring_bytes`] bytes.
    pub ring: &'a [Cell<u8>],
    /// Rows.
    pub height: usize,
    /// Pixels of a row, at least 2.
    pub width: usize,
    /// Elements of a pixel.
    pub channels: usize,
    /// Rows of padding above the image, at most 2; together with those below it there are 2.
    pub top: usize,
    /// Pixels of padding before each row, at most 2; together with those after it there are 2.
    pub left: usize,
    /// The value of padding.
    pub zero_point: i8,
}

impl Strips<'_> {
    /// Channels that are processed at a time.
    pub const CHANNELS: usize = 4;

    /// Bytes of the ring for rows of `width` pixels, of which images have at most 65536: three rows of 16-bit elements.
    #[inline(always)]
    pub fn ring_bytes(width: u32) -> u32 {
        width.wrapping_add(2).wrapping_mul(3 * 2 * Self::CHANNELS as u32)
    }
}
