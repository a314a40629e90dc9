//! Pictures as samples: `.png`, `.jpg` and `.bmp` files in the order of their names.
//!
//! A picture is converted to grey or RGB to fit the input's channels, which may be the last dimension or
//! precede height and width, and resized (bilinear) to its height and width. Its pixels, 0 to 255, become
//! numbers by a [`Scale`], which are quantized with the input's scale. If no scale is given, and an int8 or
//! uint8 input has the range 0..1, -1..1, 0..255 or -128..127 (within 2 %), the pixels are the raw values: `q
//! = pixel` for uint8, `q = pixel - 128` for int8. The training pipelines of these four ranges amount to the
//! same. Other numbers (say, other means for each channel) come from a `.npz` file.

use std::io::Cursor;
use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};

use super::Scale;
use super::item::Item;
use super::spec::{InputSpec, Row};
use crate::error::{Error, Result};
use crate::graph::DType;

/// Extensions of picture files.
pub const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// Pictures whose size is checked before they are read.
const LOOKED_AT: usize = 256;

/// The height, width and channels that a model's input prescribes for a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    height: u32,
    width: u32,
    channels: usize,
    /// Channels precede height and width, as in PyTorch.
    first: bool,
}

impl Frame {
    /// The frame of an input of shape `[1, height, width, channels]` or `[1, channels, height, width]`. The
    /// first dimension may be missing and, for grey, the dimension of channels. If a shape can be read both
    /// ways, channels are last.
    pub fn of(spec: &InputSpec) -> Option<Frame> {
        let (height, width, channels, first) = match *spec.shape.as_slice() {
            [1, height, width, channels @ (1 | 3)] => (height, width, channels, false),
            [1, channels @ (1 | 3), height, width] => (height, width, channels, true),
            [1, height, width] => (height, width, 1, false),
            [height, width, channels @ (1 | 3)] => (height, width, channels, false),
            [channels @ 3, height, width] => (height, width, channels, true),
            [height, width] if height > 1 => (height, width, 1, false),
            _ => return None,
        };
        let side = |d: usize| u32::try_from(d).ok().filter(|&d| d > 0);
        Some(Frame { height: side(height)?, width: side(width)?, channels, first })
    }

    /// A note if some pictures have another size; it names the size of the first of them.
    pub fn resized(&self, files: &[Item]) -> Option<String> {
        let size = |file: &Item| {
            let reader = ImageReader::new(Cursor::new(file.bytes().ok()?)).with_guessed_format().ok()?;
            reader.into_dimensions().ok()
        };
        let (width, height) = (self.width, self.height);
        let other = |&size: &(u32, u32)| size != (width, height);
        let (w, h) = files.iter().take(LOOKED_AT).filter_map(size).find(other)?;
        let same = u64::from(w) * u64::from(height) == u64::from(h) * u64::from(width);
        let distorted = if same { "" } else { ", which changes their proportions" };
        Some(format!("pictures of {w}x{h} pixels are resized to {width}x{height}{distorted}"))
    }
}

/// Whether pixels are the input's raw values when no scale is given.
pub(super) fn pixels_are_raw(spec: &InputSpec) -> bool {
    let Some((low, high)) = spec.real_range() else { return false };
    let near = |a: f32, b: f32| (a - b).abs() <= 0.02 * (high - low);
    matches!(spec.dtype, DType::Int8 | DType::UInt8)
        && [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0)]
            .into_iter()
            .any(|(a, b)| near(low, a) && near(high, b))
}

/// Reads one picture as a sample. Without a scale, pixels are the input's raw values.
pub fn read(item: &Item, spec: &InputSpec, frame: Frame, scale: Option<Scale>) -> Result<Row> {
    let pixels = pixels(item, frame)?;
    let channels = frame.channels;
    // In a picture, channels are innermost.
    let place = |i: usize| match frame.first {
        false => i,
        true => i % (pixels.len() / channels) * channels + i / (pixels.len() / channels),
    };
    let numbered = (0..pixels.len()).map(|i| (pixels[place(i)], place(i) % channels));
    let Some(scale) = scale else {
        let flip = if spec.dtype == DType::Int8 { 0x80 } else { 0 };
        return Ok(Row::Raw(numbered.map(|(p, _)| p ^ flip).collect()));
    };
    Ok(Row::Real(numbered.map(|(p, channel)| scale.apply(p, channel, channels)).collect()))
}

/// The pixels of a picture after it was fitted into a frame, channels innermost.
fn pixels(item: &Item, frame: Frame) -> Result<Vec<u8>> {
    let path = &item.path;
    let mut reader = ImageReader::new(Cursor::new(item.bytes()?))
        .with_guessed_format()
        .map_err(|e| Error::input(format!("{}: cannot be read: {e}", path.display())).caused_by(e))?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(1 << 15), Some(1 << 15));
    reader.limits(limits);
    let image = reader.decode().map_err(|e| {
        Error::input(format!("{}: not a picture that can be read ({e})", path.display()))
            .help("supported are PNG, JPEG and BMP up to 32768 pixels a side")
            .caused_by(e)
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

/// The error for inputs whose shape is not that of a picture.
pub fn no_frame(path: &Path, spec: &InputSpec) -> Error {
    Error::input(format!("{}: pictures, but {}", path.display(), spec.wants())).help(
        "pictures fit inputs of shape 1xHxWx1, 1xHxWx3, 1x1xHxW and 1x3xHxW; give other data as .npz or .npy",
    )
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
        let row =
            read(&grey.clone().into(), &float, Frame::of(&float).unwrap(), Some(Scale::ZeroToOne)).unwrap();
        assert_eq!(row, Row::Real(vec![0.0, 1.0, 0.0, 0.0]));

        let raw = spec(&[2, 2], DType::Int8, Some((1.0 / 255.0, -128)));
        let row = read(&grey.clone().into(), &raw, Frame::of(&raw).unwrap(), None).unwrap();
        assert_eq!(row, Row::Raw(vec![0x80, 0x7f, 0x80, 0x80]));

        let rgb = spec(&[1, 3, 4, 3], DType::Float32, None);
        let row =
            read(&colour.clone().into(), &rgb, Frame::of(&rgb).unwrap(), Some(Scale::ZeroToOne)).unwrap();
        assert_eq!(row, Row::Real([1.0, 0.0, 0.2].repeat(12)));
        let planes = spec(&[1, 3, 3, 4], DType::Float32, None);
        // A shape that can be read both ways has its channels last.
        assert_eq!(Frame::of(&spec(&[1, 3, 4, 3], DType::Float32, None)).map(|f| f.first), Some(false));
        let frame = Frame::of(&planes).unwrap();
        let row = read(&colour.clone().into(), &planes, frame, Some(Scale::ZeroTo255)).unwrap();
        assert_eq!(row, Row::Real([[255.0f32; 12], [0.0; 12], [51.0; 12]].concat()));
        let files = [colour.clone().into()];
        assert!(frame.resized(&files).unwrap().contains("8x6 pixels are resized to 4x3"));
        assert!(Frame { width: 8, height: 6, ..frame }.resized(&files).is_none());
        let other = Frame { width: 8, height: 8, ..frame }.resized(&files).unwrap();
        assert!(other.contains("proportions"), "{other}");
    }

    #[test]
    fn odd_inputs_have_no_frame() {
        for shape in [&[1, 64][..], &[1, 8, 8, 2], &[1, 2, 8, 8], &[1, 2, 8, 8, 1], &[0, 4], &[]] {
            assert_eq!(Frame::of(&spec(shape, DType::Int8, None)), None, "{shape:?}");
        }
        assert_eq!(
            Frame::of(&spec(&[1, 96, 48, 1], DType::Int8, None)),
            Some(Frame { height: 96, width: 48, channels: 1, first: false })
        );
    }
}
