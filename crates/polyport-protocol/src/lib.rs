//! Wire formats to and from the neutral form.
//!
//! Pure functions over bytes: no sockets, clock, environment or randomness. Ids, times and keys come in through
//! [`ClientContext`] and [`Target`].
//!
//! ```text
//! client body ── decode_request ──▶ Request ── resolve ──▶ Request' + Restore ── encode_request ──▶ provider body
//! provider bytes ── StreamDecoder / decode_response ──▶ Event … ── Restorer ──▶ Event … ── StreamEncoder / encode_response
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`chat`], [`responses`], [`messages`], [`gemini`] | one wire format each: types, request, response, stream, fault |
//! | [`custom`] | any JSON over HTTP: templates and JSONPath expressions of the operator |
//! | [`warp`] | Warp's interface: requests and streams |
//! | [`mod@resolve`] | the only place that knows what the target model can do: rewrites the request, writes the loss report |
//! | [`restore`] | undoes on the way back what `resolve` did to tools and answer shape |
//! | `answer_losses` | what a client's protocol cannot say of an answer |
//! | [`carrier`] | signatures of one provider travelling through another protocol's slots |
//! | [`collect`] | events to a whole answer and back |
//! | [`sse`], [`eventstream`] | event-stream framing: lines of text, AWS's binary messages |
//! | [`json`], [`scan`] | JSON read into wire objects and written; JSON only looked at |
//! | [`profile`] | quirks of servers and abilities of models, as data |
//! | [`quota`] | what is left of an account's allowance |
//! | [`repair`] | tool arguments that have to be an object but are only text |
//! | [`estimate`] | how many tokens a request is |
//! | [`classify`] | what kind of failure a provider's answer is |
//! | [`embeddings`] | embeddings of `OpenAI`, Gemini and Ollama |
//! | [`meter`] | the counts in answers that are handed on untranslated |
//! | `bypass` | what stands for a missing signature |
//! | [`Wire`] | servers that write a protocol in a way of their own |
//! | `openai_fault` | the error form that Chat and Responses share |
#![warn(missing_docs)]

mod answer_losses;
mod bypass;
mod capabilities;
pub mod carrier;
pub mod chat;
pub mod classify;
pub mod collect;
pub mod context;
pub mod custom;
pub mod embeddings;
pub mod estimate;
pub mod eventstream;
pub mod gemini;
pub mod json;
pub mod messages;
pub mod meter;
mod openai_fault;
mod paths;
pub mod profile;
pub mod quota;
pub mod repair;
pub mod resolve;
pub mod responses;
pub mod restore;
pub mod scan;
pub mod schema;
pub mod sse;
pub mod stream;
mod tables;
pub mod warp;
mod wires;

use bytes::Bytes;
use polyport_types::{ClientProtocol, Fault, Losses, Protocol, Request, Response, Usage};
use serde_json::value::RawValue;

pub use answer_losses::AnswerLosses;
pub use carrier::CarrierKey;
pub use classify::ProviderAnswer;
pub use context::{ClientContext, Encoded, ErrorBody, RequestHead, Target};
pub use profile::{Capabilities, Profile};
pub use resolve::resolve;
pub use restore::{Restore, Restorer};
pub use stream::{StreamDecoder, StreamEncoder};
pub use wires::Wire;

/// A body that is not a request of its protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct DecodeError {
    /// Path of the mistake, e.g. `messages[2].role`; empty for the body as a whole.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl DecodeError {
    /// A mistake at `path`.
    #[must_use]
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// A mistake of the whole body.
    #[must_use]
    pub fn body(message: impl Into<String>) -> Self {
        Self::at("", message)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        let fault = Self::new(polyport_types::FaultClass::BadRequest, error.to_string());
        if error.path.is_empty() { fault } else { fault.with_param(error.path) }
    }
}

/// Reads a client's request. `head` carries what the protocol keeps outside the body: path, query, headers.
///
/// # Errors
/// [`DecodeError`] names the wrong path, e.g. `messages[2].role`.
pub fn decode_request(protocol: ClientProtocol, head: &RequestHead, body: Bytes) -> Result<Request, DecodeError> {
    let body = json::body_text(body)?;
    match protocol {
        ClientProtocol::Chat => chat::decode_request(head, &body),
        ClientProtocol::Responses => responses::decode_request(head, &body),
        ClientProtocol::Messages => messages::decode_request(head, &body),
        ClientProtocol::Gemini => gemini::decode_request(head, &body),
    }
}

/// Writes a resolved request for a provider. What the protocol has no slot for is appended to `losses`, whose paths are those of the
/// client's own request from then on.
#[must_use]
pub fn encode_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let encoded = match &target.wire {
        // Messages at AWS are but written a little otherwise.
        Wire::Own | Wire::BedrockMessages => match target.protocol {
            Protocol::Chat => chat::encode_request(target, request, losses),
            Protocol::Responses => responses::encode_request(target, request, losses),
            Protocol::Messages => messages::encode_request(target, request, losses),
            Protocol::Gemini => gemini::encode_request(target, request, losses),
        },
        Wire::CodeAssist(caller) => gemini::encode_enveloped(caller, target, request, losses),
        Wire::Warp => warp::encode_request(target, request, losses),
        Wire::Converse => messages::bedrock::encode_request(target, request, losses),
        Wire::Custom(custom) => custom::encode_request(custom, target, request, losses),
    };
    paths::in_words_of(request.source, losses);
    encoded
}

/// Writes a resolved request for the endpoint of a provider that counts tokens; `None` if such providers have none.
#[must_use]
pub fn encode_count_request(target: &Target, request: &Request, losses: &mut Losses) -> Option<Encoded> {
    Some(match &target.wire {
        Wire::Own => match target.protocol {
            Protocol::Gemini => gemini::encode_count_request(target, request, losses),
            Protocol::Messages => messages::encode_count_request(target, request, losses),
            Protocol::Responses => responses::encode_request(target, request, losses),
            Protocol::Chat => chat::encode_request(target, request, losses),
        },
        Wire::CodeAssist(_) => gemini::encode_enveloped_count(target, request, losses),
        Wire::Converse | Wire::BedrockMessages => messages::bedrock::encode_count_request(target, request, losses),
        Wire::Warp | Wire::Custom(_) => return None,
    })
}

/// Reads a provider's whole answer (HTTP status below 300).
///
/// # Errors
/// A [`Fault`] if the body is an error in disguise or makes no sense.
pub fn decode_response(target: &Target, body: Bytes) -> Result<Response, Fault> {
    let text = json::body_text(body).map_err(|error| {
        Fault::new(
            polyport_types::FaultClass::UpstreamProtocol,
            format!("the provider's answer is unreadable: {error}"),
        )
    })?;
    match &target.wire {
        // The envelope of Code Assist is looked through; what Warp does not stream is an error, in one of the forms that Chat knows.
        Wire::Own | Wire::CodeAssist(_) | Wire::Warp | Wire::BedrockMessages => match target.protocol {
            Protocol::Chat => chat::decode_response(target, &text),
            Protocol::Responses => responses::decode_response(target, &text),
            Protocol::Messages => messages::decode_response(target, &text),
            Protocol::Gemini => gemini::decode_response(target, &text),
        },
        Wire::Converse => messages::bedrock::decode_response(target, &text),
        Wire::Custom(custom) => custom::decode_response(custom, target, &text),
    }
}

/// Reads the usage object of an answer that is not decoded otherwise; `None` if it counts nothing.
#[must_use]
pub fn read_usage(target: &Target, counts: Bytes) -> Option<Usage> {
    let body = json::body_text(counts).ok()?;
    let raw: &RawValue = serde_json::from_str(&body).ok()?;
    match target.protocol {
        Protocol::Chat => chat::read_usage(raw, target.profile.usage_rule, &body),
        Protocol::Responses => Some(responses::read_usage(raw, target, &body)),
        Protocol::Messages => Some(messages::read_usage(raw, target.profile.input_includes_cache, &body)),
        Protocol::Gemini => gemini::read_usage(raw, &body),
    }
}

/// Writes a whole answer for a client.
#[must_use]
pub fn encode_response(protocol: ClientProtocol, context: &ClientContext, response: &Response) -> Vec<u8> {
    match protocol {
        ClientProtocol::Chat => chat::encode_response(context, response),
        ClientProtocol::Responses => responses::encode_response(context, response),
        ClientProtocol::Messages => messages::encode_response(context, response),
        ClientProtocol::Gemini => gemini::encode_response(context, response),
    }
}

/// What of `response` a client of `protocol` cannot be told. For streams see [`StreamEncoder::take_losses`].
#[must_use]
pub fn answer_losses(protocol: ClientProtocol, context: &ClientContext, response: &Response) -> Losses {
    AnswerLosses::between(context.provider, protocol).map_or_else(Losses::new, |mut losses| {
        losses.response(response);
        losses.take()
    })
}

/// Writes an error for a client: status, headers and body of its own protocol.
#[must_use]
pub fn encode_fault(protocol: ClientProtocol, fault: &Fault, request_id: &str) -> ErrorBody {
    match protocol {
        ClientProtocol::Chat => chat::encode_fault(fault, request_id),
        ClientProtocol::Responses => responses::encode_fault(fault, request_id),
        ClientProtocol::Messages => messages::encode_fault(fault, request_id),
        ClientProtocol::Gemini => gemini::encode_fault(fault, request_id),
    }
}
