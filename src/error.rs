//! Every failure a caller can meet, with the code and the details it is reported under.

mod resource;
mod stopped;

pub use resource::Resource;
pub use stopped::Stopped;
pub(crate) use stopped::last_words;

use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure. [`code`](Error::code) is stable and meant for programs, `Display` is meant for people, and
/// [`details`](Error::details) carries what a program may want to act on.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are the keys of `details`, which the error table of arawn.h describes")]
pub enum Error {
    /// A pointer was NULL, or its bytes were not UTF-8 from `byte` on.
    InvalidArgument { argument: &'static str, byte: Option<usize> },
    /// The text is not one JSON value.
    InvalidJson { line: usize, column: usize, message: String },
    /// The JSON is not the request it should be, at `path`.
    InvalidRequest { path: String, message: String },
    /// The config does not fit the runtime's schema, or (`is_checked` is false) cannot be checked against it.
    ConfigInvalid { runtime: String, failures: Vec<Failure>, is_checked: bool },
    /// The JSON is not the configuration it should be, at `path`.
    InvalidConfig { path: String, message: String },
    /// No executor has that name.
    UnknownExecutor { executor: String },
    /// An executor has that name already.
    ExecutorExists { executor: String },
    /// No runtime of that name; `near` holds the names most like it, and `problem` what may be wrong with the catalog in
    /// `directory`.
    UnknownRuntime { runtime: String, near: Vec<String>, directory: Option<String>, problem: Option<String> },
    /// The catalog has the runtime, but its file cannot be used.
    RuntimeUnavailable { runtime: String, path: String, reason: String },
    /// The file that is to be registered cannot be used.
    NotRegistered { runtime: String, path: String, reason: String },
    /// `catalog.toml` does not parse, or one of its entries is refused.
    CatalogInvalid { file: String, line: Option<usize>, entry: Option<String>, message: String },
    /// The catalog's directory cannot be written.
    CatalogUnwritable { path: String, reason: String },
    /// The catalog has a runtime of that name.
    RuntimeExists { runtime: String },
    /// The runtime came with the library or an installation, and stays.
    BuiltinRuntime { runtime: String },
    /// The file is not the one that the entry's `sha256` pins.
    HashMismatch { runtime: String, expected: String, actual: String },
    /// Not a module this library can run; `import` names the import that nobody provides, where that is why.
    ModuleInvalid { runtime: String, message: String, import: Option<String> },
    /// The file is larger than `module_bytes`.
    ModuleTooLarge { runtime: String, bytes: u64, module_bytes: u64 },
    /// The guest trapped.
    Trap { trap: String, backtrace: Vec<String>, stderr: String },
    /// The guest exited with a code other than 0 and said nothing on stdout.
    Exit { exit_code: i32, stderr: String },
    /// The runtime itself answered `"status":"error"`.
    Runtime { message: String, stderr: String },
    /// stdout is not one `RuntimeOutput`, as `message` says in full; `offset` counts bytes.
    MalformedOutput { message: String, offset: usize, excerpt: String, stderr: String },
    /// stdout is larger than `output_bytes`.
    OutputTooLarge { output_bytes: u64 },
    /// The deadline passed in `phase`; `guest` is there once one was begun.
    Timeout { phase: Phase, timeout_ms: u64, guest: Option<Box<Stopped>> },
    /// The guest was refused memory or table elements, and failed; `limit` is the name of the limit.
    MemoryExceeded { limit: &'static str, value: u64, guest: Box<Stopped> },
    /// The guest used up its fuel.
    FuelExhausted { fuel: u64, guest: Box<Stopped> },
    /// Somebody cancelled the call in `phase`; `guest` is there once one was begun.
    Cancelled { job: String, phase: Phase, guest: Option<Box<Stopped>> },
    /// Nothing could run the call within its deadline, or, without one, the executor has used up what `limit` allows.
    Overloaded { limit: &'static str, value: u64, timeout_ms: Option<u64> },
    /// The system refused what the library itself needs.
    NoResources { resource: Resource, message: String },
    /// No call of that name is under way.
    UnknownJob { job: String },
    /// A call of that name is under way.
    JobExists { job: String },
    /// A host function was not granted, is not set, or did not answer; what the guest is told.
    HostFunctionFailed { name: String, message: String },
    /// The process is a fork of the one that made the first executor.
    Forked,
    /// Something that this build or this version cannot do.
    Unsupported { message: String },
    /// A defect in this library.
    Internal { message: String },
}

/// One thing in a JSON value that its schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Failure {
    /// Where it is, such as `.items[0].name`, from the value on.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// What a call was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a slot.
    Queue,
    /// Waiting for another writer of the catalog.
    Lock,
    /// Checking the config against its schema.
    Config,
    /// Reading, mapping or compiling the module.
    Load,
    /// Making the instance and running its start function.
    Start,
    /// Inside `_start`: computing, sleeping or in a host call.
    Run,
}

impl Phase {
    /// The name used in `details.phase`.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queue => "queue",
            Phase::Lock => "lock",
            Phase::Config => "config",
            Phase::Load => "load",
            Phase::Start => "start",
            Phase::Run => "run",
        }
    }

    fn during(self) -> &'static str {
        match self {
            Phase::Queue => "while it waited for a slot",
            Phase::Lock => "while another writer had the catalog",
            Phase::Config => "while the config was checked against its schema",
            Phase::Load => "while its module was loading",
            Phase::Start => "while the instance was starting",
            Phase::Run => "while the runtime was running",
        }
    }
}

impl Error {
    /// Every code, in the order of the table in `arawn.h`.
    pub const CODES: [&str; 32] = [
        "invalid_argument",
        "invalid_json",
        "invalid_request",
        "invalid_config",
        "unknown_executor",
        "executor_exists",
        "unknown_runtime",
        "runtime_unavailable",
        "catalog_invalid",
        "catalog_unwritable",
        "runtime_exists",
        "builtin_runtime",
        "hash_mismatch",
        "module_invalid",
        "module_too_large",
        "trap",
        "exit",
        "runtime_error",
        "malformed_output",
        "output_too_large",
        "timeout",
        "memory_exceeded",
        "fuel_exhausted",
        "cancelled",
        "overloaded",
        "no_resources",
        "unknown_job",
        "job_exists",
        "host_function_failed",
        "forked",
        "unsupported",
        "internal",
    ];

    /// The stable code that a reply carries.
    pub fn code(&self) -> &'static str {
        Self::CODES[self.index()]
    }

    /// This error's place in [`CODES`](Self::CODES).
    pub(crate) fn index(&self) -> usize {
        match self {
            Error::InvalidArgument { .. } => 0,
            Error::InvalidJson { .. } => 1,
            Error::InvalidRequest { .. } | Error::ConfigInvalid { .. } => 2,
            Error::InvalidConfig { .. } => 3,
            Error::UnknownExecutor { .. } => 4,
            Error::ExecutorExists { .. } => 5,
            Error::UnknownRuntime { .. } => 6,
            Error::RuntimeUnavailable { .. } | Error::NotRegistered { .. } => 7,
            Error::CatalogInvalid { .. } => 8,
            Error::CatalogUnwritable { .. } => 9,
            Error::RuntimeExists { .. } => 10,
            Error::BuiltinRuntime { .. } => 11,
            Error::HashMismatch { .. } => 12,
            Error::ModuleInvalid { .. } => 13,
            Error::ModuleTooLarge { .. } => 14,
            Error::Trap { .. } => 15,
            Error::Exit { .. } => 16,
            Error::Runtime { .. } => 17,
            Error::MalformedOutput { .. } => 18,
            Error::OutputTooLarge { .. } => 19,
            Error::Timeout { .. } => 20,
            Error::MemoryExceeded { .. } => 21,
            Error::FuelExhausted { .. } => 22,
            Error::Cancelled { .. } => 23,
            Error::Overloaded { .. } => 24,
            Error::NoResources { .. } => 25,
            Error::UnknownJob { .. } => 26,
            Error::JobExists { .. } => 27,
            Error::HostFunctionFailed { .. } => 28,
            Error::Forked => 29,
            Error::Unsupported { .. } => 30,
            Error::Internal { .. } => 31,
        }
    }

    /// What a program may act on: a JSON object, possibly empty.
    pub fn details(&self) -> Map<String, Value> {
        let value = match self {
            Error::InvalidArgument { argument, byte } => json!({"argument": argument, "byte": byte}),
            Error::InvalidJson { line, column, .. } => json!({"line": line, "column": column}),
            Error::InvalidRequest { path, .. } | Error::InvalidConfig { path, .. } => json!({"path": path}),
            Error::ConfigInvalid { failures, .. } => {
                let path = |failure: &Failure| format!("input.config{}", failure.path);
                let told = |failure| json!({"path": path(failure), "message": failure.message});
                json!({"path": failures.first().map(path), "failures": failures.iter().map(told).collect::<Value>()})
            }
            Error::UnknownExecutor { executor } | Error::ExecutorExists { executor } => json!({"executor": executor}),
            Error::UnknownRuntime { runtime, near, directory, problem } => {
                json!({"runtime": runtime, "near": near, "directory": directory, "problem": problem})
            }
            Error::RuntimeUnavailable { runtime, path, reason } | Error::NotRegistered { runtime, path, reason } => {
                json!({"runtime": runtime, "path": path, "reason": reason})
            }
            Error::CatalogInvalid { file, line, entry, .. } => json!({"file": file, "line": line, "entry": entry}),
            Error::CatalogUnwritable { path, reason } => json!({"path": path, "reason": reason}),
            Error::RuntimeExists { runtime } | Error::BuiltinRuntime { runtime } => json!({"runtime": runtime}),
            Error::HashMismatch { runtime, expected, actual } => {
                json!({"runtime": runtime, "expected": expected, "actual": actual})
            }
            Error::ModuleInvalid { runtime, import, .. } => json!({"runtime": runtime, "import": import}),
            Error::ModuleTooLarge { runtime, bytes, module_bytes } => {
                json!({"runtime": runtime, "bytes": bytes, "module_bytes": module_bytes})
            }
            Error::Trap { trap, backtrace, stderr } => {
                json!({"trap": trap, "backtrace": backtrace, "stderr": stderr})
            }
            Error::Exit { exit_code, stderr } => json!({"exit_code": exit_code, "stderr": stderr}),
            Error::Runtime { stderr, .. } => json!({"stderr": stderr}),
            Error::MalformedOutput { offset, excerpt, stderr, .. } => {
                json!({"offset": offset, "excerpt": excerpt, "stderr": stderr})
            }
            Error::OutputTooLarge { output_bytes } => json!({"output_bytes": output_bytes}),
            Error::Timeout { phase, timeout_ms, .. } => json!({"phase": phase.as_str(), "timeout_ms": timeout_ms}),
            Error::MemoryExceeded { limit, value, .. } => json!({*limit: value}),
            Error::FuelExhausted { fuel, .. } => json!({"fuel": fuel}),
            Error::Overloaded { limit, value, timeout_ms: None } => json!({*limit: value}),
            Error::Overloaded { limit, value, timeout_ms } => json!({"timeout_ms": timeout_ms, *limit: value}),
            Error::NoResources { resource, .. } => json!({"resource": resource.as_str()}),
            Error::Cancelled { job, phase, .. } => json!({"job": job, "phase": phase.as_str()}),
            Error::UnknownJob { job } | Error::JobExists { job } => json!({"job": job}),
            Error::HostFunctionFailed { name, .. } => json!({"name": name}),
            Error::Forked | Error::Unsupported { .. } | Error::Internal { .. } => json!({}),
        };
        let mut details = match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        if let Some(guest) = self.guest() {
            guest.add_to(&mut details);
        }
        details
    }

    /// The guest that was stopped, if one was.
    fn guest(&self) -> Option<&Stopped> {
        match self {
            Error::Timeout { guest, .. } | Error::Cancelled { guest, .. } => guest.as_deref(),
            Error::MemoryExceeded { guest, .. } | Error::FuelExhausted { guest, .. } => Some(guest),
            _ => None,
        }
    }

    /// The functions of the guest, innermost first, if they are told.
    #[cfg(feature = "compiler")]
    pub(crate) fn backtrace_mut(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Error::Trap { backtrace, .. } => Some(backtrace),
            Error::Timeout { guest, .. } | Error::Cancelled { guest, .. } => {
                guest.as_deref_mut().map(|guest| &mut guest.backtrace)
            }
            Error::MemoryExceeded { guest, .. } | Error::FuelExhausted { guest, .. } => Some(&mut guest.backtrace),
            _ => None,
        }
    }

    /// The same of a guest that was stopped.
    pub(crate) fn of_guest(mut self, stopped: Stopped) -> Self {
        if let Error::Timeout { guest, .. } | Error::Cancelled { guest, .. } = &mut self {
            *guest = Some(Box::new(stopped));
        }
        self
    }

    /// The same for another runtime that shares the module, and so the error.
    pub(crate) fn of_runtime(mut self, name: &str) -> Self {
        if let Error::RuntimeUnavailable { runtime, .. }
        | Error::HashMismatch { runtime, .. }
        | Error::ModuleInvalid { runtime, .. }
        | Error::ModuleTooLarge { runtime, .. } = &mut self
        {
            *runtime = name.to_owned();
        }
        self
    }

    pub(crate) fn internal(error: impl fmt::Display) -> Self {
        Error::Internal { message: error.to_string() }
    }
}

/// The text, with the control characters of what it quotes escaped: a name or a path may have any.
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
                write!(f, "`{argument}` is not UTF-8: the bytes from offset {byte} on are no character")
            }
            Error::InvalidJson { line, column, message } => {
                write!(f, "not JSON: {message} (line {line}, column {column})")
            }
            Error::InvalidRequest { path, message } => at_path(f, "the request", path, message),
            Error::ConfigInvalid { runtime, failures, is_checked } => {
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
            Error::ExecutorExists { executor } => write!(f, "there is an executor `{}` already", executor),
            Error::UnknownRuntime { runtime, near, directory, problem } => {
                write!(f, "there is no runtime `{runtime}`")?;
                match (directory, problem) {
                    (_, Some(problem)) => write!(f, ": {problem}")?,
                    (Some(directory), None) => write!(f, " in {directory}/catalog.toml")?,
                    (None, None) => f.write_str(" among the built-in ones, and the executor has no `runtimes_dir`")?,
                }
                match near.as_slice() {
                    [] => Ok(()),
                    near => write!(f, "; near names: {}", near.join(", ")),
                }
            }
            Error::RuntimeUnavailable { runtime, path, reason } => {
                write!(f, "the runtime `{runtime}` is in the catalog, but `{path}` cannot be used: {reason}")
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
                write!(f, "there is a runtime `{runtime}` already; `replace` puts the new one in its place")
            }
            Error::BuiltinRuntime { runtime } => {
                write!(f, "the runtime `{runtime}` came with the library or an installation, and stays as it is")
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
            Error::Trap { trap, stderr, .. } => {
                write!(f, "the runtime trapped: {trap}")?;
                match last_words(stderr) {
                    Some(words) if !trap.contains(&*words) => write!(f, ": {words}"),
                    _ => Ok(()),
                }
            }
            Error::Exit { exit_code, stderr } => {
                write!(f, "the runtime exited with code {exit_code}")?;
                last_words(stderr).map_or(Ok(()), |words| write!(f, ": {words}"))
            }
            Error::Runtime { message, .. } => f.write_str(message),
            Error::MalformedOutput { message, .. } => f.write_str(message),
            Error::OutputTooLarge { output_bytes } => {
                write!(f, "the runtime wrote more than `output_bytes` ({output_bytes}) to stdout")
            }
            Error::Timeout { phase, timeout_ms, guest } => {
                write!(f, "the deadline of {timeout_ms} ms passed ")?;
                match (phase, guest.as_deref().and_then(Stopped::waiting)) {
                    (_, Some(waiting)) => write!(f, "while the runtime was {waiting}"),
                    (Phase::Load, None) if cfg!(feature = "compiler") => f.write_str(
                        "and the module is still compiling: call again, register it first, or raise `timeout_ms`",
                    ),
                    (phase, None) => f.write_str(phase.during()),
                }
            }
            Error::MemoryExceeded { limit, value, .. } => {
                write!(f, "the runtime needed more memory than `{limit}` ({value}) allows, and failed")
            }
            Error::FuelExhausted { fuel, .. } => write!(f, "the runtime used up its fuel ({fuel}): raise `fuel`"),
            Error::Overloaded { limit, value, timeout_ms } => {
                if let Some(timeout_ms) = timeout_ms {
                    write!(f, "nothing could run the call within its deadline of {timeout_ms} ms: ")?;
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
                        "the executor has {value} submitted calls that run, wait or were not polled: poll, or configure a \
                         larger `queue`"
                    ),
                    "reply_bytes" => {
                        write!(
                            f,
                            "the executor's replies have more than its `reply_bytes` ({value}): poll, or raise it"
                        )
                    }
                    _ => write!(
                        f,
                        "all {value} slots were busy, or all workers: call later, or raise `timeout_ms` or `pool_slots`"
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
            Error::UnknownJob { job } => write!(f, "there is no call named `{}`, or it has ended", job),
            Error::JobExists { job } => write!(f, "a call named `{}` is under way already", job),
            Error::HostFunctionFailed { name, message } => {
                write!(f, "the host function `{}` failed: {message}", name)
            }
            Error::Forked => f.write_str(
                "this process is a fork of the one that made the first executor, and libarawn works in that one alone: \
                     start a program of its own instead (spawn), or fork before the first executor is made",
            ),
            Error::Unsupported { message } => f.write_str(message),
            Error::Internal { message } => write!(f, "a defect in libarawn: {message}"),
        }
    }
}

/// What is wrong at a path. A message that begins with a verb goes on from the path.
fn at_path(f: &mut impl fmt::Write, whole: &str, path: &str, message: &str) -> fmt::Result {
    match path {
        "." | "" => f.write_str(whole)?,
        path => write!(f, "`{path}`")?,
    }
    let goes_on = ["must ", "is ", "has ", "cannot ", "needs "].iter().any(|verb| message.starts_with(verb));
    write!(f, "{} {message}", if goes_on { "" } else { ":" })
}

impl std::error::Error for Error {}

/// Several callers may wait for one compile, and all get its error.
impl From<Arc<Error>> for Error {
    fn from(error: Arc<Error>) -> Self {
        Arc::unwrap_or_clone(error)
    }
}

/// Text from outside with its control characters escaped, so that it may be printed on a terminal. Line ends and tabs
/// stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    // Writing to a string does not fail.
    let _ = Printable(&mut out).write_str(text);
    Cow::Owned(out)
}

fn is_hostile(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// Writes as [`printable`] does.
struct Printable<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for Printable<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_hostile) {
            let plain = part.trim_end_matches(is_hostile);
            self.0.write_str(plain)?;
            part[plain.len()..].chars().try_for_each(|c| write!(self.0, "{}", c.escape_default()))?;
        }
        Ok(())
    }
}

/// Bytes of a guest's name that the library quotes: of a module, a function, an import or an export.
pub(crate) const MOST_QUOTED: usize = 200;

/// A name that a guest has given, cut to [`MOST_QUOTED`] bytes, with what is not seen or turns text around escaped.
pub(crate) fn quoted(name: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if name.len() <= MOST_QUOTED && !name.contains(is_hidden) {
        return Cow::Borrowed(name);
    }
    let mut out = String::new();
    for c in name[..name.floor_char_boundary(MOST_QUOTED)].chars() {
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if name.len() > MOST_QUOTED {
        out.push('…');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(quoted("a\u{202e}b\u{200b}\n"), "a\\u{202e}b\\u{200b}\\n");
        assert_eq!(quoted(&"ü".repeat(1000)), "ü".repeat(MOST_QUOTED / 2) + "…");
        assert!(matches!(quoted("$main::{closure#0} ü"), Cow::Borrowed(_)));
    }

    #[test]
    fn printable_escapes_terminal_control() {
        assert_eq!(printable("a\x1b[2Jb\0\u{9b}\n\t"), "a\\u{1b}[2Jb\\u{0}\\u{9b}\n\t");
        assert!(matches!(printable("plain ü 🦀"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_text_of_an_error_has_control_characters() {
        let error = Error::CatalogUnwritable { path: "a\x1b[2Jb\0".to_owned(), reason: "\u{9b}".to_owned() };
        assert_eq!(error.to_string(), "a\\u{1b}[2Jb\\u{0} cannot be written: \\u{9b}");
    }
}
