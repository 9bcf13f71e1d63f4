//! What a call must hold before its guest begins: a slot of its executor and a slot of the engine's pool.

use super::script_executor::ScriptExecutor;
use crate::deadline::{Deadline, Stop};
use crate::error::{Error, Phase, Result};
use crate::shards::Shard;
use crate::slots::{Slot, Slots};
use crate::waiting::{sleep_until, until};
use std::time::{Duration, Instant};

/// The call's slot in the engine's pool, and its slot among the calls of its executor.
pub(super) type CallSlots<'a> = (Slot, Slot<&'a Slots>);

impl ScriptExecutor {
    /// Takes both slots if the call need not wait for either of them.
    pub(super) fn free_slots(&self, shard: Shard, is_submitted: bool) -> Result<Option<CallSlots<'_>>> {
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
    pub(super) async fn slots(&self, deadline: &Deadline) -> Result<CallSlots<'_>> {
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
        self.has_room_for_reply(deadline).await?;
        Ok((self.engine.slot(self.policy.tenant, deadline).await?, own))
    }

    /// Waits until a submitted call or pipeline may begin, because enough replies were polled.
    pub(crate) async fn has_room_for_reply(&self, deadline: &Deadline) -> Result<()> {
        while deadline.is_submitted() && self.has_too_many_replies() {
            /// How often a waiting call checks whether replies were polled.
            const LOOK: Duration = Duration::from_millis(5);
            let waited = until(deadline, sleep_until(Instant::now() + LOOK)).await;
            waited.map_err(|stop| self.overloaded(stop, deadline, "reply_bytes", self.limits.reply_bytes))?;
        }
        Ok(())
    }

    /// Whether the replies that wait to be polled have more bytes than `reply_bytes`. A submitted call does not begin
    /// then, because its reply would be added to them.
    fn has_too_many_replies(&self) -> bool {
        self.jobs.reply_bytes() > self.limits.reply_bytes
    }

    /// When a guest may begin, or `None` if it may begin now. If the processor time is used up, a call for which the host
    /// waits is refused.
    fn has_cpu_time(&self, deadline: &Deadline) -> Result<Option<Instant>> {
        let Some(cpu) = &self.policy.cpu else { return Ok(None) };
        match cpu.next(Instant::now()) {
            Some(_) if !deadline.waits_for_cpu_time() => {
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
}
