//! Lists of rows: loops over time keep their rows in a list, which TensorFlow's converter writes as a tensor.
//!
//! A row is entered by cutting the tensor in two and joining the parts around the row. No such copy is made here: lists
//! are known by their parts, and what is read of them is the part that was entered. `rolled` then finds the cell in the
//! rounds.

use std::collections::HashMap;

use super::builder::Builder;
use crate::graph::{Activation, Concat, DType, Node, Op, Slice, Value, ValueId};
use crate::tflite::{self as schema, BuiltinOperator as Code};

/// Some rows of a value: the first one, and their number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    value: ValueId,
    first: usize,
    count: usize,
}

/// Values that consist of rows of others, none of which is written yet.
#[derive(Default)]
pub(super) struct Lists {
    parts: HashMap<ValueId, Vec<Part>>,
    /// Loops that are being read.
    pub(super) depth: usize,
}

impl Lists {
    /// The parts of a value.
    fn of(&self, builder: &Builder, id: ValueId) -> Vec<Part> {
        let count = builder.graph.value(id).shape.first().copied().unwrap_or(0);
        self.parts.get(&id).cloned().unwrap_or_else(|| vec![Part { value: id, first: 0, count }])
    }

    /// Cuts or joins lists without a copy; false if the operator is something else.
    pub(super) fn take(
        &mut self,
        builder: &mut Builder,
        code: Code,
        operator: schema::Operator<'_>,
        node: &Node,
    ) -> bool {
        let &[output] = node.outputs.as_slice() else { return false };
        if self.depth == 0 || builder.graph.value(output).dtype != DType::Float32 {
            return false;
        }
        let found = match code {
            Code::SLICE => self.cut(builder, node),
            Code::CONCATENATION => self.join(builder, operator, node),
            _ => None,
        };
        let Some((parts, mut shape)) = found else { return false };
        shape[0] = parts.iter().map(|part| part.count).sum();
        builder.graph.value_mut(output).shape = shape;
        self.parts.insert(output, parts);
        true
    }

    /// SLICE of whole rows.
    fn cut(&self, builder: &Builder, node: &Node) -> Option<(Vec<Part>, Vec<usize>)> {
        let x = node.input(0)?;
        let shape = builder.graph.value(x).shape.clone();
        let numbers = |at: usize| builder.graph.constant(node.input(at))?.to_i64();
        let (begin, size) = (numbers(1)?, numbers(2)?);
        let (&rows, rest) = shape.split_first()?;
        if begin.len() != shape.len() || size.len() != shape.len() {
            return None;
        }
        let begin_rows = usize::try_from(begin[0]).ok().filter(|&first| first <= rows)?;
        let count = if size[0] == -1 { rows - begin_rows } else { usize::try_from(size[0]).ok()? };
        let whole = |(at, &dim): (usize, &usize)| {
            begin[at + 1] == 0 && (size[at + 1] == -1 || usize::try_from(size[at + 1]) == Ok(dim))
        };
        if begin_rows.checked_add(count)? > rows || !rest.iter().enumerate().all(whole) {
            return None;
        }
        let (mut skip, mut left, mut parts) = (begin_rows, count, Vec::new());
        for part in self.of(builder, x) {
            let from = skip.min(part.count);
            let taken = left.min(part.count - from);
            skip -= from;
            left -= taken;
            if taken > 0 {
                parts.push(Part { value: part.value, first: part.first + from, count: taken });
            }
        }
        Some((parts, shape))
    }

    /// CONCATENATION of rows.
    fn join(
        &self,
        builder: &Builder,
        operator: schema::Operator<'_>,
        node: &Node,
    ) -> Option<(Vec<Part>, Vec<usize>)> {
        let options = operator.builtin_options_as_concatenation_options()?;
        let inputs: Vec<ValueId> = node.inputs.iter().copied().collect::<Option<_>>()?;
        let shape = builder.graph.value(*inputs.first()?).shape.clone();
        let is_first = options.axis() == 0 || usize::try_from(-options.axis()) == Ok(shape.len());
        let plain = options.fused_activation_function() == schema::ActivationFunctionType::NONE;
        // Only what has been cut is a list.
        let is_list = inputs.iter().any(|id| self.parts.contains_key(id));
        let same = inputs.iter().all(|&id| builder.graph.value(id).shape.get(1..) == shape.get(1..));
        (is_first && plain && is_list && same && shape.len() > 1).then(|| {
            let mut parts: Vec<Part> = Vec::new();
            for part in inputs.iter().flat_map(|&id| self.of(builder, id)) {
                match parts.last_mut() {
                    Some(last) if last.value == part.value && last.first + last.count == part.first => {
                        last.count += part.count;
                    }
                    _ => parts.push(part),
                }
            }
            (parts, shape)
        })
    }

    /// Writes a list that something else reads.
    pub(super) fn write(&mut self, builder: &mut Builder, id: ValueId) {
        let Some(parts) = self.parts.remove(&id) else { return };
        let (name, shape) = {
            let value = builder.graph.value(id);
            (value.name.clone(), value.shape.clone())
        };
        let mut inputs = Vec::with_capacity(parts.len());
        let alone = parts.len() == 1;
        for (number, part) in parts.into_iter().enumerate() {
            let source = builder.graph.value(part.value).shape.clone();
            let mut size = shape.clone();
            size[0] = part.count;
            if source == size {
                inputs.push(Some(part.value));
                continue;
            }
            let mut begin = vec![0; size.len()];
            begin[0] = part.first;
            let op = Op::Slice(Slice { begin, stride: vec![1; size.len()], size: size.clone() });
            let name = format!("{name}/{number}");
            let output = match alone {
                true => id,
                false => builder.value(Value {
                    name: name.clone(),
                    shape: size,
                    dtype: DType::Float32,
                    quantization: None,
                    constant: None,
                }),
            };
            builder.graph.nodes.push(Node {
                name,
                op,
                inputs: vec![Some(part.value)],
                outputs: vec![output],
            });
            if alone {
                return;
            }
            inputs.push(Some(output));
        }
        let op = match alone {
            true => Op::Reshape,
            false => Op::Concat(Concat { axis: 0, activation: Activation::None }),
        };
        builder.graph.nodes.push(Node { name, op, inputs, outputs: vec![id] });
    }
}
