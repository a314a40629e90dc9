//! Normalizations. With known statistics, they are a product and a sum, which the passes fold into the layer
//! before; otherwise they are computed by their definition, step by step.

use super::layer::{Layer, Translation, axis, one};
use super::net::Slot;
use crate::graph::{BinaryKind, ReduceKind, UnaryKind, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// A shape of `rank` dimensions that is 1 except for the channels, dimension 1.
fn channels_shape(rank: usize, channels: usize) -> Vec<usize> {
    let mut shape = vec![1; rank.max(2)];
    shape[1] = channels;
    shape
}

/// BatchNormalization at inference time: input, scale, bias, mean, variance.
pub(super) fn batch(l: &mut Layer<'_>) -> Translation {
    // In operator sets 7 to 13, a node with more than one result is in training mode, whether the results are
    // read or not.
    let training = match l.opset() {
        ..7 => l.int("is_test", 1) == 0,
        7..14 => (1..5).any(|position| l.is_named(position)),
        14.. => l.int("training_mode", 0) != 0,
    };
    if training || (1..5).any(|position| l.is_used(position)) {
        return unsupported("it is in training mode; export the model for inference");
    }
    l.assume_inference();
    if l.int("spatial", 1) == 0 {
        return unsupported("spatial 0: statistics for each element");
    }
    let x = l.value(0)?;
    let mut parameters = Vec::with_capacity(4);
    for (position, what) in [(1, "scale"), (2, "bias"), (3, "mean"), (4, "variance")] {
        parameters.push(l.require(position, what)?.to_floats());
    }
    let [gamma, beta, mean, variance] = parameters.as_slice() else { return unsupported("operands") };
    let shape = l.shape(0)?;
    let channels = shape.get(1).copied().unwrap_or(0);
    if parameters.iter().any(|p| p.len() != channels) {
        let lengths: Vec<usize> = parameters.iter().map(Vec::len).collect();
        return Err(Refusal::Broken(damaged(format!(
            "parameters of {lengths:?} elements for an input of shape {shape:?}"
        ))));
    }
    let epsilon = f64::from(l.float("epsilon", 1e-5));
    let factor = |c: usize| f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt();
    let scale: Vec<f32> = (0..channels).map(|c| factor(c) as f32).collect();
    let shift = (0..channels).map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * factor(c)) as f32).collect();
    let wide = channels_shape(shape.len(), channels);
    let scale = l.floats("scale", &wide, scale)?;
    let shift = l.floats("shift", &wide, shift)?;
    let name = l.part("mul");
    let scaled = l.net.b.binary(&name, BinaryKind::Mul, x, scale)?;
    let y = l.net.b.binary(&l.name, BinaryKind::Add, scaled, shift)?;
    let mut results = vec![Slot::Computed(y)];
    results.resize(l.node.output.len().max(1), Slot::Unknown);
    Ok(results)
}

/// A known operand in a shape that broadcasts to the input.
fn parameter(l: &mut Layer<'_>, position: usize, shape: &[usize]) -> Result<Option<ValueId>, Refusal> {
    if !l.is_given(position) {
        return Ok(None);
    }
    let known = l.require(position, "scale or bias")?;
    if known.elements.len() != shape.iter().product::<usize>() {
        let text = format!("a parameter of shape {:?}, expected {shape:?}", known.shape);
        return Err(Refusal::Broken(damaged(text)));
    }
    let known = known.reshaped(shape);
    Ok(Some(l.net.constant(&known)?))
}

/// InstanceNormalization: input, scale, bias. Statistics are computed over the image of each channel.
pub(super) fn instance(l: &mut Layer<'_>) -> Translation {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let wide = channels_shape(shape.len(), shape.get(1).copied().unwrap_or(0));
    let (gamma, beta) = (parameter(l, 1, &wide)?, parameter(l, 2, &wide)?);
    let axes: Vec<usize> = (2..shape.len()).collect();
    one(l.net.b.normalize(&l.name, x, &axes, l.float("epsilon", 1e-5), gamma, beta)?)
}

/// LayerNormalization: input, scale, optional bias. Statistics are computed over the dimensions from `axis`
/// on.
pub(super) fn layer(l: &mut Layer<'_>) -> Translation {
    if l.is_used(1) || l.is_used(2) {
        return unsupported("its mean or deviation is read");
    }
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let first = axis(l.int("axis", -1), shape.len())?;
    let axes: Vec<usize> = (first..shape.len()).collect();
    let (gamma, beta) = (affine(l, 1)?, affine(l, 2)?);
    let y = l.net.b.normalize(&l.name, x, &axes, l.float("epsilon", 1e-5), gamma, beta)?;
    let mut results = vec![Slot::Computed(y)];
    results.resize(l.node.output.len().max(1), Slot::Unknown);
    Ok(results)
}

/// An operand that broadcasts as it is.
fn affine(l: &mut Layer<'_>, position: usize) -> Result<Option<ValueId>, Refusal> {
    if l.is_given(position) { Ok(Some(l.value(position)?)) } else { Ok(None) }
}

/// RMSNormalization: `x / sqrt(mean(x * x) + epsilon) * scale`.
pub(super) fn root_mean_square(l: &mut Layer<'_>) -> Translation {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let first = axis(l.int("axis", -1), shape.len())?;
    let axes: Vec<usize> = (first..shape.len()).collect();
    let scale = affine(l, 1)?;
    let [square, mean, epsilon, inverse, normal] =
        ["square", "mean", "add_epsilon", "rsqrt", "normalized"].map(|word| l.part(word));
    let y = l.net.b.unary(&square, UnaryKind::Square, x)?;
    let y = l.net.b.reduce(&mean, ReduceKind::Mean, y, &axes, true)?;
    let y = l.net.b.binary_scalar(&epsilon, BinaryKind::Add, y, l.float("epsilon", 1e-5))?;
    let y = l.net.b.unary(&inverse, UnaryKind::Rsqrt, y)?;
    let name = if scale.is_some() { normal } else { l.name.clone() };
    let y = l.net.b.binary(&name, BinaryKind::Mul, x, y)?;
    one(match scale {
        Some(scale) => l.net.b.binary(&l.name, BinaryKind::Mul, y, scale)?,
        None => y,
    })
}

/// GroupNormalization: input, scale, bias. Statistics are computed over groups of channels with their images.
pub(super) fn group(l: &mut Layer<'_>) -> Translation {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let channels = shape.get(1).copied().unwrap_or(0);
    let groups = usize::try_from(l.int("num_groups", 1)).unwrap_or(0);
    if groups == 0 || channels == 0 || channels % groups != 0 {
        return Err(Refusal::Broken(damaged(format!("{groups} groups of {channels} channels"))));
    }
    let rest: usize = shape[1..].iter().product();
    let [flat, normal, back] = ["groups", "normalized", "channels"].map(|word| l.part(word));
    let y = l.net.b.reshape(&flat, x, &[shape[0], groups, rest / groups])?;
    let y = l.net.b.normalize(&normal, y, &[2], l.float("epsilon", 1e-5), None, None)?;
    let mut y = l.net.b.reshape(&back, y, &shape)?;
    // Older files have one scale for each group.
    for (position, kind, word) in [(1, BinaryKind::Mul, "mul_gamma"), (2, BinaryKind::Add, "add_beta")] {
        let known = l.require(position, "scale or bias")?;
        let values = known.to_floats();
        let each = channels / values.len().max(1);
        if each * values.len() != channels {
            return Err(Refusal::Broken(damaged(format!("{} scales for {channels} channels", values.len()))));
        }
        let values: Vec<f32> = values.iter().flat_map(|&x| std::iter::repeat_n(x, each)).collect();
        let constant = l.floats(&format!("{word}/value"), &channels_shape(shape.len(), channels), values)?;
        let name = if position == 2 { l.name.clone() } else { l.part(word) };
        y = l.net.b.binary(&name, kind, y, constant)?;
    }
    one(y)
}

/// MeanVarianceNormalization over `axes`.
pub(super) fn mean_variance(l: &mut Layer<'_>) -> Translation {
    let (x, rank) = (l.value(0)?, l.shape(0)?.len());
    let axes = super::layer::axes(&l.int_list("axes").unwrap_or(vec![0, 2, 3]), rank)?;
    one(l.net.b.normalize(&l.name, x, &axes, 1e-9, None, None)?)
}

/// LpNormalization: the input divided by its L1 or L2 norm along an axis.
pub(super) fn lp(l: &mut Layer<'_>) -> Translation {
    let (x, rank) = (l.value(0)?, l.shape(0)?.len());
    let place = axis(l.int("axis", -1), rank)?;
    one(by_norm(l, x, place, l.int("p", 2) == 1)?)
}

/// A value divided by its norm along an axis.
pub(super) fn by_norm(l: &mut Layer<'_>, x: ValueId, axis: usize, first: bool) -> Result<ValueId, Refusal> {
    let [each, sum, inverse] = ["each", "sum", "inverse"].map(|word| l.part(word));
    let kind = if first { UnaryKind::Abs } else { UnaryKind::Square };
    let y = l.net.b.unary(&each, kind, x)?;
    let y = l.net.b.reduce(&sum, ReduceKind::Sum, y, &[axis], true)?;
    // A vector of zeros has no direction, so it stays as it is.
    let kind = if first { UnaryKind::ReciprocalOrZero } else { UnaryKind::RsqrtOrZero };
    let y = l.net.b.unary(&inverse, kind, y)?;
    Ok(l.net.b.binary(&l.name, BinaryKind::Mul, x, y)?)
}
