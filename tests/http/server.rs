//! A small HTTP/1.1 server on a thread of its own, with routes that misbehave in the ways that servers do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as the server has read it.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

pub struct Server {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// Bytes of `/large`.
pub const LARGE: usize = 100 << 20;

impl Server {
    pub fn new() -> Self {
        Self::with(None)
    }

    /// One that speaks TLS.
    pub fn secure(config: rustls::ServerConfig) -> Self {
        Self::with(Some(Arc::new(config)))
    }

    fn with(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server { address: listener.local_addr().unwrap(), received: Arc::default() };
        let received = server.received.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (received, tls) = (received.clone(), tls.clone());
                std::thread::spawn(move || {
                    // What a client that goes away leaves behind is no concern of the test's.
                    let _ = match tls {
                        None => serve(stream, &received),
                        Some(config) => {
                            let connection = rustls::ServerConnection::new(config).unwrap();
                            serve(rustls::StreamOwned::new(connection, stream), &received)
                        }
                    };
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {}

fn serve(stream: impl Stream, received: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let request = read(&mut reader)?;
    received.lock().unwrap().push(request.clone());
    let stream = reader.get_mut();
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    match path {
        "/hello" => answer(stream, "200 OK", &[("x-one", "1"), ("x-two", "a"), ("x-two", "b")], b"hello"),
        "/echo" => answer(stream, "201 Created", &[], &request.body),
        "/binary" => answer(stream, "200 OK", &[], b"\xff\xfe\x00"),
        "/redirect" => answer(stream, "302 Found", &[("location", query)], b""),
        "/see-other" => answer(stream, "303 See Other", &[("location", query)], b""),
        "/around" => answer(stream, "307 Temporary Redirect", &[("location", "/around")], b""),
        "/silent" => {
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        "/drip" => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
            for _ in 0..1000 {
                stream.write_all(b".")?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        "/truncated" => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")?;
            stream.flush()
        }
        "/garbage" => {
            stream.write_all(b"\x00\x01\x02 this is no HTTP\r\n\r\n")?;
            stream.flush()
        }
        "/headers" => {
            let (count, len) = query.split_once('x').unwrap();
            let value = "v".repeat(len.parse().unwrap());
            let headers: String = (0..count.parse().unwrap()).map(|n| format!("x-{n}: {value}\r\n")).collect();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n")?;
            stream.flush()
        }
        "/large" => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n")?;
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..LARGE / piece.len() {
                stream.write_all(&piece)?;
            }
            stream.flush()
        }
        _ => answer(stream, "404 Not Found", &[], b"no such page"),
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Received> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Received { method, path, headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).unwrap() + 2];
            reader.read_exact(&mut chunk)?;
            if chunk.len() == 2 {
                break;
            }
            request.body.extend_from_slice(&chunk[..chunk.len() - 2]);
        }
    } else if let Some(length) = request.header("content-length") {
        request.body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut request.body)?;
    }
    Ok(request)
}

fn answer(stream: &mut impl Write, status: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len())?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}
