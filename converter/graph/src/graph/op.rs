//! The list of operators, and their attributes, as importers understand them and the later steps use them.
//!
//! Operands by position are given with each operator; `?` marks an optional one. Whatever an
//! operator needs beyond its activations and weights (axes, paddings, permutations) is an
//! attribute, even where the source format stores it in a constant tensor.
//!
//! What an operator means is in one file of `ferrolite::ops`, under the name that the list gives: its checks,
//! its float values, how it is quantized, lowered and written as `.tflite`.

use super::DType;
use super::attributes::{
    Activation, BinaryKind, CompareKind, LogicKind, PoolKind, Recurrent, ReduceKind, UnaryKind,
};
use super::custom::Custom;
use super::window::Window;

/// Calls a macro with all operators: for each file of `ferrolite::ops` those that it knows, with their attributes,
/// if they have any, and their names in the TFLite schema, the field's common tongue.
///
/// | operator without a struct of attributes below | operands |
/// |---|---|
/// | `Unary` | input → output |
/// | `LogSoftmax` | input → output, over the last dimension |
/// | `L2Normalization` | input → output: each row of the last dimension divided by the root of the sum of its squares |
/// | `Prelu` | input, slope (broadcast against the input) → output |
/// | `Reshape` | input → output of the same elements in the same order (RESHAPE, SQUEEZE, EXPAND_DIMS, …) |
/// | `DynamicUpdateSlice` | data, box, int32 place of the box `[rank]` → data with the box in place, which never sticks out |
/// | `Logic` | truth values, broadcast against one another → truth values; one operand for NOT |
/// | `Select` | condition (truth values), x, y, broadcast against one another → elements of x where the condition holds, else of y |
/// | `Quantize` | any number representation → the integers of the output's quantization |
/// | `Dequantize` | integers → float32 |
/// | `Custom` | those of the author's operator |
/// | `Lookup` | int8 input, constant int8 table `[256]` → output: for each element `x`, the table's element `x + 128`; a function of one number that came as its results |
#[macro_export]
macro_rules! operators {
    ($then:ident) => {
        $then! {
            add_n { AddN(op: AddN) => "ADD_N" }
            arg_min_max { ArgMinMax(op: ArgMinMax) => if op.largest { "ARG_MAX" } else { "ARG_MIN" } }
            batch_matmul { BatchMatMul(op: BatchMatMul) => "BATCH_MATMUL" }
            binary { Binary(op: Binary) => op.kind.name() }
            cast { Cast(op: Cast) => "CAST" }
            choose { Choose(op: Choose) => "IF" }
            compare { Compare(op: Compare) => op.kind.name() }
            concat { Concat(op: Concat) => "CONCATENATION" }
            conv_2d { Conv2d(op: Conv2d) => "CONV_2D" }
            custom { Custom(op: Custom) => op.name() }
            cumsum { Cumsum(op: Cumsum) => "CUMSUM" }
            depthwise_conv_2d { DepthwiseConv2d(op: DepthwiseConv2d) => "DEPTHWISE_CONV_2D" }
            dequantize { Dequantize => "DEQUANTIZE" }
            detection_post_process { DetectionPostProcess(op: DetectionPostProcess) => "TFLite_Detection_PostProcess" }
            dynamic_update_slice { DynamicUpdateSlice => "DYNAMIC_UPDATE_SLICE" }
            fully_connected { FullyConnected(op: FullyConnected) => "FULLY_CONNECTED" }
            gather { Gather(op: Gather) => "GATHER" }
            gather_nd { GatherNd(op: GatherNd) => "GATHER_ND" }
            l2_normalization { L2Normalization => "L2_NORMALIZATION" }
            linear_features { LinearFeatures(op: LinearFeatures) => "LINEAR_FEATURES" }
            log_softmax { LogSoftmax => "LOG_SOFTMAX" }
            logic { Logic(op: LogicKind) => op.name() }
            lookup { Lookup => "LOOKUP" }
            pack_unpack { Pack(op: Pack) => "PACK", Unpack(op: Unpack) => "UNPACK" }
            pad { Pad(op: Pad) => if op.value.is_some() { "PADV2" } else { "PAD" } }
            pool_2d { Pool2d(op: Pool2d) => op.kind.name() }
            prelu { Prelu => "PRELU" }
            quantize { Quantize => "QUANTIZE", QuantizeScaled(op: QuantizeScaled) => "QUANTIZE" }
            recurrent { Recurrent(op: Recurrent) => op.cell.name() }
            reduce { Reduce(op: Reduce) => op.kind.name() }
            reshape { Reshape => "RESHAPE" }
            resize_bilinear { ResizeBilinear(op: ResizeBilinear) => "RESIZE_BILINEAR" }
            resize_nearest { ResizeNearest(op: ResizeNearest) => "RESIZE_NEAREST_NEIGHBOR" }
            select { Select => "SELECT_V2" }
            slice { Slice(op: Slice) => "STRIDED_SLICE" }
            softmax { Softmax(op: Softmax) => "SOFTMAX" }
            split { Split(op: Split) => "SPLIT" }
            svdf { Svdf(op: Svdf) => "SVDF" }
            top_k { TopK(op: TopK) => "TOPK_V2" }
            transpose { Transpose(op: Transpose) => "TRANSPOSE" }
            transpose_conv { TransposeConv(op: TransposeConv) => "TRANSPOSE_CONV" }
            tree_ensemble { TreeEnsemble(op: TreeEnsemble) => "TREE_ENSEMBLE" }
            unary { Unary(op: UnaryKind) => op.name() }
            unsupported { Unsupported(op: Unsupported) => &op.code }
        }
    };
}

macro_rules! define {
    ($($file:ident { $($Op:ident $(($attributes:ident: $Attributes:ty))? => $name:expr),+ })+) => {
        /// What a node computes.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op {
            $($(
                #[doc = concat!("Known by the file `", stringify!($file), "` of `ferrolite::ops`.")]
                $Op $(($Attributes))?,
            )+)+
        }

        impl Op {
            /// The operator's name in the TFLite schema.
            // Most names need none of the attributes that the list gives them for.
            #[allow(unused_variables)]
            pub fn name(&self) -> &str {
                match self {
                    $($(Op::$Op $(($attributes))? => $name,)+)+
                }
            }
        }
    };
}

operators!(define);

/// input, filter, bias? → output. Groups = input channels / filter's innermost dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Geometry.
    pub window: Window,
    /// Clamp of the result.
    pub activation: Activation,
}

/// input, filter, bias? → output. Channel `c` of the output reads channel `c / multiplier`.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthwiseConv2d {
    /// Geometry.
    pub window: Window,
    /// Output channels per input channel.
    pub multiplier: usize,
    /// Clamp of the result.
    pub activation: Activation,
}

/// input, weights `[outputs, inputs]`, bias? → output. The input is read as rows of `inputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// Clamp of the result.
    pub activation: Activation,
}

/// int8 input `[batch, features]`, weights over features `[filters, features]` and over time `[filters, memory]`, bias? →
/// output `[batch, units]`, from the latest `memory` inputs, which the layer keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Svdf {
    /// Filters of a unit; those of a unit are adjacent.
    pub rank: usize,
    /// Type of what it keeps: int8 or int16, as that of the weights over time.
    pub state: DType,
    /// Scale of what it keeps.
    pub scale: f32,
    /// Zero point of what it keeps.
    pub zero_point: i32,
}

/// boxes `[1, n, 4 or more]`, relative to anchors, scores `[1, n, classes]` → corners `[1, rows, 4]`, classes
/// `[1, rows]`, scores `[1, rows]`, number of boxes `[1]`: the best boxes, none of which overlap, as real numbers on the
/// device, too. Rows behind the last box are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionPostProcess {
    /// Boxes that are chosen, at most.
    pub most: usize,
    /// Rows of results for each of them, for its best classes.
    pub rows: usize,
    /// Boxes of each class that are chosen, at most, where classes are looked at one by one; where that is not so, boxes
    /// are, each with its best class.
    pub most_of_class: Option<usize>,
    /// Number of classes; one more score comes first where there is one of the background.
    pub classes: usize,
    /// The lowest score that counts.
    pub least: f32,
    /// Boxes that share more than this of their union are one.
    pub overlap: f32,
    /// What y, x, h and w are divided by.
    pub scales: [f32; 4],
    /// Of each box: y, x, h and w.
    pub anchors: Vec<[f32; 4]>,
}

/// input, filter, bias? → output. `window.pad_*` is cropped from the full result.
#[derive(Clone, Debug, PartialEq)]
pub struct TransposeConv {
    /// Geometry of the convolution that this one transposes.
    pub window: Window,
    /// Clamp of the result.
    pub activation: Activation,
}

/// a `[.., m, k]`, b `[.., k, n]` → `[.., m, n]`; leading dimensions broadcast.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchMatMul {
    /// `a` is stored as `[.., k, m]`.
    pub transpose_a: bool,
    /// `b` is stored as `[.., n, k]`.
    pub transpose_b: bool,
}

/// input → output
#[derive(Clone, Debug, PartialEq)]
pub struct Pool2d {
    /// Average or maximum.
    pub kind: PoolKind,
    /// Geometry; dilation is 1.
    pub window: Window,
    /// Clamp of the result.
    pub activation: Activation,
}

/// a, b → output
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The function.
    pub kind: BinaryKind,
    /// Clamp of the result.
    pub activation: Activation,
}

/// input → output, over the last dimension
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// Factor of the exponent.
    pub beta: f32,
}

/// input → output
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Elements added before and behind, for each dimension.
    pub amounts: Vec<(usize, usize)>,
    /// Value of the added elements, in the input's own representation: the quantized integer
    /// for integer tensors, the real number for float ones. `None` means real zero.
    pub value: Option<f64>,
}

/// input → output
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// The function.
    pub kind: ReduceKind,
    /// Reduced dimensions, ascending.
    pub axes: Vec<usize>,
    /// Whether reduced dimensions stay, with size 1.
    pub keep_dims: bool,
}

/// condition (one truth value), x, y → output: x where the condition holds, else y. A result of an IF, whose branches
/// are the nodes that only lead to x, or only to y.
#[derive(Clone, Debug, PartialEq)]
pub struct Choose {
    /// Number of the IF; its results share it, and no other IF of the graph has it.
    pub block: usize,
}

/// a, b, broadcast against one another → truth value of each pair of elements
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// The comparison, with `b` on its right.
    pub kind: CompareKind,
    /// Int8 operands are compared as TensorFlow Lite Micro does: in whole parts of 1/256, to which each is rounded. Else
    /// the numbers that they stand for are compared.
    pub rounded: bool,
}

/// input → elements of the output's type: real numbers lose what is behind the point on their way to integers, and truth
/// values are whether a number is not 0
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// Quantized operands and results are the integers that are stored, as in TensorFlow Lite Micro, not the numbers that
    /// these stand for.
    pub stored: bool,
}

/// inputs… → output
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The dimension along which the inputs follow one another.
    pub axis: usize,
    /// Clamp of the result.
    pub activation: Activation,
}

/// input → outputs…, whose sizes along `axis` are those of the output values
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The dimension that is cut.
    pub axis: usize,
}

/// input → output: element `i` of a dimension is element `begin + i * stride` of the input.
/// SLICE and STRIDED_SLICE; dimensions that the output drops have size 1 in `size`.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// First element for each input dimension.
    pub begin: Vec<usize>,
    /// Elements taken for each input dimension.
    pub size: Vec<usize>,
    /// Step for each input dimension; negative steps walk backwards.
    pub stride: Vec<isize>,
}

/// input → output: running sums along `axis`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cumsum {
    /// The dimension along which elements are added up.
    pub axis: usize,
    /// Element `i` of the result has the elements before it, not itself.
    pub exclusive: bool,
    /// From the last element to the first.
    pub reverse: bool,
    /// What sums begin with, in steps of the operand's scale: 0 but for what is made to run as TensorFlow Lite Micro
    /// does, which begins with the negative zero point.
    pub start: i32,
}

/// input → output: dimension `i` of the output is dimension `permutation[i]` of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// One entry per dimension.
    pub permutation: Vec<usize>,
}

/// inputs… → output with a new dimension at `axis`
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// Place of the new dimension in the output.
    pub axis: usize,
}

/// input → outputs…, without the dimension at `axis`
#[derive(Clone, Debug, PartialEq)]
pub struct Unpack {
    /// The dimension that is taken apart.
    pub axis: usize,
}

/// input → output
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeNearest {
    /// The corners' centres coincide.
    pub align_corners: bool,
    /// Pixels are areas whose centres lie at half integers.
    pub half_pixel_centers: bool,
}

/// input → output
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeBilinear {
    /// The corners' centres coincide.
    pub align_corners: bool,
    /// Pixels are areas whose centres lie at half integers.
    pub half_pixel_centers: bool,
}

/// float → integers: QUANTIZE of `factor * x + term`, at a border of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizeScaled {
    /// What elements are multiplied with, above 0.
    pub factor: f64,
    /// What is added then; a whole number of steps of the result.
    pub term: f64,
}

/// input → index of the largest or smallest element, int32 or int64; of equal elements, the first one's
#[derive(Clone, Debug, PartialEq)]
pub struct ArgMinMax {
    /// The dimension that is searched.
    pub axis: usize,
    /// Whether the largest element is looked for, or the smallest.
    pub largest: bool,
}

/// a, b, …, int8 of one quantization → the sum of all
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddN {
    /// What sums begin with: 0 but for what is made to run as TensorFlow Lite Micro does, which begins with what the
    /// negative zero point stands for.
    pub start: f32,
}

/// input → the largest or smallest elements of each row of the last dimension, in order, and their places, int32 or int64;
/// of equal elements, the first one comes first
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    /// How many of each row.
    pub count: usize,
    /// Whether the largest are looked for, or the smallest.
    pub largest: bool,
}

/// data, indices (integers, counted from zero) → output: the elements of `data` at the indices
/// along `axis`, whose dimension those of the indices replace.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The dimension that is looked up.
    pub axis: usize,
    /// Leading dimensions that data and indices share, at most `axis`: each of their elements has
    /// indices of its own. 0 where the same indices serve all.
    pub batch_dims: usize,
}

/// data, indices `[.., coordinates]` (integers, counted from zero) → output: what `data` has at the places that the
/// coordinates name in its first dimensions behind those that are shared.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherNd {
    /// Leading dimensions that data and indices share: each of their elements has indices of its own.
    pub batch_dims: usize,
}

/// features `[.., features]` → int16 or int32 scores `[.., outputs]` with a scale: weighted sums of features as they are
#[derive(Clone, Debug, PartialEq)]
pub struct LinearFeatures {
    /// `[outputs, features]`
    pub weights: Vec<f64>,
    /// One for each output.
    pub bias: Vec<f64>,
    /// Each sum is less the largest one of its row.
    pub relative: bool,
}

/// features `[.., features]` → int32 scores `[.., outputs]` with a scale: votes of the leaves that each row reaches
#[derive(Clone, Debug, PartialEq)]
pub struct TreeEnsemble {
    /// The trees.
    pub trees: Vec<Tree>,
    /// What scores are made of votes by.
    pub aggregate: Aggregate,
    /// What is added to the votes on each output.
    pub base: Vec<f64>,
    /// The first of two outputs is its base less the second, whatever trees vote.
    pub mirrored: bool,
}

/// What the votes of several trees on one output become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// All are added up.
    Sum,
    /// The least counts.
    Min,
    /// The largest counts.
    Max,
}

/// A tree that votes on adjacent outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The first output.
    pub first: usize,
    /// The number of outputs.
    pub count: usize,
    /// Its nodes in preorder: where a comparison holds, the next node follows.
    pub nodes: Vec<TreeNode>,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum TreeNode {
    /// Compares a feature.
    Split {
        /// Its number.
        feature: usize,
        /// Whether it has to be equal; else at most as large.
        equal: bool,
        /// What it is compared with, as the integer that has the order of the real number
        /// (`ferrolite_runtime::ops::tree_ensemble::key`).
        threshold: i32,
        /// Whether a NaN counts as holding.
        missing: bool,
        /// The node, further on, where the comparison does not hold.
        otherwise: usize,
    },
    /// Votes on each output of the tree.
    Leaf(Vec<f64>),
}

/// Something that an importer recognised but Ferrolite cannot compute. Kept in the graph so
/// that all such layers can be named at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsupported {
    /// Name in the source format, `custom NAME` for custom operators.
    pub code: String,
    /// Why, when the operator as such is known but this form of it is not; else empty.
    pub reason: String,
}
