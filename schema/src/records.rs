//! The fixed-size records of the file, as they lie in it.

use bytemuck::{Pod, Zeroable};

use crate::DType;

/// What a record's number of an enumeration stands for.
macro_rules! enumeration {
    ($(#[$meta:meta])* $name:ident: $number:ident { $($(#[$doc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr($number)]
        pub enum $name { $($(#[$doc])* $variant = $code,)* }

        impl $name {
            /// All members, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The member with this number in a file, if there is one.
            pub const fn from_code(code: $number) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }

            /// The name that the command line prints and reads.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

enumeration! {
    /// Where a tensor's bytes are.
    Storage: u8 {
        /// In the arena.
        Arena = 0 "arena",
        /// In the file's constants; read only.
        Constant = 1 "constant",
        /// In the last bytes of the arena, which keep their contents from one inference to the next.
        State = 2 "state",
    }
}

enumeration! {
    /// How accumulators are scaled down to int8.
    Rounding: u32 {
        /// gemmlowp's two roundings, as TFLM does.
        Double = 0 "double",
        /// One rounding.
        Single = 1 "single",
    }
}

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
    /// What an op computes. Several TFLite operators share one where the device's work is the same:
    /// all that only move bytes are [`StridedCopy`](OpCode::StridedCopy), all functions of one int8
    /// number are [`Lookup`](OpCode::Lookup). Element types belong to it: an operator on other types than int8
    /// has a code of its own, and firmware links it by itself. 0 is no op.
    OpCode: u16 {
        /// Convolution.
        Conv2d = 1 "conv_2d",
        /// Depthwise convolution.
        DepthwiseConv2d = 2 "depthwise_conv_2d",
        /// Dense layer.
        FullyConnected = 3 "fully_connected",
        /// Transposed convolution.
        TransposeConv = 4 "transpose_conv",
        /// Matrix product of two activations.
        BatchMatMul = 5 "batch_matmul",
        /// Average pooling.
        AveragePool2d = 6 "average_pool_2d",
        /// Maximum pooling.
        MaxPool2d = 7 "max_pool_2d",
        /// Sum or difference of two tensors.
        Add = 8 "add",
        /// Product of two tensors.
        Mul = 9 "mul",
        /// Larger or smaller of two elements.
        MinMax = 10 "min_max",
        /// A table of 256 bytes applied to each element.
        Lookup = 11 "lookup",
        /// Softmax over the last dimension.
        Softmax = 12 "softmax",
        /// Copies of boxes of elements, with a fill before them.
        StridedCopy = 13 "strided_copy",
        /// Mean or sum over some dimensions.
        Reduce = 14 "reduce",
        /// Largest or smallest element over some dimensions.
        ReduceMinMax = 15 "reduce_min_max",
        /// Nearest-neighbour resizing.
        ResizeNearest = 16 "resize_nearest",
        /// Bilinear resizing.
        ResizeBilinear = 17 "resize_bilinear",
        /// float32 to integers.
        Quantize = 18 "quantize",
        /// Integers to float32.
        Dequantize = 19 "dequantize",
        /// Index of the largest or smallest element.
        ArgMinMax = 20 "arg_min_max",
        /// Integers to the integers of another quantization or width.
        Requantize = 21 "requantize",
        /// Convolution with a 3x3 kernel and stride 1, by Winograd's F(2x2, 3x3).
        Conv2dWinograd = 22 "conv_2d_winograd",
        /// Depthwise convolution with a 3x3 kernel and stride 1 that keeps the image's size, four channels of the
        /// whole image at a time.
        Depthwise3x3 = 23 "depthwise_3x3",
        /// Rows of a tensor, looked up by number.
        Gather = 24 "gather",
        /// The latest bytes of a stream, kept in state.
        DelayLine = 25 "delay_line",
        /// Running sums along a dimension.
        Cumsum = 26 "cumsum",
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
/// A tag is `order | channels << 8 | group << 16 | element << 24`; that of the plain order is 0.
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
}

impl Packing {
    /// The plain order.
    pub const PLAIN: Packing = Packing { order: Order::Plain, channels: 0, group: 0, element: 0 };

    /// Blocks of `channels` channels with groups of `group` weights.
    pub const fn blocks(channels: u8, group: u8, element: u8) -> Packing {
        Packing { order: Order::Blocks, channels, group, element }
    }

    /// Blocks of `channels` channels with groups of `group` weights, the last block filled up.
    pub const fn filled(channels: u8, group: u8, element: u8) -> Packing {
        Packing { order: Order::Filled, channels, group, element }
    }

    /// Blocks of `channels` channels, an even number, whose weights are interleaved in pairs.
    pub const fn pairs(channels: u8, element: u8) -> Packing {
        Packing { order: Order::Pairs, channels, group: 4, element }
    }

    /// 3x3 filters transformed for Winograd's F(2x2, 3x3): two output channels, pairs of input channels.
    pub const WINOGRAD: Packing = Packing { order: Order::Winograd, channels: 2, group: 2, element: 2 };

    /// Blocks of `channels` channels whose weights follow one another in turn, for pairs of pixels that share
    /// a product.
    pub const fn shared(channels: u8, element: u8) -> Packing {
        Packing { order: Order::Shared, channels, group: 1, element }
    }

    /// Words of four channels.
    pub const QUADS: Packing = Packing { order: Order::Quads, channels: 4, group: 1, element: 1 };

    /// Blocks of eight channels in at most `count` chunks; 0 stands for any number.
    pub const fn chunks(count: u8) -> Packing {
        Packing { order: Order::Chunks, channels: 8, group: count, element: 2 }
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
        let [order, channels, group, element] = tag.to_le_bytes();
        let packing = match Order::from_code(order) {
            Some(order) => Packing { order, channels, group, element },
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
            Order::Winograd => tag == Packing::WINOGRAD.tag(),
            Order::Shared => channels.wrapping_sub(1) < 64 && group == 1 && element.wrapping_sub(1) < 4,
            Order::Quads => channels == 4 && group == 1 && element == 1,
            Order::Chunks => channels == 8 && group != 0 && element == 2,
        };
        if known { Some(packing) } else { None }
    }

    /// Its tag.
    pub const fn tag(self) -> u32 {
        u32::from_le_bytes([self.order as u8, self.channels, self.group, self.element])
    }
}

/// A run of bytes that ops read and write. Its shape is the business of each op's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Tensor {
    /// First byte, in the arena (of state, too) or the constants.
    pub offset: u32,
    /// Size in bytes.
    pub bytes: u32,
    /// Index of the last op that reads it; the number of ops for a model output; the index of its
    /// writer when nobody reads it.
    pub last_use: u16,
    /// Number of its [`DType`].
    pub dtype: u8,
    /// Number of its [`Storage`].
    pub storage: u8,
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

/// One step of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Op {
    /// Number of its [`OpCode`].
    pub code: u16,
    /// Number of input operands.
    pub inputs: u8,
    /// Number of output operands.
    pub outputs: u8,
    /// Index of the first operand, inputs first; in an op of one input and one output these operands
    /// themselves, input below output.
    pub operands: u32,
    /// Index of the first parameter word.
    pub params: u32,
    /// Number of parameter words.
    pub params_words: u32,
    /// First byte of its scratch memory in the arena; a multiple of 4.
    pub scratch: u32,
    /// Size of its scratch memory.
    pub scratch_bytes: u32,
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

/// The numbers that a device needs of a model as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Header {
    /// Level of features that a reader needs.
    pub minimum_runtime: u32,
    /// Bytes of arena, state included.
    pub arena_bytes: u32,
    /// How many of the arena's last bytes keep their contents from one inference to the next.
    pub state_bytes: u32,
    /// How many bytes at the start of the constants the state begins with; those behind them are zero at first.
    pub initial_bytes: u32,
    /// Number of the [`Target`] that the packing suits best, which this build need not know.
    pub target: u16,
    /// How many of the ports are inputs.
    pub input_count: u16,
    /// Number of its [`Rounding`].
    pub rounding: u32,
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

/// A border of the model: a tensor with the shape and quantization that the user sees.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Port {
    /// Index of the tensor.
    pub tensor: u32,
    /// Number of dimensions, at most 6.
    pub rank: u32,
    /// Dimensions, outermost first; those behind `rank` are 1.
    pub dims: [u32; 6],
    /// Scale, or 0 where the tensor is not quantized.
    pub scale: f32,
    /// Zero point.
    pub zero_point: i32,
}

impl Port {
    /// The dimensions, outermost first.
    pub fn shape(&self) -> &[u32] {
        self.dims.get(..self.rank as usize).unwrap_or(&[])
    }
}
