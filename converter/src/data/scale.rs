//! How the pixels of pictures, 0 to 255, become the numbers that a model was trained on.
//!
//! No file states it, so the user gives it with `--scale`, or it is chosen: by the model's first layers if
//! they scale pixels themselves ([`first_layers`](super::first_layers)), else by the range that the model's
//! input was calibrated for, else 0..1. A note always names the scale that was used.

use std::fmt;
use std::str::FromStr;

use super::InputSpec;
use crate::error::{Error, Result};
use crate::graph::DType;

/// The numbers that pixels become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// `p`
    ZeroTo255,
    /// `p / 255`
    ZeroToOne,
    /// `p / 127.5 - 1`
    MinusOneToOne,
    /// `(p / 255 - mean) / deviation` of each channel over ImageNet, as PyTorch's models expect it.
    ImageNet,
}

/// Means and deviations of red, green and blue over ImageNet, and of grey.
const IMAGENET: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
const IMAGENET_GREY: (f32, f32) = (0.449, 0.226);

impl Scale {
    /// All scales.
    pub const ALL: [Scale; 4] = [Scale::ZeroTo255, Scale::ZeroToOne, Scale::MinusOneToOne, Scale::ImageNet];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scale::ZeroTo255 => "0..255",
            Scale::ZeroToOne => "0..1",
            Scale::MinusOneToOne => "-1..1",
            Scale::ImageNet => "imagenet",
        }
    }

    /// The number that a pixel becomes. `channel` is one of `channels`, which are one or three.
    pub fn apply(self, pixel: u8, channel: usize, channels: usize) -> f32 {
        let pixel = f32::from(pixel);
        match self {
            Scale::ZeroTo255 => pixel,
            Scale::ZeroToOne => pixel / 255.0,
            Scale::MinusOneToOne => pixel / 127.5 - 1.0,
            Scale::ImageNet => {
                let colour = IMAGENET.get(channel).filter(|_| channels > 1);
                let (mean, deviation) = colour.copied().unwrap_or(IMAGENET_GREY);
                (pixel / 255.0 - mean) / deviation
            }
        }
    }

    /// The scale that a model's input was calibrated with, guessed from its range.
    fn of_range((low, high): (f32, f32)) -> Scale {
        match (low, high) {
            (_, high) if high > 8.0 => Scale::ZeroTo255,
            (low, high) if low < -1.3 || (low < -0.3 && high > 1.3) => Scale::ImageNet,
            (low, _) if low < -0.3 => Scale::MinusOneToOne,
            _ => Scale::ZeroToOne,
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Scale, String> {
        let found = Scale::ALL.into_iter().find(|scale| scale.name() == text);
        found.ok_or_else(|| "known are 0..255, 0..1, -1..1, imagenet".to_string())
    }
}

/// The scale for an input, and the reason for it. `given` is the user's, `wanted` is what the model's first
/// layers need, `range` is what its input was calibrated for.
pub(super) fn choose(
    spec: &InputSpec,
    given: Option<Scale>,
    wanted: Option<Scale>,
    range: Option<(f32, f32)>,
) -> Result<(Scale, &'static str)> {
    match (given, wanted) {
        (Some(given), Some(wanted)) if given != wanted => Err(Error::usage(format!(
            "--scale {given} was given, but the first layers of the model scale the pixels of input `{}` \
             themselves: they need --scale {wanted}",
            spec.name
        ))
        .help(format!("use --scale {wanted}, or leave --scale out"))),
        (Some(given), _) => Ok((given, "as --scale says")),
        (None, Some(wanted)) => Ok((wanted, "since the model's first layers scale them further")),
        // The bytes of a picture as they are.
        (None, None) if spec.dtype == DType::UInt8 && spec.quantization.is_none() => {
            Ok((Scale::ZeroTo255, "since the input takes bytes"))
        }
        (None, None) => match range {
            Some(range) => Ok((Scale::of_range(range), "by the range that the input was calibrated for")),
            None => Ok((Scale::ZeroToOne, "which is usual; --scale says otherwise")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_what_the_words_say() {
        for (scale, ends) in [
            (Scale::ZeroTo255, [0.0, 255.0]),
            (Scale::ZeroToOne, [0.0, 1.0]),
            (Scale::MinusOneToOne, [-1.0, 1.0]),
            (Scale::ImageNet, [-0.406 / 0.225, 0.594 / 0.225]),
        ] {
            assert_eq!(scale.name().parse::<Scale>(), Ok(scale));
            let found = [0, 255].map(|pixel| scale.apply(pixel, 2, 3));
            assert!(found.iter().zip(ends).all(|(a, b)| (a - b).abs() < 1e-6), "{scale}: {found:?}");
            // Calibration with this scale gives a range that leads back to the scale.
            assert_eq!(Scale::of_range((found[0], found[1])), scale);
        }
        assert!("0-255".parse::<Scale>().is_err());
    }

    #[test]
    fn first_layers_overrule_and_contradict() {
        let spec = InputSpec {
            name: "image".into(),
            shape: vec![1, 4, 4, 1],
            dtype: DType::Float32,
            quantization: None,
        };
        let chosen = |given, wanted, range| choose(&spec, given, wanted, range).map(|(scale, _)| scale);
        let (bytes, unit) = (Some(Scale::ZeroTo255), Some(Scale::ZeroToOne));
        assert_eq!(chosen(None, None, None), Ok(Scale::ZeroToOne));
        assert_eq!(chosen(None, bytes, None), Ok(Scale::ZeroTo255));
        assert_eq!(chosen(None, None, Some((0.0, 240.0))), Ok(Scale::ZeroTo255));
        assert_eq!(chosen(Some(Scale::MinusOneToOne), None, Some((0.0, 1.0))), Ok(Scale::MinusOneToOne));
        let error = chosen(unit, bytes, None).unwrap_err();
        assert!(
            error.message.contains("--scale 0..1 ") && error.message.contains("--scale 0..255"),
            "{error}"
        );
    }
}
