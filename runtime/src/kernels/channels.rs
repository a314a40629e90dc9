//! Parameters of channels for the leaves of Cortex-M0 to M33.

use ferrolite_schema::params::Multiplier;

use super::Stage;

/// The parameters of some channels for a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channels<'a> {
    pub(super) bias: &'a [i32],
    /// One for each bias, or one for all.
    pub(super) multipliers: &'a [Multiplier],
    /// Twice the zero point plus one. Shifted left by the multiplier's right shift minus one, it rounds and
    /// adds the zero point in one addition.
    pub(super) half: i32,
}

impl<'a> Channels<'a> {
    /// `count` channels, starting with channel `first`.
    pub(super) fn of(stage: &Stage<'a>, first: usize, count: usize) -> Channels<'a> {
        let multipliers = match stage.multipliers {
            one @ [_] => one,
            all => all.get(first..first.wrapping_add(count)).unwrap_or(&[]),
        };
        let bias = stage.bias.get(first..first.wrapping_add(count)).unwrap_or(&[]);
        Channels { bias, multipliers, half: half(stage) }
    }

    /// All channels of a layer.
    #[inline(always)]
    pub(super) fn all(stage: &Stage<'a>) -> Channels<'a> {
        Channels { bias: stage.bias, multipliers: stage.multipliers, half: half(stage) }
    }

    /// Whether there are parameters for `count` channels.
    pub(super) fn cover(&self, count: usize) -> bool {
        self.bias.len() == count && (self.multipliers.len() == 1 || self.multipliers.len() == count)
    }

    /// Bytes from one channel's multiplier to the next.
    #[cfg(device)]
    pub(super) fn step(&self) -> usize {
        if self.multipliers.len() == 1 { 0 } else { size_of::<Multiplier>() }
    }
}

/// See [`Channels::half`].
pub(super) fn half(stage: &Stage<'_>) -> i32 {
    stage.zero_point.wrapping_mul(2).wrapping_add(1)
}

/// For the leaves in plain Rust.
#[cfg(not(device))]
impl Channels<'_> {
    pub(super) fn bias(&self, channel: usize) -> i32 {
        self.bias.get(channel).copied().unwrap_or(0)
    }

    /// The int8 value of a doubled accumulator.
    pub(super) fn finish(&self, channel: usize, doubled: i32) -> i8 {
        self.finish_by(|a, b| ((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32, channel, doubled)
    }

    /// The int16 value of a doubled accumulator.
    pub(super) fn finish_int16(&self, channel: usize, doubled: i32) -> i16 {
        let high_product = |a, b| ((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32;
        self.scaled_by(high_product, channel, doubled).clamp(-32768, 32767) as i16
    }

    /// The int8 value of an accumulator of any size, with a multiplier that may shift to either side.
    pub(super) fn finish_general(&self, channel: usize, acc: i32) -> i8 {
        let scaled = |a: i32, m: i32| ((i64::from(a) * i64::from(m) + (1 << 30)) >> 31) as i32;
        self.finish_general_by(scaled, channel, acc)
    }

    /// The same, with a set's own function for a product, rounded and without its lower 31 bits.
    pub(super) fn finish_general_by(&self, scaled: impl Fn(i32, i32) -> i32, channel: usize, acc: i32) -> i8 {
        let multiplier = match self.multipliers {
            [one] => Some(one),
            all => all.get(channel),
        };
        let Multiplier { mantissa, shift } = multiplier.copied().unwrap_or_default();
        if shift < 0 {
            let y = scaled(acc, mantissa);
            let y = y.wrapping_add(y >> 31).wrapping_shr(!shift as u32);
            (y.saturating_add(self.half) >> 1).clamp(-128, 127) as i8
        } else {
            let y = scaled(acc.wrapping_shl(shift as u32), mantissa);
            y.wrapping_add(self.half >> 1).clamp(-128, 127) as i8
        }
    }

    /// The int8 value of a doubled accumulator, with a set's own function for the rounded upper word of a product.
    pub(super) fn finish_by(
        &self,
        high_product: impl FnOnce(i32, i32) -> i32,
        channel: usize,
        doubled: i32,
    ) -> i8 {
        self.scaled_by(high_product, channel, doubled).clamp(-128, 127) as i8
    }

    fn scaled_by(&self, high_product: impl FnOnce(i32, i32) -> i32, channel: usize, doubled: i32) -> i32 {
        let multiplier = match self.multipliers {
            [one] => Some(one),
            all => all.get(channel),
        };
        let multiplier = multiplier.copied().unwrap_or_default();
        let shift = !multiplier.shift as u32;
        let y = high_product(doubled, multiplier.mantissa);
        let y = y.wrapping_add(y >> 31).wrapping_add(self.half.wrapping_shl(shift));
        y.wrapping_shr(shift) >> 1
    }
}
