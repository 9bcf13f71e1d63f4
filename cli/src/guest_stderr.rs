//! What a guest prints to stderr, shown while the guest runs.

use crate::report;
use crate::units::count;
use arawn::{On, Result, ScriptExecutor};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The `stderr_to` of the executor. No guest can call it.
pub const FUNCTION: &str = "arawn.stderr";

/// Shows the lines as they come.
#[derive(Debug, Default)]
pub struct GuestStderr {
    /// The lines that the library has dropped.
    dropped: Arc<AtomicU64>,
}

/// What the library tells of a line.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    line: Option<Cow<'a, str>>,
    #[serde(default)]
    dropped: u64,
}

impl GuestStderr {
    pub fn shown(executor: &ScriptExecutor) -> Result<Self> {
        let dropped = Arc::<AtomicU64>::default();
        let counted = dropped.clone();
        let show = move |message: &str| {
            match serde_json::from_str(message) {
                Ok(Message { line: Some(line), .. }) => write(&line),
                Ok(Message { dropped, .. }) => drop(counted.fetch_add(dropped, Ordering::Relaxed)),
                Err(_) => {}
            }
            // Nobody looks at the reply.
            Ok(String::new())
        };
        executor.set_host_function(FUNCTION, On::Call, Some(Box::new(show)))?;
        Ok(GuestStderr { dropped })
    }

    /// Says what was not shown.
    pub fn end(self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            let lines = count(dropped, "more line", "more lines");
            report::note(&format!("{lines} of stderr: --limit stderr_bytes=NUMBER shows more"));
        }
    }
}

fn write(line: &str) {
    // One write a line: lines of other programs do not get into it.
    let text = report::guest_line(line);
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
    let _ = io::stderr().flush();
}
