//! A grant: a directory of the host that guests of an executor may use.

use super::ancestry::{Location, Relation};
use super::host_directory::HostDirectory;
use super::quota::Quota;
use crate::config::GrantedDir;
use crate::error::{Error, Result};
use cap_std::fs::Dir;
use std::collections::HashMap;
use std::sync::Arc;

/// A directory that an executor grants its guests, open.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The grant as the host has configured it, with the path of `directory` in place of the configured one.
    pub(super) config: GrantedDir,
    pub(super) guest: Arc<str>,
    /// Bounds how much guests may add to the directory.
    pub(super) quota: Option<Arc<Quota>>,
    pub(super) directory: Arc<HostDirectory>,
}

impl Grant {
    /// The grant as the host has configured it, with the directory's own path.
    pub fn config(&self) -> &GrantedDir {
        &self.config
    }

    pub fn dir(&self) -> &Arc<Dir> {
        &self.directory.dir
    }

    /// The path by which guests find the directory.
    pub fn guest(&self) -> &Arc<str> {
        &self.guest
    }

    /// Whether guests may change what is in the directory.
    pub fn write(&self) -> bool {
        self.config.write
    }

    /// Bounds how much the executor's guests may add to the directory; `None` where the host has set no bound.
    pub fn quota(&self) -> Option<&Arc<Quota>> {
        self.quota.as_ref()
    }
}

/// Refuses two grants that overlap if guests may write both and at least one has a quota: the quota would not count
/// what guests add through the other grant.
pub(super) fn check_quotas_disjoint(grants: &[Grant]) -> Result<()> {
    let is_bounded = |index: usize| grants[index].quota.is_some();
    let written = grants.iter().enumerate().filter(|(_, grant)| grant.write());
    let mut at: HashMap<&Location, Vec<usize>> = HashMap::new();
    for (index, grant) in written.clone() {
        grant.directory.ancestry().own.iter().for_each(|place| at.entry(place).or_default().push(index));
    }
    for (index, grant) in written {
        let ancestry = grant.directory.ancestry();
        let mut around =
            ancestry.own.iter().chain(&ancestry.above).filter_map(|place| at.get(place)).flatten().copied();
        if let Some(other) = around.find(|other| *other != index && (is_bounded(index) || is_bounded(*other))) {
            let (first, last) = (index.min(other), index.max(other));
            let (bounded, other) = if is_bounded(first) { (first, last) } else { (last, first) };
            return Err(counted_twice(grants, bounded, other));
        }
    }
    Ok(())
}

fn counted_twice(grants: &[Grant], bounded: usize, other: usize) -> Error {
    let [ancestry, other_line] = [bounded, other].map(|index| grants[index].directory.ancestry());
    let relation = ancestry.relation(other_line).unwrap_or(Relation::Is);
    let (path, other_path) = (ancestry.path.display(), other_line.path.display());
    let message = format!(
        "{path} {relation} {other_path}, which guests may write by capabilities.dirs[{other}] without this count"
    );
    Error::InvalidConfig { path: format!("capabilities.dirs[{bounded}].bytes"), message }
}
