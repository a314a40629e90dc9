//! Convolutions that can be made by Winograd's F(2x2, 3x3), what it costs, and the transformed filters.
//!
//! It takes fewer than half of the multiplications and 3.6 times the flash of the layer's weights, so layers
//! compete for flash (`emit/choice.rs`).

use ferrolite_runtime::ops::conv_2d_winograd::{scratch_bytes, suits};
use ferrolite_runtime::packing::{Order, Packing};
use ferrolite_runtime::winograd::{Filters, place, transform};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::Conv2dParams;

use super::lowering::{Candidate, Lowered, Lowering};
use crate::error::Result;
use crate::graph::ValueId;

/// What Winograd's algorithm would change about a convolution.
pub(super) struct Weighed {
    /// Cycles of a Cortex-M4 that it saves, as far as is known without measuring; may be negative.
    pub saved: i64,
    /// Bytes of flash that it adds.
    pub bytes: u64,
    /// Cycles of the direct way over its own.
    pub factor: f64,
}

/// Weighs a convolution; `packing` is what it has otherwise. `None` where its shape does not suit.
pub(super) fn weigh(p: &Conv2dParams, packing: Packing) -> Option<Weighed> {
    if !suits(p) {
        return None;
    }
    let filters = u64::from(Filters::words(p.out_channels, p.in_channels)?) * 4;
    let plain = u64::from(p.in_channels) * u64::from(p.out_channels) * 9;
    // Constants may have to be moved up to the next multiple of 16.
    let bytes = filters.saturating_sub(plain).saturating_add(16);
    let (direct, tiles) = (direct_cycles(p, packing), cycles(p));
    let factor = direct as f64 / tiles.max(1) as f64;
    Some(Weighed { saved: direct.saturating_sub(tiles), bytes, factor })
}

/// A convolution that may be made this way; `packing` is what it would have otherwise.
pub(super) fn candidate(p: &Conv2dParams, packing: Packing, output: ValueId) -> Option<Candidate> {
    weigh(p, packing).map(|Weighed { saved, bytes, .. }| Candidate { output, saved, bytes })
}

/// Cycles of the direct convolution on a Cortex-M4: 16 products take 17 or 18, with what surrounds them; an
/// element is gathered into the patch of each pixel; each output is scaled.
fn direct_cycles(p: &Conv2dParams, packing: Packing) -> i64 {
    let [pixels, inputs, outputs] = sizes(p);
    let depth = inputs * 9.0;
    let product = if packing.order == Order::Pairs { 1.13 } else { 4.0 };
    (pixels * (depth * outputs * product + depth * 3.0 + outputs * 14.0)) as i64
}

/// Cycles of the same by tiles, which are made four at a time: the inner loop; its start and end for each slot;
/// outputs; pixels.
fn cycles(p: &Conv2dParams) -> i64 {
    let w = &p.window;
    let [_, inputs, outputs] = sizes(p);
    let steps = f64::from(p.batches) * f64::from(w.out_h.div_ceil(2)) * f64::from(w.out_w.div_ceil(8));
    let padded = (inputs / 16.0).ceil();
    let multiply = outputs / 2.0 * (16.0 * (padded * 145.0 + 20.0) + 8.0 * 90.0);
    let load = inputs / 4.0 * 800.0 + 400.0;
    (steps * (multiply + load)) as i64
}

fn sizes(p: &Conv2dParams) -> [f64; 3] {
    let w = &p.window;
    [
        f64::from(p.batches) * f64::from(w.out_h) * f64::from(w.out_w),
        f64::from(p.in_channels),
        f64::from(p.out_channels),
    ]
}

/// The op, with its filters in place of the weights, in this packing for tiles. `rows` are the filters of each output channel,
/// `[3, 3, in_channels]`.
pub(super) fn lower<'a>(
    cx: &mut Lowering<'_>,
    mut params: Conv2dParams,
    packing: Packing,
    (input, output): (ValueId, ValueId),
    rows: impl Iterator<Item = &'a [i8]>,
) -> Result<Option<Lowered>> {
    let (outputs, inputs) = (params.out_channels, params.in_channels);
    let (Some(words), Some(scratch)) = (Filters::words(outputs, inputs), scratch_bytes(&params)) else {
        return Ok(None);
    };
    let mut filters = vec![0i16; words as usize * 2];
    for (output, row) in (0..).zip(rows) {
        for input in 0..inputs {
            let filter = std::array::from_fn(|tap| row[tap * inputs as usize + input as usize]);
            for (slot, u) in transform(&filter).into_iter().enumerate() {
                filters[place(inputs, output, slot, input)] = u;
            }
        }
    }
    params.packing = packing.tag();
    params.weights = cx.constants.add(&filters, 16)?;
    Ok(Some(Lowered::new(OpCode::Conv2dWinograd, vec![input], vec![output], &params).scratch(scratch)))
}
