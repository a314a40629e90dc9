//! Operators whose elements go to places that the file knows, which become a look-up of runs by constant numbers:
//! SCATTER_ND, REVERSE_SEQUENCE.

use super::layer::{Layer, Place, Reason, Stacked, Step, Translated, axis, options};
use crate::graph::{Activation, Concat, Constant, DType, Gather, Op, Value};
use crate::import::places::{reversed, rows};

/// The numbers of the runs that the result consists of.
fn numbers(picks: Vec<usize>) -> Result<Stacked, Reason> {
    let picks: Vec<i32> = picks
        .into_iter()
        .map(i32::try_from)
        .collect::<Result<_, _>>()
        .map_err(|_| "it is too large".to_string())?;
    let shape = vec![picks.len()];
    Ok(Stacked { word: "picks", shape, constant: Constant::I32(picks), quantization: None })
}

/// A run of zeroes. Of integers with a scale they are the integers 0, whatever the zero point is, as LiteRT has them.
fn zeroes(like: &Value, run: usize) -> Result<Stacked, Reason> {
    let constant = match like.dtype {
        DType::Float32 => Constant::F32(vec![0.0; run]),
        DType::Int8 => Constant::I8(vec![0; run]),
        DType::Int16 => Constant::I16(vec![0; run]),
        DType::Int32 => Constant::I32(vec![0; run]),
        other => return Err(format!("of {}", other.name())),
    };
    Ok(Stacked { word: "zero", shape: vec![1, run], constant, quantization: like.quantization.clone() })
}

/// Operands of one place are added up in TensorFlow Lite; here each place has one.
pub(super) fn scatter_nd(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let (indices, updates) = (layer.input(0)?, layer.input(1)?);
    let places = layer.integers(0, "indices")?;
    let shape = layer.integers(2, "shape")?;
    let shape: Vec<usize> = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or_default()).collect();
    layer.expect_output(&shape)?;
    let fault = || format!("indices {:?} and updates {:?} for shape {shape:?}", indices.shape, updates.shape);
    let (&coordinates, lead) = indices.shape.split_last().ok_or_else(fault)?;
    if coordinates == 0
        || coordinates > shape.len()
        || updates.shape != [lead, &shape[coordinates..]].concat()
    {
        return Err(fault());
    }
    let outer = &shape[..coordinates];
    let run: usize = shape[coordinates..].iter().product();
    let mut picks = vec![0; outer.iter().product()];
    for (number, row) in rows(&places, outer, false)?.into_iter().enumerate() {
        if picks[row] != 0 {
            return Err("several updates of one place, which are added up".into());
        }
        picks[row] = number + 1;
    }
    let count = places.len() / coordinates;
    let found = vec![picks.len(), run];
    let steps = vec![
        Step { op: Op::Reshape, inputs: vec![Place::Operand(layer.id(1))], shape: vec![count, run] },
        Step {
            op: Op::Concat(Concat { axis: 0, activation: Activation::None }),
            inputs: vec![Place::Made(0), Place::Step(0)],
            shape: vec![count + 1, run],
        },
        look_up(Place::Step(1), 1, found),
        Step { op: Op::Reshape, inputs: vec![Place::Step(2)], shape },
    ];
    let stacked = vec![zeroes(updates, run)?, numbers(picks)?];
    Ok(Translated { stacked, ..Translated::several(steps, &[layer.id(1)]) })
}

fn look_up(data: Place, picks: usize, shape: Vec<usize>) -> Step {
    let op = Op::Gather(Gather { axis: 0, batch_dims: 0 });
    Step { op, inputs: vec![data, Place::Made(picks)], shape }
}

/// REVERSE_SEQUENCE: the first elements of each sequence are turned around.
pub(super) fn reverse_sequence(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_reverse_sequence_options())?;
    let shape = layer.input(0)?.shape.clone();
    layer.expect_output(&shape)?;
    let time = axis(o.seq_dim().into(), shape.len())?;
    let batch = axis(o.batch_dim().into(), shape.len())?;
    let lengths = layer.integers(1, "lengths")?;
    if time == batch || lengths.len() != shape[batch] {
        return Err(format!("{} lengths for shape {shape:?}", lengths.len()));
    }
    let outer = &shape[..=time.max(batch)];
    let run: usize = shape[outer.len()..].iter().product();
    let picks = reversed(outer, time, batch, &lengths);
    let rows = vec![picks.len(), run];
    let steps = vec![
        Step { op: Op::Reshape, inputs: vec![Place::Operand(layer.id(0))], shape: rows.clone() },
        look_up(Place::Step(0), 0, rows),
        Step { op: Op::Reshape, inputs: vec![Place::Step(1)], shape },
    ];
    Ok(Translated { stacked: vec![numbers(picks)?], ..Translated::several(steps, &layer.inputs[..1]) })
}
