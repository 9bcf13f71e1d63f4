//! Outgoing requests: `wasi:http` of wasmtime-wasi, with every connection made here. This is the one place where anything
//! leaves the process.

mod exchange;
mod fields;
mod lookup;
mod requests;
mod tls;

use super::super::{Policy, Sandbox};
use super::budget::{Budget, Charge};
use crate::shared::Share;
use ::http::Request;
use exchange::{Answered, Driver, MOST_HEADERS};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// As wasmtime-wasi-http names the instance whose functions are replaced here.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Responses that a guest may be receiving at once, each with a connection and its buffers; as many requests more as it has
/// handles wait for one to end.
const CONNECTIONS: usize = 16;

/// What the body of a request takes at once, and how many such pieces wait for the connection: what wasmtime-wasi's other
/// streams take.
const PIECE: usize = 64 << 10;

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    // wasmtime-wasi-http's own knows no error of a response's body.
    linker.instance(TYPES)?.func_wrap("http-error-code", |mut store, (error,): (Resource<wasmtime::Error>,)| {
        Ok((store.data_mut().http().table.get(&error)?.downcast_ref().map(body_error_code),))
    })?;
    fields::add_to_linker(linker)?;
    requests::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn body_error_code(error: &Error) -> ErrorCode {
    match error {
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        _ => ErrorCode::HttpProtocolError,
    }
}

/// What a component's requests go through.
pub(super) struct Hooks {
    context: WasiHttpCtx,
    gate: Gate,
    /// What is charged for the paths of requests that are not sent, by the number of the handle.
    paths: HashMap<u32, Charge>,
}

/// What every request is sent through, with what it may need after the guest has gone on.
#[derive(Clone)]
pub(super) struct Gate {
    policy: Option<Share<Policy>>,
    budget: Budget,
    places: Arc<Semaphore>,
}

impl Hooks {
    pub fn new(policy: Share<Policy>, budget: Budget) -> Self {
        Self::of(Some(policy), budget)
    }

    fn of(policy: Option<Share<Policy>>, budget: Budget) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(fields::MOST);
        let gate = Gate { policy, budget, places: Arc::new(Semaphore::new(CONNECTIONS)) };
        Hooks { context, gate, paths: HashMap::new() }
    }
}

impl Default for Hooks {
    /// Those of an empty policy.
    fn default() -> Self {
        Self::of(None, Budget::default())
    }
}

impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let world = self.begun_world();
        let table = if world.is_closed { &mut world.closed } else { &mut world.table };
        let Hooks { context, gate, .. } = &mut world.http;
        WasiHttpCtxView { hooks: gate, table, ctx: context }
    }
}

impl WasiHttpHooks for Gate {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Driver,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let gate = self.clone();
        // What was charged for the path while the guest had the request.
        let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        let path = self.budget.charge(path);
        // In the order in which requests are sent.
        let permit = gate.places.clone().try_acquire_owned().ok();
        Box::new(async move {
            let _path = path.map_err(exchange::too_much)?;
            let Some(policy) = &gate.policy else { return Err(Error::HttpRequestDenied) };
            exchange::send(request, options.unwrap_or_default(), policy, &gate, permit).await
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }
}
