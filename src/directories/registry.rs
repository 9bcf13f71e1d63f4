//! The registry of open directories. It opens them, and keeps those with code apart from those that guests are granted.
//! The invariants are in the parent module.

use super::ancestry::{Ancestry, Location, Relation};
use super::grant::{Grant, check_quotas_disjoint};
use super::host_directory::{HostDirectory, Role};
use super::index::Index;
use super::platform::PLATFORM_CACHE;
use super::quota::Quota;
use super::refusal::Refusal;
use super::written::{is_nested, note_closed, note_written, written_at};
use crate::config::GrantedDir;
use crate::error::{Error, Result};
use crate::locks::Locked;
use crate::sys::{self, AsOpen, Id, Resolved, id_of, ids_of, resolve};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};

/// Every directory that is open in the process.
#[derive(Default)]
pub(crate) struct Registry {
    /// Each directory by its identity and its path. Two mounts of one directory have the same identity and get a
    /// descriptor each, since one of the mounts may be read-only.
    open: HashMap<(Id, PathBuf), Weak<HostDirectory>>,
    index: Index,
    /// The granted directories that lie inside others, where guests may move them.
    nested: Vec<Weak<HostDirectory>>,
    /// The length of `open` after closed directories were last removed from it.
    kept: usize,
}

/// The right to open directories. A caller that opens several keeps the guard until the last one is open, so that
/// another thread sees all of them or none.
pub(crate) fn lock() -> MutexGuard<'static, Registry> {
    static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
    REGISTRY.locked()
}

impl Registry {
    /// Opens a catalog's directory.
    pub fn catalog(&mut self, path: &Path) -> Result<Arc<HostDirectory>, Refusal> {
        let resolved = self.resolved(path, Role::Code)?;
        if !resolved.missing.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        }
        let directory = self.admit(resolved, Role::Code)?;
        // A catalog is used by its path, so the path must lead to the directory that was checked.
        let is_there = match directory.is_at(directory.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            is_there => is_there?,
        };
        if !is_there {
            return Err(io::Error::other("it was replaced while it was opened").into());
        }
        Ok(directory)
    }

    /// Opens a cache's directory. A missing directory is created, for this user alone.
    pub fn cache(&mut self, path: &Path) -> Result<Arc<HostDirectory>, Refusal> {
        let mut resolved = self.resolved(path, Role::Code)?;
        let ancestry = Ancestry::of(&resolved)?;
        self.check(Role::Code, &ancestry)?;
        if let Some(written) = written_at(&ancestry) {
            let path = ancestry.path.display();
            let message = format!("{path} is where guests of this process can write, or could write before: {written}");
            return Err(Refusal::Overlap(message));
        }
        if !resolved.missing.is_empty() {
            resolved = resolved.make()?;
        }
        self.admit(resolved, Role::Code)
    }

    /// Opens the directories that an executor's `capabilities.dirs` name.
    pub fn grants(&mut self, dirs: &[GrantedDir]) -> Result<Vec<Grant>> {
        let changes = Arc::default();
        let opened = dirs.iter().enumerate().map(|(index, config)| self.grant(index, config, &changes));
        let grants = opened.collect::<Result<Vec<_>>>()?;
        check_quotas_disjoint(&grants)?;
        Ok(grants)
    }

    /// Opens the directory that `capabilities.dirs[index]` names.
    fn grant(&mut self, index: usize, config: &GrantedDir, changes: &Arc<Mutex<()>>) -> Result<Grant> {
        if config.bytes.is_some() && !config.write {
            let path = format!("capabilities.dirs[{index}].bytes");
            return Err(Error::InvalidConfig {
                path,
                message: "needs `write`: it bounds what guests write".to_owned(),
            });
        }
        let refused = |message| Error::InvalidConfig { path: format!("capabilities.dirs[{index}].host"), message };
        sys::GRANTS.map_err(|reason| refused(format!("{}: {reason}", config.host.display())))?;
        let failed = |error: io::Error| refused(format!("{}: {error}", config.host.display()));
        let directory = self.resolved(&config.host, Role::Granted).and_then(|resolved| match resolved.missing[..] {
            [] => self.admit(resolved, Role::Granted),
            _ => Err(io::Error::other("no such directory").into()),
        });
        let error_of = |refusal| match refusal {
            Refusal::Io(error) => {
                Error::exhausted("to open a granted directory", &error).unwrap_or_else(|| failed(error))
            }
            Refusal::Overlap(message) => refused(message),
        };
        let directory = directory.map_err(error_of)?;
        let ancestry = directory.ancestry();
        if ancestry.is_root() {
            return Err(refused("`/` cannot be granted".to_owned()));
        }
        if config.write {
            if let Ok(platform) = PLATFORM_CACHE.as_deref() {
                check_platform(ancestry, platform).map_err(error_of)?;
            }
            note_written(ancestry);
            directory.is_written.store(true, Ordering::Relaxed);
        }
        let config = GrantedDir { host: ancestry.path.clone(), ..config.clone() };
        let quota = config.bytes.map(|bytes| Arc::new(Quota::new(bytes, changes.clone())));
        Ok(Grant { guest: Arc::from(&*config.guest), config, quota, directory })
    }

    /// Follows a path. Refuses a path that invariant 4 forbids: guests could decide where it leads.
    fn resolved(&self, path: &Path, role: Role) -> Result<Resolved, Refusal> {
        note_closed()?;
        let resolved = resolve(path)?;
        let path = path.display();
        if role == Role::Code
            && let Some(granted) = self.granted(&resolved.traversed)
        {
            let granted = granted.path().display();
            let message = format!("{path} passes through a granted directory: {granted}");
            return Err(Refusal::Overlap(message));
        }
        for (dir, at) in &resolved.redirections {
            if let Some(written) = written_at(&Ancestry::of_open(dir, at)?) {
                let message = format!(
                    "{path} passes through a link or `..` where guests can write, or could write before: {written}"
                );
                return Err(Refusal::Overlap(message));
            }
        }
        Ok(resolved)
    }

    /// A granted directory that has one of these identities.
    fn granted(&self, ids: &[Id]) -> Option<Arc<HostDirectory>> {
        ids.iter().flat_map(|id| self.index.at(&Location::Id(*id))).find(|open| open.role == Role::Granted)
    }

    /// Adds a directory, unless it overlaps with a directory of the other role. Executors that name the same directory
    /// for the same role share it.
    fn admit(&mut self, resolved: Resolved, role: Role) -> Result<Arc<HostDirectory>, Refusal> {
        let ancestry = Ancestry::of(&resolved)?;
        let dir = resolved.dir;
        let key = (id_of(&dir)?, ancestry.path.clone());
        let known = self.open.get(&key).and_then(Weak::upgrade).filter(|known| known.role == role);
        if let Some(known) = known {
            return Ok(known);
        }
        self.forget_closed();
        self.check(role, &ancestry)?;
        let directory =
            Arc::new(HostDirectory { dir: Arc::new(dir), role, ancestry, is_written: AtomicBool::new(false) });
        self.open.insert(key, Arc::downgrade(&directory));
        if role == Role::Granted && is_nested(&directory.ancestry) {
            self.nested.push(Arc::downgrade(&directory));
        }
        self.index.add(&directory);
        Ok(directory)
    }

    /// Removes closed directories each time that the number of entries has more than doubled since the last removal.
    fn forget_closed(&mut self) {
        if self.open.len() > 2 * self.kept {
            self.open.retain(|_, other| other.strong_count() > 0);
            self.nested.retain(|other| other.strong_count() > 0);
            self.index.forget_closed();
            self.kept = self.open.len();
        }
    }

    /// Refuses a directory of `role`, at `ancestry`, that overlaps with an open directory of the other role.
    fn check(&self, role: Role, ancestry: &Ancestry) -> Result<(), Refusal> {
        for other in self.index.overlapping(ancestry).filter(|other| other.role != role) {
            if let Some(relation) = ancestry.relation(other.ancestry()) {
                return Err(Refusal::Overlap(overlap(role, ancestry, relation, other.ancestry())));
            }
        }
        if role == Role::Code {
            for granted in self.nested.iter().filter_map(Weak::upgrade) {
                let ids = match ids_of(&*granted.dir) {
                    Err(error) if Error::is_exhausted(&error) => return Err(error.into()),
                    // Guests have moved the directory deeper than `ids_of` looks. Nothing that lies so deep belongs to a
                    // catalog.
                    ids => ids.unwrap_or_default(),
                };
                if ids.iter().any(|id| ancestry.own.contains(&Location::Id(*id))) {
                    return Err(Refusal::Overlap(overlap(role, ancestry, Relation::Holds, granted.ancestry())));
                }
            }
        }
        Ok(())
    }

    /// Refuses a path to a directory of code if guests can decide where the path leads.
    pub fn check_path(&self, path: &Path) -> Result<(), Refusal> {
        self.resolved(path, Role::Code).map(drop)
    }

    /// Refuses a directory of a cache, open as `dir`, that is a granted directory or lies in one now, wherever the host
    /// has moved the two since they were opened.
    pub fn check_not_granted(dir: &impl AsOpen) -> Result<(), Refusal> {
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

/// Refuses a directory that guests may write if it overlaps with the platform's cache or if the path to that cache
/// passes through it. If this user may not follow that path, only the names of the two paths are compared.
fn check_platform(ancestry: &Ancestry, platform: &Path) -> Result<(), Refusal> {
    let resolved = match resolve(platform) {
        Ok(resolved) => resolved,
        Err(error) if Error::is_exhausted(&error) => return Err(error.into()),
        Err(_) if platform.starts_with(&ancestry.path) => {
            let (path, platform) = (ancestry.path.display(), platform.display());
            return Err(Refusal::Overlap(format!("{path} holds the platform's cache: {platform}")));
        }
        Err(_) => return Ok(()),
    };
    let failed = |error: io::Error| match Error::is_exhausted(&error) {
        true => Refusal::Io(error),
        false => Refusal::Overlap(format!("the platform's cache, {}: {error}", platform.display())),
    };
    let cache = Ancestry::of(&resolved).map_err(failed)?;
    if let Some(relation) = ancestry.relation(&cache) {
        return Err(Refusal::Overlap(overlap(Role::Granted, ancestry, relation, &cache)));
    }
    let mut is_on_the_way = resolved.traversed.iter().any(|id| ancestry.own.contains(&Location::Id(*id)));
    for (dir, at) in &resolved.redirections {
        let turn = Ancestry::of_open(dir, at).map_err(failed)?;
        is_on_the_way |= matches!(ancestry.relation(&turn), Some(Relation::Is | Relation::Holds));
    }
    match is_on_the_way {
        true => {
            let message = format!("the path of the platform's cache passes through it: {}", platform.display());
            Err(Refusal::Overlap(message))
        }
        false => Ok(()),
    }
}

/// Tells the host why a directory of `role` is refused: how it overlaps with a directory of the other role.
fn overlap(role: Role, ancestry: &Ancestry, relation: Relation, other: &Ancestry) -> String {
    let other_is = match role {
        Role::Code => "a directory that guests are granted",
        Role::Granted => "a directory with code that runs",
    };
    format!("{} {relation} {other_is}: {}", ancestry.path.display(), other.path.display())
}
