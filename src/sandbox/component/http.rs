//! Outgoing requests: `wasi:http` of wasmtime-wasi, with every connection made here. This is the one place where anything
//! leaves the process.

use super::super::{Policy, Sandbox};
use crate::origins::HttpGrant;
use crate::shared::Share;
use crate::stats::STATS;
use ::http::uri::{PathAndQuery, Scheme};
use ::http::{Request, Response, Uri};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use once_cell::sync::OnceCell;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    linker.instance(TYPES)?.func_wrap("http-error-code", |mut store, (error,): (Resource<wasmtime::Error>,)| {
        Ok((store.data_mut().http().table.get(&error)?.downcast_ref().map(body_error_code),))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// As wasmtime-wasi-http names the instance of which one function is replaced here: its own knows no error of a response's
/// body.
const TYPES: &str = "wasi:http/types@0.2.12";

fn body_error_code(error: &Error) -> ErrorCode {
    match error {
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        _ => ErrorCode::HttpProtocolError,
    }
}

/// What a component's requests go through.
#[derive(Default)]
pub(super) struct Hooks {
    pub context: WasiHttpCtx,
    pub gate: Gate,
}

#[derive(Default)]
pub(super) struct Gate {
    policy: Option<Share<Policy>>,
}

impl Hooks {
    pub fn new(policy: Share<Policy>) -> Self {
        Hooks { context: WasiHttpCtx::new(), gate: Gate { policy: Some(policy) } }
    }
}

impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let world = self.world();
        let Hooks { context, gate } = &mut world.http;
        WasiHttpCtxView { hooks: gate, table: &mut world.table, ctx: context }
    }
}

/// What drives a connection beside the reading of its response.
type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answered = (Response<WasiBody>, Driver);

impl WasiHttpHooks for Gate {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Driver,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let policy = self.policy.clone();
        Box::new(async move {
            let Some(policy) = policy else { return Err(Error::HttpRequestDenied) };
            send(request, options.unwrap_or_default(), &policy.http).await
        })
    }
}

/// Sends a request where the grant allows it. A redirect is a response like any other: the guest follows it with a request of
/// its own.
async fn send(request: Request<WasiBody>, options: RequestOptions, grant: &HttpGrant) -> Result<Answered, Error> {
    STATS.http.requests.fetch_add(1, Ordering::Relaxed);
    let uri = request.uri();
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().ok_or(Error::HttpRequestUriInvalid)?);
    let Some(port) = grant.allows(scheme, host, uri.port_u16()) else {
        STATS.http.not_allowed.fetch_add(1, Ordering::Relaxed);
        return Err(Error::HttpRequestDenied);
    };
    let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let within = options.connect_timeout.unwrap_or(FOREVER);
    let connecting = async {
        let stream = connect(&host, port, grant).await?;
        stream.set_nodelay(true).map_err(Error::Connect)?;
        let stream: Box<dyn Stream> = if is_secure { Box::new(secured(stream, host).await?) } else { Box::new(stream) };
        Ok::<_, Error>(stream)
    };
    let stream = timeout(within, connecting).await.map_err(|_| Error::ConnectionTimeout)??;
    exchange(stream, request, options).await
}

/// As long as the call may take: its deadline ends whatever waits here.
const FOREVER: Duration = Duration::from_secs(86_400);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to an address that was checked, and not to the name, which may stand for another one a moment later.
async fn connect(host: &str, port: u16, grant: &HttpGrant) -> Result<TcpStream, Error> {
    let unknown = |error: io::Error| Error::DnsError { rcode: Some(error.to_string()), info_code: None };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(unknown)?.collect();
    let mut failed = Error::DestinationNotFound;
    let allowed = addresses.iter().filter(|address| grant.allows_address(address.ip()));
    let mut any_allowed = false;
    for address in allowed {
        any_allowed = true;
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => failed = Error::ConnectionRefused,
            Err(error) => failed = Error::Connect(error),
        }
    }
    if !any_allowed && !addresses.is_empty() {
        STATS.http.private_address.fetch_add(1, Ordering::Relaxed);
        return Err(Error::DestinationIpProhibited);
    }
    Err(failed)
}

async fn secured(stream: TcpStream, host: String) -> Result<impl Stream, Error> {
    let name = ServerName::try_from(host).map_err(|_| Error::HttpRequestUriInvalid)?;
    let connector = TlsConnector::from(tls_config()?);
    connector.connect(name, stream).await.map_err(|error| {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
            _ => Error::Tls(error),
        }
    })
}

/// Trusts the roots that the platform trusts, read once: `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the system's store.
fn tls_config() -> Result<Arc<ClientConfig>, Error> {
    static CONFIG: OnceCell<Arc<ClientConfig>> = OnceCell::new();
    let internal = |problem: String| Error::InternalError(Some(problem));
    let config = CONFIG.get_or_try_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map_or(String::new(), |error| format!(": {error}"));
            return Err(internal(format!("this machine has no root certificates{why}")));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| internal(error.to_string()))?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    })?;
    Ok(config.clone())
}

/// One request and its response over a connection of its own.
async fn exchange(
    stream: Box<dyn Stream>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Answered, Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // A server, unlike a proxy, is told the path alone.
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let mut answering = pin!(sender.send_request(request));
    let mut connection = Some(Box::pin(connection));
    // The connection moves the bytes. Where it ends first, the answer says why.
    let answered = poll_fn(|context| {
        if let Poll::Ready(answer) = answering.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        if connection.as_mut().is_some_and(|connection| connection.as_mut().poll(context).is_ready()) {
            connection = None;
        }
        answering.as_mut().poll(context)
    });
    let within = options.first_byte_timeout.unwrap_or(FOREVER);
    let response = timeout(within, answered).await.map_err(|_| Error::ConnectionReadTimeout)??;
    let between = options.between_bytes_timeout.unwrap_or(FOREVER);
    let response = response.map(|body| UnsyncBoxBody::new(PacedBody::new(body, between)));
    let driver = async move {
        match connection {
            Some(connection) => Ok(connection.await?),
            None => Ok(()),
        }
    };
    Ok((response, Box::new(driver)))
}

/// A response's body that fails when nothing comes for too long.
struct PacedBody {
    body: Incoming,
    between: Duration,
    pause: Pin<Box<Sleep>>,
}

impl PacedBody {
    fn new(body: Incoming, between: Duration) -> Self {
        PacedBody { body, between, pause: Box::pin(sleep(between)) }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                let next = Instant::now() + self.between;
                self.pause.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(body_error)))
            }
            Poll::Pending => {
                ready!(self.pause.as_mut().poll(context));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that ends before its body does has left something out.
fn body_error(error: hyper::Error) -> Error {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_cut = cause
        .is_some_and(|cause| matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
    if is_cut || error.is_incomplete_message() { Error::HttpResponseIncomplete } else { Error::Hyper(error) }
}
