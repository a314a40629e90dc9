//! One operator of the file with its operands, as the functions that translate operators see it.
//!
//! A translating function returns the graph's operator and the operands that it keeps (axes,
//! paddings and sizes become attributes), or a *reason*: the sentence that the user reads for an
//! unsupported layer.

use std::cell::RefCell;
use std::collections::HashSet;

use super::tensors;
use crate::graph::{Activation, Constant, Op, Quantization, UnaryKind, Value, ValueId};
use crate::tflite as schema;

/// Why a layer cannot be converted; empty when the operator as such is unknown.
pub(super) type Reason = String;

/// What an operator of the file becomes.
pub(super) struct Translated {
    /// The operator.
    pub op: Op,
    /// Its operands by the positions that [`Op`] documents.
    pub inputs: Vec<Option<ValueId>>,
    /// A function of the result that TFLite fuses and the graph does not.
    pub then: Option<UnaryKind>,
    /// The operator is QUANTIZE to this int8 from this smallest integer on, and DEQUANTIZE to the result follows.
    pub through: Option<(Quantization, i32)>,
    /// Constants that the file does not have as they are, for the operands from position 1 on, or for steps.
    pub stacked: Vec<Stacked>,
    /// The nodes of a layer that takes several, instead of `op`; the last one writes the result.
    pub steps: Vec<Step>,
}

/// One node of several.
pub(super) struct Step {
    pub op: Op,
    pub inputs: Vec<Place>,
    /// Shape of its result.
    pub shape: Vec<usize>,
}

/// What a step reads.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// An operand of the layer.
    Operand(Option<ValueId>),
    /// The result of the step with this number.
    Step(usize),
    /// The constant with this number of those that are made.
    Made(usize),
}

/// A constant that the file keeps in parts, or does not have.
pub(super) struct Stacked {
    /// What it is, for its name.
    pub word: &'static str,
    /// Shape of the whole.
    pub shape: Vec<usize>,
    /// Its elements.
    pub constant: Constant,
    /// What they stand for, if they are integers.
    pub quantization: Option<Quantization>,
}

impl Translated {
    pub(super) fn new(op: Op, inputs: &[Option<ValueId>]) -> Translated {
        let (stacked, steps) = (Vec::new(), Vec::new());
        Translated { op, inputs: inputs.to_vec(), then: None, through: None, stacked, steps }
    }

    /// A layer of several nodes; of none where it changes nothing but the shape.
    pub(super) fn several(steps: Vec<Step>, inputs: &[Option<ValueId>]) -> Translated {
        Translated { steps, ..Translated::new(Op::Reshape, inputs) }
    }
}

/// An operator of the file.
pub(super) struct Layer<'a> {
    pub operator: schema::Operator<'a>,
    /// All values; operands index them.
    pub values: &'a [Value],
    pub inputs: &'a [Option<ValueId>],
    pub outputs: &'a [ValueId],
    /// Values that QUANTIZE, DEQUANTIZE and FAKE_QUANT make of constants.
    pub converted: &'a HashSet<ValueId>,
    /// Dimensions that the file leaves open, of the values that it has.
    pub open: &'a [Vec<bool>],
    /// The shape of a result whose dimensions the file leaves open, once it is known.
    pub resolved: RefCell<Option<Vec<usize>>>,
}

impl<'a> Layer<'a> {
    /// An operand that has to be there.
    pub(super) fn input(&self, position: usize) -> Result<&'a Value, Reason> {
        self.optional(position).ok_or_else(|| format!("operand {position} is missing"))
    }

    /// An operand that may be absent.
    pub(super) fn optional(&self, position: usize) -> Option<&'a Value> {
        self.id(position).map(|id| &self.values[id.0])
    }

    /// Whether an operand is known before inference, as it is or in other numbers.
    pub(super) fn is_known(&self, position: usize) -> bool {
        self.id(position).is_some_and(|id| {
            self.converted.contains(&id) || self.values.get(id.0).is_some_and(|v| v.constant.is_some())
        })
    }

    /// The id behind an operand.
    pub(super) fn id(&self, position: usize) -> Option<ValueId> {
        self.inputs.get(position).copied().flatten()
    }

    /// The only result.
    pub(super) fn output(&self) -> Result<&'a Value, Reason> {
        match self.outputs {
            [one] => Ok(&self.values[one.0]),
            other => Err(format!("{} results instead of 1", other.len())),
        }
    }

    /// Which dimensions of the first result the file leaves open.
    pub(super) fn open_dimensions(&self) -> &'a [bool] {
        self.outputs.first().and_then(|id| self.open.get(id.0)).map_or(&[], Vec::as_slice)
    }

    /// All results.
    pub(super) fn results(&self) -> impl Iterator<Item = &'a Value> {
        let values = self.values;
        self.outputs.iter().map(move |id| &values[id.0])
    }

    /// The integers of an operand that must be known before inference.
    pub(super) fn integers(&self, position: usize, what: &str) -> Result<Vec<i64>, Reason> {
        tensors::integers(self.input(position)?).ok_or_else(|| format!("its {what} is not a constant"))
    }

    /// Exactly one integer, where one is expected.
    pub(super) fn integer(&self, position: usize, what: &str) -> Result<i64, Reason> {
        match self.integers(position, what)?.as_slice() {
            &[one] => Ok(one),
            other => Err(format!("its {what} has {} elements instead of 1", other.len())),
        }
    }

    /// Fails unless the result has this shape, or may have it.
    pub(super) fn expect_output(&self, shape: &[usize]) -> Result<(), Reason> {
        let found = &self.output()?.shape;
        if found == shape {
            return Ok(());
        }
        let open = self.open_dimensions();
        if found.len() == shape.len()
            && open.len() == shape.len()
            && (0..shape.len()).all(|d| open[d] || found[d] == shape[d])
        {
            *self.resolved.borrow_mut() = Some(shape.to_vec());
            return Ok(());
        }
        Err(format!("the result has shape {found:?}, but {shape:?} follows from its operands"))
    }
}

/// The options table of an operator that cannot do without.
pub(super) fn options<T>(table: Option<T>) -> Result<T, Reason> {
    table.ok_or_else(|| "its options are missing".into())
}

/// An axis counted from the front, where negative ones count from the back.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Reason> {
    let from_front = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    from_front
        .and_then(|a| usize::try_from(a).ok())
        .filter(|&a| a < rank)
        .ok_or_else(|| format!("axis {axis} of a tensor with {rank} dimensions"))
}

/// The four dimensions of an NHWC image or filter, none of which is 0.
pub(super) fn dims4(value: &Value, what: &str) -> Result<[usize; 4], Reason> {
    let shape = <[usize; 4]>::try_from(value.shape.as_slice())
        .map_err(|_| format!("its {what} has shape {:?} instead of 4 dimensions", value.shape))?;
    if shape.contains(&0) {
        return Err(format!("its {what} has shape {shape:?}, which is empty"));
    }
    Ok(shape)
}

/// A fused activation: the clamp that the graph fuses too, and the function that it does not.
pub(super) fn activation(
    fused: schema::ActivationFunctionType,
) -> Result<(Activation, Option<UnaryKind>), Reason> {
    use schema::ActivationFunctionType as Fused;
    Ok(match fused {
        Fused::NONE => (Activation::None, None),
        Fused::RELU => (Activation::Relu, None),
        Fused::RELU6 => (Activation::Relu6, None),
        Fused::RELU_N1_TO_1 => (Activation::ReluN1To1, None),
        Fused::TANH => (Activation::None, Some(UnaryKind::Tanh)),
        other => return Err(format!("fused activation {other:?}")),
    })
}

/// The shape of an elementwise result: dimensions, counted from the back, are equal or 1.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Reason> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|i| match (dim(a, i), dim(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(format!("shapes {a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_either_end() {
        assert_eq!(axis(-1, 4), Ok(3));
        assert_eq!(axis(3, 4), Ok(3));
        assert!(axis(4, 4).is_err() && axis(-5, 4).is_err() && axis(i64::MIN, 4).is_err());
    }

    #[test]
    fn images_have_four_dimensions_and_are_not_empty() {
        let image = |shape: &[usize]| Value {
            name: "image".into(),
            shape: shape.to_vec(),
            dtype: crate::graph::DType::Int8,
            quantization: None,
            constant: None,
        };
        assert_eq!(dims4(&image(&[1, 2, 3, 4]), "input"), Ok([1, 2, 3, 4]));
        assert!(dims4(&image(&[1, 2, 3]), "input").is_err());
        let empty = dims4(&image(&[1, 2, 3, 0]), "input");
        assert_eq!(empty.unwrap_err(), "its input has shape [1, 2, 3, 0], which is empty");
    }

    #[test]
    fn broadcasting_aligns_the_last_dimensions() {
        assert_eq!(broadcast(&[1, 4, 4, 3], &[3]), Ok(vec![1, 4, 4, 3]));
        assert_eq!(broadcast(&[5, 1], &[1, 7]), Ok(vec![5, 7]));
        assert_eq!(broadcast(&[], &[2]), Ok(vec![2]));
        assert!(broadcast(&[2], &[3]).is_err());
    }
}
