//! What the records of the file can be asked, and the enumerations whose members a reader need not know.

use crate::DType;
use crate::layout::{Header, Op, Port, Storage, Tensor};

enumeration! {
    /// The cores that this build knows files to be packed for. A file may name another one; the core never changes
    /// a result.
    Target: u16 {
        /// No core in particular.
        Portable = 0 "portable",
        /// Cortex-M0 and M0+.
        CortexM0 = 1 "cortex-m0",
        /// Cortex-M3.
        CortexM3 = 2 "cortex-m3",
        /// Cortex-M4.
        CortexM4 = 3 "cortex-m4",
        /// Cortex-M7.
        CortexM7 = 4 "cortex-m7",
        /// Cortex-M33.
        CortexM33 = 5 "cortex-m33",
        /// Cortex-M55 with MVE.
        CortexM55 = 6 "cortex-m55",
        /// RV32IM and its extensions.
        RiscV32 = 7 "riscv32",
        /// x86-64.
        Host = 8 "host",
    }
}

impl Target {
    /// The kernel set that a file for this target is packed for, named as [`KERNELS`](crate::KERNELS) is.
    pub const fn kernels(self) -> &'static str {
        match self {
            Target::Portable => "portable",
            Target::CortexM0 => "armv6m",
            Target::CortexM3 => "armv7m",
            Target::CortexM4 | Target::CortexM7 | Target::CortexM33 => "armv7em",
            Target::CortexM55 => "mve",
            Target::RiscV32 => "rv32im",
            Target::Host => "x86_64",
        }
    }

    /// Whether that is the set of this build.
    pub const fn is_native(self) -> bool {
        let (a, b) = (self.kernels().as_bytes(), crate::KERNELS.as_bytes());
        let mut index = 0;
        while index < a.len() && index < b.len() && a[index] == b[index] {
            index += 1;
        }
        index == a.len() && index == b.len()
    }
}

enumeration! {
    /// How the weights of one packing follow one another.
    Order: u8 {
        /// Row-major in the order of the op's weight dimensions.
        Plain = 0 "plain",
        /// Blocks of channels; within a block, groups of consecutive weights of its channels in turn.
        Blocks = 1 "blocks",
        /// Blocks of pairs of channels, whose weights are the halfwords `a + 256 b`: one SMLAD adds both.
        Pairs = 2 "pairs",
        /// As `Blocks`, with whole blocks: the last one is filled up with channels of zeroes.
        Filled = 3 "filled",
        /// 3x3 filters transformed to 4x4 halfwords, for Winograd's F(2x2, 3x3): invertible, too.
        Winograd = 4 "winograd",
        /// Blocks of channels, weight by weight in turn, for two pixels that share a product of 64 bits.
        Shared = 5 "shared",
        /// Words of four channels, of which two share a product of 64 bits.
        Quads = 6 "quads",
        /// Blocks of eight channels; the lengths of each channel's chunks, within which two pixels share a
        /// product of 32 bits, then the weights, eight channels in turn.
        Chunks = 7 "chunks",
    }
}

/// Order of an op's weights in the constants: a bijection of the plain order, named by its tag.
///
/// A tag is `order | channels << 8 | group << 16 | element << 24 | general << 31`; that of the plain order is 0.
/// `FORMAT.md` has the layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packing {
    /// How weights follow one another.
    pub order: Order,
    /// Channels of a block.
    pub channels: u8,
    /// Consecutive weights of a channel that lie side by side.
    pub group: u8,
    /// Bytes that an element of a gathered input takes in scratch memory.
    pub element: u8,
    /// Whether it says nothing of the layer's numbers: see [`Packing::general`].
    pub general: bool,
}

impl Packing {
    /// The plain order.
    pub const PLAIN: Packing = Packing::new(Order::Plain, 0, 0, 0);

    /// The tag of weights of four bits, two to a byte, which only dense layers have. It is no [`Packing`]: kernels for
    /// whole bytes do not meet it, and firmware links what reads it where it lists the operator for it.
    pub const NIBBLES: u32 = 8;

    const fn new(order: Order, channels: u8, group: u8, element: u8) -> Packing {
        Packing { order, channels, group, element, general: false }
    }

    /// The same for any numbers: weights, biases and multipliers keep to no bound. Pairs then do not borrow: a
    /// halfword holds the two weights as bytes. Plain weights never keep to a bound and stay plain.
    #[must_use]
    pub const fn general(self) -> Packing {
        Packing { general: !matches!(self.order, Order::Plain), ..self }
    }

    /// Lengths of chunks that each channel has, if there are chunks. General ones are counted by sixteens, since
    /// large weights make short chunks.
    #[inline(always)]
    pub const fn lengths(self) -> u32 {
        if self.general { self.group as u32 * 16 } else { self.group as u32 }
    }

    /// Blocks of `channels` channels with groups of `group` weights.
    pub const fn blocks(channels: u8, group: u8, element: u8) -> Packing {
        Packing::new(Order::Blocks, channels, group, element)
    }

    /// Blocks of `channels` channels with groups of `group` weights, the last block filled up.
    pub const fn filled(channels: u8, group: u8, element: u8) -> Packing {
        Packing::new(Order::Filled, channels, group, element)
    }

    /// Blocks of `channels` channels, an even number, whose weights are interleaved in pairs.
    pub const fn pairs(channels: u8, element: u8) -> Packing {
        Packing::new(Order::Pairs, channels, 4, element)
    }

    /// 3x3 filters transformed for Winograd's F(2x2, 3x3): two output channels, pairs of input channels.
    pub const WINOGRAD: Packing = Packing::new(Order::Winograd, 2, 2, 2);

    /// Blocks of `channels` channels whose weights follow one another in turn, for pairs of pixels that share
    /// a product.
    pub const fn shared(channels: u8, element: u8) -> Packing {
        Packing::new(Order::Shared, channels, 1, element)
    }

    /// Words of four channels.
    pub const QUADS: Packing = Packing::new(Order::Quads, 4, 1, 1);

    /// Blocks of eight channels in at most `count` chunks; 0 stands for any number.
    pub const fn chunks(count: u8) -> Packing {
        Packing::new(Order::Chunks, 8, count, 2)
    }

    /// Whether kernels for the packing `kind` read this one: it is the same but for the number of chunks.
    #[inline(always)]
    pub fn is_a(self, kind: Packing) -> bool {
        match kind.order {
            Order::Chunks => Packing { group: kind.group, ..self } == kind,
            _ => self == kind,
        }
    }

    /// The packing with this tag, if kernels for the packing `self` read it.
    #[inline(always)]
    pub fn own(self, tag: u32) -> Option<Packing> {
        match self.order {
            Order::Chunks => Packing::from_tag(tag).filter(|packing| packing.is_a(self)),
            _ if tag == self.tag() => Some(self),
            _ => None,
        }
    }

    /// The packing with this tag in a file, if there is one.
    pub const fn from_tag(tag: u32) -> Option<Packing> {
        let [order, channels, group, last] = tag.to_le_bytes();
        let (element, general) = (last & 0x7F, last & 0x80 != 0);
        let packing = match Order::from_code(order) {
            Some(order) => Packing { order, channels, group, element, general },
            None => return None,
        };
        let known = match packing.order {
            Order::Plain => tag == 0,
            Order::Blocks | Order::Filled => {
                channels.wrapping_sub(1) < 64 && group.wrapping_sub(1) < 64 && element.wrapping_sub(1) < 4
            }
            Order::Pairs => {
                channels.wrapping_sub(1) < 64
                    && channels & 1 == 0
                    && group == 4
                    && element.wrapping_sub(1) < 4
            }
            Order::Winograd => tag & (u32::MAX >> 1) == Packing::WINOGRAD.tag(),
            Order::Shared => channels.wrapping_sub(1) < 64 && group == 1 && element.wrapping_sub(1) < 4,
            Order::Quads => channels == 4 && group == 1 && element == 1,
            Order::Chunks => channels == 8 && group != 0 && element == 2,
        };
        if known { Some(packing) } else { None }
    }

    /// Its tag.
    pub const fn tag(self) -> u32 {
        u32::from_le_bytes([self.order as u8, self.channels, self.group, self.element])
            | (self.general as u32) << 31
    }
}

impl Tensor {
    /// Element type; verified files have no other number.
    pub const fn dtype(&self) -> Option<DType> {
        DType::from_code(self.dtype)
    }

    /// Where it lies; verified files have no other number.
    pub const fn storage(&self) -> Option<Storage> {
        Storage::from_code(self.storage)
    }

    /// Type and storage as one number; 0, which most have, is int8 in the arena.
    #[inline(always)]
    pub fn kind(&self) -> u16 {
        let [.., kind] = bytemuck::cast_ref::<Tensor, [u16; 6]>(self);
        *kind
    }

    /// Last use, type and storage as one number: just the last use for int8 in the arena.
    #[inline(always)]
    pub(crate) fn use_and_kind(&self) -> u32 {
        let [.., word] = bytemuck::cast_ref::<Tensor, [u32; 3]>(self);
        *word
    }

    /// Whether it lies in the arena, where ops write it and read it during one inference.
    pub const fn in_arena(&self) -> bool {
        self.storage == Storage::Arena as u8
    }

    /// Whether it lies among the constants.
    pub const fn is_constant(&self) -> bool {
        self.storage == Storage::Constant as u8
    }

    /// Whether it keeps its contents from one inference to the next.
    pub const fn is_state(&self) -> bool {
        self.storage == Storage::State as u8
    }

    /// First byte behind it; does not overflow in a verified file.
    pub const fn end(&self) -> u32 {
        self.offset.wrapping_add(self.bytes)
    }

    /// Whether two tensors of the arena share a byte.
    pub const fn overlaps(&self, other: &Tensor) -> bool {
        self.in_arena() && other.in_arena() && self.offset < other.end() && other.offset < self.end()
    }
}

impl Op {
    /// Input and output of an op that has one of each: they are in the record.
    #[inline(always)]
    pub fn pair(&self) -> Option<&[u16; 2]> {
        // Both counts as one number: this is asked for every op, at start and at each inference.
        let [_, counts, ..] = bytemuck::cast_ref::<Op, [u16; 12]>(self);
        (*counts == 0x0101).then(|| bytemuck::cast_ref(&self.operands))
    }
}

impl Header {
    /// Of no model.
    pub(crate) const EMPTY: Header = Header {
        minimum_runtime: 0,
        arena_bytes: 0,
        state_bytes: 0,
        initial_bytes: 0,
        target: 0,
        input_count: 0,
        rounding: 0,
    };
}

impl Port {
    /// The dimensions, outermost first.
    pub fn shape(&self) -> &[u32] {
        self.dims.get(..self.rank as usize).unwrap_or(&[])
    }
}
