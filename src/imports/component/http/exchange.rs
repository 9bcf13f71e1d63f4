//! One request and its response, over a connection that is made for this request.
//!
//! 1. [`send`] checks the request's origin against the grant, and waits for the permit of a connection.
//! 2. [`connect`] looks the host up once, and connects to an address that the grant allows.
//! 3. [`exchange`] sends the request and reads the head of the response. From then on the [`Driver`] moves the bytes,
//!    and the guest reads the body from a [`PacedBody`].
//! 4. Each wait has the guest's own timeout if it has set one. The deadline of the call drops all of these futures.

use super::{fields, lookup, tls};
use crate::counters::CALLS;
use crate::policy::Policy;
use crate::sandbox::component::http::{HEAD, HttpHooks, MOST_HEADERS};
use crate::sandbox::component::{Charge, HostBudget, HostBytesExceeded};
use ::http::uri::{PathAndQuery, Scheme};
use ::http::{Request, Response, Uri};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// The bytes that are charged for a connection: two read buffers, because a piece of the previous one may still wait
/// for the guest, and the buffers of TLS.
const CONNECTION: usize = 4 * HEAD;
/// How long a request waits for a permit if the guest has set no timeout for connecting. The guest itself may hold all
/// permits, so an unbounded wait might never end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The future that drives a connection while the guest reads the response.
pub(super) type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;
pub(super) type Answered = (Response<WasiBody>, Driver);

/// The right to one connection. It is held for as long as the connection or the response's body lives.
struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _charge: Charge,
}

/// The error of a request that would exceed the budget. The guest never reads it, because its next host call ends the
/// call.
pub(super) fn too_much(exceeded: HostBytesExceeded) -> Error {
    Error::InternalError(Some(exceeded.to_string()))
}

/// Sends a request if the grant allows its origin. A redirect is a response like any other: the guest follows it with a
/// request of its own, which is checked again.
pub(super) async fn send(
    request: Request<WasiBody>,
    options: RequestOptions,
    policy: &Policy,
    hooks: &HttpHooks,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<Answered, Error> {
    CALLS.http.requests.fetch_add(1, Ordering::Relaxed);
    let uri = request.uri();
    // The `Host` header would tell a user and a password to the server.
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(Error::HttpRequestUriInvalid);
    }
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().ok_or(Error::HttpRequestUriInvalid)?);
    let Some(port) = policy.http.allows(scheme, host, uri.port_u16()) else {
        CALLS.http.not_allowed.fetch_add(1, Ordering::Relaxed);
        return Err(Error::HttpRequestDenied);
    };
    let connection_permit = connection_permit(hooks, permit, options.connect_timeout).await?;
    // Boxed, so that the future of a request stays small while it waits for a permit.
    Box::pin(send_connected(connection_permit, request, options, port, policy, &hooks.budget)).await
}

/// Waits for a permit if there was none when the request was sent, and charges the connection.
async fn connection_permit(
    hooks: &HttpHooks,
    permit: Option<OwnedSemaphorePermit>,
    connect_timeout: Option<Duration>,
) -> Result<Arc<ConnectionPermit>, Error> {
    let permit = match permit {
        Some(permit) => permit,
        None => match timeout(connect_timeout.unwrap_or(PATIENCE), hooks.connections.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(Error::ConnectionLimitReached),
        },
    };
    let charge = hooks.budget.charge(CONNECTION).map_err(too_much)?;
    Ok(Arc::new(ConnectionPermit { _permit: permit, _charge: charge }))
}

async fn send_connected(
    connection_permit: Arc<ConnectionPermit>,
    request: Request<WasiBody>,
    options: RequestOptions,
    port: u16,
    policy: &Policy,
    budget: &HostBudget,
) -> Result<Answered, Error> {
    let is_secure = request.uri().scheme() == Some(&Scheme::HTTPS);
    let host = request.uri().host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let within = options.connect_timeout.unwrap_or(FOREVER);
    let connecting = async {
        let stream = connect(&host, port, policy).await?;
        stream.set_nodelay(true).map_err(Error::Connect)?;
        let stream: Box<dyn Transport> =
            if is_secure { Box::new(tls::secured(stream, host).await?) } else { Box::new(stream) };
        Ok::<_, Error>(stream)
    };
    let stream = timeout(within, connecting).await.map_err(|_| Error::ConnectionTimeout)??;
    exchange(stream, connection_permit, request, options, budget).await
}

/// The timeout if the guest has set none. The deadline of the call ends the wait earlier.
const FOREVER: Duration = Duration::from_secs(86_400);

/// The bytes of a connection: TCP, or TLS over TCP.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Looks a host up and connects to one of its addresses that the grant allows. It connects to the address that was
/// checked and not to the name, which may stand for another address a moment later (DNS rebinding).
async fn connect(host: &str, port: u16, policy: &Policy) -> Result<TcpStream, Error> {
    let grant = &policy.http;
    let unknown = |error: io::Error| Error::DnsError { rcode: Some(error.to_string()), info_code: None };
    let addresses = lookup::addresses(policy.tenant, host, port).await.map_err(unknown)?;
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
        CALLS.http.private_address.fetch_add(1, Ordering::Relaxed);
        return Err(Error::DestinationIpProhibited);
    }
    Err(failed)
}

/// Sends the request over a connection and reads the head of the response.
async fn exchange(
    stream: Box<dyn Transport>,
    connection_permit: Arc<ConnectionPermit>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
    budget: &HostBudget,
) -> Result<Answered, Error> {
    let mut builder = http1::Builder::new();
    builder.max_headers(MOST_HEADERS).max_header_size(HEAD).max_buf_size(HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    *request.uri_mut() = Uri::from(target(request.uri())?);
    let mut answering = pin!(sender.send_request(request));
    let mut connection = Some(Box::pin(connection));
    // The connection moves the bytes. If it ends before there is an answer, the answer is the error that says why.
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
    let response = timeout(within, answered).await.map_err(|_| Error::ConnectionReadTimeout)?;
    let mut response = response.map_err(head_error)?;
    *response.headers_mut() = fields::kept(budget, response.headers()).map_err(too_much)?;
    let between = options.between_bytes_timeout.unwrap_or(FOREVER);
    let (budget, received) = (budget.clone(), connection_permit.clone());
    let response = response.map(|body| UnsyncBoxBody::new(PacedBody::new(body, between, budget, received)));
    let driver = async move {
        let _connection_permit = connection_permit;
        match connection {
            Some(connection) => Ok(connection.await?),
            None => Ok(()),
        }
    };
    Ok((response, Box::new(driver)))
}

/// The target of the request in origin form, which servers expect: the path and the query alone. Its text begins with a
/// slash, which a path in a `Uri` may lack.
fn target(uri: &Uri) -> Result<PathAndQuery, Error> {
    let text = uri.path_and_query().map_or("/".to_owned(), PathAndQuery::to_string);
    PathAndQuery::try_from(text).map_err(|_| Error::HttpRequestUriInvalid)
}

fn head_error(error: hyper::Error) -> Error {
    let is_too_large = error.is_parse_too_large();
    if is_too_large { Error::HttpResponseHeaderSectionSize(Some(HEAD as u32)) } else { Error::Hyper(error) }
}

/// A response's body. It fails if nothing arrives for the time `between`.
struct PacedBody {
    body: Incoming,
    between: Duration,
    pause: Pin<Box<Sleep>>,
    budget: HostBudget,
    _connection_permit: Arc<ConnectionPermit>,
}

impl PacedBody {
    fn new(body: Incoming, between: Duration, budget: HostBudget, connection_permit: Arc<ConnectionPermit>) -> Self {
        PacedBody { body, between, pause: Box::pin(sleep(between)), budget, _connection_permit: connection_permit }
    }

    fn received(&self, frame: Result<Frame<Bytes>, hyper::Error>) -> Result<Frame<Bytes>, Error> {
        let frame = frame.map_err(body_error)?;
        match frame.trailers_ref() {
            Some(trailers) => Ok(Frame::trailers(fields::kept(&self.budget, trailers).map_err(too_much)?)),
            None => Ok(frame),
        }
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
                Poll::Ready(frame.map(|frame| self.received(frame)))
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

/// The error of a body. If the connection ended before the body did, the response is incomplete.
fn body_error(error: hyper::Error) -> Error {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_cut = cause
        .is_some_and(|cause| matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
    if is_cut || error.is_incomplete_message() { Error::HttpResponseIncomplete } else { Error::Hyper(error) }
}
