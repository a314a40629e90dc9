//! Assign: a variable, which is state, becomes a run of bytes of a tensor. ASSIGN_VARIABLE, with the SLICE before it.
//!
//! ```text
//! variable = x[source .. source + bytes of the variable]
//! ```
//! A window over a stream is a variable with the end of what was seen before: a copy puts new elements behind it, layers
//! read both, and this op keeps the last of them. Whatever reads the variable's old value does so in an op before.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::AssignParams;

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::copy_run;

/// Position of the variable.
const VARIABLE: usize = 1;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Assign as u16, check, eval, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &AssignParams = node.params()?;
    node.expect_operands(2, 0)?;
    let (input, variable) = (node.input(0)?, node.input(VARIABLE)?);
    node.expect_state(VARIABLE, variable.bytes)?;
    // Two tensors of the state share no byte, unless they are one.
    let same = input.is_state() && input.offset == variable.offset;
    if input.dtype != variable.dtype || same {
        return Err(Fault::Operands);
    }
    let end = p.source.checked_add(variable.bytes);
    if end.is_some_and(|end| end <= input.bytes) { Ok(()) } else { Err(Fault::Sizes) }
}

fn eval(eval: &Eval<'_>) {
    let Some(p) = eval.node().checked_params::<AssignParams>() else { return };
    let (input, variable) = (eval.view::<u8>(0), eval.input::<u8>(VARIABLE));
    copy_run(input.range(p.source as usize, variable.len()), variable);
}

/// No op is a program by itself: `tests/tests/variables.rs` has programs.
#[cfg(feature = "cases")]
pub(super) fn case(_: &mut crate::cases::Random) -> crate::cases::Case {
    panic!("an assignment has no output")
}
