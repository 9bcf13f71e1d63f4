//! Where a call begins: from the start, or from a snapshot, which the call makes if nobody has made it yet.

use super::call_slots::CallSlots;
use super::script_executor::ScriptExecutor;
use super::scripts::ParseFor;
use crate::catalog::{RuntimeEntry, ScriptArgs, ScriptMode, ScriptText};
use crate::deadline::Deadline;
use crate::error::{Phase, Result};
use crate::module_cache::{self, Prepared};
use crate::policy::Policy;
use crate::protocol::RuntimeOutput;
use crate::reply::SnapshotReport;
use crate::run::{self, Ended, Goal, Run, Snapshot};
use crate::sandbox::Sandbox;
use crate::shards::{Shard, ShardedArc};
use crate::snapshots::{self, COUNTERS, Claim, Claimed, Known, Limited, Refusal, SnapshotKey};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

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
            None => return from_start("it does not export `arawn_run`"),
            Some(Err(reason)) => return from_start(reason),
            Some(Ok(_)) => {}
        }
        let script_text = script.map(|text| &**text);
        let key = SnapshotKey::new(prepared.compiled.sha, script_text, self.metering(call.limits), entry);
        let limits = Limited { memory_bytes: call.limits.memory_bytes, fuel: call.limits.fuel };
        let known = match snapshots::claim(key, limits) {
            Claimed::Known(known) => known,
            Claimed::Claim(claim) => Box::pin(self.find_or_make(claim, key, entry, prepared, script, call)).await?,
        };
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
        let (limits, stacks, shard) = (&self.limits, self.stacks(false), Shard::current());
        let call = ParseFor { limits, deadline: &deadline, stacks, shard };
        let report = async {
            let (prepared, script) = self.prepared(entry, None, call).await?;
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
        if seen.directories && !self.policy.dirs.is_empty() {
            return Some("it asks for the granted directories while it is initialised, and snapshots have none");
        }
        if (seen.clock || seen.random) && self.policy.deterministic.is_some() {
            return Some("the snapshot holds the time or random bytes, which is not deterministic");
        }
        None
    }

    async fn find_or_make(
        &self,
        claim: Claim,
        key: SnapshotKey,
        entry: &Arc<RuntimeEntry>,
        prepared: &Prepared,
        script: Option<&Arc<ScriptText>>,
        call: ParseFor<'_>,
    ) -> Result<Known> {
        let most_bytes = self.engine.options.module_cache_bytes;
        let (tenant, deadline) = (self.policy.tenant, call.deadline);
        let compatibility = self.engine.profile(self.metering(call.limits))?.compatibility.as_deref();
        let disk = self.disk.clone().zip(compatibility);
        if let Some((disk, compatibility)) = disk.clone() {
            let found = module_cache::look_up(tenant, deadline, move || snapshots::load(&disk, compatibility, &key));
            let found = found.await.map_err(|stop| deadline.error(stop, Phase::Load))?;
            if let Some(snapshot) = found.flatten().map(Arc::new) {
                COUNTERS.disk_hits.fetch_add(1, Ordering::Relaxed);
                claim.made(snapshot.clone(), most_bytes);
                return Ok(Known::Made(snapshot));
            }
        }
        match self.make_snapshot(entry, prepared, script, call).await? {
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
            Err(refusal) => {
                let refusal = Arc::new(refusal);
                claim.refused(refusal.clone(), most_bytes);
                Ok(Known::Refused(refusal))
            }
        }
    }

    /// Initialises an instance and makes a snapshot of it. An error says why the call cannot go on; a refusal, why there
    /// is no snapshot.
    async fn make_snapshot(
        &self,
        entry: &Arc<RuntimeEntry>,
        prepared: &Prepared,
        script: Option<&Arc<ScriptText>>,
        call: ParseFor<'_>,
    ) -> Result<Result<Arc<Snapshot>, Refusal>> {
        let ParseFor { limits, deadline, stacks, shard } = call;
        let slots: CallSlots<'_> = self.slots(deadline).await?;
        // Nothing that the executor grants: the snapshot lies on disk, and is for all executors.
        let policy = ShardedArc::new(Policy::of_no_grants(&self.policy));
        let (input, warms_up) = (entry.warm_up.clone().unwrap_or_default(), entry.warm_up.is_some());
        let sandbox = || {
            let args = script.map(|text| ScriptArgs { mode: ScriptMode::Run, text: text.clone() });
            let (policy, deadline) = (policy.share(shard), deadline.clone());
            let made = Sandbox::new(entry.clone(), policy, input.into_bytes(), limits, deadline);
            made.with_script(args).for_a_snapshot(entry.shared_random)
        };
        let ended = match run::run(&prepared.compiled, Goal::Snapshot { warms_up }, stacks, sandbox, slots)? {
            Run::Ended(ended) => ended,
            Run::Waits(run) => run.await?,
        };
        let Ended { captured, snapshot, .. } = ended;
        let refused = |reason: String, is_limited: bool| {
            let limits = Limited { memory_bytes: limits.memory_bytes, fuel: limits.fuel };
            Ok(Err(Refusal { reason, limits: is_limited.then_some(limits) }))
        };
        match (snapshot, captured) {
            (Some(Ok(_)), Ok(captured)) if captured.refused.is_some() => {
                refused("it wanted more memory than `memory_bytes` while it was initialised".to_owned(), true)
            }
            (Some(Ok(snapshot)), Ok(captured)) if warms_up => {
                match RuntimeOutput::parse(captured.stdout, &captured.stderr) {
                    Ok(_) => Ok(Ok(Arc::from(snapshot))),
                    Err(error) => refused(format!("its reply to `warm_up` is an error: {error}"), false),
                }
            }
            (Some(Ok(snapshot)), Ok(_)) => Ok(Ok(Arc::from(snapshot))),
            (Some(Err(reason)), Ok(captured)) => refused(reason, captured.refused.is_some()),
            (Some(Err(reason)), Err(_)) => refused(reason, true),
            (_, Err(error)) => Err(error),
            (None, Ok(_)) => refused("it ended while it was initialised".to_owned(), false),
        }
    }
}
