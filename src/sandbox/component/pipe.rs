//! A component's three standard streams. They use the same buffers as descriptors 0 to 2 of a module.

use crate::locks::Locked;
use crate::memory;
use crate::sandbox::stdio::{Stdio, Stream};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime::OutOfMemory;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// The most bytes that a component reads or writes in one call, because the bytes are copied on the host's side.
const PIECE: usize = 1 << 20;

/// One of the streams. A component may have any number of handles to it.
#[derive(Clone)]
pub(super) struct Pipe {
    pub stdio: Arc<Mutex<Stdio>>,
    pub stream: Stream,
}

pub(super) fn lock(stdio: &Mutex<Stdio>) -> MutexGuard<'_, Stdio> {
    stdio.locked()
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

// The asynchronous streams belong to WASI 0.3, which is not linked.
impl StdinStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

impl InputStream for Pipe {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut stdio = lock(&self.stdio);
        let left = stdio.stdin_left();
        if left.is_empty() {
            return Err(StreamError::Closed);
        }
        let size = size.min(left.len()).min(PIECE);
        let mut bytes = memory::zeroes(size).map_err(|_| StreamError::Trap(OutOfMemory::new(size).into()))?;
        stdio.read(&mut bytes);
        Ok(bytes.into())
    }
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut stdio = lock(&self.stdio);
        match self.stream {
            Stream::Stderr => stdio.write_stderr(&bytes),
            _ => stdio.write_stdout(&bytes).map_err(StreamError::Trap)?,
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PIECE)
    }
}
