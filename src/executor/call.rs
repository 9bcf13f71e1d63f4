//! The steps of one call: resolve the entry, prepare the module, take the slots, run the guest, judge its end.

use super::judge::{Times, judge};
use super::profiler::Profiler;
use super::script_executor::ScriptExecutor;
use super::scripts::ParseFor;
use crate::catalog::{RuntimeEntry, ScriptArgs, ScriptMode, ScriptText};
use crate::config::Limits;
use crate::counters::CALLS;
use crate::deadline::Deadline;
use crate::engine::Metering;
use crate::error::{Error, Result};
use crate::json::RawJson;
use crate::module_cache::{self, Prepared, Tier, Wanted};
use crate::protocol::{CallInput, RuntimeOutput};
use crate::run::{self, Ended, Goal, Run};
#[cfg(feature = "compiler")]
use crate::run::{Captured, Ending, GuestBacktrace, Search};
use crate::sandbox::Sandbox;
use crate::shards::Shard;
use crate::stack::{self, GuestStack};
use std::sync::Arc;
use std::time::Instant;

impl ScriptExecutor {
    pub(crate) async fn call(
        &self,
        shard: Shard,
        name: &str,
        input: CallInput<'_>,
        limits: &Limits,
        deadline: Deadline,
        profiler: Option<&Profiler>,
    ) -> Result<RuntimeOutput> {
        let begun = deadline.begun;
        let mut taken_up = begun;
        if deadline.is_submitted() {
            deadline.remaining().map_err(|stop| self.engine.queue_error(stop, &deadline))?;
            taken_up = Instant::now();
        }
        let stack = self.guest_stack(deadline.is_on_worker());
        let mut entry = self.catalog.resolve_on(shard, name, begun)?;
        let parse_for = ParseFor { limits, deadline: &deadline, stack, shard };
        let mut metering = self.metering(limits);
        if profiler.is_some() {
            metering = metering.with_samples();
        }
        let (prepared, script) = loop {
            match self.prepared(&entry, Some(input.config), metering, parse_for).await {
                Ok(prepared) => break prepared,
                Err(error) => entry = self.replacement(&entry, error)?,
            }
        };
        let (goal, snapshot) = match entry.snapshot.is_on() {
            // Boxed, so that the future of the call stays small.
            true => Box::pin(self.goal(&entry, &prepared, script.as_ref(), parse_for)).await?,
            false => (Goal::Call, None),
        };
        // Reading the clock takes time. If the slots are free, one reading serves as `loaded` and `queued`. If moreover
        // the module was in memory and no file was looked at, `taken_up` serves as both, and the load counts as 0.
        let (slots, loaded, queued) = match self.free_slots(shard, deadline.is_submitted())? {
            Some(slots) => {
                let now = if prepared.is_at_hand { taken_up } else { Instant::now() };
                (slots, now, now)
            }
            None => {
                let loaded = Instant::now();
                (self.slots(&deadline).await?, loaded, Instant::now())
            }
        };
        deadline.begin().map_err(|stop| self.engine.queue_error(stop, &deadline))?;
        let stdin = input.to_stdin()?;
        let sandbox = || {
            let script = script.clone().map(|text| ScriptArgs { mode: ScriptMode::Run, text });
            let policy = self.policy.share(shard);
            let sampler = profiler.and_then(|profiler| profiler.sampler(&prepared, &entry, &policy));
            let mut sandbox = Sandbox::new(entry, policy, stdin, limits, deadline).with_script(script);
            sandbox.sampler = sampler;
            sandbox
        };
        let ended = match run::run(&prepared.compiled, goal, stack, sandbox, slots) {
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
            Ok(Ended { mut captured, backtrace: Some(backtrace), .. }) => {
                // Boxed, so that the future of the call stays small: most calls have no backtrace.
                Box::pin(self.add_places(&prepared, *backtrace, &mut captured)).await;
                captured
            }
            Ok(Ended { captured, .. }) => captured,
            Err(error) => Err(error),
        };
        let result = captured.and_then(|captured| judge(captured, &prepared, &times));
        let result = result.map(|output| output.with_script(script.as_deref().map(|text| text.sha)));
        let result = result.map(|output| output.with_snapshot(snapshot));
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
    async fn add_places(&self, prepared: &Prepared, backtrace: GuestBacktrace, captured: &mut Result<Captured>) {
        let lines = match captured {
            Ok(Captured { ending: Ending::Trap { backtrace, .. }, .. }) => Some(backtrace),
            Ok(_) => None,
            Err(error) => error.backtrace_mut(),
        };
        let Some(lines) = lines else { return };
        let GuestBacktrace { frames, entry, deadline } = backtrace;
        let (cached, sha) = (prepared.compiled.debug_info.clone(), prepared.compiled.sha);
        let offsets = frames.iter().map(|frame| frame.offset).collect();
        let (tenant, cpu) = (self.policy.tenant, self.policy.cpu.clone());
        let places = run::places(Search { cached, sha, entry, offsets, tenant, cpu }, &deadline).await;
        if !places.is_empty() {
            *lines = run::lines_with_places(&frames, &places);
        }
    }

    /// Checks the config against the entry's schema, if a call has one, and prepares the script, if the entry is one, and the
    /// module.
    pub(super) async fn prepared(
        &self,
        entry: &Arc<RuntimeEntry>,
        config: Option<RawJson<'_>>,
        metering: Metering,
        call: ParseFor<'_>,
    ) -> Result<(Prepared, Option<Arc<ScriptText>>)> {
        if let Some(config) = config {
            entry.check_config(self.policy.tenant, config, call.deadline).await?;
        }
        let (tenant, reload) = (self.policy.tenant, self.reload);
        let ParseFor { limits, deadline, shard, .. } = call;
        let script = match entry.script() {
            Some(script) => Some(self.script_of_call(entry, script, call).await?),
            None => None,
        };
        let (module_bytes, disk) = (limits.module_bytes, self.disk.as_ref());
        let wanted = Wanted { tenant, entry, reload, metering, module_bytes, disk, deadline, shard };
        let mut prepared = module_cache::cache().prepared(self.engine, &wanted).await?;
        if let Some(script) = &script {
            prepared.is_at_hand &= script.is_at_hand;
            // To parse the script the call has loaded the same module.
            prepared.tier = script.tier.unwrap_or(prepared.tier);
        }
        Ok((prepared, script.map(|script| script.text)))
    }

    /// Where the call's guest runs: on the caller's stack if the guest cannot wait and that stack is large enough,
    /// otherwise on a stack of its own.
    pub(super) fn guest_stack(&self, is_on_worker: bool) -> GuestStack {
        // If the guest of a call on a worker waits, the worker runs other calls meanwhile.
        let may_wait = self.policy.lets_wait() || is_on_worker;
        if may_wait || !stack::is_large_enough() { GuestStack::Own } else { GuestStack::Callers }
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
        work: impl Fn(&Arc<RuntimeEntry>) -> Result<T>,
    ) -> Result<(Arc<RuntimeEntry>, T)> {
        loop {
            match work(&entry) {
                Ok(done) => return Ok((entry, done)),
                Err(error) => entry = self.replacement(&entry, error)?,
            }
        }
    }

    /// The entry that has replaced `entry`, if `error` says that its file is unavailable or another one; otherwise
    /// `error`.
    fn replacement(&self, entry: &RuntimeEntry, error: Error) -> Result<Arc<RuntimeEntry>> {
        if let Error::RuntimeUnavailable { .. } | Error::HashMismatch { .. } = error {
            let now = self.catalog.resolve_again(&entry.name)?;
            if now.path() != entry.path() || now.sha256 != entry.sha256 {
                return Ok(now);
            }
        }
        Err(error)
    }
}
