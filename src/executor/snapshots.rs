//! Where a call begins: from the start, or from a snapshot, which the call makes if nobody has made it yet.

use super::call_slots::CallSlots;
use super::script_executor::ScriptExecutor;
use super::scripts::ParseFor;
use crate::catalog::{RuntimeEntry, ScriptArgs, ScriptMode, ScriptText};
use crate::config::Limits;
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::module_cache::{self, Prepared};
use crate::policy::Policy;
use crate::protocol::RuntimeOutput;
use crate::reply::SnapshotReport;
use crate::run::{self, Captured, Ended, Goal, Run, Snapshot};
use crate::sandbox::{Refused, Sandbox};
use crate::shards::{Shard, ShardedArc};
use crate::snapshots::{self, COUNTERS, Claim, Claimed, Holds, Known, Limited, Refusal, SnapshotKey};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A snapshot that a call needs, and what it is made of.
struct Making<'a> {
    key: SnapshotKey,
    entry: &'a Arc<RuntimeEntry>,
    prepared: &'a Prepared,
    script: Option<&'a Arc<ScriptText>>,
    /// The guest paths of the granted directories, if the runtime asks for them while it is initialised.
    directories: Vec<Arc<str>>,
}

impl ScriptExecutor {
    /// Where a call of a runtime begins that asks for snapshots, and what to tell of it.
    pub(super) async fn goal(
        &self,
        entry: &Arc<RuntimeEntry>,
        prepared: &Prepared,
        script: Option<&Arc<ScriptText>>,
        call: ParseFor<'_>,
    ) -> Result<(Goal, Option<SnapshotReport>)> {
        let from_start = |problem: &str| Ok((Goal::Call, Some(SnapshotReport::none(problem))));
        match prepared.compiled.reactor().map(|reactor| &reactor.state) {
            None => return from_start(prepared.compiled.why_no_reactor()),
            Some(Err(reason)) => return from_start(reason),
            Some(Ok(_)) => {}
        }
        let script_text = script.map(|text| &**text);
        let key = SnapshotKey::new(prepared.compiled.sha, script_text, self.metering(call.limits), entry);
        let making = Making { key, entry, prepared, script, directories: Vec::new() };
        let mut known = self.known(&making, call).await?;
        // A snapshot for all executors comes first: few runtimes ask for the directories while they are initialised.
        if let Known::Made(snapshot) = &known
            && snapshot.seen.directories
            && !self.policy.dirs.is_empty()
        {
            let directories: Vec<_> = self.policy.dirs.iter().map(|grant| grant.guest().clone()).collect();
            known =
                self.known(&Making { key: key.with_directories(&directories), directories, ..making }, call).await?;
        }
        match known {
            Known::Made(snapshot) => match self.why_unfit(&snapshot, call) {
                None => {
                    COUNTERS.note_restored(call.shard);
                    let report = SnapshotReport::restored(snapshot.image.bytes() as u64);
                    Ok((Goal::CallFrom(snapshot), Some(report)))
                }
                Some(problem) => from_start(problem),
            },
            Known::Refused(refusal) => from_start(&refusal.reason),
            Known::Making => from_start("another call is making the snapshot"),
        }
    }

    /// How a call of the runtime would begin. Makes the snapshot if there is none yet, within the deadline that a call
    /// would have.
    pub(super) async fn snapshot_report(&self, entry: &Arc<RuntimeEntry>) -> Option<SnapshotReport> {
        let deadline = Deadline::after(Instant::now(), self.limits.timeout_ms);
        let (limits, stack, shard) = (&self.limits, self.guest_stack(false), Shard::current());
        let call = ParseFor { limits, deadline: &deadline, stack, shard };
        let report = async {
            let (prepared, script) = self.prepared(entry, None, self.metering(call.limits), call).await?;
            self.goal(entry, &prepared, script.as_ref(), call).await
        };
        match report.await {
            Ok((_, report)) => report,
            Err(error) => Some(SnapshotReport::none(error.to_string())),
        }
    }

    /// Why a call cannot begin from the snapshot although there is one.
    fn why_unfit(&self, snapshot: &Snapshot, call: ParseFor<'_>) -> Option<&'static str> {
        let seen = snapshot.seen;
        if snapshot.image.bytes() as u64 > call.limits.memory_bytes {
            return Some("the snapshot has more memory than `memory_bytes`");
        }
        if (seen.clock || seen.random) && self.policy.deterministic.is_some() {
            return Some("the snapshot holds the time or random bytes, which is not deterministic");
        }
        None
    }

    /// What is known of a snapshot. Makes it if nobody has made it yet.
    async fn known(&self, making: &Making<'_>, call: ParseFor<'_>) -> Result<Known> {
        match snapshots::claim(making.key, Limited::of(call.limits)) {
            Claimed::Known(known) => Ok(known),
            Claimed::Claim(claim) => Box::pin(self.find_or_make(claim, making, call)).await,
        }
    }

    async fn find_or_make(&self, claim: Claim, making: &Making<'_>, call: ParseFor<'_>) -> Result<Known> {
        let key = making.key;
        let most_bytes = self.engine.options.module_cache_bytes;
        let (tenant, deadline) = (self.policy.tenant, call.deadline);
        let compatibility = self.engine.profile(self.metering(call.limits))?.compatibility.as_deref();
        let disk = self.disk.clone().zip(compatibility);
        if let Some((disk, compatibility)) = disk.clone() {
            let found = module_cache::look_up(tenant, deadline, move || snapshots::load(&disk, compatibility, &key));
            let found = found.await.map_err(|stop| deadline.error(stop, Phase::Load))?;
            let state = making.prepared.compiled.reactor().and_then(|reactor| reactor.state.as_ref().ok());
            let fits = |snapshot: &Snapshot| state.is_some_and(|state| snapshot.fits(state));
            if let Some(snapshot) = found.flatten().filter(fits).map(Arc::new) {
                COUNTERS.disk_hits.fetch_add(1, Ordering::Relaxed);
                claim.made(snapshot.clone(), most_bytes);
                return Ok(Known::Made(snapshot));
            }
        }
        match self.make_snapshot(making, call).await? {
            Ok(snapshot) => {
                COUNTERS.made.fetch_add(1, Ordering::Relaxed);
                claim.made(snapshot.clone(), most_bytes);
                if let Some((disk, compatibility)) = disk {
                    let (kept, bound) = (snapshot.clone(), self.engine.options.disk_cache_bytes);
                    module_cache::write_later(tenant, move || {
                        snapshots::store(&disk, compatibility, &key, &kept, bound);
                    });
                }
                Ok(Known::Made(snapshot))
            }
            Err((refusal, stopped)) => {
                let refusal = Arc::new(refusal);
                claim.refused(refusal.clone(), most_bytes);
                stopped.map_or(Ok(Known::Refused(refusal)), Err)
            }
        }
    }

    /// Initialises an instance and makes a snapshot of it. A refusal says why there is no snapshot, and has the error of
    /// a call that cannot go on.
    async fn make_snapshot(
        &self,
        making: &Making<'_>,
        call: ParseFor<'_>,
    ) -> Result<Result<Arc<Snapshot>, (Refusal, Option<Error>)>> {
        let Making { entry, prepared, script, directories, .. } = making;
        let ParseFor { limits, deadline, stack, shard } = call;
        let slots: CallSlots<'_> = self.slots(deadline).await?;
        let had_time = deadline.remaining().is_ok_and(|left| left >= Duration::from_millis(limits.timeout_ms / 2));
        // Nothing that the executor grants or fixes: the snapshot lies on disk, and is for all executors. Code that
        // counts fuel needs some. Directories have names.
        let policy = ShardedArc::new(Policy::of_no_grants(&self.policy));
        let is_metered = self.metering(limits).counts_fuel();
        let limits = &Limits { fuel: limits.fuel.or(is_metered.then_some(u64::MAX)), ..*limits };
        let (input, warms_up) = (entry.warm_up.clone().unwrap_or_default(), entry.warm_up.is_some());
        let sandbox = || {
            let args = script.map(|text| ScriptArgs { mode: ScriptMode::Run, text: text.clone() });
            let (policy, deadline) = (policy.share(shard), deadline.clone());
            let made = Sandbox::new(Arc::clone(entry), policy, input.into_bytes(), limits, deadline);
            made.with_script(args).for_a_snapshot(entry.shared_random, directories.clone())
        };
        let ended = match run::run(&prepared.compiled, Goal::Snapshot { warms_up }, stack, sandbox, slots)? {
            Run::Ended(ended) => ended,
            Run::Waits(run) => run.await?,
        };
        let Ended { captured, snapshot, .. } = ended;
        let refused = |reason: String, holds| Ok(Err((Refusal { reason, holds }, None)));
        let within = Holds::Within(Limited::of(call.limits));
        let of_memory = |refused: Option<Refused>| match refused.map(|refused| refused.limit) {
            Some("memory_bytes") => within,
            // The executor's other guests have the rest.
            Some("memory_total_bytes") => Holds::Once,
            _ => Holds::Always,
        };
        match (snapshot, captured) {
            (Some(Ok(_)), Ok(Captured { refused: Some(limit), .. })) => {
                let reason = format!("it wanted more memory than `{}` while it was initialised", limit.limit);
                refused(reason, of_memory(Some(limit)))
            }
            (Some(Ok(snapshot)), Ok(captured)) if warms_up => {
                match RuntimeOutput::parse(captured.stdout, &captured.stderr) {
                    Ok(_) => Ok(Ok(Arc::from(snapshot))),
                    Err(error) => refused(format!("its reply to `warm_up` is an error: {error}"), Holds::Always),
                }
            }
            (Some(Ok(snapshot)), Ok(_)) => Ok(Ok(Arc::from(snapshot))),
            (Some(Err(reason)), Ok(captured)) => refused(reason, of_memory(captured.refused)),
            (None, Ok(_)) => refused("it ended while it was initialised".to_owned(), Holds::Always),
            (_, Err(error @ (Error::Timeout { .. } | Error::Cancelled { .. }))) => {
                // A call that has waited long before says nothing of those that have not.
                let is_slow = had_time && matches!(error, Error::Timeout { .. });
                let reason = "it was not initialised within `timeout_ms`".to_owned();
                let holds = if is_slow { within } else { Holds::Once };
                Ok(Err((Refusal { reason, holds }, Some(error))))
            }
            (snapshot, Err(error)) => {
                let is_limit = matches!(error, Error::FuelExhausted { .. } | Error::OutputTooLarge { .. });
                let reason = snapshot.and_then(Result::err).unwrap_or_else(|| error.to_string());
                refused(reason, if is_limit { within } else { Holds::Once })
            }
        }
    }
}
