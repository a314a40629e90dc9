//! Lookup: `out[i] = table[in[i]]`, any function of one 8-bit number: LOGISTIC, TANH, HARD_SWISH,
//! LEAKY_RELU, requantization, …. The converter computes the 256 results.

use ferrolite_schema::params::LookupParams;
use ferrolite_schema::{DType, OpCode, Tensor};

use super::{Operator, in_place};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Lookup as u16, check, eval: eval::<K>, lead: in_place }
}

fn is_byte(tensor: &Tensor) -> bool {
    tensor.in_arena() && matches!(tensor.dtype(), Some(DType::Int8 | DType::UInt8 | DType::Bool))
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &LookupParams = node.params()?;
    node.expect_operands(1, 1)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    if !is_byte(input) || !is_byte(output) {
        return Err(Fault::Operands);
    }
    if input.bytes != output.bytes {
        return Err(Fault::Sizes);
    }
    node.constants::<u8>(p.table, 256).map(|_| ())
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<LookupParams>() else { return };
    let Ok(table) = eval.node().constants::<[u8; 256]>(p.table, 1) else { return };
    if let [table] = table {
        K::lookup(eval.input(0), table, eval.output(0));
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use std::vec::Vec;

    let mut constants = Constants::default();
    let turn = random.next() as u8;
    // Each byte has an answer of its own.
    let table: Vec<u8> = (0..=255u8).map(|x| x.wrapping_mul(77).wrapping_add(turn)).collect();
    let p = LookupParams { table: constants.push(&table) };
    let bytes = dim(random, 150);
    let mut byte = || [DType::Int8, DType::UInt8, DType::Bool][random.below(3)];
    let (from, to) = (byte(), byte());
    Case::of(OpCode::Lookup, &p, constants).input(random, from, bytes).output(to, bytes)
}
