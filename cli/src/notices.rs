//! What the library tells its host: warnings, which fail no call, and how far a registration has come.

use crate::report;
use crate::task::Task;
use arawn::{On, Result, ScriptExecutor};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Notice<'a> {
    #[serde(borrow)]
    level: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Shows the warnings, and the progress where there is a task.
pub fn show(executor: &ScriptExecutor, task: Option<Task>) -> Result<()> {
    let tell = move |notice: &str| {
        match (serde_json::from_str(notice), &task) {
            (Ok(Notice { level, message }), None) if level == "warning" => report::warning(&message),
            (Ok(Notice { level, message }), Some(task)) if level == "warning" => {
                task.aside(|| report::warning(&message));
            }
            (Ok(Notice { message, .. }), Some(task)) => task.say(report::cell(&message)),
            _ => {}
        }
        // Nobody looks at the reply.
        Ok(String::new())
    };
    executor.set_host_function("arawn.log", On::Call, Some(Box::new(tell))).map(drop)
}
