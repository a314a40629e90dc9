//! Pictures as samples: a folder of `.png`, `.jpg` and `.bmp` files in the order of their names.
//!
//! A picture is turned into grey or RGB to fit the input's channels and resized (bilinear) to its
//! height and width. Its pixels, 0 to 255, become values by this rule:
//!
//! | input | value |
//! |---|---|
//! | int8 or uint8 whose range is 0..1, -1..1, 0..255 or -128..127 (within 2 %) | the pixel is the raw value: `q = pixel` for uint8, `q = pixel - 128` for int8 |
//! | any other, float32 among them | `pixel / 255`, quantized with the input's scale |
//!
//! The first line is what the training pipelines of those four ranges amount to. A model that was
//! trained on anything else (say, per-channel means) gets its data from a `.npz` file.

use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};

use super::{InputSpec, Row};
use crate::error::{Error, Result};
use crate::graph::DType;

/// Endings of picture files.
pub const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// Height, width and channels that a model's input gives to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    height: u32,
    width: u32,
    channels: usize,
}

impl Frame {
    /// The frame of an input of shape `[1, height, width, channels]`, with or without the first
    /// and, for grey, the last dimension.
    pub fn of(spec: &InputSpec) -> Option<Frame> {
        let (height, width, channels) = match *spec.shape.as_slice() {
            [1, height, width, channels @ (1 | 3)] => (height, width, channels),
            [1, height, width] => (height, width, 1),
            [height, width, channels @ (1 | 3)] => (height, width, channels),
            [height, width] if height > 1 => (height, width, 1),
            _ => return None,
        };
        let side = |d: usize| u32::try_from(d).ok().filter(|&d| d > 0);
        Some(Frame { height: side(height)?, width: side(width)?, channels })
    }
}

/// Whether pixels are the input's raw values (the first line of the rule above).
fn pixels_are_raw(spec: &InputSpec) -> bool {
    let Some((low, high)) = spec.range() else { return false };
    let Some((scale, zero_point)) = spec.quantization else { return false };
    let real = |q: i64| scale * (q - i64::from(zero_point)) as f32;
    let span = real(high) - real(low);
    let near = |a: f32, b: f32| (a - b).abs() <= 0.02 * span;
    matches!(spec.dtype, DType::Int8 | DType::UInt8)
        && [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0)]
            .into_iter()
            .any(|(a, b)| near(real(low), a) && near(real(high), b))
}

/// Reads one picture as a sample.
pub fn read(path: &Path, spec: &InputSpec, frame: Frame) -> Result<Row> {
    let pixels = pixels(path, frame)?;
    if pixels_are_raw(spec) {
        let flip = if spec.dtype == DType::Int8 { 0x80 } else { 0 };
        return Ok(Row::Raw(pixels.into_iter().map(|p| p ^ flip).collect()));
    }
    Ok(Row::Real(pixels.into_iter().map(|p| f32::from(p) / 255.0).collect()))
}

/// The pixels of a picture that was fitted into a frame, channels innermost.
fn pixels(path: &Path, frame: Frame) -> Result<Vec<u8>> {
    let mut reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|e| super::cannot_read(path, &e))?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(1 << 15), Some(1 << 15));
    reader.limits(limits);
    let image = reader.decode().map_err(|e| {
        Error::input(format!("{}: not a picture that can be read ({e})", path.display()))
            .help("supported are PNG, JPEG and BMP up to 32768 pixels a side")
    })?;
    let image = match frame.channels {
        1 => DynamicImage::ImageLuma8(image.to_luma8()),
        _ => DynamicImage::ImageRgb8(image.to_rgb8()),
    };
    if (image.width(), image.height()) == (frame.width, frame.height) {
        return Ok(image.into_bytes());
    }
    Ok(image.resize_exact(frame.width, frame.height, FilterType::Triangle).into_bytes())
}

/// The error for inputs that no picture fits.
pub fn no_frame(path: &Path, spec: &InputSpec) -> Error {
    Error::input(format!("{}: pictures, but {}", path.display(), spec.wants()))
        .help("pictures fit inputs of shape 1xHxWx1 and 1xHxWx3; give other data as .npz or .npy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgb, RgbImage};

    fn spec(shape: &[usize], dtype: DType, quantization: Option<(f32, i32)>) -> InputSpec {
        InputSpec { name: "image".into(), shape: shape.to_vec(), dtype, quantization }
    }

    #[test]
    fn the_range_decides_about_raw_pixels() {
        let cases = [
            (DType::Int8, Some((1.0 / 255.0, -128)), true),
            (DType::Int8, Some((0.007_843_14, -1)), true),
            (DType::Int8, Some((1.0, -128)), true),
            (DType::UInt8, Some((1.0 / 255.0, 0)), true),
            (DType::Int8, Some((0.02, 3)), false),
            (DType::Int8, None, false),
            (DType::Float32, None, false),
        ];
        for (dtype, quantization, want) in cases {
            let spec = spec(&[1, 4, 4, 1], dtype, quantization);
            assert_eq!(pixels_are_raw(&spec), want, "{dtype:?} {quantization:?}");
        }
    }

    #[test]
    fn grey_and_colour_fit_the_frame() {
        let folder = tempfile::tempdir().unwrap();
        let grey = folder.path().join("grey.png");
        GrayImage::from_fn(2, 2, |x, y| Luma([if (x, y) == (1, 0) { 255 } else { 0 }])).save(&grey).unwrap();
        let colour = folder.path().join("colour.bmp");
        RgbImage::from_pixel(8, 6, Rgb([255, 0, 51])).save(&colour).unwrap();

        let float = spec(&[1, 2, 2, 1], DType::Float32, None);
        let row = read(&grey, &float, Frame::of(&float).unwrap()).unwrap();
        assert_eq!(row, Row::Real(vec![0.0, 1.0, 0.0, 0.0]));

        let raw = spec(&[2, 2], DType::Int8, Some((1.0 / 255.0, -128)));
        let row = read(&grey, &raw, Frame::of(&raw).unwrap()).unwrap();
        assert_eq!(row, Row::Raw(vec![0x80, 0x7f, 0x80, 0x80]));

        let rgb = spec(&[1, 3, 4, 3], DType::Float32, None);
        let row = read(&colour, &rgb, Frame::of(&rgb).unwrap()).unwrap();
        assert_eq!(row, Row::Real([1.0, 0.0, 0.2].repeat(12)));
    }

    #[test]
    fn odd_inputs_have_no_frame() {
        for shape in [&[1, 64][..], &[1, 8, 8, 2], &[1, 2, 8, 8, 1], &[0, 4], &[]] {
            assert_eq!(Frame::of(&spec(shape, DType::Int8, None)), None, "{shape:?}");
        }
        assert_eq!(
            Frame::of(&spec(&[1, 96, 48, 1], DType::Int8, None)),
            Some(Frame { height: 96, width: 48, channels: 1 })
        );
    }
}
