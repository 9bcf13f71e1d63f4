//! FIFOs. The host's descriptor of a FIFO never blocks. A guest that has to wait does so in a future, [`ready_until`],
//! which holds no thread. The deadline or a cancel of the call drops the future.
//!
//! 1. `poll` decides whether a FIFO is ready, because it tells how: readable, writable, or without its other end.
//! 2. epoll, by [`AsyncFd`], only wakes the future. It tells of each change once, and a change may be older than the
//!    last `poll`. So the future asks epoll first and `poll` second: a change that comes after the `poll` wakes it.

use super::super::errno::{ErrnoResult, TrappableErrno};
use crate::sandbox::Guest;
use crate::sandbox::files::{GuestDescriptor, HostFile, OpenFile};
use crate::waiting::sleep_until;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wasmtime_wasi::p1::types::{Errno, Fdflags};

/// The bytes that a pipe of Linux holds.
const CAPACITY: usize = 64 << 10;
/// The pause after a `poll` that has failed.
const AGAIN: Duration = Duration::from_millis(1);

/// A FIFO, and what a guest waits for: to read or to write.
#[derive(Clone)]
pub(crate) struct FifoInterest {
    file: Arc<HostFile>,
    wanted: PollFlags,
}

impl FifoInterest {
    /// Fails if the FIFO is not open for what the guest waits for: it would wait in vain.
    pub(super) fn new(open: &OpenFile, wanted: PollFlags) -> ErrnoResult<Self> {
        let (read, write) = open.mode()?;
        let is_open_for_it = if wanted == PollFlags::IN { read } else { write };
        if is_open_for_it { Ok(FifoInterest { file: open.file.clone(), wanted }) } else { Err(Errno::Badf.into()) }
    }

    /// How many bytes there are to read; 0 for a guest that waits to write.
    pub(crate) fn bytes(&self) -> u64 {
        if self.wanted == PollFlags::IN { rustix::io::ioctl_fionread(&self.file).unwrap_or(0) } else { 0 }
    }
}

impl Guest<'_> {
    /// The FIFO that a descriptor is; `None` for any other descriptor, since it is always ready.
    pub(crate) fn fifo_interest(&mut self, fd: u32, wanted: PollFlags) -> ErrnoResult<Option<FifoInterest>> {
        match self.descriptor(fd)? {
            GuestDescriptor::File(open) if open.is_fifo => FifoInterest::new(open, wanted).map(Some),
            _ => Ok(None),
        }
    }
}

/// A FIFO whose changes wake a future.
struct Watched {
    fifo: AsyncFd<Arc<HostFile>>,
    wanted: PollFlags,
}

/// Watches each FIFO once, by the descriptor that it has, however often the guest waits for it: epoll refuses a
/// descriptor that it has already.
fn watch(waiting: &[FifoInterest]) -> io::Result<Vec<Watched>> {
    let mut wanted: HashMap<*const HostFile, (&Arc<HostFile>, PollFlags)> = HashMap::new();
    for waiting in waiting {
        let of_it = wanted.entry(Arc::as_ptr(&waiting.file)).or_insert((&waiting.file, PollFlags::empty()));
        of_it.1 |= waiting.wanted;
    }
    wanted.into_values().map(|(file, wanted)| Watched::new(file.clone(), wanted)).collect()
}

impl Watched {
    #[allow(unsafe_code, reason = "the safe way is deprecated, since it takes what may give its descriptor away")]
    fn new(file: Arc<HostFile>, wanted: PollFlags) -> io::Result<Self> {
        let interest = match (wanted.contains(PollFlags::IN), wanted.contains(PollFlags::OUT)) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, _) => Interest::WRITABLE,
        };
        // SAFETY: `register_with_interest` demands that `as_raw_fd` always returns the same descriptor, and that it
        // stays open as long as the `AsyncFd` lives. The `AsyncFd` owns an `Arc` of the `HostFile`, which keeps one
        // descriptor open for as long as it lives.
        let fifo = unsafe { AsyncFd::register_with_interest(file, interest) }?;
        Ok(Watched { fifo, wanted })
    }

    /// Whether epoll has told of a change since the last call. If it has not, the next change wakes the context.
    fn has_news(&self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut has_news = false;
        if self.wanted.contains(PollFlags::IN)
            && let Poll::Ready(news) = self.fifo.poll_read_ready(context)
        {
            news?.clear_ready();
            has_news = true;
        }
        if self.wanted.contains(PollFlags::OUT)
            && let Poll::Ready(news) = self.fifo.poll_write_ready(context)
        {
            news?.clear_ready();
            has_news = true;
        }
        Ok(has_news)
    }
}

/// Waits until a FIFO is ready or has lost its other end, at most for `remaining`. Returns the state of each FIFO.
///
/// A FIFO that is open for reading is not ready before it has had a writer, as if opening it had waited for the writer.
/// It has lost its other end once it has had writers and all are gone.
pub(crate) fn ready(waiting: &[FifoInterest], patience: Duration) -> Vec<PollFlags> {
    let mut polled: Vec<_> = waiting.iter().map(|waiting| PollFd::new(&*waiting.file, waiting.wanted)).collect();
    let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) => polled.iter().map(PollFd::revents).collect(),
        // Most likely a signal of the host has interrupted the `poll`.
        Err(_) => {
            std::thread::sleep(patience.min(AGAIN));
            vec![PollFlags::empty(); waiting.len()]
        }
    }
}

/// Waits as [`ready`] does, until a given time or without a limit, and holds no thread meanwhile.
pub(crate) async fn ready_until(waiting: &[FifoInterest], until: Option<Instant>) -> ErrnoResult<Vec<PollFlags>> {
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
        if states.iter().any(|state| !state.is_empty()) || sleep.as_mut().poll(context).is_ready() {
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
async fn wait(open: &OpenFile, wanted: PollFlags) -> ErrnoResult {
    let waiting = [FifoInterest::new(open, wanted)?];
    if waits(open) && ready(&waiting, Duration::ZERO)[0].is_empty() {
        ready_until(&waiting, None).await?;
    }
    Ok(())
}

fn waits(open: &OpenFile) -> bool {
    !open.flags.contains(Fdflags::NONBLOCK)
}

/// Waits until there are bytes, and reads up to `room` of them. Reads none once every writer is gone.
pub(super) async fn read(open: &OpenFile, room: usize) -> ErrnoResult<Vec<u8>> {
    let mut bytes = vec![0; room.min(CAPACITY)];
    while !bytes.is_empty() {
        wait(open, PollFlags::IN).await?;
        match rustix::io::read(&open.file, &mut bytes) {
            // Another reader has taken the bytes.
            Err(rustix::io::Errno::AGAIN) if waits(open) => {}
            count => {
                bytes.truncate(count.map_err(io::Error::from)?);
                break;
            }
        }
    }
    Ok(bytes)
}

/// Waits until something fits, and writes what fits.
pub(super) async fn write(guest: &mut Guest<'_>, open: &OpenFile, bytes: Vec<u8>) -> ErrnoResult<usize> {
    let bytes = Arc::new(bytes);
    loop {
        wait(open, PollFlags::OUT).await?;
        let (file, bytes) = (open.file.clone(), bytes.clone());
        // The write does not block. It runs on a thread of the library because it raises SIGPIPE if there is no reader:
        // the library's threads block that signal, and the host's threads may not.
        match guest.blocking(move || file.write(&bytes)).await {
            Err(TrappableErrno::Errno(Errno::Again)) if waits(open) => {}
            written => return written,
        }
    }
}
