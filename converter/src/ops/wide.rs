//! Weights beyond int8: those with a zero point, some of which are further than an int8 from it. They are -255 to 255.
//!
//! Such a weight is the sum of two of int8, or three, and `x * w = x * w1 + x * w2`: an input element under one of them
//! is multiplied again. The rest is done as for int8: the layer has longer rows of weights. TensorFlow 1's quantized
//! training has one scale for all weights of a layer, and of those few are so far out.
//!
//! Convolutions and depthwise ones have operators that read elements again (`Conv2dWide`, `DepthwiseWide`); before the
//! others the elements are copied (`passes::wide`).

use ferrolite_runtime::ops::depthwise_taps::PACKING;
use ferrolite_runtime::ops::{conv_2d_wide, depthwise_wide};
use ferrolite_runtime::packing::Shape;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{Conv2dParams, Conv2dWideParams, DepthwiseConv2dParams, DepthwiseWideParams};

use super::lowering::{Lowered, Lowering};
use super::pack;
use super::stage::{self, Channels, Quantized};
use crate::error::Result;
use crate::graph::{Activation, Constant, Node, Quantization, Value};

/// Rows of int8 weights, and the elements that are multiplied again.
#[derive(Debug, PartialEq)]
pub(crate) struct Rows {
    /// Number of each of them in a row without repeats.
    pub places: Vec<u32>,
    /// The rows, one behind the other.
    pub weights: Vec<i8>,
    /// Elements of a row.
    pub row: usize,
}

impl Rows {
    /// Of rows of `row` weights.
    pub(crate) fn of(weights: &[i16], row: usize) -> Rows {
        let row = row.max(1);
        let mut left = weights.to_vec();
        let mut places: Vec<u32> = (0..row as u32).collect();
        let mut columns: Vec<Vec<i8>> = Vec::new();
        // What an int8 takes of each weight, and then of what is left.
        let mut next = 0;
        while let Some(&place) = places.get(next) {
            next += 1;
            let mut beyond = false;
            let parts = left.iter_mut().skip(place as usize).step_by(row).map(|w| {
                let part = (*w).clamp(-128, 127);
                *w -= part;
                beyond |= *w != 0;
                part as i8
            });
            columns.push(parts.collect());
            if beyond {
                places.push(place);
            }
        }
        let count = weights.len() / row;
        let weights = (0..count).flat_map(|c| columns.iter().map(move |column| column[c])).collect();
        Rows { places: places.split_off(row), weights, row: columns.len() }
    }

    /// The same with no element that follows itself, from the last one without repeats on: between two, another one has
    /// weights of 0. There are at least two elements.
    fn apart(self) -> Rows {
        let own = self.row - self.places.len();
        let mut columns: Vec<Option<usize>> = (0..own).map(Some).collect();
        let mut places = Vec::new();
        let mut before = own as u32 - 1;
        for (number, &place) in self.places.iter().enumerate() {
            if place == before {
                places.push(if place == 0 { 1 } else { 0 });
                columns.push(None);
            }
            places.push(place);
            columns.push(Some(own + number));
            before = place;
        }
        let rows = self.weights.chunks_exact(self.row);
        let weight = |row: &[i8], column: Option<usize>| column.map_or(0, |column| row[column]);
        let weights = rows.flat_map(|row| columns.iter().map(|&column| weight(row, column))).collect();
        Rows { places, weights, row: columns.len() }
    }

    fn sums(&self) -> Vec<i32> {
        self.weights.chunks_exact(self.row).map(|w| w.iter().map(|&w| i32::from(w)).sum()).collect()
    }
}

/// Whether a layer's weights are beyond int8.
pub(crate) fn is_wide(weights: &Value) -> bool {
    let zero_points = weights.quantization.as_ref().map_or(&[][..], |q| &q.zero_point);
    matches!(weights.constant, Some(Constant::I8(_))) && zero_points.iter().any(|&z| z != 0)
}

/// The weights as distances from their zero points.
pub(crate) fn distances(weights: &Value) -> Option<Vec<i16>> {
    let (Some(Constant::I8(elements)), Some(q)) = (&weights.constant, &weights.quantization) else {
        return None;
    };
    let inner: usize = weights.shape.iter().skip(q.axis + 1).product();
    let (inner, count) = (inner.max(1), q.zero_point.len());
    // Both are 8-bit numbers, of int8 or of uint8 that became int8.
    let distance = |(i, &w): (usize, &i8)| {
        let zero_point = q.zero_point.get(if count == 1 { 0 } else { i / inner % count })?;
        i16::try_from(i32::from(w) - zero_point).ok()
    };
    elements.iter().enumerate().map(distance).collect()
}

/// The same weights as distances from their zero points, where these are beyond 0 and all distances are int8.
pub(crate) fn centred(weights: &Value) -> Option<Value> {
    let distances = distances(weights).filter(|_| is_wide(weights))?;
    let distances = distances.into_iter().map(|w| i8::try_from(w).ok()).collect::<Option<Vec<i8>>>()?;
    let q = weights.quantization.as_ref()?;
    let quantization = Some(Quantization { zero_point: vec![0; q.scale.len()], ..q.clone() });
    Some(Value { quantization, constant: Some(Constant::I8(distances)), ..weights.clone() })
}

/// A convolution or a depthwise one, as far as it is the same as with weights of int8.
pub(super) struct Layer<'a> {
    pub input: Quantized<'a>,
    pub output: Quantized<'a>,
    pub filter: &'a Value,
    pub activation: Activation,
    pub macs: u64,
}

/// Lowers a convolution of one group; `p` is without weights and stage.
pub(super) fn conv_2d(
    cx: &mut Lowering<'_>,
    node: &Node,
    layer: &Layer<'_>,
    p: Conv2dParams,
) -> Result<Lowered> {
    let size = (p.window.kernel_h * p.window.kernel_w * p.in_channels) as usize;
    let rows = Rows::of(&weights(cx, node, layer)?, size);
    let mut channels = numbers(cx, node, layer, rows.sums())?;
    let each = rows.weights.chunks_exact(rows.row);
    let dims = (p.out_channels, 1, cx.word(node, rows.row)?);
    let shape = pack::choose_general(cx, cx.policy.conv, dims, &mut channels, &layer.input, each.clone());
    let mut params = Conv2dWideParams {
        conv: Conv2dParams { packing: shape.packing.tag(), weights: pack::store(cx, &shape, each)?, ..p },
        repeats: cx.word(node, rows.places.len())?,
        places: cx.constants.add(&rows.places, 4)?,
    };
    params.conv.stage =
        stage::output_stage(cx, node, channels, &layer.input, &layer.output, layer.activation)?;
    let scratch = conv_2d_wide::scratch_bytes(&params);
    let scratch = scratch.ok_or_else(|| cx.unsupported(node, "its filter is too large"))?;
    let ids = (vec![layer.input.id], vec![layer.output.id]);
    Ok(Lowered::new(OpCode::Conv2dWide, ids.0, ids.1, &params).scratch(scratch).macs(layer.macs))
}

/// Lowers a depthwise convolution; `p` is without weights and stage.
pub(super) fn depthwise(
    cx: &mut Lowering<'_>,
    node: &Node,
    layer: &Layer<'_>,
    mut p: DepthwiseConv2dParams,
) -> Result<Lowered> {
    let taps = (p.window.kernel_h * p.window.kernel_w) as usize;
    let channels = (p.in_channels * p.multiplier) as usize;
    let by_taps = weights(cx, node, layer)?;
    let by_channel = |c| by_taps.iter().skip(c).step_by(channels).copied();
    // No tap follows itself in the device's list, so a single one has another beside it, whose weights are 0.
    let beside = usize::from(taps == 1);
    p.window.kernel_w += beside as u32;
    let taps = taps + beside;
    let by_channels: Vec<i16> =
        (0..channels).flat_map(|c| by_channel(c).chain(std::iter::repeat_n(0, beside))).collect();
    let rows = Rows::of(&by_channels, taps).apart();
    let numbers = numbers(cx, node, layer, rows.sums())?;
    let shape = Shape {
        packing: PACKING,
        channels: p.in_channels * p.multiplier,
        lines: 1,
        line: cx.word(node, rows.row)?,
    };
    let mut params = DepthwiseWideParams {
        conv: DepthwiseConv2dParams {
            packing: PACKING.tag(),
            weights: pack::store(cx, &shape, rows.weights.chunks_exact(rows.row))?,
            ..p
        },
        repeats: cx.word(node, rows.places.len())?,
        places: cx.constants.add(&rows.places, 4)?,
    };
    params.conv.stage =
        stage::output_stage(cx, node, numbers, &layer.input, &layer.output, layer.activation)?;
    let scratch = depthwise_wide::scratch_bytes(&params);
    let what = "its rows are too long for weights with a zero point that are beyond int8";
    let scratch = scratch.ok_or_else(|| cx.unsupported(node, what))?;
    let ids = (vec![layer.input.id], vec![layer.output.id]);
    Ok(Lowered::new(OpCode::DepthwiseWide, ids.0, ids.1, &params).scratch(scratch).macs(layer.macs))
}

fn weights(cx: &Lowering<'_>, node: &Node, layer: &Layer<'_>) -> Result<Vec<i16>> {
    distances(layer.filter)
        .ok_or_else(|| cx.unsupported(node, format_args!("weights `{}` are no int8", layer.filter.name)))
}

fn numbers(cx: &Lowering<'_>, node: &Node, layer: &Layer<'_>, sums: Vec<i32>) -> Result<Channels> {
    let (_, _, quantization) = stage::quantized_weights(cx, node, 1)?;
    let bias = stage::bias(cx, node, 2, sums.len())?;
    Ok(Channels { bias, sums, factors: stage::factors(cx, &layer.input, quantization, &layer.output) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_element_follows_itself() {
        // The last one is beyond int8, and one of them twice.
        for weights in [vec![1, 2, 255], vec![255, 1, 2], vec![-255, 3], vec![0, 200], vec![255, 255, -200]] {
            let row = weights.len();
            let rows = Rows::of(&weights, row).apart();
            let whole: Vec<u32> = (0..row as u32).chain(rows.places.iter().copied()).collect();
            assert!(whole.windows(2).all(|pair| pair[0] != pair[1]), "{whole:?}");
            let mut sums = vec![0; row];
            for (&place, &weight) in whole.iter().zip(&rows.weights) {
                sums[place as usize] += i16::from(weight);
            }
            assert_eq!(sums, weights);
        }
    }

    #[test]
    fn every_weight_is_the_sum_of_its_parts() {
        let weights: Vec<i16> = vec![5, -255, 255, 127, 0, -129, -128, 128, 254, 3, -1, 130];
        for row in [1, 2, 3, 4, 6, 12] {
            let rows = Rows::of(&weights, row);
            for (c, given) in weights.chunks(row).enumerate() {
                let parts = &rows.weights[c * rows.row..][..rows.row];
                let mut sums: Vec<i16> = parts[..row].iter().map(|&w| w.into()).collect();
                for (&part, &place) in parts[row..].iter().zip(&rows.places) {
                    sums[place as usize] += i16::from(part);
                }
                assert_eq!(sums, given, "rows of {row}");
            }
        }
        // One int8 does for most of them, two for nearly all.
        assert_eq!(Rows::of(&[1, 2, 3, -128, 127, 0], 3).places, [0u32; 0]);
        assert_eq!(Rows::of(&[1, 254, 3, -128, 127, -256], 3).places, [1, 2]);
        assert_eq!(Rows::of(&[1, 255, 3], 3).places, [1, 1]);
    }

    fn weights(shape: Vec<usize>, q: Quantization, elements: Vec<i8>) -> Value {
        let constant = Some(Constant::I8(elements));
        Value { name: "w".into(), shape, dtype: crate::graph::DType::Int8, quantization: Some(q), constant }
    }

    #[test]
    fn weights_are_centred_where_their_distances_are_int8() {
        let of = |elements| centred(&weights(vec![3, 1], Quantization::per_tensor(0.5, -3), elements));
        let near = of(vec![-128, -3, 124]).unwrap();
        assert_eq!(near.constant, Some(Constant::I8(vec![-125, 0, 127])));
        assert_eq!(near.quantization, Some(Quantization::per_tensor(0.5, 0)));
        assert!(of(vec![-128, -3, 125]).is_none());
        assert!(centred(&weights(vec![1], Quantization::per_tensor(0.5, 0), vec![1])).is_none());
    }

    #[test]
    fn each_channel_has_its_zero_point() {
        let q = Quantization { scale: vec![1.0; 3], zero_point: vec![1, 0, -1], axis: 1 };
        let centred = centred(&weights(vec![2, 3], q, vec![1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!(centred.constant, Some(Constant::I8(vec![0, 2, 4, 3, 5, 7])));
    }
}
