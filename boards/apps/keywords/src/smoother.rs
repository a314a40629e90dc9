//! Words from scores: one window may be mistaken, several that follow one another hardly are.

use heapless::HistoryBuf;

use crate::keywords::output0;

/// Scores of a window.
pub type Scores = output0::Array;

/// Windows in a mean: 400 ms.
const WINDOWS: usize = 4;

/// The mean, as a score, above which a word counts as heard: a probability of 0.7.
const SURE: i32 = output0::quantize(0.7) as i32;

/// Windows after a word until the next: one second, the length of what the model hears at once.
const REST: u32 = 10;

/// Scores that went before, and how long ago a word was heard.
pub struct Smoother {
    last: HistoryBuf<Scores, WINDOWS>,
    rest: u32,
}

impl Smoother {
    /// A smoother that has heard nothing.
    pub const fn new() -> Smoother {
        Smoother { last: HistoryBuf::new(), rest: 0 }
    }

    /// The class of a word, if with these scores one has been heard. The first classes, silence and what is no word, are
    /// none.
    pub fn hear(&mut self, scores: &Scores) -> Option<usize> {
        self.last.write(*scores);
        self.rest = self.rest.saturating_sub(1);
        if self.rest > 0 || self.last.len() < WINDOWS {
            return None;
        }
        let sum = |class: usize| {
            self.last.iter().filter_map(|scores| scores.get(class)).map(|&s| i32::from(s)).sum::<i32>()
        };
        let word = (NO_WORDS..output0::LEN).max_by_key(|&class| sum(class))?;
        let heard = sum(word) > SURE * WINDOWS as i32;
        if heard {
            self.rest = REST;
        }
        heard.then_some(word)
    }
}

/// Classes before the words.
const NO_WORDS: usize = 2;

impl Default for Smoother {
    fn default() -> Self {
        Self::new()
    }
}
