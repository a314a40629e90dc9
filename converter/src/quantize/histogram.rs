//! Histograms of a value's numbers, and the ranges that follow from them.
//!
//! Counts are integers, so histograms of parts of the samples add up to the same histogram however the
//! samples were divided. Exact zeros are counted apart. They have an exact integer in every range, so no
//! range is better or worse for them, and after a rectifier they outnumber all other numbers.

use super::range::Range;

/// Cells between the smallest and the largest number: at least eight for each of 256 integers.
const CELLS: usize = 2048;

/// Number of int8 integers.
const LEVELS: usize = 256;

/// How often a value was in each of [`CELLS`] equal parts of its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    range: Range,
    cells: Vec<u64>,
    zeros: u64,
}

impl Histogram {
    /// An empty histogram over a known range.
    pub fn new(range: Range) -> Histogram {
        Histogram { range, cells: vec![0; CELLS], zeros: 0 }
    }

    /// Number of [`counts`](Histogram::counts).
    pub const COUNTS: usize = CELLS + 1;

    /// All counts: those of the cells, and that of the zeros.
    pub fn counts(&self) -> impl Iterator<Item = u64> + '_ {
        self.cells.iter().copied().chain([self.zeros])
    }

    /// A histogram over the same range with these counts, of which there are [`COUNTS`](Histogram::COUNTS).
    pub fn with_counts(&self, counts: &[u64]) -> Histogram {
        let (cells, zeros) = counts.split_at(counts.len().min(CELLS));
        Histogram { range: self.range, cells: cells.to_vec(), zeros: zeros.first().copied().unwrap_or(0) }
    }

    /// Width of a cell.
    fn width(&self) -> f64 {
        (f64::from(self.range.max) - f64::from(self.range.min)) / CELLS as f64
    }

    /// Counts numbers; those outside of the range count in the first or last cell.
    pub fn observe(&mut self, data: &[f32]) {
        let width = self.width();
        let per_unit = if width > 0.0 { (1.0 / width) as f32 } else { 0.0 };
        let min = self.range.min;
        for &x in data {
            if x == 0.0 {
                self.zeros += 1;
            } else {
                // The cast and `min` saturate at both ends, since rounding may lead out by a cell.
                let cell = ((x - min) * per_unit) as usize;
                if let Some(count) = self.cells.get_mut(cell.min(CELLS - 1)) {
                    *count += 1;
                }
            }
        }
    }

    /// Adds the counts of another histogram over the same range.
    pub fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.cells.iter_mut().zip(&other.cells) {
            *count = count.wrapping_add(*more);
        }
        self.zeros = self.zeros.wrapping_add(other.zeros);
    }

    /// The real number at the border below cell `index`.
    fn border(&self, index: usize) -> f64 {
        f64::from(self.range.min) + index as f64 * self.width()
    }

    /// The range over the cells `from..to`, zero included. At the first and last cell, the ends are those of
    /// the whole range.
    fn cut(&self, from: usize, to: usize) -> Range {
        let min = if from == 0 { self.range.min } else { self.border(from).min(0.0) as f32 };
        let max = if to == CELLS { self.range.max } else { self.border(to).max(0.0) as f32 };
        Range { min, max }
    }

    /// The range that contains `share` percent of all numbers and leaves out equally many at both ends.
    pub fn percentile(&self, share: f64) -> Range {
        let total = self.cells.iter().sum::<u64>() + self.zeros;
        let spare = (total as f64 * (100.0 - share) / 200.0).floor() as u64;
        // Zeros always lie inside, because the ends only move towards zero.
        let outside = |cells: &mut dyn Iterator<Item = &u64>| {
            let mut seen = 0;
            cells
                .take_while(|&&count| {
                    seen += count;
                    seen <= spare
                })
                .count()
        };
        let (low, high) = (outside(&mut self.cells.iter()), outside(&mut self.cells.iter().rev()));
        self.cut(low, (CELLS - high).max(low))
    }

    /// The range with the smallest expected squared error: the cost of rounding inside (a twelfth of the
    /// squared step for each number) plus the cost of saturation outside.
    pub fn least_error(&self) -> Range {
        // Candidate ends are every 8th border below zero, and above.
        let below: Vec<usize> = (0..CELLS).step_by(8).filter(|&i| i == 0 || self.border(i) < 0.0).collect();
        let above: Vec<usize> =
            (1..=CELLS).rev().step_by(8).filter(|&i| i == CELLS || self.border(i) > 0.0).collect();
        let count: f64 = self.cells.iter().sum::<u64>() as f64;
        let center = |i: usize| self.border(i) + self.width() / 2.0;
        // The cost of saturating at each candidate, and how many numbers saturate there instead of being
        // rounded.
        let beyond = |cells: &mut dyn Iterator<Item = usize>, end: f64| {
            cells.fold((0.0, 0.0), |(cost, n), i| {
                let here = self.cells[i] as f64;
                (cost + here * (center(i) - end).powi(2), n + here)
            })
        };
        let low: Vec<(f64, f64)> =
            below.iter().map(|&from| beyond(&mut (0..from), self.border(from))).collect();
        let high: Vec<(f64, f64)> =
            above.iter().map(|&to| beyond(&mut (to..CELLS), self.border(to))).collect();
        let mut best = (f64::INFINITY, self.range);
        for (&from, (low_cost, low_count)) in below.iter().zip(&low) {
            for (&to, (high_cost, high_count)) in above.iter().zip(&high) {
                let range = self.cut(from, to);
                let step = (f64::from(range.max) - f64::from(range.min)) / (LEVELS - 1) as f64;
                let inside = count - low_count - high_count;
                let cost = low_cost + high_cost + inside * step * step / 12.0;
                if cost < best.0 {
                    best = (cost, range);
                }
            }
        }
        best.1
    }

    /// The range `-t..=t` for which the distribution of the integers diverges least from that of the numbers:
    /// TensorRT's calibration ("8-bit inference with TensorRT", 2017), with 256 integers over a range that
    /// need not be symmetric.
    pub fn entropy(&self) -> Range {
        let reach = f64::from(self.range.max).max(-f64::from(self.range.min));
        let width = self.width();
        if width <= 0.0 {
            return self.range;
        }
        let zero = ((-f64::from(self.range.min) / width) as usize).min(CELLS - 1);
        let mut best = (f64::INFINITY, self.range);
        // Tries 120 distances from zero. The largest comes first and each next one is 2 % smaller, down to a
        // tenth of the range; a smaller cut would not be sensible.
        let mut distance = reach;
        for _ in 0..120 {
            let cells = (distance / width).ceil() as usize;
            let (from, to) = (zero.saturating_sub(cells), (zero + cells).clamp(zero + 1, CELLS));
            if to - from < LEVELS {
                break;
            }
            let divergence = self.divergence(from, to);
            if divergence < best.0 {
                best = (divergence, self.cut(from, to));
            }
            distance *= 0.98;
        }
        best.1
    }

    /// Kullback-Leibler divergence of the numbers, saturated to the cells `from..to`, from the distribution
    /// that 256 integers over these cells can represent.
    fn divergence(&self, from: usize, to: usize) -> f64 {
        let inner = &self.cells[from..to];
        let below: u64 = self.cells[..from].iter().sum();
        let above: u64 = self.cells[to..].iter().sum();
        let total = (inner.iter().sum::<u64>() + below + above) as f64;
        let inside = inner.iter().sum::<u64>() as f64;
        if inside == 0.0 {
            return f64::INFINITY;
        }
        let mut sum = 0.0;
        let level = |i: usize| i * LEVELS / inner.len();
        let mut start = 0;
        while start < inner.len() {
            let mut end = start + 1;
            while end < inner.len() && level(end) == level(start) {
                end += 1;
            }
            let cells = &inner[start..end];
            // An integer's count is spread over those of its cells that are not empty.
            let held = cells.iter().filter(|&&count| count > 0).count();
            let spread = cells.iter().sum::<u64>() as f64 / held.max(1) as f64 / inside;
            for (i, &count) in cells.iter().enumerate() {
                let mut p = count as f64;
                if start + i == 0 {
                    p += below as f64;
                }
                if start + i + 1 == inner.len() {
                    p += above as f64;
                }
                let p = p / total;
                if p > 0.0 {
                    // A cell in which only saturated numbers lie has no counterpart. Half a number keeps the
                    // divergence finite.
                    let q = if count > 0 { spread } else { 0.5 / total };
                    sum += p * (p / q).ln();
                }
            }
            start = end;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 000 numbers with a bell-shaped distribution between -4 and 4, and one number far away.
    fn bell_with_outlier() -> Histogram {
        let data: Vec<f32> = (0..100_000)
            .map(|i| {
                // The sum of four uniform numbers (van der Corput sequences in four bases).
                [2, 3, 5, 7].map(|base| radical(i, base)).iter().sum::<f32>() * 2.0 - 4.0
            })
            .chain([40.0])
            .collect();
        let mut histogram = Histogram::new(Range::of(&data).unwrap());
        histogram.observe(&data);
        histogram
    }

    fn radical(mut i: u32, base: u32) -> f32 {
        let (mut x, mut digit) = (0.0, 1.0);
        while i > 0 {
            digit /= base as f32;
            x += (i % base) as f32 * digit;
            i /= base;
        }
        x
    }

    #[test]
    fn outliers_are_cut_off() {
        let histogram = bell_with_outlier();
        assert_eq!(histogram.percentile(100.0), histogram.range);
        // One number among many hardly matters to the first two methods, but its squared distance does to the
        // last.
        assert!(histogram.least_error().max < 36.0);
        for range in [histogram.percentile(99.9), histogram.entropy()] {
            assert!(range.max < 20.0 && range.max > 2.0, "{range:?}");
            assert!(range.min < -1.9, "{range:?}");
        }
        let one_percent = histogram.percentile(99.0);
        assert!(one_percent.max < 3.0 && one_percent.min > -3.2, "{one_percent:?}");
    }

    /// Compares with the error computed number by number.
    #[test]
    fn the_least_error_is_the_least() {
        let data: Vec<f32> = (1..20_000).map(|i| -(1.0 - i as f32 / 20_000.0).ln()).collect();
        let mut histogram = Histogram::new(Range::of(&data).unwrap());
        histogram.observe(&data);
        let error = |range: Range| -> f64 {
            let (scale, zero) = range.asymmetric();
            let of = |&x: &f32| {
                let q = super::super::range::to_int8(x, scale, zero);
                f64::from(x - scale * f32::from(i16::from(q) - zero as i16)).powi(2)
            };
            data.iter().map(of).sum()
        };
        let best = error(histogram.least_error());
        assert!(best < error(histogram.range));
        for k in 1..50 {
            let max = histogram.range.max * k as f32 / 50.0;
            assert!(best < error(Range { min: 0.0, max }) * 1.02, "a maximum of {max} is better");
        }
    }

    #[test]
    fn parts_add_up_and_odd_ranges_are_sane() {
        let data: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin()).collect();
        let range = Range::of(&data).unwrap();
        let mut whole = Histogram::new(range);
        whole.observe(&data);
        let mut parts = Histogram::new(range);
        for part in data.chunks(77).rev() {
            let mut one = Histogram::new(range);
            one.observe(part);
            parts.merge(&one);
        }
        assert_eq!(whole, parts);
        for values in [&[0.0f32, 0.0][..], &[3.0, 3.0], &[-1.0], &[0.0, 1.0], &[-1e18, 1e18]] {
            let range = Range::of(values).unwrap();
            let mut histogram = Histogram::new(range);
            histogram.observe(values);
            for found in [histogram.percentile(99.0), histogram.entropy(), histogram.least_error()] {
                assert!(found.min >= range.min && found.max <= range.max, "{values:?}: {found:?}");
                assert!(found.min <= 0.0 && found.max >= 0.0, "{values:?}: {found:?}");
            }
        }
    }
}
