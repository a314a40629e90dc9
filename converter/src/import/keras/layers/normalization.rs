//! Normalization layers: batch norms, which the passes fold into their neighbours, and others, which are
//! computed at run time.

use super::context::{Context, one};
use crate::error::Result;
use crate::graph::{BinaryKind, ReduceKind, UnaryKind, ValueId};
use crate::import::build::BatchNorm;
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;

/// Batch norm; at inference it is a factor and an offset for each channel.
pub fn batch(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let &[axis] = context.axes(shape.len(), -1)?.as_slice() else {
        return unsupported("a batch norm over several axes");
    };
    if context.config().bool_or("renorm", false)? {
        return unsupported("batch renormalization");
    }
    let channels = shape[axis];
    let read = |name: &str, default: f32| -> Result<Vec<f32>> {
        if context.has(name) {
            context.run.variable(context.layer, name, &[channels])
        } else {
            Ok(vec![default; channels])
        }
    };
    let (mean, variance) = (read("moving_mean", 0.0)?, read("moving_variance", 1.0)?);
    let (gamma, beta) = (read("gamma", 1.0)?, read("beta", 0.0)?);
    let epsilon = context.config().f32_or("epsilon", 1e-3)?;
    let norm = BatchNorm { gamma, beta, mean, variance, epsilon };
    let name = context.name;
    let last = axis + 1 == shape.len();
    if last && !context.run.is_channels_first(x) {
        return one(context
            .run
            .as_it_lies(name, &[x], &mut |run, operands| run.builder.batch_norm(name, operands[0], &norm)));
    }
    if axis == 1 {
        let x = context.run.channels_last(name, x)?;
        let y = context
            .run
            .as_it_lies(name, &[x], &mut |run, operands| run.builder.batch_norm(name, operands[0], &norm))?;
        return one(context.run.channels_first(name, y));
    }
    unsupported(format!("a batch norm over axis {axis} of {} dimensions", shape.len()))
}

impl Context<'_, '_> {
    /// A variable with one element for each index of some axes, in a shape that broadcasts.
    fn over_axes(&mut self, name: &str, shape: &[usize], axes: &[usize]) -> Result<Option<ValueId>> {
        if !self.has(name) {
            return Ok(None);
        }
        let stored: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted != axes {
            return Err(self.broken("its axes are not in ascending order"));
        }
        let first = axes.first().copied().unwrap_or(0);
        let target: Vec<usize> =
            (first..shape.len()).map(|d| if axes.contains(&d) { shape[d] } else { 1 }).collect();
        let order: Vec<usize> = (0..stored.len()).collect();
        self.permuted(name, &stored, &order, &target).map(Some)
    }
}

/// Layer norm: mean and variance are computed over the given axes.
pub fn layer(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axes = context.axes(shape.len(), -1)?;
    let epsilon = context.config().f32_or("epsilon", 1e-3)?;
    let gamma = context.over_axes("gamma", &shape, &axes)?;
    if context.config().bool_or("rms_scaling", false)? {
        // Keras computes `x * rsqrt(variance + epsilon) * gamma`, with the variance around the mean.
        let part = |word: &str| format!("{}/{word}", context.name);
        let builder = &mut context.run.builder;
        let mean = builder.reduce(&part("mean"), ReduceKind::Mean, x, &axes, true)?;
        let squares = builder.binary(&part("squared_difference"), BinaryKind::SquaredDifference, x, mean)?;
        let variance = builder.reduce(&part("variance"), ReduceKind::Mean, squares, &axes, true)?;
        return one(scaled_by_root(context, x, variance, epsilon, gamma));
    }
    let beta = context.over_axes("beta", &shape, &axes)?;
    one(context.run.builder.normalize(context.name, x, &axes, epsilon, gamma, beta))
}

/// `x * rsqrt(power + epsilon) * gamma`.
fn scaled_by_root(
    context: &mut Context,
    x: ValueId,
    power: ValueId,
    epsilon: f32,
    gamma: Option<ValueId>,
) -> Result<ValueId> {
    let part = |word: &str| format!("{}/{word}", context.name);
    let builder = &mut context.run.builder;
    let stable = builder.binary_scalar(&part("add_epsilon"), BinaryKind::Add, power, epsilon)?;
    let inverse = builder.unary(&part("rsqrt"), UnaryKind::Rsqrt, stable)?;
    match gamma {
        None => builder.binary(context.name, BinaryKind::Mul, x, inverse),
        Some(gamma) => {
            let y = builder.binary(&part("normalized"), BinaryKind::Mul, x, inverse)?;
            builder.binary(context.name, BinaryKind::Mul, y, gamma)
        }
    }
}

/// Root mean square norm.
pub fn rms(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axes = context.axes(shape.len(), -1)?;
    let epsilon = context.config().f32_or("epsilon", 1e-6)?;
    let gamma = context.over_axes("scale", &shape, &axes)?;
    let squares = context.run.builder.unary(&context.part("square"), UnaryKind::Square, x)?;
    let name = context.part("mean");
    let power = context.run.builder.reduce(&name, ReduceKind::Mean, squares, &axes, true)?;
    one(scaled_by_root(context, x, power, epsilon, gamma))
}

/// Division by the Euclidean length.
pub fn unit(context: &mut Context) -> Translation {
    let x = context.input()?;
    let axes = context.axes(context.shape(x).len(), -1)?;
    one(context.unit_length(context.name, x, &axes))
}

impl Context<'_, '_> {
    /// `x / max(|x|, 1e-12)` over some axes.
    pub(super) fn unit_length(&mut self, name: &str, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        let builder = &mut self.run.builder;
        let squares = builder.unary(&format!("{name}/square"), UnaryKind::Square, x)?;
        let power = builder.reduce(&format!("{name}/sum"), ReduceKind::Sum, squares, axes, true)?;
        let power = builder.binary_scalar(&format!("{name}/maximum"), BinaryKind::Maximum, power, 1e-24)?;
        let inverse = builder.unary(&format!("{name}/rsqrt"), UnaryKind::Rsqrt, power)?;
        builder.binary(name, BinaryKind::Mul, x, inverse)
    }
}

/// Group norm: mean and variance are computed over the image and the channels of a group.
pub fn group(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    if context.axes(shape.len(), -1)? != [shape.len() - 1] {
        return unsupported("a group norm with channels first");
    }
    let channels = shape[shape.len() - 1];
    let groups = match context.config().integers("groups")?.as_deref() {
        Some(&[-1]) => channels,
        _ => context.config().usize_or("groups", 32)?,
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(context.broken(format!("{groups} groups of {channels} channels")).into());
    }
    let epsilon = context.config().f32_or("epsilon", 1e-3)?;
    let pixels: usize = shape[1..shape.len() - 1].iter().product();
    let grouped = [shape[0], pixels, groups, channels / groups];
    let within = |context: &mut Context, name: &str| -> Result<Option<ValueId>> {
        if !context.has(name) {
            return Ok(None);
        }
        context.permuted(name, &[channels], &[0], &[groups, channels / groups]).map(Some)
    };
    let (gamma, beta) = (within(context, "gamma")?, within(context, "beta")?);
    let y = context.run.builder.reshape(&context.part("groups"), x, &grouped)?;
    let name = context.part("norm");
    let y = context.run.builder.normalize(&name, y, &[1, 3], epsilon, gamma, beta)?;
    one(context.run.builder.reshape(context.name, y, &shape))
}

/// `x * scale + offset`, with numbers of the configuration.
pub fn rescaling(context: &mut Context) -> Translation {
    let x = context.input()?;
    let scale = context.config().numbers("scale")?.unwrap_or_else(|| vec![1.0]);
    let offset = context.config().numbers("offset")?.unwrap_or_else(|| vec![0.0]);
    one(affine(context, x, scale, offset))
}

fn affine(context: &mut Context, x: ValueId, scale: Vec<f32>, offset: Vec<f32>) -> Result<ValueId> {
    let (name, product) = (context.name, context.part("mul"));
    let builder = &mut context.run.builder;
    let scale = builder.float(&format!("{name}/scale"), &[scale.len()], scale)?;
    if offset.iter().all(|&x| x == 0.0) {
        return builder.binary(name, BinaryKind::Mul, x, scale);
    }
    let offset = builder.float(&format!("{name}/offset"), &[offset.len()], offset)?;
    let scaled = builder.binary(&product, BinaryKind::Mul, x, scale)?;
    builder.binary(name, BinaryKind::Add, scaled, offset)
}

/// `(x - mean) / sqrt(variance)`, or the inverse.
pub fn normalization(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    // Without an axis there is one mean and one variance.
    let axes = match context.config().get("axis") {
        None => Vec::new(),
        Some(_) => context.axes(shape.len(), -1)?,
    };
    let channels = match axes[..] {
        [] => 1,
        [axis] if axis + 1 == shape.len() => shape[axis],
        _ => return unsupported("a normalization over other axes than the last"),
    };
    let read = |name: &str| -> Result<Vec<f32>> {
        let mut numbers = match context.config().numbers(name)? {
            Some(numbers) => numbers,
            None => {
                let stored: Vec<usize> = axes.iter().map(|_| channels).collect();
                context.run.variable(context.layer, name, &stored)?
            }
        };
        if numbers.len() == 1 {
            numbers = vec![numbers[0]; channels];
        }
        match numbers.len() == channels {
            true => Ok(numbers),
            false => Err(context.broken(format!("`{name}` of {} elements for {channels}", numbers.len()))),
        }
    };
    let (mean, variance) = (read("mean")?, read("variance")?);
    let deviation: Vec<f32> = variance.iter().map(|v| v.sqrt().max(1e-7)).collect();
    if context.config().bool_or("invert", false)? {
        return one(affine(context, x, deviation, mean));
    }
    let offset = mean.iter().zip(&deviation).map(|(m, d)| -m / d).collect();
    one(affine(context, x, deviation.iter().map(|d| 1.0 / d).collect(), offset))
}
