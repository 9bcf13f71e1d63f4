//! Outgoing requests: wasmtime-wasi-http's `wasi:http`, over connections that this module makes. No other code of the
//! library connects to anything.

mod exchange;
mod fields;
mod lookup;
mod requests;
mod tls;

use crate::sandbox::Sandbox;
use crate::sandbox::component::http::HttpHooks;
use ::http::Request;
use exchange::{Answered, Driver};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

/// The name that wasmtime-wasi-http gives to the instance whose functions are replaced here.
const TYPES: &str = "wasi:http/types@0.2.12";

/// The most bytes of a request's body in one write: as many as wasmtime-wasi's other streams take.
const PIECE: usize = 64 << 10;

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    // wasmtime-wasi-http's own function expects an `ErrorCode`, and so does not know the errors of a response's body,
    // which are `Error`s.
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("http-error-code", |mut store, (error,): (Resource<wasmtime::Error>,)| {
        Ok((store.data_mut().http().table.get(&error)?.downcast_ref().map(body_error_code),))
    })?;
    fields::add_to_linker(&mut types)?;
    requests::add_to_linker(&mut types)?;
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

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Driver,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let hooks = self.clone();
        // Until now, `HttpState::paths` has held the charge for the path. The request holds it from here on.
        let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        let path = self.budget.charge(path);
        // Taken here, and not in the future, so that requests get permits in the order in which they are sent.
        let permit = hooks.connections.clone().try_acquire_owned().ok();
        Box::new(async move {
            let _path = path.map_err(exchange::too_much)?;
            let Some(policy) = &hooks.policy else { return Err(Error::HttpRequestDenied) };
            exchange::send(request, options.unwrap_or_default(), policy, &hooks, permit).await
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }
}
