//! The policy of an executor, as `arawn_executor_new` returns it.

use super::script_executor::ScriptExecutor;
use crate::config::{Deterministic, Limits};
use crate::directories::Grant;
use crate::origins::HttpGrant;
use crate::policy::Policy;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// An executor's policy, with every default filled in.
#[derive(Debug, Serialize)]
pub struct PolicyView<'a> {
    executor: &'a str,
    runtimes_dir: Option<Cow<'a, str>>,
    cache_dir: Option<Cow<'a, str>>,
    limits: Limits,
    capabilities: CapabilitiesView<'a>,
    stderr_to: Option<&'a str>,
    deterministic: Option<Deterministic>,
}

#[derive(Debug, Serialize)]
struct CapabilitiesView<'a> {
    dirs: &'a [Grant],
    env: &'a BTreeMap<String, String>,
    http: &'a HttpGrant,
    host_functions: &'a BTreeSet<String>,
}

impl ScriptExecutor {
    /// The policy in force.
    pub fn policy(&self) -> PolicyView<'_> {
        let Policy { dirs, env, http, deterministic, functions, .. } = &*self.policy;
        PolicyView {
            executor: &self.id,
            runtimes_dir: self.catalog.directory().map(Path::to_string_lossy),
            cache_dir: self.disk.as_ref().map(|disk| disk.directory().to_string_lossy()),
            limits: self.limits,
            capabilities: CapabilitiesView { dirs, env, http, host_functions: functions.granted() },
            stderr_to: functions.stderr_to(),
            deterministic: *deterministic,
        }
    }
}
