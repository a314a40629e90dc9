//! The list of TensorFlow's operators, and the functions that translate them.

use super::evaluate::Evaluator;
use super::known::{self, Known};
use super::library::{Attributes, constant};
use super::tensor::{Layer, Tensor, Translation};
use super::{
    arithmetic, assignments, convolution, dense, einsum, host, lists, movement, normalization, places,
    rearrange, slices,
};
use crate::graph::{BinaryKind, CompareKind, Constant, DType, LogicKind, PoolKind, ReduceKind, UnaryKind};
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// Supported operators, except those in `arithmetic`'s tables, calls and loops.
const KNOWN: &[&str] = &[
    "AddN",
    "All",
    "Any",
    "ArgMax",
    "ArgMin",
    "AvgPool",
    "BatchMatMul",
    "BatchMatMulV2",
    "BatchToSpaceND",
    "BiasAdd",
    "BroadcastTo",
    "Cast",
    "ClipByValue",
    "ConcatV2",
    "Const",
    "Conv2D",
    "Conv2DBackpropInput",
    "Cumsum",
    "DepthToSpace",
    "DepthwiseConv2dNative",
    "Div",
    "DivNoNan",
    "Einsum",
    "EnsureShape",
    "Equal",
    "Erfc",
    "ExpandDims",
    "Expm1",
    "Fill",
    "FloorDiv",
    "FloorMod",
    "FusedBatchNorm",
    "FusedBatchNormV2",
    "FusedBatchNormV3",
    "Gather",
    "GatherNd",
    "GatherV2",
    "Greater",
    "GreaterEqual",
    "Identity",
    "IdentityN",
    "IsFinite",
    "IsInf",
    "IsNan",
    "LeakyRelu",
    "Less",
    "LessEqual",
    "Log1p",
    "LogSoftmax",
    "LogicalAnd",
    "LogicalNot",
    "LogicalOr",
    "MatMul",
    "MatrixBandPart",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "MirrorPad",
    "Mod",
    "NoOp",
    "NotEqual",
    "OneHot",
    "OnesLike",
    "Pack",
    "Pad",
    "PadV2",
    "Placeholder",
    "PlaceholderWithDefault",
    "Pow",
    "PreventGradient",
    "Prod",
    "Range",
    "Rank",
    "ReadVariableOp",
    "Reshape",
    "ResizeBilinear",
    "ResizeNearestNeighbor",
    "ResourceGather",
    "ReverseSequence",
    "ReverseV2",
    "Roll",
    "ScatterNd",
    "Select",
    "SelectV2",
    "Shape",
    "Size",
    "Slice",
    "Snapshot",
    "Softmax",
    "SpaceToBatchND",
    "SpaceToDepth",
    "Split",
    "SplitV",
    "Squeeze",
    "StopGradient",
    "StridedSlice",
    "Sum",
    "TensorListFromTensor",
    "TensorListGetItem",
    "TensorListLength",
    "TensorListReserve",
    "TensorListSetItem",
    "TensorListStack",
    "TensorScatterUpdate",
    "Tile",
    "TopKV2",
    "Transpose",
    "TruncateDiv",
    "Unpack",
    "VarHandleOp",
    "Variable",
    "VariableV2",
    "Where",
    "ZerosLike",
];

/// Whether an operator is supported in some form.
pub(super) fn is_known(op: &str) -> bool {
    KNOWN.contains(&op) || unary(op).is_some() || binary(op).is_some()
}

/// Translates a node: computes its results, or adds the layer that it becomes.
pub(super) fn translate(e: &mut Evaluator<'_>, layer: &mut Layer<'_>) -> Translation {
    if let Some(outcome) = assignments::effect(e, layer) {
        return outcome;
    }
    if let Some(tensors) = given(e, layer)? {
        return Ok(tensors);
    }
    if let Some(tensor) = host::compute(layer)? {
        return Ok(vec![tensor]);
    }
    if let Some(outcome) = rearrange::known(layer) {
        return outcome;
    }
    if let Some(outcome) = host::compute_floats(e, layer, self::layer) {
        return outcome;
    }
    self::layer(e, layer)
}

/// Nodes that need no computation: constants, handles, copies, shapes.
fn given(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Result<Option<Vec<Tensor>>, Refusal> {
    let node = layer.node;
    let one = |tensor: Tensor| Ok(Some(vec![tensor]));
    let numbers = |shape: Vec<usize>, values: &[i64], attribute: &str| {
        let dtype = layer.dtype(attribute, DType::Int32)?;
        one(Tensor::Known(Known::integers(&layer.name, shape, values, dtype)))
    };
    match node.op.as_str() {
        // Strings and other types do no harm if no layer reads them.
        "Const" => match constant(node) {
            Ok(known) => one(Tensor::Known(known)),
            Err(_) if node.type_number("dtype") == Some(7) => one(Tensor::Opaque),
            Err(_) if node.type_number("dtype").is_some_and(known::is_complex) => {
                Err("complex numbers cannot be computed".into())
            }
            Err(what) => {
                Err(damaged(format!("constant `{}` has {what}", node.name)).about(&node.name).into())
            }
        },
        // A layer that reads a table is refused by its own name.
        op if op.contains("HashTable") && !op.starts_with("Initialize") => one(Tensor::Opaque),
        "VarHandleOp" | "VariableV2" | "Variable" => one(Tensor::Variable(node.name.as_str().into())),
        "ReadVariableOp" => match layer.input(0)? {
            Tensor::Variable(handle) => one(assignments::read(e, handle)?),
            known @ Tensor::Known(_) => one(known.clone()),
            _ => Err("it reads something that is not a variable".into()),
        },
        "Identity"
        | "StopGradient"
        | "PreventGradient"
        | "Snapshot"
        | "EnsureShape"
        | "PlaceholderWithDefault" => {
            match layer.input(0)? {
                // In version 1, the variable itself is the operand.
                Tensor::Variable(handle) if is_version_1(e, handle) => {
                    one(Tensor::Known(e.variables.read(handle)?))
                }
                other => one(other.clone()),
            }
        }
        "IdentityN" => Ok(Some(layer.inputs.to_vec())),
        "NoOp" => Ok(Some(Vec::new())),
        "Placeholder" => Err(damaged(format!(
            "`{}` must be given a value, but is not an input of the signature",
            node.name
        ))
        .about(&node.name)
        .into()),
        "Shape" | "Size" | "Rank" | "ZerosLike" | "OnesLike" => {
            let Some(shape) = e.shape(layer.input(0)?) else { return Err("the shape of a list".into()) };
            let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
            match node.op.as_str() {
                "Shape" => numbers(vec![dims.len()], &dims, "out_type"),
                "Size" => numbers(vec![], &[dims.iter().product()], "out_type"),
                "Rank" => numbers(vec![], &[dims.len() as i64], "none"),
                op => {
                    let fill = vec![i64::from(op == "OnesLike"); shape.iter().product()];
                    let dtype = layer.dtype("T", DType::Float32)?;
                    one(Tensor::Known(Known::integers(&layer.name, shape, &fill, dtype)))
                }
            }
        }
        _ => Ok(None),
    }
}

fn is_version_1(e: &Evaluator<'_>, handle: &str) -> bool {
    e.library.graph.nodes.get(handle).is_some_and(|node| node.op.starts_with("Variable"))
}

/// Translates a node to layers.
pub(super) fn layer(e: &mut Evaluator<'_>, layer: &mut Layer<'_>) -> Translation {
    let op = layer.node.op.as_str();
    if let Some(kind) = unary(op) {
        return arithmetic::unary(e, layer, kind);
    }
    if let Some(kind) = binary(op) {
        return arithmetic::binary(e, layer, kind);
    }
    if let Some(kind) = CompareKind::of(op) {
        return arithmetic::compare(e, layer, kind);
    }
    if let Some(kind) = LogicKind::of(op).filter(|_| op.starts_with("Logical")) {
        return arithmetic::logical(e, layer, kind);
    }
    match op {
        // What quantized numbers and their samples never are.
        "IsNan" | "IsInf" | "IsFinite" => {
            let shape = e.shape(layer.input(0)?).ok_or("an operand that is not an array of numbers")?;
            let is: fn(f32) -> bool = match op {
                "IsNan" => f32::is_nan,
                "IsInf" => f32::is_infinite,
                _ => f32::is_finite,
            };
            let truth = match layer.input(0)? {
                Tensor::Known(known) => known.data.to_real(None, &[]).into_iter().map(is).collect(),
                _ => vec![is(0.0); shape.iter().product()],
            };
            let truth = Constant::Bool(truth);
            Ok(vec![Tensor::Known(Known::new(&layer.name, shape, truth))])
        }
        "Erfc" => arithmetic::erfc(e, layer),
        "Expm1" => arithmetic::expm1(e, layer),
        "Log1p" => arithmetic::log1p(e, layer),
        "Select" | "SelectV2" => arithmetic::select(e, layer),
        "BiasAdd" => arithmetic::bias_add(e, layer),
        "LeakyRelu" => {
            arithmetic::unary(e, layer, UnaryKind::LeakyRelu { alpha: layer.node.float("alpha", 0.2) })
        }
        "Pow" => arithmetic::power(e, layer),
        "ClipByValue" => arithmetic::clip(e, layer),
        "Softmax" => arithmetic::softmax(e, layer, false),
        "LogSoftmax" => arithmetic::softmax(e, layer, true),
        "Mean" => arithmetic::reduce(e, layer, ReduceKind::Mean),
        "Sum" => arithmetic::reduce(e, layer, ReduceKind::Sum),
        "Prod" => arithmetic::product(e, layer),
        "DivNoNan" => arithmetic::div_no_nan(e, layer),
        "Max" => arithmetic::reduce(e, layer, ReduceKind::Max),
        "Min" => arithmetic::reduce(e, layer, ReduceKind::Min),
        "ArgMax" => arithmetic::arg(e, layer, true),
        "ArgMin" => arithmetic::arg(e, layer, false),
        "Cumsum" => arithmetic::cumsum(e, layer),
        "TopKV2" => arithmetic::top_k(e, layer),
        "AddN" => arithmetic::add_n(e, layer),
        "Any" => arithmetic::reduce(e, layer, ReduceKind::Max),
        "All" => arithmetic::reduce(e, layer, ReduceKind::Min),
        "ScatterNd" => places::scatter(e, layer, false),
        "TensorScatterUpdate" => places::scatter(e, layer, true),
        "ReverseSequence" => places::reverse_sequence(e, layer),
        "Roll" => places::roll(e, layer),
        "DepthToSpace" => places::depth_and_space(e, layer, true),
        "SpaceToDepth" => places::depth_and_space(e, layer, false),
        "Cast" => arithmetic::cast(e, layer),
        "Conv2D" => convolution::conv_2d(e, layer),
        "DepthwiseConv2dNative" => convolution::depthwise(e, layer),
        "Conv2DBackpropInput" => convolution::transposed(e, layer),
        "MaxPool" => convolution::pool(e, layer, PoolKind::Max),
        "AvgPool" => convolution::pool(e, layer, PoolKind::Average),
        "SpaceToBatchND" => convolution::space_to_batch(e, layer),
        "BatchToSpaceND" => convolution::batch_to_space(e, layer),
        "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => normalization::batch_norm(e, layer),
        "MatMul" => dense::mat_mul(e, layer),
        "BatchMatMul" | "BatchMatMulV2" => dense::batch_mat_mul(e, layer),
        "Einsum" => einsum::einsum(e, layer),
        "Squeeze" | "ExpandDims" if matches!(layer.inputs.first(), Some(Tensor::Spaced(_))) => {
            convolution::reshape(e, layer)
        }
        "Reshape" | "Squeeze" | "ExpandDims" => movement::reshape(e, layer),
        "Transpose" => movement::transpose(e, layer),
        "ConcatV2" => movement::concat(e, layer),
        "Pack" => movement::pack(e, layer),
        "Unpack" => movement::unpack(e, layer),
        "Split" => movement::split(e, layer, 1, 0),
        "SplitV" => movement::split(e, layer, 0, 2),
        "Pad" | "PadV2" => movement::pad(e, layer),
        "MirrorPad" => movement::mirror_pad(e, layer),
        "Tile" | "BroadcastTo" => movement::repeat(e, layer),
        "ReverseV2" | "Slice" | "StridedSlice" => slices::take(e, layer),
        "GatherV2" | "Gather" | "ResourceGather" => movement::gather(e, layer),
        "GatherNd" => movement::gather_nd(e, layer),
        "OneHot" => arithmetic::one_hot(e, layer),
        "ResizeNearestNeighbor" => movement::resize(e, layer, false),
        "ResizeBilinear" => movement::resize(e, layer, true),
        _ if is_random(op) => {
            Err("random numbers, as dropout and noise draw them in training mode: export the model for inference, \
                 with training=False"
                .into())
        }
        _ if op.starts_with("TensorList") => lists::list(e, layer),
        _ if is_known(op) => Err("its operands are computed by other layers".into()),
        _ => Err(Refusal::Unknown),
    }
}

/// Whether an operator draws random numbers, or keeps the state of a generator.
fn is_random(op: &str) -> bool {
    let words = ["Random", "StatelessRandom", "Stateful", "Rng", "Multinomial", "TruncatedNormal"];
    words.iter().any(|word| op.starts_with(word) || op.starts_with(&format!("Stateless{word}")))
        || ["ParameterizedTruncatedNormal", "StatelessShuffle"].contains(&op)
}

fn unary(op: &str) -> Option<UnaryKind> {
    Some(match op {
        "Relu" => UnaryKind::Relu,
        "Relu6" => UnaryKind::Relu6,
        "Elu" => UnaryKind::Elu { alpha: 1.0 },
        // The constants of Klambauer et al., 2017.
        "Selu" => UnaryKind::Selu { alpha: 1.673_263_2, gamma: 1.050_701 },
        "Sigmoid" => UnaryKind::Logistic,
        "Tanh" => UnaryKind::Tanh,
        "Softplus" => UnaryKind::Softplus,
        "Softsign" => UnaryKind::Softsign,
        "Exp" => UnaryKind::Exp,
        "Log" => UnaryKind::Log,
        "Sqrt" => UnaryKind::Sqrt,
        "Rsqrt" => UnaryKind::Rsqrt,
        "Square" => UnaryKind::Square,
        "Abs" => UnaryKind::Abs,
        "Neg" => UnaryKind::Neg,
        "Erf" => UnaryKind::Erf,
        "Reciprocal" | "Inv" => UnaryKind::Reciprocal,
        "Sin" => UnaryKind::Sin,
        "Cos" => UnaryKind::Cos,
        "Ceil" => UnaryKind::Ceil,
        "Floor" => UnaryKind::Floor,
        "Rint" | "Round" => UnaryKind::Round,
        "Sign" => UnaryKind::Sign,
        _ => return None,
    })
}

fn binary(op: &str) -> Option<BinaryKind> {
    Some(match op {
        "Add" | "AddV2" => BinaryKind::Add,
        "Sub" => BinaryKind::Sub,
        "Mul" => BinaryKind::Mul,
        "RealDiv" => BinaryKind::Div,
        "Maximum" => BinaryKind::Maximum,
        "Minimum" => BinaryKind::Minimum,
        "SquaredDifference" => BinaryKind::SquaredDifference,
        "Div" | "TruncateDiv" => BinaryKind::Div,
        "FloorDiv" => BinaryKind::FloorDiv,
        "FloorMod" | "Mod" => BinaryKind::FloorMod,
        _ => return None,
    })
}
