//! The tensors of a model while it is read.
//!
//! | a tensor is | when |
//! |---|---|
//! | `Known` | it depends on constants, variables and shapes only |
//! | `Value` | it depends on the model's inputs: a value of the graph under construction |
//! | `Variable` | it is the handle of a variable |
//! | `List` | it is a list of tensors, in which loops over time keep their inputs and results |
//! | `Spaced` | SpaceToBatchND made it: an image whose windows are dilated |
//! | `Lost` | it depends on a layer that cannot be converted |

use std::rc::Rc;

use super::known::Known;
use super::library::Attributes;
use super::proto::NodeDef;
use crate::graph::{DType, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// A tensor of a model, as far as it is known.
#[derive(Clone, Debug)]
pub(super) enum Tensor {
    Known(Rc<Known>),
    Value(ValueId),
    Variable(Rc<str>),
    List(Rc<List>),
    Spaced(Spaced),
    Lost(ValueId),
    /// A tensor that no layer reads: a string, or another kind of resource.
    Opaque,
}

/// An image that SpaceToBatchND has split, as the image before that.
#[derive(Clone, Debug)]
pub(super) struct Spaced {
    pub value: ValueId,
    /// Distance in the image between pixels that are neighbours after the split.
    pub block: Vec<usize>,
    /// Paddings before and after that have not been applied yet.
    pub paddings: Option<Vec<(usize, usize)>>,
}

/// The tensors that a node computes.
pub(super) type Translation = Result<Vec<Tensor>, Refusal>;

/// A list of tensors of one shape.
#[derive(Clone, Debug)]
pub(super) enum List {
    /// The rows of a computed tensor.
    Rows(ValueId),
    /// Separate items. Items that were never set are zero.
    Items(Vec<Option<Tensor>>),
}

/// Whether a condition holds, if that is known.
pub(super) fn holds(tensor: Option<&Tensor>) -> Option<bool> {
    let Some(Tensor::Known(known)) = tensor else { return None };
    match known.data.to_real(None, &[]).as_slice() {
        &[one] => Some(one != 0.0),
        _ => None,
    }
}

/// One node with its operands, for the functions that translate operators.
pub(super) struct Layer<'a> {
    pub node: &'a NodeDef,
    pub inputs: &'a [Tensor],
    /// The name of the layer that the node becomes.
    pub name: String,
}

impl<'a> Layer<'a> {
    /// An operand that must exist.
    pub(super) fn input(&self, position: usize) -> Result<&'a Tensor, Refusal> {
        let missing = || Refusal::Broken(damaged(format!("operand {position} is missing")));
        self.inputs.get(position).ok_or_else(missing)
    }

    /// An operand that must be known at import.
    pub(super) fn known(&self, position: usize, what: &str) -> Result<&'a Rc<Known>, Refusal> {
        match self.input(position)? {
            Tensor::Known(known) => Ok(known),
            _ => Err(format!("its {what} is computed by other layers").into()),
        }
    }

    /// The integers of an operand that must be known at import.
    pub(super) fn integers(&self, position: usize, what: &str) -> Result<Vec<i64>, Refusal> {
        let known = self.known(position, what)?;
        known.data.to_i64().ok_or_else(|| format!("its {what} is not of integers").into())
    }

    /// A single integer.
    pub(super) fn integer(&self, position: usize, what: &str) -> Result<i64, Refusal> {
        match self.integers(position, what)?.as_slice() {
            &[one] => Ok(one),
            other => Err(format!("its {what} has {} elements instead of 1", other.len()).into()),
        }
    }

    /// The attribute `T`, or a similar one, as the graph's type.
    pub(super) fn dtype(&self, attribute: &str, default: DType) -> Result<DType, Refusal> {
        Ok(self.node.dtype(attribute, default)?)
    }
}

/// An axis, counted from the front; a negative one counts from the back.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let from_front = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let front = from_front.and_then(|a| usize::try_from(a).ok()).filter(|&a| a < rank);
    front.ok_or_else(|| Refusal::Broken(damaged(format!("axis {axis} of a tensor of {rank} dimensions"))))
}
