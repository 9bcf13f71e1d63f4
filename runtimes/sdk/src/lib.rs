//! The guest SDK: a libarawn runtime as one closure from typed config and context to a result.
//!
//! ```no_run
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     greeting: String,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Context {
//!     name: String,
//! }
//!
//! arawn_sdk::run(|config: Config, context: Context| -> Result<String, String> {
//!     if context.name.is_empty() {
//!         return Err("name is empty".to_owned());
//!     }
//!     Ok(format!("{}, {}", config.greeting, context.name))
//! });
//! ```
//!
//! A runtime gets one `RuntimeInput` on stdin, `{"config":…,"context":…}`, and gives one `RuntimeOutput` on stdout,
//! `{"status":"ok","output":…}` or `{"status":"error","error":"text"}`. stdout belongs to [`run`]; diagnostics go to
//! stderr.
//!
//! [`runtime!`] makes of the same closure a module whose calls may begin from a snapshot.

mod arena;
mod context;
mod host;
#[cfg(target_os = "wasi")]
mod realloc;
mod respond;
mod runtime;
mod stdio;
mod words;

use std::fmt::Display;
use std::panic::{PanicHookInfo, set_hook};

use serde::{Deserialize, Serialize};

pub use arena::Arena;
pub use context::{Context, NotFound, Path, PathError, text};
pub use host::host_call;
pub use respond::respond;
#[cfg(target_os = "wasi")]
#[doc(hidden)]
pub use runtime::read_variables_anew;

/// Runs a whole runtime: reads stdin to its end, calls `runtime` at most once, and writes one `RuntimeOutput` to stdout.
///
/// Call it as all that `main` does, or leave the call to [`runtime!`]. The input lives until the process ends, so `C` and
/// `X` may borrow from it (`&'static str`, `&'static RawValue`). What becomes of the input, and which errors there are, is [`respond`]'s.
///
/// The exit code is 0, also for an answer with `"status":"error"`. It is 1 for a panic, which answers
/// `panicked: <message> at <file>:<line>`, and, with nothing to read on stdout, when stdout cannot be written.
///
/// Nothing is written before `runtime` has returned or panicked, and then all of it in one `fd_write`, without a newline.
pub fn run<C, X, O, E>(runtime: impl FnOnce(C, X) -> Result<O, E>)
where
    C: Deserialize<'static>,
    X: Deserialize<'static>,
    O: Serialize,
    E: Display,
{
    set_hook(Box::new(answer_panic));
    let answer = match stdio::read_input() {
        Ok(input) => respond(input.leak(), runtime),
        Err(error) => respond::error(&format!("stdin cannot be read: {error}")),
    };
    write_or_exit(&answer);
}

/// Answers in the hook, since a guest is built with `panic = "abort"` and nothing runs after it.
fn answer_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("(not a text)");
    let text = match info.location() {
        Some(at) => format!("panicked: {message} at {}:{}", at.file(), at.line()),
        None => format!("panicked: {message}"),
    };
    write_or_exit(&respond::error(&text));
    stdio::exit(1);
}

/// Does not panic: the panic hook ends here, and would write a second answer behind half of a first one.
fn write_or_exit(answer: &[u8]) {
    if stdio::write_output(answer).is_err() {
        stdio::exit(1);
    }
}
