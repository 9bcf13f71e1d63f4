//! Filling the directory of a tool, so that it is there complete or not at all.
//!
//! 1. Who installs holds the lock of the directory of all tools.
//! 2. A tool is installed into a directory whose name begins with [`FILLING`], which takes the tool's name once it is complete.
//! 3. So who has the lock finds directories of such names only where an installation was ended half-way, and removes them.

use crate::failed::{Failed, Result};
use crate::report;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const LOCK: &str = ".lock";
const FILLING: &str = ".installing-";

/// Has `install` fill a directory that becomes `place`. The tool is there already if it has the `file`; what is there
/// without that is damaged, and makes room.
pub fn installed(place: Option<PathBuf>, file: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let Some(place) = place else {
        return Err(Failed::host("there is no directory to install tools into: your account has no home directory")
            .hint("set ARAWN_TOOLS to a directory for them"));
    };
    if is_complete(&place, file) {
        return Ok(place);
    }
    let tools = place.parent().unwrap_or(&place);
    fs::create_dir_all(tools).map_err(|error| not_written(tools, &error))?;
    let _lock = lock(tools)?;
    // Another build may have been first.
    if is_complete(&place, file) {
        return Ok(place);
    }
    remove_half_installed(tools);
    let scratch = tempfile::Builder::new().prefix(FILLING).tempdir_in(tools);
    let scratch = scratch.map_err(|error| not_written(tools, &error))?;
    // Its own directory is for its owner alone.
    let filling = scratch.path().join("tool");
    fs::create_dir(&filling).map_err(|error| not_written(&filling, &error))?;
    install(&filling)?;
    if !is_complete(&filling, file) {
        return Err(Failed::host(format!("what was installed as `{}` has no file `{file}`", place.display())));
    }
    if place.exists() {
        fs::rename(&place, scratch.path().join("damaged")).map_err(|error| not_written(&place, &error))?;
    }
    fs::rename(&filling, &place).map_err(|error| not_written(&place, &error))?;
    Ok(place)
}

/// Whether the tool's directory has the file without which there is no tool.
pub fn is_complete(place: &Path, file: &str) -> bool {
    place.join(file).is_file()
}

/// The lock of the directory of all tools, for as long as the file is open.
fn lock(tools: &Path) -> Result<File> {
    let path = tools.join(LOCK);
    let not_locked = |error: &io::Error| Failed::host(format!("`{}` cannot be locked: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| not_written(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            report::note("another `arawn build` is installing a tool: waiting for it");
            file.lock().map_err(|error| not_locked(&error))?;
        }
        Err(TryLockError::Error(error)) => return Err(not_locked(&error)),
    }
    Ok(file)
}

/// Removes what installations have left that were ended half-way.
fn remove_half_installed(tools: &Path) {
    for entry in fs::read_dir(tools).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(FILLING) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

pub fn not_written(path: &Path, error: &io::Error) -> Failed {
    Failed::host(format!("`{}` cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "bin/tool";

    fn fail(directory: &Path) -> Result<()> {
        assert!(fs::write(directory.join("half"), "").is_ok());
        Err(Failed::host("no luck"))
    }

    fn fill(directory: &Path) -> Result<()> {
        let file = directory.join(FILE);
        fs::create_dir_all(file.parent().unwrap_or(directory))
            .and_then(|()| fs::write(&file, ""))
            .map_err(|error| not_written(&file, &error))
    }

    fn names(tools: &Path) -> Vec<String> {
        let entries = fs::read_dir(tools).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_tool_is_there_when_it_is_complete() {
        let here = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let tools = here.path().join("tools");
        let place = tools.join("tool-1");
        let failed = installed(Some(place.clone()), FILE, fail);
        assert!(failed.is_err_and(|failed| failed.words().starts_with("no luck")));
        assert_eq!(names(&tools), [LOCK]);
        let empty = installed(Some(place.clone()), FILE, |_| Ok(())).err().map(|failed| failed.words());
        assert!(empty.is_some_and(|words| words.contains("tool-1` has no file `bin/tool`")));
        assert_eq!(installed(Some(place.clone()), FILE, fill).ok(), Some(place.clone()));
        assert_eq!(names(&tools), [LOCK, "tool-1"]);
        assert_eq!(installed(Some(place.clone()), FILE, fail).ok(), Some(place));
    }

    #[test]
    fn a_damaged_tool_is_installed_again() {
        let tools = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let place = tools.path().join("tool-1");
        assert!(fs::create_dir_all(place.join("bin")).is_ok() && fs::write(place.join("old"), "").is_ok());
        assert!(installed(Some(place.clone()), FILE, fail).is_err() && place.join("old").exists());
        assert_eq!(installed(Some(place.clone()), FILE, fill).ok(), Some(place.clone()));
        assert!(is_complete(&place, FILE) && !place.join("old").exists());
        assert_eq!(names(tools.path()), [LOCK, "tool-1"]);
    }

    #[test]
    fn what_was_ended_half_way_is_removed_by_the_next() {
        let tools = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::create_dir_all(tools.path().join(".installing-abc/tool/half")).is_ok());
        assert!(fs::create_dir(tools.path().join("another")).is_ok());
        assert!(installed(Some(tools.path().join("tool-1")), FILE, fill).is_ok());
        assert_eq!(names(tools.path()), [LOCK, "another", "tool-1"]);
    }

    #[test]
    fn one_installs_at_a_time_and_the_next_finds_what_it_has_made() {
        let tools = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let place = tools.path().join("tool-1");
        let held = lock(tools.path()).unwrap_or_else(|failed| panic!("{}", failed.words()));
        let waiting = std::thread::spawn({
            let place = place.clone();
            move || installed(Some(place), FILE, fail).map_err(|failed| failed.words())
        });
        assert!(fill(&place).is_ok());
        drop(held);
        assert_eq!(waiting.join().ok(), Some(Ok(place)));
    }
}
