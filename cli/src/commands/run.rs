//! `arawn run`: one call of a runtime, and what it answers.

mod arguments;

pub use arguments::RunArguments;

use crate::exit::Exit;
use crate::guest_stderr::{self, GuestStderr};
use crate::hints::hint_of;
use crate::interrupt::Interrupt;
use crate::report::Script;
use crate::{notices, process, report};
use arawn::{CallOptions, Code, Error, Result, RuntimeEntry, RuntimeOutput};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The name by which Ctrl-C finds the call.
const JOB: &str = "run";
/// How long the process waits before it ends, for a disk or a terminal that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a call has ended.
struct Ended {
    result: Result<RuntimeOutput>,
    is_interrupted: bool,
    /// The script that ran, if it was one.
    script: Option<Script>,
}

pub fn run(arguments: &RunArguments) -> Exit {
    match execute(arguments) {
        Ok(Ended { result: Ok(output), .. }) if arguments.json => report::line(&reply(&output)),
        Ok(Ended { result: Ok(output), .. }) => report::line(output.output()),
        Ok(Ended { result: Err(error), is_interrupted, script }) => {
            let exit = failed(arguments, &error, !arguments.quiet, script);
            if is_interrupted && error.as_code() == Code::Cancelled { Exit::Interrupted } else { exit }
        }
        Err(error) => failed(arguments, &error, false, None),
    }
}

/// Makes the call. An error is one from before it.
fn execute(arguments: &RunArguments) -> Result<Ended> {
    let target = arguments.call.target()?;
    let text = arguments.call.input()?;
    let input = text.get()?;
    process::for_one_call()?;
    let mut config = target.config(&arguments.grants)?;
    if !arguments.quiet {
        config.stderr_to = Some(guest_stderr::FUNCTION.to_owned());
    }
    let (executor, name) = target.executor(config)?;
    // The thread that waits for Ctrl-C holds the executor too, so that nothing of it is torn down at the end.
    let executor = Arc::new(executor);
    let stderr = if arguments.quiet { None } else { Some(GuestStderr::shown(&executor)?) };
    notices::show(&executor)?;
    let running = executor.clone();
    let interrupt = Interrupt::cancelling(move || running.cancel(JOB).is_ok())
        .map_err(|error| Error::Internal { message: format!("no signal handler: {error}") })?;
    let options = CallOptions { job: Some(JOB), ..CallOptions::default() };
    let result = executor.execute_runtime_with(&name, &input, &options);
    executor.finish(PATIENCE);
    if let Some(stderr) = stderr {
        stderr.end();
    }
    let script = executor.catalog().get(&name).and_then(|entry| script(&entry));
    Ok(Ended { result, is_interrupted: interrupt.is_pressed(), script })
}

fn script(entry: &RuntimeEntry) -> Option<Script> {
    entry.language()?;
    let path = entry.path()?.to_owned();
    let file = path.file_name()?.to_string_lossy().into_owned();
    let ending = path.extension()?.to_string_lossy();
    // A registration names the file anew, and messages have the runtime's name then.
    let names = vec![file, format!("{}.{ending}", entry.name)];
    Some(Script { path, names })
}

/// The library's reply. The output is the runtime's text.
fn reply(output: &RuntimeOutput) -> String {
    let meta = output.meta().map_or_else(|| json!(null), |meta| json!(meta));
    ["{\"status\":\"ok\",\"output\":", output.output(), ",\"meta\":", &meta.to_string(), "}"].concat()
}

fn failed(arguments: &RunArguments, error: &Error, is_told: bool, script: Option<Script>) -> Exit {
    if arguments.json {
        let written = report::line(&report::error_reply(error));
        return if written == Exit::Success { error.as_code().into() } else { written };
    }
    let limits = arguments.grants.limits().unwrap_or_default();
    report::run_error(error, is_told, script.as_ref(), hint_of(arguments.call.runtime(), error, &limits).as_deref());
    error.as_code().into()
}
