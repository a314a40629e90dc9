//! Sliding windows over images, and the paddings that make their outputs fit.

/// Geometry of a sliding window over the two spatial dimensions, `[height, width]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel size.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Distance between kernel taps; 1 for a dense kernel.
    pub dilation: [usize; 2],
    /// Padding before the first row and column.
    pub pad_before: [usize; 2],
    /// Padding behind the last row and column. The shape of the output follows from it.
    pub pad_after: [usize; 2],
}

impl Window {
    /// A window over an image of `[height, width]`, its padding resolved.
    pub fn over(
        image: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: [Padding; 2],
    ) -> Window {
        let amounts = [0, 1].map(|d| padding[d].amounts(image[d], kernel[d], stride[d], dilation[d]));
        Window {
            kernel,
            stride,
            dilation,
            pad_before: amounts.map(|(before, _)| before),
            pad_after: amounts.map(|(_, after)| after),
        }
    }
}

/// How a window meets the border, in the words of TensorFlow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Windows lie inside of the image.
    Valid,
    /// `ceil(size / stride)` outputs; of an odd sum the larger part lies behind.
    Same,
    /// As `Same`, with the larger part before (ONNX's `SAME_LOWER`).
    SameLower,
    /// All before, none behind: `(kernel - 1) * dilation`, Keras's `causal`.
    Causal,
    /// Given numbers, before and behind.
    Explicit(usize, usize),
}

impl Padding {
    /// Elements added before and behind a dimension of `size`.
    pub fn amounts(self, size: usize, kernel: usize, stride: usize, dilation: usize) -> (usize, usize) {
        let reach = kernel.saturating_sub(1).saturating_mul(dilation);
        let same = || {
            let outputs = size.div_ceil(stride.max(1));
            (outputs.saturating_sub(1).saturating_mul(stride) + reach + 1).saturating_sub(size)
        };
        match self {
            Padding::Valid => (0, 0),
            Padding::Same => (same() / 2, same().div_ceil(2)),
            Padding::SameLower => (same().div_ceil(2), same() / 2),
            Padding::Causal => (reach, 0),
            Padding::Explicit(before, after) => (before, after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paddings_are_those_of_tensorflow() {
        assert_eq!(Padding::Same.amounts(28, 3, 2, 1), (0, 1));
        assert_eq!(Padding::SameLower.amounts(28, 3, 2, 1), (1, 0));
        assert_eq!(Padding::Same.amounts(5, 3, 1, 2), (2, 2));
        assert_eq!(Padding::Causal.amounts(9, 3, 1, 2), (4, 0));
        assert_eq!(Padding::Valid.amounts(9, 3, 1, 2), (0, 0));
    }
}
