//! Operators of the user's own: what the host has to know of them is asked of the registry's implementation
//! (`graph::custom`), and what it answers is doubted like a file.

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::types;
use crate::error::Result;
use crate::graph::custom::{CustomLayer, Prepared, Scales};
use crate::graph::{Custom, DType, Node, Value};

/// TensorFlow Lite's operators that become it: none that has a name there.
pub(super) const RUN_AS: RunAs = &[];

/// Whether a value holds integers that stand for themselves.
fn is_plain(value: &Value) -> bool {
    value.dtype != DType::Float32 && value.quantization.is_none()
}

impl Operator for Custom {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let shapes = self.host().shapes(self.attributes(), &check.inputs).map_err(|why| check.error(why))?;
        if check.inferred.is_some() {
            return check.output(shapes.first().ok_or_else(|| check.unknown())?);
        }
        check.ensure(shapes == check.outputs, || {
            format!("its results have shapes {:?}, but {shapes:?} follow from its operands", check.outputs)
        })
    }

    fn has_several_results(&self) -> bool {
        true
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        let operands = inputs.iter().filter(|value| value.constant.is_none() && !is_plain(value));
        let all: Vec<&Value> = outputs.iter().chain(operands).copied().collect();
        types::one_type(&all, &[])
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let results = self.host().eval(self.attributes(), x.tensors);
        let found: Vec<usize> = results.iter().map(Vec::len).collect();
        assert_eq!(found, x.lengths(), "custom operator `{}`: elements of its results in float", self.name());
        results
    }

    fn is_index(&self, position: usize) -> bool {
        self.host().is_index(position)
    }

    fn prescribed(&self) -> Option<(f32, i32)> {
        match self.host().scales(self.attributes()) {
            Scales::Prescribed { scale, zero_point } => Some((scale, zero_point)),
            _ => None,
        }
    }

    fn shares_quantization(&self) -> bool {
        self.host().scales(self.attributes()) == Scales::Shared
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let graph = cx.graph;
        let layer = CustomLayer {
            name: &node.name,
            attributes: self.attributes(),
            inputs: node.inputs.iter().map(|id| id.map(|id| graph.value(id))).collect(),
            outputs: node.outputs.iter().map(|&id| graph.value(id)).collect(),
        };
        for value in layer.inputs.iter().flatten().chain(&layer.outputs).filter(|value| !is_plain(value)) {
            if value.dtype != DType::Int8 {
                return Err(
                    cx.unsupported(node, format_args!("tensor `{}` is {}", value.name, value.dtype.name()))
                );
            }
            types::per_tensor(value).map_err(|why| cx.unsupported(node, why))?;
        }
        let mut full = None;
        let prepared = self.host().prepare(&layer, &mut |bytes| match cx.constants.add(bytes, 16) {
            Ok(offset) => offset,
            Err(error) => {
                full = Some(error);
                0
            }
        });
        if let Some(error) = full {
            return Err(error);
        }
        let Prepared { params, scratch_bytes, macs } = prepared.map_err(|why| cx.unsupported(node, why))?;
        let inputs = node.inputs.iter().flatten().copied().collect();
        let params = self.words(&params);
        Ok(vec![Lowered {
            code: self.code(),
            inputs,
            outputs: node.outputs.clone(),
            params,
            scratch_bytes,
            macs,
            keeps: false,
        }])
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(
            node,
            "it is an operator of your own: a .tflite file could name it, but no runtime of TensorFlow Lite would have it",
        ))
    }
}
