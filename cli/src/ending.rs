//! How a command ends that repeats calls: the error that it tells, the files that it writes, and the status.

use crate::exit::Exit;
use crate::grants::Grants;
use crate::report;
use arawn::{Code, Error, Result};
use std::fs;
use std::path::Path;

/// The status of an error. Nothing but Ctrl-C cancels a call.
pub fn exit(error: &Error) -> Exit {
    if error.as_code() == Code::Cancelled { Exit::Interrupted } else { error.as_code().into() }
}

/// Tells an error of a call of this runtime, which is in the catalog or built in.
pub fn failed(runtime: Option<&str>, error: &Error, grants: &Grants, is_json: bool) -> Exit {
    let told = report::failure_of(runtime, is_json, error, &grants.limits().unwrap_or_default());
    if told == error.as_code().into() { exit(error) } else { told }
}

/// Fails where a file cannot be written because its directory is not there, before anything runs.
pub fn check_directory(option: &str, file: Option<&Path>) -> Result<()> {
    match file.and_then(Path::parent) {
        Some(directory) if !directory.as_os_str().is_empty() && !directory.is_dir() => {
            let message = format!("cannot be written: there is no directory `{}`", directory.display());
            Err(Error::InvalidRequest { path: option.to_owned(), message })
        }
        _ => Ok(()),
    }
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
