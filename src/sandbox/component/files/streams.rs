//! Streams of a file. Each has the file of its descriptor and at most one piece of it in memory, which is charged to the
//! component's budget before it is read. What it begins goes on beside the guest, which is told when it may go on.

use super::super::super::files::host_file::HostFile;
use super::super::super::{Policy, host_io};
use super::super::budget::{Charge, HostBytesExceeded, OVERHEAD};
use super::OpenOnHost;
use crate::shared::Share;
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::mem::replace;
use std::sync::Arc;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

/// What a stream reads or writes in one go.
const PIECE: usize = 64 << 10;
/// What it reads for a guest that has not said how much it wants.
const UNASKED: usize = 4 << 10;

/// The file of a descriptor, which is open as long as one of both is there. What it reads is charged to whoever has opened it.
#[derive(Clone)]
pub(super) struct Source {
    pub policy: Share<Policy>,
    pub file: Arc<HostFile>,
    pub _open: Option<Arc<OpenOnHost>>,
}

pub(super) struct Input {
    source: Source,
    position: u64,
    state: Reading,
}

enum Reading {
    Idle,
    Begun(AbortOnDropJoinHandle<io::Result<Bytes>>),
    There(Bytes),
    Failed(io::Error),
    Closed,
}

impl Reading {
    fn of(read: io::Result<Bytes>) -> Self {
        match read {
            Ok(bytes) if bytes.is_empty() => Reading::Closed,
            Ok(bytes) => Reading::There(bytes),
            Err(error) => Reading::Failed(error),
        }
    }
}

impl Input {
    pub fn new(source: Source, position: u64) -> Self {
        Input { source, position, state: Reading::Idle }
    }

    fn piece(&self, size: usize) -> Result<impl Future<Output = io::Result<Bytes>> + Send + use<>, HostBytesExceeded> {
        let Source { policy, file, _open: open } = self.source.clone();
        let (position, size) = (self.position, size.min(PIECE));
        let charge = open.map(|open| open.held.budget.charge(size + OVERHEAD)).transpose()?;
        Ok(host_io::blocking(policy, move || Ok(kept(charge, file.read_at(size, position)?))))
    }

    /// Waits for what was begun.
    async fn settle(&mut self) {
        if let Reading::Begun(task) = &mut self.state {
            self.state = Reading::of(task.await);
        }
    }
}

/// What was read, and its charge as long as it is anywhere.
fn kept(charge: Option<Charge>, mut bytes: Vec<u8>) -> Bytes {
    bytes.shrink_to_fit();
    match charge {
        Some(charge) => charge.keep(bytes),
        None => bytes.into(),
    }
}

/// Ends the call.
fn trap(exceeded: HostBytesExceeded) -> StreamError {
    StreamError::Trap(exceeded.into())
}

#[async_trait::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        if let Reading::Idle = self.state {
            self.state = match self.piece(UNASKED) {
                Ok(piece) => Reading::Begun(spawn(piece)),
                // The next host call ends the guest.
                Err(exceeded) => Reading::Failed(io::Error::other(exceeded)),
            };
        }
        self.settle().await;
    }
}

#[async_trait::async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match &mut self.state {
            Reading::Idle if size == 0 => Ok(Bytes::new()),
            Reading::Idle => {
                self.state = Reading::Begun(spawn(self.piece(size).map_err(trap)?));
                Ok(Bytes::new())
            }
            Reading::Begun(_) => Ok(Bytes::new()),
            Reading::There(bytes) => {
                let now = bytes.split_to(bytes.len().min(size));
                self.position += now.len() as u64;
                if bytes.is_empty() {
                    self.state = Reading::Idle;
                }
                Ok(now)
            }
            Reading::Failed(_) => match replace(&mut self.state, Reading::Closed) {
                Reading::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
                _ => Err(StreamError::Closed),
            },
            Reading::Closed => Err(StreamError::Closed),
        }
    }

    /// Without a task of its own: the guest waits anyhow.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.settle().await;
        if let Reading::Idle = self.state
            && size > 0
        {
            let piece = self.piece(size).map_err(trap)?;
            self.state = Reading::of(piece.await);
        }
        self.read(size)
    }
}

pub(super) struct Output {
    source: Source,
    /// Where to write; none for the end, wherever that is.
    position: Option<u64>,
    state: Writing,
}

enum Writing {
    Idle,
    Begun(AbortOnDropJoinHandle<io::Result<usize>>),
    Failed(io::Error),
    Closed,
}

impl Output {
    pub fn new(source: Source, position: Option<u64>) -> Self {
        Output { source, position, state: Writing::Idle }
    }

    fn piece(&self, bytes: Bytes) -> impl Future<Output = io::Result<usize>> + Send + use<> {
        let (Source { policy, file, .. }, position) = (self.source.clone(), self.position);
        host_io::blocking(policy, move || write_all(&file, &bytes, position))
    }

    async fn settle(&mut self) {
        if let Writing::Begun(task) = &mut self.state {
            let written = task.await;
            self.written(written);
        }
    }

    fn written(&mut self, written: io::Result<usize>) {
        self.state = match written {
            Ok(count) => {
                self.position = self.position.map(|position| position + count as u64);
                Writing::Idle
            }
            Err(error) => Writing::Failed(error),
        };
    }

    /// Whether it still is one, and why not any more.
    fn check(&mut self) -> StreamResult<()> {
        match &self.state {
            Writing::Idle | Writing::Begun(_) => Ok(()),
            Writing::Closed => Err(StreamError::Closed),
            Writing::Failed(_) => match replace(&mut self.state, Writing::Closed) {
                Writing::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
                _ => Err(StreamError::Closed),
            },
        }
    }
}

/// A stream knows no short write: what does not fit is an error.
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
impl Pollable for Output {
    async fn ready(&mut self) {
        self.settle().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for Output {
    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        Ok(if let Writing::Begun(_) = self.state { 0 } else { PIECE })
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.state {
            Writing::Idle if bytes.len() <= PIECE => {}
            Writing::Closed => return Err(StreamError::Closed),
            _ => return Err(StreamError::trap("more was written than `check-write` allows")),
        }
        self.state = Writing::Begun(spawn(self.piece(bytes)));
        Ok(())
    }

    /// Looked at before as many zeroes are made.
    fn write_zeroes(&mut self, count: usize) -> StreamResult<()> {
        if count > PIECE {
            return Err(StreamError::trap("more was written than `check-write` allows"));
        }
        self.write(vec![0; count].into())
    }

    /// Without a task of its own: the guest waits anyhow.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.settle().await;
        self.check()?;
        let written = self.piece(bytes).await;
        self.written(written);
        self.check()
    }

    /// What was begun is all that there is to flush.
    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    /// What was written goes to the file, whether the guest waits for it or not.
    async fn cancel(&mut self) {
        self.settle().await;
    }
}
