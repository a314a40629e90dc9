//! Layers with several operands.

use super::context::{Context, one};
use crate::error::Result;
use crate::graph::{BatchMatMul, BinaryKind, Op, ReduceKind, ValueId};
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;

/// Add, Subtract, Multiply, Average, Maximum, Minimum.
pub fn elementwise(context: &mut Context) -> Translation {
    let kind = match context.layer.class.as_str() {
        "Subtract" => BinaryKind::Sub,
        "Multiply" => BinaryKind::Mul,
        "Maximum" => BinaryKind::Maximum,
        "Minimum" => BinaryKind::Minimum,
        _ => BinaryKind::Add,
    };
    let operands = same_rank(context)?;
    if operands.len() == 1 {
        // In .h5 files, Keras 3 gives layers and operations the same names.
        return unsupported(
            "an operation of keras.ops, of which .h5 does not keep the numbers: save .keras, or a SavedModel",
        );
    }
    if operands.len() < 2 || (kind == BinaryKind::Sub && operands.len() != 2) {
        return Err(context.broken(format!("it is called with {} tensors", operands.len())).into());
    }
    let average = context.layer.class == "Average";
    let name = context.name;
    // Operands have the same layout only if they have the same shape.
    let alike = operands.windows(2).all(|pair| context.shape(pair[0]) == context.shape(pair[1]));
    let mut combine = |run: &mut crate::import::keras::run::Run, operands: &[ValueId]| -> Result<ValueId> {
        let count = operands.len();
        let mut sum = operands[0];
        for (place, &operand) in operands.iter().enumerate().skip(1) {
            let last = place + 1 == count && !average;
            let part = if last { name.to_owned() } else { format!("{name}/{place}") };
            sum = run.builder.binary(&part, kind, sum, operand)?;
        }
        if average {
            sum = run.builder.binary_scalar(name, BinaryKind::Mul, sum, 1.0 / count as f32)?;
        }
        Ok(sum)
    };
    if alike {
        one(context.run.as_it_lies(name, &operands, &mut combine))
    } else {
        one(combine(context.run, &operands))
    }
}

/// The operands; if one has fewer dimensions than others, dimensions of size 1 are inserted after the batch.
fn same_rank(context: &mut Context) -> Result<Vec<ValueId>> {
    let operands = context.inputs();
    let rank = operands.iter().map(|&x| context.shape(x).len()).max().unwrap_or(0);
    let mut result = Vec::new();
    for (place, x) in operands.into_iter().enumerate() {
        let mut shape = context.shape(x);
        while shape.len() < rank {
            shape.insert(1.min(shape.len()), 1);
        }
        result.push(context.run.builder.reshape(&context.part(&format!("reshape_{place}")), x, &shape)?);
    }
    Ok(result)
}

/// Concatenate.
pub fn concatenate(context: &mut Context) -> Translation {
    let operands = context.inputs();
    let rank = context.shape(context.input()?).len();
    let axis = match context.axes(rank, -1)?[..] {
        [axis] => axis,
        _ => return Err(context.broken("it has several axes").into()),
    };
    let name = context.name;
    // Along the last dimension, images and sequences do not differ.
    if axis + 1 == rank && !operands.iter().any(|&x| context.run.is_channels_first(x)) {
        return one(context.run.as_it_lies(name, &operands, &mut |run, operands| {
            let last = run.builder.shape(operands[0]).len() - 1;
            run.builder.concat(name, operands, last)
        }));
    }
    one(context.run.builder.concat(name, &operands, axis))
}

/// Dot: products of rows and columns.
pub fn dot(context: &mut Context) -> Translation {
    let &[mut a, mut b] = context.inputs().as_slice() else {
        return Err(context.broken("it takes two tensors").into());
    };
    let ranks = [context.shape(a).len(), context.shape(b).len()];
    let axes = context.config().integers("axes")?.unwrap_or_default();
    let (first, second) = match axes[..] {
        [one] => (one, one),
        [first, second] => (first, second),
        _ => return Err(context.broken("it has no axes").into()),
    };
    let axes = [context.axis(first, ranks[0])?, context.axis(second, ranks[1])?];
    if axes.contains(&0) {
        return unsupported("a product over the batch");
    }
    if context.config().bool_or("normalize", false)? {
        a = context.unit_length(&context.part("normalize_0"), a, &axes[..1])?;
        b = context.unit_length(&context.part("normalize_1"), b, &axes[1..])?;
    }
    let name = context.name;
    match ranks {
        [2, 2] => {
            let product = context.run.builder.binary(&context.part("mul"), BinaryKind::Mul, a, b)?;
            one(context.run.builder.reduce(name, ReduceKind::Sum, product, &[1], true))
        }
        [3, 3] => {
            let op = Op::BatchMatMul(BatchMatMul { transpose_a: axes[0] == 1, transpose_b: axes[1] == 2 });
            one(context.run.builder.op(name, op, &[a, b]))
        }
        _ => unsupported(format!("operands of {} and {} dimensions", ranks[0], ranks[1])),
    }
}
