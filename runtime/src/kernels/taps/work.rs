//! What the leaves of all cores are given. Each file checks the order of the fields that its instructions rely on.

use ferrolite_schema::params::Multiplier;

/// Arguments of `load`.
#[repr(C)]
pub(super) struct Load {
    pub source: *const i8,
    /// The phase in the first plane.
    pub target: *mut i8,
    /// Bytes from one plane to the next.
    pub plane: usize,
    /// At least 1.
    pub channels: usize,
    pub left: usize,
    pub count: usize,
    pub right: usize,
    pub padding: i32,
    /// Bytes from one pixel to the next.
    pub step: usize,
}

/// Arguments of `taps`. Pointers advance from channel to channel.
#[repr(C)]
pub(super) struct Taps {
    /// The first tap of the first output.
    pub plane: *const i8,
    pub weights: *const i8,
    pub steps: *const i16,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub out: *mut i8,
    /// Bytes from one output to the next.
    pub channels: usize,
    /// At least 1.
    pub pixels: usize,
    pub taps: usize,
    /// Output channels, at least 1.
    pub count: usize,
    /// Output channels of the plane that are still to come, and those of each plane.
    pub left: usize,
    pub multiplier: usize,
    /// Bytes from one plane to the next.
    pub pitch: usize,
    /// Columns of the kernel if the taps of a kernel row lie side by side, otherwise 0.
    #[cfg(kernels = "armv7em")]
    pub columns: usize,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    pub half: i32,
    /// If not null, accumulators go there, and nothing to `out`.
    pub sums: *mut i32,
    /// 1 if the file rounds once, 2 if accumulators are wanted.
    #[cfg(any(kernels = "armv7em", kernels = "armv7m"))]
    pub unusual: usize,
    pub min: i32,
    pub max: i32,
}
