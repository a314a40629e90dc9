//! What the interpreter knows of an operator, and the answers that several operators share.

use crate::error::Fault;
use crate::node::{Eval, Node};

/// What the interpreter knows of an operator. C programs have lists of them, so the order of the fields is C's.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Operator {
    /// Its number in files: that of an [`OpCode`](crate::OpCode), or a [custom](crate::ops::custom) operator's.
    pub code: u16,
    /// Doubts the op: operands, parameters, constants, scratch. Called once, before any `eval`.
    pub check: fn(&Node<'_>) -> Result<(), Fault>,
    /// Computes the op. Only called when `check` found no fault.
    pub eval: fn(&Eval<'_>),
    /// The number of bytes that the output must start before the input at this position, at least,
    /// when the two share memory; `None` where they may not. Only called when `check` found no fault.
    pub lead: fn(&Node<'_>, usize) -> Option<u32>,
}

impl core::fmt::Debug for Operator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Operator").field(&self.code).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Operator {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Operator({})", self.code);
    }
}

/// The operators that a program links, best in ascending order of their codes: they are found faster then.
pub type OpSet = &'static [Operator];

/// The `lead` of operators whose output never shares memory with an input.
pub fn no_overlap(_: &Node<'_>, _: usize) -> Option<u32> {
    None
}

/// The `lead` of operators that read element `i` of every input before they write element `i` of
/// the output, all of one size: in place.
pub fn in_place(_: &Node<'_>, _: usize) -> Option<u32> {
    Some(0)
}
