//! Traces for a collector: one span for a request, one for each attempt at a provider.
//!
//! Nothing is made of a request before it has ended, and then away from it: it leaves what is known of it in a bounded queue. Without a
//! collector there is nothing but an empty option in each record.

mod export;
mod spans;

use std::time::{Instant, SystemTime};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use parking_lot::Mutex;
use polyport_provider::{Client, ClientError, ClientSettings};
use polyport_types::{Text, Usage};
use tokio::sync::mpsc;

use super::metrics::Metrics;
use crate::config::Traces;
use crate::id::RequestId;

pub(crate) use export::{finish, keep_exporting};

/// Requests that may wait for their export. What comes beyond is dropped and counted.
const WAITING: usize = 2048;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// A longer `tracestate` is left out, as the standard allows.
const LONGEST_STATE: usize = 512;

/// Takes in what is known of requests that have ended.
#[derive(Debug)]
pub(crate) struct Tracer {
    settings: Traces,
    client: Client,
    queue: mpsc::Sender<Ended>,
    /// The other end, while nobody exports.
    left: Mutex<Option<mpsc::Receiver<Ended>>>,
}

impl Tracer {
    pub(crate) fn new(settings: Traces) -> Result<Self, ClientError> {
        let (queue, left) = mpsc::channel(WAITING);
        let client = Client::new(&ClientSettings::default())?;
        Ok(Self { settings, client, queue, left: Mutex::new(Some(left)) })
    }

    /// The trace of a request that begins, if it is to have one.
    pub(crate) fn begin(&self, id: &RequestId, head: &Parts) -> Option<Box<Trace>> {
        let caller = head.headers.get(PARENT).and_then(|value| Parent::read(value.to_str().ok()?));
        let trace_id = caller.as_ref().map_or_else(rand::random, |caller| caller.trace_id);
        let sampled =
            caller.as_ref().map_or_else(|| is_sampled(trace_id, self.settings.sample), |caller| caller.sampled);
        if !sampled && !self.settings.propagate {
            return None;
        }
        let state = caller.as_ref().and_then(|_| head.headers.get(STATE)?.to_str().ok());
        Some(Box::new(Trace {
            trace_id,
            span_id: rand::random(),
            parent: caller.map(|caller| caller.span_id),
            state: state.filter(|state| state.len() <= LONGEST_STATE).unwrap_or_default().to_owned(),
            sampled,
            propagate: self.settings.propagate,
            request: id.text().clone(),
            method: head.method.as_str().to_owned(),
            path: short(head.uri.path()),
            began: SystemTime::now(),
            tries: Vec::new(),
        }))
    }

    /// Leaves a request to be exported.
    pub(crate) fn end(&self, ended: Ended, metrics: &Metrics) {
        if !ended.trace.sampled {
            return;
        }
        if let Err(refused) = self.queue.try_send(ended) {
            metrics.spans_dropped.inc_by(refused.into_inner().spans());
        }
    }
}

/// The trace of a request, until it has ended.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent: Option<[u8; 8]>,
    /// What the caller's `tracestate` says.
    state: String,
    sampled: bool,
    propagate: bool,
    request: Text,
    method: String,
    /// Without the query, which may hold a key.
    path: String,
    began: SystemTime,
    tries: Vec<Try>,
}

/// An attempt.
#[derive(Clone, Debug)]
struct Try {
    span_id: [u8; 8],
    provider: String,
    model: String,
    began: Instant,
    ended: Option<Instant>,
    /// The class of the failure it ended with.
    error: Option<&'static str>,
    status: Option<u16>,
    /// What the provider calls its answer, and the model that gave it; empty where it does not say.
    response_id: String,
    response_model: String,
}

impl Trace {
    /// The same for an attempt beside the present one.
    pub(crate) fn beside(&self) -> Box<Self> {
        Box::new(Self { tries: Vec::new(), ..self.clone() })
    }

    /// Takes in what was tried beside.
    pub(crate) fn adopt(&mut self, beside: Self, counts: bool) {
        let (mut others, ours) = (beside.tries, &mut self.tries);
        let loser = if counts { ours.last_mut() } else { others.last_mut() };
        if let Some(loser) = loser {
            loser.end(Some("cancelled"), None);
        }
        // The one that counts stands last.
        if counts {
            ours.append(&mut others);
        } else {
            let last = ours.pop();
            ours.append(&mut others);
            ours.extend(last);
        }
    }

    /// An attempt goes out.
    pub(crate) fn sent(&mut self, provider: &str, model: &str) {
        self.failed("unknown", None);
        self.tries.push(Try {
            span_id: rand::random(),
            provider: short(provider),
            model: short(model),
            began: Instant::now(),
            ended: None,
            error: None,
            status: None,
            response_id: String::new(),
            response_model: String::new(),
        });
    }

    /// The attempt under way has failed.
    pub(crate) fn failed(&mut self, class: &'static str, status: Option<u16>) {
        if let Some(last) = self.tries.last_mut() {
            last.end(Some(class), status);
        }
    }

    /// The attempt under way has an answer of this id, by this model.
    pub(crate) fn answered_as(&mut self, id: &str, model: &str) {
        if let Some(last) = self.tries.last_mut() {
            (last.response_id, last.response_model) = (short(id), short(model));
        }
    }

    /// Tells a provider what the attempt under way belongs to, if providers are to know.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Some(last) = self.tries.last().filter(|_| self.propagate) else { return };
        let flags = u8::from(self.sampled);
        let text = format!("00-{}-{}-{flags:02x}", hexadecimal(&self.trace_id), hexadecimal(&last.span_id));
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(PARENT, value);
        }
        if let Ok(value) = HeaderValue::try_from(&self.state)
            && !self.state.is_empty()
        {
            headers.insert(STATE, value);
        }
    }
}

impl Try {
    fn end(&mut self, error: Option<&'static str>, status: Option<u16>) {
        if self.ended.is_none() {
            (self.ended, self.error, self.status) = (Some(Instant::now()), error, status);
        }
    }
}

/// What is known of a request that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) trace: Box<Trace>,
    pub(crate) started: Instant,
    pub(crate) first_output: Option<Instant>,
    pub(crate) operation: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) route: &'static str,
    pub(crate) model: String,
    pub(crate) status: u16,
    /// The class of the failure it ended with.
    pub(crate) error: Option<&'static str>,
    pub(crate) stream: bool,
    pub(crate) passthrough: bool,
    pub(crate) losses: usize,
    /// Of the last attempt.
    pub(crate) usage: Usage,
    pub(crate) upstream_id: Option<String>,
    /// Why the answer ended.
    pub(crate) finish: Option<Text>,
    pub(crate) now: Instant,
}

impl Ended {
    fn spans(&self) -> u64 {
        self.trace.tries.len() as u64 + 1
    }
}

/// Whose trace a request belongs to, as its `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parent {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl Parent {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = bytes::<1>(parts.next()?)?;
        let (trace_id, span_id) = (bytes::<16>(parts.next()?)?, bytes::<8>(parts.next()?)?);
        let [flags] = bytes::<1>(parts.next()?)?;
        // Later versions may add parts.
        let known = version == [0] && parts.next().is_none() || version > [0] && version < [0xff];
        (known && trace_id != [0; 16] && span_id != [0; 8]).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

/// Bytes as lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut read = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (to, &[high, low]) in read.iter_mut().zip(pairs) {
        *to = digit(high)? << 4 | digit(low)?;
    }
    Some(read)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a share of traces holds this one: other services that go by the lower half of the id come to the same.
fn is_sampled(trace_id: [u8; 16], share: f64) -> bool {
    let [.., a, b, c, d, e, f, g, h] = trace_id;
    let lower = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
    #[allow(clippy::cast_precision_loss, reason = "a share need not be exact")]
    let part = lower as f64 / (1_u64 << 63) as f64;
    part < share
}

/// Text of a client or of the configuration, short and without what is no character.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_trace_is_read() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::read(text).unwrap();
        assert_eq!(hexadecimal(&parent.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(hexadecimal(&parent.span_id), "00f067aa0ba902b7");
        assert!(parent.sampled && !Parent::read(&text.replace("-01", "-00")).unwrap().sampled);
        assert!(Parent::read(&format!("01{}-more", text.trim_start_matches("00"))).is_some());
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_share_of_traces_is_taken() {
        let count = |share: f64| (0..10_000).filter(|_| is_sampled(rand::random(), share)).count();
        assert_eq!((count(0.0), count(1.0)), (0, 10_000));
        assert!((2_000..3_000).contains(&count(0.25)));
        let low = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(is_sampled(low, 0.01), "the lower half decides");
    }
}
