//! States of sequences: what a model with state remembers between the requests of one client (KServe's `sequence_id`).
//!
//! There is room for a bounded number. Where it is used up, sequences that nobody has continued for a while make room;
//! where there are none, a new one is refused. A sequence stays with the version of the model that it began with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::catalog::Served;
use super::failure::Failure;

/// A sequence is called by the model's name and its own.
pub type Key = (String, String);

/// One client's sequence.
pub struct Sequence {
    /// The model that it runs on, whatever is loaded since.
    pub served: Arc<Served>,
    /// What the last inference left. Requests of one sequence wait here for one another.
    pub state: tokio::sync::Mutex<Vec<u8>>,
    used: Mutex<Instant>,
}

impl Sequence {
    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All sequences that have begun and not ended.
pub struct Sequences {
    most: usize,
    idle: Duration,
    open: Mutex<HashMap<Key, Arc<Sequence>>>,
}

impl Sequences {
    /// Room for `most` sequences, each of which may be given up when it was idle for `idle`.
    pub fn new(most: usize, idle: Duration) -> Sequences {
        Sequences { most, idle, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Arc<Sequence>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have begun and not ended.
    pub fn len(&self) -> usize {
        self.open().len()
    }

    /// Begins a sequence, again if it is open, with the model's own state.
    pub fn begin(&self, key: Key, served: Arc<Served>) -> Result<Arc<Sequence>, Failure> {
        let now = Instant::now();
        let mut open = self.open();
        if open.len() >= self.most && !open.contains_key(&key) {
            open.retain(|_, sequence| now.duration_since(*sequence.used()) < self.idle);
            if open.len() >= self.most {
                return Err(Failure::busy(format!(
                    "{} sequences are open, which is the most; end one with sequence_end, or try again in {} s",
                    self.most,
                    self.idle.as_secs()
                )));
            }
        }
        let state = tokio::sync::Mutex::new(served.initial_state.clone());
        let sequence = Arc::new(Sequence { served, state, used: Mutex::new(now) });
        open.insert(key, Arc::clone(&sequence));
        Ok(sequence)
    }

    /// The sequence that a request continues.
    pub fn find(&self, key: &Key) -> Result<Arc<Sequence>, Failure> {
        let open = self.open();
        let found = open.get(key).ok_or_else(|| {
            Failure::bad(format!(
                "sequence {} of model `{}` is not open: it ended, was idle for too long, or never began; begin it with sequence_start",
                key.1, key.0
            ))
        })?;
        *found.used() = Instant::now();
        Ok(Arc::clone(found))
    }

    /// Ends a sequence.
    pub fn end(&self, key: &Key) {
        self.open().remove(key);
    }
}
