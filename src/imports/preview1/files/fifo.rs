//! FIFOs. The host's descriptor of a FIFO never blocks. A guest that has to wait does so in a future, [`ready_until`],
//! which holds no thread. The deadline or a cancel of the call drops the future.
//!
//! 1. [`sys::poll`] decides whether a FIFO is ready, because it tells how: readable, writable, or without its other end.
//! 2. [`sys::Watched`] only wakes the future. It tells of each change once, and a change may be older than the last `poll`.
//!    So the future asks it first and `poll` second: a change that comes after the `poll` wakes it.

use super::super::errno::{ErrnoResult, TrappableErrno};
use crate::sandbox::Guest;
use crate::sandbox::files::{GuestDescriptor, HostFile, OpenFile};
use crate::sys::{self, Readiness, Watched};
use crate::waiting::sleep_until;
use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use wasmtime_wasi::p1::types::{Errno, Fdflags};

/// The bytes that a pipe of Linux holds.
const CAPACITY: usize = 64 << 10;
/// The pause after a `poll` that has failed.
const AGAIN: Duration = Duration::from_millis(1);

/// A FIFO, and what a guest waits for: to read or to write.
#[derive(Clone)]
pub(crate) struct FifoInterest {
    file: Arc<HostFile>,
    wanted: Readiness,
}

impl FifoInterest {
    /// Fails if the FIFO is not open for what the guest waits for: it would wait in vain.
    pub(super) fn new(open: &OpenFile, wanted: Readiness) -> ErrnoResult<Self> {
        let (read, write) = open.mode()?;
        let is_open_for_it = if wanted == Readiness::READABLE { read } else { write };
        if is_open_for_it { Ok(FifoInterest { file: open.file.clone(), wanted }) } else { Err(Errno::Badf.into()) }
    }

    /// How many bytes there are to read; 0 for a guest that waits to write.
    pub(crate) fn bytes(&self) -> u64 {
        if self.wanted == Readiness::READABLE { sys::bytes_to_read(self.file.file()) } else { 0 }
    }
}

impl Guest<'_> {
    /// The FIFO that a descriptor is; `None` for any other descriptor, since it is always ready.
    pub(crate) fn fifo_interest(&mut self, fd: u32, wanted: Readiness) -> ErrnoResult<Option<FifoInterest>> {
        match self.descriptor(fd)? {
            GuestDescriptor::File(open) if open.is_fifo => FifoInterest::new(open, wanted).map(Some),
            _ => Ok(None),
        }
    }
}

/// Watches each FIFO once, by the descriptor that it has, however often the guest waits for it: epoll refuses a
/// descriptor that it has already.
fn watch(waiting: &[FifoInterest]) -> io::Result<Vec<Watched<HostFile>>> {
    let mut wanted: HashMap<*const HostFile, (&Arc<HostFile>, Readiness)> = HashMap::new();
    for waiting in waiting {
        let of_it = wanted.entry(Arc::as_ptr(&waiting.file)).or_insert((&waiting.file, Readiness::NONE));
        of_it.1 |= waiting.wanted;
    }
    wanted.into_values().map(|(file, wanted)| Watched::new(file.clone(), wanted)).collect()
}

/// Waits until a FIFO is ready or has lost its other end, at most for `remaining`. Returns the state of each FIFO.
///
/// A FIFO that is open for reading is not ready before it has had a writer, as if opening it had waited for the writer.
/// It has lost its other end once it has had writers and all are gone.
pub(crate) fn ready(waiting: &[FifoInterest], patience: Duration) -> Vec<Readiness> {
    let states = sys::poll(waiting.iter().map(|waiting| (waiting.file.file(), waiting.wanted)), patience);
    // Most likely a signal of the host has interrupted a `poll` that fails.
    states.unwrap_or_else(|_| {
        std::thread::sleep(patience.min(AGAIN));
        vec![Readiness::NONE; waiting.len()]
    })
}

/// Waits as [`ready`] does, until a given time or without a limit, and holds no thread meanwhile.
pub(crate) async fn ready_until(waiting: &[FifoInterest], until: Option<Instant>) -> ErrnoResult<Vec<Readiness>> {
    let watched = watch(waiting)?;
    let mut sleep = pin!(async {
        match until {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
    });
    poll_fn(|context| {
        let mut has_news = false;
        for watched in &watched {
            has_news |= watched.has_news(context)?;
        }
        let states = ready(waiting, Duration::ZERO);
        if states.iter().any(|state| !state.is_none()) || sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(states));
        }
        // The change was older than the `poll`. The next call of `has_news` has the context woken by a new change.
        if has_news {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// Waits until a guest's `read` or `write` can do something. Does not wait if the guest has set `NONBLOCK`.
async fn wait(open: &OpenFile, wanted: Readiness) -> ErrnoResult {
    let waiting = [FifoInterest::new(open, wanted)?];
    if waits(open) && ready(&waiting, Duration::ZERO)[0].is_none() {
        ready_until(&waiting, None).await?;
    }
    Ok(())
}

fn waits(open: &OpenFile) -> bool {
    !open.flags.contains(Fdflags::NONBLOCK)
}

/// Waits until there are bytes, and reads up to `room` of them. Reads none once every writer is gone.
pub(super) async fn read(open: &OpenFile, room: usize) -> ErrnoResult<Vec<u8>> {
    if room == 0 {
        return Ok(Vec::new());
    }
    loop {
        wait(open, Readiness::READABLE).await?;
        match open.file.read(room.min(CAPACITY)) {
            // Another reader has taken the bytes.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && waits(open) => {}
            bytes => return Ok(bytes?),
        }
    }
}

/// Waits until something fits, and writes what fits.
pub(super) async fn write(guest: &mut Guest<'_>, open: &OpenFile, bytes: Vec<u8>) -> ErrnoResult<usize> {
    let bytes = Arc::new(bytes);
    loop {
        wait(open, Readiness::WRITABLE).await?;
        let (file, bytes) = (open.file.clone(), bytes.clone());
        // The write does not block. It runs on a thread of the library because it raises SIGPIPE if there is no reader:
        // the library's threads block that signal, and the host's threads may not.
        match guest.blocking(move || file.write(&bytes)).await {
            Err(TrappableErrno::Errno(Errno::Again)) if waits(open) => {}
            written => return written,
        }
    }
}
