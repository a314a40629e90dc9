//! Which function translates which operator. An operator that is absent here is unknown to
//! Ferrolite.

use super::layer::{Layer, Reason, Translated};
use super::{arithmetic, copies, dilation, logic, lstm, movement, places, slices, svdf, windows};
use crate::graph::{BinaryKind, CompareKind, GatherNd, LogicKind, Op, PoolKind, ReduceKind, UnaryKind};
use crate::tflite::{BuiltinOperator as Code, OperatorCode};

/// The custom operator that `detection` reads.
pub(super) const DETECTION: &str = "TFLite_Detection_PostProcess";

/// Whether an operator is that one.
pub(super) fn is_detection(code: &OperatorCode<'_>) -> bool {
    code.number() == Code::CUSTOM && code.custom_code() == Some(DETECTION)
}

/// What to do about a loop.
pub(super) const LOOP: &str = "a loop, as TensorFlow's converter writes recurrent layers: convert the SavedModel, .keras or .h5 file of the network, \
     or export it with `unroll=True`";

/// Translates one built-in operator.
pub(super) fn translate(code: Code, layer: &Layer<'_>) -> Result<Translated, Reason> {
    if let Some(kind) = unary_kind(code) {
        return arithmetic::unary(layer, kind);
    }
    if let Some(kind) = binary_kind(code) {
        return arithmetic::binary(layer, kind);
    }
    let name = code.variant_name().unwrap_or_default();
    if let Some(kind) = CompareKind::of(name) {
        return logic::compare(layer, kind);
    }
    if let Some(kind) = LogicKind::of(name).filter(|_| name.starts_with("LOGICAL")) {
        return logic::logical(layer, kind);
    }
    match code {
        Code::CAST => logic::cast(layer),
        Code::SELECT => logic::select(layer, true),
        Code::SELECT_V2 => logic::select(layer, false),
        Code::CONV_2D => windows::conv_2d(layer),
        Code::DEPTHWISE_CONV_2D => windows::depthwise_conv_2d(layer),
        Code::TRANSPOSE_CONV => windows::transpose_conv(layer),
        Code::AVERAGE_POOL_2D => windows::pool_2d(layer, PoolKind::Average),
        Code::MAX_POOL_2D => windows::pool_2d(layer, PoolKind::Max),
        Code::L2_POOL_2D => windows::l2_pool_2d(layer),
        Code::FULLY_CONNECTED => arithmetic::fully_connected(layer),
        Code::BATCH_MATMUL => arithmetic::batch_matmul(layer),
        Code::UNIDIRECTIONAL_SEQUENCE_LSTM => lstm::sequence_lstm(layer),
        Code::BIDIRECTIONAL_SEQUENCE_LSTM => lstm::both_directions(layer),
        Code::SVDF => svdf::svdf(layer),
        Code::LEAKY_RELU => arithmetic::leaky_relu(layer),
        Code::GELU => arithmetic::gelu(layer),
        Code::SOFTMAX => arithmetic::softmax(layer),
        Code::LOG_SOFTMAX => arithmetic::log_softmax(layer),
        Code::PRELU => arithmetic::prelu(layer),
        Code::L2_NORMALIZATION => arithmetic::l2_normalization(layer),
        Code::ADD_N => arithmetic::add_n(layer),
        Code::MEAN => arithmetic::reduce(layer, ReduceKind::Mean),
        Code::SUM => arithmetic::reduce(layer, ReduceKind::Sum),
        Code::REDUCE_MAX => arithmetic::reduce(layer, ReduceKind::Max),
        Code::REDUCE_MIN => arithmetic::reduce(layer, ReduceKind::Min),
        Code::REDUCE_ALL => arithmetic::reduce(layer, ReduceKind::Min),
        Code::REDUCE_ANY => arithmetic::reduce(layer, ReduceKind::Max),
        Code::ARG_MAX => arithmetic::arg(layer, true),
        Code::ARG_MIN => arithmetic::arg(layer, false),
        Code::TOPK_V2 => arithmetic::top_k(layer),
        Code::CUMSUM => arithmetic::cumsum(layer),
        Code::QUANTIZE => arithmetic::convert(layer, Op::Quantize),
        Code::DEQUANTIZE => arithmetic::convert(layer, Op::Dequantize),
        Code::FAKE_QUANT => arithmetic::fake_quant(layer),
        Code::PAD => movement::pad(layer, false),
        Code::PADV2 => movement::pad(layer, true),
        Code::CONCATENATION => movement::concatenation(layer),
        Code::SPLIT => movement::split(layer, 1, 0),
        Code::SPLIT_V => movement::split(layer, 0, 2),
        Code::SLICE => slices::slice(layer),
        Code::STRIDED_SLICE => slices::strided_slice(layer),
        Code::TRANSPOSE => movement::transpose(layer),
        Code::RESHAPE | Code::SQUEEZE | Code::EXPAND_DIMS => movement::reshape(layer),
        Code::PACK => movement::pack(layer),
        Code::UNPACK => movement::unpack(layer),
        Code::GATHER => movement::gather(layer),
        Code::GATHER_ND => Ok(Translated::new(Op::GatherNd(GatherNd { batch_dims: 0 }), layer.inputs)),
        Code::SCATTER_ND => places::scatter_nd(layer),
        Code::REVERSE_SEQUENCE => places::reverse_sequence(layer),
        Code::EMBEDDING_LOOKUP => movement::embedding_lookup(layer),
        Code::FILL => copies::fill(layer),
        Code::BROADCAST_ARGS => copies::broadcast_args(layer),
        Code::DYNAMIC_UPDATE_SLICE => Ok(Translated::new(Op::DynamicUpdateSlice, layer.inputs)),
        Code::TILE => copies::tile(layer),
        Code::BROADCAST_TO => copies::broadcast_to(layer),
        Code::MIRROR_PAD => copies::mirror_pad(layer),
        Code::REVERSE_V2 => copies::reverse(layer),
        Code::DEPTH_TO_SPACE => copies::depth_to_space(layer),
        Code::SPACE_TO_DEPTH => copies::space_to_depth(layer),
        Code::SPACE_TO_BATCH_ND | Code::BATCH_TO_SPACE_ND => Err(dilation::ONLY_AROUND.into()),
        Code::RESIZE_NEAREST_NEIGHBOR => movement::resize(layer, false),
        Code::RESIZE_BILINEAR => movement::resize(layer, true),
        _ => Err(Reason::new()),
    }
}

/// What a person can do about an operator that is unknown here; empty where there is no advice of its own.
pub(super) fn advice(builtin: Code, code: &OperatorCode<'_>) -> Reason {
    let advice = match (builtin, code.custom_code().unwrap_or_default()) {
        (Code::CUSTOM, "ethos-u") => {
            "Vela compiled these layers for an Ethos-U network processor: convert the .tflite that Vela was given"
        }
        (Code::CUSTOM, "edgetpu-custom-op") => {
            "these layers were compiled for the Edge TPU: convert the .tflite that its compiler was given"
        }
        (Code::CUSTOM, "NeutronGraph") => {
            "these layers were compiled for an eIQ Neutron network processor: convert the .tflite that its \
             converter was given"
        }
        (Code::CUSTOM, name) if name.starts_with("Flex") => {
            "an operator of TensorFlow itself (SELECT_TF_OPS), which no microcontroller runs: convert the SavedModel, \
             .keras or .h5 file of the network, or export it without this operator"
        }
        (Code::BIDIRECTIONAL_SEQUENCE_RNN | Code::UNIDIRECTIONAL_SEQUENCE_RNN, _) => {
            "convert the SavedModel, .keras or .h5 file of the network instead"
        }
        _ => "",
    };
    advice.into()
}

fn unary_kind(code: Code) -> Option<UnaryKind> {
    Some(match code {
        Code::RELU => UnaryKind::Relu,
        Code::RELU6 => UnaryKind::Relu6,
        Code::RELU_N1_TO_1 => UnaryKind::ReluN1To1,
        Code::ELU => UnaryKind::Elu { alpha: 1.0 },
        Code::LOGISTIC => UnaryKind::Logistic,
        Code::TANH => UnaryKind::Tanh,
        Code::HARD_SWISH => UnaryKind::HardSwish,
        Code::ABS => UnaryKind::Abs,
        Code::NEG => UnaryKind::Neg,
        Code::EXP => UnaryKind::Exp,
        Code::LOG => UnaryKind::Log,
        Code::SQRT => UnaryKind::Sqrt,
        Code::RSQRT => UnaryKind::Rsqrt,
        Code::SQUARE => UnaryKind::Square,
        Code::SIN => UnaryKind::Sin,
        Code::COS => UnaryKind::Cos,
        Code::CEIL => UnaryKind::Ceil,
        Code::FLOOR => UnaryKind::Floor,
        Code::ROUND => UnaryKind::Round,
        Code::SIGN => UnaryKind::Sign,
        _ => return None,
    })
}

fn binary_kind(code: Code) -> Option<BinaryKind> {
    Some(match code {
        Code::ADD => BinaryKind::Add,
        Code::SUB => BinaryKind::Sub,
        Code::MUL => BinaryKind::Mul,
        Code::DIV => BinaryKind::Div,
        Code::MAXIMUM => BinaryKind::Maximum,
        Code::MINIMUM => BinaryKind::Minimum,
        Code::SQUARED_DIFFERENCE => BinaryKind::SquaredDifference,
        Code::FLOOR_DIV => BinaryKind::FloorDiv,
        Code::FLOOR_MOD => BinaryKind::FloorMod,
        _ => return None,
    })
}
