//! The configuration by the host: the policy of an executor, and the options of the whole process.

mod reload;

pub use reload::Reload;

use crate::error::{Error, Result, printable};
use crate::json::{object, objects};
use crate::origins::HttpGrant;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The argument of `arawn_executor_new`: the catalog, the limits and the capabilities of an executor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutorConfig {
    /// The name by which requests find this executor; if it is missing, a name is generated.
    pub id: Option<String>,
    /// The directory that holds `catalog.toml`; if it is missing, only the embedded built-ins are served.
    pub runtimes_dir: Option<PathBuf>,
    /// Where compiled modules are kept between processes.
    #[serde(deserialize_with = "cache_dir")]
    pub cache_dir: CacheDir,
    /// What one call may use, and what all calls together may use.
    #[serde(deserialize_with = "object")]
    pub limits: Limits,
    /// When calls learn that the catalog or a runtime's file has changed on disk.
    pub reload: Reload,
    /// What guests may reach beyond their own memory.
    #[serde(deserialize_with = "object")]
    pub capabilities: Capabilities,
    /// The host function that receives what guests write to stderr, line by line. It must be one of the granted
    /// functions, or `arawn.stderr`, which no guest can call.
    pub stderr_to: Option<String>,
    /// Makes a run depend on nothing but the request.
    #[serde(deserialize_with = "some_object")]
    pub deterministic: Option<Deterministic>,
}

/// Fixed time and randomness: the same request gives the same bytes and uses the same fuel, in every process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deterministic {
    /// The seed of the guest's random numbers.
    pub seed: u64,
    /// The guest's wall clock at its start, in seconds since 1970. At most the year 2554, where nanoseconds no longer
    /// fit into 64 bits.
    pub unix_time: u64,
}

fn some_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}

/// Where the disk cache lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheDir {
    /// `arawn` inside the platform's cache directory.
    #[default]
    Platform,
    /// No disk cache (`"cache_dir": null`).
    Off,
    /// This directory, which is created if it is missing.
    At(PathBuf),
}

fn cache_dir<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CacheDir, D::Error> {
    Ok(match Option::<PathBuf>::deserialize(deserializer)? {
        None => CacheDir::Off,
        Some(path) => CacheDir::At(path),
    })
}

/// What one call may use, and what the calls of an executor may use together. Each value is at least 1, unless its
/// description allows 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The deadline in milliseconds, for all phases of a call together; at most one day.
    pub timeout_ms: u64,
    /// The size of all linear memories of a guest together, in bytes.
    pub memory_bytes: u64,
    /// The size of stdout, in bytes.
    pub output_bytes: u64,
    /// How much of the end of stderr is kept, in bytes; 0 keeps nothing.
    pub stderr_bytes: u64,
    /// The size of the `.wasm` file, in bytes.
    pub module_bytes: u64,
    /// The guest's fuel, of which wasmtime counts about one unit for each instruction; `null` does not count it.
    pub fuel: Option<u64>,
    /// How many calls of the executor run at once; `null` stands for half of `pool_slots`. Further calls wait, within
    /// their deadline.
    pub calls: Option<u64>,
    /// Processor time of all guests together, in milliseconds for each second; at most 1,000,000. Once it is used up, a
    /// submitted call waits before its guest begins, and a direct call is refused. `null` does not count it.
    pub cpu_ms_per_s: Option<u64>,
    /// The memory of all guests that run at once, in bytes; `null` sets no limit.
    pub memory_total_bytes: Option<u64>,
    /// The size of the replies of submitted calls that were not polled yet, in bytes. Beyond it, no call can be
    /// submitted.
    pub reply_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout_ms: 30_000,
            memory_bytes: 64 << 20,
            output_bytes: 16 << 20,
            stderr_bytes: 64 << 10,
            module_bytes: 256 << 20,
            fuel: None,
            calls: None,
            cpu_ms_per_s: None,
            memory_total_bytes: None,
            reply_bytes: 256 << 20,
        }
    }
}

/// The name of a host function that may receive stderr without being granted: no guest can call it.
pub(crate) const STDERR: &str = "arawn.stderr";

/// One day. A longer deadline is a mistake in the unit.
pub(crate) const MAX_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;
/// A thousand processors. More is a mistake in the unit.
const MAX_CPU_MS_PER_S: u64 = 1_000_000;

/// The limits of a request. A request may tighten the executor's limits, and may not widen them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are those of `Limits` that are about one call")]
pub struct RequestLimits {
    pub timeout_ms: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub output_bytes: Option<u64>,
    pub stderr_bytes: Option<u64>,
    pub module_bytes: Option<u64>,
    pub fuel: Option<u64>,
}

impl Limits {
    /// The first value out of its range, as a path and a message.
    fn out_of_range(&self) -> Option<(&'static str, String)> {
        let positive = [
            ("limits.timeout_ms", self.timeout_ms),
            ("limits.memory_bytes", self.memory_bytes),
            ("limits.output_bytes", self.output_bytes),
            ("limits.module_bytes", self.module_bytes),
            ("limits.fuel", self.fuel.unwrap_or(1)),
            ("limits.calls", self.calls.unwrap_or(1)),
            ("limits.cpu_ms_per_s", self.cpu_ms_per_s.unwrap_or(1)),
            ("limits.memory_total_bytes", self.memory_total_bytes.unwrap_or(1)),
            ("limits.reply_bytes", self.reply_bytes),
        ];
        if let Some((path, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Some((path, "must be at least 1".to_owned()));
        }
        if self.cpu_ms_per_s.is_some_and(|ms| ms > MAX_CPU_MS_PER_S) {
            return Some(("limits.cpu_ms_per_s", format!("must be at most {MAX_CPU_MS_PER_S}")));
        }
        (self.timeout_ms > MAX_TIMEOUT_MS).then(|| {
            let message = format!("is {}, but must be at most {MAX_TIMEOUT_MS} (a day)", self.timeout_ms);
            ("limits.timeout_ms", message)
        })
    }

    /// These limits, with the tighter ones of a request in their place.
    pub(crate) fn tightened(&self, request: &RequestLimits) -> Result<Limits> {
        self.tightened_by(request, "executor")
    }

    /// The same, with the word for what has these limits.
    pub(crate) fn tightened_by(&self, request: &RequestLimits, owner: &str) -> Result<Limits> {
        if *request == RequestLimits::default() {
            return Ok(*self);
        }
        let tighten = |path: &str, wanted: Option<u64>, limit: u64| match wanted {
            Some(value) if value > limit => Err(Error::InvalidRequest {
                path: path.to_owned(),
                message: format!("is {value}, but the {owner}'s limit is {limit}"),
            }),
            wanted => Ok(wanted.unwrap_or(limit)),
        };
        let limits = Limits {
            timeout_ms: tighten("limits.timeout_ms", request.timeout_ms, self.timeout_ms)?,
            memory_bytes: tighten("limits.memory_bytes", request.memory_bytes, self.memory_bytes)?,
            output_bytes: tighten("limits.output_bytes", request.output_bytes, self.output_bytes)?,
            stderr_bytes: tighten("limits.stderr_bytes", request.stderr_bytes, self.stderr_bytes)?,
            module_bytes: tighten("limits.module_bytes", request.module_bytes, self.module_bytes)?,
            fuel: match request.fuel {
                None => self.fuel,
                Some(_) => Some(tighten("limits.fuel", request.fuel, self.fuel.unwrap_or(u64::MAX))?),
            },
            ..*self
        };
        match limits.out_of_range() {
            Some((path, message)) => Err(Error::InvalidRequest { path: path.to_owned(), message }),
            None => Ok(limits),
        }
    }
}

/// What the guests of an executor may reach beyond their own memory. By default this is nothing.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Directories of the host that guests see.
    #[serde(deserialize_with = "objects")]
    pub dirs: Vec<GrantedDir>,
    /// The guest's environment: exactly this map, and nothing of the host's environment.
    pub env: BTreeMap<String, String>,
    /// The HTTP requests that components may make.
    #[serde(deserialize_with = "object")]
    pub http: HttpGrant,
    /// The names of the host functions that guests may call.
    pub host_functions: Vec<String>,
}

/// A directory of the host that guests see.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedDir {
    /// The directory, which must exist. It may not be `/`. It may not be, contain or lie in a catalog or a cache that
    /// is open in the process. If guests may write to it, the same holds for the platform's cache.
    #[serde(serialize_with = "lossy")]
    pub host: PathBuf,
    /// The path under which the guest sees the directory.
    pub guest: String,
    /// Whether the guest may change what is in the directory.
    #[serde(default)]
    pub write: bool,
    /// How many bytes the executor's guests may add to the directory; beyond that, a write fails as on a full disk.
    /// `null` sets no limit. Files count with their size, and each entry counts 4,096 bytes more. Removing something
    /// gives its bytes back.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// The path as JSON, which is Unicode. The path that a link leads to need not be Unicode.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl ExecutorConfig {
    /// Checks what the types cannot express.
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid = |path: &str, message: String| Err(Error::InvalidConfig { path: path.to_owned(), message });
        if let Some(id) = &self.id
            && (id.is_empty() || id.len() > 128 || id.contains(char::is_control))
        {
            return invalid("id", "must have 1 to 128 bytes and no control characters".to_owned());
        }
        if let Some((path, message)) = self.limits.out_of_range() {
            return invalid(path, message);
        }
        if let Reload::WithinMs(ms) = self.reload
            && !(1..=MAX_TIMEOUT_MS).contains(&ms)
        {
            return invalid("reload.within_ms", format!("must be from 1 to {MAX_TIMEOUT_MS} (a day), and is {ms}"));
        }
        if self.deterministic.is_some_and(|fixed| fixed.unix_time > u64::MAX / 1_000_000_000) {
            return invalid("deterministic.unix_time", "is after the year 2554".to_owned());
        }
        if self.deterministic.is_some() && !self.capabilities.http.allow.is_empty() {
            return invalid("capabilities.http", "a deterministic executor cannot reach a network".to_owned());
        }
        // An empty path would mean the working directory.
        if self.runtimes_dir.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return invalid(
                "runtimes_dir",
                "must be a path; leave it out to serve only the built-in runtimes".to_owned(),
            );
        }
        if self.cache_dir == CacheDir::At(PathBuf::new()) {
            return invalid("cache_dir", "must be a path, or null for no cache".to_owned());
        }
        for (index, dir) in self.capabilities.dirs.iter().enumerate() {
            if dir.host.as_os_str().is_empty() {
                return invalid(&format!("capabilities.dirs[{index}].host"), "must be a path".to_owned());
            }
            if dir.guest.is_empty() || dir.guest.contains('\0') {
                return invalid(&format!("capabilities.dirs[{index}].guest"), "must be a path".to_owned());
            }
        }
        for (index, name) in self.capabilities.host_functions.iter().enumerate() {
            let path = format!("capabilities.host_functions[{index}]");
            if name.is_empty() || name.len() > 128 || name.contains(char::is_control) {
                return invalid(&path, "must have 1 to 128 bytes and no control characters".to_owned());
            }
            if name.starts_with("arawn.") {
                return invalid(&path, "must not begin with `arawn.`, which is reserved".to_owned());
            }
        }
        if let Some(name) = &self.stderr_to
            && name != STDERR
            && !self.capabilities.host_functions.contains(name)
        {
            let message =
                format!("is `{}`, which `capabilities.host_functions` does not list: add it there", printable(name));
            return invalid("stderr_to", message);
        }
        validate_env(&self.capabilities.env).or_else(|message| invalid("capabilities.env", message))
    }
}

/// Checks that WASI can pass the variables: it passes each as `name=value` and a NUL.
pub(crate) fn validate_env(env: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("{name:?} is not a valid name of a variable"));
        }
        if value.contains('\0') {
            return Err(format!("the value of {name:?} contains a NUL"));
        }
    }
    Ok(())
}

/// The argument of `arawn_configure`: what the whole process shares.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many calls may run at once; 1 to 10,000. Each slot reserves address space (about 4 GiB), not memory.
    pub pool_slots: u32,
    /// The threads that run submitted calls; 1 to 256. The first submitted call starts them.
    pub workers: u32,
    /// How many submitted calls and registrations one executor may have whose reply was not polled yet; 1 to 1,000,000.
    pub queue: u32,
    /// The most bytes of compiled code that the memory cache keeps while it is not in use.
    pub module_cache_bytes: u64,
    /// The most bytes in a disk cache, for each cache directory.
    pub disk_cache_bytes: u64,
    /// Whether wasm traps may use signal handlers. Without them code is slower, and the process's handlers are not
    /// changed.
    pub signal_handlers: bool,
    /// What compiled code is made of.
    pub target: CodeTarget,
}

/// What modules are compiled to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeTarget {
    /// Machine code of this processor.
    #[default]
    Native,
    /// The bytecode of wasmtime's interpreter Pulley. No memory is made executable, no signal handlers are needed, and what was
    /// compiled runs on every processor of 64 bits.
    Pulley,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            pool_slots: 128,
            workers: 4,
            queue: 1024,
            module_cache_bytes: 256 << 20,
            disk_cache_bytes: 1 << 30,
            signal_handlers: true,
            target: CodeTarget::Native,
        }
    }
}

impl Options {
    pub(crate) fn validate(&self) -> Result<()> {
        for (path, value, most) in
            [("pool_slots", self.pool_slots, 10_000), ("workers", self.workers, 256), ("queue", self.queue, 1_000_000)]
        {
            if !(1..=most).contains(&value) {
                let message = format!("must be from 1 to {most}");
                return Err(Error::InvalidConfig { path: path.to_owned(), message });
            }
        }
        if self.target == CodeTarget::Pulley && !cfg!(feature = "pulley") {
            let message = "this build has no interpreter: `target` must be \"native\"".to_owned();
            return Err(Error::Unsupported { message });
        }
        Ok(())
    }

    /// Whether guests trap by signals: machine code does, if the options allow it.
    pub(crate) fn has_signal_handlers(&self) -> bool {
        self.signal_handlers && self.target == CodeTarget::Native
    }
}
