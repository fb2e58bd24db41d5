//! What is kept between requests, in bounded memory and in the store: answers of the Responses protocol, where things are that providers
//! keep, and signatures that clients cannot carry.
//!
//! Looking something up never waits. Whoever needs what may be in the store only has it brought into memory before (`recall`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;
use polyport_protocol::carrier;
use polyport_store::Kind;
use polyport_types::{Message, Request, Response, Signature, Text};
use serde::{Deserialize, Serialize};

use crate::archive::{Archive, Away, Name as Filed};

/// How long things stay in memory.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Rough bytes of stored answers in all.
const RESPONSE_BYTES: u64 = 64 << 20;

/// A request waits so long for what it refers to, and goes without signatures after this time.
const RECALL: Duration = Duration::from_secs(1);
const RECALL_SIGNATURES: Duration = Duration::from_millis(250);

/// Longest chain of answers that is followed back.
pub(crate) const LONGEST_CHAIN: usize = 1000;

/// Providers keep answers this long.
const HELD: Duration = Duration::from_secs(30 * 24 * 3600);

/// Things at providers whose place is known.
const HELD_COUNT: u64 = 50_000;

/// Bytes in all of what passed through.
const PASSED_BYTES: u64 = 32 << 20;

/// Signature sets kept.
const SIGNATURES: u64 = 50_000;

/// An answer that may be asked for again or continued.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Stored {
    /// Whom it belongs to.
    pub(crate) owner: Text,
    /// The request, its history expanded.
    #[serde(with = "shared")]
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
#[derive(Debug, Deserialize, Serialize)]
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

impl Passed {
    /// Both lengths, then both bodies and the id: JSON stays the bytes it was.
    fn write(&self) -> Vec<u8> {
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
        let previous = self.previous.as_deref().unwrap_or_default();
        let (body, answer) = (length(&self.body), length(&self.answer));
        [&body, &answer, &*self.body, &self.answer, previous.as_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (body, rest) = bytes.split_first_chunk()?;
        let (answer, rest) = rest.split_first_chunk()?;
        let length = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
        let (body, rest) = rest.split_at_checked(length(body)?)?;
        let (answer, previous) = rest.split_at_checked(length(answer)?)?;
        let previous = std::str::from_utf8(previous).ok().filter(|previous| !previous.is_empty()).map(Text::from);
        Some(Self { body: Bytes::copy_from_slice(body), answer: Bytes::copy_from_slice(answer), previous })
    }
}

/// One request shared by many.
mod shared {
    use super::{Arc, Deserialize, Request, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(request: &Arc<Request>, to: S) -> Result<S::Ok, S::Error> {
        Request::serialize(request, to)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Arc<Request>, D::Error> {
        Request::deserialize(from).map(Arc::new)
    }
}

/// One of the things that are kept.
#[derive(Clone, Debug)]
pub(crate) enum Thing {
    Answer(Arc<Stored>),
    Held(Arc<Held>),
    Owner(Text),
    Passed(Arc<Passed>),
    Signatures(Arc<[Signature]>),
}

impl Thing {
    /// About so many bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Answer(stored) => stored.size,
            Self::Held(_) | Self::Owner(_) => 256,
            Self::Passed(passed) => passed.body.len() + passed.answer.len(),
            Self::Signatures(signatures) => signatures.iter().map(|signature| signature.value.len() + 128).sum(),
        }
    }

    /// Whether one of this name that is there already stays as it is.
    pub(crate) fn first_counts(&self, name: &Filed) -> bool {
        matches!(self, Self::Signatures(_)) && carrier::is_text_anchor(&name.2)
    }

    /// As it stands in the store.
    pub(crate) fn write(&self) -> Vec<u8> {
        // Writing such things as JSON cannot fail.
        match self {
            Self::Answer(stored) => serde_json::to_vec(&**stored).unwrap_or_default(),
            Self::Held(held) => serde_json::to_vec(&**held).unwrap_or_default(),
            Self::Owner(owner) => owner.as_bytes().to_vec(),
            Self::Passed(passed) => passed.write(),
            Self::Signatures(signatures) => serde_json::to_vec(&**signatures).unwrap_or_default(),
        }
    }

    /// Reads it back. What another version wrote otherwise is not there.
    pub(crate) fn read(kind: Kind, bytes: &[u8]) -> Option<Self> {
        match kind {
            Kind::Answer => serde_json::from_slice(bytes).ok().map(|stored| Self::Answer(Arc::new(stored))),
            Kind::Held => serde_json::from_slice(bytes).ok().map(|held| Self::Held(Arc::new(held))),
            Kind::Owner => std::str::from_utf8(bytes).ok().map(|owner| Self::Owner(owner.into())),
            Kind::Passed => Passed::read(bytes).map(|passed| Self::Passed(Arc::new(passed))),
            Kind::Signature => {
                serde_json::from_slice::<Vec<Signature>>(bytes).ok().map(|found| Self::Signatures(found.into()))
            }
            Kind::Rests | Kind::Account => None,
        }
    }
}

/// Whose, and the id clients know it by.
type Name = (Text, Text);

/// Answers, ours and those of providers.
#[derive(Debug)]
pub(crate) struct ResponseStore {
    answers: Cache<Text, Arc<Stored>>,
    held: Cache<Name, Arc<Held>>,
    /// Whose things are, by their ids, while there are several whose they can be.
    owners: Cache<Text, Text>,
    several: AtomicBool,
    passed: Cache<Name, Arc<Passed>>,
    resting: AtomicBool,
    archive: Option<Arc<Archive>>,
}

impl ResponseStore {
    /// `archive` is the way into the store, if there is one.
    pub(crate) fn new(archive: Option<Arc<Archive>>) -> Self {
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
        let owners = Cache::builder().max_capacity(HELD_COUNT).time_to_live(HELD).build();
        let (several, resting) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { answers, held, owners, several, passed, resting, archive }
    }

    /// Whether there are several callers from now on: then it is noted whose things are.
    pub(crate) fn have_several(&self, several: bool) {
        self.several.store(several, Ordering::Relaxed);
    }

    /// While memory is scarce, what is only useful is not kept. What a client was told to be kept is.
    pub(crate) fn rest(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Brings into memory what the store knows of these things of `owner`.
    ///
    /// # Errors
    /// [`Away`] when it does not say.
    pub(crate) async fn recall(&self, owner: &Text, ids: &[Text]) -> Result<(), Away> {
        let Some(archive) = &self.archive else { return Ok(()) };
        let mut names: Vec<Filed> = Vec::new();
        for id in ids.iter().filter(|id| self.get(owner, id).is_none()) {
            let held = self.held(owner, id).is_some();
            if !held {
                names.extend([Kind::Answer, Kind::Held].map(|kind| (kind, owner.clone(), id.clone())));
            }
            if !held || self.passed(owner, id).is_none() {
                names.push((Kind::Passed, owner.clone(), id.clone()));
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let found = archive.find(&names, RECALL).await?;
        for ((_, owner, id), thing) in names.into_iter().zip(found) {
            match thing {
                Some(Thing::Answer(stored)) if stored.owner == owner => self.answers.insert(id, stored),
                Some(Thing::Held(held)) => self.held.insert((owner, id), held),
                Some(Thing::Passed(passed)) => self.passed.insert((owner, id), passed),
                _ => {}
            }
        }
        Ok(())
    }

    /// The same for an answer and those it goes on from.
    ///
    /// # Errors
    /// [`Away`] when the store does not say.
    pub(crate) async fn recall_chain(&self, owner: &Text, id: &Text) -> Result<(), Away> {
        let mut next = Some(id.clone());
        for _ in 0..LONGEST_CHAIN {
            let Some(id) = next else { break };
            self.recall(owner, std::slice::from_ref(&id)).await?;
            if self.get(owner, &id).is_some() {
                break;
            }
            next = self.passed(owner, &id).and_then(|passed| passed.previous.clone());
        }
        Ok(())
    }

    pub(crate) fn put(&self, id: Text, stored: Stored) {
        let stored = Arc::new(stored);
        if let Some(archive) = &self.archive {
            archive.keep((Kind::Answer, stored.owner.clone(), id.clone()), Thing::Answer(Arc::clone(&stored)));
        }
        self.answers.insert(id, stored);
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
            if let Some(archive) = &self.archive {
                archive.forget((Kind::Answer, owner.clone(), id.into()));
            }
        }
        found
    }

    /// Takes note of where something is.
    pub(crate) fn hold(&self, owner: &Text, id: &str, held: Arc<Held>) {
        if let Some(archive) = &self.archive {
            archive.keep((Kind::Held, owner.clone(), id.into()), Thing::Held(Arc::clone(&held)));
        }
        self.held.insert(name(owner, id), held);
        if self.several.load(Ordering::Relaxed) {
            if let Some(archive) = &self.archive {
                archive.keep((Kind::Owner, Text::new(), id.into()), Thing::Owner(owner.clone()));
            }
            self.owners.insert(id.into(), owner.clone());
        }
    }

    /// Whether this is known to be another's than `owner`'s. In memory is what [`recall_owners`](Self::recall_owners) brought there.
    pub(crate) fn is_anothers(&self, owner: &Text, id: &str) -> bool {
        self.owners.get(id).is_some_and(|other| other != *owner) && self.held(owner, id).is_none()
    }

    /// Brings into memory whose these things are.
    ///
    /// # Errors
    /// [`Away`] when the store does not say.
    pub(crate) async fn recall_owners(&self, ids: &[Text]) -> Result<(), Away> {
        let Some(archive) = &self.archive else { return Ok(()) };
        let unknown = ids.iter().filter(|id| !self.owners.contains_key(*id));
        let names: Vec<Filed> = unknown.map(|id| (Kind::Owner, Text::new(), id.clone())).collect();
        let found = archive.find(&names, RECALL).await?;
        for ((_, _, id), thing) in names.into_iter().zip(found) {
            if let Some(Thing::Owner(owner)) = thing {
                self.owners.insert(id, owner);
            }
        }
        Ok(())
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
        if let Some(archive) = &self.archive {
            for kind in [Kind::Held, Kind::Passed] {
                archive.forget((kind, owner.clone(), id.into()));
            }
        }
    }

    /// Keeps what passed through.
    pub(crate) fn pass(&self, owner: &Text, id: &str, passed: Passed) {
        if self.resting.load(Ordering::Relaxed) {
            return;
        }
        let passed = Arc::new(passed);
        if let Some(archive) = &self.archive {
            archive.keep((Kind::Passed, owner.clone(), id.into()), Thing::Passed(Arc::clone(&passed)));
        }
        self.passed.insert(name(owner, id), passed);
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
    archive: Option<Arc<Archive>>,
}

impl SignatureTable {
    /// `archive` is the way into the store, if there is one.
    pub(crate) fn new(archive: Option<Arc<Archive>>) -> Self {
        let signatures = Cache::builder().max_capacity(SIGNATURES).time_to_live(KEPT).build();
        Self { signatures, resting: AtomicBool::new(false), archive }
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
        let signatures: Arc<[Signature]> = signatures.into();
        if keeps_first && self.signatures.contains_key(&name) {
            return;
        }
        if let Some(archive) = &self.archive {
            let filed = (Kind::Signature, name.0.clone(), name.1.clone());
            archive.keep(filed, Thing::Signatures(Arc::clone(&signatures)));
        }
        self.signatures.insert(name, signatures);
    }

    /// What is in memory.
    pub(crate) fn get(&self, owner: &Text, anchor: &str) -> Option<Vec<Signature>> {
        self.signatures.get(&(owner.clone(), Text::from(anchor))).map(|found| found.to_vec())
    }

    /// Brings into memory what the store has of these; whether it had any. One that is away has none.
    pub(crate) async fn recall(&self, owner: &Text, anchors: &[Text]) -> bool {
        let Some(archive) = self.archive.as_ref().filter(|_| !anchors.is_empty()) else { return false };
        let names: Vec<Filed> = anchors.iter().map(|anchor| (Kind::Signature, owner.clone(), anchor.clone())).collect();
        let Ok(found) = archive.find(&names, RECALL_SIGNATURES).await else { return false };
        let mut any = false;
        for ((_, owner, anchor), thing) in names.into_iter().zip(found) {
            if let Some(Thing::Signatures(signatures)) = thing {
                self.signatures.insert((owner, anchor), signatures);
                any = true;
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use polyport_types::ClientProtocol;

    use super::*;

    #[test]
    fn a14_an_answer_belongs_to_its_owner() {
        let store = ResponseStore::new(None);
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
        let store = ResponseStore::new(None);
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

    #[test]
    fn what_passed_through_is_read_back_and_nothing_else() {
        for previous in [None, Some(Text::from("resp_p"))] {
            let (body, answer) = (Bytes::from_static(b"{\"a\":1e3}"), Bytes::from_static(b"{}"));
            let passed = Passed { body: body.clone(), answer: answer.clone(), previous: previous.clone() };
            let written = passed.write();
            let read = Passed::read(&written).unwrap();
            assert_eq!((read.body, read.answer, read.previous), (body, answer, previous));
            assert!((0..18).all(|end| Passed::read(written.get(..end).unwrap()).is_none()));
        }
        assert!(Passed::read(&[255; 40]).is_none());
    }
}
