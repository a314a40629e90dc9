//! GATHER: the dimensions before and behind the one that is looked up are merged; elements keep their bits.

use ferrolite_graph::float::movement;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::GatherParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::types;
use crate::error::{Error, Result};
use crate::graph::{DType, Gather, Node, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("GATHER", &[OpCode::Gather]), ("SCATTER_ND", &[OpCode::Gather])];

impl Operator for Gather {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let &Gather { axis, batch_dims } = self;
        let (data, indices) = (check.input(0)?, check.input(1)?);
        check.axis(axis, data.len())?;
        let shared = indices.get(..batch_dims).filter(|shared| data.get(..batch_dims) == Some(shared));
        check.ensure(batch_dims <= axis && shared.is_some(), || {
            format!("{batch_dims} batch dimensions of {data:?} and {indices:?} before axis {axis}")
        })?;
        check.output(&[&data[..axis], &indices[batch_dims..], &data[axis + 1..]].concat())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(&inputs[..1], outputs)?;
        match inputs.get(1).map(|indices| indices.dtype) {
            Some(DType::Int32) => Ok(()),
            other => Err(format!("indices of type {}", other.map_or("none", DType::name))),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![movement::look_up(x.get(0), self.axis, self.batch_dims, x.get(1))]
    }

    fn check_values(&self, x: &Operands<'_>) -> Result<()> {
        let (indices, count) = (x.get(1).data, x.get(0).shape[self.axis]);
        match indices.iter().find(|&&index| !(index >= 0.0 && (index as usize) < count)) {
            None => Ok(()),
            Some(index) => Err(no_such_index(&x.node.name, i64::from(*index as i32), count)),
        }
    }

    fn copies(&self) -> bool {
        true
    }

    fn commutes_with_clamps(&self) -> bool {
        true
    }

    fn is_index(&self, position: usize) -> bool {
        position == 1
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower(cx, node, self.axis, self.batch_dims)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let (axis, batch_dims) = (self.axis as i32, self.batch_dims as i32);
        let options = tflite::options(Kind::GatherOptions, move |fbb| {
            schema::GatherOptions::create(fbb, &schema::GatherOptionsArgs { axis, batch_dims })
        });
        tflite::simple(w, node, Code::GATHER, if batch_dims == 0 { 2 } else { 5 }, Some(options))
    }
}

/// The error of an index that names nothing.
pub fn no_such_index(layer: &str, index: i64, count: usize) -> Error {
    Error::input(format!("layer `{layer}` (GATHER) is asked for index {index}, but has 0 to {}", count - 1))
        .about(layer)
        .help("give the numbers that the model was trained with; words that it does not know have a number, too")
}

/// Lowers GATHER along `axis` behind `batch_dims` shared dimensions.
pub fn lower(cx: &Lowering<'_>, node: &Node, axis: usize, batch_dims: usize) -> Result<Vec<Lowered>> {
    let ((data_id, data), (indices_id, indices)) = (cx.input(node, 0)?, cx.input(node, 1)?);
    let (output_id, output) = cx.output(node, 0)?;
    if data.dtype != output.dtype || indices.dtype != DType::Int32 {
        let [data, indices, output] = [data, indices, output].map(|value| value.dtype.name());
        return Err(cx.unsupported(
            node,
            format_args!("from {data} at {indices} indices to {output}; int32 indices are supported, and a result of the data's type"),
        ));
    }
    // The check of the node has found all of these dimensions.
    let product = |dims: &[usize]| cx.word(node, dims.iter().product());
    let params = GatherParams {
        batch: product(&data.shape[..batch_dims])?,
        outer: product(&data.shape[batch_dims..axis])?,
        count: product(&data.shape[axis..=axis])?,
        run: cx.word(node, data.shape[axis + 1..].iter().product::<usize>() * data.dtype.size())?,
        indices: product(&indices.shape[batch_dims..])?,
    };
    Ok(vec![Lowered::new(OpCode::Gather, vec![data_id, indices_id], vec![output_id], &params)])
}
