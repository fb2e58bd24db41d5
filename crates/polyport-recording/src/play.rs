//! A provider that answers from a recording.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use polyport_protocol::encode_fault;
use polyport_types::{ClientProtocol, Fault, FaultClass, Protocol};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, Sleep};

use crate::format::{Answer, End, Exchange};
use crate::matching::{Asked, Shelf};
use crate::read::Recording;

/// The largest body of a request that is read, in bytes.
const BODY_BYTES: usize = 128 << 20;

/// Headers of an answer that follow from how it is sent.
const OF_THE_CONNECTION: [&str; 7] =
    ["connection", "content-encoding", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"];

/// A connection that is about to break off stays open so long for what was written before.
const LAST_BYTES: Duration = Duration::from_millis(50);

/// How fast recorded answers are given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many times as fast as they were recorded.
    Times(f64),
    /// Without any wait.
    Fast,
}

impl Pace {
    fn scale(self, micros: u64) -> Duration {
        match self {
            Self::Fast => Duration::ZERO,
            // A wait longer than any limit of a gateway is none to be kept.
            Self::Times(times) => Duration::try_from_secs_f64(Duration::from_micros(micros).as_secs_f64() / times)
                .unwrap_or(Duration::from_secs(3600)),
        }
    }
}

impl std::str::FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "original" => Ok(Self::Times(1.0)),
            "fast" => Ok(Self::Fast),
            number => match number.parse() {
                Ok(times) if times > 0.0 && f64::is_finite(times) => Ok(Self::Times(times)),
                _ => Err("write `original`, `fast`, or how many times as fast, such as 2 or 0.5".to_owned()),
            },
        }
    }
}

/// Answers requests from a recording.
#[derive(Debug)]
pub struct Player {
    shelf: Shelf,
    /// What each provider speaks.
    protocols: Vec<(String, Protocol)>,
    pace: Pace,
    strict: bool,
    asked: Option<Mutex<Vec<Request<Bytes>>>>,
}

/// What was found for a request, noted in its extensions.
#[derive(Clone, Debug)]
pub struct Found {
    /// The provider it was meant for.
    pub provider: String,
    /// The line of the recording that answers it, and whether it is the same request.
    pub answer: Option<(usize, bool)>,
}

impl Player {
    /// Of a recording. `strict` answers only what was recorded exactly.
    #[must_use]
    pub fn new(recording: &Recording, pace: Pace, strict: bool) -> Self {
        let shelf = Shelf::new(recording);
        let mut protocols: Vec<(String, Protocol)> = Vec::new();
        for entry in shelf.entries() {
            if protocols.iter().all(|(name, _)| *name != entry.exchange.provider) {
                protocols.push((entry.exchange.provider.clone(), entry.exchange.protocol));
            }
        }
        Self { shelf, protocols, pace, strict, asked: None }
    }

    /// Keeps the requests it gets.
    #[must_use]
    pub fn listening(mut self) -> Self {
        self.asked = Some(Mutex::default());
        self
    }

    /// The requests since this was last asked for, each with what was [`Found`] for it in its extensions.
    #[must_use]
    pub fn take_asked(&self) -> Vec<Request<Bytes>> {
        self.asked.as_ref().map(|asked| std::mem::take(&mut *asked.lock())).unwrap_or_default()
    }

    /// Answers a request; an error closes the connection without an answer.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<PlayedBody>, Unanswered> {
        let (head, body) = request.into_parts();
        let body = read(body).await.map_err(|_| Unanswered)?;
        // The first segment of the path is the provider's name.
        let whole = head.uri.path_and_query().map_or("/", |whole| whole.as_str());
        let rest = whole.trim_start_matches('/');
        let (provider, target) = rest.split_once('/').unwrap_or((rest, ""));
        let (provider, target) = (decode(provider), format!("/{target}"));
        let asked = Asked { provider: &provider, method: head.method.as_str(), target: &target, body: &body };
        let found = self.shelf.find(asked, self.strict);
        if let Some(asked) = &self.asked {
            let mut request = Request::new(body.clone());
            *request.method_mut() = head.method.clone();
            *request.headers_mut() = head.headers.clone();
            *request.uri_mut() = target.parse().unwrap_or_default();
            let answer = found.as_ref().ok().map(|(entry, exact)| (entry.line, *exact));
            request.extensions_mut().insert(Found { provider: provider.clone(), answer });
            asked.lock().push(request);
        }
        match found {
            Ok((entry, _)) => played(&entry.exchange, self.pace).await,
            Err(miss) => {
                let protocol = self.protocols.iter().find(|(name, _)| *name == provider).map(|(_, protocol)| *protocol);
                Ok(missing(protocol.unwrap_or(Protocol::Chat), miss.0))
            }
        }
    }
}

/// No answer was recorded: the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke off in the recording")]
struct Unanswered;

/// Plays what was recorded.
async fn played(exchange: &Exchange, pace: Pace) -> Result<Response<PlayedBody>, Unanswered> {
    let began = Instant::now();
    let Some(answer) = &exchange.answer else {
        tokio::time::sleep(pace.scale(exchange.ended)).await;
        return match exchange.end {
            End::Timeout | End::Left => std::future::pending().await,
            End::Reset | End::Complete => Err(Unanswered),
        };
    };
    tokio::time::sleep(pace.scale(answer.after)).await;
    let mut response = Response::new(PlayedBody::of(exchange, answer, pace, began));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers.iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str())) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            response.headers_mut().append(name, value);
        }
    }
    if answer.header("content-length").is_some() && exchange.end == End::Complete {
        let length = response.body().chunks.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

/// What was not recorded is said in the words of the provider's protocol.
fn missing(protocol: Protocol, words: String) -> Response<PlayedBody> {
    let protocol = match protocol {
        Protocol::Chat => ClientProtocol::Chat,
        Protocol::Responses => ClientProtocol::Responses,
        Protocol::Messages => ClientProtocol::Messages,
        Protocol::Gemini => ClientProtocol::Gemini,
    };
    let error = encode_fault(protocol, &Fault::new(FaultClass::NotFound, words), "req_replay");
    let body = PlayedBody {
        chunks: vec![(Duration::ZERO, Bytes::from(error.body))],
        next: 0,
        began: Instant::now(),
        end: End::Complete,
        ended: Duration::ZERO,
        wait: None,
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::NOT_FOUND);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The pieces of a recorded body, each at its time.
#[derive(Debug)]
struct PlayedBody {
    chunks: Vec<(Duration, Bytes)>,
    next: usize,
    began: Instant,
    end: End,
    ended: Duration,
    wait: Option<Pin<Box<Sleep>>>,
}

impl PlayedBody {
    fn of(exchange: &Exchange, answer: &Answer, pace: Pace, began: Instant) -> Self {
        let chunks =
            answer.chunks.iter().map(|chunk| (pace.scale(chunk.0), Bytes::from(chunk.1.bytes().unwrap_or_default())));
        Self {
            chunks: chunks.collect(),
            next: 0,
            began,
            end: exchange.end,
            ended: pace.scale(exchange.ended),
            wait: None,
        }
    }
}

impl Body for PlayedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        while let Some((at, bytes)) = this.chunks.get(this.next) {
            if !at.is_zero() {
                let due = this.began + *at;
                let wait = this.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
                ready!(wait.as_mut().poll(cx));
                this.wait = None;
            }
            this.next += 1;
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes.clone()))));
            }
        }
        match this.end {
            End::Complete => Poll::Ready(None),
            End::Reset => {
                let due = (this.began + this.ended).max(Instant::now() + LAST_BYTES);
                let wait = this.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
                ready!(wait.as_mut().poll(cx));
                Poll::Ready(Some(Err(io::Error::other(Unanswered))))
            }
            // Whoever asked had enough; until then there is more to come.
            End::Timeout | End::Left => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end == End::Complete && self.next >= self.chunks.len()
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, io::Error> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            if bytes.len() + data.len() > BODY_BYTES {
                return Err(io::Error::other("the body is too large"));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// A segment of a path as it was before it was percent-encoded.
fn decode(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// A player that listens. Dropping it closes its port and all connections.
#[derive(Debug)]
pub struct Replay {
    address: SocketAddr,
    player: Arc<Player>,
    accepting: AbortHandle,
}

impl Replay {
    /// Listens on the current runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(player: Player, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, player) = (listener.local_addr()?, Arc::new(player));
        let shared = Arc::clone(&player);
        #[allow(clippy::disallowed_methods, reason = "it ends with its handle")]
        let task = tokio::spawn(accept(listener, shared));
        Ok(Self { address, player, accepting: task.abort_handle() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What answers.
    #[must_use]
    pub fn player(&self) -> &Player {
        &self.player
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, player: Arc<Player>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Pieces leave as they are, not joined.
        stream.set_nodelay(true).ok();
        let player = Arc::clone(&player);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let player = Arc::clone(&player);
                async move { player.answer(request).await }
            });
            // How a connection ends is no news here.
            auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
        });
        while connections.try_join_next().is_some() {}
    }
}
