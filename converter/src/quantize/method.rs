//! The methods by which ranges follow from the samples.

use std::fmt;
use std::str::FromStr;

/// How a value's range follows from the numbers that it took on the samples.
///
/// Its name, on the command line and in reports, is `minmax`, `moving-average`, `percentile` (of 99.99) or
/// `percentile:SHARE`, `entropy`, `mse`, `auto`.
/// `percentile:SHARE`, `entropy`, `mse`, `auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Calibration {
    /// Tries the other methods, together with the other options, and takes the one with the smallest error on
    /// samples that were held back. With fewer than 40 samples, it is the same as `MinMax`.
    #[default]
    Auto,
    /// From the smallest to the largest number that occurred.
    MinMax,
    /// From the average of the samples' smallest numbers to that of their largest ones. A sample counts 1 %
    /// less than the one after it.
    MovingAverage,
    /// Contains this share of all numbers, in percent, above 50 and at most 100. The rest is cut off in equal
    /// parts at both ends.
    Percentile(f64),
    /// The cut at equal distances from zero for which the integers say most about the numbers: the smallest
    /// Kullback-Leibler divergence, as in TensorRT.
    Entropy,
    /// The smallest mean squared error of the value itself; each end is chosen separately.
    Mse,
}

/// The share of `percentile` without a number.
const SHARE: f64 = 99.99;

impl Calibration {
    /// All methods besides [`Calibration::Auto`], in the order in which it tries them.
    pub const METHODS: [Calibration; 6] = [
        Calibration::MinMax,
        Calibration::MovingAverage,
        Calibration::Percentile(SHARE),
        Calibration::Percentile(99.9),
        Calibration::Entropy,
        Calibration::Mse,
    ];
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Calibration::Auto => write!(f, "auto"),
            Calibration::MinMax => write!(f, "minmax"),
            Calibration::MovingAverage => write!(f, "moving-average"),
            Calibration::Percentile(share) => write!(f, "percentile:{share}"),
            Calibration::Entropy => write!(f, "entropy"),
            Calibration::Mse => write!(f, "mse"),
        }
    }
}

impl FromStr for Calibration {
    type Err = String;

    fn from_str(text: &str) -> Result<Calibration, String> {
        Ok(match text {
            "auto" => Calibration::Auto,
            "minmax" => Calibration::MinMax,
            "moving-average" => Calibration::MovingAverage,
            "percentile" => Calibration::Percentile(SHARE),
            "entropy" => Calibration::Entropy,
            "mse" => Calibration::Mse,
            other => {
                let share = other.strip_prefix("percentile:").and_then(|share| share.parse::<f64>().ok());
                let share = share.filter(|&share| share > 50.0 && share <= 100.0);
                return share.map(Calibration::Percentile).ok_or_else(|| {
                    "known are auto, minmax, moving-average, percentile, percentile:99.9 (above 50, at most \
                     100), entropy and mse"
                        .into()
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for method in Calibration::METHODS.into_iter().chain([Calibration::Auto]) {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        assert_eq!("percentile".parse(), Ok(Calibration::Percentile(99.99)));
        for wrong in ["", "kl", "percentile:", "percentile:50", "percentile:101", "percentile:nan"] {
            assert!(wrong.parse::<Calibration>().is_err(), "{wrong}");
        }
    }
}
