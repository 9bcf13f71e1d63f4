//! Long work on a terminal: a spinner or a bar on stderr. Elsewhere nothing is shown.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

/// A piece of work. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Task(ProgressBar);

impl Task {
    /// Work of which nobody knows how long it takes.
    pub fn begin(message: String) -> Self {
        Self::shown(ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}", message)
    }

    /// Work of so many parts.
    pub fn of(parts: usize) -> Self {
        Self::shown(
            ProgressBar::new(parts as u64),
            "{spinner} [{bar:20}] {pos} of {len}  {msg}  {elapsed}",
            String::new(),
        )
    }

    fn shown(bar: ProgressBar, template: &str, message: String) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if !io::stderr().is_terminal() || is_dumb {
            return Task(ProgressBar::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(message);
        bar.enable_steady_tick(TICK);
        Task(bar)
    }

    pub fn say(&self, message: String) {
        self.0.set_message(message);
    }

    pub fn part_ended(&self) {
        self.0.inc(1);
    }

    /// Writes to stderr without a part of the bar in it.
    pub fn aside(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
