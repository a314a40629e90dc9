//! The converter's own check of a file that it has made, before it is returned.
//!
//! The model runs on random inputs and on the extremes of its inputs, and so does the same program with every
//! tensor and all scratch memory at an address of its own, each in memory with different previous contents.
//! If the results differ, tensors overwrite one another, or something is read that nothing has written.

use ferrolite_runtime::{DType, Model};

use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
use crate::execute::{failed, infer, interpreter};
use crate::model_file::{self, ModelFile, PortFacts};

/// Raw bytes of all inputs.
pub(crate) type Inputs = Vec<Vec<u8>>;

/// Samples for a small model: random ones, and an extreme one after each.
const SAMPLES: u64 = 8;

/// Most multiply-accumulate operations of all samples after the first, in one of the programs.
const WORK: u64 = 150_000_000;

/// A model with more multiply-accumulate operations than this is run on one sample.
const LARGE: u64 = 50_000_000;

/// The previous contents of memory: for the file, and for the program in which no memory is shared.
const BEFORE: [(u8, u8); 4] = [(0x00, 0x5A), (0xFF, 0x00), (0x80, 0x7F), (0x5A, 0xA5)];

/// Compares a file with the same program in which no memory is shared.
///
/// # Errors
/// When the results differ: a mistake of the converter. The error asks to report it.
pub(crate) fn check(file: &ModelFile, apart: &[u8]) -> Result<()> {
    let apart = ModelFile::from_bytes(file.name().to_string(), apart).with_operators(file.operators());
    let entries = file.entries()?;
    if entries.is_empty() {
        return check_program(file, &apart);
    }
    entries.into_iter().map(Some).try_for_each(|entry| {
        check_program(&file.clone().with_entry(entry.clone()), &apart.clone().with_entry(entry))
    })
}

/// The same for one program of both.
fn check_program(file: &ModelFile, apart: &ModelFile) -> Result<()> {
    for (inputs, (before, before_apart)) in samples(&file.model()?).iter().zip(BEFORE.iter().cycle()) {
        let found = answers(file, inputs, *before)?;
        if found == answers(apart, inputs, *before_apart)? {
            continue;
        }
        let changing = answers(file, inputs, *before_apart)? != found;
        let how = if changing { "changing answers" } else { "other answers where tensors share memory" };
        return Err(Error::internal(format!("{}: the converted model gives {how}", file.name())));
    }
    Ok(())
}

/// Checks that two files of one model give the same results.
///
/// # Errors
/// Like [`check`], when they do not.
pub(crate) fn same_answers(file: &ModelFile, other: &ModelFile, what: &str) -> Result<()> {
    for inputs in samples(&file.model()?) {
        if answers(file, &inputs, 0)? != answers(other, &inputs, 0)? {
            return Err(Error::internal(format!(
                "{}: {what} gives other answers than the model",
                file.name()
            )));
        }
    }
    Ok(())
}

/// Inferences that follow one another for each sample, of a model with state.
const INFERENCES: usize = 3;

/// The outputs for some inputs, in memory that held `before`, and what the state is then.
fn answers(file: &ModelFile, inputs: &Inputs, before: u8) -> Result<Vec<Vec<u8>>> {
    let model = file.model()?;
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    memory.fill(before);
    let mut net = interpreter(&model, file.operators(), &mut memory)?;
    let mut found = infer(&mut net, inputs, &mut ())?;
    if model.state_bytes() > 0 {
        for _ in 1..INFERENCES {
            found.extend(infer(&mut net, inputs, &mut ())?);
        }
        found.push(net.state().map_err(failed)?.to_vec());
    }
    Ok(found)
}

/// Made-up inputs, over the whole range of each.
pub(crate) fn made_up(model: &Model<'_>) -> Inputs {
    samples(model).swap_remove(0)
}

/// The values that inputs are filled with.
#[derive(Clone, Copy)]
enum Fill {
    Random,
    Least,
    Largest,
    ZeroPoint,
}

/// Inputs for all types, the same on every run. Their number depends on the model's size.
fn samples(model: &Model<'_>) -> Vec<Inputs> {
    let macs: u64 = (0..model.ops().len()).filter_map(|op| model.names().op_macs(op)).sum();
    let count = if macs > LARGE { 1 } else { (WORK / macs.max(1)).clamp(1, SAMPLES) };
    let fills = [Fill::Random, Fill::Least, Fill::Random, Fill::Largest, Fill::Random, Fill::ZeroPoint];
    let ports = model_file::inputs(model);
    let mut random = Random(0x5EED);
    let fill = |fill: &Fill| ports.iter().map(|port| elements(port, *fill, &mut random)).collect();
    fills.iter().cycle().take(count as usize).map(fill).collect()
}

/// The bytes of an input.
fn elements(port: &PortFacts, fill: Fill, random: &mut Random) -> Vec<u8> {
    let count = port.shape.iter().product::<usize>();
    let zero_point = port.quantization.map_or(0, |(_, zero_point)| zero_point);
    let integer = |least: i64, largest: i64, random: &mut Random| match fill {
        Fill::Random => least + (random.next() % (largest - least + 1) as u64) as i64,
        Fill::Least => least,
        Fill::Largest => largest,
        Fill::ZeroPoint => i64::from(zero_point).clamp(least, largest),
    };
    let mut element = || match port.dtype {
        DType::Int8 => (integer(-128, 127, random) as i8).to_le_bytes().to_vec(),
        DType::UInt8 => vec![integer(0, 255, random) as u8],
        DType::Bool => vec![integer(0, 1, random) as u8],
        DType::Int16 => (integer(i16::MIN.into(), i16::MAX.into(), random) as i16).to_le_bytes().to_vec(),
        // Most int32 inputs are indices of rows; an index beyond the last row means the last row.
        DType::Int32 => (integer(0, 1 << 12, random) as i32).to_le_bytes().to_vec(),
        DType::Int64 => integer(0, 1 << 12, random).to_le_bytes().to_vec(),
        DType::Float32 => (integer(-4096, 4096, random) as f32 / 1024.0).to_le_bytes().to_vec(),
    };
    (0..count).flat_map(|_| element()).collect()
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::{Emitted, Options, compile};
    use crate::graph::Constant;
    use crate::{import, passes};

    /// A model in which some bits of all weights are inverted.
    fn compiled(turned: i8) -> Emitted {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/watch_conv1d/watch_conv1d_int8_tf.tflite");
        let mut graph = import::load(path.as_ref()).unwrap().graph;
        passes::optimise(&mut graph);
        for value in &mut graph.values {
            if let Some(Constant::I8(weights)) = &mut value.constant {
                weights.iter_mut().for_each(|w| *w ^= turned);
            }
        }
        compile(&graph, &Options::default()).unwrap()
    }

    #[test]
    fn files_are_checked_against_the_program_in_which_nothing_is_shared() {
        let emitted = compiled(0);
        let file = ModelFile::from_bytes("m", &emitted.bytes);
        assert!(emitted.apart.len() > 1000 && emitted.apart != emitted.bytes);
        check(&file, &emitted.apart).unwrap();
        let apart = ModelFile::from_bytes("m", &emitted.apart);
        assert!(apart.model().unwrap().arena_bytes() > file.model().unwrap().arena_bytes());
        let other = compiled(0x15).apart;
        let error = check(&file, &other).unwrap_err();
        assert!(error.message.contains("other answers where tensors share memory"), "{}", error.message);
        let other = ModelFile::from_bytes("m", &other);
        assert!(same_answers(&file, &other, "it").is_err());
        same_answers(&file, &apart, "it").unwrap();
    }

    #[test]
    fn samples_are_random_and_edges_and_the_same_each_time() {
        let emitted = compiled(0);
        let file = ModelFile::from_bytes("m", &emitted.bytes);
        let model = file.model().unwrap();
        let found = samples(&model);
        assert_eq!(found, samples(&model));
        assert_eq!(found.len() as u64, SAMPLES);
        let all = |byte: u8| found.iter().any(|inputs| inputs[0].iter().all(|&x| x == byte));
        let (_, zero_point) = model_file::inputs(&model)[0].quantization.unwrap();
        assert!(all(0x80) && all(0x7F) && all(zero_point as i8 as u8));
        assert!(found.iter().filter(|inputs| inputs[0].iter().any(|&x| x != inputs[0][0])).count() >= 4);
    }
}
