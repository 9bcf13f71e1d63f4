//! What one guest has: its input, its captured output, its limits. A sandbox is made for a call and ends with it.

mod backtrace;
mod clock;
#[cfg(feature = "components")]
pub(crate) mod component;
pub(crate) mod files;
mod guest;
pub(crate) mod host;
mod host_io;
mod limiter;
pub(crate) mod poll;
mod run;
pub(crate) mod stack;
mod tap;
pub(crate) mod wasi;

pub(crate) use limiter::{FIRST_HEAP_BYTES, INSTANCES, Limiter, MEMORIES, Refused, TABLE_ELEMENTS, TABLES};
pub(crate) use run::{Captured, Ending, Run, run};

use clock::Clock;
use files::Files;
use tap::Tap;

use crate::buffers;
use crate::catalog::RuntimeEntry;
use crate::config::{Deterministic, Limits};
use crate::directories::Grant;
use crate::error::{Error, Phase, Stopped};
use crate::fair::Tenant;
use crate::host::{HostFunctions, Question};
use crate::jobs::{Deadline, Stop};
use crate::origins::HttpGrant;
use crate::shared::Share;
use crate::totals::{CpuTime, TotalMemory};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::Memory;

/// The state of one call's store.
pub(crate) struct Sandbox {
    pub(crate) deadline: Deadline,
    pub(crate) phase: Phase,
    /// The guest's `memory`, looked up by its first host call.
    pub(crate) memory: Option<Memory>,
    pub(crate) stdio: Stdio,
    pub(crate) limiter: Limiter,
    pub(crate) clock: Clock,
    /// The host function that it is in a call of.
    question: Option<Arc<Question>>,
    /// What a host function answered and the guest has not copied out.
    host_reply: Option<String>,
    /// The longest request to a host function.
    host_request_bytes: usize,
    files: Option<Files>,
    /// What a component has besides.
    #[cfg(feature = "components")]
    world: Option<Box<component::World>>,
    entry: Arc<RuntimeEntry>,
    policy: Share<Policy>,
    fuel: Option<u64>,
    /// What its host calls have cost since the deadline was looked at, see [`Sandbox::spend`].
    spent: usize,
}

/// What an executor grants all its guests, and what they share.
#[derive(Debug)]
pub(crate) struct Policy {
    pub tenant: Tenant,
    pub dirs: Vec<Grant>,
    pub env: BTreeMap<String, String>,
    pub http: HttpGrant,
    pub deterministic: Option<Deterministic>,
    pub functions: Arc<HostFunctions>,
    /// What its guests may use together.
    pub cpu: Option<Arc<CpuTime>>,
    pub memory: Option<Arc<TotalMemory>>,
}

impl Policy {
    /// Whether guests may call what waits, files and host functions, for which they need stacks of their own: only a future
    /// can be left waiting.
    pub fn lets_wait(&self) -> bool {
        !self.dirs.is_empty() || !self.functions.granted().is_empty()
    }
}

impl Sandbox {
    pub fn new(
        entry: Arc<RuntimeEntry>,
        policy: Share<Policy>,
        stdin: Vec<u8>,
        limits: &Limits,
        deadline: Deadline,
    ) -> Self {
        let stdio = Stdio { tap: Tap::of(&policy, &entry, &deadline, limits), ..Stdio::new(stdin, limits) };
        Sandbox {
            deadline,
            phase: Phase::Start,
            memory: None,
            stdio,
            limiter: Limiter::new(limits.memory_bytes, policy.memory.clone()),
            clock: Clock::new(policy.deterministic.as_ref()),
            // Fuel tells two deterministic runs apart, so that it is counted even where it is not limited.
            fuel: limits.fuel.or(policy.deterministic.map(|_| u64::MAX)),
            entry,
            question: None,
            host_reply: None,
            host_request_bytes: usize::try_from(limits.output_bytes).unwrap_or(usize::MAX),
            files: None,
            #[cfg(feature = "components")]
            world: None,
            policy,
            spent: 0,
        }
    }

    /// Notes that a host call is begun, or works on so many bytes, and looks at the deadline now and then: compiled code does so
    /// in loops and where functions begin, but not between calls in a row.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), Stop> {
        /// A look costs as much as copying some hundred bytes, and 64 calls that do nothing take some microseconds.
        const BETWEEN_LOOKS: usize = 1 << 20;
        self.spent = self.spent.saturating_add(bytes);
        if self.spent >= BETWEEN_LOOKS {
            self.spent = 0;
            self.deadline.patience()?;
        }
        Ok(())
    }

    /// What a call is answered whose guest had to be stopped.
    fn stopped(mut self, stop: Stop, backtrace: Vec<String>) -> Error {
        let error = self.deadline.error(stop, self.phase);
        let mut guest = self.left(backtrace);
        if let Some(question) = self.question {
            (guest.is_unpolled, guest.host_function) = (question.is_unpolled(), Some(question.name.clone()));
        }
        error.of_guest(guest)
    }

    /// What a guest leaves that did not come to its own end.
    fn left(&mut self, backtrace: Vec<String>) -> Stopped {
        let (_, stderr) = std::mem::take(&mut self.stdio).into_captured();
        Stopped { stderr, backtrace, ..Stopped::default() }
    }

    /// Gives a module the granted directories, if there are any.
    fn give_files(&mut self) {
        self.files = if self.policy.dirs.is_empty() { None } else { Some(Files::granted(&self.policy.dirs)) };
    }

    /// Takes back what a component's streams have shared.
    fn leave_world(&mut self) {
        #[cfg(feature = "components")]
        component::leave(self);
    }

    /// Whether the guest was granted any directory.
    pub(crate) fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// `argv`, each with its NUL: the runtime's name and what its entry adds.
    pub(crate) fn args(&self) -> Vec<Vec<u8>> {
        std::iter::once(&self.entry.name).chain(&self.entry.args).map(|arg| c_string(arg)).collect()
    }

    /// `name=value`, each with its NUL.
    pub(crate) fn env(&self) -> Vec<Vec<u8>> {
        self.variables().into_iter().map(|(name, value)| c_string(&format!("{name}={value}"))).collect()
    }

    /// The entry's variables under those that the executor grants.
    fn variables(&self) -> BTreeMap<&String, &String> {
        let mut merged: BTreeMap<&String, &String> = self.entry.env.iter().collect();
        merged.extend(self.policy.env.iter());
        merged
    }
}

fn c_string(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// stdin served from a buffer, stdout and stderr captured into buffers.
#[derive(Default)]
pub(crate) struct Stdio {
    /// The descriptor that each stream has; a guest may close and renumber them.
    descriptors: [Option<u32>; 3],
    stdin: Vec<u8>,
    read: usize,
    stdout: Vec<u8>,
    output_bytes: usize,
    stderr: Vec<u8>,
    stderr_bytes: usize,
    stderr_cut: bool,
    tap: Option<Box<Tap>>,
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

/// Why the host cannot keep more of what a guest has written.
fn no_memory(bytes: usize) -> wasmtime::Error {
    wasmtime::OutOfMemory::new(bytes).into()
}

impl Stdio {
    fn new(stdin: Vec<u8>, limits: &Limits) -> Self {
        Stdio {
            descriptors: [Some(0), Some(1), Some(2)],
            stdin,
            read: 0,
            stdout: Vec::new(),
            output_bytes: usize::try_from(limits.output_bytes).unwrap_or(usize::MAX),
            stderr: Vec::new(),
            stderr_bytes: usize::try_from(limits.stderr_bytes).unwrap_or(usize::MAX),
            stderr_cut: false,
            tap: None,
        }
    }

    /// The stream that a descriptor is.
    pub fn stream(&self, fd: u32) -> Option<Stream> {
        let index = self.descriptors.iter().position(|descriptor| *descriptor == Some(fd))?;
        Some([Stream::Stdin, Stream::Stdout, Stream::Stderr][index])
    }

    /// Takes a descriptor away from whichever stream has it.
    pub fn close(&mut self, fd: u32) {
        self.renumber(fd, None);
    }

    /// Moves a descriptor to another number, whose stream, if it was one, is closed.
    pub fn move_to(&mut self, from: u32, to: u32) {
        if from != to {
            self.renumber(to, None);
            self.renumber(from, Some(to));
        }
    }

    fn renumber(&mut self, fd: u32, to: Option<u32>) {
        for descriptor in self.descriptors.iter_mut().filter(|descriptor| **descriptor == Some(fd)) {
            *descriptor = to;
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

    pub fn write_stdout(&mut self, bytes: &[u8]) -> wasmtime::Result<()> {
        if bytes.len() > self.output_bytes - self.stdout.len() {
            return Err(OutputTooLarge.into());
        }
        let needed = self.stdout.len() + bytes.len();
        if needed >= self.stdout.capacity() {
            // Twice as much for a guest that writes in pieces, but never beyond the limit; and one byte more, for the NUL
            // that ends the reply this may become.
            let room = needed.max((self.stdout.capacity() * 2).min(self.output_bytes)) + 1;
            if self.stdout.capacity() < buffers::LEAST {
                let mut grown = buffers::try_take(room).map_err(|_| no_memory(room))?;
                grown.extend_from_slice(&self.stdout);
                self.stdout = grown;
            } else {
                self.stdout.try_reserve_exact(room - self.stdout.len()).map_err(|_| no_memory(room))?;
            }
        }
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    /// Keeps the end of what is written, in at most twice the limit, and tells the host its lines where it asks for them.
    pub fn write_stderr(&mut self, bytes: &[u8]) {
        if let Some(tap) = &mut self.tap {
            tap.write(bytes);
        }
        let tail = &bytes[bytes.len().saturating_sub(self.stderr_bytes)..];
        self.stderr_cut |= tail.len() < bytes.len();
        if self.stderr.len() + tail.len() > self.stderr_bytes.saturating_mul(2) {
            self.trim_stderr();
        }
        self.stderr.extend_from_slice(tail);
    }

    /// Tells the last of what the guest has written.
    fn end_stderr(&mut self) {
        if let Some(tap) = self.tap.take() {
            tap.end();
        }
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
        buffers::give_back(self.stdin);
        (self.stdout, stderr)
    }
}
