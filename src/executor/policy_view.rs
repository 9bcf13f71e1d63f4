//! The policy of an executor, with every default filled in.

use super::script_executor::ScriptExecutor;
use crate::directories::Grant;
use crate::policy::Policy;
use crate::reply::{CapabilitiesView, PolicyView};
use std::path::Path;

impl ScriptExecutor {
    /// The policy in force.
    pub fn policy(&self) -> PolicyView<'_> {
        let Policy { dirs, env, http, deterministic, functions, .. } = &*self.policy;
        PolicyView {
            executor: &self.id,
            runtimes_dir: self.catalog.directory().map(Path::to_string_lossy),
            cache_dir: self.disk.as_ref().map(|disk| disk.directory().to_string_lossy()),
            limits: self.limits,
            reload: self.reload,
            capabilities: CapabilitiesView {
                dirs: dirs.iter().map(Grant::config).collect(),
                env,
                http,
                host_functions: functions.granted(),
            },
            stderr_to: functions.stderr_to(),
            deterministic: *deterministic,
        }
    }
}
