//! Progress of long work.

/// Is notified of the parts of long work, and of their steps.
pub trait Progress: Sync {
    /// A part with this many steps begins. A part of 0 steps is one whose length is not known.
    fn begin(&self, what: &'static str, steps: usize);
    /// One of its steps is done.
    fn step(&self);
    /// The part is over.
    fn end(&self);
}

/// Ignores all progress.
impl Progress for () {
    fn begin(&self, _: &'static str, _: usize) {}
    fn step(&self) {}
    fn end(&self) {}
}
