//! What to do about an error, in terms of this program's options. The library's texts name its configuration's keys.

use crate::project::Project;
use crate::report::cell;
use arawn::{Code, Error, Limits};
use serde_json::Value;
use std::path::Path;

/// A configuration's key, the option that sets it, and what the option does.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("capabilities.dirs", "--dir HOST:GUEST", "shows guests a directory, and with `:rw` lets them write to it"),
    ("granted without `write`", "--dir HOST:GUEST:rw", "lets guests write to a directory"),
    ("capabilities.http.allow_private", "--http-private", "lets requests go to loopback and private addresses"),
    ("capabilities.http", "--http ORIGIN", "lets guests make requests to an origin"),
    ("capabilities.env", "--env NAME=VALUE", "sets a variable"),
    ("is for a snapshot: add `snapshot`", "--snapshot init", "asks for one"),
    ("runtimes_dir", "--runtimes DIR", "names the directory that has your catalog.toml"),
    ("cache_dir", "--cache DIR", "names the directory of the cache"),
];

/// `limits` are those of the executor.
pub fn hint(error: &Error, limits: &Limits) -> Option<String> {
    of_command(error).or_else(|| limit_hint(error, limits)).or_else(|| {
        let text = error.to_string();
        let (_, option, effect) = OPTIONS.iter().find(|(key, ..)| text.contains(key))?;
        let has_near = error.details().get("near").and_then(Value::as_array).is_some_and(|near| !near.is_empty());
        match error.as_code() {
            // The text has the names that may be meant.
            Code::UnknownRuntime if has_near => None,
            Code::InvalidConfig => Some(format!("{option} sets it")),
            _ => Some(format!("{option} {effect}")),
        }
    })
}

/// What one command alone has an answer to.
fn of_command(error: &Error) -> Option<String> {
    match error {
        Error::UnknownRuntime { runtime, .. } if is_of_project(runtime) => Some("`arawn build` makes it".to_owned()),
        Error::UnknownRuntime { runtime, .. } if Path::new(runtime).is_file() => {
            Some(format!("`./{}` is the file of that name", cell(runtime)))
        }
        Error::RuntimeExists { .. } => Some("--replace replaces it".to_owned()),
        Error::SchemaViolation { runtime, is_checked: true, .. } => {
            Some(format!("`arawn inspect {}` shows the schema", cell(runtime)))
        }
        Error::RegistrationTimeout { .. } => Some("--timeout-ms NUMBER gives it longer".to_owned()),
        Error::InvalidRequest { path, .. } if path == "timeout_ms" => Some("--timeout-ms NUMBER sets it".to_owned()),
        _ => None,
    }
}

/// Whether the runtime is the one of the project that the program is called in.
fn is_of_project(runtime: &str) -> bool {
    Project::here().ok().flatten().is_some_and(|project| project.settings.name == runtime)
}

fn limit_hint(error: &Error, limits: &Limits) -> Option<String> {
    let Ok(Value::Object(limits)) = serde_json::to_value(limits) else { return None };
    let details = error.details();
    match error.as_code() {
        // Above the executor's limit, or out of range.
        Code::InvalidRequest | Code::InvalidConfig => {
            let path = details.get("path")?.as_str()?;
            let name = path.rsplit_once("limits.")?.1;
            limits.contains_key(name).then(|| format!("--limit {name}=NUMBER sets the limit of the whole run"))
        }
        Code::Timeout
        | Code::MemoryExceeded
        | Code::OutputTooLarge
        | Code::FuelExhausted
        | Code::Overloaded
        | Code::ModuleTooLarge => {
            let (name, value) = details.iter().find(|(name, _)| limits.contains_key(*name))?;
            match limits.get(name) == Some(value) {
                true => Some(format!("--limit {name}=NUMBER raises it")),
                false => Some(format!("the document's `limits` set `{name}` to {value}")),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arawn::Phase;

    fn told(error: &Error) -> String {
        hint(error, &Limits::default()).unwrap_or_default()
    }

    #[test]
    fn what_is_not_granted_is_answered_with_the_option_that_grants_it() {
        for (message, option) in [
            ("`/etc/motd` cannot be read: it is in no directory that `capabilities.dirs` grants", "--dir HOST:GUEST "),
            ("`/a` cannot be written: its directory is granted without `write`", "--dir HOST:GUEST:rw "),
            ("GET https://a/: `https://a` is not allowed by `capabilities.http.allow`", "--http ORIGIN "),
            ("`a` is at a private address, which `capabilities.http.allow_private` does not allow", "--http-private "),
        ] {
            let hint = told(&Error::Runtime { message: message.to_owned(), stderr: String::new() });
            assert!(hint.starts_with(option), "{message}: {hint}");
        }
        let other = Error::Runtime { message: "the order is empty".to_owned(), stderr: String::new() };
        assert_eq!(told(&other), "");
    }

    #[test]
    fn a_runtime_that_is_not_built_in_needs_a_directory() {
        let unknown = |near: &[&str]| Error::UnknownRuntime {
            runtime: "greet".to_owned(),
            near: near.iter().map(|name| (*name).to_owned()).collect(),
            directory: None,
            problem: None,
        };
        assert!(told(&unknown(&[])).starts_with("--runtimes DIR names "), "{}", told(&unknown(&[])));
        assert_eq!(told(&unknown(&["greed"])), "");
    }

    #[test]
    fn a_name_that_is_a_file_is_told_how_it_is_run() {
        let runtime = "Cargo.toml".to_owned();
        let unknown = Error::UnknownRuntime { runtime, near: Vec::new(), directory: None, problem: None };
        assert_eq!(told(&unknown), "`./Cargo.toml` is the file of that name");
    }

    #[test]
    fn an_option_with_a_wrong_value_is_named() {
        let path = "capabilities.dirs[0].host".to_owned();
        let error = Error::InvalidConfig { path, message: "/nope: no such directory".to_owned() };
        assert_eq!(told(&error), "--dir HOST:GUEST sets it");
    }

    #[test]
    fn what_one_command_can_do_is_named() {
        assert_eq!(told(&Error::RuntimeExists { runtime: "a".to_owned() }), "--replace replaces it");
        let runtime = "a\x1b".to_owned();
        let unfit = Error::SchemaViolation { runtime, failures: Vec::new(), is_checked: true };
        assert_eq!(told(&unfit), "`arawn inspect a\\u{1b}` shows the schema");
        let slow = Error::RegistrationTimeout { runtime: "a".to_owned(), phase: Phase::Load, timeout_ms: 30_000 };
        assert!(told(&slow).starts_with("--timeout-ms "));
        let large = Error::ModuleTooLarge { runtime: "a".to_owned(), bytes: 1 << 30, module_bytes: 256 << 20 };
        assert_eq!(told(&large), "--limit module_bytes=NUMBER raises it");
    }

    #[test]
    fn a_limit_is_raised_where_it_was_set() {
        let timeout = |timeout_ms| Error::Timeout { phase: Phase::Run, timeout_ms, guest: None };
        assert_eq!(told(&timeout(30_000)), "--limit timeout_ms=NUMBER raises it");
        assert_eq!(told(&timeout(20)), "the document's `limits` set `timeout_ms` to 20");
        let path = "pipeline.steps[0].limits.timeout_ms".to_owned();
        let above = Error::InvalidRequest { path, message: "is 60000, but the executor's limit is 30000".to_owned() };
        assert_eq!(told(&above), "--limit timeout_ms=NUMBER sets the limit of the whole run");
    }
}
