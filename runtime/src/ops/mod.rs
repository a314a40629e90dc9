//! Operators, one file each: parameters, checks, shapes and borders, written once for every core.
//!
//! An [`Operator`] is four functions. `check` doubts the file, once, when an interpreter is made;
//! `eval` trusts it, at each inference; `lead` says how far the output may lie over an input;
//! `scratch` functions, which the converter calls too, say how much scratch memory an op needs.
//! What is not generic and runs at start is `#[inline]`, so that it is compiled with the firmware, for size;
//! what is rare there is `#[cold]`, too, so that it has one copy.
//! An [`OpSet`] lists the operators that a program links: the converter writes the list that a model
//! needs, [`ALL`] serves any model.
//!
//! This file is made of `OpCode` in `schema/model.fbs` by `cargo xtask schema`, not by hand.
// @generated

#[doc(hidden)]
pub mod add;
#[doc(hidden)]
pub mod add_int16;
#[doc(hidden)]
pub mod arg_min_max;
#[doc(hidden)]
pub mod assign;
#[doc(hidden)]
pub mod average_pool_2d;
#[doc(hidden)]
pub mod average_pool_up;
#[doc(hidden)]
pub mod batch_matmul;
#[doc(hidden)]
pub mod batch_matmul_int16;
#[doc(hidden)]
pub mod broadcast;
#[doc(hidden)]
pub mod cast;
#[doc(hidden)]
pub mod compare;
#[doc(hidden)]
pub mod conv_2d;
#[doc(hidden)]
pub mod conv_2d_int16;
#[doc(hidden)]
pub mod conv_2d_segments;
#[doc(hidden)]
pub mod conv_2d_wide;
#[doc(hidden)]
pub mod conv_2d_winograd;
#[doc(hidden)]
pub mod cumsum;
pub mod custom;
#[doc(hidden)]
pub mod delay_line;
#[doc(hidden)]
pub mod depthwise_3x3;
#[doc(hidden)]
pub mod depthwise_conv_2d;
#[doc(hidden)]
pub mod depthwise_taps;
#[doc(hidden)]
pub mod depthwise_wide;
#[doc(hidden)]
pub mod dequantize;
#[doc(hidden)]
pub mod detection_post_process;
#[doc(hidden)]
pub mod div;
#[doc(hidden)]
pub mod dynamic_update_slice;
#[doc(hidden)]
pub mod fully_connected;
#[doc(hidden)]
pub mod gate_int16;
#[doc(hidden)]
pub mod gather;
#[doc(hidden)]
pub mod gather_nd;
#[doc(hidden)]
pub mod gru;
#[doc(hidden)]
pub mod gru_curves;
#[doc(hidden)]
pub mod int16;
#[doc(hidden)]
pub mod integers;
#[doc(hidden)]
pub mod l2_normalization;
#[doc(hidden)]
pub mod linear_features;
#[doc(hidden)]
pub mod log_softmax;
#[doc(hidden)]
pub mod lookup;
#[doc(hidden)]
pub mod lstm;
#[doc(hidden)]
pub mod lstm_curves;
#[doc(hidden)]
pub mod lstm_int16;
#[doc(hidden)]
pub mod max_pool_2d;
#[doc(hidden)]
pub mod merge;
#[doc(hidden)]
pub mod min_max;
#[doc(hidden)]
pub mod mul;
#[doc(hidden)]
pub mod mul_int16;
#[doc(hidden)]
pub mod number;
mod operator;
#[doc(hidden)]
pub mod pool_2d;
#[doc(hidden)]
pub mod pool_2d_int16;
#[doc(hidden)]
pub mod prelu;
#[doc(hidden)]
pub mod quantize;
#[doc(hidden)]
pub mod recurrent;
#[doc(hidden)]
pub mod reduce;
#[doc(hidden)]
pub mod reduce_int16;
#[doc(hidden)]
pub mod reduce_min_max;
#[doc(hidden)]
pub mod requantize;
#[doc(hidden)]
pub mod resize_bilinear;
#[doc(hidden)]
pub mod resize_bilinear_float;
#[doc(hidden)]
pub mod resize_bilinear_up;
#[doc(hidden)]
pub mod resize_nearest;
#[doc(hidden)]
pub mod rnn;
#[doc(hidden)]
pub mod rsqrt_int16;
#[doc(hidden)]
pub mod segment;
#[doc(hidden)]
pub mod select;
mod sets;
#[doc(hidden)]
pub mod skip_if;
#[doc(hidden)]
pub mod slopes_int16;
#[doc(hidden)]
pub mod softmax;
#[doc(hidden)]
pub mod softmax_from_int16;
#[doc(hidden)]
pub mod softmax_int16;
#[doc(hidden)]
pub mod squared_difference;
#[doc(hidden)]
pub mod strided_copy;
#[doc(hidden)]
pub mod svdf;
#[doc(hidden)]
pub mod svdf_int16;
#[doc(hidden)]
pub mod top_k;
#[doc(hidden)]
pub mod transpose_conv;
#[doc(hidden)]
pub mod tree_ensemble;
#[doc(hidden)]
pub mod weighted_sum;
#[doc(hidden)]
pub mod window;

#[cfg(feature = "cases")]
use ferrolite_schema::OpCode;

#[cfg(feature = "cases")]
use crate::cases::{Case, Random};
use crate::kernels::{Kernels, Native};

pub use operator::{OpSet, Operator, in_place, no_overlap};
pub use sets::{general, nibbles, plain, small, tuned};

/// Convolution.
pub const CONV_2D: Operator = conv_2d::operator::<Native>();
/// Depthwise convolution.
pub const DEPTHWISE_CONV_2D: Operator = depthwise_conv_2d::operator::<Native>();
/// Dense layer.
pub const FULLY_CONNECTED: Operator = fully_connected::operator::<Native>();
/// Transposed convolution.
pub const TRANSPOSE_CONV: Operator = transpose_conv::operator::<Native>();
/// Matrix product of two activations.
pub const BATCH_MATMUL: Operator = batch_matmul::operator::<Native>();
/// Average pooling.
pub const AVERAGE_POOL_2D: Operator = average_pool_2d::operator::<Native>();
/// Maximum pooling.
pub const MAX_POOL_2D: Operator = max_pool_2d::operator::<Native>();
/// Sum or difference of two tensors: ADD, SUB.
pub const ADD: Operator = add::operator::<Native>();
/// Product of two tensors.
pub const MUL: Operator = mul::operator::<Native>();
/// Larger or smaller of two elements: MAXIMUM, MINIMUM.
pub const MIN_MAX: Operator = min_max::operator::<Native>();
/// A table of 256 bytes applied to each element: every function of one 8-bit number.
pub const LOOKUP: Operator = lookup::operator::<Native>();
/// Softmax over the last dimension.
pub const SOFTMAX: Operator = softmax::operator::<Native>();
/// Copies of boxes of elements, with a fill before them: PAD, TRANSPOSE, CONCATENATION, SPLIT, SLICE,
/// STRIDED_SLICE, PACK, UNPACK, RESHAPE.
pub const STRIDED_COPY: Operator = strided_copy::operator();
/// Mean or sum over some dimensions: MEAN, SUM.
pub const REDUCE: Operator = reduce::operator::<Native>();
/// Largest or smallest element over some dimensions.
pub const REDUCE_MIN_MAX: Operator = reduce_min_max::operator::<Native>();
/// Nearest-neighbour resizing.
pub const RESIZE_NEAREST: Operator = resize_nearest::operator();
/// Bilinear resizing.
pub const RESIZE_BILINEAR: Operator = resize_bilinear::operator::<Native>();
/// float32 to integers.
pub const QUANTIZE: Operator = quantize::operator::<Native>();
/// Integers to float32.
pub const DEQUANTIZE: Operator = dequantize::operator();
/// Index of the largest or smallest element: ARG_MAX, ARG_MIN.
pub const ARG_MIN_MAX: Operator = arg_min_max::operator::<Native>();
/// Integers to the integers of another quantization or width.
pub const REQUANTIZE: Operator = requantize::operator();
/// Convolution with a 3x3 kernel and stride 1, by Winograd's F(2x2, 3x3).
pub const CONV_2D_WINOGRAD: Operator = conv_2d_winograd::operator::<Native>();
/// Depthwise convolution with a 3x3 kernel and stride 1 that keeps the image's size, four channels of the
/// whole image at a time.
pub const DEPTHWISE_3X3: Operator = depthwise_3x3::operator::<Native>();
/// Rows of a tensor, looked up by number.
pub const GATHER: Operator = gather::operator();
/// The latest bytes of a stream, kept in state.
pub const DELAY_LINE: Operator = delay_line::operator();
/// Running sums along a dimension.
pub const CUMSUM: Operator = cumsum::operator::<Native>();
/// A copy of a tensor with a box of its elements replaced, at a place that is computed.
pub const DYNAMIC_UPDATE_SLICE: Operator = dynamic_update_slice::operator();
/// Skips the next ops where a condition says so: a branch that is not taken.
pub const SKIP_IF: Operator = skip_if::operator();
/// The result of the branch that was taken.
pub const MERGE: Operator = merge::operator();
/// `Lstm` with any functions, and with weights of the cell state.
pub const LSTM_CURVES: Operator = lstm_curves::operator::<Native>();
/// Sum of two tensors with a factor each: ADD, SUB, where that gives the same.
pub const WEIGHTED_SUM: Operator = weighted_sum::operator::<Native>();
/// Depthwise convolution of any window, tap by tap, with any numbers.
pub const DEPTHWISE_TAPS: Operator = depthwise_taps::operator::<Native>();
/// Long short-term memory over all steps of a sequence: UNIDIRECTIONAL_SEQUENCE_LSTM.
pub const LSTM: Operator = lstm::operator::<Native>();
/// Gated recurrent unit over all steps of a sequence.
pub const GRU: Operator = gru::operator::<Native>();
/// Plain recurrent layer over all steps of a sequence.
pub const RNN: Operator = rnn::operator::<Native>();
/// Dense layer over the latest inputs of a stream, by factors over features and over time: SVDF.
pub const SVDF: Operator = svdf::operator::<Native>();
/// The same with a state of int16.
pub const SVDF_INT16: Operator = svdf_int16::operator::<Native>();
/// Softmax over the last dimension, from int8 to int16.
pub const SOFTMAX_INT16: Operator = softmax_int16::operator();
/// Convolution with packed weights whose taps lie apart, or whose rows are long, row by row in segments.
pub const CONV_2D_SEGMENTS: Operator = conv_2d_segments::operator::<Native>();
/// Convolution whose weights take more than eight bits: patches have some of their elements again.
pub const CONV_2D_WIDE: Operator = conv_2d_wide::operator::<Native>();
/// Depthwise convolution whose weights take more than eight bits: some taps are there again.
pub const DEPTHWISE_WIDE: Operator = depthwise_wide::operator::<Native>();
/// Average pooling that rounds half steps up.
pub const AVERAGE_POOL_UP: Operator = average_pool_up::operator();
/// Bilinear resizing that rounds half steps up.
pub const RESIZE_BILINEAR_UP: Operator = resize_bilinear_up::operator();
/// Bilinear resizing in float32, as TensorFlow 1's uint8 has it.
pub const RESIZE_BILINEAR_FLOAT: Operator = resize_bilinear_float::operator();
/// Bytes of a tensor become those of a variable, which is state: ASSIGN_VARIABLE.
pub const ASSIGN: Operator = assign::operator();
/// The choice among boxes of a detection model, in reals: TFLite_Detection_PostProcess.
pub const DETECTION_POST_PROCESS: Operator = detection_post_process::operator();
/// Arithmetic, comparisons and logic of two tensors of plain integers of any type, which stand for themselves.
pub const INTEGERS: Operator = integers::operator();
/// Elements of one tensor or of another, as a third one of truth values says: SELECT, SELECT_V2.
pub const SELECT: Operator = select::operator();
/// Integers of any type to those of another one, bit by bit: CAST.
pub const CAST: Operator = cast::operator();
/// Truth values of a comparison of two tensors of int8, of any scales.
pub const COMPARE: Operator = compare::operator();
/// Negative elements times a slope of their own: PRELU.
pub const PRELU: Operator = prelu::operator();
/// Square of the difference of two tensors of int8 or int16.
pub const SQUARED_DIFFERENCE: Operator = squared_difference::operator();
/// Quotient of two tensors.
pub const DIV: Operator = div::operator();
/// Rows divided by their length: L2_NORMALIZATION.
pub const L2_NORMALIZATION: Operator = l2_normalization::operator();
/// Runs of a tensor, looked up by several coordinates: GATHER_ND.
pub const GATHER_ND: Operator = gather_nd::operator();
/// Logarithm of the softmax over the last dimension: LOG_SOFTMAX.
pub const LOG_SOFTMAX: Operator = log_softmax::operator();
/// Largest or smallest elements of each row, and their places: TOPK_V2.
pub const TOP_K: Operator = top_k::operator();
/// One factor for elements of int16 from zero on, another for those below: RELU, RELU6, LEAKY_RELU, ABS.
pub const SLOPES_INT16: Operator = slopes_int16::operator();
/// Product of two tensors of int16.
pub const MUL_INT16: Operator = mul_int16::operator();
/// Functions of gates of int16: LOGISTIC, TANH.
pub const GATE_INT16: Operator = gate_int16::operator();
/// Mean or maximum of the cells of a window of int16: AVERAGE_POOL_2D, MAX_POOL_2D.
pub const POOL_2D_INT16: Operator = pool_2d_int16::operator();
/// Mean or sum of int16 over some dimensions: MEAN, SUM.
pub const REDUCE_INT16: Operator = reduce_int16::operator();
/// Softmax over the last dimension, from int16 to int16.
pub const SOFTMAX_FROM_INT16: Operator = softmax_from_int16::operator();
/// Convolution of int16 with int8 weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV.
pub const CONV_2D_INT16: Operator = conv_2d_int16::operator();
/// Matrix product of two activations of int16.
pub const BATCH_MATMUL_INT16: Operator = batch_matmul_int16::operator();
/// One over the square root, of int16.
pub const RSQRT_INT16: Operator = rsqrt_int16::operator();
/// Decision trees, forests and boosted trees: votes of the leaves that a row of features reaches.
pub const TREE_ENSEMBLE: Operator = tree_ensemble::operator();
/// Weighted sums of features as they are, in 64 bits.
pub const LINEAR_FEATURES: Operator = linear_features::operator();
/// `Gru` with any functions.
pub const GRU_CURVES: Operator = gru_curves::operator::<Native>();
/// `Lstm` from int16 to int16.
pub const LSTM_INT16: Operator = lstm_int16::operator();
/// Sum or difference of two tensors of int16: ADD, SUB.
pub const ADD_INT16: Operator = add_int16::operator();

/// Number of operators.
const COUNT: usize = 71;

/// Every operator in the order of codes, with the kernels `K`: for tests of kernel sets. A program wants
/// [`ALL`].
pub const fn all<K: Kernels>() -> [Operator; COUNT] {
    [
        conv_2d::operator::<K>(),
        depthwise_conv_2d::operator::<K>(),
        fully_connected::operator::<K>(),
        transpose_conv::operator::<K>(),
        batch_matmul::operator::<K>(),
        average_pool_2d::operator::<K>(),
        max_pool_2d::operator::<K>(),
        add::operator::<K>(),
        mul::operator::<K>(),
        min_max::operator::<K>(),
        lookup::operator::<K>(),
        softmax::operator::<K>(),
        strided_copy::operator(),
        reduce::operator::<K>(),
        reduce_min_max::operator::<K>(),
        resize_nearest::operator(),
        resize_bilinear::operator::<K>(),
        quantize::operator::<K>(),
        dequantize::operator(),
        arg_min_max::operator::<K>(),
        requantize::operator(),
        conv_2d_winograd::operator::<K>(),
        depthwise_3x3::operator::<K>(),
        gather::operator(),
        delay_line::operator(),
        cumsum::operator::<K>(),
        dynamic_update_slice::operator(),
        skip_if::operator(),
        merge::operator(),
        lstm_curves::operator::<K>(),
        weighted_sum::operator::<K>(),
        depthwise_taps::operator::<K>(),
        lstm::operator::<K>(),
        gru::operator::<K>(),
        rnn::operator::<K>(),
        svdf::operator::<K>(),
        svdf_int16::operator::<K>(),
        softmax_int16::operator(),
        conv_2d_segments::operator::<K>(),
        conv_2d_wide::operator::<K>(),
        depthwise_wide::operator::<K>(),
        average_pool_up::operator(),
        resize_bilinear_up::operator(),
        resize_bilinear_float::operator(),
        assign::operator(),
        detection_post_process::operator(),
        integers::operator(),
        select::operator(),
        cast::operator(),
        compare::operator(),
        prelu::operator(),
        squared_difference::operator(),
        div::operator(),
        l2_normalization::operator(),
        gather_nd::operator(),
        log_softmax::operator(),
        top_k::operator(),
        slopes_int16::operator(),
        mul_int16::operator(),
        gate_int16::operator(),
        pool_2d_int16::operator(),
        reduce_int16::operator(),
        softmax_from_int16::operator(),
        conv_2d_int16::operator(),
        batch_matmul_int16::operator(),
        rsqrt_int16::operator(),
        tree_ensemble::operator(),
        linear_features::operator(),
        gru_curves::operator::<K>(),
        lstm_int16::operator(),
        add_int16::operator(),
    ]
}

/// Every operator, in the order of codes: serves any model, links all of them.
pub const ALL: OpSet = &all::<Native>();

/// Any op of an operator, for tests.
#[cfg(feature = "cases")]
#[doc(hidden)]
pub fn case(code: OpCode, random: &mut Random) -> Case {
    match code {
        OpCode::Conv2d => conv_2d::case(random),
        OpCode::DepthwiseConv2d => depthwise_conv_2d::case(random),
        OpCode::FullyConnected => fully_connected::case(random),
        OpCode::TransposeConv => transpose_conv::case(random),
        OpCode::BatchMatMul => batch_matmul::case(random),
        OpCode::AveragePool2d => average_pool_2d::case(random),
        OpCode::MaxPool2d => max_pool_2d::case(random),
        OpCode::Add => add::case(random),
        OpCode::Mul => mul::case(random),
        OpCode::MinMax => min_max::case(random),
        OpCode::Lookup => lookup::case(random),
        OpCode::Softmax => softmax::case(random),
        OpCode::StridedCopy => strided_copy::case(random),
        OpCode::Reduce => reduce::case(random),
        OpCode::ReduceMinMax => reduce_min_max::case(random),
        OpCode::ResizeNearest => resize_nearest::case(random),
        OpCode::ResizeBilinear => resize_bilinear::case(random),
        OpCode::Quantize => quantize::case(random),
        OpCode::Dequantize => dequantize::case(random),
        OpCode::ArgMinMax => arg_min_max::case(random),
        OpCode::Requantize => requantize::case(random),
        OpCode::Conv2dWinograd => conv_2d_winograd::case(random),
        OpCode::Depthwise3x3 => depthwise_3x3::case(random),
        OpCode::Gather => gather::case(random),
        OpCode::DelayLine => delay_line::case(random),
        OpCode::Cumsum => cumsum::case(random),
        OpCode::DynamicUpdateSlice => dynamic_update_slice::case(random),
        OpCode::SkipIf => skip_if::case(random),
        OpCode::Merge => merge::case(random),
        OpCode::LstmCurves => lstm_curves::case(random),
        OpCode::WeightedSum => weighted_sum::case(random),
        OpCode::DepthwiseTaps => depthwise_taps::case(random),
        OpCode::Lstm => lstm::case(random),
        OpCode::Gru => gru::case(random),
        OpCode::Rnn => rnn::case(random),
        OpCode::Svdf => svdf::case(random),
        OpCode::SvdfInt16 => svdf_int16::case(random),
        OpCode::SoftmaxInt16 => softmax_int16::case(random),
        OpCode::Conv2dSegments => conv_2d_segments::case(random),
        OpCode::Conv2dWide => conv_2d_wide::case(random),
        OpCode::DepthwiseWide => depthwise_wide::case(random),
        OpCode::AveragePoolUp => average_pool_up::case(random),
        OpCode::ResizeBilinearUp => resize_bilinear_up::case(random),
        OpCode::ResizeBilinearFloat => resize_bilinear_float::case(random),
        OpCode::Assign => assign::case(random),
        OpCode::DetectionPostProcess => detection_post_process::case(random),
        OpCode::Integers => integers::case(random),
        OpCode::Select => select::case(random),
        OpCode::Cast => cast::case(random),
        OpCode::Compare => compare::case(random),
        OpCode::Prelu => prelu::case(random),
        OpCode::SquaredDifference => squared_difference::case(random),
        OpCode::Div => div::case(random),
        OpCode::L2Normalization => l2_normalization::case(random),
        OpCode::GatherNd => gather_nd::case(random),
        OpCode::LogSoftmax => log_softmax::case(random),
        OpCode::TopK => top_k::case(random),
        OpCode::SlopesInt16 => slopes_int16::case(random),
        OpCode::MulInt16 => mul_int16::case(random),
        OpCode::GateInt16 => gate_int16::case(random),
        OpCode::Pool2dInt16 => pool_2d_int16::case(random),
        OpCode::ReduceInt16 => reduce_int16::case(random),
        OpCode::SoftmaxFromInt16 => softmax_from_int16::case(random),
        OpCode::Conv2dInt16 => conv_2d_int16::case(random),
        OpCode::BatchMatMulInt16 => batch_matmul_int16::case(random),
        OpCode::RsqrtInt16 => rsqrt_int16::case(random),
        OpCode::TreeEnsemble => tree_ensemble::case(random),
        OpCode::LinearFeatures => linear_features::case(random),
        OpCode::GruCurves => gru_curves::case(random),
        OpCode::LstmInt16 => lstm_int16::case(random),
        OpCode::AddInt16 => add_int16::case(random),
    }
}
