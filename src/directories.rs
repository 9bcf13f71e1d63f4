//! The host's directories that the process has open: those that hold code (catalogs and caches) and those that guests are
//! granted. The two are kept apart here and nowhere else:
//!
//! 1. No granted directory is, holds or lies in a directory of code that is open in the process, whichever executor has it.
//! 2. No granted directory that guests may write is, holds or lies in the platform's cache, whether that exists or not:
//!    other processes of the user run code from there.
//! 3. Both are checked on open descriptors and under one lock, before anything uses the directory. They hold for as long as
//!    an executor, or a call that it began, has the directory.
//!
//! What is compared is said in [`Line`]. A granted directory and a cache are used by their descriptor from then on, so that
//! no later rename or link leads elsewhere. A catalog is used by its path, above which no guest can change anything.
//!
//! Lines change when directories are moved. Guests can move a granted directory that lies in another one that they are
//! granted: its line is read again at each check. The host can move a cache: its line is read again where it has moved,
//! each time that code is read or written there, see [`Registry::recheck`].

mod line;

use crate::config::GrantedDir;
use crate::error::{Error, Result};
use cap_std::fs::Dir;
use line::{Id, Line, Relation, id_of};
use rustix::fs::{CWD, Mode, OFlags};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// A directory that is open for as long as this lives. Executors that name the same one share it.
pub(crate) struct HostDirectory {
    dir: Arc<Dir>,
    role: Role,
    /// As it was when the directory was last looked at.
    line: Mutex<Arc<Line>>,
    /// Whether it is granted and has been in another granted directory, in which guests may move it.
    movable: AtomicBool,
    /// The same directory for components, once one was given it.
    #[cfg(feature = "components")]
    preopen: once_cell::sync::OnceCell<wasmtime_wasi::filesystem::Dir>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Code,
    Granted,
}

/// A directory that an executor grants its guests, open.
#[derive(Debug)]
pub(crate) struct Grant {
    /// As the host has configured it, with the path resolved.
    config: GrantedDir,
    guest: Arc<str>,
    directory: Arc<HostDirectory>,
}

/// Every directory that is open, by what it is and where it is: one descriptor a mount, since a mount may be read-only.
#[derive(Default)]
pub(crate) struct Registry(HashMap<(Id, PathBuf), Weak<HostDirectory>>);

/// Why a directory was not opened.
pub(crate) enum Refusal {
    Io(io::Error),
    /// It overlaps with one of the other kind; what to tell.
    Overlap(String),
}

/// `arawn` in the platform's cache directory, as it is named when the process first asks.
pub(crate) static PLATFORM_CACHE: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| dirs::cache_dir().map(|directory| directory.join("arawn")));

/// The right to open directories. Whoever opens several keeps it until the last is open, so that another thread sees all of
/// them or none.
pub(crate) fn lock() -> MutexGuard<'static, Registry> {
    static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Opens a catalog's directory.
    pub fn catalog(&mut self, path: &Path) -> Result<Arc<HostDirectory>, Refusal> {
        self.admit(open(path)?, path, Role::Code)
    }

    /// Opens a cache's directory, which is made, for this user alone, where it is missing.
    pub fn cache(&mut self, path: &Path) -> Result<Arc<HostDirectory>, Refusal> {
        use std::os::unix::fs::DirBuilderExt;
        let opened = open(path).or_else(|_| {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            open(path)
        });
        self.admit(opened?, path, Role::Code)
    }

    /// Opens what stands at `capabilities.dirs[index]`.
    pub fn grant(&mut self, index: usize, config: &GrantedDir) -> Result<Grant> {
        let refused = |message| Error::InvalidConfig { path: format!("capabilities.dirs[{index}].host"), message };
        let failed = |error: io::Error| refused(format!("{}: {error}", config.host.display()));
        let directory = open(&config.host).map_err(Refusal::Io);
        let directory = directory.and_then(|dir| self.admit(dir, &config.host, Role::Granted));
        let directory = directory.map_err(|refusal| match refusal {
            Refusal::Io(error) => failed(error),
            Refusal::Overlap(message) => refused(message),
        })?;
        let line = directory.line().map_err(failed)?;
        if line.is_root() {
            return Err(refused("the root directory is not granted".to_owned()));
        }
        if let (true, Some(platform)) = (config.write, PLATFORM_CACHE.as_deref()) {
            let platform = Line::of_path(platform).map_err(|error| {
                refused(format!("the platform's cache, {}, cannot be looked at: {error}", platform.display()))
            })?;
            if let Some(relation) = line.relation(&platform) {
                return Err(refused(overlap(Role::Granted, &line, relation, &platform)));
            }
        }
        let config = GrantedDir { host: line.path.clone(), ..config.clone() };
        Ok(Grant { guest: Arc::from(&*config.guest), config, directory })
    }

    fn admit(&mut self, dir: Dir, given: &Path, role: Role) -> Result<Arc<HostDirectory>, Refusal> {
        let key = (id_of(&dir)?, line::path_of(&dir, given)?);
        let known = self.0.get(&key).and_then(Weak::upgrade).filter(|known| known.role == role);
        if let Some(known) = known {
            return Ok(known);
        }
        let line = Arc::new(Line::of(&dir, key.1.clone())?);
        self.0.retain(|_, other| other.strong_count() > 0);
        let is_inside = self.check(role, &line)?;
        let directory = Arc::new(HostDirectory {
            dir: Arc::new(dir),
            role,
            line: Mutex::new(line),
            movable: AtomicBool::new(is_inside),
            #[cfg(feature = "components")]
            preopen: once_cell::sync::OnceCell::new(),
        });
        self.0.insert(key, Arc::downgrade(&directory));
        Ok(directory)
    }

    /// Refuses a directory of this role that overlaps with one of the other role. Whether it lies in one of its own.
    fn check(&self, role: Role, line: &Line) -> Result<bool, Refusal> {
        let mut is_inside = false;
        for other in self.0.values().filter_map(Weak::upgrade) {
            if (role, other.role) == (Role::Code, Role::Code) {
                continue;
            }
            let where_other_is = other.line()?;
            let Some(relation) = line.relation(&where_other_is) else { continue };
            if other.role != role {
                return Err(Refusal::Overlap(overlap(role, line, relation, &where_other_is)));
            }
            is_inside |= relation != Relation::Holds;
            other.movable.fetch_or(relation != Relation::LiesIn, Ordering::Relaxed);
        }
        Ok(is_inside)
    }

    /// Checks a cache again if the host has moved it. One `readlink` where it has not.
    ///
    /// # Errors
    /// Where it is in, around or at a granted directory now.
    pub fn recheck(cache: &HostDirectory) -> Result<(), Refusal> {
        match line::path_now(&cache.dir) {
            Some(path) if path != cache.path() => {
                let registry = lock();
                registry.check(Role::Code, &Line::of(&*cache.dir, path)?).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with a directory of this role, for the host.
fn overlap(role: Role, line: &Line, relation: Relation, other: &Line) -> String {
    let other_is = match role {
        Role::Code => "a directory that guests are granted",
        Role::Granted => "a directory with code that runs",
    };
    format!("{} {relation} {other_is}: {}", line.path.display(), other.path.display())
}

/// Opens a directory as a place for names, wherever links lead. It can be listed by opening `.` in it, which leaves the
/// position of other listings alone.
fn open(path: &Path) -> io::Result<Dir> {
    let flags = line::LOOK_UP | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Dir::from_std_file(File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?)))
}

impl HostDirectory {
    pub fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// Where it was when it was last looked at.
    pub fn path(&self) -> PathBuf {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).path.clone()
    }

    /// Its line as it is now, unless the host has moved it.
    fn line(&self) -> io::Result<Arc<Line>> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if self.movable.load(Ordering::Relaxed) {
            let path = line::path_now(&self.dir);
            if path.as_ref() != Some(&line.path) {
                *line = Arc::new(Line::of(&*self.dir, path.unwrap_or_else(|| line.path.clone()))?);
            }
        }
        Ok(line.clone())
    }
}

impl fmt::Debug for HostDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostDirectory").field("role", &self.role).field("path", &self.path()).finish()
    }
}

impl Grant {
    pub fn dir(&self) -> &Arc<Dir> {
        &self.directory.dir
    }

    /// Its path for the guest.
    pub fn guest(&self) -> &Arc<str> {
        &self.guest
    }

    /// Whether the guest may change what is in it.
    pub fn write(&self) -> bool {
        self.config.write
    }

    /// The directory as wasmtime-wasi takes it: one more descriptor, which all components share.
    #[cfg(feature = "components")]
    pub fn preopen(&self) -> Result<wasmtime_wasi::filesystem::Dir> {
        use wasmtime_wasi::{FsPerms, OpenMode, filesystem};
        let (read_only, read) = (FsPerms::ReadOnly, OpenMode::READ);
        let made = || Ok(filesystem::Dir::new(self.directory.dir.try_clone()?.into_std_file(), read_only, read, false));
        let made: io::Result<_> = self.directory.preopen.get_or_try_init(made);
        let mut dir =
            made.map_err(|error| Error::internal(format!("{}: {error}", self.config.host.display())))?.clone();
        if self.config.write {
            (dir.perms, dir.open_mode) = (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE);
        }
        Ok(dir)
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.config.serialize(serializer)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Io(error)
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Io(error) => error,
            Refusal::Overlap(message) => io::Error::other(message),
        }
    }
}
