//! Broadcasting of two operands: neighbouring dimensions that behave alike are merged, so that the
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
    let runs = merge(a, b, output).ok_or_else(|| {
        cx.unsupported(
            node,
            format_args!(
                "operands of shape {a:?} and {b:?} do not broadcast to a result of shape {output:?}"
            ),
        )
    })?;
    let mut shape = Broadcast { dims: [1; 6], repeat_a: 0, repeat_b: 0 };
    let Some(first) = shape.dims.len().checked_sub(runs.len()) else {
        return Err(cx.unsupported(node, "operands repeat along more than 6 groups of dimensions"));
    };
    for (axis, run) in (first..).zip(&runs) {
        shape.dims[axis] = cx.word(node, run.size)?;
        shape.repeat_a |= u32::from(run.repeat_a) << axis;
        shape.repeat_b |= u32::from(run.repeat_b) << axis;
    }
    Ok(shape)
}

/// Neighbouring dimensions along which the same operand, or none, is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    size: usize,
    repeat_a: bool,
    repeat_b: bool,
}

/// The runs of the output, outermost first; `None` where the shapes do not broadcast.
fn merge(a: &[usize], b: &[usize], output: &[usize]) -> Option<Vec<Run>> {
    let rank = output.len();
    let dim = |shape: &[usize], axis: usize| -> Option<usize> {
        Some((axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]))
    };
    if a.len() > rank || b.len() > rank {
        return None;
    }
    let mut runs: Vec<Run> = Vec::new();
    for (axis, &size) in output.iter().enumerate() {
        let (in_a, in_b) = (dim(a, axis)?, dim(b, axis)?);
        if size == 0 || in_a.max(in_b) != size || in_a.min(in_b) != size && in_a.min(in_b) != 1 {
            return None;
        }
        if size == 1 {
            continue;
        }
        let run = Run { size, repeat_a: in_a == 1, repeat_b: in_b == 1 };
        match runs.last_mut() {
            Some(last) if last.repeat_a == run.repeat_a && last.repeat_b == run.repeat_b => {
                last.size = last.size.checked_mul(size)?;
            }
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
        let run = |size, repeat_a, repeat_b| Run { size, repeat_a, repeat_b };
        type Case = (&'static [usize], &'static [usize], &'static [usize], Option<Vec<Run>>);
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
            assert_eq!(&merge(a, b, output), expected, "{a:?} {b:?}");
        }
    }
}
