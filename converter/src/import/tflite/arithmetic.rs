//! Operators that compute: matrix products, elementwise functions, reductions and searches.

use super::layer::{Layer, Place, Reason, Step, Translated, axis, broadcast, options};
use super::windows::{check_weights, with_activation};
use crate::graph::{
    Activation, AddN, ArgMinMax, BatchMatMul, Binary, BinaryKind, Cumsum, DType, FullyConnected, Graph, Op,
    Quantization, Reduce, ReduceKind, Softmax, TopK, UnaryKind,
};
use crate::tflite::ActivationFunctionType as Fused;

/// FULLY_CONNECTED: input, weights `[outputs, inputs]`, bias?
pub(super) fn fully_connected(layer: &Layer<'_>) -> Result<Translated, Reason> {
    use crate::tflite::FullyConnectedOptionsWeightsFormat as Format;
    let o = options(layer.operator.builtin_options_as_fully_connected_options())?;
    if o.weights_format() != Format::DEFAULT {
        return Err("weights in a shuffled format".into());
    }
    let (input, output) = (layer.input(0)?, layer.output()?);
    let &[outputs, inputs] = layer.input(1)?.shape.as_slice() else {
        return Err(format!("weights of shape {:?} instead of 2 dimensions", layer.input(1)?.shape));
    };
    let rows = input.elements().checked_div(inputs).unwrap_or(0);
    let last = output.shape.last().copied();
    if rows.checked_mul(inputs) != Some(input.elements())
        || rows.checked_mul(outputs) != Some(output.elements())
        || last.unwrap_or(1) != outputs
    {
        let whole = match input.shape.split_last() {
            Some((last, lead)) if o.keep_num_dims() && *last == inputs => [lead, &[outputs]].concat(),
            _ => vec![rows, outputs],
        };
        let fits = rows.checked_mul(inputs) == Some(input.elements()) && layer.expect_output(&whole).is_ok();
        if !fits {
            return Err(format!(
                "weights [{outputs}, {inputs}] between shapes {:?} and {:?}",
                input.shape, output.shape
            ));
        }
    }
    check_weights(layer, [1, 2], outputs)?;
    with_activation(layer, o.fused_activation_function(), |activation| {
        Op::FullyConnected(FullyConnected { activation })
    })
}

/// BATCH_MATMUL: `[.., m, k]` times `[.., k, n]`.
pub(super) fn batch_matmul(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_batch_mat_mul_options())?;
    let (a, b) = (&layer.input(0)?.shape, &layer.input(1)?.shape);
    let ([lead_a @ .., a0, a1], [lead_b @ .., b0, b1]) = (a.as_slice(), b.as_slice()) else {
        return Err(format!("operands of shapes {a:?} and {b:?}"));
    };
    let (rows, depth) = if o.adj_x() { (*a1, *a0) } else { (*a0, *a1) };
    let (depth_b, columns) = if o.adj_y() { (*b1, *b0) } else { (*b0, *b1) };
    if depth != depth_b {
        return Err(format!("a product over {depth} and {depth_b} elements"));
    }
    let mut shape = broadcast(lead_a, lead_b)?;
    shape.extend([rows, columns]);
    layer.expect_output(&shape)?;
    let op = Op::BatchMatMul(BatchMatMul { transpose_a: o.adj_x(), transpose_b: o.adj_y() });
    Ok(Translated::new(op, layer.inputs))
}

/// Functions of two tensors.
pub(super) fn binary(layer: &Layer<'_>, kind: BinaryKind) -> Result<Translated, Reason> {
    let operator = &layer.operator;
    // Without options there is no activation.
    let fused = match kind {
        BinaryKind::Add => operator.builtin_options_as_add_options().map(|o| o.fused_activation_function()),
        BinaryKind::Sub => operator.builtin_options_as_sub_options().map(|o| o.fused_activation_function()),
        BinaryKind::Mul => operator.builtin_options_as_mul_options().map(|o| o.fused_activation_function()),
        BinaryKind::Div => operator.builtin_options_as_div_options().map(|o| o.fused_activation_function()),
        _ => None,
    };
    let shape = broadcast(&layer.input(0)?.shape, &layer.input(1)?.shape)?;
    layer.expect_output(&shape)?;
    with_activation(layer, fused.unwrap_or(Fused::NONE), |activation| Op::Binary(Binary { kind, activation }))
}

/// Functions of one tensor.
pub(super) fn unary(layer: &Layer<'_>, kind: UnaryKind) -> Result<Translated, Reason> {
    layer.expect_output(&layer.input(0)?.shape)?;
    Ok(Translated::new(Op::Unary(kind), &layer.inputs[..1]))
}

/// LEAKY_RELU with its slope.
pub(super) fn leaky_relu(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let alpha = options(layer.operator.builtin_options_as_leaky_relu_options())?.alpha();
    if !alpha.is_finite() {
        return Err(format!("a slope of {alpha}"));
    }
    unary(layer, UnaryKind::LeakyRelu { alpha })
}

/// GELU, exact or by its tanh form.
pub(super) fn gelu(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let options = layer.operator.builtin_options_as_gelu_options();
    unary(layer, UnaryKind::Gelu { approximate: options.is_some_and(|o| o.approximate()) })
}

/// SOFTMAX with its beta.
pub(super) fn softmax(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let beta = options(layer.operator.builtin_options_as_softmax_options())?.beta();
    if !beta.is_finite() || beta <= 0.0 {
        return Err(format!("a beta of {beta}"));
    }
    over_last_dimension(layer, Op::Softmax(Softmax { beta }))
}

/// LOG_SOFTMAX.
pub(super) fn log_softmax(layer: &Layer<'_>) -> Result<Translated, Reason> {
    over_last_dimension(layer, Op::LogSoftmax)
}

fn over_last_dimension(layer: &Layer<'_>, op: Op) -> Result<Translated, Reason> {
    let shape = &layer.input(0)?.shape;
    if shape.is_empty() {
        return Err("a scalar operand".into());
    }
    layer.expect_output(shape)?;
    Ok(Translated::new(op, &layer.inputs[..1]))
}

/// L2_NORMALIZATION over the last dimension.
pub(super) fn l2_normalization(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let options = layer.operator.builtin_options_as_l2_norm_options();
    match options.map_or(Fused::NONE, |o| o.fused_activation_function()) {
        Fused::NONE => over_last_dimension(layer, Op::L2Normalization),
        other => Err(format!("fused activation {other:?}")),
    }
}

/// ADD_N: of real numbers sums of two, one after the other. TFLM begins the sums of int8 elements with their negative
/// zero point.
pub(super) fn add_n(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let shape = layer.output()?.shape.clone();
    let count = layer.inputs.len();
    if layer.input(0)?.dtype == DType::Int8 && count > 1 {
        let quantization = layer.input(0)?.quantization.as_ref().and_then(|q| q.tensor());
        let start = quantization.map_or(0.0, |(scale, zero_point)| -scale * zero_point as f32);
        return Ok(Translated::new(Op::AddN(AddN { start }), layer.inputs));
    }
    for position in 0..count {
        let value = layer.input(position)?;
        if value.dtype != DType::Float32 || value.shape != shape {
            return Err(format!("of {} {:?}", value.dtype.name(), value.shape));
        }
    }
    let op = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
    let sum = |position: usize| {
        let before = match position {
            1 => Place::Operand(layer.id(0)),
            _ => Place::Step(position - 2),
        };
        Step {
            op: op.clone(),
            inputs: vec![before, Place::Operand(layer.id(position))],
            shape: shape.clone(),
        }
    };
    match count {
        0 => Err("no operands".into()),
        1 => Ok(Translated::new(Op::Reshape, layer.inputs)),
        _ => Ok(Translated::several((1..count).map(sum).collect(), layer.inputs)),
    }
}

/// PRELU: input, slope.
pub(super) fn prelu(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let (input, slope) = (layer.input(0)?, layer.input(1)?);
    if broadcast(&input.shape, &slope.shape)? != input.shape {
        return Err(format!("slopes of shape {:?} for shape {:?}", slope.shape, input.shape));
    }
    layer.expect_output(&input.shape)?;
    Ok(Translated::new(Op::Prelu, layer.inputs))
}

/// MEAN, SUM, REDUCE_MAX and REDUCE_MIN: input, axes.
pub(super) fn reduce(layer: &Layer<'_>, kind: ReduceKind) -> Result<Translated, Reason> {
    let keep_dims = layer.operator.builtin_options_as_reducer_options().is_some_and(|o| o.keep_dims());
    let shape = &layer.input(0)?.shape;
    let axes = layer.integers(1, "axes")?;
    let mut axes: Vec<usize> = axes.iter().map(|&a| axis(a, shape.len())).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    if axes.is_empty() {
        return Err("no axes".into());
    }
    let reduced: Vec<usize> = shape
        .iter()
        .enumerate()
        .filter_map(|(i, &dim)| match axes.binary_search(&i) {
            Ok(_) => keep_dims.then_some(1),
            Err(_) => Some(dim),
        })
        .collect();
    layer.expect_output(&reduced)?;
    Ok(Translated::new(Op::Reduce(Reduce { kind, axes, keep_dims }), &layer.inputs[..1]))
}

/// ARG_MAX and ARG_MIN: input, axis.
pub(super) fn arg(layer: &Layer<'_>, largest: bool) -> Result<Translated, Reason> {
    let mut shape = layer.input(0)?.shape.clone();
    let axis = axis(layer.integer(1, "axis")?, shape.len())?;
    shape.remove(axis);
    layer.expect_output(&shape)?;
    let op = Op::ArgMinMax(ArgMinMax { axis, largest });
    Ok(Translated::new(op, &layer.inputs[..1]))
}

/// TOPK_V2: input, count.
pub(super) fn top_k(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let mut shape = layer.input(0)?.shape.clone();
    let count = usize::try_from(layer.integer(1, "count")?).unwrap_or_default();
    match shape.last_mut().filter(|depth| (1..=**depth).contains(&count)) {
        Some(depth) => *depth = count,
        None => return Err(format!("the {count} largest of shape {shape:?}")),
    }
    if layer.results().count() != 2 || layer.results().any(|result| result.shape != shape) {
        return Err(format!("its results are not twice {shape:?}"));
    }
    Ok(Translated::new(Op::TopK(TopK { count, largest: true }), &layer.inputs[..1]))
}

/// CUMSUM. TFLM begins the sums of int8 elements with the negative zero point, not with what stands for zero.
pub(super) fn cumsum(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let input = layer.input(0)?;
    let options = options(layer.operator.builtin_options_as_cumsum_options())?;
    let axis = axis(layer.integer(1, "axis")?, input.shape.len())?;
    layer.expect_output(&input.shape)?;
    let quantization = input.quantization.as_ref().and_then(|q| q.tensor());
    let start = quantization.map_or(0, |(_, zero_point)| -zero_point);
    let op = Cumsum { axis, exclusive: options.exclusive(), reverse: options.reverse(), start };
    Ok(Translated::new(Op::Cumsum(op), &layer.inputs[..1]))
}

/// Tells of CUMSUM and ADD_N layers that add up from another number than zero.
pub(super) fn warn_of_sums(graph: &Graph, warnings: &mut Vec<String>) {
    for node in &graph.nodes {
        if let Op::AddN(AddN { start }) = node.op
            && start != 0.0
        {
            warnings.push(format!(
                "layer `{}` (ADD_N): TFLM's kernel begins its sums with {start}, which the negative zero point stands for, \
                 not with 0; the integers are TFLM's. Write it as ADDs, or quantize its operands with a zero point of 0",
                node.name
            ));
        }
        if let Op::Cumsum(Cumsum { start, .. }) = node.op
            && start != 0
        {
            warnings.push(format!(
                "layer `{}` (CUMSUM): TFLM's kernel begins each sum with {start} steps of the input's scale, not with 0; \
                 the integers are TFLM's. Quantize its input with a zero point of 0",
                node.name
            ));
        }
    }
}

/// QUANTIZE and DEQUANTIZE: the types say the rest.
pub(super) fn convert(layer: &Layer<'_>, op: Op) -> Result<Translated, Reason> {
    layer.expect_output(&layer.input(0)?.shape)?;
    Ok(Translated::new(op, &layer.inputs[..1]))
}

/// FAKE_QUANT, which training with quantization leaves: real numbers rounded to a grid of 8 bits.
pub(super) fn fake_quant(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let options = options(layer.operator.builtin_options_as_fake_quant_options())?;
    layer.expect_output(&layer.input(0)?.shape)?;
    let (min, max, bits) = (options.min(), options.max(), options.num_bits());
    if bits != 8 {
        return Err(format!("{bits} bits instead of 8"));
    }
    // Negated, so that NaN is refused as well.
    if !(min <= 0.0 && max >= 0.0 && max - min > 0.0 && (max - min).is_finite()) {
        return Err(format!("a range from {min} to {max}, which must contain zero"));
    }
    // Zero gets an integer of its own, as in TensorFlow's `Nudge`; its uint8 is moved to int8. The narrow
    // range leaves out the smallest integer.
    let lowest = if options.narrow_range() { 1.0 } else { 0.0 };
    let scale = (max - min) / (255.0 - lowest);
    let zero_point = (lowest - min / scale).round().clamp(lowest, 255.0) as i32 - 128;
    let through = Some((Quantization::per_tensor(scale, zero_point), lowest as i32 - 128));
    Ok(Translated { through, ..Translated::new(Op::Quantize, &layer.inputs[..1]) })
}
