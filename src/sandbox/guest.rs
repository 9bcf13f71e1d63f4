//! One guest as a host function sees it: its memory, checked, and its sandbox.

use super::{Sandbox, Stream};
use crate::jobs::Stop;
use std::ops::Range;
use wasmtime::{Caller, Extern, Memory, Result};
use wasmtime_wasi::p1::types::Errno;

/// What one host call does is bounded, so that the deadline holds between them: `IOV_MAX` of POSIX for vectors, as many
/// subscriptions.
const MAX_VECTOR: u32 = 1024;

/// What a host call costs besides the bytes that it works on, in bytes.
const CALL: usize = 16 << 10;

/// Why a function did not do what it was asked: an answer to the guest, or the guest's end.
pub(super) enum Failure {
    Errno(Errno),
    Stop(wasmtime::Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Failure::Stop(stop.into())
    }
}

pub(super) type Answer<T = ()> = std::result::Result<T, Failure>;

/// The guest's memory beside the sandbox's state, with checked access to the former.
pub(super) struct Guest<'a> {
    pub memory: &'a mut [u8],
    pub sandbox: &'a mut Sandbox,
}

impl<'a> Guest<'a> {
    pub(super) fn of(caller: &'a mut Caller<'_, Sandbox>) -> Result<Self> {
        let (memory, sandbox) = memory(caller)?.data_and_store_mut(caller);
        sandbox.spend(CALL)?;
        Ok(Guest { memory, sandbox })
    }

    pub(super) fn bytes(&mut self, at: u32, len: u32) -> Answer<&mut [u8]> {
        let at = at as usize;
        self.memory.get_mut(at..at + len as usize).ok_or(Failure::Errno(Errno::Fault))
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Answer {
        self.bytes(at, bytes.len() as u32)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn read<const N: usize>(&self, at: u32) -> Answer<[u8; N]> {
        let at = at as usize;
        let bytes = self.memory.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or(Failure::Errno(Errno::Fault))
    }

    /// The `index`th pair of pointer and length of an iovec array.
    pub(super) fn iovec(&self, iovecs: u32, index: u32) -> Answer<(u32, u32)> {
        let at = u64::from(iovecs) + u64::from(index) * 8;
        let at = u32::try_from(at).map_err(|_| Errno::Fault)?;
        let [a, b, c, d, e, f, g, h] = self.read(at)?;
        Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }

    /// The parts of memory that an iovec array names, one behind the other and `most` bytes at most.
    pub(super) fn vectors(&self, iovecs: u32, count: u32, most: usize) -> Answer<Vec<Range<usize>>> {
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

    /// The bytes of such parts.
    pub(super) fn gather(&self, parts: &[Range<usize>]) -> Vec<u8> {
        parts.iter().map(|part| &self.memory[part.clone()]).collect::<Vec<_>>().concat()
    }

    /// Fills such parts, from the first on, with bytes that fit into them.
    pub(super) fn scatter(&mut self, parts: &[Range<usize>], mut bytes: &[u8]) {
        for part in parts {
            let (now, later) = bytes.split_at(bytes.len().min(part.len()));
            self.memory[part.start..part.start + now.len()].copy_from_slice(now);
            bytes = later;
        }
    }

    pub(super) fn stream(&self, fd: u32) -> Answer<Stream> {
        self.sandbox.stdio.stream(fd).ok_or(Failure::Errno(Errno::Badf))
    }
}

/// The guest's memory, looked up once.
fn memory(caller: &mut Caller<'_, Sandbox>) -> Result<Memory> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    let export = caller.get_export("memory").and_then(Extern::into_memory);
    let memory = export.ok_or_else(|| wasmtime::Error::msg("the module exports no `memory`"))?;
    caller.data_mut().memory = Some(memory);
    Ok(memory)
}

/// Turns the answer into what the guest sees.
pub(super) fn seen(answer: Answer) -> Result<i32> {
    match answer {
        Ok(()) => Ok(Errno::Success as i32),
        Err(Failure::Errno(errno)) => Ok(errno as i32),
        Err(Failure::Stop(error)) => Err(error),
    }
}

pub(super) fn bounded(count: u32) -> Answer<u32> {
    if count <= MAX_VECTOR { Ok(count) } else { Err(Errno::Inval.into()) }
}
