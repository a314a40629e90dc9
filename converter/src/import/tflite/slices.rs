//! SLICE and STRIDED_SLICE become [`Op::Slice`]: a beginning, a size and a step for each dimension
//! of the input. The masks of STRIDED_SLICE are those of NumPy's indexing:
//!
//! | in NumPy | mask | meaning |
//! |---|---|---|
//! | `x[:b]`, `x[a:]` | begin, end | from or to the border |
//! | `x[..., a]` | ellipsis | all dimensions that the rest does not mention |
//! | `x[None]` | new_axis | a dimension of size 1 in the result only |
//! | `x[a]` | shrink_axis | one element, and the dimension goes |
//!
//! Where masks meet, TFLite's kernel decides (`strided_slice_logic.h`): the begin mask comes before the
//! index of a dimension that goes, and such an index is moved into the dimension like any other.

use super::layer::{Layer, Reason, Translated, options};
use crate::graph::{Op, Slice};

/// SLICE: input, begin, size; a size of -1 means "the rest".
pub(super) fn slice(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let input = layer.input(0)?;
    let (begins, sizes) = (layer.integers(1, "begin")?, layer.integers(2, "size")?);
    let rank = input.shape.len();
    if begins.len() != rank || sizes.len() != rank {
        return Err(format!("{} beginnings and {} sizes for {rank} dimensions", begins.len(), sizes.len()));
    }
    let (mut begin, mut size) = (Vec::new(), Vec::new());
    for ((&b, &s), &dim) in begins.iter().zip(&sizes).zip(&input.shape) {
        let from = usize::try_from(b).ok().filter(|&from| from <= dim);
        let count = from.and_then(|from| if s == -1 { Some(dim - from) } else { usize::try_from(s).ok() });
        let (Some(from), Some(count)) = (from, count) else {
            return Err(format!("{s} elements from {b} of a dimension of {dim}"));
        };
        if count > dim - from {
            return Err(format!("{count} elements from {from} of a dimension of {dim}"));
        }
        begin.push(from);
        size.push(count);
    }
    layer.expect_output(&size)?;
    Ok(Translated::new(Op::Slice(Slice { begin, size, stride: vec![1; rank] }), &layer.inputs[..1]))
}

/// STRIDED_SLICE: input, begin, end, strides.
pub(super) fn strided_slice(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let (op, shape) = resolved(layer)?;
    layer.expect_output(&shape)?;
    Ok(Translated::new(op, &layer.inputs[..1]))
}

/// The slice that a STRIDED_SLICE takes, and the shape of its result.
pub(super) fn resolved(layer: &Layer<'_>) -> Result<(Op, Vec<usize>), Reason> {
    let o = options(layer.operator.builtin_options_as_strided_slice_options())?;
    let spec = Spec {
        begin: layer.integers(1, "begin")?,
        end: layer.integers(2, "end")?,
        strides: layer.integers(3, "strides")?,
        begin_mask: o.begin_mask(),
        end_mask: o.end_mask(),
        ellipsis_mask: o.ellipsis_mask(),
        new_axis_mask: o.new_axis_mask(),
        shrink_axis_mask: o.shrink_axis_mask(),
        offset: o.offset(),
    };
    spec.resolve(&layer.input(0)?.shape)
}

/// The operands of STRIDED_SLICE; bit `i` of a mask speaks of entry `i` of the vectors.
struct Spec {
    begin: Vec<i64>,
    end: Vec<i64>,
    strides: Vec<i64>,
    begin_mask: i32,
    end_mask: i32,
    ellipsis_mask: i32,
    new_axis_mask: i32,
    shrink_axis_mask: i32,
    /// `end` counts from `begin`.
    offset: bool,
}

impl Spec {
    /// The slice of an input of this shape, and the shape of the result.
    fn resolve(&self, input: &[usize]) -> Result<(Op, Vec<usize>), Reason> {
        let entries = self.begin.len();
        if self.end.len() != entries || self.strides.len() != entries || entries > 32 {
            return Err("its begin, end and strides differ in length".into());
        }
        let has = |mask: i32, entry: usize| mask >> entry & 1 != 0;
        let mentioned =
            (0..entries).filter(|&i| !has(self.ellipsis_mask, i) && !has(self.new_axis_mask, i)).count();
        let Some(hidden) = input.len().checked_sub(mentioned) else {
            return Err(format!("{mentioned} indices into {} dimensions", input.len()));
        };
        let (mut begin, mut size, mut stride, mut shape) = (vec![], vec![], vec![], vec![]);
        let mut take = |from: usize, count: usize, step: isize| {
            begin.push(from);
            size.push(count);
            stride.push(step);
        };
        let mut dims = input.iter().copied();
        let mut ellipsis_seen = false;
        for i in 0..entries {
            if has(self.ellipsis_mask, i) {
                if std::mem::replace(&mut ellipsis_seen, true) {
                    return Err("more than one ellipsis".into());
                }
                for dim in dims.by_ref().take(hidden) {
                    take(0, dim, 1);
                    shape.push(dim);
                }
            } else if has(self.new_axis_mask, i) {
                shape.push(1);
            } else if let Some(dim) = dims.next() {
                if has(self.shrink_axis_mask, i) {
                    take(self.index(i, dim, has(self.begin_mask, i))?, 1, 1);
                } else {
                    let (from, count, step) =
                        self.range(i, dim, has(self.begin_mask, i), has(self.end_mask, i))?;
                    take(from, count, step);
                    shape.push(count);
                }
            }
        }
        // Dimensions behind the last entry are taken whole.
        for dim in dims {
            take(0, dim, 1);
            shape.push(dim);
        }
        Ok((Op::Slice(Slice { begin, size, stride }), shape))
    }

    /// The one element that entry `i` picks.
    fn index(&self, i: usize, dim: usize, from_border: bool) -> Result<usize, Reason> {
        let (index, size) = (self.begin[i], dim as i64);
        // Backwards, the kernel takes nothing at all.
        if self.strides[i] <= 0 {
            return Err(format!("a stride of {} along a dimension that it drops", self.strides[i]));
        }
        let from = if index < 0 { index.saturating_add(size).max(0) } else { index };
        match if from_border { 0 } else { from } {
            from if from < size => Ok(from as usize),
            _ => Err(format!("index {index} into a dimension of {dim}")),
        }
    }

    /// First element, count and step of entry `i`, clamped to the dimension as NumPy does.
    fn range(
        &self,
        i: usize,
        dim: usize,
        from_border: bool,
        to_border: bool,
    ) -> Result<(usize, usize, isize), Reason> {
        let (step, size) = (self.strides[i], dim as i64);
        if step == 0 || isize::try_from(step).is_err() {
            return Err(format!("a stride of {step}"));
        }
        // Walking backwards, the borders are the last element and the one before the first.
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let place = |at: i64| (if at < 0 { at.saturating_add(size) } else { at }).clamp(low, high);
        let from = match (from_border, step > 0) {
            (true, true) => 0,
            (true, false) => size - 1,
            (false, _) => place(self.begin[i]),
        };
        let to = match (to_border, step > 0) {
            (true, true) => size,
            (true, false) => -1,
            (false, _) if self.offset => place(from.saturating_add(self.end[i])),
            (false, _) => place(self.end[i]),
        };
        let distance = if step > 0 { to - from } else { from - to };
        let count = (distance.max(0) as u64).div_ceil(step.unsigned_abs());
        if count == 0 {
            return Err(format!("no elements of a dimension of {dim}"));
        }
        // `count` is at most `dim`; with elements to take, `from` lies within it.
        Ok((from as usize, count as usize, step as isize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(begin: &[i64], end: &[i64], strides: &[i64]) -> Spec {
        Spec {
            begin: begin.into(),
            end: end.into(),
            strides: strides.into(),
            begin_mask: 0,
            end_mask: 0,
            ellipsis_mask: 0,
            new_axis_mask: 0,
            shrink_axis_mask: 0,
            offset: false,
        }
    }

    #[track_caller]
    fn check(
        spec: &Spec,
        input: &[usize],
        begin: &[usize],
        size: &[usize],
        stride: &[isize],
        shape: &[usize],
    ) {
        let expected = Op::Slice(Slice { begin: begin.into(), size: size.into(), stride: stride.into() });
        assert_eq!(spec.resolve(input), Ok((expected, shape.to_vec())));
    }

    #[test]
    fn plain_ranges_clamp_and_count_from_the_end() {
        check(&spec(&[1], &[99], &[1]), &[5], &[1], &[4], &[1], &[4]);
        check(&spec(&[-3], &[-1], &[1]), &[5], &[2], &[2], &[1], &[2]);
        check(&spec(&[0], &[5], &[2]), &[5], &[0], &[3], &[2], &[3]);
        check(&spec(&[1], &[3], &[1]), &[5, 2], &[1, 0], &[2, 2], &[1, 1], &[2, 2]);
    }

    #[test]
    fn backwards_with_masks_reverses() {
        let reverse = Spec { begin_mask: 1, end_mask: 1, ..spec(&[0], &[0], &[-2]) };
        check(&reverse, &[6], &[5], &[3], &[-2], &[3]);
        check(&spec(&[4], &[1], &[-1]), &[6], &[4], &[3], &[-1], &[3]);
    }

    #[test]
    fn shrink_ellipsis_and_new_axis() {
        // x[..., None, -1] of [2, 3, 4]
        let s = Spec {
            ellipsis_mask: 1,
            new_axis_mask: 2,
            shrink_axis_mask: 4,
            ..spec(&[0, 0, -1], &[0, 0, 0], &[1, 1, 1])
        };
        check(&s, &[2, 3, 4], &[0, 0, 3], &[2, 3, 1], &[1, 1, 1], &[2, 3, 1]);
        // x[:, -1, :] of [1, 28, 20]: the last step of a sequence
        let s = Spec {
            begin_mask: 5,
            end_mask: 5,
            shrink_axis_mask: 2,
            ..spec(&[0, -1, 0], &[0, 0, 0], &[1, 1, 1])
        };
        check(&s, &[1, 28, 20], &[0, 27, 0], &[1, 1, 20], &[1, 1, 1], &[1, 20]);
    }

    #[test]
    fn where_masks_meet_the_kernel_decides() {
        // The begin mask comes before the index of a dimension that goes.
        let s = Spec { begin_mask: 1, shrink_axis_mask: 1, ..spec(&[1], &[2], &[1]) };
        check(&s, &[4], &[0], &[1], &[1], &[]);
        let s = Spec { begin_mask: 2, shrink_axis_mask: 3, ..spec(&[2, 2], &[3, 3], &[1, 1]) };
        check(&s, &[4, 5], &[2, 0], &[1, 1], &[1, 1], &[]);
        // The end mask does not matter there, nor does a larger stride.
        let s = Spec { end_mask: 1, shrink_axis_mask: 1, ..spec(&[-1], &[0], &[3]) };
        check(&s, &[4], &[3], &[1], &[1], &[]);
        check(&Spec { shrink_axis_mask: 1, ..spec(&[-9], &[0], &[1]) }, &[4], &[0], &[1], &[1], &[]);
        // Ends that are counted from the beginning may fall in front of it, and count from the end then.
        check(&Spec { offset: true, ..spec(&[1], &[-2], &[1]) }, &[5], &[1], &[3], &[1], &[3]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(spec(&[0], &[1], &[0]).resolve(&[3]).is_err());
        assert!(spec(&[2], &[1], &[1]).resolve(&[3]).is_err());
        assert!(spec(&[0, 0], &[1, 1], &[1, 1]).resolve(&[3]).is_err());
        assert!(Spec { shrink_axis_mask: 1, ..spec(&[3], &[4], &[1]) }.resolve(&[3]).is_err());
        assert!(Spec { shrink_axis_mask: 1, ..spec(&[1], &[0], &[-1]) }.resolve(&[3]).is_err());
        assert!(Spec { ellipsis_mask: 3, ..spec(&[0, 0], &[0, 0], &[1, 1]) }.resolve(&[3]).is_err());
        assert!(spec(&[i64::MIN], &[i64::MAX], &[i64::MAX]).resolve(&[3]).is_ok());
        assert!(Spec { offset: true, ..spec(&[2], &[i64::MAX], &[1]) }.resolve(&[3]).is_ok());
    }
}
