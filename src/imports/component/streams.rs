//! The functions of `wasi:io` that take any number of bytes or handles.
//!
//! Bytes that a guest writes are charged before the host copies them. They stay charged until the other end of the
//! stream has dropped them. The body of a request that is never sent has no reader, so its bytes stay charged for as
//! long as the body exists.

use super::signature::{Returned, Store};
use crate::memory;
use crate::sandbox::Sandbox;
use crate::sandbox::component::{OVERHEAD, RESOURCES};
use bytes::Bytes;
use std::collections::TryReserveError;
use wasmtime::OutOfMemory;
use wasmtime::component::{Linker, Resource, ResourceTable, WasmList};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::io::poll::Host as _;
use wasmtime_wasi::p2::bindings::io::streams::{self, Host as _};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};

/// The names that wasmtime-wasi gives to the instances whose functions are replaced here.
const STREAMS: &str = "wasi:io/streams@0.2.12";
const POLL: &str = "wasi:io/poll@0.2.12";

/// The most bytes that a blocking write takes, by the definition of `wasi:io`.
const BLOCKING: usize = 4096;

type Write = (Resource<DynOutputStream>, WasmList<u8>);
type Zeroes = (Resource<DynOutputStream>, u64);
type Splice = (Resource<DynOutputStream>, Resource<DynInputStream>, u64);

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.instance(POLL)?.func_wrap_async("poll", |mut store, (handles,): (WasmList<Resource<DynPollable>>,)| {
        Box::new(async move { Ok((poll(&mut store, &handles).await?,)) })
    })?;
    let mut streams = linker.instance(STREAMS)?;
    streams.func_wrap("[method]output-stream.write", |mut store, parameters: Write| {
        let written = write(&mut store, parameters);
        returned(&mut store, written)
    })?;
    streams.func_wrap("[method]output-stream.write-zeroes", |mut store, parameters: Zeroes| {
        let written = write_zeroes(&mut store, parameters);
        returned(&mut store, written)
    })?;
    streams.func_wrap("[method]output-stream.splice", |mut store, parameters: Splice| {
        let moved = splice(&mut store, parameters);
        returned(&mut store, moved)
    })?;
    streams.func_wrap_async("[method]output-stream.blocking-write-and-flush", |mut store, parameters: Write| {
        Box::new(async move {
            let written = blocking_write(&mut store, parameters).await;
            returned(&mut store, written)
        })
    })?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |mut store, parameters: Zeroes| {
            Box::new(async move {
                let written = blocking_write_zeroes(&mut store, parameters).await;
                returned(&mut store, written)
            })
        },
    )?;
    streams.func_wrap_async("[method]output-stream.blocking-splice", |mut store, parameters: Splice| {
        Box::new(async move {
            let moved = blocking_splice(&mut store, parameters).await;
            returned(&mut store, moved)
        })
    })
}

/// Hands an error of the stream to the guest. A trap ends the call.
fn returned<T>(store: &mut Store<'_>, result: StreamResult<T>) -> Returned<T, streams::StreamError> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(table(store).convert_stream_error(error)?),
    },))
}

fn table<'a>(store: &'a mut Store<'_>) -> &'a mut ResourceTable {
    store.data_mut().ctx().table
}

/// Waits until one of the pollables is ready. A guest has no more than [`RESOURCES`] of them, so a longer list is
/// refused.
async fn poll(store: &mut Store<'_>, handles: &WasmList<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
    store.data_mut().begin_host_call()?;
    if handles.len() > RESOURCES {
        return Err(wasmtime::Error::msg(format!("a list of more than {RESOURCES} pollables")));
    }
    let handles = handles.iter(&mut *store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    table(store).poll(handles).await
}

/// Charges `len` bytes and what is allocated around them, then makes the bytes.
fn charged(
    store: &mut Store<'_>,
    len: usize,
    made: impl FnOnce(&mut Store<'_>) -> Result<Vec<u8>, TryReserveError>,
) -> StreamResult<Bytes> {
    let sandbox = store.data_mut();
    let charge = sandbox.begin_host_call().and_then(|()| Ok(sandbox.charge_host_bytes(len.saturating_add(OVERHEAD))?));
    let charge = charge.map_err(StreamError::Trap)?;
    let bytes = made(store).map_err(|_| StreamError::Trap(OutOfMemory::new(len).into()))?;
    Ok(charge.keep(bytes))
}

fn copied(store: &mut Store<'_>, contents: &WasmList<u8>) -> StreamResult<Bytes> {
    charged(store, contents.len(), |store| memory::concat(&[contents.as_le_slice(&*store)]))
}

fn zeroes(store: &mut Store<'_>, len: usize) -> StreamResult<Bytes> {
    charged(store, len, |_| memory::zeroes(len))
}

fn write(store: &mut Store<'_>, (stream, contents): Write) -> StreamResult<()> {
    let contents = copied(store, &contents)?;
    table(store).get_mut(&stream)?.write(contents)
}

fn write_zeroes(store: &mut Store<'_>, (stream, len): Zeroes) -> StreamResult<()> {
    let room = table(store).get_mut(&stream)?.check_write()?;
    match usize::try_from(len) {
        Ok(len) if len <= room => {
            let contents = zeroes(store, len)?;
            table(store).get_mut(&stream)?.write(contents)
        }
        _ => Err(StreamError::trap("more zeroes than `check-write` allows")),
    }
}

async fn blocking_write(store: &mut Store<'_>, (stream, contents): Write) -> StreamResult<()> {
    if contents.len() > BLOCKING {
        return Err(StreamError::trap("more than 4096 bytes for `blocking-write-and-flush`"));
    }
    let contents = copied(store, &contents)?;
    table(store).get_mut(&stream)?.blocking_write_and_flush(contents).await
}

async fn blocking_write_zeroes(store: &mut Store<'_>, (stream, len): Zeroes) -> StreamResult<()> {
    if len > BLOCKING as u64 {
        return Err(StreamError::trap("more than 4096 bytes for `blocking-write-zeroes-and-flush`"));
    }
    let contents = zeroes(store, len as usize)?;
    table(store).get_mut(&stream)?.blocking_write_and_flush(contents).await
}

/// Moves the bytes that `from` has and `to` has room for. They are copied once more, because they may be a part of a
/// larger buffer, which would stay allocated without a charge.
fn splice(store: &mut Store<'_>, (to, from, len): Splice) -> StreamResult<u64> {
    let room = table(store).get_mut(&to)?.check_write()?;
    let len = room.min(usize::try_from(len).unwrap_or(usize::MAX));
    if len == 0 {
        return Ok(0);
    }
    let contents = table(store).get_mut(&from)?.read(len)?;
    let moved = contents.len() as u64;
    if moved > 0 {
        let contents = charged(store, contents.len(), |_| memory::concat(&[&contents]))?;
        table(store).get_mut(&to)?.write(contents)?;
    }
    Ok(moved)
}

async fn blocking_splice(store: &mut Store<'_>, (to, from, len): Splice) -> StreamResult<u64> {
    let room = table(store).get_mut(&to)?.write_ready().await?;
    let len = room.min(usize::try_from(len).unwrap_or(usize::MAX));
    if len == 0 {
        return Ok(0);
    }
    let contents = table(store).get_mut(&from)?.blocking_read(len).await?;
    let moved = contents.len() as u64;
    if moved > 0 {
        let contents = charged(store, contents.len(), |_| memory::concat(&[&contents]))?;
        table(store).get_mut(&to)?.blocking_write_and_flush(contents).await?;
    }
    Ok(moved)
}
