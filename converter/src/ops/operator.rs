//! What Ferrolite knows of an operator: the trait that each file of the list implements.
//!
//! A method without a body is a question that every operator has to answer. The others have the answer of an
//! operator that computes each result anew, from all of its operands, and that no format but the graph can say.

use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::tflite::{self, Writer};
use super::types;
use super::view::View;
use crate::error::Result;
use crate::graph::{Graph, Node, Op, Value};

/// Why a layer that the float reference computes cannot be converted.
pub(crate) const FLOAT_ONLY: &str =
    "the float reference computes it, the device has no int8 kernel for it yet";

/// Operators of the TensorFlow Lite schema that have int8 kernels there, and for each what the device runs.
pub type RunAs = &'static [(&'static str, &'static [OpCode])];

/// Whether an operator works on tensors whose dimensions are in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// It needs its dimensions as they are.
    Fixed,
    /// Under any: dimensions are only numbers to it (an axis, an amount of padding), and results have the order of the
    /// operands.
    Any,
    /// Under any order of its operand; the result has its own.
    Operand,
}

/// Whether a vector of results says a class: its largest element is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scores {
    /// No.
    None,
    /// It makes scores.
    Own,
    /// It makes scores of two computed operands; of one operand and a constant, if that one is scores.
    Sum,
    /// If its operand is scores.
    Operand,
}

/// An operator with its attributes.
pub(crate) trait Operator {
    /// Refuses operands, attributes and results that do not agree, as everything below takes for granted.
    fn check(&self, check: &Check<'_>) -> Result<()>;

    /// The shape of the (first) result, where operands and attributes say it.
    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        self.check(check)?;
        Ok(check.found())
    }

    /// Whether it may have more than one result.
    fn has_several_results(&self) -> bool {
        false
    }

    /// Refuses a layer whose elements have types, or quantizations, that are not computed with.
    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::one_type(inputs, outputs)
    }

    // In float.

    /// The values of all results, or of more: those that a node does not have are left out.
    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>>;

    /// Refuses operands whose values mean nothing.
    fn check_values(&self, _: &Operands<'_>) -> Result<()> {
        Ok(())
    }

    /// Multiply-accumulate operations of one inference, as the field counts them.
    fn macs(&self, _: &Graph, _: &Node) -> u64 {
        0
    }

    /// Of an operator that has weights at operand 1 and perhaps a bias at operand 2: the dimension of its weights that
    /// counts output channels.
    fn channel_axis(&self) -> Option<usize> {
        None
    }

    // What it does with elements.

    /// Whether it copies elements without computing with them, so that any element type
    /// will do and input and output share their quantization.
    fn only_moves_data(&self) -> bool {
        false
    }

    /// Whether each element of a result is the same bits as an element of the first operand or, where all of them are
    /// data, of another one.
    fn copies(&self) -> bool {
        self.only_moves_data()
    }

    /// Whether each result is one of the numbers that it read, if not clamped.
    fn picks(&self) -> bool {
        self.only_moves_data()
    }

    /// Whether it gives the same for clamped operands as clamped afterwards, where the clamp does not
    /// change what it gave.
    fn commutes_with_clamps(&self) -> bool {
        self.picks()
    }

    /// Whether it lets some elements win and others lose.
    fn selects(&self) -> bool {
        false
    }

    /// Whether it turns numbers from one representation into another.
    fn converts(&self) -> bool {
        false
    }

    /// Whether an operand says where something is found: integers, whatever the layer computes.
    fn is_index(&self, _position: usize) -> bool {
        false
    }

    /// Whether its results say classes.
    fn scores(&self) -> Scores {
        Scores::None
    }

    // Under other layouts, and with fewer channels.

    /// Whether it works on tensors whose dimensions are seen in another order.
    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Fixed
    }

    /// Whether it broadcasts its operands, so that constants among them follow another order of dimensions.
    fn broadcasts(&self) -> bool {
        false
    }

    /// Whether it works under this view, if it does under any.
    fn allows(&self, _: &Graph, _: &Node, _: &View) -> bool {
        true
    }

    /// The same operator on operands that are seen under a view; `None` where it has no attribute that changes.
    fn under(&self, _: &View) -> Option<Op> {
        None
    }

    /// How it passes channels on, operand to result: a channel of its result is gone exactly when those of its operands
    /// are. Without ties is who computes each result of all operands; `None` is who needs its operands as they are.
    fn ties(&self, _: &Graph, _: &Node) -> Option<Ties> {
        None
    }

    /// Whether each int8 result moves one way when one operand's element does, so that its extremes lie at the
    /// extremes of the operands.
    fn is_monotone(&self, _: &Graph, _: &Node) -> bool {
        self.only_moves_data()
    }

    // Quantized.

    /// Scale and zero point that TFLite prescribes for its result.
    fn prescribed(&self) -> Option<(f32, i32)> {
        None
    }

    /// Whether its operands and results must share their quantization.
    fn shares_quantization(&self) -> bool {
        self.only_moves_data()
    }

    /// Whether the device has no kernel for it in any form.
    fn is_float_only(&self) -> bool {
        false
    }

    /// The ops of the device, with finished numbers. None says that the result is the operand itself, byte for byte. A
    /// form that the device cannot run is an error that names the layer.
    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        Err(cx.unsupported(node, FLOAT_ONLY))
    }

    /// The same in a TensorFlow Lite file, by one operator or several.
    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "it cannot be written as int8"))
    }
}
