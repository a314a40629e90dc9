//! Broadcasting of several operands: neighbouring dimensions that behave alike are merged, so that the
//! device walks as few and as long runs as possible.

use ferrolite_schema::params::Broadcast;

use super::lowering::Lowering;
use crate::error::Result;
use crate::graph::Node;

/// The merged form of two operand shapes, aligned at their last dimensions.
pub(super) fn broadcast(
    cx: &Lowering<'_>,
    node: &Node,
    a: &[usize],
    b: &[usize],
    output: &[usize],
) -> Result<Broadcast> {
    let (dims, [repeat_a, repeat_b]) = merged(cx, node, [a, b], output)?;
    Ok(Broadcast { dims, repeat_a, repeat_b })
}

/// The merged dimensions of a result, and of each operand the mask of those along which it is repeated.
pub(super) fn merged<const N: usize>(
    cx: &Lowering<'_>,
    node: &Node,
    operands: [&[usize]; N],
    output: &[usize],
) -> Result<([u32; 6], [u32; N])> {
    let runs = merge(operands, output).ok_or_else(|| {
        let [first @ .., last] = &operands[..] else { return cx.unsupported(node, "it has no operands") };
        let first: Vec<String> = first.iter().map(|shape| format!("{shape:?}")).collect();
        cx.unsupported(
            node,
            format_args!(
                "operands of shape {} and {last:?} do not broadcast to a result of shape {output:?}",
                first.join(", ")
            ),
        )
    })?;
    let (mut dims, mut masks) = ([1; 6], [0; N]);
    let Some(first) = dims.len().checked_sub(runs.len()) else {
        return Err(cx.unsupported(node, "operands repeat along more than 6 groups of dimensions"));
    };
    for (axis, run) in (first..).zip(&runs) {
        dims[axis] = cx.word(node, run.size)?;
        for (mask, repeated) in masks.iter_mut().zip(run.repeated) {
            *mask |= u32::from(repeated) << axis;
        }
    }
    Ok((dims, masks))
}

/// Neighbouring dimensions along which the same operands, or none, are repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run<const N: usize> {
    size: usize,
    repeated: [bool; N],
}

/// The runs of the output, outermost first; `None` where the shapes do not broadcast.
fn merge<const N: usize>(operands: [&[usize]; N], output: &[usize]) -> Option<Vec<Run<N>>> {
    let rank = output.len();
    if operands.iter().any(|shape| shape.len() > rank) {
        return None;
    }
    let mut runs: Vec<Run<N>> = Vec::new();
    for (axis, &size) in output.iter().enumerate() {
        let own = operands.map(|shape| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]));
        if size == 0 || !own.contains(&size) || own.iter().any(|&own| own != size && own != 1) {
            return None;
        }
        if size == 1 {
            continue;
        }
        let run = Run { size, repeated: own.map(|own| own == 1) };
        match runs.last_mut() {
            Some(last) if last.repeated == run.repeated => last.size = last.size.checked_mul(size)?,
            _ => runs.push(run),
        }
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_what_behaves_alike() {
        let run = |size, repeat_a, repeat_b| Run { size, repeated: [repeat_a, repeat_b] };
        type Case = (&'static [usize], &'static [usize], &'static [usize], Option<Vec<Run<2>>>);
        let cases: &[Case] = &[
            (&[2, 3, 4], &[2, 3, 4], &[2, 3, 4], Some(vec![run(24, false, false)])),
            (&[2, 3, 4], &[], &[2, 3, 4], Some(vec![run(24, false, true)])),
            (&[1, 1], &[1], &[1, 1], Some(vec![])),
            (&[2, 3, 4], &[4], &[2, 3, 4], Some(vec![run(6, false, true), run(4, false, false)])),
            (&[3, 1], &[1, 5], &[3, 5], Some(vec![run(3, false, true), run(5, true, false)])),
            (
                &[2, 3, 4, 2],
                &[2, 1, 1, 2],
                &[2, 3, 4, 2],
                Some(vec![run(2, false, false), run(12, false, true), run(2, false, false)]),
            ),
            (&[2, 3], &[2], &[2, 3], None),
            (&[2, 3], &[3], &[3, 3], None),
            (&[0], &[0], &[0], None),
            (&[2, 2, 2], &[1], &[2, 2], None),
        ];
        for (a, b, output, expected) in cases {
            assert_eq!(&merge([*a, *b], output), expected, "{a:?} {b:?}");
        }
    }
}
