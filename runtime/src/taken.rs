//! Which inputs have been written since the last inference.
//!
//! A bit for each of the first inputs, which may be written in any order, and a count of the others, which have to be
//! written in theirs: 8 bytes for any number of inputs, and no model with many of them is run on an old one.

use crate::error::Error;

/// Inputs that may be written in any order.
const ANY_ORDER: usize = u32::BITS as usize;

/// The inputs that have been asked for, to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// A bit for each of the first inputs.
    first: u32,
    /// How many of those behind them.
    behind: u16,
}

impl Taken {
    pub const NONE: Taken = Taken { first: 0, behind: 0 };

    /// The input `index` of a model has been taken. An error where one before it has to be taken first.
    pub fn add(&mut self, index: usize) -> Result<(), Error> {
        let Some(behind) = index.checked_sub(ANY_ORDER) else {
            self.first |= 1 << index;
            return Ok(());
        };
        let next = usize::from(self.behind);
        if behind > next {
            return Err(Error::InputMissing { index: (ANY_ORDER + next) as u16 });
        }
        if behind == next {
            self.behind += 1;
        }
        Ok(())
    }

    /// Checks that all of so many inputs have been taken; the error names the first that has not.
    #[inline]
    pub fn expect(self, inputs: usize) -> Result<(), Error> {
        let first = self.first.trailing_ones() as usize;
        let all = if first < ANY_ORDER { first } else { ANY_ORDER + usize::from(self.behind) };
        if all >= inputs { Ok(()) } else { Err(Error::InputMissing { index: all as u16 }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_input_is_named() {
        for inputs in [1, 2, 31, 32, 33, 40, 300] {
            for missing in 0..inputs {
                let mut taken = Taken::NONE;
                // Backwards where that is allowed, and twice.
                for index in
                    (0..inputs.min(ANY_ORDER)).rev().chain(ANY_ORDER..inputs).filter(|&i| i != missing)
                {
                    if missing < ANY_ORDER || index < missing {
                        taken.add(index).unwrap();
                        taken.add(index).unwrap();
                    } else {
                        assert_eq!(taken.add(index), Err(Error::InputMissing { index: missing as u16 }));
                    }
                }
                let error = Err(Error::InputMissing { index: missing as u16 });
                assert_eq!(taken.expect(inputs), error, "{missing} of {inputs}");
                taken.add(missing).unwrap();
                if missing < ANY_ORDER || missing + 1 == inputs {
                    assert_eq!(taken.expect(inputs), Ok(()));
                }
            }
        }
    }
}
