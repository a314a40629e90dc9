//! Convolution of int16 with int8 weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and TRANSPOSE_CONV.
//!
//! ```text
//! out[y, x, c] = clamp(scale(bias[c] + sum over taps and k of in[.., k] * w[c, .., k], multiplier[c]))
//! ```
//! All zero points are 0, so padding is. A dense layer is a convolution of one tap; a depthwise one has as many groups as
//! channels; a transposed one stands on an image with rows and columns of zeroes between those of the input (`gap`).
//! Sums are of 64 bits where biases are, and scaled as TFLM scales those, by the 16 upper bits of a mantissa; else they are
//! of 32 bits, and wrap. One plain kernel serves all cores.
//! Source followed: TFLM `kernels/conv.cc`, `depthwise_conv.cc`, `fully_connected.cc`, `transpose_conv.cc`,
//! `internal/common.cc`.

use core::cell::Cell;

use ferrolite_schema::params::{Conv2dInt16Params, Multiplier};
use ferrolite_schema::{OpCode, Rounding};

use super::int16::{self, check_clamp};
use super::window::{elements, images};
use super::{Operator, no_overlap, window};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::quant::{requantize, requantize_long};
use crate::tensor::runs;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Conv2dInt16 as u16, check, eval, lead: no_overlap }
}

/// Elements of a channel's weights, and of all weights.
fn weights(p: &Conv2dInt16Params) -> Option<(u32, u32)> {
    let depth = p.in_channels.checked_div(p.groups)?;
    if depth.checked_mul(p.groups)? != p.in_channels || !p.out_channels.is_multiple_of(p.groups) {
        return None;
    }
    let size = p.window.kernel_h.checked_mul(p.window.kernel_w)?.checked_mul(depth)?;
    Some((size, size.checked_mul(p.out_channels)?))
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Conv2dInt16Params = node.params()?;
    let w = &p.window;
    window::check(w)?;
    // Gaps are steps, too.
    let gap = p.gap_h.wrapping_sub(1) | p.gap_w.wrapping_sub(1);
    let (_, count) =
        weights(p).filter(|&(_, count)| count != 0 && gap >> 12 == 0).ok_or(Fault::Parameters)?;
    int16::expect(
        node,
        elements(p.batches, w.in_h, w.in_w, p.in_channels)?,
        elements(p.batches, w.out_h, w.out_w, p.out_channels)?,
    )?;
    check_clamp(p.min, p.max)?;
    node.expect_constants::<i8>(p.weights, count)?;
    if p.multiplier_count != 1 && p.multiplier_count != p.out_channels || p.long > 1 {
        return Err(Fault::Parameters);
    }
    node.expect_constants::<Multiplier>(p.multipliers, p.multiplier_count)?;
    match p.long {
        1 => node.expect_constants::<i64>(p.bias, p.out_channels),
        _ => node.expect_constants::<i32>(p.bias, p.out_channels),
    }
}

fn eval(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<Conv2dInt16Params>() else { return };
    let Some((size, count)) = weights(p) else { return };
    let (Ok(weights), Ok(multipliers)) =
        (node.constants(p.weights, count), node.constants(p.multipliers, p.multiplier_count))
    else {
        return;
    };
    let bias = match p.long {
        1 => Bias::Long(node.constants(p.bias, p.out_channels).unwrap_or(&[])),
        _ => Bias::Short(node.constants(p.bias, p.out_channels).unwrap_or(&[])),
    };
    let layer = Layer { weights, size: size as usize, bias, multipliers };
    conv_2d_int16(p, node.rounding(), &layer, eval.input(0), eval.output(0));
}

/// One number for each channel, which says how wide sums are.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a> {
    /// Sums of 32 bits.
    Short(&'a [i32]),
    /// Sums of 64 bits.
    Long(&'a [i64]),
}

/// Constants of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
    pub weights: &'a [i8],
    /// Weights of a channel.
    pub size: usize,
    /// What sums begin with.
    pub bias: Bias<'a>,
    /// One for all channels, or for each.
    pub multipliers: &'a [Multiplier],
}

/// Computes a batch of images. `input` is `[batches, in_h, in_w, in_channels]`, `out`
/// `[batches, out_h, out_w, out_channels]`.
pub fn conv_2d_int16(
    p: &Conv2dInt16Params,
    rounding: Rounding,
    layer: &Layer<'_>,
    input: &[Cell<i16>],
    out: &[Cell<i16>],
) {
    let (w, channels) = (&p.window, p.in_channels as usize);
    let of_group = p.out_channels.checked_div(p.groups).unwrap_or(0).max(1);
    let depth = channels.checked_div(p.groups as usize).unwrap_or(0);
    for (image, out) in images(w, input, channels, out, p.out_channels as usize) {
        let (mut oy, mut ox) = (0u32, 0u32);
        for pixel in runs(out, p.out_channels as usize) {
            let (mut left, mut first) = (of_group, 0usize);
            for (channel, place) in pixel.iter().enumerate() {
                let start = channel.wrapping_mul(layer.size);
                let weights = layer.weights.get(start..start.wrapping_add(layer.size)).unwrap_or(&[]);
                let sum = sum(p, image, weights, [first, depth], [oy, ox]);
                let multiplier = layer.multipliers.get(channel).or(layer.multipliers.first());
                let multiplier = multiplier.copied().unwrap_or_default();
                let y = match layer.bias {
                    Bias::Short(bias) => {
                        let bias = bias.get(channel).copied().unwrap_or(0);
                        requantize((sum as i32).wrapping_add(bias), multiplier, rounding)
                    }
                    Bias::Long(bias) => {
                        let bias = bias.get(channel).copied().unwrap_or(0);
                        requantize_long(sum.wrapping_add(bias), multiplier)
                    }
                };
                place.set(y.max(p.min).min(p.max) as i16);
                left = left.wrapping_sub(1);
                if left == 0 {
                    (left, first) = (of_group, first.wrapping_add(depth));
                }
            }
            ox = ox.wrapping_add(1);
            if ox == w.out_w {
                (oy, ox) = (oy.wrapping_add(1), 0);
            }
        }
    }
}

/// The products of one output element: the channels of a group, from the first one on, under all taps.
fn sum(
    p: &Conv2dInt16Params,
    image: &[Cell<i16>],
    weights: &[i8],
    [first, depth]: [usize; 2],
    [oy, ox]: [u32; 2],
) -> i64 {
    let w = &p.window;
    let mut sum = 0i64;
    let mut taps = weights.chunks_exact(depth.max(1));
    for ky in 0..w.kernel_h {
        let y = source([oy, w.stride_h, ky, w.dilation_h, w.pad_top], p.gap_h, w.in_h);
        for kx in 0..w.kernel_w {
            let Some(tap) = taps.next() else { return sum };
            let x = source([ox, w.stride_w, kx, w.dilation_w, w.pad_left], p.gap_w, w.in_w);
            let (Some(y), Some(x)) = (y, x) else { continue };
            let pixel = y.wrapping_mul(w.in_w as usize).wrapping_add(x);
            let start = pixel.wrapping_mul(p.in_channels as usize).wrapping_add(first);
            let cells = image.get(start..start.wrapping_add(depth)).unwrap_or(&[]);
            for (x, &weight) in cells.iter().zip(tap) {
                sum = sum.wrapping_add(i32::from(x.get()).wrapping_mul(weight.into()).into());
            }
        }
    }
    sum
}

/// Where a tap reads along one dimension, if it is an element of the input.
fn source([o, stride, k, dilation, pad]: [u32; 5], gap: u32, size: u32) -> Option<usize> {
    let at = o.wrapping_mul(stride).wrapping_add(k.wrapping_mul(dilation)).checked_sub(pad)?;
    let index = if gap == 1 { at } else { at.checked_div(gap)? };
    (index < size && index.wrapping_mul(gap) == at).then_some(index as usize)
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, batches, dim, factor, sizes, window};
    use ferrolite_schema::DType;
    use std::vec::Vec;

    let window = window(random);
    let (batches, groups) = (batches(random), [1, 1, 2, 3][random.below(4)]);
    let (in_channels, out_channels) = (groups * dim(random, 4), groups * dim(random, 3));
    let mut constants = Constants::default();
    let mut p = Conv2dInt16Params {
        window,
        batches,
        in_channels,
        out_channels,
        groups,
        gap_h: [1, 1, 2][random.below(3)],
        gap_w: [1, 1, 3][random.below(3)],
        long: random.below(2) as u32,
        multiplier_count: [1, out_channels][random.below(2)],
        min: i16::MIN.into(),
        max: i16::MAX.into(),
        ..Conv2dInt16Params::default()
    };
    let (size, count) = weights(&p).expect("it is small");
    p.weights = constants.push(&random.elements(count as usize));
    let bias: Vec<i32> = (0..out_channels).map(|_| i32::from(random.element()) * 4096).collect();
    p.bias = match p.long {
        1 => constants.push(&bias.iter().map(|&bias| i64::from(bias)).collect::<Vec<_>>()),
        _ => constants.push(&bias),
    };
    let shift = -7 - size.ilog2().div_ceil(2) as i32;
    let multipliers: Vec<Multiplier> = (0..p.multiplier_count).map(|_| factor(random, shift)).collect();
    p.multipliers = constants.push(&multipliers);
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::Conv2dInt16, &p, constants).rounding(random);
    case.input(random, DType::Int16, 2 * input).output(DType::Int16, 2 * output)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Window;
    use std::vec;
    use std::vec::Vec;

    fn window(size: u32, out: u32, kernel: u32, pad_left: u32) -> Window {
        Window {
            in_h: 1,
            in_w: size,
            out_h: 1,
            out_w: out,
            kernel_h: 1,
            kernel_w: kernel,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left,
        }
    }

    fn run(p: &Conv2dInt16Params, layer: &Layer<'_>, x: &[i16]) -> Vec<i16> {
        let mut x = x.to_vec();
        let mut out = vec![0; (p.window.out_w * p.out_channels) as usize];
        let [x, cells] = [&mut x, &mut out].map(|x| Cell::from_mut(&mut x[..]).as_slice_of_cells());
        conv_2d_int16(p, Rounding::Double, layer, x, cells);
        out
    }

    #[test]
    fn sums_are_as_wide_as_biases() {
        let p = Conv2dInt16Params {
            window: window(3, 3, 3, 1),
            batches: 1,
            in_channels: 1,
            out_channels: 1,
            groups: 1,
            gap_h: 1,
            gap_w: 1,
            min: -32_768,
            max: 32_767,
            ..Conv2dInt16Params::default()
        };
        let (weights, multipliers) = ([1, 2, -1], [multiplier(0.5)]);
        let short = Layer { weights: &weights, size: 3, bias: Bias::Short(&[3]), multipliers: &multipliers };
        // Halves away from zero, the second one upwards.
        assert_eq!(run(&p, &short, &[100, 20, -30]), [92, 87, -18]);
        let bias = Bias::Long(&[3]);
        assert_eq!(run(&p, &Layer { bias, ..short }, &[100, 20, -30]), [92, 87, -18]);
        // What 32 bits have no room for.
        let (bias, multipliers) = (Bias::Long(&[1 << 40]), [multiplier(1.0 / f64::from(1 << 30))]);
        assert_eq!(run(&p, &Layer { bias, multipliers: &multipliers, ..short }, &[0, 0, 0]), [1024; 3]);
    }

    #[test]
    fn gaps_make_a_transposed_convolution() {
        // Each element gives its three taps, two apart: 1 2 3, from 0, 2, 4 on; one cell is cropped.
        let p = Conv2dInt16Params {
            window: window(3, 6, 3, 1),
            batches: 1,
            in_channels: 1,
            out_channels: 1,
            groups: 1,
            gap_h: 1,
            gap_w: 2,
            min: -32_768,
            max: 32_767,
            ..Conv2dInt16Params::default()
        };
        let multipliers = [multiplier(1.0)];
        // Turned around.
        let layer =
            Layer { weights: &[3, 2, 1], size: 3, bias: Bias::Short(&[0]), multipliers: &multipliers };
        assert_eq!(run(&p, &layer, &[1, 10, 100]), [2, 13, 20, 130, 200, 300]);
    }

    #[test]
    fn groups_read_their_own_channels() {
        let p = Conv2dInt16Params {
            window: window(1, 1, 1, 0),
            batches: 1,
            in_channels: 2,
            out_channels: 4,
            groups: 2,
            gap_h: 1,
            gap_w: 1,
            min: -32_768,
            max: 32_767,
            ..Conv2dInt16Params::default()
        };
        let multipliers = [multiplier(1.0)];
        let layer =
            Layer { weights: &[1, 2, 3, 4], size: 1, bias: Bias::Long(&[0; 4]), multipliers: &multipliers };
        assert_eq!(run(&p, &layer, &[5, 100]), [5, 10, 300, 400]);
    }
}
