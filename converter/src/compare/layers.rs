//! Compares layer by layer, with the device's kernels: how much noise has built up at each layer.

use std::cell::RefCell;
use std::collections::HashMap;

use ferrolite_runtime::Model;

use super::{LayerComparison, grid};
use crate::data::{Dataset, dequantize};
use crate::error::Result;
use crate::graph::{Graph, ValueId};
use crate::model_file;
use crate::noise::Noise;
use crate::parallel::spread;
use crate::passes;
use crate::reference::Executor;
use crate::run::{layers_of, raw};

/// Samples that the layers are compared on.
const SAMPLES: usize = 16;

/// An op's first output: its quantization, and the value of the source that has the same name.
struct Counterpart {
    quantization: Option<(f32, i32)>,
    id: ValueId,
}

/// For each op of a model, the value of the graph that its first output represents. There is none if the
/// converter fused the layer or removed it.
pub(crate) fn layer_values(graph: &Graph, model: &Model<'_>) -> Vec<Option<ValueId>> {
    let by_name: HashMap<&str, ValueId> =
        graph.values.iter().enumerate().map(|(i, v)| (v.name.as_str(), ValueId(i))).collect();
    let names = model.names();
    let value = |op| {
        let tensor: &u16 = model.operands(op).get(usize::from(op.inputs))?;
        let name = names.tensor(usize::from(*tensor))?;
        by_name.get(name).or_else(|| by_name.get(grid::authored(name))).copied()
    };
    model.ops().iter().map(value).collect()
}

/// Compares layer by layer on a few samples. A layer is compared if the source, after the converter's passes,
/// has a tensor of the same name and size. After the passes, as in the file, channels are the last dimension.
///
/// # Errors
/// When the source cannot be executed or the samples do not fit.
pub fn compare_layers(source: &Graph, model: &Model<'_>, data: &Dataset) -> Result<Vec<LayerComparison>> {
    let source = &passes::for_quantization(source);
    let names = model.names();
    let layers = model_file::layers(model);
    let pairs: Vec<Option<Counterpart>> = layer_values(source, model)
        .into_iter()
        .zip(model.ops())
        .map(|(id, op)| {
            let tensor = usize::from(*model.operands(op).get(usize::from(op.inputs))?);
            let quantization = names.tensor_port(tensor).and_then(model_file::quantization);
            Some(Counterpart { quantization, id: id? })
        })
        .collect();

    let executor = Executor::new(source)?;
    let mut noise: Vec<Noise> = vec![Noise::default(); layers.len()];
    for sample in spread(data.len(), SAMPLES) {
        let inputs = data.real(sample)?;
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let mut wanted: HashMap<ValueId, Vec<usize>> = HashMap::new();
        for (layer, pair) in pairs.iter().enumerate() {
            if let Some(pair) = pair {
                wanted.entry(pair.id).or_default().push(layer);
            }
        }
        let seen: RefCell<HashMap<usize, Vec<f32>>> = RefCell::default();
        executor.run_observed(&inputs, &mut |id, values| {
            for &layer in wanted.get(&id).into_iter().flatten() {
                seen.borrow_mut().insert(layer, values.to_vec());
            }
        })?;
        let float = seen.into_inner();
        let arrays = layers_of(model, source.op_set(), &raw(model, data, sample)?)?;
        for (index, arrays) in arrays.iter().enumerate() {
            let (Some(array), Some(float), Some(pair)) = (arrays.first(), float.get(&index), &pairs[index])
            else {
                continue;
            };
            let integer = dequantize(array.dtype, pair.quantization, &array.bytes);
            if integer.len() == float.len() {
                noise[index].add(float, &integer);
            }
        }
    }
    let compared = layers.into_iter().zip(&noise).filter(|(_, noise)| noise.count > 0);
    Ok(compared
        .map(|(layer, noise)| LayerComparison {
            index: layer.index,
            name: layer.name,
            op: layer.op,
            sqnr_db: noise.decibels(),
            ..LayerComparison::default()
        })
        .collect())
}
