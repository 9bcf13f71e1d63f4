//! Every failure that a caller can meet.

use super::code::Code;
use super::resource::Resource;
use super::stopped::Stopped;
use serde::Serialize;
use std::fmt;
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
    SchemaViolation { runtime: String, failures: Vec<Failure>, is_checked: bool },
    /// The JSON is not the configuration it should be, at `path`.
    InvalidConfig { path: String, message: String },
    /// No executor has that name.
    UnknownExecutor { executor: String },
    /// An executor has that name already.
    ExecutorExists { executor: String },
    /// No runtime has that name. `near` has the names that are most like it, and `problem` says what may be wrong with
    /// the catalog in `directory`.
    UnknownRuntime { runtime: String, near: Vec<String>, directory: Option<String>, problem: Option<String> },
    /// The catalog has the runtime, but its file cannot be used.
    RuntimeUnavailable { runtime: String, path: String, reason: String },
    /// The file that is to be registered cannot be used.
    NotRegistered { runtime: String, path: String, reason: String },
    /// `catalog.toml` cannot be parsed, or one of its entries is refused.
    CatalogInvalid { file: String, line: Option<usize>, entry: Option<String>, message: String },
    /// The catalog's directory cannot be written.
    CatalogUnwritable { path: String, reason: String },
    /// The catalog has a runtime of that name.
    RuntimeExists { runtime: String },
    /// The runtime came with the library or an installation, and cannot be replaced or removed.
    BuiltinRuntime { runtime: String },
    /// The file is not the one that the entry's `sha256` pins.
    HashMismatch { runtime: String, expected: String, actual: String },
    /// The file is not a module that this library can run. If nobody provides one of its imports, `import` is its name.
    ModuleInvalid { runtime: String, message: String, import: Option<String> },
    /// The file is larger than `module_bytes`.
    ModuleTooLarge { runtime: String, bytes: u64, module_bytes: u64 },
    /// The script cannot be parsed. `line` and `column` count from 1 and tell where, if that is known; `file` is the name
    /// that the script has in messages.
    ScriptInvalid { runtime: String, file: String, line: Option<u32>, column: Option<u32>, message: String },
    /// The guest trapped.
    Trap { trap: String, backtrace: Vec<String>, stderr: String },
    /// The guest exited with a code other than 0 and wrote nothing to stdout.
    Exit { exit_code: i32, stderr: String },
    /// The runtime itself answered `"status":"error"`.
    Runtime { message: String, stderr: String },
    /// stdout is not one `RuntimeOutput`. `message` is the whole text of the error; `offset` counts bytes.
    MalformedOutput { message: String, offset: usize, excerpt: String, stderr: String },
    /// stdout is larger than `output_bytes`.
    OutputTooLarge { output_bytes: u64 },
    /// The outputs that a pipeline keeps, or those of one list, have more bytes together than `limit` allows.
    OutputsTooLarge { limit: &'static str, value: u64 },
    /// The deadline passed in `phase`. `guest` is there if the guest had begun.
    Timeout { phase: Phase, timeout_ms: u64, guest: Option<Box<Stopped>> },
    /// The deadline of a registration passed in `phase`.
    RegistrationTimeout { runtime: String, phase: Phase, timeout_ms: u64 },
    /// The guest was refused memory or table elements and then failed. `limit` is the name of the limit.
    MemoryExceeded { limit: &'static str, value: u64, guest: Box<Stopped> },
    /// The guest used up its fuel.
    FuelExhausted { fuel: u64, guest: Box<Stopped> },
    /// Somebody cancelled the call in `phase`. `guest` is there if the guest had begun.
    Cancelled { job: String, phase: Phase, guest: Option<Box<Stopped>> },
    /// With `timeout_ms`: the call did not begin within its deadline. Without: the executor has used up what
    /// `limit` allows.
    Overloaded { limit: &'static str, value: u64, timeout_ms: Option<u64> },
    /// The system refused something that the library itself needs.
    NoResources { resource: Resource, message: String },
    /// No call of that name is under way.
    UnknownJob { job: String },
    /// A call of that name is under way already.
    JobExists { job: String },
    /// A step of a pipeline failed, and with it the pipeline. `index` is that of the item, where the step has several.
    Step { step: String, index: Option<u64>, completed: Vec<String>, error: Box<Error> },
    /// No call of a host function of that name waits for an answer.
    UnknownCall { call: String },
    /// A host function was not granted, is not set, or did not answer. The guest gets this error.
    HostFunctionFailed { name: String, message: String },
    /// The process is a fork of the process that made the first executor.
    Forked,
    /// This build or this version cannot do it.
    Unsupported { message: String },
    /// A defect in this library.
    Internal { message: String },
}

/// One thing in a JSON value that its schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Failure {
    /// The path inside the value, such as `.items[0].name`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// What a call was doing when it ended.
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
    /// Waiting for a step of a pipeline to begin.
    Wait,
    /// Waiting for the next try of a pipeline's step.
    Retry,
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
            Phase::Wait => "wait",
            Phase::Retry => "retry",
        }
    }

    pub(super) fn during(self) -> &'static str {
        match self {
            Phase::Queue => "while the call waited for a slot",
            Phase::Lock => "while another writer was changing the catalog",
            Phase::Config => "while the config was checked against its schema",
            Phase::Load => "while the module was loading",
            Phase::Start => "while the instance was starting",
            Phase::Run => "while the runtime was running",
            Phase::Wait => "before the step had begun",
            Phase::Retry => "while the step waited for its next try",
        }
    }
}

impl std::error::Error for Error {}

/// Several callers may wait for one compilation, and all of them get its error.
impl From<Arc<Error>> for Error {
    fn from(error: Arc<Error>) -> Self {
        Arc::unwrap_or_clone(error)
    }
}

impl Error {
    /// The stable code that a reply carries.
    pub fn code(&self) -> &'static str {
        self.as_code().as_str()
    }

    /// The same code, as a value.
    pub fn as_code(&self) -> Code {
        match self {
            Error::InvalidArgument { .. } => Code::InvalidArgument,
            Error::InvalidJson { .. } => Code::InvalidJson,
            Error::InvalidRequest { .. } | Error::SchemaViolation { .. } => Code::InvalidRequest,
            Error::InvalidConfig { .. } => Code::InvalidConfig,
            Error::UnknownExecutor { .. } => Code::UnknownExecutor,
            Error::ExecutorExists { .. } => Code::ExecutorExists,
            Error::UnknownRuntime { .. } => Code::UnknownRuntime,
            Error::RuntimeUnavailable { .. } | Error::NotRegistered { .. } => Code::RuntimeUnavailable,
            Error::CatalogInvalid { .. } => Code::CatalogInvalid,
            Error::CatalogUnwritable { .. } => Code::CatalogUnwritable,
            Error::RuntimeExists { .. } => Code::RuntimeExists,
            Error::BuiltinRuntime { .. } => Code::BuiltinRuntime,
            Error::HashMismatch { .. } => Code::HashMismatch,
            Error::ModuleInvalid { .. } => Code::ModuleInvalid,
            Error::ModuleTooLarge { .. } => Code::ModuleTooLarge,
            Error::ScriptInvalid { .. } => Code::ScriptInvalid,
            Error::Trap { .. } => Code::Trap,
            Error::Exit { .. } => Code::Exit,
            Error::Runtime { .. } => Code::RuntimeError,
            Error::MalformedOutput { .. } => Code::MalformedOutput,
            Error::OutputTooLarge { .. } | Error::OutputsTooLarge { .. } => Code::OutputTooLarge,
            Error::Timeout { .. } | Error::RegistrationTimeout { .. } => Code::Timeout,
            Error::MemoryExceeded { .. } => Code::MemoryExceeded,
            Error::FuelExhausted { .. } => Code::FuelExhausted,
            Error::Cancelled { .. } => Code::Cancelled,
            Error::Overloaded { .. } => Code::Overloaded,
            Error::NoResources { .. } => Code::NoResources,
            Error::UnknownJob { .. } => Code::UnknownJob,
            Error::JobExists { .. } => Code::JobExists,
            Error::Step { error, .. } => error.as_code(),
            Error::UnknownCall { .. } => Code::UnknownCall,
            Error::HostFunctionFailed { .. } => Code::HostFunctionFailed,
            Error::Forked => Code::Forked,
            Error::Unsupported { .. } => Code::Unsupported,
            Error::Internal { .. } => Code::Internal,
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

    /// The same error, with the guest that was stopped.
    pub(crate) fn with_guest(mut self, stopped: Stopped) -> Self {
        if let Error::Timeout { guest, .. } | Error::Cancelled { guest, .. } = &mut self {
            *guest = Some(Box::new(stopped));
        }
        self
    }

    /// The same error for another runtime, which has the same module.
    pub(crate) fn with_runtime(mut self, name: &str) -> Self {
        if let Error::RuntimeUnavailable { runtime, .. }
        | Error::HashMismatch { runtime, .. }
        | Error::ModuleInvalid { runtime, .. }
        | Error::ModuleTooLarge { runtime, .. }
        | Error::ScriptInvalid { runtime, .. } = &mut self
        {
            *runtime = name.to_owned();
        }
        self
    }

    /// The same error of a registration, whose deadline is its own.
    pub(crate) fn with_registration(self, name: &str) -> Self {
        match self {
            Error::Timeout { phase, timeout_ms, guest: None } => {
                Error::RegistrationTimeout { runtime: name.to_owned(), phase, timeout_ms }
            }
            other => other,
        }
    }

    pub(crate) fn internal(error: impl fmt::Display) -> Self {
        Error::Internal { message: error.to_string() }
    }
}
