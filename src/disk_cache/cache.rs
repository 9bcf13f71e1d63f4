//! A cache directory: how artifacts are found in it and stored in it.

use super::artifact::Artifact;
use super::counters::COUNTERS;
use super::names::{Form, compatibilities, content_name, seal_name, snapshot_stem, stem, text_of};
use super::trusted::{TrustedDirectory, TrustedFile};
use super::unsynced::Unsynced;
use crate::config::CacheDir;
use crate::directories::{self, HostDirectory, PLATFORM_CACHE, Refusal, Registry};
use crate::error::{Error, Result};
use crate::locks::Locked;
use crate::sha256::Sha256;
use crate::sys::{self, check_owner};
use crate::warnings::{About, warn};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once, Weak};
use std::time::SystemTime;

/// One cache directory. Its files are opened relative to its descriptor, and never by its path.
#[derive(Debug)]
pub(crate) struct DiskCache {
    pub(super) directory: PathBuf,
    /// The open directory, or why it cannot be opened or created.
    open: Mutex<Result<Arc<HostDirectory>, Arc<io::Error>>>,
}

impl DiskCache {
    /// Opens the cache that a configuration names. If its directory cannot be created, each write tries again, and each
    /// look-up is a miss until then.
    ///
    /// # Errors
    /// `invalid_config` where the directory overlaps with one that guests are granted, or where the system cannot tell who
    /// may write it; `no_resources` where the system has no resources left to open it.
    pub fn open(config: &CacheDir, registry: &mut Registry) -> Result<Option<Arc<Self>>> {
        /// The platform's cache, shared by the executors that use it, so that only the first of them opens it.
        static PLATFORM: Mutex<Weak<DiskCache>> = Mutex::new(Weak::new());
        match config {
            CacheDir::Off => Ok(None),
            CacheDir::At(directory) => Self::at(directory, registry).map(Some),
            CacheDir::Platform => {
                let Some(directory) = platform_cache() else { return Ok(None) };
                let mut platform = PLATFORM.locked();
                if let Some(open) = platform.upgrade() {
                    return Ok(Some(open));
                }
                let open = Self::at(directory, registry)?;
                *platform = Arc::downgrade(&open);
                Ok(Some(open))
            }
        }
    }

    fn at(directory: &Path, registry: &mut Registry) -> Result<Arc<Self>> {
        let refused = |message| Error::InvalidConfig { path: "cache_dir".to_owned(), message };
        sys::CACHES.map_err(|reason| refused(reason.to_owned()))?;
        // A relative path keeps the meaning that it has now, also when the directory is created again later.
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let (directory, open) = match registry.cache(&absolute) {
            Ok(open) => (open.path().to_owned(), Ok(open)),
            // An exhausted resource is an error: without the error the executor would have no cache until its next
            // write.
            Err(Refusal::Io(error)) => match Error::exhausted(&format!("to open {}", absolute.display()), &error) {
                Some(error) => return Err(error),
                None => (absolute, Err(Arc::new(error))),
            },
            Err(Refusal::Overlap(message)) => return Err(refused(message)),
        };
        Ok(Arc::new(DiskCache { directory, open: Mutex::new(open) }))
    }

    pub(super) fn held(&self) -> io::Result<Arc<HostDirectory>> {
        let held = self.open.locked().clone().map_err(|error| io::Error::new(error.kind(), error))?;
        check_owner(&**held.dir())?;
        Ok(held)
    }

    /// The same for calls: to them a directory that could not be opened is absent until a write has opened it.
    fn present(&self) -> io::Result<Arc<HostDirectory>> {
        if self.open.locked().is_err() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.held()
    }

    /// The cache's subdirectory for `compatibility`. Refused if it lies in a granted directory by now.
    pub(super) fn trusted(&self, compatibility: &str) -> io::Result<(Arc<HostDirectory>, TrustedDirectory)> {
        let held = self.present()?;
        let directory = TrustedDirectory::open(held.dir(), compatibility)?;
        Registry::check_not_granted(&*directory)?;
        Ok((held, directory))
    }

    /// The subdirectory for `compatibility`, created where it is missing. If the cache's directory was removed
    /// meanwhile, it is created again, at the path that it had.
    pub(super) fn made(&self, compatibility: &str) -> io::Result<TrustedDirectory> {
        let make = |held: Arc<HostDirectory>| {
            Registry::check_not_granted(&**held.dir())?;
            TrustedDirectory::make(held.dir(), compatibility)
        };
        let directory = match self.present().and_then(make) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let open = directories::lock().cache(&self.directory)?;
                check_owner(&**open.dir())?;
                *self.open.locked() = Ok(open.clone());
                make(open)?
            }
            made => made?,
        };
        Registry::check_not_granted(&*directory)?;
        Ok(directory)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Finds a trusted artifact and passes it to `load`. `None` is a miss: the artifact is absent or not trusted, or
    /// `load` refused it. A build without compiler has no `compatibility`, and tries the subdirectory of each.
    pub fn load<T>(
        &self,
        compatibility: Option<&str>,
        sha: &Sha256,
        load: impl Fn(Artifact) -> Option<T>,
    ) -> Option<T> {
        let loaded = match compatibility {
            Some(compatibility) => self.try_load(compatibility, sha, &load),
            None => self.try_load_any(sha, &load),
        };
        match loaded {
            Ok(loaded) => return Some(loaded),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                COUNTERS.absent.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => COUNTERS.reject(&self.directory, &error),
        }
        None
    }

    fn try_load<T>(&self, compatibility: &str, sha: &Sha256, load: impl Fn(Artifact) -> Option<T>) -> io::Result<T> {
        let mut missed = io::Error::from(io::ErrorKind::NotFound);
        for form in Form::ALL {
            match self.open_artifact(compatibility, sha, form).map(&load) {
                Ok(Some(loaded)) => return Ok(loaded),
                Ok(None) => missed = io::Error::other("an artifact of another version, processor or option"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => missed = error,
            }
        }
        Err(missed)
    }

    /// The first artifact that loads, from whichever subdirectory. An artifact names the settings, the version and the
    /// processor for which it was made, and wasmtime refuses one that does not fit.
    fn try_load_any<T>(&self, sha: &Sha256, load: impl Fn(Artifact) -> Option<T>) -> io::Result<T> {
        let mut missed = io::Error::from(io::ErrorKind::NotFound);
        for compatibility in compatibilities(self.present()?.dir())? {
            match self.try_load(&compatibility, sha, &load) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => missed = error,
                loaded => return loaded,
            }
        }
        Err(missed)
    }

    fn open_artifact(&self, compatibility: &str, sha: &Sha256, form: Form) -> io::Result<Artifact> {
        let Trusted { file, bytes, directory, unsynced } = self.open_trusted(compatibility, &stem(sha, form))?;
        Ok(Artifact { file, bytes, form, directory, unsynced })
    }

    /// Reads a trusted snapshot. `None` is a miss, as of [`load`](Self::load).
    pub fn load_snapshot(&self, compatibility: &str, key: &Sha256) -> Option<Vec<u8>> {
        let read =
            self.open_trusted(compatibility, &snapshot_stem(key)).and_then(|Trusted { mut file, bytes, .. }| {
                let mut content = Vec::new();
                content.try_reserve_exact(usize::try_from(bytes).map_err(io::Error::other)?)?;
                file.rewind()?;
                file.read_to_end(&mut content)?;
                Ok(content)
            });
        match read {
            Ok(content) => return Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => COUNTERS.reject(&self.directory, &error),
        }
        None
    }

    /// Stores a snapshot as [`store`](Self::store) does an artifact.
    pub fn store_snapshot(&self, compatibility: &str, key: &Sha256, content: &[u8]) -> Option<Box<Unsynced>> {
        let stored = self.try_store(compatibility, snapshot_stem(key), content);
        stored.inspect_err(|error| self.count_write_error(error)).ok().map(Box::new)
    }

    /// Opens an artifact that may run, or a snapshot from which guests may begin:
    ///
    /// 1. Nobody but this process's user can have written it, see [`TrustedDirectory`].
    /// 2. Its bytes are those that were stored. They have the seal's digest, or the file has the identity that the seal
    ///    notes, which it had when it was last seen to have that digest.
    ///
    /// The identity consists of the device, the inode, the size and the times of the last change. Only the clock sets
    /// the time of the last change (`ctime`). Damage stays hidden only if the clock is set back and the file is damaged
    /// just when the clock shows the old time again, to within some milliseconds.
    fn open_trusted(&self, compatibility: &str, name: &str) -> io::Result<Trusted> {
        let (held, directory) = self.trusted(compatibility)?;
        let begun = SystemTime::now();
        let TrustedFile { mut file, identity } = directory.open_file(&content_name(name))?;
        let seal = directory.open_file(&seal_name(name))?;
        let text = text_of(&seal)?;
        let (digest, seen) = text.split_once('\n').unwrap_or((&text, ""));
        let mut unsynced = None;
        if seen != identity.to_string() {
            if Sha256::of_reader(&mut file)?.to_string() != digest {
                return Err(io::Error::other("the artifact's digest is wrong"));
            }
            // A file that was changed less than the clock's granularity ago could change again and keep its identity.
            if identity.is_settled(begun) {
                let (file, digest) = (TrustedFile { file: file.try_clone()?, identity }, digest.to_owned());
                unsynced = Some(Box::new(Unsynced { directory, file, stem: name.to_owned(), digest, is_new: false }));
            }
        }
        // The seal's time is the time of the last use, by which eviction finds the oldest artifact. The artifact's own
        // times are part of its identity and stay as they are.
        let _ = sys::touch(&seal.file);
        Ok(Trusted { file, bytes: identity.size, directory: held, unsynced })
    }

    /// Stores an artifact, which [`sync`](Self::sync) then brings to the disk. A failure is only counted: the next
    /// process compiles the module again.
    pub fn store(&self, compatibility: &str, sha: &Sha256, form: Form, artifact: &[u8]) -> Option<Box<Unsynced>> {
        let stored = self.try_store(compatibility, stem(sha, form), artifact);
        let stored = stored.inspect_err(|error| self.count_write_error(error)).ok()?;
        COUNTERS.writes.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(stored))
    }

    fn try_store(&self, compatibility: &str, stem: String, artifact: &[u8]) -> io::Result<Unsynced> {
        let directory = self.made(compatibility)?;
        let digest = Sha256::of(artifact).to_string();
        // The seal comes first, so that no artifact is without a seal.
        directory.write(&seal_name(&stem), digest.as_bytes())?;
        let file = directory.write(&content_name(&stem), artifact)?;
        Ok(Unsynced { directory, file, stem, digest, is_new: true })
    }

    pub(super) fn count_write_error(&self, error: &io::Error) {
        COUNTERS.write_errors.fetch_add(1, Ordering::Relaxed);
        COUNTERS.report_unwritable(&self.directory, error);
    }
}

/// An open file that is trusted.
struct Trusted {
    file: File,
    bytes: u64,
    directory: Arc<HostDirectory>,
    unsynced: Option<Box<Unsynced>>,
}

/// The platform's cache directory. If there is none, the host is warned once, with the reason.
fn platform_cache() -> Option<&'static Path> {
    static TOLD: Once = Once::new();
    let refused = |reason: &String| {
        let message = format!("no disk cache without `cache_dir`: {reason}");
        TOLD.call_once(|| warn(About::DiskCache, message));
    };
    PLATFORM_CACHE.as_deref().inspect_err(|reason| refused(reason)).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Nobody but calls takes a directory that cannot be opened for an absent one.
    #[test]
    fn why_a_cache_cannot_be_opened_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
        let disk = DiskCache::at(&file.path().join("cache"), &mut directories::lock());
        let disk = disk.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(disk.held().err().map(|error| error.kind()), Some(io::ErrorKind::NotADirectory));
        assert_eq!(disk.present().err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }
}
