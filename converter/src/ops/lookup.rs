//! Functions of one 8-bit number, as tables of 256 bytes.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::LookupParams;

use crate::emit::{Lowered, Lowering};
use crate::error::Result;
use crate::graph::ValueId;

/// An op that applies `function` to each element. The table is indexed by the input's bits.
pub(super) fn table(
    cx: &mut Lowering<'_>,
    input: ValueId,
    output: ValueId,
    function: impl Fn(i8) -> i8,
) -> Result<Lowered> {
    let table: Vec<i8> = (0..=u8::MAX).map(|bits| function(bits as i8)).collect();
    let params = LookupParams { table: cx.constants.add(&table, 1)? };
    Ok(Lowered::new(OpCode::Lookup, vec![input], vec![output], &params))
}
