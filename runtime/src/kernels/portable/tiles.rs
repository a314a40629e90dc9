//! Portable bodies of the kernels for tiles of a 3x3 convolution: a direct convolution, whose weights are
//! computed back from the transformed filters. They are slow, and serve files that were made for another
//! core.

use core::cell::Cell;

use crate::kernels::{COLUMNS, Outputs, Stage, Tiles};
use crate::winograd::Filters;

/// See [`Kernels::load_tiles`](crate::kernels::Kernels::load_tiles). Pixels are adjacent.
pub(in crate::kernels) fn load_tiles(tiles: &Tiles<'_>, rows: [&[Cell<i8>]; 4], left: usize, zero_point: i8) {
    let left = left.wrapping_mul(tiles.channels);
    let size = tiles.channels.wrapping_mul(COLUMNS).max(1);
    for (row, places) in rows.into_iter().zip(tiles.cells.chunks(size)) {
        for (at, place) in places.iter().enumerate() {
            let x = at.checked_sub(left).and_then(|at| row.get(at)).map_or(zero_point, Cell::get);
            place.set(x as u8);
        }
    }
}

/// See [`Kernels::matmul_tiles`](crate::kernels::Kernels::matmul_tiles).
pub(in crate::kernels) fn matmul_tiles(
    tiles: &Tiles<'_>,
    filters: &Filters<'_>,
    stage: &Stage<'_>,
    out: &Outputs<'_>,
) {
    let channels = tiles.channels;
    for output in 0..filters.outputs {
        let (bias, multiplier) = stage.channel(output as usize);
        // All outputs of a channel are computed together, because computing a weight back takes longer than a
        // product.
        let mut sums = [[bias; COLUMNS]; 2];
        for (ky, kx) in (0..9).map(|tap| (tap / 3, tap % 3)) {
            for input in 0..channels {
                let w = i32::from(filters.weight(output, ky, kx, input as u32));
                for (y, sums) in sums.iter_mut().enumerate().take(out.height) {
                    let first = ky.wrapping_add(y).wrapping_mul(COLUMNS).wrapping_add(kx);
                    let first = first.wrapping_mul(channels).wrapping_add(input);
                    let pixels = tiles.cells.get(first..).unwrap_or(&[]).iter().step_by(channels.max(1));
                    for (sum, x) in sums.iter_mut().zip(pixels).take(out.width) {
                        *sum = sum.wrapping_add(i32::from(x.get() as i8) * w);
                    }
                }
            }
        }
        for (row, sums) in out.cells.chunks(out.row.max(1)).zip(&sums).take(out.height) {
            let places = row.get(output as usize..).unwrap_or(&[]).iter().step_by(out.pixel.max(1));
            for (&sum, place) in sums.iter().zip(places).take(out.width) {
                place.set(stage.apply_called(sum, multiplier));
            }
        }
    }
}
