//! The jobs that a board's runner takes, and the records that it answers with. The board's side, and the
//! layouts, are in `boards/support/src/{job,report}.rs`.

use std::collections::BTreeMap;

use super::cycles::{Numbers, Windows};

/// Bytes before the model.
pub const HEADER_BYTES: usize = 64;

/// Jobs start at multiples of this.
const ALIGNMENT: usize = 16;

/// Version of the layouts.
const VERSION: u32 = 4;

const LAYERS: u32 = 1;
const SEQUENCE: u32 = 2;
const ENTRIES: u32 = 4;

/// A job for a runner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Job<'a> {
    /// The model file.
    pub model: &'a [u8],
    /// Most bytes of arena to use; 0 means all.
    pub arena_limit: u32,
    /// Whether to report each op.
    pub layers: bool,
    /// Whether the samples are one sequence.
    pub sequence: bool,
    /// Whether they are calls of the file's entry points in turn.
    pub entries: bool,
    /// Number of samples.
    pub samples: u32,
    /// Rounds of the calibration loop; 0 runs the model.
    pub calibration: u32,
    /// Where its samples start in the file of inputs.
    pub inputs_start: u32,
    /// Number of the program to run, of a file with several.
    pub entry: u32,
}

/// The bytes of some jobs, one after the other, for QEMU's loader.
pub fn bytes(jobs: &[Job<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let last = index + 1 == jobs.len();
        bytes.extend(job.header(if last { 0 } else { job.room() as u32 }));
        bytes.extend_from_slice(job.model);
        if !last {
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        }
    }
    bytes
}

impl Job<'_> {
    /// Bytes of header and model.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.model.len()
    }

    /// Bytes from its start to the start of the next job.
    pub fn room(&self) -> usize {
        self.bytes().next_multiple_of(ALIGNMENT)
    }

    fn header(&self, next: u32) -> Vec<u8> {
        let flags = if self.layers { LAYERS } else { 0 } | if self.sequence { SEQUENCE } else { 0 };
        let flags = flags | if self.entries { ENTRIES } else { 0 };
        let words = [
            u32::from_le_bytes(*b"FJOB"),
            VERSION,
            self.model.len() as u32,
            self.arena_limit,
            flags,
            self.samples,
            self.calibration,
            next,
            self.inputs_start,
            self.entry,
        ];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(HEADER_BYTES, 0);
        bytes
    }
}

/// Ticks, memory and flags of one inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Ticks of initialisation.
    pub init: u64,
    /// Ticks of one inference.
    pub invoke: u64,
    /// Deepest stack of initialisation and inference.
    pub stack_bytes: u32,
    /// Bytes of arena.
    pub arena_bytes: u32,
    /// Whether the counter wrapped.
    pub wrapped: bool,
    /// The plugin's window for the inference.
    pub invoke_window: Numbers,
}

/// The cost and the outputs of an op.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Index of the op.
    pub index: u32,
    /// Ticks of its evaluation.
    pub ticks: u64,
    /// The plugin's window for it.
    pub window: Numbers,
    /// Bytes of its outputs.
    pub output: Vec<u8>,
}

/// The runner's answers to one job. They may be incomplete.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Outputs of each sample, by its index.
    pub outputs: BTreeMap<u32, Vec<u8>>,
    /// Each op.
    pub layers: Vec<Layer>,
    /// Counts for the first sample.
    pub counts: Option<Counts>,
    /// The error that the job ended with.
    pub error: Option<String>,
    /// Whether the job ran to its end.
    pub done: bool,
    /// The plugin's windows, or the reason why there are none.
    pub windows: Option<Result<Windows, String>>,
}

impl Answers {
    /// Reads the complete records. If the runner was killed, its last record may be cut off, and the last
    /// answers may belong to a job that has not ended.
    pub fn parse(mut bytes: &[u8]) -> Vec<Answers> {
        let mut all: Vec<Answers> = Vec::new();
        while let Some((header, rest)) = bytes.split_first_chunk::<16>() {
            let word =
                |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            let Some((payload, rest)) = rest.split_at_checked(word(8) as usize) else { break };
            if all.last().is_none_or(Answers::ended) {
                all.push(Answers::default());
            }
            if let Some(answers) = all.last_mut() {
                answers.record(word(0), word(4), payload);
            }
            bytes = rest;
        }
        all
    }

    /// Whether the job has ended, successfully or not.
    pub fn ended(&self) -> bool {
        self.done || self.error.is_some()
    }

    fn record(&mut self, tag: u32, index: u32, payload: &[u8]) {
        match tag {
            1 => {
                self.outputs.insert(index, payload.to_vec());
            }
            2 => {
                if let Some((head, output)) = payload.split_first_chunk::<16>() {
                    let (ticks, output) = (long(head, 0).unwrap_or(0), output.to_vec());
                    self.layers.push(Layer { index, ticks, window: numbers(head, 8), output });
                }
            }
            3 => self.counts = parse_counts(payload),
            4 => self.error = Some(String::from_utf8_lossy(payload).into_owned()),
            5 => self.done = true,
            _ => self.error = Some(format!("the board answered with an unknown record ({tag})")),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads window numbers. Bytes that the runner has not written give a window that does not exist.
fn numbers(bytes: &[u8], at: usize) -> Numbers {
    let number = |at| word(bytes, at).unwrap_or(u32::MAX);
    Numbers { number: number(at), empty: number(at + 4) }
}

fn parse_counts(bytes: &[u8]) -> Option<Counts> {
    Some(Counts {
        init: long(bytes, 0)?,
        invoke: long(bytes, 8)?,
        stack_bytes: word(bytes, 16)?,
        arena_bytes: word(bytes, 20)?,
        wrapped: word(bytes, 24)? != 0,
        invoke_window: numbers(bytes, 36),
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
        let bytes = bytes(&[job]);
        assert_eq!(&bytes[..4], b"FJOB");
        assert_eq!((bytes[8], bytes[16], bytes[20]), (5, 1, 3));
        assert_eq!(&bytes[HEADER_BYTES..], b"model");
    }

    #[test]
    fn half_a_record_is_left_out() {
        let mut bytes = record(1, 0, &[1, 2]);
        bytes.extend(record(2, 7, &[9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 5]));
        let whole = bytes.len();
        bytes.extend(record(1, 1, &[3, 4]));
        for cut in whole..bytes.len() {
            let [answers] = &Answers::parse(&bytes[..cut])[..] else { panic!("one job") };
            assert_eq!(answers.outputs.len(), 1);
            let window = Numbers { number: 3, empty: 2 };
            assert_eq!(answers.layers, [Layer { index: 7, ticks: 9, window, output: vec![5] }]);
            assert!(!answers.done);
        }
        assert_eq!(Answers::parse(&bytes)[0].outputs[&1], [3, 4]);
    }

    #[test]
    fn jobs_tell_where_the_next_one_starts() {
        let job = |model, inputs_start| Job { model, inputs_start, ..Job::default() };
        let bytes = bytes(&[job(&[1; 17], 0), job(&[2; 5], 9)]);
        let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        let next = word(28) as usize;
        assert_eq!((next, &bytes[next..next + 4]), (96, &b"FJOB"[..]));
        assert_eq!((word(next + 8), word(next + 28), word(next + 32)), (5, 0, 9));
        assert_eq!(bytes.len(), next + HEADER_BYTES + 5);
    }

    #[test]
    fn the_end_of_a_job_and_an_error_divide_the_answers() {
        let records = [record(1, 0, &[1]), record(5, 1, &[]), record(4, 1, b"no"), record(1, 0, &[2])];
        let answers = Answers::parse(&records.concat());
        assert_eq!(answers.len(), 3);
        assert!(answers[0].done && answers[0].outputs[&0] == [1]);
        assert_eq!(answers[1].error.as_deref(), Some("no"));
        assert!(!answers[2].ended() && answers[2].outputs[&0] == [2]);
    }
}
