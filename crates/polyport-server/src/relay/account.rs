//! What is kept of an answer: stored answers of the Responses protocol.

use std::sync::Arc;

use polyport_protocol::ClientContext;
use polyport_types::{ClientProtocol, PartKind, Protocol, Request, Response, Signature, Text};

use super::Exchange;
use crate::app::App;
use crate::state::Stored;

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
    /// Keeps the signatures of a whole answer that this client cannot carry, by tool call: its own and those of the reasoning before it.
    pub(crate) fn keep_signatures(&self, response: &Response) {
        if !matches!(self.answer, ClientProtocol::Chat | ClientProtocol::Messages) {
            return;
        }
        let Some(candidate) = response.first() else { return };
        let mut waiting: Vec<Signature> = Vec::new();
        for part in &candidate.parts {
            waiting.extend(part.signature.clone());
            if let PartKind::ToolCall(call) = &part.kind {
                let signatures = std::mem::take(&mut waiting);
                self.app.signatures.put(self.caller.owner(), call.id.clone(), signatures);
            }
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
