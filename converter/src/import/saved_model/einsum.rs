//! Einsum of two operands, as Keras's EinsumDense and attention use it: they are transposed and reshaped so that it becomes
//! a batch of matrix products. Einsum of one operand is a sum and a transpose.
//!
//! ```text
//! a[batch…, free a…, contracted…] · b[batch…, contracted…, free b…] = [batch…, free a…, free b…]
//! ```

use super::evaluate::Evaluator;
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation};
use crate::graph::{BatchMatMul, Op, ReduceKind, ValueId};
use crate::import::refusal::Refusal;

/// The labels of the operands and of the result.
struct Equation {
    a: Vec<char>,
    b: Vec<char>,
    result: Vec<char>,
}

/// Parses an equation. `ranks` are those of the operands; `...` stands for the dimensions that are not named.
fn parse(text: &str, ranks: [usize; 2]) -> Option<Equation> {
    let mut text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut operands = text.split("->").next()?.split(',').zip(ranks);
    if let Some((part, rank)) = operands.find(|(part, _)| part.contains("...")) {
        let elided = rank.checked_sub(part.len() - 3)?;
        // Authors do not use digits as labels.
        let dots: Option<String> = (0..elided).map(|i| char::from_digit(i as u32, 10)).collect();
        text = text.replace("...", &dots?);
    }
    let (operands, result) = text.split_once("->")?;
    let (a, b) = operands.split_once(',')?;
    let labels = |part: &str| -> Option<Vec<char>> {
        let labels: Vec<char> = part.chars().collect();
        let distinct =
            labels.iter().enumerate().all(|(i, c)| c.is_ascii_alphanumeric() && !labels[..i].contains(c));
        distinct.then_some(labels)
    };
    Some(Equation { a: labels(a)?, b: labels(b)?, result: labels(result)? })
}

/// An operand as a matrix or a batch of matrices.
struct Side {
    order: Vec<char>,
    groups: [usize; 3],
}

/// Einsum of one operand: sums over the dimensions that the result lacks, and the others in its order.
fn alone(e: &mut Evaluator<'_>, layer: &Layer<'_>, text: &str) -> Translation {
    let Some(shape) = e.shape(layer.input(0)?) else {
        return Err("an operand that is not an array of numbers".into());
    };
    // The second operand is a number.
    let parsed =
        text.split_once("->").and_then(|(a, result)| parse(&format!("{a},->{result}"), [shape.len(), 0]));
    let Some(Equation { a, result, .. }) = parsed.filter(|equation| equation.a.len() == shape.len()) else {
        return Err(format!("the equation `{text}` of one operand").into());
    };
    let mut x = e.value(layer.input(0)?)?;
    let summed: Vec<usize> = (0..a.len()).filter(|&at| !result.contains(&a[at])).collect();
    if !summed.is_empty() {
        x = e.builder.reduce(&format!("{}/sum", layer.name), ReduceKind::Sum, x, &summed, false)?;
    }
    let left: Vec<char> = a.into_iter().filter(|label| result.contains(label)).collect();
    let order: Option<Vec<usize>> = result.iter().map(|l| left.iter().position(|m| m == l)).collect();
    let order = order.filter(|o| o.len() == left.len()).ok_or_else(|| Refusal::from(format!("`{text}`")))?;
    let x = e.builder.transpose(&format!("{}/ordered", layer.name), x, &order)?;
    Ok(vec![Tensor::Value(x)])
}

pub(super) fn einsum(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let text = layer.node.text("equation").unwrap_or_default();
    if layer.inputs.len() == 1 {
        return alone(e, layer, text);
    }
    let [Some(a_shape), Some(b_shape)] = [e.shape(layer.input(0)?), e.shape(layer.input(1)?)] else {
        return Err("an operand that is not an array of numbers".into());
    };
    let Some(equation) = parse(text, [a_shape.len(), b_shape.len()]) else {
        return Err(format!("the equation `{text}`").into());
    };
    if a_shape.len() != equation.a.len() || b_shape.len() != equation.b.len() {
        return Err(format!("`{text}` of operands {a_shape:?} and {b_shape:?}").into());
    }
    let size = |label: &char| {
        let at = |labels: &[char], shape: &[usize]| labels.iter().position(|l| l == label).map(|i| shape[i]);
        at(&equation.a, &a_shape).or_else(|| at(&equation.b, &b_shape)).unwrap_or(1)
    };
    let sizes = |labels: &[char]| labels.iter().map(size).collect::<Vec<usize>>();
    let product = |labels: &[char]| labels.iter().map(size).product::<usize>();

    let in_b = |l: &&char| equation.b.contains(l);
    let kept = |l: &&char| equation.result.contains(l);
    let pick = |labels: &[char], keep: &dyn Fn(&char) -> bool| -> Vec<char> {
        labels.iter().copied().filter(|l| keep(l)).collect()
    };
    let batch = pick(&equation.a, &|l| in_b(&l) && kept(&l));
    let contracted = pick(&equation.a, &|l| in_b(&l) && !kept(&l));
    let free_a = pick(&equation.a, &|l| !in_b(&l));
    let free_b = pick(&equation.b, &|l| !equation.a.contains(l));
    if free_a.iter().chain(&free_b).any(|l| !kept(&l)) {
        return Err(format!("the equation `{text}`, which sums over a dimension of one operand").into());
    }
    let groups = |x: &[char], y: &[char], z: &[char]| [product(x), product(y), product(z)];
    let a = Side {
        order: [batch.as_slice(), &free_a, &contracted].concat(),
        groups: groups(&batch, &free_a, &contracted),
    };
    let whole: Vec<char> = [batch.as_slice(), &free_a, &free_b].concat();

    let left = e.value(layer.input(0)?)?;
    let left = arrange(e, &format!("{}/left", layer.name), left, &equation.a, &a)?;
    let multiplied = match layer.input(1)? {
        Tensor::Known(known) if batch.is_empty() => {
            // The second operand is known: a dense layer over rows.
            let order: Vec<usize> = [free_b.as_slice(), &contracted]
                .concat()
                .iter()
                .filter_map(|l| equation.b.iter().position(|m| m == l))
                .collect();
            let shape = vec![product(&free_b), product(&contracted)];
            let weights = e.constant(known, "einsum weights", |k| k.transposed(&order).reshaped(shape))?;
            let rows = e.builder.reshape(&format!("{}/rows", layer.name), left, &a.groups[1..])?;
            e.builder.dense(&format!("{}/dense", layer.name), rows, weights, None)?
        }
        other => {
            let b = Side {
                order: [batch.as_slice(), &contracted, &free_b].concat(),
                groups: groups(&batch, &contracted, &free_b),
            };
            let right = e.value(other)?;
            let right = arrange(e, &format!("{}/right", layer.name), right, &equation.b, &b)?;
            let op = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false });
            e.builder.op(&format!("{}/matmul", layer.name), op, &[left, right])?
        }
    };
    let shaped = e.builder.reshape(&format!("{}/shaped", layer.name), multiplied, &sizes(&whole))?;
    let order: Option<Vec<usize>> =
        equation.result.iter().map(|l| whole.iter().position(|m| m == l)).collect();
    let order = order.filter(|o| o.len() == whole.len()).ok_or_else(|| Refusal::from(format!("`{text}`")))?;
    let result = e.builder.transpose(&format!("{}/ordered", layer.name), shaped, &order)?;
    e.builder.name_last(&layer.name, result);
    Ok(vec![Tensor::Value(result)])
}

/// An operand with its dimensions in the order of `side` and merged into its groups.
fn arrange(
    e: &mut Evaluator<'_>,
    name: &str,
    x: ValueId,
    labels: &[char],
    side: &Side,
) -> Result<ValueId, Refusal> {
    let order: Vec<usize> = side.order.iter().filter_map(|l| labels.iter().position(|m| m == l)).collect();
    let moved = e.builder.transpose(&format!("{name}/transpose"), x, &order)?;
    Ok(e.builder.reshape(name, moved, &side.groups)?)
}
