//! The table of operators: from a node's name to the function that translates it.

use super::layer::{Layer, Translation};
use super::net::Net;
use super::proto::NodeProto;
use super::versions::STANDARD;
use super::{
    arithmetic, attention, branches, convolution, custom, dense, dynamic, einsum, functions, indices,
    learning, movement, normalization, places, pooling, quantized, recurrent, reductions, resize,
};
use crate::graph::{BinaryKind, PoolKind, ReduceKind};
use crate::import::refusal::unsupported;

/// A function that translates nodes of some operators.
type Translate = fn(&mut Layer<'_>) -> Translation;

/// Whether an operator of this name is in the table, or one of the user's own.
pub(super) fn is_known(net: &Net, node: &NodeProto) -> bool {
    find(node).is_some() || custom::find(net, node).is_some()
}

/// Whether a domain is one whose operators are partly known.
pub(super) fn is_vendors(domain: &str) -> bool {
    ["ai.onnx.ml", "com.microsoft"].contains(&domain)
}

/// Translates a node. What the user says of an operator comes first.
pub(super) fn translate(layer: &mut Layer<'_>) -> Translation {
    if let Some(operator) = custom::find(layer.net, layer.node) {
        return custom::translate(layer, operator);
    }
    match find(layer.node) {
        Some(translate) => translate(layer),
        None => unsupported(reason(layer.node)),
    }
}

/// Why an operator is not in the table, where there is more to say than that.
fn reason(node: &NodeProto) -> String {
    let text = match node.op_type.as_str() {
        "Loop" | "Scan" => "loops are not supported; export the model without it",
        "NonZero" | "NonMaxSuppression" | "Unique" => {
            "the size of its result or its order depends on the data"
        }
        "DynamicQuantizeMatMul" => {
            "scales that are found at run time are not supported; quantize the model statically, or convert \
             the float model"
        }
        _ => "",
    };
    text.into()
}

fn find(node: &NodeProto) -> Option<Translate> {
    match node.domain.as_str() {
        domain if STANDARD.contains(&domain) => standard(&node.op_type),
        "ai.onnx.ml" => learning::find(&node.op_type),
        "com.microsoft" => microsoft(&node.op_type),
        _ => None,
    }
}

fn standard(op: &str) -> Option<Translate> {
    Some(match op {
        "Conv" => convolution::conv,
        "ConvTranspose" => convolution::conv_transpose,
        "MaxPool" => |l| pooling::pool(l, PoolKind::Max),
        "AveragePool" => |l| pooling::pool(l, PoolKind::Average),
        "GlobalAveragePool" => |l| pooling::global(l, ReduceKind::Mean),
        "GlobalMaxPool" => |l| pooling::global(l, ReduceKind::Max),
        "Einsum" => einsum::einsum,
        "Gemm" => dense::gemm,
        "MatMul" => dense::matmul,
        "BatchNormalization" => normalization::batch,
        "InstanceNormalization" => normalization::instance,
        "LayerNormalization" => normalization::layer,
        "RMSNormalization" => normalization::root_mean_square,
        "GroupNormalization" => normalization::group,
        "MeanVarianceNormalization" => normalization::mean_variance,
        "LpNormalization" => normalization::lp,
        "Add" => |l| arithmetic::binary(l, BinaryKind::Add),
        "Sub" => |l| arithmetic::binary(l, BinaryKind::Sub),
        "Mul" => |l| arithmetic::binary(l, BinaryKind::Mul),
        "Div" => |l| arithmetic::binary(l, BinaryKind::Div),
        "Sum" => |l| arithmetic::variadic(l, BinaryKind::Add),
        "Max" => |l| arithmetic::variadic(l, BinaryKind::Maximum),
        "Min" => |l| arithmetic::variadic(l, BinaryKind::Minimum),
        "Mean" => arithmetic::mean,
        "Mod" | "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor" => {
            arithmetic::truth
        }
        "Not" => arithmetic::not,
        "Pow" => arithmetic::pow,
        "Where" => arithmetic::select,
        "If" => branches::choose,
        "PRelu" => arithmetic::prelu,
        "Softmax" => functions::softmax,
        "LogSoftmax" => functions::log_softmax,
        "Clip" => functions::clip,
        "Cast" | "CastLike" => functions::cast,
        "ReduceMean" => |l| reductions::reduce(l, reductions::Kind::Mean),
        "ReduceSum" => |l| reductions::reduce(l, reductions::Kind::Sum),
        "ReduceMax" => |l| reductions::reduce(l, reductions::Kind::Max),
        "ReduceMin" => |l| reductions::reduce(l, reductions::Kind::Min),
        "ReduceProd" => |l| reductions::reduce(l, reductions::Kind::Prod),
        "ReduceL1" => |l| reductions::reduce(l, reductions::Kind::L1),
        "ReduceL2" => |l| reductions::reduce(l, reductions::Kind::L2),
        "ReduceSumSquare" => |l| reductions::reduce(l, reductions::Kind::SumSquare),
        "ReduceLogSum" => |l| reductions::reduce(l, reductions::Kind::LogSum),
        "ReduceLogSumExp" => |l| reductions::reduce(l, reductions::Kind::LogSumExp),
        "CumSum" => reductions::running_sums,
        "ArgMax" => |l| reductions::arg(l, true),
        "ArgMin" => |l| reductions::arg(l, false),
        "Identity" => movement::identity,
        "Dropout" => movement::dropout,
        "Constant" => movement::constant,
        "ConstantOfShape" => movement::constant_of_shape,
        "Shape" => movement::shape,
        "Size" => movement::size_of,
        "Range" => movement::range,
        "Reshape" => movement::reshape,
        "Flatten" => movement::flatten,
        "Squeeze" => movement::squeeze,
        "Unsqueeze" => movement::unsqueeze,
        "Transpose" => movement::transpose,
        "Concat" => movement::concat,
        "Split" => movement::split,
        "Slice" => movement::slice,
        "Gather" => indices::gather,
        "GatherND" => indices::gather_nd,
        "OneHot" => indices::one_hot,
        "TopK" => reductions::top_k,
        "GatherElements" => places::gather_elements,
        "ScatterND" => places::scatter_nd,
        "Scatter" | "ScatterElements" => places::scatter_elements,
        "ReverseSequence" => places::reverse_sequence,
        "Compress" => places::compress,
        "Trilu" => places::trilu,
        "Expand" => movement::expand,
        "Tile" => movement::tile,
        "Pad" => movement::pad,
        "DepthToSpace" => movement::depth_to_space,
        "SpaceToDepth" => movement::space_to_depth,
        "Resize" => resize::resize,
        "Upsample" => resize::upsample,
        "Attention" => attention::attention,
        "RotaryEmbedding" => attention::rotary,
        "LSTM" => recurrent::lstm,
        "GRU" => recurrent::gru,
        "RNN" => recurrent::rnn,
        "QuantizeLinear" => quantized::quantize_linear,
        "DequantizeLinear" => quantized::dequantize_linear,
        "DynamicQuantizeLinear" => dynamic::quantize,
        "MatMulInteger" => dynamic::matmul,
        "ConvInteger" => dynamic::conv,
        "QLinearConv" => quantized::conv,
        "QLinearMatMul" => quantized::matmul,
        _ => return functions::find(op),
    })
}

/// Operators that ONNX Runtime adds.
fn microsoft(op: &str) -> Option<Translate> {
    Some(match op {
        "QuantizeLinear" => quantized::quantize_linear,
        "DequantizeLinear" => quantized::dequantize_linear,
        "QLinearAdd" => |l| quantized::binary(l, BinaryKind::Add),
        "QLinearMul" => |l| quantized::binary(l, BinaryKind::Mul),
        "QGemm" => quantized::gemm,
        "QLinearGlobalAveragePool" => quantized::global_average_pool,
        "QLinearAveragePool" => quantized::average_pool,
        "QLinearConcat" => quantized::concat,
        "QLinearSoftmax" => quantized::softmax,
        "QLinearSigmoid" | "QLinearLeakyRelu" => quantized::function,
        "Gelu" | "FastGelu" | "BiasGelu" => functions::gelu_of_microsoft,
        "QuickGelu" => functions::quick_gelu,
        _ => return None,
    })
}
