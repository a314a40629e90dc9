//! Checks that operators on int16 share.

use ferrolite_schema::params::Broadcast;
use ferrolite_schema::{DType, Tensor};

use super::broadcast;
use crate::error::Fault;
use crate::node::Node;

/// Checks that a number, such as a zero point, is an int16 value.
#[inline]
pub fn check_int16(number: i32) -> Result<(), Fault> {
    if i16::try_from(number).is_ok() { Ok(()) } else { Err(Fault::Parameters) }
}

/// Checks that a clamp is one of int16 values.
#[inline]
pub fn check_clamp(min: i32, max: i32) -> Result<(), Fault> {
    check_int16(min)?;
    check_int16(max)?;
    if min <= max { Ok(()) } else { Err(Fault::Parameters) }
}

/// Checks an int16 operand, in the arena or constant.
#[inline]
pub fn expect_operand(node: &Node<'_>, tensor: &Tensor, elements: u32) -> Result<(), Fault> {
    if tensor.dtype != DType::Int16 as u8 {
        return Err(Fault::Operands);
    }
    if elements.checked_mul(2) != Some(tensor.bytes) {
        return Err(Fault::Sizes);
    }
    node.expect_known::<i16>(tensor)
}

/// Checks the operands of an op of two int16 inputs, in the arena or constant, and one int16 output.
#[inline]
pub fn check(node: &Node<'_>, shape: &Broadcast) -> Result<(), Fault> {
    node.expect_operands(2, 1)?;
    let [total, of_a, of_b] = broadcast::elements(shape)?;
    expect_operand(node, node.input(0)?, of_a)?;
    expect_operand(node, node.input(1)?, of_b)?;
    node.expect_tensor(node.output(0)?, DType::Int16, total)
}

/// Checks the common form: one int16 input and one int16 output, both in the arena.
#[inline]
pub fn expect(node: &Node<'_>, input_elements: u32, output_elements: u32) -> Result<(), Fault> {
    node.expect_operands(1, 1)?;
    node.expect_tensor(node.input(0)?, DType::Int16, input_elements)?;
    node.expect_tensor(node.output(0)?, DType::Int16, output_elements)
}

/// The same of operators that make one element of each, however many there are.
#[inline]
pub fn expect_pairs(node: &Node<'_>) -> Result<(), Fault> {
    let elements = node.input(0)?.bytes / 2;
    expect(node, elements, elements)
}
