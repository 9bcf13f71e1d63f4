//! A profiler: samples of guests' stacks, and the source lines of what was sampled.

use super::profile::Profile;
use crate::catalog::RuntimeEntry;
use crate::engine::{MOST_FRAMES, SamplingInterval};
use crate::error::{Error, Result};
use crate::locks::Locked;
use crate::module_cache::Prepared;
use crate::policy::Policy;
use crate::samples::{Sampler, Samples};
use crate::sha256::Sha256;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;
#[cfg(feature = "compiler")]
use {
    crate::deadline::Deadline,
    crate::debug_info::CachedDebugInfo,
    crate::error::quoted,
    crate::fair::Tenant,
    crate::run::{self, Search},
    crate::samples::Stacks,
    crate::shared_limits::CpuTime,
    crate::waiting::block_on,
    crate::wasm::Shifts,
    std::time::Instant,
};

/// The most files of which one profiler takes samples. Guests of further ones are not sampled.
const MOST_FILES: usize = 64;

/// The functions whose lines are looked for, those with the most samples first.
#[cfg(feature = "compiler")]
const MOST_LINES: usize = 500;

/// How many offsets of a function are looked for.
#[cfg(feature = "compiler")]
const MOST_OFFSETS: usize = 4;

/// Samples the stacks of guests, of as many calls of [`ScriptExecutor::profile_runtime`](super::ScriptExecutor::profile_runtime) as are
/// made with it.
///
/// A sample is taken where a guest looks at its deadline, which compiled code does at the beginning of each function and of
/// each turn of a loop: the first such place after the interval counts. A guest that waits for the host is not sampled, and
/// a long call of the host counts as one sample at most. While a profiler exists and calls run, a thread of the library wakes
/// at its interval, so drop it when it is no longer needed. Profilers that exist at the same time share the finest interval.
///
/// # Memory
/// A profiler keeps at most 65,536 different functions and as many nodes of stacks, 8 MiB of names, and 4,194,304 frames in
/// [`Profile::stacks`]. Beyond that functions have no names, and samples are counted as left out. While a sample is taken, it
/// needs up to 50 MB more for each guest, if names are as long as they can be.
pub struct Profiler {
    interval: Duration,
    _asked: SamplingInterval,
    samples: Arc<Samples>,
    files: Mutex<Vec<ProfiledFile>>,
}

/// A file of which samples are taken.
struct ProfiledFile {
    sha: Sha256,
    #[cfg(feature = "compiler")]
    source: Source,
}

/// Where the source lines of a file are.
#[cfg(feature = "compiler")]
#[derive(Clone)]
struct Source {
    sha: Sha256,
    entry: Arc<RuntimeEntry>,
    debug_info: Arc<CachedDebugInfo>,
    shifts: Shifts,
    tenant: Tenant,
    cpu: Option<Arc<CpuTime>>,
}

impl Profiler {
    /// The intervals that there are. The system's clock wakes no thread much faster than the first, and the last is how
    /// often guests look at their deadlines anyhow.
    pub const INTERVALS: RangeInclusive<Duration> = Duration::from_micros(100)..=Duration::from_millis(2);

    /// A profiler that takes a sample after each `interval` of a guest's run.
    ///
    /// # Errors
    /// `invalid_request` where the interval is not one of [`INTERVALS`](Self::INTERVALS).
    pub fn every(interval: Duration) -> Result<Self> {
        if !Self::INTERVALS.contains(&interval) {
            let us = |interval: &Duration| interval.as_micros();
            let (least, most) = (us(Self::INTERVALS.start()), us(Self::INTERVALS.end()));
            let message = format!("must be from {least} to {most} µs, and is {} µs", us(&interval));
            return Err(Error::InvalidRequest { path: "interval".to_owned(), message });
        }
        Ok(Profiler {
            interval,
            _asked: SamplingInterval::new(interval),
            samples: Arc::new(Samples::new(MOST_FRAMES)),
            files: Mutex::default(),
        })
    }

    /// How many samples there are so far.
    pub fn samples(&self) -> u64 {
        self.samples.count()
    }

    /// What the samples so far tell. With DWARF in the module this looks for source lines, for a second at most.
    pub fn profile(&self) -> Profile {
        let sampled = self.samples.stacks();
        #[cfg(feature = "compiler")]
        let locations = self.locations(&sampled);
        #[cfg(not(feature = "compiler"))]
        let locations = Vec::new();
        Profile::new(&sampled, locations)
    }

    /// What takes the samples of one call.
    #[cfg_attr(
        not(feature = "compiler"),
        allow(unused_variables, reason = "lines are looked up with the compiler alone")
    )]
    pub(super) fn sampler(&self, prepared: &Prepared, entry: &Arc<RuntimeEntry>, policy: &Policy) -> Option<Sampler> {
        let sha = prepared.compiled.sha;
        let mut files = self.files.locked();
        let known = files.iter().position(|file| file.sha == sha);
        let file = match known {
            Some(file) => file,
            None if files.len() < MOST_FILES => {
                files.push(ProfiledFile {
                    sha,
                    #[cfg(feature = "compiler")]
                    source: Source {
                        sha,
                        entry: entry.clone(),
                        debug_info: prepared.compiled.debug_info.clone(),
                        shifts: prepared.compiled.shifts.clone(),
                        tenant: policy.tenant,
                        cpu: policy.cpu.clone(),
                    },
                });
                files.len() - 1
            }
            None => return None,
        };
        Some(Sampler { samples: self.samples.clone(), file: file as u32 })
    }

    /// The location of each function at which it was sampled most often.
    #[cfg(feature = "compiler")]
    fn locations(&self, sampled: &Stacks) -> Vec<Option<String>> {
        let mut locations = vec![None; sampled.functions.len()];
        let most = most_sampled(sampled);
        let sources: Vec<Source> = self.files.locked().iter().map(|file| file.source.clone()).collect();
        const TIME_MS: u64 = 1000;
        let deadline = Deadline::after(Instant::now(), TIME_MS);
        for (number, source) in sources.into_iter().enumerate().take_while(|_| deadline.remaining().is_ok()) {
            let of_file =
                most.iter().filter(|(function, _)| sampled.functions[*function as usize].file == number as u32);
            let (functions, offsets): (Vec<u32>, Vec<u64>) = of_file.copied().unzip();
            for (function, location) in functions.into_iter().zip(source.locations(&offsets, &deadline)) {
                let known = &mut locations[function as usize];
                *known = known.take().or(location);
            }
        }
        locations
    }
}

/// The offsets at which functions were sampled most often, for the functions with the most samples. Several offsets of a
/// function, because compilers give some code no line.
#[cfg(feature = "compiler")]
fn most_sampled(sampled: &Stacks) -> Vec<(u32, u64)> {
    let mut offsets: Vec<(u32, u64, u64)> =
        sampled.offsets.iter().map(|((function, offset), count)| (*function, u64::MAX - count, *offset)).collect();
    offsets.sort_unstable();
    let mut most: Vec<&[(u32, u64, u64)]> = offsets.chunk_by(|one, other| one.0 == other.0).collect();
    most.sort_by_key(|of_function| of_function[0].1);
    let most = most.into_iter().take(MOST_LINES).flat_map(|of_function| of_function.iter().take(MOST_OFFSETS));
    most.map(|(function, _, offset)| (*function, *offset)).collect()
}

#[cfg(feature = "compiler")]
impl Source {
    /// The location of each offset in the compiled file. All are unknown if the deadline passes.
    fn locations(self, offsets: &[u64], deadline: &Deadline) -> Vec<Option<String>> {
        let Source { sha, entry, debug_info, shifts, tenant, cpu } = self;
        let offsets = offsets.iter().map(|offset| shifts.in_file(*offset)).collect();
        let search = Search { cached: debug_info, sha, entry, offsets, tenant, cpu };
        let places = block_on(std::pin::pin!(run::places(search, deadline)));
        let told = |places: Vec<crate::debug_info::SourceLocation>| {
            let own = places.iter().find(|place| place.inlined.is_none());
            own.map(|place| format!("{}:{}", quoted(&place.file), place.line))
        };
        places.into_iter().map(told).collect()
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler").field("interval", &self.interval).field("samples", &self.samples()).finish()
    }
}
