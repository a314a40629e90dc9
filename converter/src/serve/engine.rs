//! Threads that run one model. Each has an interpreter of its own, which it keeps between requests: an inference then
//! costs what it costs, and nothing for starting. Threads begin when there is work for them and end when there is none.
//!
//! Ops run one by one, so that a request whose time is over ends between two of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use ferrolite_runtime::{Interpreter, Model, OpSet, Step};
use tokio::sync::oneshot;

use super::failure::Failure;
use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
use crate::execute::{failed, interpreter};
use crate::run::check_indices;

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(10);

/// Samples in the inputs' own types, an element for each input.
pub type Samples = Vec<Vec<Vec<u8>>>;

/// What an engine is asked for.
pub struct Task {
    /// Samples, run in this order.
    pub samples: Samples,
    /// In a sequence, the state before the first sample, and each sample then begins with what the one before left. Else
    /// each begins with the model's own state.
    pub state: Option<Vec<u8>>,
    /// When the client gives up.
    pub deadline: Instant,
}

/// What an engine answers.
#[derive(Debug)]
pub struct Answer {
    /// For each sample, for each output, its bytes in the output's own type.
    pub samples: Samples,
    /// In a sequence, the state after the last sample.
    pub state: Option<Vec<u8>>,
}

struct Job {
    task: Task,
    answer: oneshot::Sender<Result<Answer, Failure>>,
}

/// Runs one model on a few threads.
pub struct Engine(Arc<Shared>);

struct Shared {
    /// The file, packed for this machine.
    bytes: AlignedBuf,
    ops: OpSet,
    most: usize,
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// An engine of at most `threads` threads for a verified file. None of them runs yet.
    pub fn new(bytes: AlignedBuf, ops: OpSet, threads: usize) -> Engine {
        let queue = Mutex::new(Queue::default());
        Engine(Arc::new(Shared { bytes, ops, most: threads.max(1), queue, work: Condvar::new() }))
    }

    /// Runs samples; waits until a thread has time for them.
    pub async fn run(&self, task: Task) -> Result<Answer, Failure> {
        let (answer, wait) = oneshot::channel();
        {
            let mut queue = self.0.queue();
            queue.jobs.push_back(Job { task, answer });
            if queue.idle < queue.jobs.len() && queue.threads < self.0.most {
                queue.threads += 1;
                let shared = Arc::clone(&self.0);
                let started =
                    std::thread::Builder::new().name("model".into()).spawn(move || Leaving(&shared).0.work());
                if let Err(error) = started {
                    queue.threads -= 1;
                    if queue.threads == 0 {
                        queue.jobs.clear();
                        return Err(Failure::busy(format!("no thread can be started: {error}")));
                    }
                }
            }
        }
        self.0.work.notify_one();
        wait.await.unwrap_or_else(|_| {
            let message =
                "this inference ended early: this is a mistake in Ferrolite, please report it with the model";
            Err(Failure::of(StatusCode::INTERNAL_SERVER_ERROR, message))
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.work.notify_all();
    }
}

/// Counts a thread as gone, however it ends.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue().threads -= 1;
        }
    }
}

impl Shared {
    /// What a thread does: job after job.
    fn work(&self) {
        let mut memory;
        let parts = match Model::from_bytes(&self.bytes) {
            Ok(model) => {
                memory = AlignedBuf::zeroed(model.arena_bytes());
                Ok((model, &mut memory))
            }
            Err(error) => Err(failed(error.into())),
        };
        let (model, memory) = match parts {
            Ok(parts) => parts,
            Err(error) => return self.refuse(&error),
        };
        match interpreter(&model, self.ops, memory) {
            Ok(mut net) => {
                while let Some(Job { task, answer }) = self.next() {
                    // A client that has gone away needs no answer.
                    if !answer.is_closed() {
                        let _ = answer.send(carry_out(&mut net, task));
                    }
                }
            }
            Err(error) => self.refuse(&error),
        }
    }

    /// Answers all that wait with an error. Files are verified before they get here, so this happens to none.
    fn refuse(&self, error: &Error) {
        let mut queue = self.queue();
        queue.threads -= 1;
        for job in queue.jobs.drain(..) {
            let _ = job.answer.send(Err(error.clone().into()));
        }
    }

    /// The next job; `None` when the thread is to end, which is then no longer counted.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                queue.threads -= 1;
                return None;
            }
            queue.idle += 1;
            let (woken, timeout) =
                self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if timeout.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}

/// Runs all samples of a task.
fn carry_out(net: &mut Interpreter<'_>, task: Task) -> Result<Answer, Failure> {
    let whole = |error| Failure::from(failed(error));
    let sequence = task.state.is_some();
    if let Some(before) = &task.state {
        net.restore(before).map_err(whole)?;
    }
    let mut samples = Vec::with_capacity(task.samples.len());
    for inputs in &task.samples {
        if !sequence {
            net.reset();
        }
        check_indices(net.model(), inputs)?;
        samples.push(infer(net, inputs, task.deadline)?);
    }
    let state = if sequence { Some(net.state().map_err(whole)?.to_vec()) } else { None };
    Ok(Answer { samples, state })
}

/// One inference, op by op until it is done or the time is over.
fn infer(net: &mut Interpreter<'_>, inputs: &[Vec<u8>], deadline: Instant) -> Result<Vec<Vec<u8>>, Failure> {
    let whole = |error| Failure::from(failed(error));
    for (index, bytes) in inputs.iter().enumerate() {
        let input = net.input_bytes_mut(index).map_err(whole)?;
        if input.len() != bytes.len() {
            return Err(Error::internal(format!("input {index} has {} bytes", bytes.len())).into());
        }
        input.copy_from_slice(bytes);
    }
    while net.step().map_err(whole)? != Step::Done {
        if Instant::now() > deadline {
            net.reset();
            return Err(Failure::of(
                StatusCode::GATEWAY_TIMEOUT,
                "the time for a request is over; send fewer samples at once, or start the server with a larger --timeout",
            ));
        }
    }
    let outputs = 0..net.model().outputs().len();
    outputs.map(|index| net.output_bytes(index).map(<[u8]>::to_vec).map_err(whole)).collect()
}
