//! How long work tells how far it is.

/// Is told of the parts of long work, and of their steps.
pub trait Progress: Sync {
    /// A part of this many steps begins.
    fn begin(&self, what: &'static str, steps: usize);
    /// One of its steps is done.
    fn step(&self);
    /// The part is over.
    fn end(&self);
}

/// Tells nobody.
impl Progress for () {
    fn begin(&self, _: &'static str, _: usize) {}
    fn step(&self) {}
    fn end(&self) {}
}
