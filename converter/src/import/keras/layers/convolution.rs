//! Dense layers and convolutions. Kernels are changed to the graph's layout: `[in, out]` becomes `[out, in]`,
//! `[h, w, in, out]` becomes `[out, h, w, in]`. `N` is the number of spatial dimensions.

use super::context::{Context, one};
use crate::error::Result;
use crate::graph::{Padding, ValueId, Window};
use crate::import::keras::run::Translation;
use crate::import::refusal::{Refusal, unsupported};

/// Dense, over the last dimension.
pub fn dense(context: &mut Context) -> Translation {
    let x = context.input()?;
    let units = context.config().usize("units")?;
    let inputs = context.shape(x).last().copied().unwrap_or(1);
    let weights = context.permuted("kernel", &[inputs, units], &[1, 0], &[units, inputs])?;
    let bias = context.bias(units)?;
    let name = context.before_activation("dense");
    let y = context.run.builder.dense(&name, x, weights, bias)?;
    Ok(vec![context.activate(y)?])
}

/// Two numbers for an image from the numbers for `N` dimensions; a sequence gets `fill` for the height.
fn over_image<const N: usize>(values: [usize; N], fill: usize) -> [usize; 2] {
    let mut both = [fill; 2];
    for (place, &value) in values.iter().rev().enumerate().take(2) {
        both[1 - place] = value;
    }
    both
}

impl Context<'_, '_> {
    /// The input as an image with channels last.
    pub(super) fn enter<const N: usize>(&mut self) -> Result<ValueId> {
        let mut x = self.input()?;
        if self.shape(x).len() != N + 2 {
            return Err(self.broken(format!("an input of shape {:?}", self.shape(x))));
        }
        if self.config().channels_first()? {
            x = self.run.channels_last(self.name, x)?;
        }
        if N == 1 { self.run.image(self.name, x) } else { Ok(x) }
    }

    /// Returns an image with channels last as the layer's result.
    pub(super) fn leave<const N: usize>(&mut self, mut y: ValueId) -> Result<ValueId> {
        if N == 1 {
            y = self.run.sequence(self.name, y)?;
        }
        if self.config().channels_first()? { self.run.channels_first(self.name, y) } else { Ok(y) }
    }

    /// Two whole numbers for an image, from the configuration.
    pub(super) fn pair<const N: usize>(&self, key: &str, default: usize) -> Result<[usize; 2]> {
        Ok(over_image(self.config().sizes::<N>(key, default)?, 1))
    }

    /// The window that the configuration describes, over an image.
    pub(super) fn window<const N: usize>(
        &self,
        image: ValueId,
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Result<Window, Refusal> {
        let &[_, h, w, _] = self.run.builder.shape(image) else {
            return Err(self.broken("its input is not an image").into());
        };
        let dilation = self.pair::<N>("dilation_rate", 1)?;
        let limit = 1 << 20;
        if [kernel, stride, dilation].iter().flatten().any(|&n| n == 0 || n > limit) {
            return Err(self.broken("kernel, stride or dilation is zero or far too large").into());
        }
        let padding = match self.config().str_or("padding", "valid")? {
            "valid" => Padding::Valid,
            "same" => Padding::Same,
            "causal" if N == 1 => Padding::Causal,
            other => return unsupported(format!("padding `{other}`")),
        };
        // Windows of a sequence do not extend along the height.
        let along_height = if N == 1 { Padding::Valid } else { padding };
        Ok(Window::over([h, w], kernel, stride, dilation, [along_height, padding]))
    }

    /// Applies the activation and returns the layer's result.
    fn finish<const N: usize>(&mut self, y: ValueId) -> Translation {
        let y = self.activate(y)?;
        one(self.leave::<N>(y))
    }
}

/// Shape of a kernel as Keras stores it; that of a sequence has no height.
fn stored<const N: usize>(kernel: [usize; 2], rest: [usize; 2]) -> Vec<usize> {
    [&kernel[2 - N.min(2)..], &rest[..]].concat()
}

/// Convolution.
pub fn conv<const N: usize>(context: &mut Context) -> Translation {
    let x = context.enter::<N>()?;
    let config = context.config();
    let (filters, groups) = (config.usize("filters")?, config.usize_or("groups", 1)?);
    let channels = context.shape(x)[3];
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(context.broken(format!("{groups} groups of {channels} channels")).into());
    }
    let (kernel, stride) = (context.pair::<N>("kernel_size", 1)?, context.pair::<N>("strides", 1)?);
    let window = context.window::<N>(x, kernel, stride)?;
    let filter = filter::<N>(context, "kernel", kernel, channels / groups, filters)?;
    let bias = context.bias(filters)?;
    let name = context.before_activation("conv");
    let y = context.run.builder.conv2d(&name, x, filter, bias, window)?;
    context.finish::<N>(y)
}

/// The filter `[out, h, w, in]` of a kernel `[h, w, in, out]`.
fn filter<const N: usize>(
    context: &mut Context,
    variable: &str,
    kernel: [usize; 2],
    depth: usize,
    filters: usize,
) -> Result<ValueId> {
    let shape = stored::<N>(kernel, [depth, filters]);
    let order: Vec<usize> = std::iter::once(N + 1).chain(0..=N).collect();
    context.permuted(variable, &shape, &order, &[filters, kernel[0], kernel[1], depth])
}

/// The depthwise part of a layer.
fn channelwise<const N: usize>(
    context: &mut Context,
    variable: &str,
    name: &str,
    bias: bool,
) -> Result<ValueId, Refusal> {
    let x = context.enter::<N>()?;
    let channels = context.shape(x)[3];
    let multiplier = context.config().usize_or("depth_multiplier", 1)?;
    let (kernel, stride) = (context.pair::<N>("kernel_size", 1)?, context.pair::<N>("strides", 1)?);
    let window = context.window::<N>(x, kernel, stride)?;
    let outputs = channels.checked_mul(multiplier).filter(|&n| n > 0);
    let outputs = outputs.ok_or_else(|| context.broken("it has no channels"))?;
    let shape = stored::<N>(kernel, [channels, multiplier]);
    let order: Vec<usize> = (0..N + 2).collect();
    let filter = context.permuted(variable, &shape, &order, &[1, kernel[0], kernel[1], outputs])?;
    let bias = if bias { context.bias(outputs)? } else { None };
    Ok(context.run.builder.depthwise_conv2d(name, x, filter, bias, window)?)
}

/// Depthwise convolution.
pub fn depthwise<const N: usize>(context: &mut Context) -> Translation {
    let name = context.before_activation("depthwise");
    let y = channelwise::<N>(context, "kernel", &name, true)?;
    context.finish::<N>(y)
}

/// Depthwise convolution, followed by a convolution over the channels.
pub fn separable<const N: usize>(context: &mut Context) -> Translation {
    let name = context.part("depthwise");
    let x = channelwise::<N>(context, "depthwise_kernel", &name, false)?;
    let (filters, channels) = (context.config().usize("filters")?, context.shape(x)[3]);
    let filter = filter::<N>(context, "pointwise_kernel", [1, 1], channels, filters)?;
    let bias = context.bias(filters)?;
    let image = [context.shape(x)[1], context.shape(x)[2]];
    let window = Window::over(image, [1, 1], [1, 1], [1, 1], [Padding::Valid; 2]);
    let name = context.before_activation("pointwise");
    let y = context.run.builder.conv2d(&name, x, filter, bias, window)?;
    context.finish::<N>(y)
}

/// Transposed convolution, with a kernel `[h, w, out, in]`.
pub fn transposed<const N: usize>(context: &mut Context) -> Translation {
    let x = context.enter::<N>()?;
    let (filters, input) = (context.config().usize("filters")?, context.shape(x));
    let (kernel, stride) = (context.pair::<N>("kernel_size", 1)?, context.pair::<N>("strides", 1)?);
    let geometry = context.window::<N>(x, kernel, stride)?;
    let same = match context.config().str_or("padding", "valid")? {
        "valid" => false,
        "same" => true,
        other => return unsupported(format!("padding `{other}`")),
    };
    let extra = match context.config().get("output_padding") {
        Some(_) => Some(over_image(context.config().sizes::<N>("output_padding", 0)?, 0)),
        None => None,
    };
    if N == 1 && extra.is_some_and(|[h, _]| h != 0) {
        return Err(context.broken("output padding along the height of a sequence").into());
    }
    let mut size = [0; 2];
    let mut window = Window { pad_before: [0; 2], pad_after: [0; 2], ..geometry };
    for d in 0..2 {
        let (n, s) = (input[1 + d], stride[d]);
        let reach = (kernel[d] - 1) * geometry.dilation[d] + 1;
        // As Keras's `deconv_output_length`.
        size[d] = match (extra, same) {
            (None, true) => n * s,
            (None, false) => n * s + reach.saturating_sub(s),
            (Some(extra), same) => {
                let cut = if same { 2 * (reach / 2) } else { 0 };
                ((n - 1) * s + reach + extra[d]).saturating_sub(cut)
            }
        };
        if same {
            let amounts = Padding::Same.amounts(size[d], kernel[d], s, geometry.dilation[d]);
            (window.pad_before[d], window.pad_after[d]) = amounts;
        }
    }
    if geometry.dilation != [1, 1] {
        return unsupported("a transposed convolution with dilation");
    }
    let shape = stored::<N>(kernel, [filters, input[3]]);
    let order: Vec<usize> = std::iter::once(N).chain(0..N).chain([N + 1]).collect();
    let filter = context.permuted("kernel", &shape, &order, &[filters, kernel[0], kernel[1], input[3]])?;
    let bias = context.bias(filters)?;
    let name = context.before_activation("conv_transpose");
    let y = context.run.builder.transpose_conv(&name, x, filter, bias, window, size)?;
    context.finish::<N>(y)
}
