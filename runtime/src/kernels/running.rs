//! Lines of CUMSUM: running sums, and outputs of them.

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::CumsumParams;

use crate::quant::requantize;

/// Lines of a block that lie side by side, or one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// The block.
    pub input: &'a [Cell<i8>],
    /// Its sums.
    pub out: &'a [Cell<i8>],
    /// The first element of the first line.
    pub first: usize,
    /// Elements from one to the next, modulo 2^32.
    pub step: usize,
    /// Lines, at least one.
    pub lines: usize,
    /// Elements from the first of a line to that of the next.
    pub pitch: usize,
}

impl Column<'_> {
    /// Calls `f` with each line alone.
    #[inline(always)]
    pub(super) fn each(&self, mut f: impl FnMut(&Self)) {
        let mut line = Column { lines: 1, ..*self };
        for _ in 0..self.lines {
            f(&line);
            line.first = line.first.wrapping_add(self.pitch);
        }
    }
}

/// See [`Kernels::running_sums`](super::Kernels::running_sums).
pub(super) fn portable(p: &CumsumParams, rounding: Rounding, column: &Column<'_>) {
    // The shifts that the converter chooses, where the scale of the output is not far above that of the input.
    // A Cortex-M0 has little flash.
    let is_usual = rounding == Rounding::Double && p.multiplier.shift < 0 && !cfg!(kernels = "armv6m");
    column.each(|line| match p.shift {
        20 if is_usual => usual::<20>(p, line),
        19 if is_usual => usual::<19>(p, line),
        _ => any(p, rounding, line),
    });
}

/// The sums of a line, with one shift, and a multiplier that shifts right and rounds twice. The product of gemmlowp is the
/// upper word of that with twice the factor, which may lack the bit above a word.
#[inline(never)]
fn usual<const SHIFT: u32>(p: &CumsumParams, column: &Column<'_>) {
    let (twice, right) = (p.multiplier.mantissa.wrapping_mul(2), !p.multiplier.shift as u32);
    let term = p.zero_point.wrapping_mul(2).wrapping_add(1);
    let lacks = twice >> 31;
    each(p, column, |sum| {
        let sum = sum.clamp(i32::MIN >> SHIFT, i32::MAX >> SHIFT) << SHIFT;
        let high = ((i64::from(sum) * i64::from(twice) + (1 << 31)) >> 32) as i32;
        let high = high.wrapping_add(sum & lacks);
        let half = high.wrapping_add(high >> 31).wrapping_shr(right);
        half.saturating_add(term) >> 1
    });
}

/// The sums of a line.
#[inline(never)]
fn any(p: &CumsumParams, rounding: Rounding, column: &Column<'_>) {
    let (low, high) = (i32::MIN.wrapping_shr(p.shift), i32::MAX.wrapping_shr(p.shift));
    each(p, column, |sum| {
        let sum = sum.max(low).min(high).wrapping_shl(p.shift);
        requantize(sum, p.multiplier, rounding).wrapping_add(p.zero_point)
    });
}

/// The sums of a line, and outputs of them by `scaled`, saturated.
#[inline(always)]
fn each(p: &CumsumParams, column: &Column<'_>, scaled: impl Fn(i32) -> i32) {
    let &Column { input, out, first, step, .. } = column;
    let (mut sum, mut at, zero_point) = (p.start, first, p.input_zero_point);
    // Without the element itself, it is taken off again.
    let itself = if p.exclusive == 1 { 0 } else { -1 };
    for _ in 0..p.count {
        let (Some(x), Some(y)) = (input.get(at), out.get(at)) else { return };
        let x = i32::from(x.get()).wrapping_sub(zero_point);
        y.set(scaled(sum.wrapping_add(x & itself)).clamp(-128, 127) as i8);
        sum = sum.wrapping_add(x);
        at = at.wrapping_add(step);
    }
}
