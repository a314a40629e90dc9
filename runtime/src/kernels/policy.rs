//! Which packings suit which core: a value that the converter asks for on any host.

use ferrolite_schema::Target;

use crate::packing::Packing;

/// The packings that a kernel set reads fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Of convolutions.
    pub conv: Packing,
    /// Of dense layers.
    pub dense: Packing,
    /// Of depthwise convolutions with one output channel per input channel.
    pub depthwise: Packing,
}

impl Policy {
    /// Plain weights everywhere.
    pub const PLAIN: Policy =
        Policy { conv: Packing::PLAIN, dense: Packing::PLAIN, depthwise: Packing::PLAIN };

    /// Cores with SMLAD: pairs of channels in halfwords; four channels of a tap in a word.
    pub const ARMV7EM: Policy = Policy {
        conv: Packing::pairs(2, 2),
        dense: Packing::pairs(8, 1),
        depthwise: Packing::blocks(4, 1, 2),
    };

    /// Cores with MVE: four channels by 16 weights, a vector each; depthwise rows of taps, loaded anew for
    /// each row of outputs.
    pub const MVE: Policy = Policy {
        conv: Packing::filled(4, 16, 1),
        dense: Packing::filled(4, 16, 1),
        depthwise: Packing::blocks(1, 1, 1),
    };

    /// Cores with SMLAL: two channels of a tap; words of four channels; the taps of a channel.
    pub const ARMV7M: Policy =
        Policy { conv: Packing::shared(2, 2), dense: Packing::QUADS, depthwise: Packing::blocks(1, 1, 1) };

    /// Cores whose products have 32 bits: chunks; the taps of a channel.
    pub const ARMV6M: Policy =
        Policy { conv: Packing::chunks(0), dense: Packing::PLAIN, depthwise: Packing::blocks(1, 1, 1) };

    /// RISC-V: a weight of each channel of a block in turn; the taps of a channel side by side.
    pub const RV32IM: Policy = Policy {
        conv: Packing::blocks(4, 1, 1),
        dense: Packing::blocks(8, 1, 1),
        depthwise: Packing::blocks(1, 1, 1),
    };

    /// x86-64: eight channels of four weights fill a vector; two taps of eight channels half of one.
    pub const HOST: Policy = Policy {
        conv: Packing::blocks(8, 4, 2),
        dense: Packing::blocks(8, 4, 1),
        depthwise: Packing::blocks(8, 2, 1),
    };
}

/// What the converter packs for a target.
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

/// Whether the target's kernels make convolutions by Winograd's algorithm faster than others.
pub const fn has_winograd(target: Target) -> bool {
    matches!(target, Target::CortexM4 | Target::CortexM7 | Target::CortexM33)
}
