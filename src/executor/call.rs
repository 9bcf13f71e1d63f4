//! The steps of one call: resolve the entry, prepare the module, take the slots, run the guest, judge its end.

use super::judge::{Times, judge};
use super::script_executor::ScriptExecutor;
use crate::catalog::RuntimeEntry;
use crate::config::Limits;
use crate::counters::CALLS;
use crate::deadline::{Deadline, Stop};
use crate::engine::{Metering, Stacks};
use crate::error::{Error, Phase, Result};
use crate::memory;
use crate::module_cache::{self, Prepared, Tier, Wanted};
use crate::protocol::{RuntimeInput, RuntimeOutput};
use crate::run::{self, Ended, Run};
#[cfg(feature = "compiler")]
use crate::run::{Captured, Ending, Search, Traced};
use crate::sandbox::Sandbox;
use crate::shared::Shard;
use crate::slots::{Slot, Slots};
use crate::stack;
use crate::waiting::{sleep_until, until};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The call's slot in the engine's pool, and its slot among the calls of its executor.
type CallSlots<'a> = (Slot, Slot<&'a Slots>);

impl ScriptExecutor {
    pub(super) async fn call(
        &self,
        shard: Shard,
        name: &str,
        input: &RuntimeInput<'_>,
        limits: &Limits,
        deadline: Deadline,
    ) -> Result<RuntimeOutput> {
        let begun = deadline.begun;
        let mut taken_up = begun;
        if deadline.is_submitted() {
            deadline.remaining().map_err(|stop| self.engine.queue_error(stop, &deadline))?;
            taken_up = Instant::now();
        }
        let stacks = self.stacks(deadline.is_submitted());
        let mut entry = self.catalog.resolve_on(shard, name)?;
        let prepared = loop {
            match self.prepared(shard, &entry, input, limits, &deadline, stacks).await {
                Ok(prepared) => break prepared,
                Err(error) => entry = self.replacement(&entry, error)?,
            }
        };
        // Reading the clock takes time. If the slots are free, one reading serves as `loaded` and `queued`. If moreover
        // the module was in memory and has no file to check, `taken_up` serves as both, and the load counts as 0.
        let is_at_hand = prepared.tier == Tier::Memory && entry.path().is_none();
        let (slots, loaded, queued) = match self.free_slots(shard, deadline.is_submitted())? {
            Some(slots) => {
                let now = if is_at_hand { taken_up } else { Instant::now() };
                (slots, now, now)
            }
            None => {
                let loaded = Instant::now();
                (self.slots(&deadline).await?, loaded, Instant::now())
            }
        };
        deadline.begin().map_err(|stop| self.engine.queue_error(stop, &deadline))?;
        memory::ensure("the input", input.config.get().len() + input.context.get().len())?;
        let sandbox = || Sandbox::new(entry, self.policy.share(shard), input.to_stdin(), limits, deadline);
        let ended = match run::run(&prepared.compiled, stacks, sandbox, slots) {
            Ok(Run::Ended(ended)) => Ok(ended),
            Ok(Run::Waits(run)) => run.await,
            Err(error) => Err(error),
        };
        // Most of these times are equal, and need no arithmetic.
        let us = |from: Instant, to: Instant| if from == to { 0 } else { to.duration_since(from).as_micros() as u64 };
        let times = Times {
            load_us: us(taken_up, loaded),
            queue_us: us(begun, taken_up) + us(loaded, queued),
            run_us: us(queued, Instant::now()),
        };
        let captured = match ended {
            #[cfg(feature = "compiler")]
            Ok(Ended { mut captured, traced: Some(traced) }) => {
                // Boxed, so that the future of the call stays small: most calls have no backtrace.
                Box::pin(self.add_places(&prepared, *traced, &mut captured)).await;
                captured
            }
            Ok(Ended { captured, .. }) => captured,
            Err(error) => Err(error),
        };
        let result = captured.and_then(|captured| judge(captured, &prepared, &times));
        CALLS.record(
            shard,
            [times.load_us, times.queue_us, times.run_us],
            prepared.tier == Tier::Memory,
            result.is_ok(),
        );
        result
    }

    /// Adds the source lines to the backtrace, if there is one and the module has debug information. The guest has
    /// ended and its slots are free by now.
    #[cfg(feature = "compiler")]
    async fn add_places(&self, prepared: &Prepared, traced: Traced, captured: &mut Result<Captured>) {
        let backtrace = match captured {
            Ok(Captured { ending: Ending::Trap { backtrace, .. }, .. }) => Some(backtrace),
            Ok(_) => None,
            Err(error) => error.backtrace_mut(),
        };
        let Some(backtrace) = backtrace else { return };
        let Traced { frames, entry, deadline } = traced;
        let (known, sha) = (prepared.compiled.debug_info.clone(), prepared.compiled.sha);
        let offsets = frames.iter().map(|frame| frame.offset).collect();
        let (tenant, cpu) = (self.policy.tenant, self.policy.cpu.clone());
        let places = run::places(Search { known, sha, entry, offsets, tenant, cpu }, &deadline).await;
        if !places.is_empty() {
            *backtrace = run::lines_with_places(&frames, &places);
        }
    }

    /// Checks the config against the entry's schema and prepares the module.
    async fn prepared(
        &self,
        shard: Shard,
        entry: &RuntimeEntry,
        input: &RuntimeInput<'_>,
        limits: &Limits,
        deadline: &Deadline,
        stacks: Stacks,
    ) -> Result<Prepared> {
        let tenant = self.policy.tenant;
        entry.check_config(tenant, input.config, deadline).await?;
        let (metering, module_bytes, disk) = (self.metering(limits), limits.module_bytes, self.disk.as_ref());
        let wanted = Wanted { tenant, entry, metering, stacks, module_bytes, disk, deadline, shard };
        module_cache::cache().prepared(self.engine, &wanted).await
    }

    /// Takes both slots if the call need not wait for either of them.
    fn free_slots(&self, shard: Shard, is_submitted: bool) -> Result<Option<CallSlots<'_>>> {
        if self.policy.cpu.is_some() || is_submitted && self.has_too_many_replies() {
            return Ok(None);
        }
        let Some(own) = Slots::take_free(&self.calls, shard) else { return Ok(None) };
        Ok(self.engine.free_slot(shard)?.map(|pooled| (pooled, own)))
    }

    /// Waits for both slots, until the deadline at most.
    ///
    /// The call takes its executor's slot first. While it waits for processor time or for replies to be polled, it
    /// therefore delays other calls of its own executor only.
    async fn slots(&self, deadline: &Deadline) -> Result<CallSlots<'_>> {
        self.has_cpu_time(deadline)?;
        let own = Slots::take(&self.calls, self.policy.tenant, deadline).await;
        let own = own.map_err(|stop| {
            let (calls, pool_slots) = (self.calls.total() as u64, u64::from(self.engine.options.pool_slots));
            let limit = if calls < pool_slots { "calls" } else { "pool_slots" };
            self.overloaded(stop, deadline, limit, calls)
        })?;
        while let Some(next) = self.has_cpu_time(deadline)? {
            let waited = until(deadline, sleep_until(next)).await;
            let ms_per_s = self.limits.cpu_ms_per_s.unwrap_or_default();
            waited.map_err(|stop| self.overloaded(stop, deadline, "cpu_ms_per_s", ms_per_s))?;
        }
        while deadline.is_submitted() && self.has_too_many_replies() {
            /// How often a waiting call checks whether replies were polled.
            const LOOK: Duration = Duration::from_millis(5);
            let waited = until(deadline, sleep_until(Instant::now() + LOOK)).await;
            waited.map_err(|stop| self.overloaded(stop, deadline, "reply_bytes", self.limits.reply_bytes))?;
        }
        Ok((self.engine.slot(self.policy.tenant, deadline).await?, own))
    }

    /// Whether the replies that wait to be polled have more bytes than `reply_bytes`. A submitted call does not begin
    /// then, because its reply would be added to them.
    fn has_too_many_replies(&self) -> bool {
        self.jobs.reply_bytes() > self.limits.reply_bytes
    }

    /// When a guest may begin, or `None` if it may begin now. If the processor time is used up, a call that was not
    /// submitted is refused.
    fn has_cpu_time(&self, deadline: &Deadline) -> Result<Option<Instant>> {
        let Some(cpu) = &self.policy.cpu else { return Ok(None) };
        match cpu.next(Instant::now()) {
            Some(_) if !deadline.is_submitted() => {
                Err(Error::Overloaded { limit: "cpu_ms_per_s", value: cpu.ms_per_s(), timeout_ms: None })
            }
            next => Ok(next),
        }
    }

    /// The error of a call that was stopped while a limit of the executor kept it from beginning.
    fn overloaded(&self, stop: Stop, deadline: &Deadline, limit: &'static str, value: u64) -> Error {
        match stop {
            Stop::Deadline => Error::Overloaded { limit, value, timeout_ms: Some(deadline.timeout_ms) },
            Stop::Cancelled => deadline.error(stop, Phase::Queue),
        }
    }

    /// Where the call's guest runs: on the caller's stack if the guest cannot wait and that stack is large enough,
    /// otherwise on a stack of its own.
    pub(super) fn stacks(&self, is_submitted: bool) -> Stacks {
        // A submitted call runs on a worker. If its guest waits, the worker runs other calls meanwhile.
        let may_wait = self.policy.lets_wait() || is_submitted;
        if may_wait || !stack::is_large_enough() { Stacks::Own } else { Stacks::None }
    }

    pub(super) fn metering(&self, limits: &Limits) -> Metering {
        let is_metered = limits.fuel.is_some() || self.policy.deterministic.is_some();
        if is_metered { Metering::Fuel } else { Metering::Off }
    }

    /// Runs `work` on an entry. If the entry's file is unavailable because the entry was replaced, `work` runs again on
    /// the new entry.
    pub(super) fn with_file<T>(
        &self,
        mut entry: Arc<RuntimeEntry>,
        work: impl Fn(&RuntimeEntry) -> Result<T>,
    ) -> Result<(Arc<RuntimeEntry>, T)> {
        loop {
            match work(&entry) {
                Ok(done) => return Ok((entry, done)),
                Err(error) => entry = self.replacement(&entry, error)?,
            }
        }
    }

    /// The entry that has replaced `entry`, if `error` says that its file is unavailable; otherwise `error`.
    fn replacement(&self, entry: &RuntimeEntry, error: Error) -> Result<Arc<RuntimeEntry>> {
        if let Error::RuntimeUnavailable { .. } = error {
            let now = self.catalog.resolve(&entry.name)?;
            if now.path() != entry.path() {
                return Ok(now);
            }
        }
        Err(error)
    }
}
