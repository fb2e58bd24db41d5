//! A client's connection with its time limits: sending the head of a request, idling between requests, taking what we write.
//!
//! hyper's own header limit would also end connections that merely idle, and knows no limit on writing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::ingress::framing::{HeadBytes, HeadScanner};

/// An idle connection is kept this long for the next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The same for HTTP/2, where clients expect one connection to last.
const KEEP_ALIVE_H2: Duration = Duration::from_secs(300);

const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What the requests of a connection tell its guard.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Requests being answered.
    open: AtomicU32,
    /// Requests seen so far.
    seen: AtomicU32,
    /// What the bytes of the last head showed.
    head: AtomicU8,
}

impl Traffic {
    /// A request was received whole (its head).
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.seen.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    fn note_head(&self, bytes: HeadBytes) {
        let code = match bytes {
            HeadBytes::Clean => 0,
            HeadBytes::DoubleLength => 1,
            HeadBytes::LengthAndChunked => 2,
        };
        self.head.store(code, Ordering::Relaxed);
    }
}

impl InFlight {
    /// What the bytes of the head showed.
    pub(crate) fn framing(&self) -> HeadBytes {
        match self.0.head.load(Ordering::Relaxed) {
            1 => HeadBytes::DoubleLength,
            2 => HeadBytes::LengthAndChunked,
            _ => HeadBytes::Clean,
        }
    }
}

/// A request being answered; dropped when its answer is.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuardLimits {
    pub(crate) head: Duration,
    pub(crate) write: Duration,
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Guarded {
    io: TcpStream,
    limits: GuardLimits,
    traffic: Arc<Traffic>,
    /// Value of `traffic.seen` when the present wait began.
    seen: u32,
    /// When the present wait for the client began.
    since: Instant,
    /// Bytes of a head arrived during the present wait.
    in_head: bool,
    first_bytes: bool,
    http2: bool,
    scanner: HeadScanner,
    read_timer: Option<Pin<Box<Sleep>>>,
    blocked: Option<Instant>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// Guards a connection that was accepted at `since`.
    pub(crate) fn new(io: TcpStream, limits: GuardLimits, traffic: Arc<Traffic>, since: Instant) -> Self {
        Self {
            io,
            limits,
            traffic,
            seen: 0,
            since,
            // The first request has to come soon.
            in_head: true,
            first_bytes: true,
            http2: false,
            scanner: HeadScanner::default(),
            read_timer: None,
            blocked: None,
            write_timer: None,
        }
    }

    /// The client sends nothing: how long may that last?
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.traffic.open.load(Ordering::Relaxed) > 0 {
            self.in_head = false;
            return Poll::Pending;
        }
        let seen = self.traffic.seen.load(Ordering::Relaxed);
        if seen != self.seen {
            self.seen = seen;
            self.since = Instant::now();
            self.in_head = false;
        }
        let limit = match (self.in_head, self.http2) {
            (true, _) => self.limits.head,
            (false, false) => KEEP_ALIVE,
            (false, true) => KEEP_ALIVE_H2,
        };
        if !poll_until(&mut self.read_timer, self.since + limit, cx) {
            return Poll::Pending;
        }
        if self.in_head && !self.http2 && !self.first_bytes {
            // Nothing else is being written: no request is open. A client that cannot take these bytes has lost its right to them.
            self.io.try_write(TIMED_OUT).ok();
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Bytes arrived.
    fn note_read(&mut self, new: &[u8]) {
        if self.first_bytes {
            self.first_bytes = false;
            self.http2 = new.starts_with(b"PRI");
        }
        if self.http2 || self.traffic.open.load(Ordering::Relaxed) > 0 {
            return;
        }
        let seen = self.traffic.seen.load(Ordering::Relaxed);
        if !self.in_head || seen != self.seen {
            self.in_head = true;
            self.since = Instant::now();
            self.seen = seen;
            self.scanner.reset();
        }
        self.scanner.push(new);
        self.traffic.note_head(self.scanner.found());
    }

    /// The client takes nothing: how long may that last?
    fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        let since = *self.blocked.get_or_insert_with(Instant::now);
        poll_until(&mut self.write_timer, since + self.limits.write, cx).then(|| io::ErrorKind::TimedOut.into())
    }

    fn note_write<T>(&mut self, result: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match result {
            Poll::Pending => match self.poll_blocked(cx) {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
            ready @ Poll::Ready(_) => {
                self.blocked = None;
                ready
            }
        }
    }
}

/// Whether `deadline` has passed; if not, the task is woken then. The timer is moved only when it must fire earlier: a timer that fires
/// too early is cheaper than one moved on every read.
fn poll_until(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Instant, cx: &mut Context<'_>) -> bool {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
    if timer.deadline() > deadline {
        timer.as_mut().reset(deadline);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if Instant::now() >= deadline {
            return true;
        }
        timer.as_mut().reset(deadline);
    }
    false
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Pending => this.poll_wait(cx),
            Poll::Ready(Ok(())) => {
                let new = buf.filled().get(before..).unwrap_or_default();
                if !new.is_empty() {
                    this.note_read(new);
                }
                Poll::Ready(Ok(()))
            }
            ready @ Poll::Ready(_) => ready,
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, buf);
        this.note_write(result, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.note_write(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
