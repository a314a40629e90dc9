//! Functions of two tensors, and operators that consist of them.

use super::choice;
use super::known::Known;
use super::layer::{Layer, Translation, known, one};
use super::net::Slot;
use crate::graph::{BinaryKind, CompareKind, Constant, LogicKind, Op, UnaryKind, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// A mask's value below this means minus infinity.
pub(super) const MASKED: f32 = -1e4;

/// Replaces minus infinity before a SOFTMAX: the weight is at most 1e-20 instead of zero, and int8 can still
/// represent the range.
pub(super) const BARRED: f32 = -64.0;

/// A function of two tensors, with broadcasting.
pub(super) fn binary(l: &mut Layer<'_>, kind: BinaryKind) -> Translation {
    let (a, b) = (l.slot(0)?, l.second()?);
    both(l, kind, &a, &b, true)
}

/// A function of any number of tensors, from left to right.
pub(super) fn variadic(l: &mut Layer<'_>, kind: BinaryKind) -> Translation {
    let count = l.inputs.len();
    let mut result = l.slot(0)?;
    for position in 1..count {
        let next = l.slot(position)?;
        let mut step = both(l, kind, &result, &next, position + 1 == count)?;
        result = step.pop().unwrap_or(Slot::Unknown);
    }
    Ok(vec![result])
}

/// The mean of any number of tensors.
pub(super) fn mean(l: &mut Layer<'_>) -> Translation {
    let count = l.inputs.len();
    let mut sum = l.value(0)?;
    for position in 1..count {
        let next = l.value(position)?;
        let name = l.part(&format!("add_{position}"));
        sum = l.net.b.binary(&name, BinaryKind::Add, sum, next)?;
    }
    one(l.net.b.binary_scalar(&l.name, BinaryKind::Mul, sum, 1.0 / count.max(1) as f32)?)
}

/// A function of two slots. With `last`, the node has the layer's name.
pub(super) fn both(l: &mut Layer<'_>, kind: BinaryKind, a: &Slot, b: &Slot, last: bool) -> Translation {
    if let (Slot::Known(x), Slot::Known(y)) = (a, b) {
        return known(compute(l, kind, x, y)?);
    }
    let name = if last { l.name.clone() } else { l.part("step") };
    let x = l.net.value(a)?;
    if l.net.is_integer(a) || l.net.is_integer(b) {
        let y = l.net.value(b)?;
        return one(l.net.b.binary(&name, kind, x, y)?);
    }
    // A quotient by a constant is a product.
    if let (BinaryKind::Div, Slot::Known(divisor)) = (kind, b) {
        let inverse = divisor.to_floats().iter().map(|x| 1.0 / x).collect();
        let inverse = l.floats("inverse", &divisor.shape, inverse)?;
        return one(l.net.b.binary(&name, BinaryKind::Mul, x, inverse)?);
    }
    if let (BinaryKind::Div, Slot::Known(dividend)) = (kind, a)
        && let Some(dividend) = dividend.scalar()
    {
        let y = l.net.value(b)?;
        let inverse = if dividend == 1.0 { name.clone() } else { l.part("reciprocal") };
        let y = l.net.b.unary(&inverse, UnaryKind::Reciprocal, y)?;
        return one(match dividend == 1.0 {
            true => y,
            false => l.net.b.binary_scalar(&name, BinaryKind::Mul, y, dividend)?,
        });
    }
    let x = barred(l, kind, a)?.unwrap_or(x);
    let y = match barred(l, kind, b)? {
        Some(y) => y,
        None => l.net.value(b)?,
    };
    one(l.net.b.binary(&name, kind, x, y)?)
}

/// An additive mask before a SOFTMAX, with a smaller number in place of minus infinity.
fn barred(l: &mut Layer<'_>, kind: BinaryKind, slot: &Slot) -> Result<Option<ValueId>, Refusal> {
    let (BinaryKind::Add, Slot::Known(mask)) = (kind, slot) else { return Ok(None) };
    let softmax = l.node.output.first().is_some_and(|name| l.net.only_softmax.contains(name));
    let elements = mask.to_floats();
    if !softmax || !elements.iter().any(|&x| x <= MASKED) {
        return Ok(None);
    }
    note_barred(l);
    let elements = elements.iter().map(|x| x.max(BARRED)).collect();
    Ok(Some(l.floats("mask", &mask.shape, elements)?))
}

fn note_barred(l: &mut Layer<'_>) {
    let text = format!("layer `{}`: {BARRED} stands for the mask's minus infinity before softmax", l.name);
    l.net.note(text);
}

/// The result for known operands.
fn compute(l: &mut Layer<'_>, kind: BinaryKind, a: &Known, b: &Known) -> Result<Known, Refusal> {
    let (a, b, shape) = aligned(l, a, b)?;
    let elements = match (a.to_ints(), b.to_ints()) {
        (Some(x), Some(y)) => Constant::I64(integers(&x, &y, |x, y| match kind {
            BinaryKind::Add => x.checked_add(y),
            BinaryKind::Sub => x.checked_sub(y),
            BinaryKind::Mul => x.checked_mul(y),
            BinaryKind::Div => x.checked_div(y),
            BinaryKind::Maximum => Some(x.max(y)),
            BinaryKind::Minimum => Some(x.min(y)),
            BinaryKind::SquaredDifference => x.checked_sub(y).and_then(|d| d.checked_mul(d)),
            BinaryKind::FloorDiv => x.checked_div(y).map(|q| q - i64::from(x % y != 0 && (x < 0) != (y < 0))),
            BinaryKind::FloorMod => {
                x.checked_rem(y).map(|rest| if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest })
            }
        })?),
        _ => {
            let pairs = a.to_floats().into_iter().zip(b.to_floats());
            Constant::F32(
                pairs
                    .map(|(x, y)| match kind {
                        BinaryKind::Add => x + y,
                        BinaryKind::Sub => x - y,
                        BinaryKind::Mul => x * y,
                        BinaryKind::Div => x / y,
                        BinaryKind::Maximum => x.max(y),
                        BinaryKind::Minimum => x.min(y),
                        BinaryKind::SquaredDifference => (x - y) * (x - y),
                        BinaryKind::FloorDiv => (x / y).floor(),
                        BinaryKind::FloorMod => x - y * (x / y).floor(),
                    })
                    .collect(),
            )
        }
    };
    Ok(Known::new(l.name.clone(), shape, elements))
}

/// Both operands in the shape to which they broadcast.
fn aligned(l: &mut Layer<'_>, a: &Known, b: &Known) -> Result<(Known, Known, Vec<usize>), Refusal> {
    let Some(shape) = crate::reference::broadcast_shape(&a.shape, &b.shape) else {
        return Err(Refusal::Broken(damaged(format!("operands of shapes {:?} and {:?}", a.shape, b.shape))));
    };
    l.affordable(&shape)?;
    Ok((a.broadcast(&shape), b.broadcast(&shape), shape))
}

fn integers(x: &[i64], y: &[i64], f: impl Fn(i64, i64) -> Option<i64>) -> Result<Vec<i64>, Refusal> {
    let all: Option<Vec<i64>> = x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect();
    all.ok_or_else(|| Refusal::Broken(damaged("its integers overflow or are divided by zero")))
}

/// Comparisons, functions of truth values, and Mod of integers.
pub(super) fn truth(l: &mut Layer<'_>) -> Translation {
    let (first, second) = (l.slot(0)?, l.second()?);
    let (Slot::Known(a), Slot::Known(b)) = (&first, &second) else {
        let op = l.node.op_type.clone();
        let (a, b) = (l.net.value(&first)?, l.net.value(&second)?);
        if let Some(kind) = CompareKind::of(&op) {
            return one(l.net.b.compare(&l.name, kind, a, b)?);
        }
        if let Some(kind) = LogicKind::of(&op) {
            return one(l.net.b.op(&l.name, Op::Logic(kind), &[a, b])?);
        }
        let truncates = l.int("fmod", 0) == 1;
        if !l.net.is_integer(&first) || !l.net.is_integer(&second) {
            if !truncates {
                return one(l.net.b.binary(&l.name, BinaryKind::FloorMod, a, b)?);
            }
            // The sign is the dividend's: what remains of its magnitude.
            let [size, of, rest, sign] = ["size", "of", "rest", "sign"].map(|word| l.part(word));
            let size = l.net.b.unary(&size, UnaryKind::Abs, a)?;
            let of = l.net.b.unary(&of, UnaryKind::Abs, b)?;
            let rest = l.net.b.binary(&rest, BinaryKind::FloorMod, size, of)?;
            let sign = l.net.b.unary(&sign, UnaryKind::Sign, a)?;
            return one(l.net.b.binary(&l.name, BinaryKind::Mul, rest, sign)?);
        }
        if truncates {
            return unsupported("a remainder with the sign of the dividend");
        }
        return one(l.net.b.binary(&l.name, BinaryKind::FloorMod, a, b)?);
    };
    let op = l.node.op_type.clone();
    let truncates = l.int("fmod", 0) == 1;
    let (a, b, shape) = aligned(l, a, b)?;
    if op == "Mod" {
        let (Some(x), Some(y)) = (a.to_ints(), b.to_ints()) else {
            return unsupported("a modulo of real numbers");
        };
        let elements = integers(&x, &y, |x, y| {
            let rest = x.checked_rem(y)?;
            // The sign is that of the divisor, unless `fmod` is set.
            Some(if !truncates && rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest })
        })?;
        return known(Known::new(l.name.clone(), shape, Constant::I64(elements)));
    }
    let compare = |x: f64, y: f64| match op.as_str() {
        "Equal" => x == y,
        "Less" => x < y,
        "LessOrEqual" => x <= y,
        "Greater" => x > y,
        "GreaterOrEqual" => x >= y,
        "And" => x != 0.0 && y != 0.0,
        "Or" => x != 0.0 || y != 0.0,
        _ => (x != 0.0) != (y != 0.0),
    };
    let reals = |k: &Known| -> Vec<f64> {
        match k.to_ints() {
            Some(ints) => ints.into_iter().map(|x| x as f64).collect(),
            None => k.to_floats().into_iter().map(f64::from).collect(),
        }
    };
    let elements = reals(&a).into_iter().zip(reals(&b)).map(|(x, y)| compare(x, y)).collect();
    known(Known::new(l.name.clone(), shape, Constant::Bool(elements)))
}

/// Not.
pub(super) fn not(l: &mut Layer<'_>) -> Translation {
    if let Slot::Computed(x) = l.slot(0)? {
        return one(l.net.b.op(&l.name, Op::Logic(LogicKind::Not), &[x])?);
    }
    let x = l.require(0, "operand")?;
    let elements = x.to_ints().unwrap_or_default().into_iter().map(|x| x == 0).collect();
    known(Known::new(l.name.clone(), x.shape.clone(), Constant::Bool(elements)))
}

/// Where. With a known condition, it is a choice that is made now, or a mask.
pub(super) fn select(l: &mut Layer<'_>) -> Translation {
    if let Slot::Computed(condition) = l.slot(0)? {
        let (yes, no) = (chosen(l, 1)?, chosen(l, 2)?);
        return match choice::choose(l, condition, [yes, no])? {
            Some(id) => one(id),
            None => one(l.net.b.select(&l.name, condition, yes, no)?),
        };
    }
    let condition = l.require(0, "condition")?;
    let (yes, no) = (l.slot(1)?, l.slot(2)?);
    let chosen = condition.to_ints().unwrap_or_default();
    if let (Slot::Known(a), Slot::Known(b)) = (&yes, &no) {
        let (a, b, _) = aligned(l, a, b)?;
        let (c, a, shape) = aligned(l, &condition, &a)?;
        let b = b.broadcast(&shape);
        let chosen = c.to_ints().unwrap_or_default();
        fn choose<T>(c: &[i64], a: Vec<T>, b: Vec<T>) -> Vec<T> {
            let pairs = c.iter().zip(a).zip(b);
            pairs.map(|((&c, a), b)| if c != 0 { a } else { b }).collect()
        }
        let elements = match (a.to_ints(), b.to_ints()) {
            (Some(a), Some(b)) => Constant::I64(choose(&chosen, a, b)),
            _ => Constant::F32(choose(&chosen, a.to_floats(), b.to_floats())),
        };
        return known(Known::new(l.name.clone(), shape, elements));
    }
    // The choice takes one operand only, and that operand has the full shape.
    let whole = |slot: &Slot, l: &Layer<'_>| {
        let shape = l.net.shape(slot);
        crate::reference::broadcast_shape(&shape, &condition.shape).as_ref() == Some(&shape)
    };
    for (all, slot) in [(true, &yes), (false, &no)] {
        if chosen.iter().all(|&c| (c != 0) == all) && whole(slot, l) {
            return Ok(vec![slot.clone()]);
        }
    }
    // `x * mask + constant * (1 - mask)`
    let keep = |wanted: bool| -> Vec<f32> {
        chosen.iter().map(|&c| f32::from(u8::from((c != 0) == wanted))).collect()
    };
    let (data, constant, mask) = match (&yes, &no) {
        (data, Slot::Known(constant)) => (data, constant, keep(true)),
        (Slot::Known(constant), data) => (data, constant, keep(false)),
        (yes, no) => {
            let (yes, no) = (l.net.value(yes)?, l.net.value(no)?);
            let condition = l.net.constant(&condition)?;
            return one(l.net.b.select(&l.name, condition, yes, no)?);
        }
    };
    let softmax = l.node.output.first().is_some_and(|name| l.net.only_softmax.contains(name));
    let mut values = constant.real();
    if let Constant::F32(elements) = &mut values.elements {
        if softmax && elements.iter().any(|&x| x <= MASKED) {
            elements.iter_mut().for_each(|x| *x = x.max(BARRED));
            note_barred(l);
        }
        // An infinity may lose against other elements; if it remains, quantization refuses it.
        if elements.iter().any(|x| x.is_nan()) {
            return unsupported("it puts NaN into a tensor");
        }
    }
    let mask = Known::new(l.part("mask"), condition.shape.clone(), Constant::F32(mask));
    let (values, wide, shape) = aligned(l, &values, &mask)?;
    let values = values.to_floats().into_iter().zip(wide.to_floats());
    let values: Vec<f32> = values.map(|(x, m)| if m == 0.0 { x } else { 0.0 }).collect();
    let x = l.net.value(data)?;
    let mask = l.net.constant(&mask)?;
    let name = l.part("mul");
    let masked = l.net.b.binary(&name, BinaryKind::Mul, x, mask)?;
    let values = l.floats("values", &shape, values)?;
    one(l.net.b.binary(&l.name, BinaryKind::Add, masked, values)?)
}

/// An operand of a choice; minus infinity before a SOFTMAX is a smaller number.
fn chosen(l: &mut Layer<'_>, position: usize) -> Result<ValueId, Refusal> {
    let slot = l.slot(position)?;
    let softmax = l.node.output.first().is_some_and(|name| l.net.only_softmax.contains(name));
    if let (Slot::Known(known), true) = (&slot, softmax)
        && known.to_ints().is_none()
        && known.to_floats().iter().any(|&x| x <= MASKED)
    {
        note_barred(l);
        let elements = known.to_floats().iter().map(|x| x.max(BARRED)).collect();
        let name = if position == 1 { "yes" } else { "no" };
        return l.floats(name, &known.shape, elements);
    }
    l.net.value(&slot)
}

/// Pow with a known exponent.
pub(super) fn pow(l: &mut Layer<'_>) -> Translation {
    let Slot::Known(exponent) = l.second()? else { return unsupported("its exponent is computed from data") };
    if let Some(base) = l.known(0) {
        let (base, exponent, shape) = aligned(l, &base, &exponent)?;
        let pairs = base.to_floats().into_iter().zip(exponent.to_floats());
        let elements = Constant::F32(pairs.map(|(x, y)| x.powf(y)).collect());
        return known(Known::new(l.name.clone(), shape, elements));
    }
    let Some(exponent) = exponent.scalar() else {
        return unsupported("a different exponent for each element");
    };
    let x = l.value(0)?;
    let kind = match exponent {
        1.0 => return one(x),
        2.0 => UnaryKind::Square,
        0.5 => UnaryKind::Sqrt,
        -0.5 => UnaryKind::Rsqrt,
        -1.0 => UnaryKind::Reciprocal,
        exponent => UnaryKind::Pow { exponent },
    };
    one(l.net.b.unary(&l.name, kind, x)?)
}

/// PRelu with a known slope, which broadcasts to the input.
pub(super) fn prelu(l: &mut Layer<'_>) -> Translation {
    let (x, slope) = (l.value(0)?, l.require(1, "slope")?);
    if let Some(alpha) = slope.scalar() {
        return one(l.net.b.unary(&l.name, UnaryKind::LeakyRelu { alpha }, x)?);
    }
    let shape = l.shape(0)?;
    // Old files have one slope for each channel.
    let old = l.opset() < 7;
    let slope = match slope.shape.as_slice() {
        &[n] if shape.len() > 2 && shape.get(1) == Some(&n) && (old || shape.last() != Some(&n)) => {
            let mut wide = vec![1; shape.len() - 1];
            wide[0] = n;
            slope.reshaped(&wide)
        }
        _ => (*slope).clone(),
    };
    let slope = l.net.constant(&slope)?;
    one(l.net.b.op(&l.name, Op::Prelu, &[x, slope])?)
}
