//! What a guest sees of time and chance: the real ones, or made-up ones that are the same in every run.

use crate::config::{Deterministic, MAX_TIMEOUT_MS};
use crate::jobs::{Deadline, Stop};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// Filled in pieces, after each of which the deadline is looked at: one takes about a millisecond. Guests that ask for a few
/// bytes, as they do for a seed, have nothing to look at.
const CHUNK: usize = 256 << 10;
const LITTLE: usize = 4 << 10;

#[derive(Default)]
pub(crate) enum Clock {
    #[default]
    Real,
    Virtual(Box<Virtual>),
}

/// Time stands still but for sleeping, which takes no time outside; chance is ChaCha20 of the seed.
pub(crate) struct Virtual {
    unix_time: Duration,
    slept: Duration,
    chance: ChaCha20Rng,
}

impl Clock {
    pub fn new(deterministic: Option<&Deterministic>) -> Self {
        match deterministic {
            None => Clock::Real,
            Some(fixed) => Clock::Virtual(Box::new(Virtual {
                unix_time: Duration::from_secs(fixed.unix_time),
                slept: Duration::ZERO,
                chance: ChaCha20Rng::seed_from_u64(fixed.seed),
            })),
        }
    }

    /// Since 1970.
    pub fn realtime(&self) -> Duration {
        match self {
            Clock::Real => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Clock::Virtual(fixed) => fixed.unix_time + fixed.slept,
        }
    }

    /// Since some moment before the call; never 0, which Go takes for a clock that is missing.
    pub fn monotonic(&self) -> Duration {
        static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);
        let since = match self {
            Clock::Real => ZERO.elapsed(),
            Clock::Virtual(fixed) => fixed.slept,
        };
        since + Duration::from_nanos(1)
    }

    /// Whether time stands still.
    #[cfg(feature = "components")]
    pub fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual(_))
    }

    /// Sets a clock that stands still forward.
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
            let patience = deadline.patience()?;
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => std::thread::sleep(left.min(patience)),
                _ => return Ok(()),
            }
        }
    }

    /// When a sleep that begins now ends; none where it has taken no time.
    pub fn asleep_until(&mut self, duration: Duration) -> Option<Instant> {
        match self {
            // No call lasts longer.
            Clock::Real => Some(Instant::now() + duration.min(Duration::from_millis(MAX_TIMEOUT_MS))),
            Clock::Virtual(fixed) => {
                fixed.slept = fixed.slept.saturating_add(duration);
                None
            }
        }
    }

    /// Fills a buffer with chance; `None` where the system has none to give.
    pub fn fill(&mut self, deadline: &Deadline, buffer: &mut [u8]) -> Result<Option<()>, Stop> {
        let is_long = buffer.len() > LITTLE;
        for chunk in buffer.chunks_mut(CHUNK) {
            match self {
                Clock::Real if getrandom::fill(chunk).is_err() => return Ok(None),
                Clock::Real => {}
                Clock::Virtual(fixed) => fixed.chance.fill_bytes(chunk),
            }
            if is_long {
                deadline.patience()?;
            }
        }
        Ok(Some(()))
    }
}
