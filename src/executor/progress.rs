//! Reports the progress of a registration to `arawn.log` of its executor. Nothing waits until a report was delivered.

use crate::error::Phase;
use crate::host_functions::HostFunctions;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The stages of a registration, in this order. `Compiling` is left out if a cache has the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegistrationStage {
    Reading,
    Compiling,
    Writing,
}

impl RegistrationStage {
    fn as_str(self) -> &'static str {
        match self {
            RegistrationStage::Reading => "reading",
            RegistrationStage::Compiling => "compiling",
            RegistrationStage::Writing => "writing",
        }
    }
}

/// Reports the progress of one registration.
pub(super) struct Progress {
    functions: Arc<HostFunctions>,
    /// The job name of a submitted registration.
    job: Option<Arc<str>>,
    begun: Instant,
    is_writing: AtomicBool,
}

impl Progress {
    pub fn new(functions: Arc<HostFunctions>, job: Option<Arc<str>>, begun: Instant) -> Self {
        Progress { functions, job, begun, is_writing: AtomicBool::new(false) }
    }

    /// Reports that a stage begins.
    pub fn begin(&self, stage: RegistrationStage, runtime: &str, bytes: Option<u64>) {
        if stage == RegistrationStage::Writing {
            self.is_writing.store(true, Ordering::Relaxed);
        }
        self.tell(stage, runtime, bytes, "");
    }

    /// Reports that the compiler has not finished yet.
    pub fn go_on_compiling(&self, runtime: &str, bytes: u64) {
        self.tell(RegistrationStage::Compiling, runtime, Some(bytes), "still ");
    }

    /// The current phase, for an error.
    pub fn phase(&self) -> Phase {
        if self.is_writing.load(Ordering::Relaxed) { Phase::Lock } else { Phase::Load }
    }

    fn tell(&self, stage: RegistrationStage, runtime: &str, bytes: Option<u64>, still: &str) {
        let elapsed = self.begun.elapsed();
        let size = bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
        let time = if still.is_empty() { String::new() } else { format!(", {} s", elapsed.as_secs()) };
        let progress = json!({
            "level": "info",
            "about": "register",
            "message": format!("{still}{} `{runtime}`{size}{time}", stage.as_str()),
            "runtime": runtime,
            "job": self.job.as_deref(),
            "stage": stage.as_str(),
            "bytes": bytes,
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        self.functions.tell_progress(&progress.to_string());
    }
}

/// A size for a person to read, in decimal units.
fn size(bytes: u64) -> String {
    let of = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", of(1_000)),
        _ => format!("{} MB", of(1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_told_in_units_of_a_thousand() {
        let sizes = [0, 999, 1_000, 12_345, 999_999, 1_000_000, 3_300_000, 268_435_456].map(size);
        let expected = ["0 bytes", "999 bytes", "1.0 kB", "12.3 kB", "999.9 kB", "1.0 MB", "3.3 MB", "268.4 MB"];
        assert_eq!(sizes, expected);
    }
}
