//! The text of an error, for a person: what is wrong, where, and what to do.

use super::failure::{Error, Failure, Phase};
use super::printable::{Printable, quoted};
use super::stopped::{Stopped, exit_message};
use std::fmt;

/// The control characters in the text are escaped: the text quotes names and paths, which may have any.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(&mut Printable(f))
    }
}

impl Error {
    fn describe(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Error::InvalidArgument { argument, byte: None } => write!(f, "`{argument}` is NULL"),
            Error::InvalidArgument { argument, byte: Some(byte) } => {
                write!(f, "`{argument}` is not UTF-8: byte {byte} does not begin a valid character")
            }
            Error::InvalidJson { line, column, message } => {
                write!(f, "not JSON: {message} (line {line}, column {column})")
            }
            Error::InvalidRequest { path, message } => at_path(f, "the request", path, message),
            Error::SchemaViolation { runtime, failures, is_checked } => {
                let fits = if *is_checked { "does not fit" } else { "cannot be checked against" };
                write!(f, "the config {fits} the schema of runtime `{runtime}`")?;
                for Failure { path, message } in failures.iter().take(3) {
                    write!(f, "; `input.config{}`: {message}", path)?;
                }
                match failures.len() {
                    0..4 => Ok(()),
                    count => write!(f, "; and {} more", count - 3),
                }
            }
            Error::InvalidConfig { path, message } => at_path(f, "the configuration", path, message),
            Error::UnknownExecutor { executor } => {
                write!(f, "there is no executor `{}`; make it with arawn_executor_new", executor)
            }
            Error::ExecutorExists { executor } => {
                write!(f, "an executor `{executor}` exists already: choose another `id`, or close that one")
            }
            Error::UnknownRuntime { runtime, near, directory, problem } => {
                write!(f, "there is no runtime `{runtime}`")?;
                match (directory, problem) {
                    (_, Some(problem)) => write!(f, ": {problem}")?,
                    (Some(directory), None) => write!(f, " in {directory}/catalog.toml")?,
                    (None, None) => {
                        f.write_str(": the executor has no `runtimes_dir`, so it serves only the built-in runtimes")?;
                    }
                }
                match near.as_slice() {
                    [] => Ok(()),
                    near => write!(f, "; similar names: {}", near.join(", ")),
                }
            }
            Error::RuntimeUnavailable { runtime, path, reason } => {
                write!(f, "the file of runtime `{runtime}` cannot be used: `{path}`: {reason}")
            }
            Error::NotRegistered { runtime, path, reason } => {
                write!(f, "cannot register `{runtime}`: {path}: {reason}")
            }
            Error::CatalogInvalid { file, line, entry, message } => {
                f.write_str(file)?;
                if let Some(line) = line {
                    write!(f, ":{line}")?;
                }
                if let Some(entry) = entry {
                    write!(f, ": runtime `{}`", entry)?;
                }
                write!(f, ": {message}")
            }
            Error::CatalogUnwritable { path, reason } => write!(f, "{path} cannot be written: {reason}"),
            Error::RuntimeExists { runtime } => {
                write!(f, "a runtime `{runtime}` exists already: set `replace` to replace it")
            }
            Error::BuiltinRuntime { runtime } => {
                write!(f, "the runtime `{runtime}` is built in: it cannot be replaced or removed")
            }
            Error::HashMismatch { runtime, expected, actual } => {
                write!(f, "the file of runtime `{runtime}` has SHA-256 {actual}, but the catalog pins {expected}")
            }
            Error::ModuleInvalid { runtime, message, .. } => {
                write!(f, "the module of runtime `{runtime}` cannot run: {}", message)
            }
            Error::ModuleTooLarge { runtime, bytes, module_bytes } => {
                write!(
                    f,
                    "the module of runtime `{runtime}` has {bytes} bytes, more than `module_bytes` ({module_bytes})"
                )
            }
            Error::ScriptInvalid { runtime, file, line, column, message } => {
                write!(f, "the script of runtime `{runtime}` cannot run: {file}")?;
                for number in [line, column].into_iter().flatten() {
                    write!(f, ":{number}")?;
                }
                write!(f, ": {message}")
            }
            Error::Trap { trap, stderr, .. } => {
                write!(f, "the runtime trapped: {trap}")?;
                match exit_message(stderr) {
                    Some(words) if !trap.contains(&*words) => write!(f, ": {words}"),
                    _ => Ok(()),
                }
            }
            Error::Exit { exit_code, stderr } => {
                write!(f, "the runtime exited with code {exit_code}")?;
                exit_message(stderr).map_or(Ok(()), |words| write!(f, ": {words}"))
            }
            Error::Runtime { message, .. } => f.write_str(message),
            Error::MalformedOutput { message, .. } => f.write_str(message),
            Error::OutputTooLarge { output_bytes } => {
                write!(f, "the runtime wrote more than `output_bytes` ({output_bytes}) to stdout")
            }
            Error::OutputsTooLarge { limit: "output_bytes", value } => {
                write!(f, "the outputs of the step's items have more than `output_bytes` ({value}) together")
            }
            Error::OutputsTooLarge { limit, value } => {
                write!(f, "the outputs that later steps need have more than `{limit}` ({value}) together")
            }
            Error::Timeout { phase, timeout_ms, guest } => {
                write!(f, "the deadline of {timeout_ms} ms passed ")?;
                match (phase, guest.as_deref().and_then(Stopped::waiting)) {
                    (_, Some(waiting)) => write!(f, "while the runtime was {waiting}"),
                    (Phase::Load, None) if cfg!(feature = "compiler") => f.write_str(
                        "before the module was compiled; the compilation goes on: call again later, register the \
                         module first, or raise `timeout_ms`",
                    ),
                    (phase, None) => f.write_str(phase.during()),
                }
            }
            Error::RegistrationTimeout { runtime, phase, timeout_ms } => {
                write!(f, "the deadline of {timeout_ms} ms for registering `{runtime}` passed ")?;
                match phase {
                    Phase::Load if cfg!(feature = "compiler") => f.write_str(
                        "before the module was compiled; the compilation goes on: register it again later, or raise \
                         the registration's `timeout_ms`",
                    ),
                    Phase::Queue => f.write_str(
                        "while other registrations of the executor were running: register it again later, or raise \
                         the registration's `timeout_ms`",
                    ),
                    phase => {
                        write!(f, "{}: register it again, or raise the registration's `timeout_ms`", phase.during())
                    }
                }
            }
            Error::MemoryExceeded { limit, value, .. } => {
                write!(f, "the runtime was refused memory beyond `{limit}` ({value}), and failed")
            }
            Error::FuelExhausted { fuel, .. } => write!(f, "the runtime used up its fuel ({fuel}): raise `fuel`"),
            Error::Overloaded { limit, value, timeout_ms } => {
                if let Some(timeout_ms) = timeout_ms {
                    write!(f, "the call did not begin within its deadline of {timeout_ms} ms, because ")?;
                }
                match *limit {
                    "calls" => write!(
                        f,
                        "{value} other calls of the executor were running: wait for them, or raise its `calls`"
                    ),
                    "cpu_ms_per_s" => {
                        write!(
                            f,
                            "the executor's guests have used up its `cpu_ms_per_s` ({value}): call later, or raise it"
                        )
                    }
                    "queue" => write!(
                        f,
                        "the executor has {value} jobs that are queued, running or not yet polled: call arawn_poll, or \
                         configure a larger `queue`"
                    ),
                    "reply_bytes" => {
                        write!(
                            f,
                            "the executor's replies that are not yet polled have more bytes than its `reply_bytes` \
                             ({value}): call arawn_poll, or raise it"
                        )
                    }
                    _ => write!(
                        f,
                        "all {value} slots or all workers were busy: call later, or raise `timeout_ms` or `pool_slots`"
                    ),
                }
            }
            Error::Cancelled { job, phase, guest } => {
                write!(f, "the call `{job}` was cancelled ")?;
                match guest.as_deref().and_then(Stopped::waiting) {
                    Some(waiting) => write!(f, "while the runtime was {waiting}"),
                    None => f.write_str(phase.during()),
                }
            }
            Error::NoResources { message, .. } => f.write_str(message),
            Error::UnknownJob { job } => write!(f, "there is no job named `{job}`, or it has ended"),
            Error::JobExists { job } => {
                write!(f, "a job named `{job}` exists already: choose another name, or wait for that job")
            }
            Error::Step { step, index, error, .. } => {
                write!(f, "step `{}`", quoted(step))?;
                if let Some(index) = index {
                    write!(f, ", item {index}")?;
                }
                f.write_str(": ")?;
                error.describe(f)
            }
            Error::UnknownCall { call } => {
                write!(
                    f,
                    "no host function's call `{call}` waits for an answer: it was answered already, or its guest has \
                     ended, or there never was one"
                )
            }
            Error::HostFunctionFailed { name, message } => {
                write!(f, "the host function `{}` failed: {message}", name)
            }
            Error::Forked => f.write_str(
                "this process is a fork, and libarawn works only in the process that made the first executor: start a \
                 new program instead (spawn), or fork before the first executor is made",
            ),
            Error::Unsupported { message } => f.write_str(message),
            Error::Internal { message } => write!(f, "a defect in libarawn: {message}"),
        }
    }
}

/// Writes what is wrong at a path. If the message begins with a verb, the path is its subject.
fn at_path(f: &mut impl fmt::Write, whole: &str, path: &str, message: &str) -> fmt::Result {
    match path {
        "." | "" => f.write_str(whole)?,
        path => write!(f, "`{path}`")?,
    }
    let goes_on =
        ["must ", "is ", "has ", "cannot ", "needs ", "appears "].iter().any(|verb| message.starts_with(verb));
    write!(f, "{} {message}", if goes_on { "" } else { ":" })
}
