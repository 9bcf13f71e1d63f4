//! What one guest has: its input, its captured output, its limits. A sandbox is made for a call and ends with it.

mod run;
mod stack;
pub(crate) mod wasi;

pub(crate) use run::{Captured, Ending, run};

use crate::catalog::RuntimeEntry;
use crate::config::Limits;
use crate::error::Phase;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{Memory, ResourceLimiter};

/// The state of one call's store.
pub(crate) struct Sandbox {
    pub(crate) deadline: Deadline,
    pub(crate) phase: Phase,
    /// The guest's `memory`, looked up by its first host call.
    pub(crate) memory: Option<Memory>,
    pub(crate) stdio: Stdio,
    pub(crate) limiter: Limiter,
    entry: Arc<RuntimeEntry>,
    env: Arc<BTreeMap<String, String>>,
    fuel: Option<u64>,
}

/// When a call must end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub at: Instant,
    pub timeout_ms: u64,
}

impl Deadline {
    pub fn after(begun: Instant, timeout_ms: u64) -> Self {
        Deadline { at: begun + Duration::from_millis(timeout_ms), timeout_ms }
    }
}

impl Sandbox {
    pub fn new(
        entry: Arc<RuntimeEntry>,
        env: Arc<BTreeMap<String, String>>,
        stdin: Vec<u8>,
        limits: &Limits,
        deadline: Deadline,
    ) -> Self {
        Sandbox {
            deadline,
            phase: Phase::Start,
            memory: None,
            stdio: Stdio::new(stdin, limits),
            limiter: Limiter::new(limits.memory_bytes),
            entry,
            env,
            fuel: limits.fuel,
        }
    }

    /// `argv`, each with its NUL: the runtime's name and what its entry adds.
    pub(crate) fn args(&self) -> Vec<Vec<u8>> {
        std::iter::once(&self.entry.name).chain(&self.entry.args).map(|arg| c_string(arg)).collect()
    }

    /// `name=value`, each with its NUL: the entry's variables under those that the executor grants.
    pub(crate) fn env(&self) -> Vec<Vec<u8>> {
        let mut merged: BTreeMap<&String, &String> = self.entry.env.iter().collect();
        merged.extend(self.env.iter());
        merged.into_iter().map(|(name, value)| c_string(&format!("{name}={value}"))).collect()
    }
}

fn c_string(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// stdin served from a buffer, stdout and stderr captured into buffers.
pub(crate) struct Stdio {
    /// Which stream the descriptors 0 to 2 are; a guest may close and renumber them.
    pub descriptors: [Option<Stream>; 3],
    stdin: Vec<u8>,
    read: usize,
    stdout: Vec<u8>,
    output_bytes: usize,
    stderr: Vec<u8>,
    stderr_bytes: usize,
    stderr_cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

/// The guest wrote more to stdout than it may.
#[derive(Debug)]
pub(crate) struct OutputTooLarge;

impl Stdio {
    fn new(stdin: Vec<u8>, limits: &Limits) -> Self {
        Stdio {
            descriptors: [Some(Stream::Stdin), Some(Stream::Stdout), Some(Stream::Stderr)],
            stdin,
            read: 0,
            stdout: Vec::new(),
            output_bytes: usize::try_from(limits.output_bytes).unwrap_or(usize::MAX),
            stderr: Vec::new(),
            stderr_bytes: usize::try_from(limits.stderr_bytes).unwrap_or(usize::MAX),
            stderr_cut: false,
        }
    }

    pub fn stdin_left(&self) -> &[u8] {
        &self.stdin[self.read..]
    }

    /// Moves bytes of stdin into `buffer`; 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let left = &self.stdin[self.read..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.read += count;
        count
    }

    pub fn write_stdout(&mut self, bytes: &[u8]) -> Result<(), OutputTooLarge> {
        if bytes.len() > self.output_bytes - self.stdout.len() {
            return Err(OutputTooLarge);
        }
        if self.stdout.is_empty() {
            // One byte more, for the NUL that ends the reply this may become.
            self.stdout.reserve_exact(bytes.len() + 1);
        }
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    /// Keeps the end of what is written, in at most twice the limit.
    pub fn write_stderr(&mut self, bytes: &[u8]) {
        let tail = &bytes[bytes.len().saturating_sub(self.stderr_bytes)..];
        self.stderr_cut |= tail.len() < bytes.len();
        if self.stderr.len() + tail.len() > self.stderr_bytes.saturating_mul(2) {
            self.trim_stderr();
        }
        self.stderr.extend_from_slice(tail);
    }

    fn trim_stderr(&mut self) {
        let excess = self.stderr.len().saturating_sub(self.stderr_bytes);
        self.stderr_cut |= excess > 0;
        self.stderr.drain(..excess);
    }

    /// stdout, and stderr's tail as text; a cut one begins with a mark.
    fn into_captured(mut self) -> (Vec<u8>, String) {
        self.trim_stderr();
        let tail = String::from_utf8_lossy(&self.stderr);
        let tail = crate::error::printable(&tail);
        let stderr = if self.stderr_cut { format!("[…]{tail}") } else { tail.into_owned() };
        (self.stdout, stderr)
    }
}

/// Bounds what a guest allocates, and remembers that it was refused.
pub(crate) struct Limiter {
    memory_bytes: usize,
    memory: usize,
    table_elements: usize,
    pub peak: usize,
    pub refused: bool,
}

/// Elements of one guest's tables together, 8 bytes each on the host; the largest known guest (CPython) takes about
/// 100,000.
const TABLE_ELEMENTS: usize = 1_000_000;
/// Tables and memories of one guest.
const TABLES: usize = 64;
const MEMORIES: usize = 16;

impl Limiter {
    fn new(memory_bytes: u64) -> Self {
        let memory_bytes = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        Limiter { memory_bytes, memory: 0, table_elements: 0, peak: 0, refused: false }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.memory_bytes {
            self.refused = true;
            return Ok(false);
        }
        self.memory = total;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
