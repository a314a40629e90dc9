//! GATHER_ND: runs at places of several coordinates. Dimensions that no coordinate names are part of the runs; elements
//! keep their bits.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::GatherNdParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::types;
use crate::error::{Error, Result};
use crate::graph::{DType, GatherNd, Node, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("GATHER_ND", &[OpCode::GatherNd])];

/// Coordinates that the device has dimensions for.
const MOST: usize = 6;

/// Shared dimensions, those of places, those that coordinates name, those of a run.
struct Parts<'a> {
    batch: &'a [usize],
    places: &'a [usize],
    named: &'a [usize],
    run: &'a [usize],
}

impl<'a> Parts<'a> {
    fn of(data: &'a [usize], indices: &'a [usize], shared: usize) -> Option<Parts<'a>> {
        let (&coordinates, places) = indices.split_last()?;
        let (batch, data) = data.split_at_checked(shared)?;
        let (named, run) = data.split_at_checked(coordinates)?;
        let (own, places) = places.split_at_checked(shared)?;
        (own == batch && coordinates > 0).then_some(Parts { batch, places, named, run })
    }
}

impl Operator for GatherNd {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (data, indices) = (check.input(0)?, check.input(1)?);
        let parts = Parts::of(data, indices, self.batch_dims).ok_or_else(|| {
            check.error(format!(
                "indices of shape {indices:?} in {data:?}, {} dimensions shared",
                self.batch_dims
            ))
        })?;
        check.output(&[parts.batch, parts.places, parts.run].concat())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(&inputs[..1], outputs)?;
        match inputs.get(1).map(|indices| indices.dtype) {
            Some(DType::Int32) => Ok(()),
            other => {
                Err(format!("indices of type {}; int32 is supported", other.map_or("none", DType::name)))
            }
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let (data, indices) = (x.get(0), x.get(1));
        let Some(parts) = Parts::of(data.shape, indices.shape, self.batch_dims) else { return Vec::new() };
        let count = |dims: &[usize]| dims.iter().product::<usize>();
        let (places, run, table) =
            (count(parts.places), count(parts.run), count(parts.named) * count(parts.run));
        let mut out = Vec::with_capacity(count(parts.batch) * places * run);
        for (number, place) in indices.data.chunks_exact(parts.named.len()).enumerate() {
            let at = place
                .iter()
                .zip(parts.named)
                .fold(0, |at, (&index, &dim)| at * dim + (index.max(0.0) as usize).min(dim - 1));
            out.extend_from_slice(&data.data[number / places * table + at * run..][..run]);
        }
        vec![out]
    }

    fn check_values(&self, x: &Operands<'_>) -> Result<()> {
        let (data, indices) = (x.get(0), x.get(1));
        let Some(parts) = Parts::of(data.shape, indices.shape, self.batch_dims) else { return Ok(()) };
        for place in indices.data.chunks_exact(parts.named.len()) {
            let inside = |(&index, &dim): (&f32, &usize)| index >= 0.0 && (index as usize) < dim;
            if !place.iter().zip(parts.named).all(inside) {
                let name = &x.node.name;
                let what = format!(
                    "layer `{name}` (GATHER_ND) is asked for {place:?} of dimensions {:?}",
                    parts.named
                );
                return Err(Error::input(what).about(name).help("coordinates count from zero"));
            }
        }
        Ok(())
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
        let ((data_id, data), (indices_id, indices)) = (cx.input(node, 0)?, cx.input(node, 1)?);
        let (output_id, output) = cx.output(node, 0)?;
        self.check_types(&[data, indices], &[output]).map_err(|reason| cx.unsupported(node, reason))?;
        let parts = Parts::of(&data.shape, &indices.shape, self.batch_dims);
        let Some(parts) = parts.filter(|parts| parts.named.len() <= MOST) else {
            return Err(cx.unsupported(node, format_args!("up to {MOST} coordinates are supported")));
        };
        let mut dims = [1; MOST];
        for (dim, &size) in dims.iter_mut().rev().zip(parts.named.iter().rev()) {
            *dim = cx.word(node, size)?;
        }
        let params = GatherNdParams {
            batch: cx.word(node, parts.batch.iter().product())?,
            places: cx.word(node, parts.places.iter().product())?,
            coordinates: cx.word(node, parts.named.len())?,
            dims,
            run: cx.word(node, parts.run.iter().product::<usize>() * data.dtype.size())?,
        };
        Ok(vec![Lowered::new(OpCode::GatherNd, vec![data_id, indices_id], vec![output_id], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        if self.batch_dims > 0 {
            return Err(tflite::refuse(node, "dimensions that data and indices share"));
        }
        tflite::simple(w, node, Code::GATHER_ND, 1, None)
    }
}
