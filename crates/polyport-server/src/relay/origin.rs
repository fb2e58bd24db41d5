//! What a request of the Responses protocol goes on from: an answer that is kept here, or an answer or a conversation that a provider
//! keeps. Such a request goes first to who keeps it; elsewhere it goes with its history written out, where that is known.

use std::sync::Arc;
use std::time::Duration;

use polyport_protocol::responses::{continue_after, input_messages};
use polyport_protocol::{RequestHead, decode_request, decode_response};
use polyport_routing::Resolved;
use polyport_types::{ClientProtocol, Fault, FaultClass, Message, Protocol, Request, Role, Text};

use super::Exchange;
use super::account::response_of;
use super::admit::internal;
use super::course::{Course, Slot};
use super::peek::Peek;
use super::refers::things;
use crate::app::{App, Runtime, Upstream};
use crate::state::{Held, LONGEST_CHAIN};
use crate::tasks;

/// A client that refers to what is in the store only tries again after this time.
const STORE_AGAIN: Duration = Duration::from_secs(2);

/// What a request goes on from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Origin {
    /// Nothing: all of it is in the body.
    #[default]
    Body,
    /// An answer that is kept here.
    Here,
    /// Something that a provider keeps under one credential.
    There(Arc<Held>),
    /// Something not known here, which only this provider may know.
    Perhaps(Text),
}

impl Origin {
    /// Whether the request may refer to it at this target with this credential.
    pub(crate) fn is_at(&self, slot: &Slot) -> bool {
        match self {
            Self::Body | Self::Here => false,
            Self::There(held) => slot.keeps(held),
            Self::Perhaps(provider) => *provider == slot.target.provider,
        }
    }
}

/// What a body refers to.
#[derive(Clone, Debug)]
pub(crate) enum Reference {
    /// `previous_response_id`
    Answer(Text),
    /// `conversation`
    Conversation(Text),
    /// A file, a cache, an item of an earlier answer: something known to be kept by a provider.
    Thing(Text),
}

impl Reference {
    /// Reads it from a body's members.
    pub(crate) fn in_body(peek: &Peek, body: &[u8]) -> Option<Self> {
        if let Some(id) = peek.text(body, "previous_response_id") {
            return Some(Self::Answer(id.into()));
        }
        let conversation = peek.get(body, "conversation").filter(|value| *value != b"null")?;
        let id =
            peek.text(body, "conversation").or_else(|| Peek::parse(conversation).ok()?.text(conversation, "id"))?;
        Some(Self::Conversation(id.into()))
    }

    /// Reads it from the neutral form.
    pub(crate) fn in_request(request: &Request) -> Option<Self> {
        let state = &request.state;
        let answer = state.previous_response_id.clone().map(Self::Answer);
        answer.or_else(|| state.conversation.clone().map(Self::Conversation))
    }

    /// It is not to be found.
    fn unknown(&self) -> Fault {
        match self {
            Self::Answer(id) => not_found(format!(
                "Previous response with id '{}' not found: it was never stored, is too old, or belongs to another key.",
                shown(id)
            )),
            Self::Conversation(id) => Fault {
                param: Some("conversation".to_owned()),
                ..Fault::new(FaultClass::NotFound, format!("Conversation with id '{}' not found.", shown(id)))
            },
            Self::Thing(id) => Fault::new(FaultClass::NotFound, format!("'{}' not found.", shown(id))),
        }
    }

    /// It is known where it is, but the request cannot go there.
    fn elsewhere(&self, why: &str) -> Fault {
        match self {
            Self::Answer(id) => {
                not_found(format!("The response '{}' {why}, or send the conversation as `input`.", shown(id)))
            }
            Self::Conversation(id) => {
                Fault::bad_request("conversation", format!("The conversation '{}' {why}.", shown(id)))
            }
            Self::Thing(id) => Fault::new(FaultClass::BadRequest, format!("'{}' {why}, or send it anew.", shown(id))),
        }
    }
}

fn not_found(words: String) -> Fault {
    Fault { code: Some("previous_response_not_found".into()), ..Fault::bad_request("previous_response_id", words) }
}

/// What a request refers to may be in the store, and it does not answer.
pub(crate) fn store_away() -> Fault {
    Fault {
        retry_after: Some(STORE_AGAIN),
        ..Fault::new(FaultClass::Overloaded, "what this request refers to cannot be read at the moment; try again")
    }
}

/// An id of a client in an error message.
pub(crate) fn shown(id: &str) -> String {
    id.chars().filter(char::is_ascii_graphic).take(80).collect()
}

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) app: &'a Arc<App>,
    pub(crate) runtime: &'a Arc<Runtime>,
    pub(crate) owner: &'a Text,
    pub(crate) model: &'a str,
}

impl Asking<'_> {
    /// Has what a body refers to in memory, where the store knows it.
    ///
    /// # Errors
    /// [`store_away`] when it does not say.
    pub(crate) async fn recall(self, reference: Option<&Reference>) -> Result<(), Fault> {
        let store = &self.app.responses;
        let (id, recalled) = match reference {
            None => return Ok(()),
            Some(Reference::Answer(id)) => (id, store.recall_chain(self.owner, id).await),
            Some(Reference::Conversation(id) | Reference::Thing(id)) => {
                (id, store.recall(self.owner, std::slice::from_ref(id)).await)
            }
        };
        let known = || store.get(self.owner, id).is_some() || store.held(self.owner, id).is_some();
        if recalled.is_err() && !known() { Err(store_away()) } else { Ok(()) }
    }

    /// Finds where it is that a body refers to, and begins with the attempt that can refer to it. The others follow where the history can
    /// be written out, otherwise they are left out.
    ///
    /// # Errors
    /// When it is nowhere, or nowhere this model leads to.
    pub(crate) fn anchor(self, reference: Option<&Reference>, resolved: Resolved) -> Result<(Origin, Course), Fault> {
        let course = |resolved| Course::new(Arc::clone(self.app), Arc::clone(self.runtime), resolved);
        let Some(reference) = reference else { return Ok((Origin::Body, course(resolved))) };
        let (Reference::Answer(id) | Reference::Conversation(id) | Reference::Thing(id)) = reference;
        let answer = matches!(reference, Reference::Answer(_));
        let store = &self.app.responses;
        if answer && store.get(self.owner, id).is_some() {
            return Ok((Origin::Here, course(resolved)));
        }
        if let Some(held) = store.held(self.owner, id) {
            return self.at_place(&held, reference, answer && self.has_history(id), resolved);
        }
        let mut keepers = resolved.targets.iter().filter(|target| self.runtime.fits(target, keeps));
        // Of several callers it is not known whose it would be.
        if self.app.has_one_caller(self.runtime)
            && let Some(provider) = keepers.next().map(|target| target.provider.clone())
            && keepers.all(|other| other.provider == provider)
        {
            let resolved = resolved.filtered(|target| target.provider == provider);
            return Ok((Origin::Perhaps(provider), course(resolved)));
        }
        Err(reference.unknown())
    }

    fn at_place(
        self,
        held: &Arc<Held>,
        reference: &Reference,
        elsewhere: bool,
        resolved: Resolved,
    ) -> Result<(Origin, Course), Fault> {
        let course = |resolved| Course::new(Arc::clone(self.app), Arc::clone(self.runtime), resolved);
        let provider = &held.provider;
        let slot = Slot::at(self.runtime, held);
        let target = resolved.targets.iter().find(|target| target.provider == *provider).cloned();
        let place = slot.and_then(|slot| Some(slot.with_target(target.clone()?)));
        // A body that refers to a thing says all the same what it says.
        let there = || Origin::There(Arc::clone(held));
        let origin = if matches!(reference, Reference::Thing(_)) { Origin::Body } else { there() };
        match place {
            Some(place) if elsewhere => {
                let mut course = course(resolved);
                course.prefer(&place);
                Ok((origin, course))
            }
            Some(place) => Ok((origin, course(place.only()))),
            None if elsewhere => Ok((origin, course(resolved))),
            None if target.is_some() => Err(reference.elsewhere(&format!(
                "is kept under a credential of provider `{provider}` that is configured no more: start anew"
            ))),
            None => Err(reference.elsewhere(&format!(
                "is kept by provider `{provider}`, to which the model `{}` does not lead: ask for a model of that provider",
                shown(self.model)
            ))),
        }
    }

    /// Whether the whole history of an answer is known here.
    fn has_history(self, id: &Text) -> bool {
        let mut next = Some(id.clone());
        for _ in 0..LONGEST_CHAIN {
            let Some(id) = next else { return true };
            if self.app.responses.get(self.owner, &id).is_some() {
                return true;
            }
            match self.app.responses.passed(self.owner, &id) {
                Some(passed) => next = passed.previous.clone(),
                None => return false,
            }
        }
        false
    }

    /// Everything said up to and with an answer.
    ///
    /// # Errors
    /// When some of it is not known any more.
    pub(crate) fn history(self, id: &Text) -> Result<Vec<Message>, Fault> {
        let store = &self.app.responses;
        let unknown = |id: &Text| Reference::Answer(id.clone()).unknown();
        let mut turns = Vec::new();
        let mut next = Some(id.clone());
        let mut history = loop {
            let Some(id) = next else { break Vec::new() };
            if let Some(stored) = store.get(self.owner, &id) {
                break stored.history();
            }
            let (passed, held) = (store.passed(self.owner, &id), store.held(self.owner, &id));
            let (Some(passed), Some(held), true) = (passed, held, turns.len() < LONGEST_CHAIN) else {
                return Err(unknown(&id));
            };
            let slot = Slot::at(self.runtime, &held).ok_or_else(|| unknown(&id))?;
            let request = decode_request(ClientProtocol::Responses, &RequestHead::default(), passed.body.clone())?;
            let object = response_of(&passed.answer).ok_or_else(|| unknown(&id))?;
            let answer = passed.answer.slice_ref(object.bytes);
            let response = decode_response(&slot.codec_target_in(self.runtime, &Text::new()), answer)?;
            let mut parts = response.first().map(|candidate| candidate.parts.clone()).unwrap_or_default();
            // Ids mean nothing elsewhere; reasoning that was only an id there stays behind.
            parts.iter_mut().for_each(|part| part.item_id = None);
            if parts.is_empty() {
                return Err(unknown(&id));
            }
            next = passed.previous.clone();
            turns.push((request, parts));
        };
        for (mut request, parts) in turns.into_iter().rev() {
            continue_after(&mut request, history);
            history = input_messages(&request);
            let index = u32::try_from(history.len()).unwrap_or(u32::MAX);
            history.push(Message::new(Role::Assistant, index, parts));
        }
        Ok(history)
    }
}

/// Whether a target keeps answers.
pub(crate) fn keeps(upstream: &Upstream) -> bool {
    let provider = &upstream.config;
    provider.protocol() == Protocol::Responses && provider.profile.stateful && upstream.client.is_some()
}

impl Exchange {
    /// Finds what the request goes on from, and orders its attempts accordingly.
    pub(crate) async fn anchor(&mut self, resolved: Resolved) -> Result<Course, Fault> {
        let mut reference = if self.wire == ClientProtocol::Responses { self.reference() } else { None };
        if reference.is_none() {
            reference = self.thing().await?;
        }
        let asking = Asking { app: &self.app, runtime: &self.runtime, owner: self.caller.owner(), model: &self.model };
        asking.recall(reference.as_ref()).await?;
        let (origin, course) = asking.anchor(reference.as_ref(), resolved)?;
        self.origin = origin;
        Ok(course)
    }

    /// The first thing the body refers to of which it is known who keeps it.
    async fn thing(&self) -> Result<Option<Reference>, Fault> {
        let (wire, body) = (self.wire, self.body.clone());
        let things = self.off_worker(move || things(wire, &body)).await?;
        if things.is_empty() {
            return Ok(None);
        }
        let (store, owner) = (&self.app.responses, self.caller.owner());
        // Without an answer of the store it is as before it had one: whoever is asked may know it.
        store.recall(owner, &things).await.ok();
        if !self.app.has_one_caller(&self.runtime) {
            store.recall_owners(&things).await.map_err(|_| store_away())?;
            if let Some(id) = things.iter().find(|id| store.is_anothers(owner, id)) {
                return Err(Reference::Thing(id.clone()).unknown());
            }
        }
        let known = |id: &Text| store.held(owner, id).is_some();
        Ok(things.into_iter().find(known).map(Reference::Thing))
    }

    fn reference(&self) -> Option<Reference> {
        match (&self.peeked, &self.decoded) {
            (Some(peek), _) => Reference::in_body(peek, &self.body),
            (None, Some(request)) => Reference::in_request(request),
            (None, None) => None,
        }
    }

    /// The answer that this one continues.
    pub(crate) fn previous(&self) -> Option<Text> {
        match self.reference() {
            Some(Reference::Answer(id)) if self.wire == ClientProtocol::Responses => Some(id),
            _ => None,
        }
    }

    /// The body in the neutral form, as this target may have it: where it cannot refer to what it goes on from, the history stands
    /// before its input.
    pub(crate) async fn request_for(&mut self, slot: &Slot) -> Result<Arc<Request>, Fault> {
        let request = self.decoded().await?;
        let Some(previous) = request.state.previous_response_id.clone() else { return Ok(request) };
        if self.wire != ClientProtocol::Responses || self.origin.is_at(slot) {
            return Ok(request);
        }
        if let Some(expanded) = &self.expanded {
            return Ok(Arc::clone(expanded));
        }
        let (app, runtime) = (Arc::clone(&self.app), Arc::clone(&self.runtime));
        let (owner, model) = (self.caller.owner().clone(), self.model.clone());
        let expanded = tasks::off_worker(move || {
            let asking = Asking { app: &app, runtime: &runtime, owner: &owner, model: &model };
            asking.history(&previous).map(|history| Arc::new(expanded(&request, history)))
        });
        let expanded = expanded.await.ok_or_else(internal)??;
        self.expanded = Some(Arc::clone(&expanded));
        Ok(expanded)
    }
}

/// A request with the history that it only referred to.
pub(crate) fn expanded(request: &Request, history: Vec<Message>) -> Request {
    let mut request = request.clone();
    request.state.previous_response_id = None;
    continue_after(&mut request, history);
    request
}
