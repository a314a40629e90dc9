//! Progress bars. They appear on stderr if it is a terminal, and never together with `--json`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::progress::Progress;

/// Shows how much of a task is done.
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar for `total` steps of `what`; hidden when `quiet` or when stderr is no terminal.
    pub fn new(what: &'static str, total: usize, quiet: bool) -> Bar {
        if quiet {
            return Bar { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template("{msg:<12} {bar:40} {pos}/{len}  {eta}");
        let bar = ProgressBar::new(total as u64)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(what);
        Bar { bar }
    }

    /// A spinner, for a task whose length is not known.
    pub fn endless(what: String, quiet: bool) -> Bar {
        if quiet {
            return Bar { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new_spinner().with_message(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Bar { bar }
    }

    /// Advances the bar by one step.
    pub fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows the parts of a long task as bars, one after the other.
pub struct Bars {
    quiet: bool,
    bar: Mutex<Option<Bar>>,
}

impl Bars {
    /// Bars that are hidden when `quiet` or when stderr is no terminal.
    pub fn new(quiet: bool) -> Bars {
        Bars { quiet, bar: Mutex::new(None) }
    }

    /// Locks the bar. A thread that panicked while it held the lock did no harm to it, so a poisoned lock is
    /// taken.
    fn lock(&self) -> MutexGuard<'_, Option<Bar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    /// A part of 0 steps is one whose length is not known.
    fn begin(&self, what: &'static str, steps: usize) {
        *self.lock() = Some(match steps {
            0 => Bar::endless(what.to_string(), self.quiet),
            steps => Bar::new(what, steps, self.quiet),
        });
    }

    fn step(&self) {
        if let Some(bar) = self.lock().as_ref() {
            bar.step();
        }
    }

    fn end(&self) {
        *self.lock() = None;
    }
}
