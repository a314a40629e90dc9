//! Finds samples outside of the range that a model was calibrated for. Most often they are scaled
//! differently.

use super::{Dataset, Row};
use crate::error::Result;
use crate::parallel::spread;

/// Samples that are checked.
const SAMPLES: usize = 512;

/// A value that exceeds the range by more than this part of it does not come from the same distribution.
const FAR: f32 = 0.1;

/// Shares of values that cause a warning: far outside, and outside at all.
const FAR_SHARE: f64 = 0.01;
const SHARE: f64 = 0.25;

/// Values that all lie within this part of the range use only a few of 256 steps.
const NARROW: f32 = 1.0 / 64.0;

/// With fewer values than this, their spread means nothing.
const FEW: usize = 64;

/// How the values of one input relate to the range that it was calibrated for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outside {
    /// Name of the input.
    pub name: String,
    /// The range.
    pub range: (f32, f32),
    /// Smallest and largest value.
    pub found: (f32, f32),
    /// Number of values.
    pub count: usize,
    /// Values that lie outside by more than half a step.
    pub outside: usize,
    /// Values that lie far outside.
    pub far: usize,
}

impl Outside {
    fn add(&mut self, values: &[f32]) {
        let (low, high) = self.range;
        let span = high - low;
        let (step, far) = (span / 510.0, span * FAR);
        for &x in values {
            self.count += 1;
            self.outside += usize::from(x < low - step || x > high + step);
            self.far += usize::from(x < low - far || x > high + far);
            self.found = (self.found.0.min(x), self.found.1.max(x));
        }
    }

    /// The share of values outside.
    pub fn share(&self) -> f64 {
        self.outside as f64 / self.count.max(1) as f64
    }

    /// Reports it: as a warning if the samples can hardly be meant this way, as a note if a few values are
    /// clipped.
    pub fn tell(&self, notes: &mut Vec<String>, warnings: &mut Vec<String>) {
        let Outside { name, range: (low, high), found: (least, most), .. } = self;
        let far = self.far as f64 / self.count.max(1) as f64;
        let share = crate::text::share(Some(self.share()));
        let outside = format!(
            "{share} of the values of input `{name}` lie outside of the range {low:.4}..{high:.4} that the model \
             was calibrated for, and are clipped: they reach from {least:.4} to {most:.4}"
        );
        if far >= FAR_SHARE || self.share() >= SHARE {
            warnings.push(format!("{outside}; are the samples scaled as those of calibration were?"));
        } else if self.outside > 0 {
            notes.push(outside);
        } else if self.count >= FEW && most > least && most - least < NARROW * (high - low) {
            warnings.push(format!(
                "all values of input `{name}` lie between {least:.4} and {most:.4}, a small part of the range \
                 {low:.4}..{high:.4} that the model was calibrated for; are the samples scaled as those of \
                 calibration were?"
            ));
        }
    }
}

impl Dataset {
    /// Compares the samples with the ranges of a model's inputs. Inputs without a range, and inputs whose
    /// samples are already quantized, are left out.
    ///
    /// # Errors
    /// When samples cannot be read.
    pub fn outside(&self, ranges: &[Option<(f32, f32)>]) -> Result<Vec<Outside>> {
        let mut found = Vec::new();
        for ((spec, source), range) in self.inputs.iter().zip(ranges) {
            let Some(range) = range.filter(|(low, high)| low < high) else { continue };
            let ends = (f32::INFINITY, f32::NEG_INFINITY);
            let mut outside = Outside { name: spec.name.clone(), range, found: ends, ..Outside::default() };
            for sample in spread(self.len, SAMPLES) {
                match source.row(spec, sample)? {
                    Row::Real(values) => outside.add(&values),
                    Row::Raw(_) => break,
                }
            }
            found.extend((outside.count > 0).then_some(outside));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_scales_are_warned_of_and_stray_values_noted() {
        let ramp = |low: f32, high: f32| (0..200).map(|i| low + (high - low) * i as f32 / 199.0).collect();
        let cases: [(Vec<f32>, usize, usize); 8] = [
            (ramp(0.0, 1.0), 0, 0),
            (ramp(0.0, 1.001), 0, 0),
            (ramp(0.0, 255.0), 0, 1),
            (ramp(-1.0, 1.0), 0, 1),
            // A little beyond what calibration saw.
            (ramp(-0.02, 1.02), 1, 0),
            // Pixels scaled by 1/255 once more, and silence.
            (ramp(0.0, 1.0 / 255.0), 0, 1),
            (ramp(0.0, 0.0), 0, 0),
            (vec![0.5; 3], 0, 0),
        ];
        for (values, notes, warnings) in cases {
            let ends = (f32::INFINITY, f32::NEG_INFINITY);
            let mut outside = Outside { range: (0.0, 1.0), found: ends, ..Outside::default() };
            outside.add(&values);
            let (mut noted, mut warned) = (Vec::new(), Vec::new());
            outside.tell(&mut noted, &mut warned);
            assert_eq!((noted.len(), warned.len()), (notes, warnings), "{outside:?} {noted:?} {warned:?}");
        }
    }
}
