//! The progress of a run on stderr: spinners on a terminal, a line for each step that has ended elsewhere.

mod lines;
mod spinners;

use crate::timeline::{State, StepRun};
use crate::units::{count, duration, grouped};
use lines::Lines;
use spinners::Spinners;
use std::io::{self, IsTerminal};
use unicode_width::UnicodeWidthStr;

/// Steps report from threads of their own.
pub trait Progress: Send + Sync {
    fn started(&self, _step: &StepRun) {}
    fn item(&self, _step: &StepRun) {}
    fn ended(&self, _step: &StepRun) {}
    /// Has something else written to stderr, with nothing that moves in it.
    fn aside(&self, write: &dyn Fn()) {
        write();
    }
    /// Takes what moves off the terminal.
    fn close(&self) {}
}

struct Quiet;

impl Progress for Quiet {}

/// The progress that fits stderr.
pub fn progress(is_quiet: bool, steps: &[StepRun]) -> Box<dyn Progress> {
    let columns = Columns::new(steps);
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match (is_quiet, io::stderr().is_terminal() && !is_dumb) {
        (true, _) => Box::new(Quiet),
        (false, true) => Box::new(Spinners::new(columns)),
        (false, false) => Box::new(Lines::new(columns)),
    }
}

/// The widths of the columns.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    name: usize,
    runtime: usize,
}

impl Columns {
    /// A longer name pushes the rest of its own line to the right.
    const WIDEST: usize = 32;

    pub fn new(steps: &[StepRun]) -> Self {
        let widest = |text: fn(&StepRun) -> &str| {
            let widths = steps.iter().map(|step| text(step).width());
            widths.filter(|width| *width <= Self::WIDEST).max().unwrap_or(0)
        };
        Columns { name: widest(|step| &step.name), runtime: widest(|step| &step.runtime) }
    }

    /// `fetch  http`
    fn names(self, step: &StepRun) -> String {
        format!("{}  {}", padded(&step.name, self.name), padded(&step.runtime, self.runtime))
    }

    /// `fetch  http   12.3 ms  memory`
    fn line(self, step: &StepRun) -> String {
        let mut line = format!("{}  {:>9}", self.names(step), duration(step.took_us()));
        let notes = [
            match step.state {
                State::Failed => Some("failed".to_owned()),
                State::Stopped => Some("stopped".to_owned()),
                _ => step.cache.clone(),
            },
            step.items.map(|items| match step.state {
                State::Done => count(items, "item", "items"),
                _ => format!("{} of {}", grouped(step.items_done), count(items, "item", "items")),
            }),
            step.tries.filter(|tries| *tries > step.items.unwrap_or(1)).map(|tries| count(tries, "try", "tries")),
        ];
        for note in notes.into_iter().flatten() {
            line = line + "  " + &note;
        }
        line
    }
}

/// By the columns that a terminal shows, which `{:<}` does not count.
fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(text.width()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, runtime: &str, state: State, items: Option<u64>) -> StepRun {
        let step = StepRun::new(name, runtime, std::iter::empty());
        StepRun { state, items, items_done: 1, ended_us: 12_345, ..step }
    }

    #[test]
    fn a_line_has_name_runtime_time_and_what_else_is_known() {
        let mut steps = [
            step("fetch", "http", State::Done, None),
            step("日本", "passthrough", State::Failed, Some(3)),
            step(&"long".repeat(16), "a", State::Stopped, None),
        ];
        (steps[0].cache, steps[0].tries) = (Some("memory".to_owned()), Some(2));
        let columns = Columns::new(&steps);
        assert_eq!(columns.line(&steps[0]), "fetch  http           12.3 ms  memory  2 tries");
        assert_eq!(columns.line(&steps[1]), "日本   passthrough    12.3 ms  failed  1 of 3 items");
        assert_eq!(columns.line(&steps[2]), "long".repeat(16) + "  a              12.3 ms  stopped");
    }

    #[test]
    fn each_item_takes_a_try() {
        let mut each = step("each", "greet", State::Done, Some(2));
        let columns = Columns::new(&[]);
        each.tries = Some(2);
        assert!(columns.line(&each).ends_with("12.3 ms  2 items"));
        each.tries = Some(3);
        assert!(columns.line(&each).ends_with("12.3 ms  2 items  3 tries"));
    }
}
