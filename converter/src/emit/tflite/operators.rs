//! From nodes to operators of the TFLite schema, with their options, versions and operands.
//!
//! Versions are the smallest that say "int8" for an operator in TFLite's registry
//! (`tensorflow/lite/tools/versioning/op_version.cc`); LiteRT refuses a version that it does not know.

use flatbuffers::{FlatBufferBuilder, WIPOffset};

use super::windows::{Cropped, Said, cropping, padding};
use super::{Operator, Options, Tensor, Writer};
use crate::error::{Error, Result};
use crate::graph::{
    Activation, ArgMax, ArgMin, BatchMatMul, Binary, BinaryKind, Concat, Constant, Conv2d, DType,
    DepthwiseConv2d, FullyConnected, Gather, Node, Op, Pack, Pad, Pool2d, PoolKind, Quantization, Reduce,
    ReduceKind, ResizeBilinear, ResizeNearest, Slice, Softmax, Split, Transpose, TransposeConv, UnaryKind,
    Unpack, ValueId, Window,
};
use crate::tflite::{
    self as schema, ActivationFunctionType as Fused, BuiltinOperator as Code, BuiltinOptions as Kind,
};

/// Writes one node, as one operator or several.
pub(super) fn write(w: &mut Writer<'_>, node: &Node) -> Result<()> {
    crate::reference::check_node(w.graph, node)?;
    match &node.op {
        Op::Conv2d(Conv2d { window, activation }) => conv_2d(w, node, window, *activation),
        Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation }) => {
            depthwise_conv_2d(w, node, window, *multiplier, *activation)
        }
        Op::FullyConnected(FullyConnected { activation }) => fully_connected(w, node, *activation),
        Op::TransposeConv(TransposeConv { window, activation }) => {
            transpose_conv(w, node, window, *activation)
        }
        Op::Pool2d(Pool2d { kind, window, activation }) => pool_2d(w, node, *kind, window, *activation),
        Op::BatchMatMul(BatchMatMul { transpose_a, transpose_b }) => {
            let (adj_x, adj_y) = (*transpose_a, *transpose_b);
            let options = options(Kind::BatchMatMulOptions, move |fbb| {
                let args = schema::BatchMatMulOptionsArgs { adj_x, adj_y, ..Default::default() };
                schema::BatchMatMulOptions::create(fbb, &args)
            });
            simple(w, node, Code::BATCH_MATMUL, 2, Some(options))
        }
        Op::Binary(Binary { kind, activation }) => binary(w, node, *kind, *activation),
        Op::Unary(kind) => unary(w, node, *kind),
        Op::Lookup => with_table(w, node),
        Op::Gather(Gather { axis, batch_dims }) => {
            let (axis, batch_dims) = (*axis as i32, *batch_dims as i32);
            let options = options(Kind::GatherOptions, move |fbb| {
                schema::GatherOptions::create(fbb, &schema::GatherOptionsArgs { axis, batch_dims })
            });
            simple(w, node, Code::GATHER, if batch_dims == 0 { 2 } else { 5 }, Some(options))
        }
        &Op::Softmax(Softmax { beta }) => {
            let options = options(Kind::SoftmaxOptions, move |fbb| {
                schema::SoftmaxOptions::create(fbb, &schema::SoftmaxOptionsArgs { beta })
            });
            simple(w, node, Code::SOFTMAX, 2, Some(options))
        }
        Op::Pad(Pad { amounts, value }) => pad(w, node, amounts, *value),
        Op::Reduce(Reduce { kind, axes, keep_dims }) => {
            let code = match kind {
                ReduceKind::Mean => Code::MEAN,
                ReduceKind::Sum => Code::SUM,
                ReduceKind::Max => Code::REDUCE_MAX,
                ReduceKind::Min => Code::REDUCE_MIN,
            };
            let keep_dims = *keep_dims;
            let options = options(Kind::ReducerOptions, move |fbb| {
                schema::ReducerOptions::create(fbb, &schema::ReducerOptionsArgs { keep_dims })
            });
            let axes = w.integers(format!("{}/axes", node.name), axes.iter().copied());
            with_constants(w, node, code, 2, Some(options), &[axes])
        }
        Op::Concat(Concat { axis, activation }) => {
            let (axis, fused) = (*axis as i32, fused(*activation));
            let options = options(Kind::ConcatenationOptions, move |fbb| {
                let args = schema::ConcatenationOptionsArgs { axis, fused_activation_function: fused };
                schema::ConcatenationOptions::create(fbb, &args)
            });
            simple(w, node, Code::CONCATENATION, 2, Some(options))
        }
        Op::Split(Split { axis }) => split(w, node, *axis),
        Op::Slice(Slice { begin, size, stride }) => slice(w, node, begin, size, stride),
        Op::Transpose(Transpose { permutation }) => {
            let permutation = w.integers(format!("{}/permutation", node.name), permutation.iter().copied());
            with_constants(w, node, Code::TRANSPOSE, 2, None, &[permutation])
        }
        Op::Reshape => {
            let shape = w.graph.value(node.outputs[0]).shape.clone();
            let shape = w.integers(format!("{}/shape", node.name), shape);
            with_constants(w, node, Code::RESHAPE, 1, None, &[shape])
        }
        Op::Pack(Pack { axis }) => {
            let (axis, values_count) = (*axis as i32, node.inputs.len() as i32);
            let options = options(Kind::PackOptions, move |fbb| {
                schema::PackOptions::create(fbb, &schema::PackOptionsArgs { values_count, axis })
            });
            simple(w, node, Code::PACK, 2, Some(options))
        }
        Op::Unpack(Unpack { axis }) => {
            let (axis, num) = (*axis as i32, node.outputs.len() as i32);
            let options = options(Kind::UnpackOptions, move |fbb| {
                schema::UnpackOptions::create(fbb, &schema::UnpackOptionsArgs { num, axis })
            });
            simple(w, node, Code::UNPACK, 2, Some(options))
        }
        &Op::ResizeNearest(ResizeNearest { align_corners, half_pixel_centers }) => {
            let options = options(Kind::ResizeNearestNeighborOptions, move |fbb| {
                let args = schema::ResizeNearestNeighborOptionsArgs { align_corners, half_pixel_centers };
                schema::ResizeNearestNeighborOptions::create(fbb, &args)
            });
            resize(w, node, Code::RESIZE_NEAREST_NEIGHBOR, options)
        }
        &Op::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers }) => {
            let options = options(Kind::ResizeBilinearOptions, move |fbb| {
                let args = schema::ResizeBilinearOptionsArgs { align_corners, half_pixel_centers };
                schema::ResizeBilinearOptions::create(fbb, &args)
            });
            resize(w, node, Code::RESIZE_BILINEAR, options)
        }
        Op::Quantize => {
            let from_float = node.input(0).is_some_and(|id| w.graph.value(id).dtype == DType::Float32);
            simple(w, node, Code::QUANTIZE, if from_float { 1 } else { 2 }, None)
        }
        Op::Dequantize => simple(w, node, Code::DEQUANTIZE, 2, None),
        Op::ArgMax(ArgMax { axis }) => {
            let output_type = index_type(w, node);
            let options = options(Kind::ArgMaxOptions, move |fbb| {
                schema::ArgMaxOptions::create(fbb, &schema::ArgMaxOptionsArgs { output_type })
            });
            let axis = w.constant(format!("{}/axis", node.name), &[], Constant::I32(vec![*axis as i32]));
            with_constants(w, node, Code::ARG_MAX, 2, Some(options), &[axis])
        }
        Op::ArgMin(ArgMin { axis }) => {
            let output_type = index_type(w, node);
            let options = options(Kind::ArgMinOptions, move |fbb| {
                schema::ArgMinOptions::create(fbb, &schema::ArgMinOptionsArgs { output_type })
            });
            let axis = w.constant(format!("{}/axis", node.name), &[], Constant::I32(vec![*axis as i32]));
            with_constants(w, node, Code::ARG_MIN, 2, Some(options), &[axis])
        }
        Op::QuantizeScaled(_) | Op::LogSoftmax | Op::Prelu | Op::Recurrent(_) | Op::Unsupported(_) => {
            Err(refuse(node, "it cannot be written as int8"))
        }
    }
}

fn refuse(node: &Node, why: &str) -> Error {
    Error::input(format!("layer `{}` ({}): {why} in a TensorFlow Lite file", node.name, node.op.name()))
        .help("write a .ferro file instead, which holds this layer")
}

/// Options of one kind, made by `create`.
fn options<T: 'static>(
    kind: Kind,
    create: impl Fn(&mut FlatBufferBuilder<'static>) -> WIPOffset<T> + 'static,
) -> Options {
    Box::new(move |fbb| (kind, create(fbb).as_union_value()))
}

fn fused(activation: Activation) -> Fused {
    match activation {
        Activation::None => Fused::NONE,
        Activation::Relu => Fused::RELU,
        Activation::Relu6 => Fused::RELU6,
        Activation::ReluN1To1 => Fused::RELU_N1_TO_1,
    }
}

fn index_type(w: &Writer<'_>, node: &Node) -> schema::TensorType {
    match w.graph.value(node.outputs[0]).dtype {
        DType::Int64 => schema::TensorType::INT64,
        _ => schema::TensorType::INT32,
    }
}

/// The node's operands as tensors.
fn inputs(w: &mut Writer<'_>, node: &Node) -> Vec<i32> {
    node.inputs.iter().map(|id| id.map_or(-1, |id| w.value(id))).collect()
}

/// One operator with the node's operands and results.
fn simple(w: &mut Writer<'_>, node: &Node, code: Code, version: i32, options: Option<Options>) -> Result<()> {
    with_constants(w, node, code, version, options, &[])
}

/// One operator with the node's operands, then these constants.
fn with_constants(
    w: &mut Writer<'_>,
    node: &Node,
    code: Code,
    version: i32,
    options: Option<Options>,
    constants: &[i32],
) -> Result<()> {
    let mut inputs = inputs(w, node);
    // Trailing operands that are absent are left out.
    while inputs.last() == Some(&-1) {
        inputs.pop();
    }
    inputs.extend(constants);
    let outputs = node.outputs.iter().map(|&id| w.value(id)).collect();
    w.operators.push(Operator { code, version, options, inputs, outputs });
    Ok(())
}

/// Height and width of the operand at 0 and of the result.
fn sizes(w: &Writer<'_>, node: &Node) -> ([usize; 2], [usize; 2]) {
    let size = |shape: &[usize]| [shape[1], shape[2]];
    let input = node.input(0).map_or([1, 1], |id| size(&w.graph.value(id).shape));
    (input, size(&w.graph.value(node.outputs[0]).shape))
}

/// The input padded by an operator of its own, with zero or `value`; its tensor.
fn pad_first(w: &mut Writer<'_>, node: &Node, window: &Window, value: Option<i8>) -> i32 {
    let Some(id) = node.input(0) else { return -1 };
    let source = w.graph.value(id).clone();
    let mut amounts = [(0, 0); 4];
    let mut shape = source.shape.clone();
    for d in 0..2 {
        amounts[d + 1] = (window.pad_before[d], window.pad_after[d]);
        shape[d + 1] += window.pad_before[d] + window.pad_after[d];
    }
    let padded = w.tensor(Tensor {
        name: format!("{}/padded", node.name),
        shape,
        dtype: source.dtype,
        quantization: source.quantization.clone(),
        data: None,
    });
    let input = w.value(id);
    pad_operator(w, &node.name, (input, padded), &amounts, value.map(|v| (v, source.quantization)));
    padded
}

fn pad_operator(
    w: &mut Writer<'_>,
    layer: &str,
    (input, output): (i32, i32),
    amounts: &[(usize, usize)],
    value: Option<(i8, Option<Quantization>)>,
) {
    let flat: Vec<i32> = amounts.iter().flat_map(|&(a, b)| [a as i32, b as i32]).collect();
    let paddings = w.constant(format!("{layer}/paddings"), &[amounts.len(), 2], Constant::I32(flat));
    let mut inputs = vec![input, paddings];
    let code = if value.is_some() { Code::PADV2 } else { Code::PAD };
    if let Some((value, quantization)) = value {
        let (name, data) = (format!("{layer}/value"), Some(vec![value as u8]));
        inputs.push(w.tensor(Tensor { name, shape: vec![1], dtype: DType::Int8, quantization, data }));
    }
    w.operators.push(Operator { code, version: 2, options: None, inputs, outputs: vec![output] });
}

fn pad(w: &mut Writer<'_>, node: &Node, amounts: &[(usize, usize)], value: Option<f64>) -> Result<()> {
    let Some(id) = node.input(0) else { return Ok(()) };
    let quantization = w.graph.value(id).quantization.clone();
    let ends = (w.value(id), w.value(node.outputs[0]));
    pad_operator(w, &node.name, ends, amounts, value.map(|v| (v as i8, quantization)));
    Ok(())
}

/// A bias of zeros for a convolution that has none: LiteRT does not run convolutions without one, and
/// TFLM's depthwise kernel reads it unasked.
fn zero_bias(w: &mut Writer<'_>, node: &Node) -> i32 {
    let value = |position| node.input(position).map(|id| w.graph.value(id));
    let scale = |position| value(position).and_then(|value| value.quantization.clone());
    let channels = w.graph.value(node.outputs[0]).shape.last().copied().unwrap_or(1);
    let quantization = scale(0).and_then(|q| q.tensor()).zip(scale(1)).map(|((input, _), weights)| {
        let scales = weights.scale.iter().map(|scale| scale * input).collect();
        Quantization { scale: scales, zero_point: vec![0; weights.scale.len()], axis: 0 }
    });
    let data = Some(vec![0; channels * size_of::<i32>()]);
    let name = format!("{}/bias", node.name);
    w.tensor(Tensor { name, shape: vec![channels], dtype: DType::Int32, quantization, data })
}

/// The operands of a layer with a window, its padding said by a word.
fn windowed(
    w: &mut Writer<'_>,
    node: &Node,
    window: &Window,
    fill: Option<i8>,
) -> (schema::Padding, Vec<i32>) {
    let (image, output) = sizes(w, node);
    let said = padding(window, image, output);
    let mut inputs = inputs(w, node);
    while inputs.last() == Some(&-1) {
        inputs.pop();
    }
    match said {
        Said::Word(word) => (word, inputs),
        Said::PadFirst => {
            inputs[0] = pad_first(w, node, window, fill);
            (schema::Padding::VALID, inputs)
        }
    }
}

fn push(
    w: &mut Writer<'_>,
    node: &Node,
    code: Code,
    version: i32,
    options: Options,
    inputs: Vec<i32>,
) -> Result<()> {
    let outputs = node.outputs.iter().map(|&id| w.value(id)).collect();
    w.operators.push(Operator { code, version, options: Some(options), inputs, outputs });
    Ok(())
}

fn conv_2d(w: &mut Writer<'_>, node: &Node, window: &Window, activation: Activation) -> Result<()> {
    let (padding, mut inputs) = windowed(w, node, window, None);
    if inputs.len() == 2 {
        inputs.push(zero_bias(w, node));
    }
    let ([stride_h, stride_w], [dilation_h, dilation_w]) = (window.stride, window.dilation);
    let options = options(Kind::Conv2DOptions, move |fbb| {
        schema::Conv2DOptions::create(
            fbb,
            &schema::Conv2DOptionsArgs {
                padding,
                stride_w: stride_w as i32,
                stride_h: stride_h as i32,
                fused_activation_function: fused(activation),
                dilation_w_factor: dilation_w as i32,
                dilation_h_factor: dilation_h as i32,
                ..Default::default()
            },
        )
    });
    push(w, node, Code::CONV_2D, 3, options, inputs)
}

fn depthwise_conv_2d(
    w: &mut Writer<'_>,
    node: &Node,
    window: &Window,
    multiplier: usize,
    activation: Activation,
) -> Result<()> {
    let (padding, mut inputs) = windowed(w, node, window, None);
    if inputs.len() == 2 {
        inputs.push(zero_bias(w, node));
    }
    let ([stride_h, stride_w], [dilation_h, dilation_w]) = (window.stride, window.dilation);
    let options = options(Kind::DepthwiseConv2DOptions, move |fbb| {
        schema::DepthwiseConv2DOptions::create(
            fbb,
            &schema::DepthwiseConv2DOptionsArgs {
                padding,
                stride_w: stride_w as i32,
                stride_h: stride_h as i32,
                depth_multiplier: multiplier as i32,
                fused_activation_function: fused(activation),
                dilation_w_factor: dilation_w as i32,
                dilation_h_factor: dilation_h as i32,
            },
        )
    });
    push(w, node, Code::DEPTHWISE_CONV_2D, 3, options, inputs)
}

fn pool_2d(
    w: &mut Writer<'_>,
    node: &Node,
    kind: PoolKind,
    window: &Window,
    activation: Activation,
) -> Result<()> {
    let (image, output) = sizes(w, node);
    // Padding first would count into the mean.
    if kind == PoolKind::Average && padding(window, image, output) == Said::PadFirst {
        return Err(refuse(node, "an average with this padding cannot be said"));
    }
    let (padding, inputs) = windowed(w, node, window, Some(i8::MIN));
    let ([filter_height, filter_width], [stride_h, stride_w]) = (window.kernel, window.stride);
    let options = options(Kind::Pool2DOptions, move |fbb| {
        schema::Pool2DOptions::create(
            fbb,
            &schema::Pool2DOptionsArgs {
                padding,
                stride_w: stride_w as i32,
                stride_h: stride_h as i32,
                filter_width: filter_width as i32,
                filter_height: filter_height as i32,
                fused_activation_function: fused(activation),
            },
        )
    });
    let code = match kind {
        PoolKind::Average => Code::AVERAGE_POOL_2D,
        PoolKind::Max => Code::MAX_POOL_2D,
    };
    push(w, node, code, 2, options, inputs)
}

/// Operands in TFLite's order: output shape, filter, input, bias. What neither of TFLite's words crops is cut
/// out of the uncropped result by a slice.
fn transpose_conv(w: &mut Writer<'_>, node: &Node, window: &Window, activation: Activation) -> Result<()> {
    let (image, output) = sizes(w, node);
    let result = w.graph.value(node.outputs[0]).clone();
    let said = if window.dilation == [1, 1] { cropping(window, image, output) } else { None };
    let (padding, whole) = match said {
        Some(Cropped::Word(padding)) => (padding, None),
        Some(Cropped::Sliced(size)) => (schema::Padding::VALID, Some(size)),
        None => return Err(refuse(node, "a transposed convolution with this padding cannot be said")),
    };
    let [stride_h, stride_w] = window.stride;
    let options = options(Kind::TransposeConvOptions, move |fbb| {
        schema::TransposeConvOptions::create(
            fbb,
            &schema::TransposeConvOptionsArgs {
                padding,
                stride_w: stride_w as i32,
                stride_h: stride_h as i32,
                fused_activation_function: fused(activation),
                ..Default::default()
            },
        )
    });
    let mut shape = result.shape.clone();
    if let Some(size) = whole {
        shape[1..3].copy_from_slice(&size);
    }
    let uncropped = whole.map(|_| {
        w.tensor(Tensor {
            name: format!("{}/uncropped", node.name),
            shape: shape.clone(),
            dtype: result.dtype,
            quantization: result.quantization,
            data: None,
        })
    });
    let shape = w.integers(format!("{}/shape", node.name), shape);
    let operands = inputs(w, node);
    let mut inputs = vec![shape, operands[1], operands[0]];
    inputs.extend(operands.get(2).filter(|&&bias| bias >= 0));
    // Version 3 has a bias, version 4 an activation.
    let version = if activation == Activation::None { 3 } else { 4 };
    let Some(uncropped) = uncropped else {
        return push(w, node, Code::TRANSPOSE_CONV, version, options, inputs);
    };
    let (code, options, outputs) = (Code::TRANSPOSE_CONV, Some(options), vec![uncropped]);
    w.operators.push(Operator { code, version, options, inputs, outputs });
    let [before_h, before_w] = window.pad_before;
    let output = w.value(node.outputs[0]);
    strided_slice(w, &node.name, (uncropped, output), &[0, before_h, before_w, 0], &result.shape, &[1; 4]);
    Ok(())
}

fn fully_connected(w: &mut Writer<'_>, node: &Node, activation: Activation) -> Result<()> {
    let dims = |id: Option<ValueId>| id.map_or(Vec::new(), |id| w.graph.value(id).shape.clone());
    let (input, weights, output) =
        (dims(node.input(0)), dims(node.input(1)), dims(node.outputs.first().copied()));
    let (outputs, inputs_per_row) = (weights[0], weights[1]);
    let keep_num_dims = output.len() != 2;
    // TFLite keeps dimensions of an input whose last one is a row; all else is a matrix, and a RESHAPE.
    let kept = input.last() == Some(&inputs_per_row)
        && input.len() == output.len()
        && input[..input.len() - 1] == output[..output.len() - 1];
    if keep_num_dims && !kept {
        let result = w.graph.value(node.outputs[0]).clone();
        let matrix = w.tensor(Tensor {
            name: format!("{}/matrix", node.name),
            shape: vec![result.elements() / outputs, outputs],
            dtype: result.dtype,
            quantization: result.quantization,
            data: None,
        });
        let operands = inputs(w, node);
        let options = fully_connected_options(activation, false);
        let operands = operands.into_iter().filter(|&operand| operand >= 0).collect();
        let (code, options, outputs) = (Code::FULLY_CONNECTED, Some(options), vec![matrix]);
        w.operators.push(Operator { code, version: 4, options, inputs: operands, outputs });
        let shape = w.integers(format!("{}/shape", node.name), result.shape);
        let (code, inputs, outputs) = (Code::RESHAPE, vec![matrix, shape], vec![w.value(node.outputs[0])]);
        w.operators.push(Operator { code, version: 1, options: None, inputs, outputs });
        return Ok(());
    }
    // Version 5 keeps dimensions.
    let options = fully_connected_options(activation, keep_num_dims);
    simple(w, node, Code::FULLY_CONNECTED, if keep_num_dims { 5 } else { 4 }, Some(options))
}

fn fully_connected_options(activation: Activation, keep_num_dims: bool) -> Options {
    options(Kind::FullyConnectedOptions, move |fbb| {
        let fused_activation_function = fused(activation);
        let args = schema::FullyConnectedOptionsArgs {
            fused_activation_function,
            keep_num_dims,
            ..Default::default()
        };
        schema::FullyConnectedOptions::create(fbb, &args)
    })
}

fn binary(w: &mut Writer<'_>, node: &Node, kind: BinaryKind, activation: Activation) -> Result<()> {
    let fused_activation_function = fused(activation);
    let options = match kind {
        BinaryKind::Add => options(Kind::AddOptions, move |fbb| {
            let args = schema::AddOptionsArgs { fused_activation_function, ..Default::default() };
            schema::AddOptions::create(fbb, &args)
        }),
        BinaryKind::Sub => options(Kind::SubOptions, move |fbb| {
            let args = schema::SubOptionsArgs { fused_activation_function, ..Default::default() };
            schema::SubOptions::create(fbb, &args)
        }),
        BinaryKind::Mul => options(Kind::MulOptions, move |fbb| {
            schema::MulOptions::create(fbb, &schema::MulOptionsArgs { fused_activation_function })
        }),
        BinaryKind::Maximum | BinaryKind::Minimum if activation == Activation::None => {
            let code = if kind == BinaryKind::Maximum { Code::MAXIMUM } else { Code::MINIMUM };
            return simple(w, node, code, 2, None);
        }
        _ => return Err(refuse(node, "it cannot be written as int8")),
    };
    let code = match kind {
        BinaryKind::Add => Code::ADD,
        BinaryKind::Sub => Code::SUB,
        _ => Code::MUL,
    };
    simple(w, node, code, 2, Some(options))
}

/// Functions that TFLM computes in int8 are themselves; for all others the graph's own table is looked
/// up: CAST to int32, ADD 128, GATHER.
fn unary(w: &mut Writer<'_>, node: &Node, kind: UnaryKind) -> Result<()> {
    let quantization = |id: Option<ValueId>| id.and_then(|id| w.graph.value(id).quantization.clone());
    let rescales = quantization(node.input(0)) != quantization(node.outputs.first().copied());
    let result = quantization(node.outputs.first().copied()).and_then(|q| q.tensor());
    let (code, version, options) = match kind {
        UnaryKind::Relu => (Code::RELU, 2, None),
        // TFLM's int8 RELU6 clamps and does not rescale.
        UnaryKind::Relu6 if !rescales => (Code::RELU6, 2, None),
        // TFLM computes these on one grid, whatever the file says.
        UnaryKind::Logistic if result == Some((1.0 / 256.0, -128)) => (Code::LOGISTIC, 2, None),
        UnaryKind::Tanh if result == Some((1.0 / 128.0, 0)) => (Code::TANH, 2, None),
        UnaryKind::HardSwish => (Code::HARD_SWISH, 1, None),
        UnaryKind::Elu { alpha: 1.0 } => (Code::ELU, 1, None),
        UnaryKind::Abs => (Code::ABS, 2, None),
        UnaryKind::Rsqrt | UnaryKind::RsqrtOrZero => (Code::RSQRT, 2, None),
        UnaryKind::LeakyRelu { alpha } => {
            let options = options(Kind::LeakyReluOptions, move |fbb| {
                schema::LeakyReluOptions::create(fbb, &schema::LeakyReluOptionsArgs { alpha })
            });
            (Code::LEAKY_RELU, 2, Some(options))
        }
        _ => return look_up(w, node, kind),
    };
    simple(w, node, code, version, options)
}

fn look_up(w: &mut Writer<'_>, node: &Node, kind: UnaryKind) -> Result<()> {
    let bytes = crate::ops::unary_table(w.graph, node, kind)?;
    // The table is indexed by the input's bits; GATHER counts from -128.
    let table: Vec<i8> = (0..=u8::MAX).map(|index| bytes[usize::from(index ^ 0x80)]).collect();
    let quantization = w.graph.value(node.outputs[0]).quantization.clone();
    let data = Some(table.iter().map(|&x| x as u8).collect());
    let name = format!("{}/table", node.name);
    let table = w.tensor(Tensor { name, shape: vec![256], dtype: DType::Int8, quantization, data });
    look_up_in(w, node, table)
}

/// A function whose results the graph holds, in the order in which GATHER counts.
fn with_table(w: &mut Writer<'_>, node: &Node) -> Result<()> {
    let Some(id) = node.input(1) else { return Ok(()) };
    let table = w.value(id);
    look_up_in(w, node, table)
}

/// CAST to int32, ADD 128, GATHER.
fn look_up_in(w: &mut Writer<'_>, node: &Node, table: i32) -> Result<()> {
    let Some(id) = node.input(0) else { return Ok(()) };
    let shape = w.graph.value(id).shape.clone();
    let mut index = |word: &str| {
        let (name, shape) = (format!("{}/{word}", node.name), shape.clone());
        w.tensor(Tensor { name, shape, dtype: DType::Int32, quantization: None, data: None })
    };
    let (cast, indices) = (index("cast"), index("indices"));
    let half = w.constant(format!("{}/half", node.name), &[1], Constant::I32(vec![128]));
    let (input, output) = (w.value(id), w.value(node.outputs[0]));
    let add = options(Kind::AddOptions, |fbb| {
        schema::AddOptions::create(
            fbb,
            &schema::AddOptionsArgs { pot_scale_int16: false, ..Default::default() },
        )
    });
    let mut operator = |code, version, options, inputs, output| {
        w.operators.push(Operator { code, version, options, inputs, outputs: vec![output] });
    };
    operator(Code::CAST, 1, None, vec![input], cast);
    operator(Code::ADD, 1, Some(add), vec![cast, half], indices);
    // Without options GATHER counts along the first axis.
    operator(Code::GATHER, 2, None, vec![table, indices], output);
    Ok(())
}

fn resize(w: &mut Writer<'_>, node: &Node, code: Code, options: Options) -> Result<()> {
    let (_, output) = sizes(w, node);
    let size = w.integers(format!("{}/size", node.name), output);
    // Version 3 knows where pixels lie.
    with_constants(w, node, code, 3, Some(options), &[size])
}

fn split(w: &mut Writer<'_>, node: &Node, axis: usize) -> Result<()> {
    let parts: Vec<usize> = node.outputs.iter().map(|&id| w.graph.value(id).shape[axis]).collect();
    let num_splits = parts.len() as i32;
    let Some(id) = node.input(0) else { return Ok(()) };
    let input = w.value(id);
    if parts.windows(2).all(|pair| pair[0] == pair[1]) {
        let options = options(Kind::SplitOptions, move |fbb| {
            schema::SplitOptions::create(fbb, &schema::SplitOptionsArgs { num_splits })
        });
        let axis = w.constant(format!("{}/axis", node.name), &[], Constant::I32(vec![axis as i32]));
        return push(w, node, Code::SPLIT, 2, options, vec![axis, input]);
    }
    // SPLIT_V says the same in one operator, but TFLM reads its sizes from an operand with options of their
    // own; slices are the same bytes moved.
    let shape = w.graph.value(id).shape.clone();
    let mut begin = vec![0; shape.len()];
    for (position, part) in parts.into_iter().enumerate() {
        let mut size = shape.clone();
        size[axis] = part;
        let output = w.value(node.outputs[position]);
        let name = format!("{}/{position}", node.name);
        strided_slice(w, &name, (input, output), &begin, &size, &vec![1; shape.len()]);
        begin[axis] += part;
    }
    Ok(())
}

/// SLICE or STRIDED_SLICE, and a RESHAPE behind it where the result drops dimensions.
fn slice(w: &mut Writer<'_>, node: &Node, begin: &[usize], size: &[usize], stride: &[isize]) -> Result<()> {
    let Some(id) = node.input(0) else { return Ok(()) };
    let (input, output) = (w.value(id), w.value(node.outputs[0]));
    let result = w.graph.value(node.outputs[0]).clone();
    if result.shape == size {
        strided_slice(w, &node.name, (input, output), begin, size, stride);
        return Ok(());
    }
    let name = format!("{}/slice", node.name);
    let (dtype, quantization) = (result.dtype, result.quantization);
    let whole = w.tensor(Tensor { name, shape: size.to_vec(), dtype, quantization, data: None });
    strided_slice(w, &node.name, (input, whole), begin, size, stride);
    let shape = w.integers(format!("{}/shape", node.name), result.shape);
    let (code, inputs, outputs) = (Code::RESHAPE, vec![whole, shape], vec![output]);
    w.operators.push(Operator { code, version: 1, options: None, inputs, outputs });
    Ok(())
}

fn strided_slice(
    w: &mut Writer<'_>,
    layer: &str,
    (input, output): (i32, i32),
    begin: &[usize],
    size: &[usize],
    stride: &[isize],
) {
    let begins = w.integers(format!("{layer}/begin"), begin.iter().copied());
    if stride.iter().all(|&s| s == 1) {
        // TFLM slices five dimensions, but strides over four only.
        let sizes = w.integers(format!("{layer}/size"), size.iter().copied());
        let (code, inputs, outputs) = (Code::SLICE, vec![input, begins, sizes], vec![output]);
        w.operators.push(Operator { code, version: 2, options: None, inputs, outputs });
        return;
    }
    let mut end_mask = 0;
    let ends: Vec<i32> = (0..size.len())
        .map(|d| {
            let end = begin[d] as i64 + size[d] as i64 * stride[d] as i64;
            // Below zero a number would count from the back: the mask says "to the border".
            if end < 0 {
                end_mask |= 1 << d;
            }
            end.max(0) as i32
        })
        .collect();
    let options = options(Kind::StridedSliceOptions, move |fbb| {
        let args = schema::StridedSliceOptionsArgs { end_mask, ..Default::default() };
        schema::StridedSliceOptions::create(fbb, &args)
    });
    let rank = size.len();
    let ends = w.constant(format!("{layer}/end"), &[rank], Constant::I32(ends));
    let strides = stride.iter().map(|&s| s as i32).collect();
    let strides = w.constant(format!("{layer}/strides"), &[rank], Constant::I32(strides));
    w.operators.push(Operator {
        code: Code::STRIDED_SLICE,
        version: 2,
        options: Some(options),
        inputs: vec![input, begins, ends, strides],
        outputs: vec![output],
    });
}
