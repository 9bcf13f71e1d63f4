//! Compiled modules between processes: `<directory>/<compatibility>/<sha256 of the wasm>.cwasm` (`.gc.cwasm` where its
//! guests have a garbage-collected heap), with the artifact's own SHA-256 in a file beside it.
//!
//! An artifact is machine code that will run unsandboxed, so that it is trusted only if nobody else can have written it:
//! see [`DiskCache::open_trusted`], which is the one place where that is decided. Whatever is wrong, it is a miss.
//!
//! An artifact is written in two steps, so that nobody waits for the disk:
//!
//! 1. [`DiskCache::store`] writes it and its digest. Every process finds it from then on, and reads all of it to see that it
//!    has its digest: where the computer stopped meanwhile, the file may be torn.
//! 2. [`DiskCache::sync`] waits for the disk, and then notes beside the digest which version of the file has it. Whoever
//!    finds that version reads nothing. Where the process ends before that, one that has read the artifact does it.

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
use crate::warnings::{About, warn};
use eviction::compatibilities;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
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
    /// The same file, where it had to be read to see that it is what was stored.
    pub unsynced: Option<Box<Unsynced>>,
}

/// An artifact of which nothing says yet that it is on the disk.
pub(crate) struct Unsynced {
    directory: TrustedDirectory,
    file: TrustedFile,
    stem: String,
    digest: String,
    /// Whether this process has written it.
    is_new: bool,
}

impl Artifact {
    /// What it was compiled from, if it is an artifact of something that this build runs.
    pub fn kind(&self) -> Option<Kind> {
        let mut header = [0; ELF_HEADER];
        self.file.read_exact_at(&mut header, 0).ok()?;
        kind_of(header)
    }

    /// Maps the artifact, or reads it where the system does not let it be mapped as code: from a file system that is mounted
    /// `noexec` or has no mappings, and a component where open files have no paths.
    pub fn deserialize(&self, engine: &Engine, kind: Kind) -> wasmtime::Result<Code> {
        match self.map(engine, kind) {
            Err(error) if is_refused(&error) => deserialize(engine, kind, &self.read()?),
            mapped => mapped,
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let size = usize::try_from(self.bytes).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size)?;
        bytes.resize(size, 0);
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn map(&self, engine: &Engine, kind: Kind) -> wasmtime::Result<Code> {
        match kind {
            Kind::Module => self.map_module(engine),
            #[cfg(feature = "components")]
            Kind::Component => self.map_component(engine),
            #[cfg(not(feature = "components"))]
            Kind::Component => Err(wasmtime::Error::msg("this build runs modules alone")),
        }
    }

    /// The descriptor's own path: the file that was checked, whatever has become of its name.
    #[cfg(feature = "components")]
    fn path(&self) -> String {
        format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.file))
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

/// Bytes of the header that each artifact begins with.
const ELF_HEADER: usize = 64;

/// What an artifact that begins with this header was compiled from.
fn kind_of(mut header: [u8; ELF_HEADER]) -> Option<Kind> {
    // The header alone: without the tables that it says are elsewhere in the file (`e_phoff`, `e_shoff`, their counts).
    header[32..48].fill(0);
    header[54..].fill(0);
    match Engine::detect_precompiled(&header) {
        Some(Precompiled::Module) => Some(Kind::Module),
        #[cfg(feature = "components")]
        Some(Precompiled::Component) => Some(Kind::Component),
        _ => None,
    }
}

/// Whether the system has refused something, rather than wasmtime; but not for want of something, which reading takes too.
fn is_refused(error: &wasmtime::Error) -> bool {
    let mut causes = error.chain();
    let is_of_system = causes.any(|cause| cause.is::<io::Error>() || cause.is::<rustix::io::Errno>());
    is_of_system && Error::exhausted_in("to map an artifact", error).is_none()
}

/// Loads an artifact that the compiler has just made, that is loaded elsewhere, or that was read from a trusted file.
#[allow(unsafe_code, reason = "wasmtime cannot know where the bytes come from")]
pub(crate) fn deserialize(engine: &Engine, kind: Kind, artifact: &[u8]) -> wasmtime::Result<Code> {
    // SAFETY: the callers pass what `precompile_module` or `precompile_component` has returned, the same bytes as code that
    // is loaded keeps them, or what `open_trusted` vouches for, as `map_module` says.
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
        match config {
            CacheDir::Off => Ok(None),
            CacheDir::At(directory) => Self::at(directory, registry).map(Some),
            CacheDir::Platform => {
                let Some(directory) = platform_cache() else { return Ok(None) };
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
        let mut unsynced = None;
        if seen != identity.to_string() {
            let mut hasher = Sha256::new();
            io::copy(&mut file, &mut hasher)?;
            require(hex(&hasher.finalize()) == digest, "the artifact's digest is wrong")?;
            // One that was changed within the clock's granularity of now may change again and look the same.
            if identity.settled(begun) {
                let (file, digest) = (TrustedFile { file: file.try_clone()?, identity }, digest.to_owned());
                unsynced = Some(Box::new(Unsynced { directory, file, stem: name.clone(), digest, is_new: false }));
            }
        }
        // Used now, for the eviction of the oldest. The artifact's own times stay as they are.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = rustix::fs::futimens(&seal.file, &Timestamps { last_access: now, last_modification: now });
        Ok(Artifact { file, bytes: identity.size, heap, directory: held, unsynced })
    }

    /// Stores an artifact, for [`sync`](Self::sync) to have on the disk. Failing is counted and nothing else: the next
    /// process compiles again.
    pub fn store(&self, compatibility: &str, sha: &Sha, heap: bool, artifact: &[u8]) -> Option<Box<Unsynced>> {
        let stored = self.try_store(compatibility, stem(sha, heap), artifact);
        let stored = stored.inspect_err(|error| self.count_write_error(error)).ok()?;
        COUNTERS.writes.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(stored))
    }

    fn try_store(&self, compatibility: &str, stem: String, artifact: &[u8]) -> io::Result<Unsynced> {
        let directory = self.made(compatibility)?;
        let digest = hex(&Sha256::digest(artifact));
        // First, so that no artifact is without.
        directory.write(&seal_name(&stem), digest.as_bytes())?;
        let file = directory.write(&artifact_name(&stem), artifact)?;
        Ok(Unsynced { directory, file, stem, digest, is_new: true })
    }

    /// Has an artifact on the disk, notes that it was seen to have its digest, and removes others beyond the bound.
    pub fn sync(&self, unsynced: &Unsynced, bound: u64) {
        let synced = unsynced.sync();
        // A cache that is only read, such as one on a disk that cannot be written, need not be noted in.
        if unsynced.is_new {
            let _ = synced.inspect_err(|error| self.count_write_error(error));
            self.evict(bound);
        }
    }

    fn count_write_error(&self, error: &io::Error) {
        COUNTERS.write_errors.fetch_add(1, Ordering::Relaxed);
        COUNTERS.note(format!("{}: {error}", self.directory.display()));
    }
}

impl Unsynced {
    fn sync(&self) -> io::Result<()> {
        let Unsynced { directory, file: TrustedFile { file, identity }, stem, digest, .. } = self;
        file.sync_all()?;
        // Nobody else can write there, and we do so by rename alone, so that this version is what was written. Another process
        // may have put its own in the place, with a digest of its own, or evicted this one.
        match directory.open_file(&artifact_name(stem)) {
            Ok(now) if now.identity == *identity => {
                directory.write_synced(&seal_name(stem), format!("{digest}\n{identity}").as_bytes())?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        directory.sync()
    }
}

/// The platform's cache directory. Where there is none, whoever relies on one is told why, once.
fn platform_cache() -> Option<&'static Path> {
    static TOLD: Once = Once::new();
    let refused = |reason: &String| {
        let message = format!("compiled code is kept between processes with a `cache_dir` alone: {reason}");
        TOLD.call_once(|| warn(About::DiskCache, message));
    };
    PLATFORM_CACHE.as_deref().inspect_err(|reason| refused(reason)).ok()
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
