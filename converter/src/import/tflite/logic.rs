//! Comparisons, truth values, choices by them, and casts.

use super::layer::{Layer, Place, Reason, Step, Translated, broadcast};
use crate::graph::{Cast, Compare, CompareKind, DType, Graph, LogicKind, Op, ValueId};

/// Inputs of float32 that are only cast to integers, as Keras declares the indices of an Embedding, are taken as int32; but
/// for those whose integers are a result of the model.
pub(super) fn index_inputs(graph: &mut Graph, notes: &mut Vec<String>) {
    let only_cast = |graph: &Graph, id: ValueId| {
        let mut readers = graph.nodes.iter().filter(|node| node.inputs.contains(&Some(id))).peekable();
        let integer = |id: &ValueId| {
            matches!(graph.value(*id).dtype, DType::Int32 | DType::Int64) && !graph.is_output(*id)
        };
        readers.peek().is_some()
            && readers.all(|node| matches!(node.op, Op::Cast(_)) && node.outputs.iter().all(integer))
    };
    for position in 0..graph.inputs.len() {
        let id = graph.inputs[position];
        if graph.value(id).dtype != DType::Float32 || graph.is_output(id) || !only_cast(graph, id) {
            continue;
        }
        let name = graph.value(id).name.clone();
        notes.push(format!("input `{name}` holds indices: it is taken as Int32 rather than Float32"));
        graph.value_mut(id).dtype = DType::Int32;
        for index in 0..graph.nodes.len() {
            let node = &graph.nodes[index];
            let same = node.outputs.iter().all(|&id| graph.value(id).dtype == DType::Int32);
            if node.input(0) == Some(id) && same {
                graph.nodes[index].op = Op::Reshape;
            }
        }
    }
}

/// LESS and its kind. Operands that are int8 in the file are compared as TensorFlow Lite Micro does.
pub(super) fn compare(layer: &Layer<'_>, kind: CompareKind) -> Result<Translated, Reason> {
    let (a, b) = (layer.input(0)?, layer.input(1)?);
    layer.expect_output(&broadcast(&a.shape, &b.shape)?)?;
    let rounded = matches!(a.dtype, DType::Int8 | DType::UInt8);
    Ok(Translated::new(Op::Compare(Compare { kind, rounded }), layer.inputs))
}

/// LOGICAL_AND, LOGICAL_OR, LOGICAL_NOT.
pub(super) fn logical(layer: &Layer<'_>, kind: LogicKind) -> Result<Translated, Reason> {
    let mut shape = layer.input(0)?.shape.clone();
    if kind.is_binary() {
        shape = broadcast(&shape, &layer.input(1)?.shape)?;
    }
    layer.expect_output(&shape)?;
    Ok(Translated::new(Op::Logic(kind), layer.inputs))
}

/// SELECT_V2: condition, x, y; and SELECT, in which a vector as the condition chooses rows.
pub(super) fn select(layer: &Layer<'_>, first: bool) -> Result<Translated, Reason> {
    let (condition, x, y) = (layer.input(0)?, layer.input(1)?, layer.input(2)?);
    let values = broadcast(&x.shape, &y.shape)?;
    if first && condition.shape.len() == 1 && values.len() > 1 {
        layer.expect_output(&values)?;
        let mut rows = vec![1; values.len()];
        rows[0] = condition.shape[0];
        let inputs = [0, 1, 2].map(|position| layer.id(position));
        let steps = vec![
            Step { op: Op::Reshape, inputs: vec![Place::Operand(inputs[0])], shape: rows },
            Step {
                op: Op::Select,
                inputs: vec![Place::Step(0), Place::Operand(inputs[1]), Place::Operand(inputs[2])],
                shape: values,
            },
        ];
        return Ok(Translated::several(steps, layer.inputs));
    }
    layer.expect_output(&broadcast(&condition.shape, &values)?)?;
    Ok(Translated::new(Op::Select, layer.inputs))
}

/// CAST. What has a scale in the file counts as the integers that are stored.
pub(super) fn cast(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let (input, output) = (layer.input(0)?, layer.output()?);
    layer.expect_output(&input.shape)?;
    let stored = input.quantization.is_some() || output.quantization.is_some();
    Ok(Translated::new(Op::Cast(Cast { stored }), &layer.inputs[..1]))
}
