//! What is kept of an answer: stored answers of the Responses protocol.

use std::sync::Arc;

use polyport_protocol::{ClientContext, messages};
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
    /// Keeps the signatures of a whole answer that this client cannot carry, by tool call.
    pub(crate) fn keep_signatures(&self, context: &ClientContext, response: &Response) {
        let uncarried = match self.answer {
            ClientProtocol::Messages => messages::uncarried_signatures(context, response),
            ClientProtocol::Chat => before_calls(response),
            ClientProtocol::Responses | ClientProtocol::Gemini => return,
        };
        for (call_id, signatures) in uncarried {
            self.app.signatures.put(self.caller.owner(), call_id, signatures);
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
