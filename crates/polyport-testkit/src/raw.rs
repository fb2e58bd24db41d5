//! Clients for tests: one that sends any bytes, and one that sends requests and reads streams piece by piece.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::provider::PATIENCE;

/// A TCP connection under full control, for requests that no library would send.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
}

/// An HTTP/1.1 answer read off a raw connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status; 0 if the connection was closed without an answer.
    pub status: u16,
    /// All headers in order, lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The first header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl From<TcpStream> for RawClient {
    /// A client on a connection whose socket has options of its own.
    fn from(stream: TcpStream) -> Self {
        Self { stream }
    }
}

impl RawClient {
    /// Connects.
    ///
    /// # Errors
    /// When the connection is refused.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the other side has closed the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends bytes in writes of `size`, with a pause between them.
    ///
    /// # Errors
    /// When the other side closes the connection meanwhile.
    pub async fn send_slowly(&mut self, bytes: &[u8], size: usize, pause: Duration) -> io::Result<()> {
        for piece in bytes.chunks(size.max(1)) {
            self.stream.write_all(piece).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Closes the sending half only.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Resets the connection.
    ///
    /// # Errors
    /// When the socket does not allow it.
    pub fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// Reads what arrives until the other side closes, or until `limit` bytes are there.
    ///
    /// # Panics
    /// When that takes longer than 20 seconds.
    pub async fn read_to_close(&mut self, limit: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let reading = async {
            while all.len() < limit {
                match self.stream.read_buf(&mut all).await {
                    // A reset after an early answer ends it as well.
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        assert!(read.is_ok(), "the connection stays open; so far: {:?}", String::from_utf8_lossy(&all));
        all
    }

    /// Reads exactly `n` bytes.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn read_exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; n];
        tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.map_err(io::Error::other)??;
        Ok(bytes)
    }

    /// Reads one answer, interim ones skipped. Status 0 stands for a connection that ends before one is complete.
    ///
    /// # Panics
    /// When that takes longer than 20 seconds.
    pub async fn answer(&mut self) -> RawAnswer {
        let read = tokio::time::timeout(PATIENCE, self.read_answer()).await;
        let none = RawAnswer { status: 0, headers: Vec::new(), body: Vec::new() };
        read.expect("no answer in time").unwrap_or(none)
    }

    async fn read_answer(&mut self) -> io::Result<RawAnswer> {
        loop {
            let head = self.read_head().await?;
            let mut lines = head.split("\r\n");
            let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            if (100..200).contains(&status) {
                continue;
            }
            let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            let body = if header("transfer-encoding").is_some() {
                self.read_chunks().await?
            } else if let Some(length) = header("content-length").and_then(|length| length.parse().ok()) {
                self.read_exactly(length).await?
            } else if matches!(status, 204 | 304) {
                Vec::new()
            } else {
                self.read_to_close(usize::MAX).await
            };
            return Ok(RawAnswer { status, headers, body });
        }
    }

    async fn read_head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&head).trim_end().to_owned())
    }

    async fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.stream.read_u8().await?);
            }
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            let size = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
            body.extend(self.read_exactly(size).await?);
            self.read_exactly(2).await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// A connection of a well-behaved client. Dropping it closes the connection.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    task: JoinHandle<()>,
    host: String,
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Connects with HTTP/1.1.
    ///
    /// # Panics
    /// When the connection is refused.
    pub async fn http1(address: SocketAddr) -> Self {
        let (sender, connection) = http1::handshake(open(address).await).await.expect("a connection");
        let task = tokio::spawn(async move { drop(connection.await) });
        Self { sender: Sender::One(sender), task, host: address.to_string() }
    }

    /// Connects with HTTP/2, prior knowledge.
    ///
    /// # Panics
    /// When the connection is refused.
    pub async fn http2(address: SocketAddr) -> Self {
        let handshake = http2::handshake(TokioExecutor::new(), open(address).await).await;
        let (sender, connection) = handshake.expect("a connection");
        let task = tokio::spawn(async move { drop(connection.await) });
        Self { sender: Sender::Two(sender), task, host: address.to_string() }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// When the connection ends before, or the answer is no HTTP.
    ///
    /// # Panics
    /// When the request is malformed, or nothing comes for 20 seconds.
    pub async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, hyper::Error> {
        let two = matches!(self.sender, Sender::Two(_));
        let uri = if two { format!("http://{}{target}", self.host) } else { target.to_owned() };
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method")).uri(uri);
        if !two {
            request = request.header("host", &self.host);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let waiting = async {
            match &mut self.sender {
                Sender::One(sender) => sender.send_request(request).await,
                Sender::Two(sender) => sender.send_request(request).await,
            }
        };
        let response = tokio::time::timeout(PATIENCE, waiting).await.expect("no answer in time")?;
        let (head, body) = response.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body, _connection: None })
    }
}

async fn open(address: SocketAddr) -> TokioIo<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("the server accepts connections");
    stream.set_nodelay(true).expect("a socket option");
    TokioIo::new(stream)
}

/// An answer whose body is still to be read. Dropping one that came by [`send`] closes its connection.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    _connection: Option<Connection>,
}

impl Reply {
    /// The value of a header; empty if it is absent or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The next piece of the body as it arrives, `None` at its end.
    ///
    /// # Errors
    /// When the connection breaks off.
    ///
    /// # Panics
    /// When nothing comes for 20 seconds.
    pub async fn next(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("the body stalls");
            match frame.transpose()? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The body from here on until it contains `text`.
    ///
    /// # Errors
    /// When the connection breaks off.
    ///
    /// # Panics
    /// When the body ends before, or nothing comes for 20 seconds.
    pub async fn until(&mut self, text: &str) -> Result<String, hyper::Error> {
        let mut read = Vec::new();
        loop {
            let so_far = String::from_utf8_lossy(&read).into_owned();
            if so_far.contains(text) {
                return Ok(so_far);
            }
            match self.next().await? {
                Some(piece) => read.extend_from_slice(&piece),
                None => panic!("the body ends without {text:?}: {so_far}"),
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// When the connection breaks off.
    pub async fn bytes(mut self) -> Result<Vec<u8>, hyper::Error> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// The whole body as JSON.
    ///
    /// # Panics
    /// When the connection breaks off or the body is no JSON.
    pub async fn json(self) -> Value {
        let body = self.bytes().await.expect("a complete body");
        serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&body)))
    }
}

/// Sends one request on a connection of its own (HTTP/1.1); dropping the answer closes the connection.
///
/// # Panics
/// When the connection is refused or breaks off before the head of the answer.
pub async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Reply {
    let mut connection = Connection::http1(address).await;
    let mut answer = connection.send(method, target, headers, body).await.expect("an answer");
    answer._connection = Some(connection);
    answer
}

/// Posts JSON on a connection of its own.
///
/// # Panics
/// As [`send`].
pub async fn post(address: SocketAddr, target: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    send(address, "POST", target, &all, body.to_string()).await
}

/// Gets something on a connection of its own.
///
/// # Panics
/// As [`send`].
pub async fn get(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Reply {
    send(address, "GET", target, headers, Bytes::new()).await
}
