//! Convolutions and pooling: options and shapes become a [`Window`] with explicit padding.
//!
//! With `effective = (kernel - 1) * dilation + 1`, TFLite's SAME gives `ceil(in / stride)` outputs
//! and `total = max((out - 1) * stride + effective - in, 0)` padding, of which `total / 2` lies
//! before the image; VALID pads nothing. A transposed convolution crops, by the same formula with
//! input and output exchanged.

use super::layer::{Layer, Place, Reason, Step, Translated, activation, dims4, options};
use crate::graph::{
    Activation, Conv2d, DType, DepthwiseConv2d, Op, Pool2d, PoolKind, TransposeConv, UnaryKind, Window,
};
use crate::tflite::{ActivationFunctionType, Padding};

/// CONV_2D: input, filter `[out, h, w, in / groups]`, bias?
pub(super) fn conv_2d(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_conv_2_doptions())?;
    let [batch, height, width, channels] = dims4(layer.input(0)?, "input")?;
    let [outputs, kernel_h, kernel_w, depth] = dims4(layer.input(1)?, "filter")?;
    if depth == 0 || channels % depth != 0 || outputs % (channels / depth) != 0 {
        return Err(format!("a filter for {depth} channels and {outputs} results on {channels} channels"));
    }
    let stride = pair(o.stride_h(), o.stride_w(), "stride")?;
    let dilation = pair(o.dilation_h_factor(), o.dilation_w_factor(), "dilation")?;
    let (window, out) = window([height, width], [kernel_h, kernel_w], stride, dilation, o.padding())?;
    layer.expect_output(&[batch, out[0], out[1], outputs])?;
    check_weights(layer, [1, 2], outputs)?;
    with_activation(layer, o.fused_activation_function(), |activation| {
        Op::Conv2d(Conv2d { window, activation })
    })
}

/// DEPTHWISE_CONV_2D: input, filter `[1, h, w, in * multiplier]`, bias?
pub(super) fn depthwise_conv_2d(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_depthwise_conv_2_doptions())?;
    let [batch, height, width, channels] = dims4(layer.input(0)?, "input")?;
    let [one, kernel_h, kernel_w, outputs] = dims4(layer.input(1)?, "filter")?;
    if one != 1 || channels == 0 || outputs == 0 || outputs % channels != 0 {
        return Err(format!("a filter [{one}, .., {outputs}] on {channels} channels"));
    }
    let multiplier = outputs / channels;
    let stride = pair(o.stride_h(), o.stride_w(), "stride")?;
    let dilation = pair(o.dilation_h_factor(), o.dilation_w_factor(), "dilation")?;
    let (window, out) = window([height, width], [kernel_h, kernel_w], stride, dilation, o.padding())?;
    layer.expect_output(&[batch, out[0], out[1], outputs])?;
    check_weights(layer, [1, 2], outputs)?;
    with_activation(layer, o.fused_activation_function(), |activation| {
        Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation })
    })
}

/// TRANSPOSE_CONV: output shape, filter `[out, h, w, in]`, input, bias? in the file's order.
pub(super) fn transpose_conv(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_transpose_conv_options())?;
    let declared = match layer.integers(0, "output shape") {
        // TFLM does not read the shape: that of the result in the file counts.
        Err(_) if !layer.open_dimensions().contains(&true) => {
            layer.output()?.shape.iter().map(|&dim| dim as i64).collect()
        }
        declared => declared?,
    };
    let [outputs, kernel_h, kernel_w, depth] = dims4(layer.input(1)?, "filter")?;
    let [batch, height, width, channels] = dims4(layer.input(2)?, "input")?;
    let sizes: Option<Vec<usize>> = declared.iter().map(|&d| usize::try_from(d).ok()).collect();
    if let Some(sizes) = sizes {
        layer.expect_output(&sizes)?;
    }
    let output = dims4(layer.output()?, "result")?;
    if depth != channels {
        return Err(format!("a filter for {depth} channels on {channels} channels"));
    }
    let output = match layer.resolved.borrow().as_deref() {
        Some(&[n, h, w, c]) => [n, h, w, c],
        _ => output,
    };
    if declared != output.map(|d| d as i64) || output[0] != batch || output[3] != outputs {
        return Err(format!("the result has shape {output:?}, but its operands say {declared:?}"));
    }
    let kernel = [kernel_h, kernel_w];
    let stride = pair(o.stride_h(), o.stride_w(), "stride")?;
    let (mut before, mut after) = ([0; 2], [0; 2]);
    for (i, size) in [height, width].into_iter().enumerate() {
        let out = output[i + 1];
        let (pad_before, expected) = match o.padding() {
            Padding::SAME => {
                let inner = out.div_ceil(stride[i]);
                let span = checked_span(inner, stride[i], kernel[i])?;
                (span.saturating_sub(out) / 2, inner)
            }
            _ => (0, out.saturating_sub(kernel[i]) / stride[i] + 1),
        };
        let full = checked_span(size, stride[i], kernel[i])?;
        if expected != size {
            return Err(format!(
                "a result of size {out} from an input of size {size}, kernel {}, stride {}",
                kernel[i], stride[i]
            ));
        }
        // A kernel smaller than its stride leaves pixels behind its last tap: nothing to crop.
        let pad_after = full.saturating_sub(out).saturating_sub(pad_before);
        (before[i], after[i]) = (pad_before, pad_after);
    }
    let window = Window { kernel, stride, dilation: [1, 1], pad_before: before, pad_after: after };
    check_weights(layer, [1, 3], outputs)?;
    let mut translated = with_activation(layer, o.fused_activation_function(), |activation| {
        Op::TransposeConv(TransposeConv { window, activation })
    })?;
    translated.inputs = vec![layer.id(2), layer.id(1), layer.id(3)];
    Ok(translated)
}

/// AVERAGE_POOL_2D and MAX_POOL_2D.
pub(super) fn pool_2d(layer: &Layer<'_>, kind: PoolKind) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_pool_2_doptions())?;
    let [batch, height, width, channels] = dims4(layer.input(0)?, "input")?;
    let kernel = pair(o.filter_height(), o.filter_width(), "window")?;
    let stride = pair(o.stride_h(), o.stride_w(), "stride")?;
    let (window, out) = window([height, width], kernel, stride, [1, 1], o.padding())?;
    layer.expect_output(&[batch, out[0], out[1], channels])?;
    with_activation(layer, o.fused_activation_function(), |activation| {
        Op::Pool2d(Pool2d { kind, window, activation })
    })
}

/// L2_POOL_2D of real numbers: the root of the mean of the squares under a window.
pub(super) fn l2_pool_2d(layer: &Layer<'_>) -> Result<Translated, Reason> {
    if layer.input(0)?.dtype != DType::Float32 {
        return Err(format!("of {}", layer.input(0)?.dtype.name()));
    }
    let Translated { op, .. } = pool_2d(layer, PoolKind::Average)?;
    let Op::Pool2d(Pool2d { kind, window, activation }) = op else { return Err(Reason::new()) };
    // Roots are not negative: of the clamps only those from above do something.
    if !matches!(activation, Activation::None | Activation::Relu) {
        return Err("a fused activation".into());
    }
    let (from, to) = (layer.input(0)?.shape.clone(), layer.output()?.shape.clone());
    let mean = Op::Pool2d(Pool2d { kind, window, activation: Activation::None });
    let step = |op, input, shape| Step { op, inputs: vec![input], shape };
    let steps = vec![
        step(Op::Unary(UnaryKind::Square), Place::Operand(layer.id(0)), from),
        step(mean, Place::Step(0), to.clone()),
        step(Op::Unary(UnaryKind::Sqrt), Place::Step(1), to),
    ];
    Ok(Translated::several(steps, &layer.inputs[..1]))
}

/// Builds the operator with its clamp, and the function that follows where TFLite fuses one that
/// is no clamp.
pub(super) fn with_activation(
    layer: &Layer<'_>,
    fused: ActivationFunctionType,
    op: impl FnOnce(crate::graph::Activation) -> Op,
) -> Result<Translated, Reason> {
    let (clamp, then) = activation(fused)?;
    if then.is_some() && layer.output()?.quantization.is_some() {
        return Err("fused TANH on a quantized result".into());
    }
    Ok(Translated { then, ..Translated::new(op(clamp), layer.inputs) })
}

/// The weights' and the bias's operands: constant, with one bias per output.
pub(super) fn check_weights(
    layer: &Layer<'_>,
    [weights, bias]: [usize; 2],
    outputs: usize,
) -> Result<(), Reason> {
    layer.input(weights)?;
    if !layer.is_known(weights) {
        return Err("its weights are not constant".into());
    }
    let known = layer.is_known(bias);
    let Some(bias) = layer.optional(bias) else { return Ok(()) };
    if !known {
        return Err("its bias is not constant".into());
    }
    if bias.elements() != outputs {
        return Err(format!("a bias of {} elements for {outputs} results", bias.elements()));
    }
    Ok(())
}

/// Extent that `count` windows cover without dilation.
fn checked_span(count: usize, stride: usize, kernel: usize) -> Result<usize, Reason> {
    count
        .checked_sub(1)
        .and_then(|gaps| gaps.checked_mul(stride)?.checked_add(kernel))
        .ok_or_else(|| "its window is absurdly large".into())
}

/// Two positive numbers, height first.
fn pair(height: i32, width: i32, what: &str) -> Result<[usize; 2], Reason> {
    match (usize::try_from(height), usize::try_from(width)) {
        (Ok(h), Ok(w)) if h > 0 && w > 0 => Ok([h, w]),
        _ => Err(format!("a {what} of {height}x{width}")),
    }
}

/// The window and the size of its output.
fn window(
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Result<(Window, [usize; 2]), Reason> {
    let (mut out, mut pad_before, mut pad_after) = ([0; 2], [0; 2], [0; 2]);
    for i in 0..2 {
        let effective = checked_span(kernel[i], dilation[i], 1)?;
        match padding {
            Padding::SAME => {
                out[i] = input[i].div_ceil(stride[i]);
                let total = checked_span(out[i], stride[i], effective)?.saturating_sub(input[i]);
                pad_before[i] = total / 2;
                pad_after[i] = total - total / 2;
            }
            Padding::VALID if input[i] >= effective => out[i] = (input[i] - effective) / stride[i] + 1,
            Padding::VALID => {
                return Err(format!("a window of size {effective} on an image of size {}", input[i]));
            }
            other => return Err(format!("padding {other:?}")),
        }
    }
    Ok((Window { kernel, stride, dilation, pad_before, pad_after }, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_cell_behind() {
        let (w, out) = window([4, 5], [3, 4], [2, 1], [1, 1], Padding::SAME).unwrap();
        assert_eq!((out, w.pad_before, w.pad_after), ([2, 5], [0, 1], [1, 2]));
    }

    #[test]
    fn stride_beyond_the_kernel_needs_no_padding() {
        let (w, out) = window([5, 4], [1, 1], [3, 2], [1, 1], Padding::SAME).unwrap();
        assert_eq!((out, w.pad_before, w.pad_after), ([2, 2], [0, 0], [0, 0]));
    }

    #[test]
    fn dilation_widens_the_window() {
        let (w, out) = window([8, 8], [3, 3], [1, 1], [2, 3], Padding::SAME).unwrap();
        assert_eq!((out, w.pad_before, w.pad_after), ([8, 8], [2, 3], [2, 3]));
        let (_, out) = window([8, 8], [3, 3], [1, 1], [2, 3], Padding::VALID).unwrap();
        assert_eq!(out, [4, 2]);
        assert!(window([8, 8], [3, 3], [1, 1], [4, 4], Padding::VALID).is_err());
        assert!(window([8, 8], [3, 3], [1, 1], [usize::MAX, 1], Padding::SAME).is_err());
    }
}
