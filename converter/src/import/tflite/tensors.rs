//! The tensors of a subgraph become [`Value`]s: names, shapes, element types, quantization and
//! constant data, all doubted.
//!
//! A tensor that is broken (its data does not fill its shape, its buffer does not exist) refuses
//! the file. A tensor that is sound but of a kind Ferrolite does not hold (strings, sparse
//! weights, variables, …) gets a *fault*, a sentence that ends up as the reason why the layers
//! that touch it are unsupported.

use std::collections::{HashMap, HashSet};

use super::{constants, sparse};
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Quantization, Value, ValueId};
use crate::import::damaged::DAMAGED;
use crate::tflite as schema;

/// No tensor of a model for a microcontroller comes near this many elements.
const MAX_ELEMENTS: usize = 1 << 31;

/// The tensors of a subgraph, by their index in the file.
pub(super) struct Tensors {
    /// Value `i` is tensor `i`.
    pub values: Vec<Value>,
    /// Why layers that touch the tensor cannot be converted, if they cannot.
    pub faults: Vec<Option<String>>,
    /// The tensor's own name, which names the layer that writes it; `values` carry the names of
    /// the model's signature at the borders.
    pub layer_names: Vec<String>,
    /// Dimensions that the file leaves open: there its shape has a 1, which may be another number.
    pub open: Vec<Vec<bool>>,
    /// Whether the file stores its elements with four bits each.
    pub four_bits: Vec<bool>,
}

impl Tensors {
    /// The values of four bits, where the first tensor is this value.
    pub fn small(&self, first: usize) -> Vec<ValueId> {
        let all = self.four_bits.iter().enumerate();
        all.filter(|(_, four_bits)| **four_bits).map(|(index, _)| ValueId(first + index)).collect()
    }
}

/// What a subgraph is.
#[derive(Clone, Copy)]
pub(super) enum Whose<'f> {
    /// The model itself: its inputs and outputs are called as the signature says.
    Model(Option<schema::SignatureDef<'f>>),
    /// Part of it, which stands before the names of its tensors.
    Branch(&'f str),
}

/// Reads all tensors of a subgraph. `file` is the whole file; `written` says which tensors are inputs or results of
/// operators.
pub(super) fn read(
    model: &schema::Model<'_>,
    subgraph: &schema::SubGraph<'_>,
    file: &[u8],
    written: &HashSet<usize>,
    whose: Whose<'_>,
) -> Result<Tensors> {
    let tensors: Vec<schema::Tensor<'_>> = subgraph.tensors().into_iter().flatten().collect();
    let mut layer_names = unique_names(tensors.iter().enumerate().map(|(i, t)| readable(t.name(), i)));
    let value_names = match whose {
        Whose::Model(signature) => signature_names(signature, &layer_names),
        Whose::Branch(branch) => {
            layer_names.iter_mut().for_each(|name| *name = format!("{branch}/{name}"));
            layer_names.clone()
        }
    };
    // Tensors may share a buffer; without a bound, a small file could unpack into any amount.
    let mut budget = file.len().saturating_mul(16).saturating_add(1 << 20);

    let (mut values, mut faults, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (tensor, name)) in tensors.iter().zip(value_names).enumerate() {
        let broken = |what: String| Error::input(format!("tensor `{name}`: {what}")).help(DAMAGED);
        let mut fault = unsupported_kind(tensor);
        let shape: Vec<i64> = tensor.shape().into_iter().flatten().map(i64::from).collect();
        let shape: Vec<usize> = match shape.iter().map(|&d| usize::try_from(d).ok()).collect() {
            Some(shape) => shape,
            None => {
                fault.get_or_insert(format!("shape {shape:?} is not fixed"));
                vec![0]
            }
        };
        let elements = shape
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .filter(|&n| n < MAX_ELEMENTS)
            .ok_or_else(|| broken(format!("shape {shape:?} has too many elements")))?;
        let quantization = quantization(tensor, &shape).unwrap_or_else(|why| {
            fault.get_or_insert(why);
            None
        });
        let data = buffer(model, tensor, file).map_err(broken)?;
        let mut constant = None;
        let mut spread = Vec::new();
        let data = match tensor.sparsity().filter(|_| fault.is_none() && !data.is_empty()) {
            None => data,
            Some(sparsity) => {
                budget = budget
                    .checked_sub(constants::stored_bytes(tensor.type_(), elements).unwrap_or(usize::MAX))
                    .ok_or_else(|| broken("the constants together are far larger than the file".into()))?;
                match dense(tensor, &sparsity, data, &shape) {
                    Ok(bytes) => spread = bytes,
                    Err(why) => fault = Some(why),
                }
                &spread
            }
        };
        if fault.is_none() && (!data.is_empty() || (elements == 0 && !written.contains(&index))) {
            let expected = constants::stored_bytes(tensor.type_(), elements);
            if expected != Some(data.len()) {
                return Err(broken(format!(
                    "its buffer holds {} bytes, but shape {shape:?} of {} takes {}",
                    data.len(),
                    constants::type_name(tensor.type_()),
                    expected.unwrap_or(0)
                )));
            }
            constant = constants::decode(tensor.type_(), data, elements);
            let bytes = constant.as_ref().map_or(0, |c| c.len() * c.dtype().size());
            budget = budget
                .checked_sub(bytes)
                .ok_or_else(|| broken("the constants together are far larger than the file".into()))?;
        }
        if elements == 0 && constant.is_none() {
            fault.get_or_insert(format!("shape {shape:?} holds no elements"));
        }
        if constant.is_none()
            && matches!(tensor.type_(), schema::TensorType::FLOAT16 | schema::TensorType::INT4)
        {
            fault.get_or_insert(format!("activations of type {}", constants::type_name(tensor.type_())));
        }
        values.push(Value {
            name,
            shape,
            // A faulty tensor's type is never used; its layers are unsupported.
            dtype: constants::graph_type(tensor.type_()).unwrap_or(DType::Int32),
            quantization,
            constant,
        });
        faults.push(fault);
        open.push(tensor.shape_signature().into_iter().flatten().map(|dim| dim == -1).collect());
    }
    let four_bits = tensors.iter().map(|tensor| tensor.type_() == schema::TensorType::INT4).collect();
    Ok(Tensors { values, faults, layer_names, open, four_bits })
}

/// What Ferrolite cannot hold, if the tensor is of such a kind.
fn unsupported_kind(tensor: &schema::Tensor<'_>) -> Option<String> {
    if constants::graph_type(tensor.type_()).is_none() {
        return Some(format!("element type {}", constants::type_name(tensor.type_())));
    }
    if tensor.is_variable() {
        return Some("a variable, which keeps its state between inferences".into());
    }
    (tensor.external_buffer() != 0).then(|| "its data lies in another file".into())
}

/// The bytes of a sparse constant with its zeroes, which are those of its zero point.
fn dense(
    tensor: &schema::Tensor<'_>,
    sparsity: &schema::SparsityParameters<'_>,
    data: &[u8],
    shape: &[usize],
) -> Result<Vec<u8>, String> {
    let size =
        constants::stored_bytes(tensor.type_(), 1).filter(|_| tensor.type_() != schema::TensorType::INT4);
    let size = size.ok_or("sparse storage of elements of four bits")?;
    let places = sparse::places(sparsity, shape)?;
    if places.len().checked_mul(size) != Some(data.len()) {
        return Err("its sparse storage is damaged".into());
    }
    let zero_point =
        tensor.quantization().and_then(|q| q.zero_point().filter(|z| z.len() == 1).map(|z| z.get(0)));
    let zero = zero_point.unwrap_or(0).to_le_bytes();
    let zero = zero.get(..size).ok_or("sparse storage of long elements")?;
    let mut bytes = zero.repeat(shape.iter().product());
    for (element, place) in data.chunks_exact(size).zip(places) {
        bytes[place * size..][..size].copy_from_slice(element);
    }
    Ok(bytes)
}

/// The quantization of an integer tensor, checked against its shape. `Err` says why it is of no
/// use.
fn quantization(tensor: &schema::Tensor<'_>, shape: &[usize]) -> Result<Option<Quantization>, String> {
    let Some(q) = tensor.quantization() else { return Ok(None) };
    if q.details_type() != schema::QuantizationDetails::NONE {
        return Err("block-wise or custom quantization".into());
    }
    let scale: Vec<f32> = q.scale().into_iter().flatten().collect();
    let (low, high) = match constants::graph_type(tensor.type_()) {
        Some(DType::Int8) => (-128, 127),
        Some(DType::UInt8) => (0, 255),
        Some(DType::Int16) => (-32768, 32767),
        Some(DType::Int32) => (i64::from(i32::MIN), i64::from(i32::MAX)),
        // Float tensors often carry the ranges that some tool observed: no quantization.
        _ => return Ok(None),
    };
    if scale.is_empty() {
        return Ok(None);
    }
    if let Some(bad) = scale.iter().find(|s| !s.is_finite() || **s <= 0.0) {
        return Err(format!("quantization scale {bad}"));
    }
    let mut zero_point: Vec<i64> = q.zero_point().into_iter().flatten().collect();
    match zero_point.as_slice() {
        [] => zero_point = vec![0; scale.len()],
        // One zero point for all channels is common shorthand.
        &[one] => zero_point = vec![one; scale.len()],
        _ => {}
    }
    if zero_point.len() != scale.len() {
        return Err(format!("{} quantization scales but {} zero points", scale.len(), zero_point.len()));
    }
    if let Some(bad) = zero_point.iter().find(|z| !(low..=high).contains(*z)) {
        return Err(format!("zero point {bad} is outside of the element type's range"));
    }
    let mut axis = usize::try_from(q.quantized_dimension()).unwrap_or(usize::MAX);
    // Converters of 2019 wrote a bias's axis as that of its filter; there is only one axis.
    if shape.len() == 1 {
        axis = 0;
    }
    if scale.len() == 1 {
        axis = 0;
    } else if shape.get(axis) != Some(&scale.len()) {
        return Err(format!("{} quantization scales along dimension {axis} of shape {shape:?}", scale.len()));
    }
    // In range: checked above against bounds within i32.
    let zero_point = zero_point.iter().map(|&z| z as i32).collect();
    Ok(Some(Quantization { scale, zero_point, axis }))
}

/// The bytes of a tensor's buffer, empty when there are none.
fn buffer<'a>(
    model: &schema::Model<'a>,
    tensor: &schema::Tensor<'_>,
    file: &'a [u8],
) -> Result<&'a [u8], String> {
    let index = tensor.buffer() as usize;
    if index == 0 {
        return Ok(&[]);
    }
    let buffers = model.buffers().filter(|b| index < b.len());
    let Some(buffer) = buffers.map(|b| b.get(index)) else {
        return Err(format!("refers to buffer {index}, which does not exist"));
    };
    // In files above 2 GB the data follows the flatbuffer.
    if buffer.offset() > 1 {
        let range = usize::try_from(buffer.offset())
            .ok()
            .and_then(|start| Some(start..start.checked_add(usize::try_from(buffer.size()).ok()?)?));
        return range
            .and_then(|range| file.get(range))
            .ok_or_else(|| format!("buffer {index} lies outside of the file"));
    }
    Ok(buffer.data().map_or(&[], |data| data.bytes()))
}

/// A name that a person can read and a terminal can print; unnamed tensors get their number.
fn readable(name: Option<&str>, index: usize) -> String {
    let name = name.unwrap_or_default().trim();
    if name.is_empty() {
        return format!("tensor_{index}");
    }
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

/// Appends `_1`, `_2`, … to names that occurred before.
fn unique_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut used = HashSet::new();
    let mut next: HashMap<String, usize> = HashMap::new();
    let mut unique = |name: String| {
        let mut candidate = name.clone();
        while !used.insert(candidate.clone()) {
            let count = next.entry(name.clone()).or_insert(0);
            *count += 1;
            candidate = format!("{name}_{count}");
        }
        candidate
    };
    names.map(&mut unique).collect()
}

/// Names of the model's inputs and outputs as its signature gives them (`x` rather than
/// `serving_default_x:0`): data are matched to inputs by these. Other tensors keep their names,
/// made different where a signature took them.
fn signature_names(signature: Option<schema::SignatureDef<'_>>, layer_names: &[String]) -> Vec<String> {
    let Some(signature) = signature else { return layer_names.to_vec() };
    let mut chosen: HashMap<usize, String> = HashMap::new();
    let mut taken = HashSet::new();
    let maps = signature.inputs().into_iter().flatten().chain(signature.outputs().into_iter().flatten());
    for map in maps {
        let index = map.tensor_index() as usize;
        let name = readable(map.name(), index);
        if index < layer_names.len() && !chosen.contains_key(&index) && taken.insert(name.clone()) {
            chosen.insert(index, name);
        }
    }
    let first = chosen.iter().map(|(&index, name)| (index, name.clone()));
    let rest = layer_names.iter().enumerate().filter(|(i, _)| !chosen.contains_key(i));
    let (order, names): (Vec<usize>, Vec<String>) = first.chain(rest.map(|(i, n)| (i, n.clone()))).unzip();
    let mut result = vec![String::new(); layer_names.len()];
    for (index, name) in order.into_iter().zip(unique_names(names.into_iter())) {
        result[index] = name;
    }
    result
}

/// The integers of a constant operand.
pub(super) fn integers(value: &Value) -> Option<Vec<i64>> {
    match value.constant.as_ref()? {
        Constant::Bool(_) => None,
        constant => constant.to_i64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_unique_and_printable() {
        let names = ["a", "a", "a_1", "", "a\n"].map(String::from);
        let names = names.into_iter().enumerate().map(|(i, n)| readable(Some(&n), i));
        assert_eq!(unique_names(names), ["a", "a_1", "a_1_1", "tensor_3", "a_2"]);
    }
}
