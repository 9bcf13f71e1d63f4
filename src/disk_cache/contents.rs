//! A cache of compiled code as a person sees it: what is in it, and an empty one.

use super::cache::DiskCache;
use super::names::{Form, compatibilities, is_record, seal_name, snapshot_stem, stem, stem_of};
use super::trusted::TrustedDirectory;
use crate::config::CacheDir;
use crate::directories::{self, HostDirectory, PLATFORM_CACHE, Registry};
use crate::error::{Error, Result};
use crate::sha256::Sha256;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A directory of compiled code, which processes share. Every process can do without it.
#[derive(Debug)]
pub struct CodeCache {
    disk: Arc<DiskCache>,
    held: Arc<HostDirectory>,
}

/// Compiled code or a snapshot in a [`CodeCache`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedCode {
    /// `None` for a snapshot, otherwise the SHA-256 of the module or the component that the code was compiled from.
    pub module_sha256: Option<Sha256>,
    /// What the code fits: one version of this library, one kind of processor, one set of options. 32 digits.
    pub compatibility: String,
    /// The size of the file.
    pub bytes: u64,
    /// When a process has used it last.
    pub used: SystemTime,
}

/// What [`CodeCache::clear`] has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// How many pieces of code and snapshots.
    pub artifacts: u64,
    /// The bytes of all files.
    pub bytes: u64,
}

impl CodeCache {
    /// Opens the cache's directory; `None` if it does not exist. Nothing is created.
    ///
    /// # Errors
    /// `no_resources`, and `invalid_config` where the directory cannot be read, or is no cache: it has something in it, and
    /// nothing that this library wrote.
    pub fn open(config: &CacheDir) -> Result<Option<Self>> {
        let refused = |message: String| Error::InvalidConfig { path: "cache_dir".to_owned(), message };
        let directory = match config {
            CacheDir::Off => return Ok(None),
            CacheDir::At(directory) => directory.clone(),
            CacheDir::Platform => {
                let platform = PLATFORM_CACHE.as_deref().map(PathBuf::from);
                platform.map_err(|reason| refused(format!("is needed: {reason}")))?
            }
        };
        let failed = |error: io::Error| {
            let unreadable = || refused(format!("is `{}`, which cannot be read: {error}", directory.display()));
            Error::exhausted(&format!("to read {}", directory.display()), &error).unwrap_or_else(unreadable)
        };
        match directory.metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(refused(format!("is `{}`, which is no directory", directory.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let opened = DiskCache::open(&CacheDir::At(directory.clone()), &mut directories::lock())?;
        let Some(disk) = opened else { return Ok(None) };
        let held = disk.held().map_err(failed)?;
        // A process that clears the cache at the same time may remove what is found here.
        let is_empty = held.dir().entries().map_err(failed)?.next().is_none();
        let mut untrusted = None;
        for name in compatibilities(held.dir()).map_err(failed)? {
            match TrustedDirectory::open(held.dir(), &name) {
                Err(error) if error.kind() != ErrorKind::NotFound => untrusted = Some(error),
                _ => return Ok(Some(CodeCache { disk, held })),
            }
        }
        let is_empty = is_empty || held.dir().entries().map_err(failed)?.next().is_none();
        match (is_empty, untrusted) {
            (true, _) => Ok(Some(CodeCache { disk, held })),
            (false, None) => Err(refused(format!(
                "is `{}`, which is no cache: nothing in it is compiled code of this library",
                directory.display()
            ))),
            (false, Some(error)) => Err(failed(error)),
        }
    }

    /// The directory's path.
    pub fn directory(&self) -> &Path {
        self.disk.directory()
    }

    /// What processes have kept, the least recently used first. What is not trusted, such as files of other users, is left
    /// out.
    ///
    /// # Errors
    /// `no_resources`, and `invalid_config` where the directory cannot be read.
    pub fn list(&self) -> Result<Vec<CachedCode>> {
        let mut found = Vec::new();
        for (compatibility, directory) in self.trusted()? {
            for name in self.names(&directory)? {
                let Some(stem) = stem_of(&name).filter(|stem| is_stem(stem)) else { continue };
                let Some((bytes, modified)) = directory.size_and_mtime(&name) else { continue };
                let used = directory.size_and_mtime(&seal_name(stem)).map_or(modified, |(_, modified)| modified);
                let module_sha256 = (stem != name).then(|| sha_of(stem)).flatten();
                found.push(CachedCode { module_sha256, compatibility: compatibility.clone(), bytes, used });
            }
        }
        found.sort_by_key(|code| code.used);
        Ok(found)
    }

    /// Removes everything that this library has put into the directory, of this version and of others, and nothing else.
    /// Links are not followed. Processes that run go on with the code that they have loaded.
    ///
    /// # Errors
    /// `no_resources`, `invalid_config` where the directory cannot be read, and `catalog_unwritable` where a file cannot be
    /// removed. The others are gone then.
    pub fn clear(&self) -> Result<Cleared> {
        let failed = |name: &str, error: &io::Error| {
            let what = format!("to remove {} from {}", name, self.directory().display());
            Error::exhausted(&what, error).unwrap_or_else(|| Error::CatalogUnwritable {
                path: self.directory().display().to_string(),
                reason: format!("{name} cannot be removed: {error}"),
            })
        };
        let mut cleared = Cleared::default();
        let mut problem = None;
        for (compatibility, directory) in self.trusted()? {
            let mut names = self.names(&directory)?;
            names.retain(|name| is_own(name));
            // An artifact comes before its seal: nothing finds it from then on.
            names.sort_by_key(|name| stem_of(name).is_none());
            for name in names {
                let Some((bytes, _)) = directory.size_and_mtime(&name) else { continue };
                match directory.remove(&name) {
                    Ok(()) => {
                        cleared.bytes += bytes;
                        cleared.artifacts += u64::from(stem_of(&name).is_some());
                    }
                    // Another process was faster.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => problem = Some(failed(&name, &error)),
                }
            }
            // Not if it has something else in it. Another process makes it again where it writes.
            let _ = self.held.dir().remove_dir(&compatibility);
        }
        problem.map_or(Ok(cleared), Err)
    }

    /// The subdirectories that this user alone can have written, unless guests are granted them.
    fn trusted(&self) -> Result<Vec<(String, TrustedDirectory)>> {
        let mut trusted = Vec::new();
        for name in compatibilities(self.held.dir()).map_err(|error| self.unreadable(&error))? {
            let checked = TrustedDirectory::open(self.held.dir(), &name).and_then(|directory| {
                Registry::check_not_granted(&*directory)?;
                Ok(directory)
            });
            match checked {
                Ok(directory) => trusted.push((name, directory)),
                // It is not looked at, although it may be trusted.
                Err(error) if Error::exhausted("", &error).is_some() => return Err(self.unreadable(&error)),
                Err(_) => {}
            }
        }
        Ok(trusted)
    }

    /// The names in a subdirectory, of which none are there any more if it is gone.
    fn names(&self, directory: &TrustedDirectory) -> Result<Vec<String>> {
        match directory.names() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        let path = self.directory().display();
        Error::exhausted(&format!("to read {path}"), error).unwrap_or_else(|| Error::InvalidConfig {
            path: "cache_dir".to_owned(),
            message: format!("is `{path}`, which cannot be read: {error}"),
        })
    }
}

/// Whether this library gives files this name.
fn is_own(name: &str) -> bool {
    // `<name>.<process>-<number>.tmp`, while the file is written.
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let writing = name.strip_suffix(".tmp").and_then(|rest| rest.rsplit_once('.'));
    let writing = writing.filter(|(_, by)| by.split_once('-').is_some_and(|(a, b)| is_number(a) && is_number(b)));
    let name = writing.map_or(name, |(name, _)| name);
    stem_of(name).or_else(|| name.strip_suffix(".sha256")).is_some_and(is_stem) || is_record(name)
}

fn is_stem(text: &str) -> bool {
    sha_of(text)
        .is_some_and(|sha| text == snapshot_stem(&sha) || Form::ALL.iter().any(|form| text == stem(&sha, *form)))
}

fn sha_of(stem: &str) -> Option<Sha256> {
    stem.get(..64)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_this_library_are_told_from_others() {
        let sha = Sha256::of(b"").to_string();
        for end in [".cwasm", ".gc.cwasm", ".code.cwasm", ".gc.code.cwasm", ".sha256", ".code.sha256", ".snapshot"] {
            assert!(is_own(&format!("{sha}{end}")), "{end}");
            assert!(is_own(&format!("{sha}{end}.123-4.tmp")), "{end}");
        }
        let record = format!("{:.32}.wasm-hash", Sha256::of(b""));
        assert!(is_own(&record) && is_own(&format!("{sha}.snapshot.sha256")));
        for other in [
            "",
            "notes.txt",
            "x.cwasm",
            ".cwasm",
            "a.tmp",
            &sha,
            &format!("{sha}.more.cwasm"),
            &format!("{sha}.cwasm.bak"),
            &format!("{sha}.cwasm.tmp"),
            &format!("{sha}.cwasm.1-x.tmp"),
            &format!("{}.cwasm", sha.to_uppercase()),
            &format!("{}.cwasm", "\u{e9}".repeat(32)),
            &format!("0{record}"),
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
