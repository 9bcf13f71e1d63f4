//! Whole files, and what is added to them. Errors are reasons, to be read behind the file's path.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use common::files;

/// Puts a file with `content` where `path` says, in one step, in the place of one that is there.
pub fn replace(path: &str, content: &[u8], create_parents: bool) -> Result<(), String> {
    put(prepare(path, create_parents)?, path, content).map_err(|error| refusal(&error))
}

fn put(directory: &Path, path: &str, content: &[u8]) -> Result<(), Error> {
    let (mut file, temporary) = temporary(directory)?;
    let renamed = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        // The error that counts is the one that was first.
        let _ = fs::remove_file(&temporary);
    }
    renamed
}

/// Adds `content` to the end of the file, or makes it.
pub fn append(path: &str, content: &[u8], create_parents: bool) -> Result<(), String> {
    prepare(path, create_parents)?;
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(|error| refusal(&error))
}

/// The file's directory, which is made on request, when no directory or device is in the file's place.
fn prepare(path: &str, create_parents: bool) -> Result<&Path, String> {
    let name = Path::new(path);
    let directory = name.parent().filter(|_| name.file_name().is_some() && !path.ends_with('/'));
    let directory = directory.ok_or("it does not name a file")?;
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => return Err("it is a directory".to_owned()),
        Ok(there) if !there.is_file() && !there.is_symlink() => return Err("it is not a regular file".to_owned()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(files::reason(&error)),
        Ok(_) | Err(_) => {}
    }
    if create_parents {
        fs::create_dir_all(directory).map_err(|error| refusal(&error))?;
    }
    Ok(directory)
}

/// A new file beside the others. Its name is no longer than any of theirs may be, and hidden.
fn temporary(directory: &Path) -> Result<(File, PathBuf), Error> {
    /// A deterministic executor's calls draw the same numbers, so that a name may be taken.
    const ATTEMPTS: u32 = 100;
    for _ in 0..ATTEMPTS {
        let path = directory.join(format!(".arawn-{:016x}.tmp", RandomState::new().hash_one(())));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            file => return file.map(|file| (file, path)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn refusal(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "its directory does not exist; `create_parents` makes it".to_owned(),
        _ if files::is_not_permitted(error) => {
            "its directory is granted without `write`, or it leads out of that".to_owned()
        }
        _ => files::reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that comes into the file's place once that has been looked at.
    #[test]
    fn a_failure_leaves_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d");
        fs::create_dir(&path).unwrap();
        let error = put(directory.path(), path.to_str().unwrap(), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
