//! Gemm and MatMul: a dense layer if the weights are known, else a product of activations.

use super::known::Known;
use super::layer::{Layer, Translation, one};
use super::net::Slot;
use crate::graph::{BatchMatMul, BinaryKind, Constant, Op, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Gemm: `alpha * A' * B' + beta * C`.
pub(super) fn gemm(l: &mut Layer<'_>) -> Translation {
    let (a, b) = (l.slot(0)?, l.slot(1)?);
    let c = l.inputs.get(2).cloned().flatten();
    one(gemm_of(l, &a, &b, c)?)
}

/// A Gemm of these operands with the layer's attributes.
pub(super) fn gemm_of(l: &mut Layer<'_>, a: &Slot, b: &Slot, c: Option<Slot>) -> Result<ValueId, Refusal> {
    let [trans_a, trans_b] = ["transA", "transB"].map(|name| l.int(name, 0) != 0);
    let (alpha, beta) = (l.float("alpha", 1.0), l.float("beta", 1.0));
    if l.net.shape(a).len() != 2 || l.net.shape(b).len() != 2 {
        let (a, b) = (l.net.shape(a), l.net.shape(b));
        return Err(Refusal::Broken(damaged(format!("operands of shapes {a:?} and {b:?}"))));
    }
    let mut x = l.net.value(a)?;
    let c = match c {
        Some(Slot::Known(known)) if beta != 1.0 => Some(Slot::Known(times(&known, beta).into())),
        Some(slot) if beta != 1.0 => {
            let id = l.net.value(&slot)?;
            let name = l.part("beta");
            Some(Slot::Computed(l.net.b.binary_scalar(&name, BinaryKind::Mul, id, beta)?))
        }
        other => other,
    };
    if let Slot::Known(weights) = b {
        if trans_a {
            let name = l.part("transpose");
            x = l.net.b.transpose(&name, x, &[1, 0])?;
        }
        let mut weights = if trans_b { (**weights).clone() } else { weights.transposed(&[1, 0]) };
        if alpha != 1.0 {
            weights = times(&weights, alpha);
        }
        let outputs = weights.shape[0];
        let bias = match &c {
            Some(Slot::Known(known)) => as_bias(known, outputs),
            _ => None,
        };
        let weights = l.net.constant(&weights)?;
        let fused = bias.is_some() || c.is_none();
        let bias = bias.map(|known| l.net.constant(&known)).transpose()?;
        let name = if fused { l.name.clone() } else { l.part("matmul") };
        let y = l.net.b.dense(&name, x, weights, bias)?;
        return match c {
            Some(slot) if !fused => {
                let c = l.net.value(&slot)?;
                Ok(l.net.b.binary(&l.name, BinaryKind::Add, y, c)?)
            }
            _ => Ok(y),
        };
    }
    let b = l.net.value(b)?;
    let op = Op::BatchMatMul(BatchMatMul { transpose_a: trans_a, transpose_b: trans_b });
    let plain = alpha == 1.0 && c.is_none();
    let name = if plain { l.name.clone() } else { l.part("matmul") };
    let mut y = l.net.b.op(&name, op, &[x, b])?;
    if alpha != 1.0 {
        let name = if c.is_none() { l.name.clone() } else { l.part("alpha") };
        y = l.net.b.binary_scalar(&name, BinaryKind::Mul, y, alpha)?;
    }
    if let Some(slot) = c {
        let c = l.net.value(&slot)?;
        y = l.net.b.binary(&l.name, BinaryKind::Add, y, c)?;
    }
    Ok(y)
}

/// Real numbers times a factor.
fn times(known: &Known, factor: f32) -> Known {
    let mut result = known.real();
    if let Constant::F32(elements) = &mut result.elements {
        elements.iter_mut().for_each(|x| *x *= factor);
    }
    result
}

/// The operand that is added to each row, as a bias of `outputs` elements.
fn as_bias(known: &Known, outputs: usize) -> Option<Known> {
    let row = known.shape.iter().rev().skip(1).all(|&d| d == 1);
    if row && known.elements.len() == outputs {
        return Some(known.reshaped(&[outputs]));
    }
    (known.elements.len() == 1).then(|| known.reshaped(&[1]).broadcast(&[outputs]))
}

/// MatMul, with NumPy's rules for vectors and leading dimensions.
pub(super) fn matmul(l: &mut Layer<'_>) -> Translation {
    let (a, b) = (l.slot(0)?, l.slot(1)?);
    if let (Slot::Known(x), Slot::Known(y)) = (&a, &b)
        && (l.net.is_integer(&a) || l.net.is_integer(&b))
    {
        return unsupported(format!("a product of integers of shapes {:?} and {:?}", x.shape, y.shape));
    }
    one(matmul_of(l, &a, &b, false)?)
}

/// Whether known integers have a zero point, which weights of a dense layer may not have. Operands of
/// BATCH_MATMUL may.
fn is_offset(known: &Known) -> bool {
    let quantization = known.quantization.as_ref().filter(|_| known.shared_scale());
    quantization.is_some_and(|q| q.zero_point != [0])
}

/// A MatMul of these operands. With `alone`, its result is quantized directly, without a bias in between.
pub(super) fn matmul_of(l: &mut Layer<'_>, a: &Slot, b: &Slot, alone: bool) -> Result<ValueId, Refusal> {
    let (left, right) = (l.net.shape(a), l.net.shape(b));
    if left.is_empty() || right.is_empty() {
        return Err(Refusal::Broken(damaged("a product with a scalar")));
    }
    let mut x = l.net.value(a)?;
    // A vector is a row on the left and a column on the right, and its dimension is removed from the result.
    let mut result_shape = Vec::new();
    let vectors = left.len() == 1 || right.len() == 1;
    if vectors {
        result_shape.extend_from_slice(&left[..left.len() - 1]);
        let leading = right.len().saturating_sub(2);
        if right.len() > left.len() && left.len() == 1 {
            result_shape = right[..leading].to_vec();
        }
        result_shape.extend(right.last().filter(|_| right.len() > 1));
    }
    if left.len() == 1 {
        let name = l.part("row");
        x = l.net.b.reshape(&name, x, &[1, left[0]])?;
    }
    let matrix = right.len() <= 2 || right[..right.len() - 2].iter().all(|&d| d == 1);
    let name = if vectors { l.part("product") } else { l.name.clone() };
    let flat = left.len() >= right.len();
    let y = match b {
        Slot::Known(weights) if matrix && flat && !(alone && is_offset(weights)) => {
            let [k, n] = match *right.as_slice() {
                [k] => [k, 1],
                [.., k, n] => [k, n],
                [] => [1, 1],
            };
            let weights = weights.reshaped(&[k, n]).transposed(&[1, 0]);
            let weights = l.net.constant(&weights)?;
            l.net.b.dense(&name, x, weights, None)?
        }
        _ => {
            let mut y = l.net.value(b)?;
            if right.len() == 1 {
                let name = l.part("column");
                y = l.net.b.reshape(&name, y, &[right[0], 1])?;
            }
            l.net.b.op(
                &name,
                Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false }),
                &[x, y],
            )?
        }
    };
    Ok(if vectors { l.net.b.reshape(&l.name, y, &result_shape)? } else { y })
}
