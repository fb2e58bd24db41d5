//! The load: a fixed number of requests over a fixed number of connections.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// One kind of request.
#[derive(Clone)]
pub(crate) struct Shot {
    /// Path, e.g. `/v1/chat/completions`.
    pub(crate) path: &'static str,
    /// JSON body.
    pub(crate) body: Bytes,
    /// Text that must stand in every answer.
    pub(crate) expect: &'static str,
}

/// Opens a connection.
pub(crate) async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends one request and reads the whole answer.
pub(crate) async fn fire(sender: &mut SendRequest<Full<Bytes>>, address: &str, shot: &Shot) -> Result<Bytes> {
    sender.ready().await?;
    let response = sender.send_request(request(address, shot)?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

/// The request as sent.
pub(crate) fn request(address: &str, shot: &Shot) -> Result<Request<Full<Bytes>>> {
    Request::post(shot.path)
        .header("host", address)
        .header("content-type", "application/json")
        .header("authorization", "Bearer bench")
        .header("anthropic-version", "2023-06-01")
        .body(Full::new(shot.body.clone()))
        .context("request")
}

/// Runs `count` requests over `connections` connections; gives the sorted latencies.
pub(crate) async fn run(address: &str, shot: &Shot, count: usize, connections: usize) -> Result<Vec<Duration>> {
    let mut workers = Vec::new();
    for _ in 0..connections {
        let (address, shot) = (address.to_owned(), shot.clone());
        workers.push(tokio::spawn(async move {
            let mut sender = connect(&address).await?;
            let mut times = Vec::with_capacity(count / connections);
            for _ in 0..count / connections {
                let start = Instant::now();
                let body = fire(&mut sender, &address, &shot).await?;
                times.push(start.elapsed());
                let found = body.windows(shot.expect.len()).any(|window| window == shot.expect.as_bytes());
                ensure!(found, "unexpected answer: {}", String::from_utf8_lossy(&body));
            }
            Ok(times)
        }));
    }
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await??);
    }
    all.sort_unstable();
    Ok(all)
}

/// The value below which `percent` of the sorted times lie.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
