//! The job that a board's runner takes, and the records that it answers with. The board's side, and
//! the layouts, are in `boards/support/src/{job,report}.rs`.

use std::collections::BTreeMap;

/// Bytes in front of the model.
pub const HEADER_BYTES: usize = 64;

/// Version of the layouts.
const VERSION: u32 = 1;

const LAYERS: u32 = 1;
const SEQUENCE: u32 = 2;

/// What a runner is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Job<'a> {
    /// The model file.
    pub model: &'a [u8],
    /// Bytes of arena to use at most; 0 for all.
    pub arena_limit: u32,
    /// Whether to report each op.
    pub layers: bool,
    /// Whether the samples are one sequence.
    pub sequence: bool,
    /// Number of samples.
    pub samples: u32,
    /// Rounds of the calibration loop; 0 runs the model.
    pub calibration: u32,
}

impl Job<'_> {
    /// The bytes for QEMU's loader.
    pub fn bytes(&self) -> Vec<u8> {
        let flags = if self.layers { LAYERS } else { 0 } | if self.sequence { SEQUENCE } else { 0 };
        let words = [
            u32::from_le_bytes(*b"FJOB"),
            VERSION,
            self.model.len() as u32,
            self.arena_limit,
            flags,
            self.samples,
            self.calibration,
        ];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(self.model);
        bytes
    }
}

/// Ticks, memory and flags of one inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Ticks of initialisation.
    pub init: u64,
    /// Ticks of an inference.
    pub invoke: u64,
    /// Deepest stack of both.
    pub stack_bytes: u32,
    /// Bytes of arena.
    pub arena_bytes: u32,
    /// Whether the counter wrapped.
    pub wrapped: bool,
}

/// What a runner has answered, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Outputs of each sample, by its index.
    pub outputs: BTreeMap<u32, Vec<u8>>,
    /// Index, ticks and output of each op.
    pub layers: Vec<(u32, u64, Vec<u8>)>,
    /// Counts of the first sample.
    pub counts: Option<Counts>,
    /// The error that it ended with.
    pub error: Option<String>,
    /// Whether it came to its end.
    pub done: bool,
}

impl Answers {
    /// Reads the records that are complete; a runner that was killed may have left half of one.
    pub fn parse(mut bytes: &[u8]) -> Answers {
        let mut answers = Answers::default();
        while let Some((header, rest)) = bytes.split_first_chunk::<16>() {
            let word =
                |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            let Some((payload, rest)) = rest.split_at_checked(word(8) as usize) else { break };
            answers.record(word(0), word(4), payload);
            bytes = rest;
        }
        answers
    }

    fn record(&mut self, tag: u32, index: u32, payload: &[u8]) {
        match tag {
            1 => {
                self.outputs.insert(index, payload.to_vec());
            }
            2 => {
                if let Some((ticks, output)) = payload.split_first_chunk::<8>() {
                    self.layers.push((index, u64::from_le_bytes(*ticks), output.to_vec()));
                }
            }
            3 => self.counts = parse_counts(payload),
            4 => self.error = Some(String::from_utf8_lossy(payload).into_owned()),
            5 => self.done = true,
            _ => self.error = Some(format!("the board answered with an unknown record ({tag})")),
        }
    }
}

fn parse_counts(bytes: &[u8]) -> Option<Counts> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    Some(Counts {
        init: long(0)?,
        invoke: long(8)?,
        stack_bytes: word(16)?,
        arena_bytes: word(20)?,
        wrapped: word(24)? != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(tag: u32, index: u32, payload: &[u8]) -> Vec<u8> {
        let words = [tag, index, payload.len() as u32, 0];
        words.iter().flat_map(|word| word.to_le_bytes()).chain(payload.iter().copied()).collect()
    }

    #[test]
    fn header_comes_before_the_model() {
        let job = Job { model: b"model", layers: true, samples: 3, ..Job::default() };
        let bytes = job.bytes();
        assert_eq!(&bytes[..4], b"FJOB");
        assert_eq!((bytes[8], bytes[16], bytes[20]), (5, 1, 3));
        assert_eq!(&bytes[HEADER_BYTES..], b"model");
    }

    #[test]
    fn half_a_record_is_left_out() {
        let mut bytes = record(1, 0, &[1, 2]);
        bytes.extend(record(2, 7, &[9, 0, 0, 0, 0, 0, 0, 0, 5]));
        let whole = bytes.len();
        bytes.extend(record(1, 1, &[3, 4]));
        for cut in whole..bytes.len() {
            let answers = Answers::parse(&bytes[..cut]);
            assert_eq!(answers.outputs.len(), 1);
            assert_eq!(answers.layers, [(7, 9, vec![5])]);
            assert!(!answers.done);
        }
        assert_eq!(Answers::parse(&bytes).outputs[&1], [3, 4]);
    }
}
