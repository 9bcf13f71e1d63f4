//! One request and its response over `wasi:http`. Errors are reasons, to be read behind the request.

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, Method, OutgoingBody, OutgoingRequest,
    Scheme, http_error_code,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::reason::reason;
use crate::{Request, Response, Url};

/// The time that all of a runtime's requests have together.
pub struct Clock {
    deadline: Option<(Pollable, u64)>,
}

impl Clock {
    pub fn new(timeout_ms: Option<u64>) -> Self {
        let deadline =
            |timeout_ms: u64| (monotonic_clock::subscribe_duration(timeout_ms.saturating_mul(1_000_000)), timeout_ms);
        Clock { deadline: timeout_ms.map(deadline) }
    }

    /// Waits until one of them is ready.
    fn wait(&self, events: &[&Pollable]) -> Result<(), String> {
        let Some((deadline, timeout_ms)) = &self.deadline else {
            poll(events);
            return Ok(());
        };
        poll(&[events, &[deadline]].concat());
        if deadline.ready() {
            return Err(format!("no answer within `timeout_ms` ({timeout_ms})"));
        }
        Ok(())
    }
}

/// A response's body that is still to be read.
pub struct Body {
    stream: InputStream,
    incoming: IncomingBody,
    unsent: Option<Unsent>,
}

/// What the server did not wait for. To drop it is to break the connection off; in this order it may be dropped.
type Unsent = (OutputStream, OutgoingBody);

/// Sends a request and waits for the head of its response.
pub fn send(request: &Request, clock: &Clock) -> Result<Response<Body>, String> {
    let outgoing = outgoing(request)?;
    let body = request.body.as_ref().map(|bytes| Ok((outgoing.body()?, bytes)));
    let body = body.transpose().map_err(|()| "its body is not taken")?;
    let failed = |code: ErrorCode| reason(&code, &request.url);
    let answer = outgoing_handler::handle(outgoing, None).map_err(failed)?;
    let unsent = match body {
        Some((body, bytes)) => send_body(body, bytes, &answer, clock, &request.url)?,
        None => None,
    };
    let answered = answer.subscribe();
    let response = loop {
        match answer.get() {
            Some(response) => break response.map_err(|()| "its answer was taken already")?.map_err(failed)?,
            None => clock.wait(&[&answered])?,
        }
    };
    let headers = response.headers().entries();
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let incoming = response.consume().map_err(|()| "its response has no body")?;
    let stream = incoming.stream().map_err(|()| "its response has no body")?;
    Ok(Response { status: response.status(), headers, body: Body { stream, incoming, unsent } })
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, String> {
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers.append(name, value.as_bytes()).map_err(|error| match error {
            HeaderError::Forbidden => format!("the header `{name}` is the host's to set"),
            HeaderError::InvalidSyntax | HeaderError::Immutable => {
                format!("the header `{name}` has a name or a value that no header may have")
            }
        })?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let method = match request.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    };
    let scheme = if request.url.is_secure() { Scheme::Https } else { Scheme::Http };
    outgoing.set_method(&method).map_err(|()| "its method is not valid")?;
    outgoing
        .set_scheme(Some(&scheme))
        .and_then(|()| outgoing.set_authority(Some(&request.url.authority())))
        .and_then(|()| outgoing.set_path_with_query(Some(&request.url.path_and_query())))
        .map_err(|()| "its URL is not valid")?;
    Ok(outgoing)
}

/// Sends the body, or as much of it as the server waits for before it answers.
fn send_body(
    body: OutgoingBody,
    mut rest: &[u8],
    answer: &FutureIncomingResponse,
    clock: &Clock,
    url: &Url,
) -> Result<Option<Unsent>, String> {
    let stream = body.write().map_err(|()| "its body is not taken")?;
    {
        let (writable, answered) = (stream.subscribe(), answer.subscribe());
        while !rest.is_empty() {
            clock.wait(&[&writable, &answered])?;
            let Ok(room) = stream.check_write() else { break };
            let (now, later) = rest.split_at(room.min(rest.len() as u64) as usize);
            if now.is_empty() && answered.ready() || stream.write(now).is_err() {
                break;
            }
            rest = later;
        }
    }
    if !rest.is_empty() {
        // The answer says why.
        return Ok(Some((stream, body)));
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|code| reason(&code, url))?;
    Ok(None)
}

impl Body {
    /// Reads it to its end, which lies within `max_bytes`. `declared_bytes` is what the response says of it.
    pub fn read(
        self,
        declared_bytes: Option<u64>,
        max_bytes: u64,
        clock: &Clock,
        url: &Url,
    ) -> Result<Vec<u8>, String> {
        const CHUNK_BYTES: u64 = 64 << 10;
        if let Some(bytes) = declared_bytes.filter(|bytes| *bytes > max_bytes) {
            return Err(format!("the response has {bytes} bytes, more than `max_bytes` ({max_bytes})"));
        }
        // Dropped from the last to the first, as the host asks for it.
        let Body { unsent: _unsent, incoming: _incoming, stream } = self;
        let readable = stream.subscribe();
        let mut read = Vec::with_capacity(declared_bytes.unwrap_or(0) as usize);
        loop {
            clock.wait(&[&readable])?;
            match stream.read(CHUNK_BYTES) {
                Ok(chunk) if (read.len() + chunk.len()) as u64 > max_bytes => {
                    return Err(format!("the response has more bytes than `max_bytes` ({max_bytes})"));
                }
                Ok(chunk) => read.extend_from_slice(&chunk),
                Err(StreamError::Closed) => return Ok(read),
                Err(StreamError::LastOperationFailed(error)) => {
                    let text = |code| reason(&code, url);
                    return Err(http_error_code(&error).map_or_else(|| error.to_debug_string(), text));
                }
            }
        }
    }
}
