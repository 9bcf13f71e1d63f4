//! The processor time and the memory that all guests of one executor may use together.

use crate::locks::Locked;
use crate::sys::thread_time;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The processor time of an executor's guests, as a token bucket.
///
/// 1. The bucket gains `cpu_ms_per_s` milliseconds each second, and holds no more than one second brings.
/// 2. Guests that run are charged, and may take the bucket below zero.
/// 3. A guest begins only when the bucket is above zero.
#[derive(Debug)]
pub(crate) struct CpuTime {
    ms_per_s: u64,
    bucket: Mutex<Bucket>,
}

thread_local! {
    /// The processor time of this thread up to which it has been charged; `None` while the thread does no work for a
    /// guest.
    static COUNTED: Cell<Option<Duration>> = const { Cell::new(None) };
}

#[derive(Debug)]
struct Bucket {
    left_ns: i64,
    filled: Instant,
}

impl CpuTime {
    pub fn new(ms_per_s: u64, now: Instant) -> Self {
        let bucket = Bucket { left_ns: in_ns(Duration::from_millis(ms_per_s)), filled: now };
        CpuTime { ms_per_s, bucket: Mutex::new(bucket) }
    }

    pub fn ms_per_s(&self) -> u64 {
        self.ms_per_s
    }

    /// Does work for a guest, and charges the processor time that the work takes on this thread.
    pub fn metered<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = COUNTED.replace(Some(thread_time()));
        let done = work();
        self.count();
        COUNTED.set(before);
        done
    }

    /// Charges the processor time that the present work of this thread has taken since the last charge.
    pub fn count(&self) {
        if let Some(before) = COUNTED.get() {
            let now = thread_time();
            self.charge(now.saturating_sub(before), Instant::now());
            COUNTED.set(Some(now));
        }
    }

    fn charge(&self, used: Duration, now: Instant) {
        let mut bucket = self.filled(now);
        bucket.left_ns = bucket.left_ns.saturating_sub(in_ns(used));
    }

    /// When the next guest may begin; `None` if it may begin now.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let lacking = 1 - self.filled(now).left_ns;
        let lacking = u64::try_from(lacking).ok().filter(|lacking| *lacking > 0)?;
        let wait = u128::from(lacking) * 1000 / u128::from(self.ms_per_s) + 1;
        Some(now + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// The bucket, with what it has gained since it was filled last.
    fn filled(&self, now: Instant) -> MutexGuard<'_, Bucket> {
        let mut bucket = self.bucket.locked();
        let since = now.saturating_duration_since(bucket.filled);
        let more = since.as_nanos() * u128::from(self.ms_per_s) / 1000;
        let most = in_ns(Duration::from_millis(self.ms_per_s));
        bucket.left_ns = bucket.left_ns.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)).min(most);
        bucket.filled = bucket.filled.max(now);
        bucket
    }
}

fn in_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The memory of an executor's running guests.
#[derive(Debug)]
pub(crate) struct TotalMemory {
    pub bytes: usize,
    used: AtomicUsize,
}

impl TotalMemory {
    pub fn new(bytes: u64) -> Self {
        TotalMemory { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), used: AtomicUsize::new(0) }
    }

    /// Takes so many bytes; `false` if fewer are left.
    pub fn take(&self, bytes: usize) -> bool {
        let take = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.bytes);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_guest_begins_once_what_was_used_has_come_back() {
        let now = Instant::now();
        let cpu = CpuTime::new(100, now);
        assert_eq!(cpu.next(now), None);
        cpu.charge(90 * MS, now);
        assert_eq!(cpu.next(now), None, "10 ms are left");
        // A running guest is charged more than the bucket has. The bucket is 50 ms below zero, which come back in half
        // a second.
        cpu.charge(60 * MS, now);
        let next = cpu.next(now).map(|next| next.duration_since(now));
        assert!(next.is_some_and(|wait| wait > 500 * MS && wait < 501 * MS), "{next:?}");
        assert!(cpu.next(now + 499 * MS).is_some() && cpu.next(now + 501 * MS).is_none());
    }

    #[test]
    fn what_is_charged_is_the_time_of_the_processor() {
        // The bucket gains so little that the duration of the test does not matter.
        let cpu = CpuTime::new(1, Instant::now());
        let left = |cpu: &CpuTime| cpu.bucket.lock().map(|bucket| bucket.left_ns).unwrap_or_default();
        cpu.metered(|| std::thread::sleep(50 * MS));
        assert!(left(&cpu) > in_ns(MS) / 2, "sleeping takes none: {}", left(&cpu));
        let begun = thread_time();
        cpu.metered(|| while thread_time() - begun < 20 * MS {});
        assert!(left(&cpu) < -in_ns(15 * MS), "computing does: {}", left(&cpu));
    }

    #[test]
    fn no_more_is_saved_than_a_second_brings() {
        let now = Instant::now();
        let cpu = CpuTime::new(100, now);
        let later = now + Duration::from_secs(86_400);
        cpu.charge(101 * MS, later);
        assert!(cpu.next(later).is_some());
    }

    #[test]
    fn memory_is_taken_up_to_the_limit_and_given_back() {
        let memory = TotalMemory::new(100);
        assert!(memory.take(60) && !memory.take(41) && memory.take(40) && !memory.take(usize::MAX));
        memory.give_back(60);
        assert!(memory.take(60));
    }
}
