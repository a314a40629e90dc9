//! CONV_2D with 3x3 filters and stride 1, by Winograd's F(2x2, 3x3) ([`crate::winograd`]).
//!
//! The converter chooses it for layers where it pays. A tile is 2x2 outputs; [`TILE`] tiles that stand side
//! by side are made at a time, row of tiles by row of tiles: their pixels enter scratch memory, then all
//! channels of their outputs are made and written.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{Conv2dParams, Window};

use super::Operator;
use super::window;
use crate::error::Fault;
use crate::kernels::{COLUMNS, General, Kernels, Outputs, Stage, TILE, Tiles};
use crate::node::{Eval, Node, check_int8};
use crate::packing::Packing;
use crate::tensor::{cells_of, fill_short};
use crate::winograd::{self, Filters};

/// Columns of outputs that are made at a time.
const STEP: u32 = 2 * TILE as u32;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::Conv2dWinograd as u16,
        check: |node| check(node, is_any(node.params::<Conv2dParams>()?)),
        eval: eval::<General<K>>,
        lead,
    }
}

/// The operator for layers whose numbers keep to the bounds of the packing, and no others.
pub const fn tuned_operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::Conv2dWinograd as u16,
        check: |node| check(node, node.params::<Conv2dParams>()?.packing == Packing::WINOGRAD.tag()),
        eval: eval::<K>,
        lead,
    }
}

/// Whether a packing is that of filters for tiles, with bounds or general.
fn is_any(p: &Conv2dParams) -> bool {
    p.packing == Packing::WINOGRAD.tag() || p.packing == Packing::WINOGRAD.general().tag()
}

/// Whether a convolution can be made this way.
pub fn suits(p: &Conv2dParams) -> bool {
    let w = &p.window;
    (w.kernel_h, w.kernel_w) == (3, 3)
        && w.stride_h | w.stride_w | w.dilation_h | w.dilation_w | p.groups == 1
        && p.in_channels & 3 == 0
        && p.out_channels & 1 == 0
}

/// Bytes of scratch memory that an op with these parameters needs.
pub fn scratch_bytes(params: &Conv2dParams) -> Option<u32> {
    Tiles::bytes(params.in_channels)
}

fn check(node: &Node<'_>, packed: bool) -> Result<(), Fault> {
    let p: &Conv2dParams = node.params()?;
    window::check_op(node, &p.window, p.batches, p.in_channels, p.out_channels)?;
    if !suits(p) {
        return Err(Fault::Parameters);
    }
    if !packed {
        return Err(Fault::Packing);
    }
    check_int8(p.input_zero_point)?;
    node.filters(p.out_channels, p.in_channels, p.weights)?;
    node.expect_stage(&p.stage, p.out_channels)?;
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)
}

/// Where neither rows nor pixels grow. Before some tiles of row `t`, all that is written ends at row
/// `2 t + 1`, above the tiles; what they and later ones read starts `pad_top + 1` rows and `pad_left`
/// pixels before that at most, or `pad_top` rows where a row of tiles is made at once.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &Conv2dParams = node.params().ok()?;
    let w = &p.window;
    if p.batches != 1 || w.out_h > w.in_h || w.out_w > w.in_w || p.out_channels > p.in_channels {
        return None;
    }
    window_lead(w, p.in_channels)
}

fn window_lead(w: &Window, in_pixel: u32) -> Option<u32> {
    // A row of the input, whose size fits 32 bits; paddings are small, as the check has found.
    let row = w.in_w.wrapping_mul(in_pixel);
    if w.out_w <= STEP {
        return w.pad_top.checked_mul(row);
    }
    let rows = w.pad_top.wrapping_add(1).checked_mul(row)?;
    rows.checked_add(w.pad_left.checked_mul(in_pixel)?)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<Conv2dParams>() else { return };
    let (Ok(filters), Ok(stage)) =
        (node.filters(p.out_channels, p.in_channels, p.weights), node.stage(&p.stage, p.out_channels))
    else {
        return;
    };
    let filters = Filters { general: p.packing != Packing::WINOGRAD.tag(), ..filters };
    conv_2d_winograd::<K>(p, eval.input(0), &filters, &stage, eval.scratch(), eval.output(0));
}

/// Convolves a batch of images. `input` is `[batches, in_h, in_w, in_channels]`, `out` `[batches, out_h,
/// out_w, out_channels]`, `scratch` has [`scratch_bytes`] bytes. What does not fit is not computed.
pub fn conv_2d_winograd<K: Kernels>(
    p: &Conv2dParams,
    input: &[Cell<i8>],
    filters: &Filters<'_>,
    stage: &Stage<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let (channels, pixel) = (p.in_channels as usize, p.out_channels as usize);
    let tiles = Tiles { cells: scratch, channels };
    // What fills the channels up meets the padding of the filters, and stays.
    if winograd::padded_inputs(p.in_channels) != Some(p.in_channels) {
        fill_short(cells_of(scratch).unwrap_or(&[]), 0);
    }
    let image_row = (w.in_w as usize).wrapping_mul(channels);
    let out_row = (w.out_w as usize).wrapping_mul(pixel).max(1);
    for (image, out) in window::images(w, input, channels, out, pixel) {
        for (oy, out) in (0u32..).step_by(2).zip(out.chunks(out_row.wrapping_mul(2).max(1))) {
            let height = out.len() / out_row;
            for ox in (0..w.out_w).step_by(STEP as usize) {
                let x = ox as i32 - w.pad_left as i32;
                let last = (x + COLUMNS as i32).min(w.in_w as i32).max(0) as usize;
                let first = (x.max(0) as usize).min(last);
                let left = COLUMNS.min(x.min(0).unsigned_abs() as usize);
                let rows = [0u32, 1, 2, 3].map(|row| {
                    let y = (oy + row).checked_sub(w.pad_top).filter(|&y| y < w.in_h);
                    let row = y.map_or(usize::MAX, |y| (y as usize).wrapping_mul(image_row));
                    let row = image.get(row..).unwrap_or(&[]);
                    row.get(first.wrapping_mul(channels)..last.wrapping_mul(channels)).unwrap_or(&[])
                });
                K::load_tiles(&tiles, rows, left, p.input_zero_point as i8);
                let out = out.get((ox as usize).wrapping_mul(pixel)..).unwrap_or(&[]);
                let width = (w.out_w - ox).min(STEP) as usize;
                let out = Outputs { cells: out, pixel, row: out_row, width, height };
                K::matmul_tiles(&tiles, filters, stage, &out);
            }
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, batches, dim, sizes, window, zero_point};

    let (kept, batches) = (window(random), batches(random));
    let [kernel_h, kernel_w] = [3; 2];
    let window = Window { kernel_h, kernel_w, stride_h: 1, stride_w: 1, ..kept };
    // Also rows of more than one step of tiles.
    let window = if random.below(2) == 0 { Window { in_w: 19, out_w: 19, ..window } } else { window };
    let (in_channels, out_channels) = (4 * dim(random, 2), 2 * dim(random, 4));
    let mut constants = Constants::default();
    let (mut filters, _) = random.filters(in_channels, out_channels);
    // Anything in place of the zeroes that fill up the channels.
    for output in 0..out_channels {
        for input in in_channels..winograd::padded_inputs(in_channels).expect("it is small") {
            for slot in 0..winograd::SLOTS {
                let at = winograd::place(in_channels, output, slot, input);
                filters[at / 2] |= (random.next() & 0xFFFF) << (16 * (at % 2));
            }
        }
    }
    let packing = if random.below(3) == 0 { Packing::WINOGRAD.general() } else { Packing::WINOGRAD };
    let p = Conv2dParams {
        window,
        batches,
        in_channels,
        out_channels,
        groups: 1,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        weights: constants.push(&filters),
        stage: constants.stage_for(random, packing, 9 * in_channels, out_channels),
    };
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::Conv2dWinograd, &p, constants).int8(random, input, output);
    case.scratch(scratch_bytes(&p))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::{Armv7em, Portable};
    use crate::ops::conv_2d::conv_2d;
    use crate::winograd::{place, transform};

    proptest! {
        /// By definition: what is written before some tiles, against what they or later ones read.
        #[test]
        fn no_pixel_is_overwritten_before_it_is_read(
            (in_h, in_w, less_h, less_w) in (1u32..9, 1u32..40, 0u32..3, 0u32..3),
            (pad_top, pad_left) in (0u32..4, 0u32..4),
            (in_pixel, less) in (1u32..9, 0u32..4),
        ) {
            let (out_h, out_w) = (in_h.saturating_sub(less_h).max(1), in_w.saturating_sub(less_w).max(1));
            let out_pixel = in_pixel.saturating_sub(less).max(1);
            let w = Window {
                in_h, in_w, out_h, out_w, kernel_h: 3, kernel_w: 3, stride_h: 1, stride_w: 1, dilation_h: 1,
                dilation_w: 1, pad_top, pad_left,
            };
            let steps = (0..out_h).step_by(2)
                .flat_map(|oy| (0..out_w).step_by(STEP as usize).map(move |ox| (oy, ox)));
            let mut written = 0;
            let mut ends = std::vec::Vec::new();
            for (oy, ox) in steps.clone() {
                ends.push(written);
                let bottom = (oy + 1).min(out_h - 1);
                written = written.max((bottom * out_w + (ox + STEP).min(out_w)) * out_pixel);
            }
            let (mut lead, mut read) = (0, u32::MAX);
            for ((oy, ox), written) in steps.zip(ends).rev_all() {
                for y in (oy..oy + 4).filter_map(|y| y.checked_sub(pad_top)).filter(|&y| y < in_h) {
                    let columns = (ox..ox + COLUMNS as u32).filter_map(|x| x.checked_sub(pad_left));
                    for x in columns.filter(|&x| x < in_w) {
                        read = read.min((y * in_w + x) * in_pixel);
                    }
                }
                lead = lead.max(u32::saturating_sub(written, read));
            }
            prop_assert!(window_lead(&w, in_pixel).unwrap() >= lead);
            let same = out_h == in_h && out_w == in_w && out_pixel == in_pixel;
            if same && pad_top == 1 && pad_left == 1 && in_h > 4 && in_w > 16 {
                prop_assert!(window_lead(&w, in_pixel).unwrap() <= lead + 2 * in_pixel);
            }
        }
    }

    /// Deep padding over long rows: what would be small again in 32 bits is no lead.
    #[test]
    fn leads_that_overflow_are_none() {
        let lead = |(in_w, out_w), (pad_top, pad_left), in_pixel| {
            window_lead(&Window { in_w, out_w, pad_top, pad_left, ..Window::default() }, in_pixel)
        };
        let (long, narrow) = (1 << 16, STEP);
        assert_eq!(lead((long, narrow), (0x3FFF, 0), 4), Some(0xFFFC_0000));
        assert_eq!(lead((long, narrow), (0x4000, 0), 4), None);
        assert_eq!(lead((long, narrow + 1), (0x3FFE, 0), 4), Some(0xFFFC_0000));
        assert_eq!(lead((long, narrow + 1), (0x3FFF, 0), 4), None);
        // The pixels beside a row, alone and with the rows above.
        assert_eq!(lead((long, narrow + 1), (0x3FFE, 0xFFFF), 4), Some(0xFFFF_FFFC));
        assert_eq!(lead((long, narrow + 1), (0x3FFE, 0x1_0000), 4), None);
        assert_eq!(lead((17, narrow + 1), (0, 0x8000), 1 << 17), None);
    }

    /// What the converter proves of a layer, and any image: sums that stay small, a right shift.
    #[derive(Debug)]
    struct Layer {
        params: Conv2dParams,
        input: Vec<i8>,
        weights: Vec<i8>,
        bias: Vec<i32>,
        multipliers: Vec<Multiplier>,
        zero_point: i32,
        bounds: (i32, i32),
    }

    prop_compose! {
        fn layers()(
            (in_h, in_w, pad_top, pad_left) in (1u32..7, 1u32..28, 0u32..3, 0u32..3),
            (more_h, more_w) in (0u32..3, 0u32..3),
            (batches, in_groups, out_pairs) in (1u32..3, 1u32..7, 1u32..4),
            (zero_point, input_zero_point) in (any::<i8>(), any::<i8>()),
            shifts in proptest::collection::vec(-14i32..=-6, 6),
            (narrow, single, seed) in (any::<bool>(), any::<bool>(), any::<u64>()),
        ) -> Layer {
            let mut state = seed;
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as i32
            };
            let (in_channels, out_channels) = (4 * in_groups, 2 * out_pairs);
            let window = Window {
                in_h, in_w, kernel_h: 3, kernel_w: 3, stride_h: 1, stride_w: 1, dilation_h: 1, dilation_w: 1,
                out_h: (in_h + pad_top + more_h).saturating_sub(2).max(1),
                out_w: (in_w + pad_left + more_w).saturating_sub(2).max(1),
                pad_top, pad_left,
            };
            let mut int8 = |count: u32| -> Vec<i8> {
                (0..count).map(|_| if random() % 4 == 0 { [-128, 127][random() as usize % 2] } else { random() as i8 })
                    .collect()
            };
            let input = int8(batches * in_h * in_w * in_channels);
            let weights = int8(out_channels * 9 * in_channels);
            let bias = (0..out_channels).map(|_| (random() >> 11) - (1 << 19)).collect();
            let count = if single { 1 } else { out_channels as usize };
            let multipliers = shifts.into_iter().take(count)
                .map(|shift| Multiplier { mantissa: (1 << 30) + random() / 2, shift })
                .collect();
            Layer {
                params: Conv2dParams {
                    window, batches, in_channels, out_channels, groups: 1,
                    input_zero_point: input_zero_point.into(),
                    ..Conv2dParams::default()
                },
                input, weights, bias, multipliers,
                zero_point: zero_point.into(),
                bounds: if narrow { (-100, 90) } else { (-128, 127) },
            }
        }
    }

    /// Memory for a run, of any element.
    fn cells<T>(elements: &mut [T]) -> &[Cell<T>] {
        Cell::from_mut(elements).as_slice_of_cells()
    }

    impl Layer {
        fn stage(&self) -> Stage<'_> {
            Stage {
                bias: &self.bias,
                multipliers: &self.multipliers,
                rounding: ferrolite_schema::Rounding::Double,
                zero_point: self.zero_point,
                min: self.bounds.0,
                max: self.bounds.1,
            }
        }

        fn run(&self, compute: impl Fn(&[Cell<i8>], &[Cell<i8>])) -> Vec<i8> {
            let w = &self.params.window;
            let size = self.params.batches * w.out_h * w.out_w * self.params.out_channels;
            let mut out = std::vec![0x5Ai8; size as usize];
            compute(cells(&mut self.input.clone()), cells(&mut out));
            out
        }

        fn direct(&self) -> Vec<i8> {
            let size = crate::ops::conv_2d::scratch_bytes(&self.params).unwrap() as usize;
            self.run(|input, out| {
                let scratch = &mut std::vec![0x33i8; size][..];
                conv_2d::<Portable>(&self.params, input, &self.weights, &self.stage(), cells(scratch), out);
            })
        }

        fn by_tiles<K: Kernels>(&self, misplaced: usize) -> Vec<i8> {
            let (outputs, inputs) = (self.params.out_channels, self.params.in_channels);
            let mut words = std::vec![0u32; Filters::words(outputs, inputs).unwrap() as usize];
            let taps = 9 * inputs as usize;
            for (output, row) in (0..).zip(self.weights.chunks_exact(taps)) {
                for input in 0..inputs {
                    let filter = core::array::from_fn(|tap| row[tap * inputs as usize + input as usize]);
                    for (slot, u) in transform(&filter).into_iter().enumerate() {
                        let at = place(inputs, output, slot, input);
                        words[at / 2] |= u32::from(u as u16) << (16 * (at % 2));
                    }
                }
            }
            let filters = Filters { outputs, inputs, words: &words, general: false };
            let size = scratch_bytes(&self.params).unwrap() as usize;
            self.run(|input, out| {
                // Not more than is asked for, at every place that a file may name.
                let mut memory = std::vec![0x3333_3333u32; size.div_ceil(4) + 8];
                let bytes = cells(bytemuck::cast_slice_mut::<u32, u8>(&mut memory));
                let scratch = &bytes[4 * misplaced..][..size];
                conv_2d_winograd::<K>(&self.params, input, &filters, &self.stage(), scratch, out);
            })
        }
    }

    proptest! {
        #[test]
        fn tiles_give_what_the_direct_convolution_gives(layer in layers(), misplaced in 0usize..8) {
            let wanted = layer.direct();
            prop_assert_eq!(&layer.by_tiles::<Portable>(misplaced), &wanted);
            prop_assert_eq!(&layer.by_tiles::<Armv7em>(misplaced), &wanted);
        }
    }

    /// An iterator's items from the last to the first.
    trait RevAll: Iterator + Sized {
        fn rev_all(self) -> impl Iterator<Item = Self::Item> {
            let mut all: std::vec::Vec<_> = self.collect();
            all.reverse();
            all.into_iter()
        }
    }

    impl<I: Iterator> RevAll for I {}
}
