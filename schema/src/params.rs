//! Parameters of ops: the words that an [`Op`](crate::Op) finds in the file, as structs.
//!
//! Every field is 32 bits wide, so a struct is its words. Offsets count bytes from the start of the
//! constants. The converter has folded what it could: biases hold the input's zero point
//! (`bias - zero_point * sum(weights)`), multipliers are finished, clamps are int8 values.

use bytemuck::{Pod, Zeroable};

/// Geometry of a sliding window, in elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Window {
    /// Rows of the input.
    pub in_h: u32,
    /// Columns of the input.
    pub in_w: u32,
    /// Rows of the output.
    pub out_h: u32,
    /// Columns of the output.
    pub out_w: u32,
    /// Rows of the kernel.
    pub kernel_h: u32,
    /// Columns of the kernel.
    pub kernel_w: u32,
    /// Rows between windows.
    pub stride_h: u32,
    /// Columns between windows.
    pub stride_w: u32,
    /// Rows between kernel taps.
    pub dilation_h: u32,
    /// Columns between kernel taps.
    pub dilation_w: u32,
    /// Rows of padding above the input.
    pub pad_top: u32,
    /// Columns of padding left of the input.
    pub pad_left: u32,
}

/// How int32 accumulators become int8: `clamp(requantize(acc + bias[c], multiplier[c]) + zero_point)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OutputStage {
    /// Offset of one int32 bias per channel; a multiple of 4.
    pub bias: u32,
    /// Offset of the [`Multiplier`]s; a multiple of 4.
    pub multipliers: u32,
    /// 1 for all channels together, or the number of channels.
    pub multiplier_count: u32,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest output.
    pub min: i32,
    /// Largest output.
    pub max: i32,
}

/// A positive real factor `mantissa / 2^31 * 2^shift`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Multiplier {
    /// 0, or in `2^30 .. 2^31`.
    pub mantissa: i32,
    /// Power of two, positive to the left, in `-31 ..= 30`.
    pub shift: i32,
}

/// CONV_2D. Weights: int8 `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Conv2dParams {
    /// Geometry.
    pub window: Window,
    /// Images per inference.
    pub batches: u32,
    /// Channels of the input.
    pub in_channels: u32,
    /// Channels of the output.
    pub out_channels: u32,
    /// Groups; divides both channel counts.
    pub groups: u32,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: i32,
    /// Tag of the weights' packing.
    pub packing: u32,
    /// Offset of the weights.
    pub weights: u32,
    /// From accumulators to outputs.
    pub stage: OutputStage,
}

/// DEPTHWISE_CONV_2D. Weights: int8 `[kernel_h, kernel_w, in_channels * multiplier]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DepthwiseConv2dParams {
    /// Geometry.
    pub window: Window,
    /// Images per inference.
    pub batches: u32,
    /// Channels of the input.
    pub in_channels: u32,
    /// Output channels per input channel.
    pub multiplier: u32,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: i32,
    /// Tag of the weights' packing.
    pub packing: u32,
    /// Offset of the weights.
    pub weights: u32,
    /// From accumulators to outputs.
    pub stage: OutputStage,
}

/// FULLY_CONNECTED. Weights: int8 `[outputs, inputs]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FullyConnectedParams {
    /// Rows of the input, each of `inputs` elements.
    pub rows: u32,
    /// Elements of an input row.
    pub inputs: u32,
    /// Elements of an output row.
    pub outputs: u32,
    /// Tag of the weights' packing.
    pub packing: u32,
    /// Offset of the weights.
    pub weights: u32,
    /// From accumulators to outputs.
    pub stage: OutputStage,
}

/// AVERAGE_POOL_2D and MAX_POOL_2D.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Pool2dParams {
    /// Geometry; dilation is 1.
    pub window: Window,
    /// Images per inference.
    pub batches: u32,
    /// Channels of input and output.
    pub channels: u32,
    /// Smallest output.
    pub min: i32,
    /// Largest output.
    pub max: i32,
}

/// A function of one 8-bit number: `output = table[input as u8]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LookupParams {
    /// Offset of 256 bytes, indexed by the input's bits.
    pub table: u32,
}

/// SOFTMAX over the last dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SoftmaxParams {
    /// Rows that are normalised one by one.
    pub rows: u32,
    /// Elements of a row, at most 8191.
    pub depth: u32,
    /// Offset of int32 `exp(-scale * beta * d)` in Q0.31, `d` below the row's maximum counting from 0.
    pub table: u32,
    /// Entries of the table, `1 ..= 256`; what is further below the maximum counts as zero.
    pub entries: u32,
}

/// How the elements of two operands meet in those of the output, row-major.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Broadcast {
    /// Dimensions of the output, outermost first.
    pub dims: [u32; 6],
    /// Bit `i` is set where the first operand has 1 in place of `dims[i]`, and is repeated.
    pub repeat_a: u32,
    /// As `repeat_a`, of the second operand.
    pub repeat_b: u32,
}

/// One operand of a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Term {
    /// Zero point of the operand.
    pub zero_point: i32,
    /// From `(x - zero_point) * 2^20` to the scale of the sum.
    pub multiplier: Multiplier,
}

/// The arithmetic of ADD and SUB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Sum {
    /// First operand.
    pub a: Term,
    /// Second operand.
    pub b: Term,
    /// 1 to add the second operand, -1 to subtract it.
    pub sign: i32,
    /// From the scale of the sum to that of the output.
    pub multiplier: Multiplier,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest output.
    pub min: i32,
    /// Largest output.
    pub max: i32,
}

/// ADD and SUB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AddParams {
    /// Shapes.
    pub shape: Broadcast,
    /// Numbers.
    pub sum: Sum,
}

/// The arithmetic of MUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Product {
    /// Zero point of the first operand.
    pub a_zero_point: i32,
    /// Zero point of the second operand.
    pub b_zero_point: i32,
    /// From the product to the scale of the output.
    pub multiplier: Multiplier,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest output.
    pub min: i32,
    /// Largest output.
    pub max: i32,
}

/// MUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MulParams {
    /// Shapes.
    pub shape: Broadcast,
    /// Numbers.
    pub product: Product,
}

/// MAXIMUM and MINIMUM of operands that share the output's quantization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MinMaxParams {
    /// Shapes.
    pub shape: Broadcast,
    /// 1 for the larger element, 0 for the smaller one.
    pub maximum: u32,
}
