//! Where variables lie in the state, and what reads them there.

use std::collections::HashMap;

use ferrolite_schema::OpCode;

use crate::error::{Error, Result};
use crate::graph::{DType, Graph, State, ValueId};
use crate::ops::lowering::States;

/// Where each value of a graph that is state lies.
pub(super) type Places = HashMap<ValueId, u32>;

/// Where the variables of several graphs lie, which are the same ones: the places of each graph's values, and what the state
/// begins with.
pub(super) fn placed_together(graphs: &[&Graph]) -> Result<(Vec<Places>, Vec<u8>)> {
    let Some((first, others)) = graphs.split_first() else { return Ok((Vec::new(), Vec::new())) };
    let States { initial, places } = placed(first)?;
    let mut all = vec![places];
    for other in others {
        let mut places = Places::new();
        for state in &other.states {
            let here = |theirs: &&State| {
                theirs.name == state.name
                    && first.value(theirs.value).bytes() == other.value(state.value).bytes()
            };
            let Some(theirs) = first.states.iter().find(here) else { return Err(other_type(&state.name)) };
            let (a, b) = (first.value(theirs.value), other.value(state.value));
            if (a.dtype, &a.quantization) != (b.dtype, &b.quantization) || theirs.initial != state.initial {
                return Err(other_type(&state.name));
            }
            places.insert(state.value, all[0][&theirs.value]);
        }
        all.push(places);
    }
    Ok((all, initial))
}

/// Files that were quantized function by function have such variables.
fn other_type(variable: &str) -> Error {
    Error::input(format!(
        "variable `{variable}` has another type, size or scale in one of the entry points than in another"
    ))
    .help("convert the model that was not quantized, with `--calibrate DATA`; `--signature NAME` converts one alone")
}

/// Where the author's variables lie in the state, and what they begin with: those that begin with zeros are the last, as a
/// file does not have these bytes.
pub(super) fn placed(graph: &Graph) -> Result<States> {
    let bytes: Vec<Vec<u8>> = graph.states.iter().map(|state| state.initial.to_le_bytes()).collect();
    let mut order: Vec<usize> = (0..bytes.len()).collect();
    order.sort_by_key(|&number| bytes[number].iter().all(|&byte| byte == 0));
    let mut states = States::default();
    for number in order {
        let (state, bytes) = (&graph.states[number], &bytes[number]);
        let value = graph.value(state.value);
        if bytes.len() != value.bytes() || bytes.is_empty() {
            return Err(Error::internal(format!("variable `{}` begins with other elements", state.name)));
        }
        let align = if value.dtype == DType::Int64 { 8 } else { 4 };
        states.initial.resize(states.initial.len().next_multiple_of(align), 0);
        states.places.insert(state.value, states.initial.len() as u32);
        states.initial.extend(bytes);
        if states.initial.len() > 1 << 30 {
            return Err(Error::input("the model's variables together are larger than 1 GiB"));
        }
    }
    Ok(states)
}

/// Whether an operator reads state as it is: those that move bytes from wherever they are.
pub(super) fn reads_state(code: u16) -> bool {
    [OpCode::StridedCopy, OpCode::Merge, OpCode::Assign].iter().any(|&moving| moving as u16 == code)
}
