//! The replies of `arawn_executor_new`, `arawn_executor_close` and `arawn_host_function_set`.

use crate::config::{Deterministic, GrantedDir, Limits, Reload};
use crate::host_functions::On;
use crate::origins::HttpGrant;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// An executor's policy, with every default filled in.
#[derive(Debug, Serialize)]
pub struct PolicyView<'a> {
    pub(crate) executor: &'a str,
    pub(crate) runtimes_dir: Option<Cow<'a, str>>,
    pub(crate) cache_dir: Option<Cow<'a, str>>,
    pub(crate) limits: Limits,
    pub(crate) reload: Reload,
    pub(crate) capabilities: CapabilitiesView<'a>,
    pub(crate) stderr_to: Option<&'a str>,
    pub(crate) deterministic: Option<Deterministic>,
}

/// What an executor grants its guests.
#[derive(Debug, Serialize)]
pub(crate) struct CapabilitiesView<'a> {
    pub(crate) dirs: Vec<&'a GrantedDir>,
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) http: &'a HttpGrant,
    pub(crate) host_functions: &'a BTreeSet<String>,
}

/// The output of `arawn_executor_close`.
#[derive(Serialize)]
pub(crate) struct Closed<'a> {
    pub executor: &'a str,
}

/// The output of `arawn_host_function_set`.
#[derive(Serialize)]
pub(crate) struct HostFunctionSet<'a> {
    pub executor: &'a str,
    pub name: &'a str,
    /// `None` if the function was unset.
    pub on: Option<On>,
    /// How many threads are still inside the function that was replaced.
    pub running: usize,
}

/// The output of `arawn_host_reply`.
#[derive(Serialize)]
pub(crate) struct Answered<'a> {
    pub call: &'a str,
}
