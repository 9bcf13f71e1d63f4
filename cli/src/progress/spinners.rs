//! A spinner for each step that runs, and above them a line for each that has ended, for terminals.

use super::{Columns, Progress};
use crate::timeline::{State, StepRun};
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Spinners {
    columns: Columns,
    is_coloured: bool,
    all: MultiProgress,
    /// By the step's name.
    running: Mutex<HashMap<String, ProgressBar>>,
}

impl Spinners {
    pub fn new(columns: Columns) -> Self {
        let is_coloured = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
        Spinners { columns, is_coloured, all: MultiProgress::new(), running: Mutex::default() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, state: State) -> String {
        let (mark, colour) = match state {
            State::Done => ("✓", AnsiColor::Green),
            State::Failed => ("✗", AnsiColor::Red),
            _ => ("–", AnsiColor::Yellow),
        };
        let style = if self.is_coloured { colour.on_default() } else { Style::new() };
        format!("{style}{mark}{style:#}")
    }
}

fn show(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

impl Progress for Spinners {
    fn started(&self, step: &StepRun) {
        let bar = self.all.add(ProgressBar::new_spinner().with_message(self.columns.names(step)));
        show(&bar, "{spinner} {msg}  {elapsed}");
        bar.enable_steady_tick(TICK);
        self.running().insert(step.name.clone(), bar);
    }

    fn item(&self, step: &StepRun) {
        let running = self.running();
        let Some(bar) = running.get(&step.name) else { return };
        if bar.length().is_none() {
            bar.set_length(step.items.unwrap_or(0));
            show(bar, "{spinner} {msg}  {elapsed}  {pos} of {len} items");
        }
        bar.set_position(step.items_done);
    }

    fn ended(&self, step: &StepRun) {
        let bar = self.running().remove(&step.name);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        let line = format!("{} {}", self.mark(step.state), self.columns.line(step));
        self.all.suspend(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }

    fn aside(&self, write: &dyn Fn()) {
        self.all.suspend(write);
    }

    fn close(&self) {
        for (_, bar) in self.running().drain() {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}
