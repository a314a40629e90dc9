//! Convolutions that run in segments: dilated ones, those in groups, and long ones along one dimension. Their
//! weights are packed for each group by itself.

use ferrolite_runtime::kernels::Policy;
use ferrolite_runtime::ops::conv_2d::scratch_bytes as ring_bytes;
use ferrolite_runtime::ops::conv_2d_segments::{scratch_bytes, shape};
use ferrolite_runtime::packing::{Order, Packing, Shape};
use ferrolite_schema::params::Conv2dParams;
use ferrolite_schema::{FILE_ALIGNMENT, OpCode};

use super::lowering::{Lowered, Lowering};
use super::stage::{Channels, Quantized};
use super::{pack, stage};
use crate::error::Result;
use crate::graph::{Node, ValueId};

/// The most scratch memory that segments have to save for an operator of their own.
const TRIFLE: u32 = 1024;

/// Whether a convolution runs in segments, if its numbers allow packed weights.
pub(super) fn suits(p: &Conv2dParams, packing: Packing) -> bool {
    let w = &p.window;
    if packing.order == Order::Plain {
        return false;
    }
    if p.groups != 1 || w.dilation_h | w.dilation_w != 1 {
        return true;
    }
    // A ring holds all of a signal. How many chunks there are makes no difference to it.
    let packing = if packing.order == Order::Chunks { Packing::chunks(1) } else { packing };
    let p = Conv2dParams { packing: packing.tag(), ..*p };
    let signal = w.in_h == 1 && w.out_h == 1 && w.kernel_h == 1 && w.kernel_w > 1;
    signal
        && ring_bytes(&p)
            .zip(scratch_bytes(&p))
            .is_none_or(|(ring, segment)| ring > segment.saturating_add(TRIFLE))
}

/// The shape of the weights of a group: in the target's packing where the numbers of all groups are within its bounds,
/// else, or where a group makes few channels and that is faster, in its general one.
pub(super) fn choose(
    cx: &Lowering<'_>,
    p: &Conv2dParams,
    channels: &mut Channels,
    input: &Quantized<'_>,
    weights_of_all: &[i8],
) -> Option<Shape> {
    let group = shape(p, cx.policy.conv)?;
    let (count, size) = (group.channels as usize, (group.lines as usize).checked_mul(group.line as usize)?);
    let mut found: Option<Packing> = None;
    for (number, weights) in weights_of_all.chunks_exact(count.checked_mul(size)?).enumerate() {
        let own = number * count..(number + 1) * count;
        let shared = channels.factors.len() != channels.bias.len();
        let factors = if shared { channels.factors.clone() } else { channels.factors[own.clone()].to_vec() };
        let mut numbers = Channels {
            bias: channels.bias[own.clone()].to_vec(),
            sums: channels.sums[own.clone()].to_vec(),
            factors,
        };
        let size_of_group = (group.channels, group.lines, group.line);
        let rows = weights.chunks_exact(size);
        let packing = pack::choose(cx, cx.policy.conv, size_of_group, &mut numbers, input, rows).packing;
        if packing.order == Order::Plain || are_few(p, cx.policy) {
            let packing = pack::any(cx, cx.policy.conv, weights_of_all.chunks_exact(size))?;
            return Some(Shape { packing, ..group });
        }
        if !shared {
            channels.factors[own].copy_from_slice(&numbers.factors);
        }
        // As many chunks as the group with the most.
        found = Some(match found {
            Some(other) if other.group > packing.group => other,
            _ => packing,
        });
    }
    Some(Shape { packing: found?, ..group })
}

/// Whether groups make so few channels that their general packing is faster.
pub(super) fn are_few(p: &Conv2dParams, policy: Policy) -> bool {
    let channels = p.out_channels.checked_div(p.groups).unwrap_or(0);
    policy.few.has(channels) && p.window.out_w >= pack::PIXELS
}

/// The op; `shape` is that of a group, `weights` are those of all groups.
pub(super) fn lower(
    cx: &mut Lowering<'_>,
    node: &Node,
    mut params: Conv2dParams,
    shape: &Shape,
    (input, output): (ValueId, ValueId),
    weights: &[i8],
) -> Result<Lowered> {
    params.packing = shape.packing.tag();
    params.weights = cx.constants.add(&packed(shape, weights), FILE_ALIGNMENT)?;
    let scratch = scratch_bytes(&params).ok_or_else(|| cx.unsupported(node, stage::WINDOW_LIMITS))?;
    Ok(Lowered::new(OpCode::Conv2dSegments, vec![input], vec![output], &params).scratch(scratch))
}

/// The packed weights of all groups.
pub(super) fn packed(shape: &Shape, weights: &[i8]) -> Vec<u8> {
    let size = shape.depth().unwrap_or(1) as usize;
    let groups = weights.chunks_exact(size * shape.channels as usize);
    groups.flat_map(|weights| pack::pack(shape, weights.chunks_exact(size))).collect()
}
