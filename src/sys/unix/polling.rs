//! FIFOs. `poll` decides whether a FIFO is ready, because it tells how: readable, writable, or without its other end.
//! epoll, or what the system has in its place, only wakes a future, see [`Watched`].

use rustix::event::{PollFd, PollFlags, Timespec};
use std::fs::File;
use std::io;
use std::ops::{BitOr, BitOrAssign};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A set of states of a FIFO, or of those that are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness(PollFlags);

impl Readiness {
    pub const NONE: Readiness = Readiness(PollFlags::empty());
    pub const READABLE: Readiness = Readiness(PollFlags::IN);
    pub const WRITABLE: Readiness = Readiness(PollFlags::OUT);

    pub fn is_none(self) -> bool {
        self.0.is_empty()
    }

    pub fn has(self, other: Readiness) -> bool {
        self.0.contains(other.0)
    }

    /// Whether the FIFO has lost its other end.
    pub fn is_hung_up(self) -> bool {
        self.0.intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Readiness(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

pub(crate) fn bytes_to_read(fifo: &File) -> u64 {
    rustix::io::ioctl_fionread(fifo).unwrap_or(0)
}

pub(crate) fn poll<'a>(
    waiting: impl Iterator<Item = (&'a File, Readiness)>,
    patience: Duration,
) -> io::Result<Vec<Readiness>> {
    let mut polled: Vec<_> = waiting.map(|(file, wanted)| PollFd::new(file, wanted.0)).collect();
    let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    rustix::event::poll(&mut polled, Some(&timeout))?;
    Ok(polled.iter().map(|polled| Readiness(polled.revents())).collect())
}

/// A FIFO that epoll watches. epoll tells of each change once, and a change may be older than the last [`poll`]. So a future
/// asks epoll first and `poll` second: a change that comes after the `poll` wakes it. epoll refuses a descriptor that it
/// has already.
pub(crate) struct Watched<F: AsRef<File>> {
    fifo: AsyncFd<Descriptor<F>>,
    wanted: Readiness,
}

struct Descriptor<F>(Arc<F>);

impl<F: AsRef<File>> AsRawFd for Descriptor<F> {
    fn as_raw_fd(&self) -> RawFd {
        (*self.0).as_ref().as_raw_fd()
    }
}

impl<F: AsRef<File>> Watched<F> {
    #[allow(unsafe_code, reason = "the safe way is deprecated, since it takes what may give its descriptor away")]
    pub fn new(file: Arc<F>, wanted: Readiness) -> io::Result<Self> {
        let interest = match (wanted.has(Readiness::READABLE), wanted.has(Readiness::WRITABLE)) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, _) => Interest::WRITABLE,
        };
        // SAFETY: `register_with_interest` demands that `as_raw_fd` always returns the same descriptor, and that it
        // stays open as long as the `AsyncFd` lives. The `AsyncFd` owns an `Arc` of what has the file, and everything
        // that guests have open keeps one descriptor for as long as it lives.
        let fifo = unsafe { AsyncFd::register_with_interest(Descriptor(file), interest) }?;
        Ok(Watched { fifo, wanted })
    }

    /// Whether epoll has told of a change since the last call. If it has not, the next change wakes the context.
    pub fn has_news(&self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut has_news = false;
        if self.wanted.has(Readiness::READABLE)
            && let Poll::Ready(news) = self.fifo.poll_read_ready(context)
        {
            news?.clear_ready();
            has_news = true;
        }
        if self.wanted.has(Readiness::WRITABLE)
            && let Poll::Ready(news) = self.fifo.poll_write_ready(context)
        {
            news?.clear_ready();
            has_news = true;
        }
        Ok(has_news)
    }
}
