//! The weights of a finished op in the order of another core's kernels.
//!
//! An op's numbers are the same in every packing but for the order of the weights, so this needs no more
//! than the file has. Where the new order's bounds do not hold, its general packing takes the weights.

use bytemuck::Pod;
use ferrolite_runtime::Rounding;
use ferrolite_runtime::kernels::Policy;
use ferrolite_runtime::ops::transpose_conv::scratch_bytes;
use ferrolite_runtime::ops::{conv_2d, conv_2d_segments, depthwise_conv_2d};
use ferrolite_runtime::packing::{Matrix, Order, Packing, Shape};
use ferrolite_runtime::winograd::{Filters, place, transform};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{
    Conv2dParams, DepthwiseConv2dParams, FullyConnectedParams, Multiplier, OutputStage, TransposeConvParams,
};

use super::lowering::{Constants, Lowered};
use super::{pack, segments, transpose_conv};

/// The weights of a convolution in segments whose groups lie tap by tap, as before they lay by kernel rows, and where
/// they stand in the constants; no weights where both are the same. `None` where the numbers do not fit.
pub(crate) fn regrouped(p: &Conv2dParams, constants: &[u8]) -> Option<(usize, Vec<u8>)> {
    let (start, to) = (p.weights as usize, conv_2d_segments::shape(p, Packing::from_tag(p.packing)?)?);
    if p.groups == 1 || p.window.dilation_w != 1 {
        return Some((start, Vec::new()));
    }
    let taps = p.window.kernel_h.checked_mul(p.window.kernel_w)?;
    let from = Shape { lines: taps, line: p.in_channels.checked_div(p.groups)?, ..to };
    let size = from.bytes()? as usize;
    let mut rows = Vec::new();
    for group in 0..p.groups as usize {
        let bytes = constants.get(start.checked_add(group.checked_mul(size)?)?..)?.get(..size)?;
        let matrix = Matrix { shape: from, bytes };
        rows.extend((0..from.channels).flat_map(|channel| matrix.row(channel)));
    }
    let packed = segments::packed(&to, &rows);
    Some((
        start,
        if packed.len() == size * p.groups as usize && constants[start..].starts_with(&packed) {
            Vec::new()
        } else {
            packed
        },
    ))
}

/// What a file that is packed anew has to work with.
pub(crate) struct Repacking<'a> {
    /// The file's constants.
    pub from: &'a [u8],
    /// The constants of the new file, which begin with them.
    pub to: &'a mut Constants,
    /// How the file's accumulators are scaled down.
    pub rounding: Rounding,
    /// What the kernels of the other core read fast.
    pub policy: Policy,
}

impl Repacking<'_> {
    /// Packs the weights of an op anew. `None` where it has none, or they stay as they are.
    pub fn repack(&mut self, op: &Lowered) -> Option<Lowered> {
        match OpCode::from_code(op.code)? {
            OpCode::Conv2d | OpCode::Conv2dWinograd => self.conv_2d(op),
            OpCode::Conv2dSegments => self.segments(op),
            OpCode::DepthwiseConv2d | OpCode::Depthwise3x3 | OpCode::DepthwiseTaps => self.depthwise(op),
            OpCode::FullyConnected => self.fully_connected(op),
            OpCode::TransposeConv => self.transpose_conv(op),
            _ => None,
        }
    }

    fn conv_2d(&mut self, op: &Lowered) -> Option<Lowered> {
        let mut p: Conv2dParams = params(op)?;
        if !conv_2d::can_be_packed(&p) {
            return None;
        }
        let line = p.window.kernel_w.checked_mul(p.in_channels)?;
        let shape = |packing| Shape { packing, channels: p.out_channels, lines: p.window.kernel_h, line };
        let rows = match OpCode::from_code(op.code)? {
            OpCode::Conv2dWinograd => self.filters(&p)?,
            _ => self.rows(shape(Packing::from_tag(p.packing)?), p.weights)?,
        };
        (p.packing, p.weights) = self.store(&shape(self.policy.conv), &rows, &p.stage, true)?;
        Some(renewed(op, OpCode::Conv2d, &p, conv_2d::scratch_bytes(&p)?))
    }

    fn segments(&mut self, op: &Lowered) -> Option<Lowered> {
        let mut p: Conv2dParams = params(op)?;
        let from = conv_2d_segments::shape(&p, Packing::from_tag(p.packing)?)?;
        let to = Shape { packing: self.policy.conv, ..from };
        let mut rows = Vec::new();
        for group in 0..p.groups {
            let start = group.checked_mul(from.bytes()?)?.checked_add(p.weights)?;
            rows.extend(self.rows(from, start)?);
        }
        (p.packing, p.weights) = self.store(&to, &rows, &p.stage, true)?;
        Some(renewed(op, OpCode::Conv2dSegments, &p, conv_2d_segments::scratch_bytes(&p)?))
    }

    fn depthwise(&mut self, op: &Lowered) -> Option<Lowered> {
        let mut p: DepthwiseConv2dParams = params(op)?;
        if !depthwise_conv_2d::can_be_packed(&p) {
            return None;
        }
        let line = p.window.kernel_h.checked_mul(p.window.kernel_w)?;
        let shape = |packing| Shape { packing, channels: p.in_channels, lines: 1, line };
        let rows = match Packing::from_tag(p.packing)? {
            // Plain weights lie tap by tap.
            Packing::PLAIN => {
                let (taps, channels) = (line as usize, p.in_channels as usize);
                let taps_of_all = self.bytes(p.weights, taps.checked_mul(channels)?)?;
                let channel = |c| taps_of_all.iter().skip(c).step_by(channels).map(|&w| w as i8);
                (0..channels).flat_map(channel).collect()
            }
            packing => self.rows(shape(packing), p.weights)?,
        };
        (p.packing, p.weights) = self.store(&shape(self.policy.depthwise), &rows, &p.stage, false)?;
        Some(renewed(op, OpCode::DepthwiseConv2d, &p, depthwise_conv_2d::scratch_bytes(&p)?))
    }

    fn fully_connected(&mut self, op: &Lowered) -> Option<Lowered> {
        let mut p: FullyConnectedParams = params(op)?;
        let shape = |packing| Shape { packing, channels: p.outputs, lines: 1, line: p.inputs };
        let rows = self.rows(shape(Packing::from_tag(p.packing)?), p.weights)?;
        (p.packing, p.weights) = self.store(&shape(self.policy.dense), &rows, &p.stage, true)?;
        Some(renewed(op, OpCode::FullyConnected, &p, op.scratch_bytes))
    }

    fn transpose_conv(&mut self, op: &Lowered) -> Option<Lowered> {
        let mut p: TransposeConvParams = params(op)?;
        let shapes = transpose_conv::shapes(&p, Packing::from_tag(p.packing)?)?;
        let (mut start, mut stage, mut packing) = (p.weights, p.stage, self.policy.conv);
        let mut all = Vec::new();
        for from in shapes {
            let rows = self.rows(from, start)?;
            let to = Shape { packing: self.policy.conv, ..from };
            // General for all, where it is for one of them.
            let own = self.packing(&to, &rows, &stage, true)?;
            packing = if own.general { own } else { packing };
            start = start.checked_add(from.bytes()?)?;
            stage.bias = stage.bias.checked_add(from.channels.checked_mul(4)?)?;
            all.push((to, rows));
        }
        let packed = |(to, rows): &(Shape, Vec<i8>)| segments::packed(&Shape { packing, ..*to }, rows);
        p.weights = self.to.add(&all.iter().flat_map(packed).collect::<Vec<u8>>(), 16).ok()?;
        p.packing = packing.tag();
        Some(renewed(op, OpCode::TransposeConv, &p, scratch_bytes(&p)?))
    }

    fn bytes(&self, start: u32, size: usize) -> Option<&[u8]> {
        self.from.get(start as usize..)?.get(..size)
    }

    /// The weights of a matrix, row by row.
    fn rows(&self, shape: Shape, start: u32) -> Option<Vec<i8>> {
        let bytes = self.bytes(start, shape.bytes()? as usize)?;
        let matrix = Matrix { shape, bytes };
        Some((0..shape.channels).flat_map(|channel| matrix.row(channel)).collect())
    }

    /// The weights behind filters of Winograd's algorithm, row by row; `None` where something else is stored.
    fn filters(&self, p: &Conv2dParams) -> Option<Vec<i8>> {
        let (outputs, inputs) = (p.out_channels, p.in_channels);
        let bytes = self.bytes(p.weights, (Filters::words(outputs, inputs)? as usize).checked_mul(4)?)?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        let filters = Filters { outputs, inputs, words: &words, general: false };
        let halfwords: &[i16] = bytemuck::cast_slice(&words);
        let mut rows = Vec::new();
        for output in 0..outputs {
            for input in 0..inputs {
                let filter = std::array::from_fn(|tap| filters.weight(output, tap / 3, tap % 3, input));
                let stored = |slot| halfwords.get(place(inputs, output, slot, input));
                if !(0..).zip(transform(&filter)).all(|(slot, u)| stored(slot) == Some(&u)) {
                    return None;
                }
            }
            let weight = |tap: usize, input| filters.weight(output, tap / 3, tap % 3, input);
            rows.extend((0..9).flat_map(|tap| (0..inputs).map(move |input| weight(tap, input))));
        }
        Some(rows)
    }

    /// Stores the weights, of one group or of several, and says how they are packed and where they lie: in this
    /// order if the kernels' short way is exact for them, else in its general packing, if there are kernels for
    /// it. Chunks are not among the orders that a file is packed anew for: no host wants them.
    fn store(
        &mut self,
        shape: &Shape,
        rows: &[i8],
        stage: &OutputStage,
        general: bool,
    ) -> Option<(u32, u32)> {
        let packing = self.packing(shape, rows, stage, general)?;
        let start = self.to.add(&segments::packed(&Shape { packing, ..*shape }, rows), 16).ok()?;
        Some((packing.tag(), start))
    }

    /// The packing that suits these weights.
    fn packing(&self, shape: &Shape, rows: &[i8], stage: &OutputStage, general: bool) -> Option<Packing> {
        let wanted = !matches!(shape.packing.order, Order::Plain | Order::Chunks | Order::Winograd);
        if !wanted || self.rounding != Rounding::Double {
            return None;
        }
        let depth = shape.depth()? as usize;
        let numbers = |start: u32, count: usize, size: usize| self.bytes(start, count.checked_mul(size)?);
        let biases = numbers(stage.bias, rows.len() / depth, size_of::<i32>())?;
        let multipliers =
            numbers(stage.multipliers, stage.multiplier_count as usize, size_of::<Multiplier>())?;
        let multipliers: Vec<Multiplier> =
            multipliers.chunks_exact(size_of::<Multiplier>()).map(bytemuck::pod_read_unaligned).collect();
        let suits =
            (0..).zip(rows.chunks_exact(depth)).zip(biases.chunks_exact(4)).all(|((c, row), bias)| {
                let bound = pack::largest_sum(row, i64::from(bytemuck::pod_read_unaligned::<i32>(bias)));
                let m = multipliers.get(c).or(multipliers.first());
                let c = c % shape.channels as usize;
                m.is_some_and(|m| pack::row_suits(shape.packing.order, m, bound, c, row))
            });
        let packing = if suits { shape.packing } else { shape.packing.general() };
        // Nobody has checked the multipliers of a file.
        let general = general && multipliers.iter().all(is_whole) && i8::try_from(stage.zero_point).is_ok();
        (suits || general).then_some(packing)
    }
}

/// Whether a multiplier is one that the converter makes.
fn is_whole(m: &Multiplier) -> bool {
    (m.mantissa == 0 || m.mantissa >= 1 << 30) && (-31..=30).contains(&m.shift)
}

/// An op's parameters; `None` if it has others.
fn params<P: Pod>(op: &Lowered) -> Option<P> {
    let bytes: &[u8] = bytemuck::cast_slice(&op.params);
    (bytes.len() == size_of::<P>()).then(|| bytemuck::pod_read_unaligned(bytes))
}

fn renewed<P: Pod>(op: &Lowered, code: OpCode, params: &P, scratch: u32) -> Lowered {
    Lowered { macs: op.macs, ..Lowered::new(code, op.inputs.clone(), op.outputs.clone(), params) }
        .scratch(scratch)
}
