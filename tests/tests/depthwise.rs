//! Depthwise convolutions tap by tap: each kernel set gives what plain weights give, for random windows, strides,
//! dilations, multipliers, numbers of channels and numbers of the output stage. The sets of other cores are emulated.

use std::cell::Cell;

use ferrolite_runtime::Rounding;
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::kernels::{Armv6m, Armv7em, Armv7m, Kernels, Mve, Portable, Rv32im, Stage};
use ferrolite_runtime::ops::depthwise_conv_2d::{self, depthwise_conv_2d};
use ferrolite_runtime::ops::depthwise_taps::{PACKING, depthwise_taps, scratch_bytes};
use ferrolite_runtime::packing::Packing;
use ferrolite_schema::params::{DepthwiseConv2dParams, Multiplier, Window};

fn cells<T>(elements: &mut [T]) -> &[Cell<T>] {
    Cell::from_mut(elements).as_slice_of_cells()
}

/// A layer with its numbers.
#[derive(Debug)]
struct Layer {
    params: DepthwiseConv2dParams,
    input: Vec<i8>,
    /// Channel by channel.
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<Multiplier>,
    rounding: Rounding,
    bounds: (i32, i32),
    zero_point: i32,
}

impl Layer {
    fn new(random: &mut Random) -> Layer {
        let mut dim = |most: usize| random.up_to(most) as u32;
        let mut window = Window {
            in_h: dim(9),
            in_w: dim(24),
            out_h: dim(7),
            out_w: dim(23),
            kernel_h: dim(5),
            kernel_w: dim(9),
            stride_h: dim(3),
            stride_w: dim(4),
            dilation_h: dim(3),
            dilation_w: dim(5),
            pad_top: dim(6) - 1,
            pad_left: dim(9) - 1,
        };
        if dim(2) == 1 {
            (window.stride_h, window.stride_w, window.out_h, window.out_w) = (1, 1, window.in_h, window.in_w);
        }
        if dim(2) == 1 {
            (window.dilation_h, window.dilation_w) = (1, 1);
        }
        let (batches, in_channels) = (1 + dim(3) / 3, dim(9));
        let multiplier = if dim(3) == 1 { dim(4) } else { 1 };
        let params = DepthwiseConv2dParams {
            window,
            batches,
            in_channels,
            multiplier,
            input_zero_point: i32::from(random.element()),
            packing: PACKING.tag(),
            weights: 0,
            stage: bytemuck::Zeroable::zeroed(),
        };
        let channels = (in_channels * multiplier) as usize;
        let taps = (window.kernel_h * window.kernel_w) as usize;
        let unusual = random.below(2) == 0;
        let mut bias = || match random.below(if unusual { 5 } else { 1 }) {
            1 => [i32::MAX, i32::MIN, 1 << 29, (1 << 29) - 1, 1 - (1 << 29), 1 << 30][random.below(6)],
            _ => i32::from(random.element()) * 64,
        };
        let bias = (0..channels).map(|_| bias()).collect();
        let count = if random.below(4) == 0 { 1 } else { channels };
        let mut multiplier = || Multiplier {
            mantissa: if random.below(9) == 0 { 0 } else { (1 << 30) + random.below(1 << 30) as i32 },
            shift: match random.below(if unusual { 4 } else { 1 }) {
                1 => [0, 1, 7, -22, -23, -31, -1][random.below(7)],
                _ => -(random.up_to(12) as i32),
            },
        };
        let multipliers = (0..count).map(|_| multiplier()).collect();
        let (a, b) = (i32::from(random.element()), i32::from(random.element()));
        Layer {
            params,
            input: random.elements((batches * window.in_h * window.in_w * in_channels) as usize),
            weights: random.elements(channels * taps),
            bias,
            multipliers,
            rounding: if random.below(8) == 0 { Rounding::Single } else { Rounding::Double },
            bounds: if random.below(2) == 0 { (-128, 127) } else { (a.min(b), a.max(b)) },
            zero_point: random.element().into(),
        }
    }

    fn stage(&self) -> Stage<'_> {
        Stage {
            bias: &self.bias,
            multipliers: &self.multipliers,
            rounding: self.rounding,
            zero_point: self.zero_point,
            min: self.bounds.0,
            max: self.bounds.1,
        }
    }

    fn outputs(&self) -> Vec<i8> {
        let w = &self.params.window;
        let channels = self.params.in_channels * self.params.multiplier;
        vec![0x5A; (self.params.batches * w.out_h * w.out_w * channels) as usize]
    }

    /// With plain weights, which lie tap by tap.
    fn plainly(&self) -> Vec<i8> {
        let params = DepthwiseConv2dParams { packing: Packing::PLAIN.tag(), ..self.params };
        let taps = (params.window.kernel_h * params.window.kernel_w) as usize;
        let weights: Vec<i8> =
            (0..taps).flat_map(|tap| self.weights.iter().skip(tap).step_by(taps)).copied().collect();
        let mut scratch = vec![0; depthwise_conv_2d::scratch_bytes(&params).expect("it is small") as usize];
        let (mut input, mut out) = (self.input.clone(), self.outputs());
        let (input, scratch) = (cells(&mut input), cells(&mut scratch));
        depthwise_conv_2d::<Portable>(&params, input, &weights, &self.stage(), scratch, cells(&mut out));
        out
    }

    fn by_taps<K: Kernels>(&self) -> Vec<i8> {
        let bytes = scratch_bytes(&self.params).expect("it is small") as usize;
        let mut scratch = vec![0xA5C3_5A3Cu32; bytes.div_ceil(4)];
        let (mut input, mut out) = (self.input.clone(), self.outputs());
        let scratch = &cells(bytemuck::cast_slice_mut(&mut scratch))[..bytes];
        let input = cells(&mut input);
        depthwise_taps::<K>(&self.params, input, &self.weights, &self.stage(), scratch, cells(&mut out));
        out
    }
}

fn equals_plain_weights<K: Kernels>() {
    let mut random = Random(6);
    for number in 0..2000 {
        let layer = Layer::new(&mut random);
        if layer.by_taps::<K>() != layer.plainly() {
            panic!("layer {number}: {:?}, {:?}, {:?}", layer.params, layer.multipliers, layer.bias);
        }
    }
}

#[test]
fn every_set_equals_plain_weights() {
    equals_plain_weights::<Portable>();
    equals_plain_weights::<Armv6m>();
    equals_plain_weights::<Armv7em>();
    equals_plain_weights::<Armv7m>();
    equals_plain_weights::<Mve>();
    equals_plain_weights::<Rv32im>();
}

/// What is beyond the operator has no scratch memory, and is left to others.
#[test]
fn planes_have_a_largest_size() {
    let layer = Layer::new(&mut Random(1));
    let with = |in_w: u32, kernel_h: u32, dilation_h: u32| {
        let window = Window {
            in_w,
            out_w: in_w,
            kernel_h,
            kernel_w: 1,
            dilation_h,
            dilation_w: 1,
            stride_h: 1,
            stride_w: 1,
            ..layer.params.window
        };
        scratch_bytes(&DepthwiseConv2dParams { window, in_channels: 2, ..layer.params })
    };
    assert_eq!(with(32_767, 1, 1), Some(4 + 2 * 32_767 + 8));
    assert_eq!(with(32_768, 1, 1), None);
    assert_eq!(with(4681, 7, 1), Some(16 + 2 * 32_767 + 8));
    assert_eq!(with(4681, 2, 7), None);
    assert_eq!(with(4096, 5, 4096), None);
}
