//! Which inputs have been written since the last inference.
//!
//! A bit for each of the first inputs, which may be written in any order, and a count of the others, which have to be
//! written in theirs: 12 bytes for any number of inputs, and no model with many of them is run on an old one.

use crate::error::Error;

/// Inputs that may be written in any order.
const ANY_ORDER: usize = u32::BITS as usize - 1;

/// The bit of all inputs behind those that may be written in any order.
const OTHERS: u32 = 1 << ANY_ORDER;

/// The inputs that have been asked for, to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// A bit for each of the first inputs that is missing, and one for the others while one of them is.
    missing: u32,
    /// The same where none has been taken.
    all: u32,
    /// How many of those behind the first ones have been taken.
    behind: u16,
}

impl Taken {
    /// None of so many inputs has been taken.
    #[inline(always)]
    pub fn none_of(inputs: usize) -> Taken {
        let all = !u32::MAX.checked_shl(inputs as u32).unwrap_or(0);
        Taken { missing: all, all, behind: 0 }
    }

    /// The input `index` of a model of `inputs` inputs has been taken. An error where one before it has to be taken
    /// first.
    pub fn add(&mut self, index: usize, inputs: usize) -> Result<(), Error> {
        let Some(behind) = index.checked_sub(ANY_ORDER) else {
            self.missing &= !(1 << index);
            return Ok(());
        };
        let next = usize::from(self.behind);
        if behind > next {
            return Err(Error::InputMissing { index: (ANY_ORDER + next) as u16 });
        }
        if behind == next {
            self.behind += 1;
        }
        if index.wrapping_add(1) >= inputs {
            self.missing &= !OTHERS;
        }
        Ok(())
    }

    /// Whether all have been taken.
    #[inline(always)]
    pub fn is_all(&self) -> bool {
        self.missing == 0
    }

    /// The error of the first that is missing.
    pub fn error(&self) -> Error {
        let first = self.missing.trailing_zeros() as usize;
        let index = if first < ANY_ORDER { first } else { ANY_ORDER + usize::from(self.behind) };
        Error::InputMissing { index: index as u16 }
    }

    /// A model without inputs is ready but while it runs.
    pub fn runs(&mut self, running: bool) {
        if self.all == 0 {
            self.missing = running.into();
        }
    }

    /// None has been taken anew.
    #[inline(always)]
    pub fn clear(&mut self) {
        (self.missing, self.behind) = (self.all, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_input_is_named() {
        for inputs in [1, 2, 31, 32, 33, 40, 300] {
            for missing in 0..inputs {
                let mut taken = Taken::none_of(inputs);
                // Backwards where that is allowed, and twice.
                for index in
                    (0..inputs.min(ANY_ORDER)).rev().chain(ANY_ORDER..inputs).filter(|&i| i != missing)
                {
                    if missing < ANY_ORDER || index < missing {
                        taken.add(index, inputs).unwrap();
                        taken.add(index, inputs).unwrap();
                    } else {
                        assert_eq!(
                            taken.add(index, inputs),
                            Err(Error::InputMissing { index: missing as u16 })
                        );
                    }
                }
                assert!(!taken.is_all());
                assert_eq!(
                    taken.error(),
                    Error::InputMissing { index: missing as u16 },
                    "{missing} of {inputs}"
                );
                taken.add(missing, inputs).unwrap();
                if missing < ANY_ORDER || missing + 1 == inputs {
                    assert!(taken.is_all(), "{missing} of {inputs}");
                    taken.clear();
                    assert_eq!(taken.error(), Error::InputMissing { index: 0 });
                }
            }
        }
    }
}
