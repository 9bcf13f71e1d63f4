//! What of `wasi:io` takes bytes or handles in any number: what is written is charged before it is copied, and stays so until
//! the stream's other end has dropped it, which for the body of a request may be never.

use super::super::Sandbox;
use super::RESOURCES;
use super::budget::OVERHEAD;
use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable, WasmList};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::io::poll::Host as _;
use wasmtime_wasi::p2::bindings::io::streams::{self, Host as _};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};

/// As wasmtime-wasi names the instances whose functions are replaced here.
const STREAMS: &str = "wasi:io/streams@0.2.12";
const POLL: &str = "wasi:io/poll@0.2.12";

/// What a stream that blocks takes at once, by `wasi:io`.
const BLOCKING: usize = 4096;

type Store<'a> = StoreContextMut<'a, Sandbox>;
type Answer<T> = wasmtime::Result<(Result<T, streams::StreamError>,)>;
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
        answer(&mut store, written)
    })?;
    streams.func_wrap("[method]output-stream.write-zeroes", |mut store, parameters: Zeroes| {
        let written = write_zeroes(&mut store, parameters);
        answer(&mut store, written)
    })?;
    streams.func_wrap("[method]output-stream.splice", |mut store, parameters: Splice| {
        let moved = splice(&mut store, parameters);
        answer(&mut store, moved)
    })?;
    streams.func_wrap_async("[method]output-stream.blocking-write-and-flush", |mut store, parameters: Write| {
        Box::new(async move {
            let written = blocking_write(&mut store, parameters).await;
            answer(&mut store, written)
        })
    })?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |mut store, parameters: Zeroes| {
            Box::new(async move {
                let written = blocking_write_zeroes(&mut store, parameters).await;
                answer(&mut store, written)
            })
        },
    )?;
    streams.func_wrap_async("[method]output-stream.blocking-splice", |mut store, parameters: Splice| {
        Box::new(async move {
            let moved = blocking_splice(&mut store, parameters).await;
            answer(&mut store, moved)
        })
    })
}

/// An error of a stream is the guest's; anything else ends the call.
fn answer<T>(store: &mut Store<'_>, result: StreamResult<T>) -> Answer<T> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(table(store).convert_stream_error(error)?),
    },))
}

fn table<'a>(store: &'a mut Store<'_>) -> &'a mut ResourceTable {
    store.data_mut().ctx().table
}

/// Waits for any of so many handles as there can be.
async fn poll(store: &mut Store<'_>, handles: &WasmList<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
    store.data_mut().begin_host_call()?;
    if handles.len() > RESOURCES {
        return Err(wasmtime::Error::msg(format!("a list of more than {RESOURCES} pollables")));
    }
    let handles = handles.iter(&mut *store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    table(store).poll(handles).await
}

/// Charges bytes, with what is allocated around them, and makes them.
fn charged(store: &mut Store<'_>, len: usize, made: impl FnOnce(&mut Store<'_>) -> Vec<u8>) -> StreamResult<Bytes> {
    let sandbox = store.data_mut();
    let charge = sandbox.begin_host_call().and_then(|()| Ok(sandbox.charge_host_bytes(len.saturating_add(OVERHEAD))?));
    let charge = charge.map_err(StreamError::Trap)?;
    Ok(charge.keep(made(store)))
}

fn copied(store: &mut Store<'_>, contents: &WasmList<u8>) -> StreamResult<Bytes> {
    charged(store, contents.len(), |store| contents.as_le_slice(&*store).to_vec())
}

fn zeroes(store: &mut Store<'_>, len: usize) -> StreamResult<Bytes> {
    charged(store, len, |_| vec![0; len])
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

/// Moves what is there and fits. What was read is copied once more, since it may be a part of a larger buffer.
fn splice(store: &mut Store<'_>, (to, from, len): Splice) -> StreamResult<u64> {
    let room = table(store).get_mut(&to)?.check_write()?;
    let len = room.min(usize::try_from(len).unwrap_or(usize::MAX));
    if len == 0 {
        return Ok(0);
    }
    let contents = table(store).get_mut(&from)?.read(len)?;
    let moved = contents.len() as u64;
    if moved > 0 {
        let contents = charged(store, contents.len(), |_| contents.to_vec())?;
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
        let contents = charged(store, contents.len(), |_| contents.to_vec())?;
        table(store).get_mut(&to)?.blocking_write_and_flush(contents).await?;
    }
    Ok(moved)
}
