//! The struct [`Sandbox`]: what a call gives its guest, and what the guest leaves.

use super::clock::Clock;
#[cfg(feature = "components")]
use super::component::World;
use super::files::Files;
use super::initialisation::Initialisation;
use super::limiter::Limiter;
use super::stderr_lines::StderrLines;
use super::stdio::Stdio;
use crate::catalog::{RuntimeEntry, ScriptArgs};
use crate::config::Limits;
use crate::deadline::{Deadline, Stop};
use crate::error::{Error, Phase, Stopped};
use crate::host_functions::Question;
use crate::policy::Policy;
use crate::samples::Sampler;
use crate::shards::ShardRef;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::Memory;

/// The state of one call's store.
pub(crate) struct Sandbox {
    pub deadline: Deadline,
    pub phase: Phase,
    /// The guest's export `memory`, looked up by its first host call.
    pub memory: Option<Memory>,
    pub stdio: Stdio,
    pub limiter: Limiter,
    pub clock: Clock,
    /// The host function that the guest is calling now.
    pub question: Option<Arc<Question>>,
    /// The reply of a host function, until the guest has copied it.
    pub host_reply: Option<String>,
    /// The most bytes of a request to a host function.
    pub host_request_bytes: usize,
    /// The open files of a module, if its executor grants a directory.
    pub files: Option<Files>,
    /// What a component has in addition.
    #[cfg(feature = "components")]
    world: Option<Box<World>>,
    pub entry: Arc<RuntimeEntry>,
    /// Whether the guest has begun to run. Before that it is initialised, if its module can be initialised by itself.
    pub is_initialised: bool,
    /// What the guest may do if a snapshot of it is being made.
    pub initialisation: Option<Box<Initialisation>>,
    /// The script that the guest, an interpreter, runs.
    script: Option<ScriptArgs>,
    pub policy: ShardRef<Policy>,
    /// Takes samples of the guest's stack, if the call is profiled.
    pub sampler: Option<Sampler>,
    pub fuel: Option<u64>,
    /// The cost of the guest's host calls since the deadline was last checked, see [`Sandbox::spend`].
    spent: usize,
}

impl Sandbox {
    pub fn new(
        entry: Arc<RuntimeEntry>,
        policy: ShardRef<Policy>,
        stdin: Vec<u8>,
        limits: &Limits,
        deadline: Deadline,
    ) -> Self {
        let stdio = Stdio::new(stdin, limits, StderrLines::of(&policy, &entry, &deadline, limits));
        Sandbox {
            deadline,
            phase: Phase::Start,
            memory: None,
            stdio,
            limiter: Limiter::new(limits.memory_bytes, policy.memory.clone()),
            clock: Clock::new(policy.deterministic.as_ref()),
            // Two deterministic runs that differ show it in their fuel, so fuel is counted even if it is not limited.
            fuel: limits.fuel.or(policy.deterministic.map(|_| u64::MAX)),
            entry,
            is_initialised: false,
            initialisation: None,
            script: None,
            question: None,
            host_reply: None,
            host_request_bytes: usize::try_from(limits.output_bytes).unwrap_or(usize::MAX),
            files: None,
            #[cfg(feature = "components")]
            world: None,
            policy,
            sampler: None,
            spent: 0,
        }
    }

    /// The same sandbox, for an interpreter with this script.
    pub fn with_script(mut self, script: Option<ScriptArgs>) -> Self {
        self.script = script;
        self
    }

    /// Counts the cost of a host call in bytes, and checks the deadline now and then. Compiled code checks it in loops
    /// and at the beginning of functions, but not between host calls that follow each other.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Stop> {
        /// A check costs as much as copying some hundred bytes. 64 host calls that do nothing take some microseconds
        /// and reach this number.
        const BETWEEN_LOOKS: usize = 1 << 20;
        self.spent = self.spent.saturating_add(bytes);
        if self.spent >= BETWEEN_LOOKS {
            self.spent = 0;
            self.deadline.remaining()?;
        }
        Ok(())
    }

    /// The error of a call whose guest was stopped.
    pub fn stopped(&mut self, stop: Stop, backtrace: Vec<String>) -> Error {
        let error = self.deadline.error(stop, self.phase);
        let mut guest = self.left(backtrace);
        if let Some(question) = &self.question {
            guest.host_function = Some(question.name.clone());
            (guest.is_unpolled, guest.is_unanswered) = (question.is_unpolled(), question.is_unanswered());
        }
        error.with_guest(guest)
    }

    /// What a guest leaves that was stopped.
    pub fn left(&mut self, backtrace: Vec<String>) -> Stopped {
        let (_, stderr) = std::mem::take(&mut self.stdio).into_captured();
        Stopped { stderr, backtrace, ..Stopped::default() }
    }

    /// Gives a module the granted directories, if there are any.
    pub fn give_files(&mut self) {
        self.files = if self.policy.dirs.is_empty() { None } else { Some(Files::granted(&self.policy.dirs)) };
    }

    /// Gives a component its world, which takes over the standard streams and the clock.
    #[cfg(feature = "components")]
    pub fn enter_world(&mut self) {
        // A component has no initialisation apart from its run.
        self.is_initialised = true;
        let (stdio, clock) = (std::mem::take(&mut self.stdio), std::mem::take(&mut self.clock));
        let world = World::new(stdio, clock, &self.entry, self.variables(), self.policy.clone());
        self.world = Some(Box::new(world));
    }

    /// Takes the standard streams back from a component's world.
    pub fn leave_world(&mut self) {
        #[cfg(feature = "components")]
        if let Some(world) = self.world.take() {
            self.stdio = world.into_stdio();
        }
    }

    /// A component's world.
    #[cfg(feature = "components")]
    pub fn world(&mut self) -> &mut World {
        self.world.get_or_insert_with(|| Box::new(World::empty()))
    }

    /// Whether the guest was granted any directory.
    pub fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// The arguments, each with its NUL: the runtime's name, its script if it is one, and those of its entry.
    pub fn args(&self) -> Vec<Bytes> {
        let script = self.script.iter().flat_map(ScriptArgs::as_strings);
        let entry = self.entry.args.iter().map(|arg| c_string(arg));
        std::iter::once(c_string(&self.entry.name)).chain(script).chain(entry).collect()
    }

    /// The environment as `name=value`, each with its NUL.
    pub fn env(&self) -> Vec<Bytes> {
        self.variables().into_iter().map(|(name, value)| c_string(&format!("{name}={value}"))).collect()
    }

    /// The variables of the entry and of the executor. If both have a name, the executor's value counts. A guest whose
    /// initialisation may be kept in a snapshot sees those of the entry alone until it runs.
    fn variables(&self) -> BTreeMap<&String, &String> {
        let mut merged: BTreeMap<&String, &String> = self.entry.env.iter().collect();
        if self.is_initialised || !self.entry.snapshot.is_on() {
            merged.extend(self.policy.env.iter());
        }
        merged
    }
}

fn c_string(text: &str) -> Bytes {
    Bytes::from([text.as_bytes(), b"\0"].concat())
}
