//! Compiled modules between processes: `<directory>/<compatibility>/<sha256 of the wasm>.cwasm`, with the artifact's own
//! SHA-256 in a file beside it.
//!
//! An artifact is machine code that will run unsandboxed, so that it is trusted only if nobody else can have written it:
//! see [`DiskCache::open_trusted`], which is the one place where that is decided. Whatever is wrong, it is a miss.

use crate::engine::hex;
use crate::module_cache::{Code, Kind, Sha};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use wasmtime::{Engine, Module, Precompiled};

/// One cache directory.
#[derive(Debug)]
pub(crate) struct DiskCache {
    directory: PathBuf,
}

/// What happened to all disk caches of this process.
#[derive(Default)]
pub(crate) struct Counters {
    /// Artifacts that were not there.
    pub absent: AtomicU64,
    /// Artifacts or directories that were there and not trusted, or that wasmtime did not take.
    pub rejected: AtomicU64,
    pub writes: AtomicU64,
    pub write_errors: AtomicU64,
    pub evictions: AtomicU64,
    last_problem: Mutex<Option<String>>,
    writing: Mutex<usize>,
    written: Condvar,
}

pub(crate) static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::default);

/// A trusted artifact, open.
pub(crate) struct Artifact {
    file: File,
    pub bytes: u64,
}

impl Artifact {
    /// Maps the artifact, whichever kind it is.
    pub fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Code> {
        match Engine::detect_precompiled_file(self.path())? {
            Some(Precompiled::Module) => self.map_module(engine),
            #[cfg(feature = "components")]
            Some(Precompiled::Component) => self.map_component(engine),
            _ => Err(wasmtime::Error::msg("it is no artifact")),
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

/// Loads an artifact that the compiler has just made.
#[allow(unsafe_code, reason = "wasmtime cannot know where the bytes come from")]
pub(crate) fn deserialize(engine: &Engine, kind: Kind, artifact: &[u8]) -> wasmtime::Result<Code> {
    // SAFETY: the only caller passes what `precompile_module` or `precompile_component` has returned.
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

/// Temporary files older than this were left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

impl DiskCache {
    pub fn new(directory: PathBuf) -> Self {
        DiskCache { directory }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Gives a trusted artifact to `load`. `None` is a miss: absent, not trusted, or refused by `load`.
    pub fn load<T>(&self, compatibility: &str, sha: &Sha, load: impl FnOnce(Artifact) -> Option<T>) -> Option<T> {
        let artifact = match self.open_trusted(compatibility, &hex(sha)) {
            Ok(artifact) => artifact,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                COUNTERS.absent.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Err(error) => {
                COUNTERS.reject(&self.directory, &error);
                return None;
            }
        };
        let loaded = load(artifact);
        if loaded.is_none() {
            COUNTERS.reject(&self.directory, &io::Error::other("an artifact of another version or processor"));
        }
        loaded
    }

    /// Every condition under which code from disk is run. The checks are made on the descriptor that is then mapped, so
    /// that nothing can be exchanged in between.
    fn open_trusted(&self, compatibility: &str, name: &str) -> io::Result<Artifact> {
        let directory = self.open_directory(compatibility)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |name: &str| rustix::fs::openat(&directory, name, flags, Mode::empty());
        let file = open(&artifact_name(name))?;
        let stat = rustix::fs::fstat(&file)?;
        require(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile, "the artifact is no regular file")?;
        require(is_ours(&stat), "the artifact belongs to another user")?;
        require(stat.st_mode & 0o022 == 0, "the artifact is writable by others")?;
        let mut expected = String::new();
        File::from(open(&digest_name(name))?).take(65).read_to_string(&mut expected)?;
        let mut file = File::from(file);
        let mut hasher = Sha256::new();
        let bytes = io::copy(&mut file, &mut hasher)?;
        require(hex(&hasher.finalize()) == expected, "the artifact's digest is wrong")?;
        // Seen, for the eviction of the oldest.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Ok(Artifact { file, bytes })
    }

    /// The directory of one compatibility hash, if it is ours alone.
    fn open_directory(&self, compatibility: &str) -> io::Result<OwnedFd> {
        let path = self.directory.join(compatibility);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, &path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&directory)?;
        require(is_ours(&stat), "the cache directory belongs to another user")?;
        require(stat.st_mode & 0o077 == 0, "the cache directory is open to others")?;
        Ok(directory)
    }

    /// Stores an artifact. Failing is counted and nothing else: the next process compiles again.
    pub fn store(&self, compatibility: &str, sha: &Sha, artifact: &[u8], bound: u64) {
        match self.try_store(compatibility, &hex(sha), artifact) {
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
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(self.directory.join(compatibility))?;
        let directory = self.open_directory(compatibility)?;
        write_whole(&directory, &digest_name(name), hex(&Sha256::digest(artifact)).as_bytes())?;
        write_whole(&directory, &artifact_name(name), artifact)?;
        rustix::fs::fsync(&directory)?;
        Ok(())
    }

    /// Removes artifacts, those unused for longest first, until the rest fits the bound.
    fn evict(&self, bound: u64) {
        let mut artifacts = Vec::new();
        let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
        let is_compatibility = |name: &str| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let directories =
            entries(&self.directory).filter(|entry| entry.file_name().to_str().is_some_and(is_compatibility));
        for entry in directories.flat_map(|directory| entries(&directory.path())) {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("cwasm") => artifacts.push((modified, metadata.len(), path)),
                Some("tmp") if modified.elapsed().is_ok_and(|age| age > ABANDONED) => {
                    let _ = std::fs::remove_file(path);
                }
                _ => {}
            }
        }
        artifacts.sort();
        let mut total: u64 = artifacts.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in artifacts {
            if total <= bound {
                break;
            }
            let _ = std::fs::remove_file(path.with_extension("sha256"));
            if std::fs::remove_file(&path).is_ok() {
                COUNTERS.evictions.fetch_add(1, Ordering::Relaxed);
            }
            total -= bytes;
        }
    }
}

fn artifact_name(sha: &str) -> String {
    format!("{sha}.cwasm")
}

fn digest_name(sha: &str) -> String {
    format!("{sha}.sha256")
}

/// Writes a file under a temporary name, syncs it and renames it, so that its name never stands for half of it.
fn write_whole(directory: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let temporary = format!("{name}.{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(directory, &*temporary, flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
        match rustix::fs::renameat(directory, &*temporary, directory, name) {
            // Something that is no file has the name.
            Err(Errno::ISDIR) => rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)
                .and_then(|()| rustix::fs::renameat(directory, &*temporary, directory, name)),
            renamed => renamed,
        }
        .map_err(io::Error::from)
    });
    if written.is_err() {
        let _ = rustix::fs::unlinkat(directory, &*temporary, AtFlags::empty());
    }
    written
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

fn require(condition: bool, otherwise: &'static str) -> io::Result<()> {
    if condition { Ok(()) } else { Err(io::Error::other(otherwise)) }
}

impl Counters {
    fn reject(&self, directory: &Path, error: &io::Error) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        self.note(format!("{}: {error}", directory.display()));
    }

    fn note(&self, problem: String) {
        *self.last_problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    /// The latest thing that went wrong with a disk cache, for `arawn_stats`.
    pub fn last_problem(&self) -> Option<String> {
        self.last_problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a write until the guard is dropped.
    pub fn begin_write(&self) -> impl Drop + '_ {
        struct Writing<'a>(&'a Counters);
        impl Drop for Writing<'_> {
            fn drop(&mut self) {
                *self.0.writing.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
                self.0.written.notify_all();
            }
        }
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Writing(self)
    }

    /// Waits for artifacts that are being written, so that a short-lived host leaves a warm cache behind.
    pub fn wait_for_writes(&self, at_most: Duration) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.written.wait_timeout_while(writing, at_most, |count| *count > 0);
    }
}
