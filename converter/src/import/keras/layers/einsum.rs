//! EinsumDense: a dense layer whose equation states the dimensions that it sums over. The operand is
//! transposed and merged so that these are its last dimension, and the result is split again.
//!
//! Source: `layers/core/einsum_dense.py` of Keras 3.15.

use super::context::Context;
use crate::error::Result;
use crate::graph::BinaryKind;
use crate::import::keras::run::Translation;
use crate::import::refusal::{Refusal, unsupported};

/// The labels of the input, of the kernel and of the result.
struct Equation {
    input: Vec<char>,
    kernel: Vec<char>,
    result: Vec<char>,
}

/// Parses `ab,bc->ac`, where `...` stands for all dimensions of the input that are not named.
fn parse(text: &str, rank: usize) -> Option<Equation> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (operands, result) = text.split_once("->")?;
    let (input, kernel) = operands.split_once(',')?;
    let elided = match input.split_once("...") {
        Some((before, after)) => rank.checked_sub(before.len() + after.len())?,
        None => 0,
    };
    // Authors do not use digits as labels.
    let dots: String = (0..elided).map(|i| char::from_digit(i as u32, 10)).collect::<Option<_>>()?;
    let labels = |part: &str| -> Option<Vec<char>> {
        let part: Vec<char> = part.replace("...", &dots).chars().collect();
        let sound = |(i, c): (usize, &char)| c.is_ascii_alphanumeric() && !part[..i].contains(c);
        part.iter().enumerate().all(sound).then_some(part)
    };
    let equation = Equation { input: labels(input)?, kernel: labels(kernel)?, result: labels(result)? };
    (equation.input.len() == rank).then_some(equation)
}

/// Builds the layer.
pub fn dense(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let text = context.config().str_or("equation", "")?.to_owned();
    let refused = || Refusal::Unsupported(format!("the equation `{text}`: {}", super::context::ROAD));
    let equation = parse(&text, shape.len()).ok_or_else(refused)?;
    let Equation { input, kernel, result } = &equation;
    let given: Vec<Option<usize>> = match context.config().get("output_shape") {
        Some(value) => match crate::import::keras::config::items(value) {
            Some(list) => list.iter().map(crate::import::keras::config::size).collect(),
            None => vec![crate::import::keras::config::size(value)],
        },
        None => Vec::new(),
    };
    // The layer's `output_shape` does not contain the batch; with an ellipsis it may contain the last
    // dimensions only.
    let size = |label: &char| -> Option<usize> {
        if let Some(place) = input.iter().position(|l| l == label) {
            return shape.get(place).copied();
        }
        let behind = result.len() - result.iter().position(|l| l == label)?;
        given.get(given.len().checked_sub(behind)?).copied().flatten()
    };
    let sizes = |labels: &[char]| labels.iter().map(size).collect::<Option<Vec<usize>>>();
    let broken = || context.broken(format!("the equation `{text}` for an input of shape {shape:?}"));
    let (kernel_shape, result_shape) = (sizes(kernel).ok_or_else(broken)?, sizes(result).ok_or_else(broken)?);
    let pick = |labels: &[char], keep: &dyn Fn(&char) -> bool| -> Vec<char> {
        labels.iter().copied().filter(|l| keep(l)).collect()
    };
    let free = pick(input, &|l| !kernel.contains(l));
    let contracted = pick(input, &|l| kernel.contains(l) && !result.contains(l));
    let new = pick(kernel, &|l| !input.contains(l));
    let whole = [free.as_slice(), &new].concat();
    let same = whole.len() == result.len() && result.iter().all(|l| whole.contains(l));
    if contracted.is_empty() || !same {
        return Err(refused());
    }
    let place = |labels: &[char], l: &char| labels.iter().position(|m| m == l).unwrap_or_default();
    let order = |from: &[char], to: &[char]| to.iter().map(|l| place(from, l)).collect::<Vec<usize>>();
    let product = |labels: &[char]| labels.iter().filter_map(size).product::<usize>();

    let (rows, columns) = (product(&new), product(&contracted));
    let weights = order(kernel, &[new.as_slice(), &contracted].concat());
    let weights = context.permuted("kernel", &kernel_shape, &weights, &[rows, columns])?;
    let (bias_labels, bias_shape) = bias(context, &equation, &sizes)?;
    // A bias over exactly the dimensions that the kernel adds, in their order, is the bias of a dense layer.
    let within = !new.is_empty() && bias_labels == new && result.ends_with(&new);
    let inner = match within && context.has("bias") {
        true => Some(context.permuted(
            "bias",
            &bias_shape,
            &(0..bias_shape.len()).collect::<Vec<_>>(),
            &[rows],
        )?),
        false => None,
    };
    let name = context.before_activation("dense");
    let part = |word: &str| format!("{}/{word}", context.name);
    let moved = order(input, &[free.as_slice(), &contracted].concat());
    let (transposed, merged, apart) = (part("transpose"), part("merged"), part("apart"));
    let builder = &mut context.run.builder;
    let left = builder.transpose(&transposed, x, &moved)?;
    let mut left_shape: Vec<usize> = free.iter().filter_map(size).collect();
    left_shape.push(columns);
    let left = builder.reshape(&merged, left, &left_shape)?;
    let y = builder.dense(&name, left, weights, inner)?;
    let whole_shape: Vec<usize> = whole.iter().filter_map(size).collect();
    let y = builder.reshape(&apart, y, &whole_shape)?;
    let mut y = builder.transpose(&part("ordered"), y, &order(&whole, result))?;
    debug_assert_eq!(context.run.builder.shape(y), result_shape);
    if inner.is_none() && context.has("bias") {
        let bias = context.variable("bias", &bias_shape)?;
        y = context.run.builder.binary(&context.part("bias_add"), BinaryKind::Add, y, bias)?;
    }
    let y = context.activate(y)?;
    context.run.builder.name_last(context.name, y);
    Ok(vec![y])
}

/// The labels of the bias, and its shape: the result's dimensions, starting with the first one that the bias
/// has, with 1 for those that it does not have.
fn bias(
    context: &Context,
    equation: &Equation,
    sizes: &dyn Fn(&[char]) -> Option<Vec<usize>>,
) -> Result<(Vec<char>, Vec<usize>), Refusal> {
    let axes: Vec<char> = context.config().str_or("bias_axes", "")?.chars().collect();
    let Some(first) = equation.result.iter().position(|l| axes.contains(l)) else {
        return if axes.is_empty() {
            Ok(Default::default())
        } else {
            unsupported("a bias over no dimension")
        };
    };
    let labels = &equation.result[first..];
    let all = sizes(labels).unwrap_or_default();
    let shape = labels.iter().zip(all).map(|(l, size)| if axes.contains(l) { size } else { 1 }).collect();
    Ok((if labels.iter().all(|l| axes.contains(l)) { labels.to_vec() } else { Vec::new() }, shape))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dots_stand_for_the_other_dimensions() {
        let equation = parse("...x, xy -> ...y", 3).unwrap();
        assert_eq!(equation.input, ['0', '1', 'x']);
        assert_eq!(equation.result, ['0', '1', 'y']);
        assert!(parse("ab,bc->ac", 3).is_none() && parse("aa,ab->b", 2).is_none());
    }
}
