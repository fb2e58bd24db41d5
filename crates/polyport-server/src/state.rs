//! What is kept between requests, in bounded memory: answers of the Responses protocol, where things are that providers keep, and
//! signatures that clients cannot carry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;
use polyport_protocol::carrier;
use polyport_types::{Message, Request, Response, Signature, Text};

/// How long things are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Rough bytes of stored answers in all.
const RESPONSE_BYTES: u64 = 64 << 20;

/// Providers keep answers this long.
const HELD: Duration = Duration::from_secs(30 * 24 * 3600);

/// Things at providers whose place is known.
const HELD_COUNT: u64 = 50_000;

/// Bytes in all of what passed through.
const PASSED_BYTES: u64 = 32 << 20;

/// Signature sets kept.
const SIGNATURES: u64 = 50_000;

/// An answer that may be asked for again or continued.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Whom it belongs to.
    pub(crate) owner: Text,
    /// The request, its history expanded.
    pub(crate) request: Arc<Request>,
    /// The answer, in the neutral form.
    pub(crate) response: Response,
    /// The model name the client saw.
    pub(crate) model: Text,
    /// The random part of its id.
    pub(crate) id: Text,
    /// When it was made, Unix seconds.
    pub(crate) created: i64,
    /// The answer this one continued.
    pub(crate) previous: Option<Text>,
    /// Bytes of the request body and of the answer, roughly.
    pub(crate) size: usize,
    /// The provider that answered.
    pub(crate) scope: u32,
    pub(crate) provider: polyport_types::Protocol,
}

impl Stored {
    /// The conversation up to and with this answer.
    pub(crate) fn history(&self) -> Vec<Message> {
        let mut history = polyport_protocol::responses::input_messages(&self.request);
        if let Some(candidate) = self.response.first() {
            let index = u32::try_from(history.len()).unwrap_or(u32::MAX);
            history.push(Message::new(polyport_types::Role::Assistant, index, candidate.parts.clone()));
        }
        history
    }
}

/// Something that a provider keeps under one of its credentials: an answer, a conversation.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) provider: Text,
    /// The credential's id; none at a provider that needs none.
    pub(crate) credential: Option<Text>,
    /// The provider's name of the model; empty for what belongs to none.
    pub(crate) model: Text,
    /// The name the client knows the model by.
    pub(crate) shown: Text,
}

/// An answer that a provider keeps, as it passed through: what it takes to go on from it elsewhere.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The request, as the client wrote it.
    pub(crate) body: Bytes,
    /// The answer, or the last event of its stream.
    pub(crate) answer: Bytes,
    /// The answer this one continued.
    pub(crate) previous: Option<Text>,
}

/// Whose, and the id clients know it by.
type Name = (Text, Text);

/// Answers, ours and those of providers.
#[derive(Debug)]
pub(crate) struct ResponseStore {
    answers: Cache<Text, Arc<Stored>>,
    held: Cache<Name, Arc<Held>>,
    passed: Cache<Name, Arc<Passed>>,
    resting: AtomicBool,
}

impl ResponseStore {
    pub(crate) fn new() -> Self {
        let answers = Cache::builder()
            .max_capacity(RESPONSE_BYTES)
            .weigher(|_, stored: &Arc<Stored>| u32::try_from(stored.size).unwrap_or(u32::MAX))
            .time_to_live(KEPT)
            .build();
        let held = Cache::builder().max_capacity(HELD_COUNT).time_to_live(HELD).build();
        let passed = Cache::builder()
            .max_capacity(PASSED_BYTES)
            .weigher(|_, passed: &Arc<Passed>| {
                u32::try_from(passed.body.len() + passed.answer.len() + 512).unwrap_or(u32::MAX)
            })
            .time_to_live(KEPT)
            .build();
        Self { answers, held, passed, resting: AtomicBool::new(false) }
    }

    /// While memory is scarce, what is only useful is not kept. What a client was told to be kept is.
    pub(crate) fn rest(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    pub(crate) fn put(&self, id: Text, stored: Stored) {
        self.answers.insert(id, Arc::new(stored));
    }

    /// The answer, if it belongs to `owner`.
    pub(crate) fn get(&self, owner: &Text, id: &str) -> Option<Arc<Stored>> {
        self.answers.get(id).filter(|stored| stored.owner == *owner)
    }

    /// Forgets an answer; false if `owner` has none of this id.
    pub(crate) fn remove(&self, owner: &Text, id: &str) -> bool {
        let found = self.get(owner, id).is_some();
        if found {
            self.answers.invalidate(id);
        }
        found
    }

    /// Takes note of where something is.
    pub(crate) fn hold(&self, owner: &Text, id: &str, held: Arc<Held>) {
        self.held.insert(name(owner, id), held);
    }

    /// Where something of `owner` is.
    pub(crate) fn held(&self, owner: &Text, id: &str) -> Option<Arc<Held>> {
        self.held.get(&name(owner, id))
    }

    /// It is there no more.
    pub(crate) fn forget(&self, owner: &Text, id: &str) {
        let name = name(owner, id);
        self.held.invalidate(&name);
        self.passed.invalidate(&name);
    }

    /// Keeps what passed through.
    pub(crate) fn pass(&self, owner: &Text, id: &str, passed: Passed) {
        if !self.resting.load(Ordering::Relaxed) {
            self.passed.insert(name(owner, id), Arc::new(passed));
        }
    }

    /// What passed through when this answer was made.
    pub(crate) fn passed(&self, owner: &Text, id: &str) -> Option<Arc<Passed>> {
        self.passed.get(&name(owner, id))
    }
}

fn name(owner: &Text, id: &str) -> Name {
    (owner.clone(), Text::from(id))
}

/// Signatures by owner and what they belong to: a tool call's id, or the digest of a text.
#[derive(Debug)]
pub(crate) struct SignatureTable {
    signatures: Cache<(Text, Text), Arc<[Signature]>>,
    resting: AtomicBool,
}

impl SignatureTable {
    pub(crate) fn new() -> Self {
        let signatures = Cache::builder().max_capacity(SIGNATURES).time_to_live(KEPT).build();
        Self { signatures, resting: AtomicBool::new(false) }
    }

    /// While memory is scarce, nothing new is kept.
    pub(crate) fn rest(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Keeps signatures that `owner` got from a target of this scope. What is known of a text stays: the same history then gives the same
    /// request, whatever was said since. Of a call the last counts: providers use ids again.
    pub(crate) fn put(&self, owner: &Text, scope: u32, anchor: Text, mut signatures: Vec<Signature>) {
        for signature in &mut signatures {
            signature.scope.get_or_insert(scope);
        }
        if signatures.is_empty() || self.resting.load(Ordering::Relaxed) {
            return;
        }
        let (keeps_first, name) = (carrier::is_text_anchor(&anchor), (owner.clone(), anchor));
        if keeps_first {
            self.signatures.entry(name).or_insert_with(|| signatures.into());
        } else {
            self.signatures.insert(name, signatures.into());
        }
    }

    pub(crate) fn get(&self, owner: &Text, anchor: &str) -> Vec<Signature> {
        self.signatures.get(&(owner.clone(), Text::from(anchor))).map(|found| found.to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use polyport_types::ClientProtocol;

    use super::*;

    #[test]
    fn a14_an_answer_belongs_to_its_owner() {
        let store = ResponseStore::new();
        let stored = Stored {
            owner: "a".into(),
            request: Arc::new(Request::new(ClientProtocol::Responses, "m")),
            response: Response::default(),
            model: "m".into(),
            id: "x".into(),
            created: 0,
            previous: None,
            size: 10,
            scope: 0,
            provider: polyport_types::Protocol::Chat,
        };
        store.put("resp_x".into(), stored);
        assert!(store.get(&"b".into(), "resp_x").is_none());
        assert!(!store.remove(&"b".into(), "resp_x"));
        assert!(store.get(&"a".into(), "resp_x").is_some());
        assert!(store.remove(&"a".into(), "resp_x"));
        assert!(store.get(&"a".into(), "resp_x").is_none());
    }

    #[test]
    fn a14_what_a_provider_keeps_belongs_to_its_owner() {
        let store = ResponseStore::new();
        let held = Held { provider: "p".into(), credential: None, model: "m".into(), shown: "m".into() };
        store.hold(&"a".into(), "resp_x", Arc::new(held));
        let passed = Passed { body: Bytes::new(), answer: Bytes::new(), previous: None };
        store.pass(&"a".into(), "resp_x", passed);
        assert!(store.held(&"b".into(), "resp_x").is_none() && store.passed(&"b".into(), "resp_x").is_none());
        store.forget(&"b".into(), "resp_x");
        assert!(store.held(&"a".into(), "resp_x").is_some() && store.passed(&"a".into(), "resp_x").is_some());
        store.forget(&"a".into(), "resp_x");
        assert!(store.held(&"a".into(), "resp_x").is_none() && store.passed(&"a".into(), "resp_x").is_none());
    }
}
