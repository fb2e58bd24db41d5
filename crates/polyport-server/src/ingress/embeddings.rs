//! Embeddings, in the forms of OpenAI and Gemini, from providers of these and of Ollama's.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use polyport_protocol::embeddings::{
    EmbedContent, EmbedRequest, EmbedResponse, decode_gemini_request, decode_gemini_response, decode_ollama_response,
    decode_openai_request, decode_openai_response, encode_gemini_requests, encode_gemini_response,
    encode_ollama_request, encode_openai_request, encode_openai_response,
};
use polyport_protocol::profile::Embeddings;
use polyport_protocol::{RequestHead, estimate, json, read_usage};
use polyport_provider::Call as Ask;
use polyport_types::{ClientProtocol, Fault, FaultClass, Losses, Protocol, Text};

use super::{Call, Entered};
use crate::app::Asks;
use crate::body::Body;
use crate::ledger::Demand;
use crate::ledger::tries::Estimate;
use crate::observe::{Outcome, Record};
use crate::relay::course::{Course, Slot};
use crate::relay::deadline;
use crate::relay::limits::rough;
use crate::relay::peek::{Edits, Peek, model_of};
use crate::relay::{self, wire};

/// Largest answer, in bytes.
const ANSWER: usize = 64 << 20;

/// `/v1/embeddings`.
pub(crate) async fn openai(call: Call) -> Response<Body> {
    handle(call, ClientProtocol::Chat, None, false).await
}

/// `:embedContent` and `:batchEmbedContents`.
pub(crate) async fn gemini(call: Call, model: String, batch: bool) -> Response<Body> {
    handle(call, ClientProtocol::Gemini, Some(Text::from(model)), batch).await
}

async fn handle(call: Call, protocol: ClientProtocol, model: Option<Text>, batch: bool) -> Response<Body> {
    let Entered { app, runtime, id, parts, body, caller, mut record } = match call.enter(protocol, "embeddings").await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let head = RequestHead { model, ..RequestHead::default() };
    let asking = Embedding { protocol, head, batch, body };
    let result = async {
        let model = asking.model()?;
        record.model = model.clone();
        let resolved = runtime.resolve(&model, protocol, Asks { headers: &parts.headers, caller: &caller })?;
        let course = Course::new(std::sync::Arc::clone(&app), std::sync::Arc::clone(&runtime), resolved);
        let mut course = course.within(record.started(), deadline::of_client(&parts.headers));
        let deadline = course.deadline(false);
        let asked = Demand { model: &model, resolved: Some(course.resolved()) };
        record.admit(&runtime, asked, Estimate { output: 0, ..rough(&asking.body, None) })?;
        let mut slot = deadline.within(course.first()).await?;
        loop {
            record.aim(&slot, slot.upstream.config.protocol().as_str());
            record.sent();
            match deadline.wait(asking.ask(&slot, &model, &mut record)).await {
                None => return Err(course.late(&slot, &deadline)),
                Some(Ok(answered)) => return Ok(answered),
                Some(Err(fault)) => {
                    record.failed(&fault);
                    slot = deadline.within(course.after(slot, fault.into())).await?;
                }
            }
        }
    }
    .await;
    match result {
        Err(fault) => relay::refuse(protocol, &id, *record, &fault),
        Ok(Answered { body, losses }) => {
            let mut response = Response::new(Body::from(body));
            let headers = response.headers_mut();
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(Ok(value)) = losses.header().map(HeaderValue::try_from) {
                headers.insert("x-polyport-loss", value);
            }
            crate::error::name(protocol, &id, headers);
            record.lost(&losses);
            record.status = 200;
            record.end(Outcome::Answered);
            response
        }
    }
}

/// What a client wants to have embedded, not yet read.
struct Embedding {
    protocol: ClientProtocol,
    head: RequestHead,
    batch: bool,
    body: Bytes,
}

struct Answered {
    body: Bytes,
    losses: Losses,
}

impl Embedding {
    fn model(&self) -> Result<Text, Fault> {
        let named = self.head.model.clone().or_else(|| model_of(&self.body));
        named
            .filter(|model| !model.is_empty())
            .ok_or_else(|| Fault::bad_request("model", "you must provide a model parameter"))
    }

    async fn ask(&self, slot: &Slot, model: &Text, record: &mut Record) -> Result<Answered, Fault> {
        let provider = &slot.upstream.config;
        let own = provider.profile.embeddings != Embeddings::Protocol;
        if slot.upstream.client.is_none() || (provider.protocol() == Protocol::Messages && !own) {
            let words = format!("provider `{}` has no embeddings", slot.target.provider);
            return Err(Fault::new(FaultClass::NotFound, words));
        }
        match (self.protocol, provider.protocol()) {
            _ if own => self.translated(slot, model, record).await,
            (ClientProtocol::Gemini, Protocol::Gemini) => self.same(slot, model, record).await,
            (ClientProtocol::Chat, Protocol::Chat | Protocol::Responses) => self.same(slot, model, record).await,
            _ => self.translated(slot, model, record).await,
        }
    }

    /// The body as it is, but for the model's name.
    async fn same(&self, slot: &Slot, model: &Text, record: &mut Record) -> Result<Answered, Fault> {
        let peek = Peek::parse(&self.body)?;
        let mut edits = Edits::default();
        let name = &slot.target.model;
        match self.protocol {
            ClientProtocol::Gemini => {
                let full = serde_json::Value::from(format!("models/{name}")).to_string();
                if self.batch {
                    edits.set("requests", self.requests_with_model(&peek, &full)?);
                } else if peek.get(&self.body, "model").is_some() {
                    edits.set("model", full);
                }
            }
            ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
                if peek.text(&self.body, "model").as_deref() != Some(&**name) {
                    edits.set("model", serde_json::Value::from(&**name).to_string());
                }
            }
        }
        let call = match (self.protocol, self.batch) {
            (ClientProtocol::Gemini, false) => Ask::EmbedOne { model: name },
            _ => Ask::Embed { model: name },
        };
        let answer = post(slot, call, peek.edited(&self.body, &edits)).await?;
        let answer = renamed(self.packed(&peek, answer), name, model);
        let counts = Peek::parse(&answer).ok();
        let usage =
            counts.as_ref().and_then(|peek| peek.get(&answer, "usage").or_else(|| peek.get(&answer, "usageMetadata")));
        if let Some(usage) = usage {
            let protocol = if self.protocol == ClientProtocol::Gemini { Protocol::Gemini } else { Protocol::Chat };
            let target = relay::counting(protocol, slot);
            record.usage = read_usage(&target, Bytes::copy_from_slice(usage)).unwrap_or_default();
        }
        Ok(Answered { body: answer, losses: Losses::new() })
    }

    /// Packs vectors for a client that asked for that, where the server did not care.
    fn packed(&self, peek: &Peek, answer: Bytes) -> Bytes {
        if self.protocol == ClientProtocol::Gemini
            || peek.text(&self.body, "encoding_format").as_deref() != Some("base64")
        {
            return answer;
        }
        let lists = memchr::memmem::find(&answer, b"\"embedding\":[")
            .or_else(|| memchr::memmem::find(&answer, b"\"embedding\": ["));
        let packed = lists.and_then(|_| {
            let request = decode_openai_request(&json::body_text(self.body.clone()).ok()?).ok()?;
            let response = decode_openai_response(&json::body_text(answer.clone()).ok()?).ok()?;
            let tokens = response.prompt_tokens.unwrap_or_else(|| estimated(&request));
            Some(encode_openai_response(&request, &request.model, &response, tokens))
        });
        packed.map_or(answer, Bytes::from)
    }

    /// Each request of a batch names the model again.
    fn requests_with_model(&self, peek: &Peek, model: &str) -> Result<String, Fault> {
        let missing = || Fault::bad_request("requests", "`requests` must be a list of requests");
        let requests = peek.get(&self.body, "requests").ok_or_else(missing)?;
        let requests: Vec<&serde_json::value::RawValue> = serde_json::from_slice(requests).map_err(|_| missing())?;
        let mut edits = Edits::default();
        edits.set("model", model.to_owned());
        let mut written = Vec::with_capacity(requests.len());
        for request in requests {
            let bytes = Bytes::copy_from_slice(request.get().as_bytes());
            let edited = Peek::parse(&bytes).map_err(|_| missing())?.edited(&bytes, &edits);
            written.push(String::from_utf8_lossy(&edited).into_owned());
        }
        Ok(format!("[{}]", written.join(",")))
    }

    async fn translated(&self, slot: &Slot, model: &Text, record: &mut Record) -> Result<Answered, Fault> {
        let text = json::body_text(self.body.clone())?;
        let request = match self.protocol {
            ClientProtocol::Gemini => decode_gemini_request(&self.head, self.batch, &text)?,
            ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
                decode_openai_request(&text)?
            }
        };
        let mut losses = Losses::new();
        let name = &slot.target.model;
        let mut response = EmbedResponse::default();
        let call = Ask::Embed { model: name };
        if slot.upstream.config.profile.embeddings == Embeddings::Ollama {
            let answer = post(slot, call, encode_ollama_request(name, &request, &mut losses)?.into()).await?;
            response = decode_ollama_response(&json::body_text(answer)?)?;
        } else if slot.upstream.config.protocol() == Protocol::Gemini {
            for body in encode_gemini_requests(name, &request, &mut losses)? {
                let answer = post(slot, call, body.into()).await?;
                response.append(decode_gemini_response(&json::body_text(answer)?)?);
            }
        } else {
            let answer = post(slot, call, encode_openai_request(name, &request, &mut losses).into()).await?;
            response = decode_openai_response(&json::body_text(answer)?)?;
        }
        response.check(&request)?;
        let tokens = response.prompt_tokens.unwrap_or_else(|| estimated(&request));
        record.usage.input_uncached = Some(tokens);
        record.usage.estimated = response.prompt_tokens.is_none();
        let body = match self.protocol {
            ClientProtocol::Gemini => encode_gemini_response(&request, &response),
            ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
                encode_openai_response(&request, model, &response, tokens)
            }
        };
        Ok(Answered { body: body.into(), losses })
    }
}

/// The answer with the model name that the client knows.
fn renamed(answer: Bytes, theirs: &Text, shown: &Text) -> Bytes {
    let named = Peek::parse(&answer).ok().filter(|peek| theirs != shown && peek.has(&answer, "model"));
    let Some(peek) = named else { return answer };
    let mut edits = Edits::default();
    edits.set("model", serde_json::Value::from(&**shown).to_string());
    peek.edited(&answer, &edits)
}

fn estimated(request: &EmbedRequest) -> u64 {
    let size = |content: &EmbedContent| match content {
        EmbedContent::Text(text) => estimate::text_tokens(text),
        EmbedContent::Tokens(tokens) => u64::try_from(tokens.len()).unwrap_or(u64::MAX),
    };
    request.inputs.iter().map(|input| size(&input.content)).fold(0, u64::saturating_add)
}

async fn post(slot: &Slot, call: Ask<'_>, body: Bytes) -> Result<Bytes, Fault> {
    let mut headers: HeaderMap = wire::json_headers(false);
    wire::add_profile_headers(&mut headers, &slot.upstream.config.profile);
    let mut opened = wire::post(slot, call, headers, body).await?;
    wire::whole(&mut opened, &slot.target.provider, ANSWER).await
}
