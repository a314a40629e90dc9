//! Merge: the value of the branch that was taken. IF ends with one for each of its results.
//!
//! ```text
//! output = condition ? then : otherwise
//! ```
//! Both values have the output's type and size. The one that is not taken is not read, so that the ops that would have
//! written it may have been [skipped](super::skip_if).

use ferrolite_schema::params::MergeParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, in_place};
use crate::error::Fault;
use crate::node::{Eval, Node};

/// Position of the condition, and of the values by the truth value that takes them.
pub(super) const CONDITION: usize = 0;
pub(super) const TAKEN_BY: [usize; 2] = [2, 1];

/// The operator.
pub const fn operator() -> Operator {
    // Bytes are copied in order, and the condition is read before.
    Operator { code: OpCode::Merge as u16, check, eval, lead: in_place }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &MergeParams = node.params()?;
    node.expect_operands(3, 1)?;
    node.expect_tensor(node.input(CONDITION)?, DType::Bool, 1)?;
    let output = node.output(0)?;
    if output.bytes != p.bytes {
        return Err(Fault::Sizes);
    }
    for position in TAKEN_BY {
        let value = node.input(position)?;
        if value.dtype != output.dtype {
            return Err(Fault::Operands);
        }
        if value.bytes != p.bytes {
            return Err(Fault::Sizes);
        }
    }
    Ok(())
}

fn eval(eval: &Eval<'_>) {
    let [no, yes] = TAKEN_BY;
    let taken = if holds(eval) { yes } else { no };
    let (value, out) = (eval.view::<u8>(taken), eval.output::<u8>(0));
    // Often the output lies over the value, and there is nothing to do.
    if value.as_ptr() != out.as_ptr().cast() {
        value.copy_to(out);
    }
}

/// Whether the condition of an op holds: any byte but 0 is true.
pub(super) fn holds(eval: &Eval<'_>) -> bool {
    eval.input::<u8>(CONDITION).first().is_some_and(|byte| byte.get() != 0)
}

/// Any op, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};

    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let bytes = dim(random, 20) * dtype.size() as u32;
    let case = Case::of(OpCode::Merge, &MergeParams { bytes }, Constants::default());
    let mut case = case.input(random, DType::Bool, 1).input(random, dtype, bytes).input(random, dtype, bytes);
    case.inputs[CONDITION].data[0] = random.below(2) as u8;
    if let Some(value) = case.inputs.get_mut(1 + random.below(4)) {
        value.storage = ferrolite_schema::Storage::Constant;
    }
    case.output(dtype, bytes)
}
