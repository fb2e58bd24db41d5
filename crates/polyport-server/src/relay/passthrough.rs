//! Client and provider speak the same protocol: the body goes as it is but for a declared list of edits, and so does the answer.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use polyport_protocol::classify::classify_body;
use polyport_protocol::profile::{
    EmptyContent, ImageInput, JsonMode, LimitField, Profile, ReasoningBack, SchemaClean, SystemRole, TextToolCalls,
    ThinkingControl, ToolIdRule,
};
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{Restore, StreamDecoder, Target, read_usage, scan};
use polyport_provider::ProviderBody;
use polyport_types::{ClientProtocol, Event, Fault, Losses, Protocol, Text};
use tokio::time::Instant;

use super::account::Holder;
use super::admit::holds_carrier;
use super::attempt::{Failed, Sent};
use super::course::Slot;
use super::frames::Framed;
use super::origin::Origin;
use super::peek::{Edits, Peek};
use super::stream::{Live, Step, Turn, later_error};
use super::tap::Tap;
use super::translate::{Answerer, Reading, is_output};
use super::wire::{self, Patience};
use super::{Exchange, Ready, stream_headers};
use crate::id::RequestId;
use crate::ingress::{ANTHROPIC_BETA, ANTHROPIC_VERSION};
use crate::observe::{Outcome, Record};

/// One write to the client holds about this much at most.
const FULL: usize = 64 << 10;

/// Whether this request can go to this target with small edits only.
pub(crate) async fn fits(x: &mut Exchange, slot: &Slot) -> Result<bool, Fault> {
    let provider = &slot.upstream.config;
    if slot.upstream.client.is_none()
        || !provider.understands(x.wire)
        || x.wire != x.answer
        || x.head.json_array
        || holds_carrier(&x.body)
    {
        return Ok(false);
    }
    x.peeked().await?;
    let (Some(peek), body) = (&x.peeked, &x.body) else { return Ok(false) };
    Ok(match x.wire {
        ClientProtocol::Chat => chat_fits(&provider.profile, peek, body),
        ClientProtocol::Responses => responses_fit(x, slot, peek),
        ClientProtocol::Messages | ClientProtocol::Gemini => true,
    })
}

/// Whether the body asks the model to think.
fn asks_to_reason(wire: ClientProtocol, peek: &Peek, body: &Bytes) -> bool {
    match wire {
        ClientProtocol::Chat => peek.has(body, "reasoning_effort") || peek.has(body, "reasoning"),
        ClientProtocol::Responses => peek.has(body, "reasoning"),
        ClientProtocol::Messages => peek.has(body, "thinking"),
        // It stands inside the settings, in either spelling.
        ClientProtocol::Gemini => ["generationConfig", "generation_config"]
            .iter()
            .filter_map(|name| peek.get(body, name))
            .any(|settings| memchr::memmem::find(settings, b"thinking").is_some()),
    }
}

/// A server that keeps no answers cannot be asked to; and what is kept elsewhere is not known to it.
fn responses_fit(x: &Exchange, slot: &Slot, peek: &Peek) -> bool {
    let stateful = slot.upstream.config.profile.stateful;
    if !matches!(x.origin, Origin::Body) {
        return stateful && x.origin.is_at(slot);
    }
    stateful || peek.get(&x.body, "store") == Some(b"false")
}

/// Whether a Chat body holds nothing that the server wants written otherwise.
fn chat_fits(profile: &Profile, peek: &Peek, body: &[u8]) -> bool {
    let tools = peek.get(body, "tools").unwrap_or_default();
    let has_tools = tools.len() > 2;
    if has_tools
        && (profile.schema_clean != SchemaClean::None
            || (!profile.strict_tools && memchr::memmem::find(tools, b"\"strict\"").is_some())
            || memchr::memmem::find(tools, b"\"custom\"").is_some() && !is_official(profile))
    {
        return false;
    }
    if peek.has(body, "tool_choice")
        && !is_official(profile)
        && peek.text(body, "tool_choice").as_deref() != Some("auto")
    {
        return false;
    }
    if peek.has(body, "response_format") && (profile.json_mode != JsonMode::Schema || profile.omit_text_format) {
        return false;
    }
    if profile.thinking_control != ThinkingControl::Effort
        && (peek.has(body, "reasoning_effort") || profile.thinking_off_unless_stream)
    {
        return false;
    }
    if profile.text_tool_calls != TextToolCalls::Off {
        return false;
    }
    let shapes = profile.system_role == SystemRole::System
        || profile.system_first
        || profile.merge_same_role
        || profile.empty_content != EmptyContent::Null
        || profile.flatten_text
        || profile.tool_id != ToolIdRule::Any
        || profile.reasoning_back != ReasoningBack::Never
        || profile.image_input != ImageInput::Url
        || !profile.file_input
        || profile.tool_name
        || profile.prefix_last_assistant;
    !shapes || peek.get(body, "messages").is_none_or(|messages| messages_fit(profile, messages))
}

/// A profile with the tool choices of the official API.
fn is_official(profile: &Profile) -> bool {
    profile.tool_choice.len() >= 5
}

/// Whether the server takes every message as it is written.
fn messages_fit(profile: &Profile, json: &[u8]) -> bool {
    let Ok(json) = polyport_protocol::json::utf8(json) else { return false };
    let Ok(messages) = scan::objects(json) else { return false };
    let last = messages.len().saturating_sub(1);
    let mut previous: &str = "";
    for (index, members) in messages.into_iter().enumerate() {
        let value = |name: &str| {
            let found = members.iter().rev().find(|(known, _)| known == name);
            found.and_then(|(_, range)| json.get(range.clone()))
        };
        // A role with an escape is none that a rule names.
        let role = value("role").map_or("", |role| role.trim_matches('"'));
        let content = value("content").unwrap_or("null");
        let calls = value("tool_calls").is_some_and(|calls| calls != "null" && calls.len() > 2);
        let system = role == "system" || role == "developer";
        let odd = [
            role == "developer" && profile.system_role == SystemRole::System,
            system && index > 0 && profile.system_first,
            role == previous && profile.merge_same_role,
            calls && content == "null" && profile.empty_content != EmptyContent::Null,
            (calls || role == "tool") && profile.tool_id != ToolIdRule::Any,
            role == "tool" && profile.tool_name,
            calls && profile.reasoning_back != ReasoningBack::Never,
            role == "assistant" && profile.prefix_last_assistant && index == last,
            content.starts_with('[') && !parts_fit(profile, content),
        ];
        if odd.contains(&true) {
            return false;
        }
        previous = role;
    }
    true
}

/// Whether the server takes a list of content parts.
fn parts_fit(profile: &Profile, content: &str) -> bool {
    let holds = |name: &str| memchr::memmem::find(content.as_bytes(), name.as_bytes()).is_some();
    let media = holds("\"image_url\"") || holds("\"file\"") || holds("\"input_audio\"");
    if !media {
        return !profile.flatten_text;
    }
    (profile.image_input == ImageInput::Url || !holds("\"image_url\"")) && (profile.file_input || !holds("\"file\""))
}

/// The edits a body needs for this target, and whether usage was asked for that the client did not ask for.
fn edits(x: &Exchange, slot: &Slot, peek: &Peek) -> (Edits, bool) {
    let (body, profile) = (&x.body, &slot.upstream.config.profile);
    let mut edits = Edits::default();
    if x.wire != ClientProtocol::Gemini && peek.text(body, "model").as_deref() != Some(&*slot.target.model) {
        edits.set("model", json(&slot.target.model));
    }
    let mut hide_usage = false;
    if x.wire == ClientProtocol::Chat {
        hide_usage = usage_edits(x.stream, profile, peek, body, &mut edits);
        limit_edits(profile, peek, body, &mut edits);
    }
    for name in &profile.drop {
        if peek.get(body, name).is_some() {
            edits.drop.push(name.as_str().into());
        }
    }
    for (from, to) in &profile.rename {
        if peek.get(body, from).is_some() {
            edits.rename.push((from.as_str().into(), to.as_str().into()));
        }
    }
    for (name, (low, high)) in &profile.clamp {
        let value: Option<f64> = peek.get(body, name).and_then(|json| serde_json::from_slice(json).ok());
        if let Some(value) = value
            && !(*low..=*high).contains(&value)
        {
            edits.set(name, value.clamp(*low, *high).to_string());
        }
    }
    for (name, value) in &profile.extra_body {
        if peek.get(body, name).is_none() {
            edits.set(name, value.to_string());
        }
    }
    (edits, hide_usage)
}

/// Asks a streaming Chat server for usage. True if the client did not, so that the chunk must be hidden.
fn usage_edits(stream: bool, profile: &Profile, peek: &Peek, body: &[u8], edits: &mut Edits) -> bool {
    let options = peek.get(body, "stream_options").filter(|options| *options != b"null");
    if !stream {
        return false;
    }
    if !profile.stream_usage {
        if options.is_some() {
            edits.drop.push("stream_options".into());
        }
        return false;
    }
    let mut members: serde_json::Map<String, serde_json::Value> =
        options.and_then(|options| serde_json::from_slice(options).ok()).unwrap_or_default();
    if members.get("include_usage") == Some(&serde_json::Value::Bool(true)) {
        return false;
    }
    members.insert("include_usage".to_owned(), serde_json::Value::Bool(true));
    edits.set("stream_options", serde_json::Value::Object(members).to_string());
    true
}

/// Gives the token limit the name the server knows.
fn limit_edits(profile: &Profile, peek: &Peek, body: &[u8], edits: &mut Edits) {
    let (wrong, right) = match profile.limit_field {
        LimitField::MaxTokens => ("max_completion_tokens", "max_tokens"),
        LimitField::MaxCompletionTokens => ("max_tokens", "max_completion_tokens"),
    };
    match (peek.get(body, wrong), peek.get(body, right)) {
        (Some(_), None) => edits.rename.push((wrong.into(), right.into())),
        (Some(_), Some(_)) => edits.drop.push(wrong.into()),
        (None, _) => {}
    }
}

pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One attempt.
///
/// # Errors
/// [`Failed`] when it gave no output.
pub(crate) async fn attempt(x: &mut Exchange, slot: &Slot, sent: &mut Sent) -> Result<Ready, Failed> {
    x.peeked().await?;
    let Some(peek) = &x.peeked else { return Err(super::admit::internal().into()) };
    let (edits, hide_usage) = edits(x, slot, peek);
    let body = peek.edited(&x.body, &edits);
    let (body, dropped) = x.app.learned.without_refused(&slot.target.provider, &slot.target.model, body);
    let mut losses = Losses::new();
    for name in &dropped {
        losses.warn(
            polyport_types::LossCode::UnknownFieldDropped,
            polyport_types::LossAction::Dropped,
            format!("/{name}"),
            "the provider refuses it",
        );
    }
    sent.body = body.clone();
    let headers = request_headers(x, &slot.upstream.config.profile);
    x.record.passthrough = true;
    x.record.sent();
    let capabilities = x.runtime.config.capabilities(&slot.upstream.config, &slot.target.model);
    let reasons = wire::reasons(&capabilities, asks_to_reason(x.wire, peek, &x.body));
    let mut opened = wire::generate(slot, x.stream, reasons, headers, None, body).await?;
    x.record.upstream_id = opened.request_id();
    let forwarded = answer_headers(&opened.headers);
    if opened.is_stream().is_some_and(|stream| stream != x.stream) {
        // The provider streams where it should not, or the other way round: only translation can mend that.
        x.record.passthrough = false;
        let request = x.request_for(slot).await?;
        let target = slot.codec_target(x);
        let answerer = Answerer { context: x.context(slot, &target, request), restore: Restore::default() };
        let reading = Reading { target, answerer, losses, forwarded, resume: None };
        // Boxed: this is rare, and larger than all the rest.
        return Box::pin(reading.read(x, slot, opened)).await;
    }
    if x.stream {
        let mut live = Passthrough::new(x, slot, opened.body, opened.patience, hide_usage);
        live.hold_back(x, slot).await?;
        x.record.first_output();
        let mut headers = stream_headers(x.answer, false);
        headers.extend(x.reply_headers(slot, &losses));
        headers.extend(forwarded);
        return Ok(Ready::Live { headers, live: Live::Passthrough(Box::new(live)) });
    }
    let limit = x.runtime.config.limits.answer_bytes;
    let bytes = wire::whole(&mut opened, &slot.target.provider, limit).await?;
    let body = whole(x, slot, bytes)?;
    x.record.first_output();
    let mut headers = x.reply_headers(slot, &losses);
    let kind = opened.headers.get(CONTENT_TYPE).cloned();
    headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json")));
    headers.extend(forwarded);
    Ok(Ready::Whole { headers, body })
}

/// Checks a whole answer and gives it the model name the client knows.
fn whole(x: &mut Exchange, slot: &Slot, bytes: Bytes) -> Result<Bytes, Fault> {
    let provider = &slot.target.provider;
    let peek = Peek::parse(&bytes).map_err(|_| wire::broken(provider, "it is not JSON"))?;
    if peek.has(&bytes, "error") && !peek.has(&bytes, "status") {
        return Err(classify_body(None, &String::from_utf8_lossy(&bytes)));
    }
    let protocol = Protocol::from(x.wire);
    let says: &[&str] = match protocol {
        Protocol::Chat => &["choices"],
        Protocol::Responses => &["output", "status"],
        Protocol::Messages => &["content"],
        Protocol::Gemini => &["candidates", "promptFeedback", "usageMetadata"],
    };
    if !says.iter().any(|name| peek.has(&bytes, name)) {
        return Err(wire::broken(provider, "it is no answer of its protocol"));
    }
    let counts = if protocol == Protocol::Gemini { "usageMetadata" } else { "usage" };
    if let Some(counts) = peek.get(&bytes, counts)
        && let Some(usage) = read_usage(&counting(protocol, slot), bytes.slice_ref(counts))
    {
        x.record.usage = usage;
    }
    if let Some(mut holder) = x.holder(slot)
        && holder.name(&bytes)
    {
        holder.keep(&bytes);
    }
    let name = if protocol == Protocol::Gemini { "modelVersion" } else { "model" };
    let shown = x.shown_model(slot);
    if shown != slot.target.model && peek.has(&bytes, name) {
        let mut edits = Edits::default();
        edits.set(name, json(&shown));
        return Ok(peek.edited(&bytes, &edits));
    }
    Ok(bytes)
}

/// A target that counts as the provider does.
pub(crate) fn counting(protocol: Protocol, slot: &Slot) -> Target {
    Target { profile: Arc::clone(&slot.upstream.config.profile), ..Target::plain(protocol, "") }
}

/// Headers of the client that mean something to the provider of the same protocol.
fn request_headers(x: &Exchange, profile: &Profile) -> HeaderMap {
    const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
    const OPENAI: [HeaderName; 6] = [
        HeaderName::from_static("openai-beta"),
        IDEMPOTENCY_KEY,
        CLIENT_REQUEST_ID,
        HeaderName::from_static("session-id"),
        HeaderName::from_static("thread-id"),
        HeaderName::from_static("originator"),
    ];
    const MESSAGES: [HeaderName; 3] = [ANTHROPIC_VERSION, IDEMPOTENCY_KEY, CLIENT_REQUEST_ID];
    let mut headers = wire::json_headers(x.stream);
    let names: &[HeaderName] = match x.wire {
        ClientProtocol::Chat | ClientProtocol::Responses => &OPENAI,
        ClientProtocol::Messages => &MESSAGES,
        ClientProtocol::Gemini => &[],
    };
    for name in names {
        if let Some(value) = x.headers.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if x.wire == ClientProtocol::Messages {
        headers.entry(ANTHROPIC_VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
        if let Some(betas) = betas(x, profile) {
            headers.insert(ANTHROPIC_BETA, betas);
        }
    }
    wire::add_profile_headers(&mut headers, profile);
    headers
}

/// The client's beta flags, as they are or only those the server takes.
fn betas(x: &Exchange, profile: &Profile) -> Option<HeaderValue> {
    if profile.betas.is_empty() {
        let mut values = x.headers.get_all(ANTHROPIC_BETA).iter();
        let first = values.next()?;
        if values.next().is_none() {
            return Some(first.clone());
        }
    }
    let allowed = |flag: &&Text| profile.betas.is_empty() || profile.betas.iter().any(|known| **known == ***flag);
    let flags: Vec<&str> = x.head.betas.iter().filter(allowed).map(|flag| &**flag).collect();
    if flags.is_empty() { None } else { HeaderValue::try_from(flags.join(",")).ok() }
}

/// Headers of the provider that mean something to clients of the same protocol.
fn answer_headers(headers: &HeaderMap) -> HeaderMap {
    const NAMES: [&str; 6] =
        ["retry-after", "retry-after-ms", "openai-processing-ms", "openai-version", "x-models-etag", "server-timing"];
    const STARTS: [&str; 3] = ["x-ratelimit-", "anthropic-ratelimit-", "x-codex-"];
    /// A header longer than this helps nobody.
    const LONGEST: usize = 1024;
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let text = name.as_str();
        let known = NAMES.contains(&text) || STARTS.iter().any(|start| text.starts_with(start));
        if known && value.len() <= LONGEST && kept.len() < 64 {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

/// A stream that goes through.
#[derive(Debug)]
pub(crate) struct Passthrough {
    protocol: ClientProtocol,
    provider: Text,
    body: ProviderBody,
    tap: Tap,
    /// None where the answer is not kept, and once it has been noted.
    holder: Option<Box<Holder>>,
    /// The answer goes on without its client, who needs its id at once.
    background: bool,
    /// Frame by frame, because some of them are changed or left out.
    framed: Option<Box<Framed>>,
    /// Chunks on their way, oldest first.
    single: Option<Bytes>,
    joined: BytesMut,
    patience: Patience,
    may_omit_finish: bool,
    turn: Turn,
    expired: bool,
    over: Option<Outcome>,
    max_event: usize,
}

impl Passthrough {
    fn new(x: &Exchange, slot: &Slot, body: ProviderBody, patience: Patience, hide_usage: bool) -> Self {
        let shown = x.shown_model(slot);
        let model = (shown != slot.target.model).then(|| (slot.target.model.clone(), shown));
        let framed = Framed::new(hide_usage, model);
        let holder = x.holder(slot);
        let background = x.wire == ClientProtocol::Responses
            && x.peeked.as_ref().is_some_and(|peek| peek.is_true(&x.body, "background"));
        Self {
            protocol: x.wire,
            provider: slot.target.provider.clone(),
            body,
            tap: Tap::new(counting(Protocol::from(x.wire), slot)).keep_end(holder.is_some()),
            holder,
            background,
            framed,
            single: None,
            joined: BytesMut::new(),
            patience,
            may_omit_finish: slot.upstream.config.profile.may_omit_finish,
            turn: Turn::default(),
            expired: false,
            over: None,
            max_event: x.runtime.config.limits.event_bytes,
        }
    }

    /// Waits for output that may be shown. Until then a failure is a failure of the attempt, not of the stream.
    async fn hold_back(&mut self, x: &Exchange, slot: &Slot) -> Result<(), Fault> {
        let target = slot.codec_target(x);
        let mut decoder = StreamDecoder::new(&target, self.max_event);
        let mut events = Vec::new();
        loop {
            match tokio::time::timeout_at(self.patience.deadline(), self.body.chunk()).await {
                Err(_) => return Err(self.patience.fault(&self.provider)),
                Ok(Ok(Some(chunk))) => {
                    decoder.push(chunk.clone(), &mut events);
                    self.patience.hear(false);
                    self.learn_model(&events);
                    self.take(chunk);
                }
                Ok(Ok(None)) => decoder.finish(BodyEnd::Clean, &mut events),
                Ok(Err(_)) => decoder.finish(BodyEnd::Broken, &mut events),
            }
            for event in events.drain(..) {
                match event {
                    Event::Error(fault) => return Err(*fault),
                    event if is_output(&event) || (self.background && matches!(event, Event::Start(_))) => {
                        if decoder.is_ended() {
                            self.close(BodyEnd::Clean);
                        }
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
    }

    /// The name that the provider itself gives the model, where it shall be replaced.
    fn learn_model(&mut self, events: &[Event]) {
        let started =
            events.iter().find_map(|event| if let Event::Start(start) = event { Some(&start.model) } else { None });
        if let (Some(name), Some(framed)) = (started, &mut self.framed)
            && !name.is_empty()
        {
            framed.learn_model(name);
        }
    }

    /// Takes bytes of the provider.
    fn take(&mut self, chunk: Bytes) {
        self.tap.push(&chunk);
        self.note();
        let chunk = match &mut self.framed {
            None => chunk,
            Some(framed) => framed.take(&chunk),
        };
        self.put(chunk);
    }

    /// Notes where the answer is kept as soon as it has an id, and what passed through when it is whole.
    fn note(&mut self) {
        let Some(holder) = &mut self.holder else { return };
        if !holder.is_named() && !self.tap.responses.created.is_empty() && !holder.name(&self.tap.responses.created) {
            self.holder = None;
            return;
        }
        if self.tap.finished()
            && let Some(holder) = self.holder.take()
        {
            holder.keep(&self.tap.take_end());
        }
    }

    fn put(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if self.joined.is_empty() && self.single.is_none() {
            self.single = Some(chunk);
            return;
        }
        if let Some(first) = self.single.take() {
            self.joined.extend_from_slice(&first);
        }
        self.joined.extend_from_slice(&chunk);
    }

    fn waiting(&self) -> usize {
        self.joined.len() + self.single.as_ref().map_or(0, Bytes::len)
    }

    fn hand_over(&mut self) -> Bytes {
        self.single.take().unwrap_or_else(|| std::mem::take(&mut self.joined).freeze())
    }

    /// The next bytes for the client, or the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Step> {
        loop {
            if let Some(outcome) = self.over {
                record.usage = self.tap.usage();
                return if self.waiting() == 0 {
                    Poll::Ready(Step::End(outcome))
                } else {
                    Poll::Ready(Step::Bytes(self.hand_over()))
                };
            }
            if self.waiting() >= FULL {
                return Poll::Ready(Step::Bytes(self.hand_over()));
            }
            if self.expired {
                let fault = self.patience.fault(&self.provider);
                self.end_with(&fault, None);
                continue;
            }
            match self.body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.turn.begin();
                    self.patience.hear(true);
                    self.take(chunk);
                    if self.waiting() < FULL && self.turn.goes_on(cx) {
                        return Poll::Ready(Step::Turn);
                    }
                }
                Poll::Ready(Some(Err(_))) => self.close(BodyEnd::Broken),
                Poll::Ready(None) => self.close(BodyEnd::Clean),
                Poll::Pending if self.waiting() == 0 => return Poll::Pending,
                Poll::Pending if self.turn.goes_on(cx) => return Poll::Ready(Step::Turn),
                Poll::Pending => return Poll::Ready(Step::Bytes(self.hand_over())),
            }
        }
    }

    /// Whether all of a good answer was handed on; its tokens are then in the record.
    pub(crate) fn is_said(&mut self, record: &mut Record) -> bool {
        let said = self.tap.finished() && !self.tap.failed() && self.waiting() == 0;
        if said {
            record.usage = self.tap.usage();
        }
        said
    }

    /// The provider's body is over.
    fn close(&mut self, end: BodyEnd) {
        self.tap.finish();
        self.note();
        if let Some(framed) = &mut self.framed {
            let rest = framed.flush();
            self.put(rest);
        }
        if self.tap.failed() {
            self.over = Some(Outcome::Failed(polyport_types::FaultClass::ServerError));
            return;
        }
        if self.tap.finished() || (self.may_omit_finish && end == BodyEnd::Clean) {
            let missing = self.tap.missing();
            if !missing.is_empty() && !self.tap.at_boundary() {
                self.put(Bytes::from_static(b"\n\n"));
            }
            self.put(Bytes::from_static(missing));
            self.over = Some(Outcome::Answered);
            return;
        }
        let fault = wire::broken(&self.provider, "it stopped in the middle");
        self.end_with(&fault, None);
    }

    /// Ends the stream with the protocol's error form.
    fn end_with(&mut self, fault: &Fault, id: Option<&RequestId>) {
        self.over = Some(Outcome::Failed(fault.class));
        self.body = ProviderBody::whole(Bytes::new());
        if !self.tap.at_boundary() {
            // An event that was cut in the middle must not swallow the error.
            self.put(Bytes::from_static(b"\n\n"));
        }
        let unknown = RequestId::new();
        let error = later_error(self.protocol, fault, id.unwrap_or(&unknown), &self.tap.responses);
        self.put(error);
    }

    /// When the provider has been silent too long.
    pub(crate) fn deadline(&self) -> Instant {
        self.patience.deadline()
    }

    /// The deadline has passed.
    pub(crate) fn time_is_up(&mut self) {
        self.expired = true;
    }

    /// The protocol's sign of life, where an event may stand.
    pub(crate) fn keep_alive(&mut self) -> Bytes {
        if !self.tap.at_boundary() {
            return Bytes::new();
        }
        match self.protocol {
            ClientProtocol::Chat | ClientProtocol::Responses => Bytes::from_static(b": ping\n\n"),
            ClientProtocol::Messages => Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"),
            ClientProtocol::Gemini => Bytes::new(),
        }
    }

    /// Ends the stream with an error of ours.
    pub(crate) fn fail(&mut self, fault: &Fault, id: &RequestId) -> Bytes {
        if self.over.is_some() {
            return Bytes::new();
        }
        self.end_with(fault, Some(id));
        self.hand_over()
    }
}
