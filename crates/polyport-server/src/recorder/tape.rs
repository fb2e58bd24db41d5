//! An exchange while it goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method, StatusCode};
use polyport_provider::{Adapter, Endpoint, Watch};
use polyport_recording::format::{Answer, Exchange};
use polyport_recording::{End, Side};
use polyport_types::{Protocol, Text};

use super::{HELD_BYTES, Message, Shared};
use crate::relay::course::Slot;

/// The bodies of a request and its answer together; longer ones are left out.
const EXCHANGE_BYTES: usize = 32 << 20;

/// What is known when an exchange begins.
pub(crate) struct Heard<'a> {
    pub(crate) side: Side,
    pub(crate) id: String,
    pub(crate) protocol: Protocol,
    pub(crate) method: &'a Method,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// None where it is read while it is sent.
    pub(crate) body: Option<&'a Bytes>,
}

/// An exchange as it was heard: the writer takes the secrets out.
#[derive(Debug)]
pub(super) struct Taken {
    /// Without bodies.
    pub(super) exchange: Exchange,
    /// Names of headers that the operator sets.
    pub(super) of_operator: Vec<String>,
    pub(super) body: Option<Bytes>,
    pub(super) chunks: Vec<(u64, Bytes)>,
    /// Bytes it takes of those that may be in memory.
    pub(super) held: usize,
}

/// Takes down an exchange; dropped before its end, it was left by whoever asked.
#[derive(Debug)]
pub(crate) struct Tape {
    /// None once it is over, or was left out.
    taken: Option<Box<Taken>>,
    began: Instant,
    shared: Arc<Shared>,
}

impl Tape {
    /// `None` if there is no room for it.
    pub(super) fn begin(shared: &Arc<Shared>, heard: Heard<'_>) -> Option<Self> {
        let Heard { side, id, protocol, method, target, headers, body } = heard;
        if shared.full.load(Ordering::Relaxed) {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let exchange = Exchange {
            side,
            id: Some(id),
            at: now(),
            protocol,
            provider: String::new(),
            adapter: None,
            profile: String::new(),
            base: String::new(),
            model: String::new(),
            method: method.to_string(),
            target: target.to_owned(),
            headers: written(headers, side == Side::Client && body.is_some()),
            body: None,
            answer: None,
            end: End::Left,
            ended: 0,
        };
        let taken = Taken { exchange, of_operator: Vec::new(), body: body.cloned(), chunks: Vec::new(), held: 0 };
        let mut tape = Self { taken: Some(Box::new(taken)), began: Instant::now(), shared: Arc::clone(shared) };
        tape.hold(body.map_or(0, Bytes::len) + target.len() + weight(headers) + 1024);
        Some(tape)
    }

    pub(super) fn of_provider(&mut self, slot: &Slot, endpoint: &Endpoint) {
        let Some(taken) = &mut self.taken else { return };
        taken.of_operator = endpoint.headers().keys().map(ToString::to_string).collect();
        let exchange = &mut taken.exchange;
        exchange.provider = slot.target.provider.to_string();
        exchange.model = slot.target.model.to_string();
        exchange.profile = slot.upstream.config.table.to_string();
        endpoint.base_path().clone_into(&mut exchange.base);
        exchange.adapter = match endpoint.adapter() {
            Adapter::Http => None,
            Adapter::CodeAssist => Some("code_assist"),
            Adapter::Antigravity => Some("antigravity"),
            Adapter::Warp => Some("warp"),
            Adapter::Vertex => Some("vertex"),
            Adapter::Bedrock => Some("bedrock"),
            Adapter::BedrockAnthropic => Some("bedrock_anthropic"),
            Adapter::CustomHttp => Some("custom_http"),
        }
        .map(str::to_owned);
    }

    /// The id of the client's request.
    pub(crate) fn id(&self) -> Option<Text> {
        self.taken.as_ref()?.exchange.id.as_deref().map(Text::from)
    }

    /// The head of the answer is here.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        let after = self.since();
        self.hold(weight(headers));
        if let Some(taken) = &mut self.taken {
            let headers = written(headers, false);
            taken.exchange.answer = Some(Answer { after, status: status.as_u16(), headers, chunks: Vec::new() });
        }
    }

    /// More of the answer's body.
    pub(crate) fn chunk(&mut self, bytes: &Bytes) {
        let at = self.since();
        // A copy: the piece may be a small part of a large buffer.
        self.hold(bytes.len() + 64);
        if let Some(taken) = &mut self.taken {
            taken.chunks.push((at, Bytes::copy_from_slice(bytes)));
        }
    }

    /// It is over.
    pub(crate) fn end(&mut self, end: End) {
        let ended = self.since();
        let Some(mut taken) = self.taken.take() else { return };
        taken.exchange.end = end;
        taken.exchange.ended = ended;
        let held = taken.held;
        if self.shared.sender.try_send(Message::Taken(taken)).is_err() {
            self.shared.held.fetch_sub(held, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes room; without any left, the exchange is left out.
    fn hold(&mut self, bytes: usize) {
        let Some(taken) = &mut self.taken else { return };
        taken.held += bytes;
        let held = self.shared.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held > HELD_BYTES || taken.held > EXCHANGE_BYTES {
            self.shared.held.fetch_sub(taken.held, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            self.taken = None;
        }
    }

    fn since(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.end(End::Left);
    }
}

impl Watch for Tape {
    fn chunk(&mut self, bytes: &Bytes) {
        Self::chunk(self, bytes);
    }

    fn end(&mut self, whole: bool) {
        Self::end(self, if whole { End::Complete } else { End::Reset });
    }
}

/// `inflated`: the body is not compressed any more.
fn written(headers: &HeaderMap, inflated: bool) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let kept = headers.iter().filter(|(name, _)| !inflated || **name != CONTENT_ENCODING);
    kept.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Bytes that headers take in memory.
pub(super) fn weight(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
