//! One request and its response, over a connection of its own that is made here.

use super::super::budget::{Budget, Charge, HostBytesExceeded};
use super::{Gate, fields, lookup, tls};
use crate::sandbox::Policy;
use crate::stats::STATS;
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

/// Fields of a response. Servers and proxies allow 100 to 1,000, Node's client 2,000.
pub(super) const MOST_HEADERS: usize = 2000;
/// Bytes of a response's head, and of what is read ahead. Browsers allow 256 KiB, most servers 8 to 64 KiB.
pub(super) const HEAD: usize = 128 << 10;
/// What a connection has the host hold: two buffers, since a piece of the last one may wait for the guest, and those of TLS.
const CONNECTION: usize = 4 * HEAD;
/// How long a request waits for a place where the guest says nothing of connecting: it may be the guest itself that holds
/// all of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// What drives a connection beside the reading of its response.
pub(super) type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;
pub(super) type Answered = (Response<WasiBody>, Driver);

/// The right to one connection, for as long as it or what it has received lives.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _charge: Charge,
}

/// What a request fails with whose call is over by now.
pub(super) fn too_much(exceeded: HostBytesExceeded) -> Error {
    Error::InternalError(Some(exceeded.to_string()))
}

/// Sends a request where the grant allows it. A redirect is a response like any other: the guest follows it with a request of
/// its own.
pub(super) async fn send(
    request: Request<WasiBody>,
    options: RequestOptions,
    policy: &Policy,
    gate: &Gate,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<Answered, Error> {
    STATS.http.requests.fetch_add(1, Ordering::Relaxed);
    let uri = request.uri();
    // A user and a password would go out in the `Host` header.
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(Error::HttpRequestUriInvalid);
    }
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().ok_or(Error::HttpRequestUriInvalid)?);
    let Some(port) = policy.http.allows(scheme, host, uri.port_u16()) else {
        STATS.http.not_allowed.fetch_add(1, Ordering::Relaxed);
        return Err(Error::HttpRequestDenied);
    };
    let place = place(gate, permit, options.connect_timeout).await?;
    // What waits for a place stays small.
    Box::pin(send_from(place, request, options, port, policy, &gate.budget)).await
}

/// A place, waited for if there was none when the request was sent.
async fn place(
    gate: &Gate,
    permit: Option<OwnedSemaphorePermit>,
    connect_timeout: Option<Duration>,
) -> Result<Arc<Place>, Error> {
    let permit = match permit {
        Some(permit) => permit,
        None => match timeout(connect_timeout.unwrap_or(PATIENCE), gate.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(Error::ConnectionLimitReached),
        },
    };
    let charge = gate.budget.charge(CONNECTION).map_err(too_much)?;
    Ok(Arc::new(Place { _permit: permit, _charge: charge }))
}

async fn send_from(
    place: Arc<Place>,
    request: Request<WasiBody>,
    options: RequestOptions,
    port: u16,
    policy: &Policy,
    budget: &Budget,
) -> Result<Answered, Error> {
    let is_secure = request.uri().scheme() == Some(&Scheme::HTTPS);
    let host = request.uri().host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let within = options.connect_timeout.unwrap_or(FOREVER);
    let connecting = async {
        let stream = connect(&host, port, policy).await?;
        stream.set_nodelay(true).map_err(Error::Connect)?;
        let stream: Box<dyn Stream> =
            if is_secure { Box::new(tls::secured(stream, host).await?) } else { Box::new(stream) };
        Ok::<_, Error>(stream)
    };
    let stream = timeout(within, connecting).await.map_err(|_| Error::ConnectionTimeout)??;
    exchange(stream, place, request, options, budget).await
}

/// As long as the call may take: its deadline ends whatever waits here.
const FOREVER: Duration = Duration::from_secs(86_400);

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to an address that was checked, and not to the name, which may stand for another one a moment later.
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
        STATS.http.private_address.fetch_add(1, Ordering::Relaxed);
        return Err(Error::DestinationIpProhibited);
    }
    Err(failed)
}

/// One request and its response over a connection of its own.
async fn exchange(
    stream: Box<dyn Stream>,
    place: Arc<Place>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
    budget: &Budget,
) -> Result<Answered, Error> {
    let mut builder = http1::Builder::new();
    builder.max_headers(MOST_HEADERS).max_header_size(HEAD).max_buf_size(HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    *request.uri_mut() = Uri::from(target(request.uri())?);
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
    let response = timeout(within, answered).await.map_err(|_| Error::ConnectionReadTimeout)?;
    let mut response = response.map_err(head_error)?;
    *response.headers_mut() = fields::kept(budget, response.headers()).map_err(too_much)?;
    let between = options.between_bytes_timeout.unwrap_or(FOREVER);
    let (budget, received) = (budget.clone(), place.clone());
    let response = response.map(|body| UnsyncBoxBody::new(PacedBody::new(body, between, budget, received)));
    let driver = async move {
        let _place = place;
        match connection {
            Some(connection) => Ok(connection.await?),
            None => Ok(()),
        }
    };
    Ok((response, Box::new(driver)))
}

/// What a server, unlike a proxy, is told: the path and the query alone. As text a path has its slash, which it may lack where
/// a `Uri` is written.
fn target(uri: &Uri) -> Result<PathAndQuery, Error> {
    let text = uri.path_and_query().map_or("/".to_owned(), PathAndQuery::to_string);
    PathAndQuery::try_from(text).map_err(|_| Error::HttpRequestUriInvalid)
}

fn head_error(error: hyper::Error) -> Error {
    let is_too_large = error.is_parse_too_large();
    if is_too_large { Error::HttpResponseHeaderSectionSize(Some(HEAD as u32)) } else { Error::Hyper(error) }
}

/// A response's body that fails when nothing comes for too long.
struct PacedBody {
    body: Incoming,
    between: Duration,
    pause: Pin<Box<Sleep>>,
    budget: Budget,
    _place: Arc<Place>,
}

impl PacedBody {
    fn new(body: Incoming, between: Duration, budget: Budget, place: Arc<Place>) -> Self {
        PacedBody { body, between, pause: Box::pin(sleep(between)), budget, _place: place }
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

/// A connection that ends before its body does has left something out.
fn body_error(error: hyper::Error) -> Error {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_cut = cause
        .is_some_and(|cause| matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
    if is_cut || error.is_incomplete_message() { Error::HttpResponseIncomplete } else { Error::Hyper(error) }
}
