//! FIFOs. The host's descriptor never blocks: what waits is `poll`, for as long as the deadline and a cancel allow.

use super::super::guest::{Answer, Failure, Guest};
use super::OpenFile;
use super::host_file::HostFile;
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

/// What a pipe of Linux holds.
const CAPACITY: usize = 64 << 10;
/// How soon a failed `poll` is tried again.
const AGAIN: Duration = Duration::from_millis(1);

/// A FIFO, and what a guest waits for in it.
#[derive(Clone)]
pub(in crate::sandbox) struct Waiting {
    file: Arc<HostFile>,
    wanted: PollFlags,
}

impl Waiting {
    /// A FIFO that is not open for it is waited for in vain.
    pub(super) fn new(open: &OpenFile, wanted: PollFlags) -> Answer<Self> {
        let (read, write) = open.mode()?;
        let is_open_for_it = if wanted == PollFlags::IN { read } else { write };
        if is_open_for_it { Ok(Waiting { file: open.file.clone(), wanted }) } else { Err(Errno::Badf.into()) }
    }

    /// How much there is to read.
    pub(in crate::sandbox) fn bytes(&self) -> u64 {
        if self.wanted == PollFlags::IN { rustix::io::ioctl_fionread(&self.file).unwrap_or(0) } else { 0 }
    }
}

/// A FIFO whose news wake a future.
struct Watched {
    fifo: AsyncFd<Arc<HostFile>>,
    wanted: PollFlags,
}

/// Watches each FIFO once, by the descriptor that it has, however often the guest waits for it: epoll takes no descriptor
/// twice.
fn watch(waiting: &[Waiting]) -> io::Result<Vec<Watched>> {
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
        // SAFETY: a `HostFile` keeps its descriptor, open, for as long as it lives.
        let fifo = unsafe { AsyncFd::register_with_interest(file, interest) }?;
        Ok(Watched { fifo, wanted })
    }

    /// Whether there was news since it was asked last. It wakes the context when there is more.
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

/// Waits until one is ready or has lost its other end, at most for `patience`. What became of each.
///
/// A FIFO that was opened for reading is not ready before its first writer, as if opening it had waited for that; it has lost
/// its writers once there were some.
pub(in crate::sandbox) fn ready(waiting: &[Waiting], patience: Duration) -> Vec<PollFlags> {
    let mut polled: Vec<_> = waiting.iter().map(|waiting| PollFd::new(&*waiting.file, waiting.wanted)).collect();
    let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) => polled.iter().map(PollFd::revents).collect(),
        // A signal of the host's, most likely.
        Err(_) => {
            std::thread::sleep(patience.min(AGAIN));
            vec![PollFlags::empty(); waiting.len()]
        }
    }
}

/// The same for a call that holds no thread meanwhile.
pub(in crate::sandbox) async fn ready_until(waiting: &[Waiting], until: Option<Instant>) -> Answer<Vec<PollFlags>> {
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
        // That was old. It tells of what comes when it is asked again.
        if has_news {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// Waits until a guest's `read` or `write` has something to do, unless it does not want to wait.
async fn wait(open: &OpenFile, wanted: PollFlags) -> Answer {
    let waiting = [Waiting::new(open, wanted)?];
    if waits(open) && ready(&waiting, Duration::ZERO)[0].is_empty() {
        ready_until(&waiting, None).await?;
    }
    Ok(())
}

fn waits(open: &OpenFile) -> bool {
    !open.flags.contains(Fdflags::NONBLOCK)
}

/// What is there, up to `room` bytes; nothing once every writer is gone.
pub(super) async fn read(open: &OpenFile, room: usize) -> Answer<Vec<u8>> {
    let mut bytes = vec![0; room.min(CAPACITY)];
    while !bytes.is_empty() {
        wait(open, PollFlags::IN).await?;
        match rustix::io::read(&open.file, &mut bytes) {
            // Another reader was faster.
            Err(rustix::io::Errno::AGAIN) if waits(open) => {}
            count => {
                bytes.truncate(count.map_err(io::Error::from)?);
                break;
            }
        }
    }
    Ok(bytes)
}

/// Writes what fits, and waits until something does.
pub(super) async fn write(guest: &mut Guest<'_>, open: &OpenFile, bytes: Vec<u8>) -> Answer<usize> {
    let bytes = Arc::new(bytes);
    loop {
        wait(open, PollFlags::OUT).await?;
        let (file, bytes) = (open.file.clone(), bytes.clone());
        // Not that it could block: without a reader it raises SIGPIPE, which the library's threads block and the host's
        // may not.
        match guest.blocking(move || file.write(&bytes)).await {
            Err(Failure::Errno(Errno::Again)) if waits(open) => {}
            written => return written,
        }
    }
}
