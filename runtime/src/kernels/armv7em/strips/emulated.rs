//! The leaf in plain Rust, in the order of `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::super::emulated::{high, low, set, sxtb16, word};
use super::{Channels, Strips};
use crate::packing::{Matrix, Packing, Shape};

pub(super) fn depthwise(
    strips: &Strips<'_>,
    ring: &[Cell<i32>],
    padding: i32,
    weights: &[u32],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    let Strips { image, height, width, top, left, .. } = *strips;
    let pixel = strips.channels;
    let padded = width + 2;
    let shape = Shape { packing: Packing::blocks(4, 1, 2), channels: pixel as u32, lines: 1, line: 9 };
    let weights = Matrix { shape, bytes: bytemuck::cast_slice(weights) };
    // The padding at the sides is written once and stays.
    for cell in ring {
        cell.set(padding);
    }
    for first in (0..pixel).step_by(Strips::CHANNELS) {
        for row in 0..height + 2 {
            let y = row.checked_sub(top).filter(|&y| y < height);
            let planes = &ring[row % 3 * 2 * padded..];
            for x in 0..width {
                let four = y.map(|y| word(&image[(y * width + x) * pixel + first..]));
                let [a, b] = four.map_or([padding; 2], |x| [sxtb16(x), sxtb16(x.rotate_right(8))]);
                set(planes, left + x, a);
                set(planes, padded + left + x, b);
            }
            let Some(oy) = row.checked_sub(2) else { continue };
            for channel in first..first + Strips::CHANNELS {
                for ox in 0..width {
                    let mut acc = channels.bias(channel);
                    for k in 0..9 {
                        let slot = (oy + k / 3) % 3 * 2 + channel % 2;
                        let pair = ring[slot * padded + ox + k % 3].get();
                        let x = if channel % 4 < 2 { low(pair) } else { high(pair) };
                        let w = i32::from(weights.weight(channel as u32, k as u32));
                        acc = acc.wrapping_add(x.wrapping_mul(w));
                    }
                    out[(oy * width + ox) * pixel + channel].set(channels.finish(channel, acc << 1));
                }
            }
        }
    }
}
