//! FIFOs. The host's descriptor never blocks: what waits is `poll`, for as long as the deadline and a cancel allow.

use super::super::guest::{Answer, Failure, Guest};
use super::{OpenFile, blocking};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi::p1::types::{Errno, Fdflags};

/// What a pipe of Linux holds.
const CAPACITY: usize = 64 << 10;
/// How soon a failed `poll` is tried again.
const AGAIN: Duration = Duration::from_millis(1);

/// A FIFO, and what a guest waits for in it.
pub(in crate::sandbox) struct Waiting {
    file: Arc<File>,
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

/// Waits until a guest's `read` or `write` has something to do, unless it does not want to wait.
fn wait(guest: &mut Guest<'_>, open: &OpenFile, wanted: PollFlags) -> Answer {
    let waiting = [Waiting::new(open, wanted)?];
    if waits(open) {
        let sandbox = &mut *guest.sandbox;
        sandbox.clock.wait(&sandbox.deadline, None, |patience| !ready(&waiting, patience)[0].is_empty())?;
    }
    Ok(())
}

fn waits(open: &OpenFile) -> bool {
    !open.flags.contains(Fdflags::NONBLOCK)
}

/// What is there, up to `room` bytes; nothing once every writer is gone.
pub(super) fn read(guest: &mut Guest<'_>, open: &OpenFile, room: usize) -> Answer<Vec<u8>> {
    let mut bytes = vec![0; room.min(CAPACITY)];
    while !bytes.is_empty() {
        wait(guest, open, PollFlags::IN)?;
        match (&*open.file).read(&mut bytes) {
            // Another reader was faster.
            Err(error) if error.kind() == ErrorKind::WouldBlock && waits(open) => {}
            count => {
                bytes.truncate(count?);
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
        wait(guest, open, PollFlags::OUT)?;
        let (file, bytes) = (open.file.clone(), bytes.clone());
        // Not that it could block: without a reader it raises SIGPIPE, which the library's threads block and the host's
        // may not.
        match blocking(move || (&*file).write(&bytes)).await {
            Err(Failure::Errno(Errno::Again)) if waits(open) => {}
            written => return written,
        }
    }
}
