//! How a command ends that repeats calls: the error that it tells, the files that it writes, and the status.

use crate::exit::Exit;
use crate::grants::Grants;
use crate::hints::hint_of;
use crate::report;
use arawn::{Code, Error, Result};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The status of an error. Nothing but Ctrl-C cancels a call.
pub fn exit(error: &Error) -> Exit {
    if error.as_code() == Code::Cancelled { Exit::Interrupted } else { error.as_code().into() }
}

/// Tells an error, and which version it is of where there are several. `runtime` is the one that was called, if it is in the
/// catalog or built in.
pub fn failed(runtime: Option<&str>, version: Option<&str>, error: &Error, grants: &Grants, is_json: bool) -> Exit {
    let limits = grants.limits().unwrap_or_default();
    let told = match version {
        None => report::failure_of(runtime, is_json, error, &limits),
        Some(version) if is_json => {
            let mut reply: Value = serde_json::from_str(&report::error_reply(error)).unwrap_or_default();
            reply["version"] = version.into();
            report::line(&reply.to_string())
        }
        Some(version) => {
            report::error(error, Some(version), hint_of(runtime, error, &limits).as_deref());
            Exit::Success
        }
    };
    if told == Exit::Success || told == error.as_code().into() { exit(error) } else { told }
}

/// Fails where a file of an option could not be written, or not beside the others, before anything runs.
pub fn check_files(files: &[(&str, Option<&Path>)]) -> Result<()> {
    let mut places: Vec<(PathBuf, &str)> = Vec::new();
    for (option, file) in files {
        let Some(file) = *file else { continue };
        let invalid = |message| Err(Error::InvalidRequest { path: (*option).to_owned(), message });
        if file.as_os_str() == "-" {
            return invalid(
                "cannot be `-`: it is written to a file, and not to stdout. `./-` is a file of that name".to_owned(),
            );
        }
        if file.is_dir() {
            return invalid(format!("cannot be written: `{}` is a directory", file.display()));
        }
        let directory = match file.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        if !directory.is_dir() {
            return invalid(format!("cannot be written: there is no directory `{}`", directory.display()));
        }
        // Of a file that is there, links are followed.
        let place =
            file.canonicalize().or_else(|_| directory.canonicalize().map(|directory| directory.join(name(file))));
        let place = place.unwrap_or_else(|_| file.to_owned());
        if let Some((_, other)) = places.iter().find(|(taken, _)| *taken == place) {
            return invalid(format!("is `{}`, as `{other}` is: name another file", file.display()));
        }
        places.push((place, *option));
    }
    Ok(())
}

fn name(file: &Path) -> &OsStr {
    file.file_name().unwrap_or_default()
}

/// Writes a file, if one is asked for; the status with which the program ends.
pub fn written(file: Option<&Path>, text: impl FnOnce() -> String, exit: Exit) -> Exit {
    let Some(path) = file else { return exit };
    match fs::write(path, text()) {
        Ok(()) => exit,
        Err(error) => {
            report::problem(&format!("{} cannot be written: {error}", path.display()), None);
            if exit == Exit::Success { Exit::Host } else { exit }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_are_two_whatever_they_are_called() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let path = |name: &str| place.path().join(name);
        let check = |one: &str, other: &str| {
            let [one, other] = [one, other].map(path);
            let checked = check_files(&[("--svg", Some(&one)), ("--folded", Some(&other)), ("--none", None)]);
            checked.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(fs::create_dir(path("in")).is_ok());
        assert_eq!(check("a", "b"), "");
        for (one, other) in [("a", "a"), ("a", "./a"), ("a", "in/../a")] {
            let text = check(one, other);
            assert!(
                text.starts_with("`--folded` is `") && text.ends_with("as `--svg` is: name another file"),
                "{text}"
            );
        }
        assert!(check("a", "in").ends_with("in` is a directory"));
        #[cfg(unix)]
        {
            assert!(fs::write(path("a"), "").is_ok() && std::os::unix::fs::symlink("a", path("link")).is_ok());
            assert!(check("a", "link").contains("as `--svg` is"));
        }
    }
}
