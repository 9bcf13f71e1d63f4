//! The setters of an outgoing request. Each text is bounded, and the path, which may be long, is charged.

use super::super::signature::{Returned, Store};
use crate::sandbox::Sandbox;
use crate::sandbox::component::World;
use wasmtime::component::{LinkerInstance, Resource, WasmStr};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method, Scheme};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;

/// The longest path with its query, in bytes: as long as an `http::Uri` can be.
const PATH: usize = u16::MAX as usize - 1;
/// The longest authority, method or scheme, in bytes. A host name has up to 253.
const WORD: usize = 1 << 10;

type Request = Resource<HostOutgoingRequest>;

const REFUSED: Returned<(), ()> = Ok((Err(()),));

pub(super) fn add_to_linker(types: &mut LinkerInstance<'_, Sandbox>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store, (request, path): (Request, Option<WasmStr>)| set_path(&mut store, request, path),
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store, (request, authority): (Request, Option<WasmStr>)| {
            let Ok(authority) = text(&store, authority, WORD)? else { return REFUSED };
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )?;
    types.func_wrap("[method]outgoing-request.set-method", |mut store, (request, method): (Request, Method)| {
        if matches!(&method, Method::Other(name) if name.len() > WORD) {
            return REFUSED;
        }
        Ok((store.data_mut().http().set_method(request, method)?,))
    })?;
    types.func_wrap("[method]outgoing-request.set-scheme", |mut store, (request, scheme): (Request, Option<Scheme>)| {
        if matches!(&scheme, Some(Scheme::Other(name)) if name.len() > WORD) {
            return REFUSED;
        }
        Ok((store.data_mut().http().set_scheme(request, scheme)?,))
    })
}

/// Reads a text from the guest. The inner error means that it has more than `most` bytes.
fn text(store: &Store<'_>, text: Option<WasmStr>, most: usize) -> wasmtime::Result<Result<Option<String>, ()>> {
    let Some(text) = text else { return Ok(Ok(None)) };
    let text = text.to_str(store)?;
    Ok(if text.len() > most { Err(()) } else { Ok(Some(text.into_owned())) })
}

fn set_path(store: &mut Store<'_>, request: Request, path: Option<WasmStr>) -> Returned<(), ()> {
    let Ok(path) = text(store, path, PATH)? else { return REFUSED };
    let (rep, sandbox) = (request.rep(), store.data_mut());
    let World { http, table, .. } = sandbox.world();
    // Drops the charges of requests that were sent or dropped.
    http.paths.retain(|rep, _| table.get(&Request::new_borrow(*rep)).is_ok());
    let charge = sandbox.charge_host_bytes(path.as_ref().map_or(0, String::len))?;
    let set = sandbox.http().set_path_with_query(request, path)?;
    if set.is_ok() {
        sandbox.world().http.paths.insert(rep, charge);
    }
    Ok((set,))
}
