//! What is kept between requests, in bounded memory: answers of the Responses protocol, and signatures that clients cannot carry.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use polyport_types::{Message, Request, Response, Signature, Text};

/// How long things are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Rough bytes of stored answers in all.
const RESPONSE_BYTES: u64 = 64 << 20;

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

/// Answers by the id clients know them by.
#[derive(Debug)]
pub(crate) struct ResponseStore {
    answers: Cache<Text, Arc<Stored>>,
}

impl ResponseStore {
    pub(crate) fn new() -> Self {
        let answers = Cache::builder()
            .max_capacity(RESPONSE_BYTES)
            .weigher(|_, stored: &Arc<Stored>| u32::try_from(stored.size).unwrap_or(u32::MAX))
            .time_to_live(KEPT)
            .build();
        Self { answers }
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
}

/// Signatures by owner and tool call id.
#[derive(Debug)]
pub(crate) struct SignatureTable {
    signatures: Cache<(Text, Text), Arc<[Signature]>>,
}

impl SignatureTable {
    pub(crate) fn new() -> Self {
        let signatures = Cache::builder().max_capacity(SIGNATURES).time_to_live(KEPT).build();
        Self { signatures }
    }

    pub(crate) fn put(&self, owner: &Text, call_id: Text, signatures: Vec<Signature>) {
        if !signatures.is_empty() {
            self.signatures.insert((owner.clone(), call_id), signatures.into());
        }
    }

    pub(crate) fn get(&self, owner: &Text, call_id: &str) -> Vec<Signature> {
        self.signatures.get(&(owner.clone(), Text::from(call_id))).map(|found| found.to_vec()).unwrap_or_default()
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
}
