//! The fields of requests and responses: wasmtime-wasi-http's, with each value charged for as long as anything refers to it.
//! A name is charged with its values.

use super::super::super::Sandbox;
use super::super::budget::{Budget, HostBytesExceeded, OVERHEAD};
use super::MOST_HEADERS;
use super::exchange::HEAD;
use ::http::header::CONTENT_LENGTH;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, WasmList, WasmStr};
use wasmtime_wasi_http::p2::bindings::http::types::HeaderError as Refusal;
use wasmtime_wasi_http::p2::{HeaderError, HeaderResult};
use wasmtime_wasi_http::{FieldMap, FieldMapError, WasiHttpView};

/// What fields take at most, as wasmtime-wasi-http counts it: the length of each, and 72 bytes. What a response has can be
/// copied into a request.
pub(super) const MOST: usize = HEAD + MOST_HEADERS * 72;

type Store<'a> = StoreContextMut<'a, Sandbox>;
type Answer<T> = wasmtime::Result<(Result<T, Refusal>,)>;
type Value = WasmList<u8>;

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    let mut types = linker.instance(super::TYPES)?;
    types.func_wrap("[static]fields.from-list", |mut store, (entries,): (WasmList<(WasmStr, Value)>,)| {
        answer(from_list(&mut store, &entries))
    })?;
    types.func_wrap(
        "[method]fields.append",
        |mut store, (fields, name, value): (Resource<FieldMap>, WasmStr, Value)| {
            answer(append(&mut store, &fields, &name, &value))
        },
    )?;
    types.func_wrap(
        "[method]fields.set",
        |mut store, (fields, name, values): (Resource<FieldMap>, WasmStr, WasmList<Value>)| {
            answer(set(&mut store, &fields, &name, &values))
        },
    )?;
    types.func_wrap("[method]fields.clone", |mut store, (fields,): (Resource<FieldMap>,)| {
        Ok((copy(&mut store, &fields)?,))
    })
}

/// A refusal is the guest's; anything else ends the call.
fn answer<T>(result: HeaderResult<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

fn from_list(store: &mut Store<'_>, entries: &WasmList<(WasmStr, Value)>) -> HeaderResult<Resource<FieldMap>> {
    let mut fields = FieldMap::new_mutable(MOST);
    for index in 0..entries.len() {
        let Some(entry) = entries.get(&mut *store, index) else { break };
        let (name, value) = entry.map_err(HeaderError::trap)?;
        let (name, value) = field(store, &name, &value)?;
        add(&mut fields, name, value)?;
    }
    Ok(store.data_mut().http().table.push(fields)?)
}

fn append(store: &mut Store<'_>, fields: &Resource<FieldMap>, name: &WasmStr, value: &Value) -> HeaderResult<()> {
    let (name, value) = field(store, name, value)?;
    add(store.data_mut().http().table.get_mut(fields)?, name, value)
}

fn set(
    store: &mut Store<'_>,
    fields: &Resource<FieldMap>,
    name: &WasmStr,
    values: &WasmList<Value>,
) -> HeaderResult<()> {
    let name = allowed(store, name)?;
    if name == CONTENT_LENGTH && values.len() > 1 {
        return Err(FieldMapError::InvalidHeaderValue.into());
    }
    let mut made = Vec::new();
    for index in 0..values.len() {
        let Some(value) = values.get(&mut *store, index) else { break };
        let value = value.map_err(HeaderError::trap)?;
        made.push(charged(store, &name, &value)?);
    }
    let http = store.data_mut().http();
    let fields = http.table.get_mut(fields)?;
    fields.remove_all(http.hooks, name.as_str().to_owned())?;
    made.into_iter().try_for_each(|value| add(fields, name.clone(), value))
}

/// Fields of their own: shared ones would be copied, without a charge, by the first change.
fn copy(store: &mut Store<'_>, fields: &Resource<FieldMap>) -> wasmtime::Result<Resource<FieldMap>> {
    let budget = store.data_mut().world().budget.clone();
    let table = store.data_mut().http().table;
    let mut copied = FieldMap::new_mutable(MOST);
    for (name, value) in table.get(fields)?.iter() {
        copied.append_raw(name.clone(), value_of(&budget, name, value.as_bytes())??)?;
    }
    Ok(table.push(copied)?)
}

fn add(fields: &mut FieldMap, name: HeaderName, value: HeaderValue) -> HeaderResult<()> {
    // With two of them it would not be clear where the message ends.
    if name == CONTENT_LENGTH && fields.contains_key(&name) {
        return Err(FieldMapError::InvalidHeaderValue.into());
    }
    fields.append_raw(name, value)?;
    Ok(())
}

fn field(store: &mut Store<'_>, name: &WasmStr, value: &Value) -> HeaderResult<(HeaderName, HeaderValue)> {
    let name = allowed(store, name)?;
    let value = charged(store, &name, value)?;
    Ok((name, value))
}

/// The name of a field that a guest may set.
fn allowed(store: &mut Store<'_>, name: &WasmStr) -> HeaderResult<HeaderName> {
    let name = HeaderName::from_bytes(name.to_str(&*store).map_err(HeaderError::trap)?.as_bytes())?;
    let is_forbidden = store.data_mut().http().hooks.is_forbidden_header(&name);
    if is_forbidden { Err(FieldMapError::Forbidden.into()) } else { Ok(name) }
}

fn charged(store: &mut Store<'_>, name: &HeaderName, value: &Value) -> HeaderResult<HeaderValue> {
    let budget = store.data_mut().world().budget.clone();
    let value = value.as_le_slice(&*store);
    let is_number = || !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if name == CONTENT_LENGTH && !is_number() {
        return Err(FieldMapError::InvalidHeaderValue.into());
    }
    Ok(value_of(&budget, name, value).map_err(HeaderError::trap)??)
}

type Made = Result<HeaderValue, ::http::header::InvalidHeaderValue>;

fn value_of(budget: &Budget, name: &HeaderName, value: &[u8]) -> Result<Made, HostBytesExceeded> {
    let charge = budget.charge(name.as_str().len() + value.len() + OVERHEAD)?;
    Ok(HeaderValue::from_maybe_shared(charge.keep(value.to_vec())))
}

/// The same fields in memory that is charged, and not in the buffer that they were received in.
pub(super) fn kept(budget: &Budget, received: &HeaderMap) -> Result<HeaderMap, HostBytesExceeded> {
    let mut fields = HeaderMap::new();
    for (name, value) in received {
        // Both were valid, and so are their copies.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_str().as_bytes()), value_of(budget, name, value.as_bytes())?)
        {
            fields.append(name, value);
        }
    }
    Ok(fields)
}
