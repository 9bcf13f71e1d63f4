//! The header fields of requests and responses: wasmtime-wasi-http's functions, with each value charged for as long as
//! anything refers to it. The charge of a value includes the field's name.

use super::super::signature::{Returned, Store};
use crate::sandbox::Sandbox;
use crate::sandbox::component::http::MOST_FIELD_BYTES;
use crate::sandbox::component::{HostBudget, HostBytesExceeded, OVERHEAD};
use ::http::header::CONTENT_LENGTH;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::component::{LinkerInstance, Resource, WasmList, WasmStr};
use wasmtime_wasi_http::p2::bindings::http::types::HeaderError as HeaderRefusal;
use wasmtime_wasi_http::p2::{HeaderError, HeaderResult};
use wasmtime_wasi_http::{FieldMap, FieldMapError, WasiHttpView};

type FieldValue = WasmList<u8>;

pub(super) fn add_to_linker(types: &mut LinkerInstance<'_, Sandbox>) -> wasmtime::Result<()> {
    types.func_wrap("[static]fields.from-list", |mut store, (entries,): (WasmList<(WasmStr, FieldValue)>,)| {
        returned(from_list(&mut store, &entries))
    })?;
    types.func_wrap(
        "[method]fields.append",
        |mut store, (fields, name, value): (Resource<FieldMap>, WasmStr, FieldValue)| {
            returned(append(&mut store, &fields, &name, &value))
        },
    )?;
    types.func_wrap(
        "[method]fields.set",
        |mut store, (fields, name, values): (Resource<FieldMap>, WasmStr, WasmList<FieldValue>)| {
            returned(set(&mut store, &fields, &name, &values))
        },
    )?;
    types.func_wrap("[method]fields.clone", |mut store, (fields,): (Resource<FieldMap>,)| {
        Ok((copy(&mut store, &fields)?,))
    })
}

/// Hands a refusal to the guest. Any other error ends the call.
fn returned<T>(result: HeaderResult<T>) -> Returned<T, HeaderRefusal> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

fn from_list(store: &mut Store<'_>, entries: &WasmList<(WasmStr, FieldValue)>) -> HeaderResult<Resource<FieldMap>> {
    let mut fields = FieldMap::new_mutable(MOST_FIELD_BYTES);
    for index in 0..entries.len() {
        let Some(entry) = entries.get(&mut *store, index) else { break };
        let (name, value) = entry.map_err(HeaderError::trap)?;
        let (name, value) = field(store, &name, &value)?;
        add(&mut fields, name, value)?;
    }
    Ok(store.data_mut().http().table.push(fields)?)
}

fn append(store: &mut Store<'_>, fields: &Resource<FieldMap>, name: &WasmStr, value: &FieldValue) -> HeaderResult<()> {
    let (name, value) = field(store, name, value)?;
    add(store.data_mut().http().table.get_mut(fields)?, name, value)
}

fn set(
    store: &mut Store<'_>,
    fields: &Resource<FieldMap>,
    name: &WasmStr,
    values: &WasmList<FieldValue>,
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

/// Copies fields. wasmtime-wasi-http's own function would share them between the two handles, and the first change
/// would copy them without a charge.
fn copy(store: &mut Store<'_>, fields: &Resource<FieldMap>) -> wasmtime::Result<Resource<FieldMap>> {
    let budget = store.data_mut().world().budget.clone();
    let table = store.data_mut().http().table;
    let mut copied = FieldMap::new_mutable(MOST_FIELD_BYTES);
    for (name, value) in table.get(fields)?.iter() {
        copied.append_raw(name.clone(), value_of(&budget, name, value.as_bytes())??)?;
    }
    Ok(table.push(copied)?)
}

fn add(fields: &mut FieldMap, name: HeaderName, value: HeaderValue) -> HeaderResult<()> {
    // With two lengths it would not be clear where the message ends.
    if name == CONTENT_LENGTH && fields.contains_key(&name) {
        return Err(FieldMapError::InvalidHeaderValue.into());
    }
    fields.append_raw(name, value)?;
    Ok(())
}

fn field(store: &mut Store<'_>, name: &WasmStr, value: &FieldValue) -> HeaderResult<(HeaderName, HeaderValue)> {
    let name = allowed(store, name)?;
    let value = charged(store, &name, value)?;
    Ok((name, value))
}

/// Reads the name of a field. Fails if guests may not set the field.
fn allowed(store: &mut Store<'_>, name: &WasmStr) -> HeaderResult<HeaderName> {
    let name = HeaderName::from_bytes(name.to_str(&*store).map_err(HeaderError::trap)?.as_bytes())?;
    let is_forbidden = store.data_mut().http().hooks.is_forbidden_header(&name);
    if is_forbidden { Err(FieldMapError::Forbidden.into()) } else { Ok(name) }
}

fn charged(store: &mut Store<'_>, name: &HeaderName, value: &FieldValue) -> HeaderResult<HeaderValue> {
    let budget = store.data_mut().world().budget.clone();
    let value = value.as_le_slice(&*store);
    let is_number = || !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if name == CONTENT_LENGTH && !is_number() {
        return Err(FieldMapError::InvalidHeaderValue.into());
    }
    Ok(value_of(&budget, name, value).map_err(HeaderError::trap)??)
}

type Made = Result<HeaderValue, ::http::header::InvalidHeaderValue>;

fn value_of(budget: &HostBudget, name: &HeaderName, value: &[u8]) -> Result<Made, HostBytesExceeded> {
    let charge = budget.charge(name.as_str().len() + value.len() + OVERHEAD)?;
    Ok(HeaderValue::from_maybe_shared(charge.keep(value.to_vec())))
}

/// Copies received fields into memory that is charged, so that they do not keep the buffer in which they were received.
pub(super) fn kept(budget: &HostBudget, received: &HeaderMap) -> Result<HeaderMap, HostBytesExceeded> {
    let mut fields = HeaderMap::new();
    for (name, value) in received {
        // The copy of a valid name or value is valid.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_str().as_bytes()), value_of(budget, name, value.as_bytes())?)
        {
            fields.append(name, value);
        }
    }
    Ok(fields)
}
