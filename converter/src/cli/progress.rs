//! Progress bars: on a terminal, on stderr, and never beside JSON.

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far a piece of work is.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for `total` steps of `what`; hidden when `quiet` or when stderr is no terminal.
    pub fn new(what: &'static str, total: usize, quiet: bool) -> Progress {
        if quiet {
            return Progress { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template("{msg:<12} {bar:40} {pos}/{len}  {eta}");
        let bar = ProgressBar::new(total as u64)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(what);
        Progress { bar }
    }

    /// One step more is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
