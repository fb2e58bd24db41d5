//! The older `/v1/completions`: handed to servers that have it, otherwise asked as a conversation of one message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use polyport_protocol::sse::{Frame, Framing};
use polyport_protocol::{RequestHead, read_usage};
use polyport_provider::Call as Ask;
use polyport_types::{ClientProtocol, Fault, FaultClass, Protocol, Text};
use serde_json::{Map, Value, json};

use super::access::Caller;
use super::{Call, Entered};
use crate::app::{App, Asks, Runtime, Upstream};
use crate::body::Body;
use crate::id::RequestId;
use crate::ledger::Demand;
use crate::observe::{Outcome, Record};
use crate::relay::course::Course;
use crate::relay::limits::{rough, tokens_of};
use crate::relay::origin::Origin;
use crate::relay::peek::{Edits, Peek};
use crate::relay::{self, Exchange, RelayBody, wire};

const PROTOCOL: ClientProtocol = ClientProtocol::Chat;

/// Most prompts of one request.
const PROMPTS: usize = 64;

/// `/v1/completions`.
pub(crate) async fn handle(call: Call) -> Response<Body> {
    let entered = match call.enter(PROTOCOL, "completions").await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let Entered { app, runtime, id, parts, body, caller, mut record } = entered;
    match native(&app, &runtime, Asks { headers: &parts.headers, caller: &caller }, &body, &mut record).await {
        Ok(Some(answer)) => {
            record.status = 200;
            record.end(Outcome::Answered);
            return answer;
        }
        Ok(None) => {}
        Err(fault) => return relay::refuse(PROTOCOL, &id, *record, &fault),
    }
    let wanted = match Wanted::read(&body) {
        Ok(wanted) => wanted,
        Err(fault) => return relay::refuse(PROTOCOL, &id, *record, &fault),
    };
    let asker = Asker { app, runtime, id, parts, caller };
    if wanted.stream { asker.stream(wanted, record).await } else { asker.whole(wanted, record).await }
}

/// Asks a server that may have the endpoint. `None` if it has not, or does not speak Chat.
async fn native(
    app: &Arc<App>,
    runtime: &Arc<Runtime>,
    asks: Asks<'_>,
    body: &Bytes,
    record: &mut Record,
) -> Result<Option<Response<Body>>, Fault> {
    let peek = Peek::parse(body)?;
    let Some(model) = peek.text(body, "model") else { return Err(Fault::bad_request("model", "`model` is missing")) };
    record.model = Text::from(model.as_str());
    let resolved = runtime.resolve(&model, PROTOCOL, asks)?;
    let fits = |upstream: &Upstream| upstream.config.protocol() == Protocol::Chat && upstream.client.is_some();
    if !resolved.targets.first().is_some_and(|target| runtime.fits(target, fits)) || peek.is_true(body, "stream") {
        return Ok(None);
    }
    let resolved = resolved.filtered(|target| runtime.fits(target, fits));
    let asked = Demand { model: &model, resolved: Some(&resolved) };
    record.admit(runtime, asked, rough(body, Some(&peek)))?;
    let slot = Course::new(Arc::clone(app), Arc::clone(runtime), resolved).first().await?;
    let mut edits = Edits::default();
    if model != *slot.target.model {
        edits.set("model", Value::from(&*slot.target.model).to_string());
    }
    let ask = Ask::Other { path: "completions", model: &slot.target.model, query: None };
    record.aim(&slot, Protocol::Chat.as_str());
    record.sent();
    let sent = wire::post(&slot, ask, wire::json_headers(false), peek.edited(body, &edits)).await;
    let answer = match sent {
        Ok(mut opened) => wire::whole(&mut opened, &slot.target.provider, runtime.config.limits.answer_bytes).await,
        Err(fault) => Err(fault),
    };
    // Whatever is wrong with this endpoint there, the conversation may still work.
    let Ok(answer) = answer.inspect_err(|fault| record.failed(fault)) else { return Ok(None) };
    let ours = serde_json::from_slice::<Value>(&answer)
        .ok()
        .filter(|value| value.get("object") == Some(&json!("text_completion")));
    let Some(ours) = ours else {
        record.failed(&wire::broken(&slot.target.provider, "it is no completion"));
        return Ok(None);
    };
    let counts = ours.get("usage").map(|usage| Bytes::from(usage.to_string()));
    let target = relay::passthrough::counting(Protocol::Chat, &slot);
    record.usage = counts.and_then(|counts| read_usage(&target, counts)).unwrap_or_default();
    record.seen = tokens_of(answer.len());
    let mut response = Response::new(Body::from(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Some(response))
}

/// A request for completions.
#[derive(Debug)]
struct Wanted {
    prompts: Vec<String>,
    echo: bool,
    stream: bool,
    include_usage: bool,
    /// The rest, as members of a Chat request.
    chat: Map<String, Value>,
}

impl Wanted {
    fn read(body: &[u8]) -> Result<Self, Fault> {
        let mut members: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| Fault::new(FaultClass::BadRequest, format!("the body is not a JSON object: {error}")))?;
        let refuse = |name: &str, words: &str| Err(Fault::bad_request(name, format!("{name}: {words}")));
        let prompts = match members.remove("prompt") {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => {
                let texts: Option<Vec<String>> = list.iter().map(|one| one.as_str().map(str::to_owned)).collect();
                match texts {
                    Some(texts) if !texts.is_empty() && texts.len() <= PROMPTS => texts,
                    _ => {
                        return refuse(
                            "prompt",
                            "a text or a list of texts is expected; token ids cannot be turned back into text",
                        );
                    }
                }
            }
            _ => return refuse("prompt", "a text or a list of texts is expected"),
        };
        if members.remove("suffix").is_some_and(|suffix| !suffix.is_null()) {
            return refuse("suffix", "the model that answers cannot fill in text");
        }
        if members.remove("best_of").and_then(|best| best.as_u64()).is_some_and(|best| best > 1) {
            return refuse("best_of", "more than one is not possible");
        }
        let stream = members.get("stream") == Some(&Value::Bool(true));
        if stream && prompts.len() > 1 {
            return refuse("prompt", "several prompts cannot be streamed");
        }
        let echo = members.remove("echo") == Some(Value::Bool(true));
        let include_usage =
            members.get("stream_options").and_then(|options| options.get("include_usage")) == Some(&Value::Bool(true));
        if let Some(count) = members.remove("logprobs").and_then(|count| count.as_u64()) {
            members.insert("logprobs".to_owned(), Value::Bool(true));
            members.insert("top_logprobs".to_owned(), count.into());
        }
        members.entry("max_tokens").or_insert(16.into());
        Ok(Self { prompts, echo, stream, include_usage, chat: members })
    }

    fn chat_body(&self, prompt: &str) -> Bytes {
        let mut chat = self.chat.clone();
        chat.insert("messages".to_owned(), json!([{ "role": "user", "content": prompt }]));
        Value::Object(chat).to_string().into()
    }
}

/// Asks conversations of one message.
struct Asker {
    app: Arc<App>,
    runtime: Arc<Runtime>,
    id: RequestId,
    parts: Parts,
    caller: Caller,
}

impl Asker {
    async fn ask(&self, wanted: &Wanted, prompt: &str, record: Box<Record>) -> Response<Body> {
        relay::relay(Exchange {
            app: Arc::clone(&self.app),
            runtime: Arc::clone(&self.runtime),
            id: self.id.clone(),
            caller: self.caller.clone(),
            wire: PROTOCOL,
            answer: PROTOCOL,
            head: RequestHead::default(),
            headers: self.parts.headers.clone(),
            body: wanted.chat_body(prompt),
            model: Text::new(),
            stream: false,
            strict: false,
            decoded: None,
            peeked: None,
            origin: Origin::Body,
            expanded: None,
            record,
        })
        .await
    }

    /// The record of a further call: a request of its own.
    fn another(&self) -> Record {
        let mut record = Record::new(Arc::clone(&self.app), &RequestId::new(), PROTOCOL, "completions");
        record.caller = Some(self.caller.clone());
        record
    }

    /// One call per prompt, one after the other.
    async fn whole(&self, wanted: Wanted, record: Box<Record>) -> Response<Body> {
        let mut record = Some(record);
        let mut all: Option<Response<Body>> = None;
        let mut choices = Vec::new();
        let mut usage = [0u64; 3];
        let mut last = Value::Null;
        for prompt in &wanted.prompts {
            let own = record.take().unwrap_or_else(|| Box::new(self.another()));
            let response = self.ask(&wanted, prompt, own).await;
            if response.status() != StatusCode::OK {
                return response;
            }
            let (head, body) = response.into_parts();
            let bytes = body.into_whole().unwrap_or_default();
            let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let start = choices.len();
            for (index, choice) in answer.get("choices").and_then(Value::as_array).into_iter().flatten().enumerate() {
                choices.push(completion_choice(choice, start + index, if wanted.echo { prompt } else { "" }));
            }
            for (sum, name) in usage.iter_mut().zip(["prompt_tokens", "completion_tokens", "total_tokens"]) {
                *sum += answer.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
            }
            last = answer;
            all = Some(Response::from_parts(head, Body::from(Bytes::new())));
        }
        let [prompt_tokens, completion_tokens, total_tokens] = usage;
        let body = json!({
            "id": completion_id(&last),
            "object": "text_completion",
            "created": last.get("created").cloned().unwrap_or(0.into()),
            "model": last.get("model").cloned().unwrap_or_default(),
            "choices": choices,
            "usage": { "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total_tokens },
        });
        let mut response = all.unwrap_or_else(|| Response::new(Body::from("")));
        *response.body_mut() = Body::from(body.to_string().into_bytes());
        response
    }

    async fn stream(&self, wanted: Wanted, record: Box<Record>) -> Response<Body> {
        let prompt = wanted.prompts.first().cloned().unwrap_or_default();
        let response = self.ask(&wanted, &prompt, record).await;
        if response.status() != StatusCode::OK {
            return response;
        }
        let (head, body) = response.into_parts();
        let Some(inner) = body.into_relay() else { return Response::from_parts(head, Body::from("")) };
        let limit = self.runtime.config.limits.event_bytes;
        let rewriting = CompletionsBody {
            inner,
            framing: Framing::new(limit),
            echo: wanted.echo.then_some(prompt),
            include_usage: wanted.include_usage,
            ready: VecDeque::new(),
        };
        Response::from_parts(head, Body::from(Box::new(rewriting)))
    }
}

fn completion_id(chat: &Value) -> String {
    let id = chat.get("id").and_then(Value::as_str).unwrap_or_default();
    format!("cmpl-{}", id.trim_start_matches("chatcmpl-"))
}

/// A choice of a Chat answer as a choice of a completion.
fn completion_choice(choice: &Value, index: usize, before: &str) -> Value {
    let text = choice.pointer("/message/content").and_then(Value::as_str).unwrap_or_default();
    json!({
        "index": index,
        "text": format!("{before}{text}"),
        "finish_reason": finish(choice),
        "logprobs": logprobs(choice),
    })
}

fn finish(choice: &Value) -> Value {
    match choice.get("finish_reason").and_then(Value::as_str) {
        Some(word @ ("stop" | "length" | "content_filter")) => word.into(),
        Some(_) => "stop".into(),
        None => Value::Null,
    }
}

/// Log probabilities in the older form.
fn logprobs(choice: &Value) -> Value {
    let Some(tokens) = choice.pointer("/logprobs/content").and_then(Value::as_array) else { return Value::Null };
    let mut offset = 0;
    let mut offsets = Vec::with_capacity(tokens.len());
    let text = |token: &Value| token.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
    for token in tokens {
        offsets.push(offset);
        offset += text(token).chars().count();
    }
    let tops: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let entries = token.get("top_logprobs").and_then(Value::as_array).into_iter().flatten();
            entries
                .map(|top| (text(top), top.get("logprob").cloned().unwrap_or_default()))
                .collect::<Map<_, _>>()
                .into()
        })
        .collect();
    json!({
        "tokens": tokens.iter().map(text).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.get("logprob").cloned().unwrap_or_default()).collect::<Vec<_>>(),
        "top_logprobs": tops,
        "text_offset": offsets,
    })
}

/// A stream of Chat chunks rewritten into chunks of a completion.
#[derive(Debug)]
pub(crate) struct CompletionsBody {
    inner: Box<RelayBody>,
    framing: Framing,
    /// The prompt, until it was said.
    echo: Option<String>,
    include_usage: bool,
    ready: VecDeque<Bytes>,
}

impl CompletionsBody {
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            let Poll::Ready(next) = self.inner.poll_bytes(cx) else { return Poll::Pending };
            let mut frames = Vec::new();
            match next {
                None => {
                    self.framing.finish(&mut frames);
                    if frames.is_empty() {
                        return Poll::Ready(None);
                    }
                }
                Some(bytes) if &*bytes == b": ping\n\n" => return Poll::Ready(Some(bytes)),
                // These frames are our own and can be read.
                Some(bytes) => self.framing.push(bytes, &mut frames).unwrap_or(()),
            }
            let mut out = Vec::new();
            for frame in frames {
                if let Frame::Event { data, .. } = frame {
                    self.rewrite(&data, &mut out);
                }
            }
            if !out.is_empty() {
                self.ready.push_back(out.into());
            }
        }
    }

    fn rewrite(&mut self, data: &str, out: &mut Vec<u8>) {
        let mut write = |data: &str| out.extend_from_slice(format!("data: {data}\n\n").as_bytes());
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            write(data);
            return;
        };
        if chunk.get("error").is_some() {
            write(data);
            return;
        }
        let choices: Vec<Value> = chunk
            .get("choices")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|choice| {
                let text = choice.pointer("/delta/content").and_then(Value::as_str).unwrap_or_default();
                let before = self.echo.take().unwrap_or_default();
                let index = choice.get("index").cloned().unwrap_or(0.into());
                json!({ "index": index, "text": format!("{before}{text}"), "finish_reason": finish(choice), "logprobs": logprobs(choice) })
            })
            // The chunk that only names the role says nothing here.
            .filter(|choice| choice["text"] != "" || !choice["finish_reason"].is_null())
            .collect();
        let usage = chunk.get("usage").filter(|usage| !usage.is_null() && self.include_usage);
        if choices.is_empty() && usage.is_none() {
            return;
        }
        let mut completion = json!({
            "id": completion_id(&chunk),
            "object": "text_completion",
            "created": chunk.get("created").cloned().unwrap_or(0.into()),
            "model": chunk.get("model").cloned().unwrap_or_default(),
            "choices": choices,
        });
        if let (Some(usage), Some(members)) = (usage, completion.as_object_mut()) {
            members.insert("usage".to_owned(), usage.clone());
        }
        write(&completion.to_string());
    }
}
