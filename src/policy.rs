//! What an executor grants its guests.

use crate::config::Deterministic;
use crate::directories::Grant;
use crate::fair::Tenant;
use crate::host_functions::HostFunctions;
use crate::origins::HttpGrant;
use crate::shared_limits::{CpuTime, TotalMemory};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an executor grants its guests, and what its guests share.
#[derive(Debug)]
pub(crate) struct Policy {
    pub tenant: Tenant,
    pub dirs: Vec<Grant>,
    pub env: BTreeMap<String, String>,
    pub http: HttpGrant,
    pub deterministic: Option<Deterministic>,
    pub functions: Arc<HostFunctions>,
    /// The processor time that the guests may use together, if it is limited.
    pub cpu: Option<Arc<CpuTime>>,
    /// The memory that the guests may use together, if it is limited.
    pub memory: Option<Arc<TotalMemory>>,
}

impl Policy {
    /// A policy that grants nothing, for guests of the same executor.
    pub fn of_no_grants(of: &Policy) -> Self {
        Policy {
            tenant: of.tenant,
            dirs: Vec::new(),
            env: BTreeMap::new(),
            http: HttpGrant::default(),
            deterministic: None,
            functions: Arc::new(HostFunctions::new(of.tenant, "", &[], None, Arc::default())),
            cpu: of.cpu.clone(),
            memory: of.memory.clone(),
        }
    }

    /// Whether guests may call functions that wait: those of files, and host functions. Such guests run on a stack of
    /// their own, because a guest can be left waiting only while it runs as a future.
    pub fn lets_wait(&self) -> bool {
        !self.dirs.is_empty() || !self.functions.granted().is_empty()
    }
}
