//! An HTTP/1.1 server that can break every rule on purpose, and that notices when the other side leaves.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Shared;
use super::exchange::{Outcome, Received};
use super::plan::Plan;
use super::step::Cut;

const HEAD_LIMIT: usize = 1 << 20;
const BODY_LIMIT: usize = 256 << 20;

/// Serves one connection until it ends.
pub(super) async fn serve(mut stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let mut buffer = BytesMut::new();
    loop {
        let received = match read(&mut stream, &mut buffer, connection).await {
            Ok(Some(received)) => received,
            Ok(None) => return,
            Err(error) => {
                shared.malformed(&error.to_string());
                return;
            }
        };
        let (exchange, plan) = shared.receive(received);
        let sent = tokio::select! {
            biased;
            sent = send(&stream, &plan) => sent,
            at = left(&stream) => { exchange.close(Outcome::Left(at)); return; }
        };
        match sent {
            Err(_) => exchange.close(Outcome::Left(Instant::now())),
            Ok(()) => exchange.close(Outcome::Sent),
        }
        if plan.cut == Some(Cut::Reset) && stream.set_zero_linger().is_err() {
            return;
        }
        let ended = matches!(plan.cut, Some(Cut::Close | Cut::Reset)) || plan.raw.is_some();
        if sent.is_err() || ended || plan.close_after {
            return;
        }
    }
}

/// Resolves when the other side closes or resets the connection.
async fn left(stream: &TcpStream) -> Instant {
    let mut byte = [0];
    match stream.peek(&mut byte).await {
        Ok(0) | Err(_) => Instant::now(),
        // It has sent more, so it is still there; nothing tells when it leaves.
        Ok(_) => std::future::pending().await,
    }
}

fn bad(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}

/// Reads the next request; `None` when the connection ends between two.
async fn read(stream: &mut TcpStream, buffer: &mut BytesMut, connection: usize) -> io::Result<Option<Received>> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break buffer.split_to(end + 4);
        }
        if buffer.len() > HEAD_LIMIT {
            return Err(bad("the head of a request does not end"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(bad("a request ends inside its head")) };
        }
    };
    let head = String::from_utf8(head.to_vec()).map_err(|_| bad("the head of a request is not UTF-8"))?;
    let mut lines = head.trim_end().split("\r\n");
    let mut line = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (line.next(), line.next(), line.next(), line.next())
    else {
        return Err(bad("a malformed request line"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
        let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        if !good {
            return Err(bad("a malformed header name"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let method = method.to_owned();
    let body = body(stream, buffer, &headers).await?;
    Ok(Some(Received { connection, http2: false, method, path, query, headers, body, at: Instant::now() }))
}

async fn body(stream: &mut TcpStream, buffer: &mut BytesMut, headers: &[(String, String)]) -> io::Result<Bytes> {
    let all = |name: &str| -> Vec<&str> {
        headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    };
    match (all("content-length").as_slice(), all("transfer-encoding").as_slice()) {
        ([], []) => Ok(Bytes::new()),
        ([length], []) => {
            let length = length.parse().map_err(|_| bad("a malformed content-length"))?;
            exactly(stream, buffer, length).await
        }
        ([], ["chunked"]) => {
            let mut body = BytesMut::new();
            loop {
                let line = line(stream, buffer).await?;
                let size = usize::from_str_radix(&line, 16).map_err(|_| bad("a malformed chunk size"))?;
                let chunk = exactly(stream, buffer, size).await?;
                if line_after(stream, buffer).await? && size == 0 {
                    return Ok(body.freeze());
                }
                body.extend_from_slice(&chunk);
            }
        }
        _ => Err(bad("more than one way to frame the body")),
    }
}

async fn exactly(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> io::Result<Bytes> {
    if length > BODY_LIMIT {
        return Err(bad("the body of a request is too large"));
    }
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(bad("a request ends inside its body"));
        }
    }
    Ok(buffer.split_to(length).freeze())
}

async fn line(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<String> {
    loop {
        if let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = buffer.split_to(end + 2);
            return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(bad("a request ends inside its body"));
        }
    }
}

/// Reads the line end after a chunk.
async fn line_after(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<bool> {
    let end = exactly(stream, buffer, 2).await?;
    if end == "\r\n" { Ok(true) } else { Err(bad("a chunk without a line end")) }
}

async fn send(stream: &TcpStream, plan: &Plan) -> io::Result<()> {
    stream.set_nodelay(true)?;
    for status in &plan.interim {
        write(stream, format!("HTTP/1.1 {status} Interim\r\nlink: </x>; rel=preload\r\n\r\n").as_bytes()).await?;
    }
    if let Some(hold) = &plan.before_head {
        hold.wait().await;
    }
    if let Some(raw) = &plan.raw {
        write(stream, raw).await?;
        return end(plan.cut).await;
    }
    let reason =
        StatusCode::from_u16(plan.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Status");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", plan.status);
    for (name, value) in &plan.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match plan.length {
        Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
        None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    let chunked = plan.length.is_none();
    // Without a wait between them head and first piece leave in one write, as from a real server.
    let mut pending = head.into_bytes();
    if let Some(hold) = &plan.before_body {
        write(stream, &std::mem::take(&mut pending)).await?;
        hold.wait().await;
    }
    for (number, piece) in plan.writes.iter().enumerate() {
        if let (true, Some(hold)) = (number > 0, &plan.between) {
            hold.wait().await;
        }
        frame(piece, chunked, &mut pending);
        write(stream, &std::mem::take(&mut pending)).await?;
    }
    while let Some(more) = &plan.endless {
        frame(more, chunked, &mut pending);
        write(stream, &std::mem::take(&mut pending)).await?;
    }
    if chunked && matches!(plan.cut, None | Some(Cut::End)) {
        pending.extend_from_slice(b"0\r\n\r\n");
    }
    write(stream, &pending).await?;
    end(plan.cut).await
}

async fn end(cut: Option<Cut>) -> io::Result<()> {
    if cut == Some(Cut::Hang) { std::future::pending().await } else { Ok(()) }
}

fn frame(piece: &[u8], chunked: bool, into: &mut Vec<u8>) {
    if chunked {
        into.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
    }
    into.extend_from_slice(piece);
    if chunked {
        into.extend_from_slice(b"\r\n");
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
