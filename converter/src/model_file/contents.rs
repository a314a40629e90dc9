//! What a model's variables hold: arrays under the variables' names, and the bytes of the state that they are in.

use ferrolite_runtime::Model;
use ferrolite_schema::Port;

use super::{PortFacts, variables};
use crate::data::InputSpec;
use crate::data::npy::Array;
use crate::data::npz::NamedArray;
use crate::error::{Error, Result};

/// The state before the first inference.
pub fn initial_state(model: &Model<'_>) -> Vec<u8> {
    let mut state = model.initial_state().to_vec();
    state.resize(model.state_bytes(), 0);
    state
}

/// What each variable holds in such a state, in its own type.
pub fn contents(model: &Model<'_>, state: &[u8]) -> Vec<NamedArray> {
    let array = |(port, facts): (&Port, PortFacts)| {
        let bytes =
            place(model, port).and_then(|(from, to)| state.get(from..to)).unwrap_or_default().to_vec();
        NamedArray { name: facts.name, dtype: facts.dtype, shape: facts.shape, bytes }
    };
    model.variables().iter().zip(variables(model)).map(array).collect()
}

/// Lets a variable hold other elements: integers as they are stored, or real numbers.
///
/// # Errors
/// If the model has no such variable, and if the array has other elements than it, or one that is not finite.
pub fn replace(model: &Model<'_>, state: &mut [u8], name: &str, array: &Array) -> Result<()> {
    let all = variables(model);
    let Some(index) = all.iter().position(|variable| variable.name == name) else {
        let names: Vec<String> = all.iter().map(|variable| format!("`{}`", variable.name)).collect();
        let has = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        return Err(Error::input(format!("the model has no variable `{name}`; its variables are {has}"))
            .help("`ferrolite inspect FILE.ferro` lists them; take other arrays out"));
    };
    let spec = InputSpec::from(all[index].clone());
    let wanted = || format!("variable `{name}` holds {:?} {}", spec.shape, spec.dtype.name());
    let refuse = |what: String| {
        let help = "give its integers in its own type, or real numbers as float32";
        Error::input(format!("{}, {what}", wanted())).help(help)
    };
    if array.shape().iter().product::<usize>() != spec.elements() || array.rows() == 0 {
        return Err(refuse(format!("the array has the shape {:?}", array.shape())));
    }
    let rows = 0..array.rows();
    let whole = spec.range().is_some() && spec.quantization.is_none();
    let bytes = if array.element() == spec.own_element() && spec.range().is_some() {
        rows.flat_map(|row| array.row_bytes(row).to_vec()).collect()
    } else if array.element().is_float() {
        let real: Vec<f32> = rows.flat_map(|row| array.row_f32(row)).collect();
        if let Some(wrong) = real.iter().find(|real| !real.is_finite()) {
            return Err(refuse(format!("the array has the element {wrong}")));
        }
        spec.quantize(&real).map_err(|wrong| refuse(format!("the array has the element {wrong}")))?
    } else if whole && let Some(integers) = integers(array) {
        // Integers without a scale stand for themselves, in whatever type they come.
        spec.store(&integers).map_err(|wrong| refuse(format!("the array has the element {wrong}")))?
    } else {
        return Err(refuse(format!("the array is of {}", array.element().name())));
    };
    let place = place(model, &model.variables()[index]).and_then(|(from, to)| state.get_mut(from..to));
    match place.filter(|place| place.len() == bytes.len()) {
        Some(place) => place.copy_from_slice(&bytes),
        None => return Err(Error::internal(format!("variable `{name}` has another size than its state"))),
    }
    Ok(())
}

/// All elements of an array of integers.
fn integers(array: &Array) -> Option<Vec<i64>> {
    let rows: Option<Vec<Vec<i64>>> = (0..array.rows()).map(|row| array.row_i64(row)).collect();
    rows.map(|rows| rows.concat())
}

/// Where a variable lies in the state.
fn place(model: &Model<'_>, port: &Port) -> Option<(usize, usize)> {
    let tensor = model.variable_tensor(port)?;
    let from = (tensor.offset as usize).checked_sub(model.state_start())?;
    Some((from, from + tensor.bytes as usize))
}
