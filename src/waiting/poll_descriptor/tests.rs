#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

/// The watcher for edges is epoll.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod interleavings;

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[allow(unsafe_code, reason = "an event loop has a number alone")]
fn is_readable(fd: RawFd, wait: &Timespec) -> bool {
    // SAFETY: the descriptor is open until the end of each test.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(wait)).unwrap() == 1
}

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const FOR_LONG: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

#[test]
fn it_is_readable_while_a_source_has_something() {
    let descriptor = PollDescriptor::default();
    descriptor.update(Source::Replies, || unreachable!("nobody has asked for the descriptor"));
    descriptor.renew();
    let fd = descriptor.open().unwrap().unwrap();
    assert_eq!(descriptor.open().unwrap(), Some(fd));
    for (source, has, readable) in [
        (Source::Replies, false, false),
        (Source::Replies, true, true),
        (Source::HostCalls, true, true),
        (Source::Replies, false, true),
        (Source::HostCalls, false, false),
    ] {
        descriptor.update(source, || has);
        descriptor.renew();
        assert_eq!(is_readable(fd, &AT_ONCE), readable, "{source:?}: {has}");
    }
    descriptor.close();
    descriptor.update(Source::Replies, || unreachable!("it is closed"));
    assert_eq!(descriptor.open().unwrap(), None);
    let never_asked = PollDescriptor::default();
    never_asked.close();
    assert_eq!(never_asked.open().unwrap(), None);
}

/// Many threads add to both sources while one thread takes, and only when the descriptor is readable. The
/// descriptor is made somewhere in between.
#[test]
fn no_wake_up_is_lost_and_none_is_left() {
    const THREADS: usize = 8;
    const EACH: usize = 2_000;
    for _ in 0..5 {
        let (descriptor, sources) = (PollDescriptor::default(), [Mutex::new(0_usize), Mutex::new(0)]);
        let (added, begun) = (AtomicUsize::new(0), std::sync::Barrier::new(THREADS + 1));
        let update = |source: Source| {
            descriptor.update(source, || *sources[source as usize].locked() > 0);
        };
        let fd = thread::scope(|scope| {
            for thread in 0..THREADS {
                let source = if thread % 2 == 0 { Source::Replies } else { Source::HostCalls };
                let (sources, added, begun, update) = (&sources, &added, &begun, &update);
                scope.spawn(move || {
                    begun.wait();
                    for _ in 0..EACH {
                        *sources[source as usize].locked() += 1;
                        added.fetch_add(1, Ordering::Relaxed);
                        update(source);
                    }
                });
            }
            begun.wait();
            let fd = descriptor.open().unwrap().unwrap();
            let both = [Source::Replies, Source::HostCalls];
            both.into_iter().for_each(update);
            let mut taken = 0;
            while taken < THREADS * EACH {
                assert!(is_readable(fd, &FOR_LONG), "a wake-up was lost: {taken} of {added:?} were taken");
                for source in both {
                    taken += std::mem::take(&mut *sources[source as usize].locked());
                    update(source);
                }
            }
            fd
        });
        assert!(!is_readable(fd, &AT_ONCE), "it stays readable with nothing there");
    }
}

/// The look at a source and the change of the level are one step: an update that comes in between waits.
#[test]
fn an_update_does_not_set_what_another_one_has_made_stale() {
    let (descriptor, source) = (PollDescriptor::default(), Mutex::new(0_usize));
    let fd = descriptor.open().unwrap().unwrap();
    let (sender, is_done) = mpsc::channel();
    thread::scope(|scope| {
        descriptor.update(Source::Replies, || {
            let has = *source.locked() > 0;
            let (descriptor, source) = (&descriptor, &source);
            scope.spawn(move || {
                *source.locked() += 1;
                descriptor.update(Source::Replies, || *source.locked() > 0);
                sender.send(()).unwrap();
            });
            // The other update cannot end. Whether it has begun by then makes no difference to what is asserted.
            assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err());
            has
        });
    });
    assert!(is_readable(fd, &AT_ONCE), "the wake-up was lost");
}
