//! The `details` of an error in a reply.

use crate::error::{Error, Failure, Stopped};
use serde_json::{Map, Value, json};

impl Error {
    /// The values that a program may act on: a JSON object, possibly empty.
    pub fn details(&self) -> Map<String, Value> {
        let value = match self {
            Error::InvalidArgument { argument, byte } => json!({"argument": argument, "byte": byte}),
            Error::InvalidJson { line, column, .. } => json!({"line": line, "column": column}),
            Error::InvalidRequest { path, .. } | Error::InvalidConfig { path, .. } => json!({"path": path}),
            Error::SchemaViolation { failures, .. } => {
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
            Error::ScriptInvalid { runtime, file, line, column, .. } => {
                json!({"runtime": runtime, "file": file, "line": line, "column": column})
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
            Error::OutputsTooLarge { limit, value } => json!({*limit: value}),
            Error::Timeout { phase, timeout_ms, .. } | Error::RegistrationTimeout { phase, timeout_ms, .. } => {
                json!({"phase": phase.as_str(), "timeout_ms": timeout_ms})
            }
            Error::MemoryExceeded { limit, value, .. } => json!({*limit: value}),
            Error::FuelExhausted { fuel, .. } => json!({"fuel": fuel}),
            Error::Overloaded { limit, value, timeout_ms: None } => json!({*limit: value}),
            Error::Overloaded { limit, value, timeout_ms } => json!({"timeout_ms": timeout_ms, *limit: value}),
            Error::NoResources { resource, .. } => json!({"resource": resource.as_str()}),
            Error::Cancelled { job, phase, .. } => json!({"job": job, "phase": phase.as_str()}),
            Error::UnknownJob { job } | Error::JobExists { job } => json!({"job": job}),
            Error::Step { step, index, completed, error } => {
                return of_step(error, step, *index, completed);
            }
            Error::UnknownCall { call } => json!({"call": call}),
            Error::HostFunctionFailed { name, .. } => json!({"name": name}),
            Error::Forked | Error::Unsupported { .. } | Error::Internal { .. } => json!({}),
        };
        let mut details = match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        if let Some(guest) = self.guest() {
            add_stopped(guest, &mut details);
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
}

fn of_step(error: &Error, step: &str, index: Option<u64>, completed: &[String]) -> Map<String, Value> {
    let mut details = error.details();
    details.insert("step".to_owned(), json!(step));
    if let Some(index) = index {
        details.insert("index".to_owned(), json!(index));
    }
    details.insert("completed".to_owned(), json!(completed));
    details
}

fn add_stopped(guest: &Stopped, details: &mut Map<String, Value>) {
    details.insert("stderr".to_owned(), json!(guest.stderr));
    if !guest.backtrace.is_empty() {
        details.insert("backtrace".to_owned(), json!(guest.backtrace));
    }
    if let Some(name) = &guest.host_function {
        details.insert("host_function".to_owned(), json!(name));
    }
}
