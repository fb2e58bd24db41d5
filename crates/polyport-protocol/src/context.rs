//! What the codecs are told about the client and about the place a request goes to.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use polyport_types::{Fault, Protocol, Request, Text};

use crate::carrier::CarrierKey;
use crate::profile::{Capabilities, Profile, TextToolCalls};
use crate::wires::Wire;

/// The place a request goes to.
#[derive(Clone, Debug)]
pub struct Target {
    /// What it speaks.
    pub protocol: Protocol,
    /// How the server writes it.
    pub wire: Wire,
    /// Its name of the model.
    pub model: Text,
    /// Quirks of the server.
    pub profile: Arc<Profile>,
    /// Abilities of the model.
    pub capabilities: Arc<Capabilities>,
    /// Hash of model and credential pool: signatures issued for another scope may be useless here.
    pub scope: u32,
    /// Names of the tools this request offers: where the profile takes calls out of the text, no other name is one; and a name that a
    /// Chat server sends in pieces is known to be whole. `None` if nobody said.
    pub offered: Option<Arc<[Text]>>,
}

impl Target {
    /// The same target for one request, as `resolve` left it.
    #[must_use]
    pub fn offering(mut self, request: &Request) -> Self {
        let from_text = self.profile.text_tool_calls != TextToolCalls::Off;
        if from_text || (self.protocol == Protocol::Chat && !request.tools.is_empty()) {
            self.offered = Some(request.tools.iter().map(|tool| tool.name().clone()).collect());
        }
        self
    }

    /// A target with default quirks and abilities of its protocol.
    #[must_use]
    pub fn plain(protocol: Protocol, model: impl Into<Text>) -> Self {
        Self {
            protocol,
            wire: Wire::Own,
            model: model.into(),
            profile: Arc::clone(&defaults(protocol).0),
            capabilities: Arc::clone(&defaults(protocol).1),
            scope: 0,
            offered: None,
        }
    }
}

/// Quirks and abilities of a protocol, made once.
fn defaults(protocol: Protocol) -> &'static (Arc<Profile>, Arc<Capabilities>) {
    static DEFAULTS: [OnceLock<(Arc<Profile>, Arc<Capabilities>)>; 4] = [const { OnceLock::new() }; 4];
    let [chat, responses, messages, gemini] = &DEFAULTS;
    let of = match protocol {
        Protocol::Chat => chat,
        Protocol::Responses => responses,
        Protocol::Messages => messages,
        Protocol::Gemini => gemini,
    };
    of.get_or_init(|| (Arc::new(Profile::of_protocol(protocol)), Arc::new(Capabilities::of_protocol(protocol))))
}

/// What a protocol keeps outside the body of a request.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// Gemini: the model from the path, percent-decoded, without a leading `models/`.
    pub model: Option<Text>,
    /// Gemini: the method was `streamGenerateContent`.
    pub stream: bool,
    /// Gemini: no `alt=sse`, so the stream is a JSON array.
    pub json_array: bool,
    /// `anthropic-version`.
    pub api_version: Option<Text>,
    /// `anthropic-beta`, split at commas.
    pub betas: Vec<Text>,
}

/// A request written for a provider.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// The JSON body.
    pub body: Vec<u8>,
    /// Headers the protocol needs beside authentication (`anthropic-version`, `anthropic-beta`).
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Path and query behind the base address, where the request itself decides about them.
    pub path: Option<String>,
    /// Why there is no body to send, where its target cannot be written to.
    pub fault: Option<Box<Fault>>,
}

/// An error written for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// HTTP status.
    pub status: u16,
    /// `retry-after` and its relatives, `x-should-retry`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body.
    pub body: Vec<u8>,
}

/// What encoders of answers need: the client's request and the values a pure crate cannot make itself.
#[derive(Clone, Debug)]
pub struct ClientContext {
    /// The request as the client sent it (before `resolve`): echoed by Responses, asked about visibility, tools, usage.
    pub request: Arc<Request>,
    /// The model name the client shall see.
    pub model: Text,
    /// Polyport's own random id of this answer, 24 characters of base62 without prefix. Ids of items derive from it and their position.
    pub id: Text,
    /// Now, Unix seconds.
    pub now: i64,
    /// Seals signatures of other providers; `None` drops them.
    pub carrier: Option<Arc<CarrierKey>>,
    /// Scope of the target that answers, written into carriers.
    pub scope: u32,
    /// What the provider speaks: a signature is native if its family is that of the client's protocol.
    pub provider: Protocol,
    /// Estimate of the prompt in tokens, for protocols that name it before the provider does.
    pub input_estimate: u64,
    /// Chat: return reasoning text as `reasoning_content`.
    pub expose_reasoning: bool,
    /// Responses: id of the answer this one continues.
    pub previous_response_id: Option<Text>,
}

impl ClientContext {
    /// Drops the conversation and the tools of the request, unless it is shared.
    pub(crate) fn forget_history(&mut self) {
        if let Some(request) = Arc::get_mut(&mut self.request) {
            request.instructions = Vec::new();
            request.messages = Vec::new();
            request.tools = Vec::new();
        }
    }

    /// A context for tests and tools: fixed id and time, no carrier.
    #[must_use]
    pub fn fixed(request: Request, provider: Protocol) -> Self {
        Self {
            model: request.model.clone(),
            request: Arc::new(request),
            id: Text::from_static("000000000000000000000000"),
            now: 0,
            carrier: None,
            scope: 0,
            provider,
            input_estimate: 0,
            expose_reasoning: true,
            previous_response_id: None,
        }
    }
}
