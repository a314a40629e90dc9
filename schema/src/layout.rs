//! The numbers and structs of the file: made from `model.fbs` by `cargo xtask schema`, not by hand.
// @generated

use bytemuck::{Pod, Zeroable};

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
        /// Sum or difference of two tensors: ADD, SUB.
        Add = 8 "add",
        /// Product of two tensors.
        Mul = 9 "mul",
        /// Larger or smaller of two elements: MAXIMUM, MINIMUM.
        MinMax = 10 "min_max",
        /// A table of 256 bytes applied to each element: every function of one 8-bit number.
        Lookup = 11 "lookup",
        /// Softmax over the last dimension.
        Softmax = 12 "softmax",
        /// Copies of boxes of elements, with a fill before them: PAD, TRANSPOSE, CONCATENATION, SPLIT, SLICE,
        /// STRIDED_SLICE, PACK, UNPACK, RESHAPE.
        StridedCopy = 13 "strided_copy",
        /// Mean or sum over some dimensions: MEAN, SUM.
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
        /// Index of the largest or smallest element: ARG_MAX, ARG_MIN.
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
        /// A copy of a tensor with a box of its elements replaced, at a place that is computed.
        DynamicUpdateSlice = 27 "dynamic_update_slice",
        /// Skips the next ops where a condition says so: a branch that is not taken.
        SkipIf = 28 "skip_if",
        /// The result of the branch that was taken.
        Merge = 29 "merge",
        /// `Lstm` with any functions, and with weights of the cell state.
        LstmCurves = 30 "lstm_curves",
        /// Sum of two tensors with a factor each: ADD, SUB, where that gives the same.
        WeightedSum = 31 "weighted_sum",
        /// Depthwise convolution of any window, tap by tap, with any numbers.
        DepthwiseTaps = 32 "depthwise_taps",
        /// Long short-term memory over all steps of a sequence: UNIDIRECTIONAL_SEQUENCE_LSTM.
        Lstm = 33 "lstm",
        /// Gated recurrent unit over all steps of a sequence.
        Gru = 34 "gru",
        /// Plain recurrent layer over all steps of a sequence.
        Rnn = 35 "rnn",
        /// Dense layer over the latest inputs of a stream, by factors over features and over time: SVDF.
        Svdf = 36 "svdf",
        /// The same with a state of int16.
        SvdfInt16 = 37 "svdf_int16",
        /// Softmax over the last dimension, from int8 to int16.
        SoftmaxInt16 = 38 "softmax_int16",
        /// Convolution with packed weights whose taps lie apart, or whose rows are long, row by row in segments.
        Conv2dSegments = 39 "conv_2d_segments",
        /// Convolution whose weights take more than eight bits: patches have some of their elements again.
        Conv2dWide = 40 "conv_2d_wide",
        /// Depthwise convolution whose weights take more than eight bits: some taps are there again.
        DepthwiseWide = 41 "depthwise_wide",
        /// Average pooling that rounds half steps up.
        AveragePoolUp = 42 "average_pool_up",
        /// Bilinear resizing that rounds half steps up.
        ResizeBilinearUp = 43 "resize_bilinear_up",
        /// Bilinear resizing in float32, as TensorFlow 1's uint8 has it.
        ResizeBilinearFloat = 44 "resize_bilinear_float",
        /// Bytes of a tensor become those of a variable, which is state: ASSIGN_VARIABLE.
        Assign = 45 "assign",
        /// The choice among boxes of a detection model, in reals: TFLite_Detection_PostProcess.
        DetectionPostProcess = 46 "detection_post_process",
        /// Arithmetic, comparisons and logic of two tensors of plain integers of any type, which stand for themselves.
        Integers = 50 "integers",
        /// Elements of one tensor or of another, as a third one of truth values says: SELECT, SELECT_V2.
        Select = 51 "select",
        /// Integers of any type to those of another one, bit by bit: CAST.
        Cast = 52 "cast",
        /// Truth values of a comparison of two tensors of int8, of any scales.
        Compare = 53 "compare",
        /// Negative elements times a slope of their own: PRELU.
        Prelu = 54 "prelu",
        /// Square of the difference of two tensors of int8 or int16.
        SquaredDifference = 55 "squared_difference",
        /// Quotient of two tensors.
        Div = 56 "div",
        /// Rows divided by their length: L2_NORMALIZATION.
        L2Normalization = 57 "l2_normalization",
        /// Runs of a tensor, looked up by several coordinates: GATHER_ND.
        GatherNd = 58 "gather_nd",
        /// Logarithm of the softmax over the last dimension: LOG_SOFTMAX.
        LogSoftmax = 59 "log_softmax",
        /// Largest or smallest elements of each row, and their places: TOPK_V2.
        TopK = 60 "top_k",
        /// One factor for elements of int16 from zero on, another for those below: RELU, RELU6, LEAKY_RELU, ABS.
        SlopesInt16 = 61 "slopes_int16",
        /// Product of two tensors of int16.
        MulInt16 = 62 "mul_int16",
        /// Functions of gates of int16: LOGISTIC, TANH.
        GateInt16 = 63 "gate_int16",
        /// Mean or maximum of the cells of a window of int16: AVERAGE_POOL_2D, MAX_POOL_2D.
        Pool2dInt16 = 64 "pool_2d_int16",
        /// Mean or sum of int16 over some dimensions: MEAN, SUM.
        ReduceInt16 = 65 "reduce_int16",
        /// Softmax over the last dimension, from int16 to int16.
        SoftmaxFromInt16 = 66 "softmax_from_int16",
        /// Convolution of int16 with int8 weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV.
        Conv2dInt16 = 67 "conv_2d_int16",
        /// Matrix product of two activations of int16.
        BatchMatMulInt16 = 68 "batch_matmul_int16",
        /// One over the square root, of int16.
        RsqrtInt16 = 69 "rsqrt_int16",
        /// Decision trees, forests and boosted trees: votes of the leaves that a row of features reaches.
        TreeEnsemble = 75 "tree_ensemble",
        /// Weighted sums of features as they are, in 64 bits.
        LinearFeatures = 76 "linear_features",
        /// `Gru` with any functions.
        GruCurves = 91 "gru_curves",
        /// `Lstm` from int16 to int16.
        LstmInt16 = 92 "lstm_int16",
        /// Sum or difference of two tensors of int16: ADD, SUB.
        AddInt16 = 264 "add_int16",
    }
}

/// What bounds the work of an op.
pub(crate) enum Work {
    /// The bytes of its operands.
    Bytes,
    /// The product of these parameter words.
    Product(&'static [usize]),
    /// An arm of `work.rs`.
    Own,
}

impl OpCode {
    /// Which of an op's parameter words are offsets of constants.
    pub const fn constants(self) -> &'static [usize] {
        match self {
            OpCode::Conv2d => &[18, 19, 20],
            OpCode::DepthwiseConv2d => &[17, 18, 19],
            OpCode::FullyConnected => &[4, 5, 6],
            OpCode::TransposeConv => &[17, 18, 19],
            OpCode::Lookup => &[0],
            OpCode::Softmax => &[2],
            OpCode::ResizeNearest => &[6],
            OpCode::Conv2dWinograd => &[18, 19, 20],
            OpCode::Depthwise3x3 => &[17, 18, 19],
            OpCode::LstmCurves => &[8, 9, 10, 13, 14, 15, 17, 31, 32, 33],
            OpCode::DepthwiseTaps => &[17, 18, 19],
            OpCode::Lstm => &[8, 9, 10, 13, 14, 15, 17],
            OpCode::Gru => &[8, 9, 10, 13, 14, 15, 18, 19, 20, 23],
            OpCode::Rnn => &[8, 9, 10, 13, 14, 15, 17],
            OpCode::Svdf => &[6, 7, 8, 10, 12, 13],
            OpCode::SvdfInt16 => &[6, 7, 8, 10, 12, 13],
            OpCode::SoftmaxInt16 => &[2],
            OpCode::Conv2dSegments => &[18, 19, 20],
            OpCode::Conv2dWide => &[18, 19, 20, 26],
            OpCode::DepthwiseWide => &[17, 18, 19, 25],
            OpCode::DetectionPostProcess => &[11, 12, 13, 14, 15],
            OpCode::Compare => &[8],
            OpCode::LogSoftmax => &[2],
            OpCode::GateInt16 => &[0],
            OpCode::SoftmaxFromInt16 => &[4],
            OpCode::Conv2dInt16 => &[19, 20, 21],
            OpCode::TreeEnsemble => &[8, 9, 10, 11],
            OpCode::LinearFeatures => &[6, 7],
            OpCode::GruCurves => &[8, 9, 10, 13, 14, 15, 18, 19, 20, 23, 29],
            OpCode::LstmInt16 => &[8, 9, 10, 13, 14, 15, 17],
            _ => &[],
        }
    }

    /// What bounds the work of an op.
    pub(crate) const fn work(self) -> Work {
        match self {
            OpCode::Conv2d => Work::Own,
            OpCode::DepthwiseConv2d => Work::Own,
            OpCode::FullyConnected => Work::Product(&[0, 1, 2]),
            OpCode::TransposeConv => Work::Own,
            OpCode::BatchMatMul => Work::Product(&[0, 1, 2, 3, 4, 5, 8, 9, 10]),
            OpCode::AveragePool2d => Work::Own,
            OpCode::MaxPool2d => Work::Own,
            OpCode::Add => Work::Bytes,
            OpCode::Mul => Work::Bytes,
            OpCode::MinMax => Work::Bytes,
            OpCode::Lookup => Work::Bytes,
            OpCode::Softmax => Work::Bytes,
            OpCode::StridedCopy => Work::Bytes,
            OpCode::Reduce => Work::Bytes,
            OpCode::ReduceMinMax => Work::Bytes,
            OpCode::ResizeNearest => Work::Bytes,
            OpCode::ResizeBilinear => Work::Bytes,
            OpCode::Quantize => Work::Bytes,
            OpCode::Dequantize => Work::Bytes,
            OpCode::ArgMinMax => Work::Bytes,
            OpCode::Requantize => Work::Bytes,
            OpCode::Conv2dWinograd => Work::Own,
            OpCode::Depthwise3x3 => Work::Own,
            OpCode::Gather => Work::Bytes,
            OpCode::DelayLine => Work::Bytes,
            OpCode::Cumsum => Work::Bytes,
            OpCode::DynamicUpdateSlice => Work::Bytes,
            OpCode::SkipIf => Work::Bytes,
            OpCode::Merge => Work::Bytes,
            OpCode::LstmCurves => Work::Own,
            OpCode::WeightedSum => Work::Bytes,
            OpCode::DepthwiseTaps => Work::Own,
            OpCode::Lstm => Work::Own,
            OpCode::Gru => Work::Own,
            OpCode::Rnn => Work::Own,
            OpCode::Svdf => Work::Own,
            OpCode::SvdfInt16 => Work::Own,
            OpCode::SoftmaxInt16 => Work::Bytes,
            OpCode::Conv2dSegments => Work::Own,
            OpCode::Conv2dWide => Work::Own,
            OpCode::DepthwiseWide => Work::Own,
            OpCode::AveragePoolUp => Work::Own,
            OpCode::ResizeBilinearUp => Work::Bytes,
            OpCode::ResizeBilinearFloat => Work::Bytes,
            OpCode::Assign => Work::Bytes,
            OpCode::DetectionPostProcess => Work::Own,
            OpCode::Integers => Work::Bytes,
            OpCode::Select => Work::Bytes,
            OpCode::Cast => Work::Bytes,
            OpCode::Compare => Work::Bytes,
            OpCode::Prelu => Work::Bytes,
            OpCode::SquaredDifference => Work::Bytes,
            OpCode::Div => Work::Bytes,
            OpCode::L2Normalization => Work::Bytes,
            OpCode::GatherNd => Work::Bytes,
            OpCode::LogSoftmax => Work::Bytes,
            OpCode::TopK => Work::Product(&[0, 1, 2]),
            OpCode::SlopesInt16 => Work::Bytes,
            OpCode::MulInt16 => Work::Bytes,
            OpCode::GateInt16 => Work::Bytes,
            OpCode::Pool2dInt16 => Work::Own,
            OpCode::ReduceInt16 => Work::Bytes,
            OpCode::SoftmaxFromInt16 => Work::Bytes,
            OpCode::Conv2dInt16 => Work::Own,
            OpCode::BatchMatMulInt16 => Work::Product(&[0, 1, 2, 3, 4, 5, 8, 9, 10]),
            OpCode::RsqrtInt16 => Work::Bytes,
            OpCode::TreeEnsemble => Work::Own,
            OpCode::LinearFeatures => Work::Product(&[0, 1, 2]),
            OpCode::GruCurves => Work::Own,
            OpCode::LstmInt16 => Work::Own,
            OpCode::AddInt16 => Work::Bytes,
        }
    }
}

/// A run of bytes that ops read and write. Its shape is the business of each op's parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Tensor {
    /// First byte, in the arena (of state, too) or the constants.
    pub offset: u32,
    /// Size in bytes.
    pub bytes: u32,
    /// Index of the last op that reads it; the number of ops for a model output; the index of its
    /// writer when nobody reads it.
    pub last_use: u16,
    /// Number of its [`DType`](crate::DType).
    pub dtype: u8,
    /// Number of its [`Storage`].
    pub storage: u8,
}

const _: () = assert!(size_of::<Tensor>() == 12);

/// One step of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

const _: () = assert!(size_of::<Op>() == 24);

/// A border of the model: a tensor with the shape and quantization that the user sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

const _: () = assert!(size_of::<Port>() == 40);

/// The numbers that a device needs of a model as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    /// Number of the [`Target`](crate::Target) that the packing suits best, which this build need not know.
    pub target: u16,
    /// How many of the ports are inputs.
    pub input_count: u16,
    /// Number of its [`Rounding`].
    pub rounding: u32,
}

const _: () = assert!(size_of::<Header>() == 24);

/// Parameters of ops: the words that an [`Op`](crate::Op) finds in the file, as structs.
///
/// Every field is 32 bits wide, so a struct is its words. Offsets count bytes from the start of the
/// constants. The converter has folded what it could: biases hold the input's zero point
/// (`bias - zero_point * sum(weights)`), multipliers are finished, clamps are int8 values.
pub mod params {
    use bytemuck::{Pod, Zeroable};

    /// Geometry of a sliding window, in elements.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<Window>() == 48);

    /// How int32 accumulators become int8: `clamp(requantize(acc + bias[c], multiplier[c]) + zero_point)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<OutputStage>() == 24);

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

    const _: () = assert!(size_of::<Multiplier>() == 8);

    /// CONV_2D. Weights: int8 `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<Conv2dParams>() == 100);

    /// DEPTHWISE_CONV_2D. Weights: int8 `[kernel_h, kernel_w, in_channels * multiplier]`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<DepthwiseConv2dParams>() == 96);

    /// CONV_2D with weights beyond int8. Rows of weights are those of the patch, then one for each repeat.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Conv2dWideParams {
        /// Those of the convolution; `groups` is 1.
        pub conv: Conv2dParams,
        /// Elements that a patch has again.
        pub repeats: u32,
        /// Offset of one uint32 for each of them: its number among the elements of the patch.
        pub places: u32,
    }

    const _: () = assert!(size_of::<Conv2dWideParams>() == 108);

    /// DEPTHWISE_CONV_2D with weights beyond int8. Rows of weights are those of the taps, then one for each repeat.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct DepthwiseWideParams {
        /// Those of the convolution.
        pub conv: DepthwiseConv2dParams,
        /// Taps that are there again.
        pub repeats: u32,
        /// Offset of one uint32 for each of them: its number among the taps.
        pub places: u32,
    }

    const _: () = assert!(size_of::<DepthwiseWideParams>() == 104);

    /// FULLY_CONNECTED. Weights: int8 `[outputs, inputs]`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<FullyConnectedParams>() == 44);

    /// AVERAGE_POOL_2D and MAX_POOL_2D.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<Pool2dParams>() == 64);

    /// A function of one 8-bit number: `output = table[input as u8]`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct LookupParams {
        /// Offset of 256 bytes, indexed by the input's bits.
        pub table: u32,
    }

    const _: () = assert!(size_of::<LookupParams>() == 4);

    /// SOFTMAX over the last dimension.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<SoftmaxParams>() == 16);

    /// LOG_SOFTMAX over the last dimension.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct LogSoftmaxParams {
        /// Rows that are normalised one by one.
        pub rows: u32,
        /// Elements of a row, at most 4095.
        pub depth: u32,
        /// Offset of int32 `exp(-scale * d)`, of which 2^19 are 1.0, `d` below the row's maximum counting from 0.
        pub table: u32,
        /// Entries of the table, `1 ..= 256`; what is further below the maximum counts as zero.
        pub entries: u32,
        /// From differences to 26 bits behind the point.
        pub multiplier: Multiplier,
        /// From there to differences.
        pub reverse: Multiplier,
    }

    const _: () = assert!(size_of::<LogSoftmaxParams>() == 32);

    /// TOPK_V2.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct TopKParams {
        /// Rows that are searched one by one.
        pub rows: u32,
        /// Elements of a row.
        pub depth: u32,
        /// How many of them are found.
        pub count: u32,
        /// 1 for the largest elements, 0 for the smallest.
        pub largest: u32,
    }

    const _: () = assert!(size_of::<TopKParams>() == 16);

    /// How the elements of two operands meet in those of the output, row-major.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Broadcast {
        /// Dimensions of the output, outermost first.
        pub dims: [u32; 6],
        /// Bit `i` is set where the first operand has 1 in place of `dims[i]`, and is repeated.
        pub repeat_a: u32,
        /// As `repeat_a`, of the second operand.
        pub repeat_b: u32,
    }

    const _: () = assert!(size_of::<Broadcast>() == 32);

    /// One operand of a sum.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Term {
        /// Zero point of the operand.
        pub zero_point: i32,
        /// From `(x - zero_point) * 2^20` to the scale of the sum.
        pub multiplier: Multiplier,
    }

    const _: () = assert!(size_of::<Term>() == 12);

    /// The arithmetic of ADD and SUB.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<Sum>() == 48);

    /// ADD and SUB.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct AddParams {
        /// Shapes.
        pub shape: Broadcast,
        /// Numbers.
        pub sum: Sum,
    }

    const _: () = assert!(size_of::<AddParams>() == 80);

    /// The arithmetic of a sum with factors.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Weighted {
        /// Factor of the first operand, in units of 2^-28 of the output's scale.
        pub factor_a: i32,
        /// Factor of the second operand.
        pub factor_b: i32,
        /// What is added, in units of 2^-20: zero points and a half.
        pub term: i32,
        /// Smallest output.
        pub min: i32,
        /// Largest output.
        pub max: i32,
    }

    const _: () = assert!(size_of::<Weighted>() == 20);

    /// ADD and SUB with a factor for each operand.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct WeightedSumParams {
        /// Shapes.
        pub shape: Broadcast,
        /// Numbers.
        pub sum: Weighted,
    }

    const _: () = assert!(size_of::<WeightedSumParams>() == 52);

    /// The arithmetic of MUL.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    const _: () = assert!(size_of::<Product>() == 28);

    /// MUL.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct MulParams {
        /// Shapes.
        pub shape: Broadcast,
        /// Numbers.
        pub product: Product,
    }

    const _: () = assert!(size_of::<MulParams>() == 60);

    /// RELU, RELU6, LEAKY_RELU and ABS of int16.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct SlopesInt16Params {
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// From elements of at least the zero point to the output.
        pub above: Multiplier,
        /// From the others.
        pub below: Multiplier,
        /// 1, or -1 where the others change their sign.
        pub sign: i32,
        /// Zero point of the output.
        pub zero_point: i32,
        /// Smallest output.
        pub min: i32,
        /// Largest output.
        pub max: i32,
    }

    const _: () = assert!(size_of::<SlopesInt16Params>() == 36);

    /// LOGISTIC and TANH of int16, whose results have 15 bits behind the point.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct GateInt16Params {
        /// Offset of 256 uint16, the table of gates; a multiple of 2.
        pub table: u32,
        /// Factor of an element, at most 32767.
        pub multiplier: u32,
        /// By how many bits that is shifted to the right then, rounded to nearest: 1.0 becomes 12,288.
        pub shift: u32,
        /// 1 for the hyperbolic tangent, 0 for the logistic function.
        pub tangent: u32,
    }

    const _: () = assert!(size_of::<GateInt16Params>() == 16);

    /// RSQRT of int16.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct RsqrtInt16Params {
        /// From roots, of which 2^20 are 1.0, to the output.
        pub multiplier: Multiplier,
    }

    const _: () = assert!(size_of::<RsqrtInt16Params>() == 8);

    /// AVERAGE_POOL_2D and MAX_POOL_2D of int16.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Pool2dInt16Params {
        /// Shapes and clamp.
        pub pool: Pool2dParams,
        /// 1 for the largest element, 0 for the mean.
        pub largest: u32,
    }

    const _: () = assert!(size_of::<Pool2dInt16Params>() == 68);

    /// SOFTMAX of int16 over the last dimension.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct SoftmaxFromInt16Params {
        /// Rows that are normalised one by one.
        pub rows: u32,
        /// Elements of a row, at most 65536.
        pub depth: u32,
        /// From differences to steps, of which 65,535 are 10.
        pub multiplier: Multiplier,
        /// Offset of 513 int16 of `exp(x)` from -10 to 0, then 513 of `1 / (1 + x)` from 0 to 1, both with 15 bits behind the
        /// point; a multiple of 2.
        pub tables: u32,
    }

    const _: () = assert!(size_of::<SoftmaxFromInt16Params>() == 20);

    /// Convolution of int16. Weights: int8 `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Conv2dInt16Params {
        /// Geometry, on the image with its gaps.
        pub window: Window,
        /// Images per inference.
        pub batches: u32,
        /// Channels of the input.
        pub in_channels: u32,
        /// Channels of the output.
        pub out_channels: u32,
        /// Groups; divides both channel counts.
        pub groups: u32,
        /// Rows from one of the input to the next, 1 where none lie between them; those between are zero.
        pub gap_h: u32,
        /// The same of columns.
        pub gap_w: u32,
        /// 1 for biases and sums of 64 bits, 0 for 32.
        pub long: u32,
        /// Offset of the weights.
        pub weights: u32,
        /// Offset of one int64 or int32 bias per channel; a multiple of its size.
        pub bias: u32,
        /// Offset of the [`Multiplier`]s; a multiple of 4.
        pub multipliers: u32,
        /// 1 for all channels together, or the number of channels.
        pub multiplier_count: u32,
        /// Smallest output.
        pub min: i32,
        /// Largest output.
        pub max: i32,
    }

    const _: () = assert!(size_of::<Conv2dInt16Params>() == 100);

    /// MAXIMUM and MINIMUM of operands that share the output's quantization.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct MinMaxParams {
        /// Shapes.
        pub shape: Broadcast,
        /// 1 for the larger element, 0 for the smaller one.
        pub maximum: u32,
    }

    const _: () = assert!(size_of::<MinMaxParams>() == 36);

    /// Arithmetic of plain integers.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct IntegersParams {
        /// Shapes.
        pub shape: Broadcast,
        /// What is computed: 0 sum, 1 difference, 2 product, 3 quotient towards zero, 4 quotient rounded down, 5 what remains
        /// of that, 6 larger, 7 smaller, 8 square of the difference; 9 less, 10 less or equal, 11 equal, 12 not equal.
        pub function: u32,
    }

    const _: () = assert!(size_of::<IntegersParams>() == 36);

    /// SELECT and SELECT_V2.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct SelectParams {
        /// Dimensions of the output in runs, outermost first.
        pub dims: [u32; 6],
        /// Of the condition and both values, in this order: bit `i` is set where the operand has 1 in place of `dims[i]`.
        pub repeat: [u32; 3],
        /// Bytes that one truth value chooses.
        pub run: u32,
    }

    const _: () = assert!(size_of::<SelectParams>() == 40);

    /// CAST between integers.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct CastParams {
        /// Elements of input and output.
        pub elements: u32,
    }

    const _: () = assert!(size_of::<CastParams>() == 4);

    /// EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL of two tensors of int8.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct CompareParams {
        /// Shapes.
        pub shape: Broadcast,
        /// Offset of 256 pairs of int8: for the bits of an element of the second operand the smallest and the largest
        /// element of the first one for which the result is true; the smallest is above the largest where there is none.
        pub ranges: u32,
        /// 1: the result is false for these, and true for all others.
        pub negate: u32,
    }

    const _: () = assert!(size_of::<CompareParams>() == 40);

    /// PRELU.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct PreluParams {
        /// Shapes; the second operand has the slopes.
        pub shape: Broadcast,
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// Zero point of the slopes.
        pub slope_zero_point: i32,
        /// From an input that is not negative to the output.
        pub above: Multiplier,
        /// From the product of a negative input and its slope to the output.
        pub below: Multiplier,
        /// Zero point of the output.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<PreluParams>() == 60);

    /// SQUARED_DIFFERENCE.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct SquaredDifferenceParams {
        /// Shapes.
        pub shape: Broadcast,
        /// First operand: its multiplier is that of `(x - zero_point) * 2^7`, of int16 without the power.
        pub a: Term,
        /// Second operand.
        pub b: Term,
        /// From the square to the output.
        pub multiplier: Multiplier,
        /// Zero point of the output.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<SquaredDifferenceParams>() == 68);

    /// DIV.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct DivParams {
        /// Shapes.
        pub shape: Broadcast,
        /// From the quotient to the output, and the zero points.
        pub quotient: Product,
    }

    const _: () = assert!(size_of::<DivParams>() == 60);

    /// L2_NORMALIZATION over the last dimension.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct L2NormalizationParams {
        /// Rows that are normalized one by one.
        pub rows: u32,
        /// Elements of a row, at most 33,025.
        pub depth: u32,
        /// Zero point of the input.
        pub input_zero_point: i32,
    }

    const _: () = assert!(size_of::<L2NormalizationParams>() == 12);

    /// GATHER_ND.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct GatherNdParams {
        /// Tables that have indices of their own.
        pub batch: u32,
        /// Places that are looked up in each.
        pub places: u32,
        /// Coordinates of a place: the last so many of `dims` count.
        pub coordinates: u32,
        /// Dimensions that are looked up, outermost first; those that no coordinate names are 1.
        pub dims: [u32; 6],
        /// Bytes of what is found at a place.
        pub run: u32,
    }

    const _: () = assert!(size_of::<GatherNdParams>() == 40);

    /// Head of the parameters of STRIDED_COPY; [`CopySegment`]s follow.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct StridedCopyParams {
        /// 1: all outputs are filled with the pattern before anything is copied; 0: they are not.
        pub fill: u32,
        /// Eight bytes, little-endian, that repeat from the start of each output.
        pub pattern: [u32; 2],
    }

    const _: () = assert!(size_of::<StridedCopyParams>() == 12);

    /// One loop of a copy.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct CopyDim {
        /// Number of steps, at least 1.
        pub count: u32,
        /// Bytes from one step to the next in the input; negative where it is walked backwards.
        pub source_stride: i32,
        /// Bytes from one step to the next in the output.
        pub target_stride: i32,
    }

    const _: () = assert!(size_of::<CopyDim>() == 12);

    /// A box of elements that is copied from an input to an output: runs of bytes within five loops.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct CopySegment {
        /// Position of the input among the op's inputs.
        pub input: u32,
        /// Position of the output among the op's outputs.
        pub output: u32,
        /// Bytes that lie side by side in both, at least 1.
        pub run: u32,
        /// First byte of the first run in the input.
        pub source: u32,
        /// First byte of the first run in the output.
        pub target: u32,
        /// The loops, outermost first; unused ones count to 1.
        pub dims: [CopyDim; 5],
    }

    const _: () = assert!(size_of::<CopySegment>() == 80);

    /// One loop of a reduction, in elements of the input.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct ReduceDim {
        /// Number of steps, at least 1.
        pub count: u32,
        /// Elements from one step to the next.
        pub stride: u32,
    }

    const _: () = assert!(size_of::<ReduceDim>() == 8);

    /// Shape of a reduction; neighbouring dimensions of one kind are merged, so that three loops of each
    /// kind serve six dimensions.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Reduction {
        /// Loops over the output, outermost first; unused ones count to 1.
        pub kept: [ReduceDim; 3],
        /// Loops over what becomes one element, outermost first; unused ones count to 1.
        pub reduced: [ReduceDim; 3],
    }

    const _: () = assert!(size_of::<Reduction>() == 48);

    /// MEAN and SUM: `clamp(requantize(sum + bias, multiplier) + zero_point)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct ReduceParams {
        /// What is summed.
        pub shape: Reduction,
        /// Minus the input's zero point times the number of summed elements.
        pub bias: i32,
        /// From sums to outputs; for MEAN it holds the division.
        pub multiplier: Multiplier,
        /// Zero point of the output.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<ReduceParams>() == 64);

    /// REDUCE_MAX and REDUCE_MIN.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct ReduceMinMaxParams {
        /// What is searched.
        pub shape: Reduction,
        /// 1 for the largest element, 0 for the smallest.
        pub largest: u32,
    }

    const _: () = assert!(size_of::<ReduceMinMaxParams>() == 52);

    /// RESIZE_NEAREST_NEIGHBOR.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct ResizeNearestParams {
        /// Images per inference.
        pub batches: u32,
        /// Rows of the input.
        pub in_h: u32,
        /// Columns of the input.
        pub in_w: u32,
        /// Rows of the output.
        pub out_h: u32,
        /// Columns of the output.
        pub out_w: u32,
        /// Bytes of all channels of a pixel.
        pub pixel_bytes: u32,
        /// Offset of `out_h + out_w` uint16 numbers: the input row of each output row, then the input
        /// column of each output column. A multiple of 2.
        pub table: u32,
    }

    const _: () = assert!(size_of::<ResizeNearestParams>() == 28);

    /// RESIZE_BILINEAR. Positions are in 1/1024 of an input pixel: output row `y` lies at
    /// `y * scale_h + start_h`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct ResizeBilinearParams {
        /// Images per inference.
        pub batches: u32,
        /// Rows of the input.
        pub in_h: u32,
        /// Columns of the input.
        pub in_w: u32,
        /// Rows of the output.
        pub out_h: u32,
        /// Columns of the output.
        pub out_w: u32,
        /// Channels of input and output.
        pub channels: u32,
        /// Step between output rows.
        pub scale_h: i32,
        /// Step between output columns.
        pub scale_w: i32,
        /// Position of the first output row.
        pub start_h: i32,
        /// Position of the first output column.
        pub start_w: i32,
    }

    const _: () = assert!(size_of::<ResizeBilinearParams>() == 40);

    /// RESIZE_BILINEAR in float32.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct ResizeBilinearFloatParams {
        /// Images per inference.
        pub batches: u32,
        /// Rows of the input.
        pub in_h: u32,
        /// Columns of the input.
        pub in_w: u32,
        /// Rows of the output.
        pub out_h: u32,
        /// Columns of the output.
        pub out_w: u32,
        /// Channels.
        pub channels: u32,
        /// Rows of the input for each row of the output.
        pub scale_h: f32,
        /// Columns of the input for each column of the output.
        pub scale_w: f32,
        /// 1 where pixels are areas whose centres lie at half integers, else 0.
        pub half_pixel_centers: u32,
    }

    const _: () = assert!(size_of::<ResizeBilinearFloatParams>() == 36);

    /// QUANTIZE of float32: `round(x / scale) + zero_point`, clamped to the output's type.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct QuantizeParams {
        /// Scale of the output, above zero.
        pub scale: f32,
        /// Zero point of the output.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<QuantizeParams>() == 8);

    /// DEQUANTIZE: `scale * (q - zero_point)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct DequantizeParams {
        /// Scale of the input.
        pub scale: f32,
        /// Zero point of the input.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<DequantizeParams>() == 8);

    /// QUANTIZE of integers: `requantize(q - input_zero_point, multiplier) + zero_point`, clamped to the
    /// output's type.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct RequantizeParams {
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// Input scale divided by output scale.
        pub multiplier: Multiplier,
        /// Zero point of the output.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<RequantizeParams>() == 16);

    /// ARG_MAX and ARG_MIN: the input is `[outer, count, inner]`, the output `[outer, inner]`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct ArgMinMaxParams {
        /// Product of the dimensions before the searched one.
        pub outer: u32,
        /// Elements that are compared.
        pub count: u32,
        /// Product of the dimensions behind the searched one.
        pub inner: u32,
        /// 1 for the largest element, 0 for the smallest.
        pub largest: u32,
    }

    const _: () = assert!(size_of::<ArgMinMaxParams>() == 16);

    /// Weighted sums: the input is `[rows, features]`, the output `[rows, outputs]`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct LinearFeaturesParams {
        /// Rows, which are independent.
        pub rows: u32,
        /// Features of a row.
        pub features: u32,
        /// Scores of a row.
        pub outputs: u32,
        /// 1 where the largest sum of a row is subtracted from all of them, else 0.
        pub relative: u32,
        /// The power of two that a feature of 1 times a weight of 1 has in the steps of sums: -1,024 to 1,024.
        pub exponent: i32,
        /// Bits by which sums are shifted to the right, at most 62.
        pub shift: u32,
        /// Offset of int32 weights `[outputs, features]`.
        pub weights: u32,
        /// Offset of `outputs` int64 in the steps of sums.
        pub bias: u32,
    }

    const _: () = assert!(size_of::<LinearFeaturesParams>() == 32);

    /// Decision trees: the input is `[rows, features]`, the output `[rows, outputs]`, int32.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct TreeEnsembleParams {
        /// Rows, which are independent.
        pub rows: u32,
        /// Features of a row, at most 8,192.
        pub features: u32,
        /// Scores of a row, at most 65,535.
        pub outputs: u32,
        /// Number of trees.
        pub trees: u32,
        /// Number of nodes of all trees.
        pub nodes: u32,
        /// Number of values.
        pub values: u32,
        /// 0 adds the votes up, 1 takes the least, 2 the largest.
        pub aggregate: u32,
        /// 1 where the first of two scores is `base[0]` less the second, else 0.
        pub mirrored: u32,
        /// Offset of `outputs` int32, which are added to the votes.
        pub base: u32,
        /// Offset of `trees` roots: number of the first node, then the first output in the lower and the number of outputs in the
        /// upper 16 bits of a word.
        pub roots: u32,
        /// Offset of `nodes` nodes of two words.
        pub nodes_at: u32,
        /// Offset of `values` int32: votes of leaves that vote on several outputs.
        pub values_at: u32,
    }

    const _: () = assert!(size_of::<TreeEnsembleParams>() == 48);

    /// Delay line: the output is the latest `window` bytes of a stream that grows by `step` bytes each inference.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct DelayLineParams {
        /// Bytes of the input.
        pub step: u32,
        /// Bytes of the output, at least as many.
        pub window: u32,
    }

    const _: () = assert!(size_of::<DelayLineParams>() == 8);

    /// ASSIGN_VARIABLE: the variable becomes a run of the operand's bytes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct AssignParams {
        /// First byte of the operand that is kept.
        pub source: u32,
    }

    const _: () = assert!(size_of::<AssignParams>() == 4);

    /// CUMSUM: running sums of `[outer, count, inner]` along `count`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct CumsumParams {
        /// Product of the dimensions before the one that is summed along.
        pub outer: u32,
        /// Elements of a sum.
        pub count: u32,
        /// Product of the dimensions behind.
        pub inner: u32,
        /// 1 where an element's sum is without itself, else 0.
        pub exclusive: u32,
        /// 1 where sums run from the last element to the first, else 0.
        pub reverse: u32,
        /// What sums begin with, in steps of the input.
        pub start: i32,
        /// Integer that stands for zero in the input.
        pub input_zero_point: i32,
        /// Bits by which sums are shifted to the left before they are scaled.
        pub shift: u32,
        /// `input scale / output scale / 2^shift`
        pub multiplier: Multiplier,
        /// Integer that stands for zero in the output.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<CumsumParams>() == 44);

    /// DYNAMIC_UPDATE_SLICE: the box `update` takes its place in a copy of `dims`, both in runs of bytes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct DynamicUpdateSliceParams {
        /// Dimensions of the data, outermost first. Dimensions that the box covers are part of `run` where no other is
        /// behind them.
        pub dims: [u32; 6],
        /// Dimensions of the box, at most those of the data.
        pub update: [u32; 6],
        /// Bytes of a run.
        pub run: u32,
        /// Elements of the operand that says where the box begins.
        pub starts: u32,
        /// Which dimension its first element counts along; those before are 1. Elements beyond the last dimension say nothing.
        pub first: u32,
    }

    const _: () = assert!(size_of::<DynamicUpdateSliceParams>() == 60);

    /// A branch: the next `count` ops are skipped where the input, a truth value, is `condition`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct SkipIfParams {
        /// The truth value that skips: 0 or 1.
        pub condition: u32,
        /// Ops that are skipped.
        pub count: u32,
        /// One more than the largest level among the skips in the skipped ops, at least; 1 where there are none.
        pub level: u32,
    }

    const _: () = assert!(size_of::<SkipIfParams>() == 12);

    /// The results of both branches of an IF, of which the output is a copy of one.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct MergeParams {
        /// Bytes of each of them.
        pub bytes: u32,
    }

    const _: () = assert!(size_of::<MergeParams>() == 4);

    /// GATHER: data `[batch, outer, count]` of runs of bytes and indices `[batch, indices]`; the output is
    /// `[batch, outer, indices]` of such runs.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct GatherParams {
        /// Product of the dimensions that data and indices share.
        pub batch: u32,
        /// Product of the other dimensions before the one that is looked up.
        pub outer: u32,
        /// Runs that are chosen among.
        pub count: u32,
        /// Bytes of a run: product of the dimensions behind, and of the element's size.
        pub run: u32,
        /// Indices of an element of the batch.
        pub indices: u32,
    }

    const _: () = assert!(size_of::<GatherParams>() == 20);

    /// BATCH_MATMUL: one product of matrices for each element of `batch`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct BatchMatMulParams {
        /// Batch dimensions of both operands and the output.
        pub batch: Broadcast,
        /// Rows of the first operand and of the output.
        pub rows: u32,
        /// Columns of the first operand, rows of the second one.
        pub depth: u32,
        /// Columns of the second operand and of the output.
        pub columns: u32,
        /// 1 where the first operand is stored as `[depth, rows]`, else 0.
        pub transpose_a: u32,
        /// 1 where the second operand is stored as `[columns, depth]`, else 0.
        pub transpose_b: u32,
        /// Numbers.
        pub product: Product,
    }

    const _: () = assert!(size_of::<BatchMatMulParams>() == 80);

    /// Shape of a layer over time, and which results it has.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Sequence {
        /// Sequences, each with a state of its own.
        pub batches: u32,
        /// Steps of a sequence.
        pub steps: u32,
        /// Elements of the input at a step.
        pub features: u32,
        /// Elements of the hidden state.
        pub units: u32,
        /// 1 where input and output are `[steps, batches, ..]`, 0 where they are `[batches, steps, ..]`.
        pub time_major: u32,
        /// 1 where the last step is computed first; results keep the place of their step.
        pub reverse: u32,
        /// A sum: 1 for the hidden states of all steps, 2 for the last hidden state, 4 for the last cell state; results are
        /// in this order. 8 more where steps that a mask leaves out give zero, not the result before.
        pub results: u32,
    }

    const _: () = assert!(size_of::<Sequence>() == 28);

    /// A matrix of a layer over time, whose products become int16, with 12 bits behind the point if functions of gates read them:
    /// `clamp(requantize(acc + bias[r], multiplier[r]))`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct Gates {
        /// Tag of the weights' packing.
        pub packing: u32,
        /// Offset of the weights, a row for each gate of each unit: those of a unit are adjacent.
        pub weights: u32,
        /// Offset of one int32 bias per row; a multiple of 4.
        pub bias: u32,
        /// Offset of the [`Multiplier`]s; a multiple of 4.
        pub multipliers: u32,
        /// 1 for all rows together, or the number of rows.
        pub multiplier_count: u32,
    }

    const _: () = assert!(size_of::<Gates>() == 20);

    /// UNIDIRECTIONAL_SEQUENCE_LSTM. Gates are in the order input, forget, candidate, output.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct LstmParams {
        /// Shape.
        pub sequence: Sequence,
        /// From the input.
        pub input: Gates,
        /// From the hidden state.
        pub recurrent: Gates,
        /// Offset of 256 uint16: `2^16 * logistic(i / 24)`.
        pub table: u32,
        /// What the cell state, an int16, is multiplied with before it is looked up.
        pub tanh_multiplier: i32,
        /// By how many bits that is shifted to the right then, rounded to nearest.
        pub tanh_shift: u32,
        /// Power of two of the factor from `input gate * candidate`, 15 bits behind the point each, to the cell state.
        pub candidate_shift: i32,
        /// Largest magnitude of the cell state; 0 for none.
        pub clip: u32,
        /// From `output gate * tanh(cell)`, 15 bits behind the point each, to the hidden state.
        pub multiplier: Multiplier,
        /// Zero point of the hidden state.
        pub zero_point: i32,
        /// From an initial cell state of int8, an operand, to int16.
        pub initial_cell: Term,
        /// From the int16 cell state to the last cell state of int8, a result.
        pub last_cell: Term,
    }

    const _: () = assert!(size_of::<LstmParams>() == 124);

    /// A gated recurrent unit. Gates are in the order update, reset, candidate.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct GruParams {
        /// Shape.
        pub sequence: Sequence,
        /// From the input to all gates.
        pub input: Gates,
        /// From the hidden state to all gates, or to the first two where the reset gate acts before the product.
        pub recurrent: Gates,
        /// From the hidden state after the reset gate to the candidate, where the gate acts before the product; else as
        /// `recurrent`.
        pub candidate: Gates,
        /// 1 where the reset gate acts after the product, 0 where it acts before.
        pub reset_after: u32,
        /// Offset of 256 uint16: `2^16 * logistic(i / 24)`.
        pub table: u32,
        /// From the hidden state of int16, with 15 bits behind the point, to that of int8.
        pub multiplier: Multiplier,
        /// Zero point of the hidden state of int8.
        pub zero_point: i32,
        /// From `(h - zero_point) * 2^20` of an initial hidden state of int8, an operand, to int16.
        pub initial: Multiplier,
    }

    const _: () = assert!(size_of::<GruParams>() == 116);

    /// The choice among boxes. Real numbers of boxes and scores are `scale * (q - zero_point)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct DetectionPostProcessParams {
        /// Number of boxes, at most 65,535.
        pub boxes: u32,
        /// int8 elements of a box, of which the first four are read: y, x, h, w.
        pub codes: u32,
        /// Scores of a box.
        pub scores: u32,
        /// The first of them that is one of a class: 1 where that of the background comes before, else 0.
        pub first_class: u32,
        /// Boxes that are chosen, at most.
        pub most: u32,
        /// Rows of results for each of them.
        pub rows: u32,
        /// Boxes of each class that are chosen, at most, where classes are looked at one by one; 0 where boxes are, each with
        /// its best class.
        pub most_of_class: u32,
        /// The lowest score that counts, as int8; 128 where none does.
        pub least: i32,
        /// Zero point of the scores.
        pub zero_point: i32,
        /// Scale of the scores.
        pub scale: f32,
        /// Boxes that share more than this of their union are one.
        pub overlap: f32,
        /// Offset of 256 float64: `y / y_scale` for each int8 from -128 on.
        pub y: u32,
        /// The same of x.
        pub x: u32,
        /// Offset of 256 float64: `exp(h / h_scale) / 2`.
        pub h: u32,
        /// The same of w.
        pub w: u32,
        /// Offset of `boxes` anchors: y, x, h and w as float32.
        pub anchors: u32,
    }

    const _: () = assert!(size_of::<DetectionPostProcessParams>() == 64);

    /// A plain recurrent layer.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct RnnParams {
        /// Shape.
        pub sequence: Sequence,
        /// From the input.
        pub input: Gates,
        /// From the hidden state.
        pub recurrent: Gates,
        /// Offset of 256 uint16, `2^16 * logistic(i / 24)`, or of the curve of a function: 513 int16, of every 128th number of
        /// int16.
        pub table: u32,
        /// Function of the sum: 0 hyperbolic tangent, 1 logistic, 2 the larger of it and 0, 3 itself, 4 that of `table`.
        pub function: u32,
        /// From the function's result to the hidden state.
        pub multiplier: Multiplier,
        /// Zero point of the hidden state.
        pub zero_point: i32,
    }

    const _: () = assert!(size_of::<RnnParams>() == 88);

    /// A gated recurrent unit with any functions.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct GruCurvesParams {
        /// As of `Gru`, with the curve of the gates' function as `table`: 513 int16, of every 128th number of int16, with 15 bits
        /// behind the point.
        pub gru: GruParams,
        /// Offset of the curve of the candidate's function, in the scale of the hidden state of int16.
        pub activation: u32,
    }

    const _: () = assert!(size_of::<GruCurvesParams>() == 120);

    /// An LSTM with any functions, and with peepholes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct LstmCurvesParams {
        /// As of `Lstm`, with the curve of the gates' function as `table`: 513 int16, of every 128th number of int16, with 15 bits
        /// behind the point. Factor and shift of the tangent's argument are not read.
        pub lstm: LstmParams,
        /// Offset of the curve of the candidate's function.
        pub activation: u32,
        /// Offset of the curve of the function of the cell state.
        pub output: u32,
        /// Offset of int16 weights of the cell state, three for each unit: for the gates input, forget and output.
        pub peepholes: u32,
        /// Units that have these weights: all, or 0.
        pub peephole_count: u32,
        /// From `weight * cell state` to sums.
        pub peephole: Multiplier,
    }

    const _: () = assert!(size_of::<LstmCurvesParams>() == 148);

    /// SVDF. A unit's filters are adjacent.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct SvdfParams {
        /// Streams.
        pub batches: u32,
        /// Elements of an input.
        pub features: u32,
        /// Elements of an output.
        pub units: u32,
        /// Filters of a unit.
        pub rank: u32,
        /// Numbers that each filter keeps, the newest among them.
        pub memory: u32,
        /// From an input to one number for each filter.
        pub feature: Gates,
        /// Offset of the weights over time, of the state's type: `[units * rank, memory]`, the oldest first.
        pub time: u32,
        /// Zero point of the state.
        pub state_zero_point: i32,
        /// From sums over time to outputs.
        pub stage: OutputStage,
    }

    const _: () = assert!(size_of::<SvdfParams>() == 72);

    /// TRANSPOSE_CONV, taken apart into `stride_h * stride_w` phases.
    ///
    /// Output pixels with `(y + pad_top) % stride_h = r` read only the kernel rows `r, r + stride_h, …`, and
    /// so for columns: each phase is a dense convolution with stride 1. Its weights are int8
    /// `[out_channels, rows, columns, in_channels]` with rows and columns in descending order; a phase
    /// without kernel rows or columns has one of zeroes. Phases follow one another in the order of `r`, rows
    /// before columns. The stage has `out_channels` biases for each phase, in the same order.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[repr(C)]
    pub struct TransposeConvParams {
        /// Geometry of the convolution that this one transposes; padding is cropped; dilation is 1.
        pub window: Window,
        /// Images per inference.
        pub batches: u32,
        /// Channels of the input.
        pub in_channels: u32,
        /// Channels of the output.
        pub out_channels: u32,
        /// Zero point of the input, the value of pixels outside it.
        pub input_zero_point: i32,
        /// Tag of the weights' packing.
        pub packing: u32,
        /// Offset of the weights.
        pub weights: u32,
        /// From accumulators to outputs.
        pub stage: OutputStage,
    }

    const _: () = assert!(size_of::<TransposeConvParams>() == 96);
}
