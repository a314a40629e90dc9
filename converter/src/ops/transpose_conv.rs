//! TRANSPOSE_CONV: the kernel is taken apart into one dense kernel for each phase of the output, with
//! its own biases. Source followed: TFLM `kernels/transpose_conv.cc`.

use ferrolite_graph::float::{elementwise, window};
use ferrolite_runtime::ops::transpose_conv::{self as device, scratch_bytes, shape, taps};
use ferrolite_runtime::packing::{Order, Packing, Shape};
use ferrolite_schema::params::{self, TransposeConvParams};
use ferrolite_schema::{FILE_ALIGNMENT, OpCode};

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::windows::{Cropped, cropping};
use super::tflite::{self, Record, Tensor, Writer};
use super::{int16, pack, segments, stage, types, work};
use crate::error::Result;
use crate::graph::{Activation, DType, Graph, Node, TransposeConv, Value, Window};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("TRANSPOSE_CONV", &[OpCode::TransposeConv, OpCode::Conv2dInt16])];

impl Operator for TransposeConv {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (image, [out, kh, kw, depth]) = (check.image(0)?, check.image(1)?);
        check.window(&self.window, [kh, kw])?;
        check.ensure(depth == image[3], || format!("a filter of depth {depth} for {} channels", image[3]))?;
        check.bias(out)?;
        // The size along the image is the author's: it may reach beyond the last kernel tap.
        let found = check.outputs[0];
        check.ensure(found.len() == 4 && found[0] == image[0] && found[3] == out, || {
            format!("its output has shape {found:?} for {} images of {out} channels", image[0])
        })
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::weighted(inputs, outputs, 0)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let out = window::transpose_conv(x.get(0), x.get(1), x.optional(2), &self.window, x.shape());
        vec![elementwise::clamped(out, self.activation)]
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        // Each element of the input goes into all filters.
        let filters = work::shape(graph, node, 1).first().map_or(1, |&n| n as u64);
        let taps = work::count(&self.window.kernel);
        work::elements(graph, node, 0, 0).saturating_mul(taps).saturating_mul(filters)
    }

    fn channel_axis(&self) -> Option<usize> {
        Some(0)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        match cx.output(node, 0)?.1.dtype {
            DType::Int16 => int16::transpose_conv(cx, node, &self.window, self.activation),
            _ => lower(cx, node, &self.window, self.activation),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &TransposeConv { ref window, activation } = self;
        let (image, output) = tflite::sizes(w, node);
        let result = w.graph.value(node.outputs[0]).clone();
        let said = if window.dilation == [1, 1] { cropping(window, image, output) } else { None };
        let (padding, whole) = match said {
            Some(Cropped::Word(padding)) => (padding, None),
            Some(Cropped::Sliced(size)) => (schema::Padding::VALID, Some(size)),
            None => {
                return Err(tflite::refuse(
                    node,
                    "a transposed convolution with this padding cannot be said",
                ));
            }
        };
        let [stride_h, stride_w] = window.stride;
        let options = tflite::options(Kind::TransposeConvOptions, move |fbb| {
            schema::TransposeConvOptions::create(
                fbb,
                &schema::TransposeConvOptionsArgs {
                    padding,
                    stride_w: stride_w as i32,
                    stride_h: stride_h as i32,
                    fused_activation_function: tflite::fused(activation),
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
        let operands = tflite::inputs(w, node);
        let mut inputs = vec![shape, operands[1], operands[0]];
        inputs.extend(operands.get(2).filter(|&&bias| bias >= 0));
        // Version 3 has a bias, version 4 an activation.
        let version = if activation == Activation::None { 3 } else { 4 };
        let Some(uncropped) = uncropped else {
            return tflite::push(w, node, Code::TRANSPOSE_CONV, version, options, inputs);
        };
        let (code, options, outputs) = (Code::TRANSPOSE_CONV, Some(options), vec![uncropped]);
        w.records.push(Record { code, version, options, inputs, outputs });
        let [before_h, before_w] = window.pad_before;
        let output = w.value(node.outputs[0]);
        tflite::strided_slice(
            w,
            &node.name,
            (uncropped, output),
            &[0, before_h, before_w, 0],
            &result.shape,
            &[1; 4],
        );
        Ok(())
    }
}

/// Lowers the node; the filter is `[out, kernel_h, kernel_w, in]`.
pub(super) fn lower(
    cx: &mut Lowering<'_>,
    node: &Node,
    window: &Window,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
    let (filter, weights, quantization) = stage::weights(cx, node, 1)?;
    let [batches, in_h, in_w, in_channels] = stage::nhwc(cx, node, input.value)?;
    let [out_batches, out_h, out_w, out_channels] = stage::nhwc(cx, node, output.value)?;
    let [filters, kernel_h, kernel_w, depth] = stage::nhwc(cx, node, filter)?;
    if window.dilation != [1; 2] {
        let reason = format_args!("dilation {:?} of quantized weights; supported is 1", window.dilation);
        return Err(cx.unsupported(node, reason));
    }
    let fits = batches == out_batches
        && filters == out_channels
        && depth == in_channels
        && [kernel_h, kernel_w] == window.kernel;
    if !fits {
        return Err(cx.unsupported(
            node,
            format_args!(
                "filter {:?} does not make {:?} of {:?}",
                filter.shape, output.value.shape, input.value.shape
            ),
        ));
    }
    let numbers = [in_h, in_w, out_h, out_w, kernel_h, kernel_w];
    if numbers.iter().any(|&n| n == 0 || n > 0xFFFF)
        || window.stride.iter().any(|&n| n == 0 || n > 4096)
        || window.stride[0] * window.stride[1] > 0xFFFF
    {
        return Err(cx.unsupported(node, stage::WINDOW_LIMITS));
    }
    let word = |n: usize| cx.word(node, n);
    let geometry = params::Window {
        in_h: word(in_h)?,
        in_w: word(in_w)?,
        out_h: word(out_h)?,
        out_w: word(out_w)?,
        kernel_h: word(kernel_h)?,
        kernel_w: word(kernel_w)?,
        stride_h: word(window.stride[0])?,
        stride_w: word(window.stride[1])?,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: word(window.pad_before[0])?,
        pad_left: word(window.pad_before[1])?,
    };
    let bias = stage::bias(cx, node, 2, out_channels)?;
    let mut factors = stage::factors(cx, &input, quantization, &output);
    let phases = phases(weights, &geometry, out_channels, in_channels);
    // Accumulators wrap modulo 2^32 on the device, and so does what is folded into them.
    let fold = |(index, sum): (usize, &i32)| {
        bias[index % out_channels].wrapping_sub(input.zero_point.wrapping_mul(*sum))
    };
    let biases: Vec<i32> = phases.sums.iter().enumerate().map(fold).collect();
    let mut params = TransposeConvParams {
        window: geometry,
        batches: cx.word(node, batches)?,
        in_channels: cx.word(node, in_channels)?,
        out_channels: cx.word(node, out_channels)?,
        input_zero_point: input.zero_point,
        packing: Packing::PLAIN.tag(),
        ..TransposeConvParams::default()
    };
    params.weights = match packed(cx, &params, &phases, &mut factors, &biases) {
        Some((packing, bytes)) => {
            params.packing = packing.tag();
            cx.constants.add(&bytes, FILE_ALIGNMENT)?
        }
        None => cx.constants.add(&phases.weights, 16)?,
    };
    let repeated = device::channels(&params).filter(|_| params.packing != Packing::PLAIN.tag());
    let channels = if factors.len() == 1 { None } else { repeated }.map_or(out_channels, |n| n as usize);
    params.stage = stage::folded_stage(cx, node, &biases, channels, &factors, &output, activation)?;
    let scratch = scratch_bytes(&params)
        .ok_or_else(|| cx.unsupported(node, format_args!("filter {:?} is too large", filter.shape)))?;
    let macs = (batches * in_h * in_w) as u64 * weights.len() as u64;
    let lowered = Lowered::new(OpCode::TransposeConv, vec![input.id], vec![output.id], &params);
    Ok(vec![lowered.scratch(scratch).macs(macs)])
}

/// The packing and the packed weights of all phases, one behind the other, where the numbers of all of them are
/// within its bounds. `biases` are finished.
fn packed(
    cx: &Lowering<'_>,
    params: &TransposeConvParams,
    phases: &Phases,
    factors: &mut Vec<f64>,
    biases: &[i32],
) -> Option<(Packing, Vec<u8>)> {
    if cx.policy.conv.order == Order::Plain {
        return None;
    }
    let channels = device::channels(params)? as usize;
    let shapes = shapes(params, cx.policy.conv)?;
    // A row of phases may be one matrix.
    let mut all = factors.clone();
    if all.len() == params.out_channels as usize && all.len() > 1 {
        all = all.repeat(channels / all.len());
    }
    let (mut packing, mut changed) = (None::<Packing>, Vec::new());
    let mut rest = phases.weights.as_slice();
    for (shape, bias) in shapes.iter().zip(biases.chunks_exact(channels)) {
        let (own, behind) = rest.split_at_checked(shape.depth()? as usize * channels)?;
        rest = behind;
        let mut numbers =
            stage::Channels { bias: bias.to_vec(), sums: vec![0; channels], factors: all.clone() };
        let size = (shape.channels, shape.lines, shape.line);
        let rows = own.chunks_exact(shape.depth()? as usize);
        let found = pack::choose_for(cx.rounding, shape.packing, size, &mut numbers, 0, rows).packing;
        if found.order == Order::Plain {
            packing = None;
            break;
        }
        packing = Some(packing.filter(|other| other.group > found.group).unwrap_or(found));
        changed.push(numbers.factors);
    }
    // A channel has one factor for all phases, so it vanishes in all of them or in none.
    let packing = match packing.filter(|_| changed.iter().all(|factors| *factors == changed[0])) {
        Some(packing) => {
            factors.clone_from(changed.first()?);
            packing
        }
        None => {
            let rows = shapes.iter().scan(phases.weights.as_slice(), |rest, shape| {
                let (own, behind) = rest.split_at_checked(shape.depth()? as usize * channels)?;
                *rest = behind;
                Some(own.chunks_exact(shape.depth()? as usize))
            });
            let packing = pack::any(cx, cx.policy.conv, rows.flatten())?;
            *factors = all;
            packing
        }
    };
    let mut rest = phases.weights.as_slice();
    let mut bytes = Vec::new();
    for shape in &shapes {
        let (own, behind) = rest.split_at_checked(shape.depth()? as usize * channels)?;
        rest = behind;
        bytes.extend(segments::packed(&Shape { packing, ..*shape }, own));
    }
    Some((packing, bytes))
}

/// The shapes of the weights of all phases.
pub(super) fn shapes(p: &TransposeConvParams, packing: Packing) -> Option<Vec<Shape>> {
    let w = &p.window;
    let columns = device::columns(w);
    let phase = |number: u32| {
        let rows = taps(w.kernel_h, w.stride_h, number / columns);
        shape(p, packing, rows, taps(w.kernel_w, w.stride_w, number % columns))
    };
    (0..w.stride_h * columns).map(phase).collect()
}

/// The kernels of all phases, one behind the other.
struct Phases {
    weights: Vec<i8>,
    /// Sum of the weights of each output channel of each phase.
    sums: Vec<i32>,
}

/// Takes a filter `[out, kernel_h, kernel_w, in]` apart. A tap that a phase lacks is of zeroes.
fn phases(filter: &[i8], window: &params::Window, out_channels: usize, in_channels: usize) -> Phases {
    let (mut weights, mut sums) = (Vec::new(), Vec::new());
    let (kernel_h, kernel_w) = (window.kernel_h, window.kernel_w);
    for phase_y in 0..window.stride_h {
        for phase_x in 0..window.stride_w {
            let taps_y = taps(kernel_h, window.stride_h, phase_y);
            let taps_x = taps(kernel_w, window.stride_w, phase_x);
            for channel in 0..out_channels {
                let first = weights.len();
                for y in (0..taps_y).rev().map(|tap| phase_y + tap * window.stride_h) {
                    for x in (0..taps_x).rev().map(|tap| phase_x + tap * window.stride_w) {
                        if y < kernel_h && x < kernel_w {
                            let row = channel * kernel_h as usize + y as usize;
                            let place = (row * kernel_w as usize + x as usize) * in_channels;
                            weights.extend_from_slice(&filter[place..place + in_channels]);
                        } else {
                            weights.resize(weights.len() + in_channels, 0);
                        }
                    }
                }
                sums.push(weights[first..].iter().map(|&w| i32::from(w)).sum());
            }
        }
    }
    Phases { weights, sums }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_3_with_stride_2_is_four_phases() {
        let window = params::Window {
            kernel_h: 3,
            kernel_w: 3,
            stride_h: 2,
            stride_w: 2,
            ..params::Window::default()
        };
        let phases = phases(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &window, 1, 1);
        // Corners, edges above and below, edges left and right, centre; each backwards.
        assert_eq!(phases.weights, [9, 7, 3, 1, 8, 2, 6, 4, 5]);
        assert_eq!(phases.sums, [20, 10, 10, 5]);
    }

    #[test]
    fn phases_beyond_the_kernel_are_zero() {
        let window = params::Window {
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 3,
            ..params::Window::default()
        };
        let phases = phases(&[7, -8], &window, 2, 1);
        assert_eq!(phases.weights, [7, -8, 0, 0, 0, 0]);
        assert_eq!(phases.sums, [7, -8, 0, 0, 0, 0]);
    }
}
