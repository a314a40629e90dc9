//! Files of statistics: what one part of a data set says about a model.
//!
//! ```text
//! "FEROPT01" | deflated: version, model, settings, place, round, of | keys | answers | samples | SHA-256 of it all
//! ```
//! Numbers are little-endian words of 64 bits, lists begin with their length. Keys are those of the part's samples,
//! answers those to the questions of quantization so far, and samples the few that are drawn from all parts for trials.

use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::quantize::Question;
use crate::written::STATISTICS;

/// What to do about a file that is none of statistics.
pub const HELP: &str = "give files that `ferrolite statistics MODEL --calibrate SHARD -o PART` wrote";

/// Most bytes that a file is inflated to, so that a damaged one does not fill the memory.
const LARGEST: u64 = 4 << 30;

/// The statistics of one part of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// The version of Ferrolite that gathered them.
    pub version: String,
    /// SHA-256 of the trained model.
    pub model: [u8; 32],
    /// All settings that they depend on, as a command's words: one a line.
    pub settings: String,
    /// Kind of computer and operating system, whose floats may differ in the last bit.
    pub place: String,
    /// How often the part was asked.
    pub round: u64,
    /// Its number among so many parts, where the user said it.
    pub shard: Option<(u64, u64)>,
    /// From the second round on, the hash of the keys of all parts of the round before.
    pub whole: Option<[u8; 32]>,
    /// The keys of its samples, sorted.
    pub keys: Vec<u128>,
    /// The answers so far.
    pub answers: Vec<(Question, Vec<u64>)>,
    /// The samples of this part that may be drawn, by their keys.
    pub drawn: Vec<(u128, Vec<Vec<f32>>)>,
}

impl Part {
    /// The answer to a question.
    pub fn answer(&self, question: &Question) -> Option<&[u64]> {
        self.answers.iter().find(|(asked, _)| asked == question).map(|(_, words)| words.as_slice())
    }

    /// The file.
    ///
    /// # Errors
    /// Never in practice: deflating into memory cannot fail.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut word = |word: u64| out.extend_from_slice(&word.to_le_bytes());
        let key = |key: u128| [(key >> 64) as u64, key as u64];
        word(self.round);
        let (number, of) = self.shard.unwrap_or_default();
        [number, of, u64::from(self.whole.is_some())].into_iter().for_each(&mut word);
        word(self.keys.len() as u64);
        self.keys.iter().flat_map(|&k| key(k)).for_each(&mut word);
        word(self.answers.len() as u64);
        for (question, words) in &self.answers {
            question.chunks_exact(8).for_each(|chunk| word(from_bytes(chunk)));
            word(words.len() as u64);
            words.iter().copied().for_each(&mut word);
        }
        word(self.drawn.len() as u64);
        for (k, inputs) in &self.drawn {
            key(*k).into_iter().for_each(&mut word);
            word(inputs.len() as u64);
            for input in inputs {
                word(input.len() as u64);
                input.iter().for_each(|x| word(u64::from(x.to_bits())));
            }
        }
        let mut plain = Vec::new();
        for text in [&self.version, &self.settings, &self.place] {
            plain.extend_from_slice(&(text.len() as u64).to_le_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        plain.extend_from_slice(&self.model);
        plain.extend_from_slice(&self.whole.unwrap_or_default());
        plain.extend(out);
        let hash: [u8; 32] = Sha256::digest(&plain).into();
        plain.extend_from_slice(&hash);
        let mut file = ZlibEncoder::new(STATISTICS.to_vec(), flate2::Compression::fast());
        file.write_all(&plain)
            .and_then(|()| file.finish())
            .map_err(|e| Error::internal("statistics cannot be deflated").caused_by(e))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is something else, of another version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Part> {
        let packed = bytes.strip_prefix(STATISTICS).ok_or_else(|| {
            let words = match bytes.starts_with(&STATISTICS[..6]) {
                true => "statistics in another version of this format",
                false => "not a file of statistics",
            };
            Error::input(words).help(HELP)
        })?;
        let damaged = || Error::input("the file is damaged").help("gather these statistics again");
        let mut plain = Vec::new();
        ZlibDecoder::new(packed).take(LARGEST).read_to_end(&mut plain).map_err(|e| damaged().caused_by(e))?;
        let (content, hash) = plain.len().checked_sub(32).map(|at| plain.split_at(at)).ok_or_else(damaged)?;
        let sound = Sha256::digest(content).as_slice() == hash;
        sound.then(|| Bytes(content).part()).flatten().ok_or_else(damaged)
    }
}

fn from_bytes(chunk: &[u8]) -> u64 {
    chunk.try_into().map(u64::from_le_bytes).unwrap_or_default()
}

/// What is left to read; `None` where it ends too early.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u64> {
        self.take(8).map(from_bytes)
    }

    /// The length of a list whose items take at least so many bytes, which must be there.
    fn count(&mut self, least: usize) -> Option<usize> {
        let count = usize::try_from(self.word()?).ok()?;
        (count <= self.0.len() / least).then_some(count)
    }

    fn text(&mut self) -> Option<String> {
        let count = self.count(1)?;
        String::from_utf8(self.take(count)?.to_vec()).ok()
    }

    fn hash(&mut self) -> Option<[u8; 32]> {
        self.take(32)?.try_into().ok()
    }

    fn key(&mut self) -> Option<u128> {
        Some(u128::from(self.word()?) << 64 | u128::from(self.word()?))
    }

    fn list<T>(&mut self, least: usize, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.count(least)?).map(|_| item(self)).collect()
    }

    fn part(mut self) -> Option<Part> {
        let [version, settings, place] = [self.text()?, self.text()?, self.text()?];
        let (model, whole, round) = (self.hash()?, self.hash()?, self.word()?);
        let shard = Some((self.word()?, self.word()?)).filter(|&(_, of)| of > 0);
        let whole = (self.word()? == 1).then_some(whole);
        let keys = self.list(16, Bytes::key)?;
        let answers = self.list(40, |bytes| Some((bytes.hash()?, bytes.list(8, Bytes::word)?)))?;
        let real = |bytes: &mut Bytes<'_>| Some(f32::from_bits(u32::try_from(bytes.word()?).ok()?));
        let drawn =
            self.list(24, |bytes| Some((bytes.key()?, bytes.list(8, |bytes| bytes.list(8, real))?)))?;
        let part = Part { version, model, settings, place, round, shard, whole, keys, answers, drawn };
        self.0.is_empty().then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_and_damage_is_found() {
        let part = Part {
            version: "1.2".into(),
            model: [3; 32],
            settings: "auto".into(),
            place: "x".into(),
            round: 2,
            shard: Some((1, 4)),
            whole: Some([9; 32]),
            keys: vec![5, u128::MAX],
            answers: vec![([1; 32], vec![7, u64::MAX]), ([2; 32], Vec::new())],
            drawn: vec![(5, vec![vec![-0.0, f32::MIN], Vec::new()])],
        };
        let bytes = part.to_bytes().unwrap();
        assert_eq!(Part::from_bytes(&bytes).unwrap(), part);
        // Some bits of the deflated form say nothing.
        let harmless = |bytes: &[u8]| Part::from_bytes(bytes).is_ok_and(|found| found == part);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Part::from_bytes(&damaged).is_err() || harmless(&damaged), "byte {at}");
            assert!(Part::from_bytes(&bytes[..at]).is_err() || harmless(&bytes[..at]), "{at} bytes");
        }
        let found = (0..bytes.len()).filter(|&at| Part::from_bytes(&bytes[..at]).is_err()).count();
        assert!(found > bytes.len() - 8, "{found} of {}", bytes.len());
    }
}
