//! Conv and ConvTranspose. Images are transposed to NHWC and back; filters are transposed when the model is
//! read.

use std::rc::Rc;

use super::known::Known;
use super::layer::{Layer, Translation, one, size};
use super::net::Slot;
use crate::graph::{Op, Pad, Padding, Slice, ValueId, Window};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Geometry of a window over two dimensions. For a layer over one dimension, the first has size 1.
pub(super) struct Geometry {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: [Padding; 2],
}

impl Layer<'_> {
    /// Strides, dilations and paddings of a window over an input of `rank` dimensions.
    pub(super) fn geometry(&self, rank: usize, kernel: &[usize]) -> Result<Geometry, Refusal> {
        let dims = rank.saturating_sub(2);
        if !(1..=2).contains(&dims) {
            return unsupported(format!(
                "an input of {rank} dimensions; supported are one or two dimensions besides batch and channels"
            ));
        }
        let pair = |list: Option<Vec<i64>>, default: usize, what: &str| -> Result<[usize; 2], Refusal> {
            let list = list.filter(|l| !l.is_empty()).unwrap_or_else(|| vec![default as i64; dims]);
            let sizes = list.iter().map(|&x| size(x, what)).collect::<Result<Vec<_>, _>>()?;
            match (dims, sizes.as_slice()) {
                (1, &[x]) => Ok([default, x]),
                (2, &[y, x]) => Ok([y, x]),
                _ => Err(Refusal::Broken(damaged(format!("{what} {list:?} for {dims} dimensions")))),
            }
        };
        let kernel: Vec<i64> = kernel.iter().map(|&k| k as i64).collect();
        let kernel = pair(Some(kernel), 1, "kernel_shape")?;
        let padding = match self.text("auto_pad", "NOTSET").as_str() {
            "NOTSET" | "" => {
                let pads = self.int_list("pads").filter(|p| !p.is_empty()).unwrap_or(vec![0; 2 * dims]);
                let pads = pads.iter().map(|&p| size(p, "padding")).collect::<Result<Vec<_>, _>>()?;
                match (dims, pads.as_slice()) {
                    (1, &[a, b]) => [Padding::Explicit(0, 0), Padding::Explicit(a, b)],
                    (2, &[y0, x0, y1, x1]) => [Padding::Explicit(y0, y1), Padding::Explicit(x0, x1)],
                    _ => {
                        return Err(Refusal::Broken(damaged(format!("pads of {} numbers", pads.len()))));
                    }
                }
            }
            "VALID" => [Padding::Valid; 2],
            "SAME_UPPER" => [Padding::Same; 2],
            "SAME_LOWER" => [Padding::SameLower; 2],
            other => return unsupported(format!("auto_pad {other}")),
        };
        let stride = pair(self.int_list("strides"), 1, "strides")?;
        let dilation = pair(self.int_list("dilations"), 1, "dilations")?;
        if [kernel, stride, dilation].iter().flatten().any(|&x| x == 0) {
            return Err(Refusal::Broken(damaged("a kernel, stride or dilation of zero")));
        }
        Ok(Geometry { kernel, stride, dilation, padding })
    }

    /// `[n, c, h, w]` or `[n, c, w]` as an image `[n, h, w, c]`.
    pub(super) fn image_of(&mut self, x: ValueId) -> Result<ValueId, Refusal> {
        let name = self.part("nhwc");
        let shape = self.net.b.shape(x).to_vec();
        match *shape.as_slice() {
            [_, _, _, _] => Ok(self.net.b.transpose(&name, x, &[0, 2, 3, 1])?),
            [n, c, w] => {
                let turned = self.net.b.transpose(&name, x, &[0, 2, 1])?;
                let name = self.part("image");
                Ok(self.net.b.reshape(&name, turned, &[n, 1, w, c])?)
            }
            _ => unsupported(format!("an input of shape {shape:?}")),
        }
    }

    /// An image in the layout of the file, with `rank` dimensions.
    pub(super) fn as_in_file(&mut self, x: ValueId, rank: usize) -> Result<ValueId, Refusal> {
        let name = self.part("nchw");
        match (rank, self.net.b.shape(x)) {
            (3, &[n, 1, w, c]) => {
                let series = self.part("series");
                let x = self.net.b.reshape(&series, x, &[n, w, c])?;
                Ok(self.net.b.transpose(&name, x, &[0, 2, 1])?)
            }
            _ => Ok(self.net.b.transpose(&name, x, &[0, 3, 1, 2])?),
        }
    }
}

/// A filter `[a, b, k]` or `[a, b, kh, kw]`, with four dimensions.
fn with_height(filter: &Known) -> Result<Known, Refusal> {
    match *filter.shape.as_slice() {
        [a, b, k] => Ok(filter.reshaped(&[a, b, 1, k])),
        [_, _, _, _] => Ok(filter.clone()),
        _ => unsupported(format!("a filter of shape {:?}", filter.shape)),
    }
}

/// Conv: input `[n, c, h, w]`, filter `[out, c / group, kh, kw]`, optional bias.
pub(super) fn conv(l: &mut Layer<'_>) -> Translation {
    let (x, filter) = (l.value(0)?, l.require(1, "filter")?);
    let bias = l.inputs.get(2).cloned().flatten();
    one(conv_of(l, x, &filter, bias)?)
}

/// A convolution of these operands with the layer's attributes.
pub(super) fn conv_of(
    l: &mut Layer<'_>,
    x: ValueId,
    filter: &Rc<Known>,
    bias: Option<Slot>,
) -> Result<ValueId, Refusal> {
    let shape = l.net.b.shape(x).to_vec();
    let (rank, kernel) = (shape.len(), filter.shape.get(2..).unwrap_or_default());
    let mut geometry = l.geometry(rank, kernel)?;
    let filter = with_height(filter)?;
    let (channels, outputs, depth) = (shape[1], filter.shape[0], filter.shape[1]);
    let groups = size(l.int("group", 1), "group")?;
    if groups == 0 || depth * groups != channels || outputs % groups != 0 {
        return Err(Refusal::Broken(damaged(format!(
            "a filter of shape {:?} in {groups} groups for {channels} channels",
            filter.shape
        ))));
    }
    let mut image = l.image_of(x)?;
    image = l.pad_far(image, &mut geometry)?;
    let bias = bias.map(|slot| l.net.bias(&slot)).transpose()?;
    let depthwise = groups == channels && channels > 1;
    let turned = if depthwise { [1, 2, 3, 0] } else { [0, 2, 3, 1] };
    let filter = l.net.constant(&filter.transposed(&turned))?;
    let window = l.window(image, &geometry);
    let y = match depthwise {
        true => l.net.b.depthwise_conv2d(&l.name, image, filter, bias, window)?,
        false => l.net.b.conv2d(&l.name, image, filter, bias, window)?,
    };
    l.as_in_file(y, rank)
}

impl Layer<'_> {
    /// The window over an image.
    pub(super) fn window(&self, image: ValueId, g: &Geometry) -> Window {
        let size = match self.net.b.shape(image) {
            &[_, h, w, _] => [h, w],
            _ => [1, 1],
        };
        Window::over(size, g.kernel, g.stride, g.dilation, g.padding)
    }

    /// A window may not lie entirely in the padding. If the padding is so wide, the image is padded first.
    fn pad_far(&mut self, image: ValueId, g: &mut Geometry) -> Result<ValueId, Refusal> {
        let window = self.window(image, g);
        let far = (0..2).any(|d| {
            let reach = (g.kernel[d] - 1).saturating_mul(g.dilation[d]);
            window.pad_before[d] > reach || window.pad_after[d] > reach
        });
        if !far {
            return Ok(image);
        }
        let around = [0, 1].map(|d| (window.pad_before[d], window.pad_after[d]));
        let op = Op::Pad(Pad { amounts: vec![(0, 0), around[0], around[1], (0, 0)], value: None });
        g.padding = [Padding::Valid; 2];
        let name = self.part("pad");
        Ok(self.net.b.op(&name, op, &[image])?)
    }
}

/// ConvTranspose: input `[n, c, h, w]`, filter `[c, out / group, kh, kw]`, optional bias.
pub(super) fn conv_transpose(l: &mut Layer<'_>) -> Translation {
    let (x, filter) = (l.value(0)?, l.require(1, "filter")?);
    let bias = l.inputs.get(2).cloned().flatten();
    let shape = l.shape(0)?;
    let rank = shape.len();
    let g = l.geometry(rank, filter.shape.get(2..).unwrap_or_default())?;
    let filter = with_height(&filter)?;
    let (channels, groups) = (shape[1], size(l.int("group", 1), "group")?);
    if groups == 0 || filter.shape[0] != channels || channels % groups != 0 {
        return Err(Refusal::Broken(damaged(format!(
            "a filter of shape {:?} in {groups} groups for {channels} channels",
            filter.shape
        ))));
    }
    let pair = |name: &str| -> Result<Option<[usize; 2]>, Refusal> {
        let Some(list) = l.int_list(name).filter(|list| !list.is_empty()) else { return Ok(None) };
        let sizes = list.iter().map(|&x| size(x, name)).collect::<Result<Vec<_>, _>>()?;
        match (rank, sizes.as_slice()) {
            (3, &[x]) => Ok(Some([if name == "output_shape" { 1 } else { 0 }, x])),
            (4, &[y, x]) => Ok(Some([y, x])),
            // Old files include batch and channels.
            (4, &[_, _, y, x]) => Ok(Some([y, x])),
            _ => Err(Refusal::Broken(damaged(format!("{name} {list:?}")))),
        }
    };
    let (extra, wanted) = (pair("output_padding")?.unwrap_or([0, 0]), pair("output_shape")?);
    let image = l.image_of(x)?;
    let size = match l.net.b.shape(image) {
        &[_, h, w, _] => [h, w],
        _ => [1, 1],
    };
    let (mut before, mut after, mut out) = ([0; 2], [0; 2], [0; 2]);
    for d in 0..2 {
        let reach = (g.kernel[d] - 1).saturating_mul(g.dilation[d]) + 1;
        let full = (size[d] - 1).saturating_mul(g.stride[d]) + extra[d] + reach;
        let same = matches!(g.padding[d], Padding::Same | Padding::SameLower);
        let target = wanted.map(|w| w[d]).or(same.then(|| size[d].saturating_mul(g.stride[d])));
        let (a, b) = match (target, g.padding[d]) {
            (Some(target), padding) => {
                let total = full.saturating_sub(target);
                match padding {
                    Padding::Same => (total / 2, total - total / 2),
                    _ => (total - total / 2, total / 2),
                }
            }
            (None, Padding::Explicit(a, b)) => (a, b),
            (None, _) => (0, 0),
        };
        (before[d], after[d]) = (a, b);
        out[d] = target.unwrap_or_else(|| full.saturating_sub(a + b));
        if out[d] == 0 || a + b >= full {
            return Err(Refusal::Broken(damaged("its padding leaves nothing of the result")));
        }
    }
    let window = Window {
        kernel: g.kernel,
        stride: g.stride,
        dilation: g.dilation,
        pad_before: before,
        pad_after: after,
    };
    let depth = channels / groups;
    let mut parts = Vec::with_capacity(groups);
    for group in 0..groups {
        let (name, part) = match groups {
            1 => (l.name.clone(), image),
            _ => {
                let op = Op::Slice(Slice {
                    begin: vec![0, 0, 0, group * depth],
                    size: vec![l.net.b.shape(image)[0], size[0], size[1], depth],
                    stride: vec![1; 4],
                });
                let name = l.part(&format!("group_{group}"));
                (name.clone(), l.net.b.op(&format!("{name}/slice"), op, &[image])?)
            }
        };
        let [_, outputs, kh, kw] = [0, 1, 2, 3].map(|d| filter.shape[d]);
        let own = filter.sliced(&[group * depth, 0, 0, 0], &[depth, outputs, kh, kw], &[1; 4]);
        let own = l.net.constant(&own.transposed(&[1, 2, 3, 0]))?;
        let bias = match &bias {
            None => None,
            Some(Slot::Known(known)) if groups > 1 && known.elements.len() == outputs * groups => {
                Some(l.net.constant(&known.sliced(&[group * outputs], &[outputs], &[1]))?)
            }
            Some(slot) => Some(l.net.bias(slot)?),
        };
        parts.push(l.net.b.transpose_conv(&name, part, own, bias, window, out)?);
    }
    let y = l.net.b.concat(&l.name, &parts, 3)?;
    one(l.as_in_file(y, rank)?)
}
