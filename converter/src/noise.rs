//! Figures that compare outputs with a reference: the sums for a signal-to-noise ratio, and the winning
//! class.

/// An output with fewer decibels than this hardly represents the float model any more.
pub const NOISY: f64 = 10.0;

/// A warning if the signal to noise of an output is low.
pub(crate) fn warning(output: &str, decibels: Option<f64>) -> Option<String> {
    let low = decibels.filter(|&db| db < NOISY)?;
    Some(format!(
        "output `{output}` has {low:.1} dB of signal to noise: it is hardly the float model's any more; look \
         at the layers that cost most, and whether the samples are like those of calibration"
    ))
}

/// The differences between a reference and a measured output.
///
/// ```
/// let mut noise = ferrolite::noise::Noise::default();
/// noise.add(&[1.0, 2.0], &[1.0, 2.5]);
/// assert_eq!(noise.decibels(), Some(10.0 * (5.0f64 / 0.25).log10()));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noise {
    /// Number of elements.
    pub count: usize,
    /// Sum of the reference's squares.
    pub signal: f64,
    /// Sum of the differences' squares.
    pub noise: f64,
    /// Largest difference.
    pub largest: f64,
}

impl Noise {
    /// Adds elements and their reference. If one has more elements, the rest is ignored.
    pub fn add(&mut self, reference: &[f32], other: &[f32]) {
        for (&a, &b) in reference.iter().zip(other) {
            let (a, b) = (f64::from(a), f64::from(b));
            self.count += 1;
            self.signal += a * a;
            self.noise += (a - b) * (a - b);
            self.largest = self.largest.max((a - b).abs());
        }
    }

    /// The ratio in decibels, infinite if nothing differs; `None` without a signal.
    pub fn decibels(&self) -> Option<f64> {
        (self.count > 0 && (self.signal > 0.0 || self.noise == 0.0)).then(|| {
            if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() }
        })
    }
}

/// Index of the largest element, the first one if several are equal; `None` without elements.
pub fn argmax(values: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (index, &value) in values.iter().enumerate() {
        if best.is_none_or(|(_, largest)| value > largest) {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index)
}
