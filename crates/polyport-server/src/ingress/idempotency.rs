//! Requests that clients repeat under the same `idempotency-key`: the model is asked once, also when they come at the same time.
//!
//! A key belongs to its caller and to one body. Good answers are kept for some minutes and given again as they were; after a failure the
//! next request with the key is the first again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use parking_lot::Mutex;
use polyport_types::{ClientProtocol, Fault};
use tokio::sync::watch;

use super::Entered;
use super::held::without_key;
use crate::body::Body;
use crate::observe::Outcome;
use crate::relay;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Answers are given again within this time.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// Most keys that are remembered. Beyond, keys have no effect.
const MOST: usize = 10_000;

/// Longest key, in bytes.
const LONGEST: usize = 255;

/// Larger answers are not kept, in bytes.
const LARGEST: usize = 1 << 20;

/// Room for all of them, in bytes.
const ROOM: usize = 64 << 20;

/// What was asked under which key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Idempotency(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    slots: HashMap<blake3::Hash, Arc<Slot>>,
    held: usize,
}

#[derive(Debug)]
struct Slot {
    began: Instant,
    body: blake3::Hash,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
enum State {
    UnderWay,
    Answered(Arc<Kept>),
    /// It failed, or its client has left.
    Over,
}

#[derive(Debug)]
struct Kept {
    headers: HeaderMap,
    body: Bytes,
}

/// What a request with a key is.
enum Begun {
    First(Ticket),
    Again(Arc<Slot>),
    OtherBody,
    Full,
}

/// The first request with a key; dropping it unanswered lets the next one be the first.
#[derive(Debug)]
pub(crate) struct Ticket {
    known: Idempotency,
    key: blake3::Hash,
    slot: Arc<Slot>,
    answer: Option<(HeaderMap, BytesMut)>,
}

/// Answers a request, or gives the answer again that another one under the same key had.
pub(crate) async fn once<F>(
    mut entered: Entered,
    protocol: ClientProtocol,
    answer: impl FnOnce(Entered) -> F,
) -> Response<Body>
where
    F: Future<Output = Response<Body>>,
{
    let Some(key) = entered.parts.headers.get(KEY) else { return answer(entered).await };
    if key.len() > LONGEST || key.is_empty() {
        let words = format!("idempotency-key: it must have 1 to {LONGEST} bytes");
        let fault = Fault::bad_request("idempotency-key", words);
        return relay::refuse(protocol, &entered.id, *entered.record, &fault);
    }
    let place = entered.parts.uri.path().as_bytes();
    let query = without_key(entered.parts.uri.query().unwrap_or_default());
    let parts = [entered.caller.owner().as_bytes(), place, query.as_bytes(), key.as_bytes()];
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or_default().to_le_bytes()).update(part);
    }
    let (key, body) = (hasher.finalize(), blake3::hash(&entered.body));
    let known = entered.app.idempotency.clone();
    loop {
        let slot = match known.begin(key, body) {
            Begun::Full => return answer(entered).await,
            Begun::First(ticket) => return ticket.note(answer(entered).await),
            Begun::OtherBody => {
                let words = "idempotency-key: it was used for another request; give each request a key of its own";
                let fault = Fault::bad_request("idempotency-key", words);
                return relay::refuse(protocol, &entered.id, *entered.record, &fault);
            }
            Begun::Again(slot) => slot,
        };
        let mut state = slot.state.subscribe();
        let ended = state.wait_for(|state| !matches!(state, State::UnderWay)).await.map(|state| state.clone());
        let Ok(State::Answered(kept)) = ended else { continue };
        entered.record.status = StatusCode::OK.as_u16();
        entered.record.finish = Some("replayed".into());
        entered.record.end(Outcome::Answered);
        let mut response = Response::new(Body::from(kept.body.clone()));
        *response.headers_mut() = kept.headers.clone();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        return response;
    }
}

impl Idempotency {
    fn begin(&self, key: blake3::Hash, body: blake3::Hash) -> Begun {
        let mut known = self.0.lock();
        let now = Instant::now();
        if known.slots.len() >= MOST || known.held >= ROOM {
            known.tidy(now);
        }
        if let Some(slot) = known.slots.get(&key) {
            let old = now.duration_since(slot.began) > LIFE && !matches!(*slot.state.borrow(), State::UnderWay);
            match old {
                true => known.remove(&key),
                false if slot.body == body => return Begun::Again(Arc::clone(slot)),
                false => return Begun::OtherBody,
            }
        }
        if known.slots.len() >= MOST {
            return Begun::Full;
        }
        let slot = Arc::new(Slot { began: now, body, state: watch::Sender::new(State::UnderWay) });
        known.slots.insert(key, Arc::clone(&slot));
        Begun::First(Ticket { known: self.clone(), key, slot, answer: None })
    }
}

impl Known {
    fn remove(&mut self, key: &blake3::Hash) {
        if let Some(slot) = self.slots.remove(key)
            && let State::Answered(kept) = &*slot.state.borrow()
        {
            self.held = self.held.saturating_sub(kept.body.len());
        }
    }

    fn tidy(&mut self, now: Instant) {
        let old: Vec<blake3::Hash> = self
            .slots
            .iter()
            .filter(|(_, slot)| {
                now.duration_since(slot.began) > LIFE && !matches!(*slot.state.borrow(), State::UnderWay)
            })
            .map(|(key, _)| *key)
            .collect();
        old.iter().for_each(|key| self.remove(key));
    }
}

impl Ticket {
    /// Takes down a good answer while it is given.
    fn note(mut self, response: Response<Body>) -> Response<Body> {
        if response.status() != StatusCode::OK {
            return response;
        }
        let (head, body) = response.into_parts();
        self.answer = Some((head.headers.clone(), BytesMut::new()));
        Response::from_parts(head, body.noted(Box::new(self)))
    }

    /// A piece of the answer.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if let Some((_, answer)) = &mut self.answer {
            match answer.len() + bytes.len() > LARGEST {
                true => self.answer = None,
                false => answer.extend_from_slice(bytes),
            }
        }
    }

    /// The answer is whole.
    pub(crate) fn finish(mut self) {
        let Some((headers, body)) = self.answer.take() else { return };
        let mut known = self.known.0.lock();
        if known.held + body.len() <= ROOM {
            known.held += body.len();
            self.slot.state.send_replace(State::Answered(Arc::new(Kept { headers, body: body.freeze() })));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if matches!(*self.slot.state.borrow(), State::UnderWay) {
            self.known.0.lock().remove(&self.key);
            self.slot.state.send_replace(State::Over);
        }
    }
}
