//! The answers of a model over windows: what a stream begins with, and what it has to answer.

use std::collections::HashMap;

use super::course::Courses;
use super::{file, first_read};
use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
use crate::execute::{infer, interpreter};
use crate::graph::{Constant, DType, Graph, Value, ValueId};
use crate::import::zeros;
use crate::{ops, passes};

/// Multiply-accumulates that a proof may take, roughly.
const WORK: u64 = 4_000_000_000;

/// Inferences behind those that fill the window.
const MORE: usize = 8;

/// What is kept of a value, from this frame of the window on.
pub(super) struct Past {
    pub from: usize,
    pub elements: Constant,
}

/// What the first inference finds: the frames that are read of each value, in a signal of zeros, but for the new ones.
pub(super) fn before(graph: &Graph, courses: &Courses) -> Result<HashMap<ValueId, Past>> {
    let mut kept: Vec<(ValueId, usize)> = first_read(graph, courses).into_iter().collect();
    kept.retain(|(id, from)| {
        let course = &courses.of[id];
        from + courses.new_frames(course) < course.frames
    });
    kept.sort_unstable();
    let mut measured = graph.clone();
    measured.outputs = kept.iter().map(|&(id, _)| id).collect();
    passes::dead::run(&mut measured);
    let values = match kept.is_empty() {
        true => Vec::new(),
        false => {
            let file = file(&measured)?;
            let model = file.model()?;
            let mut memory = AlignedBuf::zeroed(model.arena_bytes());
            let mut net = interpreter(&model, graph.op_set(), &mut memory)?;
            infer(&mut net, &quiet(graph)?, &mut ())?
        }
    };
    let part = |((id, from), bytes): ((ValueId, usize), Vec<u8>)| {
        let (course, value) = (&courses.of[&id], graph.value(id));
        // The frames that the inference before has left are a hop further on in its window.
        let first = from + courses.new_frames(course);
        let frame = value.shape[course.axis + 1..].iter().product::<usize>() * value.dtype.size();
        let rows = bytes.chunks(course.frames * frame);
        let bytes = rows.flat_map(|row| row.get(first * frame..).unwrap_or_default()).copied().collect();
        Ok((id, Past { from, elements: elements(value, bytes)? }))
    };
    kept.into_iter().zip(values).map(part).collect()
}

/// Runs both forms on one signal; returns in how many inferences they gave the same bytes.
pub(super) fn equal(windows: &Graph, stream: &Graph, axis: usize, hop: usize) -> Result<usize> {
    let files = [file(windows)?, file(stream)?];
    let models = [files[0].model()?, files[1].model()?];
    let mut memory = [&models[0], &models[1]].map(|model| AlignedBuf::zeroed(model.arena_bytes()));
    let [first, second] = &mut memory;
    let mut whole = interpreter(&models[0], windows.op_set(), first)?;
    let mut going = interpreter(&models[1], stream.op_set(), second)?;

    let mut window = quiet(windows)?;
    let length =
        windows.inputs.iter().find_map(|&id| windows.value(id).shape.get(axis)).copied().unwrap_or(1);
    let macs: u64 = windows.nodes.iter().map(|node| ops::macs(windows, node)).fold(0, u64::saturating_add);
    let affordable = (WORK / macs.max(1)).max(MORE as u64);
    let rounds = (length.div_ceil(hop) + MORE).min(affordable as usize);
    let mut random = Random(0x57AE);
    for round in 0..rounds {
        let mut new = Vec::new();
        for (position, &id) in windows.inputs.iter().enumerate() {
            let (value, bytes) = (windows.value(id), &mut window[position]);
            let is_signal = value.shape.get(axis) == Some(&length);
            if !is_signal {
                *bytes = random.bytes(value.dtype, value.elements());
                new.push(bytes.clone());
                continue;
            }
            let frame = value.shape[axis + 1..].iter().product::<usize>() * value.dtype.size();
            let mut added = Vec::new();
            for row in bytes.chunks_mut(length * frame) {
                let part = random.bytes(value.dtype, hop * frame / value.dtype.size());
                row.copy_within(hop * frame.., 0);
                let start = row.len() - part.len();
                row[start..].copy_from_slice(&part);
                added.extend(part);
            }
            new.push(added);
        }
        let wanted = infer(&mut whole, &window, &mut ())?;
        if infer(&mut going, &new, &mut ())? != wanted {
            return Err(Error::internal(format!(
                "the streaming form answered other bytes than the model over windows, in inference {round}"
            )));
        }
    }
    Ok(rounds)
}

/// Inputs that stand for zero.
fn quiet(graph: &Graph) -> Result<Vec<Vec<u8>>> {
    let zero = |&id: &ValueId| {
        let value = graph.value(id);
        let lost =
            || Error::input(format!("input `{}` has no zero that a stream could begin with", value.name));
        Ok(zeros(value).ok_or_else(lost)?.to_le_bytes())
    };
    graph.inputs.iter().map(zero).collect()
}

/// Elements of a value's type.
fn elements(value: &Value, bytes: Vec<u8>) -> Result<Constant> {
    Ok(match value.dtype {
        DType::Int8 => Constant::I8(bytes.into_iter().map(|byte| byte as i8).collect()),
        DType::UInt8 => Constant::U8(bytes),
        DType::Bool => Constant::Bool(bytes.into_iter().map(|byte| byte != 0).collect()),
        DType::Int16 => Constant::I16(words(&bytes).map(i16::from_le_bytes).collect()),
        DType::Int32 => Constant::I32(words(&bytes).map(i32::from_le_bytes).collect()),
        DType::Int64 => Constant::I64(words(&bytes).map(i64::from_le_bytes).collect()),
        DType::Float32 => Constant::F32(words(&bytes).map(f32::from_le_bytes).collect()),
    })
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).filter_map(|word| word.try_into().ok())
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// So many elements of a type.
    fn bytes(&mut self, dtype: DType, count: usize) -> Vec<u8> {
        let mut element = || match dtype {
            DType::Float32 => ((self.next() % 8192) as f32 / 1024.0 - 4.0).to_le_bytes().to_vec(),
            DType::Bool => vec![(self.next() % 2) as u8],
            _ => self.next().to_le_bytes()[..dtype.size()].to_vec(),
        };
        (0..count).flat_map(|_| element()).collect()
    }
}
