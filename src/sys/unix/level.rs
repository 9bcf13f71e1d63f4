//! A descriptor that an event loop finds readable from [`raise`](Eventfd::raise) to [`lower`](Eventfd::lower).
//!
//! Linux has `eventfd` for this. A pipe does the same on every other Unix.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use eventfd::Eventfd as Level;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use pipe::Pipe as Level;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod eventfd {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::io;
    use std::os::fd::{AsRawFd, OwnedFd};

    /// A counter of the kernel. It is readable while it is not 0.
    #[derive(Debug)]
    pub struct Eventfd(OwnedFd);

    impl Eventfd {
        pub fn new() -> std::io::Result<Self> {
            Ok(Eventfd(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
        }

        pub fn fd(&self) -> i32 {
            self.0.as_raw_fd()
        }

        /// Makes the descriptor readable. A watcher for edges sees an edge, even if the descriptor was readable before.
        pub fn raise(&self) {
            // The counter would be full after 2⁶⁴ - 1 calls without a `lower`.
            let _ = io::retry_on_intr(|| io::write(&self.0, &1_u64.to_ne_bytes()));
        }

        /// Makes the descriptor not readable.
        pub fn lower(&self) {
            // One read takes the whole counter. The read fails if the counter is 0 already.
            let _ = io::retry_on_intr(|| io::read(&self.0, &mut [0_u8; 8]));
        }
    }
}

#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod pipe {
    use rustix::io;
    use std::io::{PipeReader, PipeWriter};
    use std::os::fd::AsRawFd;

    /// A pipe of the process with itself. It is readable while there are bytes in it.
    #[derive(Debug)]
    pub struct Pipe {
        reader: PipeReader,
        writer: PipeWriter,
    }

    impl Pipe {
        pub fn new() -> std::io::Result<Self> {
            // Both ends are closed on exec.
            let (reader, writer) = std::io::pipe()?;
            io::ioctl_fionbio(&reader, true)?;
            io::ioctl_fionbio(&writer, true)?;
            Ok(Pipe { reader, writer })
        }

        pub fn fd(&self) -> i32 {
            self.reader.as_raw_fd()
        }

        /// Makes the descriptor readable. A watcher for edges sees an edge, even if the descriptor was readable before.
        pub fn raise(&self) {
            // A pipe that is full is emptied first, since a write that fails makes no edge.
            if io::retry_on_intr(|| io::write(&self.writer, &[0])).is_err() {
                self.lower();
                let _ = io::retry_on_intr(|| io::write(&self.writer, &[0]));
            }
        }

        /// Makes the descriptor not readable.
        pub fn lower(&self) {
            // Fails once the pipe is empty.
            while io::retry_on_intr(|| io::read(&self.reader, &mut [0_u8; 512])).is_ok_and(|read| read > 0) {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{OFlags, fcntl_getfl};
    use rustix::io::{FdFlags, fcntl_getfd};
    use std::os::fd::{BorrowedFd, RawFd};

    #[allow(unsafe_code, reason = "an event loop has a number alone")]
    fn borrowed<'a>(fd: RawFd) -> BorrowedFd<'a> {
        // SAFETY: the descriptor outlives each use below.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    fn is_readable(fd: RawFd) -> bool {
        let fd = borrowed(fd);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&at_once)).unwrap() == 1
    }

    fn assert_levels(fd: RawFd, raise: impl Fn(), lower: impl Fn()) {
        assert!(fcntl_getfd(borrowed(fd)).unwrap().contains(FdFlags::CLOEXEC));
        assert!(fcntl_getfl(borrowed(fd)).unwrap().contains(OFlags::NONBLOCK));
        assert!(!is_readable(fd));
        lower();
        // More than fit into a pipe.
        for raises in [1, 2, 100_000] {
            (0..raises).for_each(|_| raise());
            assert!(is_readable(fd) && is_readable(fd), "{raises}");
            lower();
            assert!(!is_readable(fd), "{raises}");
        }
    }

    #[test]
    fn a_descriptor_is_readable_from_raise_to_lower() {
        let level = Level::new().unwrap();
        assert_levels(level.fd(), || level.raise(), || level.lower());
        let pipe = pipe::Pipe::new().unwrap();
        assert_levels(pipe.fd(), || pipe.raise(), || pipe.lower());
    }
}
