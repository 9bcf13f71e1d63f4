//! The rounds: each calls each version once.

use super::BenchArguments;
use super::figures::Figures;
use super::versions::Version;
use crate::interrupt::Interrupt;
use arawn::{Code, Error, RuntimeInput, RuntimeOutput};
use std::time::{Duration, Instant};

/// How long the calls take together that warm up, and how many rounds of them there are at most, after the first round.
const WARM_UP: Duration = Duration::from_millis(300);
const MOST_WARM_UP: usize = 50;
/// From this time on, calls have a name by which Ctrl-C ends them. For short ones the name would be a part of what is
/// measured.
const LONG: Duration = Duration::from_millis(20);

/// What the rounds gave.
pub struct Run {
    pub measured: Vec<Measured>,
    pub took: Duration,
    pub is_interrupted: bool,
}

/// What the calls of one version took.
pub struct Measured {
    pub name: String,
    pub figures: Figures,
    /// The most memory that a guest had.
    pub memory_bytes: u64,
}

impl Run {
    pub fn rounds(&self) -> u64 {
        self.measured.first().map_or(0, |measured| measured.figures.times.len() as u64)
    }
}

/// An error, and the version whose call it has ended.
pub struct Ended {
    pub version: Option<String>,
    pub error: Error,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended { version: None, error }
    }
}

type Result<T> = std::result::Result<T, Ended>;

struct Clocked<'a> {
    versions: &'a [Version],
    input: &'a RuntimeInput<'a>,
    is_long: bool,
    /// For each version.
    memory_bytes: Vec<u64>,
}

pub fn measure(
    versions: &[Version],
    input: &RuntimeInput<'_>,
    arguments: &BenchArguments,
    interrupt: &Interrupt,
) -> Result<Run> {
    let mut clocked = Clocked { versions, input, is_long: true, memory_bytes: vec![0; versions.len()] };
    clocked.is_long = warm_up(|| clocked.round(false), interrupt)?;
    let mut times = vec![Vec::new(); versions.len()];
    let mut rounds = arguments.rounds.begin(interrupt, "measuring", arguments.quiet);
    let mut is_turned = false;
    let mut ended = Ok(());
    while ended.is_ok() && rounds.next() {
        match clocked.round(is_turned) {
            Ok(round) => times.iter_mut().zip(round).for_each(|(times, time)| times.push(time)),
            Err(error) => ended = Err(error),
        }
        is_turned = !is_turned;
    }
    let took = rounds.end();
    match ended {
        // Ctrl-C has ended a call, and the rounds before it count.
        Err(Ended { error, .. })
            if error.as_code() == Code::Cancelled && times.iter().all(|times| !times.is_empty()) => {}
        ended => ended?,
    }
    let measured = versions.iter().zip(times).zip(&clocked.memory_bytes).map(|((version, times), memory_bytes)| {
        Measured { name: version.name.clone(), figures: Figures::new(times), memory_bytes: *memory_bytes }
    });
    Ok(Run { measured: measured.collect(), took, is_interrupted: interrupt.is_pressed() })
}

/// Rounds that fill caches. Returns whether calls are long. The first round, which may compile, shows nothing of that.
fn warm_up(mut round: impl FnMut() -> Result<Vec<u64>>, interrupt: &Interrupt) -> Result<bool> {
    round()?;
    let (mut fastest, mut spent) = (u64::MAX, Duration::ZERO);
    for _ in 0..MOST_WARM_UP {
        if spent >= WARM_UP || interrupt.is_pressed() {
            break;
        }
        let times = round()?;
        fastest = times.iter().copied().max().unwrap_or(0).min(fastest);
        spent += Duration::from_nanos(times.iter().sum());
    }
    Ok(Duration::from_nanos(fastest) >= LONG)
}

impl Clocked<'_> {
    /// Calls each version once, the last one first if `is_turned`: what a call leaves in the processor's caches for the
    /// next one is then for each of them as often. Returns the nanoseconds of each version.
    fn round(&mut self, is_turned: bool) -> Result<Vec<u64>> {
        let count = self.versions.len();
        let mut round = vec![0; count];
        for turn in 0..count {
            let at = if is_turned { count - 1 - turn } else { turn };
            round[at] = self.call(at)?;
        }
        Ok(round)
    }

    fn call(&mut self, at: usize) -> Result<u64> {
        let version = &self.versions[at];
        let call = if self.is_long { Version::call_named } else { Version::call };
        let begun = Instant::now();
        let output: arawn::Result<RuntimeOutput> = call(version, self.input);
        let took = begun.elapsed();
        // Where there is one version, nobody asks whose error it is.
        let of_version = |error| Ended { version: (self.versions.len() > 1).then(|| version.name.clone()), error };
        let output = output.map_err(of_version)?;
        let memory_bytes = output.meta().map_or(0, |meta| meta.memory_bytes);
        self.memory_bytes[at] = self.memory_bytes[at].max(memory_bytes);
        Ok(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_round_that_compiles_makes_no_call_long() {
        let warm_up = |first_ms: u64, then_us: u64| {
            let mut rounds = 0;
            let round = || {
                rounds += 1;
                Ok(vec![if rounds == 1 { first_ms * 1_000_000 } else { then_us * 1_000 }; 2])
            };
            let is_long = super::warm_up(round, &Interrupt::never()).unwrap_or_else(|ended| panic!("{}", ended.error));
            (is_long, rounds)
        };
        assert_eq!(warm_up(5_000, 100), (false, 1 + MOST_WARM_UP));
        assert_eq!(warm_up(5_000, 10_000), (false, 1 + 15));
        assert_eq!(warm_up(5_000, 200_000), (true, 1 + 1));
        let failing = || Err(Error::Internal { message: String::new() }.into());
        assert!(super::warm_up(failing, &Interrupt::never()).is_err());
    }
}
