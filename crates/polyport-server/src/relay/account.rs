//! What is kept of an answer: stored answers of the Responses protocol, and where those are that a provider keeps.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::{ClientContext, messages};
use polyport_types::{ClientProtocol, PartKind, Protocol, Request, Response, Signature, Text};

use super::Exchange;
use super::course::Slot;
use super::peek::Peek;
use super::refers::made_items;
use crate::app::App;
use crate::state::{Held, Passed, Stored};

/// Keeps one answer for later, when it is whole.
#[derive(Debug)]
pub(crate) struct Keeper {
    app: Arc<App>,
    owner: Text,
    request: Arc<Request>,
    model: Text,
    id: Text,
    created: i64,
    previous: Option<Text>,
    scope: u32,
    provider: Protocol,
    body: usize,
}

/// A whole answer and its size in bytes.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) response: Response,
    pub(crate) size: usize,
}

impl Exchange {
    /// Keeps the signatures of a whole answer that this client cannot carry.
    pub(crate) fn keep_signatures(&self, context: &ClientContext, response: &Response) {
        let uncarried = match self.answer {
            ClientProtocol::Messages => messages::uncarried_signatures(context, response),
            ClientProtocol::Chat => before_calls(response),
            ClientProtocol::Responses | ClientProtocol::Gemini => return,
        };
        for (anchor, signatures) in uncarried {
            self.app.signatures.put(self.caller.owner(), context.scope, anchor, signatures);
        }
    }

    /// Something that keeps the answer, if the client's protocol and request ask for it.
    pub(crate) fn keeper(&self, context: &ClientContext) -> Option<Keeper> {
        if self.answer != ClientProtocol::Responses || context.request.state.store == Some(false) {
            return None;
        }
        Some(Keeper {
            app: Arc::clone(&self.app),
            owner: self.caller.owner().clone(),
            request: Arc::clone(&context.request),
            model: context.model.clone(),
            id: context.id.clone(),
            created: context.now,
            previous: context.previous_response_id.clone(),
            scope: context.scope,
            provider: context.provider,
            body: self.body.len(),
        })
    }
}

/// Takes note of an answer that stays with its provider.
#[derive(Debug)]
pub(crate) struct Holder {
    app: Arc<App>,
    owner: Text,
    held: Arc<Held>,
    body: Bytes,
    previous: Option<Text>,
    /// Request and answer tell all: nothing is part of a conversation that the provider keeps.
    whole: bool,
    /// The answer's id, once it is known.
    id: Option<Text>,
}

impl Exchange {
    /// Something that takes note of the answer, if the provider shall keep it.
    pub(crate) fn holder(&self, slot: &Slot) -> Option<Box<Holder>> {
        let peek = self.peeked.as_ref().filter(|_| self.wire == ClientProtocol::Responses)?;
        if peek.get(&self.body, "store") == Some(b"false") {
            return None;
        }
        Some(Box::new(Holder {
            app: Arc::clone(&self.app),
            owner: self.caller.owner().clone(),
            held: Arc::new(slot.held(self.shown_model(slot))),
            body: self.body.clone(),
            previous: peek.text(&self.body, "previous_response_id").map(Text::from),
            whole: !peek.has(&self.body, "conversation"),
            id: None,
        }))
    }
}

impl Holder {
    /// Whether the answer's id is known.
    pub(crate) fn is_named(&self) -> bool {
        self.id.is_some()
    }

    /// Takes an answer, or an event that holds one: notes where it is. False if it has no id.
    pub(crate) fn name(&mut self, answer: &[u8]) -> bool {
        self.id = response_of(answer).and_then(|response| Some(Text::from(response.text("id")?)));
        if let Some(id) = &self.id {
            self.app.responses.hold(&self.owner, id, Arc::clone(&self.held));
        }
        self.id.is_some()
    }

    /// Keeps what passed through, now that the answer is whole.
    pub(crate) fn keep(self, answer: &[u8]) {
        let response = response_of(answer);
        for item in response.as_ref().map(Object::items).unwrap_or_default() {
            self.app.responses.hold(&self.owner, &item, Arc::clone(&self.held));
        }
        let ended = response.and_then(|response| response.text("status"));
        if let (Some(id), true, Some("completed" | "incomplete")) = (&self.id, self.whole, ended.as_deref()) {
            // Copies: slices would keep the buffers alive that they were read into.
            let passed = Passed {
                body: Bytes::copy_from_slice(&self.body),
                answer: Bytes::copy_from_slice(answer),
                previous: self.previous,
            };
            self.app.responses.pass(&self.owner, id, passed);
        }
    }
}

/// The response object in an answer or in an event.
pub(crate) fn response_of(answer: &[u8]) -> Option<Object<'_>> {
    let peek = Peek::parse(answer).ok()?;
    match peek.get(answer, "response") {
        Some(bytes) => Some(Object { peek: Peek::parse(bytes).ok()?, bytes }),
        None => Some(Object { peek, bytes: answer }),
    }
}

/// A response object, looked into.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    peek: Peek,
    pub(crate) bytes: &'a [u8],
}

impl Object<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.peek.text(self.bytes, name)
    }

    /// The ids of what it says.
    fn items(&self) -> Vec<Text> {
        self.peek.get(self.bytes, "output").map(made_items).unwrap_or_default()
    }
}

/// The signatures of each tool call: its own and those of the reasoning before it.
fn before_calls(response: &Response) -> Vec<(Text, Vec<Signature>)> {
    let mut waiting: Vec<Signature> = Vec::new();
    let mut found = Vec::new();
    for part in response.first().map(|candidate| candidate.parts.as_slice()).unwrap_or_default() {
        waiting.extend(part.signature.clone());
        if let PartKind::ToolCall(call) = &part.kind {
            found.push((call.id.clone(), std::mem::take(&mut waiting)));
        }
    }
    found
}

impl Keeper {
    /// Keeps the answer under the id the client was told.
    pub(crate) fn keep(self, kept: Kept) {
        let id = Text::from(format!("resp_{}", self.id));
        let stored = Stored {
            owner: self.owner,
            request: self.request,
            response: kept.response,
            model: self.model,
            id: self.id,
            created: self.created,
            previous: self.previous,
            // The neutral form takes more room than the bytes it came from.
            size: (self.body + kept.size).saturating_mul(3) + 1024,
            scope: self.scope,
            provider: self.provider,
        };
        self.app.responses.put(id, stored);
    }
}
