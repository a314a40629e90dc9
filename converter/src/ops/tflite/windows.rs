//! Explicit paddings in TFLite's two words, SAME and VALID, where they say it.

use crate::graph::{Padding, Window};
use crate::tflite as schema;

/// How TFLite says a window's padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// By one of its words.
    Word(schema::Padding),
    /// Only by a PAD before a window without padding.
    PadFirst,
}

/// Says the padding of a window over an image of `[height, width]` that gives `output`.
pub(crate) fn padding(window: &Window, image: [usize; 2], output: [usize; 2]) -> Said {
    if window.pad_before == [0, 0] && window.pad_after == [0, 0] {
        return Said::Word(schema::Padding::VALID);
    }
    let same = (0..2).all(|d| {
        let (before, _) =
            Padding::Same.amounts(image[d], window.kernel[d], window.stride[d], window.dilation[d]);
        before == window.pad_before[d] && output[d] == image[d].div_ceil(window.stride[d])
    });
    if same { Said::Word(schema::Padding::SAME) } else { Said::PadFirst }
}

/// How TFLite says the cropping of a transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cropped {
    /// By one of its words.
    Word(schema::Padding),
    /// Only by a slice of the uncropped result, which has this size.
    Sliced([usize; 2]),
}

/// Says the cropping of a transposed convolution from `image` to `output`; none where the result reaches a
/// stride or more beyond the last tap.
pub(crate) fn cropping(window: &Window, image: [usize; 2], output: [usize; 2]) -> Option<Cropped> {
    let same = (0..2).all(|d| {
        let full = (image[d] - 1) * window.stride[d] + window.kernel[d];
        output[d].div_ceil(window.stride[d]) == image[d]
            && window.pad_before[d] == full.saturating_sub(output[d]) / 2
    });
    let fits = |d: usize, size: usize| {
        size.checked_sub(window.kernel[d]).is_some_and(|x| x / window.stride[d] + 1 == image[d])
    };
    if (0..2).all(|d| window.pad_before[d] == 0 && fits(d, output[d])) {
        return Some(Cropped::Word(schema::Padding::VALID));
    }
    if same {
        return Some(Cropped::Word(schema::Padding::SAME));
    }
    let whole = [0, 1].map(|d| {
        let taps = (image[d] - 1) * window.stride[d] + window.kernel[d];
        taps.max(window.pad_before[d] + output[d])
    });
    (0..2).all(|d| fits(d, whole[d])).then_some(Cropped::Sliced(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: usize, stride: usize, before: usize, after: usize) -> Window {
        Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pad_before: [before; 2],
            pad_after: [after; 2],
        }
    }

    #[test]
    fn words_are_found_and_the_rest_is_padded_first() {
        let said = |w: Window, image, output| padding(&w, [image; 2], [output; 2]);
        assert_eq!(said(window(3, 1, 0, 0), 8, 6), Said::Word(schema::Padding::VALID));
        assert_eq!(said(window(3, 1, 1, 1), 8, 8), Said::Word(schema::Padding::SAME));
        assert_eq!(said(window(3, 2, 0, 1), 8, 4), Said::Word(schema::Padding::SAME));
        // PyTorch's padding 1 with stride 2 puts the row before.
        assert_eq!(said(window(3, 2, 1, 1), 8, 4), Said::PadFirst);
        assert_eq!(said(window(3, 1, 2, 0), 8, 8), Said::PadFirst);
    }

    #[test]
    fn croppings_have_words_too() {
        let said = |w: Window, image, output| cropping(&w, [image; 2], [output; 2]);
        let word = |word| Some(Cropped::Word(word));
        assert_eq!(said(window(3, 2, 0, 0), 4, 9), word(schema::Padding::VALID));
        assert_eq!(said(window(3, 2, 0, 1), 4, 8), word(schema::Padding::SAME));
        assert_eq!(said(window(4, 2, 1, 1), 4, 8), word(schema::Padding::SAME));
        assert_eq!(said(window(3, 2, 1, 1), 4, 7), word(schema::Padding::SAME));
        // PyTorch's doubling with output padding crops before only.
        assert_eq!(said(window(3, 2, 1, 0), 4, 8), Some(Cropped::Sliced([9, 9])));
        // A row behind the last tap is as far as a stride of 2 reaches.
        assert_eq!(said(window(3, 2, 1, 0), 4, 9), Some(Cropped::Sliced([10, 10])));
        assert_eq!(said(window(3, 2, 1, 0), 4, 10), None);
    }
}
