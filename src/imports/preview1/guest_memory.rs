//! Checked access to the memory of a guest. An access outside of the memory is `EFAULT`.

use super::errno::{ErrnoResult, TrappableErrno};
use crate::memory;
use crate::sandbox::{Guest, Stream};
use std::ops::Range;
use wasmtime_wasi::p1::types::Errno;

/// The most vectors of one host call, which is `IOV_MAX` of Linux, and the most subscriptions. The work of a host call
/// is bounded because the deadline is checked between host calls.
const MAX_VECTOR: u32 = 1024;

impl Guest<'_> {
    pub(super) fn bytes(&mut self, at: u32, len: u32) -> ErrnoResult<&mut [u8]> {
        let at = at as usize;
        self.memory.get_mut(at..at + len as usize).ok_or(TrappableErrno::Errno(Errno::Fault))
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> ErrnoResult {
        self.bytes(at, bytes.len() as u32)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn read<const N: usize>(&self, at: u32) -> ErrnoResult<[u8; N]> {
        let at = at as usize;
        let bytes = self.memory.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or(TrappableErrno::Errno(Errno::Fault))
    }

    /// The `index`th pair of pointer and length of an iovec array.
    pub(super) fn iovec(&self, iovecs: u32, index: u32) -> ErrnoResult<(u32, u32)> {
        let at = u64::from(iovecs) + u64::from(index) * 8;
        let at = u32::try_from(at).map_err(|_| Errno::Fault)?;
        let [a, b, c, d, e, f, g, h] = self.read(at)?;
        Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }

    /// The ranges of memory that an iovec array names, in its order, cut to `most` bytes in all.
    pub(super) fn vectors(&self, iovecs: u32, count: u32, most: usize) -> ErrnoResult<Vec<Range<usize>>> {
        let mut left = most;
        let mut parts = Vec::new();
        for index in 0..bounded(count)? {
            let (at, len) = self.iovec(iovecs, index)?;
            let (at, len) = (at as usize, len as usize);
            self.memory.get(at..at + len).ok_or(Errno::Fault)?;
            let taken = len.min(left);
            left -= taken;
            parts.push(at..at + taken);
        }
        Ok(parts)
    }

    /// The bytes of some ranges of memory, joined.
    pub(super) fn gather(&self, parts: &[Range<usize>]) -> ErrnoResult<Vec<u8>> {
        let parts: Vec<_> = parts.iter().map(|part| &self.memory[part.clone()]).collect();
        Ok(memory::concat(&parts).map_err(|_| Errno::Nomem)?)
    }

    /// Fills some ranges of memory, from the first one on, with bytes that fit into them.
    pub(super) fn scatter(&mut self, parts: &[Range<usize>], mut bytes: &[u8]) {
        for part in parts {
            let (now, later) = bytes.split_at(bytes.len().min(part.len()));
            self.memory[part.start..part.start + now.len()].copy_from_slice(now);
            bytes = later;
        }
    }

    pub(super) fn stream(&mut self, fd: u32) -> ErrnoResult<Stream> {
        if let Some(stream) = self.sandbox.stdio.stream(fd) {
            return Ok(stream);
        }
        self.sandbox.refuse_directory(fd)?;
        Err(Errno::Badf.into())
    }

    /// How many bytes of stdin are left.
    pub(super) fn stdin_left(&mut self) -> ErrnoResult<u64> {
        self.sandbox.refuse_before_warm_up("has asked for the size of stdin")?;
        Ok(self.sandbox.stdio.stdin_left().len() as u64)
    }

    /// Writes a `prestat`: the tag at 0, which is 0 for a directory; the length of the name at 4.
    pub(super) fn write_prestat(&mut self, at: u32, name: &str) -> ErrnoResult {
        self.write(at, &(u64::from(name.len() as u32) << 32).to_le_bytes())
    }

    pub(super) fn write_directory_name(&mut self, at: u32, len: u32, name: &str) -> ErrnoResult {
        if name.len() > len as usize { Err(Errno::Nametoolong.into()) } else { self.write(at, name.as_bytes()) }
    }
}

/// Refuses an array that is longer than one host call takes.
pub(super) fn bounded(count: u32) -> ErrnoResult<u32> {
    if count <= MAX_VECTOR { Ok(count) } else { Err(Errno::Inval.into()) }
}
