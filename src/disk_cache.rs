//! Compiled modules between processes: `<directory>/<compatibility>/<sha256 of the wasm>.cwasm` (`.gc.cwasm` where its
//! guests have a garbage-collected heap), with the artifact's own SHA-256 in a file beside it.
//!
//! An artifact is machine code that will run unsandboxed, so that it is trusted only if nobody else can have written it:
//! see [`DiskCache::open_trusted`], which is the one place where that is decided. Whatever is wrong, it is a miss.

mod counters;
mod eviction;
pub(crate) mod platform;
mod records;
mod trusted;

pub(crate) use counters::COUNTERS;

use crate::config::CacheDir;
use crate::directories::{self, HostDirectory, PLATFORM_CACHE, Refusal, Registry};
use crate::engine::hex;
use crate::error::{Error, Result};
use crate::module_cache::{Code, Kind, Sha};
use eviction::compatibilities;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;
use trusted::{TrustedDirectory, TrustedFile, require};
use wasmtime::{Engine, Module, Precompiled};

/// One cache directory. What is in it is found from its descriptor on, and never by its path.
#[derive(Debug)]
pub(crate) struct DiskCache {
    directory: PathBuf,
    /// None while it cannot be made.
    open: Mutex<Option<Arc<HostDirectory>>>,
}

/// A trusted artifact, open.
pub(crate) struct Artifact {
    file: File,
    pub bytes: u64,
    /// Whether its guests have a garbage-collected heap.
    pub heap: bool,
    /// Where it is. Whoever writes to the file changes the code that is mapped from it, so that nobody may be granted this
    /// directory while the code is loaded.
    pub directory: Arc<HostDirectory>,
}

impl Artifact {
    /// What it was compiled from, if it is an artifact of something that this build runs.
    pub fn kind(&self) -> Option<Kind> {
        match Engine::detect_precompiled_file(self.path()) {
            Ok(Some(Precompiled::Module)) => Some(Kind::Module),
            #[cfg(feature = "components")]
            Ok(Some(Precompiled::Component)) => Some(Kind::Component),
            _ => None,
        }
    }

    /// Maps the artifact.
    pub fn deserialize(&self, engine: &Engine, kind: Kind) -> wasmtime::Result<Code> {
        match kind {
            Kind::Module => self.map_module(engine),
            #[cfg(feature = "components")]
            Kind::Component => self.map_component(engine),
            #[cfg(not(feature = "components"))]
            Kind::Component => Err(wasmtime::Error::msg("this build runs modules alone")),
        }
    }

    /// The descriptor's own path: the file that was checked, whatever has become of its name.
    fn path(&self) -> String {
        format!("/dev/fd/{}", self.file.as_raw_fd())
    }

    #[allow(unsafe_code, reason = "mapping machine code is the point of the disk cache")]
    fn map_module(&self, engine: &Engine) -> wasmtime::Result<Code> {
        let file = self.file.try_clone()?;
        // SAFETY: `open_trusted` made sure that this process's user wrote the file, that nobody else can change it, and
        // that its bytes are those that were stored, which `precompile_module` made; this library never writes to a
        // file once it has its name.
        unsafe { Module::deserialize_open_file(engine, file) }.map(Code::Module)
    }

    #[cfg(feature = "components")]
    #[allow(unsafe_code, reason = "mapping machine code is the point of the disk cache")]
    fn map_component(&self, engine: &Engine) -> wasmtime::Result<Code> {
        // SAFETY: as in `map_module`; wasmtime maps components by path alone, and this path is the same open file.
        unsafe { wasmtime::component::Component::deserialize_file(engine, self.path()) }.map(Code::Component)
    }
}

/// Loads an artifact that the compiler has just made, or that is loaded elsewhere.
#[allow(unsafe_code, reason = "wasmtime cannot know where the bytes come from")]
pub(crate) fn deserialize(engine: &Engine, kind: Kind, artifact: &[u8]) -> wasmtime::Result<Code> {
    // SAFETY: the callers pass what `precompile_module` or `precompile_component` has returned, or the same bytes as code that
    // is loaded keeps them.
    unsafe {
        match kind {
            Kind::Module => Module::deserialize(engine, artifact).map(Code::Module),
            #[cfg(feature = "components")]
            Kind::Component => wasmtime::component::Component::deserialize(engine, artifact).map(Code::Component),
            #[cfg(not(feature = "components"))]
            Kind::Component => Err(wasmtime::Error::msg("this build runs modules alone")),
        }
    }
}

/// Bytes that are read of a seal or a record.
const SMALL: u64 = 32 << 10;

impl DiskCache {
    /// The cache that a configuration names. A directory that cannot be made is tried again at each write; until then
    /// everything is a miss.
    ///
    /// # Errors
    /// `invalid_config` where the directory overlaps with one that guests are granted; `no_resources`.
    pub fn open(config: &CacheDir, registry: &mut Registry) -> Result<Option<Arc<Self>>> {
        /// Shared, so that whoever asks for no other cache opens nothing.
        static PLATFORM: Mutex<Weak<DiskCache>> = Mutex::new(Weak::new());
        match (config, PLATFORM_CACHE.as_deref()) {
            (CacheDir::Off, _) | (CacheDir::Platform, None) => Ok(None),
            (CacheDir::At(directory), _) => Self::at(directory, registry).map(Some),
            (CacheDir::Platform, Some(directory)) => {
                let mut platform = PLATFORM.lock().unwrap_or_else(PoisonError::into_inner);
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
        // A relative path means what it means now, also when the directory is made again.
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let (directory, open) = match registry.cache(&absolute) {
            Ok(open) => (open.path().to_owned(), Some(open)),
            // An executor that begins where the system has nothing left would go without a cache ever after.
            Err(Refusal::Io(error)) => match Error::exhausted(&format!("to open {}", absolute.display()), &error) {
                Some(error) => return Err(error),
                None => (absolute, None),
            },
            Err(Refusal::Overlap(message)) => {
                return Err(Error::InvalidConfig { path: "cache_dir".to_owned(), message });
            }
        };
        Ok(Arc::new(DiskCache { directory, open: Mutex::new(open) }))
    }

    fn held(&self) -> io::Result<Arc<HostDirectory>> {
        let held = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(io::ErrorKind::NotFound)?;
        trusted::check_owner(&**held.dir())?;
        Ok(held)
    }

    /// The directory of artifacts of that kind, in the cache's, unless it is where guests may be by now.
    fn trusted(&self, compatibility: &str) -> io::Result<(Arc<HostDirectory>, TrustedDirectory)> {
        let held = self.held()?;
        let directory = TrustedDirectory::open(held.dir(), compatibility)?;
        Registry::check_use(&directory)?;
        Ok((held, directory))
    }

    /// The same, made where it is missing. A cache that was removed meanwhile is made again, at the path that it had.
    fn made(&self, compatibility: &str) -> io::Result<TrustedDirectory> {
        let make = |held: Arc<HostDirectory>| {
            Registry::check_use(&**held.dir())?;
            TrustedDirectory::make(held.dir(), compatibility)
        };
        let directory = match self.held().and_then(make) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let open = directories::lock().cache(&self.directory)?;
                trusted::check_owner(&**open.dir())?;
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(open.clone());
                make(open)?
            }
            made => made?,
        };
        Registry::check_use(&directory)?;
        Ok(directory)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Gives a trusted artifact to `load`. `None` is a miss: absent, not trusted, or refused by `load`.
    pub fn load<T>(&self, compatibility: Option<&str>, sha: &Sha, load: impl Fn(Artifact) -> Option<T>) -> Option<T> {
        let loaded = match compatibility {
            Some(compatibility) => self.try_load(compatibility, sha, &load),
            None => self.try_each(sha, &load),
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

    fn try_load<T>(&self, compatibility: &str, sha: &Sha, load: impl Fn(Artifact) -> Option<T>) -> io::Result<T> {
        let artifact = match self.open_trusted(compatibility, sha, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.open_trusted(compatibility, sha, true)?,
            opened => opened?,
        };
        load(artifact).ok_or_else(|| io::Error::other("an artifact of another version, processor or option"))
    }

    /// The first artifact that loads: each carries the settings, version and processor that it was made for, and wasmtime
    /// takes none that does not fit.
    fn try_each<T>(&self, sha: &Sha, load: impl Fn(Artifact) -> Option<T>) -> io::Result<T> {
        let mut missed = io::Error::from(io::ErrorKind::NotFound);
        for compatibility in compatibilities(self.held()?.dir()) {
            match self.try_load(&compatibility, sha, &load) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => missed = error,
                loaded => return loaded,
            }
        }
        Err(missed)
    }

    /// An artifact that may run: nobody else can have written it, and it is what was stored. Reading all of it to see that
    /// is not needed while it is the version of the file that it was when it was stored or last read.
    ///
    /// A version is told by the device, the inode, the size and the times of the last change. Nobody but the clock sets
    /// the latter: a clock that is set back and then shows the same instant again, to some milliseconds, while the file
    /// is damaged, would hide that damage.
    fn open_trusted(&self, compatibility: &str, sha: &Sha, heap: bool) -> io::Result<Artifact> {
        let name = &stem(sha, heap);
        let (held, directory) = self.trusted(compatibility)?;
        let begun = SystemTime::now();
        let TrustedFile { mut file, identity } = directory.open_file(&artifact_name(name))?;
        let seal = directory.open_file(&seal_name(name))?;
        let text = text_of(&seal)?;
        let (digest, seen) = text.split_once('\n').unwrap_or((&text, ""));
        if seen != identity.to_string() {
            let mut hasher = Sha256::new();
            io::copy(&mut file, &mut hasher)?;
            require(hex(&hasher.finalize()) == digest, "the artifact's digest is wrong")?;
            // One that was changed within the clock's granularity of now may change again and look the same.
            if identity.settled(begun) {
                let _ = directory.write(&seal_name(name), format!("{digest}\n{identity}").as_bytes());
            }
        }
        // Used now, for the eviction of the oldest. The artifact's own times stay as they are.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = rustix::fs::futimens(&seal.file, &Timestamps { last_access: now, last_modification: now });
        Ok(Artifact { file, bytes: identity.size, heap, directory: held })
    }

    /// Stores an artifact. Failing is counted and nothing else: the next process compiles again.
    pub fn store(&self, compatibility: &str, sha: &Sha, heap: bool, artifact: &[u8], bound: u64) {
        match self.try_store(compatibility, &stem(sha, heap), artifact) {
            Ok(()) => {
                COUNTERS.writes.fetch_add(1, Ordering::Relaxed);
                self.evict(bound);
            }
            Err(error) => {
                COUNTERS.write_errors.fetch_add(1, Ordering::Relaxed);
                COUNTERS.note(format!("{}: {error}", self.directory.display()));
            }
        }
    }

    fn try_store(&self, compatibility: &str, name: &str, artifact: &[u8]) -> io::Result<()> {
        let directory = self.made(compatibility)?;
        let digest = hex(&Sha256::digest(artifact));
        // First, so that no artifact is without.
        directory.write(&seal_name(name), digest.as_bytes())?;
        let TrustedFile { identity, .. } = directory.write(&artifact_name(name), artifact)?;
        // Nobody else can write there, and we do so by rename alone, so that this version is what was written.
        directory.write(&seal_name(name), format!("{digest}\n{identity}").as_bytes())?;
        directory.sync()
    }
}

/// The part of an artifact's name that its seal shares. It tells what only the `.wasm` says besides: whether guests have a
/// garbage-collected heap.
fn stem(sha: &Sha, heap: bool) -> String {
    hex(sha) + if heap { ".gc" } else { "" }
}

fn artifact_name(stem: &str) -> String {
    format!("{stem}.cwasm")
}

/// The file that holds the artifact's digest and, once they were seen to fit, the artifact's identity.
fn seal_name(stem: &str) -> String {
    format!("{stem}.sha256")
}

/// What a small file says.
fn text_of(file: &TrustedFile) -> io::Result<String> {
    let mut text = String::new();
    (&file.file).take(SMALL).read_to_string(&mut text)?;
    Ok(text)
}
