//! Streams of a file. A stream holds its descriptor's file open, and at most one piece of the file in memory. A piece
//! is charged to the component's budget before it is read.
//!
//! A read or write that a stream has begun runs in a task beside the guest. [`Pollable::ready`] tells the guest when
//! the task has ended. A blocking read or write needs no task, and skips `Begun`.
//!
//! ```text
//! FileInput    Idle ──> Begun ──> There ──> Idle, once the guest has taken all bytes
//!                         ├─────> Failed ─> Closed, once the guest has got the error
//!                         └─────> Closed, at the end of the file
//! FileOutput   Idle ──> Begun ──> Idle
//!                         └─────> Failed ─> Closed, once the guest has got the error
//! ```

use crate::policy::Policy;
use crate::sandbox::component::{Charge, HostBytesExceeded, OVERHEAD, OpenOnHost};
use crate::sandbox::files::HostFile;
use crate::sandbox::host_io;
use crate::shards::ShardRef;
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::mem::replace;
use std::sync::Arc;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

/// The most bytes that a stream reads or writes in one piece.
const PIECE: usize = 64 << 10;
/// The bytes that a stream reads for a guest that waits and has not said how many it wants.
const UNASKED: usize = 4 << 10;

/// The file of a descriptor. It stays open as long as the descriptor or one of its streams lives. What a stream reads
/// is charged to the component that has opened the file.
#[derive(Clone)]
pub(super) struct StreamFile {
    pub policy: ShardRef<Policy>,
    pub file: Arc<HostFile>,
    pub _open: Option<Arc<OpenOnHost>>,
}

pub(super) struct FileInput {
    source: StreamFile,
    position: u64,
    state: ReadState,
}

enum ReadState {
    Idle,
    Begun(AbortOnDropJoinHandle<io::Result<Bytes>>),
    There(Bytes),
    Failed(io::Error),
    Closed,
}

impl ReadState {
    fn of(read: io::Result<Bytes>) -> Self {
        match read {
            Ok(bytes) if bytes.is_empty() => ReadState::Closed,
            Ok(bytes) => ReadState::There(bytes),
            Err(error) => ReadState::Failed(error),
        }
    }
}

impl FileInput {
    pub fn new(source: StreamFile, position: u64) -> Self {
        FileInput { source, position, state: ReadState::Idle }
    }

    fn piece(&self, size: usize) -> Result<impl Future<Output = io::Result<Bytes>> + Send + use<>, HostBytesExceeded> {
        let StreamFile { policy, file, _open: open } = self.source.clone();
        let (position, size) = (self.position, size.min(PIECE));
        let charge = open.map(|open| open.host_use.budget.charge(size + OVERHEAD)).transpose()?;
        Ok(host_io::blocking(policy, move || Ok(kept(charge, file.read_at(size, position)?))))
    }

    /// Waits for the read that was begun, if there is one.
    async fn settle(&mut self) {
        if let ReadState::Begun(task) = &mut self.state {
            self.state = ReadState::of(task.await);
        }
    }
}

/// The bytes that were read. They hold their charge for as long as anything refers to them.
fn kept(charge: Option<Charge>, mut bytes: Vec<u8>) -> Bytes {
    bytes.shrink_to_fit();
    match charge {
        Some(charge) => charge.keep(bytes),
        None => bytes.into(),
    }
}

/// The error of a stream that ends the call.
fn trap(exceeded: HostBytesExceeded) -> StreamError {
    StreamError::Trap(exceeded.into())
}

#[async_trait::async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {
        if let ReadState::Idle = self.state {
            self.state = match self.piece(UNASKED) {
                Ok(piece) => ReadState::Begun(spawn(piece)),
                // The guest's next host call ends the guest.
                Err(exceeded) => ReadState::Failed(io::Error::other(exceeded)),
            };
        }
        self.settle().await;
    }
}

#[async_trait::async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match &mut self.state {
            ReadState::Idle if size == 0 => Ok(Bytes::new()),
            ReadState::Idle => {
                self.state = ReadState::Begun(spawn(self.piece(size).map_err(trap)?));
                Ok(Bytes::new())
            }
            ReadState::Begun(_) => Ok(Bytes::new()),
            ReadState::There(bytes) => {
                let now = bytes.split_to(bytes.len().min(size));
                self.position += now.len() as u64;
                if bytes.is_empty() {
                    self.state = ReadState::Idle;
                }
                Ok(now)
            }
            ReadState::Failed(_) => match replace(&mut self.state, ReadState::Closed) {
                ReadState::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
                _ => Err(StreamError::Closed),
            },
            ReadState::Closed => Err(StreamError::Closed),
        }
    }

    /// Reads without a task of its own, because the guest waits for the read.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.settle().await;
        if let ReadState::Idle = self.state
            && size > 0
        {
            let piece = self.piece(size).map_err(trap)?;
            self.state = ReadState::of(piece.await);
        }
        self.read(size)
    }
}

pub(super) struct FileOutput {
    source: StreamFile,
    /// Where to write; `None` for the end of the file, wherever it is by then.
    position: Option<u64>,
    state: WriteState,
}

enum WriteState {
    Idle,
    Begun(AbortOnDropJoinHandle<io::Result<usize>>),
    Failed(io::Error),
    Closed,
}

impl FileOutput {
    pub fn new(source: StreamFile, position: Option<u64>) -> Self {
        FileOutput { source, position, state: WriteState::Idle }
    }

    fn piece(&self, bytes: Bytes) -> impl Future<Output = io::Result<usize>> + Send + use<> {
        let (StreamFile { policy, file, .. }, position) = (self.source.clone(), self.position);
        host_io::blocking(policy, move || write_all(&file, &bytes, position))
    }

    async fn settle(&mut self) {
        if let WriteState::Begun(task) = &mut self.state {
            let written = task.await;
            self.written(written);
        }
    }

    fn written(&mut self, written: io::Result<usize>) {
        self.state = match written {
            Ok(count) => {
                self.position = self.position.map(|position| position + count as u64);
                WriteState::Idle
            }
            Err(error) => WriteState::Failed(error),
        };
    }

    /// Fails if the stream is closed. A write that has failed is reported once, and closes the stream.
    fn check(&mut self) -> StreamResult<()> {
        match &self.state {
            WriteState::Idle | WriteState::Begun(_) => Ok(()),
            WriteState::Closed => Err(StreamError::Closed),
            WriteState::Failed(_) => match replace(&mut self.state, WriteState::Closed) {
                WriteState::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
                _ => Err(StreamError::Closed),
            },
        }
    }
}

/// Writes all bytes. A stream has no short writes, so it is an error if not all of them fit.
fn write_all(file: &HostFile, bytes: &[u8], position: Option<u64>) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        let rest = &bytes[written..];
        written += match position {
            Some(position) => file.write_at(rest, position.saturating_add(written as u64))?,
            None => file.append(rest)?,
        };
    }
    Ok(written)
}

#[async_trait::async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {
        self.settle().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for FileOutput {
    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        Ok(if let WriteState::Begun(_) = self.state { 0 } else { PIECE })
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.state {
            WriteState::Idle if bytes.len() <= PIECE => {}
            WriteState::Closed => return Err(StreamError::Closed),
            _ => return Err(StreamError::trap("more was written than `check-write` allows")),
        }
        self.state = WriteState::Begun(spawn(self.piece(bytes)));
        Ok(())
    }

    /// Checks the count before it allocates the zeroes.
    fn write_zeroes(&mut self, count: usize) -> StreamResult<()> {
        if count > PIECE {
            return Err(StreamError::trap("more was written than `check-write` allows"));
        }
        self.write(vec![0; count].into())
    }

    /// Writes without a task of its own, because the guest waits for the write.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.settle().await;
        self.check()?;
        let written = self.piece(bytes).await;
        self.written(written);
        self.check()
    }

    /// Only reports a failed write: a stream buffers nothing beyond the write that was begun.
    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    /// Waits for the write that was begun, so that the bytes reach the file although the guest drops the stream.
    async fn cancel(&mut self) {
        self.settle().await;
    }
}
