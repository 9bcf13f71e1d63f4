//! A component's three streams: the buffers that a module's descriptors 0 to 2 have.

use super::super::{Sandbox, Stdio, Stream};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// What a component may read or write in one go: it is copied on our side.
const PIECE: usize = 1 << 20;

/// As wasmtime-wasi names the instance of which one function is replaced here.
const ERROR: &str = "wasi:io/error@0.2.12";

/// An error of the host's is told in its words: wasmtime-wasi would add a backtrace of the host where the environment asks
/// for those.
pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    let mut errors = linker.instance(ERROR)?;
    errors.func_wrap("[method]error.to-debug-string", |mut store, (error,): (Resource<wasmtime::Error>,)| {
        Ok((format!("{:#}", store.data_mut().ctx().table.get(&error)?),))
    })
}

/// One of the streams. A component may have any number of handles to it.
#[derive(Clone)]
pub(super) struct Pipe {
    pub stdio: Arc<Mutex<Stdio>>,
    pub stream: Stream,
}

pub(super) fn lock(stdio: &Mutex<Stdio>) -> MutexGuard<'_, Stdio> {
    stdio.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

// The asynchronous streams are those of WASI 0.3, which is not linked.
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
        let mut bytes = vec![0; size.min(left.len()).min(PIECE)];
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
