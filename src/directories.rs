//! The host's directories that the process has open: those that hold code (catalogs and caches) and those that guests are
//! granted. The two are kept apart here and nowhere else:
//!
//! 1. No granted directory is, holds or lies in a directory of code that is open in the process, whichever executor has it.
//! 2. No granted directory that guests may write is, holds or lies in the platform's cache, whether that exists or not:
//!    other processes of the user run code from there.
//! 3. No cache is opened where guests of this process could ever write: what lies there may be theirs.
//! 4. No path to a directory of code leads by way of a granted one, and none to a granted directory through a link that
//!    guests could have made.
//! 5. All of this is checked on open descriptors and under one lock, before anything uses the directory or is made. It holds
//!    for as long as an executor, a call that it began, or code that is mapped from the cache has the directory; where a
//!    catalog's name leads elsewhere, until it does so for a second time.
//!
//! What is compared is said in [`Line`]. A granted directory and a cache are used by their descriptor from then on, so that
//! no later rename or link leads elsewhere. A catalog is used by its path without links, above which no guest can change
//! anything; where the name that the host has given it leads elsewhere later, what is there is opened anew.
//!
//! The host may move directories while they are open. Each time that code is read from a cache or written there, the
//! identities of its directories and of all above them are looked up anew, see [`Registry::check_use`].

mod index;
mod line;
pub(crate) mod quota;
mod resolve;

use crate::config::GrantedDir;
use crate::disk_cache::platform;
use crate::error::{Error, Result};
use crate::files::Identity;
use cap_std::fs::Dir;
use index::Index;
use line::{Id, Line, Place, Relation, id_of, ids_of};
use quota::Quota;
use resolve::{Resolved, resolve};
use serde::{Serialize, Serializer};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// A directory that is open for as long as this lives. Executors that name the same one share it.
pub(crate) struct HostDirectory {
    dir: Arc<Dir>,
    role: Role,
    /// As it was when the directory was opened.
    line: Line,
    /// Whether an executor has granted it for writing.
    is_written: AtomicBool,
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
    /// What bounds how much guests add to it.
    quota: Option<Arc<Quota>>,
    directory: Arc<HostDirectory>,
}

/// Every directory that is open.
#[derive(Default)]
pub(crate) struct Registry {
    /// By what it is and where it is: one descriptor a mount, since a mount may be read-only.
    open: HashMap<(Id, PathBuf), Weak<HostDirectory>>,
    index: Index,
    /// Granted directories inside of others, which guests may move there.
    nested: Vec<Weak<HostDirectory>>,
    /// How many there were when those that are closed were forgotten last.
    kept: usize,
}

/// Why a directory was not opened.
#[derive(Debug)]
pub(crate) enum Refusal {
    Io(io::Error),
    /// It overlaps with one of the other kind; what to tell.
    Overlap(String),
}

/// `arawn` in the platform's cache directory, as it is named when the process first asks, or why there is none.
pub(crate) static PLATFORM_CACHE: LazyLock<Result<PathBuf, String>> = LazyLock::new(platform::directory);

/// Where guests may write, or could while an executor granted it, by names that no other directory gets. Its own lock, since a
/// directory may be closed under the registry's.
static WRITTEN: LazyLock<Mutex<HashSet<Place>>> = LazyLock::new(Mutex::default);

fn written() -> MutexGuard<'static, HashSet<Place>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place at or above a line where guests could write, if there is one.
fn written_at(line: &Line) -> Option<Place> {
    let written = written();
    line.own.iter().chain(&line.above).find(|place| written.contains(place)).cloned()
}

/// Notes that guests may write what is at this line, unless that is known.
fn note_written(line: &Line) {
    if written_at(line).is_none() {
        written().extend(line.own.iter().filter(|place| place.is_lasting(&line.own)).cloned());
    }
}

/// The right to open directories. Whoever opens several keeps it until the last is open, so that another thread sees all of
/// them or none.
pub(crate) fn lock() -> MutexGuard<'static, Registry> {
    static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Opens a catalog's directory.
    pub fn catalog(&mut self, path: &Path) -> Result<Arc<HostDirectory>, Refusal> {
        let resolved = self.resolved(path, Role::Code)?;
        if !resolved.missing.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        }
        let directory = self.admit(resolved, Role::Code)?;
        // It is used by that path.
        if !directory.is_at(directory.path()) {
            return Err(io::Error::other("it was replaced while it was opened").into());
        }
        Ok(directory)
    }

    /// Opens a cache's directory, which is made, for this user alone, where it is missing.
    pub fn cache(&mut self, path: &Path) -> Result<Arc<HostDirectory>, Refusal> {
        let mut resolved = self.resolved(path, Role::Code)?;
        let line = Line::of(&resolved)?;
        self.check(Role::Code, &line)?;
        if let Some(written) = written_at(&line) {
            let path = line.path.display();
            let message = format!("{path} is where guests of this process may write, or could: {written}");
            return Err(Refusal::Overlap(message));
        }
        if !resolved.missing.is_empty() {
            resolved = resolved.make()?;
        }
        self.admit(resolved, Role::Code)
    }

    /// Opens what an executor's `capabilities.dirs` name.
    pub fn grants(&mut self, dirs: &[GrantedDir]) -> Result<Vec<Grant>> {
        let changes = Arc::default();
        let opened = dirs.iter().enumerate().map(|(index, config)| self.grant(index, config, &changes));
        let grants = opened.collect::<Result<Vec<_>>>()?;
        check_counts(&grants)?;
        Ok(grants)
    }

    /// Opens what stands at `capabilities.dirs[index]`.
    fn grant(&mut self, index: usize, config: &GrantedDir, changes: &Arc<Mutex<()>>) -> Result<Grant> {
        if config.bytes.is_some() && !config.write {
            let path = format!("capabilities.dirs[{index}].bytes");
            return Err(Error::InvalidConfig { path, message: "bounds what is written: needs `write`".to_owned() });
        }
        let refused = |message| Error::InvalidConfig { path: format!("capabilities.dirs[{index}].host"), message };
        let failed = |error: io::Error| refused(format!("{}: {error}", config.host.display()));
        let directory = self.resolved(&config.host, Role::Granted).and_then(|resolved| match resolved.missing[..] {
            [] => self.admit(resolved, Role::Granted),
            _ => Err(io::Error::other("no such directory").into()),
        });
        let directory = directory.map_err(|refusal| match refusal {
            Refusal::Io(error) => {
                Error::exhausted("to open a granted directory", &error).unwrap_or_else(|| failed(error))
            }
            Refusal::Overlap(message) => refused(message),
        })?;
        let line = directory.line();
        if line.is_root() {
            return Err(refused("the root directory is not granted".to_owned()));
        }
        if config.write {
            if let Ok(platform) = PLATFORM_CACHE.as_deref() {
                check_platform(line, platform).map_err(refused)?;
            }
            note_written(line);
            directory.is_written.store(true, Ordering::Relaxed);
        }
        let config = GrantedDir { host: line.path.clone(), ..config.clone() };
        let quota = config.bytes.map(|bytes| Arc::new(Quota::new(bytes, changes.clone())));
        Ok(Grant { guest: Arc::from(&*config.guest), config, quota, directory })
    }

    /// Follows a path, unless guests decide where it leads.
    fn resolved(&self, path: &Path, role: Role) -> Result<Resolved, Refusal> {
        let resolved = resolve(path)?;
        let path = path.display();
        if role == Role::Code
            && let Some(granted) = self.granted(&resolved.passed)
        {
            let granted = granted.path().display();
            let message = format!("{path} leads by way of a directory that guests are granted: {granted}");
            return Err(Refusal::Overlap(message));
        }
        for (dir, at) in &resolved.turns {
            if let Some(written) = written_at(&Line::of_open(dir, at)?) {
                let message =
                    format!("{path} leads through a link, or up, where guests may write, or could: {written}");
                return Err(Refusal::Overlap(message));
            }
        }
        Ok(resolved)
    }

    /// A granted directory among these.
    fn granted(&self, ids: &[Id]) -> Option<Arc<HostDirectory>> {
        ids.iter().flat_map(|id| self.index.at(&Place::Id(*id))).find(|open| open.role == Role::Granted)
    }

    fn admit(&mut self, resolved: Resolved, role: Role) -> Result<Arc<HostDirectory>, Refusal> {
        let line = Line::of(&resolved)?;
        let dir = resolved.dir;
        let key = (id_of(&dir)?, line.path.clone());
        let known = self.open.get(&key).and_then(Weak::upgrade).filter(|known| known.role == role);
        if let Some(known) = known {
            return Ok(known);
        }
        self.forget_closed();
        self.check(role, &line)?;
        let directory = Arc::new(HostDirectory { dir: Arc::new(dir), role, line, is_written: AtomicBool::new(false) });
        self.open.insert(key, Arc::downgrade(&directory));
        if role == Role::Granted && is_nested(&directory.line) {
            self.nested.push(Arc::downgrade(&directory));
        }
        self.index.add(&directory);
        Ok(directory)
    }

    /// Forgets directories that are closed, as often as their number has doubled.
    fn forget_closed(&mut self) {
        if self.open.len() > 2 * self.kept {
            self.open.retain(|_, other| other.strong_count() > 0);
            self.nested.retain(|other| other.strong_count() > 0);
            self.index.forget_closed();
            self.kept = self.open.len();
        }
    }

    /// Refuses a directory of this role that overlaps with one of the other role.
    fn check(&self, role: Role, line: &Line) -> Result<(), Refusal> {
        for other in self.index.overlapping(line).filter(|other| other.role != role) {
            if let Some(relation) = line.relation(other.line()) {
                return Err(Refusal::Overlap(overlap(role, line, relation, other.line())));
            }
        }
        if role == Role::Code {
            for granted in self.nested.iter().filter_map(Weak::upgrade) {
                // Guests can bury a directory deeper than is looked: what is there is no catalog's.
                let ids = ids_of(&*granted.dir).unwrap_or_default();
                if ids.iter().any(|id| line.own.contains(&Place::Id(*id))) {
                    return Err(Refusal::Overlap(overlap(role, line, Relation::Holds, granted.line())));
                }
            }
        }
        Ok(())
    }

    /// Refuses a path to code that leads where guests decide.
    pub fn check_way(&self, path: &Path) -> Result<(), Refusal> {
        self.resolved(path, Role::Code).map(drop)
    }

    /// Looks whether a directory of a cache, open as `dir`, is or lies in a granted one now, wherever the host has moved either.
    pub fn check_use(dir: &impl AsFd) -> Result<(), Refusal> {
        let ids = ids_of(dir)?;
        match lock().granted(&ids) {
            Some(granted) => {
                let granted = granted.path().display().to_string();
                Err(Refusal::Overlap(format!("the cache is in a directory that guests are granted: {granted}")))
            }
            None => Ok(()),
        }
    }
}

/// Refuses grants that overlap where guests may write both and one is bounded: what they add by the other would not count.
fn check_counts(grants: &[Grant]) -> Result<()> {
    let is_bounded = |index: usize| grants[index].quota.is_some();
    let written = grants.iter().enumerate().filter(|(_, grant)| grant.write());
    let mut at: HashMap<&Place, Vec<usize>> = HashMap::new();
    for (index, grant) in written.clone() {
        grant.directory.line().own.iter().for_each(|place| at.entry(place).or_default().push(index));
    }
    for (index, grant) in written {
        let line = grant.directory.line();
        let mut around = line.own.iter().chain(&line.above).filter_map(|place| at.get(place)).flatten().copied();
        if let Some(other) = around.find(|other| *other != index && (is_bounded(index) || is_bounded(*other))) {
            let (first, last) = (index.min(other), index.max(other));
            let (bounded, other) = if is_bounded(first) { (first, last) } else { (last, first) };
            return Err(counted_twice(grants, bounded, other));
        }
    }
    Ok(())
}

fn counted_twice(grants: &[Grant], bounded: usize, other: usize) -> Error {
    let [line, other_line] = [bounded, other].map(|index| grants[index].directory.line());
    let relation = line.relation(other_line).unwrap_or(Relation::Is);
    let (path, other_path) = (line.path.display(), other_line.path.display());
    let message = format!(
        "{path} {relation} {other_path}, which guests may write by capabilities.dirs[{other}] without this count"
    );
    Error::InvalidConfig { path: format!("capabilities.dirs[{bounded}].bytes"), message }
}

/// Whether guests may move the directory at this line.
fn is_nested(line: &Line) -> bool {
    let written = written();
    line.above.iter().any(|place| written.contains(place))
}

/// Keeps a directory that guests may write apart from the platform's cache, and from the way there. Where this user may not
/// look at that way, its name has to do.
fn check_platform(line: &Line, platform: &Path) -> Result<(), String> {
    let Ok(resolved) = resolve(platform) else {
        return match platform.starts_with(&line.path) {
            true => Err(format!("{} holds the platform's cache: {}", line.path.display(), platform.display())),
            false => Ok(()),
        };
    };
    let failed = |error: io::Error| format!("the platform's cache, {}: {error}", platform.display());
    let cache = Line::of(&resolved).map_err(failed)?;
    if let Some(relation) = line.relation(&cache) {
        return Err(overlap(Role::Granted, line, relation, &cache));
    }
    let mut is_on_the_way = resolved.passed.iter().any(|id| line.own.contains(&Place::Id(*id)));
    for (dir, at) in &resolved.turns {
        let turn = Line::of_open(dir, at).map_err(failed)?;
        is_on_the_way |= matches!(line.relation(&turn), Some(Relation::Is | Relation::Holds));
    }
    match is_on_the_way {
        true => Err(format!("the way to the platform's cache, {}, leads by way of it", platform.display())),
        false => Ok(()),
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

impl HostDirectory {
    pub fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// Where it was when it was opened, without links.
    pub fn path(&self) -> &Path {
        &self.line.path
    }

    /// Whether the path leads to it.
    pub fn is_at(&self, path: &Path) -> bool {
        let there = fs::metadata(path).ok().map(|there| Identity::of(&there).inode());
        there.is_some() && there == self.inode()
    }

    /// Its device and inode.
    pub fn inode(&self) -> Option<(u64, u64)> {
        id_of(&*self.dir).ok()
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

/// The host may have moved it: where it is now guests could write too.
impl Drop for HostDirectory {
    fn drop(&mut self) {
        if self.is_written.load(Ordering::Relaxed)
            && let Ok(line) = Line::of_open(&*self.dir, &self.line.path)
        {
            note_written(&line);
        }
    }
}

impl fmt::Debug for HostDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostDirectory").field("role", &self.role).field("path", &self.line.path).finish()
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

    /// What bounds how much the executor's guests add to it, if anything does.
    pub fn quota(&self) -> Option<&Arc<Quota>> {
        self.quota.as_ref()
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
