//! The part of a layer over time that reads what was before (SVDF): lines of the latest numbers, each weighed.

use core::cell::Cell;

use super::Stage;
use crate::tensor::Element;

/// Lines of numbers, the oldest first, with what weighs them.
#[derive(Clone, Copy, Debug)]
pub struct Delays<'a, T> {
    /// Lines of a unit, whose sums are added.
    pub rank: usize,
    /// Numbers of a line.
    pub memory: usize,
    /// What is added to a new number, in its own type.
    pub zero_point: i32,
    /// A weight for each number.
    pub weights: &'a [T],
    /// From sums to outputs, one for each unit.
    pub stage: Stage<'a>,
}

impl<T: Element> Delays<'_, T> {
    /// Takes a new number into each line by `next`, which returns the sum of the line's products, and makes the outputs.
    #[inline(always)]
    pub(super) fn advance(
        &self,
        newest: &[Cell<T>],
        state: &[Cell<T>],
        out: &[Cell<i8>],
        next: impl Fn(&[Cell<T>], &[T], T, i32) -> i32,
    ) {
        let memory = self.memory.max(1);
        let (mut newest, mut state, mut weights) = (newest.iter(), state, self.weights);
        for (unit, out) in out.iter().enumerate() {
            let (mut acc, multiplier) = self.stage.channel(unit);
            for newest in newest.by_ref().take(self.rank) {
                let (Some((line, states)), Some((own, others))) =
                    (state.split_at_checked(memory), weights.split_at_checked(memory))
                else {
                    return;
                };
                (state, weights) = (states, others);
                acc = acc.wrapping_add(next(line, own, newest.get(), self.zero_point));
            }
            out.set(self.stage.apply(acc, multiplier));
        }
    }
}
