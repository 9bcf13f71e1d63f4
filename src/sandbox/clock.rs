//! The clocks and the random bytes of a guest: real ones, or virtual ones that are the same in every run.

use crate::config::{Deterministic, MAX_TIMEOUT_MS};
use crate::deadline::{Deadline, Stop};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// The bytes of one piece of random bytes. The deadline is checked after each piece, which takes about a millisecond.
const CHUNK: usize = 256 << 10;
/// Up to so many bytes are made without a check of the deadline: guests ask for a few bytes, for a seed.
const LITTLE: usize = 4 << 10;

pub(crate) enum Clock {
    /// The system's clocks. The monotonic one is ahead by so much.
    Real {
        ahead: Duration,
    },
    Virtual(Box<Virtual>),
}

impl Default for Clock {
    fn default() -> Self {
        Clock::Real { ahead: Duration::ZERO }
    }
}

/// A clock that moves only when the guest sleeps. A sleep takes no real time. The random bytes are those of ChaCha20
/// with the executor's seed.
pub(crate) struct Virtual {
    unix_time: Duration,
    slept: Duration,
    chance: ChaCha20Rng,
}

impl Clock {
    pub fn new(deterministic: Option<&Deterministic>) -> Self {
        match deterministic {
            None => Clock::default(),
            Some(fixed) => Clock::Virtual(Box::new(Virtual {
                unix_time: Duration::from_secs(fixed.unix_time),
                slept: Duration::ZERO,
                chance: ChaCha20Rng::seed_from_u64(fixed.seed),
            })),
        }
    }

    /// The time since 1970.
    pub fn realtime(&self) -> Duration {
        match self {
            Clock::Real { .. } => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Clock::Virtual(fixed) => fixed.unix_time + fixed.slept,
        }
    }

    /// The time since some moment before the call. It is never 0, which Go takes for a missing clock.
    pub fn monotonic(&self) -> Duration {
        static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);
        let since = match self {
            Clock::Real { ahead } => ZERO.elapsed() + *ahead,
            Clock::Virtual(fixed) => fixed.slept,
        };
        since + Duration::from_nanos(1)
    }

    /// Lets the monotonic clock go on from a time, if it has not come so far yet.
    pub fn go_on_from(&mut self, monotonic: Duration) {
        let missing = monotonic.saturating_sub(self.monotonic());
        if let Clock::Real { ahead } = self {
            *ahead += missing;
        }
    }

    /// Whether the clock moves only when the guest sleeps.
    #[cfg(feature = "components")]
    pub fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual(_))
    }

    /// Sets a virtual clock forward to a time.
    #[cfg(feature = "components")]
    pub fn skip_to(&mut self, monotonic: Duration) {
        let left = monotonic.saturating_sub(self.monotonic());
        if let Clock::Virtual(fixed) = self {
            fixed.slept = fixed.slept.saturating_add(left);
        }
    }

    /// Sleeps, but not past the deadline.
    pub fn sleep(&mut self, deadline: &Deadline, duration: Duration) -> Result<(), Stop> {
        let until = self.asleep_until(duration);
        loop {
            let patience = deadline.remaining()?;
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => std::thread::sleep(left.min(patience)),
                _ => return Ok(()),
            }
        }
    }

    /// When a sleep that begins now ends; `None` on a virtual clock, on which the sleep is already over.
    pub fn asleep_until(&mut self, duration: Duration) -> Option<Instant> {
        match self {
            // No call lasts longer than `MAX_TIMEOUT_MS`.
            Clock::Real { .. } => Some(Instant::now() + duration.min(Duration::from_millis(MAX_TIMEOUT_MS))),
            Clock::Virtual(fixed) => {
                fixed.slept = fixed.slept.saturating_add(duration);
                None
            }
        }
    }

    /// Fills a buffer with random bytes; `None` if the system has none.
    pub fn fill(&mut self, deadline: &Deadline, buffer: &mut [u8]) -> Result<Option<()>, Stop> {
        let is_long = buffer.len() > LITTLE;
        for chunk in buffer.chunks_mut(CHUNK) {
            match self {
                Clock::Real { .. } if getrandom::fill(chunk).is_err() => return Ok(None),
                Clock::Real { .. } => {}
                Clock::Virtual(fixed) => fixed.chance.fill_bytes(chunk),
            }
            if is_long {
                deadline.remaining()?;
            }
        }
        Ok(Some(()))
    }
}
