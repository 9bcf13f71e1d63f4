//! The attributes of a file in the formats of preview 1.

use super::super::errno::ErrnoResult;
use crate::sandbox::files::{filetype, inode};
use crate::sys::{self, NewTime, NewTimes};
use cap_std::fs::Metadata;
use wasmtime_wasi::p1::types::{Errno, Fstflags};

const SECOND: u64 = 1_000_000_000;

/// A `filestat` of 64 bytes: device at 0, inode at 8, type at 16, links at 24, size at 32, then the times of the last
/// access, change of data and change of status. The guest does not see the host's device: the device is always 1, and
/// the inode alone tells files apart.
pub(super) fn filestat(metadata: &Metadata) -> [u8; 64] {
    let [access, modification, change] = sys::file_times(metadata).map(|(seconds, nanoseconds)| {
        let (seconds, nanoseconds) = (u64::try_from(seconds).unwrap_or(0), u64::try_from(nanoseconds).unwrap_or(0));
        seconds.saturating_mul(SECOND).saturating_add(nanoseconds)
    });
    let words = [
        1,
        inode(metadata),
        filetype(metadata.file_type()) as u64,
        sys::link_count(metadata),
        metadata.len(),
        access,
        modification,
        change,
    ];
    let mut stat = [0; 64];
    for (bytes, word) in stat.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    stat
}

/// The times that a guest sets: each is given in nanoseconds since 1970, is now, or stays as it is.
pub(super) fn times(atim: u64, mtim: u64, flags: u32) -> ErrnoResult<NewTimes> {
    let flags = u16::try_from(flags).ok().and_then(Fstflags::from_bits).ok_or(Errno::Inval)?;
    let time = |given: Fstflags, now: Fstflags, nanoseconds: u64| match (flags.contains(given), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(NewTime::At {
            seconds: (nanoseconds / SECOND).try_into().map_err(|_| Errno::Overflow)?,
            nanoseconds: (nanoseconds % SECOND) as u32,
        }),
        (false, true) => Ok(NewTime::Now),
        (false, false) => Ok(NewTime::AsItIs),
    };
    let access = time(Fstflags::ATIM, Fstflags::ATIM_NOW, atim)?;
    let modification = time(Fstflags::MTIM, Fstflags::MTIM_NOW, mtim)?;
    Ok(NewTimes { access, modification })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use cap_std::fs::Dir;
    use std::fs::File;

    /// Guests learn neither the host's device nor its inodes: a hash of both tells files apart.
    #[test]
    fn a_filestat_tells_files_apart_and_nothing_of_the_host() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::from_std_file(File::open(directory.path()).unwrap());
        ["one", "other"].iter().for_each(|name| drop(File::create(directory.path().join(name)).unwrap()));
        let words = |name: &str| {
            let stat = filestat(&dir.metadata(name).unwrap());
            [0, 8].map(|at| u64::from_le_bytes(stat[at..at + 8].try_into().unwrap()))
        };
        let (one, other) = (words("one"), words("other"));
        let host = directory.path().join("one").metadata().unwrap();
        assert_eq!((one[0], other[0]), (1, 1), "the device");
        assert!(one[1] != other[1] && ![host.ino(), host.dev()].contains(&one[1]), "{one:?} {other:?}");
        assert_eq!(words("one"), one);
    }
}
