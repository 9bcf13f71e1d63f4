//! What to do about an error, in terms of this program's options. The library's texts name its configuration's keys.

use crate::places::RUNTIMES;
use crate::project::{Project, is_same_place};
use crate::report::cell;
use crate::shell;
use arawn::{Code, Error, Limits, Phase};
use serde_json::Value;
use std::path::Path;

/// The path in a configuration, and the option that sets it.
const OPTIONS: &[(&str, &str)] = &[
    ("capabilities.dirs", "--dir HOST:GUEST"),
    ("capabilities.http.allow_private", "--http-private"),
    ("capabilities.http", "--http ORIGIN"),
    ("capabilities.env", "--env NAME=VALUE"),
    ("runtimes_dir", "--runtimes DIR"),
    ("cache_dir", "--cache DIR"),
];

/// Built-in runtimes, how their messages end where something is not granted, and the option that grants it. No catalog can
/// give their names to others. A runtime of somebody else's would have the program recommend what it wants to be granted.
const GRANTS: &[(&[&str], &str, &str)] = &[
    (
        &["file_read", "file_write"],
        "it is in no directory that `capabilities.dirs` grants",
        "--dir HOST:GUEST shows guests a directory, and with `:rw` lets them write to it",
    ),
    (
        &["file_write"],
        "its directory is granted without `write`, or it leads out of that",
        "--dir HOST:GUEST:rw lets guests write to a directory",
    ),
    (
        &["http"],
        "` is not allowed by `capabilities.http.allow`",
        "--http ORIGIN lets guests make requests to an origin",
    ),
    (
        &["http"],
        "` is at a private address, which `capabilities.http.allow_private` does not allow",
        "--http-private lets requests go to loopback and private addresses",
    ),
];

/// `limits` are those of the executor.
pub fn hint(error: &Error, limits: &Limits) -> Option<String> {
    hint_of(None, error, limits)
}

/// The same, where the error is of a call of this runtime, which is in the catalog or built in.
pub fn hint_of(runtime: Option<&str>, error: &Error, limits: &Limits) -> Option<String> {
    of_command(error).or_else(|| of_limit(runtime, error, limits)).or_else(|| match innermost(error) {
        Error::InvalidConfig { path, .. } => {
            let (_, option) = OPTIONS.iter().find(|(key, _)| path.starts_with(key))?;
            Some(format!("{option} sets it"))
        }
        Error::InvalidRequest { message, .. } if message.contains("is for a snapshot: add `snapshot`") => {
            Some("--snapshot init asks for one".to_owned())
        }
        // Where names are near, the text has those that may be meant.
        error @ Error::UnknownRuntime { near, .. }
            if near.is_empty() && error.to_string().contains("`runtimes_dir`") =>
        {
            Some("--runtimes DIR names the directory that has your catalog.toml".to_owned())
        }
        Error::Runtime { message, .. } => {
            let is_told = |(names, ending, _): &&(&[&str], &str, &str)| {
                runtime.is_some_and(|runtime| names.contains(&runtime)) && message.ends_with(ending)
            };
            GRANTS.iter().find(is_told).map(|(.., hint)| (*hint).to_owned())
        }
        _ => None,
    })
}

/// What has failed in a step of a pipeline.
fn innermost(error: &Error) -> &Error {
    match error {
        Error::Step { error, .. } => innermost(error),
        error => error,
    }
}

/// What one command alone has an answer to.
fn of_command(error: &Error) -> Option<String> {
    match error {
        Error::UnknownRuntime { runtime, directory, .. } if is_of_project(runtime) => of_project(directory.as_deref()),
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

/// What to do about the project's runtime where it is not in the catalog that was searched.
fn of_project(searched: Option<&str>) -> Option<String> {
    let project = Project::here().ok().flatten()?;
    let Some(searched) = searched.map(Path::new).filter(|searched| !project.has_runtimes(searched)) else {
        return Some("`arawn build` makes it".to_owned());
    };
    project.other_runtimes().filter(|other| is_same_place(other, searched))?;
    let own = shell::path(&project.runtimes());
    Some(format!("${RUNTIMES} names another catalog: that of the project is --runtimes {own}"))
}

fn of_limit(runtime: Option<&str>, error: &Error, limits: &Limits) -> Option<String> {
    let raise = |name: &str| format!("--limit {name}=NUMBER raises it");
    // What was compiled until then ends with the process, so that the same call would fail again.
    if let Error::Timeout { phase: Phase::Load, .. } = innermost(error)
        && let Some(runtime) = runtime
    {
        // Code that counts fuel is other code.
        let fuel = limits.fuel.map_or(String::new(), |fuel| format!(" --limit fuel={fuel}"));
        let raised = of_limit(None, error, limits).unwrap_or_else(|| raise("timeout_ms"));
        return Some(format!("`arawn cache warm {}{fuel}` compiles it; {raised}", cell(runtime)));
    }
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
                true => Some(raise(name)),
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

    fn told_of(runtime: &str, error: &Error) -> String {
        hint_of(Some(runtime), error, &Limits::default()).unwrap_or_default()
    }

    fn in_step(error: Error) -> Error {
        Error::Step { step: "a".to_owned(), index: None, completed: Vec::new(), error: Box::new(error) }
    }

    #[test]
    fn what_is_not_granted_is_answered_with_the_option_that_grants_it() {
        let failed = |message: &str| Error::Runtime { message: message.to_owned(), stderr: String::new() };
        for (runtime, message, option) in [
            (
                "file_read",
                "`/etc/motd` cannot be read: it is in no directory that `capabilities.dirs` grants",
                "--dir HOST:GUEST ",
            ),
            (
                "file_write",
                "`/a` cannot be written: its directory is granted without `write`, or it leads out of that",
                "--dir HOST:GUEST:rw ",
            ),
            ("http", "GET https://a/: `https://a` is not allowed by `capabilities.http.allow`", "--http ORIGIN "),
            (
                "http",
                "GET http://a/: `a` is at a private address, which `capabilities.http.allow_private` does not allow",
                "--http-private ",
            ),
        ] {
            for error in [failed(message), in_step(failed(message))] {
                let hint = told_of(runtime, &error);
                assert!(hint.starts_with(option), "{message}: {hint}");
                // Others say what they like.
                assert_eq!((told(&error), told_of("greet", &error)), (String::new(), String::new()), "{message}");
            }
        }
        let quoted = failed("`capabilities.http.allow_private` cannot be read: there is no such file");
        assert_eq!((told_of("file_read", &quoted), told_of("http", &quoted)), (String::new(), String::new()));
    }

    #[test]
    fn what_a_guest_has_written_is_no_reason_to_grant_more() {
        let (text, lines) = ("add `capabilities.http.allow_private` and `runtimes_dir`".to_owned(), Vec::new());
        for error in [
            Error::Exit { exit_code: 1, stderr: text.clone() },
            Error::Trap { trap: text.clone(), backtrace: lines, stderr: text.clone() },
            Error::ModuleInvalid { runtime: "greet".to_owned(), message: text.clone(), import: Some(text.clone()) },
            Error::MalformedOutput { message: text.clone(), offset: 0, excerpt: text.clone(), stderr: text },
        ] {
            assert_eq!((told(&error), told_of("http", &error)), (String::new(), String::new()), "{error}");
        }
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
        let load = Error::Timeout { phase: Phase::Load, timeout_ms: 30_000, guest: None };
        let hint = "`arawn cache warm greet` compiles it; --limit timeout_ms=NUMBER raises it";
        assert_eq!((told_of("greet", &load).as_str(), told_of("greet", &in_step(load.clone())).as_str()), (hint, hint));
        assert_eq!(told(&load), "--limit timeout_ms=NUMBER raises it");
        let fuel = Limits { fuel: Some(7), ..Limits::default() };
        let hint = hint_of(Some("greet"), &load, &fuel).unwrap_or_default();
        assert!(hint.starts_with("`arawn cache warm greet --limit fuel=7` compiles it; "), "{hint}");
        let path = "pipeline.steps[0].limits.timeout_ms".to_owned();
        let above = Error::InvalidRequest { path, message: "is 60000, but the executor's limit is 30000".to_owned() };
        assert_eq!(told(&above), "--limit timeout_ms=NUMBER sets the limit of the whole run");
    }
}
