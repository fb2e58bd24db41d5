//! The same provider over HTTP/2 with prior knowledge.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::Shared;
use super::exchange::{Exchange, Outcome, Received};
use super::plan::Plan;
use super::step::Cut;

/// Serves one connection until it ends.
pub(super) async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    if let Some(streams) = shared.settings.max_streams {
        builder.max_concurrent_streams(streams);
    }
    let answer = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, connection, &shared).await) }
    });
    // The other side may leave at any time; exchanges notice on their own.
    drop(builder.serve_connection(TokioIo::new(stream), answer).await);
}

async fn answer(request: Request<Incoming>, connection: usize, shared: &Shared) -> Response<Channel> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, 256 << 20).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            shared.malformed(&format!("a request ends inside its body: {error}"));
            Bytes::new()
        }
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let (exchange, plan) = shared.receive(Received {
        connection,
        http2: true,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body,
        at: Instant::now(),
    });
    // Dropped with this future when the stream is reset while the head is held back.
    let mut guard = Guard(Some(exchange.clone()));
    if let Some(hold) = &plan.before_head {
        hold.wait().await;
    }
    let mut response = Response::builder().status(StatusCode::from_u16(plan.status).unwrap_or(StatusCode::OK));
    for (name, value) in &plan.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response = response.header(name, value);
        }
    }
    guard.0 = None;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(feed(plan, sender, exchange));
    response.body(Channel(receiver)).unwrap_or_else(|_| Response::new(Channel(mpsc::channel(1).1)))
}

/// Notes that the other side left, unless it was disarmed.
struct Guard(Option<Exchange>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            exchange.close(Outcome::Left(Instant::now()));
        }
    }
}

async fn feed(plan: Plan, sender: mpsc::Sender<io::Result<Bytes>>, exchange: Exchange) {
    let sending = async {
        if let Some(hold) = &plan.before_body {
            hold.wait().await;
        }
        for (number, piece) in plan.writes.iter().enumerate() {
            if let (true, Some(hold)) = (number > 0, &plan.between) {
                hold.wait().await;
            }
            if sender.send(Ok(piece.clone())).await.is_err() {
                return false;
            }
        }
        while let Some(more) = &plan.endless {
            if sender.send(Ok(more.clone())).await.is_err() {
                return false;
            }
        }
        match plan.cut {
            None | Some(Cut::End) => true,
            Some(Cut::Hang) => std::future::pending().await,
            Some(Cut::Close | Cut::Reset) => sender.send(Err(io::Error::other("cut off"))).await.is_ok(),
        }
    };
    tokio::select! {
        biased;
        sent = sending => exchange.close(if sent { Outcome::Sent } else { Outcome::Left(Instant::now()) }),
        () = sender.closed() => exchange.close(Outcome::Left(Instant::now())),
    }
}

/// A body fed by a task.
struct Channel(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
