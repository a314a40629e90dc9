//! Which packings suit which core, as a value that the converter can read on any host.

use ferrolite_schema::Target;
use ferrolite_schema::params::Window;

use crate::packing::{Order, Packing};

/// The packings that a kernel set can read fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For convolutions.
    pub conv: Packing,
    /// Which convolutions have the general packing whatever their numbers are: its kernels are faster for these.
    pub few: Few,
    /// For dense layers.
    pub dense: Packing,
    /// For depthwise convolutions with one output channel per input channel.
    pub depthwise: Packing,
    /// For depthwise convolutions, how those are made whose window `depthwise` has no fast kernel for.
    pub windows: Windows,
}

/// The windows of depthwise convolutions that a set is fast at with its own packing. All others are made tap by tap
/// (`ops::depthwise_taps`), where a set has a leaf for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// All windows that can be packed; there is no leaf for single taps.
    All,
    /// 3x3 windows with strides of 1 and 2 along a row, where the channels are a multiple of this number.
    Small(u32),
    /// 3x3 windows, any of at least so many taps, and any in rows of at most so many outputs, with four channels or
    /// more.
    Long(u32, u32),
}

/// Numbers of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Few {
    /// Fewer than this,
    pub below: u32,
    /// and no multiple of this.
    pub unit: u32,
}

impl Few {
    /// No numbers.
    pub const NONE: Few = Few { below: 0, unit: 1 };

    /// Whether this is one of them.
    pub const fn has(self, channels: u32) -> bool {
        channels < self.below && !channels.is_multiple_of(self.unit)
    }
}

impl Windows {
    /// Whether a window within the limits of packing is fast with the set's own packing.
    pub const fn has(self, w: &Window, channels: u32) -> bool {
        let small = w.kernel_h == 3 && w.kernel_w == 3 && (w.stride_w == 1 || w.stride_w == 2);
        match self {
            Windows::All => true,
            Windows::Small(unit) => small && channels.is_multiple_of(unit),
            Windows::Long(taps, narrow) => {
                let is_long = w.kernel_h.saturating_mul(w.kernel_w) >= taps;
                channels >= 4 && (small || is_long || w.out_w <= narrow)
            }
        }
    }
}

impl Policy {
    /// Whether [`Kernels::dense_int16_twice`](super::Kernels::dense_int16_twice) of these kernels is faster than two
    /// products, so that it is worth scratch memory.
    pub const fn takes_two_rows(&self) -> bool {
        matches!(self.dense.order, Order::Pairs)
    }

    /// Plain weights for all layers.
    pub const PLAIN: Policy = Policy {
        conv: Packing::PLAIN,
        few: Few::NONE,
        dense: Packing::PLAIN,
        depthwise: Packing::PLAIN,
        windows: Windows::All,
    };

    /// Cores with SMLAD: pairs of channels in halfwords; depthwise layers have four channels of a tap in a
    /// word.
    pub const ARMV7EM: Policy = Policy {
        conv: Packing::pairs(2, 2),
        few: Few { below: 2, unit: 2 },
        dense: Packing::pairs(8, 1),
        depthwise: Packing::blocks(4, 1, 2),
        windows: Windows::Small(4),
    };

    /// Cores with MVE: four channels by 16 weights, a vector for each channel; depthwise layers have rows of
    /// taps, which are loaded again for each row of outputs.
    pub const MVE: Policy = Policy {
        conv: Packing::filled(4, 16, 1),
        few: Few { below: 120, unit: 4 },
        dense: Packing::filled(4, 16, 1),
        depthwise: Packing::blocks(1, 1, 1),
        windows: Windows::Long(6, 15),
    };

    /// Cores with SMLAL: convolutions interleave two channels, dense layers have words of four channels,
    /// depthwise layers the taps of a channel.
    pub const ARMV7M: Policy = Policy {
        conv: Packing::shared(2, 2),
        few: Few::NONE,
        dense: Packing::QUADS,
        depthwise: Packing::blocks(1, 1, 1),
        windows: Windows::Small(1),
    };

    /// Cores with 32-bit products only: convolutions have chunks, depthwise layers the taps of a channel.
    pub const ARMV6M: Policy = Policy {
        conv: Packing::chunks(0),
        few: Few::NONE,
        dense: Packing::PLAIN,
        depthwise: Packing::blocks(1, 1, 1),
        windows: Windows::Small(1),
    };

    /// RISC-V: blocks of channels interleaved weight by weight; depthwise layers have the taps of a channel.
    pub const RV32IM: Policy = Policy {
        conv: Packing::blocks(4, 1, 1),
        few: Few::NONE,
        dense: Packing::blocks(8, 1, 1),
        depthwise: Packing::blocks(1, 1, 1),
        windows: Windows::Small(1),
    };

    /// x86-64: four weights of eight channels fill a vector; in depthwise layers, two taps of eight channels
    /// fill half of one.
    pub const HOST: Policy = Policy {
        conv: Packing::blocks(8, 4, 2),
        few: Few::NONE,
        dense: Packing::blocks(8, 4, 1),
        depthwise: Packing::blocks(8, 2, 1),
        windows: Windows::All,
    };
}

/// The packings that the converter uses for a target.
pub const fn policy(target: Target) -> Policy {
    match target {
        Target::CortexM4 | Target::CortexM7 | Target::CortexM33 => Policy::ARMV7EM,
        Target::CortexM55 => Policy::MVE,
        Target::CortexM3 => Policy::ARMV7M,
        Target::CortexM0 => Policy::ARMV6M,
        Target::RiscV32 => Policy::RV32IM,
        Target::Host => Policy::HOST,
        Target::Portable => Policy::PLAIN,
    }
}

/// Whether Winograd's algorithm is the fastest for convolutions on the target's kernels.
pub const fn has_winograd(target: Target) -> bool {
    matches!(target, Target::CortexM4 | Target::CortexM7 | Target::CortexM33)
}
