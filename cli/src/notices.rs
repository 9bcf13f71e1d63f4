//! What the library tells its host: warnings, which fail no call, and how far a registration has come.

use crate::report;
use crate::task::Task;
use arawn::{On, Result, ScriptExecutor};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

#[derive(Deserialize)]
struct Notice<'a> {
    #[serde(borrow)]
    level: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// The warnings that were shown. Many a problem is met again by each file of a directory.
#[derive(Default)]
struct Shown(Mutex<HashSet<String>>);

impl Shown {
    fn is_new(&self, message: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to_owned())
    }
}

/// Shows the warnings.
pub fn show(executor: &ScriptExecutor) -> Result<()> {
    show_beside(executor, |write| write())
}

/// Shows the warnings beside what moves on the terminal: `aside` takes that away while it calls what it is given.
pub fn show_beside(executor: &ScriptExecutor, aside: impl Fn(&dyn Fn()) + Send + Sync + 'static) -> Result<()> {
    listen(executor, aside, |_| {})
}

/// Shows the warnings, and the progress as that of the task.
pub fn show_in(executor: &ScriptExecutor, task: &Task) -> Result<()> {
    let told = task.clone();
    let task = task.clone();
    listen(executor, move |write| task.aside(write), move |message| told.say(report::cell(message)))
}

fn listen(
    executor: &ScriptExecutor,
    aside: impl Fn(&dyn Fn()) + Send + Sync + 'static,
    say: impl Fn(&str) + Send + Sync + 'static,
) -> Result<()> {
    let shown = Shown::default();
    let tell = move |notice: &str| {
        match serde_json::from_str(notice) {
            Ok(Notice { level, message }) if level == "warning" => {
                if shown.is_new(&message) {
                    aside(&|| report::warning(&message));
                }
            }
            Ok(Notice { message, .. }) => say(&message),
            Err(_) => {}
        }
        // Nobody looks at the reply.
        Ok(String::new())
    };
    executor.set_host_function("arawn.log", On::Call, Some(Box::new(tell))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_shown_once() {
        let shown = Shown::default();
        assert_eq!(["a", "b", "a"].map(|message| shown.is_new(message)), [true, true, false]);
    }
}
