//! Arithmetic on integers that are known when the file is read: exporters compute shapes at run time, from
//! the shape of a tensor whose batch they leave open. Here all shapes are fixed.
//!
//! What only moves elements (PACK, GATHER, STRIDED_SLICE, …) is translated as always, and computed by
//! `Builder::fold_movement`.

use super::layer::{Layer, broadcast};
use crate::graph::{Constant, DType, Value};
use crate::tflite::BuiltinOperator as Code;

/// Shapes are short; longer results are data, and stay with the layers that compute them.
const LONGEST: usize = 1 << 16;

/// Shape and elements of the layer's one result, if they are known.
pub(super) fn compute(code: Code, layer: &Layer<'_>) -> Option<(Vec<usize>, Constant)> {
    let target = layer.output().ok()?;
    let (shape, elements) = match code {
        Code::SHAPE => {
            let shape = &layer.input(0).ok()?.shape;
            (vec![shape.len()], shape.iter().map(|&d| d as i64).collect())
        }
        Code::FILL => return fill(layer, target),
        Code::RANK => (vec![], vec![layer.input(0).ok()?.shape.len() as i64]),
        Code::ZEROS_LIKE => {
            let shape = &layer.input(0).ok()?.shape;
            if target.dtype == DType::Int8 {
                // The bytes are zero, whatever they stand for.
                let zeros = Constant::I8(vec![0; count(shape)?]);
                return allowed(layer, target, shape).then_some((shape.clone(), zeros));
            }
            (shape.clone(), vec![0; count(shape)?])
        }
        _ => arithmetic(code, layer)?,
    };
    let constant = match target.dtype {
        // Zeros that a layer chooses.
        DType::Float32 if code == Code::ZEROS_LIKE => Some(Constant::F32(vec![0.0; elements.len()])),
        dtype => typed(dtype, elements),
    };
    let constant = constant.filter(|_| target.quantization.is_none())?;
    allowed(layer, target, &shape).then_some((shape, constant))
}

/// FILL: shape, and the number that all elements are, of any type and in the quantization of the result.
fn fill(layer: &Layer<'_>, target: &Value) -> Option<(Vec<usize>, Constant)> {
    let shape: Vec<usize> =
        integers(layer.input(0).ok()?)?.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>()?;
    let value = layer.input(1).ok()?;
    let n = count(&shape)?;
    let constant = match value.constant.as_ref().filter(|constant| constant.len() == 1)? {
        Constant::F32(one) => Constant::F32(one.repeat(n)),
        Constant::I8(one) => Constant::I8(one.repeat(n)),
        Constant::I32(one) => Constant::I32(one.repeat(n)),
        Constant::I64(one) => Constant::I64(one.repeat(n)),
        Constant::Bool(one) => Constant::Bool(one.repeat(n)),
        Constant::U8(_) | Constant::I16(_) => return None,
    };
    let same = value.dtype == target.dtype && value.quantization == target.quantization;
    (same && n > 0 && allowed(layer, target, &shape)).then_some((shape, constant))
}

/// Whether the result may have this shape; another one is for `translate` to refuse.
fn allowed(layer: &Layer<'_>, target: &Value, shape: &[usize]) -> bool {
    let open = layer.open_dimensions();
    let fits = |d: usize| target.shape[d] == shape[d] || open.get(d).copied().unwrap_or(false);
    target.shape.len() == shape.len() && (0..shape.len()).all(fits)
}

fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= LONGEST)
}

/// Elements as a constant of a type that shapes have.
fn typed(dtype: DType, elements: Vec<i64>) -> Option<Constant> {
    Some(match dtype {
        DType::Int32 => {
            Constant::I32(elements.iter().map(|&x| i32::try_from(x).ok()).collect::<Option<_>>()?)
        }
        DType::Int64 => Constant::I64(elements),
        DType::Bool => Constant::Bool(elements.iter().map(|&x| x != 0).collect()),
        _ => return None,
    })
}

/// An operand's elements, if they are known integers or truth values that stand for themselves.
fn integers(value: &Value) -> Option<Vec<i64>> {
    let plain = matches!(value.dtype, DType::Int32 | DType::Int64 | DType::Bool);
    let constant = value.constant.as_ref().filter(|_| plain && value.quantization.is_none())?;
    constant.to_i64().filter(|elements| elements.len() <= LONGEST)
}

fn arithmetic(code: Code, layer: &Layer<'_>) -> Option<(Vec<usize>, Vec<i64>)> {
    let operand = |position: usize| {
        let value = layer.optional(position)?;
        Some((value.shape.as_slice(), integers(value)?))
    };
    let (shape, a) = operand(0)?;
    Some(match code {
        Code::CAST => (shape.to_vec(), a),
        Code::NEG => (shape.to_vec(), a.iter().map(|x| x.checked_neg()).collect::<Option<_>>()?),
        Code::ABS => (shape.to_vec(), a.iter().map(|x| x.checked_abs()).collect::<Option<_>>()?),
        Code::LOGICAL_NOT => (shape.to_vec(), a.iter().map(|&x| i64::from(x == 0)).collect()),
        Code::RANGE => {
            let ((_, limit), (_, step)) = (operand(1)?, operand(2)?);
            let (&[start], &[limit], &[step]) = (a.as_slice(), limit.as_slice(), step.as_slice()) else {
                return None;
            };
            let mut elements = Vec::new();
            let mut at = start;
            while step != 0 && if step > 0 { at < limit } else { at > limit } {
                elements.push(at);
                at = at.checked_add(step).filter(|_| elements.len() <= LONGEST)?;
            }
            (vec![elements.len()], elements)
        }
        Code::BROADCAST_ARGS => {
            let (_, b) = operand(1)?;
            let sizes =
                |list: &[i64]| list.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<_>>>();
            let joined = broadcast(&sizes(&a)?, &sizes(&b)?).ok()?;
            (vec![joined.len()], joined.iter().map(|&d| d as i64).collect())
        }
        Code::REDUCE_PROD | Code::SUM | Code::REDUCE_MAX | Code::REDUCE_MIN => {
            let keep = layer.operator.builtin_options_as_reducer_options().is_some_and(|o| o.keep_dims());
            // Shapes have one dimension; of more, nothing is computed here.
            if shape.len() > 1 || operand(1)?.1.iter().any(|axis| !matches!(axis, 0 | -1)) {
                return None;
            }
            let result = match code {
                Code::REDUCE_PROD => a.iter().try_fold(1i64, |n, &x| n.checked_mul(x))?,
                Code::SUM => a.iter().try_fold(0i64, |n, &x| n.checked_add(x))?,
                Code::REDUCE_MAX => *a.iter().max()?,
                _ => *a.iter().min()?,
            };
            (if keep { vec![1; shape.len()] } else { vec![] }, vec![result])
        }
        Code::SELECT | Code::SELECT_V2 => {
            let ((b_shape, b), (c_shape, c)) = (operand(1)?, operand(2)?);
            let whole = broadcast(&broadcast(shape, b_shape).ok()?, c_shape).ok()?;
            let a = spread(&a, shape, &whole)?;
            let (b, c) = (spread(&b, b_shape, &whole)?, spread(&c, c_shape, &whole)?);
            let chosen = a.iter().zip(b.iter().zip(&c)).map(|(&a, (&b, &c))| if a != 0 { b } else { c });
            (whole.clone(), chosen.collect())
        }
        _ => {
            let function = pairwise(code)?;
            let (other, b) = operand(1)?;
            let whole = broadcast(shape, other).ok()?;
            let (a, b) = (spread(&a, shape, &whole)?, spread(&b, other, &whole)?);
            let elements = a.iter().zip(&b).map(|(&a, &b)| function(a, b)).collect::<Option<_>>()?;
            (whole, elements)
        }
    })
}

/// The elements in a shape that they broadcast to.
fn spread(elements: &[i64], from: &[usize], to: &[usize]) -> Option<Vec<i64>> {
    count(to)?;
    crate::import::choices::spread(elements, from, to)
}

fn pairwise(code: Code) -> Option<fn(i64, i64) -> Option<i64>> {
    fn flag(x: bool) -> Option<i64> {
        Some(x.into())
    }
    Some(match code {
        Code::ADD => |a, b| a.checked_add(b),
        Code::SUB => |a, b| a.checked_sub(b),
        Code::MUL => |a, b| a.checked_mul(b),
        Code::DIV => |a, b| a.checked_div(b),
        // The divisor's sign is the remainder's.
        Code::FLOOR_DIV => |a, b| {
            let quotient = a.checked_div(b)?;
            Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
        },
        Code::FLOOR_MOD => |a, b| {
            let rest = a.checked_rem(b)?;
            Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        },
        Code::MAXIMUM => |a, b| Some(a.max(b)),
        Code::MINIMUM => |a, b| Some(a.min(b)),
        Code::EQUAL => |a, b| flag(a == b),
        Code::NOT_EQUAL => |a, b| flag(a != b),
        Code::LESS => |a, b| flag(a < b),
        Code::LESS_EQUAL => |a, b| flag(a <= b),
        Code::GREATER => |a, b| flag(a > b),
        Code::GREATER_EQUAL => |a, b| flag(a >= b),
        Code::LOGICAL_AND => |a, b| flag(a != 0 && b != 0),
        Code::LOGICAL_OR => |a, b| flag(a != 0 || b != 0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_round_as_tflite_does() {
        let compute = |code, a, b| pairwise(code).unwrap()(a, b);
        assert_eq!(compute(Code::DIV, -7, 2), Some(-3));
        assert_eq!(compute(Code::FLOOR_DIV, -7, 2), Some(-4));
        assert_eq!(compute(Code::FLOOR_DIV, 7, -2), Some(-4));
        assert_eq!(compute(Code::FLOOR_MOD, -7, 2), Some(1));
        assert_eq!(compute(Code::FLOOR_MOD, 7, -2), Some(-1));
        assert_eq!(compute(Code::DIV, 1, 0), None);
        assert_eq!(compute(Code::FLOOR_MOD, 1, 0), None);
        assert_eq!(compute(Code::FLOOR_DIV, i64::MIN, -1), None);
        assert_eq!(compute(Code::MUL, i64::MAX, 2), None);
    }

    #[test]
    fn what_does_not_fit_its_type_is_not_known() {
        assert_eq!(typed(DType::Int32, vec![1 << 40]), None);
        assert_eq!(typed(DType::Int8, vec![1]), None);
        assert_eq!(spread(&[3], &[], &[2, 2]), Some(vec![3; 4]));
        assert_eq!(spread(&[3, 4], &[2], &[2, 2]), Some(vec![3, 4, 3, 4]));
        assert_eq!(spread(&[3, 4], &[2, 1], &[2, 2]), Some(vec![3, 3, 4, 4]));
        assert_eq!(spread(&[3, 4, 5], &[3], &[2, 2]), None);
    }
}
