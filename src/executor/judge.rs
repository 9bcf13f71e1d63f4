//! The result of a call, judged by how its guest ended.

use crate::error::{Error, Result, Stopped};
use crate::module_cache::Prepared;
use crate::protocol::RuntimeOutput;
use crate::reply::Meta;
use crate::run::{Captured, Ending};
use crate::sandbox::Refused;

/// How long the steps of a call took.
#[derive(Default)]
pub(super) struct Times {
    pub load_us: u64,
    pub queue_us: u64,
    pub run_us: u64,
}

/// The error of a guest that was refused memory and went on.
pub(super) fn refused_memory(captured: &Captured) -> Option<Error> {
    match captured.refused {
        Some(Refused { limit, value }) => Some(Error::MemoryExceeded { limit, value, guest: Box::default() }),
        None => captured.is_out_of_memory.then(|| Error::no_memory("a guest")),
    }
}

/// The result of a call whose guest ended by itself. The first case that applies counts:
///
/// 1. The guest exited with 0: its stdout is the result, even if that is an error.
/// 2. The guest exited with another code, and its stdout is an error of the runtime: this error, because it explains
///    more than the exit code does.
/// 3. The guest was refused memory: `memory_exceeded`.
/// 4. The system refused memory that the limits allow: `no_resources`.
/// 5. The guest exited or trapped: this exit code or trap.
pub(super) fn judge(captured: Captured, prepared: &Prepared, times: &Times) -> Result<RuntimeOutput> {
    let Captured { stdout, stderr, ending, refused, is_out_of_memory, entry, .. } = captured;
    if let Ending::Exit(0) = ending {
        let output = RuntimeOutput::parse(stdout, &stderr)?;
        return Ok(output.with_meta(Meta {
            runtime: entry,
            module_sha256: prepared.compiled.sha,
            script_sha256: None,
            snapshot: None,
            cache: prepared.tier.as_str(),
            load_us: times.load_us,
            queue_us: times.queue_us,
            run_us: times.run_us,
            total_us: times.load_us + times.queue_us + times.run_us,
            memory_bytes: captured.memory_bytes,
            fuel: captured.fuel,
            stderr,
        }));
    }
    match (ending, RuntimeOutput::parse(stdout, &stderr), refused) {
        (Ending::Exit(_), Err(error @ Error::Runtime { .. }), _) => Err(error),
        (ending, _, Some(Refused { limit, value })) => {
            let backtrace = match ending {
                Ending::Trap { backtrace, .. } => backtrace,
                Ending::Exit(_) => Vec::new(),
            };
            let guest = Box::new(Stopped { stderr, backtrace, ..Stopped::default() });
            Err(Error::MemoryExceeded { limit, value, guest })
        }
        (_, _, None) if is_out_of_memory => Err(Error::no_memory("a guest")),
        (Ending::Exit(exit_code), _, None) => Err(Error::Exit { exit_code, stderr }),
        (Ending::Trap { trap, backtrace }, _, None) => Err(Error::Trap { trap, backtrace, stderr }),
    }
}
