//! Counting the tokens of a request: by the provider where it can, otherwise by estimate. Never by asking a model.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response};
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{
    DecodeError, RequestHead, Wire, decode_request, encode_count_request, gemini as gemini_codec, json, messages,
    resolve,
};
use polyport_provider::Call as Ask;
use polyport_types::{ClientProtocol, Fault, FaultClass, Losses, Protocol, Request, Text};
use serde_json::{Value, json};

use super::access::Caller;
use super::{Call, Entered};
use crate::app::Asks;
use crate::body::Body;
use crate::ledger::Demand;
use crate::ledger::tries::Estimate;
use crate::observe::{Outcome, Record};
use crate::relay::course::Slot;
use crate::relay::origin::{Asking, Reference, expanded};
use crate::relay::peek::{self, Edits, Peek};
use crate::relay::{self, wire};

/// `/v1/messages/count_tokens` and `/v1/responses/input_tokens`.
pub(crate) async fn body_protocol(call: Call, protocol: ClientProtocol) -> Response<Body> {
    count(call, protocol, None).await
}

/// `:countTokens`.
pub(crate) async fn gemini(call: Call, model: String) -> Response<Body> {
    count(call, ClientProtocol::Gemini, Some(Text::from(model))).await
}

/// A number, and whether it is ours.
struct Counted {
    tokens: u64,
    estimated: bool,
    /// The provider's own answer, where client and provider speak the same protocol.
    verbatim: Option<Bytes>,
}

async fn count(call: Call, protocol: ClientProtocol, model: Option<Text>) -> Response<Body> {
    let Entered { app, runtime, id, parts, body, caller, mut record } = match call.enter(protocol, "count_tokens").await
    {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let head = RequestHead { model, ..super::request_head(&parts.headers) };
    let ask = Counting { app, runtime, caller, headers: parts.headers, protocol, head, body };
    match ask.run(&mut record).await {
        Ok(counted) => answer(protocol, &id, *record, counted),
        Err(fault) => relay::refuse(protocol, &id, *record, &fault),
    }
}

fn answer(protocol: ClientProtocol, id: &crate::id::RequestId, mut record: Record, counted: Counted) -> Response<Body> {
    let Counted { tokens, estimated, verbatim } = counted;
    let body = verbatim.unwrap_or_else(|| match protocol {
        ClientProtocol::Gemini => gemini_codec::encode_count(tokens).into(),
        ClientProtocol::Messages => messages::encode_count(tokens).into(),
        ClientProtocol::Responses | ClientProtocol::Chat => {
            json!({ "object": "response.input_tokens", "input_tokens": tokens }).to_string().into()
        }
    });
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if estimated {
        headers.insert("x-polyport-estimated", HeaderValue::from_static("1"));
    }
    crate::error::name(protocol, id, headers);
    record.status = 200;
    record.end(Outcome::Answered);
    response
}

struct Counting {
    app: Arc<crate::app::App>,
    runtime: Arc<crate::app::Runtime>,
    caller: Caller,
    headers: http::HeaderMap,
    protocol: ClientProtocol,
    head: RequestHead,
    body: Bytes,
}

impl Counting {
    async fn run(&self, record: &mut Record) -> Result<Counted, Fault> {
        let request = self.decode()?;
        let model =
            self.head.model.clone().or_else(|| peek::model_of(&self.body)).unwrap_or_else(|| request.model.clone());
        if model.is_empty() {
            return Err(Fault::bad_request("model", "`model` is missing"));
        }
        record.model = model.clone();
        let asks = Asks { headers: &self.headers, caller: &self.caller };
        let resolved = self.runtime.resolve(&model, self.protocol, asks)?;
        let asking = Asking { app: &self.app, runtime: &self.runtime, owner: self.caller.owner(), model: &model };
        let reference = Reference::in_request(&request).filter(|_| self.protocol == ClientProtocol::Responses);
        asking.recall(reference.as_ref()).await?;
        let (origin, mut course) = asking.anchor(reference.as_ref(), resolved)?;
        let Ok(slot) = course.first().await else { return Ok(estimate(&request)) };
        let (request, as_it_is) = match reference {
            Some(Reference::Answer(id)) if !origin.is_at(&slot) => (expanded(&request, asking.history(&id)?), false),
            _ => (request, true),
        };
        let provider = &slot.upstream.config;
        if slot.upstream.client.is_none() || !provider.profile.counts_tokens {
            return Ok(estimate(&request));
        }
        let demand = Demand { model: &model, resolved: Some(course.resolved()) };
        record.admit(&self.runtime, demand, Estimate::default())?;
        record.aim(&slot, provider.protocol().as_str());
        let asked = self.ask(&slot, &request, as_it_is, record).await;
        match asked.inspect_err(|fault| record.failed(fault)) {
            Ok(counted) => Ok(counted),
            // What is wrong with the request is worth knowing; whatever else is wrong must not stop the client.
            Err(fault) if matches!(fault.class, FaultClass::BadRequest | FaultClass::TooLarge) => Err(fault),
            Err(_) => Ok(estimate(&request)),
        }
    }

    fn decode(&self) -> Result<Request, DecodeError> {
        let text = json::body_text(self.body.clone())?;
        match self.protocol {
            ClientProtocol::Gemini => gemini_codec::decode_count_request(&self.head, &text),
            ClientProtocol::Messages => messages::decode_count_request(&self.head, &text),
            ClientProtocol::Responses | ClientProtocol::Chat => {
                decode_request(ClientProtocol::Responses, &self.head, self.body.clone())
            }
        }
    }

    /// Asks the provider; `as_it_is` if the body says all that the request does.
    async fn ask(&self, slot: &Slot, request: &Request, as_it_is: bool, record: &mut Record) -> Result<Counted, Fault> {
        let provider = &slot.upstream.config;
        let same = as_it_is && provider.understands(self.protocol) && !self.is_wrapped(slot);
        let (body, headers, estimated) = match same {
            true => self.same(slot).map(|(body, headers)| (body, headers, false))?,
            false => match self.translated(slot, request)? {
                Some(translated) => translated,
                None => return Ok(estimate(request)),
            },
        };
        record.sent();
        let call = Ask::CountTokens { model: &slot.target.model };
        let mut opened = wire::post(slot, call, headers, body).await?;
        record.upstream_id = opened.request_id();
        let answer = wire::whole(&mut opened, &slot.target.provider, 1 << 20).await?;
        let value: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let tokens = ["input_tokens", "totalTokens", "inputTokens"].iter().find_map(|name| value.get(name)?.as_u64());
        // Where Gemini's form says nothing, it means zero.
        let zero = || (provider.protocol() == Protocol::Gemini && value.is_object()).then_some(0);
        let tokens = tokens.or_else(zero).ok_or_else(|| wire::broken(&slot.target.provider, "it holds no count"))?;
        Ok(Counted { tokens, estimated, verbatim: same.then_some(answer) })
    }

    /// Whether a whole request stands inside the body, where the provider takes only its parts.
    fn is_wrapped(&self, slot: &Slot) -> bool {
        let inside = || Peek::parse(&self.body).is_ok_and(|peek| peek.has(&self.body, "generateContentRequest"));
        self.protocol == ClientProtocol::Gemini && !slot.upstream.config.profile.counts_whole_requests && inside()
    }

    fn same(&self, slot: &Slot) -> Result<(Bytes, http::HeaderMap), Fault> {
        let mut headers = wire::json_headers(false);
        let mut edits = Edits::default();
        let peek = Peek::parse(&self.body)?;
        match self.protocol {
            ClientProtocol::Messages => {
                let version = self.head.api_version.as_deref().and_then(|version| HeaderValue::try_from(version).ok());
                headers.insert("anthropic-version", version.unwrap_or(HeaderValue::from_static("2023-06-01")));
                if !self.head.betas.is_empty()
                    && let Ok(betas) =
                        HeaderValue::try_from(self.head.betas.iter().map(|flag| &**flag).collect::<Vec<_>>().join(","))
                {
                    headers.insert("anthropic-beta", betas);
                }
                edits.set("model", Value::from(&*slot.target.model).to_string());
            }
            ClientProtocol::Responses | ClientProtocol::Chat => {
                edits.set("model", Value::from(&*slot.target.model).to_string());
            }
            ClientProtocol::Gemini => {
                // The model stands once more inside.
                if let Some(inner) = peek.get(&self.body, "generateContentRequest")
                    && let Ok(inner_peek) = Peek::parse(inner)
                {
                    let mut inner_edits = Edits::default();
                    inner_edits.set("model", Value::from(format!("models/{}", slot.target.model)).to_string());
                    let inner = inner_peek.edited(&Bytes::copy_from_slice(inner), &inner_edits);
                    edits.set("generateContentRequest", String::from_utf8_lossy(&inner).into_owned());
                }
            }
        }
        Ok((peek.edited(&self.body, &edits), headers))
    }

    /// Body and headers, and whether it can be no more than an estimate; `None` if such providers do not count.
    fn translated(&self, slot: &Slot, request: &Request) -> Result<Option<(Bytes, http::HeaderMap, bool)>, Fault> {
        let target = slot.codec_target_in(&self.runtime, &Text::new());
        let mut losses = Losses::new();
        let signatures = |anchor: &str| self.app.signatures.get(self.caller.owner(), anchor).unwrap_or_default();
        let context = ResolveContext { carrier: Some(&self.runtime.config.carrier), signatures: &signatures };
        let (resolved, _) = resolve(&target, request.clone(), &context, &mut losses);
        let Some(encoded) = encode_count_request(&target, &resolved, &mut losses) else { return Ok(None) };
        // There, instructions and tools are counted as words of the conversation.
        let as_words = matches!(target.wire, Wire::CodeAssist(_))
            && !(resolved.instructions.is_empty() && resolved.tools.is_empty());
        let mut headers = wire::json_headers(false);
        wire::add_headers(&mut headers, &encoded.headers, &target.profile);
        let body = Bytes::from(encoded.body);
        let body = if target.protocol == Protocol::Responses { counted(&body)? } else { body };
        Ok(Some((body, headers, as_words)))
    }
}

/// A Responses body with the members only that its counting endpoint takes.
fn counted(body: &Bytes) -> Result<Bytes, Fault> {
    const COUNTED: [&str; 11] = [
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "conversation",
        "previous_response_id",
        "parallel_tool_calls",
        "truncation",
    ];
    let peek = Peek::parse(body)?;
    let drop = peek.names().filter(|name| !COUNTED.contains(&&***name)).cloned().collect();
    Ok(peek.edited(body, &Edits { drop, ..Edits::default() }))
}

fn estimate(request: &Request) -> Counted {
    Counted { tokens: polyport_protocol::estimate::input_tokens(request), estimated: true, verbatim: None }
}
